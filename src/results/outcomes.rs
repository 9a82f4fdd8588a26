//! What a comparison needs of a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{
    Axis, CellRecord, Choices, Outcome, Provenance, ResultsError, RunRecord, SampleText, SliceRecord, Times, baseline, stream,
};
use crate::dataset::PairGold;
use crate::digest::{Digest, Hasher};
use crate::spec::{Correction, Gate, Task, TaskKind};
use crate::task::QUERY_FIGURES;

/// Which label every cell of a run gave every sample, or which cosine every pair.
#[derive(Clone, Debug)]
pub struct Outcomes {
    pub name: String,
    /// Version of the program that made them.
    pub engine: String,
    /// When the run finished, RFC 3339; None of baselines that do not keep it.
    pub finished: Option<String>,
    pub gate: Option<Gate>,
    /// How p-values are corrected; of a baseline, by Holm.
    pub correction: Correction,
    /// How long the run took; None for a baseline. Unit: seconds.
    pub seconds: Option<f64>,
    /// What each model ran on, by its id.
    pub devices: BTreeMap<String, String>,
    /// Digests of what ids stand for, by axis and id; none for a baseline of an older program.
    pub meanings: BTreeMap<String, BTreeMap<String, Digest>>,
    pub slices: Vec<SliceRecord>,
    /// Gold labels by slice, as indices into its labels; none for scored pairs.
    pub gold: BTreeMap<String, Vec<usize>>,
    /// What is right about the pairs of a slice.
    pub pairs: BTreeMap<String, PairGold>,
    /// Tasks on pairs.
    pub tasks: Vec<Task>,
    /// Texts by slice; empty for a baseline, which keeps none.
    pub texts: BTreeMap<String, Arc<Vec<SampleText>>>,
    /// In the order of the plan.
    pub cells: Vec<CellOutcomes>,
}

/// What one cell gave.
#[derive(Clone, Debug, PartialEq)]
pub struct CellOutcomes {
    pub id: String,
    pub choices: Choices,
    /// What the cell said of each sample of the slice, or why it said nothing.
    pub answers: Result<Answers, String>,
    /// Gold score minus the best other score; of pairs, how far the cosine lies on the right side of the threshold. Empty without
    /// one, and for a baseline: margins differ in their last digits between processors.
    pub gold_margins: Vec<Option<f64>>,
}

/// What a cell said of its samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// The label of each text.
    Labels(Vec<usize>),
    /// The cosine of each pair, rounded as baselines keep it: a run equals its own baseline.
    Pairs {
        cosines: Vec<f64>,
        /// The label of each pair at the threshold of another slice, where the task takes one.
        called: Option<Vec<usize>>,
    },
    /// The first figure of each query, rounded likewise; none for a query without relevant documents.
    Queries(Vec<Option<f64>>),
    /// The cluster of each text.
    Clusters(Vec<usize>),
}

impl Outcomes {
    /// Reads a baseline, or the results of a finished run: of its predictions, answers and margins alone.
    ///
    /// # Errors
    /// A folder with neither, or files that contradict themselves.
    pub fn open(dir: &Path) -> Result<Self, ResultsError> {
        let blessed = dir.join(baseline::FILE);
        if blessed.is_file() { baseline::read(&blessed) } else { stream::read(dir) }
    }

    /// The outcomes of a run.
    pub fn of(run: RunRecord) -> Self {
        let texts = |slice: &str| run.samples.get(slice).map_or(&[][..], |texts| texts.as_slice());
        let cells = run.cells.into_iter().map(|cell| CellOutcomes::of(texts(&cell.choices.slice), cell)).collect();
        Self::with(run.provenance, run.samples, cells)
    }

    /// The outcomes of a run's cells.
    pub(super) fn with(
        provenance: Provenance,
        texts: BTreeMap<String, Arc<Vec<SampleText>>>,
        cells: Vec<CellOutcomes>,
    ) -> Self {
        let gold = |texts: &Arc<Vec<SampleText>>| -> Vec<usize> { texts.iter().filter_map(|text| text.gold.label()).collect() };
        let of_pairs = |slice: &&SliceRecord| slice.kind.is_pairs();
        let pairs = provenance.slices.iter().filter(of_pairs).filter_map(|slice| {
            let texts = texts.get(&slice.id)?;
            Some((slice.id.clone(), PairGold::of(texts)))
        });
        let golds = texts.iter().map(|(slice, texts)| (slice.clone(), gold(texts))).filter(|(_, gold)| !gold.is_empty());
        Self {
            seconds: seconds(&provenance.times),
            devices: provenance.models.iter().map(|model| (model.id.clone(), model.device.clone())).collect(),
            meanings: meanings(&provenance),
            gold: golds.collect(),
            pairs: pairs.collect(),
            correction: provenance.correction,
            tasks: provenance.tasks,
            name: provenance.name,
            engine: provenance.engine,
            finished: Some(provenance.times.finished).filter(|finished| !finished.is_empty()),
            gate: provenance.gate,
            slices: provenance.slices,
            texts,
            cells,
        }
    }

    /// The slice with this id.
    pub fn slice(&self, id: &str) -> Option<&SliceRecord> {
        self.slices.iter().find(|slice| slice.id == id)
    }

    /// The task of a cell with these choices, where the run records it.
    pub fn task(&self, choices: &Choices) -> Option<&Task> {
        Task::on(&self.tasks, choices.task, &choices.slice)
    }

    /// The digest of what an id on an axis stands for, where that is known.
    pub fn meaning(&self, axis: Axis, id: &str) -> Option<Digest> {
        self.meanings.get(axis.name())?.get(id).copied()
    }
}

/// From a run's start to its end.
fn seconds(times: &Times) -> Option<f64> {
    let [started, finished] = [&times.started, &times.finished].map(|time| humantime::parse_rfc3339(time).ok());
    Some(finished?.duration_since(started?).ok()?.as_secs_f64())
}

/// Digests of the records behind ids, leaving out the machine that models ran on.
fn meanings(provenance: &Provenance) -> BTreeMap<String, BTreeMap<String, Digest>> {
    let of = |record: &dyn Fn(Hasher) -> Hasher| record(Hasher::new("meaning/1")).finish();
    let models = provenance.models.iter().map(|model| {
        let digest = of(&|hasher| {
            let hasher = hasher.json("identity", &model.identity).field("dtype", &model.dtype);
            hasher.json("max_tokens", &model.max_tokens).json("fit", &model.fit).json("adapter", &model.adapter)
        });
        (model.id.clone(), digest)
    });
    let prompts = provenance.prompts.iter().map(|prompt| (prompt.id.clone(), of(&|hasher| hasher.json("prompt", prompt))));
    let readouts =
        provenance.readouts.iter().map(|readout| (readout.id.clone(), of(&|hasher| hasher.json("readout", readout))));
    let labels = provenance.labels.iter().map(|labels| (labels.id.clone(), of(&|hasher| hasher.json("labels", labels))));
    let named = |axis: Axis, digests: BTreeMap<String, Digest>| (axis.name().to_owned(), digests);
    BTreeMap::from([
        named(Axis::Model, models.collect()),
        named(Axis::Prompt, prompts.collect()),
        named(Axis::Readout, readouts.collect()),
        named(Axis::Labels, labels.collect()),
    ])
}

impl CellOutcomes {
    fn of(texts: &[SampleText], cell: CellRecord) -> Self {
        let threshold = cell.estimate("accuracy_threshold").map(|threshold| threshold.value);
        let known = match cell.outcome {
            Outcome::Failed { reason } => Err(reason),
            Outcome::Scored(scored) => {
                let rows = scored.samples.iter();
                let (labels, margins) = rows.map(|row| (row.predicted, row.gold_margin)).unzip();
                Ok((Answers::Labels(labels), margins))
            }
            Outcome::Measured(measured) => {
                let task = cell.choices.task;
                let numbers = (0..measured.samples.len()).map(|sample| Answers::compared(task, measured.scores_of(sample)));
                Ok(Answers::measured(task, numbers.collect(), threshold, texts))
            }
        };
        Self::with(cell.id, cell.choices, known)
    }

    /// A cell by its answers and their margins, or by why it has none.
    pub(super) fn with(id: String, choices: Choices, known: Result<(Answers, Vec<Option<f64>>), String>) -> Self {
        match known {
            Ok((answers, gold_margins)) => Self { id, choices, answers: Ok(answers), gold_margins },
            Err(reason) => Self { id, choices, answers: Err(reason), gold_margins: Vec::new() },
        }
    }
}

impl Answers {
    /// Of a measured sample's numbers, the one that it is compared by; none for a query without relevant documents.
    pub(super) fn compared(task: TaskKind, numbers: &[f64]) -> Option<f64> {
        let counts = task != TaskKind::Retrieval || numbers.get(QUERY_FIGURES.len()).is_some_and(|relevant| *relevant > 0.0);
        numbers.first().copied().filter(|_| counts)
    }

    /// What the numbers that samples are compared by say, with their margins where a threshold parts pairs.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of a cluster, from 0")]
    pub(super) fn measured(
        task: TaskKind,
        numbers: Vec<Option<f64>>,
        threshold: Option<f64>,
        texts: &[SampleText],
    ) -> (Self, Vec<Option<f64>>) {
        let rounded = |number: f64| baseline::cosine_at(baseline::step(number));
        match task {
            TaskKind::Retrieval => (Self::Queries(numbers.into_iter().map(|figure| figure.map(rounded)).collect()), Vec::new()),
            TaskKind::Clustering => {
                let clusters = numbers.into_iter().map(|cluster| cluster.unwrap_or(0.0) as usize);
                (Self::Clusters(clusters.collect()), Vec::new())
            }
            _ => {
                let cosines: Vec<f64> = numbers.into_iter().flatten().collect();
                let called = |threshold| cosines.iter().map(|cosine| usize::from(*cosine >= threshold)).collect();
                let margins = threshold.map(|threshold| {
                    let of = |(cosine, text): (&f64, &SampleText)| {
                        Some(if text.gold.label() == Some(1) { cosine - threshold } else { threshold - cosine })
                    };
                    cosines.iter().zip(texts).map(of).collect()
                });
                let called = threshold.map(called);
                (Self::Pairs { called, cosines: cosines.iter().copied().map(rounded).collect() }, margins.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Gold;

    /// Two pairs that are the same and one that is not, at a threshold of 0.5.
    #[test]
    fn margins_of_pairs_lie_about_the_threshold() {
        let pair = |label| SampleText { id: String::new(), text: String::new(), gold: Gold::Label(label), partner: None };
        let texts = [pair(1), pair(1), pair(0)];
        let numbers = vec![Some(0.75), Some(0.25), Some(0.5)];
        let of = |threshold| Answers::measured(TaskKind::PairClassification, numbers.clone(), threshold, &texts);
        let (answers, margins) = of(Some(0.5));
        assert!(matches!(answers, Answers::Pairs { called: Some(called), .. } if called == [1, 0, 1]));
        assert_eq!(margins, [Some(0.25), Some(-0.25), Some(0.0)]);
        assert!(matches!(of(None), (Answers::Pairs { called: None, .. }, margins) if margins.is_empty()));
    }
}
