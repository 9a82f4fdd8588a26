//! Progress on standard error: a live bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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
    bar: ProgressBar,
    done: u64,
    since: Instant,
}

impl Progress {
    pub fn new() -> Self {
        Self { live: std::io::stderr().is_terminal(), current: Mutex::new(None) }
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
                *current = Some(Stage { name: stage, unit, bar, done: 0, since: Instant::now() });
            }
            Event::Advanced(by) => {
                if let Some(stage) = current.as_mut() {
                    stage.done += by;
                    stage.bar.inc(by);
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
    let template = match unit {
        Unit::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {left}",
        Unit::Tokens => "{msg} {wide_bar} {percent}% {rate} tokens/s {left}",
        Unit::Cells | Unit::Texts => "{msg} {wide_bar} {pos}/{len} {left}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style
        .with_key("rate", |state: &indicatif::ProgressState, line: &mut dyn std::fmt::Write| {
            let _ = write!(line, "{:.0}", state.per_sec());
        })
        .with_key("left", |state: &indicatif::ProgressState, line: &mut dyn std::fmt::Write| {
            let _ = write!(line, "{} left", HumanDuration(state.eta()));
        });
    ProgressBar::new(total).with_style(style).with_message(stage.to_owned())
}
