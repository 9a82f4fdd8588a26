//! The experiment a TOML file asks for, as the program thinks of it.
//!
//! `wire` mirrors the file, `lower` turns the mirror into these types once and collects every problem with its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, Deserializer};

use crate::prompt::Prompt;
pub use crate::stats::Correction;

mod calibration;
mod check;
mod either;
mod endpoint;
mod gate;
mod ids;
mod labels;
mod lower;
mod names;
mod problem;
mod prompts;
mod readouts;
mod schema;
mod select;
mod source;
mod suggest;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod transforms;
mod wire;

pub use crate::readout::{Differently, Layer, Pooling, Readout, UnknownLayer};
pub use calibration::Calibration;
pub use endpoint::Endpoint;
pub use gate::{Gate, Measure, OnDoubt, SliceGate};
pub use ids::PLAIN;
pub use labels::{LabelSet, Labelled, Phrased, Samples, StandIn};
pub use names::UnknownName;
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use select::covers;
pub use source::SourceError;
pub use suggest::suggest;
pub use task::{Aggregate, Companion, Draws, Identical, Protocol, Senteval, Task, TaskKind};
pub use transforms::{FitTexts, Transform, TransformRule};

/// One experiment: the axes of a grid and what to do with its cells.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Names `results/<name>` and `reports/<name>`; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// One sentence for the head of the report.
    pub about: Option<String>,
    /// Seeds slices' limits and the bootstrap.
    pub seed: u64,
    pub models: Vec<Model>,
    pub prompts: Vec<Prompt>,
    pub readouts: Vec<Readout>,
    /// Those that do something: every spec has the plain choice as well.
    pub transforms: Vec<Transform>,
    pub slices: Vec<Slice>,
    pub labels: Vec<LabelSet>,
    pub tasks: Vec<Task>,
    /// Combinations that are not cells.
    pub skips: Vec<Selector>,
    /// The cell every other one is compared with; the first of the grid when absent.
    pub reference: Option<Selector>,
    /// What keeps many comparisons from finding differences by chance.
    pub correction: Correction,
    /// How much worse than its baseline a run may be; the default policy when absent.
    pub gate: Option<Gate>,
    /// Published figures that the run is held against.
    pub anchors: Vec<Anchor>,
    /// Result files of MTEB whose figures are shown beside the run's; they are there.
    pub published: Vec<PathBuf>,
    /// Where the spec was read from.
    pub path: PathBuf,
    /// The file's text, kept for the run record.
    pub text: String,
}

impl Spec {
    /// Reads a spec file, and the files with views that it names.
    ///
    /// # Errors
    /// Every problem of the file at once, each with its place and the way out.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => Err(Problems::unreadable(path, &error)),
        }
    }

    /// Reads a spec from its text; `path` names it in messages, and its folder is where files with views lie.
    ///
    /// Syntax errors hide all others: what a broken file was to mean cannot be told.
    ///
    /// # Errors
    /// Every problem of the text at once, each with its place and the way out.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(Problems::new(path, text, errors.iter().map(syntax_problem).collect()));
        }
        let ids = ids::Ids::of(table.get_ref());
        let checked = check::check(table.get_mut(), &schema());
        let lowering = lower::Lowering::new(text, path, ids, checked.pruned, checked.problems);
        let spec = match wire::File::deserialize(Deserializer::from(table)) {
            Ok(file) => lowering.spec(file),
            Err(error) => Err(lowering.refused(syntax_problem(&error))),
        };
        spec.map_err(|problems| Problems::new(path, text, problems))
    }
}

impl Spec {
    /// Columns that prompts put beside the texts of a slice: their slots, where the grid does not skip the prompt for the slice
    /// altogether. Sorted by name.
    pub fn columns(&self, slice: &str) -> Vec<String> {
        let skipped = |prompt: &Prompt| {
            let on = |axis: Axis| match axis {
                Axis::Prompt => prompt.id.as_str(),
                Axis::Slice => slice,
                _ => "",
            };
            self.skips.iter().any(|skip| skip.matches(on))
        };
        let read = self.prompts.iter().filter(|prompt| !skipped(prompt)).flat_map(|prompt| &prompt.views);
        let names: BTreeSet<String> = read.flat_map(|view| view.template.names()).map(str::to_owned).collect();
        names.into_iter().collect()
    }
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    Problem::new(error.span().unwrap_or(0..0), error.message())
}

/// A model to embed with.
#[derive(Clone, Debug)]
pub struct Model {
    pub id: String,
    pub source: Source,
    pub dtype: DType,
    pub device: Device,
    /// Most tokens of one rendered text; the model's own limit when absent.
    pub max_tokens: Option<usize>,
    /// A LoRA adapter that is merged into it.
    pub adapter: Option<Adapter>,
}

/// Where a LoRA adapter comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// `path:DIR`: a folder in PEFT's layout.
    Path(PathBuf),
    /// `hf:REPO[@REV]`: a repository of the Hugging Face hub.
    Hub { repo: String, revision: Option<String> },
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `path:DIR`: a folder in the Hugging Face layout. Relative paths are relative to the working directory.
    Path(PathBuf),
    /// `gguf:FILE`: a file of llama.cpp.
    Gguf(PathBuf),
    /// `hf:REPO[@REV]`: a repository of the Hugging Face hub.
    Hub { repo: String, revision: Option<String> },
    /// `http://HOST:PORT/v1`: a server with OpenAI-style embeddings; `url` holds no secret.
    Server { url: String, endpoint: Endpoint },
    /// `builtin:char-ngram`: hashed character n-grams; IDF fitted on the named split's texts.
    CharNgram { fit: FitSet },
}

/// Unlabelled texts that something is fitted on: every text of one split of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitSet {
    /// A dataset's name.
    pub dataset: String,
    /// One of its splits.
    pub split: String,
}

/// Arithmetic of the forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit floats with the range of 32-bit ones.
    Bf16,
}

/// Where the forward pass runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The first GPU this build and machine have, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// Several share out the texts.
    Cuda(Gpus),
    Metal,
}

/// GPUs by their numbers, from 0 to 63; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gpus(u64);

impl Gpus {
    /// `None` for no number, for one that is too large, and for one that comes twice.
    pub fn new(numbers: &[u32]) -> Option<Self> {
        let mut all = 0_u64;
        for &number in numbers {
            let bit = 1_u64.checked_shl(number)?;
            if all & bit != 0 {
                return None;
            }
            all |= bit;
        }
        (all != 0).then_some(Self(all))
    }

    /// In ascending order.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |number| self.0 & (1 << number) != 0)
    }
}

/// A deterministic part of a dataset's split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    pub id: String,
    pub dataset: String,
    pub split: String,
    /// Kept labels, in the order they are reported; empty: all of the dataset's.
    pub labels: Vec<String>,
    /// New names: `rename."old" = "new"`; two labels may get one name. Applied before `labels`.
    pub rename: Vec<(String, String)>,
    /// At most so many samples, drawn by seed.
    pub limit: Option<usize>,
    /// At most so many samples of each label, drawn by seed.
    pub per_label: Option<usize>,
    /// Shortest text kept, in characters.
    pub min_chars: Option<usize>,
    /// Longest text kept, in characters.
    pub max_chars: Option<usize>,
}

/// The kinds of calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CalibrationKind {
    /// Cosine of the vectors as they are.
    None,
    /// Texts minus the slice's mean text vector, labels minus the mean label vector; then cosine. Assumes balanced labels.
    Center,
    /// Minus the mean score of the texts "", "N/A" and "无" under the same prompt.
    ContentFree,
    /// Minus the label's mean score over the slice's texts. Assumes balanced labels.
    LabelMean,
    /// Minus the label's mean score, divided by its standard deviation over the slice's texts. Assumes balanced labels.
    ZScore,
    /// Twice the cosine, minus the mean of the text's `k` largest cosines and of the label's `k` largest. Assumes balanced
    /// labels.
    Csls,
    /// Minus the label's soft maximum over the slice's texts, as sharp as `beta` says. Assumes balanced labels.
    InvertedSoftmax,
}

/// The kinds of transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TransformKind {
    /// Vectors less the mean of the texts that it is fitted on.
    Center,
    /// That, and each coordinate divided by its standard deviation.
    Standardize,
    /// That of `center`, and less the components of the largest variance.
    DropTop,
    /// That of `center`, and every direction given the same variance.
    Whiten,
}

/// A figure that somebody else published for what a cell is.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchor {
    /// The cell it is about: exactly one matches.
    pub cell: Selector,
    /// One of the cell's metrics over its whole slice.
    pub metric: String,
    /// On the metric's own scale: a published 82.03 is 0.8203.
    pub value: f64,
    /// How far the run may be from it, at most; not less than the rounding of what was published.
    pub tolerance: f64,
    /// Where it was published.
    pub source: String,
}

/// Matches cells by the ids of their choices; an axis that is not named matches any choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Pairs of an axis and the ids that match on it.
    pub axes: Vec<(Axis, Vec<String>)>,
}

/// The axes of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    Model,
    Prompt,
    Readout,
    Transform,
    Slice,
    Task,
    Labels,
    Calibration,
}
