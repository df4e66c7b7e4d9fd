//! Whole runs of every sampler, interpreted here, against diffusers.

use crate::{distance, floats};
use inkstone::config::diffusion::scheduler::{Prediction, SchedulerConfig};
use inkstone::image::noise::TorchRng;
use inkstone::image::scheduler::{Program, SLOTS, Sampler, program};
use std::collections::BTreeMap;

/// Latents of a picture.
const COUNT: usize = 16;

/// How far the end of a run may be from diffusers', which computes in float32 what is in double precision here. Latents
/// are of size 1 for the most part; where a schedule makes them large, this is relative to the largest.
const LIMIT: f64 = 2e-5;

/// The same where latents are 4096 times as large at the start as at the end, in float32 in both programs.
const LIMIT_ZERO_SNR: f64 = 1e-3;

/// Configuration, sampler, steps, strength, mask, eta and how many timesteps there are.
type Run = (String, Option<String>, usize, Option<f32>, bool, f32, usize);

#[derive(serde::Deserialize)]
struct Golden {
    configs: BTreeMap<String, serde_json::Value>,
    runs: Vec<Run>,
}

/// The predictor of the recipe.
fn predict(x: f32, t: f32, prediction: Prediction) -> f32 {
    let (x, t) = (f64::from(x), f64::from(t));
    let out = match prediction {
        Prediction::V => (0.7 * x - 0.4 * (t / 130.0).cos()).tanh() - 0.2,
        _ => (1.1 * x + 0.3 * (t / 90.0).sin()).tanh(),
    };
    out as f32
}

fn original(i: usize) -> f32 {
    (2.0 * i as f64 + 1.0).sin() as f32
}

/// What the device does: one number of every plane at a time, in float32.
fn run(program: &Program, rng: &mut TorchRng, prediction: Prediction, mask: bool) -> Vec<f32> {
    let first = rng.randn(COUNT);
    let start = |i: usize| program.start[0] * original(i) + program.start[1] * first[i];
    let mut x: Vec<f32> = (0..COUNT).map(start).collect();
    let mut planes = vec![[0f32; 4]; COUNT];
    for stage in &program.stages {
        let noise = if stage.noise { rng.randn(COUNT) } else { vec![0.0; COUNT] };
        for i in 0..COUNT {
            let out = predict(stage.input_scale * x[i], stage.timestep, prediction);
            let m = stage.convert[0] * x[i] + stage.convert[1] * out;
            let [saved, h1, h2, h3] = planes[i];
            let v = [x[i], saved, m, h1, h2, h3, noise[i]];
            let dot = |row: &[f32; SLOTS]| row.iter().zip(v).map(|(a, b)| a * b).sum::<f32>();
            x[i] = dot(&stage.next);
            planes[i] = if stage.shift { [dot(&stage.save), m, h1, h2] } else { [dot(&stage.save), h1, h2, h3] };
            if mask && i % 2 == 0 {
                x[i] = stage.known[0] * original(i) + stage.known[1] * first[i];
            }
        }
    }
    x
}

#[test]
fn every_sampler_ends_where_that_of_diffusers_ends() {
    let golden: Golden = serde_json::from_str(include_str!("golden/cases.json")).unwrap();
    let numbers = floats(include_bytes!("golden/cases.f32"));
    let mut read = numbers.as_slice();
    let mut take = |n: usize| read.split_off(..n).unwrap();
    let mut worst: BTreeMap<&str, (f64, f64, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (seed, (name, sampler, steps, strength, mask, eta, count)) in golden.runs.iter().enumerate() {
        let (timesteps, latents) = (take(*count), take(COUNT));
        let what = format!("{name}, {sampler:?}, {steps} steps, strength {strength:?}, mask {mask}, eta {eta}");
        let config = SchedulerConfig::from_json(golden.configs[name].to_string().as_bytes(), name).unwrap();
        let sampler = match sampler {
            Some(sampler) => Sampler::from_name(sampler).unwrap(),
            None => Sampler::from_config(&config).unwrap(),
        };
        // Inpainting at full strength begins without the image.
        let start = strength.filter(|&s| !(*mask && s == 1.0));
        let program = program(&config, sampler, *steps, start, *eta).unwrap();
        let asked: Vec<f32> = program.stages.iter().map(|s| s.timestep).collect();
        if asked.len() != *count {
            wrong.push(format!("{what}: {} timesteps instead of {count}", asked.len()));
            continue;
        }
        let got = run(&program, &mut TorchRng::new(seed as u64), config.prediction, *mask);
        let largest = latents.iter().fold(1f64, |most, &v| most.max(f64::from(v).abs()));
        let (time, off) = (distance(&asked, timesteps), distance(&got, latents) / largest);
        // Whole timesteps are exact; those between levels go through logarithms in float32.
        let most = if timesteps.iter().all(|t| t.fract() == 0.0) { 0.0 } else { 1e-4 };
        let limit = if config.rescale_betas_zero_snr { LIMIT_ZERO_SNR } else { LIMIT };
        if !(time <= most && off <= limit) {
            wrong.push(format!("{what}: timesteps off by {time:.1e}, latents by {off:.1e}"));
        }
        let most = worst.entry(sampler.name()).or_default();
        *most = (most.0.max(off), most.1.max(time), most.2 + 1);
    }
    for (name, (off, time, runs)) in &worst {
        println!("{name}: {runs} runs, latents off by {off:.1e} at most, timesteps by {time:.1e}");
    }
    assert!(wrong.is_empty(), "{} runs\n{}", wrong.len(), wrong.join("\n"));
    assert!(read.is_empty() && worst.len() == 12 && worst.values().all(|w| w.2 > 60), "{worst:?}");
}
