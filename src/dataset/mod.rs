//! Datasets: manifests (`datasets/<name>/dataset.toml`), readers, slices, downloads.

#[cfg(test)]
mod bundled;
mod catalog;
mod delimited;
mod document;
mod draw;
mod error;
mod fetch;
mod input;
mod jsonl;
mod judged;
mod lines;
mod lower;
mod manifest;
mod pairs;
mod parquet;
mod read;
mod slice;

pub use catalog::Catalog;
pub(crate) use draw::draw;
pub use error::{DatasetError, MissingFile, Removed, RowProblem, UnknownLabel};
pub use fetch::{FetchReport, Fetched};
pub use input::{Input, read_texts};
pub use judged::Judged;
pub use lines::{Line, LineError};
pub use manifest::{
    Column, Columns, Contents, Corpus, Download, Encoding, Format, Kind, Manifest, MtebTask, OnBadRow, Split, WhiteSpace,
};
pub use pairs::PairGold;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;

/// The samples a spec's slice names, in a fixed order, with a digest that is the same everywhere.
#[derive(Clone, Debug)]
pub struct Slice {
    pub id: String,
    /// Digest of the samples and labels, in order: not of the file, the machine or the slice's id.
    pub digest: Digest,
    /// What its samples are, and so which task they are for.
    pub kind: Kind,
    /// Label names in reporting order, which gold labels point into; none where samples have scores. Of the two labels of
    /// pairs, the second says that they are the same.
    pub labels: Vec<String>,
    /// Shared with the record of a run: there may be millions.
    pub samples: Arc<Vec<Sample>>,
    /// Further columns that were asked for by name: a value for each sample, never blank.
    pub columns: BTreeMap<String, Vec<String>>,
    /// What is searched for its samples, where these are queries whose documents were judged.
    pub judged: Option<Judged>,
    /// Where the samples came from.
    pub origin: Origin,
    /// The task of MTEB whose data this is, where the slice is a whole split that the manifest says so of.
    pub mteb: Option<MtebTask>,
}

/// One text, or one pair of texts, with what is right about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The row's own id where the dataset has one, else `<split>:<line number>`.
    pub id: String,
    pub text: String,
    pub gold: Gold,
    /// What a pair has beside its first text; null for a single text. Boxed: there may be millions without one.
    pub partner: Option<Box<Partner>>,
}

/// What is right about a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gold {
    /// Index into `Slice::labels`.
    Label(usize),
    /// How similar a pair is, on the dataset's own scale; finite.
    Score(f64),
    /// Nothing by itself: of a query, documents were judged; of a document, it is one.
    Unlabelled,
}

impl Gold {
    /// The index of the label, if it is one.
    pub const fn label(self) -> Option<usize> {
        match self {
            Self::Label(label) => Some(label),
            Self::Score(_) | Self::Unlabelled => None,
        }
    }

    /// The score; of a pair's label, its index: 0 for different, 1 for the same. 0 where there is neither.
    pub fn value(self) -> f64 {
        match self {
            Self::Label(label) => crate::stats::number(label),
            Self::Score(score) => score,
            Self::Unlabelled => 0.0,
        }
    }
}

/// The rest of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The second text.
    pub text: String,
    /// Pairs of one group are not independent: they are drawn together.
    pub group: Option<String>,
    /// The named part of the split that the pair is from.
    pub subset: Option<String>,
}

/// One row of a split, as the dataset has it.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Values of further columns that were asked for, in the order asked; never blank.
    pub fields: Vec<String>,
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
