//! How the best cell's cosines lie against the gold side, and what its vectors look like.

use super::contest::{PairContest, PairEntry, hundredths, with_interval};
use crate::report::document::{Block, Column, Figure};
use crate::report::escape::{code, text};
use crate::report::number::{counted, decimal, percent, score_places};
use crate::report::plot::{Drawing, Histogram, Scatter};
use crate::results::Kind;
use crate::stats::number;

pub fn similarity(contest: &PairContest) -> Vec<Block> {
    let Some(best) = contest.best().filter(|_| contest.of_pairs()) else { return Vec::new() };
    let cosines = best.paired.cosines();
    let figure =
        if contest.slice.kind == Kind::Pairs { histogram(contest, best, &cosines) } else { scatter(contest, &cosines) };
    let mut blocks = vec![Block::Figure(figure)];
    blocks.extend(subsets(contest, best));
    blocks
}

fn scatter(contest: &PairContest, cosines: &[f64]) -> Figure {
    let points = contest.gold.gold.iter().copied().zip(cosines.iter().copied()).collect();
    Figure {
        file: contest.file("similarity"),
        alt: format!("Cosine against gold score of {}", counted(cosines.len(), "pair")),
        caption: format!(
            "Best cell: the cosine of each pair against its gold score; darker where pairs fall together.{}",
            ends(&contest.gold.gold, cosines)
        ),
        drawing: Drawing::Scatter(Scatter { across: "gold score".to_owned(), up: "cosine".to_owned(), points }),
    }
}

/// Mean cosines of the fifths of the pairs that people call least and most alike.
fn ends(gold: &[f64], cosines: &[f64]) -> String {
    let mut order: Vec<usize> = (0..gold.len().min(cosines.len())).collect();
    order.sort_by(|&a, &b| gold[a].total_cmp(&gold[b]).then(a.cmp(&b)));
    let fifth = order.len() / 5;
    if fifth == 0 {
        return String::new();
    }
    let mean = |part: &[usize]| part.iter().map(|&pair| cosines[pair]).sum::<f64>() / number(part.len());
    let (least, most) = (mean(&order[..fifth]), mean(&order[order.len() - fifth..]));
    format!(
        " The fifth of the pairs that people call least alike has a mean cosine of {}, the fifth called most alike one of {}.",
        decimal(least, 2),
        decimal(most, 2)
    )
}

fn histogram(contest: &PairContest, best: &PairEntry, cosines: &[f64]) -> Figure {
    let of = |same: bool| -> Vec<f64> {
        let pairs = cosines.iter().zip(&contest.gold.gold).filter(|(_, gold)| (**gold > 0.5) == same);
        pairs.map(|(cosine, _)| *cosine).collect()
    };
    let (above, below) = (of(true), of(false));
    let low = cosines.iter().copied().fold(f64::INFINITY, f64::min).min(1.0);
    let high = cosines.iter().copied().fold(low, f64::max);
    let places = score_places((high - low) / 2.0);
    let picked = best.cell.estimate("accuracy_threshold").map(|at| ("threshold", at.value));
    let oracle = || best.cell.estimate("oracle_accuracy_threshold").map(|at| ("oracle's threshold", at.value));
    let threshold = picked.or_else(oracle).filter(|(_, at)| (low..=high).contains(at));
    let label = |place: usize| contest.slice.labels.get(place).map_or("?", String::as_str);
    Figure {
        file: contest.file("similarity"),
        alt: "Histogram of the best cell's cosines by class".to_owned(),
        caption: format!(
            "Best cell: cosines of pairs that are the same (label {}), above, and of others (label {}), below.{}",
            code(label(1)),
            code(label(0)),
            overlap(&above, &below)
        ),
        drawing: Drawing::Histogram(Histogram {
            axis: "cosine".to_owned(),
            threshold: threshold.map(|(name, at)| (at, format!("{name} {}", decimal(at, places)))),
            places,
            names: [format!("{} the same", counted(above.len(), "pair")), format!("{} not", counted(below.len(), "pair"))],
            low,
            above,
            below,
        }),
    }
}

/// How many of the others look as alike as the same usually do.
fn overlap(same: &[f64], others: &[f64]) -> String {
    let mut sorted = same.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(median) = sorted.get(sorted.len() / 2).filter(|_| !others.is_empty()) else { return String::new() };
    let close = others.iter().filter(|cosine| **cosine >= *median).count();
    format!(
        " {} of the others have a cosine that half of the same do not reach.",
        percent(number(close) / number(others.len()))
    )
}

/// The best cell's correlation in each subset.
fn subsets(contest: &PairContest, best: &PairEntry) -> Option<Block> {
    let rows: Vec<Vec<String>> = (contest.gold.names.iter())
        .filter_map(|subset| {
            let metric = |name: &str| {
                let row = best.paired.metrics.iter().find(|row| row.name == name && row.label.as_ref() == Some(subset))?;
                Some(row.estimate.map_or_else(|| text(row.reason.as_deref().unwrap_or("–")), |found| with_interval(&found)))
            };
            let place = contest.gold.names.iter().position(|name| name == subset)?;
            let pairs = contest.gold.subsets.iter().filter(|&&of| of == place).count();
            Some(vec![text(subset), pairs.to_string(), metric("spearman")?, metric("pearson")?])
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let value = |metric: &str| best.cell.estimate(metric).map_or("–".to_owned(), |found| hundredths(found.value));
    let mut all = rows;
    all.push(vec![
        "all pairs pooled".into(),
        contest.samples.len().to_string(),
        value("pooled_spearman"),
        value("pooled_pearson"),
    ]);
    all.push(vec![
        "mean of the subsets".into(),
        contest.samples.len().to_string(),
        value("mean_spearman"),
        value("mean_pearson"),
    ]);
    let columns = vec![
        Column::words("Best cell, subset"),
        Column::numbers("pairs"),
        Column::numbers("Spearman"),
        Column::numbers("Pearson"),
    ];
    Some(Block::table(columns, all))
}

pub fn diagnosis(contest: &PairContest) -> Vec<Block> {
    let Some(best) = contest.best() else { return vec![Block::Paragraph("No cell has a score.".to_owned())] };
    if !contest.of_pairs() {
        return of_texts(contest, best);
    }
    let mut told = Vec::new();
    if let Some(mean) = best.cell.estimate("anisotropy") {
        let reading = if mean.value > 0.8 {
            ": nearly all vectors share one direction, so cosines differ in their last digits; ranks still tell"
        } else {
            ""
        };
        told.push(format!(
            "Mean cosine of two vectors of the slice, whatever their pair: {}{reading}.",
            decimal(mean.value, 3)
        ));
    }
    let cosines = best.paired.cosines();
    let (low, high) =
        cosines.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &cosine| (low.min(cosine), high.max(cosine)));
    let places = score_places((high - low) / 2.0);
    told.push(format!(
        "Cosines of the pairs lie between {} and {}; {} distinct values for {}.",
        decimal(low, places),
        decimal(high, places),
        distinct(&cosines),
        counted(cosines.len(), "pair")
    ));
    let share = |metric: &str| best.cell.estimate(metric).map(|found| found.value).filter(|value| *value > 0.0);
    if let Some(cut) = share("cut_share") {
        told.push(format!("Truncation cut a text of {} of the pairs.", percent(cut)));
    }
    if let Some(zero) = share("zero_vectors") {
        told.push(format!("{} of the vectors have no direction; their pairs have cosine 0.", percent(zero)));
    }
    let equal =
        contest.samples.iter().filter(|sample| sample.partner.as_ref().is_some_and(|partner| partner.text == sample.text));
    let equal = equal.count();
    if equal > 0 {
        told.push(format!(
            "{} ({}) consist of one text twice.",
            counted(equal, "pair"),
            percent(number(equal) / number(contest.samples.len()))
        ));
    }
    vec![Block::Paragraph("Of the best cell:".to_owned()), Block::Bullets(told)]
}

/// What stands in the way of queries and clusters.
fn of_texts(contest: &PairContest, best: &PairEntry) -> Vec<Block> {
    let value = |metric: &str| best.cell.estimate(metric).map(|found| found.value).filter(|value| *value > 0.0);
    let mut told = Vec::new();
    told.extend(value("cut_share").map(|cut| format!("Truncation cut {} of the texts.", percent(cut))));
    told.extend(
        value("without_relevant")
            .map(|share| format!("{} of the queries have no relevant document and are left out of the means.", percent(share))),
    );
    // Fewer are written as none.
    told.extend(value("tied_documents").filter(|tied| *tied >= 0.05).map(|tied| {
        let count = decimal(tied, 1);
        let order = if contest.ties_by_id() { "the last id goes first" } else { "figures are means over their orders" };
        format!("A query has {count} documents on average whose cosine equals that of a relevant one: {order}.")
    }));
    told.extend(value("largest_cluster").map(|share| format!("The largest cluster holds {} of the texts.", percent(share))));
    if told.is_empty() {
        told.push("Nothing here stands out.".to_owned());
    }
    vec![Block::Paragraph("Of the best cell:".to_owned()), Block::Bullets(told)]
}

fn distinct(values: &[f64]) -> usize {
    let mut bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
    bits.sort_unstable();
    bits.dedup();
    bits.len()
}
