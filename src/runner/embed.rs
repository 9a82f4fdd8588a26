//! Embeds what the cache lacks and saves every batch: the part of the work that a run and `bench embed` share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use crate::cache::{CacheError, Found, Shelf};
use crate::cause::told;
use crate::embed::{Naming, Resolved};
use crate::error::Error;
use crate::observe::{Event, Observer, Stop, Unit};
use crate::plan::ModelWork;
use crate::results::Times;

/// Why rows have no vectors, by row.
type Failures = BTreeMap<usize, String>;

/// What came of a model's rows.
#[derive(Default)]
pub struct Embedded {
    /// Where their vectors lie.
    pub found: Found,
    /// Why rows have none.
    pub failures: Failures,
}

/// One model's rows, the shelf they are saved on, and who watches.
pub struct Desk<'a> {
    /// The model's id, for people.
    pub model: &'a str,
    pub work: &'a ModelWork,
    pub shelf: Shelf,
    pub observer: &'a dyn Observer,
    pub stop: &'a Stop,
}

impl Desk<'_> {
    /// Embeds the rows that the cache lacks. `None`: asked to stop, with everything so far saved.
    ///
    /// # Errors
    /// A cache that cannot be read or written. An encoder that fails makes failures of its rows, not an error.
    pub fn embed(&self, times: &mut Times) -> Result<Option<Embedded>, Error> {
        if self.stop.requested() {
            return Ok(None);
        }
        let found = self.work.stored(&self.shelf)?;
        found.warnings().iter().for_each(|warning| self.observer.observe(Event::Warning(warning.clone())));
        let missing = self.work.missing(&found);
        if missing.is_empty() {
            return Ok(Some(Embedded { found, failures: Failures::new() }));
        }
        drop(found);
        let groups = self.work.together(&missing);
        let stage = format!("embed with {}", self.model);
        let total = groups.iter().map(|(_, rows)| self.work.encoder.positions(&self.work.some(rows))).sum();
        self.observer.observe(Event::Started { stage, total: Some(total), unit: Unit::Tokens });
        let started = Instant::now();
        let before = times.texts_embedded;
        let mut failures = Failures::new();
        for (readouts, rows) in groups {
            if !self.stop.requested() {
                failures.extend(self.save(&readouts, &rows, times)?);
            }
        }
        for (reason, rows) in by_reason(&failures) {
            self.observer.observe(Event::Warning(format!("{}: {rows} of {} texts: {reason}", self.model, missing.len())));
        }
        times.embed_seconds += started.elapsed().as_secs_f64();
        self.observer.observe(Event::Finished { summary: format!("{} texts embedded", times.texts_embedded - before) });
        if self.stop.requested() {
            return Ok(None);
        }
        Ok(Some(Embedded { found: self.work.stored(&self.shelf)?, failures }))
    }

    /// Embeds some rows and saves them batch by batch.
    fn save(&self, readouts: &[Resolved], rows: &[usize], times: &mut Times) -> Result<Failures, Error> {
        let texts = self.work.some(rows);
        let namings: Vec<Naming> = readouts.iter().map(Resolved::naming).collect();
        let mut failures = Failures::new();
        let mut writer = self.shelf.writer();
        let mut broken: Option<CacheError> = None;
        let ended = self.work.encoder.encode(&texts, readouts, &mut |batch| {
            let mut save = || {
                for (naming, embeddings) in namings.iter().zip(&batch.embeddings) {
                    for (&row, vector) in batch.rows.iter().zip(embeddings.rows()) {
                        let tokens = u32::try_from(texts[row].ids.len()).unwrap_or(u32::MAX);
                        writer.push(naming.key(texts[row]), tokens, vector)?;
                    }
                }
                writer.end_batch()
            };
            broken = save().err();
            failures.extend(batch.failed.iter().map(|(row, error)| (rows[*row], told(error))));
            times.texts_embedded += batch.rows.len() as u64;
            times.tokens_computed += batch.tokens;
            self.observer.observe(Event::Advanced(batch.tokens));
            if broken.is_some() || self.stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        writer.flush()?;
        match (broken, ended) {
            (Some(error), _) => return Err(error.into()),
            (None, Ok(())) => {}
            (None, Err(error)) => failures.extend(rows.iter().map(|&row| (row, told(&error)))),
        }
        Ok(failures)
    }
}

/// How many rows each reason has cost.
fn by_reason(failures: &Failures) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    failures.values().for_each(|reason| *counts.entry(reason.as_str()).or_default() += 1);
    counts
}

/// Does `work` again after a part of the cache turned out damaged: it was set aside, and what it held is missing now. Gives
/// up when the same part is lost twice.
///
/// # Errors
/// Those of `work`.
pub fn repairing<T>(observer: &dyn Observer, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut lost = BTreeSet::new();
    loop {
        match work() {
            Err(Error::Cache(CacheError::Lost { path, reason })) if lost.insert(path.clone()) => {
                let warning = format!("{} was damaged ({reason}); what it held is embedded again", path.display());
                observer.observe(Event::Warning(warning));
            }
            other => return other,
        }
    }
}
