//! The view model: everything a report says, computed and worded once, in the order it is read.

mod advice;
mod answer;
mod calibrations;
mod comparison;
mod confusion;
mod contest;
mod cost;
mod diagnosis;
mod effects;
mod examples;
mod layers;
mod leaderboard;
mod margins;
mod reliability;
mod reproduce;
mod selection;
mod standing;
mod worth;

use super::document::{Block, Figure};
use super::escape::{code, text};
use super::number::counted;
use crate::results::{Axis, ResultsError, RunRecord};
pub use leaderboard::adjusted_p;
pub use standing::{Ranking, Standing};

pub use contest::{AXES, Contest, Entry};
use effects::Effect;

/// What a figure's file is called, before its number.
pub const FIGURES: [&str; 9] =
    ["leaderboard", "prompts-labels", "calibrations", "layers", "cost", "confusion", "labels", "margins", "reliability"];

/// A report before it has a format.
#[derive(Clone, Debug)]
pub struct View {
    /// Plain text.
    pub title: String,
    pub blocks: Vec<Block>,
}

impl View {
    /// What the run's record says. The same record gives the same view.
    ///
    /// # Errors
    /// When the table library fails to summarise the cells.
    pub fn of(run: &RunRecord) -> Result<Self, ResultsError> {
        let contests = Contest::all(run);
        let effects: Vec<Vec<Effect>> = contests.iter().map(Effect::all).collect::<Result<_, _>>()?;
        let both: Vec<(&Contest, &[Effect])> = contests.iter().zip(effects.iter().map(Vec::as_slice)).collect();
        let mut blocks = head(run, &contests);
        let answer =
            |contest: &Contest, effects: &[Effect]| [answer::blocks(contest), advice::blocks(contest, effects)].concat();
        blocks.extend(section("The answer", &both, answer));
        blocks.extend(section("Leaderboard", &both, |contest, _| leaderboard::blocks(contest)));
        blocks.extend(leaderboard::failures(run));
        let worth = |contest: &Contest, effects: &[Effect]| {
            let figures = [calibrations::figure(contest), layers::figure(contest), cost::figure(contest)];
            [worth::blocks(contest, effects), figures.into_iter().flatten().map(Block::Figure).collect()].concat()
        };
        blocks.extend(section("What each choice is worth", &both, worth));
        blocks.extend(section("Confusion", &both, |contest, _| confusion::blocks(contest)));
        let margins = |contest: &Contest, _: &[Effect]| {
            let reliability = reliability::figure(contest).map(Block::Figure);
            [margins::blocks(contest), reliability.into_iter().collect()].concat()
        };
        blocks.extend(section("Margins", &both, margins));
        blocks.extend(section("Mistakes", &both, |contest, _| examples::blocks(contest)));
        blocks.extend(section("Diagnosis", &both, |contest, _| diagnosis::blocks(contest)));
        blocks.push(Block::Heading(2, "How to reproduce".to_owned()));
        blocks.extend(reproduce::blocks(&run.provenance));
        Ok(Self { title: run.provenance.name.clone(), blocks })
    }

    /// The figures, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            _ => None,
        })
    }
}

/// One section: its blocks for each contest, under the slice's name when there are several; nothing without a contest.
fn section(title: &str, contests: &[(&Contest, &[Effect])], build: impl Fn(&Contest, &[Effect]) -> Vec<Block>) -> Vec<Block> {
    if contests.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![Block::Heading(2, title.to_owned())];
    for (contest, effects) in contests {
        let part = build(contest, effects);
        if contests.len() > 1 {
            blocks.push(Block::Heading(3, format!("Slice {}", code(&contest.slice.id))));
            blocks.extend(part.into_iter().map(Block::deeper));
        } else {
            blocks.extend(part);
        }
    }
    blocks
}

fn head(run: &RunRecord, contests: &[Contest]) -> Vec<Block> {
    let provenance = &run.provenance;
    let mut blocks = vec![Block::Heading(1, text(&provenance.name))];
    blocks.extend(provenance.about.iter().map(|about| Block::Paragraph(text(about))));
    let data: Vec<String> = contests
        .iter()
        .map(|contest| {
            let size = counted(contest.slice.samples, "text");
            let labels = counted(contest.slice.labels.len(), "label");
            let dev = contest.chosen_on.map(|dev| format!(", chosen on {} ({})", code(&dev.id), counted(dev.samples, "text")));
            format!("{} ({size}, {labels}){}", code(&contest.slice.id), dev.unwrap_or_default())
        })
        .collect();
    if data.is_empty() {
        blocks.push(Block::Paragraph("**There is no answer: the run has no cells.**".to_owned()));
        return blocks;
    }
    let failed = run.cells.iter().filter(|cell| cell.scored().is_none()).count();
    let failures = if failed > 0 { format!(", {failed} of them failed") } else { String::new() };
    blocks.push(Block::Paragraph(format!(
        "Label similarity: each text gets the label whose wording is closest by cosine. {}{failures}, on {}.",
        counted(run.cells.len(), "cell"),
        data.join(", ")
    )));
    blocks
}
