//! How much the best cell owes to being picked: what a choice on one half of the samples scores on the other half.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::stats::number;

/// Random halvings behind the estimate.
pub const REPEATS: usize = 200;

/// Fewest samples for which halves say anything.
const ENOUGH: usize = 20;

/// Mean accuracy, on the half that was not used, of the cell that is best on the other half.
///
/// `cells[c][i]` says whether cell `c` got sample `i` right; the first of equally good cells is picked. None for fewer
/// than two cells or twenty samples, or when cells differ in their number of samples.
///
/// Determinism: halving `r` comes from stream `r` of a `ChaCha8` generator seeded with `seed`.
pub fn split_half(cells: &[&[bool]], seed: u64) -> Option<f64> {
    let n = cells.first()?.len();
    if cells.len() < 2 || n < ENOUGH || cells.iter().any(|cell| cell.len() != n) {
        return None;
    }
    let mut total = 0.0;
    for repeat in 0..REPEATS {
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut order, seed, repeat as u64);
        let (first, second) = order.split_at(n / 2);
        total += picked(cells, first, second) + picked(cells, second, first);
    }
    Some(total / number(2 * REPEATS))
}

/// Accuracy on `test` of the cell that is best on `dev`.
fn picked(cells: &[&[bool]], dev: &[usize], test: &[usize]) -> f64 {
    let right = |cell: &[bool], samples: &[usize]| samples.iter().filter(|&&i| cell.get(i) == Some(&true)).count();
    let best = cells.iter().rev().max_by_key(|cell| right(cell, dev));
    best.map_or(0.0, |cell| number(right(cell, test)) / number(test.len().max(1)))
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

    #[test]
    fn a_cell_that_is_always_right_is_always_picked() {
        let (right, wrong) = (vec![true; 40], vec![false; 40]);
        assert_eq!(split_half(&[&wrong, &right], 1), Some(1.0));
    }

    #[test]
    fn picking_among_coin_tosses_gains_nothing() {
        // 64 cells whose right answers are the bits of a hash: about half right each, and the luckiest clearly more.
        let cells: Vec<Vec<bool>> = (0..64_u64).map(|c| (0..80_u64).map(|i| coin(c, i)).collect()).collect();
        let views: Vec<&[bool]> = cells.iter().map(Vec::as_slice).collect();
        let luckiest = views.iter().map(|cell| cell.iter().filter(|right| **right).count()).max().map(number).unwrap() / 80.0;
        let honest = split_half(&views, 1).unwrap();
        assert!(luckiest > 0.58, "{luckiest}");
        assert!((honest - 0.5).abs() < 0.04, "{honest}");
    }

    #[test]
    fn too_little_to_halve() {
        assert_eq!(split_half(&[&[true; 40]], 1), None);
        assert_eq!(split_half(&[&[true; 4], &[true; 4]], 1), None);
    }

    fn coin(cell: u64, sample: u64) -> bool {
        let mut generator = ChaCha8Rng::seed_from_u64(cell);
        generator.set_stream(sample);
        generator.next_u64() & 1 == 1
    }
}
