//! A model's own chat format: the Jinja template that its tokenizer's files carry.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde_json::Value;

use super::error::ModelError;
use crate::prompt::{Chat, Rendered};

const FILE: &str = "chat_template.jinja";

/// Stands for a message, to find its place: characters that no template holds.
const MARK: &str = "\u{e000}\u{e001}";

/// Steps after which a template is taken to run for ever.
const PATIENCE: u64 = 1_000_000;

/// A chat template, compiled, which knows the special tokens by their keys.
///
/// It is told no time, so that a text's vector does not depend on the day it was made: templates that name one fall back on a
/// date of their own.
#[derive(Debug)]
pub struct ChatTemplate {
    path: PathBuf,
    source: String,
    /// Or why the template is no Jinja, which matters only where it is used.
    environment: Result<Environment<'static>, String>,
}

impl ChatTemplate {
    /// Reads `chat_template.jinja`, or `chat_template` of `config`, which is from `config_path`; `None` where there is neither.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(
        folder: &Path,
        config_path: &Path,
        config: &Value,
        tokens: BTreeMap<&'static str, String>,
    ) -> Result<Option<Self>, ModelError> {
        let file = folder.join(FILE);
        let (path, source) = if file.is_file() {
            let source = fs::read_to_string(&file).map_err(|source| ModelError::Read { path: file.clone(), source })?;
            (file, source)
        } else {
            let Some(source) = named(config.get("chat_template")) else { return Ok(None) };
            (config_path.to_owned(), source.to_owned())
        };
        let environment = environment(source.clone(), tokens).map_err(|error| told(&error));
        Ok(Some(Self { path, source, environment }))
    }

    /// The text of the template, where it has a file of its own.
    pub fn file(&self) -> Option<&str> {
        self.path.ends_with(FILE).then_some(&self.source)
    }

    /// The conversation in which `message` is what the user says, up to where the answer goes on.
    ///
    /// # Errors
    /// What the template itself refuses, such as a system's message, or does wrong.
    pub fn render(&self, chat: &Chat, message: &str) -> Result<String, ModelError> {
        let said = |role: &str, content: &str| BTreeMap::from([("role", role.to_owned()), ("content", content.to_owned())]);
        let system = chat.system.iter().map(|system| said("system", system));
        let messages: Vec<_> = system.chain([said("user", message)]).collect();
        let rendered = self.environment.as_ref().map_err(Clone::clone).and_then(|environment| {
            let template = environment.get_template("chat");
            let conversation = context! { messages, add_generation_prompt => true };
            template.and_then(|template| template.render(conversation)).map_err(|error| told(&error))
        });
        let text = rendered.map_err(|reason| ModelError::ChatTemplate { path: self.path.clone(), reason })?;
        Ok(text + chat.answer.as_deref().unwrap_or_default())
    }

    /// The same with the places of the message's slots, so that they can be cut.
    ///
    /// # Errors
    /// Those of [`ChatTemplate::render`], and a template that does more to the message than taking outer white space from it.
    pub fn locate(&self, chat: &Chat, message: &Rendered) -> Result<Rendered, ModelError> {
        let text = self.render(chat, &message.text)?;
        let marked = self.render(chat, MARK)?;
        let around = marked.split_once(MARK).and_then(|(before, after)| {
            let inside = text.strip_prefix(before)?.strip_suffix(after)?;
            let lost = message.text.find(inside).filter(|_| inside.trim() == message.text.trim())?;
            Some((before.len(), inside.len(), lost))
        });
        let Some((start, length, lost)) = around else {
            return Err(ModelError::ChatChanges { path: self.path.clone() });
        };
        let place = |at: usize| start + at.saturating_sub(lost).min(length);
        let slots = message.slots.iter().map(|slot| place(slot.start)..place(slot.end)).collect();
        Ok(Rendered { text, slots })
    }
}

/// One template, or the default one of several.
fn named(value: Option<&Value>) -> Option<&str> {
    match value? {
        Value::String(template) => Some(template),
        Value::Array(several) => {
            let default = several.iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            default?.get("template")?.as_str()
        }
        _ => None,
    }
}

/// What is wrong, and in which line of the template.
fn told(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    error.line().map_or_else(|| what.clone(), |line| format!("{what} (line {line})"))
}

/// Jinja as transformers sets it up.
fn environment(source: String, tokens: BTreeMap<&'static str, String>) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(PATIENCE));
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    tokens.into_iter().for_each(|(key, token)| environment.add_global(key, token));
    environment.add_template_owned("chat", source)?;
    Ok(environment)
}
