//! Two runs -> paired differences of accuracy or of what pairs of texts are scored by, and a verdict on each.
//!
//! `pairing` decides what may be compared with what, `labels`, `cosines` and `measured` compare by `apart`, `gate` judges, `told` and
//! `csv` write what others read; `anchors` holds a run against published figures.

mod anchors;
mod apart;
mod cosines;
mod csv;
mod gate;
mod labels;
mod measured;
mod pairing;
mod told;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use crate::results::{Answers, Choices, Outcomes, SampleText};
use crate::spec::{Axis, Correction, Gate, Measure};
use crate::stats::PairedDifference;

pub use anchors::{Found, Held, Unheld, hold};
pub use apart::Noise;
pub use csv::csv;
pub use gate::{Judgement, Judgements, Verdict};
pub use pairing::Refusal;
pub use told::{annotations, bare_p, changes, json, junit, margins, markdown, percent, points, value, verdicts};

/// Differences less likely than this under chance alone are called significant.
pub const ALPHA: f64 = 0.05;

/// Seed of all resamples: the same for every comparison, whatever the two runs had.
const SEED: u64 = 42;

/// How runs are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// The metric of cells whose task has it; else the task's first.
    pub metric: Option<Measure>,
    /// The same for the cells of some slices, by the candidate's id of the slice.
    pub metrics: BTreeMap<String, Measure>,
    pub correction: Correction,
    /// Flips whose known margins are at most this are noise.
    pub margin_floor: Option<f64>,
}

impl Terms {
    /// Those of a run's own spec.
    pub fn of(run: &Outcomes) -> Self {
        let Gate { metric, margin_floor, slice, .. } = run.gate.clone().unwrap_or_default();
        let metrics = slice.into_iter().filter_map(|(slice, own)| Some((slice, own.metric?))).collect();
        Self { metric, metrics, correction: run.correction, margin_floor }
    }

    fn metric_on(&self, slice: &str) -> Option<Measure> {
        self.metrics.get(slice).copied().or(self.metric)
    }
}

/// A candidate held against a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison<'a> {
    pub baseline: String,
    pub candidate: String,
    /// In the order of the candidate's plan.
    pub pairs: Vec<Pair<'a>>,
    /// Cells of the baseline that nothing may be compared with, in the order of its plan.
    pub refused: Vec<Refused>,
    /// What a reader should know beside the numbers.
    pub notes: Vec<String>,
    /// How p-values are corrected, over all pairs of all comparisons that are made at once.
    pub correction: Correction,
}

/// A cell of the baseline without a partner.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    pub choices: Choices,
    pub why: Refusal,
}

/// One cell of the candidate against its partner.
#[derive(Clone, Debug, Serialize)]
pub struct Pair<'a> {
    pub baseline_cell: String,
    pub candidate_cell: String,
    /// The candidate's.
    pub choices: Choices,
    /// What is not the same on the two sides, of cells whose content differs.
    pub differs: Vec<String>,
    /// What the two values are.
    pub metric: Measure,
    pub baseline_value: f64,
    pub candidate_value: f64,
    /// Candidate minus baseline, on the same samples. Of pairs that are scored by their ranking, wins and losses are those
    /// whose rank lies nearer that of their gold score on one of the two sides.
    pub paired: PairedDifference,
    /// Exact `McNemar` for shares, else Student's test by the error of resamples; after the correction over all pairs.
    pub p_adjusted: f64,
    /// The smallest difference that would be significant at 5 % as the first of the correction's steps, the strictest; null where
    /// none could be.
    pub detectable: Option<f64>,
    /// Why the interval is missing, or should not be trusted.
    pub doubt: Option<String>,
    /// Of the samples that changed sides, those that did within the noise of the computation.
    pub noise: Noise,
    /// Samples that one of the two alone gets right, the clearest first; of pairs scored by their ranking, those that moved
    /// most.
    pub flips: Vec<Flip<'a>>,
}

/// A sample that changed sides. Its words are those of the two runs: there may be millions of flips.
#[derive(Clone, Debug, Serialize)]
pub struct Flip<'a> {
    /// Place in the slice, from 0.
    pub index: usize,
    /// The sample's id and text; null when neither side keeps them.
    pub sample: Option<&'a str>,
    pub text: Option<&'a str>,
    pub gold: Cow<'a, str>,
    pub before: Cow<'a, str>,
    pub after: Cow<'a, str>,
    /// Gold score minus the best other score; null for a baseline, which keeps none.
    pub margin_before: Option<f64>,
    pub margin_after: Option<f64>,
    /// Whether the candidate is the side that is right, or nearer.
    pub gained: bool,
    /// Whether every margin that is known lies within the noise of the computation.
    pub noise: bool,
}

/// Holds a candidate against a baseline, cell by cell. Cells are partners when their content is the same, else when their
/// choices have the same names, else, where each side has one cell, those two; and always on the same samples alone.
///
/// They are compared by the metric of `terms` where their task has it, else by the task's first metric.
pub fn compare<'a>(baseline: &'a Outcomes, candidate: &'a Outcomes, terms: &Terms) -> Comparison<'a> {
    let mut comparison = uncorrected(baseline, candidate, terms);
    correct(std::slice::from_mut(&mut comparison), terms.correction);
    comparison
}

/// Holds a candidate against several baselines; p-values are corrected over all of them.
pub fn compare_all<'a>(
    baselines: impl Iterator<Item = &'a Outcomes>,
    candidate: &'a Outcomes,
    terms: &Terms,
) -> Vec<Comparison<'a>> {
    let mut comparisons: Vec<Comparison<'_>> = baselines.map(|baseline| uncorrected(baseline, candidate, terms)).collect();
    correct(&mut comparisons, terms.correction);
    comparisons
}

fn correct(comparisons: &mut [Comparison<'_>], correction: Correction) {
    let pairs = || comparisons.iter().flat_map(|comparison| &comparison.pairs);
    let raw: Vec<f64> = pairs().map(|pair| pair.paired.p_value).collect();
    let pairs = comparisons.iter_mut().flat_map(|comparison| &mut comparison.pairs);
    pairs.zip(correction.adjust(&raw)).for_each(|(pair, p)| pair.p_adjusted = p);
}

fn uncorrected<'a>(baseline: &'a Outcomes, candidate: &'a Outcomes, terms: &Terms) -> Comparison<'a> {
    let (partners, mut refused) = pairing::partners(baseline, candidate);
    let family = partners.len();
    let compared = partners.par_iter().map(|partners| pair(&Sides { baseline, candidate, partners }, terms, family));
    let mut pairs = Vec::with_capacity(family);
    for (partners, compared) in partners.iter().zip(compared.collect::<Vec<_>>()) {
        match compared {
            Ok(pair) => pairs.push(pair),
            Err(why) => refused.push(Refused { choices: partners.baseline.choices.clone(), why }),
        }
    }
    let notes = notes(baseline, candidate, &pairs);
    let (baseline, candidate) = (baseline.name.clone(), candidate.name.clone());
    Comparison { baseline, candidate, pairs, refused, notes, correction: terms.correction }
}

fn pair<'a>(sides: &Sides<'a, '_>, terms: &Terms, family: usize) -> Result<Pair<'a>, Refusal> {
    match (sides.partners.before, sides.partners.after) {
        (Answers::Labels(before), Answers::Labels(after)) => labels::pair(sides, terms, before, after, family),
        (Answers::Pairs { .. }, Answers::Pairs { .. }) => cosines::pair(sides, terms, family),
        (Answers::Queries(_), Answers::Queries(_)) | (Answers::Clusters(_), Answers::Clusters(_)) => {
            measured::pair(sides, Measure::of(sides.partners.candidate.choices.task)[0], family)
        }
        _ => Err(Refusal::Slice {
            slice: sides.partners.candidate.choices.slice.clone(),
            difference: "another kind of task on either side".to_owned(),
        }),
    }
}

/// What a reader should know of the two runs: who made them, where, and why cells were compared by name.
fn notes(baseline: &Outcomes, candidate: &Outcomes, pairs: &[Pair<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    if baseline.engine != candidate.engine {
        let (before, after) = (&baseline.engine, &candidate.engine);
        notes.push(format!("bench {before} made the baseline and bench {after} the candidate"));
    }
    for (model, device) in &candidate.devices {
        if let Some(before) = baseline.devices.get(model).filter(|before| *before != device) {
            notes.push(format!("model `{model}` ran on {before} for the baseline and on {device} for the candidate"));
        }
    }
    let doubts: BTreeSet<(&str, &str)> =
        pairs.iter().filter_map(|pair| Some((pair.choices.slice.as_str(), pair.doubt.as_deref()?))).collect();
    notes.extend(doubts.into_iter().map(|(slice, doubt)| format!("slice `{slice}`: {doubt}")));
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.baseline_cell != pair.candidate_cell) {
        *reasons.entry(pair.differs.join(", ")).or_default() += 1;
    }
    for (differs, cells) in reasons {
        let cells = if cells == 1 { "one cell differs".to_owned() } else { format!("{cells} cells differ") };
        let differs = if differs.is_empty() { "the baseline does not say in what".to_owned() } else { differs };
        notes.push(format!("{cells}: {differs}"));
    }
    notes
}

/// Two cells and the runs they are from.
struct Sides<'a, 'p> {
    baseline: &'a Outcomes,
    candidate: &'a Outcomes,
    partners: &'p pairing::Partners<'a>,
}

impl<'a> Sides<'a, '_> {
    /// The samples' texts, from whichever side keeps them.
    fn texts(&self) -> &'a [SampleText] {
        let kept = |outcomes: &'_ Outcomes, slice: &str| outcomes.texts.get(slice).is_some_and(|texts| !texts.is_empty());
        let (before, after) = (&self.partners.baseline.choices.slice, &self.partners.candidate.choices.slice);
        let from = if kept(self.candidate, after) { self.candidate.texts.get(after) } else { self.baseline.texts.get(before) };
        from.map_or(&[], |texts| texts.as_slice())
    }

    /// What is not the same on the two sides; nothing where the cells' content is.
    fn differs(&self) -> Vec<String> {
        let (before, after) = (self.partners.baseline, self.partners.candidate);
        if before.id == after.id {
            return Vec::new();
        }
        let differs = |axis: &Axis| {
            let (was, is) = (before.choices.on(*axis), after.choices.on(*axis));
            if was != is {
                return Some(format!("{axis} `{is}` instead of `{was}`"));
            }
            let (known, found) = (self.baseline.meaning(*axis, was)?, self.candidate.meaning(*axis, is)?);
            (known != found).then(|| format!("{axis} `{is}` stands for something else"))
        };
        Axis::ALL.iter().filter_map(differs).collect()
    }

    /// The names of the slice's labels.
    fn labels(&self) -> &'a [String] {
        self.candidate.slice(&self.partners.candidate.choices.slice).map_or(&[], |slice| slice.labels.as_slice())
    }
}
