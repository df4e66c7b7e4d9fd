//! PNDM's linear multistep part.

use super::noise_levels::NoiseLevels;
use super::{H1, H2, H3, M, NoiseLevel, SAVED, SLOTS, Stage, X, row};

/// Makes the stages of PNDM (Liu et al. 2022): outputs are combined as by Adams and Bashforth, and equation 9 takes the
/// step. The second evaluation repeats the first step with what was found at its end, so there is one more than steps.
///
/// Diffusers repeats it also where an image's steps begin later, and counts from there: the first of them is then
/// taken twice, or the second is left out. That is kept, for the same pictures.
pub fn stages(s: &NoiseLevels, begin: usize) -> Vec<Stage> {
    let mut timesteps = s.timesteps.clone();
    if timesteps.len() > 1 {
        timesteps.insert(1, timesteps[1]);
    }
    let stride = s.stride as f64;
    let stage = |(i, &t): (usize, &f64)| {
        let (from, to) = if i == 1 { (t + stride, t) } else { (t, t - stride) };
        let outputs: &[(usize, f64)] = match i {
            0 => &[(M, 1.0)],
            1 => &[(M, 0.5), (H1, 0.5)],
            2 => &[(M, 1.5), (H1, -0.5)],
            3 => &[(M, 23.0 / 12.0), (H1, -16.0 / 12.0), (H2, 5.0 / 12.0)],
            _ => &[(M, 55.0 / 24.0), (H1, -59.0 / 24.0), (H2, 37.0 / 24.0), (H3, -9.0 / 24.0)],
        };
        let (alpha, after) = (s.alpha(from), s.alpha(to));
        let kept = (after / alpha).sqrt();
        let off = (after - alpha) / (alpha * (1.0 - after).sqrt() + (alpha * (1.0 - alpha) * after).sqrt());
        // Outputs are combined as they are; the combination counts as a prediction at the level where the step starts.
        let [x, out] = NoiseLevel::alpha(alpha).noise(s.prediction);
        let mut next = [0.0; SLOTS];
        next[if i == 1 { SAVED } else { X }] = (kept - off * x) as f32;
        for &(slot, weight) in outputs {
            next[slot] = (-off * out * weight) as f32;
        }
        Stage {
            convert: [0.0, 1.0],
            next,
            save: if i == 0 { row([(X, 1.0)]) } else { row([(SAVED, 1.0)]) },
            shift: i != 1,
            ..Stage::new(s, t, NoiseLevel::alpha(s.alpha(t)), i.saturating_sub(1))
        }
    };
    timesteps[begin..].iter().enumerate().map(stage).collect()
}
