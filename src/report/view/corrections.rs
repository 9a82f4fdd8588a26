//! What calibrations and transforms assume of the scored texts, and whether it holds.

use std::collections::BTreeSet;

use super::Axis;
use super::contest::{AXES, Contest, Entry};
use crate::report::document::{Block, Column};
use crate::report::escape::{code, text};
use crate::report::number::{counted, decimal, percent};
use crate::results::TransformRecord;
use crate::spec::Calibration;
use crate::stats::{UNBALANCED, imbalance, number};

/// What the best cell's corrections assume and these texts do not bear out.
pub fn doubts(contest: &Contest, best: &Entry) -> Vec<String> {
    let balance = assumes_balance(best.on(Axis::Calibration)).then(|| unbalanced(contest)).flatten();
    let balance = balance.map(|found| {
        let answers = imbalance(&answers(contest, best));
        format!(
            "Calibration {} takes the labels for about equally frequent, and here they are not: {found}; of its answers, {}. Its gain may not carry over.",
            code(best.on(Axis::Calibration)),
            percent(answers)
        )
    });
    let seen = transform(contest, best.on(Axis::Transform)).and_then(|record| seen(contest, record));
    balance.into_iter().chain(seen).collect()
}

/// Calibrations beside what they do to hubs, and the same warnings for all cells.
pub fn blocks(contest: &Contest) -> Vec<Block> {
    let mut blocks = hubs(contest);
    let assume: Vec<String> =
        contest.choices(Axis::Calibration).into_iter().filter(|id| assumes_balance(id)).map(code).collect();
    let balance = unbalanced(contest).filter(|_| !assume.is_empty()).map(|found| {
        format!(
            "**The labels are not balanced**: {found}. Calibration {} takes them for about equally frequent.",
            assume.join(", ")
        )
    });
    let transforms = contest.choices(Axis::Transform).into_iter().filter_map(|id| seen(contest, transform(contest, id)?));
    let warnings: Vec<String> = balance.into_iter().chain(transforms).collect();
    if !warnings.is_empty() {
        blocks.push(Block::Bullets(warnings));
    }
    blocks
}

fn assumes_balance(id: &str) -> bool {
    Calibration::called(id).is_some_and(Calibration::assumes_balance)
}

/// `12.0 % of the texts would need another label (求职 has 3.6 % of them, 亲子儿童 22.0 %)`, where that is many.
fn unbalanced(contest: &Contest) -> Option<String> {
    let counts = contest.gold_counts();
    let share = imbalance(&counts);
    let (least, _) = counts.iter().enumerate().min_by_key(|(_, count)| **count)?;
    let (most, _) = counts.iter().enumerate().rev().max_by_key(|(_, count)| **count)?;
    let of = |label: usize| percent(number(counts[label]) / number(contest.samples.len().max(1)));
    (share > UNBALANCED).then(|| {
        format!(
            "{} of the texts would need another label ({} has {} of them, {} {})",
            percent(share),
            text(contest.label(least)),
            of(least),
            text(contest.label(most)),
            of(most)
        )
    })
}

fn answers(contest: &Contest, entry: &Entry) -> Vec<usize> {
    let mut counts = vec![0; contest.slice.labels.len()];
    entry.scored.samples.iter().for_each(|sample| counts[sample.predicted] += 1);
    counts
}

fn transform<'a>(contest: &Contest<'a>, id: &str) -> Option<&'a TransformRecord> {
    contest.run.provenance.transforms.iter().find(|record| record.id == id)
}

/// That a transform has seen texts which it is judged on, where it has.
fn seen(contest: &Contest, record: &TransformRecord) -> Option<String> {
    let samples = *record.seen.get(&contest.slice.id)?;
    let which = if samples == contest.slice.samples { "all".to_owned() } else { samples.to_string() };
    Some(format!(
        "**Transform {} is transductive**: it was fitted on {} of {}, among them {which} of the {} that are scored here. No label was read, but new texts may fare worse.",
        code(&record.id),
        counted(record.texts, "text"),
        code(&record.fit.to_string()),
        contest.slice.samples
    ))
}

/// All choices of a cell but its calibration.
fn others<'a>(entry: &Entry<'a>) -> Vec<&'a str> {
    AXES.into_iter().filter(|axis| *axis != Axis::Calibration).map(|axis| entry.on(axis)).collect()
}

/// Means over the combinations that have a cell for every calibration.
fn hubs(contest: &Contest) -> Vec<Block> {
    let calibrations = contest.choices(Axis::Calibration);
    let of = |id: &str| contest.entries.iter().filter(|entry| !entry.floor && entry.on(Axis::Calibration) == id).collect();
    let by_calibration: Vec<Vec<&Entry>> = calibrations.iter().map(|id| of(id)).collect();
    let known: Vec<BTreeSet<Vec<&str>>> =
        by_calibration.iter().map(|cells| cells.iter().map(|entry| others(entry)).collect()).collect();
    let everywhere = |entry: &Entry| known.iter().all(|combinations| combinations.contains(&others(entry)));
    let matched: Vec<Vec<&Entry>> =
        by_calibration.iter().map(|cells| cells.iter().copied().filter(|entry| everywhere(entry)).collect()).collect();
    if calibrations.len() < 2 || matched.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let columns = vec![
        Column::words("calibration"),
        Column::numbers("accuracy"),
        Column::numbers("share of the top label"),
        Column::numbers("skewness of answers"),
        Column::numbers("answers out of balance"),
        Column::numbers("cells"),
    ];
    let rows = calibrations.iter().zip(&matched).map(|(id, cells)| {
        let mean = |of: &dyn Fn(&Entry) -> Option<f64>| {
            let values: Vec<f64> = cells.iter().filter_map(|entry| of(entry)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / number(values.len()))
        };
        let metric = |name: &'static str| mean(&move |entry: &Entry| Some(entry.cell.estimate(name)?.value));
        let dash = || "–".to_owned();
        vec![
            text(id),
            metric("accuracy").map_or_else(dash, percent),
            metric("hub_share").map_or_else(dash, percent),
            metric("hub_skewness").map_or_else(dash, |value| decimal(value, 2)),
            mean(&|entry| Some(imbalance(&answers(contest, entry)))).map_or_else(dash, percent),
            cells.len().to_string(),
        ]
    });
    let what = "How calibrations share out the answers: means over the combinations that have a cell for each of them.";
    vec![Block::Paragraph(what.to_owned()), Block::table(columns, rows.collect())]
}
