//! A model's own tokenizer: `tokenizer.json`, with the special tokens that `tokenizer_config.json` asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::Value;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::{AddedToken, Encoding};

use super::chat::ChatTemplate;
use super::error::{ModelError, excerpt};
use super::folder::{read, read_json_if_there};
use crate::digest::{Digest, Hasher};

/// Classes whose special tokens follow `add_bos_token` and `add_eos_token` where either is set, or where tokenizer.json has
/// no post-processor. A flag that is not set is then false, but `add_bos_token` of Llama's own classes is true.
///
/// Where neither is so, and for other classes, tokenizer.json is taken at its word.
const FLAGGED_CLASSES: &[&str] =
    &["LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "TokenizersBackend"];

const SPECIAL_KEYS: &[&str] = &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Turns rendered texts into token ids exactly as transformers does.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    digest: Digest,
    limit: usize,
    folder: PathBuf,
    chat: Option<ChatTemplate>,
}

/// What a tokenizer is made of.
pub(super) struct Parts<'a> {
    /// Where the first of these comes from.
    pub path: &'a Path,
    /// `tokenizer.json`
    pub json: &'a [u8],
    pub config_path: &'a Path,
    /// `tokenizer_config.json`
    pub config: Value,
    /// `special_tokens_map.json`, which older folders have.
    pub tokens: Option<Value>,
}

impl Tokenizer {
    /// Reads a folder's tokenizer; texts may have up to `limit` tokens.
    ///
    /// # Errors
    /// A missing or damaged file, and special tokens that the vocabulary does not have.
    pub fn open(folder: &Path, limit: usize) -> Result<Self, ModelError> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            return Err(ModelError::NoTokenizer { folder: folder.to_owned() });
        }
        let config_path = folder.join("tokenizer_config.json");
        let parts = Parts {
            path: &path,
            json: &read(&path)?,
            config: read_json_if_there(&config_path)?.unwrap_or(Value::Null),
            config_path: &config_path,
            tokens: read_json_if_there(&folder.join("special_tokens_map.json"))?,
        };
        Self::build(parts, folder, limit)
    }

    /// The same from what the files hold.
    pub(super) fn build(parts: Parts<'_>, folder: &Path, limit: usize) -> Result<Self, ModelError> {
        let Parts { path, json, config_path, config, tokens } = parts;
        let mut inner = parse(path, json)?;
        // Cutting and padding that were saved with the tokenizer are a caller's choice, not the model's.
        inner.with_truncation(None).map_err(|source| ModelError::Tokenizer { path: path.to_owned(), source })?;
        inner.with_padding(None);
        let policy = Policy { config, path: config_path, tokens };
        policy.apply(&mut inner)?;
        let mut hasher = Hasher::new("tokenizer/1")
            .field("tokenizer.json", json)
            .json("tokenizer_config.json", &policy.config)
            .json("special_tokens_map.json", &policy.tokens);
        let chat = ChatTemplate::read(folder, config_path, &policy.config, policy.named())?;
        if let Some(template) = chat.as_ref().and_then(ChatTemplate::file) {
            hasher = hasher.field("chat template", template);
        }
        Ok(Self { inner, digest: hasher.finish(), limit, folder: folder.to_owned(), chat })
    }

    /// Digest of everything that decides about token ids.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Most tokens of one text.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Tokenises a whole text, with special tokens; offsets are bytes.
    pub(super) fn encode(&self, text: &str) -> Result<Encoding, ModelError> {
        self.inner.encode(text, true).map_err(failed(text))
    }

    /// The text of one token; as the vocabulary writes it where that is no text by itself.
    pub fn piece(&self, id: u32) -> String {
        let text = self.inner.decode(&[id], false).ok().filter(|text| !text.is_empty() && !text.contains('\u{fffd}'));
        text.or_else(|| self.inner.id_to_token(id)).unwrap_or_else(|| format!("[{id}]"))
    }

    /// Tokenises a whole text that has its special tokens written out; offsets are bytes.
    pub(super) fn encode_plain(&self, text: &str) -> Result<Encoding, ModelError> {
        self.inner.encode(text, false).map_err(failed(text))
    }

    /// The model's chat format.
    pub(super) fn chat(&self) -> Result<&ChatTemplate, ModelError> {
        self.chat.as_ref().ok_or_else(|| ModelError::NoChatTemplate { folder: self.folder.clone() })
    }

    /// The ids of a text whose tokens are cut at the end so that they fit together with the special tokens, if it gets any, as
    /// transformers does with `truncation=True`; `None` if the special tokens alone do not fit.
    pub(super) fn encode_cut(&self, text: &str, with_special: bool) -> Result<Option<Encoding>, ModelError> {
        let mut plain = self.encode_plain(text)?;
        let special = if with_special { self.special_tokens() } else { 0 };
        if special > self.limit {
            return Ok(None);
        }
        plain.truncate(self.limit - special, 0, tokenizers::TruncationDirection::Right);
        self.inner.post_process(plain, None, with_special).map(Some).map_err(failed(text))
    }

    fn special_tokens(&self) -> usize {
        use tokenizers::PostProcessor;
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
    }
}

/// Some broken files make the tokenizers crate panic; they are errors like the others.
fn parse(path: &Path, bytes: &[u8]) -> Result<tokenizers::Tokenizer, ModelError> {
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|source| ModelError::Json { path: path.to_owned(), source })?;
    let parsed = std::panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(bytes));
    let parsed = parsed.unwrap_or_else(|_| Err("a part of it has an unknown form".into()));
    parsed.map_err(|source| ModelError::Tokenizer { path: path.to_owned(), source })
}

fn failed(text: &str) -> impl FnOnce(tokenizers::Error) -> ModelError {
    let text = excerpt(text);
    move |source| ModelError::Tokenize { text, source }
}

/// What stands beside tokenizer.json.
struct Policy<'a> {
    config: Value,
    path: &'a Path,
    /// `special_tokens_map.json`, which older folders have.
    tokens: Option<Value>,
}

impl Policy<'_> {
    fn apply(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<(), ModelError> {
        self.add_special_tokens(tokenizer)?;
        self.set_bert_normalizer(tokenizer)?;
        let class = self.config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
        let flag = |key: &str| self.config.get(key).and_then(Value::as_bool);
        let flags = (flag("add_bos_token"), flag("add_eos_token"));
        let flagged = FLAGGED_CLASSES.contains(&class);
        let llama = flagged && class != "TokenizersBackend";
        let bare = tokenizer.get_post_processor().is_none();
        if flagged && (flags != (None, None) || bare) {
            let begin = flags.0.unwrap_or(llama);
            let end = flags.1.unwrap_or(false);
            self.set_post_processor(tokenizer, begin, end)?;
        }
        Ok(())
    }

    /// Marks tokens that the configuration names as special, so that they are found as wholes in a text.
    fn add_special_tokens(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<(), ModelError> {
        let known = tokenizer.get_added_tokens_decoder();
        let mut missing: Vec<AddedToken> = Vec::new();
        for token in SPECIAL_KEYS.iter().filter_map(|key| self.token(key)) {
            let marked = known.values().any(|added| added.content == token);
            if !marked && tokenizer.token_to_id(token).is_some() {
                missing.push(AddedToken::from(token, true).normalized(false));
            }
        }
        tokenizer
            .add_special_tokens(missing)
            .map(|_| ())
            .map_err(|source| ModelError::Tokenizer { path: self.path.to_owned(), source })
    }

    /// BERT's classes take lower-casing, accents and Chinese characters from the configuration.
    fn set_bert_normalizer(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<(), ModelError> {
        let class = self.config.get("tokenizer_class").and_then(Value::as_str);
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = tokenizer.get_normalizer() else { return Ok(()) };
        if !matches!(class, Some("BertTokenizer" | "BertTokenizerFast")) {
            return Ok(());
        }
        let flag = |key: &str| self.config.get(key).and_then(Value::as_bool);
        let mut normalizer = *normalizer;
        normalizer.lowercase = flag("do_lower_case").unwrap_or(normalizer.lowercase);
        normalizer.handle_chinese_chars = flag("tokenize_chinese_chars").unwrap_or(normalizer.handle_chinese_chars);
        normalizer.strip_accents = flag("strip_accents").or(normalizer.strip_accents);
        tokenizer
            .with_normalizer(Some(normalizer))
            .map(|_| ())
            .map_err(|source| ModelError::Tokenizer { path: self.path.to_owned(), source })
    }

    fn set_post_processor(&self, tokenizer: &mut tokenizers::Tokenizer, begin: bool, end: bool) -> Result<(), ModelError> {
        let mut single = Vec::new();
        let mut special = Vec::new();
        let mut add = |key: &'static str, single: &mut Vec<String>| -> Result<(), ModelError> {
            let Some(token) = self.token(key) else { return Ok(()) };
            let id = tokenizer.token_to_id(token).ok_or_else(|| ModelError::NoSuchToken {
                path: self.path.to_owned(),
                key,
                token: token.to_owned(),
            })?;
            single.push(token.to_owned());
            special.push(
                SpecialToken::new(token.to_owned(), vec![id], vec![token.to_owned()])
                    .map_err(|source| ModelError::Tokenizer { path: self.path.to_owned(), source })?,
            );
            Ok(())
        };
        if begin {
            add("bos_token", &mut single)?;
        }
        single.push("$A".to_owned());
        if end {
            add("eos_token", &mut single)?;
        }
        let wrong = |what: String| ModelError::Tokenizer { path: self.path.to_owned(), source: what.into() };
        let processor = TemplateProcessing::builder()
            .try_single(single)
            .map_err(&wrong)?
            .special_tokens(special)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        tokenizer.with_post_processor(Some(processor));
        Ok(())
    }

    /// The special tokens by their keys.
    fn named(&self) -> BTreeMap<&'static str, String> {
        SPECIAL_KEYS.iter().filter_map(|key| Some((*key, self.token(key)?.to_owned()))).collect()
    }

    /// The text of a special token: a plain string, or an object with `content`.
    fn token(&self, key: &str) -> Option<&str> {
        let value = match self.config.get(key) {
            Some(value) => value,
            None => self.tokens.as_ref()?.get(key)?,
        };
        value.as_str().or_else(|| value.get("content").and_then(Value::as_str))
    }
}
