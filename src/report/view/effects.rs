//! What each choice on an axis is worth: means over cells that differ in that choice alone.

use super::Axis;
use super::contest::{self, AXES, Contest, Entry};
use crate::stats::{self, Estimate, RESAMPLES, number};

/// The worth of the choices on one axis.
pub struct Effect<'a> {
    pub axis: Axis,
    /// Combinations of the other axes that have a cell for every choice: the means are over these.
    pub blocks: usize,
    /// Best first.
    pub choices: Vec<Worth<'a>>,
    /// Choices that share too few combinations with the others to be compared.
    pub left_out: Vec<&'a str>,
}

/// The worth of one choice.
pub struct Worth<'a> {
    pub id: &'a str,
    /// Mean accuracy over the blocks.
    pub mean: f64,
    /// For each sample, the share of blocks that get it right; empty without predictions.
    rates: Vec<f64>,
}

impl Worth<'_> {
    /// Mean accuracy minus another choice's, with a bootstrap interval over the samples; no interval without predictions.
    pub fn over(&self, other: &Self, seed: u64) -> Estimate {
        let value = self.mean - other.mean;
        let gains: Vec<f64> = self.rates.iter().zip(&other.rates).map(|(a, b)| a - b).collect();
        let mean = |indices: &[u32]| {
            let drawn = indices.iter().filter_map(|&i| gains.get(i as usize));
            Some(drawn.sum::<f64>() / number(indices.len()))
        };
        stats::bootstrap(gains.len(), seed, RESAMPLES, mean, value)
    }
}

impl<'a> Effect<'a> {
    /// The effect of each axis on which language models' cells differ and can be compared; the floor's cells count only
    /// when there are no others.
    pub fn all(contest: &Contest<'a>) -> Vec<Self> {
        let models: Vec<&Entry> = contest.entries.iter().filter(|entry| !entry.floor).collect();
        let compared = if models.is_empty() { contest.entries.iter().collect() } else { models };
        AXES.into_iter().filter_map(|axis| Self::of(axis, &compared)).collect()
    }

    /// The effect of one axis among these cells; None when no two of them differ in it alone.
    pub fn of(axis: Axis, entries: &[&Entry<'a>]) -> Option<Self> {
        let mut compared = contest::distinct(entries.iter().copied(), axis);
        let mut left_out = Vec::new();
        while compared.len() > 1 {
            let blocks = complete_blocks(axis, entries, &compared);
            if !blocks.is_empty() {
                let mut choices: Vec<Worth> = compared.iter().enumerate().map(|(i, id)| worth(id, &blocks, i)).collect();
                choices.sort_by(|a, b| b.mean.total_cmp(&a.mean));
                return Some(Self { axis, blocks: blocks.len(), choices, left_out });
            }
            let rarest = compared.iter().enumerate().min_by_key(|(i, id)| (count(axis, entries, id), compared.len() - i));
            let place = rarest.map_or(0, |(i, _)| i);
            left_out.push(compared.remove(place));
        }
        None
    }
}

fn count(axis: Axis, entries: &[&Entry], id: &str) -> usize {
    entries.iter().filter(|entry| entry.on(axis) == id).count()
}

/// For each combination of the other axes that has them all: the cells in the order of `ids`.
fn complete_blocks<'e, 'a>(axis: Axis, entries: &[&'e Entry<'a>], ids: &[&str]) -> Vec<Vec<&'e Entry<'a>>> {
    let others: Vec<Axis> = AXES.into_iter().filter(|other| *other != axis).collect();
    let same_block = |a: &Entry, b: &Entry| others.iter().all(|other| a.on(*other) == b.on(*other));
    let starts = entries.iter().filter(|entry| ids.first() == Some(&entry.on(axis)));
    starts
        .filter_map(|start| {
            let member = |id: &&str| entries.iter().find(|entry| entry.on(axis) == *id && same_block(start, entry)).copied();
            ids.iter().map(member).collect::<Option<Vec<_>>>()
        })
        .collect()
}

fn worth<'a>(id: &'a str, blocks: &[Vec<&Entry<'a>>], place: usize) -> Worth<'a> {
    let cells: Vec<&Entry> = blocks.iter().filter_map(|block| block.get(place).copied()).collect();
    let mean = cells.iter().map(|cell| cell.accuracy.value).sum::<f64>() / number(cells.len().max(1));
    let samples = cells.iter().map(|cell| cell.right.len()).min().unwrap_or(0);
    let rate = |i: usize| number(cells.iter().filter(|cell| cell.right.get(i) == Some(&true)).count()) / number(cells.len());
    Worth { id, mean, rates: (0..samples).map(rate).collect() }
}
