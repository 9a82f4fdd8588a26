//! The texts of a grid as unique token ids: what is the same under two cells is embedded once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use hashbrown::HashTable;
use indexmap::IndexSet;
use rayon::prelude::*;

use super::Reading;
use crate::embed::{EmbedError, Encoder, Prepared, Row};
use crate::prompt::{Prompt, Template};

/// Unique rows of one model, in the order they were first met, with what is read of each. There may be millions: all ids lie in
/// one run.
#[derive(Default)]
pub struct Rows {
    ids: Vec<u32>,
    /// Where each row ends among the ids.
    ends: Vec<usize>,
    /// Slots of the rows of which something reads them.
    slots: BTreeMap<usize, Box<[Range<usize>]>>,
    /// Which set of reads each row is for.
    wish: Vec<usize>,
    /// Sets of reads, each once; most rows have the same.
    wishes: IndexSet<BTreeSet<usize>>,
    /// The rows by what they are.
    known: HashTable<u32>,
    /// By which rows are looked up; it orders nothing.
    hasher: RandomState,
}

/// Texts of one set under one template: what each became.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Index of each text's row.
    pub rows: Vec<usize>,
    /// Tokens that truncation removed from each text.
    pub cut: Vec<usize>,
    /// Place of each text that was cut, with the characters that it lost, where they are known: see [`Prepared::left_out`].
    pub left_out: Vec<(usize, Range<usize>)>,
}

impl Block {
    /// Places of one of so many samples' texts: one, or those of both texts of a pair.
    pub fn of_sample(&self, sample: usize, samples: usize) -> impl Iterator<Item = usize> + use<> {
        (sample..self.rows.len()).step_by(samples.max(1))
    }
}

/// A text, and words for the other slots of a template by their names.
#[derive(Clone, Debug, Default)]
pub struct Words<'a> {
    pub text: &'a str,
    pub others: Vec<(&'a str, &'a str)>,
}

impl<'a> From<&'a str> for Words<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, others: Vec::new() }
    }
}

impl Words<'_> {
    /// Whether every view that is read leaves it some token to read: some tokenizers have none for an empty text.
    pub fn is_readable(&self, encoder: &dyn Encoder, prompt: &Prompt, readings: &BTreeMap<usize, Reading>) -> bool {
        let spans = |at: usize| readings.values().filter_map(move |reading| reading.views.get(at)?.span);
        prompt.views.iter().enumerate().all(|(at, view)| match self.prepare(encoder, prompt, &view.template) {
            Ok(prepared) => !prepared.ids.is_empty() && spans(at).all(|slot| prepared.slot(slot).is_some()),
            // Whatever else is wrong is told when it is prepared.
            Err(_) => true,
        })
    }

    /// What it becomes under a template.
    fn prepare(&self, encoder: &dyn Encoder, prompt: &Prompt, template: &Template) -> Result<Prepared, EmbedError> {
        let text = prompt.clean.apply(self.text);
        if template.names().is_empty() {
            return encoder.prepare(template, &text, prompt.truncate);
        }
        let filled = template.filled(|name| self.others.iter().find(|(known, _)| *known == name).map(|(_, words)| *words));
        match filled.names().first() {
            Some(slot) => Err(EmbedError::Unfilled { slot: (*slot).to_owned() }),
            None => encoder.prepare(&filled, &text, prompt.truncate),
        }
    }
}

/// Renders and tokenises texts under one view of a prompt, in parallel. Every slot among `spans` is to have tokens.
///
/// # Errors
/// The first text, by its index, that cannot be tokenised as the prompt wants.
pub fn prepare(
    encoder: &dyn Encoder,
    prompt: &Prompt,
    template: &Template,
    texts: &[Words<'_>],
    spans: &BTreeSet<usize>,
) -> Result<Vec<Prepared>, (usize, EmbedError)> {
    let prepared: Vec<Result<Prepared, EmbedError>> =
        texts.par_iter().map(|words| words.prepare(encoder, prompt, template)).collect();
    let check = |(row, prepared): (usize, Result<Prepared, EmbedError>)| match prepared {
        Ok(prepared) if prepared.ids.is_empty() => Err((row, EmbedError::EmptyRow { row })),
        Ok(prepared) => match spans.iter().find(|slot| prepared.slot(**slot).is_none()) {
            Some(&slot) => Err((row, EmbedError::NoSlot { row, slot })),
            None => Ok(prepared),
        },
        Err(error) => Err((row, error)),
    };
    prepared.into_iter().enumerate().map(check).collect()
}

impl Rows {
    /// The texts of one set under one template, and what is read of them: `reads`, some of them of a slot's tokens if `spans`.
    #[expect(clippy::needless_pass_by_value, reason = "what is prepared is done with")]
    pub fn block(&mut self, prepared: Vec<Prepared>, reads: &BTreeSet<usize>, spans: bool) -> Block {
        let mut block = Block::default();
        self.add(&prepared, reads, spans, &mut block);
        block
    }

    /// Adds such texts behind those that are in their block.
    pub fn add(&mut self, prepared: &[Prepared], reads: &BTreeSet<usize>, spans: bool, block: &mut Block) {
        let wish = self.wishes.insert_full(reads.clone()).0;
        for text in prepared {
            block.left_out.extend(text.left_out.clone().map(|range| (block.cut.len(), range)));
            block.cut.push(text.cut);
            let row = self.insert(&text.ids, if spans { &text.slots } else { &[] }, wish);
            block.rows.push(row);
            if self.wish[row] != wish {
                let both = &self.wishes[self.wish[row]] | reads;
                self.wish[row] = self.wishes.insert_full(both).0;
            }
        }
    }

    /// The index of a row, which is added where it is new.
    fn insert(&mut self, ids: &[u32], slots: &[Range<usize>], wish: usize) -> usize {
        let Self { ids: all, ends, slots: kept, known, hasher, .. } = self;
        let row = |at: u32| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            (of(all, ends, at), kept.get(&at).map_or(&[][..], |slots| slots))
        };
        let hash = hasher.hash_one((ids, slots));
        if let Some(&found) = known.find(hash, |&at| row(at) == (ids, slots)) {
            return usize::try_from(found).unwrap_or(usize::MAX);
        }
        let index = ends.len();
        known.insert_unique(hash, (0..).nth(index).unwrap_or(u32::MAX), |&at| hasher.hash_one(row(at)));
        if !slots.is_empty() {
            kept.insert(index, slots.into());
        }
        all.extend_from_slice(ids);
        ends.push(all.len());
        self.wish.push(wish);
        index
    }

    /// Forgets what rows are looked up by, and gives back the room for more: no more will come.
    pub(super) fn settle(&mut self) {
        self.known = HashTable::new();
        self.ids.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.wish.shrink_to_fit();
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        (0..self.len()).map(|row| &self[row])
    }

    /// Tokens of all rows.
    pub const fn tokens(&self) -> u64 {
        self.ids.len() as u64
    }

    /// One row, as an encoder takes it.
    pub fn row(&self, row: usize) -> Row<'_> {
        Row { ids: &self[row], slots: self.slots.get(&row).map_or(&[], |slots| slots) }
    }

    /// Which set of reads a row is for.
    pub(super) fn wish(&self, row: usize) -> usize {
        self.wish[row]
    }

    /// The reads of such a set.
    pub(super) fn reads(&self, wish: usize) -> &BTreeSet<usize> {
        &self.wishes[wish]
    }
}

/// The ids of one row.
fn of<'a>(ids: &'a [u32], ends: &[usize], row: usize) -> &'a [u32] {
    let start = row.checked_sub(1).map_or(0, |before| ends[before]);
    &ids[start..ends[row]]
}

impl std::ops::Index<usize> for Rows {
    type Output = [u32];

    fn index(&self, row: usize) -> &[u32] {
        of(&self.ids, &self.ends, row)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "most templates have one slot")]

    use super::*;

    fn prepared(ids: &[u32], slots: &[Range<usize>]) -> Prepared {
        let cut = ids.len() - 1;
        Prepared {
            rendered: String::new(),
            ids: ids.to_vec(),
            slots: slots.to_vec(),
            cut,
            left_out: (cut > 0).then_some(0..cut),
        }
    }

    #[test]
    fn the_same_ids_are_one_row() {
        let (mut rows, reads) = (Rows::default(), BTreeSet::from([0]));
        let first = rows.block(vec![prepared(&[1, 2], &[0..1]), prepared(&[3], &[])], &reads, false);
        assert_eq!(first, Block { rows: vec![0, 1], cut: vec![1, 0], left_out: vec![(0, 0..1)] });
        let second =
            rows.block(vec![prepared(&[3], &[]), prepared(&[4, 5, 6], &[]), prepared(&[1, 2], &[1..2])], &reads, false);
        assert_eq!(second, Block { rows: vec![1, 2, 0], cut: vec![0, 2, 1], left_out: vec![(1, 0..2), (2, 0..1)] });
        assert_eq!((rows.len(), rows.tokens(), &rows[2]), (3, 6, &[4, 5, 6][..]));
        assert_eq!(rows.iter().map(<[u32]>::len).collect::<Vec<_>>(), [2, 1, 3]);
    }

    #[test]
    fn many_rows_are_found_again() {
        let prepared: Vec<Prepared> = (0..5000_u32).map(|i| prepared(&[i % 2500, i % 3], &[])).collect();
        let (mut rows, mut block, reads) = (Rows::default(), Block::default(), BTreeSet::from([0]));
        rows.add(&prepared, &reads, false, &mut block);
        rows.add(&prepared, &reads, false, &mut block);
        // Pairs repeat after 7,500.
        assert_eq!(rows.len(), 5000);
        assert_eq!(block.rows[..5000], block.rows[5000..]);
        assert!((0..5000).all(|i| rows[block.rows[i]] == prepared[i].ids));
    }

    #[test]
    fn a_row_is_read_in_all_ways_that_its_sets_are() {
        let mut rows = Rows::default();
        rows.block(vec![prepared(&[1], &[]), prepared(&[2], &[])], &BTreeSet::from([0]), false);
        rows.block(vec![prepared(&[2], &[]), prepared(&[3], &[])], &BTreeSet::from([1]), false);
        let reads = [0, 1, 2].map(|row| rows.reads(rows.wish(row)).iter().copied().collect::<Vec<usize>>());
        assert_eq!(reads, [vec![0], vec![0, 1], vec![1]]);
    }

    #[test]
    fn where_spans_are_read_the_place_of_the_text_makes_another_row() {
        let (mut rows, reads) = (Rows::default(), BTreeSet::from([0]));
        let block = rows.block(vec![prepared(&[1, 2, 3], &[0..1]), prepared(&[1, 2, 3], &[0..2])], &reads, true);
        assert_eq!(block.rows, [0, 1]);
        assert_eq!(rows.row(1).slot(1), Some(0..2));
    }
}
