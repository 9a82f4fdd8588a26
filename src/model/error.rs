//! Why a model folder cannot be used, or a forward pass cannot be done.

use std::path::PathBuf;

/// Where it went wrong, what was found, what was wanted, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(
        "there is no model folder `{path}`; give a folder in the Hugging Face layout (`path:DIR`), or a repository (`hf:ORG/NAME`)"
    )]
    NoFolder { path: PathBuf },
    #[error("`{path}` cannot be read")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not valid JSON")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{folder} has no config.json; a model folder in the Hugging Face layout has one beside its weights", folder = .folder.display())]
    NoConfig { folder: PathBuf },
    #[error("{path}: `{key}` is {found}, expected {wanted}", path = .path.display())]
    Config { path: PathBuf, key: String, found: String, wanted: &'static str },
    #[error("{path}: `{key}` = {found} is not supported yet; {reason}", path = .path.display())]
    Unsupported { path: PathBuf, key: String, found: String, reason: &'static str },
    #[error("{path}: model type `{found}` is not supported; supported are {supported}", path = .path.display())]
    UnknownArchitecture { path: PathBuf, found: String, supported: String },
    #[error(
        "{folder} has no tokenizer.json; make one with transformers: `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`",
        folder = .folder.display()
    )]
    NoTokenizer { folder: PathBuf },
    #[error("{path} is not a tokenizer", path = .path.display())]
    Tokenizer { path: PathBuf, source: tokenizers::Error },
    #[error("{path}: `{key}` names the token `{token}`, which the vocabulary does not have", path = .path.display())]
    NoSuchToken { path: PathBuf, key: &'static str, token: String },
    #[error(
        "{folder} has no chat template (`chat_template.jinja`, or `chat_template` in tokenizer_config.json), and the prompt has \
         `chat = true`; take a chat model, or leave `chat` out",
        folder = .folder.display()
    )]
    NoChatTemplate { folder: PathBuf },
    #[error("the chat template of {path} cannot be used: {reason}", path = .path.display())]
    ChatTemplate { path: PathBuf, reason: String },
    #[error(
        "a text is too long, and the chat template of {path} changes it, so that it cannot be cut there; set `max_chars` of the \
         slice, or `truncate = \"whole-prompt\"`",
        path = .path.display()
    )]
    ChatChanges { path: PathBuf },
    #[error("a text cannot be tokenised: `{text}`")]
    Tokenize { text: String, source: tokenizers::Error },
    #[error(
        "a text has {tokens} tokens in its template and at most {limit} fit; allow cutting (`truncate = \"head\"`) or raise `max_tokens`: `{text}`"
    )]
    TooLong { tokens: usize, limit: usize, text: String },
    #[error(
        "the template's fixed text alone has {tokens} tokens, which leaves no room for the text where at most {limit} fit; shorten the template or raise `max_tokens`: `{template}`"
    )]
    TemplateTooLong { tokens: usize, limit: usize, template: String },
    #[error("`max_tokens` is {asked}, but this model reads 1 to {limit} tokens")]
    MaxTokens { asked: usize, limit: usize },
    #[error("{folder} has no weights; expected model.safetensors, or model.safetensors.index.json with its shards", folder = .folder.display())]
    NoWeights { folder: PathBuf },
    #[error(
        "{folder} has only pickled weights ({file}), which can run code and are never opened; convert them with transformers: \
         `AutoModel.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)`",
        folder = .folder.display()
    )]
    Pickled { folder: PathBuf, file: String },
    #[error("{index} names the shard {shard}, which is not there; download the folder again", index = .index.display())]
    NoShard { index: PathBuf, shard: String },
    #[error("{path} is not a whole safetensors file; download it again", path = .path.display())]
    Weights { path: PathBuf, source: candle_core::Error },
    #[error("{path} cannot be read as a GGUF file; if it is whole, its kind of quantisation is not supported", path = .path.display())]
    Gguf { path: PathBuf, source: candle_core::Error },
    #[error("{path} is too large: {bytes} bytes, where such files have {most} at most; download it again", path = .path.display())]
    TooLarge { path: PathBuf, bytes: u64, most: u64 },
    #[error("{folder} has no tensor `{tensor}`; its weights are not those of the model that config.json describes", folder = .folder.display())]
    NoTensor { folder: PathBuf, tensor: String },
    #[error("{path}: tensor `{tensor}` has shape {found:?}, and config.json asks for {wanted:?}", path = .path.display())]
    Shape { path: PathBuf, tensor: String, found: Vec<usize>, wanted: Vec<usize> },
    #[error("{path}: tensor `{tensor}` holds {found}, expected {wanted}", path = .path.display())]
    TensorType { path: PathBuf, tensor: String, found: String, wanted: &'static str },
    #[error(
        "{folder} is no adapter; expected adapter_config.json and adapter_model.safetensors, as PEFT saves them",
        folder = .folder.display()
    )]
    NoAdapter { folder: PathBuf },
    #[error("{path}: tensor `{tensor}` has no place in the model; the adapter was made for another one", path = .path.display())]
    Misplaced { path: PathBuf, tensor: String },
    #[error("{path}: {what} is not supported; supported are {supported}", path = .path.display())]
    Pooling { path: PathBuf, what: String, supported: &'static str },
    #[error(transparent)]
    Hub(#[from] super::hub::HubError),
    #[error("device `{device}` cannot be used; {help}")]
    Device { device: String, help: &'static str, source: candle_core::Error },
    #[error("this build has no support for `{device}`; build with `--features {feature}`, or use `device = \"cpu\"`")]
    DeviceNotBuilt { device: String, feature: &'static str },
    #[error(
        "the model needs about {} GiB of memory and {} GiB are free; it was not loaded. Close other programs, take a smaller \
         dtype (`bf16` halves f32), a smaller model or a larger machine",
        gib(*needed), gib(*free)
    )]
    DoesNotFit { needed: u64, free: u64 },
    #[error("the forward pass failed ({what})")]
    Forward { what: String, source: candle_core::Error },
    #[error("the forward pass ran out of memory even for a single row of {tokens} tokens; lower `max_tokens`")]
    OutOfMemory { tokens: usize, source: candle_core::Error },
}

impl ModelError {
    /// A failure of the forward pass; `what` names the part that failed.
    pub(super) fn forward(what: &str) -> impl FnOnce(candle_core::Error) -> Self + '_ {
        move |source| Self::Forward { what: what.to_owned(), source }
    }

    /// Whether the device said that its memory is full, so that a smaller batch may pass.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Forward { source, .. } if says_out_of_memory(source))
    }

    /// The same failure of a pass over a single row, which no smaller batch can avoid.
    #[must_use]
    pub fn of_one_row(self, tokens: usize) -> Self {
        match self {
            Self::Forward { source, .. } if says_out_of_memory(&source) => Self::OutOfMemory { tokens, source },
            other => other,
        }
    }
}

/// candle passes on what the driver says: `CUDA_ERROR_OUT_OF_MEMORY`, "out of memory".
fn says_out_of_memory(error: &candle_core::Error) -> bool {
    let text = error.to_string().to_lowercase();
    text.contains("out of memory") || text.contains("out_of_memory")
}

/// A size with one decimal.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 30))
}

/// The beginning of a text, for an error message.
pub(super) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_is_told_from_other_failures() {
        let failed = |text: &str| ModelError::forward("batch")(candle_core::Error::Cuda(text.into()));
        let full = failed("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        assert!(full.is_out_of_memory());
        assert!(matches!(full.of_one_row(7), ModelError::OutOfMemory { tokens: 7, .. }));
        let other = failed("DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access\")");
        assert!(!other.is_out_of_memory());
        assert!(matches!(other.of_one_row(7), ModelError::Forward { .. }));
    }
}
