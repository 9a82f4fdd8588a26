//! How much the best cell owes to being picked: what a choice on one half of the samples scores on the other half.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::report::number::decimal;
use crate::stats::{Agreement, Clusters, number};

/// Random halvings behind the estimate.
pub const REPEATS: usize = 200;

/// Fewest samples, or groups of them, for which halves say anything.
const ENOUGH: usize = 20;

/// Cells among which one is picked, on the samples that it is picked on.
pub struct Choice {
    /// In the order of the plan.
    pub cells: Vec<Agreement>,
    pub clusters: Clusters,
}

impl Choice {
    /// Mean figure, on the half that was not used, of the cell that is best on the other half; the first of equally good cells is
    /// picked. Samples of one group stay together. None for fewer than two cells or twenty samples, or where the figure is undefined
    /// on too many halves.
    ///
    /// Determinism: halving `r` comes from stream `r` of a `ChaCha8` generator seeded with `seed`.
    pub fn honest(&self, seed: u64) -> Option<f64> {
        if self.cells.len() < 2 || self.clusters.count() < ENOUGH {
            return None;
        }
        let halving = |repeat: usize| {
            let mut order: Vec<usize> = (0..self.clusters.count()).collect();
            shuffle(&mut order, seed, repeat as u64);
            let (first, second) = order.split_at(order.len() / 2);
            let [first, second] = [first, second].map(|half| self.counts(half));
            [self.picked(&first, &second), self.picked(&second, &first)]
        };
        // Collected first: a parallel sum would add in another order each time.
        let found: Vec<f64> = (0..REPEATS).into_par_iter().flat_map_iter(halving).flatten().collect();
        (found.len() > REPEATS).then(|| found.iter().sum::<f64>() / number(found.len()))
    }

    /// How often each sample counts when these clusters are half of all.
    fn counts(&self, half: &[usize]) -> Vec<u32> {
        let mut taken = vec![0; self.clusters.count()];
        half.iter().for_each(|&cluster| taken[cluster] = 1);
        self.clusters.numbers().iter().map(|&cluster| taken[cluster]).collect()
    }

    /// The figure on `test` of the cell that is best on `dev`.
    fn picked(&self, dev: &[u32], test: &[u32]) -> Option<f64> {
        let there = self.cells.iter().filter_map(|cell| Some((cell.of(dev)?, cell)));
        let best = there.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best?.1.of(test)
    }
}

/// `2.1 points in expectation (...)`, given the best figure and what a pick scores where it had no part in the choice.
pub fn told(best: f64, honest: f64, shown: &str, samples: &str) -> String {
    format!(
        "{} points in expectation (picked on a random half of its {samples}, the best scores {shown} on the other half, over {REPEATS} seeded halvings)",
        decimal(100.0 * (best - honest), 1)
    )
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], seed: u64, stream: u64) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    for i in (1..order.len()).rev() {
        let bound = i as u64 + 1;
        let drawn = usize::try_from(generator.next_u64() % bound).unwrap_or(0);
        order.swap(i, drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(cells: Vec<Vec<bool>>) -> Choice {
        let clusters = Clusters::from_numbers((0..cells[0].len()).collect());
        Choice { cells: cells.into_iter().map(Agreement::share).collect(), clusters }
    }

    #[test]
    fn a_cell_that_is_always_right_is_always_picked() {
        assert_eq!(choice(vec![vec![false; 40], vec![true; 40]]).honest(1), Some(1.0));
    }

    #[test]
    fn picking_among_coin_tosses_gains_nothing() {
        // 64 cells whose right answers are the bits of a hash: about half right each, and the luckiest clearly more.
        let cells: Vec<Vec<bool>> = (0..64_u64).map(|c| (0..80_u64).map(|i| coin(c, i)).collect()).collect();
        let luckiest = cells.iter().map(|cell| cell.iter().filter(|right| **right).count()).max().map(number).unwrap() / 80.0;
        let honest = choice(cells).honest(1).unwrap();
        assert!(luckiest > 0.58, "{luckiest}");
        assert!((honest - 0.5).abs() < 0.04, "{honest}");
    }

    /// Samples of a group are never on both sides: cells that know whole groups by heart gain nothing from them.
    #[test]
    fn groups_stay_together() {
        let cells: Vec<Vec<bool>> = (0..64_u64).map(|c| (0..400_u64).map(|i| coin(c, i / 10)).collect()).collect();
        let alone = choice(cells.clone()).honest(1).unwrap();
        let grouped = Choice { clusters: Clusters::from_numbers((0..400).map(|i| i / 10).collect()), ..choice(cells) };
        let grouped = grouped.honest(1).unwrap();
        assert!(alone > 0.6 && grouped < 0.56, "{alone} {grouped}");
    }

    #[test]
    fn too_little_to_halve() {
        assert_eq!(choice(vec![vec![true; 40]]).honest(1), None);
        assert_eq!(choice(vec![vec![true; 4], vec![true; 4]]).honest(1), None);
    }

    fn coin(cell: u64, sample: u64) -> bool {
        let mut generator = ChaCha8Rng::seed_from_u64(cell);
        generator.set_stream(sample);
        generator.next_u64() & 1 == 1
    }
}
