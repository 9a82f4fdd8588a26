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

/// Half the height of a name.
const LABEL: i32 = 10;
/// Ways to move a name to each side.
const STEPS: i32 = 6;
/// How far a name is moved rather than hide one spot. Unit: pixels.
const HIDDEN: i32 = 40;

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
        let at = self.scale();
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
                let (at, color) = (at(spot.x, spot.y), spot.group.and_then(|group| INKS.get(group)).copied());
                if spot.right {
                    canvas.dot(at, 3, color.unwrap_or(canvas::RULE), true);
                } else {
                    cross(canvas, at, color.unwrap_or(MUTED));
                }
            }
            self.labels(&at).iter().for_each(|label| label.draw(canvas));
        })
    }

    /// Where each spot is drawn. Unit: pixels of the figure, from its upper left corner.
    pub fn pixels(&self) -> Vec<(i32, i32)> {
        let at = self.scale();
        self.spots.iter().map(|spot| at(spot.x, spot.y)).collect()
    }

    fn scale(&self) -> impl Fn(f64, f64) -> (i32, i32) + use<> {
        let (across, up) = (range(self.spots.iter().map(|spot| spot.x)), range(self.spots.iter().map(|spot| spot.y)));
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        let x = move |value| LEFT + pixel(f64::from(WIDTH - LEFT - RIGHT) * share(value, across));
        let y = move |value| TOP + HEIGHT - pixel(f64::from(HEIGHT) * share(value, up));
        move |across, up| (x(across), y(up))
    }

    /// Each group's name near the middle of its spots: where it hides the fewest of them, and meets no other name.
    fn labels(&self, at: &dyn Fn(f64, f64) -> (i32, i32)) -> Vec<Label<'_>> {
        let middle = |group: usize, of: fn(&Spot) -> f64| {
            let mut values: Vec<f64> = self.spots.iter().filter(|spot| spot.group == Some(group)).map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let drawn: Vec<(i32, i32)> = self.spots.iter().map(|spot| at(spot.x, spot.y)).collect();
        let mut placed: Vec<Label<'_>> = Vec::new();
        for (group, name) in self.names.iter().enumerate() {
            let Some((x, y)) = middle(group, |spot| spot.x).zip(middle(group, |spot| spot.y)).map(|(x, y)| at(x, y)) else {
                continue;
            };
            let width = canvas::text_width(name, SIZE) + 18;
            let moved = |(right, down): (i32, i32)| Label {
                name,
                group,
                x: (x - width / 2 + right).clamp(LEFT, (WIDTH - RIGHT - width).max(LEFT)),
                y: (y + down).clamp(TOP + LABEL, TOP + HEIGHT - LABEL),
                width,
            };
            let cost = |label: &Label<'_>, (right, down): (i32, i32)| {
                let hidden = drawn.iter().filter(|spot| label.hides(**spot)).count();
                let met = placed.iter().filter(|other| label.meets(other)).count();
                (met, canvas::whole(hidden) * HIDDEN + right.abs() + 2 * down.abs())
            };
            let ways = (-STEPS..=STEPS).flat_map(|down| (-STEPS..=STEPS).map(move |right| (24 * right, 8 * down)));
            let best = ways.map(|way| (cost(&moved(way), way), way)).min();
            placed.extend(best.map(|(_, way)| moved(way)));
        }
        placed
    }
}

impl Label<'_> {
    /// Whether any of a spot lies under it.
    fn hides(&self, (x, y): (i32, i32)) -> bool {
        (self.x - 4..=self.x + self.width + 4).contains(&x) && (y - self.y).abs() <= LABEL + 4
    }

    fn meets(&self, other: &Label<'_>) -> bool {
        self.x < other.x + other.width + 6 && other.x < self.x + self.width + 6 && (self.y - other.y).abs() < LEADING
    }

    fn draw(&self, canvas: &mut Canvas) {
        canvas.fill((self.x, self.y - LABEL), (self.x + self.width, self.y + LABEL), PAPER);
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
        // The range of 0 to 1 has 4 % of air on both sides; one that is empty has its middle in the middle.
        assert_eq!(map.pixels()[0], (LEFT + 26, TOP + HEIGHT / 2));
        let labels = map.labels(&|_, _| (100, 100));
        assert!(!labels[0].meets(&labels[1]), "{} {}", labels[0].y, labels[1].y);
        // Spots around the middle leave room on one side.
        let around = |i: i32| Spot { x: f64::from(i % 5), y: f64::from(i / 5), group: Some(0), right: true };
        let full = Map { spots: (0..25).map(around).collect(), names: vec!["新闻".into()], ..map.clone() };
        let label = &full.labels(&|x, y| (300 + pixel(20.0 * x), 200 + pixel(20.0 * y)))[0];
        let hidden = (0..25).filter(|i| label.hides((300 + 20 * (i % 5), 200 + 20 * (i / 5)))).count();
        assert_eq!(hidden, 0, "{} {}", label.x, label.y);
        let empty = Map { spots: Vec::new(), ..map };
        assert!(empty.draw("t").svg().is_ok());
    }
}
