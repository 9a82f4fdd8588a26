//! The protocol against scikit-learn, and what it does at the edges.
//!
//! scikit-learn 1.9.1: `SentEval`'s `KFoldClassifier`, `SplitClassifier` and `InnerKFoldClassifier` with `usepytorch = False`, written
//! down with `LogisticRegression(C, tol=1e-12, max_iter=100000)`; vectors and labels by the formulas below.

use super::*;

/// Vectors that another program can repeat: sin(start + 7 i + 3 j^2) as f32.
fn vectors(count: usize, start: f64) -> Embeddings {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
    let at = |i: usize, j: usize| (start + 7.0 * number(i) + 3.0 * number(j * j)).sin() as f32;
    Embeddings::from_values(5, (0..count).flat_map(|i| (0..5).map(move |j| at(i, j))).collect())
}

fn labels(count: usize, of: usize) -> Vec<usize> {
    (0..count).map(|i| i * i / 3 % of).collect()
}

fn lengths(count: usize) -> Vec<Vec<usize>> {
    (0..count).map(|i| vec![i * 5 % 4]).collect()
}

fn value(evaluation: &Evaluation, name: &str) -> f64 {
    let found = evaluation.metrics.iter().find(|metric| metric.name == name && metric.label.is_none());
    found.and_then(|metric| metric.estimate).unwrap_or_else(|| panic!("no {name}")).value
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-12, "{found}, wanted {wanted}");
}

const ANSWERS: [usize; 20] = [0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0];

#[test]
fn folds_of_the_train_texts_pick_the_penalty() {
    let (train, texts, known, gold) = (vectors(60, 1.0), vectors(20, 2.0), labels(60, 3), labels(20, 3));
    let lesson = Lesson { train: &train, known: &known, texts: &texts, gold: &gold, labels: 3, seed: 1 };
    assert_eq!(sorted(&known, &lengths(60))[..8], [0, 8, 12, 24, 28, 36, 44, 48]);
    let found = senteval(&lesson, Judge::Folds { folds: 5, lengths: &lengths(60) }).unwrap();
    // Means over the folds: 68.33, 66.67, 66.67, 68.33, 68.33, 66.67, 66.67 %; of equal ones the strongest penalty.
    close(value(&found, "c"), 0.5);
    close(value(&found, "dev_accuracy"), 41.0 / 60.0);
    close(value(&found, "accuracy"), 0.65);
    assert_eq!(found.predictions.iter().map(|prediction| prediction.predicted).collect::<Vec<_>>(), ANSWERS);
}

#[test]
fn other_texts_pick_the_penalty() {
    let (train, texts, known, gold) = (vectors(60, 1.0), vectors(20, 2.0), labels(60, 3), labels(20, 3));
    let lesson = Lesson { train: &train, known: &known, texts: &texts, gold: &gold, labels: 3, seed: 1 };
    let dev = vectors(30, 3.0);
    let right: Vec<usize> = (0..30).map(|i| (i * i / 3 + i / 3) % 3).collect();
    let found = senteval(&lesson, Judge::Dev { texts: &dev, known: &right }).unwrap();
    // 46.67 % under the others.
    close(value(&found, "c"), 8.0);
    close(value(&found, "dev_accuracy"), 0.5);
}

#[test]
fn folds_within_folds_answer_for_every_text() {
    let (texts, gold) = (vectors(60, 1.0), labels(60, 2));
    let lesson = Lesson { train: &texts, known: &gold, texts: &texts, gold: &gold, labels: 2, seed: 1 };
    let found = senteval_nested(&lesson, 4, &lengths(60)).unwrap();
    let wanted = [
        1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0,
        0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0,
    ];
    assert_eq!(found.predictions.iter().map(|prediction| prediction.predicted).collect::<Vec<_>>(), wanted);
    assert_eq!(found.metrics[0].name, "mean_accuracy");
    // Accuracies of the four folds: 4, 7, 4 and 4 of 15.
    close(value(&found, "mean_accuracy"), 19.0 / 60.0);
    close(value(&found, "sd_accuracy"), (3.0_f64 / 16.0).sqrt() * 3.0 / 15.0);
    close(value(&found, "experiments"), 4.0);
    // The best means within them, rounded: 60.04, 33.52, 48.67 and 42.42 %.
    assert!((value(&found, "dev_accuracy") - 0.461_625).abs() < 1e-4);
}

#[test]
fn folds_of_unequal_size_count_alike() {
    // Fourteen texts that lie where their labels do: 5, 5 and 4 in three folds, all of them right.
    let gold: Vec<usize> = (0..14).map(|i| i % 2).collect();
    let texts = Embeddings::from_values(1, gold.iter().map(|&label| if label == 0 { -3.0 } else { 3.0 }).collect());
    let lesson = Lesson { train: &texts, known: &gold, texts: &texts, gold: &gold, labels: 2, seed: 1 };
    let found = senteval_nested(&lesson, 3, &lengths(14)).unwrap();
    close(value(&found, "mean_accuracy"), 1.0);
    close(value(&found, "accuracy"), 1.0);
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    let (texts, gold) = (vectors(6, 1.0), [0; 6]);
    let lesson = Lesson { train: &texts, known: &gold, texts: &texts, gold: &gold, labels: 2, seed: 1 };
    assert_eq!(senteval_nested(&lesson, 3, &lengths(6)).unwrap_err(), TaskError::OneClass);
    let judge = Judge::Folds { folds: 3, lengths: &lengths(6) };
    assert_eq!(senteval(&lesson, judge).unwrap_err(), TaskError::OneClass);
    let broken = Embeddings::from_values(5, vec![f32::NAN; 5]);
    let known = [0, 1, 0, 1, 0, 1];
    let refused = senteval(&Lesson { known: &known, ..lesson }, Judge::Dev { texts: &broken, known: &[0] }).unwrap_err();
    assert_eq!(refused, TaskError::NotFinite { of: Vectors::Dev, row: 0 });
}
