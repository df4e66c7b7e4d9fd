//! An image model that paints.

use super::adapters::{Adapters, Lora};
use super::autoencoder::ImageDecoder;
use super::call::Call;
use super::defaults::defaults;
use super::info::{ImageBytes, ImageInfo, ImageLoadOptions, OnStep, Picture, Surroundings, TextMemory};
use super::open::ImageFiles;
use super::options::{Defaults, ImageInputs, ImageOptions};
use super::painter::{LatentShape, Painter};
use super::parts::ImageParts;
use super::scheduler::Sampler;
use super::text_encoder::{Encoded, TextEncoder};
use crate::config::diffusion::scheduler::SchedulerConfig;
use crate::gpu::{BACKGROUND_MS, Exclusive, Gpu};
use crate::load::{Abort, Bound, ByteSource, Phase, Progress, Quantize, Weights};
use crate::models::{Unet, Vae};
use crate::text::WeightedPrompt;
use crate::{Error, Result};
use std::cell::RefCell;
use std::rc::Rc;

/// An image model on the GPU.
pub struct ImageModel {
    pub(super) gpu: Rc<Gpu>,
    pub(super) source: Rc<dyn ByteSource>,
    pub(super) adapters: Adapters,
    pub(super) text: Vec<TextEncoder>,
    pub(super) text_weights: Bound,
    /// Whether the text encoders are released between prompts.
    pub(super) releases_text: bool,
    pub(super) unet: Rc<Unet>,
    pub(super) vae: Vae,
    /// The tiny autoencoder for previews.
    pub(super) taesd: Option<Vae>,
    pub(super) weights: Bound,
    pub(super) scheduler: SchedulerConfig,
    pub(super) zero_empty: bool,
    pub(super) defaults: Defaults,
    pub(super) info: RefCell<ImageInfo>,
    /// Milliseconds that a submit may hold the GPU.
    pub(super) hold_ms: f64,
    pub(super) name: String,
    pub(super) painter: RefCell<Option<Painter>>,
    pub(super) decoder: RefCell<Option<ImageDecoder>>,
    pub(super) preview_decoder: RefCell<Option<ImageDecoder>>,
    pub(super) encoded: RefCell<Option<(EncodedFor, [Encoded; 2])>>,
    /// Taken by a call for pictures: one at a time.
    calls: Exclusive<()>,
}

/// The prompt, the negative prompt, and how many layers are left out.
pub(super) type EncodedFor = (String, Option<String>, usize);

/// Milliseconds that a submit may hold the GPU in the foreground.
const HOLD_MS: f64 = 60.0;

impl ImageModel {
    /// Loads a model: headers, weights, and plans for its own size, on which the driver's compiler works while the
    /// weights arrive.
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
        let files = ImageFiles::open(&*source, options.vae).await?;
        abort.check()?;
        let adapters = Adapters::open(loras, &files.tensors).await?;
        let bytes = files.tensors.bytes();
        let file = files.tensors.files.first().cloned().unwrap_or_default();
        let model = Self::reserve(gpu, source, files, adapters, options).await?;
        progress.report(Phase::Compile, 0, bytes, &file);
        model.warm().await?;
        model.fill(&model.adapters.loaded(), None, progress, abort).await?;
        model.note_bytes();
        progress.report(Phase::Ready, bytes, bytes, &file);
        Ok(model)
    }

    /// Binds the parts of a model's files and reserves memory for their weights, which are still zeros.
    async fn reserve(
        gpu: &Rc<Gpu>,
        source: Rc<dyn ByteSource>,
        mut files: ImageFiles,
        adapters: Adapters,
        options: &ImageLoadOptions,
    ) -> Result<Self> {
        let quantize = options.quantize.unwrap_or(Quantize::auto(files.tensors.bytes()));
        let tokenizers = files.text.iter_mut().map(|part| part.tokenizer.take()).collect::<Option<Vec<_>>>();
        let tokenizers = tokenizers.ok_or_else(|| Error::unsupported("there is no tokenizer"))?;
        let parts = ImageParts::bind(gpu, &files, quantize)?;
        let defaults = defaults(&files);
        let releases_text = match (options.text_encoder, options.budget) {
            (TextMemory::Keep, _) | (TextMemory::Auto, None) => false,
            (TextMemory::Release, _) => true,
            (TextMemory::Auto, Some(budget)) => parts.need(gpu, &files, defaults.size)?.total() > budget,
        };
        let ImageParts { text, text_weights, unet, vae, taesd, weights } = parts;
        let quantization = Weights::quantization(&[&text_weights, &weights]).name().to_string();
        weights.commit().await?;
        if !releases_text {
            text_weights.commit().await?;
        }
        let (weights, text_weights) = (weights.bound(), text_weights.bound());
        let text = files.text.iter().zip(tokenizers).zip(text);
        let text = text.map(|((part, tokenizer), clip)| TextEncoder::new(gpu, part, tokenizer, clip)).collect();
        let info = info(gpu, &files, &adapters, &defaults, quantization);
        Ok(ImageModel {
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
            hold_ms: if options.background { BACKGROUND_MS } else { HOLD_MS },
            name: files.name,
            painter: RefCell::default(),
            decoder: RefCell::default(),
            preview_decoder: RefCell::default(),
            encoded: RefCell::default(),
            calls: Exclusive::new(()),
        })
    }

    /// Says whether a picture is also predicted without the prompt.
    pub(super) fn guided(&self, guidance: f32) -> bool {
        guidance > 1.0 && self.unet.config().time_cond_proj_dim.is_none()
    }

    /// Describes the model: parts, defaults, sizes, and the device.
    pub fn info(&self) -> ImageInfo {
        self.info.borrow().clone()
    }

    /// Returns the device that the model is on.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Counts the dispatches of a denoising step, once a picture was painted.
    pub fn step_dispatches(&self) -> Option<usize> {
        self.painter.borrow().as_ref().map(Painter::dispatches)
    }

    /// Paints pictures.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for wrong options or inputs, [`Error::TooLarge`], [`Error::Cancelled`], [`Error::Gpu`];
    /// the model stays usable.
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
        let Some(_call) = self.calls.take() else {
            return Err(Error::unsupported("this model is painting something else; wait for it or abort it"));
        };
        self.gpu.watch_peak();
        let began = (around.clock)();
        let o = &request.options;
        let guided = self.guided(request.guidance);
        // Where it is not used, its length must not matter either.
        let negative = o.negative_prompt.as_deref().filter(|_| guided);
        let prompts = [WeightedPrompt::parse(negative.unwrap_or("")), WeightedPrompt::parse(prompt)];
        let scales = self.adapters.wanted(&prompts[1].loras)?;
        self.adapt(&scales, abort).await?;
        let key = (prompt.to_string(), negative.map(String::from), o.clip_skip);
        let encoded = self.encode(key, &prompts, &scales, abort).await?;
        let text_ms = (around.clock)() - began;
        abort.check()?;
        let shape = LatentShape {
            h,
            w,
            tokens: encoded[0].rows.len() / self.unet.config().cross_attention_dim.max(1),
            guided,
            known: inputs.mask.is_some(),
        };
        let painter = match self.painter.take().filter(|p| p.shape == shape) {
            Some(painter) => painter,
            None => Painter::new(&self.gpu, &self.unet, shape, self.hold_ms).await?,
        };
        let call = Call { prompt, request: &request, inputs: &inputs, around, on_step, abort, began, text_ms };
        let pictures = self.paint(&painter, &encoded, call).await;
        self.painter.replace(Some(painter));
        self.note_bytes();
        pictures
    }
}

/// Describes a model before its weights are read.
fn info(gpu: &Gpu, files: &ImageFiles, adapters: &Adapters, defaults: &Defaults, quantization: String) -> ImageInfo {
    ImageInfo {
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
        quantization,
        bytes: ImageBytes { weights: 0, scratch: 0, peak: 0 },
        tier: gpu.adapter().tier.name(),
        adapter: gpu.adapter().name.clone(),
        family: gpu.adapter().family.name(),
        choices: gpu.choices(),
    }
}
