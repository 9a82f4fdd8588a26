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
    let transfer = ["CR", "MPQA", "MR", "MRPC", "SST", "SUBJ", "TREC"];
    assert_eq!(names, [&transfer[..], &["apps6", "covid-pairs", "iflytek", "sts2012", "stsb"]].concat());
    for name in &names {
        let manifest = catalog.manifest(name).unwrap();
        assert!(manifest.downloads.iter().all(|download| download.sha256.is_some()), "{name}");
    }
    assert_eq!(catalog.manifest("iflytek").unwrap().labels.len(), 119);
}

/// Files as `SentEval` writes them: blanks at ends and between words, quotation marks that are never closed, a byte of Latin-1 and
/// `cat -v`'s way to write others, a byte order mark, Windows line ends.
const SENTEVAL: [(&str, &[u8]); 13] = [
    ("MR/rt-polarity.pos", b"a gem , \"full of  life . \nM-CM-) tonic\n"),
    ("MR/rt-polarity.neg", b" too long .\n"),
    ("CR/custrev.pos", b"works : very well\n"),
    ("CR/custrev.neg", b"broke\tsoon\n"),
    ("SUBJ/subj.objective", b"he leaves .\n"),
    ("SUBJ/subj.subjective", b"dull\n"),
    ("MPQA/mpqa.pos", b"hope\n"),
    ("MPQA/mpqa.neg", b"fear\n\nanger\n"),
    ("SST/binary/sentiment-test", b"am\xc3\xa9lie \" charms . \t1\nlong \t0\n"),
    ("TREC/train_5500.label", b"DESC:manner How did  X : Y begin ?\nHUM:ind Who is Andr\xe9 ?\n"),
    ("TREC/TREC_10.label", b"NUM:dist How far is it ?\n"),
    (
        "MRPC/msr_paraphrase_train.txt",
        b"\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tHe said \" no .\tNo , he  said .\r\n",
    ),
    ("MRPC/msr_paraphrase_test.txt", b"Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb \n"),
];

#[test]
fn files_of_senteval_are_read_as_it_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in SENTEVAL {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let catalog = Catalog::new(datasets(), Some(folder.path().to_owned()));
    let read = |dataset: &str, split: &str, wanted: &[(&str, &str)]| {
        let found: Vec<(String, String)> =
            rows(&catalog, dataset, split).into_iter().map(|row| (row.label.unwrap(), row.text)).collect();
        let wanted: Vec<(String, String)> =
            wanted.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
        assert_eq!(found, wanted);
    };
    read("MR", "all", &[("positive", "a gem , \"full of life ."), ("positive", "M-CM-) tonic"), ("negative", "too long .")]);
    read("CR", "all", &[("positive", "works : very well"), ("negative", "broke soon")]);
    read("SUBJ", "all", &[("objective", "he leaves ."), ("subjective", "dull")]);
    read("MPQA", "all", &[("positive", "hope"), ("negative", "fear"), ("negative", "anger")]);
    read("SST", "test", &[("positive", "am\u{e9}lie \" charms ."), ("negative", "long")]);
    read("TREC", "train", &[("DESC", "How did X : Y begin ?"), ("HUM", "Who is Andr\u{e9} ?")]);
    read("TREC", "test", &[("NUM", "How far is it ?")]);
    read("MRPC", "train", &[("paraphrase", "He said \" no .")]);
    read("MRPC", "test", &[("different", "a")]);
    assert_eq!(rows(&catalog, "MRPC", "train")[0].text2.as_deref(), Some("No , he said ."));
    assert_eq!(rows(&catalog, "MR", "all")[2].id, "all:rt-polarity.neg:1");
    // The numbers that SentEval gives classes, after which it sorts texts before it cuts folds.
    let number = |dataset: &str, label: &str| catalog.manifest(dataset).unwrap().labels.iter().position(|known| known == label);
    assert_eq!([number("MR", "positive"), number("SUBJ", "objective"), number("MRPC", "paraphrase")], [Some(1); 3]);
    assert_eq!(number("TREC", "NUM"), Some(5));
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
