//! `bench report`: a report from result files alone.

use std::path::PathBuf;

use embed_bench::report;
use embed_bench::results::RunRecord;

use super::{Answer, Failure, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// A result folder, as `results/NAME`
    results: PathBuf,
    /// Folder to write to; `reports/NAME` when absent
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => PathBuf::from("reports").join(RunRecord::open(&arguments.results)?.provenance.name),
    };
    let written = report::build(&arguments.results, &output)?;
    out::line(written.markdown.display());
    out::line(written.html.display());
    Ok(Answer::Good)
}
