//! `bench cache`: what is kept, whether it is right, and how to let go of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use embed_bench::Error;
use embed_bench::cache::{CacheError, Prune, Store};
use embed_bench::plan::Plan;
use embed_bench::runner;
use embed_bench::spec::{DType, Spec};

use super::progress::Progress;
use super::{Answer, Failure, Places, out};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List what is cached, by encoder
    Stat,
    /// Embed a sample of a spec's cached texts again and compare
    Verify {
        /// The spec whose texts are drawn from
        spec: PathBuf,
        /// Most texts per model and readout
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
        sample: u32,
    },
    /// Delete cached embeddings
    Prune {
        /// Beginning of an encoder's digest, as `bench cache stat` prints it
        #[arg(required_unless_present = "older_than", conflicts_with = "older_than")]
        encoder: Option<String>,
        /// Every encoder on which nothing was saved for this long, as `30d`; `0s` for all
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        older_than: Option<Duration>,
    },
}

pub fn run(command: &Command, places: &Places) -> Result<Answer, Failure> {
    let store = places.store();
    match command {
        Command::Stat => stat(&store, places),
        Command::Verify { spec, sample } => verify(spec, *sample, &store, places),
        Command::Prune { encoder, older_than } => {
            let age = Prune::OlderThan(older_than.unwrap_or_default());
            let which = encoder.as_ref().map_or(age, |prefix| Prune::Encoder(prefix.clone()));
            let pruned = store.prune(&which)?;
            out::line(format!("{} encoders, {} deleted", pruned.encoders.len(), out::bytes(pruned.bytes)));
            Ok(Answer::Good)
        }
    }
}

fn stat(store: &Store, places: &Places) -> Result<Answer, Failure> {
    let shelves = store.stat()?;
    if shelves.is_empty() {
        out::line(format!("nothing is cached in {}", places.home.display()));
        return Ok(Answer::Good);
    }
    let mut table = out::table(&["encoder", "vectors", "parts", "size", "what it is"]);
    for shelf in shelves {
        let name = shelf.about.get("name").and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
        let damaged = if shelf.damaged > 0 { format!(" ({} damaged)", shelf.damaged) } else { String::new() };
        table.add_row([
            shelf.encoder.short(),
            out::count(shelf.rows),
            format!("{}{damaged}", shelf.parts),
            out::bytes(shelf.bytes),
            name,
        ]);
    }
    out::line(table);
    Ok(Answer::Good)
}

fn verify(spec: &Path, sample: u32, store: &Store, places: &Places) -> Result<Answer, Failure> {
    let catalog = places.catalog()?;
    let progress = Progress::new();
    let plan = Plan::build(Spec::load(spec)?, &places.sources(&catalog, &progress))?;
    let mut table = out::table(&["model", "vectors", "largest relative distance", "verdict"]);
    let mut answer = Answer::Good;
    let sample = usize::try_from(sample).unwrap_or(usize::MAX);
    let verified = match runner::verify(&plan, store, sample) {
        Err(Error::Cache(damage @ CacheError::Lost { .. })) => {
            out::line(format!("damaged: {damage}"));
            return Ok(Answer::No);
        }
        verified => verified?,
    };
    for (verified, model) in verified.into_iter().zip(&plan.spec.models) {
        // Half-precision rounding depends on what shares a matrix product; f32 may differ in the last bits only.
        let bound = if model.dtype == DType::F32 { 1e-5 } else { 2e-2 };
        let verdict = match verified.vectors {
            0 => "nothing cached",
            _ if verified.worst <= bound => "good",
            _ => {
                answer = Answer::No;
                "differs: prune this encoder"
            }
        };
        table.add_row([
            verified.model,
            out::count(verified.vectors as u64),
            format!("{:.1e}", verified.worst),
            verdict.to_owned(),
        ]);
    }
    out::line(table);
    Ok(answer)
}
