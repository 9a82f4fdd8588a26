//! Tokenising a rendered text, and cutting its slots, never its template, where it is too long.

use tokenizers::Encoding;

use super::error::ModelError;
use super::tokenizer::{Tokenizer, excerpt};
use crate::prompt::{Rendered, Template, Truncation};

/// A text ready for the forward pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokenized {
    /// Ids of the whole rendered text, special tokens included.
    pub ids: Vec<u32>,
    /// The rendered text the ids are of; the whole of it under [`Truncation::WholePrompt`].
    pub rendered: String,
    /// Tokens that the uncut text has more.
    pub cut: usize,
}

impl Tokenizer {
    /// Renders `text` into `template` and tokenises the whole; cuts the text at token boundaries until the whole fits.
    ///
    /// # Errors
    /// Fixed text that does not fit by itself; a text that does not fit under [`Truncation::Error`].
    pub fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Tokenized, ModelError> {
        let rendered = template.render(text);
        let whole = self.encode(&rendered.text)?;
        if whole.len() <= self.limit() {
            return Ok(Tokenized { ids: whole.get_ids().to_vec(), rendered: rendered.text, cut: 0 });
        }
        match truncate {
            Truncation::Error => Err(ModelError::TooLong { tokens: whole.len(), limit: self.limit(), text: excerpt(text) }),
            Truncation::WholePrompt => self.cut_end(template, rendered, &whole),
            Truncation::Head | Truncation::Tail | Truncation::Middle => {
                self.cut_slots(template, text, truncate, &rendered, &whole)
            }
        }
    }

    fn cut_end(&self, template: &Template, rendered: Rendered, whole: &Encoding) -> Result<Tokenized, ModelError> {
        let kept = self.encode_cut(&rendered.text)?.ok_or_else(|| self.template_too_long(template, whole.len()))?;
        let cut = whole.len() - kept.len();
        Ok(Tokenized { ids: kept.get_ids().to_vec(), rendered: rendered.text, cut })
    }

    /// Every slot loses the same part of the text. A cut text may tokenise differently at its new end, so the whole is
    /// tokenised again, and more is cut until it fits.
    fn cut_slots(
        &self,
        template: &Template,
        text: &str,
        truncate: Truncation,
        rendered: &Rendered,
        whole: &Encoding,
    ) -> Result<Tokenized, ModelError> {
        let slots = rendered.slots.len().max(1);
        let slot = rendered.slots.first().cloned().unwrap_or_default();
        let bounds = Bounds::new(text, slot, whole);
        let mut keep = bounds.tokens();
        let mut over = whole.len() - self.limit();
        loop {
            keep = keep.saturating_sub(over.div_ceil(slots));
            let shorter = template.render(&bounds.cut(text, truncate, keep));
            let ids = self.encode(&shorter.text)?;
            if ids.len() <= self.limit() {
                let cut = whole.len() - ids.len();
                return Ok(Tokenized { ids: ids.get_ids().to_vec(), rendered: shorter.text, cut });
            }
            if keep == 0 {
                return Err(self.template_too_long(template, ids.len()));
            }
            over = ids.len() - self.limit();
        }
    }

    fn template_too_long(&self, template: &Template, tokens: usize) -> ModelError {
        ModelError::TemplateTooLong { tokens, limit: self.limit(), template: excerpt(template.source()) }
    }
}

/// Where a text may be cut: the byte at which each of its tokens begins and ends.
struct Bounds {
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Bounds {
    /// The tokens that touch the slot, clipped to it and moved to character boundaries of `text`.
    fn new(text: &str, slot: std::ops::Range<usize>, whole: &Encoding) -> Self {
        let offsets = whole.get_offsets().iter().zip(whole.get_special_tokens_mask());
        let inside = offsets
            .filter(|((start, end), special)| **special == 0 && *start < slot.end && *end > slot.start && start < end)
            .map(|((start, end), _)| (*start.max(&slot.start) - slot.start, *end.min(&slot.end) - slot.start));
        let (starts, ends) =
            inside.map(|(start, end)| (text.floor_char_boundary(start), text.floor_char_boundary(end))).unzip();
        Self { starts, ends }
    }

    const fn tokens(&self) -> usize {
        self.ends.len()
    }

    /// The text with at most `keep` of its tokens.
    fn cut(&self, text: &str, truncate: Truncation, keep: usize) -> String {
        let keep = keep.min(self.tokens());
        let head = |count: usize| if count == 0 { "" } else { &text[..self.end_before(count)] };
        let tail = |count: usize| if count == 0 { "" } else { &text[self.start_after(count)..] };
        match truncate {
            Truncation::Tail => tail(keep).to_owned(),
            Truncation::Middle => format!("{}{}", head(keep.div_ceil(2)), tail(keep / 2)),
            Truncation::Head | Truncation::Error | Truncation::WholePrompt => head(keep).to_owned(),
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
