//! The percentile bootstrap over samples.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::{Estimate, Interval, number};

/// Resamples behind every bootstrap interval of the program.
pub const RESAMPLES: usize = 2000;

/// A 95 % percentile interval for one statistic of `n` samples whose value over all of them is `value`.
///
/// `statistic` is given how often each of the `n` samples is in one resample, `n` drawn with replacement. It returns
/// `None` where it is undefined. See [`bootstrap_all`] for what that does to the interval.
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
/// An undefined (or non-finite) statistic of a resample might have been anything: it counts as below every value for
/// the interval's low end and as above every value for its high end. Where an end falls among such resamples (more than
/// 2.5 % of them), there is no interval. Nor is there one for fewer than two samples, which say nothing of their spread.
/// Ends between two resamples are interpolated linearly, as numpy does.
///
/// Determinism: resample `r` is drawn from stream `r` of a `ChaCha8Rng` seeded with `seed`, whatever the number of threads.
/// Source: Efron and Tibshirani (1993), "An introduction to the bootstrap", chapter 13.
pub fn bootstrap_all<const K: usize>(
    n: usize,
    seed: u64,
    resamples: usize,
    statistics: impl Fn(&[u32]) -> [Option<f64>; K] + Sync,
    values: [f64; K],
) -> [Estimate; K] {
    let drawn = draws(n, seed, resamples, statistics);
    if drawn.is_empty() {
        return values.map(|value| Estimate::exact(value, n));
    }
    std::array::from_fn(|k| {
        let column = drawn.iter().map(|row| row[k]);
        Estimate { value: values[k], interval: percentiles(column), n }
    })
}

/// The statistics of each resample; none for fewer than two samples.
pub(super) fn draws<T: Send>(n: usize, seed: u64, resamples: usize, statistics: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
    let Some(size) = u32::try_from(n).ok().filter(|&size| size > 1) else { return Vec::new() };
    let drawn = (0..resamples as u64).into_par_iter().map_init(
        || vec![0; n],
        |counts, stream| {
            resample(counts, size, seed, stream);
            statistics(counts)
        },
    );
    drawn.collect()
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

/// The 2.5 % and 97.5 % points.
pub(super) fn percentiles(drawn: impl Iterator<Item = Option<f64>> + Clone) -> Option<Interval> {
    let all = drawn.clone().count();
    let mut defined: Vec<f64> = drawn.flatten().filter(|value| value.is_finite()).collect();
    defined.sort_by(f64::total_cmp);
    let undefined = all - defined.len();
    let below_all = |rank: usize| rank.checked_sub(undefined).and_then(|at| defined.get(at)).copied();
    let above_all = |rank: usize| defined.get(rank).copied();
    Some(Interval { low: quantile(0.025, all, below_all)?, high: quantile(0.975, all, above_all)? })
}

/// Linear interpolation between the two order statistics around `share * (all - 1)`.
fn quantile(share: f64, all: usize, ranked: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let position = share * number(all.checked_sub(1)?);
    let (lower, part) = (position.floor(), position.fract());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank: 0 <= position < all")]
    let rank = lower as usize;
    let low = ranked(rank)?;
    if part == 0.0 { Some(low) } else { Some(low + part * (ranked(rank + 1)? - low)) }
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
    fn quantiles_interpolate_as_numpy_does() {
        // numpy.percentile([1, 2, 3, 4, 10], [2.5, 97.5]) is [1.1, 9.4].
        let interval = percentiles([10.0, 2.0, 3.0, 1.0, 4.0].into_iter().map(Some)).unwrap();
        assert!((interval.low - 1.1).abs() < 1e-12 && (interval.high - 9.4).abs() < 1e-12, "{interval:?}");
    }

    #[test]
    fn many_undefined_resamples_leave_no_interval() {
        let few = (0..1000).map(|i| if i < 20 { None } else { Some(f64::from(i)) });
        let interval = percentiles(few).unwrap();
        // 20 unknown values may lie on either side: the ends move outward by as many ranks.
        assert!((interval.low - 24.975).abs() < 1e-9 && (interval.high - 994.025).abs() < 1e-9, "{interval:?}");
        assert_eq!(percentiles((0..1000).map(|i| if i < 30 { None } else { Some(1.0) })), None);
        assert_eq!(percentiles((0..10).map(|_| Some(f64::NAN))), None);
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
    fn one_sample_has_no_spread_to_speak_of() {
        assert_eq!(bootstrap(1, 1, 100, |_| Some(3.0), 3.0), Estimate::exact(3.0, 1));
        assert_eq!(bootstrap(0, 1, 100, |_| None, 0.0).interval, None);
        assert_eq!(bootstrap(5, 1, 0, |_| Some(3.0), 3.0).interval, None);
    }
}
