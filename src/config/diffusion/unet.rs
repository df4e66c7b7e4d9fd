//! `unet/config.json` of diffusers: the shapes of a UNet2DConditionModel.

use super::settings::Settings;
use crate::config::language::wrong;
use crate::format::json::OneOrMore;
use crate::{Error, Result};
use serde::Deserialize;

/// The description of a noise predictor. Lists have an entry for each block (level), those on the way down from the
/// first to the deepest, those on the way up from the deepest to the last.
#[derive(Debug, Clone, PartialEq)]
pub struct UnetConfig {
    /// Channels of the latents: 4, or more where a mask or a picture comes with them.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Height and width of the latents that it was trained on.
    pub sample_size: [usize; 2],
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Which blocks on the way down have transformers.
    pub down_attention: Vec<bool>,
    /// Which blocks on the way up have transformers.
    pub up_attention: Vec<bool>,
    /// `None`: there is no block in the middle. `Some(false)`: it is one residual block. `Some(true)`: a transformer
    /// between two.
    pub mid: Option<bool>,
    /// Residual blocks of each level on the way down; there is one more on the way up.
    pub layers_per_block: Vec<usize>,
    /// Depth of the transformers of each level on the way down; the last also holds in the middle.
    pub transformer_layers: Vec<usize>,
    /// Depth of the transformers of each block on the way up.
    pub up_transformer_layers: Vec<usize>,
    /// Number of heads at each level, on the way down and up; the last also holds in the middle. (Files call it
    /// `attention_head_dim`.)
    pub heads: Vec<usize>,
    /// Elements of an encoded token.
    pub cross_attention_dim: usize,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// Added to the variance in the group norms outside transformers (within them it is 1e-6).
    pub norm_eps: f32,
    /// Whether `proj_in` and `proj_out` are stored as matrices, not as convolutions of one tap.
    pub use_linear_projection: bool,
    /// Whether cosines stand before sines in the embedded time.
    pub flip_sin_to_cos: bool,
    /// Subtracted from the number of frequencies in the exponent's divisor.
    pub freq_shift: f32,
    /// Elements of the time embedding behind its two layers.
    pub time_embed_dim: usize,
    /// Elements of the embedded guidance scale that models distilled with it add to the time.
    pub time_cond_proj_dim: Option<usize>,
    /// Pooled text and sizes that are added to the time (SDXL).
    pub addition: Option<Addition>,
}

/// How pooled text and picture sizes enter.
#[derive(Debug, Clone, PartialEq)]
pub struct Addition {
    /// Elements of each embedded size (256).
    pub time_embed_dim: usize,
    /// Elements of the pooled text and all embedded sizes together (2816).
    pub projection_input: usize,
}

/// Settings that are not supported, with the value that leaving each out stands for.
const PLAIN: [(&str, &str); 23] = [
    ("act_fn", "silu"),
    ("attention_type", "default"),
    ("center_input_sample", "false"),
    ("class_embed_type", "null"),
    ("class_embeddings_concat", "false"),
    ("conv_in_kernel", "3"),
    ("conv_out_kernel", "3"),
    ("cross_attention_norm", "null"),
    ("downsample_padding", "1"),
    ("dual_cross_attention", "false"),
    ("encoder_hid_dim", "null"),
    ("encoder_hid_dim_type", "null"),
    ("mid_block_only_cross_attention", "false"),
    ("mid_block_scale_factor", "1"),
    ("num_attention_heads", "null"),
    ("num_class_embeds", "null"),
    ("only_cross_attention", "false"),
    ("resnet_out_scale_factor", "1"),
    ("resnet_skip_time_act", "false"),
    ("resnet_time_scale_shift", "default"),
    ("time_embedding_act_fn", "null"),
    ("time_embedding_type", "positional"),
    ("timestep_post_act", "null"),
];

/// The file, but for [`PLAIN`]. The default is what diffusers takes where it says nothing.
#[derive(Deserialize)]
#[serde(default)]
struct UnetJson {
    in_channels: usize,
    out_channels: usize,
    sample_size: Option<OneOrMore<usize>>,
    block_out_channels: Vec<usize>,
    down_block_types: Option<Vec<String>>,
    up_block_types: Option<Vec<String>>,
    mid_block_type: String,
    layers_per_block: Option<PerBlock>,
    transformer_layers_per_block: Option<PerBlock>,
    reverse_transformer_layers_per_block: Option<PerBlock>,
    attention_head_dim: Option<PerBlock>,
    cross_attention_dim: Option<PerBlock>,
    norm_num_groups: usize,
    norm_eps: f32,
    use_linear_projection: bool,
    flip_sin_to_cos: bool,
    freq_shift: f32,
    time_embedding_dim: Option<usize>,
    time_cond_proj_dim: Option<usize>,
    addition_embed_type: Option<String>,
    addition_time_embed_dim: Option<usize>,
    projection_class_embeddings_input_dim: Option<usize>,
}

impl Default for UnetJson {
    fn default() -> Self {
        UnetJson {
            in_channels: 4,
            out_channels: 4,
            sample_size: None,
            block_out_channels: vec![320, 640, 1280, 1280],
            down_block_types: None,
            up_block_types: None,
            mid_block_type: "UNetMidBlock2DCrossAttn".into(),
            layers_per_block: None,
            transformer_layers_per_block: None,
            reverse_transformer_layers_per_block: None,
            attention_head_dim: None,
            cross_attention_dim: None,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            use_linear_projection: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            time_embedding_dim: None,
            time_cond_proj_dim: None,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
        }
    }
}

/// A count for all blocks, or one for each: that of a block may again be a list, with one for each of its layers.
type PerBlock = OneOrMore<OneOrMore<usize>>;

/// Returns a count for each of `n` blocks.
///
/// [`Error::Format`] for a list of another length, [`Error::Unsupported`] if the layers of a block differ.
fn each(settings: &Settings<'_>, key: &str, n: usize, default: usize, given: &Option<PerBlock>) -> Result<Vec<usize>> {
    let block = |block: &OneOrMore<usize>| match block.all.first() {
        Some(count) if block.all.iter().all(|layer| layer == count) => Ok(*count),
        Some(_) => Err(settings.unsupported(key, "one each")),
        None => Err(wrong(settings.file(), &format!("`{key}` has a block without layers"))),
    };
    match given {
        None => Ok(vec![default; n]),
        Some(PerBlock { is_one: true, all }) => Ok(vec![all.first().map_or(Ok(default), block)?; n]),
        Some(PerBlock { all, .. }) if all.len() == n => all.iter().map(block).collect(),
        Some(PerBlock { all, .. }) => {
            Err(wrong(settings.file(), &format!("`{key}` has {} values for {n} blocks", all.len())))
        }
    }
}

/// More levels than any network has: each halves the picture.
const LEVELS: usize = 12;

impl UnetConfig {
    /// Reads the text of a diffusers `config.json`; `file` names it in errors. Values left out are those that diffusers
    /// takes.
    ///
    /// [`Error::Unsupported`] for other classes and blocks and for settings that change the computation in ways that
    /// are not there; [`Error::Format`] for what is no such file and for numbers that cannot be.
    pub fn from_json(text: &[u8], file: &str) -> Result<Self> {
        let settings = Settings::parse(text, file)?;
        settings.refuse(&[("_class_name", "UNet2DConditionModel"), ("addition_embed_type", "text_time")])?;
        settings.refuse(&PLAIN)?;
        if settings.is_null("norm_num_groups") {
            let what = format!("{file}: a network without `norm_num_groups` is not supported; choose another model");
            return Err(Error::unsupported(what));
        }
        let json: UnetJson = settings.read()?;
        let levels = json.block_out_channels.len();
        let each = |key: &str, default, given: &_| each(&settings, key, levels, default, given);
        let mid = match json.mid_block_type.as_str() {
            _ if settings.is_null("mid_block_type") => None,
            "UNetMidBlock2DCrossAttn" => Some(true),
            "UNetMidBlock2D" => Some(false),
            other => return Err(unknown(file, other, "UNetMidBlock2DCrossAttn and UNetMidBlock2D")),
        };
        let transformer_layers = each("transformer_layers_per_block", 1, &json.transformer_layers_per_block)?;
        let up_transformer_layers = match &json.reverse_transformer_layers_per_block {
            given @ Some(_) => each("reverse_transformer_layers_per_block", 1, given)?,
            None => transformer_layers.iter().rev().copied().collect(),
        };
        let contexts = each("cross_attention_dim", 1280, &json.cross_attention_dim)?;
        if contexts.windows(2).any(|w| w[0] != w[1]) {
            let what = format!("{file}: `cross_attention_dim` that differs between blocks is not supported");
            return Err(Error::unsupported(format!("{what}; choose another model")));
        }
        let needed = |key: &str, n: Option<usize>| {
            let what = || format!("`addition_embed_type` needs `{key}`: the file is incomplete");
            n.ok_or_else(|| Error::format(file, what()))
        };
        let addition = match json.addition_embed_type {
            Some(_) => Some(Addition {
                time_embed_dim: needed("addition_time_embed_dim", json.addition_time_embed_dim)?,
                projection_input: needed(
                    "projection_class_embeddings_input_dim",
                    json.projection_class_embeddings_input_dim,
                )?,
            }),
            None => None,
        };
        // Height and width, or one for both; pipelines without it paint at their own default.
        let sample_size = match json.sample_size.as_ref().map(|sides| &sides.all[..]) {
            Some(&[height, width, ..]) => [height, width],
            Some(&[side]) => [side; 2],
            _ => [if addition.is_some() { 128 } else { 64 }; 2],
        };
        let first = json.block_out_channels.first().map_or(0, |c| c.saturating_mul(4));
        let config = UnetConfig {
            in_channels: json.in_channels,
            out_channels: json.out_channels,
            sample_size,
            time_embed_dim: json.time_embedding_dim.filter(|&n| n > 0).unwrap_or(first),
            down_attention: blocks(file, "down_block_types", json.down_block_types, DOWN, levels)?,
            up_attention: blocks(file, "up_block_types", json.up_block_types, UP, levels)?,
            mid,
            layers_per_block: each("layers_per_block", 2, &json.layers_per_block)?,
            transformer_layers,
            up_transformer_layers,
            heads: each("attention_head_dim", 8, &json.attention_head_dim)?,
            cross_attention_dim: contexts.first().copied().unwrap_or(0),
            norm_num_groups: json.norm_num_groups,
            norm_eps: json.norm_eps,
            use_linear_projection: json.use_linear_projection,
            flip_sin_to_cos: json.flip_sin_to_cos,
            freq_shift: json.freq_shift,
            time_cond_proj_dim: json.time_cond_proj_dim,
            block_out_channels: json.block_out_channels,
            addition,
        };
        config.checked(file)
    }

    /// Checks that the parts make sense together.
    pub(super) fn checked(self, file: &str) -> Result<Self> {
        let levels = self.block_out_channels.len();
        if !(1..=LEVELS).contains(&levels) {
            return Err(wrong(file, &format!("the number of blocks is {levels}")));
        }
        let a = self.addition.as_ref();
        let numbers: [(&str, usize, usize); 10] = [
            ("`in_channels`", self.in_channels, 1 << 12),
            ("`out_channels`", self.out_channels, 1 << 12),
            ("`sample_size`", self.sample_size[0], 1 << 12),
            ("`sample_size`", self.sample_size[1], 1 << 12),
            ("`cross_attention_dim`", self.cross_attention_dim, 1 << 16),
            ("the size of the time embedding", self.time_embed_dim, 1 << 16),
            ("`norm_num_groups`", self.norm_num_groups, 1 << 12),
            ("`time_cond_proj_dim`", self.time_cond_proj_dim.unwrap_or(1), 1 << 16),
            ("`addition_time_embed_dim`", a.map_or(1, |a| a.time_embed_dim), 1 << 12),
            ("`projection_class_embeddings_input_dim`", a.map_or(1, |a| a.projection_input), 1 << 16),
        ];
        for (what, n, most) in numbers {
            if !(1..=most).contains(&n) {
                return Err(wrong(file, &format!("{what} is {n}")));
            }
        }
        for i in 0..levels {
            let (channels, layers, heads) = (self.block_out_channels[i], self.layers_per_block[i], self.heads[i]);
            let up = levels - 1 - i;
            let deepest = i + 1 == levels && self.mid == Some(true);
            let depths = [
                (self.down_attention[i] || deepest).then_some(self.transformer_layers[i]),
                self.up_attention[up].then_some(self.up_transformer_layers[up]),
            ];
            if !(1..=1 << 16).contains(&channels) || !(1..=64).contains(&layers) {
                return Err(wrong(file, &format!("a block has {layers} layers of {channels} channels")));
            }
            if !channels.is_multiple_of(self.norm_num_groups) {
                let what = format!("{} groups do not divide {channels} channels", self.norm_num_groups);
                return Err(wrong(file, &what));
            }
            if depths.iter().flatten().any(|depth| !(1..=64).contains(depth)) {
                return Err(wrong(file, "a block of transformers has none, or more than 64"));
            }
            if depths.iter().any(Option::is_some) && (heads == 0 || !channels.is_multiple_of(heads)) {
                return Err(wrong(file, &format!("{heads} heads do not divide {channels} channels")));
            }
        }
        if !self.block_out_channels[0].is_multiple_of(2) {
            return Err(wrong(file, "the first block has an odd number of channels"));
        }
        let shift = self.freq_shift;
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0 && shift.is_finite() && shift.abs() < 2.0) {
            return Err(wrong(file, &format!("`norm_eps` is {} and `freq_shift` {shift}", self.norm_eps)));
        }
        Ok(self)
    }
}

fn unknown(file: &str, kind: &str, known: &str) -> Error {
    Error::unsupported(format!("{file}: block type `{kind}` is not supported; choose a model of {known}"))
}

/// Kinds of blocks: plain ones, and those with transformers.
const DOWN: [&str; 2] = ["DownBlock2D", "CrossAttnDownBlock2D"];
const UP: [&str; 2] = ["UpBlock2D", "CrossAttnUpBlock2D"];

/// Returns which of the blocks under `key` are of the second kind, the one with transformers.
fn blocks(file: &str, key: &str, types: Option<Vec<String>>, kinds: [&str; 2], levels: usize) -> Result<Vec<bool>> {
    let Some(types) = types else {
        // Four of them: all on the way down but the last, and mirrored on the way up.
        let plain = if key.starts_with("down") { 3 } else { 0 };
        let types: Vec<bool> = (0..4).map(|i| i != plain).collect();
        return if levels == 4 { Ok(types) } else { Err(wrong(file, &format!("`{key}` is missing"))) };
    };
    if types.len() != levels {
        return Err(wrong(file, &format!("`{key}` names {} of {levels} blocks", types.len())));
    }
    let block = |kind: &String| match kinds.iter().position(|k| k == kind) {
        Some(at) => Ok(at == 1),
        None => Err(unknown(file, kind, &kinds.join(" and "))),
    };
    types.iter().map(block).collect()
}
