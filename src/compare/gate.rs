//! Verdicts on a candidate: whether it is worse than its baseline by more than the policy allows.

use serde::Serialize;

use super::pairing::Refusal;
use super::told::{p_value, points};
use super::{Comparison, Pair};
use crate::results::Choices;
use crate::spec::{Gate, OnDoubt};

/// What a gate says of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No worse than the policy allows.
    Pass,
    /// Worse, and not by noise; or by more than `fail_drop`.
    Regressed,
    /// Worse by more than the policy allows, but the samples cannot tell that from noise.
    Inconclusive,
    /// The two sides are about different things.
    Incomparable,
    /// The candidate has no outcomes for this cell.
    Missing,
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Regressed => "regressed",
            Self::Inconclusive => "inconclusive",
            Self::Incomparable => "incomparable",
            Self::Missing => "missing",
        }
    }
}

/// The verdict on one cell, in one sentence.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    pub choices: Choices,
    pub verdict: Verdict,
    pub sentence: String,
}

/// The verdicts on all cells of a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Judgements {
    pub policy: Gate,
    pub cells: Vec<Judgement>,
}

impl Judgements {
    /// Judges a comparison.
    pub fn of(comparison: &Comparison, policy: &Gate) -> Self {
        let judged = comparison.pairs.iter().map(|pair| judge(pair, policy));
        let refused = comparison.refused.iter().map(|refused| Judgement {
            choices: refused.choices.clone(),
            verdict: match refused.why {
                Refusal::Missing | Refusal::Failed { .. } => Verdict::Missing,
                Refusal::BaselineFailed { .. } | Refusal::Slice { .. } | Refusal::Metric { .. } => Verdict::Incomparable,
            },
            sentence: refused.why.to_string(),
        });
        Self { policy: policy.clone(), cells: judged.chain(refused).collect() }
    }

    /// Whether a verdict makes the gate fail under this policy. Incomparable cells do not: nobody knows.
    pub fn fails(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Regressed => true,
            Verdict::Missing => self.policy.missing == OnDoubt::Fail,
            Verdict::Inconclusive => self.policy.inconclusive == OnDoubt::Fail,
            Verdict::Pass | Verdict::Incomparable => false,
        }
    }

    /// How many cells have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cells.iter().filter(|cell| cell.verdict == verdict).count()
    }

    /// Whether some cell makes the gate fail.
    pub fn failed(&self) -> bool {
        self.cells.iter().any(|cell| self.fails(cell.verdict))
    }

    /// Whether there is an answer: something was compared, and nothing is incomparable.
    pub fn answered(&self) -> bool {
        self.count(Verdict::Incomparable) == 0 && !self.cells.is_empty()
    }
}

fn judge(pair: &Pair, policy: &Gate) -> Judgement {
    let change = pair.paired.difference.value;
    let drop = -change;
    let moved = format!("{} changed by {} points ({})", pair.metric, points(change), p_value(pair.p_adjusted));
    // Shares are quotients of counts: a drop of exactly the limit must not exceed it by rounding.
    let exceeds = |limit: f64| drop > limit + 1e-12;
    let significant = pair.p_adjusted < policy.alpha;
    let floor = policy.noise_floor.unwrap_or(policy.max_drop).max(policy.max_drop);
    let allowed = |limit: f64| format!("{} points", points(limit).trim_start_matches('+'));
    let (verdict, sentence) = match policy.fail_drop.filter(|&limit| exceeds(limit)) {
        Some(limit) => (Verdict::Regressed, format!("{moved}, more than the {} that fail at once", allowed(limit))),
        None if !exceeds(policy.max_drop) => {
            (Verdict::Pass, format!("{moved}; drops up to {} are allowed", allowed(policy.max_drop)))
        }
        None if significant => {
            (Verdict::Regressed, format!("{moved}, a significant drop of more than {}", allowed(policy.max_drop)))
        }
        None if !exceeds(floor) => {
            (Verdict::Pass, format!("{moved}, not significant and within the noise of {}", allowed(floor)))
        }
        None => {
            let least = pair.detectable.map_or("no difference could be".to_owned(), |least| {
                format!("differences from {} on could be", allowed(least))
            });
            (Verdict::Inconclusive, format!("{moved}, which may be noise: on these samples {least} significant"))
        }
    };
    Judgement { choices: pair.choices.clone(), verdict, sentence }
}
