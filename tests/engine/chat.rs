//! Prompts in a model's own chat format: what transformers renders, and what is said where that cannot be.

use std::fs;
use std::path::Path;

use embed_bench::embed::Encoder;
use embed_bench::prompt::{Chat, Template, Truncation};
use embed_bench::spec::{DType, Model};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{edit, fixture, model, open, try_open};

fn expected() -> Value {
    serde_json::from_slice(&fs::read(fixture("chat.json")).expect("chat.json")).expect("JSON")
}

/// The fixture `llama` with this chat template.
fn chatting(template: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        fs::copy(fixture("llama").join(file), folder.path().join(file)).expect("copy");
    }
    fs::write(folder.path().join("chat_template.jinja"), template).expect("write");
    folder
}

fn template(source: &str, system: Option<&str>, answer: &str) -> Template {
    let chat = Chat { system: system.map(str::to_owned), answer: Some(answer.to_owned()) };
    Template::parse(source).expect("template").in_chat(&chat)
}

#[test]
fn equals_what_transformers_renders() {
    let expected = expected();
    let [prompt, answer] = ["prompt", "answer"].map(|key| expected[key].as_str().expect("a text"));
    for (name, source) in expected["templates"].as_object().expect("templates") {
        let folder = chatting(source.as_str().expect("a template"));
        let encoder = open(folder.path(), DType::F32);
        for case in expected["cases"].as_array().expect("cases").iter().filter(|case| case["template"] == name.as_str()) {
            let (text, system) = (case["text"].as_str().expect("a text"), case["system"].as_str());
            let found = encoder.prepare(&template(prompt, system, answer), text, Truncation::Error);
            if let Some(wanted) = case["error"].as_str() {
                let error = found.expect_err("refused").to_string();
                assert!(error.contains(wanted), "{name}: {error}");
            } else {
                let found = found.expect("a conversation");
                assert_eq!(found.rendered, case["rendered"], "{name}");
                assert_eq!(json!(found.ids), case["ids"], "{name}: ids of {text}");
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_inside_its_conversation() {
    let expected = expected();
    let long = "The walkers think about the way home. ".repeat(20);
    for (name, source) in expected["templates"].as_object().expect("templates") {
        let folder = chatting(source.as_str().expect("a template"));
        let encoder = limited(folder.path(), 150);
        for text in [long.clone(), format!("  assistant {long}"), format!("user {long}")] {
            let shortest =
                encoder.prepare(&template("{text} In one word?", None, "It is"), "X", Truncation::Error).expect("fits");
            let (before, after) = shortest.rendered.split_once('X').expect("the text");
            for way in [Truncation::Head, Truncation::Tail, Truncation::Middle] {
                let cut = encoder.prepare(&template("{text} In one word?", None, "It is"), &text, way).expect("room");
                let kept = cut.rendered.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).expect("the fixed text");
                let left_out = cut.left_out.clone().expect("a place");
                let rest: String = text.chars().take(left_out.start).chain(text.chars().skip(left_out.end)).collect();
                assert_eq!(rest.trim_start(), kept.trim_start(), "{name}");
                assert!(!kept.is_empty() && kept.len() < text.len(), "{name}: {kept}");
                assert!((130..=150).contains(&cut.ids.len()), "{name}: {} tokens are left", cut.ids.len());
                match way {
                    Truncation::Head => assert!(text.trim_start().starts_with(kept.trim_start()), "{name}: {kept}"),
                    Truncation::Tail => assert!(text.ends_with(kept), "{name}: {kept}"),
                    _ => {}
                }
            }
        }
    }
    let shouting = chatting("{{ messages[0].content | upper }}!");
    let error = limited(shouting.path(), 150).prepare(&template("{text}", None, ""), &long, Truncation::Head);
    let error = error.expect_err("not to be found again").to_string();
    assert!(error.contains("changes it, so that it cannot be cut there; set `max_chars`"), "{error}");
}

fn limited(folder: &Path, tokens: usize) -> Box<dyn Encoder> {
    try_open(&Model { max_tokens: Some(tokens), ..model(folder, DType::F32) }).expect("a model that can be opened")
}

#[test]
fn templates_may_stand_in_the_configuration_and_may_be_wrong() {
    let said = |change: &dyn Fn(&Path)| {
        let folder = chatting("");
        fs::remove_file(folder.path().join("chat_template.jinja")).expect("remove");
        change(folder.path());
        let encoder = open(folder.path(), DType::F32);
        encoder.prepare(&template("{text}", None, "?"), "a", Truncation::Head).map(|prepared| prepared.rendered)
    };
    let configured =
        |value: Value| said(&move |folder: &Path| edit(&folder.join("tokenizer_config.json"), "chat_template", value.clone()));
    assert_eq!(configured(json!("{{ messages[0].content }}.")).expect("a conversation"), "a.?");
    let several = json!([{"name": "tools", "template": "no"}, {"name": "default", "template": "yes"}]);
    assert_eq!(configured(several).expect("a conversation"), "yes?");
    let error = said(&|_| ()).expect_err("no template").to_string();
    assert!(error.contains("has no chat template") && error.contains("take a chat model, or leave `chat` out"), "{error}");
    for (broken, wanted) in [
        ("{% for %}", "tokenizer_config.json cannot be used: "),
        ("{{ messages[0].shout() }}", "cannot be used: "),
        ("{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}", "cannot be used: "),
    ] {
        let error = configured(json!(broken)).expect_err("broken").to_string();
        assert!(error.contains(wanted) && error.contains("line 1"), "{error}");
    }
    // It matters only where it is used.
    let folder = chatting("{% for %}");
    let encoder = open(folder.path(), DType::F32);
    assert!(encoder.prepare(&Template::parse("{text}").expect("template"), "a", Truncation::Head).is_ok());
}
