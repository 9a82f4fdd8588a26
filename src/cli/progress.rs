//! Progress on standard error: a live bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use embed_bench::observe::{Event, Observer, Unit};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::out;

/// Shows one stage at a time.
pub struct Progress {
    live: bool,
    current: Mutex<Option<Stage>>,
}

struct Stage {
    name: String,
    unit: Unit,
    total: Option<u64>,
    bar: ProgressBar,
    done: u64,
    since: Instant,
    /// When a plain line was last written.
    told: Instant,
}

/// Time between two plain lines of one stage: few enough for a log, often enough to know that it lives.
const SILENCE: Duration = Duration::from_secs(30);

impl Progress {
    pub fn new() -> Self {
        let moves = std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb");
        Self { live: moves && std::io::stderr().is_terminal(), current: Mutex::new(None) }
    }

    fn say(&self, stage: Option<&Stage>, text: &str) {
        match stage {
            Some(stage) if self.live => stage.bar.suspend(|| out::note(text)),
            _ => out::note(text),
        }
    }
}

impl Observer for Progress {
    fn observe(&self, event: Event) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { stage, total, unit } => {
                let bar = if self.live { bar(&stage, total, unit) } else { ProgressBar::hidden() };
                let now = Instant::now();
                *current = Some(Stage { name: stage, unit, total, bar, done: 0, since: now, told: now });
            }
            Event::Advanced(by) => {
                if let Some(stage) = current.as_mut() {
                    stage.done += by;
                    stage.bar.inc(by);
                    if !self.live && stage.told.elapsed() >= SILENCE {
                        stage.told = Instant::now();
                        out::note(underway(stage, stage.since.elapsed()));
                    }
                }
            }
            Event::Finished { summary } => {
                if let Some(stage) = current.take() {
                    stage.bar.finish_and_clear();
                    out::note(finished(&stage, &summary));
                }
            }
            Event::Warning(warning) => self.say(current.as_ref(), &format!("warning: {warning}")),
        }
    }
}

/// How far a stage is after so much time: `embed with yi: 42 %, 1,204 tokens/s, 3m left`.
#[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
fn underway(stage: &Stage, elapsed: Duration) -> String {
    let (done, seconds) = (stage.done as f64, elapsed.as_secs_f64().max(1e-3));
    let mut parts = Vec::new();
    let total = stage.total.filter(|total| *total > 0).map(|total| total as f64);
    parts.push(total.map_or_else(|| out::count(stage.done), |total| format!("{:.0} %", 100.0 * (done / total).min(1.0))));
    if stage.unit == Unit::Tokens {
        parts.push(format!("{:.0} tokens/s", done / seconds));
    }
    if let Some(total) = total.filter(|_| stage.done > 0) {
        let left = Duration::from_secs_f64(seconds * (total / done - 1.0).max(0.0));
        parts.push(format!("{:#} left", HumanDuration(left)));
    }
    format!("{}: {}", stage.name, parts.join(", "))
}

/// One line to remember a stage by, with its rate where a rate says something.
fn finished(stage: &Stage, summary: &str) -> String {
    let elapsed = stage.since.elapsed();
    let rate = match stage.unit {
        Unit::Tokens if stage.done > 0 && elapsed.as_secs_f64() > 0.0 => {
            #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
            let done = stage.done as f64;
            format!(", {:.0} tokens/s", done / elapsed.as_secs_f64())
        }
        _ => String::new(),
    };
    format!("{}: {summary} ({:.1} s{rate})", stage.name, elapsed.as_secs_f64())
}

fn bar(stage: &str, total: Option<u64>, unit: Unit) -> ProgressBar {
    let Some(total) = total else {
        return ProgressBar::new_spinner().with_message(stage.to_owned());
    };
    // Less than 60 columns and no part that fills the line: what a terminal wraps when it is made narrower stays behind.
    let template = match unit {
        Unit::Bytes => "{msg:18!} {percent:>3}% {bytes}/{total_bytes} {binary_bytes_per_sec} {left}",
        Unit::Tokens => "{msg:18!} {bar:10} {percent:>3}% {rate} tokens/s {left}",
        Unit::Cells | Unit::Texts => "{msg:18!} {bar:10} {pos}/{len} {left}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style
        .with_key("rate", |state: &indicatif::ProgressState, line: &mut dyn std::fmt::Write| {
            let _ = write!(line, "{:.0}", state.per_sec());
        })
        .with_key("left", |state: &indicatif::ProgressState, line: &mut dyn std::fmt::Write| {
            let _ = write!(line, "{:#} left", HumanDuration(state.eta()));
        });
    ProgressBar::new(total).with_style(style).with_message(stage.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_told_how_far_a_stage_is() {
        let now = Instant::now();
        let stage = |unit, total, done| Stage {
            name: "embed with yi".to_owned(),
            unit,
            total,
            bar: ProgressBar::hidden(),
            done,
            since: now,
            told: now,
        };
        let after = Duration::from_mins(1);
        assert_eq!(underway(&stage(Unit::Tokens, Some(48_000), 12_000), after), "embed with yi: 25 %, 200 tokens/s, 3m left");
        assert_eq!(underway(&stage(Unit::Cells, Some(4), 0), after), "embed with yi: 0 %");
        assert_eq!(underway(&stage(Unit::Bytes, None, 1_200), after), "embed with yi: 1,200");
    }
}
