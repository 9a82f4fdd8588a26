//! Plan -> run record: the only place that knows the order of work.

mod embed;
mod record;
mod verify;

use std::ops::ControlFlow;
use std::path::Path;

use crate::cache::{Found, Store};
use crate::cause::told;
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::observe::{Event, Observer, Stop, Unit};
use crate::plan::{Block, Cell, Plan, Texts};
use crate::results::{CellRecord, MetricRow, Outcome, Recorder, RunRecord, SampleRow, Scored, Times};
use crate::stats::{self, Estimate};
use crate::task::{self, Evaluation, LabelSimilarity};

pub use embed::{Desk, Failures, repairing};
pub use verify::{Verified, verify};

/// How a run ended.
pub enum Finish {
    /// Every cell has scores or a reason.
    Done(Box<RunRecord>),
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
    for (index, work) in plan.models.iter().enumerate() {
        let desk = Desk { model: &plan.spec.models[index].id, work, shelf: work.shelf(store)?, observer, stop };
        let ended = repairing(observer, || {
            let Some(failures) = desk.embed(&mut times)? else { return Ok(ControlFlow::Break(())) };
            Scoring { plan, index, desk: &desk, failures: &failures }.run(&mut recorder)
        })?;
        work.encoder.release();
        if ended.is_break() {
            return Ok(Finish::Interrupted);
        }
    }
    let unique: usize = plan.models.iter().map(|work| work.rows.len()).sum();
    times.texts_cached = (unique as u64).saturating_sub(times.texts_embedded);
    times.finished = record::now();
    let order: Vec<String> = plan.cells.iter().map(|cell| cell.id.clone()).collect();
    Ok(Finish::Done(Box::new(recorder.finish(times, &order)?)))
}

/// Scores the cells of one model.
struct Scoring<'a> {
    plan: &'a Plan,
    index: usize,
    desk: &'a Desk<'a>,
    failures: &'a Failures,
}

impl Scoring<'_> {
    /// Scores every cell that is not recorded yet, and records each at once.
    fn run(&self, recorder: &mut Recorder) -> Result<ControlFlow<()>, Error> {
        let cells: Vec<&Cell> = self.plan.cells.iter().filter(|cell| cell.model == self.index).collect();
        let observer = self.desk.observer;
        let stage = format!("score {}", self.desk.model);
        observer.observe(Event::Started { stage, total: Some(cells.len() as u64), unit: Unit::Cells });
        let found = self.desk.work.stored(&self.desk.shelf)?;
        // Cells that differ in labels and calibration alone read their texts once.
        for cells in cells.chunk_by(|a, b| a.samples() == b.samples() && a.readout == b.readout) {
            let mut texts = None;
            for cell in cells {
                if recorder.finished(&cell.id).is_none() {
                    let texts = match &texts {
                        Some(read) => read,
                        None => texts.insert(self.vectors(cell, cell.samples(), &found)?),
                    };
                    let outcome = match self.score(cell, texts.as_ref(), &found)? {
                        Ok(scored) => Outcome::Scored(scored),
                        Err(reason) => Outcome::Failed { reason },
                    };
                    recorder.record(&CellRecord { id: cell.id.clone(), choices: self.plan.choices(cell), outcome })?;
                }
                observer.observe(Event::Advanced(1));
                if self.desk.stop.requested() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        observer.observe(Event::Finished { summary: format!("{} cells scored", cells.len()) });
        Ok(ControlFlow::Continue(()))
    }

    /// Vectors of a set of texts under a cell's readout; the inner error is the reason why there are none.
    fn vectors(&self, cell: &Cell, set: Texts, found: &Found) -> Result<Result<Embeddings, String>, Error> {
        let Some(readout) = self.desk.work.readouts.get(&cell.readout) else {
            return Ok(Err("its readout was not resolved".to_owned()));
        };
        self.desk.vectors(self.blocks(set), readout, found, self.failures)
    }

    /// Scores one cell; the inner error is the reason why it has no scores.
    fn score(&self, cell: &Cell, texts: Result<&Embeddings, &String>, found: &Found) -> Result<Result<Scored, String>, Error> {
        let phrasings = self.vectors(cell, cell.phrasings(&self.plan.spec), found)?;
        let (texts, phrasings) = match (texts, &phrasings) {
            (Ok(texts), Ok(phrasings)) => (texts, phrasings),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason.clone())),
        };
        let slice = &self.plan.slices[cell.slice];
        let gold: Vec<usize> = slice.samples.iter().map(|sample| sample.gold).collect();
        let evaluation = task::label_similarity(&LabelSimilarity {
            texts,
            gold: &gold,
            phrasings,
            owner: &self.plan.wordings[cell.labels][cell.slice].owner,
            labels: slice.labels.len(),
            calibration: cell.calibration,
            seed: self.plan.spec.seed,
        });
        Ok(evaluation.map_err(|error| told(&error)).map(|evaluation| self.scored(cell, evaluation)))
    }

    fn blocks(&self, set: Texts) -> &[Block] {
        self.desk.work.blocks.get(&set).map_or(&[], Vec::as_slice)
    }

    fn scored(&self, cell: &Cell, evaluation: Evaluation) -> Scored {
        let views = self.blocks(cell.samples());
        let rows = &self.desk.work.rows;
        let labels = &self.plan.slices[cell.slice].labels;
        let samples: Vec<SampleRow> = (evaluation.predictions.iter().zip(evaluation.scores.chunks_exact(evaluation.labels)))
            .enumerate()
            .map(|(i, (prediction, scores))| SampleRow {
                gold: prediction.gold,
                predicted: prediction.predicted,
                gold_rank: prediction.gold_rank,
                margin: prediction.margin,
                gold_margin: prediction.gold_margin,
                tied: prediction.tied,
                tokens: views.iter().map(|view| rows[view.rows[i]].len()).sum(),
                cut: views.iter().map(|view| view.cut[i]).sum(),
                scores: scores.to_vec(),
            })
            .collect();
        let mut metrics: Vec<MetricRow> = (evaluation.metrics.into_iter())
            .map(|metric| MetricRow {
                name: metric.name.to_owned(),
                label: metric.label.map(|label| labels[label].clone()),
                estimate: metric.estimate,
                reason: metric.reason,
            })
            .collect();
        metrics.extend(cut_metrics(&samples));
        Scored { metrics, samples, confusion: evaluation.confusion }
    }
}

/// Share of samples that truncation cut, and how many tokens those lost on average.
fn cut_metrics(samples: &[SampleRow]) -> [MetricRow; 2] {
    let cut: Vec<usize> = samples.iter().map(|sample| sample.cut).filter(|&cut| cut > 0).collect();
    let removed: usize = cut.iter().sum();
    let share = stats::wilson(cut.len(), samples.len());
    let mean = (!cut.is_empty()).then(|| Estimate {
        value: stats::number(removed) / stats::number(cut.len()),
        interval: None,
        n: cut.len(),
    });
    let reason = mean.is_none().then(|| "no sample was cut".to_owned());
    let row = |name: &str, estimate, reason| MetricRow { name: name.to_owned(), label: None, estimate, reason };
    [row("cut_share", Some(share), None), row("cut_tokens", mean, reason)]
}
