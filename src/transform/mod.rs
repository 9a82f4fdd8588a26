//! Transforms of vectors that are fitted on unlabelled texts: centring, standardising, dropping components, whitening.
//!
//! A transform is fitted once ([`Learnt`], [`Fitted`]) and applied to all vectors alike: texts, phrasings, both sides of
//! pairs. All arithmetic is f64; what comes out is f32, as vectors are.

mod eigen;
mod fit;
mod fitted;
mod learnt;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::embeddings::Embeddings;
use crate::task::Texts;

pub use fit::{LARGEST, Moments, Principal};
pub use fitted::Fitted;
pub use learnt::Learnt;

/// A part of a vector no longer than this share of it is rounding (f32 inputs resolve 6e-8), not a direction.
const VANISHED: f64 = 1e-9;

/// Vectors that are read in their order, a range at a time, as often as need be.
pub trait Ordered {
    /// Why they cannot be read.
    type Error;

    /// Number of vectors.
    fn count(&self) -> usize;

    /// Coordinates of each.
    fn width(&self) -> usize;

    /// The vectors of a range.
    ///
    /// # Errors
    /// Vectors that cannot be read.
    fn part(&self, range: Range<usize>) -> Result<Embeddings, Self::Error>;
}

impl Ordered for Embeddings {
    type Error = std::convert::Infallible;

    fn count(&self) -> usize {
        self.len()
    }

    fn width(&self) -> usize {
        self.dim()
    }

    fn part(&self, range: Range<usize>) -> Result<Self, Self::Error> {
        Ok(self.select(&range.collect::<Vec<_>>()))
    }
}

/// What a vector is before it is transformed: as the readout hands it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As the model gives it.
    Own,
    /// Scaled to 1.
    Unit,
}

/// Why a transform cannot be fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    #[error("none of the {texts} texts that it is fitted on has a vector other than zeros")]
    NoVectors { texts: usize },
    #[error("the {texts} texts that it is fitted on all have the same vector: whitening needs some that differ")]
    NoVariance { texts: usize },
    #[error(
        "text {row} (counted from 0) of those that it is fitted on has a vector with a value that is not a finite number; the model overflowed on it: try dtype f32 or bf16, or an earlier layer"
    )]
    NotFinite { row: usize },
    #[error("what was learnt of its texts does not do for this transform")]
    NotLearnt,
    #[error("the eigenvectors of its {size} x {size} matrix were not found")]
    NotSolved { size: usize },
    #[error(
        "{texts} texts of {dim} dimensions make a matrix of {size} x {size}, and {LARGEST} is the most that is decomposed; give its `fit` a `limit`"
    )]
    TooLarge { texts: usize, dim: usize, size: usize },
}

/// Texts as a transform hands them on, block by block: memory does not grow.
pub struct Transformed<'a, T> {
    pub texts: &'a T,
    pub by: &'a Fitted,
}

impl<T: Texts> Texts for Transformed<'_, T> {
    type Error = T::Error;

    fn count(&self) -> usize {
        self.texts.count()
    }

    fn width(&self) -> usize {
        self.by.width()
    }

    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), Self::Error> {
        self.texts.visit(&mut |positions, block| take(positions, &self.by.apply(block)))
    }
}
