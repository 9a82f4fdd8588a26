//! The plane in which vectors vary most: principal components, for a picture.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out, Panels};
use crate::stats::number;

/// Where each vector lies in the plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// One place per vector, along the first and the second direction.
    pub places: Vec<[f64; 2]>,
    /// Shares of the variance that lie along the two directions.
    pub shares: [f64; 2],
}

/// Directions that are followed: more than two, for the first two are found the sooner.
const FOLLOWED: usize = 6;
/// Rows that one thread multiplies at a time.
const ROWS: usize = 48;
/// Most rounds, and the change of the two variances in a round, as a share, at which it ends.
const ROUNDS: usize = 300;
const SETTLED: f64 = 1e-13;

/// The plane of vectors of unit length about their mean; None for fewer than three, or when all are the same.
///
/// Each direction points to where the place that is furthest from 0 is positive: the sign of a principal component is free.
/// The eigenvectors of the matrix of inner products are followed by orthogonal iteration: a library of linear algebra would
/// find all of them, for the sake of two.
///
/// Determinism: the same vectors give the same bits on one kind of processor.
pub fn plane(vectors: &Embeddings) -> Option<Projection> {
    let n = vectors.len();
    if n < 3 {
        return None;
    }
    let products = inner_products(vectors);
    let trace: f64 = (0..n).map(|i| products[i * n + i]).sum();
    if trace <= 1e-12 * number(n) {
        return None;
    }
    let mut followed = start(n);
    let mut known = [0.0; 2];
    for _ in 0..ROUNDS {
        let (variances, turns, moved) = turned(&products, &followed);
        let found = [0, 1].map(|place| variances[place]);
        let change = (found[0] - known[0]).abs() + (found[1] - known[1]).abs();
        known = found;
        if change <= SETTLED * trace {
            followed = mixed(&followed, &turns);
            break;
        }
        followed = mixed(&moved, &turns);
        orthonormal(&mut followed);
    }
    let along = [0, 1].map(|place| {
        let scale = known[place].max(0.0).sqrt() * sign(&followed[place]);
        followed[place].iter().map(|value| value * scale).collect::<Vec<f64>>()
    });
    let places = (0..n).map(|i| [along[0][i], along[1][i]]).collect();
    Some(Projection { places, shares: known.map(|found| (found / trace).clamp(0.0, 1.0)) })
}

/// Inner products of the vectors, scaled to unit length, about their mean. Shape: `[n, n]`.
fn inner_products(vectors: &Embeddings) -> Vec<f64> {
    let (n, dim) = (vectors.len(), vectors.dim());
    let mut values = vec![0.0; n * dim];
    values.par_chunks_exact_mut(dim).zip(vectors.values().par_chunks_exact(dim)).for_each(|(unit, row)| {
        let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        unit.iter_mut().zip(row).for_each(|(unit, &value)| *unit = f64::from(value) * scale);
    });
    let right = Panels::new(dim, n, |i, row| values[row * dim + i]);
    let mut products = vec![0.0; n * n];
    // Each row up to its own place: what stands behind is the same again.
    let chunks = values.par_chunks(ROWS * dim).zip(products.par_chunks_mut(ROWS * n)).enumerate();
    chunks.for_each(|(chunk, (values, products))| {
        let left = Left { values, rows: values.len() / dim, stride: dim, inputs: dim };
        let outputs = chunk * ROWS + left.rows;
        products::multiply(left, &right, &mut Out { values: products, stride: n, outputs, continued: false });
    });
    for (i, j) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
        products[j * n + i] = products[i * n + j];
    }
    let means: Vec<f64> = products.chunks_exact(n).map(|row| row.iter().sum::<f64>() / number(n)).collect();
    let mean = means.iter().sum::<f64>() / number(n);
    for (i, row) in products.chunks_exact_mut(n).enumerate() {
        row.iter_mut().zip(&means).for_each(|(value, other)| *value += mean - means[i] - other);
    }
    products
}

/// Directions that no data is likely to be at right angles to.
fn start(n: usize) -> Vec<Vec<f64>> {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let mut unit = || f64::from(generator.next_u32()) / f64::from(u32::MAX) - 0.5;
    let mut directions: Vec<Vec<f64>> = (0..FOLLOWED.min(n)).map(|_| (0..n).map(|_| unit()).collect()).collect();
    orthonormal(&mut directions);
    directions
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram and Schmidt, twice for the sake of rounding; a direction that the others span becomes zeros.
fn orthonormal(directions: &mut [Vec<f64>]) {
    for place in 0..directions.len() {
        let (before, rest) = directions.split_at_mut(place);
        let Some(own) = rest.first_mut() else { return };
        let whole = dot(own, own).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let shared = dot(own, other);
                own.iter_mut().zip(other).for_each(|(value, other)| *value -= shared * other);
            }
        }
        let length = dot(own, own).sqrt();
        let scale = if length > 1e-12 * whole { 1.0 / length } else { 0.0 };
        own.iter_mut().for_each(|value| *value *= scale);
    }
}

/// How orthonormal directions have to be turned among themselves, so that each has the largest variance that those before it
/// leave: those variances, the turns by column, and the directions multiplied by the products, not turned.
fn turned(products: &[f64], directions: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let (n, k) = (directions[0].len(), directions.len());
    let mut applied = vec![0.0; n * k];
    let right = Panels::new(n, k, |i, direction| directions[direction][i]);
    products.par_chunks(ROWS * n).zip(applied.par_chunks_mut(ROWS * k)).for_each(|(values, applied)| {
        let left = Left { values, rows: values.len() / n, stride: n, inputs: n };
        products::multiply(left, &right, &mut Out { values: applied, stride: k, outputs: k, continued: false });
    });
    let moved: Vec<Vec<f64>> = (0..k).map(|i| applied.iter().skip(i).step_by(k).copied().collect()).collect();
    let mut small: Vec<Vec<f64>> =
        moved.iter().map(|moved| directions.iter().map(|other| dot(moved, other)).collect()).collect();
    let mut turns: Vec<Vec<f64>> = (0..k).map(|i| (0..k).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    jacobi(&mut small, &mut turns);
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| small[b][b].total_cmp(&small[a][a]));
    let columns = order.iter().map(|&column| turns.iter().map(|turn| turn[column]).collect()).collect();
    (order.iter().map(|&place| small[place][place]).collect(), columns, moved)
}

/// Directions mixed as each list of shares says.
fn mixed(directions: &[Vec<f64>], shares: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mix = |shares: &Vec<f64>| {
        let mut sum = vec![0.0; directions[0].len()];
        for (direction, share) in directions.iter().zip(shares) {
            sum.iter_mut().zip(direction).for_each(|(sum, value)| *sum += share * value);
        }
        sum
    };
    shares.iter().map(mix).collect()
}

/// Makes a small symmetric matrix diagonal by rotations of Jacobi; the columns of `turns` become its eigenvectors.
fn jacobi(matrix: &mut [Vec<f64>], turns: &mut [Vec<f64>]) {
    let k = matrix.len();
    for _ in 0..30 {
        for p in 0..k {
            for q in p + 1..k {
                if matrix[p][q] == 0.0 {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in matrix.iter_mut().chain(turns.iter_mut()) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (before, after) = matrix.split_at_mut(q);
                for (upper, lower) in before[p].iter_mut().zip(&mut after[0]) {
                    (*upper, *lower) = (c * *upper - s * *lower, s * *upper + c * *lower);
                }
            }
        }
    }
}

/// 1, or -1 where the value furthest from 0 is negative.
fn sign(direction: &[f64]) -> f64 {
    let furthest =
        direction.iter().copied().fold(0.0, |furthest: f64, value| if value.abs() > furthest.abs() { value } else { furthest });
    if furthest < 0.0 { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_axes_of_unit_vectors() {
        // (1,0,0) and (-1,0,0) about the mean 0: all variance along x; and a pair along y.
        let vectors = Embeddings::from_values(
            3,
            vec![2.0, 0.0, 0.0, -3.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, -5.0, 0.0],
        );
        let found = plane(&vectors).unwrap();
        let wanted = [[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        for (place, wanted) in found.places.iter().zip(wanted) {
            assert!((place[0] - wanted[0]).abs() < 1e-9 && (place[1] - wanted[1]).abs() < 1e-9, "{:?}", found.places);
        }
        assert!(
            (found.shares[0] - 4.0 / 6.0).abs() < 1e-12 && (found.shares[1] - 2.0 / 6.0).abs() < 1e-12,
            "{:?}",
            found.shares
        );
    }

    #[test]
    fn what_does_not_vary_has_no_plane() {
        assert_eq!(plane(&Embeddings::from_values(2, vec![1.0; 8])), None);
        assert_eq!(plane(&Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0])), None);
        assert_eq!(plane(&Embeddings::new(2)), None);
        let line = plane(&Embeddings::from_values(2, vec![1.0, 0.0, -1.0, 0.0, 1.0, 0.0])).unwrap();
        assert!(line.shares[1] < 1e-12 && line.places.iter().all(|place| place[1].abs() < 1e-6), "{line:?}");
    }

    const PLACES: [[f64; 2]; 8] = [
        [-0.7061245925182219, -0.14050177959569693],
        [-0.49983323142879055, 0.7125754752783633],
        [0.5742059543171528, -0.39404150988131476],
        [1.0619928639615703, -0.1679874995032381],
        [-0.33435035776412986, -0.25113342003094136],
        [0.6778123102640234, 0.8016306552964023],
        [-0.022305342026979674, -0.5306487323715889],
        [-0.7513976048046244, -0.029893189191985026],
    ];
    const SHARES: [f64; 2] = [0.5105885749494442, 0.2595722422429292];

    /// scikit-learn 1.9.1, on the 8 vectors below, each direction turned so that its largest place is positive:
    /// `PCA(2).fit_transform(v / np.linalg.norm(v, axis=1, keepdims=True))` and `explained_variance_ratio_`.
    #[test]
    fn places_are_those_of_scikit_learn() {
        let value = |i: usize, j: usize| f32::from(u8::try_from((7 * i * i + 3 * i * j + 5 * j * j + i) % 23).unwrap()) - 11.0;
        let values = (0..8).flat_map(|i| (0..5).map(move |j| value(i, j))).collect();
        let found = plane(&Embeddings::from_values(5, values)).unwrap();
        for (place, wanted) in found.places.iter().zip(PLACES) {
            assert!((place[0] - wanted[0]).abs() < 1e-7 && (place[1] - wanted[1]).abs() < 1e-7, "{place:?} {wanted:?}");
        }
        assert!(found.shares.iter().zip(SHARES).all(|(share, wanted)| (share - wanted).abs() < 1e-9), "{:?}", found.shares);
    }
}
