//! k-means: first centres far apart by k-means++, then Lloyd's steps until no text moves, several times over.
//!
//! linfa-clustering's would bring ndarray, a second generator and distances one by one; here they are products of blocks.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out, Panels};
use crate::stats::number;

/// Most steps of one attempt.
const STEPS: usize = 300;
/// Texts that one thread takes at a time; their number is no part of a result.
const BLOCK: usize = 256;

/// The tightest clusters of several attempts.
#[derive(Clone, Debug)]
pub(super) struct Clusters {
    /// The cluster of each text, numbered by their first texts.
    pub of: Vec<usize>,
    /// Squared distance of each text from its cluster's mean.
    pub distances: Vec<f64>,
}

/// Up to `k` clusters of at least so many texts, all of whose values are finite.
///
/// Determinism: attempt `r` draws from stream `r` of a `ChaCha8Rng` seeded with `seed`; threads change nothing. Of equally tight
/// attempts the first is kept; of equally near centres the first takes the text.
///
/// Source: Arthur and Vassilvitskii (2007), "k-means++"; as scikit-learn does, 2 + ln k candidates are drawn for each centre, and
/// the best is kept; an empty cluster begins anew at the text that is furthest from its centre.
pub(super) fn k_means(texts: &Embeddings, k: usize, restarts: usize, seed: u64) -> Clusters {
    let space = Space::new(texts);
    let attempts = (0..restarts.max(1) as u64).map(|stream| {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        space.attempt(k, &mut generator)
    });
    let tightness = |nearest: &[Nearest]| nearest.iter().map(|found| found.distance).sum::<f64>();
    let best = attempts.reduce(|best, other| if tightness(&other) < tightness(&best) { other } else { best });
    let best = best.unwrap_or_default();
    let mut names: Vec<usize> = Vec::new();
    let of = best.iter().map(|found| {
        names.iter().position(|name| *name == found.centre).unwrap_or_else(|| {
            names.push(found.centre);
            names.len() - 1
        })
    });
    Clusters { of: of.collect(), distances: best.iter().map(|found| found.distance).collect() }
}

/// The nearest centre of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Nearest {
    centre: usize,
    /// Squared.
    distance: f64,
}

/// Texts as points, relative to their mean: distances then cancel less.
struct Space {
    dim: usize,
    /// Shape: `[texts, dim]`.
    points: Vec<f64>,
    /// Squared lengths.
    squares: Vec<f64>,
}

impl Space {
    fn new(texts: &Embeddings) -> Self {
        let dim = texts.dim();
        let mut mean = vec![0.0; dim];
        for row in texts.rows() {
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        mean.iter_mut().for_each(|sum| *sum /= number(texts.len()));
        let points: Vec<f64> =
            texts.rows().flat_map(|row| row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean)).collect();
        let squares = points.par_chunks_exact(dim).map(squared).collect();
        Self { dim, points, squares }
    }

    fn point(&self, text: usize) -> &[f64] {
        &self.points[text * self.dim..(text + 1) * self.dim]
    }

    fn attempt(&self, k: usize, generator: &mut ChaCha8Rng) -> Vec<Nearest> {
        let mut centres = self.spread(k, generator);
        let mut nearest = self.nearest(&centres);
        for _ in 0..STEPS {
            centres = self.means(&nearest, k);
            let moved = self.nearest(&centres);
            let settled = moved.iter().zip(&nearest).all(|(a, b)| a.centre == b.centre);
            nearest = moved;
            if settled {
                break;
            }
        }
        nearest
    }

    /// First centres. Shape: `[k, dim]`.
    fn spread(&self, k: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        let count = self.squares.len();
        let mut centres = self.point(below(generator, count)).to_vec();
        let mut closest: Vec<f64> = self.nearest(&centres).iter().map(|found| found.distance).collect();
        let mut trials = 2;
        while number(trials - 2) + 1.0 <= number(k).ln() {
            trials += 1;
        }
        while centres.len() < k * self.dim {
            let sums: Vec<f64> = closest
                .iter()
                .scan(0.0, |sum, distance| {
                    Some({
                        *sum += distance;
                        *sum
                    })
                })
                .collect();
            let total = sums.last().copied().unwrap_or(0.0);
            let drawn: Vec<usize> = (0..trials)
                .map(|_| {
                    let share = unit(generator) * total;
                    sums.partition_point(|sum| *sum <= share).min(count - 1)
                })
                .collect();
            let candidates: Vec<f64> = drawn.iter().flat_map(|&text| self.point(text)).copied().collect();
            let distances = self.distances(&candidates);
            let left = |candidate: usize| -> f64 {
                (distances.chunks_exact(trials).zip(&closest)).map(|(row, closest)| row[candidate].min(*closest)).sum()
            };
            let lefts: Vec<f64> = (0..trials).map(left).collect();
            let best = (0..trials).reduce(|best, other| if lefts[other] < lefts[best] { other } else { best }).unwrap_or(0);
            closest.iter_mut().zip(distances.chunks_exact(trials)).for_each(|(closest, row)| *closest = closest.min(row[best]));
            centres.extend_from_slice(self.point(drawn[best]));
        }
        centres
    }

    /// Squared distances from every text to every centre. Shape: `[centres, dim]` -> `[texts, centres]`.
    fn distances(&self, centres: &[f64]) -> Vec<f64> {
        let (dim, count) = (self.dim, centres.len() / self.dim);
        let panels = Panels::new(dim, count, |i, centre| centres[centre * dim + i]);
        let lengths: Vec<f64> = centres.chunks_exact(dim).map(squared).collect();
        let mut all = vec![0.0; self.squares.len() * count];
        let blocks = self.points.par_chunks(BLOCK * dim).zip(self.squares.par_chunks(BLOCK));
        all.par_chunks_mut(BLOCK * count).zip(blocks).for_each(|(out, (points, squares))| {
            let left = Left { values: points, rows: squares.len(), stride: dim, inputs: dim };
            products::multiply(left, &panels, &mut Out { values: out, stride: count, outputs: count, continued: false });
            for (row, square) in out.chunks_exact_mut(count).zip(squares) {
                row.iter_mut()
                    .zip(&lengths)
                    .for_each(|(product, length)| *product = (square + length - 2.0 * *product).max(0.0));
            }
        });
        all
    }

    fn nearest(&self, centres: &[f64]) -> Vec<Nearest> {
        let count = centres.len() / self.dim;
        let of = |row: &[f64]| {
            let centre = (0..count).reduce(|best, other| if row[other] < row[best] { other } else { best }).unwrap_or(0);
            Nearest { centre, distance: row[centre] }
        };
        self.distances(centres).par_chunks_exact(count).map(of).collect()
    }

    /// The mean of each cluster, summed in the order of the texts.
    fn means(&self, nearest: &[Nearest], k: usize) -> Vec<f64> {
        let dim = self.dim;
        let mut sizes = vec![0; k];
        nearest.iter().for_each(|found| sizes[found.centre] += 1);
        let mut furthest: Vec<usize> = (0..nearest.len()).collect();
        if sizes.contains(&0) {
            furthest.sort_by(|&a, &b| nearest[b].distance.total_cmp(&nearest[a].distance).then(a.cmp(&b)));
        }
        let mut spare = furthest.into_iter();
        let mut means = vec![0.0; k * dim];
        let moved: Vec<Option<usize>> = sizes.iter().map(|size| if *size == 0 { spare.next() } else { None }).collect();
        means.par_chunks_exact_mut(dim).enumerate().for_each(|(cluster, mean)| {
            if let Some(text) = moved[cluster] {
                mean.copy_from_slice(self.point(text));
                return;
            }
            for (text, _) in nearest.iter().enumerate().filter(|(_, found)| found.centre == cluster) {
                mean.iter_mut().zip(self.point(text)).for_each(|(sum, value)| *sum += value);
            }
            mean.iter_mut().for_each(|sum| *sum /= number(sizes[cluster]));
        });
        means
    }
}

fn squared(point: &[f64]) -> f64 {
    point.iter().map(|value| value * value).sum()
}

/// A number from 0 to 1, 1 excluded, in steps of 2^-53.
fn unit(generator: &mut ChaCha8Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let bits = (generator.next_u64() >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

/// An index below `count`.
fn below(generator: &mut ChaCha8Rng, count: usize) -> usize {
    let wide = u128::from(generator.next_u64()) * count as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(count: usize) -> Embeddings {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
        let at = |i: usize| [(7.0 * number(i)).sin() as f32, (3.0 * number(i * i)).cos() as f32, number(i % 5) as f32];
        Embeddings::from_values(3, (0..count).flat_map(at).collect())
    }

    /// Every text is nearest to the mean of its own cluster: nothing that Lloyd's steps could still win.
    #[test]
    fn no_text_would_rather_be_elsewhere() {
        let texts = cloud(600);
        let found = k_means(&texts, 7, 3, 1);
        let rows: Vec<Vec<f64>> = texts.rows().map(|row| row.iter().copied().map(f64::from).collect()).collect();
        let mean = |cluster: usize| -> Vec<f64> {
            let own: Vec<&Vec<f64>> =
                rows.iter().zip(&found.of).filter(|(_, of)| **of == cluster).map(|(row, _)| row).collect();
            (0..3).map(|i| own.iter().map(|row| row[i]).sum::<f64>() / number(own.len())).collect()
        };
        let means: Vec<Vec<f64>> = (0..7).map(mean).collect();
        for (text, row) in rows.iter().enumerate() {
            let apart = |mean: &Vec<f64>| row.iter().zip(mean).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            let own = apart(&means[found.of[text]]);
            assert!((own - found.distances[text]).abs() < 1e-9);
            assert!(means.iter().all(|mean| own <= apart(mean) + 1e-9), "{text}");
        }
    }

    #[test]
    fn the_seed_decides_and_threads_do_not() {
        let texts = cloud(600);
        let run = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| k_means(&texts, 9, 1, seed).of)
        };
        assert_eq!(run(1, 5), run(3, 5));
        assert_ne!(run(1, 5), run(1, 6));
    }

    #[test]
    fn more_attempts_are_never_looser() {
        let texts = cloud(300);
        let sum = |restarts: usize| k_means(&texts, 12, restarts, 2).distances.iter().sum::<f64>();
        assert!(sum(10) <= sum(1));
    }
}
