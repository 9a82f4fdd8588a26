//! Rotary positions: queries and keys are turned by angles in proportion to their place.

use std::f64::consts::TAU;

use candle_core::{DType, Device, Result, Tensor};

use super::description::Scaling;
use super::kernels;
use super::slices::{in_place, slice_of};

/// How fast each pair of a head turns.
///
/// Source: Su et al., RoFormer (arXiv 2104.09864), with the halves of a head as pairs, as Llama does.
pub(super) struct Rotary {
    /// Radians per position. Shape: `[1, pairs]`, f32 on the CPU.
    frequencies: Tensor,
    /// The same for rows of more tokens than that.
    longer: Option<(usize, Tensor)>,
    /// What cosine and sine are multiplied by.
    amplitude: f64,
    /// Dtype of what is turned.
    dtype: DType,
}

/// The angles of the tokens of one pass. Shape: `[tokens, pairs]`.
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Turns the first `dims` values of every head.
    pub fn new(theta: f64, scaling: Option<&Scaling>, dims: usize, dtype: DType) -> Result<Self> {
        let pairs = dims / 2;
        let plain: Vec<f64> = (0..pairs).map(|pair| frequency(theta, pair, dims)).collect();
        let longer = match scaling {
            Some(Scaling::Each { longer: Some(longer), .. }) => {
                let each = plain.iter().zip(&longer.factors).map(|(plain, factor)| plain / factor);
                Some((longer.than, row(each.collect())?))
            }
            _ => None,
        };
        let frequencies: Vec<f64> = match scaling {
            None => plain,
            Some(scaling) => {
                plain.into_iter().enumerate().map(|(pair, plain)| scaling.apply(plain, pair, theta, dims)).collect()
            }
        };
        let amplitude = match scaling {
            Some(Scaling::Yarn { attention, .. } | Scaling::Each { attention, .. }) => *attention,
            Some(Scaling::Linear { .. } | Scaling::Llama3 { .. }) | None => 1.0,
        };
        Ok(Self { frequencies: row(frequencies)?, longer, amplitude, dtype })
    }

    /// The angles at these positions of rows of up to `reach` tokens, computed once for each of them: in f32, rounded at the
    /// end, as transformers does.
    pub fn at(&self, positions: &[usize], reach: usize, device: &Device) -> Result<Angles> {
        let first = positions.iter().copied().min().unwrap_or(0);
        let past = positions.iter().map(|place| place + 1).max().unwrap_or(0);
        let index: Vec<u32> = positions.iter().map(|&place| narrow(place - first)).collect();
        let index = Tensor::new(index, device)?;
        let places = Tensor::arange(narrow(first), narrow(past), &Device::Cpu)?;
        let frequencies = match &self.longer {
            Some((than, frequencies)) if reach > *than => frequencies,
            _ => &self.frequencies,
        };
        let angles = places.to_dtype(DType::F32)?.reshape(((), 1))?.matmul(frequencies)?;
        let pick = |values: Tensor| (values * self.amplitude)?.to_dtype(self.dtype)?.to_device(device)?.index_select(&index, 0);
        Ok(Angles { cos: pick(angles.cos()?)?, sin: pick(angles.sin()?)? })
    }
}

impl Angles {
    /// Turns every head of every token. Shape: `[tokens, heads * head_dim]`.
    pub fn turn(&self, x: Tensor, heads: usize) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let (head_dim, dims) = (width / heads, 2 * self.cos.dim(1)?);
        if x.device().is_cpu() {
            return in_place(x, |x| {
                slice_of(&self.cos, |cos| slice_of(&self.sin, |sin| kernels::rotate(x, cos, sin, (heads, head_dim), dims / 2)))?
            });
        }
        let x = x.reshape((1, tokens, heads, head_dim))?;
        let turned = candle_nn::rotary_emb::rope_thd(&x.narrow(3, 0, dims)?.contiguous()?, &self.cos, &self.sin)?;
        let all = if dims == head_dim { turned } else { Tensor::cat(&[&turned, &x.narrow(3, dims, head_dim - dims)?], 3)? };
        all.reshape((tokens, width))
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

impl Scaling {
    /// Radians per position of one pair that turns by `plain` without scaling.
    #[expect(clippy::cast_precision_loss, reason = "head sizes are small")]
    fn apply(&self, plain: f64, pair: usize, theta: f64, dims: usize) -> f64 {
        match self {
            Self::Linear { factor } => plain / factor,
            Self::Llama3 { factor, low, high, original } => {
                let turns = original * plain / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                kept * plain + (1.0 - kept) * plain / factor
            }
            Self::Yarn { factor, fast, slow, original, truncate, .. } => {
                // The pair, as a real number, that turns so many times over the first training's texts.
                let pair_of = |turns: f64| dims as f64 * (original / (turns * TAU)).ln() / (2.0 * theta.ln());
                let (first, last) = (pair_of(*fast), pair_of(*slow));
                let (first, last) = if *truncate { (first.floor(), last.ceil()) } else { (first, last) };
                let (first, last) = (first.max(0.0), last.min(dims as f64 - 1.0));
                let width = if first.total_cmp(&last).is_eq() { 0.001 } else { last - first };
                let scaled = ((pair as f64 - first) / width).clamp(0.0, 1.0);
                scaled * plain / factor + (1.0 - scaled) * plain
            }
            Self::Each { factors, .. } => plain / factors.get(pair).copied().unwrap_or(1.0),
        }
    }
}

fn row(frequencies: Vec<f64>) -> Result<Tensor> {
    let pairs = frequencies.len();
    Tensor::from_vec(frequencies, (1, pairs), &Device::Cpu)?.to_dtype(DType::F32)
}

/// Radians per position of a pair.
#[expect(clippy::cast_precision_loss, reason = "head sizes are small")]
fn frequency(theta: f64, pair: usize, dims: usize) -> f64 {
    let exponent = 2.0 * pair as f64 / dims as f64;
    1.0 / theta.powf(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        // With theta 1 every pair turns by one radian a position.
        let rotary = Rotary::new(1.0, None, 4, DType::F32).expect("frequencies");
        let at = rotary.at(&[3, 2, 3], 4, &Device::Cpu).expect("angles");
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
