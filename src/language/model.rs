//! A language model that answers.

use super::answer::{Answer, OnText};
use super::open::LanguageFiles;
use super::options::GenerateOptions;
use super::prompt::Prompt;
use super::result::GenerationResult;
use super::session::{Session, chunks};
use crate::config::language::LanguageConfig;
use crate::gpu::{Exclusive, Gpu, InUse, WeightStore};
use crate::load::{Abort, ByteSource, Phase, Progress, Quantize, Weights};
use crate::models::{Decoder, DecoderState, StateSize};
use crate::text::Tokenizer;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::rc::Rc;

/// How to load a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// How matrices stored as floats are kept; `None`: whichever way fits.
    pub quantize: Option<Quantize>,
    /// Positions of the cache; `None`: the model's own, bounded by memory. Of a model that makes vectors: the tokens
    /// that are read of a text at most.
    pub context_length: Option<usize>,
    /// Nobody is looking: submits may hold the GPU longer.
    pub background: bool,
}

/// Bytes that [`LanguageModel::logits`] may return: what a browser's memory bears.
const LOGITS: u64 = 1 << 30;
/// Unless asked for more, the cache takes no more than this part of the weights' bytes,
const CACHE_SHARE: u64 = 4;
/// or this many bytes if that is more.
const CACHE_FLOOR: u64 = 256 << 20;

/// A description of a loaded language model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LanguageInfo {
    /// Its architecture.
    pub architecture: String,
    /// Its own name.
    pub name: String,
    /// Number of weights.
    pub parameters: u64,
    /// How most weights are encoded.
    pub quantization: String,
    /// Positions of the cache.
    pub context_length: usize,
    /// Number of tokens.
    pub vocabulary: usize,
    /// Bytes on the GPU.
    pub bytes: LanguageBytes,
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
    /// Dispatches of one decoded token, of one chunk of prefill.
    pub dispatches: [usize; 2],
}

/// Bytes on the GPU.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LanguageBytes {
    /// Weights.
    pub weights: u64,
    /// Keys and values.
    pub cache: u64,
    /// Activations and the rest.
    pub scratch: u64,
}

/// A language model on the GPU.
pub struct LanguageModel {
    gpu: Rc<Gpu>,
    tokenizer: Tokenizer,
    config: LanguageConfig,
    info: LanguageInfo,
    session: Exclusive<Session>,
    _weights: WeightStore,
}

impl LanguageModel {
    /// Loads a model: headers, weights, plans, and a first run that makes the driver compile.
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
        let files = LanguageFiles::open(source).await?;
        abort.check()?;
        let bytes = files.tensors.bytes();
        let quantize = options.quantize.unwrap_or(Quantize::auto(bytes));
        let weights = Weights::new(gpu, &files.tensors, quantize);
        let model = Decoder::bind(&weights, &files.config, gpu)?;
        let size = state_size(gpu, &files.config, options.context_length, &weights)?;
        let quantization = Weights::quantization(&[&weights]).name().to_string();
        weights.commit().await?;
        progress.report(Phase::Compile, 0, bytes, &files.tensors.files[0]);
        let mut session = Session::new(gpu, model, size).await?;
        if options.background {
            session.in_background();
        }
        // On weights that are still zeros: drivers compile at first use, and do it while the weights arrive.
        session.warm();
        let weights = weights.upload(source, progress, abort).await?;
        let parameters = files.tensors.parameters();
        let LanguageFiles { config, tokenizer, tensors } = files;
        let info = LanguageInfo {
            architecture: config.architecture.clone(),
            name: config.name.clone(),
            parameters,
            quantization,
            context_length: size.capacity,
            vocabulary: config.vocab,
            bytes: LanguageBytes {
                weights: weights.bytes(),
                cache: DecoderState::bytes(&config, size),
                scratch: session.scratch_bytes(),
            },
            tier: gpu.adapter().tier.name(),
            adapter: gpu.adapter().name.clone(),
            family: gpu.adapter().family.name(),
            choices: gpu.choices(),
            dispatches: session.dispatches(),
        };
        progress.report(Phase::Ready, bytes, bytes, &tensors.files[0]);
        let session = Exclusive::new(session);
        Ok(LanguageModel { gpu: gpu.clone(), tokenizer, config, info, session, _weights: weights })
    }

    /// Returns its description.
    pub fn info(&self) -> &LanguageInfo {
        &self.info
    }

    /// Returns its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the device it is on.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    fn session(&self) -> Result<InUse<'_, Session>> {
        let busy = || Error::unsupported("this model is answering something else; wait for it or abort it");
        self.session.take().ok_or_else(busy)
    }

    /// Checks that the model knows all tokens: tokenizers may have more, for example one that was added for padding.
    fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        match tokens.iter().find(|&&id| id as usize >= self.config.vocab) {
            Some(id) => Err(Error::unsupported(format!(
                "the model has no token {id}, only those below {}: its tokenizer is another model's, or the text has a \
                 token that was added to it",
                self.config.vocab
            ))),
            None => Ok(()),
        }
    }

    /// Computes logits after each token, from an empty context.   [T] -> [T * V], row-major
    ///
    /// # Errors
    /// [`Error::Unsupported`] for ids that are no tokens, [`Error::TooLarge`] for more than the context holds.
    pub async fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.check_tokens(tokens)?;
        let capacity = self.info.context_length;
        if tokens.len() > capacity {
            return Err(Error::TooLarge {
                need: format!("a context of {} tokens", tokens.len()),
                have: format!("{capacity} tokens"),
                advice: "give fewer tokens, or load the model with a larger contextLength".into(),
            });
        }
        let bytes = 4 * tokens.len() as u64 * self.config.vocab as u64;
        if bytes > LOGITS {
            return Err(Error::TooLarge {
                need: format!("{} MiB for the logits", bytes >> 20),
                have: format!("{} MiB", LOGITS >> 20),
                advice: "ask for fewer tokens at a time".into(),
            });
        }
        self.session()?.score(tokens).await
    }

    /// Answers a string or a list of messages (JSON, as in the JavaScript API). Text is heard as it appears.
    ///
    /// # Errors
    /// Whatever is wrong with the input; the model stays usable. Being aborted is no error.
    pub async fn generate(
        &self,
        input: &Value,
        options: &GenerateOptions,
        on_text: OnText<'_>,
        abort: &Abort,
    ) -> Result<GenerationResult> {
        options.check()?;
        let prompt = Prompt::new(&self.tokenizer, input, options, self.info.context_length)?;
        self.check_tokens(&prompt.tokens)?;
        Answer::new(&self.tokenizer, self.session()?, options, prompt, on_text, abort).run().await
    }
}

/// Decides how large a model's state is: as many positions as were asked for, or the model's own as long as the state
/// is small beside the weights. Beside weights that are floats, keys and values rounded to f16 would be the largest
/// error.
pub(super) fn state_size(
    gpu: &Gpu,
    c: &LanguageConfig,
    wanted: Option<usize>,
    weights: &Weights<'_>,
) -> Result<StateSize> {
    let exact = Weights::quantization(&[weights]).is_float();
    let most = DecoderState::most_positions(c, gpu.adapter().max_binding, exact);
    let size = |capacity: usize| StateSize { capacity, chunk: chunks(gpu, c, capacity)[1], exact };
    match wanted {
        Some(n) if n < 2 => Err(Error::unsupported(format!("contextLength is {n}; give at least 2"))),
        Some(n) if n.min(c.context_length) > most => Err(Error::TooLarge {
            need: format!("a context of {n} tokens"),
            have: format!("{most} on this GPU"),
            advice: "load the model with a smaller contextLength".into(),
        }),
        Some(n) => Ok(size(n.min(c.context_length).max(2))),
        None => {
            let budget = (weights.bytes() / CACHE_SHARE).max(CACHE_FLOOR);
            let most = most.min(c.context_length).max(2);
            // The largest that fits: bytes grow with the capacity.
            let (mut fits, mut exceeds) = (2, most + 1);
            while exceeds - fits > 1 {
                let middle = fits + (exceeds - fits) / 2;
                if DecoderState::bytes(c, size(middle)) <= budget { fits = middle } else { exceeds = middle }
            }
            Ok(size(fits))
        }
    }
}
