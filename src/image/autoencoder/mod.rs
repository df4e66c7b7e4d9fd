//! Latents to pixels and pixels to latents, in bounded memory for pictures of any size: see `schedule`.

mod bands;
mod pass;
mod record;
mod schedule;

pub use schedule::Limits;

use crate::config::diffusion::vae::VaeConfig;
use crate::gpu::{Batch, Buffer, Gpu, Need, Pace, Placed, Placement, Readback, Region, padded, unpadded};
use crate::load::Abort;
use crate::models::{Coder, CoderLayers, Vae, decoder_layers, encoder_layers};
use crate::{Error, Result};
use pass::{Extent, Goal};
use record::AutoencoderPart;
use schedule::Schedule;
use std::rc::Rc;
use web_time::Instant;

/// The memory and work that decoding or encoding a picture takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of all buffers but weights and parameters.
    pub bytes: u64,
    /// Multiplications with additions.
    pub macs: u64,
    /// Multiplications with additions if nothing were computed twice.
    pub least_macs: u64,
    /// Passes over the picture that go band by band; 0: everything is computed at once.
    pub banded: usize,
    /// Passes band by band that only sum up a result, which is not kept.
    pub summing: usize,
    /// Passes band by band that write over what they read.
    pub overwriting: usize,
}

impl Limits {
    /// Reads a device's limits, with this budget of bytes.
    pub fn of(gpu: &Gpu, budget: u64) -> Limits {
        let adapter = gpu.adapter();
        // Some adapters report more than 32 bits can count.
        Limits { budget, binding: adapter.max_binding.min(adapter.max_buffer).min(i32::MAX as u64) }
    }
}

/// Counts what decoding latents of height and width [h, w] takes; nothing is allocated.
///
/// # Errors
/// [`Error::TooLarge`] if it does not fit the limits, [`Error::Unsupported`] if that is not a size of a picture.
pub fn decode_cost(config: &VaeConfig, size: [usize; 2], limits: Limits) -> Result<Cost> {
    cost(&decoder_layers(config, ""), size, limits)
}

/// Counts what encoding a picture of height and width [H, W] takes; nothing is allocated.
///
/// # Errors
/// [`Error::TooLarge`] if it does not fit the limits, [`Error::Unsupported`] if that is not a size of a picture.
pub fn encode_cost(config: &VaeConfig, size: [usize; 2], limits: Limits) -> Result<Cost> {
    cost(&encoder_layers(config, ""), size, limits)
}

fn cost(layers: &CoderLayers, size: [usize; 2], limits: Limits) -> Result<Cost> {
    let (schedule, result) = fitted(layers, size, limits)?;
    let (macs, least_macs) = (schedule.macs(), schedule.least_macs());
    let count = |which: &dyn Fn(&Goal) -> bool| {
        schedule.passes.iter().filter(|p| p.pass.bands > 0 && which(&p.pass.goal)).count()
    };
    Ok(Cost {
        bytes: schedule.placement.bytes() + result,
        macs,
        least_macs,
        banded: count(&|_| true),
        summing: count(&|goal| *goal == Goal::Sums),
        overwriting: count(&|goal| matches!(goal, Goal::Over(_))),
    })
}

/// Finds the schedule, and the bytes that the host reads: they are part of the budget.
fn fitted(layers: &CoderLayers, size: [usize; 2], limits: Limits) -> Result<(Schedule, u64)> {
    let extents = schedule::extents(layers, size)?;
    let result = extents.last().map_or(0, Extent::bytes);
    let limits = Limits { budget: limits.budget.saturating_sub(result), ..limits };
    Ok((Schedule::new(layers, &extents, limits)?, result))
}

/// Half of an autoencoder, made ready for one size.
struct Half {
    gpu: Rc<Gpu>,
    parts: Vec<AutoencoderPart>,
    state: Region,
    input: Region,
    result: Region,
    readback: Readback,
    /// Channels that go in and come out.
    channels: [usize; 2],
    /// Height and width that go in.
    size: [usize; 2],
    bytes: u64,
    /// Multiplications and additions of a run.
    macs: u64,
    /// Multiplications and additions of one submit.
    pace: Pace,
}

/// Bytes of the autoencoder's buffers.
pub(super) const DECODE_BUDGET: u64 = 256 << 20;
/// Milliseconds that one submit may hold the GPU.
const HOLD_MS: f64 = 100.0;
/// Multiplications and additions of the first submit.
const FIRST_SUBMIT: u64 = 1 << 30;
/// A submit with less work would take longer to submit than to run.
const LEAST_SUBMIT: u64 = 1 << 20;

impl Half {
    async fn new(gpu: &Rc<Gpu>, coder: &Coder, size: [usize; 2], budget: u64) -> Result<Half> {
        let (schedule, result_bytes) = fitted(&coder.layers, size, Limits::of(gpu, budget))?;
        let Placement { buffers, places } = &schedule.placement;
        let make = || -> Vec<Region> {
            buffers.iter().map(|&bytes| Buffer::storage(gpu, "autoencoder", bytes).region()).collect()
        };
        let buffers = gpu.allocate("the autoencoder", make).await?;
        let state = Buffer::storage(gpu, "band", 256).region();
        let region = |(need, at): (&Need, &Option<Placed>)| at.map(|at| buffers[at.buffer].sub(at.offset, need.bytes));
        let regions: Vec<Option<Region>> = schedule.needs.iter().zip(places).map(region).collect();
        let parts = record::parts(gpu, coder, &schedule, &regions, &state).await?;
        let last = coder.layers.list.len() - 1;
        let whole = |layer: usize| schedule.whole[layer].and_then(|need| regions[need].clone());
        let (Some(input), Some(result)) = (whole(0), whole(last)) else { unreachable!("input and result are whole") };
        Ok(Half {
            gpu: gpu.clone(),
            parts,
            state,
            input,
            result,
            readback: Readback::new(gpu, result_bytes),
            channels: [0, last].map(|layer| coder.layers.list[layer].channels),
            size,
            bytes: schedule.placement.bytes() + result_bytes,
            macs: schedule.macs(),
            pace: Pace::new(FIRST_SUBMIT, HOLD_MS).within(LEAST_SUBMIT, u64::MAX).growing(4),
        })
    }

    fn dispatches(&self) -> usize {
        self.parts.iter().map(|p| p.plan.dispatches() * p.bands.map_or(1, |[early, bands]| early + bands)).sum()
    }

    /// Runs every plan once on meaningless numbers, without waiting.
    fn warm(&self) {
        let mut batch = Batch::new(&self.gpu);
        self.parts.iter().for_each(|part| batch.run(&part.plan));
        batch.submit();
    }

    /// Converts rows of `channels[0]` numbers to rows of `channels[1]`.
    async fn run(&self, values: impl ExactSizeIterator<Item = f32>, abort: &Abort) -> Result<Vec<f32>> {
        let want = self.size[0] * self.size[1] * self.channels[0];
        assert_eq!(values.len(), want, "as many numbers as the input has");
        self.input.write(0, bytemuck::cast_slice(&padded(values, self.channels[0])));
        abort.check()?;
        let mut run = Run { half: self, abort, batch: Batch::new(&self.gpu), macs: 0 };
        for part in &self.parts {
            match part.bands {
                None => run.at_once(part).await?,
                Some(bands) => run.by_bands(part, bands).await?,
            }
        }
        abort.check()?;
        let mut batch = run.batch;
        batch.read(&self.result, &self.readback);
        batch.submit();
        let bytes = self.readback.fetch(self.result.size).await?;
        Ok(unpadded(&bytes, self.channels[1]))
    }
}

/// A run under way.
struct Run<'a> {
    half: &'a Half,
    abort: &'a Abort,
    /// Dispatches to be submitted.
    batch: Batch,
    /// Multiplications and additions since the GPU was last waited for.
    macs: u64,
}

impl Run<'_> {
    /// Runs a part that is done at once, in as many submits as its work takes.
    async fn at_once(&mut self, part: &AutoencoderPart) -> Result<()> {
        let mut from = 0;
        for (i, &(to, work)) in part.macs.iter().enumerate() {
            let next = part.macs.get(i + 1).map_or(0, |m| m.1);
            self.macs += work;
            if self.macs + next > self.half.pace.amount() {
                self.batch.run_part(&part.plan, from..to);
                self.turn().await?;
                from = to;
            }
        }
        self.batch.run_part(&part.plan, from..part.plan.dispatches());
        Ok(())
    }

    /// Runs a part band by band.
    async fn by_bands(&mut self, part: &AutoencoderPart, [early, bands]: [usize; 2]) -> Result<()> {
        let work = part.macs.iter().map(|m| m.1).sum::<u64>();
        for band in 0..early + bands {
            // Dispatches that were batched before must not see this band's state.
            self.submit();
            let number = band as i32 - early as i32;
            let words = [(number * part.advance as i32) as u32, number.max(0) as u32];
            self.half.state.write(0, bytemuck::cast_slice(&words));
            self.batch.run(&part.plan);
            self.macs += work;
            if self.macs > self.half.pace.amount() {
                self.turn().await?;
            }
        }
        Ok(())
    }

    fn submit(&mut self) {
        std::mem::replace(&mut self.batch, Batch::new(&self.half.gpu)).submit();
    }

    /// Submits the batch and waits for it, so that others get their turn.
    async fn turn(&mut self) -> Result<()> {
        let began = Instant::now();
        self.submit();
        self.half.gpu.idle().await?;
        self.abort.check()?;
        self.half.pace.measured(self.macs, began.elapsed().as_secs_f64() * 1e3);
        self.macs = 0;
        Ok(())
    }
}

/// Decodes latents of one size.
pub struct ImageDecoder {
    half: Half,
    /// Whether the decoder makes pixels between 0 and 1.
    unsigned: bool,
}

impl ImageDecoder {
    /// Prepares for latents of height and width [h, w], in no more than `budget` bytes besides weights.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if that is not possible, [`Error::Gpu`].
    pub async fn new(gpu: &Rc<Gpu>, vae: &Vae, size: [usize; 2], budget: u64) -> Result<Self> {
        let half = Half::new(gpu, &vae.decoder, size, budget).await?;
        Ok(ImageDecoder { half, unsigned: matches!(vae.config, VaeConfig::Tiny(_)) })
    }

    /// Runs its dispatches once on meaningless numbers, without waiting: drivers compile at first use.
    pub fn warm(&self) {
        self.half.warm();
    }

    /// Gives the latents' height and width.
    pub fn size(&self) -> [usize; 2] {
        self.half.size
    }

    /// Counts the bytes of all its buffers but parameters.
    pub fn bytes(&self) -> u64 {
        self.half.bytes
    }

    /// Counts the dispatches of a run.
    pub fn dispatches(&self) -> usize {
        self.half.dispatches()
    }

    /// Counts the multiplications and additions of a run.
    pub fn macs(&self) -> u64 {
        self.half.macs
    }

    /// Decodes latents as the noise predictor has them.   [h * w, C] -> [H * W, 3] in -1 to 1, about
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Gpu`].
    pub async fn run(&self, latents: &[f32], abort: &Abort) -> Result<Vec<f32>> {
        let mut pixels = self.half.run(latents.iter().copied(), abort).await?;
        if self.unsigned {
            pixels.iter_mut().for_each(|v| *v = *v * 2.0 - 1.0);
        }
        Ok(pixels)
    }
}

/// Encodes pictures of one size.
pub struct ImageEncoder {
    half: Half,
    /// Whether the encoder wants pixels between 0 and 1.
    unsigned: bool,
}

impl ImageEncoder {
    /// Prepares for pictures of height and width [H, W], in no more than `budget` bytes besides weights.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if that is not possible, [`Error::Unsupported`] if the model has no encoder, [`Error::Gpu`].
    pub async fn new(gpu: &Rc<Gpu>, vae: &Vae, size: [usize; 2], budget: u64) -> Result<Self> {
        let none = || Error::unsupported("the model has no image encoder; choose one that has to start from a picture");
        let half = Half::new(gpu, vae.encoder.as_ref().ok_or_else(none)?, size, budget).await?;
        Ok(ImageEncoder { half, unsigned: matches!(vae.config, VaeConfig::Tiny(_)) })
    }

    /// Counts the bytes of all its buffers but parameters.
    pub fn bytes(&self) -> u64 {
        self.half.bytes
    }

    /// Counts the dispatches of a run.
    pub fn dispatches(&self) -> usize {
        self.half.dispatches()
    }

    /// Encodes pixels, [H * W, 3] in -1 to 1, to what [`Vae::sample`] takes: moments, [h * w, 2C], or latents,
    /// [h * w, C].
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Gpu`].
    pub async fn run(&self, pixels: &[f32], abort: &Abort) -> Result<Vec<f32>> {
        let value = |v: &f32| if self.unsigned { (v + 1.0) / 2.0 } else { *v };
        self.half.run(pixels.iter().map(value), abort).await
    }
}
