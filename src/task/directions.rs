//! Directions of texts and labels: unit vectors, means of phrasings, centring.

#![expect(clippy::inline_always, reason = "loops over coordinates are compiled for the vectors of the processor they run on")]

use super::Worded;
use crate::products::Panels;
use crate::spec::Calibration;
use crate::stats::number;

/// A difference of unit vectors shorter than this is rounding (f32 inputs resolve 6e-8), not a direction.
const VANISHED: f64 = 1e-9;

/// What all texts of a slice have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    /// Mean of the unit vectors. Shape: `[dim]`.
    pub centre: Vec<f64>,
    /// Mean cosine over distinct pairs, before calibration; None with fewer than two directions.
    pub anisotropy: Option<f64>,
    /// The first text with a value that is infinite or not a number.
    pub not_finite: Option<usize>,
}

/// Writes the calibrated unit vector of one text; whether it has a direction. Without one, `out` is all zeros. With a
/// `centre`, the unit vector is centred on it and scaled again. None, and no vector, where a value is not a number.
///
/// With several `parts`, given by their widths, each is a vector of its own, centred and scaled by itself to a length of 1 over
/// the square root of their number: the product of two such vectors is the mean of their parts' cosines.
#[inline(always)]
pub(super) fn direction(row: &[f32], parts: &[usize], centre: Option<&[f64]>, out: &mut [f64]) -> Option<bool> {
    // Squares of f32 do not overflow: their sum is finite where all values are.
    let length = squared(row).sqrt();
    if !length.is_finite() {
        return None;
    }
    // One part is scaled as it is widened.
    let at_once = matches!(parts, [_]) && length > 0.0;
    let factor = if at_once { length.recip() } else { 1.0 };
    out.iter_mut().zip(row).for_each(|(wide, &value)| *wide = f64::from(value) * factor);
    let directed = at_once || scale_to_unit(out, parts, 0.0);
    Some(directed && centre.is_none_or(|centre| recentre(out, parts, centre)))
}

/// One direction per label.
pub(super) struct Labels {
    /// Calibrated unit vectors, all zeros where there is no direction, laid out for products. Shape: `[dim, labels]`.
    pub vectors: Panels<f64>,
    /// Labels that score 0 with every text.
    pub without_direction: usize,
    /// Mean cosine over distinct pairs of label vectors, before calibration; None with fewer than two directions.
    pub anisotropy: Option<f64>,
}

impl Labels {
    /// A label's vector is the mean of its phrasings' unit vectors; over several wordings, the mean of their unit means.
    pub(super) fn new(wordings: &[Worded<'_>], parts: &[usize], labels: usize, calibration: Calibration) -> Self {
        let dim = wordings.first().map_or(1, |worded| worded.phrasings.dim());
        let mut vectors = vec![0.0; labels * dim];
        let mut unit = vec![0.0; dim];
        for worded in wordings {
            let mut own = vec![0.0; labels * dim];
            for (row, &label) in worded.phrasings.rows().zip(worded.owner) {
                widen(row, &mut unit);
                scale_to_unit(&mut unit, parts, 0.0);
                add(&mut own[label * dim..(label + 1) * dim], &unit);
            }
            if wordings.len() > 1 {
                for vector in own.chunks_exact_mut(dim) {
                    scale_to_unit(vector, parts, VANISHED);
                }
            }
            add(&mut vectors, &own);
        }
        let mut sum = Sum::new(dim);
        for vector in vectors.chunks_exact_mut(dim) {
            let directed = scale_to_unit(vector, parts, VANISHED);
            sum.add(vector, usize::from(directed));
        }
        if calibration == Calibration::Center {
            let centre = sum.mean();
            vectors.chunks_exact_mut(dim).filter(|vector| is_directed(vector)).for_each(|vector| {
                recentre(vector, parts, &centre);
            });
        }
        Self {
            without_direction: vectors.chunks_exact(dim).filter(|vector| !is_directed(vector)).count(),
            vectors: Panels::new(dim, labels, |i, label| vectors[label * dim + i]),
            anisotropy: sum.mean_cosine(),
        }
    }

    /// Number of labels.
    pub(super) const fn count(&self) -> usize {
        self.vectors.outputs
    }
}

/// Vectors that an exact sum takes at a time.
pub(super) const AT_ONCE: usize = 4;

/// A sum of unit vectors that is exact, so that it does not depend on the order of additions.
///
/// Each coordinate is cut into a multiple of 2^-28 and one of 2^-57; what is left is below the rounding of the vectors.
/// Sums of either stay below 2^53 units, and so exact, for 16 million vectors.
#[derive(Clone, Debug)]
pub(super) struct ExactSum {
    high: Vec<f64>,
    low: Vec<f64>,
    directions: usize,
}

impl ExactSum {
    /// Adding and subtracting these rounds to multiples of 2^-28 and 2^-57.
    const CUTS: [f64; 2] = [1.5 * 16_777_216.0, 1.5 / 32.0];

    pub(super) fn new(dim: usize) -> Self {
        Self { high: vec![0.0; dim], low: vec![0.0; dim], directions: 0 }
    }

    /// Adds unit vectors, so many of which have a direction; the others are zeros. Shape: row-major `[n, dim]`.
    #[inline(always)]
    pub(super) fn add(&mut self, vectors: &[f64], directions: usize) {
        let dim = self.high.len();
        for vectors in vectors.chunks(AT_ONCE * dim) {
            match vectors.len() / dim {
                AT_ONCE => self.add_rows::<AT_ONCE>(std::array::from_fn(|row| &vectors[row * dim..(row + 1) * dim])),
                _ => vectors.chunks_exact(dim).for_each(|row| self.add_rows([row])),
            }
        }
        self.directions += directions;
    }

    /// The sums stay in registers while rows are added.
    #[inline(always)]
    fn add_rows<const N: usize>(&mut self, rows: [&[f64]; N]) {
        let [coarse, fine] = Self::CUTS;
        let rows = rows.map(|row| &row[..self.high.len()]);
        for (i, (high, low)) in self.high.iter_mut().zip(&mut self.low).enumerate() {
            let mut sums = (*high, *low);
            for row in rows {
                let part = (row[i] + coarse) - coarse;
                sums.0 += part;
                sums.1 += ((row[i] - part) + fine) - fine;
            }
            (*high, *low) = sums;
        }
    }

    pub(super) fn merge(mut self, other: &Self) -> Self {
        add(&mut self.high, &other.high);
        add(&mut self.low, &other.low);
        self.directions += other.directions;
        self
    }

    pub(super) fn common(&self, not_finite: Option<usize>) -> Common {
        let vector = self.high.iter().zip(&self.low).map(|(high, low)| high + low).collect();
        let sum = Sum { vector, directions: self.directions };
        Common { centre: sum.mean(), anisotropy: sum.mean_cosine(), not_finite }
    }
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

#[inline(always)]
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
#[inline(always)]
fn recentre(vector: &mut [f64], parts: &[usize], centre: &[f64]) -> bool {
    vector.iter_mut().zip(centre).for_each(|(value, mean)| *value -= mean);
    scale_to_unit(vector, parts, VANISHED)
}

/// Scales to length 1, each part alike; whether any part has a direction. One no longer than `vanished` becomes all zeros.
/// Squares of f32 neither overflow nor vanish in f64.
#[inline(always)]
fn scale_to_unit(vector: &mut [f64], parts: &[usize], vanished: f64) -> bool {
    if let [_] = parts {
        return scale(vector, squared(vector).sqrt(), vanished);
    }
    let share = number(parts.len()).sqrt().recip();
    let (mut rest, mut directed) = (vector, false);
    for &width in parts {
        let (part, behind) = rest.split_at_mut(width);
        directed |= scale(part, squared(part).sqrt(), vanished);
        part.iter_mut().for_each(|value| *value *= share);
        rest = behind;
    }
    directed
}

#[inline(always)]
fn scale(vector: &mut [f64], length: f64, vanished: f64) -> bool {
    if length <= vanished {
        vector.fill(0.0);
        return false;
    }
    let factor = length.recip();
    for value in vector {
        *value *= factor;
    }
    true
}

/// Squared length, by partial sums that are always added in the same order.
#[inline(always)]
fn squared<T: Copy + Into<f64>>(vector: &[T]) -> f64 {
    let (whole, rest) = vector.as_chunks::<32>();
    let mut sums = [0.0; 32];
    for chunk in whole {
        for i in 0..32 {
            sums[i] += chunk[i].into().powi(2);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&value| value.into().powi(2)).sum::<f64>()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]
mod tests {
    use super::*;
    use crate::embeddings::Embeddings;

    fn common(texts: &Embeddings) -> Common {
        let mut sum = ExactSum::new(texts.dim());
        let mut unit = vec![0.0; texts.dim()];
        for row in texts.rows() {
            if direction(row, &[texts.dim()], None, &mut unit).unwrap() {
                sum.add(&unit, 1);
            }
        }
        sum.common(None)
    }

    #[test]
    fn a_sum_does_not_depend_on_its_order() {
        let rows: Vec<f64> = (1..3000_u32).map(|i| f64::from(i).sin() / f64::from(i % 97 + 1)).collect();
        let sum = |rows: &mut dyn Iterator<Item = &f64>| {
            let mut sum = ExactSum::new(1);
            rows.for_each(|&value| sum.add(&[value], 1));
            sum
        };
        let (forward, backward) = (sum(&mut rows.iter()), sum(&mut rows.iter().rev()));
        let halves = sum(&mut rows[2000..].iter()).merge(&sum(&mut rows[..2000].iter()));
        assert_eq!(forward.common(None).centre, backward.common(None).centre);
        assert_eq!(forward.common(None).centre, halves.common(None).centre);
        assert!((forward.common(None).centre[0] - rows.iter().sum::<f64>() / 2999.0).abs() < 1e-16);
    }

    #[test]
    fn anisotropy_is_the_mean_cosine_of_distinct_pairs() {
        // Unit vectors (1, 0), (0, 1), (-1, 0): cosines 0, -1 and 0; lengths do not matter.
        let texts = Embeddings::from_values(2, vec![2.0, 0.0, 0.0, 5.0, -0.5, 0.0]);
        let found = common(&texts).anisotropy.unwrap();
        assert!((found - -1.0 / 3.0).abs() < 1e-15, "{found}");
        let one = Embeddings::from_values(2, vec![2.0, 0.0, 0.0, 0.0]);
        assert_eq!(common(&one).anisotropy, None);
    }

    #[test]
    fn zero_rows_leave_the_mean_alone_and_stay_without_direction() {
        let texts = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let centre = common(&texts).centre;
        assert_eq!(centre, [0.5, 0.5]);
        let mut out = [9.0; 2];
        assert_eq!(direction(texts.row(1), &[2], Some(&centre), &mut out), Some(false));
        assert_eq!(out, [0.0; 2]);
        assert_eq!(direction(texts.row(0), &[2], Some(&centre), &mut out), Some(true));
        let half = 0.5_f64.sqrt();
        assert!((out[0] - half).abs() < 1e-15 && (out[1] + half).abs() < 1e-15, "{out:?}");
    }

    #[test]
    fn the_product_of_vectors_in_parts_is_the_mean_of_their_cosines() {
        // Of the first two coordinates (3, 4) and (4, 3): 24 / 25. Of the third alone: -1. Their mean is -0.02.
        let (a, b) = ([3.0, 4.0, 0.5], [8.0, 6.0, -7.0]);
        let mut out = [[0.0; 3]; 2];
        for (row, out) in [a, b].iter().zip(&mut out) {
            assert_eq!(direction(row, &[2, 1], None, out), Some(true));
        }
        let product = |[a, b]: &[[f64; 3]; 2]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((product(&out) - -0.02).abs() < 1e-15, "{}", product(&out));
        // Each part is centred by itself: on a centre of (0.6, 0, 0) / sqrt 2 the first parts become (0, 1) and (0.2, 0.6)
        // scaled, with cosine 3 / sqrt 10; the second parts stay opposite.
        let centre = [0.6 * 0.5_f64.sqrt(), 0.0, 0.0];
        for (row, out) in [a, b].iter().zip(&mut out) {
            assert_eq!(direction(row, &[2, 1], Some(&centre), out), Some(true));
        }
        let wanted = (3.0 / 10.0_f64.sqrt() - 1.0) / 2.0;
        assert!((product(&out) - wanted).abs() < 1e-15, "{} is not {wanted}", product(&out));
        // A part without direction has cosine 0; a vector of such parts has none.
        let mut out = [0.0; 3];
        assert_eq!(direction(&[0.0, 0.0, 2.0], &[2, 1], None, &mut out), Some(true));
        assert!(out[..2] == [0.0, 0.0] && (out[2] - 0.5_f64.sqrt()).abs() < 1e-15, "{out:?}");
        assert_eq!(direction(&[0.0; 3], &[2, 1], None, &mut out), Some(false));
    }

    #[test]
    fn equal_vectors_have_no_direction_once_centred() {
        let texts = Embeddings::from_values(3, [0.1_f32, 0.7, -0.3].repeat(1000));
        let common = common(&texts);
        let mut out = [0.0; 3];
        assert_eq!(direction(texts.row(0), &[3], Some(&common.centre), &mut out), Some(false));
        assert!((common.anisotropy.unwrap() - 1.0).abs() < 1e-12);
    }

    /// One coordinate of a label's vector; all labels of these tests are in one panel.
    fn value(labels: &Labels, label: usize, i: usize) -> f64 {
        let (_, panel) = labels.vectors.panels(labels.count()).next().unwrap();
        panel[i * panel.len() / labels.vectors.inputs + label]
    }

    fn labels(phrasings: &Embeddings, owner: &[usize]) -> Labels {
        Labels::new(&[Worded { phrasings, owner }], &[2], 2, Calibration::None)
    }

    #[test]
    fn phrasings_count_alike_whatever_their_length() {
        // Label 0 is worded by (10, 0) and (0, 1): their directions average to (1, 1) / sqrt 2.
        let phrasings = Embeddings::from_values(2, vec![10.0, 0.0, 0.0, 1.0, -3.0, 0.0]);
        let labels = labels(&phrasings, &[0, 0, 1]);
        let half = 0.5_f64.sqrt();
        assert!((value(&labels, 0, 0) - half).abs() < 1e-15 && (value(&labels, 0, 1) - half).abs() < 1e-15);
        assert_eq!([value(&labels, 1, 0), value(&labels, 1, 1)], [-1.0, 0.0]);
        assert!((labels.anisotropy.unwrap() + half).abs() < 1e-15);
    }

    #[test]
    fn wordings_count_alike_however_many_phrasings_they_have() {
        // The first wording has label 0 along x three times, the second once along y: half way between them.
        let many = Embeddings::from_values(2, vec![1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 0.0, -1.0]);
        let few = Embeddings::from_values(2, vec![0.0, 5.0, 1.0, 0.0]);
        let wordings = [Worded { phrasings: &many, owner: &[0, 0, 0, 1] }, Worded { phrasings: &few, owner: &[0, 1] }];
        let labels = Labels::new(&wordings, &[2], 2, Calibration::None);
        let half = 0.5_f64.sqrt();
        for (label, wanted) in [[half, half], [half, -half]].into_iter().enumerate() {
            let found = [value(&labels, label, 0), value(&labels, label, 1)];
            assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-15), "{label}: {found:?}");
        }
    }

    #[test]
    fn opposite_phrasings_cancel() {
        let phrasings = Embeddings::from_values(2, vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0]);
        let labels = labels(&phrasings, &[0, 0, 1]);
        assert_eq!(labels.without_direction, 1);
        assert_eq!([value(&labels, 0, 0), value(&labels, 0, 1)], [0.0, 0.0]);
    }
}
