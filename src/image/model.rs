//! An image model that paints.

use super::adapters::{Adapters, Lora};
use super::autoencoder::ImageDecoder;
use super::info::{ImageBytes, ImageInfo, ImageLoadOptions, OnStep, Picture, Surroundings, TextMemory};
use super::job::Job;
use super::open::ImageFiles;
use super::options::{Defaults, ImageInputs, ImageOptions, MOST_SIDE, Request};
use super::painter::{Painter, Shape};
use super::parts::Parts;
use super::png_parameters;
use super::scheduler::{self, Sampler};
use super::text_encoder::{Encoded, TextEncoder};
use crate::config::diffusion::scheduler::{SchedulerConfig, Spacing};
use crate::gpu::Gpu;
use crate::load::{Abort, Bound, ByteSource, Phase, Progress, Quantize};
use crate::models::{Unet, Vae};
use crate::text::Prompt;
use crate::{Error, Result};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// An image model on the GPU.
pub struct ImageModel {
    pub(super) gpu: Rc<Gpu>,
    pub(super) source: Rc<dyn ByteSource>,
    pub(super) adapters: Adapters,
    pub(super) text: Vec<TextEncoder>,
    pub(super) text_weights: Bound,
    /// Whether the text encoders leave between prompts.
    pub(super) releases_text: bool,
    pub(super) unet: Rc<Unet>,
    pub(super) vae: Vae,
    /// For previews.
    pub(super) taesd: Option<Vae>,
    pub(super) weights: Bound,
    pub(super) scheduler: SchedulerConfig,
    pub(super) zero_empty: bool,
    pub(super) defaults: Defaults,
    pub(super) info: RefCell<ImageInfo>,
    pub(super) hold: f64,
    pub(super) name: String,
    pub(super) painter: RefCell<Option<Painter>>,
    pub(super) decoder: RefCell<Option<ImageDecoder>>,
    pub(super) preview_decoder: RefCell<Option<ImageDecoder>>,
    pub(super) encoded: RefCell<Option<(EncodedFor, [Encoded; 2])>>,
    pub(super) busy: Cell<bool>,
}

/// Prompt, negative prompt, layers left out.
pub(super) type EncodedFor = (String, Option<String>, usize);

/// Milliseconds that a submit may hold the GPU: while somebody looks, and else.
const HOLD: [f64; 2] = [60.0, 400.0];
/// Activations of the autoencoder at any moment.
pub(super) const DECODE_BUDGET: u64 = 256 << 20;

/// Frees the model for the next call, however this one ends.
struct Busy<'a>(&'a Cell<bool>);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl ImageModel {
    /// Loads a model: headers, weights, and plans for its own size, on which the driver's compiler works while the weights
    /// arrive.
    ///
    /// # Errors
    /// Every one of [`Error`]'s; the device stays usable.
    pub async fn load(
        gpu: &Rc<Gpu>,
        source: Rc<dyn ByteSource>,
        options: &ImageLoadOptions,
        loras: Vec<Lora>,
        progress: &dyn Progress,
        abort: &Abort,
    ) -> Result<Self> {
        gpu.watch_peak();
        let mut files = ImageFiles::open(&*source, options.vae).await?;
        abort.check()?;
        let adapters = Adapters::open(loras, &files.tensors).await?;
        let bytes = files.tensors.bytes();
        let quantize = options.quantize.unwrap_or(Quantize::auto(bytes));
        let tokenizers = files.text.iter_mut().map(|part| part.tokenizer.take()).collect::<Option<Vec<_>>>();
        let tokenizers = tokenizers.ok_or_else(|| Error::unsupported("there is no tokenizer"))?;
        let parts = Parts::bind(gpu, &files, quantize)?;
        let defaults = defaults(&files);
        let releases_text = match options.text_encoder {
            TextMemory::Keep => false,
            TextMemory::Release => true,
            TextMemory::Auto => match options.budget {
                Some(budget) => parts.need(gpu, &files, defaults.size)?.total() > budget,
                None => false,
            },
        };
        let Parts { text, text_weights, unet, vae, taesd, weights } = parts;
        weights.commit().await?;
        if !releases_text {
            text_weights.commit().await?;
        }
        let (weights, text_weights) = (weights.bound(), text_weights.bound());
        let text = files.text.iter().zip(tokenizers).zip(text);
        let text = text.map(|((part, tokenizer), clip)| TextEncoder::new(gpu, part, tokenizer, clip)).collect();
        let info = ImageInfo {
            architecture: if files.family.is_xl() { "stable-diffusion-xl" } else { "stable-diffusion" },
            components: files.components.clone(),
            default_size: defaults.size,
            default_steps: defaults.steps,
            default_guidance: defaults.guidance,
            default_sampler: defaults.sampler.as_ref().map_or("", |s| s.name()),
            samplers: Sampler::ALL.iter().map(|s| s.name()).collect(),
            multiple_of: defaults.multiple,
            loras: adapters.names().map(String::from).collect(),
            parameters: files.tensors.parameters(),
            quantization: files.tensors.quantization(quantize).name().to_string(),
            bytes: ImageBytes { weights: 0, scratch: 0, peak: 0 },
            tier: gpu.adapter().tier.name(),
            adapter: gpu.adapter().name.clone(),
            family: gpu.adapter().family.name(),
            choices: gpu.choices(),
        };
        let model = ImageModel {
            gpu: gpu.clone(),
            source,
            adapters,
            text,
            text_weights,
            releases_text,
            unet: Rc::new(unet),
            vae,
            taesd,
            weights,
            scheduler: files.scheduler,
            zero_empty: files.force_zeros,
            defaults,
            info: RefCell::new(info),
            hold: HOLD[usize::from(options.background)],
            name: files.name,
            painter: RefCell::default(),
            decoder: RefCell::default(),
            preview_decoder: RefCell::default(),
            encoded: RefCell::default(),
            busy: Cell::default(),
        };
        let file = files.tensors.files.first().map_or("", String::as_str);
        progress.report(Phase::Compile, 0, bytes, file);
        model.warm().await?;
        model.fill(&model.adapters.loaded(), None, progress, abort).await?;
        model.note_bytes();
        progress.report(Phase::Ready, bytes, bytes, file);
        Ok(model)
    }

    /// Whether a picture is also predicted without the prompt.
    pub(super) fn guided(&self, guidance: f32) -> bool {
        guidance > 1.0 && self.unet.config().time_cond_proj_dim.is_none()
    }

    /// What is known of it.
    pub fn info(&self) -> ImageInfo {
        self.info.borrow().clone()
    }

    /// The device it is on.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Dispatches of a denoising step, once a picture was painted.
    pub fn step_dispatches(&self) -> Option<usize> {
        self.painter.borrow().as_ref().map(Painter::dispatches)
    }

    /// Paints pictures.
    ///
    /// # Errors
    /// Whatever is wrong with the input, [`Error::Cancelled`], or what the GPU says; the model stays usable.
    pub async fn generate(
        &self,
        prompt: &str,
        options: ImageOptions,
        inputs: ImageInputs,
        around: Surroundings<'_>,
        on_step: OnStep<'_>,
        abort: &Abort,
    ) -> Result<Vec<Picture>> {
        let request = options.resolve(&self.defaults, &inputs, around.random)?;
        let [h, w] = [request.height, request.width].map(|side| side / self.vae.factor());
        let count = request.batch * self.unet.config().in_channels * h * w;
        if let Some(n) = inputs.latents.as_ref().map(Vec::len).filter(|n| *n != count) {
            return Err(Error::unsupported(format!("latents has {n} numbers; give {count} for pictures of this size")));
        }
        if self.busy.replace(true) {
            return Err(Error::unsupported("this model is painting something else; wait for it or abort it"));
        }
        let _busy = Busy(&self.busy);
        self.gpu.watch_peak();
        let began = (around.clock)();
        let o = &request.options;
        let guided = self.guided(request.guidance);
        // Where it plays no part, its length must not matter either.
        let negative = o.negative_prompt.as_deref().filter(|_| guided);
        let prompts = [Prompt::parse(negative.unwrap_or("")), Prompt::parse(prompt)];
        let scales = self.adapters.wanted(&prompts[1].loras)?;
        self.adapt(&scales, abort).await?;
        let key = (prompt.to_string(), negative.map(String::from), o.clip_skip);
        let encoded = self.encode(key, &prompts, &scales, abort).await?;
        let text_ms = (around.clock)() - began;
        abort.check()?;
        let shape = Shape {
            h,
            w,
            tokens: encoded[0].rows.len() / self.unet.config().cross_attention_dim.max(1),
            guided,
            known: inputs.mask.is_some(),
        };
        let painter = match self.painter.take().filter(|p| p.shape == shape) {
            Some(painter) => painter,
            None => Painter::new(&self.gpu, &self.unet, shape).await?,
        };
        let pictures =
            self.paint(&painter, &encoded, prompt, &request, &inputs, [began, text_ms], around, on_step, abort).await;
        self.painter.replace(Some(painter));
        self.note_bytes();
        pictures
    }

    /// Paints with a painter that is ready; `times`: when the call began, and how long the prompts took.
    #[allow(clippy::too_many_arguments)] // one call's state, used once
    async fn paint(
        &self,
        painter: &Painter,
        encoded: &[Encoded; 2],
        prompt: &str,
        request: &Request,
        inputs: &ImageInputs,
        [began, text_ms]: [f64; 2],
        around: Surroundings<'_>,
        on_step: OnStep<'_>,
        abort: &Abort,
    ) -> Result<Vec<Picture>> {
        self.prompt(painter, encoded, request);
        let moments = match &inputs.image {
            Some(rgba) => Some(self.encode_image(rgba, request, abort).await?),
            None => None,
        };
        // At full strength inpainting begins with noise alone, as in diffusers; painting over a picture does not.
        let strength = request.strength.filter(|s| !(painter.shape.known && *s == 1.0));
        let program =
            scheduler::program(&self.scheduler, request.sampler, request.steps, strength, request.options.eta)?;
        let mut pictures = Vec::new();
        for i in 0..request.batch {
            let mut job = Job { painter, request, program: &program, inputs, around, on_step, abort };
            let started = if i == 0 { began } else { (around.clock)() };
            let mut picture = job.paint(self, i, moments.as_deref()).await?;
            picture.parameters = png_parameters::text(prompt, request, i, &self.name);
            picture.timings.text_ms = if i == 0 { text_ms } else { 0.0 };
            picture.timings.total_ms = (around.clock)() - started;
            pictures.push(picture);
        }
        Ok(pictures)
    }
}

/// What the model's own files say of how it wants to be used.
pub(super) fn defaults(files: &ImageFiles) -> Defaults {
    let factor = files.vae.factor();
    let levels = files.unet.block_out_channels.len();
    let multiple = factor.max(8).min(factor << (levels - 1));
    let [height, width] =
        files.unet.sample_size.map(|side| (side * factor).clamp(multiple, MOST_SIDE) / multiple * multiple);
    let scheduler = &files.scheduler;
    let sampler = Sampler::from_config(scheduler);
    // Models that were distilled to few steps say so in nothing but their schedule; but so do some that are trained down to
    // no signal at all.
    let few = scheduler.class.starts_with("Euler")
        && scheduler.spacing == Some(Spacing::Trailing)
        && !scheduler.rescale_betas_zero_snr;
    let (steps, guidance) = match (&sampler, few) {
        (Ok(Sampler::Lcm), _) => (4, if files.unet.time_cond_proj_dim.is_some() { 8.0 } else { 1.0 }),
        (_, true) => (1, 0.0),
        _ => (20, if files.family.is_xl() { 5.0 } else { 7.5 }),
    };
    Defaults { size: [width, height], steps, guidance, sampler: sampler.map_err(|e| e.to_string()), multiple }
}
