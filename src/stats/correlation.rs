//! Correlations of two lists of numbers, also of samples that count several times: what a resample is.

use super::number;

/// The order of some values, ties known, made once for many resamples.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Indices of the values, smallest first.
    order: Vec<usize>,
    /// Where each run of equal values ends in `order`.
    ends: Vec<usize>,
}

impl Ordered {
    /// Sorts finite values.
    pub fn new(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        // Adding zero makes -0 and 0 the same.
        order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
        let mut ends: Vec<usize> = (1..order.len()).filter(|&i| values[order[i - 1]] < values[order[i]]).collect();
        ends.extend((!order.is_empty()).then_some(order.len()));
        Self { order, ends }
    }

    /// Runs of equal values, smallest first, as indices of the values.
    pub fn ties(&self) -> impl DoubleEndedIterator<Item = &[usize]> {
        self.ends.iter().enumerate().map(|(i, &end)| {
            let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.order[start..end]
        })
    }

    /// The rank of each value, from 1, equal ones sharing their mean rank, when each counts so often.
    pub fn ranks(&self, counts: &[u32]) -> Vec<f64> {
        let mut ranks = vec![0.0; self.order.len()];
        let mut before = 0.0;
        for tied in self.ties() {
            let here = f64::from(tied.iter().map(|&i| counts[i]).sum::<u32>());
            let rank = before + f64::midpoint(here, 1.0);
            tied.iter().for_each(|&i| ranks[i] = rank);
            before += here;
        }
        ranks
    }
}

/// Pearson's linear correlation of samples that count so often each. None where either side does not vary.
///
/// Range: -1..1.
pub fn pearson(x: &[f64], y: &[f64], counts: &[u32]) -> Option<f64> {
    let rows = || x.iter().zip(y).zip(counts).map(|((&x, &y), &count)| (x, y, f64::from(count)));
    let n: f64 = rows().map(|(.., count)| count).sum();
    let (mean_x, mean_y) = rows().fold((0.0, 0.0), |(sx, sy), (x, y, count)| (sx + count * x / n, sy + count * y / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y, count) in rows() {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xx += count * dx * dx;
        yy += count * dy * dy;
        xy += count * dx * dy;
    }
    let varies = |values: &[f64]| {
        let drawn = || values.iter().zip(counts).filter(|(_, count)| **count > 0).map(|(value, _)| *value);
        drawn().fold(f64::INFINITY, f64::min) < drawn().fold(f64::NEG_INFINITY, f64::max)
    };
    // Rounding of the mean leaves a constant a trace of variance: the values themselves are asked.
    if !(varies(x) && varies(y)) {
        return None;
    }
    let scale = xx.sqrt() * yy.sqrt();
    (scale > 0.0).then(|| (xy / scale).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation of samples that count so often each: Pearson's of their ranks, equal values sharing their mean
/// rank, as scipy has it. None where either side does not vary.
///
/// Range: -1..1.
pub fn spearman(x: &Ordered, y: &Ordered, counts: &[u32]) -> Option<f64> {
    pearson(&x.ranks(counts), &y.ranks(counts), counts)
}

/// How close each sample's rank by `x` is to its rank by `y`, as a share of the number of samples. Range: 0 (the same) to 1.
pub fn rank_distances(x: &[f64], y: &[f64]) -> Vec<f64> {
    let once = vec![1; x.len()];
    let (x, y) = (Ordered::new(x).ranks(&once), Ordered::new(y).ranks(&once));
    x.iter().zip(y).map(|(x, y)| (x - y).abs() / number(once.len())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ones(n: usize) -> Vec<u32> {
        vec![1; n]
    }

    fn of(x: &[f64], y: &[f64]) -> [f64; 2] {
        let counts = ones(x.len());
        [pearson(x, y, &counts).unwrap(), spearman(&Ordered::new(x), &Ordered::new(y), &counts).unwrap()]
    }

    fn close(found: [f64; 2], wanted: [f64; 2]) {
        assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-14), "{found:?}, wanted {wanted:?}");
    }

    /// Deviations of x are -1.5, -0.5, 0.5, 1.5 and of y -1, 1, -1, 1: 5 in x squared, 4 in y squared, 2 in xy.
    #[test]
    fn four_points_by_hand() {
        let by_hand = 2.0 / 20.0_f64.sqrt();
        // Ranks of y are 1.5, 3.5, 1.5, 3.5: the same deviations.
        close(of(&[1.0, 2.0, 3.0, 4.0], &[0.0, 2.0, 0.0, 2.0]), [by_hand, by_hand]);
        // Ranks are all that Spearman sees.
        close([of(&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0, 100.0, 1e6])[1], 1.0], [1.0, 1.0]);
        close([of(&[1.0, 2.0, 3.0], &[0.3, 0.2, 0.1])[1], 1.0], [-1.0, 1.0]);
    }

    /// scipy 1.17.1: `x = [.1,.5,.5,.3,.9,.2,.5,.7]; y = [1,3,2,2,5,0,4,4]; print(scipy.stats.pearsonr(x, y)[0], scipy.stats.spearmanr(x, y)[0])`
    #[test]
    fn correlations_agree_with_scipy() {
        let (x, y) = ([0.1, 0.5, 0.5, 0.3, 0.9, 0.2, 0.5, 0.7], [1.0, 3.0, 2.0, 2.0, 5.0, 0.0, 4.0, 4.0]);
        close(of(&x, &y), [0.9036638598021688, 0.9136498769008704]);
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        let counts = ones(3);
        let (flat, rising) = ([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]);
        assert_eq!(pearson(&flat, &rising, &counts), None);
        assert_eq!(pearson(&rising, &flat, &counts), None);
        assert_eq!(spearman(&Ordered::new(&flat), &Ordered::new(&rising), &counts), None);
        assert_eq!(pearson(&[], &[], &[]), None);
        assert_eq!(pearson(&[1.0], &[2.0], &[1]), None);
        // A resample that drew one sample alone.
        assert_eq!(pearson(&rising, &rising, &[0, 3, 0]), None);
    }

    proptest! {
        /// A sample that counts k times is k samples.
        #[test]
        fn counts_are_repetitions(rows in prop::collection::vec((0_u8..5, 0_u8..5, 0_u32..4), 2..30)) {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (f64::from(row.0), f64::from(row.1))).unzip();
            let counts: Vec<u32> = rows.iter().map(|row| row.2).collect();
            let repeated = rows.iter().flat_map(|row| (0..row.2).map(|_| (f64::from(row.0), f64::from(row.1))));
            let (many_x, many_y): (Vec<f64>, Vec<f64>) = repeated.unzip();
            let once = ones(many_x.len());
            let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a.is_none() && b.is_none(),
            };
            prop_assert!(near(pearson(&x, &y, &counts), pearson(&many_x, &many_y, &once)));
            let counted = spearman(&Ordered::new(&x), &Ordered::new(&y), &counts);
            prop_assert!(near(counted, spearman(&Ordered::new(&many_x), &Ordered::new(&many_y), &once)));
        }
    }
}
