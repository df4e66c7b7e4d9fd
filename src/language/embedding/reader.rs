//! Reading batches of texts on the device. A plan is made for so many rows, and kept: the smallest that holds a batch
//! runs.

use super::batches::{TextTokens, by_length, next_batch};
use crate::config::language::{AttentionConfig, EmbeddingConfig, LanguageConfig, MixerConfig, RelativeBias};
use crate::gpu::{BACKGROUND_MS, Batch, Buffer, Family, Gpu, Graph, Kept, Pace, Plan, Readback, row_bytes, unpadded};
use crate::load::Abort;
use crate::models::{Encoder, LayerState, Sequences, Step, Texts};
use crate::ops::KvLayer;
use crate::{Error, Result};
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use web_time::Instant;

/// Rows of the smallest plan: a question has fewer tokens.
const SMALLEST: usize = 64;
/// A plan has so many times the rows of the next smaller one.
const GROWTH: usize = 4;
/// The most rows of a batch of short texts.
const LARGEST: usize = 4096;
/// Rows for each text that a plan has room for.
const ROWS_PER_TEXT: usize = 4;
/// Milliseconds that a submit should hold the GPU, so that the page stays smooth.
const SUBMIT_MS: f64 = 100.0;
/// Words of a state before what is said of each row or text.
const STATE: usize = 64;
/// Regions begin at multiples of so many words.
const ALIGN: usize = 64;

/// A plan for batches of so many rows, and where its input and output are.
struct Pass {
    rows: usize,
    plan: Plan,
    output: Kept,
    inputs: Rc<Buffer>,
    layout: Layout,
    readbacks: [Readback; 2],
    /// Which of them is next.
    turn: Cell<usize>,
    bytes: u64,
}

/// Where things lie in a pass's input, in words.
#[derive(Clone, Copy)]
struct Layout {
    /// The state of the rows: `[1]` how many; from [`STATE`] on the bounds of each row's text; then buckets.
    state: usize,
    buckets: usize,
    /// The state of the texts: `[1]` how many.
    texts: usize,
    spans: usize,
    ids: usize,
    positions: usize,
    types: usize,
    end: usize,
}

impl Layout {
    fn new(rows: usize, texts: usize, buckets: usize) -> Layout {
        let mut end = 0;
        let mut take = |words: usize| {
            let at = end;
            end += words.next_multiple_of(ALIGN);
            at
        };
        let state = take(STATE + 2 * rows + buckets);
        let (texts, spans) = (take(STATE), take(4 * texts));
        let (ids, positions, types) = (take(rows), take(rows), take(rows));
        Layout { state, buckets: STATE + 2 * rows, texts, spans, ids, positions, types, end }
    }
}

/// A model ready to read texts.
pub(super) struct Reader {
    gpu: Rc<Gpu>,
    model: Encoder,
    config: LanguageConfig,
    width: usize,
    /// Which bucket of biases each distance is in: of keys before a query, then of keys behind it.
    buckets: Vec<u32>,
    passes: Vec<Pass>,
    pace: Pace,
    /// Batches on their way, of an earlier call perhaps that was aborted.
    under_way: VecDeque<Arriving>,
}

/// A batch on its way.
struct Arriving {
    texts: Vec<usize>,
    rows: usize,
    begun: Instant,
    bytes: Pin<Box<dyn Future<Output = Result<Vec<u8>>>>>,
}

impl Reader {
    /// Makes the smallest plan.
    ///
    /// # Errors
    /// [`Error::Gpu`], [`Error::TooLarge`].
    pub async fn new(gpu: &Rc<Gpu>, model: Encoder, c: &EmbeddingConfig, background: bool) -> Result<Self> {
        let buckets = attentions(&c.model).find_map(|a| a.relative_bias).map_or(Vec::new(), buckets);
        // An adapter that computes on the CPU gains nothing from more.
        let largest = if gpu.adapter().family == Family::Software { 256 } else { LARGEST as u64 };
        let mut pace = Pace::new(SMALLEST as u64 * GROWTH as u64, SUBMIT_MS)
            .within(SMALLEST as u64, largest)
            .growing(GROWTH as u64);
        if background {
            pace.hold(BACKGROUND_MS);
        }
        let width = if c.classifier().is_some() { 1 } else { c.dimensions() };
        let (gpu, config) = (gpu.clone(), c.model.clone());
        let mut reader =
            Reader { gpu, model, config, width, buckets, passes: Vec::new(), pace, under_way: VecDeque::new() };
        reader.pass(1).await?;
        Ok(reader)
    }

    /// Makes drivers compile what they leave for the first use, by running the plan once on nothing that matters. Does
    /// not wait.
    pub fn warm(&self) {
        let mut batch = Batch::new(&self.gpu);
        self.passes.iter().for_each(|pass| batch.run(&pass.plan));
        batch.submit();
    }

    /// Returns the bytes of activations and other scratch.
    pub fn scratch_bytes(&self) -> u64 {
        self.passes.iter().map(|pass| pass.bytes).sum()
    }

    /// Counts the dispatches of one batch.
    pub fn dispatches(&self) -> usize {
        self.passes.first().map_or(0, |pass| pass.plan.dispatches())
    }

    /// Finds the smallest plan that holds so many rows, or makes it.
    async fn pass(&mut self, rows: usize) -> Result<usize> {
        let mut size = SMALLEST;
        while size < rows {
            size *= GROWTH;
        }
        if size > LARGEST {
            size = rows.next_multiple_of(SMALLEST);
        }
        if let Some(i) = self.passes.iter().position(|pass| pass.rows == size) {
            return Ok(i);
        }
        let pass = self.make(size).await?;
        self.passes.push(pass);
        Ok(self.passes.len() - 1)
    }

    async fn make(&self, rows: usize) -> Result<Pass> {
        let gpu = &self.gpu;
        let texts = rows / ROWS_PER_TEXT;
        let buckets = self.buckets.len();
        let layout = Layout::new(rows, texts, buckets);
        let most = gpu.adapter().max_binding;
        let wide = attentions(&self.config).map(|a| a.heads * a.key_dim + a.kv_heads * (a.key_dim + a.value_dim));
        let widest = wide.chain(self.config.layers.iter().map(|l| 2 * l.ffn.dim)).max().unwrap_or(1);
        if rows as u64 * row_bytes(widest) > most {
            return Err(Error::TooLarge {
                need: format!("{} MiB for a text of up to {rows} tokens", (rows as u64 * row_bytes(widest)) >> 20),
                have: format!("{} MiB in one piece on this GPU", most >> 20),
                advice: "give shorter texts".into(),
            });
        }
        let inputs = gpu.allocate("texts", || Buffer::storage(gpu, "texts", 4 * layout.end as u64)).await?;
        let kv = gpu.allocate("keys and values", || self.scratch(rows)).await?;
        let kept = vec![LayerState::Kv(kv.clone()); self.config.layers.len()];
        let region = |at: usize, words: usize| inputs.region().sub(4 * at as u64, 4 * words as u64);
        let state = region(layout.state, STATE + 2 * rows + buckets);
        let (text_state, spans) = (region(layout.texts, STATE), region(layout.spans, 4 * texts));
        let (ids, positions, types) =
            (region(layout.ids, rows), region(layout.positions, rows), region(layout.types, rows));
        let packed = Some(Sequences { positions: &positions, types: &types, buckets: layout.buckets });
        let step = Step { state: &state, kept: &kept, packed };
        let graph = Graph::new(gpu);
        let where_texts_are = Texts { spans: &spans, most: texts, state: &text_state };
        let output = self.model.run(&graph, (&ids, rows), &step, &where_texts_are).kept();
        let plan = Plan::new(graph).await?;
        let readback = || Readback::new(gpu, texts as u64 * row_bytes(self.width));
        let readbacks = [readback(), readback()];
        let bytes = plan.bytes() + inputs.size() + kv.k.size + kv.v.size + 2 * texts as u64 * row_bytes(self.width);
        Ok(Pass { rows, plan, output, inputs, layout, readbacks, turn: Cell::new(0), bytes })
    }

    /// Makes room for the keys and values of one layer: the next one writes over them.
    fn scratch(&self, rows: usize) -> KvLayer {
        let bytes = |size: fn(&AttentionConfig) -> usize| {
            attentions(&self.config).map(|a| 4 * (a.kv_heads * size(a) * rows) as u64).max().unwrap_or(4)
        };
        let buffer = |label: &str, bytes: u64| Buffer::storage(&self.gpu, label, bytes).region();
        KvLayer {
            k: buffer("keys", bytes(|a| a.key_dim)),
            v: buffer("values", bytes(|a| a.value_dim)),
            capacity: rows,
            ring: false,
            exact: true,
        }
    }

    /// Reads the rows of the output matrix of these tokens.   -> [n * D]
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the model has no such matrix, [`Error::Gpu`].
    pub async fn output_rows(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let ids = Buffer::storage(&self.gpu, "tokens", 4 * tokens.len() as u64);
        ids.write(0, bytemuck::cast_slice(tokens));
        let graph = Graph::new(&self.gpu);
        let rows = self.model.output_rows(&graph, &ids.region(), tokens.len());
        let rows = rows.ok_or_else(|| Error::unsupported("this model writes no tokens"))?.kept();
        let plan = Plan::new(graph).await?;
        let mut batch = Batch::new(&self.gpu);
        batch.run(&plan);
        batch.submit();
        self.gpu.read_rows(plan.region(rows), tokens.len(), self.config.dim).await
    }

    /// Computes a vector of each text, not yet of length one, or a score.   -> [N * E], in the order of `texts`
    ///
    /// # Errors
    /// [`Error::Cancelled`] between batches, [`Error::TooLarge`] for a text that no plan can hold, [`Error::Gpu`].
    pub async fn read(
        &mut self,
        texts: &[TextTokens],
        on_progress: &dyn Fn(usize, usize),
        abort: &Abort,
    ) -> Result<Vec<f32>> {
        while !self.under_way.is_empty() {
            self.arrive(abort).await?;
        }
        let mut out = vec![0.0; texts.len() * self.width];
        let mut left = by_length(texts);
        let (mut done, mut arrived) = (0, Instant::now());
        while !left.is_empty() || !self.under_way.is_empty() {
            abort.check()?;
            // One batch computes while the one before arrives.
            if let Some(&longest) = left.last() {
                self.submit(texts, &mut left, texts[longest].ids.len()).await?;
            }
            if self.under_way.len() < 2 && !left.is_empty() {
                continue;
            }
            let (batch, bytes) = self.arrive(abort).await?;
            let began = arrived.max(batch.begun);
            arrived = Instant::now();
            self.pace.measured(batch.rows as u64, (arrived - began).as_secs_f64() * 1e3);
            let rows = unpadded(&bytes, self.width);
            for (row, &text) in rows.chunks_exact(self.width).zip(&batch.texts) {
                out[text * self.width..(text + 1) * self.width].copy_from_slice(row);
            }
            done += batch.texts.len();
            on_progress(done, texts.len());
        }
        Ok(out)
    }

    /// Waits for the batch that was submitted first. It stays under way where the call is aborted.
    async fn arrive(&mut self, abort: &Abort) -> Result<(Arriving, Vec<u8>)> {
        let Some(first) = self.under_way.front_mut() else { return Err(Error::gpu("no batch is under way")) };
        let bytes = abort.race(first.bytes.as_mut()).await;
        if let Err(Error::Cancelled) = bytes {
            return Err(Error::Cancelled);
        }
        match (self.under_way.pop_front(), bytes) {
            (Some(batch), Ok(bytes)) => Ok((batch, bytes)),
            (_, bytes) => Err(bytes.err().unwrap_or_else(|| Error::gpu("no batch is under way"))),
        }
    }

    /// Submits the next batch of the texts in `left`, of which the longest has so many tokens.
    async fn submit(&mut self, texts: &[TextTokens], left: &mut Vec<usize>, longest: usize) -> Result<()> {
        let target = (self.pace.amount() as usize).max(longest);
        let batch = next_batch(left, |i| texts[i].ids.len(), target, target / ROWS_PER_TEXT);
        let rows: usize = batch.iter().map(|&i| texts[i].ids.len()).sum();
        let i = self.pass(rows.max(batch.len() * ROWS_PER_TEXT)).await?;
        let pass = &self.passes[i];
        let words = self.words(pass, texts, &batch);
        pass.inputs.write(0, bytemuck::cast_slice(&words));
        let mut commands = Batch::new(&self.gpu);
        commands.run(&pass.plan);
        // Of those under way at most one reads back through the same pass.
        let readback = &pass.readbacks[pass.turn.replace(1 - pass.turn.get())];
        commands.read(pass.plan.region(pass.output), readback);
        commands.submit();
        let bytes = readback.fetch(batch.len() as u64 * row_bytes(self.width));
        self.under_way.push_back(Arriving { texts: batch, rows, begun: Instant::now(), bytes: Box::pin(bytes) });
        Ok(())
    }

    /// Writes a batch as a pass reads it.
    fn words(&self, pass: &Pass, texts: &[TextTokens], batch: &[usize]) -> Vec<u32> {
        let at = pass.layout;
        let mut words = vec![0; at.end];
        let mut row = 0;
        for (n, &text) in batch.iter().enumerate() {
            let TextTokens { ids, types, unpooled } = &texts[text];
            let (begin, end) = (row as u32, (row + ids.len()) as u32);
            // Of a text that is all prompt the last token counts.
            let first = (begin + *unpooled as u32).min(end - 1);
            words[at.spans + 4 * n..][..4].copy_from_slice(&[first, end, begin, 0]);
            for (i, id) in ids.iter().enumerate() {
                words[at.state + STATE + 2 * row..][..2].copy_from_slice(&[begin, end]);
                words[at.ids + row] = *id;
                words[at.positions + row] = (i + self.config.position_offset) as u32;
                words[at.types + row] = types.get(i).copied().unwrap_or(0);
                row += 1;
            }
        }
        words[at.state + 1] = row as u32;
        words[at.texts + 1] = batch.len() as u32;
        words[at.state + at.buckets..][..self.buckets.len()].copy_from_slice(&self.buckets);
        words
    }
}

/// Lists the attentions of a model's layers.
fn attentions(c: &LanguageConfig) -> impl Iterator<Item = &AttentionConfig> {
    c.layers.iter().filter_map(|layer| match &layer.mixer {
        MixerConfig::Attention(a) => Some(a),
        MixerConfig::ShortConv(_) => None,
    })
}

/// Lists the bucket of each distance up to the reach, of keys before a query, then of keys behind it.
fn buckets(relative: RelativeBias) -> Vec<u32> {
    let half = relative.buckets as u32 / 2;
    let before = (0..=relative.reach).map(|distance| bucket(relative, distance));
    before.clone().chain(before.map(|bucket| bucket + half)).collect()
}

/// Finds the bucket of keys that are so far before a query, as T5 has it: each of the first distances has its own, of
/// the others each is as many times wider.
fn bucket(relative: RelativeBias, distance: usize) -> u32 {
    let half = relative.buckets / 2;
    let exact = half / 2;
    if distance < exact {
        return distance as u32;
    }
    // In the reference's precision: it decides about whole numbers.
    let share = (distance as f32 / exact as f32).ln() / (relative.reach as f64 / exact as f64).ln() as f32;
    let bucket = exact + (share * (half - exact) as f32) as usize;
    bucket.min(half - 1) as u32
}
