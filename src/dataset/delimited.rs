//! Reads fields between separators: CSV and TSV.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::error::{DatasetError, RowProblem};
use super::jsonl::BYTE_ORDER_MARK;
use super::manifest::Column;
use super::read::{Cell, Record, Role};
use crate::spec::suggest;

/// How fields are written.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    pub(super) separator: u8,
    pub(super) header: bool,
    /// Whether double quotes may enclose a field; else a quote is a character like any other and a row is a line.
    pub(super) quoting: bool,
}

/// One record per row; blank lines are passed over.
///
/// # Errors
/// If the header lacks a column.
pub(super) fn records(
    bytes: &[u8],
    path: &Path,
    wanted: &[(Role, &Column)],
    dialect: Dialect,
) -> Result<Vec<Record>, DatasetError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let terminator = if dialect.quoting { Terminator::CRLF } else { Terminator::Any(b'\n') };
    let mut reader = ReaderBuilder::new()
        .delimiter(dialect.separator)
        .quoting(dialect.quoting)
        .terminator(terminator)
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let broken =
        |error: csv::Error| DatasetError::Io { doing: "read", path: path.to_owned(), source: std::io::Error::other(error) };
    let mut record = ByteRecord::new();
    let header = if dialect.header {
        reader.read_byte_record(&mut record).map_err(broken)?;
        Some(record.iter().map(|field| String::from_utf8_lossy(trim(field)).into_owned()).collect::<Vec<_>>())
    } else {
        None
    };
    let indices = indices(path, wanted, header.as_deref())?;
    let mut records = Vec::new();
    let mut lines = Lines { bytes, at: 0, line: 1 };
    while reader.read_byte_record(&mut record).map_err(broken)? {
        let from = record.position().map_or(0, csv::Position::byte);
        let (place, lines) = lines.span(from, reader.position().byte());
        if record.len() == 1 && trim(&record[0]).is_empty() {
            continue;
        }
        records.push(Record { place, cells: cells(&record, &indices, header.as_ref().map(Vec::len), lines) });
    }
    Ok(records)
}

/// Counts lines; the reader's own count is one behind after `\r\n` and after blank lines.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line on which the row within these bytes begins, and how many lines it runs over. Rows are asked for in order.
    fn span(&mut self, from: u64, to: u64) -> (u64, u64) {
        let within = |byte| usize::try_from(byte).unwrap_or(usize::MAX).min(self.bytes.len());
        let row = &self.bytes[within(from)..within(to)];
        let begin = within(from) + row.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let feeds = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        self.line += feeds(&self.bytes[self.at..begin]);
        self.at = begin;
        (self.line, 1 + feeds(self.bytes[begin..within(to)].trim_ascii_end()))
    }
}

/// Where each wanted column is.
fn indices(path: &Path, wanted: &[(Role, &Column)], header: Option<&[String]>) -> Result<Vec<usize>, DatasetError> {
    let index = |column: &Column| match column {
        Column::Index(index) => Ok(*index),
        Column::Name(name) => {
            let have = header.unwrap_or_default();
            have.iter().position(|other| other == name).ok_or_else(|| DatasetError::MissingColumn {
                path: path.to_owned(),
                column: name.clone(),
                suggestion: suggest(name, have.iter().map(String::as_str)),
                have: have.to_vec(),
            })
        }
    };
    wanted.iter().map(|(_, column)| index(column)).collect()
}

fn cells(record: &ByteRecord, indices: &[usize], width: Option<usize>, lines: u64) -> Result<Vec<Cell>, RowProblem> {
    if let Some(wanted) = width
        && record.len() != wanted
    {
        return Err(RowProblem::FieldCount { found: record.len(), wanted, lines });
    }
    let mut cells = Vec::with_capacity(indices.len());
    for &wanted in indices {
        let field = record.get(wanted).ok_or(RowProblem::NoField { found: record.len(), wanted, lines })?;
        let field = if wanted + 1 == record.len() { trim(field) } else { field };
        let text = std::str::from_utf8(field).map_err(|_| RowProblem::NotUtf8)?;
        cells.push(Cell::Text(text.to_owned()));
    }
    Ok(cells)
}

/// A line's last field without the carriage return of a Windows line end.
fn trim(field: &[u8]) -> &[u8] {
    field.strip_suffix(b"\r").unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row's line, and its fields or what is wrong with it.
    type Read = (u64, Result<Vec<String>, String>);

    fn read(bytes: &[u8], columns: &[Column], dialect: Dialect) -> Result<Vec<Read>, String> {
        let wanted: Vec<(Role, &Column)> = columns.iter().map(|column| (Role::Text, column)).collect();
        let records = records(bytes, Path::new("x.csv"), &wanted, dialect).map_err(|error| error.to_string())?;
        let texts = |cells: Vec<Cell>| {
            let text = |cell| if let Cell::Text(text) = cell { text } else { panic!("{cell:?}") };
            cells.into_iter().map(text).collect()
        };
        Ok(records.into_iter().map(|r| (r.place, r.cells.map(texts).map_err(|e| e.to_string()))).collect())
    }

    fn ok(place: u64, fields: [&str; 2]) -> Read {
        (place, Ok(fields.map(str::to_owned).to_vec()))
    }

    const CSV: Dialect = Dialect { separator: b',', header: true, quoting: true };
    const TSV: Dialect = Dialect { separator: b'\t', header: false, quoting: false };

    #[test]
    fn a_header_names_columns_in_any_order() {
        let columns = [Column::Name("b".to_owned()), Column::Name("a".to_owned())];
        let bytes = "\u{feff}a,b\r\n\"x,\n\"\"y\"\"\",1\r\n\r\nz,2\r\n".as_bytes();
        assert_eq!(read(bytes, &columns, CSV), Ok(vec![ok(2, ["1", "x,\n\"y\""]), ok(5, ["2", "z"])]));
        assert_eq!(read(b"a,bb\n1,2\n", &columns, CSV), Err("x.csv: no column `b`; its columns are: a, bb".to_owned()));
    }

    #[test]
    fn without_quoting_quotes_are_characters() {
        let columns = [Column::Index(0), Column::Index(1)];
        let read = read(b"4.4\t\"He said \"no\r\n\n1\tb\tc\n", &columns, TSV);
        assert_eq!(read, Ok(vec![ok(1, ["4.4", "\"He said \"no"]), ok(3, ["1", "b"])]));
    }

    #[test]
    fn a_short_row_and_an_open_quote_are_found_in_their_line() {
        let columns = [Column::Name("a".to_owned()), Column::Name("b".to_owned())];
        let read = read(b"a,b\n1,2\n3\n\"4,5\n6,7\n", &columns, CSV).unwrap();
        let short = "1 field where the header has 2";
        assert_eq!(read[1], (3, Err(short.to_owned())));
        assert_eq!(read[2], (4, Err(format!("{short} (the row runs over 2 lines: is a quote never closed?)"))));
        let read = super::tests::read(b"only one\n", &[Column::Index(1)], TSV).unwrap();
        assert_eq!(read, [(1, Err("1 field, so none at index 1".to_owned()))]);
    }
}
