//! `scheduler/scheduler_config.json` of diffusers: how a model was trained, and which sampler its authors chose.

use super::settings::Settings;
use crate::config::language::wrong;
use crate::format::variants;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer};

/// The value that a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Prediction {
    /// The noise.
    #[serde(rename = "epsilon")]
    Epsilon,
    /// The velocity: sqrt(alpha) * noise - sqrt(1 - alpha) * picture (Salimans and Ho 2022).
    #[serde(rename = "v_prediction")]
    V,
}

/// Which of the timesteps of training are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Multiples of the stride, from the first on.
    Leading,
    /// Multiples of the stride, back from the last.
    Trailing,
    /// From the first to the last.
    Linspace,
}

/// How the noise of training grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly.
    Linear,
    /// Its square root does.
    ScaledLinear,
    /// As a squared cosine (Nichol and Dhariwal 2021).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCos,
}

/// A scheduler's settings. `None` where the file says nothing: samplers differ in what they mean by that, and a model
/// may be sampled by another one than its file names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// The class in diffusers, such as `PNDMScheduler`.
    #[serde(rename = "_class_name")]
    pub class: String,
    /// Timesteps of training.
    pub num_train_timesteps: usize,
    /// The variance added at the first timestep.
    pub beta_start: Option<f64>,
    /// The variance added at the last timestep.
    pub beta_end: Option<f64>,
    /// How it grows between them.
    #[serde(deserialize_with = "variants::read_some")]
    pub beta_schedule: Option<BetaSchedule>,
    /// The variance added at each timestep, in place of the three above.
    pub trained_betas: Option<Vec<f64>>,
    /// The value that the model predicts.
    #[serde(rename = "prediction_type", deserialize_with = "variants::read")]
    pub prediction: Prediction,
    /// Which timesteps are taken.
    #[serde(rename = "timestep_spacing", deserialize_with = "variants::read_some")]
    pub spacing: Option<Spacing>,
    /// Added to every timestep of [`Spacing::Leading`].
    pub steps_offset: i64,
    /// Whether the last step ends without noise, not with that of the first timestep.
    pub set_alpha_to_one: Option<bool>,
    /// Whether noise levels are those of Karras et al. 2022.
    pub use_karras_sigmas: bool,
    /// Whether the noise is rescaled so that nothing of the picture is left at the last timestep.
    pub rescale_betas_zero_snr: bool,
    /// Steps that a multistep solver looks at.
    pub solver_order: usize,
    /// How second-order multistep solvers work.
    pub solver_type: Option<String>,
    /// Which multistep solver it is.
    pub algorithm_type: Option<String>,
    /// Whether few steps end with one of lower order.
    pub lower_order_final: bool,
    /// Whether the last step is always of first order.
    pub euler_at_final: bool,
    /// Whether the last noise level is that of the first timestep instead of zero.
    #[serde(rename = "final_sigmas_type", deserialize_with = "is_sigma_min")]
    pub final_sigma_min: bool,
    /// Below this half logarithm of the ratio of signal to noise no step is taken.
    pub lambda_min_clipped: f64,
    /// The smallest noise level, if not the schedule's.
    pub sigma_min: Option<f64>,
    /// The largest noise level, if not the schedule's.
    pub sigma_max: Option<f64>,
    /// How much noise `DDPMScheduler` adds.
    pub variance_type: Option<String>,
    /// Timesteps that a latent consistency model was distilled from.
    pub original_inference_steps: usize,
    /// The factor of timesteps in a latent consistency model.
    pub timestep_scaling: f64,
    /// Whether the pipeline is one of latent consistency models, which change images in their own way. (No file of the
    /// scheduler says so: false, until whoever knows the pipeline sets it.)
    #[serde(skip)]
    pub consistency: bool,
}

/// The settings of a file that says nothing.
impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            class: String::new(),
            num_train_timesteps: 1000,
            beta_start: None,
            beta_end: None,
            beta_schedule: None,
            trained_betas: None,
            prediction: Prediction::Epsilon,
            spacing: None,
            steps_offset: 0,
            set_alpha_to_one: None,
            use_karras_sigmas: false,
            rescale_betas_zero_snr: false,
            solver_order: 2,
            solver_type: None,
            algorithm_type: None,
            lower_order_final: true,
            euler_at_final: false,
            final_sigma_min: false,
            lambda_min_clipped: f64::NEG_INFINITY,
            sigma_min: None,
            sigma_max: None,
            variance_type: None,
            original_inference_steps: 50,
            timestep_scaling: 10.0,
            consistency: false,
        }
    }
}

/// Settings that are not supported, with the value that leaving each out stands for.
const PLAIN: [(&str, &str); 11] = [
    ("disable_corrector", "null"),
    ("interpolation_type", "linear"),
    ("predict_x0", "true"),
    ("shift_terminal", "null"),
    ("solver_p", "null"),
    ("thresholding", "false"),
    ("timestep_type", "discrete"),
    ("use_beta_sigmas", "false"),
    ("use_exponential_sigmas", "false"),
    ("use_flow_sigmas", "false"),
    ("use_lu_lambdas", "false"),
];

impl SchedulerConfig {
    /// Reads the text of a diffusers `scheduler_config.json`; `file` names it in errors.
    ///
    /// [`Error::Unsupported`] for models trained by other rules and for settings that are not there; [`Error::Format`]
    /// for what is no such file and for numbers that cannot be. Any class is accepted: another sampler may be asked
    /// for.
    pub fn from_json(text: &[u8], file: &str) -> Result<Self> {
        let settings = Settings::parse(text, file)?;
        let class = settings.get::<String>("_class_name")?.unwrap_or_default();
        if ["FlowM", "EDM", "SCM", "VQ", "CM"].iter().any(|other| class.starts_with(other)) {
            let what = format!("{file}: models made for {class} are trained by other rules and not supported");
            return Err(Error::unsupported(format!("{what}; choose a Stable Diffusion model")));
        }
        settings.refuse(&PLAIN)?;
        settings.read::<SchedulerConfig>()?.checked(file)
    }

    /// Describes the schedule that Stable Diffusion was trained with, to be sampled by `class`.
    pub(super) fn trained(class: &str, prediction: Prediction) -> Self {
        SchedulerConfig {
            class: class.to_string(),
            beta_start: Some(0.00085),
            beta_end: Some(0.012),
            beta_schedule: Some(BetaSchedule::ScaledLinear),
            prediction,
            spacing: Some(Spacing::Leading),
            steps_offset: 1,
            set_alpha_to_one: Some(false),
            ..SchedulerConfig::default()
        }
    }

    fn checked(self, file: &str) -> Result<Self> {
        let n = self.num_train_timesteps;
        if !(2..=1 << 16).contains(&n) {
            return Err(wrong(file, &format!("`num_train_timesteps` is {n}")));
        }
        if let Some(betas) = self.trained_betas.as_ref().filter(|betas| betas.len() != n) {
            return Err(wrong(file, &format!("`trained_betas` has {} values for {n} timesteps", betas.len())));
        }
        if self.steps_offset.unsigned_abs() >= n as u64 {
            return Err(wrong(file, &format!("`steps_offset` is {}", self.steps_offset)));
        }
        let counts = [("solver_order", self.solver_order), ("original_inference_steps", self.original_inference_steps)];
        for (key, count) in counts {
            if !(1..=n).contains(&count) {
                return Err(wrong(file, &format!("`{key}` is {count}")));
            }
        }
        let betas = self.trained_betas.iter().flatten().copied().chain(self.beta_start).chain(self.beta_end);
        if !betas.into_iter().all(|beta| (0.0..1.0).contains(&beta)) {
            return Err(wrong(file, "a beta is not between 0 and 1"));
        }
        for (key, sigma) in [("sigma_min", self.sigma_min), ("sigma_max", self.sigma_max)] {
            if let Some(sigma) = sigma.filter(|s| !((*s as f32).is_finite() && *s >= 0.0)) {
                return Err(wrong(file, &format!("`{key}` is {sigma}")));
            }
        }
        if !(self.timestep_scaling.is_finite() && self.timestep_scaling > 0.0) {
            return Err(wrong(file, &format!("`timestep_scaling` is {}", self.timestep_scaling)));
        }
        Ok(self)
    }
}

/// Reads whether the last noise level is that of the first timestep, by its name.
fn is_sigma_min<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Last {
        Zero,
        SigmaMin,
    }
    Ok(matches!(variants::read(d)?, Last::SigmaMin))
}
