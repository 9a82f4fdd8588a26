//! `bench init` and `bench schema`: what somebody needs to write a first spec.

use std::fs;
use std::path::PathBuf;

use embed_bench::spec;

use super::{Answer, Failure, out};

/// The first spec: the quickstart of the project, which runs as it is.
const STARTER: &str = include_str!("../../experiments/quickstart.toml");

#[derive(clap::Args)]
pub struct Arguments {
    /// File to write; an existing one is left alone
    #[arg(default_value = "experiment.toml")]
    path: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let path = &arguments.path;
    if path.exists() {
        return Err(Failure::Usage(format!("{} is there already; name another file", path.display())));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let text = STARTER.replacen("name = \"quickstart\"", &format!("name = \"{name}\""), 1);
    fs::write(path, text).map_err(|source| Failure::File { what: "write", path: path.clone(), source })?;
    out::line(format!("{}: edit it, then `bench check {0}`, `bench plan {0}`, `bench run {0}`", path.display()));
    Ok(Answer::Good)
}

pub fn schema() -> Answer {
    out::data(format!("{:#}", spec::schema()));
    Answer::Good
}
