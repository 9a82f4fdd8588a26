//! The standard normal distribution.

/// The probability of a value below `x`.
pub fn normal_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The value that one is below with this probability; infinite at 0 and 1.
pub fn normal_quantile(probability: f64) -> f64 {
    // The upper half is the lower one mirrored: probabilities near 1 have few digits.
    if probability > 0.5 {
        return -normal_quantile(1.0 - probability);
    }
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // Below -40 no probability is left of an f64.
    let (mut low, mut high) = (-40.0, 0.0);
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        *(if normal_below(middle) < probability { &mut low } else { &mut high }) = middle;
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.norm.cdf(x)` and `.ppf(p)`, scipy 1.17.1.
    #[test]
    fn it_agrees_with_scipy() {
        let near =
            |found: f64, wanted: f64| assert!((found - wanted).abs() <= 1e-13 * wanted.abs(), "{found}, wanted {wanted}");
        near(normal_below(-8.0), 6.22096057427174e-16);
        near(normal_below(-1.0), 0.15865525393145707);
        near(normal_below(0.5), 0.6914624612740131);
        near(normal_below(3.0), 0.9986501019683699);
        near(normal_quantile(0.975), 1.959963984540054);
        near(normal_quantile(0.999), 3.090232306167813);
        near(normal_quantile(1e-6), -4.753424308822899);
        assert!(normal_quantile(0.5).abs() < 1e-13 && normal_quantile(0.0) == f64::NEG_INFINITY);
    }
}
