//! Latents to pixels and pixels to latents, in bounded memory, whatever the picture's size: see `schedule`.

mod bands;
mod pass;
mod placement;
mod record;
mod schedule;

pub use schedule::Limits;

use crate::config::diffusion::vae::VaeConfig;
use crate::gpu::{Batch, Buffer, Gpu, Plan, Readback, Region};
use crate::load::Abort;
use crate::models::{Coder, Layers, Vae, decoder_layers, encoder_layers};
use crate::{Error, Result};
use pass::{Extent, Goal};
use schedule::Schedule;
use std::cell::Cell;
use std::rc::Rc;
use web_time::Instant;

/// What decoding or encoding a picture takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of all buffers but weights and parameters.
    pub bytes: u64,
    /// Multiplications with additions.
    pub macs: u64,
    /// Those that are left when nothing is made twice.
    pub least_macs: u64,
    /// Passes over the picture that go band by band; 0: everything is made at once.
    pub banded: usize,
    /// Those that only sum up what is not kept.
    pub summing: usize,
    /// Those that write over what they read.
    pub overwriting: usize,
}

impl Limits {
    /// What a device can bind, with this budget of bytes.
    pub fn of(gpu: &Gpu, budget: u64) -> Limits {
        let adapter = gpu.adapter();
        // Some adapters report more than 32 bits can count.
        Limits { budget, binding: adapter.max_binding.min(adapter.max_buffer).min(i32::MAX as u64) }
    }
}

/// What decoding latents of height and width [h, w] takes; nothing is allocated.
///
/// # Errors
/// [`Error::TooLarge`] if it does not go within the limits, [`Error::Unsupported`] if that is no size of a picture.
pub fn decode_cost(config: &VaeConfig, size: [usize; 2], limits: Limits) -> Result<Cost> {
    cost(&decoder_layers(config, ""), size, limits)
}

/// What encoding a picture of height and width [H, W] takes; nothing is allocated.
///
/// # Errors
/// [`Error::TooLarge`] if it does not go within the limits, [`Error::Unsupported`] if that is no size of a picture.
pub fn encode_cost(config: &VaeConfig, size: [usize; 2], limits: Limits) -> Result<Cost> {
    cost(&encoder_layers(config, ""), size, limits)
}

fn cost(layers: &Layers, size: [usize; 2], limits: Limits) -> Result<Cost> {
    let (schedule, result) = fitted(layers, size, limits)?;
    let (macs, least_macs) = (schedule.macs(), schedule.least_macs());
    let count = |which: &dyn Fn(&Goal) -> bool| {
        schedule.passes.iter().filter(|p| p.pass.bands > 0 && which(&p.pass.goal)).count()
    };
    Ok(Cost {
        bytes: schedule.bytes() + result,
        macs,
        least_macs,
        banded: count(&|_| true),
        summing: count(&|goal| *goal == Goal::Sums),
        overwriting: count(&|goal| matches!(goal, Goal::Over(_))),
    })
}

/// The schedule, and the bytes that the host reads: they are part of the budget.
fn fitted(layers: &Layers, size: [usize; 2], limits: Limits) -> Result<(Schedule, u64)> {
    let extents = schedule::extents(layers, size)?;
    let result = extents.last().map_or(0, Extent::bytes);
    let limits = Limits { budget: limits.budget.saturating_sub(result), ..limits };
    Ok((Schedule::new(layers, &extents, limits)?, result))
}

/// Dispatches that are submitted together.
struct Part {
    plan: Plan,
    /// Bands above the picture and bands of it; `None`: all at once.
    bands: Option<[usize; 2]>,
    /// What the state's first word grows by from band to band.
    advance: usize,
    /// Multiplications and additions up to each dispatch that ends a step.
    macs: Vec<(usize, u64)>,
}

/// Half of an autoencoder, made ready for one size.
struct Half {
    gpu: Rc<Gpu>,
    parts: Vec<Part>,
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
    /// Multiplications and additions that one submit may hold: as many as fit the time.
    submit: Cell<u64>,
}

/// Milliseconds that one submit may hold the GPU.
const HOLD: f64 = 100.0;
/// Work of the first submit, when nothing is known of the GPU's speed.
const FIRST_SUBMIT: u64 = 1 << 30;

impl Half {
    async fn new(gpu: &Rc<Gpu>, coder: &Coder, size: [usize; 2], budget: u64) -> Result<Half> {
        let (schedule, result_bytes) = fitted(&coder.layers, size, Limits::of(gpu, budget))?;
        let make = || -> Vec<Region> {
            schedule.buffers.iter().map(|&bytes| Buffer::storage(gpu, "autoencoder", bytes).region()).collect()
        };
        let buffers = gpu.allocate("the autoencoder", make).await?;
        let state = Buffer::storage(gpu, "band", 256).region();
        let regions: Vec<Region> = schedule
            .needs
            .iter()
            .zip(&schedule.places)
            .map(|(n, at)| buffers[at.buffer].sub(at.offset, n.bytes))
            .collect();
        let parts = record::parts(gpu, coder, &schedule, &regions, &state).await?;
        let last = coder.layers.layers.len() - 1;
        let whole = |layer: usize| schedule.whole[layer].map(|need| regions[need].clone());
        let (Some(input), Some(result)) = (whole(0), whole(last)) else { unreachable!("input and result are whole") };
        Ok(Half {
            gpu: gpu.clone(),
            parts,
            state,
            input,
            result,
            readback: Readback::new(gpu, result_bytes),
            channels: [0, last].map(|layer| coder.layers.layers[layer].channels),
            size,
            bytes: schedule.bytes() + result_bytes,
            macs: schedule.macs(),
            submit: Cell::new(FIRST_SUBMIT),
        })
    }

    fn dispatches(&self) -> usize {
        self.parts.iter().map(|p| p.plan.dispatches() * p.bands.map_or(1, |[early, bands]| early + bands)).sum()
    }

    /// Runs every plan once on whatever is there, without waiting.
    fn warm(&self) {
        let mut batch = Batch::new(&self.gpu);
        self.parts.iter().for_each(|part| batch.run(&part.plan));
        batch.submit();
    }

    /// Runs everything: rows of `channels[0]` numbers to rows of `channels[1]`.
    async fn run(&self, rows: impl Iterator<Item = f32>, abort: &Abort) -> Result<Vec<f32>> {
        let mut padded = vec![0f32; self.input.size as usize / 4];
        let stride = self.channels[0].next_multiple_of(4);
        let places = (0..self.size[0] * self.size[1]).flat_map(|p| (0..self.channels[0]).map(move |c| p * stride + c));
        let mut given = 0;
        for (value, at) in rows.zip(places) {
            padded[at] = value;
            given += 1;
        }
        assert_eq!(given, self.size[0] * self.size[1] * self.channels[0], "as many numbers as the input has");
        self.input.write(0, bytemuck::cast_slice(&padded));
        drop(padded);
        abort.check()?;
        // Work in flight.
        let mut macs = 0;
        let mut batch = Batch::new(&self.gpu);
        for part in &self.parts {
            match part.bands {
                None => {
                    let mut from = 0;
                    for (i, &(to, work)) in part.macs.iter().enumerate() {
                        let next = part.macs.get(i + 1).map_or(0, |m| m.1);
                        macs += work;
                        if macs + next > self.submit.get() {
                            batch.run_part(&part.plan, from..to);
                            batch = self.turn(batch, &mut macs, abort).await?;
                            from = to;
                        }
                    }
                    batch.run_part(&part.plan, from..part.plan.dispatches());
                }
                Some([early, bands]) => {
                    let work = part.macs.iter().map(|m| m.1).sum::<u64>();
                    for band in 0..early + bands {
                        // What was batched before must not see the band's state.
                        std::mem::replace(&mut batch, Batch::new(&self.gpu)).submit();
                        let number = band as i32 - early as i32;
                        let words = [(number * part.advance as i32) as u32, number.max(0) as u32];
                        self.state.write(0, bytemuck::cast_slice(&words));
                        batch.run(&part.plan);
                        macs += work;
                        if macs > self.submit.get() {
                            batch = self.turn(batch, &mut macs, abort).await?;
                        }
                    }
                }
            }
        }
        abort.check()?;
        batch.read(&self.result, &self.readback);
        batch.submit();
        let bytes = self.readback.fetch(self.result.size).await?;
        let stride = self.channels[1].next_multiple_of(4);
        let floats: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(floats.chunks_exact(stride).flat_map(|row| &row[..self.channels[1]]).copied().collect())
    }

    /// Submits a batch and waits for it, so that others get their turn.
    async fn turn(&self, batch: Batch, macs: &mut u64, abort: &Abort) -> Result<Batch> {
        let began = Instant::now();
        batch.submit();
        self.gpu.idle().await?;
        abort.check()?;
        let fits = *macs as f64 * HOLD / (began.elapsed().as_secs_f64() * 1e3).max(0.1);
        // Never many times as much at once, for not all work takes equally long.
        self.submit.set((fits as u64).clamp(1 << 20, 4 * self.submit.get()));
        *macs = 0;
        Ok(Batch::new(&self.gpu))
    }
}

/// Decodes latents of one size.
pub struct ImageDecoder {
    half: Half,
    /// The decoder makes pixels between 0 and 1.
    unsigned: bool,
}

impl ImageDecoder {
    /// Makes everything ready for latents of height and width [h, w], in no more than `budget` bytes besides weights.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if that cannot be, [`Error::Gpu`].
    pub async fn new(gpu: &Rc<Gpu>, vae: &Vae, size: [usize; 2], budget: u64) -> Result<Self> {
        let half = Half::new(gpu, &vae.decoder, size, budget).await?;
        Ok(ImageDecoder { half, unsigned: matches!(vae.config, VaeConfig::Tiny(_)) })
    }

    /// Runs its dispatches once on whatever is there, without waiting: drivers compile at first use.
    pub fn warm(&self) {
        self.half.warm();
    }

    /// Latents' height and width.
    pub fn size(&self) -> [usize; 2] {
        self.half.size
    }

    /// Bytes of all its buffers but parameters.
    pub fn bytes(&self) -> u64 {
        self.half.bytes
    }

    /// Dispatches of a run.
    pub fn dispatches(&self) -> usize {
        self.half.dispatches()
    }

    /// Multiplications and additions of a run.
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
    /// The encoder wants pixels between 0 and 1.
    unsigned: bool,
}

impl ImageEncoder {
    /// Makes everything ready for pictures of height and width [H, W], in no more than `budget` bytes besides weights.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if that cannot be, [`Error::Unsupported`] if the model has no encoder, [`Error::Gpu`].
    pub async fn new(gpu: &Rc<Gpu>, vae: &Vae, size: [usize; 2], budget: u64) -> Result<Self> {
        let none = || Error::unsupported("the model has no image encoder; choose one that has to start from a picture");
        let half = Half::new(gpu, vae.encoder.as_ref().ok_or_else(none)?, size, budget).await?;
        Ok(ImageEncoder { half, unsigned: matches!(vae.config, VaeConfig::Tiny(_)) })
    }

    /// Bytes of all its buffers but parameters.
    pub fn bytes(&self) -> u64 {
        self.half.bytes
    }

    /// Dispatches of a run.
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
