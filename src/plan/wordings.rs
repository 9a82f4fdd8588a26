//! What stands for each label of a slice: phrasings, or samples that are drawn from texts that no slice scores.

use std::collections::BTreeSet;

use super::{Unready, Wording};
use crate::dataset::{Kind, Sample, Slice, draw};
use crate::embed::Sources;
use crate::prompt::LabelTemplate;
use crate::spec::{self, LabelSet, Phrased, Samples, Spec, StandIn};

/// `wordings[labels][slice]`; that of an ensemble is empty.
pub fn wordings(spec: &Spec, slices: &[Slice], sources: &Sources<'_>, problems: &mut Vec<Unready>) -> Vec<Vec<Wording>> {
    let known = |slice: &Slice| slice.labels.join(", ");
    for (set, label) in spec.labels.iter().flat_map(|set| named(&set.words).map(move |label| (set, label))) {
        // A set may serve several slices: a label must be in one of them at least.
        if !slices.iter().any(|slice| slice.labels.contains(label))
            && let Some(slice) = slices.first()
        {
            problems.push(Unready::Label {
                labels: set.id.clone(),
                label: label.clone(),
                slice: slice.id.clone(),
                known: known(slice),
            });
        }
    }
    let mut of = |set: &LabelSet, slice: usize| match &set.words {
        StandIn::Phrased(phrased) => phrased_words(set, phrased, &slices[slice], problems),
        StandIn::Samples(samples) if slices[slice].kind == Kind::Classification => {
            let draw = Draw { spec, set, samples, slices, slice };
            draw.wording(sources).map_err(|problem| problems.push(problem)).unwrap_or_default()
        }
        StandIn::Samples(_) | StandIn::Ensemble(_) => Wording::default(),
    };
    spec.labels.iter().map(|set| (0..slices.len()).map(|slice| of(set, slice)).collect()).collect()
}

/// The labels that a set names.
fn named(words: &StandIn) -> impl Iterator<Item = &String> {
    let phrased = match words {
        StandIn::Phrased(phrased) => Some(phrased),
        StandIn::Samples(_) | StandIn::Ensemble(_) => None,
    };
    phrased.into_iter().flat_map(|phrased| {
        phrased.phrases.iter().map(|(label, _)| label).chain(phrased.examples.iter().map(|(label, _)| label))
    })
}

/// The phrasings of each of the slice's labels; a label without any is worded by its name.
fn phrased_words(set: &LabelSet, phrased: &Phrased, slice: &Slice, problems: &mut Vec<Unready>) -> Wording {
    let mut wording = Wording::default();
    for (i, label) in slice.labels.iter().enumerate() {
        let phrases = phrased.phrases.iter().find(|(name, _)| name == label).map(|(_, phrases)| phrases.as_slice());
        let examples = phrased.examples.iter().find(|(name, _)| name == label).map(|(_, examples)| examples.as_str());
        if examples.is_none() && phrased.templates.iter().any(LabelTemplate::wants_examples) {
            problems.push(Unready::Examples { labels: set.id.clone(), label: label.clone(), slice: slice.id.clone() });
        }
        for phrase in phrases.unwrap_or(std::slice::from_ref(label)) {
            let filled = phrased.templates.iter().map(|template| template.fill(phrase, examples.unwrap_or_default()));
            let plain = phrased.templates.is_empty().then(|| phrase.clone());
            for phrasing in filled.chain(plain) {
                wording.phrasings.push(phrasing);
                wording.owner.push(i);
            }
        }
    }
    wording
}

/// A draw of prototypes for the labels of one slice.
struct Draw<'a> {
    spec: &'a Spec,
    set: &'a LabelSet,
    samples: &'a Samples,
    slices: &'a [Slice],
    slice: usize,
}

impl Draw<'_> {
    /// So many texts of each label, each text once, and none that any slice of the spec scores.
    fn wording(&self, sources: &Sources<'_>) -> Result<Wording, Unready> {
        let Samples { shots, from } = self.samples;
        let (asked, labels) = (&self.spec.slices[self.slice], &self.slices[self.slice].labels);
        let pool = spec::Slice {
            dataset: from.dataset.clone(),
            split: from.split.clone(),
            labels: labels.clone(),
            limit: None,
            per_label: None,
            ..asked.clone()
        };
        let seed = from.seed.unwrap_or(self.spec.seed);
        let pool = sources.catalog.slice(&pool, seed);
        let pool = pool.map_err(|source| Unready::Shots { labels: self.set.id.clone(), slice: asked.id.clone(), source })?;
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for sample in self.slices.iter().flat_map(|slice| slice.samples.iter()) {
            taken.insert(sample.text.clone());
            taken.extend(sample.partner.as_ref().map(|partner| partner.text.clone()));
        }
        let free = pool.samples.iter().filter(|sample| taken.insert(sample.text.clone())).cloned().collect();
        let drawn = draw(free, labels, seed, |counts| vec![*shots; counts.len()]);
        let mut wording = Wording::default();
        for (i, label) in labels.iter().enumerate() {
            let own: Vec<&Sample> = drawn.iter().filter(|sample| sample.gold.label() == Some(i)).collect();
            if own.len() < *shots {
                return Err(Unready::FewShots {
                    labels: self.set.id.clone(),
                    label: label.clone(),
                    from: format!("{}/{}", from.dataset, from.split),
                    found: own.len(),
                    wanted: *shots,
                });
            }
            for sample in own {
                wording.phrasings.push(sample.text.clone());
                wording.samples.push(sample.id.clone());
                wording.owner.push(i);
            }
        }
        Ok(wording)
    }
}
