//! `bench verify`: a run held against the published figures of its spec.

use std::path::PathBuf;

use embed_bench::compare::{self, Found, Held};
use embed_bench::results::RunRecord;
use embed_bench::spec::Spec;

use super::{Answer, Failure, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// A spec with `[[anchor]]`, which was run
    spec: PathBuf,
    /// Folder of result folders; results are read from DIR/NAME
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let spec = Spec::load(&arguments.spec)?;
    if spec.anchors.is_empty() {
        let path = arguments.spec.display();
        return Err(Failure::Usage(format!(
            "{path} has no [[anchor]], so there is no published figure to hold the run against"
        )));
    }
    let record = RunRecord::open(&arguments.results.join(&spec.name))?;
    let held = compare::hold(&spec.anchors, &record);
    let mut table = out::table(&["cell", "metric", "published", "found", "difference", "tolerance", "verdict"]);
    for (held, found) in held.iter().filter_map(|held| Some((held, held.found.as_ref().ok()?))) {
        table.add_row(row(held, found));
    }
    if held.iter().any(|held| held.found.is_ok()) {
        out::line(table);
    }
    for held in held.iter().filter(|held| held.found.is_ok()) {
        out::line(format!("published: {}", held.anchor.source));
    }
    let lost: Vec<_> = (1..).zip(&held).filter_map(|(number, held)| Some((number, held.found.as_ref().err()?))).collect();
    if !lost.is_empty() {
        lost.iter().for_each(|(number, why)| out::note(format!("error: [[anchor]] number {number}: {why}")));
        return Err(Failure::Said);
    }
    Ok(if held.iter().all(|held| held.holds() == Some(true)) { Answer::Good } else { Answer::No })
}

fn row(held: &Held<'_>, found: &Found<'_>) -> Vec<String> {
    let anchor = held.anchor;
    vec![
        found.choices.to_string(),
        anchor.metric.clone(),
        format!("{:.4}", anchor.value),
        format!("{:.4}", found.value),
        format!("{:+.4}", found.value - anchor.value),
        format!("{:.4}", anchor.tolerance),
        if held.holds() == Some(true) { "holds" } else { "off" }.to_owned(),
    ]
}
