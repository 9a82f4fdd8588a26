//! `bench check`: every problem of every spec at once.

use std::path::PathBuf;

use embed_bench::cause::told;
use embed_bench::spec::{Slice, Spec};
use indexmap::IndexSet;

use super::{Answer, Failure, Places, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// Specs to check
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
}

pub fn run(arguments: &Arguments, places: &Places) -> Result<Answer, Failure> {
    let catalog = places.catalog()?;
    let (mut bad, mut unreadable) = (0, 0);
    for path in &arguments.specs {
        let spec = match Spec::load(path) {
            Ok(spec) => spec,
            Err(problems) => {
                unreadable += usize::from(problems.iter().any(|problem| problem.span.is_none()));
                bad += 1;
                out::spec_problems(&problems);
                continue;
            }
        };
        let problem = |slice: &Slice| {
            let columns = spec.columns(&slice.id);
            let checked = catalog.check(slice, &spec.tasks).map(drop);
            let asked = |()| if columns.is_empty() { Ok(()) } else { catalog.check_columns(slice, &columns) };
            checked.and_then(asked).err()
        };
        // What several slices lack is told once.
        let wrong: IndexSet<String> = spec.slices.iter().filter_map(problem).map(|error| told(&error)).collect();
        if wrong.is_empty() {
            out::line(format!("{}: good ({})", path.display(), axes(&spec)));
        } else {
            bad += 1;
            wrong.iter().for_each(|problem| out::note(format!("{}: {problem}", path.display())));
        }
    }
    if bad > 0 {
        let all = arguments.specs.len();
        out::note(if all == 1 {
            "\nit cannot be run as it is".to_owned()
        } else {
            format!("\n{bad} of {all} specs cannot be run as they are")
        });
    }
    match (bad, unreadable) {
        (0, _) => Ok(Answer::Good),
        (_, 0) => Ok(Answer::No),
        _ => Err(Failure::Said),
    }
}

fn axes(spec: &Spec) -> String {
    let axes = [
        count(spec.models.len(), "model"),
        count(spec.prompts.len(), "prompt"),
        count(spec.readouts.len(), "readout"),
        count(spec.slices.len(), "slice"),
    ];
    let labels = (!spec.labels.is_empty()).then(|| count(spec.labels.len(), "label set"));
    axes.into_iter().chain(labels).collect::<Vec<_>>().join(" × ")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
