//! Runs of tokens laid end to end, without padding, some of them the beginning of others.

use std::ops::Range;

/// Consecutive tokens of one text, or of the beginning that several texts share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub ids: &'a [u32],
    /// Index of the segment that this one continues; it stands before this one.
    pub parent: Option<usize>,
    /// Whether a text ends here, so that its vector is wanted.
    pub end: bool,
    /// Where the slots of that text are among its tokens, where a tap reads one.
    pub slots: &'a [Range<usize>],
}

impl<'a> Segment<'a> {
    /// A text by itself.
    pub const fn whole(ids: &'a [u32]) -> Self {
        Self { ids, parent: None, end: true, slots: &[] }
    }
}

/// Where each segment lies in `[tokens, ..]`.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    lengths: Vec<usize>,
    starts: Vec<usize>,
    parents: Vec<Option<usize>>,
    /// Tokens of the segments that each one continues.
    before: Vec<usize>,
    ends: Vec<usize>,
    /// Of each text that ends.
    slots: Vec<Vec<Range<usize>>>,
}

/// Positions of every segment for which a block has to compute its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queries {
    All,
    /// The first position, the last one, or both in this order, even where they are the same.
    Ends {
        first: bool,
        last: bool,
    },
}

/// Consecutive segments of one length behind as many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub first: usize,
    pub count: usize,
    pub length: usize,
    pub before: usize,
}

impl Packed {
    pub fn new(segments: &[Segment<'_>]) -> Self {
        let lengths: Vec<usize> = segments.iter().map(|segment| segment.ids.len()).collect();
        let starts = lengths.iter().scan(0, |next, length| Some(std::mem::replace(next, *next + length))).collect();
        let mut before: Vec<usize> = Vec::with_capacity(segments.len());
        for segment in segments {
            before.push(segment.parent.map_or(0, |parent| before[parent] + lengths[parent]));
        }
        let ends = segments.iter().enumerate().filter(|(_, segment)| segment.end).map(|(i, _)| i).collect();
        let slots = segments.iter().filter(|segment| segment.end).map(|segment| segment.slots.to_vec()).collect();
        Self { lengths, starts, parents: segments.iter().map(|segment| segment.parent).collect(), before, ends, slots }
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// The segments that texts end with, in order.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The tokens of a slot, from 1, of the text that is the `end`-th to end; all of them without one.
    pub fn span(&self, end: usize, slot: Option<usize>) -> Range<usize> {
        let Some(slot) = slot else { return 0..usize::MAX };
        slot.checked_sub(1).and_then(|slot| self.slots[end].get(slot).cloned()).unwrap_or_default()
    }

    pub fn range(&self, segment: usize) -> Range<usize> {
        self.starts[segment]..self.starts[segment] + self.lengths[segment]
    }

    /// Tokens of the longest text, from its first segment here to its last one.
    pub fn longest(&self) -> usize {
        self.lengths.iter().zip(&self.before).map(|(length, before)| length + before).max().unwrap_or(0)
    }

    /// Tokens of the segments that this one continues.
    pub fn before(&self, segment: usize) -> usize {
        self.before[segment]
    }

    /// The segments from the beginning of a text to this one.
    pub fn chain(&self, segment: usize) -> Vec<usize> {
        let mut chain: Vec<usize> = std::iter::successors(Some(segment), |&segment| self.parents[segment]).collect();
        chain.reverse();
        chain
    }

    /// The place of every token within its text, behind `offset` tokens that came before all segments.
    pub fn positions(&self, offset: usize) -> Vec<usize> {
        let segments = self.lengths.iter().zip(&self.before);
        segments.flat_map(|(length, before)| offset + before..offset + before + length).collect()
    }

    /// Indices into the packed tokens of the positions asked for; `None` for all of them.
    pub fn select(&self, queries: Queries) -> Option<Vec<usize>> {
        let Queries::Ends { .. } = queries else { return None };
        let segments = (0..self.len()).map(|segment| self.range(segment));
        Some(segments.flat_map(|range| queries.within(range.len()).into_iter().map(move |at| range.start + at)).collect())
    }

    /// Runs of segments that attention can treat alike.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (segment, (&length, &before)) in self.lengths.iter().zip(&self.before).enumerate() {
            match groups.last_mut() {
                Some(group) if (group.length, group.before) == (length, before) => group.count += 1,
                _ => groups.push(Group { first: segment, count: 1, length, before }),
            }
        }
        groups
    }
}

impl Queries {
    /// Positions within a segment of some length.
    pub fn within(self, length: usize) -> Vec<usize> {
        match self {
            Self::All => (0..length).collect(),
            Self::Ends { first, last } => first.then_some(0).into_iter().chain(last.then_some(length - 1)).collect(),
        }
    }

    /// Index of a segment's first position among the positions computed for all of them.
    pub fn first(self, packed: &Packed, segment: usize) -> usize {
        match self {
            Self::All => packed.starts[segment],
            Self::Ends { first, last } => segment * (usize::from(first) + usize::from(last)),
        }
    }

    /// Index of a segment's last position among the positions computed for all of them.
    pub fn last(self, packed: &Packed, segment: usize) -> usize {
        match self {
            Self::All => packed.range(segment).end - 1,
            Self::Ends { first, .. } => self.first(packed, segment) + usize::from(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(lengths: &[usize]) -> Packed {
        let ids = [0; 8];
        Packed::new(&lengths.iter().map(|&length| Segment::whole(&ids[..length])).collect::<Vec<_>>())
    }

    #[test]
    fn ends_are_found_among_all_and_among_themselves() {
        let rows = packed(&[3, 1, 2]);
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
    fn only_neighbours_of_one_length_and_depth_are_merged() {
        let group = |first, count, length, before| Group { first, count, length, before };
        assert_eq!(packed(&[2, 2, 3, 2]).groups(), [group(0, 2, 2, 0), group(2, 1, 3, 0), group(3, 1, 2, 0)]);
    }

    #[test]
    fn a_segment_stands_behind_those_it_continues() {
        let ids = [0; 5];
        let segment = |length, parent, end| Segment { ids: &ids[..length], parent, end, slots: &[] };
        let tree = [segment(3, None, false), segment(2, Some(0), true), segment(1, Some(0), false), segment(2, Some(2), true)];
        let tree = Packed::new(&tree);
        assert_eq!((tree.chain(3), tree.before(3), tree.ends()), (vec![0, 2, 3], 4, &[1, 3][..]));
        assert_eq!(tree.positions(5), [5, 6, 7, 8, 9, 8, 9, 10]);
    }
}
