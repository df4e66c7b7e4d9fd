//! [`LanguageConfig`] from transformers' `config.json`, in the earlier spelling of rope settings (`rope_theta` and
//! `rope_scaling`) and the later one (`rope_parameters`).

use super::{Biases, Family, LanguageConfig, Rope, RopeScaling, Windows, within, wrong};
use crate::format::json;
use crate::{Error, Result};
use serde::Deserialize;

/// What is read first: of an unsupported architecture nothing more is understood.
#[derive(Deserialize)]
struct Identity {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "_name_or_path")]
    name: Option<String>,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    #[serde(default, deserialize_with = "json::nullable")]
    num_key_value_heads: Option<Option<usize>>,
    #[serde(default, deserialize_with = "json::nullable")]
    head_dim: Option<Option<usize>>,
    hidden_act: Option<String>,
    max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    #[serde(default, deserialize_with = "json::nullable")]
    sliding_window: Option<Option<usize>>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    no_rope_layers: Option<Vec<u8>>,
    no_rope_layer_interval: Option<usize>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    rope_scaling: Option<RopeJson>,
    rope_parameters: Option<RopeJson>,
    quantization_config: Option<Quantization>,
}

#[derive(Deserialize)]
struct Quantization {
    quant_method: Option<String>,
}

/// Rope settings, or (newer files) one such object per type of layer.
#[derive(Deserialize, Clone, PartialEq, Default)]
struct RopeJson {
    rope_type: Option<String>,
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    full_attention: Option<Box<RopeJson>>,
    sliding_attention: Option<Box<RopeJson>>,
}

impl Config {
    /// The rope settings that hold for every layer.
    fn rope_json(&self, file: &str) -> Result<RopeJson> {
        // An empty object says as little as none.
        let given = self.rope_scaling.as_ref().filter(|r| **r != RopeJson::default());
        let given = given.or(self.rope_parameters.as_ref()).cloned().unwrap_or_default();
        match (&given.full_attention, &given.sliding_attention) {
            (None, None) => Ok(given),
            (Some(one), None) | (None, Some(one)) => Ok((**one).clone()),
            (Some(full), Some(sliding)) if full == sliding => Ok((**full).clone()),
            _ => {
                let what = format!(
                    "{file}: different rope settings per type of layer are not supported; choose another model"
                );
                Err(Error::unsupported(what))
            }
        }
    }

    fn rope(&self, family: &Family, head_dim: usize, context_length: usize, file: &str) -> Result<Rope> {
        let json = self.rope_json(file)?;
        let kind = json.rope_type.as_deref().or(json.old_type.as_deref()).unwrap_or("default");
        let needed = |name: &str, value: Option<f64>| {
            value.ok_or_else(|| {
                Error::format(file, format!("rope type `{kind}` needs `{name}`: the file is incomplete"))
            })
        };
        let original = self.original_max_position_embeddings.or(json.original_max_position_embeddings);
        let original_context = original.unwrap_or(context_length as f64);
        let scaling = match kind {
            // "dynamic" departs from the default only beyond the context length.
            "default" | "dynamic" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: needed("factor", json.factor)? },
            "llama3" => RopeScaling::Llama3 {
                factor: needed("factor", json.factor)?,
                low_freq_factor: needed("low_freq_factor", json.low_freq_factor)?,
                high_freq_factor: needed("high_freq_factor", json.high_freq_factor)?,
                original_context,
            },
            "yarn" => RopeScaling::Yarn {
                factor: json.factor.unwrap_or(context_length as f64 / original_context),
                original_context,
                // Zero means unset here, as it does in transformers.
                beta_fast: json.beta_fast.filter(|b| *b != 0.0).unwrap_or(32.0),
                beta_slow: json.beta_slow.filter(|b| *b != 0.0).unwrap_or(1.0),
                attention_factor: json.attention_factor,
                mscale: json.mscale,
                mscale_all_dim: json.mscale_all_dim,
                truncate: json.truncate.unwrap_or(true),
            },
            _ => {
                let what = format!(
                    "{file}: rope type `{kind}` is not supported; choose a model with default, linear, dynamic, \
                     llama3 or yarn"
                );
                return Err(Error::unsupported(what));
            }
        };
        let share = json.partial_rotary_factor.or(self.partial_rotary_factor).unwrap_or(1.0);
        let base = json.rope_theta.or(self.rope_theta).unwrap_or(family.rope_base);
        Ok(Rope { base, dims: (head_dim as f64 * share) as usize, interleaved: false, scaling })
    }

    fn rope_layers(&self, family: &Family, file: &str) -> Result<Vec<bool>> {
        let n_layers = self.num_hidden_layers;
        let Some(default) = family.unrotated_every else { return Ok(vec![true; n_layers]) };
        match &self.no_rope_layers {
            // Despite its name, 1 in this list means that the layer is rotated.
            Some(list) if list.len() >= n_layers => Ok(list[..n_layers].iter().map(|&flag| flag != 0).collect()),
            Some(list) => Err(wrong(file, &format!("`no_rope_layers` names {} of {n_layers} layers", list.len()))),
            None => match self.no_rope_layer_interval.unwrap_or(default) {
                0 => Err(wrong(file, "`no_rope_layer_interval` is 0")),
                every => Ok(family.rope_layers(n_layers, Some(every))),
            },
        }
    }

    fn windows(&self, family: &Family, rope_layers: &[bool], file: &str) -> Result<Vec<Option<usize>>> {
        let n_layers = self.num_hidden_layers;
        let window = self.sliding_window.unwrap_or(family.sliding_window);
        let on = match family.windows {
            Windows::Never => return Ok(vec![None; n_layers]),
            Windows::All => return Ok(vec![window; n_layers]),
            Windows::Upper | Windows::Unrotated => self.use_sliding_window.unwrap_or(false),
        };
        let window = window.filter(|_| on);
        let Some(types) = &self.layer_types else {
            let from = self.max_window_layers.unwrap_or(28);
            let chosen = |i: usize| if family.windows == Windows::Upper { i >= from } else { !rope_layers[i] };
            return Ok((0..n_layers).map(|i| window.filter(|_| chosen(i))).collect());
        };
        if types.len() < n_layers {
            return Err(wrong(file, &format!("`layer_types` names {} of {n_layers} layers", types.len())));
        }
        let layer = |kind: &String| match (kind.as_str(), window) {
            ("full_attention", _) => Ok(None),
            ("sliding_attention", Some(window)) => Ok(Some(window)),
            ("sliding_attention", None) => Err(wrong(file, "a layer is `sliding_attention` without a sliding window")),
            _ => {
                let what =
                    format!("{file}: layer type `{kind}` is not supported; full_attention and sliding_attention are");
                Err(Error::unsupported(what))
            }
        };
        types[..n_layers].iter().map(layer).collect()
    }
}

/// Which family the configuration says it is.
fn family(identity: &Identity, file: &str) -> Result<&'static Family> {
    let classes = identity.architectures.as_deref().unwrap_or_default();
    let Some(name) = identity.model_type.as_ref().or(classes.first()) else {
        let what = "neither `model_type` nor `architectures` is there: this is not a model's config.json";
        return Err(Error::format(file, what));
    };
    let family = Family::find(name, file)?;
    // The same model type serves classifiers and embedders, which have other tensors.
    match classes.first() {
        Some(class) if !classes.iter().any(|c| c == family.class) => {
            let what = format!("{file}: `{class}` is not supported; choose a model that is a {}", family.class);
            Err(Error::unsupported(what))
        }
        _ => Ok(family),
    }
}

impl LanguageConfig {
    /// From the text of a transformers `config.json`; `file` names it in errors. Values left out are those that
    /// transformers takes.
    ///
    /// [`Error::Unsupported`] for other architectures, activations, rope types and for weights quantized in other
    /// ways; [`Error::Format`] for what is no such file and for numbers that cannot be.
    pub fn from_json(config_json: &[u8], file: &str) -> Result<Self> {
        let family = family(&json::parse(config_json, file)?, file)?;
        let json: Config = json::parse(config_json, file)?;
        if let Some(quantization) = &json.quantization_config {
            let method = quantization.quant_method.as_deref().unwrap_or("of an unnamed kind");
            let what = format!(
                "{file}: weights quantized with `{method}` are not supported; choose the original repository or a \
                 GGUF file"
            );
            return Err(Error::unsupported(what));
        }
        if let Some(act) = json.hidden_act.as_deref().filter(|act| !matches!(*act, "silu" | "swish")) {
            return Err(Error::unsupported(format!("{file}: activation `{act}` is not supported; silu is")));
        }
        let n_layers = within("the number of layers", json.num_hidden_layers, file)?;
        let n_heads = within("the number of heads", json.num_attention_heads, file)?;
        let dim = json.hidden_size;
        let head_dim = match json.head_dim.unwrap_or(family.head_dim) {
            Some(n) => n,
            None if dim.is_multiple_of(n_heads) => dim / n_heads,
            None => return Err(wrong(file, &format!("{n_heads} heads do not divide the hidden size {dim}"))),
        };
        let context_length = json.max_position_embeddings.unwrap_or(family.context_length);
        let rope = json.rope(family, head_dim, context_length, file)?;
        // Models are told to use YaRN by adding its settings, while `max_position_embeddings` often stays as it was.
        let stretched = json.rope_json(file)?.original_max_position_embeddings;
        let context_length = match (&rope.scaling, stretched) {
            (RopeScaling::Yarn { factor, .. }, Some(original)) => context_length.max((original * factor) as usize),
            _ => context_length,
        };
        let rope_layers = json.rope_layers(family, file)?;
        let windows = json.windows(family, &rope_layers, file)?;
        let attention_bias = json.attention_bias.unwrap_or(false);
        let name = json.name.filter(|name| !name.is_empty());
        let config = LanguageConfig {
            architecture: family.name.to_string(),
            name: name.unwrap_or_else(|| family.name.to_string()),
            dim,
            n_layers,
            n_heads,
            n_kv_heads: json.num_key_value_heads.unwrap_or(family.kv_heads).unwrap_or(n_heads),
            head_dim,
            ffn_dim: json.intermediate_size,
            vocab: json.vocab_size,
            norm_eps: json.rms_norm_eps.unwrap_or(1e-6) as f32,
            context_length,
            rope,
            rope_layers,
            windows,
            tied: json.tie_word_embeddings,
            attn_bias: match family.biases {
                Biases::Never => false,
                Biases::Qkv => true,
                Biases::AsConfigured => attention_bias,
            },
            attn_output_bias: family.biases == Biases::AsConfigured && attention_bias,
            ffn_bias: family.ffn_bias && json.mlp_bias.unwrap_or(false),
            qk_norm: family.qk_norm,
        };
        config.checked(file)
    }
}
