//! Turns the mirror of the file into the program's own types, once, and collects every problem of meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::ids::{Ids, bad_name};
use super::problem::Problem;
use super::source::SourceError;
use super::{
    Adapter, Axis, Device, Model, Slice, Source, Spec, TaskKind, labels, prompts, readouts, select, tasks, transforms, wire,
};
use crate::prompt::Prompt;

/// What lowering needs to know beside the mirror itself.
pub struct Lowering<'a> {
    text: &'a str,
    path: &'a Path,
    ids: Ids,
    pruned: BTreeSet<usize>,
    problems: Vec<Problem>,
}

impl<'a> Lowering<'a> {
    /// `problems` are those of the file's shape; `pruned` is where tables begin that lost a key over them.
    pub fn new(text: &'a str, path: &'a Path, ids: Ids, pruned: BTreeSet<usize>, problems: Vec<Problem>) -> Self {
        Self { text, path, ids, pruned, problems }
    }

    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// All problems, when the file's mirror cannot be built at all.
    pub fn refused(mut self, why: Problem) -> Vec<Problem> {
        if self.problems.is_empty() {
            self.report(why);
        }
        self.problems
    }

    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The choices that an entry stands for, which is no choice itself.
    pub fn expand(&mut self, axis: Axis, entry: &str, choices: &[String]) {
        self.ids.expand(axis, entry, choices);
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The spec's folder.
    pub fn folder(&self) -> &'a Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether the table that begins there lost a key: what it lacks may be what was misspelt.
    pub fn is_pruned(&self, span: &Range<usize>) -> bool {
        self.pruned.contains(&span.start)
    }

    /// The spec, if nothing is wrong with it.
    pub fn spec(mut self, file: wire::File) -> Result<Spec, Vec<Problem>> {
        let mut wrong_ids = Vec::new();
        self.ids.check(self.text, &mut wrong_ids);
        wrong_ids.extend(file.name.as_ref().and_then(|name| bad_name("name", name)));
        self.problems.append(&mut wrong_ids);
        let models = list(file.model).filter_map(|model| self.model(model)).collect();
        self.idle_documents(file.prompt.as_deref().unwrap_or_default());
        let prompts = self.prompts(file.prompt);
        let readouts = readouts::readouts(file.readout, &mut self);
        let slices: Vec<Slice> = list(file.slice).map(|slice| self.slice(slice.into_inner())).collect();
        let tasks = tasks::tasks(file.task, &mut self);
        let transforms = list(file.transform).filter_map(|entry| transforms::transform(entry, &slices, &mut self)).collect();
        let labels = labels::labels(file.labels, &tasks, &slices, &prompts, &mut self);
        let skips = select::skips(file.grid, &mut self);
        let correction = file.compare.as_ref().map(|compare| compare.correction).unwrap_or_default();
        let reference = select::reference(file.compare, &skips, &mut self);
        let published = list(file.published).map(|entry| self.published(&entry.file)).collect();
        let anchors = list(file.anchor).map(|anchor| select::anchor(anchor.into_inner(), &mut self)).collect();
        let wrong_gate = file.gate.as_ref().map(|gate| gate.get_ref().problems(&gate.span(), &tasks));
        self.problems.extend(wrong_gate.unwrap_or_default());
        self.problems.extend(self.ids.unknown_gates());
        let spec = Spec {
            name: file.name.map(Spanned::into_inner).unwrap_or_default(),
            about: file.about,
            seed: file.seed,
            models,
            prompts,
            readouts,
            transforms,
            slices,
            labels,
            tasks,
            skips: skips.into_iter().map(Spanned::into_inner).collect(),
            reference,
            correction,
            gate: file.gate.map(Spanned::into_inner),
            anchors,
            published,
            path: self.path.to_owned(),
            text: self.text.to_owned(),
        };
        if self.problems.is_empty() { Ok(spec) } else { Err(self.problems) }
    }

    fn model(&mut self, entry: Spanned<wire::Model>) -> Option<Model> {
        let span = entry.span();
        let model = entry.into_inner();
        let (fit_span, endpoint_span) = (model.fit.as_ref().map(Spanned::span), model.endpoint.as_ref().map(Spanned::span));
        let (fit, endpoint) = (model.fit.as_ref().map(Spanned::get_ref), model.endpoint.as_ref().map(Spanned::get_ref));
        let source = match Source::parse(model.source.get_ref(), fit, endpoint) {
            Ok(source) => source,
            Err(SourceError::FitMissing | SourceError::EndpointMissing) if self.is_pruned(&span) => return None,
            Err(error) => {
                let elsewhere = match error {
                    SourceError::FitRefused => fit_span,
                    SourceError::EndpointRefused | SourceError::NoVariable => endpoint_span,
                    _ => None,
                };
                let place = elsewhere.unwrap_or_else(|| model.source.span());
                self.report(Problem::new(place, error.what()).help(error.help()));
                return None;
            }
        };
        let deaf = match source {
            Source::CharNgram { .. } => Some(("`builtin:char-ngram`", "this model has no forward pass")),
            Source::Server { .. } => Some(("an embedding server", "it runs as it was started; `endpoint` has `max_chars`")),
            Source::Path(_) | Source::Gguf(_) | Source::Hub { .. } => None,
        };
        if let Some((what, why)) = deaf {
            let dtype = model.dtype.as_ref().map(|dtype| ("dtype", dtype.span()));
            let device = model.device.as_ref().map(|device| ("device", device.span()));
            let max_tokens = model.max_tokens.as_ref().map(|limit| ("max_tokens", limit.span()));
            let adapter = model.adapter.as_ref().map(|adapter| ("adapter", adapter.span()));
            for (key, place) in [dtype, device, max_tokens, adapter].into_iter().flatten() {
                let message = format!("`{key}` means nothing to {what}");
                self.report(Problem::new(place, message).help(format!("remove `{key}`: {why}")));
            }
        }
        let device = model.device.and_then(|device| self.device(&device)).unwrap_or_default();
        let dtype = model.dtype.map(Spanned::into_inner).unwrap_or_default();
        if let (Source::Gguf(_), Some(adapter)) = (&source, &model.adapter) {
            let problem = Problem::new(adapter.span(), "`adapter` cannot be merged into a quantised file");
            self.report(problem.help("take the model's safetensors folder: `path:DIR` or `hf:REPO`"));
        }
        let adapter = model.adapter.as_ref().and_then(|adapter| self.adapter(adapter));
        let max_tokens = model.max_tokens.map(Spanned::into_inner);
        Some(Model { id: model.id.into_inner(), source, dtype, device, max_tokens, adapter })
    }

    /// A file beside the spec; what it holds is read with the plan.
    fn published(&mut self, file: &Spanned<String>) -> PathBuf {
        let path = self.folder().join(file.get_ref());
        if !path.is_file() {
            let problem = Problem::new(file.span(), format!("there is no file `{}`", path.display()));
            self.report(problem.help("the path is relative to the spec's folder; it is a result file of MTEB"));
        }
        path
    }

    fn adapter(&mut self, address: &Spanned<String>) -> Option<Adapter> {
        let parsed = address.get_ref().parse();
        parsed.map_err(|error: SourceError| self.report(Problem::new(address.span(), error.what()).help(error.help()))).ok()
    }

    fn device(&mut self, device: &Spanned<String>) -> Option<Device> {
        match device.get_ref().parse() {
            Ok(device) => Some(device),
            Err(error) => {
                let message = format!("`device` cannot be `{}`", device.get_ref());
                self.report(Problem::new(device.span(), message).help(error.help));
                None
            }
        }
    }

    /// Complains of prompts that have something for documents, where nothing is searched.
    fn idle_documents(&mut self, prompts: &[Spanned<wire::Prompt>]) {
        let named = |kinds: &[Spanned<String>]| kinds.iter().any(|kind| kind.get_ref() == TaskKind::Retrieval.name());
        if self.ids.on(Axis::Task).is_none_or(named) {
            return;
        }
        for documents in prompts.iter().filter_map(|prompt| prompt.get_ref().documents.as_ref()) {
            let problem = Problem::new(documents.span(), "`documents` is for `retrieval`, which is no task of this spec");
            self.report(problem.help("remove it, or add `[[task]]` with kind = \"retrieval\""));
        }
    }

    fn prompts(&mut self, entries: Option<Vec<Spanned<wire::Prompt>>>) -> Vec<Prompt> {
        match entries.filter(|entries| !entries.is_empty()) {
            Some(entries) => entries.into_iter().flat_map(|entry| prompts::prompts(entry, self)).collect(),
            None => prompts::bare(super::ids::DEFAULT_PROMPT).into_iter().collect(),
        }
    }

    fn slice(&mut self, slice: wire::Slice) -> Slice {
        let labels = slice.labels.unwrap_or_default();
        for (i, label) in labels.iter().enumerate() {
            if labels[..i].iter().any(|earlier| earlier.get_ref() == label.get_ref()) {
                let problem = Problem::new(label.span(), format!("label `{}` is there twice", label.get_ref()));
                self.report(problem.help("list each label once"));
            }
        }
        if let (Some(shortest), Some(longest)) = (&slice.min_chars, slice.max_chars)
            && *shortest.get_ref() > longest
        {
            let message = format!("`min_chars` is {shortest}, which is more than `max_chars`, {longest}");
            self.report(Problem::new(shortest.span(), message).help("no text is that long and that short"));
        }
        Slice {
            id: slice.id.into_inner(),
            dataset: slice.dataset,
            split: slice.split,
            labels: labels.into_iter().map(Spanned::into_inner).collect(),
            rename: in_file_order(slice.rename).into_iter().map(|(old, new)| (old.into_inner(), new)).collect(),
            limit: slice.limit,
            per_label: slice.per_label,
            min_chars: slice.min_chars.map(Spanned::into_inner),
            max_chars: slice.max_chars,
        }
    }
}

fn list<T>(entries: Option<Vec<T>>) -> impl Iterator<Item = T> {
    entries.into_iter().flatten()
}

/// The entries of a table as they stand in the file.
pub fn in_file_order<T>(table: BTreeMap<Spanned<String>, T>) -> Vec<(Spanned<String>, T)> {
    let mut pairs: Vec<_> = table.into_iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

/// Where bytes `inner` of a string value are in the file: exactly, if the string is written without escapes.
pub fn place(text: &str, value: &Spanned<String>, inner: Option<Range<usize>>) -> Range<usize> {
    let outer = value.span();
    let start = text.get(outer.clone()).and_then(|raw| raw.find(value.get_ref().as_str()));
    match (start, inner) {
        (Some(start), Some(inner)) => outer.start + start + inner.start..outer.start + start + inner.end,
        _ => outer,
    }
}
