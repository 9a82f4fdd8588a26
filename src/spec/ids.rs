//! The ids on each axis, read from the file's tree before anything else: an entry with a mistake keeps its id, so that
//! references to it are no mistakes of their own.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, position};
use super::suggest::did_you_mean;
use super::{Axis, Calibration, TaskKind};

/// Ids of the entries on each axis.
pub struct Ids {
    /// In the order of [`Axis::ALL`]. `None` where an id cannot be told: then nothing can be said to be unknown.
    axes: Vec<(Axis, Option<Vec<Spanned<String>>>)>,
    /// Slices that the gate has limits of their own for.
    gates: Vec<Spanned<String>>,
    /// Entries that stand for several choices, whose ids are theirs, `@`, and a word of their own.
    families: Vec<Family>,
}

/// An entry that stands for several choices.
struct Family {
    axis: Axis,
    id: String,
    /// Whether its choices are known before there is a plan.
    open: bool,
}

/// The entry that a choice's id says it is from; the id itself where no entry stands for several.
pub fn family(id: &str) -> &str {
    id.split_once('@').map_or(id, |(family, _)| family)
}

/// Id of the prompt that a spec without `[[prompt]]` has.
pub const DEFAULT_PROMPT: &str = "raw";
/// Id of the readout that a spec without `[[readout]]` has.
pub const DEFAULT_READOUT: &str = "own";
/// Id of the transform that every spec has: none at all.
pub const PLAIN: &str = "none";
/// Id of the wording that a spec without `[[labels]]` has.
pub const DEFAULT_LABELS: &str = "names";

impl Ids {
    /// Reads the tree of a file as it was written.
    pub fn of(table: &DeTable<'_>) -> Self {
        let axes = Axis::ALL.iter().map(|&axis| {
            let ids = match axis {
                Axis::Model | Axis::Slice => entry_ids(table, axis, None),
                Axis::Prompt => entry_ids(table, axis, Some(DEFAULT_PROMPT)),
                Axis::Readout => entry_ids(table, axis, Some(DEFAULT_READOUT)),
                Axis::Transform => with_plain(table),
                Axis::Labels => entry_ids(table, axis, Some(DEFAULT_LABELS)),
                Axis::Task => kinds(table),
                Axis::Calibration => calibrations(table),
            };
            (axis, ids)
        });
        Self { axes: axes.collect(), gates: gates(table), families: Vec::new() }
    }

    /// The ids on one axis; `None` where some cannot be told.
    pub fn on(&self, axis: Axis) -> Option<&[Spanned<String>]> {
        self.axes.iter().find(|(known, _)| *known == axis)?.1.as_deref()
    }

    /// Puts the choices that an entry stands for in its place; none of them, where a plan alone knows them.
    pub fn expand(&mut self, axis: Axis, entry: &str, choices: &[String]) {
        self.families.push(Family { axis, id: entry.to_owned(), open: choices.is_empty() });
        let ids = self.axes.iter_mut().find(|(known, _)| *known == axis).and_then(|(_, ids)| ids.as_mut());
        let Some((ids, at)) = ids.and_then(|ids| ids.iter().position(|id| id.get_ref() == entry).map(|at| (ids, at))) else {
            return;
        };
        if !choices.is_empty() {
            let span = ids[at].span();
            ids.splice(at..=at, choices.iter().map(|choice| Spanned::new(span.clone(), choice.clone())));
        }
    }

    /// What is wrong when `id` is not on `axis`.
    pub fn unknown(&self, axis: Axis, id: &Spanned<String>) -> Option<Problem> {
        let ids = self.on(axis)?;
        let found = id.get_ref();
        let of_family = |known: &Family| known.axis == axis && known.id == *found || known.open && known.id == family(found);
        if ids.iter().any(|known| known.get_ref() == found) || self.families.iter().any(of_family) {
            return None;
        }
        let help = did_you_mean(found, ids.iter().map(|known| known.get_ref().as_str()));
        Some(Problem::new(id.span(), format!("there is no {} `{found}` in this spec", noun(axis))).help(help))
    }

    /// What is wrong with `[gate.slice.ID]` where no slice has that id.
    pub fn unknown_gates(&self) -> Vec<Problem> {
        self.gates.iter().filter_map(|id| self.unknown(Axis::Slice, id)).collect()
    }

    /// Ids that are no names, and ids that an axis has twice.
    pub fn check(&self, text: &str, problems: &mut Vec<Problem>) {
        for (axis, ids) in &self.axes {
            let ids = ids.as_deref().unwrap_or_default();
            // Tasks have no ids but their kinds, and say themselves what is wrong with two of a kind.
            let named = !matches!(axis, Axis::Task | Axis::Calibration);
            for (i, id) in ids.iter().enumerate().filter(|_| *axis != Axis::Task) {
                if named {
                    problems.extend(bad_name("id", id));
                }
                if let Some(first) = ids[..i].iter().find(|first| first.get_ref() == id.get_ref()) {
                    let (line, _) = position(text, first.span().start);
                    let message = format!("{} `{}` is there twice", noun(*axis), id.get_ref());
                    problems.push(Problem::new(id.span(), message).help(format!("the first is on line {line}")));
                }
            }
        }
    }
}

/// What is wrong with `name` as the name of a file or a cell's choice.
pub fn bad_name(key: &str, name: &Spanned<String>) -> Option<Problem> {
    let text = name.get_ref();
    let starts = text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if starts && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
        return None;
    }
    let help = "use letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`";
    Some(Problem::new(name.span(), format!("`{text}` cannot be the `{key}`")).help(help))
}

/// What one choice on an axis is called in a sentence.
const fn noun(axis: Axis) -> &'static str {
    match axis {
        Axis::Model => "model",
        Axis::Prompt => "prompt",
        Axis::Readout => "readout",
        Axis::Transform => "transform",
        Axis::Slice => "slice",
        Axis::Task => "task",
        Axis::Labels => "label wording",
        Axis::Calibration => "calibration",
    }
}

fn entry_ids(table: &DeTable<'_>, axis: Axis, default: Option<&str>) -> Option<Vec<Spanned<String>>> {
    match (table.get(axis.name()), default) {
        (Some(entries), _) => {
            let ids = entries.get_ref().as_array()?.iter().map(|entry| string(entry.get_ref().get("id")?));
            let ids: Vec<_> = ids.collect::<Option<_>>()?;
            if ids.is_empty() { default.map(|id| vec![Spanned::new(0..0, id.to_owned())]) } else { Some(ids) }
        }
        (None, Some(id)) => Some(vec![Spanned::new(0..0, id.to_owned())]),
        (None, None) => None,
    }
}

/// The kinds of `[[task]]`, each once; `None` where one is not known.
fn kinds(table: &DeTable<'_>) -> Option<Vec<Spanned<String>>> {
    let Some(tasks) = table.get("task") else { return Some(vec![Spanned::new(0..0, TaskKind::default().to_string())]) };
    let kinds = tasks.get_ref().as_array()?.iter().map(|task| string(task.get_ref().get("kind")?));
    let kinds: Option<Vec<Spanned<String>>> =
        kinds.map(|kind| kind.filter(|kind| kind.get_ref().parse::<TaskKind>().is_ok())).collect();
    let mut once: Vec<Spanned<String>> = Vec::new();
    for kind in kinds? {
        if once.iter().all(|known| known.get_ref() != kind.get_ref()) {
            once.push(kind);
        }
    }
    Some(once)
}

/// The plain choice, then the transforms.
fn with_plain(table: &DeTable<'_>) -> Option<Vec<Spanned<String>>> {
    let plain = Spanned::new(0..0, PLAIN.to_owned());
    let Some(entries) = table.get(Axis::Transform.name()) else { return Some(vec![plain]) };
    let ids = entries.get_ref().as_array()?.iter().map(|entry| string(entry.get_ref().get("id")?));
    // An entry that takes the plain choice's id is told so when it is lowered.
    std::iter::once(Some(plain))
        .chain(ids)
        .filter(|id| id.as_ref().is_none_or(|id| id.span() == (0..0) || id.get_ref() != PLAIN))
        .collect()
}

fn calibrations(table: &DeTable<'_>) -> Option<Vec<Spanned<String>>> {
    let default = || Spanned::new(0..0, Calibration::default().to_string());
    let Some(tasks) = table.get("task") else { return Some(vec![default()]) };
    let mut found = Vec::new();
    let scores_labels = |task: &&Spanned<DeValue<'_>>| {
        let kind = task.get_ref().get("kind").and_then(|kind| kind.get_ref().as_str());
        kind.is_none_or(|kind| kind == TaskKind::LabelSimilarity.name())
    };
    for task in tasks.get_ref().as_array()?.iter().filter(scores_labels) {
        let Some(list) = task.get_ref().get("calibration") else {
            found.push(default());
            continue;
        };
        for entry in list.get_ref().as_array()? {
            found.push(Calibration::id(entry)?);
        }
    }
    Some(if found.is_empty() { vec![default()] } else { found })
}

fn gates(table: &DeTable<'_>) -> Vec<Spanned<String>> {
    let slices = table.get("gate").and_then(|gate| gate.get_ref().get("slice")?.get_ref().as_table());
    let id = |key: &Spanned<_>| Spanned::new(key.span(), AsRef::<str>::as_ref(key.get_ref()).to_owned());
    slices.into_iter().flat_map(|slices| slices.keys().map(id)).collect()
}

fn string(value: &Spanned<DeValue<'_>>) -> Option<Spanned<String>> {
    Some(Spanned::new(value.span(), value.get_ref().as_str()?.to_owned()))
}
