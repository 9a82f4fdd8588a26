//! Semantic textual similarity: the correlation of cosines with scores that people gave.

use super::{Pairs, Similar, of_vectors, optional};
use crate::spec::Aggregate;
use crate::stats::{Agreement, RESAMPLES};
use crate::task::Metric;
use crate::task::metrics::{MetricInfo, Uncertainty, label, slice};

/// Every metric of [`sts`], in its order; those over subsets only where there are several.
pub const STS_METRICS: &[MetricInfo] = &[
    slice("spearman", Uncertainty::Bootstrap),
    slice("pearson", Uncertainty::Bootstrap),
    slice("pooled_spearman", Uncertainty::Bootstrap),
    slice("pooled_pearson", Uncertainty::Bootstrap),
    slice("mean_spearman", Uncertainty::Bootstrap),
    slice("mean_pearson", Uncertainty::Bootstrap),
    slice("anisotropy", Uncertainty::None),
    slice("zero_vectors", Uncertainty::Wilson),
    label("spearman", Uncertainty::Bootstrap),
    label("pearson", Uncertainty::Bootstrap),
];

/// Correlations of the pairs' cosines with their scores. `spearman` and `pearson` are those of the aggregate asked for.
///
/// Range: -1..1. Equal values share their mean rank. Intervals are percentiles of resamples of the pairs, drawn by cluster. A
/// subset's metrics have its index as their label.
pub fn sts(similar: &Similar, pairs: &Pairs, aggregate: Aggregate) -> Vec<Metric> {
    let cosines = similar.cosines();
    let all: Vec<usize> = (0..cosines.len()).collect();
    let subsets = pairs.subsets.iter().max().map_or(0, |last| last + 1);
    let of = |subset: usize| all.iter().copied().filter(|&pair| pairs.subsets[pair] == subset).collect();
    let parts: Vec<Vec<usize>> = if subsets > 1 { (0..subsets).map(of).collect() } else { Vec::new() };
    let whole = Correlations { cosines: &cosines, pairs, parts: std::slice::from_ref(&all) }.metrics();
    let mean = Correlations { cosines: &cosines, pairs, parts: &parts }.metrics();
    let named = |[rank, linear]: &[Metric; 2], names: [&'static str; 2]| {
        [Metric { name: names[0], ..rank.clone() }, Metric { name: names[1], ..linear.clone() }]
    };
    let first = if aggregate == Aggregate::PerSubset && !parts.is_empty() { &mean } else { &whole };
    let mut metrics = first.to_vec();
    if !parts.is_empty() {
        metrics.extend(named(&whole, ["pooled_spearman", "pooled_pearson"]));
        metrics.extend(named(&mean, ["mean_spearman", "mean_pearson"]));
    }
    metrics.extend(of_vectors(similar));
    for (subset, part) in parts.iter().enumerate() {
        let of_subset = Correlations { cosines: &cosines, pairs, parts: std::slice::from_ref(part) }.metrics();
        metrics.extend(of_subset.map(|metric| Metric { label: Some(subset), ..metric }));
    }
    metrics
}

/// Correlations over some parts of the pairs: their mean where there are several.
struct Correlations<'a> {
    cosines: &'a [f64],
    pairs: &'a Pairs,
    parts: &'a [Vec<usize>],
}

impl Correlations<'_> {
    fn metrics(&self) -> [Metric; 2] {
        let of = |values: &[f64], part: &[usize]| part.iter().map(|&pair| values[pair]).collect::<Vec<f64>>();
        let gold = &self.pairs.gold;
        let (agreements, clusters) = match self.parts {
            [part] => {
                let (cosines, gold) = (of(self.cosines, part), of(gold, part));
                let both = [Agreement::rank(&cosines, &gold, &[]), Agreement::linear(&cosines, &gold, &[])];
                (both, self.pairs.clusters.part(part))
            }
            parts => {
                let both = [Agreement::rank(self.cosines, gold, parts), Agreement::linear(self.cosines, gold, parts)];
                (both, self.pairs.clusters.clone())
            }
        };
        let found = agreements.each_ref().map(|agreement| agreement.overall(clusters.numbers().len()));
        let values = found.map(|value| value.unwrap_or(0.0));
        let statistics = |counts: &[u32]| agreements.each_ref().map(|agreement| agreement.of(counts));
        let estimates = clusters.bootstrap_all(self.pairs.seed, RESAMPLES, statistics, values);
        let constant = |part: &Vec<usize>| why_not(&of(self.cosines, part), &of(gold, part));
        let why_not = self.parts.iter().find_map(constant).unwrap_or("there are no pairs");
        let [rank, linear] = [0, 1].map(|which| found[which].map(|_| estimates[which]));
        [optional("spearman", rank, why_not), optional("pearson", linear, why_not)]
    }
}

/// Why some pairs have no correlation; None where they have one.
fn why_not(cosines: &[f64], gold: &[f64]) -> Option<&'static str> {
    let varies = |values: &[f64]| {
        values.iter().copied().fold(f64::INFINITY, f64::min) < values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    };
    if cosines.len() < 2 {
        Some("one pair has no correlation")
    } else if !varies(cosines) {
        Some("all cosines are equal")
    } else if !varies(gold) {
        Some("all gold scores are equal")
    } else {
        None
    }
}
