//! `bench gate` and `bench bless`: a candidate judged against a baseline, and the baseline itself.

use std::path::PathBuf;

use embed_bench::compare::{self, Judgements, Terms, Verdict};
use embed_bench::results::{self, Outcomes};

use super::compare::Files;
use super::{Answer, Failure, out};

#[derive(clap::Args)]
pub struct Arguments {
    /// The result folder to judge
    results: PathBuf,
    /// A blessed folder, or the results of another run
    #[arg(long, value_name = "DIR")]
    baseline: PathBuf,
    /// Write the verdicts as `JUnit` XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    // What the verdicts rest on, as `bench compare` writes it; Markdown begins with the verdicts.
    #[command(flatten)]
    files: Files,
    /// Print annotations for GitHub Actions
    #[arg(long)]
    github: bool,
}

#[derive(clap::Args)]
pub struct Bless {
    /// A result folder, as `results/NAME`
    results: PathBuf,
    /// Folder to write the baseline to, as `results/baselines/NAME`
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

const VERDICTS: [Verdict; 5] =
    [Verdict::Pass, Verdict::Regressed, Verdict::Inconclusive, Verdict::Incomparable, Verdict::Missing];

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let (baseline, candidate) = rayon::join(|| Outcomes::open(&arguments.baseline), || Outcomes::open(&arguments.results));
    let (baseline, candidate) = (baseline?, candidate?);
    let policy = candidate.gate.clone().unwrap_or_default();
    let mut comparison = compare::compare(&baseline, &candidate, &Terms::of(&candidate));
    comparison.baseline = arguments.baseline.display().to_string();
    comparison.candidate = arguments.results.display().to_string();
    let judgements = Judgements::of(&comparison, &policy, candidate.seconds);
    for judged in judgements.cells.iter().filter(|judged| judged.verdict != Verdict::Pass) {
        out::line(format!("{}: {}: {}", judged.verdict.name(), judged.name, judged.sentence));
    }
    if arguments.github {
        compare::annotations(&judgements).iter().for_each(out::line);
    }
    let told = |verdict: &Verdict| format!("{} {}", judgements.count(*verdict), verdict.name());
    out::line(VERDICTS.iter().map(told).collect::<Vec<_>>().join(", "));
    if let Some(path) = &arguments.junit {
        let junit = compare::junit(&candidate.name, &judgements);
        std::fs::write(path, junit).map_err(|source| Failure::File { what: "write", path: path.clone(), source })?;
    }
    arguments.files.write(&[comparison], &(compare::verdicts(&judgements) + "\n"))?;
    if judgements.failed() {
        return Ok(Answer::No);
    }
    if !judgements.answered() {
        out::note("error: not all cells of the baseline can be compared; bless a run on the same data");
        return Err(Failure::Said);
    }
    Ok(Answer::Good)
}

pub fn bless(arguments: &Bless) -> Result<Answer, Failure> {
    results::bless(&arguments.results, &arguments.output)?;
    out::line(arguments.output.display());
    Ok(Answer::Good)
}
