//! A linear probe: multinomial logistic regression with an L2 penalty on frozen vectors, solved to its optimum.

use std::ops::Range;

use rand_mt::Mt;
use rayon::prelude::*;

use super::folds::shuffle;
use super::lesson::Lesson;
use super::metrics::{MetricInfo, Uncertainty, label, slice};
use super::optimum::minimise;
use super::{Evaluation, Metric, Said, TaskError};
use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out, Panels};
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
/// Texts that one thread adds up at least, and parts that the sum over texts has at most: their number is no part of a result.
const BLOCK: usize = 256;
const PARTS: usize = 32;
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
        let fitted = Fitted::to(train, rows, known, c, None)?;
        let scores = fitted.probabilities(texts, labels);
        let answers: Vec<usize> = scores.chunks_exact(labels).map(best).collect();
        let right = experiments.shares.iter_mut().zip(answers.iter().zip(gold)).filter(|(_, (answer, gold))| answer == gold);
        right.for_each(|(share, _)| *share += 1.0 / number(drawn.len()));
        experiments.add(&answers, gold, labels);
        first.get_or_insert((fitted, scores));
    }
    let (fitted, scores) = first.ok_or(TaskError::OneClass)?;
    let mut evaluation = Said::of(texts, train).evaluation(scores, gold, labels, seed);
    if draws.is_some() {
        experiments.lead(&mut evaluation, seed);
    }
    evaluation.metrics.extend(fitted.metrics(known, gold, labels, &drawn[0]));
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
    /// Per class, its weights and its intercept. Shape: `[classes, dim + 1]`.
    weights: Vec<f64>,
    loss: f64,
}

impl Fitted {
    /// Learns from some of the train texts; from where another probe of these texts ended, if it is named, which is a shorter way.
    pub fn to(train: &Embeddings, rows: &[usize], known: &[usize], c: f64, from: Option<&Self>) -> Result<Self, TaskError> {
        let mut classes: Vec<usize> = rows.iter().map(|&row| known[row]).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Err(TaskError::OneClass);
        }
        let gold = rows.iter().filter_map(|row| classes.binary_search(&known[*row]).ok()).collect();
        // Two sets of weights, one the negative of the other, are half as long together as their difference.
        let half = if classes.len() == 2 { 2.0 } else { 1.0 };
        let penalty = half / (c * number(rows.len()));
        let objective = Objective { train, rows, gold, classes: classes.len(), penalty };
        let start = from.map_or_else(|| vec![0.0; classes.len() * (train.dim() + 1)], |other| other.weights.clone());
        let found = minimise(start, (2.0 * penalty * GAP).sqrt(), STEPS, &|at, gradient| objective.at(at, gradient));
        // The loss bends by at least the penalty: its distance from the optimum is at most this.
        let gap = found.gradient * found.gradient / (2.0 * penalty);
        if gap.is_nan() || gap > 100.0 * GAP {
            Err(TaskError::NoOptimum { gap })
        } else {
            Ok(Self { classes, weights: found.at, loss: found.value })
        }
    }

    /// Shape: `[texts, labels]`.
    pub fn probabilities(&self, texts: &Embeddings, labels: usize) -> Vec<f64> {
        let mut all = vec![0.0; texts.len() * labels];
        let panels = panels(&self.weights, texts.dim(), self.classes.len());
        all.par_chunks_mut(BLOCK * labels).zip(texts.values().par_chunks(BLOCK * texts.dim())).for_each(|(out, rows)| {
            let wide: Vec<f64> = rows.iter().copied().map(f64::from).collect();
            let mut scores = scores(&wide, &panels, &self.weights);
            for (out, scores) in out.chunks_exact_mut(labels).zip(scores.chunks_exact_mut(self.classes.len())) {
                softmax(scores);
                self.classes.iter().zip(&*scores).for_each(|(&class, &score)| out[class] = score);
            }
        });
        all
    }

    pub fn metrics(&self, known: &[usize], gold: &[usize], labels: usize, rows: &[usize]) -> Vec<Metric> {
        let unseen = gold.iter().filter(|label| !self.classes.contains(label)).count();
        let count = |label: usize| rows.iter().filter(|row| known[**row] == label).count();
        let exact = |name, value| metric(name, None, Estimate::exact(value, rows.len()));
        let mut metrics = vec![
            exact("loss", self.loss),
            exact("train_texts", number(rows.len())),
            metric("unseen_labels", None, crate::stats::wilson(unseen, gold.len())),
        ];
        let support = |label| metric("train_support", Some(label), Estimate::exact(number(count(label)), rows.len()));
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

/// The loss over some train texts.
struct Objective<'a> {
    train: &'a Embeddings,
    rows: &'a [usize],
    /// The class of each row.
    gold: Vec<usize>,
    classes: usize,
    /// Factor of half the squared length of the weights.
    penalty: f64,
}

impl Objective<'_> {
    /// Value and gradient. Shape of both arrays: `[classes, dim + 1]`.
    fn at(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let (rows, width) = (self.rows.len(), self.train.dim() + 1);
        let panels = panels(weights, self.train.dim(), self.classes);
        let block = rows.div_ceil(PARTS).max(BLOCK);
        let parts: Vec<(f64, Vec<f64>)> = (0..rows.div_ceil(block))
            .into_par_iter()
            .map(|part| self.part(part * block..rows.min((part + 1) * block), weights, &panels))
            .collect();
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (value, part) in &parts {
            loss += value;
            gradient.iter_mut().zip(part).for_each(|(total, value)| *total += value);
        }
        let count = number(rows);
        let mut squared = 0.0;
        for (weights, gradient) in weights.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            gradient.iter_mut().for_each(|value| *value /= count);
            let (weights, gradient) = (&weights[..width - 1], &mut gradient[..width - 1]);
            squared += weights.iter().map(|weight| weight * weight).sum::<f64>();
            gradient.iter_mut().zip(weights).for_each(|(value, weight)| *value += self.penalty * weight);
        }
        loss / count + 0.5 * self.penalty * squared
    }

    /// Sums over some rows: the loss, and its gradient.
    fn part(&self, rows: Range<usize>, weights: &[f64], panels: &Panels<f64>) -> (f64, Vec<f64>) {
        let (dim, classes, count) = (self.train.dim(), self.classes, rows.len());
        let texts = self.rows[rows.clone()].iter().flat_map(|&row| self.train.row(row));
        let wide: Vec<f64> = texts.copied().map(f64::from).collect();
        let mut rest = scores(&wide, panels, weights);
        let mut loss = 0.0;
        for (scores, &gold) in rest.chunks_exact_mut(classes).zip(&self.gold[rows]) {
            let own = scores[gold];
            loss += softmax(scores) - own;
            scores[gold] -= 1.0;
        }
        let mut gradient = vec![0.0; classes * (dim + 1)];
        let right = Panels::new(count, dim, |row, i| wide[row * dim + i]);
        let turned: Vec<f64> = (0..classes * count).map(|at| rest[at % count * classes + at / count]).collect();
        let left = Left { values: &turned, rows: classes, stride: count, inputs: count };
        products::multiply(left, &right, &mut Out { values: &mut gradient, stride: dim + 1, outputs: dim, continued: false });
        for (class, own) in turned.chunks_exact(count).enumerate() {
            gradient[class * (dim + 1) + dim] = own.iter().sum();
        }
        (loss, gradient)
    }
}

/// Weights laid out for products, without the intercepts.
fn panels(weights: &[f64], dim: usize, classes: usize) -> Panels<f64> {
    Panels::new(dim, classes, |i, class| weights[class * (dim + 1) + i])
}

/// Scores of some texts. Shape: `[texts, dim]` -> `[texts, classes]`.
fn scores(wide: &[f64], panels: &Panels<f64>, weights: &[f64]) -> Vec<f64> {
    let (dim, classes) = (panels.inputs, panels.outputs);
    let rows = wide.len() / dim;
    let mut scores = vec![0.0; rows * classes];
    let left = Left { values: wide, rows, stride: dim, inputs: dim };
    products::multiply(left, panels, &mut Out { values: &mut scores, stride: classes, outputs: classes, continued: false });
    for row in scores.chunks_exact_mut(classes) {
        row.iter_mut().enumerate().for_each(|(class, score)| *score += weights[class * (dim + 1) + dim]);
    }
    scores
}

/// Probabilities in place of scores; returns the logarithm of the sum of their exponentials.
fn softmax(scores: &mut [f64]) -> f64 {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - highest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    highest + sum.ln()
}

#[cfg(test)]
mod tests;
