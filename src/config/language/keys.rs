//! One way to ask for a setting, whichever file it is in.
//!
//! Settings go by the names of transformers' `config.json`; [`GGUF`] holds what GGUF metadata calls them.

use super::config::LanguageConfig;
use super::head::ClassifierConfig;
use super::layout::TensorLayout;
use super::limits::{within, wrong};
use crate::format::metadata::{Array, Metadata, Value};
use crate::format::{TensorInfo, json};
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Settings with other names in GGUF metadata, where the architecture and a dot stand before them. What is not listed
/// has the same name in both, or is in one of them only.
const GGUF: [(&str, &str); 22] = [
    ("hidden_size", "embedding_length"),
    ("num_hidden_layers", "block_count"),
    ("num_attention_heads", "attention.head_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"),
    ("intermediate_size", "feed_forward_length"),
    ("max_position_embeddings", "context_length"),
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("layer_norm_eps", "attention.layer_norm_epsilon"),
    ("sliding_window", "attention.sliding_window"),
    ("sliding_window_pattern", "attention.sliding_window_pattern"),
    ("clip_qkv", "attention.clamp_kqv"),
    ("attention_multiplier", "attention.scale"),
    ("embedding_multiplier", "embedding_scale"),
    ("residual_multiplier", "residual_scale"),
    ("logits_scaling", "logit_scale"),
    ("conv_L_cache", "shortconv.l_cache"),
    ("rope_theta", "rope.freq_base"),
    ("rope_local_base_freq", "rope.freq_base_swa"),
    ("rotary_dim", "rope.dimension_count"),
    ("original_max_position_embeddings", "rope.scaling.original_context_length"),
    ("llama_4_scaling_beta", "attention.temperature_scale"),
];

/// A JSON object whose values are read when they are asked for: a configuration has many that nobody wants.
pub(super) type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Returns the value that `object` has under `name`; `null` is none.
pub(super) fn given<'a>(object: &Object<'a>, name: &str) -> Option<&'a RawValue> {
    object.get(name).copied().filter(|v| v.get() != "null")
}

/// One family: how its files are read, and what its layers are.
pub(super) struct ModelFamily {
    /// Its name here.
    pub name: &'static str,
    /// `general.architecture` of its GGUF files.
    pub gguf: &'static [&'static str],
    /// `model_type` of its `config.json`.
    pub model_types: &'static [&'static str],
    /// The entries of `architectures` in `config.json` that are models of language.
    pub classes: &'static [&'static str],
    /// Whether it reads whole texts and writes none.
    pub encoder: bool,
    /// Which elements of a head are rotated together.
    pub pairs: Pairs,
    /// A prefix that the names of published tensors may have.
    pub prefix: &'static str,
    /// The prefix of a layer's number.
    pub layers: &'static str,
    /// Published tensors with other names than most families have, or that lie in another way.
    pub tensors: &'static [(&'static str, &'static str, TensorLayout)],
    /// Tensors of GGUF files that models ask for by another name.
    pub gguf_tensors: &'static [(&'static str, &'static str)],
    /// Settings of `config.json` that this family calls otherwise: as they are asked for, as they are called.
    pub keys: &'static [(&'static str, &'static str)],
    /// Types of rotation that not all families have: as files call them, as they are meant.
    pub ropes: &'static [(&'static str, &'static str)],
    /// The settings that a `config.json` means by leaving them out, as one.
    pub defaults: &'static str,
    /// The model that the settings describe.
    pub read: fn(&Keys) -> Result<LanguageConfig>,
    /// The layers that make a score of a pair of texts.
    pub classifier: fn(&Keys) -> Result<ClassifierConfig>,
}

/// Which elements of a head are rotated together.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pairs {
    /// Those of its first half with those of its second half.
    Halves,
    /// The same; in GGUF files, whose query and key rows are permuted, neighbours.
    NeighboursInGguf,
    /// Neighbours, in all files.
    Neighbours,
}

/// The settings of one file.
pub(super) struct Keys<'a> {
    /// The file's name, for errors.
    pub file: &'a str,
    pub family: &'static ModelFamily,
    source: Source<'a>,
}

enum Source<'a> {
    /// The language model's settings over the family's defaults, and all of the file: the same, or the settings of a
    /// model that sees as well.
    Json {
        own: Object<'a>,
        whole: &'a Object<'a>,
    },
    Gguf {
        architecture: &'a str,
        metadata: &'a Metadata,
        tensors: &'a [TensorInfo],
    },
}

impl<'a> Keys<'a> {
    /// Reads the settings in a `config.json`; a part `text_config` holds those of the language model.
    pub fn json(whole: &'a Object<'a>, family: &'static ModelFamily, file: &'a str) -> Result<Self> {
        let object = |text: &'a str| json::parse::<Object<'a>>(text.as_bytes(), file);
        let mut own = object(family.defaults)?;
        match given(whole, "text_config") {
            Some(text) => own.extend(object(text.get())?),
            None => own.extend(whole.iter().map(|(key, value)| (key.clone(), *value))),
        }
        Ok(Keys { file, family, source: Source::Json { own, whole } })
    }

    /// Reads the settings in the metadata of a GGUF file.
    pub fn gguf(
        metadata: &'a Metadata,
        tensors: &'a [TensorInfo],
        architecture: &'a str,
        family: &'static ModelFamily,
    ) -> Self {
        Keys { file: metadata.file(), family, source: Source::Gguf { architecture, metadata, tensors } }
    }

    /// Returns `general.architecture` of a GGUF file.
    pub fn gguf_architecture(&self) -> Option<&'a str> {
        let Source::Gguf { architecture, .. } = self.source else { return None };
        Some(architecture)
    }

    /// Returns whether the file is a GGUF file.
    pub fn is_gguf(&self) -> bool {
        matches!(self.source, Source::Gguf { .. })
    }

    /// Reads the value of a setting in a `config.json`; `null` is none.
    pub fn value(&self, name: &str) -> Option<&'a RawValue> {
        let Source::Json { own, .. } = &self.source else { return None };
        let theirs = self.family.keys.iter().find(|k| k.0 == name).map_or(name, |k| k.1);
        let name = if own.contains_key(theirs) { theirs } else { name };
        given(own, name)
    }

    /// Reads the value of a setting in a `config.json`, which should be `wanted`.
    pub fn read<T: Deserialize<'a>>(&self, name: &str, wanted: &str) -> Result<Option<T>> {
        self.value(name).map(|v| self.fit(v, name, wanted)).transpose()
    }

    /// Reads `value` of the setting `name`, which should be `wanted`.
    pub fn fit<'v, T: Deserialize<'v>>(&self, value: &'v RawValue, name: &str, wanted: &str) -> Result<T> {
        let what = || format!("this JSON cannot be used (`{name}` is not {wanted}): the file is damaged or incomplete");
        serde_json::from_str(value.get()).map_err(|_| Error::format(self.file, what()))
    }

    /// Returns the metadata and the key in them, if this is a GGUF file.
    pub fn metadata(&self, name: &str) -> Option<(&'a Metadata, String)> {
        let Source::Gguf { architecture, metadata, .. } = self.source else { return None };
        let name = GGUF.iter().find(|k| k.0 == name).map_or(name, |k| k.1);
        Some((metadata, format!("{architecture}.{name}")))
    }

    /// Returns the error for other code that would be needed.
    pub fn unsupported(&self, what: &str) -> Error {
        Error::unsupported(format!("{}: {what}", self.file))
    }

    /// Reads a count. In GGUF it may be there once per layer, always the same.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        if let Some((metadata, key)) = self.metadata(name) {
            let n = match self.per_layer(metadata, &key)? {
                Some(list) if list.iter().any(|n| *n != list[0]) => {
                    let what = format!(
                        "layers of different sizes (`{key}`) are not supported; choose a model whose layers are alike"
                    );
                    return Err(self.unsupported(&what));
                }
                Some(list) => list.first().map(|&n| n.into()),
                None => metadata.u64(&key)?,
            };
            let fit = |n| usize::try_from(n).map_err(|_| wrong(self.file, &format!("`{key}` is {n}")));
            return n.map(fit).transpose();
        }
        self.read(name, "a whole number from zero up")
    }

    /// Reads the numbers of a GGUF key that has one per layer.
    fn per_layer(&self, metadata: &Metadata, key: &str) -> Result<Option<Vec<u32>>> {
        match metadata.get(key) {
            Some(Value::Array(Array::Strings(_) | Array::Nested(_))) => Ok(None),
            Some(Value::Array(_)) => metadata.u32s(key),
            _ => Ok(None),
        }
    }

    /// Reads a list of counts.
    pub fn counts(&self, name: &str) -> Result<Option<Vec<usize>>> {
        if let Some((metadata, key)) = self.metadata(name) {
            let list = self.per_layer(metadata, &key)?;
            return Ok(list.map(|list| list.into_iter().map(|n| n as usize).collect()));
        }
        self.read(name, "a list of whole numbers")
    }

    /// Reads a count without which there is no model.
    pub fn needed(&self, name: &str) -> Result<usize> {
        let missing = || match self.metadata(name) {
            Some((_, key)) => format!("metadata `{key}` is missing: choose a complete model file"),
            None => format!("`{name}` is missing: the file is incomplete, download it again"),
        };
        self.count(name)?.ok_or_else(|| Error::format(self.file, missing()))
    }

    /// Reads a number.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        if let Some((metadata, key)) = self.metadata(name) {
            return Ok(metadata.f32(&key)?.map(f64::from));
        }
        self.read(name, "a number")
    }

    /// Reads a number; if it is missing or zero, it is `none`.
    pub fn number_or(&self, name: &str, none: f64) -> Result<f32> {
        Ok(self.number(name)?.filter(|x| *x != 0.0).unwrap_or(none) as f32)
    }

    /// Reads a cap on scores or logits.
    pub fn cap(&self, name: &str) -> Result<Option<f32>> {
        Ok(self.number(name)?.filter(|x| *x != 0.0).map(|x| x as f32))
    }

    /// Reads a truth value; missing is false.
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.flag_or(name, false)
    }

    /// Reads a truth value; missing is `missing`.
    pub fn flag_or(&self, name: &str, missing: bool) -> Result<bool> {
        if let Some((metadata, key)) = self.metadata(name) {
            return Ok(metadata.bool(&key)?.unwrap_or(missing));
        }
        Ok(self.read(name, "a truth value")?.unwrap_or(missing))
    }

    /// Reads a word.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        if let Some((metadata, key)) = self.metadata(name) {
            return Ok(metadata.str(&key)?.map(str::to_string));
        }
        self.read(name, "a string")
    }

    /// Reads a part of a `config.json` that is an object; an empty one says as little as none.
    pub fn object(&self, name: &str) -> Result<Option<Object<'a>>> {
        Ok(self.read(name, "an object")?.filter(|o: &Object<'a>| !o.is_empty()))
    }

    /// Returns whether a GGUF file has a tensor of this name (as it is there) in one of its layers.
    pub fn has(&self, tensor: &str) -> bool {
        let Source::Gguf { tensors, .. } = self.source else { return false };
        let layer = |name: &'a str| name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        tensors.iter().any(|t| layer(&t.name).is_some_and(|(_, rest)| rest == tensor))
    }

    /// Returns whether the projection `tensor` has biases: in GGUF if they are there, else as `json` says.
    pub fn bias(&self, tensor: &str, json: bool) -> bool {
        if self.is_gguf() { self.has(&format!("{tensor}.bias")) } else { json }
    }

    /// Returns the shape of a GGUF file's tensor.
    pub fn shape(&self, name: &str) -> Option<&'a [usize]> {
        let Source::Gguf { tensors, .. } = self.source else { return None };
        tensors.iter().find(|t| t.name == name).map(|t| &t.shape[..])
    }

    /// Returns the rows of the embedding table. In GGUF the table itself is what counts; metadata and tokens may be
    /// padded differently.
    pub fn vocab(&self) -> Result<usize> {
        let Source::Gguf { metadata, .. } = self.source else { return self.needed("vocab_size") };
        if let Some(rows) = self.shape("token_embd.weight").and_then(|s| s.first()) {
            return Ok(*rows);
        }
        match self.count("vocab_size")? {
            Some(n) => Ok(n),
            None => Ok(metadata.strings("tokenizer.ggml.tokens")?.map_or(0, |tokens| tokens.len())),
        }
    }

    /// Returns the number of layers, which lists may be made of.
    pub fn n_layers(&self) -> Result<usize> {
        within("the number of layers", self.needed("num_hidden_layers")?, self.file)
    }

    /// Returns whether the output matrix is the embedding table.
    pub fn tied(&self) -> Result<Option<bool>> {
        match &self.source {
            Source::Gguf { tensors, .. } => {
                Ok((!tensors.is_empty()).then(|| tensors.iter().all(|t| t.name != "output.weight")))
            }
            Source::Json { whole, .. } => {
                let said = given(whole, "tie_word_embeddings").or(self.value("tie_word_embeddings"));
                said.map(|v| self.fit(v, "tie_word_embeddings", "a truth value")).transpose()
            }
        }
    }

    /// Returns the model's own name, or its family's.
    pub fn name(&self) -> Result<String> {
        let name = match &self.source {
            Source::Gguf { metadata, .. } => metadata.str("general.name")?.map(str::to_string),
            Source::Json { whole, .. } => {
                let name = given(whole, "_name_or_path").map(|v| self.fit(v, "_name_or_path", "a string"));
                name.transpose()?.filter(|name: &String| !name.is_empty())
            }
        };
        Ok(name.unwrap_or_else(|| self.family.name.to_string()))
    }

    /// Returns the tensors of numbers about rotation that a GGUF file has.
    pub fn rope_tensors(&self) -> Vec<&'static str> {
        let has = |name: &&str| self.shape(name).is_some();
        super::rope::TENSORS.into_iter().filter(has).collect()
    }

    /// Refuses what no family has: weights quantized in other ways, experts, parts of a file.
    pub fn refuse_strangers(&self) -> Result<()> {
        if let Source::Gguf { metadata, .. } = self.source {
            let parts = metadata.u32("split.count")?.unwrap_or(1);
            if parts > 1 {
                let file = self.file;
                let what =
                    format!("{file} is one of {parts} parts of a model; choose a file that holds the whole model");
                return Err(Error::unsupported(what));
            }
            if self.count("expert_count")?.is_some_and(|n| n > 0) {
                return Err(self.unsupported("mixtures of experts are not supported; choose a dense model"));
            }
        }
        let Source::Json { whole, .. } = &self.source else { return Ok(()) };
        let key = "quantization_config";
        let Some(said) = given(whole, key).or(self.value(key)) else { return Ok(()) };
        let settings: Object<'_> = self.fit(said, key, "an object")?;
        let method = given(&settings, "quant_method").map(|v| self.fit::<String>(v, "quant_method", "a string"));
        let method = method.transpose()?.unwrap_or_else(|| "of an unnamed kind".to_string());
        let what = format!(
            "weights quantized with `{method}` are not supported; choose the original repository or a GGUF file"
        );
        Err(self.unsupported(&what))
    }
}
