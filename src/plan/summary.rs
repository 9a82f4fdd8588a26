//! What `bench plan` prints: the work ahead in numbers, with what the cache already holds.

use rayon::prelude::*;

use super::{ModelWork, Plan, Texts};
use crate::cache::{CacheError, Found, Key, Shelf, Store};
use crate::embed::{Cost, Resolved};

/// The work a plan means.
#[derive(Clone, Debug)]
pub struct Summary {
    pub cells: usize,
    pub models: Vec<ModelSummary>,
}

/// The work for one model.
#[derive(Clone, Debug)]
pub struct ModelSummary {
    pub id: String,
    pub device: String,
    /// Texts over all prompts, slices and label sets, as if nothing were shared.
    pub texts: usize,
    /// Unique token ids among them.
    pub unique: usize,
    /// Tokens of the unique texts.
    pub tokens: u64,
    /// Unique texts whose every readout is cached.
    pub cached: usize,
    /// Token positions still to compute, a shared beginning counted once.
    pub positions: u64,
    pub cost: Cost,
    pub cuts: Vec<PromptCuts>,
}

/// How truncation meets one prompt on one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptCuts {
    pub prompt: String,
    pub slice: String,
    pub samples: usize,
    /// Samples that lose tokens, over all views.
    pub cut: usize,
    /// Tokens of the longest rendered text, after cutting.
    pub longest: usize,
}

impl Plan {
    /// Counts the work, given what `store` holds.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub fn summary(&self, store: &Store) -> Result<Summary, CacheError> {
        let models = (0..self.models.len()).map(|model| self.model_summary(model, store)).collect::<Result<_, _>>()?;
        Ok(Summary { cells: self.cells.len(), models })
    }

    fn model_summary(&self, model: usize, store: &Store) -> Result<ModelSummary, CacheError> {
        let work = &self.models[model];
        let missing = work.missing(&work.stored(&work.shelf(store)?)?);
        let positions = work.encoder.positions(&work.ids(&missing));
        Ok(ModelSummary {
            id: self.spec.models[model].id.clone(),
            device: work.encoder.card().device.clone(),
            texts: work.blocks.values().flatten().map(|block| block.rows.len()).sum(),
            unique: work.rows.len(),
            tokens: work.rows.tokens(),
            cached: work.rows.len() - missing.len(),
            positions,
            cost: work.encoder.cost(positions),
            cuts: self.cuts(work),
        })
    }

    fn cuts(&self, work: &ModelWork) -> Vec<PromptCuts> {
        let mut cuts = Vec::new();
        for (set, views) in &work.blocks {
            let Texts::Samples { prompt, slice } = *set else { continue };
            let samples = self.slices[slice].samples.len();
            let cut = (0..samples)
                .filter(|&i| views.iter().any(|view| view.of_sample(i, samples).any(|at| view.cut[at] > 0)))
                .count();
            let lengths = views.iter().flat_map(|view| view.rows.iter().map(|&row| work.rows[row].len()));
            cuts.push(PromptCuts {
                prompt: self.spec.prompts[prompt].id.clone(),
                slice: self.spec.slices[slice].id.clone(),
                samples,
                cut,
                longest: lengths.max().unwrap_or(0),
            });
        }
        cuts
    }
}

impl ModelWork {
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
        let keys = self.keys();
        let rows: Vec<&[u32]> = self.rows.iter().collect();
        let wanted: Vec<Key> = rows.par_iter().flat_map_iter(|row| keys.iter().map(|key| Key::new(key, row))).collect();
        shelf.find(&wanted)
    }

    /// Rows that lack a vector for some readout, in order.
    pub fn missing(&self, found: &Found) -> Vec<usize> {
        let keys = self.keys();
        let lacks = |row: &[u32]| keys.iter().any(|key| !found.contains(&Key::new(key, row)));
        (0..self.rows.len()).into_par_iter().filter(|&row| lacks(&self.rows[row])).collect()
    }

    /// The ids of some rows.
    pub fn ids(&self, rows: &[usize]) -> Vec<&[u32]> {
        rows.iter().map(|&row| &self.rows[row]).collect()
    }

    fn keys(&self) -> Vec<String> {
        self.readouts.values().map(Resolved::key).collect()
    }
}
