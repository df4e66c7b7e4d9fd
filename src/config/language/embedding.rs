//! Models that make a vector, or a score, of a text's hidden states: by the modules of a sentence-transformers folder,
//! or as is meant without them.

use super::LanguageConfig;
use super::head::{AnswerTokens, ClassifierConfig, DenseConfig, HeadActivation, Pooling, Scoring};
use super::keys::{Keys, given};
use super::limits::{within, wrong};
use super::modules::{ModuleSettings, Modules, dense, pooling};
use crate::format::json;
use crate::format::metadata::Metadata;
use crate::{Error, Result};
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
        let text = json::replaced(config, &[("Infinity", "1e308")]);
        let whole = json::parse(&text, file)?;
        let family = super::family(&whole, file, super::Purpose::Embedding)?;
        let keys = Keys::json(&whole, family, file)?;
        keys.refuse_strangers()?;
        let model = (family.read)(&keys)?.checked(file)?;
        let classes = super::words(&whole, "architectures", file)?;
        // Modules behind the model say what is made of its hidden states; without any its class does.
        let bare = files.modules.is_none_or(|m| m.pooling.is_none());
        let class = |ending: &str| bare && classes.iter().any(|c| c.ends_with(ending));
        let scoring = match files.score {
            Some((text, name)) => {
                let said = ModuleSettings::read(Some((text, name)))?;
                let id = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let no = said.count("false_token_id")?.map(id);
                Some(Scoring::Answer(Some(AnswerTokens { yes: id(said.needed("true_token_id")?), no })))
            }
            None if class("ForSequenceClassification") => {
                check_labels(&keys, &whole)?;
                Some(Scoring::Classifier((family.classifier)(&keys)?))
            }
            None if class("ForCausalLM") => Some(Scoring::Answer(None)),
            None => None,
        };
        let transformer = ModuleSettings::read(files.transformer)?;
        let prompts = ModuleSettings::read(files.prompts)?;
        let told = ModuleSettings::read(files.tokenizer)?.number("model_max_length")?;
        let (pooling, include_prompt) = match files.pooling {
            Some((text, name)) => pooling(text, name)?,
            None => (vec![if family.encoder { Pooling::Mean } else { Pooling::Last }], true),
        };
        let folders = files.modules.map_or(&[][..], |m| &m.dense);
        let dense = folders.iter().zip(files.dense).map(|(folder, (text, name))| dense(folder, text, name));
        let most = model.context_length;
        let told = told.filter(|n| n.is_finite() && *n >= 1.0).map_or(usize::MAX, |n| n as usize);
        EmbeddingConfig {
            pooling,
            include_prompt,
            dense: dense.collect::<Result<_>>()?,
            normalize: files.modules.is_some_and(|m| m.normalize),
            // What the table of positions does not hold cannot be read, whatever the folder says.
            max_tokens: match transformer.count("max_seq_length")? {
                Some(n) if model.learned_positions.is_some() => n.min(most),
                Some(n) => n,
                None => told.min(most),
            },
            prompts: prompts.texts("prompts")?,
            default_prompt: prompts.text("default_prompt_name")?,
            lower_case: transformer.flag("do_lower_case")?.unwrap_or(false),
            scoring,
            sigmoid: sigmoid(&keys, &whole, prompts.text("activation_fn")?)?,
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
        let has = |name: &str| shape(name).is_some();
        let scoring = match shape("cls.output.weight") {
            None => None,
            Some([1, _]) if has("cls.weight") => Some(Scoring::Classifier(ClassifierConfig {
                pooling: match metadata.u32(&format!("{architecture}.classifier.pooling_type"))? {
                    Some(1) => Pooling::Mean,
                    _ => Pooling::First,
                },
                // Of those that llama.cpp knows only ModernBERT's has a norm, and another function.
                dense: match has("cls.norm.weight") {
                    true => Some((HeadActivation::Gelu, has("cls.bias"))),
                    false => Some((HeadActivation::Tanh, has("cls.bias"))),
                },
                norm: model.output_norm.filter(|_| has("cls.norm.weight")),
                bias: has("cls.output.bias"),
            })),
            Some(_) => {
                return Err(Error::unsupported(format!(
                    "{file}: this file leaves out a layer of the reranker, which then gives other scores; choose the \
                     folder of this model"
                )));
            }
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
            scoring,
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
