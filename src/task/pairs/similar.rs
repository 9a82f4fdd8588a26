//! How similar the two texts of each pair are.

use crate::embeddings::Embeddings;
use crate::stats::number;
use crate::task::directions::{self, ExactSum};
use crate::task::{TaskError, Vectors};

/// A measure of similarity: the larger, the more similar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Similarity {
    Cosine,
    Dot,
    /// Minus the Euclidean distance.
    Euclidean,
    /// Minus the Manhattan distance.
    Manhattan,
}

impl Similarity {
    /// Those of MTEB, in the order they are kept.
    pub const MTEB: &'static [Self] = &[Self::Cosine, Self::Dot, Self::Euclidean, Self::Manhattan];
    /// Those of every other definition.
    pub const COSINE: &'static [Self] = &[Self::Cosine];
}

/// The similarities of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Similar {
    /// All finite. Shape: row-major `[pairs, measures]`, cosine first.
    pub scores: Vec<f64>,
    pub measures: usize,
    /// Vectors of either side without direction: their cosine is 0.
    pub zero_vectors: usize,
    /// Mean cosine over distinct pairs of all vectors; None with fewer than two directions.
    pub anisotropy: Option<f64>,
}

impl Similar {
    /// Number of pairs.
    pub const fn count(&self) -> usize {
        self.scores.len() / self.measures
    }

    /// One measure of every pair.
    pub fn measure(&self, place: usize) -> Vec<f64> {
        self.scores.iter().skip(place).step_by(self.measures).copied().collect()
    }

    /// The cosine of every pair.
    pub fn cosines(&self) -> Vec<f64> {
        self.measure(0)
    }
}

/// Measures pairs as their vectors come in, block by block.
///
/// All arithmetic is f64. Cosines are of the vectors as they are; a vector of zeros has cosine 0 with everything. The other
/// measures are of the vectors scaled to unit length where the readout scales them.
pub struct Similarities {
    measures: &'static [Similarity],
    scale: bool,
    scores: Vec<f64>,
    sum: ExactSum,
    zero_vectors: usize,
    not_finite: Option<usize>,
    /// Widths of the parts whose cosines are averaged.
    parts: Vec<usize>,
    /// Directions of the two texts in hand. Shape of each: `[dim]`.
    units: [Vec<f64>; 2],
}

impl Similarities {
    /// For vectors of these parts: see [`Texts::parts`](crate::task::Texts::parts).
    pub fn new(parts: Vec<usize>, measures: &'static [Similarity], scale: bool) -> Self {
        let dim = parts.iter().sum();
        Self {
            parts,
            measures,
            scale,
            scores: Vec::new(),
            sum: ExactSum::new(dim),
            zero_vectors: 0,
            not_finite: None,
            units: [vec![0.0; dim], vec![0.0; dim]],
        }
    }

    /// Adds pairs: row i of both matrices, in the order of the slice.
    pub fn add(&mut self, left: &Embeddings, right: &Embeddings) {
        for sides in left.rows().zip(right.rows()) {
            let sides = [sides.0, sides.1];
            for (side, unit) in sides.iter().zip(&mut self.units) {
                match directions::direction(side, &self.parts, None, unit) {
                    Some(true) => self.sum.add(unit, 1),
                    Some(false) => self.zero_vectors += 1,
                    None if self.not_finite.is_none() => self.not_finite = Some(self.scores.len() / self.measures.len()),
                    None => {}
                }
            }
            let cosine = self.cosine();
            for measure in self.measures {
                self.scores.push(match measure {
                    Similarity::Cosine => cosine,
                    other if self.scale => distance(*other, self.units.each_ref().map(|unit| unit.iter().copied())),
                    other => distance(*other, sides.map(|side| side.iter().map(|&value| f64::from(value)))),
                });
            }
        }
    }

    /// The cosine of the two texts in hand. Equal directions have one exactly: rounding would rank pairs of equal texts at random.
    fn cosine(&self) -> f64 {
        let cosine = dot(self.units.each_ref().map(|unit| unit.iter().copied())).clamp(-1.0, 1.0);
        // Each part that has a direction adds its share.
        let parts = number(self.parts.len());
        if self.units[0] == self.units[1] { (cosine * parts).round() / parts } else { cosine }
    }

    /// The similarities of all pairs that were added.
    ///
    /// # Errors
    /// No pairs, or a vector with a value that is not finite.
    pub fn finish(self) -> Result<Similar, TaskError> {
        if let Some(row) = self.not_finite {
            return Err(TaskError::NotFinite { of: Vectors::Pairs, row });
        }
        if self.scores.is_empty() {
            return Err(TaskError::NoSamples);
        }
        Ok(Similar {
            scores: self.scores,
            measures: self.measures.len(),
            zero_vectors: self.zero_vectors,
            anisotropy: self.sum.common(None).anisotropy,
        })
    }
}

fn dot([left, right]: [impl Iterator<Item = f64>; 2]) -> f64 {
    left.zip(right).map(|(a, b)| a * b).sum()
}

/// A measure that is no cosine.
fn distance(measure: Similarity, sides: [impl Iterator<Item = f64>; 2]) -> f64 {
    match measure {
        Similarity::Cosine | Similarity::Dot => dot(sides),
        Similarity::Euclidean => -apart(sides, |gap| gap * gap).sqrt(),
        Similarity::Manhattan => -apart(sides, f64::abs),
    }
}

fn apart([left, right]: [impl Iterator<Item = f64>; 2], cost: fn(f64) -> f64) -> f64 {
    left.zip(right).map(|(a, b)| cost(a - b)).sum()
}
