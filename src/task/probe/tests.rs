//! The probe against scikit-learn, MTEB's draws against numpy, and what cannot be learnt.

use super::*;

/// Vectors that another program can repeat: sin(start + 7 i + 3 j^2) as f32.
fn vectors(count: usize, dim: usize, start: f64) -> Embeddings {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
    let at = |i: usize, j: usize| (start + 7.0 * number(i) + 3.0 * number(j * j)).sin() as f32;
    Embeddings::from_values(dim, (0..count).flat_map(|i| (0..dim).map(move |j| at(i, j))).collect())
}

fn value(evaluation: &Evaluation, name: &str) -> f64 {
    let found = evaluation.metrics.iter().find(|metric| metric.name == name && metric.label.is_none());
    found.and_then(|metric| metric.estimate).unwrap().value
}

fn lesson<'a>(train: &'a Embeddings, known: &'a [usize], texts: &'a Embeddings) -> Lesson<'a> {
    Lesson { train, known, texts, gold: &[0; 10], labels: 4, seed: 1 }
}

/// scikit-learn 1.9.1: `LogisticRegression(C=1, tol=1e-12, max_iter=100000)` on `sin(1 + 7 i + 3 j j)`, labels `i * i // 3 % 3`;
/// the fourth label has no train text.
#[test]
fn the_optimum_is_that_of_scikit_learn() {
    let (train, texts) = (vectors(40, 5, 1.0), vectors(10, 5, 2.0));
    let known: Vec<usize> = (0..40).map(|i| i * i / 3 % 3).collect();
    let found = linear_probe(&lesson(&train, &known, &texts), 1.0, None).unwrap();
    assert!((value(&found, "loss") - 0.6894664043003798).abs() < 1e-9, "{}", value(&found, "loss"));
    let wanted = [0.7566880996221498, 0.24233895655707202, 0.0009729438207780777, 0.0];
    for (found, wanted) in found.scores.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
    }
    let predicted: Vec<usize> = found.predictions.iter().map(|prediction| prediction.predicted).collect();
    assert_eq!(predicted, [0, 0, 0, 2, 2, 0, 0, 0, 0, 0]);
}

/// The same with two labels, which scikit-learn tells apart by one set of weights: `C=0.5`, 30 texts of 4 coordinates.
#[test]
fn two_labels_have_one_set_of_weights() {
    let (train, texts) = (vectors(30, 4, 1.0), vectors(10, 4, 2.0));
    let known: Vec<usize> = (0..30).map(|i| i * i / 3 % 2).collect();
    let found = linear_probe(&lesson(&train, &known, &texts), 0.5, None).unwrap();
    assert!((value(&found, "loss") - 0.6833861308805244).abs() < 1e-9, "{}", value(&found, "loss"));
    assert!((found.scores[0] - 0.4293718042577922).abs() < 1e-5 && (found.scores[1] - 0.5706281957422078).abs() < 1e-5);
    let predicted: Vec<usize> = found.predictions.iter().map(|prediction| prediction.predicted).collect();
    assert_eq!(predicted, [1, 1, 1, 0, 0, 0, 0, 0, 1, 1]);
}

/// numpy 2.4.6: `order = list(range(12)); RandomState(42).shuffle(order)`, twice; labels are `i % 3`, one text of each.
#[test]
fn draws_are_those_of_mteb() {
    let known: Vec<usize> = (0..12).map(|i| i % 3).collect();
    // 10 9 0 8 5 2 1 11 4 7 3 6, then 3 7 10 4 2 0 9 6 5 11 8 1.
    assert_eq!(mteb_draws(&known, 1, 2), [[10, 9, 8], [3, 7, 2]]);
    assert_eq!(mteb_draws(&known, 2, 1), [[10, 9, 0, 8, 5, 1]]);
    assert_eq!(mteb_draws(&known, 9, 1)[0].len(), 12);
}

#[test]
fn experiments_are_averaged_and_the_first_one_answers() {
    let (train, texts) = (vectors(40, 5, 1.0), vectors(10, 5, 2.0));
    let known: Vec<usize> = (0..40).map(|i| i * i / 3 % 3).collect();
    let found = linear_probe(&lesson(&train, &known, &texts), 1.0, Some((4, 3))).unwrap();
    assert_eq!(found.metrics[0].name, "mean_accuracy");
    let alone = |rows: &[usize]| {
        let known: Vec<Option<usize>> = rows.iter().map(|&row| Some(known[row])).collect();
        let fitted = Fitted::to(&Laid::of(&train, rows), &known, 1.0, None).unwrap();
        let scores = fitted.probabilities(&texts, 4);
        number(scores.chunks_exact(4).filter(|scores| best(scores) == 0).count()) / 10.0
    };
    let each: Vec<f64> = mteb_draws(&known, 4, 3).iter().map(|rows| alone(rows)).collect();
    assert!((value(&found, "mean_accuracy") - each.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert!((value(&found, "accuracy") - each[0]).abs() < 1e-12);
    assert!((value(&found, "experiments") - 3.0).abs() < 1e-12 && (value(&found, "train_texts") - 12.0).abs() < 1e-12);
}

#[test]
fn one_label_teaches_nothing_and_a_label_without_texts_is_never_the_answer() {
    let (train, texts) = (vectors(4, 3, 1.0), vectors(10, 3, 2.0));
    assert_eq!(linear_probe(&lesson(&train, &[2, 2, 2, 2], &texts), 1.0, None).unwrap_err(), TaskError::OneClass);
    let found = linear_probe(&Lesson { gold: &[3; 10], ..lesson(&train, &[0, 2, 0, 2], &texts) }, 1.0, None).unwrap();
    assert!((value(&found, "unseen_labels") - 1.0).abs() < 1e-12 && value(&found, "accuracy") < 1e-12);
    assert!(found.predictions.iter().all(|prediction| [0, 2].contains(&prediction.predicted)));
}

/// All vectors alike: the intercepts alone learn, so that probabilities are the labels' shares of the train texts.
#[test]
fn constant_vectors_give_the_shares_of_the_labels() {
    let same = |count: usize| Embeddings::from_values(2, [0.5, -0.5].repeat(count));
    let found = linear_probe(&lesson(&same(8), &[0, 0, 0, 1, 1, 0, 0, 2], &same(10)), 1.0, None).unwrap();
    for (score, share) in found.scores.iter().zip([5.0 / 8.0, 2.0 / 8.0, 1.0 / 8.0, 0.0]) {
        assert!((score - share).abs() < 1e-4, "{score} {share}");
    }
}

#[test]
fn threads_change_no_bit() {
    let (train, texts) = (vectors(700, 6, 1.0), vectors(10, 6, 2.0));
    let known: Vec<usize> = (0..700).map(|i| i * i / 3 % 3).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| linear_probe(&lesson(&train, &known, &texts), 10.0, None).unwrap().scores)
    };
    assert_eq!(run(1), run(3));
}
