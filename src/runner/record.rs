//! What a run writes about itself: provenance, and the texts its reports show.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::dataset::Slice;
use crate::plan::{CONTENT_FREE, Fit, ModelWork, Plan, Texts, Wording};
use crate::prompt::Prompt;
use crate::results::{
    CutText, Cuts, LabelsRecord, ModelRecord, Part, PromptRecord, Provenance, ReadoutRecord, SampleText, ShotsRecord,
    SliceRecord, Times, TransformRecord,
};
use crate::spec::{Differently, Model, Phrased, Source, Spec, StandIn, Task, Transform};

/// The texts that reports show, by slice.
pub fn sample_texts(plan: &Plan) -> BTreeMap<String, Arc<Vec<SampleText>>> {
    plan.slices.iter().map(|slice| (slice.id.clone(), Arc::clone(&slice.samples))).collect()
}

/// Which characters the samples' texts lost where they were cut to fit.
pub fn cuts(plan: &Plan) -> Vec<Cuts> {
    let mut found = Vec::new();
    for (model, work) in plan.spec.models.iter().zip(&plan.models) {
        for (set, views) in &work.blocks {
            let (prompt, slice) = match *set {
                Texts::Samples { prompt, slice } => (prompt, slice),
                // Where a slice is searched for its own texts, what it lost as queries is told.
                Texts::Documents { prompt, slice } if !work.blocks.contains_key(&Texts::Samples { prompt, slice }) => {
                    (prompt, slice)
                }
                _ => continue,
            };
            let samples = plan.slices[slice].samples.len();
            // First texts stand before all second ones.
            let text = |(at, left_out): &(usize, Range<usize>)| match at.checked_sub(samples) {
                Some(index) => CutText { index, of: Part::Partner, left_out: left_out.clone() },
                None => CutText { index: *at, of: Part::Text, left_out: left_out.clone() },
            };
            let cut = views.iter().enumerate().filter(|(_, block)| !block.left_out.is_empty());
            found.extend(cut.map(|(view, block)| Cuts {
                model: model.id.clone(),
                prompt: plan.spec.prompts[prompt].id.clone(),
                slice: plan.slices[slice].id.clone(),
                view,
                texts: block.left_out.iter().map(text).collect(),
            }));
        }
    }
    found
}

/// The time, RFC 3339, UTC.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Where the numbers of a plan will come from.
pub fn provenance(plan: &Plan) -> Provenance {
    let spec = &plan.spec;
    Provenance {
        format: crate::results::FORMAT,
        name: spec.name.clone(),
        about: spec.about.clone(),
        spec: spec.text.clone(),
        spec_path: spec.path.display().to_string(),
        seed: spec.seed,
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        models: (spec.models.iter().zip(&plan.models)).map(|(model, work)| model_record(spec, model, work)).collect(),
        prompts: spec.prompts.iter().map(prompt_record).collect(),
        readouts: (spec.readouts.iter())
            .map(|readout| ReadoutRecord {
                id: readout.id.clone(),
                layer: readout.layer,
                pool: readout.pool.to_string(),
                span: readout.span,
                norm: readout.norm,
                dim: readout.dim,
                normalize: readout.normalize,
            })
            .collect(),
        slices: (plan.slices.iter())
            .map(|slice| SliceRecord {
                id: slice.id.clone(),
                digest: slice.digest,
                kind: slice.kind,
                labels: slice.labels.clone(),
                samples: slice.samples.len(),
                origin: slice.origin.clone(),
                mteb: slice.mteb.clone(),
            })
            .collect(),
        transforms: (spec.transforms.iter().zip(&plan.fitted_on))
            .map(|(transform, &fit)| transform_record(transform, &plan.fits[fit], plan))
            .collect(),
        labels: (0..spec.labels.len()).map(|labels| labels_record(plan, labels)).collect(),
        content_free: if plan.cells.iter().any(|cell| cell.content_free().is_some()) {
            CONTENT_FREE.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        },
        tasks: match spec.tasks.as_slice() {
            [Task::LabelSimilarity { .. }] => Vec::new(),
            tasks => tasks.to_vec(),
        },
        reference: plan.reference.clone(),
        correction: spec.correction,
        gate: spec.gate.clone(),
        published: plan.published.clone(),
        times: Times::default(),
    }
}

fn model_record(spec: &Spec, model: &Model, work: &ModelWork) -> ModelRecord {
    let card = work.encoder.card();
    let states = work.readouts.iter().filter(|_| card.blocks.is_some());
    ModelRecord {
        id: model.id.clone(),
        source: model.source.to_string(),
        fit: match &model.source {
            Source::CharNgram { fit } => Some(fit.clone()),
            Source::Path(_) | Source::Gguf(_) | Source::Hub { .. } | Source::Server { .. } => None,
        },
        endpoint: match &model.source {
            Source::Server { endpoint, .. } => Some(endpoint.clone()),
            Source::Path(_) | Source::Gguf(_) | Source::Hub { .. } | Source::CharNgram { .. } => None,
        },
        commit: card.commit.clone(),
        adapter: model.adapter.as_ref().map(|adapter| Source::from(adapter).at(card.adapter_commit.as_deref()).to_string()),
        dtype: model.dtype.to_string(),
        device: card.device.clone(),
        max_tokens: card.max_tokens,
        parameters: card.parameters,
        layers: states.map(|(readout, resolved)| (spec.readouts[*readout].id.clone(), resolved.layer)).collect(),
        identity: card.identity,
        encoder: card.digest,
        about: card.about.clone(),
    }
}

fn transform_record(transform: &Transform, fit: &Fit, plan: &Plan) -> TransformRecord {
    TransformRecord {
        id: transform.id.clone(),
        rule: transform.rule,
        fit: transform.fit.clone(),
        texts: fit.texts.len(),
        digest: fit.digest,
        origin: fit.origin.clone(),
        seen: fit.seen.iter().map(|&(slice, samples)| (plan.slices[slice].id.clone(), samples)).collect(),
    }
}

fn labels_record(plan: &Plan, labels: usize) -> LabelsRecord {
    let set = &plan.spec.labels[labels];
    let named = LabelsRecord::named(&set.id);
    match &set.words {
        StandIn::Phrased(Phrased { phrases, templates, examples, prompt }) => LabelsRecord {
            phrases: phrases.clone(),
            prompt: prompt.as_ref().map(prompt_record),
            templates: templates.iter().map(|template| template.source().to_owned()).collect(),
            examples: examples.clone(),
            ..named
        },
        StandIn::Samples(samples) => {
            let drawn = plan.slices.iter().zip(&plan.wordings[labels]).filter(|(_, wording)| !wording.samples.is_empty());
            let samples = ShotsRecord {
                count: samples.shots,
                from: samples.from.clone(),
                samples: drawn.map(|(slice, wording)| drawn_of(slice, wording)).collect(),
            };
            LabelsRecord { shots: Some(samples), ..named }
        }
        StandIn::Ensemble(members) => LabelsRecord { ensemble: members.clone(), ..named },
    }
}

/// Ids of the drawn samples by label, behind the slice's.
fn drawn_of(slice: &Slice, wording: &Wording) -> (String, Vec<Vec<String>>) {
    let of_label = |label: usize| {
        let own = wording.owner.iter().zip(&wording.samples).filter(|(owner, _)| **owner == label);
        own.map(|(_, id)| id.clone()).collect()
    };
    (slice.id.clone(), (0..slice.labels.len()).map(of_label).collect())
}

fn prompt_record(prompt: &Prompt) -> PromptRecord {
    let differ = prompt.views.iter().any(|view| view.differently != Differently::default());
    PromptRecord {
        id: prompt.id.clone(),
        views: prompt.views.iter().map(|view| view.template.source().to_owned()).collect(),
        fuse: prompt.fuse,
        differently: if differ { prompt.views.iter().map(|view| view.differently.clone()).collect() } else { Vec::new() },
        truncate: prompt.truncate.to_string(),
        clean: prompt.clean.to_string(),
        chat: prompt.chat().cloned(),
        documents: prompt.documents.as_deref().map(|documents| Box::new(prompt_record(documents))),
    }
}
