//! Digests of large files, remembered by path, size and time of change.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::ModelError;
use crate::digest::Digest;

/// What was true of a file when it was digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    bytes: u64,
    /// Nanoseconds since 1970.
    changed: u64,
    sha256: Digest,
}

/// SHA-256 of a file. Read from `<home>/digests.json` when the file has the size and time of change noted there.
///
/// # Errors
/// A file that cannot be read. A `digests.json` that cannot be read or written only costs time.
pub fn file_digest(path: &Path, home: &Path) -> Result<Digest, ModelError> {
    let read_error = |source| ModelError::Read { path: path.to_owned(), source };
    let path_key = fs::canonicalize(path).map_err(read_error)?.display().to_string();
    let metadata = fs::metadata(path).map_err(read_error)?;
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed = changed.and_then(|since| u64::try_from(since.as_nanos()).ok());

    let memory = home.join("digests.json");
    if let Some(known) = remembered(&memory).get(&path_key)
        && known.bytes == metadata.len()
        && Some(known.changed) == changed
    {
        return Ok(known.sha256);
    }
    let sha256 = Digest::of_file(path).map_err(read_error)?;
    if let Some(changed) = changed {
        let mut all = remembered(&memory);
        all.insert(path_key, Known { bytes: metadata.len(), changed, sha256 });
        // The next run computes the digest again if this fails.
        let _unsaved = save(&memory, &all);
    }
    Ok(sha256)
}

fn remembered(memory: &Path) -> BTreeMap<String, Known> {
    fs::read(memory).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn save(memory: &Path, all: &BTreeMap<String, Known>) -> std::io::Result<()> {
    let folder = memory.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, all)?;
    file.flush()?;
    file.as_file().sync_all()?;
    file.persist(memory)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_digested_again() {
        let home = tempfile::tempdir().expect("temporary folder");
        let file = home.path().join("weights");
        fs::write(&file, b"one").expect("write");
        let one = file_digest(&file, home.path()).expect("digest");
        assert_eq!(one, Digest::of_bytes(b"one"));
        assert_eq!(file_digest(&file, home.path()).expect("remembered"), one);
        fs::write(&file, b"three").expect("write");
        assert_eq!(file_digest(&file, home.path()).expect("digest"), Digest::of_bytes(b"three"));
    }

    #[test]
    fn a_remembered_file_is_not_read_again() {
        let home = tempfile::tempdir().expect("temporary folder");
        let file = home.path().join("weights");
        fs::write(&file, b"one").expect("write");
        file_digest(&file, home.path()).expect("digest");
        let memory = home.path().join("digests.json");
        let forged = fs::read_to_string(&memory)
            .expect("memory")
            .replace(&Digest::of_bytes(b"one").to_string(), &Digest::of_bytes(b"two").to_string());
        fs::write(&memory, forged).expect("write");
        assert_eq!(file_digest(&file, home.path()).expect("remembered"), Digest::of_bytes(b"two"));
        fs::write(&memory, b"{ damaged").expect("write");
        assert_eq!(file_digest(&file, home.path()).expect("digest"), Digest::of_bytes(b"one"));
    }
}
