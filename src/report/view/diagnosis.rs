//! Why answers go wrong: cuts, shared direction, ties, hubs, zero vectors. A verdict only where it matters.

use super::Axis;
use super::contest::{Contest, Entry};
use crate::report::document::{Block, Column};
use crate::report::escape::{code, text};
use crate::report::number::{counted, decimal, percent};
use crate::results::{PromptRecord, SampleRow};
use crate::spec::TaskKind;
use crate::stats::number;

/// Shares from which a finding is worth a sentence.
const CUT: f64 = 0.05;
const SHARED_DIRECTION: f64 = 0.5;
/// Mean cosine from which little of a score is left beside the shared direction.
const ONE_DIRECTION: f64 = 0.95;
const NEAR_TIES: f64 = 0.1;
const HUB: f64 = 0.1;

/// How one prompt's texts were cut under one model.
struct Cuts<'a> {
    model: &'a str,
    prompt: &'a str,
    texts: usize,
    cut: usize,
    /// Removed in all, over all views of a fused prompt.
    tokens: usize,
}

/// One measure: name in the results, how it is written, what it means.
struct Measure {
    metric: &'static str,
    title: &'static str,
    meaning: &'static str,
    share: bool,
}

const MEASURES: [Measure; 8] = [
    Measure { metric: "cut_share", title: "texts cut", meaning: "had more tokens than the model may see", share: true },
    Measure {
        metric: "anisotropy",
        title: "mean cosine of two texts",
        meaning: "anisotropy before calibration: 0 when vectors point everywhere, 1 when all point one way",
        share: false,
    },
    Measure {
        metric: "label_anisotropy",
        title: "mean cosine of two labels",
        meaning: "the same for label vectors: near 1, labels are hard to tell apart",
        share: false,
    },
    Measure {
        metric: "near_ties",
        title: "near ties",
        meaning: "best two scores closer than 1 % of the score range",
        share: true,
    },
    Measure {
        metric: "exact_ties",
        title: "ties",
        meaning: "best two scores closer than 1e-6, the resolution of f32: decided by rounding",
        share: true,
    },
    Measure {
        metric: "hub_share",
        title: "share of the top label",
        meaning: "answers that the most frequent answer takes",
        share: true,
    },
    Measure {
        metric: "hub_skewness",
        title: "skewness of answers",
        meaning: "over the labels' numbers of answers: above 0, a few labels attract many",
        share: false,
    },
    Measure {
        metric: "zero_vectors",
        title: "zero vectors",
        meaning: "texts and labels without a direction: they score 0",
        share: true,
    },
];

pub fn blocks(contest: &Contest) -> Vec<Block> {
    let Some(best) = contest.best() else { return vec![Block::Paragraph("No cell has a score.".to_owned())] };
    let verdicts: Vec<String> =
        [shared_direction(contest), ties(best), hub(contest, best), zero_vectors(best)].into_iter().flatten().collect();
    let cuts = cuts(contest);
    let cut: Vec<&Cuts> = cuts.iter().filter(|cuts| cuts.cut > 0).collect();
    let mut blocks = vec![measures(contest, best)];
    if verdicts.is_empty() && cut.is_empty() {
        blocks.push(Block::Paragraph(
            "Nothing here stands out: the remaining mistakes are about meaning, not about mechanics.".to_owned(),
        ));
    }
    if !verdicts.is_empty() {
        blocks.push(Block::Bullets(verdicts));
    }
    if !cut.is_empty() {
        blocks.push(cut_table(contest, &cut));
    }
    blocks
}

fn measures(contest: &Contest, best: &Entry) -> Block {
    let columns =
        vec![Column::words("measure"), Column::numbers("best cell"), Column::numbers("all cells"), Column::words("meaning")];
    let rows = MEASURES.iter().filter_map(|measure| {
        let values: Vec<f64> =
            contest.entries.iter().filter_map(|entry| entry.cell.estimate(measure.metric)).map(|found| found.value).collect();
        let write = |value: f64| if measure.share { percent(value) } else { decimal(value, 3) };
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        let own = best.cell.estimate(measure.metric).map_or("–".to_owned(), |found| write(found.value));
        Some(vec![
            measure.title.to_owned(),
            own,
            if write(low) == write(high) { write(low) } else { format!("{} to {}", write(low), write(high)) },
            measure.meaning.to_owned(),
        ])
    });
    Block::table(columns, rows.collect())
}

fn shared_direction(contest: &Contest) -> Option<String> {
    let raw = contest
        .entries
        .iter()
        .filter(|entry| !entry.floor)
        .filter_map(|entry| Some((entry, entry.cell.estimate("anisotropy")?.value)));
    let (entry, cosine) = raw.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.order.cmp(&a.0.order)))?;
    (cosine >= SHARED_DIRECTION && contest.task == TaskKind::LabelSimilarity).then(|| {
        let (finding, then) = if cosine > ONE_DIRECTION {
            ("The vectors share one direction", "Scores then differ in their last digits only")
        } else {
            ("The vectors lean one way", "Much of every score is then the same for all texts")
        };
        format!(
            "**{finding}**: two random texts have a cosine of {} on average under {}, before calibration. {then}, unless that direction is taken out.",
            decimal(cosine, 2),
            text(&embedded_as(contest, entry)),
        )
    })
}

/// The choices that vary among those that make the vectors.
fn embedded_as(contest: &Contest, entry: &Entry) -> String {
    let axes: Vec<Axis> =
        contest.varying().into_iter().filter(|axis| matches!(axis, Axis::Model | Axis::Prompt | Axis::Readout)).collect();
    entry.name(if axes.is_empty() { &[Axis::Model] } else { &axes })
}

/// Centring is untried although the vectors share one direction.
pub fn centring_advice(contest: &Contest) -> Option<String> {
    if contest.choices(Axis::Calibration).contains(&"center") {
        return None;
    }
    let cosine = contest.best_model()?.cell.estimate("anisotropy")?.value;
    (cosine >= SHARED_DIRECTION).then(|| {
        format!("**Try `calibration = [\"none\", \"center\"]`**: two random texts have a cosine of {} on average, and centring takes that out.", decimal(cosine, 2))
    })
}

fn ties(best: &Entry) -> Option<String> {
    let exact = best.cell.estimate("exact_ties").map_or(0.0, |found| found.value);
    let near = best.cell.estimate("near_ties").map_or(0.0, |found| found.value);
    if exact > 0.0 {
        return Some(format!(
            "**{} of the answers are ties**: their two best scores are closer than 1e-6, the resolution of f32, so rounding decides and not the model.",
            percent(exact)
        ));
    }
    (near >= NEAR_TIES).then(|| {
        format!("**{} of the answers are near ties**: a small change of wording or hardware may turn them.", percent(near))
    })
}

/// The label that attracts far more answers than it has texts, with both shares.
fn hub_label(contest: &Contest, best: &Entry) -> Option<(usize, f64, f64)> {
    let samples = &best.scored.samples;
    let share = |label: usize, of: fn(SampleRow) -> usize| {
        number(samples.iter().filter(|sample| of(*sample) == label).count()) / number(samples.len())
    };
    let shares = (0..contest.slice.labels.len()).map(|label| (label, share(label, |s| s.predicted), share(label, |s| s.gold)));
    let (label, answers, texts) = shares.reduce(|a, b| if b.1 - b.2 > a.1 - a.2 { b } else { a })?;
    let enough = (answers - texts) * number(samples.len()) >= 5.0;
    (enough && answers - texts >= HUB && answers >= 1.5 * texts).then_some((label, answers, texts))
}

fn hub(contest: &Contest, best: &Entry) -> Option<String> {
    let (label, answers, texts) = hub_label(contest, best)?;
    Some(format!(
        "**{} is a hub**: it takes {} of the answers but is right for {} of the texts.",
        text(contest.label(label)),
        percent(answers),
        percent(texts)
    ))
}

pub fn hub_advice(contest: &Contest, best: &Entry) -> Option<String> {
    let (label, answers, texts) = hub_label(contest, best)?;
    let what = if contest.shows_texts(best) { "Draw other texts of" } else { "Narrow the wording of" };
    Some(format!(
        "**{what} {}**: it attracts {} of the answers and is right for {} of the texts.",
        text(contest.label(label)),
        percent(answers),
        percent(texts)
    ))
}

fn zero_vectors(best: &Entry) -> Option<String> {
    let share = best.cell.estimate("zero_vectors")?.value;
    (share > 0.0).then(|| {
        format!(
            "**{} of the text and label vectors have no direction** in the best cell: they score 0, which tells nothing apart.",
            percent(share)
        )
    })
}

/// Cuts by model and prompt, in plan order; the cells of one pair cut alike.
fn cuts<'a>(contest: &Contest<'a>) -> Vec<Cuts<'a>> {
    let mut found: Vec<Cuts> = Vec::new();
    let mut in_plan: Vec<&Entry> = contest.entries.iter().filter(|entry| !entry.scored.samples.is_empty()).collect();
    in_plan.sort_by_key(|entry| entry.order);
    for entry in in_plan {
        let (model, prompt) = (entry.on(Axis::Model), entry.on(Axis::Prompt));
        if found.iter().any(|cuts| cuts.model == model && cuts.prompt == prompt) {
            continue;
        }
        let samples = &entry.scored.samples;
        let cut = samples.iter().filter(|sample| sample.cut > 0).count();
        found.push(Cuts { model, prompt, texts: samples.len(), cut, tokens: samples.iter().map(|sample| sample.cut).sum() });
    }
    found
}

fn cut_table(contest: &Contest, cuts: &[&Cuts]) -> Block {
    let mut columns = vec![Column::words("model"), Column::words("prompt")];
    columns.extend(["texts cut", "share", "tokens removed from each, mean"].map(Column::numbers));
    columns.push(Column::words("what was cut"));
    let rows = cuts.iter().map(|cuts| {
        let what = if cuts_template(contest, cuts.prompt) {
            "**the end of the prompt itself**"
        } else {
            "the text only; the template stayed whole"
        };
        let share = percent(number(cuts.cut) / number(cuts.texts));
        vec![
            text(cuts.model),
            text(cuts.prompt),
            format!("{} of {}", cuts.cut, cuts.texts),
            share,
            mean_cut(cuts) + &over_views(contest, cuts.prompt),
            what.to_owned(),
        ]
    });
    Block::table(columns, rows.collect())
}

/// Tokens that a cut text lost.
fn mean_cut(cuts: &Cuts) -> String {
    decimal(number(cuts.tokens) / number(cuts.cut.max(1)), 0)
}

/// What the tokens that a text lost are counted over, when its prompt is fused.
fn over_views(contest: &Contest, id: &str) -> String {
    match prompt(contest, id).map_or(1, |prompt| prompt.views.len()) {
        0 | 1 => String::new(),
        views => format!(" over {views} views"),
    }
}

fn prompt<'a>(contest: &Contest<'a>, id: &str) -> Option<&'a PromptRecord> {
    contest.run.provenance.prompts.iter().find(|prompt| prompt.id == id)
}

/// Whether cuts take more than text: whole prompts are cut at their end, where some view has words of its own.
fn cuts_template(contest: &Contest, id: &str) -> bool {
    prompt(contest, id)
        .is_some_and(|prompt| prompt.truncate == "whole-prompt" && prompt.views.iter().any(|view| !view.ends_with("{text}")))
}

/// Whether some cell reads this prompt's vector at its end, as far as the results tell.
fn reads_the_end(contest: &Contest, prompt: &str) -> bool {
    let readouts = &contest.run.provenance.readouts;
    let at_end = |id: &str| readouts.iter().any(|readout| readout.id == id && matches!(readout.pool.as_str(), "last" | "own"));
    contest.entries.iter().any(|entry| entry.on(Axis::Prompt) == prompt && at_end(entry.on(Axis::Readout)))
}

/// The cut that costs most, if any costs enough.
pub fn cut_advice(contest: &Contest) -> Option<String> {
    let cuts = cuts(contest);
    let worth_saying = |cuts: &&Cuts| number(cuts.cut) >= CUT * number(cuts.texts) && cuts.cut > 0;
    let harmful = cuts.iter().filter(worth_saying).filter(|cuts| cuts_template(contest, cuts.prompt));
    if let Some(worst) = harmful.max_by_key(|cuts| cuts.cut) {
        let there = if reads_the_end(contest, worst.prompt) { ", where the vector is read" } else { "" };
        return Some(format!(
            "**Set `truncate = \"head\"` for prompt {}**: it cut {} of {} and took the end of the prompt itself{there}.",
            code(worst.prompt),
            worst.cut,
            counted(worst.texts, "text")
        ));
    }
    let worst = cuts.iter().filter(worth_saying).max_by_key(|cuts| cuts.cut)?;
    let limit = contest.run.provenance.models.iter().find(|model| model.id == worst.model).map(|model| model.max_tokens);
    Some(format!(
        "**Mind the cuts**: prompt {} cut {} of {} ({} tokens each on average{}) under {}; raise `max_tokens`{} if the model allows more.",
        code(worst.prompt),
        worst.cut,
        counted(worst.texts, "text"),
        mean_cut(worst),
        over_views(contest, worst.prompt),
        code(worst.model),
        limit.map_or(String::new(), |limit| format!(" above {limit}")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::results::RunRecord;

    /// One prompt under which every seventh text is cut, read by a readout of this pooling.
    fn cut(truncate: &str, pool: &str, views: &[&str]) -> String {
        let mut record: RunRecord = fixture::run("cuts");
        fixture::model(&mut record, "tiny", "path:models/tiny");
        fixture::prompt(&mut record, "x", "");
        let prompt = &mut record.provenance.prompts[0];
        (prompt.truncate, prompt.views) = (truncate.into(), views.iter().map(|view| (*view).to_owned()).collect());
        record.provenance.readouts[0].pool = pool.into();
        fixture::slice(&mut record, "s", "test", &["a", "b"], 21);
        fixture::score(&mut record, ["tiny", "x", "last", "s", "names", "none"], 0.1, true);
        cut_advice(&Contest::all(&record)[0]).unwrap()
    }

    #[test]
    fn a_prompt_loses_its_end_only_when_it_has_one() {
        let lost = "took the end of the prompt itself";
        assert!(cut("whole-prompt", "own", &["{text} means:"]).ends_with(&format!("{lost}, where the vector is read.")));
        assert!(cut("whole-prompt", "mean", &["query: {text}", "{text}!"]).ends_with(&format!("{lost}.")));
        assert!(!cut("whole-prompt", "last", &["query: {text}"]).contains(lost));
        assert!(!cut("head", "last", &["{text} means:"]).contains(lost));
    }

    #[test]
    fn tokens_cut_from_a_fused_prompt_are_counted_over_its_views() {
        // Texts 0, 7 and 14 lose 30, 37 and 44 tokens.
        assert!(cut("head", "last", &["{text}"]).contains("(37 tokens each on average)"));
        assert!(cut("head", "last", &["{text}", "{text}!"]).contains("(37 tokens each on average over 2 views)"));
    }
}
