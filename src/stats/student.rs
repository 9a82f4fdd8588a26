//! Student's distribution: how far a value lies from the truth in units of an error that is itself estimated.

/// The probability that a value is at least so many of its estimated errors away from the truth, on either side.
///
/// `freedom` is how many observations the error rests on beyond those that the value takes up; at least 1.
///
/// Source: Abramowitz and Stegun (1964), 26.7.1 and 26.5.8: an incomplete beta function, by its continued fraction.
pub fn student_beyond(errors: f64, freedom: f64) -> f64 {
    let square = errors * errors;
    if square.is_infinite() {
        return 0.0;
    }
    let (near, far) = (square / (freedom + square), freedom / (freedom + square));
    let (a, b) = (0.5 * freedom, 0.5);
    let logarithm_of_far = -(square / freedom).ln_1p();
    let scale = (libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * logarithm_of_far + b * near.ln()).exp();
    // The fraction converges quickly on one side of the mean of the beta distribution.
    if far < (a + 1.0) / (a + b + 2.0) { scale * fraction(a, b, far) / a } else { 1.0 - scale * fraction(b, a, near) / b }
}

/// How many errors are exceeded, on either side, with this probability; infinite for 0.
pub fn student_quantile(probability: f64, freedom: f64) -> f64 {
    if probability <= 0.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_beyond(high, freedom) > probability {
        (low, high) = (high, 2.0 * high);
    }
    // Halved until nothing lies between the two.
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        *(if student_beyond(middle, freedom) > probability { &mut low } else { &mut high }) = middle;
    }
    f64::midpoint(low, high)
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(a: f64, b: f64, at: f64) -> f64 {
    let kept = |value: f64| if value.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { value };
    let mut above = 1.0;
    let mut below = 1.0 / kept(1.0 - (a + b) * at / (a + 1.0));
    let (mut found, mut place) = (below, 0.0);
    // As many steps as the root of the larger parameter, and some more; far more than ten thousand are never needed.
    while place < 10_000.0 {
        place += 1.0;
        let twice = a + 2.0 * place;
        let even = place * (b - place) * at / ((twice - 1.0) * twice);
        let odd = -(a + place) * (a + b + place) * at / (twice * (twice + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            below = 1.0 / kept(1.0 + term * below);
            above = kept(1.0 + term / above);
            step = above * below;
            found *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() <= 1e-9 * wanted.abs(), "{found}, wanted {wanted}");
    }

    /// `2 * scipy.stats.t.sf(t, freedom)` and `scipy.stats.t.isf(p / 2, freedom)`, scipy 1.17.1.
    #[test]
    fn it_agrees_with_scipy() {
        for (errors, freedom, wanted) in STUDENT {
            near(student_beyond(errors, freedom), wanted);
            near(student_beyond(-errors, freedom), wanted);
        }
        for (probability, freedom, wanted) in QUANTILES {
            near(student_quantile(probability, freedom), wanted);
        }
    }

    #[test]
    fn ends_are_ends() {
        assert!((student_beyond(0.0, 9.0) - 1.0).abs() < 1e-15 && student_beyond(f64::INFINITY, 9.0) == 0.0);
        assert!(student_quantile(0.0, 9.0).is_infinite() && student_quantile(1.0, 9.0) < 1e-12);
    }

    const STUDENT: [(f64, f64, f64); 13] = [
        (0.5, 1.0, 0.7048327646991335),
        (2.0, 1.0, 0.2951672353008665),
        (0.1, 9.0, 0.9225364479566812),
        (2.2621571628, 9.0, 0.049999999999853315),
        (1.0, 49.0, 0.32222340595067545),
        (2.0, 49.0, 0.05105914825741809),
        (12.0, 49.0, 3.380810494797404e-16),
        (3.0, 166.0, 0.0031160244769236067),
        (0.01, 999.0, 0.9920232839284948),
        (1.96, 999.0, 0.050273462733810045),
        (8.0, 999.0, 3.4299982577635995e-15),
        (2.0, 99999.0, 0.045502963484502446),
        (30.0, 99999.0, 7.378684844434431e-197),
    ];
    const QUANTILES: [(f64, f64, f64); 8] = [
        (0.05, 1.0, 12.706204736174705),
        (0.05, 9.0, 2.2621571627982053),
        (0.05, 29.0, 2.045229642132704),
        (0.05, 49.0, 2.0095752371292397),
        (0.05, 999.0, 1.9623414611334498),
        (5e-05, 49.0, 4.4469066013408725),
        (2e-07, 166.0, 5.4271059246989255),
        (0.9, 9.0, 0.129252932151831),
    ];
}
