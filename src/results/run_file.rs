//! `run.json`: where a run's numbers come from, and the digests of its tables.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{FORMAT, Provenance, ResultsError, partial};
use crate::digest::Digest;

/// What the file says of the tables beside it.
pub(super) struct Tables {
    pub format: u32,
    /// By file name.
    pub digests: BTreeMap<String, Digest>,
}

pub(super) const FILE: &str = "run.json";

/// The key under which the tables' digests lie, beside the fields of [`Provenance`].
const FILES: &str = "files";

/// The file's text.
pub(super) fn json(provenance: &Provenance, files: &BTreeMap<&'static str, Digest>) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(provenance)?;
    if let Value::Object(fields) = &mut value {
        fields.insert(FILES.to_owned(), serde_json::to_value(files)?);
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// Reads it back.
pub(super) fn read(dir: &Path) -> Result<(Provenance, Tables), ResultsError> {
    let path = dir.join(FILE);
    if !path.is_file() {
        return Err(match partial::count(dir) {
            0 => ResultsError::Missing { dir: dir.to_owned(), file: FILE },
            cells => ResultsError::Unfinished { dir: dir.to_owned(), cells },
        });
    }
    let text = std::fs::read_to_string(&path).map_err(ResultsError::io("read", &path))?;
    let invalid = |source| ResultsError::Json { path: path.clone(), source };
    let mut value: Value = serde_json::from_str(&text).map_err(invalid)?;
    // The version is looked at before anything else: another version may have other fields.
    let format =
        value.get("format").and_then(Value::as_u64).and_then(|format| (1..=FORMAT).find(|&known| u64::from(known) == format));
    let Some(format) = format else {
        let found = value.get("format").map_or_else(|| "none".to_owned(), Value::to_string);
        return Err(ResultsError::Version { path: path.clone(), found, newest: FORMAT });
    };
    let files = value.as_object_mut().and_then(|fields| fields.remove(FILES)).unwrap_or(Value::Null);
    let digests = serde_json::from_value(files).map_err(invalid)?;
    Ok((serde_json::from_value(value).map_err(invalid)?, Tables { format, digests }))
}
