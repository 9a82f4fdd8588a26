//! What must hold for every report, on run records made by hand.

use std::path::{Path, PathBuf};

use super::fixture::{TOPICS, demo, fail, hostile, labels, large, layers, model, prompt, run, score, score_exactly, slice};
use super::view::many_pairs;
use super::{Pictures, build, odd, render};
use crate::results::{Kind, Outcome, Recorder, RunRecord};

/// Three texts, two labels, a floor, a failed cell.
pub(super) fn small() -> RunRecord {
    let mut small = run("small");
    model(&mut small, "tiny", "path:models/tiny");
    model(&mut small, "char-ngram", "builtin:char-ngram");
    prompt(&mut small, "raw", "{text}");
    labels(&mut small, "names", None);
    labels(&mut small, "asked", Some("这是{text}"));
    slice(&mut small, "two", "test", &["新闻", "求职"], 4);
    score_exactly(
        &mut small,
        ["tiny", "raw", "last", "two", "names", "none"],
        &[&[0.5, 0.4], &[0.6, 0.5], &[0.3, 0.2], &[0.7, 0.4]],
    );
    score_exactly(
        &mut small,
        ["tiny", "raw", "last", "two", "names", "center"],
        &[&[0.5, 0.4], &[0.1, 0.5], &[0.3, 0.2], &[0.7, 0.4]],
    );
    score_exactly(
        &mut small,
        ["char-ngram", "raw", "last", "two", "names", "none"],
        &[&[0.2, 0.1], &[0.3, 0.1], &[0.0, 0.2], &[0.1, 0.3]],
    );
    fail(&mut small, ["char-ngram", "raw", "last", "two", "names", "center"], "no | memory\n<b>left</b>");
    small.provenance.reference = Some(small.cells[0].id.clone());
    small
}

#[test]
fn a_small_report_reads_well() {
    insta::assert_snapshot!(render(&small()).unwrap().markdown);
}

#[test]
fn a_folder_of_results_becomes_a_folder_of_reports() {
    let folder = tempfile::tempdir().unwrap();
    let (results, out) = (folder.path().join("results/demo6"), folder.path().join("reports/demo6"));
    let record = demo();
    let mut recorder = Recorder::start(&results, record.provenance.clone(), record.samples.clone()).unwrap();
    record.cells.iter().for_each(|cell| recorder.record(cell.clone()).unwrap());
    recorder.place(record.places.clone());
    recorder.cut(record.cuts.clone().unwrap());
    let order: Vec<String> = record.cells.iter().map(|cell| cell.id.clone()).collect();
    recorder.finish(record.provenance.times.clone(), &order).unwrap();
    std::fs::create_dir_all(&out).unwrap();
    for old in ["confusion-2.svg", "confusion.png", "margins.svg", "mine.svg", "confusion.txt"] {
        std::fs::write(out.join(old), "old").unwrap();
    }
    let written = build(&RunRecord::open(&results).unwrap(), &out, &[], Pictures::None).unwrap();
    let report = render(&record).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&written.markdown), report.markdown);
    assert!(read(&written.html) == report.html, "the page of the files is that of the record");
    for (file, svg) in &report.figures {
        assert_eq!(&read(&out.join(file)), svg);
    }
    for old in ["confusion-2.svg", "confusion.png"] {
        assert!(!out.join(old).exists(), "a figure of an earlier report");
    }
    assert!(out.join("mine.svg").exists() && out.join("confusion.txt").exists(), "files of other people");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 4 + report.figures.len());
}

#[test]
fn figures_have_the_names_that_a_later_report_removes() {
    for (file, _) in render(&demo()).unwrap().figures {
        assert!(super::view::FIGURES.contains(&file.trim_end_matches(".svg")), "{file}");
    }
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    assert_eq!(render(&demo()).unwrap(), render(&demo()).unwrap());
}

#[test]
fn figures_are_well_formed_and_legible() {
    let mut hostile = demo();
    for label in &mut hostile.provenance.slices[0].labels {
        label.push_str("<&\"'>\u{1}");
    }
    for record in [demo(), hostile, small()] {
        let report = render(&record).unwrap();
        assert!(report.figures.len() >= 3, "{:?}", report.figures.keys());
        for (file, svg) in &report.figures {
            assert_eq!(malformed(svg), None, "{file}");
            assert!(svg.contains("Noto Sans CJK SC"), "{file}");
            assert!(report.markdown.contains(&format!("]({file})")), "{file}");
        }
    }
}

#[test]
fn the_page_refers_to_nothing_outside() {
    let html = render(&demo()).unwrap().html;
    for outside in ["http:", "https:", " src=", "url(", "@import", "<link", "<iframe", "import(", "fetch("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn what_others_wrote_is_shown_and_never_obeyed() {
    let evil = "</td></svg><script>alert(1)</script>|`*x*\n# [a](javascript:b) ![c](d)\u{202e}";
    let mut record = run(evil);
    record.provenance.about = Some(evil.into());
    record.provenance.spec = format!("```\n{evil}\n</code></pre>");
    record.provenance.spec_path = evil.into();
    model(&mut record, evil, evil);
    prompt(&mut record, evil, evil);
    slice(&mut record, evil, evil, &[evil, "other"], 30);
    score(&mut record, [evil, evil, evil, evil, evil, evil], 0.05, true);
    score(&mut record, [evil, evil, evil, evil, "names", evil], 0.01, true);
    fail(&mut record, [evil, evil, evil, evil, evil, "none"], evil);
    for sample in record.samples.values_mut().flat_map(std::sync::Arc::make_mut) {
        sample.text = evil.into();
        sample.id = evil.into();
    }
    let report = render(&record).unwrap();
    let scripts = report.html.matches("<script").count();
    let known = ["<script>'use strict'", "<script type=\"application/json\" id=\"", "<script type=\"text/plain\" id=\"array-"];
    assert_eq!(scripts, known.iter().map(|script| report.html.matches(script).count()).sum::<usize>(), "{}", report.html);
    assert_eq!(scripts, report.html.matches("</script>").count(), "{}", report.html);
    assert!(!report.html.contains("href=\"javascript") && !report.html.contains('\u{202e}'), "{}", report.html);
    assert!(!report.html.contains("<img") && !report.html.contains("<a href=\"d"), "{}", report.html);
    assert!(!report.markdown.contains('\u{202e}'));
    let headings: Vec<&str> = prose(&report.markdown).filter(|line| line.starts_with('#')).collect();
    assert!(headings.iter().skip(1).all(|line| !line.contains("script")), "{headings:?}");
    assert_eq!(ragged_table(&report.markdown), None);
    for (file, svg) in &report.figures {
        assert_eq!(malformed(svg), None, "{file}");
    }
}

#[test]
fn a_floor_that_is_not_beaten_is_named_as_the_answer() {
    let mut record = small();
    for (cell, skill) in [("tiny", 0.0), ("char-ngram", 0.5)] {
        score(&mut record, [cell, "other", "last", "two", "names", "none"], skill, false);
    }
    let markdown = render(&record).unwrap().markdown;
    assert!(markdown.contains("the lexical floor: no language model did better"), "{markdown}");
    assert!(
        markdown.contains("**Use the floor**: the language model does not beat character n-grams here (−25.0 points"),
        "{markdown}"
    );
}

#[test]
fn a_floor_without_a_rival_beats_no_language_model() {
    let mut record = small();
    record.cells.retain(|cell| cell.choices.model == "char-ngram");
    let markdown = render(&record).unwrap().markdown;
    assert!(markdown.contains("the lexical floor: no language model has a score"), "{markdown}");
}

#[test]
fn the_plan_s_order_of_cells_settles_equal_ranks_only() {
    let mut record = demo();
    let best = |record: &RunRecord| {
        render(record).unwrap().markdown.lines().find(|line| line.starts_with("**Best cell")).unwrap().to_owned()
    };
    let before = best(&record);
    record.cells.rotate_left(5);
    assert_eq!(best(&record), before);
}

#[test]
fn the_best_cell_is_chosen_on_dev_and_reported_on_test() {
    let mut record = run("pair");
    model(&mut record, "tiny", "path:models/tiny");
    slice(&mut record, "d", "fewclue-dev", &["a", "b"], 2);
    slice(&mut record, "t", "test_public", &["a", "b"], 2);
    let right: [&[f64]; 2] = [&[1.0, 0.0], &[0.0, 1.0]];
    let half: [&[f64]; 2] = [&[1.0, 0.0], &[1.0, 0.0]];
    for (prompt, on_dev, on_test) in [("x", half, right), ("y", right, half)] {
        score_exactly(&mut record, ["tiny", prompt, "last", "d", "names", "none"], &on_dev);
        score_exactly(&mut record, ["tiny", prompt, "last", "t", "names", "none"], &on_test);
    }
    let markdown = render(&record).unwrap().markdown;
    assert!(markdown.contains("**Best cell: 50.0 % of the texts"), "{markdown}");
    assert!(markdown.contains("Chosen on `d`, reported on `t`"), "{markdown}");
    assert!(!markdown.contains("winner's curse"), "{markdown}");
    assert!(markdown.contains("picked by their means on `d`; their gains are measured on `t`"), "{markdown}");
    assert!(markdown.contains("`y` is −50.0 points against `x`"), "the choice of dev, the gain of test: {markdown}");
    assert!(markdown.contains("| **prompt** | y | 100.0 % | 50.0 % | chosen | 1 |"), "{markdown}");
    let on_dev = record.cells.iter().position(|cell| (cell.choices.prompt.as_str(), cell.choices.slice.as_str()) == ("y", "d"));
    record.cells[on_dev.unwrap()].outcome = Outcome::Failed { reason: "no memory".into() };
    let markdown = render(&record).unwrap().markdown;
    assert!(markdown.contains("prompt `x`, readout"), "a cell without a dev score is not chosen: {markdown}");
}

/// Two slices, neither of which chooses for the other.
fn two() -> RunRecord {
    let mut record = run("two");
    model(&mut record, "tiny", "path:models/tiny");
    for (id, split) in [("one", "train"), ("other", "test")] {
        slice(&mut record, id, split, &TOPICS, 30);
        for prompt in ["a", "b"] {
            score(&mut record, ["tiny", prompt, "last", id, "names", "none"], 0.05, false);
        }
    }
    record
}

#[test]
fn several_slices_have_parts_and_figures_of_their_own() {
    let report = render(&two()).unwrap();
    assert_eq!(report.markdown.matches("### Slice `other`").count(), 7);
    assert!(report.figures.contains_key("confusion-2.svg"));
}

/// Renders the demo and odd runs to look at, into the folder that `PAGES` names; `tests/html` opens them in a browser. By hand:
/// `PAGES=DIR cargo test --release --lib report::tests::look -- --ignored`.
#[test]
#[ignore = "writes files to look at"]
fn look() {
    let folder = std::env::var_os("PAGES").map_or_else(|| std::env::temp_dir().join("report-demo"), PathBuf::from);
    let twenty: Vec<String> = (0..20).map(|i| if i % 3 == 0 { format!("生活服务{i}") } else { format!("游戏{i}") }).collect();
    let twenty: Vec<&str> = twenty.iter().map(String::as_str).collect();
    let mut wide = run("wide");
    model(&mut wide, "tiny", "path:models/tiny");
    slice(&mut wide, "s", "test", &twenty, 400);
    for prompt in ["raw", "a-very-long-prompt-name-that-someone-chose-in-a-hurry"] {
        for (labels, skill) in [("names", 0.05), ("described-with-several-phrasings", 0.08)] {
            score(&mut wide, ["tiny", prompt, "last", "s", labels, "none"], skill, false);
        }
    }
    let named = odd::runs().into_iter().chain([
        ("demo", demo()),
        ("wide", wide),
        ("small", small()),
        ("two", two()),
        ("large", large()),
        ("hostile", hostile()),
        ("layers", layers()),
        ("scores", many_pairs(Kind::Sts, false)),
        ("classes", many_pairs(Kind::Pairs, false)),
        ("mixed", many_pairs(Kind::Sts, true)),
    ]);
    for (name, record) in named {
        let place = folder.join(name.replace(' ', "-"));
        std::fs::create_dir_all(&place).unwrap();
        let report = render(&record).unwrap();
        std::fs::write(place.join("report.md"), &report.markdown).unwrap();
        std::fs::write(place.join("report.html"), &report.html).unwrap();
        for (file, svg) in &report.figures {
            std::fs::write(place.join(file), svg).unwrap();
        }
    }
}

#[test]
fn layers_calibrations_and_costs_are_drawn_where_they_vary() {
    let drawn = |record: &RunRecord| render(record).unwrap().figures.into_keys().collect::<Vec<_>>().join(" ");
    let all = "calibrations.svg confusion.svg cost.svg labels.svg layers.svg leaderboard.svg margins.svg prompts-labels.svg reliability.svg";
    assert_eq!(drawn(&layers()), all);
    let mut one = layers();
    one.cells
        .retain(|cell| cell.choices.readout == "last" && cell.choices.calibration == "none" && cell.choices.prompt == "raw");
    assert_eq!(drawn(&one), "confusion.svg labels.svg leaderboard.svg margins.svg reliability.svg");
}

/// The lines outside fenced blocks.
pub(super) fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut fence: Option<&str> = None;
    markdown.lines().filter(move |line| {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if *line == open => fence = None,
            None if ticks.len() > 2 => fence = Some(ticks),
            None => return true,
            Some(_) => {}
        }
        false
    })
}

/// The first table row whose number of cells differs from its table's head.
pub(super) fn ragged_table(markdown: &str) -> Option<String> {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut width = None;
    for line in prose(markdown) {
        if !line.starts_with('|') {
            width = None;
            continue;
        }
        if *width.get_or_insert_with(|| cells(line)) != cells(line) {
            return Some(line.to_owned());
        }
    }
    None
}

/// What keeps a document from being well-formed XML: tags that do not nest, bare `<` or `&`, forbidden characters.
pub(super) fn malformed(xml: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml.trim();
    if let Some(bad) =
        xml.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}'))
    {
        return Some(format!("character {bad:?}"));
    }
    while let Some(start) = rest.find('<') {
        if let Some(bad) = bare_ampersand(&rest[..start]) {
            return Some(bad);
        }
        let end = start + rest[start..].find('>')?;
        let tag = &rest[start + 1..end];
        if tag.contains('<') || tag.matches('"').count() % 2 == 1 || bare_ampersand(tag).is_some() {
            return Some(format!("tag {tag}"));
        }
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) if open.pop() != Some(name) => return Some(format!("end of {name}")),
            (None, false) => open.push(tag.split(' ').next()?),
            _ => {}
        }
        rest = &rest[end + 1..];
    }
    (!open.is_empty() || !rest.is_empty()).then(|| format!("open: {open:?}, rest: {rest}"))
}

fn bare_ampersand(text: &str) -> Option<String> {
    let bad = text
        .split('&')
        .skip(1)
        .find(|after| !after.split(';').next().is_some_and(|name| name.len() < 7 && after.contains(';')));
    bad.map(|after| format!("bare & before {after}"))
}
