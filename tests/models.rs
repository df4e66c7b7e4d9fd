//! Whole models, tokens to logits, against `transformers` (tests/models/README.md says how its numbers were made).
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another, `INKSTONE_TIER` lowers what is used of it.

mod models {
    mod bad;
    mod damaged;
    mod decode;
    mod families;
    mod quantize;
    mod quantized;
    mod smollm2;
    mod taps;
}

use support::models::case::Case;
use support::models::folder::{self, Files};
use support::models::gguf::{self, Without};
use support::models::run::{self, Bench, logits};
use support::models::weights::Stored;
use support::tolerance;

/// Every case that a folder of safetensors can hold, with the number of files to deal its weights out to.
const FOLDERS: [(&str, usize); 25] = [
    ("llama2_mha", 1),
    ("llama3_gqa", 3),
    ("llama_linear", 1),
    ("llama_biases", 1),
    ("llama_yarn", 1),
    ("llama_long", 1),
    ("mistral_window", 2),
    ("mistral_nemo", 1),
    ("qwen2", 1),
    ("qwen2_yarn", 1),
    ("qwen2_window", 1),
    ("qwen2_layer_types", 1),
    ("qwen3", 4),
    ("qwen3_wide", 1),
    ("smollm2_tiny", 1),
    ("smollm3", 1),
    ("smollm3_list", 1),
    ("llama_f16", 1),
    ("llama_bf16", 1),
    ("mistral_bf16", 1),
    ("qwen2_f16", 1),
    ("qwen2_bf16", 1),
    ("qwen3_f16", 2),
    ("qwen3_bf16", 1),
    ("smollm3_bf16", 1),
];

/// Every case that a GGUF file can hold: its metadata have no place for YaRN's rarer settings, for lists of layers without
/// positions, nor for Mistral's and Qwen2's windows.
const GGUFS: [&str; 17] = [
    "llama2_mha",
    "llama3_gqa",
    "llama_linear",
    "llama_biases",
    "llama_q8_0",
    "llama_f16",
    "llama_bf16",
    "mistral_nemo",
    "qwen2",
    "qwen2_yarn",
    "qwen2_f16",
    "qwen2_bf16",
    "qwen3",
    "qwen3_wide",
    "smollm2_tiny",
    "smollm3",
    "smollm3_bf16",
];

/// Loads the folders of the cases that are stored in one of these ways, and compares their logits.
fn folders(stored: &[Stored]) {
    let bench = Bench::open();
    for (name, files) in FOLDERS {
        let case = Case::read(name);
        if stored.contains(&case.stored) {
            let folder = if files == 1 { folder::whole(&case) } else { folder::sharded(&case, files) };
            let model = bench.load(folder).unwrap_or_else(|e| panic!("{name}: {e}"));
            bench.compare(&model, &case, &format!("({:?}, {files} safetensors)", case.stored));
        }
    }
}

#[test]
fn logits_of_f32_folders_are_those_of_transformers() {
    folders(&[Stored::F32]);
}

#[test]
fn logits_of_f16_and_bf16_folders_are_those_of_transformers() {
    folders(&[Stored::F16, Stored::BF16]);
}

#[test]
fn logits_of_gguf_files_are_those_of_transformers() {
    let bench = Bench::open();
    for name in GGUFS {
        let case = Case::read(name);
        let files = Files::from([("model.gguf".to_string(), gguf::file(&case, case.stored, Without::default()))]);
        let model = bench.load(files).unwrap_or_else(|e| panic!("{name}: {e}"));
        bench.compare(&model, &case, &format!("({:?}, gguf)", case.stored));
    }
}

#[test]
fn no_golden_case_is_forgotten() {
    let mut used: Vec<&str> = FOLDERS.iter().map(|f| f.0).chain(GGUFS).collect();
    used.sort();
    used.dedup();
    assert_eq!(used, Case::names());
}

/// A prompt's length decides which kernels run and how it is cut into chunks, but not the logits.
#[test]
fn logits_do_not_depend_on_the_length_of_the_prompt() {
    let bench = Bench::open();
    for name in ["llama2_mha", "mistral_window", "qwen3", "smollm3"] {
        let case = Case::read(name);
        let vocab = case.vocab();
        let model = bench.load(folder::whole(&case)).unwrap();
        for n in [1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 199] {
            let got = logits(&model, &case.tokens[..n]);
            tolerance::check(
                &format!("{name}, the first {n} tokens"),
                &case.logits[..n * vocab],
                &got,
                run::tolerance(&case),
            );
        }
    }
}
