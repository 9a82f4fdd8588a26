//! The score matrix and what each sample's scores say.

use std::sync::Mutex;

use multiversion::multiversion;
use rayon::prelude::*;

use super::calibrate::calibrate;
use super::directions::{self, AT_ONCE, Common, ExactSum, Labels};
use super::{LabelSimilarity, Prediction, TIE, Texts};
use crate::embeddings::Embeddings;
use crate::products::{self, Left, Out};
use crate::spec::Calibration;
use crate::stats::number;

/// Texts that one thread multiplies at a time: few, so that they stay in the second-level cache as f64.
const ROWS: usize = 48;

/// The scores of one task.
pub(super) struct Scored {
    /// Cosines, calibrated. Shape: row-major `[texts, labels]`.
    pub scores: Vec<f64>,
    /// Texts and labels that have no direction.
    pub without_direction: usize,
    pub label_anisotropy: Option<f64>,
}

/// Scores of sound tasks, at least one, and what their texts have in common. The centre is known once all texts were seen:
/// tasks that need it are scored when the texts are read again.
pub(super) fn score<T: Texts>(texts: &T, tasks: &[LabelSimilarity<'_>]) -> Result<(Common, Vec<Scored>), T::Error> {
    let parts = texts.parts();
    let labels: Vec<Labels> =
        tasks.iter().map(|task| Labels::new(task.wordings, &parts, task.labels, task.calibration)).collect();
    let mut scored: Vec<Scored> = (labels.iter())
        .map(|labels| Scored {
            scores: Vec::new(),
            without_direction: labels.without_direction,
            label_anisotropy: labels.anisotropy,
        })
        .collect();
    let mut common = Common::default();
    for first in [true, false] {
        let own: Vec<usize> = (0..tasks.len()).filter(|&i| (tasks[i].calibration != Calibration::Center) == first).collect();
        if common.not_finite.is_some() || !first && own.is_empty() {
            continue;
        }
        let centre = (!first).then_some(common.centre.as_slice());
        let labels = own.iter().map(|&i| &labels[i]).collect();
        let mut pass = Pass { parts: &parts, centre, labels, sum: None, lost: 0, not_finite: None, spare: Mutex::default() };
        for &i in &own {
            scored[i].scores = vec![0.0; texts.count() * tasks[i].labels];
        }
        let mut products = vec![Vec::new(); own.len()];
        texts.visit(&mut |positions, block| {
            pass.multiply(positions, block, &mut products);
            for (&i, products) in own.iter().zip(&products) {
                let labels = tasks[i].labels;
                for (position, row) in positions.iter().zip(products.chunks_exact(labels)) {
                    scored[i].scores[position * labels..(position + 1) * labels].copy_from_slice(row);
                }
            }
        })?;
        own.iter().for_each(|&i| scored[i].without_direction += pass.lost);
        if let Some(sum) = pass.sum {
            common = sum.common(pass.not_finite);
        }
    }
    for ((task, labels), scored) in tasks.iter().zip(&labels).zip(&mut scored) {
        calibrate(&mut scored.scores, task.labels, task.calibration, &prior(task, labels, &parts));
    }
    Ok((common, scored))
}

/// The mean score of each label over the content-free texts that have a direction; empty where there are none.
fn prior(task: &LabelSimilarity<'_>, labels: &Labels, parts: &[usize]) -> Vec<f64> {
    let Some(texts) = task.content_free else { return Vec::new() };
    let mut directed = Vec::new();
    let mut unit = vec![0.0; texts.dim()];
    for row in texts.rows() {
        if directions::direction(row, parts, None, &mut unit) == Some(true) {
            directed.extend_from_slice(&unit);
        }
    }
    let mut scores = vec![0.0; directed.len() / texts.dim() * labels.count()];
    product_of(&mut scores, &directed, labels);
    let count = number((scores.len() / labels.count()).max(1));
    let mean = |label: usize| scores.iter().skip(label).step_by(labels.count()).sum::<f64>() / count;
    (0..labels.count()).map(mean).collect()
}

/// One reading of the texts.
struct Pass<'a> {
    /// Widths of the parts that are vectors of their own.
    parts: &'a [usize],
    /// What texts are centred on. Without it, this is the first reading, which sums them up.
    centre: Option<&'a [f64]>,
    labels: Vec<&'a Labels>,
    sum: Option<ExactSum>,
    /// Texts without direction.
    lost: usize,
    not_finite: Option<usize>,
    /// Matrices of texts as f64 that no thread uses at the moment. Shape of each: `[ROWS, dim]`.
    spare: Mutex<Vec<Vec<f64>>>,
}

impl Pass<'_> {
    /// Multiplies a block of texts with the labels of each task. Shape of each product: `[block, labels]`.
    fn multiply(&mut self, positions: &[usize], block: &Embeddings, products: &mut [Vec<f64>]) {
        let dim = block.dim();
        let mut chunks: Vec<Vec<&mut [f64]>> = positions.chunks(ROWS).map(|_| Vec::new()).collect();
        for (labels, product) in self.labels.iter().zip(products) {
            product.resize(positions.len() * labels.count(), 0.0);
            let whole = product.chunks_mut(ROWS * labels.count());
            chunks.iter_mut().zip(whole).for_each(|(chunk, product)| chunk.push(product));
        }
        let inputs = block.values().par_chunks(ROWS * dim).zip(positions.par_chunks(ROWS)).zip(chunks);
        let (parts, centre, labels) = (self.parts, self.centre, &self.labels);
        let empty = || Tally { sum: centre.is_none().then(|| ExactSum::new(dim)), lost: 0, not_finite: None };
        let spare = &self.spare;
        let tally = inputs
            .fold(empty, |mut tally, ((rows, positions), products)| {
                let mut wide = spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_else(|| vec![0.0; ROWS * dim]);
                widen(&mut tally, rows, positions, (parts, centre), &mut wide);
                labels.iter().zip(products).for_each(|(labels, product)| product_of(product, &wide, labels));
                spare.lock().into_iter().for_each(|mut spare| spare.push(std::mem::take(&mut wide)));
                tally
            })
            .reduce(empty, |tally, other| tally.merge(&other));
        self.lost += tally.lost;
        self.not_finite = earlier(self.not_finite, tally.not_finite);
        self.sum = match (self.sum.take(), tally.sum) {
            (Some(sum), Some(more)) => Some(sum.merge(&more)),
            (sum, more) => sum.or(more),
        };
    }
}

/// What some texts add up to; the same in any order.
struct Tally {
    sum: Option<ExactSum>,
    lost: usize,
    not_finite: Option<usize>,
}

impl Tally {
    fn merge(self, other: &Self) -> Self {
        let sum = match (self.sum, &other.sum) {
            (Some(sum), Some(more)) => Some(sum.merge(more)),
            (sum, _) => sum,
        };
        Self { sum, lost: self.lost + other.lost, not_finite: earlier(self.not_finite, other.not_finite) }
    }
}

/// Writes the directions of up to `ROWS` texts into `wide`, whose further rows keep what they had.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn widen(tally: &mut Tally, rows: &[f32], positions: &[usize], (parts, centre): (&[usize], Option<&[f64]>), wide: &mut [f64]) {
    let dim = rows.len() / positions.len();
    let few = AT_ONCE * dim;
    for ((rows, wide), positions) in rows.chunks(few).zip(wide.chunks_mut(few)).zip(positions.chunks(AT_ONCE)) {
        let wide = &mut wide[..rows.len()];
        let mut directed = 0;
        for ((row, wide), &position) in rows.chunks_exact(dim).zip(wide.chunks_exact_mut(dim)).zip(positions) {
            match directions::direction(row, parts, centre, wide) {
                Some(true) => directed += 1,
                Some(false) => tally.lost += 1,
                None => {
                    wide.fill(0.0);
                    tally.not_finite = earlier(tally.not_finite, Some(position));
                }
            }
        }
        if let Some(sum) = &mut tally.sum {
            sum.add(wide, directed);
        }
    }
}

/// The smaller of two indices that may not be there.
fn earlier(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    a.into_iter().chain(b).min()
}

/// Cosines of unit vectors with the labels' for the leading rows of `texts` that `product` has room for.
fn product_of(product: &mut [f64], texts: &[f64], labels: &Labels) {
    let (outputs, inputs) = (labels.count(), labels.vectors.inputs);
    let left = Left { values: texts, rows: product.len() / outputs, stride: inputs, inputs };
    products::multiply(left, &labels.vectors, &mut Out { values: product, stride: outputs, outputs, continued: false });
    product.iter_mut().for_each(|score| *score = score.clamp(-1.0, 1.0));
}

/// One prediction per sample from row-major `[n, labels]` scores.
pub(super) fn predict(scores: &[f64], labels: usize, gold: &[usize]) -> Vec<Prediction> {
    scores.par_chunks_exact(labels).zip(gold).map(|(scores, &gold)| prediction(scores, gold)).collect()
}

/// Labels rank by score, highest first; labels with exactly equal scores rank in the slice's order.
fn prediction(scores: &[f64], gold: usize) -> Prediction {
    let mut best = (0, f64::NEG_INFINITY);
    let mut second = f64::NEG_INFINITY;
    for (label, &score) in scores.iter().enumerate() {
        if score > best.1 {
            second = best.1;
            best = (label, score);
        } else if score > second {
            second = score;
        }
    }
    let (predicted, highest) = best;
    let of_gold = scores[gold];
    let margin = (scores.len() > 1).then_some(highest - second);
    let gold_margin = if predicted == gold { margin } else { Some(of_gold - highest) };
    let (before, after) = scores.split_at(gold);
    let gold_rank =
        1 + before.iter().filter(|&&score| score >= of_gold).count() + after.iter().filter(|&&score| score > of_gold).count();
    Prediction { gold, predicted, gold_rank, margin, gold_margin, tied: margin.is_some_and(|margin| margin <= TIE) }
}

#[cfg(test)]
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
}
