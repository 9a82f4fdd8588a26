//! The minimum of a smooth convex function, by L-BFGS.
//!
//! argmin's L-BFGS would bring a second crate of vectors and gradients that are copied in every step; these are the hundred
//! lines that are used of it, and they add up in one order.

/// Steps that the curvature is known from.
const MEMORY: usize = 10;
/// Most trial points on one line.
const TRIALS: usize = 60;
/// A step must win this share of what the slope promises, and leave at most this share of the slope (Wolfe's conditions).
const GAIN: f64 = 1e-4;
const SLOPE: f64 = 0.9;

/// Where the search ended.
#[derive(Clone, Debug)]
pub(super) struct Minimum {
    pub at: Vec<f64>,
    pub value: f64,
    /// Length of the gradient there.
    pub gradient: f64,
}

/// Walks down from `start` until the gradient is no longer than `tolerance`, rounding leaves nothing to win, or `most` steps are
/// done. `function` writes the gradient and returns the value.
///
/// Source: Nocedal and Wright (2006), "Numerical Optimization", algorithm 7.4; Lewis and Overton (2013), "Nonsmooth optimization
/// via quasi-Newton methods", section 2.2, for the search on a line.
pub(super) fn minimise(start: Vec<f64>, tolerance: f64, most: usize, function: &impl Fn(&[f64], &mut [f64]) -> f64) -> Minimum {
    let mut gradient = vec![0.0; start.len()];
    let value = function(&start, &mut gradient);
    let mut here = Point { at: start, value, gradient };
    let mut past: Vec<Step> = Vec::new();
    for _ in 0..most {
        let steepness = length(&here.gradient);
        if steepness <= tolerance {
            break;
        }
        let direction = direction(&here.gradient, &past);
        // Without knowledge of the curvature, the first trial is a step of length 1.
        let first = if past.is_empty() { 1.0 / steepness.max(1.0) } else { 1.0 };
        let Some(next) = here.along(&direction, first, function) else { break };
        let step = Step::between(&here, &next);
        here = next;
        if let Some(step) = step {
            past.push(step);
            past.drain(..past.len().saturating_sub(MEMORY));
        }
    }
    Minimum { gradient: length(&here.gradient), at: here.at, value: here.value }
}

struct Point {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Point {
    /// A point on the line that satisfies Wolfe's weak conditions; None where rounding hides every gain.
    fn along(&self, direction: &[f64], first: f64, function: &impl Fn(&[f64], &mut [f64]) -> f64) -> Option<Self> {
        let slope = dot(&self.gradient, direction);
        if slope >= 0.0 {
            return None;
        }
        let (mut low, mut high, mut step) = (0.0, f64::INFINITY, first);
        let noise = 1e-15 * self.value.abs();
        for _ in 0..TRIALS {
            let at: Vec<f64> = self.at.iter().zip(direction).map(|(at, way)| at + step * way).collect();
            let mut gradient = vec![0.0; at.len()];
            let value = function(&at, &mut gradient);
            if !value.is_finite() || value > self.value + GAIN * step * slope + noise {
                high = step;
            } else if dot(&gradient, direction) < SLOPE * slope {
                low = step;
            } else {
                return Some(Self { at, value, gradient });
            }
            step = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * low };
        }
        None
    }
}

/// A step that was taken, and how the gradient changed over it.
struct Step {
    moved: Vec<f64>,
    bent: Vec<f64>,
    /// Their product, positive.
    product: f64,
}

impl Step {
    /// None where rounding left no curvature.
    fn between(from: &Point, to: &Point) -> Option<Self> {
        let difference = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let (moved, bent) = (difference(&to.at, &from.at), difference(&to.gradient, &from.gradient));
        let product = dot(&moved, &bent);
        (product > 0.0).then_some(Self { moved, bent, product })
    }
}

/// The way down: minus the gradient, times the inverse curvature that past steps tell.
fn direction(gradient: &[f64], past: &[Step]) -> Vec<f64> {
    let mut way: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut shares = Vec::with_capacity(past.len());
    for step in past.iter().rev() {
        let share = dot(&step.moved, &way) / step.product;
        add(&mut way, -share, &step.bent);
        shares.push(share);
    }
    if let Some(last) = past.last() {
        let scale = last.product / dot(&last.bent, &last.bent);
        way.iter_mut().for_each(|value| *value *= scale);
    }
    for (step, share) in past.iter().zip(shares.into_iter().rev()) {
        let other = dot(&step.bent, &way) / step.product;
        add(&mut way, share - other, &step.moved);
    }
    way
}

fn add(sum: &mut [f64], factor: f64, vector: &[f64]) {
    sum.iter_mut().zip(vector).for_each(|(total, value)| *total += factor * value);
}

/// A product by partial sums that are always added in the same order.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let ((left, rest), (right, others)) = (left.as_chunks::<16>(), right.as_chunks::<16>());
    let mut sums = [0.0; 16];
    for (left, right) in left.iter().zip(right) {
        for i in 0..16 {
            sums[i] += left[i] * right[i];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().zip(others).map(|(a, b)| a * b).sum::<f64>()
}

fn length(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valley a thousand times as steep in one direction as in another: the minimum of 1/2 (x - 1)^2 + 500 (y + 2)^2 + 3.
    #[test]
    fn a_valley_by_hand() {
        let valley = |at: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(&[at[0] - 1.0, 1000.0 * (at[1] + 2.0)]);
            0.5 * (at[0] - 1.0).powi(2) + 500.0 * (at[1] + 2.0).powi(2) + 3.0
        };
        let found = minimise(vec![10.0, 10.0], 1e-9, 100, &valley);
        assert!((found.at[0] - 1.0).abs() < 1e-8 && (found.at[1] + 2.0).abs() < 1e-8, "{found:?}");
        assert!((found.value - 3.0).abs() < 1e-12 && found.gradient <= 1e-9, "{found:?}");
    }

    /// ln(e^x + e^-3x): the slope is 0 where e^x = 3 e^-3x, at ln(3) / 4.
    #[test]
    fn what_is_no_parabola() {
        let function = |at: &[f64], gradient: &mut [f64]| {
            let (up, down) = (at[0].exp(), (-3.0 * at[0]).exp());
            gradient[0] = (up - 3.0 * down) / (up + down);
            (up + down).ln()
        };
        let found = minimise(vec![20.0], 1e-12, 100, &function);
        assert!((found.at[0] - 3.0_f64.ln() / 4.0).abs() < 1e-10, "{found:?}");
    }

    #[test]
    fn at_the_minimum_nothing_moves_and_too_few_steps_end_early() {
        let bowl = |at: &[f64], gradient: &mut [f64]| {
            gradient[0] = 2.0 * at[0];
            at[0] * at[0]
        };
        assert_eq!(minimise(vec![0.0], 1e-9, 10, &bowl).at, [0.0]);
        assert!(minimise(vec![100.0], 1e-9, 0, &bowl).gradient > 1.0);
    }
}
