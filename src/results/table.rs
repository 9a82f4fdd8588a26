//! One Parquet table of a result folder, read and checked against its layout.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::ResultsError;
use super::run_file::Tables;
use super::schema::{ColumnLayout, Layout, Nulls};
use crate::digest::Digest;

/// A table whose columns are those of its layout: present, of the right type, without nulls where none may be.
pub(super) struct Table {
    pub path: PathBuf,
    frame: DataFrame,
    /// Place of its first row in the file.
    first: usize,
}

/// Some columns of a table, or all, so many rows at a time.
pub(super) struct Parts {
    pub path: PathBuf,
    layout: &'static Layout,
    columns: Option<&'static [&'static str]>,
    format: u32,
    rows: usize,
    next: usize,
    height: usize,
}

impl Parts {
    /// Opens a table after checking that its bytes are those that the run wrote.
    pub(super) fn open(
        dir: &Path,
        layout: &'static Layout,
        tables: &Tables,
        columns: Option<&'static [&'static str]>,
        rows: usize,
    ) -> Result<Self, ResultsError> {
        let path = checked(dir, layout, &tables.digests)?;
        let file = File::open(&path).map_err(ResultsError::io("read", &path))?;
        let height = ParquetReader::new(file).num_rows().map_err(ResultsError::table("read", &path))?;
        Ok(Self { path, layout, columns, format: tables.format, rows, next: 0, height })
    }
}

impl Iterator for Parts {
    type Item = Result<Table, ResultsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.min(self.height - self.next);
        let part =
            (rows > 0).then(|| Table::read(self.path.clone(), self.layout, self.columns, self.format, Some((self.next, rows))));
        self.next += rows;
        part
    }
}

/// The path of a table whose bytes are those that the run wrote.
fn checked(dir: &Path, layout: &Layout, digests: &BTreeMap<String, Digest>) -> Result<PathBuf, ResultsError> {
    let path = dir.join(layout.file);
    if !path.is_file() {
        return Err(ResultsError::Missing { dir: dir.to_owned(), file: layout.file });
    }
    let wanted = *digests.get(layout.file).ok_or_else(|| ResultsError::Undigested { path: path.clone() })?;
    let found = Digest::of_file(&path).map_err(ResultsError::io("read", &path))?;
    if found == wanted { Ok(path) } else { Err(ResultsError::Damaged { path, found, wanted }) }
}

/// The lists of a column: all values in one run, and where each row's begin and end among them.
pub(super) struct Lists {
    values: Vec<f64>,
    bounds: Vec<(usize, usize)>,
}

impl Lists {
    /// The numbers of one row.
    pub(super) fn row(&self, row: usize) -> Option<&[f64]> {
        let &(start, end) = self.bounds.get(row)?;
        self.values.get(start..end)
    }
}

impl Table {
    /// Reads a table after checking that its bytes are those that the run wrote.
    pub(super) fn open(dir: &Path, layout: &'static Layout, tables: &Tables) -> Result<Self, ResultsError> {
        let path = checked(dir, layout, &tables.digests)?;
        Self::read(path, layout, None, tables.format, None)
    }

    /// Reads some columns, or all, of some rows, or all.
    fn read(
        path: PathBuf,
        layout: &'static Layout,
        columns: Option<&[&str]>,
        format: u32,
        rows: Option<(usize, usize)>,
    ) -> Result<Self, ResultsError> {
        let file = File::open(&path).map_err(ResultsError::io("read", &path))?;
        let names = columns.map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
        let reader = ParquetReader::new(file).with_columns(names).with_slice(rows);
        let mut frame = reader.finish().map_err(ResultsError::table("read", &path))?;
        frame.rechunk_mut();
        let mut table = Self { path, frame, first: rows.map_or(0, |(first, _)| first) };
        let asked = |column: &&ColumnLayout| columns.is_none_or(|columns| columns.contains(&column.name));
        for column in layout.columns.iter().filter(asked) {
            if format < column.since && table.frame.column(column.name).is_err() {
                table.fill(column)?;
            } else {
                table.check(column)?;
            }
        }
        Ok(table)
    }

    pub(super) fn height(&self) -> usize {
        self.frame.height()
    }

    /// Adds a column that older folders are without.
    fn fill(&mut self, layout: &ColumnLayout) -> Result<(), ResultsError> {
        let nulls = Column::full_null(layout.name.into(), self.frame.height(), &layout.kind.dtype());
        self.frame.with_column(nulls).map(|_| ()).map_err(ResultsError::table("read", &self.path))
    }

    fn check(&self, layout: &ColumnLayout) -> Result<(), ResultsError> {
        let (path, column) = (self.path.clone(), layout.name);
        let Ok(found) = self.frame.column(column) else {
            let found = self.frame.get_column_names().into_iter().map(ToString::to_string).collect();
            return Err(ResultsError::ColumnMissing { path, column, found });
        };
        if *found.dtype() != layout.kind.dtype() {
            let (found, wanted) = (found.dtype().to_string(), layout.kind.dtype().to_string());
            return Err(ResultsError::ColumnType { path, column, found, wanted });
        }
        if layout.nulls == Nulls::Allowed || found.null_count() == 0 {
            return Ok(());
        }
        let null = found.is_null().iter().position(|null| null == Some(true));
        Err(self.value(column, null.unwrap_or(0), "null", "a value"))
    }

    /// The error for a value that makes no sense.
    pub(super) fn value(
        &self,
        column: &'static str,
        row: usize,
        found: impl Into<String>,
        wanted: impl Into<String>,
    ) -> ResultsError {
        ResultsError::Value {
            path: self.path.clone(),
            column,
            row: self.first + row,
            found: found.into(),
            wanted: wanted.into(),
        }
    }

    /// A column of text, null as None.
    pub(super) fn texts(&self, column: &str) -> Result<Vec<Option<&str>>, ResultsError> {
        Ok(self.frame.column(column).and_then(Column::str).map_err(self.failed())?.iter().collect())
    }

    /// A column of text that holds no nulls.
    pub(super) fn names(&self, column: &str) -> Result<Vec<&str>, ResultsError> {
        Ok(self.texts(column)?.into_iter().flatten().collect())
    }

    /// A column of counts, null as None.
    pub(super) fn counts(&self, column: &'static str) -> Result<Vec<Option<usize>>, ResultsError> {
        let values = self.frame.column(column).and_then(Column::u64).map_err(self.failed())?;
        let count = |(row, value): (usize, Option<u64>)| {
            let count = value.map(|value| usize::try_from(value).map_err(|_| value)).transpose();
            count.map_err(|value| self.value(column, row, value.to_string(), "a smaller number"))
        };
        values.iter().enumerate().map(count).collect()
    }

    /// A column of counts that holds no nulls.
    pub(super) fn indices(&self, column: &'static str) -> Result<Vec<usize>, ResultsError> {
        Ok(self.counts(column)?.into_iter().flatten().collect())
    }

    /// A column of numbers, null as None.
    pub(super) fn numbers(&self, column: &str) -> Result<Vec<Option<f64>>, ResultsError> {
        Ok(self.frame.column(column).and_then(Column::f64).map_err(self.failed())?.iter().collect())
    }

    /// A column of flags, null as None.
    pub(super) fn flags(&self, column: &str) -> Result<Vec<Option<bool>>, ResultsError> {
        Ok(self.frame.column(column).and_then(Column::bool).map_err(self.failed())?.iter().collect())
    }

    /// A column of lists of numbers that holds no nulls.
    pub(super) fn lists(&self, column: &'static str) -> Result<Lists, ResultsError> {
        let lists = self.frame.column(column).and_then(Column::list).map_err(self.failed())?;
        let inner = lists.get_inner();
        let values = inner.f64().map_err(self.failed())?;
        let values: Vec<f64> = values.cont_slice().map_err(self.failed())?.to_vec();
        let bounds = lists.downcast_iter().flat_map(|chunk| {
            let at = |offset: i64| usize::try_from(offset).unwrap_or(usize::MAX);
            chunk.offsets().as_slice().windows(2).map(move |ends| (at(ends[0]), at(ends[1])))
        });
        Ok(Lists { bounds: bounds.collect(), values })
    }

    fn failed(&self) -> impl FnOnce(PolarsError) -> ResultsError {
        ResultsError::table("read", &self.path)
    }
}
