//! `SentEval`'s transfer sets, in its own files, from the project's manifests to a report; and tasks of one kind that share out slices.

use crate::lab::Lab;

const SPEC: &str = r#"name = "transfer"

[[model]]
id = "floor"
source = "builtin:char-ngram"
fit = { dataset = "MR", split = "all" }

[[readout]]
id = "own"
pool = "own"
normalize = false

[[slice]]
id = "mr"
dataset = "MR"
split = "all"

[[slice]]
id = "sst2"
dataset = "SST"
split = "test"

[[slice]]
id = "trec"
dataset = "TREC"
split = "test"

[[slice]]
id = "mrpc"
dataset = "MRPC"
split = "test"

[[task]]
kind = "linear-probe"
protocol = "senteval"
folds = 2
slices = ["mr"]

[[task]]
kind = "linear-probe"
protocol = "senteval"
slices = ["sst2"]
train = { split = "train" }
dev = { split = "dev" }

[[task]]
kind = "linear-probe"
protocol = "senteval"
folds = 2
slices = ["trec", "mrpc"]
train = { split = "train" }
"#;

/// Eight texts of each class, which their words tell apart.
fn lab() -> Lab {
    let lab = Lab::new(3);
    let lines = |line: &dyn Fn(usize) -> String| (0..8).map(|i| line(i) + "\n").collect::<String>();
    lab.write("data/MR/rt-polarity.pos", &lines(&|i| format!("a good and warm film , number {i} . ")));
    lab.write("data/MR/rt-polarity.neg", &lines(&|i| format!("cold , bad and dull : {i} . ")));
    for split in ["train", "dev", "test"] {
        let both = |i: usize| format!("a good and warm film {i} \t1\ncold , bad and dull {i} \t0");
        lab.write(&format!("data/SST/binary/sentiment-{split}"), &lines(&both));
    }
    for file in ["train_5500", "TREC_10"] {
        let both = |i: usize| format!("HUM:ind who was  he {i} ?\nLOC:other where does it lie {i} ?");
        lab.write(&format!("data/TREC/{file}.label"), &lines(&both));
    }
    for split in ["train", "test"] {
        let both = |i: usize| {
            format!("1\t{i}\t{i}\tthe {i} \" thing\tthe {i} \" thing\n0\t{i}\t{i}\train {i} on hills\tprices {i} fell")
        };
        let rows = format!("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n{}", lines(&both));
        lab.write(&format!("data/MRPC/msr_paraphrase_{split}.txt"), &rows);
    }
    lab.write("transfer.toml", SPEC);
    lab
}

/// The project's own manifests, and the files.
const PLACES: [&str; 4] = ["--datasets", concat!(env!("CARGO_MANIFEST_DIR"), "/datasets"), "--data-dir", "data"];

#[test]
fn each_set_is_probed_by_its_own_rule() {
    let lab = lab();
    let plan = lab.expect(0, &[&["plan", "transfer.toml", "--cells"][..], &PLACES].concat()).out;
    assert!(plan.contains("4 cells") && plan.contains("slice mr: 16 samples, 2 labels"), "{plan}");
    lab.expect(0, &[&["run", "transfer.toml"][..], &PLACES].concat());
    let record = embed_bench::results::RunRecord::open(&lab.path("results/transfer")).unwrap();
    let value = |slice: &str, metric: &str| {
        let cell = record.cells.iter().find(|cell| cell.choices.slice == slice).unwrap();
        cell.estimate(metric).map(|estimate| estimate.value)
    };
    assert_eq!((value("mr", "experiments"), value("mr", "mean_accuracy")), (Some(2.0), Some(1.0)));
    for slice in ["sst2", "trec", "mrpc"] {
        assert_eq!((value(slice, "train_texts"), value(slice, "accuracy")), (Some(16.0), Some(1.0)), "{slice}");
    }
    let report = lab.read("reports/transfer/report.md");
    for words in [
        "each of 2 folds is answered for",
        "learnt from split `train`, with a penalty picked on split `dev`",
        "learnt from split `train`, with a penalty picked on 2 folds of it",
        "on `trec`, `mrpc`",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
    let shown = lab.expect(0, &[&["data", "show", "TREC", "--split", "test"][..], &PLACES].concat()).out;
    assert!(shown.contains("[test:1] HUM: who was he 0 ?"), "{shown}");
    // What is not there: the manifest says how a person gets it.
    std::fs::remove_file(lab.path("data/MR/rt-polarity.neg")).unwrap();
    let said = lab.expect(2, &[&["plan", "transfer.toml"][..], &PLACES].concat()).err;
    assert!(
        said.contains("`rt-polarity.neg` is in none of these places") && said.contains("data/downstream as it is"),
        "{said}"
    );
}

#[test]
fn slices_that_tasks_share_out_are_checked() {
    let lab = lab();
    let check = |from: &str, to: &str, words: &str| {
        lab.write("transfer.toml", SPEC);
        lab.edit("transfer.toml", from, to);
        let said = lab.expect(1, &[&["check", "transfer.toml"][..], &PLACES].concat());
        let said = said.out + &said.err;
        assert!(said.contains(words), "{words}\n{said}");
    };
    check("[\"sst2\"]", "[\"mr\"]", "an earlier `linear-probe` is done on slice `mr` as well");
    check("slices = [\"sst2\"]\n", "", "say in each which `slices` it is done on");
    check("[\"sst2\"]", "[\"sst\"]", "there is no slice `sst` in this spec");
    check("[\"trec\", \"mrpc\"]", "[\"trec\"]", "slice `mrpc` holds labelled pairs");
    check("[\"sst2\"]\ntrain", "[\"sst2\"]\nk = 3\ntrain", "`k` means nothing to `linear-probe`");
    lab.write(
        "transfer.toml",
        &(SPEC.to_owned() + "[[task]]\nkind = \"knn\"\nslices = [\"mrpc\"]\ntrain = { split = \"train\" }\n"),
    );
    let said = lab.expect(2, &[&["plan", "transfer.toml"][..], &PLACES].concat()).err;
    assert!(said.contains("`knn` names slice `mrpc` in `slices`, which holds labelled pairs"), "{said}");
}
