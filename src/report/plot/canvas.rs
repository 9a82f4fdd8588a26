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

// Four colours of Okabe and Ito (2008), told apart with any colour vision; blue and vermilion where two are enough.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);

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
#[derive(Clone, Copy, Debug)]
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

/// Collects shapes; the first refusal is kept and returned by [`draw`].
pub struct Canvas<'a> {
    backend: SVGBackend<'a>,
    refused: Option<PlotError>,
}

/// A document of this size on paper, filled by `paint`. `title` becomes its accessible name.
pub fn draw(title: &str, (width, height): (i32, i32), paint: impl FnOnce(&mut Canvas)) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let backend = SVGBackend::with_string(&mut svg, (width.unsigned_abs(), height.unsigned_abs()));
        let mut canvas = Canvas { backend, refused: None };
        canvas.fill((0, 0), (width, height), PAPER);
        paint(&mut canvas);
        let presented = canvas.backend.present();
        canvas.note(presented);
        canvas.refused.map_or(Ok(()), Err)?;
    }
    // The backend repeats the font on every text; once for all of them is enough.
    let family = format!(" font-family=\"{FONTS}\"");
    let root = format!("<svg role=\"img\" aria-label=\"{}\"{family} ", escape::xml(title));
    Ok(svg.replace(&family, "").replace(" opacity=\"1\"", "").replacen("<svg ", &root, 1))
}

impl Canvas<'_> {
    pub fn fill(&mut self, from: (i32, i32), to: (i32, i32), color: RGBColor) {
        let drawn = self.backend.draw_rect(from, to, &color.filled(), true);
        self.note(drawn);
    }

    pub fn outline(&mut self, (left, top): (i32, i32), (right, bottom): (i32, i32), color: RGBColor) {
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        let drawn = self.backend.draw_path(corners, &stroke(color, 2));
        self.note(drawn);
    }

    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), color: RGBColor, width: u32) {
        let drawn = self.backend.draw_line(from, to, &stroke(color, width));
        self.note(drawn);
    }

    /// A dashed vertical line.
    pub fn dashes(&mut self, x: i32, top: i32, bottom: i32, color: RGBColor) {
        for y in (top..bottom).step_by(7) {
            self.line((x, y), (x, (y + 4).min(bottom)), color, 1);
        }
    }

    pub fn dot(&mut self, center: (i32, i32), radius: u32, color: RGBColor, filled: bool) {
        if filled {
            let drawn = self.backend.draw_circle(center, radius, &color.filled(), true);
            self.note(drawn);
        } else {
            let paper = self.backend.draw_circle(center, radius, &PAPER.filled(), true);
            self.note(paper);
            let drawn = self.backend.draw_circle(center, radius, &stroke(color, 2), false);
            self.note(drawn);
        }
    }

    /// Text centred on `y`, or on `x` when it is read upwards.
    pub fn text(&mut self, at: (i32, i32), text: &str, anchor: Anchor, face: Face) {
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
        let drawn = self.backend.draw_text(&escape::one_line(text), &written, at);
        self.note(drawn);
    }

    fn note<E: Error + Send + Sync + 'static>(&mut self, drawn: Result<(), E>) {
        if let Err(error) = drawn {
            self.refused.get_or_insert(PlotError(Box::new(error)));
        }
    }
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
