//! What the doctor finds: nothing wrong with the engine, and what is wrong with encoders that are made to be.

use std::ops::ControlFlow;

use embed_bench::doctor::{Diagnosis, examine};
use embed_bench::embed::{Batch, Card, Cost, EmbedError, Encoder, Prepared, Resolved, Row, Special};
use embed_bench::embeddings::Embeddings;
use embed_bench::prompt::{Template, Truncation};
use embed_bench::spec::{DType, Readout};

use crate::support::{fixture, open};

/// An encoder whose vectors are changed on their way out.
struct Faulty<F> {
    inner: Box<dyn Encoder>,
    fault: F,
}

impl<F: Fn(&mut Batch, usize) + Send + Sync> Encoder for Faulty<F> {
    fn card(&self) -> &Card {
        self.inner.card()
    }

    fn readout(&self, readout: &Readout) -> Result<Resolved, EmbedError> {
        self.inner.readout(readout)
    }

    fn prepare(&self, template: &Template, text: &str, truncate: Truncation) -> Result<Prepared, EmbedError> {
        self.inner.prepare(template, text, truncate)
    }

    fn encode(
        &self,
        rows: &[Row<'_>],
        readouts: &[Resolved],
        emit: &mut dyn FnMut(Batch) -> ControlFlow<()>,
    ) -> Result<(), EmbedError> {
        self.inner.encode(rows, readouts, &mut |mut batch| {
            (self.fault)(&mut batch, rows.len());
            emit(batch)
        })
    }

    fn piece(&self, id: u32) -> String {
        self.inner.piece(id)
    }

    fn special(&self) -> Option<Special> {
        self.inner.special()
    }

    fn positions(&self, rows: &[Row<'_>]) -> u64 {
        self.inner.positions(rows)
    }

    fn cost(&self, tokens: u64) -> Cost {
        self.inner.cost(tokens)
    }
}

fn examined(name: &str, fault: impl Fn(&mut Batch, usize) + Send + Sync) -> Diagnosis {
    let encoder = Faulty { inner: open(&fixture(name), DType::F32), fault };
    examine(&encoder, None, DType::F32).expect("a model that can be examined")
}

/// What was said of one thing, and whether it is well.
fn of<'a>(diagnosis: &'a Diagnosis, what: &str) -> (&'a str, bool) {
    let found = diagnosis.findings.iter().find(|finding| finding.what == what).expect(what);
    (&found.told, found.well)
}

#[test]
fn nothing_is_wrong_with_the_engine() {
    for name in ["llama", "gemma3_text", "opt_post", "xlm_roberta"] {
        let found = examined(name, |_, _| ());
        assert!(found.findings.iter().all(|finding| finding.well), "{name}: {found:?}");
        if cfg!(not(any(feature = "mkl", feature = "accelerate"))) {
            assert_eq!((found.noise, found.cosine), (0.0, 0.0), "{name}");
            assert_eq!(of(&found, "alone").0, "the same bits as all together");
        }
    }
    let told = |name: &str| of(&examined(name, |_, _| ()), "pool = \"last\"").0.to_owned();
    assert_eq!(told("llama"), "the state of the last token, which has seen all others");
    let around = |name: &str| of(&examined(name, |_, _| ()), "special tokens").0.to_owned();
    assert_eq!(around("llama"), "<s> before every text");
    assert_eq!(around("bert"), "[CLS] before, [SEP] behind every text");
    assert_eq!(around("qwen2"), "none around a text");
    assert_eq!(told("bert"), "this model reads both ways, so that its last token is like any other");
}

#[test]
fn precision_is_measured_against_f32() {
    let (halves, exact) = (open(&fixture("llama"), DType::Bf16), open(&fixture("llama"), DType::F32));
    let found = examine(&*halves, Some(&*exact), DType::Bf16).expect("a model");
    let (told, well) = of(&found, "bf16");
    assert!(well && told.starts_with("differs from f32 by ") && told.contains("; cosines of texts move by up to "), "{told}");
    // A f16 whose weights are those of another model is no f16 of this one.
    let other = open(&fixture("llama3"), DType::F32);
    let wrong = examine(&*open(&fixture("mistral"), DType::F16), Some(&*other), DType::F16).expect("a model");
    assert!(!of(&wrong, "f16").1);
}

#[test]
fn vectors_that_depend_on_their_company_are_found() {
    let company = examined("llama", |batch, rows| {
        let scale = if rows > 1 { 1.001_f32 } else { 1.0 };
        for matrix in &mut batch.embeddings {
            let first: Vec<f32> =
                matrix.values().iter().enumerate().map(|(i, x)| if i % 2 == 0 { x * scale } else { *x }).collect();
            *matrix = Embeddings::from_values(matrix.dim(), first);
        }
    });
    assert!(of(&company, "the same again").1 && of(&company, "other order").1);
    let (told, well) = of(&company, "alone");
    assert!(!well && told.starts_with("differs from all together by "), "{told}");
    assert!((1e-4..1e-2).contains(&company.noise) && company.cosine > 0.0, "{company:?}");
    assert!(company.margin >= 2.0 * company.cosine, "{company:?}");
}

#[test]
fn a_last_token_that_is_another_one_is_found() {
    // The first of three readouts is the last token's state.
    let swapped = examined("llama", |batch, _| {
        if let [last, mean, _] = &mut batch.embeddings[..] {
            *last = mean.clone();
        }
    });
    assert_eq!(of(&swapped, "pool = \"last\""), ("not the state of the last token", false));
}

#[test]
fn a_beginning_that_stands_twice_is_found() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for file in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        std::fs::copy(fixture("llama").join(file), folder.path().join(file)).expect("copy");
    }
    let tokenizer = std::fs::read(fixture("llama").join("tokenizer.json")).expect("tokenizer.json");
    let mut tokenizer: serde_json::Value = serde_json::from_slice(&tokenizer).expect("JSON");
    let around = tokenizer["post_processor"]["single"].as_array_mut().expect("a template");
    around.insert(0, around[0].clone());
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).expect("write");
    let found = examine(&*open(folder.path(), DType::F32), None, DType::F32).expect("a model");
    assert_eq!(of(&found, "special tokens"), ("<s> stands twice before every text: its files add it twice", false));
}
