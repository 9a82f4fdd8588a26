//! Lowering of `[[prompt]]`: built-in, written out, several views, or several prompts in one entry.

use std::ops::Range;

use toml::Spanned;

use super::either::{self, Views};
use super::lower::{Lowering, place};
use super::problem::Problem;
use super::suggest::suggest;
use super::{Axis, wire};
use crate::prompt::{Chat, Clean, Fuse, Prompt, Template, Truncation, View, catalogue};

/// What one entry stands for; nothing, where something is wrong with it.
pub fn prompts(entry: Spanned<wire::Prompt>, lowering: &mut Lowering<'_>) -> Vec<Prompt> {
    let span = entry.span();
    let entry = entry.into_inner();
    misplaced(&entry, lowering);
    let text = |value: Option<&Spanned<String>>| value.map(|value| value.get_ref().clone());
    let chat = entry.chat.then(|| Chat { system: text(entry.system.as_ref()), answer: text(entry.answer.as_ref()) });
    let id = entry.id.get_ref();
    let Some(written) = written(span, &entry, lowering) else { return Vec::new() };
    let documents = match entry.documents.as_ref().map(|documents| view(documents, lowering)) {
        Some(None) => return Vec::new(),
        documents => documents.flatten(),
    };
    let Some((written, documents)) = filled(written, documents, &entry, lowering) else { return Vec::new() };
    let prompts: Vec<Prompt> = match written {
        Written::One(views) => vec![prompt(id.clone(), views, documents, &entry, lowering)],
        Written::Each(several) => {
            let ids: Vec<String> = (1..=several.len()).map(|number| format!("{id}@{number}")).collect();
            lowering.expand(Axis::Prompt, id, &ids);
            let each = |(id, view)| prompt(id, vec![view], documents.clone(), &entry, lowering);
            ids.into_iter().zip(several).map(each).collect()
        }
    };
    prompts.into_iter().map(|prompt| chat.iter().fold(prompt, Prompt::in_chat)).collect()
}

/// The prompt of a spec without `[[prompt]]`: the bare text.
pub fn bare(id: &str) -> Option<Prompt> {
    catalogue::find("raw").map(|entry| entry.prompt_with(id, Truncation::default(), entry.clean))
}

/// Keys that mean nothing beside what the entry has.
fn misplaced(entry: &wire::Prompt, lowering: &mut Lowering<'_>) {
    if let (Some(fuse), None) = (&entry.fuse, &entry.views) {
        let problem = Problem::new(fuse.span(), "`fuse` goes with `views`, and this prompt has none");
        lowering.report(problem.help("remove `fuse`, or list several templates in `views`"));
    }
    for (key, value) in [("system", entry.system.as_ref()), ("answer", entry.answer.as_ref())] {
        if let Some(value) = value.filter(|_| !entry.chat) {
            let problem = Problem::new(value.span(), format!("`{key}` is part of a chat, and this prompt is none"));
            lowering.report(problem.help(format!("add `chat = true`, or remove `{key}`")));
        }
    }
}

/// The views of one prompt, or those of several prompts.
enum Written {
    One(Vec<Viewed>),
    Each(Vec<Viewed>),
}

/// What one item of `views` stands for.
#[derive(Clone)]
struct Viewed {
    views: Vec<View>,
    /// The built-in prompt that it is.
    entry: Option<&'static catalogue::Entry>,
}

impl Viewed {
    fn template(template: Template) -> Self {
        Self { views: vec![template.into()], entry: None }
    }

    fn entry(entry: &'static catalogue::Entry) -> Self {
        Self { views: entry.templates().into_iter().map(View::from).collect(), entry: Some(entry) }
    }

    fn clean(&self) -> Clean {
        self.entry.map(|entry| entry.clean).unwrap_or_default()
    }
}

fn prompt(
    id: String,
    viewed: Vec<Viewed>,
    documents: Option<Viewed>,
    entry: &wire::Prompt,
    lowering: &mut Lowering<'_>,
) -> Prompt {
    let mut cleans: Vec<Clean> = viewed.iter().map(Viewed::clean).collect();
    cleans.dedup();
    if let (None, [_, _, ..], Some(views)) = (entry.clean, cleans.as_slice(), &entry.views) {
        let problem = Problem::new(views.span(), "these views were published with different clean-ups of their texts");
        lowering.report(problem.help("say which: `clean = \"none\"` or `clean = \"prompteol\"`"));
    }
    let clean = entry.clean.or(cleans.first().copied()).unwrap_or_default();
    let views = viewed.into_iter().flat_map(|viewed| viewed.views).collect();
    let fuse = entry.fuse.as_ref().map_or_else(Fuse::default, |fuse| *fuse.get_ref());
    let documents = documents.map(|viewed| {
        let clean = entry.clean.unwrap_or(viewed.clean());
        Box::new(Prompt { fuse, ..Prompt::new(&id, viewed.views, entry.truncate, clean) })
    });
    Prompt { fuse, documents, ..Prompt::new(id, views, entry.truncate, clean) }
}

/// What the entry says of `use`, `template`, `templates` and `views`.
fn written(span: Range<usize>, entry: &wire::Prompt, lowering: &mut Lowering<'_>) -> Option<Written> {
    let mut given = [
        entry.entry.as_ref().map(|name| ("use", name.span())),
        entry.template.as_ref().map(|template| ("template", template.span())),
        entry.views.as_ref().map(|views| ("views", views.span())),
        entry.templates.as_ref().map(|templates| ("templates", templates.span())),
    ]
    .into_iter()
    .flatten();
    if let (Some((first, _)), Some((second, place))) = (given.next(), given.next()) {
        let problem = Problem::new(place, format!("this prompt has both `{first}` and `{second}`"));
        lowering.report(problem.help("keep one of `use`, `template`, `templates` and `views`"));
        return None;
    }
    if let Some(name) = &entry.entry {
        return Some(Written::One(vec![Viewed::entry(catalogue::find(name.get_ref())?)]));
    }
    if let Some(template) = &entry.template {
        return Some(Written::One(vec![Viewed::template(parse(template, lowering)?)]));
    }
    if let Some(views) = &entry.views {
        return parse_views(views, lowering).map(Written::One);
    }
    if let Some(templates) = &entry.templates {
        return parse_views(templates, lowering).map(Written::Each);
    }
    if !lowering.is_pruned(&span) {
        let problem = Problem::new(span, "`[[prompt]]` has neither `use` nor `template` nor `views`");
        lowering.report(problem.help("name a built-in prompt with `use`, or write `template = \"... {text} ...\"`"));
    }
    None
}

/// The same with `fill` in the slots that it names, and with what built-in prompts put into those it does not; so for documents.
fn filled(
    written: Written,
    documents: Option<Viewed>,
    entry: &wire::Prompt,
    lowering: &mut Lowering<'_>,
) -> Option<(Written, Option<Viewed>)> {
    let (mut viewed, each) = match written {
        Written::One(viewed) => (viewed, false),
        Written::Each(viewed) => (viewed, true),
    };
    // Behind the others, and taken from there again.
    let apart = documents.is_some();
    viewed.extend(documents);
    let templates = || viewed.iter().flat_map(|viewed| &viewed.views).map(|view| &view.template);
    let names: Vec<String> = templates().flat_map(Template::names).map(str::to_owned).collect();
    let mut sound = true;
    for (name, value) in &entry.fill {
        let problem = if names.contains(name.get_ref()) {
            let error = templates().find_map(|template| template.clone().with(name.get_ref(), value.get_ref()).err());
            error.map(|error| (place(lowering.text(), value, error.span()), error.what(), error.help()))
        } else {
            let help = match suggest(name.get_ref(), names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "its only slot is that of the text".to_owned(),
                None => {
                    format!("its slots are {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
                }
            };
            Some((name.span(), format!("this prompt has no slot `{{{}}}` to fill", name.get_ref()), help))
        };
        if let Some((place, what, help)) = problem {
            lowering.report(Problem::new(place, what).help(help));
            sound = false;
        }
    }
    for viewed in &mut viewed {
        let built_in = viewed.entry;
        for view in &mut viewed.views {
            for (name, value) in &entry.fill {
                if let Ok(filled) = view.template.clone().with(name.get_ref(), value.get_ref()) {
                    view.template = filled;
                }
            }
            if let Some(entry) = built_in {
                view.template = entry.fill(view.template.clone());
            }
        }
    }
    let documents = if apart { viewed.pop() } else { None };
    sound.then_some((if each { Written::Each(viewed) } else { Written::One(viewed) }, documents))
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

fn parse_views(views: &Spanned<Views>, lowering: &mut Lowering<'_>) -> Option<Vec<Viewed>> {
    let parsed: Vec<Option<Viewed>> = match views.get_ref() {
        Views::Inline(views) => views.iter().map(|entry| view(entry, lowering)).collect(),
        Views::File(view_file) => parse_file(&view_file.file, lowering)?,
    };
    // An empty list was reported as such, or held nothing but mistakes.
    parsed.into_iter().collect::<Option<Vec<_>>>().filter(|views| !views.is_empty())
}

fn view(entry: &Spanned<either::View>, lowering: &mut Lowering<'_>) -> Option<Viewed> {
    let span = entry.span();
    let table = match entry.get_ref() {
        either::View::Template(template) => {
            return parse(&Spanned::new(span, template.clone()), lowering).map(Viewed::template);
        }
        either::View::Table(table) => table,
    };
    let viewed = match (&table.entry, &table.template) {
        (Some(name), None) => Viewed::entry(catalogue::find(name.get_ref())?),
        (None, Some(template)) => Viewed::template(parse(template, lowering)?),
        (entry, _) => {
            let what = if entry.is_some() { "both `use` and `template`" } else { "neither `use` nor `template`" };
            if !lowering.is_pruned(&span) {
                let problem = Problem::new(span, format!("this view has {what}"));
                lowering
                    .report(problem.help("write one of them, and what it reads: { use = \"...\", readout = { layer = -2 } }"));
            }
            return None;
        }
    };
    let views = viewed.views.into_iter().map(|view| View { differently: table.readout.clone(), ..view }).collect();
    Some(Viewed { views, ..viewed })
}

fn parse_file(file: &Spanned<String>, lowering: &mut Lowering<'_>) -> Option<Vec<Option<Viewed>>> {
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
            Ok(template) => Some(Viewed::template(template)),
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
