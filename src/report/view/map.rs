//! The texts in the plane in which their vectors vary most, coloured by label, mistakes marked.

use super::Axis;
use super::confusion;
use super::contest::{Contest, Entry};
use crate::report::document::Figure;
use crate::report::escape::{code, text};
use crate::report::number::{counted, percent};
use crate::report::plot::{Drawing, Map, Spot};
use crate::results::Places;
use crate::spec::PLAIN;
use crate::stats::number;

/// Most labels with a colour of their own.
const COLOURED: usize = 6;

/// The best cell's texts in the plane.
pub struct Chart<'c, 'a> {
    pub best: &'c Entry<'a>,
    pub file: String,
    pub map: Map,
    /// Place in the slice of each spot's text.
    pub indices: Vec<usize>,
    /// Labels that have a colour.
    coloured: Vec<usize>,
    shares: [f64; 2],
}

impl<'c, 'a> Chart<'c, 'a> {
    /// None where the results keep no places of the vectors of the best cell.
    pub fn of(contest: &'c Contest<'a>) -> Option<Self> {
        let labels = contest.slice.labels.len();
        let best = contest.best().filter(|best| !best.right.is_empty() && best.scored.confusion.len() == labels.pow(2))?;
        let vectors = [Axis::Model, Axis::Prompt, Axis::Readout, Axis::Transform, Axis::Slice];
        let same = |plane: &&Places| {
            let cell = contest.run.cells.iter().find(|cell| cell.id == plane.cell);
            cell.is_some_and(|cell| vectors.iter().all(|axis| cell.choices.on(*axis) == best.cell.choices.on(*axis)))
        };
        let plane = contest.run.places.iter().find(same)?;
        let mut coloured = confusion::hardest(contest, best, COLOURED);
        if labels <= COLOURED {
            coloured = (0..labels).collect();
        }
        let spot = |(&index, &[x, y]): (&usize, &[f64; 2])| {
            let sample = best.scored.samples.get(index)?;
            let group = coloured.iter().position(|label| *label == sample.gold);
            Some((index, Spot { x, y, group, right: sample.gold == sample.predicted }))
        };
        let (indices, spots) = plane.indices.iter().zip(&plane.places).filter_map(spot).unzip();
        let [across, up] = plane.shares;
        let map = Map {
            across: format!("first component, {} of the variance", percent(across)),
            up: format!("second, {}", percent(up)),
            names: coloured.iter().map(|label| contest.label(*label).to_owned()).collect(),
            spots,
        };
        Some(Self { best, file: contest.file("map"), map, indices, coloured, shares: plane.shares })
    }
}

/// The map of the best cell's texts.
pub fn figure(contest: &Contest) -> Option<Figure> {
    let Chart { best, file, map, coloured, shares, .. } = Chart::of(contest)?;
    let (labels, spots) = (contest.slice.labels.len(), &map.spots);
    let wrong = spots.iter().filter(|spot| !spot.right).count();
    let of_all = match contest.samples.len() {
        all if all > spots.len() => format!(" {} of {all} texts, at equal steps.", spots.len()),
        _ => String::new(),
    };
    let rest = if coloured.len() < labels {
        format!(" Coloured: the {} of {labels} labels with most errors.", coloured.len())
    } else {
        String::new()
    };
    let transform = match best.on(Axis::Transform) {
        PLAIN => String::new(),
        transform => format!(", transform {}", code(transform)),
    };
    Some(Figure {
        alt: format!("Map of {} by label, {wrong} of them answered wrong", counted(spots.len(), "text")),
        caption: format!(
            "Each dot is a text, coloured by its right label; a cross got another one. {} The plane holds {} of the vectors' variance: labels that lie apart here are apart, labels that overlap may still be told apart in the directions that are not drawn. Principal components of the vectors of model {}, prompt {}, readout {}{transform}, before calibration.{of_all}{rest}",
            closest(contest, &coloured, spots),
            percent((shares[0] + shares[1]).min(1.0)),
            code(best.on(Axis::Model)),
            code(best.on(Axis::Prompt)),
            code(best.on(Axis::Readout)),
        ),
        file,
        drawing: Drawing::Map(map),
    })
}

/// The two labels whose texts lie nearest each other, measured by how far each label's own texts are spread.
fn closest(contest: &Contest, coloured: &[usize], spots: &[Spot]) -> String {
    let centre = |group: usize| {
        let own: Vec<&Spot> = spots.iter().filter(|spot| spot.group == Some(group)).collect();
        let n = number(own.len().max(1));
        let mean = [own.iter().map(|spot| spot.x).sum::<f64>() / n, own.iter().map(|spot| spot.y).sum::<f64>() / n];
        let spread = own.iter().map(|spot| (spot.x - mean[0]).powi(2) + (spot.y - mean[1]).powi(2)).sum::<f64>() / n;
        (own.len() > 1).then_some((mean, spread))
    };
    let centres: Vec<Option<([f64; 2], f64)>> = (0..coloured.len()).map(centre).collect();
    let mut nearest: Option<(f64, usize, usize)> = None;
    for (a, one) in centres.iter().enumerate() {
        for (b, other) in centres.iter().enumerate().skip(a + 1) {
            let (Some((p, of_p)), Some((q, of_q))) = (one, other) else { continue };
            let apart = ((p[0] - q[0]).hypot(p[1] - q[1])) / (of_p + of_q).sqrt().max(1e-12);
            if nearest.is_none_or(|(least, ..)| apart < least) {
                nearest = Some((apart, a, b));
            }
        }
    }
    nearest.map_or(String::new(), |(_, a, b)| {
        format!(
            "Nearest each other, by their own spread: {} and {}.",
            text(contest.label(coloured[a])),
            text(contest.label(coloured[b]))
        )
    })
}
