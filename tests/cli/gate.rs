//! A run judged against its baseline: every verdict as a person reads it, and its exit code.

use crate::lab::{Lab, Said};

/// A lab whose run of the lexical floor is blessed: the same numbers on every machine.
pub fn blessed() -> Lab {
    let lab = Lab::new(60);
    let spec = lab.read("toy.toml");
    let (head, rest) = spec.split_once("[[model]]").unwrap();
    let (_, floor) = rest.split_once("[[model]]").unwrap();
    let floor = floor.split("[grid]").next().unwrap().replace("[[prompt]]\nid = \"eol\"\nuse = \"prompteol\"\n", "");
    lab.write("toy.toml", &format!("{head}[[model]]{floor}"));
    lab.expect(0, &["run", "toy.toml"]);
    lab.expect(0, &["bless", "results/toy", "-o", "baseline"]);
    lab
}

pub const GATE: &[&str] = &["gate", "results/toy", "--baseline", "baseline"];

pub fn golden(name: &str, said: &Said) {
    insta::assert_snapshot!(name, format!("exit {}\n{}{}", said.code, said.out, said.err));
}

/// Makes the baseline right on so many more samples of its first cell.
pub fn improve(lab: &Lab, samples: usize) {
    let mut baseline: serde_json::Value = serde_json::from_str(&lab.read("baseline/baseline.json")).unwrap();
    let gold: Vec<char> = baseline["gold"]["toy"].as_str().unwrap().chars().collect();
    let mut predicted: Vec<char> = baseline["cells"][0]["predicted"].as_str().unwrap().chars().collect();
    let wrong: Vec<usize> = (0..gold.len()).filter(|&i| gold[i] != predicted[i]).collect();
    assert!(wrong.len() >= samples, "the floor errs on {} samples alone", wrong.len());
    wrong[..samples].iter().for_each(|&i| predicted[i] = gold[i]);
    baseline["cells"][0]["predicted"] = predicted.into_iter().collect::<String>().into();
    lab.write("baseline/baseline.json", &baseline.to_string());
}

#[test]
fn a_run_passes_on_its_own_baseline_and_blessing_is_stable() {
    let lab = blessed();
    golden("gate_pass", &lab.expect(0, GATE));
    let baseline = lab.files("baseline");
    assert!(baseline.iter().all(|(_, bytes)| bytes.len() < 4096));
    lab.expect(0, &["run", "toy.toml"]);
    lab.expect(0, &["bless", "results/toy", "-o", "baseline"]);
    assert_eq!(lab.files("baseline"), baseline);
}

#[test]
fn a_regression_fails_and_is_told_in_every_form() {
    let lab = blessed();
    improve(&lab, 20);
    let files = ["--junit", "junit.xml", "--markdown", "pr.md", "--github"];
    golden("gate_regressed", &lab.expect(1, &[GATE, &files].concat()));
    insta::assert_snapshot!("gate_junit", lab.read("junit.xml"));
    insta::assert_snapshot!("gate_markdown", lab.read("pr.md"));
    forms_are_those_of_compare(&lab);
    golden("compare_table", &lab.expect(0, &["compare", "baseline", "results/toy"]));
}

/// Whoever writes a comparison, to a file or to the screen, writes the same.
fn forms_are_those_of_compare(lab: &Lab) {
    let comparison = ["compare", "baseline", "results/toy"];
    for form in ["markdown", "json", "csv"] {
        let told = lab.expect(0, &[&comparison[..], &["--format", form]].concat()).out;
        let option = format!("--{form}");
        lab.expect(0, &[&comparison[..], &[&option, "compared"]].concat());
        lab.expect(1, &[GATE, &[&option, "judged"]].concat());
        assert_eq!(lab.read("compared").trim_end(), told.trim_end(), "{form}");
        assert!(lab.read("judged").ends_with(&lab.read("compared")), "{form}");
    }
    let said = lab.expect(2, &[&comparison[..], &["--csv", "no/where.csv"]].concat()).err;
    assert!(said.starts_with("error: cannot write no/where.csv"), "{said}");
}

#[test]
fn noise_is_inconclusive_and_the_policy_decides() {
    let lab = blessed();
    improve(&lab, 3);
    golden("gate_inconclusive", &lab.expect(0, GATE));
    lab.write("toy.toml", &(lab.read("toy.toml") + "[gate]\ninconclusive = \"fail\"\n"));
    lab.expect(0, &["run", "toy.toml"]);
    lab.expect(1, GATE);
}

#[test]
fn another_slice_is_incomparable() {
    let lab = blessed();
    lab.edit("toy.toml", "split = \"test\"\n\n[[labels]]", "split = \"test\"\nlimit = 30\n\n[[labels]]");
    lab.expect(0, &["run", "toy.toml"]);
    golden("gate_incomparable", &lab.expect(2, GATE));
    golden("compare_incomparable", &lab.expect(2, &["compare", "baseline", "results/toy"]));
}

#[test]
fn a_cell_that_is_gone_is_missing() {
    let lab = blessed();
    lab.edit("toy.toml", ", \"center\"]", "]");
    lab.expect(0, &["run", "toy.toml"]);
    golden("gate_missing", &lab.expect(1, GATE));
}

#[test]
fn what_is_no_baseline_is_refused() {
    let lab = blessed();
    golden("gate_no_baseline", &lab.expect(2, &["gate", "results/toy", "--baseline", "nowhere"]));
    lab.expect(2, &["compare", "results/toy#zzz", "results/toy"]);
    lab.edit("baseline/baseline.json", "\"predicted\": \"", "\"predicted\": \"0");
    lab.expect(2, GATE);
    lab.edit("toy.toml", "[[task]]", "[gate]\nmax_drop = 0.2\nfail_drop = 0.1\n\n[[task]]");
    golden("gate_policy", &lab.expect(1, &["check", "toy.toml"]));
}
