//! Tasks on pairs of texts, from the spec to the gate.

use std::fs;
use std::io::Write as _;

use crate::lab::{Lab, Said};

const MANIFEST: &str = r#"name = "alike"
about = "Made-up pairs."
kind = "KIND"
licence = "CC0-1.0"
LABELS

[columns]
text = "a"
text2 = "b"
COLUMN
group = "a"

[splits.dev]
files = ["dev.jsonl"]
format = "jsonl"

[splits.test]
files = ["test.jsonl", "more.jsonl"]
subsets = ["pets", "weather"]
format = "jsonl"
"#;

const REST: &str = r#"
[[slice]]
id = "dev"
dataset = "alike"
split = "dev"

[[slice]]
id = "test"
dataset = "alike"
split = "test"

[[task]]
kind = "TASK"
"#;

const SUBJECTS: [&str; 6] = ["the old cat", "a small dog", "my neighbour", "the rain", "a cold wind", "the evening sun"];
const VERBS: [&str; 5] = ["sleeps on the roof", "walks to the river", "comes back late", "is gone by noon", "stays for a week"];

/// Pairs whose second text shares with the first the subject, the rest, both or neither. Two neighbours have the same first
/// text.
fn rows(from: usize, count: usize) -> String {
    let row = |i: usize| {
        let question = i / 2;
        let (subject, verb) = (question % 6, question / 6 % 5);
        let (other_subject, other_verb) = ((subject + question % 2) % 6, (verb + i % 2) % 5);
        let score = 5 - 2 * usize::from(subject != other_subject) - 3 * usize::from(verb != other_verb);
        let text = |subject: usize, verb: usize| format!("{} {}, year {}", SUBJECTS[subject], VERBS[verb], question);
        serde_json::json!({
            "a": text(subject, verb), "b": text(other_subject, other_verb), "score": score, "same": usize::from(score > 3)
        })
    };
    (from..from + count).map(|i| row(i).to_string() + "\n").collect()
}

pub fn lab(kind: &str, task: &str) -> Lab {
    let lab = Lab::new(3);
    let (column, labels) =
        if kind == "sts" { ("score = \"score\"", "") } else { ("label = \"same\"", "labels = [\"0\", \"1\"]") };
    let manifest = MANIFEST.replace("KIND", kind).replace("COLUMN", column).replace("LABELS", labels);
    lab.write("datasets/alike/dataset.toml", &manifest);
    lab.write("datasets/alike/dev.jsonl", &rows(0, 40));
    lab.write("datasets/alike/test.jsonl", &rows(40, 40));
    lab.write("datasets/alike/more.jsonl", &rows(80, 30));
    lab.write("alike.toml", &crate::lab::spec("alike", "dev", &REST.replace("TASK", task)));
    lab
}

fn golden(name: &str, said: &Said) {
    insta::assert_snapshot!(name, format!("exit {}\n{}{}", said.code, said.out, said.err));
}

fn summary(lab: &Lab) -> serde_json::Value {
    serde_json::from_str(&lab.read("results/alike/summary.json")).unwrap()
}

#[test]
fn scored_pairs_from_plan_to_report() {
    let lab = lab("sts", "sts");
    let plan = lab.expect(0, &["plan", "alike.toml", "--cells"]);
    assert!(plan.out.contains("slice test: 70 scored pairs") && plan.out.contains("8 cells"), "{}", plan.out);
    let said = lab.expect(0, &["run", "alike.toml"]);
    assert!(said.out.contains("slice test, ranked on dev") && said.out.contains("Spearman [95 %]"), "{}", said.out);
    let report = lab.read("reports/alike/report.md");
    for wanted in ["Textual similarity", "## Similarity and gold", "## Worst pairs", "| pets | 40 |", "## Diagnosis"] {
        assert!(report.contains(wanted), "{wanted} is not in\n{report}");
    }
    for unwanted in ["## Confusion", "## Margins", "accuracy", "label "] {
        assert!(!report.contains(unwanted), "{unwanted} is in\n{report}");
    }
    let (results, reports) = (lab.files("results/alike"), lab.files("reports/alike"));
    assert!(reports.iter().any(|(name, _)| name == "similarity.svg"));
    let second = lab.expect(0, &["run", "alike.toml"]);
    assert!(!second.err.contains("embed with"), "{}", second.err);
    assert_eq!(lab.files("results/alike"), results);
    for gone in ["datasets", "reports", ".bench"] {
        fs::remove_dir_all(lab.path(gone)).unwrap();
    }
    lab.expect(0, &["report", "results/alike"]);
    assert_eq!(lab.files("reports/alike").len(), reports.len());
}

#[test]
fn subsets_are_averaged_when_asked() {
    let lab = lab("sts", "sts");
    lab.expect(0, &["run", "alike.toml"]);
    let pooled = summary(&lab);
    lab.edit("alike.toml", "kind = \"sts\"", "kind = \"sts\"\naggregate = \"per-subset\"");
    lab.expect(0, &["run", "alike.toml"]);
    let averaged = summary(&lab);
    let ids = |summary: &serde_json::Value| summary["cells"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(ids(&pooled).iter().all(|id| !ids(&averaged).contains(id)), "the aggregate is part of what a cell is");
    assert!(lab.read("reports/alike/report.md").contains("mean Spearman of the subsets"));
}

#[test]
fn labelled_pairs_take_their_threshold_from_another_slice() {
    let lab = lab("pairs", "pair-classification\"\nthresholds_from = \"dev");
    let said = lab.expect(0, &["run", "alike.toml"]);
    assert!(said.out.contains("slice test, ranked on dev") && said.out.contains("average precision"), "{}", said.out);
    let report = lab.read("reports/alike/report.md");
    for wanted in ["Pair classification", "picked on `dev`", "an oracle's", "Not the same, and the highest cosines", "groups"] {
        assert!(report.contains(wanted), "{wanted} is not in\n{report}");
    }
    let cells = summary(&lab)["cells"].clone();
    let of = |slice: &str| cells.as_object().unwrap().values().find(|cell| cell["choices"]["slice"] == slice).cloned().unwrap();
    assert!(of("test")["accuracy"].is_object() && of("test")["ap"].is_object());
    assert!(of("dev")["accuracy"].is_null(), "thresholds of a slice say nothing of that slice");
    assert_eq!(of("test")["choices"]["labels"], "-");
}

#[test]
fn a_probe_learns_from_distances_and_products_of_pairs() {
    let lab = lab("pairs", "linear-probe\"\nprotocol = \"senteval\"\nfolds = 3\ntrain = \"dev");
    // The floor's vectors have 16,384 coordinates, so its pairs twice as many.
    lab.write("alike.toml", &(lab.read("alike.toml") + "\n[grid]\nskip = [{ model = \"floor\" }]\n"));
    lab.expect(0, &["run", "alike.toml"]);
    let record = embed_bench::results::RunRecord::open(&lab.path("results/alike")).unwrap();
    assert!(record.cells.iter().all(|cell| cell.failure().is_none() && cell.choices.slice == "test"));
    // Pairs are alike where both texts are the same, which distances tell.
    assert!(record.cells.iter().all(|cell| cell.estimate("accuracy").is_some_and(|accuracy| accuracy.value > 0.9)));
    let report = lab.read("reports/alike/report.md");
    assert!(report.contains("70 pairs, 2 labels") && report.contains("learnt from slice `dev`"), "{report}");
    lab.expect(0, &["bless", "results/alike", "-o", "kept"]);
    lab.expect(0, &["gate", "results/alike", "--baseline", "kept"]);
}

#[test]
fn mteb_has_its_own_metrics() {
    let lab = lab("pairs", "pair-classification\"\nprotocol = \"mteb");
    lab.expect(0, &["run", "alike.toml"]);
    let cells = summary(&lab)["cells"].clone();
    assert!(cells.as_object().unwrap().values().all(|cell| cell["max_ap"].is_object() && cell["accuracy"].is_null()));
    assert!(lab.read("reports/alike/report.md").contains("largest average precision"));
}

#[test]
fn a_run_of_pairs_is_blessed_compared_and_gated() {
    for (kind, task, metric) in
        [("sts", "sts", "spearman"), ("pairs", "pair-classification\"\nthresholds_from = \"dev", "accuracy")]
    {
        let lab = lab(kind, task);
        lab.write("alike.toml", &(lab.read("alike.toml") + &format!("\n[gate]\nmetric = \"{metric}\"\n")));
        lab.expect(0, &["run", "alike.toml"]);
        lab.expect(0, &["bless", "results/alike", "-o", "baseline"]);
        let said = lab.expect(0, &["gate", "results/alike", "--baseline", "baseline"]);
        assert!(said.out.contains("8 pass"), "{}", said.out);
        let compared = lab.expect(0, &["compare", "baseline", "results/alike", "--metric", metric]);
        assert!(compared.out.contains("+0.0") && compared.out.contains("1.000"), "{}", compared.out);
    }
}

/// A baseline whose first cell ranks pairs as people do.
#[test]
fn a_worse_ranking_fails_the_gate() {
    let lab = lab("sts", "sts");
    lab.write("alike.toml", &(lab.read("alike.toml") + "\n[gate]\nmetric = \"spearman\"\n"));
    lab.expect(0, &["run", "alike.toml"]);
    lab.expect(0, &["bless", "results/alike", "-o", "baseline"]);
    let mut baseline: serde_json::Value = serde_json::from_str(&lab.read("baseline/baseline.json")).unwrap();
    let slice = baseline["cells"][0]["choices"]["slice"].as_str().unwrap().to_owned();
    let gold = baseline["pairs"][&slice]["gold"].as_str().unwrap().to_owned();
    let steps: String = gold.chars().flat_map(|place| [place, '0', '0', '0']).collect();
    baseline["cells"][0]["cosines"] = steps.into();
    lab.write("baseline/baseline.json", &baseline.to_string());
    let said = lab.expect(1, &["gate", "results/alike", "--baseline", "baseline", "--markdown", "pr.md"]);
    assert!(said.out.contains("regressed: ") && said.out.contains("spearman changed by"), "{}", said.out);
    assert!(lab.read("pr.md").contains("ranked nearer their gold score"));
}

#[test]
fn mistakes_about_pairs_are_told() {
    let check = |kind: &str, task: &str, from: &str, to: &str| {
        let lab = lab(kind, task);
        if !from.is_empty() {
            lab.edit("alike.toml", from, to);
        }
        lab.expect(1, &["check", "alike.toml"])
    };
    golden("pairs_without_task", &check("sts", "label-similarity", "", ""));
    let several = "kind = \"sts\"\ncalibration = [\"center\"]\nprotocol = \"mteb\"\naggregate = \"pooled\"\nthresholds_from = \"dev\"\n\
                   [[labels]]\nid = \"x\"\n[gate]\nmetric = \"ap\"";
    golden("sts_misplaced_keys", &check("sts", "sts", "kind = \"sts\"", several));
    let classes = "kind = \"pair-classification\"\nprotocol = \"senteval\"\nthresholds_from = \"devv\"";
    golden("pairs_wrong_keys", &check("pairs", "pair-classification", "kind = \"pair-classification\"", classes));
    golden("pairs_per_label", &check("sts", "sts", "split = \"test\"", "split = \"test\"\nper_label = 3"));
    let idle = lab("sts", "sts");
    idle.edit("alike.toml", "[[task]]", "[[task]]\nkind = \"pair-classification\"\n\n[[task]]");
    golden("pairs_idle_task", &idle.expect(2, &["plan", "alike.toml"]));
}

#[test]
fn published_figures_are_held_against_the_run() {
    let lab = lab("sts", "sts");
    let verify = |code: i32, anchors: &str| {
        let spec = lab.read("alike.toml");
        lab.write("anchored.toml", &(spec + anchors));
        lab.expect(code, &["verify", "anchored.toml"])
    };
    let anchor = |cell: &str, metric: &str, value: f64| {
        format!(
            "\n[[anchor]]\ncell = {{ {cell} }}\nmetric = \"{metric}\"\nvalue = {value}\ntolerance = 0.001\nsource = \"a paper\"\n"
        )
    };
    let one = "model = \"floor\", prompt = \"raw\", slice = \"test\"";
    golden("verify_without_results", &verify(2, &anchor(one, "spearman", 0.5)));
    lab.expect(0, &["run", "alike.toml"]);
    golden("verify_without_anchor", &verify(2, ""));
    let cells = summary(&lab)["cells"].clone();
    let floor = |cell: &&serde_json::Value| {
        let choices = &cell["choices"];
        choices["model"] == "floor" && choices["prompt"] == "raw" && choices["slice"] == "test"
    };
    let found = cells.as_object().unwrap().values().find(floor).unwrap()["spearman"]["value"].as_f64().unwrap();
    let said = verify(0, &anchor(one, "spearman", found + 0.0009));
    assert!(said.out.contains("holds") && said.out.contains("published: a paper"), "{}", said.out);
    let said = verify(1, &(anchor(one, "spearman", found) + &anchor(one, "spearman", found - 0.0011)));
    assert!(said.out.contains("holds") && said.out.contains("off"), "{}", said.out);
    let wrong = anchor("model = \"floor\"", "spearman", 0.5) + &anchor(one, "spearmann", 0.5);
    golden("verify_lost_anchors", &verify(2, &wrong));
    lab.write("anchored.toml", &(lab.read("alike.toml") + &anchor("model = \"flor\"", "spearman", 82.03)));
    golden("verify_wrong_anchor", &lab.expect(1, &["check", "anchored.toml"]));
}

/// A real dataset scored by the lexical floor, whose cosines are the same on every machine: the metrics of its one cell on a
/// slice. None, and a word about it, where the data is not at hand.
fn real(spec: &str, slice: &str) -> Option<impl Fn(&str, Option<&str>) -> f64 + use<>> {
    let Some(data) = std::env::var_os("BENCH_TEST_DATA") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: BENCH_TEST_DATA is not set, so no real pairs are scored");
        return None;
    };
    let lab = Lab::new(3);
    lab.write("real.toml", spec);
    let data = std::path::Path::new(&data).join("datasets").display().to_string();
    let datasets = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets");
    lab.expect(0, &["--datasets", datasets, "--data-dir", &data, "run", "real.toml"]);
    let record = embed_bench::results::RunRecord::open(&lab.path("results/real")).unwrap();
    let cell = record.cells.into_iter().find(|cell| cell.choices.slice == slice).unwrap();
    Some(move |metric: &str, label: Option<&str>| {
        let row = cell.metrics().iter().find(|row| row.name == metric && row.label.as_deref() == label);
        row.and_then(|row| row.estimate).unwrap_or_else(|| panic!("no {metric}")).value
    })
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-9, "{found}, wanted {wanted}");
}

const COVID: &str = r#"name = "real"

[[model]]
id = "floor"
source = "builtin:char-ngram"
fit = { dataset = "covid-pairs", split = "train" }

[[slice]]
id = "train"
dataset = "covid-pairs"
split = "train"

[[slice]]
id = "dev"
dataset = "covid-pairs"
split = "dev"

[[task]]
kind = "pair-classification"
thresholds_from = "train"
"#;

/// scikit-learn 1.9.1 and sentence-transformers 6.2.0 on the cosines of `predictions.parquet`, 18 of them tied:
/// `average_precision_score(same, cosine)`, `roc_auc_score`; `BinaryClassificationEvaluator.find_best_acc_and_threshold` and
/// `find_best_f1_and_threshold` on train; `accuracy_score`, `f1_score`, `precision_score`, `recall_score` of dev there.
#[test]
fn covid_pairs_agree_with_scikit_learn() {
    let Some(metric) = real(COVID, "dev") else { return };
    for (name, wanted) in [
        ("ap", 0.708_298_361_764_866_7),
        ("auc", 0.783_524_987_749_067_6),
        ("accuracy_threshold", 0.626_117_905_977_126_5),
        ("f1_threshold", 0.491_307_275_200_6),
        ("accuracy", 0.723_776_223_776_223_7),
        ("f1", 0.665_644_171_779_141_1),
        ("precision", 0.565_104_166_666_666_6),
        ("recall", 0.809_701_492_537_313_4),
        ("oracle_accuracy", 0.735_764_235_764_235_8),
        ("oracle_accuracy_threshold", 0.663_107_564_925_032),
        ("oracle_f1", 0.669_613_259_668_508_4),
        ("oracle_f1_threshold", 0.541_458_028_156_657_9),
        ("majority", 1198.0 / 2002.0),
    ] {
        close(metric(name, None), wanted);
    }
}

/// mteb's `PairClassificationEvaluator._compute_metrics` on the similarities of `predictions.parquet`.
#[test]
fn covid_pairs_agree_with_mteb() {
    let Some(metric) = real(&COVID.replace("thresholds_from = \"train\"", "protocol = \"mteb\""), "dev") else { return };
    close(metric("max_ap", None), 0.741_803_087_349_945_4);
    close(metric("max_accuracy", None), 0.758_241_758_241_758_2);
    close(metric("max_f1", None), 0.698_756_084_369_929_5);
}

const STS: &str = r#"name = "real"

[[model]]
id = "floor"
source = "builtin:char-ngram"
fit = { dataset = "stsb", split = "train" }

[[slice]]
id = "test"
dataset = "stsb"
split = "test"

[[slice]]
id = "sts12"
dataset = "sts2012"
split = "test"

[[task]]
kind = "sts"
protocol = "senteval"
"#;

/// scipy 1.17.1 on the cosines of `predictions.parquet`: `spearmanr(cosine, gold_score)`, `pearsonr`; of 2012, pooled and by set.
#[test]
fn sts_sets_agree_with_scipy() {
    let Some(metric) = real(STS, "test") else { return };
    close(metric("spearman", None), 0.618_285_713_281_222_1);
    close(metric("pearson", None), 0.627_102_124_069_074_2);
    let Some(metric) = real(STS, "sts12") else { return };
    close(metric("spearman", None), 0.481_169_815_820_490_5);
    close(metric("mean_spearman", None), 0.561_822_190_100_317_9);
    close(metric("spearman", Some("MSRpar")), 0.544_674_071_437_624_6);
}

/// transformers 5.24.0 and scipy 1.17.1 on the same four sets of 2012 (`tests/peers/compare_transformers.py`): `AutoModel` of the
/// bundled model with every number in f64, each text alone; the published clean-up and template of Pretended `CoT`;
/// `hidden_states[-2][0, -1]`; cosine in f64; `spearmanr` of all 2,358 pairs. A model that has learnt something spreads its cosines,
/// so that the last bits of vectors exchange few ranks, one of them here; those of random weights lie so close together that they
/// move the correlation by more than this.
#[test]
fn a_published_prompt_and_layer_agree_with_transformers() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny-zh");
    let spec = STS.replace("builtin:char-ngram", &format!("path:{model}")).replace(
        "fit = { dataset = \"stsb\", split = \"train\" }\n",
        "\n[[prompt]]\nid = \"cot\"\nuse = \"pretended-cot\"\n\n[[readout]]\nid = \"penultimate\"\nlayer = -2\npool = \"last\"\n",
    );
    let Some(metric) = real(&spec, "sts12") else { return };
    let found = metric("spearman", None);
    assert!((found - 0.374_104_180).abs() < 1e-6, "{found}");
}
