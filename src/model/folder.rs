//! A model folder in the Hugging Face layout: what its small files say.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::describe;
use super::description::Description;
use super::error::ModelError;
use super::pooling::{Pool, Pooled};
use crate::spec::Pooling;

/// A model folder whose configuration was read.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub description: Description,
    /// The fewest tokens that any of the folder's files allows.
    pub max_tokens: usize,
    /// What [`Pooling::Own`] means, where no files beside the weights say it.
    pub(super) own: Option<Pooled>,
}

impl Folder {
    /// Reads the configuration of a local folder.
    ///
    /// # Errors
    /// A folder or file that is missing or wrong.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        if !path.is_dir() {
            return Err(ModelError::NoFolder { path: path.to_owned() });
        }
        let file = path.join("config.json");
        if !file.is_file() {
            return Err(ModelError::NoConfig { folder: path.to_owned() });
        }
        let description = describe(&file, read_json(&file)?)?;
        let max_tokens = [
            limit(&path.join("tokenizer_config.json"), "model_max_length")?,
            limit(&path.join("sentence_bert_config.json"), "max_seq_length")?,
        ];
        let max_tokens = max_tokens.into_iter().flatten().fold(description.max_positions, usize::min);
        Ok(Self { path: path.to_owned(), description, max_tokens, own: None })
    }

    /// How vectors are made with a pooling that a spec asks for; the folder itself decides about [`Pooling::Own`].
    ///
    /// # Errors
    /// [`Pooling::Own`] of a folder whose files cannot be read or ask for what is not supported.
    pub fn pooling(&self, asked: Pooling) -> Result<Pooled, ModelError> {
        let pool = match asked {
            Pooling::Last => Pool::Last,
            Pooling::Mean => Pool::Mean,
            Pooling::WeightedMean => Pool::WeightedMean,
            Pooling::Max => Pool::Max,
            Pooling::Cls => Pool::Cls,
            Pooling::Own => {
                return self.own.map_or_else(|| Pooled::read(&self.path, self.description.attention.causal), Ok);
            }
        };
        Ok(Pooled { pool, normalize: false })
    }
}

/// No file beside the weights is larger. Units: bytes.
const LARGEST: u64 = 1 << 28;

/// A file's bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::Read { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > LARGEST {
        return Err(ModelError::TooLarge { path: path.to_owned(), bytes, most: LARGEST });
    }
    fs::read(path).map_err(failed)
}

/// A file's JSON.
pub(super) fn read_json(path: &Path) -> Result<Value, ModelError> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes).map_err(|source| ModelError::Json { path: path.to_owned(), source })
}

/// The JSON of a file that need not be there.
pub(super) fn read_json_if_there(path: &Path) -> Result<Option<Value>, ModelError> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

/// A whole number in a file that need not be there. Tokenizers write 1e30 where they have no limit.
fn limit(path: &Path, key: &str) -> Result<Option<usize>, ModelError> {
    let Some(json) = read_json_if_there(path)? else { return Ok(None) };
    let Some(value) = json.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let wrong = || ModelError::Config {
        path: path.to_owned(),
        key: key.to_owned(),
        found: value.to_string(),
        wanted: "a whole number of at least 1",
    };
    match value.as_u64() {
        Some(0) => Err(wrong()),
        Some(tokens) => Ok(usize::try_from(tokens).ok()),
        None if value.as_f64().is_some_and(|number| number >= 1e9) => Ok(None),
        None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentinel_is_no_limit() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("tokenizer_config.json");
        let limit_of = |text: &str| {
            fs::write(&file, text).expect("write");
            limit(&file, "model_max_length")
        };
        assert!(matches!(limit_of("{\"model_max_length\": 1000000000000000019884624838656}"), Ok(None)));
        assert!(matches!(limit_of("{\"model_max_length\": 512}"), Ok(Some(512))));
        assert!(matches!(limit_of("{}"), Ok(None)));
        assert!(limit_of("{\"model_max_length\": 0}").is_err());
        assert!(limit_of("{\"model_max_length\": \"many\"}").is_err());
    }
}
