//! A generation under way: what the model is fed, what comes back, and when it is enough.

use super::options::{GenerateOptions, OnOverflow};
use super::prompt::Prompt;
use super::reasoning::Reasoning;
use super::result::{FinishReason, GenerationResult, Logprob, Timings, TokenLogprob, Usage};
use super::session::{Arriving, Session};
use crate::gpu::InUse;
use crate::load::Abort;
use crate::text::{StopStrings, Stream, Tokenizer};
use crate::{Error, Result};
use std::collections::VecDeque;
use web_time::{Instant, SystemTime, UNIX_EPOCH};

/// Hears text as it appears: the answer's, the thought's.
pub type OnText<'a> = &'a dyn Fn(&str, &str);

/// A generation under way.
pub(super) struct Answer<'a> {
    tokenizer: &'a Tokenizer,
    session: InUse<'a, Session>,
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
    /// Begins an answer; nothing has been computed yet.
    pub fn new(
        tokenizer: &'a Tokenizer,
        session: InUse<'a, Session>,
        options: &'a GenerateOptions,
        prompt: Prompt,
        on_text: OnText<'a>,
        abort: &'a Abort,
    ) -> Self {
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

    /// Computes it to its end, however it ends.
    pub async fn run(mut self) -> Result<GenerationResult> {
        let finish = self.generate().await;
        self.finish(finish)
    }

    async fn generate(&mut self) -> Result<FinishReason> {
        self.usage.prompt_tokens = self.context.len();
        let seed = self.options.seed.unwrap_or_else(random_seed);
        self.session.begin(self.options, seed, &self.context, self.abort).await?;
        let mut keep = self.session.reuse(&self.context);
        self.usage.cached_tokens = keep;
        let most = self.options.max_tokens.unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(FinishReason::Length);
        }
        loop {
            let Some(first) = self.session.prefill(&self.context[keep..], true, self.abort).await? else {
                return Ok(FinishReason::Length);
            };
            if let Some(reason) = self.decode(first, most).await? {
                return Ok(reason);
            }
            // Either the sequence has become a long one to the model, and all keys are made again; or the context is
            // full: then the older half of what follows its beginning is forgotten.
            let capacity = self.session.capacity();
            if self.context.len() >= capacity {
                let head = (capacity / 8).min(self.usage.prompt_tokens);
                let recent = (capacity / 2).saturating_sub(head).max(1);
                self.context.drain(head..self.context.len() - recent);
            }
            keep = self.session.reuse(&self.context);
        }
    }

    /// Runs steps until the answer ends; `None` if there is no room for the next token before the state is made anew.
    async fn decode(&mut self, first: Arriving, most: usize) -> Result<Option<FinishReason>> {
        let mut arriving = VecDeque::from([first]);
        let mut pending = 1;
        let mut batch = 1;
        let mut ahead = false;
        loop {
            let Some(next) = arriving.pop_front() else {
                let full = self.session.position() == self.session.capacity();
                let shift = self.options.on_overflow == OnOverflow::Shift;
                return Ok(if full && !shift { Some(FinishReason::Overflow) } else { None });
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
                let room = self.session.limit() - self.session.position();
                let ahead = self.session.ahead() - pending.min(self.session.ahead());
                let count = batch.min(room).min(ahead).min(most - self.tokens.len() - pending);
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

    fn finish(mut self, finish: Result<FinishReason>) -> Result<GenerationResult> {
        // The state stands for every token that was fed, whether or not it was accepted.
        self.session.keep(&self.context);
        let finish_reason = match finish {
            Ok(reason) => reason,
            Err(Error::Cancelled) => FinishReason::Abort,
            Err(e) => {
                self.session.clear();
                return Err(e);
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
        Ok(result)
    }
}

/// Returns the token's log-probability and the `n` best.
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

/// Makes a seed from the clock: different for every call is all it has to be.
fn random_seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    nanos.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
