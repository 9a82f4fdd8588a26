//! GGUF files: what llama.cpp computes with them, and what is said about broken ones.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file;
use embed_bench::embed::{EmbedError, Encoder, Row};
use embed_bench::model::Outline;
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{DType, Model, Pooling, Source};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::support::{encode, fixture, model, readout, relative_error, try_open};

const FILES: [&str; 6] = ["llama-f32", "llama-f16", "llama-q4_k", "qwen2-q5_k", "qwen3-q8_0", "qwen3-q4_0"];

/// How far llama.cpp is when it multiplies quantised weights as they are: it rounds what meets them to 8 bits for each block, a
/// step of 1/127 of the largest of up to 256 values, in each of seven products that build on each other.
const ROUNDED: f64 = 0.05;

fn file(name: &str) -> PathBuf {
    fixture("gguf").join(format!("{name}.gguf"))
}

fn opened(path: &Path) -> Result<Box<dyn Encoder>, EmbedError> {
    try_open(&Model { source: Source::Gguf(path.to_owned()), ..model(path, DType::F32) })
}

#[test]
fn equals_llama_cpp_on_the_fixtures() {
    for name in FILES {
        let json = fs::read(fixture("gguf").join(format!("{name}.json"))).expect("the expected vectors");
        let expected: Value = serde_json::from_slice(&json).expect("JSON");
        let encoder = opened(&file(name)).expect("a model");
        let pools = [("last", Pooling::Last), ("mean", Pooling::Mean)];
        let readouts = pools.map(|(_, pool)| encoder.readout(&readout(-1, pool, false)).expect("a readout"));
        let (mut worst, mut rounded) = (0.0_f64, 0.0_f64);
        for case in expected["cases"].as_array().expect("cases") {
            let text = case["text"].as_str().expect("a text");
            let template = Template::parse("{text}").expect("template");
            let prepared = encoder.prepare(&template, text, Truncation::Error).expect("a text that fits");
            assert_eq!(serde_json::json!(prepared.ids), case["ids"], "{name}: ids of {text}");
            for (found, (pool, _)) in encode(&*encoder, &[prepared.ids], &readouts).iter().zip(pools) {
                let error = |wanted: &Value| {
                    let wanted: Vec<f32> = serde_json::from_value(wanted.clone()).expect("a vector");
                    relative_error(found.row(0), &wanted)
                };
                worst = worst.max(error(&case["widened"][pool]));
                rounded = rounded.max(error(&case[pool]));
            }
        }
        eprintln!("{name}: largest relative error {worst:e}, beside quantised arithmetic {rounded:e}");
        assert!(worst <= 1e-5 && rounded <= ROUNDED, "{name}: {worst:e}, {rounded:e}");
    }
}

#[test]
fn a_file_tells_what_it_is() {
    let outline = Outline::read(&file("qwen3-q4_0")).expect("a model");
    assert_eq!((outline.description.architecture, outline.max_tokens), ("qwen3", 256));
    assert!(outline.values.keys().any(|kind| kind == "Q4_0"), "{:?}", outline.values);
    let error = opened(Path::new("nowhere.gguf")).err().expect("refused").to_string();
    assert_eq!(error, "`nowhere.gguf` cannot be read");
}

#[test]
fn another_architecture_and_another_tokenizer_are_refused() {
    let whole = fs::read(file("qwen2-q5_k")).expect("file");
    let folder = tempfile::tempdir().expect("temporary folder");
    let said = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = whole.windows(from.len()).position(|window| window == from.as_bytes()).expect("the words");
        let mut changed = whole.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(folder.path().join("a.gguf"), changed).expect("write");
        opened(&folder.path().join("a.gguf")).err().expect("refused").to_string()
    };
    // The first is the value of `general.architecture`.
    let error = said("qwen2", "mamba");
    assert!(error.contains("model type `mamba` is not supported; supported are llama, qwen2, qwen3"), "{error}");
    let error = said("gpt2", "rwkv");
    assert!(error.contains("`tokenizer.ggml.model` = rwkv is not supported yet; supported are llama and gpt2"), "{error}");
    let error = said("blk.0.attn_q.weight", "blk.0.attn_x.weight");
    assert!(error.contains("has no tensor `blk.0.attn_q.weight`"), "{error}");
    let error = said("qwen2.block_count", "qwen2.block_pount");
    assert!(error.contains("`num_hidden_layers` is missing"), "{error}");
}

#[test]
fn what_a_file_claims_takes_no_memory() {
    let whole = fs::read(file("llama-f16")).expect("file");
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("a.gguf");
    // The numbers of tensors and of values, and the length of the first key.
    for at in [8, 16, 24] {
        for claimed in [u64::MAX, 1 << 60, 1 << 40, 1 << 31] {
            let mut broken = whole.clone();
            broken[at..at + 8].copy_from_slice(&claimed.to_le_bytes());
            fs::write(&path, &broken).expect("write");
            let error = opened(&path).err().expect("refused").to_string();
            assert!(error.contains("cannot be read as a GGUF file"), "{claimed} at {at}: {error}");
        }
    }
    // The number of tokens in the list of them: behind its key, its type and the type of what it lists.
    let key = b"tokenizer.ggml.tokens";
    let list = whole.windows(key.len()).position(|window| window == key).expect("the list") + key.len() + 8;
    for claimed in [u64::MAX, 1 << 60, 1 << 40] {
        let mut broken = whole.clone();
        broken[list..list + 8].copy_from_slice(&claimed.to_le_bytes());
        fs::write(&path, &broken).expect("write");
        assert!(opened(&path).is_err(), "{claimed} tokens");
    }
}

#[test]
fn damaged_files_are_errors_and_never_a_panic() {
    let whole = fs::read(file("llama-f16")).expect("file");
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("a.gguf");
    for end in [0, 3, 4, 8, 30, 300, 3000] {
        fs::write(&path, &whole[..end]).expect("write");
        let error = opened(&path).err().expect("refused").to_string();
        assert!(error.contains("cannot be read as a GGUF file"), "cut to {end} bytes: {error}");
    }
    let head = gguf_file::Content::read(&mut std::io::Cursor::new(&whole)).expect("a head").tensor_data_offset;
    let head = usize::try_from(head).expect("a place");
    let mut generator = ChaCha8Rng::seed_from_u64(31);
    for _ in 0..300 {
        let mut broken = whole.clone();
        for _ in 0..generator.random_range(1..4) {
            broken[generator.random_range(0..head)] = generator.random_range(0..=255);
        }
        fs::write(&path, &broken).expect("write");
        let Ok(encoder) = opened(&path) else { continue };
        let template = Template::parse("{text}").expect("template");
        let Ok(prepared) = encoder.prepare(&template, "a text", Truncation::Head) else { continue };
        let Ok(readout) = encoder.readout(&readout(-1, Pooling::Mean, false)) else { continue };
        let _outcome =
            encoder.encode(&[Row::from(&prepared.ids[..])], &[readout], &mut |_| std::ops::ControlFlow::Continue(()));
    }
}
