//! The small files of a sentence-transformers folder: which modules follow each other, and their settings.

use super::head::{DenseConfig, HeadActivation, Pooling};
use super::limits::wrong;
use crate::format::json;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The modules that a folder lists, in their order: each one's own folder, with its slash, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modules {
    /// The one with the model.
    pub model: String,
    /// The one with the settings of pooling.
    pub pooling: Option<String>,
    /// The linear layers.
    pub dense: Vec<String>,
    /// Whether vectors are made of length one in the end.
    pub normalize: bool,
    /// The one that makes a score of the next token's logits, instead of all but the first.
    pub score: Option<String>,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Modules {
    /// Reads `modules.json`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for modules that there are no kernels for, [`Error::Format`] for what is no such file.
    pub fn from_json(text: &[u8], file: &str) -> Result<Modules> {
        let listed: Vec<Module> = serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
            .map_err(|e| Error::format(file, format!("this JSON cannot be used ({e}): download it again")))?;
        let mut modules = Modules::default();
        for (i, module) in listed.into_iter().enumerate() {
            let folder = match module.path.trim_matches('/') {
                "" => String::new(),
                path => format!("{path}/"),
            };
            let kind = module.kind.rsplit('.').next().unwrap_or_default().to_string();
            let pooled = modules.pooling.is_some();
            match kind.as_str() {
                "Transformer" if i == 0 => modules.model = folder,
                "LogitScore" if i == 1 => modules.score = Some(folder),
                "Pooling" if i > 0 && !pooled && modules.score.is_none() => modules.pooling = Some(folder),
                "Dense" if pooled && !modules.normalize => modules.dense.push(folder),
                "Normalize" if pooled => modules.normalize = true,
                "Dropout" => {}
                _ => {
                    return Err(Error::unsupported(format!(
                        "{file}: a module `{kind}` at this place is not supported; choose a model that is a \
                         Transformer, Pooling, and if need be Dense and Normalize"
                    )));
                }
            }
        }
        Ok(modules)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Pooling),
    More(Vec<Pooling>),
}

#[derive(Deserialize)]
struct PoolingFile {
    pooling_mode: Option<OneOrMore>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    include_prompt: Option<bool>,
}

#[derive(Deserialize)]
struct DenseFile {
    in_features: usize,
    out_features: usize,
    bias: Option<bool>,
    activation_function: Option<String>,
    use_residual: Option<bool>,
}

/// How texts are read.
#[derive(Deserialize, Default)]
pub(super) struct TransformerFile {
    pub max_seq_length: Option<usize>,
    pub do_lower_case: Option<bool>,
}

/// The tokens that make a score.
#[derive(Deserialize)]
pub(super) struct ScoreFile {
    pub true_token_id: u32,
    pub false_token_id: Option<u32>,
}

/// Prompts, and what scores pass.
#[derive(Deserialize, Default)]
pub(super) struct PromptsFile {
    pub activation_fn: Option<String>,
    pub prompts: Option<BTreeMap<String, String>>,
    pub default_prompt_name: Option<String>,
}

/// The length of texts, as a tokenizer's settings have it.
#[derive(Deserialize, Default)]
pub(super) struct TokenizerFile {
    pub model_max_length: Option<f64>,
}

/// Reads a file that may be missing.
pub(super) fn read<T: for<'de> Deserialize<'de> + Default>(file: Option<(&[u8], &str)>) -> Result<T> {
    file.map_or(Ok(T::default()), |(text, name)| json::parse(text, name))
}

/// Reads the settings of pooling: the ways, and whether a prompt is pooled, too.
pub(super) fn pooling(text: &[u8], file: &str) -> Result<(Vec<Pooling>, bool)> {
    let said: PoolingFile = json::parse(text, file)?;
    let flags = [
        (said.pooling_mode_cls_token, Pooling::First),
        (said.pooling_mode_max_tokens, Pooling::Max),
        (said.pooling_mode_mean_tokens, Pooling::Mean),
        (said.pooling_mode_mean_sqrt_len_tokens, Pooling::MeanSqrtLength),
        (said.pooling_mode_weightedmean_tokens, Pooling::WeightedMean),
        (said.pooling_mode_lasttoken, Pooling::Last),
    ];
    let ways = match said.pooling_mode {
        Some(OneOrMore::One(way)) => vec![way],
        Some(OneOrMore::More(ways)) => ways,
        None => flags.into_iter().filter(|f| f.0).map(|f| f.1).collect(),
    };
    let ways = if ways.is_empty() { vec![Pooling::Mean] } else { ways };
    if ways.len() > flags.len() {
        return Err(wrong(file, &format!("{} ways of pooling", ways.len())));
    }
    Ok((ways, said.include_prompt.unwrap_or(true)))
}

/// Reads the settings of the linear layer in `folder`.
pub(super) fn dense(folder: &str, text: &[u8], file: &str) -> Result<DenseConfig> {
    let said: DenseFile = json::parse(text, file)?;
    let function = said.activation_function.as_deref().unwrap_or("torch.nn.modules.activation.Tanh");
    let activation = match function.rsplit('.').next().unwrap_or_default() {
        "Identity" => HeadActivation::None,
        "Tanh" => HeadActivation::Tanh,
        "ReLU" => HeadActivation::Relu,
        "GELU" => HeadActivation::Gelu,
        "SiLU" => HeadActivation::Silu,
        _ => {
            let what =
                format!("{file}: activation `{function}` is not supported; Identity, Tanh, ReLU, GELU, SiLU are");
            return Err(Error::unsupported(what));
        }
    };
    if said.use_residual == Some(true) {
        return Err(Error::unsupported(format!("{file}: `use_residual` is not supported; choose another model")));
    }
    Ok(DenseConfig {
        name: format!("{folder}linear."),
        inputs: said.in_features,
        outputs: said.out_features,
        bias: said.bias.unwrap_or(true),
        activation,
    })
}
