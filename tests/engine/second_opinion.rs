//! Another implementation of the same models agrees: candle-transformers, whose code shares none of ours.

use candle_core::{DType as Dtype, Device as Place, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{bert, qwen2};
use embed_bench::spec::{DType, Pooling};
use serde_json::{Value, json};

use crate::support::{encode, fixture, open, readout, relative_error};

/// Two f32 implementations that add in different orders.
const AGREED: f64 = 1e-5;

const ROWS: [&[u32]; 3] = [&[5], &[7, 3, 9, 11], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]];

fn weights(name: &str) -> VarBuilder<'static> {
    let tensors = candle_core::safetensors::load(fixture(name).join("model.safetensors"), &Place::Cpu).expect("weights");
    VarBuilder::from_tensors(tensors, Dtype::F32, &Place::Cpu)
}

fn config(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name).join("config.json")).expect("config.json")).expect("JSON")
}

/// Last-layer states of one row by the other implementation, against ours: the last token's and the mean.
fn agrees(name: &str, mut states: impl FnMut(&Tensor) -> candle_core::Result<Tensor>) {
    let encoder = open(&fixture(name), DType::F32);
    let of = |pool| encoder.readout(&readout(-1, pool, false)).expect("a readout");
    let rows: Vec<Vec<u32>> = ROWS.iter().map(|row| row.to_vec()).collect();
    let ours = encode(&*encoder, &rows, &[of(Pooling::Last), of(Pooling::Mean)]);
    for (i, row) in ROWS.iter().enumerate() {
        let ids = Tensor::new(*row, &Place::Cpu).and_then(|ids| ids.unsqueeze(0)).expect("ids");
        let theirs = states(&ids).and_then(|states| states.squeeze(0)).expect("states");
        let last = theirs.get(row.len() - 1).and_then(|state| state.to_vec1::<f32>()).expect("last state");
        let mean = theirs.mean(0).and_then(|state| state.to_vec1::<f32>()).expect("mean state");
        for (ours, theirs, what) in [(&ours[0], last, "last"), (&ours[1], mean, "mean")] {
            let error = relative_error(ours.row(i), &theirs);
            assert!(error <= AGREED, "{name}: the {what} state of row {i} differs by {error:e}");
        }
    }
}

#[test]
fn qwen2_agrees() {
    let mut config = config("qwen2");
    config["sliding_window"] = json!(config["max_position_embeddings"]);
    let config: qwen2::Config = serde_json::from_value(config).expect("a qwen2 configuration");
    let mut model = qwen2::Model::new(&config, weights("qwen2")).expect("a qwen2 model");
    agrees("qwen2", |ids| {
        model.clear_kv_cache();
        model.forward(ids, 0, None)
    });
}

#[test]
fn bert_agrees() {
    let config: bert::Config = serde_json::from_value(config("bert")).expect("a bert configuration");
    let model = bert::BertModel::load(weights("bert"), &config).expect("a bert model");
    agrees("bert", |ids| model.forward(ids, &ids.zeros_like()?, None));
}
