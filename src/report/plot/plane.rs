//! Accuracy (upwards) against something (to the right): points with intervals, joined or not, named where they end.

use plotters::prelude::RGBColor;

use super::WIDTH;
use super::canvas::{self, Anchor, BLUE, Canvas, Face, GREEN, INK, MUTED, ORANGE, PURPLE, Picture, RULE, SMALL, pixel};
use crate::report::number;
use crate::stats::Estimate;

/// Points in a plane whose height is a share.
#[derive(Clone, Debug)]
pub struct Plane {
    /// What is to the right, and where its axis has words.
    pub across: String,
    pub ticks: Vec<(f64, String)>,
    pub up: String,
    /// Drawn in this order.
    pub lines: Vec<Line>,
    /// A share to hold the points against.
    pub level: Option<(f64, String)>,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Line {
    /// Written after the last point; empty for none.
    pub name: String,
    pub ink: Ink,
    pub joined: bool,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug)]
pub struct Point {
    pub across: f64,
    pub estimate: Estimate,
    /// Written beside it; empty for none.
    pub name: String,
}

/// Colours that are told apart with any colour vision, in the order they are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Blue,
    Orange,
    Green,
    Purple,
    Muted,
}

impl Ink {
    /// For lines that are told apart, the first of them in blue.
    pub const IN_ORDER: [Self; 4] = [Self::Blue, Self::Orange, Self::Green, Self::Purple];

    const fn color(self) -> RGBColor {
        match self {
            Self::Blue => BLUE,
            Self::Orange => ORANGE,
            Self::Green => GREEN,
            Self::Purple => PURPLE,
            Self::Muted => MUTED,
        }
    }
}

const LEFT: i32 = 60;
const TOP: i32 = 16;
const HEIGHT: i32 = 250;
/// Least distance of two names, from middle to middle.
const LEADING: i32 = 16;

/// The part of the page that points stand in.
struct Frame {
    across: (f64, f64),
    up: (f64, f64),
    right: i32,
}

impl Frame {
    fn x(&self, value: f64) -> i32 {
        LEFT + pixel(share(value, self.across) * f64::from(self.right - LEFT))
    }

    fn y(&self, value: f64) -> i32 {
        TOP + HEIGHT - pixel(share(value, self.up) * f64::from(HEIGHT))
    }
}

fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

impl Plane {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let widest = self.lines.iter().map(|line| canvas::text_width(&line.name, SMALL)).max().unwrap_or(0);
        let room = if widest == 0 { 24 } else { (widest + 20).min(WIDTH / 3) };
        let frame = Frame { across: self.across(), up: self.up(), right: WIDTH - room };
        canvas::draw(title, (WIDTH, TOP + HEIGHT + 52), |canvas| {
            self.draw_axes(canvas, &frame);
            self.lines.iter().for_each(|line| draw_line(canvas, line, &frame));
            self.draw_names(canvas, &frame, room);
            self.draw_points(canvas, &frame);
        })
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.lines.iter().flat_map(|line| &line.points)
    }

    /// All points and ticks, with some air.
    fn across(&self) -> (f64, f64) {
        let places = || self.points().map(|point| point.across).chain(self.ticks.iter().map(|(place, _)| *place));
        let (low, high) = (places().fold(f64::INFINITY, f64::min), places().fold(f64::NEG_INFINITY, f64::max));
        let air = if high > low { 0.04 * (high - low) } else { 1.0 };
        (low - air, high + air)
    }

    fn up(&self) -> (f64, f64) {
        let ends = |point: &Point| {
            let value = point.estimate.value;
            point.estimate.interval.map_or([value, value], |interval| [interval.low, interval.high])
        };
        let shown = || self.points().flat_map(ends).chain(self.level.iter().map(|(level, _)| *level));
        let (low, high) = (shown().fold(1.0, f64::min), shown().fold(0.0, f64::max));
        ((low - 0.03).max(0.0), (high + 0.03).min(1.0).max(low + 0.02))
    }

    fn draw_axes(&self, canvas: &mut Canvas, frame: &Frame) {
        let bottom = TOP + HEIGHT;
        for tick in canvas::ticks(frame.up.0, frame.up.1, 6) {
            let y = frame.y(tick);
            canvas.line((LEFT, y), (frame.right, y), RULE, 1);
            canvas.text((LEFT - 8, y), &number::decimal(100.0 * tick, 0), Anchor::End, Face::small(MUTED));
        }
        for (place, name) in &self.ticks {
            let x = frame.x(*place);
            canvas.line((x, bottom), (x, bottom + 5), MUTED, 1);
            canvas.text((x, bottom + 16), name, Anchor::Middle, Face::small(MUTED));
        }
        canvas.text((i32::midpoint(LEFT, frame.right), bottom + 38), &self.across, Anchor::Middle, Face::small(MUTED));
        canvas.text((12, TOP + HEIGHT / 2), &self.up, Anchor::UpwardsMiddle, Face::small(MUTED));
        if let Some((level, name)) = &self.level {
            let y = frame.y(*level);
            for x in (LEFT..frame.right).step_by(7) {
                canvas.line((x, y), ((x + 4).min(frame.right), y), INK, 1);
            }
            canvas.text((frame.right - 4, y + 10), name, Anchor::End, Face::small(INK));
        }
    }

    /// The lines' names at their ends, apart from each other.
    fn draw_names(&self, canvas: &mut Canvas, frame: &Frame, room: i32) {
        let named = self.lines.iter().filter(|line| !line.name.is_empty());
        let mut ends: Vec<(i32, i32, &str)> = named
            .filter_map(|line| {
                let last = line.points.last()?;
                Some((frame.y(last.estimate.value), frame.x(last.across), line.name.as_str()))
            })
            .collect();
        ends.sort_unstable();
        let places = apart(&ends.iter().map(|(y, ..)| *y).collect::<Vec<_>>());
        for ((_, x, name), y) in ends.into_iter().zip(places) {
            canvas.text((x + 10, y), &canvas::fit(name, SMALL, room - 14), Anchor::Start, Face::small(INK));
        }
    }

    /// The points' own names, above and to the left of them: a front of the best has nothing there.
    fn draw_points(&self, canvas: &mut Canvas, frame: &Frame) {
        let mut taken: Vec<(i32, i32, i32)> = Vec::new();
        for point in self.points().filter(|point| !point.name.is_empty()) {
            let name = canvas::fit(&point.name, SMALL, WIDTH / 3);
            let width = canvas::text_width(&name, SMALL);
            let end = frame.x(point.across) - 7;
            let x = if end - width < LEFT { end + 14 } else { end - width };
            let mut y = frame.y(point.estimate.value) - 10;
            while taken.iter().any(|(from, to, row)| x < to + 8 && *from < x + width + 8 && (y - row).abs() < LEADING - 2) {
                y -= 3;
            }
            canvas.text((x, y.max(8)), &name, Anchor::Start, Face::small(INK));
            taken.push((x, x + width, y));
        }
    }
}

fn draw_line(canvas: &mut Canvas, line: &Line, frame: &Frame) {
    let color = line.ink.color();
    let place = |point: &Point| (frame.x(point.across), frame.y(point.estimate.value));
    if line.joined {
        line.points.windows(2).for_each(|pair| canvas.line(place(&pair[0]), place(&pair[1]), color, 2));
    }
    for point in &line.points {
        let (x, y) = place(point);
        if let Some(interval) = point.estimate.interval {
            canvas.line((x, frame.y(interval.low)), (x, frame.y(interval.high)), color, 1);
        }
        canvas.dot((x, y), if line.ink == Ink::Muted { 3 } else { 4 }, color, line.ink != Ink::Muted);
    }
}

/// Heights that keep their order and a line's distance, from top to bottom.
fn apart(heights: &[i32]) -> Vec<i32> {
    let mut placed: Vec<i32> = Vec::with_capacity(heights.len());
    for &height in heights {
        let least = placed.last().map_or(i32::MIN, |last| last + LEADING);
        placed.push(height.max(least));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_order_and_apart() {
        assert_eq!(apart(&[10, 12, 13, 80]), [10, 26, 42, 80]);
        assert!(apart(&[]).is_empty());
    }

    #[test]
    fn one_point_alone_has_a_frame() {
        let estimate = Estimate::exact(1.0, 1);
        let point = Point { across: 3.0, estimate, name: "a".into() };
        let line = Line { name: "b".into(), ink: Ink::Blue, joined: true, points: vec![point] };
        let plane =
            Plane { across: "x".into(), ticks: Vec::new(), up: "y".into(), lines: vec![line], level: Some((1.0, "c".into())) };
        assert_eq!((plane.across(), plane.up()), ((2.0, 4.0), (0.97, 1.02_f64.max(1.0))));
        assert!(plane.draw("t").svg().unwrap().contains("<circle"));
    }
}
