//! Accuracy by the layer that is read, where a run reads several.

use super::Axis;
use super::contest::{Contest, Entry};
use crate::report::document::Figure;
use crate::report::escape::{code, shorten};
use crate::report::number::{counted, percent, points as points_of};
use crate::report::plot::{Drawing, Ink, Line, Plane, Point};
use crate::results::ReadoutRecord;
use crate::stats::number;

/// Ticks that have room beside each other.
const TICKS: usize = 14;

/// Accuracy against layer for the prompts with the best cells, all else as in the best cell; None with one layer.
pub fn figure(contest: &Contest) -> Option<Figure> {
    let anchor = contest.best_model().or(contest.best())?;
    let read = readout(contest, anchor)?;
    let alike = |other: &ReadoutRecord| {
        (&other.pool, other.span, other.norm, other.dim, other.normalize)
            == (&read.pool, read.span, read.norm, read.dim, read.normalize)
    };
    let same = [Axis::Model, Axis::Labels, Axis::Calibration];
    let mut points: Vec<(&str, usize, &Entry)> = contest
        .entries
        .iter()
        .filter(|entry| same.iter().all(|axis| entry.on(*axis) == anchor.on(*axis)))
        .filter(|entry| readout(contest, entry).is_some_and(alike))
        .filter_map(|entry| Some((entry.on(Axis::Prompt), state(contest, entry)?, entry)))
        .collect();
    let mut layers: Vec<usize> = points.iter().map(|(_, layer, _)| *layer).collect();
    layers.sort_unstable();
    layers.dedup();
    if layers.len() < 2 {
        return None;
    }
    // The entries come best first, and so do the prompts.
    let mut prompts: Vec<&str> = Vec::new();
    points.iter().for_each(|(prompt, ..)| {
        if !prompts.contains(prompt) {
            prompts.push(prompt);
        }
    });
    prompts.truncate(Ink::IN_ORDER.len());
    points.sort_by_key(|(_, layer, entry)| (*layer, entry.order));
    let line = |(prompt, ink): (&&str, Ink)| Line {
        name: shorten(prompt, 24),
        ink,
        joined: true,
        points: points.iter().filter(|(own, ..)| own == prompt).map(|(_, layer, entry)| point(*layer, entry)).collect(),
    };
    Some(Figure {
        file: contest.file("layers"),
        alt: format!("Accuracy by layer, {}", counted(layers.len(), "layer")),
        caption: format!(
            "Accuracy by the layer that is read, for model {}, labels {}, calibration {} and pooling {}, with 95 % intervals. Layers are hidden states counted from 0, the embeddings.{}",
            code(anchor.on(Axis::Model)),
            code(anchor.on(Axis::Labels)),
            code(anchor.on(Axis::Calibration)),
            code(&read.pool),
            prompts.first().map_or(String::new(), |prompt| highest(prompt, &points)),
        ),
        drawing: Drawing::Plane(Plane {
            across: "layer".to_owned(),
            ticks: (layers.iter().step_by(layers.len().div_ceil(TICKS)))
                .map(|layer| (number(*layer), layer.to_string()))
                .collect(),
            up: "accuracy, %".to_owned(),
            lines: prompts.iter().zip(Ink::IN_ORDER).map(line).collect(),
            level: None,
        }),
    })
}

/// The best layer of a prompt, held against the last one that is read.
fn highest(prompt: &str, points: &[(&str, usize, &Entry)]) -> String {
    let mut own = points.iter().filter(|(known, ..)| *known == prompt).map(|(_, layer, entry)| (*layer, entry.accuracy.value));
    let top = own.clone().reduce(|a, b| if b.1 > a.1 { b } else { a });
    let (Some((best, value)), Some((last, of_last))) = (top, own.next_back()) else { return String::new() };
    let told = format!(" For {} it is highest at layer {best} ({})", code(prompt), percent(value));
    if best == last {
        return format!("{told}, the last one read.");
    }
    format!("{told}, {} points over layer {last}; picked on these texts.", points_of(value - of_last))
}

fn readout<'a>(contest: &Contest<'a>, entry: &Entry) -> Option<&'a ReadoutRecord> {
    contest.run.provenance.readouts.iter().find(|readout| readout.id == entry.on(Axis::Readout))
}

/// The hidden state that a cell reads, counted from 0.
fn state(contest: &Contest, entry: &Entry) -> Option<usize> {
    let model = contest.run.provenance.models.iter().find(|model| model.id == entry.on(Axis::Model))?;
    model.layers.get(entry.on(Axis::Readout)).copied()
}

fn point(layer: usize, entry: &Entry) -> Point {
    Point { across: number(layer), estimate: entry.accuracy, name: String::new() }
}
