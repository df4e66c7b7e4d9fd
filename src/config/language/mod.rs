//! Descriptions of language models: their layers as data, from either kind of file.
//!
//! `families/` holds what is particular to an architecture, a file each. `keys.rs` reads settings from a `config.json`
//! or from the metadata of a GGUF file, `parts.rs` and `rotation.rs` the parts that most families share.

mod config;
pub mod embedding;
mod families;
mod head;
mod keys;
pub mod layer;
mod layout;
mod limits;
mod modules;
mod names;
mod parts;
pub mod rope;
mod rotation;
mod windows;

use crate::format::TensorInfo;
use crate::format::json;
use crate::format::metadata::Metadata;
use crate::{Error, Result};
pub use config::LanguageConfig;
pub use embedding::EmbeddingConfig;
use families::{ENCODERS, FAMILIES};
pub use head::{AnswerTokens, ClassifierConfig, DenseConfig, HeadActivation, Pooling, Scoring};
use keys::{Keys, ModelFamily, Object, given};
pub use layer::*;
pub use layout::TensorLayout;
use limits::usable;
pub(in crate::config) use limits::{within, wrong};
pub use modules::Modules;
pub use rope::{Rope, RopeScaling};

/// Reads the word or the words that `object` has under `name`.
fn words(object: &Object<'_>, name: &str, file: &str) -> Result<Vec<String>> {
    let Some(value) = given(object, name) else { return Ok(Vec::new()) };
    let text = value.get();
    let list =
        if text.starts_with('[') { serde_json::from_str(text) } else { serde_json::from_str(text).map(|w| vec![w]) };
    let what = || format!("this JSON cannot be used (`{name}` is not made of strings): the file is damaged");
    list.map_err(|_| Error::format(file, what()))
}

/// The use that a model is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It writes: layers see what is before alone.
    Writing,
    /// It reads whole texts, of which vectors or scores are made.
    Embedding,
}

/// Finds the family that a `config.json` names.
fn family(whole: &Object<'_>, file: &str, purpose: Purpose) -> Result<&'static ModelFamily> {
    let classes = words(whole, "architectures", file)?;
    let types = match given(whole, "text_config") {
        Some(text) => words(&json::parse(text.get().as_bytes(), file)?, "model_type", file)?,
        None => Vec::new(),
    };
    let types = if types.is_empty() { words(whole, "model_type", file)? } else { types };
    let Some(name) = types.first().or(classes.first()) else {
        let what = "neither `model_type` nor `architectures` is there: this is not a model's config.json";
        return Err(Error::format(file, what));
    };
    let said = |f: &&&ModelFamily| {
        f.model_types.contains(&name.as_str()) || (types.is_empty() && f.classes.contains(&name.as_str()))
    };
    let family = families::all().find(said).ok_or_else(|| unknown(name, file, purpose))?;
    if purpose == Purpose::Embedding {
        return Ok(family);
    }
    if family.encoder {
        return Err(reads_only(file));
    }
    // The same model type serves classifiers and embedders, which have other tensors.
    match classes.first() {
        Some(class) if !classes.iter().any(|c| family.classes.contains(&c.as_str())) => {
            let what = format!("{file}: `{class}` is not supported; choose a model that is a {}", family.classes[0]);
            Err(Error::unsupported(what))
        }
        _ => Ok(family),
    }
}

/// Returns the error for a model that cannot write.
fn reads_only(file: &str) -> Error {
    Error::unsupported(format!(
        "{file}: this model reads texts and writes none: open it as an EmbeddingModel, or choose a model that writes"
    ))
}

/// Returns the error for an architecture that there is no family for.
fn unknown(name: &str, file: &str, purpose: Purpose) -> Error {
    let known = match purpose {
        Purpose::Writing => LanguageConfig::SUPPORTED.join(", "),
        Purpose::Embedding => format!("{}, or a model that writes", ENCODERS.map(|f| f.name).join(", ")),
    };
    Error::unsupported(format!("{file}: architecture `{name}` is not supported; choose one of {known}"))
}

impl LanguageConfig {
    /// The families that write.
    pub const SUPPORTED: [&str; FAMILIES.len()] = {
        let mut names = [""; FAMILIES.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = FAMILIES[i].name;
            i += 1;
        }
        names
    };

    /// Reads the text of a transformers `config.json`; `file` names it in errors. Values left out are those that
    /// transformers takes.
    ///
    /// [`Error::Unsupported`] for other architectures, activations, rope types and for weights quantized in other
    /// ways; [`Error::Format`] for what is no such file and for numbers that cannot be.
    pub fn from_json(config_json: &[u8], file: &str) -> Result<Self> {
        // No bound is a bound that nothing reaches.
        let text = json::replaced(config_json, &[("Infinity", "1e308")]);
        let whole: Object<'_> = json::parse(&text, file)?;
        let family = family(&whole, file, Purpose::Writing)?;
        let keys = Keys::json(&whole, family, file)?;
        keys.refuse_strangers()?;
        (family.read)(&keys)?.checked(file)?.fit_for(Purpose::Writing, file)
    }

    /// Reads the metadata of a GGUF file, with its tensors to tell what the metadata leaves out. Then whoever loads
    /// reads the tensors that [`LanguageConfig::rope_tensors`] names.
    ///
    /// [`Error::Unsupported`] for other architectures, mixtures of experts, unknown rope scaling and files that are
    /// one part of several; [`Error::Format`] for numbers that cannot be.
    pub fn from_gguf(metadata: &Metadata, tensors: &[TensorInfo]) -> Result<Self> {
        Self::from_gguf_as(metadata, tensors, Purpose::Writing)
    }

    /// Reads the same for this purpose.
    fn from_gguf_as(metadata: &Metadata, tensors: &[TensorInfo], purpose: Purpose) -> Result<Self> {
        let file = metadata.file();
        let Some(architecture) = metadata.str("general.architecture")? else {
            let what = "metadata `general.architecture` is missing: choose a complete model file";
            return Err(Error::format(file, what));
        };
        let family = families::all().find(|f| f.gguf.contains(&architecture));
        let family = family.ok_or_else(|| unknown(architecture, file, purpose))?;
        let keys = Keys::gguf(metadata, tensors, architecture, family);
        keys.refuse_strangers()?;
        let config = (family.read)(&keys)?.checked(file)?.fit_for(purpose, file)?;
        let Some(rope) = config.ropes.first() else { return Ok(config) };
        for name in &config.rope_tensors {
            let (want, got) = (vec![rope.dims / 2], keys.shape(name).unwrap_or_default().to_vec());
            if want != got {
                return Err(Error::Shape { tensor: name.to_string(), want, got });
            }
        }
        Ok(config)
    }

    /// Refuses models that see later positions where they are to write.
    fn fit_for(self, purpose: Purpose, file: &str) -> Result<Self> {
        let reads = purpose == Purpose::Writing && self.layers.iter().any(LayerConfig::both_ways);
        if reads { Err(reads_only(file)) } else { Ok(self) }
    }

    /// Returns the name under which the models ask for the tensor that the file calls `name`, and how it lies there;
    /// `None` if they ask for no such tensor.
    pub fn canonical(&self, name: &str) -> Option<(String, TensorLayout)> {
        let family = families::all().find(|f| f.name == self.architecture)?;
        names::canonical(family, name)
    }

    /// Returns the tensors of numbers about rotation that the file has: [`LanguageConfig::set_rope_tensor`] wants each.
    pub fn rope_tensors(&self) -> &[&'static str] {
        &self.rope_tensors
    }

    /// Takes over the numbers of the tensor `name` of `file`, one of [`LanguageConfig::rope_tensors`]; they are of the
    /// first rotation.
    ///
    /// [`Error::Format`] if there are too many or too few or one is not positive, [`Error::Unsupported`] if the file
    /// asks for another scaling at the same time.
    pub fn set_rope_tensor(&mut self, name: &str, values: Vec<f32>, file: &str) -> Result<()> {
        match self.ropes.first_mut() {
            Some(rope) => rope.set_factors(name, values, file),
            None => Ok(()),
        }
    }

    /// Checks that the parts make sense together.
    fn checked(self, file: &str) -> Result<Self> {
        within("the hidden size", self.dim, file)?;
        within("the number of layers", self.layers.len(), file)?;
        for layer in &self.layers {
            self.check_layer(layer, file)?;
        }
        within("the vocabulary size", self.vocab, file)?;
        within("the context length", self.context_length, file)?;
        within("the context length", self.learned_positions.unwrap_or(1), file)?;
        usable("the scale of embeddings", self.embedding_scale, file)?;
        usable("the scale of logits", self.logit_scale, file)?;
        usable("the cap of logits", self.logit_soft_cap.unwrap_or(1.0), file)?;
        within("the number of token types", self.token_types.unwrap_or(1), file)?;
        [self.output_norm, self.embedding_norm].iter().flatten().try_for_each(|norm| check_norm(norm, file))?;
        for rope in &self.ropes {
            within("the head size", rope.dims, file)?;
            rope.check().map_err(|what| wrong(file, &format!("{what} is out of range")))?;
        }
        Ok(self)
    }

    fn check_layer(&self, layer: &LayerConfig, file: &str) -> Result<()> {
        let Norms { before_mixer, after_mixer, before_ffn, after_ffn, mixer_sum, ffn_sum } = layer.norms;
        let norms = [before_mixer, after_mixer, before_ffn, after_ffn, mixer_sum, ffn_sum];
        within("the feed-forward size", layer.ffn.dim, file)?;
        usable("the scale of residuals", layer.residual_scale, file)?;
        match &layer.mixer {
            MixerConfig::Attention(a) => self.check_attention(a, file)?,
            MixerConfig::ShortConv(c) => {
                within("the width of the convolution", c.width, file)?;
            }
        }
        norms.iter().flatten().try_for_each(|norm| check_norm(norm, file))
    }

    fn check_attention(&self, a: &AttentionConfig, file: &str) -> Result<()> {
        within("the number of heads", a.heads, file)?;
        within("the number of key-value heads", a.kv_heads, file)?;
        within("the head size", a.key_dim, file)?;
        within("the head size", a.value_dim, file)?;
        if !a.heads.is_multiple_of(a.kv_heads) {
            return Err(wrong(file, &format!("{} key-value heads do not divide {} heads", a.kv_heads, a.heads)));
        }
        if a.window == Some(0) {
            return Err(wrong(file, "the sliding window is 0"));
        }
        usable("the scale of scores", a.scale, file)?;
        usable("the cap of scores", a.soft_cap.unwrap_or(1.0), file)?;
        if a.clamp.is_some_and(|c| !c.is_finite() || c <= 0.0) {
            return Err(wrong(file, "the limit of queries, keys and values is not positive"));
        }
        if a.query_growth.is_some_and(|g| !g.beta.is_finite() || g.length == 0) {
            return Err(wrong(file, "the growth of queries is out of range"));
        }
        a.qk_norm.map_or(Ok(()), |norm| check_norm(&norm.norm, file))?;
        let Some(rope) = a.rope.and_then(|i| self.ropes.get(i)) else { return Ok(()) };
        if rope.dims == 0 || !rope.dims.is_multiple_of(2) || rope.dims > a.key_dim {
            return Err(wrong(file, &format!("{} of {} elements of a head are rotated", rope.dims, a.key_dim)));
        }
        Ok(())
    }
}

fn check_norm(norm: &NormConfig, file: &str) -> Result<()> {
    let fit = norm.eps.is_finite() && norm.eps >= 0.0;
    if fit { Ok(()) } else { Err(wrong(file, &format!("the norm's epsilon is {}", norm.eps))) }
}
