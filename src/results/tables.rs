//! Run record -> Parquet tables, byte for byte the same for the same record.

use std::borrow::Cow;
use std::fs::File;

use polars::io::parquet::write::get_encodings;
use polars::prelude::*;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::write::{
    CompressedPage, Compressor, DynIter, Encoding, Page, ParquetType, StatisticsOptions, Version, WriteOptions,
    array_to_columns,
};
use rayon::prelude::*;

use super::schema::Layout;
use super::{CellRecord, Gold, MetricRow, Outcome, Partner, Places, RunRecord, SampleRow, SampleText, SliceRecord};

/// Samples that one row group of the predictions holds at least, unless there are no more.
const GROUP: usize = 50_000;

/// The frames of a table, made as they are written: a table may be larger than what it is made of.
pub(super) type Frames<'a> = Box<dyn Iterator<Item = PolarsResult<DataFrame>> + 'a>;

/// Row groups that are encoded side by side. Few: each is in memory as a frame and as pages.
const AT_ONCE: usize = 2;

/// Writes frames one after the other, each as a row group. Frames without rows are skipped.
///
/// A writer of polars encodes row groups as it writes them, on one thread, and of scores it encodes value by value.
pub(super) fn write(file: &mut File, layout: &Layout, mut frames: Frames<'_>) -> PolarsResult<()> {
    let schema = layout.columns.iter().map(|column| Field::new(column.name.into(), column.kind.dtype())).collect::<Schema>();
    let encodings = get_encodings(&schema.to_arrow(CompatLevel::newest()));
    let compression = compression(layout);
    let mut writer = ParquetWriter::new(file).with_compression(compression).batched(&schema)?;
    let types = writer.parquet_schema().fields().to_vec();
    let statistics = StatisticsOptions::default();
    let options = WriteOptions { statistics, compression: compression.into(), version: Version::V1, data_page_size: None };
    let encoded = |frame: &DataFrame| -> PolarsResult<Vec<Vec<CompressedPage>>> {
        let columns = frame.columns().par_iter().zip(&types).zip(&encodings[..]);
        let columns = columns.map(|((column, kind), encodings)| pages(column, kind, encodings, options));
        Ok(columns.collect::<PolarsResult<Vec<_>>>()?.into_iter().flatten().collect())
    };
    loop {
        let some: Vec<DataFrame> = frames.by_ref().take(AT_ONCE).collect::<PolarsResult<_>>()?;
        if some.is_empty() {
            return writer.finish().map(|_| ());
        }
        let groups: Vec<_> = some.par_iter().map(encoded).collect::<PolarsResult<_>>()?;
        for (frame, group) in some.iter().zip(groups).filter(|(frame, _)| frame.height() > 0) {
            writer.write_row_group(frame.height() as u64, &group)?;
        }
    }
}

/// The pages of each leaf of a column.
fn pages(
    column: &Column,
    kind: &ParquetType,
    encodings: &[Encoding],
    options: WriteOptions,
) -> PolarsResult<Vec<Vec<CompressedPage>>> {
    let array = column.as_materialized_series().rechunk().to_arrow(0, CompatLevel::newest());
    let compressed = |pages: DynIter<'static, PolarsResult<Page>>| {
        let pages = pages.map(|page| page.map_err(|error| ParquetError::FeatureNotSupported(error.to_string())));
        Ok(Compressor::new_from_vec(pages, options.compression, Vec::new()).collect::<Result<_, ParquetError>>()?)
    };
    array_to_columns(array, kind.clone(), options, encodings)?.into_iter().map(compressed).collect()
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
        Column::new("transform".into(), of_cell(|cell| &cell.choices.transform)),
        Column::new("slice".into(), of_cell(|cell| &cell.choices.slice)),
        Column::new("task".into(), of_cell(|cell| cell.choices.task.name())),
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
    match cell.metrics() {
        [] => vec![(cell, None)],
        metrics => metrics.iter().map(|metric| (cell, Some(metric))).collect(),
    }
}

fn reason<'a>(cell: &'a CellRecord, metric: Option<&'a MetricRow>) -> Option<&'a str> {
    match &cell.outcome {
        Outcome::Failed { reason } => Some(reason),
        Outcome::Scored(_) | Outcome::Measured(_) => metric?.reason.as_deref(),
    }
}

/// One row per cell and sample, in frames of a moderate size: whole cells that are small together, and parts of cells that are
/// large. `cells` are those of the record, each with its samples.
pub(super) fn predictions<'a>(
    record: &'a RunRecord,
    mut cells: impl Iterator<Item = PolarsResult<Cow<'a, CellRecord>>> + 'a,
) -> Frames<'a> {
    let mut batch = Batch::default();
    Box::new(std::iter::from_fn(move || {
        if batch.written == batch.rows {
            // Those that are written go before others are read back.
            batch = Batch::default();
            match Batch::next(record, &mut cells) {
                Ok(next) => batch = next,
                Err(error) => return Some(Err(error)),
            }
        }
        (batch.rows > 0).then(|| batch.frame(record))
    }))
}

/// Cells whose samples are written together.
#[derive(Default)]
struct Batch<'a> {
    cells: Vec<Cow<'a, CellRecord>>,
    /// Samples of them all, and how many of those are written.
    rows: usize,
    written: usize,
}

impl<'a> Batch<'a> {
    /// As many cells as fill a row group, or all that are left.
    fn next(record: &RunRecord, cells: &mut impl Iterator<Item = PolarsResult<Cow<'a, CellRecord>>>) -> PolarsResult<Self> {
        let mut batch = Self::default();
        while batch.rows < GROUP
            && let Some(cell) = cells.next().transpose()?
        {
            batch.rows += View::of(record, &cell).map_or(0, View::len);
            batch.cells.push(cell);
        }
        Ok(batch)
    }

    /// The next row group.
    fn frame(&mut self, record: &RunRecord) -> PolarsResult<DataFrame> {
        let views = self.cells.iter().filter_map(|cell| View::of(record, cell));
        let rows = views.flat_map(|view| (0..view.len()).map(move |index| view.row(index)));
        let rows: Vec<Row<'_>> = rows.skip(self.written).take(GROUP).collect();
        self.written += rows.len();
        prediction_frame(&rows)
    }
}

/// A cell with scores, on its slice.
#[derive(Clone, Copy)]
struct View<'a> {
    cell: &'a CellRecord,
    labels: &'a [String],
    texts: &'a [SampleText],
}

struct Row<'a> {
    cell: &'a str,
    labels: &'a [String],
    index: usize,
    text: &'a SampleText,
    /// What was said of its label; None for a pair.
    answer: Option<SampleRow>,
    tokens: usize,
    cut: usize,
    scores: &'a [f64],
}

impl<'a> View<'a> {
    fn of(record: &'a RunRecord, cell: &'a CellRecord) -> Option<Self> {
        let slice = &cell.choices.slice;
        Some(Self { cell, labels: &record.provenance.slice(slice)?.labels, texts: record.samples.get(slice)? })
    }

    fn len(self) -> usize {
        self.cell.samples().min(self.texts.len())
    }

    fn row(self, index: usize) -> Row<'a> {
        let (answer, tokens, cut, scores) = match &self.cell.outcome {
            Outcome::Scored(scored) => {
                let row = scored.samples.get(index);
                let (tokens, cut) = row.map_or((0, 0), |row| (row.tokens, row.cut));
                (row, tokens, cut, scored.scores_of(index))
            }
            Outcome::Measured(paired) => {
                let row = paired.samples[index];
                (None, row.tokens, row.cut, paired.scores_of(index))
            }
            Outcome::Failed { .. } => (None, 0, 0, &[][..]),
        };
        let Self { cell, labels, texts } = self;
        Row { cell: &cell.id, labels, index, text: &texts[index], answer, tokens, cut, scores }
    }
}

fn prediction_frame<'a>(rows: &[Row<'a>]) -> PolarsResult<DataFrame> {
    let text = |get: fn(&Row<'a>) -> &'a str| -> Vec<&str> { rows.iter().map(get).collect() };
    let count = |get: fn(&Row<'a>) -> usize| -> Vec<u64> { rows.iter().map(|row| get(row) as u64).collect() };
    let number =
        |get: fn(SampleRow) -> Option<f64>| -> Vec<Option<f64>> { rows.iter().map(|row| row.answer.and_then(get)).collect() };
    let values = rows.iter().map(|row| row.scores.len()).sum();
    let mut scores = ListPrimitiveChunkedBuilder::<Float64Type>::new("scores".into(), rows.len(), values, DataType::Float64);
    for row in rows {
        scores.append_slice(row.scores);
    }
    let predicted = |row: &Row<'a>| Some(row.labels[row.answer?.predicted].as_str());
    let ranks = |row: &Row<'a>| Some(row.answer?.gold_rank as u64);
    DataFrame::new_infer_height(vec![
        Column::new("cell".into(), text(|row| row.cell)),
        Column::new("sample".into(), text(|row| &row.text.id)),
        Column::new("index".into(), count(|row| row.index)),
        Column::new("gold".into(), rows.iter().map(|row| gold_label(row.text, row.labels)).collect::<Vec<_>>()),
        Column::new("gold_score".into(), rows.iter().map(|row| gold_score(row.text)).collect::<Vec<_>>()),
        Column::new("predicted".into(), rows.iter().map(predicted).collect::<Vec<_>>()),
        Column::new("gold_rank".into(), rows.iter().map(ranks).collect::<Vec<_>>()),
        Column::new("margin".into(), number(|row| row.margin)),
        Column::new("gold_margin".into(), number(|row| row.gold_margin)),
        Column::new("tied".into(), rows.iter().map(|row| Some(row.answer?.tied)).collect::<Vec<Option<bool>>>()),
        Column::new("tokens".into(), count(|row| row.tokens)),
        Column::new("cut".into(), count(|row| row.cut)),
        scores.finish().into_series().into_column(),
    ])
}

fn gold_label<'a>(text: &SampleText, labels: &'a [String]) -> Option<&'a str> {
    labels.get(text.gold.label()?).map(String::as_str)
}

const fn gold_score(text: &SampleText) -> Option<f64> {
    match text.gold {
        Gold::Score(score) => Some(score),
        Gold::Label(_) | Gold::Unlabelled => None,
    }
}

/// One row per cell and pair of labels that occurs.
pub(super) fn confusion(record: &RunRecord) -> Frames<'_> {
    let (mut cells, mut gold, mut predicted, mut counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for view in record.cells.iter().filter_map(|cell| View::of(record, cell)) {
        let Some(scored) = view.cell.scored() else { continue };
        let pairs = view.labels.iter().flat_map(|gold| view.labels.iter().map(move |predicted| (gold, predicted)));
        for ((g, p), &count) in pairs.zip(&scored.confusion).filter(|&(_, &count)| count > 0) {
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

/// One row per text that has a place in a plane.
pub(super) fn places(record: &RunRecord) -> Frames<'_> {
    let rows: Vec<(&Places, usize, [f64; 2])> = (record.places.iter())
        .flat_map(|plane| plane.indices.iter().zip(&plane.places).map(move |(&index, &place)| (plane, index, place)))
        .collect();
    let number = |get: fn(&(&Places, usize, [f64; 2])) -> f64| -> Vec<f64> { rows.iter().map(get).collect() };
    frame(vec![
        Column::new("cell".into(), rows.iter().map(|(plane, ..)| plane.cell.as_str()).collect::<Vec<_>>()),
        Column::new("index".into(), rows.iter().map(|&(_, index, _)| index as u64).collect::<Vec<_>>()),
        Column::new("x".into(), number(|(.., place)| place[0])),
        Column::new("y".into(), number(|(.., place)| place[1])),
        Column::new("x_share".into(), number(|(plane, ..)| plane.shares[0])),
        Column::new("y_share".into(), number(|(plane, ..)| plane.shares[1])),
    ])
}

/// One row per slice and sample.
pub(super) fn samples(record: &RunRecord) -> Frames<'_> {
    let slices = record.provenance.slices.iter().filter_map(|slice| Some((slice, record.samples.get(&slice.id)?)));
    let mut rows = slices.flat_map(|(slice, texts)| texts.iter().enumerate().map(move |(index, text)| (slice, index, text)));
    Box::new(std::iter::from_fn(move || {
        let group: Vec<_> = rows.by_ref().take(GROUP).collect();
        (!group.is_empty()).then(|| sample_frame(&group))
    }))
}

fn sample_frame(rows: &[(&SliceRecord, usize, &SampleText)]) -> PolarsResult<DataFrame> {
    let partner = |get: fn(&Partner) -> Option<&str>| -> Vec<Option<&str>> {
        rows.iter().map(|(.., text)| get(text.partner.as_ref()?)).collect()
    };
    DataFrame::new_infer_height(vec![
        Column::new("slice".into(), rows.iter().map(|(slice, ..)| slice.id.as_str()).collect::<Vec<_>>()),
        Column::new("index".into(), rows.iter().map(|&(_, index, _)| index as u64).collect::<Vec<_>>()),
        Column::new("sample".into(), rows.iter().map(|(.., text)| text.id.as_str()).collect::<Vec<_>>()),
        Column::new("text".into(), rows.iter().map(|(.., text)| text.text.as_str()).collect::<Vec<_>>()),
        Column::new("partner".into(), partner(|partner| Some(&partner.text))),
        Column::new("gold".into(), rows.iter().map(|(slice, _, text)| gold_label(text, &slice.labels)).collect::<Vec<_>>()),
        Column::new("gold_score".into(), rows.iter().map(|(.., text)| gold_score(text)).collect::<Vec<_>>()),
        Column::new("group".into(), partner(|partner| partner.group.as_deref())),
        Column::new("subset".into(), partner(|partner| partner.subset.as_deref())),
    ])
}

fn frame(columns: Vec<Column>) -> Frames<'static> {
    Box::new(std::iter::once(DataFrame::new_infer_height(columns)))
}
