//! Which cells are best, and what each choice is worth.

use std::cmp::Ordering;

use polars::prelude::*;

use super::{Axis, CellRecord, ResultsError, RunRecord};
use crate::stats::Estimate;

/// What one choice on an axis is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisMean<'a> {
    pub choice: &'a str,
    /// Mean over the cells of the metric they are ranked by.
    pub value: f64,
    /// One for each combination of the other axes that has a cell for every choice.
    pub cells: Vec<&'a CellRecord>,
}

impl RunRecord {
    /// All cells, those of one task together and in the order of the tasks, best first by the metric their task ranks them by;
    /// equal ones by macro F1, then in the order of the plan. Failed cells come last.
    pub fn leaderboard(&self) -> Vec<&CellRecord> {
        let mut cells: Vec<&CellRecord> = self.cells.iter().collect();
        let macro_f1 = |cell: &CellRecord| cell.estimate("macro_f1");
        let place = |cell: &CellRecord| (ranked_by(cell).is_none(), self.provenance.place(cell.choices.task));
        cells.sort_by(|a, b| {
            let better = by_metric(ranked_by(a), ranked_by(b)).then_with(|| by_metric(macro_f1(a), macro_f1(b)));
            place(a).cmp(&place(b)).then(better)
        });
        cells
    }
}

fn ranked_by(cell: &CellRecord) -> Option<Estimate> {
    cell.headline()?.estimate
}

/// For each choice on `axis` that a scored one of these cells made, its mean over the combinations of the other
/// axes that have a cell for every choice: a balanced comparison, in which choices differ in nothing else. In the order of
/// the cells; empty when no combination has them all.
///
/// # Errors
/// [`ResultsError::Summary`] when the table library fails.
pub fn axis_means<'a>(cells: &[&'a CellRecord], axis: Axis) -> Result<Vec<AxisMean<'a>>, ResultsError> {
    let scored: Vec<&CellRecord> = cells.iter().copied().filter(|cell| ranked_by(cell).is_some()).collect();
    balanced_means(&scored, axis).map_err(|source| ResultsError::Summary { source })
}

fn balanced_means<'a>(scored: &[&'a CellRecord], axis: Axis) -> PolarsResult<Vec<AxisMean<'a>>> {
    let choice = || col(axis.name());
    let others: Vec<Expr> = Axis::ALL.iter().copied().filter(|&other| other != axis).map(|other| col(other.name())).collect();
    let complete = choices_frame(scored)?.lazy().filter(choice().n_unique().over(others)?.eq(choice().n_unique())).collect()?;
    let places = complete.column("place")?.u64()?.iter().flatten();
    let kept: Vec<&CellRecord> = places.filter_map(|place| scored.get(usize::try_from(place).ok()?).copied()).collect();
    let means = complete.lazy().group_by_stable([choice()]).agg([col("value").mean()]).collect()?;
    let (names, values) = (means.column(axis.name())?.str()?, means.column("value")?.f64()?);
    let mean = |(name, value): (Option<&str>, Option<f64>)| {
        let cells: Vec<&CellRecord> = kept.iter().copied().filter(|cell| Some(cell.choices.on(axis)) == name).collect();
        Some(AxisMean { choice: cells.first()?.choices.on(axis), value: value?, cells })
    };
    Ok(names.iter().zip(values.iter()).filter_map(mean).collect())
}

/// The higher value first; a cell without the metric after all that have it.
fn by_metric(a: Option<Estimate>, b: Option<Estimate>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.value.total_cmp(&a.value),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// One row per cell: its choices, its value and its place among `cells`.
fn choices_frame(cells: &[&CellRecord]) -> PolarsResult<DataFrame> {
    let on = |axis: Axis| {
        let choices: Vec<&str> = cells.iter().map(|cell| cell.choices.on(axis)).collect();
        Column::new(axis.name().into(), choices)
    };
    let ranked: Vec<Option<f64>> = cells.iter().map(|cell| Some(ranked_by(cell)?.value)).collect();
    let places: Vec<u64> = (0..).take(cells.len()).collect();
    let values = [Column::new("value".into(), ranked), Column::new("place".into(), places)];
    DataFrame::new_infer_height(Axis::ALL.iter().copied().map(on).chain(values).collect())
}

#[cfg(test)]
mod tests {
    use super::super::example::{cell, failed, provenance, record, samples};
    use super::*;

    fn ids<'a>(cells: impl IntoIterator<Item = &'a CellRecord>) -> String {
        cells.into_iter().map(|cell| &cell.id[..1]).collect()
    }

    #[test]
    fn the_leaderboard_starts_with_the_best_and_ends_with_failures() {
        // Accuracies: a 3/3, c 2/3, b 1/3; d failed.
        assert_eq!(ids(record().leaderboard()), "acbd");
        let mut tied = record();
        tied.cells.insert(0, failed("eeeeeeeeeeee", "small", "raw"));
        tied.cells.push(cell("ffffffffffff", "small", "raw", [0, 1, 1]));
        assert_eq!(ids(tied.leaderboard()), "afcbed");
    }

    /// Choice, mean accuracy and cells, one line for each.
    fn worth(record: &RunRecord, axis: Axis) -> Vec<String> {
        let cells: Vec<&CellRecord> = record.cells.iter().collect();
        let means = axis_means(&cells, axis).unwrap();
        means.iter().map(|mean| format!("{} {:.4} {}", mean.choice, mean.value, ids(mean.cells.iter().copied()))).collect()
    }

    #[test]
    fn axis_means_compare_only_complete_combinations() {
        let record = record();
        // Of the two prompts, only `raw` has both models: 2/3 against 1/3.
        assert_eq!(worth(&record, Axis::Model), ["big 0.6667 c", "small 0.3333 b"]);
        // Of the two models, only `big` has both prompts.
        assert_eq!(worth(&record, Axis::Prompt), ["raw 0.6667 c", "eol 1.0000 a"]);
        // A single choice is compared with nothing: the mean of all three scored cells.
        assert_eq!(worth(&record, Axis::Readout), ["last 0.6667 cab"]);
    }

    #[test]
    fn an_axis_without_a_complete_combination_has_no_means() {
        let cells = vec![cell("aaaaaaaaaaaa", "big", "raw", [0, 1, 1]), cell("bbbbbbbbbbbb", "small", "eol", [0, 1, 1])];
        let record =
            RunRecord { provenance: provenance(), samples: samples(), cells, places: Vec::new(), cuts: Some(Vec::new()) };
        assert!(worth(&record, Axis::Model).is_empty());
        assert!(axis_means(&[], Axis::Model).unwrap().is_empty());
    }
}
