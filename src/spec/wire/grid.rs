//! The part of the mirror that selects cells: which are left out, which one others are compared with, which have been published.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::super::Correction;
use super::super::either::OneOrMany;

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
    #[schemars(with = "Option<OneOrMany>")]
    pub model: Option<Spanned<OneOrMany>>,
    /// Ids of prompts.
    #[schemars(with = "Option<OneOrMany>")]
    pub prompt: Option<Spanned<OneOrMany>>,
    /// Ids of readouts.
    #[schemars(with = "Option<OneOrMany>")]
    pub readout: Option<Spanned<OneOrMany>>,
    /// Ids of transforms, or `none`.
    #[schemars(with = "Option<OneOrMany>")]
    pub transform: Option<Spanned<OneOrMany>>,
    /// Ids of slices.
    #[schemars(with = "Option<OneOrMany>")]
    pub slice: Option<Spanned<OneOrMany>>,
    /// Kinds of tasks.
    #[schemars(with = "Option<OneOrMany>")]
    pub task: Option<Spanned<OneOrMany>>,
    /// Ids of label wordings.
    #[schemars(with = "Option<OneOrMany>")]
    pub labels: Option<Spanned<OneOrMany>>,
    /// Calibrations.
    #[schemars(with = "Option<OneOrMany>")]
    pub calibration: Option<Spanned<OneOrMany>>,
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
    /// Id of a transform, or `none`.
    #[schemars(with = "Option<String>")]
    pub transform: Option<Spanned<String>>,
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

/// A result file of MTEB: what somebody else measured.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its path from the spec's folder on; the last folders name the model: `ORG__MODEL/REVISION/TASK.json`.
    #[schemars(with = "String", length(min = 1))]
    pub file: Spanned<String>,
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
