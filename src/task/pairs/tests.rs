//! Pairs scored end to end: by hand, against the definitions that others publish, and where nothing can be said.

#![expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]

use proptest::prelude::*;

use super::*;
use crate::embeddings::Embeddings;
use crate::spec::Aggregate;
use crate::task::{MetricInfo, TaskError};

/// Vectors in the plane at these angles, of length 2. Unit: degrees.
fn at(degrees: &[f64]) -> Embeddings {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
    let values = degrees.iter().flat_map(|angle| {
        let (sin, cos) = angle.to_radians().sin_cos();
        [(2.0 * cos) as f32, (2.0 * sin) as f32]
    });
    Embeddings::from_values(2, values.collect())
}

/// Pairs of a vector at 0 degrees and one at each of these.
fn similar(degrees: &[f64], measures: &'static [Similarity], scale: bool) -> Similar {
    let mut similarities = Similarities::new(vec![2], measures, scale);
    similarities.add(&at(&vec![0.0; degrees.len()]), &at(degrees));
    similarities.finish().unwrap()
}

fn given(scores: &[f64]) -> Similar {
    Similar { scores: scores.to_vec(), measures: 1, zero_vectors: 0, anisotropy: None }
}

fn pairs(gold: &[f64]) -> Pairs {
    let clusters = Clusters::of(gold.iter().map(|_| None));
    Pairs { gold: gold.to_vec(), clusters, subsets: Vec::new(), seed: 42 }
}

fn value(metrics: &[Metric], name: &str) -> f64 {
    metrics.iter().find(|metric| metric.name == name && metric.label.is_none()).unwrap().estimate.unwrap().value
}

fn reason<'a>(metrics: &'a [Metric], name: &str) -> &'a str {
    metrics.iter().find(|metric| metric.name == name && metric.label.is_none()).unwrap().reason.as_deref().unwrap()
}

/// Names, one for each subset where a metric is about those, are those of the list.
fn in_order(metrics: &[Metric], list: &[MetricInfo]) {
    let names: Vec<&str> =
        metrics.iter().filter(|metric| metric.label.is_none_or(|label| label == 0)).map(|m| m.name).collect();
    assert_eq!(names, list.iter().map(|info| info.name).collect::<Vec<_>>());
}

/// Else pairs of equal texts would be ranked by the last bits of their lengths.
#[test]
fn equal_vectors_have_a_cosine_of_exactly_one() {
    let vectors = Embeddings::from_values(3, (0..300_u16).map(|i| f32::from(i * 7 % 31) - 9.5).collect());
    let cosines = |parts: Vec<usize>, vectors: &Embeddings| {
        let mut similarities = Similarities::new(parts, Similarity::COSINE, true);
        similarities.add(vectors, vectors);
        similarities.finish().unwrap().cosines()
    };
    assert_eq!(cosines(vec![3], &vectors), vec![1.0; 100]);
    // One of two parts has no direction, and one text none at all.
    assert_eq!(cosines(vec![1, 2], &Embeddings::from_values(3, vec![0.0, 1.0, 2.0, 0.0, 0.0, 0.0])), [0.5, 0.0]);
}

/// At 60 degrees from each other, vectors of length 2: cosine 1/2, dot product 2, distances 2 and 1 + sqrt 3.
#[test]
fn similarities_by_hand() {
    let close = |found: &Similar, wanted: [f64; 4]| {
        let apart = found.scores.iter().zip(wanted).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-6 && found.scores.len() == 4, "{found:?}");
    };
    close(&similar(&[60.0], Similarity::MTEB, false), [0.5, 2.0, -2.0, -(1.0 + 3.0_f64.sqrt())]);
    close(&similar(&[60.0], Similarity::MTEB, true), [0.5, 0.5, -1.0, -f64::midpoint(1.0, 3.0_f64.sqrt())]);
    // Three vectors at 0, 0 and 60 degrees twice: two pairs of equal ones, four at 1/2.
    let both = similar(&[60.0, 60.0], Similarity::COSINE, false);
    assert!((both.anisotropy.unwrap() - 4.0 / 6.0).abs() < 1e-6, "{both:?}");
}

#[test]
fn a_vector_of_zeros_has_cosine_zero_and_is_counted() {
    let mut similarities = Similarities::new(vec![2], Similarity::COSINE, false);
    similarities.add(&at(&[0.0, 0.0]), &Embeddings::from_values(2, vec![0.0, 0.0, 1.0, 0.0]));
    let found = similarities.finish().unwrap();
    assert_eq!((found.cosines(), found.zero_vectors), (vec![0.0, 1.0], 1));
}

#[test]
fn what_is_not_a_number_is_refused_and_so_is_nothing() {
    let mut similarities = Similarities::new(vec![2], Similarity::COSINE, false);
    similarities.add(&at(&[0.0, 0.0]), &Embeddings::from_values(2, vec![1.0, 0.0, f32::NAN, 0.0]));
    assert_eq!(similarities.finish().unwrap_err(), TaskError::NotFinite { of: crate::task::Vectors::Pairs, row: 1 });
    assert_eq!(Similarities::new(vec![2], Similarity::COSINE, false).finish().unwrap_err(), TaskError::NoSamples);
}

/// Cosines fall with the angle; gold scores 3, 1, 2, 0 have one neighbouring pair swapped: 1 - 6 * 2 / (4 * 15).
#[test]
fn sts_by_hand() {
    let similar = similar(&[0.0, 30.0, 60.0, 90.0], Similarity::COSINE, false);
    let metrics = sts(&similar, &pairs(&[3.0, 1.0, 2.0, 0.0]), Aggregate::Pooled);
    assert!((value(&metrics, "spearman") - 0.8).abs() < 1e-12);
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["spearman", "pearson", "anisotropy", "zero_vectors"]);
}

/// Within each subset cosines rise with the gold scores; pooled, the second subset's are all higher and its scores lower.
#[test]
fn pooled_and_averaged_correlations_are_different_things() {
    let mut two = pairs(&[4.0, 5.0, 0.0, 1.0]);
    two.subsets = vec![0, 0, 1, 1];
    let found = given(&[0.1, 0.2, 0.3, 0.4]);
    let pooled = sts(&found, &two, Aggregate::Pooled);
    // Ranks 1 2 3 4 and 3 4 1 2: 1 - 6 * 16 / (4 * 15).
    assert!((value(&pooled, "spearman") + 0.6).abs() < 1e-12);
    assert!((value(&pooled, "mean_spearman") - 1.0).abs() < 1e-12);
    let averaged = sts(&found, &two, Aggregate::PerSubset);
    assert_eq!(value(&averaged, "spearman"), value(&pooled, "mean_spearman"));
    assert_eq!(value(&averaged, "pooled_spearman"), value(&pooled, "spearman"));
    in_order(&pooled, STS_METRICS);
    let of_second: Vec<f64> =
        averaged.iter().filter(|metric| metric.label == Some(1)).map(|metric| metric.estimate.unwrap().value).collect();
    assert!((of_second[0] - 1.0).abs() < 1e-12 && (of_second[1] - 1.0).abs() < 1e-12, "{of_second:?}");
}

#[test]
fn correlations_that_are_not_there_say_why() {
    let of = |cosines: &[f64], gold: &[f64]| sts(&given(cosines), &pairs(gold), Aggregate::Pooled);
    assert_eq!(reason(&of(&[0.5, 0.5], &[1.0, 2.0]), "spearman"), "all cosines are equal");
    assert_eq!(reason(&of(&[0.1, 0.5], &[1.0, 1.0]), "pearson"), "all gold scores are equal");
    assert_eq!(reason(&of(&[0.1], &[1.0]), "spearman"), "one pair has no correlation");
    let mut two = pairs(&[1.0, 2.0, 3.0]);
    two.subsets = vec![0, 0, 1];
    let metrics = sts(&given(&[0.1, 0.2, 0.3]), &two, Aggregate::PerSubset);
    assert_eq!(reason(&metrics, "spearman"), "one pair has no correlation");
    assert!((value(&metrics, "pooled_spearman") - 1.0).abs() < 1e-12);
}

/// Thresholds 0.65 and 0.4 of other pairs. At 0.65: hits 0.9, one false alarm at 0.7, one miss at 0.5: 3 of 5 are right. At 0.4:
/// two hits, two false alarms, nothing missed: precision 1/2, recall 1, F1 2/3.
#[test]
fn classes_by_hand() {
    let found = given(&[0.9, 0.7, 0.5, 0.5, 0.1]);
    let gold = pairs(&[1.0, 0.0, 1.0, 0.0, 0.0]);
    let metrics = pair_classification(&found, &gold, Some(Thresholds { accuracy: 0.65, f1: 0.4 }), "");
    in_order(&metrics, CLASS_METRICS);
    for (name, wanted) in [
        ("ap", f64::midpoint(1.0, 2.0 / 4.0)),
        // Six pairs of pairs: the one at 0.9 wins all three, the one at 0.5 wins one and ties one.
        ("auc", 4.5 / 6.0),
        ("accuracy", 3.0 / 5.0),
        ("f1", 2.0 / 3.0),
        ("precision", 0.5),
        ("recall", 1.0),
        ("accuracy_threshold", 0.65),
        ("f1_threshold", 0.4),
        // Cutting below 0.9 gets 4 of 5.
        ("oracle_accuracy", 4.0 / 5.0),
        ("oracle_accuracy_threshold", 0.8),
        // 2 * 1 / (1 + 2), and 2 * 2 / (4 + 2), are both 2/3: the higher threshold is taken.
        ("oracle_f1", 2.0 / 3.0),
        ("oracle_f1_threshold", 0.8),
        ("majority", 3.0 / 5.0),
    ] {
        assert!((value(&metrics, name) - wanted).abs() < 1e-12, "{name}: {}", value(&metrics, name));
    }
    let interval = metrics.iter().find(|metric| metric.name == "accuracy").unwrap().estimate.unwrap();
    assert_eq!(interval, crate::stats::wilson(3, 5));
}

#[test]
fn without_thresholds_accuracy_is_an_oracles_alone() {
    let metrics = pair_classification(&given(&[0.9, 0.1]), &pairs(&[1.0, 0.0]), None, "no slice to pick on");
    assert_eq!(reason(&metrics, "accuracy"), "no slice to pick on");
    assert_eq!(value(&metrics, "oracle_accuracy"), 1.0);
    in_order(&metrics, CLASS_METRICS);
}

#[test]
fn one_class_and_equal_cosines() {
    let negative =
        pair_classification(&given(&[0.5, 0.5]), &pairs(&[0.0, 0.0]), Some(Thresholds { accuracy: 0.9, f1: 0.9 }), "");
    assert_eq!(reason(&negative, "ap"), NO_POSITIVE);
    assert_eq!(reason(&negative, "auc"), ONE_CLASS);
    assert_eq!(reason(&negative, "precision"), "no pair is called the same");
    assert_eq!(reason(&negative, "f1"), "nothing is the same, and nothing is called so");
    assert_eq!((value(&negative, "accuracy"), reason(&negative, "oracle_f1")), (1.0, NO_POSITIVE));
    let tied = pair_classification(&given(&[0.5; 4]), &pairs(&[1.0, 0.0, 1.0, 1.0]), None, "-");
    // All at once: precision 3/4; chance order.
    assert_eq!((value(&tied, "ap"), value(&tied, "auc"), value(&tied, "oracle_accuracy")), (0.75, 0.5, 0.75));
    assert_eq!(Thresholds::best(&[], &[]), None);
}

#[test]
fn groups_widen_intervals() {
    let scores: Vec<f64> = (0..200).map(|i| f64::from(i / 10 * 7919 % 101)).collect();
    let gold: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i / 10 % 3 == 0))).collect();
    let names: Vec<String> = (0..200).map(|i| (i / 10).to_string()).collect();
    let alone = pairs(&gold);
    let grouped = Pairs { clusters: Clusters::of(names.iter().map(|name| Some(name.as_str()))), ..alone.clone() };
    let width = |pairs: &Pairs, name: &str| {
        let thresholds = Some(Thresholds { accuracy: 50.0, f1: 50.0 });
        let metrics = pair_classification(&given(&scores), pairs, thresholds, "");
        let estimate = metrics.iter().find(|metric| metric.name == name).unwrap().estimate.unwrap();
        assert_eq!(estimate.n, 200);
        estimate.interval.map(|interval| interval.high - interval.low).unwrap()
    };
    for name in ["accuracy", "auc"] {
        assert!(width(&grouped, name) > 1.8 * width(&alone, name), "{name}");
    }
}

/// The four measures of MTEB on four pairs: 1, 0.8, 0.8, 0.2 by cosine, labels 1, 0, 1, 0 in that order.
#[test]
fn mteb_cuts_between_tied_pairs_in_the_order_of_the_data() {
    let scores: Vec<f64> = [1.0, 0.8, 0.8, 0.2].iter().flat_map(|&score| [score, score, score - 1.0, score - 1.0]).collect();
    let found = Similar { scores, measures: 4, zero_vectors: 0, anisotropy: None };
    let metrics = mteb(&found, &pairs(&[1.0, 0.0, 1.0, 0.0]));
    in_order(&metrics, MTEB_METRICS);
    // Calling one, two, three the same gets 3, 2 and 3 right: the first cut is kept, between 1 and 0.8.
    assert_eq!((value(&metrics, "cosine_accuracy"), value(&metrics, "cosine_accuracy_threshold")), (0.75, 0.9));
    assert!((value(&metrics, "euclidean_accuracy_threshold") - 0.1).abs() < 1e-12);
    // Three called: precision 2/3, recall 1.
    assert!((value(&metrics, "max_f1") - 0.8).abs() < 1e-12);
    // Positives at 1 (precision 1) and, with both tied ones, at 0.8 (2/3).
    assert!((value(&metrics, "max_ap") - f64::midpoint(1.0, 2.0 / 3.0)).abs() < 1e-12);
}

/// The definition of MTEB as its words have it: every cut between neighbours of the stably sorted pairs, counted afresh.
fn by_definition(scores: &[f64], positive: &[bool]) -> (f64, f64) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap());
    let (mut accuracy, mut f1): (f64, f64) = (0.0, 0.0);
    for cut in 1..order.len() {
        let called = |pair: &usize| order[..cut].contains(pair);
        let count = |holds: &dyn Fn(&usize) -> bool| crate::stats::number(order.iter().filter(|pair| holds(pair)).count());
        accuracy = accuracy.max(count(&|pair| called(pair) == positive[*pair]) / crate::stats::number(order.len()));
        let hits = count(&|pair| called(pair) && positive[*pair]);
        if hits > 0.0 {
            let (precision, recall) = (hits / crate::stats::number(cut), hits / count(&|pair| positive[*pair]));
            f1 = f1.max(2.0 * precision * recall / (precision + recall));
        }
    }
    (accuracy, f1)
}

proptest! {
    #[test]
    fn mteb_is_its_definition(rows in prop::collection::vec((0_u8..6, any::<bool>()), 1..30)) {
        let cosines: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 6.0).collect();
        let gold: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.1))).collect();
        let positive: Vec<bool> = rows.iter().map(|row| row.1).collect();
        let scores = cosines.iter().flat_map(|&cosine| [cosine, cosine, cosine - 1.0, cosine - 1.0]).collect();
        let metrics = mteb(&Similar { scores, measures: 4, zero_vectors: 0, anisotropy: None }, &pairs(&gold));
        let (accuracy, f1) = by_definition(&cosines, &positive);
        prop_assert!((value(&metrics, "max_accuracy") - accuracy).abs() < 1e-12);
        prop_assert!((value(&metrics, "cosine_f1") - f1).abs() < 1e-12);
    }
}
