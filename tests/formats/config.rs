//! What a `config.json` means, for each architecture and in each spelling; and which cannot be.

use inkstone::Result;
use inkstone::config::language::{AttentionConfig, LanguageConfig, MixerConfig, NormConfig, Rope, RopeScaling};
use serde_json::{Value, json};

/// Configurations that are accepted, for the tests that damage them.
pub const GOOD: [&str; 6] = [
    r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":96,
        "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":40,"rms_norm_eps":1e-05,
        "max_position_embeddings":128,"rope_theta":10000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,
        "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":32},"hidden_act":"silu"}"#,
    r#"{"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","hidden_size":64,"intermediate_size":96,
        "num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":40,"sliding_window":16,
        "use_sliding_window":true,"max_window_layers":1,"layer_types":["full_attention","sliding_attention",
        "sliding_attention"],"rope_parameters":{"rope_type":"yarn","rope_theta":1e6,"factor":4.0,
        "original_max_position_embeddings":32,"mscale":0.7,"mscale_all_dim":1.0}}"#,
    r#"{"model_type":"smollm3","hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,
        "num_attention_heads":4,"num_key_value_heads":2,"vocab_size":40,"no_rope_layers":[1,1,0,1],
        "attention_bias":true,"mlp_bias":true,"tie_word_embeddings":true,"rope_parameters":{"full_attention":
        {"rope_type":"linear","factor":2.0,"rope_theta":500.0}}}"#,
    r#"{"model_type":"gemma3_text","hidden_size":64,"intermediate_size":96,"num_hidden_layers":3,"head_dim":16,
        "num_attention_heads":4,"num_key_value_heads":2,"vocab_size":40,"query_pre_attn_scalar":24,"sliding_window":8,
        "layer_types":["full_attention","sliding_attention","full_attention"],"rope_parameters":{"full_attention":
        {"rope_type":"linear","factor":2.0,"rope_theta":500.0},"sliding_attention":{"rope_theta":100.0}}}"#,
    r#"{"model_type":"lfm2","hidden_size":64,"block_ff_dim":96,"num_hidden_layers":3,"num_attention_heads":4,
        "num_key_value_heads":2,"vocab_size":40,"conv_L_cache":3,"block_multiple_of":16,"conv_bias":false,
        "full_attn_idxs":[1],"tie_embedding":true,"norm_eps":1e-5,"rope_theta":1000000.0}"#,
    r#"{"model_type":"phi3","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
        "vocab_size":40,"max_position_embeddings":128,"original_max_position_embeddings":32,"partial_rotary_factor":0.5,
        "rope_scaling":{"type":"su","short_factor":[1.0,1.5,2.0,2.5],"long_factor":[1.0,2.0,4.0,8.0]}}"#,
];

/// A small configuration of `model_type` with `more` over it.
pub fn small(model_type: &str, more: Value) -> Value {
    let mut config = json!({
        "model_type": model_type, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

pub fn read(config: &Value) -> Result<LanguageConfig> {
    LanguageConfig::from_json(config.to_string().as_bytes(), "config.json")
}

pub fn good(model_type: &str, more: Value) -> LanguageConfig {
    read(&small(model_type, more)).unwrap()
}

pub fn refused(config: &Value, code: &str, says: &str) {
    let error = read(config).expect_err(says);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error} does not say {says:?}");
}

/// The attention of layer `i`.
pub fn attention(c: &LanguageConfig, i: usize) -> &AttentionConfig {
    match &c.layers[i].mixer {
        MixerConfig::Attention(a) => a,
        other => panic!("layer {i} is {other:?}"),
    }
}

/// What layer 0 rotates by.
pub fn rope(c: &LanguageConfig) -> &Rope {
    &c.ropes[attention(c, 0).rope.unwrap()]
}

/// Per layer its window; 0 for none.
pub fn each_window(c: &LanguageConfig) -> Vec<usize> {
    (0..c.layers.len()).map(|i| attention(c, i).window.unwrap_or(0)).collect()
}

/// Per layer whether it is rotated.
pub fn each_rotated(c: &LanguageConfig) -> Vec<bool> {
    (0..c.layers.len()).map(|i| attention(c, i).rope.is_some()).collect()
}

/// Layers, heads, key-value heads and the size of a head.
pub fn sizes(c: &LanguageConfig) -> (usize, usize, usize, usize) {
    let a = attention(c, 0);
    assert_eq!(a.key_dim, a.value_dim);
    (c.layers.len(), a.heads, a.kv_heads, a.key_dim)
}

/// Whether query, key and value have biases, the attention's output, the feed-forward network; and whether queries and
/// keys are normed.
pub fn flags(c: &LanguageConfig) -> (bool, bool, bool, bool) {
    let a = attention(c, 0);
    (a.qkv_bias, a.output_bias, c.layers[0].ffn.bias, a.qk_norm.is_some())
}

#[test]
fn smollm2_as_published() {
    let text = r#"{"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":1,
        "eos_token_id":2,"hidden_act":"silu","hidden_size":576,"initializer_range":0.041666666666666664,
        "intermediate_size":1536,"is_llama_config":true,"max_position_embeddings":8192,"mlp_bias":false,
        "model_type":"llama","num_attention_heads":9,"num_hidden_layers":30,"num_key_value_heads":3,"pad_token_id":2,
        "pretraining_tp":1,"rms_norm_eps":1e-05,"rope_interleaved":false,"rope_scaling":null,"rope_theta":100000,
        "tie_word_embeddings":true,"torch_dtype":"bfloat16","transformers_version":"4.42.3","use_cache":true,
        "vocab_size":49152}"#;
    let c = LanguageConfig::from_json(text.as_bytes(), "config.json").unwrap();
    assert_eq!((c.architecture.as_str(), c.name.as_str()), ("llama", "llama"));
    assert_eq!((c.dim, sizes(&c)), (576, (30, 9, 3, 64)));
    assert_eq!((c.layers[0].ffn.dim, c.vocab, c.context_length), (1536, 49152, 8192));
    assert_eq!(c.output_norm, Some(NormConfig::rms(1e-5)));
    assert_eq!((rope(&c).base, rope(&c).dims, rope(&c).interleaved), (100_000.0, 64, false));
    assert_eq!(rope(&c).scaling, RopeScaling::None);
    assert_eq!((c.tied, flags(&c)), (Some(true), (false, false, false, false)));
    assert_eq!((each_window(&c), each_rotated(&c)), (vec![0; 30], vec![true; 30]));
}

#[test]
fn what_is_left_out() {
    let none = json!({});
    let c = good("llama", none.clone());
    assert_eq!((c.tied, rope(&c).base, rope(&c).dims), (None, 10_000.0, 16));
    assert_eq!(sizes(&good("qwen3", none.clone())).3, 128);
    assert_eq!(sizes(&good("qwen3", json!({"head_dim": 24}))).3, 24);
    assert_eq!(sizes(&good("qwen3", json!({"head_dim": null}))).3, 16);
    assert_eq!(rope(&good("smollm3", none.clone())).base, 2_000_000.0);
    assert_eq!(sizes(&good("llama", json!({"num_key_value_heads": null}))).2, 4);
    let mut config = small("llama", none.clone());
    for key in ["num_key_value_heads", "max_position_embeddings", "rms_norm_eps"] {
        config.as_object_mut().unwrap().remove(key);
    }
    let c = read(&config).unwrap();
    assert_eq!((sizes(&c).2, c.context_length, c.output_norm), (4, 2048, Some(NormConfig::rms(1e-6))));
    for key in ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"] {
        let mut config = small("llama", none.clone());
        config.as_object_mut().unwrap().remove(key);
        refused(&config, "Format", key);
    }
}

#[test]
fn names_of_architectures() {
    for (model_type, class) in [
        ("llama", "LlamaForCausalLM"),
        ("mistral", "MistralForCausalLM"),
        ("qwen2", "Qwen2ForCausalLM"),
        ("qwen3", "Qwen3ForCausalLM"),
        ("smollm3", "SmolLM3ForCausalLM"),
    ] {
        assert_eq!(good(model_type, json!({"architectures": [class]})).architecture, model_type);
        let by_class = small("", json!({"model_type": null, "architectures": [class], "_name_or_path": "a/b"}));
        let c = read(&by_class).unwrap();
        assert_eq!((c.architecture.as_str(), c.name.as_str()), (model_type, "a/b"));
    }
    refused(&json!({"model_type": "gemma4", "sliding_window": "odd"}), "Unsupported", "`gemma4` is not supported");
    refused(&json!({"model_type": "gptj", "n_embd": 768}), "Unsupported", "llama, mistral, qwen2, qwen3, smollm3");
    refused(&small("qwen3_moe", json!({})), "Unsupported", "qwen3_moe");
    let classifier = small("llama", json!({"architectures": ["LlamaForSequenceClassification"]}));
    refused(&classifier, "Unsupported", "LlamaForSequenceClassification");
    refused(&json!({"weights": 1}), "Format", "not a model's config.json");
    refused(&json!([1, 2]), "Format", "JSON");
    let page = LanguageConfig::from_json(b"<!doctype html>", "config.json").unwrap_err();
    assert!(page.to_string().contains("web page"), "{page}");
    let marked = [b"\xef\xbb\xbf", GOOD[0].as_bytes()].concat();
    assert!(LanguageConfig::from_json(&marked, "config.json").is_ok());
}

#[test]
fn what_other_code_would_be_needed_for() {
    refused(&small("llama", json!({"hidden_act": "gelu"})), "Unsupported", "activation `gelu`");
    let gptq = json!({"quantization_config": {"quant_method": "gptq", "bits": 4}});
    refused(&small("qwen2", gptq), "Unsupported", "quantized with `gptq`");
    for kind in ["longrope", "su", "mrope", "proportional"] {
        refused(&small("llama", json!({"rope_scaling": {"type": kind, "factor": 2.0}})), "Unsupported", kind);
    }
    let per_type = json!({"rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}});
    refused(&small("qwen3", per_type), "Unsupported", "different rope settings");
}

#[test]
fn rope_in_both_spellings() {
    let earlier = good("llama", json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2}}));
    let later = good("llama", json!({"rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 2}}));
    assert_eq!(earlier, later);
    assert_eq!(rope(&later).scaling, RopeScaling::Linear { factor: 2.0 });
    // The object's own base counts before the one beside it; an empty `rope_scaling` does not hide the later spelling.
    let both = json!({"rope_theta": 1e4, "rope_scaling": {}, "rope_parameters": {"rope_theta": 5e5}});
    assert_eq!(rope(&good("llama", both)).base, 5e5);
    let nested = json!({"rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 5e5, "factor": 2.0},
        "sliding_attention": {"rope_type": "linear", "rope_theta": 5e5, "factor": 2.0}}});
    assert_eq!(good("llama", nested), later);
    let partial = good("llama", json!({"partial_rotary_factor": 0.5}));
    assert_eq!((rope(&partial).dims, sizes(&partial).3), (8, 16));
    // Where the length of the first training comes from.
    let yarn = |more: Value| {
        let mut rope = json!({"rope_type": "yarn", "factor": 4.0});
        rope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let c = good("qwen2", json!({"rope_scaling": rope}));
        match c.ropes[0].scaling {
            RopeScaling::Yarn { original_context, .. } => (original_context, c.context_length),
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(yarn(json!({})), (128.0, 128));
    assert_eq!(yarn(json!({"original_max_position_embeddings": 16})), (16.0, 128));
    // Settings added to a configuration whose own length was left as it was.
    assert_eq!(yarn(json!({"original_max_position_embeddings": 128})), (128.0, 512));
}

#[test]
fn rope_that_cannot_be() {
    let scaling = |s: Value| small("llama", json!({"rope_scaling": s}));
    refused(&scaling(json!({"type": "linear"})), "Format", "`factor`");
    refused(&scaling(json!({"type": "linear", "factor": 0})), "Format", "rope factor");
    refused(&scaling(json!({"type": "linear", "factor": -2})), "Format", "rope factor");
    refused(&scaling(json!({"type": "linear", "factor": "2"})), "Format", "JSON");
    refused(&scaling(json!({"rope_type": "llama3", "factor": 8.0})), "Format", "low_freq_factor");
    let llama3 = |low: f64, high: f64| {
        scaling(json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": low, "high_freq_factor": high}))
    };
    assert!(read(&llama3(1.0, 4.0)).is_ok());
    refused(&llama3(4.0, 4.0), "Format", "high_freq_factor");
    refused(&llama3(0.0, 4.0), "Format", "low_freq_factor");
    let yarn = |name: &str, value: Value| {
        let mut rope = json!({"rope_type": "yarn", "factor": 2.0});
        rope[name] = value;
        scaling(rope)
    };
    refused(&yarn("original_max_position_embeddings", json!(0)), "Format", "original context");
    refused(&yarn("beta_fast", json!(-1.0)), "Format", "beta");
    refused(&yarn("mscale", json!([])), "Format", "JSON");
    refused(&small("llama", json!({"rope_theta": 0})), "Format", "rope base");
    refused(&small("llama", json!({"rope_theta": -1e4})), "Format", "rope base");
    refused(&small("llama", json!({"head_dim": 15})), "Format", "15 of 15 elements");
    refused(&small("llama", json!({"partial_rotary_factor": 2.0})), "Format", "32 of 16 elements");
    refused(&small("llama", json!({"partial_rotary_factor": 0.0})), "Format", "0 of 16 elements");
}

fn windows(model_type: &str, more: Value) -> Vec<usize> {
    each_window(&good(model_type, more))
}

#[test]
fn sliding_windows() {
    // Mistral: every layer; 4096 if nothing is said, none if null is.
    assert_eq!(windows("mistral", json!({"sliding_window": 16})), [16; 8]);
    assert_eq!(windows("mistral", json!({})), [4096; 8]);
    assert_eq!(windows("mistral", json!({"sliding_window": null})), [0; 8]);
    assert_eq!(windows("llama", json!({"sliding_window": 16})), [0; 8]);
    // Qwen: only where switched on, from a layer on or where listed.
    for model_type in ["qwen2", "qwen3"] {
        assert_eq!(windows(model_type, json!({"sliding_window": 16, "use_sliding_window": false})), [0; 8]);
        let upper = json!({"sliding_window": 16, "use_sliding_window": true, "max_window_layers": 5});
        assert_eq!(windows(model_type, upper), [0, 0, 0, 0, 0, 16, 16, 16]);
        assert_eq!(windows(model_type, json!({"sliding_window": 16, "use_sliding_window": true})), [0; 8]);
        let full = "full_attention";
        let sliding = "sliding_attention";
        let listed = json!({"sliding_window": 16, "use_sliding_window": true, "max_window_layers": 0,
            "layer_types": [full, sliding, full, full, full, full, full, sliding]});
        assert_eq!(windows(model_type, listed), [0, 16, 0, 0, 0, 0, 0, 16]);
        assert_eq!(windows(model_type, json!({"sliding_window": null, "layer_types": vec![full; 8]})), [0; 8]);
        let off = small(model_type, json!({"use_sliding_window": false, "layer_types": vec![sliding; 8]}));
        refused(&off, "Format", "without a sliding window");
        refused(&small(model_type, json!({"layer_types": vec![full; 7]})), "Format", "names 7 of 8 layers");
        refused(&small(model_type, json!({"layer_types": vec!["chunked_attention"; 8]})), "Unsupported", "chunked");
    }
    // SmolLM3: the layers without rotation.
    let on = json!({"sliding_window": 16, "use_sliding_window": true});
    assert_eq!(windows("smollm3", on), [0, 0, 0, 16, 0, 0, 0, 16]);
    assert_eq!(windows("smollm3", json!({"sliding_window": 16})), [0; 8]);
    refused(&small("mistral", json!({"sliding_window": 0})), "Format", "sliding window is 0");
}

#[test]
fn layers_without_rotation() {
    let rotated = |more: Value| each_rotated(&good("smollm3", more));
    assert_eq!(rotated(json!({})), [true, true, true, false, true, true, true, false]);
    let third = [true, true, false, true, true, false, true, true];
    assert_eq!(rotated(json!({"no_rope_layer_interval": 3})), third);
    // One means rotated, and a list counts before the interval.
    let list = json!({"no_rope_layers": [0, 1, 1, 1, 0, 1, 1, 1, 1], "no_rope_layer_interval": 2});
    assert_eq!(rotated(list), [false, true, true, true, false, true, true, true]);
    assert_eq!(each_rotated(&good("llama", json!({"no_rope_layers": vec![0; 8]}))), [true; 8]);
    refused(&small("smollm3", json!({"no_rope_layers": [1, 1]})), "Format", "names 2 of 8 layers");
    refused(&small("smollm3", json!({"no_rope_layer_interval": 0})), "Format", "no_rope_layer_interval");
}

#[test]
fn biases_and_norms() {
    let flags = |model_type: &str| flags(&good(model_type, json!({"attention_bias": true, "mlp_bias": true})));
    assert_eq!(flags("llama"), (true, true, true, false));
    assert_eq!(flags("mistral"), (false, false, false, false));
    assert_eq!(flags("qwen2"), (true, false, false, false));
    assert_eq!(flags("qwen3"), (true, true, false, true));
    assert_eq!(flags("smollm3"), (true, true, true, false));
    let biased = |model_type: &str| attention(&good(model_type, json!({})), 0).qkv_bias;
    assert!(biased("qwen2") && !biased("qwen3"));
}

#[test]
fn numbers_that_cannot_be() {
    let keys = [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "max_position_embeddings",
        "head_dim",
    ];
    for key in keys {
        for odd in [json!(0), json!(-1), json!(1.5), json!(1e300), json!(u64::MAX), json!("4"), json!([4]), json!(true)]
        {
            let mut config = small("llama", json!({}));
            config[key] = odd.clone();
            let error = read(&config).expect_err(&format!("{key}: {odd}"));
            assert_eq!(error.code(), "Format", "{key}: {odd}: {error}");
        }
    }
    refused(&small("llama", json!({"num_key_value_heads": 3})), "Format", "3 key-value heads do not divide 4 heads");
    refused(&small("llama", json!({"hidden_size": 66})), "Format", "4 heads do not divide the hidden size 66");
    // With a head size of its own there is nothing to divide.
    assert_eq!(sizes(&good("llama", json!({"hidden_size": 66, "head_dim": 32}))).3, 32);
    refused(&small("llama", json!({"rms_norm_eps": -1.0})), "Format", "epsilon");
    refused(&small("llama", json!({"rms_norm_eps": 1e300})), "Format", "epsilon");
    let nan = small("llama", json!({})).to_string().replace("0.00001", "NaN").replace("1e-5", "NaN");
    assert_eq!(LanguageConfig::from_json(nan.as_bytes(), "config.json").unwrap_err().code(), "Format");
}
