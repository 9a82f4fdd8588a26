//! One cell against another on the same samples, corrected for how the cell was found.

use super::contest::{Contest, Entry};
use crate::report::escape::{code, text};
use crate::report::number::{counted, p_value, points, points_estimate, points_range};
use crate::results::CellRecord;
use crate::stats::{Correction, PairedDifference};

/// Differences less likely than this under chance alone are not called noise.
pub const ALPHA: f64 = 0.05;

/// What is to be doubted of a cell's intervals, one sentence for each reason.
pub fn doubts(cell: &CellRecord) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for row in cell.metrics().iter().filter(|row| row.estimate.is_some()) {
        let Some(reason) = row.reason.as_deref() else { continue };
        let name = row.label.as_ref().map_or(code(&row.name), |label| format!("{} of {}", code(&row.name), text(label)));
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    reasons.into_iter().map(|(reason, names)| format!("Do not trust how sure {} looks: {reason}.", names.join(", "))).collect()
}

/// Behind a semicolon, from where on half of some comparisons could have told differences from noise, given for each its smallest; nothing
/// where none could.
pub fn could_tell(mut smallest: Vec<f64>) -> String {
    smallest.sort_by(f64::total_cmp);
    let middle = smallest.get(smallest.len().saturating_sub(1) / 2);
    let which = if smallest.len() > 1 { "half of them" } else { "it" };
    middle.map_or(String::new(), |least| {
        format!("; {which} could tell differences from {} points on", points(*least).trim_start_matches('+'))
    })
}

/// A paired difference and how far it may be trusted.
pub struct Comparison {
    pub pair: PairedDifference,
    /// Exact `McNemar`; corrected when the cell was picked on the samples it is compared on.
    pub p: f64,
    /// The correction, and the comparisons that it is over.
    pub family: Option<(Correction, usize)>,
}

impl Comparison {
    /// `entry` minus `other`; None without predictions.
    ///
    /// A cell that was picked on these very samples may have won by luck, so its p-value is corrected over all cells that
    /// could have been picked. A cell chosen on a dev slice is compared once and needs no correction.
    pub fn of(contest: &Contest, entry: &Entry, other: &Entry) -> Option<Self> {
        let pair = entry.against(other)?;
        let rivals = contest.entries.iter().filter(|rival| rival.cell.id != other.cell.id);
        let known: Vec<(&str, f64)> =
            rivals.filter_map(|rival| Some((rival.cell.id.as_str(), rival.against(other)?.p_value))).collect();
        if contest.chosen_on.is_some() || known.len() < 2 {
            return Some(Self { pair, p: pair.p_value, family: None });
        }
        let raw: Vec<f64> = known.iter().map(|(_, p)| *p).collect();
        let place = known.iter().position(|(id, _)| *id == entry.cell.id)?;
        let correction = contest.run.provenance.correction;
        let p = correction.adjust(&raw).get(place).copied()?;
        Some(Self { pair, p, family: Some((correction, raw.len())) })
    }

    pub fn is_clear(&self) -> bool {
        self.p < ALPHA
    }

    /// `p = 0.013 after Holm over 23 comparisons`
    pub fn chance(&self) -> String {
        let family = self.family.map_or(String::new(), |(correction, n)| {
            format!(" after {} over {}", correction.title(), counted(n, "comparison"))
        });
        format!("{}{family}", p_value(self.p))
    }

    /// `95 % interval +4.2 to +12.0 points, p = 0.013`
    pub fn evidence(&self) -> String {
        let range = self.pair.difference.interval;
        let range = range.map_or(String::new(), |interval| format!("95 % interval {} points, ", points_range(interval)));
        format!("{range}{}", self.chance())
    }

    /// `+6.5 [−1.2, +13.8]`
    pub fn difference(&self) -> String {
        points_estimate(&self.pair.difference)
    }
}
