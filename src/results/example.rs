//! A small run for tests: two models, two prompts, one slice of three samples; one cell failed.

use std::collections::BTreeMap;

use super::*;
use crate::stats::{Estimate, Interval};

pub(super) const LABELS: [&str; 2] = ["新闻", "求职"];

pub(super) fn provenance() -> Provenance {
    let model = |id: &str| ModelRecord {
        id: id.to_owned(),
        source: format!("path:{id}"),
        fit: None,
        endpoint: None,
        commit: None,
        dtype: "f32".to_owned(),
        device: "cpu".to_owned(),
        max_tokens: 512,
        adapter: None,
        parameters: 7,
        layers: BTreeMap::from([("last".to_owned(), 3)]),
        identity: Digest::of_bytes(format!("identity of {id}").as_bytes()),
        encoder: Digest::of_bytes(id.as_bytes()),
        about: serde_json::json!({ "weights": id, "heads": [1, 2] }),
    };
    let prompt = |id: &str, view: &str| PromptRecord {
        id: id.to_owned(),
        views: vec![view.to_owned()],
        fuse: Fuse::default(),
        differently: Vec::new(),
        truncate: "head".to_owned(),
        clean: "none".to_owned(),
        chat: None,
    };
    let origin = Origin {
        dataset: "apps".into(),
        split: "test".into(),
        files: vec![("a.jsonl".into(), Digest::of_bytes(b"a"))],
        skipped: 0,
    };
    Provenance {
        format: FORMAT,
        name: "example".to_owned(),
        about: Some("Does it work?".to_owned()),
        spec: "name = \"example\"\n".to_owned(),
        spec_path: "experiments/example.toml".to_owned(),
        seed: 42,
        engine: "0.1.0".to_owned(),
        models: vec![model("big"), model("small")],
        prompts: vec![prompt("raw", "{text}"), prompt("eol", "\"{text}\" means:")],
        transforms: Vec::new(),
        readouts: vec![last()],
        slices: vec![SliceRecord {
            id: "apps2".to_owned(),
            digest: Digest::of_bytes(b"slice"),
            kind: Kind::Classification,
            labels: LABELS.map(str::to_owned).to_vec(),
            samples: 3,
            origin,
            mteb: None,
        }],
        labels: vec![LabelsRecord::named("names")],
        content_free: Vec::new(),
        tasks: Vec::new(),
        reference: Some("aaaaaaaaaaaa".to_owned()),
        correction: Correction::Holm,
        gate: None,
        times: Times::default(),
    }
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
    RunRecord { provenance: provenance(), samples: samples(), cells: cells(), places: Vec::new() }
}

/// The last token's state after the final norm.
fn last() -> ReadoutRecord {
    ReadoutRecord {
        id: "last".into(),
        layer: Layer::At(-1),
        pool: "last".into(),
        span: None,
        norm: false,
        dim: None,
        normalize: true,
    }
}
