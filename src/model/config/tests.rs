//! Configurations of published models and what is wrong with others.

use serde_json::json;

use super::super::description::{Longer, Placement, Positions, Qkv, Scaling, Window};

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
    assert_eq!(yi.positions, Positions::Rotary { theta: 5_000_000.0, scaling: None, dims: None });
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
    assert_eq!(qwen2.window, None);
    json["use_sliding_window"] = json!(true);
    json["sliding_window"] = json!(1024);
    json["max_window_layers"] = json!(28);
    let window = read(json).expect("supported").window.expect("a window");
    assert_eq!((window.tokens, window.blocks), (1024, [vec![false; 28], vec![true; 4]].concat()));
}

#[test]
fn a_mistral_window_holds_all_blocks() {
    let mut json = yi();
    json["model_type"] = json!("mistral");
    let of = |json: &Value| read(json.clone()).expect("supported").window;
    let held = |tokens| Some(Window { tokens, blocks: vec![true; 32], theta: None });
    assert_eq!(of(&json), held(4096), "the class's own where the file does not say");
    json["sliding_window"] = json!(1024);
    assert_eq!(of(&json), held(1024));
    json["sliding_window"] = json!(null);
    assert_eq!(of(&json), None);
}

#[test]
fn positions_are_scaled_as_the_table_says() {
    let with = |rope: Value| {
        let mut json = yi();
        json["rope_scaling"] = rope;
        read(json)
    };
    let scaling = |rope: Value| match with(rope).expect("supported").positions {
        Positions::Rotary { theta, scaling, dims: None } => (theta, scaling),
        other => panic!("{other:?}"),
    };
    let theta = 5_000_000.0;
    assert_eq!(scaling(json!({"type": "linear", "factor": 2.0})), (theta, Some(Scaling::Linear { factor: 2.0 })));
    assert_eq!(scaling(json!({"type": "dynamic", "factor": 2.0})), (theta, None), "no row is longer than the model is for");
    assert_eq!(scaling(json!({"rope_type": "default", "rope_theta": 1e4})), (1e4, None));
    assert_eq!(scaling(json!({})), (theta, None));
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 2048});
    assert_eq!(scaling(llama3), (theta, Some(Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 2048.0 })));
    let (_, yarn) = scaling(json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}));
    let attention = 0.1 * 4_f64.ln() + 1.0;
    let wanted = Scaling::Yarn { factor: 4.0, fast: 32.0, slow: 1.0, original: 1024.0, attention, truncate: true };
    assert_eq!(yarn, Some(wanted));

    let long = |short: Value| {
        let long = vec![4.0; 64];
        let rope =
            json!({"type": "longrope", "short_factor": short, "long_factor": long, "original_max_position_embeddings": 1024});
        with(rope)
    };
    let long_rope = long(json!(vec![1.5; 64])).expect("supported");
    assert_eq!((long_rope.max_positions, long_rope.long_after()), (4096, Some(1024)));
    // The square root of 1 + ln(4096 / 1024) / ln(1024) = 1.2.
    let longer = Some(Longer { than: 1024, factors: vec![4.0; 64] });
    let wanted = Scaling::Each { factors: vec![1.5; 64], attention: 1.2_f64.sqrt(), longer };
    assert_eq!(long_rope.positions, Positions::Rotary { theta, scaling: Some(wanted), dims: None });
    let error = long(json!([1.0])).expect_err("one factor for 64 pairs").to_string();
    assert!(error.contains("`short_factor` is [1.0], expected a list of one positive number for each"), "{error}");
}

#[test]
fn scalings_that_cannot_be_read_are_refused() {
    for (rope, wanted) in [
        (json!({"factor": 2.0}), "is not supported yet; rotary positions can be scaled by linear, dynamic, yarn, llama3 and"),
        (json!({"type": "ntk-by-heart", "factor": 2.0}), "`rope_scaling` = {\"type\":\"ntk-by-heart\",\"factor\":2.0} is not"),
        (json!(2.0), "`rope_scaling` is 2.0, expected a table"),
        (json!({"type": "linear"}), "`rope_scaling.factor` is missing, expected a positive number"),
        (json!({"type": "linear", "factor": -1}), "`factor` is -1, expected a positive number"),
        (json!({"type": "yarn", "factor": 2.0, "truncate": 1}), "`truncate` is 1, expected true or false"),
        (
            json!({"type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0}),
            "`high_freq_factor` is 4.0, expected a number above `low_freq_factor`",
        ),
    ] {
        let mut json = yi();
        json["rope_scaling"] = rope;
        let error = read(json).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn gemmas_differ_as_published() {
    let mut json = yi();
    json["model_type"] = json!("gemma2");
    json["hidden_act"] = json!(null);
    json["head_dim"] = json!(null);
    json["query_pre_attn_scalar"] = json!(64);
    let gemma2 = read(json.clone()).expect("supported");
    assert_eq!((gemma2.attention.head_dim, gemma2.attention.scale, gemma2.attention.soft_cap), (256, Some(0.125), Some(50.0)));
    assert_eq!((gemma2.embedding_scale, gemma2.placement, gemma2.norm_from_one), (Some(64.0), Placement::Around, true));
    assert_eq!(gemma2.window.expect("a window").blocks[..3], [true, false, true]);

    json["model_type"] = json!("gemma3_text");
    json["rope_scaling"] = json!({"rope_type": "linear", "factor": 8.0});
    json["rope_local_base_freq"] = json!(1e4);
    let gemma3 = read(json.clone()).expect("supported");
    let wanted = Positions::Rotary { theta: 5_000_000.0, scaling: Some(Scaling::Linear { factor: 8.0 }), dims: None };
    assert_eq!(gemma3.positions, wanted, "windows have angles of their own");
    let window = gemma3.window.expect("a window");
    assert_eq!((window.theta, &window.blocks[4..7]), (Some(1e4), &[true, false, true][..]));
    assert!(gemma3.attention.head_norm && gemma3.attention.soft_cap.is_none());
    json["use_bidirectional_attention"] = json!(true);
    assert!(matches!(read(json), Err(ModelError::Unsupported { key, .. }) if key == "use_bidirectional_attention"));
}

#[test]
fn small_sizes_of_opt_have_their_norms_behind() {
    let json = json!({
        "model_type": "opt", "hidden_size": 1024, "word_embed_proj_dim": 512, "ffn_dim": 4096, "num_attention_heads": 16,
        "num_hidden_layers": 24, "vocab_size": 50272, "max_position_embeddings": 2048, "do_layer_norm_before": false
    });
    let opt = read(json).expect("supported");
    assert_eq!((opt.placement, opt.final_norm, opt.position_offset), (Placement::After, false, 2));
    assert_eq!((opt.width(0), opt.width(23), opt.width(24)), (1024, 1024, 512));
}

/// Sizes as published; parameters are those of the token table and the blocks, without norms and biases.
#[test]
fn every_size_of_opt_is_read() {
    for (hidden, layers, heads, millions) in [
        (768, 12, 12, 123),
        (2048, 24, 32, 1_310),
        (2560, 32, 32, 2_645),
        (4096, 32, 32, 6_648),
        (5120, 40, 40, 12_840),
        (7168, 48, 56, 29_955),
        (9216, 64, 72, 65_693),
    ] {
        let json = json!({
            "model_type": "opt", "hidden_size": hidden, "word_embed_proj_dim": hidden, "ffn_dim": 4 * hidden,
            "num_attention_heads": heads, "num_hidden_layers": layers, "vocab_size": 50272, "max_position_embeddings": 2048,
            "do_layer_norm_before": true, "activation_function": "relu"
        });
        let opt = read(json).expect("supported");
        assert_eq!((opt.placement, opt.token_width, opt.width(layers)), (Placement::Before, None, hidden), "{hidden}");
        assert_eq!(opt.parameters() / 1_000_000, millions, "{hidden}");
    }
}

#[test]
fn roberta_counts_positions_from_behind_padding() {
    let json = json!({
        "model_type": "xlm-roberta", "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
        "num_hidden_layers": 24, "vocab_size": 250_002, "max_position_embeddings": 8194, "type_vocab_size": 1,
        "pad_token_id": 1, "layer_norm_eps": 1e-5
    });
    let bge = read(json).expect("supported");
    assert_eq!((bge.max_positions, bge.position_offset, bge.architecture), (8192, 2, "xlm-roberta"));
    assert_eq!(bge.padding, Some(1));
}

#[test]
fn pythia_turns_a_quarter_of_each_head() {
    let json = json!({
        "model_type": "gpt_neox", "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
        "num_hidden_layers": 12, "vocab_size": 50304, "max_position_embeddings": 2048, "rotary_pct": 0.25,
        "rotary_emb_base": 10000, "use_parallel_residual": true
    });
    let pythia = read(json).expect("supported");
    assert_eq!(pythia.positions, Positions::Rotary { theta: 1e4, scaling: None, dims: Some(16) });
    assert_eq!(pythia.placement, Placement::Parallel);
    assert!(matches!(pythia.names.qkv, Qkv::ByHead(_)));
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
        (
            "model_type",
            json!("gpt9"),
            "model type `gpt9` is not supported; supported are bert, gemma, gemma2, gemma3_text, gpt2, gpt_neox",
        ),
    ] {
        let mut json = yi();
        json[key] = value;
        let error = read(json).expect_err(key).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
