//! The run's data as elements of the page: cells and slices as JSON, texts as JSON, arrays of answers and scores.
//!
//! A page is a file that people mail: what would make it huge is kept for the best cells alone, and the page says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::arrays::Arrays;
use crate::report::escape;
use crate::report::view::{AXES, Contest, Entry, adjusted_p};
use crate::results::{Axis, CellRecord, PromptRecord, RunRecord, SampleRow, SampleText};
use crate::stats::Estimate;

/// Most bytes of answers, of scores and of texts, before base64.
struct Limits {
    answers: usize,
    scores: usize,
    texts: usize,
}

const LIMITS: Limits = Limits { answers: 12 << 20, scores: 24 << 20, texts: 24 << 20 };

/// Most characters of a text, where whole texts would be too many.
const LENGTHS: [usize; 10] = [4000, 2000, 1000, 500, 300, 200, 150, 100, 60, 0];

#[derive(Serialize)]
struct Run<'a> {
    axes: Vec<&'static str>,
    slices: Vec<Slice>,
    prompts: Vec<Prompt<'a>>,
    cells: Vec<Cell<'a>>,
    /// Whether the run has cells of pairs too: the page shows those as `report.md` does.
    pairs: bool,
    /// How p-values are corrected, as a column's head has it.
    correction: &'static str,
    /// Most characters of a text, when some are shortened.
    shortened: Option<usize>,
}

#[derive(Serialize)]
struct Slice {
    id: String,
    task: &'static str,
    /// The slice's id, with the task where it has several.
    title: String,
    labels: Vec<String>,
    samples: usize,
    /// Place of the slice that cells are ranked by.
    chosen_on: Option<usize>,
    /// Place of the reference among the cells.
    reference: Option<usize>,
    gold: usize,
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
    /// Accuracy where the ranking comes from, when that is another slice.
    on_dev: Option<f64>,
    /// Accuracy minus the reference's, and its exact p, corrected.
    difference: Option<f64>,
    p: Option<f64>,
    /// Value and ends of the interval.
    metrics: BTreeMap<&'a str, [Option<f64>; 3]>,
    /// Places of arrays; absent where they are not kept.
    predicted: Option<usize>,
    scores: Option<usize>,
    tokens: Option<usize>,
    cut: Option<usize>,
}

#[derive(Serialize)]
struct Texts {
    ids: Vec<String>,
    texts: Vec<String>,
}

/// The elements that the page's script reads.
///
/// # Errors
/// When the JSON library fails.
pub fn elements(run: &RunRecord) -> Result<String, serde_json::Error> {
    within(run, &LIMITS)
}

fn within(run: &RunRecord, limits: &Limits) -> Result<String, serde_json::Error> {
    let contests = Contest::everywhere(run);
    let on_labels = |cell: &&CellRecord| contests.iter().any(|contest| contest.has(cell));
    let kept: Vec<&CellRecord> = run.cells.iter().filter(on_labels).collect();
    let mut arrays = Arrays::default();
    let slices: Vec<Slice> = contests.iter().map(|contest| slice(&kept, &contests, contest, &mut arrays)).collect();
    let mut cells: Vec<Cell> = kept.iter().map(|cell| unranked(cell, &contests)).collect();
    for contest in &contests {
        place(contest, &mut cells);
    }
    keep_outcomes(&contests, limits, &mut cells, &mut arrays);
    let length = length(&contests, limits.texts);
    let axes = all_axes().map(Axis::name).collect();
    let prompts = run.provenance.prompts.iter().map(prompt).collect();
    let (pairs, correction) = (kept.len() < run.cells.len(), run.provenance.correction.short());
    let json = serde_json::to_string(&Run { axes, slices, prompts, pairs, correction, cells, shortened: length })?;
    let mut text = element("run", &json);
    for (place, contest) in contests.iter().enumerate() {
        text.push_str(&element(&format!("texts-{place}"), &serde_json::to_string(&texts(contest.samples, length))?));
    }
    Ok(text + &arrays.elements())
}

/// The axes of the page: those of a contest, then the two that tell contests apart.
fn all_axes() -> impl Iterator<Item = Axis> {
    AXES.into_iter().chain([Axis::Slice, Axis::Task])
}

fn element(id: &str, json: &str) -> String {
    format!("<script type=\"application/json\" id=\"{id}\">{}</script>\n", escape::json(json))
}

fn slice(kept: &[&CellRecord], contests: &[Contest], contest: &Contest, arrays: &mut Arrays) -> Slice {
    let dev = |id: &str| contests.iter().position(|other| other.slice.id == id && other.task == contest.task);
    let several = contests.iter().filter(|other| other.slice.id == contest.slice.id).count() > 1;
    let id = escape::one_line(&contest.slice.id);
    let reference = contest.reference_entry().map(|entry| &entry.cell.id);
    let gold: Vec<usize> = contest.samples.iter().filter_map(|sample| sample.gold.label()).collect();
    Slice {
        title: if several { format!("{id}, {}", contest.task) } else { id.clone() },
        id,
        task: contest.task.name(),
        labels: contest.slice.labels.iter().map(|label| escape::one_line(label)).collect(),
        samples: contest.samples.len(),
        chosen_on: contest.chosen_on.and_then(|slice| dev(&slice.id)),
        reference: reference.and_then(|id| kept.iter().position(|cell| cell.id == *id)),
        gold: arrays.counts(&gold),
    }
}

fn prompt(prompt: &PromptRecord) -> Prompt<'_> {
    Prompt {
        id: escape::one_line(&prompt.id),
        views: prompt.views.iter().map(|view| escape::lines(view)).collect(),
        truncate: &prompt.truncate,
        clean: &prompt.clean,
        chat: prompt.chat.as_ref().map(|chat| Chat {
            system: chat.system.as_deref().map(escape::lines),
            answer: chat.answer.as_deref().map(escape::lines),
        }),
    }
}

/// A cell with what its record alone says.
fn unranked<'a>(cell: &'a CellRecord, contests: &[Contest]) -> Cell<'a> {
    let choices = all_axes().map(|axis| escape::one_line(cell.choices.on(axis)));
    let whole = cell.metrics().iter().filter(|row| row.label.is_none());
    let ends = |estimate: Estimate| {
        let (low, high) = estimate.interval.map(|interval| (interval.low, interval.high)).unzip();
        [Some(estimate.value), low, high]
    };
    Cell {
        id: &cell.id,
        choices: choices.collect(),
        slice: contests.iter().position(|contest| contest.has(cell)).unwrap_or(0),
        failed: cell.failure().map(escape::one_line),
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
    }
}

/// The page's cell of an entry.
fn of<'c, 'a>(cells: &'c mut [Cell<'a>], entry: &Entry) -> Option<&'c mut Cell<'a>> {
    cells.iter_mut().find(|cell| cell.id == entry.cell.id)
}

/// Adds what the ranking of a slice says of its cells.
fn place(contest: &Contest, cells: &mut [Cell]) {
    let p = adjusted_p(contest);
    let reference = contest.reference_entry();
    for (i, entry) in contest.entries.iter().enumerate() {
        let Some(cell) = of(cells, entry) else { continue };
        cell.rank = Some(i + 1);
        cell.floor = entry.floor;
        cell.on_dev = entry.dev_accuracy().map(|accuracy| accuracy.value);
        cell.p = p.get(i).copied().flatten();
        let others = reference.filter(|reference| reference.cell.id != entry.cell.id);
        cell.difference = others.map(|reference| entry.accuracy.value - reference.accuracy.value);
    }
}

/// Answers, tokens and scores, for as many cells as there is room for: of each slice the best cell, the floor and the
/// reference, then the others as they are ranked.
fn keep_outcomes(contests: &[Contest], limits: &Limits, cells: &mut [Cell], arrays: &mut Arrays) {
    let (mut answers, mut scores) = (limits.answers, limits.scores);
    for entry in by_worth(contests) {
        let (scored, Some(cell)) = (entry.scored, of(cells, entry)) else { continue };
        if scored.samples.is_empty() {
            continue;
        }
        let column = |get: fn(&SampleRow) -> usize| -> Vec<usize> { scored.samples.iter().map(get).collect() };
        // Tokens are those of a model and a prompt, which many cells share.
        if take(&mut answers, 2 * scored.samples.len()) {
            cell.predicted = Some(arrays.counts(&column(|sample| sample.predicted)));
            cell.tokens = Some(arrays.counts(&column(|sample| sample.tokens)));
            cell.cut = Some(arrays.counts(&column(|sample| sample.cut)));
            if !scored.scores.is_empty() && take(&mut scores, 4 * scored.scores.len()) {
                cell.scores = Some(arrays.scores(&scored.scores));
            }
        }
    }
}

/// Takes so many bytes from a budget, if they are left.
fn take(left: &mut usize, bytes: usize) -> bool {
    let enough = bytes <= *left;
    *left -= if enough { bytes } else { 0 };
    enough
}

fn by_worth<'e, 'a>(contests: &'e [Contest<'a>]) -> Vec<&'e Entry<'a>> {
    let heads = contests.iter().flat_map(|contest| [contest.best(), contest.reference_entry(), contest.floor()]);
    let deepest = contests.iter().map(|contest| contest.entries.len()).max().unwrap_or(0);
    let ranks = (0..deepest).flat_map(|rank| contests.iter().filter_map(move |contest| contest.entries.get(rank)));
    let mut seen = BTreeSet::new();
    heads.flatten().chain(ranks).filter(|entry| seen.insert(entry.order)).collect()
}

/// The longest that texts may be; None when all fit as they are.
fn length(contests: &[Contest], limit: usize) -> Option<usize> {
    let samples = || contests.iter().flat_map(|contest| contest.samples);
    if samples().map(|sample| sample.text.len()).sum::<usize>() <= limit {
        return None;
    }
    let fits = |length: &usize| samples().map(|sample| beginning(&sample.text, *length).len()).sum::<usize>() <= limit;
    Some(LENGTHS.into_iter().find(fits).unwrap_or(0))
}

/// The first so many characters.
fn beginning(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

fn texts(samples: &[SampleText], length: Option<usize>) -> Texts {
    let shown = |text: &str| match length.map(|length| beginning(text, length)) {
        Some(part) if part.len() < text.len() => escape::lines(part) + "…",
        _ => escape::lines(text),
    };
    Texts {
        ids: samples.iter().map(|sample| escape::one_line(&sample.id)).collect(),
        texts: samples.iter().map(|sample| shown(&sample.text)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::demo;

    fn cells(run: &RunRecord, limits: &Limits) -> (Vec<serde_json::Value>, serde_json::Value) {
        let text = within(run, limits).unwrap();
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
