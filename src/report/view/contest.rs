//! The cells that compete in one task on one slice: ranked, with the floor and the reference they are held against.

use std::collections::BTreeSet;

use super::Axis;
use crate::report::escape::code;
use crate::report::number::counted;
use crate::results::{CellRecord, Choices, NO_CHOICE, Outcome, RunRecord, SampleText, Scored, SliceRecord};
use crate::spec::{Companion, Draws, Senteval, Task, TaskKind};
use crate::stats::{self, Estimate, PairedDifference};

/// All axes but slice and task, in the order they are written.
pub const AXES: [Axis; Axis::ALL.len() - 2] = all_but_slice_and_task();

const fn all_but_slice_and_task() -> [Axis; Axis::ALL.len() - 2] {
    let mut axes = [Axis::Model; Axis::ALL.len() - 2];
    let (mut from, mut to) = (0, 0);
    while from < Axis::ALL.len() {
        if !matches!(Axis::ALL[from], Axis::Slice | Axis::Task) {
            axes[to] = Axis::ALL[from];
            to += 1;
        }
        from += 1;
    }
    axes
}

/// The cells of one task on one slice.
pub struct Contest<'a> {
    pub run: &'a RunRecord,
    /// Its place among the report's contests, from 1.
    pub number: usize,
    pub slice: &'a SliceRecord,
    /// One that gives each text a label.
    pub task: TaskKind,
    pub samples: &'a [SampleText],
    /// Cells with an accuracy, best first: by the dev slice where there is one, else by this slice.
    pub entries: Vec<Entry<'a>>,
    pub failed: usize,
    /// The dev slice that the ranking, and so the best cell, comes from.
    pub chosen_on: Option<&'a SliceRecord>,
    pub reference: Reference,
}

/// The cell that others are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Its place among the entries.
    Entry(usize),
    Failed(String),
    /// The run names none, or it is not a cell of this slice.
    Absent,
}

/// A cell with an accuracy.
pub struct Entry<'a> {
    pub cell: &'a CellRecord,
    pub scored: &'a Scored,
    pub accuracy: Estimate,
    /// The cell with the same choices on the dev slice, if it has an accuracy there.
    pub on_dev: Option<&'a CellRecord>,
    /// Accuracy and macro F1 where the choice is made: on the dev slice where there is one, below all others without.
    ranking: (f64, f64),
    /// Whether each sample got its right label; empty when the results hold no predictions.
    pub right: Vec<bool>,
    /// Whether it is the lexical floor rather than a language model.
    pub floor: bool,
    /// Place in the plan.
    pub order: usize,
}

impl<'a> Contest<'a> {
    /// One contest for each task and slice of labelled texts that have cells, in the order of the tasks; none for dev slices that
    /// another one's choices come from.
    pub fn all(run: &'a RunRecord) -> Vec<Self> {
        let mut contests = Vec::new();
        for task in tasks(run) {
            let slices: Vec<&SliceRecord> = run.provenance.slices.iter().filter(|slice| has_cells(run, task, slice)).collect();
            let chosen_on: Vec<Option<&SliceRecord>> = slices.iter().map(|slice| dev_slice(run, task, slice)).collect();
            let serves = |slice: &SliceRecord| chosen_on.iter().flatten().any(|dev| dev.id == slice.id);
            for (slice, dev) in slices.iter().zip(&chosen_on).filter(|(slice, _)| !serves(slice)) {
                contests.push(Self::on(run, task, slice, *dev, contests.len() + 1));
            }
        }
        contests
    }

    /// All contests: those of [`Self::all`], then those of dev slices.
    pub fn everywhere(run: &'a RunRecord) -> Vec<Self> {
        let mut contests = Self::all(run);
        let left_out = Self::of_dev(run, &contests);
        contests.extend(left_out);
        contests
    }

    /// One contest for each task and dev slice that these contests leave out; they rank by themselves.
    pub fn of_dev(run: &'a RunRecord, contests: &[Self]) -> Vec<Self> {
        let mut left_out: Vec<Self> = Vec::new();
        for task in tasks(run) {
            for slice in run.provenance.slices.iter().filter(|slice| has_cells(run, task, slice)) {
                if !contests.iter().any(|contest| contest.task == task && contest.slice.id == slice.id) {
                    left_out.push(Self::on(run, task, slice, None, contests.len() + left_out.len() + 1));
                }
            }
        }
        left_out
    }

    /// What is done with the texts.
    pub fn task_sentence(&self) -> String {
        let train = |train: &Companion| match train {
            Companion::Slice(id) => format!("slice {}", code(id)),
            Companion::Itself => "the slice itself".to_owned(),
            Companion::Split { dataset: None, split } => format!("split {}", code(split)),
            Companion::Split { dataset: Some(dataset), split } => format!("split {} of {}", code(split), code(dataset)),
        };
        match self.recorded_task() {
            Some(Task::LinearProbe { train: Companion::Itself, senteval: Some(Senteval { folds, .. }), .. }) => format!(
                "Linear probe by SentEval's protocol: logistic regression on frozen vectors; each of {folds} folds is answered for by what is learnt from the others, with a penalty that folds of those pick; ranked by the mean over the folds."
            ),
            Some(Task::LinearProbe { train: from, senteval: Some(Senteval { folds, dev }), .. }) => {
                let judge = dev.as_ref().map_or(format!("{folds} folds of it"), train);
                format!(
                    "Linear probe by SentEval's protocol: logistic regression on frozen vectors, learnt from {}, with a penalty picked on {judge}.",
                    train(from)
                )
            }
            Some(Task::LinearProbe { train: from, c, draws: None, .. }) => {
                format!("Linear probe: logistic regression (C = {c}) on frozen vectors, learnt from {}.", train(from))
            }
            Some(Task::LinearProbe { train: from, c, draws: Some(Draws { samples_per_label, experiments }), .. }) => format!(
                "Linear probe by MTEB's protocol: logistic regression (C = {c}) on frozen vectors, learnt {experiments} times from {} of each label, drawn from {}; ranked by the mean, while answers are those of the first.",
                counted(*samples_per_label, "text"),
                train(from)
            ),
            Some(Task::Knn { train: from, k, .. }) => {
                format!(
                    "Nearest neighbours: each text gets the label that most of the {k} nearest texts of {} have, by cosine.",
                    train(from)
                )
            }
            _ => "Label similarity: each text gets the label whose wording is closest by cosine.".to_owned(),
        }
    }

    /// Whether a probe learns by `SentEval`'s rules.
    pub fn by_senteval(&self) -> bool {
        matches!(self.recorded_task(), Some(Task::LinearProbe { senteval: Some(_), .. }))
    }

    /// Whether labels of a cell are texts that were drawn, not words.
    pub fn shows_texts(&self, entry: &Entry) -> bool {
        let known = self.run.provenance.labels.iter().find(|labels| labels.id == entry.on(Axis::Labels));
        known.is_some_and(|labels| labels.shots.is_some())
    }

    fn recorded_task(&self) -> Option<&'a Task> {
        Task::on(&self.run.provenance.tasks, self.task, &self.slice.id)
    }

    fn on(
        run: &'a RunRecord,
        task: TaskKind,
        slice: &'a SliceRecord,
        chosen_on: Option<&'a SliceRecord>,
        number: usize,
    ) -> Self {
        let own = |cell: &CellRecord| cell.choices.slice == slice.id && cell.choices.task == task;
        let cells = || run.cells.iter().enumerate().filter(|(_, cell)| own(cell));
        let mut entries: Vec<Entry> = cells().filter_map(|(order, cell)| Entry::new(run, cell, order, chosen_on)).collect();
        entries
            .sort_by(|a, b| b.ranking.partial_cmp(&a.ranking).unwrap_or(std::cmp::Ordering::Equal).then(a.order.cmp(&b.order)));
        let failed = cells().count() - entries.len();
        let reference = reference(run, task, slice, &entries);
        let samples = run.samples.get(&slice.id).map_or(&[][..], |texts| texts.as_slice());
        Self { run, number, slice, task, samples, entries, failed, chosen_on, reference }
    }

    /// The best cell.
    pub fn best(&self) -> Option<&Entry<'a>> {
        self.entries.first()
    }

    /// The best cell of the lexical floor.
    pub fn floor(&self) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.floor)
    }

    /// The best cell that is not the lexical floor.
    pub fn best_model(&self) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| !entry.floor)
    }

    pub fn reference_entry(&self) -> Option<&Entry<'a>> {
        match self.reference {
            Reference::Entry(place) => self.entries.get(place),
            Reference::Failed(_) | Reference::Absent => None,
        }
    }

    /// The ids on an axis among scored cells, in plan order.
    pub fn choices(&self, axis: Axis) -> Vec<&'a str> {
        distinct(self.entries.iter(), axis)
    }

    /// Axes on which scored cells differ.
    pub fn varying(&self) -> Vec<Axis> {
        AXES.into_iter().filter(|axis| self.choices(*axis).len() > 1).collect()
    }

    /// Samples of the slice by label.
    pub fn gold_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.slice.labels.len()];
        for sample in self.samples {
            if let Some(count) = sample.gold.label().and_then(|label| counts.get_mut(label)) {
                *count += 1;
            }
        }
        counts
    }

    /// Name of a figure's file: numbered when the report has several contests.
    pub fn file(&self, figure: &str) -> String {
        if self.number == 1 { format!("{figure}.svg") } else { format!("{figure}-{}.svg", self.number) }
    }

    /// A label of the slice.
    pub fn label(&self, index: usize) -> &'a str {
        self.slice.labels.get(index).map_or("?", String::as_str)
    }
}

impl<'a> Entry<'a> {
    fn new(run: &'a RunRecord, cell: &'a CellRecord, order: usize, dev: Option<&SliceRecord>) -> Option<Self> {
        let (scored, accuracy) = (cell.scored()?, cell.estimate("accuracy")?);
        let on_dev = dev.and_then(|dev| twin(run, cell, &dev.id)).filter(|twin| twin.estimate("accuracy").is_some());
        let judged = if dev.is_some() { on_dev } else { Some(cell) };
        let value = |metric: &str| Some(judged?.estimate(metric)?.value);
        let ranking = (value("mean_accuracy").or(value("accuracy")).unwrap_or(-1.0), value("macro_f1").unwrap_or(0.0));
        let right = scored.samples.iter().map(|sample| sample.gold == sample.predicted).collect();
        let model = run.provenance.models.iter().find(|model| model.id == cell.choices.model);
        let floor = model.is_some_and(|model| model.source.starts_with("builtin:"));
        Some(Self { cell, scored, accuracy, on_dev, ranking, right, floor, order })
    }

    /// The accuracy it was ranked by, when that is another slice's.
    pub fn dev_accuracy(&self) -> Option<Estimate> {
        self.on_dev?.estimate("accuracy")
    }

    /// This cell's accuracy minus another's on the same samples; None without predictions.
    pub fn against(&self, other: &Self) -> Option<PairedDifference> {
        let comparable = !self.right.is_empty() && self.right.len() == other.right.len();
        comparable.then(|| stats::paired_accuracy(&self.right, &other.right))
    }

    /// The ids on these axes, joined.
    pub fn name(&self, axes: &[Axis]) -> String {
        axes.iter().map(|axis| self.cell.choices.on(*axis)).collect::<Vec<_>>().join(" · ")
    }

    pub fn on(&self, axis: Axis) -> &'a str {
        self.cell.choices.on(axis)
    }
}

/// The ids on an axis among these cells, in plan order.
pub fn distinct<'e, 'a: 'e>(entries: impl Iterator<Item = &'e Entry<'a>>, axis: Axis) -> Vec<&'a str> {
    let mut ordered: Vec<&Entry<'a>> = entries.collect();
    ordered.sort_by_key(|entry| entry.order);
    let mut ids = Vec::new();
    for entry in ordered {
        if !ids.contains(&entry.on(axis)) {
            ids.push(entry.on(axis));
        }
    }
    ids
}

/// The cell with the same choices on another slice.
pub fn twin<'a>(run: &'a RunRecord, cell: &CellRecord, slice: &str) -> Option<&'a CellRecord> {
    let wanted = Choices { slice: slice.to_owned(), ..cell.choices.clone() };
    run.cells.iter().find(|other| other.choices == wanted)
}

/// The tasks that give texts labels and have cells, in the order of the spec.
fn tasks(run: &RunRecord) -> Vec<TaskKind> {
    let mut tasks: Vec<TaskKind> = run
        .cells
        .iter()
        .map(|cell| cell.choices.task)
        .filter(|task| task.labels_texts())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    tasks.sort_by_key(|task| run.provenance.place(*task));
    tasks
}

fn has_cells(run: &RunRecord, task: TaskKind, slice: &SliceRecord) -> bool {
    run.cells.iter().any(|cell| cell.choices.slice == slice.id && cell.choices.task == task)
}

fn reference(run: &RunRecord, task: TaskKind, slice: &SliceRecord, entries: &[Entry]) -> Reference {
    let Some(id) = &run.provenance.reference else { return Reference::Absent };
    let named = run.cells.iter().find(|cell| cell.id == *id);
    let Some(cell) = named.and_then(|cell| counterpart(run, cell, task, &slice.id)) else { return Reference::Absent };
    match (&cell.outcome, entries.iter().position(|entry| entry.cell.id == cell.id)) {
        (_, Some(place)) => Reference::Entry(place),
        (Outcome::Failed { reason }, None) => Reference::Failed(reason.clone()),
        (Outcome::Scored(_) | Outcome::Measured(_), None) => Reference::Failed("it has no accuracy".to_owned()),
    }
}

/// The first cell of a task on a slice that agrees with another one on every axis on which both have a choice.
pub fn counterpart<'a>(run: &'a RunRecord, cell: &CellRecord, task: TaskKind, slice: &str) -> Option<&'a CellRecord> {
    let agree = |other: &CellRecord, axis: Axis| {
        let [own, others] = [cell, other].map(|cell| cell.choices.on(axis));
        own == others || own == NO_CHOICE || others == NO_CHOICE
    };
    let of_task = run.cells.iter().filter(|other| other.choices.task == task && other.choices.slice == slice);
    let mut fitting = of_task.filter(|other| AXES.into_iter().all(|axis| agree(other, axis)));
    fitting.next()
}

/// The first slice that choices for this one may be made on in a task; None unless both have scores.
pub fn dev_slice<'a>(run: &'a RunRecord, task: TaskKind, test: &SliceRecord) -> Option<&'a SliceRecord> {
    let of_task = |cell: &&CellRecord| cell.choices.task == task && cell.failure().is_none();
    let scored = |slice: &SliceRecord| run.cells.iter().filter(of_task).any(|cell| cell.choices.slice == slice.id);
    let mut slices = run.provenance.slices.iter();
    if scored(test) { slices.find(|dev| is_pair(dev, test) && scored(dev)) } else { None }
}

/// Whether choices made on `dev` may be reported on `test`.
fn is_pair(dev: &SliceRecord, test: &SliceRecord) -> bool {
    let same_task = dev.origin.dataset == test.origin.dataset && dev.labels == test.labels && dev.kind == test.kind;
    let words = |slice: &SliceRecord| -> Vec<String> {
        slice.origin.split.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    let tunes = |word: &String| matches!(word.as_str(), "dev" | "validation" | "valid" | "val" | "tune");
    let tests = |word: &String| word == "test";
    same_task && words(dev).iter().any(tunes) && !words(test).iter().any(tunes) && words(test).iter().any(tests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// Slices of one dataset by split; those in `scored` have a cell.
    fn run(splits: &[&str], scored: &[&str]) -> RunRecord {
        let mut record = fixture::run("slices");
        fixture::model(&mut record, "tiny", "path:models/tiny");
        splits.iter().for_each(|split| fixture::slice(&mut record, split, split, &["a", "b"], 4));
        scored.iter().for_each(|id| fixture::score(&mut record, ["tiny", "x", "last", id, "names", "none"], 0.1, false));
        record
    }

    /// Each contest as `slice<dev slice`.
    fn contests(splits: &[&str], scored: &[&str]) -> String {
        let name = |contest: &Contest| match contest.chosen_on {
            Some(dev) => format!("{}<{}", contest.slice.id, dev.id),
            None => contest.slice.id.clone(),
        };
        Contest::all(&run(splits, scored)).iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_the_dev_slice_that_chooses_is_hidden() {
        assert_eq!(contests(&["dev", "test"], &["dev", "test"]), "test<dev");
        assert_eq!(contests(&["dev-1", "dev-2", "test"], &["dev-1", "dev-2", "test"]), "dev-2 test<dev-1");
        assert_eq!(contests(&["dev-1", "dev-2", "test"], &["dev-2", "test"]), "test<dev-2");
    }

    #[test]
    fn a_slice_without_cells_is_left_out() {
        assert_eq!(contests(&["dev", "test"], &["test"]), "test");
        assert_eq!(contests(&["dev", "test"], &["dev"]), "dev");
        assert_eq!(contests(&["dev", "test"], &[]), "");
    }
}
