//! A model's own tokenizer: `tokenizer.json`, with what `tokenizer_config.json` asks for.

mod class;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::Value;
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::{AddedToken, Encoding};

use self::class::Class;
use super::chat::ChatTemplate;
use super::error::{ModelError, excerpt};
use super::folder::{read, read_json_if_there};
use crate::digest::{Digest, Hasher};

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

/// Special tokens that a tokenizer adds to a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Special {
    pub before: Vec<String>,
    pub after: Vec<String>,
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
    /// `model_type` of the model.
    pub architecture: &'a str,
}

impl Tokenizer {
    /// Reads a folder's tokenizer for a model of some `model_type`; texts may have up to `limit` tokens.
    ///
    /// # Errors
    /// A missing or damaged file, a class that cannot be built here, and special tokens that the vocabulary does not have.
    pub fn open(folder: &Path, architecture: &str, limit: usize) -> Result<Self, ModelError> {
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
            architecture,
        };
        Self::build(parts, folder, limit)
    }

    /// The same from what the files hold.
    pub(super) fn build(parts: Parts<'_>, folder: &Path, limit: usize) -> Result<Self, ModelError> {
        let Parts { path, json, config_path, config, tokens, architecture } = parts;
        let mut inner = parse(path, json)?;
        // Cutting and padding that were saved with the tokenizer are a caller's choice, not the model's.
        inner.with_truncation(None).map_err(|source| ModelError::Tokenizer { path: path.to_owned(), source })?;
        inner.with_padding(None);
        let class = config.get("tokenizer_class").and_then(Value::as_str);
        let Some(class) = Class::of(architecture, class, contains(json, b"\"ByteLevel\"")) else {
            return Err(unsupported(config_path, class, class::NOT_READ));
        };
        let policy = Policy { class, config, path: config_path, tokens };
        policy.apply(&mut inner)?;
        let mut hasher = Hasher::new("tokenizer/1")
            .field("tokenizer.json", json)
            .json("tokenizer_config.json", &policy.config)
            .json("special_tokens_map.json", &policy.tokens);
        let chat = ChatTemplate::read(folder, config_path, &policy.config, policy.special())?;
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

    /// The special tokens around a text, whatever it is.
    ///
    /// # Errors
    /// A tokenizer that cannot read a letter.
    pub fn special(&self) -> Result<Special, ModelError> {
        let encoding = self.encode("a")?;
        let mask = encoding.get_special_tokens_mask();
        let is_text = |mask: &u32| *mask == 0;
        let (first, last) = (mask.iter().position(is_text), mask.iter().rposition(is_text));
        let tokens = encoding.get_tokens();
        Ok(match (first, last) {
            (Some(first), Some(last)) => Special { before: tokens[..first].to_vec(), after: tokens[last + 1..].to_vec() },
            _ => Special { before: tokens.to_vec(), after: Vec::new() },
        })
    }

    fn special_tokens(&self) -> usize {
        use tokenizers::PostProcessor;
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
    }
}

/// Whether some bytes stand among others.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn unsupported(path: &Path, class: Option<&str>, reason: &'static str) -> ModelError {
    let (path, found) = (path.to_owned(), excerpt(class.unwrap_or("missing")));
    ModelError::Unsupported { path, key: "tokenizer_class".to_owned(), found, reason }
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
    class: Class,
    config: Value,
    path: &'a Path,
    /// `special_tokens_map.json`, which older folders have.
    tokens: Option<Value>,
}

impl Policy<'_> {
    fn apply(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<(), ModelError> {
        let built = self.class.build(tokenizer, &self.config, self.token("unk_token"));
        if !built.map_err(|source| self.wrong(source))? {
            return Err(unsupported(self.path, self.named(), class::NOT_MADE_OF));
        }
        self.add_special_tokens(tokenizer)?;
        if let Some((begin, end)) = self.class.around() {
            return self.set_post_processor(tokenizer, Some(begin), Some(end));
        }
        let Some((begin, always)) = self.class.flags(self.named().unwrap_or_default()) else { return Ok(()) };
        let flag = |key: &str| self.config.get(key).and_then(Value::as_bool);
        let flags = (flag("add_bos_token"), flag("add_eos_token"));
        if always || flags != (None, None) || tokenizer.get_post_processor().is_none() {
            let begin = flags.0.unwrap_or(begin).then_some("bos_token");
            let end = flags.1.unwrap_or(false).then_some("eos_token");
            self.set_post_processor(tokenizer, begin, end)?;
        }
        Ok(())
    }

    fn named(&self) -> Option<&str> {
        self.config.get("tokenizer_class").and_then(Value::as_str)
    }

    fn wrong(&self, source: tokenizers::Error) -> ModelError {
        ModelError::Tokenizer { path: self.path.to_owned(), source }
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
        tokenizer.add_special_tokens(missing).map(|_| ()).map_err(|source| self.wrong(source))
    }

    /// Puts the tokens of these keys around every text; one that is not named is left out.
    fn set_post_processor(
        &self,
        tokenizer: &mut tokenizers::Tokenizer,
        begin: Option<&'static str>,
        end: Option<&'static str>,
    ) -> Result<(), ModelError> {
        let find = |key: &'static str| -> Result<Option<(&str, u32)>, ModelError> {
            let Some(token) = self.token(key) else { return Ok(None) };
            let id = tokenizer.token_to_id(token).ok_or_else(|| ModelError::NoSuchToken {
                path: self.path.to_owned(),
                key,
                token: token.to_owned(),
            })?;
            Ok(Some((token, id)))
        };
        let (begin, end) = (begin.map(find).transpose()?.flatten(), end.map(find).transpose()?.flatten());
        if let (Class::Roberta, Some(begin), Some(end)) = (self.class, begin, end) {
            let prefix = self.config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false);
            let processor = class::roberta(begin, end, prefix).map_err(|source| self.wrong(source))?;
            tokenizer.with_post_processor(Some(processor));
            return Ok(());
        }
        let token = |(token, _): (&str, u32)| token.to_owned();
        let single = begin.map(token).into_iter().chain(["$A".to_owned()]).chain(end.map(token));
        let special = |(token, id): (&str, u32)| SpecialToken::new(token.to_owned(), vec![id], vec![token.to_owned()]);
        let special = begin.into_iter().chain(end).map(special).collect::<Result<Vec<_>, _>>();
        let processor = TemplateProcessing::builder()
            .try_single(single.collect::<Vec<_>>())
            .map_err(|what| self.wrong(what.into()))?
            .special_tokens(special.map_err(|source| self.wrong(source))?)
            .build()
            .map_err(|error| self.wrong(error.to_string().into()))?;
        tokenizer.with_post_processor(Some(processor));
        Ok(())
    }

    /// The special tokens by their keys.
    fn special(&self) -> BTreeMap<&'static str, String> {
        SPECIAL_KEYS.iter().filter_map(|key| Some((*key, self.token(key)?.to_owned()))).collect()
    }

    /// The text of a special token: a plain string, or an object with `content`; else the class's own.
    fn token(&self, key: &str) -> Option<&str> {
        match self.config.get(key).or_else(|| self.tokens.as_ref()?.get(key)) {
            None => self.class.token(key),
            Some(value) => value.as_str().or_else(|| value.get("content").and_then(Value::as_str)),
        }
    }
}
