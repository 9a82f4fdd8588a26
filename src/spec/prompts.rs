//! Lowering of `[[prompt]]`: built-in, written out, or several views.

use std::ops::Range;

use toml::Spanned;

use super::either::Views;
use super::lower::Lowering;
use super::problem::Problem;
use super::wire;
use crate::prompt::{Chat, Prompt, Template, Truncation, catalogue};

/// One entry, or what is wrong with it.
pub fn prompt(entry: Spanned<wire::Prompt>, lowering: &mut Lowering<'_>) -> Option<Prompt> {
    let span = entry.span();
    let prompt = entry.into_inner();
    if let (Some(fuse), None) = (&prompt.fuse, &prompt.views) {
        let problem = Problem::new(fuse.span(), "`fuse` goes with `views`, and this prompt has none");
        lowering.report(problem.help("remove `fuse`, or list several templates in `views`"));
    }
    let (system, answer) = (prompt.system.as_ref(), prompt.answer.as_ref());
    for (key, value) in [("system", system), ("answer", answer)] {
        if let Some(value) = value.filter(|_| !prompt.chat) {
            let problem = Problem::new(value.span(), format!("`{key}` is part of a chat, and this prompt is none"));
            lowering.report(problem.help(format!("add `chat = true`, or remove `{key}`")));
        }
    }
    let text = |value: Option<&Spanned<String>>| value.map(|value| value.get_ref().clone());
    let chat = prompt.chat.then(|| Chat { system: text(system), answer: text(answer) });
    let plain = plain(span, &prompt, lowering)?;
    Some(chat.iter().fold(plain, Prompt::in_chat))
}

/// The prompt without a chat around it.
fn plain(span: Range<usize>, prompt: &wire::Prompt, lowering: &mut Lowering<'_>) -> Option<Prompt> {
    let id = prompt.id.get_ref();
    let clean = prompt.clean.unwrap_or_default();
    match (&prompt.entry, &prompt.template, &prompt.views) {
        (Some(name), None, None) => {
            let entry = catalogue::find(name.get_ref())?;
            Some(entry.prompt_with(id, prompt.truncate, prompt.clean.unwrap_or(entry.clean)))
        }
        (None, Some(template), None) => {
            let views = vec![parse(template, lowering)?];
            Some(Prompt::new(id, views, prompt.truncate, clean))
        }
        (None, None, Some(views)) => {
            let views = parse_views(views, lowering)?;
            Some(Prompt::new(id, views, prompt.truncate, clean))
        }
        (None, None, None) => {
            if !lowering.is_pruned(&span) {
                let problem = Problem::new(span, "`[[prompt]]` has neither `use` nor `template` nor `views`");
                lowering.report(problem.help("name a built-in prompt with `use`, or write `template = \"... {text} ...\"`"));
            }
            None
        }
        (name, template, views) => {
            let mut given = [
                name.as_ref().map(|name| ("use", name.span())),
                template.as_ref().map(|template| ("template", template.span())),
                views.as_ref().map(|views| ("views", views.span())),
            ]
            .into_iter()
            .flatten();
            if let (Some((first, _)), Some((second, place))) = (given.next(), given.next()) {
                let problem = Problem::new(place, format!("this prompt has both `{first}` and `{second}`"));
                lowering.report(problem.help("keep one of `use`, `template` and `views`"));
            }
            None
        }
    }
}

/// The prompt of a spec without `[[prompt]]`: the bare text.
pub fn bare(id: &str) -> Option<Prompt> {
    catalogue::find("raw").map(|entry| entry.prompt_with(id, Truncation::default(), entry.clean))
}

fn parse(template: &Spanned<String>, lowering: &mut Lowering<'_>) -> Option<Template> {
    match Template::parse(template.get_ref()) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            let place = place(lowering.text(), template, error.span());
            lowering.report(Problem::new(place, error.what()).help(error.help()));
            None
        }
    }
}

fn parse_views(views: &Spanned<Views>, lowering: &mut Lowering<'_>) -> Option<Vec<Template>> {
    let parsed: Vec<Option<Template>> = match views.get_ref() {
        Views::Inline(templates) => templates.iter().map(|template| parse(template, lowering)).collect(),
        Views::File(view_file) => parse_file(&view_file.file, lowering)?,
    };
    // An empty list was reported as such, or held nothing but mistakes.
    parsed.into_iter().collect::<Option<Vec<_>>>().filter(|views| !views.is_empty())
}

fn parse_file(file: &Spanned<String>, lowering: &mut Lowering<'_>) -> Option<Vec<Option<Template>>> {
    let name = file.get_ref();
    let text = match std::fs::read_to_string(lowering.folder().join(name)) {
        Ok(text) => text,
        Err(error) => {
            let problem = Problem::new(file.span(), format!("cannot read `{name}`: {error}"));
            lowering.report(problem.help("the path is relative to the spec's folder; the file is UTF-8, one template a line"));
            return None;
        }
    };
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut parsed = Vec::new();
    for (i, line) in lines {
        parsed.push(match Template::parse(line) {
            Ok(template) => Some(template),
            Err(error) => {
                let message = format!("line {} of `{name}`: {}", i + 1, error.what());
                lowering.report(Problem::new(file.span(), message).help(error.help()));
                None
            }
        });
    }
    if parsed.is_empty() {
        let problem = Problem::new(file.span(), format!("`{name}` holds no template"));
        lowering.report(problem.help("write one template a line"));
    }
    Some(parsed)
}

/// Where bytes `inner` of a string value are in the file: exactly, if the string is written without escapes.
fn place(text: &str, value: &Spanned<String>, inner: Option<Range<usize>>) -> Range<usize> {
    let outer = value.span();
    let start = text.get(outer.clone()).and_then(|raw| raw.find(value.get_ref().as_str()));
    match (start, inner) {
        (Some(start), Some(inner)) => outer.start + start + inner.start..outer.start + start + inner.end,
        _ => outer,
    }
}
