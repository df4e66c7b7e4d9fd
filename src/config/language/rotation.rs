//! Rotations as files describe them: `config.json` in the earlier spelling (`rope_theta` and `rope_scaling`) and the
//! later one (`rope_parameters`, for all layers or per type of layer), GGUF in keys and tensors.

use super::keys::{Keys, Object, Pairs, given};
use super::limits::{within, wrong};
use super::rope::{Rope, RopeScaling, TENSORS};
use crate::{Error, Result};
use serde::Deserialize;

/// Types of layers that may have rope settings of their own.
const TYPES: [&str; 2] = ["full_attention", "sliding_attention"];

/// One object of rope settings, with what stands beside it for those that it leaves out.
struct Settings<'a> {
    keys: &'a Keys<'a>,
    own: Object<'a>,
}

impl<'a> Settings<'a> {
    /// Reads the setting `name`, which should be `wanted`.
    fn read<T: Deserialize<'a>>(&self, name: &str, wanted: &str) -> Result<Option<T>> {
        given(&self.own, name).map(|v| self.keys.fit(v, name, wanted)).transpose()
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, "a number")
    }

    fn numbers(&self, name: &str) -> Result<Option<Vec<f32>>> {
        self.read(name, "a list of numbers")
    }

    /// Reads the type, as the family means it.
    fn kind(&self) -> Result<String> {
        let said = match self.read::<String>("rope_type", "a string")? {
            Some(said) => said,
            None => self.read("type", "a string")?.unwrap_or_else(|| "default".to_string()),
        };
        Ok(self.keys.family.ropes.iter().find(|r| r.0 == said).map_or(said, |r| r.1.to_string()))
    }

    fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        let kind = self.kind()?;
        let what = || format!("rope type `{kind}` needs `{name}`: the file is incomplete");
        value.ok_or_else(|| Error::format(self.keys.file, what()))
    }

    /// Reads the share of a head that is rotated.
    fn share(&self) -> Result<f64> {
        let beside = self.keys.number("partial_rotary_factor")?;
        Ok(self.number("partial_rotary_factor")?.or(beside).unwrap_or(1.0))
    }

    fn scaling(&self) -> Result<RopeScaling> {
        let context = self.keys.needed("max_position_embeddings")? as f64;
        // What stands beside the object counts before what is in it, as transformers has it.
        let beside = self.keys.number("original_max_position_embeddings")?;
        let original_context = beside.or(self.number("original_max_position_embeddings")?).unwrap_or(context);
        let number = |name: &str| self.needed(name, self.number(name)?);
        let kind = self.kind()?;
        Ok(match kind.as_str() {
            // "dynamic" departs from the default only beyond the context length.
            "default" | "dynamic" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: number("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_context,
            },
            "yarn" => RopeScaling::Yarn {
                factor: self.number("factor")?.unwrap_or(context / original_context),
                original_context,
                // Zero means unset here, as it does in transformers.
                beta_fast: self.number("beta_fast")?.filter(|b| *b != 0.0).unwrap_or(32.0),
                beta_slow: self.number("beta_slow")?.filter(|b| *b != 0.0).unwrap_or(1.0),
                attention_factor: self.number("attention_factor")?,
                mscale: self.number("mscale")?,
                mscale_all_dim: self.number("mscale_all_dim")?,
                truncate: self.read("truncate", "a truth value")?.unwrap_or(true),
            },
            "longrope" if self.allowed(&kind) => {
                let factor = self.number("factor")?.unwrap_or(context / original_context);
                RopeScaling::LongRope {
                    short: self.needed("short_factor", self.numbers("short_factor")?)?,
                    long: self.needed("long_factor", self.numbers("long_factor")?)?,
                    original_context: original_context as usize,
                    attention_factor: match self.number("attention_factor")? {
                        Some(given) => given,
                        None => long_attention(factor, original_context),
                    },
                }
            }
            "ntk" if self.allowed(&kind) => RopeScaling::Ntk { factor: number("factor")? },
            "proportional" if self.allowed(&kind) => {
                RopeScaling::Proportional { share: self.share()?, factor: self.number("factor")?.unwrap_or(1.0) }
            }
            _ => {
                let what = format!(
                    "rope type `{kind}` is not supported; choose a model with default, linear, dynamic, llama3 or yarn"
                );
                return Err(self.keys.unsupported(&what));
            }
        })
    }

    /// Returns whether this is a type that only some families have, this one among them.
    fn allowed(&self, kind: &str) -> bool {
        self.keys.family.ropes.iter().any(|r| r.1 == kind)
    }

    /// Reads the rotation of heads of `head` elements; `base` counts where the object names none.
    fn rope(&self, head: usize, base: f64) -> Result<Rope> {
        let scaling = self.scaling()?;
        let share = if matches!(scaling, RopeScaling::Proportional { .. }) { 1.0 } else { self.share()? };
        Ok(Rope {
            base: self.number("rope_theta")?.unwrap_or(base),
            dims: (head as f64 * share) as usize,
            interleaved: self.keys.family.pairs == Pairs::Neighbours,
            scaling,
        })
    }
}

/// Returns LongRoPE's factor on cosine and sine where the file gives none.
fn long_attention(factor: f64, original_context: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original_context.ln()).sqrt() }
}

impl<'a> Keys<'a> {
    /// Reads the object of rope settings in a `config.json`.
    fn rope_object(&self) -> Result<Object<'a>> {
        // An empty object says as little as none.
        Ok(match self.object("rope_scaling")? {
            Some(given) => given,
            None => self.object("rope_parameters")?.unwrap_or_default(),
        })
    }

    /// Reads the rope settings in a `config.json` of layers of one type, or of all layers.
    fn rope_settings<'k>(&'k self, kind: Option<&str>) -> Result<Settings<'k>> {
        let all = self.rope_object()?;
        let nested = |kind: &str| given(&all, kind).map(|v| self.fit(v, kind, "an object")).transpose();
        let [full, sliding]: [Result<Option<Object<'a>>>; 2] = TYPES.map(nested);
        let same = |a: &Object<'_>, b: &Object<'_>| {
            a.len() == b.len() && a.iter().zip(b).all(|((k, v), (l, w))| k == l && v.get() == w.get())
        };
        let own = match (kind, full?, sliding?) {
            // Settings for all layers are of those that see everything, where there are two types.
            (Some("sliding_attention"), None, None) => Object::new(),
            (_, None, None) => all,
            (Some("sliding_attention"), _, sliding) => sliding.unwrap_or_default(),
            (Some(_), full, _) => full.unwrap_or_default(),
            (None, Some(one), None) | (None, None, Some(one)) => one,
            (None, Some(full), Some(sliding)) if same(&full, &sliding) => full,
            _ => {
                let what = "different rope settings per type of layer are not supported; choose another model";
                return Err(self.unsupported(what));
            }
        };
        Ok(Settings { keys: self, own })
    }

    /// Reads a number among the rope settings for all layers: in GGUF a setting like any other.
    pub fn rope_number(&self, name: &str) -> Result<Option<f64>> {
        if self.is_gguf() { self.number(name) } else { self.rope_settings(None)?.number(name) }
    }

    /// Reads the rotation of all layers.
    pub fn rope(&self, head: usize) -> Result<Rope> {
        self.rope_of(None, head)
    }

    /// Reads the rotation of layers that see everything, where those with a window have their own.
    pub fn full_rope(&self, head: usize) -> Result<Rope> {
        self.rope_of(Some("full_attention"), head)
    }

    /// Reads the rotation of layers with a window, with `base` where the file gives them none.
    pub fn sliding_rope(&self, head: usize, base: f64) -> Result<Rope> {
        if self.is_gguf() {
            return Ok(Rope { base, scaling: RopeScaling::None, ..self.gguf_rope(head)? });
        }
        self.rope_settings(Some("sliding_attention"))?.rope(head, base)
    }

    /// Reads the base of the wavelengths that holds for all layers.
    pub fn rope_base(&self) -> Result<f64> {
        Ok(self.number("rope_theta")?.unwrap_or(10_000.0))
    }

    fn rope_of(&self, kind: Option<&str>, head: usize) -> Result<Rope> {
        if self.is_gguf() {
            return self.gguf_rope(head);
        }
        self.rope_settings(kind)?.rope(head, self.rope_base()?)
    }

    /// Reads the longest sequence. Models are told to use YaRN by adding its settings to `config.json`, while
    /// `max_position_embeddings` often stays as it was.
    pub fn context_length(&self) -> Result<usize> {
        let length = self.needed("max_position_embeddings")?;
        if self.is_gguf() {
            return Ok(length);
        }
        let settings = self.rope_settings(Some("full_attention"))?;
        let original = settings.number("original_max_position_embeddings")?;
        Ok(match (settings.kind()?.as_str(), original, settings.number("factor")?) {
            ("yarn", Some(original), Some(factor)) => length.max((original * factor) as usize),
            _ => length,
        })
    }

    fn gguf_rope(&self, head: usize) -> Result<Rope> {
        // The number decides the length of lists.
        let dims = match self.count("rotary_dim")? {
            Some(0) => 0,
            Some(dims) => within("the head size", dims, self.file)?,
            None => within("the head size", head, self.file)?,
        };
        let interleaved = self.family.pairs != Pairs::Halves;
        Ok(Rope { base: self.rope_base()?, dims, interleaved, scaling: self.gguf_scaling(dims)? })
    }

    fn gguf_scaling(&self, dims: usize) -> Result<RopeScaling> {
        let said = self.text("rope.scaling.type")?;
        // A file without a type but with a factor means linear scaling; the last key is an early spelling of it.
        let factor = self.number("rope.scaling.factor")?.or(self.number("rope.scale_linear")?).filter(|f| *f != 0.0);
        let context = self.needed("max_position_embeddings")?;
        let original_context = self.number("original_max_position_embeddings")?.unwrap_or(context as f64);
        let tensors = self.rope_tensors();
        let lists = TENSORS[1..].iter().all(|t| tensors.contains(t));
        match (said.as_deref().unwrap_or("linear"), factor) {
            ("linear" | "longrope", _) if lists => Ok(RopeScaling::LongRope {
                // Whoever reads the tensors puts their numbers here.
                short: vec![1.0; dims / 2],
                long: vec![1.0; dims / 2],
                original_context: original_context as usize,
                attention_factor: match self.number("rope.scaling.attn_factor")? {
                    Some(given) => given,
                    None => long_attention(context as f64 / original_context, original_context),
                },
            }),
            ("none", _) | ("linear", None) => Ok(RopeScaling::None),
            ("linear", Some(1.0)) => Ok(RopeScaling::None),
            ("linear", Some(factor)) => Ok(RopeScaling::Linear { factor }),
            ("yarn", factor) => self.gguf_yarn(factor.unwrap_or(1.0), original_context),
            (kind, _) => Err(self.unsupported(&format!("rope scaling `{kind}` is not supported; linear and yarn are"))),
        }
    }

    fn gguf_yarn(&self, factor: f64, original_context: f64) -> Result<RopeScaling> {
        let extrapolation = self.number("rope.scaling.yarn_ext_factor")?.unwrap_or(1.0);
        if extrapolation != 1.0 && extrapolation >= 0.0 {
            let what = format!("yarn with extrapolation factor {extrapolation} is not supported; 1 is");
            return Err(self.unsupported(&what));
        }
        // One key holds the whole factor on cosine and sine, the other multiplies what YaRN itself computes.
        let extra = self.number("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let computed = 0.1 * factor.max(1.0).ln() + 1.0;
        let attention_factor = match self.number("rope.scaling.yarn_attn_factor")? {
            Some(given) => Some(given * extra),
            None => (extra != 1.0).then_some(extra * computed),
        };
        let weight = self.number("rope.scaling.yarn_log_multiplier")?.filter(|w| *w != 0.0);
        Ok(RopeScaling::Yarn {
            factor,
            original_context,
            beta_fast: self.number("rope.scaling.yarn_beta_fast")?.unwrap_or(32.0),
            beta_slow: self.number("rope.scaling.yarn_beta_slow")?.unwrap_or(1.0),
            attention_factor,
            mscale: weight.map(|_| 1.0),
            mscale_all_dim: weight,
            truncate: true,
        })
    }

    /// Refuses a rotation of which `config.json` names settings that are not positive.
    pub fn positive(&self, what: &str, x: f64) -> Result<f64> {
        if x.is_finite() && x > 0.0 { Ok(x) } else { Err(wrong(self.file, &format!("{what} is {x}"))) }
    }
}
