//! `bench run`: the main job.

use std::path::PathBuf;

use embed_bench::observe::Stop;
use embed_bench::plan::Plan;
use embed_bench::report::{self, Ranking, Standing};
use embed_bench::results::{Outcome, RunRecord};
use embed_bench::runner::{self, Finish};
use embed_bench::spec::Spec;

use super::cells::{CellTable, Keep};
use super::progress::Progress;
use super::report::pictures;
use super::{Answer, Failure, Places, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// The spec to run
    spec: PathBuf,
    /// Folder of result folders; results go to DIR/NAME
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Folder of reports; the report goes to DIR/NAME
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// Write every figure as PNG too, with the fonts of this machine (and of the folder that `BENCH_FONTS` names)
    #[arg(long)]
    png: bool,
}

pub fn run(arguments: &Arguments, places: &Places) -> Result<Answer, Failure> {
    let spec = Spec::load(&arguments.spec)?;
    let progress = Progress::new();
    let stop = stop_on_signal()?;
    let catalog = places.catalog()?;
    let plan = Plan::build(spec, &places.sources(&catalog, &progress))?;
    let results = arguments.results.join(&plan.spec.name);
    let reports = arguments.reports.join(&plan.spec.name);
    std::fs::create_dir_all(&reports).map_err(|source| Failure::File { what: "create", path: reports.clone(), source })?;
    match runner::run(&plan, &places.store(), &results, &progress, &stop)? {
        Finish::Interrupted => {
            out::note("interrupted: everything computed so far is saved; the same command continues");
            Ok(Answer::Interrupted)
        }
        Finish::Done => {
            // What is told comes from the files alone: it needs none of the plan, and there may be millions of samples.
            drop(plan);
            crate::give_memory_back();
            let record = RunRecord::open(&results)?;
            let written = report::build(&record, &reports, &[], pictures(arguments.png));
            rankings(&record).into_iter().for_each(out::line);
            out::line(format!("report: {}", written?.markdown.display()));
            Ok(Verdict::of(&record).answer())
        }
    }
}

/// A stop that Ctrl-C, SIGTERM and SIGHUP request; the second signal ends the program at once.
pub fn stop_on_signal() -> Result<Stop, Failure> {
    let stop = Stop::default();
    let requested = stop.clone();
    let handler = move || {
        if requested.requested() {
            std::process::exit(130);
        }
        out::note("\nstopping after the batch in hand (press again to stop at once)");
        requested.request();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::Usage(format!("cannot listen for Ctrl-C: {error}")))?;
    Ok(stop)
}

/// How many cells there are, and how many of them failed.
struct Verdict {
    cells: usize,
    failed: usize,
}

impl Verdict {
    fn of(record: &RunRecord) -> Self {
        let failed = record.cells.iter().filter(|cell| matches!(cell.outcome, Outcome::Failed { .. })).count();
        Self { cells: record.cells.len(), failed }
    }

    fn answer(&self) -> Answer {
        if self.failed == 0 {
            return Answer::Good;
        }
        out::note(format!("{} of {} cells failed; the report lists the reasons", self.failed, self.cells));
        Answer::No
    }
}

/// Rows of the ranked table; the report has them all.
const ROWS: usize = 12;

/// The ranked table of each task and slice: best cell first, interval, difference to the reference.
fn rankings(record: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    let rankings = Ranking::all(record);
    for ranking in &rankings {
        let order = ranking.chosen_on.as_ref().map(|dev| format!(", ranked on {dev}")).unwrap_or_default();
        let several = rankings.iter().filter(|other| other.slice == ranking.slice).count() > 1;
        let task = if several { format!(", {}", ranking.task) } else { String::new() };
        lines.push(format!("slice {}{task}{order}", ranking.slice));
        let axes = ranking.axes.iter().map(ToString::to_string).collect();
        let dev = ranking.chosen_on.as_ref().map(|_| ("on dev".to_owned(), Keep::Short));
        let value = (format!("{} [95 %]", ranking.metric), Keep::Always);
        let p = (format!("p ({})", ranking.correction.short()), Keep::Short);
        let figures = dev.into_iter().chain([value, ("± ref".to_owned(), Keep::Long), p]).collect();
        let mut table = CellTable::new(vec!["#".to_owned()], axes, figures);
        let shown = |(place, standing): &(usize, &Standing)| *place < ROWS || standing.difference == "reference";
        let shown: Vec<(usize, &Standing)> = ranking.standings.iter().enumerate().filter(shown).collect();
        let more = ranking.standings.len() - shown.len();
        for (place, standing) in shown {
            let difference = if standing.difference == "reference" { "ref" } else { &standing.difference };
            let figures = [standing.value.clone(), difference.to_owned(), standing.p.clone()];
            let figures = standing.on_dev.iter().cloned().chain(figures).collect();
            table.add(vec![(place + 1).to_string()], standing.choices.clone(), figures);
        }
        lines.push(table.within(out::width()));
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
    }
    lines
}
