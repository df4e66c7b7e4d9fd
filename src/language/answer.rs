//! A generation under way: what the model is fed, what comes back, and when it is enough.

use super::model::{LanguageModel, OnText};
use super::options::{GenerateOptions, OnOverflow};
use super::prompt::Prompt;
use super::reasoning::Reasoning;
use super::result::{FinishReason, GenerationResult, Logprob, Timings, TokenLogprob, Usage};
use super::session::{Arriving, Session};
use crate::load::Abort;
use crate::text::{StopStrings, Stream, Tokenizer};
use crate::{Error, Result};
use std::collections::VecDeque;
use web_time::{Instant, SystemTime, UNIX_EPOCH};

/// A generation under way.
pub(super) struct Answer<'a> {
    tokenizer: &'a Tokenizer,
    session: Session,
    options: &'a GenerateOptions,
    on_text: OnText<'a>,
    abort: &'a Abort,
    started: Instant,
    stream: Stream,
    stops: StopStrings,
    reasoning: Reasoning,
    /// The prompt and the answer so far, as the model sees them.
    context: Vec<u32>,
    tokens: Vec<u32>,
    /// Tokens that came, a stop token among them.
    came: usize,
    logprobs: Option<Vec<TokenLogprob>>,
    usage: Usage,
    /// When the first token was there.
    first: Option<Instant>,
}

impl<'a> Answer<'a> {
    /// Nothing has been computed yet.
    pub fn new(
        model: &'a LanguageModel,
        session: Session,
        options: &'a GenerateOptions,
        prompt: Prompt,
        on_text: OnText<'a>,
        abort: &'a Abort,
    ) -> Self {
        let tokenizer = model.tokenizer();
        Answer {
            tokenizer,
            session,
            options,
            on_text,
            abort,
            started: Instant::now(),
            stream: tokenizer.stream(),
            stops: StopStrings::new(options.stop.strings()),
            reasoning: Reasoning::new(prompt.thinking),
            context: prompt.tokens,
            tokens: Vec::new(),
            came: 0,
            logprobs: options.logprobs.map(|_| Vec::new()),
            usage: Usage::default(),
            first: None,
        }
    }

    /// Computes it to its end, however it ends; gives the session back.
    pub async fn run(mut self) -> (Result<GenerationResult>, Session) {
        let finish = self.generate().await;
        self.finish(finish)
    }

    async fn generate(&mut self) -> Result<FinishReason> {
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
                // A batch of up to a tenth of a second still reads as a steady flow, and delays no abort.
                ahead = ms / (ids.len() as f64) < 50.0;
                batch = if ms < 45.0 {
                    (batch * 2).min(8)
                } else if ms > 100.0 {
                    (batch / 2).max(1)
                } else {
                    batch
                };
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
        self.came += 1;
        if !self.options.ignore_eos && self.tokenizer.stop_tokens().contains(&id) {
            return Ok(Some(FinishReason::Stop));
        }
        if let (Some(logprobs), Some(n)) = (&mut self.logprobs, self.options.logprobs) {
            logprobs.push(logprob(&self.session.latest_logits().await?, id, n));
        }
        self.tokens.push(id);
        self.context.push(id);
        let text = self.stream.push(self.tokenizer, id);
        let (text, stop) = self.stops.push(&text);
        self.show(&text);
        if stop {
            // Half a character behind the stop string is never shown.
            self.stream = self.tokenizer.stream();
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
        let tail = std::mem::replace(&mut self.stream, self.tokenizer.stream()).finish();
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
        let after_first = self.came.saturating_sub(1);
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
