//! Which samples a limit keeps.
//!
//! Determinism: that depends on the seed and on each sample's own content, never on its place or on a random generator. A row
//! that goes or comes elsewhere changes a draw by as little as it can.

use super::Sample;
use crate::digest::{Digest, Hasher};

/// Keeps, of each label, as many samples as `quotas` says from the labels' counts: those with the smallest digests. Samples
/// without labels are as if they all had the same.
pub fn draw(samples: Vec<Sample>, labels: &[String], seed: u64, quotas: impl Fn(&[usize]) -> Vec<usize>) -> Vec<Sample> {
    let mut ranked: Vec<Vec<(Digest, usize)>> = vec![Vec::new(); labels.len().max(1)];
    for (i, sample) in samples.iter().enumerate() {
        let label = sample.gold.label();
        let drawn = Hasher::new("draw/1")
            .field("seed", seed.to_le_bytes())
            .field("label", label.map_or("", |label| &labels[label]))
            .field("text", &sample.text);
        let drawn = match &sample.partner {
            Some(partner) => drawn.field("partner", &partner.text),
            None => drawn,
        };
        ranked[label.unwrap_or(0)].push((drawn.finish(), i));
    }
    let counts: Vec<usize> = ranked.iter().map(Vec::len).collect();
    let mut keep = vec![false; samples.len()];
    for (mut ranked, quota) in ranked.into_iter().zip(quotas(&counts)) {
        ranked.sort_unstable();
        for (_, i) in ranked.into_iter().take(quota) {
            keep[i] = true;
        }
    }
    samples.into_iter().zip(keep).filter_map(|(sample, keep)| keep.then_some(sample)).collect()
}

/// `limit` shared out in proportion to the counts by largest remainder; equal remainders go to the earlier label.
pub(super) fn quotas(counts: &[usize], limit: usize) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    if limit >= total {
        return counts.to_vec();
    }
    let (mut quotas, mut remainders) = (Vec::with_capacity(counts.len()), Vec::with_capacity(counts.len()));
    for (label, &count) in counts.iter().enumerate() {
        let share = count as u128 * limit as u128;
        // Below `count`, because `limit < total`.
        quotas.push(usize::try_from(share / total as u128).unwrap_or(count));
        remainders.push((std::cmp::Reverse(share % total as u128), label));
    }
    remainders.sort_unstable();
    let left = limit - quotas.iter().sum::<usize>();
    for &(_, label) in remainders.iter().take(left) {
        quotas[label] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_follow_the_counts_by_largest_remainder() {
        assert_eq!(quotas(&[30, 17, 3], 10), [6, 3, 1]); // shares 6, 3.4, 0.6
        assert_eq!(quotas(&[1, 1, 1], 2), [1, 1, 0]); // equal remainders: the earlier labels
        assert_eq!(quotas(&[0, 4], 3), [0, 3]);
        assert_eq!(quotas(&[2, 2], 9), [2, 2]);
    }
}
