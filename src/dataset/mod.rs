//! Datasets: manifests (`datasets/<name>/dataset.toml`), readers, slices, downloads.

#[cfg(test)]
mod bundled;
mod catalog;
mod delimited;
mod document;
mod error;
mod fetch;
mod input;
mod jsonl;
mod lower;
mod manifest;
mod parquet;
mod read;
mod slice;

pub use catalog::Catalog;
pub use error::{DatasetError, MissingFile, Removed, RowProblem, UnknownLabel};
pub use fetch::{FetchReport, Fetched};
pub use input::read_texts;
pub use manifest::{Column, Columns, Contents, Download, Format, Kind, Manifest, OnBadRow, Split};

use crate::digest::Digest;

/// The samples a spec's slice names, in a fixed order, with a digest that is the same everywhere.
#[derive(Clone, Debug)]
pub struct Slice {
    pub id: String,
    /// Digest of the samples and labels, in order: not of the file, the machine or the slice's id.
    pub digest: Digest,
    /// Label names in reporting order; `Sample::gold` points into it.
    pub labels: Vec<String>,
    pub samples: Vec<Sample>,
    /// Where the samples came from.
    pub origin: Origin,
}

/// One labelled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The row's own id where the dataset has one, else `<split>:<line number>`.
    pub id: String,
    pub text: String,
    /// Index into `Slice::labels`.
    pub gold: usize,
}

/// One row of a split, as the dataset has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The row's own id where the manifest names an `id` column; else `<split>:<line>`, or
    /// `<split>:<subset or file>:<line>` where the split has several files.
    pub id: String,
    /// Never blank.
    pub text: String,
    /// The other text of a pair; never blank.
    pub text2: Option<String>,
    /// The label's name; null where the split has no labels.
    pub label: Option<String>,
    /// The gold similarity of a pair, finite; null where the split has none.
    pub score: Option<f64>,
    /// Rows with the same group are not independent (the same question asked again and again).
    pub group: Option<String>,
    /// The named part of the split that the row's file is.
    pub subset: Option<String>,
}

/// Provenance of a slice.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    pub dataset: String,
    pub split: String,
    /// Each file read (name relative to the dataset) and its SHA-256.
    pub files: Vec<(String, Digest)>,
    /// Rows that could not be read and that the manifest lets pass.
    pub skipped: usize,
}
