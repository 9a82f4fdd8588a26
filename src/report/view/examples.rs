//! Mistakes worth reading: the most confident ones and the narrowest misses, with their scores.

use super::contest::{Contest, Entry};
use crate::report::document::{Block, Example};
use crate::report::escape::{code, shorten, text};
use crate::report::number::{decimal, score_places};
use crate::results::SampleRow;
use crate::stats::number;

const SHOWN: usize = 5;
/// Most characters of a text.
const CHARACTERS: usize = 160;
/// Most scores of a sample; with more labels the right one is added to the best ones.
const SCORES: usize = 12;

pub fn blocks(contest: &Contest) -> Vec<Block> {
    let Some(best) = contest.best() else { return vec![Block::Paragraph("No cell has a score.".to_owned())] };
    let mut wrong: Vec<(usize, SampleRow)> =
        best.scored.samples.iter().enumerate().filter(|(_, sample)| sample.gold != sample.predicted).collect();
    if wrong.is_empty() {
        let why = if best.right.is_empty() { "The results hold no predictions." } else { "The best cell makes no mistakes." };
        return vec![Block::Paragraph(why.to_owned())];
    }
    let places = score_places(spread(best));
    let few = wrong.len() <= SHOWN;
    wrong.sort_by(|a, b| confidence(b.1).total_cmp(&confidence(a.1)).then(a.0.cmp(&b.0)));
    let title = if few { "All mistakes, most confident first" } else { "Most confident mistakes" };
    let mut blocks = vec![Block::Heading(3, title.to_owned()), examples(contest, best, &wrong, places)];
    if !few {
        wrong.sort_by(|a, b| miss(b.1).total_cmp(&miss(a.1)).then(a.0.cmp(&b.0)));
        blocks.push(Block::Heading(3, "Narrowest misses".to_owned()));
        blocks.push(examples(contest, best, &wrong, places));
    }
    blocks
}

/// How far the wrong answer was ahead of the second best.
fn confidence(sample: SampleRow) -> f64 {
    sample.margin.unwrap_or(0.0)
}

/// How little the right label was behind: negative, 0 is the narrowest.
fn miss(sample: SampleRow) -> f64 {
    sample.gold_margin.unwrap_or(f64::NEG_INFINITY)
}

/// Mean distance from the best to the worst score of a sample.
fn spread(entry: &Entry) -> f64 {
    let ranges = (0..entry.scored.samples.len()).map(|sample| {
        let scores = || entry.scored.scores_of(sample).iter().copied();
        let (high, low) = (scores().fold(f64::NEG_INFINITY, f64::max), scores().fold(f64::INFINITY, f64::min));
        if high >= low { high - low } else { 0.0 }
    });
    ranges.sum::<f64>() / number(entry.scored.samples.len().max(1))
}

fn examples(contest: &Contest, best: &Entry, wrong: &[(usize, SampleRow)], places: usize) -> Block {
    let shown = wrong.iter().take(SHOWN);
    let scores = |index: usize, sample: SampleRow| scores(contest, sample, best.scored.scores_of(index), places);
    Block::Examples(shown.map(|&(index, sample)| example(contest, index, sample, scores(index, sample), places)).collect())
}

fn example(contest: &Contest, index: usize, sample: SampleRow, scores: String, places: usize) -> Example {
    let kept = contest.samples.get(index);
    let id = kept.map_or("?", |kept| kept.id.as_str());
    let mut shown = kept.map_or_else(|| "(text not kept)".to_owned(), |kept| text(&shorten(&kept.text, CHARACTERS)));
    if let Some(partner) = kept.and_then(|kept| kept.partner.as_ref()) {
        shown = format!("{shown} / {}", text(&shorten(&partner.text, CHARACTERS)));
    }
    let lead = |margin: f64| decimal(margin, places + 1);
    let ahead = sample.margin.map_or(String::new(), |margin| format!(", ahead by {}", lead(margin)));
    // With the right label on the second rank both margins are the same.
    let of_gold = sample.gold_margin.filter(|_| sample.gold_rank > 2);
    let of_gold = of_gold.map_or(String::new(), |margin| format!(" and of the right label by {}", lead(-margin)));
    let cut = if sample.cut > 0 { format!(", {} tokens cut", sample.cut) } else { String::new() };
    Example {
        verdict: format!(
            "**{}** taken for **{}**{ahead}{of_gold} (right label's rank {} of {}; sample {}{cut})",
            text(contest.label(sample.gold)),
            text(contest.label(sample.predicted)),
            sample.gold_rank,
            contest.slice.labels.len(),
            code(&shorten(id, 60)),
        ),
        text: shown,
        scores,
    }
}

/// All scores, best first, the right label in bold; with many labels the best ones and the right one.
fn scores(contest: &Contest, sample: SampleRow, scores: &[f64], places: usize) -> String {
    let mut ranked: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
    if ranked.is_empty() {
        return "No scores kept.".to_owned();
    }
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let all = ranked.len();
    let kept = ranked.into_iter().enumerate().filter(|(rank, (label, _))| *rank < SCORES || *label == sample.gold);
    let mut words: Vec<String> = kept
        .map(|(_, (label, score))| {
            let word = format!("{} {}", text(contest.label(label)), decimal(score, places));
            if label == sample.gold { format!("**{word}**") } else { word }
        })
        .collect();
    if words.len() < all {
        words.push(format!("{} more labels", all - words.len()));
    }
    format!("Scores: {}", words.join(" · "))
}
