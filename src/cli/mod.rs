//! The command line: what a person may type, and which library call answers it.

mod cache;
mod cells;
mod check;
mod compare;
mod data;
mod embed;
mod gate;
mod model;
mod out;
mod plan;
mod progress;
mod prompt;
mod report;
mod results;
mod run;
mod starter;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use embed_bench::cache::Store;
use embed_bench::dataset::Catalog;
use embed_bench::embed::Sources;
use embed_bench::http::Network;
use embed_bench::observe::Observer;

/// Does this language model work as a sentence embedder, and with which prompt?
#[derive(Parser)]
#[command(name = "bench", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    places: Places,
}

const EXIT_CODES: &str = "Exit codes: 0 done and good · 1 done, and the answer is no (failed cells, a regression) · 2 could not do it · 130 interrupted";

/// Where things are.
#[derive(clap::Args)]
struct Places {
    /// Folder of dataset manifests (NAME/dataset.toml), with bundled data beside them
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "datasets",
        env = "BENCH_DATASETS",
        help_heading = "Places"
    )]
    datasets: PathBuf,
    /// Folder of local copies of datasets (NAME/FILE)
    #[arg(long, global = true, value_name = "DIR", env = "BENCH_DATA_DIR", help_heading = "Places")]
    data_dir: Option<PathBuf>,
    /// Folder for embeddings, downloads and what else is kept between runs
    #[arg(long, global = true, value_name = "DIR", default_value = ".bench", env = "BENCH_HOME", help_heading = "Places")]
    home: PathBuf,
    /// Download nothing: models and datasets come from what is here (also `HF_HUB_OFFLINE=1`)
    #[arg(long, global = true, help_heading = "Places")]
    offline: bool,
}

impl Places {
    /// # Errors
    /// A folder of local copies that is not there.
    fn catalog(&self) -> Result<Catalog, Failure> {
        if let Some(folder) = self.data_dir.as_ref().filter(|folder| !folder.is_dir()) {
            let path = folder.display();
            return Err(Failure::Usage(format!("there is no folder `{path}` for --data-dir (or BENCH_DATA_DIR) to name")));
        }
        Ok(Catalog::new(self.datasets.clone(), self.data_dir.clone()).with_downloads(self.home.join("datasets")))
    }

    fn network(&self) -> Network {
        if self.offline { Network::Offline } else { Network::Open }
    }

    /// What models are made from.
    fn sources<'a>(&'a self, catalog: &'a Catalog, observer: &'a dyn Observer) -> Sources<'a> {
        Sources { catalog, home: &self.home, observer, network: self.network() }
    }

    fn store(&self) -> Store {
        Store::new(self.home.join("embeddings"))
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run a spec: plan, embed what is missing, score, write results and report
    Run(run::Arguments),
    /// Show what a run would do: cells, texts, tokens, cuts, cache hits, memory and time; loads no weights
    Plan(plan::Arguments),
    /// Report every problem of every spec at once
    Check(check::Arguments),
    /// Rebuild the report of a result folder from its files alone
    Report(report::Arguments),
    /// Results in the formats of others
    #[command(subcommand)]
    Results(results::Command),
    /// Compare runs, or cells of runs, on the same samples: paired differences, intervals, flipped samples
    Compare(compare::Arguments),
    /// Judge a run against a baseline by the spec's [gate]: 0 pass, 1 fail, 2 incomparable
    Gate(gate::Arguments),
    /// Keep the outcomes of a run as a baseline, small enough for git
    Bless(gate::Bless),
    /// Hold a run against the published figures of its spec's `[[anchor]]`: 0 all hold, 1 some are off, 2 some are not there
    Verify(verify::Arguments),
    /// Embed a file of texts with a cell of a run, or with a recipe named by flags
    Embed(Box<embed::Arguments>),
    /// Look at the built-in prompts
    #[command(subcommand)]
    Prompt(prompt::Command),
    /// List, download or look at datasets
    #[command(subcommand)]
    Data(data::Command),
    /// Download models, or look at them
    #[command(subcommand)]
    Model(model::Command),
    /// Look at the cache of embeddings, or shrink it
    #[command(subcommand)]
    Cache(cache::Command),
    /// Write a first spec to start from
    Init(starter::Arguments),
    /// Print the JSON Schema of specs, for editors
    Schema,
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
}

/// How a command that could do its work ended.
enum Answer {
    Good,
    /// Done, and the answer is no.
    No,
    Interrupted,
}

/// Parses the command line, does what it says, and prints what there is to say.
pub fn main() -> ExitCode {
    let Arguments { command, places } = Arguments::parse();
    let answer = match command {
        Command::Run(arguments) => run::run(&arguments, &places),
        Command::Plan(arguments) => plan::run(&arguments, &places),
        Command::Check(arguments) => check::run(&arguments, &places),
        Command::Report(arguments) => report::run(&arguments),
        Command::Results(command) => results::run(&command),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Gate(arguments) => gate::run(&arguments),
        Command::Bless(arguments) => gate::bless(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Embed(arguments) => embed::run(&arguments, &places),
        Command::Prompt(command) => prompt::run(&command, &places),
        Command::Data(command) => data::run(&command, &places),
        Command::Model(command) => model::run(&command, &places),
        Command::Cache(command) => cache::run(&command, &places),
        Command::Init(arguments) => starter::run(&arguments),
        Command::Schema => Ok(starter::schema()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "bench", &mut script);
            out::data(String::from_utf8_lossy(&script).trim_end());
            Ok(Answer::Good)
        }
    };
    match answer {
        Ok(Answer::Good) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Interrupted) => ExitCode::from(130),
        Err(Failure::Said) => ExitCode::from(2),
        Err(failure) => {
            out::failure(&failure);
            ExitCode::from(2)
        }
    }
}

/// Why a command could not do its work: the library's error, or one of the command line's own.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Bench(#[from] embed_bench::Error),
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Usage(String),
    /// Everything there is to say was said where it was found.
    #[error("see above")]
    Said,
}

/// Lets `?` take any stage's error.
macro_rules! failure_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Bench(error.into())
            }
        }
    )*};
}
failure_from!(
    embed_bench::spec::Problems,
    embed_bench::plan::PlanError,
    embed_bench::dataset::DatasetError,
    embed_bench::embed::EmbedError,
    embed_bench::model::ModelError,
    embed_bench::cache::CacheError,
    embed_bench::results::ResultsError,
    embed_bench::report::ReportError,
    embed_bench::apply::ApplyError,
);
