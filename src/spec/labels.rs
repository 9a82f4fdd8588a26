//! Lowering of `[[labels]]`: names and phrases, templates over them, samples, and several of these together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::either::OneOrMany;
use super::ids::{DEFAULT_LABELS, Ids};
use super::lower::{Lowering, in_file_order, place};
use super::problem::Problem;
use super::suggest::suggest;
use super::{Axis, Slice, Task, TaskKind, wire};
use crate::prompt::{LabelTemplate, Prompt, catalogue};

/// How labels are worded.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSet {
    pub id: String,
    pub words: StandIn,
}

/// What stands for a label: words, texts that have it, or both.
#[derive(Clone, Debug, PartialEq)]
pub enum StandIn {
    Phrased(Phrased),
    Samples(Samples),
    /// Ids of other sets, none of them an ensemble; each counts alike.
    Ensemble(Vec<String>),
}

/// Names and phrases; several of one label are averaged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrased {
    /// Phrases by label, in file order; a label that is not listed goes by its bare name.
    pub phrases: Vec<(String, Vec<String>)>,
    /// What each name or phrase is put into, one phrasing each; empty: they stand as they are.
    pub templates: Vec<LabelTemplate>,
    /// Examples of what belongs to a label, for templates that want them.
    pub examples: Vec<(String, String)>,
    /// Prompt for the phrasings (a `[[prompt]]` id or a catalogue name); the cell's own prompt when absent.
    pub prompt: Option<Prompt>,
}

/// Labelled texts as prototypes, under the cell's prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// Texts of each label, at least 1.
    pub shots: usize,
    pub from: Labelled,
}

/// Labelled texts that samples are drawn from, but for those that a slice scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// A dataset's name.
    #[schemars(length(min = 1))]
    pub dataset: String,
    /// One of its splits.
    #[schemars(length(min = 1))]
    pub split: String,
    /// Seed of the draw; the experiment's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Phrased {
    /// The same with one phrase of each label: the first, then the second, or the last where there are fewer. None where no label
    /// has several.
    fn singles(&self) -> Vec<Self> {
        let most = self.phrases.iter().map(|(_, phrases)| phrases.len()).max().unwrap_or(0);
        let only = |phrases: &[String], place: usize| phrases.get(place).or(phrases.last()).cloned().into_iter().collect();
        let single = |place: usize| {
            let phrases = self.phrases.iter().map(|(label, phrases)| (label.clone(), only(phrases, place)));
            Self { phrases: phrases.collect(), ..self.clone() }
        };
        if most < 2 { Vec::new() } else { (0..most).map(single).collect() }
    }
}

impl LabelSet {
    /// Labels by their bare names.
    pub fn names(id: &str) -> Self {
        Self { id: id.to_owned(), words: StandIn::Phrased(Phrased::default()) }
    }

    /// The labels' own prompt, if they have one.
    pub const fn prompt(&self) -> Option<&Prompt> {
        match &self.words {
            StandIn::Phrased(phrased) => phrased.prompt.as_ref(),
            StandIn::Samples(_) | StandIn::Ensemble(_) => None,
        }
    }
}

/// How labels are worded, in a spec that scores labels.
pub fn labels(
    entries: Option<Vec<Spanned<wire::Labels>>>,
    tasks: &[Task],
    slices: &[Slice],
    prompts: &[Prompt],
    lowering: &mut Lowering<'_>,
) -> Vec<LabelSet> {
    if tasks.iter().any(|task| task.kind() == TaskKind::LabelSimilarity) {
        let entries = entries.unwrap_or_default();
        if entries.is_empty() {
            return vec![LabelSet::names(DEFAULT_LABELS)];
        }
        let ensembles: Vec<String> = (entries.iter().map(Spanned::get_ref))
            .filter(|entry| entry.ensemble.is_some())
            .map(|entry| entry.id.get_ref().clone())
            .collect();
        let known = known_labels(lowering.ids(), slices);
        let mut scope = Scope { lowering, prompts, ensembles, known };
        return entries.into_iter().flat_map(|entry| scope.sets(entry.into_inner())).collect();
    }
    if let Some(first) = entries.iter().flatten().next() {
        let problem = Problem::new(first.get_ref().id.span(), "`[[labels]]` means nothing to the tasks of this spec");
        lowering.report(problem.help("only `label-similarity` words labels: remove it, or add that task"));
    }
    Vec::new()
}

/// Every label of every slice, if each slice lists its labels.
fn known_labels(ids: &Ids, slices: &[Slice]) -> Option<Vec<String>> {
    let all = ids.on(Axis::Slice)?.len() == slices.len();
    let listed = slices.iter().all(|slice| !slice.labels.is_empty());
    (all && listed).then(|| slices.iter().flat_map(|slice| slice.labels.iter().cloned()).collect())
}

/// What lowering a set needs to know beside its entry.
struct Scope<'s, 'a> {
    lowering: &'s mut Lowering<'a>,
    prompts: &'s [Prompt],
    /// Ids of sets that are ensembles.
    ensembles: Vec<String>,
    known: Option<Vec<String>>,
}

impl Scope<'_, '_> {
    /// What one entry stands for: a set, and one for each of its phrases where these are scored alone too.
    fn sets(&mut self, mut entry: wire::Labels) -> Vec<LabelSet> {
        let alone = entry.alone.take().filter(|alone| *alone.get_ref());
        let Some(set) = self.set(entry) else { return Vec::new() };
        let Some(alone) = alone else { return vec![set] };
        let single = match &set.words {
            StandIn::Phrased(phrased) => phrased.singles(),
            StandIn::Samples(_) | StandIn::Ensemble(_) => Vec::new(),
        };
        if single.is_empty() {
            let problem = Problem::new(alone.span(), "`alone` tells phrases apart, and no label here has several");
            self.lowering.report(problem.help("list several phrases of a label: phrases.\"label\" = [\"...\", \"...\"]"));
        }
        let named = (1..)
            .zip(single)
            .map(|(number, phrased)| LabelSet { id: format!("{}@{number}", set.id), words: StandIn::Phrased(phrased) });
        let sets: Vec<LabelSet> = std::iter::once(set.clone()).chain(named).collect();
        let ids: Vec<String> = sets.iter().map(|set| set.id.clone()).collect();
        self.lowering.expand(Axis::Labels, &set.id, &ids);
        sets
    }

    /// One set; None for one whose mistakes were reported.
    fn set(&mut self, entry: wire::Labels) -> Option<LabelSet> {
        let id = entry.id.get_ref().clone();
        let shots = entry.shots.as_ref().filter(|shots| *shots.get_ref() > 0);
        let sole = match (&entry.ensemble, shots) {
            (Some(ensemble), _) => Some(("ensemble", ensemble.span())),
            (None, Some(shots)) => Some(("shots", shots.span())),
            (None, None) => None,
        };
        if let Some((key, place)) = sole {
            self.alone(key, place, &entry);
        }
        let wire::Labels { phrases, template, examples, prompt, ensemble, shots, from, .. } = entry;
        if let Some(members) = ensemble {
            return Some(LabelSet { words: StandIn::Ensemble(self.members(&id, members)), id });
        }
        match (shots, from) {
            (Some(shots), Some(from)) if *shots.get_ref() > 0 => {
                let samples = Samples { shots: shots.into_inner(), from: from.into_inner() };
                return Some(LabelSet { id, words: StandIn::Samples(samples) });
            }
            (Some(shots), None) if *shots.get_ref() > 0 => {
                let problem = Problem::new(shots.span(), "`shots` has no `from` that says where texts are drawn from");
                self.lowering.report(problem.help("add `from = { dataset = \"...\", split = \"...\" }`"));
                return None;
            }
            (None, Some(from)) => {
                let problem = Problem::new(from.span(), "`from` goes with `shots`, and these labels have none");
                self.lowering.report(problem.help("say how many texts of each label are drawn: `shots = 4`"));
            }
            _ => {}
        }
        let templates = template.map(|template| self.templates(template)).unwrap_or_default();
        if let Some((first, _)) = examples.first_key_value().filter(|_| !templates.iter().any(LabelTemplate::wants_examples)) {
            let problem = Problem::new(first.span(), "`examples` go into `{examples}` of a `template`, and there is none");
            self.lowering.report(problem.help("write, say, `template = \"{label}，例如{examples}\"`"));
        }
        let phrased = Phrased {
            phrases: self.by_label(phrases),
            templates,
            examples: self.by_label(examples),
            prompt: prompt.and_then(|name| self.prompt(&name)),
        };
        Some(LabelSet { id, words: StandIn::Phrased(phrased) })
    }

    /// Complains of words beside samples, or of either beside an ensemble.
    fn alone(&mut self, key: &str, place: std::ops::Range<usize>, entry: &wire::Labels) {
        let others = [
            ("phrases", entry.phrases.first_key_value().map(|(label, _)| label.span())),
            ("template", entry.template.as_ref().map(Spanned::span)),
            ("examples", entry.examples.first_key_value().map(|(label, _)| label.span())),
            ("prompt", entry.prompt.as_ref().map(Spanned::span)),
            ("shots", entry.shots.as_ref().filter(|_| key == "ensemble").map(Spanned::span)),
        ];
        if let Some((other, _)) = others.into_iter().find(|(_, span)| span.is_some()) {
            let problem = Problem::new(place, format!("these labels have both `{key}` and `{other}`"));
            let help = if key == "ensemble" {
                "an ensemble has the words of its members: put these into a `[[labels]]` of their own and name it there"
            } else {
                "make two `[[labels]]` of them, and a third with `ensemble` for both together"
            };
            self.lowering.report(problem.help(help));
        }
    }

    fn members(&mut self, own: &str, members: Spanned<Vec<Spanned<String>>>) -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for member in members.into_inner() {
            let id = member.get_ref();
            let wrong = if let Some(problem) = self.lowering.ids().unknown(Axis::Labels, &member) {
                Some(problem)
            } else if id == own || self.ensembles.contains(id) {
                let problem = Problem::new(member.span(), format!("`{id}` is an ensemble itself"));
                Some(problem.help("name the sets that it is made of"))
            } else {
                let twice = kept.contains(id).then(|| Problem::new(member.span(), format!("`{id}` is in this ensemble twice")));
                twice.map(|problem| problem.help("each set counts alike: name it once"))
            };
            match wrong {
                Some(problem) => self.lowering.report(problem),
                None => kept.push(member.into_inner()),
            }
        }
        kept
    }

    fn templates(&mut self, templates: Spanned<OneOrMany>) -> Vec<LabelTemplate> {
        let parse = |template: Spanned<String>| match LabelTemplate::parse(template.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let place = place(self.lowering.text(), &template, error.span());
                self.lowering.report(Problem::new(place, error.what()).help(error.help()));
                None
            }
        };
        OneOrMany::all(templates).into_iter().filter_map(parse).collect()
    }

    /// Values by label in file order; labels that no slice has are reported.
    fn by_label<T>(&mut self, table: BTreeMap<Spanned<String>, T>) -> Vec<(String, T)> {
        let pairs = in_file_order(table);
        for (label, _) in &pairs {
            let name = label.get_ref();
            let Some(known) = self.known.as_ref().filter(|known| !known.contains(name)) else { continue };
            let help = match suggest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to a slice's `labels`, or remove its phrasings".to_owned(),
            };
            self.lowering.report(Problem::new(label.span(), format!("no slice has the label `{name}`")).help(help));
        }
        pairs.into_iter().map(|(label, value)| (label.into_inner(), value)).collect()
    }

    fn prompt(&mut self, name: &Spanned<String>) -> Option<Prompt> {
        let id = name.get_ref();
        if let Some(prompt) = self.prompts.iter().find(|prompt| prompt.id == *id) {
            return Some(prompt.clone());
        }
        let ids = self.lowering.ids().on(Axis::Prompt)?;
        if ids.iter().any(|known| known.get_ref() == id) {
            return None;
        }
        if let Some(entry) = catalogue::find(id) {
            return Some(entry.prompt(id));
        }
        let known = ids.iter().map(|known| known.get_ref().as_str()).chain(catalogue::ENTRIES.iter().map(|entry| entry.name));
        let help = match suggest(id, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write the id of a `[[prompt]]`, or the name of a built-in prompt".to_owned(),
        };
        self.lowering.report(Problem::new(name.span(), format!("there is no prompt `{id}`")).help(help));
        None
    }
}
