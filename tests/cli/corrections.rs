//! Transforms, calibrations and what stands for labels, from the spec to the vectors of `bench embed`.

use polars::prelude::*;

use crate::lab::Lab;

/// A lab whose dataset has a second split, on which transforms are fitted and from which samples are drawn.
fn lab() -> Lab {
    let lab = Lab::new(12);
    lab.edit(
        "datasets/toy/dataset.toml",
        "[splits.test]",
        "[splits.train]\nfiles = [\"train.jsonl\"]\nformat = \"jsonl\"\n\n[splits.test]",
    );
    let row = |i: usize| {
        let label = ["weather", "music", "money"][i % 3];
        let text = format!("{} and what comes with it, number {i}", ["clouds", "violins", "coins"][i % 3]);
        serde_json::json!({ "id": format!("u{i}"), "text": text, "label": label }).to_string()
    };
    lab.write("datasets/toy/train.jsonl", &(0..9).map(|i| row(i) + "\n").collect::<String>());
    lab.edit("toy.toml", "[[slice]]", &format!("{TRANSFORMS}[[slice]]"));
    lab.edit("toy.toml", "id = \"names\"\n", &format!("id = \"names\"\n{LABELS}"));
    lab.edit("toy.toml", "[\"none\", \"center\"]", CALIBRATIONS);
    lab
}

const TRANSFORMS: &str = r#"[[transform]]
id = "center"
kind = "center"
fit = { dataset = "toy", split = "train" }

[[transform]]
id = "white"
kind = "whiten"
dims = 4
fit = { dataset = "toy", split = "train" }

[[transform]]
id = "too-many"
kind = "whiten"
dims = 30
fit = { dataset = "toy", split = "train", limit = 5 }

"#;

const LABELS: &str = r#"
[[labels]]
id = "sentence"
template = "an app about {label}"

[[labels]]
id = "shots"
shots = 2
from = { dataset = "toy", split = "train" }

[[labels]]
id = "pooled"
ensemble = ["names", "sentence", "shots"]
"#;

const CALIBRATIONS: &str =
    r#"["none", "center", "content-free", "label-mean", "z-score", { kind = "csls", k = 2 }, "inverted-softmax"]"#;

fn cells(lab: &Lab, model: &str, transform: &str) -> Vec<String> {
    let file = std::fs::File::open(lab.path("results/toy/cells.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let column = |name: &str| -> Vec<String> {
        frame.column(name).unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect()
    };
    let (ids, models, transforms, status) = (column("cell"), column("model"), column("transform"), column("status"));
    assert!(status.iter().all(|status| status == "scored"), "a cell failed");
    let mut found: Vec<String> =
        (0..ids.len()).filter(|&i| models[i] == model && transforms[i] == transform).map(|i| ids[i].clone()).collect();
    found.dedup();
    found
}

fn record(lab: &Lab) -> serde_json::Value {
    serde_json::from_str(&lab.read("results/toy/run.json")).unwrap()
}

#[test]
fn every_combination_is_scored_and_recorded() {
    let lab = lab();
    let said = lab.expect(0, &["run", "toy.toml"]);
    // Five texts of a split that a limit drew vary in four dimensions.
    assert!(said.err.contains("transform `too-many` keeps 4 dimensions, not 30"), "{}", said.err);
    // Two prompts, four wordings and seven calibrations.
    for transform in ["none", "center", "white", "too-many"] {
        assert_eq!(cells(&lab, "llama", transform).len(), 2 * 4 * 7, "{transform}");
    }
    let run = record(&lab);
    let white = &run["transforms"][1];
    assert_eq!((&white["rule"]["kind"], &white["rule"]["dims"], &white["texts"]), (&"whiten".into(), &4.into(), &9.into()));
    assert!(white["digest"].as_str().is_some_and(|digest| digest.len() == 64) && white["seen"].is_null());
    assert_eq!(run["transforms"][2]["texts"], 5);
    let drawn = run["labels"][2]["shots"]["samples"]["toy"].as_array().unwrap().clone();
    let of_label = |label: usize| {
        let ids = drawn[label].as_array().unwrap();
        // Samples of train take turns: those of label i are i, i + 3 and i + 6.
        ids.len() == 2 && ids.iter().all(|id| id.as_str().unwrap()[1..].parse::<usize>().unwrap() % 3 == label)
    };
    assert!((0..3).all(of_label), "{drawn:?}");
    let before = lab.files("results/toy");
    lab.expect(0, &["run", "toy.toml"]);
    assert!(before == lab.files("results/toy"), "a second run wrote other bytes");
    let report = lab.read("reports/toy/report.md");
    assert!(report.contains("whiten, 4 dimensions, shrinkage 0, fitted on 9 texts of `toy/train`"), "{report}");
}

#[test]
fn texts_are_placed_where_the_transform_puts_them() {
    let lab = lab();
    lab.edit("toy.toml", "dims = 4", "dims = 2");
    lab.edit("toy.toml", "skip = [", "skip = [{ transform = [\"none\", \"center\", \"too-many\"] }, ");
    lab.expect(0, &["run", "toy.toml"]);
    let places = ParquetReader::new(std::fs::File::open(lab.path("results/toy/places.parquet")).unwrap()).finish().unwrap();
    let share = |column: &str| places.column(column).unwrap().f64().unwrap().get(0).unwrap();
    assert_eq!(places.height(), 12, "all texts of the best cell");
    // Vectors of two coordinates lie in their plane.
    let both = share("x_share") + share("y_share");
    assert!((both - 1.0).abs() < 1e-9 && share("y_share") > 1e-3, "{both}");
    assert!(lab.read("reports/toy/report.md").contains(", transform `white`, before calibration."));
}

#[test]
fn phrases_are_scored_alone_and_the_best_is_named() {
    let lab = Lab::new(12);
    let phrases = "phrases.weather = [\"rain or shine\", \"forecasts\"]\nphrases.music = [\"songs\"]\nalone = true\n";
    lab.edit("toy.toml", "id = \"names\"\n", &format!("id = \"names\"\n\n[[labels]]\nid = \"described\"\n{phrases}"));
    lab.expect(0, &["run", "toy.toml"]);
    let run = record(&lab);
    let labels = run["labels"].as_array().unwrap();
    assert_eq!(
        labels.iter().map(|set| set["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["names", "described", "described@1", "described@2"]
    );
    // The only phrase of a label is its second one too.
    assert_eq!(labels[3]["phrases"], serde_json::json!([["weather", ["forecasts"]], ["music", ["songs"]]]));
    let report = lab.read("reports/toy/report.md");
    assert!(report.contains("| described@1 | described@2 | words of the best |"), "{report}");
    lab.edit("toy.toml", ", \"forecasts\"]", "]");
    let said = lab.expect(1, &["check", "toy.toml"]);
    assert!(said.err.contains("`alone` tells phrases apart, and no label here has several"), "{}", said.err);
}

#[test]
fn a_transformed_cell_embeds_as_it_scored() {
    let lab = lab();
    lab.expect(0, &["run", "toy.toml"]);
    let cell = cells(&lab, "llama", "white").remove(0);
    lab.write("in.txt", "rain in the north\nguitar lessons\n");
    let arguments = ["embed", "results/toy", "--cell", &cell, "--input", "in.txt", "-o", "out.parquet"];
    let said = lab.expect(0, &arguments);
    assert!(said.out.contains("2 texts, 4 dimensions"), "{}", said.out);
    let frame = ParquetReader::new(std::fs::File::open(lab.path("out.parquet")).unwrap()).finish().unwrap();
    let row = frame.column("embedding").unwrap().array().unwrap().get_as_series(1).unwrap();
    let length: f32 = row.f32().unwrap().into_no_null_iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    // Other texts make another transform.
    lab.edit("datasets/toy/train.jsonl", "clouds", "puddles");
    let said = lab.expect(2, &arguments);
    assert!(said.err.contains("the texts of toy/train are not those that transform `white` was fitted on"), "{}", said.err);
}

#[test]
fn cells_without_a_transform_keep_their_ids() {
    let (plain, more) = (Lab::new(12), lab());
    more.edit("toy.toml", LABELS, "");
    more.edit("toy.toml", CALIBRATIONS, "[\"none\", \"center\"]");
    plain.expect(0, &["run", "toy.toml"]);
    more.expect(0, &["run", "toy.toml"]);
    assert_eq!(cells(&plain, "llama", "none"), cells(&more, "llama", "none"));
}

#[test]
fn fitting_on_scored_texts_takes_a_word_and_is_told() {
    let lab = lab();
    lab.edit(
        "toy.toml",
        "dims = 4\nfit = { dataset = \"toy\", split = \"train\" }",
        "dims = 4\nfit = { dataset = \"toy\", split = \"test\" }",
    );
    let said = lab.expect(1, &["check", "toy.toml"]);
    assert!(said.err.contains("slice `toy` scores the texts that this is fitted on"), "{}", said.err);
    lab.edit("toy.toml", "split = \"test\" }\n\n[[transform]]", "split = \"test\", transductive = true }\n\n[[transform]]");
    lab.expect(0, &["run", "toy.toml"]);
    assert_eq!(record(&lab)["transforms"][1]["seen"]["toy"], 12);
    assert!(lab.read("reports/toy/report.md").contains("**Transform `white` is transductive**"));
}

#[test]
fn a_scored_text_never_stands_for_its_label() {
    let lab = lab();
    // The same texts under other ids: none is left to draw.
    lab.write("datasets/toy/train.jsonl", &lab.read("datasets/toy/test.jsonl").replace("\"id\":\"t", "\"id\":\"v"));
    let said = lab.expect(2, &["plan", "toy.toml"]);
    assert!(said.err.contains("toy/train has 0 texts of label `weather` that no slice scores"), "{}", said.err);
}
