//! Result folders: round trips, interruptions, and files that lie.

use std::fs::{self, File};
use std::path::Path;

use polars::prelude::*;

use super::example::{cell, cells, cuts, provenance, samples};
use super::schema::{CELLS, CONFUSION, CUTS, Layout, PLACES, PREDICTIONS, SAMPLES};
use super::*;
use crate::task::{
    CLASS_METRICS, CLUSTERING_METRICS, METRICS, MTEB_METRICS, MetricInfo, PROBE_METRICS, RETRIEVAL_METRICS, STS_METRICS, Scope,
    Uncertainty,
};

const FILES: [&str; 8] = [
    "cells.parquet",
    "confusion.parquet",
    "cuts.parquet",
    "places.parquet",
    "predictions.parquet",
    "run.json",
    "samples.parquet",
    "summary.json",
];

fn start(dir: &Path) -> Recorder {
    let mut recorder = Recorder::start(dir, provenance(), samples()).unwrap();
    recorder.cut(cuts());
    recorder
}

fn times() -> Times {
    Times { started: "2026-01-02T03:04:05Z".to_owned(), tokens_computed: 9, ..Times::default() }
}

fn order() -> Vec<String> {
    cells().into_iter().map(|cell| cell.id).collect()
}

/// Records every cell and finishes.
fn written(dir: &Path) -> RunRecord {
    let mut recorder = start(dir);
    cells().iter().for_each(|cell| recorder.record(cell.clone()).unwrap());
    recorder.finish(times(), &order()).unwrap();
    RunRecord::open(dir).unwrap()
}

fn bytes(dir: &Path) -> Vec<Vec<u8>> {
    FILES.iter().map(|name| fs::read(dir.join(name)).unwrap()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn equal(a: &RunRecord, b: &RunRecord) {
    assert_eq!(a.provenance, b.provenance);
    assert_eq!(a.samples, b.samples);
    assert_eq!(a.cells, b.cells);
    assert_eq!(a.cuts, b.cuts);
}

#[test]
fn what_is_written_is_read_back_to_the_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let record = written(dir.path());
    assert_eq!((&record.cells, &record.cuts), (&cells(), &Some(cuts())));
    assert_eq!(record.provenance.times, times());
    equal(&RunRecord::open(dir.path()).unwrap(), &record);
    assert_eq!(names(dir.path()), FILES);
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(one.path());
    written(two.path());
    assert_eq!(bytes(one.path()), bytes(two.path()));
    // Writing over an older run changes nothing either, nor does a lack of memory.
    written(two.path());
    assert_eq!(bytes(one.path()), bytes(two.path()));
    let mut recorder = start(two.path());
    recorder.room = 0;
    cells().into_iter().for_each(|cell| recorder.record(cell).unwrap());
    let kept = recorder.recorded(&order()).iter().map(|cell| cell.samples()).sum::<usize>();
    assert_eq!(kept, 0);
    recorder.finish(times(), &order()).unwrap();
    assert_eq!(bytes(one.path()), bytes(two.path()));
}

#[test]
fn an_interrupted_run_continues_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path());
    for done in 0..=4 {
        let dir = tempfile::tempdir().unwrap();
        let mut interrupted = start(dir.path());
        cells()[..done].iter().for_each(|cell| interrupted.record(cell.clone()).unwrap());
        drop(interrupted);
        let mut recorder = start(dir.path());
        for (i, cell) in cells().iter().enumerate() {
            let found = recorder.finished(&cell.id);
            let expected = (i < done && cell.scored().is_some()).then(|| cell.clone());
            assert_eq!(found, expected, "cell {i} after {done}");
            if found.is_none() {
                recorder.record(cell.clone()).unwrap();
            }
        }
        recorder.finish(times(), &order()).unwrap();
        assert_eq!(bytes(whole.path()), bytes(dir.path()), "interrupted after {done}");
    }
}

#[test]
fn an_older_run_stays_readable_until_the_next_one_finishes() {
    let dir = tempfile::tempdir().unwrap();
    let old = written(dir.path());
    let mut recorder = start(dir.path());
    recorder.record(cells()[0].clone()).unwrap();
    drop(recorder);
    equal(&RunRecord::open(dir.path()).unwrap(), &old);
}

#[test]
fn torn_and_altered_partial_files_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let cell = &cells()[0];
    start(dir.path()).record(cell.clone()).unwrap();
    let path = dir.path().join("partial").join(format!("{}.cell", cell.id));
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, 63, 64, 65, 200, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(start(dir.path()).finished(&cell.id), None, "{length} bytes");
    }
    for at in [0, 70, whole.len() / 2, whole.len() - 2] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        fs::write(&path, &altered).unwrap();
        assert_eq!(start(dir.path()).finished(&cell.id), None, "byte {at}");
    }
    fs::write(&path, [0xff; 300]).unwrap();
    assert_eq!(start(dir.path()).finished(&cell.id), None);
    fs::write(&path, &whole).unwrap();
    assert_eq!(start(dir.path()).finished(&cell.id).as_ref(), Some(cell));
    assert_eq!(start(dir.path()).finished("../../etc/passwd"), None);
}

#[test]
fn a_partial_cell_counts_only_under_what_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let id = "cccccccccccc";
    start(dir.path()).record(cells()[0].clone()).unwrap();
    let finds = |change: fn(&mut Provenance)| {
        let mut provenance = provenance();
        change(&mut provenance);
        Recorder::start(dir.path(), provenance, samples()).unwrap().finished(id).is_some()
    };
    assert!(finds(|_| ()));
    assert!(finds(|run| run.prompts.truncate(1)), "another cell's prompt is no part of it");
    assert!(finds(|run| run.times = times()));
    assert!(!finds(|run| run.seed = 43));
    assert!(!finds(|run| run.engine = "0.2.0".to_owned()));
    assert!(!finds(|run| run.prompts[0].views[0].push('!')));
    assert!(!finds(|run| run.models[0].encoder = Digest::of_bytes(b"other weights")));
    assert!(!finds(|run| run.slices[0].labels.reverse()));
}

#[test]
fn partial_cells_of_another_plan_are_forgotten_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = start(dir.path());
    cells().iter().for_each(|cell| recorder.record(cell.clone()).unwrap());
    recorder.finish(times(), &order()[..2]).unwrap();
    let record = RunRecord::open(dir.path()).unwrap();
    assert_eq!(record.cells, cells()[..2]);
    assert_eq!(names(dir.path()), FILES);
    equal(&RunRecord::open(dir.path()).unwrap(), &record);
}

#[test]
fn a_plan_that_was_not_recorded_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = start(dir.path());
    recorder.record(cells()[0].clone()).unwrap();
    let error = recorder.finish(times(), &order()).unwrap_err();
    assert!(matches!(&error, ResultsError::NotRecorded { cell } if cell == "aaaaaaaaaaaa"), "{error}");
    let twice = start(dir.path()).finish(times(), &["x".to_owned(), "x".to_owned()]).unwrap_err();
    assert!(matches!(twice, ResultsError::Twice { .. }), "{twice}");
    let error = RunRecord::open(dir.path()).unwrap_err();
    assert!(matches!(error, ResultsError::Unfinished { cells: 1, .. }), "{error}");
}

#[test]
fn cells_that_contradict_their_slice_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = start(dir.path());
    let mut refused = |change: &dyn Fn(&mut Scored)| {
        let mut cell = cell("cccccccccccc", "big", "raw", [0, 0, 1]);
        let Outcome::Scored(scored) = &mut cell.outcome else { unreachable!() };
        change(scored);
        match recorder.record(cell).unwrap_err() {
            ResultsError::Cell { source, .. } => source,
            other => panic!("{other}"),
        }
    };
    let row = |wanted: usize, change: fn(&mut SampleRow)| {
        move |scored: &mut Scored| {
            let mut rows: Vec<SampleRow> = scored.samples.iter().collect();
            change(&mut rows[wanted]);
            scored.samples = rows.into();
        }
    };
    assert_eq!(
        refused(&|scored| scored.samples = scored.samples.iter().take(2).collect()),
        Inconsistency::SampleCount { found: 2, wanted: 3 }
    );
    assert_eq!(refused(&|scored| scored.scores[2] = f64::NAN), Inconsistency::SampleNotFinite { sample: 1 });
    assert_eq!(refused(&row(1, |row| row.margin = Some(f64::INFINITY))), Inconsistency::SampleNotFinite { sample: 1 });
    assert_eq!(refused(&row(0, |row| row.gold = 1)), Inconsistency::Gold { sample: 0, found: 1, wanted: 0 });
    assert_eq!(refused(&row(0, |row| row.gold_rank = 3)), Inconsistency::Rank { sample: 0, found: 3, wanted: 2 });
    assert_eq!(refused(&|scored| scored.scores.truncate(4)), Inconsistency::ScoreCount { found: 4, wanted: 6 });
    let confusion = Inconsistency::Confusion { gold: 1, predicted: 0, found: 5, wanted: 1 };
    assert_eq!(refused(&|scored| scored.confusion[2] = 5), confusion);
    let reason = Inconsistency::MetricReason { metric: "cut_tokens".to_owned() };
    assert_eq!(refused(&|scored| scored.metrics[3].reason = None), reason);
    let elsewhere = Inconsistency::MetricLabel { metric: "recall".to_owned(), label: "体育".to_owned() };
    assert_eq!(refused(&|scored| scored.metrics[4].label = Some("体育".to_owned())), elsewhere);
    let unknown = recorder.record(cell("cccccccccccc", "big", "typo", [0, 0, 1])).unwrap_err();
    assert!(matches!(unknown, ResultsError::Cell { source: Inconsistency::UnknownChoice { axis: "prompt", .. }, .. }));
    let escaping = recorder.record(cell("../x", "big", "raw", [0, 0, 1])).unwrap_err();
    assert!(matches!(escaping, ResultsError::CellId { .. }), "{escaping}");
    let short = Recorder::start(dir.path(), provenance(), BTreeMap::new()).unwrap_err();
    assert!(matches!(short, ResultsError::Samples { found: 0, wanted: 3, .. }), "{short}");
}

#[test]
fn another_format_is_refused_before_anything_else_is_read() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let path = dir.path().join("run.json");
    for unknown in [0, FORMAT + 1] {
        fs::write(&path, format!("{{ \"format\": {unknown}, \"unheard\": \"of\" }}")).unwrap();
        let error = RunRecord::open(dir.path()).unwrap_err();
        assert!(matches!(&error, ResultsError::Version { found, .. } if *found == unknown.to_string()), "{error}");
    }
    fs::write(&path, "{ \"format\": ").unwrap();
    assert!(matches!(RunRecord::open(dir.path()), Err(ResultsError::Json { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(RunRecord::open(dir.path()), Err(ResultsError::Missing { file: "run.json", .. })));
}

#[test]
fn files_that_the_run_did_not_write_are_refused() {
    for name in FILES.into_iter().filter(|name| name.ends_with(".parquet")) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        fs::write(&path, bytes).unwrap();
        let error = RunRecord::open(dir.path()).unwrap_err();
        assert!(matches!(&error, ResultsError::Damaged { path: found, .. } if *found == path), "{error}");
        fs::remove_file(&path).unwrap();
        let error = RunRecord::open(dir.path()).unwrap_err();
        assert!(matches!(&error, ResultsError::Missing { file, .. } if *file == name), "{error}");
    }
}

/// Rewrites one table and its digest, and returns what reading the folder then says.
fn altered(layout: &Layout, change: impl FnOnce(DataFrame) -> PolarsResult<DataFrame>) -> ResultsError {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    rewrite(dir.path(), layout, change);
    RunRecord::open(dir.path()).unwrap_err()
}

fn rewrite(dir: &Path, layout: &Layout, change: impl FnOnce(DataFrame) -> PolarsResult<DataFrame>) {
    let path = dir.join(layout.file);
    let frame = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
    let mut changed = change(frame).unwrap();
    ParquetWriter::new(File::create(&path).unwrap()).finish(&mut changed).unwrap();
    let digest = Digest::of_file(&path).unwrap().to_string();
    edit_run(dir, |json| json["files"][layout.file] = digest.into());
}

fn edit_run(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("run.json");
    let mut json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(&path, json.to_string()).unwrap();
}

/// What a run of labelled texts by the first format looks like: without the columns that came with pairs, tasks and transforms.
#[test]
fn folders_of_the_first_format_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let record = written(dir.path());
    for layout in [&CELLS, &PREDICTIONS, &SAMPLES] {
        let later = layout.columns.iter().filter(|column| column.since > 1).map(|column| column.name).collect::<Vec<_>>();
        assert!(!later.is_empty());
        rewrite(dir.path(), layout, |frame| Ok(frame.drop_many(later)));
    }
    let error = RunRecord::open(dir.path()).unwrap_err();
    assert!(matches!(error, ResultsError::ColumnMissing { .. }), "{error}");
    edit_run(dir.path(), |json| json["format"] = 1.into());
    let read = RunRecord::open(dir.path()).unwrap();
    assert_eq!((&read.cells, &read.samples, read.provenance.format), (&record.cells, &record.samples, 1));
    assert_eq!(Outcomes::open(dir.path()).unwrap().cells.len(), record.cells.len());
}

/// Replaces one value of a text column by a text, or by null.
fn with_text(
    column: &'static str,
    row: usize,
    text: Option<&'static str>,
) -> impl FnOnce(DataFrame) -> PolarsResult<DataFrame> {
    move |mut frame| {
        let mut values: Vec<Option<String>> =
            frame.column(column)?.str()?.iter().map(|value| value.map(str::to_owned)).collect();
        values[row] = text.map(str::to_owned);
        frame.with_column(Column::new(column.into(), values))?;
        Ok(frame)
    }
}

#[test]
fn missing_and_mistyped_columns_are_named() {
    for layout in [&CELLS, &PREDICTIONS, &CONFUSION, &SAMPLES, &CUTS] {
        for column in layout.columns {
            let error = altered(layout, |frame| frame.drop(column.name));
            assert!(matches!(&error, ResultsError::ColumnMissing { column: name, .. } if *name == column.name), "{error}");
        }
    }
    let error = altered(&PREDICTIONS, |mut frame| {
        frame.with_column(Column::new("tokens".into(), vec![1.5; 9]))?;
        Ok(frame)
    });
    assert!(matches!(error, ResultsError::ColumnType { column: "tokens", .. }), "{error}");
}

#[test]
fn values_that_make_no_sense_are_named_by_file_column_and_row() {
    let says = |error: &ResultsError, wanted: &str| {
        let text = error.to_string();
        assert!(text.contains(wanted) && text.contains("run the experiment again, or delete"), "{text}");
    };
    says(&altered(&PREDICTIONS, with_text("predicted", 4, Some("体育"))), "row 4 of column `predicted` of ");
    says(&altered(&PREDICTIONS, with_text("cell", 0, Some("nobody"))), "row 0 of column `cell` of ");
    says(&altered(&PREDICTIONS, with_text("sample", 1, Some("test:9"))), "holds `test:9`, not `test:2`");
    says(&altered(&PREDICTIONS, with_text("gold", 3, None)), "row 3 of column `gold` of ");
    says(&altered(&SAMPLES, with_text("slice", 2, Some("other"))), "holds `other`, not a slice of run.json");
    says(&altered(&CELLS, with_text("status", 0, Some("fine"))), "holds `fine`, not `scored` or `failed`");
    says(&altered(&CELLS, with_text("prompt", 1, Some("eol"))), "with other choices");
    says(&altered(&CONFUSION, |frame| Ok(frame.tail(Some(1)))), "contradicts itself");
    says(&altered(&PREDICTIONS, |frame| Ok(frame.head(Some(8)))), "contradicts itself");
    says(&altered(&CUTS, with_text("of", 1, Some("partner"))), "holds 2 of `apps2`, not a text of samples.parquet");
    says(&altered(&CUTS, with_text("of", 0, Some("label"))), "holds `label`, not `text` or `partner`");
    says(&altered(&CUTS, with_text("model", 0, Some("huge"))), "holds `huge`, not a model of run.json");
    says(&altered(&CUTS, with_text("prompt", 0, Some("typo"))), "holds view 0 of `typo`, not a view of a prompt");
    says(&altered(&CUTS, with_text("slice", 2, Some("apps9"))), "holds 0 of `apps9`, not a text");
}

#[test]
fn a_run_of_an_older_program_says_nothing_of_cuts() {
    let dir = tempfile::tempdir().unwrap();
    let record = written(dir.path());
    let run = dir.path().join("run.json");
    let mut json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&run).unwrap()).unwrap();
    json["files"].as_object_mut().unwrap().remove("cuts.parquet").unwrap();
    fs::write(&run, json.to_string()).unwrap();
    fs::remove_file(dir.path().join("cuts.parquet")).unwrap();
    equal(&RunRecord::open(dir.path()).unwrap(), &RunRecord { cuts: None, ..record });
}

#[test]
fn the_summary_is_short_sorted_and_rounded() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let text = fs::read_to_string(dir.path().join("summary.json")).unwrap();
    let at = |id: &str| text.find(&format!("\"{id}\": {{")).unwrap();
    assert!(at("aaaaaaaaaaaa") < at("bbbbbbbbbbbb") && at("cccccccccccc") < at("dddddddddddd"));
    assert!(
        text.contains("\"value\": 0.666667,\n        \"low\": 0.20766,\n        \"high\": 0.938508,\n        \"n\": 3"),
        "{text}"
    );
    assert!(text.contains("\"status\": \"failed\",\n      \"reason\": \"the model did not load\"\n    }"), "{text}");
}

#[test]
fn the_readme_names_every_file_column_and_metric() {
    let readme = include_str!("../../results/README.md");
    for layout in [&CELLS, &PREDICTIONS, &CONFUSION, &SAMPLES, &PLACES, &CUTS] {
        let start = readme.find(&format!("## `{}`", layout.file)).expect(layout.file);
        let section = &readme[start..];
        let section = &section[..section[3..].find("\n## ").map_or(section.len(), |end| end + 3)];
        for column in layout.columns {
            assert!(section.contains(&format!("| `{}` |", column.name)), "{} of {}", column.name, layout.file);
        }
    }
    for name in FILES.into_iter().chain(["cut_share", "cut_tokens"]) {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    let (of_slice, rest) = readme.split_once("Metrics of one label:").unwrap();
    let (of_label, rest) = rest.split_once("Linear probe:").unwrap();
    let (of_probe, of_pairs) = rest.split_once("Metrics of pairs:").unwrap();
    let (of_sts, of_classes) = of_pairs.split_once("Pair classification:").unwrap();
    let (of_classes, of_mteb) = of_classes.split_once("Pair classification with `protocol = \"mteb\"`:").unwrap();
    let (of_mteb, of_queries) = of_mteb.split_once("Retrieval:").unwrap();
    let (of_queries, of_clusters) = of_queries.split_once("Clustering:").unwrap();
    let of_labels = METRICS.iter().map(|info| (info, if info.scope == Scope::Slice { of_slice } else { of_label }));
    let tasks = [
        (PROBE_METRICS, of_probe),
        (STS_METRICS, of_sts),
        (CLASS_METRICS, of_classes),
        (MTEB_METRICS, of_mteb),
        (RETRIEVAL_METRICS, of_queries),
        (CLUSTERING_METRICS, of_clusters),
    ];
    let common = |info: &&MetricInfo| !["anisotropy", "zero_vectors"].contains(&info.name);
    let of_tasks =
        tasks.into_iter().flat_map(|(metrics, section)| metrics.iter().filter(common).map(move |info| (info, section)));
    for (info, section) in of_labels.chain(of_tasks) {
        let row = section.lines().find(|line| line.starts_with("| `") && line.contains(&format!("`{}`", info.name)));
        let interval = match info.uncertainty {
            Uncertainty::Wilson => "| Wilson |",
            Uncertainty::Bootstrap => "| bootstrap |",
            Uncertainty::Jackknife => "| jackknife |",
            Uncertainty::None => "| none |",
        };
        assert!(row.is_some_and(|row| row.contains(interval)), "{}: {row:?}", info.name);
    }
}
