//! The noise predictor made ready for one size: the prompt's keys and values, then a step as often as the sampler asks.

use super::scheduler::Stage;
use crate::gpu::{Batch, Buffer, Gpu, Graph, Plan, Region};
use crate::load::Abort;
use crate::models::{Unet, UnetInput};
use crate::ops::{Denoise, KEPT_PLANES, Map, PLANES, Rows, STAGE};
use crate::{Error, Result};
use std::cell::Cell;
use std::rc::Rc;

/// What a painter was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Height and width of the latents.
    pub h: usize,
    pub w: usize,
    /// Tokens of the prompt, over all chunks.
    pub tokens: usize,
    /// Whether a second half without the prompt is computed.
    pub guided: bool,
    /// Whether a part of the picture is kept.
    pub known: bool,
}

impl Shape {
    fn n(&self) -> usize {
        if self.guided { 2 } else { 1 }
    }

    /// Rows of the embedded time: with each half its own if they differ in more than the prompt.
    fn times(&self, unet: &Unet) -> usize {
        if unet.config().addition.is_some() { self.n() } else { 1 }
    }
}

/// Memory of the denoising loop besides activations.
struct Regions {
    contexts: Vec<Region>,
    text: Region,
    stage: Region,
    time: Region,
    guidance: Option<Region>,
    added: Option<Region>,
    latents: Region,
    input: Region,
    noise: Region,
    kept: Option<Region>,
}

/// Plans and memory of the denoising loop.
pub(super) struct Painter {
    pub shape: Shape,
    gpu: Rc<Gpu>,
    unet: Rc<Unet>,
    context: Plan,
    step: Plan,
    regions: Regions,
    /// Bytes of everything.
    bytes: u64,
    /// Bytes of a plane of latents.
    plane: u64,
    /// Dispatches that fit the time one submit may take.
    part: Cell<usize>,
}

/// Dispatches of the first submit: nothing is known of the GPU's speed yet.
const FIRST_PART: usize = 64;

/// Bytes of a row of activations.
fn row(width: usize) -> u64 {
    4 * width.next_multiple_of(4) as u64
}

impl Regions {
    /// `make` gets what a region is for and its bytes.
    fn new(unet: &Unet, shape: Shape, make: impl Fn(&str, u64) -> Region) -> Regions {
        let c = unet.config();
        let (n, tokens) = (shape.n() as u64, (shape.n() * shape.tokens) as u64);
        let plane = (shape.h * shape.w) as u64 * row(c.in_channels);
        Regions {
            contexts: unet.context_widths().map(|w| make("context", tokens * row(w))).collect(),
            text: make("text", tokens * row(c.cross_attention_dim)),
            stage: make("stage", 4 * STAGE as u64),
            time: make("time", shape.times(unet) as u64 * row(c.block_out_channels[0])),
            guidance: c.time_cond_proj_dim.map(|k| make("guidance", row(k))),
            added: c.addition.as_ref().map(|a| make("added", n * row(a.projection_input))),
            latents: make("latents", PLANES as u64 * plane),
            input: make("input", n * plane),
            noise: make("noise", plane),
            kept: shape.known.then(|| make("kept", KEPT_PLANES as u64 * plane)),
        }
    }

    /// Records the prompt's keys and values.
    fn record_context(&self, g: &Graph, unet: &Unet, shape: Shape) {
        unet.context(
            g.given(&self.text, [shape.n() * shape.tokens, unet.config().cross_attention_dim]),
            &self.contexts,
        );
    }

    /// Records a step.
    fn record_step(&self, g: &Graph, unet: &Unet, shape: Shape) {
        let (c, n) = (unet.config(), shape.n());
        let contexts = self.contexts.iter().zip(unet.context_widths());
        let context: Vec<_> = contexts.map(|(r, w)| g.given(r, [n * shape.tokens, w])).collect();
        let latents = g.given(&self.input, [n * shape.h * shape.w, c.in_channels]);
        let input = UnetInput {
            time: g.given(&self.time, [shape.times(unet), c.block_out_channels[0]]),
            guidance: self.guidance.as_ref().zip(c.time_cond_proj_dim).map(|(r, k)| g.given(r, [1, k])),
            added: self.added.as_ref().zip(c.addition.as_ref()).map(|(r, a)| g.given(r, [n, a.projection_input])),
            context: &context,
        };
        let predicted = unet.forward(Map::new(latents, n, shape.w, Rows::all(shape.h)), input);
        predicted.t.denoise(&Denoise {
            stage: &self.stage,
            noise: &self.noise,
            kept: self.kept.as_ref(),
            latents: &self.latents,
            input: &self.input,
            guided: shape.guided,
        });
    }
}

/// Bytes that a painter would take, without taking them, and those of its largest activation. The weights may be pretended.
pub(super) fn bytes(gpu: &Rc<Gpu>, unet: &Unet, shape: Shape) -> [u64; 2] {
    let (dummy, sum) = (Buffer::storage(gpu, "dummy", 4), Cell::new(0));
    let regions = Regions::new(unet, shape, |_, size| {
        sum.set(sum.get() + size);
        Region { buffer: dummy.clone(), offset: 0, size }
    });
    let (context, step) = (Graph::new(gpu), Graph::new(gpu));
    regions.record_context(&context, unet, shape);
    regions.record_step(&step, unet, shape);
    [sum.get() + context.activation_bytes() + step.activation_bytes(), context.largest().max(step.largest())]
}

impl Painter {
    /// Compiles the plans.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Gpu`].
    pub async fn new(gpu: &Rc<Gpu>, unet: &Rc<Unet>, shape: Shape) -> Result<Painter> {
        let sum = Cell::new(0);
        let make = |what: &str, size: u64| {
            sum.set(sum.get() + size);
            Buffer::storage(gpu, what, size).region()
        };
        let regions = gpu.allocate("a picture of this size", || Regions::new(unet, shape, make)).await?;
        let (context, step) = (Graph::new(gpu), Graph::new(gpu));
        regions.record_context(&context, unet, shape);
        regions.record_step(&step, unet, shape);
        let (context, step) = (Plan::new(context).await?, Plan::new(step).await?);
        Ok(Painter {
            shape,
            gpu: gpu.clone(),
            unet: unet.clone(),
            bytes: sum.get() + context.bytes() + step.bytes(),
            context,
            step,
            plane: regions.noise.size,
            regions,
            part: Cell::new(FIRST_PART),
        })
    }

    /// Runs everything once on whatever is there, without waiting.
    pub fn warm(&self) {
        let mut batch = Batch::new(&self.gpu);
        batch.run(&self.context);
        batch.run(&self.step);
        batch.submit();
    }

    /// Bytes of activations, planes and parameters.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Dispatches of a step.
    pub fn dispatches(&self) -> usize {
        self.step.dispatches()
    }

    /// Multiplications and additions of a step.
    pub fn macs(&self) -> u64 {
        self.step.macs()
    }

    /// Sets the encoded prompts, `n * tokens` rows: without the prompt first, if guided; and what else belongs to them.
    pub fn prompt(&self, rows: &[f32], added: &[f32], guidance_embedding: &[f32]) {
        let width = self.unet.config().cross_attention_dim;
        self.regions.text.write(0, bytemuck::cast_slice(&padded(rows, width)));
        if let Some(region) = &self.regions.added {
            let width = added.len() / self.shape.n();
            region.write(0, bytemuck::cast_slice(&padded(added, width)));
        }
        if let Some(region) = &self.regions.guidance {
            region.write(0, bytemuck::cast_slice(&padded(guidance_embedding, guidance_embedding.len())));
        }
        let mut batch = Batch::new(&self.gpu);
        batch.run(&self.context);
        batch.submit();
    }

    /// Sets the first latents and what is kept, all in rows of pixels. `input_scale`: the first stage's.
    pub fn start(&self, latents: &[f32], kept: Option<[&[f32]; 3]>, input_scale: f32) {
        let plane = self.rows(latents);
        self.regions.latents.write(0, bytemuck::cast_slice(&plane));
        let zeros = vec![0u8; self.plane as usize];
        for i in 1..PLANES as u64 {
            self.regions.latents.write(i * self.plane, &zeros);
        }
        // The kernel multiplies what it is not given by zero, which is zero only if it is finite.
        self.regions.noise.write(0, &zeros);
        let input: Vec<f32> = plane.iter().map(|v| v * input_scale).collect();
        for i in 0..self.shape.n() as u64 {
            self.regions.input.write(i * self.plane, bytemuck::cast_slice(&input));
        }
        if let (Some(region), Some(planes)) = (&self.regions.kept, kept) {
            for (i, plane) in planes.into_iter().enumerate() {
                region.write(i as u64 * self.plane, bytemuck::cast_slice(&self.rows(plane)));
            }
        }
    }

    fn rows(&self, pixels: &[f32]) -> Vec<f32> {
        padded(pixels, self.unet.config().in_channels)
    }

    /// Says what the next step is. `next_scale`: the input scale of the stage after it; `noise`: fresh noise, if the stage
    /// wants it.
    pub fn set_stage(&self, stage: &Stage, time: &[f32], guidance: f32, next_scale: f32, noise: Option<&[f32]>) {
        let mut numbers = [0.0f32; STAGE];
        numbers[0] = guidance;
        numbers[1] = next_scale;
        numbers[2..4].copy_from_slice(&stage.convert);
        numbers[4..6].copy_from_slice(&stage.denoised);
        numbers[6..13].copy_from_slice(&stage.next);
        numbers[13..20].copy_from_slice(&stage.save);
        numbers[20] = f32::from(u8::from(stage.shift));
        numbers[22..24].copy_from_slice(&stage.known);
        self.regions.stage.write(0, bytemuck::cast_slice(&numbers));
        let rows = self.regions.time.size as usize / 4 / time.len().next_multiple_of(4);
        for i in 0..rows {
            let row = padded(time, time.len());
            self.regions.time.write((i * row.len() * 4) as u64, bytemuck::cast_slice(&row));
        }
        if let Some(noise) = noise {
            self.regions.noise.write(0, bytemuck::cast_slice(&self.rows(noise)));
        }
    }

    /// Takes a step. `hold`: how many milliseconds one submit may take.
    ///
    /// # Errors
    /// [`Error::Gpu`], [`Error::Cancelled`].
    pub async fn step(&self, hold: f64, clock: &dyn Fn() -> f64, abort: &Abort) -> Result<()> {
        let (mut at, all) = (0, self.step.dispatches());
        while at < all {
            let (end, began) = ((at + self.part.get()).min(all), clock());
            let mut batch = Batch::new(&self.gpu);
            batch.run_part(&self.step, at..end);
            batch.submit();
            self.gpu.idle().await?;
            abort.check()?;
            // As many dispatches as fit next time; never twice as many at once, for not all take equally long.
            let fits = ((end - at) as f64 * hold / (clock() - began).max(0.1)) as usize;
            self.part.set(fits.clamp(8, 2 * self.part.get()));
            at = end;
        }
        Ok(())
    }

    /// The latents as they are now, or the denoised estimate of the last step, [h * w, C].
    ///
    /// # Errors
    /// [`Error::Gpu`].
    pub async fn read(&self, denoised: bool) -> Result<Vec<f32>> {
        let c = self.unet.config().in_channels;
        super::text_encoder::floats(&self.gpu, &self.plane(denoised), self.shape.h * self.shape.w, c).await
    }

    /// Where they are.
    pub fn plane(&self, denoised: bool) -> Region {
        let at = if denoised { PLANES as u64 - 1 } else { 0 };
        // Regions begin at a multiple of 256 bytes: the planes of tiny latents do not.
        Region {
            buffer: self.regions.latents.buffer.clone(),
            offset: self.regions.latents.offset + at * self.plane,
            size: self.plane,
        }
    }
}

/// Rows of `width`, padded to four.
pub(super) fn padded(values: &[f32], width: usize) -> Vec<f32> {
    let stride = width.next_multiple_of(4);
    let mut out = vec![0.0; values.len() / width.max(1) * stride];
    for (to, from) in out.chunks_exact_mut(stride).zip(values.chunks_exact(width.max(1))) {
        to[..width].copy_from_slice(from);
    }
    out
}

/// Refuses latents that are not numbers: a black picture would say nothing.
///
/// # Errors
/// [`Error::Gpu`].
pub(super) fn check_finite(latents: &[f32]) -> Result<()> {
    match latents.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(Error::gpu(
            "the picture became not-a-number: lower the guidance, choose another sampler, or load the model with quantize: \
             \"none\"",
        )),
    }
}
