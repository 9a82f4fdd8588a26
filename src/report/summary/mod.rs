//! Several runs on one page: what each found, and how named cells went from run to run.

mod gather;
mod trend;

use std::path::{Path, PathBuf};

use super::document::{Block, Column};
use super::escape::{code, text};
use super::number::{bare_p, counted};
use super::{Pictures, Report, ReportError, Written};
use crate::cause;
use crate::results::ResultsError;
use gather::{Entry, Gathered};
use trend::Trend;
pub use trend::Unmatched;

/// Why there is no summary.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    #[error("none of these is a folder of results or a baseline:\n{}", .0.join("\n"))]
    Empty(Vec<String>),
    #[error(transparent)]
    Cell(#[from] Unmatched),
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Writes `report.md`, `report.html` and figures about several result folders and baselines into `out`. `cell` names the cells
/// whose trends are shown: the beginning of an id, or choices; without it, the best cells of the latest run of each name.
/// Returns where it is, and what was left out with the reason: a line each.
///
/// # Errors
/// When nothing can be read, no cell has the name, or a file cannot be written.
pub fn summarise(
    paths: &[PathBuf],
    cell: Option<&str>,
    out: &Path,
    pictures: Pictures,
) -> Result<(Written, Vec<String>), SummaryError> {
    let gathered = gather::gather(paths);
    if gathered.entries.is_empty() {
        return Err(SummaryError::Empty(gathered.left_out));
    }
    let report = render(&gathered, cell)?;
    Ok((super::write(&report, out, pictures)?, gathered.left_out))
}

fn render(gathered: &Gathered, cell: Option<&str>) -> Result<Report, SummaryError> {
    let trends = Trend::all(&gathered.entries, cell)?;
    let title = format!("Summary of {}", counted(gathered.entries.len(), "run"));
    let mut blocks = vec![Block::Heading(1, title.clone())];
    blocks.extend(latest(&gathered.entries).map(Block::Paragraph));
    blocks.extend([Block::Heading(2, "Runs".to_owned()), runs(&gathered.entries)]);
    blocks.push(Block::Paragraph(
        "Values are of the best cell of each slice; brackets hold 95 % intervals, p is after Holm over the slice's cells. Baselines keep outcomes and no ranking: their cells are in the trends."
            .to_owned(),
    ));
    blocks.push(Block::Heading(2, "Trends".to_owned()));
    blocks.extend(trend::blocks(&trends, cell));
    if !gathered.left_out.is_empty() {
        blocks.push(Block::Heading(2, "Left out".to_owned()));
        blocks.push(Block::Bullets(gathered.left_out.iter().map(|line| text(line)).collect()));
    }
    Ok(super::assemble(&title, &blocks, None)?)
}

/// What the latest run found.
fn latest(entries: &[Entry]) -> Option<String> {
    let entry = entries.iter().rev().find(|entry| !entry.rankings.is_empty())?;
    let ranking = entry.rankings.first()?;
    let best = ranking.standings.first()?;
    Some(format!(
        "**Latest: {} of {}**, {} {} on {} ({}).",
        code(&entry.name),
        day(entry),
        ranking.metric,
        best.value,
        code(&ranking.slice),
        text(&best.choices.join(" · ")),
    ))
}

fn day(entry: &Entry) -> String {
    entry.finished.as_ref().map_or("unknown date".to_owned(), |finished| text(finished.get(..10).unwrap_or(finished)))
}

/// One row for each slice that a run reports on, in the order of time.
fn runs(entries: &[Entry]) -> Block {
    let mut columns = ["run", "finished", "slice"].map(Column::words).to_vec();
    columns.extend(["value [95 %]", "vs reference, points", "p (Holm)", "cells"].map(Column::numbers));
    columns.push(Column::words("best cell"));
    let rows = entries.iter().flat_map(|entry| {
        let cells = match entry.failed {
            0 => entry.cells.to_string(),
            failed => format!("{}, {failed} failed", entry.cells),
        };
        let row = |slice: String, figures: [String; 3], best: String| {
            let head = vec![format!("{} {}", text(&entry.name), code(&entry.folder)), day(entry), slice];
            [head, figures.into(), vec![cells.clone(), best]].concat()
        };
        let none = || ["–"; 3].map(str::to_owned);
        if entry.rankings.is_empty() {
            let told = if entry.baseline { "kept as a baseline" } else { "no cell has a score" };
            return vec![row("–".to_owned(), none(), told.to_owned())];
        }
        let told = |ranking: &super::Ranking| {
            let chosen = ranking.chosen_on.as_ref().map_or(String::new(), |dev| format!(", chosen on {}", code(dev)));
            let slice = format!("{}{chosen}", code(&ranking.slice));
            let Some(best) = ranking.standings.first() else {
                return row(slice, none(), "no cell has a score".to_owned());
            };
            let or_dash = |words: &str| if words.is_empty() { "–".to_owned() } else { words.to_owned() };
            let figures = [format!("{} {}", ranking.metric, best.value), or_dash(&best.difference), or_dash(&best.p)];
            row(slice, figures, text(&best.choices.join(" · ")))
        };
        entry.rankings.iter().map(told).collect()
    });
    Block::table(columns, rows.collect())
}

/// `p = 0.013` of a step, for a column.
fn p_or_dash(p: Option<f64>) -> String {
    p.map_or("–".to_owned(), bare_p)
}

impl From<ResultsError> for gather::Unread {
    fn from(error: ResultsError) -> Self {
        Self(cause::told(&error))
    }
}
