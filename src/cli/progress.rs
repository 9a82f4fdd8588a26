//! Progress on standard error: a live line on a terminal, a plain one now and then elsewhere.
//!
//! A live line has less than 40 columns, however wide the terminal is: what a terminal wraps when it is made narrower cannot be taken
//! back, and would stay behind each time. indicatif, which has bars, fills its lines with blanks to the terminal's width, and those wrap.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use embed_bench::observe::{Event, Observer, Unit};
use indicatif::{HumanBytes, HumanDuration};
use unicode_width::UnicodeWidthStr as _;

use super::out;

/// Shows one stage at a time.
pub struct Progress {
    shown: Shown,
    current: Mutex<Option<Stage>>,
}

struct Stage {
    name: String,
    unit: Unit,
    total: Option<u64>,
    done: u64,
    since: Instant,
    /// When something was last said of it.
    told: Instant,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// A line that is drawn again and again.
    Live,
    /// Lines that stay.
    Plain,
}

impl Shown {
    /// Live where standard error is a terminal that can take a line back.
    fn on(is_terminal: bool, kind: Option<&str>) -> Self {
        if is_terminal && kind != Some("dumb") { Self::Live } else { Self::Plain }
    }

    /// Time between two lines about one stage: in a log few enough to read, and often enough to know that it lives.
    const fn pause(self) -> Duration {
        match self {
            Self::Live => Duration::from_millis(100),
            Self::Plain => Duration::from_secs(30),
        }
    }
}

impl Progress {
    pub fn new() -> Self {
        let shown = Shown::on(std::io::stderr().is_terminal(), std::env::var("TERM").ok().as_deref());
        Self { shown, current: Mutex::new(None) }
    }

    fn tell(&self, stage: &Stage) {
        match self.shown {
            Shown::Live => out::live(&live(stage, stage.since.elapsed())),
            Shown::Plain => out::note(underway(stage, stage.since.elapsed())),
        }
    }

    /// A line that stays, in the place of the live one.
    fn note(&self, text: &str) {
        if self.shown == Shown::Live {
            out::live("");
        }
        out::note(text);
    }
}

impl Observer for Progress {
    fn observe(&self, event: Event) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { stage, total, unit } => {
                crate::give_memory_back();
                let now = Instant::now();
                let stage = current.insert(Stage { name: stage, unit, total, done: 0, since: now, told: now });
                if self.shown == Shown::Live {
                    self.tell(stage);
                }
            }
            Event::Advanced(by) => {
                if let Some(stage) = current.as_mut() {
                    stage.done += by;
                    if stage.told.elapsed() >= self.shown.pause() {
                        stage.told = Instant::now();
                        self.tell(stage);
                    }
                }
            }
            Event::Finished { summary } => {
                if let Some(stage) = current.take() {
                    self.note(&finished(&stage, &summary));
                }
                crate::give_memory_back();
            }
            Event::Warning(warning) => self.note(&format!("warning: {warning}")),
        }
    }
}

/// What ends a command in the middle of a stage is told on a line of its own.
impl Drop for Progress {
    fn drop(&mut self) {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        if current.take().is_some() && self.shown == Shown::Live {
            out::live("");
        }
    }
}

/// Columns of a live line's name.
const NAME: usize = 15;

/// How far a stage is in less than 40 columns: `embed with yi   ███░░░ 1.2k tok/s 3m`.
fn live(stage: &Stage, elapsed: Duration) -> String {
    let name = out::shortened(&stage.name, NAME - 1);
    let name = format!("{name}{}", " ".repeat(NAME.saturating_sub(name.width())));
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let Some(share) = share(stage) else { return format!("{name} {}", short(stage.done as f64)) };
    let rate = rate(stage.done, elapsed, stage.unit);
    let how_far = match stage.unit {
        Unit::Bytes => format!("{:>3.0}% {rate}/s", 100.0 * share),
        Unit::Tokens => format!("{} {rate} tok/s", bar(share, 6)),
        Unit::Cells | Unit::Texts => format!("{} {:>3.0}%", bar(share, 12), 100.0 * share),
    };
    // More than days are no more than a guess.
    let left = left(stage, elapsed).filter(|left| *left < Duration::from_hours(100));
    let left = left.map_or(String::new(), |left| format!(" {:#}", HumanDuration(left)));
    format!("{name} {how_far}{left}")
}

/// How much of a stage is done; None where nobody knows.
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn share(stage: &Stage) -> Option<f64> {
    stage.total.filter(|total| *total > 0).map(|total| (stage.done as f64 / total as f64).min(1.0))
}

/// Time left if it goes on as it did.
fn left(stage: &Stage, elapsed: Duration) -> Option<Duration> {
    let share = share(stage).filter(|share| *share > 0.0)?;
    Duration::try_from_secs_f64(elapsed.as_secs_f64().max(1e-3) * (1.0 / share - 1.0)).ok()
}

fn bar(share: f64, columns: usize) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a few columns")]
    let full = (share * columns as f64).round() as usize;
    "█".repeat(full) + &"░".repeat(columns - full.min(columns))
}

/// Units a second in at most five columns, bytes in eleven.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "shown with two digits"
)]
fn rate(done: u64, elapsed: Duration, unit: Unit) -> String {
    let per_second = done as f64 / elapsed.as_secs_f64().max(1e-3);
    if unit == Unit::Bytes { HumanBytes(per_second as u64).to_string() } else { short(per_second) }
}

/// A number in at most five columns.
fn short(number: f64) -> String {
    let figure = |value: f64| if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    match number {
        _ if number < 999.5 => format!("{number:.0}"),
        _ if number < 999_500.0 => figure(number / 1e3) + "k",
        _ if number < 999_500_000.0 => figure(number / 1e6) + "M",
        _ => "many".to_owned(),
    }
}

/// How far a stage is after so much time: `embed with yi: 42 %, 1204 tokens/s, 3m left`.
fn underway(stage: &Stage, elapsed: Duration) -> String {
    let mut parts = vec![share(stage).map_or_else(|| out::count(stage.done), |share| format!("{:.0} %", 100.0 * share))];
    if stage.unit == Unit::Tokens {
        parts.push(per_second(stage, elapsed));
    }
    parts.extend(left(stage, elapsed).map(|left| format!("{:#} left", HumanDuration(left))));
    format!("{}: {}", stage.name, parts.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
fn per_second(stage: &Stage, elapsed: Duration) -> String {
    format!("{:.0} tokens/s", stage.done as f64 / elapsed.as_secs_f64().max(1e-3))
}

/// One line to remember a stage by, with its rate where a rate says something.
fn finished(stage: &Stage, summary: &str) -> String {
    let elapsed = stage.since.elapsed();
    let rate = match stage.unit {
        Unit::Tokens if stage.done > 0 => format!(", {}", per_second(stage, elapsed)),
        _ => String::new(),
    };
    format!("{}: {summary} ({:.1} s{rate})", stage.name, elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, unit: Unit, total: Option<u64>, done: u64) -> Stage {
        let now = Instant::now();
        Stage { name: name.to_owned(), unit, total, done, since: now, told: now }
    }

    #[test]
    fn a_log_is_told_how_far_a_stage_is() {
        let told = |unit, total, done| underway(&stage("embed with yi", unit, total, done), Duration::from_mins(1));
        assert_eq!(told(Unit::Tokens, Some(48_000), 12_000), "embed with yi: 25 %, 200 tokens/s, 3m left");
        assert_eq!(told(Unit::Cells, Some(4), 0), "embed with yi: 0 %");
        assert_eq!(told(Unit::Bytes, None, 1_200), "embed with yi: 1,200");
    }

    #[test]
    fn a_line_is_live_on_a_terminal_that_moves() {
        assert_eq!(Shown::on(true, Some("xterm-256color")), Shown::Live);
        assert_eq!(Shown::on(true, None), Shown::Live);
        assert_eq!(Shown::on(true, Some("dumb")), Shown::Plain);
        assert_eq!(Shown::on(false, Some("xterm-256color")), Shown::Plain);
    }

    #[test]
    fn a_live_line_says_what_matters() {
        let told = |unit, total, done| live(&stage("embed with yi", unit, total, done), Duration::from_mins(1));
        assert_eq!(told(Unit::Tokens, Some(288_000), 72_000), "embed with yi   ██░░░░ 1.2k tok/s 3m");
        assert_eq!(told(Unit::Cells, Some(4), 3), "embed with yi   █████████░░░  75% 20s");
        assert_eq!(told(Unit::Bytes, Some(7_200_000), 3_600_000), "embed with yi    50% 58.59 KiB/s 60s");
        assert_eq!(told(Unit::Texts, None, 1_200), "embed with yi   1.2k");
    }

    #[test]
    fn a_live_line_has_less_than_forty_columns() {
        let names = ["", "score x", "embed with a-model-of-a-very-long-name", "用模型嵌入所有的文字和标签"];
        let counts = [0, 1, 999, 12_345, 999_499, 1_073_741_823, u64::MAX];
        for (name, done) in names.iter().flat_map(|name| counts.map(|done| (name, done))) {
            for (unit, total) in
                [Unit::Bytes, Unit::Tokens, Unit::Cells].into_iter().flat_map(|unit| counts.map(|total| (unit, total)))
            {
                for seconds in [0, 1, 3_599, 359_999, 9_999_999] {
                    let line = live(&stage(name, unit, Some(total), done), Duration::from_secs(seconds));
                    assert!(line.width() < 40, "{} columns: {line}", line.width());
                }
            }
        }
    }
}
