//! Which token positions of a set of rows are computed at all, and which of them together.
//!
//! Sorted rows of a causal model are a tree: what neighbours begin with in common is computed once. Beginnings of more rows
//! than fit into one batch are computed first and kept for all batches that continue them, as that of a prompt's fixed text;
//! smaller ones lie in the batch of their rows, as that of one text under prompts that differ behind it.

use std::ops::Range;

/// Fewest tokens that are worth a segment of their own, and fewest positions that it has to save.
const WORTHWHILE: (usize, usize) = (4, 16);

/// Which rows share what they begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    Never,
    All,
    /// Rows of more tokens among themselves, and the others among themselves; they do not meet in a batch either.
    Apart {
        after: usize,
    },
}

/// All positions that a set of rows needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    pub beginnings: Vec<Beginning>,
    /// Those of one beginning stand together.
    pub batches: Vec<Plan>,
}

/// The first tokens of many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// One of the rows.
    pub row: usize,
    pub length: usize,
}

/// Parts of rows that go through the model together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// What all of them continue, as an index into the beginnings.
    pub beginning: Option<usize>,
    pub parts: Vec<Part>,
}

/// Consecutive tokens of a row, or of several that have them in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// One of the rows.
    pub row: usize,
    /// Which of its tokens.
    pub tokens: Range<usize>,
    /// Index of the part that this one continues within its batch.
    pub parent: Option<usize>,
    /// Whether the row ends here.
    pub end: bool,
}

/// Neighbouring rows, in sorted order, and how many of their first tokens are taken care of.
#[derive(Clone, Copy)]
struct Neighbours {
    first: usize,
    end: usize,
    covered: usize,
    /// A beginning, or a part, that covers them.
    parent: Option<usize>,
}

/// Rows in sorted order with what each has in common with the one before it.
struct Sorted<'a> {
    rows: &'a [&'a [u32]],
    order: Vec<usize>,
    common: Vec<usize>,
}

impl Schedule {
    /// Plans rows in batches of about `budget` positions, or a single row.
    pub fn new(rows: &[&[u32]], sharing: Sharing, budget: usize) -> Self {
        let after = match sharing {
            Sharing::Never => return Self::of(rows, false, budget),
            Sharing::All => return Self::of(rows, true, budget),
            Sharing::Apart { after } => after,
        };
        let mut whole = Self::default();
        for long in [true, false] {
            let own: Vec<usize> = (0..rows.len()).filter(|&row| (rows[row].len() > after) == long).collect();
            let some: Vec<&[u32]> = own.iter().map(|&row| rows[row]).collect();
            whole.append(Self::of(&some, true, budget), &own);
        }
        whole
    }

    /// Puts the schedule of some of the rows behind this one.
    fn append(&mut self, other: Self, rows: &[usize]) {
        let before = self.beginnings.len();
        self.beginnings.extend(other.beginnings.into_iter().map(|begin| Beginning { row: rows[begin.row], ..begin }));
        self.batches.extend(other.batches.into_iter().map(|mut batch| {
            batch.beginning = batch.beginning.map(|at| at + before);
            batch.parts.iter_mut().for_each(|part| part.row = rows[part.row]);
            batch
        }));
    }

    /// Without `share` every row stands by itself.
    fn of(rows: &[&[u32]], share: bool, budget: usize) -> Self {
        let sorted = Sorted::new(rows, share);
        let mut schedule = Self::default();
        // What fits into a batch, under the beginning it continues.
        let mut units: Vec<(Option<usize>, usize, Neighbours)> = Vec::new();
        let mut todo = vec![Neighbours { first: 0, end: rows.len(), covered: 0, parent: None }];
        while let Some(mut here) = todo.pop() {
            if here.first == here.end {
                continue;
            }
            let positions = sorted.positions(here);
            if here.end - here.first == 1 || (positions <= budget && share) {
                units.push((here.parent, positions, here));
                continue;
            }
            let common = sorted.common(here);
            // A beginning is computed from the first token on, what covers a part of it too.
            if (common - here.covered) * (here.end - here.first - 1) >= WORTHWHILE.1 + here.covered {
                here.parent = Some(schedule.beginnings.len());
                here.covered = common;
                schedule.beginnings.push(Beginning { row: sorted.order[here.first], length: common });
            }
            todo.extend(sorted.divided(here, common));
        }
        // The longest first: memory is short at once or never.
        units.sort_by_key(|&(parent, positions, unit)| (parent, std::cmp::Reverse(positions), unit.first));
        let mut room = 0;
        for (beginning, positions, unit) in units {
            match schedule.batches.last() {
                Some(batch) if batch.beginning == beginning && positions <= room => {}
                _ => {
                    schedule.batches.push(Plan { beginning, parts: Vec::new() });
                    room = budget;
                }
            }
            room = room.saturating_sub(positions);
            if let Some(batch) = schedule.batches.last_mut() {
                sorted.parts(unit, &mut batch.parts);
            }
        }
        schedule.drop_unused();
        schedule
    }

    /// Positions of all batches and beginnings.
    pub fn positions(&self) -> u64 {
        let beginnings: usize = self.beginnings.iter().map(|beginning| beginning.length).sum();
        let parts = self.batches.iter().flat_map(|batch| &batch.parts);
        (beginnings + parts.map(|part| part.tokens.len()).sum::<usize>()) as u64
    }

    /// A beginning whose rows all continue longer ones is not needed itself.
    fn drop_unused(&mut self) {
        let mut kept = Vec::new();
        for batch in &mut self.batches {
            if let Some(beginning) = &mut batch.beginning {
                if kept.last() != Some(beginning) {
                    kept.push(*beginning);
                }
                *beginning = kept.len() - 1;
            }
        }
        self.beginnings = kept.into_iter().map(|beginning| self.beginnings[beginning]).collect();
    }
}

impl<'a> Sorted<'a> {
    fn new(rows: &'a [&'a [u32]], share: bool) -> Self {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if !share {
            return Self { rows, order, common: vec![0; rows.len()] };
        }
        order.sort_by_key(|&row| rows[row]);
        let pairs = order.windows(2).map(|pair| common(rows[pair[0]], rows[pair[1]]));
        Self { rows, common: std::iter::once(0).chain(pairs).take(rows.len()).collect(), order }
    }

    /// Tokens that all of them begin with.
    fn common(&self, here: Neighbours) -> usize {
        self.common[here.first + 1..here.end].iter().copied().min().unwrap_or(here.covered)
    }

    /// Positions to compute for them: those of the tree that they are.
    fn positions(&self, here: Neighbours) -> usize {
        let tokens: usize = self.order[here.first..here.end].iter().map(|&row| self.rows[row].len()).sum();
        tokens - self.common[here.first + 1..here.end].iter().sum::<usize>() - here.covered
    }

    /// The same rows, divided where they have no more than `common` tokens in common; the last ones first.
    fn divided(&self, here: Neighbours, common: usize) -> Vec<Neighbours> {
        let mut parts = Vec::new();
        let mut end = here.end;
        for at in (here.first..here.end).rev() {
            if at == here.first || self.common[at] == common {
                parts.push(Neighbours { first: at, end, ..here });
                end = at;
            }
        }
        parts
    }

    /// Lays neighbours into a batch, with what several of them begin with before them.
    fn parts(&self, unit: Neighbours, parts: &mut Vec<Part>) {
        let mut todo = vec![Neighbours { parent: None, ..unit }];
        while let Some(mut here) = todo.pop() {
            let row = self.order[here.first];
            let count = here.end - here.first;
            if count == 1 {
                parts.push(Part { row, tokens: here.covered..self.rows[row].len(), parent: here.parent, end: true });
                continue;
            }
            let common = self.common(here);
            let length = common - here.covered;
            if length >= WORTHWHILE.0 && length * (count - 1) >= WORTHWHILE.1 {
                parts.push(Part { row, tokens: here.covered..common, parent: here.parent, end: false });
                here.parent = Some(parts.len() - 1);
                here.covered = common;
            }
            todo.extend(self.divided(here, common));
        }
    }
}

/// How many first tokens two rows have in common, leaving each at least one of its own.
fn common(a: &[u32], b: &[u32]) -> usize {
    let longest = a.len().min(b.len()).saturating_sub(1);
    a[..longest].iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Puts every row together again from its parts and its beginning.
    fn rebuilt(schedule: &Schedule, rows: &[&[u32]]) -> Vec<Option<Vec<u32>>> {
        let mut found = vec![None; rows.len()];
        for batch in &schedule.batches {
            let begin = batch.beginning.map_or(&[][..], |at| {
                let beginning = schedule.beginnings[at];
                &rows[beginning.row][..beginning.length]
            });
            let mut texts: Vec<Vec<u32>> = Vec::new();
            for part in &batch.parts {
                let mut text = part.parent.map_or_else(|| begin.to_vec(), |parent| texts[parent].clone());
                assert_eq!(text.len(), part.tokens.start, "{part:?} continues something else");
                assert!(!part.tokens.is_empty());
                text.extend(&rows[part.row][part.tokens.clone()]);
                if part.end {
                    assert!(found[part.row].replace(text.clone()).is_none(), "row {} came twice", part.row);
                }
                texts.push(text);
            }
        }
        found
    }

    #[test]
    fn a_template_is_a_beginning_and_a_text_lies_with_its_rows() {
        let template: Vec<u32> = (0..20).collect();
        let rows: Vec<Vec<u32>> =
            (100..104).flat_map(|text| [7, 8].map(|ending| [&template[..], &[text; 20], &[ending; 3]].concat())).collect();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let schedule = Schedule::new(&rows, Sharing::All, 60);
        assert_eq!(schedule.beginnings, [Beginning { row: 0, length: 20 }]);
        assert_eq!(schedule.batches.iter().map(|batch| batch.parts.len()).collect::<Vec<_>>(), [6, 6]);
        assert_eq!(schedule.positions(), 20 + 4 * (20 + 2 * 3));
        assert_eq!(Schedule::new(&rows, Sharing::Never, 60).positions(), 8 * 43);
        assert_eq!(Schedule::new(&rows, Sharing::All, 1000).beginnings, []);
        assert_eq!(Schedule::new(&[], Sharing::All, 40), Schedule::default());
    }

    #[test]
    fn the_longest_rows_come_first() {
        let ids: Vec<u32> = (0..9).collect();
        let rows: Vec<&[u32]> = [3, 9, 1, 4, 4, 2].into_iter().map(|length| &ids[9 - length..]).collect();
        let schedule = Schedule::new(&rows, Sharing::Never, 8);
        let batches: Vec<Vec<usize>> =
            schedule.batches.iter().map(|batch| batch.parts.iter().map(|part| part.row).collect()).collect();
        assert_eq!(batches, [vec![1], vec![3, 4], vec![0, 5, 2]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_row_is_whole_and_nothing_is_computed_without_need(
            rows in prop::collection::vec(prop::collection::vec(0_u32..3, 1..30), 0..40),
            heads in prop::collection::vec(0_usize..3, 40),
            budget in 1_usize..200,
            after in 1_usize..40,
        ) {
            let heads: Vec<Vec<u32>> = heads.iter().map(|&head| vec![u32::try_from(head).unwrap(); head * 12]).collect();
            let rows: Vec<Vec<u32>> = rows.into_iter().zip(heads).map(|(row, head)| [head, row].concat()).collect();
            let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
            let apart = Schedule::new(&rows, Sharing::Never, budget);
            for sharing in [Sharing::All, Sharing::Never, Sharing::Apart { after }] {
                let schedule = Schedule::new(&rows, sharing, budget);
                for (found, wanted) in rebuilt(&schedule, &rows).iter().zip(&rows) {
                    prop_assert_eq!(found.as_deref(), Some(*wanted));
                }
                prop_assert!(schedule.positions() <= apart.positions());
                if let Sharing::Apart { after } = sharing {
                    for batch in &schedule.batches {
                        let is_long = |row: usize| rows[row].len() > after;
                        let beginning = batch.beginning.map(|at| schedule.beginnings[at].row);
                        let mut sides = batch.parts.iter().map(|part| part.row).chain(beginning).map(is_long);
                        let first = sides.next();
                        prop_assert!(sides.all(|long| Some(long) == first), "a long row and a short one share a batch");
                    }
                }
            }
        }
    }
}
