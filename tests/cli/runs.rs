//! Whole runs: what they write, what they reuse, how they stop.

use std::fs;

use crate::lab::Lab;

#[test]
fn a_run_writes_results_and_a_report_and_a_second_one_embeds_nothing() {
    let lab = Lab::new(30);
    let first = lab.expect(0, &["run", "toy.toml"]);
    assert!(first.err.contains("embed with llama"), "{}", first.err);
    assert!(first.out.contains("report: reports/toy/report.md"), "{}", first.out);
    let (results, report) = (lab.files("results/toy"), lab.files("reports/toy"));
    let names: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = [
        "cells.parquet",
        "confusion.parquet",
        "cuts.parquet",
        "places.parquet",
        "predictions.parquet",
        "run.json",
        "samples.parquet",
        "summary.json",
    ];
    assert_eq!(names, wanted);

    let second = lab.expect(0, &["run", "toy.toml"]);
    assert!(!second.err.contains("embed with"), "{}", second.err);
    assert_eq!(lab.files("results/toy"), results);
    let figures =
        |files: &[(String, Vec<u8>)]| files.iter().filter(|(name, _)| name.ends_with("svg")).cloned().collect::<Vec<_>>();
    assert_eq!(figures(&lab.files("reports/toy")), figures(&report));
}

#[test]
fn a_cell_does_not_depend_on_its_place_in_the_file() {
    let lab = Lab::new(12);
    lab.expect(0, &["run", "toy.toml"]);
    let ids = |lab: &Lab| {
        let summary: serde_json::Value = serde_json::from_str(&lab.read("results/toy/summary.json")).unwrap();
        summary["cells"].to_string()
    };
    let before = ids(&lab);
    let spec = lab.read("toy.toml");
    let (head, rest) = spec.split_once("[[prompt]]").unwrap();
    let (raw, rest) = rest.split_once("[[prompt]]").unwrap();
    let (eol, rest) = rest.split_once("[[readout]]").unwrap();
    lab.write("toy.toml", &format!("{head}[[prompt]]{eol}[[prompt]]{raw}[[readout]]{rest}"));
    lab.expect(0, &["run", "toy.toml"]);
    assert_eq!(ids(&lab), before);
}

#[test]
fn a_report_needs_the_result_files_alone() {
    let lab = Lab::new(12);
    lab.expect(0, &["run", "toy.toml"]);
    let report = lab.files("reports/toy");
    for gone in ["datasets", "reports", ".bench"] {
        fs::remove_dir_all(lab.path(gone)).unwrap();
    }
    fs::remove_file(lab.path("toy.toml")).unwrap();
    lab.expect(0, &["report", "results/toy"]);
    assert_eq!(lab.files("reports/toy"), report);
}

#[test]
fn a_damaged_part_of_the_cache_is_a_warning_and_embedded_again() {
    let lab = Lab::new(12);
    lab.expect(0, &["run", "toy.toml"]);
    let results = lab.files("results/toy");
    let mut damaged = 0;
    for (name, _) in lab.files(".bench/embeddings").iter().filter(|(name, _)| name.ends_with(".parquet")) {
        fs::write(lab.path(".bench/embeddings").join(name), "no longer a table").unwrap();
        damaged += 1;
    }
    assert!(damaged > 0);
    let said = lab.expect(0, &["run", "toy.toml"]);
    assert!(said.err.contains("warning: ") && said.err.contains(".damaged"), "{}", said.err);
    assert_eq!(lab.files("results/toy"), results);
}

#[test]
fn a_flipped_byte_anywhere_in_the_cache_changes_no_result() {
    let lab = Lab::new(12);
    lab.expect(0, &["run", "toy.toml"]);
    let results = lab.files("results/toy");
    for (name, bytes) in lab.files(".bench/embeddings").iter().filter(|(name, _)| name.ends_with(".parquet")) {
        for place in [bytes.len() / 9, bytes.len() / 2, bytes.len() - 9] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            fs::write(lab.path(".bench/embeddings").join(name), damaged).unwrap();
            let said = lab.expect(0, &["run", "toy.toml"]);
            assert!(said.err.contains("warning: "), "byte {place} of {name}: {}", said.err);
            assert_eq!(lab.files("results/toy"), results, "byte {place} of {name}");
        }
    }
}

#[test]
fn the_plan_counts_the_work_and_what_is_cached() {
    let lab = Lab::new(12);
    let before = lab.expect(0, &["plan", "toy.toml"]);
    assert!(before.out.contains("6 cells"), "{}", before.out);
    assert!(!lab.path("results").exists());
    lab.expect(0, &["run", "toy.toml"]);
    let after = lab.expect(0, &["plan", "toy.toml", "--cells"]);
    let cached = |out: &str| out.lines().find(|line| line.contains("llama")).unwrap_or_default().to_owned();
    assert_ne!(cached(&before.out), cached(&after.out), "{}", after.out);
}

#[test]
fn the_cache_is_verified_and_pruned() {
    let lab = Lab::new(12);
    lab.expect(0, &["run", "toy.toml"]);
    let said = lab.expect(0, &["cache", "verify", "toy.toml"]);
    assert!(said.out.contains("good") && !said.out.contains("nothing cached"), "{}", said.out);
    lab.expect(0, &["cache", "prune", "--older-than", "0s"]);
    let said = lab.expect(0, &["cache", "verify", "toy.toml"]);
    assert!(said.out.contains("nothing cached"), "{}", said.out);
}
