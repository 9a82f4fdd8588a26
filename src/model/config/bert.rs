//! Encoders that read both ways: BERT, and RoBERTa with another place for its first position.

use serde_json::Value;

use super::Config;
use super::layered::USUAL;
use crate::model::description::{Description, Names, Placement, Qkv};
use crate::model::error::ModelError;

const BERT_NAMES: Names = Names {
    prefixes: &["", "bert."],
    tokens: "embeddings.word_embeddings.weight",
    positions: "embeddings.position_embeddings.weight",
    token_types: "embeddings.token_type_embeddings.weight",
    embedding_norm: "embeddings.LayerNorm",
    block: "encoder.layer.",
    attention_norm: "attention.output.LayerNorm",
    qkv: Qkv::Apart { query: "attention.self.query", key: "attention.self.key", value: "attention.self.value" },
    output: "attention.output.dense",
    feed_forward_norm: "output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    ..Names::NONE
};

const ROBERTA_NAMES: Names = Names { prefixes: &["", "roberta."], ..BERT_NAMES };

pub(super) fn bert(config: &Config) -> Result<Description, ModelError> {
    if config.text("position_embedding_type")?.is_some_and(|kind| kind != "absolute") {
        return Err(config.unsupported("position_embedding_type", "positions must be absolute"));
    }
    config.refuse(&[("is_decoder", "BERT is read as an encoder")])?;
    let mut description = config.layered(&USUAL, &BERT_NAMES)?;
    description.norm_eps = config.number("layer_norm_eps")?.unwrap_or(1e-12);
    description.token_types = config.optional_size("type_vocab_size")?.unwrap_or(2);
    description.embedding_norm = true;
    description.placement = Placement::After;
    description.final_norm = false;
    description.attention.causal = false;
    Ok(description)
}

/// RoBERTa and XLM-RoBERTa. The rows of the position table before that of padding are not used.
pub(super) fn roberta(config: &Config) -> Result<Description, ModelError> {
    let mut description = bert(config)?;
    description.names = &ROBERTA_NAMES;
    let padding = config.count_or("pad_token_id", 1)?;
    description.position_offset = padding + 1;
    description.padding = u32::try_from(padding).ok();
    let rows = description.max_positions;
    description.max_positions = rows.checked_sub(padding + 1).filter(|rows| *rows > 0).ok_or_else(|| {
        config.wrong("max_position_embeddings", Some(&Value::from(rows)), "more rows than those up to `pad_token_id`")
    })?;
    Ok(description)
}
