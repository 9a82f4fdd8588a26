//! Cells of a run that has not finished: one file each, ignored unless it is whole and means the same today.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::atomic::Staged;
use super::{
    CellRecord, Choices, FORMAT, Measured, MetricRow, Outcome, Provenance, ResultsError, SampleText, Scored, check, samples,
};
use crate::digest::{Digest, Hasher};
use crate::stats::{Estimate, Interval};

const EXTENSION: &str = "cell";

/// Where the files of an unfinished run lie.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("partial")
}

/// How many cells lie there.
pub(super) fn count(dir: &Path) -> usize {
    let is_cell = |path: &Path| path.extension().is_some_and(|extension| extension == EXTENSION);
    fs::read_dir(folder(dir)).map_or(0, |entries| entries.flatten().filter(|entry| is_cell(&entry.path())).count())
}

/// Writes one cell: a line with the SHA-256 of the next one, a line of JSON with numbers as their bits, then its samples and
/// their scores as [`samples`] lays them out.
pub(super) fn write(dir: &Path, cell: &CellRecord, provenance: &Provenance) -> Result<(), ResultsError> {
    let path = file(dir, &cell.id).ok_or_else(|| ResultsError::CellId { id: cell.id.clone() })?;
    let outcome = match &cell.outcome {
        Outcome::Failed { reason } => StoredOutcome::Failed { reason: reason.clone() },
        Outcome::Scored(scored) => StoredOutcome::Scored {
            metrics: scored.metrics.iter().map(StoredMetric::from).collect(),
            samples: scored.samples.len(),
            confusion: scored.confusion.clone(),
        },
        Outcome::Measured(paired) => StoredOutcome::Measured {
            metrics: paired.metrics.iter().map(StoredMetric::from).collect(),
            samples: paired.samples.len(),
        },
    };
    let stored = Stored { key: key(&cell.id, &cell.choices, provenance), choices: cell.choices.clone(), outcome };
    let json = serde_json::to_string(&stored).map_err(|source| ResultsError::Encode { path: path.clone(), source })?;
    let text = format!("{}\n{json}\n", Digest::of_bytes(json.as_bytes()));
    let written = Staged::new(&folder(dir), path.clone(), |file| {
        let line = file.write_all(text.as_bytes());
        let written = line.and_then(|()| match &cell.outcome {
            Outcome::Scored(scored) => samples::write(scored, file),
            Outcome::Measured(paired) => samples::write_pairs(paired, file),
            Outcome::Failed { .. } => Ok(()),
        });
        written.map_err(ResultsError::io("write", path))
    });
    written?.publish()
}

/// Reads one cell back; None unless its file is whole, was written for this cell under the same choices, seed and
/// program, and agrees with its slice.
pub(super) fn read(
    dir: &Path,
    id: &str,
    provenance: &Provenance,
    samples: &BTreeMap<String, Arc<Vec<SampleText>>>,
) -> Option<CellRecord> {
    let mut file = BufReader::with_capacity(1 << 20, fs::File::open(file(dir, id)?).ok()?);
    let (digest, json) = (line(&mut file)?, line(&mut file)?);
    if Digest::parse(std::str::from_utf8(&digest).ok()?)? != Digest::of_bytes(&json) {
        return None;
    }
    let stored: Stored = serde_json::from_slice(&json).ok()?;
    if stored.key != key(id, &stored.choices, provenance) {
        return None;
    }
    let outcome = match stored.outcome {
        StoredOutcome::Failed { reason } => Outcome::Failed { reason },
        StoredOutcome::Scored { metrics, samples: count, confusion } => {
            let (samples, scores) = samples::read(&mut file, count)?;
            Outcome::Scored(Scored { metrics: metrics.into_iter().map(MetricRow::from).collect(), samples, scores, confusion })
        }
        StoredOutcome::Measured { metrics, samples: count } => {
            let (samples, scores) = samples::read_pairs(&mut file, count)?;
            Outcome::Measured(Measured { metrics: metrics.into_iter().map(MetricRow::from).collect(), samples, scores })
        }
    };
    let cell = CellRecord { id: id.to_owned(), choices: stored.choices, outcome };
    check::cell(&cell, provenance, samples.get(&cell.choices.slice)?).ok()?;
    Some(cell)
}

/// What comes before the next end of a line.
fn line(file: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).ok()?;
    line.pop_if(|last| *last == b'\n').map(|_| line)
}

fn file(dir: &Path, id: &str) -> Option<PathBuf> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| folder(dir).join(format!("{id}.{EXTENSION}")))
}

/// Digest of all that a cell's numbers depend on and that its id might not tell: what its choices' ids stand for in this
/// run, the seed, the program. Other cells of the plan are no part of it.
fn key(id: &str, choices: &Choices, provenance: &Provenance) -> Digest {
    Hasher::new("partial/3")
        .json("format", &FORMAT)
        .field("engine", &provenance.engine)
        .json("seed", &provenance.seed)
        .field("cell", id)
        .json("choices", choices)
        .json("model", &provenance.models.iter().find(|record| record.id == choices.model))
        .json("prompt", &provenance.prompts.iter().find(|record| record.id == choices.prompt))
        .json("readout", &provenance.readouts.iter().find(|record| record.id == choices.readout))
        .json("transform", &provenance.transforms.iter().find(|record| record.id == choices.transform))
        .json("slice", &provenance.slice(&choices.slice))
        .json("labels", &provenance.labels.iter().find(|record| record.id == choices.labels))
        .json("tasks", &provenance.tasks)
        .finish()
}

#[derive(Serialize, Deserialize)]
struct Stored {
    key: Digest,
    choices: Choices,
    outcome: StoredOutcome,
}

#[derive(Serialize, Deserialize)]
enum StoredOutcome {
    Failed { reason: String },
    Scored { metrics: Vec<StoredMetric>, samples: usize, confusion: Vec<u64> },
    Measured { metrics: Vec<StoredMetric>, samples: usize },
}

/// An f64 as its bits: decimal text may come back one unit in the last place off.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Bits(u64);

#[derive(Serialize, Deserialize)]
struct StoredMetric {
    name: String,
    label: Option<String>,
    estimate: Option<StoredEstimate>,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredEstimate {
    value: Bits,
    interval: Option<(Bits, Bits)>,
    n: usize,
}

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(Bits(bits): Bits) -> Self {
        Self::from_bits(bits)
    }
}

impl From<&MetricRow> for StoredMetric {
    fn from(row: &MetricRow) -> Self {
        let estimate = row.estimate.map(|Estimate { value, interval, n }| StoredEstimate {
            value: value.into(),
            interval: interval.map(|interval| (interval.low.into(), interval.high.into())),
            n,
        });
        Self { name: row.name.clone(), label: row.label.clone(), estimate, reason: row.reason.clone() }
    }
}

impl From<StoredMetric> for MetricRow {
    fn from(stored: StoredMetric) -> Self {
        let estimate = stored.estimate.map(|StoredEstimate { value, interval, n }| Estimate {
            value: value.into(),
            interval: interval.map(|(low, high)| Interval { low: low.into(), high: high.into() }),
            n,
        });
        Self { name: stored.name, label: stored.label, estimate, reason: stored.reason }
    }
}
