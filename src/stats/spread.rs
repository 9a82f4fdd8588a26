//! A value and the error that resamples give it: intervals and tests of what errs upwards as easily as downwards.

use super::resampled::FEWEST;
use super::{Estimate, Interval, number, student_beyond, student_quantile};

/// Largest share of resamples in which a statistic may be undefined: an end of a 95 % interval would lie among them.
const UNDEFINED: f64 = 0.025;

/// A statistic over all samples, or the difference of two, and how far it spreads when samples are drawn again.
///
/// For differences of two systems on the same samples: what is skewed or biased in the one is so in the other and nearly cancels, so
/// that an interval as long on either side needs no corrections of its shape. Those that `BCa` estimates for them are noise: of
/// macro F1 at 50 samples they cost three points of coverage (`benches/coverage.rs`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// None where it is undefined.
    pub value: Option<f64>,
    /// None where resamples do not say.
    error: Option<f64>,
    freedom: f64,
    samples: usize,
}

impl Spread {
    /// Of a statistic on resamples of so many units, samples or groups of them, and without each of their parts: its variance is the
    /// geometric mean of those by bootstrap and by jackknife.
    ///
    /// The variance of a mean over m samples, such as all of a rare label, comes out (m - 1) / m times too small over resamples, and
    /// m / (m - 1) times too large by leaving samples out. In the mean of both, what m is need not be known.
    pub(super) fn drawn(
        value: Option<f64>,
        drawn: &[Option<f64>],
        left_out: &[Option<f64>],
        units: usize,
        samples: usize,
    ) -> Self {
        let freedom = number(units.max(2) - 1);
        let bootstrap = squares(drawn).map(|(squares, n)| squares / (n - 1.0) * (freedom + 1.0) / freedom);
        let variance = bootstrap.zip(jackknife(left_out)).map(|(bootstrap, jackknife)| (bootstrap * jackknife).sqrt());
        Self { value, error: error(value, variance, units), freedom, samples }
    }

    /// Of a statistic without each of the parts of so many units: for those to which a sample drawn twice is not two samples.
    pub(super) fn left_out(value: Option<f64>, left_out: &[Option<f64>], units: usize, samples: usize) -> Self {
        let freedom = number(left_out.len().max(2) - 1);
        Self { value, error: error(value, jackknife(left_out), units), freedom, samples }
    }

    /// The value with its 95 % interval; None where it is undefined.
    pub fn estimate(&self) -> Option<Estimate> {
        Some(Estimate { value: self.value?, interval: self.interval(), n: self.samples })
    }

    /// As many standard errors to either side as Student's distribution asks for. None with fewer than ten samples or groups, where
    /// every resample has the same value, and where more than 2.5 % have none.
    ///
    /// Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", section 12.2.
    pub fn interval(&self) -> Option<Interval> {
        let reach = self.error? * student_quantile(0.05, self.freedom);
        self.value.map(|value| Interval { low: value - reach, high: value + reach })
    }

    /// How likely so large a value is by chance alone if the truth is 0, two-sided: the level at which the interval would end at 0.
    /// 1 where there is no interval.
    pub fn p_value(&self) -> f64 {
        let errors = self.value.zip(self.error).map(|(value, error)| value / error);
        errors.map_or(1.0, |errors| student_beyond(errors, self.freedom))
    }

    /// The smallest value that would be called significant at this level. None where there is no interval.
    pub fn detectable(&self, alpha: f64) -> Option<f64> {
        self.error.map(|error| error * student_quantile(alpha, self.freedom))
    }
}

/// The variance of a statistic by what it is without each part.
///
/// Source: Miller (1974), "The jackknife: a review".
fn jackknife(left_out: &[Option<f64>]) -> Option<f64> {
    squares(left_out).map(|(squares, parts)| squares * (parts - 1.0) / parts)
}

/// The sum of squares about the mean, and of how many; None where too many are undefined.
fn squares(all: &[Option<f64>]) -> Option<(f64, f64)> {
    let defined: Vec<f64> = all.iter().copied().flatten().filter(|value| value.is_finite()).collect();
    let (n, wanted) = (number(defined.len()), number(all.len()));
    let mean = defined.iter().sum::<f64>() / n;
    let told = defined.len() > 1 && wanted - n <= UNDEFINED * wanted;
    told.then(|| (defined.iter().map(|value| (value - mean).powi(2)).sum(), n))
}

fn error(value: Option<f64>, variance: Option<f64>, units: usize) -> Option<f64> {
    variance.filter(|variance| value.is_some() && units >= FEWEST && *variance > 0.0).map(f64::sqrt)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers 0 to 99 over 99, less a half: their deviation over n - 1 is 0.293 (`numpy.std(ddof=1)`).
    fn drawn() -> Vec<Option<f64>> {
        (0..100).map(|k| Some(f64::from(k) / 99.0 - 0.5)).collect()
    }

    /// Thirty parts.
    fn left_out() -> Vec<Option<f64>> {
        (0..30).map(|k| Some(f64::from(k * k % 31) / 200.0)).collect()
    }

    fn found(value: Option<f64>, units: usize) -> Spread {
        Spread::drawn(value, &drawn(), &left_out(), units, 60)
    }

    /// `v = numpy.var(x, ddof=1) * 30 / 29`, `w = numpy.var(y) * 29`, `s = (v * w) ** 0.25`, then `scipy.stats.t(29).ppf(0.975) * s`,
    /// `2 * scipy.stats.t(29).sf(0.5 / s)` and `scipy.stats.t(29).isf(0.0005) * s`; numpy 2.4.6, scipy 1.17.1.
    #[test]
    fn it_is_students_test() {
        let found = found(Some(0.5), 30);
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}, wanted {wanted}");
        let ends = found.interval().unwrap();
        near(ends.low, -0.0224242991016681);
        near(ends.high, 1.022424299101668);
        near(found.p_value(), 0.05998173206744334);
        near(found.detectable(0.001).unwrap(), 0.93474202751643);
        assert_eq!(found.estimate().unwrap().n, 60);
    }

    /// The interval ends at 0 at the level of p.
    #[test]
    fn p_values_go_with_intervals() {
        for k in 0..200 {
            let found = found(Some(f64::from(k) / 200.0), 30);
            assert_eq!(found.p_value() < 0.05, found.interval().unwrap().low > 0.0, "{k}");
        }
    }

    /// The mean of 1 to 20 without each of them: as Student's interval, 10.5 and `scipy.stats.sem(x) * scipy.stats.t(19).ppf(0.975)`.
    #[test]
    fn leaving_out_gives_a_mean_its_own_error() {
        let left_out: Vec<Option<f64>> = (1..=20).map(|left| Some((210.0 - f64::from(left)) / 19.0)).collect();
        let ends = Spread::left_out(Some(10.5), &left_out, 20, 20).interval().unwrap();
        assert!(
            (ends.high - 10.5 - 2.768810568020254).abs() < 1e-9 && (ends.low - 10.5 + 2.768810568020254).abs() < 1e-9,
            "{ends:?}"
        );
    }

    #[test]
    fn what_says_too_little_has_no_interval() {
        let silent = |found: Spread| assert_eq!((found.interval(), found.p_value(), found.detectable(0.05)), (None, 1.0, None));
        let of = |drawn: &[Option<f64>]| Spread::drawn(Some(0.5), drawn, &left_out(), 30, 30);
        silent(found(Some(0.5), 9));
        silent(found(None, 30));
        silent(of(&[Some(0.5); 100]));
        let mut undefined = drawn();
        undefined[..2].fill(None);
        assert!(of(&undefined).interval().is_some());
        undefined[2] = None;
        silent(of(&undefined));
    }

    /// Five strata of two samples: the variance of the mean of their means is the sum of those of the means, over 25. That of the mean
    /// of a and b is (a - b)^2 / 4.
    #[test]
    fn means_of_few_have_their_own_error() {
        let samples = [0.0, 1.0, 0.2, 0.9, 0.4, 0.5, 0.1, 0.8, 0.3, 0.6];
        let mean = |kept: &dyn Fn(usize) -> f64| {
            let stratum = |k: usize| {
                let (a, b) = (kept(2 * k), kept(2 * k + 1));
                (a * samples[2 * k] + b * samples[2 * k + 1]) / (a + b)
            };
            (0..5).map(stratum).sum::<f64>() / 5.0
        };
        // Every way to draw two of two, in all strata at once: nothing of chance is left.
        let draws = (0..4_usize.pow(5)).map(|draw| {
            let drawn = |i: usize| {
                let pair = draw / 4_usize.pow(u32::try_from(i / 2).unwrap()) % 4;
                f64::from(u8::from(pair % 2 == i % 2) + u8::from(pair / 2 == i % 2))
            };
            Some(mean(&drawn))
        });
        let left_out: Vec<_> = (0..10).map(|left| Some(mean(&|i| f64::from(u8::from(i != left))))).collect();
        let found = Spread::drawn(Some(0.48), &draws.collect::<Vec<_>>(), &left_out, 10, 10);
        let unbiased: f64 = (0..5).map(|k| (samples[2 * k] - samples[2 * k + 1]).powi(2) / 4.0).sum::<f64>() / 25.0;
        let error = (found.interval().unwrap().high - 0.48) / student_quantile(0.05, 9.0);
        assert!((error / unbiased.sqrt() - 1.0).abs() < 0.001, "{error} {}", unbiased.sqrt());
    }
}
