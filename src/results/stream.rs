//! Result files -> outcomes, with the predictions read piece by piece and without what no comparison asks for: a run may hold
//! many millions of them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::open::{expect_index, quoted, read_cells, read_samples};
use super::recorder::check_samples;
use super::schema::{CELLS, PREDICTIONS};
use super::table::{Parts, Table};
use super::{
    Answers, CellOutcomes, CellRecord, Inconsistency, Outcome, Outcomes, ResultsError, SampleText, SliceRecord, run_file,
};
use crate::spec::TaskKind;

/// Predictions read at a time.
const ROWS: usize = 500_000;

const OF_LABELS: &[&str] = &["cell", "index", "predicted", "gold_margin"];
const OF_PAIRS: &[&str] = &["cell", "index", "predicted", "gold_margin", "scores"];

/// Reads the outcomes of a finished run.
pub(super) fn read(dir: &Path) -> Result<Outcomes, ResultsError> {
    let (provenance, tables) = run_file::read(dir)?;
    let samples = read_samples(dir, &provenance, &tables)?;
    check_samples(&provenance, &samples)?;
    let records = read_cells(&Table::open(dir, &CELLS, &tables)?, &provenance)?;
    let with_numbers = records.iter().any(|cell| cell.measured().is_some());
    let columns = if with_numbers { OF_PAIRS } else { OF_LABELS };
    let mut cells = records.iter().map(|cell| Reading::of(cell, &provenance.slices, &samples)).collect::<Vec<_>>();
    let places: HashMap<&str, usize> = records.iter().enumerate().map(|(i, cell)| (cell.id.as_str(), i)).collect();
    let parts = Parts::open(dir, &PREDICTIONS, &tables, Some(columns), ROWS)?;
    let path = parts.path.clone();
    for part in parts {
        read_part(&part?, &places, &mut cells)?;
    }
    let finished = cells.into_iter().zip(&records).map(|(cell, record)| {
        let contradiction = |source| ResultsError::Contradiction { path: path.clone(), cell: record.id.clone(), source };
        cell.finish(record).map_err(contradiction)
    });
    let cells = finished.collect::<Result<_, _>>()?;
    Ok(Outcomes::with(provenance, samples, cells))
}

/// What was read of a cell so far.
struct Reading<'a> {
    slice: Option<&'a SliceRecord>,
    labels: HashMap<&'a str, usize>,
    texts: &'a [SampleText],
    answers: Read,
}

enum Read {
    Labels {
        predicted: Vec<usize>,
        margins: Vec<Option<f64>>,
    },
    /// The number that each sample is compared by.
    Measured {
        task: TaskKind,
        numbers: Vec<Option<f64>>,
    },
    /// A failed cell has none.
    Nothing,
}

impl<'a> Reading<'a> {
    fn of(cell: &CellRecord, slices: &'a [SliceRecord], samples: &'a BTreeMap<String, Arc<Vec<SampleText>>>) -> Self {
        let slice = slices.iter().find(|slice| slice.id == cell.choices.slice);
        let labels =
            slice.into_iter().flat_map(|slice| &slice.labels).enumerate().map(|(i, label)| (label.as_str(), i)).collect();
        let texts = samples.get(&cell.choices.slice).map_or(&[][..], |texts| texts.as_slice());
        let all = texts.len();
        let answers = match cell.outcome {
            Outcome::Failed { .. } => Read::Nothing,
            Outcome::Scored(_) => Read::Labels { predicted: Vec::with_capacity(all), margins: Vec::with_capacity(all) },
            Outcome::Measured(_) => Read::Measured { task: cell.choices.task, numbers: Vec::with_capacity(all) },
        };
        Self { slice, labels, texts, answers }
    }

    fn len(&self) -> usize {
        match &self.answers {
            Read::Labels { predicted, .. } => predicted.len(),
            Read::Measured { numbers, .. } => numbers.len(),
            Read::Nothing => 0,
        }
    }

    fn finish(self, record: &CellRecord) -> Result<CellOutcomes, Inconsistency> {
        let (found, wanted) = (self.len(), self.texts.len());
        if record.failure().is_none() && found != wanted {
            return Err(Inconsistency::SampleCount { found, wanted });
        }
        let threshold = record.estimate("accuracy_threshold").map(|threshold| threshold.value);
        let known = match self.answers {
            Read::Labels { predicted, margins } => Ok((Answers::Labels(predicted), margins)),
            Read::Measured { task, numbers } => Ok(Answers::measured(task, numbers, threshold, self.texts)),
            Read::Nothing => Err(record.failure().unwrap_or_default().to_owned()),
        };
        Ok(CellOutcomes::with(record.id.clone(), record.choices.clone(), known))
    }
}

fn read_part(part: &Table, places: &HashMap<&str, usize>, cells: &mut [Reading<'_>]) -> Result<(), ResultsError> {
    let (ids, indices) = (part.names("cell")?, part.indices("index")?);
    let (predictions, margins) = (part.texts("predicted")?, part.numbers("gold_margin")?);
    let with_numbers = cells.iter().any(|cell| matches!(cell.answers, Read::Measured { .. }));
    let scores = if with_numbers { Some(part.lists("scores")?) } else { None };
    let mut last = None;
    for row in 0..part.height() {
        // Rows of a cell stand together.
        let place = match last {
            Some((id, place)) if id == ids[row] => Some(place),
            _ => places.get(ids[row]).copied(),
        };
        last = place.map(|place| (ids[row], place));
        let cell = place.and_then(|place| cells.get_mut(place)).filter(|cell| !matches!(cell.answers, Read::Nothing));
        let Some(cell) = cell else {
            return Err(part.value("cell", row, quoted(ids[row]), "a scored cell of cells.parquet, on a slice of run.json"));
        };
        expect_index(part, row, indices[row], cell.len())?;
        match &mut cell.answers {
            Read::Labels { predicted, margins: kept } => {
                let named = predictions[row].ok_or_else(|| part.value("predicted", row, "null", "a label"))?;
                let label = cell.labels.get(named).copied().ok_or_else(|| {
                    let slice = cell.slice.map_or("", |slice| slice.id.as_str());
                    part.value("predicted", row, quoted(named), format!("a label of slice `{slice}`"))
                })?;
                predicted.push(label);
                kept.push(margins[row]);
            }
            Read::Measured { task, numbers } => {
                let own =
                    scores.as_ref().and_then(|scores| scores.row(row)).filter(|own| own.first().is_some_and(|n| n.is_finite()));
                let own = own.ok_or_else(|| part.value("scores", row, "no finite number", "a number of the sample"))?;
                numbers.push(Answers::compared(*task, own));
            }
            Read::Nothing => {}
        }
    }
    Ok(())
}
