//! A model that makes vectors of texts, or scores of pairs of them.

use super::batches::TextTokens;
use super::open::EmbeddingSource;
use super::pairs::{answers, asked};
use super::reader::Reader;
use crate::config::language::{EmbeddingConfig, MixerConfig};
use crate::format::json::JsonObject;
use crate::gpu::{Exclusive, Gpu, InUse, WeightStore};
use crate::language::LoadOptions;
use crate::load::{Abort, ByteSource, Phase, Progress, Quantize, Weights};
use crate::models::Encoder;
use crate::text::Tokenizer;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// A description of a loaded model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EmbeddingInfo {
    /// Its architecture.
    pub architecture: String,
    /// Its own name.
    pub name: String,
    /// Number of weights.
    pub parameters: u64,
    /// How most weights are encoded.
    pub quantization: String,
    /// Elements of a vector.
    pub dimensions: usize,
    /// Tokens that are read of a text, special ones included; the rest is left out.
    pub max_tokens: usize,
    /// How a text's hidden states become one vector: "mean", "cls", "lasttoken" and so on, joined by "+" if several lie
    /// side by side.
    pub pooling: String,
    /// Names of the prompts that may be put before texts.
    pub prompts: Vec<String>,
    /// Whether it makes vectors.
    pub embeds: bool,
    /// Whether it makes scores of pairs of texts.
    pub reranks: bool,
    /// Bytes on the GPU.
    pub bytes: EmbeddingBytes,
    /// The device's tier.
    #[cfg_attr(test, ts(as = "crate::gpu::Tier"))]
    pub tier: &'static str,
    /// The adapter's name.
    pub adapter: String,
    /// The family of kernel variants in use.
    #[cfg_attr(test, ts(as = "crate::gpu::Family"))]
    pub family: &'static str,
    /// Choices that differ from the kernels of its family, since they are quicker on this adapter.
    #[cfg_attr(test, ts(as = "Vec<crate::gpu::Choice>"))]
    pub choices: Vec<&'static str>,
    /// Dispatches of one batch of texts.
    pub dispatches: usize,
}

/// Bytes on the GPU.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EmbeddingBytes {
    /// Weights.
    pub weights: u64,
    /// Activations and the rest, when it was loaded; longer texts take more.
    pub scratch: u64,
}

/// How to make vectors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields))]
pub struct EmbedOptions {
    /// Whether vectors are made of length one; left out: as the model's folder says.
    pub normalize: Option<bool>,
    /// The name of one of the model's prompts, or a text, which is put before each text.
    pub prompt: Option<String>,
    /// How many elements to keep, the first ones; vectors of length one are made so again.
    pub dimensions: Option<usize>,
}

impl EmbedOptions {
    /// Reads the options of a call, as JSON.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names the option that is wrong.
    pub fn from_json(json: serde_json::Value) -> Result<Self> {
        JsonObject::options(&json.to_string(), |what| {
            format!("an option of embed() is wrong ({what}); see EmbedOptions")
        })
    }
}

/// A model that makes vectors of texts, or scores of pairs of them, on the GPU.
pub struct EmbeddingModel {
    tokenizer: Tokenizer,
    config: EmbeddingConfig,
    info: EmbeddingInfo,
    reader: Exclusive<Reader>,
    /// The vector that a hidden state is multiplied by for a score, where that is made of logits.
    answer: Option<Vec<f32>>,
    _weights: WeightStore,
}

impl EmbeddingModel {
    /// Loads a model: headers, weights, the smallest plan, and a first run that makes the driver compile.
    ///
    /// # Errors
    /// Every one of [`Error`]'s; the device stays usable.
    pub async fn load(
        gpu: &Rc<Gpu>,
        source: &dyn ByteSource,
        options: &LoadOptions,
        progress: &dyn Progress,
        abort: &Abort,
    ) -> Result<Self> {
        let EmbeddingSource { tensors, mut config, tokenizer } = EmbeddingSource::open(source).await?;
        abort.check()?;
        refuse(&config)?;
        config.max_tokens = config.max_tokens.min(options.context_length.unwrap_or(usize::MAX)).max(1);
        let bytes = tensors.bytes();
        let quantize = options.quantize.unwrap_or(Quantize::auto(bytes));
        let weights = Weights::new(gpu, &tensors, quantize);
        let model = Encoder::bind(&weights, &config, gpu)?;
        let quantization = Weights::quantization(&[&weights]).name().to_string();
        weights.commit().await?;
        progress.report(Phase::Compile, 0, bytes, &tensors.files[0]);
        let reader = Reader::new(gpu, model, &config, options.background).await?;
        // On weights that are still zeros: drivers compile at first use, and do it while the weights arrive.
        reader.warm();
        let weights = weights.upload(source, progress, abort).await?;
        let answer = match answers(&config, &tokenizer) {
            Some(tokens) => {
                let both: Vec<u32> = [Some(tokens.yes), tokens.no].into_iter().flatten().collect();
                let rows = reader.output_rows(&both).await?;
                let (yes, no) = rows.split_at(config.model.dim);
                Some(yes.iter().enumerate().map(|(i, v)| v - no.get(i).unwrap_or(&0.0)).collect::<Vec<f32>>())
            }
            None => None,
        };
        let ways: Vec<&str> = config.pooling.iter().map(|way| way.name()).collect();
        let info = EmbeddingInfo {
            architecture: config.model.architecture.clone(),
            name: config.model.name.clone(),
            parameters: tensors.parameters(),
            quantization,
            dimensions: config.dimensions(),
            max_tokens: config.max_tokens,
            pooling: ways.join("+"),
            prompts: config.prompts.keys().cloned().collect(),
            embeds: config.classifier().is_none() && config.answer_tokens().is_none(),
            reranks: config.classifier().is_some() || answer.is_some(),
            bytes: EmbeddingBytes { weights: weights.bytes(), scratch: reader.scratch_bytes() },
            tier: gpu.adapter().tier.name(),
            adapter: gpu.adapter().name.clone(),
            family: gpu.adapter().family.name(),
            choices: gpu.choices(),
            dispatches: reader.dispatches(),
        };
        progress.report(Phase::Ready, bytes, bytes, &tensors.files[0]);
        Ok(EmbeddingModel { tokenizer, config, info, reader: Exclusive::new(reader), answer, _weights: weights })
    }

    /// Returns its description.
    pub fn info(&self) -> &EmbeddingInfo {
        &self.info
    }

    /// Returns its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the tokens that are read of a text.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if not even the special tokens fit.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode(text, None)?.ids)
    }

    fn reader(&self) -> Result<InUse<'_, Reader>> {
        let busy = || Error::unsupported("this model is reading something else; wait for it or abort it");
        self.reader.take().ok_or_else(busy)
    }

    /// Makes a vector of each text.   -> [N * E], with E of `options.dimensions` or all elements
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model that only makes scores and for options that it cannot follow,
    /// [`Error::Cancelled`], [`Error::Gpu`].
    pub async fn embed(
        &self,
        texts: &[String],
        options: &EmbedOptions,
        on_progress: &dyn Fn(usize, usize),
        abort: &Abort,
    ) -> Result<Vec<f32>> {
        if !self.info.embeds {
            return Err(Error::unsupported("this model makes scores of pairs of texts, no vectors: use `rerank`"));
        }
        let all = self.info.dimensions;
        let keep = options.dimensions.unwrap_or(all);
        if keep == 0 || keep > all {
            return Err(Error::unsupported(format!("`dimensions` is {keep}; give 1 to {all}")));
        }
        let prompt = self.prompt(options.prompt.as_deref());
        let unpooled = if self.config.include_prompt { 0 } else { self.prompt_tokens(&prompt)? };
        let tokens = |text: &String| {
            let tokens = self.encode(&format!("{prompt}{text}"), None)?;
            Ok(TextTokens { unpooled, ..tokens })
        };
        let texts: Vec<TextTokens> = texts.iter().map(tokens).collect::<Result<_>>()?;
        self.check(&texts)?;
        let mut vectors = self.reader()?.read(&texts, on_progress, abort).await?;
        if keep < all {
            vectors = vectors.chunks_exact(all).flat_map(|v| &v[..keep]).copied().collect();
        }
        if options.normalize.unwrap_or(self.config.normalize) {
            vectors.chunks_exact_mut(keep).for_each(normalize);
        }
        Ok(vectors)
    }

    /// Makes a score of how well each document answers the query.   -> [N], in the order of `documents`
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model that only makes vectors, [`Error::Cancelled`], [`Error::Gpu`].
    pub async fn rerank(
        &self,
        query: &str,
        documents: &[String],
        on_progress: &dyn Fn(usize, usize),
        abort: &Abort,
    ) -> Result<Vec<f32>> {
        if !self.info.reranks {
            return Err(Error::unsupported(
                "this model makes vectors, no scores of pairs: use `embed`, or load a reranker (a cross-encoder)",
            ));
        }
        let pair = |document: &String| match self.answer {
            Some(_) => asked(&self.config, &self.tokenizer, query, document),
            None => self.encode(query, Some(document)),
        };
        let pairs: Vec<TextTokens> = documents.iter().map(pair).collect::<Result<_>>()?;
        self.check(&pairs)?;
        let mut scores = self.reader()?.read(&pairs, on_progress, abort).await?;
        if let Some(answer) = &self.answer {
            let dot = |state: &[f32]| -> f32 {
                let sum: f64 = state.iter().zip(answer).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                sum as f32 * self.config.model.logit_scale
            };
            scores = scores.chunks_exact(self.config.model.dim).map(dot).collect();
        }
        if self.config.sigmoid {
            scores.iter_mut().for_each(|s| *s = (1.0 / (1.0 + (-f64::from(*s)).exp())) as f32);
        }
        Ok(scores)
    }

    /// Finds the text that is put before others: by its name, itself, or the one that the folder chose.
    fn prompt(&self, asked: Option<&str>) -> String {
        let prompts = &self.config.prompts;
        match asked {
            Some(asked) => prompts.get(asked).map_or(asked, String::as_str).to_string(),
            None => self.config.default_prompt.as_ref().and_then(|name| prompts.get(name)).cloned().unwrap_or_default(),
        }
    }

    /// Counts the tokens of a prompt, without a special one at its end.
    fn prompt_tokens(&self, prompt: &str) -> Result<usize> {
        if prompt.is_empty() {
            return Ok(0);
        }
        let ids = self.encode(prompt, None)?.ids;
        Ok(ids.len() - usize::from(ids.last().is_some_and(|&id| self.tokenizer.is_special(id))))
    }

    /// Makes the tokens of a text or of a pair, cut to what is read.
    fn encode(&self, first: &str, second: Option<&str>) -> Result<TextTokens> {
        let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
        let most = Some(self.config.max_tokens);
        let encoding = match self.config.lower_case {
            true => self.tokenizer.encode_pair(&lower(first), second.map(lower).as_deref(), most)?,
            false => self.tokenizer.encode_pair(first, second, most)?,
        };
        // Tokenizers tell two texts apart although a model does not.
        let kinds = self.config.model.token_types.map_or(1, |rows| rows as u32);
        let types = encoding.type_ids.into_iter().map(|kind| if kind < kinds { kind } else { 0 }).collect();
        Ok(TextTokens { ids: encoding.ids, types, unpooled: 0 })
    }

    /// Checks that each text has a token and that the model knows all of them.
    fn check(&self, texts: &[TextTokens]) -> Result<()> {
        let vocab = self.config.model.vocab;
        if texts.iter().any(|text| text.ids.is_empty()) {
            return Err(Error::unsupported("a text has no token at all, and there is nothing to pool; leave it out"));
        }
        match texts.iter().flat_map(|text| &text.ids).find(|&&id| id as usize >= vocab) {
            Some(id) => Err(Error::unsupported(format!(
                "the model has no token {id}, only those below {vocab}: its tokenizer is another model's"
            ))),
            None => Ok(()),
        }
    }
}

/// Makes a vector of length one, as `torch.nn.functional.normalize` does.
fn normalize(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let by = 1.0 / square.sqrt().max(1e-12);
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) * by) as f32);
}

/// Refuses layers that read one text at a time.
fn refuse(config: &EmbeddingConfig) -> Result<()> {
    let packs = |mixer: &MixerConfig| match mixer {
        MixerConfig::Attention(a) => a.shares.is_none(),
        MixerConfig::ShortConv(_) => false,
    };
    match config.model.layers.iter().all(|layer| packs(&layer.mixer)) {
        true => Ok(()),
        false => Err(Error::unsupported(format!(
            "vectors from `{}` are not supported, whose layers are not all attention; choose another model",
            config.model.architecture
        ))),
    }
}
