//! What makes a vector, or a score, of a text's hidden states: the modules of a sentence-transformers folder, or what is
//! meant without them.

use super::LanguageConfig;
use super::keys::{Keys, given};
use super::layer::NormConfig;
use super::limits::{within, wrong};
use crate::format::json;
use crate::format::metadata::Metadata;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A model that makes vectors or scores.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingConfig {
    /// The model whose hidden states are pooled.
    pub model: LanguageConfig,
    /// How a text's hidden states become one vector; several lie side by side.
    pub pooling: Vec<Pooling>,
    /// Whether the tokens of a prompt are pooled with the others.
    pub include_prompt: bool,
    /// The linear layers that vectors pass.
    pub dense: Vec<DenseConfig>,
    /// Whether vectors are made of length one.
    pub normalize: bool,
    /// The tokens that are read of a text, special ones included.
    pub max_tokens: usize,
    /// Texts that are put before others, by name.
    pub prompts: BTreeMap<String, String>,
    /// The name of the prompt that is put before a text if none is asked for.
    pub default_prompt: Option<String>,
    /// Whether texts are put in lower case first.
    pub lower_case: bool,
    /// How a score is made of a pair of texts, if it can be.
    pub scoring: Option<Scoring>,
    /// Whether a score passes the sigmoid.
    pub sigmoid: bool,
}

/// How a score is made of a pair of texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scoring {
    /// By layers of its own, instead of a vector.
    Classifier(ClassifierConfig),
    /// By how much more likely one token is behind the pair than another. Without tokens: "yes" and "no", of a folder that
    /// says nothing of scores.
    Answer(Option<AnswerTokens>),
}

/// The tokens that answer whether a text fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTokens {
    /// The one that says it does.
    pub yes: u32,
    /// The one that says it does not; without it the logit of `yes` counts alone.
    pub no: Option<u32>,
}

/// How the hidden states of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Pooling {
    /// The first token's.
    #[serde(rename = "cls")]
    First,
    /// Of each element the largest.
    #[serde(rename = "max")]
    Max,
    /// Their mean.
    #[serde(rename = "mean")]
    Mean,
    /// Their sum over the root of their number.
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrtLength,
    /// Their mean, in which the first counts once, the second twice and so on.
    #[serde(rename = "weightedmean")]
    WeightedMean,
    /// The last token's.
    #[serde(rename = "lasttoken")]
    Last,
}

/// A linear layer that vectors pass.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseConfig {
    /// What its tensors' names begin with.
    pub name: String,
    /// Elements of its input.
    pub inputs: usize,
    /// Elements of its result.
    pub outputs: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// The function that its result passes.
    pub activation: HeadActivation,
}

/// The layers that make a score of a pair of texts: `cls`, `cls.norm` and `cls.output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierConfig {
    /// How the pair's hidden states become one vector.
    pub pooling: Pooling,
    /// A linear layer before the last one: the function that its result passes, and whether it has a bias.
    pub dense: Option<(HeadActivation, bool)>,
    /// A norm between them.
    pub norm: Option<NormConfig>,
    /// Whether the last layer has a bias.
    pub bias: bool,
}

/// The function that a layer behind the pooling ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadActivation {
    /// None.
    None,
    /// `tanh(x)`
    Tanh,
    /// `max(x, 0)`
    Relu,
    /// `x * Phi(x)`, the exact form.
    Gelu,
    /// `x * sigmoid(x)`
    Silu,
}

impl Pooling {
    /// Returns its name, as sentence-transformers says it.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::First => "cls",
            Pooling::Max => "max",
            Pooling::Mean => "mean",
            Pooling::MeanSqrtLength => "mean_sqrt_len_tokens",
            Pooling::WeightedMean => "weightedmean",
            Pooling::Last => "lasttoken",
        }
    }
}

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

#[derive(Deserialize, Default)]
struct TransformerFile {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

#[derive(Deserialize)]
struct ScoreFile {
    true_token_id: u32,
    false_token_id: Option<u32>,
}

#[derive(Deserialize, Default)]
struct PromptsFile {
    activation_fn: Option<String>,
    prompts: Option<BTreeMap<String, String>>,
    default_prompt_name: Option<String>,
}

#[derive(Deserialize, Default)]
struct TokenizerFile {
    model_max_length: Option<f64>,
}

/// The small files of a folder of which some may be missing: their texts, and their names for errors.
#[derive(Default)]
pub struct EmbeddingFiles<'a> {
    /// config.json of the model.
    pub config: (&'a [u8], &'a str),
    /// `modules.json`, read.
    pub modules: Option<&'a Modules>,
    /// The settings of pooling.
    pub pooling: Option<(&'a [u8], &'a str)>,
    /// The settings of the module that makes a score.
    pub score: Option<(&'a [u8], &'a str)>,
    /// The settings of each linear layer.
    pub dense: &'a [(Vec<u8>, String)],
    /// `sentence_bert_config.json`, or as it is called beside other models.
    pub transformer: Option<(&'a [u8], &'a str)>,
    /// `config_sentence_transformers.json`.
    pub prompts: Option<(&'a [u8], &'a str)>,
    /// `tokenizer_config.json`.
    pub tokenizer: Option<(&'a [u8], &'a str)>,
}

impl EmbeddingConfig {
    /// Reads a folder's small files. Without modules the hidden states of an encoder are averaged, as
    /// sentence-transformers does; those of a decoder's last token count.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for what there are no kernels for, [`Error::Format`] for damaged files and contradictory
    /// numbers.
    pub fn from_json(files: &EmbeddingFiles<'_>) -> Result<Self> {
        let (config, file) = files.config;
        let text = json::bounded(config);
        let whole = json::parse(&text, file)?;
        let family = super::family(&whole, file, super::Purpose::Embedding)?;
        let keys = Keys::json(&whole, family, file)?;
        keys.refuse_strangers()?;
        let model = (family.read)(&keys)?.checked(file)?;
        let classes = super::words(&whole, "architectures", file)?;
        let class = |ending: &str| files.modules.is_none() && classes.iter().any(|c| c.ends_with(ending));
        let scoring = match files.score {
            Some((text, name)) => {
                let said: ScoreFile = json::parse(text, name)?;
                Some(Scoring::Answer(Some(AnswerTokens { yes: said.true_token_id, no: said.false_token_id })))
            }
            None if class("ForSequenceClassification") => {
                check_labels(&keys, &whole)?;
                Some(Scoring::Classifier((family.classifier)(&keys)?))
            }
            None if class("ForCausalLM") => Some(Scoring::Answer(None)),
            None => None,
        };
        let parsed = |file: &Option<(&[u8], &str)>| file.map(|(text, name)| (text.to_vec(), name.to_string()));
        let transformer: TransformerFile = read(&parsed(&files.transformer))?;
        let prompts: PromptsFile = read(&parsed(&files.prompts))?;
        let tokenizer: TokenizerFile = read(&parsed(&files.tokenizer))?;
        let (pooling, include_prompt) = match files.pooling {
            Some((text, name)) => pooling(json::parse(text, name)?, name)?,
            None => (vec![if family.encoder { Pooling::Mean } else { Pooling::Last }], true),
        };
        let folders = files.modules.map_or(&[][..], |m| &m.dense);
        let dense = folders.iter().zip(files.dense).map(|(folder, (text, name))| dense(folder, text, name));
        let most = model.context_length;
        let told = tokenizer.model_max_length.filter(|n| n.is_finite() && *n >= 1.0).map_or(usize::MAX, |n| n as usize);
        EmbeddingConfig {
            pooling,
            include_prompt,
            dense: dense.collect::<Result<_>>()?,
            normalize: files.modules.is_some_and(|m| m.normalize),
            // What the table of positions does not hold cannot be read, whatever the folder says.
            max_tokens: match transformer.max_seq_length {
                Some(n) if model.learned_positions.is_some() => n.min(most),
                Some(n) => n,
                None => told.min(most),
            },
            prompts: prompts.prompts.unwrap_or_default(),
            default_prompt: prompts.default_prompt_name,
            lower_case: transformer.do_lower_case.unwrap_or(false),
            scoring,
            sigmoid: sigmoid(&keys, &whole, prompts.activation_fn)?,
            model,
        }
        .checked(file)
    }

    /// Reads the metadata of a GGUF file, with its tensors to tell what the metadata leaves out.
    ///
    /// # Errors
    /// As [`EmbeddingConfig::from_json`].
    pub fn from_gguf(metadata: &Metadata, tensors: &[crate::format::TensorInfo]) -> Result<Self> {
        let file = metadata.file();
        let model = LanguageConfig::from_gguf_as(metadata, tensors, super::Purpose::Embedding)?;
        let architecture = metadata.str("general.architecture")?.unwrap_or_default();
        let encoder = model.layers.iter().any(|layer| layer.both_ways());
        let pooling = match metadata.u32(&format!("{architecture}.pooling_type"))? {
            Some(1) => Pooling::Mean,
            Some(2) => Pooling::First,
            Some(3) => Pooling::Last,
            None | Some(0) if encoder => Pooling::Mean,
            None | Some(0) => Pooling::Last,
            Some(n) => {
                return Err(Error::unsupported(format!(
                    "{file}: pooling type {n} is not supported; choose a model that makes vectors, or the folder of \
                     this one"
                )));
            }
        };
        let shape = |name: &str| tensors.iter().find(|t| t.name == name).map(|t| &t.shape[..]);
        let dense = |name: &str| match shape(&format!("{name}.weight")) {
            Some(&[outputs, inputs]) => {
                let bias = shape(&format!("{name}.bias")).is_some();
                let name = format!("{name}.");
                Some(DenseConfig { name, inputs, outputs, bias, activation: HeadActivation::None })
            }
            _ => None,
        };
        EmbeddingConfig {
            pooling: vec![pooling],
            include_prompt: true,
            dense: ["dense_2", "dense_3"].into_iter().filter_map(dense).collect(),
            // llama.cpp makes all vectors of length one unless told otherwise, and so do the folders of these models.
            normalize: true,
            max_tokens: model.context_length,
            prompts: BTreeMap::new(),
            default_prompt: None,
            lower_case: false,
            scoring: None,
            sigmoid: true,
            model,
        }
        .checked(file)
    }

    /// Returns the layers that make a score, if it is made by such.
    pub fn classifier(&self) -> Option<&ClassifierConfig> {
        match &self.scoring {
            Some(Scoring::Classifier(classifier)) => Some(classifier),
            _ => None,
        }
    }

    /// Returns the tokens whose logits make a score, where the folder names them.
    pub fn answer_tokens(&self) -> Option<AnswerTokens> {
        match &self.scoring {
            Some(Scoring::Answer(tokens)) => *tokens,
            _ => None,
        }
    }

    /// Returns how many elements a vector has.
    pub fn dimensions(&self) -> usize {
        self.dense.last().map_or(self.model.dim * self.pooling.len(), |dense| dense.outputs)
    }

    fn checked(self, file: &str) -> Result<Self> {
        within("the longest text", self.max_tokens, file)?;
        for token in self.answer_tokens().into_iter().flat_map(|t| [Some(t.yes), t.no]).flatten() {
            if token as usize >= self.model.vocab {
                return Err(wrong(file, &format!("there is no token {token} to answer with")));
            }
        }
        let mut width = self.model.dim * self.pooling.len();
        for dense in &self.dense {
            within("the size of a vector", dense.outputs, file)?;
            if dense.inputs != width {
                let what = format!("`{}` takes vectors of {} elements, not of {width}", dense.name, dense.inputs);
                return Err(wrong(file, &what));
            }
            width = dense.outputs;
        }
        Ok(self)
    }
}

/// Reads a file that may be missing.
fn read<T: for<'de> Deserialize<'de> + Default>(file: &Option<(Vec<u8>, String)>) -> Result<T> {
    file.as_ref().map_or(Ok(T::default()), |(text, name)| json::parse(text, name))
}

fn pooling(said: PoolingFile, file: &str) -> Result<(Vec<Pooling>, bool)> {
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

fn dense(folder: &str, text: &[u8], file: &str) -> Result<DenseConfig> {
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

/// Refuses a classifier of several labels.
fn check_labels(keys: &Keys<'_>, whole: &super::Object<'_>) -> Result<()> {
    let labels = match given(whole, "id2label") {
        Some(labels) => keys.fit::<BTreeMap<String, String>>(labels, "id2label", "names by number")?.len(),
        None => keys.count("num_labels")?.unwrap_or(2),
    };
    match labels {
        1 => Ok(()),
        _ => Err(keys.unsupported(&format!(
            "a classifier of {labels} labels is not supported; choose a reranker, which has one, or a model that makes \
             vectors"
        ))),
    }
}

/// Reads whether scores pass the sigmoid: they do where nothing else is said.
fn sigmoid(keys: &Keys<'_>, whole: &super::Object<'_>, beside: Option<String>) -> Result<bool> {
    let settings: super::Object<'_> = match given(whole, "sentence_transformers") {
        Some(own) => keys.fit(own, "sentence_transformers", "an object")?,
        None => super::Object::new(),
    };
    let said = given(&settings, "activation_fn").or(given(whole, "sbert_ce_default_activation_function"));
    let said = said.map(|v| keys.fit::<String>(v, "activation_fn", "a string")).transpose()?.or(beside);
    match said.as_deref().map(|name| name.rsplit('.').next().unwrap_or_default()) {
        None | Some("Sigmoid") => Ok(true),
        Some("Identity") => Ok(false),
        Some(other) => {
            Err(keys.unsupported(&format!("scores that pass `{other}` are not supported; Sigmoid and Identity are")))
        }
    }
}
