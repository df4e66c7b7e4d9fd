//! What sets the families of language models apart: what they leave out, how they spell it, what they are refused for.

use super::config::{attention, each_rotated, each_window, flags, good, read, refused, rope, sizes, small};
use inkstone::config::language::*;
use inkstone::dtype::DType;
use inkstone::format::TensorInfo;
use inkstone::format::metadata::{Array, Metadata, Value as Entry};
use serde_json::{Value, json};

/// A configuration of `model_type` that says only what all have to, and the number of key-value heads.
fn bare(model_type: &str, more: Value) -> LanguageConfig {
    let mut config = small(model_type, more);
    for key in ["max_position_embeddings", "rms_norm_eps"] {
        config.as_object_mut().unwrap().remove(key);
    }
    read(&config).unwrap()
}

/// A GGUF file of `architecture` with 8 layers, the tensors `tensors` and `more` over its settings.
fn gguf(architecture: &str, tensors: &[(&str, &[usize])], more: &[(&str, Entry)]) -> inkstone::Result<LanguageConfig> {
    let sizes = [
        ("embedding_length", 64),
        ("block_count", 8),
        ("feed_forward_length", 96),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("context_length", 128),
        ("vocab_size", 40),
    ];
    let mut entries: Vec<(&str, Entry)> = sizes.iter().map(|&(k, n)| (k, Entry::U32(n))).collect();
    entries.push(("attention.layer_norm_rms_epsilon", Entry::F32(1e-5)));
    entries.push(("attention.layer_norm_epsilon", Entry::F32(1e-5)));
    entries.extend(more.iter().cloned());
    let mut values: std::collections::BTreeMap<_, _> =
        entries.into_iter().map(|(key, value)| (format!("{architecture}.{key}"), value)).collect();
    values.insert("general.architecture".into(), Entry::String(architecture.into()));
    let tensor = |&(name, shape): &(&str, &[usize])| TensorInfo {
        name: name.into(),
        shape: shape.to_vec(),
        dtype: DType::F32,
        offset: 0,
        bytes: 0,
    };
    let tensors: Vec<_> = tensors.iter().map(tensor).collect();
    LanguageConfig::from_gguf(&Metadata::new("m.gguf", values), &tensors)
}

fn ffn(c: &LanguageConfig) -> FfnConfig {
    c.layers[0].ffn
}

/// Of which kind, for which weights and biases: the norms before and after the mixer, before and after the feed-forward
/// network.
fn norms(c: &LanguageConfig) -> [bool; 4] {
    let n = &c.layers[0].norms;
    [n.before_mixer, n.after_mixer, n.before_ffn, n.after_ffn].map(|n| n.is_some())
}

fn canonical(c: &LanguageConfig, name: &str) -> String {
    c.canonical(name).map_or(String::new(), |(name, _)| name)
}

#[test]
fn every_family_opens_and_says_its_name() {
    for name in LanguageConfig::SUPPORTED {
        let more = match name {
            "granitemoehybrid" => json!({"num_local_experts": 0, "layer_types": vec!["attention"; 8]}),
            "gpt2" => json!({"n_embd": 64, "n_layer": 8, "n_head": 4, "num_key_value_heads": null}),
            _ => json!({}),
        };
        let c = bare(name, more);
        assert_eq!((c.architecture.as_str(), c.layers.len(), c.dim), (name, 8, 64), "{name}");
        assert!(c.layers.iter().all(|l| l.ffn.dim > 0) && c.output_norm.is_some());
        assert!(canonical(&c, "model.layers.0.nobody.weight").is_empty());
    }
}

#[test]
fn key_value_heads_left_out() {
    for (model_type, heads) in [
        ("gemma", 16),
        ("gemma2", 4),
        ("gemma3_text", 4),
        ("phi3", 64),
        ("olmo", 64),
        ("granite", 64),
        ("lfm2", 8),
        ("ministral3", 8),
        ("seed_oss", 8),
        ("exaone4", 32),
        ("glm4", 2),
        ("ernie4_5", 2),
        ("hunyuan_v1_dense", 64),
        ("cohere2", 64),
        ("starcoder2", 2),
        ("stablelm", 32),
        ("phi", 64),
        ("nemotron", 64),
    ] {
        let mut config = small(model_type, json!({"hidden_size": 1024, "num_attention_heads": 64}));
        config.as_object_mut().unwrap().remove("num_key_value_heads");
        assert_eq!(sizes(&read(&config).unwrap()).2, heads, "{model_type}");
        config["num_key_value_heads"] = json!(null);
        assert_eq!(sizes(&read(&config).unwrap()).2, 64, "{model_type}");
    }
}

#[test]
fn gemma() {
    let c = bare("gemma", json!({"hidden_act": "gelu"}));
    assert_eq!((sizes(&c), c.embedding_scale, c.tied), ((8, 4, 2, 256), 8.0, Some(true)));
}

#[test]
fn gemma2() {
    let c = bare("gemma2", json!({}));
    assert_eq!(
        (c.logit_soft_cap, attention(&c, 0).soft_cap, attention(&c, 0).scale),
        (Some(30.0), Some(50.0), 1.0 / 16.0)
    );
    assert_eq!(each_window(&c), [4096, 0, 4096, 0, 4096, 0, 4096, 0]);
    let c = good("gemma2", json!({"final_logit_softcapping": null, "query_pre_attn_scalar": 64, "sliding_window": 9}));
    assert_eq!((c.logit_soft_cap, attention(&c, 0).scale, attention(&c, 2).window), (None, 0.125, Some(9)));
    assert!(c.output_norm.unwrap().plus_one && norms(&c) == [true; 4] && ffn(&c).activation == FfnActivation::GeluTanh);
    for (name, to) in [
        ("pre_feedforward_layernorm", "ffn_norm"),
        ("post_attention_layernorm", "post_attention_norm"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
    ] {
        assert_eq!(canonical(&c, &format!("model.layers.3.{name}.weight")), format!("blk.3.{to}.weight"));
    }
    // A GGUF file has its weights plus one, and does not say what scores are multiplied by.
    let file = gguf("gemma2", &[], &[("attention.key_length", Entry::U32(24))]).unwrap();
    assert_eq!((file.logit_soft_cap, attention(&file, 0).soft_cap), (Some(30.0), Some(50.0)));
    assert_eq!((each_window(&file)[..2].to_vec(), file.output_norm.unwrap().plus_one), (vec![4096, 0], false));
    assert_eq!(attention(&file, 0).scale, (24f64).powf(-0.5) as f32);
    let odd = [("attention.key_length", Entry::U32(24)), ("block_count", Entry::U32(46))];
    assert_eq!(attention(&gguf("gemma2", &[], &odd).unwrap(), 0).scale, 0.25);
    refused(&small("gemma2", json!({"query_pre_attn_scalar": 0})), "Format", "query_pre_attn_scalar");
    refused(&small("gemma2", json!({"hidden_activation": "gelu"})), "Unsupported", "activation `gelu`");
}

#[test]
fn gemma3_in_all_spellings() {
    let earlier = json!({"rope_theta": 5e5, "rope_local_base_freq": 500.0, "sliding_window": 16,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "sliding_window_pattern": 4});
    let sliding = |i: usize| if i % 4 == 3 { "full_attention" } else { "sliding_attention" };
    let later = json!({"sliding_window": 16, "layer_types": (0..8).map(sliding).collect::<Vec<_>>(),
        "rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 5e5, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 500.0}}});
    let c = good("gemma3_text", earlier);
    assert_eq!(c, good("gemma3", later));
    assert_eq!(each_window(&c), [16, 16, 16, 0, 16, 16, 16, 0]);
    let turned = |i: usize| &c.ropes[attention(&c, i).rope.unwrap()];
    assert_eq!((turned(3).base, &turned(3).scaling), (5e5, &RopeScaling::Linear { factor: 8.0 }));
    assert_eq!((turned(0).base, &turned(0).scaling), (500.0, &RopeScaling::None));
    let c = bare("gemma3_text", json!({}));
    assert_eq!((c.ropes[0].base, c.ropes[1].base, c.logit_soft_cap), (1e6, 1e4, None));
    assert_eq!(each_window(&c), [4096, 4096, 4096, 4096, 4096, 0, 4096, 4096]);
    // As part of a model that sees it says only what is not as usual.
    let seeing = json!({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
            "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
        "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"}});
    let c = read(&seeing).unwrap();
    assert_eq!((c.dim, c.vocab, sizes(&c)), (2560, 262_208, (34, 8, 4, 256)));
    assert_eq!(canonical(&c, "language_model.model.layers.0.mlp.up_proj.weight"), "blk.0.ffn_up.weight");
    assert_eq!(canonical(&c, "model.language_model.layers.0.mlp.up_proj.weight"), "blk.0.ffn_up.weight");
    assert_eq!(canonical(&c, "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight"), "");
    refused(&small("gemma3_text", json!({"use_bidirectional_attention": true})), "Unsupported", "writes none");
    let local = gguf("gemma3", &[], &[("attention.sliding_window", Entry::U32(16))]).unwrap();
    assert_eq!((local.ropes[1].base, each_window(&local)), (1e4, vec![16, 16, 16, 16, 16, 0, 16, 16]));
}

#[test]
fn phi3() {
    let long = |kind: &str| {
        json!({"original_max_position_embeddings": 32, "partial_rotary_factor": 0.5, "rope_scaling":
        {"type": kind, "short_factor": [1.0, 1.0, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0, 8.0]}})
    };
    let c = good("phi3", long("longrope"));
    let factor = (1.0 + 4f64.ln() / 32f64.ln()).sqrt() as f32;
    let (short, long_table) = (rope(&c).table(), rope(&c).long_table().unwrap());
    assert_eq!((rope(&c).dims, rope(&c).switch_at(), short.1, long_table.1), (8, Some(32), factor, factor));
    assert_eq!(short.0[3] / 4.0, long_table.0[3]);
    assert_eq!(c, good("phi3", long("su")));
    assert_eq!(canonical(&c, "model.layers.0.mlp.gate_up_proj.weight"), "blk.0.ffn_gate_up.weight");
    assert_eq!(canonical(&c, "model.layers.0.self_attn.qkv_proj.weight"), "blk.0.attn_qkv.weight");
    assert_eq!(canonical(&c, "blk.0.ffn_up.weight"), "blk.0.ffn_gate_up.weight");
    let short_of = json!({"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}});
    refused(&small("phi3", short_of), "Format", "short_factor");
    refused(&small("phi3", json!({"rope_scaling": {"type": "longrope"}})), "Format", "needs `short_factor`");
    // In GGUF the lists are tensors.
    let names = ["rope_factors_short.weight", "rope_factors_long.weight"];
    let settings = [
        ("rope.dimension_count", Entry::U32(8)),
        ("rope.scaling.original_context_length", Entry::U32(32)),
        ("rope.scaling.attn_factor", Entry::F32(factor)),
    ];
    let mut file = gguf("phi3", &[(names[0], &[4]), (names[1], &[4])], &settings).unwrap();
    assert_eq!(file.rope_tensors(), names);
    file.set_rope_tensor(names[0], vec![1.0, 1.0, 1.5, 2.0], "m.gguf").unwrap();
    file.set_rope_tensor(names[1], vec![1.0, 2.0, 4.0, 8.0], "m.gguf").unwrap();
    assert_eq!((rope(&file).table(), rope(&file).long_table()), (short, Some(long_table)));
    assert_eq!(file.set_rope_tensor(names[1], vec![1.0; 3], "m.gguf").unwrap_err().code(), "Format");
    assert_eq!(file.set_rope_tensor("rope_freqs.weight", vec![1.0; 4], "m.gguf").unwrap_err().code(), "Unsupported");
    assert_eq!(gguf("phi3", &[(names[0], &[4]), (names[1], &[5])], &settings).unwrap_err().code(), "Shape");
}

#[test]
fn olmo() {
    let c = bare("olmo", json!({"clip_qkv": 8.0}));
    assert_eq!((attention(&c, 0).clamp, c.output_norm.unwrap().weighted), (Some(8.0), false));
    assert_eq!((c.output_norm.unwrap().eps, c.output_norm.unwrap().kind), (1e-5, NormKind::Layer));
    refused(&small("olmo", json!({"clip_qkv": -1})), "Format", "queries, keys and values");
    let c = bare("olmo2", json!({}));
    assert_eq!((norms(&c), each_window(&c)), ([false, true, false, true], vec![0; 8]));
    assert!(attention(&c, 0).qk_norm.is_some_and(|n| n.whole_row && !n.after_rope));
    let yarn =
        json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 48, "attention_factor": 1.25});
    let c = good("olmo3", json!({"rope_theta": 2e5, "rope_scaling": yarn}));
    assert_eq!(each_window(&c), [4096, 4096, 4096, 0, 4096, 4096, 4096, 0]);
    assert_eq!((c.ropes[1].base, &c.ropes[1].scaling), (2e5, &RopeScaling::None));
    assert_eq!(c.ropes[attention(&c, 3).rope.unwrap()].table().1, 1.25);
    let pattern = Entry::Array(Array::Bool(vec![true, true, true, false, true, true, true, false]));
    let settings = [
        ("attention.sliding_window", Entry::U32(4096)),
        ("attention.sliding_window_pattern", pattern),
        ("rope.freq_base", Entry::F32(2e5)),
        ("rope.scaling.type", Entry::String("yarn".into())),
        ("rope.scaling.factor", Entry::F32(4.0)),
        ("rope.scaling.original_context_length", Entry::U32(48)),
        ("rope.scaling.yarn_attn_factor", Entry::F32(1.25)),
    ];
    let file = gguf("olmo2", &[("output.weight", &[40, 64])], &settings).unwrap();
    assert_eq!((&file.ropes, &file.layers), (&c.ropes, &c.layers));
}

#[test]
fn granite() {
    let c = good("granite", json!({"embedding_multiplier": 12.0, "residual_multiplier": 0.5, "logits_scaling": 8.0}));
    assert_eq!((c.embedding_scale, c.layers[0].residual_scale, c.logit_scale), (12.0, 0.5, 0.125));
    assert_eq!(attention(&c, 0).scale, 1.0);
    let file = gguf("granite", &[], &[("logit_scale", Entry::F32(8.0)), ("attention.scale", Entry::F32(0.0))]).unwrap();
    assert_eq!((file.logit_scale, attention(&file, 0).scale, rope(&file).interleaved), (0.125, 0.25, true));
    let file = gguf("granite", &[], &[("rope.scaling.finetuned", Entry::Bool(false))]).unwrap();
    assert_eq!(each_rotated(&file), [false; 8]);
    let dense = |more: Value| {
        let mut config = small(
            "granitemoehybrid",
            json!({"num_local_experts": 0, "shared_intermediate_size": 80,
            "layer_types": vec!["attention"; 8], "position_embedding_type": "rope"}),
        );
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let c = read(&dense(json!({}))).unwrap();
    assert_eq!((ffn(&c).dim, each_rotated(&c)), (80, vec![true; 8]));
    assert_eq!(each_rotated(&read(&dense(json!({"position_embedding_type": "nope"}))).unwrap()), [false; 8]);
    assert_eq!(canonical(&c, "model.layers.1.shared_mlp.input_linear.weight"), "blk.1.ffn_gate_up.weight");
    // Python writes what is no JSON.
    let endless = dense(json!({"time_step_limit": [0.0, 7.0]})).to_string().replace("7.0", "Infinity");
    assert_eq!(LanguageConfig::from_json(endless.as_bytes(), "config.json").unwrap(), c);
    refused(&dense(json!({"num_local_experts": 4})), "Unsupported", "mixtures of experts");
    refused(&dense(json!({"num_local_experts": null, "layer_types": null})), "Unsupported", "layer type `mamba`");
    refused(&dense(json!({"layers_block_type": vec!["mamba"; 8]})), "Unsupported", "layer type `mamba`");
}

#[test]
fn lfm2() {
    let c = bare("lfm2", json!({"full_attn_idxs": [1, 3], "block_ff_dim": 1000, "tie_embedding": false}));
    let convolves = |c: &LanguageConfig| -> Vec<bool> {
        c.layers.iter().map(|l| matches!(l.mixer, MixerConfig::ShortConv(ShortConvConfig { width: 3, .. }))).collect()
    };
    assert_eq!(convolves(&c), [true, false, true, false, true, true, true, true]);
    // Two thirds of a thousand, up to a multiple of 256.
    assert_eq!((ffn(&c).dim, c.tied, attention(&c, 1).qk_norm.is_some()), (768, Some(false), true));
    let plain = json!({"block_auto_adjust_ff_dim": false, "layer_types": vec!["full_attention"; 8]});
    assert_eq!((ffn(&good("lfm2", plain.clone())).dim, sizes(&good("lfm2", plain)).2), (96, 2));
    for (name, to) in [
        ("model.embedding_norm.weight", "output_norm.weight"),
        ("token_embd_norm.weight", "output_norm.weight"),
        ("model.layers.0.conv.conv.weight", "blk.0.shortconv.conv.weight"),
        ("model.layers.0.feed_forward.w3.weight", "blk.0.ffn_up.weight"),
        ("model.layers.0.operator_norm.weight", "blk.0.attn_norm.weight"),
    ] {
        assert_eq!(canonical(&c, name), to);
    }
    let heads = |list: [i32; 8]| {
        let heads = ("attention.head_count_kv", Entry::Array(Array::I32(list.to_vec())));
        gguf("lfm2", &[], &[heads, ("shortconv.l_cache", Entry::U32(3))])
    };
    let file = heads([0, 2, 0, 2, 0, 0, 0, 0]).unwrap();
    assert_eq!((convolves(&file), attention(&file, 1).kv_heads), (convolves(&c), 2));
    assert_eq!(heads([0, 2, 0, 4, 0, 0, 0, 0]).unwrap_err().code(), "Unsupported");
    refused(&small("lfm2", json!({"layer_types": vec!["mamba"; 8]})), "Unsupported", "layer type `mamba`");
    refused(&small("lfm2", json!({"conv_L_cache": 0, "full_attn_idxs": []})), "Format", "width of the convolution");
}

#[test]
fn lfm3() {
    let c = bare("lfm3", json!({}));
    let kind = |i: usize| match &c.layers[i].mixer {
        MixerConfig::ShortConv(c) => (c.width, 0),
        MixerConfig::Attention(a) => (a.window.unwrap_or(0), a.rope.unwrap() + 1),
    };
    let kinds: Vec<_> = (0..8).map(kind).collect();
    assert_eq!(kinds, [(7, 0), (7, 0), (0, 1), (7, 0), (256, 2), (7, 0), (0, 1), (7, 0)]);
    assert_eq!(c.ropes[0].scaling, RopeScaling::Proportional { share: 0.5, factor: 1.0 });
    let (inv_freq, _) = c.ropes[0].table();
    assert_eq!((inv_freq.len(), inv_freq[31] > 0.0, inv_freq[32], c.ropes[1].base), (64, true, 0.0, 1e4));
    assert_eq!(inv_freq[1], 1e6f64.powf(-2.0 / 128.0) as f32);
    assert_eq!((norms(&c), attention(&c, 2).gate), ([true; 4], Some(AttentionGate::PerHead)));
    let plain = bare("lfm3", json!({"use_sandwich_norm": false, "use_attention_gate": false}));
    assert_eq!((norms(&plain), attention(&plain, 2).gate), ([true, false, true, false], None));
}

#[test]
fn ministral3() {
    let c = bare("ministral3", json!({}));
    assert_eq!(attention(&c, 0).query_growth, Some(QueryGrowth { beta: 0.1, length: 16_384 }));
    assert_eq!((rope(&c).table().1, rope(&c).base, sizes(&c).3), (1.0, 1e6, 128));
    let text = json!({"model_type": "ministral3", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 8, "vocab_size": 40});
    let seeing = |text: Value| {
        read(&json!({"architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3", "text_config": text, "tie_word_embeddings": false}))
    };
    assert_eq!(seeing(text.clone()).unwrap().tied, Some(false));
    let mut small3 = text;
    small3["model_type"] = "mistral".into();
    assert_eq!(seeing(small3).unwrap().architecture, "mistral");
    let settings = [
        ("rope.scaling.type", Entry::String("yarn".into())),
        ("rope.scaling.factor", Entry::F32(16.0)),
        ("rope.scaling.original_context_length", Entry::U32(32)),
        ("rope.scaling.yarn_log_multiplier", Entry::F32(1.0)),
        ("attention.temperature_scale", Entry::F32(0.5)),
    ];
    let file = gguf("mistral3", &[], &settings).unwrap();
    assert_eq!(attention(&file, 0).query_growth, Some(QueryGrowth { beta: 0.5, length: 32 }));
    assert_eq!(rope(&file).table().1, 1.0);
    assert_eq!(attention(&gguf("mistral3", &[], &[]).unwrap(), 0).query_growth, None);
}

#[test]
fn where_biases_are() {
    for (model_type, more, wanted) in [
        ("seed_oss", json!({}), (true, false, false, false)),
        ("seed_oss", json!({"attention_out_bias": true, "mlp_bias": true}), (true, true, true, false)),
        ("glm4", json!({}), (true, false, false, false)),
        ("ernie4_5", json!({"use_bias": true}), (true, true, true, false)),
        ("starcoder2", json!({}), (true, true, true, false)),
        ("starcoder2", json!({"use_bias": false}), (false, false, false, false)),
        ("stablelm", json!({"use_qkv_bias": true}), (true, false, false, false)),
        ("gpt_neox", json!({}), (true, true, true, false)),
        ("gpt_neox", json!({"attention_bias": false}), (false, false, true, false)),
        ("phi", json!({}), (true, true, true, false)),
        ("nemotron", json!({"mlp_bias": true}), (false, false, true, false)),
        ("hunyuan_v1_dense", json!({}), (false, false, false, true)),
        ("cohere", json!({"attention_bias": true}), (true, true, false, false)),
    ] {
        assert_eq!(flags(&bare(model_type, more.clone())), wanted, "{model_type} {more}");
    }
    let file = gguf("phi2", &[("blk.3.attn_qkv.bias", &[128]), ("blk.3.attn_output.bias", &[64])], &[]).unwrap();
    assert_eq!((flags(&file), file.output_bias), ((true, true, false, false), true));
}

#[test]
fn how_much_of_a_head_is_rotated() {
    for (model_type, dims, neighbours) in [
        ("glm4", 64, true),
        ("ernie4_5", 128, true),
        ("cohere", 16, true),
        ("cohere2", 16, true),
        ("stablelm", 4, false),
        ("gpt_neox", 4, false),
        ("phi", 8, false),
        ("nemotron", 8, false),
    ] {
        let c = bare(model_type, json!({}));
        assert_eq!((rope(&c).dims, rope(&c).interleaved), (dims, neighbours), "{model_type}");
    }
    let earlier = bare("gpt_neox", json!({"rotary_pct": 0.5, "rotary_emb_base": 2e4}));
    let later = bare("gpt_neox", json!({"rope_parameters": {"rope_theta": 2e4, "partial_rotary_factor": 0.5}}));
    assert_eq!((rope(&earlier).dims, rope(&earlier).base, &earlier), (8, 2e4, &later));
    let alpha = bare("hunyuan_v1_dense", json!({"rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0}}));
    assert_eq!(rope(&alpha).base, 1e4 * 1000f64.powf(16.0 / 14.0));
    assert!(attention(&alpha, 0).qk_norm.is_some_and(|n| n.after_rope));
}

#[test]
fn windows_and_rotation() {
    let c = bare("cohere2", json!({"sliding_window": 8}));
    assert_eq!(each_window(&c), [8, 8, 8, 0, 8, 8, 8, 0]);
    assert_eq!(each_rotated(&c), [true, true, true, false, true, true, true, false]);
    assert_eq!((c.logit_scale, c.layers[0].parallel, norms(&c)), (0.0625, true, [true, false, false, false]));
    let c = bare("exaone4", json!({"sliding_window": 8}));
    assert_eq!((each_window(&c)[3], each_rotated(&c)[2..4].to_vec()), (0, vec![true, false]));
    let c = bare("exaone4", json!({"sliding_window": null}));
    assert_eq!((each_window(&c), each_rotated(&c)), (vec![0; 8], vec![true; 8]));
    assert_eq!(each_window(&bare("starcoder2", json!({"sliding_window": 8}))), [8; 8]);
}

#[test]
fn gpt2() {
    let more = json!({"n_embd": 48, "n_layer": 2, "n_head": 3, "n_positions": 32, "num_key_value_heads": null,
        "scale_attn_by_inverse_layer_idx": true});
    let c = bare("gpt2", more);
    assert_eq!((c.dim, sizes(&c), c.context_length, c.learned_positions), (48, (2, 3, 3, 16), 32, Some(32)));
    assert_eq!((ffn(&c).activation, ffn(&c).gated), (FfnActivation::GeluTanh, false));
    assert_eq!((attention(&c, 0).scale, attention(&c, 1).scale, c.ropes.len()), (0.25, 0.125, 0));
    for (name, to, layout) in [
        ("h.0.attn.c_attn.weight", "blk.0.attn_qkv.weight", TensorLayout::Transposed),
        ("transformer.h.0.attn.c_attn.bias", "blk.0.attn_qkv.bias", TensorLayout::AsIs),
        ("transformer.wpe.weight", "position_embd.weight", TensorLayout::AsIs),
        ("blk.0.ffn_up.weight", "blk.0.ffn_up.weight", TensorLayout::AsIs),
    ] {
        assert_eq!(c.canonical(name), Some((to.to_string(), layout)), "{name}");
    }
    assert_eq!((c.canonical("h.0.attn.bias"), c.canonical("h.0.attn.masked_bias")), (None, None));
    // The file's settings say four times the hidden size, whatever it is.
    let file = gguf("gpt2", &[("blk.0.ffn_down.weight", &[64, 72]), ("position_embd.weight", &[50, 64])], &[]).unwrap();
    assert_eq!((ffn(&file).dim, file.learned_positions), (72, Some(50)));
}

#[test]
fn branches_side_by_side() {
    let neox = bare("gpt_neox", json!({}));
    assert_eq!((neox.layers[0].parallel, norms(&neox)), (true, [true, false, true, false]));
    assert!(!bare("gpt_neox", json!({"use_parallel_residual": false})).layers[0].parallel);
    let name = "gpt_neox.layers.0.attention.query_key_value";
    for kind in ["weight", "bias"] {
        let wanted = Some((format!("blk.0.attn_qkv.{kind}"), TensorLayout::QkvByHead));
        assert_eq!(neox.canonical(&format!("{name}.{kind}")), wanted);
    }
    let phi = bare("phi", json!({}));
    assert_eq!((phi.layers[0].parallel, norms(&phi), phi.output_bias), (true, [true, false, false, false], true));
    let one = small("stablelm", json!({"use_parallel_residual": true}));
    assert_eq!(norms(&read(&one).unwrap()), [true, false, false, false]);
    for (model_type, key) in [("stablelm", "qk_layernorm"), ("cohere", "use_qk_norm"), ("phi", "qk_layernorm")] {
        refused(&small(model_type, json!({ key: true })), "Unsupported", "norms");
    }
    let nemotron = bare("nemotron", json!({}));
    assert_eq!((ffn(&nemotron).activation, ffn(&nemotron).gated), (FfnActivation::ReluSquared, false));
    assert!(nemotron.output_norm.is_some_and(|n| n.plus_one && n.biased && n.kind == NormKind::Layer));
}

#[test]
fn names_in_gguf_that_mislead() {
    let seed = gguf("seed_oss", &[], &[]).unwrap();
    assert_eq!(canonical(&seed, "blk.0.post_attention_norm.weight"), "blk.0.ffn_norm.weight");
    let glm = gguf("glm4", &[], &[]).unwrap();
    assert_eq!(canonical(&glm, "blk.0.post_attention_norm.weight"), "blk.0.post_attention_norm.weight");
    assert_eq!(canonical(&glm, "model.layers.0.post_attention_layernorm.weight"), "blk.0.ffn_norm.weight");
    assert_eq!(canonical(&glm, "blk.0.ffn_up.weight"), "blk.0.ffn_gate_up.weight");
    let sections = Entry::Array(Array::I32(vec![8, 12, 12, 0]));
    assert_eq!(gguf("glm4", &[], &[("rope.dimension_sections", sections)]).unwrap_err().code(), "Unsupported");
}
