//! Templates: fixed text around slots, and what they render to.

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

use super::Chat;

/// The slot that every template has.
const TEXT: &str = "text";

/// Fixed text around slots.
///
/// `{text}` is the slot of the text and may occur several times. Any other name is a slot for words that come with the text,
/// such as a column of its dataset, and is filled before a template is rendered. `{{` and `}}` are literal braces; every other
/// byte stands for itself.
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
    Text,
    /// Of another name.
    Named(String),
}

impl Part {
    /// As a template has it.
    fn written(&self) -> String {
        match self {
            Self::Fixed(fixed) => fixed.replace('{', "{{").replace('}', "}}"),
            Self::Text => format!("{{{TEXT}}}"),
            Self::Named(name) => format!("{{{name}}}"),
        }
    }
}

/// A template with its slots filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// Byte range of each copy of the text within the whole, in order.
    pub slots: Vec<Range<usize>>,
}

impl Template {
    /// Reads a template as written in a spec.
    ///
    /// # Errors
    /// A template without the slot `{text}`, with a slot that has no name, or with a brace that neither opens a slot nor is
    /// doubled.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let parts = parts(source)?;
        if !parts.contains(&Part::Text) {
            let named = parts.iter().find_map(|part| if let Part::Named(name) = part { Some(name.clone()) } else { None });
            return Err(TemplateError::NoText { instead: named });
        }
        Ok(Self { source: source.to_owned(), parts, stripped: false, chat: None })
    }

    /// Names of the slots that are not the text's, in order, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for part in &self.parts {
            if let Part::Named(name) = part
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// The same template with `value` in the place of the slot `name`; the value may have slots itself.
    ///
    /// # Errors
    /// A value that is no text with slots, as for a template.
    pub fn with(self, name: &str, value: &str) -> Result<Self, TemplateError> {
        let value = parts(value)?;
        let spliced = |part: &Part| if *part == Part::Named(name.to_owned()) { value.clone() } else { vec![part.clone()] };
        let source: String = self.parts.iter().flat_map(spliced).map(|part| part.written()).collect();
        Ok(Self { parts: parts(&source)?, source, ..self })
    }

    /// The same template with plain words in the place of every slot that has them.
    #[must_use]
    pub fn filled<'w>(&self, words: impl Fn(&str) -> Option<&'w str>) -> Self {
        let fill = |part: &Part| match part {
            Part::Named(name) => words(name).map_or_else(|| part.clone(), |words| Part::Fixed(words.to_owned())),
            Part::Fixed(_) | Part::Text => part.clone(),
        };
        Self { parts: self.parts.iter().map(fill).collect(), ..self.clone() }
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

    /// Number of copies of the text, at least 1.
    pub fn slots(&self) -> usize {
        self.parts.iter().filter(|part| **part == Part::Text).count()
    }

    /// Puts `text` into every slot of the text. Slots of other names that were not filled stay as they are written.
    pub fn render(&self, text: &str) -> Rendered {
        let mut rendered = Rendered { text: String::new(), slots: Vec::new() };
        for part in &self.parts {
            match part {
                Part::Fixed(fixed) => rendered.text.push_str(fixed),
                Part::Named(name) => rendered.text.extend(["{", name, "}"]),
                Part::Text => {
                    let start = rendered.text.len();
                    rendered.text.push_str(text);
                    rendered.slots.push(start..rendered.text.len());
                }
            }
        }
        if self.stripped { rendered.strip() } else { rendered }
    }
}

/// Fixed text and slots, in order; fixed text is never empty.
fn parts(source: &str) -> Result<Vec<Part>, TemplateError> {
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
            let name = slot(rest, at)?;
            at += name.len() + 2;
            if !fixed.is_empty() {
                parts.push(Part::Fixed(std::mem::take(&mut fixed)));
            }
            parts.push(if name == TEXT { Part::Text } else { Part::Named(name.to_owned()) });
        }
    }
    fixed.push_str(&source[at..]);
    if !fixed.is_empty() {
        parts.push(Part::Fixed(fixed));
    }
    Ok(parts)
}

/// Name of the slot that `rest` starts with; `at` is where `rest` starts in the template.
fn slot(rest: &str, at: usize) -> Result<&str, TemplateError> {
    if rest.starts_with('}') {
        return Err(TemplateError::LoneBrace { brace: '}', offset: at });
    }
    let inside = &rest[1..];
    match inside.find(['{', '}']) {
        Some(end) if inside[end..].starts_with('}') => {
            let name = &inside[..end];
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
            if is_name { Ok(name) } else { Err(TemplateError::NoName { found: name.to_owned(), offset: at }) }
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
    /// Without the text every text would have the same embedding. `instead` is another slot that it has.
    #[error("{}: {}", self.what(), self.help())]
    NoText { instead: Option<String> },
    /// `{...}` around something that is no name.
    #[error("{} at byte {offset}: {}", self.what(), self.help())]
    NoName { found: String, offset: usize },
    /// A brace that neither belongs to a slot nor is doubled.
    #[error("{} at byte {offset}: {}", self.what(), self.help())]
    LoneBrace { brace: char, offset: usize },
}

impl TemplateError {
    /// What is wrong, without its place.
    pub fn what(&self) -> String {
        match self {
            Self::NoText { .. } => "the template has no `{text}` slot".to_owned(),
            Self::NoName { found, .. } => format!("the template has a slot without a name, `{{{found}}}`"),
            Self::LoneBrace { brace, .. } => format!("the template has a lone `{brace}`"),
        }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::NoText { instead: None } => "write `{text}` where the text goes".to_owned(),
            Self::NoText { instead: Some(name) } => {
                format!("write `{{text}}` where the text goes; `{{{name}}}` is a column of the dataset, or a key of `fill`")
            }
            Self::NoName { .. } => {
                "a slot is `{text}` or the name of a column; literal braces are written `{{` and `}}`".to_owned()
            }
            Self::LoneBrace { brace, .. } => {
                format!("a literal brace is written `{brace}{brace}`; the slot is `{{text}}`")
            }
        }
    }

    /// Where in the template it is; `None` when it is about the whole.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::NoText { .. } => None,
            Self::NoName { found, offset } => Some(*offset..offset + found.len() + 2),
            Self::LoneBrace { offset, .. } => Some(*offset..offset + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "most templates have one slot")]

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
        assert_eq!(parse("no slot"), TemplateError::NoText { instead: None });
        assert_eq!(parse("{{text}}"), TemplateError::NoText { instead: None });
        assert_eq!(parse(""), TemplateError::NoText { instead: None });
        assert_eq!(parse("这{txt}"), TemplateError::NoText { instead: Some("txt".to_owned()) });
        assert_eq!(parse("{text}这{a b}"), TemplateError::NoName { found: "a b".to_owned(), offset: 9 });
        assert_eq!(parse("{}"), TemplateError::NoName { found: String::new(), offset: 0 });
        assert_eq!(parse("{text} }"), TemplateError::LoneBrace { brace: '}', offset: 7 });
        assert_eq!(parse("{text} {"), TemplateError::LoneBrace { brace: '{', offset: 7 });
        assert_eq!(parse("{\"a\": \"{text}\"}"), TemplateError::LoneBrace { brace: '{', offset: 0 });
        assert_eq!(
            parse("这{txt}").to_string(),
            "the template has no `{text}` slot: write `{text}` where the text goes; `{txt}` is a column of the dataset, or a \
             key of `fill`"
        );
        assert_eq!(parse("{text}这{a b}").span(), Some(9..14));
        assert_eq!(parse("{text} }").help(), "a literal brace is written `}}`; the slot is `{text}`");
    }

    #[test]
    fn other_slots_are_filled_and_the_source_with_them() {
        let template = Template::parse("\"{text}\" in terms of {aspect}, {{not}} {aspect}").unwrap();
        assert_eq!(template.names(), ["aspect"]);
        let topic = template.clone().with("aspect", "the {{main}} {what}").unwrap();
        assert_eq!(topic.source(), "\"{text}\" in terms of the {{main}} {what}, {{not}} the {{main}} {what}");
        assert_eq!((topic.names(), Template::parse(topic.source()).unwrap()), (vec!["what"], topic.clone()));
        let said = topic.filled(|name| (name == "what").then_some("{topic}"));
        assert_eq!(said.render("a").text, "\"a\" in terms of the {main} {topic}, {not} the {main} {topic}");
        assert_eq!((said.render("a").slots, said.names()), (vec![1..2], vec![]));
        // What nothing fills stays as it is written.
        assert_eq!(template.filled(|_| None).render("a").text, "\"a\" in terms of {aspect}, {not} {aspect}");
        assert!(template.with("aspect", "{").is_err());
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
