//! `SentEval`'s transfer tasks: a probe whose penalty is picked on texts that it is not judged by.
//!
//! This is the protocol with `usepytorch = False`, which has an answer: logistic regression, a grid of penalties, and folds that are
//! scikit-learn's. The classifier behind most published figures is trained by Adam from a random start and stopped early: its last
//! digits depend on the version of torch.

use rayon::prelude::*;

use super::folds::stratified;
use super::lesson::Lesson;
use super::loss::Laid;
use super::probe::{Experiments, Fitted, best, exact};
use super::{Evaluation, Said, TaskError, Vectors, finite};
use crate::embeddings::Embeddings;
use crate::stats::number;

/// Seed of the folds.
const SEED: u32 = 1111;

/// Inverse strengths of the penalty that are tried: where all train texts can be learnt from, and else.
const OF_TRAIN: [f64; 7] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
const OF_PARTS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// What penalties are judged by.
#[derive(Clone, Copy)]
pub enum Judge<'a> {
    /// So many folds of the train texts, cut in the order of these lengths.
    Folds { folds: usize, lengths: &'a [Vec<usize>] },
    /// Other texts and their labels.
    Dev { texts: &'a Embeddings, known: &'a [usize] },
}

/// Learns from the train texts with the penalty that does best on others, and answers for every text.
///
/// # Errors
/// Inputs that cannot be learnt from: see [`TaskError`].
pub fn senteval(lesson: &Lesson<'_>, judge: Judge<'_>) -> Result<Evaluation, TaskError> {
    lesson.check()?;
    let Lesson { train, known, texts, gold, labels, seed } = *lesson;
    let rows: Vec<usize> = (0..known.len()).collect();
    let (laid, all) = (Laid::of(train, &rows), known.iter().copied().map(Some).collect::<Vec<_>>());
    let picked = match judge {
        Judge::Folds { folds, lengths } => {
            Picked::by_folds(&laid, known, &splits(&sorted(known, lengths), known, folds), &OF_TRAIN)?
        }
        Judge::Dev { texts: dev, known: right } => {
            finite(Vectors::Dev, dev)?;
            Picked::of(&OF_PARTS, &[along(&laid, &all, dev, right, &OF_PARTS)?])?
        }
    };
    let fitted = Fitted::to(&laid, &all, picked.c, None)?;
    let scores = fitted.probabilities(texts, labels);
    let mut evaluation = Said::of(texts, train).evaluation(scores, gold, labels, seed);
    evaluation.metrics.extend(fitted.metrics(&all, gold, labels));
    evaluation.metrics.extend([exact("dev_accuracy", picked.accuracy, known.len()), exact("c", picked.c, known.len())]);
    Ok(evaluation)
}

/// The same of texts that have no others to learn from: each fold is answered for by a probe that learns from the other folds, with
/// the penalty that does best on folds of those. The figure is the mean of the folds' accuracies. Nothing else is asked: the
/// lesson's texts are not looked at.
///
/// # Errors
/// Inputs that cannot be learnt from: see [`TaskError`].
pub fn senteval_nested(lesson: &Lesson<'_>, folds: usize, lengths: &[Vec<usize>]) -> Result<Evaluation, TaskError> {
    lesson.check()?;
    let Lesson { texts, gold, labels, seed, .. } = *lesson;
    let outer = splits(&sorted(gold, lengths), gold, folds);
    let rows: Vec<usize> = (0..texts.len()).collect();
    let laid = Laid::of(texts, &rows);
    let answer = |split: &Split| {
        let picked = Picked::by_folds(&laid, gold, &splits(&split.learnt, gold, folds), &OF_PARTS)?;
        let fitted = Fitted::to(&laid, &split.known(gold), picked.c, None)?;
        Ok((fitted.probabilities(&texts.select(&split.asked), labels), picked.accuracy))
    };
    let answers: Vec<(Vec<f64>, f64)> = outer.par_iter().map(answer).collect::<Result<_, TaskError>>()?;
    let mut scores = vec![0.0; texts.len() * labels];
    let mut experiments = Experiments { shares: vec![0.0; texts.len()], accuracies: Vec::new(), f1: Vec::new() };
    for (Split { asked, .. }, (found, _)) in outer.iter().zip(&answers) {
        let answered: Vec<usize> = found.chunks_exact(labels).map(best).collect();
        let right: Vec<usize> = asked.iter().map(|text| gold[*text]).collect();
        // Folds count alike, whatever their size.
        let weight = number(texts.len()) / (number(outer.len()) * number(asked.len()));
        for ((&text, row), (answer, gold)) in asked.iter().zip(found.chunks_exact(labels)).zip(answered.iter().zip(&right)) {
            scores[text * labels..][..labels].copy_from_slice(row);
            experiments.shares[text] = if answer == gold { weight } else { 0.0 };
        }
        experiments.add(&answered, &right, labels);
    }
    let mut evaluation = Said::of(texts, &Embeddings::new(texts.dim())).evaluation(scores, gold, labels, seed);
    let dev = answers.iter().map(|(_, accuracy)| accuracy).sum::<f64>() / number(outer.len());
    experiments.lead(&mut evaluation, seed);
    evaluation.metrics.push(exact("dev_accuracy", dev, gold.len()));
    Ok(evaluation)
}

/// Texts to learn from, and texts to answer for.
struct Split {
    learnt: Vec<usize>,
    asked: Vec<usize>,
}

impl Split {
    /// The labels that are learnt from, by text.
    fn known(&self, labels: &[usize]) -> Vec<Option<usize>> {
        let mut known = vec![None; labels.len()];
        self.learnt.iter().for_each(|&text| known[text] = Some(labels[text]));
        known
    }
}

/// The folds of some texts in their turn, cut in the order in which they stand.
fn splits(texts: &[usize], labels: &[usize], folds: usize) -> Vec<Split> {
    let own: Vec<usize> = texts.iter().map(|text| labels[*text]).collect();
    let of = stratified(&own, folds, SEED);
    let part = |fold: usize, asked: bool| -> Vec<usize> {
        texts.iter().zip(&of).filter(|(_, of)| (**of == fold) == asked).map(|(text, _)| *text).collect()
    };
    let split = |fold| Split { learnt: part(fold, false), asked: part(fold, true) };
    (0..folds).map(split).filter(|split| !split.asked.is_empty()).collect()
}

/// The order that `SentEval` brings texts into: by their lengths in words, of pairs the first text's before the second's, then by label.
fn sorted(labels: &[usize], lengths: &[Vec<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| lengths[a].cmp(&lengths[b]).then(labels[a].cmp(&labels[b])));
    order
}

/// A penalty, and how well it did.
struct Picked {
    c: f64,
    /// Mean over the splits.
    accuracy: f64,
}

impl Picked {
    /// By how well the folds of some texts are answered for.
    fn by_folds(texts: &Laid<'_>, labels: &[usize], splits: &[Split], grid: &[f64]) -> Result<Self, TaskError> {
        let of_split = |split: &Split| {
            let right: Vec<usize> = split.asked.iter().map(|text| labels[*text]).collect();
            along(texts, &split.known(labels), &texts.select(&split.asked), &right, grid)
        };
        Self::of(grid, &splits.par_iter().map(of_split).collect::<Result<Vec<_>, TaskError>>()?)
    }

    /// The best of a grid, given each split's accuracies: of those equal to two decimals of a percentage, the first.
    fn of(grid: &[f64], all: &[Vec<f64>]) -> Result<Self, TaskError> {
        let mean = |place: usize| all.iter().map(|of_split| of_split[place]).sum::<f64>() / number(all.len());
        let means = grid.iter().enumerate().map(|(place, &c)| Self { c, accuracy: mean(place) });
        let hundredths = |picked: &Self| (10_000.0 * picked.accuracy).round();
        let best = means.reduce(|best, other| if hundredths(&other) > hundredths(&best) { other } else { best });
        best.ok_or(TaskError::OneClass)
    }
}

/// The accuracy on other texts under each penalty, the strongest first: each optimum is where the way to the next one begins.
fn along(
    texts: &Laid<'_>,
    known: &[Option<usize>],
    asked: &Embeddings,
    right: &[usize],
    grid: &[f64],
) -> Result<Vec<f64>, TaskError> {
    let labels = known.iter().flatten().chain(right).max().map_or(0, |last| last + 1);
    let mut before: Option<Fitted> = None;
    let mut accuracies = Vec::with_capacity(grid.len());
    for &c in grid {
        let fitted = Fitted::to(texts, known, c, before.as_ref())?;
        let scores = fitted.probabilities(asked, labels);
        let hits = scores.chunks_exact(labels).zip(right).filter(|(row, right)| best(row) == **right).count();
        accuracies.push(number(hits) / number(right.len()));
        before = Some(fitted);
    }
    Ok(accuracies)
}

#[cfg(test)]
mod tests;
