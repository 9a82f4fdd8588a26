//! `bench compare`: paired differences between runs.

use std::path::Path;

use embed_bench::compare::{self, ALPHA, Comparison, points, value};
use embed_bench::results::Outcomes;
use embed_bench::spec::Measure;

use super::{Answer, Failure, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// Baselines: result folders or blessed ones; `results/NAME#CELL` is one cell, CELL the beginning of its id
    #[arg(required = true, value_name = "BASELINE")]
    baselines: Vec<String>,
    /// What is held against them
    candidate: String,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Compare cells by this metric where their task has it: accuracy, spearman, pearson or ap; else by the task's first
    #[arg(long)]
    metric: Option<Measure>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Table,
    Markdown,
    Json,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let candidate = open(&arguments.candidate)?;
    let comparisons: Vec<Comparison> = (arguments.baselines.iter())
        .map(|baseline| {
            let compared = compare::compare(&open(baseline)?, &candidate, arguments.metric);
            Ok(Comparison { baseline: baseline.clone(), candidate: arguments.candidate.clone(), ..compared })
        })
        .collect::<Result<_, Failure>>()?;
    match arguments.format {
        Format::Table => comparisons.iter().for_each(print),
        Format::Markdown => comparisons.iter().for_each(|comparison| out::line(compare::markdown(comparison).trim_end())),
        Format::Json => match compare::json(&comparisons) {
            Ok(json) => out::line(json),
            Err(error) => return Err(Failure::Usage(format!("cannot write the comparison as JSON: {error}"))),
        },
    }
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
        outcomes.cells.retain(|known| known.id.starts_with(cell));
        if outcomes.cells.len() != 1 {
            let found = outcomes.cells.len();
            return Err(Failure::Usage(format!("`{cell}` begins the id of {found} cells in {folder}, and should be of one")));
        }
    }
    Ok(outcomes)
}

/// Flipped samples that a significant difference is shown with.
const FLIPS: usize = 5;

fn print(comparison: &Comparison) {
    out::line(format!("{} against {}", comparison.candidate, comparison.baseline));
    let axes = out::axes(comparison.pairs.iter().map(|pair| &pair.choices));
    let header: Vec<&str> = axes.iter().map(|axis| axis.name()).collect();
    let mut table =
        out::table(&[&header[..], &["baseline", "candidate", "points [95 %]", "p (Holm)", "could detect"]].concat());
    for pair in &comparison.pairs {
        let mut row: Vec<String> = axes.iter().map(|axis| pair.choices.on(*axis).to_owned()).collect();
        let ends = pair.paired.difference.interval.map(|ends| format!(" [{}, {}]", points(ends.low), points(ends.high)));
        row.extend([
            value(pair.metric, pair.baseline_value),
            value(pair.metric, pair.candidate_value),
            points(pair.paired.difference.value) + &ends.unwrap_or_default(),
            compare::bare_p(pair.p_adjusted),
            pair.detectable.map_or("–".to_owned(), points),
        ]);
        table.add_row(row);
    }
    if !comparison.pairs.is_empty() {
        out::line(table);
    }
    for refused in &comparison.refused {
        out::line(format!("not compared: {}: {}", refused.choices, refused.why));
    }
    comparison.notes.iter().for_each(|note| out::line(format!("note: {note}")));
    let alone = comparison.pairs.len() == 1;
    for pair in comparison.pairs.iter().filter(|pair| alone || pair.p_adjusted < ALPHA) {
        out::line(format!("\n{}: {}", pair.candidate_cell, compare::changes(pair)));
        for flip in pair.flips.iter().take(FLIPS) {
            let sample = flip.sample.clone().unwrap_or_else(|| flip.index.to_string());
            let margins = compare::margins(pair.metric, flip);
            let text = out::shortened(flip.text.as_deref().unwrap_or_default(), 40);
            out::line(format!("  {sample}: {} → {} (right: {}){margins}  {text}", flip.before, flip.after, flip.gold));
        }
    }
}
