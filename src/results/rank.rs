//! Which cells and which choices are best.

use std::cmp::Ordering;

use polars::prelude::*;

use super::{Axis, CellRecord, Choices, ResultsError, RunRecord};

/// What one choice on an axis is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisMean {
    pub choice: String,
    /// Mean accuracy over `cells` cells; None where no combination of the other axes has a cell for every choice.
    pub accuracy: Option<f64>,
    pub cells: usize,
}

/// The best cell for every pair of choices on two axes.
#[derive(Clone, Debug)]
pub struct Best<'a> {
    /// Choices on the first axis, in the order of the plan.
    pub rows: Vec<String>,
    /// Choices on the second axis, in the order of the plan.
    pub columns: Vec<String>,
    /// Row-major `[rows, columns]`; None where no cell has scores.
    pub cells: Vec<Option<&'a CellRecord>>,
}

impl<'a> Best<'a> {
    /// The best cell at a row and a column.
    pub fn at(&self, row: usize, column: usize) -> Option<&'a CellRecord> {
        if column < self.columns.len() { self.cells.get(row * self.columns.len() + column).copied().flatten() } else { None }
    }
}

const AXES: [Axis; 6] = [Axis::Model, Axis::Prompt, Axis::Readout, Axis::Slice, Axis::Labels, Axis::Calibration];

impl RunRecord {
    /// All cells, best accuracy first; equal ones by macro F1, then in the order of the plan. Failed cells come last.
    pub fn leaderboard(&self) -> Vec<&CellRecord> {
        let mut cells: Vec<&CellRecord> = self.cells.iter().collect();
        cells.sort_by(|a, b| by_metric(a, b, "accuracy").then_with(|| by_metric(a, b, "macro_f1")));
        cells
    }

    /// For each choice on `axis`, its mean accuracy over the combinations of the other axes that have a scored cell for
    /// every choice: a balanced comparison, in which choices differ in nothing else. In the order of the plan.
    ///
    /// # Errors
    /// [`ResultsError::Summary`] when the table library fails.
    pub fn axis_means(&self, axis: Axis) -> Result<Vec<AxisMean>, ResultsError> {
        let choices = self.choices_on(axis, |_| true);
        let means = self.balanced_means(axis, choices.len()).map_err(|source| ResultsError::Summary { source })?;
        let mean = |choice: String| match means.iter().find(|mean| mean.choice == choice) {
            Some(mean) => mean.clone(),
            None => AxisMean { choice, accuracy: None, cells: 0 },
        };
        Ok(choices.into_iter().map(mean).collect())
    }

    /// The best cell for every pair of choices on two axes, over all choices on the others, among the cells that `keep` admits.
    ///
    /// With `rows` prompts, `columns` labels and `keep` one slice, this is the report's heat map.
    ///
    /// # Errors
    /// [`ResultsError::Summary`] when the table library fails.
    pub fn best_by(&self, rows: Axis, columns: Axis, keep: impl Fn(&Choices) -> bool) -> Result<Best<'_>, ResultsError> {
        let ranked: Vec<&CellRecord> = self.leaderboard().into_iter().filter(|cell| keep(&cell.choices)).collect();
        let scored: Vec<&CellRecord> = ranked.into_iter().filter(|cell| cell.estimate("accuracy").is_some()).collect();
        let firsts = first_of_each_pair(&scored, rows, columns).map_err(|source| ResultsError::Summary { source })?;
        let (row_names, column_names) = (self.choices_on(rows, &keep), self.choices_on(columns, &keep));
        let best = |row: &String, column: &String| {
            firsts
                .iter()
                .filter_map(|&first| scored.get(first).copied())
                .find(|cell| cell.choices.on(rows) == row && cell.choices.on(columns) == column)
        };
        let cells = row_names.iter().flat_map(|row| column_names.iter().map(|column| best(row, column))).collect();
        Ok(Best { rows: row_names, columns: column_names, cells })
    }

    /// The choices on one axis, each once, in the order of the plan.
    fn choices_on(&self, axis: Axis, keep: impl Fn(&Choices) -> bool) -> Vec<String> {
        let mut choices: Vec<String> = Vec::new();
        for cell in self.cells.iter().filter(|cell| keep(&cell.choices)) {
            let choice = cell.choices.on(axis);
            if !choices.iter().any(|known| known == choice) {
                choices.push(choice.to_owned());
            }
        }
        choices
    }

    fn balanced_means(&self, axis: Axis, choices: usize) -> PolarsResult<Vec<AxisMean>> {
        let scored: Vec<&CellRecord> = self.cells.iter().filter(|cell| cell.estimate("accuracy").is_some()).collect();
        let others: Vec<Expr> = AXES.into_iter().filter(|&other| other != axis).map(|other| col(column_of(other))).collect();
        let means = choices_frame(&scored)?
            .lazy()
            .filter(col(column_of(axis)).n_unique().over(others)?.eq(lit(choices as u64)))
            .group_by_stable([col(column_of(axis))])
            .agg([col("accuracy").mean(), len().cast(DataType::UInt64).alias("cells")])
            .collect()?;
        let (names, values) = (means.column(column_of(axis))?.str()?, means.column("accuracy")?.f64()?);
        let counts = means.column("cells")?.u64()?;
        Ok(names
            .iter()
            .zip(values.iter())
            .zip(counts.iter())
            .filter_map(|((name, accuracy), cells)| {
                let cells = usize::try_from(cells?).ok()?;
                Some(AxisMean { choice: name?.to_owned(), accuracy, cells })
            })
            .collect())
    }
}

/// The column that holds the choices on an axis.
const fn column_of(axis: Axis) -> &'static str {
    match axis {
        Axis::Model => "model",
        Axis::Prompt => "prompt",
        Axis::Readout => "readout",
        Axis::Slice => "slice",
        Axis::Labels => "labels",
        Axis::Calibration => "calibration",
    }
}

/// The higher value first; a cell without the metric after all that have it.
fn by_metric(a: &CellRecord, b: &CellRecord, metric: &str) -> Ordering {
    match (a.estimate(metric), b.estimate(metric)) {
        (Some(a), Some(b)) => b.value.total_cmp(&a.value),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// One row per cell: its choices, its accuracy and its place among `cells`.
fn choices_frame(cells: &[&CellRecord]) -> PolarsResult<DataFrame> {
    let on = |axis: Axis| {
        let choices: Vec<&str> = cells.iter().map(|cell| cell.choices.on(axis)).collect();
        Column::new(column_of(axis).into(), choices)
    };
    let accuracy: Vec<Option<f64>> = cells.iter().map(|cell| Some(cell.estimate("accuracy")?.value)).collect();
    let places: Vec<u64> = (0..).take(cells.len()).collect();
    let values = [Column::new("accuracy".into(), accuracy), Column::new("place".into(), places)];
    DataFrame::new_infer_height(AXES.into_iter().map(on).chain(values).collect())
}

/// The places of the first cell for each pair of choices.
fn first_of_each_pair(ranked: &[&CellRecord], rows: Axis, columns: Axis) -> PolarsResult<Vec<usize>> {
    let firsts = choices_frame(ranked)?
        .lazy()
        .group_by_stable([col(column_of(rows)), col(column_of(columns))])
        .agg([col("place").first()])
        .collect()?;
    Ok(firsts.column("place")?.u64()?.iter().flatten().filter_map(|place| usize::try_from(place).ok()).collect())
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

    #[test]
    fn axis_means_compare_only_complete_combinations() {
        let record = record();
        let mean = |choice: &str, accuracy, cells| AxisMean { choice: choice.to_owned(), accuracy, cells };
        // Of the two prompts, only `raw` has both models: 2/3 against 1/3.
        let models = record.axis_means(Axis::Model).unwrap();
        assert_eq!(models, [mean("big", Some(2.0 / 3.0), 1), mean("small", Some(1.0 / 3.0), 1)]);
        // Of the two models, only `big` has both prompts.
        let prompts = record.axis_means(Axis::Prompt).unwrap();
        assert_eq!(prompts, [mean("raw", Some(2.0 / 3.0), 1), mean("eol", Some(1.0), 1)]);
        // A single choice is compared with nothing: the mean of all three scored cells.
        let readouts = record.axis_means(Axis::Readout).unwrap();
        assert_eq!(readouts.len(), 1);
        assert!((readouts[0].accuracy.unwrap() - 2.0 / 3.0).abs() < 1e-12 && readouts[0].cells == 3);
    }

    #[test]
    fn an_axis_without_a_complete_combination_has_no_means() {
        let cells = vec![cell("aaaaaaaaaaaa", "big", "raw", [0, 1, 1]), cell("bbbbbbbbbbbb", "small", "eol", [0, 1, 1])];
        let record = RunRecord { provenance: provenance(), samples: samples(), cells };
        let means = record.axis_means(Axis::Model).unwrap();
        assert!(means.len() == 2 && means.iter().all(|mean| mean.accuracy.is_none() && mean.cells == 0), "{means:?}");
    }

    #[test]
    fn the_best_cell_of_each_pair() {
        let record = record();
        let best = record.best_by(Axis::Prompt, Axis::Labels, |choices| choices.slice == "apps2").unwrap();
        assert_eq!((best.rows.join(" "), best.columns.join(" ")), ("raw eol".to_owned(), "names".to_owned()));
        assert_eq!(ids([best.at(0, 0).unwrap(), best.at(1, 0).unwrap()]), "ca");
        assert!(best.at(0, 1).is_none() && best.at(2, 0).is_none());
        let small = record.best_by(Axis::Prompt, Axis::Model, |choices| choices.model == "small").unwrap();
        assert_eq!(ids(small.at(0, 0)), "b");
        assert!(small.at(1, 0).is_none(), "the cell failed");
        assert!(record.best_by(Axis::Prompt, Axis::Model, |_| false).unwrap().cells.is_empty());
    }
}
