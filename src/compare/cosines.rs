//! Two cells that gave cosines to the same pairs.

use super::pairing::Refusal;
use super::{Flip, Noise, Pair, SEED, Sides, Terms, labels};
use crate::results::{Answers, PairGold};
use crate::spec::{Aggregate, Measure, Task};
use crate::stats::{self, Agreement, PairedDifference};

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
    let [was, is] = [was, is].map(|side| side.resampled(&gold.clusters, SEED));
    let gain = is.minus(&was);
    let (Some(was_value), Some(is_value), Some(difference)) = (was.overall, is.overall, gain.estimate()) else {
        return Err(unknown(match metric {
            Measure::Ap => "no pair is of the second label",
            Measure::NdcgAt10 | Measure::VMeasure => "it is not measured of pairs",
            Measure::Spearman | Measure::Pearson | Measure::Accuracy | Measure::MacroF1 => {
                "all cosines, or all gold scores, are equal"
            }
        }));
    };
    let p_value = gain.p_value();
    let (wins, losses, flips) = moved(sides, metric, gold, &before, &after);
    Ok(Pair {
        baseline_cell: partners.baseline.id.clone(),
        candidate_cell: partners.candidate.id.clone(),
        choices: partners.candidate.choices.clone(),
        differs: sides.differs(),
        metric,
        baseline_value: was_value,
        candidate_value: is_value,
        paired: PairedDifference { difference, wins, losses, p_value },
        p_adjusted: p_value,
        detectable: super::detectable(&gain, family),
        // The same cosines on both sides differ by nothing, however few they are.
        doubt: if before.cosines == after.cosines { None } else { stats::doubt(&difference, gold.clusters.count(), "pair") },
        noise: Noise::default(),
        flips,
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

/// How many pairs each side alone gets right, or nearer; and the pairs that changed sides, or moved most.
fn moved<'a>(
    sides: &Sides<'a, '_>,
    metric: Measure,
    gold: &PairGold,
    before: &Side<'_>,
    after: &Side<'_>,
) -> (usize, usize, Vec<Flip<'a>>) {
    if let (Measure::Accuracy, Some(was), Some(is)) = (metric, before.called, after.called) {
        let labels: Vec<usize> = gold.gold.iter().map(|&gold| usize::from(gold > 0.5)).collect();
        let flips = labels::flips(sides, &labels, was, is, None);
        let wins = (0..labels.len()).filter(|&i| is[i] == labels[i] && was[i] != labels[i]).count();
        return (wins, flips.len() - wins, flips);
    }
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
    (nearer(&is, &was), nearer(&was, &is), order.iter().take(MOVED).map(flip).collect())
}
