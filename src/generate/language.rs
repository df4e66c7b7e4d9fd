//! A language model that answers.

use super::chat::{Prompt, Reasoning};
use super::decode::{Arriving, Session};
use super::options::{GenerateOptions, OnOverflow};
use super::result::{FinishReason, GenerationResult, Logprob, Timings, TokenLogprob, Usage};
use crate::format::config::LanguageConfig;
use crate::gpu::{Gpu, WeightStore};
use crate::load::{Abort, ByteSource, LanguageFiles, Phase, Progress, Quantize, Weights};
use crate::models::Decoder;
use crate::text::{StopStrings, Tokenizer};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use web_time::{Instant, SystemTime, UNIX_EPOCH};

/// How to load a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What becomes of matrices stored as floats; `None`: what fits.
    pub quantize: Option<Quantize>,
    /// Positions of the cache; `None`: the model's own, bounded by memory.
    pub context_length: Option<usize>,
}

/// Unquantized files up to this many bytes stay as they are under `quantize: "auto"`.
const AUTO_NONE: u64 = 1 << 30;
/// Up to this many, they become eight bits; four beyond.
const AUTO_Q8: u64 = 6 << 30;
/// The cache takes at least this many bytes before it bounds the context.
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
        let bytes = files.tensor_bytes();
        let weights = Weights::new(gpu, &files, quantization(options, &files));
        let model = Decoder::bind(&weights, &files.config, gpu)?;
        if files.tokenizer.vocab() > files.config.vocab {
            return Err(Error::format(
                &files.files[0],
                format!(
                    "the tokenizer has {} tokens and the model {}: they do not belong together",
                    files.tokenizer.vocab(),
                    files.config.vocab
                ),
            ));
        }
        let capacity = context(&files.config, options.context_length, weights.bytes())?;
        weights.commit().await?;
        progress.report(Phase::Compile, 0, bytes, &files.files[0]);
        let mut session = Session::new(gpu, model, capacity, files.config.vocab).await?;
        let weights = weights.upload(source, progress, abort).await?;
        progress.report(Phase::Compile, bytes, bytes, &files.files[0]);
        abort.race(session.warm()).await?;
        let (parameters, quantization) = (files.parameters(), files.quantization().to_string());
        let LanguageFiles { config, tokenizer, files, .. } = files;
        let info = LanguageInfo {
            architecture: config.architecture.clone(),
            name: config.name.clone(),
            parameters,
            quantization,
            context_length: capacity,
            vocabulary: config.vocab,
            bytes: LanguageBytes {
                weights: weights.bytes(),
                cache: Decoder::cache_bytes(&config, capacity),
                scratch: session.scratch_bytes(),
            },
            tier: gpu.adapter().tier.name(),
            adapter: gpu.adapter().name.clone(),
            family: gpu.adapter().family.name(),
            dispatches: session.dispatches(),
        };
        progress.report(Phase::Ready, bytes, bytes, &files[0]);
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

    /// Logits after each token, from an empty context.   [T] -> [T * V], row-major
    ///
    /// # Errors
    /// [`Error::Unsupported`] for ids that are no tokens, [`Error::TooLarge`] for more than the context holds.
    pub async fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        if let Some(id) = tokens.iter().find(|&&id| id as usize >= self.config.vocab) {
            return Err(Error::unsupported(format!("{id} is no token; ids are below {}", self.config.vocab)));
        }
        let capacity = self.info.context_length;
        if tokens.len() > capacity {
            return Err(Error::TooLarge {
                need: format!("a context of {} tokens", tokens.len()),
                have: format!("{capacity} tokens"),
                advice: "give fewer tokens, or load the model with a larger contextLength".into(),
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
        let started = Instant::now();
        let prompt = Prompt::new(&self.tokenizer, input, options, self.info.context_length)?;
        let (busy, session) = self.busy()?;
        let mut answer = Answer {
            model: self,
            session,
            options,
            on_text,
            abort,
            started,
            stream: self.tokenizer.stream(),
            stops: StopStrings::new(options.stop.strings()),
            reasoning: Reasoning::new(prompt.thinking),
            context: prompt.tokens,
            tokens: Vec::new(),
            logprobs: options.logprobs.map(|_| Vec::new()),
            usage: Usage::default(),
            first: None,
        };
        let finish = answer.run().await;
        let (result, session) = answer.finish(finish);
        busy.session.set(Some(session));
        result
    }
}

/// What becomes of matrices stored as floats.
pub(super) fn quantization(options: &LoadOptions, files: &LanguageFiles) -> Quantize {
    options.quantize.unwrap_or(match files.tensor_bytes() {
        ..=AUTO_NONE => Quantize::None,
        ..=AUTO_Q8 => Quantize::Q8,
        _ => Quantize::Q4,
    })
}

/// The cache's capacity: what was asked for, or the model's own, as long as the cache is no larger than the weights.
pub(super) fn context(c: &LanguageConfig, wanted: Option<usize>, weights: u64) -> Result<usize> {
    if let Some(n) = wanted {
        return match n {
            2.. => Ok(n.min(c.context_length)),
            _ => Err(Error::unsupported(format!("contextLength is {n}; give at least 2"))),
        };
    }
    let each = Decoder::cache_bytes(c, 1).max(1);
    Ok(((weights.max(CACHE_FLOOR) / each) as usize).clamp(2, c.context_length.max(2)))
}

/// A generation under way.
struct Answer<'a> {
    model: &'a LanguageModel,
    session: Session,
    options: &'a GenerateOptions,
    on_text: OnText<'a>,
    abort: &'a Abort,
    started: Instant,
    stream: crate::text::Stream,
    stops: StopStrings,
    reasoning: Reasoning,
    /// The prompt and the answer so far, as the model sees them.
    context: Vec<u32>,
    tokens: Vec<u32>,
    logprobs: Option<Vec<TokenLogprob>>,
    usage: Usage,
    /// When the first token was there.
    first: Option<Instant>,
}

impl Answer<'_> {
    async fn run(&mut self) -> Result<FinishReason> {
        self.usage.prompt_tokens = self.context.len();
        let seed = self.options.seed.unwrap_or_else(random_seed);
        self.session.begin(self.options, seed, &self.context, self.abort).await?;
        let same = self.session.cached.iter().zip(&self.context).take_while(|(a, b)| a == b).count();
        // The last token is processed again, for its logits.
        let keep = same.min(self.context.len() - 1);
        self.usage.cached_tokens = keep;
        let most = self.options.max_tokens.unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(FinishReason::Length);
        }
        let mut keep = keep;
        loop {
            let tail = self.context[keep..].to_vec();
            let Some(first) = self.session.prefill(keep, &tail, true, self.abort).await? else {
                return Ok(FinishReason::Length);
            };
            if let Some(reason) = self.decode(first, most).await? {
                return Ok(reason);
            }
            // The context is full: forget the older half of what follows its beginning, and go on.
            let capacity = self.session.capacity();
            let head = (capacity / 8).min(self.usage.prompt_tokens);
            let recent = (capacity / 2).saturating_sub(head).max(1);
            self.context.drain(head..self.context.len() - recent);
            keep = self.session.cached.iter().zip(&self.context).take_while(|(a, b)| a == b).count();
            keep = keep.min(self.context.len() - 1);
        }
    }

    /// Steps until the answer ends; `None` if the context is full and may be shifted.
    async fn decode(&mut self, first: Arriving, most: usize) -> Result<Option<FinishReason>> {
        let mut arriving = VecDeque::from([first]);
        let mut pending = 1;
        let mut batch = 1;
        let mut ahead = false;
        loop {
            let Some(next) = arriving.pop_front() else {
                let shift = self.options.on_overflow == OnOverflow::Shift;
                return Ok(if shift { None } else { Some(FinishReason::Overflow) });
            };
            let waited = Instant::now();
            let ids = self.session.arrive(next, self.abort).await?;
            let ms = waited.elapsed().as_secs_f64() * 1e3;
            if self.first.is_some() {
                // A page shows text at most some twenty times a second, and a batch must not delay an abort.
                let per_token = ms / ids.len() as f64;
                ahead = per_token < 50.0;
                batch = if ms < 20.0 { (batch * 2).min(8) } else if ms > 60.0 { (batch / 2).max(1) } else { batch };
            }
            self.first.get_or_insert_with(Instant::now);
            pending -= ids.len();
            for id in ids {
                if let Some(reason) = self.take(id, most).await? {
                    self.session.leave(arriving);
                    return Ok(Some(reason));
                }
            }
            // One step at a time when the host looks at logits; otherwise a batch is computed while another is read.
            let (batch, depth) = if self.logprobs.is_some() { (1, 1) } else { (batch, if ahead { 2 } else { 1 }) };
            while arriving.len() < depth {
                let room = self.session.capacity() - self.session.position();
                let count = batch.min(room).min(most - self.tokens.len() - pending);
                if count == 0 {
                    break;
                }
                pending += count;
                arriving.push_back(self.session.step(count));
            }
        }
    }

    /// Takes a token; returns why the answer ends, if it does.
    async fn take(&mut self, id: u32, most: usize) -> Result<Option<FinishReason>> {
        if !self.options.ignore_eos && self.model.tokenizer.stop_tokens().contains(&id) {
            return Ok(Some(FinishReason::Stop));
        }
        if let (Some(logprobs), Some(n)) = (&mut self.logprobs, self.options.logprobs) {
            logprobs.push(logprob(&self.session.latest_logits().await?, id, n));
        }
        self.tokens.push(id);
        self.context.push(id);
        let text = self.stream.push(&self.model.tokenizer, id);
        let (text, stop) = self.stops.push(&text);
        self.show(&text);
        if stop {
            return Ok(Some(FinishReason::Stop));
        }
        Ok((self.tokens.len() == most).then_some(FinishReason::Length))
    }

    fn show(&mut self, text: &str) {
        let (text, thought) = self.reasoning.push(text);
        if !(text.is_empty() && thought.is_empty()) {
            (self.on_text)(&text, &thought);
        }
    }

    fn finish(mut self, finish: Result<FinishReason>) -> (Result<GenerationResult>, Session) {
        // Keys and values exist for every token that was fed, whether or not it was accepted.
        if self.context.starts_with(&self.session.cached) {
            let fed = self.session.position().min(self.context.len());
            self.session.settle(self.context[..fed].to_vec());
        }
        let finish_reason = match finish {
            Ok(reason) => reason,
            Err(Error::Cancelled) => FinishReason::Abort,
            Err(e) => {
                self.session.settle(Vec::new());
                return (Err(e), self.session);
            }
        };
        let tail = std::mem::replace(&mut self.stream, self.model.tokenizer.stream()).finish();
        let (text, _) = self.stops.push(&tail);
        self.show(&text);
        let held = std::mem::replace(&mut self.stops, StopStrings::new([""; 0])).finish();
        self.show(&held);
        let (text, thought) = self.reasoning.finish();
        if !(text.is_empty() && thought.is_empty()) {
            (self.on_text)(&text, &thought);
        }
        let ms = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1e3;
        let now = Instant::now();
        let first = self.first.unwrap_or(now);
        let decode_ms = ms(first, now);
        let after_first = self.tokens.len().saturating_sub(1);
        let result = GenerationResult {
            text: self.reasoning.text,
            reasoning: self.reasoning.thought,
            finish_reason,
            usage: Usage { completion_tokens: self.tokens.len(), ..self.usage },
            timings: Timings {
                prefill_ms: ms(self.started, first),
                decode_ms,
                first_token_ms: ms(self.started, first),
                tokens_per_second: if decode_ms > 0.0 { after_first as f64 * 1e3 / decode_ms } else { 0.0 },
            },
            tokens: self.tokens,
            logprobs: self.logprobs,
        };
        (Ok(result), self.session)
    }
}

/// The token's log-probability and the `n` best.
fn logprob(logits: &[f32], token: u32, n: usize) -> TokenLogprob {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - top).exp()).sum();
    let log = |i: usize| (f64::from(logits[i] - top) - sum.ln()) as f32;
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let by_logit = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    let n = n.min(order.len());
    if n > 0 && n < order.len() {
        order.select_nth_unstable_by(n - 1, by_logit);
    }
    order.truncate(n);
    order.sort_by(by_logit);
    let top = order.into_iter().map(|i| Logprob { token: i as u32, logprob: log(i) }).collect();
    TokenLogprob { token, logprob: log(token as usize), top }
}

/// A seed from the clock: different for every call is all it has to be.
fn random_seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    nanos.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
