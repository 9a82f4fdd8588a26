//! The [`Encoder`] of a model folder: weights loaded at first use, batches by token budget, shared beginnings.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::devices::{self, Share};
use super::passes::Passes;
use super::schedule::{Schedule, Sharing};
use super::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Resolved, Row, Special, kept};
use crate::digest::Hasher;
use crate::model::{
    self, Adapter, Backend, Folder, Gguf, ModelError, Pooled, Tap, Tokenizer, Weights, available_memory, fits, peak_bytes,
    tokens_per_batch,
};
use crate::prompt::{Template, Truncation};
use crate::spec::{DType, Model, Readout, Source};

/// Raised whenever the same weights and ids give other vectors than before, so that no cache serves the old ones.
const ENGINE: u32 = 2;

/// Positions that are not divided among workers: products of fewer rows take no less time.
const SMALL_BATCH: usize = 64;

/// The folders that a model is made of.
pub(super) struct Files {
    pub model: Found,
    pub adapter: Option<Found>,
}

/// A folder, and the commit of the hub's repository that it is from.
pub(super) struct Found {
    pub folder: PathBuf,
    pub commit: Option<String>,
}

/// A model folder as an encoder.
pub(super) struct Transformer {
    card: Card,
    folder: Folder,
    tokenizer: Tokenizer,
    weights: Weights,
    backend: Backend,
    dtype: DType,
    /// The weights on each device, or why they cannot be loaded, once that was tried.
    loaded: Mutex<Option<Loaded>>,
}

type Loaded = Result<Arc<Vec<OnDevice>>, Arc<ModelError>>;

/// The model on one of its devices.
struct OnDevice {
    model: model::Transformer,
    /// Memory that is free beside it, where the device says.
    free: Option<u64>,
}

impl Transformer {
    /// Reads everything but the weights, and checks that the weights are there in their shapes.
    pub fn open(model: &Model, files: &Files, home: &Path) -> Result<Self, ModelError> {
        let gguf = matches!(model.source, Source::Gguf(_)).then(|| Gguf::open(&files.model.folder)).transpose()?;
        let mut folder = gguf.as_ref().map_or_else(|| Folder::open(&files.model.folder), Gguf::folder)?;
        let adapter = files.adapter.as_ref().map(|found| Adapter::open(&found.folder, &folder.description)).transpose()?;
        if let Some(vocabulary) = adapter.as_ref().and_then(Adapter::vocabulary) {
            folder.description.vocabulary = vocabulary;
        }
        let limit = match model.max_tokens {
            None => folder.max_tokens,
            Some(asked) if (1..=folder.description.max_positions).contains(&asked) => asked,
            Some(asked) => return Err(ModelError::MaxTokens { asked, limit: folder.description.max_positions }),
        };
        let backend = Backend::open(model.device)?;
        let own = adapter.as_ref().and_then(Adapter::tokenizer);
        let tokenizer = match &gguf {
            Some(gguf) => gguf.tokenizer(limit)?,
            None => Tokenizer::open(own.unwrap_or(&folder.path), folder.description.architecture, limit)?,
        };
        let weights = match gguf {
            Some(gguf) => Weights::of_gguf(gguf, &folder.description)?,
            None => Weights::open(&folder.path, &folder.description, adapter)?,
        };
        let identity = Hasher::new("model/1")
            .json("description", &folder.description)
            .field("weights", weights.digest(home)?.as_bytes())
            .field("tokenizer", tokenizer.digest().as_bytes())
            .finish();
        let about = json!({
            "engine": ENGINE,
            "model": folder.description,
            "identity": identity,
            "dtype": model.dtype,
            "device": backend.kind(),
        });
        let card = Card {
            digest: Hasher::new("encoder/1").json("about", &about).finish(),
            identity,
            name: match &model.adapter {
                Some(adapter) => format!("{} with {adapter}", model.source),
                None => model.source.to_string(),
            },
            about,
            device: backend.name().to_owned(),
            max_tokens: limit,
            weights_bytes: weights.bytes(),
            parameters: folder.description.parameters(),
            blocks: Some(folder.description.layers),
            commit: files.model.commit.clone(),
            adapter_commit: files.adapter.as_ref().and_then(|adapter| adapter.commit.clone()),
        };
        Ok(Self { card, folder, tokenizer, weights, backend, dtype: model.dtype, loaded: Mutex::new(None) })
    }

    fn models(&self) -> Result<Arc<Vec<OnDevice>>, EmbedError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let load = || {
            // What a GPU has left is known to its driver alone, which says so itself.
            if self.backend.kind().starts_with("cpu") {
                fits(self.cost(u64::MAX).peak_bytes, available_memory())?;
            }
            let on = |device: Backend| {
                let model = model::Transformer::load(&self.weights, &self.folder.description, self.dtype, &device)?;
                Ok(OnDevice { model, free: device.free_memory() })
            };
            self.backend.each().map(on).collect::<Result<Vec<_>, _>>()
        };
        loaded.get_or_insert_with(|| load().map(Arc::new).map_err(Arc::new)).clone().map_err(EmbedError::Model)
    }

    fn check(&self, rows: &[Row<'_>], readouts: &[Resolved]) -> Result<(), EmbedError> {
        let vocabulary = self.folder.description.vocabulary;
        for (row, text) in rows.iter().enumerate() {
            let (ids, model) = (text.ids, || self.card.name.clone());
            if ids.is_empty() {
                return Err(EmbedError::EmptyRow { row });
            }
            if ids.len() > self.card.max_tokens {
                let (tokens, limit) = (ids.len(), self.card.max_tokens);
                return Err(EmbedError::RowTooLong { row, tokens, limit, model: model() });
            }
            if let Some(&id) = ids.iter().find(|id| usize::try_from(**id).is_ok_and(|id| id >= vocabulary)) {
                return Err(EmbedError::UnknownToken { row, id, last: vocabulary - 1, model: model() });
            }
            if let Some(slot) = readouts.iter().filter_map(|readout| readout.span).find(|slot| text.slot(*slot).is_none()) {
                return Err(EmbedError::NoSlot { row, slot });
            }
        }
        Ok(())
    }

    /// Rows of a causal model share what they begin with.
    fn sharing(&self) -> Sharing {
        match (self.folder.description.attention.causal, self.folder.description.long_after()) {
            (false, _) => Sharing::Never,
            (true, None) => Sharing::All,
            (true, Some(tokens)) => Sharing::Apart { after: tokens },
        }
    }

    /// Most positions of a batch: a share of the rows for each worker, as far as memory allows; of what is free, where known.
    fn budget(&self, rows: &[Row<'_>], free: Option<u64>) -> usize {
        let (workers, tokens) = (self.backend.workers(), rows.iter().map(|row| row.ids.len()).sum::<usize>());
        let most = tokens_per_batch(&self.folder.description, workers, free);
        if workers == 1 { most } else { tokens.div_ceil(workers).clamp(SMALL_BATCH.min(most), most) }
    }

    fn tap(&self, readout: &Resolved) -> Result<Tap, EmbedError> {
        let pool = self.folder.pooling(readout.pool)?.pool;
        Ok(Tap { layer: readout.layer, norm: readout.norm, pool, span: readout.span })
    }
}

impl Encoder for Transformer {
    fn card(&self) -> &Card {
        &self.card
    }

    fn readout(&self, readout: &Readout) -> Result<Resolved, EmbedError> {
        let description = &self.folder.description;
        let last = description.layers;
        let layer = readout.layer.of(last).ok_or_else(|| EmbedError::NoSuchLayer {
            readout: readout.id.clone(),
            model: self.card.name.clone(),
            layer: readout.layer,
            last,
        })?;
        if readout.norm && !description.final_norm {
            let (readout, model) = (readout.id.clone(), self.card.name.clone());
            return Err(EmbedError::NoFinalNorm { readout, model });
        }
        let Pooled { pool, normalize } = self.folder.pooling(readout.pool)?;
        let dim = description.width(layer);
        Ok(Resolved {
            dim,
            kept: kept(readout, dim, &self.card)?,
            layer,
            pool: pool.into(),
            span: readout.span,
            norm: readout.norm && layer < last,
            normalize: readout.normalize || normalize,
        })
    }

    fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, EmbedError> {
        Ok(self.tokenizer.prepare(template, text, truncate)?)
    }

    fn encode(
        &self,
        rows: &[Row<'_>],
        readouts: &[Resolved],
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError> {
        if rows.is_empty() || readouts.is_empty() {
            return Ok(());
        }
        self.check(rows, readouts)?;
        let taps: Vec<Tap> = readouts.iter().map(|readout| self.tap(readout)).collect::<Result<_, _>>()?;
        let (models, dtype) = (self.models()?, self.dtype.to_string());
        let (workers, sharing) = (self.backend.workers(), self.sharing());
        let (readouts, taps, dtype) = (readouts, &taps[..], &dtype[..]);
        if let [OnDevice { model, free }] = &models[..] {
            let budget = self.budget(rows, *free);
            Passes { model, rows, readouts, taps, sharing, budget, dtype }.run(workers, emit);
            return Ok(());
        }
        let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids).collect();
        let parts = devices::divide(&ids, models.len());
        let own: Vec<Vec<Row<'_>>> = parts.iter().map(|part| part.iter().map(|&row| rows[row]).collect()).collect();
        let mut shares = Vec::with_capacity(models.len());
        for ((OnDevice { model, free }, part), rows) in models.iter().zip(&parts).zip(&own) {
            let budget = self.budget(rows, *free);
            let passes = Passes { model, rows, readouts, taps, sharing, budget, dtype };
            shares.push(Share { passes, rows: part, workers });
        }
        devices::run(&shares, emit);
        Ok(())
    }

    fn piece(&self, id: u32) -> String {
        self.tokenizer.piece(id)
    }

    fn special(&self) -> Option<Special> {
        self.tokenizer.special().ok()
    }

    fn positions(&self, rows: &[Row<'_>]) -> u64 {
        let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids).collect();
        Schedule::new(&ids, self.sharing(), self.budget(rows, None)).positions()
    }

    fn cost(&self, tokens: u64) -> Cost {
        let description = &self.folder.description;
        let weights = description.block_weights().saturating_mul(description.layers as u64);
        let workers = self.backend.workers();
        let batch = tokens.min((workers * tokens_per_batch(description, workers, None)) as u64);
        Cost { flops: weights.saturating_mul(2).saturating_mul(tokens), peak_bytes: peak_bytes(description, self.dtype, batch) }
    }

    /// A failure to load stays remembered: another try would fail in the same way.
    fn release(&self) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.take_if(|loaded| loaded.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Device, Layer, Pooling};

    /// The encoder of a fixture.
    fn fixture(name: &str) -> Transformer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let source = Source::Path(folder.clone());
        let model =
            Model { id: "m".to_owned(), source, dtype: DType::F32, device: Device::Cpu, max_tokens: None, adapter: None };
        let home = tempfile::tempdir().expect("temporary folder");
        let files = Files { model: Found { folder, commit: None }, adapter: None };
        Transformer::open(&model, &files, home.path()).expect("the fixture")
    }

    fn readout(pool: Pooling) -> Readout {
        Readout::new("r", Layer::At(-1), pool)
    }

    #[test]
    fn several_devices_give_every_row_once_and_as_one_does() {
        let rows: Vec<Vec<u32>> = (0..300_u32).map(|i| (0..=i % 61).map(|j| (i / 7 + j * j) % 300).collect()).collect();
        let rows: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
        let vectors = |encoder: &Transformer| {
            let readouts = [Pooling::Last, Pooling::Mean].map(|pool| encoder.readout(&readout(pool)).expect("a readout"));
            let mut found = vec![None; rows.len()];
            encoder
                .encode(&rows, &readouts, &mut |batch| {
                    assert!(batch.failed.is_empty());
                    for (at, &row) in batch.rows.iter().enumerate() {
                        let both = [0, 1].map(|readout: usize| batch.embeddings[readout].row(at).to_vec());
                        assert!(found[row].replace(both).is_none(), "row {row} came twice");
                    }
                    ControlFlow::Continue(())
                })
                .expect("rows that can be embedded");
            found
        };
        for name in ["llama", "phi3_long", "bert"] {
            let one = fixture(name);
            let wanted = vectors(&one);
            assert!(wanted.iter().all(Option::is_some));
            for devices in [2, 3] {
                let several = Transformer { backend: Backend::cpus(devices), ..fixture(name) };
                assert_eq!(vectors(&several), wanted, "{name} on {devices} devices");
                let mut calls = 0;
                let readout = several.readout(&readout(Pooling::Last)).expect("a readout");
                let ended = several.encode(&rows, &[readout], &mut |_| {
                    calls += 1;
                    ControlFlow::Break(())
                });
                assert!(ended.is_ok() && calls == 1, "an early end is heard by all of them");
            }
        }
    }

    #[test]
    fn weights_that_cannot_be_loaded_are_not_tried_again() {
        let encoder = fixture("llama");
        let folder = encoder.folder.path.clone();
        let failure = Arc::new(ModelError::NoWeights { folder });
        *encoder.loaded.lock().expect("free") = Some(Err(Arc::clone(&failure)));
        let readout = encoder.readout(&readout(Pooling::Last)).expect("a readout");
        for _ in 0..2 {
            let outcome =
                encoder.encode(&[Row::from(&[1, 2][..])], std::slice::from_ref(&readout), &mut |_| ControlFlow::Continue(()));
            assert!(matches!(outcome, Err(EmbedError::Model(error)) if Arc::ptr_eq(&error, &failure)));
            encoder.release();
        }
    }
}
