//! What must hold between a cell and its slice, checked before writing and after reading.

use std::collections::BTreeSet;

use super::{
    CellRecord, Gold, Measured, MetricRow, NO_CHOICE, Outcome, Provenance, SampleRow, SampleText, Scored, SliceRecord,
};
use crate::spec::{PLAIN, TaskKind};
use crate::task::{QUERY_NUMBERS, TEXT_NUMBERS};

/// A contradiction between a cell's numbers and the slice they are about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistency {
    #[error("its {axis} `{id}` is not in the run's record")]
    UnknownChoice { axis: &'static str, id: String },
    #[error("it scores {found} samples, the slice has {wanted}")]
    SampleCount { found: usize, wanted: usize },
    #[error("its samples have {found} scores, one for each of them and each label would be {wanted}")]
    ScoreCount { found: usize, wanted: usize },
    #[error("its task is `{task}`, the slice holds {holds}")]
    Task { task: TaskKind, holds: &'static str },
    #[error("it holds {found}, its task is `{task}`")]
    Outcome { found: &'static str, task: TaskKind },
    #[error("its {samples} samples have {found} numbers: {wanted} for each of them were expected")]
    Numbers { samples: usize, found: usize, wanted: &'static str },
    #[error("sample {sample} has label {found} as {role}, the slice has {wanted} labels (counted from 0)")]
    Label { sample: usize, role: &'static str, found: usize, wanted: usize },
    #[error("sample {sample} has gold label {found}, the slice says {wanted} (counted from 0)")]
    Gold { sample: usize, found: usize, wanted: usize },
    #[error("the gold label of sample {sample} has rank {found}, the slice has {wanted} labels")]
    Rank { sample: usize, found: usize, wanted: usize },
    #[error("sample {sample} has a score or margin that is not a finite number")]
    SampleNotFinite { sample: usize },
    #[error("its confusion counts have {found} entries, {wanted} were expected")]
    ConfusionCount { found: usize, wanted: usize },
    #[error(
        "{found} samples of label {gold} are counted as predicted {predicted}, the predictions say {wanted} (labels counted from 0)"
    )]
    Confusion { gold: usize, predicted: usize, found: u64, wanted: u64 },
    #[error("its metric `{metric}` is about label `{label}`, which the slice does not have")]
    MetricLabel { metric: String, label: String },
    #[error("its metric `{metric}` is not a finite number")]
    MetricNotFinite { metric: String },
    #[error("its metric `{metric}` must have a value or a reason for having none")]
    MetricReason { metric: String },
}

/// Checks one cell against the run it belongs to.
pub(super) fn cell(cell: &CellRecord, provenance: &Provenance, texts: &[SampleText]) -> Result<(), Inconsistency> {
    let slice = choices(cell, provenance)?;
    let task = cell.choices.task;
    if !slice.kind.tasks().contains(&task) {
        return Err(Inconsistency::Task { task, holds: slice.kind.samples() });
    }
    match &cell.outcome {
        Outcome::Failed { .. } => Ok(()),
        Outcome::Scored(scored) if task.labels_texts() => self::scored(scored, slice, texts),
        Outcome::Measured(measured) if !task.labels_texts() => self::measured(measured, task, texts),
        Outcome::Scored(_) => Err(Inconsistency::Outcome { found: "labels of texts", task }),
        Outcome::Measured(_) => Err(Inconsistency::Outcome { found: "numbers of samples", task }),
    }
}

/// Every choice is in the record; returns the slice.
fn choices<'a>(cell: &CellRecord, provenance: &'a Provenance) -> Result<&'a SliceRecord, Inconsistency> {
    let choices = &cell.choices;
    let unknown = |axis, id: &str| Inconsistency::UnknownChoice { axis, id: id.to_owned() };
    let worded = choices.task == TaskKind::LabelSimilarity;
    let none = !worded && choices.labels == NO_CHOICE && choices.calibration == NO_CHOICE;
    let known = [
        ("model", &choices.model, provenance.models.iter().any(|model| model.id == choices.model)),
        ("prompt", &choices.prompt, provenance.prompts.iter().any(|prompt| prompt.id == choices.prompt)),
        ("readout", &choices.readout, provenance.readouts.iter().any(|readout| readout.id == choices.readout)),
        (
            "transform",
            &choices.transform,
            choices.transform == PLAIN || provenance.transforms.iter().any(|transform| transform.id == choices.transform),
        ),
        ("labels", &choices.labels, worded && provenance.labels.iter().any(|labels| labels.id == choices.labels) || none),
    ];
    match known.into_iter().find(|(.., known)| !known) {
        Some((axis, id, _)) => Err(unknown(axis, id)),
        None => provenance.slice(&choices.slice).ok_or_else(|| unknown("slice", &choices.slice)),
    }
}

fn scored(scored: &Scored, slice: &SliceRecord, texts: &[SampleText]) -> Result<(), Inconsistency> {
    let labels = slice.labels.len();
    if scored.samples.len() != texts.len() {
        return Err(Inconsistency::SampleCount { found: scored.samples.len(), wanted: texts.len() });
    }
    if scored.scores.len() != texts.len() * labels {
        return Err(Inconsistency::ScoreCount { found: scored.scores.len(), wanted: texts.len() * labels });
    }
    for (index, (row, text)) in scored.samples.iter().zip(texts).enumerate() {
        sample(index, row, scored.scores_of(index), text, labels)?;
    }
    confusion(scored, labels)?;
    let known = |label: &String| slice.labels.contains(label);
    scored.metrics.iter().try_for_each(|row| metric(row, known))
}

fn measured(measured: &Measured, task: TaskKind, texts: &[SampleText]) -> Result<(), Inconsistency> {
    let samples = texts.len();
    if measured.samples.len() != samples {
        return Err(Inconsistency::SampleCount { found: measured.samples.len(), wanted: samples });
    }
    let (widths, wanted): (&[usize], _) = match task {
        TaskKind::PairClassification => (&[1, 4], "one or four"),
        TaskKind::Retrieval => (&[QUERY_NUMBERS], "those of a query"),
        TaskKind::Clustering => (&[TEXT_NUMBERS], "cluster and distance"),
        _ => (&[1], "one"),
    };
    let found = measured.scores.len();
    if !widths.iter().any(|width| width * samples == found) {
        return Err(Inconsistency::Numbers { samples, found, wanted });
    }
    let finite = |sample: usize| measured.scores_of(sample).iter().all(|score| score.is_finite());
    if let Some(sample) = (0..samples).find(|&sample| !finite(sample)) {
        return Err(Inconsistency::SampleNotFinite { sample });
    }
    let subsets: BTreeSet<&str> = texts.iter().filter_map(|text| text.partner.as_ref()?.subset.as_deref()).collect();
    measured.metrics.iter().try_for_each(|row| metric(row, |subset: &String| subsets.contains(subset.as_str())))
}

fn sample(sample: usize, row: SampleRow, scores: &[f64], text: &SampleText, labels: usize) -> Result<(), Inconsistency> {
    for (role, label) in [("gold", row.gold), ("prediction", row.predicted)] {
        if label >= labels {
            return Err(Inconsistency::Label { sample, role, found: label, wanted: labels });
        }
    }
    if Gold::Label(row.gold) != text.gold {
        return Err(Inconsistency::Gold { sample, found: row.gold, wanted: text.gold.label().unwrap_or(labels) });
    }
    if !(1..=labels).contains(&row.gold_rank) {
        return Err(Inconsistency::Rank { sample, found: row.gold_rank, wanted: labels });
    }
    let finite = scores.iter().chain(&row.margin).chain(&row.gold_margin).all(|value| value.is_finite());
    if finite { Ok(()) } else { Err(Inconsistency::SampleNotFinite { sample }) }
}

fn confusion(scored: &Scored, labels: usize) -> Result<(), Inconsistency> {
    if scored.confusion.len() != labels * labels {
        return Err(Inconsistency::ConfusionCount { found: scored.confusion.len(), wanted: labels * labels });
    }
    let mut counted = vec![0_u64; labels * labels];
    scored.samples.iter().for_each(|row| counted[row.gold * labels + row.predicted] += 1);
    match (0..counted.len()).find(|&i| counted[i] != scored.confusion[i]) {
        Some(i) => Err(Inconsistency::Confusion {
            gold: i / labels,
            predicted: i % labels,
            found: scored.confusion[i],
            wanted: counted[i],
        }),
        None => Ok(()),
    }
}

/// `known` says whether there is a label, or a subset, of this name.
fn metric(row: &MetricRow, known: impl Fn(&String) -> bool) -> Result<(), Inconsistency> {
    let metric = row.name.clone();
    if let Some(label) = row.label.as_ref().filter(|label| !known(label)) {
        return Err(Inconsistency::MetricLabel { metric, label: label.clone() });
    }
    if row.estimate.is_none() && row.reason.is_none() {
        return Err(Inconsistency::MetricReason { metric });
    }
    let Some(estimate) = row.estimate else { return Ok(()) };
    let ends = estimate.interval.map(|interval| [interval.low, interval.high]);
    let finite = estimate.value.is_finite() && ends.iter().flatten().all(|end| end.is_finite());
    if finite { Ok(()) } else { Err(Inconsistency::MetricNotFinite { metric }) }
}
