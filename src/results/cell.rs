//! One cell of a run: its choices on the axes, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Axis, SampleRows};
use crate::spec::{PLAIN, TaskKind};
use crate::stats::Estimate;
use crate::task::QUERY_FIGURES;

/// One cell of the grid and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CellRecord {
    /// 12 hexadecimal digits: digest of the cell's content, never of its position.
    pub id: String,
    pub choices: Choices,
    pub outcome: Outcome,
}

/// What cells that have no labels' wording have on the axes of labels and calibrations. No id begins so.
pub const NO_CHOICE: &str = "-";

/// The ids chosen on each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Choices {
    pub model: String,
    pub prompt: String,
    pub readout: String,
    /// Absent where it is `none`, and in older files.
    #[serde(default = "plain", skip_serializing_if = "is_plain")]
    pub transform: String,
    pub slice: String,
    /// Absent for label similarity, and in older files: there the slice tells it.
    #[serde(default, skip_serializing_if = "is_of_labels")]
    pub task: TaskKind,
    pub labels: String,
    pub calibration: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_of_labels(task: &TaskKind) -> bool {
    *task == TaskKind::LabelSimilarity
}

fn plain() -> String {
    PLAIN.to_owned()
}

fn is_plain(id: &str) -> bool {
    id == PLAIN
}

impl Choices {
    /// The choice on one axis.
    pub fn on(&self, axis: Axis) -> &str {
        match axis {
            Axis::Model => &self.model,
            Axis::Prompt => &self.prompt,
            Axis::Readout => &self.readout,
            Axis::Transform => &self.transform,
            Axis::Slice => &self.slice,
            Axis::Task => self.task.name(),
            Axis::Labels => &self.labels,
            Axis::Calibration => &self.calibration,
        }
    }
}

impl Choices {
    /// Whether a choice is one to be named: pairs have no labels, most cells no transform, and a task may go without saying.
    pub fn names(&self, axis: Axis) -> bool {
        match axis {
            Axis::Task => !self.task.goes_without_saying(),
            Axis::Transform => !is_plain(&self.transform),
            _ => self.on(axis) != NO_CHOICE,
        }
    }
}

impl fmt::Display for Choices {
    /// Joined by slashes, those that are to be named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen: Vec<&str> = Axis::ALL.iter().filter(|axis| self.names(**axis)).map(|&axis| self.on(axis)).collect();
        f.write_str(&chosen.join(" / "))
    }
}

/// A cell has scores, or a reason why it has none.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Texts against labels.
    Scored(Scored),
    /// Samples that were measured one by one: pairs by their similarity, queries by what they found, texts by their cluster.
    Measured(Measured),
    Failed {
        reason: String,
    },
}

impl CellRecord {
    /// How many samples it says something of.
    pub const fn samples(&self) -> usize {
        match &self.outcome {
            Outcome::Scored(scored) => scored.samples.len(),
            Outcome::Measured(measured) => measured.samples.len(),
            Outcome::Failed { .. } => 0,
        }
    }

    /// Memory of what it says of them. Unit: bytes.
    pub(super) const fn bytes_of_samples(&self) -> usize {
        let (row, scores) = match &self.outcome {
            Outcome::Scored(scored) => (SampleRows::BYTES, &scored.scores),
            Outcome::Measured(measured) => (size_of::<PairRow>(), &measured.scores),
            Outcome::Failed { .. } => return 0,
        };
        self.samples() * row + scores.len() * size_of::<f64>()
    }

    /// The same without it.
    pub(super) fn without_samples(mut self) -> Self {
        match &mut self.outcome {
            Outcome::Scored(Scored { samples, scores, .. }) => (*samples, *scores) = (SampleRows::default(), Vec::new()),
            Outcome::Measured(Measured { samples, scores, .. }) => (*samples, *scores) = (Vec::new(), Vec::new()),
            Outcome::Failed { .. } => {}
        }
        self
    }

    /// What the cell scored against labels, if it did.
    pub const fn scored(&self) -> Option<&Scored> {
        match &self.outcome {
            Outcome::Scored(scored) => Some(scored),
            Outcome::Measured(_) | Outcome::Failed { .. } => None,
        }
    }

    /// What the cell measured of its samples, if it did.
    pub const fn measured(&self) -> Option<&Measured> {
        match &self.outcome {
            Outcome::Measured(paired) => Some(paired),
            Outcome::Scored(_) | Outcome::Failed { .. } => None,
        }
    }

    /// Why there are no scores.
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Failed { reason } => Some(reason),
            Outcome::Scored(_) | Outcome::Measured(_) => None,
        }
    }

    /// The cell's metrics; none of a failed cell.
    pub fn metrics(&self) -> &[MetricRow] {
        match &self.outcome {
            Outcome::Scored(scored) => &scored.metrics,
            Outcome::Measured(paired) => &paired.metrics,
            Outcome::Failed { .. } => &[],
        }
    }

    /// A metric over all samples of the slice, where the cell has scores and the metric is defined.
    pub fn estimate(&self, metric: &str) -> Option<Estimate> {
        self.metrics().iter().find(|row| row.name == metric && row.label.is_none())?.estimate
    }

    /// The metric that cells of this task are ranked by: the first over all samples.
    pub fn headline(&self) -> Option<&MetricRow> {
        self.metrics().iter().find(|row| row.label.is_none())
    }
}

/// What a cell measured of its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub metrics: Vec<MetricRow>,
    /// One per sample of the slice, in its order.
    pub samples: Vec<PairRow>,
    /// Of pairs, similarities: the cosine, or the four of MTEB, cosine first. Of queries and clusters, the numbers of
    /// `task::retrieval` and `task::clustering`. Shape: row-major `[samples, numbers]`.
    pub scores: Vec<f64>,
}

impl Measured {
    /// The numbers of one sample.
    pub fn scores_of(&self, sample: usize) -> &[f64] {
        let measures = self.scores.len() / self.samples.len().max(1);
        self.scores.get(sample * measures..(sample + 1) * measures).unwrap_or_default()
    }

    /// The first figure of each query; none for one without relevant documents.
    pub fn figures(&self) -> impl Iterator<Item = Option<f64>> {
        (0..self.samples.len()).map(|query| {
            let numbers = self.scores_of(query);
            (*numbers.get(QUERY_FIGURES.len())? > 0.0).then(|| numbers[0])
        })
    }

    /// The cluster of each text.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "written from an index")]
    pub fn clusters(&self) -> impl Iterator<Item = usize> {
        (0..self.samples.len()).map(|text| self.scores_of(text).first().map_or(0, |cluster| *cluster as usize))
    }

    /// The first number of every sample: of pairs, the cosine.
    pub fn cosines(&self) -> Vec<f64> {
        let measures = self.scores.len() / self.samples.len().max(1);
        self.scores.iter().step_by(measures.max(1)).copied().collect()
    }
}

/// One sample under one cell that measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairRow {
    /// Tokens of the rendered text, or of both, as embedded (over all views of a fused prompt).
    pub tokens: usize,
    /// Tokens that truncation removed from them.
    pub cut: usize,
}

/// What a cell scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub metrics: Vec<MetricRow>,
    /// One per sample of the slice, in its order.
    pub samples: SampleRows,
    /// One score per label for each sample, in one matrix: there may be millions. Shape: row-major `[samples, labels]`.
    pub scores: Vec<f64>,
    /// Row-major `[gold, predicted]` counts over the slice's labels.
    pub confusion: Vec<u64>,
}

impl Scored {
    /// The scores of one sample, one per label of the slice; empty where none are kept.
    pub fn scores_of(&self, sample: usize) -> &[f64] {
        let labels = self.scores.len() / self.samples.len().max(1);
        self.scores.get(sample * labels..(sample + 1) * labels).unwrap_or_default()
    }

    /// A metric over all samples of the slice.
    pub fn metric(&self, name: &str) -> Option<&MetricRow> {
        self.metrics.iter().find(|row| row.name == name && row.label.is_none())
    }

    /// A metric of one label.
    pub fn label_metric(&self, name: &str, label: &str) -> Option<&MetricRow> {
        self.metrics.iter().find(|row| row.name == name && row.label.as_deref() == Some(label))
    }
}

/// One metric of a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    pub name: String,
    /// The label it is about, if it is about one; of pairs, the subset.
    pub label: Option<String>,
    pub estimate: Option<Estimate>,
    /// Why there is no estimate.
    pub reason: Option<String>,
}
