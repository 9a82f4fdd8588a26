//! Comparisons and verdicts for others: Markdown, JSON, `JUnit` XML, annotations of GitHub.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Comparison, Flip, Judgements, Noise, Pair, Verdict};
use crate::results::Choices;
use crate::spec::Measure;
use crate::stats::PairedDifference;
use crate::visible::{self, visible};

/// Flipped samples that Markdown lists for each pair.
const FLIPS: usize = 5;

/// Writes the comparisons as JSON, with every flipped sample: of large runs that is more than belongs in memory. What a terminal would
/// obey is written as an escape, which means the same.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn json(comparisons: &[Comparison<'_>], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(Escaped { out }, comparisons)?;
    writeln!(out)
}

/// Passes on JSON, whose pieces are whole characters.
struct Escaped<'a> {
    out: &'a mut dyn Write,
}

impl Write for Escaped<'_> {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(json).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let plain = |c: char| c == '\n' || visible(c) == c;
        if text.chars().all(plain) {
            self.out.write_all(json)?;
        } else {
            for c in text.chars() {
                match c {
                    c if plain(c) => write!(self.out, "{c}")?,
                    c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(self.out, "\\u{unit:04x}"))?,
                }
            }
        }
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The comparison as GitHub-flavoured Markdown.
pub fn markdown(comparison: &Comparison<'_>) -> String {
    let mut text = format!("## {} against {}\n\n", cell(&comparison.candidate), cell(&comparison.baseline));
    let p = comparison.correction.short();
    line(&mut text, &format!("| cell | baseline | candidate | points [95 %] | p ({p}) | could detect |"));
    line(&mut text, "| :-- | --: | --: | --: | --: | --: |");
    for pair in &comparison.pairs {
        let columns = [
            cell(&name(&pair.choices)),
            value(pair.metric, pair.baseline_value),
            value(pair.metric, pair.candidate_value),
            difference(pair),
            bare_p(pair.p_adjusted),
            pair.detectable.map_or("–".to_owned(), points),
        ];
        line(&mut text, &format!("| {} |", columns.join(" | ")));
    }
    for refused in &comparison.refused {
        line(&mut text, &format!("\nNot compared: {}: {}.", cell(&name(&refused.choices)), cell(&refused.why.to_string())));
    }
    for note in &comparison.notes {
        line(&mut text, &format!("\nNote: {}.", cell(note)));
    }
    for pair in comparison.pairs.iter().filter(|pair| !pair.flips.is_empty()) {
        line(&mut text, &format!("\n{}: {}\n", cell(&name(&pair.choices)), changes(pair)));
        for flip in pair.flips.iter().take(FLIPS) {
            let sample = flip.sample.map_or_else(|| flip.index.to_string(), str::to_owned);
            let labels = format!("{} → {} (right: {})", flip.before, flip.after, flip.gold);
            line(&mut text, &format!("- {}: {}{}", cell(&sample), cell(&labels), margins(flip)));
        }
    }
    text
}

/// Verdicts as a Markdown list, one line for each cell that does not simply pass.
pub fn verdicts(judgements: &Judgements) -> String {
    let told = judgements.cells.iter().filter(|judged| judged.verdict != Verdict::Pass);
    let mut text = format!("**{} of {} cells pass.**\n\n", judgements.count(Verdict::Pass), judgements.cells.len());
    for judged in told {
        line(&mut text, &format!("- **{}**: {}: {}", judged.verdict.name(), cell(&judged.name), cell(&judged.sentence)));
    }
    text
}

/// Verdicts as `JUnit` XML: a regression is a failure, an incomparable cell an error, an inconclusive one skipped unless the
/// policy lets it fail.
pub fn junit(name_of_run: &str, judgements: &Judgements) -> String {
    let failures = judgements.cells.iter().filter(|cell| cell.fails).count();
    let errors = judgements.count(Verdict::Incomparable);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = judgements.cells.len();
    line(
        &mut text,
        &format!("<testsuite name=\"{}\" tests=\"{all}\" failures=\"{failures}\" errors=\"{errors}\">", xml(name_of_run)),
    );
    for judged in &judgements.cells {
        let message = format!("message=\"{}\"", xml(&judged.sentence));
        let inner = match judged.verdict {
            verdict if judged.fails => format!("<failure type=\"{}\" {message}/>", verdict.name()),
            Verdict::Incomparable => format!("<error type=\"incomparable\" {message}/>"),
            Verdict::Pass | Verdict::Regressed => String::new(),
            Verdict::Inconclusive | Verdict::Missing => format!("<skipped {message}/>"),
        };
        line(&mut text, &format!("  <testcase name=\"{}\">{inner}</testcase>", xml(&judged.name)));
    }
    text.push_str("</testsuite>\n");
    text
}

/// Commands of GitHub Actions, one for each cell that does not simply pass.
pub fn annotations(judgements: &Judgements) -> Vec<String> {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let title = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let told = judgements.cells.iter().filter(|judged| judged.verdict != Verdict::Pass);
    told.map(|judged| {
        let stops = judged.fails || judged.verdict == Verdict::Incomparable;
        let level = if stops { "error" } else { "warning" };
        let head = format!("{}: {}", judged.verdict.name(), judged.name);
        format!("::{level} title={}::{}", title(&head), escaped(&judged.sentence))
    })
    .collect()
}

/// How many samples each side alone gets right; of pairs, whose rank is nearer that of their gold score on which side.
pub fn changes(pair: &Pair<'_>) -> String {
    let PairedDifference { wins, losses, .. } = pair.paired;
    match pair.metric {
        Measure::NdcgAt10 => {
            return format!("{wins} queries find more by the candidate, {losses} by the baseline; these moved most");
        }
        Measure::VMeasure => return "clusters differ as wholes: no text gains or loses by itself".to_owned(),
        Measure::Accuracy | Measure::MacroF1 => {}
        Measure::Spearman | Measure::Pearson | Measure::Ap => {
            return format!(
                "{wins} ranked nearer their gold score by the candidate, {losses} by the baseline; these moved most"
            );
        }
    }
    let Noise { wins: noisy_wins, losses: noisy_losses, .. } = pair.noise;
    let noise = match noisy_wins + noisy_losses {
        0 => String::new(),
        _ => format!("; {noisy_wins} and {noisy_losses} of them within the noise of the computation"),
    };
    format!("{wins} only the candidate gets right, {losses} only the baseline{noise}")
}

/// The margins of a flip, behind a comma; nothing where pairs moved, which have none.
pub fn margins(flip: &Flip<'_>) -> String {
    if flip.margin_before.or(flip.margin_after).is_none() {
        return String::new();
    }
    let margin = |margin: Option<f64>| margin.map_or("–".to_owned(), |margin| format!("{margin:+.4}"));
    let noise = if flip.noise { ", within the noise" } else { "" };
    format!(", margin {} → {}{noise}", margin(flip.margin_before), margin(flip.margin_after))
}

/// The choices of a cell, joined.
pub(super) fn name(choices: &Choices) -> String {
    choices.to_string()
}

/// A share: `72.5 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A value of a metric: a share as `72.5 %`, any other number times a hundred as `82.03`.
pub fn value(metric: Measure, value: f64) -> String {
    if matches!(metric, Measure::Accuracy | Measure::MacroF1) {
        percent(value)
    } else {
        format!("{:.2}", 100.0 * value).replace('-', "\u{2212}")
    }
}

/// A difference of shares in percentage points, with its sign.
pub fn points(difference: f64) -> String {
    format!("{:+.1}", 100.0 * difference).replace("-0.0", "+0.0").replace('-', "\u{2212}")
}

/// A p-value for a column that is headed `p`.
pub fn bare_p(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// A p-value with its relation.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {}", bare_p(p)) }
}

fn difference(pair: &Pair<'_>) -> String {
    let estimate = pair.paired.difference;
    let ends = estimate.interval.map(|ends| format!(" [{}, {}]", points(ends.low), points(ends.high)));
    format!("{}{}", points(estimate.value), ends.unwrap_or_default())
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    visible::one_line(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

fn xml(text: &str) -> String {
    visible::one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
