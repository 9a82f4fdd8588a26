//! Scores a cell whose answers are learnt from another slice.

use super::{Read, Scoring};
use crate::cause::told;
use crate::dataset::{Kind, Sample, Slice};
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::{Against, Cell, Texts};
use crate::results::Outcome;
use crate::spec::Task;
use crate::task::{self, Evaluation, Judge, Lesson, TaskError, Texts as _};

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
        let Against::Samples { with, dev } = cell.scored else {
            return failed("it was planned without what it learns from".to_owned());
        };
        let slices = [Some(cell.slice), with, dev];
        let mut features = Vec::new();
        for (slice, texts) in slices.into_iter().zip([Some(cell.samples()), cell.others(&self.plan.spec), cell.dev()]) {
            let Some((slice, texts)) = slice.zip(texts) else {
                features.push(Embeddings::new(read.texts.width()));
                continue;
            };
            match (self.handed_out(texts, read)?, self.plan.slices[slice].kind) {
                (Ok(both), Kind::Pairs) => features.push(task::pair_features(&both)),
                (Ok(texts), _) => features.push(texts),
                (Err(reason), _) => return failed(reason),
            }
        }
        match self.taught(cell, slices, &features) {
            Ok(evaluation) => Ok(Outcome::Scored(self.scored(cell, evaluation, read.by))),
            Err(error) => failed(told(&error)),
        }
    }

    /// What a cell's task makes of its features, given those of its own slice, of the one that it learns from, and of the one that
    /// judges it.
    fn taught(&self, cell: &Cell, slices: [Option<usize>; 3], features: &[Embeddings]) -> Result<Evaluation, TaskError> {
        let [slice, from, dev] = slices.map(|slice| slice.map(|slice| &self.plan.slices[slice]));
        let [gold, known, right] = [slice, from, dev].map(|slice| slice.map(labels).unwrap_or_default());
        let count = slice.map_or(0, |slice| slice.labels.len());
        let seed = self.plan.spec.seed;
        let lesson = Lesson { train: &features[1], known: &known, texts: &features[0], gold: &gold, labels: count, seed };
        match self.plan.task(cell) {
            Task::LinearProbe { senteval: Some(by), .. } => match (from, dev) {
                (None, _) => {
                    let itself = Lesson { train: &features[0], known: &gold, ..lesson };
                    task::senteval_nested(&itself, by.folds, &slice.map(lengths).unwrap_or_default())
                }
                (Some(from), None) => task::senteval(&lesson, Judge::Folds { folds: by.folds, lengths: &lengths(from) }),
                (Some(_), Some(_)) => task::senteval(&lesson, Judge::Dev { texts: &features[2], known: &right }),
            },
            Task::LinearProbe { c, draws, .. } => {
                task::linear_probe(&lesson, *c, draws.map(|draws| (draws.samples_per_label, draws.experiments)))
            }
            Task::Knn { k, .. } => task::nearest_neighbours(&lesson, *k),
            // No other task comes here.
            _ => Err(TaskError::NoSamples),
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

/// Words of each sample, of a pair those of either text: what `SentEval` sorts by.
fn lengths(slice: &Slice) -> Vec<Vec<usize>> {
    let words = |text: &str| text.split_whitespace().count();
    let of = |sample: &Sample| {
        std::iter::once(words(&sample.text)).chain(sample.partner.iter().map(|partner| words(&partner.text))).collect()
    };
    slice.samples.iter().map(of).collect()
}

/// The label of each sample.
pub(super) fn labels(slice: &Slice) -> Vec<usize> {
    slice.samples.iter().filter_map(|sample| sample.gold.label()).collect()
}
