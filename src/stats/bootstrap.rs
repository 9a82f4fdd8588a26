//! The bootstrap over samples.

use std::borrow::Cow;

use multiversion::multiversion;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::resampled::Kind;
use super::{Estimate, Resampled, Scale, Spread, number};

/// Resamples behind every bootstrap interval of the program.
pub const RESAMPLES: usize = 2000;

/// Most parts of the samples that a statistic is computed without.
const PARTS: usize = 200;

/// A 95 % interval for one statistic of `n` samples whose value over all of them is `value`; see [`Resampled::interval`].
///
/// `statistic` is given how often each of the `n` samples is in one resample, `n` drawn with replacement. It returns
/// `None` where it is undefined.
pub fn bootstrap(
    n: usize,
    seed: u64,
    resamples: usize,
    statistic: impl Fn(&[u32]) -> Option<f64> + Sync,
    value: f64,
) -> Estimate {
    let [estimate] = bootstrap_all(n, seed, resamples, |counts| [statistic(counts)], [value]);
    estimate
}

/// The same for several statistics at once, all computed on the same resamples.
///
/// Of 32,768 samples or more, groups of some at random are drawn instead of each by itself, between 16,384 and 24,576 of them.
///
/// Determinism: resample `r` is drawn from stream `r` of a `ChaCha8Rng` seeded with `seed`, whatever the number of threads.
pub fn bootstrap_all<const K: usize>(
    n: usize,
    seed: u64,
    resamples: usize,
    statistics: impl Fn(&[u32]) -> [Option<f64>; K] + Sync,
    values: [f64; K],
) -> [Estimate; K] {
    let resampled = resample_all(n, seed, resamples, statistics, values.map(Some));
    std::array::from_fn(|k| Estimate { value: values[k], interval: resampled[k].interval(), n })
}

/// The same of means over samples: what the samples of a group add up to is known before groups are drawn. `values` are lists of
/// one length; of none, the means are 0.
pub fn bootstrap_means<const K: usize>(values: [&[f64]; K], seed: u64, resamples: usize) -> [Estimate; K] {
    let n = values.first().map_or(0, |values| values.len());
    let mean = |sum: f64| sum / number(n.max(1));
    let units = Units::of(n, seed);
    let sums = values.map(|values| units.sums(values));
    let of_sums = |drawn: &[u32]| sums.each_ref().map(|(sums, rest)| Some(mean(weighted_sum(sums, drawn) + rest)));
    let drawn = units.draws(seed, resamples, || (), |(), drawn| of_sums(drawn));
    // Parts may differ by a sample.
    let left_out = without_parts(n, |counts| {
        let kept = f64::from(counts.iter().sum::<u32>());
        values.map(|values| Some(weighted_sum(values, counts) / kept))
    });
    let once = vec![1; n];
    let means = values.map(|values| mean(weighted_sum(values, &once)));
    let resampled = resampled(n, &drawn, &left_out, means.map(Some));
    std::array::from_fn(|k| Estimate { value: means[k], interval: resampled[k].interval(), n })
}

/// The same by leaving samples out: Student's interval on some scale, of a mean on its own the one that everybody knows.
pub fn jackknife_all<const K: usize>(
    n: usize,
    scale: Scale,
    statistics: impl Fn(&[u32]) -> [Option<f64>; K] + Sync,
    values: [f64; K],
) -> [Estimate; K] {
    let rows = without_parts(n, &statistics);
    std::array::from_fn(|k| {
        let left_out: Vec<Option<f64>> = rows.iter().map(|row| row[k]).collect();
        Estimate { value: values[k], interval: Spread::left_out(Some(values[k]), &left_out, (n, n), scale).interval(), n }
    })
}

/// Statistics of `n` samples on resamples of them.
pub(super) fn resample_all<const K: usize>(
    n: usize,
    seed: u64,
    resamples: usize,
    statistics: impl Fn(&[u32]) -> [Option<f64>; K] + Sync,
    values: [Option<f64>; K],
) -> [Resampled; K] {
    let drawn = draws(n, seed, resamples, &statistics);
    resampled(n, &drawn, &without_parts(n, &statistics), values)
}

/// Statistics of `n` samples from what they are on resamples, and without parts of the samples.
fn resampled<const K: usize>(
    n: usize,
    drawn: &[[Option<f64>; K]],
    left_out: &[[Option<f64>; K]],
    values: [Option<f64>; K],
) -> [Resampled; K] {
    let column = |rows: &[[Option<f64>; K]], k: usize| rows.iter().map(|row| row[k]).collect();
    std::array::from_fn(|k| Resampled {
        overall: values[k],
        drawn: column(drawn, k),
        left_out: column(left_out, k),
        units: n,
        samples: n,
        kind: Kind::Any,
    })
}

/// The statistics without each sample; of more than 200 samples, without each of 200 parts of them, at random: files are sorted by
/// label more often than not, and parts that all have the labels of the whole would say that labels are no matter of chance.
fn without_parts<T: Send>(n: usize, statistics: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
    let parts = n.min(PARTS);
    let last = u16::try_from(parts).unwrap_or(u16::MAX);
    let mut of: Vec<u16> = (0..last).cycle().take(n).collect();
    if n > PARTS {
        shuffle(&mut of, 0);
    }
    let kept = |part: u16| of.iter().map(|own| u32::from(*own != part)).collect::<Vec<u32>>();
    if parts > 1 { (0..last).into_par_iter().map(|part| statistics(&kept(part))).collect() } else { Vec::new() }
}

/// The share of right samples of several systems on each of so many resamples. Shape: `[resamples, systems]`.
pub fn shares_drawn(right: &[&[bool]], seed: u64, resamples: usize) -> Vec<Vec<f64>> {
    let n = right.iter().map(|system| system.len()).min().unwrap_or(0);
    let share = |system: &&[bool], counts: &[u32]| {
        let hits: u32 = system.iter().zip(counts).map(|(right, count)| u32::from(*right) * count).sum();
        f64::from(hits) / number(n)
    };
    draws(n, seed, resamples, |counts| right.iter().map(|system| share(system, counts)).collect())
}

/// The statistics of each resample; none for fewer than two samples.
pub(super) fn draws<T: Send>(n: usize, seed: u64, resamples: usize, statistics: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
    let units = Units::of(n, seed);
    units.draws(seed, resamples, || vec![0; n], |counts, drawn| statistics(units.counts(drawn, counts)))
}

/// What resamples draw of many samples: groups of as many each, since to draw a million samples two thousand times takes longer
/// than to score them. A variance from so many groups has
/// a standard error of 1.1 %, less than what 2000 resamples leave open (3.2 %).
struct Units {
    count: usize,
    /// The group of each sample, at random; none where each is drawn by itself. Those of no group, fewer than a group has, have
    /// the number behind the last: they are in every resample once.
    of: Vec<u16>,
}

/// Samples below twice this number are drawn one by one.
const UNITS: usize = 1 << 14;

impl Units {
    fn of(n: usize, seed: u64) -> Self {
        let each = n / UNITS;
        if each < 2 {
            return Self { count: n, of: Vec::new() };
        }
        let count = n / each;
        let last = u16::try_from(count).unwrap_or(u16::MAX);
        let mut of: Vec<u16> = (0..last).cycle().take(count * each).collect();
        of.resize(n, last);
        // Neighbours may be alike, and what lies at equal steps may be as well.
        shuffle(&mut of, seed);
        Self { count, of }
    }

    /// A statistic of each resample from how often it has each unit, in memory that `room` makes for each thread; none of fewer
    /// than two units.
    fn draws<R, T: Send>(
        &self,
        seed: u64,
        resamples: usize,
        room: impl Fn() -> R + Send + Sync,
        statistic: impl Fn(&mut R, &[u32]) -> T + Send + Sync,
    ) -> Vec<T> {
        let Some(size) = u32::try_from(self.count).ok().filter(|&size| size > 1) else { return Vec::new() };
        let drawn = (0..resamples as u64).into_par_iter().map_init(
            || (vec![0; self.count], room()),
            |(drawn, room), stream| {
                resample(drawn, size, seed, stream);
                statistic(room, drawn)
            },
        );
        drawn.collect()
    }

    /// What the values of each unit's samples add up to, and those of the samples of no group.
    fn sums<'a>(&self, values: &'a [f64]) -> (Cow<'a, [f64]>, f64) {
        if self.of.is_empty() {
            return (Cow::Borrowed(values), 0.0);
        }
        let (mut sums, mut rest) = (vec![0.0; self.count], 0.0);
        for (value, &unit) in values.iter().zip(&self.of) {
            *sums.get_mut(usize::from(unit)).unwrap_or(&mut rest) += value;
        }
        (Cow::Owned(sums), rest)
    }

    /// How often each sample counts when units are drawn so often.
    fn counts<'a>(&self, drawn: &'a [u32], counts: &'a mut [u32]) -> &'a [u32] {
        if self.of.is_empty() {
            return drawn;
        }
        let of_unit = |unit: u16| drawn.get(usize::from(unit)).copied().unwrap_or(1);
        counts.iter_mut().zip(&self.of).for_each(|(count, &unit)| *count = of_unit(unit));
        counts
    }
}

/// The sum of values that count so often each, by partial sums that are always added in the same order.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2"))]
fn weighted_sum(values: &[f64], counts: &[u32]) -> f64 {
    let ((values, rest), (counts, rest_counts)) = (values.as_chunks::<32>(), counts.as_chunks::<32>());
    let mut sums = [0.0; 32];
    for (values, counts) in values.iter().zip(counts) {
        for i in 0..32 {
            sums[i] += values[i] * f64::from(counts[i]);
        }
    }
    let rest: f64 = rest.iter().zip(rest_counts).map(|(value, &count)| value * f64::from(count)).sum();
    sums.iter().sum::<f64>() + rest
}

/// Any order, each as likely as any other.
fn shuffle(of: &mut [u16], seed: u64) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(u64::MAX);
    for (i, left) in (1..=u32::try_from(of.len()).unwrap_or(u32::MAX)).rev().enumerate() {
        of.swap(i, i + below(generator.next_u32(), left) as usize);
    }
}

/// Draws `size` indices below `size`, with replacement, and counts each of them.
///
/// Counts, not a list of indices: statistics then read their samples in order, which is several times faster where there
/// are many.
fn resample(counts: &mut [u32], size: u32, seed: u64, stream: u64) {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    counts.fill(0);
    let mut random = [0; 1024 * size_of::<u32>()];
    let mut left = counts.len();
    while left > 0 {
        let bytes = &mut random[..left.min(1024) * size_of::<u32>()];
        generator.fill_bytes(bytes);
        for word in bytes.as_chunks().0 {
            counts[below(u32::from_le_bytes(*word), size) as usize] += 1;
        }
        left -= bytes.len() / size_of::<u32>();
    }
}

/// The high half of a 32 by 32 bit product: uniform up to a bias of `size` in 2^32, far below what resamples resolve.
const fn below(random: u32, size: u32) -> u32 {
    ((random as u64 * size as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + Sync {
        move |counts| {
            Some(values.iter().zip(counts).map(|(value, &count)| value * f64::from(count)).sum::<f64>() / number(counts.len()))
        }
    }

    #[test]
    fn a_mean_gets_about_the_normal_interval() {
        // 0, 1, ..., 399: the standard error of the mean is sqrt((400^2 - 1) / 12 / 400) = 5.7735; 1.96 of them are 11.316.
        let values: Vec<f64> = (0..400).map(f64::from).collect();
        let interval = bootstrap(400, 7, RESAMPLES, mean(&values), 199.5).interval.unwrap();
        assert!((interval.low - (199.5 - 11.316)).abs() < 0.8, "{interval:?}");
        assert!((interval.high - (199.5 + 11.316)).abs() < 0.8, "{interval:?}");
    }

    #[test]
    fn the_number_of_threads_changes_nothing_and_the_seed_does() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        let run = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bootstrap(50, seed, 500, mean(&values), 0.0))
        };
        assert_eq!(run(1, 42), run(3, 42));
        assert_ne!(run(1, 42), run(1, 43));
    }

    #[test]
    fn resamples_draw_every_index_equally_often() {
        let mut counts = [0_u32; 10];
        let mut drawn = [0; 10];
        for stream in 0..10_000 {
            resample(&mut drawn, 10, 1, stream);
            assert_eq!(drawn.iter().sum::<u32>(), 10);
            counts.iter_mut().zip(drawn).for_each(|(count, drawn)| *count += drawn);
        }
        // 100000 draws: 10000 each, give or take five standard deviations of 95.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 475), "{counts:?}");
    }

    #[test]
    fn systems_are_drawn_on_the_same_samples() {
        let (some, others): (Vec<bool>, Vec<bool>) = (0..20).map(|i| (i < 15, i >= 15)).unzip();
        let drawn = shares_drawn(&[&some, &others, &[true; 20]], 1, 50);
        assert_eq!(drawn.len(), 50);
        assert!(drawn.iter().all(|shares| (shares[0] + shares[1] - 1.0).abs() < 1e-12 && shares[2] >= 1.0));
    }

    /// 0, 1, ..., 99999, in this order: the standard error of the mean is 10^5 / sqrt(12 * 10^5) = 91.287, 1.96 of them 178.9.
    #[test]
    fn many_samples_are_drawn_in_groups_that_have_nothing_in_common() {
        let n = 100_000;
        let units = Units::of(n, 7);
        assert_eq!((units.count, units.of.len()), (16_666, n));
        let members = |unit: u16| units.of.iter().filter(|of| **of == unit).count();
        assert_eq!([members(0), members(16_665), members(16_666), members(16_667)], [6, 6, 4, 0]);
        let values: Vec<f64> = (0..100_000).map(f64::from).collect();
        let interval = bootstrap(n, 7, RESAMPLES, mean(&values), 49_999.5).interval.unwrap();
        assert!((interval.low - (49_999.5 - 178.9)).abs() < 14.0, "{interval:?}");
        assert!((interval.high - (49_999.5 + 178.9)).abs() < 14.0, "{interval:?}");
        let totals = draws(n, 7, 20, |counts| counts.iter().sum::<u32>());
        assert_eq!(totals, [100_000; 20]);
        assert_eq!(Units::of(32_767, 7).count, 32_767);
    }

    #[test]
    fn means_from_sums_are_those_of_samples_drawn_one_by_one() {
        // Of 363 samples some parts have one and some two: what is left without them is not as many.
        for n in [1, 2, 31, 63, 363, 100_000] {
            let values: Vec<f64> = (0..n).map(|i: u32| f64::from(i % 257) - 0.25).collect();
            let twice: Vec<f64> = values.iter().map(|value| 2.0 * value).collect();
            let [found, doubled] = bootstrap_means([&values, &twice], 7, 300);
            let of_kept =
                |counts: &[u32]| Some(mean(&values)(counts)? * number(n as usize) / f64::from(counts.iter().sum::<u32>()));
            let wanted = bootstrap(values.len(), 7, 300, of_kept, values.iter().sum::<f64>() / f64::from(n));
            let close = |a: f64, b: f64| (a - b).abs() < 1e-11;
            assert!(close(found.value, wanted.value) && close(doubled.value, 2.0 * wanted.value), "{n}");
            assert_eq!((found.n, found.interval.is_some()), (wanted.n, wanted.interval.is_some()));
            for (found, wanted) in found.interval.iter().zip(&wanted.interval) {
                assert!(close(found.low, wanted.low) && close(found.high, wanted.high), "{n}: {found:?}, {wanted:?}");
            }
        }
        assert_eq!(bootstrap_means([&[]], 7, 300), [Estimate::exact(0.0, 0)]);
    }

    /// Of 1001 samples there are 200 parts, one of them of six.
    #[test]
    fn every_sample_is_left_out_once() {
        let left = without_parts(1001, <[u32]>::to_vec);
        let out = |counts: &Vec<u32>| counts.iter().filter(|count| **count == 0).count();
        assert_eq!((left.len(), out(&left[0]), out(&left[7])), (200, 6, 5));
        assert!((0..1001).all(|i| left.iter().map(|counts| counts[i]).sum::<u32>() == 199));
        assert_eq!(without_parts(3, <[u32]>::to_vec), [[0, 1, 1], [1, 0, 1], [1, 1, 0]]);
    }

    /// The numbers 0 to 999, in order: the standard error of their mean is sqrt((1000^2 - 1) / 12 / 1000) = 9.13. By parts that lie
    /// at equal steps it would be 4.1.
    #[test]
    fn what_is_sorted_spreads_as_what_is_not() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let mean = |counts: &[u32]| {
            let sum: f64 = values.iter().zip(counts).map(|(value, &count)| value * f64::from(count)).sum();
            [Some(sum / f64::from(counts.iter().sum::<u32>()))]
        };
        let [estimate] = jackknife_all(1000, Scale::Own, mean, [499.5]);
        let reach = estimate.interval.unwrap().high - 499.5;
        assert!((reach / (1.972 * 9.13) - 1.0).abs() < 0.15, "{reach}");
    }

    #[test]
    fn one_sample_has_no_spread_to_speak_of() {
        assert_eq!(bootstrap(1, 1, 100, |_| Some(3.0), 3.0), Estimate::exact(3.0, 1));
        assert_eq!(bootstrap(0, 1, 100, |_| None, 0.0).interval, None);
        assert_eq!(bootstrap(5, 1, 0, |_| Some(3.0), 3.0).interval, None);
    }
}
