//! Records for tests: what runs have in common, and a small run of two models, two prompts and one slice of three samples, with a
//! failed cell.

use std::collections::BTreeMap;

use super::*;
use crate::stats::{Estimate, Interval};

pub(super) const LABELS: [&str; 2] = ["新闻", "求职"];

/// A run of this name without anything in it.
pub(crate) fn empty(name: &str) -> Provenance {
    Provenance {
        format: FORMAT,
        name: name.to_owned(),
        about: None,
        spec: format!("name = \"{name}\"\nseed = 42\n"),
        spec_path: format!("experiments/{name}.toml"),
        seed: 42,
        engine: "0.1.0".to_owned(),
        models: Vec::new(),
        prompts: Vec::new(),
        transforms: Vec::new(),
        readouts: vec![last()],
        slices: Vec::new(),
        labels: Vec::new(),
        content_free: Vec::new(),
        tasks: Vec::new(),
        reference: None,
        correction: Correction::Holm,
        gate: None,
        published: Vec::new(),
        times: Times::default(),
    }
}

pub(crate) fn model(id: &str, source: &str) -> ModelRecord {
    ModelRecord {
        id: id.to_owned(),
        source: source.to_owned(),
        fit: None,
        endpoint: None,
        commit: None,
        dtype: "f32".to_owned(),
        device: "cpu".to_owned(),
        max_tokens: 256,
        adapter: None,
        parameters: if source.starts_with("builtin:") { 0 } else { 1_900_000 },
        layers: BTreeMap::new(),
        identity: Digest::of_bytes(format!("identity of {id}").as_bytes()),
        encoder: Digest::of_bytes(id.as_bytes()),
        about: serde_json::json!({ "weights": Digest::of_bytes(source.as_bytes()).to_string() }),
    }
}

pub(crate) fn prompt(id: &str, view: &str) -> PromptRecord {
    PromptRecord {
        id: id.to_owned(),
        views: vec![view.to_owned()],
        fuse: Fuse::default(),
        differently: Vec::new(),
        truncate: "head".to_owned(),
        clean: "none".to_owned(),
        chat: None,
        documents: None,
    }
}

/// The last token's state after the final norm.
pub(crate) fn last() -> ReadoutRecord {
    ReadoutRecord {
        id: "last".to_owned(),
        layer: Layer::At(-1),
        pool: "last".to_owned(),
        span: None,
        norm: false,
        dim: None,
        normalize: true,
    }
}

/// A slice of so many labelled texts.
pub(crate) fn slice(id: &str, split: &str, labels: &[&str], samples: usize) -> SliceRecord {
    SliceRecord {
        id: id.to_owned(),
        digest: Digest::of_bytes(id.as_bytes()),
        kind: Kind::Classification,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        samples,
        origin: Origin {
            dataset: "apps6".to_owned(),
            split: split.to_owned(),
            files: vec![(format!("{split}.jsonl"), Digest::of_bytes(split.as_bytes()))],
            skipped: 0,
        },
        mteb: None,
    }
}

pub(super) fn provenance() -> Provenance {
    let own = |id: &str| ModelRecord {
        layers: BTreeMap::from([("last".to_owned(), 3)]),
        about: serde_json::json!({ "weights": id, "heads": [1, 2] }),
        ..model(id, &format!("path:{id}"))
    };
    Provenance {
        about: Some("Does it work?".to_owned()),
        models: vec![own("big"), own("small")],
        prompts: vec![prompt("raw", "{text}"), prompt("eol", "\"{text}\" means:")],
        slices: vec![slice("apps2", "test", &LABELS, 3)],
        labels: vec![LabelsRecord::named("names")],
        reference: Some("aaaaaaaaaaaa".to_owned()),
        ..empty("example")
    }
}

/// Two texts cut under one prompt of one model, one of them under the other too.
pub(super) fn cuts() -> Vec<Cuts> {
    let text = |index, left_out| CutText { index, of: Part::Text, left_out };
    let under =
        |prompt: &str, texts| Cuts { model: "big".into(), prompt: prompt.into(), slice: "apps2".into(), view: 0, texts };
    vec![under("raw", vec![text(1, 4..14), text(2, 0..3)]), under("eol", vec![text(0, 2..2)])]
}

pub(super) fn samples() -> BTreeMap<String, Arc<Vec<SampleText>>> {
    let text = |i: usize, gold: usize| SampleText {
        id: format!("test:{}", i + 1),
        text: format!("文字 {i}\n\"quoted\""),
        gold: Gold::Label(gold),
        partner: None,
    };
    BTreeMap::from([("apps2".to_owned(), vec![text(0, 0), text(1, 1), text(2, 1)].into())])
}

pub(super) fn choices(model: &str, prompt: &str) -> Choices {
    Choices {
        model: model.to_owned(),
        prompt: prompt.to_owned(),
        readout: "last".to_owned(),
        transform: "none".to_owned(),
        slice: "apps2".to_owned(),
        task: TaskKind::LabelSimilarity,
        labels: "names".to_owned(),
        calibration: "none".to_owned(),
    }
}

/// A cell that predicts these labels, with numbers that decimal text does not round-trip by luck.
pub(super) fn cell(id: &str, model: &str, prompt: &str, predicted: [usize; 3]) -> CellRecord {
    let golds = [0, 1, 1];
    let margin = |i: usize| 0.1 + 0.2 / f64::from(u8::try_from(i + 1).unwrap());
    let row = |i: usize| {
        let (right, margin) = (predicted[i] == golds[i], margin(i));
        SampleRow {
            gold: golds[i],
            predicted: predicted[i],
            gold_rank: if right { 1 } else { 2 },
            margin: Some(margin),
            gold_margin: Some(if right { margin } else { -margin }),
            tied: i == 2,
            tokens: 10 + i,
            cut: i,
        }
    };
    let samples: Vec<SampleRow> = (0..3).map(row).collect();
    let scores = (0..3).flat_map(|i| if predicted[i] == 0 { [margin(i), 0.0] } else { [0.0, margin(i)] }).collect();
    let mut confusion = vec![0; 4];
    samples.iter().for_each(|row| confusion[row.gold * 2 + row.predicted] += 1);
    let right = samples.iter().filter(|row| row.gold == row.predicted).count();
    let metrics = vec![
        metric("accuracy", None, Some(crate::stats::wilson(right, 3))),
        metric(
            "macro_f1",
            None,
            Some(Estimate { value: 1.0 / 3.0, interval: Some(Interval { low: 0.1 + 0.2, high: 0.7 }), n: 3 }),
        ),
        metric("anisotropy", None, Some(Estimate { value: 0.25, interval: None, n: 3 })),
        metric("cut_tokens", None, None),
        metric("recall", Some(LABELS[0]), Some(crate::stats::wilson(1, 1))),
    ];
    let scored = Scored { metrics, samples: samples.into(), scores, confusion };
    CellRecord { id: id.to_owned(), choices: choices(model, prompt), outcome: Outcome::Scored(scored) }
}

fn metric(name: &str, label: Option<&str>, estimate: Option<Estimate>) -> MetricRow {
    let reason = estimate.is_none().then(|| "no sample was cut".to_owned());
    MetricRow { name: name.to_owned(), label: label.map(str::to_owned), estimate, reason }
}

pub(super) fn failed(id: &str, model: &str, prompt: &str) -> CellRecord {
    let outcome = Outcome::Failed { reason: "the model did not load".to_owned() };
    CellRecord { id: id.to_owned(), choices: choices(model, prompt), outcome }
}

/// In the order of the plan, which is not that of the ids.
pub(super) fn cells() -> Vec<CellRecord> {
    vec![
        cell("cccccccccccc", "big", "raw", [0, 0, 1]),
        cell("aaaaaaaaaaaa", "big", "eol", [0, 1, 1]),
        cell("bbbbbbbbbbbb", "small", "raw", [1, 0, 1]),
        failed("dddddddddddd", "small", "eol"),
    ]
}

pub(super) fn record() -> RunRecord {
    RunRecord { provenance: provenance(), samples: samples(), cells: cells(), places: Vec::new(), cuts: Some(cuts()) }
}
