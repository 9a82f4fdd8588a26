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
/// near a quarter of a GiB, and near one GiB for a device.
pub fn tokens_per_batch(description: &Description, workers: usize) -> usize {
    let (memory, most) = if workers == 1 { (1 << 30, 4096) } else { (1 << 28, 1024) };
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
    fn some_memory_is_free() {
        assert!(available_memory() > 1 << 20);
    }
}
