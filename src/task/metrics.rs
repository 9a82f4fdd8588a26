//! The named numbers of one cell.

use rayon::prelude::*;

use super::counts::{Counts, Tally, macro_f1, tally, weighted_f1};
use super::{Metric, NEAR_TIE, Prediction};
use crate::stats::{Estimate, RESAMPLES, Scale, bootstrap_means, jackknife_all, number, wilson};

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
    /// One label, or one subset of pairs; there is a value for each.
    Label,
}

/// Where a metric's 95 % interval comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncertainty {
    /// A share of samples: Wilson's score interval.
    Wilson,
    /// `BCa` bootstrap over samples, or groups of them.
    Bootstrap,
    /// Student's interval by leaving samples out.
    Jackknife,
    /// Exact for the vectors at hand, a plain count, or a maximum picked on the same samples: no interval.
    None,
}

/// Every metric that [`super::label_similarity`] produces, in its order. Probes and neighbours have all but `label_anisotropy`.
pub const METRICS: &[MetricInfo] = &[
    slice("accuracy", Uncertainty::Wilson),
    slice("top2", Uncertainty::Wilson),
    slice("top3", Uncertainty::Wilson),
    slice("macro_f1", Uncertainty::Jackknife),
    slice("weighted_f1", Uncertainty::Jackknife),
    slice("mean_margin", Uncertainty::Bootstrap),
    slice("mean_gold_margin", Uncertainty::Bootstrap),
    slice("near_ties", Uncertainty::Wilson),
    slice("exact_ties", Uncertainty::Wilson),
    slice("hub_share", Uncertainty::None),
    slice("hub_skewness", Uncertainty::None),
    slice("anisotropy", Uncertainty::None),
    slice("label_anisotropy", Uncertainty::None),
    slice("zero_vectors", Uncertainty::Wilson),
    label("precision", Uncertainty::Wilson),
    label("recall", Uncertainty::Wilson),
    label("f1", Uncertainty::None),
    label("support", Uncertainty::None),
    label("attracted", Uncertainty::Wilson),
];

pub(super) const fn slice(name: &'static str, uncertainty: Uncertainty) -> MetricInfo {
    MetricInfo { name, scope: Scope::Slice, uncertainty }
}

pub(super) const fn label(name: &'static str, uncertainty: Uncertainty) -> MetricInfo {
    MetricInfo { name, scope: Scope::Label, uncertainty }
}

/// What texts are held against.
#[derive(Clone, Copy)]
pub(super) enum Others {
    /// Vectors of the labels, with their anisotropy.
    Labels(Option<f64>),
    /// So many other texts.
    Texts(usize),
}

/// What the metrics of a cell are computed from.
pub(super) struct Inputs<'a> {
    pub scores: &'a [f64],
    /// At least one.
    pub predictions: &'a [Prediction],
    pub counts: &'a Counts,
    pub anisotropy: Option<f64>,
    pub others: Others,
    /// Vectors without direction: of texts, and of what they are held against.
    pub zero_vectors: usize,
    pub seed: u64,
}

/// Samples below which a label is rare, and of how many labels one may be for the interval of a mean over labels to be trusted.
///
/// Source: Cochran (1954), "Some methods for strengthening the common chi-square tests".
const RARE: usize = 5;
const ONE_RARE_OF: usize = 5;

const ONE_LABEL: &str = "there is only one label";
const EVEN: &str = "every label attracts as many answers as any other";
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
        let drawn = Drawn::new(self.predictions, self.labels());
        let once = vec![1; self.predictions.len()];
        let defined = |value: Option<f64>| value.unwrap_or(0.0);
        let f1s = drawn.f1s(&once).map(defined);
        let [macro_f1, weighted_f1] = jackknife_all(once.len(), Scale::Odds, |counts| drawn.f1s(counts), f1s);
        let [mean_margin, mean_gold_margin] =
            bootstrap_means(drawn.margins.each_ref().map(Vec::as_slice), self.seed, RESAMPLES);
        let [margins, gold_margins] = drawn.margins.each_ref().map(|margins| !margins.is_empty());
        [
            Metric { reason: macro_f1.interval.and_then(|_| self.rare()), ..known("macro_f1", macro_f1) },
            known("weighted_f1", weighted_f1),
            optional("mean_margin", margins.then_some(mean_margin), ONE_LABEL),
            optional("mean_gold_margin", gold_margins.then_some(mean_gold_margin), ONE_LABEL),
        ]
    }

    /// Why the interval of a mean over labels should not be trusted; None where it may be.
    fn rare(&self) -> Option<String> {
        let used = self.counts.tallies.iter().filter(|tally| tally.involved() > 0);
        let (rare, used) = used.fold((0, 0), |(rare, used), tally| (rare + usize::from(tally.support < RARE), used + 1));
        let told = || format!("{rare} of {used} labels with fewer than {RARE} samples: the interval may be too narrow");
        (rare * ONE_RARE_OF > used).then(told)
    }

    fn diagnosis(&self) -> Vec<Metric> {
        let several = self.labels() > 1;
        let near = NEAR_TIE * self.mean_range();
        let near_ties = self.share(|prediction| prediction.margin.is_some_and(|margin| margin <= near));
        let exact_ties = self.share(|prediction| prediction.tied);
        let samples = self.predictions.len();
        let answers: Vec<f64> = self.counts.tallies.iter().map(|tally| number(tally.predicted)).collect();
        let hub = answers.iter().copied().fold(0.0, f64::max);
        let (others, of_labels) = match self.others {
            Others::Labels(anisotropy) => (self.labels(), Some(anisotropy)),
            Others::Texts(count) => (count, None),
        };
        let anisotropy = self.anisotropy.map(|value| Estimate::exact(value, samples));
        let label_anisotropy = |found: Option<f64>| {
            optional("label_anisotropy", found.map(|value| Estimate::exact(value, self.labels())), ONE_VECTOR)
        };
        let mut metrics = vec![
            optional("near_ties", several.then_some(near_ties), ONE_LABEL),
            optional("exact_ties", several.then_some(exact_ties), ONE_LABEL),
            // The label was picked as the largest on these samples: the interval of a fixed label's share would be too low.
            known("hub_share", Estimate::exact(hub / number(samples), samples)),
            optional("hub_skewness", skewness(&answers).map(|value| Estimate::exact(value, self.labels())), EVEN),
            optional("anisotropy", anisotropy, ONE_VECTOR),
        ];
        metrics.extend(of_labels.map(label_anisotropy));
        metrics.push(known("zero_vectors", wilson(self.zero_vectors, samples + others)));
        metrics
    }

    /// Mean over samples of the highest minus the lowest score.
    fn mean_range(&self) -> f64 {
        // Collected first: a parallel sum would add in another order each time.
        let ranges: Vec<f64> = self.scores.par_chunks_exact(self.labels()).map(range).collect();
        ranges.iter().sum::<f64>() / number(self.predictions.len())
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

/// The highest minus the lowest of some numbers, at least one.
fn range(scores: &[f64]) -> f64 {
    let (whole, rest) = scores.as_chunks::<8>();
    let (mut lows, mut highs) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
    let mut take = |i: usize, score: f64| {
        lows[i] = if score < lows[i] { score } else { lows[i] };
        highs[i] = if score > highs[i] { score } else { highs[i] };
    };
    whole.iter().for_each(|scores| (0..8).for_each(|i| take(i, scores[i])));
    rest.iter().enumerate().for_each(|(i, &score)| take(i, score));
    highs.into_iter().fold(f64::NEG_INFINITY, f64::max) - lows.into_iter().fold(f64::INFINITY, f64::min)
}

/// The third central moment over the cube of the standard deviation, both of the values alone; None where all are equal.
///
/// Source: of the counts `N_k` it measures hubness, Radovanović et al. 2010, JMLR 11.
fn skewness(values: &[f64]) -> Option<f64> {
    let count = number(values.len());
    let mean = values.iter().sum::<f64>() / count;
    let moment = |power: i32| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
    let variance = moment(2);
    (variance > 0.0).then(|| moment(3) / variance.powf(1.5))
}

/// What the statistics of a resample are computed from: a compact copy, since it is read thousands of times. Samples of the
/// same gold and predicted label stand together.
struct Drawn {
    /// Gold label, predicted label, and how many samples have both.
    pairs: Vec<(usize, usize, usize)>,
    /// Margins and gold margins by sample; empty where there are none.
    margins: [Vec<f64>; 2],
    labels: usize,
}

impl Drawn {
    fn new(predictions: &[Prediction], labels: usize) -> Self {
        let pair = |prediction: &&Prediction| (prediction.gold, prediction.predicted);
        let mut ordered: Vec<&Prediction> = predictions.iter().collect();
        ordered.sort_by_key(pair);
        let alike = ordered.chunk_by(|a, b| pair(a) == pair(b));
        // With a single label there are none.
        let margins =
            |margin: fn(&Prediction) -> Option<f64>| ordered.iter().filter_map(|prediction| margin(prediction)).collect();
        Self {
            pairs: alike.map(|samples| (samples[0].gold, samples[0].predicted, samples.len())).collect(),
            margins: [margins(|prediction| prediction.margin), margins(|prediction| prediction.gold_margin)],
            labels,
        }
    }

    /// Macro F1 and weighted F1 of samples that count so often each.
    fn f1s(&self, counts: &[u32]) -> [Option<f64>; 2] {
        let mut rest = counts;
        let drawn = self.pairs.iter().map(|&(gold, predicted, samples)| {
            let (here, later) = rest.split_at(samples);
            rest = later;
            (gold, predicted, here.iter().sum::<u32>() as usize)
        });
        let tallies = tally(drawn, self.labels);
        [macro_f1(&tallies), weighted_f1(&tallies)]
    }
}

pub(super) fn known(name: &'static str, estimate: Estimate) -> Metric {
    Metric { name, label: None, estimate: Some(estimate), reason: None }
}

pub(super) fn optional(name: &'static str, estimate: Option<Estimate>, why_not: &str) -> Metric {
    let reason = estimate.is_none().then(|| why_not.to_owned());
    Metric { name, label: None, estimate, reason }
}
