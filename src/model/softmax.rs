//! Softmax of attention scores, in f32, over the keys that each query sees.

use candle_core::{CpuStorage, D, DType, Device, InplaceOp1, Layout, Result, Tensor, bail};
use rayon::prelude::*;

/// Scales scores, and turns them into weights that add up to 1 over the first `visible[i]` keys of query `i`; the
/// weights of the other keys are 0.
///
/// Shape: `scores` is `[batch, repeats * queries, keys]` with `visible.len()` queries. On the CPU it must be f32 and is
/// changed in place; each row is computed in one order, whatever stands beside it.
pub(super) fn attention_weights(scores: Tensor, scale: f32, visible: &[usize]) -> Result<Tensor> {
    if scores.device().is_cpu() {
        scores.inplace_op1(&Visible { scale, visible })?;
        return Ok(scores);
    }
    composed(&scores, scale, visible)
}

/// The same out of candle's own operations, for devices without a kernel of ours.
fn composed(scores: &Tensor, scale: f32, visible: &[usize]) -> Result<Tensor> {
    let (batch, rows, keys) = scores.dims3()?;
    let dtype = scores.dtype();
    let mut scaled = (scores.to_dtype(DType::F32)? * f64::from(scale))?;
    if visible.iter().any(|&seen| seen < keys) {
        let mask = mask(visible, keys, scaled.device())?;
        scaled = scaled.reshape(((), visible.len(), keys))?.broadcast_add(&mask)?.reshape((batch, rows, keys))?;
    }
    candle_nn::ops::softmax_last_dim(&scaled)?.to_dtype(dtype)
}

/// 0 where a query sees a key, minus infinity elsewhere. Shape: `[queries, keys]`.
fn mask(visible: &[usize], keys: usize, device: &Device) -> Result<Tensor> {
    let hidden = |seen: usize| (0..keys).map(move |key| if key < seen { 0.0_f32 } else { f32::NEG_INFINITY });
    let values: Vec<f32> = visible.iter().flat_map(|&seen| hidden(seen)).collect();
    Tensor::from_vec(values, (visible.len(), keys), device)
}

struct Visible<'a> {
    scale: f32,
    visible: &'a [usize],
}

impl InplaceOp1 for Visible<'_> {
    fn name(&self) -> &'static str {
        "visible-softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("scores must be contiguous f32")
        };
        let keys = layout.shape().dim(D::Minus1)?;
        values[start..end].par_chunks_mut(keys).with_min_len(64).enumerate().for_each(|(i, row)| {
            let (seen, hidden) = row.split_at_mut(self.visible[i % self.visible.len()].min(keys));
            softmax(seen, self.scale);
            hidden.fill(0.0);
        });
        Ok(())
    }
}

fn softmax(row: &mut [f32], scale: f32) {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in row.iter_mut() {
        *value = ((*value - highest) * scale).exp();
    }
    let total: f32 = lanes_sum(row);
    for value in row.iter_mut() {
        *value /= total;
    }
}

/// Sum in eight interleaved parts: fast, and in an order that depends on the length alone.
fn lanes_sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (whole, rest) = values.as_chunks::<8>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_keys_get_nothing() {
        let scores = Tensor::new(&[[[0.0_f32, 9.0, 9.0], [1.0, 1.0, 7.0]]], &Device::Cpu).expect("tensor");
        let weights = attention_weights(scores, 1.0, &[1, 2]).expect("weights");
        let weights: Vec<f32> = weights.flatten_all().and_then(|flat| flat.to_vec1()).expect("values");
        assert_eq!(weights, [1.0, 0.0, 0.0, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn the_composed_form_gives_the_same_weights() {
        let scores = Tensor::randn(0.0_f32, 3.0, (2, 6, 5), &Device::Cpu).expect("scores");
        let visible = [2, 4, 5];
        let composed = composed(&scores, 0.3, &visible).and_then(|w| w.flatten_all()?.to_vec1::<f32>()).expect("weights");
        let ours = attention_weights(scores, 0.3, &visible).and_then(|w| w.flatten_all()?.to_vec1::<f32>()).expect("weights");
        for (a, b) in ours.iter().zip(composed) {
            assert!((a - b).abs() < 1e-6, "{a} is not {b}");
        }
    }

    #[test]
    fn scale_comes_before_the_exponential() {
        let scores = Tensor::new(&[[[0.0_f32, 2.0 * 3.0_f32.ln()]]], &Device::Cpu).expect("tensor");
        let weights = attention_weights(scores, 0.5, &[2]).expect("weights");
        let weights: Vec<f32> = weights.flatten_all().and_then(|flat| flat.to_vec1()).expect("values");
        assert!((weights[0] - 0.25).abs() < 1e-6 && (weights[1] - 0.75).abs() < 1e-6, "{weights:?}");
    }
}
