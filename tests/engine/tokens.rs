//! Special tokens and truncation, with real tokenizers.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use embed_bench::embed::{EmbedError, Encoder, Prepared};
use embed_bench::model::ModelError;
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::DType;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{edit, fixture, model, try_open};

const EOL: &str = "This sentence : \"{text}\" means in one word:\"";
const TWICE: &str = "改写：{text}。改写之后：{text}";

const SLOT: &str = "{text}";

/// The fixtures, with room for more tokens where positions are not a table of weights.
static ROOMY: LazyLock<Vec<(&str, TempDir)>> = LazyLock::new(|| {
    let copy = |name| {
        let folder = tempfile::tempdir().expect("temporary folder");
        for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            fs::copy(fixture(name).join(file), folder.path().join(file)).expect("copy");
        }
        if name != "bert" {
            edit(&folder.path().join("config.json"), "max_position_embeddings", json!(4096));
        }
        (name, folder)
    };
    ["llama", "qwen2", "bert"].map(copy).into()
});

/// An encoder of a fixture that takes so many tokens.
fn small(name: &str, max_tokens: usize) -> Box<dyn Encoder> {
    let (_, folder) = ROOMY.iter().find(|(folder, _)| *folder == name).expect("a fixture");
    limited(folder.path(), max_tokens)
}

/// An encoder of a fixture that takes every text of these tests whole.
fn whole(name: &str) -> Box<dyn Encoder> {
    small(name, if name == "bert" { 320 } else { 4096 })
}

fn limited(folder: &Path, max_tokens: usize) -> Box<dyn Encoder> {
    let mut model = model(folder, DType::F32);
    model.max_tokens = Some(max_tokens);
    try_open(&model).expect("a model that can be opened")
}

fn template(source: &str) -> Template {
    Template::parse(source).expect("template")
}

/// Ids of a text as it is.
fn ids(encoder: &dyn Encoder, text: &str) -> Vec<u32> {
    encoder.prepare(&template("{text}"), text, Truncation::Error).expect("a text that fits").ids
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,120}", "[新闻休闲益智，。 ]{0,80}", ".{0,60}", Just("word ".repeat(25)), Just("界".repeat(60)),]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_text_is_cut_and_the_whole_is_tokenised(
        text in texts(),
        limit in 64_usize..100,
        source in prop_oneof![Just("{text}"), Just(EOL), Just(TWICE)],
        truncate in prop_oneof![Just(Truncation::Head), Just(Truncation::Tail), Just(Truncation::Middle)],
    ) {
        for name in ["llama", "qwen2", "bert"] {
            let whole = whole(name);
            let encoder = small(name, limit);
            let full = whole.prepare(&template(source), &text, Truncation::Head).expect("fits");
            let cut = encoder.prepare(&template(source), &text, truncate).expect("the template fits");
            prop_assert!(cut.ids.len() <= limit);
            prop_assert_eq!(cut.ids.len() + cut.cut, full.ids.len());
            prop_assert_eq!(&ids(&*whole, &cut.rendered), &cut.ids, "{}", cut.rendered);
            // What is said to be left out is all that is: the rest, rendered, is what the ids are of.
            let kept = cut.left_out.clone().map_or_else(|| text.clone(), |left_out| without(&text, &left_out));
            prop_assert_eq!(&template(source).render(&kept).text, &cut.rendered);
            prop_assert_eq!(cut.left_out.is_some(), cut.cut > 0);
            if cut.cut == 0 {
                prop_assert_eq!(&cut.rendered, &full.rendered);
            } else {
                prop_assert!(cut.ids.len() * 10 >= limit * 8, "{} of {limit} tokens are used", cut.ids.len());
            }
            let (begin, end) = source.split_once(SLOT).expect("a slot");
            prop_assert!(cut.rendered.starts_with(begin));
            let last = end.rsplit(SLOT).next().expect("an end");
            prop_assert!(cut.rendered.ends_with(last));
            let kept = cut.rendered.strip_prefix(begin).expect("the beginning");
            if source == EOL {
                let kept = kept.strip_suffix(end).expect("the end");
                match truncate {
                    Truncation::Head => prop_assert!(text.starts_with(kept)),
                    Truncation::Tail => prop_assert!(text.ends_with(kept)),
                    _ => prop_assert!(kept.len() <= text.len()),
                }
            }
        }
    }
}

/// A text without some of its characters.
fn without(text: &str, left_out: &Range<usize>) -> String {
    text.chars().take(left_out.start).chain(text.chars().skip(left_out.end)).collect()
}

#[test]
fn the_middle_goes_and_both_ends_stay() {
    let text = "first ".to_owned() + &"filler ".repeat(150) + "last";
    for name in ["llama", "qwen2", "bert"] {
        let cut = small(name, 60).prepare(&template(EOL), &text, Truncation::Middle).expect("fits");
        assert!(cut.rendered.contains("\"first filler"), "{name}: {}", cut.rendered);
        assert!(cut.rendered.contains("last\" means"), "{name}: {}", cut.rendered);
    }
}

#[test]
fn both_slots_lose_the_same() {
    let text = "很长的描述".repeat(20);
    let cut = small("llama", 120).prepare(&template(TWICE), &text, Truncation::Head).expect("fits");
    let rest = cut.rendered.strip_prefix("改写：").expect("the fixed text");
    let (first, second) = rest.split_once("。改写之后：").expect("the fixed text");
    assert_eq!(first, second);
    assert!(!first.is_empty() && text.starts_with(first));
}

#[test]
fn what_cannot_be_cut_is_an_error_with_the_counts() {
    let encoder = small("qwen2", 10);
    let error = encoder.prepare(&template(EOL), "a", Truncation::Head).expect_err("the template alone is too long");
    assert!(
        matches!(&error, EmbedError::Model(error) if matches!(**error, ModelError::TemplateTooLong { limit: 10, .. })),
        "{error}"
    );
    let long = "word ".repeat(40);
    let error = encoder.prepare(&template("{text}"), &long, Truncation::Error).expect_err("too long");
    let counted = ids(&*whole("qwen2"), &long).len();
    assert!(error.to_string().contains(&format!("{counted} tokens")), "{error}");
    assert!(error.to_string().contains("at most 10 fit"), "{error}");
}

#[test]
fn the_whole_prompt_is_cut_before_special_tokens_are_added() {
    let text = "word ".repeat(40);
    for (name, special) in [("llama", 0), ("bert", 1)] {
        let full = ids(&*whole(name), &text);
        let cut = small(name, 12).prepare(&template("{text}"), &text, Truncation::WholePrompt).expect("fits");
        let end = &full[full.len() - special..];
        assert_eq!(cut.ids, [&full[..12 - special], end].concat(), "{name}");
        assert_eq!(cut.cut, full.len() - 12);
        // What is left of the rendered prompt, tokenised alone, is what was kept.
        let left_out = cut.left_out.expect("a place");
        assert_eq!(left_out.end, text.len(), "{name}");
        assert_eq!(ids(&*whole(name), &text[..left_out.start]), cut.ids, "{name}");
    }
    // A prompt that is cut where its template ends again keeps the whole text.
    let text = "word ".repeat(4);
    let cut = small("llama", 20).prepare(&template(EOL), &text, Truncation::WholePrompt).expect("fits");
    let kept: String = cut.rendered.chars().take(cut.left_out.expect("a place").start).collect();
    assert!(kept.starts_with("This sentence : \"word "), "{kept}");
    assert_eq!(ids(&*whole("llama"), &kept), cut.ids, "{kept}");
}

#[test]
fn blanks_that_the_rendering_loses_do_not_move_the_cut() {
    let text = "word by word ".repeat(20);
    let blank = format!("\u{3000}\n  {text}");
    for source in ["{text}", "{text} means", " {text} means"] {
        let template = template(source).stripped();
        for (name, way) in ["llama", "qwen2", "bert"].into_iter().zip([Truncation::Head, Truncation::Tail, Truncation::Middle])
        {
            let encoder = small(name, 40);
            let plain = encoder.prepare(&template, &text, way).expect("fits");
            assert!(plain.cut > 0, "{name}: {source}");
            let moved = encoder.prepare(&template, &blank, way).expect("fits");
            let (Some(own), Some(shifted)) = (&plain.left_out, &moved.left_out) else { panic!("{name}: no place") };
            let by = blank.chars().count() - text.chars().count();
            let start = if own.start == 0 { 0 } else { own.start + by };
            assert_eq!(*shifted, start..own.end + by, "{name}: {source}");
            assert_eq!(Prepared { left_out: plain.left_out.clone(), ..moved }, plain, "{name}: {source}");
        }
    }
}

#[test]
fn a_template_that_leaves_no_room_for_the_text_is_refused() {
    let text = "word ".repeat(40);
    for name in ["llama", "qwen2", "bert"] {
        let fixed = ids(&*whole(name), &EOL.replace(SLOT, "")).len();
        for limit in [fixed - 1, fixed] {
            let error = small(name, limit).prepare(&template(EOL), &text, Truncation::Head).expect_err("no room");
            assert!(
                matches!(&error, EmbedError::Model(error) if matches!(**error, ModelError::TemplateTooLong { .. })),
                "{name}: {error}"
            );
        }
        let cut = small(name, fixed + 8).prepare(&template(EOL), &text, Truncation::Head).expect("room for a word");
        assert!(cut.rendered.contains("word"), "{name}: {}", cut.rendered);
    }
}

/// A copy of the Llama fixture with another `tokenizer_config.json` and an edited tokenizer.json.
fn with_config(config: &Value, edit: impl FnOnce(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture("llama").join(name), folder.path().join(name)).expect("copy");
    }
    let tokenizer = fs::read(fixture("llama").join("tokenizer.json")).expect("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&tokenizer).expect("JSON");
    edit(&mut tokenizer);
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).expect("write");
    fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("write");
    folder
}

#[test]
fn flags_decide_about_special_tokens_for_llama_classes_only() {
    let config = |class: &str, bos: Value, eos: Value| {
        let (begin, end) = ("<s>", json!({"content": "</s>"}));
        json!({"tokenizer_class": class, "bos_token": begin, "eos_token": end, "add_bos_token": bos, "add_eos_token": eos})
    };
    let file = ids(&*whole("llama"), "a text");
    let plain = file[1..].to_vec();
    assert_eq!(file[0], 1, "the fixture's own post-processor begins with <s>");
    let both = [&file[..], &[2]].concat();
    let end = [&plain[..], &[2]].concat();
    for (config, wanted) in [
        (config("LlamaTokenizer", json!(true), json!(true)), &both),
        (config("LlamaTokenizerFast", json!(null), json!(true)), &both),
        (config("LlamaTokenizer", json!(false), json!(false)), &plain),
        (config("TokenizersBackend", json!(null), json!(true)), &end),
        (config("PreTrainedTokenizerFast", json!(false), json!(true)), &file),
        (config("LlamaTokenizer", json!(null), json!(null)), &file),
    ] {
        let shown = config.to_string();
        let folder = with_config(&config, |_| {});
        assert_eq!(&ids(&*limited(folder.path(), 100), "a text"), wanted, "{shown}");
    }
    let missing = json!({"tokenizer_class": "LlamaTokenizer", "bos_token": "<none>", "add_bos_token": true});
    let folder = with_config(&missing, |_| {});
    let error = try_open(&model(folder.path(), DType::F32)).err().expect("no such token").to_string();
    assert!(error.contains("`bos_token` names the token `<none>`"), "{error}");
}

#[test]
fn padding_and_truncation_of_the_file_are_not_the_models() {
    let plain = ids(&*whole("llama"), "a text");
    let folder = with_config(&json!({}), |tokenizer| {
        tokenizer["truncation"] = json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
        tokenizer["padding"] = json!({
            "strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"
        });
    });
    assert_eq!(ids(&*limited(folder.path(), 100), "a text"), plain);
}

#[test]
fn the_strictest_file_limits_the_tokens() {
    let folder = with_config(&json!({"model_max_length": 1e30}), |_| {});
    let limit = || try_open(&model(folder.path(), DType::F32)).expect("a model").card().max_tokens;
    let positions = limit();
    assert!(positions > 100);
    fs::write(folder.path().join("sentence_bert_config.json"), json!({"max_seq_length": 90}).to_string()).expect("write");
    assert_eq!(limit(), 90);
    fs::write(folder.path().join("tokenizer_config.json"), json!({"model_max_length": 80}).to_string()).expect("write");
    assert_eq!(limit(), 80);
}
