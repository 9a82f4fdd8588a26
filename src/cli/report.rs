//! `bench report`: a report from result files alone, or a summary of several runs.

use std::path::{Path, PathBuf};

use embed_bench::report::{self, Pictures, SummaryError};
use embed_bench::results::{RunRecord, read_mteb};

use super::{Answer, Failure, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// A result folder, as `results/NAME`; of several (`results/*`), baselines among them, a summary is written
    #[arg(required = true, value_name = "RESULTS")]
    results: Vec<PathBuf>,
    /// Folder to write to; when absent `reports/NAME`, of several `reports/summary`
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Show figures of others beside the run's own: result files of MTEB, `ORG__MODEL/REVISION/TASK.json`; may be repeated
    #[arg(long, value_name = "FILE")]
    mteb: Vec<PathBuf>,
    /// In a summary: the cell to follow from run to run, by the beginning of its id or by its choices ("tiny-zh raw center")
    #[arg(long, value_name = "CELL")]
    cell: Option<String>,
    /// Write every figure as PNG too, with the fonts of this machine (and of the folder that `BENCH_FONTS` names)
    #[arg(long)]
    png: bool,
}

/// What `--png` asks for.
pub const fn pictures(png: bool) -> Pictures {
    if png { Pictures::Png } else { Pictures::None }
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let written = match (&arguments.results[..], &arguments.cell) {
        ([results], None) => {
            let record = RunRecord::open(results)?;
            let output = arguments.output.clone();
            let output = output.unwrap_or_else(|| PathBuf::from("reports").join(&record.provenance.name));
            let published = arguments.mteb.iter().map(|file| read_mteb(file)).collect::<Result<Vec<_>, _>>()?.concat();
            report::build(&record, &output, &published, pictures(arguments.png))?
        }
        _ if !arguments.mteb.is_empty() => {
            return Err(Failure::Usage("`--mteb` is for the report of one run: name one folder, without `--cell`".to_owned()));
        }
        (results, cell) => {
            let output = arguments.output.as_deref().unwrap_or(Path::new("reports/summary"));
            let (written, left_out) =
                report::summarise(results, cell.as_deref(), output, pictures(arguments.png)).map_err(|error| match error {
                    SummaryError::Report(error) => error.into(),
                    told => Failure::Usage(told.to_string()),
                })?;
            left_out.iter().for_each(|line| out::note(format!("left out: {line}")));
            written
        }
    };
    out::line(written.markdown.display());
    out::line(written.html.display());
    Ok(Answer::Good)
}
