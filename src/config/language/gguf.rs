//! [`LanguageConfig`] from the metadata of a GGUF file.

use super::names::ROPE_FREQS;
use super::{Family, LanguageConfig, Rope, RopeScaling, within, wrong};
use crate::format::TensorInfo;
use crate::format::metadata::{Array, Metadata, Value};
use crate::{Error, Result};

/// The keys of one architecture in one file.
struct Keys<'a> {
    metadata: &'a Metadata,
    family: &'static str,
}

impl Keys<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.family)
    }

    /// A count, given once or (all the same) per layer.
    fn count(&self, key: &str) -> Result<Option<usize>> {
        let key = self.key(key);
        let file = self.metadata.file();
        let n = match self.metadata.get(&key) {
            Some(Value::Array(Array::Strings(_) | Array::Nested(_))) | None => self.metadata.u64(&key)?,
            Some(Value::Array(_)) => {
                let list = self.metadata.u32s(&key)?.unwrap_or_default();
                if list.iter().any(|n| *n != list[0]) {
                    let what = format!(
                        "{file}: layers of different sizes (`{key}`) are not supported; choose a model \
                                        whose layers are alike"
                    );
                    return Err(Error::unsupported(what));
                }
                list.first().map(|&n| n.into())
            }
            Some(_) => self.metadata.u64(&key)?,
        };
        n.map(|n| usize::try_from(n).map_err(|_| wrong(file, &format!("`{key}` is {n}")))).transpose()
    }

    fn needed(&self, key: &str) -> Result<usize> {
        let missing = || {
            let what = format!("metadata `{}` is missing: choose a complete model file", self.key(key));
            Error::format(self.metadata.file(), what)
        };
        self.count(key)?.ok_or_else(missing)
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        Ok(self.metadata.f32(&self.key(key))?.map(f64::from))
    }

    fn rope_scaling(&self, context_length: usize) -> Result<RopeScaling> {
        // A file without a type but with a factor means linear scaling; the last key is an early spelling of it.
        let kind = self.metadata.str(&self.key("rope.scaling.type"))?.unwrap_or("linear");
        let factor = self.number("rope.scaling.factor")?.or(self.number("rope.scale_linear")?).filter(|f| *f != 0.0);
        match (kind, factor) {
            ("none", _) | ("linear", None) => Ok(RopeScaling::None),
            ("linear", Some(1.0)) => Ok(RopeScaling::None),
            ("linear", Some(factor)) => Ok(RopeScaling::Linear { factor }),
            ("yarn", factor) => self.yarn(factor.unwrap_or(1.0), context_length),
            _ => {
                let file = self.metadata.file();
                let what = format!("{file}: rope scaling `{kind}` is not supported; linear and yarn are");
                Err(Error::unsupported(what))
            }
        }
    }

    fn yarn(&self, factor: f64, context_length: usize) -> Result<RopeScaling> {
        let extrapolation = self.number("rope.scaling.yarn_ext_factor")?.unwrap_or(1.0);
        if extrapolation != 1.0 && extrapolation >= 0.0 {
            let file = self.metadata.file();
            let what = format!("{file}: yarn with extrapolation factor {extrapolation} is not supported; 1 is");
            return Err(Error::unsupported(what));
        }
        // The file's factors multiply the one that YaRN itself computes.
        let extra = self.number("rope.scaling.attn_factor")?.unwrap_or(1.0)
            * self.number("rope.scaling.yarn_attn_factor")?.unwrap_or(1.0);
        let computed = 0.1 * factor.max(1.0).ln() + 1.0;
        Ok(RopeScaling::Yarn {
            factor,
            original_context: self.number("rope.scaling.original_context_length")?.unwrap_or(context_length as f64),
            beta_fast: self.number("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: self.number("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            attention_factor: (extra != 1.0).then_some(extra * computed),
            mscale: None,
            mscale_all_dim: None,
            truncate: true,
        })
    }

    /// Per layer the sliding window. The pattern is a list of which layers have one, or a period whose last layer has
    /// none; without it all have.
    fn windows(&self, n_layers: usize) -> Result<Vec<Option<usize>>> {
        let Some(window) = self.count("attention.sliding_window")?.filter(|&w| w > 0) else {
            return Ok(vec![None; n_layers]);
        };
        let key = self.key("attention.sliding_window_pattern");
        let windowed: Vec<bool> = match self.metadata.get(&key) {
            None => vec![true; n_layers],
            Some(Value::Array(_)) => {
                let list = self.metadata.bools(&key)?.unwrap_or_default();
                if list.len() < n_layers {
                    return Err(wrong(self.metadata.file(), &format!("`{key}` names {} layers", list.len())));
                }
                list
            }
            Some(_) => {
                let period = self.metadata.u32(&key)?.unwrap_or(1).max(1) as usize;
                (0..n_layers).map(|i| period == 1 || i % period < period - 1).collect()
            }
        };
        Ok(windowed.into_iter().take(n_layers).map(|on| on.then_some(window)).collect())
    }
}

impl LanguageConfig {
    /// From the metadata of a GGUF file, with its tensors to tell what the metadata leaves out.
    ///
    /// [`Error::Unsupported`] for other architectures, mixtures of experts, unknown rope scaling and files that are
    /// one part of several; [`Error::Format`] for numbers that cannot be.
    pub fn from_gguf(metadata: &Metadata, tensors: &[TensorInfo]) -> Result<Self> {
        let file = metadata.file();
        let Some(architecture) = metadata.str("general.architecture")? else {
            return Err(Error::format(
                file,
                "metadata `general.architecture` is missing: choose a complete model file",
            ));
        };
        let family = Family::find(architecture, file)?;
        let keys = Keys { metadata, family: family.name };
        let parts = metadata.u32("split.count")?.unwrap_or(1);
        if parts > 1 {
            let what = format!("{file} is one of {parts} parts of a model; choose a file that holds the whole model");
            return Err(Error::unsupported(what));
        }
        if keys.count("expert_count")?.is_some_and(|n| n > 0) {
            let what = format!("{file}: mixtures of experts are not supported; choose a dense model");
            return Err(Error::unsupported(what));
        }
        let tensor = |name: &str| tensors.iter().find(|t| t.name == name);
        let dim = keys.needed("embedding_length")?;
        let n_heads = within("the number of heads", keys.needed("attention.head_count")?, file)?;
        let n_layers = within("the number of layers", keys.needed("block_count")?, file)?;
        let head_dim = match keys.count("attention.key_length")? {
            Some(n) => n,
            None if dim.is_multiple_of(n_heads) => dim / n_heads,
            None => return Err(wrong(file, &format!("{n_heads} heads do not divide the hidden size {dim}"))),
        };
        if keys.count("attention.value_length")?.is_some_and(|n| n != head_dim) {
            let what = format!("{file}: values of another size than keys are not supported; choose another model");
            return Err(Error::unsupported(what));
        }
        // The table itself is what counts; metadata and tokens may be padded differently.
        let vocab = match tensor("token_embd.weight").and_then(|t| t.shape.first().copied()) {
            Some(rows) => rows,
            None => match keys.count("vocab_size")? {
                Some(n) => n,
                None => metadata.strings("tokenizer.ggml.tokens")?.map_or(0, |tokens| tokens.len()),
            },
        };
        let eps = keys.number("attention.layer_norm_rms_epsilon")?;
        let context_length = keys.needed("context_length")?;
        let config = LanguageConfig {
            architecture: family.name.to_string(),
            name: metadata.str("general.name")?.unwrap_or(family.name).to_string(),
            dim,
            n_layers,
            n_heads,
            n_kv_heads: keys.count("attention.head_count_kv")?.unwrap_or(n_heads),
            head_dim,
            ffn_dim: keys.needed("feed_forward_length")?,
            vocab,
            norm_eps: eps.ok_or_else(|| wrong(file, "the norm's epsilon is missing"))? as f32,
            context_length,
            rope: Rope {
                base: keys.number("rope.freq_base")?.unwrap_or(10_000.0),
                dims: keys.count("rope.dimension_count")?.unwrap_or(head_dim),
                interleaved: family.gguf_interleaved,
                scaling: keys.rope_scaling(context_length)?,
            },
            rope_layers: family.rope_layers(n_layers, family.unrotated_every),
            windows: keys.windows(n_layers)?,
            tied: (!tensors.is_empty()).then(|| tensor("output.weight").is_none()),
            attn_bias: tensor("blk.0.attn_q.bias").is_some(),
            attn_output_bias: tensor("blk.0.attn_output.bias").is_some(),
            ffn_bias: tensor("blk.0.ffn_up.bias").is_some(),
            qk_norm: family.qk_norm,
        };
        let divisors = tensor(ROPE_FREQS);
        if let Some(t) = divisors.filter(|t| t.shape != [config.rope.dims / 2]) {
            let (tensor, want, got) = (t.name.clone(), vec![config.rope.dims / 2], t.shape.clone());
            return Err(Error::Shape { tensor, want, got });
        }
        config.checked(file)
    }
}
