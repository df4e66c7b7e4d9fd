//! What the metadata of a GGUF file means as a configuration, and which cannot be.

use super::build::*;
use super::config::{attention, each_rotated, each_window, flags, rope, sizes};
use inkstone::config::language::{LanguageConfig, NormConfig, RopeScaling};
use inkstone::dtype::DType;
use inkstone::format::Parsed;
use inkstone::format::gguf::Gguf;
use inkstone::{Error, Result};

/// The configuration in a GGUF file of `architecture` after `change`.
fn gguf(architecture: &str, change: impl FnOnce(&mut GgufFile)) -> Result<LanguageConfig> {
    let mut file = llama();
    for (key, _) in &mut file.entries {
        if let Some(rest) = key.strip_prefix(b"llama.") {
            *key = [architecture.as_bytes(), b".", rest].concat();
        }
    }
    file.set("general.architecture", string(architecture));
    change(&mut file);
    let bytes = file.bytes();
    match Gguf::parse(&bytes, bytes.len() as u64, "m.gguf")? {
        Parsed::Done(gguf) => LanguageConfig::from_gguf(&gguf.metadata, &gguf.tensors),
        Parsed::NeedMore(_) => panic!("the whole file is there"),
    }
}

fn refused(architecture: &str, code: &str, says: &str, change: impl FnOnce(&mut GgufFile)) {
    let error = gguf(architecture, change).expect_err(says);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error} does not say {says:?}");
}

#[test]
fn each_architecture() {
    let c = gguf("llama", |_| ()).unwrap();
    assert_eq!((c.architecture.as_str(), c.name.as_str()), ("llama", "Tiny"));
    assert_eq!((c.dim, sizes(&c)), (64, (2, 4, 2, 16)));
    assert_eq!((c.layers[0].ffn.dim, c.vocab, c.context_length), (96, 40, 128));
    assert_eq!(c.output_norm, Some(NormConfig::rms(1e-5)));
    assert_eq!((rope(&c).base, rope(&c).dims, c.tied), (10_000.0, 16, Some(false)));
    assert_eq!(flags(&c), (false, false, false, false));
    for (architecture, interleaved, qk_norm) in [
        ("llama", true, false),
        ("mistral", true, false),
        ("smollm3", true, false),
        ("qwen2", false, false),
        ("qwen3", false, true),
    ] {
        let c = gguf(architecture, |_| ()).unwrap();
        let got = (c.architecture.as_str(), rope(&c).interleaved, attention(&c, 0).qk_norm.is_some());
        assert_eq!(got, (architecture, interleaved, qk_norm));
    }
    let layers = |f: &mut GgufFile| f.set("smollm3.block_count", u32(6));
    assert_eq!(each_rotated(&gguf("smollm3", layers).unwrap()), [true, true, true, false, true, true]);
    let c = gguf("qwen2", |f| {
        f.tensors.retain(|t| t.name != b"output.weight");
        f.tensors.push(tensor("blk.0.attn_q.bias", &[64], DType::F32));
        f.remove("qwen2.attention.head_count_kv");
        f.remove("qwen2.rope.freq_base");
        f.set("qwen2.attention.key_length", u32(32));
        f.set("qwen2.attention.value_length", u32(32));
        f.remove("qwen2.rope.dimension_count");
    });
    let c = c.unwrap();
    assert_eq!((c.tied, attention(&c, 0).qkv_bias, sizes(&c)), (Some(true), true, (2, 4, 4, 32)));
    assert_eq!((rope(&c).dims, rope(&c).base), (32, 10_000.0));
}

#[test]
fn vocabulary() {
    let without = |f: &mut GgufFile| f.tensors.retain(|t| t.name != b"token_embd.weight");
    assert_eq!(gguf("llama", without).unwrap().vocab, 40);
    let said = gguf("llama", |f| {
        without(f);
        f.set("llama.vocab_size", u32(48));
    });
    assert_eq!(said.unwrap().vocab, 48);
    refused("llama", "Format", "vocabulary size is 0", |f| {
        without(f);
        f.remove("tokenizer.ggml.tokens");
    });
}

#[test]
fn rotation() {
    let scaling = |kind: Option<&str>, factor: Option<f32>| {
        gguf("llama", |f| {
            kind.into_iter().for_each(|k| f.set("llama.rope.scaling.type", string(k)));
            factor.into_iter().for_each(|x| f.set("llama.rope.scaling.factor", f32(x)));
        })
        .map(|c| rope(&c).scaling.clone())
    };
    assert_eq!(scaling(None, None).unwrap(), RopeScaling::None);
    assert_eq!(scaling(Some("none"), Some(8.0)).unwrap(), RopeScaling::None);
    assert_eq!(scaling(None, Some(4.0)).unwrap(), RopeScaling::Linear { factor: 4.0 });
    assert_eq!(scaling(Some("linear"), Some(4.0)).unwrap(), RopeScaling::Linear { factor: 4.0 });
    assert_eq!(scaling(Some("longrope"), Some(4.0)).unwrap_err().code(), "Unsupported");
    assert_eq!(scaling(Some("linear"), Some(-4.0)).unwrap_err().code(), "Format");
    let yarn = gguf("qwen2", |f| {
        f.set("qwen2.rope.scaling.type", string("yarn"));
        f.set("qwen2.rope.scaling.factor", f32(4.0));
        f.set("qwen2.rope.scaling.original_context_length", u32(32));
    });
    let yarn = rope(&yarn.unwrap()).clone();
    let same = RopeScaling::Yarn {
        factor: 4.0,
        original_context: 32.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: None,
        mscale: None,
        mscale_all_dim: None,
        truncate: true,
    };
    assert_eq!(yarn.scaling, same);
    let scaled = gguf("llama", |f| {
        f.set("llama.rope.scaling.type", string("yarn"));
        f.set("llama.rope.scaling.factor", f32(4.0));
        f.set("llama.rope.scaling.attn_factor", f32(0.5));
    });
    let (_, factor) = rope(&scaled.unwrap()).table();
    assert!((f64::from(factor) - 0.5 * (1.0 + 0.1 * 4f64.ln())).abs() < 1e-6, "{factor}");
    refused("llama", "Unsupported", "extrapolation factor 0.5", |f| {
        f.set("llama.rope.scaling.type", string("yarn"));
        f.set("llama.rope.scaling.yarn_ext_factor", f32(0.5));
    });
    let divisors = |n: u64| move |f: &mut GgufFile| f.tensors.push(tensor("rope_freqs.weight", &[n], DType::F32));
    assert!(gguf("llama", divisors(8)).is_ok());
    let error = gguf("llama", divisors(7)).unwrap_err();
    assert_eq!(error, Error::Shape { tensor: "rope_freqs.weight".into(), want: vec![8], got: vec![7] });
}

#[test]
fn sliding_windows() {
    let windows = |change: &dyn Fn(&mut GgufFile)| -> Vec<usize> {
        let all = |f: &mut GgufFile| {
            f.set("llama.block_count", u32(4));
            change(f);
        };
        each_window(&gguf("llama", all).unwrap())
    };
    let window = |f: &mut GgufFile| f.set("llama.attention.sliding_window", u32(16));
    assert_eq!(windows(&|_| ()), [0; 4]);
    assert_eq!(windows(&|f| f.set("llama.attention.sliding_window", u32(0))), [0; 4]);
    assert_eq!(windows(&window), [16; 4]);
    let pattern = |value: Entry| {
        windows(&move |f| {
            window(f);
            f.set("llama.attention.sliding_window_pattern", value.clone());
        })
    };
    assert_eq!(pattern(array(7, 4, &[1, 0, 0, 1])), [16, 0, 0, 16]);
    assert_eq!(pattern(u32(2)), [16, 0, 16, 0]);
    assert_eq!(pattern(u32(1)), [16; 4]);
    refused("llama", "Format", "names 1 layers", |f| {
        window(f);
        f.set("llama.attention.sliding_window_pattern", array(7, 1, &[1]));
    });
}

#[test]
fn numbers_that_cannot_be() {
    refused("gemma4", "Unsupported", "`gemma4` is not supported; choose one of llama", |_| ());
    refused("llama", "Unsupported", "mixtures of experts", |f| f.set("llama.expert_count", u32(8)));
    refused("llama", "Unsupported", "one of 3 parts", |f| f.set("split.count", entry(2, &[3, 0])));
    refused("llama", "Format", "general.architecture", |f| f.remove("general.architecture"));
    refused("llama", "Format", "general.architecture", |f| f.set("general.architecture", u32(1)));
    for key in ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length"] {
        let key = format!("llama.{key}");
        refused("llama", "Format", "missing", |f| f.remove(&key));
        for odd in [u32(0), u32(u32::MAX), entry(10, &[0xFF; 8]), entry(5, &[0xFF; 4]), f32(2.0), string("2")] {
            let error = gguf("llama", |f| f.set(&key, odd)).expect_err(&key);
            assert_eq!(error.code(), "Format", "{key}: {error}");
        }
    }
    refused("llama", "Format", "epsilon", |f| f.remove("llama.attention.layer_norm_rms_epsilon"));
    refused("llama", "Format", "epsilon", |f| f.set("llama.attention.layer_norm_rms_epsilon", f32(f32::NAN)));
    refused("llama", "Format", "rope base", |f| f.set("llama.rope.freq_base", f32(f32::INFINITY)));
    refused("llama", "Format", "5 of 16 elements", |f| f.set("llama.rope.dimension_count", u32(5)));
    refused("llama", "Unsupported", "another size than keys", |f| f.set("llama.attention.value_length", u32(8)));
    // The same number for every layer is that number; different ones need other code.
    let per_layer = |a: u8, b: u8| array(5, 2, &[a, 0, 0, 0, b, 0, 0, 0]);
    let c = gguf("llama", |f| f.set("llama.attention.head_count_kv", per_layer(2, 2))).unwrap();
    assert_eq!(sizes(&c).2, 2);
    let different = |f: &mut GgufFile| f.set("llama.attention.head_count_kv", per_layer(2, 4));
    refused("llama", "Unsupported", "layers of different sizes", different);
}
