//! The score matrix and what each sample's scores say.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::calibrate::{Labels, Texts};
use super::{Prediction, TIE};
use crate::embeddings::Embeddings;

/// Texts that one thread scores at a time.
const BLOCK: usize = 16;

/// Coordinates multiplied at a time: those of a block's texts (32 KiB) stay in the nearest cache while all labels pass by.
const SPAN: usize = 256;

/// Cosines of all texts with all labels, and how many texts have no direction. Shape: row-major `[texts, labels]`.
pub(super) fn score(rows: &Embeddings, texts: &Texts, labels: &Labels) -> (Vec<f64>, usize) {
    let dim = labels.dim;
    let count = labels.vectors.len() / dim;
    let mut scores = vec![0.0; rows.len() * count];
    let lost = scores
        .par_chunks_mut(BLOCK * count)
        .zip(rows.values().par_chunks(BLOCK * dim))
        .map_init(
            || vec![0.0; BLOCK * dim],
            |wide, (scores, rows)| {
                let mut lost = 0;
                for (row, wide) in rows.chunks_exact(dim).zip(wide.chunks_exact_mut(dim)) {
                    lost += usize::from(!texts.direction(row, wide));
                }
                multiply(scores, wide, &labels.vectors, dim);
                lost
            },
        )
        .sum();
    (scores, lost)
}

/// Cosines of unit vectors: `scores` is `[texts, labels]` and all zeros, `texts` holds at least as many rows of `dim`.
fn multiply(scores: &mut [f64], texts: &[f64], labels: &[f64], dim: usize) {
    let count = labels.len() / dim;
    for start in (0..dim).step_by(SPAN) {
        let span = start..dim.min(start + SPAN);
        for (label, vector) in labels.chunks_exact(dim).enumerate() {
            for (scores, text) in scores.chunks_exact_mut(count).zip(texts.chunks_exact(dim)) {
                scores[label] += dot(&text[span.clone()], &vector[span.clone()]);
            }
        }
    }
    for score in scores {
        *score = score.clamp(-1.0, 1.0);
    }
}

/// Partial sums, always added in the same order: equal vectors give equal bits, on one thread or many.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    let (a_whole, b_whole) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_whole.remainder().iter().zip(b_whole.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_whole.zip(b_whole) {
        for i in 0..LANES {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// One prediction per sample from row-major `[n, labels]` scores.
pub(super) fn predict(scores: &[f64], labels: usize, gold: &[usize]) -> Vec<Prediction> {
    scores.chunks_exact(labels).zip(gold).map(|(scores, &gold)| prediction(scores, gold)).collect()
}

/// Labels rank by score, highest first; labels with exactly equal scores rank in the slice's order.
fn prediction(scores: &[f64], gold: usize) -> Prediction {
    let predicted = best_except(scores, None).unwrap_or(gold);
    let margin = best_except(scores, Some(predicted)).map(|second| scores[predicted] - scores[second]);
    let gold_margin = best_except(scores, Some(gold)).map(|other| scores[gold] - scores[other]);
    let before = |label: usize| match scores[label].partial_cmp(&scores[gold]) {
        Some(Ordering::Equal) => label < gold,
        order => order == Some(Ordering::Greater),
    };
    let gold_rank = 1 + (0..scores.len()).filter(|&label| before(label)).count();
    Prediction { gold, predicted, gold_rank, margin, gold_margin, tied: margin.is_some_and(|margin| margin <= TIE) }
}

/// The first label with the highest score among all but one.
fn best_except(scores: &[f64], except: Option<usize>) -> Option<usize> {
    (0..scores.len())
        .filter(|&label| Some(label) != except)
        .reduce(|best, label| if scores[label] > scores[best] { label } else { best })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]
mod tests {
    use super::*;

    #[test]
    fn exact_ties_go_to_the_first_label() {
        let found = prediction(&[0.1, 0.5, 0.5, 0.5], 2);
        let wanted = Prediction { gold: 2, predicted: 1, gold_rank: 2, margin: Some(0.0), gold_margin: Some(0.0), tied: true };
        assert_eq!(found, wanted);
        assert_eq!(prediction(&[0.1, 0.5, 0.5, 0.5], 3).gold_rank, 3);
    }

    #[test]
    fn margins_by_hand() {
        let right = prediction(&[0.75, 0.25, 0.5], 0);
        assert_eq!((right.margin, right.gold_margin, right.gold_rank), (Some(0.25), Some(0.25), 1));
        let wrong = prediction(&[0.75, 0.25, 0.5], 1);
        assert_eq!((wrong.margin, wrong.gold_margin, wrong.gold_rank), (Some(0.25), Some(-0.5), 3));
    }

    #[test]
    fn scores_within_a_millionth_are_tied_but_ranked() {
        let close = prediction(&[0.5, 0.5 + 0.9e-6], 0);
        assert!(close.tied);
        assert_eq!((close.predicted, close.gold_rank), (1, 2));
        assert!(!prediction(&[0.5, 0.5 + 1.1e-6], 0).tied);
    }

    #[test]
    fn a_single_label_is_always_right_and_has_no_margin() {
        let only = prediction(&[-0.2], 0);
        assert_eq!((only.predicted, only.gold_rank, only.margin, only.gold_margin, only.tied), (0, 1, None, None, false));
    }

    #[test]
    fn vectors_longer_than_a_span_are_multiplied_whole() {
        // 600 equal coordinates of a unit vector, against itself and against one that differs in sign in the last 100.
        let unit = vec![600_f64.sqrt().recip(); 600];
        let mut labels = unit.repeat(2);
        labels[1100..].iter_mut().for_each(|value| *value = -*value);
        let mut scores = [0.0; 4];
        multiply(&mut scores, &unit.repeat(2), &labels, 600);
        for (score, wanted) in scores.iter().zip([1.0, 2.0 / 3.0, 1.0, 2.0 / 3.0]) {
            assert!((score - wanted).abs() < 1e-12, "{scores:?}");
        }
    }

    #[test]
    fn dot_takes_every_coordinate_once() {
        for len in 0..40_u32 {
            let a: Vec<f64> = (1..=len).map(f64::from).collect();
            let wanted = f64::from(len * (len + 1) * (2 * len + 1) / 6);
            assert_eq!(dot(&a, &a), wanted, "{len} coordinates");
        }
    }
}
