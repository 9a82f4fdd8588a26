//! Matrix products in f32 on one thread.
//!
//! gemm, which candle calls, lays the right side out anew in every product and adds up small products in another order than
//! large ones. Here weights are laid out once, when they are loaded, and every result is one chain of additions in the order
//! of the inputs: its bits depend on its own row and column alone.

use pulp::{Simd, WithSimd};

use super::panels::{ARCH, Panels, vectors};

/// Rows of a tile.
const ROWS: usize = 6;

/// Inputs that a tile takes at a time: a panel of so many rows stays in the second-level cache while all rows of the left
/// side pass by.
const DEPTH: usize = 512;

/// Rows of the left side. Shape: `[rows, inputs]`, rows `stride` values apart.
#[derive(Clone, Copy)]
pub struct Left<'a, T> {
    pub values: &'a [T],
    pub rows: usize,
    pub stride: usize,
    pub inputs: usize,
}

/// Where results go. Shape: `[rows, outputs]`, rows `stride` values apart.
pub struct Out<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    pub outputs: usize,
    /// Results are added to what is there, as if the product had begun with it.
    pub continued: bool,
}

/// Multiplies by the first `left.inputs` inputs and the first `out.outputs` outputs of `right`.
///
/// # Panics
/// If `right` is smaller than that, or a side has too few values.
pub fn multiply(left: Left<'_, f32>, right: &Panels<f32>, out: &mut Out<'_>) {
    assert!(left.inputs <= right.inputs && out.outputs <= right.outputs);
    if left.inputs == 0 && !out.continued {
        (0..left.rows).for_each(|row| out.values[row * out.stride..][..out.outputs].fill(0.0));
    }
    for (first, panel) in right.panels(out.outputs) {
        let width = panel.len() / right.inputs;
        let panel = &panel[..left.inputs * width];
        multiply_panel(left, panel, width, first, out);
    }
}

/// Multiplies by one panel, whose first output is `first`. Shape of the panel: `[left.inputs, width]`.
pub(super) fn multiply_panel(left: Left<'_, f32>, panel: &[f32], width: usize, first: usize, out: &mut Out<'_>) {
    for (depth, part) in panel.chunks(DEPTH * width).enumerate() {
        let block = Block {
            left: Left { values: &left.values[depth * DEPTH..], inputs: part.len() / width, ..left },
            panel: part,
            width,
            first,
            continued: out.continued || depth > 0,
            out,
        };
        ARCH.dispatch(block);
    }
}

/// All rows against some rows of one panel.
struct Block<'a, 'b> {
    left: Left<'a, f32>,
    panel: &'a [f32],
    width: usize,
    first: usize,
    continued: bool,
    out: &'a mut Out<'b>,
}

impl WithSimd for Block<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.width / S::F32_LANES, vectors::<S>()) {
            (1, _) => self.rows::<S, 1>(simd),
            (2, _) => self.rows::<S, 2>(simd),
            (3, 4) => self.rows::<S, 3>(simd),
            (4, 4) => self.rows::<S, 4>(simd),
            (found, most) => unreachable!("a panel of {found} vectors where {most} are the most"),
        }
    }
}

impl Block<'_, '_> {
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(self, simd: S) {
        let Left { values, rows, stride, inputs } = self.left;
        let (panel, _) = S::as_simd_f32s(self.panel);
        let outputs = (self.out.outputs - self.first).min(self.width);
        let mut row = 0;
        while row < rows {
            let many = ROWS.min(rows - row);
            let tile = Tile {
                left: Left { values: &values[row * stride..], rows: many, stride, inputs },
                out: &mut self.out.values[row * self.out.stride + self.first..],
                stride: self.out.stride,
                outputs,
                continued: self.continued,
            };
            match many {
                6 => tile.run::<S, 6, V>(simd, panel),
                5 => tile.run::<S, 5, V>(simd, panel),
                4 => tile.run::<S, 4, V>(simd, panel),
                3 => tile.run::<S, 3, V>(simd, panel),
                2 => tile.run::<S, 2, V>(simd, panel),
                _ => tile.run::<S, 1, V>(simd, panel),
            }
            row += many;
        }
    }
}

/// As many results as fit into registers.
struct Tile<'a> {
    left: Left<'a, f32>,
    out: &'a mut [f32],
    stride: usize,
    outputs: usize,
    continued: bool,
}

impl Tile<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S, panel: &[S::f32s]) {
        let Left { values, stride, inputs, .. } = self.left;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if self.continued {
            for row in 0..R {
                sums[row] = load::<S, V>(simd, &self.out[row * self.stride..][..self.outputs]);
            }
        }
        let left: [&[f32]; R] = std::array::from_fn(|row| &values[row * stride..][..inputs]);
        let panel = &panel.as_chunks::<V>().0[..inputs];
        for i in 0..inputs {
            for row in 0..R {
                let factor = simd.splat_f32s(left[row][i]);
                for v in 0..V {
                    sums[row][v] = simd.mul_add_e_f32s(factor, panel[i][v], sums[row][v]);
                }
            }
        }
        for row in 0..R {
            store::<S, V>(simd, &mut self.out[row * self.stride..][..self.outputs], sums[row]);
        }
    }
}

#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::f32s; V] {
    if let (whole, []) = S::as_simd_f32s(from)
        && let Ok(whole) = <&[S::f32s; V]>::try_from(whole)
    {
        return *whole;
    }
    std::array::from_fn(|v| simd.partial_load_f32s(&from[from.len().min(v * S::F32_LANES)..]))
}

#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, to: &mut [f32], sums: [S::f32s; V]) {
    if let (whole, []) = S::as_mut_simd_f32s(to)
        && let Ok(whole) = <&mut [S::f32s; V]>::try_from(whole)
    {
        *whole = sums;
        return;
    }
    for v in 0..V {
        let first = to.len().min(v * S::F32_LANES);
        simd.partial_store_f32s(&mut to[first..], sums[v]);
    }
}
