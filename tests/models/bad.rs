//! Models that cannot be loaded: each gives the error that names its fault, leaves nothing on the GPU, and the next good
//! model loads and computes as ever.

use inkstone::Error;
use serde_json::{Value, json};
use support::models::case::Case;
use support::models::folder::{self, Files};
use support::models::gguf::{self, Without};
use support::models::run::Bench;
use support::models::weights::{Made, Stored};

/// The folder of a case with its config.json edited.
fn edited(case: &Case, key: &str, value: Value) -> Files {
    let mut config = case.config.clone();
    match value {
        Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
        value => config[key] = value,
    }
    let mut files = folder::whole(case);
    files.insert("config.json".to_string(), serde_json::to_vec(&config).unwrap());
    files
}

/// The folder of a case with other tensors.
fn with_tensors(case: &Case, tensors: &[Made]) -> Files {
    let mut files = folder::whole(case);
    files.insert("model.safetensors".to_string(), folder::safetensors(tensors, case.stored));
    files
}

/// Expects a failure that `fits`, and no byte left on the GPU.
#[track_caller]
fn fails(bench: &Bench, what: &str, files: Files, fits: impl Fn(&Error) -> bool) {
    let before = bench.live_bytes();
    match bench.load(files) {
        Ok(_) => panic!("{what}: it was loaded"),
        Err(e) => assert!(fits(&e), "{what}: {e:?}"),
    }
    assert_eq!(bench.live_bytes(), before, "{what}: bytes are left on the GPU");
}

/// A good model loads and computes what it should.
pub fn good(bench: &Bench, case: &Case) {
    let before = bench.live_bytes();
    let model = bench.load(folder::whole(case)).unwrap_or_else(|e| panic!("after a bad model: {e}"));
    bench.compare(&model, case, "after bad models");
    drop(model);
    assert_eq!(bench.live_bytes(), before, "a dropped model leaves bytes on the GPU");
}

fn format(e: &Error) -> bool {
    matches!(e, Error::Format { .. })
}

/// Whether an error says that something is not supported, in these words among others.
fn unsupported(words: &[&str]) -> impl Fn(&Error) -> bool {
    move |e| matches!(e, Error::Unsupported { what } if words.iter().all(|w| what.contains(w)))
}

/// The GGUF name of a tensor is how errors name it; the family's own name will do too.
fn names(said: &str, made: &Made) -> bool {
    said == made.name || said == gguf::gguf_name(&made.name)
}

#[test]
fn a_missing_tensor_is_named() {
    let (bench, case) = (Bench::open(), Case::read("llama_biases"));
    let tensors = case.tensors();
    for missing in 0..tensors.len() {
        let mut others = tensors.clone();
        let gone = others.remove(missing);
        fails(
            &bench,
            &gone.name,
            with_tensors(&case, &others),
            |e| matches!(e, Error::Missing { tensor } if names(tensor, &gone)),
        );
    }
    for name in ["token_embd.weight", "blk.1.attn_k.weight", "blk.0.ffn_norm.weight", "output_norm.weight"] {
        let file = gguf::file(&case, Stored::F32, Without { tensor: name, ..Without::default() });
        let files = Files::from([("bad.gguf".to_string(), file)]);
        fails(&bench, name, files, |e| match e {
            Error::Missing { tensor } => tensor == name,
            // Without the table, the vocabulary's size is taken from elsewhere.
            e => name == "token_embd.weight" && format(e),
        });
    }
    good(&bench, &case);
}

#[test]
fn a_tensor_of_the_wrong_shape_is_named_with_both_shapes() {
    let (bench, case) = (Bench::open(), Case::read("qwen3_wide"));
    let tensors = case.tensors();
    for wrong in 0..tensors.len() {
        let mut others = tensors.clone();
        let right = &tensors[wrong];
        let mut shape = right.shape.clone();
        match shape.as_mut_slice() {
            [rows, columns] if rows != columns => std::mem::swap(rows, columns),
            [rows, ..] => *rows += 1,
            [] => unreachable!("no tensor is a scalar"),
        }
        others[wrong] = Made::new(right.name.clone(), &shape);
        fails(&bench, &right.name, with_tensors(&case, &others), |e| {
            matches!(e, Error::Shape { tensor, want, got }
                if names(tensor, right) && *want == right.shape && *got == shape)
        });
    }
    good(&bench, &case);
}

#[test]
fn a_configuration_that_cannot_be_is_an_error() {
    let (bench, case) = (Bench::open(), Case::read("qwen3_wide"));
    let lonely = Files::from([("model.safetensors".to_string(), vec![0; 64])]);
    fails(&bench, "no config.json", lonely, unsupported(&["config.json", ".gguf"]));
    fails(&bench, "no files", Files::new(), unsupported(&["config.json", ".gguf"]));
    let mut files = folder::whole(&case);
    files.remove("tokenizer.json");
    fails(&bench, "no tokenizer.json", files, |e| e.to_string().contains("tokenizer.json"));
    let mut files = folder::whole(&case);
    files.insert("tokenizer.json".to_string(), b"{}".to_vec());
    fails(&bench, "an empty tokenizer.json", files, format);
    let mut files = folder::whole(&case);
    files.insert("config.json".to_string(), b"<!doctype html><title>404</title>".to_vec());
    fails(&bench, "a web page for a config.json", files, format);

    let mut config = case.config.clone();
    config["model_type"] = json!("mamba");
    config["architectures"] = json!(["MambaForCausalLM"]);
    let mut files = folder::whole(&case);
    files.insert("config.json".to_string(), serde_json::to_vec(&config).unwrap());
    fails(&bench, "another architecture", files, unsupported(&["amba", "llama", "qwen3"]));
    fails(&bench, "another activation", edited(&case, "hidden_act", json!("gelu")), unsupported(&["gelu"]));
    let scaling = json!({"rope_type": "longrope", "factor": 2.0});
    fails(&bench, "another rope", edited(&case, "rope_scaling", scaling), unsupported(&["longrope"]));

    for key in [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    ] {
        for value in [json!(0), json!(-1), json!("four"), json!(1e300), json!(1u64 << 40), json!(u64::MAX)] {
            fails(&bench, &format!("{key} is {value}"), edited(&case, key, value.clone()), format);
        }
    }
    // Numbers that could be, but are not this file's. None may make the loader reserve what they ask for.
    let shape = |e: &Error| matches!(e, Error::Shape { .. });
    for (key, values) in [
        ("vocab_size", [65, 1 << 23]),
        ("hidden_size", [96, 1 << 17]),
        ("intermediate_size", [136, 1 << 20]),
        ("num_key_value_heads", [4, 1]),
        ("head_dim", [64, 1 << 12]),
    ] {
        for value in values {
            fails(&bench, &format!("{key} is {value}"), edited(&case, key, json!(value)), shape);
        }
    }
    for layers in [3, 4000] {
        let files = edited(&case, "num_hidden_layers", json!(layers));
        fails(
            &bench,
            "more layers than there are",
            files,
            |e| matches!(e, Error::Missing { tensor } if tensor.starts_with("blk.2.")),
        );
    }
    fails(&bench, "heads that do not divide", edited(&case, "num_key_value_heads", json!(3)), format);
    fails(&bench, "an odd head", edited(&case, "head_dim", json!(47)), format);
    fails(&bench, "a negative epsilon", edited(&case, "rms_norm_eps", json!(-1.0)), format);
    fails(&bench, "a rope of base zero", edited(&case, "rope_theta", json!(0.0)), format);
    good(&bench, &case);
}

#[test]
fn a_damaged_gguf_file_is_an_error() {
    let (bench, case) = (Bench::open(), Case::read("llama_q8_0"));
    let whole = gguf::file(&case, Stored::Q8_0, Without::default());
    let one = |bytes: Vec<u8>| Files::from([("bad.gguf".to_string(), bytes)]);
    let without = Without { tokenizer: true, ..Without::default() };
    fails(&bench, "no tokenizer", one(gguf::file(&case, Stored::Q8_0, without)), |e| {
        matches!(e, Error::Format { .. } | Error::Unsupported { .. }) && e.to_string().contains("token")
    });
    for keep in [0, 3, 4, 23, 24, 100, 1000, whole.len() / 2, whole.len() - 1] {
        fails(&bench, &format!("cut to {keep} bytes"), one(whole[..keep].to_vec()), format);
    }
    for (at, what) in [(0, "magic"), (4, "version"), (15, "number of tensors"), (23, "number of entries")] {
        let mut bytes = whole.clone();
        bytes[at] = 0x7f;
        fails(&bench, what, one(bytes), |e| matches!(e, Error::Format { .. } | Error::Unsupported { .. }));
    }
    let before = bench.live_bytes();
    let model = bench.load(one(whole)).unwrap();
    bench.compare(&model, &case, "after damaged files");
    drop(model);
    assert_eq!(bench.live_bytes(), before);
}

/// Some files write a vector of n as n rows of one. It is the same vector, or refused, but never read as something else.
#[test]
fn a_vector_that_is_written_as_a_matrix_of_one_column_is_the_vector() {
    let (bench, case) = (Bench::open(), Case::read("qwen3_wide"));
    let mut tensors = case.tensors();
    tensors.iter_mut().filter(|t| t.shape.len() == 1).for_each(|t| t.shape.push(1));
    match bench.load(with_tensors(&case, &tensors)) {
        Ok(model) => bench.compare(&model, &case, "with vectors of one column"),
        Err(e) => assert!(matches!(e, Error::Shape { .. }), "{e:?}"),
    }
    good(&bench, &case);
}
