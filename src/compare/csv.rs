//! Comparisons as a table for other programs: one line for each pair of cells, and for each cell that was compared with nothing.

use super::{Comparison, Pair};
use crate::results::Choices;
use crate::spec::Axis;

/// The columns after those of the axes.
const NUMBERS: [&str; 14] = [
    "metric",
    "baseline_value",
    "candidate_value",
    "difference",
    "low",
    "high",
    "n",
    "wins",
    "losses",
    "p",
    "p_adjusted",
    "correction",
    "detectable",
    "refused",
];

/// The comparisons as comma-separated values; a missing number is an empty field.
///
/// # Errors
/// When it cannot be encoded.
pub fn csv(comparisons: &[Comparison<'_>]) -> Result<String, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let axes = Axis::ALL.iter().map(|axis| axis.name());
    table.write_record(["baseline", "candidate", "baseline_cell", "candidate_cell"].into_iter().chain(axes).chain(NUMBERS))?;
    for comparison in comparisons {
        for pair in &comparison.pairs {
            let cells = [&pair.baseline_cell, &pair.candidate_cell];
            table.write_record(line(comparison, cells.map(String::as_str), &pair.choices, &numbers(comparison, pair)))?;
        }
        for refused in &comparison.refused {
            let mut numbers = [const { String::new() }; NUMBERS.len()];
            numbers[NUMBERS.len() - 1] = refused.why.to_string();
            table.write_record(line(comparison, ["", ""], &refused.choices, &numbers))?;
        }
    }
    let bytes = table.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn line<'a>(
    comparison: &'a Comparison<'_>,
    cells: [&'a str; 2],
    choices: &'a Choices,
    numbers: &'a [String],
) -> impl Iterator<Item = &'a str> {
    let runs = [comparison.baseline.as_str(), &comparison.candidate];
    let choices = Axis::ALL.iter().map(|&axis| choices.on(axis));
    runs.into_iter().chain(cells).chain(choices).chain(numbers.iter().map(String::as_str))
}

fn numbers(comparison: &Comparison<'_>, pair: &Pair<'_>) -> [String; NUMBERS.len()] {
    let difference = pair.paired.difference;
    let end = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
    [
        pair.metric.to_string(),
        pair.baseline_value.to_string(),
        pair.candidate_value.to_string(),
        difference.value.to_string(),
        end(difference.interval.map(|ends| ends.low)),
        end(difference.interval.map(|ends| ends.high)),
        difference.n.to_string(),
        pair.paired.wins.to_string(),
        pair.paired.losses.to_string(),
        pair.paired.p_value.to_string(),
        pair.p_adjusted.to_string(),
        comparison.correction.name().to_owned(),
        end(pair.detectable),
        String::new(),
    ]
}
