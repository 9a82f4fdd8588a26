//! Commands that look and change nothing: prompts token by token, models under examination.

use crate::lab::{Lab, fixtures};

#[test]
fn prompts_are_shown_token_by_token() {
    let lab = Lab::new(6);
    let said = lab.expect(0, &["prompt", "show", "toy.toml", "--prompt", "eol", "--texts", "2"]);
    for model in ["llama", "floor"] {
        assert_eq!(said.out.matches(&format!("{model} / eol\n")).count(), 1, "{}", said.out);
    }
    assert_eq!(said.out.matches("\n  shared ").count(), 4, "two models, two texts each:\n{}", said.out);
    assert!(said.out.contains("|T|h|i|s| |s|e|n|t|e|n|c|e| |:| |\"|"), "characters for the floor:\n{}", said.out);
    assert!(!lab.path(".bench").join("embeddings").exists());
    let said = lab.expect(2, &["prompt", "show", "toy.toml", "--model", "lama"]);
    assert_eq!(said.err, "error: there is no model `lama` in toy.toml: it has llama, floor\n");
}

#[test]
fn a_doctor_finds_nothing_wrong() {
    let lab = Lab::new(3);
    let model = format!("path:{}", fixtures().join("qwen2").display());
    let said = lab.expect(0, &["model", "doctor", &model, "--dtype", "bf16"]);
    for line in ["alone           ", "other order     ", "bf16            differs from f32 by ", "noise floor     "] {
        assert!(said.out.contains(line), "{line} is missing:\n{}", said.out);
    }
    assert!(!said.out.contains("WRONG"), "{}", said.out);
    let said = lab.expect(0, &["model", "doctor", "toy.toml"]);
    assert_eq!(said.out.matches("model           ").count(), 2, "{}", said.out);
    let said = lab.expect(2, &["model", "doctor", "path:nowhere"]);
    assert!(said.err.starts_with("error: there is no model folder `nowhere`"), "{}", said.err);
}
