//! Norms of a decoder.

use crate::Result;
use crate::config::language::{NormConfig, NormKind};
use crate::load::Weights;
use crate::ops::{LayerNorm, Norm, RmsNorm};

/// Binds the norm called `name`, if the configuration has one there.
pub(super) fn norm(w: &Weights<'_>, name: &str, dim: usize, c: Option<NormConfig>) -> Result<Option<Norm>> {
    let Some(c) = c else { return Ok(None) };
    let more = if c.plus_one { 1.0 } else { 0.0 };
    let weight = c.weighted.then(|| w.vectors_plus(&[(&format!("{name}.weight"), dim)], more)).transpose()?;
    let bias = c.biased.then(|| w.vector(&format!("{name}.bias"), dim)).transpose()?;
    Ok(Some(match c.kind {
        NormKind::Rms => Norm::Rms(RmsNorm { weight, eps: c.eps }),
        NormKind::Layer => Norm::Layer(LayerNorm { weight, bias, eps: c.eps }),
    }))
}
