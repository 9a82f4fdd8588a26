//! Whether the margin between best and second-best score tells right answers from wrong ones.

use super::contest::{Contest, Entry};
use crate::report::document::{Block, Figure};
use crate::report::number::{counted, decimal, percent, score_places};
use crate::report::plot::{Drawing, Histogram};
use crate::stats::number;

/// Fewest answers of either kind for which a threshold says anything.
const ENOUGH: usize = 5;

/// A margin from which on answers are taken for right.
struct Threshold {
    margin: f64,
    /// Answers with at least this margin, and how many of them are right.
    above: usize,
    above_right: usize,
    below: usize,
    below_right: usize,
}

pub fn blocks(contest: &Contest) -> Vec<Block> {
    let Some(best) = contest.best() else { return vec![Block::Paragraph("No cell has a score.".to_owned())] };
    let (right, wrong) = split(best);
    if right.is_empty() && wrong.is_empty() {
        return vec![Block::Paragraph("The best cell has no margins: they take two labels and stored predictions.".to_owned())];
    }
    let highest = right.iter().chain(&wrong).copied().fold(0.0, f64::max);
    let places = score_places(highest / 2.0);
    let threshold = threshold(&right, &wrong);
    let figure = Figure {
        file: contest.file("margins"),
        alt: "Histogram of margins of right and wrong answers of the best cell".to_owned(),
        caption: format!(
            "Best cell: margins (best minus second-best score) of right answers, above, and of wrong ones, below.{}",
            overlap(&right, &wrong)
        ),
        drawing: Drawing::Histogram(Histogram {
            axis: "margin: best minus second-best score".to_owned(),
            threshold: threshold.as_ref().map(|found| (found.margin, format!("margin {}", decimal(found.margin, places)))),
            places,
            names: [format!("{} right", counted(right.len(), "text")), format!("{} wrong", counted(wrong.len(), "text"))],
            low: 0.0,
            above: right.clone(),
            below: wrong.clone(),
        }),
    };
    vec![Block::Paragraph(sentence(&right, &wrong, threshold.as_ref(), places)), Block::Figure(figure)]
}

/// How many wrong answers look as sure as a right one usually does.
fn overlap(right: &[f64], wrong: &[f64]) -> String {
    let sorted = sorted(right);
    let Some(median) = sorted.get(sorted.len() / 2).filter(|_| !wrong.is_empty()) else { return String::new() };
    let sure = wrong.iter().filter(|margin| **margin >= *median).count();
    format!(
        " {} of the wrong answers have a margin that half of the right ones do not reach.",
        percent(number(sure) / number(wrong.len()))
    )
}

fn split(entry: &Entry) -> (Vec<f64>, Vec<f64>) {
    let of = |wanted: bool| {
        let samples = entry.scored.samples.iter().filter(|sample| (sample.gold == sample.predicted) == wanted);
        samples.filter_map(|sample| sample.margin).filter(|margin| margin.is_finite()).collect()
    };
    (of(true), of(false))
}

fn sentence(right: &[f64], wrong: &[f64], threshold: Option<&Threshold>, places: usize) -> String {
    let Some(found) = threshold else {
        let (fewer, rarer) = if wrong.len() < right.len() { (wrong.len(), "wrong") } else { (right.len(), "right") };
        return format!(
            "With {fewer} {rarer} of {} there is no telling what margin would separate right from wrong.",
            counted(right.len() + wrong.len(), "answer")
        );
    };
    let order = separation(right, wrong);
    let reading =
        if order < 0.6 { "the margin hardly tells right from wrong" } else { "the margin is a usable measure of confidence" };
    let share = |part: usize, whole: usize| if whole == 0 { "none".to_owned() } else { percent(number(part) / number(whole)) };
    format!(
        "A margin of {} separates best: {} of the {} at or above it are right, {} of the {} below it (chosen on these same texts, so an oracle's value). \
         A right answer has the larger margin in {} of pairs of a right and a wrong one (AUC; 50 % is no information): {reading}.",
        decimal(found.margin, places),
        share(found.above_right, found.above),
        counted(found.above, "answer"),
        share(found.below_right, found.below),
        found.below,
        percent(order),
    )
}

/// The threshold with the largest sum of "right answers at or above" and "wrong answers below" shares (Youden); the
/// smallest such margin. None with fewer than [`ENOUGH`] right or wrong answers.
fn threshold(right: &[f64], wrong: &[f64]) -> Option<Threshold> {
    if right.len().min(wrong.len()) < ENOUGH {
        return None;
    }
    let (right, wrong) = (sorted(right), sorted(wrong));
    let mut best: Option<(f64, Threshold)> = None;
    for &margin in &right {
        let below_right = right.partition_point(|other| *other < margin);
        let below_wrong = wrong.partition_point(|other| *other < margin);
        let gain = number(right.len() - below_right) / number(right.len()) + number(below_wrong) / number(wrong.len());
        if best.as_ref().is_none_or(|(most, _)| gain > *most) {
            let above_right = right.len() - below_right;
            let above = above_right + wrong.len() - below_wrong;
            best = Some((gain, Threshold { margin, above, above_right, below: below_right + below_wrong, below_right }));
        }
    }
    best.map(|(_, threshold)| threshold)
}

/// The share of pairs of a right and a wrong answer in which the right one has the larger margin; ties count half.
fn separation(right: &[f64], wrong: &[f64]) -> f64 {
    let wrong = sorted(wrong);
    let wins = |margin: &f64| {
        let below = wrong.partition_point(|other| other < margin);
        let level = wrong.partition_point(|other| other <= margin) - below;
        number(below) + number(level) / 2.0
    };
    right.iter().map(wins).sum::<f64>() / (number(right.len()) * number(wrong.len()))
}

fn sorted(margins: &[f64]) -> Vec<f64> {
    let mut sorted = margins.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_parts_what_can_be_parted() {
        let found = threshold(&[0.3, 0.4, 0.5, 0.6, 0.1], &[0.05, 0.2, 0.01, 0.02, 0.2]).unwrap();
        assert_eq!((found.margin, found.above, found.above_right, found.below, found.below_right), (0.3, 4, 4, 6, 1));
        assert!(threshold(&[0.1; 9], &[0.2; 4]).is_none());
    }

    #[test]
    fn separation_counts_pairs() {
        assert!((separation(&[0.3, 0.1], &[0.2, 0.1]) - 2.5 / 4.0).abs() < f64::EPSILON);
    }
}
