//! Clustering: whether texts of one label come together without being told of labels.

use super::kmeans::{Clusters, k_means};
use super::metrics::{MetricInfo, Uncertainty, slice};
use super::{Metric, TaskError, Vectors, finite, known};
use crate::embeddings::Embeddings;
use crate::stats::{Estimate, Interval, Scale, Table, jackknife_all, number};

/// Metrics of clustering, in their order.
pub const CLUSTERING_METRICS: &[MetricInfo] = &[
    slice("v_measure", Uncertainty::Jackknife),
    slice("homogeneity", Uncertainty::Jackknife),
    slice("completeness", Uncertainty::Jackknife),
    slice("adjusted_rand", Uncertainty::Jackknife),
    slice("clusters", Uncertainty::None),
    slice("largest_cluster", Uncertainty::None),
    slice("inertia", Uncertainty::None),
];

/// Numbers of a text: its cluster, and its squared distance from the cluster's mean.
pub const TEXT_NUMBERS: usize = 2;

/// What is clustered, and how.
#[derive(Clone, Copy)]
pub struct Clustering<'a> {
    pub texts: &'a Embeddings,
    /// The label of each text.
    pub gold: &'a [usize],
    /// How many clusters are sought.
    pub clusters: usize,
    /// How often it is tried; the tightest clusters are kept.
    pub restarts: usize,
    /// Seed of the first centres.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Clustered {
    pub metrics: Vec<Metric>,
    /// Shape: row-major `[texts, TEXT_NUMBERS]`; clusters are numbered by their first texts.
    pub numbers: Vec<f64>,
}

/// k-means on the vectors as they are, and how its clusters agree with the labels: scikit-learn's `v_measure_score` and so on.
///
/// Intervals are those of the figures that as many other texts would have on average, by leaving texts out, whose clusters stay what
/// they are.
///
/// # Errors
/// Inputs that cannot be clustered: see [`TaskError`].
pub fn clustering(task: &Clustering<'_>) -> Result<Clustered, TaskError> {
    let Clustering { texts, gold, clusters, restarts, seed } = *task;
    if texts.is_empty() {
        return Err(TaskError::NoSamples);
    }
    if clusters > texts.len() {
        return Err(TaskError::FewTexts { k: clusters, texts: texts.len() });
    }
    finite(Vectors::Texts, texts)?;
    let Clusters { of, distances } = k_means(texts, clusters, restarts, seed);
    let once = vec![1; gold.len()];
    let agreement = |counts: &[u32]| Table::of(gold, &of, counts).agreement();
    let found = agreement(&once);
    let statistics = |counts: &[u32]| agreement(counts).map(Some);
    let estimates = jackknife_all(gold.len(), Scale::Own, statistics, found);
    let within = |least: f64, ends: Interval| Interval { low: ends.low.max(least), high: ends.high.min(1.0) };
    // What is adjusted for chance may be below it, by a half at most.
    let estimates = estimates
        .into_iter()
        .zip([0.0, 0.0, 0.0, -0.5])
        .map(|(estimate, least)| Estimate { interval: estimate.interval.map(|ends| within(least, ends)), ..estimate });
    let mut metrics: Vec<Metric> =
        (CLUSTERING_METRICS.iter().zip(estimates)).map(|(info, estimate)| known(info.name, estimate)).collect();
    let sizes = Table::of(gold, &of, &once).sizes();
    let exact = |name, value| known(name, Estimate::exact(value, gold.len()));
    metrics.push(exact("clusters", number(sizes.len())));
    metrics.push(exact("largest_cluster", sizes.iter().copied().fold(0.0, f64::max) / number(gold.len())));
    metrics.push(exact("inertia", distances.iter().sum::<f64>() / number(gold.len())));
    let numbers = of.iter().zip(&distances).flat_map(|(&cluster, &distance)| [number(cluster), distance]).collect();
    Ok(Clustered { metrics, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(found: &Clustered, name: &str) -> f64 {
        found.metrics.iter().find(|metric| metric.name == name).unwrap().estimate.unwrap().value
    }

    fn task<'a>(texts: &'a Embeddings, gold: &'a [usize], clusters: usize) -> Clustering<'a> {
        Clustering { texts, gold, clusters, restarts: 10, seed: 3 }
    }

    #[test]
    fn three_heaps_are_found_and_named_in_order() {
        let heap = |x: f32, y: f32| [x, y, x + 0.1, y, x, y + 0.1];
        let texts = Embeddings::from_values(2, [heap(0.0, 0.0), heap(5.0, 0.0), heap(0.0, 5.0)].concat());
        let gold = [2, 2, 2, 0, 0, 0, 1, 1, 1];
        let found = clustering(&task(&texts, &gold, 3)).unwrap();
        let clusters: Vec<f64> = found.numbers.chunks_exact(TEXT_NUMBERS).map(|numbers| numbers[0]).collect();
        assert_eq!(clusters, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert!((value(&found, "v_measure") - 1.0).abs() < 1e-12 && (value(&found, "adjusted_rand") - 1.0).abs() < 1e-12);
        // Each heap: the mean is 0.1 / 3 off its corner along both axes; squared distances 2/900, 5/900 and 5/900.
        assert!((value(&found, "inertia") - 4.0 / 900.0).abs() < 1e-7, "{}", value(&found, "inertia"));
        let names: Vec<&str> = found.metrics.iter().map(|metric| metric.name).collect();
        assert_eq!(names, CLUSTERING_METRICS.iter().map(|info| info.name).collect::<Vec<_>>());
    }

    #[test]
    fn constant_vectors_one_label_and_too_many_clusters() {
        let same = Embeddings::from_values(2, [1.0, 1.0].repeat(4));
        let found = clustering(&task(&same, &[0, 1, 0, 1], 2)).unwrap();
        assert_eq!((value(&found, "v_measure"), value(&found, "clusters"), value(&found, "largest_cluster")), (0.0, 1.0, 1.0));
        let alone = clustering(&task(&same, &[0; 4], 1)).unwrap();
        assert_eq!((value(&alone, "v_measure"), value(&alone, "adjusted_rand")), (1.0, 1.0));
        assert_eq!(clustering(&task(&same, &[0; 4], 5)).unwrap_err(), TaskError::FewTexts { k: 5, texts: 4 });
    }
}
