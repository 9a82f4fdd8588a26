//! Queries whose documents were judged: BEIR's files, from the manifest to the gate and to MTEB's files.

use polars::prelude::*;
use serde_json::Value;

use crate::lab::Lab;

const MANIFEST: &str = r#"name = "asked"
about = "Made-up questions, and texts that answer them."
kind = "retrieval"
licence = "CC0-1.0"
columns = { id = "_id", text = "text", title = "title" }

[splits.test]
files = ["queries.jsonl"]
corpus = ["corpus.jsonl"]
qrels = ["qrels/test.tsv"]
format = "jsonl"
mteb = { task = "Asked", revision = "r1", languages = ["eng-Latn"] }
"#;

const SPEC: &str = r#"name = "asked"

[[model]]
id = "floor"
source = "builtin:char-ngram"
fit = { dataset = "asked", split = "test" }

[[slice]]
id = "asked"
dataset = "asked"
split = "test"

[[task]]
kind = "retrieval"
"#;

/// The first two queries have the words of one document each; the third those of two documents that are the same but for their
/// ids. The last was judged for no document of this split.
const QUERIES: &str = r#"{"_id": "q1", "text": "who tunes a piano"}
{"_id": "q2", "text": "storm warnings by the hour"}
{"_id": "q3", "text": "split the bill"}
{"_id": "q4", "text": "anything else"}
"#;

const CORPUS: &str = r#"{"_id": "d1", "title": "piano", "text": "who tunes a piano"}
{"_id": "d2", "title": "", "text": "storm warnings by the hour"}
{"_id": "d3", "title": "split the bill", "text": ""}
{"_id": "d4", "text": "split the bill"}
{"_id": "d5", "text": "guitar chords"}
"#;

const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td5\t0\nq3\td3\t1\n";

fn lab(task: &str) -> Lab {
    let lab = Lab::new(3);
    lab.write("datasets/asked/dataset.toml", MANIFEST);
    lab.write("datasets/asked/queries.jsonl", QUERIES);
    lab.write("datasets/asked/corpus.jsonl", CORPUS);
    lab.write("datasets/asked/qrels/test.tsv", QRELS);
    lab.write("asked.toml", &format!("{SPEC}{task}"));
    lab
}

fn value(lab: &Lab, metric: &str) -> f64 {
    let record = embed_bench::results::RunRecord::open(&lab.path("results/asked")).unwrap();
    record.cells[0].estimate(metric).unwrap_or_else(|| panic!("no {metric}")).value
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-12, "{found}, wanted {wanted}");
}

#[test]
fn judged_queries_from_plan_to_gate() {
    let lab = lab("");
    let plan = lab.expect(0, &["plan", "asked.toml"]).out;
    assert!(plan.contains("slice asked: 3 judged queries") && plan.contains("slice asked:corpus.jsonl: 5 documents"), "{plan}");
    lab.expect(0, &["run", "asked.toml"]);
    // The third query's two documents are in no order: first or second, each as likely.
    close(value(&lab, "mrr"), (1.0 + 1.0 + 0.75) / 3.0);
    close(value(&lab, "documents"), 5.0);
    close(value(&lab, "without_relevant"), 0.0);
    let report = lab.read("reports/asked/report.md");
    for words in
        ["3 queries", "were judged relevant", "## Hardest queries", "find none of them among the first ten", "5 documents"]
    {
        assert!(report.contains(words), "{words}\n{report}");
    }
    let results = lab.files("results/asked");
    lab.expect(0, &["run", "asked.toml"]);
    assert!(results == lab.files("results/asked"), "a second run wrote other bytes");
    lab.expect(0, &["bless", "results/asked", "-o", "kept"]);
    let judged = lab.expect(0, &["gate", "results/asked", "--baseline", "kept"]).out;
    assert!(judged.contains("1 pass, 0 regressed"), "{judged}");
    let run: Value = serde_json::from_str(&lab.read("results/asked/run.json")).unwrap();
    assert_eq!((&run["slices"][0]["kind"], &run["slices"][1]["kind"]), (&"retrieval".into(), &"documents".into()));
    let shown = lab.expect(0, &["data", "show", "asked"]).out;
    assert!(shown.contains("retrieval"), "{shown}");
}

#[test]
fn ties_have_the_order_that_the_protocol_says() {
    for protocol in ["trec", "mteb"] {
        let lab = lab(&format!("protocol = \"{protocol}\"\n"));
        lab.expect(0, &["run", "asked.toml"]);
        // `d4` goes before `d3`, which is the relevant one.
        close(value(&lab, "mrr"), (1.0 + 1.0 + 0.5) / 3.0);
        close(value(&lab, "ndcg_at_10"), (1.0 + 1.0 + 1.0 / 3.0_f64.log2()) / 3.0);
        close(value(&lab, "tied_documents"), 2.0 / 3.0);
    }
    let lab = lab("protocol = \"mteb\"\n");
    lab.expect(0, &["run", "asked.toml"]);
    lab.expect(0, &["results", "export-mteb", "results/asked", "-o", "out"]);
    let file: Value = serde_json::from_str(&lab.read("out/char-ngram/no_revision_available/Asked.json")).unwrap();
    let scores = &file["scores"]["test"][0];
    assert_eq!((&scores["main_score"], &scores["mrr_at_1000"]), (&scores["ndcg_at_10"], &0.833_333.into()));
}

#[test]
fn documents_have_a_prompt_of_their_own() {
    let lab = lab("");
    let spec = lab.read("asked.toml");
    let prompt = |documents: &str| format!("[[prompt]]\nid = \"e5\"\ntemplate = \"query: {{text}}\"\n{documents}\n");
    lab.write("asked.toml", &(spec.clone() + &prompt("documents = \"passage: {text}\"")));
    let shown = lab.expect(0, &["prompt", "show", "asked.toml"]).out;
    assert!(shown.contains("floor / e5, documents\n"), "{shown}");
    lab.expect(0, &["run", "asked.toml"]);
    let report = lab.read("reports/asked/report.md");
    assert!(report.contains("`query: {text}`, documents: `passage: {text}`"), "{report}");
    let embedded = |flags: &[&str]| {
        let words = ["embed", "results/asked", "--input", "datasets/asked/queries.jsonl", "-o", "v.parquet"];
        lab.expect(0, &[&words[..], flags].concat());
        let file = std::fs::File::open(lab.path("v.parquet")).unwrap();
        let frame = ParquetReader::new(file).finish().unwrap();
        frame.column("rendered").unwrap().str().unwrap().get(0).unwrap().to_owned()
    };
    assert_eq!(embedded(&[]), "query: who tunes a piano");
    assert_eq!(embedded(&["--documents"]), "passage: who tunes a piano");
    let ids = |text: &str| {
        lab.write("asked.toml", text);
        lab.expect(0, &["run", "asked.toml"]);
        embed_bench::results::RunRecord::open(&lab.path("results/asked")).unwrap().cells[0].id.clone()
    };
    let [apart, same] = ["documents = \"passage: {text}\"", ""].map(|documents| ids(&(spec.clone() + &prompt(documents))));
    assert!(apart != same);
    lab.write("asked.toml", &(spec.clone() + &prompt("documents = \"passage: {txt}\"")));
    let said = lab.expect(1, &["check", "asked.toml"]);
    assert!((said.out + &said.err).contains("{text}"));
    lab.write(
        "asked.toml",
        &(spec.replace("kind = \"retrieval\"", "kind = \"clustering\"") + &prompt("documents = \"{text}\"")),
    );
    let said = lab.expect(1, &["check", "asked.toml"]);
    let said = said.out + &said.err;
    assert!(said.contains("`documents` is for `retrieval`, which is no task of this spec"), "{said}");
}

#[test]
fn a_query_passes_over_the_document_of_its_own_id() {
    let lab = lab("");
    lab.edit("datasets/asked/corpus.jsonl", "\"d5\", \"text\": \"guitar chords\"", "\"q1\", \"text\": \"who tunes a piano\"");
    lab.edit("datasets/asked/qrels/test.tsv", "q2\td5\t0\n", "");
    lab.expect(0, &["run", "asked.toml"]);
    // The first query finds itself before the document that says more.
    close(value(&lab, "mrr"), (0.5 + 1.0 + 0.75) / 3.0);
    lab.edit("asked.toml", "kind = \"retrieval\"", "kind = \"retrieval\"\nignore_identical_ids = true");
    lab.expect(0, &["run", "asked.toml"]);
    close(value(&lab, "mrr"), (1.0 + 1.0 + 0.75) / 3.0);
    assert!(lab.read("reports/asked/report.md").contains("identical ids ignored"));
    // MTEB says of each task whether it does so.
    lab.edit("asked.toml", "ignore_identical_ids", "protocol = \"mteb\"\nignore_identical_ids");
    lab.expect(0, &["run", "asked.toml"]);
    let refused = lab.expect(2, &["results", "export-mteb", "results/asked", "-o", "out"]);
    assert!((refused.out + &refused.err).contains("without `ignore_identical_ids`"));
    lab.edit("datasets/asked/dataset.toml", "revision = \"r1\"", "revision = \"r1\", ignore_identical_ids = true");
    lab.expect(0, &["run", "asked.toml"]);
    lab.expect(0, &["results", "export-mteb", "results/asked", "-o", "out"]);
}

#[test]
fn judgements_of_what_is_not_there_are_told() {
    let lab = lab("");
    lab.edit("datasets/asked/qrels/test.tsv", "q3\td3", "q3\td33");
    let said = lab.expect(2, &["plan", "asked.toml"]).err;
    assert!(said.contains("qrels/test.tsv, line 5: there is no document `d33` in the split's files"), "{said}");
    lab.edit("datasets/asked/dataset.toml", "licence =", "on_bad_row = \"skip\"\nlicence =");
    let plan = lab.expect(0, &["plan", "asked.toml"]).out;
    assert!(plan.contains("slice asked: 2 judged queries"), "{plan}");
    lab.edit("datasets/asked/dataset.toml", "corpus = [\"corpus.jsonl\"]\n", "");
    let said = lab.expect(2, &["plan", "asked.toml"]).err;
    assert!(said.contains("a split of queries lacks `corpus`, a list of files"), "{said}");
    lab.write("datasets/asked/dataset.toml", &MANIFEST.replace("id = \"_id\", ", ""));
    let said = lab.expect(2, &["plan", "asked.toml"]).err;
    assert!(said.contains("the columns lack `id`"), "{said}");
}

#[test]
fn tasks_and_keys_that_are_not_for_queries_are_told() {
    let lab = lab("");
    lab.edit("asked.toml", "kind = \"retrieval\"", "kind = \"clustering\"\nprotocol = \"mteb\"");
    let said = lab.expect(1, &["check", "asked.toml"]);
    let said = said.out + &said.err;
    assert!(said.contains("MTEB clusters by scikit-learn's k-means on mini-batches"), "{said}");
    lab.edit("asked.toml", "kind = \"clustering\"\nprotocol = \"mteb\"", "kind = \"retrieval\"\nprotocol = \"senteval\"");
    let said = lab.expect(1, &["check", "asked.toml"]);
    let said = said.out + &said.err;
    assert!(said.contains("protocol `senteval` is for `sts` and `linear-probe`"), "{said}");
    lab.edit("asked.toml", "protocol = \"senteval\"", "");
    lab.edit("asked.toml", "split = \"test\"\n\n[[task]]", "split = \"test\"\nper_label = 2\n\n[[task]]");
    let said = lab.expect(2, &["plan", "asked.toml"]).err;
    assert!(said.contains("`per_label` is about labels, and dataset `asked` holds judged queries"), "{said}");
}
