//! The texts of a grid as unique token ids: what is the same under two cells is embedded once.

use indexmap::IndexSet;
use rayon::prelude::*;

use crate::embed::{EmbedError, Encoder, Prepared};
use crate::prompt::{Prompt, Template};

/// Unique rows of token ids of one model, in the order they were first met.
#[derive(Debug, Default)]
pub struct Rows(IndexSet<Vec<u32>>);

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

/// Renders and tokenises texts under one view of a prompt, in parallel.
///
/// # Errors
/// The first text, by its index, that cannot be tokenised as the prompt wants.
pub fn prepare(
    encoder: &dyn Encoder,
    prompt: &Prompt,
    template: &Template,
    texts: &[&str],
) -> Result<Vec<Prepared>, (usize, EmbedError)> {
    let prepared: Vec<Result<Prepared, EmbedError>> =
        (texts.par_iter()).map(|text| encoder.prepare(template, &prompt.clean.apply(text), prompt.truncate)).collect();
    let check = |(row, prepared): (usize, Result<Prepared, EmbedError>)| match prepared {
        Ok(prepared) if prepared.ids.is_empty() => Err((row, EmbedError::EmptyRow { row })),
        Ok(prepared) => Ok(prepared),
        Err(error) => Err((row, error)),
    };
    prepared.into_iter().enumerate().map(check).collect()
}

impl Rows {
    /// Adds the texts of one set under one template.
    pub fn block(&mut self, prepared: Vec<Prepared>) -> Block {
        let (mut rows, mut cut) = (Vec::with_capacity(prepared.len()), Vec::with_capacity(prepared.len()));
        for text in prepared {
            cut.push(text.cut);
            rows.push(self.0.insert_full(text.ids).0);
        }
        Block { rows, cut }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Tokens of all rows.
    pub fn tokens(&self) -> u64 {
        self.iter().map(|row| row.len() as u64).sum()
    }
}

impl std::ops::Index<usize> for Rows {
    type Output = [u32];

    fn index(&self, row: usize) -> &[u32] {
        &self.0[row]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_ids_are_one_row() {
        let prepared = |ids: &[u32]| Prepared { rendered: String::new(), ids: ids.to_vec(), cut: ids.len() - 1 };
        let mut rows = Rows::default();
        assert_eq!(rows.block(vec![prepared(&[1, 2]), prepared(&[3])]), Block { rows: vec![0, 1], cut: vec![1, 0] });
        assert_eq!(rows.block(vec![prepared(&[3]), prepared(&[4, 5, 6])]), Block { rows: vec![1, 2], cut: vec![0, 2] });
        assert_eq!((rows.len(), rows.tokens(), &rows[2]), (3, 6, &[4, 5, 6][..]));
    }
}
