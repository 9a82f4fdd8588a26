//! Figures of others, read from their result files: beside the run's own, and never mixed with them.

use super::pairs::hundredths;
use crate::report::document::{Block, Column};
use crate::report::escape::{code, text};
use crate::results::{CellRecord, Published, RunRecord, mteb_task};

/// A table of what others measured, each with its source and with the run's best cell that is the same task of MTEB.
pub fn blocks(run: &RunRecord, published: &[Published]) -> Vec<Block> {
    if published.is_empty() {
        return Vec::new();
    }
    let row = |theirs: &Published| {
        let same = |cell: &&CellRecord| {
            mteb_task(run, cell).is_some_and(|task| task.task == theirs.task && task.split == theirs.split)
        };
        let own = run.cells.iter().filter(same).filter_map(|cell| Some((cell, cell.headline()?.estimate?.value)));
        let best = own.reduce(|best, other| if other.1 > best.1 { other } else { best });
        let (cell, value) = best.map_or_else(
            || ("no cell is this task".to_owned(), "–".to_owned()),
            |(cell, value)| (format!("{} ({})", text(&cell.choices.to_string()), code(&cell.id)), hundredths(value)),
        );
        vec![
            text(&theirs.model),
            text(&theirs.revision),
            format!("{}, {}", text(&theirs.task), text(&theirs.split)),
            hundredths(theirs.main_score),
            value,
            cell,
            code(&theirs.source),
        ]
    };
    let columns = vec![
        Column::words("model of others"),
        Column::words("revision"),
        Column::words("task of MTEB"),
        Column::numbers("their main score"),
        Column::numbers("best cell here"),
        Column::words("which"),
        Column::words("source"),
    ];
    let note = "Not measured by this run: main scores, times 100, as the named files of MTEB's format have them. They were computed by other programs, on other machines, and take no part in any ranking or comparison.";
    vec![
        Block::Heading(3, "Published by others".to_owned()),
        Block::Paragraph(note.to_owned()),
        Block::table(columns, published.iter().map(row).collect()),
    ]
}
