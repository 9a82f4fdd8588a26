//! What is done with the embeddings of a cell: the tasks, and whose definitions they follow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Calibration, Slice};
use crate::digest::Hasher;

/// What is done with the embeddings of a cell. A slice's samples decide which tasks are theirs; the kind of each is its id on
/// the axis of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Task {
    /// Cosine between each text and each label's phrasings; the best label is the prediction.
    LabelSimilarity { calibrations: Vec<Calibration> },
    /// Correlation of the cosine of two texts with how similar people say they are.
    Sts { protocol: Option<Protocol>, aggregate: Aggregate },
    /// Whether the cosine of two texts tells pairs that are the same from others.
    PairClassification {
        protocol: Option<Protocol>,
        /// The slice that thresholds are picked on; without it, accuracy is an oracle's alone.
        thresholds_from: Option<String>,
    },
    /// Logistic regression on the vectors of other texts, whose labels it is told.
    LinearProbe {
        train: Companion,
        /// Inverse strength of the L2 penalty.
        c: f64,
        /// MTEB's protocol: several probes, each from a few texts of every label.
        draws: Option<Draws>,
        /// `SentEval`'s protocol: `c` is picked from a grid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        senteval: Option<Senteval>,
        /// Ids of the slices it is done on; empty: all whose samples are for it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        slices: Vec<String>,
    },
    /// The label that most of the nearest other texts have.
    Knn {
        train: Companion,
        k: usize,
        /// As of the linear probe.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        slices: Vec<String>,
    },
    /// Whether the nearest documents have the query's label: those of another slice, or the other texts of its own. Of judged
    /// queries: whether they were judged relevant.
    Retrieval {
        documents: Option<Companion>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protocol: Option<Protocol>,
        /// Whether documents are passed over whose id is the query's.
        #[serde(default, skip_serializing_if = "Identical::are_found")]
        identical: Identical,
        /// As of the linear probe.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        slices: Vec<String>,
    },
    /// Whether k-means brings texts of one label together: into so many clusters, or one for each label.
    Clustering { clusters: Option<usize>, restarts: usize },
}

/// What becomes of documents whose id is the query's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identical {
    /// They are documents like any other.
    #[default]
    Found,
    /// They are not looked at.
    Ignored,
}

impl Identical {
    /// Whether they are documents like any other.
    pub const fn are_found(&self) -> bool {
        matches!(self, Self::Found)
    }
}

/// The other slice of a task: what it learns from, or searches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Companion {
    /// The slice with this id, which is on the axis of slices as well.
    Slice(String),
    /// Another split, cut as the scored slice is, but for its limits; of the slice's own dataset when none is named.
    Split { dataset: Option<String>, split: String },
    /// None: the slice's own parts take turns.
    Itself,
}

impl Companion {
    /// The id of the companion of a slice: that of its content, since slices may share it. No id of a spec has a colon.
    pub fn id(&self, slice: &Slice) -> String {
        match self {
            Self::Slice(id) => id.clone(),
            Self::Itself => slice.id.clone(),
            Self::Split { dataset, split } => {
                let whole = format!("{}:{split}", dataset.as_ref().unwrap_or(&slice.dataset));
                let Slice { labels, rename, min_chars, max_chars, .. } = slice;
                if labels.is_empty() && rename.is_empty() && min_chars.is_none() && max_chars.is_none() {
                    return whole;
                }
                let cut =
                    Hasher::new("cut/1").json("labels", labels).json("rename", rename).json("chars", &(min_chars, max_chars));
                format!("{whole}:{}", &cut.finish().short()[..4])
            }
        }
    }

    /// The companion of a slice, where the spec does not have it as a slice of its own.
    pub fn cut(&self, slice: &Slice) -> Option<Slice> {
        let Self::Split { dataset, split } = self else { return None };
        Some(Slice {
            id: self.id(slice),
            dataset: dataset.as_ref().unwrap_or(&slice.dataset).clone(),
            split: split.clone(),
            limit: None,
            per_label: None,
            ..slice.clone()
        })
    }
}

/// Draws of train texts under MTEB's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draws {
    pub samples_per_label: usize,
    pub experiments: usize,
}

/// How `SentEval` picks a probe's penalty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Senteval {
    /// Parts of the train texts that judge it in turn, and of the slice where there are no train texts.
    pub folds: usize,
    /// Texts that judge it instead.
    pub dev: Option<Companion>,
}

impl Task {
    /// The word of a spec for it.
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::LabelSimilarity { .. } => TaskKind::LabelSimilarity,
            Self::Sts { .. } => TaskKind::Sts,
            Self::PairClassification { .. } => TaskKind::PairClassification,
            Self::LinearProbe { .. } => TaskKind::LinearProbe,
            Self::Knn { .. } => TaskKind::Knn,
            Self::Retrieval { .. } => TaskKind::Retrieval,
            Self::Clustering { .. } => TaskKind::Clustering,
        }
    }

    /// The task of a kind that is done on a slice, among those of a spec.
    pub fn on<'a>(tasks: &'a [Self], kind: TaskKind, slice: &str) -> Option<&'a Self> {
        tasks.iter().find(|task| task.kind() == kind && task.is_on(slice))
    }

    /// Whether it is done on a slice, if the slice's samples are for it.
    pub fn is_on(&self, slice: &str) -> bool {
        self.slices().is_empty() || self.slices().iter().any(|id| id == slice)
    }

    /// Ids of the slices that it names; none: it is done on all whose samples are for it.
    pub fn slices(&self) -> &[String] {
        match self {
            Self::LinearProbe { slices, .. } | Self::Knn { slices, .. } | Self::Retrieval { slices, .. } => slices,
            Self::LabelSimilarity { .. } | Self::Sts { .. } | Self::PairClassification { .. } | Self::Clustering { .. } => &[],
        }
    }

    /// Whether it learns from a slice, or searches it, or is judged by it.
    pub fn takes(&self, slice: &str) -> bool {
        [self.companion(), self.dev()].into_iter().flatten().any(|other| matches!(other, Companion::Slice(id) if id == slice))
    }

    /// The other slice it takes along, for tasks that learn or search.
    pub const fn companion(&self) -> Option<&Companion> {
        match self {
            Self::LinearProbe { train: Companion::Itself, .. }
            | Self::LabelSimilarity { .. }
            | Self::Sts { .. }
            | Self::PairClassification { .. }
            | Self::Clustering { .. } => None,
            Self::LinearProbe { train, .. } | Self::Knn { train, .. } => Some(train),
            Self::Retrieval { documents, .. } => documents.as_ref(),
        }
    }

    /// The slice that judges what is picked for it.
    pub fn dev(&self) -> Option<&Companion> {
        match self {
            Self::LinearProbe { senteval: Some(senteval), .. } => senteval.dev.as_ref(),
            _ => None,
        }
    }
}

/// The kinds of task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Cosine between each text and each label's phrasings; the best label is the prediction.
    #[default]
    LabelSimilarity,
    /// Correlation of the cosine of two texts with how similar people say they are. For pairs with scores.
    Sts,
    /// Whether the cosine of two texts tells pairs that are the same from others. For pairs with two labels.
    PairClassification,
    /// Logistic regression on frozen vectors, learnt from the texts of `train`. For labelled texts, and for pairs with two labels
    /// (of the distances and products of their coordinates).
    LinearProbe,
    /// The label that most of the `k` nearest texts of `train` have, by cosine. For labelled texts.
    Knn,
    /// Whether the nearest texts by cosine, of `documents` or of the slice itself, have the query's label. For labelled texts; and
    /// for judged queries, whether the nearest documents of their corpus were judged relevant.
    Retrieval,
    /// Whether k-means brings texts of one label together. For labelled texts.
    Clustering,
}

impl TaskKind {
    /// Whether it gives each text one of the slice's labels.
    pub const fn labels_texts(self) -> bool {
        match self {
            Self::LabelSimilarity | Self::LinearProbe | Self::Knn => true,
            Self::Sts | Self::PairClassification | Self::Retrieval | Self::Clustering => false,
        }
    }

    /// Whether a cell's other choices tell that this is its task: labels are worded for one task alone, and pairs have one each.
    pub const fn goes_without_saying(self) -> bool {
        match self {
            Self::LabelSimilarity | Self::Sts | Self::PairClassification => true,
            Self::LinearProbe | Self::Knn | Self::Retrieval | Self::Clustering => false,
        }
    }
}

/// Whose definition of metrics is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// That of MTEB. Linear probe: the mean accuracy of ten probes, each from eight texts of every label. STS: all pairs pooled.
    /// Pair classification: cosine, dot product, Euclidean and Manhattan distance, each with the best threshold on the very
    /// pairs that are scored; `max_ap` is the largest average precision of the four. Retrieval: as `trec`, of the first 1,000
    /// documents.
    Mteb,
    /// That of `SentEval` as `SimCSE` and the papers on prompted models use it. STS: all pairs of a year pooled. Linear probe: the
    /// penalty that does best on ten folds of the train texts, or on `dev`; without `train`, folds within folds of the slice.
    Senteval,
    /// That of `trec_eval` and `pytrec_eval`, for retrieval: of documents with equal cosines, as f32, the last id goes first.
    Trec,
}

/// How the subsets of a slice become one correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// One correlation over all pairs.
    #[default]
    Pooled,
    /// The mean of the subsets' correlations.
    PerSubset,
}
