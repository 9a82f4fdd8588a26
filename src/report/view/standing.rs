//! The ranked cells as values, for whoever shows them elsewhere than in a report.

use super::Axis;
use super::advice::share_or_dash;
use super::contest::{Contest, Reference};
use super::leaderboard::{adjusted_p, shown_axes};
use crate::report::number::{bare_p, percent_estimate, points};
use crate::results::RunRecord;

/// The ranking of one slice, worded as in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Id of the slice that the numbers are about.
    pub slice: String,
    /// Id of the slice that the order comes from, when that is another one.
    pub chosen_on: Option<String>,
    /// Model, prompt and the axes on which the cells differ: the first columns after the rank.
    pub axes: Vec<Axis>,
    /// Best first.
    pub standings: Vec<Standing>,
}

/// One line of a ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The cell's id.
    pub cell: String,
    /// The choice on each axis of the ranking.
    pub choices: Vec<String>,
    /// `70.2 %` on the slice that the order comes from, when that is another one.
    pub on_dev: Option<String>,
    /// `72.5 % [65.1, 78.9]`
    pub accuracy: String,
    /// Percentage points against the reference: `+8.1`; `reference` for itself; empty without one.
    pub difference: String,
    /// Exact p against the reference, after Holm; empty without one.
    pub p: String,
}

impl Ranking {
    /// One ranking for each slice that a run reports on.
    pub fn all(run: &RunRecord) -> Vec<Self> {
        Contest::all(run).iter().map(Self::of).collect()
    }

    fn of(contest: &Contest) -> Self {
        let axes = shown_axes(contest);
        let p = adjusted_p(contest);
        let standing = |(place, entry): (usize, &super::contest::Entry)| Standing {
            cell: entry.cell.id.clone(),
            choices: axes.iter().map(|axis| entry.on(*axis).to_owned()).collect(),
            on_dev: contest.chosen_on.map(|_| share_or_dash(entry.dev_accuracy())),
            accuracy: percent_estimate(&entry.accuracy),
            difference: match contest.reference_entry() {
                _ if contest.reference == Reference::Entry(place) => "reference".to_owned(),
                Some(reference) => points(entry.accuracy.value - reference.accuracy.value),
                None => String::new(),
            },
            p: p.get(place).copied().flatten().map(bare_p).unwrap_or_default(),
        };
        Self {
            slice: contest.slice.id.clone(),
            chosen_on: contest.chosen_on.map(|dev| dev.id.clone()),
            standings: contest.entries.iter().enumerate().map(standing).collect(),
            axes,
        }
    }
}
