//! Scoring at size: how long label similarity takes from cached vectors, next to reading those bytes and one matrix product.
//!
//! `cargo bench --bench scoring -- [texts] [labels] [dim]`, by default 100000 119 4096.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "counts of bytes, for people")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use embed_bench::cache::Store;
use embed_bench::dataset::{Gold, Kind, Origin, Sample, Slice};
use embed_bench::digest::Digest;
use embed_bench::embed::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Resolved, Row};
use embed_bench::observe::{Silent, Stop};
use embed_bench::plan::{Against, Cell, ModelWork, Plan, Reading, Texts, Wording};
use embed_bench::prompt::{Fuse, Template, Truncation};
use embed_bench::runner;
use embed_bench::spec::{Calibration, Pooling, Readout, Spec};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Texts are saved this far apart: files have batches in the order of lengths, not of the slice.
const STRIDE: usize = 7919;
const ROUNDS: usize = 5;
const CALIBRATIONS: [&str; 2] = ["none", "both"];

#[derive(Clone, Copy)]
struct Size {
    texts: usize,
    labels: usize,
    dim: usize,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |i: usize, default: usize| words.get(i).map_or(Ok(default), |word| word.parse());
    let size = Size { texts: number(0, 100_000)?, labels: number(1, 119)?, dim: number(2, 4096)? };
    if let [_, _, _, calibration, folder] = words.as_slice() {
        return score(size, calibration == "both", Path::new(folder));
    }
    println!("{} texts x {} labels x {} dimensions, {} threads", size.texts, size.labels, size.dim, gemm_threads());
    let root = tempfile::tempdir()?;
    fill(size, root.path())?;
    // Side by side in each round: the speed of a machine wavers.
    let mut found: [Vec<f64>; 5] = Default::default();
    let mut peaks = [0, 0];
    for _ in 0..ROUNDS {
        found[0].push(read(root.path())?);
        found[2].push(product::<f32>(size));
        found[1].push(product::<f64>(size));
        for (i, calibrations) in CALIBRATIONS.into_iter().enumerate() {
            // A process of its own, so that its peak of memory is that of scoring alone.
            let sizes = [size.texts, size.labels, size.dim].map(|number| number.to_string());
            let child = Command::new(std::env::current_exe()?).args(sizes).arg(calibrations).arg(root.path()).output()?;
            let told = String::from_utf8_lossy(&child.stdout);
            let [seconds, peak] = told.split_whitespace().collect::<Vec<_>>()[..] else {
                return Err(String::from_utf8_lossy(&child.stderr).into());
            };
            found[3 + i].push(seconds.parse()?);
            peaks[i] = peaks[i].max(peak.parse::<u64>()?);
        }
    }
    let [read, wide, narrow, scored @ ..] = found.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[ROUNDS / 2]
    });
    println!("medians of {ROUNDS} rounds");
    println!("a   plain reading: {read:.3} s");
    println!("b   one product: f64 {wide:.3} s, f32 {narrow:.3} s");
    for ((calibrations, seconds), peak) in CALIBRATIONS.into_iter().zip(scored).zip(peaks) {
        println!("c   scoring, calibration {calibrations}: {seconds:.3} s, peak {peak} MiB");
        println!("    c / (a + b): f64 {:.2}, f32 {:.2}", seconds / (read + wide), seconds / (read + narrow));
    }
    Ok(())
}

/// Scores in this process, and says how long it took and how much memory it had at most.
fn score(size: Size, both: bool, root: &Path) -> Result<()> {
    let plan = plan(size, both)?;
    let results = tempfile::tempdir_in(root)?;
    let started = Instant::now();
    let store = Store::new(root.join("cache"));
    runner::run(&plan, &store, results.path(), &Silent, &Stop::default())?;
    println!("{} {}", started.elapsed().as_secs_f64(), peak_mib().unwrap_or(0));
    Ok(())
}

/// Peak of resident memory, where the system tells. Unit: MiB.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Saves a random vector for every text and label, in another order than the plan's.
fn fill(size: Size, root: &Path) -> Result<()> {
    let plan = plan(size, false)?;
    let work = &plan.models[0];
    let rows: Vec<&[u32]> = work.rows.iter().collect();
    let naming = work.readouts[&0].naming();
    let mut writer = work.shelf(&Store::new(root.join("cache")))?.writer();
    let mut random = Random(1);
    for first in 0..STRIDE.min(rows.len()) {
        for row in rows.iter().skip(first).step_by(STRIDE) {
            let vector: Vec<f32> = (0..size.dim).map(|_| 0.1 + random.next()).collect();
            writer.push(naming.key(Row::from(*row)), 2, &vector)?;
        }
        writer.end_batch()?;
    }
    Ok(writer.flush()?)
}

/// Reads all files of the cache into a buffer. Unit: seconds.
fn read(root: &Path) -> std::io::Result<f64> {
    let mut buffer = vec![0; 1 << 20];
    let started = Instant::now();
    for shelf in fs::read_dir(root.join("cache"))? {
        for file in fs::read_dir(shelf?.path())? {
            let mut file = File::open(file?.path())?;
            while file.read(&mut buffer)? > 0 {}
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// `[texts, dim]` times `[dim, labels]` on all cores, in ten blocks so that the matrices fit. Unit: seconds.
#[expect(unsafe_code, reason = "the matrix product has no safe interface")]
fn product<T: From<f32> + Copy + 'static>(size: Size) -> f64 {
    let Size { texts, labels, dim } = size;
    let rows = texts.div_ceil(10);
    let mut random = Random(2);
    let mut matrix = |rows: usize| -> Vec<T> { (0..rows * dim).map(|_| random.next().into()).collect() };
    let (left, right) = (matrix(rows), matrix(labels));
    let mut out: Vec<T> = vec![0.0.into(); rows * labels];
    let strides = [dim, labels].map(usize::cast_signed);
    let mut seconds = 0.0;
    // The first time, memory and threads are new.
    for _ in 0..2 {
        let started = Instant::now();
        for _ in 0..10 {
            // SAFETY: the three matrices are row-major with these shapes and do not overlap.
            unsafe {
                gemm::gemm(
                    rows,
                    labels,
                    dim,
                    out.as_mut_ptr(),
                    1,
                    strides[1],
                    false,
                    left.as_ptr(),
                    1,
                    strides[0],
                    right.as_ptr(),
                    strides[0],
                    1,
                    0.0.into(),
                    1.0.into(),
                    false,
                    false,
                    false,
                    gemm::Parallelism::Rayon(0),
                );
            }
        }
        seconds = started.elapsed().as_secs_f64();
    }
    seconds
}

fn gemm_threads() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// Uniform in -1..1, by an xorshift.
struct Random(u64);

impl Random {
    #[expect(clippy::cast_possible_truncation, reason = "half of the bits are plenty")]
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 as i32) as f32 / 2_f32.powi(31)
    }
}

/// One model, prompt, readout, slice and label set; the texts are token ids without words.
fn plan(size: Size, both: bool) -> Result<Plan> {
    let spec = "name = \"size\"\n[[model]]\nid = \"m\"\nsource = \"path:m\"\n[[prompt]]\nid = \"p\"\ntemplate = \"{text}\"\n\
        [[readout]]\nid = \"r\"\nlayer = 0\npool = \"mean\"\n[[slice]]\nid = \"s\"\ndataset = \"d\"\nsplit = \"t\"\n[[labels]]\nid = \"l\"\n\
        [[task]]\nkind = \"label-similarity\"\ncalibration = [\"none\", \"center\"]\n";
    let spec = Spec::parse(spec, Path::new("size.toml"))?;
    let prepared = |id: usize, kind: u32| -> Result<Prepared> {
        Ok(Prepared { ids: vec![kind, u32::try_from(id)?], rendered: String::new(), slots: Vec::new(), cut: 0, left_out: None })
    };
    let texts = (0..size.texts).map(|i| prepared(i, 0)).collect::<Result<Vec<_>>>()?;
    let labels = (0..size.labels).map(|i| prepared(i, 1)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = (0..size.labels).map(|i| format!("label {i}")).collect();
    let sample = |i: usize| Sample {
        id: format!("t:{i}"),
        text: format!("text {i}"),
        gold: Gold::Label(i * 31 % size.labels),
        partner: None,
    };
    let origin = Origin { dataset: "d".into(), split: "t".into(), files: Vec::new(), skipped: 0 };
    let samples = (0..size.texts).map(sample).collect::<Vec<_>>().into();
    let slice = Slice {
        id: "s".into(),
        digest: Digest::of_bytes(b"s"),
        kind: Kind::Classification,
        labels: names.clone(),
        samples,
        columns: BTreeMap::new(),
        judged: None,
        origin,
        mteb: None,
    };
    let cell = |id: &str, calibration| Cell {
        id: id.into(),
        model: 0,
        prompt: 0,
        readout: 0,
        transform: None,
        slice: 0,
        task: 0,
        scored: Against::Labels { labels: 0, calibration },
    };
    let mut cells = vec![cell("a", Calibration::None)];
    if both {
        cells.push(cell("b", Calibration::Center));
    }
    let resolved =
        Resolved { dim: size.dim, kept: size.dim, layer: 0, pool: Pooling::Mean, span: None, norm: false, normalize: true };
    let reading = Reading { views: vec![resolved.clone()], fuse: Fuse::Mean, normalize: true };
    let encoder = Box::new(Cached(Card {
        digest: Digest::of_bytes(b"m"),
        identity: Digest::of_bytes(b"m"),
        name: "m".into(),
        about: serde_json::Value::Null,
        device: "cpu".into(),
        max_tokens: 2,
        weights_bytes: 0,
        parameters: 0,
        blocks: None,
        commit: None,
        adapter_commit: None,
    }));
    let mut work = ModelWork::new(encoder);
    work.readouts.insert(0, resolved);
    work.add(Texts::Samples { prompt: 0, slice: 0 }, &[texts], BTreeMap::from([(0, reading.clone())]));
    work.add(Texts::Phrasings { prompt: Some(0), labels: 0, slice: 0 }, &[labels], BTreeMap::from([(0, reading)]));
    Ok(Plan {
        spec,
        slices: vec![slice],
        wordings: vec![vec![Wording { phrasings: names, owner: (0..size.labels).collect(), samples: Vec::new() }]],
        fits: Vec::new(),
        fitted_on: Vec::new(),
        models: vec![work],
        cells,
        reference: None,
        published: Vec::new(),
        warnings: Vec::new(),
    })
}

/// An encoder whose every vector is cached.
struct Cached(Card);

impl Encoder for Cached {
    fn card(&self) -> &Card {
        &self.0
    }

    fn readout(&self, _: &Readout) -> std::result::Result<Resolved, EmbedError> {
        Err(EmbedError::EmptyRow { row: 0 })
    }

    fn prepare(&self, _: &Template, _: &str, _: Truncation) -> std::result::Result<Prepared, EmbedError> {
        Err(EmbedError::EmptyRow { row: 0 })
    }

    fn encode(
        &self,
        _: &[Row<'_>],
        _: &[Resolved],
        _: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> std::result::Result<(), EmbedError> {
        Err(EmbedError::EmptyRow { row: 0 })
    }

    fn piece(&self, id: u32) -> String {
        id.to_string()
    }

    fn positions(&self, _: &[Row<'_>]) -> u64 {
        0
    }

    fn cost(&self, _: u64) -> Cost {
        Cost::default()
    }
}
