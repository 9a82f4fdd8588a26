//! Reads a file of texts that belongs to no dataset: what `bench embed` is given.

use std::fs;
use std::path::Path;

use super::error::{DatasetError, RowProblem};
use super::manifest::Column;
use super::read::{Cell, Role};
use super::{jsonl, parquet};

/// Texts of a file, one per line or row: plain lines (`.txt`), JSON lines with `text` (`.jsonl`, `.json`), Parquet with a
/// column `text` (`.parquet`). An empty line is an empty text, so that rows of the output are lines of the input.
///
/// # Errors
/// A file that cannot be read, is of no known kind, or has a line without a text; with its number.
pub fn read_texts(path: &Path) -> Result<Vec<String>, DatasetError> {
    let bytes = fs::read(path).map_err(|source| DatasetError::Io { doing: "read", path: path.to_owned(), source })?;
    let column = Column::Name("text".to_owned());
    let wanted = [(Role::Text, &column)];
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (unit, records) = match extension.as_str() {
        "txt" => return lines(&bytes, path),
        "jsonl" | "json" => ("line", jsonl::records(&bytes, &wanted)),
        "parquet" => ("row", parquet::records(&bytes, path, &wanted)?),
        _ => return Err(DatasetError::UnknownInput { path: path.to_owned() }),
    };
    let text = |cells: Vec<Cell>| match cells.into_iter().next() {
        Some(Cell::Text(text)) => Ok(text),
        Some(Cell::Number(_)) => Err(RowProblem::NotText { column: column.to_string(), found: "a number" }),
        Some(Cell::Other(found)) => Err(RowProblem::NotText { column: column.to_string(), found }),
        Some(Cell::Null) | None => Err(RowProblem::NotText { column: column.to_string(), found: "nothing" }),
    };
    let bad = |place, problem| DatasetError::BadText { path: path.to_owned(), unit, place, problem: Box::new(problem) };
    records.into_iter().map(|record| record.cells.and_then(text).map_err(|problem| bad(record.place, problem))).collect()
}

fn lines(bytes: &[u8], path: &Path) -> Result<Vec<String>, DatasetError> {
    let bytes = bytes.strip_prefix(jsonl::BYTE_ORDER_MARK).unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let text = |(place, line): (u64, &[u8])| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let bad =
            |_| DatasetError::BadText { path: path.to_owned(), unit: "line", place, problem: Box::new(RowProblem::NotUtf8) };
        std::str::from_utf8(line).map(str::to_owned).map_err(bad)
    };
    (1..).zip(bytes.split(|&byte| byte == b'\n')).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        let hide = |error: DatasetError| error.to_string().replace(&folder.path().display().to_string(), "DIR");
        read_texts(&folder.path().join(name)).map_err(hide)
    }

    #[test]
    fn lines_of_the_output_are_lines_of_the_input() {
        assert_eq!(read("a.txt", "一\r\n\nb".as_bytes()).unwrap(), ["一", "", "b"]);
        assert_eq!(read("a.txt", b"a\n").unwrap(), ["a"]);
        assert_eq!(read("a.txt", b"").unwrap(), [""; 0]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": 3}\n").unwrap_err();
        assert!(error.contains("DIR/a.jsonl") && error.contains("line 2"), "{error}");
        assert!(read("a.txt", b"a\n\xff\n").unwrap_err().contains("line 2"));
        assert!(read("a.doc", b"a").unwrap_err().contains(".jsonl"));
    }
}
