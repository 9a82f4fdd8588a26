//! The embeddings of one encoder: which are there, and fetching them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use super::part::{Part, PartError};
use super::{CacheError, Key, Writer};
use crate::digest::Digest;

/// The folder of one encoder. It is made when the first embedding is saved.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub(super) dir: PathBuf,
    pub(super) encoder: Digest,
    pub(super) about: Value,
}

/// Which of the keys that were looked up are stored, and where.
///
/// Footers and checksums of the parts are kept as they were found: a file that changes afterwards does not match them.
#[derive(Clone, Default)]
pub struct Found {
    pub(super) parts: Vec<Arc<Part>>,
    /// The keys that were looked up, ascending, each once; and where each lies, or nowhere. A map would take twice the memory.
    keys: Vec<Key>,
    places: Vec<Place>,
    /// How many lie somewhere.
    stored: usize,
    warnings: Vec<String>,
}

/// Where a vector lies. Four bytes each: there may be millions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub part: u32,
    pub row: u32,
}

impl Place {
    const NOWHERE: Self = Self { part: u32::MAX, row: u32::MAX };
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("keys", &self.stored).field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

impl Found {
    /// Whether this key is stored.
    pub fn contains(&self, key: &Key) -> bool {
        self.place(key).is_some()
    }

    /// Where a key lies.
    pub(super) fn place(&self, key: &Key) -> Option<Place> {
        let place = self.places[self.keys.binary_search(key).ok()?];
        (place != Place::NOWHERE).then_some(place)
    }

    /// How many different keys are stored.
    pub fn len(&self) -> usize {
        self.stored
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.stored == 0
    }

    /// Whether every key that was looked up is stored.
    pub fn is_complete(&self) -> bool {
        self.stored == self.keys.len()
    }

    /// One line per damaged part that was set aside.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Shelf {
    /// Looks keys up. Reads the key columns alone, one part at a time: memory grows with the keys asked for, not with the cache.
    ///
    /// # Errors
    /// A folder or part that the system does not let be read. A damaged part is a warning, and a part that vanishes is nothing.
    pub fn find(&self, mut keys: Vec<Key>) -> Result<Found, CacheError> {
        keys.par_sort_unstable();
        keys.dedup();
        let mut found = Found { places: vec![Place::NOWHERE; keys.len()], keys, ..Found::default() };
        for path in self.parts()? {
            if found.is_complete() {
                break;
            }
            match Part::open(&path, &self.encoder).and_then(|part| Ok((part.keys()?, part))) {
                Ok((stored, part)) => found.add(part, &stored),
                Err(PartError::Gone) => {}
                Err(PartError::Io(source)) => return Err(CacheError::Read { path, source }),
                Err(PartError::Damaged(reason)) => found.warnings.push(set_aside(&path, &reason)),
            }
        }
        Ok(found)
    }

    /// Saves further embeddings.
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// The files of this shelf that are parts, oldest first; none if there is no folder yet.
    pub(super) fn parts(&self) -> Result<Vec<PathBuf>, CacheError> {
        let cannot = |source| CacheError::Read { path: self.dir.clone(), source };
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        let mut parts = Vec::new();
        for entry in entries {
            let path = entry.map_err(cannot)?.path();
            if is_part(&path) {
                parts.push(path);
            }
        }
        parts.sort();
        Ok(parts)
    }
}

impl Found {
    fn add(&mut self, part: Part, stored: &[Key]) {
        let before = self.stored;
        let index = (0..).nth(self.parts.len()).unwrap_or(u32::MAX);
        let wanted: Vec<Option<usize>> = stored.par_iter().map(|key| self.keys.binary_search(key).ok()).collect();
        for (at, row) in wanted.into_iter().zip(0..) {
            // The older of two parts counts.
            if let Some(at) = at
                && self.places[at] == Place::NOWHERE
            {
                self.places[at] = Place { part: index, row };
                self.stored += 1;
            }
        }
        // A part that nobody asks for is not remembered.
        if self.stored > before {
            self.parts.push(Arc::new(part));
        }
    }
}

/// Whether a file is named as a finished part; temporary and damaged ones are not.
pub(super) fn is_part(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("part-") && name.ends_with(".parquet"))
}

/// Renames a damaged part so that nobody trips over it again, and says so.
pub(super) fn set_aside(path: &Path, reason: &str) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    let what = format!("the cache part `{}` is damaged ({reason}); its embeddings are computed again", path.display());
    match fs::rename(path, &aside) {
        Ok(()) => format!("{what}, and it is kept as `{}`", aside.display()),
        Err(error) => format!("{what}, and it could not be renamed ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use serde_json::json;

    use super::*;
    use crate::cache::Store;
    use crate::cache::fixture::{key, shelf};

    fn save(shelf: &Shelf, rows: &[(Key, &[f32])]) {
        let mut writer = shelf.writer();
        rows.iter().for_each(|(key, vector)| writer.push(*key, 3, vector).unwrap());
        writer.flush().unwrap();
    }

    #[test]
    fn rows_come_in_the_order_asked_for_and_may_repeat() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        save(&shelf, &[(key(0), &[0.0, 0.5]), (key(1), &[1.0, 1.5])]);
        save(&shelf, &[(key(2), &[2.0, 2.5]), (key(9), &[9.0])]);
        let found = shelf.find(vec![key(2), key(0), key(1), key(7)]).unwrap();
        assert_eq!(found.len(), 3);
        assert!(!found.contains(&key(7)) && !found.contains(&key(9)));
        let rows = shelf.read(&found, &[key(2), key(0), key(2), key(1)], 2).unwrap();
        assert_eq!(rows.values(), [2.0, 2.5, 0.0, 0.5, 2.0, 2.5, 1.0, 1.5]);
        assert!(matches!(shelf.read(&found, &[key(7)], 2), Err(CacheError::NotFound { .. })));
        let other = shelf.read(&found, &[key(0)], 3).unwrap_err();
        assert!(matches!(other, CacheError::Width { found: 2, wanted: 3, .. }), "{other}");
    }

    #[test]
    fn the_older_of_two_parts_counts() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        save(&shelf, &[(key(0), &[1.0])]);
        save(&shelf, &[(key(0), &[2.0])]);
        let found = shelf.find(vec![key(0)]).unwrap();
        assert_eq!(shelf.read(&found, &[key(0)], 1).unwrap().values(), [1.0]);
    }

    #[test]
    fn vectors_that_do_not_compress_are_read_back() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        let mut noise = ChaCha8Rng::seed_from_u64(1);
        let rows: Vec<(Key, Vec<f32>)> =
            (0..255).map(|row| (key(row), (0..384).map(|_| f32::from_bits(noise.next_u32() >> 2)).collect())).collect();
        let borrowed: Vec<(Key, &[f32])> = rows.iter().map(|(key, vector)| (*key, vector.as_slice())).collect();
        save(&shelf, &borrowed);
        let keys: Vec<Key> = rows.iter().map(|(key, _)| *key).collect();
        let found = shelf.find(keys.clone()).unwrap();
        assert_eq!(
            shelf.read(&found, &keys, 384).unwrap().values(),
            rows.iter().flat_map(|(_, row)| row.clone()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_empty_store_holds_nothing_and_looking_makes_no_folder() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        assert!(shelf.find(vec![key(0)]).unwrap().is_empty());
        assert!(!shelf.dir.exists());
    }

    #[test]
    fn a_damaged_part_is_a_warning_and_a_miss() {
        let whole = {
            let root = tempfile::tempdir().unwrap();
            let shelf = shelf(root.path());
            save(&shelf, &[(key(0), &[1.0])]);
            fs::read(&shelf.parts().unwrap()[0]).unwrap()
        };
        let other = {
            let root = tempfile::tempdir().unwrap();
            let shelf = Store::new(root.path().to_owned()).shelf(&Digest::of_bytes(b"other"), &json!(null)).unwrap();
            save(&shelf, &[(key(0), &[1.0])]);
            fs::read(&shelf.parts().unwrap()[0]).unwrap()
        };
        for bytes in [&b""[..], b"PAR1", b"not parquet at all", &whole[..whole.len() - 1], &whole[..whole.len() / 2], &other] {
            let root = tempfile::tempdir().unwrap();
            let shelf = shelf(root.path());
            save(&shelf, &[(key(1), &[2.0])]);
            fs::write(shelf.dir.join("part-0.parquet"), bytes).unwrap();
            let found = shelf.find(vec![key(0), key(1)]).unwrap();
            assert_eq!((found.len(), found.warnings().len()), (1, 1), "{} bytes", bytes.len());
            assert!(found.warnings()[0].contains("part-0.parquet.damaged"), "{:?}", found.warnings());
            assert_eq!(fs::read(shelf.dir.join("part-0.parquet.damaged")).unwrap(), bytes);
            assert!(shelf.find(vec![key(0), key(1)]).unwrap().warnings().is_empty());
        }
    }

    /// Any byte may change on disk: the vectors are those that were saved, or there are none.
    #[test]
    fn a_changed_byte_never_gives_a_wrong_vector() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        save(&shelf, &[(key(0), &[1.0, 2.0]), (key(1), &[3.0, 4.0])]);
        let path = shelf.parts().unwrap().remove(0);
        let whole = fs::read(&path).unwrap();
        let keys = [key(0), key(1)];
        let (mut missed, mut lost) = (0, 0);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x15;
            fs::write(&path, &bytes).unwrap();
            let found = shelf.find(keys.to_vec()).unwrap();
            let kept: Vec<Key> = keys.iter().copied().filter(|key| found.contains(key)).collect();
            missed += usize::from(kept.len() < keys.len());
            match shelf.read(&found, &kept, 2) {
                Ok(rows) => {
                    for (key, row) in kept.iter().zip(rows.rows()) {
                        assert_eq!(row, if *key == keys[0] { [1.0, 2.0] } else { [3.0, 4.0] }, "byte {at}");
                    }
                }
                Err(CacheError::Lost { .. }) => lost += 1,
                Err(error) => panic!("byte {at}: {error}"),
            }
        }
        assert!(missed > 50 && lost > 10, "{missed} missed, {lost} lost of {}", whole.len());
    }

    #[test]
    fn a_part_that_vanishes_after_it_was_found_is_said_to_be_lost() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        save(&shelf, &[(key(0), &[1.0])]);
        let found = shelf.find(vec![key(0)]).unwrap();
        fs::remove_file(&shelf.parts().unwrap()[0]).unwrap();
        assert!(matches!(shelf.read(&found, &[key(0)], 1), Err(CacheError::Lost { .. })));
        assert!(shelf.find(vec![key(0)]).unwrap().is_empty());
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        std::thread::scope(|scope| {
            for thread in 0..4_u16 {
                let shelf = &shelf;
                scope.spawn(move || {
                    for i in 0..20 {
                        // Half of the keys are those of the neighbouring thread.
                        let id = u32::from(thread) * 10 + i;
                        save(shelf, &[(key(id), &[f32::from(thread) * 10.0 + f32::from(u16::try_from(i).unwrap())])]);
                    }
                });
            }
        });
        let keys: Vec<Key> = (0..50).map(key).collect();
        let found = shelf.find(keys.clone()).unwrap();
        assert_eq!((found.len(), found.warnings().len(), shelf.parts().unwrap().len()), (50, 0, 80));
        let wanted: Vec<f32> = (0..50_u16).map(f32::from).collect();
        assert_eq!(shelf.read(&found, &keys, 1).unwrap().values(), wanted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Rows of one to three widths, saved in several parts, come back bit by bit in any order.
        #[test]
        fn what_is_saved_is_what_is_read(
            dims in prop::collection::vec(1_usize..70, 1..4),
            rows in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), any::<bool>()), 1..120),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let root = tempfile::tempdir().unwrap();
            let shelf = shelf(root.path());
            let mut writer = shelf.writer();
            let mut saved: Vec<(Key, Vec<f32>)> = Vec::new();
            for (i, (dim, seed, flush)) in (0_u32..).zip(&rows) {
                let dim = dims[dim.index(dims.len())];
                let vector: Vec<f32> = (1_u32..).take(dim).map(|at| f32::from_bits(seed.wrapping_mul(at) & 0x7f7f_ffff)).collect();
                writer.push(key(i), i, &vector).unwrap();
                saved.push((key(i), vector));
                if *flush { writer.flush().unwrap(); }
            }
            drop(writer);
            let keys: Vec<Key> = saved.iter().map(|(key, _)| *key).collect();
            let found = shelf.find(keys.clone()).unwrap();
            prop_assert_eq!(found.len(), keys.len());
            for dim in dims {
                let of_dim: Vec<&(Key, Vec<f32>)> = saved.iter().filter(|(_, vector)| vector.len() == dim).collect();
                if of_dim.is_empty() { continue; }
                let asked: Vec<&(Key, Vec<f32>)> = order.iter().map(|i| of_dim[i.index(of_dim.len())]).collect();
                let asked_keys: Vec<Key> = asked.iter().map(|(key, _)| *key).collect();
                let read = shelf.read(&found, &asked_keys, dim).unwrap();
                let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
                for ((_, wanted), row) in asked.iter().zip(read.rows()) {
                    prop_assert_eq!(bits(wanted), bits(row));
                }
            }
        }
    }
}
