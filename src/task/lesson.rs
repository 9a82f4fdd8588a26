//! What a task that learns is told, and what it is asked.

use super::{TaskError, Vectors, finite};
use crate::embeddings::Embeddings;

/// Texts whose labels are known, and texts that are to get one. Pairs are texts here: of each, its features.
#[derive(Clone, Copy)]
pub struct Lesson<'a> {
    pub train: &'a Embeddings,
    /// The label of each train text.
    pub known: &'a [usize],
    pub texts: &'a Embeddings,
    /// The right label of each text.
    pub gold: &'a [usize],
    pub labels: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Lesson<'_> {
    /// That there is something to ask and to answer with.
    pub(super) fn check(&self) -> Result<(), TaskError> {
        if self.texts.is_empty() {
            return Err(TaskError::NoSamples);
        }
        if self.labels == 0 {
            return Err(TaskError::NoLabels);
        }
        finite(Vectors::Train, self.train)?;
        finite(Vectors::Texts, self.texts)
    }
}

/// What a classifier sees of pairs: how far their coordinates are apart, then the products of those. Shape: first texts, then as many
/// second ones, `[2 pairs, dim]` -> `[pairs, 2 dim]`.
///
/// Source: `SentEval`, its MRPC and SICK tasks.
pub fn pair_features(both: &Embeddings) -> Embeddings {
    let (pairs, dim) = (both.len() / 2, both.dim());
    let mut values = Vec::with_capacity(pairs * 2 * dim);
    for pair in 0..pairs {
        let sides = || both.row(pair).iter().zip(both.row(pairs + pair));
        values.extend(sides().map(|(a, b)| (a - b).abs()));
        values.extend(sides().map(|(a, b)| a * b));
    }
    Embeddings::from_values(2 * dim, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_pairs_by_hand() {
        // Pairs (1, 2) and (3, -4); (0, 5) and (0, 5).
        let both = Embeddings::from_values(2, vec![1.0, 2.0, 0.0, 5.0, 3.0, -4.0, 0.0, 5.0]);
        let found = pair_features(&both);
        assert_eq!((found.len(), found.dim()), (2, 4));
        assert_eq!((found.row(0), found.row(1)), (&[2.0, 6.0, 3.0, -8.0][..], &[0.0, 0.0, 0.0, 25.0][..]));
    }
}
