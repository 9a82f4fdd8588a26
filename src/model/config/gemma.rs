//! Gemma: Llama with scaled embeddings and norms that multiply by 1 + weight; later ones with more norms and windows.

use super::Config;
use super::decoder::LLAMA_NAMES;
use super::rope::{Defaults, USUAL};
use crate::model::description::{Activation, Description, Names, Placement};
use crate::model::error::ModelError;

const AROUND_NAMES: Names = Names {
    attention_end_norm: "post_attention_layernorm",
    feed_forward_norm: "pre_feedforward_layernorm",
    feed_forward_end_norm: "post_feedforward_layernorm",
    ..LLAMA_NAMES
};

/// Width of a head where the file does not say.
const HEAD: usize = 256;

pub(super) fn gemma(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.scaled(config.usual_decoder(Some(HEAD))?, "hidden_act")?;
    // The first files say `gelu` and mean this.
    if description.feed_forward.activation == Activation::Gelu {
        description.feed_forward.activation = Activation::GeluTanh;
    }
    Ok(description)
}

/// Every second block with a window, scores capped.
pub(super) fn gemma2(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.around(config.usual_decoder(Some(HEAD))?)?;
    description.attention.soft_cap = match config.json.get("attn_logit_softcapping") {
        None => Some(50.0),
        Some(_) => config.cap()?,
    };
    config.limit(&mut description, config.usual_window()?, |block| block % 2 == 0)?;
    Ok(description)
}

/// Norms of every head's queries and keys; five of six blocks with a window and rotary angles of their own.
pub(super) fn gemma3(config: &Config) -> Result<Description, ModelError> {
    let attention = config.attention(Some(HEAD))?;
    // Older files have one table, which is about the blocks without a window.
    let (key, table) = config.rope_table();
    let table = table.map(|table| table.get("full_attention").unwrap_or(table));
    let rope = config.rope_of(key, table, &Defaults { theta: 1e6, ..USUAL }, attention.head_dim)?;
    let mut description = config.around(config.decoder(attention, rope)?)?;
    description.attention.head_norm = true;
    description.attention.soft_cap = config.cap()?;

    let pattern = config.optional_size("sliding_window_pattern")?.unwrap_or(6);
    config.limit(&mut description, config.usual_window()?, |block| !(block + 1).is_multiple_of(pattern))?;
    if let Some(window) = &mut description.window {
        window.theta = Some(config.local_theta(description.attention.head_dim)?);
    }
    Ok(description)
}

impl Config {
    /// What all of them share.
    fn scaled(&self, mut description: Description, activation: &str) -> Result<Description, ModelError> {
        self.refuse(&[("use_bidirectional_attention", "bidirectional decoders cannot be read")])?;
        #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^53")]
        let scale = (description.hidden as f64).sqrt();
        description.embedding_scale = Some(scale);
        description.norm_from_one = true;
        description.feed_forward.activation = self.activation(activation, Activation::GeluTanh)?;
        Ok(description)
    }

    /// What the second and the third share.
    fn around(&self, description: Description) -> Result<Description, ModelError> {
        let mut description = self.scaled(description, "hidden_activation")?;
        description.placement = Placement::Around;
        description.names = &AROUND_NAMES;
        let scalar = self.positive("query_pre_attn_scalar", self.at("query_pre_attn_scalar"))?.unwrap_or(256.0);
        description.attention.scale = Some(scalar.sqrt().recip());
        Ok(description)
    }

    fn cap(&self) -> Result<Option<f64>, ModelError> {
        self.positive("attn_logit_softcapping", self.at("attn_logit_softcapping"))
    }

    /// Base of the angles in blocks with a window, which are not scaled.
    fn local_theta(&self, head_dim: usize) -> Result<f64, ModelError> {
        let (key, table) = self.rope_table();
        let table = table.and_then(|table| table.get("sliding_attention"));
        let defaults = Defaults { theta: 1e4, theta_key: "rope_local_base_freq", ..USUAL };
        let rope = self.rope_of(key, table, &defaults, head_dim)?;
        if rope.scaling.is_some() || rope.dims.is_some() {
            return Err(self.unsupported(key, "angles of blocks with a window must be plain ones"));
        }
        Ok(rope.theta)
    }
}
