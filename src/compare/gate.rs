//! Verdicts on a candidate: whether it is worse than its baseline by more than the policy allows.

use serde::Serialize;

use super::pairing::Refusal;
use super::told::{p_value, points};
use super::{Comparison, Pair};
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

/// The verdict on one cell, or on how long the run took, in one sentence.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// The cell's choices, joined; or `time`.
    pub name: String,
    pub verdict: Verdict,
    /// Whether it makes the gate fail.
    pub fails: bool,
    pub sentence: String,
}

/// The verdicts on all cells of a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Judgements {
    pub cells: Vec<Judgement>,
}

impl Judgements {
    /// Judges a comparison, and how long the candidate took, where that is known. Unit: seconds.
    pub fn of(comparison: &Comparison<'_>, policy: &Gate, seconds: Option<f64>) -> Self {
        let judged = comparison.pairs.iter().map(|pair| {
            let policy = policy.on(&pair.choices.slice);
            let (verdict, sentence) = judge(pair, &policy);
            judgement(pair.choices.to_string(), verdict, sentence, &policy)
        });
        let refused = comparison.refused.iter().map(|refused| {
            let verdict = match refused.why {
                Refusal::Missing | Refusal::Failed { .. } => Verdict::Missing,
                Refusal::BaselineFailed { .. } | Refusal::Slice { .. } | Refusal::Protocol { .. } | Refusal::Metric { .. } => {
                    Verdict::Incomparable
                }
            };
            let policy = policy.on(&refused.choices.slice);
            judgement(refused.choices.to_string(), verdict, refused.why.to_string(), &policy)
        });
        let slow = policy.max_seconds.and_then(|limit| Some((limit, seconds.filter(|seconds| *seconds > limit)?)));
        let slow = slow.map(|(limit, seconds)| {
            let sentence = format!("the run took {seconds:.0} seconds, longer than the {limit} that are allowed");
            judgement("time".to_owned(), Verdict::Regressed, sentence, policy)
        });
        Self { cells: judged.chain(refused).chain(slow).collect() }
    }

    /// How many cells have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cells.iter().filter(|cell| cell.verdict == verdict).count()
    }

    /// Whether some cell makes the gate fail.
    pub fn failed(&self) -> bool {
        self.cells.iter().any(|cell| cell.fails)
    }

    /// Whether there is an answer: something was compared, and nothing is incomparable.
    pub fn answered(&self) -> bool {
        self.count(Verdict::Incomparable) == 0 && !self.cells.is_empty()
    }
}

fn judgement(name: String, verdict: Verdict, sentence: String, policy: &Gate) -> Judgement {
    let fails = match verdict {
        Verdict::Regressed => true,
        Verdict::Missing => policy.missing == OnDoubt::Fail,
        Verdict::Inconclusive => policy.inconclusive == OnDoubt::Fail,
        // Of incomparable cells nobody knows.
        Verdict::Pass | Verdict::Incomparable => false,
    };
    Judgement { name, verdict, fails, sentence }
}

fn judge(pair: &Pair<'_>, policy: &Gate) -> (Verdict, String) {
    let change = pair.paired.difference.value;
    let moved = format!("{} changed by {} points ({})", pair.metric, points(change), p_value(pair.p_adjusted));
    // Shares are quotients of counts: a drop of exactly the limit must not exceed it by rounding.
    let exceeds = |drop: f64, limit: f64| drop > limit + 1e-12;
    // What is not of the computation's making.
    let drop = (pair.noise.change - change).min(-change);
    let significant = pair.p_adjusted < policy.alpha;
    let floor = policy.noise_floor.unwrap_or(policy.max_drop).max(policy.max_drop);
    let allowed = |limit: f64| format!("{} points", points(limit).trim_start_matches('+'));
    match policy.fail_drop.filter(|&limit| exceeds(drop, limit)) {
        Some(limit) => (Verdict::Regressed, format!("{moved}, more than the {} that fail at once", allowed(limit))),
        None if !exceeds(drop, policy.max_drop) && exceeds(-change, policy.max_drop) => (
            Verdict::Pass,
            format!(
                "{moved}; without the {} that the computation's own noise moved, by {} points",
                changed(pair.noise.wins + pair.noise.losses),
                points(-drop)
            ),
        ),
        None if !exceeds(drop, policy.max_drop) => {
            (Verdict::Pass, format!("{moved}; drops up to {} are allowed", allowed(policy.max_drop)))
        }
        None if significant => {
            (Verdict::Regressed, format!("{moved}, a significant drop of more than {}", allowed(policy.max_drop)))
        }
        None if !exceeds(drop, floor) => {
            (Verdict::Pass, format!("{moved}, not significant and within the noise of {}", allowed(floor)))
        }
        None => {
            let least = pair.detectable.map_or("no difference could be".to_owned(), |least| {
                format!("differences from {} on could be", allowed(least))
            });
            (Verdict::Inconclusive, format!("{moved}, which may be noise: on these samples {least} significant"))
        }
    }
}

fn changed(labels: usize) -> String {
    if labels == 1 { "one label".to_owned() } else { format!("{labels} labels") }
}
