//! Two runs of 1,000 cells on 10,000 samples of six labels, compared from their result files: seconds and memory of `bench compare`
//! and `bench gate`, against a run and against its baseline. `cargo bench --bench files`

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "draws of a generator")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embed_bench::dataset::{Kind, Origin};
use embed_bench::digest::Digest;
use embed_bench::prompt::Fuse;
use embed_bench::results::{
    CellRecord, Choices, FORMAT, Gold, LabelsRecord, MetricRow, ModelRecord, Outcome, PromptRecord, Provenance, ReadoutRecord,
    Recorder, SampleRow, SampleText, Scored, SliceRecord, Times,
};
use embed_bench::spec::{Correction, Layer, TaskKind};
use embed_bench::stats::wilson;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CELLS: usize = 1000;
const SAMPLES: usize = 10_000;
const LABELS: usize = 6;

fn main() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (before, after) = (root.path().join("before"), root.path().join("after"));
    write(&before, 0.75, 1)?;
    write(&after, 0.74, 2)?;
    let bytes = std::fs::metadata(before.join("predictions.parquet"))?.len();
    println!("predictions of a run: {} MiB", bytes >> 20);
    let blessed = root.path().join("baseline");
    let (run, baseline, candidate) = (shown(&before), shown(&blessed), shown(&after));
    measure("bless", &["bless", &run, "-o", &baseline])?;
    measure("compare, run against run", &["compare", &run, &candidate, "--format", "csv"])?;
    measure("compare, run against baseline", &["compare", &baseline, &candidate, "--format", "csv"])?;
    measure("compare, as JSON with every flip", &["compare", &run, &candidate, "--format", "json"])?;
    measure("gate", &["gate", &candidate, "--baseline", &baseline])
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Runs the program and says how long it took and how much memory it had at most.
fn measure(name: &str, arguments: &[&str]) -> Result<()> {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        if let Some(code) = child.try_wait()? {
            break code;
        }
        peak = peak.max(peak_mib(&status).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    };
    println!("{name}: {:.1} s, {peak} MiB, exit {}", started.elapsed().as_secs_f64(), code.code().unwrap_or(-1));
    Ok(())
}

/// Peak of resident memory, where the system tells. Unit: MiB.
fn peak_mib(status: &str) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Writes a run whose cells are right on this share of the samples.
fn write(dir: &Path, accuracy: f64, seed: u64) -> Result<()> {
    let texts: Vec<SampleText> = (0..SAMPLES)
        .map(|i| SampleText {
            id: format!("test:{i}"),
            text: format!("text {i}, ") + &"about this long ".repeat(20),
            gold: Gold::Label(i % LABELS),
            partner: None,
        })
        .collect();
    let mut recorder = Recorder::start(dir, provenance(), BTreeMap::from([("s".to_owned(), texts.into())]))?;
    let ids: Vec<String> = (0..CELLS).map(|cell| format!("{cell:012x}")).collect();
    for (cell, id) in ids.iter().enumerate() {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(cell as u64);
        recorder.record(CellRecord { id: id.clone(), choices: choices(cell), outcome: scored(&mut generator, accuracy) })?;
    }
    recorder.finish(Times::default(), &ids)?;
    Ok(())
}

fn choices(cell: usize) -> Choices {
    Choices {
        model: "m".into(),
        prompt: format!("p{cell}"),
        readout: "r".into(),
        transform: "none".into(),
        slice: "s".into(),
        task: TaskKind::LabelSimilarity,
        labels: "names".into(),
        calibration: "none".into(),
    }
}

/// Random scores whose highest is the gold label's as often as that.
fn scored(generator: &mut ChaCha8Rng, accuracy: f64) -> Outcome {
    let mut unit = || (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let (mut samples, mut scores) = (Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES * LABELS));
    let mut confusion = vec![0; LABELS * LABELS];
    for sample in 0..SAMPLES {
        let gold = sample % LABELS;
        let predicted = if unit() < accuracy { gold } else { (gold + 1) % LABELS };
        let margin = 0.1 * unit();
        let own: Vec<f64> = (0..LABELS).map(|label| if label == predicted { 0.5 + margin } else { 0.5 * unit() }).collect();
        let gold_margin = if predicted == gold { margin } else { -margin };
        confusion[gold * LABELS + predicted] += 1;
        scores.extend(own);
        samples.push(SampleRow {
            gold,
            predicted,
            gold_rank: if predicted == gold { 1 } else { 2 },
            margin: Some(margin),
            gold_margin: Some(gold_margin),
            tied: false,
            tokens: 100,
            cut: 0,
        });
    }
    let right = samples.iter().filter(|row| row.gold == row.predicted).count();
    let accuracy = MetricRow { name: "accuracy".into(), label: None, estimate: Some(wilson(right, SAMPLES)), reason: None };
    Outcome::Scored(Scored { metrics: vec![accuracy], samples: samples.into(), scores, confusion })
}

fn provenance() -> Provenance {
    let origin = Origin { dataset: "simulated".into(), split: "test".into(), files: Vec::new(), skipped: 0 };
    let labels = (0..LABELS).map(|label| format!("label {label}")).collect();
    let digest = Digest::of_bytes(b"simulated");
    let prompt = |id: String| PromptRecord {
        id,
        views: vec!["{text}".into()],
        fuse: Fuse::default(),
        differently: Vec::new(),
        truncate: "head".into(),
        clean: "none".into(),
        chat: None,
        documents: None,
    };
    Provenance {
        format: FORMAT,
        name: "simulated".into(),
        about: None,
        spec: String::new(),
        spec_path: "simulated.toml".into(),
        seed: 42,
        engine: "1".into(),
        models: vec![ModelRecord {
            id: "m".into(),
            source: "path:m".into(),
            fit: None,
            endpoint: None,
            commit: None,
            adapter: None,
            dtype: "f32".into(),
            device: "cpu".into(),
            max_tokens: 512,
            parameters: 1,
            layers: BTreeMap::new(),
            identity: digest,
            encoder: digest,
            about: serde_json::Value::Null,
        }],
        prompts: (0..CELLS).map(|cell| prompt(format!("p{cell}"))).collect(),
        readouts: vec![ReadoutRecord {
            id: "r".into(),
            layer: Layer::At(-1),
            pool: "last".into(),
            span: None,
            norm: false,
            dim: None,
            normalize: true,
        }],
        slices: vec![SliceRecord {
            id: "s".into(),
            digest,
            kind: Kind::Classification,
            labels,
            samples: SAMPLES,
            origin,
            mteb: None,
        }],
        labels: vec![LabelsRecord::named("names")],
        content_free: Vec::new(),
        transforms: Vec::new(),
        tasks: Vec::new(),
        reference: None,
        correction: Correction::Holm,
        gate: None,
        published: Vec::new(),
        times: Times::default(),
    }
}
