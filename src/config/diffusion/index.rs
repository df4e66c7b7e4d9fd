//! `model_index.json` of diffusers: which pipeline a folder holds, and of which parts.

use super::settings::Settings;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Families of pipelines; text, a picture or a part of one to start from make no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineFamily {
    /// Stable Diffusion 1 and 2 and what was made of them.
    Sd,
    /// Stable Diffusion XL: two text encoders, sizes and pooled text beside the time.
    Sdxl,
}

impl PipelineFamily {
    /// Returns whether it is [`PipelineFamily::Sdxl`].
    pub fn is_xl(self) -> bool {
        self == PipelineFamily::Sdxl
    }
}

/// The index of a folder: its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineIndex {
    /// Its class, such as `StableDiffusionPipeline`.
    pub class: String,
    /// The kind of that class.
    pub family: PipelineFamily,
    /// The model's name, where the file tells it; else empty.
    pub name: String,
    /// Parts, by folder, with their classes. Those that are null are left out.
    pub components: BTreeMap<String, String>,
    /// Whether a negative prompt that is absent or empty stands for zeros instead of the encoded empty text.
    pub force_zeros_for_empty_prompt: bool,
}

/// Pipelines whose models can be painted with.
const PIPELINES: [(&str, PipelineFamily); 8] = [
    ("StableDiffusionPipeline", PipelineFamily::Sd),
    ("StableDiffusionImg2ImgPipeline", PipelineFamily::Sd),
    ("StableDiffusionInpaintPipeline", PipelineFamily::Sd),
    ("LatentConsistencyModelPipeline", PipelineFamily::Sd),
    ("LatentConsistencyModelImg2ImgPipeline", PipelineFamily::Sd),
    ("StableDiffusionXLPipeline", PipelineFamily::Sdxl),
    ("StableDiffusionXLImg2ImgPipeline", PipelineFamily::Sdxl),
    ("StableDiffusionXLInpaintPipeline", PipelineFamily::Sdxl),
];

/// Parts that a pipeline needs, with the classes that there are; none: any. The last two are for
/// [`PipelineFamily::Sdxl`].
const PARTS: [(&str, &[&str]); 7] = [
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL", "AutoencoderTiny"]),
    ("text_encoder", &["CLIPTextModel", "CLIPTextModelWithProjection"]),
    ("tokenizer", &[]),
    ("scheduler", &[]),
    ("text_encoder_2", &["CLIPTextModelWithProjection"]),
    ("tokenizer_2", &[]),
];

/// Entries of the file besides its parts.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Index {
    #[serde(rename = "_class_name")]
    class: Option<String>,
    #[serde(rename = "_name_or_path")]
    name: String,
    #[serde(rename = "force_zeros_for_empty_prompt")]
    zeros: Option<bool>,
}

impl PipelineIndex {
    /// Reads the text of `model_index.json`; `file` names it in errors.
    ///
    /// [`Error::Unsupported`] for other pipelines and for parts of other classes; [`Error::Format`] for what is no such
    /// file and where a part is missing.
    pub fn parse(text: &[u8], file: &str) -> Result<Self> {
        let settings = Settings::parse(text, file)?;
        let Index { class: Some(class), name, zeros } = settings.read()? else {
            return Err(Error::format(file, "`_class_name` is not there: this is not a pipeline's model_index.json"));
        };
        let Some(&(_, family)) = PIPELINES.iter().find(|(name, _)| *name == class) else {
            let known: Vec<_> = PIPELINES.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(Error::unsupported(format!("{file}: `{class}` is not supported; choose one of {known}")));
        };
        // Each is a library and a class.
        let mut components = BTreeMap::new();
        for (part, class) in settings.pairs() {
            components.insert(part.to_string(), class);
        }
        let parts = if family.is_xl() { &PARTS[..] } else { &PARTS[..5] };
        for (part, classes) in parts {
            let Some(class) = components.get(*part) else {
                let what = format!("the pipeline has no `{part}`: choose a repository with all of its parts");
                return Err(Error::format(file, what));
            };
            if !classes.is_empty() && !classes.contains(&class.as_str()) {
                let known = classes.join(" or ");
                let what =
                    format!("{file}: `{part}` is a {class}, which is not supported; choose a model with {known}");
                return Err(Error::unsupported(what));
            }
        }
        let force_zeros_for_empty_prompt = family.is_xl() && zeros.unwrap_or(true);
        Ok(PipelineIndex { class, family, name, components, force_zeros_for_empty_prompt })
    }
}
