//! Gold scores across, cosines up: one small circle for each pair.

use super::WIDTH;
use super::canvas::{self, Anchor, BLUE, Canvas, Face, MUTED, Picture, RULE, pixel, shade};
use crate::report::number;

/// Points on two axes.
#[derive(Clone, Debug)]
pub struct Scatter {
    pub across: String,
    pub up: String,
    /// Pairs of a value across and a value up, all finite.
    pub points: Vec<(f64, f64)>,
}

const LEFT: i32 = 64;
const RIGHT: i32 = 20;
const TOP: i32 = 16;
const HEIGHT: i32 = 320;

/// Points of data that are drawn as few enough shapes for a page: the first of those that fall on the same pixels.
const STEP: i32 = 3;

impl Scatter {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let (across, up) =
            (Axis::of(self.points.iter().map(|point| point.0)), Axis::of(self.points.iter().map(|point| point.1)));
        let x = |value: f64| LEFT + pixel(f64::from(WIDTH - LEFT - RIGHT) * across.share(value));
        let y = |value: f64| TOP + HEIGHT - pixel(f64::from(HEIGHT) * up.share(value));
        canvas::draw(title, (WIDTH, TOP + HEIGHT + 54), |canvas| {
            self.draw_axes(canvas, (&across, &up), (&x, &y));
            let mut places: Vec<(i32, i32)> =
                (self.points.iter()).map(|&(across, up)| (x(across) / STEP * STEP, y(up) / STEP * STEP)).collect();
            places.sort_unstable();
            // Darker where several pairs fall together.
            for alike in places.chunk_by(|a, b| a == b) {
                let strength = [0.45, 0.7, 1.0][alike.len().min(3) - 1];
                canvas.dot(alike[0], 2, shade(BLUE, strength), true);
            }
        })
    }

    fn draw_axes(&self, canvas: &mut Canvas, (across, up): (&Axis, &Axis), (x, y): (&dyn Fn(f64) -> i32, &dyn Fn(f64) -> i32)) {
        let bottom = TOP + HEIGHT;
        for tick in canvas::ticks(across.low, across.high, 8) {
            canvas.line((x(tick), TOP), (x(tick), bottom), RULE, 1);
            canvas.text((x(tick), bottom + 16), &number::decimal(tick, across.places()), Anchor::Middle, Face::small(MUTED));
        }
        for tick in canvas::ticks(up.low, up.high, 6) {
            canvas.line((LEFT, y(tick)), (WIDTH - RIGHT, y(tick)), RULE, 1);
            canvas.text((LEFT - 8, y(tick)), &number::decimal(tick, up.places()), Anchor::End, Face::small(MUTED));
        }
        canvas.text((i32::midpoint(LEFT, WIDTH - RIGHT), bottom + 38), &self.across, Anchor::Middle, Face::small(MUTED));
        canvas.text((12, i32::midpoint(TOP, bottom)), &self.up, Anchor::UpwardsMiddle, Face::small(MUTED));
    }
}

/// The range of an axis, never empty.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if low < high { Self { low, high } } else { Self { low: low.clamp(-1e9, 1e9) - 0.5, high: low.clamp(-1e9, 1e9) + 0.5 } }
    }

    fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Decimals that tell the ticks apart.
    fn places(&self) -> usize {
        [0, 1, 2, 3]
            .into_iter()
            .find(|&places| self.high - self.low >= 8.0 * 10_f64.powi(-places))
            .map_or(4, |places| usize::try_from(places).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_never_empty() {
        let flat = Axis::of([0.5, 0.5].into_iter());
        assert!(flat.low < 0.5 && flat.high > 0.5);
        assert!((flat.share(0.5) - 0.5).abs() < 1e-12);
        assert_eq!((Axis { low: 0.0, high: 5.0 }.places(), Axis { low: 0.2, high: 0.9 }.places()), (1, 2));
        let none = Axis::of([].into_iter());
        assert!(none.low < none.high);
    }

    #[test]
    fn every_point_is_drawn_and_those_on_one_place_once() {
        let scatter = Scatter { across: "gold".into(), up: "cosine".into(), points: vec![(0.0, 0.1), (5.0, 0.9), (5.0, 0.9)] };
        let svg = scatter.draw("t").svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
