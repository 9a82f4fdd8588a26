//! Safetensors files of a model folder, memory-mapped; shapes are checked before anything is loaded.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde_json::Value;

use super::adapter::Adapter;
use super::description::Description;
use super::digests::file_digests;
use super::error::ModelError;
use super::gguf::Gguf;
use super::layers;
use crate::digest::{Digest, Hasher};

/// The weight files of a model folder, opened but not read.
pub struct Weights {
    folder: PathBuf,
    store: Store,
    prefix: &'static str,
    bytes: u64,
    adapter: Option<Adapter>,
}

/// Where tensors are kept.
enum Store {
    Safetensors(Vec<(PathBuf, MmapedSafetensors)>),
    Gguf(Gguf),
}

impl Weights {
    /// Opens a folder's weights and checks that every tensor of `description` is there in its shape. An adapter is merged into
    /// what is loaded.
    ///
    /// # Errors
    /// Missing, damaged or pickled files; a missing tensor; a shape that `config.json` does not ask for; values that are not
    /// plain floating-point numbers.
    pub fn open(folder: &Path, description: &Description, adapter: Option<Adapter>) -> Result<Self, ModelError> {
        let paths = find(folder)?;
        let mut files = Vec::with_capacity(paths.len());
        let mut bytes = 0;
        for path in paths {
            bytes += fs::metadata(&path).map_err(|source| ModelError::Read { path: path.clone(), source })?.len();
            let map = map(&path)?;
            files.push((path, map));
        }
        let store = Store::Safetensors(files);
        let mut weights = Self { folder: folder.to_owned(), store, prefix: "", bytes, adapter };
        weights.prefix = weights.find_prefix(description)?;
        weights.check_all(description)
    }

    /// Those of a GGUF file, checked in the same way.
    ///
    /// # Errors
    /// A missing tensor, and a shape that the file's own configuration does not ask for.
    pub fn of_gguf(gguf: Gguf, description: &Description) -> Result<Self, ModelError> {
        let (folder, bytes) = (gguf.path().to_owned(), gguf.bytes());
        Self { folder, store: Store::Gguf(gguf), prefix: "", bytes, adapter: None }.check_all(description)
    }

    fn check_all(self, description: &Description) -> Result<Self, ModelError> {
        for (name, shape) in layers::tensors(description) {
            self.check(&name, &shape)?;
        }
        Ok(self)
    }

    /// Size of the files together.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Digest of the files' names and contents.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn digest(&self, home: &Path) -> Result<Digest, ModelError> {
        let paths: Vec<&Path> = match &self.store {
            Store::Safetensors(files) => files.iter().map(|(path, _)| path.as_path()).collect(),
            Store::Gguf(gguf) => vec![gguf.path()],
        };
        let digests = file_digests(&paths, home)?;
        let mut hasher = Hasher::new("weights/1");
        for (path, digest) in paths.into_iter().zip(digests) {
            let name = path.file_name().unwrap_or_default();
            hasher = hasher.field(&name.to_string_lossy(), digest.as_bytes());
        }
        if let Some(adapter) = &self.adapter {
            hasher = hasher.field("adapter", adapter.digest(home)?.as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Loads one tensor in `dtype` onto `device`.
    pub(super) fn load(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
        let tensor = self.read(name)?;
        let placed = tensor.to_dtype(dtype).and_then(|tensor| tensor.to_device(device));
        placed.map_err(ModelError::forward("weights"))
    }

    /// Reads one tensor as it is on disk, an adapter's change applied.
    pub(super) fn read(&self, plain: &str) -> Result<Tensor, ModelError> {
        let name = format!("{}{plain}", self.prefix);
        let (path, whole) = match &self.store {
            Store::Gguf(gguf) => (gguf.path(), gguf.load(&name)),
            Store::Safetensors(files) => {
                let (path, map) = self.holder(files, &name)?;
                let own = || map.load(&name, &Device::Cpu);
                (path, self.adapter.as_ref().map_or_else(own, |adapter| adapter.apply(plain, own)))
            }
        };
        whole.map_err(|source| ModelError::Weights { path: path.to_owned(), source })
    }

    fn find_prefix(&self, description: &Description) -> Result<&'static str, ModelError> {
        let names = description.names;
        let Store::Safetensors(files) = &self.store else { return Ok("") };
        let has = |prefix: &&&str| self.holder(files, &format!("{prefix}{}", names.tokens)).is_ok();
        names.prefixes.iter().find(has).copied().ok_or_else(|| ModelError::NoTensor {
            folder: self.folder.clone(),
            tensor: format!("{}{}", names.prefixes.first().unwrap_or(&""), names.tokens),
        })
    }

    fn check(&self, name: &str, wanted: &[usize]) -> Result<(), ModelError> {
        if self.adapter.as_ref().is_some_and(|adapter| adapter.replaces(name)) {
            return Ok(());
        }
        let name = format!("{}{name}", self.prefix);
        let files = match &self.store {
            Store::Safetensors(files) => files,
            Store::Gguf(gguf) => {
                let path = || gguf.path().to_owned();
                return match gguf.shape(&name) {
                    None => Err(ModelError::NoTensor { folder: path(), tensor: name }),
                    Some(found) if found != wanted => {
                        Err(ModelError::Shape { path: path(), tensor: name, found, wanted: wanted.to_vec() })
                    }
                    Some(_) => Ok(()),
                };
            }
        };
        let (path, map) = self.holder(files, &name)?;
        let view = map.get(&name).map_err(|source| ModelError::Weights { path: path.to_owned(), source })?;
        if view.shape() != wanted {
            let (found, wanted) = (view.shape().to_vec(), wanted.to_vec());
            return Err(ModelError::Shape { path: path.to_owned(), tensor: name, found, wanted });
        }
        plain_numbers(path, &name, view.dtype())
    }

    fn holder<'a>(
        &self,
        files: &'a [(PathBuf, MmapedSafetensors)],
        name: &str,
    ) -> Result<(&'a Path, &'a MmapedSafetensors), ModelError> {
        let mut files = files.iter().map(|(path, map)| (path.as_path(), map));
        files
            .find(|(_, map)| map.get(name).is_ok())
            .ok_or_else(|| ModelError::NoTensor { folder: self.folder.clone(), tensor: name.to_owned() })
    }
}

/// Refuses quantized values, which stand for others only together with scales that nothing here reads.
pub(super) fn plain_numbers(path: &Path, tensor: &str, dtype: Dtype) -> Result<(), ModelError> {
    if matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
        return Ok(());
    }
    let (tensor, found) = (tensor.to_owned(), format!("{dtype:?}"));
    Err(ModelError::TensorType { path: path.to_owned(), tensor, found, wanted: "F32, F16 or BF16" })
}

/// Maps a safetensors file into memory.
pub(super) fn map(path: &Path) -> Result<MmapedSafetensors, ModelError> {
    // SAFETY: the map is only read. A file that another program shortens while it is mapped would end this
    // process with a bus error, as it does for every program that maps its weights.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature")]
    let map = unsafe { MmapedSafetensors::new(path) };
    map.map_err(|source| ModelError::Weights { path: path.to_owned(), source })
}

/// One file, or the shards that the index names, in order and without repeats.
pub(super) fn find(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    if !index.is_file() {
        return Err(no_weights(folder));
    }
    let names = shards(&index)?;
    names
        .into_iter()
        .map(|shard| {
            let path = folder.join(&shard);
            if path.is_file() { Ok(path) } else { Err(ModelError::NoShard { index: index.clone(), shard }) }
        })
        .collect()
}

/// File names in an index, sorted.
pub(super) fn shards(index: &Path) -> Result<Vec<String>, ModelError> {
    let json = super::folder::read_json(index)?;
    let wrong = |found: String| ModelError::Config {
        path: index.to_owned(),
        key: "weight_map".to_owned(),
        found,
        wanted: "a table from tensor names to file names",
    };
    let map = json.get("weight_map").and_then(Value::as_object).ok_or_else(|| wrong("missing".to_owned()))?;
    let mut names = Vec::with_capacity(map.len());
    for file in map.values() {
        let plain = file.as_str().filter(|name| Path::new(name).components().count() == 1);
        names.push(plain.ok_or_else(|| wrong(file.to_string()))?.to_owned());
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn no_weights(folder: &Path) -> ModelError {
    for file in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        if folder.join(file).is_file() {
            return ModelError::Pickled { folder: folder.to_owned(), file: file.to_owned() };
        }
    }
    ModelError::NoWeights { folder: folder.to_owned() }
}
