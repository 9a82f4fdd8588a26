//! Rotary positions: queries and keys are turned by angles in proportion to their place.

use candle_core::{DType, Device, Result, Tensor};

use super::kernels;
use super::slices::{in_place, slice_of};

/// How fast each pair of a head turns.
///
/// Source: Su et al., `RoFormer` (arXiv 2104.09864), with the halves of a head as pairs, as Llama does.
pub(super) struct Rotary {
    /// Radians per position. Shape: `[1, head_dim / 2]`, f32 on the CPU.
    frequencies: Tensor,
    /// Dtype of what is turned.
    dtype: DType,
}

/// The angles of the tokens of one pass. Shape: `[tokens, head_dim / 2]`.
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    pub fn new(theta: f64, head_dim: usize, dtype: DType) -> Result<Self> {
        let half = head_dim / 2;
        let frequencies: Vec<f32> = (0..half).map(|pair| frequency(theta, pair, head_dim)).collect();
        Ok(Self { frequencies: Tensor::from_vec(frequencies, (1, half), &Device::Cpu)?, dtype })
    }

    /// The angles at these positions, computed once for each of them: in f32, rounded at the end, as transformers does.
    pub fn at(&self, positions: &[usize], device: &Device) -> Result<Angles> {
        let first = positions.iter().copied().min().unwrap_or(0);
        let past = positions.iter().map(|place| place + 1).max().unwrap_or(0);
        let index: Vec<u32> = positions.iter().map(|&place| narrow(place - first)).collect();
        let index = Tensor::new(index, device)?;
        let places = Tensor::arange(narrow(first), narrow(past), &Device::Cpu)?;
        let angles = places.to_dtype(DType::F32)?.reshape(((), 1))?.matmul(&self.frequencies)?;
        let pick = |values: Tensor| values.to_dtype(self.dtype)?.to_device(device)?.index_select(&index, 0);
        Ok(Angles { cos: pick(angles.cos()?)?, sin: pick(angles.sin()?)? })
    }
}

impl Angles {
    /// Turns every head of every token. Shape: `[tokens, heads * head_dim]`.
    pub fn turn(&self, x: Tensor, heads: usize) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let pairs = width / heads / 2;
        if x.device().is_cpu() {
            return in_place(x, |x| {
                slice_of(&self.cos, |cos| slice_of(&self.sin, |sin| kernels::rotate(x, cos, sin, heads, pairs)))?
            });
        }
        let x = x.reshape((1, tokens, heads, width / heads))?;
        candle_nn::rotary_emb::rope_thd(&x, &self.cos, &self.sin)?.reshape((tokens, width))
    }

    /// The angles of some of the tokens.
    pub fn select(&self, tokens: &Tensor) -> Result<Self> {
        Ok(Self { cos: self.cos.index_select(tokens, 0)?, sin: self.sin.index_select(tokens, 0)? })
    }
}

/// No text has 2^32 tokens.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "head sizes are small; f32 is what angles are made of"
)]
fn frequency(theta: f64, pair: usize, head_dim: usize) -> f32 {
    let exponent = 2.0 * pair as f64 / head_dim as f64;
    (1.0 / theta.powf(exponent)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        // With theta 1 every pair turns by one radian a position.
        let rotary = Rotary::new(1.0, 4, DType::F32).expect("frequencies");
        let at = rotary.at(&[3, 2, 3], &Device::Cpu).expect("angles");
        let x = Tensor::new(&[[1.0_f32, 0.0, 0.0, 1.0]; 3], &Device::Cpu).expect("tensor");
        let turned: Vec<Vec<f32>> = at.turn(x, 1).and_then(|y| y.to_vec2()).expect("values");
        for (turned, angle) in turned.iter().zip([3.0_f32, 2.0, 3.0]) {
            let (sin, cos) = angle.sin_cos();
            for (found, wanted) in turned.iter().zip([cos, -sin, sin, cos]) {
                assert!((found - wanted).abs() < 1e-6, "{turned:?}");
            }
        }
    }
}
