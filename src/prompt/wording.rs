//! Templates over labels: fixed text around `{label}`, and `{examples}` of what belongs to it.

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

/// How a label becomes a phrasing: `这是一款{label}类应用`.
///
/// `{label}` is the label's name, or one of its phrases; `{examples}` is what the spec gives as examples of it. `{{` and `}}`
/// are literal braces.
#[derive(Clone, PartialEq, Eq)]
pub struct LabelTemplate {
    /// As written in the spec.
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Label,
    Examples,
}

impl LabelTemplate {
    /// Reads a template as written in a spec.
    ///
    /// # Errors
    /// A template without `{label}`, with an unknown slot, or with a brace that neither opens a slot nor is doubled.
    pub fn parse(source: &str) -> Result<Self, LabelTemplateError> {
        let mut parts = vec![Part::Fixed(String::new())];
        let mut at = 0;
        while let Some(next) = source[at..].chars().next() {
            let rest = &source[at..];
            let (part, length) = match next {
                '{' | '}' if rest[1..].starts_with(next) => (Part::Fixed(next.into()), 2),
                '{' => slot(rest, at)?,
                '}' => return Err(LabelTemplateError::LoneBrace { brace: '}', offset: at }),
                _ => (Part::Fixed(next.into()), next.len_utf8()),
            };
            match (parts.last_mut(), part) {
                (Some(Part::Fixed(before)), Part::Fixed(more)) => before.push_str(&more),
                (_, part) => parts.push(part),
            }
            at += length;
        }
        if parts.contains(&Part::Label) {
            Ok(Self { source: source.to_owned(), parts })
        } else {
            Err(LabelTemplateError::NoLabel)
        }
    }

    /// As written in the spec.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether labels need examples.
    pub fn wants_examples(&self) -> bool {
        self.parts.contains(&Part::Examples)
    }

    /// The phrasing of a label.
    pub fn fill(&self, label: &str, examples: &str) -> String {
        let part = |part: &Part| match part {
            Part::Fixed(fixed) => fixed.clone(),
            Part::Label => label.to_owned(),
            Part::Examples => examples.to_owned(),
        };
        self.parts.iter().map(part).collect()
    }
}

/// The slot that `rest` starts with, and its length in bytes; `at` is where `rest` starts in the template.
fn slot(rest: &str, at: usize) -> Result<(Part, usize), LabelTemplateError> {
    let inside = &rest[1..];
    let name = match inside.find(['{', '}']) {
        Some(end) if inside[end..].starts_with('}') => &inside[..end],
        _ => return Err(LabelTemplateError::LoneBrace { brace: '{', offset: at }),
    };
    let part = match name {
        "label" => Part::Label,
        "examples" => Part::Examples,
        _ => return Err(LabelTemplateError::UnknownSlot { name: name.to_owned(), offset: at }),
    };
    Ok((part, name.len() + 2))
}

impl fmt::Debug for LabelTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelTemplate({:?})", self.source)
    }
}

impl Serialize for LabelTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

/// Why a text is no template over labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelTemplateError {
    /// Without it all labels would have the same phrasing.
    #[error("{}: {}", self.what(), self.help())]
    NoLabel,
    #[error("{} at byte {offset}: {}", self.what(), self.help())]
    UnknownSlot { name: String, offset: usize },
    #[error("{} at byte {offset}: {}", self.what(), self.help())]
    LoneBrace { brace: char, offset: usize },
}

impl LabelTemplateError {
    /// What is wrong, without its place.
    pub fn what(&self) -> String {
        match self {
            Self::NoLabel => "the template has no `{label}` slot".to_owned(),
            Self::UnknownSlot { name, .. } => format!("the template has an unknown slot `{{{name}}}`"),
            Self::LoneBrace { brace, .. } => format!("the template has a lone `{brace}`"),
        }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::NoLabel => "write `{label}` where the label's name or phrase goes".to_owned(),
            Self::UnknownSlot { .. } => {
                "the slots of labels are `{label}` and `{examples}`; literal braces are written `{{` and `}}`".to_owned()
            }
            Self::LoneBrace { brace, .. } => format!("a literal brace is written `{brace}{brace}`; the slot is `{{label}}`"),
        }
    }

    /// Where in the template it is; `None` when it is about the whole.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::NoLabel => None,
            Self::UnknownSlot { name, offset } => Some(*offset..offset + name.len() + 2),
            Self::LoneBrace { offset, .. } => Some(*offset..offset + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_examples_go_into_their_slots() {
        let template = LabelTemplate::parse("这是一款{label}类应用").unwrap();
        assert_eq!((template.fill("新闻", "x"), template.wants_examples()), ("这是一款新闻类应用".to_owned(), false));
        let template = LabelTemplate::parse("{label} {{{label}}}，例如{examples}").unwrap();
        assert_eq!(
            (template.fill("求职", "招聘、兼职"), template.wants_examples()),
            ("求职 {求职}，例如招聘、兼职".to_owned(), true)
        );
        assert_eq!(serde_json::to_string(&template).unwrap(), "\"{label} {{{label}}}，例如{examples}\"");
    }

    #[test]
    fn what_is_no_template_says_where() {
        let refused = |source: &str| LabelTemplate::parse(source).unwrap_err();
        assert_eq!(refused("词"), LabelTemplateError::NoLabel);
        assert_eq!(refused("{examples}"), LabelTemplateError::NoLabel);
        assert_eq!(refused("词{text}").span(), Some(3..9));
        assert_eq!(refused("{label} }"), LabelTemplateError::LoneBrace { brace: '}', offset: 8 });
        for lone in ["{", "{label", "a{b{label}"] {
            assert!(matches!(refused(lone), LabelTemplateError::LoneBrace { brace: '{', .. }), "{lone}");
        }
    }
}
