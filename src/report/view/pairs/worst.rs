//! Pairs worth reading: those whose cosine is furthest from what people say of them.

use super::contest::{PairContest, PairEntry};
use crate::report::document::{Block, Example};
use crate::report::escape::{code, shorten, text};
use crate::report::number::{decimal, score_places};
use crate::results::Kind;
use crate::stats::{Ordered, number};

const SHOWN: usize = 5;
/// Most characters of one text.
const CHARACTERS: usize = 100;

/// A pair and how far its cosine ranks above its gold score. Range: -1..1.
type Ranked = (usize, f64);

pub fn worst(contest: &PairContest) -> Vec<Block> {
    let Some(best) = contest.best().filter(|_| contest.of_pairs()) else { return Vec::new() };
    let cosines = best.paired.cosines();
    let once = vec![1; cosines.len()];
    let ranks = |values: &[f64]| Ordered::new(values).ranks(&once);
    let (given, gold) = (ranks(&cosines), ranks(&contest.gold.gold));
    let classes = contest.slice.kind == Kind::Pairs;
    let same = |pair: usize| contest.gold.gold[pair] > 0.5;
    let above = |pair: usize| if classes { given[pair] } else { given[pair] - gold[pair] };
    let mut order: Vec<Ranked> = (0..cosines.len()).map(|pair| (pair, above(pair) / number(cosines.len()))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let (most, least): (Vec<Ranked>, Vec<Ranked>) = if classes {
        let others = order.iter().copied().filter(|(pair, _)| !same(*pair)).collect();
        (others, order.iter().rev().copied().filter(|(pair, _)| same(*pair)).collect())
    } else {
        let rising = order.iter().copied().filter(|(_, above)| *above > 0.0).collect();
        (rising, order.iter().rev().copied().filter(|(_, above)| *above < 0.0).collect())
    };
    let (low, high) = (cosines.iter().copied().fold(1.0, f64::min), cosines.iter().copied().fold(-1.0, f64::max));
    let places = score_places((high - low) / 2.0);
    let titles = if classes {
        ["Not the same, and the highest cosines", "The same, and the lowest cosines"]
    } else {
        ["More alike by cosine than people say", "Less alike by cosine than people say"]
    };
    let mut blocks = Vec::new();
    for (title, pairs) in titles.into_iter().zip([most, least]) {
        if pairs.is_empty() {
            continue;
        }
        let shown = pairs.iter().take(SHOWN);
        blocks.push(Block::Heading(3, title.to_owned()));
        blocks.push(Block::Examples(shown.map(|(pair, _)| example(contest, best, *pair, &[&given, &gold], places)).collect()));
    }
    if blocks.is_empty() {
        blocks.push(Block::Paragraph("No pair is on the wrong side.".to_owned()));
    }
    blocks
}

fn example(contest: &PairContest, best: &PairEntry, pair: usize, [given, gold]: &[&[f64]; 2], places: usize) -> Example {
    let all = contest.samples.len();
    let sample = contest.samples.get(pair);
    let (id, first) = sample.map_or(("?", "(text not kept)"), |sample| (sample.id.as_str(), sample.text.as_str()));
    let second = sample.and_then(|sample| sample.partner.as_ref()).map_or("", |partner| partner.text.as_str());
    let cosine = best.paired.scores_of(pair).first().copied().unwrap_or(0.0);
    let rank = |ranks: &[f64]| decimal(100.0 * ranks[pair] / number(all.max(1)), 0);
    let right = if contest.slice.kind == Kind::Pairs {
        let label = sample.and_then(|sample| sample.gold.label()).and_then(|label| contest.slice.labels.get(label));
        format!("label {}", code(label.map_or("?", String::as_str)))
    } else {
        format!("gold {}", contest.gold.gold[pair])
    };
    let subset = sample.and_then(|sample| sample.partner.as_ref()?.subset.as_deref());
    let of_subset = subset.map_or(String::new(), |subset| format!(", subset {}", code(subset)));
    let ranks = if contest.slice.kind == Kind::Pairs {
        let below = (given[pair] - 1.0).max(0.0) / number(all.max(1));
        format!("A higher cosine than {} % of the pairs.", decimal(100.0 * below, 1))
    } else {
        format!("Rank {} % by cosine, {} % by gold score; 100 % is the most alike.", rank(given), rank(gold))
    };
    Example {
        verdict: format!("**{right}**, cosine **{}** (sample {}{of_subset})", decimal(cosine, places), code(&shorten(id, 60))),
        text: format!("{} ⟷ {}", text(&shorten(first, CHARACTERS)), text(&shorten(second, CHARACTERS))),
        scores: ranks,
    }
}
