//! How long whole commands take, and their memory: `bench plan`, `bench run` from an empty cache, both again.
//!
//! `cargo bench --bench command -- [SPEC | short-N] [--runs R] [--data-dir DIR]`: the quickstart when no spec is named; `short-N` is
//! a generated dataset of N short texts of four labels, read by the bundled model. Prints medians.

#![expect(clippy::print_stdout, reason = "what a benchmark finds is printed")]

use std::error::Error;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TOPICS: [&str; 4] = ["weather", "music", "money", "school"];

const WORDS: [&str; 16] = [
    "天气", "下雨", "新闻", "音乐", "孩子", "学习", "工作", "游戏", "the", "bank", "song", "rain", "story", "school", "plays",
    "today",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let runs = option(&mut words, "--runs").map_or(Ok(3), |runs| runs.parse::<usize>())?;
    let data = option(&mut words, "--data-dir");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = tempfile::tempdir()?;
    let (spec, datasets) = match words.first().map(String::as_str) {
        None => (root.join("experiments/quickstart.toml"), root.join("datasets")),
        Some(word) => match word.strip_prefix("short-") {
            Some(count) => (short(scratch.path(), count.parse()?)?, scratch.path().join("datasets")),
            None => (PathBuf::from(word).canonicalize()?, root.join("datasets")),
        },
    };
    let mut found: [Vec<Taken>; 4] = Default::default();
    for _ in 0..runs {
        let places = tempfile::tempdir()?;
        let bench = |verb: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
            command.arg(verb).arg(&spec).arg("--datasets").arg(&datasets).arg("--home").arg(places.path().join("home"));
            if verb == "run" {
                command.arg("--results").arg(places.path().join("results"));
                command.arg("--reports").arg(places.path().join("reports"));
            }
            if let Some(folder) = &data {
                command.arg("--data-dir").arg(folder);
            }
            taken(command.current_dir(root))
        };
        for (found, verb) in found.iter_mut().zip(["plan", "run", "plan", "run"]) {
            found.push(bench(verb)?);
        }
    }
    println!("{}, medians of {runs}", spec.display());
    for (found, what) in found.iter_mut().zip(["plan, nothing cached", "run, nothing cached", "plan, all cached", "run again"])
    {
        let (seconds, peak) = (median(found, |taken| taken.wall.as_secs_f64()), median(found, |taken| taken.peak));
        println!("{what:<22} {seconds:>8.2} s  {peak:>6.0} MiB at the peak");
    }
    Ok(())
}

/// What a command took.
struct Taken {
    wall: Duration,
    /// Largest resident memory. Units: MiB; 0 where the system does not say.
    peak: f64,
}

fn taken(command: &mut Command) -> Result<Taken, Box<dyn Error>> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0.0_f64;
    let ended = loop {
        peak = peak.max(high_water(&status).unwrap_or(0.0));
        match child.try_wait()? {
            Some(ended) => break ended,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let wall = started.elapsed();
    if ended.success() { Ok(Taken { wall, peak }) } else { Err(format!("{command:?} ended with {ended}").into()) }
}

/// The most memory that a process has had so far.
fn high_water(status: &Path) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn median(found: &mut [Taken], of: fn(&Taken) -> f64) -> f64 {
    found.sort_by(|a, b| of(a).total_cmp(&of(b)));
    found.get(found.len() / 2).map_or(0.0, of)
}

/// A dataset of so many short texts, and a spec that reads it.
fn short(folder: &Path, count: usize) -> Result<PathBuf, Box<dyn Error>> {
    let place = folder.join("datasets/short");
    fs::create_dir_all(&place)?;
    let labels = TOPICS;
    fs::write(
        place.join("dataset.toml"),
        format!(
            "name = \"short\"\nabout = \"Generated.\"\nkind = \"classification\"\nlicence = \"CC0-1.0\"\nlabels = {labels:?}\n\
             columns = {{ text = \"text\", label = \"label\", id = \"id\" }}\n[splits.test]\nfiles = [\"test.jsonl\"]\nformat = \"jsonl\"\n"
        ),
    )?;
    let mut file = BufWriter::new(fs::File::create(place.join("test.jsonl"))?);
    for i in 0..count {
        // Four words that tell up to 65,536 texts apart, and a number.
        let word = |at: usize| WORDS[(i >> (4 * at)) % WORDS.len()];
        let (text, label) = (format!("{} {} {} {} {i}", word(0), word(1), word(2), word(3)), labels[i % labels.len()]);
        writeln!(file, "{{\"id\": \"t{i}\", \"text\": \"{text}\", \"label\": \"{label}\"}}")?;
    }
    file.flush()?;
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny-zh");
    let spec = folder.join("short.toml");
    fs::write(
        &spec,
        format!(
            "name = \"short\"\n[[model]]\nid = \"tiny-zh\"\nsource = \"path:{}\"\n[[prompt]]\nid = \"raw\"\nuse = \"raw\"\n\
             [[readout]]\nid = \"mean\"\npool = \"mean\"\n[[slice]]\nid = \"all\"\ndataset = \"short\"\nsplit = \"test\"\n\
             [[labels]]\nid = \"names\"\n[[task]]\nkind = \"label-similarity\"\ncalibration = [\"none\", \"center\"]\n",
            model.display()
        ),
    )?;
    Ok(spec)
}

/// Takes `--name VALUE` out of the words.
fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    let value = (at + 1 < words.len()).then(|| words.remove(at + 1));
    words.remove(at);
    value
}
