//! Pictures as pixels and as PNG, for places that show no SVG.
//!
//! A renderer of SVG would do the same and takes some fifty crates: our figures are rectangles, lines, circles and text, and
//! coverage comes from `ab_glyph_rasterizer`, outlines from `ttf-parser`. Letters are not joined or turned round: pictures with
//! scripts that need it are refused, and read as SVG.

use std::collections::BTreeSet;

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use plotters::prelude::RGBColor;
use ttf_parser::{Face, OutlineBuilder};

use super::canvas::{Anchor, PAPER, Picture, Shape, Written};
use super::fonts::{FontError, Fonts, glyph, joined};

/// Pixels for each of the figure's: sharp on dense screens.
const SCALE: f32 = 2.0;

/// How far apart bold letters are written twice, of their size.
const BOLD: f32 = 0.035;

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// When the machine's fonts lack a character, or it is of a script whose letters do not stand one after the other.
pub fn png(picture: &Picture) -> Result<Vec<u8>, FontError> {
    let texts = picture.shapes.iter().filter_map(|shape| match shape {
        Shape::Text(written) => Some(written.text.chars()),
        _ => None,
    });
    let characters: BTreeSet<char> = texts.flatten().filter(|c| !c.is_whitespace()).collect();
    let joined = joined(&characters);
    if !joined.is_empty() {
        return Err(FontError::Joined(joined));
    }
    let fonts = Fonts::with(characters)?;
    let faces = fonts.faces();
    let mut page = Page::new(picture.size);
    picture.shapes.iter().for_each(|shape| page.draw(shape, &faces));
    Ok(page.encoded())
}

/// Rows of red, green and blue.
struct Page {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

/// Closed rings of corners; one inside another is a hole when it turns the other way.
#[derive(Default)]
struct Rings(Vec<Vec<Point>>);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "places and colours of a page that is some thousand pixels wide"
)]
impl Page {
    fn new((width, height): (i32, i32)) -> Self {
        let [width, height] = [width, height].map(|side| (side as f32 * SCALE) as usize);
        Self { width, height, pixels: vec![[PAPER.0, PAPER.1, PAPER.2]; width * height] }
    }

    fn draw(&mut self, shape: &Shape, faces: &[Face<'_>]) {
        let at = |(x, y): (i32, i32)| point(x as f32, y as f32);
        match *shape {
            Shape::Fill { from, to, color } => {
                let (a, b) = (at(from), at((to.0 + 1, to.1 + 1)));
                self.fill(&Rings(vec![vec![a, point(b.x, a.y), b, point(a.x, b.y)]]), color);
            }
            Shape::Line { from, to, color, width } => self.fill(&Rings(vec![stroke(at(from), at(to), width as f32)]), color),
            Shape::Dot { center, radius, color, filled } => {
                let (center, radius) = (at(center), radius as f32);
                if filled {
                    self.fill(&Rings(vec![circle(center, radius + 0.5)]), color);
                } else {
                    self.fill(&Rings(vec![circle(center, radius)]), PAPER);
                    let inner: Vec<Point> = circle(center, radius - 1.0).into_iter().rev().collect();
                    self.fill(&Rings(vec![circle(center, radius + 1.0), inner]), color);
                }
            }
            Shape::Text(ref written) => self.write(written, faces),
        }
    }

    /// Covers what lies within the rings. Unit of the corners: pixels of the figure.
    fn fill(&mut self, rings: &Rings, color: RGBColor) {
        let corners = || rings.0.iter().flatten();
        let bounds = |of: fn(&Point) -> f32| {
            let (low, high) = corners().map(of).fold((f32::MAX, f32::MIN), |(low, high), at| (low.min(at), high.max(at)));
            ((low * SCALE).floor().max(0.0) as usize, (high * SCALE).ceil().max(0.0) as usize)
        };
        let ((left, right), (top, bottom)) = (bounds(|corner| corner.x), bounds(|corner| corner.y));
        let (right, bottom) = (right.min(self.width), bottom.min(self.height));
        if left >= right || top >= bottom {
            return;
        }
        let mut raster = Rasterizer::new(right - left, bottom - top);
        let place = |corner: &Point| point(corner.x * SCALE - left as f32, corner.y * SCALE - top as f32);
        for ring in &rings.0 {
            for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                raster.draw_line(place(from), place(to));
            }
        }
        let width = self.width;
        raster.for_each_pixel_2d(|x, y, cover| {
            if let Some(pixel) = self.pixels.get_mut((top + y as usize) * width + left + x as usize) {
                let cover = cover.abs().min(1.0);
                for (value, full) in pixel.iter_mut().zip([color.0, color.1, color.2]) {
                    *value = (f32::from(*value) + (f32::from(full) - f32::from(*value)) * cover).round() as u8;
                }
            }
        });
    }

    fn write(&mut self, written: &Written, faces: &[Face<'_>]) {
        let size = written.face.size as f32;
        let glyphs: Vec<_> = written.text.chars().map(|c| glyph(faces, c)).collect();
        let advance = |found: &Option<(&Face<'_>, ttf_parser::GlyphId)>| {
            found.map_or(0.3 * size, |(face, id)| {
                f32::from(face.glyph_hor_advance(id).unwrap_or(0)) * size / f32::from(face.units_per_em())
            })
        };
        let width: f32 = glyphs.iter().map(advance).sum();
        let upwards = matches!(written.anchor, Anchor::Upwards | Anchor::UpwardsMiddle);
        let mut along = match written.anchor {
            Anchor::Start | Anchor::Upwards => 0.0,
            Anchor::Middle | Anchor::UpwardsMiddle => -width / 2.0,
            Anchor::End => -width,
        };
        let (x, y) = (written.at.0 as f32, written.at.1 as f32);
        for found in glyphs {
            if let Some((face, id)) = found {
                let scale = size / f32::from(face.units_per_em());
                // Capitals and ideographs are centred on the line.
                let place = |px: f32, py: f32| {
                    let (right, up) = (along + px * scale, py * scale - 0.36 * size);
                    if upwards { point(x - up, y - right) } else { point(x + right, y - up) }
                };
                let mut outline = Outline { rings: Rings::default(), last: (0.0, 0.0), place: &place };
                face.outline_glyph(id, &mut outline);
                self.fill(&outline.rings, written.face.color);
                if written.face.bold {
                    let shift = |corner: &Point| {
                        if upwards { point(corner.x, corner.y - BOLD * size) } else { point(corner.x + BOLD * size, corner.y) }
                    };
                    let again = outline.rings.0.iter().map(|ring| ring.iter().map(shift).collect()).collect();
                    self.fill(&Rings(again), written.face.color);
                }
            }
            along += advance(&found);
        }
    }

    /// The file: signature, header, one stream of rows, end.
    fn encoded(&self) -> Vec<u8> {
        let mut rows = Vec::with_capacity((3 * self.width + 1) * self.height);
        for row in self.pixels.chunks(self.width.max(1)) {
            // Each pixel as its difference to the one on its left, which most often is none.
            rows.push(1);
            let mut before = [0; 3];
            for pixel in row {
                rows.extend(pixel.iter().zip(before).map(|(value, before): (&u8, u8)| value.wrapping_sub(before)));
                before = *pixel;
            }
        }
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        // 8 bits of red, green and blue each.
        part(&mut file, *b"IHDR", &[&side(self.width)[..], &side(self.height), &[8, 2, 0, 0, 0]].concat());
        part(&mut file, *b"IDAT", &miniz_oxide::deflate::compress_to_vec_zlib(&rows, 6));
        part(&mut file, *b"IEND", &[]);
        file
    }
}

/// One part of a PNG file: its length, name, content and checksum.
fn part(file: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    file.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    file.extend(name);
    file.extend(content);
    file.extend(crc32fast::hash(&[&name[..], content].concat()).to_be_bytes());
}

/// A line as a rectangle; a straight one covers whole pixels.
fn stroke(from: Point, to: Point, width: f32) -> Vec<Point> {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(1e-6);
    let (x, y) = (-dy / length * width / 2.0, dx / length * width / 2.0);
    vec![point(from.x + x, from.y + y), point(to.x + x, to.y + y), point(to.x - x, to.y - y), point(from.x - x, from.y - y)]
}

fn circle(center: Point, radius: f32) -> Vec<Point> {
    let corner = |step: u8| {
        let turn = f32::from(step) / 32.0 * std::f32::consts::TAU;
        point(center.x + radius * turn.cos(), center.y + radius * turn.sin())
    };
    (0..32).map(corner).collect()
}

/// Collects a glyph's outline; curves become short lines.
struct Outline<'a> {
    rings: Rings,
    last: (f32, f32),
    place: &'a dyn Fn(f32, f32) -> Point,
}

/// Lines that a curve becomes.
const STEPS: u8 = 6;

impl Outline<'_> {
    fn push(&mut self, x: f32, y: f32) {
        self.last = (x, y);
        let corner = (self.place)(x, y);
        if let Some(ring) = self.rings.0.last_mut() {
            ring.push(corner);
        }
    }
}

impl OutlineBuilder for Outline<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        self.rings.0.push(Vec::new());
        self.push(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.push(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (x0, y0) = self.last;
        for step in 1..=STEPS {
            let t = f32::from(step) / f32::from(STEPS);
            let mix = |a: f32, b: f32, c: f32| (1.0 - t) * (1.0 - t) * a + 2.0 * t * (1.0 - t) * b + t * t * c;
            self.push(mix(x0, x1, x), mix(y0, y1, y));
        }
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (x0, y0) = self.last;
        for step in 1..=STEPS {
            let t = f32::from(step) / f32::from(STEPS);
            let u = 1.0 - t;
            let mix =
                |a: f32, b: f32, c: f32, d: f32| u * u * u * a + 3.0 * u * u * t * b + 3.0 * u * t * t * c + t * t * t * d;
            self.push(mix(x0, x1, x2, x), mix(y0, y1, y2, y));
        }
    }

    fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::canvas::BLUE;

    fn picture(shapes: Vec<Shape>) -> Picture {
        Picture { size: (30, 20), title: "t".into(), shapes }
    }

    #[test]
    fn a_picture_has_twice_the_figure_s_size_and_its_colours() {
        let mut page = Page::new((30, 20));
        page.draw(&Shape::Fill { from: (5, 5), to: (9, 9), color: BLUE }, &[]);
        let at = |x: usize, y: usize| page.pixels[y * page.width + x];
        assert_eq!((page.width, page.height), (60, 40));
        assert_eq!([at(9, 12), at(10, 12), at(19, 19), at(20, 19)], [[255; 3], [0, 114, 178], [0, 114, 178], [255; 3]]);
    }

    #[test]
    fn a_picture_that_would_be_wrong_is_not_written() {
        let text = |words: &str| {
            let face = super::super::canvas::Face::plain(BLUE);
            png(&picture(vec![Shape::Text(Written { at: (1, 9), text: words.to_owned(), anchor: Anchor::Start, face })]))
        };
        let told = text("ب a").unwrap_err().to_string();
        assert!(
            told.starts_with("ب (U+0628) would be wrong in a PNG") && told.contains("use the SVG of the same name"),
            "{told}"
        );
        // No font has a letter of the last private plane.
        match text("\u{10fffd}").unwrap_err() {
            FontError::None => eprintln!("SKIPPED: this machine has no fonts"),
            told => assert!(
                told.to_string().starts_with("no font of this machine has \u{10fffd} (U+10FFFD): install one"),
                "{told}"
            ),
        }
    }

    #[test]
    fn a_file_is_what_png_says() {
        let file = png(&picture(vec![Shape::Dot { center: (9, 9), radius: 3, color: BLUE, filled: false }])).unwrap();
        assert_eq!((&file[..8], &file[12..24]), (&b"\x89PNG\r\n\x1a\n"[..], &b"IHDR\0\0\0\x3c\0\0\0\x28"[..]));
        assert!(file.ends_with(b"IEND\xae\x42\x60\x82"));
    }
}
