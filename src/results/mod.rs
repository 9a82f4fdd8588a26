//! What a run leaves in `results/<name>/`: the record of where it came from, and tables of what it found.
//!
//! `Recorder` writes a run cell by cell, `RunRecord::open` reads it back; `results/README.md` documents the files.

mod atomic;
mod baseline;
mod cell;
mod check;
mod cuts;
mod error;
mod mteb;
mod open;
mod outcomes;
mod packing;
mod partial;
mod rank;
mod recorder;
mod rows;
mod run_file;
mod samples;
mod schema;
mod stream;
mod summary;
mod table;
mod tables;

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::dataset::Kind;
use crate::dataset::{MtebTask, Origin};
use crate::digest::Digest;
pub use crate::prompt::{Chat, Fuse};

/// A sample's texts and what is right about it, kept so that reports need no dataset.
pub use crate::dataset::{Gold, PairGold, Partner, Sample as SampleText};
pub use crate::spec::{Axis, Differently, Layer};
use crate::spec::{Correction, Endpoint, FitSet, FitTexts, Gate, Labelled, Task, TaskKind, TransformRule};
pub(crate) use atomic::replace;
pub use baseline::bless;
pub use cell::{CellRecord, Choices, Measured, MetricRow, NO_CHOICE, Outcome, PairRow, Scored};
pub use check::Inconsistency;
pub use cuts::{CutText, Cuts, Part};
pub use error::ResultsError;
pub use mteb::{Published, export_mteb, mteb_task, read_mteb};
pub use outcomes::{Answers, CellOutcomes, Outcomes};
pub use rank::{AxisMean, axis_means};
pub use recorder::Recorder;
pub use rows::{SampleRow, SampleRows};

/// Version of the files in a result folder. Older ones are read, newer ones refused.
///
/// 2: transform and task have columns of their own, and pairs of texts have theirs; before, a folder may be without them.
pub const FORMAT: u32 = 2;

/// Everything a result folder says, in memory.
#[derive(Clone, Debug)]
pub struct RunRecord {
    pub provenance: Provenance,
    /// Samples of each slice, by the slice's id. Gold and predicted labels of a cell point into its slice's labels.
    pub samples: BTreeMap<String, Arc<Vec<SampleText>>>,
    /// In the order of the plan.
    pub cells: Vec<CellRecord>,
    /// Where the texts of some cells lie in the plane in which their vectors vary most.
    pub places: Vec<Places>,
    /// Which characters were left out of the texts that were cut; None of runs of older programs, which did not keep it.
    pub cuts: Option<Vec<Cuts>>,
}

/// The texts of a cell in a plane: their principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    pub cell: String,
    /// Places in the slice, ascending; not all where there are many.
    pub indices: Vec<usize>,
    /// One place per index.
    pub places: Vec<[f64; 2]>,
    /// Shares of the variance along the two directions.
    pub shares: [f64; 2],
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<TransformRecord>,
    pub slices: Vec<SliceRecord>,
    pub labels: Vec<LabelsRecord>,
    /// The texts that say nothing, where a calibration asks them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_free: Vec<String>,
    /// In the order of the spec; none where label similarity is the only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Task>,
    /// Id of the cell that the others are compared with.
    pub reference: Option<String>,
    /// How p-values are corrected for the number of comparisons; absent: by Holm.
    #[serde(default, skip_serializing_if = "is_holm")]
    pub correction: Correction,
    /// How much worse than its baseline the run may be; the default policy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Figures of others that the spec names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
    /// Whatever differs between two runs of the same spec.
    pub times: Times,
}

impl SliceRecord {
    /// The task that a cell of an older file has, which does not say it, or `said`.
    fn task(&self, said: Option<TaskKind>) -> TaskKind {
        let tasks = self.kind.tasks();
        said.filter(|said| tasks.contains(said)).or(tasks.first().copied()).unwrap_or_default()
    }
}

impl Provenance {
    /// The slice with this id.
    pub fn slice(&self, id: &str) -> Option<&SliceRecord> {
        self.slices.iter().find(|slice| slice.id == id)
    }

    /// The task for samples of this kind, the first of the spec's.
    pub fn task(&self, kind: Kind) -> Option<&Task> {
        self.tasks.iter().find(|task| kind.tasks().contains(&task.kind()))
    }

    /// Place of a task in the spec. Runs of older programs do not record label similarity: it comes first.
    pub fn place(&self, task: TaskKind) -> usize {
        self.tasks.iter().position(|known| known.kind() == task).unwrap_or(0)
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
    /// Hidden state, counted from 0, that each readout takes from this model; absent for a model without any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, usize>,
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
    /// How the views' vectors became one; the mean of the raw ones when absent.
    #[serde(default, skip_serializing_if = "Fuse::is_default")]
    pub fuse: Fuse,
    /// What each view read otherwise than its cell's readout; absent where none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differently: Vec<Differently>,
    pub truncate: String,
    pub clean: String,
    /// How the views were put into the model's chat format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
    /// What documents were put into where this prompt's texts were queries; the prompt itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Box<PromptRecord>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadoutRecord {
    pub id: String,
    /// As asked for; [`ModelRecord::layers`] says which hidden state that is in each model.
    pub layer: Layer,
    pub pool: String,
    /// Which copy of the text within its prompt was pooled, from 1; the whole prompt when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<usize>,
    pub norm: bool,
    /// How many of a vector's coordinates were kept; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<usize>,
    pub normalize: bool,
}

/// A transform and the texts that it was fitted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformRecord {
    pub id: String,
    pub rule: TransformRule,
    pub fit: FitTexts,
    /// How many texts those were.
    pub texts: usize,
    /// Digest of the texts in their order.
    pub digest: Digest,
    pub origin: Origin,
    /// Samples of each slice that are among the texts, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seen: BTreeMap<String, usize>,
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
    /// The task of MTEB whose data this slice is, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mteb: Option<MtebTask>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelsRecord {
    pub id: String,
    /// Phrasings by label, for each slice's labels in use.
    pub phrases: Vec<(String, Vec<String>)>,
    /// The labels' own prompt; the cell's prompt when absent.
    pub prompt: Option<PromptRecord>,
    /// What each name or phrase is put into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<String>,
    /// Examples of what belongs to a label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<(String, String)>,
    /// Ids of the sets that are averaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ensemble: Vec<String>,
    /// The texts that stand for labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shots: Option<ShotsRecord>,
}

impl LabelsRecord {
    /// Labels by their bare names, under the cell's prompt.
    pub fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            phrases: Vec::new(),
            prompt: None,
            templates: Vec::new(),
            examples: Vec::new(),
            ensemble: Vec::new(),
            shots: None,
        }
    }
}

/// Labelled texts that stand for labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShotsRecord {
    /// Texts of each label.
    pub count: usize,
    pub from: Labelled,
    /// Ids of the samples by slice, and by its labels in their order.
    pub samples: BTreeMap<String, Vec<Vec<String>>>,
}

/// Records of labelled texts do not say so: they are older than other kinds.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_of_texts(kind: &Kind) -> bool {
    *kind == Kind::Classification
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_holm(correction: &Correction) -> bool {
    *correction == Correction::Holm
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
