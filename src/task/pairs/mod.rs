//! What is computed from pairs of texts: their similarity, and how it agrees with what people say of them.

mod classes;
mod mteb;
mod scores;
mod similar;

use super::Metric;
use crate::stats::{Clusters, Estimate};

pub use classes::{CLASS_METRICS, Thresholds, pair_classification};
pub use mteb::{MTEB_METRICS, mteb};
pub use scores::{STS_METRICS, sts};
pub use similar::{Similar, Similarities, Similarity};

/// What is right about pairs, and how they hang together.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// How similar each pair is; of labelled pairs, 1 for the same and 0 for different.
    pub gold: Vec<f64>,
    /// Pairs that are drawn together.
    pub clusters: Clusters,
    /// The subset of each pair, as an index; empty where there are no subsets.
    pub subsets: Vec<usize>,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Pairs {
    /// Which pairs are the same.
    pub fn positive(&self) -> Vec<bool> {
        self.gold.iter().map(|&gold| gold > 0.5).collect()
    }
}

const ONE_CLASS: &str = "all pairs are of one class";
const NO_POSITIVE: &str = "no pair is of the second label";

fn known(name: &'static str, estimate: Estimate) -> Metric {
    Metric { name, label: None, estimate: Some(estimate), reason: None }
}

fn optional(name: &'static str, estimate: Option<Estimate>, why_not: &str) -> Metric {
    let reason = estimate.is_none().then(|| why_not.to_owned());
    Metric { name, label: None, estimate, reason }
}

/// What every task on pairs says of its vectors.
fn of_vectors(similar: &Similar) -> [Metric; 2] {
    let vectors = 2 * similar.count();
    let anisotropy = similar.anisotropy.map(|mean| Estimate::exact(mean, vectors - similar.zero_vectors));
    [
        optional("anisotropy", anisotropy, "fewer than two vectors have a direction"),
        known("zero_vectors", crate::stats::wilson(similar.zero_vectors, vectors)),
    ]
}

#[cfg(test)]
mod tests;
