//! `[gate]`: how much worse than its baseline a run may be.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{Task, TaskKind};

/// When a run counts as worse than its baseline. Drops are of each task's first metric: 0.01 is one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// The metric that drops are of, in cells of the tasks that have it; when absent, and in all other cells: accuracy of
    /// label similarity, `spearman` of STS, `ap` of pair classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Measure>,
    /// A significant drop fails when it is larger than this.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_drop: f64,
    /// Significance level, after Holm over all compared cells.
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
    /// What a cell of the baseline that the run lacks does.
    pub missing: OnDoubt,
    /// What an inconclusive cell does.
    pub inconclusive: OnDoubt,
}

/// A metric that two runs can be compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Share of right labels; of pairs, at the threshold of another slice.
    Accuracy,
    /// Rank correlation of cosine and score.
    Spearman,
    /// Linear correlation of cosine and score.
    Pearson,
    /// Average precision of pairs ranked by cosine.
    Ap,
}

impl Measure {
    /// The metrics that cells of a task are compared by, the first of them unless another is asked for.
    pub const fn of(task: TaskKind) -> &'static [Self] {
        match task {
            TaskKind::LabelSimilarity => &[Self::Accuracy],
            TaskKind::Sts => &[Self::Spearman, Self::Pearson],
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
            missing: OnDoubt::Fail,
            inconclusive: OnDoubt::Pass,
        }
    }
}

impl Gate {
    /// What of the policy contradicts itself or the tasks.
    pub(super) fn problem(&self, span: Range<usize>, tasks: &[Task]) -> Option<Problem> {
        let has = |metric| tasks.iter().any(|task| Measure::of(task.kind()).contains(&metric));
        if let Some(metric) = self.metric.filter(|metric| !has(*metric)) {
            let known: Vec<&str> = tasks.iter().flat_map(|task| Measure::of(task.kind())).map(|known| known.name()).collect();
            let message = format!("`metric` is \"{metric}\", which no task of this spec has");
            return Some(Problem::new(span, message).help(format!("its tasks are compared by: {}", known.join(", "))));
        }
        let fail = self.fail_drop?;
        let (key, lower) = match self.noise_floor {
            Some(floor) if floor > fail => ("noise_floor", floor),
            _ => ("max_drop", self.max_drop),
        };
        let message = format!("`fail_drop` is {fail}, which is less than `{key}`, {lower}");
        (lower > fail).then(|| Problem::new(span, message).help(format!("a drop that fails at once is at least `{key}`")))
    }
}
