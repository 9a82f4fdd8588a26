//! Small model folders with random weights.

use std::collections::HashMap;
use std::fs;

use candle_core::{Device as Place, Tensor, safetensors};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tempfile::TempDir;

use crate::support::fixture;

pub const VOCABULARY: u32 = 97;

/// A model folder with random weights, `heads` heads of `head_dim` over `kv_heads`, and three layers.
pub fn random_model(kind: &str, seed: u64, heads: usize, kv_heads: usize, head_dim: usize) -> TempDir {
    let (hidden, width) = (24, 40);
    let causal = kind != "bert";
    let config = json!({
        "model_type": kind, "hidden_size": if causal { hidden } else { heads * head_dim }, "intermediate_size": width,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim, "num_hidden_layers": 3,
        "vocab_size": VOCABULARY, "max_position_embeddings": 1024, "rope_theta": 1e4, "type_vocab_size": 2,
    });
    let hidden = config["hidden_size"].as_u64().and_then(|hidden| usize::try_from(hidden).ok()).expect("a size");
    let mut random = Random { generator: ChaCha8Rng::seed_from_u64(seed), tensors: HashMap::new() };
    if causal {
        random.add("model.embed_tokens.weight", &[97, hidden]);
        random.add("model.norm.weight", &[hidden]);
    } else {
        random.add("embeddings.word_embeddings.weight", &[97, hidden]);
        random.add("embeddings.position_embeddings.weight", &[1024, hidden]);
        random.add("embeddings.token_type_embeddings.weight", &[2, hidden]);
        random.add_affine("embeddings.LayerNorm", &[hidden]);
    }
    for layer in 0..3 {
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        if causal {
            let block = |name: &str| format!("model.layers.{layer}.{name}");
            for (name, outputs) in [("q", queries), ("k", keys), ("v", keys)] {
                let name = block(&format!("self_attn.{name}_proj"));
                random.add(&format!("{name}.weight"), &[outputs, hidden]);
                if kind == "qwen2" {
                    random.add(&format!("{name}.bias"), &[outputs]);
                }
            }
            random.add(&block("self_attn.o_proj.weight"), &[hidden, queries]);
            random.add(&block("mlp.gate_proj.weight"), &[width, hidden]);
            random.add(&block("mlp.up_proj.weight"), &[width, hidden]);
            random.add(&block("mlp.down_proj.weight"), &[hidden, width]);
            random.add(&block("input_layernorm.weight"), &[hidden]);
            random.add(&block("post_attention_layernorm.weight"), &[hidden]);
        } else {
            let block = |name: &str| format!("encoder.layer.{layer}.{name}");
            for name in ["self.query", "self.key", "self.value", "output.dense"] {
                random.add_affine(&block(&format!("attention.{name}")), &[hidden, hidden]);
            }
            random.add_affine(&block("attention.output.LayerNorm"), &[hidden]);
            random.add_affine(&block("intermediate.dense"), &[width, hidden]);
            random.add_affine(&block("output.dense"), &[hidden, width]);
            random.add_affine(&block("output.LayerNorm"), &[hidden]);
        }
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::write(folder.path().join("config.json"), config.to_string()).expect("config.json");
    fs::copy(fixture("llama").join("tokenizer.json"), folder.path().join("tokenizer.json")).expect("tokenizer.json");
    // As it is written: BERT's own class would be made of words.
    let class = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
    fs::write(folder.path().join("tokenizer_config.json"), class.to_string()).expect("tokenizer_config.json");
    safetensors::save(&random.tensors, folder.path().join("model.safetensors")).expect("model.safetensors");
    folder
}

/// Seeded random tensors by name.
pub struct Random {
    generator: ChaCha8Rng,
    tensors: HashMap<String, Tensor>,
}

impl Random {
    fn add(&mut self, name: &str, shape: &[usize]) {
        let norm = shape.len() == 1 && !name.ends_with("bias");
        let count = shape.iter().product();
        let mut value = || self.generator.random_range(-0.5_f32..0.5) + if norm { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..count).map(|_| value()).collect();
        let tensor = Tensor::from_vec(values, shape, &Place::Cpu).expect("tensor");
        self.tensors.insert(name.to_owned(), tensor);
    }

    fn add_affine(&mut self, name: &str, shape: &[usize]) {
        self.add(&format!("{name}.weight"), shape);
        self.add(&format!("{name}.bias"), &shape[..1]);
    }
}

/// The shapes of attention that code paths depend on: grouped, multi-query and plain heads, one head.
pub fn random_models(seed: u64) -> Vec<TempDir> {
    vec![
        random_model("llama", seed, 4, 2, 6),
        random_model("llama", seed, 3, 3, 8),
        random_model("qwen2", seed, 4, 1, 4),
        random_model("bert", seed, 2, 2, 12),
        random_model("bert", seed, 1, 1, 24),
    ]
}
