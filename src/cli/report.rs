//! `bench report`: a report from result files alone.

use std::path::PathBuf;

use embed_bench::report;

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
    let name = arguments.results.file_name().unwrap_or_default();
    let output = arguments.output.clone().unwrap_or_else(|| PathBuf::from("reports").join(name));
    let written = report::build(&arguments.results, &output)?;
    out::line(written.markdown.display());
    out::line(written.html.display());
    Ok(Answer::Good)
}
