//! What a logistic regression makes small: the loss over its train texts, and its gradient.

use std::ops::Range;

use rayon::prelude::*;

use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out, Panels};
use crate::stats::number;

/// Texts that one thread adds up at least, and parts that the sum over texts has at most: their number is no part of a result.
const BLOCK: usize = 256;
const PARTS: usize = 32;
/// Texts laid out are kept for all evaluations up to this size; larger ones are laid out in each. Units: bytes.
const KEPT: usize = 512 << 20;

/// Some texts in parts, each laid out for products in f64. Regressions on them, or on part of them, share it.
///
/// Their mean is taken off. That changes no regression, since intercepts go free and take it up; but vectors of language models have
/// more in common than they differ by, and the way to the optimum is several times as long with it.
pub(super) struct Laid<'a> {
    texts: &'a Embeddings,
    rows: &'a [usize],
    /// What is taken off every text.
    pub mean: Vec<f64>,
    /// Nothing of texts that are too large.
    kept: Vec<Panels<f64>>,
}

impl<'a> Laid<'a> {
    pub fn of(texts: &'a Embeddings, rows: &'a [usize]) -> Self {
        let mut mean = vec![0.0; texts.dim()];
        for row in rows {
            mean.iter_mut().zip(texts.row(*row)).for_each(|(sum, &value)| *sum += f64::from(value) / number(rows.len()));
        }
        let mut laid = Self { texts, rows, mean, kept: Vec::new() };
        if rows.len().saturating_mul(texts.dim() * size_of::<f64>()) <= KEPT {
            laid.kept = (0..laid.parts()).into_par_iter().map(|part| laid.lay(part)).collect();
        }
        laid
    }

    pub const fn dim(&self) -> usize {
        self.texts.dim()
    }

    /// The texts of some places, as they were.
    pub fn select(&self, places: &[usize]) -> Embeddings {
        self.texts.select(&places.iter().map(|place| self.rows[*place]).collect::<Vec<_>>())
    }

    fn parts(&self) -> usize {
        self.rows.len().div_ceil(self.block())
    }

    fn block(&self) -> usize {
        self.rows.len().div_ceil(PARTS).max(BLOCK)
    }

    /// The places of a part's texts.
    fn range(&self, part: usize) -> Range<usize> {
        part * self.block()..self.rows.len().min((part + 1) * self.block())
    }

    fn lay(&self, part: usize) -> Panels<f64> {
        let rows: Vec<&[f32]> = self.rows[self.range(part)].iter().map(|row| self.texts.row(*row)).collect();
        lay(&rows, &self.mean)
    }
}

/// Lays texts out without their mean. Shape: `[texts, dim]`.
pub(super) fn lay(texts: &[&[f32]], mean: &[f64]) -> Panels<f64> {
    Panels::new(texts.len(), mean.len(), |text, i| f64::from(texts[text][i]) - mean[i])
}

/// The mean of minus the logarithm of the right label's probability over some texts, plus a penalty.
pub(super) struct Loss<'a> {
    pub texts: &'a Laid<'a>,
    /// The class of each text; None of those that are not learnt from.
    pub gold: &'a [Option<usize>],
    pub classes: usize,
    /// Factor of half the squared length of the weights.
    pub penalty: f64,
}

impl Loss<'_> {
    /// Value and gradient. Shape of both arrays: `[classes, dim + 1]`.
    pub fn at(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let width = self.texts.dim() + 1;
        let laid = Weights::new(weights, self.texts.dim());
        let parts: Vec<(f64, Vec<f64>)> = (0..self.texts.parts()).into_par_iter().map(|part| self.part(part, &laid)).collect();
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (value, part) in &parts {
            loss += value;
            gradient.iter_mut().zip(part).for_each(|(total, value)| *total += value);
        }
        let count = number(self.gold.iter().flatten().count());
        let mut squared = 0.0;
        for (weights, gradient) in weights.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            gradient.iter_mut().for_each(|value| *value /= count);
            let (weights, gradient) = (&weights[..width - 1], &mut gradient[..width - 1]);
            squared += weights.iter().map(|weight| weight * weight).sum::<f64>();
            gradient.iter_mut().zip(weights).for_each(|(value, weight)| *value += self.penalty * weight);
        }
        loss / count + 0.5 * self.penalty * squared
    }

    /// Sums over the texts of a part: the loss, and its gradient.
    fn part(&self, part: usize, weights: &Weights<'_>) -> (f64, Vec<f64>) {
        let (dim, classes, gold) = (self.texts.dim(), self.classes, &self.gold[self.texts.range(part)]);
        let own;
        let texts = if let Some(kept) = self.texts.kept.get(part) {
            kept
        } else {
            own = self.texts.lay(part);
            &own
        };
        let mut scores = weights.scores(texts);
        let count = gold.len();
        // By how much each score is too high, class by class.
        let mut excess = vec![0.0; classes * count];
        let mut loss = 0.0;
        for (text, (scores, gold)) in scores.chunks_exact_mut(classes).zip(gold).enumerate() {
            let Some(gold) = *gold else { continue };
            let right = scores[gold];
            loss += softmax(scores) - right;
            scores[gold] -= 1.0;
            scores.iter().enumerate().for_each(|(class, score)| excess[class * count + text] = *score);
        }
        let mut gradient = vec![0.0; classes * (dim + 1)];
        let left = Left { values: &excess, rows: classes, stride: count, inputs: count };
        products::multiply(left, texts, &mut Out { values: &mut gradient, stride: dim + 1, outputs: dim, continued: false });
        for (class, own) in excess.chunks_exact(count).enumerate() {
            gradient[class * (dim + 1) + dim] = own.iter().sum();
        }
        (loss, gradient)
    }
}

/// Weights and intercepts laid out for products.
pub(super) struct Weights<'a> {
    /// Shape: `[classes, dim + 1]`.
    values: &'a [f64],
    /// Without the intercepts. Shape: `[dim, classes]`.
    panels: Panels<f64>,
}

impl<'a> Weights<'a> {
    pub fn new(values: &'a [f64], dim: usize) -> Self {
        let panels = Panels::new(dim, values.len() / (dim + 1), |i, class| values[class * (dim + 1) + i]);
        Self { values, panels }
    }

    /// Scores of texts. Shape: `[texts, dim]` -> `[texts, classes]`.
    pub fn scores(&self, texts: &Panels<f64>) -> Vec<f64> {
        let (dim, classes) = (self.panels.inputs, self.panels.outputs);
        let weights = || self.panels.panels(classes).map(|(first, panel)| (first, panel.len() / dim, panel));
        // The weights' last panel may be wider than there are classes: whole vectors of results need no care for what is behind.
        let stride = weights().map(|(_, width, _)| width).sum();
        let mut wide = vec![0.0; texts.inputs * stride];
        let mut out = Out { values: &mut wide, stride, outputs: stride, continued: false };
        for (from, texts_panel) in texts.panels(dim) {
            let columns = texts_panel.len() / texts.inputs;
            let inputs = columns.min(dim - from);
            let left = Left { values: texts_panel, rows: texts.inputs, stride: columns, inputs };
            for (first, width, panel) in weights() {
                products::multiply_panel(left, &panel[from * width..][..inputs * width], width, first, &mut out);
            }
            out.continued = true;
        }
        let intercept = |class: usize| self.values[class * (dim + 1) + dim];
        wide.chunks_exact(stride).flat_map(|row| (0..classes).map(|class| row[class] + intercept(class))).collect()
    }
}

/// Probabilities in place of scores; returns the logarithm of the sum of their exponentials.
pub(super) fn softmax(scores: &mut [f64]) -> f64 {
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
mod tests {
    use super::*;

    /// Vectors of some length, none of them like another: sin(1 + 7 i + 3 j^2) + 4.
    fn vectors(count: usize, dim: usize) -> Embeddings {
        #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
        let at = |i: usize, j: usize| (4.0 + (1.0 + 7.0 * number(i) + 3.0 * number(j * j)).sin()) as f32;
        Embeddings::from_values(dim, (0..count).flat_map(|i| (0..dim).map(move |j| at(i, j))).collect())
    }

    fn weights(classes: usize, dim: usize) -> Vec<f64> {
        (0..classes * (dim + 1)).map(|at| (number(at) * 1.7).cos()).collect()
    }

    /// The definition, text by text.
    fn straight(texts: &Laid<'_>, gold: &[Option<usize>], weights: &[f64], penalty: f64) -> f64 {
        let dim = texts.dim();
        let losses = texts.rows.iter().zip(gold).filter_map(|(&row, gold)| {
            let score = |own: &[f64]| -> f64 {
                let at = |i: usize| (f64::from(texts.texts.row(row)[i]) - texts.mean[i]) * own[i];
                own[dim] + (0..dim).map(at).sum::<f64>()
            };
            let scores: Vec<f64> = weights.chunks_exact(dim + 1).map(score).collect();
            gold.map(|gold| scores.iter().map(|score| score.exp()).sum::<f64>().ln() - scores[gold])
        });
        let count = number(gold.iter().flatten().count());
        let squared: f64 = weights.chunks_exact(dim + 1).flat_map(|own| &own[..dim]).map(|weight| weight * weight).sum();
        losses.sum::<f64>() / count + 0.5 * penalty * squared
    }

    #[test]
    fn value_and_gradient_are_those_of_the_definition() {
        for (count, dim, classes) in [(1, 1, 2), (5, 3, 2), (300, 9, 3), (40, 33, 17)] {
            let (texts, rows) = (vectors(count + 2, dim), (0..count).map(|row| row + 1).collect::<Vec<_>>());
            let laid = Laid::of(&texts, &rows);
            let gold: Vec<Option<usize>> = (0..count).map(|i| (i % 4 != 1).then_some(i % classes)).collect();
            let loss = Loss { texts: &laid, gold: &gold, classes, penalty: 0.1 };
            let mut at = weights(classes, dim);
            let mut gradient = vec![0.0; at.len()];
            let found = loss.at(&at, &mut gradient);
            assert!((found - straight(&laid, &gold, &at, 0.1)).abs() < 1e-12 * found, "{found}");
            for i in 0..at.len() {
                let mut beside = |step: f64| {
                    let own = at[i];
                    at[i] += step;
                    let value = straight(&laid, &gold, &at, 0.1);
                    at[i] = own;
                    value
                };
                let slope = (beside(1e-5) - beside(-1e-5)) / 2e-5;
                assert!((gradient[i] - slope).abs() < 1e-8, "{i}: {} {slope}", gradient[i]);
            }
        }
    }

    #[test]
    fn texts_that_are_laid_out_in_every_evaluation_give_the_same_bits() {
        let (texts, rows) = (vectors(700, 6), (0..700).collect::<Vec<_>>());
        let gold: Vec<Option<usize>> = (0..700).map(|i| Some(i * i / 3 % 3)).collect();
        let kept = Laid::of(&texts, &rows);
        assert_eq!(kept.kept.len(), 3);
        let each = Laid { kept: Vec::new(), ..Laid::of(&texts, &rows) };
        let at = |texts: &Laid<'_>| {
            let mut gradient = vec![0.0; 3 * 7];
            (Loss { texts, gold: &gold, classes: 3, penalty: 0.1 }.at(&weights(3, 6), &mut gradient).to_bits(), gradient)
        };
        assert_eq!(at(&kept), at(&each));
    }
}
