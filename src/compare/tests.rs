//! Comparisons of made-up outcomes, and the verdicts on them.

use std::collections::BTreeMap;

use super::*;
use crate::results::{Answers, CellOutcomes};
use crate::spec::{Gate, OnDoubt, SliceGate};

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
            transform: "none".into(),
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
        finished: None,
        engine: "1".into(),
        gate: None,
        correction: Correction::Holm,
        seconds: None,
        devices: BTreeMap::new(),
        meanings: BTreeMap::new(),
        slices: vec![serde_json::from_value(slice).unwrap()],
        cells: cells.iter().map(cell).collect(),
        gold: BTreeMap::from([("test".into(), gold)]),
        pairs: BTreeMap::new(),
        tasks: Vec::new(),
        texts: BTreeMap::new(),
    }
}

fn verdict(before: &Outcomes, after: &Outcomes, policy: &Gate) -> (Verdict, String) {
    let judged = Judgements::of(&compare(before, after, &Terms::default()), policy, None).cells.remove(0);
    (judged.verdict, judged.sentence)
}

#[test]
fn a_difference_is_paired_and_flips_are_listed() {
    let (before, after) = (outcomes(100, &[("raw", 0..10)]), outcomes(100, &[("raw", 8..30)]));
    let compared = compare(&before, &after, &Terms::default());
    let pair = &compared.pairs[0];
    assert_eq!((pair.paired.wins, pair.paired.losses, pair.paired.difference.n), (8, 20, 100));
    assert!((pair.paired.difference.value + 0.12).abs() < 1e-12 && pair.flips.len() == 28);
    // scipy.stats.binomtest(8, 28, 0.5).pvalue
    assert!((pair.p_adjusted - 0.03569813817739487).abs() < 1e-9, "{}", pair.p_adjusted);
    let flip = &pair.flips[0];
    assert_eq!((&*flip.gold, &*flip.before, &*flip.after, flip.gained), ("a", "b", "a", true));
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
    let compared = compare(&base, &worse, &Terms::default());
    let failed = |policy: &Gate, seconds| Judgements::of(&compared, policy, seconds).failed();
    assert!(!failed(&Gate::default(), None));
    let strict = Gate { inconclusive: OnDoubt::Fail, ..Gate::default() };
    assert!(failed(&strict, None));
    let lenient = SliceGate { inconclusive: Some(OnDoubt::Pass), ..SliceGate::default() };
    assert!(!failed(&Gate { slice: BTreeMap::from([("test".to_owned(), lenient)]), ..strict.clone() }, None));
    let other = SliceGate { max_drop: Some(0.1), ..SliceGate::default() };
    assert!(failed(&Gate { slice: BTreeMap::from([("dev".to_owned(), other.clone())]), ..strict.clone() }, None));
    assert!(!failed(&Gate { slice: BTreeMap::from([("test".to_owned(), other)]), ..strict }, None));
    let quick = Gate { max_seconds: Some(60.0), ..Gate::default() };
    assert!(!failed(&quick, None) && !failed(&quick, Some(60.0)) && failed(&quick, Some(60.5)));
}

#[test]
fn content_goes_before_names() {
    let mut renamed = outcomes(100, &[("raw", 0..10), ("eol", 0..20)]);
    let (first, second) = renamed.cells.split_at_mut(1);
    std::mem::swap(&mut first[0].choices, &mut second[0].choices);
    let before = outcomes(100, &[("raw", 0..10), ("eol", 0..20)]);
    let compared = compare(&before, &renamed, &Terms::default());
    assert!(compared.pairs.iter().all(|pair| pair.baseline_cell == pair.candidate_cell && pair.flips.is_empty()));
}

#[test]
fn correction_is_over_all_pairs_of_all_baselines() {
    let cells = |wrong: usize| [("raw", 0..wrong), ("eol", 0..wrong)];
    let (before, after) = (outcomes(100, &cells(10)), outcomes(100, &cells(18)));
    let times = |baselines: &[&Outcomes], terms: &Terms| {
        let compared = compare_all(baselines.iter().copied(), &after, terms);
        let pairs = compared.iter().flat_map(|compared| &compared.pairs);
        pairs.map(|pair| (pair.p_adjusted / pair.paired.p_value).round()).collect::<Vec<_>>()
    };
    assert_eq!(times(&[&before], &Terms::default()), [2.0; 2]);
    assert_eq!(times(&[&before, &before], &Terms::default()), [4.0; 4]);
    let terms = Terms { correction: Correction::BenjaminiHochberg, ..Terms::default() };
    assert_eq!(times(&[&before, &before], &terms), [1.0; 4]);
}

/// Six of the nine samples that the candidate loses have margins that the computation's noise could have moved.
#[test]
fn flips_within_the_noise_of_the_computation_are_told_and_excused() {
    let (base, mut worse) = (outcomes(100, &[("raw", 0..1)]), outcomes(100, &[("raw", 0..10)]));
    worse.cells[0].gold_margins = (0..100).map(|i| Some(if i < 7 { -1e-6 } else { -0.1 })).collect();
    let compared = |floor| compare(&base, &worse, &Terms { margin_floor: floor, ..Terms::default() });
    assert_eq!(compared(None).pairs[0].noise, Noise::default());
    let noise = compared(Some(2e-6)).pairs[0].noise;
    assert!((noise.wins, noise.losses) == (0, 6) && (noise.change + 0.06).abs() < 1e-12, "{noise:?}");
    // Without them four samples are wrong, two of each label: F1 of both is 0.96 instead of 0.9.
    let by_f1 = Terms { metric: Some(Measure::MacroF1), margin_floor: Some(2e-6), ..Terms::default() };
    let noise = compare(&base, &worse, &by_f1).pairs[0].noise;
    assert!((noise.wins, noise.losses) == (0, 6) && (noise.change + 0.06).abs() < 1e-12, "{noise:?}");
    let judged = |floor, max_drop| {
        let policy = Gate { max_drop, ..Gate::default() };
        let judged = Judgements::of(&compared(floor), &policy, None).cells.remove(0);
        (judged.verdict, judged.sentence)
    };
    assert_eq!(judged(None, 0.03).0, Verdict::Regressed);
    assert_eq!(judged(Some(2e-6), 0.02).0, Verdict::Regressed);
    let (verdict, sentence) = judged(Some(2e-6), 0.03);
    assert_eq!(verdict, Verdict::Pass);
    assert!(
        sentence.ends_with("without the 6 labels that the computation's own noise moved, by \u{2212}3.0 points"),
        "{sentence}"
    );
}

/// Gold a b a b ...: wrong on the first ten of a hundred, F1 of both labels is 0.9; on the first twenty, 0.8.
#[test]
fn labels_are_compared_by_macro_f1_where_that_is_asked_for() {
    let (before, after) = (outcomes(100, &[("raw", 0..10)]), outcomes(100, &[("raw", 0..20)]));
    let terms = Terms { metrics: BTreeMap::from([("test".to_owned(), Measure::MacroF1)]), ..Terms::default() };
    let compared = compare(&before, &after, &terms);
    let pair = &compared.pairs[0];
    assert!((pair.baseline_value - 0.9).abs() < 1e-12 && (pair.candidate_value - 0.8).abs() < 1e-12);
    assert_eq!((pair.metric, pair.flips.len()), (Measure::MacroF1, 10));
    // Ten of a hundred samples lost: a standard error of 3 points.
    let least = pair.detectable.unwrap();
    assert!(pair.p_adjusted < 0.01 && (0.05..0.07).contains(&least), "{} {least}", pair.p_adjusted);
}

#[test]
fn what_is_not_the_same_is_named() {
    let (before, mut after) = (outcomes(100, &[("raw", 0..10)]), outcomes(100, &[("raw", 0..10)]));
    after.cells[0].id = "other".into();
    assert_eq!(compare(&before, &after, &Terms::default()).notes, ["one cell differs: the baseline does not say in what"]);
    let mut known = before.clone();
    let digest = |text: &str| BTreeMap::from([("raw".to_owned(), crate::digest::Digest::of_bytes(text.as_bytes()))]);
    known.meanings.insert("prompt".into(), digest("old"));
    after.meanings.insert("prompt".into(), digest("new"));
    assert_eq!(compare(&known, &after, &Terms::default()).notes, ["one cell differs: prompt `raw` stands for something else"]);
}

#[test]
fn a_comparison_is_a_table_for_other_programs() {
    let (before, after) = (outcomes(4, &[("raw", 0..1), ("eol", 0..1)]), outcomes(4, &[("raw", 0..2)]));
    let compared = [compare(&before, &after, &Terms::default())];
    let text = csv(&compared).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(
        "baseline,candidate,baseline_cell,candidate_cell,model,prompt,readout,transform,slice,task,labels,calibration,metric"
    ));
    assert!(
        lines[1]
            .starts_with("run,run,id-raw,id-raw,tiny,raw,own,none,test,label-similarity,names,none,accuracy,0.75,0.5,-0.25,"),
        "{}",
        lines[1]
    );
    assert!(lines[1].ends_with(",4,0,1,1,1,holm,,") && lines[2].ends_with(",,,the candidate has no such cell"), "{text}");
    assert!(lines.len() == 3 && lines.iter().all(|line| line.matches(',').count() == 25), "{text}");
}
