//! Two cells that gave labels to the same texts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::pairing::Refusal;
use super::{ALPHA, Flip, Noise, Pair, SEED, Sides, Terms};
use crate::spec::Measure;
use crate::stats::{self, Agreement, Clusters, PairedDifference, number};

pub fn pair<'a>(
    sides: &Sides<'a, '_>,
    terms: &Terms,
    before: &[usize],
    after: &[usize],
    family: usize,
) -> Result<Pair<'a>, Refusal> {
    let partners = sides.partners;
    let gold = sides.baseline.gold.get(&partners.baseline.choices.slice).map_or(&[][..], Vec::as_slice);
    let right = |labels: &[usize]| -> Vec<bool> { labels.iter().zip(gold).map(|(label, gold)| label == gold).collect() };
    let (was, is) = (right(before), right(after));
    let paired = stats::paired_accuracy(&is, &was);
    let n = paired.difference.n;
    let accuracy = |right: &[bool]| number(right.iter().filter(|right| **right).count()) / number(n.max(1));
    let flips = flips(sides, gold, before, after, terms.margin_floor);
    let of_accuracy = Pair {
        baseline_cell: partners.baseline.id.clone(),
        candidate_cell: partners.candidate.id.clone(),
        choices: partners.candidate.choices.clone(),
        differs: sides.differs(),
        metric: Measure::Accuracy,
        baseline_value: accuracy(&was),
        candidate_value: accuracy(&is),
        paired,
        p_adjusted: paired.p_value,
        detectable: stats::detectable(paired.wins + paired.losses, n, ALPHA / number(family)),
        doubt: None,
        noise: Noise::of(&flips),
        flips,
    };
    if terms.metric_on(&partners.candidate.choices.slice) == Some(Measure::MacroF1) {
        return macro_f1(sides, of_accuracy, gold, [before, after], family);
    }
    Ok(of_accuracy)
}

/// The same pair by macro F1: the samples that changed sides are the same.
fn macro_f1<'a>(
    sides: &Sides<'a, '_>,
    of_accuracy: Pair<'a>,
    gold: &[usize],
    answers: [&[usize]; 2],
    family: usize,
) -> Result<Pair<'a>, Refusal> {
    let (metric, labels) = (Measure::MacroF1, sides.labels().len());
    let clusters = Clusters::from_numbers((0..gold.len()).collect());
    let [was, is] =
        answers.map(|predicted| Agreement::macro_f1(gold.to_vec(), predicted.to_vec(), labels).resampled(&clusters, SEED));
    let gain = is.minus(&was);
    let (Some(baseline_value), Some(candidate_value), Some(difference)) = (was.overall, is.overall, gain.estimate()) else {
        return Err(Refusal::Metric { metric, why: "there are no samples".to_owned() });
    };
    let p_value = gain.p_value();
    Ok(Pair {
        metric,
        baseline_value,
        candidate_value,
        paired: PairedDifference { difference, p_value, ..of_accuracy.paired },
        p_adjusted: p_value,
        detectable: super::detectable(&gain, family),
        // The same answers on both sides differ by nothing, however few they are.
        doubt: if answers[0] == answers[1] { None } else { stats::doubt(&difference, evenly(gold), "sample") },
        noise: Noise::default(),
        ..of_accuracy
    })
}

/// How many samples there would be if every label had as few as the rarest one: as many as a mean over labels rests on.
fn evenly(gold: &[usize]) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    gold.iter().for_each(|gold| *counts.entry(*gold).or_default() += 1);
    counts.len() * counts.values().copied().min().unwrap_or(0)
}

/// Samples that one side alone gets right, the clearest first.
pub fn flips<'a>(
    sides: &Sides<'a, '_>,
    gold: &[usize],
    before: &[usize],
    after: &[usize],
    floor: Option<f64>,
) -> Vec<Flip<'a>> {
    let (texts, labels) = (sides.texts(), sides.labels());
    let label = |label: usize| Cow::from(labels.get(label).map_or("", String::as_str));
    let margin = |margins: &[Option<f64>], index: usize| margins.get(index).copied().flatten();
    let answers = gold.iter().zip(before.iter().zip(after)).enumerate();
    let mut flips: Vec<Flip<'_>> = answers
        .filter(|(_, (gold, (before, after)))| (before == gold) != (after == gold))
        .map(|(index, (gold, (before, after)))| {
            let margin_before = margin(&sides.partners.baseline.gold_margins, index);
            let margin_after = margin(&sides.partners.candidate.gold_margins, index);
            let known = || margin_before.iter().chain(&margin_after);
            let within = |floor: f64| known().next().is_some() && known().all(|margin| margin.abs() <= floor);
            Flip {
                index,
                sample: texts.get(index).map(|text| text.id.as_str()),
                text: texts.get(index).map(|text| text.text.as_str()),
                gold: label(*gold),
                before: label(*before),
                after: label(*after),
                margin_before,
                margin_after,
                gained: after == gold,
                noise: floor.is_some_and(within),
            }
        })
        .collect();
    let clear = |flip: &Flip<'_>| flip.margin_after.unwrap_or(0.0).abs();
    flips.sort_by(|a, b| clear(b).total_cmp(&clear(a)).then(a.index.cmp(&b.index)));
    flips
}
