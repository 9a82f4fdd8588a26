//! Saves embeddings as they are computed, so that a killed process loses seconds of work.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use polars::error::PolarsError;
use serde_json::json;
use tempfile::NamedTempFile;

use super::part::Rows;
use super::{CacheError, Key, Shelf};

/// Version of the layout that `shelf.json` names.
const FORMAT: u32 = 1;
const TEMPORARY: (&str, &str) = (".part-", ".tmp");
/// A part is written in seconds: a temporary file of this age belongs to a process that is gone.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// When buffered embeddings are saved without being asked to.
#[derive(Clone, Copy, Debug)]
struct Limits {
    rows: usize,
    bytes: usize,
    age: Duration,
}

const LIMITS: Limits = Limits { rows: 1 << 16, bytes: 64 << 20, age: Duration::from_secs(15) };

/// Buffers embeddings of one shelf and saves them as parts, one width per part.
///
/// It saves at the end of a batch after 64 MiB, 65,536 rows or 15 seconds, and on drop as far as it can; [`Writer::flush`] tells of errors.
pub struct Writer {
    shelf: Shelf,
    /// By width.
    buffers: BTreeMap<usize, Rows>,
    rows: usize,
    bytes: usize,
    /// When this writer last saved, or began.
    saved: Instant,
    limits: Limits,
    ready: bool,
}

impl Writer {
    pub(super) fn new(shelf: Shelf) -> Self {
        let buffers = BTreeMap::new();
        Self { shelf, buffers, rows: 0, bytes: 0, saved: Instant::now(), limits: LIMITS, ready: false }
    }

    /// Takes one embedding of a text of so many tokens.
    ///
    /// # Errors
    /// A vector that is empty or not finite, which is not taken.
    pub fn push(&mut self, key: Key, tokens: u32, vector: &[f32]) -> Result<(), CacheError> {
        if vector.is_empty() {
            return Err(CacheError::Empty { key });
        }
        if let Some(at) = vector.iter().position(|value| !value.is_finite()) {
            return Err(CacheError::NotFinite { key, at, value: vector[at] });
        }
        let buffer = self.buffers.entry(vector.len()).or_insert_with(|| Rows { dim: vector.len(), ..Rows::default() });
        buffer.keys.push(key);
        buffer.tokens.push(tokens);
        buffer.values.extend_from_slice(vector);
        self.rows += 1;
        self.bytes += size_of_val(vector);
        Ok(())
    }

    /// Tells that a batch is complete. It is saved with those before it once they are many, large, or 15 seconds old; never a
    /// part of a batch, so that what an interrupted run has left to do is whole batches.
    ///
    /// # Errors
    /// Whatever saving gives.
    pub fn end_batch(&mut self) -> Result<(), CacheError> {
        let Limits { rows, bytes, age } = self.limits;
        if self.rows >= rows || self.bytes >= bytes || self.saved.elapsed() >= age { self.flush() } else { Ok(()) }
    }

    /// Saves everything taken so far; once it returns, a power cut does not lose it.
    ///
    /// # Errors
    /// A folder that cannot be made or a file that cannot be written. What was not saved stays in the buffer.
    pub fn flush(&mut self) -> Result<(), CacheError> {
        // Somebody may have pruned the folder since.
        let ready = self.ready && self.shelf.dir.is_dir();
        if !ready && !self.buffers.is_empty() {
            self.prepare()?;
            self.ready = true;
        }
        while let Some(entry) = self.buffers.first_entry() {
            save(&self.shelf, entry.get())?;
            entry.remove();
        }
        (self.rows, self.bytes, self.saved) = (0, 0, Instant::now());
        Ok(())
    }

    /// Makes the folder, says in it what the encoder is, and clears what killed processes left.
    fn prepare(&self) -> Result<(), CacheError> {
        let dir = &self.shelf.dir;
        let cannot = |source| CacheError::Write { path: dir.clone(), source };
        fs::create_dir_all(dir).map_err(cannot)?;
        let card = dir.join("shelf.json");
        if !card.exists() {
            let about = json!({ "format": FORMAT, "encoder": self.shelf.encoder, "about": self.shelf.about });
            let file = temporary(dir).map_err(cannot)?;
            serde_json::to_writer_pretty(file.as_file(), &about).map_err(|error| cannot(error.into()))?;
            file.as_file().sync_all().map_err(cannot)?;
            file.persist(&card).map_err(|error| CacheError::Write { path: card.clone(), source: error.error })?;
        }
        remove_leftovers(dir, LEFTOVER_AGE).map_err(cannot)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nobody is left to tell; who wants to know calls `flush`.
        drop(self.flush());
    }
}

/// Writes one part whole: under a temporary name, synced, renamed, and the folder synced.
fn save(shelf: &Shelf, rows: &Rows) -> Result<(), CacheError> {
    let dir = &shelf.dir;
    let cannot = |source| CacheError::Write { path: dir.clone(), source };
    let mut file = temporary(dir).map_err(cannot)?;
    rows.write(file.as_file_mut(), &shelf.encoder, &shelf.about).map_err(|error| match error {
        PolarsError::IO { error, .. } => cannot(io::Error::new(error.kind(), error.to_string())),
        source => CacheError::Encode { path: file.path().to_owned(), source },
    })?;
    file.as_file().sync_all().map_err(cannot)?;
    let (process, nanos) = (std::process::id(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
    // The time first, so that names sort by age; then what tells processes apart, and the threads of one.
    for turn in 0_u32.. {
        match file.persist_noclobber(dir.join(format!("part-{nanos:016x}-{process:08x}-{turn}.parquet"))) {
            Ok(_) => break,
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => file = taken.file,
            Err(error) => return Err(cannot(error.error)),
        }
    }
    sync_dir(dir).map_err(cannot)
}

fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // A cache may be shared: permissions as the umask has them, not the private ones of temporary files.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir)
}

/// A rename is on disk once its folder is.
#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Other systems order renames themselves and do not open folders as files.
#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

fn remove_leftovers(dir: &Path, age: Duration) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        let named = path.file_name().and_then(|name| name.to_str());
        let temporary = named.is_some_and(|name| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1));
        let old =
            || fs::metadata(&path).and_then(|data| data.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|it| it >= age));
        if temporary && old() {
            // Another process may be removing it too.
            drop(fs::remove_file(&path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::fixture::{key, shelf};

    #[test]
    fn it_saves_by_itself_when_rows_or_bytes_or_time_are_up() {
        let never = Limits { rows: usize::MAX, bytes: usize::MAX, age: Duration::MAX };
        for (limits, saved) in [
            (never, 0),
            (Limits { rows: 2, ..never }, 2),
            (Limits { bytes: 16, ..never }, 2),
            (Limits { age: Duration::ZERO, ..never }, 3),
        ] {
            let root = tempfile::tempdir().unwrap();
            let mut writer = shelf(root.path()).writer();
            writer.limits = limits;
            for i in 0..3 {
                writer.push(key(i), 1, &[1.0, 2.0]).unwrap();
                writer.end_batch().unwrap();
            }
            assert_eq!(shelf(root.path()).find(vec![key(0), key(1), key(2)]).unwrap().len(), saved, "{limits:?}");
            drop(writer);
            assert_eq!(shelf(root.path()).find(vec![key(0), key(1), key(2)]).unwrap().len(), 3);
        }
    }

    #[test]
    fn a_batch_is_saved_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = shelf(root.path()).writer();
        writer.limits = Limits { rows: 1, bytes: 1, age: Duration::ZERO };
        writer.push(key(0), 1, &[1.0]).unwrap();
        writer.push(key(1), 1, &[1.0, 2.0]).unwrap();
        assert_eq!(shelf(root.path()).find(vec![key(0), key(1)]).unwrap().len(), 0);
        writer.end_batch().unwrap();
        assert_eq!(shelf(root.path()).find(vec![key(0), key(1)]).unwrap().len(), 2);
    }

    #[test]
    fn only_finite_vectors_are_taken() {
        let root = tempfile::tempdir().unwrap();
        let mut writer = shelf(root.path()).writer();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = writer.push(key(0), 1, &[0.0, bad]).unwrap_err();
            assert!(matches!(error, CacheError::NotFinite { at: 1, .. }), "{error}");
        }
        assert!(matches!(writer.push(key(0), 1, &[]), Err(CacheError::Empty { .. })));
        writer.flush().unwrap();
        assert!(!shelf(root.path()).dir.exists());
    }

    #[test]
    fn what_killed_processes_left_goes_once_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        fs::create_dir_all(&shelf.dir).unwrap();
        let (old, fresh, part) = (".part-a1.tmp", ".part-b2.tmp", "part-0.parquet.damaged");
        for name in [old, fresh, part] {
            fs::write(shelf.dir.join(name), b"PAR1 half").unwrap();
        }
        let yesterday = SystemTime::now() - Duration::from_hours(24);
        for name in [old, part] {
            File::options().append(true).open(shelf.dir.join(name)).unwrap().set_modified(yesterday).unwrap();
        }
        let mut writer = shelf.writer();
        writer.push(key(0), 1, &[1.0]).unwrap();
        writer.flush().unwrap();
        assert!(!shelf.dir.join(old).exists());
        assert!(shelf.dir.join(fresh).exists() && shelf.dir.join(part).exists());
        let found = shelf.find(vec![key(0)]).unwrap();
        assert_eq!((found.len(), found.warnings().len()), (1, 0));
    }

    #[test]
    fn a_writer_outlives_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        let mut writer = shelf.writer();
        writer.push(key(0), 1, &[1.0]).unwrap();
        writer.flush().unwrap();
        fs::remove_dir_all(&shelf.dir).unwrap();
        writer.push(key(1), 1, &[1.0]).unwrap();
        writer.flush().unwrap();
        assert_eq!(shelf.find(vec![key(0), key(1)]).unwrap().len(), 1);
    }
}
