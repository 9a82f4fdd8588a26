//! What one model has to embed for a grid: its unique rows, what is read of each, and what cells make of that.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use rayon::prelude::*;

use super::texts::{Block, Rows};
use super::{Texts, Unready};
use crate::cache::{CacheError, Found, Key, Shelf, Store};
use crate::embed::{EmbedError, Encoder, Naming, Prepared, Resolved, Row};
use crate::embeddings::Embeddings;
use crate::prompt::{Fuse, Prompt};
use crate::spec::Readout;

/// Rows whose keys are collected at a time.
const PIECE: usize = 1 << 16;

/// All that one model embeds for a grid.
pub struct ModelWork {
    pub encoder: Box<dyn Encoder>,
    /// By index into the spec's readouts: those that some cell of this model reads.
    pub readouts: BTreeMap<usize, Resolved>,
    /// What a readout hands out of a set of texts.
    pub readings: BTreeMap<(usize, Texts), Reading>,
    /// Unique token ids over the whole grid, and which of the reads each is for.
    pub rows: Rows,
    /// For each set of texts, one block per view of its prompt.
    pub blocks: BTreeMap<Texts, Vec<Block>>,
    /// What is computed: by key, in the order they were first asked for.
    reads: IndexMap<String, Resolved>,
}

/// One vector for each text of a set: what every view of its prompt reads, fused.
#[derive(Clone, Debug)]
pub struct Reading {
    /// One for each view.
    pub views: Vec<Resolved>,
    pub fuse: Fuse,
    /// Vectors are to be scaled to unit length.
    pub normalize: bool,
}

impl Reading {
    /// What an encoder reads of texts under a prompt.
    ///
    /// # Errors
    /// A layer, norm or pooling that this encoder does not have.
    pub fn new(encoder: &dyn Encoder, prompt: &Prompt, readout: &Readout) -> Result<Self, EmbedError> {
        let views = prompt.views.iter().map(|view| encoder.readout(&readout.under(&view.differently)));
        let views: Vec<Resolved> = views.collect::<Result<_, _>>()?;
        let normalize = views.iter().any(|view| view.normalize);
        Ok(Self { views, fuse: prompt.fuse, normalize })
    }

    /// Whether the vectors of its only view are handed out as they are.
    pub fn is_plain(&self) -> bool {
        let scaled = matches!(self.fuse, Fuse::MeanNormalized | Fuse::MeanSimilarity);
        !scaled && matches!(self.views.as_slice(), [view] if view.kept == view.dim)
    }

    /// Why it cannot be had of texts under this prompt: a view has not so many copies of the text, or their vectors no mean.
    pub fn problem(&self, prompt: &Prompt, readout: &Readout) -> Option<Unready> {
        let (prompt_id, readout) = (prompt.id.clone(), readout.id.clone());
        for (view, read) in prompt.views.iter().zip(&self.views) {
            let slots = view.template.slots();
            if let Some(span) = read.span.filter(|span| *span > slots) {
                let choice = format!("prompt = \"{prompt_id}\"");
                return Some(Unready::Span { readout, prompt: prompt_id, span, slots, choice });
            }
        }
        let averaged = matches!(self.fuse, Fuse::Mean | Fuse::MeanNormalized);
        let mut widths = self.views.iter().map(|view| view.kept);
        let first = widths.next().filter(|_| averaged)?;
        let other = widths.find(|width| *width != first)?;
        Some(Unready::Widths { prompt: prompt_id, readout, first, other })
    }

    /// Canonical text of all that is read and how it is fused: that of the views' readout where they have the same, and their
    /// raw vectors are averaged.
    pub(super) fn content(&self) -> String {
        let mut views: Vec<String> = self.views.iter().map(Resolved::content).collect();
        views.dedup();
        let fuse = if self.fuse == Fuse::Mean { String::new() } else { format!(";fuse={}", self.fuse) };
        match views.as_slice() {
            [one] => format!("{one}{fuse}"),
            _ => self.views.iter().map(Resolved::content).collect::<Vec<_>>().join("+") + &fuse,
        }
    }

    /// Coordinates of a vector.
    pub fn width(&self) -> usize {
        let mut widths = self.views.iter().map(|view| view.kept);
        match self.fuse {
            Fuse::Mean | Fuse::MeanNormalized => widths.next().unwrap_or(0),
            Fuse::Concat | Fuse::MeanSimilarity => widths.sum(),
        }
    }

    /// Widths of the parts of a vector whose cosines are averaged: a single one, unless similarities are what is fused.
    pub fn parts(&self) -> Vec<usize> {
        match self.fuse {
            Fuse::MeanSimilarity => self.views.iter().map(|view| view.kept).collect(),
            Fuse::Mean | Fuse::MeanNormalized | Fuse::Concat => vec![self.width()],
        }
    }

    /// The vectors of some texts from those of each view, as the cache has them. Shape: `[texts, width]`.
    pub fn fuse(&self, views: Vec<Embeddings>) -> Embeddings {
        let cut = |(vectors, view): (Embeddings, &Resolved)| vectors.cut(view.kept);
        let mut views: Vec<Embeddings> = views.into_iter().zip(&self.views).map(cut).collect();
        if matches!(self.fuse, Fuse::MeanNormalized | Fuse::MeanSimilarity) {
            views.iter_mut().for_each(Embeddings::normalize);
        }
        let fused = match self.fuse {
            Fuse::Mean | Fuse::MeanNormalized => Embeddings::mean(views),
            Fuse::Concat | Fuse::MeanSimilarity => Embeddings::concat(&views),
        };
        fused.unwrap_or_else(|| Embeddings::new(self.width().max(1)))
    }
}

impl ModelWork {
    /// Nothing to embed yet.
    pub fn new(encoder: Box<dyn Encoder>) -> Self {
        Self {
            encoder,
            readouts: BTreeMap::new(),
            readings: BTreeMap::new(),
            rows: Rows::default(),
            blocks: BTreeMap::new(),
            reads: IndexMap::new(),
        }
    }

    /// Forgets all texts, but not the encoder.
    pub fn clear(&mut self) {
        self.readings.clear();
        self.rows = Rows::default();
        self.blocks.clear();
        self.reads.clear();
    }

    /// Adds texts behind those of a set, as each view of its prompt prepared them, for the readouts that some cell reads of it.
    pub fn add(&mut self, set: Texts, views: &[Vec<Prepared>], readings: BTreeMap<usize, Reading>) {
        let fresh = || views.iter().map(|_| Block::default()).collect();
        let mut blocks = self.blocks.remove(&set).unwrap_or_else(fresh);
        for (at, (prepared, block)) in views.iter().zip(&mut blocks).enumerate() {
            let asked: Vec<&Resolved> = readings.values().filter_map(|reading| reading.views.get(at)).collect();
            let reads: BTreeSet<usize> =
                asked.iter().map(|read| self.reads.insert_full(read.key(), (*read).clone()).0).collect();
            let spans = asked.iter().any(|read| read.span.is_some());
            self.rows.add(prepared, &reads, spans, block);
        }
        self.blocks.insert(set, blocks);
        self.readings.extend(readings.into_iter().map(|(readout, reading)| ((readout, set), reading)));
    }

    /// What is computed of some row.
    pub fn reads(&self) -> impl ExactSizeIterator<Item = &Resolved> {
        self.reads.values()
    }

    /// Whether this is computed of a row.
    pub fn is_read(&self, row: usize, read: usize) -> bool {
        self.rows.reads(self.rows.wish(row)).contains(&read)
    }

    /// This model's part of the cache.
    ///
    /// # Errors
    /// A folder that cannot be made or read.
    pub fn shelf(&self, store: &Store) -> Result<Shelf, CacheError> {
        let card = self.encoder.card();
        let about = serde_json::json!({ "name": card.name, "encoder": card.about });
        store.shelf(&card.digest, &about)
    }

    /// What a shelf holds of this model's vectors.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub fn stored(&self, shelf: &Shelf) -> Result<Found, CacheError> {
        let namings = self.namings();
        let reads = |row: usize| self.rows.reads(self.rows.wish(row)).len();
        let mut wanted: Vec<Key> = Vec::with_capacity((0..self.rows.len()).map(reads).sum());
        // Piece by piece: threads collect into lists of their own, which all together would take the room of the keys again.
        for first in (0..self.rows.len()).step_by(PIECE) {
            let keys = |row: usize| self.keys(row, &namings).collect::<Vec<Key>>();
            wanted.par_extend((first..self.rows.len().min(first + PIECE)).into_par_iter().flat_map_iter(keys));
        }
        shelf.find(wanted)
    }

    /// Rows that lack a vector that is read of them, in order.
    pub fn missing(&self, found: &Found) -> Vec<usize> {
        if found.is_complete() {
            return Vec::new();
        }
        let namings = self.namings();
        let lacks = |row: &usize| self.keys(*row, &namings).any(|key| !found.contains(&key));
        (0..self.rows.len()).into_par_iter().filter(lacks).collect()
    }

    /// Rows by what is read of them: those of which the same is read go through the model together.
    pub fn together(&self, rows: &[usize]) -> Vec<(Vec<Resolved>, Vec<usize>)> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &row in rows {
            groups.entry(self.rows.wish(row)).or_default().push(row);
        }
        let reads = |wish: usize| self.rows.reads(wish).iter().map(|&read| self.reads[read].clone()).collect();
        groups.into_iter().map(|(wish, rows)| (reads(wish), rows)).collect()
    }

    /// Some rows, as the encoder takes them.
    pub fn some(&self, rows: &[usize]) -> Vec<Row<'_>> {
        rows.iter().map(|&row| self.rows.row(row)).collect()
    }

    fn namings(&self) -> Vec<Naming> {
        self.reads().map(Resolved::naming).collect()
    }

    /// What all that is read of a row is filed under.
    fn keys<'a>(&'a self, row: usize, namings: &'a [Naming]) -> impl Iterator<Item = Key> + 'a {
        self.rows.reads(self.rows.wish(row)).iter().map(move |&read| namings[read].key(self.rows.row(row)))
    }
}
