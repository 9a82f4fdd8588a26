//! What calibration does to each combination of the other choices, as paired slopes.

use super::Axis;
use super::contest::{AXES, Contest, Entry};
use crate::report::document::Figure;
use crate::report::escape::{code, shorten};
use crate::report::number::{counted, points};
use crate::report::plot::{Drawing, Ink, Line, Plane, Point};
use crate::stats::{Estimate, number};

/// Lines that are named: those that end highest.
const NAMED: usize = 3;

/// One line for each combination that has every calibration; None with fewer than two of either.
pub fn figure(contest: &Contest) -> Option<Figure> {
    let calibrations = contest.choices(Axis::Calibration);
    let (first, last) = (calibrations.first()?, calibrations.last().filter(|_| calibrations.len() > 1)?);
    let paths = paths(contest, &calibrations);
    let gain = |path: &[&Entry]| Some(path.last()?.accuracy.value - path.first()?.accuracy.value);
    let gains: Vec<f64> = paths.iter().filter_map(|path| gain(path)).collect();
    if gains.len() < 2 {
        return None;
    }
    let mut ends: Vec<f64> = paths.iter().filter_map(|path| Some(path.last()?.accuracy.value)).collect();
    ends.sort_by(|a, b| b.total_cmp(a));
    let least = ends.get(NAMED - 1).or(ends.last()).copied().unwrap_or(0.0);
    let line = |path: &Vec<&Entry>| Line {
        name: if path.last().is_some_and(|end| end.accuracy.value >= least) { name(contest, path) } else { String::new() },
        ink: if gain(path).is_some_and(|gain| gain < 0.0) { Ink::Orange } else { Ink::Blue },
        joined: true,
        points: (0..).zip(path).map(|(place, entry)| point(place, entry)).collect(),
    };
    let better = gains.iter().filter(|gain| **gain > 0.0).count();
    let mean = gains.iter().sum::<f64>() / number(gains.len());
    Some(Figure {
        file: contest.file("calibrations"),
        alt: format!("Accuracy of {} under each calibration", counted(paths.len(), "combination")),
        caption: format!(
            "Each line is one combination of the other choices under each calibration; orange ends lower than it begins. From {} to {} accuracy rises in {better} of {}, by {} points on average.",
            code(first),
            code(last),
            counted(paths.len(), "combination"),
            points(mean)
        ),
        drawing: Drawing::Plane(Plane {
            across: "calibration".to_owned(),
            ticks: (0..).map(f64::from).zip(calibrations.iter().map(|id| shorten(id, 24))).collect(),
            up: "accuracy, %".to_owned(),
            lines: paths.iter().map(line).collect(),
            level: None,
        }),
    })
}

/// The cells of each combination, one for each calibration, in plan order.
fn paths<'e, 'a>(contest: &'e Contest<'a>, calibrations: &[&str]) -> Vec<Vec<&'e Entry<'a>>> {
    let others = || AXES.into_iter().filter(|axis| *axis != Axis::Calibration);
    let find = |start: &Entry, calibration: &str| {
        let fits = |entry: &&Entry| {
            entry.on(Axis::Calibration) == calibration && others().all(|axis| entry.on(axis) == start.on(axis))
        };
        contest.entries.iter().find(fits)
    };
    let first = |entry: &&Entry| Some(&entry.on(Axis::Calibration)) == calibrations.first();
    // As in the means by choice, the floor counts only when there is nothing else.
    let counts = |entry: &&Entry| !entry.floor || contest.best_model().is_none();
    let mut starts: Vec<&Entry> = contest.entries.iter().filter(first).filter(counts).collect();
    starts.sort_by_key(|entry| entry.order);
    starts.into_iter().filter_map(|start| calibrations.iter().map(|id| find(start, id)).collect()).collect()
}

fn name(contest: &Contest, path: &[&Entry]) -> String {
    let axes: Vec<Axis> = contest.varying().into_iter().filter(|axis| *axis != Axis::Calibration).collect();
    path.last().map_or(String::new(), |end| axes.iter().map(|axis| shorten(end.on(*axis), 14)).collect::<Vec<_>>().join(" · "))
}

/// Without its interval: lines are paired, and the intervals of single cells are not.
fn point(place: u32, entry: &Entry) -> Point {
    let estimate = Estimate { interval: None, ..entry.accuracy };
    Point { across: f64::from(place), estimate, name: String::new() }
}
