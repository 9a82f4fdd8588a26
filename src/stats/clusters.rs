//! The bootstrap where samples come in groups that are not independent: whole groups are drawn.

use std::collections::BTreeMap;

use super::bootstrap::resample_all;
use super::{Estimate, Resampled};

/// Which samples are drawn together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// The cluster of each sample, from 0 in the order of their first samples.
    of: Vec<usize>,
    count: usize,
}

impl Clusters {
    /// Samples of one group are drawn together; a sample without a group is alone.
    pub fn of<'a>(groups: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut known = BTreeMap::new();
        let mut count = 0;
        let of = groups.map(|group| {
            let mut next = || {
                count += 1;
                count - 1
            };
            match group {
                Some(group) => *known.entry(group.to_owned()).or_insert_with(next),
                None => next(),
            }
        });
        let of: Vec<usize> = of.collect();
        Self { of, count }
    }

    /// Clusters by their numbers, as [`Self::numbers`] gives them.
    pub fn from_numbers(of: Vec<usize>) -> Self {
        let count = of.iter().max().map_or(0, |last| last + 1);
        Self { of, count }
    }

    /// Those of some samples, in the order given.
    #[must_use]
    pub fn part(&self, samples: &[usize]) -> Self {
        let names: Vec<String> = samples.iter().map(|&sample| self.of[sample].to_string()).collect();
        Self::of(names.iter().map(|name| Some(name.as_str())))
    }

    /// The cluster of each sample.
    pub fn numbers(&self) -> &[usize] {
        &self.of
    }

    /// Number of clusters.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether every sample is drawn alone.
    pub fn is_trivial(&self) -> bool {
        self.count == self.of.len()
    }

    /// 95 % intervals of statistics of the samples, of which clusters are drawn with replacement. Each statistic is given how often
    /// every sample counts; see [`Resampled::interval`] for what an undefined one does.
    ///
    /// Source: Davison and Hinkley (1997), "Bootstrap Methods and their Application", section 3.8, strategy 1.
    pub fn bootstrap_all<const K: usize>(
        &self,
        seed: u64,
        resamples: usize,
        statistics: impl Fn(&[u32]) -> [Option<f64>; K] + Sync,
        values: [f64; K],
    ) -> [Estimate; K] {
        let estimates = super::bootstrap_all(self.count, seed, resamples, |drawn| statistics(&self.counts(drawn)), values);
        estimates.map(|estimate| Estimate { n: self.of.len(), ..estimate })
    }

    /// A statistic on resamples of clusters. The same seed draws the same resamples.
    pub fn resampled(
        &self,
        seed: u64,
        resamples: usize,
        statistic: impl Fn(&[u32]) -> Option<f64> + Sync,
        value: Option<f64>,
    ) -> Resampled {
        let [resampled] = resample_all(self.count, seed, resamples, |drawn| [statistic(&self.counts(drawn))], [value]);
        Resampled { samples: self.of.len(), ..resampled }
    }

    /// How often each sample counts when clusters count so often.
    fn counts(&self, drawn: &[u32]) -> Vec<u32> {
        self.of.iter().map(|&cluster| drawn[cluster]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Ordered, RESAMPLES, spearman};

    fn mean(values: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + Sync {
        move |counts| {
            let n: u32 = counts.iter().sum();
            (n > 0)
                .then(|| values.iter().zip(counts).map(|(value, &count)| value * f64::from(count)).sum::<f64>() / f64::from(n))
        }
    }

    #[test]
    fn groups_are_numbered_in_order_and_lone_samples_are_alone() {
        let clusters = Clusters::of([Some("b"), None, Some("a"), Some("b"), None].into_iter());
        assert_eq!((clusters.numbers(), clusters.count(), clusters.is_trivial()), (&[0, 1, 2, 0, 3][..], 4, false));
        assert_eq!(Clusters::from_numbers(clusters.numbers().to_vec()), clusters);
        assert!(Clusters::of([None, None].into_iter()).is_trivial());
    }

    /// Ten copies of each of 40 values say no more than the 40: the interval is as wide as theirs, not a third of it.
    #[test]
    fn copies_are_no_evidence() {
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let copies: Vec<f64> = values.iter().flat_map(|value| [*value; 10]).collect();
        let names: Vec<String> = values.iter().map(ToString::to_string).collect();
        let groups = Clusters::of(names.iter().flat_map(|name| [Some(name.as_str()); 10]));
        let width = |clusters: &Clusters, values: &[f64]| {
            let [estimate] = clusters.bootstrap_all(7, RESAMPLES, |counts| [mean(values)(counts)], [19.5]);
            let interval = estimate.interval.unwrap();
            (estimate.n, interval.high - interval.low)
        };
        let (n, grouped) = width(&groups, &copies);
        let (_, alone) = width(&Clusters::of([None; 40].into_iter()), &values);
        let (_, naive) = width(&Clusters::of([None; 400].into_iter()), &copies);
        assert_eq!(n, 400);
        assert!((grouped - alone).abs() < 1e-9 && naive < 0.4 * alone, "{grouped} {alone} {naive}");
    }

    #[test]
    fn a_difference_has_its_p_value() {
        let gains: Vec<f64> = [0.3, 0.1, 0.2, 0.4, -0.05, 0.2, 0.1, 0.3, 0.25, 0.15].to_vec();
        let of = |gains: &[f64]| {
            let value = gains.iter().sum::<f64>() / crate::stats::number(gains.len());
            Clusters::of(gains.iter().map(|_| None)).resampled(1, RESAMPLES, mean(gains), Some(value))
        };
        let clear = of(&gains).minus(&of(&[0.0; 10]));
        // Of ten with a deviation of 0.1278: Student's interval of the mean reaches 2.262 * 0.0404 to either side.
        let ends = clear.interval().unwrap();
        assert!((ends.high - 0.195 - 0.0915).abs() < 0.005 && (ends.low - 0.195 + 0.0915).abs() < 0.005, "{ends:?}");
        assert!(clear.p_value() < 0.005, "{}", clear.p_value());
        let nothing = of(&gains).minus(&of(&gains));
        assert_eq!((nothing.value, nothing.interval(), nothing.p_value()), (Some(0.0), None, 1.0));
        let single = of(&[0.5]).minus(&of(&[0.0]));
        assert_eq!((single.interval(), single.p_value()), (None, 1.0));
    }

    /// Two systems that are equally good by construction: about 5 % of comparisons may be called significant.
    #[test]
    fn chance_is_called_significant_about_as_often_as_it_says() {
        use rand_chacha::ChaCha8Rng;
        use rand_chacha::rand_core::{Rng, SeedableRng};
        let mut generator = ChaCha8Rng::seed_from_u64(3);
        let mut unit = || f64::from(generator.next_u32()) / f64::from(u32::MAX);
        let (runs, n) = (400, 80);
        let mut called = 0;
        for run in 0..runs {
            let gold: Vec<f64> = (0..n).map(|_| unit()).collect();
            let mut system = || gold.iter().map(|gold| gold + unit()).collect::<Vec<f64>>();
            let (one, two) = (Ordered::new(&system()), Ordered::new(&system()));
            let gold = Ordered::new(&gold);
            let clusters = Clusters::of(std::iter::repeat_n(None, n));
            let of = |system: &Ordered| {
                let against = |counts: &[u32]| spearman(system, &gold, counts);
                clusters.resampled(run, 400, against, against(&vec![1; n]))
            };
            called += usize::from(of(&one).minus(&of(&two)).p_value() < 0.05);
        }
        // 20 of 400 expected; 6 to 36 are within three and a half standard deviations of 4.4.
        assert!((6..=36).contains(&called), "{called} of {runs}");
    }
}
