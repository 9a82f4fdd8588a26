//! How much memory a forward pass needs, and how much there is.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::description::Description;
use super::error::ModelError;
use crate::spec::DType;

/// Memory that programs can still take, and no more than the limit of the container this is in; 0 where it cannot be told.
/// Units: bytes.
pub fn available_memory() -> u64 {
    let what = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let Ok(system) = System::new_with_specifics(what) else { return 0 };
    // What is free below the limit does not count files that were read and can be forgotten.
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    system.available_memory().min(limit)
}

/// Refuses what needs more bytes than are free, unless it cannot be told how many are.
///
/// # Errors
/// [`ModelError::DoesNotFit`], with the sizes.
pub fn fits(needed: u64, free: u64) -> Result<(), ModelError> {
    if free > 0 && needed > free { Err(ModelError::DoesNotFit { needed, free }) } else { Ok(()) }
}

/// Weights in `dtype` and the widest moment of one batch of `tokens` positions. Units: bytes.
pub fn peak_bytes(description: &Description, dtype: DType, tokens: u64) -> u64 {
    let weights = description.parameters().saturating_mul(width(dtype));
    weights.saturating_add(tokens.saturating_mul(token_bytes(description)))
}

/// Positions per batch where so many are under way at once: enough to keep products busy, few enough for all of them to stay
/// near a quarter of a GiB; for a device a quarter of what is free beside the weights, or near one GiB where it does not say.
pub fn tokens_per_batch(description: &Description, workers: usize, free: Option<u64>) -> usize {
    let (memory, most) = match free {
        Some(free) => (free / 4, 16_384),
        None if workers == 1 => (1 << 30, 4096),
        None => (1 << 28, 1024),
    };
    let fitting = memory / token_bytes(description).max(1) / workers as u64;
    usize::try_from(fitting).unwrap_or(usize::MAX).clamp(128, most)
}

/// Activations of one position, counted in f32: the residual stream with its norm and copies, queries, keys and
/// values, and the feed-forward part.
fn token_bytes(description: &Description) -> u64 {
    let attention = &description.attention;
    let wide = 6 * description.hidden + 2 * attention.query_width() + 4 * attention.key_width();
    4 * (wide + 3 * description.feed_forward.width) as u64
}

const fn width(dtype: DType) -> u64 {
    match dtype {
        DType::F32 => 4,
        DType::F16 | DType::Bf16 => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_says_the_sizes() {
        assert!(fits(8, 8).is_ok());
        assert!(fits(8, 0).is_ok(), "an unknown amount refuses nothing");
        let error = fits(25 << 29, 3 << 30).expect_err("too large").to_string();
        assert!(error.starts_with("the model needs about 12.5 GiB of memory and 3.0 GiB are free"), "{error}");
    }

    #[test]
    fn a_device_takes_batches_by_what_it_has_free() {
        let config = serde_json::json!({
            "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
            "num_key_value_heads": 4, "num_hidden_layers": 32, "vocab_size": 64000, "max_position_embeddings": 4096
        });
        let yi = super::super::config::describe(std::path::Path::new("config.json"), config).expect("a Llama");
        // 4 bytes for each of 6 * 4096 + 2 * 4096 + 4 * 512 + 3 * 11008 values.
        assert_eq!(token_bytes(&yi), 271_360);
        assert_eq!(tokens_per_batch(&yi, 1, None), 3956, "a GiB");
        assert_eq!(tokens_per_batch(&yi, 1, Some(4 << 30)), 3956, "a quarter of four");
        assert_eq!(tokens_per_batch(&yi, 1, Some(100 << 30)), 16_384);
        assert_eq!(tokens_per_batch(&yi, 1, Some(1 << 20)), 128, "a full device: halved where even that is too much");
    }

    #[test]
    fn some_memory_is_free() {
        assert!(available_memory() > 1 << 20);
    }
}
