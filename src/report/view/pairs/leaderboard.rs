//! The ranked cells of a slice of pairs, and what each choice is worth.

use std::collections::BTreeMap;

use super::answer::plural;
use super::contest::{PairContest, PairEntry, hundredths, with_interval};
use crate::report::document::{Block, Column, Figure};
use crate::report::escape::{code, shorten, text};
use crate::report::number::{bare_p, counted, percent, points, points_estimate};
use crate::report::plot::{Dot, Dots, Drawing, Tone, Unit};
use crate::report::view::worth;
use crate::results::{CellRecord, ResultsError, axis_means};

const ROWS: usize = 20;
const DOTS: usize = 15;

pub fn leaderboard(contest: &PairContest) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !contest.entries.is_empty() {
        blocks.extend([Block::Figure(figure(contest)), Block::Paragraph(preface(contest)), table(contest)]);
        let hidden = contest.entries.len().saturating_sub(ROWS);
        if hidden > 0 {
            let more = counted(hidden, "more cell");
            blocks.push(Block::Paragraph(format!("{more} with a score are in the results' `cells.parquet`.")));
        }
    }
    blocks.extend(undefined(contest));
    if blocks.is_empty() {
        blocks.push(Block::Paragraph("No cell has a score.".to_owned()));
    }
    blocks
}

fn preface(contest: &PairContest) -> String {
    let metric = contest.metric_title();
    let mut sentences = vec![match contest.chosen_on {
        Some(dev) => {
            format!("Ranked by {metric} on {}; all other columns are about {}.", code(&dev.id), code(&contest.slice.id))
        }
        None => format!("Ranked by {metric}."),
    }];
    sentences.push(format!(
        "{} are times 100. Brackets: 95 % intervals from resamples of the {}.",
        if contest.of_pairs() { "Correlations and precisions" } else { "Figures" },
        plural(contest)
    ));
    if let Some(place) = contest.reference.filter(|_| contest.entries.len() > 1) {
        let others = counted(contest.entries.len() - 1, "comparison");
        sentences.push(format!(
            "Differences are to the reference (rank {}); p comes from the same resamples, after {} over {others}.",
            place + 1,
            contest.run.provenance.correction.title()
        ));
    }
    sentences.join(" ")
}

fn table(contest: &PairContest) -> Block {
    let axes = contest.shown_axes();
    let mut columns = vec![Column::numbers("#")];
    columns.extend(axes.iter().map(|axis| Column::words(axis.name())));
    columns.extend(contest.chosen_on.map(|dev| Column::numbers(format!("on {}", text(&dev.id)))));
    columns.push(Column::numbers(contest.metric_title()));
    columns.extend(contest.further().iter().map(|(_, title)| Column::numbers(*title)));
    let cut = if contest.of_pairs() { "pairs cut" } else { "texts cut" };
    let p = format!("p ({})", contest.run.provenance.correction.short());
    columns.extend(["vs reference, points [95 %]", &p, &format!("best against it, {p}"), cut].map(Column::numbers));
    columns.push(Column::words("cell"));
    let against = contest.against_reference().into_iter().zip(contest.against(contest.best()));
    let shown = contest.entries.iter().zip(against).enumerate().take(ROWS);
    let rows = shown.map(|(place, (entry, (against, to_best)))| {
        let value = |metric: &str| entry.cell.estimate(metric).map_or("–".to_owned(), |found| hundredths(found.value));
        let mut row = vec![(place + 1).to_string()];
        row.extend(axes.iter().map(|axis| text(entry.on(*axis))));
        row.extend(contest.chosen_on.map(|_| entry.dev_value().map_or("–".to_owned(), |dev| hundredths(dev.value))));
        let ranked = with_interval(&entry.value);
        row.push(if place == 0 { format!("**{ranked}**") } else { ranked });
        row.extend(contest.further().iter().map(|(metric, _)| value(metric)));
        let reference = contest.reference == Some(place);
        row.extend(match against {
            _ if reference => ["reference".to_owned(), String::new()],
            Some((difference, p)) => [points_estimate(&difference), bare_p(p)],
            None => ["–".to_owned(), "–".to_owned()],
        });
        row.push(to_best.map_or(if place == 0 { String::new() } else { "–".to_owned() }, |(_, p)| bare_p(p)));
        row.push(entry.cell.estimate("cut_share").map_or("–".to_owned(), |share| percent(share.value)));
        row.push(code(&entry.cell.id));
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    Block::table(columns, rows)
}

fn figure(contest: &PairContest) -> Figure {
    let name = |entry: &PairEntry| {
        contest.shown_axes().into_iter().map(|axis| shorten(entry.on(axis), 24)).collect::<Vec<_>>().join(" · ")
    };
    let dot = |(place, entry): (usize, &PairEntry)| Dot {
        name: name(entry),
        estimate: entry.value,
        tone: match place {
            _ if entry.floor => Tone::Floor,
            0 => Tone::Best,
            _ => Tone::Other,
        },
    };
    let rows: Vec<Dot> = contest.entries.iter().take(DOTS).enumerate().map(dot).collect();
    let count = rows.len();
    let which = if count < contest.entries.len() {
        format!("The {count} best of {} cells", contest.entries.len())
    } else {
        "All cells".to_owned()
    };
    let (metric, same) = (contest.metric_title(), if contest.of_pairs() { "pairs" } else { "texts" });
    Figure {
        file: contest.file("leaderboard"),
        alt: format!("{metric} of {} with 95 % intervals", counted(count, "cell")),
        caption: format!(
            "{which}: {metric}, times 100, with 95 % intervals. Intervals of cells that overlap may hide a clear difference: cells are scored on the same {same}, and the table has the differences."
        ),
        drawing: Drawing::Dots(Dots { axis: format!("{metric}, × 100"), unit: Unit::Hundredths, rows, marks: Vec::new() }),
    }
}

/// Cells that were scored and whose metric is not defined, by reason.
fn undefined(contest: &PairContest) -> Vec<Block> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let own = |cell: &&CellRecord| (&cell.choices.slice, cell.choices.task) == (&contest.slice.id, contest.task_kind);
    for cell in contest.run.cells.iter().filter(own) {
        if let Some(reason) =
            cell.headline().filter(|metric| metric.estimate.is_none()).and_then(|metric| metric.reason.as_deref())
        {
            reasons.entry(reason).or_default().push(text(&cell.choices.to_string()));
        }
    }
    let line = |(reason, cells): (&str, Vec<String>)| {
        Block::Paragraph(format!("Not ranked, because {}: {}.", text(reason), cells.join("; ")))
    };
    reasons.into_iter().map(line).collect()
}

/// The mean of each choice over combinations of the other choices that every choice of its axis took part in: in the order of the
/// means on the slice that choices are made on, where there is one.
///
/// # Errors
/// When the table library fails.
pub fn worth(contest: &PairContest) -> Result<Vec<Block>, ResultsError> {
    let judged = |entry: &&PairEntry| contest.chosen_on.is_none() || entry.on_dev.is_some();
    let mut compared: Vec<&PairEntry> = contest.entries.iter().filter(judged).collect();
    if compared.iter().any(|entry| !entry.floor) {
        compared.retain(|entry| !entry.floor);
    }
    compared.sort_by_key(|entry| entry.order);
    let cells: Vec<&CellRecord> = compared.iter().map(|entry| entry.cell).collect();
    let twins: Vec<&CellRecord> = compared.iter().filter_map(|entry| entry.on_dev).collect();
    let top = if contest.chosen_on.is_some() { "chosen" } else { "best" };
    let mut rows = Vec::new();
    for axis in contest.axes() {
        let mut means = axis_means(&cells, axis)?;
        if means.len() < 2 {
            continue;
        }
        let on_dev = axis_means(&twins, axis)?;
        let dev = |choice: &str| on_dev.iter().find(|mean| mean.choice == choice).map(|mean| mean.value);
        means.sort_by(|a, b| {
            let [a, b] = [a, b].map(|mean| dev(mean.choice).unwrap_or(mean.value));
            b.total_cmp(&a)
        });
        let best = means[0].value;
        rows.extend(worth::rows(means.len()).map(|(place, choices)| {
            let mean = &means[place];
            let title = if place == 0 { format!("**{}**", axis.name()) } else { String::new() };
            let gap = if place == 0 { top.to_owned() } else { points(mean.value - best) };
            let mut row = vec![title, worth::named(mean.choice, choices)];
            row.extend(contest.chosen_on.map(|_| dev(mean.choice).map_or("–".to_owned(), hundredths)));
            row.extend([hundredths(mean.value), gap, mean.cells.len().to_string()]);
            row
        }));
    }
    if rows.is_empty() {
        return Ok(vec![Block::Paragraph(
            "No two scored cells differ in one choice alone, so no choice can be priced.".to_owned(),
        )]);
    }
    let mut columns = vec![Column::words("axis"), Column::words("choice")];
    columns.extend(contest.chosen_on.map(|dev| Column::numbers(format!("mean on {}", text(&dev.id)))));
    columns.extend([
        Column::numbers(format!("mean {}", contest.metric_title())),
        Column::numbers(format!("to the {top} choice, points")),
        Column::numbers("combinations"),
    ]);
    let note = "Each row is the mean of one choice over combinations of all other choices that every choice of its axis took part in. The lexical floor is left out. Whether a difference is noise is told by the leaderboard.";
    Ok(vec![Block::Paragraph(note.to_owned()), Block::table(columns, rows)])
}
