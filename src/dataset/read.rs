//! Reads one data file into rows: the part that all formats share.

use std::borrow::Cow;
use std::path::Path;

use super::error::{DatasetError, RowProblem};
use super::manifest::{Column, Columns, Encoding, Format, Manifest, OnBadRow, Split};
use super::{Row, delimited, jsonl, lines, parquet};
use crate::spec::suggest;

/// One field of a data file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// A number, as the file writes it or in the shortest form that reads back the same.
    Number(String),
    Null,
    /// A value that no column can be, by the name of its type.
    Other(&'static str),
}

/// The fields of one row, in the order of [`wanted`], or why they cannot be had.
pub(super) struct Record {
    /// Line (text files) or row (Parquet), from 1.
    pub(super) place: u64,
    pub(super) cells: Result<Vec<Cell>, RowProblem>,
}

/// What a file gives.
#[derive(Default)]
pub(super) struct FileRows {
    /// Ids are the rows' own, or empty where the manifest names no `id` column.
    pub(super) rows: Vec<Row>,
    /// Where each row stands in the file.
    pub(super) places: Vec<u64>,
    pub(super) skipped: usize,
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Text,
    Text2,
    Label,
    Score,
    /// What goes before a document's text; it may be blank, or missing in a row.
    Title,
    Id,
    Group,
    /// A column that was asked for by name.
    Further,
}

/// The columns a split reads, in a fixed order.
pub(super) fn wanted(columns: &Columns) -> Vec<(Role, &Column)> {
    let optional = [
        (Role::Text2, &columns.text2),
        (Role::Label, &columns.label),
        (Role::Score, &columns.score),
        (Role::Title, &columns.title),
        (Role::Id, &columns.id),
        (Role::Group, &columns.group),
    ];
    let mut wanted = vec![(Role::Text, &columns.text)];
    wanted.extend(optional.into_iter().filter_map(|(role, column)| Some((role, column.as_ref()?))));
    wanted
}

/// What a format's places are called.
pub(super) const fn unit(format: &Format) -> &'static str {
    match format {
        Format::Parquet => "row",
        Format::JsonLines | Format::Lines(_) | Format::Delimited { .. } => "line",
    }
}

/// Reads the bytes of a split's file of this number; `path` is for messages.
///
/// # Errors
/// A file that is not of its format or lacks a column; a bad row, unless the manifest passes over those.
pub(super) fn rows(
    bytes: &[u8],
    path: &Path,
    manifest: &Manifest,
    split: &Split,
    file: usize,
    further: &[Column],
) -> Result<FileRows, DatasetError> {
    let bytes = utf8(bytes, split.encoding);
    let bytes = bytes.as_ref();
    let mut wanted = wanted(&split.columns);
    wanted.extend(further.iter().map(|column| (Role::Further, column)));
    let records: Box<dyn Iterator<Item = Record> + '_> = match &split.format {
        Format::JsonLines => Box::new(jsonl::records(bytes, &wanted)),
        Format::Lines(pattern) => Box::new(lines::records(bytes, &wanted, pattern)),
        &Format::Delimited { separator, header, quoting } => {
            Box::new(delimited::records(bytes, path, &wanted, delimited::Dialect { separator, header, quoting })?.into_iter())
        }
        Format::Parquet => Box::new(parquet::records(bytes, path, &wanted)?.into_iter()),
    };
    let of_file = Row { label: split.labels.get(file).cloned(), subset: split.subsets.get(file).cloned(), ..Row::default() };
    let mut file = FileRows::default();
    for Record { place, cells } in records {
        match cells.and_then(|cells| row(cells, &wanted, &manifest.labels, split, of_file.clone())) {
            Ok(row) => {
                file.rows.push(row);
                file.places.push(place);
            }
            // What a prompt asks for decides about no slice: a row that lacks it is not passed over.
            Err(problem) if manifest.on_bad_row == OnBadRow::Skip && !is_about(&problem, further) => file.skipped += 1,
            Err(problem) => {
                let problem = Box::new(problem);
                return Err(DatasetError::BadRow { path: path.to_owned(), unit: unit(&split.format), place, problem });
            }
        }
    }
    Ok(file)
}

/// Whether a problem is that of a column that was asked for by name.
fn is_about(problem: &RowProblem, further: &[Column]) -> bool {
    match problem {
        RowProblem::NoKey { wanted, .. } => further.iter().any(|column| column.key() == *wanted),
        RowProblem::NotText { column, .. } | RowProblem::Blank { column } => {
            further.iter().any(|other| other.to_string() == *column)
        }
        _ => false,
    }
}

/// The bytes of a text file as UTF-8.
fn utf8(bytes: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Utf8 => Cow::Borrowed(bytes),
        Encoding::Latin1 => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into_bytes()),
    }
}

/// A row of these cells, beside what its file says of all of its rows.
fn row(
    cells: Vec<Cell>,
    wanted: &[(Role, &Column)],
    labels: &[String],
    split: &Split,
    mut row: Row,
) -> Result<Row, RowProblem> {
    let text = |cell: Cell, column: &Column| text(cell, column).map(|text| split.white_space.of(text));
    let titled = wanted.iter().any(|(role, _)| *role == Role::Title);
    let mut title = String::new();
    for (cell, &(role, column)) in cells.into_iter().zip(wanted) {
        match role {
            // A document may have a title alone.
            Role::Text if titled && is_blank(&cell) => {}
            Role::Text => row.text = text(cell, column)?,
            Role::Text2 => row.text2 = Some(text(cell, column)?),
            Role::Label => row.label = Some(label(name(cell, column)?, column, labels)?),
            Role::Score => row.score = Some(score(cell, column)?),
            Role::Title if is_blank(&cell) => {}
            Role::Title => title = text(cell, column)?,
            Role::Id => row.id = name(cell, column)?,
            Role::Group => row.group = Some(name(cell, column)?),
            Role::Further => row.fields.push(name(cell, column)?),
        }
    }
    if titled {
        // As BEIR and MTEB join them.
        row.text = format!("{title} {}", row.text).trim().into();
    }
    match wanted.first() {
        Some((_, column)) if row.text.is_empty() => Err(RowProblem::Blank { column: column.to_string() }),
        _ => Ok(row),
    }
}

fn is_blank(cell: &Cell) -> bool {
    match cell {
        Cell::Text(text) => text.trim().is_empty(),
        Cell::Null => true,
        Cell::Number(_) | Cell::Other(_) => false,
    }
}

/// A text that is not blank; a number is not a text.
fn text(cell: Cell, column: &Column) -> Result<String, RowProblem> {
    match cell {
        Cell::Number(_) => Err(RowProblem::NotText { column: column.to_string(), found: "a number" }),
        cell => name(cell, column),
    }
}

/// A text that is not blank, or a number as it is written.
fn name(cell: Cell, column: &Column) -> Result<String, RowProblem> {
    let column = column.to_string();
    match cell {
        Cell::Text(text) if text.trim().is_empty() => Err(RowProblem::Blank { column }),
        Cell::Text(text) | Cell::Number(text) => Ok(text),
        Cell::Null => Err(RowProblem::NotText { column, found: "nothing" }),
        Cell::Other(found) => Err(RowProblem::NotText { column, found }),
    }
}

/// The label itself or, where it is no label's name, the label it is the index of.
fn label(found: String, column: &Column, labels: &[String]) -> Result<String, RowProblem> {
    if labels.is_empty() || labels.contains(&found) {
        return Ok(found);
    }
    if let Some(label) = found.parse().ok().and_then(|index: usize| labels.get(index)) {
        return Ok(label.clone());
    }
    let suggestion = suggest(&found, labels.iter().map(String::as_str));
    Err(RowProblem::UnknownLabel { column: column.to_string(), found, labels: labels.len(), suggestion })
}

fn score(cell: Cell, column: &Column) -> Result<f64, RowProblem> {
    let found = match cell {
        Cell::Text(text) | Cell::Number(text) => text,
        Cell::Null => String::new(),
        Cell::Other(kind) => kind.to_owned(),
    };
    match found.trim().parse::<f64>() {
        Ok(score) if score.is_finite() => Ok(score),
        _ => Err(RowProblem::NotNumber { column: column.to_string(), found }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file of two texts in each format, by the manifest that reads it.
    fn split(format: &str) -> (Manifest, Split) {
        let columns = if format.contains("header = false") { "text = 0, label = 1" } else { "text = \"t\", label = \"l\"" };
        let text = format!(
            "name = \"d\"\nabout = \"a\"\nkind = \"classification\"\nlicence = \"none\"\n\
             [splits.s]\nfiles = [\"f\"]\ncolumns = {{ {columns} }}\nformat = {format}\n"
        );
        let manifest = Manifest::parse(&text, Path::new("d/dataset.toml")).unwrap();
        let split = manifest.splits[0].clone();
        (manifest, split)
    }

    proptest! {
        /// Whatever the bytes, reading them ends in rows or in an error.
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\n'), Just(b',')], 0..60)) {
            let with_header = [b"t,l\n".as_slice(), &bytes].concat();
            for format in ["\"jsonl\"", "\"csv\"", "\"csv\"\nheader = false", "\"tsv\"\nheader = false\nquoting = false", "\"lines\"\nline = \"{l}:{t}\"\nencoding = \"latin-1\"", "\"parquet\""] {
                let (manifest, split) = split(format);
                for bytes in [&bytes, &with_header] {
                    if let Ok(file) = rows(bytes, Path::new("f"), &manifest, &split, 0, &[]) {
                        prop_assert!(file.rows.iter().all(|row| !row.text.trim().is_empty()) && file.places.iter().all(|place| *place > 0));
                    }
                }
            }
        }
    }

    fn labels() -> Vec<String> {
        vec!["新闻".to_owned(), "求职".to_owned()]
    }

    #[test]
    fn a_label_is_a_name_or_an_index() {
        let column = Column::Name("label".to_owned());
        assert_eq!(label("求职".to_owned(), &column, &labels()), Ok("求职".to_owned()));
        assert_eq!(label("1".to_owned(), &column, &labels()), Ok("求职".to_owned()));
        assert_eq!(label("1".to_owned(), &column, &["1".to_owned(), "0".to_owned()]), Ok("1".to_owned()));
        assert_eq!(label("7".to_owned(), &column, &[]), Ok("7".to_owned()));
        assert_eq!(
            label("2".to_owned(), &column, &labels()).unwrap_err().to_string(),
            "column `label`: `2` is not one of the manifest's 2 labels"
        );
    }

    #[test]
    fn a_score_is_a_finite_number() {
        let column = Column::Index(2);
        assert_eq!(score(Cell::Text(" 4.75".to_owned()), &column), Ok(4.75));
        assert_eq!(score(Cell::Number("5".to_owned()), &column), Ok(5.0));
        for found in ["", "NaN", "inf", "four"] {
            let error = score(Cell::Text(found.to_owned()), &column).unwrap_err();
            assert_eq!(error.to_string(), format!("column 2: found `{found}`, wanted a finite number"));
        }
    }
}
