//! One parameterised transformer: what an architecture has to say about itself.

use serde::Serialize;

/// A transformer without its weights. An architecture is a table from `config.json` to this (`config.rs`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// `model_type` of `config.json`.
    pub architecture: &'static str,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Number of blocks, L; there are L + 1 hidden states.
    pub layers: usize,
    pub vocabulary: usize,
    /// Most positions the model was made for.
    pub max_positions: usize,
    pub positions: Positions,
    /// Rows of the token-type table whose row 0 is added to every embedding; 0 where there is none.
    pub token_types: usize,
    /// A norm of its own right after the embeddings.
    pub embedding_norm: bool,
    pub norm: Norm,
    pub norm_eps: f64,
    pub placement: Placement,
    /// A norm after the last block.
    pub final_norm: bool,
    pub attention: Attention,
    pub feed_forward: FeedForward,
    #[serde(skip)]
    pub names: &'static Names,
}

/// How a token learns its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Positions {
    /// Queries and keys are rotated by angles in proportion to the position.
    Rotary { theta: f64 },
    /// A table of one vector per position is added to the embeddings.
    Learned,
}

/// Kind of norm, the same all over a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Norm {
    /// Root mean square, with weight.
    Rms,
    /// Mean and variance, with weight and bias.
    Layer,
}

/// Where a block's norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Placement {
    /// `x + f(norm(x))`
    Before,
    /// `norm(x + f(x))`
    After,
}

/// Attention of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    pub heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Biases of the query, key and value projections.
    pub qkv_bias: bool,
    pub output_bias: bool,
    /// A token sees itself and what stands before it, not what stands behind it.
    pub causal: bool,
}

/// Feed-forward part of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FeedForward {
    pub width: usize,
    /// `down(activation(gate(x)) * up(x))` instead of `down(activation(up(x)))`.
    pub gated: bool,
    pub activation: Activation,
    pub bias: bool,
}

/// Non-linearity of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Activation {
    Silu,
    /// With the error function.
    Gelu,
    /// With the tanh approximation.
    GeluTanh,
    Relu,
}

/// Names of an architecture's weights. Those of a block follow `block`, its index and a full stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// What may stand before all names, in the order it is looked for.
    pub prefixes: &'static [&'static str],
    pub tokens: &'static str,
    pub positions: &'static str,
    pub token_types: &'static str,
    pub embedding_norm: &'static str,
    pub block: &'static str,
    pub attention_norm: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub output: &'static str,
    pub feed_forward_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub final_norm: &'static str,
}

impl Attention {
    /// Width of all queries of one token.
    pub const fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all keys, or all values, of one token.
    pub const fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

impl Description {
    /// Weights in the linear layers of one block, which is what a token position costs: two operations for each.
    pub fn block_weights(&self) -> u64 {
        let hidden = self.hidden as u64;
        let attention = 2 * hidden * (self.attention.query_width() as u64 + self.attention.key_width() as u64);
        let matrices = if self.feed_forward.gated { 3 } else { 2 };
        attention + matrices * hidden * self.feed_forward.width as u64
    }

    /// Weights of the token table and all blocks; biases and norms are too few to count.
    pub fn parameters(&self) -> u64 {
        (self.vocabulary as u64 * self.hidden as u64).saturating_add(self.block_weights().saturating_mul(self.layers as u64))
    }
}
