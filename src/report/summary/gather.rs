//! Reads what a summary is made of: finished runs and baselines, whatever else a pattern like `results/*` names left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::report::Ranking;
use crate::results::{CellOutcomes, Outcomes, ResultsError, RunRecord};
use crate::spec::TaskKind;
use crate::stats::{Estimate, Interval};

/// Runs and baselines in the order of time, and a line for each path that is neither.
pub struct Gathered {
    pub entries: Vec<Entry>,
    pub left_out: Vec<String>,
}

/// One run, or what a baseline keeps of one.
pub struct Entry {
    pub folder: String,
    pub name: String,
    /// RFC 3339; None of baselines that do not keep it.
    pub finished: Option<String>,
    pub baseline: bool,
    pub cells: usize,
    pub failed: usize,
    /// Empty for a baseline.
    pub rankings: Vec<Ranking>,
    pub outcomes: Outcomes,
    /// Metric and value of each scored cell, by id.
    pub values: BTreeMap<String, (String, Estimate)>,
}

/// Why a folder is left out.
pub struct Unread(pub String);

/// Metrics that cells of a task are ranked by; the first of them that a cell has.
const fn headlines(task: TaskKind) -> &'static [&'static str] {
    match task {
        TaskKind::LabelSimilarity | TaskKind::Knn => &["accuracy"],
        TaskKind::LinearProbe => &["mean_accuracy", "accuracy"],
        TaskKind::Sts => &["spearman"],
        TaskKind::PairClassification => &["max_ap", "ap"],
        TaskKind::Retrieval => &["ndcg_at_10"],
        TaskKind::Clustering => &["v_measure"],
    }
}

/// Reads all paths. A folder that is no run is looked into for runs and baselines, one level deep.
pub fn gather(paths: &[PathBuf]) -> Gathered {
    let mut found = Gathered { entries: Vec::new(), left_out: Vec::new() };
    for path in paths {
        let inner = folders_within(path);
        if is_kept(path) || inner.is_empty() {
            found.add(path);
        } else {
            inner.iter().for_each(|folder| found.add(folder));
        }
    }
    // Baselines without a date come first: they are what later runs are held against.
    found.entries.sort_by(|a, b| (&a.finished, &a.folder).cmp(&(&b.finished, &b.folder)));
    found
}

impl Gathered {
    fn add(&mut self, folder: &Path) {
        let read = if folder.is_dir() { read(folder) } else { Err(Unread("no folder".to_owned())) };
        match read {
            Ok(entry) => self.entries.push(entry),
            Err(Unread(why)) => self.left_out.push(format!("{}: {why}", folder.display())),
        }
    }
}

/// Whether a folder holds a run, finished or not, or a baseline.
fn is_kept(folder: &Path) -> bool {
    ["run.json", "baseline.json", "partial"].iter().any(|file| folder.join(file).exists())
}

fn folders_within(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir() && is_kept(path)).collect();
    folders.sort();
    folders
}

fn read(folder: &Path) -> Result<Entry, Unread> {
    let baseline = folder.join("baseline.json").is_file();
    let (rankings, outcomes) = if baseline {
        (Vec::new(), Outcomes::open(folder)?)
    } else {
        let record = RunRecord::open(folder)?;
        (Ranking::all(&record), Outcomes::of(record))
    };
    Ok(Entry {
        folder: folder.display().to_string(),
        name: outcomes.name.clone(),
        finished: outcomes.finished.clone(),
        baseline,
        cells: outcomes.cells.len(),
        failed: outcomes.cells.iter().filter(|cell| cell.answers.is_err()).count(),
        rankings,
        values: values(folder, &outcomes)?,
        outcomes,
    })
}

/// The values that `summary.json` tells, which runs and baselines both have.
fn values(folder: &Path, outcomes: &Outcomes) -> Result<BTreeMap<String, (String, Estimate)>, Unread> {
    let path = folder.join("summary.json");
    let text = std::fs::read_to_string(&path).map_err(ResultsError::io("read", &path))?;
    let summary: Value = serde_json::from_str(&text).map_err(|source| ResultsError::Json { path, source })?;
    let value = |cell: &CellOutcomes| {
        let told = summary.get("cells")?.get(&cell.id)?;
        Some((cell.id.clone(), headline(told, cell.choices.task)?))
    };
    Ok(outcomes.cells.iter().filter_map(value).collect())
}

fn headline(cell: &Value, task: TaskKind) -> Option<(String, Estimate)> {
    let (name, told) = headlines(task).iter().find_map(|name| Some((*name, cell.get(name)?)))?;
    let number = |key: &str| told.get(key).and_then(Value::as_f64);
    let interval = number("low").zip(number("high")).map(|(low, high)| Interval { low, high });
    let n = told.get("n").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())?;
    Some((name.to_owned(), Estimate { value: number("value")?, interval, n }))
}
