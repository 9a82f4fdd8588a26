//! Result folders and baselines of pairs: round trips, interruptions, and numbers that contradict the slice.

use std::collections::BTreeMap;
use std::path::Path;

use super::example::provenance;
use super::*;
use crate::spec::{Aggregate, Protocol};

const COSINES: [f64; 3] = [0.1 + 0.2, -1.0 / 3.0, 1.0];

fn run() -> (Provenance, BTreeMap<String, Arc<Vec<SampleText>>>) {
    let mut provenance = provenance();
    let slice = &mut provenance.slices[0];
    slice.kind = Kind::Sts;
    slice.labels.clear();
    provenance.tasks = vec![Task::Sts { protocol: Some(Protocol::Mteb), aggregate: Aggregate::Pooled }];
    provenance.reference = None;
    let text = |i: usize, score: f64, group: Option<&str>| SampleText {
        id: format!("test:{}", i + 1),
        text: format!("one {i}"),
        gold: Gold::Score(score),
        partner: Some(Box::new(Partner {
            text: "other".to_owned(),
            group: group.map(str::to_owned),
            subset: Some(if i == 1 { "forum" } else { "news" }.to_owned()),
        })),
    };
    let samples = vec![text(0, 0.1 + 0.2, Some("q")), text(1, 5.0, None), text(2, 2.5, Some("q"))];
    (provenance, BTreeMap::from([("apps2".to_owned(), samples.into())]))
}

fn cell() -> CellRecord {
    let estimate = Some(crate::stats::wilson(1, 3));
    let metric = |label: Option<&str>| MetricRow {
        name: "spearman".to_owned(),
        label: label.map(str::to_owned),
        estimate,
        reason: None,
    };
    CellRecord {
        id: "aaaaaaaaaaaa".to_owned(),
        choices: Choices {
            task: TaskKind::Sts,
            labels: NO_CHOICE.to_owned(),
            calibration: NO_CHOICE.to_owned(),
            transform: "none".to_owned(),
            ..super::example::choices("big", "raw")
        },
        outcome: Outcome::Measured(Measured {
            metrics: vec![metric(None), metric(Some("news"))],
            samples: (0..3).map(|i| PairRow { tokens: 10 + i, cut: i }).collect(),
            scores: COSINES.to_vec(),
        }),
    }
}

fn record(dir: &Path, cell: CellRecord) -> Result<Recorder, ResultsError> {
    let (provenance, samples) = run();
    let mut recorder = Recorder::start(dir, provenance, samples)?;
    recorder.record(cell)?;
    Ok(recorder)
}

#[test]
fn pairs_are_read_back_to_the_last_bit_also_after_an_interruption() {
    let dir = tempfile::tempdir().unwrap();
    drop(record(dir.path(), cell()).unwrap());
    let (provenance, samples) = run();
    let again = Recorder::start(dir.path(), provenance, samples.clone()).unwrap();
    assert_eq!(again.finished("aaaaaaaaaaaa"), Some(cell()));
    again.finish(Times::default(), &["aaaaaaaaaaaa".to_owned()]).unwrap();
    let read = RunRecord::open(dir.path()).unwrap();
    assert_eq!((read.cells, read.samples, read.provenance.tasks.len()), (vec![cell()], samples, 1));
}

#[test]
fn pairs_that_contradict_their_slice_are_not_written() {
    let refused = |change: fn(&mut Measured), wanted: &str| {
        let mut cell = cell();
        if let Outcome::Measured(paired) = &mut cell.outcome {
            change(paired);
        }
        let dir = tempfile::tempdir().unwrap();
        let message = crate::cause::told(&record(dir.path(), cell).unwrap_err());
        assert!(message.ends_with(wanted), "{message}");
    };
    refused(|paired| paired.samples.truncate(2), "it scores 2 samples, the slice has 3");
    refused(|paired| paired.scores.push(0.0), "its 3 samples have 4 numbers: one for each of them were expected");
    refused(|paired| paired.scores[1] = f64::NAN, "sample 1 has a score or margin that is not a finite number");
    refused(
        |paired| paired.metrics[1].label = Some("blog".to_owned()),
        "its metric `spearman` is about label `blog`, which the slice does not have",
    );
}

#[test]
fn texts_against_labels_are_no_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let labelled = CellRecord { choices: cell().choices, ..super::example::cell("bbbbbbbbbbbb", "big", "raw", [0, 1, 1]) };
    let message = crate::cause::told(&record(dir.path(), labelled).unwrap_err());
    assert!(message.ends_with("it holds labels of texts, its task is `sts`"), "{message}");
}

/// Gold scores, groups and subsets as they were; cosines within a step of 1.2e-6, and the same for the run and its baseline.
#[test]
fn a_baseline_keeps_what_a_comparison_of_pairs_needs() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(dir.path(), cell()).unwrap().finish(Times::default(), &["aaaaaaaaaaaa".to_owned()]).unwrap();
    bless(dir.path(), out.path()).unwrap();
    let (kept, fresh) = (Outcomes::open(out.path()).unwrap(), Outcomes::open(dir.path()).unwrap());
    assert_eq!((&kept.cells, &kept.tasks), (&fresh.cells, &fresh.tasks));
    let (kept_gold, gold) = (&kept.pairs["apps2"], &fresh.pairs["apps2"]);
    assert_eq!((&kept_gold.clusters, &kept_gold.names), (&gold.clusters, &gold.names));
    assert_eq!(kept_gold.subsets, [0, 1, 0]);
    assert!(kept_gold.gold.iter().zip(&gold.gold).all(|(kept, gold)| (kept - gold).abs() < 1e-12));
    let Ok(Answers::Pairs { cosines, called: None }) = &kept.cells[0].answers else { panic!("{:?}", kept.cells[0]) };
    assert!(cosines.iter().zip(COSINES).all(|(kept, cosine)| (kept - cosine).abs() < 1.2e-6), "{cosines:?}");
    assert!(cosines[2] >= 1.0, "the last step is 1");
    // Baselines of older programs do not name the task: the slice's samples tell it.
    let path = out.path().join("baseline.json");
    let older = std::fs::read_to_string(&path).unwrap().replace("\"task\": \"sts\",", "");
    std::fs::write(&path, older).unwrap();
    assert_eq!(Outcomes::open(out.path()).unwrap().cells, kept.cells);
}
