//! A page to draw figures on: lines, boxes, circles and text in pixels, with one palette and one font.
//!
//! Text is measured without a font file: a wide (CJK) character is one em, any other 0.56 em, so layouts leave room.

use std::error::Error;

use plotters::prelude::{Color, DrawingBackend, RGBColor, SVGBackend, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, FontStyle, FontTransform};
use unicode_width::UnicodeWidthChar;

use crate::report::escape;

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the SVG backend refused a shape")]
pub struct PlotError(#[source] Box<dyn Error + Send + Sync>);

const FONTS: &str =
    "system-ui, Segoe UI, Helvetica Neue, Arial, Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif";

/// Sizes of text. Unit: pixels.
pub const SIZE: i32 = 13;
pub const SMALL: i32 = 12;

// The page's own ink and paper differ by one step from those used on coloured cells, so that a style sheet can turn
// the page dark and leave the cells alone.
pub const PAPER: RGBColor = RGBColor(255, 255, 255);
pub const INK: RGBColor = RGBColor(31, 35, 40);
pub const MUTED: RGBColor = RGBColor(99, 108, 118);
pub const RULE: RGBColor = RGBColor(216, 222, 228);
pub const INK_ON_CELL: RGBColor = RGBColor(31, 35, 41);
pub const PAPER_ON_CELL: RGBColor = RGBColor(255, 255, 254);
pub const EMPTY_CELL: RGBColor = RGBColor(246, 248, 250);

// Five colours of Okabe and Ito (2008), told apart with any colour vision; blue and vermilion where two are enough.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
pub const SKY: RGBColor = RGBColor(86, 180, 233);

/// Where a text stands relative to its point, horizontally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
    /// Read upwards, starting at the point.
    Upwards,
    /// Read upwards, centred on the point.
    UpwardsMiddle,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    pub size: i32,
    pub color: RGBColor,
    pub bold: bool,
}

impl Face {
    pub const fn plain(color: RGBColor) -> Self {
        Self { size: SIZE, color, bold: false }
    }

    pub const fn small(color: RGBColor) -> Self {
        Self { size: SMALL, color, bold: false }
    }

    pub const fn bold(color: RGBColor) -> Self {
        Self { size: SIZE, color, bold: true }
    }
}

/// What a figure consists of, in the order it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// From corner to corner, both included.
    Fill {
        from: (i32, i32),
        to: (i32, i32),
        color: RGBColor,
    },
    Line {
        from: (i32, i32),
        to: (i32, i32),
        color: RGBColor,
        width: u32,
    },
    Dot {
        center: (i32, i32),
        radius: u32,
        color: RGBColor,
        filled: bool,
    },
    Text(Written),
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub at: (i32, i32),
    pub text: String,
    pub anchor: Anchor,
    pub face: Face,
}

/// A figure of this size on paper, ready to be written as SVG or PNG.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub size: (i32, i32),
    /// Its accessible name.
    pub title: String,
    pub shapes: Vec<Shape>,
}

/// Collects shapes.
#[derive(Default)]
pub struct Canvas(Vec<Shape>);

/// A picture of this size, filled by `paint`. `title` becomes its accessible name.
pub fn draw(title: &str, size: (i32, i32), paint: impl FnOnce(&mut Canvas)) -> Picture {
    let mut canvas = Canvas::default();
    canvas.fill((0, 0), size, PAPER);
    paint(&mut canvas);
    Picture { size, title: title.to_owned(), shapes: canvas.0 }
}

impl Canvas {
    pub fn fill(&mut self, from: (i32, i32), to: (i32, i32), color: RGBColor) {
        self.0.push(Shape::Fill { from, to, color });
    }

    pub fn outline(&mut self, (left, top): (i32, i32), (right, bottom): (i32, i32), color: RGBColor) {
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        corners.windows(2).for_each(|side| self.line(side[0], side[1], color, 2));
    }

    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), color: RGBColor, width: u32) {
        self.0.push(Shape::Line { from, to, color, width });
    }

    /// A dashed vertical line.
    pub fn dashes(&mut self, x: i32, top: i32, bottom: i32, color: RGBColor) {
        for y in (top..bottom).step_by(7) {
            self.line((x, y), (x, (y + 4).min(bottom)), color, 1);
        }
    }

    pub fn dot(&mut self, center: (i32, i32), radius: u32, color: RGBColor, filled: bool) {
        self.0.push(Shape::Dot { center, radius, color, filled });
    }

    /// Text centred on `y`, or on `x` when it is read upwards.
    pub fn text(&mut self, at: (i32, i32), text: &str, anchor: Anchor, face: Face) {
        self.0.push(Shape::Text(Written { at, text: escape::one_line(text), anchor, face }));
    }
}

impl Picture {
    /// The picture as a standalone SVG document.
    ///
    /// # Errors
    /// Whatever the drawing backend refuses.
    pub fn svg(&self) -> Result<String, PlotError> {
        let mut svg = String::new();
        {
            let size = (self.size.0.unsigned_abs(), self.size.1.unsigned_abs());
            let mut backend = SVGBackend::with_string(&mut svg, size);
            for shape in &self.shapes {
                draw_shape(&mut backend, shape)?;
            }
            backend.present().map_err(refused)?;
        }
        // The backend repeats the font on every text; once for all of them is enough.
        let family = format!(" font-family=\"{FONTS}\"");
        let root = format!("<svg role=\"img\" aria-label=\"{}\"{family} ", escape::xml(&self.title));
        Ok(svg.replace(&family, "").replace(" opacity=\"1\"", "").replacen("<svg ", &root, 1))
    }
}

fn refused<E: Error + Send + Sync + 'static>(error: E) -> PlotError {
    PlotError(Box::new(error))
}

fn draw_shape(backend: &mut SVGBackend<'_>, shape: &Shape) -> Result<(), PlotError> {
    let drawn = match *shape {
        Shape::Fill { from, to, color } => backend.draw_rect(from, to, &color.filled(), true),
        Shape::Line { from, to, color, width } => backend.draw_line(from, to, &stroke(color, width)),
        Shape::Dot { center, radius, color, filled: true } => backend.draw_circle(center, radius, &color.filled(), true),
        Shape::Dot { center, radius, color, filled: false } => {
            backend.draw_circle(center, radius, &PAPER.filled(), true).map_err(refused)?;
            backend.draw_circle(center, radius, &stroke(color, 2), false)
        }
        Shape::Text(Written { at, ref text, anchor, face }) => {
            let (horizontal, transform) = match anchor {
                Anchor::Start => (HPos::Left, FontTransform::None),
                Anchor::Middle => (HPos::Center, FontTransform::None),
                Anchor::End => (HPos::Right, FontTransform::None),
                Anchor::Upwards => (HPos::Left, FontTransform::Rotate270),
                Anchor::UpwardsMiddle => (HPos::Center, FontTransform::Rotate270),
            };
            let style = if face.bold { FontStyle::Bold } else { FontStyle::Normal };
            // The backend writes a font's size divided by 1.24.
            let size = f64::from(face.size) * 1.24;
            let font = FontDesc::new(FontFamily::Name(FONTS), size, style).transform(transform);
            let written = font.color(&face.color).pos(Pos::new(horizontal, VPos::Center));
            backend.draw_text(text, &written, at)
        }
    };
    drawn.map_err(refused)
}

fn stroke(color: RGBColor, width: u32) -> ShapeStyle {
    ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: width }
}

/// Estimated width of a text. Unit: pixels.
pub fn text_width(text: &str, size: i32) -> i32 {
    let hundredths: i32 = text.chars().map(|c| if c.width() == Some(2) { 100 } else { 56 }).sum();
    (hundredths * size + 99) / 100
}

/// The longest beginning of `text` that fits into `room` pixels, with an ellipsis when something is missing.
pub fn fit(text: &str, size: i32, room: i32) -> String {
    if text_width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, size) + size > room {
            kept.pop();
            break;
        }
    }
    kept + "…"
}

/// A colour between paper (0) and `color` (1).
pub fn shade(color: RGBColor, strength: f64) -> RGBColor {
    let mix = |paper: u8, full: u8| blend(paper, full, strength.clamp(0.0, 1.0));
    RGBColor(mix(250, color.0), mix(250, color.1), mix(250, color.2))
}

/// Ink or paper, whichever reads better on `cell`.
pub fn ink_on(cell: RGBColor) -> RGBColor {
    let luma = 299 * u32::from(cell.0) + 587 * u32::from(cell.1) + 114 * u32::from(cell.2);
    if luma < 115_000 { PAPER_ON_CELL } else { INK_ON_CELL }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mix of two bytes is a byte")]
fn blend(from: u8, to: u8, share: f64) -> u8 {
    (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8
}

/// Rounds a position to a pixel; positions are bounded by the page.
#[expect(clippy::cast_possible_truncation, reason = "positions on a page are small and finite")]
pub fn pixel(position: f64) -> i32 {
    position.round() as i32
}

/// A count as a coordinate.
pub fn whole(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Round steps (1, 2 or 5 times a power of ten) that divide `low..high` into at most `most` parts.
pub fn ticks(low: f64, high: f64, most: i32) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite() && high > low && most > 0) {
        return Vec::new();
    }
    let raw = (high - low) / f64::from(most);
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= raw * 0.999_999).unwrap_or(raw);
    let first = (low / step - 1e-9).ceil();
    (0..=most).map(|i| (first + f64::from(i)) * step).take_while(|tick| *tick <= high + step * 1e-9).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_an_em() {
        assert_eq!(text_width("新闻", 13), 26);
        assert_eq!(text_width("ab", 100), 112);
    }

    #[test]
    fn a_text_that_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(fit("新闻新闻", 10, 40), "新闻新闻");
        assert_eq!(fit("新闻新闻", 10, 35), "新闻…");
        assert_eq!(fit("新闻", 10, 0), "…");
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(1.0, 9.0, 5), vec![2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(0.0, 10.0, 5), vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!(ticks(1.0, 1.0, 5).is_empty());
    }
}
