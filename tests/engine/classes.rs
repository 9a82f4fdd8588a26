//! Token ids under the names of tokenizer classes, as transformers gives them.

use std::fs;
use std::path::Path;

use embed_bench::model::{ModelError, Tokenizer};
use embed_bench::prompt::{Template, Truncation};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::fixture;

/// A folder with the tokenizer of a fixture and some `tokenizer_config.json`.
fn folder(tokenizer: &str, config: &Value) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    let tokenizer = if tokenizer == "pieces" { "classes" } else { tokenizer };
    fs::copy(fixture(tokenizer).join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("copy");
    fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("write");
    folder
}

fn refusal(folder: &Path, architecture: &str) -> String {
    let error: ModelError = Tokenizer::open(folder, architecture, 500).expect_err("refused");
    error.to_string()
}

#[test]
fn ids_are_those_of_the_class_that_a_folder_names() {
    let expected = fs::read(fixture("classes").join("expected.json")).expect("what transformers gives");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).expect("texts");
    let whole = Template::parse("{text}").expect("template");
    let mut wrong = Vec::new();
    for case in expected["cases"].as_array().expect("cases") {
        let folder = folder(case["tokenizer"].as_str().expect("a fixture"), &case["config"]);
        let architecture = case["model_type"].as_str().expect("a model type");
        let tokenizer = Tokenizer::open(folder.path(), architecture, 500).expect("a tokenizer");
        // Null where transformers makes up a token that no model has.
        for (text, ids) in texts.iter().zip(case["ids"].as_array().expect("ids")).filter(|(_, ids)| !ids.is_null()) {
            let found = tokenizer.prepare(&whole, text, Truncation::Error).expect("a text that fits").ids;
            if json!(found) != *ids {
                wrong.push(format!("{architecture}, {}, {text:?}: {found:?}, transformers: {ids}", case["config"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_class_that_cannot_be_built_is_refused_with_the_way_out() {
    let t5 = folder("xlm_roberta", &json!({"tokenizer_class": "T5TokenizerFast"}));
    let error = refusal(t5.path(), "gpt2");
    assert!(error.contains("`tokenizer_class` = T5TokenizerFast is not supported yet; transformers builds such"), "{error}");
    assert!(error.contains("name `PreTrainedTokenizerFast`"), "{error}");
    // A vocabulary of words for a class of pieces.
    let llama = folder("bert", &json!({"tokenizer_class": "LlamaTokenizer"}));
    let error = refusal(llama.path(), "llama");
    assert!(error.contains("made of another kind of vocabulary than tokenizer.json holds"), "{error}");
}
