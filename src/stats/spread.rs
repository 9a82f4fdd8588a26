//! A value and the error that resamples give it: intervals and tests of what errs upwards as easily as downwards, on one scale or another.

use super::resampled::FEWEST;
use super::{Estimate, Interval, number, student_beyond, student_quantile};

/// Largest share of resamples in which a statistic may be undefined: an end of a 95 % interval would lie among them.
const UNDEFINED: f64 = 0.025;

/// A statistic over all samples, or the difference of two, and how far it spreads when samples are drawn again.
///
/// For differences of two systems on the same samples: what is skewed or biased in the one is so in the other and nearly cancels, so
/// that an interval as long on either side needs no corrections of its shape. Those that `BCa` estimates for them are noise: of
/// macro F1 at 50 samples they cost three points of coverage, of a mean four (`benches/coverage.rs`). Correlations do not cancel so:
/// how far one spreads depends on how high it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// None where it is undefined.
    pub value: Option<f64>,
    /// None where resamples do not say.
    error: Option<Error>,
    freedom: f64,
    samples: usize,
}

/// The scale on which a value errs upwards as it errs downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Its own.
    Own,
    /// That of the logarithm of odds, of what lies between 0 and 1: there is less room upwards of 0.9 than downwards.
    Odds,
}

/// How a value errs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Error {
    /// Upwards as downwards, by this standard error.
    Even(f64),
    /// By this standard error on the scale of odds.
    Odds(f64),
    /// The difference of two correlations: each upwards as downwards on Fisher's scale.
    Correlations { values: [f64; 2], errors: [f64; 2], together: f64 },
}

impl Error {
    /// The interval of so many standard errors to either side.
    ///
    /// Source for correlations: Zou (2007), "Toward using confidence intervals to compare correlations", whose ends are made of those
    /// of the two and of how they go together; standard errors are the jackknife's, as ranks and groups have no formula.
    fn ends(&self, value: f64, reach: f64) -> [f64; 2] {
        match *self {
            Self::Even(error) => [value - reach * error, value + reach * error],
            Self::Odds(error) => [-reach, reach].map(|reach| 1.0 / (1.0 + (1.0 - value) / value * (-reach * error).exp())),
            Self::Correlations { values, errors, together } => {
                let of = |k: usize, reach: f64| (values[k].atanh() + reach * errors[k]).tanh();
                // How far the first lies from one of its ends, and the second from its opposite one.
                let apart = |reach: f64| {
                    let (own, other) = (values[0] - of(0, -reach), of(1, reach) - values[1]);
                    (own * own + other * other - 2.0 * together * own * other).max(0.0).sqrt()
                };
                [value - apart(reach), value + apart(-reach)]
            }
        }
    }

    /// The number of standard errors at which the interval ends at 0.
    fn errors_to_nothing(&self, value: f64) -> f64 {
        if let Self::Even(error) = self {
            return (value / error).abs();
        }
        let beyond = |reach: f64| {
            let [low, high] = self.ends(value, reach);
            low > 0.0 || high < 0.0
        };
        let (mut inside, mut outside) = (0.0, 1.0);
        // Student's distribution leaves nothing beyond a thousand errors, but of very few samples.
        while beyond(outside) && outside < 1e6 {
            (inside, outside) = (outside, 2.0 * outside);
        }
        for _ in 0..64 {
            let middle = f64::midpoint(inside, outside);
            *(if beyond(middle) { &mut inside } else { &mut outside }) = middle;
        }
        outside
    }
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
        Self { value, error: error(value, variance, units).map(Error::Even), freedom, samples }
    }

    /// Of a statistic without each of the parts of so many units: for those to which a sample drawn twice is not two samples, and
    /// for those of which rare samples decide, which resamples draw too rarely.
    pub(super) fn left_out(
        value: Option<f64>,
        left_out: &[Option<f64>],
        (units, samples): (usize, usize),
        scale: Scale,
    ) -> Self {
        let known = value.zip(error(value, jackknife(left_out), units));
        let error = known.and_then(|(value, error)| match scale {
            Scale::Own => Some(Error::Even(error)),
            Scale::Odds => (value > 0.0 && value < 1.0).then(|| Error::Odds(error / (value * (1.0 - value)))),
        });
        Self { value, error, freedom: freedom(left_out), samples }
    }

    /// Of the difference of two correlations that are known without each of the parts of so many units.
    pub(super) fn correlations(
        values: [Option<f64>; 2],
        left_out: [&[Option<f64>]; 2],
        (units, samples): (usize, usize),
    ) -> Self {
        let both: Vec<[f64; 2]> =
            left_out[0].iter().zip(left_out[1]).filter_map(|(one, two)| Some([(*one)?, (*two)?])).collect();
        let apart: Vec<Option<f64>> = left_out[0].iter().zip(left_out[1]).map(|(one, two)| Some((*one)? - (*two)?)).collect();
        let value = values[0].zip(values[1]).map(|(one, two)| one - two);
        let known = error(value, jackknife(&apart), units).and(values[0].zip(values[1]));
        let error = known.map(|(one, two)| {
            let [spread_one, spread_two, shared] = moments(&both);
            let scale = number(both.len() - 1) / number(both.len());
            // What cannot be left is 1 or -1 without any part as well.
            let on_fishers = |value: f64, squares: f64| {
                if squares > 0.0 && value.abs() < 1.0 { (squares * scale).sqrt() / (1.0 - value * value) } else { 0.0 }
            };
            let product = (spread_one * spread_two).sqrt();
            Error::Correlations {
                values: [one, two],
                errors: [on_fishers(one, spread_one), on_fishers(two, spread_two)],
                together: if product > 0.0 { (shared / product).clamp(-1.0, 1.0) } else { 0.0 },
            }
        });
        Self { value, error, freedom: freedom(left_out[0]), samples }
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
        let [low, high] = self.error?.ends(self.value?, student_quantile(0.05, self.freedom));
        Some(Interval { low, high })
    }

    /// How likely so large a value is by chance alone if the truth is 0, two-sided: the level at which the interval would end at 0.
    /// 1 where there is no interval.
    pub fn p_value(&self) -> f64 {
        let errors = self.value.zip(self.error).map(|(value, error)| error.errors_to_nothing(value));
        errors.map_or(1.0, |errors| student_beyond(errors, self.freedom))
    }

    /// The smallest value that would be called significant at this level: as far as the interval reaches towards 0. None where there
    /// is no interval.
    pub fn detectable(&self, alpha: f64) -> Option<f64> {
        let value = self.value?;
        let [low, high] = self.error?.ends(value, student_quantile(alpha, self.freedom));
        Some(if value < 0.0 { high - value } else { value - low })
    }
}

/// The variance of a statistic by what it is without each part.
///
/// Source: Miller (1974), "The jackknife: a review".
fn jackknife(left_out: &[Option<f64>]) -> Option<f64> {
    squares(left_out).map(|(squares, parts)| squares * (parts - 1.0) / parts)
}

/// Of Student's distribution, where the error is that of so many parts left out.
fn freedom(left_out: &[Option<f64>]) -> f64 {
    number(left_out.len().max(2) - 1)
}

/// The sums of squares of both about their means, and that of their products.
fn moments(both: &[[f64; 2]]) -> [f64; 3] {
    let mean = [0, 1].map(|k| both.iter().map(|pair| pair[k]).sum::<f64>() / number(both.len()));
    let sum = |j: usize, k: usize| both.iter().map(|pair| (pair[j] - mean[j]) * (pair[k] - mean[k])).sum();
    [sum(0, 0), sum(1, 1), sum(0, 1)]
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
        let ends = Spread::left_out(Some(10.5), &left_out, (20, 20), Scale::Own).interval().unwrap();
        assert!(
            (ends.high - 10.5 - 2.768810568020254).abs() < 1e-9 && (ends.low - 10.5 + 2.768810568020254).abs() < 1e-9,
            "{ends:?}"
        );
    }

    /// Two correlations without each of thirty samples.
    fn correlations(values: [f64; 2]) -> Spread {
        let of = |value: f64, step: fn(u32) -> u32, scale: f64| -> Vec<Option<f64>> {
            (0..30).map(|k| Some(value + (f64::from(step(k) % 30) - 14.5) / scale)).collect()
        };
        let (one, two) = (of(values[0], |k| 7 * k, 400.0), of(values[1], |k| (7 + k % 2 * 4) * k, 300.0));
        Spread::correlations(values.map(Some), [&one, &two], (30, 30))
    }

    /// Zou's ends with `s = numpy.sqrt(numpy.var(x) * 29) / (1 - r**2)` and `numpy.corrcoef(x, y)[0, 1]`, the ends of each by
    /// `numpy.tanh(numpy.arctanh(r) + scipy.stats.t(29).ppf(0.975) * s)`; p by `scipy.optimize.brentq` for the number of errors at
    /// which the lower end is 0; numpy 2.4.6, scipy 1.17.1.
    #[test]
    fn correlations_are_zous() {
        let found = correlations([0.6, 0.45]);
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found}, wanted {wanted}");
        let ends = found.interval().unwrap();
        near(ends.low, -0.16959948361537075);
        near(ends.high, 0.5014058769774072);
        near(found.p_value(), 0.3493277067593479);
        near(found.detectable(0.001).unwrap(), 0.5770992932482815);
    }

    #[test]
    fn p_values_of_correlations_go_with_intervals() {
        for k in 0..150 {
            let found = correlations([0.9, 0.9 - f64::from(k) / 100.0]);
            assert_eq!(found.p_value() < 0.05, found.interval().unwrap().low > 0.0, "{k}");
            let least = found.detectable(0.05).unwrap();
            assert_eq!(found.p_value() < 0.05, found.value.unwrap() > least, "{k}");
        }
        // What is perfect without any sample as well has no error of its own, and the same twice has none at all.
        let perfect = [Some(1.0); 30];
        let lower: Vec<Option<f64>> = (0..30).map(|k| Some(0.5 + f64::from(k) / 1000.0)).collect();
        let of = |one: &[Option<f64>]| Spread::correlations([one[0], lower[0]], [one, &lower], (30, 30));
        let ends = of(&perfect).interval().unwrap();
        assert!(ends.low > 0.3 && ends.high < 0.7 && of(&perfect).p_value() < 0.05, "{ends:?}");
        assert_eq!((of(&lower).interval(), of(&lower).p_value()), (None, 1.0));
    }

    /// `scipy.special.expit(logit(0.6) + scipy.stats.t(29).ppf(0.975) * s / 0.24)` with the jackknife's `s`, as above.
    #[test]
    fn what_lies_between_0_and_1_stays_there() {
        let left_out: Vec<Option<f64>> = (0..30).map(|k| Some(0.6 + (f64::from(7 * k % 30) - 14.5) / 400.0)).collect();
        let of = |value: f64| Spread::left_out(Some(value), &left_out, (30, 30), Scale::Odds).interval();
        let ends = of(0.6).unwrap();
        assert!((ends.low - 0.35719550945982265).abs() < 1e-9 && (ends.high - 0.80194377724672).abs() < 1e-9, "{ends:?}");
        let ends = of(0.99).unwrap();
        assert!(ends.low > 0.0 && ends.low < 0.2 && ends.high < 1.0, "{ends:?}");
        assert_eq!((of(0.0), of(1.0)), (None, None));
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
