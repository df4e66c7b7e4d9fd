//! UniPC: a predictor, and a corrector that improves the step before with the estimate at its end.

use super::noise_levels::NoiseLevels;
use super::{H1, H2, M, NoiseLevel, SAVED, SLOTS, Stage, X};
use crate::config::diffusion::scheduler::SchedulerConfig;
use crate::{Error, Result};

/// Makes the stages of UniPC (Zhao et al. 2023) with estimates of the picture, up to order 2.
pub fn stages(s: &NoiseLevels, begin: usize, config: &SchedulerConfig) -> Result<Vec<Stage>> {
    if !(1..=2).contains(&config.solver_order) {
        let what = format!("solver_order {} is not supported; name another sampler", config.solver_order);
        return Err(Error::unsupported(what));
    }
    let n = s.timesteps.len();
    let first_kind = config.solver_type.as_deref() == Some("bh1");
    let level = |i: usize| NoiseLevel::sigma(s.sigmas[i]);
    // Order of the step from level i.
    let order = |i: usize| {
        let most = if config.lower_order_final { config.solver_order.min(n - i) } else { config.solver_order };
        most.min(i - begin + 1)
    };
    let mut stages = Vec::new();
    for i in begin..n {
        // The latents as corrected: those before the last step, moved by it again.
        let mut fixed = [0f64; SLOTS];
        if i == begin {
            fixed[X] = 1.0;
        } else {
            let step = UnipcStep::new(level(i - 1), level(i), first_kind);
            let (old, new) = match order(i - 1) {
                1 => (0.0, 0.5),
                _ => step.correct(level(i - 2)),
            };
            fixed[SAVED] = step.kept;
            fixed[M] = -step.scale * new;
            fixed[H1] = -step.grown + step.scale * (old + new);
            fixed[H2] = -step.scale * old;
        }
        let step = UnipcStep::new(level(i), level(i + 1), first_kind);
        let mut next = fixed.map(|weight| weight * step.kept);
        next[M] -= step.grown;
        if order(i) == 2 {
            let old = step.scale * 0.5 / step.ratio(level(i - 1));
            next[M] += old;
            next[H1] -= old;
        }
        stages.push(Stage {
            next: next.map(|v| v as f32),
            save: fixed.map(|v| v as f32),
            shift: true,
            ..Stage::new(s, s.timesteps[i], level(i), i - begin)
        });
    }
    Ok(stages)
}

/// A step between two levels: `x' = kept * x - grown * m - scale * (weighted differences of estimates)`.
struct UnipcStep {
    from: NoiseLevel,
    /// Minus the step in lambda.
    h: f64,
    kept: f64,
    grown: f64,
    scale: f64,
    /// The paper's B(h), which is `scale` without the level.
    b: f64,
}

impl UnipcStep {
    fn new(from: NoiseLevel, to: NoiseLevel, first_kind: bool) -> Self {
        let h = from.lambda() - to.lambda();
        let b = if first_kind { h } else { h.exp_m1() };
        UnipcStep { from, h, kept: to.s / from.s, grown: to.a * h.exp_m1(), scale: to.a * b, b }
    }

    /// Computes where an earlier level lies, in steps; negative.
    fn ratio(&self, earlier: NoiseLevel) -> f64 {
        (self.from.lambda() - earlier.lambda()) / self.h
    }

    /// Computes the weights at order 2 of the changes from the earlier level to this step's start, and over the step.
    fn correct(&self, earlier: NoiseLevel) -> (f64, f64) {
        let ratio = self.ratio(earlier);
        let first = self.h.exp_m1() / self.h - 1.0;
        let second = 2.0 * (first / self.h - 0.5);
        let old = (first - second) / self.b / (1.0 - ratio);
        (old / ratio, first / self.b - old)
    }
}
