//! Runs a schedule: workers that take one batch after the other, beginnings kept as long as batches continue them, and
//! halves of a batch that a device's memory is too small for.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use super::schedule::{Plan, Schedule, Sharing};
use super::{Batch, EmbedError, Resolved, Row};
use crate::embeddings::Embeddings;
use crate::model::{ModelError, Segment, Shared, Tap, Transformer};

/// Batches that wait to be saved, for each worker: enough that saving never holds it up.
const WAITING: usize = 2;

/// What all passes of one call have in common.
pub(super) struct Passes<'a> {
    pub model: &'a Transformer,
    pub rows: &'a [Row<'a>],
    pub readouts: &'a [Resolved],
    pub taps: &'a [Tap],
    /// How rows share their beginnings.
    pub sharing: Sharing,
    /// Most positions of a batch.
    pub budget: usize,
    /// Name of the model's dtype.
    pub dtype: &'a str,
}

/// A beginning while it is needed.
#[derive(Default)]
struct Kept {
    shared: Mutex<Option<Result<Arc<Shared>, Arc<ModelError>>>>,
    /// Batches that are still to continue it.
    left: AtomicUsize,
}

enum Job {
    Begin(usize),
    Batch(usize),
}

impl Passes<'_> {
    /// Embeds all rows on `workers` threads; `emit` runs on this one, beside them.
    pub fn run(&self, workers: usize, emit: &mut dyn FnMut(Batch) -> ControlFlow<()>) {
        let schedule = Schedule::new(&ids(self.rows), self.sharing, self.budget);
        let kept: Vec<Kept> = schedule.beginnings.iter().map(|_| Kept::default()).collect();
        for beginning in schedule.batches.iter().filter_map(|batch| batch.beginning) {
            kept[beginning].left.fetch_add(1, Ordering::Relaxed);
        }
        let (jobs, next) = (jobs(&schedule), AtomicUsize::new(0));
        let (sender, receiver) = sync_channel(WAITING * workers);
        let work = |sender: std::sync::mpsc::SyncSender<Batch>| {
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                match *job {
                    Job::Begin(beginning) => drop(self.beginning(&schedule, &kept, beginning)),
                    Job::Batch(batch) => {
                        let found = self.batch(&schedule, &kept, batch);
                        // Nobody listens any more: the work was ended early.
                        if sender.send(found).is_err() {
                            break;
                        }
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..workers.min(jobs.len()) {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            for batch in receiver {
                if emit(batch).is_break() {
                    break;
                }
            }
        });
    }

    /// What a beginning's batches continue, computed by whoever needs it first while others wait.
    fn beginning(&self, schedule: &Schedule, kept: &[Kept], beginning: usize) -> Result<Arc<Shared>, Arc<ModelError>> {
        let mut shared = kept[beginning].shared.lock().unwrap_or_else(PoisonError::into_inner);
        let at = schedule.beginnings[beginning];
        let compute = || match self.model.share(self.rows[at.row].ids, at.length, self.taps) {
            Ok(shared) => Ok(Arc::new(shared)),
            Err(error) => Err(Arc::new(error.of_one_row(at.length))),
        };
        shared.get_or_insert_with(compute).clone()
    }

    fn batch(&self, schedule: &Schedule, kept: &[Kept], at: usize) -> Batch {
        let batch = &schedule.batches[at];
        let Some(beginning) = batch.beginning else { return self.pass(batch, None, self.budget) };
        let mut found = match self.beginning(schedule, kept, beginning) {
            Ok(shared) => self.pass(batch, Some(&shared), self.budget),
            Err(error) => failed(batch, &error),
        };
        if at == 0 || schedule.batches[at - 1].beginning != batch.beginning {
            found.tokens += schedule.beginnings[beginning].length as u64;
        }
        if kept[beginning].left.fetch_sub(1, Ordering::AcqRel) == 1 {
            *kept[beginning].shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        found
    }

    /// One pass; where memory is too small for it, the same rows again in smaller batches.
    fn pass(&self, batch: &Plan, shared: Option<&Shared>, budget: usize) -> Batch {
        let segment = |part: &super::schedule::Part| Segment {
            ids: &self.rows[part.row].ids[part.tokens.clone()],
            parent: part.parent,
            end: part.end,
            slots: self.rows[part.row].slots,
        };
        let segments: Vec<Segment<'_>> = batch.parts.iter().map(segment).collect();
        let tokens = segments.iter().map(|segment| segment.ids.len() as u64).sum();
        match self.model.forward(&segments, shared, self.taps) {
            Ok(embeddings) => self.finite(Batch { rows: ends(batch), embeddings, tokens, failed: Vec::new() }),
            Err(error) if error.is_out_of_memory() => self.smaller(batch, error, budget / 2),
            Err(error) => failed(batch, &Arc::new(error)),
        }
    }

    fn smaller(&self, batch: &Plan, error: ModelError, budget: usize) -> Batch {
        let ends = ends(batch);
        if let [row] = ends[..] {
            return failed(batch, &Arc::new(error.of_one_row(self.rows[row].ids.len())));
        }
        let rows: Vec<Row<'_>> = ends.iter().map(|&row| self.rows[row]).collect();
        let all = Passes { rows: &rows, budget, ..*self };
        let mut whole = Batch {
            embeddings: self.readouts.iter().map(|readout| Embeddings::new(readout.dim)).collect(),
            ..Batch::default()
        };
        for batch in Schedule::new(&ids(&rows), Sharing::Never, budget).batches {
            let part = all.pass(&batch, None, budget);
            whole.rows.extend(part.rows.iter().map(|&row| ends[row]));
            whole.failed.extend(part.failed.into_iter().map(|(row, error)| (ends[row], error)));
            whole.tokens += part.tokens;
            for (whole, part) in whole.embeddings.iter_mut().zip(&part.embeddings) {
                part.rows().for_each(|row| whole.push(row));
            }
        }
        whole
    }

    /// Takes rows out whose vectors are not finite.
    fn finite(&self, mut batch: Batch) -> Batch {
        let broken = |row: usize| {
            let readouts = batch.embeddings.iter().zip(self.readouts);
            readouts
                .filter(|(matrix, _)| matrix.row(row).iter().any(|value| !value.is_finite()))
                .map(|(_, readout)| readout)
                .next()
        };
        let (mut kept, mut failed) = (Vec::new(), Vec::new());
        for (at, &row) in batch.rows.iter().enumerate() {
            match broken(at) {
                None => kept.push(at),
                Some(readout) => {
                    failed.push((row, EmbedError::NotFinite { readout: readout.key(), dtype: self.dtype.to_owned() }));
                }
            }
        }
        if !failed.is_empty() {
            batch.embeddings.iter_mut().for_each(|matrix| *matrix = matrix.select(&kept));
            batch.rows = kept.iter().map(|&at| batch.rows[at]).collect();
            batch.failed = failed;
        }
        batch
    }
}

/// Every batch after the beginning it continues, and every beginning while the batches of the one before it are under way.
fn jobs(schedule: &Schedule) -> Vec<Job> {
    let mut jobs = Vec::with_capacity(schedule.batches.len() + schedule.beginnings.len());
    let mut begun = 0;
    for (i, batch) in schedule.batches.iter().enumerate() {
        if let Some(beginning) = batch.beginning {
            for soon in begun..(beginning + 2).min(schedule.beginnings.len()) {
                jobs.push(Job::Begin(soon));
            }
            begun = begun.max(beginning + 2);
        }
        jobs.push(Job::Batch(i));
    }
    jobs
}

fn ids<'a>(rows: &[Row<'a>]) -> Vec<&'a [u32]> {
    rows.iter().map(|row| row.ids).collect()
}

/// The rows that end in a batch, in the order of their vectors.
fn ends(batch: &Plan) -> Vec<usize> {
    batch.parts.iter().filter(|part| part.end).map(|part| part.row).collect()
}

fn failed(batch: &Plan, error: &Arc<ModelError>) -> Batch {
    let failed = ends(batch).into_iter().map(|row| (row, EmbedError::Model(Arc::clone(error)))).collect();
    Batch { failed, ..Batch::default() }
}
