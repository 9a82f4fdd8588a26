//! LoRA adapters in PEFT's layout, merged into the weights as they are loaded.
//!
//! What an adapter changes is told by its tensors: every one must have its place in the model, or belong to a head that is not
//! used. Source: Hu et al., LoRA (arXiv 2106.09685); rank-stabilised scaling: Kalajdzievski (arXiv 2312.03732).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Result as CandleResult, Tensor};
use regex::Regex;
use serde_json::Value;

use super::config::Config;
use super::description::Description;
use super::digests::file_digests;
use super::error::ModelError;
use super::folder::read_json;
use super::layers;
use super::weights::{map, plain_numbers};
use crate::digest::{Digest, Hasher};

const CONFIG: &str = "adapter_config.json";
pub(super) const WEIGHTS: &str = "adapter_model.safetensors";

/// What PEFT puts in front of all names.
const PREFIX: &str = "base_model.model.";

/// Parts of a model that no vector passes through.
const HEADS: &[&str] = &["lm_head", "embed_out", "score", "classifier", "pooler", "cls", "qa_outputs"];

/// Keys that ask for another sum than `W + scale * B A`, and why they are refused.
const REFUSED: &[(&str, &str)] = &[
    ("use_dora", "DoRA's magnitudes cannot be merged; merge it with PEFT: `model.merge_and_unload().save_pretrained(DIR)`"),
    ("use_qalora", "grouped adapters cannot be merged; merge it with PEFT: `model.merge_and_unload().save_pretrained(DIR)`"),
    ("layer_replication", "layers must stand once each"),
    ("alora_invocation_tokens", "the adapter must act on every token"),
    ("trainable_token_indices", "single rows of the token table cannot be replaced; merge it with PEFT"),
];

/// Initialisations that take something out of the model's own weights, which are then no longer those that it was made for.
const SUBTRACTING: &[&str] = &["pissa", "olora", "corda", "loftq", "lora_ga"];

/// An adapter, opened and checked against a model.
pub struct Adapter {
    folder: PathBuf,
    /// `adapter_config.json`
    config: Config,
    weights: MmapedSafetensors,
    /// By the model's tensor, without the prefix.
    changes: BTreeMap<String, Vec<Change>>,
    vocabulary: Option<usize>,
}

/// What is done to one tensor of the model.
#[derive(Debug, PartialEq)]
enum Change {
    /// Another tensor takes its place.
    Replaced { by: String },
    /// `scale * by` is added.
    Added { by: String, scale: f64 },
    /// `scale * b a` is added, turned where the model's tensor is `[inputs, outputs]`.
    LowRank { a: String, b: String, scale: f64, turned: bool },
}

impl Adapter {
    /// Opens the adapter in `folder` for the model of `description`.
    ///
    /// # Errors
    /// Missing or damaged files, another method than LoRA, and a tensor that has no place in the model.
    pub fn open(folder: &Path, description: &Description) -> Result<Self, ModelError> {
        let Parts { config, weights } = parts(folder)?;
        let mut adapter = Self { folder: folder.to_owned(), config, weights, changes: BTreeMap::new(), vocabulary: None };
        adapter.place(description)?;
        Ok(adapter)
    }

    /// Rows of the token table that it brings, where that is another number than the model has.
    pub const fn vocabulary(&self) -> Option<usize> {
        self.vocabulary
    }

    /// The folder, if it has a tokenizer of its own.
    pub fn tokenizer(&self) -> Option<&Path> {
        self.folder.join("tokenizer.json").is_file().then_some(&*self.folder)
    }

    /// Digest of its configuration and weights.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn digest(&self, home: &Path) -> Result<Digest, ModelError> {
        let file = self.folder.join(WEIGHTS);
        let digests = file_digests(&[&file], home)?;
        let hasher = digests.iter().fold(Hasher::new("adapter/1"), |hasher, digest| hasher.field(WEIGHTS, digest.as_bytes()));
        Ok(hasher.json(CONFIG, &self.config.json).finish())
    }

    /// Whether the model's own tensor of this name is not read at all.
    pub(super) fn replaces(&self, name: &str) -> bool {
        self.changes.get(name).is_some_and(|changes| changes.iter().any(|change| matches!(change, Change::Replaced { .. })))
    }

    /// The tensor of this name, without the prefix, as the adapter makes it of the model's own. Computed in f32.
    pub(super) fn apply(&self, name: &str, own: impl FnOnce() -> CandleResult<Tensor>) -> CandleResult<Tensor> {
        let Some(changes) = self.changes.get(name) else { return own() };
        let load = |name: &str| self.weights.load(name, &Device::Cpu)?.to_dtype(DType::F32);
        let replaced = changes.iter().find_map(|change| match change {
            Change::Replaced { by } => Some(load(by)),
            Change::Added { .. } | Change::LowRank { .. } => None,
        });
        let mut tensor = replaced.unwrap_or_else(|| own()?.to_dtype(DType::F32))?;
        for change in changes {
            tensor = match change {
                Change::Replaced { .. } => tensor,
                Change::Added { by, scale } => (tensor + (load(by)? * *scale)?)?,
                Change::LowRank { a, b, scale, turned } => {
                    let sum = (load(b)?.matmul(&load(a)?)? * *scale)?;
                    let sum = if *turned { sum.t()?.contiguous()? } else { sum };
                    (tensor + sum)?
                }
            };
        }
        Ok(tensor)
    }

    /// Finds the place of every tensor, and checks its shape.
    fn place(&mut self, description: &Description) -> Result<(), ModelError> {
        let model: BTreeMap<String, Vec<usize>> = layers::tensors(description).into_iter().collect();
        let mut shapes = BTreeMap::new();
        for (name, view) in self.weights.tensors() {
            plain_numbers(&self.folder.join(WEIGHTS), &name, view.dtype())?;
            shapes.insert(name, view.shape().to_vec());
        }
        for (name, shape) in &shapes {
            let plain = name.strip_prefix(PREFIX).unwrap_or(name).replace(".base_layer.", ".");
            let part = Part::of(&plain);
            let Some((target, wanted)) = target(&model, description, &part.target()) else {
                if is_head(&plain, description) {
                    continue;
                }
                return Err(self.misplaced(name));
            };
            let tokens = target == description.names.tokens;
            let change = match part {
                // Read with its `A`, which must be there.
                Part::B(_) | Part::TableB(_) => {
                    let a = name.replace("lora_B", "lora_A").replace("lora_embedding_B", "lora_embedding_A");
                    if shapes.contains_key(&a) {
                        continue;
                    }
                    return Err(self.misplaced(name));
                }
                Part::Other(_) => {
                    self.check(name, shape, &wanted, tokens)?;
                    Change::Replaced { by: name.clone() }
                }
                Part::Bias(module) => {
                    self.check(name, shape, &wanted, false)?;
                    Change::Added { by: name.clone(), scale: self.config.scale(module, self.rank_beside(name, &shapes)?)? }
                }
                Part::A(module) | Part::TableA(module) => {
                    let table = matches!(part, Part::TableA(_));
                    let turned = table || (description.names.transposed && target.starts_with(description.names.block));
                    let (b, sum) = self.product(name, turned, &shapes)?;
                    self.check(name, &sum, &wanted, tokens)?;
                    Change::LowRank { a: name.clone(), b, scale: self.config.scale(module, shape[0])?, turned }
                }
            };
            self.changes.entry(target).or_default().push(change);
        }
        Ok(())
    }

    /// The `B` that belongs to an `A`, and the shape of their product.
    fn product(
        &self,
        a: &str,
        turned: bool,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<(String, Vec<usize>), ModelError> {
        let b = a.replace("lora_A", "lora_B").replace("lora_embedding_A", "lora_embedding_B");
        let sides = |name: &str| shapes.get(name).and_then(|shape| pair(shape));
        let (Some([rank, inputs]), Some([outputs, other])) = (sides(a), sides(&b)) else { return Err(self.misplaced(&b)) };
        if rank != other {
            return Err(self.shape(&b, vec![outputs, other], vec![outputs, rank]));
        }
        Ok((b, if turned { vec![inputs, outputs] } else { vec![outputs, inputs] }))
    }

    /// Whether a change has the shape of what it changes; a token table may have another number of rows.
    fn check(&mut self, name: &str, found: &[usize], wanted: &[usize], tokens: bool) -> Result<(), ModelError> {
        let rows = found.first().copied().filter(|_| tokens && found.len() == 2);
        match rows {
            _ if found == wanted => Ok(()),
            Some(rows) if found[1..] == wanted[1..] && self.vocabulary.is_none_or(|known| known == rows) => {
                self.vocabulary = Some(rows);
                Ok(())
            }
            _ => Err(self.shape(name, found.to_vec(), wanted.to_vec())),
        }
    }

    /// The rank of the pair whose bias this is.
    fn rank_beside(&self, bias: &str, shapes: &BTreeMap<String, Vec<usize>>) -> Result<usize, ModelError> {
        let b = bias.replace(".bias", ".weight");
        shapes.get(&b).and_then(|shape| pair(shape)).map(|[_, rank]| rank).ok_or_else(|| self.misplaced(&b))
    }

    fn shape(&self, tensor: &str, found: Vec<usize>, wanted: Vec<usize>) -> ModelError {
        ModelError::Shape { path: self.folder.join(WEIGHTS), tensor: tensor.to_owned(), found, wanted }
    }

    fn misplaced(&self, tensor: &str) -> ModelError {
        ModelError::Misplaced { path: self.folder.join(WEIGHTS), tensor: tensor.to_owned() }
    }
}

/// What an adapter is made of.
pub(super) struct Parts {
    /// `adapter_config.json`
    pub config: Config,
    pub weights: MmapedSafetensors,
}

/// Opens the files of an adapter, whatever model it is for.
pub(super) fn parts(folder: &Path) -> Result<Parts, ModelError> {
    let path = folder.join(CONFIG);
    if !path.is_file() {
        return Err(ModelError::NoAdapter { folder: folder.to_owned() });
    }
    let config = Config { json: read_json(&path)?, path };
    config.check_adapter()?;
    let file = folder.join(WEIGHTS);
    if !file.is_file() {
        let pickled = folder.join("adapter_model.bin").is_file();
        let (folder, file) = (folder.to_owned(), "adapter_model.bin".to_owned());
        return Err(if pickled { ModelError::Pickled { folder, file } } else { ModelError::NoAdapter { folder } });
    }
    Ok(Parts { config, weights: map(&file)? })
}

/// The module that an adapter's tensor changes.
pub(super) fn module(tensor: &str) -> &str {
    let name = tensor.strip_prefix(PREFIX).unwrap_or(tensor);
    match Part::of(name) {
        Part::A(module) | Part::B(module) | Part::Bias(module) | Part::TableA(module) | Part::TableB(module) => module,
        Part::Other(name) => name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias")).unwrap_or(name),
    }
}

/// What an adapter's tensor is to a module.
#[derive(Clone, Copy)]
enum Part<'a> {
    A(&'a str),
    B(&'a str),
    Bias(&'a str),
    TableA(&'a str),
    TableB(&'a str),
    /// A tensor of the model itself.
    Other(&'a str),
}

impl<'a> Part<'a> {
    fn of(name: &'a str) -> Self {
        if let Some(module) = name.strip_suffix(".lora_A.weight") {
            Self::A(module)
        } else if let Some(module) = name.strip_suffix(".lora_B.weight") {
            Self::B(module)
        } else if let Some(module) = name.strip_suffix(".lora_B.bias") {
            Self::Bias(module)
        } else if let Some(module) = name.strip_suffix(".lora_embedding_A") {
            Self::TableA(module)
        } else if let Some(module) = name.strip_suffix(".lora_embedding_B") {
            Self::TableB(module)
        } else {
            Self::Other(name)
        }
    }

    /// The model's tensor that is changed.
    fn target(self) -> String {
        match self {
            Self::A(module) | Self::B(module) | Self::TableA(module) | Self::TableB(module) => format!("{module}.weight"),
            Self::Bias(module) => format!("{module}.bias"),
            Self::Other(name) => name.to_owned(),
        }
    }
}

/// A name's place among the model's tensors, whatever prefix the adapter was trained under, and its shape.
fn target(model: &BTreeMap<String, Vec<usize>>, description: &Description, name: &str) -> Option<(String, Vec<usize>)> {
    let found = description.names.prefixes.iter().find_map(|prefix| model.get_key_value(name.strip_prefix(prefix)?));
    found.map(|(name, shape)| (name.clone(), shape.clone()))
}

fn is_head(name: &str, description: &Description) -> bool {
    let without = description.names.prefixes.iter().filter_map(|prefix| name.strip_prefix(prefix));
    without.chain([name]).any(|name| name.split('.').next().is_some_and(|first| HEADS.contains(&first)))
}

fn pair(shape: &[usize]) -> Option<[usize; 2]> {
    shape.try_into().ok()
}

impl Config {
    /// Whether it is LoRA, and nothing but that.
    fn check_adapter(&self) -> Result<(), ModelError> {
        if self.at("peft_type").is_none_or(|kind| kind != "LORA") {
            return Err(self.unsupported("peft_type", "adapters must be LoRA"));
        }
        for (key, reason) in REFUSED {
            if self.at(key).is_some_and(|value| *value != false) {
                return Err(self.unsupported(key, reason));
            }
        }
        let start = self.at("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
        if SUBTRACTING.iter().any(|name| start.to_lowercase().starts_with(name)) {
            let reason = "it changed the model's own weights; convert it with PEFT: `save_pretrained(DIR, path_initial_model_for_weight_conversion=...)`";
            return Err(self.unsupported("init_lora_weights", reason));
        }
        Ok(())
    }

    /// What a module's `B A` is multiplied by.
    fn scale(&self, module: &str, rank: usize) -> Result<f64, ModelError> {
        let alpha = match self.pattern("alpha_pattern", module)? {
            Some(alpha) => alpha,
            None => self.finite("lora_alpha", self.at("lora_alpha"))?,
        };
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let rank = rank.max(1) as f64;
        Ok(alpha / if self.flag("use_rslora")? { rank.sqrt() } else { rank })
    }

    /// The value of the first key of a table that a module's name ends with, as a regular expression.
    fn pattern(&self, key: &'static str, module: &str) -> Result<Option<f64>, ModelError> {
        let Some(table) = self.at(key).and_then(Value::as_object) else { return Ok(None) };
        for (pattern, value) in table {
            let wanted = "regular expressions of the ends of module names";
            let ends = Regex::new(&format!(r"^(.*\.)?({pattern})$"));
            let ends = ends.map_err(|_| self.wrong(key, Some(&Value::from(pattern.as_str())), wanted))?;
            if ends.is_match(module) {
                return self.finite(key, Some(value)).map(Some);
            }
        }
        Ok(None)
    }

    fn finite(&self, key: &str, value: Option<&Value>) -> Result<f64, ModelError> {
        let number = value.and_then(Value::as_f64).filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(key, value, "a number"))
    }
}
