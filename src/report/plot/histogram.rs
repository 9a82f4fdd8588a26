//! Two histograms on one axis, back to back: one kind of values above the line, the other below.

use plotters::prelude::RGBColor;

use super::WIDTH;
use super::canvas::{self, Anchor, BLUE, Canvas, Face, INK, MUTED, ORANGE, Picture, RULE, pixel, whole};
use crate::report::number;

/// Values of two kinds: margins of right and wrong predictions, cosines of pairs that are the same and not.
#[derive(Clone, Debug)]
pub struct Histogram {
    pub axis: String,
    pub above: Vec<f64>,
    pub below: Vec<f64>,
    /// What the two kinds are called, in their order: `12 texts right`.
    pub names: [String; 2],
    /// Where the axis begins.
    pub low: f64,
    /// A value to mark, with its label.
    pub threshold: Option<(f64, String)>,
    /// Decimals of the axis labels.
    pub places: usize,
}

const LEFT: i32 = 56;
const RIGHT: i32 = 20;
const TOP: i32 = 52;
const HEIGHT: i32 = 240;
const BINS: usize = 24;

/// Axis and counts of both halves.
struct Binned {
    low: f64,
    high: f64,
    above: Vec<usize>,
    below: Vec<usize>,
    tallest: (usize, usize),
}

impl Histogram {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let binned = self.binned();
        let (above, below) = binned.tallest;
        let unit = f64::from(HEIGHT) / f64::from(whole((above + below).max(1)));
        let zero = TOP + pixel(unit * f64::from(whole(above)));
        let page = Page { binned: &binned, unit, zero };
        canvas::draw(title, (WIDTH, TOP + HEIGHT + 54), |canvas| {
            self.draw_axes(canvas, &page);
            page.draw_bars(canvas);
            self.draw_names(canvas, &page);
        })
    }

    fn binned(&self) -> Binned {
        let low = self.low;
        let high = self.above.iter().chain(&self.below).copied().fold(low, f64::max).max(low + 1e-9);
        let (above, below) = (counts(&self.above, low, high), counts(&self.below, low, high));
        let most = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
        let tallest = (most(&above), most(&below));
        Binned { low, high, above, below, tallest }
    }

    fn draw_axes(&self, canvas: &mut Canvas, page: &Page) {
        let bottom = TOP + HEIGHT;
        for tick in canvas::ticks(page.binned.low, page.binned.high, 8) {
            let x = page.x(tick);
            canvas.line((x, TOP), (x, bottom), RULE, 1);
            canvas.text((x, bottom + 16), &number::decimal(tick, self.places), Anchor::Middle, Face::small(MUTED));
        }
        canvas.text((i32::midpoint(LEFT, WIDTH - RIGHT), bottom + 38), &self.axis, Anchor::Middle, Face::small(MUTED));
        let (above, below) = page.binned.tallest;
        let step = count_step(above.max(below));
        for (most, direction) in [(above, 1), (below, -1)] {
            for count in (step..=most).step_by(step) {
                let y = page.y(direction * whole(count));
                canvas.line((LEFT - 4, y), (LEFT, y), MUTED, 1);
                canvas.text((LEFT - 8, y), &count.to_string(), Anchor::End, Face::small(MUTED));
            }
        }
    }

    fn draw_names(&self, canvas: &mut Canvas, page: &Page) {
        canvas.line((LEFT, page.zero), (WIDTH - RIGHT, page.zero), INK, 1);
        let [above, below] = &self.names;
        let (above, below) = (format!("above: {above}"), format!("below: {below}"));
        canvas.text((LEFT, 12), &above, Anchor::Start, Face::bold(BLUE));
        let after = LEFT + canvas::text_width(&above, canvas::SIZE) + 28;
        canvas.text((after, 12), &below, Anchor::Start, Face::bold(ORANGE));
        if let Some((value, name)) = &self.threshold {
            let x = page.x(*value);
            canvas.dashes(x, TOP - 8, TOP + HEIGHT, INK);
            let wide = canvas::text_width(name, canvas::SMALL);
            let from = (x - wide / 2).min(WIDTH - RIGHT - wide).max(LEFT);
            canvas.text((from, TOP - 17), name, Anchor::Start, Face::small(INK));
        }
    }
}

/// Turns margins and counts into pixels.
struct Page<'a> {
    binned: &'a Binned,
    unit: f64,
    zero: i32,
}

impl Page<'_> {
    fn x(&self, value: f64) -> i32 {
        let Binned { low, high, .. } = self.binned;
        LEFT + pixel(f64::from(WIDTH - LEFT - RIGHT) * ((value - low) / (high - low)).clamp(0.0, 1.0))
    }

    fn y(&self, count: i32) -> i32 {
        self.zero - pixel(self.unit * f64::from(count))
    }

    fn draw_bars(&self, canvas: &mut Canvas) {
        let halves: [(&[usize], i32, RGBColor); 2] = [(&self.binned.above, 1, BLUE), (&self.binned.below, -1, ORANGE)];
        let width = f64::from(WIDTH - LEFT - RIGHT) / f64::from(whole(BINS));
        for (counts, direction, color) in halves {
            for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let from = LEFT + pixel(width * f64::from(whole(bin))) + 1;
                let to = LEFT + pixel(width * f64::from(whole(bin + 1))) - 1;
                let end = self.y(direction * whole(*count));
                canvas.fill((from, end.min(self.zero)), (to, end.max(self.zero)), color);
            }
        }
    }
}

fn counts(values: &[f64], low: f64, high: f64) -> Vec<usize> {
    let mut counts = vec![0; BINS];
    for value in values {
        let bin = pixel(((value - low) / (high - low) * f64::from(whole(BINS))).floor()).clamp(0, whole(BINS - 1));
        if let Some(count) = usize::try_from(bin).ok().and_then(|bin| counts.get_mut(bin)) {
            *count += 1;
        }
    }
    counts
}

/// A round step that gives at most four ticks.
fn count_step(most: usize) -> usize {
    let mut power = 1;
    loop {
        for step in [power, 2 * power, 5 * power] {
            if most / step <= 4 {
                return step;
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_margin_falls_into_the_last_bin() {
        let counts = counts(&[0.0, 0.01, 1.0], 0.0, 1.0);
        assert_eq!((counts[0], counts[BINS - 1]), (2, 1));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([count_step(3), count_step(9), count_step(23), count_step(480)], [1, 2, 5, 100]);
    }
}
