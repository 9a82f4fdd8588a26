//! What is right about the pairs of a slice, and how they hang together.

use super::Sample;
use crate::stats::Clusters;

/// The gold side of scoring pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairGold {
    /// How similar each pair is; of labelled pairs, 1 for the same and 0 for different.
    pub gold: Vec<f64>,
    /// Pairs of one group, which are drawn together.
    pub clusters: Clusters,
    /// The subset of each pair, as an index into `names`; empty unless there are several.
    pub subsets: Vec<usize>,
    /// The subsets in the order of their first pairs; empty unless there are several.
    pub names: Vec<String>,
}

impl PairGold {
    /// What the samples of a slice of pairs say.
    pub fn of(samples: &[Sample]) -> Self {
        let partners = || samples.iter().map(|sample| sample.partner.as_deref());
        let mut names: Vec<String> = Vec::new();
        let subset = |partner: Option<&super::Partner>| {
            let name = partner.and_then(|partner| partner.subset.as_deref()).unwrap_or_default();
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let mut subsets: Vec<usize> = partners().map(subset).collect();
        if names.len() < 2 {
            names.clear();
            subsets.clear();
        }
        Self {
            gold: samples.iter().map(|sample| sample.gold.value()).collect(),
            clusters: Clusters::of(partners().map(|partner| partner?.group.as_deref())),
            subsets,
            names,
        }
    }

    /// The pairs of each subset; none unless there are several subsets.
    pub fn parts(&self) -> Vec<Vec<usize>> {
        let of = |subset: usize| (0..self.subsets.len()).filter(|&pair| self.subsets[pair] == subset).collect();
        (0..self.names.len()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Gold, Partner};

    #[test]
    fn groups_and_subsets_are_numbered_by_their_first_pair() {
        let pair = |score: f64, group: Option<&str>, subset: Option<&str>| Sample {
            id: String::new(),
            text: "a".to_owned(),
            gold: Gold::Score(score),
            partner: Some(Box::new(Partner {
                text: "b".to_owned(),
                group: group.map(str::to_owned),
                subset: subset.map(str::to_owned),
            })),
        };
        let samples = [pair(0.5, Some("q"), Some("news")), pair(4.0, None, Some("forum")), pair(1.0, Some("q"), Some("news"))];
        let found = PairGold::of(&samples);
        assert_eq!((found.gold, found.clusters.numbers()), (vec![0.5, 4.0, 1.0], &[0, 1, 0][..]));
        assert_eq!((found.subsets, found.names), (vec![0, 1, 0], vec!["news".to_owned(), "forum".to_owned()]));
        let one = PairGold::of(&samples[..1]);
        assert!(one.subsets.is_empty() && one.names.is_empty());
    }
}
