//! Embeds what the cache lacks and saves every batch: the part of the work that a run and `bench embed` share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use crate::cache::{CacheError, Key, Shelf};
use crate::cause::told;
use crate::embed::Resolved;
use crate::error::Error;
use crate::observe::{Event, Observer, Stop, Unit};
use crate::plan::ModelWork;
use crate::results::Times;

/// Why rows have no vectors, by row.
pub type Failures = BTreeMap<usize, String>;

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
    pub fn embed(&self, times: &mut Times) -> Result<Option<Failures>, Error> {
        if self.stop.requested() {
            return Ok(None);
        }
        let found = self.work.stored(&self.shelf)?;
        found.warnings().iter().for_each(|warning| self.observer.observe(Event::Warning(warning.clone())));
        let missing = self.work.missing(&found);
        if missing.is_empty() {
            return Ok(Some(Failures::new()));
        }
        let ids = self.work.ids(&missing);
        let stage = format!("embed with {}", self.model);
        let total = Some(self.work.encoder.positions(&ids));
        self.observer.observe(Event::Started { stage, total, unit: Unit::Tokens });
        let started = Instant::now();
        let before = times.texts_embedded;
        let failures = self.save(&missing, &ids, times)?;
        for (reason, rows) in by_reason(&failures) {
            self.observer.observe(Event::Warning(format!("{}: {rows} of {} texts: {reason}", self.model, missing.len())));
        }
        times.embed_seconds += started.elapsed().as_secs_f64();
        self.observer.observe(Event::Finished { summary: format!("{} texts embedded", times.texts_embedded - before) });
        Ok((!self.stop.requested()).then_some(failures))
    }

    /// Embeds some rows, whose ids are `ids`, and saves them batch by batch.
    fn save(&self, rows: &[usize], ids: &[&[u32]], times: &mut Times) -> Result<Failures, Error> {
        let readouts = distinct(self.work.readouts.values());
        let keys: Vec<String> = readouts.iter().map(Resolved::key).collect();
        let mut failures = Failures::new();
        let mut writer = self.shelf.writer();
        let mut broken: Option<CacheError> = None;
        let ended = self.work.encoder.encode(ids, &readouts, &mut |batch| {
            let mut save = || {
                for (key, embeddings) in keys.iter().zip(&batch.embeddings) {
                    for (&row, vector) in batch.rows.iter().zip(embeddings.rows()) {
                        let tokens = u32::try_from(ids[row].len()).unwrap_or(u32::MAX);
                        writer.push(Key::new(key, ids[row]), tokens, vector)?;
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

/// Readouts with different keys: two names of one readout are computed once.
pub(super) fn distinct<'a>(readouts: impl Iterator<Item = &'a Resolved>) -> Vec<Resolved> {
    let mut distinct: Vec<Resolved> = Vec::new();
    for readout in readouts {
        if distinct.iter().all(|known| known.key() != readout.key()) {
            distinct.push(readout.clone());
        }
    }
    distinct
}
