//! `vae/config.json` of diffusers: AutoencoderKL, and AutoencoderTiny (TAESD).

use super::settings::Settings;
use crate::Result;
use crate::config::language::wrong;
use serde::Deserialize;

/// The description of an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub enum VaeConfig {
    /// The one that models are trained with (Rombach et al. 2022).
    Kl(KlConfig),
    /// A small one that was distilled from it.
    Tiny(TinyConfig),
}

/// An AutoencoderKL. All its group norms add 1e-6 to the variance. The default is what diffusers takes where a file
/// says nothing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct KlConfig {
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded picture.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels of each level, the picture's first. Each but the last halves the sides.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// The factor that turns encoded pictures into latents.
    pub scaling_factor: f32,
    /// Subtracted from encoded pictures before that.
    pub shift_factor: f32,
    /// Whether a convolution of one tap follows the encoder.
    #[serde(rename = "use_quant_conv")]
    pub quant_conv: bool,
    /// Whether a convolution of one tap precedes the decoder.
    #[serde(rename = "use_post_quant_conv")]
    pub post_quant_conv: bool,
    /// Whether the blocks in the middle have attention, of one head.
    #[serde(rename = "mid_block_add_attention")]
    pub mid_attention: bool,
    /// Side of the pictures that it was trained on.
    pub sample_size: usize,
}

/// An AutoencoderTiny. The default is what diffusers takes where a file says nothing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct TinyConfig {
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded picture.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels of each stage of the encoder, all the same.
    #[serde(rename = "encoder_block_out_channels")]
    pub encoder_channels: Vec<usize>,
    /// Channels of each stage of the decoder, all the same.
    #[serde(rename = "decoder_block_out_channels")]
    pub decoder_channels: Vec<usize>,
    /// Residual blocks of each stage of the encoder.
    #[serde(rename = "num_encoder_blocks")]
    pub encoder_blocks: Vec<usize>,
    /// Residual blocks of each stage of the decoder.
    #[serde(rename = "num_decoder_blocks")]
    pub decoder_blocks: Vec<usize>,
    /// The factor that turns encoded pictures into latents.
    pub scaling_factor: f32,
    /// Latents lie between minus this and this.
    pub latent_magnitude: f32,
    /// Where zero lies when latents are stored between 0 and 1.
    pub latent_shift: f32,
    /// How many times larger each stage of the decoder makes the sides.
    #[serde(skip)]
    pub upsampling_scaling_factor: usize,
}

impl Default for KlConfig {
    fn default() -> Self {
        KlConfig {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            layers_per_block: 1,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            shift_factor: 0.0,
            quant_conv: true,
            post_quant_conv: true,
            mid_attention: true,
            sample_size: 32,
        }
    }
}

impl Default for TinyConfig {
    fn default() -> Self {
        TinyConfig {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            encoder_channels: vec![64; 4],
            decoder_channels: vec![64; 4],
            encoder_blocks: vec![1, 3, 3, 3],
            decoder_blocks: vec![3, 3, 3, 1],
            scaling_factor: 1.0,
            latent_magnitude: 3.0,
            latent_shift: 0.5,
            upsampling_scaling_factor: 2,
        }
    }
}

/// Most levels: each but the last halves the picture.
const LEVELS: usize = 12;

impl VaeConfig {
    /// Reads the text of a diffusers `config.json`; `file` names it in errors. Values left out are those that diffusers
    /// takes.
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) for other classes, blocks and settings;
    /// [`Error::Format`](crate::Error::Format) for what is no such file and for numbers that cannot be.
    pub fn from_json(text: &[u8], file: &str) -> Result<Self> {
        let settings = Settings::parse(text, file)?;
        if settings.get::<String>("_class_name")?.as_deref() == Some("AutoencoderTiny") {
            settings.refuse(&[
                ("act_fn", "relu"),
                ("upsample_fn", "nearest"),
                ("upsampling_scaling_factor", "2"),
                ("shift_factor", "0"),
            ])?;
            return settings.read::<TinyConfig>()?.checked(file).map(VaeConfig::Tiny);
        }
        settings.refuse(&[
            ("_class_name", "AutoencoderKL"),
            ("act_fn", "silu"),
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
            ("latents_mean", "null"),
            ("latents_std", "null"),
        ])?;
        let config: KlConfig = settings.read()?;
        let levels = config.block_out_channels.len();
        for key in ["down_block_types", "up_block_types"] {
            let named = settings.get::<Vec<String>>(key)?.map_or(1, |types| types.len());
            if named != levels {
                return Err(wrong(file, &format!("`{key}` names {named} of {levels} blocks")));
            }
        }
        config.checked(file).map(VaeConfig::Kl)
    }

    /// Returns how many pixels a latent is wide.
    pub fn factor(&self) -> usize {
        let levels = match self {
            VaeConfig::Kl(c) => c.block_out_channels.len(),
            VaeConfig::Tiny(c) => c.decoder_channels.len(),
        };
        1 << (levels - 1)
    }

    /// Returns the channels of the latents.
    pub fn latent_channels(&self) -> usize {
        match self {
            VaeConfig::Kl(c) => c.latent_channels,
            VaeConfig::Tiny(c) => c.latent_channels,
        }
    }

    /// Returns the channels of pictures that go in and come out.
    pub fn picture_channels(&self) -> [usize; 2] {
        match self {
            VaeConfig::Kl(c) => [c.in_channels, c.out_channels],
            VaeConfig::Tiny(c) => [c.in_channels, c.out_channels],
        }
    }

    /// Returns the factor that turns encoded pictures into latents.
    pub fn scaling_factor(&self) -> f32 {
        match self {
            VaeConfig::Kl(c) => c.scaling_factor,
            VaeConfig::Tiny(c) => c.scaling_factor,
        }
    }

    /// Returns the number that is subtracted from encoded pictures before they are multiplied.
    pub fn shift_factor(&self) -> f32 {
        match self {
            VaeConfig::Kl(c) => c.shift_factor,
            VaeConfig::Tiny(_) => 0.0,
        }
    }
}

/// Counts of channels, and the factor of latents.
fn check(channels: &[usize], scaling_factor: f32, file: &str) -> Result<()> {
    if let Some(n) = channels.iter().find(|n| !(1..=1 << 12).contains(*n)) {
        return Err(wrong(file, &format!("a number of channels is {n}")));
    }
    if !(scaling_factor.is_finite() && scaling_factor > 0.0) {
        return Err(wrong(file, &format!("`scaling_factor` is {scaling_factor}")));
    }
    Ok(())
}

impl KlConfig {
    /// Checks that the parts make sense together.
    pub(super) fn checked(self, file: &str) -> Result<Self> {
        check(&[self.in_channels, self.out_channels, self.latent_channels], self.scaling_factor, file)?;
        check(&self.block_out_channels, 1.0, file)?;
        if !(1..=LEVELS).contains(&self.block_out_channels.len()) || !(1..=64).contains(&self.layers_per_block) {
            let what = format!("{} blocks have {} layers", self.block_out_channels.len(), self.layers_per_block);
            return Err(wrong(file, &what));
        }
        let groups = self.norm_num_groups;
        if groups == 0 || self.block_out_channels.iter().any(|c| !c.is_multiple_of(groups)) {
            return Err(wrong(file, &format!("{groups} groups do not divide {:?} channels", self.block_out_channels)));
        }
        if !self.shift_factor.is_finite() {
            return Err(wrong(file, "`shift_factor` is no number"));
        }
        Ok(self)
    }
}

impl TinyConfig {
    /// Checks that the parts make sense together.
    fn checked(self, file: &str) -> Result<Self> {
        let halves = [(&self.encoder_channels, &self.encoder_blocks), (&self.decoder_channels, &self.decoder_blocks)];
        for (channels, blocks) in halves {
            if channels.len() != blocks.len() || channels.len() != self.decoder_channels.len() {
                return Err(wrong(file, &format!("{} stages have {} lists of blocks", channels.len(), blocks.len())));
            }
            if channels.is_empty() || channels.len() > LEVELS || blocks.iter().any(|&n| n > 64) {
                return Err(wrong(file, "the number of stages or blocks is out of range"));
            }
            // No layer leads from one width to another.
            if !(1..=1 << 12).contains(&channels[0]) || channels.iter().any(|c| *c != channels[0]) {
                return Err(wrong(file, &format!("the stages have {channels:?} channels")));
            }
        }
        check(&[self.in_channels, self.out_channels, self.latent_channels], self.scaling_factor, file)?;
        if !(self.latent_magnitude.is_finite() && self.latent_magnitude > 0.0 && self.latent_shift.is_finite()) {
            return Err(wrong(file, "the latents' magnitude or shift is out of range"));
        }
        Ok(self)
    }
}
