//! Accuracy by prompt (rows) and labels (columns), one panel per calibration: the heat map.

use super::WIDTH;
use super::canvas::{
    self, Anchor, BLUE, Canvas, EMPTY_CELL, Face, INK, MUTED, ORANGE, Picture, SIZE, SMALL, text_width, whole,
};
use crate::report::number;

/// Panels that share their rows and columns.
#[derive(Clone, Debug)]
pub struct Grid {
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    pub panels: Vec<Panel>,
}

/// One heat map.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    /// Row-major shares; None where there is no scored cell.
    pub values: Vec<Option<f64>>,
    /// Row and column of the cell to outline.
    pub outlined: Option<(usize, usize)>,
}

const ROW: i32 = 34;
const HEAD: i32 = 48;
const GAP: i32 = 20;

/// Where panels stand and how wide their cells are.
struct Layout {
    left: i32,
    cell: i32,
    per_line: usize,
}

impl Grid {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let layout = self.layout();
        let lines = self.panels.len().div_ceil(layout.per_line);
        let panel_height = HEAD + ROW * whole(self.rows.len());
        let height = whole(lines) * (panel_height + GAP) + 8;
        let (low, high) = self.range();
        canvas::draw(title, (WIDTH, height), |canvas| {
            for (i, panel) in self.panels.iter().enumerate() {
                let top = 8 + whole(i / layout.per_line) * (panel_height + GAP);
                let column = i % layout.per_line;
                let left = layout.left + whole(column) * (self.panel_width(&layout) + GAP);
                if column == 0 {
                    self.draw_row_names(canvas, layout.left, top);
                }
                self.draw_panel(canvas, panel, (left, top), layout.cell, (low, high));
            }
        })
    }

    fn layout(&self) -> Layout {
        let left = self.rows.iter().map(|name| text_width(name, SIZE)).max().unwrap_or(0).clamp(40, WIDTH / 3) + 16;
        let columns = whole(self.columns.len().max(1));
        let wanted = self.columns.iter().map(|name| text_width(name, SMALL)).max().unwrap_or(0) + 14;
        let room = WIDTH - left - 8;
        let spread = (room + GAP) / whole(self.panels.len().max(1)) - GAP;
        let cell = wanted.clamp(64, 150).max((spread / columns).min(130)).min(room / columns).max(24);
        let width = cell * columns;
        let per_line = ((room + GAP) / (width + GAP)).max(1);
        Layout { left, cell, per_line: usize::try_from(per_line).unwrap_or(1) }
    }

    fn panel_width(&self, layout: &Layout) -> i32 {
        layout.cell * whole(self.columns.len())
    }

    fn range(&self) -> (f64, f64) {
        let values = || self.panels.iter().flat_map(|panel| panel.values.iter().flatten().copied());
        (values().fold(1.0, f64::min), values().fold(0.0, f64::max))
    }

    fn draw_row_names(&self, canvas: &mut Canvas, left: i32, top: i32) {
        for (i, name) in self.rows.iter().enumerate() {
            let y = top + HEAD + ROW * whole(i) + ROW / 2;
            canvas.text((left - 8, y), &canvas::fit(name, SIZE, left - 12), Anchor::End, Face::plain(INK));
        }
    }

    fn draw_panel(&self, canvas: &mut Canvas, panel: &Panel, (left, top): (i32, i32), cell: i32, range: (f64, f64)) {
        let width = cell * whole(self.columns.len());
        canvas.text((left, top + 10), &canvas::fit(&panel.title, SIZE, width.max(120)), Anchor::Start, Face::bold(INK));
        for (column, name) in self.columns.iter().enumerate() {
            let x = left + cell * whole(column) + cell / 2;
            canvas.text((x, top + HEAD - 12), &canvas::fit(name, SMALL, cell - 4), Anchor::Middle, Face::small(MUTED));
        }
        for (i, value) in panel.values.iter().enumerate() {
            let at = (i / self.columns.len(), i % self.columns.len());
            let corner = (left + cell * whole(at.1), top + HEAD + ROW * whole(at.0));
            draw_cell(canvas, *value, corner, cell, range);
        }
        if let Some((row, column)) = panel.outlined {
            let corner = (left + cell * whole(column), top + HEAD + ROW * whole(row));
            canvas.outline(corner, (corner.0 + cell - 2, corner.1 + ROW - 2), ORANGE);
        }
    }
}

fn draw_cell(canvas: &mut Canvas, value: Option<f64>, (x, y): (i32, i32), cell: i32, (low, high): (f64, f64)) {
    let spread = (high - low).max(0.02);
    let fill = value.map_or(EMPTY_CELL, |value| canvas::shade(BLUE, 0.08 + 0.92 * (value - low) / spread));
    canvas.fill((x, y), (x + cell - 2, y + ROW - 2), fill);
    let text = value.map_or("–".to_owned(), |value| number::decimal(100.0 * value, 1));
    canvas.text(
        (x + cell / 2 - 1, y + ROW / 2 - 1),
        &text,
        Anchor::Middle,
        Face::plain(value.map_or(MUTED, |_| canvas::ink_on(fill))),
    );
}
