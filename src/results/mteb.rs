//! MTEB's result files: cells that are tasks of MTEB written as MTEB writes them, and files of others read.
//!
//! Layout: `<org>__<model>/<revision>/<Task>.json` beside `model_meta.json`, as in embeddings-benchmark/results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{CellRecord, Kind, ModelRecord, ResultsError, RunRecord, SliceRecord, atomic};
use crate::dataset::MtebTask;
use crate::spec::{Companion, Draws, Protocol, Task, TaskKind};

/// A figure that MTEB's file of somebody else holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// As the file's folder names it.
    pub model: String,
    pub revision: String,
    pub task: String,
    /// Of MTEB's data, such as `test`.
    pub split: String,
    pub main_score: f64,
    /// Where it was read from.
    pub source: String,
}

/// A file as MTEB writes it, from version 1.11 on.
#[derive(Serialize, Deserialize)]
struct File {
    dataset_revision: String,
    task_name: String,
    mteb_version: Option<String>,
    /// By split: one entry for each subset.
    scores: BTreeMap<String, Vec<Map<String, Value>>>,
    evaluation_time: Option<f64>,
    kg_co2_emissions: Option<f64>,
}

/// Reads the main scores of a result file of MTEB, one for each split; of several subsets, their mean, as MTEB has it.
///
/// # Errors
/// A file that cannot be read, or that is no result of MTEB's present format.
pub fn read_mteb(path: &Path) -> Result<Vec<Published>, ResultsError> {
    let wrong = |what: String| ResultsError::Mteb { path: path.to_owned(), what };
    let text = std::fs::read_to_string(path).map_err(ResultsError::io("read", path))?;
    let file: File = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let folder = |above: usize| path.ancestors().nth(above)?.file_name()?.to_str().map(str::to_owned);
    let (Some(revision), Some(model)) = (folder(1), folder(2)) else {
        return Err(wrong("its folders do not name the model: ORG__MODEL/REVISION/TASK.json".to_owned()));
    };
    let published = |(split, subsets): (&String, &Vec<Map<String, Value>>)| {
        let scores: Option<Vec<f64>> = subsets.iter().map(|subset| subset.get("main_score")?.as_f64()).collect();
        let scores = scores.filter(|scores| !scores.is_empty() && scores.iter().all(|score| score.is_finite()));
        let scores = scores.ok_or_else(|| wrong(format!("split `{split}` has a subset without `main_score`")))?;
        Ok(Published {
            model: model.replacen("__", "/", 1),
            revision: revision.clone(),
            task: file.task_name.clone(),
            split: split.clone(),
            main_score: scores.iter().sum::<f64>() / crate::stats::number(scores.len()),
            source: path.display().to_string(),
        })
    };
    file.scores.iter().map(published).collect()
}

/// Writes every cell that is a task of MTEB, by slice and by protocol, as MTEB would, and what its model is. Returns the files.
///
/// A model's plain cell (the bare text, the model's own readout), or its only one, lies in the model's own folder; others lie in
/// `experiments/<prompt>-<readout>` below it.
///
/// # Errors
/// No cell that is a task of MTEB; a file that cannot be written.
pub fn export_mteb(run: &RunRecord, out: &Path) -> Result<Vec<PathBuf>, ResultsError> {
    let exported: Vec<(&CellRecord, &MtebTask)> =
        run.cells.iter().filter_map(|cell| Some((cell, mteb_task(run, cell)?))).collect();
    if exported.is_empty() {
        let mut reasons: Vec<String> = run.cells.iter().filter_map(|cell| of_mteb(run, cell).err()).collect();
        reasons.sort();
        reasons.dedup();
        return Err(ResultsError::NoMteb { name: run.provenance.name.clone(), reasons });
    }
    let mut written = Vec::new();
    for (cell, task) in &exported {
        let Some(model) = run.provenance.models.iter().find(|model| model.id == cell.choices.model) else { continue };
        let (name, revision) = address(model);
        let rivals = exported.iter().filter(|(other, of)| other.choices.model == cell.choices.model && of == task).count();
        let mut folder = out.join(name.replace('/', "__")).join(&revision);
        if rivals > 1 && !is_plain(run, cell) {
            folder = folder.join("experiments").join(format!("{}-{}", cell.choices.prompt, cell.choices.readout));
        }
        std::fs::create_dir_all(&folder).map_err(ResultsError::io("create", &folder))?;
        let files = [
            ("model_meta.json".to_owned(), meta(model, &name, &revision)),
            (format!("{}.json", task.task), result(cell, task)),
        ];
        for (file, value) in files {
            let path = folder.join(file);
            let encode = |source| ResultsError::Encode { path: path.clone(), source };
            let text = serde_json::to_string_pretty(&value).map_err(encode)? + "\n";
            atomic::replace(&path, text.as_bytes())?;
            written.push(path);
        }
    }
    written.sort();
    written.dedup();
    Ok(written)
}

/// The task of MTEB that a cell is: its slice is MTEB's data as a whole, and its figures follow MTEB's definitions.
pub fn mteb_task<'a>(run: &'a RunRecord, cell: &CellRecord) -> Option<&'a MtebTask> {
    of_mteb(run, cell).ok()
}

/// The same, or why it is none.
fn of_mteb<'a>(run: &'a RunRecord, cell: &CellRecord) -> Result<&'a MtebTask, String> {
    let choices = &cell.choices;
    let slice: &SliceRecord = run.provenance.slice(&choices.slice).ok_or_else(|| "its slice is not recorded".to_owned())?;
    let whose = format!("slice `{}` ({}/{})", slice.id, slice.origin.dataset, slice.origin.split);
    let mteb = slice.mteb.as_ref().ok_or_else(|| {
        format!(
            "{whose}: the dataset's manifest names no task of MTEB that it is the data of, or the slice is not the whole split"
        )
    })?;
    if let Some(reason) = cell.failure() {
        return Err(format!("{whose}: a cell failed: {reason}"));
    }
    let wanted = Draws { samples_per_label: mteb.samples_per_label, experiments: mteb.experiments };
    let fits = match Task::on(&run.provenance.tasks, choices.task, &slice.id) {
        Some(Task::Sts { protocol, .. } | Task::PairClassification { protocol, .. }) => *protocol == Some(Protocol::Mteb),
        Some(Task::Retrieval { protocol, identical, .. }) => {
            *protocol == Some(Protocol::Mteb) && slice.kind == Kind::Retrieval && *identical == mteb.identical
        }
        // The train split as a whole, and as many draws as the task of MTEB has.
        Some(Task::LinearProbe { train: Companion::Split { dataset: None, split }, c, draws: Some(draws), .. }) => {
            split == "train" && *draws == wanted && c.to_bits() == 1.0_f64.to_bits()
        }
        _ => false,
    };
    if fits {
        return Ok(mteb);
    }
    let Draws { samples_per_label, experiments } = wanted;
    let protocol = match choices.task {
        TaskKind::LinearProbe => format!(
            "a linear probe with protocol = \"mteb\", train = {{ split = \"train\" }}, c = 1, samples_per_label = {samples_per_label} and experiments = {experiments}"
        ),
        TaskKind::Retrieval => {
            let ignoring = if mteb.identical.are_found() { "without" } else { "with" };
            format!("retrieval with protocol = \"mteb\", {ignoring} `ignore_identical_ids`")
        }
        _ => "a task of MTEB's kind with protocol = \"mteb\"".to_owned(),
    };
    Err(format!("{whose}, `{}`: {} is {protocol}", choices.task, mteb.task))
}

/// Name and revision of a model as MTEB would have them.
fn address(model: &ModelRecord) -> (String, String) {
    let source = model.source.split_once(':').map_or(model.source.as_str(), |(_, rest)| rest);
    let name = source.split('@').next().unwrap_or(source);
    if model.source.starts_with("hf:") {
        let commit = model.commit.clone().unwrap_or_else(|| "no_revision_available".to_owned());
        return (name.to_owned(), commit);
    }
    let folder = Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(&model.id);
    (folder.to_owned(), "no_revision_available".to_owned())
}

fn is_plain(run: &RunRecord, cell: &CellRecord) -> bool {
    let prompt = run.provenance.prompts.iter().find(|prompt| prompt.id == cell.choices.prompt);
    let readout = run.provenance.readouts.iter().find(|readout| readout.id == cell.choices.readout);
    prompt.is_some_and(|prompt| prompt.views == ["{text}"] && prompt.clean == "none" && prompt.chat.is_none())
        && readout.is_some_and(|readout| readout.pool == "own")
}

fn meta(model: &ModelRecord, name: &str, revision: &str) -> Value {
    json!({
        "name": name,
        "revision": revision,
        "release_date": null,
        "languages": null,
        "n_parameters": model.parameters,
        "max_tokens": model.max_tokens,
        "embed_dim": null,
        "license": null,
        "open_weights": null,
        "public_training_code": null,
        "public_training_data": null,
        "framework": [],
        "reference": null,
        "similarity_fn_name": "cosine",
        "use_instructions": null,
        "training_datasets": null,
    })
}

fn result(cell: &CellRecord, task: &MtebTask) -> Value {
    let mut scores = Map::new();
    for (ours, theirs) in names(cell.choices.task) {
        if let Some(found) = cell.estimate(ours) {
            scores.insert((*theirs).to_owned(), rounded(found.value));
        }
    }
    let main = cell.headline().and_then(|row| row.estimate).map_or(Value::Null, |found| rounded(found.value));
    scores.insert("main_score".to_owned(), main);
    scores.insert("hf_subset".to_owned(), "default".into());
    scores.insert("languages".to_owned(), task.languages.clone().into());
    json!({
        "dataset_revision": task.revision,
        "task_name": task.task,
        "mteb_version": null,
        "scores": { task.split.as_str(): [scores] },
        "evaluation_time": null,
        "kg_co2_emissions": null,
    })
}

/// Six decimals, as MTEB rounds.
fn rounded(value: f64) -> Value {
    ((value * 1e6).round() / 1e6).into()
}

/// Our metrics and what MTEB calls them.
const fn names(task: TaskKind) -> &'static [(&'static str, &'static str)] {
    match task {
        TaskKind::Sts => {
            &[("pearson", "pearson"), ("spearman", "spearman"), ("pearson", "cosine_pearson"), ("spearman", "cosine_spearman")]
        }
        TaskKind::PairClassification => &[
            ("cosine_ap", "cosine_ap"),
            ("cosine_accuracy", "cosine_accuracy"),
            ("cosine_accuracy_threshold", "cosine_accuracy_threshold"),
            ("cosine_f1", "cosine_f1"),
            ("cosine_f1_threshold", "cosine_f1_threshold"),
            ("cosine_precision", "cosine_precision"),
            ("cosine_recall", "cosine_recall"),
            ("dot_ap", "dot_ap"),
            ("dot_accuracy", "dot_accuracy"),
            ("dot_f1", "dot_f1"),
            ("euclidean_ap", "euclidean_ap"),
            ("euclidean_accuracy", "euclidean_accuracy"),
            ("euclidean_f1", "euclidean_f1"),
            ("manhattan_ap", "manhattan_ap"),
            ("manhattan_accuracy", "manhattan_accuracy"),
            ("manhattan_f1", "manhattan_f1"),
            ("max_ap", "max_ap"),
            ("max_accuracy", "max_accuracy"),
            ("max_f1", "max_f1"),
        ],
        TaskKind::LinearProbe => &[("mean_accuracy", "accuracy"), ("mean_f1", "f1")],
        TaskKind::Retrieval => &[
            ("ndcg_at_1", "ndcg_at_1"),
            ("ndcg_at_10", "ndcg_at_10"),
            ("ndcg_at_100", "ndcg_at_100"),
            ("map", "map_at_1000"),
            ("mrr", "mrr_at_1000"),
            ("recall_at_1", "recall_at_1"),
            ("recall_at_10", "recall_at_10"),
            ("recall_at_100", "recall_at_100"),
            ("precision_at_1", "precision_at_1"),
            ("precision_at_10", "precision_at_10"),
        ],
        TaskKind::LabelSimilarity | TaskKind::Knn | TaskKind::Clustering => &[],
    }
}
