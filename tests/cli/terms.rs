//! The terms of a comparison: metric, correction, limits by slice, and what is not the same on both sides.

use crate::gate::{GATE, blessed, golden, improve};
use crate::lab::Lab;

#[test]
fn several_baselines_are_one_family_and_a_table_for_other_programs() {
    let lab = blessed();
    improve(&lab, 12);
    let one = ["compare", "baseline", "results/toy", "--format", "csv"];
    let csv = lab.expect(0, &one).out;
    insta::assert_snapshot!("compare_csv", csv);
    let p = |csv: &str, column: &str| -> Vec<f64> {
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let place = lines.next().unwrap().iter().position(|name| *name == column).unwrap();
        lines.map(|line| line[place].parse().unwrap()).collect()
    };
    let twice = ["compare", "baseline", "baseline", "results/toy", "--format", "csv"];
    let both = lab.expect(0, &twice).out;
    // One of two cells changed: Holm multiplies its p by 2, and by 4 where the baseline is named twice.
    assert!((p(&csv, "p_adjusted")[0] - 2.0 * p(&csv, "p")[0]).abs() < 1e-15);
    assert!((p(&both, "p_adjusted")[0] - 4.0 * p(&csv, "p")[0]).abs() < 1e-15);
    let rates = lab.expect(0, &[&twice[..], &["--correction", "benjamini-hochberg"]].concat()).out;
    assert!((p(&rates, "p_adjusted")[0] - 2.0 * p(&csv, "p")[0]).abs() < 1e-15, "{rates}");
}

#[test]
fn labels_are_compared_by_macro_f1_when_asked() {
    let lab = blessed();
    improve(&lab, 20);
    golden("compare_macro_f1", &lab.expect(0, &["compare", "baseline", "results/toy", "--metric", "macro_f1"]));
}

#[test]
fn a_slice_may_have_limits_of_its_own() {
    let lab = blessed();
    improve(&lab, 20);
    lab.expect(1, GATE);
    lab.write("toy.toml", &(lab.read("toy.toml") + "\n[gate.slice.toy]\nmax_drop = 0.4\n"));
    lab.expect(0, &["run", "toy.toml"]);
    lab.expect(0, GATE);
    lab.edit("toy.toml", "[gate.slice.toy]", "[compare]\ncorrection = \"bonferroni\"\n\n[gate.slice.tpy]\nmax_dorp = 1");
    golden("gate_wrong_terms", &lab.expect(1, &["check", "toy.toml"]));
}

#[test]
fn what_a_name_stands_for_is_part_of_the_comparison() {
    let lab = blessed();
    lab.edit("toy.toml", "use = \"raw\"", "template = \"An app: {text}\"");
    lab.expect(0, &["run", "toy.toml"]);
    let said = lab.expect(0, &["compare", "baseline", "results/toy"]).out;
    assert!(said.contains("note: 2 cells differ: prompt `raw` stands for something else"), "{said}");
}

#[test]
fn a_baseline_of_an_older_program_is_read() {
    let lab = blessed();
    let mut baseline: serde_json::Value = serde_json::from_str(&lab.read("baseline/baseline.json")).unwrap();
    let fields = baseline.as_object_mut().unwrap();
    assert!(fields.remove("devices").is_some() && fields.remove("meanings").is_some());
    lab.write("baseline/baseline.json", &baseline.to_string());
    lab.expect(0, GATE);
    baseline["format"] = 2.into();
    lab.write("baseline/baseline.json", &baseline.to_string());
    let said = lab.expect(2, GATE).err;
    assert!(said.contains("has format 2, this program knows formats up to 1"), "{said}");
}

/// Another protocol is another figure, whatever the samples.
#[test]
fn another_protocol_is_refused_by_name() {
    let lab: Lab = crate::pairs::lab("sts", "sts");
    lab.expect(0, &["run", "alike.toml"]);
    lab.expect(0, &["bless", "results/alike", "-o", "baseline"]);
    lab.edit("alike.toml", "kind = \"sts\"", "kind = \"sts\"\naggregate = \"per-subset\"");
    lab.expect(0, &["run", "alike.toml"]);
    let said = lab.expect(2, &["gate", "results/alike", "--baseline", "baseline"]).out;
    let wanted =
        "is scored by another definition: no protocol, pooled in the baseline, no protocol, per-subset in the candidate";
    assert!(said.contains(wanted), "{said}");
}
