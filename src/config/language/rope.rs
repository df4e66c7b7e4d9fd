//! Rotary position embedding: which angles a model turns its queries and keys by.
//!
//! The formulas are those of `modeling_rope_utils.py` of transformers, evaluated in double precision.

use crate::{Error, Result};
use std::f64::consts::PI;

/// How a model rotates queries and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// The base of the wavelengths (`rope_theta`).
    pub base: f64,
    /// How many elements of each head are rotated, the first ones; the others pass unchanged. Even.
    pub dims: usize,
    /// Whether the pairs are neighbours `(2i, 2i + 1)`; otherwise they lie apart, `(i, i + dims / 2)`.
    pub interleaved: bool,
    /// How the angles are stretched for long contexts.
    pub scaling: RopeScaling,
}

/// How the angles of [`Rope`] are stretched beyond the context that the model was first trained on.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// The stretch.
        factor: f64,
    },
    /// Llama 3.1: short wavelengths kept, long ones stretched, a ramp between.
    Llama3 {
        /// The stretch of the longest wavelengths.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` are stretched in full.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// The context length of the first training, in tokens.
        original_context: f64,
    },
    /// YaRN (arXiv 2309.00071): a ramp over the dimensions, and a factor on cosine and sine.
    Yarn {
        /// The stretch of the longest wavelengths.
        factor: f64,
        /// The context length of the first training, in tokens.
        original_context: f64,
        /// Dimensions turning more often than this over the first context are kept.
        beta_fast: f64,
        /// Dimensions turning less often than this over the first context are stretched in full.
        beta_slow: f64,
        /// The factor on cosine and sine; `None`: computed from `factor` and the two below.
        attention_factor: Option<f64>,
        /// Weight of the logarithm in that factor's numerator.
        mscale: Option<f64>,
        /// Weight of the logarithm in that factor's denominator.
        mscale_all_dim: Option<f64>,
        /// Whether the ends of the ramp are rounded to whole dimensions.
        truncate: bool,
    },
    /// One divisor per frequency, `dims / 2` of them: the tensor `rope_freqs.weight` of a GGUF file.
    Factors(Vec<f32>),
    /// LongRoPE (arXiv 2402.13753): one divisor per frequency, others for long sequences, a factor on cosine and sine.
    LongRope {
        /// The divisors of sequences up to `original_context`: the tensor `rope_factors_short.weight` of a GGUF file.
        short: Vec<f32>,
        /// The divisors of longer ones, at all of their positions: `rope_factors_long.weight`.
        long: Vec<f32>,
        /// The context length of the first training, in tokens.
        original_context: usize,
        /// The factor on cosine and sine, whatever the length.
        attention_factor: f64,
    },
    /// "NTK-aware" scaling as GTE's own code has it: a larger base, and a division besides.
    Ntk {
        /// The growth of the base.
        factor: f64,
    },
    /// Only the share `share` of all pairs turns, the fastest ones; the pairs lie as if all did.
    Proportional {
        /// The share, from 0 to 1.
        share: f64,
        /// The stretch of all frequencies.
        factor: f64,
    },
}

const FREQS: &str = "rope_freqs.weight";
const SHORT: &str = "rope_factors_short.weight";
const LONG: &str = "rope_factors_long.weight";

/// The tensors of numbers about rotation that GGUF files have.
pub(super) const TENSORS: [&str; 3] = [FREQS, SHORT, LONG];

impl Rope {
    /// Returns `(inv_freq [dims / 2], factor)`: the angle of pair `i` at position `p` is `p * inv_freq[i]`, and cosine
    /// and sine are both multiplied by `factor`. It holds for sequences of up to [`Rope::switch_at`] tokens.
    pub fn table(&self) -> (Vec<f32>, f32) {
        let plain = (0..self.dims / 2).map(|i| self.base.powf(-((2 * i) as f64 / self.dims as f64)));
        match &self.scaling {
            RopeScaling::None => (plain.map(|f| f as f32).collect(), 1.0),
            RopeScaling::Ntk { factor } => {
                let (base, dims) = (self.base * factor, self.dims as f64);
                let by = factor.powf(2.0 / dims);
                ((0..self.dims / 2).map(|i| (base.powf(-((2 * i) as f64 / dims)) / by) as f32).collect(), 1.0)
            }
            RopeScaling::Linear { factor } => (plain.map(|f| (f / factor) as f32).collect(), 1.0),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                let stretch = |f: f64| {
                    // How often the pair turns over the first context; the ramp is linear in it.
                    let turns = original_context * f / (2.0 * PI);
                    let keep = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    ((1.0 - keep) * f / factor + keep * f) as f32
                };
                (plain.map(stretch).collect(), 1.0)
            }
            RopeScaling::Yarn { factor, .. } => {
                let (low, high) = self.yarn_ramp();
                let stretch = |(i, f): (usize, f64)| {
                    let keep = 1.0 - ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    ((1.0 - keep) * f / factor + keep * f) as f32
                };
                (plain.enumerate().map(stretch).collect(), self.yarn_attention())
            }
            RopeScaling::Factors(divisors) => (self.divided(divisors), 1.0),
            RopeScaling::LongRope { short, attention_factor, .. } => (self.divided(short), *attention_factor as f32),
            RopeScaling::Proportional { share, factor } => {
                let turning = (share * self.dims as f64 / 2.0) as usize;
                let one = |(i, f): (usize, f64)| if i < turning { (f / factor) as f32 } else { 0.0 };
                (plain.enumerate().map(one).collect(), 1.0)
            }
        }
    }

    /// Returns [`Rope::table`] for sequences of more than [`Rope::switch_at`] tokens; `None`: there is but one table.
    pub fn long_table(&self) -> Option<(Vec<f32>, f32)> {
        let RopeScaling::LongRope { long, attention_factor, .. } = &self.scaling else { return None };
        Some((self.divided(long), *attention_factor as f32))
    }

    /// Returns how many tokens a sequence has at most that does not use [`Rope::long_table`]; longer ones use it at all
    /// of their positions.
    pub fn switch_at(&self) -> Option<usize> {
        let RopeScaling::LongRope { original_context, .. } = &self.scaling else { return None };
        Some(*original_context)
    }

    /// Divides each of the plain frequencies by its divisor.
    fn divided(&self, divisors: &[f32]) -> Vec<f32> {
        assert_eq!(divisors.len(), self.dims / 2, "one rope divisor per pair of rotated elements");
        let plain = (0..self.dims / 2).map(|i| self.base.powf(-((2 * i) as f64 / self.dims as f64)));
        plain.zip(divisors).map(|(f, &d)| (f / f64::from(d)) as f32).collect()
    }

    /// Returns the pairs between which YaRN passes from kept to stretched.
    fn yarn_ramp(&self) -> (f64, f64) {
        let RopeScaling::Yarn { original_context, beta_fast, beta_slow, truncate, .. } = self.scaling else {
            return (0.0, 1.0);
        };
        let dims = self.dims as f64;
        // The pair that turns `turns` times over the first context.
        let pair = |turns: f64| dims * (original_context / (turns * 2.0 * PI)).ln() / (2.0 * self.base.ln());
        let (mut low, mut high) = (pair(beta_fast), pair(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(dims - 1.0));
        (low, if low == high { high + 0.001 } else { high })
    }

    /// Returns YaRN's factor on cosine and sine.
    fn yarn_attention(&self) -> f32 {
        let RopeScaling::Yarn { factor, attention_factor, mscale, mscale_all_dim, .. } = self.scaling else {
            return 1.0;
        };
        let grown = |weight: f64| if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 };
        let computed = match (mscale, mscale_all_dim) {
            (Some(over), Some(under)) if over != 0.0 && under != 0.0 => grown(over) / grown(under),
            _ => grown(1.0),
        };
        attention_factor.unwrap_or(computed) as f32
    }

    /// Takes over the divisors read from the tensor `name` of `file`: `rope_freqs.weight`, `rope_factors_short.weight`
    /// or `rope_factors_long.weight`.
    ///
    /// [`Error::Format`] if their number is not `dims / 2` or one is not a positive number, [`Error::Unsupported`] if
    /// the file asks for another scaling at the same time.
    pub fn set_factors(&mut self, name: &str, mut divisors: Vec<f32>, file: &str) -> Result<()> {
        let want = self.dims / 2;
        if divisors.len() != want {
            let what = format!("{name} has {} numbers where {want} were expected: it is damaged", divisors.len());
            return Err(Error::format(file, what));
        }
        if !divisors.iter().all(|d| d.is_finite() && *d > 0.0) {
            return Err(Error::format(file, format!("{name} has numbers that are not positive: it is damaged")));
        }
        match (name, &mut self.scaling) {
            (FREQS, RopeScaling::None | RopeScaling::Factors(_)) => self.scaling = RopeScaling::Factors(divisors),
            (FREQS, RopeScaling::Linear { factor }) => {
                divisors.iter_mut().for_each(|d| *d *= *factor as f32);
                self.scaling = RopeScaling::Factors(divisors);
            }
            (SHORT, RopeScaling::LongRope { short, .. }) => *short = divisors,
            (LONG, RopeScaling::LongRope { long, .. }) => *long = divisors,
            _ => {
                let what = format!("{file}: {name} beside another rope scaling; choose another conversion");
                return Err(Error::unsupported(what));
            }
        }
        Ok(())
    }

    /// Checks that every number is one that the formulas can take; the error is the name of one that is not.
    pub(super) fn check(&self) -> std::result::Result<(), &'static str> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let require = |ok: bool, name| if ok { Ok(()) } else { Err(name) };
        require(positive(self.base) && self.base > 1.0, "the rope base")?;
        match self.scaling {
            RopeScaling::None => Ok(()),
            RopeScaling::Factors(ref divisors) => require(divisors.len() == self.dims / 2, "the rope's divisors"),
            RopeScaling::LongRope { ref short, ref long, original_context, attention_factor } => {
                let fit = |list: &[f32]| list.len() == self.dims / 2 && list.iter().all(|&d| positive(d.into()));
                require(fit(short), "the rope's short_factor")?;
                require(fit(long), "the rope's long_factor")?;
                require(original_context > 0, "the rope's original context length")?;
                require(positive(attention_factor), "the attention factor")
            }
            RopeScaling::Proportional { share, factor } => {
                require((0.0..=1.0).contains(&share), "the share of rotated pairs")?;
                require(positive(factor), "the rope factor")
            }
            RopeScaling::Linear { factor } | RopeScaling::Ntk { factor } => {
                require(positive(factor), "the rope factor")
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                require(positive(factor), "the rope factor")?;
                require(positive(low_freq_factor) && high_freq_factor.is_finite(), "the rope's low_freq_factor")?;
                require(high_freq_factor > low_freq_factor, "the rope's high_freq_factor")?;
                require(positive(original_context), "the rope's original context length")
            }
            RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, attention_factor, .. } => {
                require(positive(factor), "the rope factor")?;
                require(positive(original_context), "the rope's original context length")?;
                require(positive(beta_fast) && positive(beta_slow), "the rope's beta_fast or beta_slow")?;
                let (inv_freq, attention) = self.table();
                require(attention_factor.is_none_or(f64::is_finite) && attention.is_finite(), "the attention factor")?;
                require(inv_freq.iter().all(|f| f.is_finite()), "the rope's scaling")
            }
        }
    }
}
