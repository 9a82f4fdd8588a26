//! The run's data as elements of the page: cells and slices as JSON, texts as JSON, arrays of answers and scores.
//!
//! A page is a file that people mail: what would make it huge is kept for the best cells alone, and the page says so.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arena::{self, Arena, Ranked, Shown};
use super::arrays::Arrays;
use super::texts::{self, Losses, Texts};
use crate::report::escape;
use crate::report::view::{AXES, Chart, Contests};
use crate::results::{Axis, CellRecord, Gold, Outcome, PromptRecord, RunRecord, SampleRow, SampleText};
use crate::spec::TaskKind;
use crate::stats::Estimate;

/// Most bytes of answers, of scores and of texts, before base64.
struct Limits {
    answers: usize,
    scores: usize,
    texts: usize,
}

const LIMITS: Limits = Limits { answers: 12 << 20, scores: 24 << 20, texts: 24 << 20 };

#[derive(Serialize)]
struct Run<'a> {
    axes: Vec<&'static str>,
    slices: Vec<Slice>,
    prompts: Vec<Prompt<'a>>,
    cells: Vec<Cell<'a>>,
    /// How p-values are corrected, as a column's head has it.
    correction: &'static str,
    /// Most characters of a text, when some are shortened.
    shortened: Option<usize>,
    /// Whether the results say which characters were cut.
    cuts_known: bool,
    /// Models behind servers, which may cut by themselves.
    servers: Vec<&'a str>,
}

#[derive(Serialize)]
struct Slice {
    id: String,
    task: &'static str,
    /// The slice's id, with the task where it has several.
    title: String,
    /// `labels` of texts, `scores` of pairs or `classes` of pairs.
    kind: &'static str,
    labels: Vec<String>,
    samples: usize,
    /// What cells are ranked by, then what else is shown.
    metrics: Vec<Shown>,
    /// Place of the slice that cells are ranked by.
    chosen_on: Option<usize>,
    /// Place of the reference among the cells.
    reference: Option<usize>,
    /// The right label, or the score, of each sample.
    gold: usize,
    /// Cells of pairs that are compared with each other, and the array of each minus each after it: value, ends of the interval
    /// and p, NaN where there is none.
    compared: Vec<usize>,
    gaps: Option<usize>,
    map: Option<Map>,
}

/// The map of a slice's texts: the file of the figure, the cell it is of, and arrays of its spots.
#[derive(Serialize)]
struct Map {
    file: String,
    cell: Option<usize>,
    /// Place of each text in its slice.
    samples: usize,
    /// Unit: pixels of the figure.
    x: usize,
    y: usize,
}

#[derive(Serialize)]
struct Prompt<'a> {
    id: String,
    views: Vec<String>,
    truncate: &'a str,
    clean: &'a str,
    chat: Option<Chat>,
}

/// What surrounds a view in the model's chat format.
#[derive(Serialize)]
struct Chat {
    system: Option<String>,
    answer: Option<String>,
}

#[derive(Serialize)]
struct Cell<'a> {
    id: &'a str,
    choices: Vec<String>,
    slice: usize,
    /// Why there are no numbers.
    failed: Option<String>,
    rank: Option<usize>,
    floor: bool,
    /// The metric where the ranking comes from, when that is another slice.
    on_dev: Option<f64>,
    /// The metric minus the reference's with its interval, and its p corrected.
    difference: Option<Ends>,
    p: Option<f64>,
    metrics: BTreeMap<&'a str, Ends>,
    /// Places of arrays; absent where they are not kept.
    predicted: Option<usize>,
    scores: Option<usize>,
    tokens: Option<usize>,
    cut: Option<usize>,
    /// What texts lost to cuts: [`Losses`].
    left_out: Option<usize>,
}

/// Value and ends of the interval.
type Ends = [Option<f64>; 3];

fn ends(estimate: Estimate) -> Ends {
    let (low, high) = estimate.interval.map(|interval| (interval.low, interval.high)).unzip();
    [Some(estimate.value), low, high]
}

/// The elements that the page's script reads.
///
/// # Errors
/// When the JSON library fails.
pub fn elements(run: &RunRecord, contests: &Contests) -> Result<String, serde_json::Error> {
    within(run, contests, &LIMITS)
}

fn within(run: &RunRecord, contests: &Contests, limits: &Limits) -> Result<String, serde_json::Error> {
    // Slices that the report is about come first, in its order, then those that choices come from.
    let first = contests.labels.iter().map(Arena::from).chain(contests.pairs.iter().map(Arena::from));
    let then = contests.labels_of_dev.iter().map(Arena::from).chain(contests.pairs_of_dev.iter().map(Arena::from));
    let mut arenas: Vec<Arena> = first.collect();
    arenas.sort_by_key(|arena| run.provenance.place(arena.task));
    arenas.extend(then);
    let mut arrays = Arrays::default();
    let mut slices: Vec<Slice> = arenas.iter().map(|arena| slice(run, &arenas, arena, &mut arrays)).collect();
    for contest in &contests.labels {
        let own = |arena: &Arena| arena.slice.id == contest.slice.id && arena.task == contest.task;
        if let Some(slice) = arenas.iter().position(own).and_then(|place| slices.get_mut(place)) {
            slice.map = Chart::of(contest).map(|chart| map(run, chart, &mut arrays));
        }
    }
    let mut cells: Vec<Cell> = run.cells.iter().map(|cell| unranked(cell, &arenas)).collect();
    for arena in &arenas {
        place(arena, &mut cells);
    }
    keep_outcomes(&arenas, limits, &mut cells, &mut arrays);
    let mut losses = Losses::of(run);
    for (cell, record) in cells.iter_mut().zip(&run.cells).filter(|(cell, _)| cell.tokens.is_some()) {
        cell.left_out = losses.array(record, &mut arrays);
    }
    let length = texts::length(&arenas.iter().flat_map(|arena| arena.samples), limits.texts);
    let axes = all_axes().map(Axis::name).collect();
    let prompts = run.provenance.prompts.iter().map(prompt).collect();
    let correction = run.provenance.correction.short();
    let servers = run.provenance.models.iter().filter(|model| model.endpoint.is_some()).map(|model| model.id.as_str());
    let described = Run {
        axes,
        slices,
        prompts,
        correction,
        cells,
        shortened: length,
        cuts_known: run.cuts.is_some(),
        servers: servers.collect(),
    };
    let mut elements = String::new();
    element("run", &described, &mut elements)?;
    for (place, arena) in arenas.iter().enumerate() {
        let texts = Texts { samples: arena.samples, length };
        elements.reserve(texts.bytes());
        element(&format!("texts-{place}"), &texts, &mut elements)?;
    }
    arrays.elements(&mut elements);
    Ok(elements)
}

/// The axes of the page: those of a contest, then the two that tell contests apart.
fn all_axes() -> impl Iterator<Item = Axis> {
    AXES.into_iter().chain([Axis::Slice, Axis::Task])
}

/// Adds an element. In place, as all that makes a page: its copies would be as large as the page.
fn element(id: &str, value: &impl Serialize, to: &mut String) -> Result<(), serde_json::Error> {
    to.extend(["<script type=\"application/json\" id=\"", id, "\">"]);
    serde_json::to_writer(escape::Json(to), value)?;
    to.push_str("</script>\n");
    Ok(())
}

fn slice(run: &RunRecord, arenas: &[Arena], arena: &Arena, arrays: &mut Arrays) -> Slice {
    let place = |id: &str| arenas.iter().position(|other| other.slice.id == id && other.task == arena.task);
    let several = arenas.iter().filter(|other| other.slice.id == arena.slice.id).count() > 1;
    let id = escape::one_line(&arena.slice.id);
    let reference = arena.reference.and_then(|rank| arena.entries.get(rank)).map(|entry| &entry.cell.id);
    let place_of = |entry: &Ranked| run.cells.iter().position(|cell| cell.id == entry.cell.id);
    let compared = arena.entries.iter().take(arena::COMPARED).filter_map(place_of);
    let labels: Vec<usize> = arena.samples.iter().filter_map(|sample| sample.gold.label()).collect();
    let score = |sample: &SampleText| match sample.gold {
        Gold::Score(score) => Some(score),
        Gold::Label(_) | Gold::Unlabelled => None,
    };
    let scores: Vec<f64> = arena.samples.iter().filter_map(score).collect();
    Slice {
        title: if several { format!("{id}, {}", arena.task) } else { id.clone() },
        id,
        task: arena.task.name(),
        kind: arena::kind(arena),
        labels: arena.slice.labels.iter().map(|label| escape::one_line(label)).collect(),
        samples: arena.samples.len(),
        metrics: arena.metrics.clone(),
        chosen_on: arena.chosen_on.and_then(|slice| place(&slice.id)),
        reference: reference.and_then(|id| run.cells.iter().position(|cell| cell.id == *id)),
        gold: if scores.is_empty() { arrays.counts(&labels) } else { arrays.numbers(&scores) },
        compared: if arena.gaps.is_empty() { Vec::new() } else { compared.collect() },
        gaps: (!arena.gaps.is_empty()).then(|| arrays.numbers(&gaps(arena))),
        map: None,
    }
}

fn gaps(arena: &Arena) -> Vec<f64> {
    let row = |gap: &Option<(Estimate, f64)>| {
        let number = |of: fn(&(Estimate, f64)) -> Option<f64>| gap.as_ref().and_then(of).unwrap_or(f64::NAN);
        [
            number(|(gap, _)| Some(gap.value)),
            number(|(gap, _)| Some(gap.interval?.low)),
            number(|(gap, _)| Some(gap.interval?.high)),
            number(|(_, p)| Some(*p)),
        ]
    };
    arena.gaps.iter().flat_map(row).collect()
}

fn map(run: &RunRecord, chart: Chart, arrays: &mut Arrays) -> Map {
    let pixels = chart.map.pixels();
    let mut along = |of: fn(&(i32, i32)) -> i32| {
        arrays.counts(&pixels.iter().map(|at| usize::try_from(of(at)).unwrap_or(0)).collect::<Vec<_>>())
    };
    Map {
        cell: run.cells.iter().position(|cell| cell.id == chart.best.cell.id),
        x: along(|at| at.0),
        y: along(|at| at.1),
        samples: arrays.counts(&chart.indices),
        file: chart.file,
    }
}

fn prompt(prompt: &PromptRecord) -> Prompt<'_> {
    Prompt {
        id: escape::one_line(&prompt.id),
        views: prompt.views.iter().map(|view| escape::in_place(view)).collect(),
        truncate: &prompt.truncate,
        clean: &prompt.clean,
        chat: prompt.chat.as_ref().map(|chat| Chat {
            system: chat.system.as_deref().map(escape::lines),
            answer: chat.answer.as_deref().map(escape::lines),
        }),
    }
}

/// A cell with what its record alone says.
fn unranked<'a>(cell: &'a CellRecord, arenas: &[Arena]) -> Cell<'a> {
    let choices = all_axes().map(|axis| escape::one_line(cell.choices.on(axis)));
    let whole = cell.metrics().iter().filter(|row| row.label.is_none());
    Cell {
        id: &cell.id,
        choices: choices.collect(),
        slice: arenas.iter().position(|arena| arena.has(cell)).unwrap_or(0),
        failed: cell.failure().or(undefined(cell)).map(escape::one_line),
        rank: None,
        floor: false,
        on_dev: None,
        difference: None,
        p: None,
        metrics: whole.filter_map(|row| Some((row.name.as_str(), ends(row.estimate?)))).collect(),
        predicted: None,
        scores: None,
        tokens: None,
        cut: None,
        left_out: None,
    }
}

/// Why the metric that a cell is ranked by is not defined.
fn undefined(cell: &CellRecord) -> Option<&str> {
    cell.headline()?.reason.as_deref()
}

/// The page's cell of an entry.
fn of<'c, 'a>(cells: &'c mut [Cell<'a>], entry: &Ranked) -> Option<&'c mut Cell<'a>> {
    cells.iter_mut().find(|cell| cell.id == entry.cell.id)
}

/// Adds what the ranking of a slice says of its cells.
fn place(arena: &Arena, cells: &mut [Cell]) {
    for (i, entry) in arena.entries.iter().enumerate() {
        let Some(cell) = of(cells, entry) else { continue };
        cell.rank = Some(i + 1);
        cell.floor = entry.floor;
        cell.on_dev = entry.on_dev;
        cell.p = entry.p;
        cell.difference = entry.difference.filter(|_| arena.reference != Some(i)).map(ends);
    }
}

/// Answers, tokens and scores, for as many cells as there is room for: of each slice the best cell, the floor and the
/// reference, then the others as they are ranked.
fn keep_outcomes(arenas: &[Arena], limits: &Limits, cells: &mut [Cell], arrays: &mut Arrays) {
    let (mut answers, mut scores) = (limits.answers, limits.scores);
    for entry in arena::by_worth(arenas) {
        let (samples, Some(cell)) = (entry.samples(), of(cells, entry)) else { continue };
        if samples == 0 {
            continue;
        }
        match &entry.cell.outcome {
            Outcome::Scored(scored) => {
                let column = |get: fn(SampleRow) -> usize| -> Vec<usize> { scored.samples.iter().map(get).collect() };
                // Tokens are those of a model and a prompt, which many cells share.
                if take(&mut answers, 2 * samples) {
                    cell.predicted = Some(arrays.counts(&column(|sample| sample.predicted)));
                    cell.tokens = Some(arrays.counts(&column(|sample| sample.tokens)));
                    cell.cut = Some(arrays.counts(&column(|sample| sample.cut)));
                    if !scored.scores.is_empty() && take(&mut scores, 4 * scored.scores.len()) {
                        cell.scores = Some(arrays.scores(&scored.scores));
                    }
                }
            }
            // Queries and clusters are told by their cell's figures alone.
            Outcome::Measured(paired) => {
                if of_pairs(entry.cell.choices.task) && take(&mut scores, 8 * samples) {
                    cell.tokens = Some(arrays.counts(&paired.samples.iter().map(|sample| sample.tokens).collect::<Vec<_>>()));
                    cell.cut = Some(arrays.counts(&paired.samples.iter().map(|sample| sample.cut).collect::<Vec<_>>()));
                    cell.scores = Some(arrays.numbers(&paired.cosines()));
                }
            }
            Outcome::Failed { .. } => {}
        }
    }
}

/// Whether the task scores pairs of texts.
const fn of_pairs(task: TaskKind) -> bool {
    matches!(task, TaskKind::Sts | TaskKind::PairClassification)
}

/// Takes so many bytes from a budget, if they are left.
fn take(left: &mut usize, bytes: usize) -> bool {
    let enough = bytes <= *left;
    *left -= if enough { bytes } else { 0 };
    enough
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::demo;
    use crate::report::view::Contest;

    fn cells(run: &RunRecord, limits: &Limits) -> (Vec<serde_json::Value>, serde_json::Value) {
        let text = within(run, &Contests::of(run), limits).unwrap();
        let json = text.lines().next().unwrap();
        let json =
            json.strip_prefix("<script type=\"application/json\" id=\"run\">").unwrap().strip_suffix("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        (data["cells"].as_array().unwrap().clone(), data["shortened"].clone())
    }

    #[test]
    fn a_small_run_is_kept_whole() {
        let (cells, shortened) = cells(&demo(), &LIMITS);
        let kept = cells.iter().filter(|cell| !cell["scores"].is_null() && !cell["predicted"].is_null()).count();
        assert_eq!((cells.len(), kept, shortened), (26, 24, serde_json::Value::Null));
    }

    #[test]
    fn of_a_large_run_the_best_cell_the_reference_and_the_floor_are_kept_first() {
        let run = demo();
        // Room for the answers of five cells over 160 texts, the scores of three, and most of the texts.
        let limits = Limits { answers: 5 * 2 * 160, scores: 3 * 4 * 160 * 6, texts: 40_000 };
        let (cells, shortened) = cells(&run, &limits);
        let kept = |what: &str| -> Vec<usize> { (0..cells.len()).filter(|&i| !cells[i][what].is_null()).collect() };
        let contests = Contest::all(&run);
        let [contest] = &contests[..] else { panic!("one slice") };
        let mut first: Vec<usize> =
            [contest.best(), contest.reference_entry(), contest.floor()].map(|entry| entry.unwrap().order).into();
        first.sort_unstable();
        assert_eq!(kept("scores"), first);
        assert_eq!(kept("predicted").len(), 5);
        assert_eq!(shortened, 60);
    }
}
