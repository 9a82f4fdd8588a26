//! A folder of its own for each test, with a small dataset, the fixture models and a spec.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub struct Lab {
    folder: tempfile::TempDir,
}

/// What a command said and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

const TOPICS: [(&str, [&str; 4]); 3] = [
    ("weather", ["rain and wind", "a forecast of snow", "sunshine by the hour", "storm warnings"]),
    ("music", ["songs and playlists", "a piano tuner", "concert tickets", "guitar chords"]),
    ("money", ["a bank in your pocket", "budget and savings", "share prices", "split the bill"]),
];

impl Lab {
    /// A lab with `samples` samples of the dataset `toy` and the spec `toy.toml`.
    pub fn new(samples: usize) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        lab.write("datasets/toy/dataset.toml", MANIFEST);
        let row = |i: usize| {
            let (label, phrases) = TOPICS[i % 3];
            let text = format!("{} for everyone, number {i}: {}", phrases[i / 3 % 4], "easy and quick ".repeat(1 + i * 7 % 9));
            serde_json::json!({ "id": format!("t{i}"), "text": text, "label": label }).to_string()
        };
        lab.write("datasets/toy/test.jsonl", &(0..samples).map(|i| row(i) + "\n").collect::<String>());
        lab.write("toy.toml", &spec("toy", "test", REST));
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Replaces text in a file; it must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} does not hold {from}");
        self.write(name, &text.replace(from, to));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.args(arguments).current_dir(self.folder.path());
        for variable in ["BENCH_DATA_DIR", "BENCH_HOME", "BENCH_DATASETS", "RUST_BACKTRACE", "HF_HUB_CACHE", "HF_HUB_OFFLINE"] {
            command.env_remove(variable);
        }
        command
    }

    pub fn bench(&self, arguments: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&self.folder.path().display().to_string(), "LAB").replace(&fixtures().display().to_string(), "MODELS")
        };
        Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Runs a command that must end with this exit code.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Said {
        let said = self.bench(arguments);
        assert_eq!(said.code, code, "bench {arguments:?} said\n{}\n{}", said.out, said.err);
        said
    }

    /// All files below a folder with their bytes, by name; the part of `run.json` that is about the clock left out.
    pub fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.path(folder), &self.path(folder), &mut files);
        files.sort();
        files
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if path.ends_with("run.json") {
            let mut run: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(run.as_object_mut().unwrap().remove("times").is_some(), "run.json has no times");
            bytes = run.to_string().into_bytes();
        }
        files.push((path.strip_prefix(root).unwrap().display().to_string(), bytes));
    }
}

/// The folder of tiny models.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

const MANIFEST: &str = r#"name = "toy"
about = "Made-up app descriptions."
kind = "classification"
licence = "CC0-1.0"
labels = ["weather", "music", "money"]

[columns]
text = "text"
label = "label"
id = "id"

[splits.test]
files = ["test.jsonl"]
format = "jsonl"
"#;

/// Two models, two prompts and one readout.
const AXES: &str = r#"name = "DATASET"

[[model]]
id = "llama"
source = "path:MODELS/llama"

[[model]]
id = "floor"
source = "builtin:char-ngram"
fit = { dataset = "DATASET", split = "SPLIT" }

[[prompt]]
id = "raw"
use = "raw"

[[prompt]]
id = "eol"
use = "prompteol"

[[readout]]
id = "own"
pool = "own"
"#;

/// A spec named as a dataset, of which a split is what the floor counts, with these slices and tasks.
pub fn spec(dataset: &str, split: &str, rest: &str) -> String {
    let models = fixtures().display().to_string();
    AXES.replace("MODELS", &models).replace("DATASET", dataset).replace("SPLIT", split) + rest
}

const REST: &str = r#"
[[slice]]
id = "toy"
dataset = "toy"
split = "test"

[[labels]]
id = "names"

[[task]]
kind = "label-similarity"
calibration = ["none", "center"]

[grid]
skip = [{ model = "floor", prompt = "eol" }]
"#;
