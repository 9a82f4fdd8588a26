//! Comparing two systems on the same samples: exact test, and difference with interval.

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
/// Source of the interval: Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
/// paired-sample design", Statistics in Medicine 17.
pub fn paired_accuracy(candidate: &[bool], reference: &[bool]) -> PairedDifference {
    let pairs = || candidate.iter().zip(reference);
    let n = pairs().count();
    let wins = pairs().filter(|&(&c, &r)| c && !r).count();
    let losses = pairs().filter(|&(&c, &r)| !c && r).count();
    let value = if n == 0 { 0.0 } else { (number(wins) - number(losses)) / number(n) };
    let difference = Estimate { value, interval: Some(difference_interval(wins, losses, n)), n };
    PairedDifference { difference, wins, losses, p_value: mcnemar_exact(wins, losses) }
}

/// All differences that Tango's score test would not call wrong at 5 %. Neither a bootstrap of the pairs, which is certain of
/// two systems that agree on every sample of a small slice, nor a closed form: those of Wald, Bonett and Price, and Newcombe
/// hold the difference less than 94 or more than 97 times of 100 on 50 samples, this one 95 to 96 times.
fn difference_interval(wins: usize, losses: usize, n: usize) -> Interval {
    if n == 0 {
        return Interval { low: -1.0, high: 1.0 };
    }
    let value = (number(wins) - number(losses)) / number(n);
    let plausible = |difference: f64| score(wins, losses, n, difference).abs() < Z95;
    Interval { low: last_plausible(value, -1.0, plausible), high: last_plausible(value, 1.0, plausible) }
}

/// Tango's score of a difference: how many standard errors the one observed is from it, the errors being those of the most likely
/// pairs of which it is true. It falls as the difference grows.
fn score(wins: usize, losses: usize, n: usize, difference: f64) -> f64 {
    let (wins, losses, n) = (number(wins), number(losses), number(n));
    // The most likely share of losses solves 2n q^2 + b q + c = 0.
    let b = (2.0 * n - wins + losses) * difference - wins - losses;
    let c = -losses * difference * (1.0 - difference);
    let lost = ((b * b - 8.0 * n * c).max(0.0).sqrt() - b) / (4.0 * n);
    let variance = n * (2.0 * lost + difference * (1.0 - difference));
    let distance = wins - losses - n * difference;
    if distance == 0.0 { 0.0 } else { distance / variance.max(0.0).sqrt() }
}

/// The difference that is farthest from `value` towards `end` and still plausible.
fn last_plausible(value: f64, end: f64, plausible: impl Fn(f64) -> bool) -> f64 {
    if plausible(end) {
        return end;
    }
    let (mut inside, mut outside) = (value, end);
    // Halved until nothing lies between the two.
    for _ in 0..64 {
        let middle = f64::midpoint(inside, outside);
        *(if plausible(middle) { &mut inside } else { &mut outside }) = middle;
    }
    inside
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

    #[test]
    fn the_difference_is_counted_by_hand() {
        let candidate = [true, true, true, false, true, true, false, false, true, true];
        let reference = [false, false, false, true, true, true, false, false, true, true];
        let found = paired_accuracy(&candidate, &reference);
        assert_eq!((found.wins, found.losses, found.difference.n), (3, 1, 10));
        close(found.difference.value, 0.2);
        close(found.p_value, 0.625);
    }

    /// Tango's score as his paper has it, solved for 1.96 by `scipy.optimize.brentq` of scipy 1.17.1. The second is that of
    /// Fagerland, Lydersen and Laake (2014), "Recommended tests and confidence intervals for paired binomial proportions",
    /// table V: -0.517 to -0.026.
    #[test]
    fn intervals_agree_with_scipy() {
        for (wins, losses, n, low, high) in [
            (3, 1, 10, -0.2170853746043053, 0.5514532029551685),
            (1, 7, 21, -0.517232276421265, -0.02600303248094921),
            (12, 2, 50, 0.06111240618634398, 0.3447087482821434),
            (0, 0, 20, -0.1611251580528675, 0.1611251580528675),
            (5, 0, 5, 0.1310350704336504, 1.0),
            (0, 6, 100, -0.1247681544589592, -0.02078689190106271),
            (120, 90, 1000, 0.001609236142322571, 0.05858716490127764),
            (20100, 19900, 100000, -0.00191996522096798, 0.005919926797941566),
        ] {
            let interval = difference_interval(wins, losses, n);
            assert!((interval.low - low).abs() < 1e-11 && (interval.high - high).abs() < 1e-11, "{interval:?}");
        }
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
}
