//! How numbers are written in a report: percentages, points, p-values, scores.

use crate::stats::{Estimate, Interval};

/// A share as a percentage: `72.5 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", decimal(100.0 * share, 1))
}

/// Two shares as bounds of a percentage: `65.1 to 78.9 %`.
pub fn percent_range(interval: Interval) -> String {
    format!("{} to {} %", decimal(100.0 * interval.low, 1), decimal(100.0 * interval.high, 1))
}

/// A share with its interval, short enough for a table: `72.5 % [65.1, 78.9]`.
pub fn percent_estimate(estimate: &Estimate) -> String {
    match estimate.interval {
        Some(Interval { low, high }) => {
            format!("{} [{}, {}]", percent(estimate.value), decimal(100.0 * low, 1), decimal(100.0 * high, 1))
        }
        None => percent(estimate.value),
    }
}

/// A difference of shares in percentage points, always with its sign: `+8.1`.
pub fn points(difference: f64) -> String {
    signed(100.0 * difference, 1)
}

/// A difference with its interval: `+6.5 [−1.2, +13.8]`.
pub fn points_estimate(difference: &Estimate) -> String {
    let value = points(difference.value);
    difference.interval.map_or(value.clone(), |ends| format!("{value} [{}, {}]", points(ends.low), points(ends.high)))
}

/// Bounds of a difference in percentage points: `+2.0 to +14.2`.
pub fn points_range(interval: Interval) -> String {
    format!("{} to {}", points(interval.low), points(interval.high))
}

/// A p-value with its relation: `p < 0.001`, `p = 0.013`, `p = 0.42`.
pub fn p_value(p: f64) -> String {
    match bare_p(p) {
        small if small.starts_with('<') => format!("p {small}"),
        exact => format!("p = {exact}"),
    }
}

/// A p-value for a column that is headed `p`: `< 0.001`, `0.013`, `0.42`.
pub fn bare_p(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else if p < 0.0995 {
        decimal(p, 3)
    } else {
        decimal(p, 2)
    }
}

/// A number with so many decimals, with a true minus sign and no negative zero.
pub fn decimal(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero.to_owned(),
        Some(positive) => format!("\u{2212}{positive}"),
        None => text,
    }
}

/// A whole number with thin groups of three: `1 234 567`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 cell`, `2 cells`; the plural adds an `s`.
pub fn counted(n: usize, noun: &str) -> String {
    match noun.strip_suffix("ry") {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{} {stem}ries", grouped(n as u64)),
        None => format!("{} {noun}s", grouped(n as u64)),
    }
}

/// How many decimals scores need so that a spread of this size shows two significant digits. Range: 3 to 6.
pub fn score_places(spread: f64) -> usize {
    [3, 4, 5].into_iter().find(|&places| spread >= 10_f64.powi(1 - places)).map_or(6, |places| places.unsigned_abs() as usize)
}

fn signed(value: f64, places: usize) -> String {
    let text = decimal(value, places);
    if text.starts_with('\u{2212}') || text.chars().all(|c| matches!(c, '0' | '.')) { text } else { format!("+{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_points() {
        assert_eq!(percent(0.725), "72.5 %");
        assert_eq!(points(0.081), "+8.1");
        assert_eq!(points(-0.012), "\u{2212}1.2");
        assert_eq!(points(-0.0001), "0.0");
        assert_eq!(points_range(Interval { low: -0.01, high: 0.2 }), "\u{2212}1.0 to +20.0");
    }

    #[test]
    fn p_values_keep_what_matters() {
        assert_eq!(p_value(0.0004), "p < 0.001");
        assert_eq!(p_value(0.013), "p = 0.013");
        assert_eq!(p_value(0.421), "p = 0.42");
        assert_eq!(bare_p(1.0), "1.00");
    }

    #[test]
    fn groups_and_plurals() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(999), "999");
        assert_eq!(counted(1, "cell"), "1 cell");
        assert_eq!(counted(24, "cell"), "24 cells");
    }

    #[test]
    fn nearly_tied_scores_get_more_decimals() {
        assert_eq!(score_places(0.3), 3);
        assert_eq!(score_places(0.005), 4);
        assert_eq!(score_places(0.0002), 5);
        assert_eq!(score_places(0.0), 6);
    }
}
