//! The product kernel: tiles of results that stay in registers while the inputs pass by.
//!
//! gemm, which candle calls, lays the right side out anew in every product and adds up small products in another order than
//! large ones.

use pulp::{Simd, WithSimd};

use super::Real;
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
pub struct Out<'a, T> {
    pub values: &'a mut [T],
    pub stride: usize,
    pub outputs: usize,
    /// Results are added to what is there, as if the product had begun with it.
    pub continued: bool,
}

/// Multiplies by the first `left.inputs` inputs and the first `out.outputs` outputs of `right`.
///
/// # Panics
/// If `right` is smaller than that, or a side has too few values.
pub fn multiply<T: Real>(left: Left<'_, T>, right: &Panels<T>, out: &mut Out<'_, T>) {
    assert!(left.inputs <= right.inputs && out.outputs <= right.outputs);
    if left.inputs == 0 && !out.continued {
        (0..left.rows).for_each(|row| out.values[row * out.stride..][..out.outputs].fill(T::default()));
    }
    for (first, panel) in right.panels(out.outputs) {
        let width = panel.len() / right.inputs;
        let panel = &panel[..left.inputs * width];
        multiply_panel(left, panel, width, first, out);
    }
}

/// Multiplies by one panel, whose first output is `first`. Shape of the panel: `[left.inputs, width]`.
///
/// # Panics
/// If a side has too few values, or `width` is that of no panel.
pub fn multiply_panel<T: Real>(left: Left<'_, T>, panel: &[T], width: usize, first: usize, out: &mut Out<'_, T>) {
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
struct Block<'a, 'b, T> {
    left: Left<'a, T>,
    panel: &'a [T],
    width: usize,
    first: usize,
    continued: bool,
    out: &'a mut Out<'b, T>,
}

impl<T: Real> WithSimd for Block<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.width / T::lanes::<S>(), vectors::<S>()) {
            (1, _) => self.rows::<S, 1>(simd),
            (2, _) => self.rows::<S, 2>(simd),
            (3, 4) => self.rows::<S, 3>(simd),
            (4, 4) => self.rows::<S, 4>(simd),
            (found, most) => unreachable!("a panel of {found} vectors where {most} are the most"),
        }
    }
}

impl<T: Real> Block<'_, '_, T> {
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(self, simd: S) {
        let Left { values, rows, stride, inputs } = self.left;
        let (panel, _) = T::vectors::<S>(self.panel);
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
struct Tile<'a, T> {
    left: Left<'a, T>,
    out: &'a mut [T],
    stride: usize,
    outputs: usize,
    continued: bool,
}

impl<T: Real> Tile<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S, panel: &[T::Vector<S>]) {
        let Left { values, stride, inputs, .. } = self.left;
        let mut sums = [[T::splat(simd, T::default()); V]; R];
        if self.continued {
            for row in 0..R {
                sums[row] = load::<T, S, V>(simd, &self.out[row * self.stride..][..self.outputs]);
            }
        }
        let left: [&[T]; R] = std::array::from_fn(|row| &values[row * stride..][..inputs]);
        let panel = &panel.as_chunks::<V>().0[..inputs];
        for i in 0..inputs {
            for row in 0..R {
                let factor = T::splat(simd, left[row][i]);
                for v in 0..V {
                    sums[row][v] = T::mul_add(simd, factor, panel[i][v], sums[row][v]);
                }
            }
        }
        for row in 0..R {
            store::<T, S, V>(simd, &mut self.out[row * self.stride..][..self.outputs], sums[row]);
        }
    }
}

#[inline(always)]
fn load<T: Real, S: Simd, const V: usize>(simd: S, from: &[T]) -> [T::Vector<S>; V] {
    if let (whole, []) = T::vectors::<S>(from)
        && let Ok(whole) = <&[T::Vector<S>; V]>::try_from(whole)
    {
        return *whole;
    }
    std::array::from_fn(|v| T::load_part(simd, &from[from.len().min(v * T::lanes::<S>())..]))
}

#[inline(always)]
fn store<T: Real, S: Simd, const V: usize>(simd: S, to: &mut [T], sums: [T::Vector<S>; V]) {
    if let (whole, []) = T::vectors_mut::<S>(to)
        && let Ok(whole) = <&mut [T::Vector<S>; V]>::try_from(whole)
    {
        *whole = sums;
        return;
    }
    for v in 0..V {
        let first = to.len().min(v * T::lanes::<S>());
        T::store_part(simd, &mut to[first..], sums[v]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers: every order of additions gives the same sums.
    #[test]
    fn both_kinds_of_numbers_multiply() {
        let value = |at: usize| i8::try_from(at * 7 % 11).unwrap() - 5;
        for (rows, inputs, outputs) in [(1, 1, 1), (7, 3, 119), (13, DEPTH + 5, 70)] {
            let wanted: Vec<i32> = (0..rows * outputs)
                .map(|at| {
                    let (row, output) = (at / outputs, at % outputs);
                    (0..inputs).map(|i| i32::from(value(row * inputs + i)) * i32::from(value(i * 5 + output))).sum()
                })
                .collect();
            let wide = product(rows, inputs, outputs, |at| f64::from(value(at)));
            let narrow = product(rows, inputs, outputs, |at| f32::from(value(at)));
            assert!(wide.iter().zip(&wanted).all(|(found, &wanted)| (found - f64::from(wanted)).abs() < 0.5));
            assert!(narrow.iter().zip(&wide).all(|(narrow, wide)| (f64::from(*narrow) - wide).abs() < 0.5));
        }
    }

    fn product<T: Real>(rows: usize, inputs: usize, outputs: usize, at: impl Fn(usize) -> T) -> Vec<T> {
        let left: Vec<T> = (0..rows * inputs).map(&at).collect();
        let right = Panels::new(inputs, outputs, |input, output| at(input * 5 + output));
        let mut values = vec![T::default(); rows * outputs];
        let left = Left { values: &left, rows, stride: inputs, inputs };
        multiply(left, &right, &mut Out { values: &mut values, stride: outputs, outputs, continued: false });
        values
    }
}
