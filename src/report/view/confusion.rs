//! Which labels the best cell mixes up, as a matrix and label by label.

use super::contest::{Contest, Entry};
use crate::report::document::{Block, Column, Figure};
use crate::report::escape::text;
use crate::report::number::{counted, percent};
use crate::report::plot::{self, Drawing};
use crate::results::MetricRow;

/// Most labels of the matrix and of the table: the ones with most errors are kept.
const LABELS: usize = 20;
/// Most pairs of labels listed when there are more labels than that.
const PAIRS: usize = 10;

/// Two labels and how often one was answered for the other.
pub struct ConfusedPair {
    pub gold: usize,
    pub predicted: usize,
    /// Texts of `gold` answered `predicted`.
    pub there: u64,
    /// And those the other way round.
    pub back: u64,
    pub both: usize,
}

pub fn blocks(contest: &Contest) -> Vec<Block> {
    let Some(best) = contest.best() else { return vec![Block::Paragraph("No cell has a score.".to_owned())] };
    if best.scored.confusion.len() != contest.slice.labels.len().pow(2) {
        return vec![Block::Paragraph("The results hold no confusion counts for the best cell.".to_owned())];
    }
    let shown = hardest(contest, best, LABELS);
    let mut blocks = vec![
        Block::Paragraph(worst_sentence(contest, best)),
        Block::Figure(figure(contest, best, &shown)),
        table(contest, best, &shown),
        Block::Figure(bars(contest, best, &shown)),
    ];
    if contest.slice.labels.len() > LABELS {
        blocks.push(pairs(contest, best));
    }
    if undefined(contest, best, &shown) {
        let note = "A dash is undefined: without an answer of a label there is no precision, without a text of it no recall. F1 is 0 where one of the two is missing, as with scikit-learn's `zero_division=0`.";
        blocks.push(Block::Paragraph(note.to_owned()));
    }
    blocks
}

/// Texts that got another label than their own.
pub fn errors(contest: &Contest, entry: &Entry) -> usize {
    let n = contest.slice.labels.len();
    let wrong = entry.scored.confusion.iter().enumerate().filter(|(i, _)| n > 0 && i / n != i % n);
    usize::try_from(wrong.map(|(_, count)| count).sum::<u64>()).unwrap_or(usize::MAX)
}

/// The two labels that are mixed up most often, counting both ways; the first of equals. None without errors.
pub fn worst_pair(contest: &Contest, entry: &Entry) -> Option<ConfusedPair> {
    let n = contest.slice.labels.len();
    let count = |gold: usize, predicted: usize| entry.scored.confusion.get(gold * n + predicted).copied().unwrap_or(0);
    let pairs = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b)));
    let mut worst: Option<(u64, usize, usize)> = None;
    for (a, b) in pairs {
        let both = count(a, b) + count(b, a);
        if both > worst.map_or(0, |(most, _, _)| most) {
            worst = Some((both, a, b));
        }
    }
    let (both, a, b) = worst?;
    let (gold, predicted) = if count(a, b) >= count(b, a) { (a, b) } else { (b, a) };
    let both = usize::try_from(both).unwrap_or(usize::MAX);
    Some(ConfusedPair { gold, predicted, there: count(gold, predicted), back: count(predicted, gold), both })
}

/// The most frequent mistakes, for slices whose matrix is too large to show.
fn pairs(contest: &Contest, best: &Entry) -> Block {
    let n = contest.slice.labels.len();
    let mut mistakes: Vec<(usize, u64)> =
        best.scored.confusion.iter().copied().enumerate().filter(|(i, count)| i / n != i % n && *count > 0).collect();
    mistakes.sort_by_key(|(i, count)| (std::cmp::Reverse(*count), *i));
    let columns = vec![Column::words("right label"), Column::words("predicted label"), Column::numbers("texts")];
    let rows = mistakes
        .iter()
        .take(PAIRS)
        .map(|(i, count)| vec![text(contest.label(i / n)), text(contest.label(i % n)), count.to_string()]);
    Block::table(columns, rows.collect())
}

fn worst_sentence(contest: &Contest, best: &Entry) -> String {
    let Some(pair) = worst_pair(contest, best) else { return "The best cell makes no mistakes.".to_owned() };
    format!(
        "**Most confused: {gold} and {predicted}.** {there} of {gold} {were} answered {predicted}, {back} the other way round: {both} of {errors}.",
        gold = text(contest.label(pair.gold)),
        predicted = text(contest.label(pair.predicted)),
        there = counted(usize::try_from(pair.there).unwrap_or(usize::MAX), "text"),
        were = if pair.there == 1 { "was" } else { "were" },
        back = pair.back,
        both = pair.both,
        errors = counted(errors(contest, best), "mistake"),
    )
}

/// At most so many labels, in the slice's order: all, or those with most errors in their row and column.
pub fn hardest(contest: &Contest, entry: &Entry, most: usize) -> Vec<usize> {
    let n = contest.slice.labels.len();
    let confusion = &entry.scored.confusion;
    let involved = |label: usize| -> u64 {
        (0..n).filter(|other| *other != label).map(|other| confusion[label * n + other] + confusion[other * n + label]).sum()
    };
    let mut labels: Vec<usize> = (0..n).collect();
    labels.sort_by_key(|label| std::cmp::Reverse(involved(*label)));
    labels.truncate(most);
    labels.sort_unstable();
    labels
}

fn figure(contest: &Contest, best: &Entry, shown: &[usize]) -> Figure {
    let n = contest.slice.labels.len();
    let confusion = &best.scored.confusion;
    let drawing = plot::Confusion {
        labels: shown.iter().map(|label| contest.label(*label).to_owned()).collect(),
        counts: shown.iter().flat_map(|gold| shown.iter().map(move |predicted| confusion[gold * n + predicted])).collect(),
        totals: shown.iter().map(|gold| confusion[gold * n..(gold + 1) * n].iter().sum()).collect(),
    };
    let part = if shown.len() < n { format!(" The {} of {n} labels with most errors.", shown.len()) } else { String::new() };
    Figure {
        file: contest.file("confusion"),
        alt: format!("Confusion matrix of the best cell over {}", counted(shown.len(), "label")),
        caption: format!(
            "Best cell: texts by right label (rows) and answered label (columns), shaded by their share of the row. Blue is right, orange is wrong.{}{part}",
            darkest(contest, best, shown),
        ),
        drawing: Drawing::Confusion(drawing),
    }
}

/// The mistake that takes the largest share of its row.
fn darkest(contest: &Contest, best: &Entry, shown: &[usize]) -> String {
    let n = contest.slice.labels.len();
    let row = |gold: usize| &best.scored.confusion[gold * n..(gold + 1) * n];
    let mut worst: Option<(f64, usize, usize)> = None;
    for &gold in shown {
        let total: u64 = row(gold).iter().sum();
        for &predicted in shown.iter().filter(|predicted| **predicted != gold) {
            let share = ratio(row(gold)[predicted], total);
            if share > worst.map_or(0.0, |(share, ..)| share) {
                worst = Some((share, gold, predicted));
            }
        }
    }
    worst.map_or(String::new(), |(share, gold, predicted)| {
        format!(
            " Darkest orange: {} of the texts of {} are answered {}.",
            percent(share),
            text(contest.label(gold)),
            text(contest.label(predicted))
        )
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What the figure of recall and precision does not say.
fn table(contest: &Contest, best: &Entry, shown: &[usize]) -> Block {
    let mut columns = vec![Column::words("label")];
    columns.extend(["texts", "share of answers", "F1"].map(Column::numbers));
    let rows = shown.iter().map(|&label| {
        let name = contest.label(label);
        let share = |metric| {
            best.scored
                .label_metric(metric, name)
                .and_then(|row| row.estimate)
                .map_or("–".to_owned(), |found| percent(found.value))
        };
        let texts: u64 = best.scored.confusion[label * contest.slice.labels.len()..][..contest.slice.labels.len()].iter().sum();
        vec![text(name), texts.to_string(), share("attracted"), share("f1")]
    });
    Block::table(columns, rows.collect())
}

/// Recall and precision of each label.
fn bars(contest: &Contest, best: &Entry, shown: &[usize]) -> Figure {
    let share = |metric: &str, label: usize| best.scored.label_metric(metric, contest.label(label))?.estimate;
    let row = |&label: &usize| plot::Bar {
        name: contest.label(label).to_owned(),
        shares: [share("recall", label), share("precision", label)],
    };
    Figure {
        file: contest.file("labels"),
        alt: format!("Recall and precision of the best cell by label, {}", counted(shown.len(), "label")),
        caption: format!(
            "Best cell: recall (share of a label's texts that get it) and precision (share of a label's answers that are right), with 95 % intervals.{}",
            weakest(contest, best, shown)
        ),
        drawing: Drawing::Bars(plot::Bars {
            measures: ["recall".to_owned(), "precision".to_owned()],
            rows: shown.iter().map(row).collect(),
        }),
    }
}

/// The labels that are lost most often, and answered wrongly most often.
fn weakest(contest: &Contest, best: &Entry, shown: &[usize]) -> String {
    let least = |metric: &str| {
        let known = shown
            .iter()
            .filter_map(|&label| Some((best.scored.label_metric(metric, contest.label(label))?.estimate?.value, label)));
        known.reduce(|a, b| if b.0 < a.0 { b } else { a })
    };
    // Where nothing is missed there is no label to name.
    let told = |metric: &str, what: &str, how: &str| {
        let (value, label) = least(metric).filter(|(value, _)| *value < 1.0)?;
        Some(format!(" {what}: {} ({} {how}).", text(contest.label(label)), percent(value)))
    };
    [told("recall", "Most often missed", "found"), told("precision", "Least to be trusted as an answer", "right")]
        .into_iter()
        .flatten()
        .collect()
}

fn undefined(contest: &Contest, best: &Entry, shown: &[usize]) -> bool {
    let missing = |row: Option<&MetricRow>| row.is_some_and(|row| row.estimate.is_none());
    shown.iter().any(|&label| {
        ["precision", "recall"].iter().any(|metric| missing(best.scored.label_metric(metric, contest.label(label))))
    })
}
