//! How fast texts become vectors: the workloads of `benches/README.md` through the library, without cache and scores.
//!
//! `cargo bench --bench engine -- MODEL WORKLOAD [--dtype f32|f16|bf16] [--readouts 1|6] [--out FILE]`, with
//! `BENCH_TEST_DATA` naming the folder of the datasets. Prints one line of JSON; `FILE` receives the vectors as raw f32.

#![expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use embed_bench::dataset::Catalog;
use embed_bench::embed::{self, Encoder, Resolved, Row, Sources};
use embed_bench::http::Network;
use embed_bench::observe::Silent;
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{Device, Layer, Model, Pooling, Readout, Source};
use rayon::prelude::*;
use serde_json::Value;

const TOPICS: [&str; 6] = ["休闲益智", "亲子儿童", "中小学", "动作类", "新闻", "求职"];

const EOL: [&str; 3] = [
    r#"This sentence : "{text}" means in one word:""#,
    r#"After thinking step by step , this sentence : "{text}" means in one word:""#,
    r#"The essence of a sentence is often captured by its main subjects and actions, while descriptive terms provide additional but less central details. With this in mind , this sentence : "{text}" means in one word:""#,
];

struct Workload {
    texts: Vec<String>,
    prompts: Vec<String>,
    max_tokens: Option<usize>,
    pool: Pooling,
}

fn main() -> Result<(), Box<dyn Error>> {
    // As `bench` does it: a worker for each core that this process may use.
    rayon::ThreadPoolBuilder::new().num_threads(std::thread::available_parallelism()?.get()).build_global()?;
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let dtype = option(&mut words, "--dtype").unwrap_or_else(|| "f32".to_owned());
    let readouts = option(&mut words, "--readouts").map_or(Ok(1), |count| count.parse::<usize>())?;
    let out = option(&mut words, "--out");
    let [folder, name] = &words[..] else { return Err("give a model folder and a workload".into()) };
    let data = PathBuf::from(std::env::var("BENCH_TEST_DATA").map_err(|_| "BENCH_TEST_DATA names no folder")?);
    let workload = workload(name, &data)?;
    let model = Model {
        id: "model".to_owned(),
        source: Source::Path(PathBuf::from(folder)),
        dtype: serde_json::from_value(Value::from(dtype.clone()))?,
        device: if cfg!(feature = "cuda") { Device::Auto } else { Device::Cpu },
        max_tokens: workload.max_tokens,
        adapter: None,
    };
    let home = tempfile::tempdir()?;
    let catalog = Catalog::new(PathBuf::new(), None);
    let sources = Sources { catalog: &catalog, home: home.path(), observer: &Silent, network: Network::Offline };
    let encoder = embed::open(&model, &sources)?;
    let readouts = resolved(&*encoder, workload.pool, readouts)?;

    // The peers time tokens and vectors, not the weights.
    encoder.encode(&[Row::from(&[1, 2, 3][..])], &readouts, &mut |_| ControlFlow::Continue(()))?;
    let started = Instant::now();
    let rows = tokenised(&*encoder, &workload)?;
    let slices: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
    let tokenised = started.elapsed().as_secs_f64();
    let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); rows.len()];
    encoder.encode(&slices, &readouts, &mut |batch| {
        for (&row, vector) in batch.rows.iter().zip(batch.embeddings[0].rows()) {
            vectors[row] = vector.to_vec();
        }
        assert!(batch.failed.is_empty(), "{:?}", batch.failed);
        ControlFlow::Continue(())
    })?;
    let seconds = started.elapsed().as_secs_f64();

    let positions = encoder.positions(&slices);
    let peak = embed::measured_rate(&model).ok_or("no rate")?;
    let work = encoder.cost(positions).flops as f64;
    let line = serde_json::json!({
        "workload": name,
        "dtype": dtype,
        "readouts": readouts.len(),
        "seconds": seconds,
        "tokenised_after": tokenised,
        "rows": rows.len(),
        "rows_per_second": rows.len() as f64 / seconds,
        "tokens": slices.iter().map(|row| row.ids.len()).sum::<usize>(),
        "positions": positions,
        "product_gflops": peak / 1e9,
        "share_of_products": work / seconds / peak,
        "peak_mib": peak_memory(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    if let Some(path) = out {
        fs::write(path, vectors.concat().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// Takes `name value` out of the words.
fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    words.drain(at..words.len().min(at + 2)).nth(1)
}

fn workload(name: &str, data: &Path) -> Result<Workload, Box<dyn Error>> {
    let datasets = data.join("datasets");
    let pairs = || -> Result<Vec<[String; 2]>, Box<dyn Error>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(datasets.join("stsb/en/test.csv"))?;
        reader.records().map(|row| row.map(|row| [row[0].to_owned(), row[1].to_owned()]).map_err(Into::into)).collect()
    };
    let last = |texts, prompts: Vec<String>| Workload { texts, prompts, max_tokens: Some(500), pool: Pooling::Last };
    Ok(match name {
        "iflytek6" => {
            let mut texts = Vec::new();
            for line in fs::read_to_string(datasets.join("iflytek/test_public.json"))?.lines() {
                let row: Value = serde_json::from_str(line)?;
                if row["label_des"].as_str().is_some_and(|label| TOPICS.contains(&label)) {
                    texts.push(row["sentence"].as_str().ok_or("a row without a sentence")?.to_owned());
                }
            }
            last(texts, EOL.map(str::to_owned).to_vec())
        }
        "metaeol-stsb" => {
            let prompts = fs::read_to_string(data.join("peers/metaeol.txt"))?.lines().map(str::to_owned).collect();
            last(pairs()?.into_iter().take(100).flatten().collect(), prompts)
        }
        "stsb" => {
            let texts = pairs()?.into_iter().flatten().collect();
            Workload { texts, prompts: vec!["{text}".to_owned()], max_tokens: None, pool: Pooling::Own }
        }
        // So many short texts that only a stream of them fits: `short-1000000`.
        other => {
            let count: usize =
                other.strip_prefix("short-").ok_or("workloads: iflytek6, metaeol-stsb, stsb, short-N")?.parse()?;
            let texts = (0..count).map(|i| format!("text number {i}")).collect();
            Workload { texts, prompts: vec!["{text}".to_owned()], max_tokens: None, pool: Pooling::Last }
        }
    })
}

/// One readout, or three layers with two poolings each.
fn resolved(encoder: &dyn Encoder, pool: Pooling, count: usize) -> Result<Vec<Resolved>, Box<dyn Error>> {
    let readout =
        |layer, pool| encoder.readout(&Readout { normalize: false, ..Readout::new("benchmark", Layer::At(layer), pool) });
    match count {
        1 => Ok(vec![readout(-1, pool)?]),
        _ => Ok([-1, -2, -5]
            .into_iter()
            .flat_map(|layer| [Pooling::Last, Pooling::Mean].map(|pool| readout(layer, pool)))
            .collect::<Result<_, _>>()?),
    }
}

/// Rows of all prompts one after the other, cut at the end of the whole prompt as the peers do it.
fn tokenised(encoder: &dyn Encoder, workload: &Workload) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for prompt in &workload.prompts {
        let template = Template::parse(prompt)?;
        let ids = |text: &String| encoder.prepare(&template, text, Truncation::WholePrompt).map(|prepared| prepared.ids);
        rows.extend(workload.texts.par_iter().map(ids).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(rows)
}

/// The most memory this process has had, where the system tells. Units: MiB.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib / 1024)
}
