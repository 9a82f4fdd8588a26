//! Embeds what the cache lacks and saves every batch: the part of the work that a run and `bench embed` share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use crate::cache::{CacheError, Key, Shelf};
use crate::cause::told;
use crate::embed::{EmbedError, Resolved};
use crate::error::Error;
use crate::observe::{Event, Observer, Stop, Unit};
use crate::plan::ModelWork;
use crate::results::Times;

/// Why the rows of a group have no vectors, by group.
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
    /// Embeds the rows that the cache lacks, group by group. `None`: asked to stop, with everything so far saved.
    ///
    /// # Errors
    /// A cache that cannot be read or written. An encoder that fails makes a failure of its group, not an error.
    pub fn embed(&self, times: &mut Times) -> Result<Option<Failures>, Error> {
        if self.stop.requested() {
            return Ok(None);
        }
        let found = self.work.stored(&self.shelf)?;
        found.warnings().iter().for_each(|warning| self.observer.observe(Event::Warning(warning.clone())));
        let missing = self.work.missing(&found);
        let rows = self.work.rows.as_slice();
        let mut failures = Failures::new();
        if missing.is_empty() {
            return Ok(Some(failures));
        }
        let stage = format!("embed with {}", self.model);
        self.observer.observe(Event::Started { stage, total: Some(self.work.positions(&missing)), unit: Unit::Tokens });
        let started = Instant::now();
        let before = times.texts_embedded;
        for group in 0..self.work.rows.groups() {
            let group_rows: Vec<usize> = missing.iter().copied().filter(|&row| rows[row].group == group).collect();
            if let Some(reason) = self.embed_group(group, &group_rows, times)? {
                self.observer.observe(Event::Warning(format!("{}: {reason}", self.model)));
                failures.insert(group, reason);
            }
            if self.stop.requested() {
                break;
            }
        }
        times.embed_seconds += started.elapsed().as_secs_f64();
        self.observer.observe(Event::Finished { summary: format!("{} texts embedded", times.texts_embedded - before) });
        Ok((!self.stop.requested()).then_some(failures))
    }

    /// Embeds rows of one template; the reason if the encoder fails.
    fn embed_group(&self, group: usize, rows: &[usize], times: &mut Times) -> Result<Option<String>, Error> {
        if rows.is_empty() {
            return Ok(None);
        }
        let ids: Vec<&[u32]> = rows.iter().map(|&row| self.work.rows.as_slice()[row].ids.as_slice()).collect();
        let readouts = distinct(self.work.readouts.values());
        let keys: Vec<String> = readouts.iter().map(Resolved::key).collect();
        let mut writer = self.shelf.writer();
        let mut broken: Option<CacheError> = None;
        let ended = self.work.encoder.encode(&ids, self.work.rows.prefix(group), &readouts, &mut |batch| {
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
            times.texts_embedded += batch.rows.len() as u64;
            times.tokens_computed += batch.tokens;
            self.observer.observe(Event::Advanced(batch.tokens));
            if broken.is_some() || self.stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        writer.flush()?;
        match (broken, ended) {
            (Some(error), _) => Err(error.into()),
            (None, Ok(())) => Ok(None),
            // A row is named by its place in the plan, not among those that happen to be missing.
            (None, Err(EmbedError::NotFinite { row, readout, dtype })) => {
                Ok(Some(told(&EmbedError::NotFinite { row: rows[row], readout, dtype })))
            }
            (None, Err(error)) => Ok(Some(told(&error))),
        }
    }
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
