//! The tokenizer of a GGUF file, written as the `tokenizer.json` that gives the ids of llama.cpp.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value as Meta;
use serde_json::{Map, Value, json};

use super::Gguf;
use crate::model::error::{ModelError, excerpt};
use crate::model::tokenizer::{Parts, Tokenizer};

/// How byte-level tokenizers split texts first, by the name that a file gives it. `None` is GPT-2's own way.
const SPLITS: [(&str, Option<&str>); 6] = [
    ("gpt-2", None),
    ("default", None),
    ("qwen2", Some(QWEN2)),
    ("deepseek-r1-qwen", Some(QWEN2)),
    ("llama-bpe", Some(LLAMA3)),
    ("llama3", Some(LLAMA3)),
];

const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Kinds of token, as a file numbers them.
mod kind {
    pub const UNKNOWN: u64 = 2;
    pub const CONTROL: u64 = 3;
    pub const USER_DEFINED: u64 = 4;
}

impl Gguf {
    /// The file's tokenizer; texts may have up to `limit` tokens.
    ///
    /// # Errors
    /// A kind of tokenizer that is not read, and lists that are missing or do not fit together.
    pub fn tokenizer(&self, limit: usize) -> Result<Tokenizer, ModelError> {
        let vocabulary = self.vocabulary()?;
        let (json, begins) = match self.text("tokenizer.ggml.model") {
            Some("llama") => (self.pieces(&vocabulary)?, true),
            Some("gpt2") => self.byte_level(&vocabulary)?,
            other => return Err(self.unread("tokenizer.ggml.model", other, "supported are llama and gpt2")),
        };
        let token = |key: &str| {
            let id = self.meta(&format!("tokenizer.ggml.{key}_token_id")).and_then(|id| id.to_u64().ok());
            id.and_then(|id| vocabulary.tokens.get(usize::try_from(id).ok()?).copied())
        };
        let flag = |key: &str| self.meta(&format!("tokenizer.ggml.{key}")).and_then(|flag| flag.to_bool().ok());
        let config = json!({
            "tokenizer_class": "TokenizersBackend",
            "bos_token": token("bos"),
            "eos_token": token("eos"),
            "add_bos_token": flag("add_bos_token").unwrap_or(begins),
            "add_eos_token": flag("add_eos_token").unwrap_or(false),
            "chat_template": self.text("tokenizer.chat_template"),
        });
        let json = serde_json::to_vec(&json).map_err(|source| ModelError::Json { path: self.path().to_owned(), source })?;
        let parts = Parts {
            path: self.path(),
            json: &json,
            config_path: self.path(),
            config,
            tokens: None,
            architecture: self.architecture,
        };
        Tokenizer::build(parts, self.path(), limit)
    }

    fn vocabulary(&self) -> Result<Vocabulary<'_>, ModelError> {
        let tokens = self.list("tokenizer.ggml.tokens")?.iter().map(|token| token.to_string().map(String::as_str));
        let tokens = tokens.collect::<Result<Vec<&str>, _>>().map_err(|_| self.wrong("tokenizer.ggml.tokens", "texts"))?;
        let kinds = match self.list("tokenizer.ggml.token_type") {
            Ok(kinds) => kinds.iter().map(|kind| kind.to_i32().map_or(0, |kind| u64::try_from(kind).unwrap_or(0))).collect(),
            Err(_) => vec![1; tokens.len()],
        };
        if kinds.len() != tokens.len() {
            return Err(self.wrong("tokenizer.ggml.token_type", "one kind for each token"));
        }
        Ok(Vocabulary { tokens, kinds })
    }

    /// Pieces with scores, as sentencepiece has them: the pair whose piece has the highest score is joined first.
    fn pieces(&self, vocabulary: &Vocabulary<'_>) -> Result<Value, ModelError> {
        let scores = self.list("tokenizer.ggml.scores")?.iter().map(Meta::to_f32);
        let scores = scores.collect::<Result<Vec<f32>, _>>().map_err(|_| self.wrong("tokenizer.ggml.scores", "numbers"))?;
        if scores.len() != vocabulary.tokens.len() {
            return Err(self.wrong("tokenizer.ggml.scores", "one score for each token"));
        }
        let unknown = vocabulary.kinds.iter().position(|kind| *kind == kind::UNKNOWN).map(|id| vocabulary.tokens[id]);
        let prefix = self.meta("tokenizer.ggml.add_space_prefix").and_then(|flag| flag.to_bool().ok()).unwrap_or(true);
        let blank = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let begin = json!({"type": "Prepend", "prepend": "▁"});
        let steps = if prefix { vec![begin, blank] } else { vec![blank] };
        Ok(json!({
            "version": "1.0",
            "added_tokens": vocabulary.added(),
            "normalizer": {"type": "Sequence", "normalizers": steps},
            "model": {
                "type": "BPE",
                "unk_token": unknown,
                "fuse_unk": true,
                "byte_fallback": true,
                "vocab": vocabulary.ids(),
                "merges": merges(vocabulary, &scores),
            },
        }))
    }

    /// Byte-level pairs, and whether texts get a token at their beginning where the file does not say.
    fn byte_level(&self, vocabulary: &Vocabulary<'_>) -> Result<(Value, bool), ModelError> {
        let name = self.text("tokenizer.ggml.pre").unwrap_or("default");
        let Some((_, split)) = SPLITS.iter().find(|(known, _)| *known == name) else {
            let supported = "supported are default, gpt-2, qwen2, deepseek-r1-qwen, llama-bpe and llama3";
            return Err(self.unread("tokenizer.ggml.pre", Some(name), supported));
        };
        let merges = self.list("tokenizer.ggml.merges")?.iter().map(|merge| {
            merge
                .to_string()?
                .split_once(' ')
                .ok_or_else(|| candle_core::Error::Msg("two tokens with a blank between them".into()))
        });
        let merges = merges.collect::<Result<Vec<(&str, &str)>, _>>();
        let merges = merges.map_err(|_| self.wrong("tokenizer.ggml.merges", "pairs of tokens with a blank between them"))?;
        let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        let before = match split {
            None => bytes(true),
            Some(split) => {
                let split = json!({"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": false});
                json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]})
            }
        };
        let llama3 = *split == Some(LLAMA3);
        let json = json!({
            "version": "1.0",
            "added_tokens": vocabulary.added(),
            "pre_tokenizer": before,
            "decoder": bytes(true),
            // Llama 3 takes a word that is a token as it is.
            "model": {"type": "BPE", "vocab": vocabulary.ids(), "merges": merges, "ignore_merges": llama3},
        });
        Ok((json, llama3))
    }

    fn list(&self, key: &str) -> Result<&Vec<Meta>, ModelError> {
        self.meta(key).and_then(|list| list.to_vec().ok()).ok_or_else(|| self.wrong(key, "a list"))
    }

    fn wrong(&self, key: &str, wanted: &'static str) -> ModelError {
        let found = if self.meta(key).is_some() { "something else" } else { "missing" };
        ModelError::Config { path: self.path().to_owned(), key: key.to_owned(), found: found.to_owned(), wanted }
    }

    fn unread(&self, key: &str, found: Option<&str>, reason: &'static str) -> ModelError {
        let found = found.map_or_else(|| "missing".to_owned(), excerpt);
        ModelError::Unsupported { path: self.path().to_owned(), key: key.to_owned(), found, reason }
    }
}

/// A file's tokens by id.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    kinds: Vec<u64>,
}

impl Vocabulary<'_> {
    fn ids(&self) -> Map<String, Value> {
        self.tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect()
    }

    /// Tokens that are found as wholes in a text.
    fn added(&self) -> Vec<Value> {
        let found = |(id, (token, kind)): (usize, (&&str, &u64))| {
            let special = matches!(*kind, kind::CONTROL | kind::UNKNOWN);
            (special || *kind == kind::USER_DEFINED).then(|| {
                json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": special})
            })
        };
        self.tokens.iter().zip(&self.kinds).enumerate().filter_map(found).collect()
    }
}

/// Every way to join two pieces into a third, those with the highest score first: what sentencepiece does, as pairs.
///
/// Source: `generate_merges` of transformers' conversion of slow tokenizers.
fn merges(vocabulary: &Vocabulary<'_>, scores: &[f32]) -> Vec<(String, String)> {
    let ids: HashMap<&str, usize> = vocabulary.tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
    let mut ranked = Vec::new();
    for (token, score) in vocabulary.tokens.iter().zip(scores) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(first), Some(second)) = (ids.get(left), ids.get(right)) {
                ranked.push((*score, left, right, (*first, *second)));
            }
        }
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.3.cmp(&b.3)));
    ranked.into_iter().map(|(_, left, right, _)| (left.to_owned(), right.to_owned())).collect()
}
