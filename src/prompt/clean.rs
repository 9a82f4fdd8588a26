//! Clean-up of a sentence before it fills a template's slot.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Clean-up of a sentence before it fills the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clean {
    /// The text as it is.
    #[default]
    None,
    /// The published steps of the `PromptEOL` code base, in its order.
    #[serde(rename = "prompteol")]
    PromptEol,
}

impl Clean {
    /// Both, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::None, Self::PromptEol];

    /// As written in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PromptEol => "prompteol",
        }
    }

    /// The text that fills the slot.
    ///
    /// `prompteol`, in this order: a full stop is added unless the last character is one of `.?"'`; every `"` becomes
    /// `'`; a last `?` becomes `.`. The published steps then fill the template and strip the result:
    /// [`Template::stripped`](super::Template::stripped) does that. An empty text stays empty.
    ///
    /// Source: the evaluation scripts of `PromptEOL` (`arXiv` 2307.16645), Pretended `CoT` (2404.03921) and `MetaEOL` (2402.18458).
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(text),
            Self::PromptEol => Cow::Owned(prompteol(text)),
        }
    }
}

fn prompteol(text: &str) -> String {
    let mut cleaned = text.to_owned();
    if !text.is_empty() && !text.ends_with(['.', '?', '"', '\'']) {
        cleaned.push('.');
    }
    let mut cleaned = cleaned.replace('"', "'");
    if cleaned.ends_with('?') {
        cleaned.pop();
        cleaned.push('.');
    }
    cleaned
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Clean {
    type Err = UnknownClean;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|way| way.name() == text).ok_or_else(|| UnknownClean(text.to_owned()))
    }
}

/// A word that names no clean-up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no clean-up: write `none` or `prompteol`")]
pub struct UnknownClean(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_spec() {
        for way in Clean::ALL {
            assert_eq!(serde_json::to_value(way).unwrap(), way.name());
            assert_eq!(way.name().parse(), Ok(way));
        }
    }

    #[test]
    fn none_borrows() {
        assert!(matches!(Clean::None.apply("a \"b\"?"), Cow::Borrowed("a \"b\"?")));
    }

    #[test]
    fn published_steps_by_hand() {
        let cases = [
            ("A man is smoking", "A man is smoking."),
            ("A man is smoking.", "A man is smoking."),
            // The question mark keeps the full stop away, then becomes one.
            ("Is he smoking?", "Is he smoking."),
            // A closing quotation mark keeps the full stop away and stays, as an apostrophe.
            ("He said \"no\"", "He said 'no'"),
            ("the dogs'", "the dogs'"),
            ("Really?\"", "Really?'"),
            ("What?!", "What?!."),
            ("\"", "'"),
            ("?", "."),
            ("", ""),
            // White space at the end is a last character like any other.
            ("a ", "a ."),
            // Chinese punctuation is not in the published list.
            ("好玩吗？", "好玩吗？."),
            ("好玩。", "好玩。."),
        ];
        for (text, cleaned) in cases {
            assert_eq!(Clean::PromptEol.apply(text), cleaned, "{text:?}");
        }
    }
}
