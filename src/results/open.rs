//! Result files -> run record, with every contradiction an error that names file, column and row.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::recorder::check_samples;
use super::run_file::Tables;
use super::schema::{CELLS, CONFUSION, CUTS, PLACES, PREDICTIONS, SAMPLES};
use super::table::{Parts, Table};
use super::{
    CellRecord, Choices, Gold, Measured, MetricRow, Outcome, PairRow, Partner, Places, Provenance, ResultsError, RunRecord,
    SampleRow, SampleRows, SampleText, Scored, SliceRecord, check, cuts, run_file,
};
use crate::dataset::Kind;
use crate::spec::{PLAIN, TaskKind};
use crate::stats::{Estimate, Interval};

/// Rows that are read at a time: a table may be larger than what is made of it.
const ROWS: usize = 100_000;

impl RunRecord {
    /// Reads the results of a finished run from its folder alone.
    ///
    /// # Errors
    /// A folder without a finished run, another [`super::FORMAT`], a file whose bytes are not those that the run wrote, and
    /// every value that contradicts another: see [`ResultsError`].
    pub fn open(dir: &Path) -> Result<Self, ResultsError> {
        let (provenance, tables) = run_file::read(dir)?;
        let samples = read_samples(dir, &provenance, &tables)?;
        check_samples(&provenance, &samples)?;
        let table = Table::open(dir, &CELLS, &tables)?;
        let mut cells = read_cells(&table, &provenance)?;
        for part in Parts::open(dir, &PREDICTIONS, &tables, None, ROWS)? {
            read_predictions(&part?, &provenance, &samples, &mut cells)?;
        }
        read_confusion(&Table::open(dir, &CONFUSION, &tables)?, &provenance, &mut cells)?;
        for cell in &cells {
            let texts = samples.get(&cell.choices.slice).map_or(&[][..], |texts| texts.as_slice());
            check::cell(cell, &provenance, texts).map_err(|source| ResultsError::Contradiction {
                path: table.path.clone(),
                cell: cell.id.clone(),
                source,
            })?;
        }
        // Runs of older programs have no places.
        let places = if tables.digests.contains_key(PLACES.file) {
            read_places(&Table::open(dir, &PLACES, &tables)?, &samples, &cells)?
        } else {
            Vec::new()
        };
        // Nor did they keep what was cut.
        let mut known = tables.digests.contains_key(CUTS.file).then(Vec::new);
        if let Some(known) = &mut known {
            for part in Parts::open(dir, &CUTS, &tables, None, ROWS)? {
                cuts::read(&part?, &provenance, &samples, known)?;
            }
        }
        Ok(Self { provenance, samples, cells, places, cuts: known })
    }
}

/// The samples of every slice.
pub(super) fn read_samples(
    dir: &Path,
    provenance: &Provenance,
    tables: &Tables,
) -> Result<BTreeMap<String, Arc<Vec<SampleText>>>, ResultsError> {
    let mut samples: BTreeMap<String, Vec<SampleText>> =
        provenance.slices.iter().map(|slice| (slice.id.clone(), Vec::new())).collect();
    for part in Parts::open(dir, &SAMPLES, tables, None, ROWS)? {
        add_samples(&part?, provenance, &mut samples)?;
    }
    Ok(samples.into_iter().map(|(slice, samples)| (slice, Arc::new(samples))).collect())
}

fn add_samples(
    table: &Table,
    provenance: &Provenance,
    samples: &mut BTreeMap<String, Vec<SampleText>>,
) -> Result<(), ResultsError> {
    let (slices, indices) = (table.names("slice")?, table.indices("index")?);
    let (ids, texts) = (table.names("sample")?, table.names("text")?);
    let (golds, scores, partners) = (table.texts("gold")?, table.numbers("gold_score")?, table.texts("partner")?);
    let (groups, subsets) = (table.texts("group")?, table.texts("subset")?);
    for row in 0..table.height() {
        let slice = provenance.slice(slices[row]);
        let slice = slice.ok_or_else(|| table.value("slice", row, quoted(slices[row]), "a slice of run.json"))?;
        let gold = gold(table, row, golds[row], scores[row], slice)?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let of_pair = |text: &str| Partner { text: text.to_owned(), group: owned(groups[row]), subset: owned(subsets[row]) };
        let partner = partners[row].map(of_pair).map(Box::new);
        let of_slice = samples.entry(slice.id.clone()).or_default();
        expect_index(table, row, indices[row], of_slice.len())?;
        of_slice.push(SampleText { id: ids[row].to_owned(), text: texts[row].to_owned(), gold, partner });
    }
    Ok(())
}

/// What is right about a sample: a label, or a score where samples have those; nothing of judged queries and their documents.
fn gold(table: &Table, row: usize, name: Option<&str>, score: Option<f64>, slice: &SliceRecord) -> Result<Gold, ResultsError> {
    match (slice.kind, score, name) {
        (Kind::Retrieval | Kind::Documents, ..) => Ok(Gold::Unlabelled),
        (Kind::Sts, Some(score), _) => Ok(Gold::Score(score)),
        (Kind::Sts, None, _) => Err(table.value("gold_score", row, "null", "the score of a pair")),
        (_, _, Some(name)) => label(table, "gold", row, name, slice).map(Gold::Label),
        (_, _, None) => Err(table.value("gold", row, "null", format!("a label of slice `{}`", slice.id))),
    }
}

/// The cells and their metrics; samples and confusion counts are still empty.
pub(super) fn read_cells(table: &Table, provenance: &Provenance) -> Result<Vec<CellRecord>, ResultsError> {
    let (ids, status) = (table.names("cell")?, table.names("status")?);
    let (reasons, metrics) = (table.texts("reason")?, Metrics::of(table)?);
    let all_choices = read_choices(table, provenance)?;
    let mut cells: Vec<CellRecord> = Vec::new();
    for (row, choices) in all_choices.into_iter().enumerate() {
        let id = ids[row];
        if cells.last().is_none_or(|cell| cell.id != id) {
            if cells.iter().any(|cell| cell.id == id) {
                return Err(table.value("cell", row, format!("{id} once more"), "its rows one after the other"));
            }
            let outcome = match (status[row], reasons[row]) {
                ("scored", _) => empty(provenance, &choices),
                ("failed", Some(reason)) => Outcome::Failed { reason: reason.to_owned() },
                ("failed", None) => return Err(table.value("reason", row, "null", "the reason of the failure")),
                (other, _) => return Err(table.value("status", row, quoted(other), "`scored` or `failed`")),
            };
            cells.push(CellRecord { id: id.to_owned(), choices: choices.clone(), outcome });
        }
        let Some(cell) = cells.last_mut() else { continue };
        if cell.choices != choices || cell.outcome.status() != status[row] {
            return Err(table.value("cell", row, format!("{id} with other choices"), "the choices of its first row"));
        }
        match (&mut cell.outcome, metrics.row(row, reasons[row])?) {
            (Outcome::Scored(Scored { metrics, .. }) | Outcome::Measured(Measured { metrics, .. }), metric) => {
                metrics.extend(metric);
            }
            (Outcome::Failed { .. }, None) => {}
            (Outcome::Failed { .. }, Some(metric)) => {
                return Err(table.value("metric", row, quoted(&metric.name), "null, since the cell failed"));
            }
        }
    }
    Ok(cells)
}

fn read_choices(table: &Table, provenance: &Provenance) -> Result<Vec<Choices>, ResultsError> {
    let (models, prompts) = (table.names("model")?, table.names("prompt")?);
    let (readouts, transforms) = (table.names("readout")?, table.texts("transform")?);
    let (slices, labels, calibrations) = (table.names("slice")?, table.names("labels")?, table.names("calibration")?);
    let tasks = table.texts("task")?;
    let task = |row: usize| match tasks[row] {
        Some(name) => name.parse::<TaskKind>().map_err(|unknown| table.value("task", row, quoted(name), unknown.help)),
        None => Ok(provenance.slice(slices[row]).map_or_else(TaskKind::default, |slice| slice.task(None))),
    };
    let choices = |row: usize| {
        Ok(Choices {
            model: models[row].to_owned(),
            prompt: prompts[row].to_owned(),
            readout: readouts[row].to_owned(),
            transform: transforms[row].unwrap_or(PLAIN).to_owned(),
            slice: slices[row].to_owned(),
            task: task(row)?,
            labels: labels[row].to_owned(),
            calibration: calibrations[row].to_owned(),
        })
    };
    (0..table.height()).map(choices).collect()
}

fn empty(provenance: &Provenance, choices: &Choices) -> Outcome {
    if !choices.task.labels_texts() {
        return Outcome::Measured(Measured { metrics: Vec::new(), samples: Vec::new(), scores: Vec::new() });
    }
    let labels = provenance.slice(&choices.slice).map_or(0, |slice| slice.labels.len());
    let confusion = vec![0; labels * labels];
    Outcome::Scored(Scored { metrics: Vec::new(), samples: SampleRows::default(), scores: Vec::new(), confusion })
}

/// The columns that hold metrics.
struct Metrics<'a> {
    table: &'a Table,
    names: Vec<Option<&'a str>>,
    labels: Vec<Option<&'a str>>,
    values: Vec<Option<f64>>,
    lows: Vec<Option<f64>>,
    highs: Vec<Option<f64>>,
    counts: Vec<Option<usize>>,
}

impl<'a> Metrics<'a> {
    fn of(table: &'a Table) -> Result<Self, ResultsError> {
        Ok(Self {
            table,
            names: table.texts("metric")?,
            labels: table.texts("label")?,
            values: table.numbers("value")?,
            lows: table.numbers("low")?,
            highs: table.numbers("high")?,
            counts: table.counts("n")?,
        })
    }

    /// The metric of one row; None where the row has none.
    fn row(&self, row: usize, reason: Option<&str>) -> Result<Option<MetricRow>, ResultsError> {
        let Some(name) = self.names[row] else { return Ok(None) };
        let interval = match (self.lows[row], self.highs[row]) {
            (Some(low), Some(high)) => Some(Interval { low, high }),
            (None, None) => None,
            (low, _) => {
                let column = if low.is_none() { "low" } else { "high" };
                return Err(self.table.value(column, row, "null", "both ends of the interval, or none"));
            }
        };
        let estimate = match (self.values[row], self.counts[row]) {
            (Some(value), Some(n)) => Some(Estimate { value, interval, n }),
            (None, None) => None,
            (None, Some(_)) => return Err(self.table.value("value", row, "null", "a value, since n is given")),
            (Some(_), None) => return Err(self.table.value("n", row, "null", "a count, since a value is given")),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Some(MetricRow { name: name.to_owned(), label: owned(self.labels[row]), estimate, reason: owned(reason) }))
    }
}

fn read_predictions(
    table: &Table,
    provenance: &Provenance,
    samples: &BTreeMap<String, Arc<Vec<SampleText>>>,
    cells: &mut [CellRecord],
) -> Result<(), ResultsError> {
    let (ids, names, indices) = (table.names("cell")?, table.names("sample")?, table.indices("index")?);
    let (tokens, cuts, lists) = (table.indices("tokens")?, table.indices("cut")?, table.lists("scores")?);
    let answers = Answers::of(table)?;
    let mut rows = Rows::new(cells);
    for row in 0..table.height() {
        let (slice, cell) = rows.of(table, row, ids[row], provenance)?;
        let before = match &*cell {
            Outcome::Scored(scored) => scored.samples.len(),
            Outcome::Measured(paired) => paired.samples.len(),
            Outcome::Failed { .. } => continue,
        };
        expect_index(table, row, indices[row], before)?;
        let text = samples.get(&slice.id).and_then(|texts| texts.get(indices[row]));
        if text.is_none_or(|text| text.id != names[row]) {
            let wanted = text.map_or("no further sample", |text| &text.id);
            return Err(table.value("sample", row, quoted(names[row]), quoted(wanted)));
        }
        let scores = lists.row(row).ok_or_else(|| table.value("scores", row, "a broken list", "scores"))?;
        match cell {
            Outcome::Measured(paired) => {
                paired.scores.extend_from_slice(scores);
                paired.samples.push(PairRow { tokens: tokens[row], cut: cuts[row] });
            }
            Outcome::Scored(scored) => {
                if scores.len() != slice.labels.len() {
                    let wanted = format!("one for each of {} labels", slice.labels.len());
                    return Err(table.value("scores", row, format!("{} scores", scores.len()), wanted));
                }
                scored.scores.extend_from_slice(scores);
                scored.samples.push(SampleRow { tokens: tokens[row], cut: cuts[row], ..answers.row(row, slice)? });
            }
            Outcome::Failed { .. } => {}
        }
    }
    Ok(())
}

/// The columns that hold what was said of labels: null for pairs.
struct Answers<'a> {
    table: &'a Table,
    golds: Vec<Option<&'a str>>,
    predictions: Vec<Option<&'a str>>,
    ranks: Vec<Option<usize>>,
    margins: Vec<Option<f64>>,
    gold_margins: Vec<Option<f64>>,
    tied: Vec<Option<bool>>,
}

impl<'a> Answers<'a> {
    fn of(table: &'a Table) -> Result<Self, ResultsError> {
        Ok(Self {
            table,
            golds: table.texts("gold")?,
            predictions: table.texts("predicted")?,
            ranks: table.counts("gold_rank")?,
            margins: table.numbers("margin")?,
            gold_margins: table.numbers("gold_margin")?,
            tied: table.flags("tied")?,
        })
    }

    /// What was said of one sample; its tokens are in other columns.
    fn row(&self, row: usize, slice: &SliceRecord) -> Result<SampleRow, ResultsError> {
        let lost = |column| self.table.value(column, row, "null", "a value, since the sample has a label");
        let gold = self.golds[row].ok_or_else(|| lost("gold"))?;
        let predicted = self.predictions[row].ok_or_else(|| lost("predicted"))?;
        Ok(SampleRow {
            gold: label(self.table, "gold", row, gold, slice)?,
            predicted: label(self.table, "predicted", row, predicted, slice)?,
            gold_rank: self.ranks[row].ok_or_else(|| lost("gold_rank"))?,
            margin: self.margins[row],
            gold_margin: self.gold_margins[row],
            tied: self.tied[row].ok_or_else(|| lost("tied"))?,
            tokens: 0,
            cut: 0,
        })
    }
}

fn read_confusion(table: &Table, provenance: &Provenance, cells: &mut [CellRecord]) -> Result<(), ResultsError> {
    let (ids, counts) = (table.names("cell")?, table.indices("count")?);
    let (golds, predictions) = (table.names("gold")?, table.names("predicted")?);
    let mut rows = Rows::new(cells);
    for row in 0..table.height() {
        let (slice, outcome) = rows.of(table, row, ids[row], provenance)?;
        let Outcome::Scored(scored) = outcome else {
            return Err(table.value("cell", row, quoted(ids[row]), "a cell that scores labels"));
        };
        let gold = label(table, "gold", row, golds[row], slice)?;
        let predicted = label(table, "predicted", row, predictions[row], slice)?;
        let count = &mut scored.confusion[gold * slice.labels.len() + predicted];
        if *count > 0 {
            let pair = format!("{} and {} once more", golds[row], predictions[row]);
            return Err(table.value("predicted", row, pair, "each pair of labels once"));
        }
        *count = counts[row] as u64;
    }
    Ok(())
}

fn read_places(
    table: &Table,
    samples: &BTreeMap<String, Arc<Vec<SampleText>>>,
    cells: &[CellRecord],
) -> Result<Vec<Places>, ResultsError> {
    let (ids, indices) = (table.names("cell")?, table.indices("index")?);
    let numbers = |column| Ok::<_, ResultsError>(table.numbers(column)?.into_iter().flatten().collect::<Vec<f64>>());
    let (xs, ys, x_shares, y_shares) = (numbers("x")?, numbers("y")?, numbers("x_share")?, numbers("y_share")?);
    let mut planes: Vec<Places> = Vec::new();
    for row in 0..table.height() {
        let cell = cells.iter().find(|cell| cell.id == ids[row]);
        let texts = cell.and_then(|cell| samples.get(&cell.choices.slice)).map_or(0, |texts| texts.len());
        if indices[row] >= texts {
            return Err(table.value("index", row, indices[row].to_string(), "a sample of a cell of cells.parquet"));
        }
        if planes.last().is_none_or(|plane| plane.cell != ids[row]) {
            let shares = [x_shares[row], y_shares[row]];
            planes.push(Places { cell: ids[row].to_owned(), indices: Vec::new(), places: Vec::new(), shares });
        }
        if let Some(plane) = planes.last_mut() {
            plane.indices.push(indices[row]);
            plane.places.push([xs[row], ys[row]]);
        }
    }
    Ok(planes)
}

/// Finds the cell that a row is about.
struct Rows<'a> {
    cells: &'a mut [CellRecord],
    by_id: BTreeMap<String, usize>,
}

impl<'a> Rows<'a> {
    fn new(cells: &'a mut [CellRecord]) -> Self {
        let by_id = cells.iter().enumerate().map(|(i, cell)| (cell.id.clone(), i)).collect();
        Self { cells, by_id }
    }

    fn of<'p>(
        &mut self,
        table: &Table,
        row: usize,
        id: &str,
        provenance: &'p Provenance,
    ) -> Result<(&'p SliceRecord, &mut Outcome), ResultsError> {
        let cell = self.by_id.get(id).and_then(|&i| self.cells.get_mut(i));
        let unknown = || table.value("cell", row, quoted(id), "a scored cell of cells.parquet, on a slice of run.json");
        let Some(CellRecord { choices, outcome, .. }) = cell.filter(|cell| cell.failure().is_none()) else {
            return Err(unknown());
        };
        Ok((provenance.slice(&choices.slice).ok_or_else(unknown)?, outcome))
    }
}

/// The index of a label's name in its slice.
fn label(table: &Table, column: &'static str, row: usize, name: &str, slice: &SliceRecord) -> Result<usize, ResultsError> {
    let index = slice.labels.iter().position(|label| label == name);
    index.ok_or_else(|| table.value(column, row, quoted(name), format!("a label of slice `{}`", slice.id)))
}

pub(super) fn expect_index(table: &Table, row: usize, found: usize, wanted: usize) -> Result<(), ResultsError> {
    if found == wanted { Ok(()) } else { Err(table.value("index", row, found.to_string(), wanted.to_string())) }
}

pub(super) fn quoted(text: &str) -> String {
    format!("`{text}`")
}
