//! The noise predictor made ready for one size: the prompt's keys and values, then a step as often as the sampler asks.

use super::scheduler::Stage;
use crate::gpu::{Batch, Buffer, Gpu, Graph, Pace, Plan, Region, padded, row_bytes, row_stride};
use crate::load::Abort;
use crate::models::{Unet, UnetInput};
use crate::ops::{Denoise, DenoiseStage, KEPT_PLANES, Map, PLANES, Rows, STAGE};
use crate::{Error, Result};
use std::cell::Cell;
use std::rc::Rc;

/// The sizes that a painter was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LatentShape {
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

impl LatentShape {
    /// Counts the pictures that the noise predictor reads at once.
    fn n(&self) -> usize {
        if self.guided { 2 } else { 1 }
    }

    /// Counts the rows of the embedded time: each half has its own if they differ in more than the prompt.
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
    pub shape: LatentShape,
    gpu: Rc<Gpu>,
    unet: Rc<Unet>,
    context: Plan,
    step: Plan,
    regions: Regions,
    /// Bytes of everything.
    bytes: u64,
    /// Bytes of a plane of latents.
    plane: u64,
    /// Dispatches of one submit.
    pace: Pace,
}

/// Dispatches of the first submit.
const FIRST_SUBMIT: u64 = 64;
/// Fewer dispatches would take longer to submit than to run.
const LEAST_SUBMIT: u64 = 8;

impl Regions {
    /// Makes all regions; `make` gets a region's label and its bytes.
    fn new(unet: &Unet, shape: LatentShape, make: impl Fn(&str, u64) -> Region) -> Regions {
        let c = unet.config();
        let (n, tokens) = (shape.n() as u64, (shape.n() * shape.tokens) as u64);
        let plane = (shape.h * shape.w) as u64 * row_bytes(c.in_channels);
        Regions {
            contexts: unet.context_widths().map(|w| make("context", tokens * row_bytes(w))).collect(),
            text: make("text", tokens * row_bytes(c.cross_attention_dim)),
            stage: make("stage", 4 * STAGE as u64),
            time: make("time", shape.times(unet) as u64 * row_bytes(c.block_out_channels[0])),
            guidance: c.time_cond_proj_dim.map(|k| make("guidance", row_bytes(k))),
            added: c.addition.as_ref().map(|a| make("added", n * row_bytes(a.projection_input))),
            latents: make("latents", PLANES as u64 * plane),
            input: make("input", n * plane),
            noise: make("noise", plane),
            kept: shape.known.then(|| make("kept", KEPT_PLANES as u64 * plane)),
        }
    }

    /// Records the prompt's keys and values.
    fn record_context(&self, g: &Graph, unet: &Unet, shape: LatentShape) {
        unet.context(
            g.given(&self.text, [shape.n() * shape.tokens, unet.config().cross_attention_dim]),
            &self.contexts,
        );
    }

    /// Records a step.
    fn record_step(&self, g: &Graph, unet: &Unet, shape: LatentShape) {
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

/// Counts the bytes that a painter would take, without taking them, and those of its largest activation. The weights
/// may be pretended.
pub(super) fn bytes(gpu: &Rc<Gpu>, unet: &Unet, shape: LatentShape) -> [u64; 2] {
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
    /// Compiles the plans. `hold_ms`: milliseconds that a submit may hold the GPU.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Gpu`].
    pub async fn new(gpu: &Rc<Gpu>, unet: &Rc<Unet>, shape: LatentShape, hold_ms: f64) -> Result<Painter> {
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
            pace: Pace::new(FIRST_SUBMIT, hold_ms).within(LEAST_SUBMIT, u64::MAX),
        })
    }

    /// Runs everything once on meaningless numbers, without waiting.
    pub fn warm(&self) {
        let mut batch = Batch::new(&self.gpu);
        batch.run(&self.context);
        batch.run(&self.step);
        batch.submit();
    }

    /// Counts the bytes of activations, planes and parameters.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts the dispatches of a step.
    pub fn dispatches(&self) -> usize {
        self.step.dispatches()
    }

    /// Counts the multiplications and additions of a step.
    pub fn macs(&self) -> u64 {
        self.step.macs()
    }

    /// Sets the encoded prompts, `n * tokens` rows, if guided the negative prompt first, and the embeddings that belong
    /// to them.
    pub fn prompt(&self, rows: &[f32], added: &[f32], guidance_embedding: &[f32]) {
        let width = self.unet.config().cross_attention_dim;
        self.regions.text.write(0, bytemuck::cast_slice(&padded(rows.iter().copied(), width)));
        if let Some(region) = &self.regions.added {
            let width = added.len() / self.shape.n();
            region.write(0, bytemuck::cast_slice(&padded(added.iter().copied(), width)));
        }
        if let Some(region) = &self.regions.guidance {
            region
                .write(0, bytemuck::cast_slice(&padded(guidance_embedding.iter().copied(), guidance_embedding.len())));
        }
        let mut batch = Batch::new(&self.gpu);
        batch.run(&self.context);
        batch.submit();
    }

    /// Sets the first latents, and the planes of a picture that is kept in part, all in rows of pixels. `input_scale`:
    /// the first stage's.
    pub fn start(&self, latents: &[f32], kept: Option<[&[f32]; 3]>, input_scale: f32) {
        let plane = self.rows(latents);
        self.regions.latents.write(0, bytemuck::cast_slice(&plane));
        let zeros = vec![0u8; self.plane as usize];
        for i in 1..PLANES as u64 {
            self.regions.latents.write(i * self.plane, &zeros);
        }
        // The kernel multiplies unused noise by zero, which is zero only if the noise is finite.
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

    /// Pads rows of pixels as they lie in memory.
    fn rows(&self, pixels: &[f32]) -> Vec<f32> {
        padded(pixels.iter().copied(), self.unet.config().in_channels)
    }

    /// Sets the numbers of the next step. `next_scale`: the input scale of the stage after it; `noise`: fresh noise, if
    /// the stage wants it.
    pub fn set_stage(&self, stage: &Stage, time: &[f32], guidance: f32, next_scale: f32, noise: Option<&[f32]>) {
        let numbers = DenoiseStage {
            guidance,
            input_scale: next_scale,
            convert: stage.convert,
            denoised: stage.denoised,
            next: stage.next,
            save: stage.save,
            shift: f32::from(u8::from(stage.shift)),
            unused: 0.0,
            known: stage.known,
        };
        self.regions.stage.write(0, bytemuck::bytes_of(&numbers));
        let row = padded(time.iter().copied(), time.len());
        for at in (0..self.regions.time.size).step_by(4 * row_stride(time.len())) {
            self.regions.time.write(at, bytemuck::cast_slice(&row));
        }
        if let Some(noise) = noise {
            self.regions.noise.write(0, bytemuck::cast_slice(&self.rows(noise)));
        }
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`Error::Gpu`], [`Error::Cancelled`].
    pub async fn step(&self, clock: &dyn Fn() -> f64, abort: &Abort) -> Result<()> {
        let (mut at, all) = (0, self.step.dispatches());
        while at < all {
            let (end, began) = ((at + self.pace.amount() as usize).min(all), clock());
            let mut batch = Batch::new(&self.gpu);
            batch.run_part(&self.step, at..end);
            batch.submit();
            self.gpu.idle().await?;
            abort.check()?;
            self.pace.measured((end - at) as u64, clock() - began);
            at = end;
        }
        Ok(())
    }

    /// Reads the latents as they are now, or the denoised estimate of the last step, [h * w, C].
    ///
    /// # Errors
    /// [`Error::Gpu`].
    pub async fn read(&self, denoised: bool) -> Result<Vec<f32>> {
        let c = self.unet.config().in_channels;
        self.gpu.read_rows(&self.plane(denoised), self.shape.h * self.shape.w, c).await
    }

    /// Returns the memory that [`Painter::read`] reads.
    fn plane(&self, denoised: bool) -> Region {
        let at = if denoised { PLANES as u64 - 1 } else { 0 };
        // Regions begin at a multiple of 256 bytes: the planes of tiny latents do not.
        Region {
            buffer: self.regions.latents.buffer.clone(),
            offset: self.regions.latents.offset + at * self.plane,
            size: self.plane,
        }
    }
}

/// Refuses latents that are not numbers: they would become a black picture.
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
