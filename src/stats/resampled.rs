//! A statistic on resamples of the samples: its interval, and when that cannot be trusted.

use super::{Estimate, Interval, Scale, Spread, Z95, normal_below, normal_quantile, number, student_quantile};

/// Fewest samples (or groups of them) that resamples say anything of.
pub(super) const FEWEST: usize = 10;

/// Samples (or groups) below which a bootstrap's interval holds the truth clearly less often than 95 times of 100.
pub const FEW: usize = 30;

/// One statistic over all samples, on resamples of them, and without each of their parts. Those of one seed are the same resamples
/// for every statistic, so that statistics can be subtracted.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    /// None where it is undefined.
    pub overall: Option<f64>,
    pub(super) drawn: Vec<Option<f64>>,
    /// What it is without one part of the samples: how its spread depends on itself.
    pub(super) left_out: Vec<Option<f64>>,
    /// What is drawn: samples, or groups of them.
    pub(super) units: usize,
    pub(super) samples: usize,
    pub(super) kind: Kind,
}

/// What of a statistic decides how its spread is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    /// A mean over labels, some of which are rare.
    OverLabels,
    /// How far it spreads depends on how high it is.
    Correlation,
    /// To it a sample that is drawn twice is a pair that always agrees: resamples are purer than samples are.
    Partition,
}

impl Resampled {
    /// This statistic minus another on the same resamples.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Spread {
        let minus = |own: &[Option<f64>], other: &[Option<f64>]| -> Vec<Option<f64>> {
            own.iter().zip(other).map(|(own, other)| Some((*own)? - (*other)?)).collect()
        };
        let value = self.overall.zip(other.overall).map(|(own, other)| own - other);
        let (units, samples) = (self.units, self.samples);
        let left_out = || minus(&self.left_out, &other.left_out);
        match self.kind {
            Kind::Any | Kind::OverLabels => {
                Spread::drawn(value, &minus(&self.drawn, &other.drawn), &left_out(), units, samples)
            }
            Kind::Correlation => {
                Spread::correlations([self.overall, other.overall], [&self.left_out, &other.left_out], (units, samples))
            }
            Kind::Partition => Spread::left_out(value, &left_out(), (units, samples), Scale::Own),
        }
    }

    /// The values on the resamples; None where it is undefined.
    pub fn drawn(&self) -> &[Option<f64>] {
        &self.drawn
    }

    /// The value with its 95 % interval; None where it is undefined.
    pub fn estimate(&self) -> Option<Estimate> {
        Some(Estimate { value: self.overall?, interval: self.interval(), n: self.samples })
    }

    /// The 95 % interval: [`Spread::interval`] of a mean over labels and of a partition, else `BCa`.
    pub fn interval(&self) -> Option<Interval> {
        let left_out = |scale| Spread::left_out(self.overall, &self.left_out, (self.units, self.samples), scale).interval();
        match self.kind {
            Kind::Any | Kind::Correlation => self.bca(),
            Kind::OverLabels => left_out(Scale::Odds),
            Kind::Partition => left_out(Scale::Own),
        }
    }

    /// The bias-corrected and accelerated 95 % interval (`BCa`), widened for few samples as Student's interval is.
    ///
    /// There is none for fewer than ten samples or groups, nor where every resample has the same value: neither says how sure the
    /// value is. A resample in which the statistic is undefined might have had any value: it counts as below all others for the low
    /// end and as above them for the high end, and where an end falls among such resamples there is no interval either.
    ///
    /// Source: Efron (1987), "Better bootstrap confidence intervals"; Hesterberg (2015), "What teachers should know about the
    /// bootstrap", section 3.3, for the widening.
    fn bca(&self) -> Option<Interval> {
        let value = self.overall.filter(|_| self.units >= FEWEST)?;
        let defined = self.defined();
        let (first, last) = (*defined.first()?, *defined.last()?);
        if first >= last {
            return None;
        }
        let end = |normal: f64| normal_below(self.shift(value, &defined).of_resamples(normal));
        let (all, undefined) = (self.drawn.len(), self.drawn.len() - defined.len());
        let below_all = |rank: usize| rank.checked_sub(undefined).and_then(|at| defined.get(at)).copied();
        let above_all = |rank: usize| defined.get(rank).copied();
        let reach = Z95 * widened(self.units);
        let (low, high) = (quantile(end(-reach), all, below_all)?, quantile(end(reach), all, above_all)?);
        // A value at the edge of its resamples may lie outside by a rounding.
        Some(Interval { low: low.min(value), high: high.max(value) })
    }

    /// Finite values on the resamples, ascending.
    fn defined(&self) -> Vec<f64> {
        let mut defined: Vec<f64> = self.drawn.iter().copied().flatten().filter(|value| value.is_finite()).collect();
        defined.sort_by(f64::total_cmp);
        defined
    }

    fn shift(&self, value: f64, defined: &[f64]) -> Shift {
        let least = 0.5 / number(defined.len());
        let bias = normal_quantile(share_below(defined, value).clamp(least, 1.0 - least));
        let left_out: Vec<f64> = self.left_out.iter().copied().flatten().filter(|value| value.is_finite()).collect();
        let mean = left_out.iter().sum::<f64>() / number(left_out.len().max(1));
        let sum = |power: i32| left_out.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
        let (squares, cubes) = (sum(2), sum(3));
        let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
        Shift { bias, acceleration }
    }
}

/// Why the interval of a bootstrap over so many samples, or groups, is missing or should not be trusted; None where it may be.
pub fn doubt(estimate: &Estimate, units: usize, unit: &str) -> Option<String> {
    match estimate.interval {
        None if units < FEWEST => Some(format!("no interval: {units} {unit}s are too few for one")),
        None => Some("no interval: resamples say too little, as the value is the same or undefined in most of them".to_owned()),
        Some(_) if units < FEW => Some(format!("with {units} {unit}s the interval may be too narrow")),
        Some(_) => None,
    }
}

/// How quantiles of resamples lie against those of the truth.
struct Shift {
    /// How far the value lies from the middle of its resamples, in standard errors.
    bias: f64,
    /// How the standard error grows with the truth.
    acceleration: f64,
}

impl Shift {
    /// The normal quantile among the resamples for one of the truth.
    fn of_resamples(&self, normal: f64) -> f64 {
        let moved = self.bias + normal;
        self.bias + moved / (1.0 - self.acceleration * moved).max(f64::MIN_POSITIVE)
    }
}

/// The share of values below `limit`, equal ones counting half.
fn share_below(ascending: &[f64], limit: f64) -> f64 {
    let below = ascending.partition_point(|value| *value < limit);
    let not_above = ascending.partition_point(|value| *value <= limit);
    number(below + not_above) / (2.0 * number(ascending.len()))
}

/// How much wider than its resamples a statistic of `n` samples spreads at the ends of a 95 % interval: they spread as if n were
/// n - 1, and their quantiles are Student's. 1.036 at 50 samples.
fn widened(n: usize) -> f64 {
    let freedom = number(n.max(2) - 1);
    student_quantile(0.05, freedom) / Z95 * ((freedom + 1.0) / freedom).sqrt()
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

    /// A mean of ten samples, on 101 resamples made by a formula.
    fn resampled() -> Resampled {
        let samples = [0.3, 0.1, 0.2, 0.4, -0.05, 0.2, 0.1, 0.3, 0.25, 0.9];
        let sum: f64 = samples.iter().sum();
        Resampled {
            overall: Some(sum / 10.0),
            drawn: (0..101_u32).map(|k| Some(f64::from(k * 37 % 101) / 200.0 + 0.02)).collect(),
            left_out: samples.iter().map(|sample| Some((sum - sample) / 9.0)).collect(),
            units: 10,
            samples: 10,
            kind: Kind::Any,
        }
    }

    /// `scipy.stats._resampling._bca_interval((x,), mean, -1, 0.025, drawn, None, xp=numpy)`, scipy 1.17.1: which quantiles of the
    /// resamples are the ends, before they are widened.
    #[test]
    fn quantiles_agree_with_scipy() {
        let found = resampled();
        let shift = found.shift(0.27, &found.defined());
        let ends = [-Z95, Z95].map(|normal| normal_below(shift.of_resamples(normal)));
        let wanted = [0.04446578183243774, 0.9896063693086045];
        assert!(ends.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{ends:?}");
    }

    /// `numpy.sqrt(n / (n - 1)) * scipy.stats.t.ppf(0.975, n - 1) / scipy.stats.norm.ppf(0.975)`.
    #[test]
    fn widening_agrees_with_scipy() {
        for (n, wanted) in [(10, 1.216615733101), (30, 1.061342647971), (50, 1.035721857783), (1000, 1.00171400283)] {
            assert!((widened(n) - wanted).abs() < 1e-11, "{n}: {}", widened(n));
        }
    }

    #[test]
    fn quantiles_interpolate_as_numpy_does() {
        // numpy.percentile([1, 2, 3, 4, 10], [2.5, 97.5]) is [1.1, 9.4].
        let values = [1.0, 2.0, 3.0, 4.0, 10.0];
        let of = |share| quantile(share, 5, |rank| values.get(rank).copied()).unwrap();
        assert!((of(0.025) - 1.1).abs() < 1e-12 && (of(0.975) - 9.4).abs() < 1e-12);
    }

    #[test]
    fn undefined_resamples_widen_the_interval_and_many_leave_none() {
        let with = |undefined: usize| {
            let mut found = Resampled { units: 1000, left_out: Vec::new(), ..resampled() };
            found.drawn = (0..1000_u32).map(|k| Some(f64::from(k) / 1000.0)).collect();
            found.overall = Some(0.5);
            found.drawn[..undefined].fill(None);
            found
        };
        let (all, some) = (with(0).interval().unwrap(), with(4).interval().unwrap());
        assert!(some.low < all.low && some.high > all.high, "{some:?} {all:?}");
        assert_eq!(with(100).interval(), None);
    }

    #[test]
    fn what_cannot_be_trusted_is_told() {
        let told = |units: usize, value: Option<f64>| {
            let mut found = resampled();
            found.units = units;
            found.drawn.iter_mut().for_each(|drawn| *drawn = value.or(*drawn));
            doubt(&found.estimate().unwrap(), units, "text").unwrap_or_default()
        };
        assert_eq!(told(9, None), "no interval: 9 texts are too few for one");
        assert_eq!(told(29, None), "with 29 texts the interval may be too narrow");
        assert_eq!(told(30, None), "");
        assert!(told(30, Some(0.27)).starts_with("no interval: resamples say too little"));
    }
}
