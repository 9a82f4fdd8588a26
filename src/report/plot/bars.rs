//! Two shares for each label as bars with intervals, on one percentage axis.

use plotters::prelude::RGBColor;

use super::WIDTH;
use super::canvas::{self, Anchor, BLUE, Canvas, Face, INK, MUTED, ORANGE, Picture, RULE, SIZE, pixel, text_width, whole};
use crate::report::number;
use crate::stats::Estimate;

/// Rows with two bars each.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What the upper and the lower bar of a row are.
    pub measures: [String; 2],
    pub rows: Vec<Bar>,
}

/// One row; a share that is undefined has no bar.
#[derive(Clone, Debug)]
pub struct Bar {
    pub name: String,
    pub shares: [Option<Estimate>; 2],
}

const ROW: i32 = 34;
const BAR: i32 = 12;
const TOP: i32 = 34;
const RIGHT: i32 = 70;

impl Bars {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let widest = self.rows.iter().map(|row| text_width(&row.name, SIZE)).max().unwrap_or(0);
        let left = widest.clamp(48, WIDTH / 3) + 16;
        let bottom = TOP + ROW * whole(self.rows.len());
        let x = |share: f64| left + pixel(share * f64::from(WIDTH - RIGHT - left));
        canvas::draw(title, (WIDTH, bottom + 26), |canvas| {
            let [upper, lower] = &self.measures;
            canvas.text((left, 12), upper, Anchor::Start, Face::bold(BLUE));
            canvas.text((left + text_width(upper, SIZE) + 24, 12), lower, Anchor::Start, Face::bold(ORANGE));
            for tick in canvas::ticks(0.0, 1.0, 5) {
                canvas.line((x(tick), TOP - 6), (x(tick), bottom), RULE, 1);
                canvas.text(
                    (x(tick), bottom + 12),
                    &format!("{} %", number::decimal(100.0 * tick, 0)),
                    Anchor::Middle,
                    Face::small(MUTED),
                );
            }
            for (i, row) in self.rows.iter().enumerate() {
                let y = TOP + ROW * whole(i);
                let name = canvas::fit(&row.name, SIZE, left - 12);
                canvas.text((left - 8, y + BAR), &name, Anchor::End, Face::plain(INK));
                // The numbers stand at the end of the row, so that no table need repeat them.
                for (share, (top, color)) in row.shares.iter().zip([(y, BLUE), (y + BAR + 1, ORANGE)]) {
                    let value = share.map_or("–".to_owned(), |share| number::percent(share.value));
                    canvas.text((WIDTH - RIGHT + 14, top + BAR / 2), &value, Anchor::Start, Face::small(color));
                }
                for (share, (top, color)) in row.shares.iter().zip([(y, BLUE), (y + BAR + 1, ORANGE)]) {
                    match share {
                        Some(share) => draw_bar(canvas, share, top, color, &x),
                        None => canvas.text((left + 6, top + BAR / 2), "–", Anchor::Start, Face::small(MUTED)),
                    }
                }
            }
        })
    }
}

fn draw_bar(canvas: &mut Canvas, share: &Estimate, top: i32, color: RGBColor, x: &impl Fn(f64) -> i32) {
    let pale = canvas::shade(color, 0.55);
    canvas.fill((x(0.0), top), (x(share.value), top + BAR - 1), pale);
    let middle = top + BAR / 2;
    if let Some(interval) = share.interval {
        canvas.line((x(interval.low), middle), (x(interval.high), middle), color, 2);
    }
    canvas.dot((x(share.value), middle), 3, color, true);
}
