//! Plan -> run record: the only place that knows the order of work.

mod embed;
mod labels;
mod learned;
mod measured;
mod pairs;
mod places;
mod record;
mod transforms;
mod vectors;
mod verify;

use std::ops::ControlFlow;
use std::path::Path;

use crate::cache::Store;
use crate::error::Error;
use crate::observe::{Event, Observer, Stop, Unit};
use crate::plan::{Against, Block, Cell, Plan, Texts};
use crate::results::{CellRecord, MetricRow, Outcome, Recorder, SampleRow, SampleRows, Scored, Times};
use crate::spec::Task;
use crate::stats::{self, Estimate};
use crate::task::{self, Evaluation, Metric, Scope, Uncertainty};
use crate::transform::Fitted;

use transforms::Fitter;

pub use embed::{Desk, Embedded, repairing};
pub use vectors::Stored;
pub use verify::{Verified, verify};

/// Scores, and what they say of samples, that are in memory before they are recorded, unless one cell has more. Unit: bytes.
const SCORES_BYTES: usize = 240 << 20;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Every cell has scores or a reason, and the results are written.
    Done,
    /// Somebody asked to stop; everything computed so far is saved, and the same command continues.
    Interrupted,
}

/// Embeds what is missing, scores every cell, and writes the results.
///
/// # Errors
/// Files that cannot be read or written. A model or text that fails makes failed cells, not an error.
pub fn run(plan: &Plan, store: &Store, results: &Path, observer: &dyn Observer, stop: &Stop) -> Result<Finish, Error> {
    let mut times = Times { started: record::now(), cores: rayon::current_num_threads(), ..Times::default() };
    plan.warnings.iter().for_each(|warning| observer.observe(Event::Warning(warning.clone())));
    let mut recorder = Recorder::start(results, record::provenance(plan), record::sample_texts(plan))?;
    let mut places = Vec::new();
    for (index, work) in plan.models.iter().enumerate() {
        let desk = Desk { model: &plan.spec.models[index].id, work, shelf: work.shelf(store)?, observer, stop };
        let ended = repairing(observer, || {
            let Some(embedded) = desk.embed(&mut times)? else { return Ok(ControlFlow::Break(())) };
            // Scores need no weights.
            work.encoder.release();
            let scoring = Scoring { plan, index, desk: &desk, embedded: &embedded };
            let ended = scoring.run(&mut recorder)?;
            if ended.is_continue() {
                scoring.place(&mut recorder, &mut places)?;
            }
            Ok(ended)
        })?;
        if ended.is_break() {
            return Ok(Finish::Interrupted);
        }
    }
    let unique: usize = plan.models.iter().map(|work| work.rows.len()).sum();
    times.texts_cached = (unique as u64).saturating_sub(times.texts_embedded);
    times.finished = record::now();
    recorder.place(places);
    recorder.cut(record::cuts(plan));
    let order: Vec<String> = plan.cells.iter().map(|cell| cell.id.clone()).collect();
    recorder.finish(times, &order)?;
    Ok(Finish::Done)
}

/// The texts of a slice as cells read them.
struct Read<'a> {
    texts: Stored<'a>,
    /// What is done to every vector.
    by: Option<&'a Fitted>,
    readout: usize,
}

/// What is done with a scored cell.
type Done<'a> = &'a mut dyn FnMut(&Cell, Outcome) -> Result<(), Error>;

/// Scores the cells of one model.
struct Scoring<'a> {
    plan: &'a Plan,
    index: usize,
    desk: &'a Desk<'a>,
    embedded: &'a Embedded,
}

impl Scoring<'_> {
    /// Scores every cell that is not recorded yet, and records each at once.
    fn run(&self, recorder: &mut Recorder) -> Result<ControlFlow<()>, Error> {
        let cells: Vec<&Cell> = self.plan.cells.iter().filter(|cell| cell.model == self.index).collect();
        let observer = self.desk.observer;
        let stage = format!("score {}", self.desk.model);
        observer.observe(Event::Started { stage, total: Some(cells.len() as u64), unit: Unit::Cells });
        let mut fitter = Fitter::default();
        // Cells that differ in labels and calibration alone read their texts together.
        let together = |a: &&Cell, b: &&Cell| {
            a.samples() == b.samples() && a.readout == b.readout && a.transform == b.transform && a.task == b.task
        };
        for cells in cells.chunk_by(together) {
            let open: Vec<&Cell> = cells.iter().copied().filter(|cell| recorder.finished(&cell.id).is_none()).collect();
            observer.observe(Event::Advanced((cells.len() - open.len()) as u64));
            for cells in open.chunks(self.together(cells[0])) {
                self.score(cells, &mut fitter, &mut |cell, outcome| {
                    recorder.record(CellRecord { id: cell.id.clone(), choices: self.plan.choices(cell), outcome })?;
                    observer.observe(Event::Advanced(1));
                    Ok(())
                })?;
                if self.desk.stop.requested() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        observer.observe(Event::Finished { summary: format!("{} cells scored", cells.len()) });
        Ok(ControlFlow::Continue(()))
    }

    /// How many cells like this one are scored together, for want of memory.
    fn together(&self, cell: &Cell) -> usize {
        let slice = &self.plan.slices[cell.slice];
        let sample = slice.labels.len() * size_of::<f64>() + size_of::<task::Prediction>() + SampleRows::BYTES;
        (SCORES_BYTES / (slice.samples.len() * sample).max(1)).max(1)
    }

    /// Scores cells of the same texts, readout and transform, and hands out each as it is done.
    fn score(&self, cells: &[&Cell], fitter: &mut Fitter, done: Done<'_>) -> Result<(), Error> {
        let Some(first) = cells.first() else { return Ok(()) };
        let mut failed =
            |reason: String| cells.iter().try_for_each(|cell| done(cell, Outcome::Failed { reason: reason.clone() }));
        let by = match fitter.fitted(self, first)? {
            Ok(by) => by,
            Err(reason) => return failed(reason),
        };
        let texts = match self.desk.stored(first.samples(), first.readout, self.embedded) {
            Ok(texts) => texts,
            Err(reason) => return failed(reason),
        };
        let read = Read { texts, by: by.as_deref(), readout: first.readout };
        match first.scored {
            Against::Labels { .. } => self.labels(cells, read, done),
            Against::Samples { .. } => cells.iter().try_for_each(|cell| done(cell, self.against_samples(cell, &read)?)),
        }
    }

    /// Scores a cell that has no labels' vectors.
    fn against_samples(&self, cell: &Cell, read: &Read<'_>) -> Result<Outcome, Error> {
        match self.plan.task(cell) {
            Task::LinearProbe { .. } | Task::Knn { .. } => self.learned(cell, read),
            Task::Retrieval { .. } | Task::Clustering { .. } => self.measured(cell, read),
            Task::LabelSimilarity { .. } | Task::Sts { .. } | Task::PairClassification { .. } => self.pairs(cell, read),
        }
    }

    fn blocks(&self, set: Texts) -> &[Block] {
        self.desk.work.blocks.get(&set).map_or(&[], Vec::as_slice)
    }

    fn scored(&self, cell: &Cell, evaluation: Evaluation, by: Option<&Fitted>) -> Scored {
        let views = self.blocks(cell.samples());
        let rows = &self.desk.work.rows;
        let labels = &self.plan.slices[cell.slice].labels;
        let samples: SampleRows = (evaluation.predictions.iter().enumerate())
            .map(|(i, prediction)| SampleRow {
                gold: prediction.gold,
                predicted: prediction.predicted,
                gold_rank: prediction.gold_rank,
                margin: prediction.margin,
                gold_margin: prediction.gold_margin,
                tied: prediction.tied,
                tokens: views.iter().map(|view| rows[view.rows[i]].len()).sum(),
                cut: views.iter().map(|view| view.cut[i]).sum(),
            })
            .collect();
        let mut metrics = metric_rows(evaluation.metrics, labels, samples.len());
        metrics.extend(cut_metrics(samples.iter().map(|sample| sample.cut)));
        metrics.extend(by.map(transforms::width));
        Scored { metrics, samples, scores: evaluation.scores, confusion: evaluation.confusion }
    }
}

/// Metrics with the names of the labels, or subsets, that they are about, and with what is to be doubted of their intervals.
/// Resamples draw so many units: samples, or groups of them.
fn metric_rows(metrics: Vec<Metric>, names: &[String], units: usize) -> Vec<MetricRow> {
    let resampled = |metric: &Metric| {
        let scope = if metric.label.is_some() { Scope::Label } else { Scope::Slice };
        let known = [
            task::METRICS,
            task::PROBE_METRICS,
            task::STS_METRICS,
            task::CLASS_METRICS,
            task::MTEB_METRICS,
            task::RETRIEVAL_METRICS,
            task::CLUSTERING_METRICS,
        ];
        known.into_iter().flatten().any(|info| {
            (info.name, info.scope) == (metric.name, scope)
                && matches!(info.uncertainty, Uncertainty::Bootstrap | Uncertainty::Jackknife)
        })
    };
    let doubt = |metric: &Metric| {
        let estimate = metric.estimate.filter(|_| resampled(metric))?;
        stats::doubt(&estimate, units.min(estimate.n), "sample")
    };
    let row = |metric: Metric| MetricRow {
        reason: metric.reason.clone().or_else(|| doubt(&metric)),
        name: metric.name.to_owned(),
        label: metric.label.map(|label| names[label].clone()),
        estimate: metric.estimate,
    };
    metrics.into_iter().map(row).collect()
}

/// Share of samples that truncation cut, and how many tokens those lost on average.
fn cut_metrics(samples: impl ExactSizeIterator<Item = usize>) -> [MetricRow; 2] {
    let all = samples.len();
    let cut: Vec<usize> = samples.filter(|&cut| cut > 0).collect();
    let removed: usize = cut.iter().sum();
    let share = stats::wilson(cut.len(), all);
    let mean = (!cut.is_empty()).then(|| Estimate {
        value: stats::number(removed) / stats::number(cut.len()),
        interval: None,
        n: cut.len(),
    });
    let reason = mean.is_none().then(|| "no sample was cut".to_owned());
    let row = |name: &str, estimate, reason| MetricRow { name: name.to_owned(), label: None, estimate, reason };
    [row("cut_share", Some(share), None), row("cut_tokens", mean, reason)]
}
