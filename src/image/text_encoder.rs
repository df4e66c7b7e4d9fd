//! From a prompt to the states that the noise predictor attends to.

use super::open::TextPart;
use crate::gpu::{Batch, Buffer, Gpu, Graph, Plan, Region};
use crate::load::Abort;
use crate::models::{Clip, ClipWant};
use crate::text::{Chunk, ClipTokenizer, WeightedPrompt, pad_chunks};
use crate::{Error, Result};
use std::cell::RefCell;
use std::rc::Rc;

/// The most chunks of a prompt, 2,400 tokens: the predictor attends to all of them at every step.
const MOST_CHUNKS: usize = 32;

/// A prompt, encoded: rows of `width` for every token of every chunk, and the pooled text if the model has one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Encoded {
    pub rows: Vec<f32>,
    pub pooled: Vec<f32>,
}

/// A text encoder with its tokenizer, and its plan once it was used.
pub(super) struct TextEncoder {
    gpu: Rc<Gpu>,
    tokenizer: ClipTokenizer,
    clip: Clip,
    /// Whether the last layer and norm are left out: by OpenCLIP encoders that pool, and encoders beside one.
    penultimate: bool,
    plan: RefCell<Option<(ClipWant, TextPlan)>>,
}

struct TextPlan {
    plan: Plan,
    ids: Region,
    hidden: Region,
    projected: Option<Region>,
}

impl TextEncoder {
    /// Joins an encoder with its tokenizer.
    pub fn new(gpu: &Rc<Gpu>, part: &TextPart, tokenizer: ClipTokenizer, clip: Clip) -> Self {
        let plan = RefCell::default();
        TextEncoder { gpu: gpu.clone(), tokenizer, clip, penultimate: part.penultimate, plan }
    }

    /// Says which results of the encoder a prompt needs.
    pub fn want(&self, clip_skip: usize) -> ClipWant {
        let skip = clip_skip + usize::from(self.penultimate);
        ClipWant {
            skip: skip.min(self.clip.config().n_layers),
            normed: !self.penultimate,
            projected: self.clip.config().projection_dim.is_some(),
        }
    }

    /// Splits each prompt into as many chunks as it takes.
    pub fn chunks(&self, prompts: &[WeightedPrompt]) -> Vec<Vec<Chunk>> {
        prompts.iter().map(|p| p.chunks(&self.tokenizer)).collect()
    }

    /// Appends chunks without text to prompts that have fewer than `count`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there are more than [`MOST_CHUNKS`].
    pub fn pad(&self, chunks: &mut [Vec<Chunk>], count: usize) -> Result<()> {
        if count > MOST_CHUNKS {
            let room = self.tokenizer.max_length() - 2;
            return Err(Error::TooLarge {
                need: format!("a prompt of more than {} tokens", (count - 1) * room),
                have: format!("{} tokens", MOST_CHUNKS * room),
                advice: "shorten the prompt".into(),
            });
        }
        chunks.iter_mut().for_each(|chunks| pad_chunks(chunks, count, &self.tokenizer));
        Ok(())
    }

    /// Counts the tokens of a chunk.
    pub fn positions(&self) -> usize {
        self.tokenizer.max_length()
    }

    /// Counts the bytes of its plan.
    pub fn bytes(&self) -> u64 {
        self.plan.borrow().as_ref().map_or(0, |(_, p)| p.plan.bytes())
    }

    /// Makes a plan for these results, unless there is one.
    ///
    /// # Errors
    /// Those of [`Plan::new`].
    pub async fn ready(&self, want: ClipWant) -> Result<()> {
        if self.plan.borrow().as_ref().is_some_and(|(w, _)| *w == want) {
            return Ok(());
        }
        let t = self.positions();
        let ids = Buffer::storage(&self.gpu, "tokens", 4 * t as u64).region();
        let positions = Buffer::storage(&self.gpu, "positions", 4 * t as u64).region();
        let count: Vec<u32> = (0..t as u32).collect();
        positions.write(0, bytemuck::cast_slice(&count));
        let graph = Graph::new(&self.gpu);
        let (hidden, projected) = {
            let out = self.clip.forward(&graph, [&ids, &positions], [1, t], want);
            (out.hidden.kept(), out.projected.map(|t| t.kept()))
        };
        let plan = Plan::new(graph).await?;
        let hidden = plan.region(hidden).clone();
        let projected = projected.map(|p| plan.region(p).clone());
        self.plan.replace(Some((want, TextPlan { plan, ids, hidden, projected })));
        Ok(())
    }

    /// Encodes chunks, one after the other. Weights are applied as by AUTOMATIC1111: multiplied, then the mean is
    /// restored.
    pub async fn encode(&self, chunks: &[Chunk], clip_skip: usize, abort: &Abort) -> Result<Encoded> {
        let want = self.want(clip_skip);
        self.ready(want).await?;
        let (mut rows, mut pooled) = (Vec::new(), Vec::new());
        let c = self.clip.config();
        for (i, chunk) in chunks.iter().enumerate() {
            abort.check()?;
            if let Some(id) = chunk.ids.iter().find(|id| **id as usize >= c.vocab) {
                return Err(Error::unsupported(format!(
                    "the text encoder has no token {id}: the tokenizer is another model's"
                )));
            }
            let (hidden, projected) = {
                let plan = self.plan.borrow();
                let Some((_, p)) = plan.as_ref() else { return Err(Error::gpu("the text encoder is gone; try again")) };
                p.ids.write(0, bytemuck::cast_slice(&chunk.ids));
                let mut batch = Batch::new(&self.gpu);
                batch.run(&p.plan);
                batch.submit();
                (p.hidden.clone(), p.projected.clone())
            };
            let mut hidden = self.gpu.read_rows(&hidden, self.positions(), c.dim).await?;
            weigh(&mut hidden, &chunk.weights, c.dim);
            rows.extend(hidden);
            if let (0, Some(region), Some(width)) = (i, projected, c.projection_dim) {
                let all = self.gpu.read_rows(&region, self.positions(), width).await?;
                let end = end_of_text(&chunk.ids, c.eos);
                pooled = all[end * width..(end + 1) * width].to_vec();
            }
        }
        Ok(Encoded { rows, pooled })
    }

    /// Counts the columns of its states.
    pub fn dim(&self) -> usize {
        self.clip.config().dim
    }

    /// Frees the plan.
    pub fn release(&self) {
        self.plan.take();
    }
}

/// Multiplies each token's row by its weight, then all by one number that restores the mean.
fn weigh(rows: &mut [f32], weights: &[f32], width: usize) {
    if weights.iter().all(|w| *w == 1.0) {
        return;
    }
    let mean = |rows: &[f32]| rows.iter().map(|v| f64::from(*v)).sum::<f64>() / rows.len() as f64;
    let before = mean(rows);
    for (row, weight) in rows.chunks_exact_mut(width).zip(weights) {
        row.iter_mut().for_each(|v| *v *= weight);
    }
    let factor = before / mean(rows);
    // A mean near zero says nothing about size.
    if factor.is_finite() && (0.1..10.0).contains(&factor) {
        rows.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
    }
}

/// Finds the token whose projected state is the pooled text. Old configurations name 2 as the end token by mistake;
/// then it is the largest id (transformers, `CLIPTextTransformer`).
fn end_of_text(ids: &[u32], eos: u32) -> usize {
    let most = ids.iter().max().copied().unwrap_or(0);
    let end = if eos == 2 { most } else { eos };
    ids.iter().position(|id| *id == end).unwrap_or(0)
}
