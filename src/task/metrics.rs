//! The named numbers of one cell.

use super::counts::{Counts, Tally, macro_f1, tally, weighted_f1};
use super::{Metric, NEAR_TIE, Prediction};
use crate::stats::{Estimate, RESAMPLES, bootstrap_all, number, wilson};

/// A metric's name, what its values are about, and how its interval is made. `results/README.md` says what each one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    pub name: &'static str,
    pub scope: Scope,
    pub uncertainty: Uncertainty,
}

/// What one value of a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All samples of the slice.
    Slice,
    /// One label; there is a value for each.
    Label,
}

/// Where a metric's 95 % interval comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncertainty {
    /// A share of samples: Wilson's score interval.
    Wilson,
    /// Percentile bootstrap over samples.
    Bootstrap,
    /// Exact for the vectors at hand, a plain count, or a maximum picked on the same samples: no interval.
    None,
}

/// Every metric that [`super::label_similarity`] produces, in its order.
pub const METRICS: &[MetricInfo] = &[
    slice("accuracy", Uncertainty::Wilson),
    slice("top2", Uncertainty::Wilson),
    slice("top3", Uncertainty::Wilson),
    slice("macro_f1", Uncertainty::Bootstrap),
    slice("weighted_f1", Uncertainty::Bootstrap),
    slice("mean_margin", Uncertainty::Bootstrap),
    slice("mean_gold_margin", Uncertainty::Bootstrap),
    slice("near_ties", Uncertainty::Wilson),
    slice("exact_ties", Uncertainty::Wilson),
    slice("hub_share", Uncertainty::None),
    slice("anisotropy", Uncertainty::None),
    slice("label_anisotropy", Uncertainty::None),
    slice("zero_vectors", Uncertainty::Wilson),
    label("precision", Uncertainty::Wilson),
    label("recall", Uncertainty::Wilson),
    label("f1", Uncertainty::None),
    label("support", Uncertainty::None),
    label("attracted", Uncertainty::Wilson),
];

const fn slice(name: &'static str, uncertainty: Uncertainty) -> MetricInfo {
    MetricInfo { name, scope: Scope::Slice, uncertainty }
}

const fn label(name: &'static str, uncertainty: Uncertainty) -> MetricInfo {
    MetricInfo { name, scope: Scope::Label, uncertainty }
}

/// What the metrics of a cell are computed from.
pub(super) struct Inputs<'a> {
    pub scores: &'a [f64],
    /// At least one.
    pub predictions: &'a [Prediction],
    pub counts: &'a Counts,
    pub anisotropy: Option<f64>,
    pub label_anisotropy: Option<f64>,
    /// Text and label vectors without direction.
    pub zero_vectors: usize,
    pub seed: u64,
}

const ONE_LABEL: &str = "there is only one label";
const ONE_VECTOR: &str = "fewer than two vectors have a direction";

impl Inputs<'_> {
    /// All metrics, in the order of [`METRICS`].
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.ranks();
        metrics.extend(self.resampled());
        metrics.extend(self.diagnosis());
        for (label, tally) in self.counts.tallies.iter().enumerate() {
            metrics.extend(self.of_label(label, tally));
        }
        metrics
    }

    fn labels(&self) -> usize {
        self.counts.tallies.len()
    }

    fn share(&self, holds: impl Fn(&Prediction) -> bool) -> Estimate {
        wilson(self.predictions.iter().filter(|prediction| holds(prediction)).count(), self.predictions.len())
    }

    fn ranks(&self) -> Vec<Metric> {
        let within = |rank: usize| self.share(|prediction| prediction.gold_rank <= rank);
        let mut metrics = vec![known("accuracy", within(1))];
        for (name, rank) in [("top2", 2), ("top3", 3)] {
            if self.labels() > rank {
                metrics.push(known(name, within(rank)));
            }
        }
        metrics
    }

    fn resampled(&self) -> [Metric; 4] {
        let all: Vec<u32> = (0..).take(self.predictions.len()).collect();
        let [macro_value, weighted, margin, gold_margin] = self.statistics(&all);
        let values = [macro_value, weighted, margin, gold_margin].map(|value| value.unwrap_or(0.0));
        let estimates = bootstrap_all(all.len(), self.seed, RESAMPLES, |indices| self.statistics(indices), values);
        let [macro_f1, weighted_f1, mean_margin, mean_gold_margin] = estimates;
        [
            known("macro_f1", macro_f1),
            known("weighted_f1", weighted_f1),
            optional("mean_margin", margin.map(|_| mean_margin), ONE_LABEL),
            optional("mean_gold_margin", gold_margin.map(|_| mean_gold_margin), ONE_LABEL),
        ]
    }

    /// Macro F1, weighted F1, mean margin and mean gold margin of the samples with these indices.
    fn statistics(&self, indices: &[u32]) -> [Option<f64>; 4] {
        let chosen = || indices.iter().map(|&i| &self.predictions[i as usize]);
        let tallies = tally(chosen(), self.labels());
        let mean = |sum: Option<f64>| sum.map(|sum| sum / number(indices.len()));
        [
            macro_f1(&tallies),
            weighted_f1(&tallies),
            mean(chosen().map(|prediction| prediction.margin).sum()),
            mean(chosen().map(|prediction| prediction.gold_margin).sum()),
        ]
    }

    fn diagnosis(&self) -> [Metric; 6] {
        let several = self.labels() > 1;
        let near = NEAR_TIE * self.mean_range();
        let near_ties = self.share(|prediction| prediction.margin.is_some_and(|margin| margin <= near));
        let exact_ties = self.share(|prediction| prediction.tied);
        let samples = self.predictions.len();
        let hub = self.counts.tallies.iter().map(|tally| tally.predicted).max().unwrap_or(0);
        let vectors = samples + self.labels();
        let anisotropy = self.anisotropy.map(|value| Estimate::exact(value, samples));
        let label_anisotropy = self.label_anisotropy.map(|value| Estimate::exact(value, self.labels()));
        [
            optional("near_ties", several.then_some(near_ties), ONE_LABEL),
            optional("exact_ties", several.then_some(exact_ties), ONE_LABEL),
            // The label was picked as the largest on these samples: the interval of a fixed label's share would be too low.
            known("hub_share", Estimate::exact(number(hub) / number(samples), samples)),
            optional("anisotropy", anisotropy, ONE_VECTOR),
            optional("label_anisotropy", label_anisotropy, ONE_VECTOR),
            known("zero_vectors", wilson(self.zero_vectors, vectors)),
        ]
    }

    /// Mean over samples of the highest minus the lowest score.
    fn mean_range(&self) -> f64 {
        let range = |scores: &[f64]| {
            let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
            high - low
        };
        self.scores.chunks_exact(self.labels()).map(range).sum::<f64>() / number(self.predictions.len())
    }

    fn of_label(&self, label: usize, tally: &Tally) -> [Metric; 5] {
        let samples = self.predictions.len();
        let precision = (tally.predicted > 0).then(|| wilson(tally.right, tally.predicted));
        let recall = (tally.support > 0).then(|| wilson(tally.right, tally.support));
        let f1 = tally.f1().map(|value| Estimate::exact(value, tally.involved()));
        [
            optional("precision", precision, "nothing was predicted as this label"),
            optional("recall", recall, "no sample has this label"),
            optional("f1", f1, "no sample has this label and nothing was predicted as it"),
            known("support", Estimate::exact(number(tally.support), samples)),
            known("attracted", wilson(tally.predicted, samples)),
        ]
        .map(|metric| Metric { label: Some(label), ..metric })
    }
}

fn known(name: &'static str, estimate: Estimate) -> Metric {
    Metric { name, label: None, estimate: Some(estimate), reason: None }
}

fn optional(name: &'static str, estimate: Option<Estimate>, why_not: &str) -> Metric {
    let reason = estimate.is_none().then(|| why_not.to_owned());
    Metric { name, label: None, estimate, reason }
}
