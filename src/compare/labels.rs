//! Two cells that gave labels to the same texts.

use super::{ALPHA, Flip, Pair, Sides};
use crate::spec::Measure;
use crate::stats::{self, number};

pub fn pair(sides: &Sides<'_>, before: &[usize], after: &[usize], family: usize) -> Pair {
    let partners = sides.partners;
    let gold = sides.baseline.gold.get(&partners.baseline.choices.slice).map_or(&[][..], Vec::as_slice);
    let right = |labels: &[usize]| -> Vec<bool> { labels.iter().zip(gold).map(|(label, gold)| label == gold).collect() };
    let (was, is) = (right(before), right(after));
    let paired = stats::paired_accuracy(&is, &was);
    let n = paired.difference.n;
    let accuracy = |right: &[bool]| number(right.iter().filter(|right| **right).count()) / number(n.max(1));
    Pair {
        baseline_cell: partners.baseline.id.clone(),
        candidate_cell: partners.candidate.id.clone(),
        choices: partners.candidate.choices.clone(),
        metric: Measure::Accuracy,
        baseline_value: accuracy(&was),
        candidate_value: accuracy(&is),
        paired,
        p_adjusted: paired.p_value,
        detectable: stats::detectable(paired.wins + paired.losses, n, ALPHA / number(family)),
        flips: flips(sides, gold, before, after),
    }
}

/// Samples that one side alone gets right, the clearest first.
pub fn flips(sides: &Sides<'_>, gold: &[usize], before: &[usize], after: &[usize]) -> Vec<Flip> {
    let texts = sides.texts();
    let margin = |margins: &[Option<f64>], index: usize| margins.get(index).copied().flatten();
    let answers = gold.iter().zip(before.iter().zip(after)).enumerate();
    let mut flips: Vec<Flip> = answers
        .filter(|(_, (gold, (before, after)))| (before == gold) != (after == gold))
        .map(|(index, (gold, (before, after)))| Flip {
            index,
            sample: texts.get(index).map(|text| text.id.clone()),
            text: texts.get(index).map(|text| text.text.clone()),
            gold: sides.label(*gold),
            before: sides.label(*before),
            after: sides.label(*after),
            margin_before: margin(&sides.partners.baseline.gold_margins, index),
            margin_after: margin(&sides.partners.candidate.gold_margins, index),
        })
        .collect();
    let clear = |flip: &Flip| flip.margin_after.unwrap_or(0.0).abs();
    flips.sort_by(|a, b| clear(b).total_cmp(&clear(a)).then(a.index.cmp(&b.index)));
    flips
}
