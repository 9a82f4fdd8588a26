//! Prompts: templates with slots, sentence clean-up, the built-in catalogue, fused views.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::readout::Differently;

pub mod catalogue;
mod clean;
mod fuse;
mod template;
mod wording;

pub use clean::Clean;
pub use fuse::Fuse;
pub use template::{Rendered, Template, TemplateError};
pub use wording::{LabelTemplate, LabelTemplateError};

/// A choice on the prompt axis: one template, or several views whose vectors are fused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prompt {
    pub id: String,
    /// At least one.
    pub views: Vec<View>,
    /// How the vectors of several views become one.
    pub fuse: Fuse,
    pub truncate: Truncation,
    pub clean: Clean,
    /// What documents are put into, where this prompt's own texts are queries; the prompt itself when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<Box<Prompt>>,
}

/// One template of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    pub template: Template,
    /// What is read of it otherwise than the cell's readout says.
    pub differently: Differently,
}

impl From<Template> for View {
    fn from(template: Template) -> Self {
        Self { template, differently: Differently::default() }
    }
}

impl View {
    fn with(self, change: impl FnOnce(Template) -> Template) -> Self {
        Self { template: change(self.template), ..self }
    }
}

/// How a template becomes a user's message in the model's own chat format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// What the system says before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What the answer begins with; the vector of the last token is read behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

impl Prompt {
    /// The same prompt as a message in a chat.
    #[must_use]
    pub fn in_chat(self, chat: &Chat) -> Self {
        let views = self.views.into_iter().map(|view| view.with(|template| template.in_chat(chat))).collect();
        Self { views, documents: self.documents.map(|documents| Box::new(documents.in_chat(chat))), ..self }
    }

    /// Names of the slots beside the text's, over all views, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.views.iter().flat_map(|view| view.template.names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// How its views are put into a chat, if they are.
    pub fn chat(&self) -> Option<&Chat> {
        self.views.first()?.template.chat()
    }

    /// A prompt of these views. With the published clean-up, the views' renderings lose their outer white space too.
    /// Several views are fused by the mean of their raw vectors.
    pub fn new<V: Into<View>>(id: impl Into<String>, views: Vec<V>, truncate: Truncation, clean: Clean) -> Self {
        let views = views.into_iter().map(Into::into);
        let views = match clean {
            Clean::None => views.collect(),
            Clean::PromptEol => views.map(|view| view.with(Template::stripped)).collect(),
        };
        Self { id: id.into(), views, fuse: Fuse::default(), truncate, clean, documents: None }
    }

    /// One template, no clean-up, texts cut at their end.
    pub fn single(id: impl Into<String>, template: Template) -> Self {
        Self::new(id, vec![template], Truncation::default(), Clean::default())
    }
}

/// Which part of a text goes when the rendered text has more tokens than the model may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// Keep the text's beginning.
    #[default]
    Head,
    /// Keep the text's end.
    Tail,
    /// Keep the text's beginning and end, equally.
    Middle,
    /// A text that is too long is an error.
    Error,
    /// Cut the end of the rendered prompt, template included: parity with scripts that do so.
    WholePrompt,
}

impl Truncation {
    /// Every way, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Head, Self::Tail, Self::Middle, Self::Error, Self::WholePrompt];

    /// As written in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Tail => "tail",
            Self::Middle => "middle",
            Self::Error => "error",
            Self::WholePrompt => "whole-prompt",
        }
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Truncation {
    type Err = UnknownTruncation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|way| way.name() == text).ok_or_else(|| UnknownTruncation(text.to_owned()))
    }
}

/// A word that names no truncation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no truncation: write `head`, `tail`, `middle`, `error` or `whole-prompt`")]
pub struct UnknownTruncation(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_spec() {
        for way in Truncation::ALL {
            assert_eq!(serde_json::to_value(way).unwrap(), way.name());
            assert_eq!(way.name().parse(), Ok(way));
        }
        assert_eq!(
            "tale".parse::<Truncation>().unwrap_err().to_string(),
            "`tale` is no truncation: write `head`, `tail`, `middle`, `error` or `whole-prompt`"
        );
    }

    #[test]
    fn only_the_published_clean_up_strips_renderings() {
        let template = || Template::parse(" {text}: ").unwrap();
        let plain = Prompt::single("p", template());
        assert_eq!(plain.views[0].template.render("a").text, " a: ");
        let published = Prompt::new("p", vec![template()], Truncation::Head, Clean::PromptEol);
        assert_eq!(published.views[0].template.render("a").text, "a:");
    }
}
