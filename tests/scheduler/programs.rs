//! What holds for the rows of every sampler, without an oracle.

use inkstone::config::diffusion::scheduler::{BetaSchedule, Prediction, SchedulerConfig, Spacing};
use inkstone::image::scheduler::{Program, SLOTS, Sampler, program};
use serde_json::{Value, json};

fn samplers() -> impl Iterator<Item = Sampler> {
    Sampler::ALL.into_iter()
}

/// The configuration of a latent model with some settings changed.
fn config(changes: Value) -> SchedulerConfig {
    let mut json = json!({
        "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000, "set_alpha_to_one": true, "steps_offset": 1, "clip_sample": false
    });
    for (key, value) in changes.as_object().unwrap() {
        json[key] = value.clone();
    }
    SchedulerConfig::from_json(json.to_string().as_bytes(), "scheduler_config.json").unwrap()
}

fn epsilon() -> SchedulerConfig {
    config(json!({}))
}

fn velocity() -> SchedulerConfig {
    config(json!({"prediction_type": "v_prediction"}))
}

#[test]
fn names_are_told_apart() {
    let names: Vec<_> = samplers().map(Sampler::name).collect();
    for name in ["ddim", "euler", "euler_a", "heun", "dpmpp_2m", "dpmpp_2m_karras", "lcm", "unipc", "pndm", "lms"] {
        assert!(names.contains(&name), "{name}");
    }
    for sampler in samplers() {
        assert_eq!(Sampler::from_name(sampler.name()), Some(sampler));
    }
    for name in ["", "DDIM", "DDIMScheduler", "dpm"] {
        assert_eq!(Sampler::from_name(name), None);
    }
    for class in ["", "TCDScheduler", "DPMSolverSinglestepScheduler"] {
        let error = Sampler::from_config(&config(json!({"_class_name": class}))).unwrap_err();
        assert_eq!(error.code(), "Unsupported", "{class}");
    }
    let karras = |on| config(json!({"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": on}));
    assert_eq!(Sampler::from_config(&karras(true)).unwrap(), Sampler::Dpmpp2mKarras);
    assert_eq!(Sampler::from_config(&karras(false)).unwrap(), Sampler::Dpmpp2m);
}

/// Levels of noise at which a program's stages evaluate, as `[picture, noise]`.
fn levels(program: &Program) -> Vec<[f32; 2]> {
    let known = program.stages.iter().map(|s| s.known);
    [program.start].into_iter().chain(known).take(program.stages.len()).collect()
}

#[test]
fn estimates_are_the_picture_when_the_predictor_is_right() {
    let (picture, noise) = (0.7f32, -1.3f32);
    for config in [epsilon(), velocity()] {
        for sampler in samplers() {
            let program = program(&config, sampler, 12, Some(1.0), 0.0).unwrap();
            for (stage, [a, s]) in program.stages.iter().zip(levels(&program)) {
                let x = a * picture + s * noise;
                let (a, s) = (a * stage.input_scale, s * stage.input_scale);
                assert!((a * a + s * s - 1.0).abs() < 1e-5, "{sampler:?}: the predictor sees latents of another size");
                let out = if config.prediction == Prediction::V { a * noise - s * picture } else { noise };
                let got = stage.denoised[0] * x + stage.denoised[1] * out;
                assert!((got - picture).abs() < 1e-4, "{sampler:?} at {}: {got}", stage.timestep);
            }
        }
    }
}

#[test]
fn every_sampler_finds_the_one_picture_there_is() {
    // A predictor that knows the picture says how much of x is noise.
    let picture = 0.7f32;
    for config in [epsilon(), velocity()] {
        for sampler in samplers() {
            for (steps, strength) in [(1, None), (2, None), (30, None), (30, Some(0.5)), (30, Some(1.0))] {
                // Diffusers leaves out or mixes up a step of these; see the samplers.
                let mixes = sampler == Sampler::Pndm && (config.prediction == Prediction::V || strength == Some(0.5))
                    || sampler == Sampler::Lms && strength == Some(0.5);
                if mixes {
                    continue;
                }
                let from_image = program(&config, sampler, steps, strength.or(Some(1.0)), 0.5).unwrap();
                let program = program(&config, sampler, steps, strength, 0.5).unwrap();
                let levels = levels(&from_image);
                let (mut x, mut planes) = (program.start[0] * picture - 1.3 * program.start[1], [0f32; 4]);
                for (stage, [a, s]) in program.stages.iter().zip(levels) {
                    let (a, s, input) = (a * stage.input_scale, s * stage.input_scale, x * stage.input_scale);
                    let noise = (input - a * picture) / s;
                    let out = if config.prediction == Prediction::V { a * noise - s * picture } else { noise };
                    let m = stage.convert[0] * x + stage.convert[1] * out;
                    let [saved, h1, h2, h3] = planes;
                    let v = [x, saved, m, h1, h2, h3, 0.9];
                    let dot = |row: &[f32; SLOTS]| row.iter().zip(v).map(|(a, b)| a * b).sum::<f32>();
                    x = dot(&stage.next);
                    planes = if stage.shift { [dot(&stage.save), m, h1, h2] } else { [dot(&stage.save), h1, h2, h3] };
                }
                // DEIS ends at the lowest level of training, where a trace of noise is left.
                let limit = if sampler == Sampler::Deis { 0.05 } else { 1e-3 };
                assert!((x - picture).abs() < limit, "{sampler:?}, {steps} steps, strength {strength:?}: {x}");
            }
        }
    }
}

#[test]
fn timesteps_and_levels_are_those_of_the_tables() {
    let first = |spacing: &str, sampler: &str, steps| {
        let config = config(json!({"timestep_spacing": spacing}));
        program(&config, Sampler::from_name(sampler).unwrap(), steps, None, 0.0).unwrap()
    };
    let sigma = |program: &Program, i: usize| {
        let scale = f64::from(program.stages[i].input_scale);
        (1.0 / (scale * scale) - 1.0).sqrt()
    };
    let eight = first("trailing", "euler", 8);
    let table = [
        (999.0, 14.6146),
        (874.0, 7.2974),
        (749.0, 4.0817),
        (624.0, 2.4925),
        (499.0, 1.6129),
        (374.0, 1.0690),
        (249.0, 0.6932),
        (124.0, 0.3977),
    ];
    for (i, (timestep, level)) in table.into_iter().enumerate() {
        assert_eq!(eight.stages[i].timestep, timestep);
        assert!((sigma(&eight, i) - level).abs() < 1e-4);
    }
    assert!((eight.start[1] - 14.6146).abs() < 1e-4);
    for (steps, timestep, level, start) in [(20, 951.0, 11.0283, 11.0736), (50, 981.0, 13.1204, 13.1585)] {
        let leading = first("leading", "euler", steps);
        assert_eq!(leading.stages[0].timestep, timestep);
        assert!((sigma(&leading, 0) - level).abs() < 1e-4 && (leading.start[1] - start).abs() < 1e-4);
    }
    let asked = |program: Program| program.stages.iter().map(|s| s.timestep).collect::<Vec<_>>();
    assert_eq!(asked(first("leading", "lcm", 4)), [999.0, 759.0, 499.0, 259.0]);
    assert_eq!(asked(first("leading", "pndm", 4)), [751.0, 501.0, 501.0, 251.0, 1.0]);
    assert_eq!(asked(first("leading", "heun", 3)), [667.0, 334.0, 334.0, 1.0, 1.0]);
    // Counts at which numpy's arange has one element more.
    for steps in [61, 103, 487] {
        let trailing = asked(first("trailing", "ddim", steps));
        assert_eq!((trailing.len(), trailing[0]), (steps, 999.0));
        assert!(trailing.is_sorted_by(|a, b| a > b) && trailing[steps - 1] > 0.0);
    }
}

#[test]
fn one_step_starts_from_noise() {
    for spacing in ["leading", "trailing", "linspace"] {
        let config = config(json!({"timestep_spacing": spacing}));
        for sampler in samplers() {
            let program = program(&config, sampler, 1, None, 0.0).unwrap();
            assert_eq!(program.stages.len(), 1, "{sampler:?}");
            assert_eq!(program.stages[0].timestep, 999.0, "{sampler:?}");
            let seen = program.start[1] * program.stages[0].input_scale;
            assert!(seen > 0.997 && seen <= 1.0, "{sampler:?}: {seen}");
        }
    }
}

#[test]
fn stages_belong_to_steps() {
    for sampler in samplers() {
        for (strength, taken) in [(None, 20), (Some(0.3), 6), (Some(0.7), 14), (Some(0.55), 11), (Some(1.0), 20)] {
            let program = program(&epsilon(), sampler, 20, strength, 0.0).unwrap();
            let steps: Vec<_> = program.stages.iter().map(|s| s.step).collect();
            let stages = match sampler {
                Sampler::Heun => 2 * taken - 1,
                Sampler::Pndm => taken + 1,
                _ => taken,
            };
            assert_eq!(steps.len(), stages, "{sampler:?}");
            assert!(steps.is_sorted() && steps[0] == 0 && steps[stages - 1] == taken - 1, "{sampler:?}: {steps:?}");
            let last = &program.stages[stages - 1];
            assert_eq!((last.known, strength.is_some()), ([1.0, 0.0], program.start[0] != 0.0), "{sampler:?}");
            for stage in &program.stages {
                assert_eq!(stage.noise, stage.next[6] != 0.0);
            }
            // Without need nothing is remembered: it would be written for every latent.
            let forgetful =
                matches!(sampler, Sampler::Ddim | Sampler::Ddpm | Sampler::Lcm | Sampler::Euler | Sampler::EulerA);
            assert_eq!(program.stages.iter().any(|s| s.shift), !forgetful, "{sampler:?}");
            let noisy = program.stages.iter().filter(|s| s.noise).count();
            let draws = matches!(sampler, Sampler::EulerA | Sampler::Lcm | Sampler::Ddpm);
            assert_eq!(noisy >= taken - 1, draws, "{sampler:?}");
            assert!(draws || noisy == 0, "{sampler:?}");
        }
    }
}

#[test]
fn numbers_out_of_range_are_errors() {
    let refused = |config: &SchedulerConfig, sampler, steps, strength, eta| {
        let error = program(config, sampler, steps, strength, eta).unwrap_err();
        assert_eq!(error.code(), "Unsupported");
        error.to_string()
    };
    let config_ = epsilon();
    for sampler in samplers() {
        for steps in [0, 1001, usize::MAX] {
            assert!(refused(&config_, sampler, steps, None, 0.0).contains("from 1 to 1000"));
        }
        for strength in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(refused(&config_, sampler, 20, Some(strength), 0.0).contains("strength"));
        }
        // Too little to take a step.
        assert!(refused(&config_, sampler, 4, Some(0.24), 0.0).contains("raise"));
        program(&config_, sampler, 4, Some(0.25), 0.0).unwrap();
        for eta in [-1.0, 1.5, f32::NAN] {
            assert!(refused(&config_, sampler, 20, None, eta).contains("eta"));
        }
    }
    assert!(refused(&config_, Sampler::Lcm, 51, None, 0.0).contains("50"));
}

#[test]
fn settings_that_are_not_supported_are_errors() {
    type Change = fn(&mut SchedulerConfig);
    let cases: [(&str, Sampler, Change); 18] = [
        ("solver_order", Sampler::Dpmpp2m, |c| c.solver_order = 3),
        ("solver_order", Sampler::Dpmpp2m, |c| c.solver_order = 0),
        ("solver_order", Sampler::Unipc, |c| c.solver_order = 3),
        ("algorithm_type", Sampler::Dpmpp2m, |c| c.algorithm_type = Some("sde-dpmsolver".to_string())),
        ("lambda_min_clipped", Sampler::Dpmpp2m, |c| c.lambda_min_clipped = -2.0),
        ("variance_type", Sampler::Ddpm, |c| c.variance_type = Some("learned_range".to_string())),
        ("1 to 0 steps", Sampler::Lcm, |c| c.original_inference_steps = 0),
        ("lcm", Sampler::Lcm, |c| c.original_inference_steps = 2000),
        ("noise schedule", Sampler::Ddim, |c| c.trained_betas = Some(vec![0.1, 0.2])),
        ("noise schedule", Sampler::Euler, |c| c.beta_start = Some(-1.0)),
        ("noise schedule", Sampler::Euler, |c| c.beta_end = Some(1e300)),
        ("noise schedule", Sampler::Euler, |c| c.beta_end = Some(f64::NAN)),
        ("trained with", Sampler::Ddim, |c| c.num_train_timesteps = usize::MAX),
        ("trained with", Sampler::Ddim, |c| c.num_train_timesteps = 1),
        // Only a model that predicts velocities can begin where there is no signal at all.
        ("cannot take", Sampler::Ddim, |c| (c.rescale_betas_zero_snr, c.spacing) = (true, Some(Spacing::Trailing))),
        // Beyond training.
        ("cannot take", Sampler::Ddim, |c| c.steps_offset = 500),
        ("cannot take", Sampler::Pndm, |c| c.steps_offset = i64::MAX),
        ("cannot take", Sampler::Lcm, |c| c.timestep_scaling = f64::NAN),
    ];
    for (what, sampler, change) in cases {
        let mut config = epsilon();
        program(&config, sampler, 20, None, 0.0).unwrap();
        change(&mut config);
        let Err(error) = program(&config, sampler, 20, None, 0.0) else { panic!("{what} with {sampler:?}") };
        assert!(error.code() == "Unsupported" && error.to_string().contains(what), "{what} with {sampler:?}: {error}");
    }
}

/// Picks of a pseudorandom sequence.
struct Picks(u64);

impl Picks {
    fn of<T: Clone>(&mut self, values: &[T]) -> T {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        values[(self.0 >> 33) as usize % values.len()].clone()
    }
}

#[test]
fn no_settings_make_a_panic_or_a_number_that_is_not_finite() {
    let mut pick = Picks(1);
    let (mut made, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut c = epsilon();
        c.num_train_timesteps = pick.of(&[1000, 1000, 1000, 2, 1, 0, 7, 10_000]);
        c.beta_start = pick.of(&[Some(0.00085), Some(0.00085), None, Some(0.0), Some(0.9), Some(-1e-9)]);
        c.beta_end = pick.of(&[Some(0.012), Some(0.012), None, Some(0.0), Some(0.999), Some(1e-30)]);
        c.beta_schedule = pick.of(&[None, Some(BetaSchedule::ScaledLinear), Some(BetaSchedule::SquaredCos)]);
        c.prediction = pick.of(&[Prediction::Epsilon, Prediction::V]);
        c.spacing = pick.of(&[None, Some(Spacing::Leading), Some(Spacing::Trailing), Some(Spacing::Linspace)]);
        c.steps_offset = pick.of(&[1, 1, 1, 0, -5, 900, i64::MAX, i64::MIN]);
        c.set_alpha_to_one = pick.of(&[None, Some(true), Some(false)]);
        let flags: [&mut bool; 4] =
            [&mut c.use_karras_sigmas, &mut c.rescale_betas_zero_snr, &mut c.lower_order_final, &mut c.final_sigma_min];
        flags.into_iter().for_each(|flag| *flag = pick.of(&[true, false]));
        c.solver_order = pick.of(&[1, 2]);
        c.solver_type = pick.of(&[None, Some("heun".to_string()), Some("bh1".to_string())]);
        c.algorithm_type = pick.of(&[None, Some("sde-dpmsolver++".to_string()), Some("dpmsolver".to_string())]);
        c.original_inference_steps = pick.of(&[50, 0, 1, 9000]);
        c.sigma_min = pick.of(&[None, None, Some(0.0), Some(1e300)]);
        let sampler = pick.of(&Sampler::ALL);
        let steps = pick.of(&[1, 2, 3, 7, 20, 999, 1000]);
        let strength = pick.of(&[None, Some(0.01), Some(0.5), Some(1.0)]);
        match program(&c, sampler, steps, strength, 0.5) {
            Ok(program) => {
                made += 1;
                assert!(program.start.iter().all(|v| v.is_finite()) && !program.stages.is_empty());
                for s in &program.stages {
                    let all = s.next.iter().chain(&s.save).chain(&s.convert).chain(&s.denoised).chain(&s.known);
                    assert!(all.chain([&s.timestep, &s.input_scale]).all(|v| v.is_finite()));
                }
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.code(), "Unsupported");
            }
        }
    }
    assert!(made > 500 && refused > 500, "{made} made, {refused} refused");
}
