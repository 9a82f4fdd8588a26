//! The cells that compete in one task on one slice as the page needs them, whether they answer with labels or with similarities.

use std::collections::BTreeSet;

use crate::report::view::{Contest, Entry, PairContest, adjusted_p};
use crate::results::{CellRecord, Kind, SampleText, SliceRecord};
use crate::spec::TaskKind;
use crate::stats::Estimate;

/// One slice, its metrics and its cells, best first.
pub struct Arena<'a> {
    pub task: TaskKind,
    pub slice: &'a SliceRecord,
    pub samples: &'a [SampleText],
    /// The slice that cells are ranked by, when that is another one.
    pub chosen_on: Option<&'a SliceRecord>,
    /// What cells are ranked by, then what else a leaderboard shows.
    pub metrics: Vec<Shown>,
    pub entries: Vec<Ranked<'a>>,
    /// Place of the reference among the entries.
    pub reference: Option<usize>,
    /// Of pairs: each of the best cells minus each one after it, with p, where that is defined. The script could not draw the
    /// resamples again.
    pub gaps: Vec<Option<(Estimate, f64)>>,
}

/// Cells of pairs that are compared with each other; 780 comparisons.
pub const COMPARED: usize = 40;

/// A metric: its name in the results, the head of its column, and how it is written.
#[derive(Clone, Copy, serde::Serialize)]
pub struct Shown {
    pub name: &'static str,
    pub title: &'static str,
    /// A percentage with one decimal, else a number times a hundred with two.
    pub share: bool,
}

/// A scored cell and what its ranking says of it.
pub struct Ranked<'a> {
    pub cell: &'a CellRecord,
    pub floor: bool,
    pub on_dev: Option<f64>,
    /// The metric minus the reference's, and its p after Holm.
    pub difference: Option<Estimate>,
    pub p: Option<f64>,
}

impl Ranked<'_> {
    /// Samples that the results keep of this cell.
    pub fn samples(&self) -> usize {
        self.cell.samples()
    }
}

impl<'a> From<&'a Contest<'a>> for Arena<'a> {
    fn from(contest: &'a Contest<'a>) -> Self {
        let reference = contest.reference_entry();
        let p = adjusted_p(contest);
        let against = |entry: &Entry| {
            let reference = reference?;
            let gain = Estimate::exact(entry.accuracy.value - reference.accuracy.value, 0);
            Some(entry.against(reference).map_or(gain, |pair| pair.difference))
        };
        let entries = contest.entries.iter().zip(p).map(|(entry, p)| Ranked {
            cell: entry.cell,
            floor: entry.floor,
            on_dev: entry.dev_accuracy().map(|accuracy| accuracy.value),
            difference: against(entry),
            p,
        });
        let shown = |name, title| Shown { name, title, share: true };
        Self {
            task: contest.task,
            slice: contest.slice,
            samples: contest.samples,
            chosen_on: contest.chosen_on,
            metrics: vec![shown("accuracy", "accuracy"), shown("macro_f1", "macro F1")],
            entries: entries.collect(),
            reference: reference.and_then(|own| contest.entries.iter().position(|entry| entry.order == own.order)),
            gaps: Vec::new(),
        }
    }
}

impl<'a> From<&'a PairContest<'a>> for Arena<'a> {
    fn from(contest: &'a PairContest<'a>) -> Self {
        let entries = contest.entries.iter().zip(contest.against_reference()).map(|(entry, against)| Ranked {
            cell: entry.cell,
            floor: entry.floor,
            on_dev: entry.dev_value().map(|value| value.value),
            difference: against.map(|(difference, _)| difference),
            p: against.map(|(_, p)| p),
        });
        let best = &contest.entries[..contest.entries.len().min(COMPARED)];
        let after = |(place, entry)| best[place + 1..].iter().map(move |other| PairContest::difference(entry, other));
        let shown = |&(name, title)| Shown { name, title, share: false };
        let first = (contest.metric(), contest.metric_title());
        Self {
            task: contest.task_kind,
            slice: contest.slice,
            samples: contest.samples,
            chosen_on: contest.chosen_on,
            metrics: std::iter::once(&first).chain(contest.further()).map(shown).collect(),
            entries: entries.collect(),
            reference: contest.reference,
            gaps: best.iter().enumerate().flat_map(after).collect(),
        }
    }
}

impl Arena<'_> {
    /// Whether a cell takes part, or would have if it had a score.
    pub fn has(&self, cell: &CellRecord) -> bool {
        cell.choices.slice == self.slice.id && cell.choices.task == self.task
    }
}

/// How the samples of a slice are told, as the script calls it: by labels that were given, or as pairs by their cosine.
pub const fn kind(arena: &Arena<'_>) -> &'static str {
    match arena.slice.kind {
        Kind::Sts => "scores",
        Kind::Pairs if !arena.task.labels_texts() => "classes",
        Kind::Pairs | Kind::Classification | Kind::Retrieval | Kind::Documents => "labels",
    }
}

/// Entries of all arenas by what a reader wants of them: of each the best, the reference and the floor, then the others by rank.
pub fn by_worth<'e, 'a>(arenas: &'e [Arena<'a>]) -> Vec<&'e Ranked<'a>> {
    let floor = |arena: &'e Arena<'a>| arena.entries.iter().find(|entry| entry.floor);
    let reference = |arena: &'e Arena<'a>| arena.entries.get(arena.reference?);
    let heads = arenas.iter().flat_map(|arena| [arena.entries.first(), reference(arena), floor(arena)]);
    let deepest = arenas.iter().map(|arena| arena.entries.len()).max().unwrap_or(0);
    let ranks = (0..deepest).flat_map(|rank| arenas.iter().filter_map(move |arena| arena.entries.get(rank)));
    let mut seen = BTreeSet::new();
    heads.flatten().chain(ranks).filter(|entry| seen.insert(&entry.cell.id)).collect()
}
