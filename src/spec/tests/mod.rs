//! The whole way from text to spec: what a good file means, and what is said of a bad one.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::prompt::{Clean, Truncation};

mod corrections;
mod meaning;
mod shape;

/// The example of README and DESIGN, in what this version supports.
const EXAMPLE: &str = r#"
#:schema ./schema.json
name = "iflytek6"
about = "Can an LLM sort app descriptions by topic without training?"
seed = 7

[[model]]
id = "yi-6b-chat"
source = "hf:01-ai/Yi-6B-Chat"
dtype = "bf16"
device = "cuda:1"
max_tokens = 500

[[model]]
id = "char-ngram"
source = "builtin:char-ngram"
fit = { dataset = "iflytek", split = "train" }

[[prompt]]
id = "eol"
use = "prompteol"

[[prompt]]
id = "cot-zh"
template = "仔细思考后，用一个词总结这句话：{text}"
truncate = "tail"
clean = "prompteol"

[[prompt]]
id = "meta"
views = ["A {text}:", "B {text}:"]
fuse = "mean"

[[readout]]
id = "last"
layer = -1
pool = "last"

[[readout]]
id = "penultimate"
layer = -2
pool = "last"
norm = true
normalize = false

[[slice]]
id = "iflytek6"
dataset = "iflytek"
split = "validation"
labels = ["休闲益智", "亲子儿童", "新闻"]
rename."news" = "新闻"
rename."a" = "亲子儿童"
limit = 100
per_label = 20
min_chars = 5
max_chars = 900

[[labels]]
id = "names"

[[labels]]
id = "described"
phrases."休闲益智" = ["开发大脑的益智、休闲游戏", "休闲"]
phrases."亲子儿童" = ["给宝宝、儿童玩耍的游戏"]
prompt = "raw"

[[task]]
kind = "label-similarity"
calibration = ["none", "center"]

[grid]
skip = [{ model = "char-ngram", readout = ["penultimate"] }, { calibration = "center", labels = "names" }]

[compare]
reference = { model = "char-ngram", prompt = "eol" }
"#;

/// The smallest spec, to which tests add their mistake.
const SMALL: &str = r#"name = "small"
[[model]]
id = "tiny"
source = "path:models/tiny-zh"
[[slice]]
id = "dev"
dataset = "apps6"
split = "dev"
"#;

fn parse(text: &str) -> Result<Spec, Problems> {
    Spec::parse(text, Path::new("s.toml"))
}

/// Everything that is wrong, one line a problem.
fn wrong(text: &str) -> String {
    match parse(text) {
        Ok(_) => "nothing".to_owned(),
        Err(problems) => format!("{problems:#}").replace("s.toml:", ""),
    }
}

/// The same of the smallest spec and some lines more; these begin in line 9.
fn wrong_with(more: &str) -> String {
    wrong(&format!("{SMALL}{more}"))
}

#[test]
fn the_example_means_what_it_says() {
    let spec = parse(EXAMPLE).unwrap();
    assert_eq!((spec.name.as_str(), spec.seed), ("iflytek6", 7));
    assert_eq!(spec.text, EXAMPLE);
    let yi = &spec.models[0];
    assert_eq!(yi.source.to_string(), "hf:01-ai/Yi-6B-Chat");
    assert_eq!((yi.dtype, yi.device, yi.max_tokens), (DType::Bf16, "cuda:1".parse().expect("a device"), Some(500)));
    let fit = FitSet { dataset: "iflytek".to_owned(), split: "train".to_owned() };
    assert_eq!(spec.models[1].source, Source::CharNgram { fit });
    let [eol, cot, meta] = spec.prompts.as_slice() else { panic!("three prompts") };
    assert_eq!((eol.clean, eol.truncate), (Clean::PromptEol, Truncation::Head));
    assert_eq!(eol.views[0].template.source(), "This sentence : \"{text}\" means in one word:\"");
    assert_eq!((cot.clean, cot.truncate), (Clean::PromptEol, Truncation::Tail));
    assert_eq!((meta.views.len(), meta.clean), (2, Clean::None));
    let penultimate = Readout { norm: true, normalize: false, ..Readout::new("penultimate", Layer::At(-2), Pooling::Last) };
    assert_eq!(spec.readouts[1], penultimate);
    let slice = &spec.slices[0];
    assert_eq!(slice.labels, ["休闲益智", "亲子儿童", "新闻"]);
    let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    assert_eq!(slice.rename, [pair("news", "新闻"), pair("a", "亲子儿童")]);
    assert_eq!((slice.limit, slice.per_label, slice.min_chars, slice.max_chars), (Some(100), Some(20), Some(5), Some(900)));
    let described = &spec.labels[1];
    let StandIn::Phrased(phrased) = &described.words else { panic!("{described:?}") };
    assert_eq!(phrased.phrases[0].0, "休闲益智");
    assert_eq!(phrased.phrases[0].1, ["开发大脑的益智、休闲游戏", "休闲"]);
    assert_eq!(described.prompt().unwrap().views[0].template.source(), "{text}");
    let calibrations = vec![Calibration::None, Calibration::Center];
    assert_eq!(spec.tasks, [Task::LabelSimilarity { calibrations }]);
    let cell = |axis| match axis {
        Axis::Model => "char-ngram",
        Axis::Prompt => "eol",
        Axis::Readout => "penultimate",
        Axis::Transform => "none",
        Axis::Slice => "iflytek6",
        Axis::Task => "label-similarity",
        Axis::Labels => "described",
        Axis::Calibration => "center",
    };
    assert_eq!(spec.skips.iter().map(|skip| skip.matches(cell)).collect::<Vec<_>>(), [true, false]);
    assert!(spec.reference.unwrap().matches(cell));
}

#[test]
fn what_is_left_out_has_a_default() {
    let spec = parse(SMALL).unwrap();
    assert_eq!((spec.seed, spec.models[0].dtype, spec.models[0].device), (42, DType::F32, Device::Auto));
    assert_eq!((spec.prompts[0].id.as_str(), spec.prompts[0].views[0].template.source()), ("raw", "{text}"));
    let own = Readout::new("own", Layer::At(-1), Pooling::Own);
    assert_eq!(spec.readouts, [own]);
    assert_eq!(spec.labels, [LabelSet::names("names")]);
    assert_eq!(spec.tasks, [Task::LabelSimilarity { calibrations: vec![Calibration::None] }]);
    assert!(spec.skips.is_empty() && spec.reference.is_none());
}

#[test]
fn the_schema_has_every_key() {
    let schema = schema();
    let keys = |pointer: &str| {
        let properties = schema.pointer(pointer).and_then(serde_json::Value::as_object);
        properties.map(|properties| properties.keys().cloned().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    let of = |name: &str| keys(&format!("/$defs/{name}/properties"));
    assert_eq!(
        keys("/properties"),
        "name about seed model prompt readout transform slice labels task grid compare gate anchor published"
    );
    assert_eq!(of("Gate"), "metric max_drop alpha noise_floor fail_drop margin_floor max_seconds missing inconclusive slice");
    assert_eq!(of("SliceGate"), "metric max_drop noise_floor fail_drop missing inconclusive");
    assert_eq!(of("Compare"), "reference correction");
    assert_eq!(of("Model"), "id source dtype device max_tokens adapter fit endpoint");
    assert_eq!(of("Endpoint"), "name revision dimensions api_key_env max_chars batch concurrency timeout");
    assert_eq!(of("Prompt"), "id use template templates fill views chat system answer fuse documents truncate clean");
    assert_eq!(of("Readout"), "id layer layers pool span norm dim normalize");
    assert_eq!(of("View"), "use template readout");
    assert_eq!(of("Slice"), "id dataset split labels rename limit per_label min_chars max_chars");
    assert_eq!(of("Labels"), "id phrases alone template examples prompt ensemble shots from");
    assert_eq!(of("Transform"), "id kind dims drop shrinkage fit");
    assert_eq!(of("TransformFit"), "dataset split limit transductive");
    assert_eq!(of("CalibrationTable"), "kind k beta");
    assert_eq!(
        of("Task"),
        "kind slices calibration protocol aggregate thresholds_from train dev folds c samples_per_label experiments documents ignore_identical_ids clusters restarts k"
    );
    assert_eq!(of("Anchor"), "cell metric value tolerance source");
    assert_eq!(of("Skip"), "model prompt readout transform slice task labels calibration");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["seed"]["default"], 42);
    assert!(!schema.to_string().contains("null"), "TOML has no null");
}

/// A spec with a piece of it replaced by another piece.
fn spliced(at: usize, length: usize, piece: &str) -> String {
    let start = EXAMPLE.floor_char_boundary(at % EXAMPLE.len());
    let end = EXAMPLE.floor_char_boundary((start + length).min(EXAMPLE.len()));
    format!("{}{piece}{}", &EXAMPLE[..start], &EXAMPLE[end.max(start)..])
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        prop_assert!(parse(&text).is_err());
    }

    #[test]
    fn no_damaged_spec_panics(
        at in 0..4000_usize,
        length in 0..60_usize,
        piece in "([a-z]+ = )?(\\[\\[?(model|prompt|grid)\\]?\\]|\\{\\}|\\[\\]|-?[0-9]{1,30}|\"[{}a-z词]{0,6}\"|true|inf|[\\n\"=.,]){0,3}",
    ) {
        if let Err(problems) = parse(&spliced(at, length, &piece)) {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                prop_assert!(problem.position().is_some());
            }
        }
    }
}
