//! The texts of a grid as unique token ids: what is the same under two cells is embedded once.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::embed::{EmbedError, Encoder, Prepared};
use crate::prompt::{Prompt, Template};

/// Unique rows of token ids of one model.
#[derive(Debug, Default)]
pub struct Rows {
    unique: Vec<Row>,
    index: HashMap<Vec<u32>, usize>,
    /// By group: how many leading ids all of its rows share, whichever of them are cached.
    prefixes: Vec<usize>,
}

/// One text to embed.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub ids: Vec<u32>,
    /// Rows of a group were rendered from one template.
    pub group: usize,
}

/// Texts of one set under one template: what each became.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Index of each text's row.
    pub rows: Vec<usize>,
    /// Tokens that truncation removed from each text.
    pub cut: Vec<usize>,
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
    /// Starts a group, for the rows of one template.
    pub fn group(&mut self) -> usize {
        self.prefixes.push(0);
        self.prefixes.len() - 1
    }

    /// Adds the texts of one set under one template.
    pub fn block(&mut self, group: usize, prepared: &[Prepared]) -> Block {
        let mut block = Block::default();
        for text in prepared {
            block.cut.push(text.cut);
            block.rows.push(self.intern(group, &text.ids));
        }
        block
    }

    /// The row of these ids, added to `group` if it is the first of its kind.
    fn intern(&mut self, group: usize, ids: &[u32]) -> usize {
        if let Some(&row) = self.index.get(ids) {
            return row;
        }
        self.index.insert(ids.to_vec(), self.unique.len());
        self.unique.push(Row { ids: ids.to_vec(), group });
        self.unique.len() - 1
    }

    /// Finds each group's shared prefix, once all rows are in. At least one id of every row stays outside of it.
    pub fn seal(&mut self) {
        self.index = HashMap::new();
        let mut first: Vec<Option<usize>> = vec![None; self.prefixes.len()];
        for (i, row) in self.unique.iter().enumerate() {
            let shared = match first[row.group] {
                None => {
                    first[row.group] = Some(i);
                    row.ids.len()
                }
                Some(head) => {
                    let limit = self.prefixes[row.group];
                    let other = &self.unique[head].ids[..limit];
                    other.iter().zip(&row.ids).take_while(|(a, b)| a == b).count()
                }
            };
            self.prefixes[row.group] = shared.min(row.ids.len().saturating_sub(1));
        }
        // A group of one row has nothing to share.
        let mut sizes = vec![0_usize; self.prefixes.len()];
        self.unique.iter().for_each(|row| sizes[row.group] += 1);
        for (prefix, size) in self.prefixes.iter_mut().zip(sizes) {
            if size < 2 {
                *prefix = 0;
            }
        }
    }

    /// All rows.
    pub fn as_slice(&self) -> &[Row] {
        &self.unique
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.prefixes.len()
    }

    /// How many leading ids all rows of a group share.
    pub fn prefix(&self, group: usize) -> usize {
        self.prefixes[group]
    }

    /// Tokens of all unique rows.
    pub fn tokens(&self) -> u64 {
        self.unique.iter().map(|row| row.ids.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_ids_are_one_row_and_a_group_shares_its_prefix() {
        let mut rows = Rows::default();
        let (a, b) = (rows.group(), rows.group());
        assert_eq!(rows.intern(a, &[1, 2, 3, 9]), 0);
        assert_eq!(rows.intern(a, &[1, 2, 4]), 1);
        assert_eq!(rows.intern(b, &[1, 2, 4]), 1);
        assert_eq!(rows.intern(b, &[7]), 2);
        rows.seal();
        assert_eq!((rows.prefix(a), rows.prefix(b)), (2, 0));
        assert_eq!(rows.tokens(), 8);
    }

    #[test]
    fn a_prefix_leaves_every_row_a_token() {
        let mut rows = Rows::default();
        let group = rows.group();
        rows.intern(group, &[1, 2]);
        rows.intern(group, &[1, 2, 3]);
        rows.seal();
        assert_eq!(rows.prefix(group), 1);
    }
}
