//! How often answers of a given margin are right.

use super::contest::Contest;
use crate::report::document::Figure;
use crate::report::number::{counted, decimal, percent, score_places};
use crate::report::plot::{Drawing, Ink, Line, Plane, Point, ticks};
use crate::stats::{number, wilson};

/// Answers that a group has at least, and most groups.
const ENOUGH: usize = 20;
const GROUPS: usize = 8;

/// Accuracy of the best cell's answers in groups of equal size, from small margins to large ones; None for fewer than two
/// groups.
pub fn figure(contest: &Contest) -> Option<Figure> {
    let samples = &contest.best()?.scored.samples;
    let mut answers: Vec<(f64, bool)> =
        samples.iter().filter_map(|sample| Some((sample.margin?, sample.gold == sample.predicted))).collect();
    let groups = (answers.len() / ENOUGH).min(GROUPS);
    if groups < 2 {
        return None;
    }
    answers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bounds = |group: usize| group * answers.len() / groups..(group + 1) * answers.len() / groups;
    let points: Vec<Point> = (0..groups).map(|group| point(&answers[bounds(group)])).collect();
    let right = answers.iter().filter(|(_, right)| *right).count();
    let accuracy = number(right) / number(answers.len());
    let (first, last) = (points.first()?, points.last()?);
    let (low, high) = (first.across, last.across);
    let places = score_places(high / 2.0);
    Some(Figure {
        file: contest.file("reliability"),
        alt: format!("Accuracy of the best cell by margin, in {}", counted(groups, "group")),
        caption: format!(
            "Best cell: accuracy against margin, in {groups} groups of about {} by margin, with 95 % intervals. Of the smallest margins {} are right, of the largest {}: a line that rises says that the margin is a measure of confidence.",
            counted(answers.len() / groups, "answer"),
            percent(first.estimate.value),
            percent(last.estimate.value),
        ),
        drawing: Drawing::Plane(Plane {
            across: "mean margin of the group".to_owned(),
            ticks: ticks(low.min(0.0), high, 8).into_iter().map(|tick| (tick, decimal(tick, places))).collect(),
            up: "accuracy, %".to_owned(),
            lines: vec![Line { name: String::new(), ink: Ink::Blue, joined: true, points }],
            level: Some((accuracy, format!("all answers {}", percent(accuracy)))),
        }),
    })
}

fn point(group: &[(f64, bool)]) -> Point {
    let right = group.iter().filter(|(_, right)| *right).count();
    let across = group.iter().map(|(margin, _)| margin).sum::<f64>() / number(group.len().max(1));
    Point { across, estimate: wilson(right, group.len()), name: String::new() }
}
