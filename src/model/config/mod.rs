//! `config.json` -> [`Description`]: one small table per architecture.

mod bert;
mod decoder;
mod gemma;
mod layered;
mod rope;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::description::{Activation, Description};
use super::error::{ModelError, excerpt};

type Architecture = (&'static str, fn(&Config) -> Result<Description, ModelError>);

/// Every architecture by its `model_type`.
const ARCHITECTURES: &[Architecture] = &[
    ("bert", bert::bert),
    ("gemma", gemma::gemma),
    ("gemma2", gemma::gemma2),
    ("gemma3_text", gemma::gemma3),
    ("gpt2", layered::gpt2),
    ("gpt_neox", layered::gpt_neox),
    ("llama", decoder::llama),
    ("mistral", decoder::mistral),
    ("opt", layered::opt),
    ("phi3", decoder::phi3),
    ("qwen2", decoder::qwen2),
    ("qwen3", decoder::qwen3),
    ("roberta", bert::roberta),
    ("xlm-roberta", bert::roberta),
];

/// Keys of any architecture that ask for what none here does, and why they are refused.
const REFUSED: &[(&str, &str)] = &[
    ("quantization_config", "weights must not be quantized; give the model they were made from"),
    ("auto_map", "the model brings code of its own, which is never run"),
];

/// Reads a model folder's `config.json`.
///
/// # Errors
/// A file that cannot be read, a value that is missing or out of range, and what no architecture here can express.
pub fn describe(path: &Path, json: Value) -> Result<Description, ModelError> {
    let config = Config { path: path.to_owned(), json };
    let model_type = config.json.get("model_type").and_then(Value::as_str).unwrap_or("(none)");
    let Some((name, read)) = ARCHITECTURES.iter().find(|(name, _)| *name == model_type) else {
        let supported: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
        return Err(ModelError::UnknownArchitecture {
            path: config.path.clone(),
            found: model_type.to_owned(),
            supported: supported.join(", "),
        });
    };
    for (key, reason) in REFUSED {
        if config.at(key).is_some_and(|value| value.as_object().is_none_or(|table| !table.is_empty())) {
            return Err(config.unsupported(key, reason));
        }
    }
    Ok(Description { architecture: name, ..read(&config)? })
}

/// The parsed file, with typed access to its keys.
pub(super) struct Config {
    pub path: PathBuf,
    pub json: Value,
}

/// Larger sizes are mistakes; up to it, products of two sizes stay far from overflow.
const LARGEST_SIZE: u64 = 1 << 28;

impl Config {
    fn activation(&self, key: &str, default: Activation) -> Result<Activation, ModelError> {
        match self.text(key)? {
            None => Ok(default),
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Ok(Activation::GeluTanh),
            Some("relu") => Ok(Activation::Relu),
            Some(_) => Err(self.unsupported(key, "supported are silu, gelu, gelu_new, gelu_pytorch_tanh and relu")),
        }
    }

    pub(super) fn at(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        self.optional_size(key)?.ok_or_else(|| self.wrong(key, None, "a whole number of at least 1"))
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.at(key) else { return Ok(None) };
        value
            .as_u64()
            .filter(|size| (1..=LARGEST_SIZE).contains(size))
            .and_then(|size| usize::try_from(size).ok())
            .map(Some)
            .ok_or_else(|| self.wrong(key, Some(value), "a whole number from 1 to 268435456"))
    }

    /// A whole number that may be 0.
    fn count_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.at(key) {
            Some(zero) if zero == 0 => Ok(0),
            _ => Ok(self.optional_size(key)?.unwrap_or(default)),
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.at(key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.map(Some).ok_or_else(|| self.wrong(key, Some(value), "a number of at least 0"))
    }

    /// A positive number, from wherever `key` has its value.
    fn positive(&self, key: &str, value: Option<&Value>) -> Result<Option<f64>, ModelError> {
        let Some(value) = value else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        number.map(Some).ok_or_else(|| self.wrong(key, Some(value), "a positive number"))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, ModelError> {
        self.flag_or(key, false)
    }

    fn flag_or(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        let Some(value) = self.at(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, Some(value), "true or false"))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        let Some(value) = self.at(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(key, Some(value), "a text"))
    }

    /// Refuses keys that are set, as most are not; each with why.
    fn refuse(&self, flags: &[(&str, &'static str)]) -> Result<(), ModelError> {
        for (key, reason) in flags {
            if self.flag(key)? {
                return Err(self.unsupported(key, reason));
            }
        }
        Ok(())
    }

    /// `whole / part`, which must leave no rest.
    fn divide(&self, key: &str, whole: usize, wanted: &'static str, part: usize) -> Result<usize, ModelError> {
        if whole.is_multiple_of(part) {
            return Ok(whole / part);
        }
        Err(self.wrong(key, Some(&Value::from(whole)), wanted))
    }

    pub(super) fn wrong(&self, key: &str, found: Option<&Value>, wanted: &'static str) -> ModelError {
        let found = found.map_or_else(|| "missing".to_owned(), |value| excerpt(&value.to_string()));
        ModelError::Config { path: self.path.clone(), key: key.to_owned(), found, wanted }
    }

    pub(super) fn unsupported(&self, key: &str, reason: &'static str) -> ModelError {
        let found = self.at(key).map_or_else(|| "missing".to_owned(), |value| excerpt(&value.to_string()));
        ModelError::Unsupported { path: self.path.clone(), key: key.to_owned(), found, reason }
    }
}
