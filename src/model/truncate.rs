//! Tokenising a rendered text, and cutting its slots, never its template, where it is too long.

use std::ops::Range;

use tokenizers::Encoding;

use super::error::{ModelError, excerpt};
use super::tokenizer::Tokenizer;
use crate::prompt::{Rendered, Template, Truncation};

/// A text ready to be embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Token ids of the whole rendered text, special tokens included.
    pub ids: Vec<u32>,
    /// The rendered text the ids are of; the whole of it under [`Truncation::WholePrompt`].
    pub rendered: String,
    /// Which of the ids stand in each slot of the template: every token that holds a byte of the slot, so that one across its
    /// border counts as the text's. A slot of which nothing is left has none. Empty where the places cannot be told: rows of
    /// characters, and chats that change what is said.
    pub slots: Vec<Range<usize>>,
    /// Tokens that the uncut rendered text has more than `ids`.
    pub cut: usize,
    /// Characters that were left out to make it fit: of the text, or under [`Truncation::WholePrompt`] of the rendered template,
    /// without what a chat puts around it. None where nothing was cut, and where a chat changes what is said.
    pub left_out: Option<Range<usize>>,
}

impl Prepared {
    /// The tokens of a slot, counted from 1; None where it has none, or it is not known which.
    pub fn slot(&self, slot: usize) -> Option<Range<usize>> {
        self.slots.get(slot.checked_sub(1)?).filter(|tokens| !tokens.is_empty()).cloned()
    }
}

/// What has to fit, and into how many tokens.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    pub template: &'a Template,
    pub text: &'a str,
    /// Most tokens of the rendered text.
    pub limit: usize,
}

impl Room<'_> {
    /// Why `text` is not cut, where the uncut rendered text has so many tokens.
    pub fn too_long(&self, tokens: usize) -> ModelError {
        ModelError::TooLong { tokens, limit: self.limit, text: excerpt(self.text) }
    }

    /// Cuts the text until its rendering fits: every slot holds the same, the text without the bytes `cut(keep)`, so that so
    /// many of its `pieces` are kept. A cut text may tokenise differently at its new end, so the whole is rendered and
    /// tokenised again, and more is cut until it fits.
    ///
    /// # Errors
    /// A template that leaves no room for any of the text, and failures of `tokenize`.
    pub fn fill(
        &self,
        whole: usize,
        pieces: usize,
        cut: impl Fn(usize) -> Range<usize>,
        tokenize: impl Fn(&str) -> Result<Prepared, ModelError>,
    ) -> Result<Prepared, ModelError> {
        let (mut keep, mut over) = (pieces, whole.saturating_sub(self.limit));
        loop {
            keep = keep.saturating_sub(over.div_ceil(self.template.slots()));
            let left_out = cut(keep);
            let kept = [&self.text[..left_out.start], &self.text[left_out.end..]].concat();
            let prepared = tokenize(&kept)?;
            let tokens = prepared.ids.len();
            if kept.is_empty() {
                // Fitting or not, every such text would have the vector of the bare template.
                return Err(self.template_too_long(tokens));
            }
            if tokens <= self.limit {
                let left_out = Some(characters(self.text, left_out));
                return Ok(Prepared { cut: whole.saturating_sub(tokens), left_out, ..prepared });
            }
            over = tokens - self.limit;
        }
    }

    fn template_too_long(&self, tokens: usize) -> ModelError {
        ModelError::TemplateTooLong { tokens, limit: self.limit, template: excerpt(self.template.source()) }
    }
}

impl Tokenizer {
    /// Renders `text` into `template` and tokenises the whole; cuts the text at token boundaries until the whole fits.
    ///
    /// # Errors
    /// Fixed text that leaves no room; a text that does not fit under [`Truncation::Error`].
    pub fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, ModelError> {
        let room = Room { template, text, limit: self.limit() };
        let (rendered, whole) = self.tokenize(template, text)?;
        if whole.len() <= room.limit {
            return Ok(prepared(rendered, &whole));
        }
        match truncate {
            Truncation::Error => Err(room.too_long(whole.len())),
            Truncation::WholePrompt => self.cut_end(&room, rendered, whole.len()),
            Truncation::Head | Truncation::Tail | Truncation::Middle => {
                let located = match template.chat() {
                    Some(chat) => self.chat()?.locate(chat, &template.render(text))?,
                    None => rendered,
                };
                let bounds = Bounds::new(text, &located, &whole);
                let cut = |keep| bounds.cut(text, truncate, keep);
                let tokenize = |text: &str| self.tokenize(template, text).map(|(rendered, ids)| prepared(rendered, &ids));
                room.fill(whole.len(), bounds.tokens(), cut, tokenize)
            }
        }
    }

    /// The whole rendered text with the places of its slots, where they can be told, and its tokens. A chat template writes the
    /// special tokens itself.
    fn tokenize(&self, template: &Template, text: &str) -> Result<(Rendered, Encoding), ModelError> {
        let message = template.render(text);
        let Some(chat) = template.chat() else {
            let whole = self.encode(&message.text)?;
            return Ok((message, whole));
        };
        let rendered = match self.chat()?.locate(chat, &message) {
            Err(ModelError::ChatChanges { .. }) => {
                Rendered { text: self.chat()?.render(chat, &message.text)?, slots: Vec::new() }
            }
            located => located?,
        };
        let whole = self.encode_plain(&rendered.text)?;
        Ok((rendered, whole))
    }

    fn cut_end(&self, room: &Room<'_>, rendered: Rendered, whole: usize) -> Result<Prepared, ModelError> {
        let special = room.template.chat().is_none();
        let kept = self.encode_cut(&rendered.text, special)?.ok_or_else(|| room.template_too_long(whole))?;
        let message = room.template.render(room.text);
        // What a chat puts before the message; nothing is known of it where the slots could not be found again.
        let before = rendered.slots.first().zip(message.slots.first()).map(|(slot, own)| slot.start.saturating_sub(own.start));
        let left_out = before.map(|before| {
            let end = last_byte(&kept).saturating_sub(before).min(message.text.len());
            characters(&message.text, message.text.ceil_char_boundary(end)..message.text.len())
        });
        Ok(Prepared { cut: whole - kept.len(), left_out, ..prepared(rendered, &kept) })
    }
}

/// Bytes of a text as its characters.
fn characters(text: &str, bytes: Range<usize>) -> Range<usize> {
    let before = text[..bytes.start].chars().count();
    before..before + text[bytes].chars().count()
}

/// Where the text of the last token ends that is no special one.
fn last_byte(kept: &Encoding) -> usize {
    let own = kept.get_offsets().iter().zip(kept.get_special_tokens_mask()).filter(|(_, special)| **special == 0);
    own.map(|((_, end), _)| *end).max().unwrap_or(0)
}

/// A text that nothing was cut from.
fn prepared(rendered: Rendered, whole: &Encoding) -> Prepared {
    let slots = rendered.slots.iter().map(|slot| tokens_of(slot, whole)).collect();
    Prepared { ids: whole.get_ids().to_vec(), rendered: rendered.text, slots, cut: 0, left_out: None }
}

/// The tokens that hold a byte of a slot, from the first of them to the last.
fn tokens_of(slot: &Range<usize>, whole: &Encoding) -> Range<usize> {
    let inside = || touching(slot, whole).map(|(at, _)| at);
    inside().next().zip(inside().last()).map_or(0..0, |(first, last)| first..last + 1)
}

/// The tokens that hold a byte of a slot, with their places and bytes.
fn touching<'e>(slot: &Range<usize>, whole: &'e Encoding) -> impl Iterator<Item = (usize, Range<usize>)> + 'e {
    let Range { start: from, end: to } = *slot;
    let offsets = whole.get_offsets().iter().zip(whole.get_special_tokens_mask()).enumerate();
    offsets
        .filter(move |(_, ((start, end), special))| **special == 0 && *start < to && *end > from && start < end)
        .map(|(at, ((start, end), _))| (at, *start..*end))
}

/// Where a text may be cut: the byte at which each of its tokens begins and ends.
struct Bounds {
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Bounds {
    /// The tokens that touch the first slot, clipped to it and moved to character boundaries of `text`.
    fn new(text: &str, rendered: &Rendered, whole: &Encoding) -> Self {
        let slot: Range<usize> = rendered.slots.first().cloned().unwrap_or_default();
        // A rendering that lost its outer white space may begin within the text.
        let missing = text.find(&rendered.text[slot.clone()]).unwrap_or(0);
        let within = |at: usize| text.floor_char_boundary(at.clamp(slot.start, slot.end) - slot.start + missing);
        let (starts, ends) = touching(&slot, whole).map(|(_, bytes)| (within(bytes.start), within(bytes.end))).unzip();
        Self { starts, ends }
    }

    const fn tokens(&self) -> usize {
        self.ends.len()
    }

    /// The bytes to leave out of the text so that at most `keep` of its tokens are kept.
    fn cut(&self, text: &str, truncate: Truncation, keep: usize) -> Range<usize> {
        let keep = keep.min(self.tokens());
        let head = |count: usize| if count == 0 { 0 } else { self.end_before(count) };
        let tail = |count: usize| if count == 0 { text.len() } else { self.start_after(count) };
        match truncate {
            Truncation::Tail => 0..tail(keep),
            Truncation::Middle => {
                let from = head(keep.div_ceil(2));
                from..tail(keep / 2).max(from)
            }
            Truncation::Head | Truncation::Error | Truncation::WholePrompt => head(keep)..text.len(),
        }
    }

    /// The end of token `count`, or of an earlier one if a later token shares its bytes.
    fn end_before(&self, count: usize) -> usize {
        let next = self.starts.get(count).copied().unwrap_or(usize::MAX);
        let ends = self.ends[..count].iter().rev().copied();
        ends.into_iter().find(|end| *end <= next).unwrap_or(0)
    }

    /// The beginning of the last `count` tokens, or of a later one if an earlier token shares its bytes.
    fn start_after(&self, count: usize) -> usize {
        let first = self.tokens() - count;
        let before = first.checked_sub(1).map_or(0, |last| self.ends[last]);
        let starts = self.starts[first..].iter().copied();
        starts.into_iter().find(|start| *start >= before).unwrap_or(*self.ends.last().unwrap_or(&0))
    }
}
