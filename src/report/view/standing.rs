//! The ranked cells as values, for whoever shows them elsewhere than in a report.

use super::Axis;
use super::advice::share_or_dash;
use super::contest::{Contest, Reference};
use super::leaderboard::{adjusted_p, shown_axes};
use super::pairs::{PairContest, PairEntry, hundredths, with_interval};
use crate::report::number::{bare_p, percent_estimate, points};
use crate::results::RunRecord;
use crate::spec::TaskKind;
use crate::stats::Correction;

/// The ranking of one task on one slice, worded as in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Id of the slice that the numbers are about.
    pub slice: String,
    pub task: TaskKind,
    /// Id of the slice that the order comes from, when that is another one.
    pub chosen_on: Option<String>,
    /// What the values are: `accuracy`, `Spearman`.
    pub metric: &'static str,
    /// Model, prompt and the axes on which the cells differ: the first columns after the rank.
    pub axes: Vec<Axis>,
    /// How p-values are corrected.
    pub correction: Correction,
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
    /// `72.5 % [65.1, 78.9]`, or `82.03 [80.11, 83.76]`
    pub value: String,
    /// Percentage points against the reference: `+8.1`; `reference` for itself; empty without one.
    pub difference: String,
    /// p against the reference, corrected; empty without one.
    pub p: String,
}

impl Ranking {
    /// One ranking for each task and slice that a run reports on, in the order of the spec's tasks.
    pub fn all(run: &RunRecord) -> Vec<Self> {
        let contests = Contest::all(run);
        let pairs = PairContest::all(run, contests.len());
        let mut all: Vec<Self> = contests.iter().map(Self::of).chain(pairs.iter().map(Self::of_pairs)).collect();
        all.sort_by_key(|ranking| run.provenance.place(ranking.task));
        all
    }

    fn of_pairs(contest: &PairContest) -> Self {
        let axes = contest.shown_axes();
        let against = contest.against_reference();
        let standing = |(place, entry): (usize, &PairEntry)| {
            let found = against.get(place).copied().flatten();
            Standing {
                cell: entry.cell.id.clone(),
                choices: axes.iter().map(|axis| entry.on(*axis).to_owned()).collect(),
                on_dev: contest.chosen_on.map(|_| entry.dev_value().map_or("–".to_owned(), |dev| hundredths(dev.value))),
                value: with_interval(&entry.value),
                difference: match found {
                    _ if contest.reference == Some(place) => "reference".to_owned(),
                    Some((difference, _)) => points(difference.value),
                    None => String::new(),
                },
                p: found.map(|(_, p)| bare_p(p)).unwrap_or_default(),
            }
        };
        Self {
            slice: contest.slice.id.clone(),
            task: contest.task_kind,
            chosen_on: contest.chosen_on.map(|dev| dev.id.clone()),
            metric: contest.metric_title(),
            correction: contest.run.provenance.correction,
            standings: contest.entries.iter().enumerate().map(standing).collect(),
            axes,
        }
    }

    fn of(contest: &Contest) -> Self {
        let axes = shown_axes(contest);
        let p = adjusted_p(contest);
        let standing = |(place, entry): (usize, &super::contest::Entry)| Standing {
            cell: entry.cell.id.clone(),
            choices: axes.iter().map(|axis| entry.on(*axis).to_owned()).collect(),
            on_dev: contest.chosen_on.map(|_| share_or_dash(entry.dev_accuracy())),
            value: percent_estimate(&entry.accuracy),
            difference: match contest.reference_entry() {
                _ if contest.reference == Reference::Entry(place) => "reference".to_owned(),
                Some(reference) => points(entry.accuracy.value - reference.accuracy.value),
                None => String::new(),
            },
            p: p.get(place).copied().flatten().map(bare_p).unwrap_or_default(),
        };
        Self {
            slice: contest.slice.id.clone(),
            task: contest.task,
            chosen_on: contest.chosen_on.map(|dev| dev.id.clone()),
            metric: "accuracy",
            correction: contest.run.provenance.correction,
            standings: contest.entries.iter().enumerate().map(standing).collect(),
            axes,
        }
    }
}
