//! Rows of tokens laid end to end, without padding.

use std::ops::Range;

/// Where each row lies in `[tokens, ..]`.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    lengths: Vec<usize>,
    starts: Vec<usize>,
}

/// Positions of every row for which a block has to compute its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queries {
    All,
    /// The first position, the last one, or both in this order, even where they are the same.
    Ends {
        first: bool,
        last: bool,
    },
}

/// Consecutive rows of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub first: usize,
    pub rows: usize,
    pub length: usize,
}

impl Packed {
    pub fn new(lengths: Vec<usize>) -> Self {
        let starts = lengths
            .iter()
            .scan(0, |next, length| {
                let start = *next;
                *next += length;
                Some(start)
            })
            .collect();
        Self { lengths, starts }
    }

    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    pub fn range(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row] + self.lengths[row]
    }

    /// The place of every token within its row, behind `offset` tokens that came before.
    pub fn positions(&self, offset: usize) -> Vec<usize> {
        self.lengths.iter().flat_map(|length| offset..offset + length).collect()
    }

    /// Indices into the packed tokens of the positions asked for; `None` for all of them.
    pub fn select(&self, queries: Queries) -> Option<Vec<usize>> {
        let Queries::Ends { .. } = queries else { return None };
        let rows = (0..self.rows()).map(|row| self.range(row));
        Some(rows.flat_map(|row| queries.within(row.len()).into_iter().map(move |at| row.start + at)).collect())
    }

    /// Every row by itself, or runs of equal lengths.
    pub fn groups(&self, merge: bool) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (row, &length) in self.lengths.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if merge && group.length == length => group.rows += 1,
                _ => groups.push(Group { first: row, rows: 1, length }),
            }
        }
        groups
    }
}

impl Queries {
    /// Positions within a row of some length.
    pub fn within(self, length: usize) -> Vec<usize> {
        match self {
            Self::All => (0..length).collect(),
            Self::Ends { first, last } => first.then_some(0).into_iter().chain(last.then_some(length - 1)).collect(),
        }
    }

    /// Index of a row's first position among the positions computed for all rows.
    pub fn first(self, rows: &Packed, row: usize) -> usize {
        match self {
            Self::All => rows.starts[row],
            Self::Ends { first, last } => row * (usize::from(first) + usize::from(last)),
        }
    }

    /// Index of a row's last position among the positions computed for all rows.
    pub fn last(self, rows: &Packed, row: usize) -> usize {
        match self {
            Self::All => rows.range(row).end - 1,
            Self::Ends { first, .. } => self.first(rows, row) + usize::from(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_among_all_and_among_themselves() {
        let rows = Packed::new(vec![3, 1, 2]);
        let both = Queries::Ends { first: true, last: true };
        assert_eq!(rows.select(both), Some(vec![0, 2, 3, 3, 4, 5]));
        assert_eq!(rows.select(Queries::All), None);
        for row in 0..3 {
            let selected = rows.select(both).expect("ends");
            assert_eq!(selected[both.first(&rows, row)], Queries::All.first(&rows, row));
            assert_eq!(selected[both.last(&rows, row)], Queries::All.last(&rows, row));
        }
        assert_eq!(rows.positions(10), [10, 11, 12, 10, 10, 11]);
    }

    #[test]
    fn only_neighbours_of_one_length_are_merged() {
        let rows = Packed::new(vec![2, 2, 3, 2]);
        assert_eq!(rows.groups(false).len(), 4);
        let merged = [(0, 2, 2), (2, 1, 3), (3, 1, 2)].map(|(first, rows, length)| Group { first, rows, length });
        assert_eq!(rows.groups(true), merged);
    }
}
