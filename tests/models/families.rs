//! Every family, against `transformers`: folders and GGUF files, one token at a time, and what is left of earlier calls where
//! layers do not keep all positions.

use super::decode::{compare, continued, letters};
use inkstone::language::{FinishReason, GenerateOptions};
use inkstone::load::{Abort, MemoryFiles};
use pollster::block_on;
use support::models::case::Case;
use support::models::family_gguf;
use support::models::folder::{self, Files};
use support::models::run::{self, Bench, logits};
use support::tolerance::{Tolerance, compare as compare_logits};

/// Cases that are refused, in these words: their heads have norms with weights, or means, of their own.
const REFUSED: [(&str, &str); 2] = [
    ("cohere", "norms with other weights for each head"),
    ("stablelm_parallel", "norms with other weights for each head"),
];

/// Whether loading a case said what it should.
fn refused(name: &str, e: &inkstone::Error) -> bool {
    let says = REFUSED.iter().find(|r| r.0 == name).map(|r| r.1);
    says.is_some_and(|says| matches!(e, inkstone::Error::Unsupported { what } if what.contains(says)))
}

/// Loads the folders of these cases of `families/` and compares their logits.
fn folders(names: impl IntoIterator<Item = String>) {
    let bench = Bench::open();
    let mut wrong = Vec::new();
    for name in names {
        let case = Case::read(&name);
        match bench.load(folder::whole(&case)) {
            Ok(model) => wrong.extend(
                bench.differs(&model, &case, "(safetensors)", run::tolerance(&case)).map(|e| format!("{name}: {e}")),
            ),
            Err(e) if refused(&name, &e) => {}
            Err(e) => wrong.push(format!("{name}: {e}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The kernels of every kind of layer are right on every driver.
#[test]
fn logits_of_each_kind_of_layer_are_those_of_transformers() {
    folders(KINDS.map(String::from));
}

/// The other cases, in both spellings where a case has one, run the same kernels with other numbers.
#[test]
fn logits_of_other_families_are_those_of_transformers() {
    folders(Case::families().into_iter().filter(|name| !KINDS.contains(&name.as_str())));
}

/// The GGUF file of every case that llama.cpp's converter can write.
#[test]
fn logits_of_families_gguf_files_are_those_of_transformers() {
    let bench = Bench::open();
    let mut wrong = Vec::new();
    for name in Case::families() {
        let case = Case::read(&name);
        let Some(file) = family_gguf::family_file(&case) else { continue };
        let manifest = family_gguf::manifest(&case).unwrap();
        // The converter adds the one of norms in f16.
        let rounds = manifest["error"].as_f64().is_some_and(|e| e > 0.0);
        let tolerance = if rounds { Tolerance::LogitsF16 } else { run::tolerance(&case) };
        match bench.load(Files::from([("model.gguf".to_string(), file)])) {
            Ok(model) if manifest["same"] == true => {
                wrong.extend(bench.differs(&model, &case, "(gguf)", tolerance).map(|e| format!("{name}: {e}")));
            }
            Ok(model) => {
                // The file cannot say all that config.json does: it means another model, which has a folder too.
                let mut config = case.config.clone();
                config.as_object_mut().unwrap().extend(manifest["means"].as_object().unwrap().clone());
                let other = Case { config, ..case };
                let folder = bench.load(folder::whole(&other)).unwrap_or_else(|e| panic!("{name}: {e}"));
                let (want, got) = (logits(&folder, &other.tokens), logits(&model, &other.tokens));
                wrong.extend(compare_logits(&want, &got, tolerance).err().map(|e| format!("{name}: {e}")));
            }
            Err(e) if refused(&name, &e) => {}
            Err(e) => wrong.push(format!("{name} (gguf): {e}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// One of each kind of layer and state; the other families differ from these in numbers.
const KINDS: [&str; 16] = [
    "gemma2",
    "gemma3",
    "gemma_512",
    "phi3",
    "olmo_clip",
    "olmo2",
    "olmo3",
    "granite",
    "lfm2",
    "lfm3",
    "ministral3",
    "hunyuan",
    "cohere2",
    "gpt2",
    "gpt_neox",
    "phi",
];

#[test]
fn families_decode_one_by_one_as_all_at_once() {
    let bench = Bench::open();
    for name in KINDS {
        let case = Case::read(name);
        let model = bench.load(folder::whole(&case)).unwrap();
        for (length, count) in [(1, 20), (70, 60)] {
            let text = letters(length, 5);
            let answer = continued(&model, &text, count);
            compare(&model, &case, &text, &answer, &format!("{name}, {count} tokens after {length}"));
        }
    }
}

/// Windows keep the latest positions alone, and convolutions fewer still: what they cannot be taken back to is fed again.
#[test]
fn layers_that_forget_answer_as_if_nothing_had_been_before() {
    let bench = Bench::open();
    for name in ["gemma3", "lfm2", "lfm3", "exaone4"] {
        let case = Case::read(name);
        let model = bench.load(folder::whole(&case)).unwrap();
        let fresh = bench.load(folder::whole(&case)).unwrap();
        let start = letters(130, 3);
        let first = continued(&model, &start, 100);
        // After a hundred tokens more than a ring holds: the copy from before the prompt's last chunk is all there is.
        for (what, text, least) in [
            ("the same again", start.clone(), 1),
            ("the same once more", start.clone(), 1),
            ("with its answer", format!("{start}{}", model.tokenizer().decode(&first.tokens)), 0),
            ("another end", format!("{}{}", &start[..60], letters(50, 11)), 0),
            ("shorter", start[..40].to_string(), 0),
            ("one letter more", letters(41, 3), 1),
            ("another", letters(45, 7), 0),
        ] {
            let answer = continued(&model, &text, 60);
            let cached = answer.usage.cached_tokens;
            assert!(cached >= least && cached < answer.usage.prompt_tokens, "{name}, {what}: {cached} tokens reused");
            compare(&fresh, &case, &text, &answer, &format!("{name}, {what}"));
        }
    }
}

#[test]
fn an_abort_leaves_layers_that_forget_whole() {
    let bench = Bench::open();
    for name in ["gemma3", "lfm2"] {
        let case = Case::read(name);
        let model = bench.load(folder::whole(&case)).unwrap();
        let fresh = bench.load(folder::whole(&case)).unwrap();
        let text = letters(50, 3);
        let abort = Abort::default();
        let options =
            GenerateOptions { raw: true, ignore_eos: true, max_tokens: Some(90), ..GenerateOptions::default() };
        let heard = std::cell::Cell::new(0);
        let hear = |_: &str, _: &str| {
            heard.set(heard.get() + 1);
            if heard.get() == 30 {
                abort.abort();
            }
        };
        let answer = block_on(model.generate(&text.as_str().into(), &options, &hear, &abort)).unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Abort, "{name}");
        let more = format!("{text}{}!", answer.text);
        for text in [more, text] {
            compare(&fresh, &case, &text, &continued(&model, &text, 40), &format!("{name}, after an abort"));
        }
    }
}

/// A sequence that grows long turns all of its queries and keys another way: keys that were made before are made again.
#[test]
fn longrope_turns_the_whole_sequence_when_it_grows_long() {
    let bench = Bench::open();
    let case = Case::read("phi3_longrope");
    let at = case.config["original_max_position_embeddings"].as_u64().unwrap() as usize;
    let model = bench.load(folder::whole(&case)).unwrap();
    let fresh = bench.load(folder::whole(&case)).unwrap();
    for (length, count) in [(at - 10, 40), (at - 1, 10), (at, 10), (at + 20, 10), (20, 20), (at - 10, 40)] {
        let text = letters(length, 5);
        let prompt = model.tokenizer().encode(&text, true);
        let answer = continued(&model, &text, count);
        assert_eq!(answer.tokens.len(), count);
        let tokens: Vec<u32> = prompt.iter().chain(&answer.tokens).copied().collect();
        let (short, long) = (logits(&fresh, &tokens[..at.min(tokens.len())]), logits(&fresh, &tokens));
        for (i, said) in answer.logprobs.as_ref().unwrap().iter().enumerate() {
            let row = prompt.len() - 1 + i;
            let all = if row < at { &short } else { &long };
            let row = &all[row * case.vocab()..(row + 1) * case.vocab()];
            assert_eq!(said.token, run::best(row), "token {i} after {length}");
        }
    }
}

/// A layer with a window holds a ring of it, not the whole context.
#[test]
fn layers_with_windows_keep_little_more_than_they_see() {
    let bench = Bench::open();
    const CONTEXT: u64 = 2048;
    let mut case = Case::read("gemma3");
    case.config["max_position_embeddings"] = CONTEXT.into();
    let number = |key: &str| case.config[key].as_u64().unwrap();
    let model = bench.load_from(&MemoryFiles(folder::whole(&case)), CONTEXT as usize).unwrap();
    assert_eq!(model.info().context_length as u64, CONTEXT);
    // Keys and values of f32 for every position in every layer.
    let whole = number("num_hidden_layers") * CONTEXT * number("num_key_value_heads") * number("head_dim") * 2 * 4;
    let kept = model.info().bytes.cache;
    println!("{kept} bytes of state, where all positions in all layers would take {whole}");
    assert!(kept * 4 <= whole, "{kept} bytes of {whole}");
}
