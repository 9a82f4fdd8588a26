//! Where datasets are found, and the way to their rows and slices.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use hashbrown::HashTable;

use super::draw::draw;
use super::error::{DatasetError, MissingFile};
use super::fetch::{self, FetchReport};
use super::judged::Judgements;
use super::manifest::{Column, Columns, Corpus, Format, Kind, Manifest, Split};
use super::read::{self, FileRows};
use super::{Gold, Origin, Row, Sample, Slice, slice};
use crate::digest::Digest;
use crate::observe::Observer;
use crate::spec::{self, suggest};

/// A slot of this name is the label that a phrasing words; of a sample it would be the right answer.
const LABEL: &str = "label";

/// The datasets of a project and the folders their files may lie in.
#[derive(Clone, Debug)]
pub struct Catalog {
    datasets: PathBuf,
    data: Option<PathBuf>,
    downloads: Option<PathBuf>,
}

impl Catalog {
    /// `datasets` holds `<name>/dataset.toml`, bundled files beside it; `data` holds local copies as `<name>/<file>`.
    pub fn new(datasets: PathBuf, data: Option<PathBuf>) -> Self {
        Self { datasets, data, downloads: None }
    }

    /// The folder that downloads go to and are found in, as `<name>/<file>`.
    #[must_use]
    pub fn with_downloads(self, folder: PathBuf) -> Self {
        Self { downloads: Some(folder), ..self }
    }

    /// All datasets, sorted by name.
    ///
    /// # Errors
    /// If the folder of datasets cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, DatasetError> {
        if !self.datasets.is_dir() {
            return Err(DatasetError::NoDatasets { folder: self.datasets.clone() });
        }
        let failed = |source| DatasetError::Io { doing: "list", path: self.datasets.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.datasets).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().join("dataset.toml").is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A dataset's manifest.
    ///
    /// # Errors
    /// An unknown name; every problem of the manifest.
    pub fn manifest(&self, name: &str) -> Result<Manifest, DatasetError> {
        let known = self.names()?;
        if !known.iter().any(|other| other == name) {
            return Err(DatasetError::UnknownDataset {
                name: name.to_owned(),
                folder: self.datasets.clone(),
                suggestion: suggest(name, known.iter().map(String::as_str)),
                known,
            });
        }
        Manifest::load(&self.datasets.join(name).join("dataset.toml"))
    }

    /// What can be wrong with a slice before any data is read: its dataset, split and labels, and that a task is for it.
    /// Gives the kind of its samples.
    ///
    /// # Errors
    /// A dataset or split that is not there; labels that the manifest does not list; samples that no task is for.
    pub fn check(&self, slice: &spec::Slice, tasks: &[spec::Task]) -> Result<Kind, DatasetError> {
        let manifest = self.manifest(&slice.dataset)?;
        find_split(&manifest, &slice.split)?;
        slice::check(slice, &manifest)?;
        let kind = manifest.kind;
        let concerns = |task: &spec::Task| task.is_on(&slice.id) || task.takes(&slice.id);
        if tasks.iter().any(|task| kind.tasks().contains(&task.kind()) && concerns(task)) {
            return Ok(kind);
        }
        Err(DatasetError::NoTask { slice: slice.id.clone(), dataset: manifest.name, kind })
    }

    /// The samples a spec's slice names.
    ///
    /// # Errors
    /// Whatever [`Self::rows`] gives; labels the dataset does not have; a slice without samples.
    pub fn slice(&self, slice: &spec::Slice, seed: u64) -> Result<Slice, DatasetError> {
        self.slice_with(slice, seed, &[])
    }

    /// The same with further columns of the files, by name; by number, from 0, where files have no header.
    ///
    /// # Errors
    /// Columns that the files do not have, a row that lacks one, and the column of right answers.
    pub fn slice_with(&self, slice: &spec::Slice, seed: u64, columns: &[String]) -> Result<Slice, DatasetError> {
        let manifest = self.manifest(&slice.dataset)?;
        let split = find_split(&manifest, &slice.split)?;
        let further = further(slice, &manifest, split, columns)?;
        let (mut rows, origin) = self.read(&manifest, split, &further)?;
        let Some(corpus) = &split.corpus else {
            return slice::cut(slice, &manifest, split, rows, origin, seed, columns);
        };
        let judgements = self.judgements(&manifest, split, corpus, &rows)?;
        // Queries of other splits may stand in the same file.
        rows.retain(|row| judgements.know(&row.id));
        Ok(judgements.judge(slice::cut(slice, &manifest, split, rows, origin, seed, columns)?))
    }

    /// The documents that the queries of a split are asked of, and which of them were judged.
    fn judgements(
        &self,
        manifest: &Manifest,
        split: &Split,
        corpus: &Corpus,
        queries: &[Row],
    ) -> Result<Judgements, DatasetError> {
        let columns = Columns { title: corpus.title.clone(), group: None, ..split.columns.clone() };
        let files = Split { files: corpus.files.clone(), columns, corpus: None, subsets: Vec::new(), ..split.clone() };
        let (documents, mut origin) = self.read(manifest, &files, &[])?;
        let mut judgements = Judgements::new(format!("{}:{}", manifest.name, corpus.files.join("+")), documents);
        for file in &corpus.qrels {
            let (path, bytes) = self.bytes(manifest, split, file)?;
            origin.files.push((file.clone(), Digest::of_bytes(&bytes)));
            origin.skipped += judgements.add(&bytes, &path, manifest.on_bad_row, queries)?;
        }
        Ok(judgements.read_from(origin))
    }

    /// A file of a split, and where it lies.
    fn bytes(&self, manifest: &Manifest, split: &Split, file: &str) -> Result<(PathBuf, Vec<u8>), DatasetError> {
        let path = self.find(&manifest.name, file).ok_or_else(|| self.missing(manifest, split, file))?;
        let bytes = std::fs::read(&path).map_err(|source| DatasetError::Io { doing: "read", path: path.clone(), source })?;
        Ok((path, bytes))
    }

    /// What can be wrong with columns that prompts ask for: as far as the files are here, also that these have them.
    ///
    /// # Errors
    /// As [`Self::slice_with`], but for files that are missing.
    pub fn check_columns(&self, slice: &spec::Slice, columns: &[String]) -> Result<(), DatasetError> {
        let manifest = self.manifest(&slice.dataset)?;
        let split = find_split(&manifest, &slice.split)?;
        let further = further(slice, &manifest, split, columns)?;
        match self.read(&manifest, split, &further) {
            Ok(_) | Err(DatasetError::MissingFile(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every text of a split, both texts of a pair, in the order of the files.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn texts(&self, dataset: &str, split: &str) -> Result<Vec<String>, DatasetError> {
        let (rows, _) = self.rows(dataset, split)?;
        Ok(rows.into_iter().flat_map(|row| std::iter::once(row.text).chain(row.text2)).collect())
    }

    /// The texts that a transform is fitted on, both texts of a pair, in the order of the files: all of a split, or as many as
    /// its limit keeps, drawn by seed.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn fit_texts(&self, fit: &spec::FitTexts, seed: u64) -> Result<(Vec<String>, Origin), DatasetError> {
        let (rows, origin) = self.rows(&fit.dataset, &fit.split)?;
        let texts = rows.into_iter().flat_map(|row| std::iter::once(row.text).chain(row.text2));
        let sample = |text| Sample { id: String::new(), text, gold: Gold::Score(0.0), partner: None };
        let kept = match fit.limit {
            Some(limit) => draw(texts.map(sample).collect(), &[], seed, |_| vec![limit]),
            None => texts.map(sample).collect(),
        };
        Ok((kept.into_iter().map(|sample| sample.text).collect(), origin))
    }

    /// Every row of a split, in the order of the files.
    ///
    /// # Errors
    /// An unknown dataset or split; a file that is in no place or cannot be read; a bad row, unless the manifest passes
    /// over those.
    pub fn rows(&self, dataset: &str, split: &str) -> Result<(Vec<Row>, Origin), DatasetError> {
        let manifest = self.manifest(dataset)?;
        self.read(&manifest, find_split(&manifest, split)?, &[])
    }

    /// Downloads whatever files of a dataset are in none of its places.
    ///
    /// # Errors
    /// No download folder, nothing to download, or a download that fails or has another checksum.
    pub fn fetch(&self, name: &str, observer: &dyn Observer) -> Result<FetchReport, DatasetError> {
        let manifest = self.manifest(name)?;
        let folder = self.downloads.as_ref().ok_or_else(|| DatasetError::NoDownloadFolder { dataset: name.to_owned() })?;
        if manifest.downloads.is_empty() {
            let way_out = self.by_hand(&manifest);
            return Err(DatasetError::NothingToFetch { dataset: name.to_owned(), way_out });
        }
        fetch::fetch(&fetch::agent(), &manifest, &folder.join(name), observer, |file| self.find(name, file))
    }

    /// Where a dataset's file may lie, best first: bundled, local copy, download.
    pub fn places(&self, dataset: &str, file: &str) -> Vec<PathBuf> {
        let folders = [Some(&self.datasets), self.data.as_ref(), self.downloads.as_ref()];
        folders.into_iter().flatten().map(|folder| folder.join(dataset).join(file)).collect()
    }

    /// Where a dataset's file lies, if it is anywhere.
    pub fn find(&self, dataset: &str, file: &str) -> Option<PathBuf> {
        self.places(dataset, file).into_iter().find(|path| path.is_file())
    }

    fn read(&self, manifest: &Manifest, split: &Split, further: &[Column]) -> Result<(Vec<Row>, Origin), DatasetError> {
        let mut origin = Origin { dataset: manifest.name.clone(), split: split.name.clone(), files: Vec::new(), skipped: 0 };
        let mut rows = Vec::new();
        let mut seen = Seen::default();
        for (i, file) in split.files.iter().enumerate() {
            let (path, bytes) = self.bytes(manifest, split, file)?;
            origin.files.push((file.clone(), Digest::of_bytes(&bytes)));
            let subset = split.subsets.get(i).map(String::as_str);
            let FileRows { rows: mut read, places, skipped } = read::rows(&bytes, &path, manifest, split, i, further)?;
            origin.skipped += skipped;
            if split.columns.id.is_none() {
                read.iter_mut().zip(&places).for_each(|(row, &place)| row.id = line_id(split, subset.unwrap_or(file), place));
            }
            // A file's rows are not copied to stand alone.
            if rows.is_empty() {
                rows = read;
            } else {
                rows.append(&mut read);
            }
            if split.columns.id.is_some()
                && let Some((first, second)) = seen.repeated(&rows, &places)
            {
                let (id, unit) = (rows[second].id.clone(), read::unit(&split.format));
                let [first, second] = [first, second].map(|row| seen.places[row]);
                return Err(DatasetError::RepeatedId { path, id, unit, first, second });
            }
        }
        Ok((rows, origin))
    }

    fn missing(&self, manifest: &Manifest, split: &Split, file: &str) -> DatasetError {
        let way_out = if manifest.downloads.iter().any(|download| download.contents.files().contains(&file)) {
            format!(
                "Run `bench data get {name}`, or point --data-dir (or BENCH_DATA_DIR) at a folder that holds {name}/{file}.",
                name = manifest.name
            )
        } else {
            self.by_hand(manifest)
        };
        Box::new(MissingFile {
            dataset: manifest.name.clone(),
            split: split.name.clone(),
            file: file.to_owned(),
            places: self.places(&manifest.name, file),
            way_out,
        })
        .into()
    }

    /// What a person does for a file that no download provides.
    fn by_hand(&self, manifest: &Manifest) -> String {
        let obtain = manifest.obtain.as_ref().map_or_else(String::new, |how| format!("{} ", how.trim()));
        let copies = format!("Point --data-dir (or BENCH_DATA_DIR) at a folder that holds {}/<file>", manifest.name);
        let bundled = Path::new(&self.datasets).join(&manifest.name);
        format!("{obtain}{copies}, or copy the files to {}.", bundled.display())
    }
}

/// Ids of rows, each once. A map of them would hold millions of texts again.
#[derive(Default)]
struct Seen {
    /// Rows by their ids.
    known: HashTable<usize>,
    /// Where each row stands in its file.
    places: Vec<u64>,
    /// By which ids are looked up; it orders nothing.
    hasher: RandomState,
}

impl Seen {
    /// Adds the rows at the end that stand in these places; the first of them whose id an earlier row has, behind that one.
    fn repeated(&mut self, rows: &[Row], places: &[u64]) -> Option<(usize, usize)> {
        let Self { known, hasher, .. } = self;
        self.places.extend(places);
        for second in rows.len() - places.len()..rows.len() {
            let id = &rows[second].id;
            let hash = hasher.hash_one(id);
            if let Some(&first) = known.find(hash, |&row| rows[row].id == *id) {
                return Some((first, second));
            }
            known.insert_unique(hash, second, |&row| hasher.hash_one(&rows[row].id));
        }
        None
    }
}

/// The columns that go by these names in the files of a split. What is right about a sample is none of them.
fn further(slice: &spec::Slice, manifest: &Manifest, split: &Split, names: &[String]) -> Result<Vec<Column>, DatasetError> {
    let numbered = matches!(split.format, Format::Delimited { header: false, .. });
    let gold = [&split.columns.label, &split.columns.score];
    let column = |name: &String| {
        let column = if numbered { name.parse().ok().map(Column::Index) } else { Some(Column::Name(name.clone())) };
        let (slice, dataset) = (slice.id.clone(), manifest.name.clone());
        let Some(column) = column else { return Err(DatasetError::UnnamedColumns { slice, dataset, name: name.clone() }) };
        if name == LABEL || gold.iter().any(|gold| gold.as_ref() == Some(&column)) {
            return Err(DatasetError::Answer { slice, dataset, name: name.clone() });
        }
        Ok(column)
    };
    names.iter().map(column).collect()
}

fn find_split<'a>(manifest: &'a Manifest, name: &str) -> Result<&'a Split, DatasetError> {
    manifest.split(name).ok_or_else(|| {
        let known: Vec<String> = manifest.splits.iter().map(|split| split.name.clone()).collect();
        DatasetError::UnknownSplit {
            dataset: manifest.name.clone(),
            split: name.to_owned(),
            suggestion: suggest(name, known.iter().map(String::as_str)),
            known,
        }
    })
}

/// The id of a row that has none of its own.
fn line_id(split: &Split, part: &str, place: u64) -> String {
    if split.files.len() == 1 { format!("{}:{place}", split.name) } else { format!("{}:{part}:{place}", split.name) }
}

#[cfg(test)]
mod tests;
