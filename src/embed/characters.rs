//! Texts for encoders that are no tokenizer's: a text's token ids are its Unicode scalar values, so that rows, keys and cuts
//! work as for models.

use super::{Card, EmbedError, Prepared, Row};
use crate::model::Room;
use crate::prompt::{Template, Truncation};

/// No text is cut in practice; the limit keeps one text's memory bounded.
pub(super) const MAX_CHARS: usize = 1_000_000;

/// Renders a text, and cuts it by characters where the whole has more than its model takes.
pub(super) fn prepare(template: &Template, text: &str, truncate: Truncation, card: &Card) -> Result<Prepared, EmbedError> {
    if template.chat().is_some() {
        return Err(EmbedError::NoChat { model: card.name.clone() });
    }
    let limit = card.max_tokens;
    let room = Room { template, text, limit };
    let rendered = template.render(text).text;
    let mut ids = scalars(&rendered);
    let whole = ids.len();
    if whole <= room.limit {
        return Ok(Prepared { ids, rendered, slots: Vec::new(), cut: 0 });
    }
    match truncate {
        Truncation::Error => Err(room.too_long(whole).into()),
        Truncation::WholePrompt => {
            ids.truncate(room.limit);
            Ok(Prepared { ids, rendered, slots: Vec::new(), cut: whole - room.limit })
        }
        Truncation::Head | Truncation::Tail | Truncation::Middle => {
            let chars: Vec<char> = text.chars().collect();
            let tokenize = |text: &str| {
                let rendered = template.render(text).text;
                Ok(Prepared { ids: scalars(&rendered), rendered, slots: Vec::new(), cut: 0 })
            };
            Ok(room.fill(whole, chars.len(), |keep| cut(&chars, truncate, keep), tokenize)?)
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

pub(super) fn scalars(text: &str) -> Vec<u32> {
    text.chars().map(u32::from).collect()
}

/// The text of a row that was checked.
pub(super) fn text(ids: &[u32]) -> String {
    ids.iter().filter_map(|id| char::from_u32(*id)).collect()
}

/// A text with `keep` of its characters, at most all of them.
fn cut(chars: &[char], truncate: Truncation, keep: usize) -> String {
    let (head, tail) = match truncate {
        Truncation::Tail => (0, keep),
        Truncation::Middle => (keep.div_ceil(2), keep / 2),
        Truncation::Head | Truncation::Error | Truncation::WholePrompt => (keep, 0),
    };
    chars[..head].iter().chain(&chars[chars.len() - tail..]).collect()
}
