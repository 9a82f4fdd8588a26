//! Templates: fixed text around `{text}` slots, and what they render to.

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

use super::Chat;

const SLOT: &str = "text";

/// Fixed text around slots.
///
/// `{text}` is a slot and may occur several times; `{{` and `}}` are literal braces; every other byte stands for itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// As written in the spec.
    source: String,
    parts: Vec<Part>,
    /// Whether renderings lose their outer white space.
    stripped: bool,
    /// What is rendered is a user's message in the model's own chat format.
    chat: Option<Chat>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Fixed(String),
    /// `{text}`
    Slot,
}

/// A template with its slots filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// Byte range of each filled slot within `text`, in order.
    pub slots: Vec<Range<usize>>,
}

impl Template {
    /// Reads a template as written in a spec.
    ///
    /// # Errors
    /// A template without a slot, with another slot than `{text}`, or with a brace that neither opens a slot nor is doubled.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut fixed = String::new();
        let mut at = 0;
        while let Some(found) = source[at..].find(['{', '}']) {
            fixed.push_str(&source[at..at + found]);
            at += found;
            let rest = &source[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                fixed.push_str(&rest[..1]);
                at += 2;
            } else {
                at += slot(rest, at)?;
                if !fixed.is_empty() {
                    parts.push(Part::Fixed(std::mem::take(&mut fixed)));
                }
                parts.push(Part::Slot);
            }
        }
        fixed.push_str(&source[at..]);
        if !parts.contains(&Part::Slot) {
            return Err(TemplateError::NoSlot);
        }
        if !fixed.is_empty() {
            parts.push(Part::Fixed(fixed));
        }
        Ok(Self { source: source.to_owned(), parts, stripped: false, chat: None })
    }

    /// The same template, whose renderings lose their white space at both ends.
    ///
    /// Source: the last of the five clean-up steps of the `PromptEOL` code base, Python's `str.strip`.
    #[must_use]
    pub fn stripped(self) -> Self {
        Self { stripped: true, ..self }
    }

    /// The same template as a message in a chat.
    #[must_use]
    pub fn in_chat(self, chat: &Chat) -> Self {
        Self { chat: Some(chat.clone()), ..self }
    }

    /// How renderings are put into a chat, if they are.
    pub const fn chat(&self) -> Option<&Chat> {
        self.chat.as_ref()
    }

    /// As written in the spec.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Number of slots, at least 1.
    pub fn slots(&self) -> usize {
        self.parts.iter().filter(|part| **part == Part::Slot).count()
    }

    /// Fills every slot with `text`.
    pub fn render(&self, text: &str) -> Rendered {
        let mut rendered = Rendered { text: String::new(), slots: Vec::new() };
        for part in &self.parts {
            match part {
                Part::Fixed(fixed) => rendered.text.push_str(fixed),
                Part::Slot => {
                    let start = rendered.text.len();
                    rendered.text.push_str(text);
                    rendered.slots.push(start..rendered.text.len());
                }
            }
        }
        if self.stripped { rendered.strip() } else { rendered }
    }
}

/// Length in bytes of the slot that `rest` starts with; `at` is where `rest` starts in the template.
fn slot(rest: &str, at: usize) -> Result<usize, TemplateError> {
    if rest.starts_with('}') {
        return Err(TemplateError::LoneBrace { brace: '}', offset: at });
    }
    let inside = &rest[1..];
    match inside.find(['{', '}']) {
        Some(end) if inside[end..].starts_with('}') => {
            let name = &inside[..end];
            if name == SLOT { Ok(end + 2) } else { Err(TemplateError::UnknownSlot { name: name.to_owned(), offset: at }) }
        }
        _ => Err(TemplateError::LoneBrace { brace: '{', offset: at }),
    }
}

impl Rendered {
    fn strip(self) -> Self {
        let kept = self.text.trim_matches(is_python_space);
        // The offset of the kept part: leading white space is what `trim_start` drops, unless nothing is left.
        let start = if kept.is_empty() { 0 } else { self.text.len() - self.text.trim_start_matches(is_python_space).len() };
        let within = |at: usize| at.saturating_sub(start).min(kept.len());
        let slots = self.slots.iter().map(|slot| within(slot.start)..within(slot.end)).collect();
        Self { text: kept.to_owned(), slots }
    }
}

/// White space in the sense of Python's `str.strip`, which counts the four information separators too.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.chat {
            None => serializer.serialize_str(&self.source),
            Some(chat) => (&self.source, chat).serialize(serializer),
        }
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Without a slot every text would have the same embedding.
    #[error("{}: {}", self.what(), self.help())]
    NoSlot,
    /// `{word}` with a word other than `text`.
    #[error("{} at byte {offset}: {}", self.what(), self.help())]
    UnknownSlot { name: String, offset: usize },
    /// A brace that neither belongs to a slot nor is doubled.
    #[error("{} at byte {offset}: {}", self.what(), self.help())]
    LoneBrace { brace: char, offset: usize },
}

impl TemplateError {
    /// What is wrong, without its place.
    pub fn what(&self) -> String {
        match self {
            Self::NoSlot => "the template has no `{text}` slot".to_owned(),
            Self::UnknownSlot { name, .. } => format!("the template has an unknown slot `{{{name}}}`"),
            Self::LoneBrace { brace, .. } => format!("the template has a lone `{brace}`"),
        }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::NoSlot => "write `{text}` where the text goes".to_owned(),
            Self::UnknownSlot { .. } => "the only slot is `{text}`; literal braces are written `{{` and `}}`".to_owned(),
            Self::LoneBrace { brace, .. } => {
                format!("a literal brace is written `{brace}{brace}`; the slot is `{{text}}`")
            }
        }
    }

    /// Where in the template it is; `None` when it is about the whole.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::NoSlot => None,
            Self::UnknownSlot { name, offset } => Some(*offset..offset + name.len() + 2),
            Self::LoneBrace { offset, .. } => Some(*offset..offset + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, slot: Range<usize>) -> Rendered {
        Rendered { text: text.to_owned(), slots: vec![slot] }
    }

    #[test]
    fn slots_know_their_bytes() {
        let template = Template::parse("词：{text} {{{text}}}").unwrap();
        assert_eq!(template.slots(), 2);
        let rendered = template.render("好");
        assert_eq!(rendered.text, "词：好 {好}");
        assert_eq!(rendered.slots, [6..9, 11..14]);
        assert_eq!(template.source(), "词：{text} {{{text}}}");
        assert_eq!(serde_json::to_string(&template).unwrap(), "\"词：{text} {{{text}}}\"");
    }

    #[test]
    fn a_text_may_look_like_a_slot() {
        let rendered = Template::parse("<{text}>").unwrap().render("{text}}");
        assert_eq!(rendered, filled("<{text}}>", 1..8));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let parse = |source| Template::parse(source).unwrap_err();
        assert_eq!(parse("no slot"), TemplateError::NoSlot);
        assert_eq!(parse("{{text}}"), TemplateError::NoSlot);
        assert_eq!(parse(""), TemplateError::NoSlot);
        assert_eq!(parse("这{txt}"), TemplateError::UnknownSlot { name: "txt".to_owned(), offset: 3 });
        assert_eq!(parse("{}"), TemplateError::UnknownSlot { name: String::new(), offset: 0 });
        assert_eq!(parse("{text} }"), TemplateError::LoneBrace { brace: '}', offset: 7 });
        assert_eq!(parse("{text} {"), TemplateError::LoneBrace { brace: '{', offset: 7 });
        assert_eq!(parse("{\"a\": \"{text}\"}"), TemplateError::LoneBrace { brace: '{', offset: 0 });
        assert_eq!(
            parse("这{txt}").to_string(),
            "the template has an unknown slot `{txt}` at byte 3: the only slot is `{text}`; literal braces are written \
             `{{` and `}}`"
        );
        assert_eq!(parse("这{txt}").span(), Some(3..8));
        assert_eq!(parse("{text} }").help(), "a literal brace is written `}}`; the slot is `{text}`");
    }

    #[test]
    fn stripping_moves_the_slots() {
        let template = Template::parse(" a {text}\u{1f}").unwrap().stripped();
        assert_eq!(template.render("b "), filled("a b", 2..3));
        assert_eq!(template.render(" "), filled("a", 1..1));
        let bare = Template::parse("{text}").unwrap().stripped();
        assert_eq!(bare.render(" \t"), filled("", 0..0));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(source in "[{}a词tex ]{0,20}", text in ".{0,10}") {
            if let Ok(template) = Template::parse(&source) {
                let rendered = template.clone().stripped().render(&text);
                for slot in rendered.slots {
                    prop_assert!(rendered.text.get(slot).is_some());
                }
                for slot in template.render(&text).slots {
                    prop_assert_eq!(&template.render(&text).text[slot], &text);
                }
            }
        }

        #[test]
        fn doubled_braces_stand_for_themselves(before in "[ab{}]{0,8}", after in "[ab{}]{0,8}") {
            let escape = |fixed: &str| fixed.replace('{', "{{").replace('}', "}}");
            let template = Template::parse(&format!("{}{{text}}{}", escape(&before), escape(&after)));
            // `{{{{{text}` and `{text}}}}}` are read from the left, in pairs.
            prop_assert_eq!(template.unwrap().render("x").text, format!("{before}x{after}"));
        }
    }
}
