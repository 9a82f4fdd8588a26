//! Dots with interval bars, one row each, on a common axis in hundredths: the leaderboard.

use plotters::prelude::RGBColor;

use super::WIDTH;
use super::canvas::{self, Anchor, BLUE, Canvas, Face, INK, MUTED, ORANGE, Picture, RULE, SMALL, pixel, text_width, whole};
use crate::report::number;
use crate::stats::Estimate;

/// Rows of estimates, and values to hold them against.
#[derive(Clone, Debug)]
pub struct Dots {
    pub axis: String,
    pub unit: Unit,
    pub rows: Vec<Dot>,
    /// From low to high.
    pub marks: Vec<Mark>,
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Shares of texts, between 0 and 1, written as percentages.
    Share,
    /// Correlations and precisions, between -1 and 1, written times a hundred.
    Hundredths,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Share => number::percent(value),
            Self::Hundredths => number::decimal(100.0 * value, 2),
        }
    }

    const fn lowest(self) -> f64 {
        match self {
            Self::Share => 0.0,
            Self::Hundredths => -1.0,
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Dot {
    pub name: String,
    pub estimate: Estimate,
    pub tone: Tone,
}

/// A vertical line across all rows.
#[derive(Clone, Debug)]
pub struct Mark {
    pub name: String,
    pub value: f64,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Best,
    Other,
    /// The lexical floor.
    Floor,
}

const ROW: i32 = 24;
const RIGHT: i32 = 64;
const MARK_ROW: i32 = 18;

/// The value axis in pixels.
struct Scale {
    low: f64,
    high: f64,
    left: i32,
    right: i32,
}

impl Scale {
    fn x(&self, value: f64) -> i32 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.left + pixel(share * f64::from(self.right - self.left))
    }
}

impl Dots {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let widest = self.rows.iter().map(|row| text_width(&row.name, SMALL)).max().unwrap_or(0);
        let left = widest.clamp(60, WIDTH / 2) + 16;
        let (low, high) = self.range();
        let scale = Scale { low, high, left, right: WIDTH - RIGHT };
        let levels = mark_levels(&self.marks, &scale);
        let top = 12 + MARK_ROW * (levels.iter().max().map_or(0, |level| level + 1));
        let bottom = top + ROW * whole(self.rows.len());
        canvas::draw(title, (WIDTH, bottom + 46), |canvas| {
            self.draw_axis(canvas, &scale, (top, bottom));
            self.draw_marks(canvas, &scale, &levels, (top, bottom));
            for (i, row) in self.rows.iter().enumerate() {
                draw_row(canvas, row, self.unit, &scale, top + ROW * whole(i) + ROW / 2);
            }
        })
    }

    /// Everything shown, with some air, within the unit's range.
    fn range(&self) -> (f64, f64) {
        let intervals = self.rows.iter().flat_map(|row| {
            let value = row.estimate.value;
            row.estimate.interval.map_or([value, value], |interval| [interval.low, interval.high])
        });
        let shown: Vec<f64> = intervals.chain(self.marks.iter().map(|mark| mark.value)).collect();
        let low = shown.iter().copied().fold(1.0, f64::min);
        let lowest = self.unit.lowest();
        let high = shown.iter().copied().fold(lowest, f64::max);
        let (low, high) = ((low - 0.04).max(lowest), (high + 0.02).min(1.0));
        if high - low < 0.05 { ((low - 0.05).max(lowest), (high + 0.05).min(1.0)) } else { (low, high) }
    }

    fn draw_axis(&self, canvas: &mut Canvas, scale: &Scale, (top, bottom): (i32, i32)) {
        for tick in canvas::ticks(scale.low, scale.high, 8) {
            let x = scale.x(tick);
            canvas.line((x, top), (x, bottom), RULE, 1);
            canvas.text((x, bottom + 12), &number::decimal(100.0 * tick, 0), Anchor::Middle, Face::small(MUTED));
        }
        let middle = i32::midpoint(scale.left, scale.right);
        canvas.text((middle, bottom + 32), &self.axis, Anchor::Middle, Face::small(MUTED));
    }

    fn draw_marks(&self, canvas: &mut Canvas, scale: &Scale, levels: &[i32], (top, bottom): (i32, i32)) {
        for (mark, level) in self.marks.iter().zip(levels) {
            let x = scale.x(mark.value);
            let y = 14 + MARK_ROW * level;
            canvas.dashes(x, y - 6, bottom.max(top), INK);
            let (from, _) = mark_extent(mark, scale);
            canvas.text((from, y), &mark_name(mark), Anchor::Start, Face::small(INK));
        }
    }
}

fn draw_row(canvas: &mut Canvas, row: &Dot, unit: Unit, scale: &Scale, y: i32) {
    let color: RGBColor = if row.tone == Tone::Floor { ORANGE } else { BLUE };
    let face = Face { size: SMALL, color: INK, bold: row.tone == Tone::Best };
    let room = scale.left - 14;
    canvas.text((scale.left - 10, y), &canvas::fit(&row.name, SMALL, room), Anchor::End, face);
    if let Some(interval) = row.estimate.interval {
        canvas.line((scale.x(interval.low), y), (scale.x(interval.high), y), color, 2);
    }
    canvas.dot((scale.x(row.estimate.value), y), 5, color, row.tone != Tone::Floor);
    canvas.text((WIDTH - RIGHT + 10, y), &unit.write(row.estimate.value), Anchor::Start, face);
}

fn mark_name(mark: &Mark) -> String {
    format!("{} {}", mark.name, number::percent(mark.value))
}

/// Left and right end of a mark's label: right of its line, or left of it near the page's edge.
fn mark_extent(mark: &Mark, scale: &Scale) -> (i32, i32) {
    let (x, width) = (scale.x(mark.value), text_width(&mark_name(mark), SMALL));
    let from = if x + 5 + width > WIDTH - 4 { x - 5 - width } else { x + 5 };
    (from, from + width)
}

/// The line each mark's label stands on: a label that would meet an earlier one stands below it, where the earlier
/// line passes on its left.
fn mark_levels(marks: &[Mark], scale: &Scale) -> Vec<i32> {
    let mut taken: Vec<(i32, i32, i32)> = Vec::new();
    for mark in marks {
        let (from, to) = mark_extent(mark, scale);
        let meets = taken.iter().filter(|(a, b, _)| from < b + 12 && *a < to + 12);
        let level = meets.map(|(_, _, level)| level + 1).max().unwrap_or(0);
        taken.push((from, to, level));
    }
    taken.into_iter().map(|(_, _, level)| level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_would_meet_stand_on_different_lines() {
        let scale = Scale { low: 0.0, high: 1.0, left: 100, right: 700 };
        let mark = |value| Mark { name: "chance".into(), value };
        assert_eq!(mark_levels(&[mark(0.2), mark(0.22), mark(0.8)], &scale), vec![0, 1, 0]);
    }
}
