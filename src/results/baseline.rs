//! What a comparison needs of a run, and the baseline that keeps it: small enough for git, the same bytes for the same outcomes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Choices, FORMAT, Outcome, ResultsError, RunRecord, SampleText, SliceRecord, atomic, summary};
use crate::spec::Gate;

pub(super) const FILE: &str = "baseline.json";

/// Digits of a packed label.
const BASE: u32 = 36;

/// Which label every cell of a run gave every sample.
#[derive(Clone, Debug)]
pub struct Outcomes {
    pub name: String,
    /// Version of the program that made them.
    pub engine: String,
    pub gate: Option<Gate>,
    pub slices: Vec<SliceRecord>,
    /// Gold labels by slice, as indices into its labels.
    pub gold: BTreeMap<String, Vec<usize>>,
    /// Texts by slice; empty for a baseline, which keeps none.
    pub texts: BTreeMap<String, Vec<SampleText>>,
    /// In the order of the plan.
    pub cells: Vec<CellOutcomes>,
}

/// What one cell gave.
#[derive(Clone, Debug, PartialEq)]
pub struct CellOutcomes {
    pub id: String,
    pub choices: Choices,
    /// The label of each sample of the slice, or why there is none.
    pub predicted: Result<Vec<usize>, String>,
    /// Gold score minus the best other score; empty for a baseline: margins differ in their last digits between processors.
    pub gold_margins: Vec<Option<f64>>,
}

impl Outcomes {
    /// Reads a baseline, or the results of a finished run.
    ///
    /// # Errors
    /// A folder with neither, or files that contradict themselves.
    pub fn open(dir: &Path) -> Result<Self, ResultsError> {
        if dir.join(FILE).is_file() { read(&dir.join(FILE)) } else { RunRecord::open(dir).map(Self::of) }
    }

    /// The outcomes of a run.
    pub fn of(run: RunRecord) -> Self {
        let gold = |texts: &Vec<SampleText>| texts.iter().map(|text| text.gold).collect();
        let cells = run.cells.into_iter().map(|cell| {
            let (predicted, gold_margins) = match cell.outcome {
                Outcome::Failed { reason } => (Err(reason), Vec::new()),
                Outcome::Scored(scored) => {
                    let rows = scored.samples.iter();
                    let (labels, margins) = rows.map(|row| (row.predicted, row.gold_margin)).unzip();
                    (Ok(labels), margins)
                }
            };
            CellOutcomes { id: cell.id, choices: cell.choices, predicted, gold_margins }
        });
        Self {
            cells: cells.collect(),
            name: run.provenance.name,
            engine: run.provenance.engine,
            gate: run.provenance.gate,
            slices: run.provenance.slices,
            gold: run.samples.iter().map(|(slice, texts)| (slice.clone(), gold(texts))).collect(),
            texts: run.samples,
        }
    }

    /// The slice with this id.
    pub fn slice(&self, id: &str) -> Option<&SliceRecord> {
        self.slices.iter().find(|slice| slice.id == id)
    }
}

/// Writes the baseline of a finished run into a folder: `baseline.json` with the outcomes, `summary.json` for people.
///
/// Determinism: the same outcomes give the same bytes, on every machine.
///
/// # Errors
/// Results that cannot be read, and a folder that cannot be written.
pub fn bless(run: &Path, out: &Path) -> Result<(), ResultsError> {
    let record = RunRecord::open(run)?;
    let encode = |path: &Path| {
        let path = path.to_owned();
        move |source| ResultsError::Encode { path, source }
    };
    let (path, headline) = (out.join(FILE), out.join(summary::FILE));
    let summary = summary::json(&record).map_err(encode(&headline))?;
    let stored = Stored::of(&Outcomes::of(record));
    let json = serde_json::to_string_pretty(&stored).map_err(encode(&path))? + "\n";
    std::fs::create_dir_all(out).map_err(ResultsError::io("create", out))?;
    atomic::replace(&headline, summary.as_bytes())?;
    atomic::replace(&path, json.as_bytes())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    name: String,
    engine: String,
    slices: Vec<SliceRecord>,
    /// Gold labels by slice: per sample, the label's index in base 36, all of one width.
    gold: BTreeMap<String, String>,
    cells: Vec<StoredCell>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCell {
    id: String,
    choices: Choices,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    failed: Option<String>,
    /// As `gold`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    predicted: Option<String>,
}

impl Stored {
    fn of(outcomes: &Outcomes) -> Self {
        let labels = |slice: &str| outcomes.slice(slice).map_or(0, |slice| slice.labels.len());
        let cell = |cell: &CellOutcomes| StoredCell {
            id: cell.id.clone(),
            choices: cell.choices.clone(),
            failed: cell.predicted.as_ref().err().cloned(),
            predicted: cell.predicted.as_ref().ok().map(|predicted| pack(predicted, labels(&cell.choices.slice))),
        };
        Self {
            format: FORMAT,
            name: outcomes.name.clone(),
            engine: outcomes.engine.clone(),
            slices: outcomes.slices.clone(),
            gold: outcomes.gold.iter().map(|(slice, gold)| (slice.clone(), pack(gold, labels(slice)))).collect(),
            cells: outcomes.cells.iter().map(cell).collect(),
        }
    }
}

fn read(path: &Path) -> Result<Outcomes, ResultsError> {
    let text = std::fs::read_to_string(path).map_err(ResultsError::io("read", path))?;
    let invalid = |source| ResultsError::Json { path: path.to_owned(), source };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(invalid)?;
    if value.get("format") != Some(&FORMAT.into()) {
        let found = value.get("format").map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(ResultsError::Version { path: path.to_owned(), found, wanted: FORMAT });
    }
    let stored: Stored = serde_json::from_value(value).map_err(invalid)?;
    let unpacked = |what: &str, packed: &str, slice: &str| {
        let record = stored.slices.iter().find(|record| record.id == slice);
        let labels = record.and_then(|record| unpack(packed, record.labels.len()).filter(|all| all.len() == record.samples));
        labels.ok_or_else(|| ResultsError::Baseline { path: path.to_owned(), what: what.to_owned(), slice: slice.to_owned() })
    };
    let gold = stored.gold.iter().map(|(slice, packed)| Ok((slice.clone(), unpacked("gold", packed, slice)?)));
    let gold = gold.collect::<Result<_, ResultsError>>()?;
    let cells = stored.cells.iter().map(|cell| {
        let predicted = match (&cell.predicted, &cell.failed) {
            (None, Some(reason)) => Err(reason.clone()),
            (packed, _) => Ok(unpacked(&cell.id, packed.as_deref().unwrap_or_default(), &cell.choices.slice)?),
        };
        Ok(CellOutcomes { id: cell.id.clone(), choices: cell.choices.clone(), predicted, gold_margins: Vec::new() })
    });
    let cells = cells.collect::<Result<_, ResultsError>>()?;
    let Stored { name, engine, slices, .. } = stored;
    Ok(Outcomes { name, engine, gate: None, slices, gold, texts: BTreeMap::new(), cells })
}

/// Digits that one of so many labels needs.
fn width(labels: usize) -> usize {
    let mut width = 1;
    let mut reach = BASE as usize;
    while reach < labels {
        reach = reach.saturating_mul(BASE as usize);
        width += 1;
    }
    width
}

fn pack(labels: &[usize], known: usize) -> String {
    let width = width(known);
    let mut text = String::with_capacity(labels.len() * width);
    for &label in labels {
        for place in (0..width).rev() {
            let digit = label / (BASE as usize).pow(u32::try_from(place).unwrap_or(0)) % BASE as usize;
            text.extend(u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, BASE)));
        }
    }
    text
}

/// None for what is no list of labels.
fn unpack(text: &str, known: usize) -> Option<Vec<usize>> {
    let width = width(known);
    let label = |digits: &[u8]| {
        let label = digits.iter().try_fold(0, |sum, &digit| Some(sum * BASE + char::from(digit).to_digit(BASE)?))?;
        usize::try_from(label).ok().filter(|&label| label < known)
    };
    text.len().is_multiple_of(width).then(|| text.as_bytes().chunks(width).map(label).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_pack_and_unpack() {
        for known in [1, 2, 36, 37, 1296, 1297] {
            let labels: Vec<usize> = (0..known).rev().collect();
            assert_eq!(unpack(&pack(&labels, known), known), Some(labels), "{known}");
        }
        assert_eq!(pack(&[0, 5, 10], 11), "05a");
        assert_eq!(unpack("05b", 11), None);
        assert_eq!(unpack("0 5", 11), None);
        assert_eq!(unpack("055", 37), None);
    }
}
