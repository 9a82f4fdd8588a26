//! The cells of a grid: the product of its axes, and what each slice's samples are scored against.

use super::{Against, Cell, Unready};
use crate::dataset::{Kind, Slice};
use crate::spec::{self, Companion, Spec, Task};

/// The product of the axes without the skipped combinations; ids are filled in later.
pub fn product(spec: &Spec, slices: &[Slice], exists: impl Fn(usize, usize) -> bool, problems: &mut Vec<Unready>) -> Vec<Cell> {
    let against: Vec<_> = (0..spec.slices.len()).map(|slice| against(spec, slices, slice, problems)).collect();
    for (place, task) in spec.tasks.iter().enumerate().filter(|(_, task)| task.companion().is_some()) {
        if problems.is_empty() && against.iter().flatten().all(|(of, _)| *of != place) {
            problems.push(Unready::Untested(task.kind()));
        }
    }
    let mut cells = Vec::new();
    for model in 0..spec.models.len() {
        for prompt in 0..spec.prompts.len() {
            for readout in (0..spec.readouts.len()).filter(|readout| exists(model, *readout)) {
                for transform in std::iter::once(None).chain((0..spec.transforms.len()).map(Some)) {
                    for (slice, against) in against.iter().enumerate() {
                        let cell = |&(task, scored): &(usize, Against)| Cell {
                            id: String::new(),
                            model,
                            prompt,
                            readout,
                            transform,
                            slice,
                            task,
                            scored,
                        };
                        let kept = |cell: &Cell| !spec.skips.iter().any(|skip| skip.matches(|axis| cell.on(axis, spec)));
                        cells.extend(against.iter().map(cell).filter(kept));
                    }
                }
            }
        }
    }
    cells
}

/// How many combinations there are, skipped ones too.
pub fn combinations(spec: &Spec, slices: &[Slice]) -> usize {
    let on_slice = |slice: usize| against(spec, slices, slice, &mut Vec::new()).len();
    [spec.models.len(), spec.prompts.len(), spec.readouts.len(), 1 + spec.transforms.len()].iter().product::<usize>()
        * (0..spec.slices.len()).map(on_slice).sum::<usize>()
}

/// The tasks that are for a slice of the spec, each with what its samples are scored against: every wording and calibration, each
/// other, or another slice. Nothing is scored on what it learns from.
fn against(spec: &Spec, slices: &[Slice], asked: usize, problems: &mut Vec<Unready>) -> Vec<(usize, Against)> {
    let slice = &slices[asked];
    let mut all = Vec::new();
    for (place, task) in
        spec.tasks.iter().enumerate().filter(|(_, task)| slice.kind.tasks().contains(&task.kind()) && task.is_on(&slice.id))
    {
        match task {
            Task::LabelSimilarity { calibrations } => {
                let of = |labels| calibrations.iter().map(move |&calibration| Against::Labels { labels, calibration });
                all.extend((0..spec.labels.len()).flat_map(of).map(|against| (place, against)));
            }
            Task::PairClassification { thresholds_from: named, .. } => {
                let thresholds_from = named.as_ref().and_then(|named| thresholds_from(named, slices, slice, problems));
                all.push((place, Against::Samples { with: thresholds_from, dev: None }));
            }
            Task::Retrieval { .. } if slice.judged.is_some() => {
                let corpus = slice.judged.as_ref().map(|judged| &judged.documents.id);
                let with = slices.iter().position(|other| Some(&other.id) == corpus);
                all.push((place, Against::Samples { with, dev: None }));
            }
            Task::Sts { .. }
            | Task::Retrieval { documents: None, .. }
            | Task::Clustering { .. }
            | Task::LinearProbe { train: Companion::Itself, .. } => {
                all.push((place, Against::Samples { with: None, dev: None }));
            }
            Task::LinearProbe { train, .. } | Task::Knn { train, .. } | Task::Retrieval { documents: Some(train), .. } => {
                let find = |companion: &Companion| other(companion, task, &spec.slices[asked], slice, slices);
                let found = find(train).and_then(|with| match task.dev().map(find).transpose()? {
                    _ if with.is_none() => Ok(None),
                    None => Ok(Some(Against::Samples { with, dev: None })),
                    Some(Some(dev)) => Ok(Some(Against::Samples { with, dev: Some(dev) })),
                    // Nothing is scored on what judges its penalty.
                    Some(None) => Ok(None),
                });
                match found {
                    Ok(against) => all.extend(against.map(|against| (place, against))),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    all
}

/// The place of a task's other slice; None where it is the scored one itself.
fn other(
    companion: &Companion,
    task: &Task,
    asked: &spec::Slice,
    slice: &Slice,
    slices: &[Slice],
) -> Result<Option<usize>, Unready> {
    let (id, own) = (companion.id(asked), companion.cut(asked));
    if id == slice.id || own.is_some_and(|cut| (cut.dataset, cut.split) == of(asked)) {
        return Ok(None);
    }
    let fits = |other: &Slice| other.id == id && other.kind == slice.kind && other.labels == slice.labels;
    match slices.iter().position(fits) {
        Some(place) => Ok(Some(place)),
        None => Err(Unready::Train { slice: slice.id.clone(), train: id, kind: slice.kind, task: task.kind() }),
    }
}

/// Dataset and split of a slice.
fn of(slice: &spec::Slice) -> (String, String) {
    (slice.dataset.clone(), slice.split.clone())
}

/// The slice that thresholds for `slice` are picked on; None where it is `slice` itself.
fn thresholds_from(named: &str, slices: &[Slice], slice: &Slice, problems: &mut Vec<Unready>) -> Option<usize> {
    let place = slices.iter().position(|other| other.id == *named)?;
    let from = &slices[place];
    if from.kind != Kind::Pairs || from.labels != slice.labels {
        problems.push(Unready::Thresholds { slice: from.id.clone(), other: slice.id.clone() });
    }
    (from.id != slice.id).then_some(place)
}
