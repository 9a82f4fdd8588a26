//! The texts of a grid as unique token ids: what is the same under two cells is embedded once.

use std::collections::BTreeSet;
use std::ops::Range;

use indexmap::{IndexMap, IndexSet};
use rayon::prelude::*;

use crate::embed::{EmbedError, Encoder, Prepared, Row};
use crate::prompt::{Prompt, Template};

/// Unique rows of one model, in the order they were first met, with what is read of each.
#[derive(Debug, Default)]
pub struct Rows {
    rows: IndexMap<Held, usize>,
    /// Sets of reads, each once; most rows have the same.
    wishes: IndexSet<BTreeSet<usize>>,
}

/// A row that is kept. Its slots are there only where something reads them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Held {
    ids: Vec<u32>,
    slots: Box<[Range<usize>]>,
}

/// Texts of one set under one template: what each became.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Index of each text's row.
    pub rows: Vec<usize>,
    /// Tokens that truncation removed from each text.
    pub cut: Vec<usize>,
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
    /// Adds the texts of one set under one template, and what is read of them: `reads`, some of them of a slot's tokens if
    /// `spans`.
    pub fn block(&mut self, prepared: Vec<Prepared>, reads: &BTreeSet<usize>, spans: bool) -> Block {
        let wish = self.wishes.insert_full(reads.clone()).0;
        let (mut rows, mut cut) = (Vec::with_capacity(prepared.len()), Vec::with_capacity(prepared.len()));
        for text in prepared {
            cut.push(text.cut);
            let slots = if spans { text.slots.into_boxed_slice() } else { Box::default() };
            let entry = self.rows.entry(Held { ids: text.ids, slots });
            rows.push(entry.index());
            let known = entry.or_insert(wish);
            if *known != wish {
                let both = &self.wishes[*known] | reads;
                *known = self.wishes.insert_full(both).0;
            }
        }
        Block { rows, cut }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.rows.keys().map(|row| row.ids.as_slice())
    }

    /// Tokens of all rows.
    pub fn tokens(&self) -> u64 {
        self.iter().map(|row| row.len() as u64).sum()
    }

    /// One row, as an encoder takes it.
    pub fn row(&self, row: usize) -> Row<'_> {
        let held = self.rows.get_index(row).map(|(held, _)| held);
        held.map_or(Row { ids: &[], slots: &[] }, |held| Row { ids: &held.ids, slots: &held.slots })
    }

    /// Which set of reads a row is for.
    pub(super) fn wish(&self, row: usize) -> usize {
        self.rows[row]
    }

    /// The reads of such a set.
    pub(super) fn reads(&self, wish: usize) -> &BTreeSet<usize> {
        &self.wishes[wish]
    }
}

impl std::ops::Index<usize> for Rows {
    type Output = [u32];

    fn index(&self, row: usize) -> &[u32] {
        self.row(row).ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(ids: &[u32], slots: &[Range<usize>]) -> Prepared {
        Prepared { rendered: String::new(), ids: ids.to_vec(), slots: slots.to_vec(), cut: ids.len() - 1 }
    }

    #[test]
    fn the_same_ids_are_one_row() {
        let (mut rows, reads) = (Rows::default(), BTreeSet::from([0]));
        let first = rows.block(vec![prepared(&[1, 2], &[0..1]), prepared(&[3], &[])], &reads, false);
        assert_eq!(first, Block { rows: vec![0, 1], cut: vec![1, 0] });
        let second =
            rows.block(vec![prepared(&[3], &[]), prepared(&[4, 5, 6], &[]), prepared(&[1, 2], &[1..2])], &reads, false);
        assert_eq!(second, Block { rows: vec![1, 2, 0], cut: vec![0, 2, 1] });
        assert_eq!((rows.len(), rows.tokens(), &rows[2]), (3, 6, &[4, 5, 6][..]));
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
