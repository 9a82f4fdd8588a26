//! The cells that compete on one slice of pairs, ranked by their task's first metric.

use crate::report::escape::code;
use crate::report::number::{counted, decimal};
use crate::report::view::contest::{AXES, counterpart, dev_slice, twin};
use crate::report::view::selection::Choice;
use crate::results::{Axis, CellRecord, Kind, NO_CHOICE, PairGold, Paired, RunRecord, SampleText, SliceRecord};
use crate::spec::{Aggregate, Protocol, Task};
use crate::stats::{Agreement, Estimate, Resampled};

/// The cells of one slice of pairs.
pub struct PairContest<'a> {
    pub run: &'a RunRecord,
    pub slice: &'a SliceRecord,
    pub samples: &'a [SampleText],
    pub gold: PairGold,
    /// Scored cells, best first: by the dev slice where there is one, else by this slice.
    pub entries: Vec<PairEntry<'a>>,
    pub failed: usize,
    /// The slice that the ranking comes from: the one that thresholds are taken from, or a dev split.
    pub chosen_on: Option<&'a SliceRecord>,
    /// The cell that the others are compared with, as its place among the entries.
    pub reference: Option<usize>,
    task: Option<&'a Task>,
    /// Its place among the report's contests, from 1.
    number: usize,
}

/// A scored cell.
pub struct PairEntry<'a> {
    pub cell: &'a CellRecord,
    pub paired: &'a Paired,
    /// The metric it is ranked by.
    pub value: Estimate,
    /// The same on the slice that the ranking comes from, where that is another one.
    pub on_dev: Option<&'a CellRecord>,
    pub floor: bool,
    pub order: usize,
    /// The metric on resamples, the same for all cells of the slice.
    pub resampled: Resampled,
}

impl<'a> PairContest<'a> {
    /// One contest for each slice of pairs that has cells, but for those that others' choices come from; `before` contests of
    /// other kinds come first in the report.
    pub fn all(run: &'a RunRecord, before: usize) -> Vec<Self> {
        let with_cells = |slice: &&SliceRecord| {
            slice.kind != Kind::Classification && run.cells.iter().any(|cell| cell.choices.slice == slice.id)
        };
        let slices: Vec<&SliceRecord> = run.provenance.slices.iter().filter(with_cells).collect();
        let dev: Vec<Option<&SliceRecord>> = slices.iter().map(|slice| chosen_on(run, slice)).collect();
        let serves = |slice: &SliceRecord| dev.iter().flatten().any(|dev| dev.id == slice.id);
        let contested = slices.iter().zip(&dev).filter(|(slice, _)| !serves(slice));
        contested.enumerate().map(|(i, (slice, dev))| Self::on(run, slice, *dev, before + i + 1)).collect()
    }

    /// One contest for each slice that others' choices come from, which these contests leave out; they rank by themselves.
    pub fn of_dev(run: &'a RunRecord, contests: &[Self]) -> Vec<Self> {
        let mut slices: Vec<&SliceRecord> = contests.iter().filter_map(|contest| contest.chosen_on).collect();
        slices.sort_by_key(|slice| &slice.id);
        slices.dedup_by_key(|slice| &slice.id);
        slices.into_iter().map(|slice| Self::on(run, slice, None, 0)).collect()
    }

    fn on(run: &'a RunRecord, slice: &'a SliceRecord, chosen_on: Option<&'a SliceRecord>, number: usize) -> Self {
        let samples = run.samples.get(&slice.id).map_or(&[][..], |texts| texts.as_slice());
        let (task, gold) = (run.provenance.task(slice.kind), PairGold::of(samples));
        let cells = || run.cells.iter().enumerate().filter(|(_, cell)| cell.choices.slice == slice.id);
        let mut entries: Vec<PairEntry> =
            cells().filter_map(|(order, cell)| PairEntry::new(run, cell, order, chosen_on, (task, &gold))).collect();
        let judged = |entry: &PairEntry| {
            if chosen_on.is_none() { entry.value.value } else { entry.dev_value().map_or(f64::NEG_INFINITY, |dev| dev.value) }
        };
        entries.sort_by(|a, b| judged(b).total_cmp(&judged(a)).then(a.order.cmp(&b.order)));
        let named = run.provenance.reference.as_ref().and_then(|id| run.cells.iter().find(|cell| cell.id == *id));
        // The named cell may be one of another task.
        let own = entries.first().and_then(|entry| counterpart(run, named?, entry.cell.choices.task, &slice.id));
        let reference = own.and_then(|cell| entries.iter().position(|entry| entry.cell.id == cell.id));
        let failed = cells().filter(|(_, cell)| cell.failure().is_some()).count();
        Self { run, slice, samples, gold, entries, failed, chosen_on, reference, task, number }
    }

    /// The name of the metric that cells are ranked by.
    pub fn metric(&self) -> &'static str {
        match self.task {
            Some(Task::PairClassification { protocol: Some(Protocol::Mteb), .. }) => "max_ap",
            Some(Task::PairClassification { .. }) => "ap",
            _ => "spearman",
        }
    }

    /// The metric as a sentence or a column's head calls it.
    pub fn metric_title(&self) -> &'static str {
        match (self.metric(), self.task) {
            ("max_ap", _) => "largest average precision",
            ("ap", _) => "average precision",
            (_, Some(Task::Sts { aggregate: Aggregate::PerSubset, .. })) => "mean Spearman of the subsets",
            _ => "Spearman",
        }
    }

    /// What is done with such pairs, and by whose definition.
    pub fn task_sentence(&self) -> &'static str {
        match self.task {
            Some(Task::PairClassification { protocol: Some(_), .. }) => {
                "Pair classification by MTEB's definition: the largest average precision of cosine, dot product, Euclidean and Manhattan distance."
            }
            Some(Task::PairClassification { .. }) => {
                "Pair classification: whether the cosine of two texts tells pairs that are the same from others."
            }
            Some(Task::Sts { aggregate: Aggregate::PerSubset, .. }) => {
                "Textual similarity: Spearman's correlation, in each subset, of the cosine of two texts with the score that people gave; then the mean."
            }
            _ => {
                "Textual similarity: Spearman's correlation of the cosine of two texts with the score that people gave, over all pairs."
            }
        }
    }

    /// The slice as the head of a report names it.
    pub fn described(&self) -> String {
        let size = counted(self.slice.samples, "pair");
        let from = self.chosen_on.map(|dev| format!(", chosen on {} ({})", code(&dev.id), counted(dev.samples, "pair")));
        format!("{} ({size}){}", code(&self.slice.id), from.unwrap_or_default())
    }

    /// Name of a figure's file: numbered when the report has several contests.
    pub fn file(&self, figure: &str) -> String {
        if self.number == 1 { format!("{figure}.svg") } else { format!("{figure}-{}.svg", self.number) }
    }

    /// The best cell.
    pub fn best(&self) -> Option<&PairEntry<'a>> {
        self.entries.first()
    }

    pub fn reference_entry(&self) -> Option<&PairEntry<'a>> {
        self.entries.get(self.reference?)
    }

    /// The axes on which cells of pairs have choices.
    pub fn axes(&self) -> Vec<Axis> {
        let chosen = |axis: &Axis| self.entries.iter().any(|entry| entry.on(*axis) != NO_CHOICE);
        AXES.into_iter().filter(chosen).collect()
    }

    /// The axes that all scored cells agree on but model and prompt are not worth a column.
    pub fn shown_axes(&self) -> Vec<Axis> {
        let differ = |axis: Axis| self.entries.iter().any(|entry| entry.on(axis) != self.entries[0].on(axis));
        self.axes().into_iter().filter(|&axis| matches!(axis, Axis::Model | Axis::Prompt) || differ(axis)).collect()
    }

    /// The columns between the ranking's metric and the comparison: each metric's name and head.
    pub fn further(&self) -> &'static [(&'static str, &'static str)] {
        match self.metric() {
            "spearman" => &[("pearson", "Pearson")],
            "ap" => &[("auc", "AUC"), ("accuracy", "accuracy"), ("f1", "F1")],
            _ => &[("cosine_ap", "AP, cosine"), ("max_accuracy", "oracle's accuracy"), ("max_f1", "oracle's F1")],
        }
    }

    /// The cells, where the best of them is picked.
    pub fn choice(&self) -> Choice {
        let samples =
            self.chosen_on.and_then(|dev| self.run.samples.get(&dev.id)).map_or(self.samples, |texts| texts.as_slice());
        let gold = PairGold::of(samples);
        let mut in_plan: Vec<&PairEntry> = self.entries.iter().collect();
        in_plan.sort_by_key(|entry| entry.order);
        let figure = |entry: &&PairEntry| {
            let paired = if self.chosen_on.is_some() { entry.on_dev?.paired()? } else { entry.paired };
            Some(agreement(self.task, paired, &gold))
        };
        Choice { cells: in_plan.iter().filter_map(figure).collect(), clusters: gold.clusters.clone() }
    }

    /// One cell's metric minus another's on the same pairs, and how likely that is by chance alone.
    pub fn difference(entry: &PairEntry, other: &PairEntry) -> Option<(Estimate, f64)> {
        let gain = entry.resampled.minus(&other.resampled);
        Some((gain.estimate()?, gain.p_value()))
    }

    /// The p-value of each cell against the reference, corrected over all of them; None for the reference itself. With the
    /// differences they belong to.
    pub fn against_reference(&self) -> Vec<Option<(Estimate, f64)>> {
        self.against(self.reference_entry())
    }

    /// The same against any of the entries.
    pub fn against(&self, other: Option<&PairEntry>) -> Vec<Option<(Estimate, f64)>> {
        let Some(other) = other else { return vec![None; self.entries.len()] };
        let others = |entry: &PairEntry| (entry.cell.id != other.cell.id).then(|| Self::difference(entry, other))?;
        let raw: Vec<Option<(Estimate, f64)>> = self.entries.iter().map(others).collect();
        let p: Vec<f64> = raw.iter().flatten().map(|(_, p)| *p).collect();
        let mut adjusted = self.run.provenance.correction.adjust(&p).into_iter();
        raw.into_iter().map(|found| found.and_then(|(difference, _)| Some((difference, adjusted.next()?)))).collect()
    }
}

impl<'a> PairEntry<'a> {
    fn new(
        run: &'a RunRecord,
        cell: &'a CellRecord,
        order: usize,
        dev: Option<&SliceRecord>,
        (task, gold): (Option<&Task>, &PairGold),
    ) -> Option<Self> {
        let (paired, value) = (cell.paired()?, cell.headline()?.estimate?);
        let model = run.provenance.models.iter().find(|model| model.id == cell.choices.model);
        let floor = model.is_some_and(|model| model.source.starts_with("builtin:"));
        let resampled = agreement(task, paired, gold).resampled(&gold.clusters, run.provenance.seed);
        Some(Self { cell, paired, value, on_dev: dev.and_then(|dev| twin(run, cell, &dev.id)), floor, order, resampled })
    }

    /// The metric on the slice that the ranking comes from.
    pub fn dev_value(&self) -> Option<Estimate> {
        self.on_dev?.headline()?.estimate
    }

    pub fn on(&self, axis: Axis) -> &'a str {
        self.cell.choices.on(axis)
    }

    /// The metric on resamples of the pairs, the same for all cells of the slice; None where it is undefined.
    pub fn drawn(&self) -> &[Option<f64>] {
        self.resampled.drawn()
    }
}

/// The metric of a cell, as its task has it.
fn agreement(task: Option<&Task>, paired: &Paired, gold: &PairGold) -> Agreement {
    match task {
        Some(Task::PairClassification { .. }) => {
            let measures = paired.scores.len() / paired.samples.len().max(1);
            let of = |place: usize| paired.scores.iter().skip(place).step_by(measures.max(1)).copied().collect();
            let all: Vec<Vec<f64>> = (0..measures).map(of).collect();
            Agreement::precision(&all, gold.gold.iter().map(|&gold| gold > 0.5).collect())
        }
        Some(Task::Sts { aggregate: Aggregate::PerSubset, .. }) => {
            Agreement::rank(&paired.cosines(), &gold.gold, &gold.parts())
        }
        _ => Agreement::rank(&paired.cosines(), &gold.gold, &[]),
    }
}

/// The slice that choices for this one are made on.
fn chosen_on<'a>(run: &'a RunRecord, slice: &SliceRecord) -> Option<&'a SliceRecord> {
    let Some(Task::PairClassification { thresholds_from: Some(from), .. }) = run.provenance.task(slice.kind) else {
        return slice.kind.tasks().iter().find_map(|task| dev_slice(run, *task, slice));
    };
    let has_scores = |id: &str| run.cells.iter().any(|cell| cell.choices.slice == id && cell.failure().is_none());
    run.provenance.slice(from).filter(|from| from.id != slice.id && has_scores(&from.id) && has_scores(&slice.id))
}

/// A correlation or a precision times a hundred: `82.03`.
pub fn hundredths(value: f64) -> String {
    decimal(100.0 * value, 2)
}

/// The same with its interval: `82.03 [80.11, 83.76]`.
pub fn with_interval(estimate: &Estimate) -> String {
    let ends = estimate.interval.map(|ends| format!(" [{}, {}]", hundredths(ends.low), hundredths(ends.high)));
    format!("{}{}", hundredths(estimate.value), ends.unwrap_or_default())
}
