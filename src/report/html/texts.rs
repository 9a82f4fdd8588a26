//! Texts as the page has them: whole, or their beginnings where all would be too many; and which characters were cut from them.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::arrays::Arrays;
use crate::report::escape;
use crate::results::{Axis, CellRecord, Cuts, Part, Partner, RunRecord, SampleText};

/// Most characters of a text, where whole texts would be too many.
const LENGTHS: [usize; 10] = [4000, 2000, 1000, 500, 300, 200, 150, 100, 60, 0];

/// The texts of some samples, each with at most so many characters. They are made as they are written: there may be millions.
pub struct Texts<'a> {
    pub samples: &'a [SampleText],
    pub length: Option<usize>,
}

impl Texts<'_> {
    /// About how many bytes they take when written: escapes make them more.
    pub fn bytes(&self) -> usize {
        let shown = |text: &str| text.len().min(self.length.map_or(usize::MAX, |length| 4 * length));
        let around = r#""","#.len();
        self.samples
            .iter()
            .map(|sample| sample.id.len() + around + parts(sample).map(|text| shown(text) + around).sum::<usize>())
            .sum()
    }
}

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { samples, length } = *self;
        let shown = |text: &str| match length.map(|length| beginning(text, length)) {
            Some(part) if part.len() < text.len() => escape::in_place(part) + "…",
            _ => escape::in_place(text),
        };
        let partners = || samples.iter().filter_map(|sample| sample.partner.as_ref());
        let has_subsets = partners().any(|partner| partner.subset.is_some());
        let subset = |partner: &Partner| escape::one_line(partner.subset.as_deref().unwrap_or_default());
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("ids", &Each(|| samples.iter().map(|sample| escape::one_line(&sample.id))))?;
        map.serialize_entry("texts", &Each(|| samples.iter().map(|sample| shown(&sample.text))))?;
        // The second texts of pairs, and the parts of the split that pairs are from.
        let second = partners().next().map(|_| Each(|| partners().map(|partner| shown(&partner.text))));
        map.serialize_entry("partners", &second)?;
        map.serialize_entry("subsets", &has_subsets.then_some(Each(|| partners().map(|partner| subset(partner)))))?;
        map.end()
    }
}

/// A list that is never in memory.
struct Each<F>(F);

impl<F: Fn() -> I, I: Iterator<Item = String>> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}

/// The longest that the texts of these samples may be, so that all have at most so many bytes; None when all fit as they are.
pub fn length<'a>(samples: &(impl Iterator<Item = &'a SampleText> + Clone), limit: usize) -> Option<usize> {
    let texts = || samples.clone().flat_map(parts);
    if texts().map(str::len).sum::<usize>() <= limit {
        return None;
    }
    let fits = |length: &usize| texts().map(|text| beginning(text, *length).len()).sum::<usize>() <= limit;
    Some(LENGTHS.into_iter().find(fits).unwrap_or(0))
}

/// Both texts of a pair, or the text.
fn parts(sample: &SampleText) -> impl Iterator<Item = &str> {
    std::iter::once(sample.text.as_str()).chain(sample.partner.as_ref().map(|partner| partner.text.as_str()))
}

/// The first so many characters.
fn beginning(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

/// Arrays of what texts lost to cuts, one for each model, prompt and slice: cells that have these in common share it.
pub struct Losses<'a> {
    run: &'a RunRecord,
    known: BTreeMap<[&'a str; 3], Option<usize>>,
}

impl<'a> Losses<'a> {
    pub const fn of(run: &'a RunRecord) -> Self {
        Self { run, known: BTreeMap::new() }
    }

    /// Place of the array of a cell's texts; None where none was cut, or nobody knows.
    pub fn array(&mut self, cell: &'a CellRecord, arrays: &mut Arrays) -> Option<usize> {
        let Self { run, known } = self;
        let key = [Axis::Model, Axis::Prompt, Axis::Slice].map(|axis| cell.choices.on(axis));
        *known.entry(key).or_insert_with(|| {
            let samples = run.samples.get(key[2]).map_or(0, |samples| samples.len());
            let own = run.cuts.iter().flatten().filter(|cuts| [cuts.model.as_str(), &cuts.prompt, &cuts.slice] == key);
            let triples: Vec<usize> = own.flat_map(|cuts| triples(cuts, samples)).flatten().collect();
            (!triples.is_empty()).then(|| arrays.counts(&triples))
        })
    }
}

/// Of each text that was cut: its place, first texts before second ones and view after view, and the ends of what it lost.
fn triples(cuts: &Cuts, samples: usize) -> impl Iterator<Item = [usize; 3]> {
    cuts.texts.iter().map(move |text| {
        let part = match text.of {
            Part::Text => 0,
            Part::Partner => 1,
        };
        [(2 * cuts.view + part) * samples + text.index, text.left_out.start, text.left_out.end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::demo;
    use crate::results::CutText;

    #[test]
    fn losses_are_told_once_for_all_cells_that_share_them() {
        let mut run = demo();
        let of = |index, of, left_out| CutText { index, of, left_out };
        let (model, prompt, slice) = ("tiny-zh".to_owned(), "raw".to_owned(), "apps6-test".to_owned());
        let texts = vec![of(3, Part::Text, 5..9), of(2, Part::Partner, 0..4)];
        run.cuts = Some(vec![Cuts { model, prompt, slice, view: 1, texts }]);
        let (mut arrays, mut losses) = (Arrays::default(), Losses::of(&run));
        let raw =
            run.cells.iter().filter(|cell| (cell.choices.model.as_str(), cell.choices.prompt.as_str()) == ("tiny-zh", "raw"));
        let places: Vec<_> = raw.map(|cell| losses.array(cell, &mut arrays)).collect();
        assert!(places.len() > 3 && places.iter().all(|place| *place == Some(0)), "{places:?}");
        assert_eq!(losses.array(&run.cells[0], &mut arrays), None, "another prompt");
        // 160 samples: the fourth text of the second view, and the third second text of it.
        assert_eq!(arrays.counts(&[2 * 160 + 3, 5, 9, 3 * 160 + 2, 0, 4]), 0);
    }
}
