//! How well one number tells two classes apart: rankings, thresholds, and what a threshold gets right.
//!
//! Equal numbers cannot be told apart, so no figure here depends on the order of tied samples.

use super::{Ordered, number};

/// What a threshold says of samples: those at or above it are called positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// Positives at or above the threshold.
    pub hits: usize,
    /// Negatives at or above the threshold.
    pub false_alarms: usize,
    pub positives: usize,
    pub negatives: usize,
}

impl Called {
    /// Counts what a threshold says.
    pub fn at(threshold: f64, scores: &[f64], positive: &[bool]) -> Self {
        let mut called = Self::before(positive);
        for (_, positive) in scores.iter().zip(positive).filter(|(score, _)| **score >= threshold) {
            called.add(usize::from(*positive), usize::from(!positive));
        }
        called
    }

    /// Nothing is called positive yet.
    fn before(positive: &[bool]) -> Self {
        let positives = positive.iter().filter(|positive| **positive).count();
        Self { hits: 0, false_alarms: 0, positives, negatives: positive.len() - positives }
    }

    const fn add(&mut self, positives: usize, negatives: usize) {
        self.hits += positives;
        self.false_alarms += negatives;
    }

    /// Samples that are called what they are.
    pub const fn right(&self) -> usize {
        self.hits + self.negatives - self.false_alarms
    }

    pub const fn all(&self) -> usize {
        self.positives + self.negatives
    }

    /// Share of what is called positive that is; None when nothing is called so.
    pub fn precision(&self) -> Option<f64> {
        let called = self.hits + self.false_alarms;
        (called > 0).then(|| number(self.hits) / number(called))
    }

    /// Share of positives that are called so; None without positives.
    pub fn recall(&self) -> Option<f64> {
        (self.positives > 0).then(|| number(self.hits) / number(self.positives))
    }

    /// Twice the hits over positives plus what is called positive; None where both are 0.
    pub fn f1(&self) -> Option<f64> {
        let both = self.hits + self.false_alarms + self.positives;
        (both > 0).then(|| 2.0 * number(self.hits) / number(both))
    }
}

/// The best of all thresholds, chosen by looking at the very samples it is judged on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    pub threshold: f64,
    pub called: Called,
}

/// The threshold with the highest `worth`; the highest of equals. It lies half way between two scores, just above the
/// highest (nothing is positive) or on the lowest (everything is). None without samples.
///
/// Source: `BinaryClassificationEvaluator` of sentence-transformers 6, which skips cuts between tied scores as well.
pub fn best_threshold(scores: &[f64], positive: &[bool], worth: impl Fn(&Called) -> f64) -> Option<Best> {
    let ordered = Ordered::new(scores);
    let groups: Vec<&[usize]> = ordered.ties().rev().collect();
    let score = |group: usize| groups.get(group).map(|tied| scores[tied[0]]);
    let mut called = Called::before(positive);
    let mut best = Best { threshold: score(0)?.next_up(), called };
    for (i, tied) in groups.iter().enumerate() {
        let hits = tied.iter().filter(|&&sample| positive[sample]).count();
        called.add(hits, tied.len() - hits);
        if worth(&called) > worth(&best.called) {
            let (here, next) = (scores[tied[0]], score(i + 1));
            // A midpoint of neighbouring numbers may round to the lower one, which is on the other side.
            let between = next.map(|next| f64::midpoint(here, next)).filter(|middle| next.is_some_and(|next| *middle > next));
            best = Best { threshold: between.unwrap_or(here), called };
        }
    }
    Some(best)
}

/// Mean over positives of the precision at each one's score, of samples that count so often each; samples of equal score enter
/// together, as in scikit-learn. None without positives.
///
/// Range: 0..1.
pub fn average_precision(scores: &Ordered, positive: &[bool], counts: &[u32]) -> Option<f64> {
    let (mut hits, mut called, mut sum) = (0.0, 0.0, 0.0);
    for tied in scores.ties().rev() {
        let (drawn, here) = drawn(tied, positive, counts);
        hits += here;
        called += drawn;
        if here > 0.0 {
            sum += here * hits / called;
        }
    }
    (hits > 0.0).then(|| sum / hits)
}

/// Share of pairs of a positive and a negative sample in which the positive one scores higher, ties counting half: the area
/// under the ROC curve. None unless there are both.
///
/// Range: 0..1.
pub fn roc_area(scores: &Ordered, positive: &[bool], counts: &[u32]) -> Option<f64> {
    let (mut positives, mut negatives, mut won) = (0.0, 0.0, 0.0);
    for tied in scores.ties() {
        let (drawn, here) = drawn(tied, positive, counts);
        won += here * (negatives + (drawn - here) / 2.0);
        positives += here;
        negatives += drawn - here;
    }
    (positives > 0.0 && negatives > 0.0).then(|| won / (positives * negatives))
}

/// How many of these samples were drawn, and how many positives.
fn drawn(tied: &[usize], positive: &[bool], counts: &[u32]) -> (f64, f64) {
    let all: u32 = tied.iter().map(|&i| counts[i]).sum();
    let positives: u32 = tied.iter().filter(|&&i| positive[i]).map(|&i| counts[i]).sum();
    (f64::from(all), f64::from(positives))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCORES: [f64; 8] = [0.9, 0.8, 0.8, 0.8, 0.5, 0.5, 0.3, 0.1];
    const POSITIVE: [bool; 8] = [true, true, false, true, false, true, false, false];

    fn right(called: &Called) -> f64 {
        number(called.right())
    }

    fn f1(called: &Called) -> f64 {
        called.f1().unwrap_or(0.0)
    }

    /// Called positive from above: 1 of 1 at 0.9, 3 of 4 at 0.8, 4 of 6 at 0.5.
    #[test]
    fn rankings_by_hand_and_by_scikit_learn() {
        let ordered = Ordered::new(&SCORES);
        let once = [1; 8];
        let by_hand = (1.0 + 2.0 * 3.0 / 4.0 + 4.0 / 6.0) / 4.0;
        assert!((average_precision(&ordered, &POSITIVE, &once).unwrap() - by_hand).abs() < 1e-15);
        // 16 pairs: the positive at 0.9 wins 4, those at 0.8 win 3.5 each, the one at 0.5 wins 2.5: 13.5 of 16.
        assert_eq!(roc_area(&ordered, &POSITIVE, &once), Some(13.5 / 16.0));
        // scikit-learn 1.9.1: average_precision_score(positive, scores), roc_auc_score(positive, scores)
        assert!((by_hand - 0.7916666666666666).abs() < 1e-15);
        assert_eq!(13.5 / 16.0, 0.84375);
    }

    /// sentence-transformers 6.2.0: `BinaryClassificationEvaluator.find_best_acc_and_threshold(scores, labels, True)` and
    /// `find_best_f1_and_threshold` on the same numbers.
    #[test]
    fn the_best_threshold_never_parts_ties() {
        let accuracy = best_threshold(&SCORES, &POSITIVE, right).unwrap();
        // Cutting below 0.8: three hits, one false alarm, so 6 of 8; below 0.5: four hits, two false alarms, also 6.
        assert_eq!((accuracy.called.right(), accuracy.threshold), (6, 0.65));
        let best = best_threshold(&SCORES, &POSITIVE, f1).unwrap();
        // Below 0.5: 2 * 4 / (6 + 4) = 0.8; below 0.8: 2 * 3 / (4 + 4) = 0.75.
        assert_eq!((best.called.f1(), best.threshold), (Some(0.8), 0.4));
        assert_eq!((best.called.precision(), best.called.recall()), (Some(4.0 / 6.0), Some(1.0)));
        assert_eq!(Called::at(0.4, &SCORES, &POSITIVE), best.called);
    }

    #[test]
    fn degenerate_samples() {
        // All tied: all or nothing, and nothing is right more often.
        let tied = best_threshold(&[0.5; 3], &[true, false, false], right).unwrap();
        assert_eq!((tied.called.right(), tied.called.hits), (2, 0));
        assert!(tied.threshold > 0.5);
        let all = best_threshold(&[0.5; 3], &[true, true, false], right).unwrap();
        assert_eq!((all.called.right(), all.threshold), (2, 0.5));
        assert_eq!(best_threshold(&[], &[], right), None);
        let ordered = Ordered::new(&[0.1, 0.2]);
        assert_eq!(average_precision(&ordered, &[false, false], &[1, 1]), None);
        assert_eq!(average_precision(&ordered, &[true, true], &[1, 1]), Some(1.0));
        assert_eq!(roc_area(&ordered, &[true, true], &[1, 1]), None);
        let nothing = Called::at(0.5, &[0.1], &[false]);
        assert_eq!((nothing.precision(), nothing.recall(), nothing.f1()), (None, None, None));
    }

    /// All that a threshold can do, one by one.
    fn exhaustive(scores: &[f64], positive: &[bool], worth: fn(&Called) -> f64) -> f64 {
        let tries = scores.iter().copied().chain([f64::MAX]);
        tries.map(|threshold| worth(&Called::at(threshold, scores, positive))).fold(f64::MIN, f64::max)
    }

    /// scikit-learn's definition, term by term: recall gained times precision, over distinct scores from the top.
    fn summed(scores: &[f64], positive: &[bool]) -> Option<f64> {
        let mut levels = scores.to_vec();
        levels.sort_by(|a, b| b.total_cmp(a));
        levels.dedup();
        let (mut sum, mut before) = (0.0, 0.0);
        for level in levels {
            let called = Called::at(level, scores, positive);
            let recall = called.recall()?;
            sum += (recall - before) * called.precision().unwrap_or(0.0);
            before = recall;
        }
        Some(sum)
    }

    proptest! {
        #[test]
        fn figures_are_those_of_their_definitions(rows in prop::collection::vec((0_u8..7, any::<bool>()), 1..40)) {
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 7.0).collect();
            let positive: Vec<bool> = rows.iter().map(|row| row.1).collect();
            for worth in [right as fn(&Called) -> f64, f1] {
                let best = best_threshold(&scores, &positive, worth).unwrap();
                prop_assert_eq!(worth(&best.called), exhaustive(&scores, &positive, worth));
                prop_assert_eq!(Called::at(best.threshold, &scores, &positive), best.called);
            }
            let ordered = Ordered::new(&scores);
            match (average_precision(&ordered, &positive, &vec![1; rows.len()]), summed(&scores, &positive)) {
                (Some(found), Some(wanted)) => prop_assert!((found - wanted).abs() < 1e-12),
                (found, wanted) => prop_assert_eq!(found, wanted),
            }
        }
    }
}
