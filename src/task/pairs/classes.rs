//! Pair classification: whether the cosine tells pairs that are the same from others.

use super::{NO_POSITIVE, ONE_CLASS, Pairs, Similar, known, of_vectors, optional};
use crate::stats::{Called, Estimate, Ordered, RESAMPLES, average_precision, best_threshold, number, roc_area, wilson};
use crate::task::Metric;
use crate::task::metrics::{MetricInfo, Uncertainty, slice};

/// Every metric of [`pair_classification`], in its order.
pub const CLASS_METRICS: &[MetricInfo] = &[
    slice("ap", Uncertainty::Bootstrap),
    slice("auc", Uncertainty::Bootstrap),
    slice("accuracy", Uncertainty::Bootstrap),
    slice("f1", Uncertainty::Bootstrap),
    slice("precision", Uncertainty::Bootstrap),
    slice("recall", Uncertainty::Bootstrap),
    slice("accuracy_threshold", Uncertainty::None),
    slice("f1_threshold", Uncertainty::None),
    slice("oracle_accuracy", Uncertainty::None),
    slice("oracle_f1", Uncertainty::None),
    slice("oracle_accuracy_threshold", Uncertainty::None),
    slice("oracle_f1_threshold", Uncertainty::None),
    slice("majority", Uncertainty::None),
    slice("anisotropy", Uncertainty::None),
    slice("zero_vectors", Uncertainty::Wilson),
];

/// Cosines from which on pairs are called the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// For the most right answers.
    pub accuracy: f64,
    /// For the best F1.
    pub f1: f64,
}

impl Thresholds {
    /// The best thresholds of pairs: for other pairs, or as an oracle's. None without pairs.
    pub fn best(cosines: &[f64], positive: &[bool]) -> Option<Self> {
        let accuracy = best_threshold(cosines, positive, |called| number(called.right()))?;
        let f1 = best_threshold(cosines, positive, |called| called.f1().unwrap_or(0.0))?;
        Some(Self { accuracy: accuracy.threshold, f1: f1.threshold })
    }
}

/// How well cosines tell the two classes apart: by ranking, at the thresholds of other pairs, and at the best thresholds of
/// these very pairs, which are called an oracle's.
///
/// Range: 0..1, thresholds as cosines. No figure depends on the order of tied pairs. Thresholds count as fixed: intervals are
/// percentiles of resamples of the pairs scored, drawn by cluster. Without `thresholds`, `why_not` says why.
pub fn pair_classification(similar: &Similar, pairs: &Pairs, thresholds: Option<Thresholds>, why_not: &str) -> Vec<Metric> {
    let (cosines, positive) = (similar.cosines(), pairs.positive());
    let ordered = Ordered::new(&cosines);
    let rankings = |counts: &[u32]| [average_precision(&ordered, &positive, counts), roc_area(&ordered, &positive, counts)];
    let mut metrics = Vec::new();
    let found = rankings(&vec![1; cosines.len()]);
    let values = found.map(|value| value.unwrap_or(0.0));
    let [ap, auc] = pairs.clusters.bootstrap_all(pairs.seed, RESAMPLES, rankings, values);
    metrics.push(optional("ap", found[0].map(|_| ap), NO_POSITIVE));
    metrics.push(optional("auc", found[1].map(|_| auc), ONE_CLASS));
    metrics.extend(at_thresholds(&cosines, &positive, pairs, thresholds, why_not));
    metrics.extend(oracle(&cosines, &positive));
    metrics.extend(of_vectors(similar));
    metrics
}

const AT_THRESHOLDS: [&str; 6] = ["accuracy", "f1", "precision", "recall", "accuracy_threshold", "f1_threshold"];

/// Accuracy at one threshold, F1 with its precision and recall at the other.
fn at_thresholds(
    cosines: &[f64],
    positive: &[bool],
    pairs: &Pairs,
    thresholds: Option<Thresholds>,
    why_not: &str,
) -> Vec<Metric> {
    let Some(thresholds) = thresholds else {
        return AT_THRESHOLDS.into_iter().map(|name| optional(name, None, why_not)).collect();
    };
    let n = cosines.len();
    let called = |threshold: f64| -> Vec<bool> { cosines.iter().map(|cosine| *cosine >= threshold).collect() };
    let (by_accuracy, by_f1) = (called(thresholds.accuracy), called(thresholds.f1));
    let statistics = |counts: &[u32]| {
        let first = Drawn::of(&by_accuracy, positive, counts);
        let second = Drawn::of(&by_f1, positive, counts);
        [first.accuracy(), second.f1(), second.precision(), second.recall()]
    };
    let found = statistics(&vec![1; n]);
    let values = found.map(|value| value.unwrap_or(0.0));
    let mut estimates = pairs.clusters.bootstrap_all(pairs.seed, RESAMPLES, statistics, values);
    if pairs.clusters.is_trivial() {
        // A share of independent pairs has a better interval than its resamples give.
        estimates[0] = wilson(Called::at(thresholds.accuracy, cosines, positive).right(), n);
    }
    let reasons =
        ["there are no pairs", "nothing is the same, and nothing is called so", "no pair is called the same", NO_POSITIVE];
    let figures = AT_THRESHOLDS.into_iter().zip(found).zip(estimates).zip(reasons);
    let mut metrics: Vec<Metric> =
        figures.map(|(((name, found), estimate), reason)| optional(name, found.map(|_| estimate), reason)).collect();
    metrics.push(known("accuracy_threshold", Estimate::exact(thresholds.accuracy, n)));
    metrics.push(known("f1_threshold", Estimate::exact(thresholds.f1, n)));
    metrics
}

/// The best that thresholds picked on these very pairs can do, and the share of the larger class.
fn oracle(cosines: &[f64], positive: &[bool]) -> Vec<Metric> {
    let Some(best) = Thresholds::best(cosines, positive) else { return Vec::new() };
    let n = cosines.len();
    let (accuracy, f1) = (Called::at(best.accuracy, cosines, positive), Called::at(best.f1, cosines, positive));
    let exact = |value: f64| Estimate::exact(value, n);
    vec![
        known("oracle_accuracy", exact(number(accuracy.right()) / number(n))),
        optional("oracle_f1", f1.f1().filter(|_| f1.positives > 0).map(exact), NO_POSITIVE),
        known("oracle_accuracy_threshold", exact(best.accuracy)),
        known("oracle_f1_threshold", exact(best.f1)),
        known("majority", exact(number(accuracy.positives.max(accuracy.negatives)) / number(n))),
    ]
}

/// What is called the same and is, in a resample.
struct Drawn {
    all: f64,
    hits: f64,
    called: f64,
    positives: f64,
    right: f64,
}

impl Drawn {
    fn of(called: &[bool], positive: &[bool], counts: &[u32]) -> Self {
        let mut drawn = Self { all: 0.0, hits: 0.0, called: 0.0, positives: 0.0, right: 0.0 };
        for ((&called, &positive), &count) in called.iter().zip(positive).zip(counts) {
            let count = f64::from(count);
            let when = |holds: bool| if holds { count } else { 0.0 };
            drawn.all += count;
            drawn.hits += when(called && positive);
            drawn.called += when(called);
            drawn.positives += when(positive);
            drawn.right += when(called == positive);
        }
        drawn
    }

    fn accuracy(&self) -> Option<f64> {
        (self.all > 0.0).then(|| self.right / self.all)
    }

    fn f1(&self) -> Option<f64> {
        let both = self.called + self.positives;
        (both > 0.0).then(|| 2.0 * self.hits / both)
    }

    fn precision(&self) -> Option<f64> {
        (self.called > 0.0).then(|| self.hits / self.called)
    }

    fn recall(&self) -> Option<f64> {
        (self.positives > 0.0).then(|| self.hits / self.positives)
    }
}
