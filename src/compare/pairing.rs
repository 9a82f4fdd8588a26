//! Which cell may be held against which, and why others may not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Refused;
use crate::results::{Answers, CellOutcomes, Outcomes, SliceRecord};
use crate::spec::{Companion, Measure, Protocol, Senteval, Task};

/// Two cells with outcomes on the same samples.
pub struct Partners<'a> {
    pub baseline: &'a CellOutcomes,
    pub candidate: &'a CellOutcomes,
    pub before: &'a Answers,
    pub after: &'a Answers,
}

/// Why a cell of the baseline is compared with nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    #[error("the candidate has no such cell")]
    Missing,
    #[error("it failed in the candidate: {reason}")]
    Failed { reason: String },
    #[error("it failed in the baseline: {reason}")]
    BaselineFailed { reason: String },
    #[error("slice `{slice}` is other data: {difference}")]
    Slice { slice: String, difference: String },
    #[error("slice `{slice}` is scored by another definition: {difference}")]
    Protocol { slice: String, difference: String },
    #[error("its {metric} is not known on both sides: {why}")]
    Metric { metric: Measure, why: String },
}

pub fn partners<'a>(baseline: &'a Outcomes, candidate: &'a Outcomes) -> (Vec<Partners<'a>>, Vec<Refused>) {
    let cells = |cells: &'a [CellOutcomes]| cells.iter().enumerate();
    let by_id: BTreeMap<_, _> = cells(&candidate.cells).map(|(i, cell)| (cell.id.as_str(), i)).collect();
    let by_choices: BTreeMap<_, _> = cells(&candidate.cells).map(|(i, cell)| (&cell.choices, i)).collect();
    let same_content = |cell: &CellOutcomes| by_id.get(cell.id.as_str()).copied();
    // A cell whose content the baseline has is that cell's partner, whatever the two are called.
    let taken: Vec<usize> = baseline.cells.iter().filter_map(same_content).collect();
    let same_name = |cell: &CellOutcomes| by_choices.get(&cell.choices).copied().filter(|place| !taken.contains(place));
    let alone = baseline.cells.len() == 1 && candidate.cells.len() == 1;
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for cell in &baseline.cells {
        let place = same_content(cell).or_else(|| same_name(cell)).or_else(|| alone.then_some(0));
        let partners = match place.and_then(|place| Some((place, candidate.cells.get(place)?))) {
            Some((place, other)) => joined(baseline, candidate, cell, other).map(|partners| (place, partners)),
            None => Err(Refusal::Missing),
        };
        match partners {
            Ok(partners) => found.push(partners),
            Err(why) => refused.push(Refused { choices: cell.choices.clone(), why }),
        }
    }
    found.sort_by_key(|(place, _)| *place);
    (found.into_iter().map(|(_, partners)| partners).collect(), refused)
}

fn joined<'a>(
    baseline: &'a Outcomes,
    candidate: &'a Outcomes,
    cell: &'a CellOutcomes,
    other: &'a CellOutcomes,
) -> Result<Partners<'a>, Refusal> {
    let slice = &cell.choices.slice;
    let refused = |difference: String| Refusal::Slice { slice: slice.clone(), difference };
    let (Some(before), Some(after)) = (baseline.slice(slice), candidate.slice(&other.choices.slice)) else {
        return Err(refused("one side has no record of it".to_owned()));
    };
    if let Some(difference) = difference(before, after) {
        return Err(refused(difference));
    }
    let tasks = [(baseline, cell), (candidate, other)].map(|(run, cell)| run.task(&cell.choices).map(definition));
    if let [Some(before), Some(after)] = tasks
        && before != after
    {
        let difference = format!("{before} in the baseline, {after} in the candidate");
        return Err(Refusal::Protocol { slice: slice.clone(), difference });
    }
    let before = cell.answers.as_ref().map_err(|reason| Refusal::BaselineFailed { reason: reason.clone() })?;
    let after = other.answers.as_ref().map_err(|reason| Refusal::Failed { reason: reason.clone() })?;
    Ok(Partners { baseline: cell, candidate: other, before, after })
}

/// What decides the figures of a task beside its samples: whose definition, what it learns from, and its settings.
fn definition(task: &Task) -> String {
    let of = |protocol: &Option<Protocol>| protocol.map_or("no protocol".to_owned(), |named| format!("protocol \"{named}\""));
    match task {
        Task::Sts { protocol, aggregate } => format!("{}, {aggregate}", of(protocol)),
        Task::PairClassification { protocol, .. } => of(protocol),
        Task::LabelSimilarity { .. } => "labels".to_owned(),
        Task::LinearProbe { train, senteval: Some(Senteval { folds, dev }), .. } => {
            let judge = dev.as_ref().map_or(format!("{folds} folds"), companion);
            format!("protocol \"senteval\" on {}, judged by {judge}", companion(train))
        }
        Task::LinearProbe { train, c, draws, .. } => {
            let draws = draws.map(|draws| format!(", {} draws of {} a label", draws.experiments, draws.samples_per_label));
            format!("C {c} on {}{}", companion(train), draws.unwrap_or_default())
        }
        Task::Knn { train, k, .. } => format!("{k} neighbours of {}", companion(train)),
        Task::Retrieval { documents, protocol, identical, .. } => {
            let documents = documents.as_ref().map_or("its own slice".to_owned(), companion);
            let protocol = protocol.map(|named| format!(", protocol \"{named}\"")).unwrap_or_default();
            let ignored = if identical.are_found() { "" } else { ", identical ids ignored" };
            format!("documents of {documents}{protocol}{ignored}")
        }
        Task::Clustering { clusters, restarts } => {
            let clusters = clusters.map_or("a cluster for each label".to_owned(), |clusters| format!("{clusters} clusters"));
            format!("{clusters}, {restarts} restarts")
        }
    }
}

/// The other slice of a task, by its name.
fn companion(companion: &Companion) -> String {
    match companion {
        Companion::Slice(id) => format!("slice `{id}`"),
        Companion::Itself => "its own folds".to_owned(),
        Companion::Split { dataset: Some(dataset), split } => format!("split `{split}` of `{dataset}`"),
        Companion::Split { dataset: None, split } => format!("split `{split}`"),
    }
}

/// How two slices differ, by the first of their properties that does; None for the same samples in the same order.
fn difference(before: &SliceRecord, after: &SliceRecord) -> Option<String> {
    if before.digest == after.digest {
        return None;
    }
    let (from, to) = (&before.origin, &after.origin);
    let both = |what: &str, a: &str, b: &str| format!("{what} `{a}` in the baseline, `{b}` in the candidate");
    Some(if before.kind != after.kind {
        format!("{} in the baseline, {} in the candidate", before.kind.samples(), after.kind.samples())
    } else if from.dataset != to.dataset {
        both("dataset", &from.dataset, &to.dataset)
    } else if from.split != to.split {
        both("split", &from.split, &to.split)
    } else if before.labels != after.labels {
        both("labels", &before.labels.join(", "), &after.labels.join(", "))
    } else if before.samples != after.samples {
        format!("{} samples in the baseline, {} in the candidate", before.samples, after.samples)
    } else {
        format!("other texts or gold labels (digest {} and {})", before.digest.short(), after.digest.short())
    })
}
