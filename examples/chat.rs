//! Chat on the command line, natively: `cargo run --release --example chat -- FILE_OR_FOLDER "prompt" [options]`.
//!
//! Options: `--max-tokens N`, `--temperature T`, `--seed S`, `--raw` (continue the prompt, without the chat template),
//! `--tier base|subgroups|f16`, `--family NAME`, `--stats` (counts and times on stderr).

use inkstone::gpu::{Family, Gpu, GpuOptions, Tier};
use inkstone::language::{GenerateOptions, LanguageModel, LoadOptions};
use inkstone::load::{Abort, DiskFiles};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: chat FILE_OR_FOLDER PROMPT [--max-tokens N] [--temperature T] [--seed S] [--raw] [--tier T] [--family F] [--stats]";

fn main() -> ExitCode {
    match pollster::block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let mut words = Vec::new();
    let mut gpu = GpuOptions::default();
    let mut options = GenerateOptions { max_tokens: Some(256), ..Default::default() };
    let mut stats = false;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
        let number = |text: String| text.parse::<f64>().map_err(|_| format!("{text} is no number\n{USAGE}"));
        match arg.as_str() {
            "--max-tokens" => options.max_tokens = Some(number(value()?)? as usize),
            "--temperature" => options.temperature = number(value()?)? as f32,
            "--seed" => options.seed = Some(number(value()?)? as u64),
            "--raw" => options.raw = true,
            "--tier" => gpu.tier = Some(Tier::from_name(&value()?).ok_or(USAGE)?),
            "--family" => gpu.family = Some(Family::from_name(&value()?).ok_or(USAGE)?),
            "--stats" => stats = true,
            _ if arg.starts_with("--") => return Err(format!("unknown option {arg}\n{USAGE}")),
            _ => words.push(arg),
        }
    }
    let [model, prompt] = words.as_slice() else { return Err(USAGE.into()) };
    let text = |e: inkstone::Error| e.to_string();
    let gpu = Gpu::open(&gpu).await.map_err(text)?;
    let files = DiskFiles::open(Path::new(model)).map_err(text)?;
    let abort = Abort::default();
    let model = LanguageModel::load(&gpu, &files, &LoadOptions::default(), &(), &abort).await.map_err(text)?;
    let show = |answer: &str, thought: &str| {
        print!("{thought}{answer}");
        // A closed pipe is no reason to stop computing what nobody reads: the next print ends the program.
        let _ = std::io::stdout().flush();
    };
    let result = model.generate(&prompt.as_str().into(), &options, &show, &abort).await.map_err(text)?;
    println!();
    if stats {
        eprintln!("{:#?}\n{:#?}\n{:?}\n{:?}", model.info(), gpu.counters(), result.usage, result.timings);
    }
    Ok(())
}
