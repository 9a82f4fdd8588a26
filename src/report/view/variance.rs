//! Where the differences between cells come from: which choices matter, and which matter together.

use super::comparison::ALPHA;
use super::contest::{AXES, Contest, Entry};
use super::pairs::{PairContest, PairEntry};
use crate::report::document::{Block, Column};
use crate::report::escape::code;
use crate::report::number::{bare_p, counted, decimal, percent};
use crate::results::{Axis, CellRecord, RunRecord};
use crate::spec::TaskKind;
use crate::stats::{self, RESAMPLES, Source, number};

/// Interactions with a smaller share that may be noise are not listed.
const SMALL: f64 = 0.01;

/// Most additions that resampling the cells of a run may take.
const WORK: usize = 4_000_000_000;

/// Fewest resamples, whatever the work.
const LEAST: usize = 200;

/// Scored cells of one metric: their values, and those on resamples of each slice's samples.
struct Grid<'a> {
    metric: &'static str,
    cells: Vec<&'a CellRecord>,
    values: Vec<f64>,
    /// Shape: `[resamples, cells]`.
    drawn: Vec<Vec<f64>>,
}

pub fn blocks(run: &RunRecord, paired: &[PairContest]) -> Vec<Block> {
    let mut metrics: Vec<&str> = paired.iter().map(PairContest::metric_title).collect();
    metrics.dedup();
    let of_pairs = metrics.iter().map(|metric| pairs(paired.iter().filter(|contest| contest.metric_title() == *metric)));
    let everywhere = Contest::everywhere(run);
    let mut tasks: Vec<TaskKind> = everywhere.iter().map(|contest| contest.task).collect();
    tasks.dedup();
    let of_labels = tasks.iter().map(|task| labels(run, everywhere.iter().filter(|contest| contest.task == *task)));
    let all: Vec<Grid> = of_labels.flatten().chain(of_pairs.flatten()).collect();
    let told: Vec<Vec<Block>> = all.iter().map(|cells| told(run, cells)).filter(|blocks| !blocks.is_empty()).collect();
    if told.is_empty() {
        return Vec::new();
    }
    let heading = Block::Heading(3, "Which choices matter, and which matter together".to_owned());
    std::iter::once(heading).chain(told.into_iter().flatten()).collect()
}

/// The cells of language models in one task that gives labels, on all slices; those of the floor where there are no others.
fn labels<'a: 'c, 'c>(run: &RunRecord, contests: impl Iterator<Item = &'c Contest<'a>> + Clone) -> Option<Grid<'a>> {
    let with_models = contests.clone().any(|contest| contest.best_model().is_some());
    let shown = |entry: &&Entry| !(entry.right.is_empty() || with_models && entry.floor);
    let work: usize = contests.clone().map(|contest| contest.entries.len() * contest.samples.len()).sum();
    let resamples = (WORK / work.max(1)).clamp(LEAST, RESAMPLES);
    let parts = contests.map(|contest| {
        let mut entries: Vec<&Entry> = contest.entries.iter().filter(shown).collect();
        entries.sort_by_key(|entry| entry.order);
        let right: Vec<&[bool]> = entries.iter().map(|entry| entry.right.as_slice()).collect();
        Grid {
            metric: "accuracy",
            drawn: stats::shares_drawn(&right, run.provenance.seed, resamples),
            values: entries.iter().map(|entry| entry.accuracy.value).collect(),
            cells: entries.iter().map(|entry| entry.cell).collect(),
        }
    });
    parts.reduce(Grid::beside)
}

/// Likewise of pairs, whose figures are on resamples already.
fn pairs<'a: 'c, 'c>(contests: impl Iterator<Item = &'c PairContest<'a>> + Clone) -> Option<Grid<'a>> {
    let with_models = contests.clone().any(|contest| contest.entries.iter().any(|entry| !entry.floor));
    let parts = contests.map(|contest| {
        let mut entries: Vec<&PairEntry> = contest.entries.iter().filter(|entry| !(with_models && entry.floor)).collect();
        entries.sort_by_key(|entry| entry.order);
        let drawn =
            |resample: usize| -> Option<Vec<f64>> { entries.iter().map(|entry| *entry.drawn().get(resample)?).collect() };
        Grid {
            metric: contest.metric_title(),
            drawn: (0..RESAMPLES).filter_map(drawn).collect(),
            values: entries.iter().map(|entry| entry.value.value).collect(),
            cells: entries.iter().map(|entry| entry.cell).collect(),
        }
    });
    parts.reduce(Grid::beside)
}

impl Grid<'_> {
    /// These cells and those of another slice.
    fn beside(mut self, other: Self) -> Self {
        self.cells.extend(other.cells);
        self.values.extend(other.values);
        self.drawn = self.drawn.into_iter().zip(other.drawn).map(|(own, other)| [own, other].concat()).collect();
        self
    }

    /// The level of each cell on an axis: places among the axis's ids, in the order of the plan.
    fn levels(&self, axis: Axis) -> Vec<usize> {
        let mut ids: Vec<&str> = Vec::new();
        let mut levels = Vec::new();
        for cell in &self.cells {
            let id = cell.choices.on(axis);
            let level = ids.iter().position(|known| *known == id).unwrap_or(ids.len());
            if level == ids.len() {
                ids.push(id);
            }
            levels.push(level);
        }
        levels
    }

    /// The cells at these places.
    fn part(&self, places: &[usize]) -> Self {
        let of = |values: &[f64]| places.iter().map(|&place| values[place]).collect::<Vec<f64>>();
        Self {
            metric: self.metric,
            cells: places.iter().map(|&place| self.cells[place]).collect(),
            values: of(&self.values),
            drawn: self.drawn.iter().map(|resample| of(resample)).collect(),
        }
    }
}

fn told(run: &RunRecord, cells: &Grid) -> Vec<Block> {
    let axes: Vec<Axis> = AXES.into_iter().chain([Axis::Slice]).collect();
    let all: Vec<Vec<usize>> = axes.iter().map(|&axis| cells.levels(axis)).collect();
    let kept = cells.part(&stats::complete(&all));
    let varies = |axis: &Axis| kept.levels(*axis).iter().any(|level| *level > 0);
    let axes: Vec<Axis> = axes.into_iter().filter(varies).collect();
    let levels: Vec<Vec<usize>> = axes.iter().map(|&axis| kept.levels(axis)).collect();
    if axes.len() < 2 {
        return Vec::new();
    }
    let sources = stats::sources(&levels, &kept.values, &kept.drawn);
    let correction = run.provenance.correction;
    let adjusted = correction.adjust(&sources.iter().map(|source| source.p_value).collect::<Vec<_>>());
    let mut rows: Vec<(&Source, f64)> = sources.iter().zip(adjusted).collect();
    rows.sort_by(|(a, _), (b, _)| b.share.total_cmp(&a.share));
    if rows.is_empty() {
        return Vec::new();
    }
    let (shown, small): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(source, p)| source.factors.len() == 1 || source.share >= SMALL || *p < ALPHA);
    let name = |source: &Source| match source.factors.as_slice() {
        [] => "three and more together".to_owned(),
        factors => factors.iter().map(|&factor| axes[factor].name()).collect::<Vec<_>>().join(" × "),
    };
    let row = |(source, p): &(&Source, f64)| {
        let title = if source.factors.len() == 1 { format!("**{}**", name(source)) } else { name(source) };
        // Drawn samples may move the cells by more than they differ.
        let by_chance = if source.by_chance > 1.0 { "more than all".to_owned() } else { percent(source.by_chance) };
        vec![title, percent(source.share), by_chance, bare_p(*p)]
    };
    let columns = vec![
        Column::words("choice"),
        Column::numbers("share of the variance"),
        Column::numbers("by chance alone"),
        Column::numbers(format!("p ({})", correction.short())),
    ];
    let table = Block::table(columns, shown.iter().map(row).collect());
    let mut told = vec![preface(&kept, cells.cells.len())];
    told.push(together(&shown, &axes));
    if !small.is_empty() {
        let sum: f64 = small.iter().map(|(source, _)| source.share).sum();
        let rest = counted(small.len(), "interaction");
        told.push(format!("Not listed: {rest} with {} together, which may be noise.", percent(sum)));
    }
    vec![Block::Paragraph(told.join(" ")), table]
}

fn preface(kept: &Grid, all: usize) -> String {
    let mean = kept.values.iter().sum::<f64>() / number(kept.values.len());
    let squares: f64 = kept.values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = decimal(100.0 * (squares / number(kept.values.len())).sqrt(), 1);
    let complete = match all - kept.cells.len() {
        0 => String::new(),
        left => format!(" ({left} others are not part of a complete grid)"),
    };
    format!(
        "The {} of {}{complete} spreads by {deviation} points around its mean (standard deviation); these are the shares of its variance. A choice alone moves all cells that have it, two together move theirs by more or less than each alone would. Chance in the choice of samples gives every row a share as well; p is how often as large a one.",
        kept.metric,
        counted(kept.cells.len(), "cell"),
    )
}

/// What the clear interactions mean for whoever picks one choice after the other.
fn together(shown: &[(&Source, f64)], axes: &[Axis]) -> String {
    let clear: Vec<String> = shown
        .iter()
        .filter_map(|(source, p)| match source.factors.as_slice() {
            &[a, b] if *p < ALPHA => Some(format!("{} and {}", code(axes[a].name()), code(axes[b].name()))),
            _ => None,
        })
        .collect();
    if clear.is_empty() {
        return "No two choices clearly matter together: each can be picked by itself.".to_owned();
    }
    format!("Pick together, as the best of one depends on the other: {}.", clear.join("; "))
}
