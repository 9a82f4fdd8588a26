//! Two cells that measured the same queries, or that clustered the same texts.

use std::borrow::Cow;

use super::apart::{Apart, Moved};
use super::pairing::Refusal;
use super::{Flip, Noise, Pair, Sides};
use crate::results::Answers;
use crate::spec::Measure;
use crate::stats::{Agreement, Clusters};

/// Queries that moved most: those that are told.
const MOVED: usize = 20;

pub fn pair<'a>(sides: &Sides<'a, '_>, metric: Measure, family: usize) -> Result<Pair<'a>, Refusal> {
    let partners = sides.partners;
    let unknown = |why: &str| Refusal::Metric { metric, why: why.to_owned() };
    // Queries whose documents were judged have no labels.
    let gold = sides.baseline.gold.get(&partners.baseline.choices.slice).map_or(&[][..], Vec::as_slice);
    let samples = match partners.before {
        Answers::Queries(figures) => figures.len(),
        _ if gold.is_empty() => return Err(unknown("no labels are kept")),
        _ => gold.len(),
    };
    let alone = Clusters::from_numbers((0..samples).collect());
    let of = |answers: &Answers| match answers {
        Answers::Queries(figures) => Some(Agreement::mean(figures.clone())),
        Answers::Clusters(clusters) => Some(Agreement::parts(gold.to_vec(), clusters.clone())),
        Answers::Labels(_) | Answers::Pairs { .. } => None,
    };
    let (Some(before), Some(after)) = (of(partners.before), of(partners.after)) else {
        return Err(unknown("one side measured something else"));
    };
    let apart = Apart::resampled(sides, metric, [before, after], &alone, ("sample", family));
    let apart = apart.ok_or_else(|| unknown("no query has a relevant document"))?;
    let moved = moved(sides);
    let count = |holds: fn(f64) -> bool| moved.iter().filter(|(_, before, after)| holds(after - before)).count();
    let (wins, losses) = (count(|gain| gain > 0.0), count(|gain| gain < 0.0));
    let flips = moved.iter().take(MOVED).map(|&(index, before, after)| flip(sides, gold, index, [before, after])).collect();
    Ok(sides.pair(apart, Moved { wins, losses, noise: Noise::default(), flips }))
}

/// Queries whose figure changed, those that changed most first, with both figures; none of clusters, whose texts have none.
fn moved(sides: &Sides<'_, '_>) -> Vec<(usize, f64, f64)> {
    let (Answers::Queries(before), Answers::Queries(after)) = (sides.partners.before, sides.partners.after) else {
        return Vec::new();
    };
    let both = before.iter().zip(after).enumerate();
    let mut moved: Vec<(usize, f64, f64)> = both.filter_map(|(index, (was, is))| Some((index, (*was)?, (*is)?))).collect();
    moved.retain(|(_, was, is)| was.total_cmp(is).is_ne());
    moved.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()).then(a.0.cmp(&b.0)));
    moved
}

fn flip<'a>(sides: &Sides<'a, '_>, gold: &[usize], index: usize, figures: [f64; 2]) -> Flip<'a> {
    let text = sides.texts().get(index);
    let [before, after] = figures.map(|figure| Cow::Owned(format!("{figure:.4}")));
    Flip {
        index,
        sample: text.map(|text| text.id.as_str()),
        text: text.map(|text| text.text.as_str()),
        gold: Cow::Borrowed(gold.get(index).and_then(|label| sides.labels().get(*label)).map_or("–", String::as_str)),
        before,
        after,
        margin_before: None,
        margin_after: None,
        gained: figures[1] > figures[0],
        noise: false,
    }
}
