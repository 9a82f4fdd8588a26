//! The head of a report on pairs: the best cell, what it is held against, and what its figure is worth.

use super::contest::{PairContest, PairEntry, hundredths, with_interval};
use crate::report::document::{Block, Column};
use crate::report::escape::{code, text};
use crate::report::number::{bare_p, counted, percent_estimate, points_estimate};
use crate::report::view::comparison::{ALPHA, could_tell};
use crate::report::view::selection;
use crate::results::{Axis, Kind};
use crate::stats::{Spread, number};

pub fn answer(contest: &PairContest) -> Vec<Block> {
    let Some(best) = contest.best() else {
        let failed = counted(contest.failed, "cell");
        return vec![Block::Paragraph(format!(
            "**There is no answer: no cell has a score, and {failed} failed.** The reasons are in the leaderboard and in the table of failed cells."
        ))];
    };
    let mut doubts: Vec<String> = equals(contest, best).into_iter().collect();
    doubts.push(selection(contest, best));
    if !contest.gold.clusters.is_trivial() {
        doubts.push(format!(
            "Pairs that share a group are not independent: intervals and p-values draw {} instead of {}.",
            counted(contest.gold.clusters.count(), "group"),
            counted(contest.samples.len(), "pair")
        ));
    }
    doubts.extend(crate::report::view::comparison::doubts(best.cell));
    let mut blocks = vec![Block::Paragraph(headline(contest, best))];
    blocks.extend(comparisons(contest, best));
    blocks.extend(thresholds(contest, best));
    blocks.push(Block::Bullets(doubts));
    blocks
}

fn headline(contest: &PairContest, best: &PairEntry) -> String {
    let interval = best
        .value
        .interval
        .map_or(String::new(), |ends| format!("95 % interval {} to {}, ", hundredths(ends.low), hundredths(ends.high)));
    let chosen = contest
        .chosen_on
        .map_or(String::new(), |dev| format!(" Chosen on {}, reported on {}.", code(&dev.id), code(&contest.slice.id)));
    let named = |axis: Axis| format!("{} {}", axis.name(), code(best.on(axis)));
    let choices: Vec<String> = contest.axes().into_iter().map(named).collect();
    let floor = match (best.floor, contest.entries.iter().any(|entry| !entry.floor)) {
        (false, _) => "",
        (true, true) => ", the lexical floor: no language model did better",
        (true, false) => ", the lexical floor: no language model has a score",
    };
    format!(
        "**Best cell: {} {}** ({interval}n = {}){floor}. It is {} (cell {}).{chosen}",
        contest.metric_title(),
        hundredths(best.value.value),
        best.value.n,
        choices.join(", "),
        code(&best.cell.id),
    )
}

/// The best cell against the floor and the reference.
fn comparisons(contest: &PairContest, best: &PairEntry) -> Option<Block> {
    let floor = contest.entries.iter().find(|entry| entry.floor && !best.floor).map(|entry| ("lexical floor", entry));
    let reference = contest.reference_entry().map(|entry| ("reference", entry));
    let others = floor.into_iter().chain(reference).filter(|(_, other)| other.cell.id != best.cell.id);
    let rows: Vec<Vec<String>> = others
        .map(|(role, other)| {
            let name: Vec<&str> = contest.shown_axes().into_iter().map(|axis| other.on(axis)).collect();
            let (difference, p) = match PairContest::difference(best, other) {
                Some((difference, p)) => (points_estimate(&difference), bare_p(p)),
                None => ("–".to_owned(), "–".to_owned()),
            };
            vec![format!("{role}: {}", text(&name.join(" · "))), with_interval(&other.value), difference, p]
        })
        .collect();
    let columns = vec![
        Column::words("Best cell against"),
        Column::numbers(contest.metric_title()),
        Column::numbers("difference, points [95 %]"),
        Column::numbers("p"),
    ];
    (!rows.is_empty()).then(|| Block::table(columns, rows))
}

/// What thresholds do with labelled pairs: those of another slice, and an oracle's.
fn thresholds(contest: &PairContest, best: &PairEntry) -> Vec<Block> {
    let of = |metric: &str| best.cell.estimate(metric);
    if contest.slice.kind != Kind::Pairs || of("oracle_accuracy").is_none() {
        return Vec::new();
    }
    let shown = |metric: &str| of(metric).map_or("–".to_owned(), |share| percent_estimate(&share));
    let at = |metric: &str| of(metric).map_or("–".to_owned(), |cosine| crate::report::number::decimal(cosine.value, 4));
    let picked = contest.chosen_on.map_or("picked on another slice".to_owned(), |dev| format!("picked on {}", code(&dev.id)));
    let mut rows = Vec::new();
    if of("accuracy").is_some() {
        rows.push(vec![picked, at("accuracy_threshold"), shown("accuracy"), at("f1_threshold"), shown("f1")]);
    }
    rows.push(vec![
        "an oracle's: picked on these very pairs".to_owned(),
        at("oracle_accuracy_threshold"),
        shown("oracle_accuracy"),
        at("oracle_f1_threshold"),
        shown("oracle_f1"),
    ]);
    rows.push(vec!["always the larger class".to_owned(), "–".to_owned(), shown("majority"), "–".to_owned(), "–".to_owned()]);
    let columns = vec![
        Column::words("Threshold of the best cell"),
        Column::numbers("cosine"),
        Column::numbers("accuracy"),
        Column::numbers("cosine, for F1"),
        Column::numbers("F1"),
    ];
    vec![Block::table(columns, rows)]
}

/// What the samples are called.
pub fn plural(contest: &PairContest) -> &'static str {
    match contest.noun() {
        "query" => "queries",
        "text" => "texts",
        _ => "pairs",
    }
}

/// How many cells the samples cannot tell from the best one.
fn equals(contest: &PairContest, best: &PairEntry) -> Option<String> {
    let rivals = contest.entries.iter().skip(1).map(|entry| best.resampled.minus(&entry.resampled));
    let rivals: Vec<Spread> = rivals.filter(|gain| gain.value.is_some()).collect();
    let raw: Vec<f64> = rivals.iter().map(Spread::p_value).collect();
    if raw.is_empty() {
        return None;
    }
    let correction = contest.run.provenance.correction;
    let close = correction.adjust(&raw).iter().filter(|p| **p >= ALPHA).count();
    let over = counted(raw.len(), "comparison");
    let least = rivals.iter().filter_map(|gain| gain.detectable(ALPHA / number(raw.len())));
    let family =
        format!("resampling of the {}, {} over {over}{}", plural(contest), correction.title(), could_tell(least.collect()));
    Some(match close {
        0 => format!("Every other cell differs from it by more than noise ({family})."),
        _ if close == raw.len() => format!("No other cell can be told from it ({family}): this ranking may be noise."),
        _ => format!(
            "{close} of the other {} cannot be told from it ({family}): choose among them by cost.",
            counted(raw.len(), "cell")
        ),
    })
}

/// What picking the best did to its figure.
fn selection(contest: &PairContest, best: &PairEntry) -> String {
    let cells = counted(contest.entries.len(), "cell");
    match contest.chosen_on {
        _ if contest.entries.len() < 2 => "There is one cell with a score, so nothing was picked.".to_owned(),
        Some(dev) => {
            let there = best.dev_value().map_or("no score".to_owned(), |value| hundredths(value.value));
            let curse = best.dev_value().and_then(|value| optimism(contest, value.value)).map_or(String::new(), |optimism| {
                format!(" On {} the best of so many looks better than it is: by {optimism}.", code(&dev.id))
            });
            format!(
                "The best of {cells} was chosen on {} ({there} there) and its figure comes from {}, which had no part in the choice.{curse}",
                code(&dev.id),
                code(&contest.slice.id)
            )
        }
        None => format!(
            "The best of {cells} was picked on the {} it is reported on, which flatters it{}: add a slice of a dev split to the spec, and cells are ranked there.",
            plural(contest),
            optimism(contest, best.value.value).map_or(String::new(), |optimism| format!(" by {optimism}"))
        ),
    }
}

/// How much too high the best figure is expected to be on the samples that the best is picked on.
fn optimism(contest: &PairContest, best: f64) -> Option<String> {
    let honest = contest.choice().honest(contest.run.provenance.seed)?;
    Some(selection::told(best, honest, &hundredths(honest), plural(contest)))
}
