//! Inputs at the edge of meaning, for every task: one label, equal vectors, zeros, nothing at all.

use super::*;

#[test]
fn one_label_is_always_right_and_has_no_margins() {
    let found = evaluate(&matrix(3, 0), &[0; 3], &matrix(1, 4), &[0], Calibration::None);
    assert_eq!((value(&found, "accuracy"), value(&found, "macro_f1"), value(&found, "hub_share")), (1.0, 1.0, 1.0));
    for name in ["mean_margin", "mean_gold_margin", "near_ties", "exact_ties", "hub_skewness", "label_anisotropy"] {
        assert!(undefined(&found, name, None), "{name}");
    }
    assert!(!found.metrics.iter().any(|metric| metric.name.starts_with("top")));
}

#[test]
fn equal_labels_tie_everywhere_and_the_first_wins() {
    let phrasings = matrix(1, 4).select(&[0, 0, 0]);
    let found = evaluate(&matrix(8, 0), &[0, 1, 2, 0, 1, 2, 0, 1], &phrasings, &[0, 1, 2], Calibration::None);
    assert_eq!((value(&found, "exact_ties"), value(&found, "near_ties"), value(&found, "hub_share")), (1.0, 1.0, 1.0));
    assert_eq!(value(&found, "accuracy"), 0.375);
    assert_eq!(value(&found, "mean_margin"), 0.0);
    assert!(undefined(&found, "precision", Some(1)) && !undefined(&found, "f1", Some(1)));
}

#[test]
fn constant_vectors_lose_their_direction_when_centred() {
    let found = evaluate(&matrix(1, 0).select(&[0; 5]), &[0, 1, 0, 1, 0], &matrix(2, 4), &[0, 1], Calibration::Center);
    assert!(found.scores.iter().all(|&score| score == 0.0));
    // Five texts of seven vectors; the two labels differ.
    assert!((value(&found, "zero_vectors") - 5.0 / 7.0).abs() < 1e-15);
    assert!((value(&found, "anisotropy") - 1.0).abs() < 1e-12);
}

#[test]
fn a_label_without_samples_or_predictions_is_undefined_not_zero() {
    let texts = Embeddings::from_values(2, vec![1.0, 0.0, 1.0, 0.1]);
    let phrasings = Embeddings::from_values(2, vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0]);
    let found = evaluate(&texts, &[0, 0], &phrasings, &[0, 1, 2], Calibration::None);
    for name in ["precision", "recall", "f1"] {
        assert!(undefined(&found, name, Some(1)), "{name}");
    }
    assert_eq!(metric(&found, "support", Some(1)).estimate.unwrap().value, 0.0);
    assert_eq!(value(&found, "macro_f1"), 1.0);
}

#[test]
fn zero_vectors_score_zero_and_are_counted() {
    let texts = Embeddings::from_values(2, vec![0.0, 0.0, 1.0, 0.0, 0.0, -1.0]);
    let phrasings = Embeddings::from_values(2, vec![0.0, 1.0, 0.0, 0.0]);
    for calibration in [Calibration::None, Calibration::Center] {
        let found = evaluate(&texts, &[0, 1, 1], &phrasings, &[0, 1], calibration);
        assert_eq!(found.scores[..2], [0.0, 0.0]);
        assert!(found.scores.iter().skip(1).step_by(2).all(|&score| score == 0.0));
    }
    let found = evaluate(&texts, &[0, 1, 1], &phrasings, &[0, 1], Calibration::None);
    assert_eq!(found.scores, [0.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
    assert_eq!(value(&found, "zero_vectors"), 0.4);
}

#[test]
fn one_sample_has_shares_but_no_bootstrap_intervals() {
    let found = evaluate(&matrix(1, 0), &[0], &matrix(2, 4), &[0, 1], Calibration::None);
    assert!(metric(&found, "accuracy", None).estimate.unwrap().interval.is_some());
    assert_eq!(metric(&found, "macro_f1", None).estimate.unwrap().interval, None);
    assert!(undefined(&found, "anisotropy", None));
}

/// Of the 24 texts the last label has four; of six each none is rare.
#[test]
fn a_mean_over_rare_labels_is_doubted() {
    let reason = |found: &Evaluation| metric(found, "macro_f1", None).reason.clone();
    let wanted = "1 of 4 labels with fewer than 5 samples: the interval may be too narrow";
    assert_eq!(reason(&example(Calibration::None)).as_deref(), Some(wanted));
    let even: Vec<usize> = (0..24).map(|i| i % 4).collect();
    assert_eq!(reason(&evaluate(&matrix(24, 0), &even, &matrix(4, 4), &[0, 1, 2, 3], Calibration::None)), None);
}

#[test]
fn inputs_that_make_no_sense_are_errors_that_name_the_row() {
    let (texts, phrasings) = (matrix(3, 0), matrix(2, 4));
    let (sound_words, narrow) =
        ([Worded { phrasings: &phrasings, owner: &[0, 1] }], Embeddings::from_values(1, vec![1.0, 2.0]));
    let sound = || LabelSimilarity {
        gold: &[0, 1, 1],
        wordings: &sound_words,
        labels: 2,
        calibration: Calibration::None,
        content_free: None,
        seed: 1,
    };
    let refused = |task: LabelSimilarity<'_>| one(&texts, &task).map(|_| ()).unwrap_err();
    let worded =
        |phrasings, owner| refused(LabelSimilarity { wordings: &[sound_words[0], Worded { phrasings, owner }], ..sound() });
    assert!(one(&texts, &sound()).is_ok());
    assert_eq!(one(&Embeddings::new(5), &LabelSimilarity { gold: &[], ..sound() }).unwrap_err(), TaskError::NoSamples);
    assert_eq!(refused(LabelSimilarity { labels: 0, ..sound() }), TaskError::NoLabels);
    assert_eq!(refused(LabelSimilarity { gold: &[0], ..sound() }), TaskError::GoldCount { texts: 3, gold: 1 });
    assert_eq!(worded(&phrasings, &[0]), TaskError::OwnerCount { phrasings: 2, owner: 1 });
    assert_eq!(worded(&narrow, &[0, 1]), TaskError::Dimensions { texts: 5, phrasings: 1 });
    let range = TaskError::LabelRange { of: Vectors::Texts, row: 1, label: 2, labels: 2 };
    assert_eq!(refused(LabelSimilarity { gold: &[0, 2, 1], ..sound() }), range);
    assert_eq!(worded(&phrasings, &[0, 0]), TaskError::NoPhrasing { label: 1 });
    assert_eq!(refused(LabelSimilarity { wordings: &[], ..sound() }), TaskError::NoPhrasing { label: 0 });
    let free = |content_free| LabelSimilarity { calibration: Calibration::ContentFree, content_free, ..sound() };
    assert_eq!(refused(free(None)), TaskError::NoPrior);
    let zeros = Embeddings::from_values(5, vec![0.0; 10]);
    assert_eq!(refused(free(Some(&zeros))), TaskError::NoPrior);
    assert_eq!(refused(free(Some(&narrow))), TaskError::Dimensions { texts: 5, phrasings: 1 });
    for bad in [f32::NAN, f32::INFINITY] {
        let broken = Embeddings::from_values(5, [[0.0; 5], [0.0, 0.0, 0.0, 0.0, bad], [1.0; 5]].concat());
        assert_eq!(one(&broken, &sound()).unwrap_err(), TaskError::NotFinite { of: Vectors::Texts, row: 1 });
    }
}

/// Two queries and two documents, or as many train texts and texts, of one sort of vectors.
fn every_task(vectors: &Embeddings, gold: &[usize], labels: usize) -> Vec<Result<Vec<Metric>, TaskError>> {
    let lesson = Lesson { train: vectors, known: gold, texts: vectors, gold, labels, seed: 1 };
    let relevance = Relevance::SameLabel { queries: gold, documents: gold };
    let search = |ties| retrieval(&Retrieval { queries: vectors, documents: vectors, own: &[], relevance, ties, seed: 1 });
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let lengths: Vec<Vec<usize>> = gold.iter().map(|_| vec![1]).collect();
    vec![
        linear_probe(&lesson, 1.0, None).map(|found| found.metrics),
        nearest_neighbours(&lesson, 1).map(|found| found.metrics),
        senteval(&lesson, Judge::Dev { texts: vectors, known: gold }).map(|found| found.metrics),
        senteval_nested(&lesson, 2, &lengths).map(|found| found.metrics),
        search(Ties::Shared).map(|found| found.metrics),
        search(Ties::ById { ids: &ids[..vectors.len()], depth: None }).map(|found| found.metrics),
        clustering(&Clustering { texts: vectors, gold, clusters: labels, restarts: 2, seed: 1 }).map(|found| found.metrics),
    ]
}

#[test]
fn nothing_to_score_is_refused_by_every_task() {
    for found in every_task(&Embeddings::new(2), &[], 2) {
        assert_eq!(found.unwrap_err(), TaskError::NoSamples);
    }
}

#[test]
fn what_is_no_number_is_refused_by_every_task() {
    let broken = Embeddings::from_values(2, vec![1.0, 0.0, f32::INFINITY, 0.0]);
    for found in every_task(&broken, &[0, 1], 2) {
        assert!(matches!(found.unwrap_err(), TaskError::NotFinite { row: 1, .. }));
    }
}

/// Eight texts without a direction, four of each label.
#[test]
fn vectors_of_zeros_leave_chance() {
    let zeros = Embeddings::from_values(2, vec![0.0; 16]);
    let found = every_task(&zeros, &[0, 0, 0, 0, 1, 1, 1, 1], 2);
    let first = |task: usize, name: &str| {
        let metrics = found[task].as_ref().unwrap();
        metrics.iter().find(|metric| metric.name == name && metric.label.is_none()).unwrap().estimate.unwrap().value
    };
    // Probabilities are even, and the first label wins; so does the first text among equally near ones.
    for learner in 0..4 {
        assert_eq!(first(learner, "accuracy"), 0.5, "{learner}");
    }
    // Of eight documents in any order four are relevant: chances 1/2, 2/7, 1/7, 2/35 and 1/70 that the first one is at 1 to 5.
    all_close(&[first(4, "mrr")], &[1.0 / 2.0 + 1.0 / 7.0 + 1.0 / 21.0 + 1.0 / 70.0 + 1.0 / 350.0]);
    // The order is h, g, ... a: those of label 1 come first, those of label 0 fifth.
    all_close(&[first(5, "mrr")], &[f64::midpoint(1.0, 1.0 / 5.0)]);
    assert_eq!((first(4, "tied_documents"), first(5, "tied_documents")), (8.0, 8.0));
    assert_eq!((first(6, "v_measure"), first(6, "clusters")), (0.0, 1.0));
}

#[test]
fn one_label_teaches_nothing_and_is_found_by_all() {
    let texts = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let found = every_task(&texts, &[0; 3], 1);
    for learner in [0, 2, 3] {
        assert_eq!(found[learner].as_ref().unwrap_err(), &TaskError::OneClass);
    }
    let value = |task: usize, name: &str| {
        found[task].as_ref().unwrap().iter().find(|metric| metric.name == name).unwrap().estimate.unwrap().value
    };
    assert_eq!((value(1, "accuracy"), value(4, "map"), value(5, "ndcg_at_10"), value(6, "v_measure")), (1.0, 1.0, 1.0, 1.0));
}
