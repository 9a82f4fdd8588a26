//! Makes a plan: slices, encoders, the product of the axes, and the token ids of every text.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::{combinations, product};
use super::draft::Draft;
use super::wordings::wordings;
use super::{Against, Cell, Fit, ModelWork, Plan, PlanError, Reading, Texts, Unready};
use crate::dataset::{Kind, Slice};
use crate::digest::Hasher;
use crate::embed::{self, Encoder, Resolved, Sources};
use crate::prompt::{Clean, Prompt, Template, Truncation};
use crate::results::read_mteb;
use crate::spec::{Companion, Identical, Layer, Protocol, Readout, Senteval, Spec, Task};
use crate::stats;

impl Plan {
    /// Plans a grid: reads data, tokenizers and configurations, no weights.
    ///
    /// # Errors
    /// Every independent problem at once: slices that cannot be read, models that cannot be opened, readouts a model
    /// does not have, texts that do not fit, a grid without cells.
    pub fn build(mut spec: Spec, sources: &Sources<'_>) -> Result<Self, PlanError> {
        let mut problems = Vec::new();
        let slices = load_slices(&spec, sources, &mut problems);
        if problems.is_empty() {
            idle_tasks(&spec, &slices, &mut problems);
        }
        let mut published = Vec::new();
        for file in &spec.published {
            match read_mteb(file) {
                Ok(figures) => published.extend(figures),
                Err(error) => problems.push(Unready::Published(error)),
            }
        }
        let encoders = open_encoders(&spec, sources, &mut problems);
        if !problems.is_empty() {
            return Err(PlanError(problems));
        }
        // What others learn from is not scored itself.
        let scored = &slices[..spec.slices.len()];
        let wordings = wordings(&spec, scored, sources, &mut problems);
        let (fits, fitted_on) = Fit::all(&spec, scored, sources, &mut problems);
        if !problems.is_empty() {
            return Err(PlanError(problems));
        }
        let blocks: Vec<Option<usize>> = encoders.iter().map(|encoder| encoder.card().blocks).collect();
        let every = every_layer(&mut spec.readouts, &blocks);
        let exists = |model: usize, readout: usize| !every.contains(&(model, readout));
        let cells = product(&spec, &slices, exists, &mut problems);
        if cells.is_empty() && problems.is_empty() {
            problems.push(Unready::Empty(combinations(&spec, &slices)));
        }
        let mut models = Vec::new();
        for (model, encoder) in encoders.into_iter().enumerate() {
            let own: Vec<&Cell> = cells.iter().filter(|cell| cell.model == model).collect();
            let mut work = ModelWork::new(encoder);
            work.readouts = resolve_readouts(&spec, model, &own, work.encoder.as_ref(), &mut problems);
            let draft = Draft {
                spec: &spec,
                slices: &slices,
                wordings: &wordings,
                fits: &fits,
                fitted_on: &fitted_on,
                observer: sources.observer,
            };
            draft.tokenise(model, &own, &mut work, &mut problems);
            work.rows.settle();
            models.push(work);
        }
        if !problems.is_empty() {
            return Err(PlanError(problems));
        }
        let seen = fits.iter().flat_map(|fit| fit.warnings(scored));
        let of_slices = seen.chain(scored.iter().filter_map(|slice| unbalanced(&spec, slice)));
        let warnings = of_slices.chain(scaled_for_senteval(&spec, &cells, &models)).collect();
        let mut plan = Self { spec, slices, wordings, fits, fitted_on, models, cells, reference: None, published, warnings };
        plan.identify();
        if plan.spec.reference.is_some() && plan.reference.is_none() {
            return Err(PlanError(vec![Unready::Reference]));
        }
        Ok(plan)
    }

    /// Gives every cell the digest of its content as id, finds the reference, and keeps the first of cells with the same
    /// content.
    fn identify(&mut self) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut kept = Vec::with_capacity(self.cells.len());
        for mut cell in std::mem::take(&mut self.cells) {
            cell.id = self.content_id(&cell);
            let choices = self.choices(&cell);
            let refers = self.spec.reference.as_ref().is_none_or(|selector| selector.matches(|axis| choices.on(axis)));
            if refers && self.reference.is_none() {
                self.reference = Some(cell.id.clone());
            }
            let name = choices.to_string();
            if let Some(first) = seen.get(&cell.id) {
                self.warnings.push(format!("cell {name} is the same experiment as {first}; it is run once, under that name"));
            } else {
                seen.insert(cell.id.clone(), name);
                kept.push(cell);
            }
        }
        self.cells = kept;
    }

    fn content_id(&self, cell: &Cell) -> String {
        let work = &self.models[cell.model];
        let prompt = &self.spec.prompts[cell.prompt];
        let card = work.encoder.card();
        let readout = |set: Option<Texts>| set.and_then(|set| work.readings.get(&(cell.readout, set))).map(Reading::content);
        let read = readout(Some(cell.samples())).unwrap_or_default();
        let hasher = Hasher::new("cell/1")
            .field("model", card.identity.as_bytes())
            .field("dtype", self.spec.models[cell.model].dtype.to_string())
            .json("max tokens", &card.max_tokens)
            .json("prompt", &content(prompt))
            .field("readout", &read)
            .field("slice", self.slices[cell.slice].digest.as_bytes());
        let hasher = self
            .columns(cell)
            .into_iter()
            .fold(hasher, |hasher, (name, values)| hasher.json(&format!("column {name}"), values));
        let hasher = match cell.transform {
            Some(transform) => hasher
                .json("transform", &self.spec.transforms[transform].rule)
                .field("fitted on", self.fits[self.fitted_on[transform]].digest.as_bytes())
                .json("scaled first", &work.readings.get(&(cell.readout, cell.samples())).map(|reading| reading.normalize)),
            None => hasher,
        };
        let hasher = match cell.scored {
            Against::Labels { calibration, .. } => {
                let word = |hasher: Hasher, (labels, texts): (usize, Texts)| {
                    let own = self.spec.labels[labels].prompt();
                    // Labels are read as texts are, unless the views of their own prompt read otherwise.
                    let differently = readout(Some(texts)).filter(|labels| *labels != read);
                    let hasher = differently.iter().fold(hasher, |hasher, labels| hasher.field("label readout", labels));
                    hasher
                        .json("wording", &self.wordings[labels][cell.slice])
                        .json("label prompt", &content(own.unwrap_or(prompt)))
                };
                cell.wordings(&self.spec).into_iter().fold(hasher, word).field("calibration", calibration.to_string())
            }
            Against::Samples { with, dev } => {
                let task = self.task(cell);
                let reading = work.readings.get(&(cell.readout, cell.samples()));
                let other = with.map(|slice| self.slices[slice].digest);
                // Cosines do not see the vectors' lengths; MTEB's distances, a probe and k-means do.
                let lengths = matches!(
                    task,
                    Task::PairClassification { protocol: Some(Protocol::Mteb), .. }
                        | Task::LinearProbe { .. }
                        | Task::Clustering { .. }
                );
                let judge = dev.map(|slice| self.slices[slice].digest);
                let hasher = judge.iter().fold(hasher, |hasher, digest| hasher.field("dev", digest.as_bytes()));
                // Where ties are broken by ids, or documents passed over for theirs, these decide.
                let searched = with.unwrap_or(cell.slice);
                let ids = |slice: usize| self.slices[slice].samples.iter().map(|sample| sample.id.as_str()).collect::<Vec<_>>();
                let hasher = match task {
                    Task::Retrieval { identical: Identical::Ignored, .. } => {
                        hasher.json("query ids", &ids(cell.slice)).json("ids", &ids(searched))
                    }
                    Task::Retrieval { protocol: Some(_), .. } => hasher.json("ids", &ids(searched)),
                    _ => hasher,
                };
                let documents = prompt.documents.as_ref().filter(|_| matches!(task, Task::Retrieval { .. }));
                let hasher = documents.iter().fold(hasher, |hasher, documents| {
                    let hasher = hasher.json("document prompt", &content(documents));
                    hasher.field("document readout", readout(cell.others(&self.spec)).unwrap_or_default())
                });
                hasher
                    .json("task", &without_names(task))
                    .json("thresholds", &other)
                    .json("scaled", &reading.filter(|_| lengths).map(|reading| reading.normalize))
            }
        };
        hasher.finish().short()
    }
}

impl Plan {
    /// The columns of a cell's slice that its prompt puts beside each text.
    fn columns(&self, cell: &Cell) -> BTreeMap<&str, &Vec<String>> {
        let templates = self.spec.prompts[cell.prompt].views.iter().map(|view| &view.template);
        let columns = &self.slices[cell.slice].columns;
        templates.flat_map(Template::names).filter_map(|name| Some((name, columns.get(name)?))).collect()
    }
}

/// What of a task decides a cell's numbers: everything but the ids in it.
fn without_names(task: &Task) -> Task {
    let train = Companion::Slice(String::new());
    match task {
        Task::PairClassification { protocol, .. } => Task::PairClassification { protocol: *protocol, thresholds_from: None },
        Task::LinearProbe { c, draws, senteval, .. } => {
            let senteval = senteval.as_ref().map(|senteval| Senteval { dev: None, ..senteval.clone() });
            Task::LinearProbe { train, c: *c, draws: *draws, senteval, slices: Vec::new() }
        }
        Task::Knn { k, .. } => Task::Knn { train, k: *k, slices: Vec::new() },
        // What is searched is told by its digest.
        &Task::Retrieval { protocol, identical, .. } => {
            Task::Retrieval { documents: None, protocol, identical, slices: Vec::new() }
        }
        Task::Sts { .. } | Task::LabelSimilarity { .. } | Task::Clustering { .. } => task.clone(),
    }
}

/// Tasks that no slice is for; label similarity is there without being asked for.
fn idle_tasks(spec: &Spec, slices: &[Slice], problems: &mut Vec<Unready>) {
    for named in &spec.tasks {
        let task = named.kind();
        let meant = [Kind::Classification, Kind::Pairs, Kind::Sts, Kind::Retrieval]
            .into_iter()
            .find(|kind| kind.tasks().contains(&task));
        let other = |slice: &&Slice| !slice.kind.tasks().contains(&task);
        let misled = slices.iter().filter(|slice| named.slices().contains(&slice.id)).find(other);
        if let Some(slice) = misled {
            problems.push(Unready::Misled { slice: slice.id.clone(), kind: slice.kind, task });
        } else if slices.iter().all(|slice| other(&slice)) {
            problems.extend(meant.map(|samples| Unready::Idle { task, samples }));
        }
    }
}

/// What of a prompt decides what is embedded: everything but its id, and how its views are read and fused.
fn content(prompt: &Prompt) -> (Vec<&Template>, Truncation, Clean) {
    (prompt.views.iter().map(|view| &view.template).collect(), prompt.truncate, prompt.clean)
}

fn load_slices(spec: &Spec, sources: &Sources<'_>, problems: &mut Vec<Unready>) -> Vec<Slice> {
    let mut slices = Vec::new();
    for slice in &spec.slices {
        let checked = sources.catalog.check(slice, &spec.tasks);
        let columns = spec.columns(&slice.id);
        match checked.and_then(|_| sources.catalog.slice_with(slice, spec.seed, &columns)) {
            Ok(loaded) => slices.push(loaded),
            Err(source) => problems.push(Unready::Slice { slice: slice.id.clone(), source }),
        }
    }
    if problems.is_empty() {
        load_companions(spec, sources, &mut slices, problems);
    }
    slices
}

/// Adds the splits that tasks learn from and that are no slices of the spec.
fn load_companions(spec: &Spec, sources: &Sources<'_>, slices: &mut Vec<Slice>, problems: &mut Vec<Unready>) {
    for (place, slice) in spec.slices.iter().enumerate() {
        let here = |task: &&Task| slices[place].kind.tasks().contains(&task.kind()) && task.is_on(&slice.id);
        let own = spec.tasks.iter().filter(here);
        let companions = own.flat_map(|task| [task.companion(), task.dev()]).flatten();
        let cuts: Vec<_> = companions.filter_map(|companion| companion.cut(slice)).collect();
        let corpus = slices[place].judged.as_ref().map(|judged| (*judged.documents).clone());
        slices.extend(corpus.filter(|corpus| slices.iter().all(|known| known.id != corpus.id)));
        for cut in cuts {
            let same = cut.dataset == slice.dataset && cut.split == slice.split;
            if same || slices.iter().any(|known| known.id == cut.id) {
                continue;
            }
            match sources.catalog.slice(&cut, spec.seed) {
                Ok(loaded) => slices.push(loaded),
                Err(source) => problems.push(Unready::Slice { slice: cut.id, source }),
            }
        }
    }
}

fn open_encoders(spec: &Spec, sources: &Sources<'_>, problems: &mut Vec<Unready>) -> Vec<Box<dyn Encoder>> {
    let mut encoders = Vec::new();
    for model in &spec.models {
        match embed::open(model, sources) {
            Ok(encoder) => encoders.push(encoder),
            Err(source) => problems.push(Unready::Model { model: model.id.clone(), source }),
        }
    }
    encoders
}

/// Puts one readout of each hidden state in the place of those that stand for every layer. Gives the models, with the
/// readouts, that have no such state because another model is deeper.
fn every_layer(readouts: &mut Vec<Readout>, blocks: &[Option<usize>]) -> BTreeSet<(usize, usize)> {
    let deepest = blocks.iter().flatten().max().copied().unwrap_or(0);
    let mut missing = BTreeSet::new();
    for readout in std::mem::take(readouts) {
        if readout.layer != Layer::Every {
            readouts.push(readout);
            continue;
        }
        for state in 0..=deepest {
            let shallow = blocks.iter().enumerate().filter(|(_, blocks)| blocks.is_some_and(|blocks| state > blocks));
            missing.extend(shallow.map(|(model, _)| (model, readouts.len())));
            readouts.push(readout.at(Layer::At(i32::try_from(state).unwrap_or(i32::MAX))));
        }
    }
    missing
}

fn resolve_readouts(
    spec: &Spec,
    model: usize,
    cells: &[&Cell],
    encoder: &dyn Encoder,
    problems: &mut Vec<Unready>,
) -> BTreeMap<usize, Resolved> {
    let used: BTreeSet<usize> = cells.iter().map(|cell| cell.readout).collect();
    let mut resolved = BTreeMap::new();
    for readout in used {
        match encoder.readout(&spec.readouts[readout]) {
            Ok(found) => drop(resolved.insert(readout, found)),
            Err(source) => problems.push(Unready::Readout {
                model: spec.models[model].id.clone(),
                readout: spec.readouts[readout].id.clone(),
                source,
            }),
        }
    }
    resolved
}

/// A warning where vectors of unit length go into a probe whose protocol takes them as they are.
fn scaled_for_senteval(spec: &Spec, cells: &[Cell], models: &[ModelWork]) -> Option<String> {
    let scaled = |cell: &&Cell| {
        let reading = models[cell.model].readings.get(&(cell.readout, cell.samples()));
        matches!(spec.tasks[cell.task], Task::LinearProbe { senteval: Some(_), .. })
            && reading.is_some_and(|reading| reading.normalize)
    };
    let cell = cells.iter().find(scaled)?;
    let readout = &spec.readouts[cell.readout].id;
    Some(format!(
        "`senteval` reads vectors as the model gives them, and readout `{readout}` scales them to unit length; for its figures write `normalize = false` there"
    ))
}

/// A warning where calibrations take all labels of a slice for equally frequent, and they are not.
fn unbalanced(spec: &Spec, slice: &Slice) -> Option<String> {
    let mut counts = vec![0; slice.labels.len()];
    slice.samples.iter().filter_map(|sample| sample.gold.label()).for_each(|label| counts[label] += 1);
    let share = stats::imbalance(&counts);
    let assume: Vec<String> = (spec.tasks.iter())
        .filter_map(|task| if let Task::LabelSimilarity { calibrations } = task { Some(calibrations) } else { None })
        .flatten()
        .filter(|calibration| calibration.assumes_balance())
        .map(|calibration| format!("`{calibration}`"))
        .collect();
    let concerned = slice.kind == Kind::Classification && !assume.is_empty() && share > stats::UNBALANCED;
    concerned.then(|| {
        format!(
            "slice `{}`: {} {} that its labels are about equally frequent, and {:.0} % of its samples would need another label for that; take what is gained with care",
            slice.id,
            assume.join(", "),
            if assume.len() == 1 { "assumes" } else { "assume" },
            100.0 * share
        )
    })
}
