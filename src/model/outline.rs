//! A model folder at a glance: what its small files and the heads of its weights say. Reads no weights.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;
use serde_json::Value;

use super::adapter::{self, Parts};
use super::description::Description;
use super::device::Backend;
use super::error::ModelError;
use super::folder::Folder;
use super::gguf::Gguf;
use super::memory::{peak_bytes, tokens_per_batch};
use super::pooling::Pooled;
use super::tokenizer::{Special, Tokenizer};
use super::weights::{Weights, find};
use crate::spec::{DType, Device, Pooling};

/// Bytes of a safetensors file's head that are read; the format allows no more.
const LONGEST_HEAD: u64 = 100_000_000;

/// What can be said of a model folder without loading it.
#[derive(Debug)]
pub struct Outline {
    pub description: Description,
    /// Most tokens of one text.
    pub max_tokens: usize,
    /// What `pool = "own"` means.
    pub pooling: Pooled,
    /// The special tokens around every text.
    pub special: Special,
    pub chat_template: bool,
    /// Weight files and their sizes. Units: bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Number of values by the name of their type on disk, of all tensors, used or not.
    pub values: BTreeMap<String, u64>,
    /// Memory at the peak on the CPU, weights and batches. Units: bytes.
    pub memory: Vec<(DType, u64)>,
}

/// What can be said of an adapter without its model.
#[derive(Debug, PartialEq)]
pub struct AdapterOutline {
    /// The model that it was trained on, as it says itself.
    pub base: Option<String>,
    /// What products are multiplied by: the rank and alpha of most modules.
    pub rank: Option<u64>,
    pub alpha: Option<f64>,
    pub rank_stabilised: bool,
    /// Modules that it changes, by the last part of their names, and how many of each.
    pub modules: BTreeMap<String, usize>,
    pub tokenizer: bool,
    /// Size of its weights. Units: bytes.
    pub bytes: u64,
}

impl AdapterOutline {
    /// Reads a folder in PEFT's layout.
    ///
    /// # Errors
    /// Missing or damaged files, and another method than LoRA.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let Parts { config, weights } = adapter::parts(path)?;
        let mut changed = BTreeSet::new();
        for (name, _) in weights.tensors() {
            changed.insert(adapter::module(&name).to_owned());
        }
        let mut modules = BTreeMap::new();
        for module in &changed {
            *modules.entry(module.rsplit('.').next().unwrap_or(module).to_owned()).or_default() += 1;
        }
        let file = path.join(adapter::WEIGHTS);
        let bytes = file.metadata().map_err(|source| ModelError::Read { path: file, source })?.len();
        Ok(Self {
            base: config.at("base_model_name_or_path").and_then(Value::as_str).map(str::to_owned),
            rank: config.at("r").and_then(Value::as_u64),
            alpha: config.at("lora_alpha").and_then(Value::as_f64),
            rank_stabilised: config.flag("use_rslora")?,
            modules,
            tokenizer: path.join("tokenizer.json").is_file(),
            bytes,
        })
    }
}

impl Outline {
    /// Reads a folder that a model can be made from.
    ///
    /// # Errors
    /// What opening the model as an encoder would meet, short of loading its weights.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let mut values = BTreeMap::new();
        let mut files = Vec::new();
        let (folder, tokenizer) = if path.is_file() {
            let gguf = Gguf::open(path)?;
            let folder = gguf.folder()?;
            let tokenizer = gguf.tokenizer(folder.max_tokens)?;
            values = gguf.values();
            files.push((path.to_owned(), gguf.bytes()));
            Weights::of_gguf(gguf, &folder.description)?;
            (folder, tokenizer)
        } else {
            let folder = Folder::open(path)?;
            let tokenizer = Tokenizer::open(path, folder.description.architecture, folder.max_tokens)?;
            Weights::open(path, &folder.description, None)?;
            for path in find(path)? {
                files.push((path.clone(), head(&path, &mut values)?));
            }
            (folder, tokenizer)
        };
        let pooling = folder.pooling(Pooling::Own)?;
        let Folder { description, max_tokens, .. } = folder;
        let workers = Backend::open(Device::Cpu)?.workers();
        let tokens = (workers * tokens_per_batch(&description, workers, None)) as u64;
        Ok(Self {
            max_tokens,
            pooling,
            special: tokenizer.special()?,
            chat_template: tokenizer.chat().is_ok(),
            files,
            values,
            memory: DType::ALL.iter().map(|&dtype| (dtype, peak_bytes(&description, dtype, tokens))).collect(),
            description,
        })
    }
}

/// Counts the values of a safetensors file by type; gives its size.
fn head(path: &Path, values: &mut BTreeMap<String, u64>) -> Result<u64, ModelError> {
    let failed = |source| ModelError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut length = Vec::new();
    let mut reader = file.take(8);
    reader.read_to_end(&mut length).map_err(failed)?;
    let length = length.as_slice().try_into().map_or(0, u64::from_le_bytes);
    reader.set_limit(length.min(LONGEST_HEAD));
    let mut head = Vec::new();
    reader.read_to_end(&mut head).map_err(failed)?;
    let metadata: Metadata =
        serde_json::from_slice(&head).map_err(|source| ModelError::Json { path: path.to_owned(), source })?;
    for tensor in metadata.offset_keys().iter().filter_map(|name| metadata.info(name)) {
        let count = tensor.shape.iter().fold(1_u64, |count, side| count.saturating_mul(*side as u64));
        let total = values.entry(format!("{:?}", tensor.dtype)).or_default();
        *total = total.saturating_add(count);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    #[test]
    fn an_adapter_is_shown_without_its_model() {
        let adapter = AdapterOutline::read(&fixture("adapters/llama_lora")).expect("an adapter");
        assert_eq!((adapter.rank, adapter.alpha, adapter.rank_stabilised), (Some(4), Some(6.0), true));
        // Three blocks; the table of tokens and the output matrix once each.
        let wanted = [("down_proj", 3), ("embed_tokens", 1), ("lm_head", 1), ("q_proj", 3), ("v_proj", 3)];
        assert_eq!(adapter.modules, wanted.map(|(name, count)| (name.to_owned(), count)).into());
        assert!(!adapter.tokenizer && AdapterOutline::read(&fixture("adapters/llama_tokens")).expect("another").tokenizer);
        assert!(matches!(AdapterOutline::read(&fixture("llama")), Err(ModelError::NoAdapter { .. })));
    }

    #[test]
    fn fixtures_are_as_their_files_say() {
        let bert = Outline::read(&fixture("bert")).expect("a model");
        assert_eq!(bert.description.architecture, "bert");
        assert_eq!(bert.special, Special { before: vec!["[CLS]".to_owned()], after: vec!["[SEP]".to_owned()] });
        let llama = Outline::read(&fixture("llama")).expect("a model");
        assert_eq!(llama.values.keys().collect::<Vec<_>>(), ["F32"]);
        let (bytes, values) = (llama.files[0].1, llama.values["F32"]);
        assert!(bytes > 4 * values && bytes < 4 * values + 16384, "{bytes} bytes for {values} values");
        let [(_, f32), (_, f16), (_, bf16)] = llama.memory[..] else { panic!("three dtypes") };
        assert!(f32 > f16 && f16 == bf16);
    }
}
