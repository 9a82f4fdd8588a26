//! A transform ready to use: what it does to every vector.

use rayon::prelude::*;

use super::fit::widen;
use super::{Length, Moments, Principal, TransformError, VANISHED};
use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out, Panels};

/// Vectors that one thread transforms at a time.
const ROWS: usize = 48;

/// A fitted transform. Every one takes the mean off first; zeros stay zeros.
pub struct Fitted {
    length: Length,
    /// Shape: `[dim]`.
    mean: Vec<f64>,
    map: Map,
}

/// What follows on taking the mean off.
enum Map {
    Nothing,
    /// Each coordinate by a factor of its own. Shape: `[dim]`.
    Scale(Vec<f64>),
    /// Onto some directions, each by its gain.
    Project {
        directions: Panels<f64>,
        gains: Vec<f64>,
    },
    /// Every direction by `rest`, but some by that plus their gain.
    Adjust {
        directions: Panels<f64>,
        back: Panels<f64>,
        gains: Vec<f64>,
        rest: f64,
    },
}

impl Fitted {
    /// Takes the mean off.
    pub fn center(moments: Moments) -> Self {
        Self { length: moments.length, mean: moments.mean, map: Map::Nothing }
    }

    /// Takes the mean off and divides each coordinate by its standard deviation; a coordinate that was the same in all
    /// vectors is not divided.
    ///
    /// Source: as scikit-learn's `StandardScaler`.
    pub fn standardize(moments: Moments, spreads: &[Option<f64>]) -> Self {
        let factors = spreads.iter().map(|spread| spread.map_or(1.0, f64::recip)).collect();
        Self { map: Map::Scale(factors), ..Self::center(moments) }
    }

    /// Takes the mean and the `drop` directions of the largest variance off.
    ///
    /// Source: Mu and Viswanath 2018, all-but-the-top, arXiv 1702.01417.
    pub fn drop_top(principal: &Principal, drop: usize) -> Self {
        let kept = drop.min(principal.variances.len());
        Self::of(principal, Map::adjust(principal, vec![-1.0; kept], 1.0))
    }

    /// Takes the mean off and gives every direction the same variance, so that none rules the cosines. With `dims`, onto so
    /// many directions of the largest variance, or as many as there are.
    ///
    /// `shrinkage` s replaces each variance by (1 - s) times it plus s times the mean over all coordinates: 0 whitens fully
    /// and leaves out directions without variance, 1 does nothing but centre.
    ///
    /// Source: Su et al. 2021, arXiv 2103.15316; shrinkage as in scikit-learn's `shrunk_covariance`.
    ///
    /// # Errors
    /// Vectors that are all the same.
    pub fn whiten(principal: &Principal, dims: Option<usize>, shrinkage: f64) -> Result<Self, TransformError> {
        let (dim, rank) = (principal.moments.mean.len(), principal.variances.len());
        if rank == 0 {
            return Err(TransformError::NoVariance { texts: principal.moments.count });
        }
        let shared = shrinkage * principal.total / crate::stats::number(dim);
        let gain = |variance: &f64| ((1.0 - shrinkage) * variance + shared).sqrt().recip();
        let gains: Vec<f64> = principal.variances.iter().map(gain).collect();
        Ok(Self::of(
            principal,
            if let Some(dims) = dims.or((shared == 0.0).then_some(rank)) {
                Map::project(principal, &gains[..dims.min(rank)])
            } else {
                let rest = shared.sqrt().recip();
                Map::adjust(principal, gains.iter().map(|gain| gain - rest).collect(), rest)
            },
        ))
    }

    fn of(principal: &Principal, map: Map) -> Self {
        Self { length: principal.moments.length, mean: principal.moments.mean.clone(), map }
    }

    /// Coordinates of what comes out.
    pub const fn width(&self) -> usize {
        match &self.map {
            Map::Nothing | Map::Scale(_) | Map::Adjust { .. } => self.mean.len(),
            Map::Project { gains, .. } => gains.len(),
        }
    }

    /// The vectors, transformed. Shape: `[rows, dim]` to `[rows, width]`.
    ///
    /// Determinism: a row depends on itself alone.
    pub fn apply(&self, vectors: &Embeddings) -> Embeddings {
        let (dim, width) = (vectors.dim(), self.width());
        let mut values = vec![0.0; vectors.len() * width];
        values.par_chunks_mut(ROWS * width).zip(vectors.values().par_chunks(ROWS * dim)).for_each(|(out, rows)| {
            let mut lengths = Vec::with_capacity(ROWS);
            let mut wide = vec![0.0; rows.len()];
            for (row, wide) in rows.chunks_exact(dim).zip(wide.chunks_exact_mut(dim)) {
                let own = widen(row, self.length, wide);
                lengths.push(if self.length == Length::Unit && own > 0.0 { 1.0 } else { own });
                wide.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
            }
            let mapped = self.map.apply(wide, dim, &lengths);
            #[expect(clippy::cast_possible_truncation, reason = "vectors are f32; overflow shows as infinity and is refused")]
            out.iter_mut().zip(mapped).for_each(|(out, value)| *out = value as f32);
        });
        Embeddings::from_values(width, values)
    }
}

impl Map {
    /// The leading directions, one gain for each.
    fn project(principal: &Principal, gains: &[f64]) -> Self {
        let dim = principal.moments.mean.len();
        let directions = Panels::new(dim, gains.len(), |i, k| principal.directions[k * dim + i]);
        Self::Project { directions, gains: gains.to_vec() }
    }

    fn adjust(principal: &Principal, gains: Vec<f64>, rest: f64) -> Self {
        let dim = principal.moments.mean.len();
        let directions = Panels::new(dim, gains.len(), |i, k| principal.directions[k * dim + i]);
        let back = Panels::new(gains.len(), dim, |k, i| principal.directions[k * dim + i]);
        Self::Adjust { directions, back, gains, rest }
    }

    /// What becomes of rows without their mean, given the lengths they had with it. What is left of a row and is no more than
    /// rounding becomes zeros.
    fn apply(&self, mut rows: Vec<f64>, dim: usize, lengths: &[f64]) -> Vec<f64> {
        match self {
            Self::Nothing => without_rounding(&mut rows, dim, lengths, 1.0),
            Self::Scale(factors) => {
                without_rounding(&mut rows, dim, lengths, 1.0);
                for row in rows.chunks_exact_mut(dim) {
                    row.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
                }
            }
            Self::Project { directions, gains } => {
                let mut parts = along(&rows, directions);
                without_rounding(&mut parts, gains.len(), lengths, 1.0);
                scale(&mut parts, gains);
                return parts;
            }
            Self::Adjust { directions, back, gains, rest } => {
                let mut parts = along(&rows, directions);
                scale(&mut parts, gains);
                rows.iter_mut().for_each(|value| *value *= rest);
                let left = Left { values: &parts, rows: lengths.len(), stride: gains.len(), inputs: gains.len() };
                if !gains.is_empty() {
                    products::multiply(left, back, &mut Out { values: &mut rows, stride: dim, outputs: dim, continued: true });
                }
                without_rounding(&mut rows, dim, lengths, *rest);
            }
        }
        rows
    }
}

/// How far rows reach along each direction. Shape: `[rows, directions]`.
fn along(rows: &[f64], directions: &Panels<f64>) -> Vec<f64> {
    let (inputs, outputs) = (directions.inputs, directions.outputs);
    let mut parts = vec![0.0; rows.len() / inputs * outputs];
    let left = Left { values: rows, rows: rows.len() / inputs, stride: inputs, inputs };
    products::multiply(left, directions, &mut Out { values: &mut parts, stride: outputs, outputs, continued: false });
    parts
}

fn scale(parts: &mut [f64], gains: &[f64]) {
    for row in parts.chunks_exact_mut(gains.len().max(1)) {
        row.iter_mut().zip(gains).for_each(|(part, gain)| *part *= gain);
    }
}

/// Makes zeros of rows that are rounding beside the length they came from, by a factor, and of rows that came from zeros.
fn without_rounding(rows: &mut [f64], dim: usize, lengths: &[f64], factor: f64) {
    for (row, length) in rows.chunks_exact_mut(dim).zip(lengths) {
        let left = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        if *length == 0.0 || left <= VANISHED * length * factor {
            row.fill(0.0);
        }
    }
}
