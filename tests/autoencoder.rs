//! Decoding and encoding pictures: against `diffusers` (tests/images/README.md says how its numbers were made), and band
//! by band against all at once.
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another.

mod autoencoder {
    mod bands;
    mod cost;
    pub mod load;
}

use autoencoder::load::{self, Loaded};
use support::gpu::each_setup;
use support::images::case::{Model, Run};

/// Every golden model that has runs of an autoencoder.
const MODELS: [&str; 7] = ["vae_sd1", "vae_flux", "vae_plain", "vae_tiny", "vae_tiny_odd", "vae_sd1_f16", "emoji"];
/// Absolute: `rounding` of the golden files says that float32 itself takes a hundredth of it.
const TOLERANCE: f32 = 1e-3;
/// Enough for everything at once.
const PLENTY: u64 = 1 << 30;

/// The largest difference to what diffusers computed.
fn error(loaded: &Loaded, run: &Run, budget: u64) -> f32 {
    let (want, got) = match run.of() {
        "decode" => {
            let latents = load::rows(
                &run.input("sample", loaded.latents() * run.size().iter().product::<usize>()),
                loaded.latents(),
            );
            let factor = loaded.vae.config.scaling_factor();
            let shift = loaded.vae.config.shift_factor();
            // diffusers leaves what pipelines do before to them.
            let scaled: Vec<f32> = latents.iter().map(|v| (v - shift) * factor).collect();
            (run.result("image"), loaded.decode(&scaled, run.size(), budget))
        }
        "encode" => {
            let pixels = load::rows(&run.pixels(), 3);
            let name = if run.kept().iter().any(|k| *k == "moments") { "moments" } else { "latents" };
            (run.result(name), loaded.encode(&pixels, run.size(), budget))
        }
        other => panic!("{} is no run of an autoencoder: {other}", run.title),
    };
    assert_eq!(want.values.len(), got.len(), "{}", run.title);
    load::worst(&load::rows(&want.values, want.shape[0]), &got)
}

fn of_autoencoder(run: &Run) -> bool {
    matches!(run.of(), "decode" | "encode")
}

#[test]
fn pictures_and_moments_are_those_of_diffusers() {
    each_setup(|setup, gpu| {
        for name in MODELS {
            let model = Model::read(name);
            let loaded = Loaded::of(gpu, &model);
            for run in model.runs.iter().filter(|r| of_autoencoder(r)) {
                let error = error(&loaded, run, PLENTY);
                println!("{}, {setup}: {error:.1e}", run.title);
                assert!(error <= TOLERANCE, "{}, {setup}: off by {error:.2e}", run.title);
            }
        }
    });
}

#[test]
fn no_golden_run_is_forgotten() {
    let named = |name: &String| Model::read(name).runs.iter().any(of_autoencoder);
    let mut used = MODELS.map(String::from);
    used.sort();
    assert_eq!(used.to_vec(), Model::names().into_iter().filter(named).collect::<Vec<_>>());
}
