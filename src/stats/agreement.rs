//! How well the numbers that a system gives to samples agree with what is right about them, on as many resamples as need be.

use super::resampled::Kind;
use super::{Clusters, Ordered, RESAMPLES, Resampled, Table, average_precision, number, pearson, spearman};

/// One figure of one system, prepared so that a resample costs no sorting.
#[derive(Clone, Debug)]
pub struct Agreement(Figure);

#[derive(Clone, Debug)]
enum Figure {
    /// Mean over the parts of their rank, or linear, correlations.
    Correlation { linear: bool, parts: Vec<Part> },
    /// The largest average precision of several measures.
    Precision { measures: Vec<Ordered>, positive: Vec<bool> },
    /// The share of samples that are right.
    Share { right: Vec<bool> },
    /// The mean over labels of their F1.
    MacroF1 { gold: Vec<usize>, predicted: Vec<usize>, labels: usize },
    /// The mean over those samples that have a value.
    Mean { values: Vec<Option<f64>> },
    /// The V-measure of the parts that samples are in.
    Parts { labels: Vec<usize>, parts: Vec<usize> },
}

/// Some of the samples.
#[derive(Clone, Debug)]
struct Part {
    samples: Vec<usize>,
    given: (Vec<f64>, Ordered),
    gold: (Vec<f64>, Ordered),
}

impl Agreement {
    /// Spearman's correlation of the numbers given with the gold ones: of all samples, or its mean over several `parts`.
    pub fn rank(given: &[f64], gold: &[f64], parts: &[Vec<usize>]) -> Self {
        Self(Figure::Correlation { linear: false, parts: Part::all(given, gold, parts) })
    }

    /// Pearson's correlation, likewise.
    pub fn linear(given: &[f64], gold: &[f64], parts: &[Vec<usize>]) -> Self {
        Self(Figure::Correlation { linear: true, parts: Part::all(given, gold, parts) })
    }

    /// Average precision of samples ranked by what they were given; of several measures, the largest.
    pub fn precision(measures: &[Vec<f64>], positive: Vec<bool>) -> Self {
        Self(Figure::Precision { measures: measures.iter().map(|given| Ordered::new(given)).collect(), positive })
    }

    /// Share of samples that are right.
    pub const fn share(right: Vec<bool>) -> Self {
        Self(Figure::Share { right })
    }

    /// The mean, over so many labels that are right or predicted somewhere, of their F1.
    pub const fn macro_f1(gold: Vec<usize>, predicted: Vec<usize>, labels: usize) -> Self {
        Self(Figure::MacroF1 { gold, predicted, labels })
    }

    /// Mean of the samples' values; those without one do not count.
    pub const fn mean(values: Vec<Option<f64>>) -> Self {
        Self(Figure::Mean { values })
    }

    /// V-measure of the parts that samples of these labels are in.
    pub const fn parts(labels: Vec<usize>, parts: Vec<usize>) -> Self {
        Self(Figure::Parts { labels, parts })
    }

    /// The figure over all of so many samples; None where it is undefined.
    pub fn overall(&self, samples: usize) -> Option<f64> {
        self.of(&vec![1; samples])
    }

    /// The figure when samples count so often each.
    pub fn of(&self, counts: &[u32]) -> Option<f64> {
        match &self.0 {
            Figure::Correlation { linear, parts } => {
                let sum: Option<f64> = parts.iter().map(|part| part.correlation(*linear, counts)).sum();
                sum.filter(|_| !parts.is_empty()).map(|sum| sum / number(parts.len()))
            }
            Figure::Precision { measures, positive } => {
                measures.iter().filter_map(|given| average_precision(given, positive, counts)).reduce(f64::max)
            }
            Figure::Share { right } => {
                let all: u32 = counts.iter().sum();
                let hits: u32 = right.iter().zip(counts).filter(|(right, _)| **right).map(|(_, count)| count).sum();
                (all > 0).then(|| f64::from(hits) / f64::from(all))
            }
            Figure::MacroF1 { gold, predicted, labels } => macro_f1(gold, predicted, *labels, counts),
            Figure::Mean { values } => {
                let valued = || values.iter().zip(counts).filter_map(|(value, count)| Some(((*value)?, *count)));
                let all: u32 = valued().map(|(_, count)| count).sum();
                (all > 0).then(|| valued().map(|(value, count)| value * f64::from(count)).sum::<f64>() / f64::from(all))
            }
            Figure::Parts { labels, parts } => {
                counts.iter().any(|count| *count > 0).then(|| Table::of(labels, parts, counts).agreement()[0])
            }
        }
    }

    /// The figure over all samples and on resamples of their clusters.
    pub fn resampled(&self, clusters: &Clusters, seed: u64) -> Resampled {
        let samples = clusters.numbers().len();
        let resampled = clusters.resampled(seed, RESAMPLES, |counts| self.of(counts), self.overall(samples));
        let kind = match self.0 {
            Figure::Correlation { .. } => Kind::Correlation,
            Figure::MacroF1 { .. } => Kind::OverLabels,
            Figure::Parts { .. } => Kind::Partition,
            Figure::Precision { .. } | Figure::Share { .. } | Figure::Mean { .. } => Kind::Any,
        };
        Resampled { kind, ..resampled }
    }
}

/// A label's F1 is twice its hits over how often it is right and how often it is predicted.
fn macro_f1(gold: &[usize], predicted: &[usize], labels: usize, counts: &[u32]) -> Option<f64> {
    let (mut hits, mut named) = (vec![0_u32; labels], vec![0_u32; labels]);
    for ((&gold, &predicted), &count) in gold.iter().zip(predicted).zip(counts) {
        named[gold] += count;
        named[predicted] += count;
        hits[gold] += if gold == predicted { count } else { 0 };
    }
    let f1 = |(hits, named): (&u32, &u32)| (*named > 0).then(|| 2.0 * f64::from(*hits) / f64::from(*named));
    let of_labels: Vec<f64> = hits.iter().zip(&named).filter_map(f1).collect();
    (!of_labels.is_empty()).then(|| of_labels.iter().sum::<f64>() / number(of_labels.len()))
}

impl Part {
    /// The parts, or all samples where there are no parts.
    fn all(given: &[f64], gold: &[f64], parts: &[Vec<usize>]) -> Vec<Self> {
        let part = |samples: Vec<usize>| {
            let of = |values: &[f64]| {
                let own: Vec<f64> = samples.iter().map(|&sample| values[sample]).collect();
                let ordered = Ordered::new(&own);
                (own, ordered)
            };
            Self { given: of(given), gold: of(gold), samples }
        };
        if parts.is_empty() { vec![part((0..given.len()).collect())] } else { parts.iter().cloned().map(part).collect() }
    }

    fn correlation(&self, linear: bool, counts: &[u32]) -> Option<f64> {
        let own: Vec<u32> = self.samples.iter().map(|&sample| counts[sample]).collect();
        if linear { pearson(&self.given.0, &self.gold.0, &own) } else { spearman(&self.given.1, &self.gold.1, &own) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: [f64; 6] = [0.1, 0.2, 0.3, 0.9, 0.8, 0.7];
    const GOLD: [f64; 6] = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0];

    #[test]
    fn parts_are_averaged_and_the_whole_is_not_their_mean() {
        let parts = [vec![0, 1, 2], vec![3, 4, 5]];
        // Rising in the first part, falling in the second.
        let close = |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-12, "{found:?}");
        close(Agreement::rank(&GIVEN, &GOLD, &parts).overall(6), 0.0);
        close(Agreement::rank(&GIVEN, &GOLD, &parts[..1]).overall(6), 1.0);
        // Together, ranks 1 2 3 5 6 4 against 1.5 3.5 5.5 1.5 3.5 5.5: products of deviations are 5 0 -1 -3 0 1; sums of
        // squares 17.5 and 16.
        let mixed = [0.1, 0.2, 0.3, 0.8, 0.9, 0.7];
        close(Agreement::rank(&mixed, &GOLD, &[]).overall(6), 2.0 / 280.0_f64.sqrt());
        close(Agreement::linear(&[0.0, 1.0], &[2.0, 4.0], &[]).overall(2), 1.0);
        assert_eq!(Agreement::rank(&[0.5, 0.5], &[2.0, 4.0], &[]).overall(2), None);
    }

    #[test]
    fn the_best_measure_and_shares() {
        let positive = vec![true, false];
        let found = Agreement::precision(&[vec![0.1, 0.9], vec![0.9, 0.1]], positive.clone());
        assert_eq!(found.overall(2), Some(1.0));
        assert_eq!(Agreement::precision(&[vec![0.1, 0.9]], positive).overall(2), Some(0.5));
        assert_eq!(Agreement::share(vec![true, false, true]).of(&[1, 3, 0]), Some(0.25));
        assert_eq!(Agreement::share(Vec::new()).overall(0), None);
        let means = Agreement::mean(vec![Some(1.0), None, Some(0.25)]);
        assert_eq!((means.of(&[1, 5, 3]), means.of(&[0, 2, 0])), (Some(1.75 / 4.0), None));
        assert_eq!(Agreement::parts(vec![0, 0, 1], vec![1, 1, 0]).overall(3), Some(1.0));
    }

    /// Label 0: one hit of one right and two predicted, 2/3; label 1: one hit of two right and one predicted, 2/3; 2 is nowhere.
    #[test]
    fn labels_count_alike() {
        let figure = Agreement::macro_f1(vec![0, 1, 1], vec![0, 0, 1], 3);
        assert!((figure.overall(3).unwrap() - 2.0 / 3.0).abs() < 1e-15);
        // Without the last sample: 2/3 and 0.
        assert!((figure.of(&[1, 1, 0]).unwrap() - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(figure.of(&[0, 0, 0]), None);
    }
}
