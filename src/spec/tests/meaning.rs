//! What is said of files with the shape of a spec that mean nothing.

use super::*;
use crate::prompt::{Chat, Fuse};

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
        "5:10: `device` cannot be `gpu` (write `auto`, `cpu`, `cuda:N`, `cuda:N,M` for several, or `metal`)"
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
        "12:12: this prompt has both `use` and `template` (keep one of `use`, `template`, `templates` and `views`)"
    );
    assert_eq!(with("use = \"promteol\""), "11:7: `use` cannot be `promteol` (did you mean `prompteol`?)");
    assert_eq!(
        with("use = \"raw\"\nfuse = \"mean\""),
        "12:8: `fuse` goes with `views`, and this prompt has none (remove `fuse`, or list several templates in `views`)"
    );
    assert_eq!(
        with("template = \"词 {word}\""),
        "11:12: the template has no `{text}` slot (write `{text}` where the text goes; `{word}` is a column of the dataset, or a key of `fill`)"
    );
    assert_eq!(
        with("template = \"词 {text} {a b}\""),
        "11:22: the template has a slot without a name, `{a b}` (a slot is `{text}` or the name of a column; literal braces are written `{{` and `}}`)"
    );
    assert_eq!(
        with("views = [\"{text}\", \"{text}}\"]"),
        "11:27: the template has a lone `}` (a literal brace is written `}}`; the slot is `{text}`)"
    );
    // With an escape in it, the place in the value is not the place in the file.
    assert_eq!(
        with("template = \"\\t{text} {}\""),
        "11:12: the template has a slot without a name, `{}` (a slot is `{text}` or the name of a column; literal braces are written `{{` and `}}`)"
    );
    assert_eq!(with("views = []"), "11:9: `views` is empty");
    assert_eq!(
        with("template = \"{text}\"\nanswer = \"It is\""),
        "12:10: `answer` is part of a chat, and this prompt is none (add `chat = true`, or remove `answer`)"
    );
}

#[test]
fn slots_are_filled_by_name() {
    let with = |lines: &str| wrong_with(&format!("[[prompt]]\nid = \"p\"\n{lines}"));
    assert_eq!(
        with("use = \"ponte\"\nfill = { aspct = \"topic\" }"),
        "12:10: this prompt has no slot `{aspct}` to fill (did you mean `aspect`?)"
    );
    assert_eq!(
        with("use = \"raw\"\nfill = { aspect = \"topic\" }"),
        "12:10: this prompt has no slot `{aspect}` to fill (its only slot is that of the text)"
    );
    assert_eq!(
        with("use = \"ponte\"\nfill = { aspect = \"to{pic\" }"),
        "12:22: the template has a lone `{` (a literal brace is written `{{`; the slot is `{text}`)"
    );
    let views = |lines: &str| -> Vec<String> {
        let spec = parse(&format!("{SMALL}[[prompt]]\nid = \"p\"\n{lines}")).unwrap();
        spec.prompts[0].views.iter().map(|view| view.template.source().to_owned()).collect()
    };
    let icl = |demonstration: &str, word: &str| {
        format!(
            "This sentence : \"{demonstration}\" means in one word:\"{word}\".This sentence : \"{{text}}\" means in one word:\""
        )
    };
    assert_eq!(views("use = \"prompteol-icl\""), [icl("The man is riding a horse.", "Horseback-riding")]);
    let own = "use = \"prompteol-icl\"\nfill = { demonstration = \"A {kind} barks.\", word = \"Dog\" }";
    assert_eq!(views(own), [icl("A {kind} barks.", "Dog")]);
    assert_eq!(views("template = \"{text} {a} {b}\"\nfill = { a = \"{b}\", b = \"x\" }"), ["{text} x x"]);
    assert_eq!(views("views = [\"{text} {a}\", \"{text}\"]\nfill = { a = \"x\" }"), ["{text} x", "{text}"]);
}

#[test]
fn an_entry_may_stand_for_several_choices() {
    let several = "[[prompt]]\nid = \"mine\"\ntemplates = [\"A {text}\", { use = \"prompteol\" }]\n[[readout]]\nid = \"sweep\"\n\
        layers = [0, 0.85, -1]\npool = \"last\"\n";
    let spec = parse(&format!("{SMALL}{several}")).unwrap();
    let prompts: Vec<(&str, crate::prompt::Clean)> =
        spec.prompts.iter().map(|prompt| (prompt.id.as_str(), prompt.clean)).collect();
    assert_eq!(prompts, [("mine@1", crate::prompt::Clean::None), ("mine@2", crate::prompt::Clean::PromptEol)]);
    let readouts: Vec<(&str, Layer)> = spec.readouts.iter().map(|readout| (readout.id.as_str(), readout.layer)).collect();
    assert_eq!(readouts, [("sweep@0", Layer::At(0)), ("sweep@0.85", Layer::Depth(0.85)), ("sweep@-1", Layer::At(-1))]);

    let with = |lines: &str| wrong(&format!("{SMALL}{several}{lines}"));
    assert_eq!(with("[grid]\nskip = [{ prompt = \"mine@2\", readout = \"sweep\" }]"), "nothing");
    assert_eq!(
        with("[compare]\nreference = { readout = \"sweep@1\" }"),
        "17:25: there is no readout `sweep@1` in this spec (did you mean `sweep@0`?)"
    );
    assert_eq!(
        with("[grid]\nskip = [{ prompt = \"mine\" }]"),
        "17:9: `skip` leaves no prompt, so no cell (keep at least one, or name a second axis in the entry)"
    );
    let skip = parse(&format!("{SMALL}{several}[grid]\nskip = [{{ readout = \"sweep\", prompt = \"mine@2\" }}]")).unwrap();
    let skipped = |prompt, readout| skip.skips[0].matches(|axis| if axis == Axis::Prompt { prompt } else { readout });
    assert!(skipped("mine@2", "sweep@0.85") && !skipped("mine@1", "sweep@0.85") && !skipped("mine@2", "other"));

    let every = "[[readout]]\nid = \"every\"\nlayers = \"all\"\npool = \"mean\"\n";
    assert_eq!(parse(&format!("{SMALL}{every}")).unwrap().readouts[0].layer, Layer::Every);
    assert_eq!(wrong_with(&format!("{every}[compare]\nreference = {{ readout = \"every@7\" }}")), "nothing");
    assert_eq!(
        wrong_with(&format!("{every}[compare]\nreference = {{ readout = \"evry@7\" }}")),
        "14:25: there is no readout `evry@7` in this spec (write `every`)"
    );
}

#[test]
fn readouts() {
    let with = |lines: &str| wrong_with(&format!("[[readout]]\nid = \"r\"\npool = \"last\"\n{lines}"));
    assert_eq!(with("layer = 1.5"), "12:9: `layer` is 1.5, and should be at most 1");
    assert_eq!(with("layer = -0.5"), "12:9: `layer` is -0.5, and should be at least 0");
    assert_eq!(with("layer = 1001"), "12:9: `layer` is 1001, and should be at most 1000");
    assert_eq!(with("layers = \"al\""), "12:10: `layers` cannot be `al` (did you mean `all`?)");
    assert_eq!(with("layers = [1, 2.5]"), "12:14: an entry of `layers` is 2.5, and should be at most 1");
    assert_eq!(with("layers = [1, 0.5, 1]"), "12:19: layer 1 is there twice (list each layer once)");
    assert_eq!(
        with("layer = 1\nlayers = [2]"),
        "13:10: this readout has both `layer` and `layers` (keep `layer` for one of them, or `layers` for several)"
    );
    assert_eq!(with("span = 0"), "12:8: `span` is 0, and should be at least 1");
    assert_eq!(with("dim = 0"), "12:7: `dim` is 0, and should be at least 1");
    assert_eq!(with("layr = 1"), "12:1: unknown key `layr` in `[[readout]]` (did you mean `layer`?)");
}

#[test]
fn views_may_differ_in_what_they_read() {
    let with = |lines: &str| format!("{SMALL}[[prompt]]\nid = \"p\"\n{lines}");
    let ck = "views = [{ use = \"pretended-cot\", readout = { layer = 27 } }, { use = \"knowledge-enhancement\" }]\nfuse = \"mean-normalized\"";
    let spec = parse(&with(ck)).unwrap();
    let prompt = &spec.prompts[0];
    assert_eq!((prompt.fuse, prompt.clean, prompt.views.len()), (Fuse::MeanNormalized, crate::prompt::Clean::PromptEol, 2));
    assert_eq!(prompt.views[0].differently, Differently { layer: Some(Layer::At(27)), ..Differently::default() });
    assert_eq!(prompt.views[1].differently, Differently::default());
    assert_eq!(parse(&with("use = \"eight-views\"")).unwrap().prompts[0].views.len(), 8);
    assert_eq!(
        parse(&with("views = [\"{text}\", { use = \"eight-views\" }]\nclean = \"none\"")).unwrap().prompts[0].views.len(),
        9
    );
    assert_eq!(
        wrong(&with("views = [\"{text}\", { use = \"prompteol\" }]")),
        "11:9: these views were published with different clean-ups of their texts (say which: `clean = \"none\"` or `clean = \"prompteol\"`)"
    );
    assert_eq!(
        wrong(&with("views = [{ readout = { layer = 1 } }]")),
        "11:10: this view has neither `use` nor `template` (write one of them, and what it reads: { use = \"...\", readout = { layer = -2 } })"
    );
    assert_eq!(
        wrong(&with("views = [{ use = \"raw\", readout = { laier = 1 } }]")),
        "11:37: unknown key `laier` in `readout` (did you mean `layer`?)"
    );
    assert_eq!(
        wrong(&with("views = [\"{text}\"]\nfuse = \"mean-similarty\"")),
        "12:8: `fuse` cannot be `mean-similarty` (did you mean `mean-similarity`?)"
    );
}

#[test]
fn every_view_of_a_chat_is_a_message() {
    let text =
        format!("{SMALL}[[prompt]]\nid = \"p\"\nviews = [\"A {{text}}\", \"B {{text}}\"]\nchat = true\nanswer = \"It is\"");
    let spec = Spec::parse(&text, std::path::Path::new("s.toml")).unwrap();
    let chat = Chat { system: None, answer: Some("It is".to_owned()) };
    assert!(spec.prompts[0].views.iter().all(|view| view.template.chat() == Some(&chat)));
}

#[test]
fn documents_are_put_into_something_else_than_queries() {
    let with = |lines: &str| format!("{SMALL}[[prompt]]\nid = \"p\"\n{lines}\n[[task]]\nkind = \"retrieval\"");
    let spec =
        parse(&with("template = \"{a}: {text}\"\ndocuments = \"{b}: {text}\"\nfill = { a = \"q\", b = \"d\" }\nchat = true"))
            .unwrap();
    let documents = spec.prompts[0].documents.as_ref().unwrap();
    let source = |prompt: &crate::prompt::Prompt| prompt.views[0].template.source().to_owned();
    assert_eq!((source(&spec.prompts[0]), source(documents)), ("q: {text}".to_owned(), "d: {text}".to_owned()));
    assert!(documents.chat().is_some());
    let several = parse(&with("templates = [\"A {text}\", \"B {text}\"]\ndocuments = { use = \"prompteol\" }")).unwrap();
    let cleans = several.prompts.iter().map(|prompt| (prompt.clean, prompt.documents.as_ref().unwrap().clean));
    let wanted = (crate::prompt::Clean::None, crate::prompt::Clean::PromptEol);
    assert_eq!(cleans.collect::<Vec<_>>(), [wanted, wanted]);
    assert_eq!(parse(&with("template = \"A {text}\"")).unwrap().prompts[0].documents, None);
    assert_eq!(wrong(&with("documents = \"{text}\"")).lines().count(), 1);
    assert_eq!(
        wrong(&with("template = \"{text}\"\ndocuments = { use = \"prompteool\" }")),
        "12:21: `use` cannot be `prompteool` (did you mean `prompteol`?)"
    );
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
    let views: Vec<_> = parse().unwrap().prompts[0].views.iter().map(|view| view.template.source().to_owned()).collect();
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
        "10:9: an entry of `skip` is empty (name at least one of `model`, `prompt`, `readout`, `transform`, `slice`, `task`, `labels` or `calibration`)"
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
