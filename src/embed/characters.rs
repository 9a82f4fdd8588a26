//! Texts for encoders that are no tokenizer's: a text's token ids are its Unicode scalar values, so that rows, keys and cuts
//! work as for models. Their vectors come finished.

use std::ops::Range;

use super::{Card, EmbedError, Prepared, Resolved, Row, kept};
use crate::model::Room;
use crate::prompt::{Template, Truncation};
use crate::spec::{Layer, Pooling, Readout};

/// No text is cut in practice; the limit keeps one text's memory bounded.
pub(super) const MAX_CHARS: usize = 1_000_000;

/// The readout of an encoder whose vectors come finished: there are no layers to choose from, and nothing to pool.
pub(super) fn finished(
    readout: &Readout,
    width: usize,
    card: &Card,
    refuse: impl Fn(&'static str, String) -> EmbedError,
) -> Result<Resolved, EmbedError> {
    match readout {
        Readout { norm: true, .. } => Err(refuse("norm", "true".to_owned())),
        Readout { span: Some(span), .. } => Err(refuse("span", span.to_string())),
        Readout { layer: Layer::At(-1), pool: Pooling::Own, .. } => Ok(Resolved {
            dim: width,
            kept: kept(readout, width, card)?,
            layer: 0,
            pool: Pooling::Own,
            span: None,
            norm: false,
            normalize: readout.normalize,
        }),
        Readout { pool, .. } if *pool != Pooling::Own => Err(refuse("pool", pool.to_string())),
        Readout { layer, .. } => Err(refuse("layer", layer.to_string())),
    }
}

/// Renders a text, and cuts it by characters where the whole has more than its model takes.
pub(super) fn prepare(template: &Template, text: &str, truncate: Truncation, card: &Card) -> Result<Prepared, EmbedError> {
    if template.chat().is_some() {
        return Err(EmbedError::NoChat { model: card.name.clone() });
    }
    let limit = card.max_tokens;
    let room = Room { template, text, limit };
    let rendered = template.render(text).text;
    let whole = rendered.chars().count();
    if whole <= limit {
        return Ok(prepared(rendered));
    }
    match truncate {
        Truncation::Error => Err(room.too_long(whole).into()),
        Truncation::WholePrompt => {
            let mut all = prepared(rendered);
            all.ids.truncate(limit);
            Ok(Prepared { cut: whole - limit, left_out: Some(limit..whole), ..all })
        }
        Truncation::Head | Truncation::Tail | Truncation::Middle => {
            let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let tokenize = |text: &str| Ok(prepared(template.render(text).text));
            Ok(room.fill(whole, starts.len() - 1, |keep| cut(&starts, truncate, keep), tokenize)?)
        }
    }
}

/// Whether every row is a text; `model` is whose rows they are.
pub(super) fn check(rows: &[Row<'_>], model: &str) -> Result<(), EmbedError> {
    for (row, Row { ids, .. }) in rows.iter().enumerate() {
        if ids.is_empty() {
            return Err(EmbedError::EmptyRow { row });
        }
        if let Some(&id) = ids.iter().find(|id| char::from_u32(**id).is_none()) {
            return Err(EmbedError::UnknownToken { row, id, last: char::MAX as usize, model: model.to_owned() });
        }
    }
    Ok(())
}

/// A rendered text that nothing was cut from.
fn prepared(rendered: String) -> Prepared {
    Prepared { ids: scalars(&rendered), rendered, slots: Vec::new(), cut: 0, left_out: None }
}

pub(super) fn scalars(text: &str) -> Vec<u32> {
    text.chars().map(u32::from).collect()
}

/// The text of a row that was checked.
pub(super) fn text(ids: &[u32]) -> String {
    ids.iter().filter_map(|id| char::from_u32(*id)).collect()
}

/// The bytes to leave out of a text so that `keep` of its characters are kept, at most all of them. `starts` are where its
/// characters start, and its end.
fn cut(starts: &[usize], truncate: Truncation, keep: usize) -> Range<usize> {
    let (head, tail) = match truncate {
        Truncation::Tail => (0, keep),
        Truncation::Middle => (keep.div_ceil(2), keep / 2),
        Truncation::Head | Truncation::Error | Truncation::WholePrompt => (keep, 0),
    };
    starts[head]..starts[starts.len() - 1 - tail]
}
