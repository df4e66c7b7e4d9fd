//! Autoencoders of pictures: latents to pixels and back. This one is AutoencoderKL (Rombach et al. 2022).
//! Letters: C channels, H and W pixels, h and w latents.

mod chain;
mod coder;
mod taesd;

pub use coder::{Coder, CoderLayer, CoderLayers, Filter, InputNorm, Work};

use crate::Result;
use crate::config::diffusion::vae::{KlConfig, VaeConfig};
use crate::load::Weights;
use chain::Chain;

fn kl_decoder(c: &KlConfig, prefix: &str) -> CoderLayers {
    let mut chain = Chain::new(prefix.into(), c.latent_channels);
    chain.rescale(1.0 / c.scaling_factor, c.shift_factor, None);
    if c.post_quant_conv {
        chain.conv("post_quant_conv", c.latent_channels, Filter::POINT);
    }
    chain.prefix = format!("{prefix}.decoder");
    let levels = c.block_out_channels.len();
    chain.conv("conv_in", c.block_out_channels[levels - 1], Filter::SAME);
    chain.mid(c.mid_attention);
    for (i, &channels) in c.block_out_channels.iter().rev().enumerate() {
        for j in 0..=c.layers_per_block {
            chain.resnet(&format!("up_blocks.{i}.resnets.{j}"), channels);
        }
        if i + 1 < levels {
            chain.conv(&format!("up_blocks.{i}.upsamplers.0.conv"), channels, Filter::ENLARGE);
        }
    }
    chain.norm_conv("conv_norm_out", "conv_out", c.out_channels);
    chain.done(c.norm_num_groups)
}

fn kl_encoder(c: &KlConfig, prefix: &str) -> CoderLayers {
    // diffusers pads maps that are halved at their ends only.
    let halve = Filter { stride: 2, pad: [0, 1], ..Filter::SAME };
    let mut chain = Chain::new(format!("{prefix}.encoder"), c.in_channels);
    chain.conv("conv_in", c.block_out_channels[0], Filter::SAME);
    for (i, &channels) in c.block_out_channels.iter().enumerate() {
        for j in 0..c.layers_per_block {
            chain.resnet(&format!("down_blocks.{i}.resnets.{j}"), channels);
        }
        if i + 1 < c.block_out_channels.len() {
            chain.conv(&format!("down_blocks.{i}.downsamplers.0.conv"), channels, halve);
        }
    }
    chain.mid(c.mid_attention);
    chain.norm_conv("conv_norm_out", "conv_out", 2 * c.latent_channels);
    if c.quant_conv {
        chain.prefix = prefix.into();
        chain.conv("quant_conv", 2 * c.latent_channels, Filter::POINT);
    }
    chain.done(c.norm_num_groups)
}

/// Lists the layers from latents, [h * w, C], to pixels, [H * W, 3]; names begin with `prefix`.
pub fn decoder_layers(config: &VaeConfig, prefix: &str) -> CoderLayers {
    match config {
        VaeConfig::Kl(c) => kl_decoder(c, prefix),
        VaeConfig::Tiny(c) => taesd::decoder(c, prefix),
    }
}

/// Lists the layers from pixels, [H * W, 3], to moments, [h * w, 2C], or latents, [h * w, C]; names begin with
/// `prefix`.
pub fn encoder_layers(config: &VaeConfig, prefix: &str) -> CoderLayers {
    match config {
        VaeConfig::Kl(c) => kl_encoder(c, prefix),
        VaeConfig::Tiny(c) => taesd::encoder(c, prefix),
    }
}

/// Latents to colours without a network: a row for each channel, then a row to add. Least squares over pictures; the
/// numbers are those that image tools share for these two models.
const SD1_COLOURS: [[f32; 3]; 5] = [
    [0.337366, 0.216344, 0.257386],
    [0.165636, 0.386828, 0.046994],
    [-0.267803, 0.237036, 0.223517],
    [-0.178022, -0.200862, -0.678514],
    [-0.017478, -0.055834, -0.105825],
];
const SDXL_COLOURS: [[f32; 3]; 5] = [
    [0.258303, 0.277640, 0.329699],
    [-0.299701, 0.105446, 0.014194],
    [0.050522, 0.186163, -0.143257],
    [-0.211938, -0.149892, -0.080036],
    [0.144381, -0.033313, 0.007061],
];

/// An autoencoder's weights.
pub struct Vae {
    /// Its configuration.
    pub config: VaeConfig,
    /// Latents to pixels.
    pub decoder: Coder,
    /// Pixels to latents, if asked for.
    pub encoder: Option<Coder>,
}

impl Vae {
    /// Binds the weights, whose names begin with `prefix`. The encoder is bound if the files have it.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Shape`] if they do not fit the configuration, [`Error::Unsupported`] for
    /// channels that no kernel can take.
    pub fn bind(w: &Weights<'_>, config: &VaeConfig, prefix: &str) -> Result<Self> {
        let layers = encoder_layers(config, prefix);
        let first = layers.list.get(1).map(|layer| format!("{}.weight", layer.name));
        let encoder = first.is_some_and(|name| w.has(&name)).then(|| Coder::bind(w, layers));
        Ok(Vae { encoder: encoder.transpose()?, ..Vae::bind_decoder(w, config, prefix)? })
    }

    /// Binds the decoder alone: for previews.
    ///
    /// # Errors
    /// Those of [`Vae::bind`].
    pub fn bind_decoder(w: &Weights<'_>, config: &VaeConfig, prefix: &str) -> Result<Self> {
        let decoder = Coder::bind(w, decoder_layers(config, prefix))?;
        Ok(Vae { config: config.clone(), decoder, encoder: None })
    }

    /// Counts the pixels that a latent is wide.
    pub fn factor(&self) -> usize {
        self.config.factor()
    }

    /// Says whether the encoder makes moments of a distribution, from which [`Vae::sample`] draws the latents.
    pub fn samples(&self) -> bool {
        matches!(self.config, VaeConfig::Kl(_))
    }

    /// Draws latents, [h * w, C], as the noise predictor has them, from the encoder's result. `noise`: normals [h * w,
    /// C]; an AutoencoderTiny asks for none.
    pub fn sample(&self, encoded: &[f32], noise: &mut dyn FnMut() -> Vec<f32>) -> Vec<f32> {
        let (scale, shift) = (self.config.scaling_factor(), self.config.shift_factor());
        let VaeConfig::Kl(c) = &self.config else { return encoded.iter().map(|v| v * scale).collect() };
        let (channels, noise) = (c.latent_channels, noise());
        let rows = encoded.chunks_exact(2 * channels).zip(noise.chunks_exact(channels));
        rows.flat_map(|(moments, noise)| {
            let (mean, log_variance) = moments.split_at(channels);
            mean.iter().zip(log_variance).zip(noise).map(move |((mean, log_variance), noise)| {
                let deviation = (0.5 * log_variance.clamp(-30.0, 20.0)).exp();
                (mean + deviation * noise - shift) * scale
            })
        })
        .collect()
    }

    /// Projects latents to colours without a network, for the models whose autoencoders everyone shares: a row for each
    /// channel, then a row to add.
    pub fn projection(&self) -> Option<&'static [[f32; 3]; 5]> {
        match &self.config {
            VaeConfig::Kl(c) if c.latent_channels == 4 && c.block_out_channels == [128, 256, 512, 512] => {
                if (c.scaling_factor - 0.13025).abs() < 1e-4 { Some(&SDXL_COLOURS) } else { Some(&SD1_COLOURS) }
            }
            _ => None,
        }
    }
}
