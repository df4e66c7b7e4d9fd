//! What a token costs the host: the time, and the instructions, which are the same on a busy machine.
//!
//! `cargo bench --bench host`. A model of 30 layers, as SmolLM2-135M has, answers on wgpu's device that computes nothing.
//! Instructions are valgrind's count of a long answer less that of a short one, so that what a call costs is not in it.
//! wgpu checks here what the browser would check in a process of its own: in a tab a token costs less. Host times there are
//! printed by `npm test -- web`.

use inkstone::gpu::{Family, Gpu, GpuOptions};
use inkstone::language::{GenerateOptions, LanguageModel, LoadOptions};
use inkstone::load::{Abort, MemoryFiles, Quantize};
use pollster::block_on;
use std::env;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;
use support::models::case::Case;
use support::models::folder;

const LAYERS: usize = 30;
/// Tokens of an answer.
const SHORT: usize = 17;
const LONG: usize = 273;
/// Names what a process does: "time", or how many tokens it answers with.
const PART: &str = "INKSTONE_HOST_PART";

fn model() -> LanguageModel {
    let mut case = Case::read("smollm2_tiny");
    case.config["num_hidden_layers"] = LAYERS.into();
    let options = GpuOptions { family: Some(Family::Generic), ..GpuOptions::default() };
    let gpu = block_on(Gpu::open(&options)).expect("wgpu's device that computes nothing");
    let options = LoadOptions { quantize: Some(Quantize::None), context_length: Some(512), background: false };
    let files = MemoryFiles(folder::whole(&case));
    block_on(LanguageModel::load(&gpu, &files, &options, &(), &Abort::default())).expect("a model")
}

/// Seconds of an answer of exactly so many tokens.
fn answer(model: &LanguageModel, tokens: usize) -> f64 {
    let options =
        GenerateOptions { raw: true, ignore_eos: true, max_tokens: Some(tokens), ..GenerateOptions::default() };
    let begun = Instant::now();
    let result =
        block_on(model.generate(&"ABCDEFGH".into(), &options, &|_, _| (), &Abort::default())).expect("an answer");
    assert_eq!(result.tokens.len(), tokens);
    begun.elapsed().as_secs_f64()
}

/// This program once more, by way of another one, to do its part on the device that computes nothing.
fn again(way: &[&str], part: &str) -> std::io::Result<String> {
    let this = env::current_exe()?;
    let words: Vec<&OsStr> = way.iter().map(OsStr::new).chain([this.as_os_str()]).collect();
    let device = [("WGPU_BACKEND", "noop"), ("WGPU_NOOP_BACKEND", "1")];
    let output = Command::new(words[0]).args(&words[1..]).envs(device).env(PART, part).output()?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{part}: {text}");
    Ok(text)
}

/// Instructions of a process that gives an answer of so many tokens; none where there is no valgrind.
fn instructions(tokens: usize) -> Option<u64> {
    let text = again(&["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"], &tokens.to_string()).ok()?;
    let count = text.lines().find_map(|line| line.split_once("Collected : "));
    Some(count.unwrap_or_else(|| panic!("what valgrind collected: {text}")).1.trim().parse().expect("a count"))
}

/// Prints what a token takes, the median of some tries.
fn time() {
    let model = model();
    let each = |_| (answer(&model, LONG) - answer(&model, SHORT)) / (LONG - SHORT) as f64;
    let mut tries: Vec<f64> = (0..21).map(each).collect();
    tries.sort_by(f64::total_cmp);
    println!("{} dispatches, {:.1} us", model.info().dispatches[0], tries[tries.len() / 2] * 1e6);
}

fn main() {
    match env::var(PART).as_deref() {
        Ok("time") => time(),
        Ok(tokens) => {
            answer(&model(), tokens.parse().expect("a count"));
        }
        Err(_) => {
            let time = again(&[], "time").expect("this program runs");
            println!("a token of {LAYERS} layers, on a device that computes nothing: {}", time.trim());
            match [SHORT, LONG].map(instructions) {
                [Some(short), Some(long)] => println!("its instructions: {}", (long - short) / (LONG - SHORT) as u64),
                _ => println!("its instructions: install valgrind to count them"),
            }
        }
    }
}
