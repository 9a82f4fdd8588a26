//! The [`Encoder`] of an embedding server: OpenAI-style `/v1/embeddings` of vLLM, text-embeddings-inference, llama.cpp, Ollama.
//!
//! The server has the tokenizer and the weights; neither can be seen. Token ids are characters, and what the vectors depend
//! on is what the spec says of the server: its address, the model's name, the width and a `revision` in words.

mod answer;
mod client;
mod error;

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::json;

use super::characters::{self, MAX_CHARS};
use super::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Resolved, Row};
use crate::digest::Hasher;
use crate::embeddings::Embeddings;
use crate::http::TRIES;
use crate::prompt::{Template, Truncation};
use crate::spec::{Endpoint, Readout};

use client::Client;
pub use error::{EndpointError, WrongAnswer};

/// Raised whenever the same answers give other vectors than before.
const ENGINE: u32 = 1;

/// A text that no server refuses: it tells a server that is broken from a text that is.
const PROBE: &str = "a";

/// How often the probe is sent: whoever plans wants to know soon.
const PROBE_TRIES: u32 = 2;

/// How soon a request to stop is noticed.
const NOTICE: Duration = Duration::from_millis(100);

/// A server's model as an encoder.
pub(super) struct Remote {
    card: Card,
    client: Client,
    endpoint: Endpoint,
    /// Width of the vectors.
    width: usize,
}

impl Remote {
    /// Asks the server for one vector, to learn their width, unless the spec says it.
    pub fn open(url: &str, endpoint: &Endpoint) -> Result<Self, EndpointError> {
        let client = Client::new(url, endpoint);
        let probe = || client.embed(&[PROBE.to_owned()], None, PROBE_TRIES, &mut pause(&AtomicBool::new(false)));
        let width = match endpoint.dimensions {
            Some(dimensions) => dimensions,
            None => probe()?.dim(),
        };
        let served = json!({
            "url": url,
            "name": endpoint.name,
            "revision": endpoint.revision,
            "dimensions": endpoint.dimensions,
            "width": width,
        });
        let about = json!({ "engine": format!("endpoint/{ENGINE}"), "served": served });
        let card = Card {
            digest: Hasher::new("encoder/1").json("about", &about).finish(),
            identity: Hasher::new("model/1").json("endpoint", &served).finish(),
            name: format!("{} at {url}", endpoint.name),
            about,
            device: "server".to_owned(),
            max_tokens: endpoint.max_chars.unwrap_or(MAX_CHARS),
            weights_bytes: 0,
            parameters: 0,
            blocks: None,
            commit: None,
            adapter_commit: None,
        };
        Ok(Self { card, client, endpoint: endpoint.clone(), width })
    }

    /// Embeds some rows. A text that the server refuses is a failed row; the error is one that other texts would meet too.
    fn batch(&self, rows: &[Row<'_>], batch: Range<usize>, stop: &AtomicBool) -> Result<Batch, EndpointError> {
        let mut vectors = Embeddings::new(self.width);
        let mut found = Batch::default();
        let mut todo = vec![batch];
        while let Some(part) = todo.pop() {
            let texts: Vec<String> = rows[part.clone()].iter().map(|row| characters::text(row.ids)).collect();
            match self.client.embed(&texts, Some(self.width), TRIES, &mut pause(stop)) {
                Ok(part_vectors) => {
                    part_vectors.rows().for_each(|vector| vectors.push(vector));
                    found.tokens += rows[part.clone()].iter().map(|row| row.ids.len() as u64).sum::<u64>();
                    found.rows.extend(part);
                }
                Err(error) if error.is_about_texts() && part.len() > 1 => {
                    let half = part.start + part.len() / 2;
                    todo.extend([half..part.end, part.start..half]);
                }
                Err(error) if error.is_about_texts() => found.failed.push((part.start, error.into())),
                Err(error) => return Err(error),
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        if found.rows.is_empty() && !stop.load(Ordering::Relaxed) {
            self.client.embed(&[PROBE.to_owned()], Some(self.width), PROBE_TRIES, &mut pause(stop))?;
        }
        found.embeddings = vec![vectors];
        Ok(found)
    }

    /// Hands out batches as they come; in between, empty ones ask whether to go on. Where they may not, what is in hand is
    /// waited for and handed out: it may have been paid for.
    fn hand_out(
        receiver: &Receiver<Result<Batch, EndpointError>>,
        readouts: usize,
        stop: &AtomicBool,
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError> {
        loop {
            let stopping = stop.load(Ordering::Relaxed);
            let mut batch = match receiver.recv_timeout(NOTICE) {
                Ok(Err(_)) | Err(RecvTimeoutError::Timeout) if stopping => continue,
                Ok(batch) => batch?,
                Err(RecvTimeoutError::Timeout) => Batch::default(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let question = batch.embeddings.is_empty();
            if let [vectors] = batch.embeddings.as_slice() {
                batch.embeddings = vec![vectors.clone(); readouts];
            }
            if emit(batch).is_break() {
                if !question && !stopping {
                    return Ok(());
                }
                stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Encoder for Remote {
    fn card(&self) -> &Card {
        &self.card
    }

    fn readout(&self, readout: &Readout) -> Result<Resolved, EmbedError> {
        let model = || self.card.name.clone();
        let refuse = |key, found| EmbedError::FinishedVectors { readout: readout.id.clone(), key, found, model: model() };
        characters::finished(readout, self.width, &self.card, refuse)
    }

    fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, EmbedError> {
        characters::prepare(template, text, truncate, &self.card)
    }

    fn encode(
        &self,
        rows: &[Row<'_>],
        readouts: &[Resolved],
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError> {
        if rows.is_empty() || readouts.is_empty() {
            return Ok(());
        }
        characters::check(rows, &self.card.name)?;
        let size = self.endpoint.batch.max(1);
        let workers = self.endpoint.concurrency.clamp(1, rows.len().div_ceil(size));
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = sync_channel(workers);
        let work = |sender: std::sync::mpsc::SyncSender<Result<Batch, EndpointError>>| {
            while !stop.load(Ordering::Relaxed) {
                let start = next.fetch_add(size, Ordering::Relaxed);
                if start >= rows.len() {
                    break;
                }
                let found = self.batch(rows, start..(start + size).min(rows.len()), &stop);
                let failed = found.is_err();
                // Nobody listens any more where the work was ended early.
                if sender.send(found).is_err() || failed {
                    break;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            let ended = Self::hand_out(&receiver, readouts.len(), &stop, emit);
            stop.store(true, Ordering::Relaxed);
            drop(receiver);
            ended
        })
    }

    fn piece(&self, id: u32) -> String {
        characters::text(&[id])
    }

    fn positions(&self, rows: &[Row<'_>]) -> u64 {
        rows.iter().map(|row| row.ids.len() as u64).sum()
    }

    /// Nothing is computed here; the answers to the requests under way are held, as text and as numbers.
    fn cost(&self, _: u64) -> Cost {
        const NUMBER: usize = 32;
        let held = self.endpoint.concurrency.saturating_mul(self.endpoint.batch).saturating_mul(self.width * NUMBER);
        Cost { flops: 0, peak_bytes: held as u64 }
    }
}

/// Waits unless asked to stop; whether to go on.
fn pause(stop: &AtomicBool) -> impl FnMut(Duration) -> bool + '_ {
    move |wait| {
        let until = Instant::now() + wait;
        while !stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(NOTICE));
        }
        false
    }
}
