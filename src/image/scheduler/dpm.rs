//! DPM-Solver++ with two steps of memory, its stochastic and older variants, and DEIS.

use super::noise_levels::NoiseLevels;
use super::{H1, M, NOISE, NoiseLevel, Sampler, Stage, X, narrow, row};
use crate::config::diffusion::scheduler::SchedulerConfig;
use crate::{Error, Result};

/// A multistep solver.
#[derive(Clone, Copy, PartialEq)]
enum Solver {
    /// Lu et al. 2022b: remembers estimates of the picture.
    Plus,
    /// The same with fresh noise at every step.
    PlusNoise,
    /// Lu et al. 2022a: remembers estimates of the noise.
    First,
    /// Zhang and Chen 2022, in the logarithm of the noise.
    Deis,
}

/// Makes the stages of the solver that the class chooses for `config` and `sampler`.
pub fn stages(s: &NoiseLevels, begin: usize, config: &SchedulerConfig, sampler: Sampler) -> Result<Vec<Stage>> {
    let solver = match config.algorithm_type.as_deref() {
        _ if sampler == Sampler::Deis => Solver::Deis,
        None | Some("dpmsolver++" | "deis") => Solver::Plus,
        Some("sde-dpmsolver++") => Solver::PlusNoise,
        Some("dpmsolver") => Solver::First,
        Some(other) => {
            return Err(Error::unsupported(format!("algorithm_type {other} is not supported; name a sampler")));
        }
    };
    if !(1..=2).contains(&config.solver_order) {
        let what = format!("solver_order {} is not supported; name another sampler", config.solver_order);
        return Err(Error::unsupported(what));
    }
    let heun = config.solver_type.as_deref() == Some("heun");
    let n = s.timesteps.len();
    let first_at_end = match solver {
        Solver::Deis => config.lower_order_final && n < 15,
        _ => config.euler_at_final || (config.lower_order_final && n < 15) || !config.final_sigma_min,
    };
    let stage = |i: usize| {
        let (from, to) = (NoiseLevel::sigma(s.sigmas[i]), NoiseLevel::sigma(s.sigmas[i + 1]));
        let h = to.lambda() - from.lambda();
        // Weights of x, of the remembered estimate, of its change since the step before, and of noise.
        let (x, m, change, noise) = match solver {
            Solver::Plus => {
                let grown = to.a * (1.0 - (-h).exp());
                let change = if heun { to.a * (1.0 - (1.0 - (-h).exp()) / h) } else { 0.5 * grown };
                (to.s / from.s, grown, change, 0.0)
            }
            Solver::PlusNoise => {
                let rest = 1.0 - (-2.0 * h).exp();
                let change = if heun { to.a * (1.0 - rest / (2.0 * h)) } else { 0.5 * to.a * rest };
                (to.s / from.s * (-h).exp(), to.a * rest, change, to.s * rest.sqrt())
            }
            Solver::First | Solver::Deis => {
                let grown = to.s * (1.0 - h.exp());
                let change = if heun { -to.s * ((h.exp() - 1.0) / h - 1.0) } else { 0.5 * grown };
                (to.a / from.a, grown, change, 0.0)
            }
        };
        let second = config.solver_order == 2 && i > begin && !(i == n - 1 && first_at_end);
        let (m, h1) = match (second, i.checked_sub(1).map(|i| NoiseLevel::sigma(s.sigmas[i]))) {
            (true, Some(before)) if solver == Solver::Deis => {
                let [to_, from, before] = [to, from, before].map(|l| l.s / l.a);
                // The integral of the line through both estimates, over sigma.
                let part = |b: f64, c: f64| {
                    let at = |t: f64| t * (t.ln() - c.ln() - 1.0) / (b.ln() - c.ln());
                    to.a * (at(to_) - at(from))
                };
                (part(from, before), part(before, from))
            }
            (true, Some(before)) => {
                let ratio = h / (from.lambda() - before.lambda());
                (m + change * ratio, -change * ratio)
            }
            _ => (m, 0.0),
        };
        let stage = Stage::new(s, s.timesteps[i], from, i - begin);
        let convert = match solver {
            Solver::Plus | Solver::PlusNoise => stage.convert,
            Solver::First | Solver::Deis => narrow(from.noise(s.prediction)),
        };
        Stage { convert, next: row([(X, x), (M, m), (H1, h1), (NOISE, noise)]), shift: true, ..stage }
    };
    Ok((begin..n).map(stage).collect())
}
