//! Renders and tokenises the texts of a plan, and settles what is read of them.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::{self, Words};
use super::{CONTENT_FREE, Cell, Fit, ModelWork, Reading, Texts, Unready, Wording, fit_of};
use crate::dataset::Slice;
use crate::observe::{Event, Observer, Unit};
use crate::prompt::Prompt;
use crate::spec::Spec;

/// Texts that are rendered and tokenised before their ids are put with the others: a million renderings would be large.
const TOGETHER: usize = 1 << 14;

/// What tokenising needs of a plan that is still being made.
pub struct Draft<'a> {
    pub spec: &'a Spec,
    pub slices: &'a [Slice],
    pub wordings: &'a [Vec<Wording>],
    pub fits: &'a [Fit],
    pub fitted_on: &'a [usize],
    pub observer: &'a dyn Observer,
}

impl Draft<'_> {
    /// Renders and tokenises every set of texts that some cell of a model reads.
    pub fn tokenise(&self, model: usize, cells: &[&Cell], work: &mut ModelWork, problems: &mut Vec<Unready>) {
        let mut sets: BTreeMap<Texts, BTreeSet<usize>> = BTreeMap::new();
        for cell in cells {
            for set in self.sets(cell) {
                sets.entry(set).or_default().insert(cell.readout);
            }
        }
        let total = sets.keys().map(|&set| self.count(set) as u64).sum();
        let stage = format!("tokenise for {}", self.spec.models[model].id);
        self.observer.observe(Event::Started { stage, total: Some(total), unit: Unit::Texts });
        for (set, readouts) in sets {
            let Some(prompt) = set.prompt(self.spec) else { continue };
            let readings = self.readings(model, set, prompt, &readouts, work, problems);
            let (mut texts, before) = (self.texts(set), problems.len());
            if matches!(set, Texts::ContentFree { .. }) {
                texts.retain(|words| words.is_readable(work.encoder.as_ref(), prompt, &readings));
            }
            for (first, texts) in (0..).step_by(TOGETHER).zip(texts.chunks(TOGETHER)) {
                let mut views = Vec::new();
                for (at, view) in prompt.views.iter().enumerate() {
                    let spans: BTreeSet<usize> = readings.values().filter_map(|reading| reading.views.get(at)?.span).collect();
                    match texts::prepare(work.encoder.as_ref(), prompt, &view.template, texts, &spans) {
                        Ok(prepared) => views.push(prepared),
                        Err((i, source)) => problems.push(Unready::Text {
                            model: self.spec.models[model].id.clone(),
                            prompt: prompt.id.clone(),
                            text: self.name(set, first + i),
                            source,
                        }),
                    }
                }
                self.observer.observe(Event::Advanced(texts.len() as u64));
                // Where one text does not fit, others do not either: one failure tells enough.
                if problems.len() > before {
                    break;
                }
                work.add(set, &views, readings.clone());
            }
        }
        problems.extend(cells.iter().find_map(|cell| self.label_widths(cell, work)));
        problems.extend(cells.iter().find_map(|cell| self.document_widths(cell, work)));
        let (unique, tokens) = (work.rows.len(), work.rows.tokens());
        self.observer.observe(Event::Finished { summary: format!("{unique} unique texts, {tokens} tokens") });
    }

    /// What readouts hand out of texts under a prompt; those that cannot be are problems.
    fn readings(
        &self,
        model: usize,
        set: Texts,
        prompt: &Prompt,
        readouts: &BTreeSet<usize>,
        work: &ModelWork,
        problems: &mut Vec<Unready>,
    ) -> BTreeMap<usize, Reading> {
        let mut readings = BTreeMap::new();
        for &at in readouts.iter().filter(|at| work.readouts.contains_key(at)) {
            let readout = &self.spec.readouts[at];
            let found = Reading::new(work.encoder.as_ref(), prompt, readout).map_err(|source| Unready::View {
                model: self.spec.models[model].id.clone(),
                prompt: prompt.id.clone(),
                readout: readout.id.clone(),
                source,
            });
            match found.and_then(|reading| reading.problem(prompt, readout).map_or(Ok(reading), Err)) {
                Ok(reading) => drop(readings.insert(at, reading)),
                Err(problem) => problems.push(self.of_labels(set, problem)),
            }
        }
        readings
    }

    /// Names the labels' choice where a prompt that lacks a copy is their own, which is no choice on the axis of prompts.
    fn of_labels(&self, set: Texts, problem: Unready) -> Unready {
        match (problem, set) {
            (Unready::Span { readout, prompt, span, slots, .. }, Texts::Phrasings { prompt: None, labels, .. }) => {
                let choice = format!("labels = \"{}\"", self.spec.labels[labels].id);
                Unready::Span { readout, prompt, span, slots, choice }
            }
            (problem, _) => problem,
        }
    }

    /// All texts that a cell reads.
    fn sets(&self, cell: &Cell) -> impl Iterator<Item = Texts> + use<> {
        let others = [cell.content_free(), cell.others(self.spec), cell.dev(), fit_of(cell, self.fitted_on)];
        let wordings = cell.wordings(self.spec).into_iter().map(|(_, texts)| texts);
        std::iter::once(cell.samples()).chain(wordings).chain(others.into_iter().flatten())
    }

    /// What is wrong where labels have a prompt of their own whose vectors are no match for the texts'.
    fn label_widths(&self, cell: &Cell, work: &ModelWork) -> Option<Unready> {
        let parts = |set: Texts| work.readings.get(&(cell.readout, set)).map(Reading::parts);
        let samples = parts(cell.samples())?;
        let differs = |texts: Texts| parts(texts).is_some_and(|parts| parts != samples);
        let (labels, _) = cell.wordings(self.spec).into_iter().find(|(_, texts)| differs(*texts))?;
        Some(Unready::LabelWidths {
            labels: self.spec.labels[labels].id.clone(),
            prompt: self.spec.prompts[cell.prompt].id.clone(),
            readout: self.spec.readouts[cell.readout].id.clone(),
        })
    }

    /// What is wrong where documents have a prompt of their own whose vectors are no match for the queries'.
    fn document_widths(&self, cell: &Cell, work: &ModelWork) -> Option<Unready> {
        let documents = cell.others(self.spec).filter(|texts| matches!(texts, Texts::Documents { .. }))?;
        let parts = |set: Texts| work.readings.get(&(cell.readout, set)).map(Reading::parts);
        (parts(cell.samples())? != parts(documents)?).then(|| Unready::DocumentWidths {
            prompt: self.spec.prompts[cell.prompt].id.clone(),
            readout: self.spec.readouts[cell.readout].id.clone(),
        })
    }

    /// The texts of a set, in order, with what fills other slots of its prompt.
    fn texts(&self, set: Texts) -> Vec<Words<'_>> {
        match set {
            Texts::Samples { slice, .. } | Texts::Documents { slice, .. } => {
                let slice = &self.slices[slice];
                let columns =
                    |at: usize| slice.columns.iter().map(move |(name, values)| (name.as_str(), values[at].as_str())).collect();
                let first = slice.samples.iter().enumerate();
                let first = first.map(|(at, sample)| Words { text: &sample.text, others: columns(at) });
                let partners = slice.samples.iter().enumerate().filter_map(|(at, sample)| Some((at, sample.partner.as_ref()?)));
                first.chain(partners.map(|(at, partner)| Words { text: &partner.text, others: columns(at) })).collect()
            }
            Texts::Phrasings { labels, slice, .. } => {
                let Wording { phrasings, owner, .. } = &self.wordings[labels][slice];
                let label = |owner: usize| self.slices[slice].labels[owner].as_str();
                let words = phrasings.iter().zip(owner);
                words.map(|(text, owner)| Words { text, others: vec![("label", label(*owner))] }).collect()
            }
            Texts::ContentFree { .. } => CONTENT_FREE.into_iter().map(Words::from).collect(),
            Texts::Fit { fit, .. } => self.fits[fit].texts.iter().map(|text| Words::from(text.as_str())).collect(),
        }
    }

    /// What to call one text of a set in a message.
    fn name(&self, set: Texts, at: usize) -> String {
        match set {
            Texts::Samples { slice, .. } | Texts::Documents { slice, .. } => {
                let slice = &self.slices[slice];
                format!("sample `{}` of slice `{}`", slice.samples[at % slice.samples.len().max(1)].id, slice.id)
            }
            Texts::Phrasings { labels, slice, .. } => format!("phrasing `{}`", self.wordings[labels][slice].phrasings[at]),
            Texts::ContentFree { .. } => format!("content-free text \"{}\"", CONTENT_FREE[at]),
            Texts::Fit { fit, .. } => {
                format!("text {} of those of {} that a transform is fitted on", at + 1, self.fits[fit].from)
            }
        }
    }

    fn count(&self, set: Texts) -> usize {
        match set {
            Texts::Samples { slice, .. } | Texts::Documents { slice, .. } => {
                let samples = &self.slices[slice].samples;
                samples.len() + samples.iter().filter(|sample| sample.partner.is_some()).count()
            }
            Texts::Phrasings { labels, slice, .. } => self.wordings[labels][slice].phrasings.len(),
            Texts::ContentFree { .. } => CONTENT_FREE.len(),
            Texts::Fit { fit, .. } => self.fits[fit].texts.len(),
        }
    }
}
