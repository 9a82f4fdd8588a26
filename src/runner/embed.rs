//! Embeds what the cache lacks and saves every batch: the part of the work that a run and `bench embed` share.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use rayon::prelude::*;

use crate::cache::{CacheError, Found, Shelf};
use crate::cause::told;
use crate::embed::{Naming, Resolved};
use crate::error::Error;
use crate::observe::{Event, Observer, Stop, Unit};
use crate::plan::ModelWork;
use crate::results::Times;

/// Most rows that are handed to an encoder at once: what it plans for each takes some hundred bytes, and there may be millions.
const ROWS: usize = 1 << 16;

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
        let mut groups = self.work.together(&missing);
        // Those that begin alike stay together.
        for (_, rows) in groups.iter_mut().filter(|(_, rows)| rows.len() > ROWS) {
            rows.par_sort_by(|&a, &b| self.work.rows[a].cmp(&self.work.rows[b]));
        }
        let pieces = || groups.iter().flat_map(|(readouts, rows)| rows.chunks(ROWS).map(move |rows| (readouts, rows)));
        let stage = format!("embed with {}", self.model);
        let total = pieces().map(|(_, rows)| self.work.encoder.positions(&self.work.some(rows))).sum();
        self.observer.observe(Event::Started { stage, total: Some(total), unit: Unit::Tokens });
        let started = Instant::now();
        let before = times.texts_embedded;
        let mut failures = Failures::new();
        for (readouts, rows) in pieces() {
            if !self.stop.requested() {
                failures.extend(self.save(readouts, rows, times)?);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::cache::Store;
    use crate::digest::Digest;
    use crate::embed::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Row};
    use crate::embeddings::Embeddings;
    use crate::observe::Silent;
    use crate::plan::{Reading, Texts};
    use crate::prompt::{Fuse, Template, Truncation};
    use crate::spec::{Pooling, Readout};

    /// The last id of each row is its vector; remembers what it was asked for.
    struct Noting {
        card: Card,
        asked: &'static Mutex<Vec<Vec<Vec<u32>>>>,
    }

    impl Encoder for Noting {
        fn card(&self) -> &Card {
            &self.card
        }

        fn readout(&self, _: &Readout) -> Result<Resolved, EmbedError> {
            Ok(resolved())
        }

        fn prepare(&self, _: &Template, _: &str, _: Truncation) -> Result<Prepared, EmbedError> {
            Err(EmbedError::EmptyRow { row: 0 })
        }

        #[expect(clippy::cast_precision_loss, reason = "ids are small")]
        fn encode(
            &self,
            rows: &[Row<'_>],
            _: &[Resolved],
            emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
        ) -> Result<(), EmbedError> {
            self.asked.lock().unwrap().push(rows.iter().map(|row| row.ids.to_vec()).collect());
            let values = rows.iter().map(|row| row.ids[1] as f32).collect();
            let embeddings = vec![Embeddings::from_values(1, values)];
            let _ = emit(Batch { rows: (0..rows.len()).collect(), embeddings, tokens: rows.len() as u64, failed: Vec::new() });
            Ok(())
        }

        fn piece(&self, id: u32) -> String {
            id.to_string()
        }

        fn positions(&self, rows: &[Row<'_>]) -> u64 {
            rows.len() as u64
        }

        fn cost(&self, _: u64) -> Cost {
            Cost::default()
        }
    }

    fn resolved() -> Resolved {
        Resolved { dim: 1, kept: 1, layer: 0, pool: Pooling::Mean, span: None, norm: false, normalize: false }
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "ids are small")]
    fn many_rows_are_embedded_in_pieces_of_neighbours() {
        static ASKED: Mutex<Vec<Vec<Vec<u32>>>> = Mutex::new(Vec::new());
        let root = tempfile::tempdir().unwrap();
        let digest = Digest::of_bytes(b"m");
        let card = Card {
            digest,
            identity: digest,
            name: "m".into(),
            about: serde_json::Value::Null,
            device: "cpu".into(),
            max_tokens: 2,
            weights_bytes: 0,
            parameters: 0,
            blocks: None,
            commit: None,
            adapter_commit: None,
        };
        let mut work = ModelWork::new(Box::new(Noting { card, asked: &ASKED }));
        let count = u32::try_from(2 * ROWS + 1).unwrap();
        // Those that begin alike do not stand together.
        let row = |i: u32| vec![i % 3, i];
        let prepared = |i| Prepared { ids: row(i), rendered: String::new(), slots: Vec::new(), cut: 0, left_out: None };
        let reading = Reading { views: vec![resolved()], fuse: Fuse::Mean, normalize: false };
        let texts: Vec<Prepared> = (0..count).map(prepared).collect();
        let set = Texts::Samples { prompt: 0, slice: 0 };
        work.add(set, &[texts], BTreeMap::from([(0, reading)]));
        let shelf = work.shelf(&Store::new(root.path().to_owned())).unwrap();
        let desk = Desk { model: "m", work: &work, shelf, observer: &Silent, stop: &Stop::default() };
        let embedded = desk.embed(&mut Times::default()).unwrap().unwrap();
        let asked = ASKED.lock().unwrap();
        assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [ROWS, ROWS, 1]);
        assert!(asked.iter().flatten().is_sorted(), "neighbours stand together");
        let vectors = desk.vectors(set, 0, &embedded).unwrap().unwrap();
        assert!((0..count).all(|i| vectors.row(i as usize) == [row(i)[1] as f32]));
    }
}
