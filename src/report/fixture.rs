//! Run records made by hand for the report's tests: known choices, seeded scores, metrics that follow from them.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::digest::Digest;
use crate::results::{
    CellRecord, Chat, Choices, CutText, Cuts, Gold, LabelsRecord, Layer, MetricRow, NO_CHOICE, Outcome, Part, Places,
    Provenance, ReadoutRecord, RunRecord, SampleRow, SampleText, Scored, Times, example,
};
use crate::spec::TaskKind;
use crate::stats::{Estimate, Interval, number, wilson};

pub const TOPICS: [&str; 6] = ["休闲益智", "亲子儿童", "中小学", "动作类", "新闻", "求职"];

/// A run without cells.
pub fn run(name: &str) -> RunRecord {
    let times = Times {
        started: "2026-01-02T03:04:05Z".into(),
        finished: "2026-01-02T03:05:15Z".into(),
        embed_seconds: 61.25,
        tokens_computed: 1_234_567,
        texts_embedded: 900,
        texts_cached: 100,
        cores: 2,
    };
    let provenance = Provenance { times, ..example::empty(name) };
    RunRecord { provenance, samples: BTreeMap::new(), cells: Vec::new(), places: Vec::new(), cuts: Some(Vec::new()) }
}

/// Adds a model.
pub fn model(run: &mut RunRecord, id: &str, source: &str) {
    run.provenance.models.push(example::model(id, source));
}

/// Adds a prompt.
pub fn prompt(run: &mut RunRecord, id: &str, template: &str) {
    run.provenance.prompts.push(example::prompt(id, template));
}

/// Adds a wording of the labels, with a prompt of its own if it has one.
pub fn labels(run: &mut RunRecord, id: &str, template: Option<&str>) {
    let prompt = template.map(|template| example::prompt(id, template));
    run.provenance.labels.push(LabelsRecord { prompt, ..LabelsRecord::named(id) });
}

/// Adds a slice of `n` samples, whose labels take turns.
pub fn slice(run: &mut RunRecord, id: &str, split: &str, labels: &[&str], n: usize) {
    let samples = (0..n).map(|i| {
        let gold = i % labels.len();
        SampleText { id: format!("{split}:{}", i + 1), text: text(i, labels[gold]), gold: Gold::Label(gold), partner: None }
    });
    run.samples.insert(id.into(), samples.collect::<Vec<_>>().into());
    run.provenance.slices.push(example::slice(id, split, labels, n));
}

fn text(i: usize, label: &str) -> String {
    let long = "这款应用内容丰富，界面清新，适合每天打开看一看，支持离线使用，也可以和好友分享。".repeat(1 + i % 4);
    format!("第{}款{label}应用：{long}", i + 1)
}

/// Choices in the order model, prompt, readout, slice, labels, calibration.
pub fn choices([model, prompt, readout, slice, labels, calibration]: [&str; 6]) -> Choices {
    let own = str::to_owned;
    Choices {
        model: own(model),
        prompt: own(prompt),
        readout: own(readout),
        transform: "none".to_owned(),
        slice: own(slice),
        task: if labels == NO_CHOICE { TaskKind::Sts } else { TaskKind::LabelSimilarity },
        labels: own(labels),
        calibration: own(calibration),
    }
}

/// The id of a cell with these choices.
pub fn cell_id(choices: &Choices) -> String {
    Digest::of_bytes(serde_json::to_string(choices).unwrap().as_bytes()).short()
}

/// Adds a failed cell.
pub fn fail(run: &mut RunRecord, ids: [&str; 6], reason: &str) {
    let choices = choices(ids);
    run.cells.push(CellRecord { id: cell_id(&choices), choices, outcome: Outcome::Failed { reason: reason.into() } });
}

/// Adds a scored cell: the right label's score is higher by `skill`, and every 7th text is cut when `cuts`.
pub fn score(run: &mut RunRecord, ids: [&str; 6], skill: f64, cuts: bool) {
    let choices = choices(ids);
    let id = cell_id(&choices);
    let samples = run.samples.get(ids[3]).unwrap();
    let labels = run.provenance.slices.iter().find(|slice| slice.id == ids[3]).unwrap().labels.clone();
    let rows: Vec<(SampleRow, Vec<f64>)> = samples
        .iter()
        .enumerate()
        .map(|(i, sample)| {
            let mut noise = ChaCha8Rng::seed_from_u64(i as u64);
            let mut own = ChaCha8Rng::from_seed(*Digest::of_bytes(format!("{id}{i}").as_bytes()).as_bytes());
            let mut scores: Vec<f64> = labels.iter().map(|_| 0.5 + 0.12 * unit(&mut noise) + 0.07 * unit(&mut own)).collect();
            let gold = sample.gold.label().unwrap();
            scores[gold] += skill;
            if gold == 1 && labels.len() > 1 {
                scores[0] += 0.8 * skill;
            }
            row(gold, scores, if cuts && i % 7 == 0 { 30 + i } else { 0 })
        })
        .collect();
    push(run, choices, &labels, rows);
    if cuts {
        cut(run, ids);
    }
}

/// Lets every 7th text lose its last third under a cell's model and prompt.
fn cut(run: &mut RunRecord, [model, prompt, _, slice, ..]: [&str; 6]) {
    let lost = |(index, sample): (usize, &SampleText)| {
        let length = sample.text.chars().count();
        CutText { index, of: Part::Text, left_out: length - length / 3..length }
    };
    let texts = run.samples[slice].iter().enumerate().step_by(7).map(lost).collect();
    let cuts = Cuts { model: model.into(), prompt: prompt.into(), slice: slice.into(), view: 0, texts };
    let known = run.cuts.get_or_insert_default();
    if !known.contains(&cuts) {
        known.push(cuts);
    }
}

/// Adds a cell with exactly these scores, one row per sample.
pub fn score_exactly(run: &mut RunRecord, ids: [&str; 6], scores: &[&[f64]]) {
    let choices = choices(ids);
    let samples = run.samples.get(ids[3]).unwrap();
    let labels = run.provenance.slices.iter().find(|slice| slice.id == ids[3]).unwrap().labels.clone();
    let rows =
        samples.iter().zip(scores).map(|(sample, scores)| row(sample.gold.label().unwrap(), scores.to_vec(), 0)).collect();
    push(run, choices, &labels, rows);
}

fn unit(generator: &mut ChaCha8Rng) -> f64 {
    f64::from(generator.next_u32()) / f64::from(u32::MAX)
}

fn row(gold: usize, scores: Vec<f64>, cut: usize) -> (SampleRow, Vec<f64>) {
    let best_but = |skipped: Option<usize>| {
        let others = scores.iter().copied().enumerate().filter(|(label, _)| Some(*label) != skipped);
        others.reduce(|a, b| if b.1 > a.1 { b } else { a })
    };
    let (predicted, top) = best_but(None).unwrap();
    let margin = best_but(Some(predicted)).map(|(_, second)| top - second);
    let gold_margin = best_but(Some(gold)).map(|(_, other)| scores[gold] - other);
    let gold_rank = 1 + scores.iter().filter(|score| **score > scores[gold]).count();
    let row = SampleRow { gold, predicted, gold_rank, margin, gold_margin, tied: margin == Some(0.0), tokens: 40, cut };
    (row, scores)
}

fn push(run: &mut RunRecord, choices: Choices, labels: &[String], rows: Vec<(SampleRow, Vec<f64>)>) {
    let (samples, scores): (Vec<SampleRow>, Vec<Vec<f64>>) = rows.into_iter().unzip();
    let mut confusion = vec![0; labels.len() * labels.len()];
    for sample in &samples {
        confusion[sample.gold * labels.len() + sample.predicted] += 1;
    }
    let metrics = metrics(labels, &samples, &choices);
    let id = cell_id(&choices);
    run.cells.push(CellRecord {
        id,
        choices,
        outcome: Outcome::Scored(Scored { metrics, samples: samples.into(), scores: scores.concat(), confusion }),
    });
}

fn metrics(labels: &[String], samples: &[SampleRow], choices: &Choices) -> Vec<MetricRow> {
    let n = samples.len();
    let count = |holds: &dyn Fn(&SampleRow) -> bool| samples.iter().filter(|sample| holds(sample)).count();
    let mut rows = Vec::new();
    let mut add = |name: &str, label: Option<&String>, estimate: Option<Estimate>| {
        let reason = estimate.is_none().then(|| "undefined".to_owned());
        rows.push(MetricRow { name: name.into(), label: label.cloned(), estimate, reason });
    };
    let mut f1_sum = 0.0;
    for (i, label) in labels.iter().enumerate() {
        let (gold, predicted) = (count(&|s| s.gold == i), count(&|s| s.predicted == i));
        let both = count(&|s| s.gold == i && s.predicted == i);
        let share = |of: usize| (of > 0).then(|| wilson(both, of));
        let f1 = if gold + predicted == 0 { 0.0 } else { 2.0 * number(both) / number(gold + predicted) };
        f1_sum += f1;
        add("precision", Some(label), share(predicted));
        add("recall", Some(label), share(gold));
        add("f1", Some(label), Some(Estimate::exact(f1, n)));
        add("attracted", Some(label), Some(wilson(predicted, n)));
    }
    let macro_f1 = f1_sum / number(labels.len());
    let near = Interval { low: (macro_f1 - 0.07).max(0.0), high: (macro_f1 + 0.07).min(1.0) };
    add("accuracy", None, Some(wilson(count(&|s| s.gold == s.predicted), n)));
    add("macro_f1", None, Some(Estimate { value: macro_f1, interval: Some(near), n }));
    add("cut_share", None, Some(wilson(count(&|s| s.cut > 0), n)));
    add("near_ties", None, Some(wilson(count(&|s| s.margin.is_some_and(|margin| margin < 0.002)), n)));
    add("exact_ties", None, Some(wilson(count(&|s| s.tied), n)));
    let top = (0..labels.len()).map(|i| count(&|s| s.predicted == i)).max().unwrap_or(0);
    add("hub_share", None, Some(Estimate::exact(number(top) / number(n.max(1)), n)));
    let cosine = if choices.model == "char-ngram" { 0.08 } else { 0.91 };
    add("anisotropy", None, Some(Estimate::exact(cosine, n)));
    add("zero_vectors", None, Some(wilson(0, n)));
    rows
}

/// A realistic run: 26 cells, two of them failed, over 160 texts with six Chinese labels.
pub fn demo() -> RunRecord {
    let mut demo = run("demo6");
    demo.provenance.about = Some("Can an LLM sort app descriptions by topic without training?".into());
    model(&mut demo, "tiny-zh", "path:models/tiny-zh");
    model(&mut demo, "char-ngram", "builtin:char-ngram");
    prompt(&mut demo, "prompteol", "This sentence : \"{text}\" means in one word:\"");
    prompt(&mut demo, "cot-zh", "仔细思考后，用一个词总结这句话：{text}");
    prompt(&mut demo, "raw", "{text}");
    slice(&mut demo, "apps6-test", "test", &TOPICS, 160);
    let mean = ReadoutRecord { id: "mean".into(), pool: "mean".into(), ..demo.provenance.readouts[0].clone() };
    demo.provenance.readouts.push(mean);
    labels(&mut demo, "names", None);
    labels(&mut demo, "described", Some("用一个词概括：{text}"));
    for (prompt, worth) in [("prompteol", 0.05), ("cot-zh", 0.06), ("raw", 0.02)] {
        for (readout, more) in [("last", 0.01), ("mean", 0.0)] {
            for (labels, described) in [("names", 0.0), ("described", 0.03)] {
                for (calibration, centred) in [("none", 0.0), ("center", 0.02)] {
                    let ids = ["tiny-zh", prompt, readout, "apps6-test", labels, calibration];
                    if (prompt, readout, labels) == ("raw", "mean", "described") {
                        fail(&mut demo, ids, "the model folder holds no tokenizer.json; add it or use `tokenizer = ...`");
                    } else {
                        score(&mut demo, ids, worth + more + described + centred, prompt == "cot-zh");
                    }
                }
            }
        }
    }
    for (labels, skill) in [("names", 0.07), ("described", 0.09)] {
        score(&mut demo, ["char-ngram", "raw", "mean", "apps6-test", labels, "none"], skill, false);
    }
    demo.provenance.reference = Some(demo.cells[0].id.clone());
    for prompt in ["prompteol", "cot-zh"] {
        place(&mut demo, ["tiny-zh", prompt, "last", "apps6-test", "names", "none"]);
    }
    demo
}

/// Gives the texts of a cell places in a plane: those of a label around a point of a circle.
pub fn place(run: &mut RunRecord, ids: [&str; 6]) {
    let samples = &run.samples[ids[3]];
    let at = |sample: &SampleText, i: usize| {
        let mut noise = ChaCha8Rng::seed_from_u64(i as u64);
        let turn = number(sample.gold.label().unwrap());
        [turn.cos() + unit(&mut noise), turn.sin() + unit(&mut noise)]
    };
    let places = samples.iter().enumerate().map(|(i, sample)| at(sample, i)).collect();
    let indices = (0..samples.len()).collect();
    run.places.push(Places { cell: cell_id(&choices(ids)), indices, places, shares: [0.31, 0.12] });
}

/// As many samples as a page should bear.
pub fn large() -> RunRecord {
    let mut large = run("large");
    model(&mut large, "tiny", "path:models/tiny");
    prompt(&mut large, "eol", "This sentence : \"{text}\" means in one word:\"");
    slice(&mut large, "s", "test", &TOPICS, 100_000);
    for labels in ["names", "described", "paraphrased"] {
        for (calibration, skill) in [("none", 0.05), ("center", 0.07)] {
            score(&mut large, ["tiny", "eol", "last", "s", labels, calibration], skill, calibration == "none");
        }
    }
    large.provenance.reference = Some(large.cells[0].id.clone());
    large
}

/// Five layers under five prompts of different lengths, and three calibrations.
pub fn layers() -> RunRecord {
    let mut layers = run("layers");
    model(&mut layers, "tiny", "path:models/tiny");
    model(&mut layers, "char-ngram", "builtin:char-ngram");
    layers.provenance.models[0].layers = BTreeMap::from([("last".to_owned(), 12)]);
    for (layer, state) in [(-2, 11), (-4, 9), (-8, 5), (-12, 1)] {
        let read = ReadoutRecord { id: format!("layer{layer}"), layer: Layer::At(layer), ..example::last() };
        layers.provenance.models[0].layers.insert(read.id.clone(), state);
        layers.provenance.readouts.push(read);
    }
    slice(&mut layers, "s", "test", &TOPICS, 300);
    let readouts = [("last", -1_i32), ("layer-2", -2), ("layer-4", -4), ("layer-8", -8), ("layer-12", -12)];
    for (length, prompt) in ["raw", "prompteol", "pretended-cot", "knowledge", "cot-zh"].into_iter().enumerate() {
        for (readout, layer) in readouts {
            for (calibration, centred) in [("none", 0.0), ("center", 0.02), ("csls", 0.015)] {
                let skill = 0.03 + 0.01 * number(length) - 0.001 * f64::from((layer + 4).pow(2)) + centred;
                score(&mut layers, ["tiny", prompt, readout, "s", "names", calibration], skill, false);
                lengthen(&mut layers, 12 * length);
            }
        }
    }
    score(&mut layers, ["char-ngram", "raw", "last", "s", "names", "none"], 0.01, false);
    layers
}

/// Gives the last cell's texts so many tokens more.
fn lengthen(run: &mut RunRecord, tokens: usize) {
    if let Some(Outcome::Scored(scored)) = run.cells.last_mut().map(|cell| &mut cell.outcome) {
        scored.samples = scored.samples.iter().map(|sample| SampleRow { tokens: sample.tokens + tokens, ..sample }).collect();
    }
}

/// Texts, labels and templates that would break a page which trusted them.
pub fn hostile() -> RunRecord {
    let evil = "</script><img src=x onerror=alert(1)>\u{2028}\u{1b}[31m\u{202e}\0<!--";
    let mut hostile = run("hostile");
    model(&mut hostile, "tiny", "path:models/tiny");
    prompt(&mut hostile, evil, &format!("{evil}: \u{201c}{{text}}\u{201d} {{{{x}}}}"));
    hostile.provenance.prompts[0].chat = Some(Chat { system: Some(evil.into()), answer: Some("It is".into()) });
    slice(&mut hostile, "s", "test", &[evil, "b"], 12);
    for (i, sample) in hostile.samples.values_mut().flat_map(std::sync::Arc::make_mut).enumerate() {
        sample.text = if i == 1 { "词".repeat(10_000) } else { format!("{evil}\r\nline {i}") };
    }
    for (calibration, skill) in [("none", 0.05), ("center", 0.02)] {
        score(&mut hostile, ["tiny", evil, "last", "s", "names", calibration], skill, true);
    }
    fail(&mut hostile, ["tiny", evil, "last", "s", evil, "none"], evil);
    hostile
}
