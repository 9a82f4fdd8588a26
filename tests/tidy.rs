//! Holds the shape of the code: the order of the modules, the size of files, and where printing and candle may live.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up; those of one row do not see each other.
const LAYERS: &[&[&str]] = &[
    &["cause", "digest", "embeddings", "observe", "products", "visible"],
    &["http", "readout"],
    &["prompt", "stats", "cache"],
    &["spec"],
    &["dataset", "task"],
    &["model", "transform"],
    &["embed"],
    &["results"],
    &["plan"],
    &["runner"],
    &["apply", "compare", "doctor", "report"],
    &["error"],
];

/// Imports that run up or sideways, with the reason they may.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("runner", "error", "a run crosses every stage and returns the union of their errors"),
    ("apply", "error", "so does applying a recipe"),
];

/// The report is made from result files alone.
const REPORT_MAY_SEE: &[&str] = &["results", "stats", "report", "spec", "visible", "cause"];

const LONGEST_FILE: usize = 400;

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        let Some(own) = rank(&module) else { continue };
        for used in imported(&text) {
            let allowed = used == module
                || rank(&used).is_some_and(|rank| rank < own)
                || EXCEPTIONS.iter().any(|(from, to, _)| *from == module && *to == used);
            if !allowed {
                wrong.push(format!("{}: {module} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not go down:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_place() {
    let declared = fs::read_to_string("src/lib.rs").unwrap();
    for line in declared.lines() {
        if let Some(module) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(rank(module).is_some(), "{module} is in no row of LAYERS");
        }
    }
}

#[test]
fn reports_see_result_files_only() {
    for (path, text) in sources().into_iter().filter(|(path, _)| module(path) == "report" && !path.ends_with("tests.rs")) {
        for used in imported(&text) {
            assert!(REPORT_MAY_SEE.contains(&used.as_str()), "{}: a report must not see {used}", path.display());
        }
    }
}

#[test]
fn comparisons_see_outcomes_only() {
    for (path, text) in sources().into_iter().filter(|(path, _)| module(path) == "compare") {
        for used in imported(&text) {
            let may = ["results", "stats", "spec", "compare", "visible"].contains(&used.as_str());
            assert!(may, "{}: a comparison must not see {used}", path.display());
        }
    }
}

#[test]
fn crates_live_where_they_belong() {
    let homes: &[(&str, &[&str])] = &[
        ("candle_core", &["model"]),
        ("candle_nn", &["model"]),
        ("tokenizers::", &["model"]),
        ("hf_hub", &["model"]),
        ("ureq", &["dataset", "embed", "http", "model", "spec"]),
        ("plotters", &["report"]),
        ("polars", &["apply", "cache", "dataset", "report", "results", "task"]),
        ("clap", &["cli", "main"]),
        ("indicatif", &["cli"]),
    ];
    for (path, text) in sources() {
        let code = without_comments(&text);
        for (name, allowed) in homes {
            assert!(
                !code.contains(name) || allowed.contains(&module(&path).as_str()),
                "{}: {name} is for {allowed:?} alone",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_command_line_prints() {
    for (path, text) in sources() {
        let code = without_comments(&text);
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for word in ["println!", "eprintln!", "print!(", "dbg!", "stdout()", "stderr()"] {
            assert!(module(&path) == "cli" || !code.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn files_open_with_their_purpose_and_stay_readable() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not open with what it is for", path.display());
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines: it has two jobs", path.display());
        let name = path.file_stem().unwrap().to_string_lossy();
        assert!(!["utils", "util", "helpers", "common", "misc"].contains(&&*name), "{} names no job", path.display());
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    assert!(files.len() > 20, "src was not found");
    let tests = test_modules(&files);
    files.retain(|(path, _)| !tests.iter().any(|test| path.starts_with(test) || path.with_extension("") == *test));
    files
}

/// Modules that are only compiled for tests, as paths without `.rs`.
fn test_modules(files: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let mut modules = Vec::new();
    for (path, text) in files {
        let folder = if path.ends_with("mod.rs") { path.parent().unwrap().to_owned() } else { path.with_extension("") };
        for rest in text.split("#[cfg(test)]\n").skip(1) {
            if let Some(name) = rest.lines().next().and_then(|line| line.strip_prefix("mod ")?.strip_suffix(';')) {
                modules.push(folder.join(name));
            }
        }
    }
    modules
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

/// The top-level module a file belongs to: `src/plan/build.rs` -> `plan`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules named after `crate::`, in `use` lines and in paths, outside of tests and comments.
fn imported(text: &str) -> Vec<String> {
    let code = without_comments(text);
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).map(name).filter(|name| !name.is_empty() && rank(name).is_some()).collect()
}

fn without_comments(text: &str) -> String {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(code).collect::<Vec<_>>().join("\n")
}
