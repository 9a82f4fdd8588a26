//! Counts of predicted labels (columns) by right label (rows), shaded by the share of the row.

use super::WIDTH;
use super::canvas::{
    self, Anchor, BLUE, Canvas, EMPTY_CELL, Face, INK, MUTED, ORANGE, Picture, SIZE, SMALL, shade, text_width, whole,
};
use crate::report::number;

/// A confusion matrix.
#[derive(Clone, Debug)]
pub struct Confusion {
    /// Rows and columns.
    pub labels: Vec<String>,
    /// Row-major `[gold, predicted]`.
    pub counts: Vec<u64>,
    /// Texts of each right label; at least the sum of its row, which may leave labels out.
    pub totals: Vec<u64>,
}

/// Where the matrix stands.
struct Layout {
    left: i32,
    top: i32,
    cell: i32,
    row: i32,
    upright: bool,
}

/// Narrowest cell that holds a share beside its count.
const ROOMY: i32 = 52;

impl Confusion {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let layout = self.layout();
        let n = whole(self.labels.len());
        let height = layout.top + layout.row * n + 12;
        canvas::draw(title, (WIDTH, height), |canvas| {
            self.draw_names(canvas, &layout);
            for (i, count) in self.counts.iter().enumerate() {
                self.draw_cell(canvas, &layout, (i / self.labels.len(), i % self.labels.len()), *count);
            }
        })
    }

    fn layout(&self) -> Layout {
        let n = whole(self.labels.len().max(1));
        let widest = self.labels.iter().map(|label| text_width(label, SIZE)).max().unwrap_or(0);
        let left = widest.clamp(48, 220) + 32;
        let cell = ((WIDTH - left - 12) / n).clamp(18, 96);
        let upright = widest + 8 > cell;
        let top = if upright { widest.clamp(40, 160) + 36 } else { 48 };
        Layout { left, top, cell, row: cell.min(46), upright }
    }

    fn draw_names(&self, canvas: &mut Canvas, layout: &Layout) {
        let width = layout.cell * whole(self.labels.len());
        canvas.text((layout.left + width / 2, 10), "predicted label", Anchor::Middle, Face::small(MUTED));
        let height = layout.row * whole(self.labels.len());
        let side = (10, layout.top + height / 2);
        canvas.text(side, "right label", Anchor::UpwardsMiddle, Face::small(MUTED));
        for (i, label) in self.labels.iter().enumerate() {
            let y = layout.top + layout.row * whole(i) + layout.row / 2;
            canvas.text((layout.left - 8, y), &canvas::fit(label, SIZE, layout.left - 32), Anchor::End, Face::plain(INK));
            let x = layout.left + layout.cell * whole(i) + layout.cell / 2;
            if layout.upright {
                let name = canvas::fit(label, SIZE, layout.top - 32);
                canvas.text((x, layout.top - 6), &name, Anchor::Upwards, Face::plain(INK));
            } else {
                canvas.text((x, layout.top - 14), label, Anchor::Middle, Face::plain(INK));
            }
        }
    }

    fn draw_cell(&self, canvas: &mut Canvas, layout: &Layout, (gold, predicted): (usize, usize), count: u64) {
        let total = self.totals.get(gold).copied().unwrap_or(0);
        let share = share_of(count, total);
        let color = if gold == predicted { BLUE } else { ORANGE };
        let fill = if count == 0 { EMPTY_CELL } else { shade(color, 0.1 + 0.9 * share) };
        let x = layout.left + layout.cell * whole(predicted);
        let y = layout.top + layout.row * whole(gold);
        canvas.fill((x, y), (x + layout.cell - 2, y + layout.row - 2), fill);
        if count == 0 {
            return;
        }
        let ink = canvas::ink_on(fill);
        let middle = (x + layout.cell / 2 - 1, y + layout.row / 2 - 1);
        if layout.cell >= ROOMY {
            canvas.text((middle.0, middle.1 - 8), &count.to_string(), Anchor::Middle, Face::bold(ink));
            let percent = format!("{} %", number::decimal(100.0 * share, 0));
            canvas.text((middle.0, middle.1 + 9), &percent, Anchor::Middle, Face::small(ink));
        } else {
            let size = if layout.cell < 26 { 10 } else { SMALL };
            canvas.text(middle, &count.to_string(), Anchor::Middle, Face { size, color: ink, bold: false });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
fn share_of(count: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { count as f64 / total as f64 }
}
