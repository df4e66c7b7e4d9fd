//! One picture: noise, steps, pixels.

use super::autoencoder::{DECODE_BUDGET, ImageDecoder, ImageEncoder};
use super::call::Call;
use super::info::{ImageFlops, ImageStep, ImageTimings, Picture};
use super::model::ImageModel;
use super::noise::{Noise, Philox, TorchRng, slerp};
use super::options::{NoiseKind, Preview, Request};
use super::painter::{Painter, check_finite};
use super::pixels;
use super::png_parameters;
use super::prompts::sinusoid;
use super::scheduler::{self, Program};
use super::text_encoder::Encoded;
use crate::Result;
use crate::load::Abort;

impl ImageModel {
    /// Encodes a picture to the moments of its latents, [h * w, 2C] (or to the latents themselves, [h * w, C]).
    pub(super) async fn encode_image(&self, rgba: &[u8], request: &Request, abort: &Abort) -> Result<Vec<f32>> {
        let encoder = ImageEncoder::new(&self.gpu, &self.vae, [request.height, request.width], DECODE_BUDGET).await?;
        encoder.run(&pixels::from_rgba(rgba), abort).await
    }

    /// Decodes latents, [h * w, C], to pixels, [H * W, 3] in 0 to 1: as they are finished, or for a preview.
    pub(super) async fn decode(
        &self,
        latents: &[f32],
        [h, w]: [usize; 2],
        preview: bool,
        abort: &Abort,
    ) -> Result<Vec<f32>> {
        let (vae, made) = match &self.taesd {
            Some(taesd) if preview => (taesd, &self.preview_decoder),
            _ => (&self.vae, &self.decoder),
        };
        let decoder = match made.take().filter(|d| d.size() == [h, w]) {
            Some(decoder) => decoder,
            None => ImageDecoder::new(&self.gpu, vae, [h, w], DECODE_BUDGET).await?,
        };
        let image = decoder.run(latents, abort).await?;
        made.replace(Some(decoder));
        Ok(image.into_iter().map(|v| (v / 2.0 + 0.5).clamp(0.0, 1.0)).collect())
    }

    /// Paints a call's pictures with a painter that is ready.
    pub(super) async fn paint(
        &self,
        painter: &Painter,
        encoded: &[Encoded; 2],
        call: Call<'_>,
    ) -> Result<Vec<Picture>> {
        let Call { request, inputs, abort, .. } = call;
        self.prompt(painter, encoded, request);
        let moments = match &inputs.image {
            Some(rgba) => Some(self.encode_image(rgba, request, abort).await?),
            None => None,
        };
        // At full strength inpainting begins with noise alone, as in diffusers; painting over a picture does not.
        let strength = request.strength.filter(|s| !(painter.shape.known && *s == 1.0));
        let program =
            scheduler::program(&self.scheduler, request.sampler, request.steps, strength, request.options.eta)?;
        let clock = call.around.clock;
        let mut pictures = Vec::new();
        for i in 0..request.batch {
            let job = PictureJob { painter, program: &program, call };
            let started = if i == 0 { call.began } else { clock() };
            let mut picture = job.paint(self, i, moments.as_deref()).await?;
            picture.parameters = png_parameters::text(call.prompt, request, i, &self.name);
            picture.timings.text_ms = if i == 0 { call.text_ms } else { 0.0 };
            picture.timings.total_ms = clock() - started;
            pictures.push(picture);
        }
        Ok(pictures)
    }
}

/// One picture of a call.
pub(super) struct PictureJob<'a> {
    pub painter: &'a Painter,
    pub program: &'a Program,
    pub call: Call<'a>,
}

impl PictureJob<'_> {
    /// Paints picture `i` of the batch. `moments`: those of the picture to start from.
    pub async fn paint(&self, model: &ImageModel, i: usize, moments: Option<&[f32]>) -> Result<Picture> {
        let Call { request, inputs, around, abort, .. } = self.call;
        let (painter, program) = (self.painter, self.program);
        let [h, w] = [painter.shape.h, painter.shape.w];
        let channels = model.unet.config().in_channels;
        let count = channels * h * w;
        let seed = request.seed_of(i);
        let mut source = Noise::new(request.options.noise, seed);
        // diffusers draws in this order: the encoder's sample, the first noise, a noise for every step that wants one.
        let original = moments.map(|m| model.vae.sample(m, &mut || pixels::to_rows(&source.randn(count), channels)));
        let noise = self.first_noise(i, count, [h, w], &mut source)?;
        let noise = pixels::to_rows(&noise, channels);
        if inputs.mask.is_some() && model.vae.samples() {
            // Its pipelines for inpainting also encode the picture without what is masked, for models that take it.
            source.randn(count);
        }
        let zeros = vec![0.0; count];
        let clean = original.as_deref().unwrap_or(&zeros);
        let x: Vec<f32> = noise.iter().zip(clean).map(|(n, o)| program.start[0] * o + program.start[1] * n).collect();
        let mask =
            inputs.mask.as_ref().map(|rgba| pixels::mask(rgba, [request.height, request.width], [h, w], channels));
        let kept = mask.as_deref().map(|mask| [clean, &noise, mask]);
        painter.start(&x, kept, program.stages.first().map_or(1.0, |s| s.input_scale));
        let c = model.unet.config();
        let mut timings = ImageTimings::default();
        let steps = program.stages.last().map_or(0, |s| s.step + 1);
        let mut began = (around.clock)();
        for (k, stage) in program.stages.iter().enumerate() {
            abort.check()?;
            let time = sinusoid(stage.timestep, c.block_out_channels[0], c.freq_shift, c.flip_sin_to_cos);
            let next = program.stages.get(k + 1);
            let fresh = stage.noise.then(|| pixels::to_rows(&source.randn(count), channels));
            let next_scale = next.map_or(1.0, |s| s.input_scale);
            painter.set_stage(stage, &time, request.guidance, next_scale, fresh.as_deref());
            painter.step(around.clock, abort).await?;
            if next.is_some_and(|s| s.step == stage.step) {
                continue;
            }
            let ms = (around.clock)() - began;
            timings.step_ms.push(ms);
            let last = next.is_none();
            let preview = if last { None } else { self.preview(model, [h, w]).await? };
            (self.call.on_step)(ImageStep { picture: i, step: stage.step + 1, steps, ms, preview });
            began = (around.clock)();
        }
        abort.check()?;
        let began = (around.clock)();
        let latents = painter.read(false).await?;
        check_finite(&latents)?;
        let pixels = model.decode(&latents, [h, w], false, abort).await?;
        check_finite(&pixels)?;
        timings.decode_ms = (around.clock)() - began;
        let (width, height) = (request.width, request.height);
        let latents = pixels::to_planes(&latents, channels);
        let decode = model.decoder.borrow().as_ref().map_or(0, ImageDecoder::macs);
        let flops = ImageFlops { step: 2 * painter.macs(), decode: 2 * decode };
        Ok(Picture { width, height, pixels, latents, seed, parameters: String::new(), timings, flops })
    }

    /// Draws the noise to begin with, [C, h, w].
    fn first_noise(&self, i: usize, count: usize, [h, w]: [usize; 2], source: &mut Noise) -> Result<Vec<f32>> {
        if let Some(given) = &self.call.inputs.latents {
            return Ok(given[i * count..(i + 1) * count].to_vec());
        }
        let noise = source.randn(count);
        let request = self.call.request;
        let o = &request.options;
        if o.variation_strength == 0.0 {
            return Ok(noise);
        }
        let other = Noise::new(o.noise, request.variation_seed_of(i)).randn(count);
        Ok(slerp(o.variation_strength, &noise, &other, [h, w]))
    }

    /// Makes the preview that was asked for: width, height, RGBA.
    async fn preview(&self, model: &ImageModel, [h, w]: [usize; 2]) -> Result<Option<(usize, usize, Vec<u8>)>> {
        let request = self.call.request;
        if request.options.preview == Preview::None {
            return Ok(None);
        }
        let latents = self.painter.read(true).await?;
        check_finite(&latents)?;
        let tiny = request.options.preview == Preview::Tiny && model.taesd.is_some();
        Ok(Some(match model.vae.projection().filter(|_| !tiny) {
            Some(projection) => (w, h, pixels::project(&latents, projection)),
            None => {
                let pixels = model.decode(&latents, [h, w], true, self.call.abort).await?;
                (request.width, request.height, pixels::to_rgba(&pixels))
            }
        }))
    }
}

impl Noise {
    /// Seeds the source of a picture's noise.
    fn new(kind: NoiseKind, seed: u64) -> Noise {
        match kind {
            NoiseKind::Cpu => Noise::Torch(TorchRng::new(seed)),
            NoiseKind::Gpu => Noise::Philox(Philox::new(seed)),
        }
    }
}
