//! Matrices laid out for the product kernels: columns side by side in panels as wide as a tile of registers.

use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

/// The instructions of this processor, found out once.
pub(super) static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Where every panel begins. Units: bytes; a cache line, so that no vector load touches two.
const LINE: usize = 64;

/// The right side of products. Shape: `[inputs, outputs]`.
///
/// Outputs stand in panels of [`Shape::width`]; within a panel, one row of outputs per input. The last panel is as narrow as
/// whole vectors allow, and filled with zeros.
pub struct Panels<T> {
    pub inputs: usize,
    pub outputs: usize,
    shape: Shape,
    /// Values from `start` on; what is before it puts the first panel onto a cache line.
    values: Vec<T>,
    start: usize,
}

/// What a tile of registers looks like on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Values in a vector.
    pub lanes: usize,
    /// Outputs of a whole panel.
    pub width: usize,
}

impl Shape {
    /// That of f32 on this processor. Values of fewer bytes are widened to it before they are multiplied.
    pub fn here() -> Self {
        struct Ask;
        impl WithSimd for Ask {
            type Output = Shape;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Shape {
                Shape { lanes: S::F32_LANES, width: S::F32_LANES * vectors::<S>() }
            }
        }
        static HERE: LazyLock<Shape> = LazyLock::new(|| ARCH.dispatch(Ask));
        *HERE
    }

    /// That of another kind of values: those of twice the bytes have half as many in a vector.
    fn of<T>() -> Self {
        let Self { lanes, width } = Self::here();
        let bytes = (size_of::<T>() / size_of::<f32>()).max(1);
        let lanes = (lanes / bytes).max(1);
        Self { lanes, width: width / Self::here().lanes * lanes }
    }
}

/// Vectors side by side in a tile: with six rows of them, the sums fill most of the registers and leave room for the factors.
pub(super) const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

impl<T: Copy + Default> Panels<T> {
    /// Lays out `at(input, output)`.
    pub fn new(inputs: usize, outputs: usize, at: impl Fn(usize, usize) -> T) -> Self {
        let shape = Shape::of::<T>();
        let total = inputs * outputs.next_multiple_of(shape.lanes);
        let mut values = vec![T::default(); total + LINE / size_of::<T>()];
        let start = values.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        let panels = values[start..start + total].chunks_mut(inputs.max(1) * shape.width);
        for (panel, values) in panels.enumerate() {
            let first = panel * shape.width;
            let width = panel_width(shape, outputs - first);
            for (input, row) in values.chunks_exact_mut(width).enumerate() {
                for (output, value) in (first..outputs).zip(row) {
                    *value = at(input, output);
                }
            }
        }
        Self { inputs, outputs, shape, values, start }
    }

    /// Panels that hold the first `outputs` outputs: the first one of each, and its values. Shape: `[inputs, width]`.
    pub fn panels(&self, outputs: usize) -> impl Iterator<Item = (usize, &[T])> {
        let Shape { width, .. } = self.shape;
        (0..outputs.min(self.outputs)).step_by(width).map(move |first| {
            let begin = self.start + first * self.inputs;
            (first, &self.values[begin..begin + self.inputs * panel_width(self.shape, self.outputs - first)])
        })
    }
}

/// Width of a panel with so many outputs from its first one to the end of the matrix.
fn panel_width(shape: Shape, left: usize) -> usize {
    left.min(shape.width).next_multiple_of(shape.lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        let shape = Shape::of::<usize>();
        for outputs in [1, shape.width - 1, shape.width, shape.width + 1, 3 * shape.width + shape.lanes] {
            let panels = Panels::new(3, outputs, |input, output| 1 + input * 1000 + output);
            let mut seen = 0;
            for (first, values) in panels.panels(outputs) {
                let width = values.len() / 3;
                assert!(values.as_ptr().addr().is_multiple_of(LINE.min(width * size_of::<usize>())));
                for (at, value) in values.iter().enumerate() {
                    let (input, output) = (at / width, first + at % width);
                    assert_eq!(*value, if output < outputs { 1 + input * 1000 + output } else { 0 });
                    seen += usize::from(output < outputs);
                }
            }
            assert_eq!(seen, 3 * outputs);
        }
    }
}
