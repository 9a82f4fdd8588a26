//! `config.json` -> [`Description`]: one small table per architecture.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::description::{Activation, Attention, Description, FeedForward, Names, Norm, Placement, Positions};
use super::error::{ModelError, excerpt};

type Architecture = (&'static str, fn(&Config) -> Result<Description, ModelError>);

/// Every architecture by its `model_type`.
const ARCHITECTURES: &[Architecture] = &[("bert", bert), ("llama", llama), ("mistral", mistral), ("qwen2", qwen2)];

/// Keys of any architecture that ask for what none here does, and why they are refused.
const REFUSED: &[(&str, &str)] = &[
    ("quantization_config", "weights must not be quantized; give the model they were made from"),
    ("auto_map", "the model brings code of its own, which is never run"),
];

/// Reads a model folder's `config.json`.
///
/// # Errors
/// A file that cannot be read, a value that is missing or out of range, and what no architecture here can express.
pub fn describe(path: &Path, json: Value) -> Result<Description, ModelError> {
    let config = Config { path: path.to_owned(), json };
    let model_type = config.json.get("model_type").and_then(Value::as_str).unwrap_or("(none)");
    let Some((_, read)) = ARCHITECTURES.iter().find(|(name, _)| *name == model_type) else {
        let supported: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
        return Err(ModelError::UnknownArchitecture {
            path: config.path.clone(),
            found: model_type.to_owned(),
            supported: supported.join(", "),
        });
    };
    for (key, reason) in REFUSED {
        if config.at(key).is_some_and(|value| value.as_object().is_none_or(|table| !table.is_empty())) {
            return Err(config.unsupported(key, reason));
        }
    }
    read(&config)
}

const LLAMA_NAMES: Names = Names {
    prefixes: &["model.", ""],
    tokens: "embed_tokens.weight",
    positions: "",
    token_types: "",
    embedding_norm: "",
    block: "layers.",
    attention_norm: "input_layernorm",
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    output: "self_attn.o_proj",
    feed_forward_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    final_norm: "norm",
};

const BERT_NAMES: Names = Names {
    prefixes: &["", "bert."],
    tokens: "embeddings.word_embeddings.weight",
    positions: "embeddings.position_embeddings.weight",
    token_types: "embeddings.token_type_embeddings.weight",
    embedding_norm: "embeddings.LayerNorm",
    block: "encoder.layer.",
    attention_norm: "attention.output.LayerNorm",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    output: "attention.output.dense",
    feed_forward_norm: "output.LayerNorm",
    gate: "",
    up: "intermediate.dense",
    down: "output.dense",
    final_norm: "",
};

/// Llama, and all that is saved as it, such as Yi.
fn llama(config: &Config) -> Result<Description, ModelError> {
    config.decoder("llama", config.flag("attention_bias")?)
}

/// Llama with biases on queries, keys and values.
fn qwen2(config: &Config) -> Result<Description, ModelError> {
    if config.flag("use_sliding_window")? {
        return Err(config.unsupported("use_sliding_window", "every layer must see the whole text"));
    }
    let mut description = config.decoder("qwen2", true)?;
    description.attention.output_bias = false;
    Ok(description)
}

/// Llama whose rows must not be longer than its attention window.
fn mistral(config: &Config) -> Result<Description, ModelError> {
    let mut description = config.decoder("mistral", false)?;
    if let Some(window) = config.optional_size("sliding_window")? {
        description.max_positions = description.max_positions.min(window);
    }
    Ok(description)
}

fn bert(config: &Config) -> Result<Description, ModelError> {
    if config.text("position_embedding_type")?.is_some_and(|kind| kind != "absolute") {
        return Err(config.unsupported("position_embedding_type", "positions must be absolute"));
    }
    if config.flag("is_decoder")? {
        return Err(config.unsupported("is_decoder", "BERT is read as an encoder"));
    }
    let hidden = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let head_dim = config.divide("hidden_size", hidden, "a multiple of `num_attention_heads`", heads)?;
    Ok(Description {
        architecture: "bert",
        hidden,
        layers: config.size("num_hidden_layers")?,
        vocabulary: config.size("vocab_size")?,
        max_positions: config.size("max_position_embeddings")?,
        positions: Positions::Learned,
        token_types: config.optional_size("type_vocab_size")?.unwrap_or(2),
        embedding_norm: true,
        norm: Norm::Layer,
        norm_eps: config.number("layer_norm_eps")?.unwrap_or(1e-12),
        placement: Placement::After,
        final_norm: false,
        attention: Attention { heads, kv_heads: heads, head_dim, qkv_bias: true, output_bias: true, causal: false },
        feed_forward: FeedForward {
            width: config.size("intermediate_size")?,
            gated: false,
            activation: config.activation("hidden_act", Activation::Gelu)?,
            bias: true,
        },
        names: &BERT_NAMES,
    })
}

/// The parsed file, with typed access to its keys.
struct Config {
    path: PathBuf,
    json: Value,
}

/// Larger sizes are mistakes; up to it, products of two sizes stay far from overflow.
const LARGEST_SIZE: u64 = 1 << 28;

impl Config {
    /// What Llama, Qwen2 and Mistral share.
    fn decoder(&self, architecture: &'static str, attention_bias: bool) -> Result<Description, ModelError> {
        if self.at("is_causal").is_some() && !self.flag("is_causal")? {
            return Err(self.unsupported("is_causal", "bidirectional decoders cannot be read"));
        }
        let hidden = self.size("hidden_size")?;
        let heads = self.size("num_attention_heads")?;
        let kv_heads = self.optional_size("num_key_value_heads")?.unwrap_or(heads);
        self.divide("num_attention_heads", heads, "a multiple of `num_key_value_heads`", kv_heads)?;
        let head_dim = match self.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None => self.divide("hidden_size", hidden, "a multiple of `num_attention_heads`", heads)?,
        };
        self.divide("head_dim", head_dim, "an even number", 2)?;
        Ok(Description {
            architecture,
            hidden,
            layers: self.size("num_hidden_layers")?,
            vocabulary: self.size("vocab_size")?,
            max_positions: self.size("max_position_embeddings")?,
            positions: Positions::Rotary { theta: self.rotary_theta()? },
            token_types: 0,
            embedding_norm: false,
            norm: Norm::Rms,
            norm_eps: self.number("rms_norm_eps")?.unwrap_or(1e-6),
            placement: Placement::Before,
            final_norm: true,
            attention: Attention {
                heads,
                kv_heads,
                head_dim,
                qkv_bias: attention_bias,
                output_bias: attention_bias,
                causal: true,
            },
            feed_forward: FeedForward {
                width: self.size("intermediate_size")?,
                gated: true,
                activation: self.activation("hidden_act", Activation::Silu)?,
                bias: self.flag("mlp_bias")?,
            },
            names: &LLAMA_NAMES,
        })
    }

    /// The base of the rotary angles: `rope_theta` of `rope_parameters`, or at the top level in older files.
    fn rotary_theta(&self) -> Result<f64, ModelError> {
        for key in ["rope_parameters", "rope_scaling"] {
            if self.at(key).is_some_and(|rope| !unscaled(rope)) {
                return Err(self.unsupported(key, "positions must not be scaled"));
            }
        }
        let partial = self.at("partial_rotary_factor").or_else(|| self.in_rope("partial_rotary_factor"));
        if partial.is_some_and(|factor| factor.as_f64() != Some(1.0)) {
            return Err(self.unsupported("partial_rotary_factor", "all of a head must be rotated"));
        }
        match self.in_rope("rope_theta").or_else(|| self.at("rope_theta")) {
            None => Ok(10_000.0),
            Some(theta) => theta
                .as_f64()
                .filter(|theta| theta.is_finite() && *theta > 0.0)
                .ok_or_else(|| self.wrong("rope_theta", Some(theta), "a positive number")),
        }
    }

    fn activation(&self, key: &str, default: Activation) -> Result<Activation, ModelError> {
        match self.text(key)? {
            None => Ok(default),
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu") => Ok(Activation::Gelu),
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Ok(Activation::GeluTanh),
            Some("relu") => Ok(Activation::Relu),
            Some(_) => Err(self.unsupported(key, "supported are silu, gelu, gelu_new, gelu_pytorch_tanh and relu")),
        }
    }

    fn at(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn in_rope(&self, key: &str) -> Option<&Value> {
        self.at("rope_parameters")?.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        self.optional_size(key)?.ok_or_else(|| self.wrong(key, None, "a whole number of at least 1"))
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.at(key) else { return Ok(None) };
        value
            .as_u64()
            .filter(|size| (1..=LARGEST_SIZE).contains(size))
            .and_then(|size| usize::try_from(size).ok())
            .map(Some)
            .ok_or_else(|| self.wrong(key, Some(value), "a whole number from 1 to 268435456"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.at(key) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.map(Some).ok_or_else(|| self.wrong(key, Some(value), "a number of at least 0"))
    }

    fn flag(&self, key: &str) -> Result<bool, ModelError> {
        let Some(value) = self.at(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(key, Some(value), "true or false"))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        let Some(value) = self.at(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(key, Some(value), "a text"))
    }

    /// `whole / part`, which must leave no rest.
    fn divide(&self, key: &str, whole: usize, wanted: &'static str, part: usize) -> Result<usize, ModelError> {
        if whole.is_multiple_of(part) {
            return Ok(whole / part);
        }
        Err(self.wrong(key, Some(&Value::from(whole)), wanted))
    }

    fn wrong(&self, key: &str, found: Option<&Value>, wanted: &'static str) -> ModelError {
        let found = found.map_or_else(|| "missing".to_owned(), |value| excerpt(&value.to_string()));
        ModelError::Config { path: self.path.clone(), key: key.to_owned(), found, wanted }
    }

    fn unsupported(&self, key: &str, reason: &'static str) -> ModelError {
        let found = self.at(key).or_else(|| self.in_rope(key)).map_or_else(String::new, |value| excerpt(&value.to_string()));
        ModelError::Unsupported { path: self.path.clone(), key: key.to_owned(), found, reason }
    }
}

/// Whether a table about rotary positions leaves them as they are. One that names no kind may hold nothing but their base.
fn unscaled(rope: &Value) -> bool {
    let Some(table) = rope.as_object() else { return false };
    match table.get("rope_type").or_else(|| table.get("type")) {
        Some(kind) => kind == "default",
        None => table.keys().all(|key| key == "rope_theta" || key == "partial_rotary_factor"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Value) -> Result<Description, ModelError> {
        describe(Path::new("config.json"), json)
    }

    fn yi() -> Value {
        json!({
            "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
            "num_key_value_heads": 4, "num_hidden_layers": 32, "vocab_size": 64000, "rope_theta": 5_000_000.0,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 4096, "hidden_act": "silu", "rope_scaling": null
        })
    }

    #[test]
    fn yi_is_a_llama() {
        let yi = read(yi()).expect("supported");
        assert_eq!(yi.positions, Positions::Rotary { theta: 5_000_000.0 });
        assert_eq!((yi.attention.head_dim, yi.attention.kv_heads), (128, 4));
        assert!(yi.attention.causal && !yi.attention.qkv_bias && !yi.feed_forward.bias);
        // Yi-6B without its output projection: 64000 * 4096 + 32 * (2 * 4096 * (4096 + 512) + 3 * 4096 * 11008).
        assert_eq!(yi.parameters(), 5_798_625_280);
    }

    #[test]
    fn qwen2_has_biases_on_three_projections() {
        let mut json = yi();
        json["model_type"] = json!("qwen2");
        let qwen2 = read(json.clone()).expect("supported");
        assert!(qwen2.attention.qkv_bias && !qwen2.attention.output_bias);
        json["use_sliding_window"] = json!(true);
        assert!(matches!(read(json), Err(ModelError::Unsupported { key, .. }) if key == "use_sliding_window"));
    }

    #[test]
    fn a_mistral_window_limits_the_rows() {
        let mut json = yi();
        json["model_type"] = json!("mistral");
        json["sliding_window"] = json!(1024);
        assert_eq!(read(json).expect("supported").max_positions, 1024);
    }

    #[test]
    fn scaled_positions_are_refused() {
        let with = |rope: Value| {
            let mut json = yi();
            json["rope_scaling"] = rope;
            read(json)
        };
        let error = with(json!({"type": "linear", "factor": 2.0})).expect_err("scaled").to_string();
        assert_eq!(
            error,
            "config.json: `rope_scaling` = {\"type\":\"linear\",\"factor\":2.0} is not supported yet; positions must not be scaled"
        );
        assert!(with(json!({"factor": 2.0})).is_err());
        assert!(with(json!(2.0)).is_err());
        assert!(with(json!({})).is_ok());
        assert!(with(json!({"rope_type": "default", "rope_theta": 1e4})).is_ok());
    }

    #[test]
    fn what_would_change_vectors_unseen_is_refused() {
        for (key, value) in [
            ("quantization_config", json!({"quant_method": "fp8"})),
            ("auto_map", json!({"AutoModel": "modeling.Model"})),
            ("is_causal", json!(false)),
        ] {
            let mut json = yi();
            json[key] = value;
            assert!(matches!(read(json), Err(ModelError::Unsupported { key: found, .. }) if found == key), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value, wanted) in [
            ("hidden_size", json!(4097), "`hidden_size` is 4097, expected a multiple of `num_attention_heads`"),
            ("hidden_size", json!(null), "`hidden_size` is missing, expected a whole number of at least 1"),
            ("vocab_size", json!(-1), "`vocab_size` is -1, expected a whole number from 1 to 268435456"),
            ("num_key_value_heads", json!(5), "`num_attention_heads` is 32, expected a multiple of `num_key_value_heads`"),
            ("rope_theta", json!("x"), "`rope_theta` is \"x\", expected a positive number"),
            ("hidden_act", json!("mish"), "`hidden_act` = \"mish\" is not supported yet"),
            ("model_type", json!("gpt9"), "model type `gpt9` is not supported; supported are bert, llama, mistral, qwen2"),
        ] {
            let mut json = yi();
            json[key] = value;
            let error = read(json).expect_err(key).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
