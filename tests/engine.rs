//! The embedding engine against transformers' own hidden states, and against itself.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{DType as Dtype, Device as Place, Tensor, safetensors};
use embed_bench::dataset::Catalog;
use embed_bench::embed::{self, EmbedError, Encoder, Resolved};
use embed_bench::embeddings::Embeddings;
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{DType, Device, Model, Pooling, Readout, Source};
use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Largest difference between two ways to compute one vector. candle's own kernels give the same bits; other libraries
/// may sum in another order.
const SAME: f64 = if cfg!(any(feature = "mkl", feature = "accelerate")) { 1e-5 } else { 0.0 };

const VOCABULARY: u32 = 97;

fn model(folder: &Path, dtype: DType) -> Model {
    let source = Source::Path(folder.to_owned());
    Model { id: "model".to_owned(), source, dtype, device: Device::Cpu, max_tokens: None }
}

fn open(folder: &Path, dtype: DType) -> Box<dyn Encoder> {
    try_open(&model(folder, dtype)).expect("a model that can be opened")
}

fn try_open(model: &Model) -> Result<Box<dyn Encoder>, EmbedError> {
    let home = tempfile::tempdir().expect("temporary folder");
    embed::open(model, &Catalog::new(PathBuf::new(), None), home.path())
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn readout(layer: i32, pool: Pooling, norm: bool) -> Readout {
    Readout { id: "test".to_owned(), layer, pool, norm, normalize: false }
}

/// Vectors of every row, one matrix per readout, in the order of the rows.
fn encode(encoder: &dyn Encoder, rows: &[Vec<u32>], prefix: usize, readouts: &[Resolved]) -> Vec<Embeddings> {
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let mut found: Vec<Vec<Option<Vec<f32>>>> = vec![vec![None; rows.len()]; readouts.len()];
    encoder
        .encode(&rows, prefix, readouts, &mut |batch| {
            for (matrix, found) in batch.embeddings.iter().zip(&mut found) {
                for (at, &row) in batch.rows.iter().enumerate() {
                    assert!(found[row].replace(matrix.row(at).to_vec()).is_none(), "row {row} came twice");
                }
            }
            ControlFlow::Continue(())
        })
        .expect("rows that can be embedded");
    let matrix = |rows: Vec<Option<Vec<f32>>>, readout: &Resolved| {
        let values = rows.into_iter().flat_map(|row| row.expect("every row comes once")).collect();
        Embeddings::from_values(readout.dim, values)
    };
    found.into_iter().zip(readouts).map(|(rows, readout)| matrix(rows, readout)).collect()
}

/// `|a - b| / |b|` of two vectors.
fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut b.iter().map(|b| f64::from(*b))).max(f64::MIN_POSITIVE)
}

/// Ids identical and relative error at most 1e-4 for every case and tensor of a reference folder.
fn matches_transformers(folder: &Path) {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).expect("expected.json")).expect("JSON");
    let tensors = safetensors::load(folder.join("expected.safetensors"), &Place::Cpu).expect("expected.safetensors");
    let encoder = open(folder, DType::F32);
    let cases = expected["cases"].as_array().expect("cases");
    let mid = i32::try_from(expected["mid"].as_i64().expect("mid")).expect("a layer");
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
    let taps = [
        ("last_-1", readout(-1, Pooling::Last, false)),
        ("last_-2", readout(-2, Pooling::Last, false)),
        ("last_mid", readout(mid, Pooling::Last, false)),
        ("mean_-1", readout(-1, Pooling::Mean, false)),
    ];
    let readouts: Vec<Resolved> = taps.iter().map(|(_, tap)| encoder.readout(tap).expect("a readout")).collect();
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for cases in by_prompt.values() {
        let group: Vec<Vec<u32>> = cases.iter().map(|&case| rows[case].clone()).collect();
        let shared = common(&group);
        for prefix in [0, shared] {
            for (found, (name, _)) in encode(&*encoder, &group, prefix, &readouts).iter().zip(&taps) {
                for (at, case) in cases.iter().enumerate() {
                    let wanted = values(&tensors[&format!("{name}.{case}")]);
                    let error = relative_error(found.row(at), &wanted);
                    assert!(error <= 1e-4, "{}: {name} of case {case}: {error:e}", folder.display());
                    let worst = worst.entry(name).or_default();
                    *worst = worst.max(error);
                }
            }
        }
    }
    eprintln!("{}: largest relative errors {worst:?}", folder.display());
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(Dtype::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1()).expect("values")
}

/// Ids that all rows begin with, leaving each at least one of its own.
fn common(rows: &[Vec<u32>]) -> usize {
    let shortest = rows.iter().map(Vec::len).min().unwrap_or(0).saturating_sub(1);
    (0..shortest).take_while(|&i| rows.iter().all(|row| row[i] == rows[0][i])).count()
}

#[test]
fn equals_transformers_on_the_reference_folders() {
    let Ok(data) = std::env::var("BENCH_TEST_DATA") else {
        eprintln!("SKIPPED: set BENCH_TEST_DATA to the folder that holds reference/{{llama,qwen2,bert}}");
        return;
    };
    for name in ["llama", "qwen2", "bert"] {
        matches_transformers(&Path::new(&data).join("reference").join(name));
    }
}

#[test]
fn equals_transformers_on_the_fixtures() {
    for name in ["llama", "qwen2", "bert"] {
        matches_transformers(&fixture(name));
    }
}

/// A model folder with random weights, `heads` heads of `head_dim` over `kv_heads`, and three layers.
fn random_model(kind: &str, seed: u64, heads: usize, kv_heads: usize, head_dim: usize) -> TempDir {
    let (hidden, width) = (24, 40);
    let causal = kind != "bert";
    let config = json!({
        "model_type": kind, "hidden_size": if causal { hidden } else { heads * head_dim }, "intermediate_size": width,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim, "num_hidden_layers": 3,
        "vocab_size": VOCABULARY, "max_position_embeddings": 1024, "rope_theta": 1e4, "type_vocab_size": 2,
    });
    let hidden = config["hidden_size"].as_u64().and_then(|hidden| usize::try_from(hidden).ok()).expect("a size");
    let mut random = Random { generator: ChaCha8Rng::seed_from_u64(seed), tensors: HashMap::new() };
    if causal {
        random.add("model.embed_tokens.weight", &[97, hidden]);
        random.add("model.norm.weight", &[hidden]);
    } else {
        random.add("embeddings.word_embeddings.weight", &[97, hidden]);
        random.add("embeddings.position_embeddings.weight", &[1024, hidden]);
        random.add("embeddings.token_type_embeddings.weight", &[2, hidden]);
        random.add_affine("embeddings.LayerNorm", &[hidden]);
    }
    for layer in 0..3 {
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        if causal {
            let block = |name: &str| format!("model.layers.{layer}.{name}");
            for (name, outputs) in [("q", queries), ("k", keys), ("v", keys)] {
                let name = block(&format!("self_attn.{name}_proj"));
                random.add(&format!("{name}.weight"), &[outputs, hidden]);
                if kind == "qwen2" {
                    random.add(&format!("{name}.bias"), &[outputs]);
                }
            }
            random.add(&block("self_attn.o_proj.weight"), &[hidden, queries]);
            random.add(&block("mlp.gate_proj.weight"), &[width, hidden]);
            random.add(&block("mlp.up_proj.weight"), &[width, hidden]);
            random.add(&block("mlp.down_proj.weight"), &[hidden, width]);
            random.add(&block("input_layernorm.weight"), &[hidden]);
            random.add(&block("post_attention_layernorm.weight"), &[hidden]);
        } else {
            let block = |name: &str| format!("encoder.layer.{layer}.{name}");
            for name in ["self.query", "self.key", "self.value", "output.dense"] {
                random.add_affine(&block(&format!("attention.{name}")), &[hidden, hidden]);
            }
            random.add_affine(&block("attention.output.LayerNorm"), &[hidden]);
            random.add_affine(&block("intermediate.dense"), &[width, hidden]);
            random.add_affine(&block("output.dense"), &[hidden, width]);
            random.add_affine(&block("output.LayerNorm"), &[hidden]);
        }
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("config.json"), config.to_string()).expect("config.json");
    fs::copy(fixture("llama").join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("tokenizer.json");
    safetensors::save(&random.tensors, folder.path().join("model.safetensors")).expect("model.safetensors");
    folder
}

/// Seeded random tensors by name.
struct Random {
    generator: ChaCha8Rng,
    tensors: HashMap<String, Tensor>,
}

impl Random {
    fn add(&mut self, name: &str, shape: &[usize]) {
        let norm = shape.len() == 1 && !name.ends_with("bias");
        let count = shape.iter().product();
        let mut value = || self.generator.random_range(-0.5_f32..0.5) + if norm { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..count).map(|_| value()).collect();
        let tensor = Tensor::from_vec(values, shape, &Place::Cpu).expect("tensor");
        self.tensors.insert(name.to_owned(), tensor);
    }

    fn add_affine(&mut self, name: &str, shape: &[usize]) {
        self.add(&format!("{name}.weight"), shape);
        self.add(&format!("{name}.bias"), &shape[..1]);
    }
}

/// The shapes of attention that code paths depend on: grouped, multi-query and plain heads, one head.
fn random_models(seed: u64) -> Vec<TempDir> {
    vec![
        random_model("llama", seed, 4, 2, 6),
        random_model("llama", seed, 3, 3, 8),
        random_model("qwen2", seed, 4, 1, 4),
        random_model("bert", seed, 2, 2, 12),
        random_model("bert", seed, 1, 1, 24),
    ]
}

/// Rows that begin with the same `prefix` ids.
fn rows_of(generator: &mut ChaCha8Rng, prefix: usize, lengths: &[usize]) -> Vec<Vec<u32>> {
    let begin: Vec<u32> = (0..prefix).map(|_| generator.random_range(0..VOCABULARY)).collect();
    let mut row = |length: &usize| {
        let rest = (0..*length).map(|_| generator.random_range(0..VOCABULARY)).collect::<Vec<u32>>();
        [begin.clone(), rest].concat()
    };
    lengths.iter().map(&mut row).collect()
}

/// Every pooling at the embeddings, an inner layer, an inner layer with the final norm, and the last one.
fn all_readouts(encoder: &dyn Encoder) -> Vec<Resolved> {
    let mut all = Vec::new();
    for pool in [Pooling::Last, Pooling::Mean, Pooling::Cls] {
        for (layer, norm) in [(0, false), (1, false), (2, true), (-2, false), (-1, false)] {
            all.extend(encoder.readout(&readout(layer, pool, norm)).ok());
        }
    }
    all
}

fn assert_same(a: &[Embeddings], b: &[Embeddings], tolerance: f64, what: &str) {
    for (readout, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.len(), b.len(), "{what}");
        for row in 0..a.len() {
            let error = relative_error(a.row(row), b.row(row));
            assert!(error <= tolerance, "{what}: readout {readout} of row {row} differs by {error:e}");
        }
    }
}

/// The rows of several matrices under each other.
fn stack(parts: &[Vec<Embeddings>]) -> Vec<Embeddings> {
    let of = |readout: usize| {
        let values = parts.iter().flat_map(|part| part[readout].values().to_vec()).collect();
        Embeddings::from_values(parts[0][readout].dim(), values)
    };
    (0..parts[0].len()).map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_gives_the_same_vectors_in_any_company(
        seed in 0_u64..1000,
        prefix in 0_usize..9,
        lengths in prop_oneof![
            prop::collection::vec(1_usize..12, 1..9),
            prop::collection::vec(Just(5_usize), 1..9),
            prop::collection::vec(1_usize..2, 1..9),
        ],
    ) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let rows = rows_of(&mut generator, prefix, &lengths);
        for folder in random_models(seed) {
            let encoder = open(folder.path(), DType::F32);
            let readouts = all_readouts(&*encoder);
            let together = encode(&*encoder, &rows, 0, &readouts);
            let alone: Vec<_> = rows.iter().map(|row| encode(&*encoder, &[row.clone()], 0, &readouts)).collect();
            assert_same(&stack(&alone), &together, SAME, "alone");

            let shared = encode(&*encoder, &rows, prefix, &readouts);
            assert_same(&shared, &together, SAME, "with a shared beginning");

            let reversed: Vec<Vec<u32>> = rows.iter().rev().cloned().collect();
            let mut back = encode(&*encoder, &reversed, prefix, &readouts);
            let order: Vec<usize> = (0..rows.len()).rev().collect();
            back.iter_mut().for_each(|matrix| *matrix = matrix.select(&order));
            assert_same(&back, &together, SAME, "in reverse");

            let one_by_one: Vec<Embeddings> = readouts
                .iter()
                .flat_map(|readout| encode(&*encoder, &rows, prefix, std::slice::from_ref(readout)))
                .collect();
            assert_same(&one_by_one, &together, SAME, "readout by readout");
        }
    }
}

#[test]
fn rows_longer_than_a_chunk_of_queries_share_a_beginning() {
    let mut generator = ChaCha8Rng::seed_from_u64(7);
    let rows = rows_of(&mut generator, 300, &[1, 211, 300, 512, 724]);
    for folder in random_models(7) {
        let encoder = open(folder.path(), DType::F32);
        let readouts = all_readouts(&*encoder);
        let whole = encode(&*encoder, &rows, 0, &readouts);
        assert_same(&encode(&*encoder, &rows, 300, &readouts), &whole, SAME, "long rows");
        let alone = encode(&*encoder, &rows[3..4], 0, &readouts);
        assert_same(&alone, &stack(&[whole.iter().map(|m| m.select(&[3])).collect()]), SAME, "a long row alone");
    }
}

#[test]
fn more_rows_than_a_batch_holds() {
    let mut generator = ChaCha8Rng::seed_from_u64(11);
    let lengths: Vec<usize> = (0..400).map(|i| 5 + i % 37).collect();
    let rows = rows_of(&mut generator, 4, &lengths);
    let folder = random_model("llama", 11, 4, 2, 6);
    let encoder = open(folder.path(), DType::F32);
    let readouts = all_readouts(&*encoder);
    let mut batches = Vec::new();
    let slices: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    encoder
        .encode(&slices, 4, &readouts, &mut |batch| {
            batches.push((batch.rows.clone(), batch.tokens));
            ControlFlow::Continue(())
        })
        .expect("rows that can be embedded");
    assert!(batches.len() > 1, "{} batches", batches.len());
    let computed: u64 = batches.iter().map(|(_, tokens)| tokens).sum();
    assert_eq!(computed, 4 + lengths.iter().sum::<usize>() as u64, "the shared beginning counts once");

    let all = encode(&*encoder, &rows, 4, &readouts);
    let some = encode(&*encoder, &rows[100..103], 4, &readouts);
    let wanted: Vec<Embeddings> = all.iter().map(|matrix| matrix.select(&[100, 101, 102])).collect();
    assert_same(&some, &wanted, SAME, "a batch of other rows");

    let mut calls = 0;
    encoder
        .encode(&slices, 4, &readouts, &mut |_| {
            calls += 1;
            ControlFlow::Break(())
        })
        .expect("an early end is no error");
    assert_eq!(calls, 1);
}

#[test]
fn later_tokens_change_nothing_earlier_in_a_causal_model() {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let row = rows_of(&mut generator, 0, &[14]).remove(0);
    let beginnings: Vec<Vec<u32>> = (1..=row.len()).map(|end| row[..end].to_vec()).collect();
    for folder in [random_model("llama", 3, 4, 2, 6), random_model("qwen2", 3, 2, 2, 8)] {
        let encoder = open(folder.path(), DType::F32);
        for (layer, norm) in [(0, false), (2, false), (1, true), (3, false)] {
            let of = |pool| encoder.readout(&readout(layer, pool, norm)).expect("a readout");
            let last = encode(&*encoder, &beginnings, 0, &[of(Pooling::Last)]).remove(0);
            let mean = encode(&*encoder, &[row.clone()], 0, &[of(Pooling::Mean)]).remove(0);
            let states = row.len() as f64;
            let average: Vec<f32> = (0..last.dim())
                .map(|i| (last.rows().map(|state| f64::from(state[i])).sum::<f64>() / states) as f32)
                .collect();
            let error = relative_error(&average, mean.row(0));
            assert!(error <= 1e-6, "layer {layer}: the states of a row are not those of its beginnings: {error:e}");
            let first = encode(&*encoder, &beginnings, 0, &[of(Pooling::Cls)]).remove(0);
            assert!(first.rows().all(|state| state == last.row(0)), "layer {layer}: the first state changes");
        }
    }
}

#[test]
fn every_token_of_a_bidirectional_model_sees_the_whole_text() {
    let folder = random_model("bert", 5, 2, 2, 12);
    let encoder = open(folder.path(), DType::F32);
    let cls = encoder.readout(&readout(-1, Pooling::Cls, false)).expect("a readout");
    let rows = [vec![1, 2, 3, 4], vec![1, 2, 3, 5]];
    let found = encode(&*encoder, &rows, 3, &[cls]).remove(0);
    assert!(relative_error(found.row(0), found.row(1)) > 1e-3, "the last token does not reach the first");
}

#[test]
fn half_precision_stays_close_to_f32() {
    let mut generator = ChaCha8Rng::seed_from_u64(13);
    let rows = rows_of(&mut generator, 3, &[1, 2, 9, 17, 17]);
    for folder in random_models(13) {
        let f32s = open(folder.path(), DType::F32);
        let wanted = encode(&*f32s, &rows, 3, &all_readouts(&*f32s));
        // A few roundings of 2^-11 and 2^-8 in each of three blocks.
        for (dtype, tolerance) in [(DType::F16, 4e-3), (DType::Bf16, 3e-2)] {
            let encoder = open(folder.path(), dtype);
            let readouts = all_readouts(&*encoder);
            assert_same(&encode(&*encoder, &rows, 3, &readouts), &wanted, tolerance, &format!("{dtype}"));
            assert_ne!(encoder.card().digest, f32s.card().digest);
            assert_eq!(encoder.card().identity, f32s.card().identity);
        }
    }
}

#[test]
fn weights_may_lie_in_shards_and_under_a_prefix() {
    let folder = random_model("bert", 17, 2, 2, 12);
    let path = folder.path();
    let whole = open(path, DType::F32);
    let row = vec![vec![5, 6, 7]];
    let wanted = encode(&*whole, &row, 0, &all_readouts(&*whole));
    let tensors = safetensors::load(path.join("model.safetensors"), &Place::Cpu).expect("weights");
    let mut shards = [HashMap::new(), HashMap::new()];
    let mut map = serde_json::Map::new();
    for (name, tensor) in tensors {
        let shard = usize::from(name.contains("layer"));
        map.insert(format!("bert.{name}"), json!(format!("part-{shard}.safetensors")));
        shards[shard].insert(format!("bert.{name}"), tensor);
    }
    for (i, shard) in shards.iter().enumerate() {
        safetensors::save(shard, path.join(format!("part-{i}.safetensors"))).expect("shard");
    }
    fs::remove_file(path.join("model.safetensors")).expect("the single file");
    fs::write(path.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).expect("index");
    let sharded = open(path, DType::F32);
    assert_same(&encode(&*sharded, &row, 0, &all_readouts(&*sharded)), &wanted, 0.0, "shards");

    fs::remove_file(path.join("part-1.safetensors")).expect("a shard");
    let error = try_open(&model(path, DType::F32)).err().expect("a shard is missing").to_string();
    assert!(error.contains("part-1.safetensors"), "{error}");
}
