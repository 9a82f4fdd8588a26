//! Lowering of `[[task]]`: each kind at most once, with the keys that mean something to it.

use std::ops::Range;

use toml::Spanned;

use super::either;
use super::lower::Lowering;
use super::problem::Problem;
use super::{Aggregate, Axis, Calibration, Companion, Draws, Identical, Protocol, Senteval, Task, TaskKind, wire};

/// Neighbours that vote, texts of a label and probes of MTEB's protocol, and scikit-learn's `C`, when nothing is said.
const K: usize = 5;
const SAMPLES_PER_LABEL: usize = 8;
const EXPERIMENTS: usize = 10;
/// Folds of `SentEval`'s protocol.
const FOLDS: usize = 10;
const C: f64 = 1.0;
/// How often k-means begins anew, as in scikit-learn.
const RESTARTS: usize = 10;

/// Why clusters follow nobody's protocol.
const MINI_BATCHES: &str = "remove it: MTEB clusters by scikit-learn's k-means on mini-batches, drawn from numpy's generator; such figures cannot be had to the digit. Without it, k-means sees all texts, and the tightest of `restarts` clusterings is taken";

/// What is done with the embeddings; label similarity when nothing is said.
pub fn tasks(entries: Option<Vec<Spanned<wire::Task>>>, lowering: &mut Lowering<'_>) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for entry in entries.into_iter().flatten() {
        let span = entry.span();
        let entry = entry.into_inner();
        let kind = *entry.kind.get_ref();
        for known in tasks.iter().filter(|known| known.kind() == kind) {
            twice(known, &entry, lowering);
        }
        misplaced(&entry, lowering);
        tasks.extend(task(entry, span, lowering));
    }
    if tasks.is_empty() {
        tasks.push(Task::LabelSimilarity { calibrations: vec![Calibration::default()] });
    }
    tasks
}

/// Complains of a second task of a kind, unless each says which slices are its own.
fn twice(known: &Task, entry: &wire::Task, lowering: &mut Lowering<'_>) {
    let kind = known.kind();
    let Some(slices) = entry.slices.as_ref().filter(|_| !known.slices().is_empty()) else {
        let help = match kind {
            TaskKind::LabelSimilarity => "list all calibrations in one `[[task]]`",
            TaskKind::LinearProbe | TaskKind::Knn | TaskKind::Retrieval => {
                "keep one `[[task]]` of each kind, or say in each which `slices` it is done on"
            }
            TaskKind::Sts | TaskKind::PairClassification | TaskKind::Clustering => "keep one `[[task]]` of each kind",
        };
        return lowering.report(Problem::new(entry.kind.span(), format!("`{kind}` is there twice")).help(help));
    };
    for id in slices.get_ref().iter().filter(|id| known.slices().contains(id.get_ref())) {
        let problem = Problem::new(id.span(), format!("an earlier `{kind}` is done on slice `{}` as well", id.get_ref()));
        lowering.report(problem.help("a slice has one task of each kind: name it in one of them"));
    }
}

/// The slices that a task names.
fn slices(entry: &mut wire::Task, lowering: &mut Lowering<'_>) -> Vec<String> {
    let named = entry.slices.take().map(Spanned::into_inner).unwrap_or_default();
    let unknown: Vec<Problem> = named.iter().filter_map(|id| lowering.ids().unknown(Axis::Slice, id)).collect();
    unknown.into_iter().for_each(|problem| lowering.report(problem));
    named.into_iter().map(Spanned::into_inner).collect()
}

/// Complains of keys that mean nothing to the kind of task.
fn misplaced(entry: &wire::Task, lowering: &mut Lowering<'_>) {
    const LABELS: &[TaskKind] = &[TaskKind::LabelSimilarity];
    const STS: &[TaskKind] = &[TaskKind::Sts];
    const CLASSES: &[TaskKind] = &[TaskKind::PairClassification];
    const DEFINED: &[TaskKind] = &[TaskKind::Sts, TaskKind::PairClassification, TaskKind::LinearProbe, TaskKind::Retrieval];
    const LEARNT: &[TaskKind] = &[TaskKind::LinearProbe, TaskKind::Knn];
    const PROBE: &[TaskKind] = &[TaskKind::LinearProbe];
    const KNN: &[TaskKind] = &[TaskKind::Knn];
    const SEARCH: &[TaskKind] = &[TaskKind::Retrieval];
    const CLUSTERS: &[TaskKind] = &[TaskKind::Clustering];
    const SHARED: &[TaskKind] = &[TaskKind::LinearProbe, TaskKind::Knn, TaskKind::Retrieval];
    let kind = *entry.kind.get_ref();
    let keys = [
        ("slices", entry.slices.as_ref().map(Spanned::span), SHARED),
        ("calibration", entry.calibration.as_ref().map(Spanned::span), LABELS),
        ("protocol", entry.protocol.as_ref().map(Spanned::span), DEFINED),
        ("aggregate", entry.aggregate.as_ref().map(Spanned::span), STS),
        ("thresholds_from", entry.thresholds_from.as_ref().map(Spanned::span), CLASSES),
        ("train", entry.train.as_ref().map(Spanned::span), LEARNT),
        ("dev", entry.dev.as_ref().map(Spanned::span), PROBE),
        ("folds", entry.folds.as_ref().map(Spanned::span), PROBE),
        ("c", entry.c.as_ref().map(Spanned::span), PROBE),
        ("samples_per_label", entry.samples_per_label.as_ref().map(Spanned::span), PROBE),
        ("experiments", entry.experiments.as_ref().map(Spanned::span), PROBE),
        ("k", entry.k.as_ref().map(Spanned::span), KNN),
        ("documents", entry.documents.as_ref().map(Spanned::span), SEARCH),
        ("ignore_identical_ids", entry.ignore_identical_ids.as_ref().map(Spanned::span), SEARCH),
        ("clusters", entry.clusters.as_ref().map(Spanned::span), CLUSTERS),
        ("restarts", entry.restarts.as_ref().map(Spanned::span), CLUSTERS),
    ];
    for (key, span, kinds) in keys {
        if let Some(span) = span.filter(|_| !kinds.contains(&kind)) {
            let meant: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
            let problem = Problem::new(span, format!("`{key}` means nothing to `{kind}`"));
            lowering.report(problem.help(if (key, kind) == ("protocol", TaskKind::Clustering) {
                MINI_BATCHES.to_owned()
            } else {
                format!("remove `{key}`: it is for {}", meant.join(" and "))
            }));
        }
    }
}

/// None where what it needs is not there, which is reported.
fn task(mut entry: wire::Task, span: Range<usize>, lowering: &mut Lowering<'_>) -> Option<Task> {
    let slices = slices(&mut entry, lowering);
    let named = entry.protocol.as_ref().map(|protocol| *protocol.get_ref());
    Some(match *entry.kind.get_ref() {
        TaskKind::LabelSimilarity => {
            let listed = entry.calibration.map(Spanned::into_inner).unwrap_or_default();
            let calibrations: Vec<Calibration> = listed.into_iter().map(|entry| entry.into_inner().lower(lowering)).collect();
            let calibrations = if calibrations.is_empty() { vec![Calibration::default()] } else { calibrations };
            Task::LabelSimilarity { calibrations }
        }
        TaskKind::Sts => {
            only_for(entry.protocol.as_ref(), Protocol::Trec, "retrieval", lowering);
            if let (Some(protocol), Some(aggregate)) = (named, &entry.aggregate) {
                fixed(lowering, aggregate.span(), "aggregate", protocol, "it pools all pairs");
            }
            Task::Sts { protocol: named, aggregate: entry.aggregate.map_or(Aggregate::Pooled, Spanned::into_inner) }
        }
        TaskKind::PairClassification => {
            only_for(entry.protocol.as_ref(), Protocol::Trec, "retrieval", lowering);
            match (named, &entry.protocol, &entry.thresholds_from) {
                (Some(Protocol::Senteval), Some(protocol), _) => {
                    let problem = Problem::new(protocol.span(), "`senteval` has no pair classification by similarity");
                    let help =
                        "it trains a classifier on pairs: kind = \"linear-probe\"; here write `mteb`, or leave `protocol` out";
                    lowering.report(problem.help(help));
                }
                (Some(protocol), _, Some(from)) => {
                    fixed(lowering, from.span(), "thresholds_from", protocol, "it picks thresholds on the scored pairs");
                }
                _ => {}
            }
            let unknown = entry.thresholds_from.as_ref().and_then(|id| lowering.ids().unknown(Axis::Slice, id));
            unknown.into_iter().for_each(|problem| lowering.report(problem));
            Task::PairClassification { protocol: named, thresholds_from: entry.thresholds_from.map(Spanned::into_inner) }
        }
        TaskKind::LinearProbe => {
            only_for(entry.protocol.as_ref(), Protocol::Trec, "retrieval", lowering);
            let draws = draws(&entry, lowering);
            let senteval = senteval(&entry, lowering);
            let c = penalty(entry.c, lowering);
            let dev = entry.dev.map(|entry| companion(entry, lowering));
            let senteval = senteval.map(|folds| Senteval { folds, dev });
            let train = if senteval.is_some() && entry.train.is_none() {
                Companion::Itself
            } else {
                train(entry.train, TaskKind::LinearProbe, span, lowering)?
            };
            Task::LinearProbe { train, c, draws, senteval, slices }
        }
        TaskKind::Knn => {
            let k = entry.k.map_or(K, Spanned::into_inner);
            Task::Knn { train: train(entry.train, TaskKind::Knn, span, lowering)?, k, slices }
        }
        TaskKind::Retrieval => {
            only_for(entry.protocol.as_ref(), Protocol::Senteval, "sts` and `linear-probe", lowering);
            let documents = entry.documents.map(|entry| companion(entry, lowering));
            let ignored = entry.ignore_identical_ids.is_some_and(Spanned::into_inner);
            let identical = if ignored { Identical::Ignored } else { Identical::Found };
            Task::Retrieval { documents, protocol: named, identical, slices }
        }
        TaskKind::Clustering => Task::Clustering {
            clusters: entry.clusters.map(Spanned::into_inner),
            restarts: entry.restarts.map_or(RESTARTS, Spanned::into_inner),
        },
    })
}

/// What a task learns from.
fn train(
    entry: Option<Spanned<either::Companion>>,
    kind: TaskKind,
    span: Range<usize>,
    lowering: &mut Lowering<'_>,
) -> Option<Companion> {
    let Some(entry) = entry else {
        // What is missing may be what was misspelt.
        if !lowering.is_pruned(&span) {
            let problem = Problem::new(span, format!("`{kind}` has no `train`"));
            lowering.report(problem.help("name what it learns from: the id of a slice, or `train = { split = \"train\" }`"));
        }
        return None;
    };
    Some(companion(entry, lowering))
}

/// A slice of the spec, or another split.
fn companion(entry: Spanned<either::Companion>, lowering: &mut Lowering<'_>) -> Companion {
    let place = entry.span();
    match entry.into_inner() {
        either::Companion::Slice(id) => {
            let unknown = lowering.ids().unknown(Axis::Slice, &Spanned::new(place, id.clone()));
            unknown.into_iter().for_each(|problem| lowering.report(problem));
            Companion::Slice(id)
        }
        either::Companion::Split(other) => Companion::Split { dataset: other.dataset, split: other.split },
    }
}

/// The draws of MTEB's protocol, whose keys mean nothing without it.
fn draws(entry: &wire::Task, lowering: &mut Lowering<'_>) -> Option<Draws> {
    let named = entry.protocol.as_ref().map(|protocol| (*protocol.get_ref(), protocol.span()));
    match named {
        Some((Protocol::Mteb, _)) => {
            let given = |key: &Option<Spanned<usize>>, usual| key.as_ref().map_or(usual, |key| *key.get_ref());
            return Some(Draws {
                samples_per_label: given(&entry.samples_per_label, SAMPLES_PER_LABEL),
                experiments: given(&entry.experiments, EXPERIMENTS),
            });
        }
        Some((Protocol::Senteval | Protocol::Trec, _)) | None => {}
    }
    for (key, given) in [("samples_per_label", &entry.samples_per_label), ("experiments", &entry.experiments)] {
        if let Some(given) = given {
            let problem = Problem::new(given.span(), format!("`{key}` means nothing without `protocol = \"mteb\"`"));
            lowering.report(problem.help(format!("add the protocol, or remove `{key}`: all train texts are used")));
        }
    }
    None
}

/// Folds of `SentEval`'s protocol, where it is asked for; its keys mean nothing without it.
fn senteval(entry: &wire::Task, lowering: &mut Lowering<'_>) -> Option<usize> {
    let (dev, folds) = (entry.dev.as_ref().map(Spanned::span), entry.folds.as_ref().map(Spanned::span));
    let protocol = entry.protocol.as_ref().map(|protocol| *protocol.get_ref());
    if protocol != Some(Protocol::Senteval) {
        for (key, span) in [("dev", dev), ("folds", folds)] {
            if let Some(span) = span {
                let problem = Problem::new(span, format!("`{key}` means nothing without `protocol = \"senteval\"`"));
                lowering.report(problem.help(format!("add the protocol, or remove `{key}`: `c` is as it is said")));
            }
        }
        return None;
    }
    if let Some(c) = &entry.c {
        fixed(lowering, c.span(), "c", Protocol::Senteval, "it picks the penalty itself");
    }
    if let (Some(dev), None) = (&dev, &entry.train) {
        let problem = Problem::new(dev.clone(), "`dev` judges what is learnt from `train`, and there is none");
        lowering.report(problem.help("add `train`, or remove `dev`: folds of the slice judge each other"));
    }
    if let (Some(_), Some(folds)) = (&dev, folds) {
        let problem = Problem::new(folds, "`dev` judges the penalties, so there are no `folds`");
        lowering.report(problem.help("keep one of the two"));
    }
    Some(entry.folds.as_ref().map_or(FOLDS, |folds| *folds.get_ref()))
}

/// Complains of a protocol that says nothing of the task.
fn only_for(named: Option<&Spanned<Protocol>>, other: Protocol, tasks: &str, lowering: &mut Lowering<'_>) {
    if let Some(named) = named.filter(|named| *named.get_ref() == other) {
        let problem = Problem::new(named.span(), format!("protocol `{other}` is for `{tasks}`"));
        lowering.report(problem.help("write another, or leave `protocol` out"));
    }
}

fn penalty(c: Option<Spanned<f64>>, lowering: &mut Lowering<'_>) -> f64 {
    let Some(c) = c else { return C };
    let value = *c.get_ref();
    if !(value > 0.0 && value.is_finite()) {
        let problem = Problem::new(c.span(), format!("`c` is {value}, and should be more than 0"));
        lowering.report(problem.help("it is the inverse strength of the penalty: the larger, the closer to the train texts"));
    }
    value
}

fn fixed(lowering: &mut Lowering<'_>, span: Range<usize>, key: &str, protocol: Protocol, how: &str) {
    let problem = Problem::new(span, format!("`{key}` is not for protocol `{protocol}`"));
    lowering.report(problem.help(format!("{how}: remove `{key}`, or `protocol`")));
}
