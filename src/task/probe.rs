//! A linear probe: multinomial logistic regression with an L2 penalty on frozen vectors, solved to its optimum.

use rand_mt::Mt;
use rayon::prelude::*;

use super::folds::shuffle;
use super::lesson::Lesson;
use super::loss::{Laid, Loss, Weights, lay, softmax};
use super::metrics::{MetricInfo, Uncertainty, label, slice};
use super::optimum::minimise;
use super::{Evaluation, Metric, Said, TaskError};
use crate::embeddings::Embeddings;
use crate::stats::{Estimate, RESAMPLES, bootstrap_all, number};

/// Metrics of a probe; the first four only where there are several experiments, `dev_accuracy` and `c` where a penalty is picked.
pub const PROBE_METRICS: &[MetricInfo] = &[
    slice("mean_accuracy", Uncertainty::Bootstrap),
    slice("mean_f1", Uncertainty::None),
    slice("sd_accuracy", Uncertainty::None),
    slice("experiments", Uncertainty::None),
    slice("loss", Uncertainty::None),
    slice("train_texts", Uncertainty::None),
    slice("unseen_labels", Uncertainty::Wilson),
    slice("dev_accuracy", Uncertainty::None),
    slice("c", Uncertainty::None),
    label("train_support", Uncertainty::None),
];

/// The optimum's loss is at most so far below the one that is found.
const GAP: f64 = 1e-9;
/// Most steps to the optimum.
const STEPS: usize = 5_000;
/// Texts that one thread answers for at a time.
const BLOCK: usize = 256;
/// Seed of MTEB's draws.
const MTEB_SEED: u32 = 42;

/// Learns from the train texts and answers for every text. Scores are probabilities; a label without a train text has 0.
///
/// The loss is the mean of minus the logarithm of the right label's probability over the train texts, plus half the squared
/// length of the weights over `c` times the number of train texts; intercepts go free. Of two labels, the weights are those of
/// their difference. That is scikit-learn's `LogisticRegression(C=c)`; the optimum is found to 1e-9 in the loss.
///
/// `c` is the inverse strength of the penalty. With `draws`, one probe learns from each draw of MTEB's protocol: so many train texts
/// of each label, drawn so often. Predictions are those of the first.
///
/// Determinism: neither threads nor blocks change a bit.
///
/// # Errors
/// Inputs that cannot be learnt from: see [`TaskError`].
pub fn linear_probe(lesson: &Lesson<'_>, c: f64, draws: Option<(usize, usize)>) -> Result<Evaluation, TaskError> {
    lesson.check()?;
    let Lesson { train, known, texts, gold, labels, seed } = *lesson;
    let all = || vec![(0..known.len()).collect::<Vec<usize>>()];
    let drawn = draws.map_or_else(all, |(each, times)| mteb_draws(known, each, times));
    let mut first = None;
    let mut experiments = Experiments { shares: vec![0.0; gold.len()], accuracies: Vec::new(), f1: Vec::new() };
    for rows in &drawn {
        let learnt: Vec<Option<usize>> = rows.iter().map(|&row| Some(known[row])).collect();
        let fitted = Fitted::to(&Laid::of(train, rows), &learnt, c, None)?;
        let scores = fitted.probabilities(texts, labels);
        let answers: Vec<usize> = scores.chunks_exact(labels).map(best).collect();
        let right = experiments.shares.iter_mut().zip(answers.iter().zip(gold)).filter(|(_, (answer, gold))| answer == gold);
        right.for_each(|(share, _)| *share += 1.0 / number(drawn.len()));
        experiments.add(&answers, gold, labels);
        first.get_or_insert((fitted, scores, learnt));
    }
    let (fitted, scores, learnt) = first.ok_or(TaskError::OneClass)?;
    let mut evaluation = Said::of(texts, train).evaluation(scores, gold, labels, seed);
    if draws.is_some() {
        experiments.lead(&mut evaluation, seed);
    }
    evaluation.metrics.extend(fitted.metrics(&learnt, gold, labels));
    Ok(evaluation)
}

/// The label with the highest score, the first of equals.
pub(super) fn best(scores: &[f64]) -> usize {
    (0..scores.len()).reduce(|best, label| if scores[label] > scores[best] { label } else { best }).unwrap_or(0)
}

/// The train texts of each experiment of MTEB's protocol: the first so many of each label in an order that is shuffled anew for
/// each, always by the same draws of numpy's `RandomState(42)`. Exactly MTEB's texts where the rows stand in its order.
pub fn mteb_draws(known: &[usize], each: usize, times: usize) -> Vec<Vec<usize>> {
    let labels = known.iter().max().map_or(0, |last| last + 1);
    let mut order: Vec<usize> = (0..known.len()).collect();
    let draw = |_| {
        let mut generator = Mt::new(MTEB_SEED);
        shuffle(&mut generator, &mut order);
        let mut taken = vec![0; labels];
        let mut wanted = |row: &usize| {
            taken[known[*row]] += 1;
            taken[known[*row]] <= each
        };
        order.iter().copied().filter(|row| wanted(row)).collect()
    };
    (0..times).map(draw).collect()
}

/// A probe that has learnt.
pub(super) struct Fitted {
    /// Labels that have train texts, ascending.
    classes: Vec<usize>,
    /// Per class, its weights and its intercept, for texts without the mean. Shape: `[classes, dim + 1]`.
    weights: Vec<f64>,
    mean: Vec<f64>,
    loss: f64,
}

impl Fitted {
    /// Learns from the texts whose label is given; from where another probe of these texts ended, if it is named, which is a
    /// shorter way.
    pub fn to(texts: &Laid<'_>, known: &[Option<usize>], c: f64, from: Option<&Self>) -> Result<Self, TaskError> {
        let mut classes: Vec<usize> = known.iter().copied().flatten().collect();
        let count = classes.len();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Err(TaskError::OneClass);
        }
        let gold: Vec<Option<usize>> =
            known.iter().map(|label| label.and_then(|label| classes.binary_search(&label).ok())).collect();
        // Two sets of weights, one the negative of the other, are half as long together as their difference.
        let half = if classes.len() == 2 { 2.0 } else { 1.0 };
        let penalty = half / (c * number(count));
        let loss = Loss { texts, gold: &gold, classes: classes.len(), penalty };
        let start = from.map_or_else(|| vec![0.0; classes.len() * (texts.dim() + 1)], |other| other.weights.clone());
        let found = minimise(start, (2.0 * penalty * GAP).sqrt(), STEPS, &|at, gradient| loss.at(at, gradient));
        // The loss bends by at least the penalty: its distance from the optimum is at most this.
        let gap = found.gradient * found.gradient / (2.0 * penalty);
        if gap.is_nan() || gap > 100.0 * GAP {
            Err(TaskError::NoOptimum { gap })
        } else {
            Ok(Self { classes, weights: found.at, mean: texts.mean.clone(), loss: found.value })
        }
    }

    /// Shape: `[texts, labels]`.
    pub fn probabilities(&self, texts: &Embeddings, labels: usize) -> Vec<f64> {
        let mut all = vec![0.0; texts.len() * labels];
        let dim = texts.dim();
        let weights = Weights::new(&self.weights, dim);
        all.par_chunks_mut(BLOCK * labels).zip(texts.values().par_chunks(BLOCK * dim)).for_each(|(out, rows)| {
            let rows: Vec<&[f32]> = rows.chunks_exact(dim).collect();
            let mut scores = weights.scores(&lay(&rows, &self.mean));
            for (out, scores) in out.chunks_exact_mut(labels).zip(scores.chunks_exact_mut(self.classes.len())) {
                softmax(scores);
                self.classes.iter().zip(&*scores).for_each(|(&class, &score)| out[class] = score);
            }
        });
        all
    }

    pub fn metrics(&self, known: &[Option<usize>], gold: &[usize], labels: usize) -> Vec<Metric> {
        let unseen = gold.iter().filter(|label| !self.classes.contains(label)).count();
        let learnt = known.iter().flatten().count();
        let count = |label: usize| known.iter().flatten().filter(|known| **known == label).count();
        let mut metrics = vec![
            exact("loss", self.loss, learnt),
            exact("train_texts", number(learnt), learnt),
            metric("unseen_labels", None, crate::stats::wilson(unseen, gold.len())),
        ];
        let support = |label| metric("train_support", Some(label), Estimate::exact(number(count(label)), learnt));
        metrics.extend((0..labels).map(support));
        metrics
    }
}

fn metric(name: &'static str, label: Option<usize>, estimate: Estimate) -> Metric {
    Metric { name, label, estimate: Some(estimate), reason: None }
}

/// A metric without an interval.
pub(super) fn exact(name: &'static str, value: f64, n: usize) -> Metric {
    metric(name, None, Estimate::exact(value, n))
}

/// Several experiments on the same texts, or on parts of them.
pub(super) struct Experiments {
    /// What each text adds to the mean accuracy, times the number of texts.
    pub shares: Vec<f64>,
    pub accuracies: Vec<f64>,
    pub f1: Vec<f64>,
}

impl Experiments {
    /// Adds what one of them answered.
    pub fn add(&mut self, answers: &[usize], gold: &[usize], labels: usize) {
        let right = answers.iter().zip(gold).filter(|(answer, gold)| answer == gold).count();
        self.accuracies.push(number(right) / number(gold.len()));
        self.f1.push(super::counts::macro_f1_of(answers, gold, labels));
    }

    /// Puts their mean before a cell's metrics, since it is what the cell is ranked by, and the rest behind them. The interval of
    /// the mean is over the texts.
    pub fn lead(&self, evaluation: &mut Evaluation, seed: u64) {
        let (texts, times) = (self.shares.len(), number(self.accuracies.len()));
        let mean = self.shares.iter().sum::<f64>() / number(texts);
        let resampled = |counts: &[u32]| {
            let sum: f64 = self.shares.iter().zip(counts).map(|(share, &count)| share * f64::from(count)).sum();
            let all: u32 = counts.iter().sum();
            [(all > 0).then(|| sum / f64::from(all))]
        };
        let [estimate] = bootstrap_all(texts, seed, RESAMPLES, resampled, [mean]);
        let spread = (self.accuracies.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / times).sqrt();
        let f1 = self.f1.iter().sum::<f64>() / times;
        evaluation.metrics.insert(0, metric("mean_accuracy", None, estimate));
        let rest = [("mean_f1", f1), ("sd_accuracy", spread), ("experiments", times)];
        evaluation.metrics.extend(rest.map(|(name, value)| exact(name, value, texts)));
    }
}

#[cfg(test)]
mod tests;
