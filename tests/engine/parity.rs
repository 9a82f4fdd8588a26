//! Token ids and hidden states equal those that transformers gives.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use candle_core::{DType as Dtype, Device as Place, Tensor, safetensors};
use embed_bench::embed::{Encoder, Resolved};
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{DType, Readout};
use serde_json::Value;

use crate::support::{FIXTURES, encode, fixture, open, readout, relative_error};

/// Ids identical and relative error at most 1e-4 for every case and tensor of a reference folder.
fn matches_transformers(folder: &Path) {
    matches_expected(&*open(folder, DType::F32), folder);
}

/// The same with a model that is not the folder's own.
#[expect(clippy::print_stderr, reason = "how close the vectors are is worth seeing")]
pub fn matches_expected(encoder: &dyn Encoder, folder: &Path) {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).expect("expected.json")).expect("JSON");
    let tensors = safetensors::load(folder.join("expected.safetensors"), &Place::Cpu).expect("expected.safetensors");
    let cases = expected["cases"].as_array().expect("cases");
    let mut by_prompt: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut rows = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let prompt = case["prompt"].as_u64().expect("prompt");
        let template = expected["prompts"][usize::try_from(prompt).expect("an index")].as_str().expect("template");
        let template = Template::parse(template).expect("template");
        let text = case["text"].as_str().expect("text");
        let prepared = encoder.prepare(&template, text, Truncation::Error).expect("a text that fits");
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).expect("ids");
        assert_eq!(prepared.ids, ids, "{}: ids of case {i}: {text}", folder.display());
        by_prompt.entry(prompt).or_default().push(i);
        rows.push(ids);
    }
    let names: BTreeSet<&str> = tensors.keys().filter_map(|key| key.split_once('.')).map(|(name, _)| name).collect();
    let taps: Vec<(&str, Readout)> = names.into_iter().map(|name| (name, tap(name, &expected))).collect();
    assert!(taps.len() >= 4, "{taps:?}");
    let readouts: Vec<Resolved> = taps.iter().map(|(_, tap)| encoder.readout(tap).expect("a readout")).collect();
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for cases in by_prompt.values() {
        let group: Vec<Vec<u32>> = cases.iter().map(|&case| rows[case].clone()).collect();
        for (found, (name, _)) in encode(encoder, &group, &readouts).iter().zip(&taps) {
            for (at, case) in cases.iter().enumerate() {
                let wanted = values(&tensors[&format!("{name}.{case}")]);
                let error = relative_error(found.row(at), &wanted);
                assert!(error <= 1e-4, "{}: {name} of case {case}: {error:e}", folder.display());
                let worst = worst.entry(name).or_default();
                *worst = worst.max(error);
            }
        }
    }
    eprintln!("{}: largest relative errors {worst:?}", folder.display());
}

/// The readout of a name such as `last_-2` or `mean_mid`.
fn tap(name: &str, expected: &Value) -> Readout {
    let (pool, layer) = name.split_once('_').expect("pool_layer");
    let layer = if layer == "mid" { expected["mid"].to_string() } else { layer.to_owned() };
    let pool = serde_json::from_value(Value::from(pool)).expect("a pooling");
    readout(layer.parse().expect("a layer"), pool, false)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(Dtype::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1()).expect("values")
}

#[test]
fn equals_transformers_on_the_reference_folders() {
    let Ok(data) = std::env::var("BENCH_TEST_DATA") else {
        // Not `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: set BENCH_TEST_DATA to the folder that holds reference/{{llama,qwen2,bert,mistral,opt}}"
        );
        return;
    };
    for name in ["llama", "qwen2", "bert", "mistral", "opt"] {
        matches_transformers(&Path::new(&data).join("reference").join(name));
    }
}

/// transformers rounds to bf16 after every step; here products alone are rounded, and what is between them is f32.
#[test]
fn bf16_is_as_close_to_f32_as_that_of_transformers() {
    let folder = fixture("llama");
    let load = |name: &str| safetensors::load(folder.join(name), &Place::Cpu).expect(name);
    let (exact, theirs) = (load("expected.safetensors"), load("bf16.safetensors"));
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).expect("expected.json")).expect("JSON");
    let cases = expected["cases"].as_array().expect("cases");
    let rows: Vec<Vec<u32>> = cases.iter().map(|case| serde_json::from_value(case["ids"].clone()).expect("ids")).collect();
    let encoder = open(&folder, DType::Bf16);
    let (mut ours_worst, mut theirs_worst, mut between) = (0.0_f64, 0.0_f64, 0.0_f64);
    for name in ["last_-1", "mean_-1", "last_-2", "mean_-2"] {
        let readout = encoder.readout(&tap(name, &expected)).expect("a readout");
        let ours = encode(&*encoder, &rows, &[readout]).remove(0);
        for (case, ours) in ours.rows().enumerate() {
            let key = format!("{name}.{case}");
            let (exact, theirs) = (values(&exact[&key]), values(&theirs[&key]));
            ours_worst = ours_worst.max(relative_error(ours, &exact));
            theirs_worst = theirs_worst.max(relative_error(&theirs, &exact));
            between = between.max(relative_error(ours, &theirs));
        }
    }
    eprintln!("bf16 beside f32: {ours_worst:.1e} here, {theirs_worst:.1e} in transformers; {between:.1e} between them");
    assert!(ours_worst <= theirs_worst && theirs_worst <= 20.0 * 2_f64.powi(-8), "{ours_worst:e}, {theirs_worst:e}");
    assert!(between <= ours_worst + theirs_worst, "{between:e}");
}

#[test]
fn equals_transformers_on_the_fixtures() {
    for name in FIXTURES {
        matches_transformers(&fixture(name));
    }
}
