//! Two cells that gave labels to the same texts.

use std::borrow::Cow;

use super::apart::{Apart, Moved};
use super::pairing::Refusal;
use super::{Flip, Noise, Pair, Sides, Terms};
use crate::spec::Measure;
use crate::stats::{Agreement, Clusters};

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
    let (by_accuracy, [wins, losses]) = Apart::by_share(&right(before), &right(after), family);
    let asked = terms.metric_on(&partners.candidate.choices.slice);
    let figure = |predicted: &[usize]| match asked {
        Some(Measure::MacroF1) => Agreement::macro_f1(gold.to_vec(), predicted.to_vec(), sides.labels().len()),
        _ => Agreement::share(right(predicted)),
    };
    let apart = match asked {
        Some(metric @ Measure::MacroF1) => {
            let alone = Clusters::from_numbers((0..gold.len()).collect());
            let apart = Apart::resampled(sides, metric, [before, after].map(figure), &alone, ("sample", family));
            apart.ok_or_else(|| Refusal::Metric { metric, why: "there are no samples".to_owned() })?
        }
        _ => by_accuracy,
    };
    let flips = flips(sides, gold, before, after, terms.margin_floor);
    let noise = noise(&flips, before, after, |answers| figure(answers).overall(gold.len()));
    Ok(sides.pair(apart, Moved { wins, losses, noise, flips }))
}

/// Samples whose label changed within the noise of the computation, and what that makes of the figure: it would be another with
/// the labels that they had before.
pub fn noise(flips: &[Flip<'_>], before: &[usize], after: &[usize], figure: impl Fn(&[usize]) -> Option<f64>) -> Noise {
    let noisy: Vec<usize> = flips.iter().filter(|flip| flip.noise).map(|flip| flip.index).collect();
    if noisy.is_empty() {
        return Noise::default();
    }
    let mut undone = after.to_vec();
    noisy.into_iter().for_each(|index| undone[index] = before[index]);
    let change = figure(after).zip(figure(&undone)).map_or(0.0, |(after, undone)| after - undone);
    Noise::of(flips, change)
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
    let (margins_before, margins_after) = (&sides.partners.baseline.gold_margins, &sides.partners.candidate.gold_margins);
    let answers = gold.iter().zip(before.iter().zip(after)).enumerate();
    let changed = answers.filter(|(_, (gold, (before, after)))| (before == gold) != (after == gold)).map(|(index, _)| index);
    // Sorted before they are put together: there may be millions.
    let mut order: Vec<(f64, usize)> =
        changed.map(|index| (margin(margins_after, index).unwrap_or(0.0).abs(), index)).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let flip = |(_, index): (f64, usize)| {
        let [margin_before, margin_after] = [margins_before, margins_after].map(|margins| margin(margins, index));
        let known = || margin_before.iter().chain(&margin_after);
        let within = |floor: f64| known().next().is_some() && known().all(|margin| margin.abs() <= floor);
        Flip {
            index,
            sample: texts.get(index).map(|text| text.id.as_str()),
            text: texts.get(index).map(|text| text.text.as_str()),
            gold: label(gold[index]),
            before: label(before[index]),
            after: label(after[index]),
            margin_before,
            margin_after,
            gained: after[index] == gold[index],
            noise: floor.is_some_and(within),
        }
    };
    order.into_iter().map(flip).collect()
}
