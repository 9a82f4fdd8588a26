//! Hand-checked weights and cuts, and the floor on real rows.

#![expect(clippy::float_cmp, reason = "the same arithmetic on both sides")]

use super::*;
use crate::model::ModelError;
use crate::spec::{Layer, Pooling};
use std::io::Write as _;

fn fitted(texts: &[&str]) -> CharNgram {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    CharNgram::fit(&texts, &FitSet { dataset: "d".to_owned(), split: "train".to_owned() })
}

fn own(layer: i32, pool: Pooling, norm: bool) -> Readout {
    Readout { norm, ..Readout::new("r", Layer::At(layer), pool) }
}

fn character(c: char) -> u64 {
    u64::from(u32::from(c))
}

#[test]
fn characters_weigh_by_how_few_texts_have_them() {
    // "a" is in 3 of 3 texts: ln(4 / 4) + 1. "b" in 1: ln(4 / 2) + 1. "z" in none: ln(4 / 1) + 1.
    let model = fitted(&["ab", "a", "aa"]);
    assert!((model.weight(character('a')) - 1.0).abs() < 1e-6);
    assert!((model.weight(character('b')) - (2.0_f32.ln() + 1.0)).abs() < 1e-6);
    assert!((model.weight(character('z')) - (4.0_f32.ln() + 1.0)).abs() < 1e-6);
}

#[test]
fn a_vector_sums_signed_weights_and_repetitions_count() {
    let model = fitted(&["ab", "a", "aa"]);
    let (at, sign) = coordinate(character('a'));
    let vector = model.vector(&scalars("aaa"));
    // Three times weight 1; the pair "aa" is in one text only, so it is left out.
    assert!((vector[at] - 3.0 * sign).abs() < 1e-6);
    assert_eq!(vector.iter().filter(|value| **value != 0.0).count(), 1);
}

#[test]
fn pairs_count_from_five_texts_on() {
    let pair = codes(&scalars("xy")).last().unwrap();
    assert_eq!(fitted(&["xy"; 4]).weight(pair), 0.0);
    assert!((fitted(&["xy"; 5]).weight(pair) - 1.0).abs() < 1e-6);
    // Order within a pair matters, and no pair is a character.
    assert_ne!(codes(&scalars("yx")).last().unwrap(), pair);
    assert!(is_pair(codes(&[0, 0]).last().unwrap()) && !is_pair(u64::from(u32::from(char::MAX))));
}

#[test]
fn coordinates_are_those_of_splitmix64() {
    // The first output of the reference generator with seed 0: its state is then the increment, as for code 0.
    assert_eq!(0xe220_a839_7b1d_cdaf_u64 % (DIM as u64), 0x0daf);
    assert_eq!(coordinate(0), (0x0daf, -1.0));
}

#[test]
fn readouts_other_than_its_own_are_refused_with_the_way_out() {
    let model = fitted(&["ab"]);
    let resolved = model.readout(&own(-1, Pooling::Own, false)).unwrap();
    assert_eq!((resolved.dim, resolved.layer, resolved.normalize), (DIM, 0, true));
    for readout in
        [own(-2, Pooling::Own, false), own(0, Pooling::Own, false), own(-1, Pooling::Last, false), own(-1, Pooling::Own, true)]
    {
        let error = model.readout(&readout).unwrap_err().to_string();
        assert!(error.contains("has no layers; give it a readout with `pool = \"own\"`"), "{error}");
    }
}

#[test]
fn a_cut_takes_the_text_and_leaves_the_template() {
    let mut model = fitted(&["ab"]);
    model.card.max_tokens = 6;
    let template = Template::parse("<{text}>").unwrap();
    let cut = |way| {
        let told = |prepared: Prepared| (prepared.rendered, prepared.cut, prepared.left_out.unwrap());
        model.prepare(&template, "一二三四五六", way).map(told)
    };
    assert_eq!(cut(Truncation::Head).unwrap(), ("<一二三四>".to_owned(), 2, 4..6));
    assert_eq!(cut(Truncation::Tail).unwrap(), ("<三四五六>".to_owned(), 2, 0..2));
    assert_eq!(cut(Truncation::Middle).unwrap(), ("<一二五六>".to_owned(), 2, 2..4));
    assert_eq!(cut(Truncation::WholePrompt).unwrap(), ("<一二三四五六>".to_owned(), 2, 6..8));
    let whole = model.prepare(&template, "一二三四五六", Truncation::WholePrompt).unwrap();
    assert_eq!(whole.ids, scalars("<一二三四五"));
    let error = cut(Truncation::Error).unwrap_err();
    assert!(
        matches!(&error, EmbedError::Model(error) if matches!(**error, ModelError::TooLong { tokens: 8, limit: 6, .. })),
        "{error}"
    );
    let twice = Template::parse("{text}|{text}").unwrap();
    assert_eq!(model.prepare(&twice, "一二三四", Truncation::Head).unwrap().rendered, "一二|一二");
    let long = Template::parse("1234567{text}").unwrap();
    let error = model.prepare(&long, "一", Truncation::Head).unwrap_err();
    assert!(is_too_long(&error, 7), "{error}");
    let full = Template::parse("123456{text}").unwrap();
    let error = model.prepare(&full, "一", Truncation::Head).unwrap_err();
    assert!(is_too_long(&error, 6), "{error}");
    assert_eq!(model.prepare(&template, "é", Truncation::Head).unwrap().ids, [60, 233, 62]);
}

#[test]
fn rows_come_once_each_in_batches_and_the_work_may_end_early() {
    let model = fitted(&["ab"]);
    let texts: Vec<Vec<u32>> = (0..150_u32).map(|i| vec![97 + i % 26, 97 + i / 26]).collect();
    let rows: Vec<Row<'_>> = texts.iter().map(|row| Row::from(row.as_slice())).collect();
    let readout = model.readout(&own(-1, Pooling::Own, false)).unwrap();
    let mut seen = Vec::new();
    let gather = &mut |batch: Batch| {
        for (row, vector) in batch.rows.iter().zip(batch.embeddings[0].rows()) {
            assert_eq!(vector, model.vector(rows[*row].ids));
        }
        seen.extend(batch.rows);
        if seen.len() < 128 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    model.encode(&rows, std::slice::from_ref(&readout), gather).unwrap();
    assert_eq!(seen, (0..128).collect::<Vec<usize>>());
    let go_on = &mut |_: Batch| ControlFlow::Continue(());
    assert!(matches!(
        model.encode(&[&[97][..], &[]].map(Row::from), std::slice::from_ref(&readout), go_on),
        Err(EmbedError::EmptyRow { row: 1 })
    ));
    let surrogate = model.encode(&[Row::from(&[0xd800][..])], &[readout], go_on);
    assert!(matches!(surrogate, Err(EmbedError::UnknownToken { row: 0, id: 0xd800, .. })));
}

#[test]
fn the_digest_is_that_of_the_fitted_counts() {
    let same = fitted(&["ab", "cd"]).card.digest;
    assert_eq!(fitted(&["cd", "ab"]).card.digest, same);
    assert_ne!(fitted(&["ab", "ce"]).card.digest, same);
    assert_ne!(fitted(&["ab", "cd", ""]).card.digest, same);
}

const LABELS: [&str; 6] = ["休闲益智", "亲子儿童", "中小学", "动作类", "新闻", "求职"];
/// Chosen among four wordings on the dev rows.
const DEFINITIONS: [&str; 6] = [
    "休闲益智：消磨时间、开发大脑的小游戏",
    "亲子儿童：给宝宝听故事、学儿歌、认字，爸爸妈妈陪孩子玩",
    "中小学：小学、初中、高中学生的作业、课程、考试",
    "动作类：打斗、格斗、闯关的动作游戏",
    "新闻：阅读时事、资讯、头条、报道",
    "求职：找工作、投简历、企业招聘",
];

/// Texts and label names of a file of JSON lines.
fn rows(folder: &std::path::Path, file: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder.join("datasets/iflytek").join(file)).unwrap();
    let field = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|row| (field(&row, "sentence"), field(&row, "label_des")))
        .collect()
}

/// How many rows of the six topics are nearest, by cosine, to the wording of their label; and of how many. A tie goes to
/// the first label, as everywhere: some texts share no n-gram with any label's bare name.
fn right(model: &CharNgram, rows: &[(String, String)], wordings: &[&str; 6]) -> (usize, usize) {
    let unit = |text: &str| -> Vec<f64> {
        let vector: Vec<f64> = model.vector(&scalars(text)).into_iter().map(f64::from).collect();
        let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        vector.into_iter().map(|value| value / norm).collect()
    };
    let labels = wordings.map(unit);
    let kept: Vec<_> =
        rows.iter().filter_map(|(text, label)| Some((text, LABELS.iter().position(|it| it == label)?))).collect();
    let hits = kept.iter().filter(|(text, gold)| {
        let vector = unit(text);
        let scores: Vec<f64> = labels.iter().map(|label| label.iter().zip(&vector).map(|(a, b)| a * b).sum()).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scores.iter().position(|score| *score == best) == Some(*gold)
    });
    (hits.count(), kept.len())
}

/// The counts are those of a separate implementation in Python, on scipy's sparse matrices in f64.
#[test]
fn the_floor_on_six_iflytek_topics_is_high() {
    let Some(folder) = std::env::var_os("BENCH_TEST_DATA").map(std::path::PathBuf::from) else {
        // Not `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: BENCH_TEST_DATA is not set, so the floor is not measured on the real IFLYTEK rows"
        );
        return;
    };
    let texts: Vec<String> = rows(&folder, "train_few_all.json").into_iter().map(|(text, _)| text).collect();
    let model = CharNgram::fit(&texts, &FitSet { dataset: "iflytek".to_owned(), split: "train".to_owned() });
    let (dev, test) = (rows(&folder, "dev_few_all.json"), rows(&folder, "test_public.json"));
    assert_eq!(right(&model, &dev, &LABELS), (107, 168));
    assert_eq!(right(&model, &test, &LABELS), (109, 167));
    assert_eq!(right(&model, &dev, &DEFINITIONS), (124, 168));
    assert_eq!(right(&model, &test, &DEFINITIONS), (126, 167));
}

/// Whether a template of so many tokens was refused under a limit of 6.
fn is_too_long(error: &EmbedError, wanted: usize) -> bool {
    matches!(error, EmbedError::Model(error) if matches!(**error, ModelError::TemplateTooLong { tokens, limit: 6, .. } if tokens == wanted))
}
