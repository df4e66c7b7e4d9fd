//! `model_index.json` of diffusers: which pipeline a folder holds, and of which parts.

use super::fields::{Fields, Value};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// What pipelines have in common, whether they start from text, a picture or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Stable Diffusion 1 and 2 and what was made of them.
    Sd,
    /// Stable Diffusion XL: two text encoders, sizes and pooled text beside the time.
    Sdxl,
}

impl Family {
    /// Whether it is [`Family::Sdxl`].
    pub fn is_xl(self) -> bool {
        self == Family::Sdxl
    }
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineIndex {
    /// Its class, such as `StableDiffusionPipeline`.
    pub class: String,
    /// The kind of that class.
    pub family: Family,
    /// The model's name, where the file tells it; else empty.
    pub name: String,
    /// Parts, by folder, with their classes. Those that are null are left out.
    pub components: BTreeMap<String, String>,
    /// Whether a negative prompt that is absent or empty stands for zeros instead of the encoded empty text.
    pub force_zeros_for_empty_prompt: bool,
}

/// Pipelines whose models can be painted with.
const PIPELINES: [(&str, Family); 8] = [
    ("StableDiffusionPipeline", Family::Sd),
    ("StableDiffusionImg2ImgPipeline", Family::Sd),
    ("StableDiffusionInpaintPipeline", Family::Sd),
    ("LatentConsistencyModelPipeline", Family::Sd),
    ("LatentConsistencyModelImg2ImgPipeline", Family::Sd),
    ("StableDiffusionXLPipeline", Family::Sdxl),
    ("StableDiffusionXLImg2ImgPipeline", Family::Sdxl),
    ("StableDiffusionXLInpaintPipeline", Family::Sdxl),
];

/// Parts that a pipeline needs, with the classes that there are; none: any. The last two are for [`Family::Sdxl`].
const PARTS: [(&str, &[&str]); 7] = [
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL", "AutoencoderTiny"]),
    ("text_encoder", &["CLIPTextModel", "CLIPTextModelWithProjection"]),
    ("tokenizer", &[]),
    ("scheduler", &[]),
    ("text_encoder_2", &["CLIPTextModelWithProjection"]),
    ("tokenizer_2", &[]),
];

impl PipelineIndex {
    /// From the text of `model_index.json`; `file` names it in errors.
    ///
    /// [`Error::Unsupported`] for other pipelines and for parts of other classes; [`Error::Format`] for what is no such
    /// file and where a part is missing.
    pub fn parse(text: &[u8], file: &str) -> Result<Self> {
        let f = Fields::parse(text, file)?;
        let Some(class) = f.text("_class_name")? else {
            return Err(Error::format(file, "`_class_name` is not there: this is not a pipeline's model_index.json"));
        };
        let Some(&(_, family)) = PIPELINES.iter().find(|(name, _)| *name == class) else {
            let known: Vec<_> = PIPELINES.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(Error::unsupported(format!("{file}: `{class}` is not supported; choose one of {known}")));
        };
        let mut components = BTreeMap::new();
        for (part, value) in f.entries() {
            // A library and a class.
            if let Value::List(list) = value
                && let [Value::Text(_), Value::Text(class)] = &list[..]
            {
                components.insert(part.to_string(), class.clone());
            } else {
                // Of a part that comes twice the last counts.
                components.remove(part);
            }
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
        let zeros = f.flag("force_zeros_for_empty_prompt")?.unwrap_or(true);
        Ok(PipelineIndex {
            class: class.to_string(),
            family,
            name: f.text("_name_or_path")?.unwrap_or_default().to_string(),
            force_zeros_for_empty_prompt: family.is_xl() && zeros,
            components,
        })
    }
}
