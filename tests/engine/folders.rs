//! Model folders in all their shapes, and what is said about broken ones.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device as Place, Tensor, safetensors};
use embed_bench::embed::{Batch, EmbedError, Row};
use embed_bench::model::ModelError;
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{DType, Pooling, Readout};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::random_models::random_model;
use crate::support::{FIXTURES, all_readouts, assert_same, edit, encode, fixture, model, open, readout, try_open};

#[test]
fn weights_may_lie_in_shards_and_under_a_prefix() {
    let folder = random_model("bert", 17, 2, 2, 12);
    let path = folder.path();
    let whole = open(path, DType::F32);
    let row = vec![vec![5, 6, 7]];
    let wanted = encode(&*whole, &row, &all_readouts(&*whole));
    let tensors = safetensors::load(path.join("model.safetensors"), &Place::Cpu).expect("weights");
    let mut shards = [HashMap::new(), HashMap::new()];
    let mut map = serde_json::Map::new();
    let tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
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
    assert_same(&encode(&*sharded, &row, &all_readouts(&*sharded)), &wanted, 0.0, "shards");

    fs::remove_file(path.join("part-1.safetensors")).expect("a shard");
    let error = try_open(&model(path, DType::F32)).err().expect("a shard is missing").to_string();
    assert!(error.contains("part-1.safetensors"), "{error}");
}

/// What opening the folder is refused with.
fn refusal(folder: &Path) -> ModelError {
    match try_open(&model(folder, DType::F32)) {
        Err(EmbedError::Model(error)) => Arc::into_inner(error).expect("nobody else's"),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("the folder was opened"),
    }
}

#[test]
fn what_a_folder_lacks_is_named() {
    assert!(matches!(refusal(Path::new("no/such/folder")), ModelError::NoFolder { .. }));

    let folder = random_model("llama", 1, 2, 2, 6);
    let path = folder.path();
    fs::write(path.join("pytorch_model.bin"), b"pickle").expect("write");
    fs::remove_file(path.join("model.safetensors")).expect("remove");
    let error = refusal(path);
    assert!(matches!(error, ModelError::Pickled { .. }) && error.to_string().contains("save_pretrained"), "{error}");
    fs::remove_file(path.join("pytorch_model.bin")).expect("remove");
    assert!(matches!(refusal(path), ModelError::NoWeights { .. }));
    fs::remove_file(path.join("tokenizer.json")).expect("remove");
    let error = refusal(path);
    assert!(matches!(error, ModelError::NoTokenizer { .. }) && error.to_string().contains("AutoTokenizer"), "{error}");
    fs::remove_file(path.join("config.json")).expect("remove");
    assert!(matches!(refusal(path), ModelError::NoConfig { .. }));
}

#[test]
fn tensors_that_do_not_fit_the_configuration_are_named() {
    let folder = random_model("qwen2", 1, 2, 1, 6);
    let path = folder.path();
    edit(&path.join("config.json"), "intermediate_size", json!(41));
    let error = refusal(path).to_string();
    assert!(error.contains("`model.layers.0.mlp.up_proj.weight` has shape [40, 24]"), "{error}");
    assert!(error.contains("asks for [41, 24]"), "{error}");
    edit(&path.join("config.json"), "intermediate_size", json!(40));
    edit(&path.join("config.json"), "num_hidden_layers", json!(4));
    let error = refusal(path).to_string();
    assert!(error.contains("no tensor `model.layers.3.input_layernorm.weight`"), "{error}");
    edit(&path.join("config.json"), "num_hidden_layers", json!(2));
    assert!(try_open(&model(path, DType::F32)).is_ok(), "layers that are not asked for may be there");
}

#[test]
fn values_that_are_not_plain_numbers_are_refused() {
    let folder = random_model("llama", 1, 2, 2, 6);
    let file = folder.path().join("model.safetensors");
    let mut tensors = safetensors::load(&file, &Place::Cpu).expect("weights");
    let codes = Tensor::zeros((24, 40), candle_core::DType::U8, &Place::Cpu).expect("codes");
    tensors.insert("model.layers.1.mlp.down_proj.weight".to_owned(), codes);
    safetensors::save(&tensors, &file).expect("save");
    let error = refusal(folder.path()).to_string();
    assert!(error.contains("`model.layers.1.mlp.down_proj.weight` holds U8, expected F32, F16 or BF16"), "{error}");
}

#[test]
fn weights_come_back_after_a_release() {
    let folder = random_model("llama", 37, 2, 2, 6);
    let row = vec![vec![5, 6, 7]];
    let encoder = open(folder.path(), DType::F32);
    let readouts = all_readouts(&*encoder);
    let before = encode(&*encoder, &row, &readouts);
    encoder.release();
    assert_same(&encode(&*encoder, &row, &readouts), &before, 0.0, "after a release");
}

#[test]
fn a_model_of_many_positions_takes_no_memory_for_them() {
    let folder = random_model("llama", 41, 2, 2, 6);
    let row = vec![vec![5, 6, 7]];
    let few = open(folder.path(), DType::F32);
    edit(&folder.path().join("config.json"), "max_position_embeddings", json!(268_435_456));
    let many = open(folder.path(), DType::F32);
    let readouts = all_readouts(&*few);
    assert_same(&encode(&*many, &row, &readouts), &encode(&*few, &row, &readouts), 0.0, "positions");
}

#[test]
fn damaged_files_are_errors_and_never_a_panic() {
    let mut generator = ChaCha8Rng::seed_from_u64(23);
    let folder = random_model("bert", 23, 2, 2, 6);
    let path = folder.path();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let file = path.join(name);
        let whole = fs::read(&file).expect("file");
        for end in [0, 1, 7, 9, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..end]).expect("write");
            let error = refusal(path).to_string();
            assert!(error.contains(name), "{name} cut to {end} bytes: {error}");
        }
        for _ in 0..60 {
            let mut broken = whole.clone();
            let at = generator.random_range(0..broken.len().min(3000));
            broken[at] = generator.random_range(0..=255);
            fs::write(&file, &broken).expect("write");
            embed_something(path);
        }
        fs::write(&file, &whole).expect("write");
    }
    embed_something(path);
}

#[test]
fn any_value_of_a_configuration_is_read_or_refused() {
    let odd = [json!(null), json!(-1), json!(0), json!(3), json!(1e30), json!("x"), json!([]), json!({"rope_theta": true})];
    for name in FIXTURES {
        let folder = tempfile::tempdir().expect("temporary folder");
        for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
            fs::copy(fixture(name).join(file), folder.path().join(file)).expect("copy");
        }
        let path = folder.path().join("config.json");
        let whole: Value = serde_json::from_slice(&fs::read(&path).expect("file")).expect("JSON");
        let keys = whole.as_object().expect("a table").keys();
        let inner = whole["rope_parameters"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let places = keys.map(|key| format!("/{key}")).chain(inner.map(|key| format!("/rope_parameters/{key}")));
        for place in places {
            for value in &odd {
                let mut broken = whole.clone();
                *broken.pointer_mut(&place).expect("a key") = value.clone();
                fs::write(&path, broken.to_string()).expect("write");
                embed_something(folder.path());
            }
        }
    }
}

/// Files that ask for far more than they hold, or that never end.
#[test]
fn what_a_file_claims_takes_no_memory() {
    let folder = random_model("llama", 43, 2, 2, 6);
    let path = folder.path();
    let replaced = |name: &str, bytes: &[u8]| {
        let file = path.join(name);
        let whole = fs::read(&file).ok();
        fs::write(&file, bytes).expect("write");
        let error = refusal(path).to_string();
        assert!(error.contains(name), "{name}: {error}");
        match whole {
            Some(whole) => fs::write(&file, whole).expect("write"),
            None => fs::remove_file(&file).expect("remove"),
        }
        error
    };
    let head = |length: u64, json: &str| [&length.to_le_bytes()[..], json.as_bytes()].concat();
    replaced("model.safetensors", &head(1 << 40, "{}"));
    replaced("model.safetensors", &head(u64::MAX, "{}"));
    for (shape, offsets) in [("[1099511627776,1099511627776]", "[0,4]"), ("[1]", "[0,1099511627776]"), ("[1]", "[8,4]")] {
        let json =
            format!("{{\"model.embed_tokens.weight\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}");
        replaced("model.safetensors", &head(json.len() as u64, &format!("{json}0000")));
    }
    let nested = |open: &str, close: &str| [open.repeat(200_000), "1".to_owned(), close.repeat(200_000)].concat();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json"] {
        replaced(name, nested("[", "]").as_bytes());
        replaced(name, nested("{\"a\":", "}").as_bytes());
    }
    let endless = fs::File::create(path.join("tokenizer_config.json")).expect("create");
    endless.set_len(1 << 32).expect("a file of nothing");
    let error = refusal(path).to_string();
    assert!(error.contains("tokenizer_config.json is too large: 4294967296 bytes"), "{error}");
}

#[test]
fn damaged_small_files_are_errors_and_never_a_panic() {
    let mut generator = ChaCha8Rng::seed_from_u64(47);
    let folder = random_model("bert", 47, 2, 2, 6);
    let path = folder.path();
    fs::create_dir(path.join("1_Pooling")).expect("a folder");
    let module =
        |kind: &str, place: &str| json!({"idx": 0, "path": place, "type": format!("sentence_transformers.models.{kind}")});
    let files = [
        ("tokenizer_config.json", json!({"tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": 64})),
        ("special_tokens_map.json", json!({"cls_token": {"content": "<s>"}, "sep_token": "</s>"})),
        ("sentence_bert_config.json", json!({"max_seq_length": 32, "do_lower_case": false})),
        (
            "modules.json",
            json!([module("Transformer", ""), module("Pooling", "1_Pooling"), module("Normalize", "2_Normalize")]),
        ),
        ("1_Pooling/config.json", json!({"word_embedding_dimension": 24, "pooling_mode_mean_tokens": true})),
    ];
    for (name, value) in &files {
        fs::write(path.join(name), value.to_string()).expect("write");
    }
    for (name, value) in &files {
        let whole = value.to_string().into_bytes();
        for _ in 0..100 {
            let mut broken = whole.clone();
            let at = generator.random_range(0..broken.len());
            match generator.random_range(0..3) {
                0 => broken[at] = generator.random_range(0..=255),
                1 => broken.truncate(at),
                _ => drop(broken.splice(at..(at + 4).min(whole.len()), *b"null")),
            }
            fs::write(path.join(name), &broken).expect("write");
            embed_something(path);
        }
        fs::write(path.join(name), &whole).expect("write");
    }
}

/// Whether the folder works or not, nothing panics.
fn embed_something(folder: &Path) {
    let Ok(encoder) = try_open(&model(folder, DType::F32)) else { return };
    let template = Template::parse("{text}").expect("template");
    let Ok(prepared) = encoder.prepare(&template, "a text", Truncation::Head) else { return };
    let pool =
        encoder.readout(&readout(-1, Pooling::Own, false)).or_else(|_| encoder.readout(&readout(-1, Pooling::Mean, false)));
    let Ok(readout) = pool else { return };
    let rows = [&prepared.ids[..], &[0, 1]].map(Row::from);
    let _outcome = encoder.encode(&rows, &[readout], &mut |_| std::ops::ControlFlow::Continue(()));
}

#[test]
fn rows_and_readouts_that_do_not_fit_are_refused() {
    let folder = random_model("bert", 1, 2, 2, 6);
    let encoder = open(folder.path(), DType::F32);
    let last = encoder.readout(&readout(-1, Pooling::Last, false)).expect("a readout");
    let refused = |row: &[u32]| {
        let emit = &mut |_| std::ops::ControlFlow::Continue(());
        encoder.encode(&[Row::from(row)], std::slice::from_ref(&last), emit).expect_err("refused")
    };
    assert!(matches!(refused(&[]), EmbedError::EmptyRow { row: 0 }));
    assert!(matches!(refused(&[96, 97]), EmbedError::UnknownToken { id: 97, last: 96, .. }));
    assert!(matches!(refused(&[1; 1025]), EmbedError::RowTooLong { tokens: 1025, limit: 1024, .. }));
    for layer in [4, -5] {
        let error = encoder.readout(&readout(layer, Pooling::Last, false)).expect_err("no such layer");
        assert!(matches!(error, EmbedError::NoSuchLayer { last: 3, .. }), "{error}");
    }
    let wide = Readout { dim: Some(13), ..readout(-1, Pooling::Last, false) };
    let error = encoder.readout(&wide).expect_err("too wide");
    assert!(matches!(error, EmbedError::TooWide { dim: 13, width: 12, .. }), "{error}");
    let second = Readout { span: Some(2), ..readout(-1, Pooling::Mean, false) };
    let second = encoder.readout(&second).expect("a readout");
    #[expect(clippy::single_range_in_vec_init, reason = "a row with one slot")]
    for slots in [&[][..], &[0..1], &[0..1, 1..1], &[0..1, 1..9]] {
        let emit = &mut |_| std::ops::ControlFlow::Continue(());
        let error = encoder.encode(&[Row { ids: &[1, 2], slots }], std::slice::from_ref(&second), emit).expect_err("no slot");
        assert!(matches!(error, EmbedError::NoSlot { row: 0, slot: 2 }), "{error}");
    }
    let error = encoder.readout(&readout(1, Pooling::Last, true)).expect_err("no final norm");
    assert!(matches!(error, EmbedError::NoFinalNorm { .. }), "{error}");

    let mut short = model(folder.path(), DType::F32);
    short.max_tokens = Some(2000);
    let error = try_open(&short).err().expect("more than the model reads").to_string();
    assert!(error.contains("`max_tokens` is 2000") && error.contains("1 to 1024"), "{error}");
}

#[test]
fn overflow_is_an_error_and_never_a_vector() {
    let folder = random_model("llama", 29, 2, 2, 6);
    let file = folder.path().join("model.safetensors");
    let mut tensors = safetensors::load(&file, &Place::Cpu).expect("weights");
    let table = tensors.remove("model.embed_tokens.weight").expect("a token table");
    tensors.insert("model.embed_tokens.weight".to_owned(), (table * 1e6).expect("scaled"));
    safetensors::save(&tensors, &file).expect("save");
    let encoder = open(folder.path(), DType::F16);
    let readout = encoder.readout(&readout(1, Pooling::Last, false)).expect("a readout");
    let mut failed = Vec::new();
    let emit = &mut |batch: Batch| {
        assert!(batch.rows.is_empty() && batch.embeddings[0].is_empty());
        failed.extend(batch.failed);
        std::ops::ControlFlow::Continue(())
    };
    encoder.encode(&[Row::from(&[1, 2][..])], &[readout], emit).expect("a failed row is no error");
    let [(0, error)] = &failed[..] else { panic!("{failed:?}") };
    assert!(matches!(error, EmbedError::NotFinite { .. }) && error.to_string().contains("bf16"), "{error}");
}

#[test]
fn the_digest_follows_what_vectors_depend_on() {
    let folder = random_model("llama", 31, 2, 2, 6);
    let path = folder.path();
    let digest = || open(path, DType::F32).card().digest;
    let first = digest();
    assert_eq!(first, digest());
    edit(&path.join("config.json"), "some_comment", json!("changes nothing"));
    assert_eq!(first, digest());
    edit(&path.join("config.json"), "rope_theta", json!(500.0));
    let other_angles = digest();
    assert_ne!(first, other_angles);
    fs::write(path.join("tokenizer_config.json"), json!({"add_bos_token": true}).to_string()).expect("write");
    let other_tokenizer = digest();
    assert_ne!(other_angles, other_tokenizer);
    let file = path.join("model.safetensors");
    let mut tensors = safetensors::load(&file, &Place::Cpu).expect("weights");
    tensors.insert("model.norm.weight".to_owned(), Tensor::ones(24, candle_core::DType::F32, &Place::Cpu).expect("ones"));
    safetensors::save(&tensors, &file).expect("save");
    assert_ne!(other_tokenizer, digest());
}
