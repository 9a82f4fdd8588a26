//! `bench results`: results in the formats of others.

use std::path::PathBuf;

use embed_bench::results::{RunRecord, export_mteb};

use super::{Answer, Failure, out};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Write the cells that are tasks of MTEB as MTEB's result files: `ORG__MODEL/REVISION/TASK.json`
    ExportMteb(ExportMteb),
}

#[derive(clap::Args)]
pub struct ExportMteb {
    /// A result folder, as `results/NAME`
    results: PathBuf,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

pub fn run(command: &Command) -> Result<Answer, Failure> {
    let Command::ExportMteb(arguments) = command;
    let written = export_mteb(&RunRecord::open(&arguments.results)?, &arguments.output)?;
    written.iter().for_each(|path| out::line(path.display()));
    Ok(Answer::Good)
}
