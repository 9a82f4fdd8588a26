//! Pooling: which positions of a text make its vector, and what a sentence-transformers folder says about it.

use std::path::Path;

use serde_json::Value;

use super::error::ModelError;
use super::folder::{read_json, read_json_if_there};

/// How the states of one text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// The last real token.
    Last,
    /// The mean over all real tokens, special ones included.
    Mean,
    /// The first token.
    Cls,
}

/// One vector to read out of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tap {
    /// Hidden state, from 0 (the embeddings) to L.
    pub layer: usize,
    /// The final norm is applied to an inner layer's state.
    pub norm: bool,
    pub pool: Pool,
}

/// What a model folder itself says about how its vectors are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    pub pool: Pool,
    /// Vectors are scaled to unit length.
    pub normalize: bool,
}

/// `pooling_mode_*` keys of older files and the `pooling_mode` that replaced them.
const MODES: &[(&str, &str, Option<Pool>)] = &[
    ("pooling_mode_cls_token", "cls", Some(Pool::Cls)),
    ("pooling_mode_mean_tokens", "mean", Some(Pool::Mean)),
    ("pooling_mode_lasttoken", "lasttoken", Some(Pool::Last)),
    ("pooling_mode_max_tokens", "max", None),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", None),
    ("pooling_mode_weightedmean_tokens", "weightedmean", None),
];

const SUPPORTED_MODES: &str = "cls, mean and lasttoken, one at a time";
const SUPPORTED_MODULES: &str = "Transformer, Pooling and Normalize";

impl Own {
    /// Reads `modules.json` and the pooling it names. A folder without it pools the last token of a causal model and
    /// the mean of any other, as sentence-transformers does.
    pub(super) fn read(folder: &Path, causal: bool) -> Result<Self, ModelError> {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn own(modules: &str, pooling: &str) -> Result<Own, ModelError> {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("1_Pooling")).expect("folder");
        fs::write(folder.path().join("modules.json"), modules).expect("write");
        fs::write(folder.path().join("1_Pooling/config.json"), pooling).expect("write");
        Own::read(folder.path(), false)
    }

    const MODULES: &str = r#"[{"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]"#;

    #[test]
    fn both_spellings_of_a_mode_are_read() {
        let cls = Own { pool: Pool::Cls, normalize: false };
        assert_eq!(own(MODULES, r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#).expect("cls"), cls);
        assert_eq!(own(MODULES, r#"{"pooling_mode": "cls"}"#).expect("cls"), cls);
        let normalized = MODULES.replace(']', r#", {"type": "sentence_transformers.models.Normalize", "path": ""}]"#);
        let unit = Own { pool: Pool::Last, normalize: true };
        assert_eq!(own(&normalized, r#"{"pooling_mode": "lasttoken"}"#).expect("unit"), unit);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let two = own(MODULES, r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#);
        assert!(two.expect_err("two modes").to_string().contains("`cls+mean`"));
        assert!(own(MODULES, r#"{"pooling_mode": "max"}"#).expect_err("max").to_string().contains("`max`"));
        assert!(own(MODULES, "{}").expect_err("no mode").to_string().contains("(none)"));
        let dense = MODULES.replace("Pooling\"", "Dense\"");
        assert!(own(&dense, "{}").expect_err("dense").to_string().contains("Dense"));
    }

    #[test]
    fn a_folder_that_says_nothing_pools_by_its_kind() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(Own::read(folder.path(), true).expect("causal").pool, Pool::Last);
        assert_eq!(Own::read(folder.path(), false).expect("encoder").pool, Pool::Mean);
    }
}
