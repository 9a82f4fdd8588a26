//! How small a difference a comparison could have found.

use super::{mcnemar_exact, number};

/// The smallest difference of two accuracies over `n` samples, of which `discordant` tell the systems apart, that the exact
/// McNemar test would call significant at `alpha`. A true difference of this size is found about every second time.
///
/// Where even a one-sided outcome of so few discordant samples is not significant, it is that of the fewest that would be.
/// None without samples, or when `n` samples can show nothing at this level.
pub fn detectable(discordant: usize, n: usize, alpha: f64) -> Option<f64> {
    let significant = |few: usize, all: usize| mcnemar_exact(all - few, few) < alpha;
    let enough = (discordant.min(n)..=n).find(|&all| significant(0, all))?;
    // p grows with the smaller count, up to 1 at one half.
    let (mut yes, mut no) = (0, enough / 2 + 1);
    while no - yes > 1 {
        let middle = usize::midpoint(yes, no);
        if 2 * middle < enough && significant(middle, enough) {
            yes = middle;
        } else {
            no = middle;
        }
    }
    Some(number(enough - 2 * yes) / number(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_significant_difference_by_hand() {
        // Of 20 fair tosses, 5 against 15 has p = 0.0414 and 6 against 14 has p = 0.115 (scipy.stats.binomtest).
        assert_eq!(detectable(20, 100, 0.05), Some(0.10));
        // Six the same way is the least that is significant: 2 / 2^6 = 0.03125.
        assert_eq!(detectable(0, 100, 0.05), Some(0.06));
        assert_eq!(detectable(3, 5, 0.05), None);
        assert_eq!(detectable(0, 0, 0.05), None);
    }
}
