//! Decoders of Llama's kind: RMS norms before, rotary positions, a gated feed-forward part.

use super::Config;
use super::rope::{Rope, USUAL};
use crate::model::description::{Activation, Attention, Description, FeedForward, Names, Norm, Placement, Qkv, Window};
use crate::model::error::ModelError;

pub(super) const LLAMA_NAMES: Names = Names {
    prefixes: &["model.", ""],
    tokens: "embed_tokens.weight",
    block: "layers.",
    attention_norm: "input_layernorm",
    qkv: Qkv::Apart { query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj" },
    query_norm: "self_attn.q_norm",
    key_norm: "self_attn.k_norm",
    output: "self_attn.o_proj",
    feed_forward_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    final_norm: "norm",
    ..Names::NONE
};

/// Projections of one input in one tensor.
const PHI3_NAMES: Names =
    Names { qkv: Qkv::Stacked("self_attn.qkv_proj"), gate: "mlp.gate_up_proj", up: "mlp.gate_up_proj", ..LLAMA_NAMES };

/// Llama, and all that is saved as it, such as Yi.
pub(super) fn llama(config: &Config) -> Result<Description, ModelError> {
    config.usual_decoder(None)
}

/// Llama whose tokens see a part of the text before them.
pub(super) fn mistral(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.usual_decoder(None)?;
    config.limit(&mut description, config.usual_window()?, |_| true)?;
    Ok(description)
}

/// Mistral with projections of one input in one tensor.
pub(super) fn phi3(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.usual_decoder(None)?;
    description.names = &PHI3_NAMES;
    let tokens = config.optional_size("sliding_window")?;
    config.limit(&mut description, tokens, |_| true)?;
    Ok(description)
}

/// Llama with biases on queries, keys and values.
pub(super) fn qwen2(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.usual_decoder(None)?;
    description.attention.qkv_bias = true;
    description.attention.output_bias = false;
    config.upper_window(&mut description)?;
    Ok(description)
}

/// Qwen2 without biases, with norms of every head's queries and keys.
pub(super) fn qwen3(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.usual_decoder(Some(128))?;
    description.attention.head_norm = true;
    config.upper_window(&mut description)?;
    Ok(description)
}

impl Config {
    /// One whose rotary positions are described as most are. `head_dim` is the default of its key where heads do not simply
    /// divide the hidden width.
    pub(super) fn usual_decoder(&self, head_dim: Option<usize>) -> Result<Description, ModelError> {
        let attention = self.attention(head_dim)?;
        let rope = self.rope(&USUAL, attention.head_dim)?;
        self.decoder(attention, rope)
    }

    /// Attention as all of them have it.
    pub(super) fn attention(&self, head_dim: Option<usize>) -> Result<Attention, ModelError> {
        if self.at("is_causal").is_some() && !self.flag("is_causal")? {
            return Err(self.unsupported("is_causal", "bidirectional decoders cannot be read"));
        }
        let heads = self.size("num_attention_heads")?;
        let kv_heads = self.optional_size("num_key_value_heads")?.unwrap_or(heads);
        self.divide("num_attention_heads", heads, "a multiple of `num_key_value_heads`", kv_heads)?;
        let head_dim = match self.optional_size("head_dim")?.or(head_dim) {
            Some(head_dim) => head_dim,
            None => self.divide("hidden_size", self.size("hidden_size")?, "a multiple of `num_attention_heads`", heads)?,
        };
        self.divide("head_dim", head_dim, "an even number", 2)?;
        let bias = self.flag("attention_bias")?;
        Ok(Attention { kv_heads, head_dim, qkv_bias: bias, output_bias: bias, ..Attention::causal(heads, head_dim) })
    }

    /// What all of them share; [`describe`](super::describe) adds the name.
    pub(super) fn decoder(&self, attention: Attention, rope: Rope) -> Result<Description, ModelError> {
        Ok(Description {
            architecture: "",
            hidden: self.size("hidden_size")?,
            layers: self.size("num_hidden_layers")?,
            vocabulary: self.size("vocab_size")?,
            token_width: None,
            embedding_scale: None,
            max_positions: self.size("max_position_embeddings")?,
            positions: rope.positions(),
            position_offset: 0,
            padding: None,
            token_types: 0,
            embedding_norm: false,
            norm: Norm::Rms,
            norm_eps: self.number("rms_norm_eps")?.unwrap_or(1e-6),
            norm_from_one: false,
            placement: Placement::Before,
            final_norm: true,
            attention,
            window: None,
            feed_forward: FeedForward {
                width: self.size("intermediate_size")?,
                gated: true,
                activation: self.activation("hidden_act", Activation::Silu)?,
                bias: self.flag("mlp_bias")?,
            },
            names: &LLAMA_NAMES,
        })
    }

    /// The window of architectures that have one where the file does not say.
    pub(super) fn usual_window(&self) -> Result<Option<usize>, ModelError> {
        if self.json.get("sliding_window").is_none() { Ok(Some(4096)) } else { self.optional_size("sliding_window") }
    }

    /// Holds some blocks to a window: those that `layer_types` names, or else those that `is_held` says.
    pub(super) fn limit(
        &self,
        description: &mut Description,
        tokens: Option<usize>,
        is_held: impl Fn(usize) -> bool,
    ) -> Result<(), ModelError> {
        let blocks = match self.at("layer_types") {
            None => (0..description.layers).map(is_held).collect(),
            Some(types) => self.layer_types(types, description.layers)?,
        };
        description.window = match tokens {
            Some(tokens) if blocks.contains(&true) => Some(Window { tokens, blocks, theta: None }),
            _ => None,
        };
        Ok(())
    }

    /// Whether each block is held to the window.
    fn layer_types(&self, types: &serde_json::Value, layers: usize) -> Result<Vec<bool>, ModelError> {
        let held = |kind: &serde_json::Value| match kind.as_str() {
            Some("sliding_attention") => Some(true),
            Some("full_attention") => Some(false),
            _ => None,
        };
        let blocks = types.as_array().and_then(|types| types.iter().map(held).collect::<Option<Vec<bool>>>());
        let wanted = "a list with `full_attention` or `sliding_attention` for every layer";
        blocks.filter(|blocks| blocks.len() == layers).ok_or_else(|| self.wrong("layer_types", Some(types), wanted))
    }

    /// Qwen's window: of the blocks from `max_window_layers` on, if at all.
    fn upper_window(&self, description: &mut Description) -> Result<(), ModelError> {
        if !self.flag("use_sliding_window")? {
            return Ok(());
        }
        let tokens = self.optional_size("sliding_window")?;
        let first = self.count_or("max_window_layers", 28)?;
        self.limit(description, tokens, |block| block >= first)
    }
}
