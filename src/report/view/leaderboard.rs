//! The ranked cells as a table and a figure, and the cells that failed.

use std::collections::BTreeMap;

use unicode_width::UnicodeWidthStr;

use super::Axis;
use super::advice::{reference_note, share_or_dash};
use super::answer::majority_share;
use super::contest::{AXES, Contest, Entry, Reference};
use crate::report::document::{Block, Column, Figure};
use crate::report::escape::{code, shorten, text};
use crate::report::number::{bare_p, counted, percent_estimate, points, points_estimate};
use crate::report::plot::{Dot, Dots, Drawing, Mark, Tone, Unit};
use crate::results::{Outcome, RunRecord};
use crate::stats::number;

const ROWS: usize = 20;
const DOTS: usize = 15;
/// Widest name beside a dot. Unit: columns of a terminal, two for a Chinese character.
const NAME: usize = 54;

pub fn blocks(contest: &Contest) -> Vec<Block> {
    if contest.entries.is_empty() {
        return vec![Block::Paragraph("No cell has a score.".to_owned())];
    }
    let mut blocks = vec![Block::Figure(figure(contest)), Block::Paragraph(preface(contest)), table(contest)];
    let hidden = contest.entries.len().saturating_sub(ROWS);
    if hidden > 0 {
        blocks.push(Block::Paragraph(format!(
            "{} with a score are in the results' `cells.parquet`.",
            counted(hidden, "more cell")
        )));
    }
    blocks
}

/// What all rows share, and how to read the columns.
fn preface(contest: &Contest) -> String {
    let same: Vec<String> = hidden_axes(contest)
        .into_iter()
        .filter_map(|axis| contest.best().filter(|best| best.cell.choices.names(axis)).map(|best| (axis, best)))
        .map(|(axis, best)| format!("{} {}", axis.name(), code(best.on(axis))))
        .collect();
    let mut sentences = Vec::new();
    if !same.is_empty() {
        sentences.push(format!("All cells: {}.", same.join(", ")));
    }
    match contest.chosen_on {
        Some(dev) => sentences.push(format!(
            "Ranked by accuracy on the dev slice {}; all other columns are about {}.",
            code(&dev.id),
            code(&contest.slice.id)
        )),
        None => sentences.push("Ranked by accuracy, then macro F1.".to_owned()),
    }
    match &contest.reference {
        Reference::Entry(place) => {
            let others = counted(contest.entries.len() - 1, "comparison");
            let correction = contest.run.provenance.correction.title();
            sentences.push(format!("Differences are to the reference (rank {}), p is exact McNemar after {correction} over {others}. The best cell is held against each other one likewise. Brackets: 95 % intervals.", place + 1));
        }
        Reference::Failed(_) | Reference::Absent => sentences.extend(reference_note(contest)),
    }
    sentences.join(" ")
}

/// Axes that are not worth a column because all scored cells agree.
fn hidden_axes(contest: &Contest) -> Vec<Axis> {
    let always = |axis: &Axis| matches!(axis, Axis::Model | Axis::Prompt);
    AXES.into_iter().filter(|axis| !always(axis) && contest.choices(*axis).len() == 1).collect()
}

/// Axes that are worth a column.
pub fn shown_axes(contest: &Contest) -> Vec<Axis> {
    let hidden = hidden_axes(contest);
    AXES.into_iter().filter(|axis| !hidden.contains(axis)).collect()
}

fn table(contest: &Contest) -> Block {
    let axes = shown_axes(contest);
    let mut columns = vec![Column::numbers("#")];
    columns.extend(axes.iter().map(|axis| Column::words(axis.name())));
    if contest.chosen_on.is_some() {
        columns.push(Column::numbers("accuracy on dev"));
    }
    let parts = if contest.by_senteval() { "folds" } else { "experiments" };
    columns.extend(has_means(contest).then(|| Column::numbers(format!("mean accuracy of the {parts}"))));
    let p = format!("p ({})", contest.run.provenance.correction.short());
    let against_best = format!("best against it, {p}");
    columns
        .extend(["accuracy", "macro F1", "vs reference, points [95 %]", &p, &against_best, "texts cut"].map(Column::numbers));
    columns.push(Column::words("cell"));
    let (to_reference, to_best) = (adjusted_p(contest), against(contest, contest.best()));
    let p = |place: usize| [&to_reference, &to_best].map(|p| p.get(place).copied().flatten());
    let rows = contest.entries.iter().take(ROWS).enumerate().map(|(i, entry)| row(contest, entry, i, &axes, p(i)));
    Block::table(columns, rows.collect())
}

/// Whether cells are ranked by the mean of several experiments, or of folds.
fn has_means(contest: &Contest) -> bool {
    contest.entries.iter().any(|entry| entry.cell.estimate("mean_accuracy").is_some())
}

fn row(contest: &Contest, entry: &Entry, place: usize, axes: &[Axis], [p, to_best]: [Option<f64>; 2]) -> Vec<String> {
    let mut row = vec![(place + 1).to_string()];
    row.extend(axes.iter().map(|axis| text(entry.on(*axis))));
    if contest.chosen_on.is_some() {
        row.push(share_or_dash(entry.dev_accuracy()));
    }
    if has_means(contest) {
        row.push(entry.cell.estimate("mean_accuracy").map_or("–".to_owned(), |mean| percent_estimate(&mean)));
    }
    let accuracy = percent_estimate(&entry.accuracy);
    row.push(if place == 0 { format!("**{accuracy}**") } else { accuracy });
    row.push(entry.cell.estimate("macro_f1").map_or("–".to_owned(), |f1| percent_estimate(&f1)));
    let is_reference = contest.reference == Reference::Entry(place);
    row.push(match contest.reference_entry() {
        _ if is_reference => "reference".to_owned(),
        Some(reference) => {
            let gain = entry.accuracy.value - reference.accuracy.value;
            entry.against(reference).map_or_else(|| points(gain), |pair| points_estimate(&pair.difference))
        }
        None => "–".to_owned(),
    });
    row.push(p.map_or(if is_reference { String::new() } else { "–".to_owned() }, bare_p));
    row.push(to_best.map_or(if place == 0 { String::new() } else { "–".to_owned() }, bare_p));
    row.push(share_or_dash(entry.cell.estimate("cut_share")));
    row.push(code(&entry.cell.id));
    row
}

/// The exact p against the reference for each entry, corrected over all of them; None for the reference itself.
pub fn adjusted_p(contest: &Contest) -> Vec<Option<f64>> {
    against(contest, contest.reference_entry())
}

/// The same against any of the entries.
fn against(contest: &Contest, other: Option<&Entry>) -> Vec<Option<f64>> {
    let Some(other) = other else { return vec![None; contest.entries.len()] };
    let p = |entry: &Entry| entry.against(other).filter(|_| entry.cell.id != other.cell.id).map(|pair| pair.p_value);
    let raw: Vec<Option<f64>> = contest.entries.iter().map(p).collect();
    let known: Vec<f64> = raw.iter().copied().flatten().collect();
    let mut corrected = contest.run.provenance.correction.adjust(&known).into_iter();
    raw.into_iter().map(|p| p.and_then(|_| corrected.next())).collect()
}

fn figure(contest: &Contest) -> Figure {
    let axes = contest.varying();
    let mut shown: Vec<&Entry> = contest.entries.iter().take(DOTS).collect();
    if let Some(floor) = contest.floor().filter(|floor| shown.iter().all(|entry| entry.cell.id != floor.cell.id)) {
        shown.pop();
        shown.push(floor);
    }
    let rows = shown
        .iter()
        .enumerate()
        .map(|(i, entry)| Dot { name: dot_name(entry, &axes), estimate: entry.accuracy, tone: tone(entry, i) })
        .collect();
    let count = shown.len();
    let of_all = if count < contest.entries.len() {
        format!("The {count} best of {} cells", contest.entries.len())
    } else {
        "All cells".to_owned()
    };
    let floor =
        if contest.floor().is_some() { " Hollow orange: the lexical floor, whose best cell is always shown." } else { "" };
    let order = contest.chosen_on.map_or(String::new(), |dev| format!(", in the order of {}", code(&dev.id)));
    Figure {
        file: contest.file("leaderboard"),
        alt: format!("Accuracy of {} with 95 % intervals", counted(count, "cell")),
        caption: format!("{of_all}: accuracy with 95 % intervals{order}. {}{floor}", clear_of_the_rest(contest, &shown)),
        drawing: Drawing::Dots(Dots {
            axis: "accuracy, % of texts".to_owned(),
            unit: Unit::Share,
            rows,
            marks: marks(contest),
        }),
    }
}

/// Fewest texts for which it says anything that an interval lies above a level.
const ENOUGH: usize = 10;

/// How many of the cells shown lie above the floor, or above chance, with their whole interval.
fn clear_of_the_rest(contest: &Contest, shown: &[&Entry]) -> String {
    if contest.slice.labels.len() < 2 {
        return "With one label chance is always right.".to_owned();
    }
    let few = shown.iter().map(|entry| entry.accuracy.n).max().unwrap_or(0);
    if few < ENOUGH {
        return format!("Of {} intervals say little.", counted(few, "text"));
    }
    let (level, name) = contest
        .floor()
        .filter(|_| contest.best_model().is_some())
        .map_or((1.0 / number(contest.slice.labels.len().max(1)), "chance"), |floor| {
            (floor.accuracy.value, "the lexical floor")
        });
    let held: Vec<&&Entry> = shown.iter().filter(|entry| !entry.floor || name == "chance").collect();
    let clear = held.iter().filter(|entry| entry.accuracy.interval.is_some_and(|interval| interval.low > level)).count();
    match (clear, held.len()) {
        (0, _) => format!("No cell is above {name} with its whole interval."),
        (clear, all) if clear == all => format!("All of them are above {name} with their whole interval."),
        (clear, all) => format!("{clear} of {all} are above {name} with their whole interval."),
    }
}

/// The choices that vary, each shortened as far as all of them need to fit beside the dots.
fn dot_name(entry: &Entry, axes: &[Axis]) -> String {
    let axes = if axes.is_empty() { &[Axis::Prompt] } else { axes };
    let within = |limit: usize| axes.iter().map(|axis| shorten(entry.on(*axis), limit)).collect::<Vec<_>>().join(" · ");
    let fits = |name: &String| name.width() <= NAME;
    [48, 32, 24, 16, 12].into_iter().map(within).find(fits).unwrap_or_else(|| within(8))
}

fn tone(entry: &Entry, place: usize) -> Tone {
    match place {
        _ if entry.floor => Tone::Floor,
        0 => Tone::Best,
        _ => Tone::Other,
    }
}

/// Chance, the majority label (when it is not the same as chance) and the floor, from low to high.
fn marks(contest: &Contest) -> Vec<Mark> {
    let chance = 1.0 / number(contest.slice.labels.len().max(1));
    let mut marks = vec![Mark { name: "chance".to_owned(), value: chance }];
    marks.extend(
        majority_share(contest)
            .filter(|(_, share)| share - chance > 0.02)
            .map(|(_, share)| Mark { name: "majority".to_owned(), value: share }),
    );
    marks.extend(contest.floor().map(|floor| Mark { name: "lexical floor".to_owned(), value: floor.accuracy.value }));
    marks.sort_by(|a, b| a.value.total_cmp(&b.value));
    marks
}

/// The cells without a score, by reason.
pub fn failures(run: &RunRecord) -> Vec<Block> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for cell in &run.cells {
        if let Outcome::Failed { reason } = &cell.outcome {
            let choices = AXES.into_iter().chain([Axis::Slice, Axis::Task]).filter(|axis| cell.choices.names(*axis));
            let choices: Vec<&str> = choices.map(|axis| cell.choices.on(axis)).collect();
            reasons.entry(reason).or_default().push(choices.join(" · "));
        }
    }
    if reasons.is_empty() {
        return Vec::new();
    }
    let failed: usize = reasons.values().map(Vec::len).sum();
    let rows = reasons
        .iter()
        .take(ROWS)
        .map(|(reason, cells)| vec![text(&shorten(reason, 300)), cells.len().to_string(), which(cells)]);
    let mut blocks = vec![
        Block::Heading(3, "Failed cells".to_owned()),
        Block::Paragraph(format!(
            "{failed} of {} failed and {} no part in any comparison.",
            counted(run.cells.len(), "cell"),
            if failed == 1 { "takes" } else { "take" }
        )),
        Block::table(vec![Column::words("reason"), Column::numbers("cells"), Column::words("which")], rows.collect()),
    ];
    if reasons.len() > ROWS {
        blocks.push(Block::Paragraph(format!(
            "{} are in the results' `cells.parquet`.",
            counted(reasons.len() - ROWS, "more reason")
        )));
    }
    blocks
}

fn which(cells: &[String]) -> String {
    let mut names: Vec<String> = cells.iter().take(3).map(|name| text(name)).collect();
    if cells.len() > 3 {
        names.push(format!("and {} more", cells.len() - 3));
    }
    names.join("; ")
}
