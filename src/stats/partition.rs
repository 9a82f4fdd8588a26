//! How a partition of samples agrees with their labels.

/// How many samples have each label and each part.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Shape: row-major `[labels, parts]`.
    counts: Vec<f64>,
    labels: usize,
    parts: usize,
}

impl Table {
    /// Samples with these labels, in these parts, that count so often each.
    pub fn of(labels: &[usize], parts: &[usize], counts: &[u32]) -> Self {
        let most = |numbers: &[usize]| numbers.iter().max().map_or(0, |last| last + 1);
        let (rows, columns) = (most(labels), most(parts));
        let mut table = vec![0.0; rows * columns];
        for ((label, part), &count) in labels.iter().zip(parts).zip(counts) {
            table[label * columns + part] += f64::from(count);
        }
        Self { counts: table, labels: rows, parts: columns }
    }

    /// Samples of each part.
    pub fn sizes(&self) -> Vec<f64> {
        (0..self.parts).map(|part| (0..self.labels).map(|label| self.counts[label * self.parts + part]).sum()).collect()
    }

    /// V-measure, homogeneity, completeness, and the Rand index adjusted for chance.
    ///
    /// Range: 0..1, the last -1/2..1. As in scikit-learn, a single label is homogeneous, a single part complete, and no sample at
    /// all is both.
    ///
    /// Source: Rosenberg and Hirschberg (2007), "V-Measure"; Hubert and Arabie (1985), "Comparing partitions".
    pub fn agreement(&self) -> [f64; 4] {
        let of_labels: Vec<f64> = self.counts.chunks_exact(self.parts.max(1)).map(|row| row.iter().sum()).collect();
        let of_parts = self.sizes();
        let all: f64 = of_parts.iter().sum();
        let entropy = |counts: &[f64]| -> f64 {
            let term = |count: &f64| if *count > 0.0 { -count / all * (count / all).ln() } else { 0.0 };
            counts.iter().map(term).sum()
        };
        let cells = || (0..self.labels).flat_map(|label| (0..self.parts).map(move |part| (label, part)));
        let mutual: f64 = cells()
            .map(|(label, part)| match self.counts[label * self.parts + part] {
                0.0 => 0.0,
                count => count / all * (count * all / (of_labels[label] * of_parts[part])).ln(),
            })
            .sum();
        let (labels, parts) = (entropy(&of_labels), entropy(&of_parts));
        let share = |entropy: f64| if entropy > 0.0 { (mutual / entropy).clamp(0.0, 1.0) } else { 1.0 };
        let (homogeneity, completeness) = (share(labels), share(parts));
        let sum = homogeneity + completeness;
        let v_measure = if sum > 0.0 { 2.0 * homogeneity * completeness / sum } else { 0.0 };
        [v_measure, homogeneity, completeness, self.adjusted_rand(&of_labels, &of_parts, all)]
    }

    fn adjusted_rand(&self, of_labels: &[f64], of_parts: &[f64], all: f64) -> f64 {
        let pairs = |counts: &[f64]| counts.iter().map(|count| count * (count - 1.0) / 2.0).sum::<f64>();
        let (both, labels, parts) = (pairs(&self.counts), pairs(of_labels), pairs(of_parts));
        let expected = labels * parts / (all * (all - 1.0) / 2.0);
        let most = f64::midpoint(labels, parts);
        // Every sample alone, or all together, on both sides: they agree, and chance could not do otherwise.
        if most - expected > 0.0 { (both - expected) / (most - expected) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [usize; 10] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2];

    /// V-measure, homogeneity, completeness and adjusted Rand of samples that count so often.
    fn close(labels: &[usize], parts: &[usize], counts: &[u32], wanted: [f64; 4]) {
        let found = Table::of(labels, parts, counts).agreement();
        let apart = found.iter().zip(wanted).map(|(found, wanted)| (found - wanted).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-12, "{found:?} {wanted:?}");
    }

    /// scikit-learn 1.9.1: `v_measure_score`, `homogeneity_score`, `completeness_score`, `adjusted_rand_score`.
    #[test]
    fn agreement_is_that_of_scikit_learn() {
        let parts = [0, 0, 1, 1, 1, 2, 2, 2, 0, 2];
        close(&LABELS, &parts, &[1; 10], [0.44270128334605, 0.44270128334605, 0.44270128334605, 0.20454545454545456]);
        let parts = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
        close(&LABELS, &parts, &[1; 10], [0.3894138375014743, 0.2841842042944643, 0.6183986297702825, 0.17754569190600522]);
    }

    #[test]
    fn counting_twice_is_having_twice() {
        let counts = [2, 1, 0, 3];
        let repeated = Table::of(&[0, 0, 0, 1, 1, 1], &[0, 0, 1, 1, 1, 1], &[1; 6]);
        close(&[0, 0, 1, 1], &[0, 1, 1, 1], &counts, repeated.agreement());
        assert_eq!(repeated.sizes(), [2.0, 4.0]);
    }

    #[test]
    fn single_labels_single_parts_and_lone_samples() {
        close(&[0, 0], &[0, 1], &[1, 1], [0.0, 1.0, 0.0, 0.0]);
        close(&[0, 1], &[0, 0], &[1, 1], [0.0, 0.0, 1.0, 0.0]);
        close(&[0, 1], &[0, 1], &[1, 1], [1.0; 4]);
        close(&[0, 0], &[0, 0], &[1, 1], [1.0; 4]);
        close(&[0], &[0], &[1], [1.0; 4]);
    }
}
