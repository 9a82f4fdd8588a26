//! Reports on pairs, whole: what they say, and what they leave out.

use crate::dataset::{Kind, PairGold};
use crate::embeddings::Embeddings;
use crate::report::{fixture, render};
use crate::results::{Choices, Gold, Measured, MetricRow, Outcome, PairRow, Partner, RunRecord, SampleText};
use crate::spec::{Aggregate, Task};
use crate::task::{Metric, Pairs, Similar, Similarities, Similarity, Thresholds, pair_classification, sts};

const GOLD: [f64; 8] = [5.0, 4.0, 1.0, 0.0, 4.5, 2.0, 0.5, 3.0];

/// A run without cells on eight pairs.
fn run(kind: Kind) -> RunRecord {
    run_on(kind, &GOLD)
}

/// The same on pairs with these gold scores.
fn run_on(kind: Kind, golds: &[f64]) -> RunRecord {
    let mut run = fixture::run("pairs");
    fixture::model(&mut run, "tiny", "path:models/tiny");
    fixture::prompt(&mut run, "eol", "\"{text}\" means:");
    fixture::prompt(&mut run, "raw", "{text}");
    fixture::slice(&mut run, "alike", "test", &["different", "same"], golds.len());
    let slice = &mut run.provenance.slices[0];
    slice.kind = kind;
    run.provenance.tasks = vec![match kind {
        Kind::Pairs => Task::PairClassification { protocol: None, thresholds_from: None },
        _ => Task::Sts { protocol: None, aggregate: Aggregate::Pooled },
    }];
    if kind == Kind::Sts {
        slice.labels.clear();
    }
    let sample = |(i, &gold): (usize, &f64)| SampleText {
        id: format!("test:{}", i + 1),
        text: format!("First text of pair {}", i + 1),
        gold: if kind == Kind::Sts { Gold::Score(gold) } else { Gold::Label(usize::from(gold > 2.5)) },
        partner: Some(Box::new(Partner {
            text: format!("Second text | of pair {}", i + 1),
            group: None,
            subset: (kind == Kind::Sts).then(|| if i < 5 { "news" } else { "forum" }.to_owned()),
        })),
    };
    run.samples.insert("alike".to_owned(), golds.iter().enumerate().map(sample).collect::<Vec<_>>().into());
    run
}

/// Vectors of the plane, pair by pair at so many degrees from each other.
fn similar(degrees: &[f64]) -> Similar {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
    let at = |angle: f64| [angle.to_radians().cos() as f32, angle.to_radians().sin() as f32];
    let mut similarities = Similarities::new(vec![2], Similarity::COSINE, false);
    let (left, right) = degrees.iter().map(|&angle| (at(0.0), at(angle))).unzip::<_, _, Vec<_>, Vec<_>>();
    similarities.add(&Embeddings::from_values(2, left.concat()), &Embeddings::from_values(2, right.concat()));
    similarities.finish().unwrap()
}

fn score(run: &mut RunRecord, prompt: &str, degrees: &[f64]) {
    let task = run.provenance.slices[0].kind.tasks()[0];
    let choices = Choices { task, ..fixture::choices(["tiny", prompt, "last", "alike", "-", "-"]) };
    let similar = similar(degrees);
    let PairGold { gold, clusters, subsets, names } = PairGold::of(&run.samples["alike"]);
    let pairs = Pairs { gold, clusters, subsets, seed: 42 };
    let metrics = match run.provenance.slices[0].kind {
        Kind::Pairs => {
            let thresholds = Thresholds { accuracy: 0.6, f1: 0.5 };
            pair_classification(&similar, &pairs, Some(thresholds), "")
        }
        _ => sts(&similar, &pairs, Aggregate::Pooled),
    };
    let row = |Metric { name, label, estimate, reason }: Metric| MetricRow {
        name: name.to_owned(),
        label: label.map(|subset| names[subset].clone()),
        estimate,
        reason,
    };
    let paired = Measured {
        metrics: metrics.into_iter().map(row).collect(),
        samples: vec![PairRow { tokens: 20, cut: 0 }; degrees.len()],
        scores: similar.scores,
    };
    let id = fixture::cell_id(&choices);
    run.cells.push(crate::results::CellRecord { id, choices, outcome: Outcome::Measured(paired) });
}

/// One prompt that follows the gold scores but for one pair, and one that hardly does.
fn scored(kind: Kind) -> RunRecord {
    let mut run = run(kind);
    score(&mut run, "eol", &[5.0, 30.0, 70.0, 80.0, 10.0, 20.0, 85.0, 40.0]);
    score(&mut run, "raw", &[40.0, 70.0, 20.0, 60.0, 50.0, 10.0, 30.0, 80.0]);
    run.provenance.reference = Some(run.cells[1].id.clone());
    run
}

/// Cells of four prompts on 200 pairs, the better the less their cosines stray from the gold side; and, if asked for, cells of
/// labels beside them.
pub fn many(kind: Kind, labels_too: bool) -> RunRecord {
    let golds: Vec<f64> = (0..200_u32).map(|i| f64::from((i * 7) % 11) / 2.0).collect();
    let mut run = run_on(kind, &golds);
    fixture::model(&mut run, "char-ngram", "builtin:char-ngram");
    for (place, (prompt, stray)) in (0..).zip([("eol", 30.0), ("raw", 60.0), ("cot-zh", 20.0), ("问题", 45.0)]) {
        let noise = |i: usize| f64::from(u32::try_from((i * 37 + place * 11) % 101).unwrap()) / 100.0 - 0.5;
        let degrees: Vec<f64> = golds.iter().enumerate().map(|(i, gold)| 80.0 - 12.0 * gold + stray * noise(i)).collect();
        score(&mut run, prompt, &degrees);
    }
    run.provenance.reference = Some(run.cells[1].id.clone());
    if labels_too {
        fixture::slice(&mut run, "topics", "validation", &fixture::TOPICS, 60);
        for (calibration, skill) in [("none", 0.04), ("center", 0.08)] {
            fixture::score(&mut run, ["tiny", "raw", "last", "topics", "names", calibration], skill, false);
        }
    }
    run
}

/// The report without its last section, which is the same for every kind of task.
fn read(run: &RunRecord) -> String {
    let markdown = render(run).unwrap().markdown;
    markdown.split("\n## How to reproduce").next().unwrap().to_owned()
}

#[test]
fn a_report_on_scored_pairs_reads_well() {
    insta::assert_snapshot!("scored_pairs", read(&scored(Kind::Sts)));
}

#[test]
fn a_report_on_labelled_pairs_reads_well() {
    insta::assert_snapshot!("labelled_pairs", read(&scored(Kind::Pairs)));
}

#[test]
fn a_cell_whose_cosines_are_all_equal_is_not_ranked_and_says_why() {
    let mut run = run(Kind::Sts);
    score(&mut run, "raw", &[30.0; 8]);
    let report = read(&run);
    assert!(report.contains("Not ranked, because all cosines are equal: tiny / raw / last / alike."), "{report}");
    assert!(report.contains("There is no answer"), "{report}");
    score(&mut run, "eol", &[5.0, 30.0, 70.0, 80.0, 10.0, 20.0, 85.0, 40.0]);
    let report = read(&run);
    assert!(report.contains("Not ranked") && report.contains("Best cell: Spearman"), "{report}");
}

#[test]
fn figures_are_of_pairs_and_the_same_each_time() {
    for kind in [Kind::Sts, Kind::Pairs] {
        let report = render(&scored(kind)).unwrap();
        assert_eq!(report.figures.keys().collect::<Vec<_>>(), ["leaderboard.svg", "similarity.svg"]);
        assert_eq!(report, render(&scored(kind)).unwrap());
        assert!(report.html.contains("<svg") && !report.html.contains("confusion.svg"));
    }
}
