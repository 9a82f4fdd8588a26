//! The figures of a report as SVG and PNG, one file per kind, over one small canvas.

mod bars;
mod canvas;
mod confusion;
mod dots;
mod fonts;
mod grid;
mod histogram;
mod map;
mod plane;
mod raster;
mod scatter;

pub use bars::{Bar, Bars};
pub use canvas::{Picture, PlotError, ticks};
pub use confusion::Confusion;
pub use dots::{Dot, Dots, Mark, Tone, Unit};
pub use fonts::FontError;
pub use grid::{Grid, Panel};
pub use histogram::Histogram;
pub use map::{Map, Spot};
pub use plane::{Ink, Line, Plane, Point};
pub use raster::png;
pub use scatter::Scatter;

/// Width of every figure. Unit: pixels at scale 1, the width of a report's text.
pub const WIDTH: i32 = 760;

/// Data of a figure, ready to be drawn.
#[derive(Clone, Debug)]
pub enum Drawing {
    Bars(Bars),
    Dots(Dots),
    Grid(Grid),
    Confusion(Confusion),
    Histogram(Histogram),
    Map(Map),
    Plane(Plane),
    Scatter(Scatter),
}

/// The drawing laid out; its accessible name is `title`.
pub fn picture(drawing: &Drawing, title: &str) -> Picture {
    match drawing {
        Drawing::Bars(bars) => bars.draw(title),
        Drawing::Dots(dots) => dots.draw(title),
        Drawing::Grid(grid) => grid.draw(title),
        Drawing::Confusion(confusion) => confusion.draw(title),
        Drawing::Histogram(histogram) => histogram.draw(title),
        Drawing::Map(map) => map.draw(title),
        Drawing::Plane(plane) => plane.draw(title),
        Drawing::Scatter(scatter) => scatter.draw(title),
    }
}
