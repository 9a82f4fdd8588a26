//! Reads JSON lines: one object a line.

use serde_json::Value;

use super::error::RowProblem;
use super::manifest::Column;
use super::read::{Cell, Record, Role};

/// The byte order mark that some editors write before UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One record per line that is not blank. Lines end at `\n` alone: texts hold U+2028 and U+0085, which are no line ends here.
pub(super) fn records<'a>(bytes: &'a [u8], wanted: &'a [(Role, &'a Column)]) -> impl Iterator<Item = Record> + 'a {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let lines = (1..).zip(bytes.split(|&byte| byte == b'\n'));
    lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(|(place, line)| Record { place, cells: cells(line, wanted) })
}

fn cells(line: &[u8], wanted: &[(Role, &Column)]) -> Result<Vec<Cell>, RowProblem> {
    let line = std::str::from_utf8(line).map_err(|_| RowProblem::NotUtf8)?;
    let value =
        serde_json::from_str(line).map_err(|error| RowProblem::NotJson { byte: error.column(), ends_early: error.is_eof() })?;
    let object = match value {
        Value::Object(object) => object,
        other => return Err(RowProblem::NotAnObject { found: type_name(&other) }),
    };
    let mut cells = Vec::with_capacity(wanted.len());
    for (role, column) in wanted {
        let key = column.key();
        // Not taken out of the object: one column may be both the text and the group.
        match object.get(&key) {
            Some(value) => cells.push(cell(value.clone())),
            None if *role == Role::Title => cells.push(Cell::Null),
            None => return Err(RowProblem::NoKey { wanted: key, keys: object.keys().cloned().collect() }),
        }
    }
    Ok(cells)
}

fn cell(value: Value) -> Cell {
    match value {
        Value::String(text) => Cell::Text(text),
        Value::Number(number) => Cell::Number(number.to_string()),
        Value::Null => Cell::Null,
        other => Cell::Other(type_name(&other)),
    }
}

const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_column_may_be_two_things() {
        let text = Column::Name("t".to_owned());
        let wanted = [(Role::Text, &text), (Role::Group, &text)];
        let read = records(b"{\"t\": \"a\"}", &wanted).next().unwrap();
        let twice = vec![Cell::Text("a".to_owned()), Cell::Text("a".to_owned())];
        assert_eq!(read.cells.as_ref().unwrap(), &twice);
    }

    fn read(bytes: &[u8]) -> Vec<(u64, Result<Vec<Cell>, String>)> {
        let (text, label) = (Column::Name("t".to_owned()), Column::Name("l".to_owned()));
        let wanted = [(Role::Text, &text), (Role::Label, &label)];
        records(bytes, &wanted).map(|r| (r.place, r.cells.map_err(|e| e.to_string()))).collect()
    }

    fn row(text: &str, label: Cell) -> Vec<Cell> {
        vec![Cell::Text(text.to_owned()), label]
    }

    #[test]
    fn lines_end_at_line_feeds_only() {
        let read = read("\u{feff}{\"t\": \"a\u{2028}b\u{85}c\", \"l\": 7}\r\n\n{\"l\": \"x\", \"t\": \"d\"}".as_bytes());
        let expected = vec![
            (1, Ok(row("a\u{2028}b\u{85}c", Cell::Number("7".to_owned())))),
            (3, Ok(row("d", Cell::Text("x".to_owned())))),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn every_broken_line_says_what_is_broken() {
        let lines = b"{\"t\": \"a\" \"l\": 1}\n{\"t\": \"a\", \n[1]\n{\"t\": \"a\", \"label\": 1}\n\xff\n";
        let problems: Vec<String> = read(lines).into_iter().map(|(_, cells)| cells.unwrap_err()).collect();
        assert_eq!(
            problems,
            [
                "broken JSON at byte 11 of the line",
                "broken JSON at byte 11 of the line (it ends too early)",
                "found an array, wanted a JSON object",
                "no key `l`; its keys are: t, label",
                "not UTF-8",
            ]
        );
    }
}
