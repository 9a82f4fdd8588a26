//! Reads Parquet files.

use std::io::Cursor;
use std::path::Path;

use polars::prelude::{AnyValue, Column as Series, DataFrame, ParquetReader, SerReader};

use super::error::DatasetError;
use super::manifest::Column;
use super::read::{Cell, Record, Role};
use crate::spec::suggest;

/// One record per row.
///
/// # Errors
/// If the bytes are not Parquet or are damaged, or lack a column.
pub(super) fn records(bytes: &[u8], path: &Path, wanted: &[(Role, &Column)]) -> Result<Vec<Record>, DatasetError> {
    // The decoder trusts lengths that it reads and panics where a damaged file lies about them.
    std::panic::catch_unwind(|| decode(bytes, path, wanted))
        .unwrap_or_else(|_| Err(DatasetError::DamagedParquet { path: path.to_owned() }))
}

fn decode(bytes: &[u8], path: &Path, wanted: &[(Role, &Column)]) -> Result<Vec<Record>, DatasetError> {
    let failed = |source| DatasetError::Parquet { path: path.to_owned(), source: Box::new(source) };
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let schema = reader.schema().map_err(failed)?;
    let have: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    let names: Vec<String> = wanted.iter().map(|(_, column)| column.key()).collect();
    if let Some(column) = names.iter().find(|name| !have.contains(name)) {
        return Err(DatasetError::MissingColumn {
            path: path.to_owned(),
            suggestion: suggest(column, have.iter().map(String::as_str)),
            column: column.clone(),
            have,
        });
    }
    let mut distinct = names.clone();
    distinct.sort();
    distinct.dedup();
    let frame: DataFrame = reader.with_columns(Some(distinct)).finish().map_err(failed)?;
    let columns: Vec<&Series> = names.iter().map(|name| frame.column(name)).collect::<Result<_, _>>().map_err(failed)?;
    let mut records = Vec::with_capacity(frame.height());
    for (place, row) in (1..).zip(0..frame.height()) {
        let cells = columns.iter().map(|column| column.get(row).map(cell)).collect::<Result<_, _>>().map_err(failed)?;
        records.push(Record { place, cells: Ok(cells) });
    }
    Ok(records)
}

fn cell(value: AnyValue<'_>) -> Cell {
    match value {
        AnyValue::Null => Cell::Null,
        AnyValue::String(text) => Cell::Text(text.to_owned()),
        AnyValue::StringOwned(text) => Cell::Text(text.to_string()),
        AnyValue::Boolean(_) => Cell::Other("true or false"),
        AnyValue::List(_) => Cell::Other("a list"),
        AnyValue::Float32(number) => Cell::Number(number.to_string()),
        AnyValue::Float64(number) => Cell::Number(number.to_string()),
        value => match value.extract::<i64>() {
            Some(number) => Cell::Number(number.to_string()),
            None => Cell::Other("a value of another type"),
        },
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{ParquetWriter, df};

    use super::*;

    fn file() -> Vec<u8> {
        let mut frame = df!("text" => [Some("甲"), None], "label" => [3_i32, 4], "score" => [0.5_f32, 2.0]).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        bytes
    }

    #[test]
    fn columns_are_found_by_name_and_values_keep_their_kind() {
        let columns = ["score", "label", "text", "label"].map(|name| Column::Name(name.to_owned()));
        let wanted: Vec<(Role, &Column)> = columns.iter().map(|column| (Role::Text, column)).collect();
        let read: Vec<_> =
            records(&file(), Path::new("x"), &wanted).unwrap().into_iter().map(|r| (r.place, r.cells.unwrap())).collect();
        let number = |text: &str| Cell::Number(text.to_owned());
        let expected = vec![
            (1, vec![number("0.5"), number("3"), Cell::Text("甲".to_owned()), number("3")]),
            (2, vec![number("2"), number("4"), Cell::Null, number("4")]),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let column = Column::Name("text".to_owned());
        let mut errors = 0;
        // A high bit turned over in the pages, the metadata and the footer.
        for at in (0..file().len()).step_by(7) {
            let mut bytes = file();
            bytes[at] ^= 0x80;
            errors += usize::from(records(&bytes, Path::new("x.parquet"), &[(Role::Text, &column)]).is_err());
        }
        assert!(errors > 0);
    }

    #[test]
    fn another_file_and_another_column_are_errors() {
        let column = Column::Name("txt".to_owned());
        let error = |bytes: &[u8]| {
            let records = records(bytes, Path::new("x.parquet"), &[(Role::Text, &column)]);
            records.map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(error(&file()), "x.parquet: no column `txt` (did you mean `text`?); its columns are: text, label, score");
        assert_eq!(error(b"{}"), "x.parquet is not a Parquet file that can be read");
    }
}
