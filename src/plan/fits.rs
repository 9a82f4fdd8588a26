//! The texts that transforms are fitted on, and which scored samples are among them.

use std::collections::BTreeSet;

use super::Unready;
use crate::dataset::{Origin, Slice};
use crate::digest::{Digest, Hasher};
use crate::embed::Sources;
use crate::spec::{FitTexts, Spec};

/// Texts that transforms are fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub from: FitTexts,
    pub texts: Vec<String>,
    /// Digest of the texts in their order.
    pub digest: Digest,
    pub origin: Origin,
    /// Slices of which some samples are among these texts, by their place, and how many.
    pub seen: Vec<(usize, usize)>,
}

impl Fit {
    /// The texts of each fit set that some transform names, and which of them each transform has.
    pub(super) fn all(
        spec: &Spec,
        slices: &[Slice],
        sources: &Sources<'_>,
        problems: &mut Vec<Unready>,
    ) -> (Vec<Self>, Vec<usize>) {
        let mut fits: Vec<Self> = Vec::new();
        let mut of = Vec::new();
        for transform in &spec.transforms {
            if let Some(known) = fits.iter().position(|fit| fit.from == transform.fit) {
                of.push(known);
                continue;
            }
            match sources.catalog.fit_texts(&transform.fit, spec.seed) {
                Ok((texts, origin)) => {
                    of.push(fits.len());
                    let seen = seen(&texts, slices);
                    fits.push(Self { from: transform.fit.clone(), digest: digest(&texts), texts, origin, seen });
                }
                Err(source) => problems.push(Unready::Fit { transform: transform.id.clone(), source }),
            }
        }
        (fits, of)
    }

    /// A warning for every slice of which samples are among the texts without the spec saying so.
    pub(super) fn warnings<'a>(&'a self, slices: &'a [Slice]) -> impl Iterator<Item = String> + 'a {
        let unsaid = self.seen.iter().filter(|_| !self.from.transductive);
        unsaid.map(|&(slice, samples)| {
            let slice = &slices[slice];
            let all = slice.samples.len();
            format!(
                "{samples} of the {all} samples of slice `{}` are among the texts of {} that a transform is fitted on",
                slice.id, self.from
            )
        })
    }
}

/// Digest of texts in their order.
pub fn digest(texts: &[String]) -> Digest {
    Hasher::new("fit/1").json("texts", &texts).finish()
}

fn seen(texts: &[String], slices: &[Slice]) -> Vec<(usize, usize)> {
    let texts: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let holds = |text: &str| texts.contains(text);
    let count = |slice: &Slice| {
        let sample = |text: &str, partner: Option<&str>| holds(text) || partner.is_some_and(holds);
        let partner = |i: usize| slice.samples[i].partner.as_ref().map(|partner| partner.text.as_str());
        (0..slice.samples.len()).filter(|&i| sample(&slice.samples[i].text, partner(i))).count()
    };
    slices.iter().map(count).enumerate().filter(|(_, samples)| *samples > 0).collect()
}
