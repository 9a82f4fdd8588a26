//! Fetching embeddings: block by block, in the order of the files.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::part::{Part, PartError};
use super::shelf::{Found, Place, set_aside};
use super::{CacheError, Key, Shelf};
use crate::embeddings::Embeddings;

/// Vectors decoded at a time: enough row groups to keep all cores busy, few enough that two such blocks stay in the last cache.
/// Unit: bytes.
const BLOCK_BYTES: usize = 8 << 20;

/// One vector that is asked for: where it lies, and its position among the keys.
type Wanted = (Place, u32);

/// What is done with a block: the positions of its rows among the keys, and the rows.
type Take<'a> = &'a mut dyn FnMut(&[usize], &Embeddings) -> Result<(), CacheError>;

impl Shelf {
    /// Fetches embeddings of width `dim`, in the order of `keys`, which may repeat.
    ///
    /// # Errors
    /// Those of [`Shelf::visit`].
    pub fn read(&self, found: &Found, keys: &[Key], dim: usize) -> Result<Embeddings, CacheError> {
        let mut values = vec![0.0; keys.len() * dim];
        self.visit(found, keys, dim, &mut |positions, block| {
            for (position, row) in positions.iter().zip(block.rows()) {
                values[position * dim..(position + 1) * dim].copy_from_slice(row);
            }
            Ok(())
        })?;
        Ok(Embeddings::from_values(dim, values))
    }

    /// Hands out embeddings of width `dim` in blocks of some MiB, each with the positions of its rows in `keys`, which may
    /// repeat. Blocks come in the order of the files; each row group that holds a key is read, checked and decoded once.
    ///
    /// # Errors
    /// A key that is not in `found`, a vector of another width, a part that went away or broke after it was found, and
    /// those of `take`.
    pub fn visit(&self, found: &Found, keys: &[Key], dim: usize, take: Take<'_>) -> Result<(), CacheError> {
        let wanted = self.wanted(found, keys)?;
        let mut blocks = Vec::new();
        for wanted in wanted.chunk_by(|a, b| a.0.part == b.0.part) {
            let part = &found.parts[index(wanted[0].0.part)];
            if part.dim() != dim {
                let key = keys[index(wanted[0].1)];
                return Err(CacheError::Width { key, path: part.path().to_owned(), found: part.dim(), wanted: dim });
            }
            blocks.extend(part.blocks(wanted));
        }
        // The next block is decoded while one is taken: no thread waits for the last one of either.
        let [mut current, mut next] = [Vec::new(), Vec::new()];
        let mut decoded = blocks.first().map_or(Ok(()), |block| block.decode(&mut current));
        for (place, block) in blocks.iter().enumerate() {
            decoded?;
            decoded = Ok(());
            let vectors = Embeddings::from_values(dim, current);
            rayon::in_place_scope(|scope| {
                if let Some(block) = blocks.get(place + 1) {
                    scope.spawn(|_| decoded = block.decode(&mut next));
                }
                take(&block.positions(), &vectors)
            })?;
            (current, next) = (next, vectors.into_values());
        }
        Ok(())
    }

    /// Where each key lies, in the order of the files.
    fn wanted(&self, found: &Found, keys: &[Key]) -> Result<Vec<Wanted>, CacheError> {
        let place = |(position, key): (u32, &Key)| match found.place(key) {
            Some(place) => Ok((place, position)),
            None => Err(CacheError::NotFound { key: *key, shelf: self.dir.clone() }),
        };
        let positions = 0..u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let mut wanted: Vec<Wanted> = positions.into_par_iter().zip(keys).map(place).collect::<Result<_, _>>()?;
        wanted.par_sort_unstable();
        Ok(wanted)
    }
}

const fn index(number: u32) -> usize {
    number as usize
}

/// A row group, its rows within the part, and what of it is asked for, in its order.
type Group<'a> = (usize, Range<usize>, &'a [Wanted]);

/// Row groups of one part that are decoded together.
struct Block<'a> {
    part: &'a Part,
    groups: Vec<Group<'a>>,
}

impl Part {
    /// The row groups that hold vectors asked for, as many at a time as a block takes.
    fn blocks<'a>(&'a self, wanted: &'a [Wanted]) -> Vec<Block<'a>> {
        let (mut blocks, mut groups, mut bytes, mut rest) = (Vec::new(), Vec::new(), 0, wanted);
        for (group, rows) in self.row_groups().into_iter().enumerate() {
            let (here, later) = rest.split_at(rest.partition_point(|(place, _)| index(place.row) < rows.end));
            rest = later;
            if here.is_empty() {
                continue;
            }
            groups.push((group, rows, here));
            bytes += here.len() * self.dim() * size_of::<f32>();
            if bytes >= BLOCK_BYTES {
                blocks.push(Block { part: self, groups: std::mem::take(&mut groups) });
                bytes = 0;
            }
        }
        if !groups.is_empty() {
            blocks.push(Block { part: self, groups });
        }
        blocks
    }
}

impl Block<'_> {
    /// What is asked for, in the order of the file.
    fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.groups.iter().flat_map(|(_, _, wanted)| *wanted)
    }

    /// The positions of its rows among the keys.
    fn positions(&self) -> Vec<usize> {
        self.wanted().map(|&(_, at)| index(at)).collect()
    }

    /// Reads its vectors, row groups in parallel. Shape of `values`: `[rows, dim]`, whatever it was before.
    fn decode(&self, values: &mut Vec<f32>) -> Result<(), CacheError> {
        let Self { part, groups } = self;
        let dim = part.dim();
        values.resize(self.wanted().count() * dim, 0.0);
        let mut rest = values.as_mut_slice();
        let mut tasks = Vec::with_capacity(groups.len());
        for group in groups {
            let (here, later) = rest.split_at_mut(group.2.len() * dim);
            rest = later;
            tasks.push((group, here));
        }
        let decode = |((group, rows, wanted), values): (&Group<'_>, &mut [f32])| {
            let wanted: Vec<usize> = wanted.iter().map(|(place, _)| index(place.row) - rows.start).collect();
            part.vectors(*group, &wanted, values)
        };
        tasks.into_par_iter().try_for_each(decode).map_err(|error| lost(part.path(), error))
    }
}

/// What became of a part that was found whole and cannot be read any more.
fn lost(path: &Path, error: PartError) -> CacheError {
    let path = path.to_owned();
    match error {
        PartError::Gone => CacheError::Lost { path, reason: "it was deleted".to_owned() },
        PartError::Io(source) => CacheError::Read { path, source },
        PartError::Damaged(reason) => {
            // The error says what happened; where the file went is in the folder.
            drop(set_aside(&path, &reason));
            CacheError::Lost { path, reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cache::fixture::{key, shelf};

    /// Files hold rows in the order of batches, keys come in that of texts: blocks follow the files, and name the texts.
    #[test]
    #[expect(clippy::float_cmp, reason = "values as they were saved")]
    fn blocks_follow_the_files_and_hold_every_key_once() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        // 256 KiB per row, so that two parts of 100 rows are several row groups and blocks each.
        let dim = 1 << 16;
        let vector = |i: u16| vec![f32::from(i); dim];
        for part in 0..2_u16 {
            let mut writer = shelf.writer();
            (0..100).map(|i| part + 2 * (99 - i)).for_each(|i| writer.push(key(i.into()), 1, &vector(i)).unwrap());
            writer.flush().unwrap();
        }
        let keys: Vec<Key> = (0..200).filter(|i| i % 5 != 3).chain([7, 7]).map(key).collect();
        let found = shelf.find(keys.clone()).unwrap();
        let (mut seen, mut blocks, mut first, mut found_ids) = (vec![0; keys.len()], 0, Vec::new(), Vec::new());
        let visited = shelf.visit(&found, &keys, dim, &mut |positions, block| {
            blocks += 1;
            first.push(block.row(0)[0]);
            for (&position, row) in positions.iter().zip(block.rows()) {
                seen[position] += 1;
                assert!(row.iter().all(|value| *value == row[0]), "position {position}");
                found_ids.push((position, row[0]));
            }
            Ok(())
        });
        visited.unwrap();
        assert!(seen.iter().all(|&times| times == 1), "{seen:?}");
        assert!(blocks >= 4, "{blocks} blocks");
        let ids: Vec<u16> = (0..200).filter(|i| i % 5 != 3).chain([7, 7]).collect();
        assert!(found_ids.iter().all(|&(position, value)| value == f32::from(ids[position])));
        assert!(first.windows(2).filter(|pair| pair[0] > pair[1]).count() >= first.len() - 2, "{first:?}");
        let all = shelf.read(&found, &keys, dim).unwrap();
        assert!((0..keys.len()).all(|at| all.row(at)[dim - 1] == f32::from(ids[at])));
    }

    #[test]
    fn damage_in_the_middle_ends_the_visit_and_the_part() {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path());
        let dim = 1 << 16;
        for part in 0..2_u32 {
            let mut writer = shelf.writer();
            (0..70).for_each(|i| writer.push(key(70 * part + i), 1, &vec![0.5; dim]).unwrap());
            writer.flush().unwrap();
        }
        let keys: Vec<Key> = (0..140).map(key).collect();
        let found = shelf.find(keys.clone()).unwrap();
        let damaged = shelf.parts().unwrap().remove(1);
        let mut bytes = fs::read(&damaged).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&damaged, bytes).unwrap();
        let mut rows = 0;
        let error = shelf.visit(&found, &keys, dim, &mut |positions, _| {
            rows += positions.len();
            Ok(())
        });
        assert!(matches!(&error, Err(CacheError::Lost { path, .. }) if *path == damaged), "{error:?}");
        assert!((70..140).contains(&rows), "{rows} rows came before");
        assert_eq!(shelf.find(keys.clone()).unwrap().len(), 70);
    }
}
