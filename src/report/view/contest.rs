//! The cells that compete on one slice: ranked, with the floor and the reference they are held against.

use super::Axis;
use crate::results::{CellRecord, Choices, MetricRow, Outcome, RunRecord, SampleText, Scored, SliceRecord};
use crate::stats::{self, Estimate, PairedDifference};

/// All axes but the slice, in the order they are written.
pub const AXES: [Axis; 5] = [Axis::Model, Axis::Prompt, Axis::Readout, Axis::Labels, Axis::Calibration];

/// The cells of one slice.
pub struct Contest<'a> {
    pub run: &'a RunRecord,
    /// Its place among the report's contests, from 1.
    pub number: usize,
    pub slice: &'a SliceRecord,
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
    /// What it was ranked by, when that is another slice's accuracy.
    pub on_dev: Option<Estimate>,
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
    /// One contest for each slice of the run, dev slices that serve a test slice left out.
    pub fn all(run: &'a RunRecord) -> Vec<Self> {
        let slices = &run.provenance.slices;
        let serves = |dev: &SliceRecord| slices.iter().any(|slice| is_pair(dev, slice) && has_scores(run, dev));
        let contested = slices.iter().filter(|slice| !serves(slice));
        contested.enumerate().map(|(i, slice)| Self::on(run, slice, i + 1)).collect()
    }

    fn on(run: &'a RunRecord, slice: &'a SliceRecord, number: usize) -> Self {
        let chosen_on = run.provenance.slices.iter().find(|dev| is_pair(dev, slice) && has_scores(run, dev));
        let cells = || run.cells.iter().enumerate().filter(|(_, cell)| cell.choices.slice == slice.id);
        let mut entries: Vec<Entry> = cells().filter_map(|(order, cell)| Entry::new(run, cell, order, chosen_on)).collect();
        entries
            .sort_by(|a, b| b.ranking.partial_cmp(&a.ranking).unwrap_or(std::cmp::Ordering::Equal).then(a.order.cmp(&b.order)));
        let failed = cells().count() - entries.len();
        let reference = reference(run, slice, &entries);
        let samples = run.samples.get(&slice.id).map_or(&[][..], Vec::as_slice);
        Self { run, number, slice, samples, entries, failed, chosen_on, reference }
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
            if let Some(count) = counts.get_mut(sample.gold) {
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
        let scored = scores(cell)?;
        let accuracy = metric(scored, "accuracy")?;
        let on_dev = dev.and_then(|dev| twin(run, cell, &dev.id)).and_then(scores);
        let judged = if dev.is_some() { on_dev } else { Some(scored) };
        let judged = judged.and_then(|judged| Some((metric(judged, "accuracy")?.value, metric(judged, "macro_f1"))));
        let ranking = judged.map_or((-1.0, 0.0), |(accuracy, f1)| (accuracy, f1.map_or(0.0, |f1| f1.value)));
        let on_dev = on_dev.and_then(|scored| metric(scored, "accuracy"));
        let right = scored.samples.iter().map(|sample| sample.gold == sample.predicted).collect();
        let model = run.provenance.models.iter().find(|model| model.id == cell.choices.model);
        let floor = model.is_some_and(|model| model.source.starts_with("builtin:"));
        Some(Self { cell, scored, accuracy, on_dev, ranking, right, floor, order })
    }

    /// A metric over the whole slice.
    pub fn metric(&self, name: &str) -> Option<Estimate> {
        metric(self.scored, name)
    }

    /// A metric of one label.
    pub fn label_metric(&self, name: &str, label: &str) -> Option<&'a MetricRow> {
        self.scored.metrics.iter().find(|row| row.name == name && row.label.as_deref() == Some(label))
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

fn scores(cell: &CellRecord) -> Option<&Scored> {
    match &cell.outcome {
        Outcome::Scored(scored) => Some(scored),
        Outcome::Failed { .. } => None,
    }
}

fn metric(scored: &Scored, name: &str) -> Option<Estimate> {
    let row = scored.metrics.iter().find(|row| row.name == name && row.label.is_none())?;
    row.estimate.filter(|estimate| estimate.value.is_finite())
}

/// The cell with the same choices on another slice.
fn twin<'a>(run: &'a RunRecord, cell: &CellRecord, slice: &str) -> Option<&'a CellRecord> {
    let wanted = Choices { slice: slice.to_owned(), ..cell.choices.clone() };
    run.cells.iter().find(|other| other.choices == wanted)
}

fn reference(run: &RunRecord, slice: &SliceRecord, entries: &[Entry]) -> Reference {
    let Some(id) = &run.provenance.reference else { return Reference::Absent };
    let named = run.cells.iter().find(|cell| cell.id == *id);
    let Some(cell) = named.and_then(|cell| twin(run, cell, &slice.id)) else { return Reference::Absent };
    match (&cell.outcome, entries.iter().position(|entry| entry.cell.id == cell.id)) {
        (_, Some(place)) => Reference::Entry(place),
        (Outcome::Failed { reason }, None) => Reference::Failed(reason.clone()),
        (Outcome::Scored(_), None) => Reference::Failed("it has no accuracy".to_owned()),
    }
}

fn has_scores(run: &RunRecord, slice: &SliceRecord) -> bool {
    run.cells.iter().any(|cell| cell.choices.slice == slice.id && scores(cell).is_some())
}

/// Whether choices made on `dev` may be reported on `test`.
fn is_pair(dev: &SliceRecord, test: &SliceRecord) -> bool {
    let same_task = dev.origin.dataset == test.origin.dataset && dev.labels == test.labels;
    let words = |slice: &SliceRecord| -> Vec<String> {
        slice.origin.split.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    let tunes = |word: &String| matches!(word.as_str(), "dev" | "validation" | "valid" | "val" | "tune");
    let tests = |word: &String| word == "test";
    same_task && words(dev).iter().any(tunes) && !words(test).iter().any(tunes) && words(test).iter().any(tests)
}
