//! Lowering of what selects cells by the ids of their choices: `[grid] skip`, `[compare] reference` and `[[anchor]]`.

use toml::Spanned;

use super::either::OneOrMany;
use super::ids::family;
use super::lower::Lowering;
use super::problem::Problem;
use super::{Anchor, Axis, Selector, wire};

impl Selector {
    /// Whether a cell matches, given the id it has on each axis.
    pub fn matches<Id: AsRef<str>>(&self, id_on: impl Fn(Axis) -> Id) -> bool {
        self.axes.iter().all(|(axis, ids)| ids.iter().any(|id| covers(id, id_on(*axis).as_ref())))
    }
}

/// Whether an id names a choice, or the entry that the choice is one of several of.
pub fn covers(id: &str, choice: &str) -> bool {
    id == choice || id == family(choice)
}

/// The combinations that are not cells.
pub fn skips(grid: Option<wire::Grid>, lowering: &mut Lowering<'_>) -> Vec<Spanned<Selector>> {
    let entries = grid.map(|grid| grid.skip).unwrap_or_default();
    let mut skips = Vec::new();
    for entry in entries {
        let span = entry.span();
        let selector = selector(axes_of_skip(entry.into_inner()), lowering);
        // An entry that lost an axis would leave out more than it says.
        if !lowering.is_pruned(&span) {
            skips.push(Spanned::new(span, selector));
        }
    }
    for &axis in Axis::ALL {
        check_axis_survives(axis, &skips, lowering);
    }
    skips
}

/// The cell every other one is compared with.
pub fn reference(compare: Option<wire::Compare>, skips: &[Spanned<Selector>], lowering: &mut Lowering<'_>) -> Option<Selector> {
    let reference = compare?.reference?;
    let span = reference.span();
    let selector = selector(axes_of_reference(reference.into_inner()), lowering);
    let on = |axis: Axis| selector.axes.iter().find(|(named, _)| *named == axis).and_then(|(_, ids)| ids.first());
    let skipped =
        skips.iter().any(|skip| skip.get_ref().axes.iter().all(|(axis, ids)| on(*axis).is_some_and(|id| ids.contains(id))));
    if skipped {
        let problem = Problem::new(span, "the reference is one of the combinations that `skip` leaves out");
        lowering.report(problem.help("choose another reference, or keep this combination"));
    }
    Some(selector)
}

/// A published figure, with the cell it is about.
pub fn anchor(entry: wire::Anchor, lowering: &mut Lowering<'_>) -> Anchor {
    let wire::Anchor { cell, metric, value, tolerance, source } = entry;
    if !(-1.0..=1.0).contains(value.get_ref()) {
        let problem = Problem::new(value.span(), format!("`value` is {}, and should be between -1 and 1", value.get_ref()));
        lowering.report(problem.help("figures are shares and correlations: write 82.03 as 0.8203"));
    }
    let cell = selector(axes_of_reference(cell.into_inner()), lowering);
    Anchor { cell, metric, value: value.into_inner(), tolerance, source }
}

fn selector(axes: Vec<(Axis, Vec<Spanned<String>>)>, lowering: &mut Lowering<'_>) -> Selector {
    for (axis, ids) in &axes {
        for id in ids {
            if let Some(problem) = lowering.ids().unknown(*axis, id) {
                lowering.report(problem);
            }
        }
    }
    let bare = |ids: Vec<Spanned<String>>| ids.into_iter().map(Spanned::into_inner).collect();
    Selector { axes: axes.into_iter().map(|(axis, ids)| (axis, bare(ids))).collect() }
}

/// Skips that name no other axis may not leave out all of this one.
fn check_axis_survives(axis: Axis, skips: &[Spanned<Selector>], lowering: &mut Lowering<'_>) {
    let Some(ids) = lowering.ids().on(axis) else { return };
    let mut left: Vec<&str> = ids.iter().map(|id| id.get_ref().as_str()).collect();
    for skip in skips {
        let [(only, skipped)] = skip.get_ref().axes.as_slice() else { continue };
        if *only == axis {
            left.retain(|id| !skipped.iter().any(|other| covers(other, id)));
            if left.is_empty() {
                let problem = Problem::new(skip.span(), format!("`skip` leaves no {axis}, so no cell"));
                lowering.report(problem.help("keep at least one, or name a second axis in the entry"));
                return;
            }
        }
    }
}

fn axes_of_skip(skip: wire::Skip) -> Vec<(Axis, Vec<Spanned<String>>)> {
    let named = [
        (Axis::Model, skip.model),
        (Axis::Prompt, skip.prompt),
        (Axis::Readout, skip.readout),
        (Axis::Transform, skip.transform),
        (Axis::Slice, skip.slice),
        (Axis::Task, skip.task),
        (Axis::Labels, skip.labels),
        (Axis::Calibration, skip.calibration),
    ];
    named.into_iter().filter_map(|(axis, ids)| Some((axis, OneOrMany::all(ids?)))).collect()
}

fn axes_of_reference(reference: wire::Reference) -> Vec<(Axis, Vec<Spanned<String>>)> {
    let named = [
        (Axis::Model, reference.model),
        (Axis::Prompt, reference.prompt),
        (Axis::Readout, reference.readout),
        (Axis::Transform, reference.transform),
        (Axis::Slice, reference.slice),
        (Axis::Task, reference.task),
        (Axis::Labels, reference.labels),
        (Axis::Calibration, reference.calibration),
    ];
    named.into_iter().filter_map(|(axis, id)| Some((axis, vec![id?]))).collect()
}
