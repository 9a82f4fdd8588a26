//! What a run leaves in `results/<name>/`: the record of where it came from, and tables of what it found.
//!
//! `Recorder` writes a run cell by cell, `RunRecord::open` reads it back; `results/README.md` documents the files.

mod atomic;
mod baseline;
mod check;
mod error;
mod open;
mod partial;
mod rank;
mod recorder;
mod run_file;
mod samples;
mod schema;
mod summary;
mod table;
mod tables;

#[cfg(test)]
mod example;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::dataset::Kind;
use crate::dataset::Origin;
use crate::digest::Digest;
pub use crate::prompt::Chat;
use crate::stats::Estimate;

/// A sample's texts and what is right about it, kept so that reports need no dataset.
pub use crate::dataset::{Gold, PairGold, Partner, Sample as SampleText};
pub use crate::spec::Axis;
use crate::spec::{Endpoint, FitSet, Gate, Task};
pub(crate) use atomic::replace;
pub use baseline::{Answers, CellOutcomes, Outcomes, bless};
pub use check::Inconsistency;
pub use error::ResultsError;
pub use rank::{AxisMean, axis_means};
pub use recorder::Recorder;

/// Version of the files in a result folder; another version is refused.
pub const FORMAT: u32 = 1;

/// Everything a result folder says, in memory.
#[derive(Clone, Debug)]
pub struct RunRecord {
    pub provenance: Provenance,
    /// Samples of each slice, by the slice's id. Gold and predicted labels of a cell point into its slice's labels.
    pub samples: BTreeMap<String, Vec<SampleText>>,
    /// In the order of the plan.
    pub cells: Vec<CellRecord>,
}

/// Where a run's numbers come from: `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub format: u32,
    pub name: String,
    pub about: Option<String>,
    /// The spec as run.
    pub spec: String,
    pub spec_path: String,
    pub seed: u64,
    /// Version of this program.
    pub engine: String,
    pub models: Vec<ModelRecord>,
    pub prompts: Vec<PromptRecord>,
    pub readouts: Vec<ReadoutRecord>,
    pub slices: Vec<SliceRecord>,
    pub labels: Vec<LabelsRecord>,
    /// Tasks on pairs; label similarity is told by `labels` and the cells' choices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// Id of the cell that the others are compared with.
    pub reference: Option<String>,
    /// How much worse than its baseline the run may be; the default policy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Whatever differs between two runs of the same spec.
    pub times: Times,
}

impl Provenance {
    /// The slice with this id.
    pub fn slice(&self, id: &str) -> Option<&SliceRecord> {
        self.slices.iter().find(|slice| slice.id == id)
    }

    /// The task on pairs of this kind.
    pub fn task(&self, kind: Kind) -> Option<&Task> {
        self.tasks.iter().find(|task| task.kind() == kind.task())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    pub id: String,
    pub source: String,
    /// What a model that is fitted was fitted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitSet>,
    /// What a server was asked for; its address is the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The commit that the hub's repository was at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The adapter that was merged into it, at the commit that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    pub dtype: String,
    pub device: String,
    pub max_tokens: usize,
    pub parameters: u64,
    /// Digest of the model itself: configuration, weights and tokenizer, the same on every machine.
    pub identity: Digest,
    /// Digest of everything that makes this model's embeddings what they are, the machine included.
    pub encoder: Digest,
    /// What went into that digest.
    pub about: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptRecord {
    pub id: String,
    pub views: Vec<String>,
    pub truncate: String,
    pub clean: String,
    /// How the views were put into the model's chat format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadoutRecord {
    pub id: String,
    pub layer: i32,
    pub pool: String,
    pub norm: bool,
    pub normalize: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceRecord {
    pub id: String,
    pub digest: Digest,
    /// What its samples are; labelled texts when absent.
    #[serde(default, skip_serializing_if = "is_of_texts")]
    pub kind: Kind,
    pub labels: Vec<String>,
    pub samples: usize,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelsRecord {
    pub id: String,
    /// Phrasings by label, for each slice's labels in use.
    pub phrases: Vec<(String, Vec<String>)>,
    /// The labels' own prompt; the cell's prompt when absent.
    pub prompt: Option<PromptRecord>,
}

/// Records of labelled texts do not say so: they are older than other kinds.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_of_texts(kind: &Kind) -> bool {
    *kind == Kind::Classification
}

/// Clock and work of one run. Never compared, never part of an id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// RFC 3339, UTC.
    pub started: String,
    pub finished: String,
    /// Unit: seconds of wall clock spent embedding: loading weights, forward passes and writing vectors to the cache.
    pub embed_seconds: f64,
    /// Token positions computed in this run; 0 when everything was cached.
    pub tokens_computed: u64,
    /// Unique rendered texts embedded in this run, and found in the cache.
    pub texts_embedded: u64,
    pub texts_cached: u64,
    /// Logical cores.
    pub cores: usize,
}

/// One cell of the grid and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CellRecord {
    /// 12 hexadecimal digits: digest of the cell's content, never of its position.
    pub id: String,
    pub choices: Choices,
    pub outcome: Outcome,
}

/// What a cell of pairs has on the axes of labels and calibrations. No id begins so.
pub const NO_CHOICE: &str = "-";

/// The ids chosen on each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Choices {
    pub model: String,
    pub prompt: String,
    pub readout: String,
    pub slice: String,
    pub labels: String,
    pub calibration: String,
}

impl Choices {
    /// The choice on one axis.
    pub fn on(&self, axis: Axis) -> &str {
        match axis {
            Axis::Model => &self.model,
            Axis::Prompt => &self.prompt,
            Axis::Readout => &self.readout,
            Axis::Slice => &self.slice,
            Axis::Labels => &self.labels,
            Axis::Calibration => &self.calibration,
        }
    }
}

impl fmt::Display for Choices {
    /// Joined by slashes, axes without a choice left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen: Vec<&str> = Axis::ALL.iter().map(|&axis| self.on(axis)).filter(|id| *id != NO_CHOICE).collect();
        f.write_str(&chosen.join(" / "))
    }
}

/// A cell has scores, or a reason why it has none.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Texts against labels.
    Scored(Scored),
    /// Pairs of texts against each other.
    Paired(Paired),
    Failed {
        reason: String,
    },
}

impl CellRecord {
    /// What the cell scored against labels, if it did.
    pub const fn scored(&self) -> Option<&Scored> {
        match &self.outcome {
            Outcome::Scored(scored) => Some(scored),
            Outcome::Paired(_) | Outcome::Failed { .. } => None,
        }
    }

    /// What the cell scored of pairs, if it did.
    pub const fn paired(&self) -> Option<&Paired> {
        match &self.outcome {
            Outcome::Paired(paired) => Some(paired),
            Outcome::Scored(_) | Outcome::Failed { .. } => None,
        }
    }

    /// Why there are no scores.
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Failed { reason } => Some(reason),
            Outcome::Scored(_) | Outcome::Paired(_) => None,
        }
    }

    /// The cell's metrics; none of a failed cell.
    pub fn metrics(&self) -> &[MetricRow] {
        match &self.outcome {
            Outcome::Scored(scored) => &scored.metrics,
            Outcome::Paired(paired) => &paired.metrics,
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

/// What a cell scored of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    pub metrics: Vec<MetricRow>,
    /// One per sample of the slice, in its order.
    pub samples: Vec<PairRow>,
    /// Similarities: the cosine, or the four of MTEB. Shape: row-major `[samples, similarities]`, cosine first.
    pub scores: Vec<f64>,
}

impl Paired {
    /// The similarities of one sample, cosine first.
    pub fn scores_of(&self, sample: usize) -> &[f64] {
        let measures = self.scores.len() / self.samples.len().max(1);
        self.scores.get(sample * measures..(sample + 1) * measures).unwrap_or_default()
    }

    /// The cosine of every sample.
    pub fn cosines(&self) -> Vec<f64> {
        let measures = self.scores.len() / self.samples.len().max(1);
        self.scores.iter().step_by(measures.max(1)).copied().collect()
    }
}

/// One pair under one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairRow {
    /// Tokens of both rendered texts as embedded (over all views of a fused prompt).
    pub tokens: usize,
    /// Tokens that truncation removed from both.
    pub cut: usize,
}

/// What a cell scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub metrics: Vec<MetricRow>,
    /// One per sample of the slice, in its order.
    pub samples: Vec<SampleRow>,
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

/// One sample under one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    pub gold: usize,
    pub predicted: usize,
    pub gold_rank: usize,
    pub margin: Option<f64>,
    pub gold_margin: Option<f64>,
    pub tied: bool,
    /// Tokens of the rendered text as embedded (over all views of a fused prompt).
    pub tokens: usize,
    /// Tokens that truncation removed (over all views of a fused prompt).
    pub cut: usize,
}
