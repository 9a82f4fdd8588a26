//! Comparisons of made-up outcomes, and the verdicts on them.

use std::collections::BTreeMap;

use super::*;
use crate::results::{Answers, CellOutcomes};
use crate::spec::{Gate, OnDoubt};

/// One slice of `n` samples of two labels, and cells that err on the samples of these ranges.
fn outcomes(n: usize, cells: &[(&str, std::ops::Range<usize>)]) -> Outcomes {
    let slice = serde_json::json!({
        "id": "test", "digest": "00".repeat(32), "labels": ["a", "b"], "samples": n,
        "origin": { "dataset": "apps", "split": "test", "files": [], "skipped": 0 }
    });
    let gold: Vec<usize> = (0..n).map(|i| i % 2).collect();
    let cell = |(prompt, wrong): &(&str, std::ops::Range<usize>)| CellOutcomes {
        id: format!("id-{prompt}"),
        choices: Choices {
            model: "tiny".into(),
            prompt: (*prompt).into(),
            readout: "own".into(),
            slice: "test".into(),
            task: crate::spec::TaskKind::LabelSimilarity,
            labels: "names".into(),
            calibration: "none".into(),
        },
        answers: Ok(Answers::Labels(
            gold.iter().enumerate().map(|(i, gold)| if wrong.contains(&i) { 1 - gold } else { *gold }).collect(),
        )),
        gold_margins: Vec::new(),
    };
    Outcomes {
        name: "run".into(),
        engine: "1".into(),
        gate: None,
        slices: vec![serde_json::from_value(slice).unwrap()],
        cells: cells.iter().map(cell).collect(),
        gold: BTreeMap::from([("test".into(), gold)]),
        pairs: BTreeMap::new(),
        tasks: Vec::new(),
        texts: BTreeMap::new(),
    }
}

fn verdict(before: &Outcomes, after: &Outcomes, policy: &Gate) -> (Verdict, String) {
    let judged = Judgements::of(&compare(before, after, None), policy).cells.remove(0);
    (judged.verdict, judged.sentence)
}

#[test]
fn a_difference_is_paired_and_flips_are_listed() {
    let compared = compare(&outcomes(100, &[("raw", 0..10)]), &outcomes(100, &[("raw", 8..30)]), None);
    let pair = &compared.pairs[0];
    assert_eq!((pair.paired.wins, pair.paired.losses, pair.paired.difference.n), (8, 20, 100));
    assert!((pair.paired.difference.value + 0.12).abs() < 1e-12 && pair.flips.len() == 28);
    // scipy.stats.binomtest(8, 28, 0.5).pvalue
    assert!((pair.p_adjusted - 0.03569813817739487).abs() < 1e-9, "{}", pair.p_adjusted);
    assert_eq!((pair.flips[0].gold.as_str(), pair.flips[0].before.as_str(), pair.flips[0].after.as_str()), ("a", "b", "a"));
}

#[test]
fn every_verdict_has_its_case() {
    let policy = Gate::default();
    let base = outcomes(100, &[("raw", 0..10)]);
    assert_eq!(verdict(&base, &base, &policy).0, Verdict::Pass);
    assert_eq!(verdict(&base, &outcomes(100, &[("raw", 0..11)]), &policy).0, Verdict::Pass);
    assert_eq!(verdict(&base, &outcomes(100, &[("raw", 0..30)]), &policy).0, Verdict::Regressed);
    let (doubt, sentence) = verdict(&base, &outcomes(100, &[("raw", 0..14)]), &policy);
    assert_eq!(doubt, Verdict::Inconclusive);
    assert!(sentence.contains("\u{2212}4.0 points (p = 0.125)") && sentence.contains("from 6.0 points on"), "{sentence}");
    let tolerant = Gate { noise_floor: Some(0.04), ..policy.clone() };
    assert_eq!(verdict(&base, &outcomes(100, &[("raw", 0..14)]), &tolerant).0, Verdict::Pass);
    let strict = Gate { fail_drop: Some(0.03), ..policy.clone() };
    assert_eq!(verdict(&base, &outcomes(100, &[("raw", 0..14)]), &strict).0, Verdict::Regressed);
    assert_eq!(verdict(&base, &outcomes(100, &[("eol", 0..10), ("cot", 0..10)]), &policy).0, Verdict::Missing);
    let mut other = base.clone();
    other.slices[0].digest = serde_json::from_value("11".repeat(32).into()).unwrap();
    other.slices[0].origin.split = "dev".into();
    let (refused, sentence) = verdict(&base, &other, &policy);
    assert_eq!(refused, Verdict::Incomparable);
    assert_eq!(sentence, "slice `test` is other data: split `test` in the baseline, `dev` in the candidate");
    let mut failed = base.clone();
    failed.cells[0].answers = Err("no room".into());
    assert_eq!(verdict(&base, &failed, &policy), (Verdict::Missing, "it failed in the candidate: no room".to_owned()));
    assert_eq!(verdict(&failed, &base, &policy).0, Verdict::Incomparable);
}

#[test]
fn the_policy_decides_about_doubts() {
    let (base, worse) = (outcomes(100, &[("raw", 0..10)]), outcomes(100, &[("raw", 0..14)]));
    let compared = compare(&base, &worse, None);
    assert!(!Judgements::of(&compared, &Gate::default()).failed());
    assert!(Judgements::of(&compared, &Gate { inconclusive: OnDoubt::Fail, ..Gate::default() }).failed());
}

#[test]
fn content_goes_before_names() {
    let mut renamed = outcomes(100, &[("raw", 0..10), ("eol", 0..20)]);
    let (first, second) = renamed.cells.split_at_mut(1);
    std::mem::swap(&mut first[0].choices, &mut second[0].choices);
    let compared = compare(&outcomes(100, &[("raw", 0..10), ("eol", 0..20)]), &renamed, None);
    assert!(compared.pairs.iter().all(|pair| pair.baseline_cell == pair.candidate_cell && pair.flips.is_empty()));
}

#[test]
fn correction_is_over_all_pairs() {
    let cells = |wrong: usize| [("raw", 0..wrong), ("eol", 0..wrong)];
    let compared = compare(&outcomes(100, &cells(10)), &outcomes(100, &cells(18)), None);
    assert!(compared.pairs.iter().all(|pair| (pair.p_adjusted - 2.0 * pair.paired.p_value).abs() < 1e-15));
}
