//! LoRA adapters merged at load: what PEFT computes with them, and what is said about broken ones.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType as Dtype, Device as Place, Tensor, safetensors};
use embed_bench::embed::{EmbedError, Encoder};
use embed_bench::spec::{Adapter, DType, Model};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::parity::matches_expected;
use crate::support::{edit, fixture, model, open, try_open};

/// Each adapter of the fixtures, and the model it was made for.
const ADAPTERS: [(&str, &str); 3] = [("llama_lora", "llama"), ("llama_tokens", "llama"), ("gpt2_lora", "gpt2")];

fn with(base: &str, adapter: &Path) -> Result<Box<dyn Encoder>, EmbedError> {
    let adapter = Some(Adapter::Path(adapter.to_owned()));
    try_open(&Model { adapter, ..model(&fixture(base), DType::F32) })
}

fn adapter(name: &str) -> std::path::PathBuf {
    fixture("adapters").join(name)
}

/// A copy of an adapter, to be changed.
fn copy(name: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for file in fs::read_dir(adapter(name)).expect("an adapter") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.path().join(file.file_name())).expect("copy");
    }
    folder
}

#[test]
fn equals_peft_on_the_fixtures() {
    for (name, base) in ADAPTERS {
        let merged = with(base, &adapter(name)).expect("an adapter that fits");
        matches_expected(&*merged, &adapter(name));
        let plain = open(&fixture(base), DType::F32);
        assert_ne!(merged.card().identity, plain.card().identity, "{name}: the cache would give the model's own vectors");
    }
}

#[test]
fn an_adapter_that_cannot_be_merged_is_refused() {
    for (key, value, wanted) in [
        ("peft_type", json!("IA3"), "`peft_type` = \"IA3\" is not supported yet; adapters must be LoRA"),
        ("use_dora", json!(true), "`use_dora` = true is not supported yet; DoRA's magnitudes cannot be merged"),
        ("trainable_token_indices", json!([1, 2]), "`trainable_token_indices` = [1,2] is not supported yet"),
        ("init_lora_weights", json!("pissa_niter_4"), "it changed the model's own weights; convert it with PEFT"),
        ("lora_alpha", json!("much"), "`lora_alpha` is \"much\", expected a number"),
        ("alpha_pattern", json!({"v_proj": null}), "`alpha_pattern` is null, expected a number"),
        ("rank_pattern", json!({}), ""),
        (
            "alpha_pattern",
            json!({"(": 2}),
            "`alpha_pattern` is \"(\", expected regular expressions of the ends of module names",
        ),
        ("use_rslora", json!(1), "`use_rslora` is 1, expected true or false"),
    ] {
        let folder = copy("llama_lora");
        edit(&folder.path().join("adapter_config.json"), key, value);
        match with("llama", folder.path()) {
            Ok(_) => assert_eq!(wanted, "", "{key}: ranks are those of the matrices, whatever the file says of them"),
            Err(error) => assert!(!wanted.is_empty() && error.to_string().contains(wanted), "{key}: {error}"),
        }
    }
}

#[test]
fn an_adapter_of_another_model_is_told_by_its_tensors() {
    let said = |base: &str, name: &str| with(base, &adapter(name)).err().expect("refused").to_string();
    let error = said("bert", "llama_lora");
    assert!(error.contains("has no place in the model; the adapter was made for another one"), "{error}");
    let error = said("llama3", "llama_lora");
    assert!(
        error.contains("embed_tokens.lora_embedding_A` has shape [384, 32], and config.json asks for [384, 16]"),
        "{error}"
    );
    let error = said("gpt2", "llama_tokens");
    assert!(error.contains("model.embed_tokens.weight` has no place"), "{error}");
}

#[test]
fn half_of_a_pair_and_quantized_matrices_are_refused() {
    let said = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let folder = copy("llama_lora");
        let file = folder.path().join("adapter_model.safetensors");
        let mut tensors = safetensors::load(&file, &Place::Cpu).expect("tensors");
        change(&mut tensors);
        safetensors::save(&tensors, &file).expect("save");
        with("llama", folder.path()).err().expect("refused").to_string()
    };
    let pair = |side: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight");
    for (lost, told) in [("A", "B"), ("B", "B")] {
        let error = said(&|tensors| drop(tensors.remove(&pair(lost))));
        assert!(error.contains(&format!("tensor `{}` has no place in the model", pair(told))), "{error}");
    }
    let error = said(&|tensors| {
        let bytes = tensors[&pair("A")].to_dtype(Dtype::U8).expect("bytes");
        tensors.insert(pair("A"), bytes);
    });
    assert!(error.contains("holds U8, expected F32, F16 or BF16"), "{error}");
}

#[test]
fn damaged_files_are_errors_and_never_a_panic() {
    let folder = copy("llama_lora");
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let file = folder.path().join(name);
        let whole = fs::read(&file).expect("file");
        for end in [0, 1, 9, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..end]).expect("write");
            let error = with("llama", folder.path()).err().expect("refused").to_string();
            assert!(error.contains(name), "{name} cut to {end} bytes: {error}");
        }
        fs::remove_file(&file).expect("remove");
        let error = with("llama", folder.path()).err().expect("refused").to_string();
        assert!(
            error.ends_with("is no adapter; expected adapter_config.json and adapter_model.safetensors, as PEFT saves them")
        );
        fs::write(&file, &whole).expect("write");
    }
    let odd = [json!(null), json!(-1), json!(1e30), json!("x"), json!([]), json!({"x": true})];
    let path = folder.path().join("adapter_config.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).expect("file")).expect("JSON");
    for key in whole.as_object().expect("a table").keys() {
        for value in &odd {
            edit(&path, key, value.clone());
            let _outcome = with("llama", folder.path());
            edit(&path, key, whole[key].clone());
        }
    }
}
