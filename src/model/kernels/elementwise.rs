//! Norms, activations, rotary positions and softmax. Loops are plain, and the compiler makes
//! vectors of them for each kind of processor; sums go in lanes, in an order that depends on the length of a row alone.

use multiversion::multiversion;

use crate::model::description::Activation;

/// Sums of a row are made in so many interleaved parts.
const LANES: usize = 16;

/// Scales each row by its root mean square and a weight. Shape: `x` `[rows, width]`, `weight` `[width]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mut output = x.to_vec();
    for row in output.chunks_exact_mut(weight.len()) {
        let scale = (sum(row, |value| value * value) / count(weight) + eps).sqrt().recip();
        row.iter_mut().zip(weight).for_each(|(value, weight)| *value *= scale * weight);
    }
    output
}

/// Brings each row to mean 0 and variance 1, then to a weight and bias. Shape: `x` `[rows, width]`, the others `[width]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Vec<f32> {
    let mut output = x.to_vec();
    for row in output.chunks_exact_mut(weight.len()) {
        let mean = sum(row, |value| value) / count(weight);
        let variance = sum(row, |value| (value - mean) * (value - mean)) / count(weight);
        let scale = (variance + eps).sqrt().recip();
        for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *value = (*value - mean) * scale * weight + bias;
        }
    }
    output
}

/// `activation(x)`, or `activation(gate) * x` where there is a gate.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn activate(activation: Activation, gate: Option<&[f32]>, x: &mut [f32]) {
    match activation {
        Activation::Silu => apply(gate, x, |x| x / (1.0 + exp(-x))),
        Activation::Gelu => apply(gate, x, |x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))),
        Activation::GeluTanh => apply(gate, x, gelu_tanh),
        Activation::Relu => apply(gate, x, |x| x.max(0.0)),
    }
}

/// Turns the first `pairs` values of every head against as many behind them. Shape: `x` `[tokens, heads * head_dim]`, `cos`
/// and `sin` `[tokens, pairs]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32], (heads, head_dim): (usize, usize), pairs: usize) {
    let angles = cos.chunks_exact(pairs).zip(sin.chunks_exact(pairs));
    for (token, (cos, sin)) in x.chunks_exact_mut(heads * head_dim).zip(angles) {
        for head in token.chunks_exact_mut(head_dim) {
            let (low, high) = head.split_at_mut(pairs);
            for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
            }
        }
    }
}

/// Adds values of one shape.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Adds one row to every row. Shape: `x` `[rows, width]`, `row` `[width]`.
pub fn add_to_rows(x: &mut [f32], row: &[f32]) {
    x.chunks_exact_mut(row.len()).for_each(|x| add(x, row));
}

/// Scales scores and bends them so that they stay below `cap`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn soft_cap(scores: &mut [f32], scale: f32, cap: f32) {
    let scale = scale / cap;
    scores.iter_mut().for_each(|score| *score = cap * tanh(*score * scale));
}

/// Scales scores and turns them into weights that add up to 1.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn softmax(scores: &mut [f32], scale: f32) {
    let highest = highest(scores);
    scores.iter_mut().for_each(|score| *score = exp((*score - highest) * scale));
    let scale = sum(scores, |weight| weight).recip();
    scores.iter_mut().for_each(|weight| *weight *= scale);
}

/// The nearest bf16 of every value, as the upper half of a word; ties go to the even one, infinities and NaN keep their kind.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn round_to_bf16(values: &mut [f32]) {
    for value in values {
        let bits = value.to_bits();
        let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
        *value = f32::from_bits(if value.is_nan() { 0x7fc0_0000 } else { nearest });
    }
}

#[inline(always)]
fn apply(gate: Option<&[f32]>, x: &mut [f32], activation: impl Fn(f32) -> f32) {
    match gate {
        Some(gate) => x.iter_mut().zip(gate).for_each(|(x, gate)| *x *= activation(*gate)),
        None => x.iter_mut().for_each(|x| *x = activation(*x)),
    }
}

#[inline(always)]
fn sum(row: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&value| term(value)).sum::<f32>()
}

#[inline(always)]
fn highest(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = larger(*value, *lane);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[expect(clippy::cast_precision_loss, reason = "hidden widths are far below 2^24")]
#[inline(always)]
fn count(row: &[f32]) -> f32 {
    row.len() as f32
}

/// e to the power of `x`, within two units of roundoff. 0 below -87, where f32 runs out of normal numbers.
///
/// libm's is more exact in the last bit, but is a call for every value. Source: range reduction by Cody and Waite, then the
/// polynomial of Cephes' expf.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let within = x.clamp(-87.0, 88.0);
    let shifted = within * std::f32::consts::LOG2_E + WHOLE;
    let power = shifted - WHOLE;
    let rest = within - power * LN2_HIGH - power * LN2_LOW;
    let mut polynomial = 1.987_569_2e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        polynomial = polynomial * rest + coefficient;
    }
    let fraction = polynomial * rest * rest + rest + 1.0;
    // The exponent's bits of 2 to the power of `power`.
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < -87.0 {
        0.0
    } else if x.is_nan() {
        x
    } else {
        fraction * scale
    }
}

/// The error function, within 1.5e-7.
///
/// Source: the rational approximation of Eigen (`unsupported/Eigen/SpecialFunctions`, generic fast erf of f32).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let within = x.clamp(-4.0, 4.0);
    let square = within * within;
    let mut above = -2.726_142_3e-10_f32;
    for coefficient in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_6e-5, -7.349_906_4e-4, -2.954_6e-3, -0.016_096_034] {
        above = above * square + coefficient;
    }
    let mut below = -1.456_607_2e-5_f32;
    for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        below = below * square + coefficient;
    }
    within * above / below
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    /// The square root of 2 / pi.
    const SLOPE: f32 = 0.797_884_6;
    let inner = SLOPE * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + tanh(inner))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> impl Iterator<Item = f32> {
        (i16::MIN..=i16::MAX).map(|step| f32::from(step) * 2.7e-3)
    }

    #[test]
    fn exp_is_exact_to_two_units_of_roundoff() {
        for x in steps().filter(|x| x.abs() <= 87.0).chain([-87.0, 0.0, 1e-30, -1e-30]) {
            let (found, wanted) = (f64::from(exp(x)), f64::from(x).exp());
            let error = (found - wanted).abs() / wanted;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}) = {found:e}, not {wanted:e}");
        }
        assert!(exp(f32::NAN).is_nan() && exp(-1e9).to_bits() == 0 && exp(f32::NEG_INFINITY).to_bits() == 0);
    }

    #[test]
    fn erf_is_that_of_candle() {
        let x: Vec<f32> = steps().collect();
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let exact = candle_core::Tensor::new(wide, &candle_core::Device::Cpu).and_then(|x| x.erf()?.to_vec1::<f64>());
        for (x, wanted) in x.into_iter().zip(exact.expect("values")) {
            let found = f64::from(erf(x));
            assert!((found - wanted).abs() < 4e-7, "erf({x}) = {found:e}, not {wanted:e}");
        }
    }

    #[test]
    fn activations_have_their_textbook_values() {
        // x * sigmoid(x), x * Phi(x), its tanh approximation, max(x, 0).
        for (activation, wanted) in [
            (Activation::Silu, [-0.268_941, 0.0, 0.731_059, 2.857_722]),
            (Activation::Gelu, [-0.158_655, 0.0, 0.841_345, 2.995_95]),
            (Activation::GeluTanh, [-0.158_808, 0.0, 0.841_192, 2.996_363]),
            (Activation::Relu, [0.0, 0.0, 1.0, 3.0]),
        ] {
            let mut found = [-1.0_f32, 0.0, 1.0, 3.0];
            activate(activation, None, &mut found);
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 2e-6, "{activation:?}: {found} is not {wanted}");
            }
        }
        let mut gated = [-1.0_f32, 0.0, 1.0, 3.0];
        activate(Activation::Relu, Some(&gated.clone()), &mut gated);
        assert!(gated.iter().zip([0.0, 0.0, 1.0, 9.0]).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{gated:?}");
    }

    #[test]
    fn scores_stay_below_their_cap() {
        let mut scores = [0.0_f32, 1.0, -4.0, 40.0, 1e9, -1e9];
        soft_cap(&mut scores, 0.5, 10.0);
        // 10 tanh(score / 20).
        for (found, wanted) in scores.iter().zip([0.0, 0.499_583_75, -1.973_753_2, 9.640_276, 10.0, -10.0]) {
            assert!((found - wanted).abs() < 2e-6, "{scores:?}");
        }
    }

    #[test]
    fn only_the_first_pairs_of_a_head_turn() {
        // Two tokens of two heads of four values each, one pair turned by a quarter.
        let mut x: Vec<f32> = [1.0, 2.0, 3.0, 4.0].repeat(4);
        rotate(&mut x, &[0.0, 1.0], &[1.0, 0.0], (2, 4), 1);
        let (turned, same) = ([-2.0, 1.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(x, [turned, turned, same, same].concat());
    }

    #[test]
    fn norms_of_a_row_by_hand() {
        // Mean 2, variance 2; root mean square sqrt(6).
        let x = [0.0_f32, 2.0, 4.0, 2.0];
        let normed = layer_norm(&x, &[1.0, 1.0, 1.0, 2.0], &[0.0, 0.0, 0.5, 0.0], 0.0);
        let root = 2.0_f32.sqrt();
        for (found, wanted) in normed.iter().zip([-root, 0.0, root + 0.5, 0.0]) {
            assert!((found - wanted).abs() < 1e-6, "{normed:?}");
        }
        let normed = rms_norm(&x, &[1.0, 1.0, 1.0, 2.0], 0.0);
        for (found, wanted) in normed.iter().zip([0.0, 2.0, 4.0, 4.0]) {
            assert!((found - wanted / 6.0_f32.sqrt()).abs() < 1e-6, "{normed:?}");
        }
    }

    #[test]
    fn weights_add_up_to_one() {
        for count in [1_u8, 2, 15, 16, 17, 100] {
            let mut scores: Vec<f32> = (0..count).map(|i| f32::from(i % 7)).collect();
            let exact: Vec<f64> = scores.iter().map(|score| f64::from(0.5 * score).exp()).collect();
            softmax(&mut scores, 0.5);
            for (found, wanted) in scores.iter().zip(&exact) {
                assert!((f64::from(*found) - wanted / exact.iter().sum::<f64>()).abs() < 1e-6);
            }
        }
    }
}
