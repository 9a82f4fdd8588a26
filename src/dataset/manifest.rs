//! What a dataset's manifest says.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::document::Section;
use super::lower;
use super::{DatasetError, Line};
use crate::digest::Digest;
use crate::spec::{Identical, Problem, Problems, TaskKind};

/// A dataset: what it is, where its files come from, how they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The name of its folder.
    pub name: String,
    pub about: String,
    pub kind: Kind,
    /// Licence and its limits, as a person would put it.
    pub licence: String,
    pub citation: Option<String>,
    pub homepage: Option<String>,
    /// Language codes, such as `zh`.
    pub languages: Vec<String>,
    /// Label names in the dataset's order; empty: whatever labels a split has, sorted.
    pub labels: Vec<String>,
    pub on_bad_row: OnBadRow,
    /// How a person gets the files that cannot be downloaded.
    pub obtain: Option<String>,
    /// In the order of the file.
    pub splits: Vec<Split>,
    pub downloads: Vec<Download>,
    /// Where the manifest was read from.
    pub path: PathBuf,
}

/// What a row of a dataset is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A text and its label.
    #[default]
    Classification,
    /// Two texts and a label.
    Pairs,
    /// Two texts and how similar they are.
    Sts,
    /// A query, of which documents of a corpus were judged.
    Retrieval,
    /// A document of such a corpus: no kind of dataset, but of what a run holds its queries against.
    Documents,
}

impl Kind {
    /// The word a manifest uses.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Pairs => "pairs",
            Self::Sts => "sts",
            Self::Retrieval => "retrieval",
            Self::Documents => "documents",
        }
    }

    /// Whether its samples are pairs of texts.
    pub const fn is_pairs(self) -> bool {
        matches!(self, Self::Pairs | Self::Sts)
    }

    /// What its samples are called in a sentence.
    pub const fn samples(self) -> &'static str {
        match self {
            Self::Classification => "labelled texts",
            Self::Pairs => "labelled pairs",
            Self::Sts => "scored pairs",
            Self::Retrieval => "judged queries",
            Self::Documents => "documents",
        }
    }

    /// The kinds of task that score such rows.
    pub const fn tasks(self) -> &'static [TaskKind] {
        match self {
            Self::Classification => {
                &[TaskKind::LabelSimilarity, TaskKind::LinearProbe, TaskKind::Knn, TaskKind::Retrieval, TaskKind::Clustering]
            }
            Self::Pairs => &[TaskKind::PairClassification, TaskKind::LinearProbe],
            Self::Sts => &[TaskKind::Sts],
            Self::Retrieval => &[TaskKind::Retrieval],
            Self::Documents => &[],
        }
    }
}

/// What becomes of a row that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadRow {
    #[default]
    Error,
    /// Passed over and counted.
    Skip,
}

/// A part of a dataset that is read as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub name: String,
    /// Names relative to the dataset's folder.
    pub files: Vec<String>,
    /// A name for the rows of each file; empty, or as many as files.
    pub subsets: Vec<String>,
    /// The label of the rows of each file, where rows do not say theirs; empty, or as many as files.
    pub labels: Vec<String>,
    pub format: Format,
    pub encoding: Encoding,
    pub white_space: WhiteSpace,
    pub columns: Columns,
    /// Of queries, what is searched for them.
    pub corpus: Option<Corpus>,
    /// What only holds for this split, such as a licence of its own.
    pub note: Option<String>,
    /// The task of MTEB whose data this split is.
    pub mteb: Option<MtebTask>,
}

/// What is searched for the queries of a split, and which of it was judged relevant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    /// Names of the documents' files, which are written as the queries' are.
    pub files: Vec<String>,
    /// Names of the files of judgements: BEIR's three columns, or the four of TREC.
    pub qrels: Vec<String>,
    /// What goes before a document's text.
    pub title: Option<Column>,
}

impl Split {
    /// Whether it says of each row what its label is.
    pub fn has_labels(&self) -> bool {
        self.columns.label.is_some() || !self.labels.is_empty()
    }

    /// Its own files, then those of its corpus.
    pub fn all_files(&self) -> impl Iterator<Item = &str> {
        let corpus = self.corpus.iter().flat_map(|corpus| corpus.files.iter().chain(&corpus.qrels));
        self.files.iter().chain(corpus).map(String::as_str)
    }
}

/// A task of MTEB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtebTask {
    /// Such as `STSBenchmark`.
    pub task: String,
    /// Commit of MTEB's copy of the data.
    pub revision: String,
    /// What MTEB calls the split.
    pub split: String,
    /// In MTEB's codes, such as `eng-Latn`.
    pub languages: Vec<String>,
    /// Of a classification: texts of each label that one probe learns from, and how many probes there are.
    pub samples_per_label: usize,
    pub experiments: usize,
    /// Of a retrieval: whether documents are passed over whose id is the query's.
    #[serde(default, skip_serializing_if = "Identical::are_found")]
    pub identical: Identical,
}

/// How a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// A text a line, or fields with something between them.
    Lines(Line),
    /// Fields between separators; `quoting`: a field may be written in double quotes.
    Delimited {
        separator: u8,
        header: bool,
        quoting: bool,
    },
    Parquet,
}

/// How the bytes of a file stand for characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Utf8,
    /// ISO 8859-1 as Python reads it: each byte is the character of its number.
    Latin1,
}

/// What becomes of white space in texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhiteSpace {
    #[default]
    Keep,
    /// One blank between words, none around them: what is left where a program splits a text into words and joins these.
    Collapse,
}

impl WhiteSpace {
    /// The text with its white space so.
    pub(super) fn of(self, text: String) -> String {
        match self {
            Self::Keep => text,
            Self::Collapse => text.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// Which column holds what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    pub text: Column,
    pub text2: Option<Column>,
    pub label: Option<Column>,
    pub score: Option<Column>,
    /// Of a corpus alone: what goes before a document's text.
    pub title: Option<Column>,
    pub id: Option<Column>,
    pub group: Option<Column>,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    Name(String),
    /// From 0, in files without a header.
    Index(usize),
}

impl Column {
    /// The name a column is looked up by in files that name their columns.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Index(index) => index.to_string(),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    pub url: String,
    /// Of the bytes the address serves; null: unknown, so nothing is checked.
    pub sha256: Option<Digest>,
    pub contents: Contents,
}

/// What a download holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// One of the dataset's files.
    File(String),
    /// A ZIP archive: pairs of a member and the dataset's file it becomes.
    Zip(Vec<(String, String)>),
}

impl Contents {
    /// The dataset's files that the download provides.
    pub fn files(&self) -> Vec<&str> {
        match self {
            Self::File(file) => vec![file],
            Self::Zip(members) => members.iter().map(|(_, file)| file.as_str()).collect(),
        }
    }
}

impl Manifest {
    /// Reads `dataset.toml`.
    ///
    /// # Errors
    /// If the file cannot be read, and with every problem in it at once.
    pub fn load(path: &Path) -> Result<Self, DatasetError> {
        let text = std::fs::read_to_string(path).map_err(|source| DatasetError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path).map_err(|problems| DatasetError::Manifest(Box::new(problems)))
    }

    /// Reads a manifest's text; the dataset's name is that of the folder in `path`.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let document = DeTable::parse(text).map_err(|error| {
            let problem = Problem::new(error.span().unwrap_or(0..0), error.message());
            Problems::new(path, text, vec![problem])
        })?;
        let problems = RefCell::new(Vec::new());
        let top = Section::new("the manifest", document.get_ref(), 0..0, &problems);
        let manifest = lower::manifest(top, path);
        match (manifest, problems.into_inner()) {
            (Some(manifest), problems) if problems.is_empty() => Ok(manifest),
            (_, problems) => Err(Problems::new(path, text, problems)),
        }
    }

    /// The split of this name.
    pub fn split(&self, name: &str) -> Option<&Split> {
        self.splits.iter().find(|split| split.name == name)
    }
}
