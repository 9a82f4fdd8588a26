//! What is said of files with the shape of a spec that mean nothing.

use super::*;
use crate::prompt::Chat;

#[test]
fn names_and_duplicates() {
    let rule = "use letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`";
    for name in ["", "..", "a/b", "a b", "-x"] {
        assert_eq!(
            wrong(&SMALL.replace("\"small\"", &format!("\"{name}\""))),
            format!("1:8: `{name}` cannot be the `name` ({rule})")
        );
    }
    assert_eq!(wrong(&SMALL.replace("\"tiny\"", "\"a,b\"")), format!("3:6: `a,b` cannot be the `id` ({rule})"));
    assert_eq!(wrong(&SMALL.replace("\"tiny\"", "\"小.型-1_\"")), "nothing");
    assert_eq!(
        wrong_with("[[model]]\nid = \"tiny\"\nsource = \"path:x\""),
        "10:6: model `tiny` is there twice (the first is on line 3)"
    );
    assert_eq!(
        wrong_with("[[task]]\nkind = \"label-similarity\"\ncalibration = [\"none\", \"none\"]"),
        "11:24: calibration `none` is there twice (the first is on line 11)"
    );
    assert_eq!(wrong_with("labels = [\"a\", \"a\"]"), "9:16: label `a` is there twice (list each label once)");
    assert_eq!(wrong_with("id = \"x\""), "9:1: duplicate key");
}

#[test]
fn models() {
    let with = |lines: &str| wrong(&SMALL.replace("source = \"path:models/tiny-zh\"", lines));
    assert_eq!(
        with("source = \"gguf:\""),
        "4:10: `gguf:` names no file (write `gguf:FILE`; relative paths are relative to the working directory)"
    );
    assert_eq!(
        with("source = \"builtin:char-ngram\""),
        "4:10: `builtin:char-ngram` needs `fit` (name the unlabelled texts for its IDF: fit = { dataset = \"NAME\", split = \"train\" })"
    );
    assert_eq!(
        with("source = \"path:x\"\nfit = { dataset = \"a\", split = \"b\" }"),
        "5:7: only `builtin:char-ngram` takes `fit` (remove `fit`: this model is used as it is)"
    );
    // The misspelt key of `fit` is the only mistake.
    assert_eq!(
        with("source = \"builtin:char-ngram\"\nfit = { dataset = \"a\", splt = \"b\" }"),
        "5:24: unknown key `splt` in `fit` (did you mean `split`?)"
    );
    assert_eq!(
        with("source = \"builtin:char-ngram\"\nfit = { dataset = \"a\", split = \"b\" }\ndtype = \"f16\""),
        "6:9: `dtype` means nothing to `builtin:char-ngram` (remove `dtype`: this model has no forward pass)"
    );
    assert_eq!(
        with("source = \"http://a/v1\"\nendpoint = { name = \"m\" }\nmax_tokens = 9"),
        "6:14: `max_tokens` means nothing to an embedding server (remove `max_tokens`: it runs as it was started; `endpoint` has `max_chars`)"
    );
    assert_eq!(
        with("source = \"http://a/v1\"\nendpoint = { nmae = \"m\" }"),
        "5:14: unknown key `nmae` in `endpoint` (did you mean `name`?)"
    );
    assert_eq!(
        with("source = \"http://a/v1\"\nendpoint = { name = \"m\", batch = 0 }"),
        "5:34: `batch` is 0, and should be at least 1"
    );
    assert_eq!(
        with("source = \"http://me:hunter2@a/v1\"\nendpoint = { name = \"m\" }"),
        "4:10: a server's address holds no user, password or query (put the key into an environment variable and name it: endpoint = { api_key_env = \"NAME\", ... })"
    );
    assert_eq!(
        with("source = \"path:x\"\nadapter = \"http://a/v1\""),
        "5:11: `http://a/v1` is no adapter (write `path:DIR` for a folder, or `hf:OWNER/NAME` for the Hugging Face hub)"
    );
    assert_eq!(
        with("source = \"gguf:x\"\nadapter = \"path:a\""),
        "5:11: `adapter` cannot be merged into a quantised file (take the model's safetensors folder: `path:DIR` or `hf:REPO`)"
    );
    assert_eq!(
        with("source = \"path:x\"\nadapter = \"hf:a/b/c\""),
        "5:11: `a/b/c` is no repository of the Hugging Face hub (write `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`)"
    );
    assert_eq!(
        with("source = \"http://a/v1\"\nendpoint = { name = \"m\" }\nadapter = \"path:a\""),
        "6:11: `adapter` means nothing to an embedding server (remove `adapter`: it runs as it was started; `endpoint` has `max_chars`)"
    );
    assert_eq!(
        with("source = \"path:x\"\ndevice = \"gpu\""),
        "5:10: `device` cannot be `gpu` (write `auto`, `cpu`, `cuda:N` or `metal`)"
    );
}

#[test]
fn prompts() {
    let with = |lines: &str| wrong_with(&format!("[[prompt]]\nid = \"p\"\n{lines}"));
    assert_eq!(
        with(""),
        "9:1: `[[prompt]]` has neither `use` nor `template` nor `views` (name a built-in prompt with `use`, or write `template = \"... {text} ...\"`)"
    );
    assert_eq!(
        with("use = \"raw\"\ntemplate = \"{text}\""),
        "12:12: this prompt has both `use` and `template` (keep one of `use`, `template` and `views`)"
    );
    assert_eq!(with("use = \"promteol\""), "11:7: `use` cannot be `promteol` (did you mean `prompteol`?)");
    assert_eq!(
        with("use = \"raw\"\nfuse = \"mean\""),
        "12:8: `fuse` goes with `views`, and this prompt has none (remove `fuse`, or list several templates in `views`)"
    );
    assert_eq!(
        with("template = \"词 {word}\""),
        "11:15: the template has an unknown slot `{word}` (the only slot is `{text}`; literal braces are written `{{` and `}}`)"
    );
    assert_eq!(
        with("views = [\"{text}\", \"{text}}\"]"),
        "11:27: the template has a lone `}` (a literal brace is written `}}`; the slot is `{text}`)"
    );
    // With an escape in it, the place in the value is not the place in the file.
    assert_eq!(
        with("template = \"\\t{word}\""),
        "11:12: the template has an unknown slot `{word}` (the only slot is `{text}`; literal braces are written `{{` and `}}`)"
    );
    assert_eq!(with("views = []"), "11:9: `views` is empty");
    assert_eq!(
        with("template = \"{text}\"\nanswer = \"It is\""),
        "12:10: `answer` is part of a chat, and this prompt is none (add `chat = true`, or remove `answer`)"
    );
}

#[test]
fn every_view_of_a_chat_is_a_message() {
    let text =
        format!("{SMALL}[[prompt]]\nid = \"p\"\nviews = [\"A {{text}}\", \"B {{text}}\"]\nchat = true\nanswer = \"It is\"");
    let spec = Spec::parse(&text, std::path::Path::new("s.toml")).unwrap();
    let chat = Chat { system: None, answer: Some("It is".to_owned()) };
    assert!(spec.prompts[0].views.iter().all(|view| view.chat() == Some(&chat)));
}

#[test]
fn views_come_from_a_file_beside_the_spec() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let text = format!("{SMALL}[[prompt]]\nid = \"p\"\nviews = {{ file = \"views.txt\" }}");
    let parse = || Spec::parse(&text, &path);
    let problem = |problems: Problems| {
        let problem = problems.iter().next().unwrap();
        (problems.len(), problem.position(), problem.message.clone())
    };
    let (count, place, message) = problem(parse().unwrap_err());
    assert_eq!((count, place), (1, Some((11, 18))));
    assert!(message.starts_with("cannot read `views.txt`: "), "{message}");
    std::fs::write(folder.path().join("views.txt"), "A {text}\r\n\n B {text} \n").unwrap();
    let views: Vec<_> = parse().unwrap().prompts[0].views.iter().map(|view| view.source().to_owned()).collect();
    assert_eq!(views, ["A {text}", " B {text} "]);
    std::fs::write(folder.path().join("views.txt"), "A {text}\nB\n").unwrap();
    let wanted = "line 2 of `views.txt`: the template has no `{text}` slot".to_owned();
    assert_eq!(problem(parse().unwrap_err()), (1, Some((11, 18)), wanted));
    std::fs::write(folder.path().join("views.txt"), "\n").unwrap();
    assert_eq!(problem(parse().unwrap_err()), (1, Some((11, 18)), "`views.txt` holds no template".to_owned()));
}

#[test]
fn labels_and_slices() {
    let labels = "labels = [\"休闲益智\", \"新闻\"]\n";
    let with = |lines: &str| wrong_with(&format!("{labels}[[labels]]\nid = \"l\"\n{lines}"));
    assert_eq!(with("phrases.\"休闲益趣\" = [\"a\"]"), "12:9: no slice has the label `休闲益趣` (did you mean `休闲益智`?)");
    assert_eq!(
        with("phrases.\"求职\" = [\"a\"]"),
        "12:9: no slice has the label `求职` (add it to a slice's `labels`, or remove its phrasings)"
    );
    // Without `labels` a slice has the labels of its dataset, which a spec does not know.
    assert_eq!(wrong_with("[[labels]]\nid = \"l\"\nphrases.\"求职\" = [\"a\"]"), "nothing");
    assert_eq!(with("prompt = \"prompteoll\""), "12:10: there is no prompt `prompteoll` (did you mean `prompteol`?)");
    assert_eq!(
        with("prompt = \"mine\""),
        "12:10: there is no prompt `mine` (write the id of a `[[prompt]]`, or the name of a built-in prompt)"
    );
    assert_eq!(
        with("prompt = \"mine\"\n[[prompt]]\nid = \"mine\"\ntemplate = \"x\""),
        "15:12: the template has no `{text}` slot (write `{text}` where the text goes)"
    );
    assert_eq!(
        wrong_with("min_chars = 10\nmax_chars = 5"),
        "9:13: `min_chars` is 10, which is more than `max_chars`, 5 (no text is that long and that short)"
    );
    assert_eq!(
        wrong_with("[[task]]\nkind = \"label-similarity\"\n[[task]]\nkind = \"label-similarity\"\ncalibration = [\"center\"]"),
        "12:8: `label-similarity` is there twice (list all calibrations in one `[[task]]`)"
    );
}

#[test]
fn selections() {
    let skip = |entry: &str| wrong_with(&format!("[grid]\nskip = [{entry}]"));
    assert_eq!(
        skip("{ model = \"tin\", prompt = \"raw\" }"),
        "10:19: there is no model `tin` in this spec (did you mean `tiny`?)"
    );
    assert_eq!(
        skip("{ model = [\"tiny\", \"x\"], readout = \"own\" }"),
        "10:28: there is no model `x` in this spec (write `tiny`)"
    );
    assert_eq!(skip("{ calibration = \"center\" }"), "10:25: there is no calibration `center` in this spec (write `none`)");
    assert_eq!(
        skip("{ task = \"knn\", model = \"tiny\" }"),
        "10:18: there is no task `knn` in this spec (write `label-similarity`)"
    );
    assert_eq!(skip("{ modl = \"tiny\" }"), "10:11: unknown key `modl` in an entry of `skip` (did you mean `model`?)");
    assert_eq!(
        skip("{}"),
        "10:9: an entry of `skip` is empty (name at least one of `model`, `prompt`, `readout`, `slice`, `task`, `labels` or `calibration`)"
    );
    assert_eq!(
        skip("{ labels = \"names\" }"),
        "10:9: `skip` leaves no labels, so no cell (keep at least one, or name a second axis in the entry)"
    );
    assert_eq!(
        skip("{ model = 1 }"),
        "10:19: `model` is an integer, and should be a string or an array (`model`: Ids of models.)"
    );
    let both = "[grid]\nskip = [{ model = \"tiny\", prompt = \"raw\" }]\n[compare]\nreference = { model = \"tiny\", prompt = \"raw\", slice = \"dev\" }";
    assert_eq!(
        wrong_with(both),
        "12:13: the reference is one of the combinations that `skip` leaves out (choose another reference, or keep this combination)"
    );
    assert_eq!(
        wrong_with("[compare]\nreference = { readout = \"last\" }"),
        "10:25: there is no readout `last` in this spec (write `own`)"
    );
    let misspelt = "[grid]\nskip = [{ modl = \"tiny\" }]\n[compare]\nreference = { model = \"tiny\" }";
    assert_eq!(wrong_with(misspelt), "10:11: unknown key `modl` in an entry of `skip` (did you mean `model`?)");
    // An entry without its id may be the one that is meant.
    assert_eq!(
        wrong_with("[[readout]]\npool = \"last\"\n[compare]\nreference = { readout = \"last\" }"),
        "9:1: `[[readout]]` has no `id` (`id`: What reports call this readout.)"
    );
}
