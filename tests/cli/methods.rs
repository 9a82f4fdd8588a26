//! The methods of the papers as a user writes them: fused views, layers as an axis, copies of a text, columns in prompts.

use polars::prelude::*;
use serde_json::Value;

use crate::lab::{Lab, fixtures};

const METHODS: &str = r#"name = "toy"

[[model]]
id = "llama"
source = "path:MODELS/llama"

[[prompt]]
id = "eol"
use = "prompteol"

[[prompt]]
id = "several"
templates = ["A {text}", "B {text} for {kind}"]

[[prompt]]
id = "echo"
use = "echo"

[[prompt]]
id = "ck"
views = [{ use = "pretended-cot", readout = { layer = 1 } }, { use = "knowledge-enhancement", readout = { layer = 0.5 } }]
fuse = "mean-similarity"

[[readout]]
id = "last"
layers = "all"
pool = "last"

[[readout]]
id = "second"
layers = [-1, 0.5]
pool = "weighted-mean"
span = 2
dim = 8

[[slice]]
id = "toy"
dataset = "toy"
split = "test"

[[labels]]
id = "names"
prompt = "raw"

[[labels]]
id = "same"

[[task]]
kind = "label-similarity"
calibration = ["none", "center"]

[grid]
skip = [
  { readout = "second", prompt = ["eol", "several", "ck"] },
  { labels = "same", prompt = "several@2" },
  { labels = "names", prompt = "ck" },
  { labels = "names", readout = "second" },
]
"#;

/// A lab whose texts have a column `kind`, with the spec above.
fn lab(samples: usize) -> Lab {
    let lab = Lab::new(samples);
    let rows = lab.read("datasets/toy/test.jsonl");
    let with_kind =
        |(i, line): (usize, &str)| line.replacen('{', &format!("{{\"kind\": \"{}\", ", ["work", "play"][i % 2]), 1) + "\n";
    lab.write("datasets/toy/test.jsonl", &rows.lines().enumerate().map(with_kind).collect::<String>());
    lab.write("toy.toml", &METHODS.replace("MODELS", &fixtures().display().to_string()));
    lab
}

fn vectors(lab: &Lab, name: &str) -> Vec<Vec<f32>> {
    let frame = ParquetReader::new(std::fs::File::open(lab.path(name)).unwrap()).finish().unwrap();
    let column = frame.column("embedding").unwrap().array().unwrap().clone();
    let row = |i: usize| column.get_as_series(i).unwrap().f32().unwrap().into_no_null_iter().collect();
    (0..frame.height()).map(row).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn a_grid_of_methods_runs_once_and_says_what_it_read() {
    let lab = lab(18);
    lab.expect(0, &["check", "toy.toml"]);
    let said = lab.expect(0, &["run", "toy.toml"]);
    let run: Value = serde_json::from_str(&lab.read("results/toy/run.json")).unwrap();
    let ids: Vec<&str> = run["readouts"].as_array().unwrap().iter().map(|readout| readout["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["last@0", "last@1", "last@2", "last@3", "second@-1", "second@0.5"]);
    // The fixture has three blocks: -1 is state 3, and 0.5 of three is 1.5, which goes up.
    assert_eq!(run["models"][0]["layers"]["second@-1"], 3);
    assert_eq!(run["models"][0]["layers"]["second@0.5"], 2);
    assert_eq!(run["readouts"][5]["layer"], 0.5);
    assert_eq!((&run["readouts"][5]["span"], &run["readouts"][5]["dim"]), (&Value::from(2), &Value::from(8)));
    let ck = &run["prompts"][4];
    assert_eq!((&ck["fuse"], &ck["differently"][1]["layer"]), (&Value::from("mean-similarity"), &Value::from(0.5)));
    // Its views say themselves what they read: under four readouts it is one experiment.
    assert_eq!(said.err.matches("is the same experiment as").count(), 3 * 2, "{}", said.err);
    let results = lab.files("results/toy");
    let again = lab.expect(0, &["run", "toy.toml"]);
    assert!(!again.err.contains("embed with"), "{}", again.err);
    assert_eq!(lab.files("results/toy"), results);
    lab.expect(0, &["cache", "verify", "toy.toml"]);

    lab.write("in.jsonl", "{\"text\": \"rain\", \"kind\": \"work\"}\n{\"text\": \"guitar\", \"kind\": \"play\"}\n");
    let summary: Value = serde_json::from_str(&lab.read("results/toy/summary.json")).unwrap();
    let cells = summary["cells"].as_object().unwrap();
    let of = |prompt: &str, readout: &str| {
        let found = |cell: &Value| cell["choices"]["prompt"] == prompt && cell["choices"]["readout"] == readout;
        cells.iter().find(|(_, cell)| found(cell)).map(|(id, _)| id.clone()).unwrap()
    };
    // The fixture's states are 32 wide.
    for (cell, width) in [(of("echo", "second@0.5"), 8), (of("ck", "last@0"), 2 * 32), (of("several@2", "last@1"), 32)] {
        lab.expect(0, &["embed", "results/toy", "--cell", &cell, "--input", "in.jsonl", "-o", "out.parquet"]);
        assert_eq!(vectors(&lab, "out.parquet")[0].len(), width);
    }
    lab.write("in.txt", "rain\n");
    let said = lab
        .expect(2, &["embed", "results/toy", "--cell", &of("several@2", "last@1"), "--input", "in.txt", "-o", "out.parquet"]);
    assert!(said.err.contains("plain lines have no column `kind`"), "{}", said.err);
}

#[test]
fn a_column_that_is_not_there_is_told_by_check() {
    let lab = lab(6);
    lab.edit("toy.toml", "for {kind}", "for {knid}");
    let said = lab.expect(1, &["check", "toy.toml"]);
    assert!(said.err.contains("no key `knid` (did you mean `kind`?)"), "{}", said.err);
    lab.edit("toy.toml", "for {knid}", "for {label}");
    let said = lab.expect(1, &["check", "toy.toml"]);
    assert!(said.err.contains("`{label}`, which is the right answer in dataset `toy`"), "{}", said.err);
    lab.edit("toy.toml", "for {label}", "for {kind}");
    // Labels have no such column.
    lab.edit("toy.toml", "  { labels = \"same\", prompt = \"several@2\" },\n", "");
    let said = lab.expect(2, &["plan", "toy.toml"]);
    assert!(said.err.contains("phrasing `weather`: nothing fills the slot `{kind}` of its prompt"), "{}", said.err);
}

#[test]
fn a_copy_that_a_prompt_does_not_have_says_which_cells_to_leave_out() {
    let lab = lab(6);
    lab.edit("toy.toml", "prompt = [\"eol\", \"several\", \"ck\"]", "prompt = [\"eol\", \"ck\"]");
    let said = lab.expect(2, &["plan", "toy.toml"]);
    assert!(
        said.err.contains("readout `second@-1` pools copy 2 of the text, and prompt `several@1` has 1 of it"),
        "{}",
        said.err
    );
    assert!(said.err.contains("skip = [{ prompt = \"several@1\", readout = \"second@-1\" }]"), "{}", said.err);
}

#[test]
fn labels_whose_own_prompt_lacks_a_copy_are_named_as_such() {
    let lab = lab(6);
    lab.edit("toy.toml", "  { labels = \"names\", readout = \"second\" },\n", "");
    let said = lab.expect(2, &["plan", "toy.toml"]);
    assert!(said.err.contains("skip = [{ labels = \"names\", readout = \"second@-1\" }]"), "{}", said.err);
}

#[test]
fn prompts_show_what_is_pooled_of_a_copy() {
    let lab = lab(6);
    let said = lab.expect(0, &["prompt", "show", "toy.toml", "--prompt", "echo"]);
    assert!(said.out.contains("\n  weighted-mean "), "{}", said.out);
    let said = lab.expect(0, &["prompt", "show", "toy.toml", "--prompt", "several"]);
    assert!(said.out.contains("llama / several@1\n") && said.out.contains("llama / several@2\n"), "{}", said.out);
    let said = lab.expect(0, &["prompt", "show", "toy.toml", "--prompt", "ck"]);
    assert!(said.out.contains("llama / ck, view 2 of 2 (mean-similarity)\n"), "{}", said.out);
    let said = lab.expect(0, &["prompt", "list"]);
    assert!(said.out.contains("eight-views: Eight views in the manner of MetaEOL, in our own words"), "{}", said.out);
    assert!(said.out.contains("  filled    {demonstration} = The man is riding a horse.\n"), "{}", said.out);
}

#[test]
fn flags_fuse_cut_and_pool_as_a_spec_does() {
    let lab = lab(6);
    lab.write("in.txt", "rain in the north\nguitar lessons\n");
    let model = format!("path:{}/llama", fixtures().display());
    let embed = |flags: &[&str]| {
        lab.expect(0, &[&["embed", "--model", &model, "--input", "in.txt", "-o", "out.parquet"], flags].concat());
        vectors(&lab, "out.parquet")
    };
    let last = ["--pool", "last", "--layer", "-2"];
    let raw = [&last[..], &["--no-normalize"]].concat();
    let (a, b) = (["--template", "A {text}:"], ["--template", "B {text}:"]);
    let (of_a, of_b) = (embed(&[&raw[..], &a].concat()), embed(&[&raw[..], &b].concat()));
    let mean = embed(&[&raw[..], &a, &b].concat());
    let half = |(a, b): (&f32, &f32)| (a + b) * 0.5;
    assert_eq!(mean[0], of_a[0].iter().zip(&of_b[0]).map(half).collect::<Vec<f32>>());
    let concat = embed(&[&raw[..], &a, &b, &["--fuse", "concat"]].concat());
    assert_eq!(concat[1], [of_a[1].clone(), of_b[1].clone()].concat());

    // The cosine of the one vector is the mean of the views' cosines.
    let cosine = |v: &[Vec<f32>]| dot(&v[0], &v[1]) / (dot(&v[0], &v[0]) * dot(&v[1], &v[1])).sqrt();
    let fused = embed(&[&last[..], &a, &b, &["--fuse", "mean-similarity"]].concat());
    let wanted = f64::midpoint(cosine(&of_a), cosine(&of_b));
    assert!((dot(&fused[0], &fused[1]) - wanted).abs() < 1e-6, "{} is not {wanted}", dot(&fused[0], &fused[1]));
    let unit = embed(&[&raw[..], &a, &b, &["--fuse", "mean-normalized"]].concat());
    let scaled = |v: &[f32]| v.iter().map(|x| f64::from(*x) / dot(v, v).sqrt()).collect::<Vec<f64>>();
    for (found, (a, b)) in unit[0].iter().zip(scaled(&of_a[0]).iter().zip(scaled(&of_b[0]))) {
        assert!((f64::from(*found) - f64::midpoint(*a, b)).abs() < 1e-6);
    }

    // Cut, then scaled; 2 of the 3 blocks is 0.6 of the depth.
    let cut = embed(&[&["--pool", "last", "--layer", "0.6", "--dim", "4"], &a[..]].concat());
    #[expect(clippy::cast_possible_truncation, reason = "vectors are f32")]
    let first: Vec<f32> = scaled(&of_a[0][..4]).iter().map(|x| *x as f32).collect();
    assert!(cut[0].len() == 4 && cut[0].iter().zip(&first).all(|(a, b)| (a - b).abs() < 1e-6), "{:?} is not {first:?}", cut[0]);

    let twice = ["--template", "{text} / {text}", "--no-normalize", "--pool", "max"];
    let second = embed(&[&twice[..], &["--span", "2"]].concat());
    assert_ne!(second, embed(&twice));
    let refused =
        [&["embed", "--model", &model, "--input", "in.txt", "-o", "out.parquet"], &twice[..], &["--span", "3"]].concat();
    let said = lab.expect(2, &refused);
    assert!(said.err.contains("pools copy 3 of the text, and prompt `flags` has 2 of it"), "{}", said.err);
}
