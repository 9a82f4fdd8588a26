//! What `bench plan` prints: the work ahead in numbers, with what the cache already holds.

use super::{ModelWork, Plan, Texts};
use crate::cache::{CacheError, Store};
use crate::embed::Cost;

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
    /// Unique texts of which all that is read is cached.
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
        let groups = work.together(&missing);
        let positions = groups.iter().map(|(_, rows)| work.encoder.positions(&work.some(rows))).sum();
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
            let (Texts::Samples { prompt, slice } | Texts::Documents { prompt, slice }) = *set else { continue };
            let samples = self.slices[slice].samples.len();
            let cut = (0..samples)
                .filter(|&i| views.iter().any(|view| view.of_sample(i, samples).any(|at| view.cut[at] > 0)))
                .count();
            let lengths = views.iter().flat_map(|view| view.rows.iter().map(|&row| work.rows[row].len()));
            cuts.push(PromptCuts {
                prompt: self.spec.prompts[prompt].id.clone(),
                slice: self.slices[slice].id.clone(),
                samples,
                cut,
                longest: lengths.max().unwrap_or(0),
            });
        }
        cuts
    }
}
