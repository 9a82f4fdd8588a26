//! Scores a cell whose answers are learnt from another slice.

use super::Scoring;
use super::vectors::Stored;
use crate::cache::{CacheError, Found};
use crate::cause::told;
use crate::dataset::Slice;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::{Against, Cell, Texts};
use crate::results::Outcome;
use crate::spec::Task;
use crate::task::{self, Neighbours, Probe};

impl Scoring<'_> {
    /// Scores a cell that learns from other texts, given where its own lie.
    pub(super) fn learned(&self, cell: &Cell, texts: &Stored<'_>, found: &Found) -> Result<Outcome, Error> {
        let failed = |reason: String| Ok(Outcome::Failed { reason });
        let Against::Samples { with: Some(from) } = cell.scored else {
            return failed("it was planned without what it learns from".to_owned());
        };
        let others = Texts::Samples { prompt: cell.prompt, slice: from };
        let train = match self.desk.stored(others, cell.readout, found, self.failures) {
            Ok(train) => handed_out(&train)?,
            Err(reason) => return failed(reason),
        };
        let texts = handed_out(texts)?;
        let (slice, seed) = (&self.plan.slices[cell.slice], self.plan.spec.seed);
        let (known, gold) = (labels(&self.plan.slices[from]), labels(slice));
        let count = slice.labels.len();
        let evaluation = match *self.plan.task(cell) {
            Task::LinearProbe { c, draws, .. } => {
                let draws = draws.map(|draws| (draws.samples_per_label, draws.experiments));
                let probe = Probe { train: &train, known: &known, texts: &texts, gold: &gold, labels: count, c, draws, seed };
                task::linear_probe(&probe)
            }
            Task::Knn { k, .. } => {
                let among = Neighbours { train: &train, known: &known, texts: &texts, gold: &gold, labels: count, k, seed };
                task::nearest_neighbours(&among)
            }
            Task::LabelSimilarity { .. }
            | Task::Sts { .. }
            | Task::PairClassification { .. }
            | Task::Retrieval { .. }
            | Task::Clustering { .. } => {
                return failed("its task learns nothing".to_owned());
            }
        };
        match evaluation {
            Ok(evaluation) => Ok(Outcome::Scored(self.scored(cell, evaluation))),
            Err(error) => failed(told(&error)),
        }
    }
}

/// Vectors as the readout hands them out: scaled to unit length if it says so.
pub(super) fn handed_out(texts: &Stored<'_>) -> Result<Embeddings, CacheError> {
    let mut vectors = texts.all()?;
    if texts.normalize() {
        vectors.normalize();
    }
    Ok(vectors)
}

/// The label of each sample.
pub(super) fn labels(slice: &Slice) -> Vec<usize> {
    slice.samples.iter().filter_map(|sample| sample.gold.label()).collect()
}
