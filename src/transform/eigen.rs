//! Eigenvectors of symmetric matrices: Householder's reduction to three diagonals, then QL steps with implicit shifts.
//!
//! Written here because a library's solver changes the features of crates below candle and takes as long to compile as a
//! tenth of this program; a run needs one small decomposition for each prompt and readout.
//!
//! Source: `tred2` and `tql2` of EISPACK, as in JAMA 1.0.3 (public domain); here vectors are rows, so that inner loops run
//! through memory, and the rotations of a step are applied to blocks of columns in parallel.

#![expect(clippy::many_single_char_names, reason = "the names are those of the source")]

use rayon::prelude::*;

/// Columns that a rotation passes over at a time: they stay in the second-level cache.
const COLUMNS: usize = 64;

/// Steps for one eigenvalue; a handful do.
const STEPS: usize = 60;

/// Eigenvalues, largest first, and their eigenvectors.
pub struct Eigen {
    pub values: Vec<f64>,
    /// Unit vectors, one a row, in the order of the values. Shape: row-major `[values, size]`.
    pub vectors: Vec<f64>,
}

/// Decomposes a symmetric matrix. Shape: row-major `[size, size]`. None if the iteration does not converge.
///
/// Determinism: every number is one chain of operations, whatever the number of threads. Signs are as they come; whoever needs
/// a convention sets one.
pub fn eigen(matrix: Vec<f64>, size: usize) -> Option<Eigen> {
    let mut reduced = Reduced::of(matrix, size);
    reduced.accumulate();
    let Reduced { diagonal, beside, basis, .. } = reduced;
    let columns = |start: usize| {
        let width = COLUMNS.min(size - start);
        let rows = basis.chunks_exact(size.max(1)).flat_map(|row| row[start..start + width].iter().copied());
        Block { width, rows: rows.collect() }
    };
    let blocks = (0..size).step_by(COLUMNS).map(columns).collect();
    drop(basis);
    let (values, blocks) = iterate(diagonal, beside, blocks)?;
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let row =
        |i: usize| blocks.iter().flat_map(move |block| block.rows[i * block.width..(i + 1) * block.width].iter().copied());
    Some(Eigen { values: order.iter().map(|&i| values[i]).collect(), vectors: order.iter().flat_map(|&i| row(i)).collect() })
}

/// A matrix on the way to three diagonals.
struct Reduced {
    size: usize,
    diagonal: Vec<f64>,
    /// What stands beside the diagonal, from the second row on.
    beside: Vec<f64>,
    /// Column j of the transformations is row j. Shape: row-major `[size, size]`.
    basis: Vec<f64>,
}

impl Reduced {
    /// Takes off one row after the other, from the last. What the reflections were is left in the basis.
    fn of(basis: Vec<f64>, size: usize) -> Self {
        let last = size.saturating_sub(1);
        let diagonal = basis.chunks_exact(size.max(1)).map(|row| row[last]).collect();
        let mut reduced = Self { size, diagonal, beside: vec![0.0; size], basis };
        (1..size).rev().for_each(|i| reduced.reflect(i));
        reduced
    }

    fn reflect(&mut self, i: usize) {
        let Self { size, diagonal, beside, basis } = self;
        let (size, d) = (*size, &mut diagonal[..i]);
        let scale: f64 = d.iter().map(|value| value.abs()).sum();
        if scale == 0.0 {
            beside[i] = d[i - 1];
            for (j, value) in d.iter_mut().enumerate() {
                *value = basis[j * size + i - 1];
                basis[j * size + i] = 0.0;
                basis[i * size + j] = 0.0;
            }
            diagonal[i] = 0.0;
            return;
        }
        d.iter_mut().for_each(|value| *value /= scale);
        let mut h: f64 = d.iter().map(|value| value * value).sum();
        let f = d[i - 1];
        let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
        beside[i] = scale * g;
        h -= f * g;
        d[i - 1] = f - g;
        let e = &mut beside[..i];
        e.fill(0.0);
        for j in 0..i {
            let f = d[j];
            basis[i * size + j] = f;
            let column = &basis[j * size..j * size + i];
            let mut g = e[j] + column[j] * f;
            for k in j + 1..i {
                g += column[k] * d[k];
                e[k] += column[k] * f;
            }
            e[j] = g;
        }
        e.iter_mut().for_each(|value| *value /= h);
        let half = e.iter().zip(&*d).map(|(e, d)| e * d).sum::<f64>() / (h + h);
        e.iter_mut().zip(&*d).for_each(|(e, d)| *e -= half * d);
        for j in 0..i {
            let (f, g) = (d[j], e[j]);
            let column = &mut basis[j * size..j * size + i];
            for k in j..i {
                column[k] -= f * e[k] + g * d[k];
            }
            d[j] = column[i - 1];
            basis[j * size + i] = 0.0;
        }
        diagonal[i] = h;
    }

    /// Multiplies the reflections together.
    fn accumulate(&mut self) {
        let Self { size, diagonal, beside, basis } = self;
        let (size, last) = (*size, size.saturating_sub(1));
        for i in 0..last {
            basis[i * size + last] = basis[i * size + i];
            basis[i * size + i] = 1.0;
            let h = diagonal[i + 1];
            let (before, next) = basis.split_at_mut((i + 1) * size);
            let reflection = &mut next[..=i];
            if h != 0.0 {
                let scaled: Vec<f64> = reflection.iter().map(|value| value / h).collect();
                let reflection = &*reflection;
                before.par_chunks_exact_mut(size).for_each(|column| {
                    let column = &mut column[..=i];
                    let g: f64 = reflection.iter().zip(&*column).map(|(a, b)| a * b).sum();
                    column.iter_mut().zip(&scaled).for_each(|(value, scaled)| *value -= g * scaled);
                });
            }
            next[..=i].fill(0.0);
        }
        for (j, column) in basis.chunks_exact_mut(size.max(1)).enumerate() {
            diagonal[j] = column[last];
            column[last] = if j == last { 1.0 } else { 0.0 };
        }
        if size > 0 {
            beside.rotate_left(1);
            beside[last] = 0.0;
        }
    }
}

/// Some columns of the basis. Shape: row-major `[size, width]`.
struct Block {
    width: usize,
    rows: Vec<f64>,
}

/// A rotation of a row and the one after it.
struct Rotation {
    row: usize,
    cosine: f64,
    sine: f64,
}

impl Block {
    fn rotate(&mut self, &Rotation { row, cosine, sine }: &Rotation) {
        let (before, after) = self.rows.split_at_mut((row + 1) * self.width);
        let (upper, lower) = (&mut before[row * self.width..], &mut after[..self.width]);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            let below = *lower;
            *lower = sine * *upper + cosine * below;
            *upper = cosine * *upper - sine * below;
        }
    }
}

/// Makes the numbers beside the diagonal vanish; gives the eigenvalues, unsorted, with their vectors as rows.
fn iterate(mut d: Vec<f64>, mut e: Vec<f64>, mut blocks: Vec<Block>) -> Option<(Vec<f64>, Vec<Block>)> {
    let (mut shift, mut largest) = (0.0, 0.0_f64);
    for l in 0..d.len() {
        largest = largest.max(d[l].abs() + e[l].abs());
        let vanished = |value: f64| value.abs() <= f64::EPSILON * largest;
        let m = (l..d.len()).find(|&m| vanished(e[m]))?;
        let (mut steps, mut done) = (0, false);
        while m > l && !done {
            steps += 1;
            if steps > STEPS {
                return None;
            }
            let g = d[l];
            let p = (d[l + 1] - g) / (2.0 * e[l]);
            let r = if p < 0.0 { -p.hypot(1.0) } else { p.hypot(1.0) };
            d[l] = e[l] / (p + r);
            d[l + 1] = e[l] * (p + r);
            let (next, h) = (d[l + 1], g - d[l]);
            d[l + 2..].iter_mut().for_each(|value| *value -= h);
            shift += h;
            let rotations = step(&mut d, &mut e, l, m, next);
            blocks.par_iter_mut().for_each(|block| rotations.iter().for_each(|rotation| block.rotate(rotation)));
            done = vanished(e[l]);
        }
        d[l] += shift;
        e[l] = 0.0;
    }
    Some((d, blocks))
}

/// One QL step on rows l to m, after the shift; gives its rotations, last rows first.
fn step(d: &mut [f64], e: &mut [f64], l: usize, m: usize, next: f64) -> Vec<Rotation> {
    let (mut p, second) = (d[m], e[l + 1]);
    let (mut c, mut c2, mut c3, mut s, mut s2) = (1.0, 1.0, 1.0, 0.0, 0.0);
    let mut rotations = Vec::with_capacity(m - l);
    for i in (l..m).rev() {
        (c3, c2, s2) = (c2, c, s);
        let (g, h) = (c * e[i], c * p);
        let r = p.hypot(e[i]);
        e[i + 1] = s * r;
        s = e[i] / r;
        c = p / r;
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        rotations.push(Rotation { row: i, cosine: c, sine: s });
    }
    let p = -s * s2 * c3 * second * e[l] / next;
    e[l] = s * p;
    d[l] = c * p;
    rotations
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of it is (2, 1; 1, 2), with eigenvalues 3 and 1 along (1, 1) and (1, -1); the other half is 5 and -4.
    #[test]
    fn a_matrix_by_hand() {
        let matrix = vec![2.0, 1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, -4.0];
        let found = eigen(matrix, 4).unwrap();
        let half = 0.5_f64.sqrt();
        let wanted = [
            (5.0, [0.0, 0.0, 1.0, 0.0]),
            (3.0, [half, half, 0.0, 0.0]),
            (1.0, [half, -half, 0.0, 0.0]),
            (-4.0, [0.0, 0.0, 0.0, 1.0]),
        ];
        for (((value, vector), found), row) in wanted.iter().zip(&found.values).zip(found.vectors.chunks_exact(4)) {
            let product: f64 = vector.iter().zip(row).map(|(a, b)| a * b).sum();
            assert!((found - value).abs() < 1e-14 && (product.abs() - 1.0).abs() < 1e-14, "{row:?}");
        }
    }

    /// Matrices of more than one block of columns, of full rank and of a third of it, and all alike.
    #[test]
    fn vectors_are_orthogonal_and_keep_their_direction() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / 16_777_216.0 - 0.5
        };
        for (size, rank) in [(1, 1), (3, 1), (130, 130), (130, 43), (70, 0)] {
            let factors: Vec<f64> = (0..size * rank).map(|_| next()).collect();
            let row = |i: usize| &factors[i * rank..(i + 1) * rank];
            let at = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>();
            let matrix: Vec<f64> = (0..size).flat_map(|i| (0..size).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect();
            let found = eigen(matrix.clone(), size).unwrap();
            assert!(found.values.windows(2).all(|pair| pair[0] >= pair[1]));
            for (vector, value) in found.vectors.chunks_exact(size).zip(&found.values) {
                for (row, own) in matrix.chunks_exact(size).zip(vector) {
                    let image: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                    assert!((image - value * own).abs() < 1e-11, "{size}, {rank}");
                }
                let lengths =
                    found.vectors.chunks_exact(size).map(|other| other.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>());
                assert!((lengths.map(|product| product * product).sum::<f64>() - 1.0).abs() < 1e-11, "{size}, {rank}");
            }
        }
    }

    #[test]
    fn what_is_no_number_does_not_converge() {
        assert!(eigen(vec![f64::NAN; 9], 3).is_none());
        assert!(eigen(Vec::new(), 0).is_some_and(|found| found.values.is_empty()));
    }
}
