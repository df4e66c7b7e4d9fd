//! Single-file checkpoints, which keep the names of the original Stable Diffusion code: what they hold, found from the
//! names and shapes of their tensors alone, and where each tensor of the diffusers layout is in them.

mod parts;
mod tensors;
mod unet;

pub use tensors::{CheckpointKind, Take, TensorMap};

use crate::config::diffusion::clip::ClipConfig;
use crate::config::diffusion::index::PipelineFamily;
use crate::config::diffusion::scheduler::{Prediction, SchedulerConfig, Spacing};
use crate::config::diffusion::unet::UnetConfig;
use crate::config::diffusion::vae::VaeConfig;
use crate::format::TensorInfo;
use crate::{Error, Result};
use tensors::CheckpointPart;

/// Whichever parts a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointParts {
    /// Which Stable Diffusion they are of; of a VAE alone that cannot be said, and this is [`CheckpointKind::Sd1`].
    pub kind: CheckpointKind,
    /// The noise predictor.
    pub unet: Option<UnetConfig>,
    /// The autoencoder.
    pub vae: Option<VaeConfig>,
    /// Text encoders, by their names in a diffusers folder.
    pub text: Vec<(&'static str, ClipConfig)>,
    /// Names in a diffusers folder of the parts that a pipeline needs and this file lacks.
    pub missing: Vec<&'static str>,
    /// How it was trained.
    pub scheduler: SchedulerConfig,
    /// Where each tensor is.
    pub map: TensorMap,
}

/// A file that holds all parts of a pipeline.
///
/// What cannot be read off names and shapes is what Stable Diffusion has: 8 heads in SD 1, heads of 64 elements in SD
/// 2, SDXL and text encoders; 32 groups, or the largest power of two below that divides all channels; the factors of
/// the latents. Whoever knows better replaces a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Which Stable Diffusion it is.
    pub kind: CheckpointKind,
    /// The family of pipelines.
    pub family: PipelineFamily,
    /// The parts, by their names in a diffusers folder, sorted.
    pub components: Vec<String>,
    /// The noise predictor.
    pub unet: UnetConfig,
    /// The autoencoder.
    pub vae: VaeConfig,
    /// Text encoders: `text_encoder`, and for SDXL `text_encoder_2`.
    pub text: Vec<ClipConfig>,
    /// How it was trained.
    pub scheduler: SchedulerConfig,
    /// Where each tensor is.
    pub map: TensorMap,
}

/// Opens a single-file checkpoint from its tensors.
///
/// [`Error::Format`] if a part is missing or its shapes cannot be; [`Error::Missing`] if a tensor is;
/// [`Error::Unsupported`] for checkpoints of other models.
pub fn open(tensors: &[TensorInfo], file: &str) -> Result<Checkpoint> {
    open_as(tensors, file, None)
}

/// Does the same for a model that is known to predict something. Where it is not known, see [`parts`].
pub fn open_as(tensors: &[TensorInfo], file: &str, prediction: Option<Prediction>) -> Result<Checkpoint> {
    let parts = parts(tensors, file, prediction)?;
    let (Some(unet), Some(vae), []) = (parts.unet, parts.vae, &parts.missing[..]) else {
        let what =
            format!("the file has no {}: choose a checkpoint with all of its parts", parts.missing.join(" and no "));
        return Err(Error::format(file, what));
    };
    let mut components: Vec<String> = parts.text.iter().map(|(name, _)| name.to_string()).collect();
    components.insert(0, "scheduler".into());
    components.extend(["unet".into(), "vae".into()]);
    Ok(Checkpoint {
        kind: parts.kind,
        family: parts.kind.family(),
        components,
        unet,
        vae,
        text: parts.text.into_iter().map(|(_, config)| config).collect(),
        scheduler: parts.scheduler,
        map: parts.map,
    })
}

/// Tensors that only other files have, and what to say of them.
const OTHERS: [(&str, &str); 16] = [
    ("lora_unet_", "this is a LoRA: load a model and give this as its `lora`"),
    ("lora_te", "this is a LoRA: load a model and give this as its `lora`"),
    ("conditioner.embedders.0.model.", "the SDXL refiner is not supported; choose the base model"),
    ("edm_mean", "checkpoints trained by the rules of EDM are not supported; choose another"),
    ("model.diffusion_model.label_emb.weight", "upscalers are not supported; choose another checkpoint"),
    ("control_model.", "ControlNets are not supported; choose another checkpoint"),
    ("model.diffusion_model.joint_blocks.", "Stable Diffusion 3 is not supported; choose Stable Diffusion 1, 2 or XL"),
    ("joint_blocks.", "Stable Diffusion 3 is not supported; choose Stable Diffusion 1, 2 or XL"),
    ("model.diffusion_model.double_blocks.", "Flux is not supported; choose Stable Diffusion 1, 2 or XL"),
    ("double_blocks.", "Flux is not supported; choose Stable Diffusion 1, 2 or XL"),
    ("model.diffusion_model.layers.", "Z-Image is not supported; choose Stable Diffusion 1, 2 or XL"),
    ("cap_embedder.", "Z-Image is not supported; choose Stable Diffusion 1, 2 or XL"),
    ("down_blocks.", "this is one part of a diffusers folder: give the folder that has model_index.json"),
    ("encoder.down_blocks.", "this is one part of a diffusers folder: give the folder that has model_index.json"),
    ("text_model.", "this is one part of a diffusers folder: give the folder that has model_index.json"),
    ("model.layers.", "this is a language model; choose a Stable Diffusion checkpoint"),
];

/// Returns whichever parts of Stable Diffusion the tensors make.
///
/// What the model predicts: `prediction` if given, else the velocity if the file has a tensor named `v_pred`. Else SD 1
/// and XL predict the noise, and SD 2 the velocity unless the file's name has `base`, `512` or `turbo` in it: nothing
/// else tells them apart. With a tensor named `ztsnr` the noise schedule is rescaled to end in noise alone.
///
/// [`Error::Format`], [`Error::Missing`], [`Error::Unsupported`] as in [`open`], but for parts that are missing.
pub fn parts(tensors: &[TensorInfo], file: &str, prediction: Option<Prediction>) -> Result<CheckpointParts> {
    let any = |prefix: &str| tensors.iter().any(|t| t.name.starts_with(prefix));
    if let Some((_, what)) = OTHERS.iter().find(|(prefix, _)| any(prefix)) {
        return Err(Error::unsupported(format!("{file}: {what}")));
    }
    let find = |prefixes: &[&'static str], sign| CheckpointPart::find(tensors, prefixes, sign, file);
    let unet = find(&["model.diffusion_model.", ""], "input_blocks.0.0.weight");
    let vae = find(&["first_stage_model.", "vae.", ""], "decoder.conv_in.weight");
    const CLIP: [&str; 2] = ["text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight"];
    const OPEN: &str = "token_embedding.weight";
    let clip = |prefixes: &[&'static str]| CLIP.into_iter().find_map(|sign| find(prefixes, sign));
    let towers = [
        ("text_encoder", clip(&["cond_stage_model.transformer.", "conditioner.embedders.0.transformer."]), false),
        ("text_encoder", find(&["cond_stage_model.model."], OPEN), true),
        ("text_encoder_2", find(&["conditioner.embedders.1.model."], OPEN), true),
    ];
    let labelled = unet.as_ref().is_some_and(|unet| unet.has("label_emb.0.0.weight"));
    let linear = unet.as_ref().is_some_and(unet::is_linear);
    let kind = if any("conditioner.embedders.") || (labelled && towers[1].1.is_none()) {
        CheckpointKind::Sdxl
    } else if towers[1].1.is_some() || (towers[0].1.is_none() && linear) {
        CheckpointKind::Sd2
    } else {
        CheckpointKind::Sd1
    };
    if labelled && kind != CheckpointKind::Sdxl {
        let what = "models that take the embedding of a picture are not supported; choose another checkpoint";
        return Err(Error::unsupported(format!("{file}: {what}")));
    }

    let mut map = TensorMap::new();
    let mut text = Vec::new();
    for (name, tower, open) in &towers {
        if let Some(tower) = tower {
            let config =
                if *open { parts::open_clip(tower, name, kind, &mut map) } else { parts::clip(tower, &mut map) };
            text.push((*name, config?));
        }
    }
    let pooled = text.iter().find_map(|(_, config)| config.projection_dim);
    let unet = unet.map(|unet| unet::read(&unet, kind, pooled, &mut map)).transpose()?;
    let vae = vae.map(|vae| parts::vae(&vae, kind, &mut map)).transpose()?;
    let mut missing: Vec<&str> = Vec::new();
    missing.extend(unet.is_none().then_some("unet"));
    missing.extend(vae.is_none().then_some("vae"));
    let wanted: &[&str] =
        if kind == CheckpointKind::Sdxl { &["text_encoder", "text_encoder_2"] } else { &["text_encoder"] };
    missing.extend(wanted.iter().filter(|wanted| !text.iter().any(|(name, _)| name == *wanted)));
    if missing.len() == wanted.len() + 2 {
        let what = "nothing of Stable Diffusion is in it; choose a checkpoint of Stable Diffusion 1, 2 or XL";
        return Err(Error::unsupported(format!("{file}: {what}")));
    }
    let named = |words: &[&str]| words.iter().any(|word| file.to_ascii_lowercase().contains(word));
    let guess = match kind {
        _ if any("v_pred") => Prediction::V,
        CheckpointKind::Sd2 if !named(&["base", "512", "turbo"]) => Prediction::V,
        _ => Prediction::Epsilon,
    };
    let scheduler = scheduler(kind, prediction.unwrap_or(guess), any("ztsnr"), named(&["turbo"]));
    let unet = unet.map(|unet| UnetConfig { sample_size: [sample_size(kind, &scheduler); 2], ..unet });
    Ok(CheckpointParts { kind, unet, vae: vae.map(VaeConfig::Kl), text, missing, scheduler, map })
}

/// Returns the samplers that diffusers chooses for each kind.
fn scheduler(kind: CheckpointKind, prediction: Prediction, ends_in_noise: bool, turbo: bool) -> SchedulerConfig {
    let class = match kind {
        _ if turbo => "EulerDiscreteScheduler",
        CheckpointKind::Sd1 if ends_in_noise => "DDIMScheduler",
        CheckpointKind::Sd1 => "PNDMScheduler",
        CheckpointKind::Sd2 => "DDIMScheduler",
        CheckpointKind::Sdxl => "EulerDiscreteScheduler",
    };
    // What only few steps are taken of, or what ends in noise alone, has to begin at the last timestep.
    // Of the others' folders only that of SDXL says where to begin: samplers have ways of their own.
    let spacing = match kind {
        _ if turbo || ends_in_noise => Some(Spacing::Trailing),
        CheckpointKind::Sdxl => Some(Spacing::Leading),
        _ => None,
    };
    SchedulerConfig { rescale_betas_zero_snr: ends_in_noise, spacing, ..SchedulerConfig::trained(class, prediction) }
}

/// Returns the side of the latents that each kind was trained on.
fn sample_size(kind: CheckpointKind, scheduler: &SchedulerConfig) -> usize {
    match (kind, scheduler.prediction) {
        (CheckpointKind::Sdxl, _) => 128,
        (CheckpointKind::Sd2, Prediction::V) => 96,
        _ => 64,
    }
}
