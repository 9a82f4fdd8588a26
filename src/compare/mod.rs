//! Two runs -> paired differences of accuracy or of what pairs of texts are scored by, and a verdict on each.
//!
//! `pairing` decides what may be compared with what, `labels` and `cosines` compare, `gate` judges, `told` writes what others
//! read; `anchors` holds a run against published figures.

mod anchors;
mod cosines;
mod gate;
mod labels;
mod pairing;
mod told;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::results::{Answers, Choices, Outcomes, SampleText};
use crate::spec::Measure;
use crate::stats::{self, PairedDifference};

pub use anchors::{Found, Held, Unheld, hold};
pub use gate::{Judgement, Judgements, Verdict};
pub use pairing::Refusal;
pub use told::{annotations, bare_p, changes, json, junit, margins, markdown, percent, points, value, verdicts};

/// Differences less likely than this under chance alone are called significant.
pub const ALPHA: f64 = 0.05;

/// A candidate held against a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub baseline: String,
    pub candidate: String,
    /// In the order of the candidate's plan.
    pub pairs: Vec<Pair>,
    /// Cells of the baseline that nothing may be compared with, in the order of its plan.
    pub refused: Vec<Refused>,
    /// What a reader should know beside the numbers.
    pub notes: Vec<String>,
}

/// A cell of the baseline without a partner.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    pub choices: Choices,
    pub why: Refusal,
}

/// One cell of the candidate against its partner.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    pub baseline_cell: String,
    pub candidate_cell: String,
    /// The candidate's.
    pub choices: Choices,
    /// What the two values are.
    pub metric: Measure,
    pub baseline_value: f64,
    pub candidate_value: f64,
    /// Candidate minus baseline, on the same samples. Of pairs that are scored by their ranking, wins and losses are those
    /// whose rank lies nearer that of their gold score on one of the two sides.
    pub paired: PairedDifference,
    /// Exact `McNemar` for labels of texts, else the bootstrap over the pairs; after Holm over all pairs of the comparison.
    pub p_adjusted: f64,
    /// The smallest difference that would be significant at 5 % as the first of Holm's steps, the strictest; null where none
    /// could be, and where p comes from a bootstrap.
    pub detectable: Option<f64>,
    /// Samples that one of the two alone gets right, the clearest first; of pairs scored by their ranking, those that moved
    /// most.
    pub flips: Vec<Flip>,
}

/// A sample that changed sides.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    /// Place in the slice, from 0.
    pub index: usize,
    /// The sample's id and text; null when neither side keeps them.
    pub sample: Option<String>,
    pub text: Option<String>,
    pub gold: String,
    pub before: String,
    pub after: String,
    /// Gold score minus the best other score; null for a baseline, which keeps none.
    pub margin_before: Option<f64>,
    pub margin_after: Option<f64>,
}

/// Holds a candidate against a baseline, cell by cell. Cells are partners when their content is the same, else when their
/// choices have the same names, else, where each side has one cell, those two; and always on the same samples alone.
///
/// They are compared by `metric` where their task has it, else by the task's first metric.
pub fn compare(baseline: &Outcomes, candidate: &Outcomes, metric: Option<Measure>) -> Comparison {
    let (partners, mut refused) = pairing::partners(baseline, candidate);
    let mut pairs = Vec::with_capacity(partners.len());
    for pairing in &partners {
        match pair(baseline, candidate, pairing, metric, partners.len()) {
            Ok(pair) => pairs.push(pair),
            Err(why) => refused.push(Refused { choices: pairing.baseline.choices.clone(), why }),
        }
    }
    let raw: Vec<f64> = pairs.iter().map(|pair| pair.paired.p_value).collect();
    pairs.iter_mut().zip(stats::holm(&raw)).for_each(|(pair, p)| pair.p_adjusted = p);
    let mut notes = Vec::new();
    if baseline.engine != candidate.engine {
        let (before, after) = (&baseline.engine, &candidate.engine);
        notes.push(format!("bench {before} made the baseline and bench {after} the candidate"));
    }
    Comparison { baseline: baseline.name.clone(), candidate: candidate.name.clone(), pairs, refused, notes }
}

fn pair(
    baseline: &Outcomes,
    candidate: &Outcomes,
    partners: &pairing::Partners<'_>,
    metric: Option<Measure>,
    family: usize,
) -> Result<Pair, Refusal> {
    match (partners.before, partners.after) {
        (Answers::Labels(before), Answers::Labels(after)) => {
            Ok(labels::pair(&Sides { baseline, candidate, partners }, before, after, family))
        }
        (Answers::Pairs { .. }, Answers::Pairs { .. }) => cosines::pair(&Sides { baseline, candidate, partners }, metric),
        _ => Err(Refusal::Slice {
            slice: partners.candidate.choices.slice.clone(),
            difference: "texts and labels on one side, pairs on the other".to_owned(),
        }),
    }
}

/// Two cells and the runs they are from.
struct Sides<'a> {
    baseline: &'a Outcomes,
    candidate: &'a Outcomes,
    partners: &'a pairing::Partners<'a>,
}

impl Sides<'_> {
    /// The samples' texts, from whichever side keeps them.
    fn texts(&self) -> &[SampleText] {
        let kept = |outcomes: &'_ Outcomes, slice: &str| outcomes.texts.get(slice).is_some_and(|texts| !texts.is_empty());
        let (before, after) = (&self.partners.baseline.choices.slice, &self.partners.candidate.choices.slice);
        let from = if kept(self.candidate, after) { self.candidate.texts.get(after) } else { self.baseline.texts.get(before) };
        from.map_or(&[], Vec::as_slice)
    }

    /// The names of the slice's labels.
    fn label(&self, label: usize) -> String {
        let slice = self.candidate.slice(&self.partners.candidate.choices.slice);
        slice.and_then(|slice| slice.labels.get(label)).cloned().unwrap_or_default()
    }
}
