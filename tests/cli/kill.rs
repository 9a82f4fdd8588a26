//! Runs that are killed or interrupted, and started again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::Lab;

const SAMPLES: usize = 400;

/// Number of cached vectors, as `bench cache stat` counts them: a key saved twice counts twice.
fn cached(lab: &Lab) -> String {
    let said = lab.expect(0, &["cache", "stat"]);
    said.out
        .lines()
        .filter(|line| line.contains("llama"))
        .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn a_killed_run_ends_in_the_same_bytes() {
    let calm = Lab::new(SAMPLES);
    let since = Instant::now();
    calm.expect(0, &["run", "toy.toml"]);
    let whole = since.elapsed();

    let hunted = Lab::new(SAMPLES);
    for step in 1..=10 {
        let mut child = hunted.command(&["run", "toy.toml"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        sleep(whole * step / 12);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    hunted.expect(0, &["run", "toy.toml"]);
    assert_eq!(cached(&hunted), cached(&calm));
    let (killed, calm) = (hunted.files("results/toy"), calm.files("results/toy"));
    for ((name, bytes), (_, wanted)) in killed.iter().zip(&calm) {
        assert!(bytes == wanted, "{name} differs from an undisturbed run");
    }
    assert_eq!(killed.len(), calm.len());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_so_and_continues() {
    let lab = Lab::new(SAMPLES);
    let mut child = lab.command(&["run", "toy.toml"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    // The handler is there once the home folder is; a signal before that ends the program the plain way.
    let patience = Instant::now();
    while !lab.path("results/toy").exists() && patience.elapsed() < Duration::from_mins(1) {
        sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!lab.path("results/toy/run.json").exists());
    lab.expect(0, &["run", "toy.toml"]);
    assert!(lab.path("results/toy/run.json").exists());
}
