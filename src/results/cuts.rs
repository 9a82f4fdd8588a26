//! Which characters of texts were left out to make them fit a model, as a table: one row for each text that was cut.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use polars::prelude::*;

use super::open::quoted;
use super::table::Table;
use super::tables::Frames;
use super::{Provenance, ResultsError, SampleText};

/// Texts of one slice that were cut to fit one model under one view of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuts {
    pub model: String,
    pub prompt: String,
    pub slice: String,
    /// Which view of the prompt, from 0.
    pub view: usize,
    /// In the order of the slice, of pairs all first texts before all second ones.
    pub texts: Vec<CutText>,
}

/// What one text lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutText {
    /// Place of the sample in its slice.
    pub index: usize,
    pub of: Part,
    /// Characters (Unicode scalar values) that were left out: of the text as it was put into the prompt, cleaned where the
    /// prompt cleans; of the rendered view where the prompt is truncated as a whole.
    pub left_out: Range<usize>,
}

/// Which text of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Text,
    Partner,
}

impl Part {
    /// The column of `samples.parquet` that holds the text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Partner => "partner",
        }
    }
}

/// Rows that are written together.
const GROUP: usize = 50_000;

/// One row for each text that was cut.
pub(super) fn frames(cuts: &[Cuts]) -> Frames<'_> {
    let rows: Vec<(&Cuts, &CutText)> = cuts.iter().flat_map(|cuts| cuts.texts.iter().map(move |text| (cuts, text))).collect();
    let count = rows.len();
    let frame = move |start: usize| frame(&rows[start..count.min(start + GROUP)]);
    Box::new((0..count.max(1)).step_by(GROUP).map(frame))
}

fn frame(rows: &[(&Cuts, &CutText)]) -> PolarsResult<DataFrame> {
    let text = |get: fn(&Cuts) -> &String| -> Vec<&str> { rows.iter().map(|(cuts, _)| get(cuts).as_str()).collect() };
    let count =
        |get: fn(&Cuts, &CutText) -> usize| -> Vec<u64> { rows.iter().map(|(cuts, text)| get(cuts, text) as u64).collect() };
    DataFrame::new_infer_height(vec![
        Column::new("model".into(), text(|cuts| &cuts.model)),
        Column::new("prompt".into(), text(|cuts| &cuts.prompt)),
        Column::new("slice".into(), text(|cuts| &cuts.slice)),
        Column::new("view".into(), count(|cuts, _| cuts.view)),
        Column::new("index".into(), count(|_, text| text.index)),
        Column::new("of".into(), rows.iter().map(|(_, text)| text.of.name()).collect::<Vec<_>>()),
        Column::new("start".into(), count(|_, text| text.left_out.start)),
        Column::new("end".into(), count(|_, text| text.left_out.end)),
    ])
}

/// Adds what one part of the table says to what earlier parts said.
pub(super) fn read(
    table: &Table,
    provenance: &Provenance,
    samples: &BTreeMap<String, Arc<Vec<SampleText>>>,
    cuts: &mut Vec<Cuts>,
) -> Result<(), ResultsError> {
    let (models, prompts, slices) = (table.names("model")?, table.names("prompt")?, table.names("slice")?);
    let (views, indices, parts) = (table.indices("view")?, table.indices("index")?, table.names("of")?);
    let (starts, ends) = (table.indices("start")?, table.indices("end")?);
    for row in 0..table.height() {
        let of = [Part::Text, Part::Partner].into_iter().find(|part| part.name() == parts[row]);
        let of = of.ok_or_else(|| table.value("of", row, quoted(parts[row]), "`text` or `partner`"))?;
        if provenance.models.iter().all(|model| model.id != models[row]) {
            return Err(table.value("model", row, quoted(models[row]), "a model of run.json"));
        }
        let prompt = provenance.prompts.iter().find(|prompt| prompt.id == prompts[row]);
        if prompt.is_none_or(|prompt| views[row] >= prompt.views.len()) {
            let found = format!("view {} of {}", views[row], quoted(prompts[row]));
            return Err(table.value("prompt", row, found, "a view of a prompt of run.json"));
        }
        let sample = samples.get(slices[row]).and_then(|samples| samples.get(indices[row]));
        if sample.is_none_or(|sample| of == Part::Partner && sample.partner.is_none()) {
            let found = format!("{} of {}", indices[row], quoted(slices[row]));
            return Err(table.value("index", row, found, "a text of samples.parquet"));
        }
        if starts[row] > ends[row] {
            return Err(table.value("end", row, ends[row].to_string(), format!("at least `start`, {}", starts[row])));
        }
        let text = CutText { index: indices[row], of, left_out: starts[row]..ends[row] };
        let same = |known: &&mut Cuts| {
            (known.model.as_str(), known.prompt.as_str(), known.slice.as_str(), known.view)
                == (models[row], prompts[row], slices[row], views[row])
        };
        match cuts.last_mut().filter(same) {
            Some(known) => known.texts.push(text),
            None => cuts.push(Cuts {
                model: models[row].to_owned(),
                prompt: prompts[row].to_owned(),
                slice: slices[row].to_owned(),
                view: views[row],
                texts: vec![text],
            }),
        }
    }
    Ok(())
}
