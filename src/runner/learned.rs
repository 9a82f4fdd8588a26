//! Scores a cell whose answers are learnt from another slice.

use super::{Read, Scoring};
use crate::cause::told;
use crate::dataset::Slice;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::{Against, Cell, Texts};
use crate::results::Outcome;
use crate::spec::Task;
use crate::task::{self, Neighbours, Probe, Texts as _};

/// Why texts whose views are fused by their similarities have no answer.
pub(super) const NO_VECTOR: &str =
    "views that are fused by their similarities leave no vector of a text: fuse them by `mean` or `concat`";

impl Scoring<'_> {
    /// Scores a cell that learns from other texts.
    pub(super) fn learned(&self, cell: &Cell, read: &Read<'_>) -> Result<Outcome, Error> {
        let failed = |reason: String| Ok(Outcome::Failed { reason });
        if read.texts.parts().len() > 1 {
            return failed(NO_VECTOR.to_owned());
        }
        let (Against::Samples { with: Some(from) }, Some(others)) = (cell.scored, cell.others()) else {
            return failed("it was planned without what it learns from".to_owned());
        };
        let (train, texts) = match (self.handed_out(others, read)?, self.handed_out(cell.samples(), read)?) {
            (Ok(train), Ok(texts)) => (train, texts),
            (Err(reason), _) | (_, Err(reason)) => return failed(reason),
        };
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
            Ok(evaluation) => Ok(Outcome::Scored(self.scored(cell, evaluation, read.by))),
            Err(error) => failed(told(&error)),
        }
    }

    /// Vectors of a set of texts as they are handed out: transformed as the cell's are, and scaled to unit length if the readout
    /// says so. The inner error is why there are none.
    pub(super) fn handed_out(&self, texts: Texts, read: &Read<'_>) -> Result<Result<Embeddings, String>, Error> {
        let vectors = self.transformed(texts, read)?;
        Ok(vectors.map(|mut vectors| {
            if read.texts.normalize() {
                vectors.normalize();
            }
            vectors
        }))
    }
}

/// The label of each sample.
pub(super) fn labels(slice: &Slice) -> Vec<usize> {
    slice.samples.iter().filter_map(|sample| sample.gold.label()).collect()
}
