//! Lowering of `[[task]]`: each kind at most once, with the keys that mean something to it.

use std::ops::Range;

use toml::Spanned;

use super::lower::Lowering;
use super::problem::Problem;
use super::{Aggregate, Axis, Calibration, Protocol, Task, TaskKind, wire};

/// What is done with the embeddings; label similarity when nothing is said.
pub fn tasks(entries: Option<Vec<Spanned<wire::Task>>>, lowering: &mut Lowering<'_>) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for entry in entries.into_iter().flatten().map(Spanned::into_inner) {
        let kind = *entry.kind.get_ref();
        if tasks.iter().any(|known| known.kind() == kind) {
            let help = if kind == TaskKind::LabelSimilarity {
                "list all calibrations in one `[[task]]`"
            } else {
                "keep one `[[task]]` of each kind"
            };
            lowering.report(Problem::new(entry.kind.span(), format!("`{kind}` is there twice")).help(help));
        }
        misplaced(&entry, lowering);
        tasks.push(task(entry, lowering));
    }
    if tasks.is_empty() {
        tasks.push(Task::LabelSimilarity { calibrations: vec![Calibration::default()] });
    }
    tasks
}

/// Complains of keys that mean nothing to the kind of task.
fn misplaced(entry: &wire::Task, lowering: &mut Lowering<'_>) {
    const LABELS: &[TaskKind] = &[TaskKind::LabelSimilarity];
    const STS: &[TaskKind] = &[TaskKind::Sts];
    const CLASSES: &[TaskKind] = &[TaskKind::PairClassification];
    const PAIRS: &[TaskKind] = &[TaskKind::Sts, TaskKind::PairClassification];
    let kind = *entry.kind.get_ref();
    let keys = [
        ("calibration", entry.calibration.as_ref().map(Spanned::span), LABELS),
        ("protocol", entry.protocol.as_ref().map(Spanned::span), PAIRS),
        ("aggregate", entry.aggregate.as_ref().map(Spanned::span), STS),
        ("thresholds_from", entry.thresholds_from.as_ref().map(Spanned::span), CLASSES),
    ];
    for (key, span, kinds) in keys {
        if let Some(span) = span.filter(|_| !kinds.contains(&kind)) {
            let meant: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
            let problem = Problem::new(span, format!("`{key}` means nothing to `{kind}`"));
            lowering.report(problem.help(format!("remove `{key}`: it is for {}", meant.join(" and "))));
        }
    }
}

fn task(entry: wire::Task, lowering: &mut Lowering<'_>) -> Task {
    let wire::Task { kind, calibration, protocol, aggregate, thresholds_from } = entry;
    let named = protocol.as_ref().map(|protocol| *protocol.get_ref());
    match kind.into_inner() {
        TaskKind::LabelSimilarity => {
            let listed = calibration.map(Spanned::into_inner).unwrap_or_default();
            let calibrations: Vec<Calibration> = listed.into_iter().map(Spanned::into_inner).collect();
            let calibrations = if calibrations.is_empty() { vec![Calibration::default()] } else { calibrations };
            Task::LabelSimilarity { calibrations }
        }
        TaskKind::Sts => {
            if let (Some(protocol), Some(aggregate)) = (named, &aggregate) {
                fixed(lowering, aggregate.span(), "aggregate", protocol, "it pools all pairs");
            }
            Task::Sts { protocol: named, aggregate: aggregate.map_or(Aggregate::Pooled, Spanned::into_inner) }
        }
        TaskKind::PairClassification => {
            match (named, &protocol, &thresholds_from) {
                (Some(Protocol::Senteval), Some(protocol), _) => {
                    let problem = Problem::new(protocol.span(), "`senteval` has no pair classification by similarity");
                    lowering.report(problem.help("it trains a classifier on pairs; write `mteb`, or leave `protocol` out"));
                }
                (Some(protocol), _, Some(from)) => {
                    fixed(lowering, from.span(), "thresholds_from", protocol, "it picks thresholds on the scored pairs");
                }
                _ => {}
            }
            let unknown = thresholds_from.as_ref().and_then(|id| lowering.ids().unknown(Axis::Slice, id));
            unknown.into_iter().for_each(|problem| lowering.report(problem));
            Task::PairClassification { protocol: named, thresholds_from: thresholds_from.map(Spanned::into_inner) }
        }
    }
}

fn fixed(lowering: &mut Lowering<'_>, span: Range<usize>, key: &str, protocol: Protocol, how: &str) {
    let problem = Problem::new(span, format!("`{key}` is not for protocol `{protocol}`"));
    lowering.report(problem.help(format!("{how}: remove `{key}`, or `protocol`")));
}
