//! Places in a plane by group: dots for what is right, crosses for what is wrong, names where groups lie.

use plotters::prelude::RGBColor;

use super::WIDTH;
use super::canvas::{self, Anchor, BLUE, Canvas, Face, GREEN, INK, MUTED, ORANGE, PAPER, PURPLE, Picture, SIZE, SKY, pixel};

/// Spots and the names of their groups.
#[derive(Clone, Debug)]
pub struct Map {
    pub across: String,
    pub up: String,
    pub names: Vec<String>,
    pub spots: Vec<Spot>,
}

/// One spot.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    pub x: f64,
    pub y: f64,
    /// None is drawn grey, below all others.
    pub group: Option<usize>,
    pub right: bool,
}

/// In the order of groups; told apart with any colour vision.
const INKS: [RGBColor; 6] = [BLUE, ORANGE, GREEN, PURPLE, SKY, INK];

const LEFT: i32 = 34;
const RIGHT: i32 = 16;
const TOP: i32 = 14;
const HEIGHT: i32 = 430;
/// Least distance of two names, from middle to middle.
const LEADING: i32 = 20;

/// A name with the middle of its line and its width.
struct Label<'a> {
    name: &'a str,
    group: usize,
    x: i32,
    y: i32,
    width: i32,
}

impl Map {
    pub(super) fn draw(&self, title: &str) -> Picture {
        let (across, up) = (range(self.spots.iter().map(|spot| spot.x)), range(self.spots.iter().map(|spot| spot.y)));
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        let x = |value: f64| LEFT + pixel(f64::from(WIDTH - LEFT - RIGHT) * share(value, across));
        let y = |value: f64| TOP + HEIGHT - pixel(f64::from(HEIGHT) * share(value, up));
        let mut order: Vec<&Spot> = self.spots.iter().collect();
        // Mistakes stand above what is right, and groups above what has none.
        order.sort_by_key(|spot| (spot.group.is_some(), !spot.right));
        canvas::draw(title, (WIDTH, TOP + HEIGHT + 30), |canvas| {
            canvas.text(
                (i32::midpoint(LEFT, WIDTH - RIGHT), TOP + HEIGHT + 18),
                &self.across,
                Anchor::Middle,
                Face::small(MUTED),
            );
            canvas.text((12, TOP + HEIGHT / 2), &self.up, Anchor::UpwardsMiddle, Face::small(MUTED));
            for spot in order {
                let (at, color) = ((x(spot.x), y(spot.y)), spot.group.and_then(|group| INKS.get(group)).copied());
                if spot.right {
                    canvas.dot(at, 3, color.unwrap_or(canvas::RULE), true);
                } else {
                    cross(canvas, at, color.unwrap_or(MUTED));
                }
            }
            self.labels(&x, &y).iter().for_each(|label| label.draw(canvas));
        })
    }

    /// Each group's name at the middle of its spots, moved down where it would meet another.
    fn labels(&self, x: &dyn Fn(f64) -> i32, y: &dyn Fn(f64) -> i32) -> Vec<Label<'_>> {
        let middle = |group: usize, of: fn(&Spot) -> f64| {
            let mut values: Vec<f64> = self.spots.iter().filter(|spot| spot.group == Some(group)).map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let label = |(group, name): (usize, &'_ String)| -> Option<(usize, i32, i32, i32)> {
            let width = canvas::text_width(name, SIZE) + 18;
            let at = x(middle(group, |spot| spot.x)?) - width / 2;
            Some((group, at.clamp(LEFT, (WIDTH - RIGHT - width).max(LEFT)), y(middle(group, |spot| spot.y)?), width))
        };
        let mut found: Vec<(usize, i32, i32, i32)> = self.names.iter().enumerate().filter_map(label).collect();
        found.sort_by_key(|&(group, _, y, _)| (y, group));
        let mut placed: Vec<Label<'_>> = Vec::new();
        for (group, x, mut y, width) in found {
            while placed
                .iter()
                .any(|other| x < other.x + other.width + 6 && other.x < x + width + 6 && (y - other.y).abs() < LEADING)
            {
                y += 4;
            }
            placed.push(Label { name: &self.names[group], group, x, y: y.min(TOP + HEIGHT - 8), width });
        }
        placed
    }
}

impl Label<'_> {
    fn draw(&self, canvas: &mut Canvas) {
        canvas.fill((self.x, self.y - 10), (self.x + self.width, self.y + 10), PAPER);
        canvas.dot((self.x + 8, self.y), 5, INKS[self.group % INKS.len()], true);
        canvas.text((self.x + 17, self.y), self.name, Anchor::Start, Face::bold(INK));
    }
}

fn cross(canvas: &mut Canvas, (x, y): (i32, i32), color: RGBColor) {
    canvas.line((x - 4, y - 4), (x + 4, y + 4), color, 2);
    canvas.line((x - 4, y + 4), (x + 4, y - 4), color, 2);
}

/// All values with some air; never empty.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
    if low < high { (low - 0.04 * (high - low), high + 0.04 * (high - low)) } else { (-1.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_crosses_and_names_keep_apart() {
        let spot = |x, group, right| Spot { x, y: 0.0, group: Some(group), right };
        let map = Map {
            across: "a".into(),
            up: "b".into(),
            names: vec!["新闻".into(), "求职".into()],
            spots: vec![spot(0.0, 0, true), spot(0.1, 1, true), spot(1.0, 1, false)],
        };
        let svg = map.draw("t").svg().unwrap();
        // Two dots, and one before each name; a cross is two lines.
        assert_eq!((svg.matches("<circle").count(), svg.matches("<line").count()), (4, 2));
        let labels = map.labels(&|_| 100, &|_| 100);
        assert!((labels[0].y - labels[1].y).abs() >= LEADING, "{} {}", labels[0].y, labels[1].y);
        let empty = Map { spots: Vec::new(), ..map };
        assert!(empty.draw("t").svg().is_ok());
    }
}
