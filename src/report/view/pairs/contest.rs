//! The cells that compete in one task that measures samples one by one, on one slice: pairs, queries, clusters. Ranked by their
//! task's first metric.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::escape::code;
use crate::report::number::{counted, decimal};
use crate::report::view::contest::{AXES, counterpart, dev_slice, twin};
use crate::report::view::selection::Choice;
use crate::results::{Axis, CellRecord, Kind, Measured, PairGold, RunRecord, SampleText, SliceRecord};
use crate::spec::{Aggregate, Protocol, Task, TaskKind};
use crate::stats::{Agreement, Estimate, Resampled};

/// The cells of one task on one slice.
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
    pub task_kind: TaskKind,
    /// None where the run does not record it.
    pub task: Option<&'a Task>,
    /// Its place among the report's contests, from 1.
    number: usize,
}

/// A scored cell.
pub struct PairEntry<'a> {
    pub cell: &'a CellRecord,
    pub paired: &'a Measured,
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
    /// One contest for each task and slice that have cells, but for the slices that others' choices come from, in the order of the
    /// tasks; `before` contests of other kinds come first in the report.
    pub fn all(run: &'a RunRecord, before: usize) -> Vec<Self> {
        let kinds: BTreeSet<TaskKind> =
            run.cells.iter().map(|cell| cell.choices.task).filter(|task| !task.labels_texts()).collect();
        let mut kinds: Vec<TaskKind> = kinds.into_iter().collect();
        kinds.sort_by_key(|kind| run.provenance.place(*kind));
        let mut contests = Vec::new();
        for kind in kinds {
            let has_cells =
                |slice: &&SliceRecord| run.cells.iter().any(|cell| cell.choices.slice == slice.id && cell.choices.task == kind);
            let slices: Vec<&SliceRecord> = run.provenance.slices.iter().filter(has_cells).collect();
            let dev: Vec<Option<&SliceRecord>> = slices.iter().map(|slice| chosen_on(run, kind, slice)).collect();
            let serves = |slice: &SliceRecord| dev.iter().flatten().any(|dev| dev.id == slice.id);
            for (slice, dev) in slices.iter().zip(&dev).filter(|(slice, _)| !serves(slice)) {
                contests.push(Self::on(run, kind, slice, *dev, before + contests.len() + 1));
            }
        }
        contests
    }

    /// One contest for each slice that others' choices come from, which these contests leave out; they rank by themselves.
    pub fn of_dev(run: &'a RunRecord, contests: &[Self]) -> Vec<Self> {
        let chosen_on = |contest: &Self| contest.chosen_on.map(|slice| ((contest.task_kind, &slice.id), slice));
        let dev: BTreeMap<(TaskKind, &String), &SliceRecord> = contests.iter().filter_map(chosen_on).collect();
        dev.into_iter().map(|((kind, _), slice)| Self::on(run, kind, slice, None, 0)).collect()
    }

    fn on(
        run: &'a RunRecord,
        task_kind: TaskKind,
        slice: &'a SliceRecord,
        chosen_on: Option<&'a SliceRecord>,
        number: usize,
    ) -> Self {
        let samples = run.samples.get(&slice.id).map_or(&[][..], |texts| texts.as_slice());
        let task = Task::on(&run.provenance.tasks, task_kind, &slice.id);
        let gold = PairGold::of(samples);
        let own = move |cell: &CellRecord| cell.choices.slice == slice.id && cell.choices.task == task_kind;
        let cells = || run.cells.iter().enumerate().filter(move |(_, cell)| own(cell));
        let mut entries: Vec<PairEntry> =
            cells().filter_map(|(order, cell)| PairEntry::new(run, cell, order, chosen_on, (task, &gold))).collect();
        let judged = |entry: &PairEntry| {
            if chosen_on.is_none() { entry.value.value } else { entry.dev_value().map_or(f64::NEG_INFINITY, |dev| dev.value) }
        };
        entries.sort_by(|a, b| judged(b).total_cmp(&judged(a)).then(a.order.cmp(&b.order)));
        let named = run.provenance.reference.as_ref().and_then(|id| run.cells.iter().find(|cell| cell.id == *id));
        // The named cell may be one of another task.
        let own = named.and_then(|cell| counterpart(run, cell, task_kind, &slice.id));
        let reference = own.and_then(|cell| entries.iter().position(|entry| entry.cell.id == cell.id));
        let failed = cells().filter(|(_, cell)| cell.failure().is_some()).count();
        Self { run, slice, samples, gold, entries, failed, chosen_on, reference, task_kind, task, number }
    }

    /// The name of the metric that cells are ranked by.
    pub fn metric(&self) -> &'static str {
        match (self.task_kind, self.task) {
            (TaskKind::Retrieval, _) => "ndcg_at_10",
            (TaskKind::Clustering, _) => "v_measure",
            (TaskKind::PairClassification, Some(Task::PairClassification { protocol: Some(Protocol::Mteb), .. })) => "max_ap",
            (TaskKind::PairClassification, _) => "ap",
            _ => "spearman",
        }
    }

    /// The metric as a sentence or a column's head calls it.
    pub fn metric_title(&self) -> &'static str {
        match (self.metric(), self.task) {
            ("ndcg_at_10", _) => "nDCG@10",
            ("v_measure", _) => "V-measure",
            ("max_ap", _) => "largest average precision",
            ("ap", _) => "average precision",
            (_, Some(Task::Sts { aggregate: Aggregate::PerSubset, .. })) => "mean Spearman of the subsets",
            _ => "Spearman",
        }
    }

    /// Whether its samples are pairs of texts.
    pub fn of_pairs(&self) -> bool {
        self.slice.kind.is_pairs()
    }

    /// Whether documents of equal cosines have the order of their ids.
    pub const fn ties_by_id(&self) -> bool {
        matches!(self.task, Some(Task::Retrieval { protocol: Some(_), .. }))
    }

    /// What one sample is called.
    pub fn noun(&self) -> &'static str {
        match self.task_kind {
            TaskKind::Retrieval => "query",
            TaskKind::Clustering => "text",
            _ => "pair",
        }
    }

    /// The label of each text.
    pub fn labels(&self) -> Vec<usize> {
        self.samples.iter().filter_map(|sample| sample.gold.label()).collect()
    }

    /// What is done with the samples, and by whose definition.
    pub fn task_sentence(&self) -> &'static str {
        match self.task {
            Some(Task::Retrieval { .. }) if self.slice.kind == Kind::Retrieval => {
                "Retrieval: whether the documents nearest to a query by cosine are those that were judged relevant to it; exact search."
            }
            Some(Task::Retrieval { documents: Some(_), .. }) => {
                "Retrieval: whether the documents nearest to a text by cosine, of another slice, have its label; exact search."
            }
            Some(Task::Retrieval { documents: None, .. }) => {
                "Retrieval: whether the texts of the slice nearest to each of them by cosine have its label; exact search."
            }
            Some(Task::Clustering { .. }) => {
                "Clustering: whether k-means brings texts of one label together: the harmonic mean of how pure and how whole clusters are."
            }
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
        let noun = match self.slice.kind {
            Kind::Pairs | Kind::Sts => "pair",
            Kind::Retrieval => "query",
            Kind::Classification | Kind::Documents => "text",
        };
        let size = counted(self.slice.samples, noun);
        let from = self.chosen_on.map(|dev| format!(", chosen on {} ({})", code(&dev.id), counted(dev.samples, noun)));
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
        let chosen = |axis: &Axis| self.entries.iter().any(|entry| entry.cell.choices.names(*axis));
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
            "ndcg_at_10" => &[("map", "MAP"), ("mrr", "MRR"), ("recall_at_10", "recall@10"), ("precision_at_1", "precision@1")],
            "v_measure" => {
                &[("homogeneity", "homogeneity"), ("completeness", "completeness"), ("adjusted_rand", "adjusted Rand")]
            }
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
            let paired = if self.chosen_on.is_some() { entry.on_dev?.measured()? } else { entry.paired };
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
        let (paired, value) = (cell.measured()?, cell.headline()?.estimate?);
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
fn agreement(task: Option<&Task>, paired: &Measured, gold: &PairGold) -> Agreement {
    match task {
        Some(Task::Retrieval { .. }) => Agreement::mean(paired.figures().collect()),
        Some(Task::Clustering { .. }) => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a label's index, from 0")]
            let labels = gold.gold.iter().map(|label| *label as usize).collect();
            Agreement::parts(labels, paired.clusters().collect())
        }
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
fn chosen_on<'a>(run: &'a RunRecord, kind: TaskKind, slice: &SliceRecord) -> Option<&'a SliceRecord> {
    let task = Task::on(&run.provenance.tasks, kind, &slice.id);
    let Some(Task::PairClassification { thresholds_from: Some(from), .. }) = task else {
        return dev_slice(run, kind, slice);
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
