//! Embeds a sample of cached texts again and holds the cache to it.

use std::ops::ControlFlow;

use crate::cache::{Key, Store};
use crate::embeddings::{Embeddings, relative_distance};
use crate::error::Error;
use crate::plan::Plan;

/// How a model's cached vectors compare with fresh ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub model: String,
    /// Vectors compared; 0 when nothing was cached.
    pub vectors: usize,
    /// Largest distance between a cached vector and a fresh one, relative to the fresh one's length.
    pub worst: f64,
}

/// Compares up to `sample` cached texts of each model of a plan with what the model gives for them.
///
/// # Errors
/// A cache that cannot be read, an encoder that fails.
pub fn verify(plan: &Plan, store: &Store, sample: usize) -> Result<Vec<Verified>, Error> {
    (0..plan.models.len()).map(|model| verify_model(plan, model, store, sample)).collect()
}

fn verify_model(plan: &Plan, model: usize, store: &Store, sample: usize) -> Result<Verified, Error> {
    let work = &plan.models[model];
    let shelf = work.shelf(store)?;
    let found = work.stored(&shelf)?;
    let rows = &work.rows;
    let mut verified = Verified { model: plan.spec.models[model].id.clone(), vectors: 0, worst: 0.0 };
    for (read, readout) in work.reads().enumerate() {
        let naming = readout.naming();
        let key = |row: usize| naming.key(rows.row(row));
        let mut cached: Vec<usize> =
            (0..rows.len()).filter(|&row| work.is_read(row, read) && found.contains(&key(row))).collect();
        // Keys are digests: their order is a draw without a generator.
        cached.sort_by_key(|&row| key(row));
        cached.truncate(sample);
        let keys: Vec<Key> = cached.iter().map(|&row| key(row)).collect();
        if keys.is_empty() {
            continue;
        }
        let stored = shelf.read(&found, &keys, readout.dim)?;
        let texts = work.some(&cached);
        let mut failed = None;
        work.encoder.encode(&texts, std::slice::from_ref(readout), &mut |batch| {
            for (&row, fresh) in batch.rows.iter().zip(batch.embeddings.iter().flat_map(Embeddings::rows)) {
                verified.vectors += 1;
                verified.worst = verified.worst.max(relative_distance(stored.row(row), fresh));
            }
            failed = batch.failed.into_iter().next().map(|(_, error)| error);
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    Ok(verified)
}
