//! What can go wrong with a dataset, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::manifest::Kind;
use crate::digest::Digest;
use crate::spec::Problems;

/// Why a dataset, a split or a slice could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("there is no folder `{}`; name the one that holds NAME/dataset.toml with --datasets DIR (or BENCH_DATASETS)", folder.display())]
    NoDatasets { folder: PathBuf },

    #[error("there is no dataset `{name}` in {}{}; there are: {}", folder.display(), hint(suggestion.as_deref()), list(known))]
    UnknownDataset { name: String, folder: PathBuf, known: Vec<String>, suggestion: Option<String> },

    #[error("dataset `{dataset}` has no split `{split}`{}; its splits are: {}", hint(suggestion.as_deref()), list(known))]
    UnknownSplit { dataset: String, split: String, known: Vec<String>, suggestion: Option<String> },

    #[error(transparent)]
    UnknownLabel(#[from] Box<UnknownLabel>),

    #[error("slice `{slice}`: `{key}` names `{label}` twice; name it once")]
    RepeatedLabel { slice: String, key: &'static str, label: String },

    #[error("slice `{slice}`: split `{split}` of dataset `{dataset}` has no {gold}; splits with {gold}: {}", list(others))]
    NoGold { slice: String, dataset: String, split: String, gold: &'static str, others: Vec<String> },

    #[error("slice `{slice}`: `{key}` is about labels, and dataset `{dataset}` holds {}; leave it out", kind.samples())]
    WithoutLabels { slice: String, dataset: String, key: &'static str, kind: Kind },

    #[error(
        "slice `{slice}`: pairs are the same or not, so they need two labels, the second for the same; dataset `{dataset}` gives {}",
        list(labels)
    )]
    NotBinary { slice: String, dataset: String, labels: Vec<String> },

    #[error(
        "slice `{slice}` holds {} (dataset `{dataset}`), and no `[[task]]` is for them; add one with kind = \"{}\"", kind.samples(), kind.tasks()[0]
    )]
    NoTask { slice: String, dataset: String, kind: Kind },

    #[error(
        "slice `{slice}` keeps none of the {rows} samples of dataset `{dataset}`, split `{split}`: {removed}; loosen what removed them"
    )]
    EmptySlice { slice: String, dataset: String, split: String, rows: usize, removed: Box<Removed> },

    #[error("{0:#}")]
    Manifest(Box<Problems>),

    #[error(transparent)]
    MissingFile(#[from] Box<MissingFile>),

    #[error(
        "slice `{slice}`: a prompt for its samples has the slot `{{{name}}}`, which is the right answer in dataset `{dataset}`; such a prompt is for labels: name it in `[[labels]]` and leave these cells out with [grid] skip"
    )]
    Answer { slice: String, dataset: String, name: String },

    #[error(
        "slice `{slice}`: a prompt has the slot `{{{name}}}`, and the files of dataset `{dataset}` have no header; write a column's number, from 0, or put words there with `fill`"
    )]
    UnnamedColumns { slice: String, dataset: String, name: String },

    #[error("{path}, {unit} {place}: {problem}\nMend the row, or let the dataset's manifest pass over such rows with `on_bad_row = \"skip\"`.", path = path.display())]
    BadRow {
        path: PathBuf,
        /// `line` in text files, `row` in Parquet files; both count from 1.
        unit: &'static str,
        place: u64,
        problem: Box<RowProblem>,
    },

    #[error("{path}, {unit} {place}: {problem}", path = path.display())]
    BadText {
        path: PathBuf,
        /// `line` in text files, `row` in Parquet files; both count from 1.
        unit: &'static str,
        place: u64,
        problem: Box<RowProblem>,
    },

    #[error("{}: plain lines have no column `{name}`, which the prompt puts beside each text; write JSON lines (.jsonl) or Parquet", path.display())]
    PlainLines { path: PathBuf, name: String },

    #[error("{}: texts are read from plain lines (.txt), JSON lines with `text` (.jsonl) or Parquet with a column `text` (.parquet); rename or convert the file", path.display())]
    UnknownInput { path: PathBuf },

    #[error("{}: no column `{column}`{}; its columns are: {}", path.display(), hint(suggestion.as_deref()), list(have))]
    MissingColumn { path: PathBuf, column: String, have: Vec<String>, suggestion: Option<String> },

    #[error("{}: id `{id}` is on {unit} {first} and again on {unit} {second}; ids must be unique within a split: mend the file, or leave `id` out of the manifest's columns to use line numbers", path.display())]
    RepeatedId { path: PathBuf, id: String, unit: &'static str, first: u64, second: u64 },

    #[error("{} is not a Parquet file that can be read", path.display())]
    Parquet {
        path: PathBuf,
        #[source]
        source: Box<polars::error::PolarsError>,
    },

    #[error("{} is a damaged Parquet file; get it again", path.display())]
    DamagedParquet { path: PathBuf },

    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb: `read`, `write`, `list`.
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("dataset `{dataset}` has nothing to download: {way_out}")]
    NothingToFetch { dataset: String, way_out: String },

    #[error("dataset `{dataset}`: no folder for downloads is set")]
    NoDownloadFolder { dataset: String },

    #[error("cannot download {url}; check the network and the proxy variables, or copy the file by hand to {}", target.display())]
    Request {
        url: String,
        target: PathBuf,
        #[source]
        source: Box<ureq::Error>,
    },

    #[error("{url} answers HTTP status {status}; if the file has moved, correct `url` in the dataset's manifest")]
    HttpStatus { url: String, status: u16 },

    #[error("{url}: the connection broke after {received} of {} bytes; nothing was kept, run the command again", total.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string()))]
    Interrupted {
        url: String,
        received: u64,
        total: Option<u64>,
        #[source]
        source: io::Error,
    },

    #[error(
        "{url}: wanted SHA-256 {wanted}, found {found} ({received} bytes); nothing was kept. If the publisher changed the file on purpose, correct `sha256` in the dataset's manifest"
    )]
    Checksum { url: String, wanted: Digest, found: Digest, received: u64 },

    #[error("{url} has no member `{member}`{}; its members are: {}", hint(suggestion.as_deref()), list(members))]
    NoMember { url: String, member: String, members: Vec<String>, suggestion: Option<String> },

    #[error("{url}: the ZIP archive cannot be read")]
    Zip {
        url: String,
        #[source]
        source: zip::result::ZipError,
    },
}

/// A slice names a label that its dataset does not have.
#[derive(Debug, thiserror::Error)]
#[error("slice `{slice}`: `{key}` names `{label}`, which is not a label of dataset `{dataset}`{}{}; its labels are: {}",
    if *renamed { " after its `rename`" } else { "" }, hint(suggestion.as_deref()), list(known))]
pub struct UnknownLabel {
    pub slice: String,
    pub dataset: String,
    /// The key of the slice that names the label: `labels` or `rename`.
    pub key: &'static str,
    pub label: String,
    /// Whether `known` are the names after the slice's `rename`.
    pub renamed: bool,
    pub known: Vec<String>,
    pub suggestion: Option<String>,
}

/// A file of a split lies in none of the places it may lie in.
#[derive(Debug, thiserror::Error)]
#[error("dataset `{dataset}`, split `{split}`: `{file}` is in none of these places:{}\n{way_out}", lines(places))]
pub struct MissingFile {
    pub dataset: String,
    pub split: String,
    pub file: String,
    /// Paths looked at, in order.
    pub places: Vec<PathBuf>,
    pub way_out: String,
}

/// What is wrong with one row of a data file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowProblem {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("broken JSON at byte {byte} of the line{}", if *ends_early { " (it ends too early)" } else { "" })]
    NotJson { byte: usize, ends_early: bool },
    #[error("found {found}, wanted a JSON object")]
    NotAnObject { found: &'static str },
    #[error("no key `{wanted}`{}; its keys are: {}", hint(near(wanted, keys).as_deref()), list(keys))]
    NoKey { wanted: String, keys: Vec<String> },
    #[error("{found} field{} where the header has {wanted}{}", plural(*found), open_quote(*lines))]
    FieldCount { found: usize, wanted: usize, lines: u64 },
    #[error("{found} field{}, so none at index {wanted}{}", plural(*found), open_quote(*lines))]
    NoField { found: usize, wanted: usize, lines: u64 },
    #[error("no `{what}` where the line should be `{pattern}`")]
    NotLine { what: String, pattern: String },
    #[error("column {column}: found {found}, wanted text")]
    NotText { column: String, found: &'static str },
    #[error("column {column} is blank")]
    Blank { column: String },
    #[error("column {column}: found `{found}`, wanted a finite number")]
    NotNumber { column: String, found: String },
    #[error(
        "{found} field{}, wanted query, document and grade between tabs, or TREC's four: query, iteration, document, grade", plural(*found)
    )]
    NotJudgement { found: usize },
    #[error("the grade is `{found}`, wanted a whole number")]
    NotGrade { found: String },
    #[error("there is no {what} `{id}` in the split's files")]
    NotThere { what: &'static str, id: String },
    #[error("document `{document}` was judged for query `{query}` before")]
    JudgedTwice { query: String, document: String },
    #[error("column {column}: `{found}` is not one of the manifest's {labels} labels{}", hint(suggestion.as_deref()))]
    UnknownLabel { column: String, found: String, labels: usize, suggestion: Option<String> },
}

/// How many samples each filter of a slice removed, in the order they apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub labels: usize,
    pub min_chars: usize,
    pub max_chars: usize,
    pub per_label: usize,
    pub limit: usize,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = [
            ("labels", self.labels),
            ("min_chars", self.min_chars),
            ("max_chars", self.max_chars),
            ("per_label", self.per_label),
            ("limit", self.limit),
        ];
        let parts: Vec<String> =
            filters.iter().filter(|(_, n)| *n > 0).map(|(key, n)| format!("`{key}` removed {n}")).collect();
        if parts.is_empty() { f.write_str("the split is empty") } else { f.write_str(&parts.join(", ")) }
    }
}

/// The tail of a message that suggests a name, or nothing.
pub(super) fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn near(wanted: &str, known: &[String]) -> Option<String> {
    crate::spec::suggest(wanted, known.iter().map(String::as_str))
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn open_quote(lines: u64) -> String {
    if lines > 1 { format!(" (the row runs over {lines} lines: is a quote never closed?)") } else { String::new() }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn lines(paths: &[PathBuf]) -> String {
    let mut lines = String::new();
    for path in paths {
        lines.push_str("\n  ");
        lines.push_str(&path.display().to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_names_only_the_filters_that_removed_something() {
        let removed = Removed { labels: 1582, max_chars: 167, ..Removed::default() };
        assert_eq!(removed.to_string(), "`labels` removed 1582, `max_chars` removed 167");
        assert_eq!(Removed::default().to_string(), "the split is empty");
    }
}
