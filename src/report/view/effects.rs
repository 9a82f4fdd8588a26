//! What each choice on an axis is worth: means over cells that differ in that choice alone.

use super::Axis;
use super::contest::{self, AXES, Contest, Entry};
use crate::results::{AxisMean, CellRecord, ResultsError, axis_means};
use crate::stats::{Estimate, Scale, jackknife_all, number, paired_accuracy};

/// The worth of the choices on one axis.
pub struct Effect<'a> {
    pub axis: Axis,
    /// Combinations of the other axes that have a cell for every choice: the means are over these.
    pub blocks: usize,
    /// Best first: by the means on the dev slice where choices are made on one.
    pub choices: Vec<Worth<'a>>,
    /// Choices that share too few combinations with the others to be compared.
    pub left_out: Vec<&'a str>,
}

/// The worth of one choice.
pub struct Worth<'a> {
    pub id: &'a str,
    /// Mean accuracy over the blocks.
    pub mean: f64,
    /// The same on the dev slice, where choices are made on one.
    pub on_dev: Option<f64>,
    /// For each sample, the share of blocks that get it right; empty without predictions.
    rates: Vec<f64>,
    blocks: usize,
}

impl<'a> Worth<'a> {
    fn new(mean: &AxisMean<'a>, on_dev: Option<f64>) -> Self {
        let samples: Vec<_> = mean.cells.iter().filter_map(|cell| Some(&cell.scored()?.samples)).collect();
        let right = |i: usize| samples.iter().filter(|cell| cell.get(i).is_some_and(|row| row.gold == row.predicted)).count();
        let shortest = samples.iter().map(|cell| cell.len()).min().unwrap_or(0);
        let rates = (0..shortest).map(|i| number(right(i)) / number(samples.len())).collect();
        Self { id: mean.choice, mean: mean.value, on_dev, rates, blocks: samples.len() }
    }

    /// Mean accuracy minus another choice's, over the samples: Tango's interval where there is one block, else Student's, which holds
    /// the truth more often than a bootstrap's (`benches/coverage.rs`). No interval without predictions.
    pub fn over(&self, other: &Self) -> Estimate {
        let gains: Vec<f64> = self.rates.iter().zip(&other.rates).map(|(a, b)| a - b).collect();
        if (self.blocks, other.blocks) == (1, 1) && !gains.is_empty() {
            let [own, others] = [self, other].map(|worth| worth.rates.iter().map(|rate| *rate > 0.5).collect::<Vec<_>>());
            return paired_accuracy(&own, &others).difference;
        }
        let mean = |counts: &[u32]| {
            let drawn = gains.iter().zip(counts).map(|(gain, &count)| gain * f64::from(count));
            [Some(drawn.sum::<f64>() / f64::from(counts.iter().sum::<u32>()))]
        };
        let [estimate] = jackknife_all(gains.len(), Scale::Own, mean, [self.mean - other.mean]);
        estimate
    }
}

impl<'a> Effect<'a> {
    /// The effect of each axis on which language models' cells differ and can be compared; the floor's cells count only
    /// when there are no others. Where choices are made on a dev slice, cells without a score there take no part.
    pub fn all(contest: &Contest<'a>) -> Result<Vec<Self>, ResultsError> {
        let judged = |entry: &&Entry| contest.chosen_on.is_none() || entry.on_dev.is_some();
        let mut compared: Vec<&Entry> = contest.entries.iter().filter(judged).collect();
        if compared.iter().any(|entry| !entry.floor) {
            compared.retain(|entry| !entry.floor);
        }
        compared.sort_by_key(|entry| entry.order);
        AXES.into_iter().filter_map(|axis| Self::of(axis, &compared).transpose()).collect()
    }

    /// The effect of one axis among these cells; None when no two of them differ in it alone.
    fn of(axis: Axis, entries: &[&Entry<'a>]) -> Result<Option<Self>, ResultsError> {
        let mut compared = contest::distinct(entries.iter().copied(), axis);
        let mut left_out = Vec::new();
        while compared.len() > 1 {
            let kept: Vec<&Entry> = entries.iter().copied().filter(|entry| compared.contains(&entry.on(axis))).collect();
            let choices = worths(axis, &kept)?;
            if let Some((blocks, choices)) = choices {
                return Ok(Some(Self { axis, blocks, choices, left_out }));
            }
            let rarest = compared.iter().enumerate().min_by_key(|(i, id)| (count(axis, entries, id), compared.len() - i));
            let place = rarest.map_or(0, |(i, _)| i);
            left_out.push(compared.remove(place));
        }
        Ok(None)
    }
}

fn count(axis: Axis, entries: &[&Entry], id: &str) -> usize {
    entries.iter().filter(|entry| entry.on(axis) == id).count()
}

/// The number of complete combinations and the choices, best first; None without a complete combination.
fn worths<'a>(axis: Axis, entries: &[&Entry<'a>]) -> Result<Option<(usize, Vec<Worth<'a>>)>, ResultsError> {
    let cells: Vec<&CellRecord> = entries.iter().map(|entry| entry.cell).collect();
    // A cell and its twin on the dev slice differ in the slice alone, so both slices have the same combinations.
    let twins: Vec<&CellRecord> = entries.iter().filter_map(|entry| entry.on_dev).collect();
    let (means, on_dev) = (axis_means(&cells, axis)?, axis_means(&twins, axis)?);
    let dev = |choice: &str| on_dev.iter().find(|mean| mean.choice == choice).map(|mean| mean.value);
    let mut choices: Vec<Worth> = means.iter().map(|mean| Worth::new(mean, dev(mean.choice))).collect();
    let judged = |worth: &Worth| worth.on_dev.unwrap_or(worth.mean);
    choices.sort_by(|a, b| judged(b).total_cmp(&judged(a)));
    Ok(means.first().map(|mean| (mean.cells.len(), choices)))
}
