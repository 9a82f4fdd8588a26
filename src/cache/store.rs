//! All shelves of a folder: opening one, counting them, removing them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::part::{Part, PartError};
use super::{CacheError, Shelf};
use crate::digest::Digest;

/// The folder of the embedding cache, `.bench/embeddings`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What one shelf holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ShelfStat {
    pub encoder: Digest,
    /// What the encoder was, as `shelf.json` has it; null where that cannot be read.
    pub about: Value,
    /// Readable parts.
    pub parts: usize,
    /// Embeddings in them; a key that is in two parts counts twice.
    pub rows: u64,
    /// Size of everything in the folder. Units: bytes.
    pub bytes: u64,
    /// Parts set aside or unreadable.
    pub damaged: usize,
    /// When something was last saved; absent for a folder without parts.
    pub written: Option<SystemTime>,
}

/// Which shelves to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prune {
    /// The one encoder whose digest starts with this.
    Encoder(String),
    /// Those on which nothing was saved for this long.
    OlderThan(Duration),
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub encoders: Vec<Digest>,
    /// Units: bytes.
    pub bytes: u64,
}

impl Store {
    /// The store in this folder, which need not exist.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The shelf of an encoder; `about` says what went into its digest, for people who find the files.
    ///
    /// # Errors
    /// Something at the shelf's place that is no folder.
    pub fn shelf(&self, encoder: &Digest, about: &Value) -> Result<Shelf, CacheError> {
        let shelf = Shelf { dir: self.root.join(encoder.to_string()), encoder: *encoder, about: about.clone() };
        if shelf.dir.exists() && !shelf.dir.is_dir() {
            return Err(CacheError::Read { path: shelf.dir, source: io::ErrorKind::NotADirectory.into() });
        }
        Ok(shelf)
    }

    /// Counts every shelf, by digest; reads footers alone.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn stat(&self) -> Result<Vec<ShelfStat>, CacheError> {
        self.encoders()?.iter().map(|encoder| self.shelf_stat(encoder)).collect()
    }

    /// Removes whole shelves.
    ///
    /// # Errors
    /// A digest prefix that fits none or several shelves, and a folder that cannot be read or removed.
    pub fn prune(&self, which: &Prune) -> Result<Pruned, CacheError> {
        let stats = self.stat()?;
        let doomed: Vec<&ShelfStat> = match which {
            Prune::Encoder(prefix) => vec![self.only(&stats, prefix)?],
            Prune::OlderThan(age) => stats.iter().filter(|stat| stat.idle() >= *age).collect(),
        };
        let mut pruned = Pruned::default();
        for stat in doomed {
            let dir = self.root.join(stat.encoder.to_string());
            fs::remove_dir_all(&dir).map_err(|source| CacheError::Write { path: dir, source })?;
            pruned.encoders.push(stat.encoder);
            pruned.bytes += stat.bytes;
        }
        Ok(pruned)
    }

    fn only<'a>(&self, stats: &'a [ShelfStat], prefix: &str) -> Result<&'a ShelfStat, CacheError> {
        let fits = stats.iter().filter(|stat| stat.encoder.to_string().starts_with(prefix));
        match fits.collect::<Vec<_>>().as_slice() {
            [] => Err(CacheError::NoSuchShelf { prefix: prefix.to_owned(), root: self.root.clone() }),
            [one] => Ok(one),
            several => {
                let matches = several.iter().map(|stat| stat.encoder.short()).collect();
                Err(CacheError::Ambiguous { prefix: prefix.to_owned(), matches })
            }
        }
    }

    fn encoders(&self) -> Result<Vec<Digest>, CacheError> {
        let names = entries(&self.root)?.into_iter().filter(|path| path.is_dir());
        let mut encoders: Vec<Digest> =
            names.filter_map(|path| path.file_name().and_then(|name| name.to_str()).and_then(Digest::parse)).collect();
        encoders.sort_unstable();
        Ok(encoders)
    }

    fn shelf_stat(&self, encoder: &Digest) -> Result<ShelfStat, CacheError> {
        let shelf = self.shelf(encoder, &Value::Null)?;
        let about = read_about(&shelf.dir.join("shelf.json"));
        let mut stat = ShelfStat { encoder: *encoder, about, parts: 0, rows: 0, bytes: 0, damaged: 0, written: None };
        for path in entries(&shelf.dir)? {
            // A file that vanishes meanwhile counts for nothing.
            let Ok(data) = fs::metadata(&path) else { continue };
            stat.bytes += data.len();
            if path.extension().is_some_and(|extension| extension == "damaged") {
                stat.damaged += 1;
            }
        }
        for path in shelf.parts()? {
            match Part::open(&path, encoder) {
                Ok(part) => {
                    stat.parts += 1;
                    stat.rows += part.len() as u64;
                    stat.written = stat.written.max(fs::metadata(&path).and_then(|data| data.modified()).ok());
                }
                Err(PartError::Gone) => {}
                Err(PartError::Damaged(_)) => stat.damaged += 1,
                Err(PartError::Io(source)) => return Err(CacheError::Read { path, source }),
            }
        }
        Ok(stat)
    }
}

impl ShelfStat {
    /// Time since something was saved; forever if nothing was.
    fn idle(&self) -> Duration {
        self.written.map_or(Duration::MAX, |at| at.elapsed().unwrap_or_default())
    }
}

fn read_about(path: &Path) -> Value {
    let card: Option<Value> = fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    card.and_then(|card| card.get("about").cloned()).unwrap_or(Value::Null)
}

/// What a folder holds; nothing if there is none.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let cannot = |source| CacheError::Read { path: dir.to_owned(), source };
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(cannot)).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(cannot(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cache::Key;

    fn store_with(root: &Path, encoders: &[&str]) -> Store {
        let store = Store::new(root.to_owned());
        for name in encoders {
            let shelf = store.shelf(&Digest::of_bytes(name.as_bytes()), &json!({ "name": name })).unwrap();
            let mut writer = shelf.writer();
            writer.push(Key::new("r", &[1]), 1, &[1.0]).unwrap();
            writer.push(Key::new("r", &[2]), 1, &[1.0, 2.0]).unwrap();
            writer.flush().unwrap();
        }
        store
    }

    #[test]
    fn shelves_are_counted_with_what_their_encoders_were() {
        let root = tempfile::tempdir().unwrap();
        let store = store_with(root.path(), &["a", "b"]);
        fs::create_dir(root.path().join("something else")).unwrap();
        let stats = store.stat().unwrap();
        let mut names: Vec<&Value> = stats.iter().map(|stat| &stat.about["name"]).collect();
        names.sort_by_key(ToString::to_string);
        assert_eq!(names, [&json!("a"), &json!("b")]);
        for stat in &stats {
            // One part per width.
            assert_eq!((stat.parts, stat.rows, stat.damaged), (2, 2, 0));
            assert!(stat.bytes > 0 && stat.written.is_some());
        }
        let shelf = store.shelf(&Digest::of_bytes(b"a"), &Value::Null).unwrap();
        fs::write(&shelf.parts().unwrap()[0], b"garbage").unwrap();
        fs::write(shelf.dir.join("shelf.json"), b"garbage").unwrap();
        let stat = store.stat().unwrap().into_iter().find(|stat| stat.encoder == Digest::of_bytes(b"a")).unwrap();
        assert_eq!((stat.parts, stat.damaged, stat.about), (1, 1, Value::Null));
        assert_eq!(Store::new(root.path().join("none")).stat().unwrap(), []);
    }

    #[test]
    fn shelves_are_pruned_whole_by_prefix_or_age() {
        let root = tempfile::tempdir().unwrap();
        let store = store_with(root.path(), &["a", "b"]);
        let digest = Digest::of_bytes(b"a");
        let none = store.prune(&Prune::Encoder("zz".to_owned())).unwrap_err();
        assert!(matches!(none, CacheError::NoSuchShelf { .. }), "{none}");
        let both = store.prune(&Prune::Encoder(String::new())).unwrap_err();
        assert!(matches!(both, CacheError::Ambiguous { .. }), "{both}");
        assert_eq!(store.prune(&Prune::OlderThan(Duration::from_hours(1))).unwrap(), Pruned::default());
        let pruned = store.prune(&Prune::Encoder(digest.short())).unwrap();
        assert_eq!(pruned.encoders, [digest]);
        assert_eq!(store.stat().unwrap().len(), 1);
        assert_eq!(store.prune(&Prune::OlderThan(Duration::ZERO)).unwrap().encoders, [Digest::of_bytes(b"b")]);
        assert_eq!(store.stat().unwrap(), []);
    }
}
