//! Reads a file of texts that belongs to no dataset: what `bench embed` is given.

use std::fs;
use std::path::Path;

use super::error::{DatasetError, RowProblem};
use super::manifest::Column;
use super::read::{Cell, Record, Role};
use super::{jsonl, parquet};

/// A text of a file, and the values of further columns that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub text: String,
    /// In the order asked.
    pub fields: Vec<String>,
}

/// Texts of a file, one per line or row: plain lines (`.txt`), JSON lines with `text` (`.jsonl`, `.json`), Parquet with a
/// column `text` (`.parquet`). An empty line is an empty text, so that rows of the output are lines of the input. Further
/// columns have names, which plain lines have not.
///
/// # Errors
/// A file that cannot be read, is of no known kind, or has a line without a text or one of the columns; with its number.
pub fn read_texts(path: &Path, columns: &[&str]) -> Result<Vec<Input>, DatasetError> {
    let bytes = fs::read(path).map_err(|source| DatasetError::Io { doing: "read", path: path.to_owned(), source })?;
    let names: Vec<Column> = std::iter::once(&"text").chain(columns).map(|name| Column::Name((*name).to_owned())).collect();
    let roles = std::iter::once(Role::Text).chain(std::iter::repeat(Role::Further));
    let wanted: Vec<(Role, &Column)> = roles.zip(&names).collect();
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (unit, records): (_, Box<dyn Iterator<Item = Record> + '_>) = match extension.as_str() {
        "txt" => match columns.first() {
            Some(name) => return Err(DatasetError::PlainLines { path: path.to_owned(), name: (*name).to_owned() }),
            None => return lines(&bytes, path),
        },
        "jsonl" | "json" => ("line", Box::new(jsonl::records(&bytes, &wanted))),
        "parquet" => ("row", Box::new(parquet::records(&bytes, path, &wanted)?.into_iter())),
        _ => return Err(DatasetError::UnknownInput { path: path.to_owned() }),
    };
    let word = |(cell, (role, column)): (Cell, &(Role, &Column))| match (cell, role) {
        (Cell::Text(text), _) | (Cell::Number(text), Role::Further) => Ok(text),
        (Cell::Number(_), _) => Err(RowProblem::NotText { column: column.to_string(), found: "a number" }),
        (Cell::Other(found), _) => Err(RowProblem::NotText { column: column.to_string(), found }),
        (Cell::Null, _) => Err(RowProblem::NotText { column: column.to_string(), found: "nothing" }),
    };
    let input = |cells: Vec<Cell>| {
        let mut words = cells.into_iter().zip(&wanted).map(word);
        let text = words.next().unwrap_or_else(|| Ok(String::new()))?;
        Ok(Input { text, fields: words.collect::<Result<_, _>>()? })
    };
    let bad = |place, problem| DatasetError::BadText { path: path.to_owned(), unit, place, problem: Box::new(problem) };
    records.map(|record| record.cells.and_then(input).map_err(|problem| bad(record.place, problem))).collect()
}

fn lines(bytes: &[u8], path: &Path) -> Result<Vec<Input>, DatasetError> {
    let bytes = bytes.strip_prefix(jsonl::BYTE_ORDER_MARK).unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let text = |(place, line): (u64, &[u8])| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let bad =
            |_| DatasetError::BadText { path: path.to_owned(), unit: "line", place, problem: Box::new(RowProblem::NotUtf8) };
        let text = std::str::from_utf8(line).map_err(bad)?;
        Ok(Input { text: text.to_owned(), fields: Vec::new() })
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
        let inputs = read_texts(&folder.path().join(name), &[]).map_err(hide)?;
        Ok(inputs.into_iter().map(|input| input.text).collect())
    }

    #[test]
    fn lines_of_the_output_are_lines_of_the_input() {
        assert_eq!(read("a.txt", "一\r\n\nb".as_bytes()).unwrap(), ["一", "", "b"]);
        assert_eq!(read("a.txt", b"a\n").unwrap(), ["a"]);
        assert_eq!(read("a.txt", b"").unwrap(), [""; 0]);
    }

    #[test]
    fn further_columns_are_read_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "{\"text\": \"a\", \"year\": 1999, \"topic\": \"sport\"}").unwrap();
        let read = read_texts(&path, &["topic", "year"]).unwrap();
        assert_eq!(read, [Input { text: "a".to_owned(), fields: vec!["sport".to_owned(), "1999".to_owned()] }]);
        let error = read_texts(&path, &["tpic"]).unwrap_err().to_string();
        assert!(error.contains("no key `tpic` (did you mean `topic`?)"), "{error}");
        let error = read_texts(Path::new("a.txt"), &["topic"]);
        assert!(matches!(error, Err(DatasetError::Io { .. })));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": 3}\n").unwrap_err();
        assert!(error.contains("DIR/a.jsonl") && error.contains("line 2"), "{error}");
        assert!(read("a.txt", b"a\n\xff\n").unwrap_err().contains("line 2"));
        assert!(read("a.doc", b"a").unwrap_err().contains(".jsonl"));
    }
}
