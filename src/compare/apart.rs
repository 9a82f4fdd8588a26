//! How far two cells are apart: the one place where a pair of them is put together.

use serde::Serialize;

use super::{ALPHA, Flip, Pair, SEED, Sides};
use crate::spec::Measure;
use crate::stats::{self, Agreement, Clusters, Estimate, PairedDifference, number};

/// Two cells by one figure.
pub struct Apart {
    pub metric: Measure,
    /// The baseline's and the candidate's.
    pub values: [f64; 2],
    pub difference: Estimate,
    pub p_value: f64,
    pub detectable: Option<f64>,
    pub doubt: Option<String>,
}

/// The samples that changed sides, or moved most.
pub struct Moved<'a> {
    /// Samples that the candidate, and that the baseline, alone gets right or does better on.
    pub wins: usize,
    pub losses: usize,
    pub noise: Noise,
    pub flips: Vec<Flip<'a>>,
}

/// Samples that changed sides within the noise of the computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Noise {
    pub wins: usize,
    pub losses: usize,
    /// How much of the difference goes back to them.
    pub change: f64,
}

impl Noise {
    pub(super) fn of(flips: &[Flip<'_>], change: f64) -> Self {
        let count = |gained: bool| flips.iter().filter(|flip| flip.noise && flip.gained == gained).count();
        Self { wins: count(true), losses: count(false), change }
    }
}

impl Apart {
    /// By the share of samples that are right, each of which stands for itself: exact McNemar, and Tango's interval. `before` and
    /// `after` say whether each was right; p is corrected over a family of so many.
    pub fn by_share(before: &[bool], after: &[bool], family: usize) -> (Self, [usize; 2]) {
        let PairedDifference { difference, wins, losses, p_value } = stats::paired_accuracy(after, before);
        let share = |right: &[bool]| number(right.iter().filter(|right| **right).count()) / number(difference.n.max(1));
        let apart = Self {
            metric: Measure::Accuracy,
            values: [share(before), share(after)],
            difference,
            p_value,
            detectable: stats::detectable(wins + losses, difference.n, level(family)),
            doubt: None,
        };
        (apart, [wins, losses])
    }

    /// By a figure on resamples of the samples, the same for both sides; None where it is undefined on one of them. What is drawn
    /// is called `unit`.
    pub fn resampled(
        sides: &Sides<'_, '_>,
        metric: Measure,
        figures: [Agreement; 2],
        clusters: &Clusters,
        (unit, family): (&str, usize),
    ) -> Option<Self> {
        let [was, is] = figures.map(|figure| figure.resampled(clusters, SEED));
        let gain = is.minus(&was);
        let difference = gain.estimate()?;
        // The same answers on both sides differ by nothing, however few they are.
        let same = sides.partners.before == sides.partners.after;
        Some(Self {
            metric,
            values: [was.overall?, is.overall?],
            difference,
            p_value: gain.p_value(),
            detectable: gain.detectable(level(family)),
            doubt: if same { None } else { stats::doubt(&difference, clusters.count(), unit) },
        })
    }
}

/// The level of the first of the steps in which p-values are corrected, the strictest.
fn level(family: usize) -> f64 {
    ALPHA / number(family.max(1))
}

impl<'a> Sides<'a, '_> {
    /// The two cells, this far apart.
    pub fn pair(&self, apart: Apart, moved: Moved<'a>) -> Pair<'a> {
        let Apart { metric, values: [baseline_value, candidate_value], difference, p_value, detectable, doubt } = apart;
        let Moved { wins, losses, noise, flips } = moved;
        Pair {
            baseline_cell: self.partners.baseline.id.clone(),
            candidate_cell: self.partners.candidate.id.clone(),
            choices: self.partners.candidate.choices.clone(),
            differs: self.differs(),
            metric,
            baseline_value,
            candidate_value,
            paired: PairedDifference { difference, wins, losses, p_value },
            p_adjusted: p_value,
            detectable,
            doubt,
            noise,
            flips,
        }
    }
}
