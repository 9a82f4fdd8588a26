//! What people get wrong, and what they read then. The texts are reviewed like features.

use std::fs;

use crate::lab::{Lab, Said, fixtures};

fn golden(name: &str, said: &Said) {
    // Stages say how long they took.
    let err: Vec<&str> = said.err.split_inclusive('\n').filter(|line| !line.starts_with("tokenise for ")).collect();
    let err = without_digests(&err.concat());
    insta::assert_snapshot!(name, format!("exit {}\n{}{err}", said.code, said.out));
}

/// Digests of results differ between processors.
fn without_digests(text: &str) -> String {
    let hide = |word: &str| {
        let digest = word.trim_end_matches([',', ';']);
        let is_digest = digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit());
        if is_digest { word.replace(digest, "DIGEST") } else { word.to_owned() }
    };
    text.split(' ').map(hide).collect::<Vec<_>>().join(" ")
}

#[test]
fn five_mistakes_come_at_once() {
    let lab = Lab::new(3);
    lab.edit("toy.toml", "name = \"toy\"\n", "name = \"toy\"\nsede = 7\n");
    lab.edit("toy.toml", "pool = \"own\"", "pool = \"lats\"");
    lab.edit("toy.toml", "use = \"prompteol\"", "template = \"in one word:\"");
    lab.edit("toy.toml", "model = \"floor\"", "model = \"flor\"");
    lab.edit("toy.toml", "split = \"test\"\n\n[[labels]]", "\n[[labels]]");
    let said = lab.expect(1, &["check", "toy.toml"]);
    for mistake in ["sede", "lats", "in one word", "flor", "split"] {
        assert!(said.err.contains(mistake), "{mistake} is not reported:\n{}", said.err);
    }
    golden("five_mistakes", &said);
    lab.expect(2, &["run", "toy.toml"]);
    assert!(!lab.path("results").exists());
}

#[test]
fn a_template_without_a_slot() {
    let lab = Lab::new(3);
    lab.edit("toy.toml", "use = \"raw\"", "template = \"This sentence means in one word:\"");
    golden("template_without_slot", &lab.expect(1, &["check", "toy.toml"]));
}

#[test]
fn a_dataset_with_a_broken_row() {
    let lab = Lab::new(3);
    lab.write(
        "datasets/toy/test.jsonl",
        "{\"id\": \"a\", \"text\": \"rain\", \"label\": \"weather\"}\n{\"id\": \"b\", \"text\": \n",
    );
    golden("broken_row", &lab.expect(2, &["run", "toy.toml"]));
}

#[test]
fn a_dataset_without_its_file() {
    let lab = Lab::new(3);
    fs::remove_file(lab.path("datasets/toy/test.jsonl")).unwrap();
    golden("missing_file", &lab.expect(2, &["run", "toy.toml"]));
}

#[test]
fn a_model_folder_without_a_tokenizer() {
    let lab = Lab::new(3);
    fs::create_dir(lab.path("model")).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixtures().join("llama").join(file), lab.path("model").join(file)).unwrap();
    }
    lab.edit("toy.toml", &format!("path:{}/llama", fixtures().display()), "path:model");
    golden("model_without_tokenizer", &lab.expect(2, &["run", "toy.toml"]));
}

#[test]
fn a_model_that_is_not_there() {
    let lab = Lab::new(3);
    lab.edit("toy.toml", &format!("path:{}/llama", fixtures().display()), "path:models/lama");
    golden("missing_model", &lab.expect(2, &["plan", "toy.toml"]));
}

#[test]
fn a_layer_that_the_model_does_not_have() {
    let lab = Lab::new(3);
    lab.edit("toy.toml", "pool = \"own\"", "layer = 9\npool = \"last\"");
    golden("missing_layer", &lab.expect(2, &["plan", "toy.toml"]));
}

#[test]
fn a_spec_that_is_not_there() {
    let lab = Lab::new(3);
    golden("missing_spec", &lab.expect(2, &["check", "tois.toml"]));
    lab.expect(2, &["run", "tois.toml"]);
}

#[test]
fn a_split_and_a_label_that_the_dataset_does_not_have() {
    let lab = Lab::new(3);
    lab.edit("toy.toml", "split = \"test\"\n\n[[labels]]", "split = \"tset\"\n\n[[labels]]");
    golden("unknown_split", &lab.expect(1, &["check", "toy.toml"]));
    lab.edit("toy.toml", "split = \"tset\"", "split = \"test\"\nlabels = [\"musik\", \"money\"]");
    golden("unknown_label", &lab.expect(1, &["check", "toy.toml"]));
}

#[test]
fn what_several_slices_lack_is_told_once() {
    let lab = Lab::new(3);
    let slice = "[[slice]]\nid = \"again\"\ndataset = \"toy\"\nsplit = \"test\"\n\n[[labels]]";
    lab.edit("toy.toml", "[[labels]]", slice);
    let said = lab.expect(1, &["check", "toy.toml", "--datasets", "nowhere"]).err;
    assert_eq!(said.matches("there is no folder `nowhere`").count(), 1, "{said}");
}

#[test]
fn a_reference_that_is_no_cell() {
    let lab = Lab::new(3);
    let spec =
        lab.read("toy.toml") + "[compare]\nreference = { model = \"floor\", prompt = \"raw\", calibration = \"none\" }\n";
    let skip = "skip = [{ model = \"floor\", prompt = \"eol\" }, { model = \"floor\", calibration = \"none\" }]";
    lab.write("toy.toml", &spec.replace("skip = [{ model = \"floor\", prompt = \"eol\" }]", skip));
    golden("lost_reference", &lab.expect(2, &["plan", "toy.toml"]));

    // No single entry leaves this one out: only the grid as a whole has no such cell.
    lab.edit("toy.toml", ", calibration = \"none\" }\n", " }\n");
    let one = |calibration: &str| format!("{{ model = \"floor\", prompt = \"raw\", calibration = \"{calibration}\" }}");
    let both = format!("{}, {}]", one("none"), one("center"));
    lab.edit("toy.toml", "{ model = \"floor\", calibration = \"none\" }]", &both);
    golden("empty_reference", &lab.expect(2, &["plan", "toy.toml"]));
}

#[test]
fn a_result_folder_that_is_not_one() {
    let lab = Lab::new(3);
    golden("missing_results", &lab.expect(2, &["report", "results/toy"]));
    lab.expect(0, &["run", "toy.toml"]);
    fs::write(lab.path("results/toy/cells.parquet"), "no table").unwrap();
    golden("broken_results", &lab.expect(2, &["report", "results/toy"]));
}
