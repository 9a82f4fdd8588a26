//! The view model: everything a report says, computed and worded once, in the order it is read.

mod advice;
mod answer;
mod calibrations;
mod comparison;
mod confusion;
mod contest;
mod corrections;
mod cost;
mod diagnosis;
mod effects;
mod examples;
mod layers;
mod leaderboard;
mod map;
mod margins;
mod pairs;
mod published;
mod reliability;
mod reproduce;
mod selection;
mod standing;
mod variance;
mod wordings;
mod worth;

use super::document::Block;
use super::escape::{code, text};
use super::number::counted;
use crate::results::{Axis, Published, ResultsError, RunRecord};
use crate::spec::TaskKind;
pub use leaderboard::adjusted_p;
pub use standing::{Ranking, Standing};

pub use contest::{AXES, Contest, Entry};
use effects::Effect;
pub use map::Chart;
pub use pairs::PairContest;
#[cfg(test)]
pub use pairs::tests::many as many_pairs;

/// What a figure's file is called, before its number.
pub const FIGURES: [&str; 12] = [
    "leaderboard",
    "prompts-labels",
    "calibrations",
    "layers",
    "cost",
    "confusion",
    "labels",
    "map",
    "margins",
    "reliability",
    "similarity",
    "trends",
];

/// What a run's cells compete on.
pub struct Contests<'a> {
    pub labels: Vec<Contest<'a>>,
    pub pairs: Vec<PairContest<'a>>,
    /// On the slices that choices for the others come from.
    pub labels_of_dev: Vec<Contest<'a>>,
    pub pairs_of_dev: Vec<PairContest<'a>>,
}

impl<'a> Contests<'a> {
    pub fn of(run: &'a RunRecord) -> Self {
        let labels = Contest::all(run);
        let pairs = PairContest::all(run, labels.len());
        Self { labels_of_dev: Contest::of_dev(run, &labels), pairs_of_dev: PairContest::of_dev(run, &pairs), labels, pairs }
    }
}

/// A report before it has a format.
#[derive(Clone, Debug)]
pub struct View {
    /// Plain text.
    pub title: String,
    pub blocks: Vec<Block>,
}

impl View {
    /// What the run's record says, and others beside it. The same record gives the same view.
    ///
    /// # Errors
    /// When the table library fails to summarise the cells.
    pub fn of(run: &RunRecord, contests: &Contests, published: &[Published]) -> Result<Self, ResultsError> {
        let Contests { labels: contests, pairs: paired, .. } = contests;
        let effects: Vec<Vec<Effect>> = contests.iter().map(Effect::all).collect::<Result<_, _>>()?;
        let worths = paired.iter().map(pairs::worth).collect::<Result<Vec<_>, _>>()?;
        let of_labels =
            contests.iter().zip(effects.iter().map(Vec::as_slice)).map(|(contest, effects)| Part::Labels(contest, effects));
        let of_pairs = paired.iter().zip(&worths).map(|(contest, worth)| Part::Pairs(contest, worth));
        let mut parts: Vec<Part> = of_labels.chain(of_pairs).collect();
        // What the spec asks first is answered first.
        parts.sort_by_key(|part| run.provenance.place(part.task()));
        let mut blocks = head(run, contests, paired);
        let labels = |title: &str, build: fn(&Contest) -> Vec<Block>| {
            section(title, &parts, |part| match part {
                Part::Labels(contest, _) => build(contest),
                Part::Pairs(..) => Vec::new(),
            })
        };
        let pairs = |title: &str, build: fn(&PairContest) -> Vec<Block>| {
            section(title, &parts, |part| match part {
                Part::Labels(..) => Vec::new(),
                Part::Pairs(contest, _) => build(contest),
            })
        };
        blocks.extend(section("The answer", &parts, |part| match part {
            Part::Labels(contest, effects) => [answer::blocks(contest), advice::blocks(contest, effects)].concat(),
            Part::Pairs(contest, _) => pairs::answer(contest),
        }));
        blocks.extend(section("Leaderboard", &parts, |part| match part {
            Part::Labels(contest, _) => leaderboard::blocks(contest),
            Part::Pairs(contest, _) => pairs::leaderboard(contest),
        }));
        blocks.extend(leaderboard::failures(run));
        blocks.extend(published::blocks(run, &[run.provenance.published.as_slice(), published].concat()));
        blocks.extend(section("What each choice is worth", &parts, |part| match part {
            Part::Labels(contest, effects) => {
                let figures = [calibrations::figure(contest), layers::figure(contest), cost::figure(contest)];
                let figures = figures.into_iter().flatten().map(Block::Figure).collect();
                [worth::blocks(contest, effects), figures, wordings::blocks(contest)].concat()
            }
            Part::Pairs(_, worth) => worth.to_vec(),
        }));
        blocks.extend(variance::blocks(run, paired));
        blocks.extend(labels("Confusion", |contest| {
            [confusion::blocks(contest), map::figure(contest).map(Block::Figure).into_iter().collect()].concat()
        }));
        blocks.extend(labels("Margins", |contest| {
            let reliability = reliability::figure(contest).map(Block::Figure);
            [margins::blocks(contest), reliability.into_iter().collect()].concat()
        }));
        blocks.extend(labels("Mistakes", examples::blocks));
        blocks.extend(pairs("Similarity and gold", pairs::similarity));
        blocks.extend(pairs("Worst pairs", pairs::worst));
        blocks.extend(pairs("Hardest queries", pairs::queries));
        blocks.extend(pairs("Clusters", pairs::clusters));
        blocks.extend(section("Diagnosis", &parts, |part| match part {
            Part::Labels(contest, _) => [diagnosis::blocks(contest), corrections::blocks(contest)].concat(),
            Part::Pairs(contest, _) => pairs::diagnosis(contest),
        }));
        blocks.push(Block::Heading(2, "How to reproduce".to_owned()));
        blocks.extend(reproduce::blocks(&run.provenance));
        Ok(Self { title: run.provenance.name.clone(), blocks })
    }
}

/// What a report says of one task on one slice: texts with labels, or pairs.
enum Part<'a> {
    Labels(&'a Contest<'a>, &'a [Effect<'a>]),
    Pairs(&'a PairContest<'a>, &'a [Block]),
}

impl Part<'_> {
    fn slice(&self) -> &str {
        match self {
            Self::Labels(contest, _) => &contest.slice.id,
            Self::Pairs(contest, _) => &contest.slice.id,
        }
    }

    fn task(&self) -> TaskKind {
        match self {
            Self::Labels(contest, _) => contest.task,
            Self::Pairs(contest, _) => contest.task_kind,
        }
    }

    /// The slice, with the task where the slice has several.
    fn title(&self, parts: &[Part]) -> String {
        let slice = format!("Slice {}", code(self.slice()));
        let several = parts.iter().filter(|part| part.slice() == self.slice()).count() > 1;
        if several { format!("{slice}, {}", self.task()) } else { slice }
    }
}

/// One section: its blocks for each part that has some, under the names of slice and task when there are several parts; nothing where no
/// part has any.
fn section(title: &str, parts: &[Part], build: impl Fn(&Part) -> Vec<Block>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for part in parts {
        let built = build(part);
        if parts.len() > 1 && !built.is_empty() {
            blocks.push(Block::Heading(3, part.title(parts)));
            blocks.extend(built.into_iter().map(Block::deeper));
        } else {
            blocks.extend(built);
        }
    }
    if !blocks.is_empty() {
        blocks.insert(0, Block::Heading(2, title.to_owned()));
    }
    blocks
}

fn head(run: &RunRecord, contests: &[Contest], paired: &[PairContest]) -> Vec<Block> {
    let provenance = &run.provenance;
    let mut blocks = vec![Block::Heading(1, text(&provenance.name))];
    blocks.extend(provenance.about.iter().map(|about| Block::Paragraph(text(about))));
    let mut data: Vec<String> = contests
        .iter()
        .enumerate()
        // A slice is described once, whatever is done with it.
        .filter(|(i, contest)| contests[..*i].iter().all(|earlier| earlier.slice.id != contest.slice.id))
        .map(|(_, contest)| {
            let noun = if contest.slice.kind.is_pairs() { "pair" } else { "text" };
            let size = counted(contest.slice.samples, noun);
            let labels = counted(contest.slice.labels.len(), "label");
            let dev = contest.chosen_on.map(|dev| format!(", chosen on {} ({})", code(&dev.id), counted(dev.samples, noun)));
            format!("{} ({size}, {labels}){}", code(&contest.slice.id), dev.unwrap_or_default())
        })
        .collect();
    for contest in paired {
        let described = contest.described();
        let known = contests.iter().any(|other| other.slice.id == contest.slice.id);
        if !known && !data.contains(&described) {
            data.push(described);
        }
    }
    if data.is_empty() {
        blocks.push(Block::Paragraph("**There is no answer: the run has no cells.**".to_owned()));
        return blocks;
    }
    let failed = run.cells.iter().filter(|cell| cell.failure().is_some()).count();
    let failures = match failed {
        0 => String::new(),
        1 if run.cells.len() == 1 => ", which failed".to_owned(),
        failed => format!(", {failed} of them failed"),
    };
    let cells = format!("{}{failures}, on {}.", counted(run.cells.len(), "cell"), data.join(", "));
    match &tasks(contests, paired)[..] {
        [(only, _)] => blocks.push(Block::Paragraph(format!("{only} {cells}"))),
        several => {
            let told = several.iter().map(|(task, slices)| format!("On {}: {task}", slices.join(", ")));
            blocks.extend([Block::Bullets(told.collect()), Block::Paragraph(cells)]);
        }
    }
    blocks
}

/// What is done with the samples, and the slices where it is.
fn tasks(contests: &[Contest], paired: &[PairContest]) -> Vec<(String, Vec<String>)> {
    let of_labels = contests.iter().map(|contest| (contest.task_sentence(), contest.slice));
    let of_others = paired.iter().map(|contest| (contest.task_sentence().to_owned(), contest.slice));
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for (sentence, slice) in of_labels.chain(of_others) {
        match told.iter_mut().find(|(other, _)| *other == sentence) {
            Some((_, slices)) => slices.push(code(&slice.id)),
            None => told.push((sentence, vec![code(&slice.id)])),
        }
    }
    told
}
