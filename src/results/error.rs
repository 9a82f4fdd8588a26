//! What can go wrong with a result folder.

use std::io;
use std::path::PathBuf;

use polars::error::PolarsError;

use super::check::Inconsistency;
use crate::digest::Digest;

/// Why results could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    #[error("could not {action} {path}; check that the folder exists, is yours to write and has room", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not valid JSON of a run; run the experiment again, or delete its folder", path = path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("could not turn the run into JSON for {path}", path = path.display())]
    Encode { path: PathBuf, source: serde_json::Error },
    #[error("{path} has format {found}, this program knows formats up to {newest}; read it with the newer version of `bench` that wrote it, or run the experiment again", path = path.display())]
    Version { path: PathBuf, found: String, newest: u32 },
    #[error("{dir} holds no results: {file} is missing; give the folder of a finished run, such as results/<name>", dir = dir.display())]
    Missing { dir: PathBuf, file: &'static str },
    #[error("{dir} is the folder of a run that has not finished ({cells} cells so far); run the experiment again to finish it", dir = dir.display())]
    Unfinished { dir: PathBuf, cells: usize },
    #[error("{path} is not the file that the run wrote: its SHA-256 is {found}, run.json says {wanted}; run the experiment again, or delete its folder", path = path.display())]
    Damaged { path: PathBuf, found: Digest, wanted: Digest },
    #[error("{path} has no digest in run.json, so nobody can tell whether it belongs to the run; run the experiment again, or delete its folder", path = path.display())]
    Undigested { path: PathBuf },
    #[error("could not {action} the table {path}; run the experiment again, or delete its folder", path = path.display())]
    Table { action: &'static str, path: PathBuf, source: PolarsError },
    #[error("{path} has no column `{column}`, only {found}; run the experiment again, or delete its folder", path = path.display(), found = found.join(", "))]
    ColumnMissing { path: PathBuf, column: &'static str, found: Vec<String> },
    #[error("column `{column}` of {path} holds {found}, not {wanted}; run the experiment again, or delete its folder", path = path.display())]
    ColumnType { path: PathBuf, column: &'static str, found: String, wanted: String },
    #[error("row {row} of column `{column}` of {path} holds {found}, not {wanted}; run the experiment again, or delete its folder", path = path.display())]
    Value { path: PathBuf, column: &'static str, row: usize, found: String, wanted: String },
    #[error("cell {cell} in {path} contradicts itself; run the experiment again, or delete its folder", path = path.display())]
    Contradiction { path: PathBuf, cell: String, source: Inconsistency },
    #[error("the scores of cell {cell} contradict its slice, so they were not written")]
    Cell { cell: String, source: Inconsistency },
    #[error("slice `{slice}` has {found} texts, its record says {wanted} samples")]
    Samples { slice: String, found: usize, wanted: usize },
    #[error("`{id}` cannot name a cell: an id is letters and digits")]
    CellId { id: String },
    #[error("cell {cell} was to be written but was never recorded; run the experiment again")]
    NotRecorded { cell: String },
    #[error("cell {cell} appears twice in the plan; two cells of one grid cannot have the same content")]
    Twice { cell: String },
    #[error("{path}: the labels of {what} are not one for each sample of slice `{slice}`; bless the run again", path = path.display())]
    Baseline { path: PathBuf, what: String, slice: String },
    #[error("{path} is no result file of MTEB: {what}", path = path.display())]
    Mteb { path: PathBuf, what: String },
    #[error(
        "no cell of run `{name}` is a task of MTEB, which goes by a task's name only where its data and its protocol are followed:\n- {}",
        reasons.join("\n- ")
    )]
    NoMteb { name: String, reasons: Vec<String> },
    #[error("could not summarise the cells by axis")]
    Summary { source: PolarsError },
}

impl ResultsError {
    /// Attaches the action and the path to an I/O error.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Attaches the action and the path to an error of the table library.
    pub(super) fn table(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(PolarsError) -> Self {
        let path = path.into();
        move |source| Self::Table { action, path, source }
    }
}
