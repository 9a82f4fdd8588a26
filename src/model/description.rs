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
    /// Width of the token table and of the last state, where linear maps stand between them and the blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_width: Option<usize>,
    /// What the embeddings of tokens are multiplied by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_scale: Option<f64>,
    /// Most positions the model was made for.
    pub max_positions: usize,
    pub positions: Positions,
    /// Rows of the position table before that of the first position.
    #[serde(skip_serializing_if = "is_zero")]
    pub position_offset: usize,
    /// A token that takes no place: wherever it stands, it has the row before that of the first position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<u32>,
    /// Rows of the token-type table whose row 0 is added to every embedding; 0 where there is none.
    pub token_types: usize,
    /// A norm of its own right after the embeddings.
    pub embedding_norm: bool,
    pub norm: Norm,
    pub norm_eps: f64,
    /// Norms multiply by 1 + weight.
    #[serde(skip_serializing_if = "is_false")]
    pub norm_from_one: bool,
    pub placement: Placement,
    /// A norm after the last block.
    pub final_norm: bool,
    pub attention: Attention,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    pub feed_forward: FeedForward,
    #[serde(skip)]
    pub names: &'static Names,
}

/// How a token learns its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Positions {
    /// Queries and keys are rotated by angles in proportion to the position.
    Rotary {
        theta: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        scaling: Option<Scaling>,
        /// How many values of a head are turned, from its first one on, where that is not all of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        dims: Option<usize>,
    },
    /// A table of one vector per position is added to the embeddings.
    Learned,
}

/// How rotary angles are stretched for texts longer than those a model was first trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Scaling {
    /// All angles are divided by `factor`.
    Linear { factor: f64 },
    /// Slow angles are divided by `factor`, fast ones stay, and those between are mixed. Source: Llama 3.1.
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
    /// The same by another rule, and cosine and sine are multiplied by `attention`. Source: Peng et al., YaRN
    /// (arXiv 2309.00071).
    Yarn { factor: f64, fast: f64, slow: f64, original: f64, attention: f64, truncate: bool },
    /// Every angle is divided by a factor of its own. Source: Ding et al., LongRoPE (arXiv 2402.13753).
    Each {
        factors: Vec<f64>,
        attention: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        longer: Option<Longer>,
    },
}

/// Factors of rows that are longer than those of the first training; of all their tokens, from the first one on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Longer {
    /// Units: tokens.
    pub than: usize,
    pub factors: Vec<f64>,
}

/// Attention that reaches only so far back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Most tokens that one sees, itself included.
    pub tokens: usize,
    /// Whether a block is held to it; one value per block.
    pub blocks: Vec<bool>,
    /// Base of the rotary angles in those blocks, unscaled, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theta: Option<f64>,
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
    /// `x + norm(f(norm(x)))`, with two norms each for attention and feed-forward.
    Around,
    /// `x + attention(norm(x)) + feed_forward(norm(x))`, with two norms of one input.
    Parallel,
}

/// Attention of one block.
#[expect(clippy::struct_excessive_bools, reason = "architectures differ in each of them alone")]
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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
    /// A norm of every head's queries, and one of its keys, before they are turned.
    #[serde(skip_serializing_if = "is_false")]
    pub head_norm: bool,
    /// What products of queries and keys are multiplied by, where it is not `1 / sqrt(head_dim)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Scores are bent to stay below it: `cap * tanh(score / cap)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_cap: Option<f64>,
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

/// Names of an architecture's weights; empty where it has none. Those of a block follow `block`, its index and a full stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// What may stand before all names, in the order it is looked for.
    pub prefixes: &'static [&'static str],
    pub tokens: &'static str,
    pub project_in: &'static str,
    pub project_out: &'static str,
    pub positions: &'static str,
    pub token_types: &'static str,
    pub embedding_norm: &'static str,
    pub block: &'static str,
    pub attention_norm: &'static str,
    pub qkv: Qkv,
    pub query_norm: &'static str,
    pub key_norm: &'static str,
    pub output: &'static str,
    /// The norm behind attention in [`Placement::Around`].
    pub attention_end_norm: &'static str,
    pub feed_forward_norm: &'static str,
    /// Where this is the same as `up`, both are one tensor, the gate's rows first.
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    /// The norm behind the feed-forward part in [`Placement::Around`].
    pub feed_forward_end_norm: &'static str,
    pub final_norm: &'static str,
    /// Weights of a block's linear maps are stored as `[inputs, outputs]`.
    pub transposed: bool,
}

/// How the projections to queries, keys and values are stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Qkv {
    Apart {
        query: &'static str,
        key: &'static str,
        value: &'static str,
    },
    /// One tensor: all rows of the queries, then those of the keys, then those of the values.
    Stacked(&'static str),
    /// One tensor: for every head, its queries' rows, its keys', its values'.
    ByHead(&'static str),
}

impl Names {
    /// No names at all, to begin from.
    pub const NONE: Self = Self {
        prefixes: &[],
        tokens: "",
        project_in: "",
        project_out: "",
        positions: "",
        token_types: "",
        embedding_norm: "",
        block: "",
        attention_norm: "",
        qkv: Qkv::Stacked(""),
        query_norm: "",
        key_norm: "",
        output: "",
        attention_end_norm: "",
        feed_forward_norm: "",
        gate: "",
        up: "",
        down: "",
        feed_forward_end_norm: "",
        final_norm: "",
        transposed: false,
    };
}

impl Attention {
    /// Causal attention without biases or extras.
    pub const fn causal(heads: usize, head_dim: usize) -> Self {
        Self {
            heads,
            kv_heads: heads,
            head_dim,
            qkv_bias: false,
            output_bias: false,
            causal: true,
            head_norm: false,
            scale: None,
            soft_cap: None,
        }
    }

    /// Width of all queries of one token.
    pub const fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all keys, or all values, of one token.
    pub const fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// What products of queries and keys are multiplied by.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "heads are far narrower than 2^24; scores are f32"
    )]
    pub fn score_scale(&self) -> f32 {
        self.scale.map_or_else(|| (self.head_dim as f32).sqrt().recip(), |scale| scale as f32)
    }
}

impl Description {
    /// Width of hidden state `layer`.
    pub fn width(&self, layer: usize) -> usize {
        self.token_width.filter(|_| layer == self.layers).unwrap_or(self.hidden)
    }

    /// Tokens after which a row is long: long rows have other states than short ones from their first token on.
    pub fn long_after(&self) -> Option<usize> {
        match &self.positions {
            Positions::Rotary { scaling: Some(Scaling::Each { longer: Some(longer), .. }), .. } => Some(longer.than),
            _ => None,
        }
    }

    /// Most tokens that one sees in block `i`, where that is limited.
    pub fn window(&self, i: usize) -> Option<usize> {
        let window = self.window.as_ref()?;
        window.blocks.get(i).copied().unwrap_or(false).then_some(window.tokens)
    }

    /// Weights in the linear layers of one block, which is what a token position costs: two operations for each.
    pub fn block_weights(&self) -> u64 {
        let hidden = self.hidden as u64;
        let attention = 2 * hidden * (self.attention.query_width() as u64 + self.attention.key_width() as u64);
        let matrices = if self.feed_forward.gated { 3 } else { 2 };
        attention + matrices * hidden * self.feed_forward.width as u64
    }

    /// Weights of the token table and all blocks; biases and norms are too few to count.
    pub fn parameters(&self) -> u64 {
        let tokens = self.vocabulary as u64 * self.token_width.unwrap_or(self.hidden) as u64;
        tokens.saturating_add(self.block_weights().saturating_mul(self.layers as u64))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(size: &usize) -> bool {
    *size == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
