//! Tests of the manifests that come with the project, on the real files where they are at hand.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Catalog, Kind, Row};
use crate::spec;

fn datasets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets")
}

/// A catalog of local copies, if `BENCH_TEST_DATA` names a folder that holds them in `datasets/`.
fn real() -> Option<Catalog> {
    let Some(folder) = std::env::var_os("BENCH_TEST_DATA") else {
        // Not `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: BENCH_TEST_DATA is not set, so nothing is read from the real datasets");
        return None;
    };
    Some(Catalog::new(datasets(), Some(PathBuf::from(folder).join("datasets"))))
}

fn rows(catalog: &Catalog, dataset: &str, split: &str) -> Vec<Row> {
    let (rows, origin) = catalog.rows(dataset, split).unwrap();
    assert_eq!(origin.skipped, 0);
    rows
}

#[test]
fn every_manifest_can_be_read() {
    let catalog = Catalog::new(datasets(), None);
    let names = catalog.names().unwrap();
    assert_eq!(names, ["apps6", "covid-pairs", "iflytek", "sts2012", "stsb"]);
    for name in &names {
        let manifest = catalog.manifest(name).unwrap();
        assert!(manifest.downloads.iter().all(|download| download.sha256.is_some()), "{name}");
    }
    assert_eq!(catalog.manifest("iflytek").unwrap().labels.len(), 119);
}

#[test]
fn the_bundled_dataset_is_complete() {
    let catalog = Catalog::new(datasets(), None);
    let manifest = catalog.manifest("apps6").unwrap();
    let mut counts = BTreeMap::new();
    for row in ["dev", "test"].iter().flat_map(|split| rows(&catalog, "apps6", split)) {
        assert!((15..=900).contains(&row.text.chars().count()), "{}", row.id);
        *counts.entry(row.label.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(manifest.labels.len(), 6);
    assert!(manifest.labels.iter().all(|label| counts[label] >= 40), "{counts:?}");
}

#[test]
fn iflytek_has_its_rows_and_label_order() {
    let Some(catalog) = real() else { return };
    let sizes = ["fewclue-train", "fewclue-dev", "fewclue-test"].map(|split| rows(&catalog, "iflytek", split).len());
    assert_eq!(sizes, [3024, 1373, 1749]);
    assert_eq!(rows(&catalog, "iflytek", "fewclue-dev")[0].label.as_deref(), Some("办公"));
    // The first row of fewclue-dev is label 113 in CLUE's numbering.
    assert_eq!(catalog.manifest("iflytek").unwrap().labels[113], "办公");
}

#[test]
fn the_six_topics_of_iflytek() {
    let Some(catalog) = real() else { return };
    let topics = ["休闲益智", "亲子儿童", "中小学", "动作类", "新闻", "求职"].map(str::to_owned);
    let asked = spec::Slice {
        id: "iflytek6".to_owned(),
        dataset: "iflytek".to_owned(),
        split: "fewclue-test".to_owned(),
        labels: topics.to_vec(),
        rename: Vec::new(),
        limit: None,
        per_label: None,
        min_chars: None,
        max_chars: None,
    };
    let counts = |slice: &super::Slice| {
        let mut counts = [0; 6];
        slice.samples.iter().for_each(|sample| counts[sample.gold.label().unwrap()] += 1);
        counts
    };
    let slice = catalog.slice(&asked, 42).unwrap();
    assert_eq!(slice.labels, topics);
    assert_eq!(counts(&slice), [30, 30, 30, 30, 30, 17]);
    let some = catalog.slice(&spec::Slice { limit: Some(60), ..asked }, 42).unwrap();
    // Shares of 60: 10.78 for each topic of 30, 6.11 for the one of 17.
    assert_eq!(counts(&some), [11, 11, 11, 11, 10, 6]);
}

#[test]
fn covid_pairs_have_their_rows_and_groups() {
    let Some(catalog) = real() else { return };
    let dev = rows(&catalog, "covid-pairs", "dev");
    let same = dev.iter().filter(|row| row.label.as_deref() == Some("1")).count();
    let mut groups: Vec<_> = dev.iter().map(|row| row.group.as_ref().unwrap()).collect();
    groups.sort();
    groups.dedup();
    assert_eq!((dev.len(), same, groups.len()), (2002, 804, 363));
    assert_eq!((dev[0].id.as_str(), dev[0].text2.as_deref()), ("0", Some("请问呕血与咯血这两者之间有什么区别？")));
    assert_eq!(rows(&catalog, "covid-pairs", "train").len(), 8747);
}

#[test]
fn sts_sets_have_their_pairs_and_scores() {
    let Some(catalog) = real() else { return };
    let sizes = ["train", "dev", "test"].map(|split| rows(&catalog, "stsb", split).len());
    assert_eq!(sizes, [5749, 1500, 1379]);
    let first = &rows(&catalog, "stsb", "test")[0];
    assert_eq!((first.id.as_str(), first.text.as_str()), ("test:1", "A girl is styling her hair."));
    assert_eq!((first.text2.as_deref(), first.score), (Some("A girl is brushing her hair."), Some(2.5)));

    let mut subsets = BTreeMap::new();
    for row in rows(&catalog, "sts2012", "test") {
        assert!(row.score.is_some_and(|score| (0.0..=5.0).contains(&score)), "{}", row.id);
        *subsets.entry(row.subset.unwrap()).or_insert(0) += 1;
    }
    let wanted = [("MSRpar", 750), ("OnWN", 750), ("SMTeuroparl", 459), ("SMTnews", 399)];
    assert_eq!(subsets, wanted.map(|(name, count)| (name.to_owned(), count)).into());
    assert_eq!(catalog.manifest("sts2012").unwrap().kind, Kind::Sts);
}
