//! Models with layer norms and biases everywhere and a plain feed-forward part: what they share, and OPT, GPT-2 and GPT-NeoX.

use serde_json::Value;

use super::Config;
use super::rope::Defaults;
use crate::model::description::{Activation, Attention, Description, FeedForward, Names, Norm, Placement, Positions, Qkv};
use crate::model::error::ModelError;

/// What an architecture calls its sizes.
pub(super) struct Keys {
    pub hidden: &'static str,
    pub layers: &'static str,
    pub heads: &'static str,
    pub width: &'static str,
    /// How many times as wide as the hidden states the feed-forward part is, where the file may leave that out.
    pub wider: Option<usize>,
    pub positions: &'static str,
    pub activation: (&'static str, Activation),
    pub eps: &'static str,
}

/// The names most have.
pub(super) const USUAL: Keys = Keys {
    hidden: "hidden_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    width: "intermediate_size",
    wider: None,
    positions: "max_position_embeddings",
    activation: ("hidden_act", Activation::Gelu),
    eps: "layer_norm_eps",
};

const OPT_NAMES: Names = Names {
    prefixes: &["model.decoder.", "decoder.", ""],
    tokens: "embed_tokens.weight",
    project_in: "project_in",
    project_out: "project_out",
    positions: "embed_positions.weight",
    block: "layers.",
    attention_norm: "self_attn_layer_norm",
    qkv: Qkv::Apart { query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj" },
    output: "self_attn.out_proj",
    feed_forward_norm: "final_layer_norm",
    up: "fc1",
    down: "fc2",
    final_norm: "final_layer_norm",
    ..Names::NONE
};

const GPT2_NAMES: Names = Names {
    prefixes: &["transformer.", ""],
    tokens: "wte.weight",
    positions: "wpe.weight",
    block: "h.",
    attention_norm: "ln_1",
    qkv: Qkv::Stacked("attn.c_attn"),
    output: "attn.c_proj",
    feed_forward_norm: "ln_2",
    up: "mlp.c_fc",
    down: "mlp.c_proj",
    final_norm: "ln_f",
    transposed: true,
    ..Names::NONE
};

const NEOX_NAMES: Names = Names {
    prefixes: &["gpt_neox.", ""],
    tokens: "embed_in.weight",
    block: "layers.",
    attention_norm: "input_layernorm",
    qkv: Qkv::ByHead("attention.query_key_value"),
    output: "attention.dense",
    feed_forward_norm: "post_attention_layernorm",
    up: "mlp.dense_h_to_4h",
    down: "mlp.dense_4h_to_h",
    final_norm: "final_layer_norm",
    ..Names::NONE
};

/// OPT of every size; that of 350M has its norms after the blocks and a narrower token table.
pub(super) fn opt(config: &Config) -> Result<Description, ModelError> {
    let keys = Keys { width: "ffn_dim", activation: ("activation_function", Activation::Relu), eps: "", ..USUAL };
    if !config.flag_or("layer_norm_elementwise_affine", true)? {
        return Err(config.unsupported("layer_norm_elementwise_affine", "norms must have weights"));
    }
    let mut description = config.layered(&keys, &OPT_NAMES)?;
    let bias = config.flag_or("enable_bias", true)?;
    description.attention.qkv_bias = bias;
    description.attention.output_bias = bias;
    description.feed_forward.bias = bias;
    description.position_offset = 2;
    description.token_width = config.optional_size("word_embed_proj_dim")?.filter(|width| *width != description.hidden);
    let before = config.flag_or("do_layer_norm_before", true)?;
    description.placement = if before { Placement::Before } else { Placement::After };
    description.final_norm = before && !config.flag("_remove_final_layer_norm")?;
    Ok(description)
}

pub(super) fn gpt2(config: &Config) -> Result<Description, ModelError> {
    config.refuse(&[
        ("scale_attn_by_inverse_layer_idx", "every layer must scale its scores alike"),
        ("add_cross_attention", "GPT-2 is read as a decoder of its own"),
    ])?;
    if !config.flag_or("scale_attn_weights", true)? {
        return Err(config.unsupported("scale_attn_weights", "scores must be scaled"));
    }
    let keys = Keys {
        hidden: "n_embd",
        layers: "n_layer",
        heads: "n_head",
        width: "n_inner",
        wider: Some(4),
        positions: "n_positions",
        activation: ("activation_function", Activation::GeluTanh),
        eps: "layer_norm_epsilon",
    };
    config.layered(&keys, &GPT2_NAMES)
}

/// Pythia and its like: attention and feed-forward side by side, a part of each head turned.
pub(super) fn gpt_neox(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.layered(&USUAL, &NEOX_NAMES)?;
    let bias = config.flag_or("attention_bias", true)?;
    description.attention.qkv_bias = bias;
    description.attention.output_bias = bias;
    let defaults = Defaults { theta_key: "rotary_emb_base", theta: 10_000.0, part_key: "rotary_pct", part: 0.25 };
    let rope = config.rope(&defaults, description.attention.head_dim)?;
    description.positions = rope.positions();
    if config.flag_or("use_parallel_residual", true)? {
        description.placement = Placement::Parallel;
    }
    Ok(description)
}

impl Config {
    /// What all of them share, as a decoder with norms before its blocks and a table of positions; [`describe`](super::describe)
    /// adds the name.
    pub(super) fn layered(&self, keys: &Keys, names: &'static Names) -> Result<Description, ModelError> {
        let (hidden, heads) = (self.size(keys.hidden)?, self.size(keys.heads)?);
        if !hidden.is_multiple_of(heads) {
            return Err(self.wrong(keys.hidden, Some(&Value::from(hidden)), "a multiple of the number of attention heads"));
        }
        let (key, activation) = keys.activation;
        Ok(Description {
            architecture: "",
            hidden,
            layers: self.size(keys.layers)?,
            vocabulary: self.size("vocab_size")?,
            token_width: None,
            embedding_scale: None,
            max_positions: self.size(keys.positions)?,
            positions: Positions::Learned,
            position_offset: 0,
            padding: None,
            token_types: 0,
            embedding_norm: false,
            norm: Norm::Layer,
            norm_eps: self.number(keys.eps)?.unwrap_or(1e-5),
            norm_from_one: false,
            placement: Placement::Before,
            final_norm: true,
            attention: Attention { qkv_bias: true, output_bias: true, ..Attention::causal(heads, hidden / heads) },
            window: None,
            feed_forward: FeedForward {
                width: match (self.optional_size(keys.width)?, keys.wider) {
                    (Some(width), _) => width,
                    (None, Some(times)) => times * hidden,
                    (None, None) => self.size(keys.width)?,
                },
                gated: false,
                activation: self.activation(key, activation)?,
                bias: true,
            },
            names,
        })
    }
}
