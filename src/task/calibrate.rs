//! Calibrations that correct a whole matrix of scores, label by label.
//!
//! All of them take something from each label's scores, so that a label near all texts does not win them all. Scores stay on
//! the scale of cosines, but for z-scores. Rows of zeros are texts without a direction: they keep their zeros and say nothing
//! of any label.

use rayon::prelude::*;

use crate::spec::Calibration;
use crate::stats::number;

/// Corrects cosines in place. Shape: row-major `[texts, labels]`. `prior` has the labels' scores of content-free texts, for
/// the calibration that takes those off; for the others it is empty.
///
/// Determinism: sums run over texts in their order, so threads change nothing.
pub(super) fn calibrate(scores: &mut [f64], labels: usize, calibration: Calibration, prior: &[f64]) {
    let columns = |of: fn(&mut Vec<f64>) -> Correction| -> Vec<Correction> {
        (0..labels).into_par_iter().map(|label| of(&mut column(scores, labels, label))).collect()
    };
    let corrections = match calibration {
        Calibration::None | Calibration::Center => return,
        Calibration::ContentFree => prior.iter().map(|&offset| Correction { offset, scale: 1.0 }).collect(),
        Calibration::LabelMean => columns(|column| Correction { offset: mean(column), scale: 1.0 }),
        Calibration::ZScore => columns(|column| standard(column)),
        Calibration::InvertedSoftmax { beta } => {
            let soft = |label| Correction { offset: soft_maximum(&column(scores, labels, label), f64::from(beta)), scale: 1.0 };
            (0..labels).into_par_iter().map(soft).collect()
        }
        Calibration::Csls { k } => return csls(scores, labels, k as usize),
    };
    rows(scores, labels).for_each(|row| {
        row.iter_mut().zip(&corrections).for_each(|(score, correction)| {
            *score = (*score - correction.offset) * correction.scale;
        });
    });
}

/// What a label's scores are corrected by.
#[derive(Clone, Copy)]
struct Correction {
    offset: f64,
    scale: f64,
}

/// Twice the score, minus the mean of the row's `k` largest and of the column's `k` largest.
///
/// Source: cross-domain similarity local scaling, Conneau et al. 2018, arXiv 1710.04087.
fn csls(scores: &mut [f64], labels: usize, k: usize) {
    let near: Vec<f64> =
        (0..labels).into_par_iter().map(|label| mean_of_largest(&mut column(scores, labels, label), k)).collect();
    rows(scores, labels).for_each(|row| {
        let own = mean_of_largest(&mut row.to_vec(), k);
        row.iter_mut().zip(&near).for_each(|(score, near)| *score = 2.0 * *score - own - near);
    });
}

/// The rows of texts that have a direction.
fn rows(scores: &mut [f64], labels: usize) -> impl ParallelIterator<Item = &mut [f64]> {
    scores.par_chunks_exact_mut(labels).filter(|row| is_directed(row))
}

/// A label's scores of the texts that have a direction, in the order of the texts.
fn column(scores: &[f64], labels: usize, label: usize) -> Vec<f64> {
    scores.chunks_exact(labels).filter(|row| is_directed(row)).map(|row| row[label]).collect()
}

fn is_directed(row: &[f64]) -> bool {
    row.iter().any(|&score| score != 0.0)
}

/// The mean; 0 of nothing.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / number(values.len().max(1))
}

/// Mean and one over the population's standard deviation; equal scores are left as wide as they are.
fn standard(values: &[f64]) -> Correction {
    let offset = mean(values);
    let variance = values.iter().map(|value| (value - offset).powi(2)).sum::<f64>() / number(values.len().max(1));
    // Scores of f32 vectors resolve 1e-7: a smaller spread is rounding.
    let scale = if variance.sqrt() > 1e-9 { variance.sqrt().recip() } else { 1.0 };
    Correction { offset, scale }
}

/// The mean of the `k` largest values, or of all if there are fewer; 0 of nothing.
fn mean_of_largest(values: &mut [f64], k: usize) -> f64 {
    if k < values.len() {
        values.select_nth_unstable_by(k, |a, b| b.total_cmp(a));
    }
    let most = k.min(values.len());
    let largest = &mut values[..most];
    // Added in an order of their own, whichever way they were found.
    largest.sort_unstable_by(|a, b| b.total_cmp(a));
    mean(largest)
}

/// `ln(mean(exp(beta x))) / beta`: the mean for a small `beta`, the maximum for a large one.
///
/// The softmax over texts divides `exp(beta x)` by its sum over the label's texts. Its logarithm, over `beta` and without the
/// constant, is the score minus this: the same order, on the scale of cosines.
///
/// Source: Smith et al. 2017, arXiv 1702.03859.
fn soft_maximum(values: &[f64], beta: f64) -> f64 {
    let Some(highest) = values.iter().copied().reduce(f64::max) else { return 0.0 };
    let powers: f64 = values.iter().map(|value| (beta * (value - highest)).exp()).sum();
    highest + (powers / number(values.len())).ln() / beta
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "numbers that doubles hold exactly")]
mod tests {
    use super::*;

    /// Three texts and two labels. The second label is near all of them.
    const SCORES: [f64; 6] = [0.75, 0.75, 0.25, 0.75, 0.5, 0.875];

    fn calibrated(calibration: Calibration) -> Vec<f64> {
        let mut scores = SCORES.to_vec();
        calibrate(&mut scores, 2, calibration, &[0.5, 0.75]);
        scores
    }

    fn close(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{found:?}, not {wanted:?}");
    }

    #[test]
    fn plain_scores_and_centred_ones_are_left_alone() {
        assert_eq!(calibrated(Calibration::None), SCORES);
        assert_eq!(calibrated(Calibration::Center), SCORES);
    }

    #[test]
    fn the_content_free_prior_is_taken_off_each_label() {
        assert_eq!(calibrated(Calibration::ContentFree), [0.25, 0.0, -0.25, 0.0, 0.0, 0.125]);
    }

    #[test]
    fn the_mean_of_each_label_becomes_zero() {
        // Means: (0.75 + 0.25 + 0.5) / 3 = 1/2, and (0.75 + 0.75 + 0.875) / 3 = 19/24.
        let second = 19.0 / 24.0;
        close(&calibrated(Calibration::LabelMean), &[0.25, 0.75 - second, -0.25, 0.75 - second, 0.0, 0.875 - second]);
    }

    #[test]
    fn z_scores_have_spread_one() {
        // First label: deviations 1/4, -1/4, 0, variance (1/16 + 1/16) / 3 = 1/24. Second: -1/24, -1/24, 2/24, variance
        // 6/576/3 = 1/288.
        let (first, second) = (24.0_f64.sqrt() / 4.0, 288.0_f64.sqrt() / 24.0);
        close(&calibrated(Calibration::ZScore), &[first, -second, -first, -second, 0.0, 2.0 * second]);
    }

    #[test]
    fn csls_takes_off_the_neighbourhoods_of_text_and_label() {
        // k = 1: each text's best label (0.75, 0.75, 0.875), each label's best text (0.75, 0.875).
        let one = [0.0, -0.125, -1.0, -0.125, -0.625, 0.0];
        assert_eq!(calibrated(Calibration::Csls { k: 1 }), one);
        // k = 2: both labels of each text (0.75, 0.5, 0.6875), the two best texts of each label (0.625, 0.8125).
        let two = [0.125, -0.0625, -0.625, 0.1875, -0.3125, 0.25];
        assert_eq!(calibrated(Calibration::Csls { k: 2 }), two);
        // More than there are: all of them, three texts and two labels.
        assert_eq!(calibrated(Calibration::Csls { k: 10 }), calibrated(Calibration::Csls { k: 3 }));
    }

    #[test]
    fn the_inverted_softmax_orders_as_its_probabilities_do() {
        let found = calibrated(Calibration::InvertedSoftmax { beta: 4 });
        // Over the texts, exp(4 x) sums to e^3 + e^1 + e^2 and to 2 e^3 + e^3.5; a third of that is the mean.
        let e = std::f64::consts::E;
        let sums = [e.powi(3) + e + e.powi(2), 2.0 * e.powi(3) + e.powf(3.5)];
        let probability = |i: usize| (4.0 * SCORES[i]).exp() / sums[i % 2];
        let wanted: Vec<f64> = (0..6).map(|i| (3.0 * probability(i)).ln() / 4.0).collect();
        close(&found, &wanted);
        // 20.09 / 30.19 for the first label against 20.09 / 73.29 for the second.
        assert!((probability(0) - 0.665_240_955_774_821_8).abs() < 1e-12 && probability(1) < 0.275);
        assert!(calibrated(Calibration::InvertedSoftmax { beta: 4000 }).iter().all(|score| score.is_finite()));
    }

    const ALL: [Calibration; 7] = [
        Calibration::None,
        Calibration::Center,
        Calibration::ContentFree,
        Calibration::LabelMean,
        Calibration::ZScore,
        Calibration::Csls { k: 10 },
        Calibration::InvertedSoftmax { beta: 30 },
    ];

    #[test]
    fn degenerate_scores_stay_finite() {
        for calibration in ALL {
            for (labels, scores) in
                [(1, vec![0.5, 0.25]), (2, vec![0.5; 4]), (3, vec![0.0; 6]), (2, vec![0.25, 0.5]), (2, vec![])]
            {
                let mut found = scores.clone();
                calibrate(&mut found, labels, calibration, &vec![0.25; labels]);
                assert!(found.iter().all(|score| score.is_finite()), "{calibration}: {scores:?} became {found:?}");
                if scores.iter().all(|&score| score == 0.0) {
                    assert_eq!(found, scores, "{calibration}: texts without a direction score 0");
                }
            }
        }
    }

    /// What each makes of scores that say nothing, by hand: two texts with one label, then two with equal scores for two labels.
    #[test]
    fn degenerate_scores_by_hand() {
        let found = |calibration, labels: usize, scores: &[f64]| {
            let mut found = scores.to_vec();
            calibrate(&mut found, labels, calibration, &vec![0.25; labels]);
            found
        };
        let (one, tied) = ([0.5, 0.25], [0.5; 4]);
        for (calibration, of_one, of_tied) in [
            (Calibration::None, one, 0.5),
            (Calibration::ContentFree, [0.25, 0.0], 0.25),
            (Calibration::LabelMean, [0.125, -0.125], 0.0),
            // Standard deviation 1/8; without any, scores are their distances from the mean.
            (Calibration::ZScore, [1.0, -1.0], 0.0),
            // Twice the score, less its text's best label, which is itself, and the label's best texts, 3/8 on the mean.
            (Calibration::Csls { k: 2 }, [0.125, -0.125], 0.0),
        ] {
            close(&found(calibration, 1, &one), &of_one);
            close(&found(calibration, 2, &tied), &[of_tied; 4]);
        }
        // x - ln(mean(e^x)) with beta 1: 0.5 - ln((e^0.5 + e^0.25) / 2).
        let shared = f64::midpoint(0.5_f64.exp(), 0.25_f64.exp()).ln();
        close(&found(Calibration::InvertedSoftmax { beta: 1 }, 1, &one), &[0.5 - shared, 0.25 - shared]);
        close(&found(Calibration::InvertedSoftmax { beta: 1 }, 2, &tied), &[0.0; 4]);
    }

    #[test]
    fn equal_scores_stay_equal_and_zero_rows_say_nothing() {
        for calibration in ALL {
            let mut ties = vec![0.5; 6];
            calibrate(&mut ties, 2, calibration, &[0.25; 2]);
            assert!(ties.iter().all(|&score| score == ties[0]), "{calibration}: {ties:?}");
            let mut more = [SCORES.to_vec(), vec![0.0; 2]].concat();
            calibrate(&mut more, 2, calibration, &[0.5, 0.75]);
            assert_eq!((&more[..6], &more[6..]), (&*calibrated(calibration), &[0.0, 0.0][..]), "{calibration}");
        }
    }

    #[test]
    fn a_hub_lets_go_of_the_texts_of_others() {
        let predicted =
            |calibration| -> Vec<bool> { calibrated(calibration).chunks_exact(2).map(|row| row[0] > row[1]).collect() };
        assert_eq!(predicted(Calibration::None), [false, false, false]);
        for calibration in &ALL[2..] {
            assert_eq!(predicted(*calibration), [true, false, false], "{calibration}");
        }
    }
}
