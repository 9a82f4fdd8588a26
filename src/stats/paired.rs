//! Comparing two systems on the same samples: exact test, difference with interval, correction for many comparisons.

use serde::{Deserialize, Serialize};

use super::{Estimate, Interval, Z95, number};

/// How much better one system does than another on the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Accuracy of the candidate minus accuracy of the reference. Range: -1..1.
    pub difference: Estimate,
    /// Samples that the candidate alone gets right.
    pub wins: usize,
    /// Samples that the reference alone gets right.
    pub losses: usize,
    /// Exact McNemar, two-sided.
    pub p_value: f64,
}

/// Compares two systems sample by sample: `candidate[i]` and `reference[i]` say whether each was right on sample `i`.
///
/// Samples beyond the end of the shorter list have no partner and are left out. Without any pair nothing is known: the
/// interval is -1..1 and p is 1.
///
/// Source of the interval: Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial
/// proportions based on paired data", Journal of Educational and Behavioral Statistics 37(4).
pub fn paired_accuracy(candidate: &[bool], reference: &[bool]) -> PairedDifference {
    let pairs = || candidate.iter().zip(reference);
    let n = pairs().count();
    let wins = pairs().filter(|&(&c, &r)| c && !r).count();
    let losses = pairs().filter(|&(&c, &r)| !c && r).count();
    let value = if n == 0 { 0.0 } else { (number(wins) - number(losses)) / number(n) };
    let difference = Estimate { value, interval: Some(difference_interval(wins, losses, n)), n };
    PairedDifference { difference, wins, losses, p_value: mcnemar_exact(wins, losses) }
}

/// A closed form rather than a bootstrap of the pairs: two systems that agree on every sample of a small slice would get
/// a bootstrap interval of width zero, that is certainty. Bonett and Price add one win and one loss instead, which keeps
/// the interval's coverage close to 95 % down to a handful of differing samples.
fn difference_interval(wins: usize, losses: usize, n: usize) -> Interval {
    let total = number(n) + 2.0;
    let (won, lost) = ((number(wins) + 1.0) / total, (number(losses) + 1.0) / total);
    let half = Z95 * ((won + lost - (won - lost).powi(2)) / total).sqrt();
    Interval { low: (won - lost - half).max(-1.0), high: (won - lost + half).min(1.0) }
}

/// Two-sided p-value of the exact McNemar test for `b` and `c` pairs that differ one way and the other: twice the smaller
/// tail of a fair binomial, at most 1.
///
/// Neither factorials nor logarithms are formed: the probability of the tail's end is a product of ratios, halved as it
/// goes, so that it neither overflows nor loses digits by cancellation. The relative error is below 1e-9 for a million
/// pairs.
///
/// Source: McNemar (1947); Edwards (1948) without his continuity correction.
pub fn mcnemar_exact(b: usize, c: usize) -> f64 {
    if b == c {
        return 1.0;
    }
    let (few, n) = (b.min(c), b + c);
    (2.0 * fair_binomial(few, n) * tail_over_its_end(few, n)).min(1.0)
}

/// Probability of `k` heads in `n` tosses of a fair coin.
fn fair_binomial(k: usize, n: usize) -> f64 {
    let mut probability = 1.0;
    let mut halvings = n;
    for i in 1..=k {
        probability *= number(n - k + i) / number(i);
        while probability > 1.0 && halvings > 0 {
            probability *= 0.5;
            halvings -= 1;
        }
    }
    // Beyond 2200 halvings nothing is left of an f64.
    probability * 0.5_f64.powi(i32::try_from(halvings.min(2200)).unwrap_or(2200))
}

/// The sum of the probabilities of 0..=k heads over that of k heads.
fn tail_over_its_end(k: usize, n: usize) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for i in (1..=k).rev() {
        term *= number(i) / number(n - i + 1);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

/// Holm's step-down adjustment of p-values for as many comparisons, in the order given.
///
/// Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]).then(i.cmp(&j)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max(p_values[i] * number(p_values.len() - rank)).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]
mod tests {
    use super::*;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() <= 1e-9 * wanted.abs(), "found {found:e}, wanted {wanted:e}");
    }

    /// `scipy.stats.binomtest(b, b + c, 0.5).pvalue`, scipy 1.17.1; the last two by Python's exact fractions.
    #[test]
    fn mcnemar_agrees_with_scipy() {
        close(mcnemar_exact(3, 1), 0.625);
        close(mcnemar_exact(10, 2), 0.03857421875);
        close(mcnemar_exact(25, 40), 0.08168153394154003);
        close(mcnemar_exact(0, 6), 0.03125);
        close(mcnemar_exact(120, 90), 0.045114087864840696);
        close(mcnemar_exact(1000, 1100), 0.03072070786424249);
        close(mcnemar_exact(5100, 4900), 0.04658552770494645);
        close(mcnemar_exact(900, 100), 1.3403435580012592e-161);
        close(mcnemar_exact(20100, 19900), 3.1973627444053176e-01);
        assert_eq!(mcnemar_exact(0, 0), 1.0);
        assert_eq!(mcnemar_exact(7, 7), 1.0);
        assert_eq!(mcnemar_exact(500_000, 0), 0.0);
    }

    #[test]
    fn mcnemar_is_symmetric_and_falls_as_the_difference_grows() {
        for n in 1..200_usize {
            let mut last = 1.0;
            for few in (0..=n / 2).rev() {
                let p = mcnemar_exact(few, n - few);
                assert_eq!(p, mcnemar_exact(n - few, few));
                assert!(p > 0.0 && p <= last, "{few} against {}", n - few);
                last = p;
            }
        }
    }

    /// Ten samples: three won, one lost. (3 + 1) / 12 - (1 + 1) / 12 = 1/6, and
    /// 1.959964 * sqrt((1/3 + 1/6 - 1/36) / 12) = 0.388844.
    #[test]
    fn the_difference_is_counted_by_hand() {
        let candidate = [true, true, true, false, true, true, false, false, true, true];
        let reference = [false, false, false, true, true, true, false, false, true, true];
        let found = paired_accuracy(&candidate, &reference);
        assert_eq!((found.wins, found.losses, found.difference.n), (3, 1, 10));
        close(found.difference.value, 0.2);
        let interval = found.difference.interval.unwrap();
        close(interval.low, -0.22213729216984615);
        close(interval.high, 0.5554706255031795);
        close(found.p_value, 0.625);
    }

    #[test]
    fn agreement_on_few_samples_is_not_certainty() {
        let same = paired_accuracy(&[true; 20], &[true; 20]);
        let interval = same.difference.interval.unwrap();
        assert!(interval.low < -0.05 && interval.high > 0.05, "{interval:?}");
        assert_eq!(same.p_value, 1.0);
        let nothing = paired_accuracy(&[], &[]);
        assert_eq!(nothing.difference.interval, Some(Interval { low: -1.0, high: 1.0 }));
    }

    #[test]
    fn the_interval_holds_the_difference() {
        for n in 0..30 {
            for wins in 0..=n {
                let losses = n - wins;
                let value = if n == 0 { 0.0 } else { (number(wins) - number(losses)) / number(n) };
                let Interval { low, high } = difference_interval(wins, losses, n);
                assert!((low..=high).contains(&value), "{wins} {losses}");
            }
        }
    }

    #[test]
    fn holm_by_hand() {
        // Sorted 0.01, 0.02, 0.03, 0.2 times 4, 3, 2, 1 gives 0.04, 0.06, 0.06, 0.2.
        let adjusted = holm(&[0.03, 0.2, 0.01, 0.02]);
        for (found, wanted) in adjusted.iter().zip([0.06, 0.2, 0.04, 0.06]) {
            close(*found, wanted);
        }
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
