//! Places the texts of the best cells in a plane, for reports: they see results alone, and vectors are in the cache.

use std::collections::BTreeSet;

use super::{Desk, Fitter, Scoring};
use crate::dataset::Kind;
use crate::error::Error;
use crate::observe::Silent;
use crate::plan::{Cell, Plan};
use crate::results::{CellRecord, Places, Recorder};
use crate::task::{self, Projection};

/// Most texts of a picture.
const MOST: usize = 1000;

impl Scoring<'_> {
    /// Places the texts of each slice of labelled texts under the cell that is best on it so far, and under those that are best
    /// on slices with the same labels, where these are cells of this model: a report is about one of them. `places` are those
    /// of models before it; what is not the best any more goes.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub(super) fn place(&self, recorder: &mut Recorder, places: &mut Vec<Places>) -> Result<(), Error> {
        let Self { plan, index, desk, embedded } = *self;
        let order: Vec<String> = plan.cells.iter().map(|cell| cell.id.clone()).collect();
        let best: Vec<&Cell> = best(plan, &recorder.recorded(&order)).iter().map(|&cell| &plan.cells[cell]).collect();
        places.retain(|known| best.iter().any(|cell| cell.model != index && cell.id == known.cell));
        // Whatever is to be said of these cells was said when they were scored.
        let desk = Desk { model: desk.model, work: desk.work, shelf: desk.shelf.clone(), observer: &Silent, stop: desk.stop };
        let scoring = Scoring { plan, index, desk: &desk, embedded };
        let mut fitter = Fitter::default();
        for cell in best.into_iter().filter(|cell| cell.model == index) {
            let indices = spread(plan.slices[cell.slice].samples.len());
            let Ok(picked) = desk.stored_of(cell.samples(), cell.readout, embedded, Some(&indices)) else { continue };
            let Ok(by) = fitter.fitted(&scoring, cell)? else { continue };
            let picked = picked.all()?;
            let vectors = match by {
                Some(by) => by.apply(&picked),
                None => picked,
            };
            if let Some(Projection { places: plane, shares }) = task::plane(&vectors) {
                places.push(Places { cell: cell.id.clone(), indices, places: plane, shares });
            }
        }
        Ok(())
    }
}

/// All of so many places, or as many as a picture bears at equal steps.
fn spread(count: usize) -> Vec<usize> {
    let kept = count.min(MOST);
    (0..kept).map(|i| i * count / kept).collect()
}

/// The cells to place, in the order of the plan: one for each set of vectors.
fn best(plan: &Plan, records: &[&CellRecord]) -> Vec<usize> {
    let record = |cell: &Cell| records.iter().copied().find(|record| record.id == cell.id);
    let value = |cell: &Cell, metric: &str| Some(record(cell)?.estimate(metric)?.value);
    let mut chosen = BTreeSet::new();
    let labelled = |slice: &usize| plan.slices[*slice].kind == Kind::Classification;
    let tasks: BTreeSet<usize> = plan.cells.iter().map(|cell| cell.task).collect();
    let asked = (0..plan.slices.len()).filter(labelled).flat_map(|slice| tasks.iter().map(move |task| (slice, *task)));
    for (slice, task) in asked {
        let mut vectors = BTreeSet::new();
        for judge in (0..plan.slices.len()).filter(labelled) {
            if plan.slices[judge].labels != plan.slices[slice].labels {
                continue;
            }
            let there = plan.cells.iter().filter(|cell| cell.slice == judge && cell.task == task);
            let ranked =
                there.filter_map(|cell| Some((value(cell, "accuracy")?, value(cell, "macro_f1").unwrap_or(0.0), cell)));
            // The first of equals, as rankings have it.
            let top = ranked.reduce(|a, b| if (b.0, b.1) > (a.0, a.1) { b } else { a });
            let Some((.., top)) = top else { continue };
            let twin =
                plan.cells.iter().position(|cell| Cell { slice, ..top.clone() } == Cell { id: top.id.clone(), ..cell.clone() });
            let Some(twin) = twin.filter(|&twin| record(&plan.cells[twin]).is_some_and(|record| record.failure().is_none()))
            else {
                continue;
            };
            let cell = &plan.cells[twin];
            if vectors.insert((cell.model, cell.prompt, cell.readout, cell.transform)) {
                chosen.insert(twin);
            }
        }
    }
    chosen.into_iter().collect()
}
