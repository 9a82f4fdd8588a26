//! What is read out of one forward pass: which hidden state, of which tokens, and how those become one vector.

mod layer;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use layer::{Layer, UnknownLayer};

/// One choice on the axis of readouts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Readout {
    pub id: String,
    pub layer: Layer,
    pub pool: Pooling,
    /// Which copy of the text within its prompt is pooled, from 1; the whole prompt when absent.
    pub span: Option<usize>,
    /// Apply the model's final norm to an inner layer's state.
    pub norm: bool,
    /// How many of a vector's coordinates are kept, from the first on; all when absent.
    pub dim: Option<usize>,
    /// Scale each vector to unit length.
    pub normalize: bool,
}

/// How the states of one text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The last real token.
    Last,
    /// The mean over all real tokens, special ones included.
    Mean,
    /// The mean in which a token counts by its place: the first once, the n-th n times (SGPT).
    WeightedMean,
    /// The largest value of each coordinate over all real tokens.
    Max,
    /// The first token.
    Cls,
    /// What the model's own sentence-transformers folder says (`modules.json`, `1_Pooling`). A folder without such
    /// settings: the last token of a causal model; the mean of an encoder, as sentence-transformers does.
    Own,
}

/// What one view of a prompt reads otherwise than its cell's readout says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Differently {
    /// Hidden state, as in `[[readout]]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Layer>")]
    pub layer: Option<Layer>,
    /// How the states of a text's tokens become one vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Pooling>")]
    pub pool: Option<Pooling>,
    /// Which copy of the text within its prompt is pooled, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<usize>", range(min = 1))]
    pub span: Option<usize>,
    /// Apply the model's final norm to an inner layer's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<bool>")]
    pub norm: Option<bool>,
}

impl Readout {
    /// Of the whole prompt, all coordinates, scaled to unit length.
    pub fn new(id: impl Into<String>, layer: Layer, pool: Pooling) -> Self {
        Self { id: id.into(), layer, pool, span: None, norm: false, dim: None, normalize: true }
    }

    /// One of the readouts that an entry with several layers stands for: its id is that of the entry, `@`, and the layer.
    #[must_use]
    pub fn at(&self, layer: Layer) -> Self {
        Self { id: format!("{}@{layer}", self.id), layer, ..self.clone() }
    }

    /// What a view reads that may differ.
    #[must_use]
    pub fn under(&self, view: &Differently) -> Self {
        Self {
            layer: view.layer.unwrap_or(self.layer),
            pool: view.pool.unwrap_or(self.pool),
            span: view.span.or(self.span),
            norm: view.norm.unwrap_or(self.norm),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_reads_what_it_names_and_the_rest_as_the_cell_does() {
        let cell = Readout { dim: Some(8), ..Readout::new("r", Layer::At(-1), Pooling::Last) };
        let view = Differently { layer: Some(Layer::At(-2)), norm: Some(true), ..Differently::default() };
        assert_eq!(cell.under(&view), Readout { layer: Layer::At(-2), norm: true, ..cell.clone() });
        assert_eq!(cell.under(&Differently::default()), cell);
        assert_eq!(serde_json::to_string(&view).unwrap(), r#"{"layer":-2,"norm":true}"#);
    }
}
