//! Which wording serves each label best, under the best cell's other choices.

use super::Axis;
use super::contest::{AXES, Contest, Entry};
use crate::report::document::{Block, Column};
use crate::report::escape::{code, text};
use crate::report::number::percent;
use crate::results::CellRecord;

/// Wordings that have a column: those of the best-ranked cells.
const COLUMNS: usize = 8;

/// A table of F1 by label and wording; nothing with a single wording.
pub fn blocks(contest: &Contest) -> Vec<Block> {
    let Some(best) = contest.best() else { return Vec::new() };
    let same = |entry: &&Entry| AXES.into_iter().all(|axis| axis == Axis::Labels || entry.on(axis) == best.on(axis));
    let mut shown: Vec<&Entry> = contest.entries.iter().filter(same).take(COLUMNS).collect();
    if shown.len() < 2 {
        return Vec::new();
    }
    shown.sort_by_key(|entry| entry.order);
    // Where phrases are scored one by one, which is the best is worth its words.
    let alone = shown.iter().any(|entry| entry.on(Axis::Labels).contains('@'));
    let heads = shown.iter().map(|entry| Column::numbers(text(entry.on(Axis::Labels))));
    let last = alone.then(|| Column::words("words of the best"));
    let columns = std::iter::once(Column::words("label")).chain(heads).chain(last);
    let judge = |entry: &&Entry, label: &str| f1(if contest.chosen_on.is_some() { entry.on_dev? } else { entry.cell }, label);
    let row = |label: &String| {
        let judged: Vec<Option<f64>> = shown.iter().map(|entry| judge(entry, label)).collect();
        let highest = judged.iter().flatten().copied().reduce(f64::max);
        let values = shown.iter().zip(&judged).map(|(entry, judged)| {
            let value = f1(entry.cell, label).map_or("–".to_owned(), percent);
            if judged.is_some() && *judged == highest { format!("**{value}**") } else { value }
        });
        let winner = shown.iter().zip(&judged).find(|(_, judged)| judged.is_some() && **judged == highest);
        let words = alone.then(|| winner.map_or("–".to_owned(), |(entry, _)| words(contest, entry, label)));
        std::iter::once(text(label)).chain(values).chain(words).collect()
    };
    let on = contest.chosen_on.map_or(String::new(), |dev| format!(", picked on {}", code(&dev.id)));
    vec![
        Block::Paragraph(format!(
            "F1 of each label under each wording, other choices as in the best cell. Bold: the label's best wording{on}."
        )),
        Block::table(columns.collect(), contest.slice.labels.iter().map(row).collect()),
    ]
}

/// The phrases of a label under a cell's wording; its name, where it goes by that.
fn words(contest: &Contest, entry: &Entry, label: &str) -> String {
    let known = contest.run.provenance.labels.iter().find(|labels| labels.id == entry.on(Axis::Labels));
    let Some(known) = known.filter(|known| known.shots.is_none() && known.ensemble.is_empty()) else { return "–".to_owned() };
    let phrases = known.phrases.iter().find(|(of, _)| of == label).map(|(_, phrases)| phrases.join(" / "));
    phrases.map_or_else(|| text(label), |phrases| text(&phrases))
}

fn f1(cell: &CellRecord, label: &str) -> Option<f64> {
    Some(cell.scored()?.label_metric("f1", label)?.estimate?.value)
}
