//! Products with weights in half precision: 16 bits in memory, sums in f32.
//!
//! bf16 weights meet inputs rounded to bf16, as torch's kernels do. Processors with AVX512-BF16 multiply them two at a
//! time; elsewhere both are widened to f32 a panel at a time, which gives the same products in another order of additions.
//! f16 weights are widened and meet the inputs as they are.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::elementwise::round_to_bf16;
use crate::products::{Left, Out, Panels, multiply, multiply_panel};

/// Weights of a linear layer as the kernels want them. Shape: `[inputs, outputs]`.
pub enum Weights {
    F32(Panels<f32>),
    F16(Panels<f16>),
    Bf16(Panels<bf16>),
    /// Two inputs in one word, the first in its lower half: `[ceil(inputs / 2), outputs]`.
    Bf16Pairs(Panels<u32>),
}

impl Weights {
    /// Lays out f32 weights. Shape: row-major `[outputs, inputs]`.
    pub fn f32(weights: &[f32], outputs: usize) -> Self {
        let inputs = weights.len() / outputs.max(1);
        Self::F32(Panels::new(inputs, outputs, |input, output| weights[output * inputs + input]))
    }

    /// Lays out f16 weights. Shape: row-major `[outputs, inputs]`.
    pub fn f16(weights: &[f16], outputs: usize) -> Self {
        let inputs = weights.len() / outputs.max(1);
        Self::F16(Panels::new(inputs, outputs, |input, output| weights[output * inputs + input]))
    }

    /// Lays out bf16 weights. Shape: row-major `[outputs, inputs]`.
    pub fn bf16(weights: &[bf16], outputs: usize) -> Self {
        if pairs::supported() { Self::bf16_pairs(weights, outputs) } else { Self::bf16_apart(weights, outputs) }
    }

    fn bf16_apart(weights: &[bf16], outputs: usize) -> Self {
        let inputs = weights.len() / outputs.max(1);
        Self::Bf16(Panels::new(inputs, outputs, |input, output| weights[output * inputs + input]))
    }

    fn bf16_pairs(weights: &[bf16], outputs: usize) -> Self {
        let inputs = weights.len() / outputs.max(1);
        let at = |input: usize, output: usize| {
            if input < inputs { u32::from(weights[output * inputs + input].to_bits()) } else { 0 }
        };
        Self::Bf16Pairs(Panels::new(inputs.div_ceil(2), outputs, |pair, output| {
            at(2 * pair, output) | at(2 * pair + 1, output) << 16
        }))
    }

    /// Number of outputs.
    pub const fn outputs(&self) -> usize {
        match self {
            Self::F32(panels) => panels.outputs,
            Self::F16(panels) => panels.outputs,
            Self::Bf16(panels) => panels.outputs,
            Self::Bf16Pairs(panels) => panels.outputs,
        }
    }

    /// Rows times weights. Shape: `[rows, inputs]` to `[rows, outputs]`.
    pub fn multiply(&self, rows: &[f32], inputs: usize) -> Vec<f32> {
        let outputs = self.outputs();
        let count = rows.len() / inputs.max(1);
        let mut values = vec![0.0; count * outputs];
        let mut out = Out { values: &mut values, stride: outputs, outputs, continued: false };
        let left = |values| Left { values, rows: count, stride: inputs, inputs };
        match self {
            Self::F32(panels) => multiply(left(rows), panels, &mut out),
            Self::F16(panels) => widened(left(rows), panels, &mut out, HalfFloatSliceExt::convert_to_f32_slice),
            Self::Bf16(panels) => {
                let rounded = rounded(rows);
                widened(left(&rounded), panels, &mut out, HalfFloatSliceExt::convert_to_f32_slice);
            }
            Self::Bf16Pairs(panels) => pairs::multiply(&paired(rows, inputs), count, panels, &mut out),
        }
        values
    }
}

/// Multiplies by weights that are widened to f32, a panel at a time.
fn widened<T: Copy + Default>(
    left: Left<'_, f32>,
    right: &Panels<T>,
    out: &mut Out<'_, f32>,
    widen: impl Fn(&[T], &mut [f32]),
) {
    let mut wide = Vec::new();
    for (first, panel) in right.panels(right.outputs) {
        wide.resize(panel.len(), 0.0);
        widen(panel, &mut wide);
        multiply_panel(left, &wide, panel.len() / right.inputs, first, out);
    }
}

fn rounded(values: &[f32]) -> Vec<f32> {
    let mut rounded = values.to_vec();
    round_to_bf16(&mut rounded);
    rounded
}

/// Values as bf16, two in a word. Shape: `[rows, inputs]` to `[rows, ceil(inputs / 2)]`.
fn paired(values: &[f32], inputs: usize) -> Vec<u32> {
    let mut words = Vec::with_capacity(values.len() / inputs.max(1) * inputs.div_ceil(2));
    let mut rounded = vec![0.0; inputs];
    for row in values.chunks_exact(inputs.max(1)) {
        rounded.copy_from_slice(row);
        round_to_bf16(&mut rounded);
        let (pairs, rest) = rounded.as_chunks::<2>();
        words.extend(pairs.iter().map(|[low, high]| low.to_bits() >> 16 | high.to_bits()));
        words.extend(rest.iter().map(|last| last.to_bits() >> 16));
    }
    words
}

/// Products of bf16 pairs with AVX512-BF16.
#[cfg(target_arch = "x86_64")]
mod pairs {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_ps,
        _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use crate::products::{Out, Panels, Shape};

    const LANES: usize = 16;
    const ROWS: usize = 6;
    /// Pairs of inputs at a time: as many bytes of a panel as the f32 product takes.
    const DEPTH: usize = 512;

    pub fn supported() -> bool {
        // Panels are laid out for vectors of 16 f32.
        Shape::here().lanes == LANES && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
    }

    /// Multiplies `rows` rows of pairs. Shape: `[rows, pairs]` times `[pairs, outputs]`.
    pub fn multiply(left: &[u32], rows: usize, right: &Panels<u32>, out: &mut Out<'_, f32>) {
        assert!(supported() && left.len() == rows * right.inputs && out.values.len() >= rows * out.stride);
        for (first, panel) in right.panels(out.outputs) {
            let width = panel.len() / right.inputs;
            for (depth, part) in panel.chunks(DEPTH * width).enumerate() {
                let block = Block {
                    left: &left[depth * DEPTH..],
                    stride: right.inputs,
                    pairs: part.len() / width,
                    panel: part,
                    first,
                    continued: depth > 0,
                };
                // SAFETY: `supported` has found the instructions.
                #[expect(unsafe_code, reason = "instructions that not every processor has")]
                unsafe {
                    match width / LANES {
                        1 => block.rows::<1>(rows, out),
                        2 => block.rows::<2>(rows, out),
                        3 => block.rows::<3>(rows, out),
                        _ => block.rows::<4>(rows, out),
                    }
                }
            }
        }
    }

    struct Block<'a> {
        left: &'a [u32],
        stride: usize,
        pairs: usize,
        panel: &'a [u32],
        first: usize,
        continued: bool,
    }

    impl Block<'_> {
        #[target_feature(enable = "avx512f,avx512bf16")]
        fn rows<const V: usize>(&self, rows: usize, out: &mut Out<'_, f32>) {
            let mut row = 0;
            while row < rows {
                let many = ROWS.min(rows - row);
                match many {
                    6 => self.tile::<6, V>(row, out),
                    5 => self.tile::<5, V>(row, out),
                    4 => self.tile::<4, V>(row, out),
                    3 => self.tile::<3, V>(row, out),
                    2 => self.tile::<2, V>(row, out),
                    _ => self.tile::<1, V>(row, out),
                }
                row += many;
            }
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bf16")]
        fn tile<const R: usize, const V: usize>(&self, row: usize, out: &mut Out<'_, f32>) {
            let outputs = (out.outputs - self.first).min(V * LANES);
            let left: [&[u32]; R] = std::array::from_fn(|r| &self.left[(row + r) * self.stride..][..self.pairs]);
            let panel = &self.panel.as_chunks::<LANES>().0.as_chunks::<V>().0[..self.pairs];
            let mut sums = [[_mm512_setzero_ps(); V]; R];
            if self.continued {
                for r in 0..R {
                    let from = &out.values[(row + r) * out.stride + self.first..][..outputs];
                    for v in 0..V {
                        sums[r][v] = load(&from[outputs.min(v * LANES)..]);
                    }
                }
            }
            for i in 0..self.pairs {
                for r in 0..R {
                    let factor = pair(_mm512_set1_epi32(left[r][i].cast_signed()));
                    for v in 0..V {
                        sums[r][v] = _mm512_dpbf16_ps(sums[r][v], factor, pair(words(&panel[i][v])));
                    }
                }
            }
            for r in 0..R {
                let to = &mut out.values[(row + r) * out.stride + self.first..][..outputs];
                for v in 0..V {
                    store(&mut to[outputs.min(v * LANES)..], sums[r][v]);
                }
            }
        }
    }

    #[inline(always)]
    fn pair(words: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits without any invalid value.
        #[expect(unsafe_code, reason = "the same bits under another type")]
        unsafe {
            std::mem::transmute(words)
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn words(from: &[u32; LANES]) -> __m512i {
        // SAFETY: the array is as long as what is read.
        #[expect(unsafe_code, reason = "a load takes a pointer")]
        unsafe {
            _mm512_loadu_si512(from.as_ptr().cast())
        }
    }

    /// Up to a vector of values.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(from: &[f32]) -> __m512 {
        // SAFETY: reads no more than the slice has, the masked form only where its mask is set.
        #[expect(unsafe_code, reason = "a load takes a pointer")]
        unsafe {
            match from.len() {
                LANES.. => _mm512_loadu_ps(from.as_ptr()),
                short => _mm512_maskz_loadu_ps((1 << short) - 1, from.as_ptr()),
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(to: &mut [f32], values: __m512) {
        // SAFETY: writes no more than the slice has, the masked form only where its mask is set.
        #[expect(unsafe_code, reason = "a store takes a pointer")]
        unsafe {
            match to.len() {
                LANES.. => _mm512_storeu_ps(to.as_mut_ptr(), values),
                short => _mm512_mask_storeu_ps(to.as_mut_ptr(), (1 << short) - 1, values),
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod pairs {
    use crate::products::{Out, Panels};

    pub const fn supported() -> bool {
        false
    }

    pub fn multiply(_: &[u32], _: usize, _: &Panels<u32>, _: &mut Out<'_>) {
        unreachable!("no weights are laid out in pairs without the instructions")
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise;
    use super::*;

    /// Largest difference from the product in f64, in units of the sum of the terms' sizes.
    fn error(weights: &Weights, rows: &[f32], exact: &[f32], inputs: usize) -> f64 {
        let found = weights.multiply(rows, inputs);
        let outputs = weights.outputs();
        let mut worst = 0.0_f64;
        for (row, found) in rows.chunks_exact(inputs).zip(found.chunks_exact(outputs)) {
            for (weights, found) in exact.chunks_exact(inputs).zip(found) {
                let terms = || row.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
                let size: f64 = terms().map(f64::abs).sum();
                worst = worst.max((f64::from(*found) - terms().sum::<f64>()).abs() / size);
            }
        }
        worst
    }

    const SHAPES: [(usize, usize, usize); 7] =
        [(1, 1, 1), (5, 3, 7), (6, 64, 64), (13, 65, 130), (7, 513, 65), (31, 1030, 48), (2, 2049, 100)];

    #[test]
    fn every_layout_gives_the_product() {
        for (rows, inputs, outputs) in SHAPES {
            let weights = noise(inputs * outputs, 1);
            let half: Vec<bf16> = weights.iter().map(|&w| bf16::from_f32(w)).collect();
            let rows = rounded(&noise(rows * inputs, 2));
            let wide: Vec<f32> = half.iter().map(|w| w.to_f32()).collect();
            let mut layouts = vec![Weights::f32(&wide, outputs), Weights::bf16_apart(&half, outputs)];
            if pairs::supported() {
                layouts.push(Weights::bf16_pairs(&half, outputs));
            }
            for layout in layouts {
                // Rounding errors of a chain of additions; inputs are bf16 already, so that no other error is left.
                assert!(error(&layout, &rows, &wide, inputs) < 2e-7, "{inputs} to {outputs}");
            }
            let half: Vec<f16> = weights.iter().map(|&w| f16::from_f32(w)).collect();
            let wide: Vec<f32> = half.iter().map(|w| w.to_f32()).collect();
            assert!(error(&Weights::f16(&half, outputs), &rows, &wide, inputs) < 2e-7, "{inputs} to {outputs}");
        }
    }

    #[test]
    fn a_row_does_not_depend_on_what_is_multiplied_beside_it() {
        for (_, inputs, outputs) in SHAPES {
            let (weights, rows) = (noise(inputs * outputs, 1), noise(50 * inputs, 2));
            let half: Vec<bf16> = weights.iter().map(|&w| bf16::from_f32(w)).collect();
            for weights in [Weights::f32(&weights, outputs), Weights::bf16(&half, outputs)] {
                let whole = weights.multiply(&rows, inputs);
                for (first, count) in [(0, 1), (7, 2), (3, 5), (11, 6), (20, 13), (0, 49)] {
                    let part = weights.multiply(&rows[first * inputs..(first + count) * inputs], inputs);
                    assert!(
                        part[..] == whole[first * outputs..(first + count) * outputs],
                        "{inputs} to {outputs}, {count} rows"
                    );
                }
            }
        }
    }

    #[test]
    fn rounding_to_bf16_is_that_of_the_half_crate() {
        let values = noise(1000, 3).into_iter().chain([0.0, -0.0, f32::INFINITY, f32::MAX, 1e-40, 1.003_906_3, 1.011_718_8]);
        let values: Vec<f32> = values.collect();
        for (found, value) in rounded(&values).into_iter().zip(values) {
            assert_eq!(found.to_bits(), bf16::from_f32(value).to_f32().to_bits(), "{value:e}");
        }
        assert!(rounded(&[f32::NAN])[0].is_nan());
    }
}
