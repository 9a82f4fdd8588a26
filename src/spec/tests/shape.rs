//! What is said of files that do not have the shape of a spec.

use std::path::Path;

use super::{SMALL, wrong, wrong_with};
use crate::spec::Spec;

#[test]
fn five_mistakes_come_at_once() {
    let text = r#"name = "five"
sed = 7
[[model]]
id = "tiny"
source = "path:models/tiny-zh"
dtype = "fp16"
[[model]]
id = "floor"
[[prompt]]
id = "bare"
template = "说一个词："
[[slice]]
id = "dev"
dataset = "apps6"
split = "dev"
[grid]
skip = [{ model = "flor" }]
"#;
    let wanted = "\
2:1: unknown key `sed` (did you mean `seed`?)
6:9: `dtype` cannot be `fp16` (did you mean `f16`?)
7:1: `[[model]]` has no `source` (`source`: The model's address: `path:DIR` (a folder), `gguf:FILE` (a file of \
                  llama.cpp), `hf:REPO[@REV]` (the Hugging Face hub), `http://HOST:PORT/v1` (an embedding server) or `builtin:char-ngram`.)
11:12: the template has no `{text}` slot (write `{text}` where the text goes)
17:19: there is no model `flor` in this spec (did you mean `floor`?)";
    assert_eq!(wrong(text), wanted);
}

#[test]
fn keys() {
    assert_eq!(
        wrong_with("zzz = 1"),
        "9:1: unknown key `zzz` in `[[slice]]` (write `id`, `dataset`, `split`, `labels`, `rename`, `limit`, `per_label`, `min_chars` or `max_chars`)"
    );
    // A key of the top below a table header belongs to that table.
    assert_eq!(
        wrong_with("seed = 1"),
        "9:1: unknown key `seed` in `[[slice]]` (`seed` belongs at the top of the file, before the first table)"
    );
    // A misspelt key is one mistake: not an unknown key and a missing one.
    assert_eq!(wrong(&SMALL.replace("split =", "splt =")), "8:1: unknown key `splt` in `[[slice]]` (did you mean `split`?)");
    assert_eq!(
        wrong_with("[[prompt]]\nid = \"p\"\ntempalte = \"{text}\""),
        "11:1: unknown key `tempalte` in `[[prompt]]` (did you mean `template`?)"
    );
    assert_eq!(wrong_with("[[task]]"), "9:1: `[[task]]` has no `kind` (`kind`: The kind of task.)");
}

#[test]
fn an_empty_file_lacks_what_a_spec_needs() {
    let wanted = "\
1:1: the spec has no `name` (`name`: Names the folders of results and reports: letters, digits, `-`, `_` and `.`.)
1:1: the spec has no `[[model]]` (`model`: The models to embed with.)
1:1: the spec has no `[[slice]]` (`slice`: The data to score on.)";
    assert_eq!(wrong(""), wanted);
    assert_eq!(
        wrong("name = \"x\"\nmodel = []\nslice = []"),
        "2:9: `model` is empty (`model`: The models to embed with.)\n3:9: `slice` is empty (`slice`: The data to score on.)"
    );
}

#[test]
fn types_and_bounds() {
    assert_eq!(
        wrong(&SMALL.replace("\"small\"", "1")),
        "1:8: `name` is an integer, and should be a string (`name`: Names the folders of results and reports: letters, digits, `-`, `_` and `.`.)"
    );
    assert_eq!(
        wrong(&SMALL.replace("[[slice]]", "[slice]")),
        "5:1: `slice` is a table, and should be an array (write `[[slice]]`)"
    );
    assert_eq!(wrong_with("[[grid]]"), "9:1: `grid` is an array, and should be a table (write `[grid]`)");
    assert_eq!(wrong_with("labels = [1]"), "9:11: an entry of `labels` is an integer, and should be a string");
    assert_eq!(wrong_with("limit = 0"), "9:9: `limit` is 0, and should be at least 1");
    assert_eq!(
        wrong_with("limit = 1_000_000_000_000_000_000_000"),
        "9:9: `limit` is out of range (`limit`: At most so many samples, drawn by seed.)"
    );
    assert_eq!(wrong_with("limit = 1_000"), "nothing");
    assert_eq!(
        wrong_with("limit = 2024-01-01"),
        "9:9: `limit` is a date or time, and should be an integer (`limit`: At most so many samples, drawn by seed.)"
    );
    assert_eq!(wrong_with("[gate]\nmax_drop = 0.01").lines().count(), 1, "gates are not part of a spec");
    assert_eq!(
        wrong_with("[[readout]]\nid = \"r\"\npool = \"sum\"\nlayer = 3000"),
        "11:8: `pool` cannot be `sum` (write `last`, `mean`, `weighted-mean`, `max`, `cls` or `own`)\n12:9: `layer` is 3000, and should be at most 1000"
    );
    assert_eq!(
        wrong(&SMALL.replace("tiny-zh\"", "tiny-zh\"\nmax_tokens = 7")),
        "5:14: `max_tokens` is 7, and should be at least 8"
    );
    assert_eq!(
        wrong_with("[[prompt]]\nid = \"p\"\nviews = \"x\""),
        "11:9: `views` is a string, and should be an array or a table (`views`: Several templates whose vectors are fused: a list of templates or of tables (`{ use = \"...\", readout = { layer = -2 } }`), or `{ file = \"...\" }` with one template a line.)"
    );
    assert_eq!(
        wrong_with("[[labels]]\nid = \"l\"\nphrases.a = []\nphrases.b = [\"\"]"),
        "11:13: `a` is empty\n12:14: an entry of `b` is an empty string"
    );
}

#[test]
fn syntax_errors_have_a_place() {
    assert_eq!(wrong("name = "), "1:8: string values must be quoted, expected literal string");
    assert_eq!(wrong("name = \"a\"\n[[model]\n"), "2:9: unclosed array table, expected `]`");
}

#[test]
fn a_byte_order_mark_is_no_text() {
    assert_eq!(wrong(&format!("\u{feff}{SMALL}")), "nothing");
    assert_eq!(wrong("\u{feff}name = "), wrong("name = "));
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let problems = Spec::load(Path::new("no/such/spec.toml")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(format!("{problems:#}").starts_with("no/such/spec.toml: cannot read the spec: "), "{problems:#}");
}
