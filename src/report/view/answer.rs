//! The head of a report: the best cell, what it is held against, and whether the differences are noise.

use super::comparison::{ALPHA, Comparison, could_tell};
use super::contest::{Contest, Entry, Reference};
use super::corrections;
use super::selection::{self, Choice};
use crate::report::document::{Block, Column};
use crate::report::escape::{code, text};
use crate::report::number::{bare_p, counted, decimal, percent, percent_estimate, percent_range, points};
use crate::stats::{self, Agreement, Clusters, PairedDifference, number};

pub fn blocks(contest: &Contest) -> Vec<Block> {
    let Some(best) = contest.best() else {
        let none = match contest.failed {
            1 => "its only cell has no score".to_owned(),
            failed => format!("none of its {} has a score", counted(failed, "cell")),
        };
        return vec![Block::Paragraph(format!(
            "**There is no answer: {none}.** The reasons are in the table of failed cells."
        ))];
    };
    if best.accuracy.n == 0 {
        return vec![Block::Paragraph("**There is no answer: no text was scored.**".to_owned())];
    }
    let mut doubts = vec![];
    if contest.slice.labels.len() < 2 {
        doubts.push("With one label every answer is right, whatever the model: these figures say nothing of it.".to_owned());
    }
    doubts.extend(against_others(contest, best));
    doubts.extend(equals(contest, best));
    doubts.extend(mean_of_experiments(contest, best));
    doubts.push(selection_note(contest, best));
    doubts.extend(super::comparison::doubts(best.cell));
    doubts.extend(corrections::doubts(contest, best));
    vec![Block::Paragraph(headline(contest, best)), comparisons(contest, best), Block::Bullets(doubts)]
}

/// The figure of a protocol that is a mean, of MTEB's experiments or `SentEval`'s folds.
fn mean_of_experiments(contest: &Contest, best: &Entry) -> Option<String> {
    let (mean, times) = (best.cell.estimate("mean_accuracy")?, best.cell.estimate("experiments")?.value);
    let spread = best.cell.estimate("sd_accuracy").map_or(0.0, |found| found.value);
    let times = decimal(times, 0);
    let (protocol, of, answers) = if contest.by_senteval() {
        ("SentEval", format!("{times} folds"), "Each answer is that of its text's fold.")
    } else {
        ("MTEB", format!("{times} experiments"), "The answers told of here are those of the first.")
    };
    Some(format!(
        "By {protocol}'s protocol it scores **{}**: the mean over {of}, whose accuracies have a standard deviation of {} points. {answers}",
        percent_estimate(&mean),
        decimal(100.0 * spread, 1)
    ))
}

fn headline(contest: &Contest, best: &Entry) -> String {
    let accuracy = &best.accuracy;
    let interval = accuracy.interval.map_or(String::new(), |interval| format!("95 % interval {}, ", percent_range(interval)));
    let chosen = match contest.chosen_on {
        Some(dev) => format!(" Chosen on {}, reported on {}.", code(&dev.id), code(&contest.slice.id)),
        None => String::new(),
    };
    let named = super::contest::AXES.into_iter().filter(|axis| best.cell.choices.names(*axis));
    let choices: Vec<String> = named.map(|axis| format!("{} {}", axis.name(), code(best.on(axis)))).collect();
    let place = contest.chosen_on.map_or(String::new(), |dev| format!(" on {}", code(&dev.id)));
    let kind = match (best.floor, contest.best_model()) {
        (false, _) => String::new(),
        (true, Some(_)) => format!(", the lexical floor: no language model did better{place}"),
        (true, None) => ", the lexical floor: no language model has a score".to_owned(),
    };
    format!(
        "**Best cell: {} of the texts get the right label** ({interval}n = {}){kind}. It is {} (cell {}).{chosen}",
        percent(accuracy.value),
        accuracy.n,
        choices.join(", "),
        code(&best.cell.id),
    )
}

/// What the best cell is held against, one row each.
fn comparisons(contest: &Contest, best: &Entry) -> Block {
    let corrected = contest.chosen_on.is_none() && contest.entries.len() > 2;
    let correction = if corrected { format!(" ({})", contest.run.provenance.correction.short()) } else { String::new() };
    let p = format!("exact McNemar p{correction}");
    let columns = ["Best cell against", "accuracy", "difference, points [95 %]", &p];
    let columns =
        columns.iter().enumerate().map(|(i, title)| if i == 0 { Column::words(*title) } else { Column::numbers(*title) });
    let mut rows = vec![chance(contest, best)];
    rows.extend(majority(contest, best));
    if best.floor {
        rows.extend(contest.best_model().map(|model| paired("best language model", contest, best, model)));
    } else {
        rows.extend(contest.floor().map(|floor| paired("lexical floor", contest, best, floor)));
    }
    match contest.reference_entry() {
        Some(reference) if reference.cell.id == best.cell.id => {
            rows.push(vec![
                "reference: the best cell is the reference".to_owned(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
        Some(reference) => rows.push(paired("reference", contest, best, reference)),
        None => {}
    }
    if let Reference::Failed(reason) = &contest.reference {
        rows.push(vec![format!("reference: failed, {}", text(reason)), "–".into(), "–".into(), "–".into()]);
    }
    Block::table(columns.collect(), rows)
}

fn chance(contest: &Contest, best: &Entry) -> Vec<String> {
    let labels = contest.slice.labels.len().max(1);
    let share = 1.0 / number(labels);
    let name = format!("chance: one of {}", counted(labels, "label"));
    vec![name, percent(share), points(best.accuracy.value - share), String::new()]
}

fn majority(contest: &Contest, best: &Entry) -> Option<Vec<String>> {
    let (label, share) = majority_share(contest)?;
    let name = format!("always answering {}", text(contest.label(label)));
    Some(vec![name, percent(share), points(best.accuracy.value - share), String::new()])
}

/// The most frequent right label (the first of equals) and its share of the samples.
pub fn majority_share(contest: &Contest) -> Option<(usize, f64)> {
    let counts = contest.gold_counts();
    let (label, count) = counts.iter().copied().enumerate().rev().max_by_key(|(_, count)| *count)?;
    (!contest.samples.is_empty()).then(|| (label, number(count) / number(contest.samples.len())))
}

fn paired(role: &str, contest: &Contest, best: &Entry, other: &Entry) -> Vec<String> {
    let name = format!("{role}: {}", text(&other.name(&contest.varying())));
    let accuracy = percent_estimate(&other.accuracy);
    match Comparison::of(contest, best, other) {
        Some(found) => vec![name, accuracy, found.difference(), bare_p(found.p)],
        None => vec![name, accuracy, points(best.accuracy.value - other.accuracy.value), "no predictions kept".into()],
    }
}

/// Whether the gains over the floor and the reference are noise.
fn against_others(contest: &Contest, best: &Entry) -> Vec<String> {
    let floor = contest.floor().filter(|_| !best.floor).map(|floor| ("lexical floor", floor));
    let reference = contest.reference_entry().map(|reference| ("reference", reference));
    let others = floor.into_iter().chain(reference).filter(|(_, other)| other.cell.id != best.cell.id);
    others.filter_map(|(role, other)| Comparison::of(contest, best, other).map(|found| noise(role, &found))).collect()
}

fn noise(role: &str, found: &Comparison) -> String {
    let pair = &found.pair;
    let counts = format!("{} only the best cell gets right, {} only the {role}", counted(pair.wins, "text"), pair.losses);
    let verdict = match (found.is_clear(), pair.difference.value >= 0.0) {
        (true, true) => format!("The gain over the {role} is not noise"),
        (true, false) => format!("The loss against the {role} is not noise"),
        (false, _) => format!("The difference to the {role} may be noise"),
    };
    format!("{verdict} ({}: {counts}).", found.chance())
}

/// How many cells the data cannot tell from the best one.
fn equals(contest: &Contest, best: &Entry) -> Option<String> {
    let rivals: Vec<PairedDifference> = contest.entries.iter().skip(1).filter_map(|entry| best.against(entry)).collect();
    if rivals.is_empty() {
        return None;
    }
    let raw: Vec<f64> = rivals.iter().map(|pair| pair.p_value).collect();
    let correction = contest.run.provenance.correction;
    let close = correction.adjust(&raw).iter().filter(|p| **p >= ALPHA).count();
    let level = ALPHA / number(rivals.len());
    let least = rivals.iter().filter_map(|pair| stats::detectable(pair.wins + pair.losses, pair.difference.n, level));
    let over = counted(rivals.len(), "comparison");
    let family = format!("exact McNemar, {} over {over}{}", correction.title(), could_tell(least.collect()));
    Some(match close {
        0 => format!("Every other cell differs from it by more than noise ({family})."),
        _ if close == rivals.len() => format!("No other cell can be told from it ({family}): this ranking may be noise."),
        _ => format!(
            "{close} of the other {} cannot be told from it ({family}): choose among them by cost.",
            counted(rivals.len(), "cell")
        ),
    })
}

/// What picking the best did to its figure.
fn selection_note(contest: &Contest, best: &Entry) -> String {
    let cells = counted(contest.entries.len(), "cell");
    if let Some(dev) = contest.chosen_on {
        let on_dev = best.dev_accuracy();
        let even = |entry: &&Entry| entry.dev_accuracy().map(|dev| dev.value) == on_dev.map(|dev| dev.value);
        let tie = match contest.entries.iter().filter(even).count() {
            0 | 1 => String::new(),
            tied => format!("; {tied} cells have that accuracy, and macro F1, then the order of the spec decided"),
        };
        let there = on_dev.map_or("no score".to_owned(), |accuracy| percent(accuracy.value));
        let curse = on_dev.and_then(|accuracy| optimism(contest, accuracy.value)).map_or(String::new(), |optimism| {
            format!(" On {} the best of so many looks better than it is: by {optimism}.", code(&dev.id))
        });
        return format!(
            "The best of {cells} was chosen on the dev slice {} ({there} there{tie}) and its figure comes from {}, which had no part in the choice.{curse}",
            code(&dev.id),
            code(&contest.slice.id)
        );
    }
    if contest.entries.len() < 2 {
        return "There is one cell with a score, so nothing was picked.".to_owned();
    }
    let curse = optimism(contest, best.accuracy.value).map_or(String::new(), |optimism| format!(" by {optimism}"));
    format!(
        "Selection bias (the winner's curse): the best of {cells} was picked on the same {} it is reported on, so {} is optimistic{curse}.",
        counted(best.accuracy.n, "text"),
        percent(best.accuracy.value)
    )
}

/// How much too high the best figure is expected to be on the slice that the best is picked on: `2.1 points in expectation ...`.
fn optimism(contest: &Contest, best: f64) -> Option<String> {
    let mut in_plan: Vec<&Entry> = contest.entries.iter().collect();
    in_plan.sort_by_key(|entry| entry.order);
    let right = |entry: &&Entry| -> Option<Vec<bool>> {
        let cell = if contest.chosen_on.is_some() { entry.on_dev?.scored()? } else { entry.scored };
        Some(cell.samples.iter().map(|sample| sample.gold == sample.predicted).collect())
    };
    let cells: Vec<Vec<bool>> = in_plan.iter().filter_map(right).collect();
    let samples = cells.first().filter(|first| cells.iter().all(|cell| cell.len() == first.len()))?.len();
    let clusters = Clusters::from_numbers((0..samples).collect());
    let choice = Choice { cells: cells.into_iter().map(Agreement::share).collect(), clusters };
    let honest = choice.honest(contest.run.provenance.seed)?;
    Some(selection::told(best, honest, &percent(honest), "texts"))
}
