//! LoRA files: which weights of a model they change, whichever way their names are spelled.
//!
//! Three spellings are in use. That of kohya's scripts joins the parts of a name by underscores
//! (`lora_unet_down_blocks_0_...to_q.lora_down.weight`), and for SDXL takes the names of the original code
//! (`lora_unet_input_blocks_4_1_...`). PEFT and diffusers keep dots (`unet.down_blocks.0...to_q.lora_A.weight`), and
//! older diffusers say `...attn1.processor.to_q_lora.down.weight`. So names are compared with dots and underscores
//! alike.

use super::names::Table;
use super::settings::Settings;
use crate::format::TensorInfo;
use crate::format::safetensors::SafeTensors;
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// Two matrices whose product is added to a weight, times `alpha / rank`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraPair {
    /// The weight's name in the model: `unet.conv_in.weight`.
    pub target: String,
    /// The tensor [rank, I], or [rank, I, side, side] for a convolution.
    pub down: String,
    /// The tensor [O, rank], or [O, rank, 1, 1].
    pub up: String,
    /// The tensor that holds alpha.
    pub alpha: Option<String>,
    /// Alpha, where the file's metadata tell it. With neither it is the rank.
    pub alpha_value: Option<f32>,
}

/// The changes in a LoRA file.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraPairs {
    /// Each weight once, sorted.
    pub pairs: Vec<LoraPair>,
    /// Tensors for weights that the model has not, in the order of the file.
    pub unmatched: Vec<String>,
}

/// The role of a tensor in its pair.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Down,
    Up,
    Alpha,
}

/// Ends of tensors' names. Longer ones stand before those that they end in.
const ROLES: [(&str, Role); 11] = [
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".alpha", Role::Alpha),
];

/// Words that only tensors of other kinds of adapters have in their names (`$` is the end), and these kinds.
const OTHERS: [(&str, &str); 15] = [
    (".hada_", "a LoHa"),
    (".lokr_", "a LoKr"),
    (".dora_scale", "a DoRA"),
    (".lora_magnitude_vector", "a DoRA"),
    (".oft_", "an OFT"),
    (".boft_", "a BOFT"),
    (".on_input", "an IA3"),
    (".lora_mid", "a LoCon with a third matrix"),
    (".lora_t", "a LoCon with a third matrix"),
    (".lora_B.bias", "a LoRA with biases"),
    (".diff$", "an adapter with whole differences"),
    (".diff_b$", "an adapter with whole differences"),
    (".w_norm", "an adapter with whole norms"),
    (".b1.weight", "a GLoRA"),
    (".set_weight", "an adapter with whole weights"),
];

/// Beginnings of names, and the parts of the model that they stand for.
const PARTS: [(&str, &str); 11] = [
    ("lora_unet_", "unet"),
    ("lora_te_", "text_encoder"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("unet.", "unet"),
    ("text_encoder.", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("diffusion_model.", "unet"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("", "unet"),
];

/// A pair while it is put together.
#[derive(Default)]
struct Draft<'a> {
    down: Option<&'a TensorInfo>,
    up: Option<&'a TensorInfo>,
    alpha: Option<&'a TensorInfo>,
}

impl LoraPairs {
    /// Finds the pairs in the header of a LoRA file, called `name` in errors, for a model whose weights have the names
    /// `model`.
    ///
    /// [`Error::Unsupported`] for other kinds of adapters, and if nothing in the file fits the model; [`Error::Format`]
    /// for pairs that lack a half, and [`Error::Shape`] for halves that do not fit each other.
    pub fn parse<'m>(header: &SafeTensors, model: impl Iterator<Item = &'m str>, name: &str) -> Result<Self> {
        let targets = targets(model);
        let alphas = metadata(&header.metadata, name)?;
        let mut drafts: BTreeMap<&str, Draft<'_>> = BTreeMap::new();
        let mut unmatched = Vec::new();
        // A half or an alpha that was passed over would leave another LoRA, or one of another strength.
        if let Some((key, dtype)) = header.others.iter().find(|(key, _)| role(&plain(key)).is_some()) {
            let what = format!("{name}: `{key}` is stored as {dtype}, which is not supported");
            return Err(Error::unsupported(format!("{what}; choose a LoRA in F16, BF16 or F32")));
        }
        for tensor in &header.tensors {
            let key = tensor.name.as_str();
            let plain = plain(key);
            let ended = format!("{plain}$");
            if let Some((_, kind)) = OTHERS.iter().find(|(sign, _)| ended.contains(sign)) {
                return Err(Error::unsupported(format!("{name} is {kind}, which is not supported; choose a LoRA")));
            }
            let Some((role, target)) = role(&plain).and_then(|(stem, role)| Some((role, find(&targets, stem)?))) else {
                unmatched.push(tensor.name.clone());
                continue;
            };
            let draft = drafts.entry(target).or_default();
            let half = match role {
                Role::Down => &mut draft.down,
                Role::Up => &mut draft.up,
                Role::Alpha => &mut draft.alpha,
            };
            if let Some(other) = half.replace(tensor) {
                let what = format!("`{}` and `{key}` are for the same weight: the file is damaged", other.name);
                return Err(Error::format(name, what));
            }
        }
        if drafts.is_empty() {
            let what = "nothing in it fits this model: choose a LoRA that was made for it, or its base model";
            return Err(Error::unsupported(format!("{name}: {what}")));
        }
        let pairs =
            drafts.into_iter().map(|(target, draft)| draft.pair(target, &alphas, name)).collect::<Result<_>>()?;
        Ok(LoraPairs { pairs, unmatched })
    }
}

/// Strips the name of PEFT's adapter from a tensor's.
fn plain(key: &str) -> String {
    key.replace(".default", "")
}

/// Finds a tensor's role and layer by its plain name.
fn role(plain: &str) -> Option<(&str, Role)> {
    ROLES.iter().find_map(|(end, role)| Some((plain.strip_suffix(end)?, *role)))
}

impl Draft<'_> {
    fn pair(self, target: &str, alphas: &BTreeMap<&str, Rank>, name: &str) -> Result<LoraPair> {
        let (Some(down), Some(up)) = (self.down, self.up) else {
            return Err(Error::format(name, format!("`{target}` has half a pair: the file is incomplete")));
        };
        let rank = down.shape.first().copied().unwrap_or(0);
        if rank == 0 || down.shape.len() < 2 || up.shape.get(1) != Some(&rank) || up.shape[2..].iter().any(|n| *n != 1)
        {
            let want = vec![up.shape.first().copied().unwrap_or(0), rank];
            return Err(Error::Shape { tensor: up.name.clone(), want, got: up.shape.clone() });
        }
        let told = alphas.iter().find_map(|(part, rank)| target.strip_prefix(part)?.starts_with('.').then_some(rank));
        Ok(LoraPair {
            target: target.to_string(),
            down: down.name.clone(),
            up: up.name.clone(),
            alpha: self.alpha.map(|alpha| alpha.name.clone()),
            // With a stabilised rank alpha is divided by its root.
            alpha_value: told.map(|told| if told.stable { told.alpha * (rank as f32).sqrt() } else { told.alpha }),
        })
    }
}

/// Returns the model's weights by all the names that they go by, dots as underscores: that of diffusers, the original
/// one, and without what some leave out.
fn targets<'m>(model: impl Iterator<Item = &'m str>) -> HashMap<String, &'m str> {
    let mut targets = HashMap::new();
    let names: Vec<&str> = model.filter(|name| name.ends_with(".weight")).collect();
    let layers = |way: &str, block: &str| {
        let prefix = format!("unet.{way}_blocks.{block}.resnets.");
        names.iter().filter(|n| n.strip_prefix(&prefix).is_some_and(|rest| rest.ends_with(".conv1.weight"))).count()
    };
    // How many original blocks there are before each block of diffusers.
    let mut before: BTreeMap<String, usize> = BTreeMap::new();
    for (way, extra) in [("down", 1), ("up", 0)] {
        let mut sum = extra;
        for i in 0.. {
            let block = i.to_string();
            let n = layers(way, &block);
            if n == 0 {
                break;
            }
            before.insert(format!("{way}_blocks.{block}"), sum);
            sum += n + extra;
        }
    }
    for &name in &names {
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        targets.insert(flat(stem), name);
        if let Some(original) = stem.strip_prefix("unet.").and_then(|stem| original(stem, &before, &names)) {
            targets.insert(format!("unet_{}", flat(&original)), name);
        }
        for short in [stem.replacen(".text_model.", ".", 1), stem.replacen(".to_out.0", ".to_out", 1)] {
            targets.insert(flat(&short), name);
        }
        // Diffusers before 0.18 named the projections of text encoders as it does those of UNets.
        if let Some((attention, projection @ ("q_proj" | "k_proj" | "v_proj" | "out_proj"))) = stem.rsplit_once('.') {
            targets.insert(flat(&format!("{attention}.to_{}", projection.trim_end_matches("_proj"))), name);
        }
    }
    targets
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}

/// Returns the original name of a UNet's layer. Blocks are numbered through; there is one more for each downsampler.
fn original(stem: &str, before: &BTreeMap<String, usize>, names: &[&str]) -> Option<String> {
    if let Some(once) = Table::Once.original(stem) {
        return Some(once.to_string());
    }
    let (way, rest) = stem.split_once('.')?;
    let within = |kind: &str, rest: &str| match kind {
        "resnets" => Table::Resnet.original(rest).map(str::to_string),
        _ => Some(rest.to_string()),
    };
    if way == "mid_block" {
        let (kind, rest) = rest.split_once('.')?;
        let (j, rest) = rest.split_once('.')?;
        let at = if kind == "attentions" { "1" } else { ["0", "2"][usize::from(j != "0")] };
        return Some(format!("middle_block.{at}.{}", within(kind, rest)?));
    }
    let (block, rest) = rest.split_once('.')?;
    let (kind, rest) = rest.split_once('.')?;
    let (j, rest) = rest.split_once('.')?;
    let first = *before.get(&format!("{way}.{block}"))?;
    let at = first + j.parse::<usize>().ok()?;
    let has = |kind: &str| names.iter().any(|n| n.starts_with(&format!("unet.{way}.{block}.{kind}.")));
    let next = |way: &str| before.get(&format!("{way}.{}", block.parse::<usize>().ok()? + 1)).copied();
    match (way, kind) {
        ("down_blocks", "downsamplers") => Some(format!("input_blocks.{}.0.op", next(way)? - 1)),
        ("up_blocks", "upsamplers") => {
            Some(format!("output_blocks.{}.{}.conv", next(way)? - 1, 1 + usize::from(has("attentions"))))
        }
        ("down_blocks", _) => {
            Some(format!("input_blocks.{at}.{}.{}", usize::from(kind == "attentions"), within(kind, rest)?))
        }
        ("up_blocks", _) => {
            Some(format!("output_blocks.{at}.{}.{}", usize::from(kind == "attentions"), within(kind, rest)?))
        }
        _ => None,
    }
}

/// Returns the weight that `stem` names.
fn find<'m>(targets: &HashMap<String, &'m str>, stem: &str) -> Option<&'m str> {
    let stem = stem.strip_prefix("base_model.model.").unwrap_or(stem).replace(".processor", "");
    let (part, rest) = PARTS.iter().find_map(|(prefix, part)| Some((part, stem.strip_prefix(prefix)?)))?;
    targets.get(&format!("{part}_{}", flat(rest))).copied()
}

/// Settings of a part's pairs in the metadata.
struct Rank {
    alpha: f32,
    stable: bool,
}

/// Returns the alphas by the model's parts, from the settings that newer diffusers write beside the tensors.
fn metadata<'a>(metadata: &'a BTreeMap<String, String>, name: &str) -> Result<BTreeMap<&'a str, Rank>> {
    let mut alphas = BTreeMap::new();
    let Some(text) = metadata.get("lora_adapter_metadata") else { return Ok(alphas) };
    let settings = Settings::parse(text.as_bytes(), name)?;
    for part in ["unet", "text_encoder", "text_encoder_2"] {
        let key = |what: &str| format!("{part}.{what}");
        settings.refuse(&[
            (&key("alpha_pattern"), "null"),
            (&key("use_dora"), "false"),
            (&key("lora_bias"), "false"),
        ])?;
        if let Some(alpha) = settings.get::<f64>(&key("lora_alpha"))? {
            if !(alpha as f32).is_finite() {
                return Err(Error::format(name, format!("`{part}.lora_alpha` is {alpha}: the file is damaged")));
            }
            let stable = settings.get::<bool>(&key("use_rslora"))?.unwrap_or(false);
            alphas.insert(part, Rank { alpha: alpha as f32, stable });
        }
    }
    Ok(alphas)
}
