//! `[gate]`: how much worse than its baseline a run may be.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// When a run counts as worse than its baseline. Drops are of accuracy, as shares: 0.01 is one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
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
    /// What of the policy contradicts itself.
    pub(super) fn problem(&self, span: Range<usize>) -> Option<Problem> {
        let fail = self.fail_drop?;
        let (key, lower) = match self.noise_floor {
            Some(floor) if floor > fail => ("noise_floor", floor),
            _ => ("max_drop", self.max_drop),
        };
        let message = format!("`fail_drop` is {fail}, which is less than `{key}`, {lower}");
        (lower > fail).then(|| Problem::new(span, message).help(format!("a drop that fails at once is at least `{key}`")))
    }
}
