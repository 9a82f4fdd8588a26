//! The one place that prints: lines to standard output, failures to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use embed_bench::results::{Axis, Choices};
use embed_bench::spec::Problems;
use embed_bench::{Error, cause, visible};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use unicode_width::UnicodeWidthChar as _;

use super::Failure;

/// Writes a line for people to standard output: what it quotes commands no terminal.
pub fn line(text: impl Display) {
    data(visible::lines(&text.to_string()));
}

/// Writes text to standard output as it is.
pub fn data(text: impl Display) {
    written(|out| writeln!(out, "{text}"));
}

/// Writes to standard output piece by piece. A reader that has gone away (`| head`) is no reason to fail; a full disk is.
pub fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            note(format!("error: cannot write to standard output: {error}"));
            std::process::exit(2);
        }
        _ => (),
    }
}

/// Writes a line for people to standard error.
pub fn note(text: impl Display) {
    painted(visible::lines(&text.to_string()));
}

/// Draws the line in which the cursor stands again; an empty text takes it back.
pub fn live(text: &str) {
    // To the line's beginning, and what is there away; in one piece, so that nobody sees an empty line.
    let line = format!("\r\u{1b}[K{}", visible::lines(text));
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// The same with the colours it has.
fn painted(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Columns that a line may take: those of the terminal, or of `COLUMNS`; 80 where standard output is neither.
pub fn width() -> usize {
    let asked = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    // A terminal that does not know its size says 0.
    let own = Table::new().width().map(usize::from).filter(|columns| *columns > 0);
    own.or_else(asked).unwrap_or(80)
}

/// A line below the header, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// An empty table in the house style, as wide as its content: a number that wraps cannot be read.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

/// The axes that a table of cells shows: all, but for the task where every cell has the same, and the transform where none has
/// one.
pub fn axes<'a>(cells: impl IntoIterator<Item = &'a Choices>) -> Vec<Axis> {
    let cells: Vec<&Choices> = cells.into_iter().collect();
    let shown = |axis: &Axis| match axis {
        Axis::Task => cells.iter().any(|choices| choices.task != cells[0].task),
        Axis::Transform => cells.iter().any(|choices| choices.names(Axis::Transform)),
        _ => true,
    };
    Axis::ALL.iter().copied().filter(shown).collect()
}

/// A table of prose: cells wrap at the width of the terminal.
pub fn wrapped(mut table: Table) -> Table {
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// A whole number with thousands separated by commas.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Text for one line of a terminal, at most `width` columns, with an ellipsis if cut.
pub fn shortened(text: &str, width: usize) -> String {
    let mut shown = String::new();
    let mut used = 0;
    for character in visible::one_line(text).chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            shown.push('…');
            break;
        }
        shown.push(character);
    }
    shown
}

/// A number of bytes in the largest binary unit that keeps it above one.
pub fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// Prints why a command could not do its work, causes included.
pub fn failure(failure: &Failure) {
    if let Failure::Bench(Error::Spec(problems)) = failure {
        return spec_problems(problems);
    }
    note(format!("error: {}", cause::told(failure)));
}

/// Prints every problem of a spec with its line and a caret.
pub fn spec_problems(problems: &Problems) {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    note(format!("{problems}"));
    for problem in problems {
        let mut rendered = String::new();
        if handler.render_report(&mut rendered, problem as &dyn Diagnostic).is_err() {
            rendered.clone_from(&problem.message);
        }
        painted(format!("\n{}", rendered.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_text_fits_its_columns() {
        assert_eq!(shortened("新闻 app", 8), "新闻 app");
        assert_eq!(shortened("新闻 app", 5), "新闻 …");
        assert_eq!(shortened("a\u{1b}[31m\nb", 9), "a\u{fffd}[31m b");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!([count(0), count(999), count(1_000), count(12_345_678)], ["0", "999", "1,000", "12,345,678"]);
    }
}
