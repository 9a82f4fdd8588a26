//! Two runs -> paired differences of accuracy, and a verdict on each.
//!
//! `pairing` decides what may be compared with what, `gate` judges, `told` writes what others read.

mod gate;
mod pairing;
mod told;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::results::{Choices, Outcomes};
use crate::stats::{self, PairedDifference, number};

pub use gate::{Judgement, Judgements, Verdict};
pub use pairing::Refusal;
pub use told::{annotations, bare_p, json, junit, markdown, percent, points, verdicts};

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
    pub baseline_accuracy: f64,
    pub candidate_accuracy: f64,
    /// Candidate minus baseline, on the same samples.
    pub paired: PairedDifference,
    /// Exact `McNemar` after Holm over all pairs of the comparison.
    pub p_adjusted: f64,
    /// The smallest difference that would be significant at 5 % as the first of Holm's steps, the strictest; null where none could be.
    pub detectable: Option<f64>,
    /// Samples that one of the two alone gets right, the clearest first.
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
pub fn compare(baseline: &Outcomes, candidate: &Outcomes) -> Comparison {
    let (partners, refused) = pairing::partners(baseline, candidate);
    let mut pairs: Vec<Pair> = partners.iter().map(|pairing| pair(baseline, candidate, pairing, partners.len())).collect();
    let raw: Vec<f64> = pairs.iter().map(|pair| pair.paired.p_value).collect();
    pairs.iter_mut().zip(stats::holm(&raw)).for_each(|(pair, p)| pair.p_adjusted = p);
    let mut notes = Vec::new();
    if baseline.engine != candidate.engine {
        let (before, after) = (&baseline.engine, &candidate.engine);
        notes.push(format!("bench {before} made the baseline and bench {after} the candidate"));
    }
    Comparison { baseline: baseline.name.clone(), candidate: candidate.name.clone(), pairs, refused, notes }
}

fn pair(baseline: &Outcomes, candidate: &Outcomes, partners: &pairing::Partners<'_>, family: usize) -> Pair {
    let right =
        |labels: &[usize]| -> Vec<bool> { labels.iter().zip(partners.gold).map(|(label, gold)| label == gold).collect() };
    let (before, after) = (right(partners.before), right(partners.after));
    let paired = stats::paired_accuracy(&after, &before);
    let n = paired.difference.n;
    let accuracy = |right: &[bool]| number(right.iter().filter(|right| **right).count()) / number(n.max(1));
    Pair {
        baseline_cell: partners.baseline.id.clone(),
        candidate_cell: partners.candidate.id.clone(),
        choices: partners.candidate.choices.clone(),
        baseline_accuracy: accuracy(&before),
        candidate_accuracy: accuracy(&after),
        paired,
        p_adjusted: paired.p_value,
        detectable: stats::detectable(paired.wins + paired.losses, n, ALPHA / number(family)),
        flips: flips(baseline, candidate, partners),
    }
}

fn flips(baseline: &Outcomes, candidate: &Outcomes, partners: &pairing::Partners<'_>) -> Vec<Flip> {
    let slice = &partners.candidate.choices.slice;
    let labels = candidate.slice(slice).map_or(&[][..], |slice| &slice.labels);
    let name = |label: usize| labels.get(label).cloned().unwrap_or_default();
    let kept = |outcomes: &Outcomes, slice: &str| outcomes.texts.get(slice).filter(|texts| !texts.is_empty()).cloned();
    let texts = kept(candidate, slice).or_else(|| kept(baseline, &partners.baseline.choices.slice)).unwrap_or_default();
    let margin = |margins: &[Option<f64>], index: usize| margins.get(index).copied().flatten();
    let answers = partners.gold.iter().zip(partners.before.iter().zip(partners.after)).enumerate();
    let mut flips: Vec<Flip> = answers
        .filter(|(_, (gold, (before, after)))| (before == gold) != (after == gold))
        .map(|(index, (gold, (before, after)))| Flip {
            index,
            sample: texts.get(index).map(|text| text.id.clone()),
            text: texts.get(index).map(|text| text.text.clone()),
            gold: name(*gold),
            before: name(*before),
            after: name(*after),
            margin_before: margin(&partners.baseline.gold_margins, index),
            margin_after: margin(&partners.candidate.gold_margins, index),
        })
        .collect();
    let clear = |flip: &Flip| flip.margin_after.unwrap_or(0.0).abs();
    flips.sort_by(|a, b| clear(b).total_cmp(&clear(a)).then(a.index.cmp(&b.index)));
    flips
}
