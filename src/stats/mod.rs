//! Estimates with intervals and paired tests: pure functions of numbers.

mod agreement;
mod bootstrap;
mod clusters;
mod correction;
mod correlation;
mod detect;
mod normal;
mod paired;
mod partition;
mod resampled;
mod separation;
mod spread;
mod student;
mod variance;

use serde::{Deserialize, Serialize};

pub use agreement::Agreement;
pub use bootstrap::{RESAMPLES, bootstrap, bootstrap_all, bootstrap_means, jackknife_all, shares_drawn};
pub use clusters::Clusters;
pub use correction::Correction;
pub use correlation::{Ordered, pearson, rank_distances, spearman};
pub use detect::detectable;
pub use normal::{normal_below, normal_quantile};
pub use paired::{PairedDifference, mcnemar_exact, paired_accuracy};
pub use partition::Table;
pub use resampled::{FEW, Resampled, doubt};
pub use separation::{Best, Called, average_precision, best_threshold, roc_area};
pub use spread::{Scale, Spread};
pub use student::{student_beyond, student_quantile};
pub use variance::{Source, complete, sources};

/// The 0.975 quantile of the standard normal distribution: half-width of a two-sided 95 % interval.
pub const Z95: f64 = 1.959_963_984_540_054;

/// A value, how sure we are of it, and on how many observations it rests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// 95 % interval, where one was computed.
    pub interval: Option<Interval>,
    /// Observations (samples, or pairs of samples for a difference).
    pub n: usize,
}

impl Estimate {
    /// A number that is known exactly, or whose uncertainty is not estimated.
    pub const fn exact(value: f64, n: usize) -> Self {
        Self { value, interval: None, n }
    }
}

/// A closed 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// The share `successes / n` with its Wilson score interval.
///
/// Unlike the textbook interval it stays within 0..1 and keeps its coverage near 0 and 1 and for small `n`.
/// Nothing is known of a share of no observations: its interval is 0..1 and its value, by convention, 0; `n` tells.
/// More successes than observations count as `n`.
///
/// Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
pub fn wilson(successes: usize, n: usize) -> Estimate {
    let successes = successes.min(n);
    if n == 0 {
        return Estimate { value: 0.0, interval: Some(Interval { low: 0.0, high: 1.0 }), n };
    }
    let (count, total) = (number(successes), number(n));
    let share = count / total;
    let z2 = Z95 * Z95;
    let centre = (count + z2 / 2.0) / (total + z2);
    let half = Z95 / (total + z2) * (share * (total - count) + z2 / 4.0).sqrt();
    // The ends are exact where rounding would leave a trace of the wrong sign.
    let low = if successes == 0 { 0.0 } else { (centre - half).clamp(0.0, share) };
    let high = if successes == n { 1.0 } else { (centre + half).clamp(share, 1.0) };
    Estimate { value: share, interval: Some(Interval { low, high }), n }
}

/// The share of samples from which labels are said not to be balanced.
pub const UNBALANCED: f64 = 0.1;

/// How far counts by label are from equal ones: the share of samples that would need another label.
///
/// Range: 0, all equal, to 1 - 1 / labels, all of one label; 0 of nothing.
pub fn imbalance(counts: &[usize]) -> f64 {
    let (all, even) = (number(counts.iter().sum::<usize>().max(1)), 1.0 / number(counts.len().max(1)));
    let above = counts.iter().map(|&count| (number(count) / all - even).max(0.0));
    if counts.iter().any(|&count| count > 0) { above.sum() } else { 0.0 }
}

/// A count as f64.
#[expect(clippy::cast_precision_loss, reason = "counts of samples and labels stay far below 2^53")]
pub(crate) const fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]
mod tests {
    use super::*;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "found {found}, wanted {wanted}");
    }

    /// `scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson")`, scipy 1.17.1.
    #[test]
    fn wilson_agrees_with_scipy() {
        for (k, n, low, high) in [
            (0, 10, 0.0, 0.27753279986288926),
            (1, 10, 0.017876213095072896, 0.4041500267952385),
            (5, 10, 0.236593090512564, 0.7634069094874361),
            (10, 10, 0.7224672001371109, 1.0),
            (111, 167, 0.5900781601251109, 0.7318577468828303),
            (83, 167, 0.422098763255677, 0.5720478566169058),
            (1, 100000, 1.765247730378316e-06, 5.664709659040965e-05),
            (99999, 100000, 0.9999433529034095, 0.9999982347522695),
            (2, 3, 0.20765960080204782, 0.9385080552796038),
        ] {
            let interval = wilson(k, n).interval.unwrap();
            close(interval.low, low);
            close(interval.high, high);
            close(wilson(k, n).value, number(k) / number(n));
        }
    }

    #[test]
    fn imbalance_is_what_would_have_to_move() {
        // Of ten samples one would go from the first label to the third, and one to the fourth.
        close(imbalance(&[9, 5, 3, 3]), 0.2);
        assert_eq!((imbalance(&[7, 7]), imbalance(&[3]), imbalance(&[]), imbalance(&[0, 0])), (0.0, 0.0, 0.0, 0.0));
        close(imbalance(&[0, 6, 0]), 2.0 / 3.0);
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        let nothing = wilson(0, 0);
        assert_eq!(nothing.n, 0);
        assert_eq!(nothing.interval, Some(Interval { low: 0.0, high: 1.0 }));
    }

    #[test]
    fn the_interval_holds_the_share_and_its_ends_are_exact() {
        for n in 1..60 {
            for k in 0..=n {
                let share = wilson(k, n);
                let Interval { low, high } = share.interval.unwrap();
                assert!((low..=high).contains(&share.value), "{k} of {n}");
            }
            assert_eq!(wilson(0, n).interval.unwrap().low, 0.0);
            assert_eq!(wilson(n, n).interval.unwrap().high, 1.0);
        }
        assert_eq!(wilson(9, 4), wilson(4, 4));
    }
}
