//! Scores a cell whose samples are measured one by one: queries by what they find, texts by their cluster.

use std::collections::BTreeMap;

use super::learned::{NO_VECTOR, labels};
use super::{Read, Scoring, cut_metrics, metric_rows, transforms};
use crate::cause::told;
use crate::dataset::Slice;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::plan::{Against, Cell};
use crate::results::{Measured, Outcome};
use crate::spec::{Identical, Protocol, Task};
use crate::task::{self, Clustering, Metric, Relevance, Retrieval, TaskError, Texts as _, Ties};

/// Documents that MTEB keeps of a ranking.
const MTEB_DEPTH: usize = 1000;

impl Scoring<'_> {
    /// Scores a cell of queries or of clusters, by the vectors that its readout hands out.
    pub(super) fn measured(&self, cell: &Cell, read: &Read<'_>) -> Result<Outcome, Error> {
        if read.texts.parts().len() > 1 {
            return Ok(Outcome::Failed { reason: NO_VECTOR.to_owned() });
        }
        let vectors = match self.handed_out(cell.samples(), read)? {
            Ok(vectors) => vectors,
            Err(reason) => return Ok(Outcome::Failed { reason }),
        };
        let outcome = match self.plan.task(cell) {
            Task::Retrieval { .. } => {
                let documents =
                    match cell.others(&self.plan.spec).map(|documents| self.handed_out(documents, read)).transpose()? {
                        Some(Err(reason)) => return Ok(Outcome::Failed { reason }),
                        Some(Ok(documents)) => Some(documents),
                        None => None,
                    };
                self.found(cell, &vectors, documents.as_ref())
            }
            Task::Clustering { clusters, restarts } => self.clustered(cell, &vectors, *clusters, *restarts),
            _ => return Ok(Outcome::Failed { reason: "its task measures no samples".to_owned() }),
        };
        let (metrics, scores) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Outcome::Failed { reason: told(&error) }),
        };
        let samples = self.measured_rows(cell, self.plan.slices[cell.slice].samples.len());
        let mut metrics = metric_rows(metrics, &[], samples.len());
        metrics.extend(cut_metrics(samples.iter().map(|row| row.cut)));
        metrics.extend(read.by.map(transforms::width));
        Ok(Outcome::Measured(Measured { metrics, samples, scores }))
    }

    fn found(
        &self,
        cell: &Cell,
        queries: &Embeddings,
        documents: Option<&Embeddings>,
    ) -> Result<(Vec<Metric>, Vec<f64>), TaskError> {
        let slice = &self.plan.slices[cell.slice];
        let other = match cell.scored {
            Against::Samples { with, .. } => with.map(|slice| &self.plan.slices[slice]),
            Against::Labels { .. } => None,
        };
        let searched = other.unwrap_or(slice);
        let own_texts = match (other, self.plan.task(cell)) {
            (None, _) => (0..slice.samples.len()).map(Some).collect(),
            (Some(other), Task::Retrieval { identical: Identical::Ignored, .. }) => identical(slice, other),
            (Some(_), _) => Vec::new(),
        };
        let (own, others) = (labels(slice), labels(searched));
        let relevance = match &slice.judged {
            Some(judged) => Relevance::Judged(&judged.relevant),
            None => Relevance::SameLabel { queries: &own, documents: &others },
        };
        let ids: Vec<&str> = searched.samples.iter().map(|sample| sample.id.as_str()).collect();
        let ties = match self.plan.task(cell) {
            Task::Retrieval { protocol: Some(Protocol::Mteb), .. } => Ties::ById { ids: &ids, depth: Some(MTEB_DEPTH) },
            Task::Retrieval { protocol: Some(_), .. } => Ties::ById { ids: &ids, depth: None },
            _ => Ties::Shared,
        };
        let (documents, seed) = (documents.unwrap_or(queries), self.plan.spec.seed);
        let found = task::retrieval(&Retrieval { queries, documents, own: &own_texts, relevance, ties, seed })?;
        Ok((found.metrics, found.numbers))
    }

    fn clustered(
        &self,
        cell: &Cell,
        texts: &Embeddings,
        clusters: Option<usize>,
        restarts: usize,
    ) -> Result<(Vec<Metric>, Vec<f64>), TaskError> {
        let slice = &self.plan.slices[cell.slice];
        let clusters = clusters.unwrap_or(slice.labels.len());
        let gold = labels(slice);
        let found = task::clustering(&Clustering { texts, gold: &gold, clusters, restarts, seed: self.plan.spec.seed })?;
        Ok((found.metrics, found.numbers))
    }
}

/// For each query the document whose id is the same.
fn identical(queries: &Slice, documents: &Slice) -> Vec<Option<usize>> {
    let places = documents.samples.iter().enumerate().map(|(place, document)| (document.id.as_str(), place));
    let places: BTreeMap<&str, usize> = places.collect();
    queries.samples.iter().map(|query| places.get(query.id.as_str()).copied()).collect()
}
