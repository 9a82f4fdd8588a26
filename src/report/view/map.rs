//! The texts in the plane in which their vectors vary most, coloured by label, mistakes marked.

use super::Axis;
use super::confusion;
use super::contest::Contest;
use crate::report::document::Figure;
use crate::report::escape::{code, text};
use crate::report::number::{counted, percent};
use crate::report::plot::{Drawing, Map, Spot};
use crate::results::Places;
use crate::stats::number;

/// Most labels with a colour of their own.
const COLOURED: usize = 6;

/// The map of the best cell's texts; None where the results keep no places of its vectors.
pub fn figure(contest: &Contest) -> Option<Figure> {
    let labels = contest.slice.labels.len();
    let best = contest.best().filter(|best| !best.right.is_empty() && best.scored.confusion.len() == labels.pow(2))?;
    let vectors = [Axis::Model, Axis::Prompt, Axis::Readout, Axis::Slice];
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
        Some(Spot { x, y, group, right: sample.gold == sample.predicted })
    };
    let spots: Vec<Spot> = plane.indices.iter().zip(&plane.places).filter_map(spot).collect();
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
    let (across, up) = (plane.shares[0], plane.shares[1]);
    Some(Figure {
        file: contest.file("map"),
        alt: format!("Map of {} by label, {wrong} of them answered wrong", counted(spots.len(), "text")),
        caption: format!(
            "Each dot is a text, coloured by its right label; a cross got another one. {} The plane holds {} of the vectors' variance: labels that lie apart here are apart, labels that overlap may still be told apart in the directions that are not drawn. Principal components of the vectors of model {}, prompt {}, readout {}, before calibration.{of_all}{rest}",
            closest(contest, &coloured, &spots),
            percent((across + up).min(1.0)),
            code(best.on(Axis::Model)),
            code(best.on(Axis::Prompt)),
            code(best.on(Axis::Readout)),
        ),
        drawing: Drawing::Map(Map {
            across: format!("first component, {} of the variance", percent(across)),
            up: format!("second, {}", percent(up)),
            names: coloured.iter().map(|label| contest.label(*label).to_owned()).collect(),
            spots,
        }),
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
