//! GGUF files, as llama.cpp reads them: configuration, tokenizer and quantised weights in one file.
//!
//! Weights are widened as they are loaded and go through the same forward pass as all others; llama.cpp also rounds what it
//! multiplies them with, so that its vectors differ by that. Source: the GGUF specification, and `convert_hf_to_gguf.py`.

mod tokenizer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value as Meta};
use candle_core::{DType, Device, Result as CandleResult, Tensor};
use serde_json::{Value, json};

use super::config::describe;
use super::description::{Description, Names, Positions, Qkv, Scaling};
use super::error::{ModelError, excerpt};
use super::folder::Folder;
use super::pooling::{Pool, Pooled};

const NAMES: Names = Names {
    prefixes: &[""],
    tokens: "token_embd.weight",
    block: "blk.",
    attention_norm: "attn_norm",
    qkv: Qkv::Apart { query: "attn_q", key: "attn_k", value: "attn_v" },
    query_norm: "attn_q_norm",
    key_norm: "attn_k_norm",
    output: "attn_output",
    feed_forward_norm: "ffn_norm",
    gate: "ffn_gate",
    up: "ffn_up",
    down: "ffn_down",
    final_norm: "output_norm",
    ..Names::NONE
};

/// Architectures that are read, by the names of both worlds.
const ARCHITECTURES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// Divides the rotary angles of each pair, where a model scales them as Llama 3 does.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// A file whose head was read.
pub struct Gguf {
    path: PathBuf,
    bytes: u64,
    content: Content,
    architecture: &'static str,
}

impl Gguf {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// A file that cannot be read, is no GGUF, holds types of values that are not known, or an architecture that is not read.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let content = Content::read(&mut BufReader::new(file));
        let content = content.map_err(|source| ModelError::Gguf { path: path.to_owned(), source })?;
        let named = content.metadata.get("general.architecture").and_then(|name| name.to_string().ok());
        let Some(architecture) = ARCHITECTURES.into_iter().find(|known| named.is_some_and(|named| named == known)) else {
            return Err(ModelError::UnknownArchitecture {
                path: path.to_owned(),
                found: named.map_or_else(|| "(none)".to_owned(), |named| excerpt(named)),
                supported: ARCHITECTURES.join(", "),
            });
        };
        Ok(Self { path: path.to_owned(), bytes, content, architecture })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the file says of its model.
    ///
    /// # Errors
    /// A value that is missing or out of range, and what no architecture here can express.
    pub fn folder(&self) -> Result<Folder, ModelError> {
        let mut description = describe(&self.path, self.config()?)?;
        description.names = &NAMES;
        if self.content.tensor_infos.contains_key(ROPE_FACTORS) {
            self.scale(&mut description)?;
        }
        let (max_tokens, own) = (description.max_positions, self.pooling(description.attention.causal)?);
        Ok(Folder { path: self.path.clone(), description, max_tokens, own: Some(own) })
    }

    /// Shape of a tensor, `[outputs, inputs]`.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.content.tensor_infos.get(name).map(|info| info.shape.dims().to_vec())
    }

    /// Number of values by the name of their type.
    pub(super) fn values(&self) -> BTreeMap<String, u64> {
        let tensors: BTreeMap<&String, _> = self.content.tensor_infos.iter().collect();
        let mut values = BTreeMap::new();
        for info in tensors.into_values() {
            let total: &mut u64 = values.entry(format!("{:?}", info.ggml_dtype)).or_default();
            *total = total.saturating_add(info.shape.elem_count() as u64);
        }
        values
    }

    /// A tensor in f32, with the rows of queries and keys in the order that all other files have them.
    pub(super) fn load(&self, name: &str) -> CandleResult<Tensor> {
        let mut file = File::open(&self.path)?;
        let tensor = self.content.tensor(&mut file, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
        let projected = |part: &str| name.contains(&format!(".{part}."));
        let heads = match self.architecture {
            "llama" if projected("attn_q") => self.size("attention.head_count"),
            "llama" if projected("attn_k") => self.size("attention.head_count_kv").or(self.size("attention.head_count")),
            _ => None,
        };
        match heads {
            None => Ok(tensor),
            // llama.cpp turns neighbours against each other, where others turn the halves of a head.
            Some(heads) => {
                let (shape, rows) = (tensor.shape().clone(), tensor.dim(0)?);
                tensor.reshape((heads, rows / heads / 2, 2, ()))?.transpose(1, 2)?.contiguous()?.reshape(shape)
            }
        }
    }

    /// The same as a `config.json`.
    fn config(&self) -> Result<Value, ModelError> {
        let vocabulary = self.shape(NAMES.tokens).and_then(|shape| shape.first().copied());
        let mut config = json!({
            "model_type": self.architecture,
            "hidden_size": self.number("embedding_length"),
            "num_hidden_layers": self.number("block_count"),
            "num_attention_heads": self.number("attention.head_count"),
            "num_key_value_heads": self.number("attention.head_count_kv"),
            "head_dim": self.number("attention.key_length"),
            "intermediate_size": self.number("feed_forward_length"),
            "max_position_embeddings": self.number("context_length"),
            "rms_norm_eps": self.number("attention.layer_norm_rms_epsilon"),
            "rope_theta": self.number("rope.freq_base"),
            "vocab_size": vocabulary,
        });
        let kind = self.text(&format!("{}.rope.scaling.type", self.architecture)).unwrap_or("none");
        if kind != "none" {
            config["rope_scaling"] = json!({
                "type": kind,
                "factor": self.number("rope.scaling.factor"),
                "original_max_position_embeddings": self.number("rope.scaling.original_context_length"),
            });
        }
        let (turned, head) = (self.size("rope.dimension_count"), self.size("attention.key_length"));
        let head = head.or_else(|| Some(self.size("embedding_length")? / self.size("attention.head_count")?.max(1)));
        if turned.is_some() && turned != head {
            let reason = "all of a head must be rotated";
            let found = turned.map_or_else(String::new, |turned| turned.to_string());
            return Err(ModelError::Unsupported {
                path: self.path.clone(),
                key: self.key("rope.dimension_count"),
                found,
                reason,
            });
        }
        Ok(config)
    }

    /// Replaces the scaling of rotary angles by the factors that the file holds.
    fn scale(&self, description: &mut Description) -> Result<(), ModelError> {
        let factors = self.load(ROPE_FACTORS).and_then(|factors| factors.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>());
        let factors = factors.map_err(|source| ModelError::Gguf { path: self.path.clone(), source })?;
        let pairs = description.attention.head_dim / 2;
        let Positions::Rotary { scaling, .. } = &mut description.positions else { return Ok(()) };
        if factors.len() != pairs || !factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) {
            let (found, wanted) = (vec![factors.len()], vec![pairs]);
            return Err(ModelError::Shape { path: self.path.clone(), tensor: ROPE_FACTORS.to_owned(), found, wanted });
        }
        *scaling = Some(Scaling::Each { factors, attention: 1.0, longer: None });
        Ok(())
    }

    /// What `pool = "own"` means; a file that does not say pools as a folder of its kind.
    fn pooling(&self, causal: bool) -> Result<Pooled, ModelError> {
        let pool = match self.size("pooling_type") {
            None | Some(0) => {
                if causal {
                    Pool::Last
                } else {
                    Pool::Mean
                }
            }
            Some(1) => Pool::Mean,
            Some(2) => Pool::Cls,
            Some(3) => Pool::Last,
            Some(other) => {
                let (key, found, reason) = (self.key("pooling_type"), other.to_string(), "supported are mean, cls and last");
                return Err(ModelError::Unsupported { path: self.path.clone(), key, found, reason });
            }
        };
        Ok(Pooled { pool, normalize: false })
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn meta(&self, key: &str) -> Option<&Meta> {
        self.content.metadata.get(key)
    }

    /// A number of the architecture; `null` where it is missing or no number.
    fn number(&self, key: &str) -> Value {
        match self.meta(&self.key(key)) {
            Some(Meta::F32(number)) => json!(f64::from(*number)),
            Some(Meta::F64(number)) => json!(number),
            Some(whole) => whole.to_u64().map_or(Value::Null, |whole| json!(whole)),
            None => Value::Null,
        }
    }

    fn size(&self, key: &str) -> Option<usize> {
        self.number(key).as_u64().and_then(|size| usize::try_from(size).ok())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.meta(key)?.to_string().ok().map(String::as_str)
    }
}
