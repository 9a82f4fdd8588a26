//! Pooling: which positions of a text make its vector, and what a sentence-transformers folder says about it.

use std::path::Path;

use serde_json::Value;

use super::error::{ModelError, excerpt};
use super::folder::{read_json, read_json_if_there};
use crate::spec::Pooling;

/// How the states of one text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// The last real token.
    Last,
    /// The mean over all real tokens, special ones included.
    Mean,
    /// The mean in which the n-th token counts n times. Source: `weightedmean` of sentence-transformers, as in SGPT
    /// (`arXiv` 2202.08904).
    WeightedMean,
    /// The largest value of each coordinate.
    Max,
    /// The first token.
    Cls,
}

impl From<Pool> for Pooling {
    fn from(pool: Pool) -> Self {
        match pool {
            Pool::Last => Self::Last,
            Pool::Mean => Self::Mean,
            Pool::WeightedMean => Self::WeightedMean,
            Pool::Max => Self::Max,
            Pool::Cls => Self::Cls,
        }
    }
}

/// One vector to read out of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tap {
    /// Hidden state, from 0 (the embeddings) to L.
    pub layer: usize,
    /// The final norm is applied to an inner layer's state.
    pub norm: bool,
    pub pool: Pool,
    /// The slot whose tokens are pooled, from 1, as each row has it; all tokens when absent.
    pub span: Option<usize>,
}

impl Tap {
    /// Whether the last token alone is read.
    pub(super) const fn reads_last(self) -> bool {
        matches!((self.pool, self.span), (Pool::Last, None))
    }

    /// Whether the first token alone is read.
    pub(super) const fn reads_first(self) -> bool {
        matches!((self.pool, self.span), (Pool::Cls, None))
    }
}

/// How a folder's vectors are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooled {
    pub pool: Pool,
    /// The folder itself scales vectors to unit length.
    pub normalize: bool,
}

/// `pooling_mode_*` keys of older files and the `pooling_mode` that replaced them.
const MODES: &[(&str, &str, Option<Pool>)] = &[
    ("pooling_mode_cls_token", "cls", Some(Pool::Cls)),
    ("pooling_mode_mean_tokens", "mean", Some(Pool::Mean)),
    ("pooling_mode_lasttoken", "lasttoken", Some(Pool::Last)),
    ("pooling_mode_max_tokens", "max", Some(Pool::Max)),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", None),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Some(Pool::WeightedMean)),
];

const SUPPORTED_MODES: &str = "cls, mean, max, weightedmean and lasttoken, one at a time";
const SUPPORTED_MODULES: &str = "Transformer, Pooling and Normalize";

/// Settings of sentence-transformers that change vectors and that nothing here follows: file, key, and what to do instead.
const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "sentence_bert_config.json",
        "do_lower_case",
        "texts are read as they are; lower-case them in the dataset, and name the pooling instead of `own`",
    ),
    (
        "config_sentence_transformers.json",
        "default_prompt_name",
        "write the prompt as a template in the spec, and name the pooling instead of `own`",
    ),
];

/// The same for the file of the pooling.
const WITHOUT_PROMPT: &str =
    "all tokens are pooled, those of the template too; if that is as wanted, name the pooling instead of `own`";

impl Pooled {
    /// Reads `modules.json` and the pooling it names. A folder without it pools the last token of a causal model and
    /// the mean of any other, as sentence-transformers does.
    pub(super) fn read(folder: &Path, causal: bool) -> Result<Self, ModelError> {
        for (file, key, reason) in SETTINGS {
            let path = folder.join(file);
            let json = read_json_if_there(&path)?.unwrap_or(Value::Null);
            let value = json.get(key).filter(|value| !value.is_null() && **value != false);
            value.map_or(Ok(()), |value| Err(unsupported(&path, key, value, reason)))?;
        }
        let path = folder.join("modules.json");
        let mut own = Self { pool: if causal { Pool::Last } else { Pool::Mean }, normalize: false };
        let Some(modules) = read_json_if_there(&path)? else { return Ok(own) };
        let unknown = |what: String| ModelError::Pooling { path: path.clone(), what, supported: SUPPORTED_MODULES };
        let modules = modules.as_array().ok_or_else(|| unknown("a file that is not a list of modules".to_owned()))?;
        for module in modules {
            let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" => {}
                "Normalize" => own.normalize = true,
                "Pooling" => {
                    let place = module.get("path").and_then(Value::as_str).unwrap_or_default();
                    own.pool = pooling(&folder.join(place).join("config.json"))?;
                }
                _ => return Err(unknown(format!("the module `{kind}`"))),
            }
        }
        Ok(own)
    }
}

fn pooling(path: &Path) -> Result<Pool, ModelError> {
    let json = read_json(path)?;
    if let Some(value) = json.get("include_prompt").filter(|value| **value != true) {
        return Err(unsupported(path, "include_prompt", value, WITHOUT_PROMPT));
    }
    let mode = json.get("pooling_mode");
    let named: Vec<&str> = match mode {
        Some(Value::String(mode)) => vec![mode],
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
        _ => {
            let on = |key: &str| json.get(key).and_then(Value::as_bool) == Some(true);
            MODES.iter().filter(|(key, ..)| on(key)).map(|(_, mode, _)| *mode).collect()
        }
    };
    let pool = match named[..] {
        [mode] => MODES.iter().find(|(_, name, _)| *name == mode).and_then(|(.., pool)| *pool),
        _ => None,
    };
    pool.ok_or_else(|| ModelError::Pooling {
        path: path.to_owned(),
        what: format!("the pooling mode `{}`", if named.is_empty() { "(none)".to_owned() } else { named.join("+") }),
        supported: SUPPORTED_MODES,
    })
}

fn unsupported(path: &Path, key: &str, found: &Value, reason: &'static str) -> ModelError {
    let found = excerpt(&found.to_string());
    ModelError::Unsupported { path: path.to_owned(), key: key.to_owned(), found, reason }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn own(modules: &str, pooling: &str) -> Result<Pooled, ModelError> {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("1_Pooling")).expect("folder");
        fs::write(folder.path().join("modules.json"), modules).expect("write");
        fs::write(folder.path().join("1_Pooling/config.json"), pooling).expect("write");
        Pooled::read(folder.path(), false)
    }

    const MODULES: &str = r#"[{"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]"#;

    #[test]
    fn both_spellings_of_a_mode_are_read() {
        let cls = Pooled { pool: Pool::Cls, normalize: false };
        assert_eq!(own(MODULES, r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#).expect("cls"), cls);
        assert_eq!(own(MODULES, r#"{"pooling_mode": "cls"}"#).expect("cls"), cls);
        let weighted = Pooled { pool: Pool::WeightedMean, normalize: false };
        assert_eq!(own(MODULES, r#"{"pooling_mode_weightedmean_tokens": true}"#).expect("weighted mean"), weighted);
        let normalized = MODULES.replace(']', r#", {"type": "sentence_transformers.models.Normalize", "path": ""}]"#);
        let unit = Pooled { pool: Pool::Last, normalize: true };
        assert_eq!(own(&normalized, r#"{"pooling_mode": "lasttoken"}"#).expect("unit"), unit);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let two = own(MODULES, r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#);
        assert!(two.expect_err("two modes").to_string().contains("`cls+mean`"));
        let root = own(MODULES, r#"{"pooling_mode": "mean_sqrt_len_tokens"}"#).expect_err("no such mode");
        assert!(root.to_string().contains("`mean_sqrt_len_tokens`"));
        assert!(own(MODULES, "{}").expect_err("no mode").to_string().contains("(none)"));
        let dense = MODULES.replace("Pooling\"", "Dense\"");
        assert!(own(&dense, "{}").expect_err("dense").to_string().contains("Dense"));
    }

    #[test]
    fn settings_that_are_not_followed_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let refused = |file: &str, text: &str| {
            fs::write(folder.path().join(file), text).expect("write");
            let error = Pooled::read(folder.path(), false).err().map(|error| error.to_string());
            fs::remove_file(folder.path().join(file)).expect("remove");
            error
        };
        assert_eq!(refused("sentence_bert_config.json", r#"{"do_lower_case": false}"#), None);
        assert_eq!(refused("config_sentence_transformers.json", r#"{"default_prompt_name": null}"#), None);
        let error = refused("sentence_bert_config.json", r#"{"do_lower_case": true}"#).expect("lower case");
        assert!(error.contains("`do_lower_case` = true is not supported yet; texts are read as they are"), "{error}");
        let error = refused("config_sentence_transformers.json", r#"{"default_prompt_name": "query"}"#).expect("a prompt");
        assert!(error.contains("`default_prompt_name` = \"query\"") && error.contains("as a template"), "{error}");
        assert!(own(MODULES, r#"{"pooling_mode": "cls", "include_prompt": true}"#).is_ok());
        let error = own(MODULES, r#"{"pooling_mode": "cls", "include_prompt": false}"#).expect_err("without the prompt");
        assert!(error.to_string().contains("`include_prompt` = false"), "{error}");
    }

    #[test]
    fn a_folder_that_says_nothing_pools_by_its_kind() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(Pooled::read(folder.path(), true).expect("causal").pool, Pool::Last);
        assert_eq!(Pooled::read(folder.path(), false).expect("encoder").pool, Pool::Mean);
    }
}
