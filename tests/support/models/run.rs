//! A device to try models on, and the comparison of a model with its golden case.

use super::case::Case;
use super::folder::Files;
use super::weights::Stored;
use crate::tolerance::{Tolerance, check, compare};
use inkstone::Error;
use inkstone::gpu::{Family, Gpu, GpuOptions, Tier};
use inkstone::language::{GenerateOptions, GenerationResult, LanguageModel, LoadOptions};
use inkstone::load::{Abort, ByteSource, MemoryFiles, Quantize};
use pollster::block_on;
use serde_json::Value;
use std::rc::Rc;

/// An open device.
pub struct Bench {
    /// The device.
    pub gpu: Rc<Gpu>,
}

/// The index of the largest number; the first of equals.
pub fn best(row: &[f32]) -> u32 {
    let mut at = 0;
    for (i, x) in row.iter().enumerate() {
        if *x > row[at] {
            at = i;
        }
    }
    at as u32
}

impl Bench {
    /// The platform's device, at the tier that `INKSTONE_TIER` allows.
    pub fn open() -> Bench {
        let tier = std::env::var("INKSTONE_TIER").ok().map(|name| {
            Tier::from_name(&name).unwrap_or_else(|| panic!("INKSTONE_TIER is {name}: base, subgroups or f16"))
        });
        Bench::at(tier)
    }

    /// The platform's device, at a tier or the best it has, with the adapter's own kernels or those of the family that
    /// `INKSTONE_FAMILY` names.
    pub fn at(tier: Option<Tier>) -> Bench {
        let family = std::env::var("INKSTONE_FAMILY").ok().map(|name| {
            Family::from_name(&name).unwrap_or_else(|| panic!("INKSTONE_FAMILY is {name}: software, generic, ..."))
        });
        Bench::of(tier, family)
    }

    /// The platform's device, at a tier or the best it has, with the kernels of a family or the adapter's own.
    pub fn of(tier: Option<Tier>, family: Option<Family>) -> Bench {
        let gpu = block_on(Gpu::open(&GpuOptions { tier, family, ..GpuOptions::default() }));
        let gpu = gpu.expect("a Vulkan driver is there");
        let adapter = gpu.adapter();
        println!("on {} ({}, {})", adapter.name, adapter.tier.name(), adapter.family.name());
        Bench { gpu }
    }

    /// Bytes that live on the GPU.
    pub fn live_bytes(&self) -> u64 {
        self.gpu.counters().live_bytes.get()
    }

    /// Loads a model whose weights stay as the file has them, with a cache for `context` positions.
    pub fn load_from(&self, files: &dyn ByteSource, context: usize) -> Result<LanguageModel, Error> {
        let options = LoadOptions { quantize: Some(Quantize::None), context_length: Some(context), background: false };
        block_on(LanguageModel::load(&self.gpu, files, &options, &(), &Abort::default()))
    }

    /// Loads a made-up model.
    pub fn load(&self, files: Files) -> Result<LanguageModel, Error> {
        self.load_from(&MemoryFiles(files), 1200)
    }

    /// Runs a case and says how its logits and best tokens differ from the golden ones, if they do.
    pub fn differs(&self, model: &LanguageModel, case: &Case, how: &str, tolerance: Tolerance) -> Option<String> {
        let (vocab, all) = (case.vocab(), logits(model, &case.tokens));
        let got: Vec<f32> = case.rows.iter().flat_map(|r| &all[r * vocab..(r + 1) * vocab]).copied().collect();
        match compare(&case.logits, &got, tolerance) {
            Ok(d) => {
                println!("{:40} NMSE {:.1e}, worst element {:.1e}", format!("{} {how}", case.name), d.nmse, d.peak)
            }
            Err(e) => return Some(e),
        }
        let best = |row: usize| best(&all[row * vocab..(row + 1) * vocab]);
        let wrong = (0..case.tokens.len()).find(|&row| best(row) != case.top1[row])?;
        Some(format!("the best token of position {wrong}"))
    }

    /// Runs a case and compares its logits and best tokens with the golden ones.
    #[track_caller]
    pub fn compare(&self, model: &LanguageModel, case: &Case, how: &str) {
        let name = format!("{} {how}", case.name);
        let all = logits(model, &case.tokens);
        let vocab = case.vocab();
        assert_eq!(all.len(), case.tokens.len() * vocab, "{name}: logits");
        let got: Vec<f32> = case.rows.iter().flat_map(|r| &all[r * vocab..(r + 1) * vocab]).copied().collect();
        let d = check(&name, &case.logits, &got, tolerance(case));
        let judged: Vec<usize> = match case.top1.len() == case.tokens.len() {
            true => (0..case.tokens.len()).collect(),
            false => case.rows.clone(),
        };
        for (&row, &want) in judged.iter().zip(&case.top1) {
            assert_eq!(best(&all[row * vocab..(row + 1) * vocab]), want, "{name}: the best token of position {row}");
        }
        println!(
            "{name:40} NMSE {:.1e}, worst element {:.1e}, {} rows of {vocab}; best tokens equal at {} positions",
            d.nmse,
            d.peak,
            case.rows.len(),
            judged.len()
        );
    }
}

/// The row of the tolerance table for a case.
pub fn tolerance(case: &Case) -> Tolerance {
    match case.stored {
        Stored::F32 => Tolerance::LogitsF32,
        Stored::F16 | Stored::BF16 => Tolerance::LogitsHalf,
        Stored::Q8_0 => Tolerance::LogitsF16,
    }
}

/// Logits of every position: tokens x vocab.
pub fn logits(model: &LanguageModel, tokens: &[u32]) -> Vec<f32> {
    block_on(model.logits(tokens)).unwrap_or_else(|e| panic!("logits of {} tokens: {e}", tokens.len()))
}

/// An answer to a text or to messages.
pub fn generate(model: &LanguageModel, input: &Value, options: &GenerateOptions) -> GenerationResult {
    let answer = block_on(model.generate(input, options, &|_, _| (), &Abort::default()));
    answer.unwrap_or_else(|e| panic!("an answer to {input}: {e}"))
}
