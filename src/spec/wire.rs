//! The spec file as it is written: what serde reads, and what the JSON Schema for editors is generated from.
//!
//! Doc comments on these types are the help that editors show. `lower` turns them into the program's own types.

mod grid;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::calibration;
use super::either::{Companion, Layers, OneOrMany, View as ViewEntry, Views};
use super::schema;
use super::{
    Aggregate, DType, Differently, Endpoint, FitSet, FitTexts, Gate, Labelled, Layer, Pooling, Protocol, TaskKind,
    TransformKind,
};
use crate::prompt::{Clean, Fuse, Truncation};

pub use grid::{Anchor, Compare, Grid, Published, Reference, Skip};

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
    /// What is done to all vectors before they are compared, fitted on texts without labels. `none`, the plain choice, is
    /// always on this axis.
    #[schemars(with = "Option<Vec<Transform>>")]
    pub transform: Option<Vec<Spanned<Transform>>>,
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
    /// Result files of others, whose figures the report shows beside the run's.
    pub published: Option<Vec<Published>>,
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
    /// What documents are put into where this prompt's texts are queries: a template, or a table with `use`; as the queries when
    /// absent. Only for `retrieval`.
    #[schemars(with = "Option<ViewEntry>")]
    pub documents: Option<Spanned<ViewEntry>>,
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

/// What is done to all vectors, texts and labels alike: fitted on texts, never on their labels.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// What reports call this transform.
    #[schemars(schema_with = "schema::id")]
    pub id: Spanned<String>,
    /// What is done to a vector.
    #[schemars(with = "TransformKind")]
    pub kind: Spanned<TransformKind>,
    /// Dimensions kept, those of the largest variance; when absent, all that vary. Only for `whiten`.
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub dims: Option<Spanned<usize>>,
    /// Components of the largest variance that are taken off. Only for `drop-top`.
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub drop: Option<Spanned<usize>>,
    /// How far the variances are drawn to their mean before they are evened out, from 0 (not, when absent) to 1 (all the way).
    /// With few texts for many dimensions some is needed. Only for `whiten`.
    #[schemars(with = "Option<f64>", range(min = 0.0, max = 1.0))]
    pub shrinkage: Option<Spanned<f64>>,
    /// The texts it is fitted on, under the cell's prompt and readout.
    #[schemars(with = "FitTexts")]
    pub fit: Spanned<FitTexts>,
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
    /// Score each phrase by itself as well: `ID@1` words every label by its first phrase, `ID@2` by its second or last one, and so on.
    #[schemars(with = "Option<bool>")]
    pub alone: Option<Spanned<bool>>,
    /// A sentence around each name or phrase, with `{label}` where it goes; several are averaged. `{examples}` is what
    /// `examples` has for the label.
    #[schemars(with = "Option<OneOrMany>")]
    pub template: Option<Spanned<OneOrMany>>,
    /// Examples of what belongs to a label, as they are to read: `examples."label" = "..."`.
    #[serde(default)]
    #[schemars(schema_with = "schema::rename")]
    pub examples: BTreeMap<Spanned<String>, String>,
    /// Prompt for the phrasings: the id of a `[[prompt]]` or the name of a built-in one; each cell's own when absent.
    #[schemars(with = "Option<String>")]
    pub prompt: Option<Spanned<String>>,
    /// Ids of other `[[labels]]`, averaged: each counts alike.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    #[serde(default)]
    pub ensemble: Option<Spanned<Vec<Spanned<String>>>>,
    /// So many texts of each label stand for it instead of words; 0, as when absent, is zero-shot.
    #[schemars(with = "Option<usize>")]
    pub shots: Option<Spanned<usize>>,
    /// Where those texts are drawn from; texts that a slice scores are passed over.
    #[schemars(with = "Option<Labelled>")]
    pub from: Option<Spanned<Labelled>>,
}

/// What is done with the embeddings of a cell.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The kind of task.
    ///
    /// It is done on the slices whose samples are for it. One `[[task]]` of each kind, or several that share out the slices by
    /// `slices`.
    #[schemars(with = "TaskKind")]
    pub kind: Spanned<TaskKind>,
    /// Ids of the slices that it is done on; all whose samples are for it when absent. Only for `linear-probe`, `knn` and
    /// `retrieval`.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    #[serde(default)]
    pub slices: Option<Spanned<Vec<Spanned<String>>>>,
    /// Corrections of the scores, each a choice on an axis of its own; `["none"]` when absent. Only for `label-similarity`.
    #[schemars(with = "Option<Vec<calibration::Entry>>", length(min = 1))]
    #[serde(default)]
    pub calibration: Option<Spanned<Vec<Spanned<calibration::Entry>>>>,
    /// Whose definition of the metrics is used. Only for `sts`, `pair-classification`, `linear-probe` and `retrieval`.
    #[schemars(with = "Option<Protocol>")]
    pub protocol: Option<Spanned<Protocol>>,
    /// How the subsets of a slice become one correlation; `pooled` when absent. Only for `sts`.
    #[schemars(with = "Option<Aggregate>")]
    pub aggregate: Option<Spanned<Aggregate>>,
    /// Id of the slice that thresholds are picked on, so that accuracy is no oracle's. Only for `pair-classification`.
    #[schemars(with = "Option<String>")]
    pub thresholds_from: Option<Spanned<String>>,
    /// What it learns from: the id of a slice, or `{ split = "train" }`, another split cut as the scored slice is. Only for
    /// `linear-probe` and `knn`; with `protocol = "senteval"`, a slice without it is learnt from part by part.
    #[schemars(with = "Option<Companion>")]
    pub train: Option<Spanned<Companion>>,
    /// What judges the penalties that are tried: as `train`. Only for `linear-probe` with `protocol = "senteval"`; without it, folds
    /// of the train texts do.
    #[schemars(with = "Option<Companion>")]
    pub dev: Option<Spanned<Companion>>,
    /// How many folds; 10 when absent. Only for `linear-probe` with `protocol = "senteval"`.
    #[schemars(with = "Option<usize>", range(min = 2))]
    pub folds: Option<Spanned<usize>>,
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
    /// Pass over documents whose id is the query's, as BEIR does and MTEB on some data (`ArguAna`); `false` when absent. Only for
    /// `retrieval`.
    #[schemars(with = "Option<bool>")]
    pub ignore_identical_ids: Option<Spanned<bool>>,
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

const fn seed() -> u64 {
    42
}

const fn yes() -> bool {
    true
}
