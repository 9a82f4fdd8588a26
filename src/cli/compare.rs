//! `bench compare`: paired differences between runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use embed_bench::compare::{self, ALPHA, Comparison, Terms, points, value};
use embed_bench::results::{CellOutcomes, Outcomes};
use embed_bench::spec::{Correction, Measure};

use super::cells::{CellTable, Keep};
use super::{Answer, Failure, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// Baselines: result folders or blessed ones; `results/NAME#CELL` is one cell, CELL the beginning of its id
    #[arg(required = true, value_name = "BASELINE")]
    baselines: Vec<String>,
    /// What is held against them
    candidate: String,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    files: Files,
    /// Compare cells by this metric where their task has it, else by the task's first: accuracy, `macro_f1`, spearman, pearson, ap,
    /// `ndcg_at_10` or `v_measure`
    #[arg(long)]
    metric: Option<Measure>,
    /// Correct p-values for the number of comparisons by this: holm or benjamini-hochberg; else as the candidate's spec says
    #[arg(long)]
    correction: Option<Correction>,
    /// Changed labels whose known margins are at most this are marked as noise; else as the candidate's spec says
    #[arg(long, value_name = "MARGIN")]
    margin_floor: Option<f64>,
}

/// Files that comparisons are written to, beside what is printed.
#[derive(clap::Args)]
pub struct Files {
    /// Write the comparison as Markdown, for a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the comparison as JSON, with every changed sample
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the comparison as CSV, one line for each pair of cells
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Files {
    /// Writes those that were asked for; Markdown behind `before`.
    pub fn write(&self, comparisons: &[Comparison<'_>], before: &str) -> Result<(), Failure> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Failure::File { what: "write", path, source }
        };
        if let Some(path) = &self.markdown {
            fs::write(path, before.to_owned() + &markdown(comparisons)).map_err(failed(path))?;
        }
        if let Some(path) = &self.json {
            let mut out = BufWriter::new(File::create(path).map_err(failed(path))?);
            compare::json(comparisons, &mut out).and_then(|()| out.flush()).map_err(failed(path))?;
        }
        if let Some(path) = &self.csv {
            fs::write(path, csv(comparisons)?).map_err(failed(path))?;
        }
        Ok(())
    }
}

fn markdown(comparisons: &[Comparison<'_>]) -> String {
    comparisons.iter().map(compare::markdown).collect::<Vec<_>>().join("\n")
}

fn csv(comparisons: &[Comparison<'_>]) -> Result<String, Failure> {
    compare::csv(comparisons).map_err(|error| Failure::Usage(format!("cannot write the comparison as CSV: {error}")))
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Table,
    Markdown,
    Json,
    Csv,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let (candidate, baselines) = rayon::join(
        || open(&arguments.candidate),
        || arguments.baselines.iter().map(|baseline| open(baseline)).collect::<Result<Vec<Outcomes>, _>>(),
    );
    let (baselines, candidate) = (baselines?, candidate?);
    let own = Terms::of(&candidate);
    let terms = Terms {
        // A metric that is asked for is that of every slice.
        metrics: if arguments.metric.is_some() { BTreeMap::new() } else { own.metrics },
        metric: arguments.metric.or(own.metric),
        correction: arguments.correction.unwrap_or(own.correction),
        margin_floor: arguments.margin_floor.or(own.margin_floor),
    };
    let mut comparisons = compare::compare_all(baselines.iter(), &candidate, &terms);
    for (comparison, baseline) in comparisons.iter_mut().zip(&arguments.baselines) {
        comparison.baseline.clone_from(baseline);
        comparison.candidate.clone_from(&arguments.candidate);
    }
    match arguments.format {
        Format::Table => comparisons.iter().for_each(print),
        Format::Markdown => out::data(markdown(&comparisons).trim_end()),
        Format::Json => out::written(|out| compare::json(&comparisons, out)),
        Format::Csv => out::line(csv(&comparisons)?.trim_end()),
    }
    arguments.files.write(&comparisons, "")?;
    if comparisons.iter().any(|comparison| comparison.pairs.is_empty()) {
        out::note("error: there is nothing to compare: no cell of a baseline has a partner on the same samples");
        return Err(Failure::Said);
    }
    Ok(Answer::Good)
}

/// The outcomes that an argument names: all of a folder's, or those of one cell.
fn open(argument: &str) -> Result<Outcomes, Failure> {
    let (folder, cell) = argument.split_once('#').map_or((argument, None), |(folder, cell)| (folder, Some(cell)));
    let mut outcomes = Outcomes::open(Path::new(folder))?;
    if let Some(cell) = cell {
        let (found, others): (Vec<_>, Vec<_>) = outcomes.cells.into_iter().partition(|known| known.id.starts_with(cell));
        match found.len() {
            0 => {
                return Err(Failure::Usage(format!(
                    "no cell of {folder} has an id that begins with `{cell}`; there are {}",
                    named(&others)
                )));
            }
            1 => outcomes.cells = found,
            _ => {
                return Err(Failure::Usage(format!(
                    "more than one cell of {folder} has an id that begins with `{cell}`: {}",
                    named(&found)
                )));
            }
        }
    }
    Ok(outcomes)
}

/// The first ids of some cells.
fn named(cells: &[CellOutcomes]) -> String {
    let ids: Vec<&str> = cells.iter().take(NAMED).map(|cell| cell.id.as_str()).collect();
    let rest = if cells.len() > NAMED { ", ..." } else { "" };
    ids.join(", ") + rest
}

/// Cells that an unclear argument is answered with.
const NAMED: usize = 4;

/// Flipped samples that a significant difference is shown with.
const FLIPS: usize = 5;

fn print(comparison: &Comparison<'_>) {
    out::line(format!("{} against {}", comparison.candidate, comparison.baseline));
    let axes = out::axes(comparison.pairs.iter().map(|pair| &pair.choices));
    let p = format!("p ({})", comparison.correction.short());
    let figures = [("before", Keep::Always), ("after", Keep::Always), ("points [95 %]", Keep::Always)];
    let figures = [&figures[..], &[(p.as_str(), Keep::Long), ("detects", Keep::Short)]].concat();
    let figures = figures.into_iter().map(|(head, keep)| (head.to_owned(), keep)).collect();
    let mut cells = CellTable::new(Vec::new(), axes.iter().map(ToString::to_string).collect(), figures);
    for pair in &comparison.pairs {
        let ends = pair.paired.difference.interval.map(|ends| format!(" [{}, {}]", points(ends.low), points(ends.high)));
        let figures = [
            value(pair.metric, pair.baseline_value),
            value(pair.metric, pair.candidate_value),
            points(pair.paired.difference.value) + &ends.unwrap_or_default(),
            compare::bare_p(pair.p_adjusted),
            pair.detectable.map_or("–".to_owned(), points),
        ];
        let choices = axes.iter().map(|axis| pair.choices.on(*axis).to_owned());
        cells.add(Vec::new(), choices.collect(), figures.into());
    }
    if !comparison.pairs.is_empty() {
        out::line(cells.within(out::width()));
    }
    for refused in &comparison.refused {
        out::line(format!("not compared: {}: {}", refused.choices, refused.why));
    }
    comparison.notes.iter().for_each(|note| out::line(format!("note: {note}")));
    let alone = comparison.pairs.len() == 1;
    for pair in comparison.pairs.iter().filter(|pair| alone || pair.p_adjusted < ALPHA) {
        out::line(format!("\n{}: {}", pair.candidate_cell, compare::changes(pair)));
        for flip in pair.flips.iter().take(FLIPS) {
            let sample = flip.sample.map_or_else(|| flip.index.to_string(), str::to_owned);
            let margins = compare::margins(flip);
            out::line(format!("  {sample}: {} → {} (right: {}){margins}", flip.before, flip.after, flip.gold));
            let text = out::shortened(flip.text.unwrap_or_default(), out::width().saturating_sub(6));
            if !text.is_empty() {
                out::line(format!("    {text}"));
            }
        }
    }
}
