//! The spec file as it is written: what serde reads, and what the JSON Schema for editors is generated from.
//!
//! Doc comments on these types are the help that editors show. `lower` turns them into the program's own types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::either::{Companion, Ids, Layers, Views};
use super::schema;
use super::{
    Aggregate, Calibration, Correction, DType, Differently, Endpoint, FitSet, Gate, Layer, Pooling, Protocol, TaskKind,
};
use crate::prompt::{Clean, Fuse, Truncation};

/// One experiment of `bench`: the axes of a grid, and what to do with its cells.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bench experiment")]
pub struct File {
    /// Names the folders of results and reports: letters, digits, `-`, `_` and `.`.
    #[schemars(schema_with = "schema::id")]
    pub name: Option<Spanned<String>>,
    /// One sentence for the head of the report: what the experiment asks.
    pub about: Option<String>,
    /// Seed of everything random: limited slices, bootstrap intervals.
    #[serde(default = "seed")]
    pub seed: u64,
    /// The models to embed with.
    #[schemars(with = "Vec<Model>", length(min = 1))]
    pub model: Option<Vec<Spanned<Model>>>,
    /// The prompts to put texts into. Without any: the bare text.
    #[schemars(with = "Option<Vec<Prompt>>")]
    pub prompt: Option<Vec<Spanned<Prompt>>>,
    /// What to read out of a forward pass; several cost no second pass. Without any: `pool = "own"`.
    #[schemars(with = "Option<Vec<Readout>>")]
    pub readout: Option<Vec<Spanned<Readout>>>,
    /// The data to score on.
    #[schemars(with = "Vec<Slice>", length(min = 1))]
    pub slice: Option<Vec<Spanned<Slice>>>,
    /// How labels are worded. Without any: by their bare names, under the id `names`.
    #[schemars(with = "Option<Vec<Labels>>")]
    pub labels: Option<Vec<Spanned<Labels>>>,
    /// What to do with the embeddings. Without any: label similarity without calibration.
    #[schemars(with = "Option<Vec<Task>>")]
    pub task: Option<Vec<Spanned<Task>>>,
    /// Which combinations are cells.
    pub grid: Option<Grid>,
    /// What cells are compared with, and how p-values are corrected.
    pub compare: Option<Compare>,
    /// How much worse than its baseline a run may be.
    #[schemars(with = "Option<Gate>")]
    pub gate: Option<Spanned<Gate>>,
    /// Published figures that `bench verify` holds the run against.
    #[schemars(with = "Option<Vec<Anchor>>")]
    pub anchor: Option<Vec<Spanned<Anchor>>>,
}

/// A model to embed with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What reports call this model.
    #[schemars(schema_with = "schema::id")]
    pub id: Spanned<String>,
    /// The model's address: `path:DIR` (a folder), `gguf:FILE` (a file of llama.cpp), `hf:REPO[@REV]` (the Hugging Face hub), `http://HOST:PORT/v1` (an
    /// embedding server) or `builtin:char-ngram`.
    #[schemars(schema_with = "schema::address")]
    pub source: Spanned<String>,
    /// Arithmetic of the forward pass; `f32` when absent.
    #[schemars(with = "Option<DType>")]
    pub dtype: Option<Spanned<DType>>,
    /// Where the forward pass runs: `auto` (when absent), `cpu`, `cuda:N`, `cuda:N,M` for several that share out the texts, or `metal`.
    #[schemars(schema_with = "schema::device")]
    #[serde(default)]
    pub device: Option<Spanned<String>>,
    /// Most tokens of one rendered text; the model's own limit when absent.
    #[schemars(with = "Option<usize>", range(min = 8))]
    pub max_tokens: Option<Spanned<usize>>,
    /// A LoRA adapter in PEFT's layout, merged into the model: `path:DIR` or `hf:REPO[@REV]`.
    #[schemars(with = "Option<String>")]
    pub adapter: Option<Spanned<String>>,
    /// Unlabelled texts that `builtin:char-ngram` takes its IDF from; for no other model.
    #[schemars(with = "Option<FitSet>")]
    pub fit: Option<Spanned<FitSet>>,
    /// What a server (`http://HOST:PORT/v1`) is asked for; for no other model.
    #[schemars(with = "Option<Endpoint>")]
    pub endpoint: Option<Spanned<Endpoint>>,
}

/// A prompt: exactly one of `use`, `template`, `templates` and `views`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// What reports call this prompt.
    #[schemars(schema_with = "schema::id")]
    pub id: Spanned<String>,
    /// Name of a built-in prompt.
    #[serde(rename = "use")]
    #[schemars(schema_with = "schema::catalogue")]
    #[serde(default)]
    pub entry: Option<Spanned<String>>,
    /// The prompt's text with `{text}` where the text goes; literal braces are doubled. A slot of another name is filled from
    /// that column of the dataset, or by `fill`.
    #[schemars(with = "Option<String>")]
    pub template: Option<Spanned<String>>,
    /// Several prompts in one entry, each a choice of its own with the id `ID@NUMBER`: a list, or `{ file = "..." }` with one
    /// template a line.
    #[schemars(with = "Option<Views>")]
    pub templates: Option<Spanned<Views>>,
    /// Words for the other slots: `fill = { aspect = "topic" }`.
    #[serde(default)]
    #[schemars(schema_with = "schema::fill")]
    pub fill: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Several templates whose vectors are fused: a list of templates or of tables (`{ use = "...", readout = { layer = -2 } }`),
    /// or `{ file = "..." }` with one template a line.
    #[schemars(with = "Option<Views>")]
    pub views: Option<Spanned<Views>>,
    /// Put what is rendered into the model's own chat format, as what the user says.
    #[serde(default)]
    pub chat: bool,
    /// What the system says before it. Only with `chat`.
    #[schemars(with = "Option<String>")]
    pub system: Option<Spanned<String>>,
    /// What the answer begins with: a vector of the last token is read at its end. Only with `chat`.
    #[schemars(with = "Option<String>")]
    pub answer: Option<Spanned<String>>,
    /// How the views' vectors become one; `mean` when absent. Only with `views`.
    #[schemars(with = "Option<Fuse>")]
    pub fuse: Option<Spanned<Fuse>>,
    /// Which part of a text goes when the rendered text is too long.
    #[serde(default)]
    pub truncate: Truncation,
    /// Clean-up of a text before it fills the slot. When absent: that of the built-in prompt, else `none`.
    pub clean: Option<Clean>,
}

/// One view of a prompt: `use` or `template`, and what it reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Name of a built-in prompt.
    #[serde(rename = "use")]
    #[schemars(schema_with = "schema::catalogue")]
    #[serde(default)]
    pub entry: Option<Spanned<String>>,
    /// The view's text with `{text}` where the text goes; literal braces are doubled.
    #[schemars(with = "Option<String>")]
    pub template: Option<Spanned<String>>,
    /// What this view reads otherwise than the cell's readout says.
    #[serde(default)]
    pub readout: Differently,
}

/// What is read out of one forward pass.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Readout {
    /// What reports call this readout.
    #[schemars(schema_with = "schema::id")]
    pub id: Spanned<String>,
    /// Hidden state as transformers counts them: 0 is the embeddings, -1 is after the final norm, -2 is the raw output
    /// of the last block but one. With a decimal point a share of the model's depth, to the nearest state: 0.85 of 32 blocks
    /// is state 27. When absent: -1.
    #[schemars(with = "Option<Layer>")]
    pub layer: Option<Spanned<Layer>>,
    /// Several layers, or `"all"` of a model's hidden states: each is a choice of its own, with the id `ID@LAYER`.
    #[schemars(with = "Option<Layers>")]
    pub layers: Option<Spanned<Layers>>,
    /// How the states of a text's tokens become one vector.
    pub pool: Pooling,
    /// Pool the tokens of the text alone: those of its n-th copy in the prompt, from 1. When absent: of the whole prompt.
    #[schemars(range(min = 1))]
    pub span: Option<usize>,
    /// Apply the model's final norm to an inner layer's state.
    #[serde(default)]
    pub norm: bool,
    /// Keep the first so many coordinates of a vector, for models that are trained for it (Matryoshka); before scaling.
    #[schemars(range(min = 1))]
    pub dim: Option<usize>,
    /// Scale each vector to unit length.
    #[serde(default = "yes")]
    pub normalize: bool,
}

/// A deterministic part of a dataset's split.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// What reports call this slice.
    #[schemars(schema_with = "schema::id")]
    pub id: Spanned<String>,
    /// A dataset's name: `bench data list` shows them.
    #[schemars(length(min = 1))]
    pub dataset: String,
    /// One of its splits.
    #[schemars(length(min = 1))]
    pub split: String,
    /// Kept labels, in the order they are reported; all when absent.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub labels: Option<Vec<Spanned<String>>>,
    /// New names: `rename."old" = "new"`; two labels may get one name. Applied before `labels`.
    #[serde(default)]
    #[schemars(schema_with = "schema::rename")]
    pub rename: BTreeMap<Spanned<String>, String>,
    /// At most so many samples, drawn by seed.
    #[schemars(range(min = 1))]
    pub limit: Option<usize>,
    /// At most so many samples of each label, drawn by seed.
    #[schemars(range(min = 1))]
    pub per_label: Option<usize>,
    /// Shortest text kept, in characters.
    #[schemars(with = "Option<usize>")]
    pub min_chars: Option<Spanned<usize>>,
    /// Longest text kept, in characters.
    #[schemars(range(min = 1))]
    pub max_chars: Option<usize>,
}

/// How labels are worded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// What reports call this wording.
    #[schemars(schema_with = "schema::id")]
    pub id: Spanned<String>,
    /// Phrasings by label: `phrases."label" = ["...", ...]`; several are averaged. Other labels go by their names.
    #[serde(default)]
    #[schemars(schema_with = "schema::phrases")]
    pub phrases: BTreeMap<Spanned<String>, Vec<String>>,
    /// Prompt for the phrasings: the id of a `[[prompt]]` or the name of a built-in one; each cell's own when absent.
    #[schemars(with = "Option<String>")]
    pub prompt: Option<Spanned<String>>,
}

/// What is done with the embeddings of a cell.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The kind of task.
    ///
    /// It is done on the slices whose samples are for it; one `[[task]]` of each kind at most.
    #[schemars(with = "TaskKind")]
    pub kind: Spanned<TaskKind>,
    /// Corrections of the scores, each a choice on an axis of its own; `["none"]` when absent. Only for `label-similarity`.
    #[schemars(with = "Option<Vec<Calibration>>", length(min = 1))]
    #[serde(default)]
    pub calibration: Option<Spanned<Vec<Spanned<Calibration>>>>,
    /// Whose definition of the metrics is used. Only for `sts`, `pair-classification` and `linear-probe`.
    #[schemars(with = "Option<Protocol>")]
    pub protocol: Option<Spanned<Protocol>>,
    /// How the subsets of a slice become one correlation; `pooled` when absent. Only for `sts`.
    #[schemars(with = "Option<Aggregate>")]
    pub aggregate: Option<Spanned<Aggregate>>,
    /// Id of the slice that thresholds are picked on, so that accuracy is no oracle's. Only for `pair-classification`.
    #[schemars(with = "Option<String>")]
    pub thresholds_from: Option<Spanned<String>>,
    /// What it learns from: the id of a slice, or `{ split = "train" }`, another split cut as the scored slice is. Only for
    /// `linear-probe` and `knn`.
    #[schemars(with = "Option<Companion>")]
    pub train: Option<Spanned<Companion>>,
    /// Inverse strength of the L2 penalty, scikit-learn's `C`; 1 when absent. Only for `linear-probe`.
    #[schemars(with = "Option<f64>")]
    pub c: Option<Spanned<f64>>,
    /// How many texts of each label one probe learns from; 8 when absent. Only for `linear-probe` with `protocol = "mteb"`.
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub samples_per_label: Option<Spanned<usize>>,
    /// How many probes, each from texts drawn anew; 10 when absent. Only for `linear-probe` with `protocol = "mteb"`.
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub experiments: Option<Spanned<usize>>,
    /// What is searched: the id of a slice, or `{ split = "train" }`; without it, each text is sought among all others of its
    /// slice. Only for `retrieval`.
    #[schemars(with = "Option<Companion>")]
    pub documents: Option<Spanned<Companion>>,
    /// How many clusters are sought; one for each label when absent. Only for `clustering`.
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub clusters: Option<Spanned<usize>>,
    /// How often k-means begins anew; the tightest clusters are kept; 10 when absent. Only for `clustering`.
    #[schemars(with = "Option<usize>", range(min = 1, max = 1000))]
    pub restarts: Option<Spanned<usize>>,
    /// How many neighbours vote; 5 when absent. Only for `knn`.
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub k: Option<Spanned<usize>>,
}

/// Which combinations are cells.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Combinations that are not cells. An axis that is not named matches any choice.
    #[serde(default)]
    #[schemars(with = "Vec<Skip>")]
    pub skip: Vec<Spanned<Skip>>,
}

/// Combinations that are not cells: `{ model = "a", readout = ["b", "c"] }`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Skip {
    /// Ids of models.
    #[schemars(with = "Option<Ids>")]
    pub model: Option<Spanned<Ids>>,
    /// Ids of prompts.
    #[schemars(with = "Option<Ids>")]
    pub prompt: Option<Spanned<Ids>>,
    /// Ids of readouts.
    #[schemars(with = "Option<Ids>")]
    pub readout: Option<Spanned<Ids>>,
    /// Ids of slices.
    #[schemars(with = "Option<Ids>")]
    pub slice: Option<Spanned<Ids>>,
    /// Kinds of tasks.
    #[schemars(with = "Option<Ids>")]
    pub task: Option<Spanned<Ids>>,
    /// Ids of label wordings.
    #[schemars(with = "Option<Ids>")]
    pub labels: Option<Spanned<Ids>>,
    /// Calibrations.
    #[schemars(with = "Option<Ids>")]
    pub calibration: Option<Spanned<Ids>>,
}

/// What cells are compared with, and how p-values are corrected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The cell every other one is compared with: the first that matches. Without it, the first of the grid.
    #[schemars(with = "Option<Reference>")]
    pub reference: Option<Spanned<Reference>>,
    /// How p-values are corrected for the number of comparisons.
    #[serde(default)]
    pub correction: Correction,
}

/// A cell by the ids of its choices: `{ model = "a", prompt = "b" }`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Reference {
    /// Id of a model.
    #[schemars(with = "Option<String>")]
    pub model: Option<Spanned<String>>,
    /// Id of a prompt.
    #[schemars(with = "Option<String>")]
    pub prompt: Option<Spanned<String>>,
    /// Id of a readout.
    #[schemars(with = "Option<String>")]
    pub readout: Option<Spanned<String>>,
    /// Id of a slice.
    #[schemars(with = "Option<String>")]
    pub slice: Option<Spanned<String>>,
    /// Kind of a task.
    #[schemars(with = "Option<String>")]
    pub task: Option<Spanned<String>>,
    /// Id of a label wording.
    #[schemars(with = "Option<String>")]
    pub labels: Option<Spanned<String>>,
    /// A calibration.
    #[schemars(with = "Option<String>")]
    pub calibration: Option<Spanned<String>>,
}

/// A figure that somebody else published for what a cell is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The cell it is about, by the ids of its choices: exactly one cell matches.
    #[schemars(with = "Reference")]
    pub cell: Spanned<Reference>,
    /// One of the cell's metrics over its whole slice: `accuracy`, `spearman`, `ap`, ...
    #[schemars(length(min = 1))]
    pub metric: String,
    /// The published figure on the metric's own scale: 82.03 is written 0.8203.
    #[schemars(with = "f64")]
    pub value: Spanned<f64>,
    /// How far the run may be from it, at most.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// Where it was published.
    #[schemars(length(min = 1))]
    pub source: String,
}

const fn seed() -> u64 {
    42
}

const fn yes() -> bool {
    true
}
