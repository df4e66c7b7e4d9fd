//! The loop on the device: prefill in chunks, then steps that feed themselves. A step's last kernel writes the token
//! that the next step's first kernel reads; the host only encodes, and reads ids in batches.

// Long because: plans, their buffers and the loop over them change together.

use super::options::GenerateOptions;
use crate::config::language::{LanguageConfig, MixerConfig};
use crate::gpu::{
    BACKGROUND_MS, Batch, Buffer, Family, Gpu, Graph, Kept, Pace, Plan, Readback, Region, Tensor, unpadded,
};
use crate::load::Abort;
use crate::models::{Decoder, DecoderState, Start, StateSize, Step};
use crate::ops::{RECENT, Sampling};
use crate::{Error, Result};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use web_time::Instant;

/// Tokens of the first chunk, before anything is known of the adapter's speed.
const FIRST_CHUNK: usize = 16;
/// Milliseconds that a submit should hold the GPU, so that the page stays smooth.
const SUBMIT_MS: f64 = 100.0;
/// Rows whose logits are computed at a time by [`Session::score`].
const SCORE: usize = 32;
/// Bytes of the step's state before the token ids.
const STATE: u64 = 256;

/// Ids that are on their way to the host.
pub(super) struct Arriving {
    future: Pin<Box<dyn Future<Output = Result<Vec<u8>>>>>,
    readback: Readback,
    first: usize,
    count: usize,
}

/// Returns the fewest and most tokens of a chunk of prefill. Kernels return early past the chunk's true end: next to
/// free on a GPU, but an adapter that computes on the CPU takes microseconds for every workgroup that does nothing. It
/// makes 16 rows of a product at once, and fewer take nearly as long. Windows keep as many positions more as a chunk
/// has, so that beside small ones chunks are smaller.
pub(super) fn chunks(gpu: &Gpu, c: &LanguageConfig, capacity: usize) -> [usize; 2] {
    let [least, most] = if gpu.adapter().family == Family::Software { [16, 16] } else { [4, 512] };
    let window = c.layers.iter().filter_map(|l| match &l.mixer {
        MixerConfig::Attention(a) => a.window,
        MixerConfig::ShortConv(_) => None,
    });
    let most = window.min().map_or(most, |w| most.min((w / 2).max(64)));
    let most = most.min(capacity).max(2);
    [least.min(most), most]
}

struct Scoring {
    plan: Plan,
    logits: Kept,
}

/// A model ready to run: its plans, its cache, and what the cache holds.
pub(super) struct Session {
    gpu: Rc<Gpu>,
    model: Decoder,
    kept: DecoderState,
    vocab: usize,
    inputs: Rc<Buffer>,
    settings: Rc<Buffer>,
    history: Rc<Buffer>,
    recent: Rc<Buffer>,
    prefill: Plan,
    head: Plan,
    decode: Plan,
    /// Logits after `head`, after `decode`.
    logits: [Region; 2],
    /// Which of `logits` the latest token was picked from.
    latest: usize,
    score: Option<Scoring>,
    readbacks: Vec<Readback>,
    /// Tokens of a chunk.
    pace: Pace,
    /// Rows of the score plan.
    score_rows: usize,
    /// Whether queries and keys are turned as long sequences want it.
    long: bool,
    /// The tokens that the state stands for, unless it is further.
    cached: Vec<u32>,
    seed: u64,
    /// Steps sampled since [`Session::begin`].
    steps: usize,
    /// Results of steps past the end of an answer, on their way while nobody waits.
    leftover: Vec<Arriving>,
}

impl Session {
    /// Makes the plans. Nothing is created after this, but for [`Session::score`]'s first call.
    pub async fn new(gpu: &Rc<Gpu>, model: Decoder, size: StateSize) -> Result<Self> {
        let kept = DecoderState::new(gpu, model.config(), size).await?;
        let (vocab, dim) = (model.config().vocab, model.config().dim);
        let [least, chunk] = chunks(gpu, model.config(), size.capacity);
        let inputs = Buffer::storage(gpu, "inputs", STATE + 4 * chunk.max(SCORE) as u64);
        let settings = Buffer::storage(gpu, "settings", 32);
        let history = Buffer::storage(gpu, "history", 8 * vocab as u64);
        let recent = Buffer::storage(gpu, "recent", 4 * RECENT as u64);
        let (state, ids) = (inputs.region().sub(0, STATE), inputs.region().sub(STATE, inputs.size() - STATE));
        let step = Step { state: &state, kept: kept.layers(), packed: None };
        let (settings_r, history_r, state_r, recent_r) =
            (settings.region(), history.region(), inputs.region(), recent.region());
        let sampling = Sampling { settings: &settings_r, history: &history_r, state: &state_r, recent: &recent_r };
        let finish = |x: Tensor<'_>| {
            let logits = model.logits(x, None);
            logits.sample(&sampling);
            logits.kept()
        };

        let graph = Graph::new(gpu);
        let hidden = model.run(&graph, Start::Ids(&ids, chunk), &step, &[]).0.kept();
        let prefill = Plan::new(graph).await?;

        let graph = Graph::new(gpu);
        let rows = graph.given(prefill.region(hidden), [chunk, dim]);
        let first = finish(rows.last_row(&state));
        let head = Plan::new(graph).await?;

        let graph = Graph::new(gpu);
        let next = finish(model.run(&graph, Start::Ids(&ids, 1), &step, &[]).0);
        let decode = Plan::new(graph).await?;

        let logits = [head.region(first).clone(), decode.region(next).clone()];
        let readbacks = (0..3).map(|_| Readback::new(gpu, 4 * RECENT as u64)).collect();
        Ok(Session {
            gpu: gpu.clone(),
            model,
            kept,
            vocab,
            inputs,
            settings,
            history,
            recent,
            prefill,
            head,
            decode,
            logits,
            latest: 0,
            score: None,
            readbacks,
            pace: Pace::new(FIRST_CHUNK.min(chunk) as u64, SUBMIT_MS)
                .within(least as u64, chunk as u64)
                .growing(4)
                .multiples_of(4),
            score_rows: chunk.min(SCORE),
            long: false,
            cached: Vec::new(),
            seed: 0,
            steps: 0,
            leftover: Vec::new(),
        })
    }

    /// Lets submits hold the GPU longer: nobody is looking.
    pub fn in_background(&mut self) {
        self.pace.hold(BACKGROUND_MS);
    }

    /// Returns how many positions fit.
    pub fn capacity(&self) -> usize {
        self.kept.capacity
    }

    /// Returns how many positions fit before queries and keys have to be turned another way, or at all.
    pub fn limit(&self) -> usize {
        let switch = self.model.switch_at().filter(|_| !self.long);
        switch.map_or(self.capacity(), |at| at.min(self.capacity()))
    }

    /// Returns how many steps may be under way whose tokens nobody has seen: the state must come back from them.
    pub fn ahead(&self) -> usize {
        self.kept.timeline.slack().saturating_add(1)
    }

    /// Returns the bytes of activations and other scratch.
    pub fn scratch_bytes(&self) -> u64 {
        let plans = self.prefill.bytes() + self.head.bytes() + self.decode.bytes();
        plans + self.inputs.size() + self.settings.size() + self.history.size() + self.recent.size()
    }

    /// Counts the dispatches of one decoded token, of one chunk of prefill.
    pub fn dispatches(&self) -> [usize; 2] {
        [self.decode.dispatches(), self.prefill.dispatches()]
    }

    /// Makes drivers compile what they leave for the first use, by running every plan once on nothing that matters.
    /// Does not wait.
    pub fn warm(&mut self) {
        self.clear();
        self.write_inputs(0, &[0]);
        let mut batch = Batch::new(&self.gpu);
        batch.run(&self.prefill);
        batch.run(&self.head);
        batch.run(&self.decode);
        batch.submit();
    }

    /// Lets go of steps that were submitted past the end of an answer.
    pub fn leave(&mut self, arriving: impl IntoIterator<Item = Arriving>) {
        self.leftover.extend(arriving);
    }

    /// Says which tokens the state stands for; it may be further, but not behind.
    pub fn settle(&mut self, cached: Vec<u32>) {
        self.cached = cached;
    }

    /// Notes that of `context`, which begins with what was fed by [`Session::prefill`], the rest was fed by steps.
    pub fn keep(&mut self, context: &[u32]) {
        if context.starts_with(&self.cached) {
            self.settle(context[..self.position().min(context.len())].to_vec());
        }
    }

    /// Takes the state back to what it has in common with `tokens`, less the last of them: that is processed again, for
    /// its logits. Says how many positions remain, from which on [`Session::prefill`] goes on.
    pub fn reuse(&mut self, tokens: &[u32]) -> usize {
        let same = self.cached.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let mut keep = same.min(tokens.len().saturating_sub(1));
        let long = self.model.switch_at().is_some_and(|at| tokens.len() > at);
        if self.turn(long) {
            keep = 0;
        }
        let kept = self.kept.rollback(keep);
        self.cached.truncate(kept);
        kept
    }

    /// Turns queries and keys from now on as long sequences want it, or short ones. Says whether that is a change,
    /// after which all keys are wrong.
    fn turn(&mut self, long: bool) -> bool {
        let change = long != self.long;
        if change {
            self.model.choose_ropes(long);
            self.long = long;
        }
        change
    }

    /// Sets how tokens are picked from now on.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Gpu`], while an earlier call's last steps are waited for.
    pub async fn begin(&mut self, o: &GenerateOptions, seed: u64, prompt: &[u32], abort: &Abort) -> Result<()> {
        while let Some(left) = self.leftover.pop() {
            self.arrive(left, abort).await?;
        }
        self.seed = seed;
        self.steps = 0;
        let adjust = if o.adjusts() { 1.0 } else { 0.0 };
        let settings = [
            // Smaller ones would be flushed to zero on a GPU, where zero must mean the maximum.
            if o.temperature < 1e-6 { 0.0 } else { o.temperature },
            o.top_p,
            o.min_p,
            o.top_k as f32,
            o.repetition_penalty,
            o.presence_penalty,
            o.frequency_penalty,
            adjust,
        ];
        self.settings.write(0, bytemuck::cast_slice(&settings));
        if o.adjusts() {
            let mut history = vec![[0u32; 2]; self.vocab];
            for &t in prompt {
                history[t as usize][0] = 1 << 31;
            }
            for (&t, bias) in &o.logit_bias {
                if let Some(h) = history.get_mut(t as usize) {
                    h[1] = bias.to_bits();
                }
            }
            self.history.write(0, bytemuck::cast_slice(&history));
        }
        Ok(())
    }

    fn write_inputs(&self, position: usize, tokens: &[u32]) {
        let mut words = vec![0u32; STATE as usize / 4];
        words[..5].copy_from_slice(&[
            position as u32,
            tokens.len() as u32,
            self.steps as u32,
            self.seed as u32,
            (self.seed >> 32) as u32,
        ]);
        words.extend(tokens);
        self.inputs.write(0, bytemuck::cast_slice(&words));
    }

    /// Processes `tokens` after those that the state stands for. With `sample`, the token after the last is picked, and
    /// returned as arriving.
    ///
    /// # Errors
    /// [`Error::Cancelled`] between chunks, [`Error::Gpu`].
    pub async fn prefill(&mut self, tokens: &[u32], sample: bool, abort: &Abort) -> Result<Option<Arriving>> {
        let mut arriving = None;
        let mut done = 0;
        while done < tokens.len() {
            abort.check()?;
            let chunk = &tokens[done..tokens.len().min(done + self.pace.amount() as usize)];
            let started = Instant::now();
            self.write_inputs(self.cached.len(), chunk);
            let mut batch = Batch::new(&self.gpu);
            self.kept.put_back(&mut batch);
            done += chunk.len();
            if done == tokens.len() {
                self.kept.checkpoint(&mut batch);
            }
            batch.run(&self.prefill);
            self.cached.extend(chunk);
            self.kept.timeline.advance(chunk.len());
            if done < tokens.len() {
                batch.submit();
                abort.race(self.gpu.idle()).await?;
                self.pace.measured(chunk.len() as u64, started.elapsed().as_secs_f64() * 1e3);
            } else if sample {
                batch.run(&self.head);
                self.latest = 0;
                arriving = Some(self.submit(batch, 1));
            } else {
                batch.submit();
            }
        }
        Ok(arriving)
    }

    /// Submits `count` steps, each feeding the next.
    pub fn step(&mut self, count: usize) -> Arriving {
        debug_assert!(count <= RECENT && self.position() + count <= self.kept.capacity);
        let mut batch = Batch::new(&self.gpu);
        (0..count).for_each(|_| batch.run(&self.decode));
        self.latest = 1;
        self.kept.timeline.advance(count);
        self.submit(batch, count)
    }

    fn submit(&mut self, mut batch: Batch, count: usize) -> Arriving {
        let readback = self.readbacks.pop().unwrap_or_else(|| Readback::new(&self.gpu, 4 * RECENT as u64));
        batch.read(&self.recent.region(), &readback);
        batch.submit();
        let first = self.steps;
        self.steps += count;
        Arriving { future: Box::pin(readback.fetch(4 * RECENT as u64)), readback, first, count }
    }

    /// Waits for ids. After [`Error::Cancelled`] the rest of the call's results are lost, but the session is whole.
    pub async fn arrive(&mut self, arriving: Arriving, abort: &Abort) -> Result<Vec<u32>> {
        let bytes = abort.race(arriving.future).await?;
        self.readbacks.push(arriving.readback);
        let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let ids: Vec<u32> = (arriving.first..arriving.first + arriving.count).map(|i| word(i % RECENT * 4)).collect();
        match ids.iter().all(|&id| (id as usize) < self.vocab) {
            true => Ok(ids),
            // The driver could be at fault too, but the self-test would have told before.
            false => Err(Error::format(
                "",
                "the model computed something that is no token, since some of its weights are no numbers or far too large: \
                 get the file again, or another one of this model",
            )),
        }
    }

    /// Reads the logits that the latest token was picked from.   [V]
    pub async fn latest_logits(&self) -> Result<Vec<f32>> {
        let region = &self.logits[self.latest];
        let bytes = self.gpu.read(region).await?;
        Ok(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes)[..self.vocab].to_vec())
    }

    /// Returns the position that the next token would get.
    pub fn position(&self) -> usize {
        self.kept.timeline.end()
    }

    /// Computes the logits after each of `tokens`, from an empty context.   -> [T * V]
    pub async fn score(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.steps = 0;
        self.clear();
        self.turn(self.model.switch_at().is_some_and(|at| tokens.len() > at));
        let rows = self.score_rows;
        if self.score.is_none() {
            let (state, ids) = (self.inputs.region().sub(0, STATE), self.inputs.region().sub(STATE, 4 * rows as u64));
            let step = Step { state: &state, kept: self.kept.layers(), packed: None };
            let graph = Graph::new(&self.gpu);
            let (hidden, _) = self.model.run(&graph, Start::Ids(&ids, rows), &step, &[]);
            let logits = self.model.logits(hidden, Some(&state)).kept();
            self.score = Some(Scoring { plan: Plan::new(graph).await?, logits });
        }
        let Some(score) = &self.score else { unreachable!("it was just made") };
        let mut out = Vec::with_capacity(tokens.len() * self.vocab);
        for chunk in tokens.chunks(rows) {
            self.write_inputs(self.kept.timeline.end(), chunk);
            let mut batch = Batch::new(&self.gpu);
            batch.run(&score.plan);
            batch.submit();
            self.kept.timeline.advance(chunk.len());
            let bytes = self.gpu.read(score.plan.region(score.logits)).await?;
            out.extend(&unpadded(&bytes, self.vocab)[..chunk.len() * self.vocab]);
        }
        self.settle(tokens.to_vec());
        Ok(out)
    }

    /// Forgets everything that was fed.
    pub fn clear(&mut self) {
        self.settle(Vec::new());
        self.kept.clear();
    }
}
