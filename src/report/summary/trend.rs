//! How one cell went from run to run.

use super::gather::Entry;
use crate::report::document::{Block, Column, Figure};
use crate::report::escape::{code, shorten, text};
use crate::report::number::{counted, decimal, p_value, percent, points, points_range};
use crate::report::plot::{Drawing, Ink, Line, Plane, Point};
use crate::results::{Answers, Axis, CellOutcomes, Choices, Outcomes, SliceRecord};
use crate::spec::{Aggregate, Task};
use crate::stats::{self, Agreement, Clusters, Estimate};

/// Differences less likely than this under chance alone are not called noise.
const ALPHA: f64 = 0.05;

/// Seed of the resamples of pairs.
const SEED: u64 = 42;

/// Most dates under a figure.
const TICKS: usize = 8;

/// The cells of one name, run by run.
pub struct Trend<'a> {
    choices: &'a Choices,
    metric: &'a str,
    stops: Vec<Stop<'a>>,
}

/// The cell in one run.
struct Stop<'a> {
    entry: &'a Entry,
    cell: &'a CellOutcomes,
    value: Estimate,
    /// Difference to the run before and its p-value.
    step: Option<Tested>,
}

/// A difference and its p-value, or why it is not tested.
type Tested = Result<(Estimate, f64), Untested>;

/// Why a difference is not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Untested {
    #[error("the samples are not the same, so the difference is not tested")]
    OtherSamples,
    #[error("what is kept of the runs does not tell whether the difference is noise")]
    NotKept,
}

/// No cell has the name that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("no cell of these runs is `{name}`: write the beginning of an id, or choices such as `{example}`")]
pub struct Unmatched {
    name: String,
    example: String,
}

impl<'a> Trend<'a> {
    /// The trends of the cells of this name, or of the best cells of the latest run of each name; only of cells that two runs
    /// have, unless they were asked for.
    pub fn all(entries: &'a [Entry], cell: Option<&str>) -> Result<Vec<Self>, Unmatched> {
        let cells = || entries.iter().flat_map(|entry| &entry.outcomes.cells);
        let mut named: Vec<&Choices> = match cell {
            Some(name) => cells().filter(|cell| is_called(cell, name)).map(|cell| &cell.choices).collect(),
            None => best(entries),
        };
        named.sort();
        named.dedup();
        if let (Some(name), true) = (cell, named.is_empty()) {
            let example = cells().next().map_or(String::new(), |cell| told(&cell.choices));
            return Err(Unmatched { name: name.to_owned(), example });
        }
        let least = if cell.is_some() { 1 } else { 2 };
        Ok(named
            .into_iter()
            .filter_map(|choices| Self::of(choices, entries))
            .filter(|trend| trend.stops.len() >= least)
            .collect())
    }

    fn of(choices: &'a Choices, entries: &'a [Entry]) -> Option<Self> {
        let mut stops: Vec<Stop> = Vec::new();
        let mut metric = None;
        for entry in entries {
            let Some(cell) = entry.outcomes.cells.iter().find(|cell| cell.choices == *choices) else { continue };
            let Some((name, value)) = entry.values.get(&cell.id) else { continue };
            if metric.is_some_and(|metric| metric != name) {
                continue;
            }
            metric = Some(name);
            let step = stops.last().map(|before| difference(name, (entry, cell), (before.entry, before.cell)));
            stops.push(Stop { entry, cell, value: *value, step });
        }
        Some(Self { choices, metric: metric?, stops })
    }

    fn value(&self, value: f64) -> String {
        if matches!(self.metric, "accuracy" | "mean_accuracy") { percent(value) } else { decimal(100.0 * value, 2) }
    }

    /// What its way says.
    fn sentence(&self) -> String {
        let name = format!("**{}** on {}", text(&told(self.choices)), code(&self.choices.slice));
        let [first, .., last] = &self.stops[..] else {
            return format!("{name}: one run alone has it.");
        };
        let way = format!("{} {} to {}", self.metric, self.value(first.value.value), self.value(last.value.value));
        let verdict = match difference(self.metric, (last.entry, last.cell), (first.entry, first.cell)) {
            Ok((gap, p)) => {
                let range = gap.interval.map_or(String::new(), |ends| format!(", 95 % interval {}", points_range(ends)));
                let reading = match (p < ALPHA, gap.value < 0.0) {
                    (false, _) => "no more than noise",
                    (true, true) => "a loss that is not noise",
                    (true, false) => "a gain that is not noise",
                };
                format!("{} points from first to last{range}, {}: {reading}", points(gap.value), p_value(p))
            }
            Err(untested) => untested.to_string(),
        };
        let changed = if self.stops.iter().any(|stop| stop.cell.id != first.cell.id) {
            " Its content changed on the way, as its id tells."
        } else {
            ""
        };
        format!("{name}: {way} over {}; {verdict}.{changed}", counted(self.stops.len(), "run"))
    }
}

/// The best cells of the latest run of each name.
fn best(entries: &[Entry]) -> Vec<&Choices> {
    let mut named: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for entry in entries.iter().rev().filter(|entry| !entry.rankings.is_empty()) {
        if named.contains(&entry.name.as_str()) {
            continue;
        }
        named.push(&entry.name);
        let ids = entry.rankings.iter().filter_map(|ranking| Some(&ranking.standings.first()?.cell));
        found.extend(ids.filter_map(|id| Some(&entry.outcomes.cells.iter().find(|cell| cell.id == *id)?.choices)));
    }
    found
}

/// Whether a name is the beginning of the cell's id, or words that are all among its choices.
fn is_called(cell: &CellOutcomes, name: &str) -> bool {
    let words: Vec<&str> =
        name.split(|c: char| c.is_whitespace() || matches!(c, '·' | '/' | ',')).filter(|word| !word.is_empty()).collect();
    let chosen = |word: &&str| Axis::ALL.iter().any(|axis| cell.choices.on(*axis) == *word);
    !words.is_empty()
        && (words.iter().all(chosen) || (words.len() == 1 && words[0].len() >= 4 && cell.id.starts_with(words[0])))
}

/// A cell's choices that are to be named, but its slice.
fn told(choices: &Choices) -> String {
    let others = Axis::ALL.iter().filter(|axis| **axis != Axis::Slice && choices.names(**axis));
    others.map(|axis| choices.on(*axis)).collect::<Vec<_>>().join(" · ")
}

/// One run's cell minus another's in their metric, with its p-value: exact `McNemar` for accuracies, else by samples drawn again.
fn difference(metric: &str, (after, is): (&Entry, &CellOutcomes), (before, was): (&Entry, &CellOutcomes)) -> Tested {
    let slices = after.outcomes.slice(&is.choices.slice).zip(before.outcomes.slice(&was.choices.slice));
    let (new, _) = slices.filter(|(new, old)| new.digest == old.digest).ok_or(Untested::OtherSamples)?;
    let (Ok(answers), Ok(others)) = (&is.answers, &was.answers) else { return Err(Untested::NotKept) };
    if let ("accuracy", Answers::Labels(is), Answers::Labels(was)) = (metric, answers, others) {
        let gold = after.outcomes.gold.get(&new.id).ok_or(Untested::NotKept)?;
        let right = |answers: &[usize]| -> Vec<bool> { answers.iter().zip(gold).map(|(is, gold)| is == gold).collect() };
        let pair = stats::paired_accuracy(&right(is), &right(was));
        return Ok((pair.difference, pair.p_value));
    }
    let of = |answers| Redrawn::of(metric, answers, &after.outcomes, is, new);
    let (Some(is), Some(was)) = (of(answers), of(others)) else { return Err(Untested::NotKept) };
    let [is, was] = [is, was].map(|figure| figure.agreement.resampled(&figure.units, SEED));
    let gap = is.minus(&was);
    gap.estimate().map(|estimate| (estimate, gap.p_value())).ok_or(Untested::NotKept)
}

/// A figure that can be drawn again from what is kept, and which samples are drawn together.
struct Redrawn {
    agreement: Agreement,
    units: Clusters,
}

impl Redrawn {
    /// None where the figure is another one than the metric.
    fn of(metric: &str, answers: &Answers, outcomes: &Outcomes, cell: &CellOutcomes, slice: &SliceRecord) -> Option<Self> {
        let each = |samples: usize| Clusters::from_numbers((0..samples).collect());
        Some(match (metric, answers) {
            ("spearman" | "ap", Answers::Pairs { cosines, .. }) => {
                let pairs = outcomes.pairs.get(&slice.id)?;
                let task = outcomes.task(&cell.choices);
                let parts = match task {
                    Some(Task::Sts { aggregate: Aggregate::PerSubset, .. }) => pairs.parts(),
                    _ => Vec::new(),
                };
                let positive = || pairs.gold.iter().map(|gold| *gold > 0.5).collect();
                let agreement = match metric {
                    "ap" => Agreement::precision(std::slice::from_ref(cosines), positive()),
                    _ => Agreement::rank(cosines, &pairs.gold, &parts),
                };
                Self { agreement, units: pairs.clusters.clone() }
            }
            ("ndcg_at_10", Answers::Queries(figures)) => {
                Self { agreement: Agreement::mean(figures.clone()), units: each(figures.len()) }
            }
            ("v_measure", Answers::Clusters(clusters)) => {
                let gold = outcomes.gold.get(&slice.id)?;
                Self { agreement: Agreement::parts(gold.clone(), clusters.clone()), units: each(gold.len()) }
            }
            // Means over experiments or measures of which one alone is kept.
            _ => return None,
        })
    }
}

pub fn blocks(trends: &[Trend], cell: Option<&str>) -> Vec<Block> {
    if trends.is_empty() {
        let hint = if cell.is_some() { "" } else { "; name one with `--cell` to see it all the same" };
        return vec![Block::Paragraph(format!("No best cell of a run has a score in another of these runs{hint}."))];
    }
    let mut blocks = vec![Block::Bullets(trends.iter().map(Trend::sentence).collect())];
    let mut metrics: Vec<&str> = trends.iter().map(|trend| trend.metric).collect();
    metrics.sort_unstable();
    metrics.dedup();
    for (number, metric) in metrics.into_iter().enumerate() {
        let alike: Vec<&Trend> = trends.iter().filter(|trend| trend.metric == metric && trend.stops.len() > 1).collect();
        blocks.extend(figure(number + 1, metric, &alike).map(Block::Figure));
    }
    blocks.push(steps(trends));
    blocks
}

/// All steps in the order of time.
fn steps(trends: &[Trend]) -> Block {
    let mut columns = ["cell", "slice", "finished", "results", "id"].map(Column::words).to_vec();
    columns.extend(["value", "to the run before, points [95 %]", "p"].map(Column::numbers));
    let rows = trends.iter().flat_map(|trend| {
        trend.stops.iter().enumerate().map(move |(place, stop)| {
            let name = if place == 0 { text(&told(trend.choices)) } else { String::new() };
            let step = stop.step.and_then(Result::ok);
            let gap = step.map_or("–".to_owned(), |(gap, _)| {
                let ends = gap.interval.map_or(String::new(), |ends| format!(" [{}, {}]", points(ends.low), points(ends.high)));
                points(gap.value) + &ends
            });
            vec![
                name,
                text(&trend.choices.slice),
                super::day(stop.entry),
                code(&stop.entry.folder),
                code(&stop.cell.id),
                trend.value(stop.value.value),
                gap,
                super::p_or_dash(step.map(|(_, p)| p)),
            ]
        })
    });
    Block::table(columns, rows.collect())
}

/// The lines of cells with one metric; runs stand at equal steps in the order of time.
fn figure(number: usize, metric: &str, trends: &[&Trend]) -> Option<Figure> {
    let shown = &trends[..trends.len().min(Ink::IN_ORDER.len())];
    let mut runs: Vec<&Entry> = shown.iter().flat_map(|trend| trend.stops.iter().map(|stop| stop.entry)).collect();
    runs.sort_by(|a, b| (&a.finished, &a.folder).cmp(&(&b.finished, &b.folder)));
    runs.dedup_by_key(|entry| &entry.folder);
    let place = |entry: &Entry| stats::number(runs.iter().position(|run| run.folder == entry.folder).unwrap_or(0));
    let line = |(trend, ink): (&&Trend, Ink)| Line {
        name: shorten(&told(trend.choices), 34),
        ink,
        joined: true,
        points: trend
            .stops
            .iter()
            .map(|stop| Point { across: place(stop.entry), estimate: stop.value, name: String::new() })
            .collect(),
    };
    let every = runs.len().div_ceil(TICKS);
    let tick = |(place, entry): (usize, &&Entry)| (stats::number(place), date(entry, &runs));
    (!shown.is_empty()).then(|| Figure {
        file: if number == 1 { "trends.svg".to_owned() } else { format!("trends-{number}.svg") },
        alt: format!("{metric} of {} over {}", counted(shown.len(), "cell"), counted(runs.len(), "run")),
        caption: format!(
            "{metric}, times 100, from run to run at equal steps, with 95 % intervals of each value alone; the sentences above say which changes are more than noise."
        ),
        drawing: Drawing::Plane(Plane {
            across: "run, by the time it finished".to_owned(),
            ticks: runs.iter().enumerate().step_by(every).map(tick).collect(),
            up: format!("{metric}, × 100"),
            lines: shown.iter().zip(Ink::IN_ORDER).map(line).collect(),
            level: None,
        }),
    })
}

/// A run's day, or its time where all are of one day.
fn date(entry: &Entry, runs: &[&Entry]) -> String {
    let Some(finished) = &entry.finished else { return "no date".to_owned() };
    let day = |entry: &&Entry| entry.finished.as_ref().and_then(|finished| finished.get(..10).map(str::to_owned));
    let mut days: Vec<_> = runs.iter().filter_map(day).collect();
    days.dedup();
    let part = if days.len() == 1 { finished.get(11..16) } else { finished.get(..10) };
    part.unwrap_or(finished).to_owned()
}
