//! A language model that answers.

use super::answer::Answer;
use super::open::LanguageFiles;
use super::options::GenerateOptions;
use super::prompt::Prompt;
use super::result::GenerationResult;
use super::session::Session;
use crate::config::language::LanguageConfig;
use crate::gpu::{Gpu, WeightStore};
use crate::load::{Abort, ByteSource, Phase, Progress, Quantize, Weights};
use crate::models::Decoder;
use crate::text::Tokenizer;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How to load a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What becomes of matrices stored as floats; `None`: what fits.
    pub quantize: Option<Quantize>,
    /// Positions of the cache; `None`: the model's own, bounded by memory.
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

/// What is known of a loaded model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
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
    pub tier: &'static str,
    /// The adapter's name.
    pub adapter: String,
    /// The family of kernel variants in use.
    pub family: &'static str,
    /// Where the adapter departs from it: see [`crate::gpu::Choice`].
    pub choices: Vec<&'static str>,
    /// Dispatches of one decoded token, of one chunk of prefill.
    pub dispatches: [usize; 2],
}

/// Bytes on the GPU.
#[derive(Clone, Copy, Debug, Serialize)]
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
    session: RefCell<Option<Session>>,
    _weights: WeightStore,
}

/// Hears text as it appears: the answer's, the thought's.
pub type OnText<'a> = &'a dyn Fn(&str, &str);

/// The session while a call uses it; goes back when the call ends, however it ends.
struct Busy<'a> {
    model: &'a LanguageModel,
    session: Cell<Option<Session>>,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.model.session.replace(self.session.take());
    }
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
        let exact = exact(quantize, &files);
        let weights = Weights::new(gpu, &files.tensors, quantize);
        let model = Decoder::bind(&weights, &files.config, gpu)?;
        let capacity = context(gpu, &files.config, options.context_length, weights.bytes(), exact)?;
        weights.commit().await?;
        progress.report(Phase::Compile, 0, bytes, &files.tensors.files[0]);
        let mut session = Session::new(gpu, model, capacity, exact, files.config.vocab).await?;
        if options.background {
            session.in_background();
        }
        // On weights that are still zeros: drivers compile at first use, and do it while the weights arrive.
        session.warm();
        let weights = weights.upload(source, progress, abort).await?;
        let (parameters, quantization) =
            (files.tensors.parameters(), files.tensors.quantization(quantize).name().to_string());
        let LanguageFiles { config, tokenizer, tensors } = files;
        let info = LanguageInfo {
            architecture: config.architecture.clone(),
            name: config.name.clone(),
            parameters,
            quantization,
            context_length: capacity,
            vocabulary: config.vocab,
            bytes: LanguageBytes {
                weights: weights.bytes(),
                cache: Decoder::cache_bytes(&config, capacity, exact),
                scratch: session.scratch_bytes(),
            },
            tier: gpu.adapter().tier.name(),
            adapter: gpu.adapter().name.clone(),
            family: gpu.adapter().family.name(),
            choices: gpu.choices(),
            dispatches: session.dispatches(),
        };
        progress.report(Phase::Ready, bytes, bytes, &tensors.files[0]);
        let session = RefCell::new(Some(session));
        Ok(LanguageModel { gpu: gpu.clone(), tokenizer, config, info, session, _weights: weights })
    }

    /// What is known of it.
    pub fn info(&self) -> &LanguageInfo {
        &self.info
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The device it is on.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    fn busy(&self) -> Result<(Busy<'_>, Session)> {
        match self.session.take() {
            Some(session) => Ok((Busy { model: self, session: Cell::new(None) }, session)),
            None => Err(Error::unsupported("this model is answering something else; wait for it or abort it")),
        }
    }

    /// Tokenizers may know tokens that the model does not, for example one that was added for padding.
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

    /// Logits after each token, from an empty context.   [T] -> [T * V], row-major
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
        let (busy, mut session) = self.busy()?;
        let logits = session.score(tokens).await;
        busy.session.set(Some(session));
        logits
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
        let (busy, session) = self.busy()?;
        let answer = Answer::new(self, session, options, prompt, on_text, abort);
        let (result, session) = answer.run().await;
        busy.session.set(Some(session));
        result
    }
}

/// Whether keys and values are kept as f32: beside weights that are floats, rounding them would be the largest error.
pub(super) fn exact(quantize: Quantize, files: &LanguageFiles) -> bool {
    files.tensors.quantization(quantize).is_float()
}

/// The cache's capacity: what was asked for, or the model's own as long as the cache is small beside the weights.
pub(super) fn context(
    gpu: &Gpu,
    c: &LanguageConfig,
    wanted: Option<usize>,
    weights: u64,
    exact: bool,
) -> Result<usize> {
    let most = Decoder::most_positions(c, gpu.adapter().max_binding, exact);
    match wanted {
        Some(n) if n < 2 => Err(Error::unsupported(format!("contextLength is {n}; give at least 2"))),
        Some(n) if n.min(c.context_length) > most => Err(Error::TooLarge {
            need: format!("a context of {n} tokens"),
            have: format!("{most} on this GPU"),
            advice: "load the model with a smaller contextLength".into(),
        }),
        Some(n) => Ok(n.min(c.context_length).max(2)),
        None => {
            let each = Decoder::cache_bytes(c, 1, exact).max(1);
            let fits = ((weights / CACHE_SHARE).max(CACHE_FLOOR) / each) as usize;
            Ok(fits.min(most).min(c.context_length).max(2))
        }
    }
}
