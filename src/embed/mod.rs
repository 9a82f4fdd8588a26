//! Texts to vectors: the small [`Encoder`] contract in front of everything expensive, and how to open one.

mod char_ngram;
mod characters;
mod devices;
mod passes;
mod remote;
mod schedule;
mod transformer;

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::cache::Key;
use crate::dataset::{Catalog, DatasetError};
use crate::digest::Digest;
use crate::embeddings::Embeddings;
use crate::http::Network;
use crate::model::{Hub, ModelError};
use crate::observe::Observer;
use crate::prompt::{Template, Truncation};
use crate::spec::{Layer, Model, Pooling, Readout, Source};

use transformer::{Files, Found};

pub use crate::model::{Prepared, Special, available_memory, measured_rate};
pub use remote::{EndpointError, WrongAnswer};

/// Turns rendered texts into vectors. Everything but [`Encoder::encode`] is cheap and loads no weights.
pub trait Encoder: Send + Sync {
    /// What this encoder is.
    fn card(&self) -> &Card;

    /// Checks a readout against this encoder and resolves what it leaves open.
    ///
    /// # Errors
    /// A layer, norm or pooling that this encoder does not have.
    fn readout(&self, readout: &Readout) -> Result<Resolved, EmbedError>;

    /// Renders `text` into `template` and tokenises the whole, cutting only the text where it is too long.
    ///
    /// # Errors
    /// A fixed text that does not fit, or a text that does not fit under [`Truncation::Error`].
    fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, EmbedError>;

    /// Embeds `rows`; what they begin with in common is computed once.
    ///
    /// `emit` receives every row exactly once, batch by batch, and may end the work early. Vectors are as the model gives
    /// them: `Resolved::normalize` is for whoever hands them out.
    ///
    /// Determinism: on the CPU the bits of a vector depend on its ids, and of a readout with a span on that, alone; elsewhere the same rows give the same vectors
    /// within 1e-5 (f32), whatever they are batched with. The order of batches is not fixed.
    ///
    /// # Errors
    /// Weights that cannot be loaded, tried once and the same error from then on, and a row without tokens, with an unknown id
    /// or without the slot that a readout is of. What goes wrong with some rows only is in [`Batch::failed`].
    fn encode(
        &self,
        rows: &[Row<'_>],
        readouts: &[Resolved],
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError>;

    /// What one token stands for, for people.
    fn piece(&self, id: u32) -> String;

    /// The special tokens around every text; `None` where nothing is known of tokens.
    fn special(&self) -> Option<Special> {
        None
    }

    /// Token positions that [`Encoder::encode`] computes for these rows.
    fn positions(&self, rows: &[Row<'_>]) -> u64;

    /// What computing so many token positions takes, estimated without weights.
    fn cost(&self, tokens: u64) -> Cost;

    /// Lets go of what [`Encoder::encode`] loaded, to make room for another encoder; it is loaded again where it is needed.
    fn release(&self) {}
}

/// A text as an encoder takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Token ids of the whole rendered text.
    pub ids: &'a [u32],
    /// Which of them stand in each slot; may be left out where no readout has a span.
    pub slots: &'a [Range<usize>],
}

impl<'a> From<&'a [u32]> for Row<'a> {
    fn from(ids: &'a [u32]) -> Self {
        Self { ids, slots: &[] }
    }
}

impl Row<'_> {
    /// The tokens of a slot, counted from 1; None where it is not known or has none.
    pub fn slot(&self, slot: usize) -> Option<Range<usize>> {
        let range = self.slots.get(slot.checked_sub(1)?)?.clone();
        (range.start < range.end && range.end <= self.ids.len()).then_some(range)
    }
}

/// What an encoder is, as far as its vectors depend on it.
#[derive(Clone, Debug)]
pub struct Card {
    /// Digest of everything in `about`: equal digests give equal vectors for equal ids and readouts.
    pub digest: Digest,
    /// Digest of what the model is: configuration, weights, tokenizer. Unlike `digest`, it is the same for every device,
    /// dtype and version of this program; but char-ngram has its algorithm for a model, so that its version counts.
    pub identity: Digest,
    /// Where it comes from, as a spec writes it.
    pub name: String,
    /// The parts of the digest by name, for people and cache metadata.
    pub about: Value,
    /// Where it runs, for people: `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Most tokens of one rendered text, special tokens included.
    pub max_tokens: usize,
    /// Size of the weights on disk.
    pub weights_bytes: u64,
    /// Number of weights that a forward pass uses; 0 for an encoder that has none.
    pub parameters: u64,
    /// Number of blocks, so that hidden states are 0 to this one; None for an encoder without hidden states.
    pub blocks: Option<usize>,
    /// The commit of the hub's repository that it is from.
    pub commit: Option<String>,
    /// That of its adapter.
    pub adapter_commit: Option<String>,
}

/// A readout as one encoder understands it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Resolved {
    /// Width of the vectors as they are computed and cached.
    pub dim: usize,
    /// How many of their coordinates are handed out, from the first on.
    pub kept: usize,
    /// Hidden state counted from 0, the embeddings.
    pub layer: usize,
    /// [`Pooling::Own`] only for an encoder that knows no other: char-ngram, and servers.
    pub pool: Pooling,
    /// The slot whose tokens are pooled, from 1; the whole row when absent.
    pub span: Option<usize>,
    /// The final norm is applied to an inner layer's state. False for the last state, which has it anyway.
    pub norm: bool,
    /// Vectors are to be scaled to unit length once they are fused: the readout asks for it, or leaves pooling to a folder
    /// that does so, which `normalize = false` does not undo. Not part of the key: the cache keeps them as they are.
    pub normalize: bool,
}

impl Resolved {
    /// Canonical text of all that is read: two readouts of one encoder hand out the same vectors, before scaling, exactly
    /// when these are equal.
    pub fn content(&self) -> String {
        let kept = if self.kept < self.dim { format!(";dim={}", self.kept) } else { String::new() };
        self.key() + &kept
    }

    /// The same of what is computed, before any of its coordinates are dropped.
    pub fn key(&self) -> String {
        let span = self.span.map_or_else(String::new, |span| format!(";span={span}"));
        format!("layer={};norm={};pool={}{span}", self.layer, self.norm, self.pool)
    }

    /// How its vectors are named in the cache.
    pub fn naming(&self) -> Naming {
        Naming { whole: Self { span: None, ..self.clone() }.key(), span: self.span }
    }
}

/// Names the vectors of one readout: by a row's ids and, where the readout has a span, by the tokens that are pooled. Rows of
/// the same ids with the text in another place have vectors of their own.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The readout without its span.
    whole: String,
    span: Option<usize>,
}

impl Naming {
    /// What the vector of a row is filed under.
    pub fn key(&self, row: Row<'_>) -> Key {
        match self.span {
            None => Key::new(&self.whole, row.ids),
            Some(slot) => {
                let Range { start, end } = row.slot(slot).unwrap_or_default();
                Key::new(&format!("{};span={start}..{end}", self.whole), row.ids)
            }
        }
    }
}

/// Vectors of some rows.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Indices into the rows given to [`Encoder::encode`].
    pub rows: Vec<usize>,
    /// One matrix per readout, each with one vector per entry of `rows`.
    pub embeddings: Vec<Embeddings>,
    /// Rows that have no vectors, and why.
    pub failed: Vec<(usize, EmbedError)>,
    /// Token positions computed for this batch; a shared beginning counts once, in one of the batches that continue it.
    pub tokens: u64,
}

/// What a forward pass over some tokens takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of the linear layers.
    pub flops: u64,
    /// Memory at the peak: weights and one batch. Units: bytes.
    pub peak_bytes: u64,
}

/// Why texts cannot be embedded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EmbedError {
    /// Shared, because it may be the reason of many rows.
    #[error(transparent)]
    Model(Arc<ModelError>),
    #[error("the texts it is fitted on cannot be read: {source}")]
    Fit { source: Arc<DatasetError> },
    #[error(
        "readout `{readout}`: layer {layer} does not exist in {model}; its hidden states are 0 (the embeddings) to {last}, or -1 (= {last}) down to -{states}",
        states = last + 1
    )]
    NoSuchLayer { readout: String, model: String, layer: Layer, last: usize },
    #[error(
        "readout `{readout}`: `{key}` is {found}, but {model} has no layers; give it a readout with `pool = \"own\"` and nothing else"
    )]
    NoLayers { readout: String, key: &'static str, found: String, model: String },
    #[error(
        "readout `{readout}`: `{key}` is {found}, but {model} gives finished vectors alone; give it a readout with `pool = \"own\"` and nothing else"
    )]
    FinishedVectors { readout: String, key: &'static str, found: String, model: String },
    #[error("{model} has no chat format that this program could write, and the prompt has `chat = true`; leave `chat` out")]
    NoChat { model: String },
    #[error(transparent)]
    Endpoint(Arc<EndpointError>),
    #[error("readout `{readout}`: {model} has no final norm to apply; leave out `norm = true`")]
    NoFinalNorm { readout: String, model: String },
    #[error(
        "readout `{readout}`: `dim` is {dim}, but vectors of {model} have {width} coordinates there; ask for at most as many"
    )]
    TooWide { readout: String, dim: usize, width: usize, model: String },
    #[error(
        "nothing fills the slot `{{{slot}}}` of its prompt; write `fill = {{ {slot} = \"...\" }}`, or take a prompt without it"
    )]
    Unfilled { slot: String },
    #[error(
        "row {row} has no token of copy {slot} of the text, which is what is pooled: it was cut away, or the text is empty to the tokenizer"
    )]
    NoSlot { row: usize, slot: usize },
    #[error("row {row} has no tokens to embed; give the template some fixed text, or leave empty texts out")]
    EmptyRow { row: usize },
    #[error("row {row} has {tokens} tokens, and {model} takes at most {limit}")]
    RowTooLong { row: usize, tokens: usize, limit: usize, model: String },
    #[error("its vector (readout {readout}) is not finite: {}", way_out(dtype))]
    NotFinite { readout: String, dtype: String },
    #[error(
        "row {row} has token id {id}, and the vocabulary of {model} ends at {last}; its tokenizer belongs to another model"
    )]
    UnknownToken { row: usize, id: u32, last: usize, model: String },
}

impl From<ModelError> for EmbedError {
    fn from(error: ModelError) -> Self {
        Self::Model(Arc::new(error))
    }
}

impl From<EndpointError> for EmbedError {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(Arc::new(error))
    }
}

/// Why a vector is not finite, by the arithmetic it was computed in.
fn way_out(dtype: &str) -> &'static str {
    match dtype {
        "f32" => "the weights hold values that are not finite, or overflow; get the model again",
        "bf16" => "the weights hold values that are not finite; get the model again",
        _ => "f16 overflows in this model; use dtype = \"bf16\" or \"f32\"",
    }
}

/// What models are made from, beside what a spec says of them.
pub struct Sources<'a> {
    /// Texts that something is fitted on.
    pub catalog: &'a Catalog,
    /// Folder for digests of weights already computed.
    pub home: &'a Path,
    pub observer: &'a dyn Observer,
    pub network: Network,
}

/// Opens a model: reads its configuration and tokenizer and digests its weights, but does not load them. What is not here of
/// a repository of the hub is downloaded; a server whose width is unknown is asked for one vector.
///
/// # Errors
/// A folder, repository, server or fit set that cannot be used; the error says what is missing and what to do.
pub fn open(model: &Model, sources: &Sources<'_>) -> Result<Box<dyn Encoder>, EmbedError> {
    Ok(match &model.source {
        Source::Path(_) | Source::Gguf(_) | Source::Hub { .. } => {
            let adapter = model.adapter.as_ref().map(|adapter| folder(&adapter.into(), Hub::adapters, sources)).transpose()?;
            let files = Files { model: folder(&model.source, |hub| hub, sources)?, adapter };
            Box::new(transformer::Transformer::open(model, &files, sources.home)?)
        }
        Source::Server { url, endpoint } => Box::new(remote::Remote::open(url, endpoint)?),
        Source::CharNgram { fit } => {
            let texts = sources.catalog.texts(&fit.dataset, &fit.split);
            let texts = texts.map_err(|source| EmbedError::Fit { source: Arc::new(source) })?;
            Box::new(char_ngram::CharNgram::fit(&texts, fit))
        }
    })
}

/// How many coordinates of a vector a readout hands out.
fn kept(readout: &Readout, width: usize, card: &Card) -> Result<usize, EmbedError> {
    match readout.dim {
        None => Ok(width),
        Some(dim) if dim <= width => Ok(dim),
        Some(dim) => Err(EmbedError::TooWide { readout: readout.id.clone(), dim, width, model: card.name.clone() }),
    }
}

/// The folder behind an address, fetched where it is not here.
fn folder(source: &Source, of: impl Fn(Hub) -> Hub, sources: &Sources<'_>) -> Result<Found, ModelError> {
    match source {
        Source::Hub { repo, revision } => {
            let hub = of(Hub::from_env(sources.network)?);
            let snapshot = hub.fetch(repo, revision.as_deref(), sources.observer)?;
            Ok(Found { folder: snapshot.folder, commit: Some(snapshot.commit) })
        }
        Source::Path(path) | Source::Gguf(path) => Ok(Found { folder: path.clone(), commit: None }),
        Source::Server { .. } | Source::CharNgram { .. } => Err(ModelError::NoFolder { path: source.to_string().into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_readouts_apart() {
        let readout = Resolved { dim: 64, kept: 64, layer: 4, pool: Pooling::Last, span: None, norm: false, normalize: true };
        assert_eq!(readout.key(), "layer=4;norm=false;pool=last");
        let scaled = Resolved { normalize: false, ..readout.clone() };
        assert_eq!(scaled.key(), readout.key());
        let normed = Resolved { norm: true, ..readout.clone() };
        assert_ne!(normed.key(), readout.key());
        let second = Resolved { span: Some(2), ..readout.clone() };
        assert_eq!(second.key(), "layer=4;norm=false;pool=last;span=2");
    }

    #[test]
    fn what_is_dropped_of_a_vector_is_another_readout_of_the_same_vector() {
        let whole = Resolved { dim: 64, kept: 64, layer: 4, pool: Pooling::Mean, span: None, norm: false, normalize: true };
        let cut = Resolved { kept: 8, ..whole.clone() };
        assert_eq!((whole.content(), cut.content()), (whole.key(), format!("{};dim=8", whole.key())));
        let row = Row::from(&[1, 2, 3][..]);
        assert_eq!(whole.naming().key(row), cut.naming().key(row));
    }

    #[test]
    fn equal_ids_with_the_text_in_another_place_never_share_a_vector() {
        let whole = Resolved { dim: 64, kept: 64, layer: 4, pool: Pooling::Mean, span: None, norm: false, normalize: true };
        let second = Resolved { span: Some(2), ..whole.clone() };
        let ids = [5, 6, 7, 8];
        let (early, late) = ([0..1, 1..2], [0..1, 2..4]);
        let [early, late] = [&early, &late].map(|slots| Row { ids: &ids, slots });
        assert_ne!(second.naming().key(early), second.naming().key(late));
        assert_ne!(second.naming().key(early), whole.naming().key(early));
        // Without a span the place of the text does not matter.
        assert_eq!(whole.naming().key(early), whole.naming().key(late));
        assert_eq!(whole.naming().key(early), Key::new(&whole.key(), &ids));
        // By its tokens, not by its number: the first slot of one prompt may be the second of another.
        let first = Resolved { span: Some(1), ..whole };
        let place = 2..4;
        let other = Row { ids: &ids, slots: std::slice::from_ref(&place) };
        assert_eq!(first.naming().key(other), second.naming().key(late));
        assert_eq!((early.slot(0), early.slot(2), early.slot(3)), (None, Some(1..2), None));
    }
}
