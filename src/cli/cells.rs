//! Tables of cells that fit their lines: a column for each axis where there is room, else all choices in one column that wraps.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use unicode_width::UnicodeWidthStr as _;

use super::out;

/// Rows of choices and figures.
pub struct CellTable {
    /// Heads of what stands before the choices, of the axes, and of the figures.
    before: Vec<String>,
    axes: Vec<String>,
    figures: Vec<(String, Keep)>,
    rows: Vec<Row>,
}

struct Row {
    before: Vec<String>,
    choices: Vec<String>,
    figures: Vec<String>,
}

/// Which figures give way where lines are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    Always,
    /// Left out of the shortest lines.
    Long,
    /// The first to be left out.
    Short,
}

/// Columns that choices should have at least, unless they are all shorter.
const NAME: usize = 20;
/// Columns that they have in any case.
const LEAST: usize = 10;
/// Space between what stands in two columns; at both ends of a line there is one less in all.
const PADDING: usize = 3;

impl CellTable {
    pub const fn new(before: Vec<String>, axes: Vec<String>, figures: Vec<(String, Keep)>) -> Self {
        Self { before, axes, figures, rows: Vec::new() }
    }

    pub fn add(&mut self, before: Vec<String>, choices: Vec<String>, figures: Vec<String>) {
        self.rows.push(Row { before, choices, figures });
    }

    /// The table in lines of at most so many columns of a terminal, as far as figures allow.
    pub fn within(&self, width: usize) -> String {
        let wide = self.wide();
        if wide.lines().all(|line| line.width() <= width) { wide } else { self.narrow(width) }
    }

    fn wide(&self) -> String {
        let figures = self.figures.iter().map(|(head, _)| head);
        let header: Vec<&str> = self.before.iter().chain(&self.axes).chain(figures).map(String::as_str).collect();
        let mut table = out::table(&header);
        for row in &self.rows {
            table.add_row(row.before.iter().chain(&row.choices).chain(&row.figures));
        }
        self.align(&mut table, self.before.len() + self.axes.len());
        trimmed(&table)
    }

    /// What all rows share in a line above, and the other choices joined in one column that wraps.
    fn narrow(&self, width: usize) -> String {
        let shared: Vec<bool> = (0..self.axes.len()).map(|axis| self.shares(axis)).collect();
        let names: Vec<String> = self.rows.iter().map(|row| joined(&row.choices, &shared)).collect();
        let wanted = names.iter().map(|name| name.width()).max().unwrap_or(0).min(NAME);
        let room = |last: Keep| {
            let kept = (0..self.figures.len()).filter(|&at| self.figures[at].1 <= last);
            let used: usize = kept.map(|at| self.widest(&self.figures[at].0, |row| &row.figures[at]) + PADDING).sum();
            let before: usize =
                (0..self.before.len()).map(|at| self.widest(&self.before[at], |row| &row.before[at]) + PADDING).sum();
            width.saturating_sub(used + before + PADDING - 1)
        };
        let last = [Keep::Short, Keep::Long].into_iter().find(|last| room(*last) >= wanted).unwrap_or(Keep::Always);
        let kept = |at: usize| self.figures[at].1 <= last;
        let heads = (0..self.figures.len()).filter(|&at| kept(at)).map(|at| self.figures[at].0.as_str());
        let header: Vec<&str> = self.before.iter().map(String::as_str).chain(["cell"]).chain(heads).collect();
        let mut table = out::table(&header);
        for (row, name) in self.rows.iter().zip(&names) {
            let figures = row.figures.iter().enumerate().filter(|(at, _)| kept(*at)).map(|(_, figure)| figure);
            table.add_row(row.before.iter().chain([name]).chain(figures));
        }
        self.align(&mut table, self.before.len() + 1);
        let room = u16::try_from(room(last).max(LEAST).min(names.iter().map(|name| name.width()).max().unwrap_or(LEAST)));
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::try_from(width.max(20)).unwrap_or(u16::MAX));
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_constraint(match room {
                Ok(room) if place == self.before.len() => ColumnConstraint::Absolute(Width::Fixed(room.saturating_add(2))),
                _ => ColumnConstraint::ContentWidth,
            });
        }
        let mut lines: Vec<String> = self.same(&shared).iter().map(|line| folded(line, width)).collect();
        lines.push(trimmed(&table));
        let missing: Vec<&str> =
            (0..self.figures.len()).filter(|&at| !kept(at)).map(|at| self.figures[at].0.as_str()).collect();
        if !missing.is_empty() {
            lines.push(folded(&format!("no room for: {}", missing.join(", ")), width));
        }
        lines.join("\n")
    }

    /// Whether all of several rows have the same choice on an axis, or none at all.
    fn shares(&self, axis: usize) -> bool {
        let choice = |row: &Row| row.choices.get(axis).cloned();
        let first = self.rows.first().and_then(choice);
        let alike = self.rows.iter().all(|row| choice(row) == first);
        alike && (self.rows.len() > 1 || first.is_none_or(|id| id == NONE))
    }

    fn same(&self, shared: &[bool]) -> Option<String> {
        let first = self.rows.first()?;
        let told = (0..self.axes.len()).filter(|&axis| shared[axis] && first.choices[axis] != NONE);
        let told: Vec<String> = told.map(|axis| format!("{} {}", self.axes[axis], first.choices[axis])).collect();
        (!told.is_empty()).then(|| format!("all of these: {}", told.join(", ")))
    }

    fn widest<'a>(&'a self, head: &str, of: impl Fn(&'a Row) -> &'a String) -> usize {
        self.rows.iter().map(|row| of(row).width()).max().unwrap_or(0).max(head.width())
    }

    /// Figures stand to the right.
    fn align(&self, table: &mut Table, first: usize) {
        for place in (0..self.before.len()).chain(first..first + self.figures.len()) {
            if let Some(column) = table.column_mut(place) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
}

/// What a cell has on an axis that is not for its samples.
const NONE: &str = embed_bench::results::NO_CHOICE;

fn joined(choices: &[String], shared: &[bool]) -> String {
    let own = choices.iter().zip(shared).filter(|(choice, shared)| !**shared && *choice != NONE);
    own.map(|(choice, _)| choice.as_str()).collect::<Vec<_>>().join(" · ")
}

/// Words in lines of at most so many columns, as far as words allow.
fn folded(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.width());
        match lines.last_mut() {
            Some(line) if last == 0 => line.push_str(word),
            Some(line) if last + 1 + word.width() <= width => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// Without the space at the ends of lines.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quickstart() -> CellTable {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let figures =
            [("on dev", Keep::Short), ("accuracy [95 %]", Keep::Always), ("± ref", Keep::Long), ("p (Holm)", Keep::Short)];
        let mut table = CellTable::new(
            own(&["#"]),
            own(&["model", "prompt", "labels", "calibration"]),
            figures.map(|(head, keep)| (head.to_owned(), keep)).into(),
        );
        let rows = [
            (["tiny-zh", "knowledge", "described", "center"], ["77.2 %", "75.6 % [69.2, 81.1]", "+7.1", "0.42"]),
            (["tiny-zh", "pretended-cot", "names", "center"], ["76.1 %", "77.7 % [71.4, 82.9]", "+9.1", "0.024"]),
            (["tiny-zh", "仔细思考后用一个词总结", "names", "center"], ["76.1 %", "77.2 % [70.8, 82.5]", "ref", ""]),
        ];
        for (place, (choices, figures)) in rows.into_iter().enumerate() {
            table.add(vec![(place + 1).to_string()], own(&choices), own(&figures));
        }
        table
    }

    #[test]
    fn a_wide_terminal_has_a_column_for_each_axis() {
        insta::assert_snapshot!(quickstart().within(120));
    }

    #[test]
    fn eighty_columns_are_enough_and_wide_characters_align() {
        insta::assert_snapshot!(quickstart().within(80));
    }

    #[test]
    fn sixty_columns_leave_out_what_the_report_has() {
        insta::assert_snapshot!(quickstart().within(60));
    }

    #[test]
    fn no_line_is_longer_than_asked_for() {
        for width in 40..140 {
            let text = quickstart().within(width);
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
        }
    }

    #[test]
    fn one_cell_keeps_its_name() {
        let mut table = quickstart();
        table.rows.truncate(1);
        assert!(table.within(60).contains("knowledge"), "{}", table.within(60));
    }
}
