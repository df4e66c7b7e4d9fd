//! Opening an image model's files: a folder as diffusers writes it, or a single-file checkpoint.

use crate::config::diffusion::clip::ClipConfig;
use crate::config::diffusion::index::{PipelineFamily, PipelineIndex};
use crate::config::diffusion::ldm::{self, Take};
use crate::config::diffusion::names::canonical;
use crate::config::diffusion::scheduler::SchedulerConfig;
use crate::config::diffusion::unet::UnetConfig;
use crate::config::diffusion::vae::VaeConfig;
use crate::format::TensorInfo;
use crate::format::safetensors::{SafeTensors, ShardIndex};
use crate::load::{ByteSource, RowOrder, Stored, Tensors, header, is_gguf, small};
use crate::text::ClipTokenizer;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A text encoder of an image model.
pub struct TextPart {
    /// The first part of its tensors' names.
    pub name: String,
    /// Its configuration.
    pub config: ClipConfig,
    /// Its tokenizer, until it is taken.
    pub tokenizer: Option<ClipTokenizer>,
    /// Whether the states before its last layer are used, without the last norm.
    pub penultimate: bool,
}

/// Which autoencoder makes the finished picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Autoencoder {
    /// The model's own; a tiny one that lies beside it is loaded for previews.
    #[default]
    Auto,
    /// The model's own, and no other is loaded.
    Full,
    /// The tiny one (TAESD), and no other is loaded.
    Tiny,
}

/// The headers of an image model's files, read and checked. No weight is read yet.
pub struct ImageFiles {
    /// The kind of pipeline.
    pub family: PipelineFamily,
    /// Its name, if it has one.
    pub name: String,
    /// The parts that were found.
    pub components: Vec<String>,
    /// Tensors by the name they have in a diffusers folder, after the part's: `unet.conv_in.weight`.
    pub tensors: Tensors,
    /// Text encoders, in the order in which their states lie side by side.
    pub text: Vec<TextPart>,
    /// The noise predictor's configuration.
    pub unet: UnetConfig,
    /// The autoencoder's configuration; its tensors' names begin with `vae.`.
    pub vae: VaeConfig,
    /// That of a tiny autoencoder for previews; its tensors' names begin with `taesd.`.
    pub taesd: Option<VaeConfig>,
    /// The noise schedule that the model was trained with, and the sampler that its authors chose.
    pub scheduler: SchedulerConfig,
    /// Whether a missing negative prompt stands for zeros.
    pub force_zeros: bool,
}

const INDEX: &str = "model_index.json";
/// Numbers that SDXL models read of a picture's sizes: its original height and width, where it was cropped, and its
/// height and width now.
const SIZES: usize = 6;
/// Parts of a folder that are loaded if they are there; others, such as a safety checker, are not.
const LOADED: [&str; 7] = ["scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"];
const TEXT: [(&str, &str); 2] = [("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")];

/// Reads a part's configuration; returns also its name.
async fn config(source: &dyn ByteSource, part: &str, file: &str) -> Result<(Vec<u8>, String)> {
    let name = format!("{part}/{file}");
    match small(source, &name).await? {
        Some(text) => Ok((text, name)),
        None => Err(Error::format(&name, "the folder lacks this file; download the model again")),
    }
}

/// Says whether this is an image model's folder or checkpoint, rather than a language model's.
///
/// # Errors
/// Those of reading.
pub async fn is_image_model(source: &dyn ByteSource) -> Result<bool> {
    let names = source.names();
    if names.iter().any(|n| n == INDEX) {
        return Ok(true);
    }
    // A GGUF file is complete: no other file needs to be looked for.
    if names.iter().any(|n| is_gguf(n)) {
        return Ok(false);
    }
    if source.size(INDEX).await?.is_some() {
        return Ok(true);
    }
    let weights = names.iter().filter(|n| n.ends_with(".safetensors")).count();
    Ok(weights == 1 && source.size("config.json").await?.is_none())
}

/// Opens the tokenizer in a folder. `pad`: the token that it pads with if no file names one.
async fn tokenizer(source: &dyn ByteSource, folder: &str, pad: Option<&str>) -> Result<Option<ClipTokenizer>> {
    let file = |name: &str| if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
    let settings = small(source, &file("tokenizer_config.json")).await?;
    let mut special = small(source, &file("special_tokens_map.json")).await?;
    if let (Some(pad), None, None) = (pad, &settings, &special) {
        special = Some(serde_json::json!({"pad_token": pad}).to_string().into_bytes());
    }
    let (vocab, merges) = (small(source, &file("vocab.json")).await?, small(source, &file("merges.txt")).await?);
    if let (Some(vocab), Some(merges)) = (vocab, merges) {
        return ClipTokenizer::from_files(&vocab, &merges, settings.as_deref(), special.as_deref()).map(Some);
    }
    match small(source, &file("tokenizer.json")).await? {
        Some(text) => ClipTokenizer::from_json(&text, settings.as_deref(), special.as_deref()).map(Some),
        None => Ok(None),
    }
}

impl ImageFiles {
    /// Opens a diffusers folder (`model_index.json`) or a single-file checkpoint, and with it the autoencoders that are
    /// wanted.
    ///
    /// # Errors
    /// Those of reading, and whatever is wrong with the headers: [`Error::Format`], [`Error::Unsupported`].
    pub async fn open(source: &dyn ByteSource, autoencoder: Autoencoder) -> Result<Self> {
        let mut files = match small(source, INDEX).await? {
            Some(text) => Self::open_folder(source, PipelineIndex::parse(&text, INDEX)?).await?,
            None => Self::open_checkpoint(source).await?,
        };
        files.check()?;
        files.add_tiny(source, autoencoder).await?;
        Ok(files)
    }

    /// Checks that the parts fit each other: one's result is the next one's input.
    fn check(&self) -> Result<()> {
        let (unet, vae) = (&self.unet, &self.vae);
        let latents = vae.latent_channels();
        if [unet.in_channels, unet.out_channels] != [latents; 2] {
            return Err(Error::unsupported(format!(
                "the UNet takes {} channels and makes {} where the autoencoder has {latents}: models made for one task alone, \
                 such as inpainting, are not supported; choose the ordinary one, which can do it, too",
                unet.in_channels, unet.out_channels
            )));
        }
        if vae.picture_channels() != [3; 2] {
            return Err(Error::unsupported(
                "the autoencoder is not for pictures in red, green and blue; choose another",
            ));
        }
        let width: usize = self.text.iter().map(|t| t.config.dim).sum();
        if width != unet.cross_attention_dim {
            return Err(Error::unsupported(format!(
                "the text encoders make {width} numbers a token where the UNet takes {}: they are not of the same model",
                unet.cross_attention_dim
            )));
        }
        if let Some(added) = &unet.addition {
            let pooled = self.text.iter().rev().find_map(|t| t.config.projection_dim).unwrap_or(0);
            let made = pooled + SIZES * added.time_embed_dim;
            if pooled == 0 || made != added.projection_input {
                return Err(Error::unsupported(format!(
                    "the text encoders' pooled text and the sizes are {made} numbers where the UNet takes {}: they are not of \
                     the same model",
                    added.projection_input
                )));
            }
        }
        Ok(())
    }

    /// Opens the tiny autoencoder, which has a folder of its own beside the model's parts, if it is wanted.
    async fn add_tiny(&mut self, source: &dyn ByteSource, wanted: Autoencoder) -> Result<()> {
        let folder = if self.family.is_xl() { "taesdxl" } else { "taesd" };
        let file = format!("{folder}/config.json");
        let there = || source.names().contains(&file);
        let own = matches!(self.vae, VaeConfig::Tiny(_));
        if own || wanted == Autoencoder::Full || (wanted == Autoencoder::Auto && !there()) {
            return Ok(());
        }
        let Some(json) = small(source, &file).await? else {
            return Err(Error::format(
                file,
                "there is no tiny autoencoder beside the model: add this file and diffusion_pytorch_model.safetensors, or \
                 load with vae: \"full\"",
            ));
        };
        let config = VaeConfig::from_json(&json, &file)?;
        if config.latent_channels() != self.vae.latent_channels() || config.factor() != self.vae.factor() {
            return Err(Error::unsupported(format!(
                "{file} is of another kind of model; choose the one for this model"
            )));
        }
        if wanted == Autoencoder::Tiny {
            self.tensors.by_name.retain(|name, _| !name.starts_with("vae."));
            add(&mut self.tensors, source, folder, "vae", "diffusion_pytorch_model").await?;
            self.vae = config;
        } else {
            add(&mut self.tensors, source, folder, "taesd", "diffusion_pytorch_model").await?;
            self.taesd = Some(config);
        }
        self.components.push(folder.to_string());
        Ok(())
    }

    /// Opens a folder as diffusers writes it.
    async fn open_folder(source: &dyn ByteSource, index: PipelineIndex) -> Result<Self> {
        let mut tensors = Tensors::default();
        let mut text = Vec::new();
        for (part, folder) in TEXT.into_iter().filter(|(part, _)| index.components.contains_key(*part)) {
            let (json, file) = config(source, part, "config.json").await?;
            let mut tokenizer = tokenizer(source, folder, None).await?.ok_or_else(|| {
                Error::format(format!("{folder}/vocab.json"), "the folder lacks this file and merges.txt; add them")
            })?;
            let config = ClipConfig::from_json(&json, &file)?;
            tokenizer.limit(config.positions);
            add(&mut tensors, source, part, part, "model").await?;
            let penultimate = index.family.is_xl();
            text.push(TextPart { name: part.to_string(), config, tokenizer: Some(tokenizer), penultimate });
        }
        if text.is_empty() {
            return Err(Error::unsupported(
                "this model has no text encoder; image models without one are not supported",
            ));
        }
        let (json, file) = config(source, "unet", "config.json").await?;
        let unet = UnetConfig::from_json(&json, &file)?;
        add(&mut tensors, source, "unet", "unet", "diffusion_pytorch_model").await?;
        let (json, file) = config(source, "vae", "config.json").await?;
        let mut vae = VaeConfig::from_json(&json, &file)?;
        if let VaeConfig::Kl(kl) = &mut vae {
            // The pipelines of Stable Diffusion ignore a shift.
            kl.shift_factor = 0.0;
        }
        add(&mut tensors, source, "vae", "vae", "diffusion_pytorch_model").await?;
        let (json, file) = config(source, "scheduler", "scheduler_config.json").await?;
        let mut scheduler = SchedulerConfig::from_json(&json, &file)?;
        scheduler.consistency = index.class.starts_with("LatentConsistencyModel");
        Ok(ImageFiles {
            family: index.family,
            name: index.name.clone(),
            components: index.components.keys().filter(|part| LOADED.contains(&part.as_str())).cloned().collect(),
            tensors,
            text,
            unet,
            vae,
            taesd: None,
            scheduler,
            force_zeros: index.force_zeros_for_empty_prompt,
        })
    }

    /// Opens a single-file checkpoint.
    async fn open_checkpoint(source: &dyn ByteSource) -> Result<Self> {
        let names = source.names();
        let file = names.iter().find(|n| n.ends_with(".safetensors")).ok_or_else(|| {
            let found = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
            Error::unsupported(format!(
                "neither a folder with {INDEX} nor a .safetensors checkpoint ({found} found); give one of them"
            ))
        })?;
        let stored = header(source, file, SafeTensors::parse).await?.tensors;
        let checkpoint = ldm::open(&stored, file)?;
        let mut tensors = Tensors { files: vec![file.clone()], ..Tensors::default() };
        let by_name: BTreeMap<&str, &TensorInfo> = stored.iter().map(|t| (t.name.as_str(), t)).collect();
        for (name, (from, take)) in checkpoint.map {
            let Some(info) = by_name.get(from.as_str()) else { continue };
            tensors.by_name.insert(name, taken(info, take));
        }
        let mut text = Vec::new();
        for (i, config) in checkpoint.text.into_iter().enumerate() {
            let (name, folder) = TEXT[i.min(1)];
            // OpenCLIP's pads with its first token, which then is special wherever it stands.
            let pad = (config.pad == Some(0)).then_some("!");
            let mut found = None;
            for folder in [folder, "tokenizer", ""] {
                found = match found {
                    None => tokenizer(source, folder, pad).await?,
                    some => some,
                };
            }
            let mut tokenizer = found.ok_or_else(|| {
                Error::unsupported(
                    "a single-file checkpoint has no tokenizer in it: give CLIP's vocab.json and merges.txt beside it",
                )
            })?;
            tokenizer.limit(config.positions);
            if let Some(pad) = config.pad {
                tokenizer.set_pad(pad);
            }
            let penultimate = checkpoint.family.is_xl();
            text.push(TextPart { name: name.into(), config, tokenizer: Some(tokenizer), penultimate });
        }
        let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".safetensors");
        Ok(ImageFiles {
            family: checkpoint.family,
            name: stem.to_string(),
            components: checkpoint.components,
            tensors,
            text,
            unet: checkpoint.unet,
            vae: checkpoint.vae,
            taesd: None,
            scheduler: checkpoint.scheduler,
            force_zeros: checkpoint.family.is_xl(),
        })
    }
}

/// Adds the tensors of `folder/stem[.fp16].safetensors`, or of its shards, as those of `part`.
async fn add(tensors: &mut Tensors, source: &dyn ByteSource, folder: &str, part: &str, stem: &str) -> Result<()> {
    let mut files = Vec::new();
    for variant in [".fp16", ""] {
        let single = format!("{folder}/{stem}{variant}.safetensors");
        if source.size(&single).await?.is_some() {
            files.push(single);
            break;
        }
        let index = format!("{folder}/{stem}.safetensors.index{variant}.json");
        if let Some(text) = small(source, &index).await? {
            let shards = ShardIndex::parse(&text, &index)?;
            files.extend(shards.files().into_iter().map(|f| format!("{folder}/{f}")));
            break;
        }
    }
    if files.is_empty() {
        let name = format!("{folder}/{stem}.safetensors");
        return Err(Error::format(name, "the folder lacks this file; choose a copy of the model with safetensors"));
    }
    for file in files {
        let stored = header(source, &file, SafeTensors::parse).await?.tensors;
        let number = tensors.files.len();
        tensors.files.push(file);
        for info in stored {
            if let Some(name) = canonical(part, &info.name) {
                tensors.by_name.insert(name, Stored { file: number, info, order: RowOrder::AsStored });
            }
        }
    }
    Ok(())
}

/// Takes a part of a stored tensor.
fn taken(info: &TensorInfo, take: Take) -> Stored {
    let mut info = info.clone();
    let order = if matches!(take, Take::Transposed) { RowOrder::Transposed } else { RowOrder::AsStored };
    match take {
        Take::Whole => {}
        Take::Rows { first, count } => {
            let row = info.bytes / info.shape.first().copied().unwrap_or(1).max(1) as u64;
            info.offset += first as u64 * row;
            info.bytes = count as u64 * row;
            info.shape[0] = count;
        }
        Take::Transposed => info.shape.reverse(),
    }
    Stored { file: 0, info, order }
}
