//! Directions of texts and labels: unit vectors, means of phrasings, centring.

use rayon::prelude::*;

use crate::embeddings::Embeddings;
use crate::spec::Calibration;
use crate::stats::number;

/// A difference of unit vectors shorter than this is rounding (f32 inputs resolve 6e-8), not a direction.
const VANISHED: f64 = 1e-9;

/// Rows summed as one: fixed, so that the order of additions does not depend on threads.
const BLOCK: usize = 256;

/// What all texts of a slice have in common.
pub(super) struct Texts {
    /// Subtracted from every unit text vector. Shape: `[dim]`; absent without centring.
    centre: Option<Vec<f64>>,
    /// Mean cosine over distinct pairs, before calibration; None with fewer than two directions.
    pub anisotropy: Option<f64>,
}

impl Texts {
    pub(super) fn new(texts: &Embeddings, calibration: Calibration) -> Self {
        let dim = texts.dim();
        let sums: Vec<Sum> = texts
            .values()
            .par_chunks(BLOCK * dim)
            .map(|block| {
                let mut unit = vec![0.0; dim];
                let mut sum = Sum::new(dim);
                for row in block.chunks_exact(dim) {
                    widen(row, &mut unit);
                    let directed = scale_to_unit(&mut unit, 0.0);
                    sum.add(&unit, usize::from(directed));
                }
                sum
            })
            .collect();
        let mut total = Sum::new(dim);
        for sum in &sums {
            total.add(&sum.vector, sum.directions);
        }
        let anisotropy = total.mean_cosine();
        let centre = match calibration {
            Calibration::None => None,
            Calibration::Center => Some(total.mean()),
        };
        Self { centre, anisotropy }
    }

    /// Writes the calibrated unit vector of one text; whether it has a direction. Without one, `out` is all zeros.
    pub(super) fn direction(&self, row: &[f32], out: &mut [f64]) -> bool {
        widen(row, out);
        scale_to_unit(out, 0.0) && self.centre.as_ref().is_none_or(|centre| recentre(out, centre))
    }
}

/// One direction per label.
pub(super) struct Labels {
    /// Calibrated unit vectors, all zeros where there is no direction. Shape: `[labels, dim]`.
    pub vectors: Vec<f64>,
    pub dim: usize,
    /// Mean cosine over distinct pairs of label vectors, before calibration; None with fewer than two directions.
    pub anisotropy: Option<f64>,
}

impl Labels {
    pub(super) fn new(phrasings: &Embeddings, owner: &[usize], labels: usize, calibration: Calibration) -> Self {
        let dim = phrasings.dim();
        let mut vectors = vec![0.0; labels * dim];
        let mut unit = vec![0.0; dim];
        for (row, &label) in phrasings.rows().zip(owner) {
            widen(row, &mut unit);
            scale_to_unit(&mut unit, 0.0);
            add(&mut vectors[label * dim..(label + 1) * dim], &unit);
        }
        let mut sum = Sum::new(dim);
        for vector in vectors.chunks_exact_mut(dim) {
            let directed = scale_to_unit(vector, VANISHED);
            sum.add(vector, usize::from(directed));
        }
        if calibration == Calibration::Center {
            let centre = sum.mean();
            vectors.chunks_exact_mut(dim).filter(|vector| is_directed(vector)).for_each(|vector| {
                recentre(vector, &centre);
            });
        }
        Self { vectors, dim, anisotropy: sum.mean_cosine() }
    }

    /// Labels that score 0 with every text.
    pub(super) fn without_direction(&self) -> usize {
        self.vectors.chunks_exact(self.dim).filter(|vector| !is_directed(vector)).count()
    }
}

/// The index of the first row with a value that is infinite or not a number.
pub(super) fn first_not_finite(vectors: &Embeddings) -> Option<usize> {
    vectors.values().par_chunks(vectors.dim()).position_first(|row| row.iter().any(|value| !value.is_finite()))
}

/// A sum of unit vectors and how many there were; zero vectors add nothing.
struct Sum {
    vector: Vec<f64>,
    directions: usize,
}

impl Sum {
    fn new(dim: usize) -> Self {
        Self { vector: vec![0.0; dim], directions: 0 }
    }

    fn add(&mut self, vector: &[f64], directions: usize) {
        add(&mut self.vector, vector);
        self.directions += directions;
    }

    fn mean(&self) -> Vec<f64> {
        let count = number(self.directions.max(1));
        self.vector.iter().map(|value| value / count).collect()
    }

    /// The squared length of a sum of m unit vectors is m plus the cosines of all m (m - 1) ordered pairs.
    fn mean_cosine(&self) -> Option<f64> {
        let count = number(self.directions);
        let squared: f64 = self.vector.iter().map(|value| value * value).sum();
        (self.directions > 1).then(|| ((squared - count) / (count * (count - 1.0))).clamp(-1.0, 1.0))
    }
}

fn widen(row: &[f32], out: &mut [f64]) {
    out.iter_mut().zip(row).for_each(|(wide, &value)| *wide = f64::from(value));
}

fn add(sum: &mut [f64], vector: &[f64]) {
    sum.iter_mut().zip(vector).for_each(|(total, value)| *total += value);
}

fn is_directed(vector: &[f64]) -> bool {
    vector.iter().any(|&value| value != 0.0)
}

/// Whether there is a direction left after subtracting the mean.
fn recentre(vector: &mut [f64], centre: &[f64]) -> bool {
    vector.iter_mut().zip(centre).for_each(|(value, mean)| *value -= mean);
    scale_to_unit(vector, VANISHED)
}

/// Scales to length 1; a vector no longer than `vanished` becomes all zeros. Squares of f32 neither overflow nor vanish in f64.
fn scale_to_unit(vector: &mut [f64], vanished: f64) -> bool {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length <= vanished {
        vector.fill(0.0);
        return false;
    }
    for value in vector {
        *value /= length;
    }
    true
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]
mod tests {
    use super::*;

    #[test]
    fn anisotropy_is_the_mean_cosine_of_distinct_pairs() {
        // Unit vectors (1, 0), (0, 1), (-1, 0): cosines 0, -1 and 0; lengths do not matter.
        let texts = Embeddings::from_values(2, vec![2.0, 0.0, 0.0, 5.0, -0.5, 0.0]);
        let found = Texts::new(&texts, Calibration::None).anisotropy.unwrap();
        assert!((found - -1.0 / 3.0).abs() < 1e-15, "{found}");
        let one = Embeddings::from_values(2, vec![2.0, 0.0, 0.0, 0.0]);
        assert_eq!(Texts::new(&one, Calibration::None).anisotropy, None);
    }

    #[test]
    fn zero_rows_leave_the_mean_alone_and_stay_without_direction() {
        let texts = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let centred = Texts::new(&texts, Calibration::Center);
        assert_eq!(centred.centre, Some(vec![0.5, 0.5]));
        let mut out = [9.0; 2];
        assert!(!centred.direction(texts.row(1), &mut out));
        assert_eq!(out, [0.0; 2]);
        assert!(centred.direction(texts.row(0), &mut out));
        let half = 0.5_f64.sqrt();
        assert!((out[0] - half).abs() < 1e-15 && (out[1] + half).abs() < 1e-15, "{out:?}");
    }

    #[test]
    fn equal_vectors_have_no_direction_once_centred() {
        let texts = Embeddings::from_values(3, [0.1_f32, 0.7, -0.3].repeat(1000));
        let centred = Texts::new(&texts, Calibration::Center);
        let mut out = [0.0; 3];
        assert!(!centred.direction(texts.row(0), &mut out));
        assert!((centred.anisotropy.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn phrasings_count_alike_whatever_their_length() {
        // Label 0 is worded by (10, 0) and (0, 1): their directions average to (1, 1) / sqrt 2.
        let phrasings = Embeddings::from_values(2, vec![10.0, 0.0, 0.0, 1.0, -3.0, 0.0]);
        let labels = Labels::new(&phrasings, &[0, 0, 1], 2, Calibration::None);
        let half = 0.5_f64.sqrt();
        assert!((labels.vectors[0] - half).abs() < 1e-15 && (labels.vectors[1] - half).abs() < 1e-15);
        assert_eq!(labels.vectors[2..], [-1.0, 0.0]);
        assert!((labels.anisotropy.unwrap() + half).abs() < 1e-15);
    }

    #[test]
    fn opposite_phrasings_cancel() {
        let phrasings = Embeddings::from_values(2, vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0]);
        let labels = Labels::new(&phrasings, &[0, 0, 1], 2, Calibration::None);
        assert_eq!(labels.without_direction(), 1);
        assert_eq!(labels.vectors[..2], [0.0, 0.0]);
    }
}
