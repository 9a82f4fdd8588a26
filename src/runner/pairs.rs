//! Scores a cell of pairs.

use super::vectors::Stored;
use super::{Read, Scoring, cut_metrics, metric_rows, transforms};
use crate::cause::told;
use crate::dataset::{PairGold, Slice};
use crate::error::Error;
use crate::plan::{Against, Cell};
use crate::results::{Measured, Outcome, PairRow};
use crate::spec::{Protocol, Task};
use crate::task::{self, Metric, Pairs, Similar, Similarities, Similarity, Texts as _, Thresholds};

/// Vectors of pairs that are in memory at a time. Unit: bytes.
const BLOCK_BYTES: usize = 256 << 20;

/// A slice's pairs with their vectors.
struct Held<'a> {
    slice: &'a Slice,
    texts: &'a Stored<'a>,
    read: &'a Read<'a>,
}

impl Scoring<'_> {
    /// Scores a cell whose samples are pairs, given where their vectors lie.
    pub(super) fn pairs(&self, cell: &Cell, read: &Read<'_>) -> Result<Outcome, Error> {
        let failed = |reason: String| Ok(Outcome::Failed { reason });
        let task = self.plan.task(cell);
        let slice = &self.plan.slices[cell.slice];
        let similar = match (Held { slice, texts: &read.texts, read }).similar(measures(task))? {
            Ok(similar) => similar,
            Err(reason) => return failed(reason),
        };
        let thresholds = match self.thresholds(cell, read)? {
            Ok(thresholds) => thresholds,
            Err(reason) => return failed(reason),
        };
        let PairGold { gold, clusters, subsets, names } = PairGold::of(&slice.samples);
        let pairs = Pairs { gold, clusters, subsets, seed: self.plan.spec.seed };
        let metrics = evaluate(task, &similar, &pairs, thresholds);
        let mut metrics = metric_rows(metrics, &names, pairs.clusters.count());
        let samples = self.measured_rows(cell, slice.samples.len());
        metrics.extend(cut_metrics(samples.iter().map(|row| row.cut)));
        metrics.extend(read.by.map(transforms::width));
        Ok(Outcome::Measured(Measured { metrics, samples, scores: similar.scores }))
    }

    /// The thresholds of the slice that the cell takes them from. The inner error is why there are none.
    fn thresholds(&self, cell: &Cell, read: &Read<'_>) -> Result<Result<Option<Thresholds>, String>, Error> {
        let (Against::Samples { with: Some(from), .. }, Some(texts)) = (cell.scored, cell.others(&self.plan.spec)) else {
            return Ok(Ok(None));
        };
        let slice = &self.plan.slices[from];
        let texts = match self.desk.stored(texts, read.readout, self.embedded) {
            Ok(texts) => texts,
            Err(reason) => return Ok(Err(reason)),
        };
        let similar = (Held { slice, texts: &texts, read }).similar(Similarity::COSINE)?;
        Ok(similar.map(|similar| {
            let positive: Vec<bool> = PairGold::of(&slice.samples).gold.iter().map(|&gold| gold > 0.5).collect();
            Thresholds::best(&similar.cosines(), &positive)
        }))
    }

    /// Tokens and cuts of each sample, of a pair those of both texts, over all views.
    pub(super) fn measured_rows(&self, cell: &Cell, samples: usize) -> Vec<PairRow> {
        let (views, rows) = (self.blocks(cell.samples()), &self.desk.work.rows);
        let places =
            |sample: usize| views.iter().flat_map(move |view| view.of_sample(sample, samples).map(move |at| (view, at)));
        let row = |sample: usize| PairRow {
            tokens: places(sample).map(|(view, at)| rows[view.rows[at]].len()).sum(),
            cut: places(sample).map(|(view, at)| view.cut[at]).sum(),
        };
        (0..samples).map(row).collect()
    }
}

impl Held<'_> {
    /// The similarities of all pairs. The inner error is why there are none.
    fn similar(&self, measures: &'static [Similarity]) -> Result<Result<Similar, String>, Error> {
        let (count, own) = (self.slice.samples.len(), self.texts.width());
        let parts = self.read.by.map_or_else(|| self.texts.parts(), |by| vec![by.width()]);
        let mut similarities = Similarities::new(parts, measures, self.texts.normalize());
        let block = (BLOCK_BYTES / (2 * own * size_of::<f32>()).max(1)).max(1);
        for start in (0..count).step_by(block) {
            let end = count.min(start + block);
            // First texts stand before all second ones.
            let [first, second] = [start..end, count + start..count + end].map(|range| {
                self.texts.some(range).map(|vectors| match self.read.by {
                    Some(by) => by.apply(&vectors),
                    None => vectors,
                })
            });
            similarities.add(&first?, &second?);
        }
        Ok(similarities.finish().map_err(|error| told(&error)))
    }
}

const fn measures(task: &Task) -> &'static [Similarity] {
    match task {
        Task::PairClassification { protocol: Some(Protocol::Mteb), .. } => Similarity::MTEB,
        Task::PairClassification { .. }
        | Task::Sts { .. }
        | Task::LabelSimilarity { .. }
        | Task::LinearProbe { .. }
        | Task::Knn { .. }
        | Task::Retrieval { .. }
        | Task::Clustering { .. } => Similarity::COSINE,
    }
}

fn evaluate(task: &Task, similar: &Similar, pairs: &Pairs, thresholds: Option<Thresholds>) -> Vec<Metric> {
    match task {
        Task::Sts { aggregate, .. } => task::sts(similar, pairs, *aggregate),
        Task::PairClassification { protocol: Some(Protocol::Mteb), .. } => task::mteb(similar, pairs),
        Task::PairClassification { thresholds_from, .. } => {
            let why_not = if thresholds_from.is_some() {
                "thresholds are picked on this slice"
            } else {
                "no slice to pick a threshold on: the task has no `thresholds_from`"
            };
            task::pair_classification(similar, pairs, thresholds, why_not)
        }
        Task::LabelSimilarity { .. }
        | Task::LinearProbe { .. }
        | Task::Knn { .. }
        | Task::Retrieval { .. }
        | Task::Clustering { .. } => Vec::new(),
    }
}
