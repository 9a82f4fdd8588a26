//! Several tasks on labelled texts, from the spec to the gate, and MTEB's result files.

use crate::lab::Lab;

const ONE: &str = "[[task]]\nkind = \"label-similarity\"\ncalibration = [\"none\", \"center\"]\n";

const TASKS: &str = r#"[[task]]
kind = "knn"
train = { split = "train" }
k = 3

[[task]]
kind = "label-similarity"

[[task]]
kind = "linear-probe"
train = { split = "train" }

[[task]]
kind = "retrieval"
documents = { split = "train" }

[[task]]
kind = "clustering"
"#;

const OTHER_DRAWS: &str =
    "mteb = { task = \"Toy\", revision = \"r1\", languages = [\"eng-Latn\"], samples_per_label = 32, experiments = 5 }\n";

/// A lab whose dataset has a second split, with other texts of the same topics, and whose spec has these tasks.
fn lab(tasks: &str) -> Lab {
    let lab = Lab::new(30);
    let rows = lab.read("datasets/toy/test.jsonl");
    lab.write("datasets/toy/train.jsonl", &rows.replace("\"id\":\"t", "\"id\":\"u").replace("number", "the app with number"));
    let splits = "[splits.train]\nfiles = [\"train.jsonl\"]\nformat = \"jsonl\"\n\n[splits.test]";
    lab.edit("datasets/toy/dataset.toml", "[splits.test]", splits);
    lab.edit("toy.toml", ONE, tasks);
    if !tasks.contains("label-similarity") {
        lab.edit("toy.toml", "[[labels]]\nid = \"names\"\n", "");
    }
    lab
}

#[test]
fn each_task_has_its_own_ranking_and_the_first_one_is_the_answer() {
    let lab = lab(TASKS);
    let plan = lab.expect(0, &["plan", "toy.toml", "--cells"]).out;
    assert!(plan.contains("slice toy:train: 30 samples, 3 labels") && plan.contains("linear-probe"), "{plan}");
    let said = lab.expect(0, &["run", "toy.toml"]).out;
    let tasks = ["knn", "label-similarity", "linear-probe", "retrieval", "clustering"];
    let places: Vec<usize> = tasks.iter().map(|task| said.find(&format!("slice toy, {task}")).unwrap()).collect();
    assert!(places.is_sorted(), "{said}");
    let report = lab.read("reports/toy/report.md");
    for words in [
        "### Slice `toy`, knn",
        "Nearest neighbours: each text",
        "Linear probe: logistic regression (C = 1)",
        "nDCG@10",
        "V-measure",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    let answer = report.find("### Slice `toy`, knn").unwrap();
    assert!(answer < report.find("### Slice `toy`, label-similarity").unwrap(), "the spec's first task is answered first");
    let first = (lab.files("results"), lab.files("reports"));
    lab.expect(0, &["run", "toy.toml"]);
    assert!(first.0 == lab.files("results"), "results of a second run differ");
    assert!(first.1.len() == lab.files("reports").len(), "reports of a second run differ");
    lab.expect(0, &["bless", "results/toy", "-o", "kept"]);
    let judged = lab.expect(0, &["gate", "results/toy", "--baseline", "kept"]).out;
    assert!(judged.contains("15 pass, 0 regressed"), "{judged}");
    let compared = lab.expect(0, &["compare", "kept", "results/toy"]).out;
    assert!(
        compared.contains("retrieval") && compared.contains("clustering") && !compared.contains("not compared"),
        "{compared}"
    );
    lab.expect(0, &["embed", "results/toy", "--cell", "best", "--input", "datasets/toy/train.jsonl", "-o", "v.parquet"]);
}

#[test]
fn a_slice_is_not_scored_on_what_it_learns_from() {
    let lab = lab("[[task]]\nkind = \"knn\"\ntrain = \"toy\"\n");
    let said = lab.expect(2, &["plan", "toy.toml"]).err;
    assert!(
        said.contains("`knn` has nothing to do: the only slice for it is the one that it learns from or searches"),
        "{said}"
    );
    lab.edit(
        "toy.toml",
        "train = \"toy\"",
        "train = \"learnt\"\n[[slice]]\nid = \"learnt\"\ndataset = \"toy\"\nsplit = \"train\"\n",
    );
    let plan = lab.expect(0, &["plan", "toy.toml", "--cells"]).out;
    // Two models, one of them under two prompts.
    assert!(plan.contains("3 cells"), "{plan}");
    lab.edit("toy.toml", "split = \"train\"\n", "split = \"train\"\nlabels = [\"music\", \"money\"]\n");
    let said = lab.expect(2, &["plan", "toy.toml"]).err;
    assert!(
        said.contains("slice `toy` is to be held against `learnt`, which does not hold labelled texts of the same labels"),
        "{said}"
    );
}

#[test]
fn mistakes_are_named_in_their_place() {
    let lab = lab(
        "[[task]]\nkind = \"linear-probe\"\nprotocol = \"trec\"\nc = 0.0\nk = 3\nexperiments = 4\nfolds = 3\n[[task]]\nkind = \"knn\"\ntrain = \"tset\"\n[[task]]\nkind = \"retrieval\"\ndocuments = { spilt = \"train\" }\n",
    );
    let said = lab.expect(1, &["check", "toy.toml"]);
    let said = said.out + &said.err;
    for words in [
        "protocol `trec` is for `retrieval`",
        "`folds` means nothing without `protocol = \"senteval\"`",
        "`c` is 0, and should be more than 0",
        "`k` means nothing to `linear-probe`",
        "`experiments` means nothing without `protocol = \"mteb\"`",
        "`linear-probe` has no `train`",
        "there is no slice `tset` in this spec",
        "unknown key `spilt`",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
}

#[test]
fn senteval_picks_the_penalty_on_folds_or_on_other_texts() {
    let probe = "[[task]]\nkind = \"linear-probe\"\nprotocol = \"senteval\"\nfolds = 3\n";
    let lab = lab(probe);
    // The floor's vectors have 16,384 coordinates: folds of them take long.
    lab.edit("toy.toml", "{ model = \"floor\", prompt = \"eol\" }", "{ model = \"floor\" }");
    lab.write(
        "datasets/toy/dev.jsonl",
        &lab.read("datasets/toy/train.jsonl").replace("the app", "this app").replace("\"u", "\"v"),
    );
    lab.edit(
        "datasets/toy/dataset.toml",
        "[splits.test]",
        "[splits.dev]\nfiles = [\"dev.jsonl\"]\nformat = \"jsonl\"\n\n[splits.test]",
    );
    let metric = |name: &str| {
        let record = embed_bench::results::RunRecord::open(&lab.path("results/toy")).unwrap();
        assert!(record.cells.iter().all(|cell| cell.failure().is_none()), "{:?}", record.cells[0].failure());
        record.cells[0].estimate(name).map(|estimate| estimate.value)
    };
    let said = lab.expect(0, &["run", "toy.toml"]);
    assert!(said.err.contains("`senteval` reads vectors as the model gives them"), "{}", said.err);
    assert_eq!((metric("experiments"), metric("c")), (Some(3.0), None));
    for words in [
        "each of 3 folds is answered for by what is learnt from the others",
        "By SentEval's protocol it scores",
        "the mean over 3 folds",
        "| mean accuracy of the folds |",
    ] {
        assert!(lab.read("reports/toy/report.md").contains(words), "{words}");
    }
    lab.edit("toy.toml", "folds = 3\n", "folds = 3\ntrain = { split = \"train\" }\n");
    lab.edit("toy.toml", "pool = \"own\"\n", "pool = \"own\"\nnormalize = false\n");
    let said = lab.expect(0, &["run", "toy.toml"]);
    assert!(!said.err.contains("`senteval` reads"), "{}", said.err);
    assert!(metric("c").is_some_and(|c| (0.5..=32.0).contains(&c)) && metric("dev_accuracy").is_some());
    assert!(lab.read("reports/toy/report.md").contains("with a penalty picked on 3 folds of it"));
    lab.edit("toy.toml", "folds = 3\n", "dev = { split = \"dev\" }\n");
    let plan = lab.expect(0, &["plan", "toy.toml"]).out;
    assert!(plan.contains("slice toy:dev") && plan.contains("slice toy:train"), "{plan}");
    lab.expect(0, &["run", "toy.toml"]);
    assert!(metric("c").is_some_and(|c| (0.25..=8.0).contains(&c)));
    assert!(lab.read("reports/toy/report.md").contains("with a penalty picked on split `dev`"));
    lab.edit("toy.toml", "dev = { split = \"dev\" }\n", "dev = { split = \"dev\" }\nfolds = 3\nc = 2.0\n");
    let said = lab.expect(1, &["check", "toy.toml"]);
    let said = said.out + &said.err;
    assert!(said.contains("`c` is not for protocol `senteval`") && said.contains("so there are no `folds`"), "{said}");
}

#[test]
fn a_spec_names_result_files_of_others() {
    let lab = lab("[[task]]\nkind = \"knn\"\ntrain = { split = \"train\" }\n");
    lab.write("toy.toml", &(lab.read("toy.toml") + "\n[[published]]\nfile = \"theirs/org__model/abc/Toy.json\"\n"));
    let said = lab.expect(1, &["check", "toy.toml"]);
    assert!((said.out + &said.err).contains("there is no file `theirs/org__model/abc/Toy.json`"));
    lab.write("theirs/org__model/abc/Toy.json", "{}");
    let said = lab.expect(2, &["plan", "toy.toml"]).err;
    assert!(said.contains("[[published]]") && said.contains("is no result file of MTEB"), "{said}");
    let file = serde_json::json!({
        "dataset_revision": "r1", "task_name": "Toy", "mteb_version": null, "evaluation_time": null, "kg_co2_emissions": null,
        "scores": { "test": [{ "main_score": 0.6125 }] }
    });
    lab.write("theirs/org__model/abc/Toy.json", &file.to_string());
    lab.expect(0, &["run", "toy.toml"]);
    // Results are enough for the report.
    std::fs::remove_dir_all(lab.path("theirs")).unwrap();
    lab.expect(0, &["report", "results/toy"]);
    assert!(lab.read("reports/toy/report.md").contains("| org/model | abc | Toy, test | 61.25 |"));
}

#[test]
fn cells_that_are_tasks_of_mteb_are_written_as_it_writes_them_and_read_back() {
    let lab = lab(
        "[[task]]\nkind = \"linear-probe\"\nprotocol = \"mteb\"\ntrain = { split = \"train\" }\nsamples_per_label = 4\nexperiments = 3\n",
    );
    lab.expect(0, &["run", "toy.toml"]);
    let said = lab.expect(2, &["results", "export-mteb", "results/toy", "-o", "out"]).err;
    assert!(
        said.contains("no cell of run `toy` is a task of MTEB") && said.contains("manifest names no task of MTEB"),
        "{said}"
    );
    lab.edit("datasets/toy/dataset.toml", "files = [\"test.jsonl\"]\n", &format!("files = [\"test.jsonl\"]\n{OTHER_DRAWS}"));
    lab.expect(0, &["run", "toy.toml"]);
    let said = lab.expect(2, &["results", "export-mteb", "results/toy", "-o", "out"]).err;
    assert!(
        said.contains("Toy is a linear probe with protocol = \"mteb\"") && said.contains("samples_per_label = 32"),
        "{said}"
    );
    lab.edit("datasets/toy/dataset.toml", OTHER_DRAWS, "");
    let mteb =
        "mteb = { task = \"Toy\", revision = \"r1\", languages = [\"eng-Latn\"], samples_per_label = 4, experiments = 3 }\n";
    lab.edit("datasets/toy/dataset.toml", "files = [\"test.jsonl\"]\n", &format!("files = [\"test.jsonl\"]\n{mteb}"));
    lab.expect(0, &["run", "toy.toml"]);
    lab.expect(0, &["results", "export-mteb", "results/toy", "-o", "out"]);
    let file = "out/llama/no_revision_available/Toy.json";
    let value: serde_json::Value = serde_json::from_str(&lab.read(file)).unwrap();
    let scores = &value["scores"]["test"][0];
    assert_eq!((&value["task_name"], &value["dataset_revision"]), (&"Toy".into(), &"r1".into()));
    assert_eq!((&scores["main_score"], &scores["hf_subset"]), (&scores["accuracy"], &"default".into()));
    assert!(
        scores["main_score"].as_f64().is_some_and(|score| (0.0..=1.0).contains(&score)) && scores["f1"].is_f64(),
        "{scores}"
    );
    assert!(lab.path("out/llama/no_revision_available/experiments/eol-own/Toy.json").is_file());
    let meta: serde_json::Value = serde_json::from_str(&lab.read("out/llama/no_revision_available/model_meta.json")).unwrap();
    assert_eq!(meta["name"], "llama");
    lab.write("theirs/org__model/abc/Toy.json", &lab.read(file));
    lab.expect(0, &["report", "results/toy", "--mteb", "theirs/org__model/abc/Toy.json"]);
    let report = lab.read("reports/toy/report.md");
    assert!(report.contains("### Published by others") && report.contains("| org/model | abc | Toy, test |"), "{report}");
    lab.write("theirs/org__model/abc/Broken.json", "{}");
    let said = lab.expect(2, &["report", "results/toy", "--mteb", "theirs/org__model/abc/Broken.json"]).err;
    assert!(said.contains("is no result file of MTEB"), "{said}");
}

#[test]
fn figures_of_every_task_are_followed_from_run_to_run() {
    // A probe on the floor's 16,384 coordinates takes a minute, and is followed as neighbours are.
    let lab = lab(&TASKS.replace("[[task]]\nkind = \"linear-probe\"\ntrain = { split = \"train\" }\n\n", ""));
    lab.expect(0, &["run", "toy.toml", "--results", "before"]);
    lab.edit("toy.toml", "use = \"raw\"", "template = \"{text} weather weather weather\"");
    lab.expect(0, &["run", "toy.toml"]);
    lab.expect(0, &["report", "before/toy", "results/toy", "--cell", "floor raw"]);
    let page = lab.read("reports/summary/report.md");
    let compared = lab.expect(0, &["compare", "before/toy", "results/toy", "--format", "json"]).out;
    let compared: serde_json::Value = serde_json::from_str(&compared).unwrap();
    let pairs = compared[0]["pairs"].as_array().unwrap();
    for (task, metric) in [("knn", "accuracy"), ("retrieval", "ndcg_at_10"), ("clustering", "v_measure")] {
        let start = format!("- **floor · raw · own · {task}** on `toy`: {metric} ");
        let line = page.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}\n{page}"));
        // The same difference as `bench compare` finds.
        let pair = pairs.iter().find(|pair| {
            let is = |axis: &str, id: &str| pair["choices"][axis] == id;
            is("model", "floor") && is("prompt", "raw") && is("task", task)
        });
        let gap = 100.0 * pair.unwrap()["paired"]["difference"]["value"].as_f64().unwrap();
        let gap = format!("{gap:+.1}").replace('-', "\u{2212}");
        let gap = if gap.ends_with("0.0") && gap.chars().count() == 4 { "0.0" } else { &gap };
        assert!(line.contains(&format!("; {gap} points from first to last, ")), "{gap} in {line}");
    }
    for figure in ["trends.svg", "trends-2.svg", "trends-3.svg"] {
        assert!(page.contains(&format!("]({figure})")), "{figure}");
    }
}
