//! Reports of odd runs: still right, still readable, and no claims that nothing stands behind.

use std::collections::BTreeMap;

use super::fixture::{TOPICS, demo, fail, model, run, score, slice};
use super::tests::{malformed, prose, ragged_table};
use super::view::{Contests, View};
use super::{Report, render};
use crate::results::{Outcome, RunRecord, SampleRows, ShotsRecord};
use crate::spec::Labelled;

/// Each with the name of its page in `tests/html`.
pub fn runs() -> Vec<(&'static str, RunRecord)> {
    let grid = |labels: &[&str], n: usize, cells: usize| {
        let mut record = run("odd");
        model(&mut record, "tiny", "path:models/tiny");
        slice(&mut record, "s", "test", labels, n);
        for cell in 0..cells {
            let prompt = format!("prompt-{cell}");
            score(&mut record, ["tiny", &prompt, "last", "s", "names", "none"], 0.05, false);
        }
        record
    };
    let mut all_failed = grid(&TOPICS, 12, 0);
    fail(&mut all_failed, ["tiny", "raw", "last", "s", "names", "none"], "no weights");
    let mut reference_failed = grid(&TOPICS, 12, 2);
    fail(&mut reference_failed, ["tiny", "raw", "last", "s", "names", "none"], "no weights");
    reference_failed.provenance.reference = reference_failed.cells.last().map(|cell| cell.id.clone());
    let mut bare = demo();
    for cell in &mut bare.cells {
        if let Outcome::Scored(scored) = &mut cell.outcome {
            scored.samples = SampleRows::default();
            scored.scores.clear();
        }
    }
    let many: Vec<String> = (0..119).map(|i| format!("类别{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    vec![
        ("no slice", run("odd")),
        ("all failed", all_failed),
        ("reference failed", reference_failed),
        ("one label", grid(&["新闻"], 8, 2)),
        ("one sample", grid(&TOPICS, 1, 2)),
        ("no sample", grid(&TOPICS, 0, 2)),
        ("one cell", grid(&TOPICS, 12, 1)),
        ("300 cells", grid(&TOPICS, 40, 300)),
        ("119 labels", grid(&many, 238, 2)),
        ("no predictions", bare),
    ]
}

fn report(name: &str) -> Report {
    let (_, record) = runs().into_iter().find(|(known, _)| *known == name).unwrap();
    render(&record).unwrap()
}

/// The paragraph, or the line, that starts like this.
fn line<'a>(markdown: &'a str, start: &str) -> &'a str {
    markdown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line `{start}` in\n{markdown}"))
}

/// Rows of the table whose head starts like this.
fn rows(markdown: &str, head: &str) -> usize {
    let after = markdown.lines().skip_while(|line| !line.starts_with(head));
    after.skip(2).take_while(|line| line.starts_with('|')).count()
}

#[test]
fn every_one_of_them_has_a_report() {
    for (name, record) in runs() {
        let report = render(&record).unwrap();
        assert_eq!(ragged_table(&report.markdown), None, "{name}");
        let figures = report.figures.iter().map(|(file, svg)| (file.as_str(), svg.as_str()));
        for (file, text) in figures.clone().chain([("report.md", report.markdown.as_str())]) {
            for nonsense in ["NaN", "inf ", "\"inf", "-0.0", "None", "Some("] {
                assert!(!text.contains(nonsense), "{name}, {file}: {nonsense}");
            }
        }
        for (file, svg) in figures {
            assert_eq!(malformed(svg), None, "{name} {file}");
            assert!(height(svg) <= 900, "{name}, {file} is {} high", height(svg));
        }
        // No sentence without its words, no table without a row, no list without an item.
        for sentence in prose(&report.markdown).filter(|line| !line.starts_with('|')) {
            assert!(
                !["  ", "()", " .", " ,", ": ."].iter().any(|hole| sentence.trim_start().contains(hole)),
                "{name}: {sentence}"
            );
        }
        let contests = Contests::of(&record);
        for block in View::of(&record, &contests, &[]).unwrap().blocks {
            assert!(!block.is_empty(), "{name}: {block:?}");
        }
    }
}

fn height(svg: &str) -> usize {
    let (_, rest) = svg.split_once(" height=\"").unwrap();
    rest.split_once('"').unwrap().0.parse().unwrap()
}

#[test]
fn a_failed_cell_is_a_row_with_its_reason_and_no_zero() {
    let Report { markdown, figures, .. } = report("reference failed");
    line(
        &markdown,
        "Label similarity: each text gets the label whose wording is closest by cosine. 3 cells, 1 of them failed, on",
    );
    line(&markdown, "1 of 3 cells failed and takes no part in any comparison.");
    line(&markdown, "| no weights | 1 | tiny · raw · last · names · none · s |");
    line(&markdown, "| reference: failed, no weights | – | – | – |");
    assert_eq!(rows(&markdown, "| # | model | prompt |"), 2, "{markdown}");
    assert!(figures["leaderboard.svg"].contains("prompt-1") && !figures["leaderboard.svg"].contains("raw"));
    let none = report("all failed");
    line(&none.markdown, "**There is no answer: its only cell has no score.**");
    let (found, _) = none.markdown.split_once("## How to reproduce").unwrap();
    assert!(none.figures.is_empty() && !found.contains('%'), "{found}");
}

#[test]
fn one_text_decides_nothing() {
    let Report { markdown, .. } = report("one sample");
    line(&markdown, "**Best cell: 100.0 % of the texts get the right label** (95 % interval 20.7 to 100.0 %, n = 1).");
    line(&markdown, "*All cells: accuracy with 95 % intervals. Of 1 text intervals say little.*");
    line(&markdown, "- No other cell can be told from it (exact McNemar, Holm over 1 comparison): this ranking may be noise.");
    line(&markdown, "With 0 wrong of 1 answer there is no telling what margin would separate right from wrong.");
    for claim in ["Most often missed", "Least to be trusted", "Most confused", "is not noise", "**Use ", "**Avoid ", "Darkest"]
    {
        assert!(!markdown.contains(claim), "{claim} in\n{markdown}");
    }
    assert!(report("no sample").markdown.contains("**There is no answer: no text was scored.**"));
}

#[test]
fn with_one_label_nothing_is_decided() {
    let Report { markdown, .. } = report("one label");
    line(&markdown, "- With one label every answer is right, whatever the model: these figures say nothing of it.");
    line(&markdown, "- **Score texts of two labels or more**: with one there is nothing to decide.");
    line(&markdown, "*All cells: accuracy with 95 % intervals. With one label chance is always right.*");
    line(&markdown, "The best cell has no margins: they take two labels and stored predictions.");
    for claim in ["Most often missed", "**Any ", "**Try ", "Add the lexical floor", "margin of"] {
        assert!(!markdown.contains(claim), "{claim} in\n{markdown}");
    }
}

#[test]
fn without_a_dev_slice_the_best_is_said_to_be_optimistic() {
    let demo = render(&demo()).unwrap().markdown;
    let curse = line(
        &demo,
        "- Selection bias (the winner's curse): the best of 24 cells was picked on the same 160 texts it is reported on",
    );
    assert!(curse.contains(" is optimistic by ") && curse.contains(" points in expectation "), "{curse}");
    line(&demo, "Choices were picked on the same texts that their gains are measured on");
    assert!(!demo.contains(" on dev"), "{demo}");
    line(&report("one cell").markdown, "- There is one cell with a score, so nothing was picked.");
}

#[test]
fn three_hundred_cells_are_a_page_and_not_a_roll() {
    let Report { markdown, figures, .. } = report("300 cells");
    line(&markdown, "280 more cells with a score are in the results' `cells.parquet`.");
    assert_eq!((rows(&markdown, "| # | model | prompt |"), rows(&markdown, "| axis | choice |")), (20, 12), "{markdown}");
    line(&markdown, "|  | and 289 more, down to prompt-255 |");
    line(&markdown, "- **Avoid prompt `prompt-255`**");
    let longest = prose(&markdown).filter(|line| !line.starts_with('|')).map(|line| line.chars().count()).max();
    assert!(longest < Some(700), "{longest:?}");
    // 15 cells with their names, and the heat map's 16 prompts.
    assert_eq!(figures["leaderboard.svg"].matches("prompt-").count(), 15);
    assert_eq!(figures["prompts-labels.svg"].matches("prompt-").count(), 16);
    let answer = line(&markdown, "- Selection bias (the winner's curse): the best of 300 cells");
    assert!(answer.contains("in expectation"), "{answer}");
}

/// Where drawn texts stand for the labels, no words are there to change.
#[test]
fn labels_that_are_texts_are_not_to_be_worded() {
    let worded = demo();
    let mut drawn = worded.clone();
    for labels in &mut drawn.provenance.labels {
        let from = Labelled { dataset: "apps6".to_owned(), split: "train".to_owned(), seed: None };
        labels.shots = Some(ShotsRecord { count: 4, from, samples: BTreeMap::new() });
    }
    let [worded, drawn] = [worded, drawn].map(|run| render(&run).unwrap().markdown);
    assert!(worded.contains("further apart**") && !worded.contains("**Draw more texts of"));
    assert!(drawn.contains("**Draw more texts of") && !drawn.contains("further apart**"));
}
