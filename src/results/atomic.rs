//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::ResultsError;
use crate::digest::Digest;

/// A complete file on disk that does not have its name yet.
pub(super) struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Lets `write` fill a temporary file in `staging`, a folder on the same file system as `target`.
    pub(super) fn new(
        staging: &Path,
        target: PathBuf,
        write: impl FnOnce(&mut File) -> Result<(), ResultsError>,
    ) -> Result<Self, ResultsError> {
        let mut file = temporary(staging)?;
        write(file.as_file_mut())?;
        Ok(Self { file, target })
    }

    /// The same for bytes at hand.
    pub(super) fn bytes(staging: &Path, target: PathBuf, bytes: &[u8]) -> Result<Self, ResultsError> {
        let path = target.clone();
        Self::new(staging, target, |file| file.write_all(bytes).map_err(ResultsError::io("write", path)))
    }

    /// SHA-256 of the file's bytes.
    pub(super) fn digest(&self) -> Result<Digest, ResultsError> {
        Digest::of_file(self.file.path()).map_err(ResultsError::io("read back", &self.target))
    }

    /// Gives the file its name, replacing what had it. Whole for every other process and after a kill; a power cut may tear it.
    pub(super) fn publish(self) -> Result<(), ResultsError> {
        let Self { file, target } = self;
        let persisted = file.persist(&target);
        persisted.map(|_| ()).map_err(|error| ResultsError::Io { action: "write", path: target, source: error.error })
    }
}

/// Gives several files of one folder their names, in this order, and outlasts a power cut: bytes first, then names.
pub(super) fn publish_durably(folder: &Path, files: Vec<Staged>) -> Result<(), ResultsError> {
    for staged in &files {
        staged.file.as_file().sync_all().map_err(ResultsError::io("sync", &staged.target))?;
    }
    files.into_iter().try_for_each(Staged::publish)?;
    sync_folder(folder)
}

/// Writes a file of any folder whole, replacing what had its name.
pub(crate) fn replace(target: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
    let folder = target.parent().unwrap_or(Path::new("."));
    Staged::bytes(folder, target.to_owned(), bytes)?.publish()
}

fn temporary(staging: &Path) -> Result<NamedTempFile, ResultsError> {
    fs::create_dir_all(staging).map_err(ResultsError::io("create", staging))?;
    let mut builder = tempfile::Builder::new();
    builder.suffix(".tmp");
    // Temporary files are private by default; results are files like any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(staging).map_err(ResultsError::io("create a file in", staging))
}

/// A rename is durable once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), ResultsError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(ResultsError::io("sync", folder))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), ResultsError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_when_published() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.json");
        fs::write(&target, "old").unwrap();
        let staged = Staged::bytes(&dir.path().join("partial"), target.clone(), b"new").unwrap();
        assert_eq!(staged.digest().unwrap(), Digest::of_bytes(b"new"));
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        publish_durably(dir.path(), vec![staged]).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.json");
        fs::write(&target, "old").unwrap();
        let failed = Staged::new(dir.path(), target.clone(), |_| Err(ResultsError::NotRecorded { cell: "x".into() }));
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
