//! Accuracy against what a text costs, and the cells that nothing cheaper beats.

use super::Axis;
use super::contest::{self, Contest, Entry};
use crate::report::document::Figure;
use crate::report::escape::shorten;
use crate::report::number::{counted, decimal, percent, points};
use crate::report::plot::{Drawing, Ink, Line, Plane, Point, ticks};
use crate::stats::{Estimate, number};

/// All cells of language models by cost, the front of the cheapest best ones named; None when they cost the same.
pub fn figure(contest: &Contest) -> Option<Figure> {
    let sized = sizes_differ(contest);
    let mut cells: Vec<(f64, &Entry)> = contest
        .entries
        .iter()
        .filter(|entry| !entry.floor)
        .filter_map(|entry| Some((cost(contest, entry, sized)?, entry)))
        .collect();
    cells.sort_by(|a, b| {
        a.0.total_cmp(&b.0).then(b.1.accuracy.value.total_cmp(&a.1.accuracy.value)).then(a.1.order.cmp(&b.1.order))
    });
    let (low, high) = (cells.first()?.0, cells.last()?.0);
    if high - low < 0.02 * high {
        return None;
    }
    let mut front: Vec<(f64, &Entry)> = Vec::new();
    for &(cost, entry) in &cells {
        if front.last().is_none_or(|(_, best)| entry.accuracy.value > best.accuracy.value) {
            front.push((cost, entry));
        }
    }
    let others = cells.iter().filter(|(_, entry)| front.iter().all(|(_, best)| best.order != entry.order));
    let places = usize::from(high < 10.0);
    let lines = vec![
        line(Ink::Muted, false, others.map(|&(cost, entry)| point(cost, entry, String::new())).collect()),
        line(Ink::Blue, true, front.iter().map(|&(cost, entry)| point(cost, entry, name(contest, entry))).collect()),
    ];
    let across = if sized { "cost of a text: parameters times tokens, in billions" } else { "tokens of a text, mean" };
    Some(Figure {
        file: contest.file("cost"),
        alt: format!("Accuracy of {} against cost", counted(cells.len(), "cell")),
        caption: format!(
            "Accuracy against cost, counted in {}. Blue: the {} that no cheaper cell beats on these texts, picked on them too; differences between neighbours may be noise.{}",
            if sized { "parameters times tokens of a rendered text" } else { "tokens of a rendered text" },
            counted(front.len(), "cell"),
            rise(&front),
        ),
        drawing: Drawing::Plane(Plane {
            across: across.to_owned(),
            ticks: ticks(low, high, 8).into_iter().map(|tick| (tick, decimal(tick, places))).collect(),
            up: "accuracy, %".to_owned(),
            lines,
            level: contest
                .floor()
                .map(|floor| (floor.accuracy.value, format!("lexical floor {}", percent(floor.accuracy.value)))),
        }),
    })
}

/// What the dearest cell of the front gains over the cheapest.
fn rise(front: &[(f64, &Entry)]) -> String {
    let [(low, cheap), .., (high, dear)] = front else { return String::new() };
    let gain = points(dear.accuracy.value - cheap.accuracy.value);
    format!(
        " From its cheapest to its dearest cell accuracy rises by {gain} points for {} times the cost.",
        decimal(high / low.max(1e-12), 1)
    )
}

/// Whether language models of different sizes compete, so that tokens alone are no measure.
fn sizes_differ(contest: &Contest) -> bool {
    let mut sizes: Vec<u64> =
        contest.entries.iter().filter(|entry| !entry.floor).filter_map(|entry| parameters(contest, entry)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.len() > 1
}

fn parameters(contest: &Contest, entry: &Entry) -> Option<u64> {
    let model = contest.run.provenance.models.iter().find(|model| model.id == entry.on(Axis::Model))?;
    (model.parameters > 0).then_some(model.parameters)
}

/// Mean tokens of a text, times the model's parameters in billions where sizes differ; None where that is unknown.
#[expect(clippy::cast_precision_loss, reason = "a number for a figure")]
fn cost(contest: &Contest, entry: &Entry, sized: bool) -> Option<f64> {
    let samples = &entry.scored.samples;
    let tokens: usize = samples.iter().map(|sample| sample.tokens).sum();
    let mean = (!samples.is_empty()).then(|| number(tokens) / number(samples.len()))?;
    if sized { Some(mean * parameters(contest, entry)? as f64 / 1e9) } else { Some(mean) }
}

fn line(ink: Ink, joined: bool, points: Vec<Point>) -> Line {
    Line { name: String::new(), ink, joined, points }
}

fn point(across: f64, entry: &Entry, name: String) -> Point {
    let interval = entry.accuracy.interval.filter(|_| !name.is_empty());
    Point { across, estimate: Estimate { interval, ..entry.accuracy }, name }
}

/// What a cost follows from: model and prompt.
fn name(contest: &Contest, entry: &Entry) -> String {
    let models = |axis: Axis| contest::distinct(contest.entries.iter().filter(|entry| !entry.floor), axis).len();
    let axes = [Axis::Model, Axis::Prompt].into_iter().filter(|axis| models(*axis) > 1);
    axes.map(|axis| shorten(entry.on(axis), 20)).collect::<Vec<_>>().join(" · ")
}
