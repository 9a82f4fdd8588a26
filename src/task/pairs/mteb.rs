//! Pair classification as MTEB defines it, step by step, its treatment of ties included.
//!
//! Source: `PairClassificationEvaluator` of mteb at 0c101926. It cuts between any two neighbours of the sorted pairs, also
//! between tied ones, where the order of the data decides; it never calls all pairs the same, nor none of them.

use super::{NO_POSITIVE, Pairs, Similar, known, of_vectors, optional};
use crate::stats::{Estimate, Ordered, RESAMPLES, average_precision, number};
use crate::task::metrics::{MetricInfo, Uncertainty, slice};
use crate::task::{Metric, Uncertainty::Bootstrap};

const fn exact(name: &'static str) -> MetricInfo {
    slice(name, Uncertainty::None)
}

/// Every metric of [`mteb`], in its order.
pub const MTEB_METRICS: &[MetricInfo] = &[
    slice("max_ap", Bootstrap),
    exact("max_accuracy"),
    exact("max_f1"),
    slice("cosine_ap", Bootstrap),
    exact("cosine_accuracy"),
    exact("cosine_accuracy_threshold"),
    exact("cosine_f1"),
    exact("cosine_f1_threshold"),
    exact("cosine_precision"),
    exact("cosine_recall"),
    slice("dot_ap", Bootstrap),
    exact("dot_accuracy"),
    exact("dot_accuracy_threshold"),
    exact("dot_f1"),
    exact("dot_f1_threshold"),
    exact("dot_precision"),
    exact("dot_recall"),
    slice("euclidean_ap", Bootstrap),
    exact("euclidean_accuracy"),
    exact("euclidean_accuracy_threshold"),
    exact("euclidean_f1"),
    exact("euclidean_f1_threshold"),
    exact("euclidean_precision"),
    exact("euclidean_recall"),
    slice("manhattan_ap", Bootstrap),
    exact("manhattan_accuracy"),
    exact("manhattan_accuracy_threshold"),
    exact("manhattan_f1"),
    exact("manhattan_f1_threshold"),
    exact("manhattan_precision"),
    exact("manhattan_recall"),
    slice("anisotropy", Uncertainty::None),
    slice("zero_vectors", Uncertainty::Wilson),
];

/// Metrics over all measures, and of each measure.
const OVER_ALL: usize = 3;
const OF_EACH: usize = 7;

/// Whether similarities and distances tell the two classes apart, with the best thresholds on these very pairs. The similarities
/// are those of [`super::Similarity::MTEB`]; thresholds of distances are distances.
pub fn mteb(similar: &Similar, pairs: &Pairs) -> Vec<Metric> {
    let positive = pairs.positive();
    let n = positive.len();
    let measures: [Vec<f64>; 4] = std::array::from_fn(|place| similar.measure(place));
    let ordered = measures.each_ref().map(|scores| Ordered::new(scores));
    let precisions = |counts: &[u32]| {
        let each = ordered.each_ref().map(|ordered| average_precision(ordered, &positive, counts));
        let [cosine, dot, euclidean, manhattan] = each;
        [each.into_iter().flatten().reduce(f64::max), cosine, dot, euclidean, manhattan]
    };
    let found = precisions(&vec![1; n]);
    let values = found.map(|value| value.unwrap_or(0.0));
    let [max_ap, of_measures @ ..] = pairs.clusters.bootstrap_all(pairs.seed, RESAMPLES, precisions, values);
    let cuts: Vec<(Cut, Cut)> = measures.iter().map(|scores| best_cuts(scores, &positive)).collect();
    let most = |of: fn(&(Cut, Cut)) -> f64| Estimate::exact(cuts.iter().map(of).fold(0.0, f64::max), n);
    let mut metrics = vec![
        optional("max_ap", found[0].map(|_| max_ap), NO_POSITIVE),
        known("max_accuracy", most(|cut| cut.0.worth)),
        known("max_f1", most(|cut| cut.1.worth)),
    ];
    let names = MTEB_METRICS[OVER_ALL..].chunks(OF_EACH);
    for (place, ((names, (accuracy, f1)), ap)) in names.zip(cuts).zip(of_measures).enumerate() {
        let distance = place > 1;
        let threshold = |cut: &Cut| cut.threshold.map(|at| Estimate::exact(if distance { -at } else { at }, n));
        let estimates = [
            found[place + 1].map(|_| ap),
            Some(Estimate::exact(accuracy.worth, n)),
            threshold(&accuracy),
            Some(Estimate::exact(f1.worth, n)),
            threshold(&f1),
            Some(Estimate::exact(f1.precision, n)),
            Some(Estimate::exact(f1.recall, n)),
        ];
        let reasons = [NO_POSITIVE, NO_CUT, NO_CUT, NO_CUT, NO_CUT, NO_CUT, NO_CUT];
        let of_measure = names.iter().zip(estimates).zip(reasons);
        metrics.extend(of_measure.map(|((info, estimate), reason)| optional(info.name, estimate, reason)));
    }
    metrics.extend(of_vectors(similar));
    metrics
}

const NO_CUT: &str = "no cut is better than none";

/// The best place to cut the sorted pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cut {
    worth: f64,
    threshold: Option<f64>,
    precision: f64,
    recall: f64,
}

/// The best cuts for accuracy and for F1; the first of equals from the most similar pair down.
fn best_cuts(scores: &[f64], positive: &[bool]) -> (Cut, Cut) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Stable: tied pairs stay in the order of the data.
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
    let positives = positive.iter().filter(|positive| **positive).count();
    let (mut hits, mut negatives_left) = (0, positive.len() - positives);
    let (mut accuracy, mut f1) = (Cut::default(), Cut::default());
    for (called, neighbours) in (1..).zip(order.windows(2)) {
        if positive[neighbours[0]] {
            hits += 1;
        } else {
            negatives_left -= 1;
        }
        let threshold = Some(f64::midpoint(scores[neighbours[0]], scores[neighbours[1]]));
        let right = number(hits + negatives_left) / number(positive.len());
        if right > accuracy.worth {
            accuracy = Cut { worth: right, threshold, ..Cut::default() };
        }
        if hits > 0 {
            let (precision, recall) = (number(hits) / number(called), number(hits) / number(positives));
            let worth = 2.0 * precision * recall / (precision + recall);
            if worth > f1.worth {
                f1 = Cut { worth, threshold, precision, recall };
            }
        }
    }
    (accuracy, f1)
}
