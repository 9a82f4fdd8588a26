//! What a transform learns from vectors: their mean, the spread of each coordinate, and the directions they vary in.
//!
//! Determinism: vectors are read in their order, in blocks, and every sum is one chain of additions in that order: neither
//! threads nor the order of files change a bit.

use rayon::prelude::*;

use super::eigen::eigen;
use super::{Length, Ordered, TransformError, VANISHED};
use crate::products::{self, Left, Out, Panels};
use crate::stats::number;

/// Vectors read at a time.
const BLOCK: usize = 1024;

/// Rows of a matrix that one thread multiplies at a time.
const ROWS: usize = 32;

/// Rows of the largest matrix that is decomposed: the smaller one of the number of vectors and of their coordinates.
pub const LARGEST: usize = 8192;

/// The variance of a direction below this share of the mean squared length is rounding: a spread of 3e-8 of the length, where
/// f32 resolves 6e-8.
const NOISE: f64 = 1e-15;

/// The mean of vectors, and what is needed to read them again.
#[derive(Clone, Debug)]
pub struct Moments {
    pub length: Length,
    /// Vectors that are not zero: the others have no part in anything.
    pub count: usize,
    /// Shape: `[dim]`.
    pub mean: Vec<f64>,
    /// Mean squared length.
    squared: f64,
}

/// Where vectors vary: the eigenvectors of their covariance that stand out from rounding.
#[derive(Clone, Debug)]
pub struct Principal {
    pub moments: Moments,
    /// Variances, largest first; the population's, over n.
    pub variances: Vec<f64>,
    /// Unit vectors, one a row, whose coordinate farthest from zero is positive. Shape: row-major `[variances, dim]`.
    pub directions: Vec<f64>,
    /// The sum of all variances.
    pub total: f64,
}

impl Moments {
    /// The mean of vectors.
    ///
    /// # Errors
    /// Vectors that cannot be read. The inner errors are vectors that are not numbers, or all zero.
    pub fn of<V: Ordered>(vectors: &V, length: Length) -> Result<Result<Self, TransformError>, V::Error> {
        let mut moments = Self { length, count: 0, mean: vec![0.0; vectors.width()], squared: 0.0 };
        let mut broken = None;
        read(vectors, length, |row, vector| {
            if !vector.iter().all(|value| value.is_finite()) {
                broken = broken.or(Some(row));
            }
            moments.count += 1;
            moments.squared += vector.iter().map(|value| value * value).sum::<f64>();
            moments.mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += *value);
        })?;
        if let Some(row) = broken {
            return Ok(Err(TransformError::NotFinite { row }));
        }
        if moments.count == 0 {
            return Ok(Err(TransformError::NoVectors { texts: vectors.count() }));
        }
        let count = number(moments.count);
        moments.mean.iter_mut().for_each(|sum| *sum /= count);
        moments.squared /= count;
        Ok(Ok(moments))
    }

    /// The standard deviation of each coordinate, the population's; None where a coordinate is the same in all vectors.
    ///
    /// # Errors
    /// Vectors that cannot be read.
    pub fn spreads<V: Ordered>(&self, vectors: &V) -> Result<Vec<Option<f64>>, V::Error> {
        let mut sums = vec![0.0; self.mean.len()];
        read(vectors, self.length, |_, vector| {
            for ((sum, value), mean) in sums.iter_mut().zip(vector).zip(&self.mean) {
                *sum += (value - mean).powi(2);
            }
        })?;
        let spread = |(sum, mean): (f64, &f64)| {
            let spread = (sum / number(self.count)).sqrt();
            (spread > VANISHED * mean.abs() && spread > 0.0).then_some(spread)
        };
        Ok(sums.into_iter().zip(&self.mean).map(spread).collect())
    }

    /// The vectors less their mean, one after the other, in blocks.
    fn centred<V: Ordered>(&self, vectors: &V, mut take: impl FnMut(&[f64])) -> Result<(), V::Error> {
        let dim = self.mean.len();
        let mut block = Vec::with_capacity(BLOCK * dim);
        read(vectors, self.length, |_, vector| {
            block.extend(vector.iter().zip(&self.mean).map(|(value, mean)| value - mean));
            if block.len() == BLOCK * dim {
                take(&block);
                block.clear();
            }
        })?;
        if !block.is_empty() {
            take(&block);
        }
        Ok(())
    }
}

impl Principal {
    /// Where vectors vary. Of fewer vectors than coordinates, from the matrix of their inner products, which is smaller than
    /// that of the covariances and has the same directions.
    ///
    /// # Errors
    /// Vectors that cannot be read. The inner errors are those of [`Moments::of`], and too many vectors.
    pub fn of<V: Ordered>(vectors: &V, length: Length) -> Result<Result<Self, TransformError>, V::Error> {
        let moments = match Moments::of(vectors, length)? {
            Ok(moments) => moments,
            Err(error) => return Ok(Err(error)),
        };
        let (texts, dim) = (moments.count, moments.mean.len());
        let size = texts.min(dim);
        if size > LARGEST {
            return Ok(Err(TransformError::TooLarge { texts, dim, size }));
        }
        let found = if texts <= dim { moments.of_products(vectors)? } else { moments.of_covariances(vectors)? };
        let Some((variances, mut directions, total)) = found else {
            return Ok(Err(TransformError::NotSolved { size }));
        };
        directions.par_chunks_exact_mut(dim).for_each(turn);
        Ok(Ok(Self { moments, variances, directions, total }))
    }
}

/// Variances, their directions, and the sum of all variances.
type Directions = (Vec<f64>, Vec<f64>, f64);

impl Moments {
    fn of_covariances<V: Ordered>(&self, vectors: &V) -> Result<Option<Directions>, V::Error> {
        let dim = self.mean.len();
        let mut sums = vec![0.0; dim * dim];
        let mut first = true;
        self.centred(vectors, |block| {
            let rows = block.len() / dim;
            let right = Panels::new(rows, dim, |row, i| block[row * dim + i]);
            sums.par_chunks_mut(ROWS * dim).enumerate().for_each(|(chunk, values)| {
                let own = chunk * ROWS..chunk * ROWS + values.len() / dim;
                let left: Vec<f64> = own.clone().flat_map(|i| (0..rows).map(move |row| block[row * dim + i])).collect();
                let left = Left { values: &left, rows: own.len(), stride: rows, inputs: rows };
                products::multiply(left, &right, &mut Out { values, stride: dim, outputs: dim, continued: !first });
            });
            first = false;
        })?;
        let total = (0..dim).map(|i| sums[i * dim + i]).sum::<f64>() / number(self.count);
        let Some(mut found) = eigen(sums, dim) else { return Ok(None) };
        found.values.iter_mut().for_each(|value| *value /= number(self.count));
        let rank = self.rank(&found.values);
        found.values.truncate(rank);
        found.vectors.truncate(rank * dim);
        Ok(Some((found.values, found.vectors, total)))
    }

    fn of_products<V: Ordered>(&self, vectors: &V) -> Result<Option<Directions>, V::Error> {
        let (texts, dim) = (self.count, self.mean.len());
        let mut centred = Vec::with_capacity(texts * dim);
        self.centred(vectors, |block| centred.extend_from_slice(block))?;
        let products = product(&centred, texts, &Panels::new(dim, texts, |i, text| centred[text * dim + i]));
        let total = (0..texts).map(|i| products[i * texts + i]).sum::<f64>() / number(texts);
        let Some(mut found) = eigen(products, texts) else { return Ok(None) };
        found.values.iter_mut().for_each(|value| *value /= number(texts));
        let rank = self.rank(&found.values);
        found.values.truncate(rank);
        let right = Panels::new(texts, dim, |text, i| centred[text * dim + i]);
        drop(centred);
        let mut directions = product(&found.vectors[..rank * texts], rank, &right);
        directions.par_chunks_exact_mut(dim).for_each(|direction| {
            let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt();
            direction.iter_mut().for_each(|value| *value /= length);
        });
        Ok(Some((found.values, directions, total)))
    }

    /// How many variances, largest first, stand out from rounding.
    fn rank(&self, variances: &[f64]) -> usize {
        let relative = variances.first().map_or(0.0, |largest| largest * number(variances.len()) * f64::EPSILON);
        let least = relative.max(self.squared * NOISE);
        variances.iter().take_while(|&&variance| variance > least).count()
    }
}

/// Hands out the vectors that are not zero, in order, as the readout hands them out, each with its place.
fn read<V: Ordered>(vectors: &V, length: Length, mut take: impl FnMut(usize, &[f64])) -> Result<(), V::Error> {
    let mut wide = vec![0.0; vectors.width()];
    for start in (0..vectors.count()).step_by(BLOCK) {
        let block = vectors.part(start..vectors.count().min(start + BLOCK))?;
        for (row, vector) in (start..).zip(block.rows()) {
            // A length that is no number is no zero either.
            if widen(vector, length, &mut wide) != 0.0 {
                take(row, &wide);
            }
        }
    }
    Ok(())
}

/// A product with rows in parallel. Shape: `[rows, right.outputs]`.
fn product(left: &[f64], rows: usize, right: &Panels<f64>) -> Vec<f64> {
    let (inputs, outputs) = (right.inputs, right.outputs);
    let mut values = vec![0.0; rows * outputs];
    values.par_chunks_mut(ROWS * outputs).zip(left.par_chunks(ROWS * inputs)).for_each(|(values, left)| {
        let left = Left { values: left, rows: left.len() / inputs, stride: inputs, inputs };
        products::multiply(left, right, &mut Out { values, stride: outputs, outputs, continued: false });
    });
    values
}

/// Gives a direction the sign that makes its coordinate farthest from zero positive; of equals, the first.
fn turn(direction: &mut [f64]) {
    let farthest = direction.iter().copied().reduce(|a, b| if b.abs() > a.abs() { b } else { a });
    if farthest.is_some_and(|value| value < 0.0) {
        direction.iter_mut().for_each(|value| *value = -*value);
    }
}

/// Writes a vector as the readout hands it out; gives the length it had.
pub(super) fn widen(vector: &[f32], length: Length, wide: &mut [f64]) -> f64 {
    wide.iter_mut().zip(vector).for_each(|(wide, &value)| *wide = f64::from(value));
    let own = wide.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length == Length::Unit && own > 0.0 {
        wide.iter_mut().for_each(|value| *value /= own);
    }
    own
}
