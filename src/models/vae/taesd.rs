//! A tiny autoencoder that was distilled from a large one (TAESD, Ollin Boer Bohan 2023; AutoencoderTiny of diffusers).

use super::chain::Chain;
use super::coder::{CoderLayers, Filter};
use crate::config::diffusion::vae::TinyConfig;
use crate::ops::Activation;

/// The decoder bounds latents softly: outliers cannot spoil the picture.
const LIMIT: f32 = 3.0;

const RELU: Filter = Filter { activation: Activation::Relu, ..Filter::SAME };

/// Adds three convolutions, and the input to their result.
fn block(chain: &mut Chain, n: usize, channels: usize) {
    let x = chain.last();
    for part in [0, 2, 4] {
        chain.conv(&format!("layers.{n}.conv.{part}"), channels, RELU).add = (part == 4).then_some(x);
    }
}

/// Lists the layers from latents to pixels between 0 and 1.
pub(super) fn decoder(c: &TinyConfig, prefix: &str) -> CoderLayers {
    let mut chain = Chain::new(format!("{prefix}.decoder"), c.latent_channels);
    chain.rescale(1.0 / c.scaling_factor, 0.0, Some(LIMIT));
    chain.conv("layers.0", c.decoder_channels[0], RELU);
    let mut n = 2;
    for (i, (&channels, &blocks)) in c.decoder_channels.iter().zip(&c.decoder_blocks).enumerate() {
        (n..n + blocks).for_each(|n| block(&mut chain, n, channels));
        n += blocks;
        if i + 1 < c.decoder_channels.len() {
            // The number between belongs to the enlargement.
            chain.conv(&format!("layers.{}", n + 1), channels, Filter::ENLARGE.unbiased());
            n += 2;
        } else {
            chain.conv(&format!("layers.{n}"), c.out_channels, Filter::SAME);
        }
    }
    chain.done(1)
}

/// Lists the layers from pixels between 0 and 1 to latents.
pub(super) fn encoder(c: &TinyConfig, prefix: &str) -> CoderLayers {
    let mut chain = Chain::new(format!("{prefix}.encoder"), c.in_channels);
    let mut n = 0;
    for (i, (&channels, &blocks)) in c.encoder_channels.iter().zip(&c.encoder_blocks).enumerate() {
        let halve = Filter { stride: 2, ..Filter::SAME.unbiased() };
        chain.conv(&format!("layers.{n}"), channels, if i == 0 { Filter::SAME } else { halve });
        (n + 1..=n + blocks).for_each(|n| block(&mut chain, n, channels));
        n += 1 + blocks;
    }
    chain.conv(&format!("layers.{n}"), c.latent_channels, Filter::SAME);
    chain.done(1)
}
