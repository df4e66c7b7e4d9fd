//! `vae/config.json` of diffusers: AutoencoderKL, and AutoencoderTiny (TAESD).

use super::fields::Fields;
use crate::Result;
use crate::config::language::wrong;

/// The description of an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub enum VaeConfig {
    /// The one that models are trained with (Rombach et al. 2022).
    Kl(KlConfig),
    /// A small one that was distilled from it.
    Tiny(TinyConfig),
}

/// An AutoencoderKL. All its group norms add 1e-6 to the variance.
#[derive(Debug, Clone, PartialEq)]
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
    /// What encoded pictures are multiplied by to give latents.
    pub scaling_factor: f32,
    /// What is subtracted from encoded pictures before that.
    pub shift_factor: f32,
    /// Whether a convolution of one tap follows the encoder.
    pub quant_conv: bool,
    /// Whether a convolution of one tap precedes the decoder.
    pub post_quant_conv: bool,
    /// Whether the blocks in the middle have attention, of one head.
    pub mid_attention: bool,
    /// Side of the pictures that it was trained on.
    pub sample_size: usize,
}

/// An AutoencoderTiny.
#[derive(Debug, Clone, PartialEq)]
pub struct TinyConfig {
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded picture.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels of each stage of the encoder, all the same.
    pub encoder_channels: Vec<usize>,
    /// Channels of each stage of the decoder, all the same.
    pub decoder_channels: Vec<usize>,
    /// Residual blocks of each stage of the encoder.
    pub encoder_blocks: Vec<usize>,
    /// Residual blocks of each stage of the decoder.
    pub decoder_blocks: Vec<usize>,
    /// What encoded pictures are multiplied by to give latents.
    pub scaling_factor: f32,
    /// Latents lie between minus this and this.
    pub latent_magnitude: f32,
    /// Where zero lies when latents are stored between 0 and 1.
    pub latent_shift: f32,
    /// How many times larger each stage of the decoder makes the sides.
    pub upsampling_scaling_factor: usize,
}

/// Most levels: each but the last halves the picture.
const LEVELS: usize = 12;

impl VaeConfig {
    /// From the text of a diffusers `config.json`; `file` names it in errors. Values left out are those that diffusers
    /// takes.
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) for other classes, blocks and settings;
    /// [`Error::Format`](crate::Error::Format) for what is no such file and for numbers that cannot be.
    pub fn from_json(text: &[u8], file: &str) -> Result<Self> {
        let f = Fields::parse(text, file)?;
        if f.text("_class_name")? == Some("AutoencoderTiny") {
            return tiny(&f);
        }
        f.refuse(&[
            ("_class_name", "AutoencoderKL"),
            ("act_fn", "silu"),
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
            ("latents_mean", "null"),
            ("latents_std", "null"),
        ])?;
        let block_out_channels = f.counts("block_out_channels")?.unwrap_or_else(|| vec![64]);
        for key in ["down_block_types", "up_block_types"] {
            let named = f.texts(key)?.map_or(1, |types| types.len());
            if named != block_out_channels.len() {
                return Err(wrong(file, &format!("`{key}` names {named} of {} blocks", block_out_channels.len())));
            }
        }
        let config = KlConfig {
            in_channels: f.count("in_channels")?.unwrap_or(3),
            out_channels: f.count("out_channels")?.unwrap_or(3),
            latent_channels: f.count("latent_channels")?.unwrap_or(4),
            block_out_channels,
            layers_per_block: f.count("layers_per_block")?.unwrap_or(1),
            norm_num_groups: f.count("norm_num_groups")?.unwrap_or(32),
            scaling_factor: f.number("scaling_factor")?.unwrap_or(0.18215) as f32,
            shift_factor: f.number("shift_factor")?.unwrap_or(0.0) as f32,
            quant_conv: f.flag("use_quant_conv")?.unwrap_or(true),
            post_quant_conv: f.flag("use_post_quant_conv")?.unwrap_or(true),
            mid_attention: f.flag("mid_block_add_attention")?.unwrap_or(true),
            sample_size: f.count("sample_size")?.unwrap_or(32),
        };
        config.checked(file).map(VaeConfig::Kl)
    }

    /// How many pixels a latent is wide.
    pub fn factor(&self) -> usize {
        let levels = match self {
            VaeConfig::Kl(c) => c.block_out_channels.len(),
            VaeConfig::Tiny(c) => c.decoder_channels.len(),
        };
        1 << (levels - 1)
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        match self {
            VaeConfig::Kl(c) => c.latent_channels,
            VaeConfig::Tiny(c) => c.latent_channels,
        }
    }

    /// Channels of pictures that go in and come out.
    pub fn picture_channels(&self) -> [usize; 2] {
        match self {
            VaeConfig::Kl(c) => [c.in_channels, c.out_channels],
            VaeConfig::Tiny(c) => [c.in_channels, c.out_channels],
        }
    }

    /// What encoded pictures are multiplied by to give latents.
    pub fn scaling_factor(&self) -> f32 {
        match self {
            VaeConfig::Kl(c) => c.scaling_factor,
            VaeConfig::Tiny(c) => c.scaling_factor,
        }
    }

    /// What is subtracted from encoded pictures before they are multiplied.
    pub fn shift_factor(&self) -> f32 {
        match self {
            VaeConfig::Kl(c) => c.shift_factor,
            VaeConfig::Tiny(_) => 0.0,
        }
    }
}

fn tiny(f: &Fields<'_>) -> Result<VaeConfig> {
    f.refuse(&[
        ("act_fn", "relu"),
        ("upsample_fn", "nearest"),
        ("upsampling_scaling_factor", "2"),
        ("shift_factor", "0"),
    ])?;
    let list = |key: &str, default: [usize; 4]| f.counts(key).map(|list| list.unwrap_or_else(|| default.to_vec()));
    let config = TinyConfig {
        in_channels: f.count("in_channels")?.unwrap_or(3),
        out_channels: f.count("out_channels")?.unwrap_or(3),
        latent_channels: f.count("latent_channels")?.unwrap_or(4),
        encoder_channels: list("encoder_block_out_channels", [64; 4])?,
        decoder_channels: list("decoder_block_out_channels", [64; 4])?,
        encoder_blocks: list("num_encoder_blocks", [1, 3, 3, 3])?,
        decoder_blocks: list("num_decoder_blocks", [3, 3, 3, 1])?,
        scaling_factor: f.number("scaling_factor")?.unwrap_or(1.0) as f32,
        latent_magnitude: f.number("latent_magnitude")?.unwrap_or(3.0) as f32,
        latent_shift: f.number("latent_shift")?.unwrap_or(0.5) as f32,
        upsampling_scaling_factor: 2,
    };
    let file = f.file();
    let halves =
        [(&config.encoder_channels, &config.encoder_blocks), (&config.decoder_channels, &config.decoder_blocks)];
    for (channels, blocks) in halves {
        if channels.len() != blocks.len() || channels.len() != config.decoder_channels.len() {
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
    check(&[config.in_channels, config.out_channels, config.latent_channels], config.scaling_factor, file)?;
    if !(config.latent_magnitude.is_finite() && config.latent_magnitude > 0.0 && config.latent_shift.is_finite()) {
        return Err(wrong(file, "the latents' magnitude or shift is out of range"));
    }
    Ok(VaeConfig::Tiny(config))
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
    /// The whole, if its parts make sense together.
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
