//! Rotary positions: queries and keys are turned by angles in proportion to their place.

use candle_core::{DType, Device, Result, Tensor};

/// Cosines and sines for every position a model may see.
///
/// Source: Su et al., `RoFormer` (arXiv 2104.09864), with the halves of a head as pairs, as Llama does.
pub(super) struct Rotary {
    /// Shape: `[positions, head_dim / 2]`.
    cos: Tensor,
    sin: Tensor,
}

/// The angles of the tokens of one pass. Shape: `[tokens, head_dim / 2]`.
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Tables in f32, rounded to `dtype` at the end, as transformers makes them.
    pub fn new(theta: f64, head_dim: usize, positions: usize, dtype: DType, device: &Device) -> Result<Self> {
        let half = head_dim / 2;
        let frequencies: Vec<f32> = (0..half).map(|pair| frequency(theta, pair, head_dim)).collect();
        let frequencies = Tensor::from_vec(frequencies, (1, half), &Device::Cpu)?;
        let places = Tensor::arange(0, u32::try_from(positions).unwrap_or(u32::MAX), &Device::Cpu)?;
        let angles = places.to_dtype(DType::F32)?.reshape(((), 1))?.matmul(&frequencies)?;
        let table = |values: Tensor| values.to_dtype(dtype)?.to_device(device);
        Ok(Self { cos: table(angles.cos()?)?, sin: table(angles.sin()?)? })
    }

    /// The angles at these positions.
    pub fn at(&self, positions: &Tensor) -> Result<Angles> {
        Ok(Angles { cos: self.cos.index_select(positions, 0)?, sin: self.sin.index_select(positions, 0)? })
    }
}

impl Angles {
    /// Turns every head of every token. Shape: `[tokens, heads * head_dim]`.
    pub fn turn(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let x = x.reshape((1, tokens, heads, width / heads))?;
        candle_nn::rotary_emb::rope_thd(&x, &self.cos, &self.sin)?.reshape((tokens, width))
    }

    /// The angles of some of the tokens.
    pub fn select(&self, tokens: &Tensor) -> Result<Self> {
        Ok(Self { cos: self.cos.index_select(tokens, 0)?, sin: self.sin.index_select(tokens, 0)? })
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "head sizes are small; f32 is what the tables are made of"
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
        let rotary = Rotary::new(1.0, 4, 3, DType::F32, &Device::Cpu).expect("tables");
        let at = rotary.at(&Tensor::new(&[2_u32], &Device::Cpu).expect("positions")).expect("angles");
        let x = Tensor::new(&[[1.0_f32, 0.0, 0.0, 1.0]], &Device::Cpu).expect("tensor");
        let turned: Vec<f32> = at.turn(&x, 1).and_then(|y| y.flatten_all()?.to_vec1()).expect("values");
        let (sin, cos) = 2.0_f32.sin_cos();
        for (found, wanted) in turned.iter().zip([cos, -sin, sin, cos]) {
            assert!((found - wanted).abs() < 1e-6, "{turned:?}");
        }
    }
}
