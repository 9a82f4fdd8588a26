//! Run record -> Parquet tables, byte for byte the same for the same record.

use std::fs::File;
use std::ops::Range;

use polars::prelude::*;

use super::schema::Layout;
use super::{CellRecord, MetricRow, Outcome, RunRecord, SampleRow, SampleText, Scored};

/// Samples that one row group of the predictions holds at least, unless there are no more.
const GROUP: usize = 50_000;

/// The frames of a table, made as they are written: a table may be larger than what it is made of.
pub(super) type Frames<'a> = Box<dyn Iterator<Item = PolarsResult<DataFrame>> + 'a>;

/// Writes frames one after the other, each as a row group. Frames without rows are skipped.
pub(super) fn write(file: &mut File, layout: &Layout, frames: Frames<'_>) -> PolarsResult<()> {
    let schema = layout.columns.iter().map(|column| Field::new(column.name.into(), column.kind.dtype())).collect();
    let mut writer = ParquetWriter::new(file).with_compression(compression(layout)).batched(&schema)?;
    for frame in frames {
        writer.write_batch(&frame?)?;
    }
    writer.finish().map(|_| ())
}

/// Scores hardly compress, and there may be a hundred million: trying hard would take longer than scoring.
fn compression(layout: &Layout) -> ParquetCompression {
    let scores = layout.columns.iter().any(|column| column.name == "scores");
    if scores { ParquetCompression::Lz4Raw } else { ParquetCompression::Zstd(None) }
}

/// One row per cell and metric; a cell without metrics has one row all the same.
pub(super) fn cells(record: &RunRecord) -> Frames<'_> {
    let rows: Vec<(&CellRecord, Option<&MetricRow>)> = record.cells.iter().flat_map(rows_of).collect();
    let of_cell = |get: fn(&CellRecord) -> &str| -> Vec<&str> { rows.iter().map(|(cell, _)| get(cell)).collect() };
    let text = |get: fn(&MetricRow) -> Option<&str>| -> Vec<Option<&str>> {
        rows.iter().map(|(_, metric)| get(metric.as_ref()?)).collect()
    };
    let number = |get: fn(&MetricRow) -> Option<f64>| -> Vec<Option<f64>> {
        rows.iter().map(|(_, metric)| get(metric.as_ref()?)).collect()
    };
    let reasons: Vec<Option<&str>> = rows.iter().map(|(cell, metric)| reason(cell, *metric)).collect();
    let counts: Vec<Option<u64>> = rows.iter().map(|(_, metric)| Some(metric.as_ref()?.estimate?.n as u64)).collect();
    frame(vec![
        Column::new("cell".into(), of_cell(|cell| &cell.id)),
        Column::new("model".into(), of_cell(|cell| &cell.choices.model)),
        Column::new("prompt".into(), of_cell(|cell| &cell.choices.prompt)),
        Column::new("readout".into(), of_cell(|cell| &cell.choices.readout)),
        Column::new("slice".into(), of_cell(|cell| &cell.choices.slice)),
        Column::new("labels".into(), of_cell(|cell| &cell.choices.labels)),
        Column::new("calibration".into(), of_cell(|cell| &cell.choices.calibration)),
        Column::new("status".into(), of_cell(|cell| cell.outcome.status())),
        Column::new("reason".into(), reasons),
        Column::new("metric".into(), text(|metric| Some(&metric.name))),
        Column::new("label".into(), text(|metric| metric.label.as_deref())),
        Column::new("value".into(), number(|metric| Some(metric.estimate?.value))),
        Column::new("low".into(), number(|metric| Some(metric.estimate?.interval?.low))),
        Column::new("high".into(), number(|metric| Some(metric.estimate?.interval?.high))),
        Column::new("n".into(), counts),
    ])
}

fn rows_of(cell: &CellRecord) -> Vec<(&CellRecord, Option<&MetricRow>)> {
    match cell.scored() {
        Some(scored) if !scored.metrics.is_empty() => scored.metrics.iter().map(|metric| (cell, Some(metric))).collect(),
        _ => vec![(cell, None)],
    }
}

fn reason<'a>(cell: &'a CellRecord, metric: Option<&'a MetricRow>) -> Option<&'a str> {
    match &cell.outcome {
        Outcome::Failed { reason } => Some(reason),
        Outcome::Scored(_) => metric?.reason.as_deref(),
    }
}

/// One row per cell and sample, in as many frames as keep each of a moderate size: whole cells that are small together, and
/// parts of cells that are large.
pub(super) fn predictions(record: &RunRecord) -> Frames<'_> {
    let mut groups = Vec::new();
    let (mut group, mut rows) = (Vec::new(), 0);
    for (view, samples) in scored_cells(record).flat_map(parts) {
        rows += samples.len();
        group.push((view, samples));
        if rows >= GROUP {
            groups.push(std::mem::take(&mut group));
            rows = 0;
        }
    }
    groups.push(group);
    Box::new(groups.into_iter().map(|group| {
        let rows: Vec<Row<'_>> =
            group.into_iter().flat_map(|(view, samples)| samples.map(move |index| view.row(index))).collect();
        prediction_frame(&rows)
    }))
}

/// The samples of a cell, cut into groups if there are more than one takes.
fn parts(view: View<'_>) -> impl Iterator<Item = (View<'_>, Range<usize>)> {
    let count = view.scored.samples.len().min(view.texts.len());
    (0..count).step_by(GROUP).map(move |start| (view, start..count.min(start + GROUP)))
}

#[derive(Clone, Copy)]
struct View<'a> {
    cell: &'a CellRecord,
    scored: &'a Scored,
    labels: &'a [String],
    texts: &'a [SampleText],
}

struct Row<'a> {
    cell: &'a str,
    labels: &'a [String],
    index: usize,
    text: &'a SampleText,
    sample: &'a SampleRow,
    scores: &'a [f64],
}

impl<'a> View<'a> {
    fn row(self, index: usize) -> Row<'a> {
        let Self { cell, scored, labels, texts } = self;
        Row {
            cell: &cell.id,
            labels,
            index,
            text: &texts[index],
            sample: &scored.samples[index],
            scores: scored.scores_of(index),
        }
    }
}

fn scored_cells(record: &RunRecord) -> impl Iterator<Item = View<'_>> {
    record.cells.iter().filter_map(|cell| {
        let slice = &cell.choices.slice;
        let texts = record.samples.get(slice)?;
        Some(View { cell, scored: cell.scored()?, labels: &record.provenance.slice(slice)?.labels, texts })
    })
}

fn prediction_frame<'a>(rows: &[Row<'a>]) -> PolarsResult<DataFrame> {
    let text = |get: fn(&Row<'a>) -> &'a str| -> Vec<&str> { rows.iter().map(get).collect() };
    let count = |get: fn(&Row<'a>) -> usize| -> Vec<u64> { rows.iter().map(|row| get(row) as u64).collect() };
    let number = |get: fn(&SampleRow) -> Option<f64>| -> Vec<Option<f64>> { rows.iter().map(|row| get(row.sample)).collect() };
    let values = rows.iter().map(|row| row.scores.len()).sum();
    let mut scores = ListPrimitiveChunkedBuilder::<Float64Type>::new("scores".into(), rows.len(), values, DataType::Float64);
    for row in rows {
        scores.append_slice(row.scores);
    }
    DataFrame::new_infer_height(vec![
        Column::new("cell".into(), text(|row| row.cell)),
        Column::new("sample".into(), text(|row| &row.text.id)),
        Column::new("index".into(), count(|row| row.index)),
        Column::new("gold".into(), text(|row| &row.labels[row.sample.gold])),
        Column::new("predicted".into(), text(|row| &row.labels[row.sample.predicted])),
        Column::new("gold_rank".into(), count(|row| row.sample.gold_rank)),
        Column::new("margin".into(), number(|row| row.margin)),
        Column::new("gold_margin".into(), number(|row| row.gold_margin)),
        Column::new("tied".into(), rows.iter().map(|row| row.sample.tied).collect::<Vec<bool>>()),
        Column::new("tokens".into(), count(|row| row.sample.tokens)),
        Column::new("cut".into(), count(|row| row.sample.cut)),
        scores.finish().into_series().into_column(),
    ])
}

/// One row per cell and pair of labels that occurs.
pub(super) fn confusion(record: &RunRecord) -> Frames<'_> {
    let (mut cells, mut gold, mut predicted, mut counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for view in scored_cells(record) {
        let pairs = view.labels.iter().flat_map(|gold| view.labels.iter().map(move |predicted| (gold, predicted)));
        for ((g, p), &count) in pairs.zip(&view.scored.confusion).filter(|&(_, &count)| count > 0) {
            cells.push(view.cell.id.as_str());
            gold.push(g.as_str());
            predicted.push(p.as_str());
            counts.push(count);
        }
    }
    frame(vec![
        Column::new("cell".into(), cells),
        Column::new("gold".into(), gold),
        Column::new("predicted".into(), predicted),
        Column::new("count".into(), counts),
    ])
}

/// One row per slice and sample.
pub(super) fn samples(record: &RunRecord) -> Frames<'_> {
    let slices = record.provenance.slices.iter().filter_map(|slice| Some((slice, record.samples.get(&slice.id)?)));
    let rows: Vec<_> =
        slices.flat_map(|(slice, texts)| texts.iter().enumerate().map(move |(index, text)| (slice, index, text))).collect();
    frame(vec![
        Column::new("slice".into(), rows.iter().map(|(slice, ..)| slice.id.as_str()).collect::<Vec<_>>()),
        Column::new("index".into(), rows.iter().map(|&(_, index, _)| index as u64).collect::<Vec<_>>()),
        Column::new("sample".into(), rows.iter().map(|(.., text)| text.id.as_str()).collect::<Vec<_>>()),
        Column::new("text".into(), rows.iter().map(|(.., text)| text.text.as_str()).collect::<Vec<_>>()),
        Column::new("gold".into(), rows.iter().map(|(slice, _, text)| slice.labels[text.gold].as_str()).collect::<Vec<_>>()),
    ])
}

fn frame(columns: Vec<Column>) -> Frames<'static> {
    Box::new(std::iter::once(DataFrame::new_infer_height(columns)))
}
