//! Two cells that gave cosines to the same pairs.

use super::apart::{Apart, Moved};
use super::pairing::Refusal;
use super::{Flip, Noise, Pair, Sides, Terms, labels};
use crate::results::{Answers, PairGold};
use crate::spec::{Aggregate, Measure, Task};
use crate::stats::{self, Agreement};

/// Pairs that moved most: those that are told.
const MOVED: usize = 20;

pub fn pair<'a>(sides: &Sides<'a, '_>, terms: &Terms, family: usize) -> Result<Pair<'a>, Refusal> {
    let partners = sides.partners;
    let asked = terms.metric_on(&partners.candidate.choices.slice);
    let known = Measure::of(partners.candidate.choices.task);
    let sides_called =
        [partners.before, partners.after].map(|answers| matches!(answers, Answers::Pairs { called: Some(_), .. }));
    // The slice that thresholds are picked on has no accuracy of its own.
    let has = |metric: &Measure| known.contains(metric) && (*metric != Measure::Accuracy || sides_called != [false, false]);
    let metric = asked.filter(has).or(known.first().copied()).unwrap_or(Measure::Spearman);
    let unknown = |why: &str| Refusal::Metric { metric, why: why.to_owned() };
    let gold = sides.baseline.pairs.get(&partners.baseline.choices.slice);
    let gold = gold.ok_or_else(|| unknown("the baseline keeps no gold scores"))?;
    let (Some(before), Some(after)) = (Side::of(partners.before), Side::of(partners.after)) else {
        return Err(unknown("one side holds no pairs"));
    };
    let agreement = |side: &Side<'_>| side.agreement(sides, metric, gold);
    let (Some(was), Some(is)) = (agreement(&before), agreement(&after)) else {
        return Err(unknown("one side takes no threshold from another slice"));
    };
    let resampled = Apart::resampled(sides, metric, [was, is], &gold.clusters, ("pair", family));
    let resampled = resampled.ok_or_else(|| {
        unknown(match metric {
            Measure::Ap => "no pair is of the second label",
            Measure::NdcgAt10 | Measure::VMeasure => "it is not measured of pairs",
            Measure::Spearman | Measure::Pearson | Measure::Accuracy | Measure::MacroF1 => {
                "all cosines, or all gold scores, are equal"
            }
        })
    })?;
    Ok(match (metric, before.called, after.called) {
        (Measure::Accuracy, Some(was), Some(is)) => {
            let (by_share, moved) = called(sides, terms, gold, [was, is], family);
            // Pairs that share a text are drawn together; each by itself has a test that is exact.
            sides.pair(if gold.clusters.is_trivial() { by_share } else { resampled }, moved)
        }
        _ => sides.pair(resampled, moved(sides, gold, &before, &after)),
    })
}

/// What one side gave.
struct Side<'a> {
    cosines: &'a [f64],
    called: Option<&'a [usize]>,
}

impl<'a> Side<'a> {
    fn of(answers: &'a Answers) -> Option<Self> {
        match answers {
            Answers::Pairs { cosines, called } => Some(Self { cosines, called: called.as_deref() }),
            Answers::Labels(_) | Answers::Queries(_) | Answers::Clusters(_) => None,
        }
    }

    /// The metric of this side; None without the threshold that it takes.
    fn agreement(&self, sides: &Sides<'_, '_>, metric: Measure, gold: &PairGold) -> Option<Agreement> {
        let per_subset = |task: &Task| matches!(task, Task::Sts { aggregate: Aggregate::PerSubset, .. });
        let parts = if sides.candidate.tasks.iter().any(per_subset) { gold.parts() } else { Vec::new() };
        let positive = || gold.gold.iter().map(|&gold| gold > 0.5);
        Some(match metric {
            Measure::Spearman => Agreement::rank(self.cosines, &gold.gold, &parts),
            Measure::Pearson => Agreement::linear(self.cosines, &gold.gold, &parts),
            Measure::Ap => Agreement::precision(&[self.cosines.to_vec()], positive().collect()),
            Measure::Accuracy => {
                let called = self.called?.iter().map(|called| *called == 1);
                Agreement::share(called.zip(positive()).map(|(called, positive)| called == positive).collect())
            }
            Measure::MacroF1 | Measure::NdcgAt10 | Measure::VMeasure => return None,
        })
    }
}

/// Pairs that were called the same or not, by the share that are right, and those that changed sides.
fn called<'a>(
    sides: &Sides<'a, '_>,
    terms: &Terms,
    gold: &PairGold,
    [was, is]: [&[usize]; 2],
    family: usize,
) -> (Apart, Moved<'a>) {
    let same: Vec<usize> = gold.gold.iter().map(|&gold| usize::from(gold > 0.5)).collect();
    let right = |called: &[usize]| -> Vec<bool> { called.iter().zip(&same).map(|(called, same)| called == same).collect() };
    let (apart, [wins, losses]) = Apart::by_share(&right(was), &right(is), family);
    let flips = labels::flips(sides, &same, was, is, terms.margin_floor);
    let noise = labels::noise(&flips, was, is, |called| Agreement::share(right(called)).overall(same.len()));
    (apart, Moved { wins, losses, noise, flips })
}

/// How many pairs each side ranks nearer their gold score, and those that moved most.
fn moved<'a>(sides: &Sides<'a, '_>, gold: &PairGold, before: &Side<'_>, after: &Side<'_>) -> Moved<'a> {
    let (was, is) = (stats::rank_distances(before.cosines, &gold.gold), stats::rank_distances(after.cosines, &gold.gold));
    let nearer = |nearer: &[f64], farther: &[f64]| nearer.iter().zip(farther).filter(|(near, far)| *near < *far).count();
    let gain = |pair: usize| was[pair] - is[pair];
    let mut order: Vec<usize> = (0..was.len()).filter(|&pair| gain(pair) != 0.0).collect();
    order.sort_by(|&a, &b| gain(b).abs().total_cmp(&gain(a).abs()).then(a.cmp(&b)));
    let texts = sides.texts();
    let flip = |&index: &usize| Flip {
        index,
        sample: texts.get(index).map(|text| text.id.as_str()),
        text: texts.get(index).map(|text| text.text.as_str()),
        gold: gold.gold[index].to_string().into(),
        before: format!("{:.4}", before.cosines[index]).into(),
        after: format!("{:.4}", after.cosines[index]).into(),
        margin_before: None,
        margin_after: None,
        gained: gain(index) > 0.0,
        noise: false,
    };
    Moved {
        wins: nearer(&is, &was),
        losses: nearer(&was, &is),
        noise: Noise::default(),
        flips: order.iter().take(MOVED).map(flip).collect(),
    }
}
