//! What each choice is worth: balanced means by axis, and accuracy by prompt and labels.

use super::Axis;
use super::contest::{Contest, Entry};
use super::effects::Effect;
use crate::report::document::{Block, Column, Figure};
use crate::report::escape::{code, text};
use crate::report::number::{counted, decimal, percent, points_estimate};
use crate::report::plot::{Drawing, Grid, Panel};
use crate::stats::number;

/// Most choices of an axis in the table; of more the best ones and the last.
const CHOICES: usize = 12;

/// Most rows, columns and panels of the heat map.
const ROWS: usize = 16;
const COLUMNS: usize = 8;
const PANELS: usize = 6;

pub fn blocks(contest: &Contest, effects: &[Effect]) -> Vec<Block> {
    let mut blocks = Vec::new();
    if effects.is_empty() {
        blocks.push(Block::Paragraph("No two scored cells differ in one choice alone, so no choice can be priced.".to_owned()));
    } else {
        blocks.push(Block::Paragraph(preface(contest, effects)));
        blocks.push(table(contest, effects));
    }
    blocks.extend(figure(contest).map(Block::Figure));
    blocks
}

fn preface(contest: &Contest, effects: &[Effect]) -> String {
    let mut sentences = vec![
        "Each row is the mean accuracy of one choice over combinations of all other choices that every choice of its axis took part in, so the means are balanced. Intervals are 95 %, by how far the texts differ; one that spans 0 is no clear difference. They hold for one comparison each and are not corrected for their number.".to_owned(),
    ];
    if contest.floor().is_some() && contest.best_model().is_some() {
        sentences.push("The lexical floor is left out here; the answer compares it.".to_owned());
    }
    if let Some(dev) = contest.chosen_on {
        sentences.push(format!(
            "Choices stand in the order of their means on {}; differences and intervals are about {}.",
            code(&dev.id),
            code(&contest.slice.id)
        ));
    }
    for effect in effects.iter().filter(|effect| !effect.left_out.is_empty()) {
        sentences.push(format!("Not comparable on {}: {}.", effect.axis.name(), some(&effect.left_out)));
    }
    sentences.join(" ")
}

fn table(contest: &Contest, effects: &[Effect]) -> Block {
    let dev = contest.chosen_on.is_some();
    let (gap_title, top) =
        if dev { ("to the choice of dev, points", "chosen") } else { ("to the best choice, points", "best") };
    let mut columns = vec![Column::words("axis"), Column::words("choice")];
    columns.extend(dev.then(|| Column::numbers("mean on dev")));
    columns.extend(["mean accuracy", gap_title, "combinations"].map(Column::numbers));
    let rows = effects.iter().flat_map(|effect| {
        rows(effect.choices.len()).map(move |(i, more)| {
            let choice = &effect.choices[i];
            let axis = if i == 0 { format!("**{}**", effect.axis.name()) } else { String::new() };
            let gap = effect.choices.first().filter(|_| i > 0).map(|top| choice.over(top));
            let mut row = vec![axis, named(choice.id, more)];
            row.extend(dev.then(|| choice.on_dev.map_or("–".to_owned(), percent)));
            row.extend([
                percent(choice.mean),
                gap.map_or(top.to_owned(), |gap| points_estimate(&gap)),
                effect.blocks.to_string(),
            ]);
            row
        })
    });
    Block::table(columns, rows.collect())
}

/// Places of the choices that have a row, each with the number of those that it stands for: all, or the best ones and the last.
pub fn rows(choices: usize) -> impl Iterator<Item = (usize, usize)> {
    let best = if choices > CHOICES { CHOICES - 1 } else { choices };
    (0..best).map(|place| (place, 1)).chain((best < choices).then(|| (choices - 1, choices - best)))
}

/// What the row of a choice is called that stands for so many.
pub fn named(id: &str, choices: usize) -> String {
    if choices == 1 { text(id) } else { format!("and {choices} more, down to {}", text(id)) }
}

/// Some of these ids, and how many more there are.
pub fn some(ids: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut told: Vec<String> = ids.iter().take(SHOWN).map(|id| code(id)).collect();
    if ids.len() > SHOWN {
        told.push(format!("and {} more", ids.len() - SHOWN));
    }
    told.join(", ")
}

/// Prompts by labels for one model and readout, a panel for each calibration; None when there is one prompt and one label set.
fn figure(contest: &Contest) -> Option<Figure> {
    let anchor = contest.best_model().or(contest.best())?;
    let shared = [Axis::Model, Axis::Readout];
    let fixed = |entry: &&Entry| shared.iter().all(|axis| entry.on(*axis) == anchor.on(*axis));
    let shown: Vec<&Entry> = contest.entries.iter().filter(fixed).collect();
    let (prompts, labels) = (leading(&shown, Axis::Prompt, ROWS), leading(&shown, Axis::Labels, COLUMNS));
    let calibrations = leading(&shown, Axis::Calibration, PANELS);
    if prompts.len() * labels.len() < 2 {
        return None;
    }
    let panels: Vec<Panel> =
        calibrations.iter().map(|calibration| panel(&shown, anchor, &prompts, &labels, calibration)).collect();
    let all = super::contest::distinct(shown.iter().copied(), Axis::Prompt).len();
    let part = if all > prompts.len() { format!(" The {} best of {all} prompts.", prompts.len()) } else { String::new() };
    let chosen = contest.chosen_on.map_or(String::new(), |dev| format!(", chosen on {},", code(&dev.id)));
    let caption = format!(
        "Accuracy in percent by prompt and labels, for model {} and readout {}. Darker is better; the best of these cells{chosen} is outlined.{}{part}",
        code(anchor.on(Axis::Model)),
        code(anchor.on(Axis::Readout)),
        spread(&panels, prompts.len(), labels.len()),
    );
    let own = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    Some(Figure {
        file: contest.file("prompts-labels"),
        alt: format!("Accuracy by prompt and labels, {}", counted(calibrations.len(), "calibration")),
        caption,
        drawing: Drawing::Grid(Grid { rows: own(&prompts), columns: own(&labels), panels }),
    })
}

/// How far the means of rows and of columns lie apart, where no cell is missing.
fn spread(panels: &[Panel], rows: usize, columns: usize) -> String {
    let values: Option<Vec<f64>> = panels.iter().flat_map(|panel| panel.values.iter().copied()).collect();
    let Some(values) = values.filter(|_| rows > 1 && columns > 1) else { return String::new() };
    let range = |groups: usize, group: &dyn Fn(usize) -> usize| {
        let mean = |own: usize| {
            let of: Vec<f64> = values.iter().enumerate().filter(|(i, _)| group(*i) == own).map(|(_, value)| *value).collect();
            of.iter().sum::<f64>() / number(of.len().max(1))
        };
        let means: Vec<f64> = (0..groups).map(mean).collect();
        means.iter().copied().fold(0.0, f64::max) - means.iter().copied().fold(1.0, f64::min)
    };
    let (by_row, by_column) = (range(rows, &|i| i / columns % rows), range(columns, &|i| i % columns));
    format!(
        " Between prompts the means differ by up to {} points, between labels by up to {}.",
        decimal(100.0 * by_row, 1),
        decimal(100.0 * by_column, 1)
    )
}

/// The `most` choices on an axis that have the best cells, in plan order.
fn leading<'a>(shown: &[&Entry<'a>], axis: Axis, most: usize) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::new();
    for entry in shown {
        if !kept.contains(&entry.on(axis)) {
            kept.push(entry.on(axis));
        }
    }
    kept.truncate(most);
    super::contest::distinct(shown.iter().copied().filter(|entry| kept.contains(&entry.on(axis))), axis)
}

fn panel(shown: &[&Entry], best: &Entry, prompts: &[&str], labels: &[&str], calibration: &str) -> Panel {
    let at = |prompt: &str, label: &str| {
        let fits = |entry: &&&Entry| {
            entry.on(Axis::Prompt) == prompt && entry.on(Axis::Labels) == label && entry.on(Axis::Calibration) == calibration
        };
        shown.iter().find(fits).map(|entry| entry.accuracy.value)
    };
    let values = prompts.iter().flat_map(|prompt| labels.iter().map(|label| at(prompt, label))).collect();
    let row = prompts.iter().position(|prompt| *prompt == best.on(Axis::Prompt));
    let column = labels.iter().position(|label| *label == best.on(Axis::Labels));
    let outlined = row.zip(column).filter(|_| calibration == best.on(Axis::Calibration));
    Panel { title: format!("calibration {calibration}"), values, outlined }
}
