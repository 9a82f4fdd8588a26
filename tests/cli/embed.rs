//! `bench embed`: the winner of a run, or a recipe by flags, applied to a file.

use polars::prelude::*;

use crate::lab::{Lab, fixtures};

fn table(lab: &Lab, name: &str) -> DataFrame {
    ParquetReader::new(std::fs::File::open(lab.path(name)).unwrap()).finish().unwrap()
}

fn first_vector(frame: &DataFrame) -> Vec<f32> {
    let row = frame.column("embedding").unwrap().array().unwrap().get_as_series(0).unwrap();
    row.f32().unwrap().into_no_null_iter().collect()
}

#[test]
fn the_winner_embeds_plain_lines() {
    let lab = Lab::new(12);
    lab.expect(0, &["run", "toy.toml"]);
    lab.write("in.txt", "rain in the north\nguitar lessons\n");
    let said = lab.expect(0, &["embed", "results/toy", "--cell", "best", "--input", "in.txt", "-o", "out/vectors.parquet"]);
    assert!(said.out.starts_with("out/vectors.parquet: 2 texts"), "{}", said.out);
    let frame = table(&lab, "out/vectors.parquet");
    let names: Vec<&str> = frame.get_column_names().into_iter().map(PlSmallStr::as_str).collect();
    assert_eq!(names, ["index", "text", "rendered", "token_ids", "cut", "embedding"]);
    let length: f32 = first_vector(&frame).iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-5, "a readout that normalises gives unit vectors, not {length}");
}

#[test]
fn a_recipe_by_flags_reads_every_kind_of_input_alike() {
    let lab = Lab::new(3);
    let model = format!("path:{}/llama", fixtures().display());
    lab.write("in.txt", "rain\nguitar\n");
    lab.write("in.jsonl", "{\"text\": \"rain\"}\n{\"text\": \"guitar\"}\n");
    let mut frame = df!("text" => ["rain", "guitar"]).unwrap();
    ParquetWriter::new(std::fs::File::create(lab.path("in.parquet")).unwrap()).finish(&mut frame).unwrap();
    let mut seen = Vec::new();
    for kind in ["txt", "jsonl", "parquet"] {
        let input = format!("in.{kind}");
        let recipe = ["--model", &model, "--template", "T {text}", "--layer", "-1", "--pool", "last", "--no-normalize"];
        lab.expect(0, &[&["embed"], &recipe[..], &["--input", &input, "-o", "out.parquet"]].concat());
        let out = table(&lab, "out.parquet");
        assert_eq!(out.column("rendered").unwrap().str().unwrap().get(0), Some("T rain"));
        seen.push(first_vector(&out));
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2]);
    let length: f32 = seen[0].iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() > 1e-3, "--no-normalize keeps the model's own length");
}

#[test]
fn an_output_never_replaces_the_input_and_a_cell_takes_no_flags() {
    let lab = Lab::new(6);
    lab.expect(0, &["run", "toy.toml"]);
    let mut frame = df!("text" => ["rain", "guitar"]).unwrap();
    ParquetWriter::new(std::fs::File::create(lab.path("in.parquet")).unwrap()).finish(&mut frame).unwrap();
    let said = lab.expect(2, &["embed", "results/toy", "--input", "in.parquet", "-o", "in.parquet"]);
    assert!(said.err.contains("in.parquet is the input"), "{}", said.err);
    assert_eq!(table(&lab, "in.parquet").width(), 1);
    let said = lab.expect(2, &["embed", "results/toy", "--layer", "-2", "--input", "in.parquet", "-o", "out.parquet"]);
    assert!(said.err.contains("--layer"), "{}", said.err);
    let said = lab.expect(2, &["embed", "results/toy", "--input", "in.parquet", "-o", "out.csv"]);
    assert!(said.err.contains("Parquet"), "{}", said.err);
}

#[test]
fn a_model_that_changed_since_the_run_is_refused() {
    let lab = Lab::new(6);
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        std::fs::create_dir_all(lab.path("model")).unwrap();
        std::fs::copy(fixtures().join("llama").join(file), lab.path("model").join(file)).unwrap();
    }
    lab.edit("toy.toml", &format!("path:{}/llama", fixtures().display()), "path:model");
    lab.edit("toy.toml", "\n[grid]\nskip = [{ model = \"floor\", prompt = \"eol\" }]\n", "");
    let floor = "[[model]]\nid = \"floor\"\nsource = \"builtin:char-ngram\"\nfit = { dataset = \"toy\", split = \"test\" }\n\n";
    lab.edit("toy.toml", floor, "");
    lab.expect(0, &["run", "toy.toml"]);
    let weights = lab.path("model/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    lab.write("in.txt", "rain\n");
    let said = lab.expect(2, &["embed", "results/toy", "--input", "in.txt", "-o", "out.parquet"]);
    assert!(said.err.contains("is not what it was when the run was made"), "{}", said.err);
}

#[test]
fn an_input_without_texts_says_what_it_lacks() {
    let lab = Lab::new(3);
    let model = format!("path:{}/llama", fixtures().display());
    lab.write("in.jsonl", "{\"text\": \"rain\"}\n{\"body\": \"guitar\"}\n");
    let said = lab.expect(2, &["embed", "--model", &model, "--input", "in.jsonl", "-o", "out.parquet"]);
    insta::assert_snapshot!("embed_without_text", said.err);
    assert!(!lab.path("out.parquet").exists());
    let said = lab.expect(2, &["embed", "results/none", "--input", "in.jsonl", "-o", "out.parquet"]);
    insta::assert_snapshot!("embed_without_results", said.err);
}
