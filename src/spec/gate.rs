//! `[gate]`: how much worse than its baseline a run may be.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{Task, TaskKind};

/// When a run counts as worse than its baseline. Drops are of each task's first metric, unless `metric` says otherwise: 0.01 is
/// one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// The metric that drops are of, in cells of the tasks that have it; when absent, and in all other cells: accuracy of
    /// label similarity, probes and neighbours, `spearman` of STS, `ap` of pair classification, `ndcg_at_10` of
    /// retrieval, `v_measure` of clustering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Measure>,
    /// A significant drop fails when it is larger than this.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_drop: f64,
    /// Significance level, after the correction of `[compare]` over all compared cells.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub alpha: f64,
    /// A drop beyond `max_drop` that is not significant passes up to this, and is inconclusive above; `max_drop` when absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<f64>,
    /// A larger drop fails, significant or not. Without it, no drop fails unless it is significant.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_drop: Option<f64>,
    /// Changed labels whose known margins are at most this are noise of the computation: a drop that is within the limits
    /// without them passes. `bench model doctor` measures it. For accuracy and macro F1: other metrics have no labels that
    /// change at once.
    #[schemars(range(min = 0.0, max = 2.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_floor: Option<f64>,
    /// Longest that the run may take, from its start to its end by the clock. Unit: seconds.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
    /// What a cell of the baseline that the run lacks does.
    pub missing: OnDoubt,
    /// What an inconclusive cell does.
    pub inconclusive: OnDoubt,
    /// Other limits for the cells of some slices: `[gate.slice.ID]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slice: BTreeMap<String, SliceGate>,
}

/// Limits of the gate for the cells of one slice; what is absent is as for all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceGate {
    /// The metric that drops are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Measure>,
    /// A significant drop fails when it is larger than this; 1 judges nothing.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// A drop beyond `max_drop` that is not significant passes up to this, and is inconclusive above.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<f64>,
    /// A larger drop fails, significant or not.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_drop: Option<f64>,
    /// What a cell of the baseline that the run lacks does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<OnDoubt>,
    /// What an inconclusive cell does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<OnDoubt>,
}

/// A metric that two runs can be compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of right labels; of pairs, at the threshold of another slice.
    Accuracy,
    /// Mean over labels of their F1.
    #[serde(rename = "macro_f1")]
    MacroF1,
    /// Rank correlation of cosine and score.
    Spearman,
    /// Linear correlation of cosine and score.
    Pearson,
    /// Average precision of pairs ranked by cosine.
    Ap,
    /// Normalised discounted gain of the ten documents nearest to a query.
    #[serde(rename = "ndcg_at_10")]
    NdcgAt10,
    /// Harmonic mean of how pure and how whole clusters are.
    VMeasure,
}

impl Measure {
    /// The metrics that cells of a task are compared by, the first of them unless another is asked for.
    pub const fn of(task: TaskKind) -> &'static [Self] {
        match task {
            TaskKind::LabelSimilarity | TaskKind::LinearProbe | TaskKind::Knn => &[Self::Accuracy, Self::MacroF1],
            TaskKind::Sts => &[Self::Spearman, Self::Pearson],
            TaskKind::Retrieval => &[Self::NdcgAt10],
            TaskKind::Clustering => &[Self::VMeasure],
            TaskKind::PairClassification => &[Self::Ap, Self::Accuracy],
        }
    }
}

/// What a cell without a clear answer does to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDoubt {
    /// It is shown, and the gate passes.
    Pass,
    /// The gate fails.
    Fail,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            metric: None,
            max_drop: 0.01,
            alpha: 0.05,
            noise_floor: None,
            fail_drop: None,
            margin_floor: None,
            max_seconds: None,
            missing: OnDoubt::Fail,
            inconclusive: OnDoubt::Pass,
            slice: BTreeMap::new(),
        }
    }
}

impl Gate {
    /// The policy for the cells of one slice.
    #[must_use]
    pub fn on(&self, slice: &str) -> Self {
        let Some(own) = self.slice.get(slice) else { return self.clone() };
        Self {
            metric: own.metric.or(self.metric),
            max_drop: own.max_drop.unwrap_or(self.max_drop),
            // What was said of all slices' drops may be less than this one's.
            noise_floor: own.noise_floor.or(self.noise_floor),
            fail_drop: own.fail_drop.or(self.fail_drop.filter(|fail| own.max_drop.is_none_or(|drop| drop <= *fail))),
            missing: own.missing.unwrap_or(self.missing),
            inconclusive: own.inconclusive.unwrap_or(self.inconclusive),
            ..self.clone()
        }
    }

    /// What of the policy contradicts itself or the tasks.
    pub(super) fn problems(&self, span: &Range<usize>, tasks: &[Task]) -> Vec<Problem> {
        let own = self.slice.iter().map(|(slice, own)| (own.metric, self.on(slice)));
        let policies = std::iter::once((self.metric, self.clone())).chain(own);
        policies.flat_map(|(metric, policy)| [lost(metric, span, tasks), policy.contradiction(span)]).flatten().collect()
    }

    fn contradiction(&self, span: &Range<usize>) -> Option<Problem> {
        let fail = self.fail_drop?;
        let (key, lower) = match self.noise_floor {
            Some(floor) if floor > fail => ("noise_floor", floor),
            _ => ("max_drop", self.max_drop),
        };
        let message = format!("`fail_drop` is {fail}, which is less than `{key}`, {lower}");
        (lower > fail)
            .then(|| Problem::new(span.clone(), message).help(format!("a drop that fails at once is at least `{key}`")))
    }
}

/// What is wrong with a metric that no task has.
fn lost(metric: Option<Measure>, span: &Range<usize>, tasks: &[Task]) -> Option<Problem> {
    let has = |metric| tasks.iter().any(|task| Measure::of(task.kind()).contains(&metric));
    let metric = metric.filter(|metric| !has(*metric))?;
    let known: Vec<&str> = tasks.iter().flat_map(|task| Measure::of(task.kind())).map(|known| known.name()).collect();
    let message = format!("`metric` is \"{metric}\", which no task of this spec has");
    Some(Problem::new(span.clone(), message).help(format!("its tasks are compared by: {}", known.join(", "))))
}
