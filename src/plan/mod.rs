//! `Spec` -> `Plan`: the cells, and every text to embed as token ids. Whatever can be wrong is known here; no weights are read.

mod build;
mod cells;
mod draft;
mod fits;
mod summary;
mod texts;
mod wordings;
mod work;

use std::borrow::Cow;

use crate::cause::told;
use crate::dataset::{DatasetError, Kind, Slice};
use crate::embed::EmbedError;
use crate::prompt::Prompt;
use crate::results::{Axis, Choices, NO_CHOICE, Published, ResultsError};
use crate::spec::{Calibration, PLAIN, Spec, StandIn, Task, TaskKind};

pub use fits::{Fit, digest as fit_digest};
pub use summary::{ModelSummary, PromptCuts, Summary};
pub use texts::{Block, Rows, Words, prepare};
pub use work::{ModelWork, Reading};

/// A grid ready to run.
pub struct Plan {
    pub spec: Spec,
    /// The spec's slices with their samples, in the spec's order; then those that tasks alone name.
    pub slices: Vec<Slice>,
    /// Label phrasings: `wordings[labels][slice]`.
    pub wordings: Vec<Vec<Wording>>,
    /// Texts that transforms are fitted on, each set once.
    pub fits: Vec<Fit>,
    /// Which of them each of the spec's transforms is fitted on.
    pub fitted_on: Vec<usize>,
    /// What each model has to embed, in the spec's order.
    pub models: Vec<ModelWork>,
    /// In the order of the axes: the first axis changes slowest.
    pub cells: Vec<Cell>,
    /// Id of the cell that the others are compared with: the first one the spec's selector matches, else the first of all.
    pub reference: Option<String>,
    /// Figures of others that the report shows.
    pub published: Vec<Published>,
    /// Oddities that do not stop a run.
    pub warnings: Vec<String>,
}

/// One choice per axis, as indices into the spec's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The first 12 hexadecimal digits of the digest of the cell's content, never of its position.
    pub id: String,
    pub model: usize,
    pub prompt: usize,
    pub readout: usize,
    /// None: vectors as they are read.
    pub transform: Option<usize>,
    pub slice: usize,
    pub task: usize,
    pub scored: Against,
}

/// What a cell's samples are scored against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Texts against labels: a choice on two more axes.
    Labels { labels: usize, calibration: Calibration },
    /// Samples against each other, or against those of another slice: what thresholds are picked on, what is learnt from, what is
    /// searched. What is learnt may be judged by a third slice.
    Samples { with: Option<usize>, dev: Option<usize> },
}

/// One label set in the words of one slice's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Wording {
    pub phrasings: Vec<String>,
    /// The label each phrasing words, as an index into the slice's labels.
    pub owner: Vec<usize>,
    /// Ids of the samples that the phrasings are the texts of; empty where labels are worded.
    #[serde(skip)]
    pub samples: Vec<String>,
}

/// A set of texts that cells read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Texts {
    /// A slice's samples under a prompt: of pairs, all first texts before all second ones.
    Samples { prompt: usize, slice: usize },
    /// A slice's samples under what a prompt has for documents.
    Documents { prompt: usize, slice: usize },
    /// The phrasings of a slice's labels, under the cell's prompt or (`None`) the label set's own.
    Phrasings { prompt: Option<usize>, labels: usize, slice: usize },
    /// Texts that say nothing, under a prompt: those of [`CONTENT_FREE`] that the prompt leaves any token.
    ContentFree { prompt: usize },
    /// What transforms are fitted on, under a prompt.
    Fit { prompt: usize, fit: usize },
}

/// Texts that say nothing: what labels score with them, they score with everything.
///
/// Source: Zhao et al. 2021, arXiv 2102.09690, and a Chinese word of that kind.
pub const CONTENT_FREE: [&str; 3] = ["", "N/A", "无"];

impl Plan {
    /// The ids a cell chose on each axis.
    pub fn choices(&self, cell: &Cell) -> Choices {
        let on = |axis: Axis| cell.on(axis, &self.spec).into_owned();
        Choices {
            model: on(Axis::Model),
            prompt: on(Axis::Prompt),
            readout: on(Axis::Readout),
            transform: on(Axis::Transform),
            slice: on(Axis::Slice),
            task: self.task(cell).kind(),
            labels: on(Axis::Labels),
            calibration: on(Axis::Calibration),
        }
    }

    /// What is done with a cell's samples.
    pub fn task(&self, cell: &Cell) -> &Task {
        &self.spec.tasks[cell.task]
    }
}

impl Cell {
    /// The id of its choice on an axis.
    pub fn on<'a>(&self, axis: Axis, spec: &'a Spec) -> Cow<'a, str> {
        let id = match (axis, self.scored) {
            (Axis::Model, _) => &spec.models[self.model].id,
            (Axis::Prompt, _) => &spec.prompts[self.prompt].id,
            (Axis::Readout, _) => &spec.readouts[self.readout].id,
            (Axis::Transform, _) => self.transform.map_or(PLAIN, |transform| &spec.transforms[transform].id),
            (Axis::Slice, _) => &spec.slices[self.slice].id,
            (Axis::Task, _) => spec.tasks[self.task].kind().name(),
            (Axis::Labels, Against::Labels { labels, .. }) => &spec.labels[labels].id,
            (Axis::Calibration, Against::Labels { calibration, .. }) => return calibration.name(),
            (Axis::Labels | Axis::Calibration, Against::Samples { .. }) => NO_CHOICE,
        };
        Cow::Borrowed(id)
    }

    /// The sample texts this cell reads.
    pub const fn samples(&self) -> Texts {
        Texts::Samples { prompt: self.prompt, slice: self.slice }
    }

    /// What stands for its labels: each label set that it averages, with where its texts lie.
    pub fn wordings(&self, spec: &Spec) -> Vec<(usize, Texts)> {
        let Against::Labels { labels, .. } = self.scored else { return Vec::new() };
        let place = |id: &String| spec.labels.iter().position(|set| set.id == *id);
        let members = match &spec.labels[labels].words {
            StandIn::Ensemble(members) => members.iter().filter_map(place).collect(),
            StandIn::Phrased(_) | StandIn::Samples(_) => vec![labels],
        };
        let texts = |labels: usize| {
            let own = spec.labels[labels].prompt().is_some();
            (labels, Texts::Phrasings { prompt: (!own).then_some(self.prompt), labels, slice: self.slice })
        };
        members.into_iter().map(texts).collect()
    }

    /// The texts that say nothing, where its calibration wants them.
    pub fn content_free(&self) -> Option<Texts> {
        let wants = matches!(self.scored, Against::Labels { calibration: Calibration::ContentFree, .. });
        wants.then_some(Texts::ContentFree { prompt: self.prompt })
    }

    /// The samples that it takes beside its own: those that it learns from or searches, or the pairs that its thresholds are
    /// picked on. What is searched may have a prompt of its own, and be the cell's own samples then.
    pub fn others(&self, spec: &Spec) -> Option<Texts> {
        let Against::Samples { with, .. } = self.scored else { return None };
        let prompt = self.prompt;
        let searches = matches!(spec.tasks[self.task], Task::Retrieval { .. });
        if searches && spec.prompts[prompt].documents.is_some() {
            return Some(Texts::Documents { prompt, slice: with.unwrap_or(self.slice) });
        }
        with.map(|slice| Texts::Samples { prompt, slice })
    }

    /// The samples that judge what is picked for it.
    pub const fn dev(&self) -> Option<Texts> {
        match self.scored {
            Against::Samples { dev: Some(slice), .. } => Some(Texts::Samples { prompt: self.prompt, slice }),
            Against::Samples { dev: None, .. } | Against::Labels { .. } => None,
        }
    }
}

impl Plan {
    /// The texts that a cell's transform is fitted on.
    pub fn fit(&self, cell: &Cell) -> Option<Texts> {
        fit_of(cell, &self.fitted_on)
    }
}

/// The texts that a cell's transform is fitted on, given which those are for each transform.
fn fit_of(cell: &Cell, fitted_on: &[usize]) -> Option<Texts> {
    cell.transform.map(|transform| Texts::Fit { prompt: cell.prompt, fit: fitted_on[transform] })
}

impl Texts {
    /// The prompt these texts are put into.
    pub fn prompt<'a>(&self, spec: &'a Spec) -> Option<&'a Prompt> {
        match *self {
            Self::Samples { prompt, .. }
            | Self::Phrasings { prompt: Some(prompt), .. }
            | Self::ContentFree { prompt }
            | Self::Fit { prompt, .. } => spec.prompts.get(prompt),
            Self::Documents { prompt, .. } => spec.prompts.get(prompt)?.documents.as_deref(),
            Self::Phrasings { prompt: None, labels, .. } => spec.labels.get(labels)?.prompt(),
        }
    }
}

/// Why there is no plan. All independent problems come together.
#[derive(Debug, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct PlanError(pub Vec<Unready>);

fn listed(problems: &[Unready]) -> String {
    match problems {
        [problem] => problem.to_string(),
        _ => problems.iter().fold("the plan cannot be made:".to_owned(), |list, problem| format!("{list}\n- {problem}")),
    }
}

/// A dataset's message, behind the slice's name if it does not begin with it.
fn of_slice(slice: &str, source: &DatasetError) -> String {
    let message = told(source);
    if message.starts_with("slice `") { message } else { format!("slice `{slice}`: {message}") }
}

/// One thing a plan needs and did not get.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error("{}", of_slice(slice, source))]
    Slice { slice: String, source: DatasetError },
    #[error("model `{model}`: {}", told(source))]
    Model { model: String, source: EmbedError },
    #[error(
        "model `{model}`: {source}\n  to leave these cells out: [grid] skip = [{{ model = \"{model}\", readout = \"{readout}\" }}]"
    )]
    Readout { model: String, readout: String, source: EmbedError },
    #[error(
        "model `{model}`, a view of prompt `{prompt}`: {source}\n  to leave these cells out: [grid] skip = [{{ model = \"{model}\", prompt = \"{prompt}\", readout = \"{readout}\" }}]"
    )]
    View { model: String, prompt: String, readout: String, source: EmbedError },
    #[error(
        "readout `{readout}` pools copy {span} of the text, and prompt `{prompt}` has {slots} of it\n  to leave these cells out: [grid] skip = [{{ {choice}, readout = \"{readout}\" }}]"
    )]
    Span {
        readout: String,
        prompt: String,
        span: usize,
        slots: usize,
        /// What else these cells have chosen, as a selector has it.
        choice: String,
    },
    #[error(
        "views of prompt `{prompt}` give vectors of {first} and of {other} coordinates under readout `{readout}`, which have no mean; read states of one width, or write `fuse = \"concat\"`"
    )]
    Widths { prompt: String, readout: String, first: usize, other: usize },
    #[error(
        "labels `{labels}` have vectors of another width than the texts of prompt `{prompt}` under readout `{readout}`: their own prompt has to fuse as many views in the same way"
    )]
    LabelWidths { labels: String, prompt: String, readout: String },
    #[error(
        "the documents of prompt `{prompt}` have vectors of another width than its queries under readout `{readout}`: they have to fuse as many views in the same way"
    )]
    DocumentWidths { prompt: String, readout: String },
    #[error("model `{model}`, prompt `{prompt}`, {text}: {}", told(source))]
    Text { model: String, prompt: String, text: String, source: EmbedError },
    #[error("labels `{labels}` word `{label}`, which slice `{slice}` does not have; it has {known}")]
    Label { labels: String, label: String, slice: String, known: String },
    #[error(
        "labels `{labels}` have a template with `{{examples}}`, and label `{label}` of slice `{slice}` has no examples; add `examples.\"{label}\" = \"...\"`"
    )]
    Examples { labels: String, label: String, slice: String },
    #[error("labels `{labels}`: no texts can be drawn for slice `{slice}`: {}", told(source))]
    Shots { labels: String, slice: String, source: DatasetError },
    #[error(
        "labels `{labels}`: `shots` is {wanted}, and {from} has {found} texts of label `{label}` that no slice scores; take fewer, or another split"
    )]
    FewShots { labels: String, label: String, from: String, found: usize, wanted: usize },
    #[error("transform `{transform}`: its texts cannot be read: {}", told(source))]
    Fit { transform: String, source: DatasetError },
    #[error(
        "[compare] reference matches no cell: [grid] skip leaves out every one of its combinations; choose another, or skip less"
    )]
    Reference,
    #[error("[[published]]: {}", told(.0))]
    Published(ResultsError),
    #[error("[grid] skip leaves no cell: every one of the {0} combinations is skipped")]
    Empty(usize),
    #[error("[[task]] `{task}` has nothing to do: no slice holds {}; add a slice, or remove the task", samples.samples())]
    Idle { task: TaskKind, samples: Kind },
    #[error("[[task]] `{task}` names slice `{slice}` in `slices`, which holds {}; such samples are not for it", kind.samples())]
    Misled { slice: String, kind: Kind, task: TaskKind },
    #[error(
        "slice `{slice}` is to be held against `{train}`, which does not hold {} of the same labels; list the same `labels` in both, or name another slice or split in [[task]] `{task}`", kind.samples()
    )]
    Train { slice: String, train: String, kind: Kind, task: TaskKind },
    #[error(
        "[[task]] `{0}` has nothing to do: the only slice for it is the one that it learns from or searches; add a slice to score"
    )]
    Untested(TaskKind),
    #[error("`thresholds_from` names slice `{slice}`, which does not hold pairs of the same two labels as slice `{other}`")]
    Thresholds { slice: String, other: String },
}
