//! A run held against figures that others published.

use crate::results::{CellRecord, Choices, RunRecord};
use crate::spec::{Anchor, suggest};

/// One published figure and what the run has for it.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    pub anchor: &'a Anchor,
    /// The cell and its figure, or why there is none.
    pub found: Result<Found<'a>, Unheld>,
}

/// The run's figure.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub choices: &'a Choices,
    pub value: f64,
}

/// Why the run has no figure for an anchor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheld {
    #[error("it matches {0} cells of the run, and should match one: name more axes, or the ids of the run's spec")]
    Cells(usize),
    #[error("cell {cell} failed: {reason}")]
    Failed { cell: String, reason: String },
    #[error("cell {cell} has no metric `{metric}`{}", suggestion.as_ref().map_or(String::new(), |name| format!(" (did you mean `{name}`?)")))]
    Metric { cell: String, metric: String, suggestion: Option<String> },
    #[error("`{metric}` of cell {cell} is not defined: {reason}")]
    Undefined { cell: String, metric: String, reason: String },
}

impl Held<'_> {
    /// Whether the run's figure is as near to the published one as the anchor asks. None where there is no figure.
    pub fn holds(&self) -> Option<bool> {
        let found = self.found.as_ref().ok()?;
        // Decimals of a spec are not exact: a difference of exactly the tolerance holds.
        Some((found.value - self.anchor.value).abs() <= self.anchor.tolerance + 1e-12)
    }
}

/// Holds a run against the anchors of a spec, in their order.
pub fn hold<'a>(anchors: &'a [Anchor], run: &'a RunRecord) -> Vec<Held<'a>> {
    anchors.iter().map(|anchor| Held { anchor, found: find(anchor, run) }).collect()
}

fn find<'a>(anchor: &Anchor, run: &'a RunRecord) -> Result<Found<'a>, Unheld> {
    let matching = |cell: &&CellRecord| anchor.cell.matches(|axis| cell.choices.on(axis));
    let cells: Vec<&CellRecord> = run.cells.iter().filter(matching).collect();
    let [cell] = cells.as_slice() else { return Err(Unheld::Cells(cells.len())) };
    let (id, metric) = (cell.id.clone(), anchor.metric.clone());
    if let Some(reason) = cell.failure() {
        return Err(Unheld::Failed { cell: id, reason: reason.to_owned() });
    }
    let of_slice = || cell.metrics().iter().filter(|row| row.label.is_none());
    let Some(row) = of_slice().find(|row| row.name == metric) else {
        let suggestion = suggest(&metric, of_slice().map(|row| row.name.as_str()));
        return Err(Unheld::Metric { cell: id, metric, suggestion });
    };
    match row.estimate {
        Some(estimate) => Ok(Found { choices: &cell.choices, value: estimate.value }),
        None => Err(Unheld::Undefined { cell: id, metric, reason: row.reason.clone().unwrap_or_default() }),
    }
}
