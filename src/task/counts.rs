//! Counts of predictions by label, and the F1 scores they give.

use super::Prediction;
use crate::stats::number;

/// How often each label was right, predicted and meant.
pub(super) struct Counts {
    /// Row-major `[gold, predicted]`.
    pub confusion: Vec<u64>,
    pub tallies: Vec<Tally>,
}

/// Counts of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Samples of this label that were predicted as it.
    pub right: usize,
    /// Samples of this label.
    pub support: usize,
    /// Samples predicted as this label.
    pub predicted: usize,
}

impl Tally {
    /// Samples that are of this label, or predicted as it, or both.
    pub(super) const fn involved(&self) -> usize {
        self.support + self.predicted - self.right
    }

    /// Twice the hits over support plus predictions: 0 where only one of the two is 0, undefined where both are.
    pub(super) fn f1(&self) -> Option<f64> {
        (self.involved() > 0).then(|| 2.0 * number(self.right) / number(self.support + self.predicted))
    }
}

impl Counts {
    pub(super) fn of(predictions: &[Prediction], labels: usize) -> Self {
        let mut confusion = vec![0; labels * labels];
        for prediction in predictions {
            confusion[prediction.gold * labels + prediction.predicted] += 1;
        }
        let number = |row: usize, column: usize| usize::try_from(confusion[row * labels + column]).unwrap_or(usize::MAX);
        let tally = |label: usize| Tally {
            right: number(label, label),
            support: (0..labels).map(|predicted| number(label, predicted)).sum(),
            predicted: (0..labels).map(|gold| number(gold, label)).sum(),
        };
        Self { tallies: (0..labels).map(tally).collect(), confusion }
    }
}

/// Counts every label over gold and predicted labels that occur together so often.
pub(super) fn tally(pairs: impl Iterator<Item = (usize, usize, usize)>, labels: usize) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); labels];
    for (gold, predicted, count) in pairs {
        tallies[gold].support += count;
        tallies[predicted].predicted += count;
        tallies[gold].right += if gold == predicted { count } else { 0 };
    }
    tallies
}

/// Mean F1 over the labels that occur as gold or as prediction, as scikit-learn averages by default.
pub(super) fn macro_f1(tallies: &[Tally]) -> Option<f64> {
    let (sum, count) = tallies.iter().filter_map(Tally::f1).fold((0.0, 0_usize), |(sum, count), f1| (sum + f1, count + 1));
    (count > 0).then(|| sum / number(count))
}

/// Mean F1 of some answers; 0 without any.
pub(super) fn macro_f1_of(answers: &[usize], gold: &[usize], labels: usize) -> f64 {
    macro_f1(&tally(gold.iter().zip(answers).map(|(&gold, &answer)| (gold, answer, 1)), labels)).unwrap_or(0.0)
}

/// Mean F1 weighted by the number of samples of each label.
pub(super) fn weighted_f1(tallies: &[Tally]) -> Option<f64> {
    let samples: usize = tallies.iter().map(|tally| tally.support).sum();
    let sum: f64 = tallies.iter().filter_map(|tally| Some(tally.f1()? * number(tally.support))).sum();
    (samples > 0).then(|| sum / number(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(pairs: &[(usize, usize)]) -> Vec<Prediction> {
        let margins = (Some(0.1), Some(0.1));
        pairs
            .iter()
            .map(|&(gold, predicted)| Prediction {
                gold,
                predicted,
                gold_rank: 1,
                margin: margins.0,
                gold_margin: margins.1,
                tied: false,
            })
            .collect()
    }

    /// scikit-learn 1.9.1: `f1_score(gold, predicted, average=..., zero_division=0)`.
    #[test]
    fn f1_agrees_with_scikit_learn() {
        let gold = [0, 0, 0, 1, 1, 2, 2, 2, 2, 0];
        let predicted = [0, 1, 0, 1, 1, 2, 0, 2, 3, 0];
        let pairs: Vec<(usize, usize)> = gold.into_iter().zip(predicted).collect();
        let counts = Counts::of(&predictions(&pairs), 4);
        assert!((macro_f1(&counts.tallies).unwrap() - 0.554_166_666_666_666_7).abs() < 1e-12);
        assert!((weighted_f1(&counts.tallies).unwrap() - 0.726_666_666_666_666_6).abs() < 1e-12);
    }

    #[test]
    fn labels_that_nobody_means_or_predicts_do_not_count() {
        let predictions = predictions(&[(0, 0), (0, 1), (1, 1)]);
        let counts = Counts::of(&predictions, 3);
        assert_eq!(counts.confusion, [1, 1, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(counts.tallies[0], Tally { right: 1, support: 2, predicted: 1 });
        assert_eq!(counts.tallies[2].f1(), None);
        // Both labels in use have F1 2/3.
        assert!((macro_f1(&counts.tallies).unwrap() - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_label_that_is_only_predicted_has_f1_zero() {
        let counts = Counts::of(&predictions(&[(0, 0), (0, 1)]), 2);
        assert_eq!(counts.tallies[1].f1(), Some(0.0));
        assert_eq!(macro_f1(&[]), None);
        assert_eq!(weighted_f1(&[]), None);
    }
}
