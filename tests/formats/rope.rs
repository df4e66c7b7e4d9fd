//! Rotary frequencies against those of transformers (`tools/golden/rope.py` wrote them).

use inkstone::config::language::{LanguageConfig, Rope, RopeScaling};

const FREQS: &str = "rope_freqs.weight";

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    config: serde_json::Value,
    inv_freq: Vec<f64>,
    factor: f64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("rope.json")).unwrap()
}

fn relative(got: f64, want: f64) -> f64 {
    (got - want).abs() / want.abs()
}

#[test]
fn agrees_with_transformers() {
    let mut worst = 0f64;
    let cases = cases();
    for case in &cases {
        let config = LanguageConfig::from_json(case.config.to_string().as_bytes(), "config.json").unwrap();
        let (inv_freq, factor) = config.ropes[0].table();
        assert_eq!(inv_freq.len(), case.inv_freq.len(), "{}", case.name);
        let worst_here = inv_freq.iter().zip(&case.inv_freq).map(|(&got, &want)| relative(got.into(), want));
        let worst_here = worst_here.fold(relative(factor.into(), case.factor), f64::max);
        assert!(worst_here <= 1e-6, "{}: {worst_here:e}", case.name);
        worst = worst.max(worst_here);
    }
    println!("rope: {} settings, largest relative difference {worst:.1e}", cases.len());
    assert_eq!(cases.len(), 18);
}

#[test]
fn the_settings_are_told_apart() {
    // If scaling were ignored, these would pass only by accident: they must differ from the unscaled frequencies.
    for case in cases() {
        let mut config = LanguageConfig::from_json(case.config.to_string().as_bytes(), "config.json").unwrap();
        let scaled = config.ropes[0].scaling != RopeScaling::None;
        config.ropes[0].scaling = RopeScaling::None;
        let (inv_freq, _) = config.ropes[0].table();
        let worst = inv_freq.iter().zip(&case.inv_freq).map(|(&got, &want)| relative(got.into(), want));
        let worst = worst.fold(relative(1.0, case.factor), f64::max);
        assert_eq!(worst > 1e-3, scaled, "{}: {worst:e}", case.name);
    }
}

#[test]
fn divisors_of_a_gguf_file_stretch_as_llama3_does() {
    // Converters store for each frequency how much it is to be divided by.
    let case = cases().into_iter().find(|c| c.name == "llama 3.2").unwrap();
    let mut rope = Rope { base: 500_000.0, dims: 64, interleaved: true, scaling: RopeScaling::None };
    let plain = rope.table().0;
    let divisors = plain.iter().zip(&case.inv_freq).map(|(&p, &f)| (f64::from(p) / f) as f32).collect();
    rope.set_factors(FREQS, divisors, "m.gguf").unwrap();
    let (inv_freq, factor) = rope.table();
    assert_eq!(factor, 1.0);
    assert!(inv_freq.iter().zip(&case.inv_freq).all(|(&got, &want)| relative(got.into(), want) < 1e-6));
}

#[test]
fn divisors_that_cannot_be() {
    let rope = || Rope { base: 10_000.0, dims: 8, interleaved: true, scaling: RopeScaling::None };
    assert!(rope().set_factors(FREQS, vec![1.0; 4], "m.gguf").is_ok());
    for bad in
        [vec![], vec![1.0; 3], vec![1.0; 5], vec![0.0; 4], vec![-1.0; 4], vec![f32::NAN; 4], vec![f32::INFINITY; 4]]
    {
        assert_eq!(rope().set_factors(FREQS, bad, "m.gguf").unwrap_err().code(), "Format");
    }
    let mut linear = Rope { scaling: RopeScaling::Linear { factor: 2.0 }, ..rope() };
    linear.set_factors(FREQS, vec![1.0, 1.0, 2.0, 4.0], "m.gguf").unwrap();
    assert_eq!(linear.scaling, RopeScaling::Factors(vec![2.0, 2.0, 4.0, 8.0]));
    let scaling =
        RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192.0 };
    let error = Rope { scaling, ..rope() }.set_factors(FREQS, vec![1.0; 4], "m.gguf").unwrap_err();
    assert_eq!(error.code(), "Unsupported");
}
