//! Digests of large files, remembered by path and by all that changes with a file.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Write as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::ModelError;
use crate::digest::Digest;

/// What a file's content does not change without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    /// When the content was written. Units: nanoseconds since 1970.
    modified: u64,
    #[cfg(unix)]
    inode: u64,
    /// When content, name or times were changed, which no program can set back. Units: seconds since 1970, nanoseconds.
    #[cfg(unix)]
    changed: (i64, i64),
}

/// A file as it was when it was digested.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    sha256: Digest,
}

/// A file to be digested.
struct Asked<'a> {
    path: &'a Path,
    key: String,
    stamp: Option<Stamp>,
}

impl Stamp {
    /// `None` on a file system that does not say when a file was written.
    fn of(metadata: &Metadata) -> Option<Self> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;

        let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            bytes: metadata.len(),
            modified: u64::try_from(since.as_nanos()).ok()?,
            #[cfg(unix)]
            inode: metadata.ino(),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl<'a> Asked<'a> {
    fn new(path: &'a Path) -> std::io::Result<Self> {
        let key = fs::canonicalize(path)?.display().to_string();
        Ok(Self { path, key, stamp: Stamp::of(&fs::metadata(path)?) })
    }

    fn digest(&self, remembered: &BTreeMap<String, Known>) -> std::io::Result<Digest> {
        match remembered.get(&self.key) {
            Some(known) if Some(known.stamp) == self.stamp => Ok(known.sha256),
            _ => Digest::of_file(self.path),
        }
    }
}

/// SHA-256 of files, in their order. Read from `<home>/digests.json` for a file that is as it was when it was noted there.
///
/// # Errors
/// A file that cannot be read. A `digests.json` that cannot be read or written only costs time.
pub(super) fn file_digests(paths: &[&Path], home: &Path) -> Result<Vec<Digest>, ModelError> {
    let memory = home.join("digests.json");
    let mut remembered = remembered(&memory);
    let found: Vec<(Digest, Asked<'_>)> = (paths.par_iter())
        .map(|&path| {
            let found = Asked::new(path).and_then(|asked| Ok((asked.digest(&remembered)?, asked)));
            found.map_err(|source| ModelError::Read { path: path.to_owned(), source })
        })
        .collect::<Result<_, _>>()?;
    let mut changed = false;
    for (sha256, asked) in &found {
        let Some(stamp) = asked.stamp else { continue };
        let before = remembered.insert(asked.key.clone(), Known { stamp, sha256: *sha256 });
        changed |= before.is_none_or(|known| known.stamp != stamp);
    }
    if changed {
        // The next run computes the digests again if this fails.
        let _unsaved = save(&memory, &remembered);
    }
    Ok(found.into_iter().map(|(sha256, _)| sha256).collect())
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

    fn digest(file: &Path, home: &Path) -> Digest {
        file_digests(&[file], home).expect("digest")[0]
    }

    #[test]
    fn a_changed_file_is_digested_again() {
        let home = tempfile::tempdir().expect("temporary folder");
        let file = home.path().join("weights");
        fs::write(&file, b"one").expect("write");
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"one"));
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"one"));
        fs::write(&file, b"three").expect("write");
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"three"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_the_same_size_and_time_is_told_apart() {
        let home = tempfile::tempdir().expect("temporary folder");
        let file = home.path().join("weights");
        fs::write(&file, b"one").expect("write");
        let written = fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("time");
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"one"));
        let other = home.path().join("other");
        fs::write(&other, b"two").expect("write");
        fs::File::options().write(true).open(&other).and_then(|file| file.set_modified(written)).expect("time");
        fs::rename(&other, &file).expect("rename");
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"two"));
    }

    #[test]
    fn all_files_of_one_call_are_remembered() {
        let home = tempfile::tempdir().expect("temporary folder");
        let files: Vec<_> = (0..20).map(|i| home.path().join(format!("shard-{i}"))).collect();
        files.iter().for_each(|file| fs::write(file, b"one").expect("write"));
        let paths: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
        file_digests(&paths, home.path()).expect("digests");
        assert_eq!(remembered(&home.path().join("digests.json")).len(), 20);
    }

    #[test]
    fn a_remembered_file_is_not_read_again() {
        let home = tempfile::tempdir().expect("temporary folder");
        let file = home.path().join("weights");
        fs::write(&file, b"one").expect("write");
        digest(&file, home.path());
        let memory = home.path().join("digests.json");
        let forged = fs::read_to_string(&memory)
            .expect("memory")
            .replace(&Digest::of_bytes(b"one").to_string(), &Digest::of_bytes(b"two").to_string());
        fs::write(&memory, forged).expect("write");
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"two"));
        fs::write(&memory, b"{ damaged").expect("write");
        assert_eq!(digest(&file, home.path()), Digest::of_bytes(b"one"));
    }
}
