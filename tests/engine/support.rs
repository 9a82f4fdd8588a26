//! Opening and running encoders through the public interface.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use embed_bench::dataset::Catalog;
use embed_bench::embed::{self, EmbedError, Encoder, Resolved, Row, Sources};
use embed_bench::embeddings::Embeddings;
use embed_bench::http::Network;
use embed_bench::observe::Silent;
use embed_bench::spec::{DType, Device, Layer, Model, Pooling, Readout, Source};
use serde_json::Value;

pub fn model(folder: &Path, dtype: DType) -> Model {
    let source = Source::Path(folder.to_owned());
    Model { id: "model".to_owned(), source, dtype, device: Device::Cpu, max_tokens: None, adapter: None }
}

pub fn open(folder: &Path, dtype: DType) -> Box<dyn Encoder> {
    try_open(&model(folder, dtype)).expect("a model that can be opened")
}

pub fn try_open(model: &Model) -> Result<Box<dyn Encoder>, EmbedError> {
    let home = tempfile::tempdir().expect("temporary folder");
    let catalog = Catalog::new(PathBuf::new(), None);
    embed::open(model, &Sources { catalog: &catalog, home: home.path(), observer: &Silent, network: Network::Offline })
}

/// Every architecture, some of them with an extra that others lack.
pub const FIXTURES: [&str; 16] = [
    "bert",
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "llama",
    "llama3",
    "mistral",
    "opt",
    "opt_post",
    "phi3",
    "phi3_long",
    "qwen2",
    "qwen3",
    "xlm_roberta",
];

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub fn readout(layer: i32, pool: Pooling, norm: bool) -> Readout {
    Readout { norm, normalize: false, ..Readout::new("test", Layer::At(layer), pool) }
}

/// Vectors of every row, one matrix per readout, in the order of the rows.
pub fn encode(encoder: &dyn Encoder, rows: &[Vec<u32>], readouts: &[Resolved]) -> Vec<Embeddings> {
    let rows: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
    encode_rows(encoder, &rows, readouts)
}

/// The same of rows that know where their slots are.
pub fn encode_rows(encoder: &dyn Encoder, rows: &[Row<'_>], readouts: &[Resolved]) -> Vec<Embeddings> {
    let mut found: Vec<Vec<Option<Vec<f32>>>> = vec![vec![None; rows.len()]; readouts.len()];
    encoder
        .encode(rows, readouts, &mut |batch| {
            assert!(batch.failed.is_empty(), "{:?}", batch.failed);
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
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut b.iter().map(|b| f64::from(*b))).max(f64::MIN_POSITIVE)
}

/// Every pooling at the embeddings, an inner layer, an inner layer with the final norm, and the last one.
pub fn all_readouts(encoder: &dyn Encoder) -> Vec<Resolved> {
    let mut all = Vec::new();
    for pool in [Pooling::Last, Pooling::Mean, Pooling::WeightedMean, Pooling::Max, Pooling::Cls] {
        for (layer, norm) in [(0, false), (1, false), (2, true), (-2, false), (-1, false)] {
            all.extend(encoder.readout(&readout(layer, pool, norm)).ok());
        }
    }
    all
}

pub fn assert_same(a: &[Embeddings], b: &[Embeddings], tolerance: f64, what: &str) {
    for (readout, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.len(), b.len(), "{what}");
        for row in 0..a.len() {
            let error = relative_error(a.row(row), b.row(row));
            assert!(error <= tolerance, "{what}: readout {readout} of row {row} differs by {error:e}");
        }
    }
}

/// Changes one key of a JSON file.
pub fn edit(path: &Path, key: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).expect("file")).expect("JSON");
    json[key] = value;
    fs::write(path, json.to_string()).expect("write");
}
