//! What is computed from embeddings: label similarity, its calibration and its metrics; and pairs of texts.

mod calibrate;
mod clustering;
mod counts;
mod directions;
mod folds;
mod kmeans;
mod lesson;
mod loss;
mod metrics;
mod neighbours;
mod optimum;
mod pairs;
mod plane;
mod probe;
mod retrieval;
mod scores;
mod search;
mod senteval;

use std::convert::Infallible;

use crate::embeddings::Embeddings;
use crate::spec::Calibration;
use crate::stats::Estimate;

pub use clustering::{CLUSTERING_METRICS, Clustered, Clustering, TEXT_NUMBERS, clustering};
use directions::Common;
pub use lesson::{Lesson, pair_features};
pub use metrics::{METRICS, MetricInfo, Scope, Uncertainty};
use metrics::{Others, known, optional};
pub use neighbours::nearest_neighbours;
pub use pairs::{
    CLASS_METRICS, MTEB_METRICS, Pairs, STS_METRICS, Similar, Similarities, Similarity, Thresholds, mteb, pair_classification,
    sts,
};
pub use probe::{PROBE_METRICS, linear_probe, mteb_draws};
pub use retrieval::{QUERY_FIGURES, QUERY_NUMBERS, RETRIEVAL_METRICS, Relevance, Retrieval, Retrieved, Ties, retrieval};
pub use senteval::{Judge, senteval, senteval_nested};

pub use plane::{Projection, plane};

/// Two scores this close count as tied: the resolution of the f32 vectors behind them.
pub const TIE: f64 = 1e-6;

/// A margin of at most this share of the cell's mean score range is a near tie.
pub const NEAR_TIE: f64 = 0.01;

/// Text vectors that can be read in blocks, as often as need be; they are never in memory all at once.
pub trait Texts {
    /// Why they cannot be read.
    type Error;

    /// Number of texts.
    fn count(&self) -> usize;

    /// Coordinates per text.
    fn width(&self) -> usize;

    /// Widths of the parts of a text's vector that are vectors of their own: the similarity of two texts is then the mean of
    /// their parts' cosines. Mostly there is one part.
    fn parts(&self) -> Vec<usize> {
        vec![self.width()]
    }

    /// Hands out every text once, in any order and in blocks of any size: a block's rows and which texts they are.
    ///
    /// # Errors
    /// Texts that cannot be read.
    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), Self::Error>;
}

impl Texts for Embeddings {
    type Error = Infallible;

    fn count(&self) -> usize {
        self.len()
    }

    fn width(&self) -> usize {
        self.dim()
    }

    fn visit(&self, take: &mut dyn FnMut(&[usize], &Embeddings)) -> Result<(), Infallible> {
        take(&(0..self.len()).collect::<Vec<_>>(), self);
        Ok(())
    }
}

/// What texts are scored against, and how.
#[derive(Clone, Copy)]
pub struct LabelSimilarity<'a> {
    /// The right label of each sample, as an index into the labels.
    pub gold: &'a [usize],
    /// At least one; where there are several, each counts alike.
    pub wordings: &'a [Worded<'a>],
    /// Number of labels.
    pub labels: usize,
    pub calibration: Calibration,
    /// Vectors of texts that say nothing, for the calibration that takes their scores off.
    pub content_free: Option<&'a Embeddings>,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// The labels in one set of words.
#[derive(Clone, Copy)]
pub struct Worded<'a> {
    /// One row per phrasing. Shape: `[phrasings, dim]`.
    pub phrasings: &'a Embeddings,
    /// The label each phrasing words, as an index into the labels; every label has at least one.
    pub owner: &'a [usize],
}

/// Per-sample scores and the metrics over them.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub labels: usize,
    /// Row-major `[n, labels]`; every score is finite.
    pub scores: Vec<f64>,
    /// One per sample.
    pub predictions: Vec<Prediction>,
    /// Row-major `[gold, predicted]` counts.
    pub confusion: Vec<u64>,
    pub metrics: Vec<Metric>,
}

/// One for each task, made when it is asked for.
pub type Evaluations<'a> = Box<dyn Iterator<Item = Result<Evaluation, TaskError>> + 'a>;

/// What one sample's scores say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    pub gold: usize,
    /// Highest score; among exact ties, the label that comes first in the slice.
    pub predicted: usize,
    /// Rank of the gold label, 1 for the predicted one; equal scores rank in the slice's label order.
    pub gold_rank: usize,
    /// Best minus second-best score, 0 for a tie; None with a single label.
    pub margin: Option<f64>,
    /// Gold score minus the best other score, negative or 0 when wrong; None with a single label.
    pub gold_margin: Option<f64>,
    /// Whether the two best scores are equal within 1e-6.
    pub tied: bool,
}

/// One named number of a cell, over all samples or for one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// `accuracy`, `macro_f1`, `top2`, `precision`, ...: the list is [`METRICS`], or that of a task on pairs.
    pub name: &'static str,
    /// Index of the label it is about, if it is about one; of the subset, for a task on pairs.
    pub label: Option<usize>,
    /// None where the metric is undefined, with `reason` saying why.
    pub estimate: Option<Estimate>,
    pub reason: Option<String>,
}

/// Why embeddings could not be scored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TaskError {
    #[error("there are no samples to score: the slice is empty; widen its labels, length bounds or limits")]
    NoSamples,
    #[error("there are no labels to score against: name at least one label in the slice")]
    NoLabels,
    #[error("{texts} text vectors came with {gold} gold labels; there must be one of each per sample")]
    GoldCount { texts: usize, gold: usize },
    #[error("{phrasings} phrasing vectors came with {owner} label indices; there must be one of each per phrasing")]
    OwnerCount { phrasings: usize, owner: usize },
    #[error(
        "text vectors have {texts} dimensions and phrasing vectors {phrasings}; embed both with the same model and readout"
    )]
    Dimensions { texts: usize, phrasings: usize },
    #[error("{of} {row} belongs to label {label}, but there are only {labels} labels (counted from 0)")]
    LabelRange { of: Vectors, row: usize, label: usize, labels: usize },
    #[error("the train texts have one label, or none: there is nothing to learn; take a slice with several")]
    OneClass,
    #[error("{k} were asked for, and there are {texts} texts: ask for fewer, or take a larger slice")]
    FewTexts { k: usize, texts: usize },
    #[error("no optimum was found: the loss may be {gap:e} above it; a smaller `c` makes the problem easier")]
    NoOptimum { gap: f64 },
    #[error("label {label} (counted from 0) has no phrasing; give it at least one, or leave it out of the slice")]
    NoPhrasing { label: usize },
    #[error(
        "no content-free text has a direction under this prompt, so there is no prior to take off; choose another calibration, or skip it here"
    )]
    NoPrior,
    #[error(
        "the vector of {of} {row} (counted from 0) holds a value that is not a finite number; the model overflowed on it: try dtype f32 or bf16, or an earlier layer"
    )]
    NotFinite { of: Vectors, row: usize },
}

/// Which vectors of a task an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    Texts,
    Phrasings,
    ContentFree,
    Pairs,
    Train,
    Dev,
    Documents,
}

impl std::fmt::Display for Vectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Texts => "text",
            Self::Phrasings => "phrasing",
            Self::ContentFree => "content-free text",
            Self::Pairs => "pair",
            Self::Train => "train text",
            Self::Dev => "dev text",
            Self::Documents => "document",
        })
    }
}

/// Scores every text against every label by cosine and predicts the label with the highest score, for several tasks on the
/// same texts: they are read once, and once more where a task centres them.
///
/// All arithmetic is f64. A label's vector is the mean of its phrasings' unit vectors, scaled to unit length again; of several
/// wordings, the mean of their label vectors. With
/// [`Calibration::Center`], each side is centred on its own mean before the cosine: unit text vectors on the mean of the
/// unit text vectors of the slice, label vectors on the mean label vector. Scaling comes first so that no long vector
/// rules a mean. A vector without direction (all zeros, or equal to the mean) scores 0 everywhere, is left out of the mean,
/// and is counted in the metric `zero_vectors`.
///
/// Scores are cosines, range -1..1, which the other calibrations then correct as `calibrate` says. Tasks are evaluated as they
/// are asked for. Memory: scores of all tasks, and one block of texts as f64. Determinism: neither the number of threads, nor
/// the order and size of blocks, nor the other tasks change a bit.
///
/// # Errors
/// Texts that cannot be read. The inner errors are inputs whose shapes disagree, that are empty, or that hold a non-finite
/// value: see [`TaskError`].
pub fn label_similarity<'a, T: Texts>(texts: &T, tasks: &'a [LabelSimilarity<'a>]) -> Result<Evaluations<'a>, T::Error> {
    let checked: Vec<Result<(), TaskError>> = tasks.iter().map(|task| check(texts, task)).collect();
    let sound: Vec<LabelSimilarity<'_>> =
        tasks.iter().zip(&checked).filter(|(_, ok)| ok.is_ok()).map(|(task, _)| *task).collect();
    let (common, scored) = if sound.is_empty() { (Common::default(), Vec::new()) } else { scores::score(texts, &sound)? };
    let mut scored = scored.into_iter();
    let evaluate = move |(task, ok): (&LabelSimilarity<'_>, Result<(), TaskError>)| {
        ok?;
        let not_finite = common.not_finite.map(|row| TaskError::NotFinite { of: Vectors::Texts, row });
        let scored = scored.next().filter(|_| not_finite.is_none());
        scored.map(|scored| evaluation(task, &common, scored)).ok_or(not_finite.unwrap_or(TaskError::NoSamples))
    };
    Ok(Box::new(tasks.iter().zip(checked).map(evaluate)))
}

fn evaluation(task: &LabelSimilarity<'_>, common: &Common, scored: scores::Scored) -> Evaluation {
    let scores::Scored { scores, without_direction, label_anisotropy } = scored;
    let said =
        Said { anisotropy: common.anisotropy, others: Others::Labels(label_anisotropy), zero_vectors: without_direction };
    said.evaluation(scores, task.gold, task.labels, task.seed)
}

/// What is known of vectors beside their scores.
struct Said {
    anisotropy: Option<f64>,
    others: Others,
    zero_vectors: usize,
}

impl Said {
    /// Predictions and metrics of scores. Shape of those: row-major `[n, labels]`.
    fn evaluation(&self, scores: Vec<f64>, gold: &[usize], labels: usize, seed: u64) -> Evaluation {
        let predictions = scores::predict(&scores, labels, gold);
        let counts = counts::Counts::of(&predictions, labels);
        let metrics = metrics::Inputs {
            scores: &scores,
            predictions: &predictions,
            counts: &counts,
            anisotropy: self.anisotropy,
            others: self.others,
            zero_vectors: self.zero_vectors,
            seed,
        }
        .metrics();
        Evaluation { labels, scores, confusion: counts.confusion, predictions, metrics }
    }

    /// What is known of texts and of the texts that they are held against, all of them finite.
    fn of(texts: &Embeddings, train: &Embeddings) -> Self {
        let mut unit = vec![0.0; texts.dim()];
        let mut sum = directions::ExactSum::new(texts.dim());
        let mut zero_vectors = 0;
        for row in texts.rows() {
            match directions::direction(row, &[texts.dim()], None, &mut unit) {
                Some(true) => sum.add(&unit, 1),
                _ => zero_vectors += 1,
            }
        }
        zero_vectors += train.rows().filter(|row| row.iter().all(|&value| value == 0.0)).count();
        Self { anisotropy: sum.common(None).anisotropy, others: Others::Texts(train.len()), zero_vectors }
    }
}

fn check<T: Texts>(texts: &T, task: &LabelSimilarity<'_>) -> Result<(), TaskError> {
    let LabelSimilarity { gold, wordings, labels, .. } = *task;
    if texts.count() == 0 {
        return Err(TaskError::NoSamples);
    }
    if labels == 0 {
        return Err(TaskError::NoLabels);
    }
    if gold.len() != texts.count() {
        return Err(TaskError::GoldCount { texts: texts.count(), gold: gold.len() });
    }
    in_range(Vectors::Texts, gold, labels)?;
    if wordings.is_empty() {
        return Err(TaskError::NoPhrasing { label: 0 });
    }
    wordings.iter().try_for_each(|worded| worded.check(texts.width(), labels))?;
    match task.content_free.filter(|_| task.calibration == Calibration::ContentFree) {
        None if task.calibration == Calibration::ContentFree => Err(TaskError::NoPrior),
        None => Ok(()),
        Some(free) if free.dim() != texts.width() => Err(TaskError::Dimensions { texts: texts.width(), phrasings: free.dim() }),
        Some(free) => {
            finite(Vectors::ContentFree, free)?;
            if free.values().iter().all(|&value| value == 0.0) { Err(TaskError::NoPrior) } else { Ok(()) }
        }
    }
}

impl Worded<'_> {
    fn check(&self, dim: usize, labels: usize) -> Result<(), TaskError> {
        let Self { phrasings, owner } = *self;
        if owner.len() != phrasings.len() {
            return Err(TaskError::OwnerCount { phrasings: phrasings.len(), owner: owner.len() });
        }
        if dim != phrasings.dim() {
            return Err(TaskError::Dimensions { texts: dim, phrasings: phrasings.dim() });
        }
        in_range(Vectors::Phrasings, owner, labels)?;
        finite(Vectors::Phrasings, phrasings)?;
        match (0..labels).find(|label| !owner.contains(label)) {
            Some(label) => Err(TaskError::NoPhrasing { label }),
            None => Ok(()),
        }
    }
}

fn in_range(of: Vectors, indices: &[usize], labels: usize) -> Result<(), TaskError> {
    match indices.iter().position(|&label| label >= labels) {
        Some(row) => Err(TaskError::LabelRange { of, row, label: indices[row], labels }),
        None => Ok(()),
    }
}

/// The first vector with a value that is not a number, if there is one, is an error.
fn finite(of: Vectors, vectors: &Embeddings) -> Result<(), TaskError> {
    match vectors.rows().position(|row| !row.iter().all(|value| value.is_finite())) {
        Some(row) => Err(TaskError::NotFinite { of, row }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
