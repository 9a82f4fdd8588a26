//! `bench check`: every problem of every spec at once.

use std::path::PathBuf;

use embed_bench::spec::Spec;

use super::{Answer, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// Specs to check
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Answer {
    let mut bad = 0;
    for path in &arguments.specs {
        match Spec::load(path) {
            Ok(spec) => out::line(format!("{}: good ({})", path.display(), axes(&spec))),
            Err(problems) => {
                bad += 1;
                out::spec_problems(&problems);
            }
        }
    }
    if bad == 0 {
        return Answer::Good;
    }
    out::note(format!("\n{bad} of {} specs cannot be run as they are", arguments.specs.len()));
    Answer::No
}

fn axes(spec: &Spec) -> String {
    format!(
        "{} models × {} prompts × {} readouts × {} slices × {} label sets",
        spec.models.len(),
        spec.prompts.len(),
        spec.readouts.len(),
        spec.slices.len(),
        spec.labels.len()
    )
}
