//! Lowering of `[[transform]]`: each kind with the parameters that mean something to it, fitted on texts that are not scored.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::ids::PLAIN;
use super::lower::Lowering;
use super::problem::Problem;
use super::{Slice, TransformKind, wire};

/// What is done to all vectors, texts and labels alike, before they are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    pub id: String,
    pub rule: TransformRule,
    pub fit: FitTexts,
}

/// A transform's kind with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TransformRule {
    Center,
    Standardize,
    DropTop {
        /// Directions taken off, at least 1.
        drop: usize,
    },
    Whiten {
        /// Dimensions kept; all that vary when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dims: Option<usize>,
        /// From 0, the variances as they are, to 1, all variances alike.
        shrinkage: f64,
    },
}

/// Texts that a transform is fitted on; their labels, if there are any, are not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TransformFit")]
pub struct FitTexts {
    /// A dataset's name.
    #[schemars(length(min = 1))]
    pub dataset: String,
    /// One of its splits.
    #[schemars(length(min = 1))]
    pub split: String,
    /// At most so many texts, drawn by seed.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Say so where the split is one that a slice scores: the transform then has seen the texts that it is judged on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transductive: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl FitTexts {
    /// Whether the texts of a slice are among these.
    pub fn holds(&self, dataset: &str, split: &str) -> bool {
        self.dataset == dataset && self.split == split
    }
}

impl fmt::Display for FitTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dataset, self.split)
    }
}

impl fmt::Display for TransformRule {
    /// `whiten, 64 dimensions, shrinkage 0.1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Center => f.write_str("center"),
            Self::Standardize => f.write_str("standardize"),
            Self::DropTop { drop } => write!(f, "drop-top, {drop} of the largest variance"),
            Self::Whiten { dims, shrinkage } => {
                let dims = dims.map_or("all dimensions that vary".to_owned(), |dims| format!("{dims} dimensions"));
                write!(f, "whiten, {dims}, shrinkage {shrinkage}")
            }
        }
    }
}

/// One entry, or what is wrong with it.
pub fn transform(entry: Spanned<wire::Transform>, slices: &[Slice], lowering: &mut Lowering<'_>) -> Option<Transform> {
    let span = entry.span();
    let wire::Transform { id, kind, dims, drop, shrinkage, fit } = entry.into_inner();
    if id.get_ref() == PLAIN {
        let problem = Problem::new(id.span(), format!("`{PLAIN}` is the plain choice, which every spec has"));
        lowering.report(problem.help("give this transform another id"));
    }
    let kind_of = *kind.get_ref();
    let keys = [
        ("dims", dims.as_ref().map(Spanned::span), TransformKind::Whiten),
        ("shrinkage", shrinkage.as_ref().map(Spanned::span), TransformKind::Whiten),
        ("drop", drop.as_ref().map(Spanned::span), TransformKind::DropTop),
    ];
    for (key, place, meant) in keys {
        if let Some(place) = place.filter(|_| kind_of != meant) {
            let problem = Problem::new(place, format!("`{key}` means nothing to `{kind_of}`"));
            lowering.report(problem.help(format!("remove `{key}`: it is for `{meant}`")));
        }
    }
    scored(&fit, slices, lowering);
    let rule = match kind_of {
        TransformKind::Center => TransformRule::Center,
        TransformKind::Standardize => TransformRule::Standardize,
        TransformKind::DropTop => {
            let Some(drop) = drop else {
                if !lowering.is_pruned(&span) {
                    let problem = Problem::new(kind.span(), "`drop-top` has no `drop`");
                    lowering.report(problem.help("say how many of the largest components go: `drop = 2`"));
                }
                return None;
            };
            TransformRule::DropTop { drop: drop.into_inner() }
        }
        TransformKind::Whiten => {
            TransformRule::Whiten { dims: dims.map(Spanned::into_inner), shrinkage: shrinkage.map_or(0.0, Spanned::into_inner) }
        }
    };
    Some(Transform { id: id.into_inner(), rule, fit: fit.into_inner() })
}

/// Complains of a split that a slice scores, unless the spec says that it knows.
fn scored(fit: &Spanned<FitTexts>, slices: &[Slice], lowering: &mut Lowering<'_>) {
    let texts = fit.get_ref();
    let scored = slices.iter().find(|slice| texts.holds(&slice.dataset, &slice.split));
    if let Some(slice) = scored.filter(|_| !texts.transductive) {
        let problem = Problem::new(fit.span(), format!("slice `{}` scores the texts that this is fitted on", slice.id));
        lowering.report(problem.help("fit on another split, or add `transductive = true`: the report then says so"));
    }
}
