//! The noise predictor of Stable Diffusion: a U-shaped stack of residual blocks and transformers (Ronneberger et al.
//! 2015, Rombach et al. 2022). Which blocks there are, and what is in them, is said by [`UnetConfig`]. Field names are
//! those of diffusers.
//!
//! Letters: N pictures (two if guided), H and W of the latents at a level, C its channels, E `time_embed_dim`,
//! X `cross_attention_dim`, S tokens of the prompt.

mod bind;
mod transformer;

pub use transformer::PromptKv;

use super::layers::{Convolution, Dense, Resnet, SAME};
use crate::config::diffusion::unet::UnetConfig;
use crate::gpu::{Region, Tensor};
use crate::ops::{Activation, Conv, GroupNorm, Linear, Map};
use transformer::{Transformer, TransformerBlock};

/// A residual block, and the transformer after it. `time`: its first column of the projected time.
struct Layer {
    resnet: Resnet,
    time: usize,
    transformer: Option<Transformer>,
}

/// A level of the U, going down or up, and what leads to the next.
struct UnetLevel {
    layers: Vec<Layer>,
    sampler: Option<Convolution>, // [C, C, 3, 3]
}

/// A noise predictor's weights.
pub struct Unet {
    config: UnetConfig,
    conv_in: Convolution,
    time_cond_proj: Option<Dense>,
    time_embedding: [Dense; 2],        // [E, C], [E, E]
    add_embedding: Option<[Dense; 2]>, // [E, ..], [E, E]
    time_emb_proj: Dense,              // of all residual blocks, [.., E]
    down_blocks: Vec<UnetLevel>,
    mid_block: Option<(Layer, Option<Layer>)>,
    up_blocks: Vec<UnetLevel>,
    conv_norm_out: GroupNorm,
    conv_out: Convolution,
    contexts: Vec<usize>,
}

/// The inputs of the noise predictor besides the latents.
#[derive(Clone, Copy)]
pub struct UnetInput<'a, 'g> {
    /// The time's sines and cosines, [1, C]; [N, C] for models that take `added`.
    pub time: Tensor<'g>,
    /// The guidance scale's, [1, ..], of models that were distilled with it.
    pub guidance: Option<Tensor<'g>>,
    /// Pooled text and sizes, [N, ..], of models that take them.
    pub added: Option<Tensor<'g>>,
    /// Keys and values of the prompt, from [`Unet::context`].
    pub context: &'a PromptKv<'g>,
}

impl Unet {
    /// Returns its configuration.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }

    /// Returns the columns of each tensor of [`Unet::context`].
    pub fn context_widths(&self) -> impl Iterator<Item = usize> {
        self.contexts.iter().map(|c| 2 * c)
    }

    fn transformer_blocks(&self) -> impl Iterator<Item = &TransformerBlock> {
        let levels = self.down_blocks.iter().flat_map(|l| &l.layers);
        let mid = self.mid_block.iter().flat_map(|(a, b)| std::iter::once(a).chain(b));
        let up = self.up_blocks.iter().flat_map(|l| &l.layers);
        levels.chain(mid).chain(up).filter_map(|l| l.transformer.as_ref()).flat_map(Transformer::blocks)
    }

    /// Writes keys and values of the encoded prompt, the same in every step.   [N * S, X] -> [N * S, 2C] each
    pub fn context(&self, text: Tensor<'_>, into: &[Region]) {
        for (block, region) in self.transformer_blocks().zip(into) {
            block.context(text, region);
        }
    }

    /// Predicts the noise (or whatever the model was trained to).   x: [N, H, W, in] -> [N, H, W, out]
    pub fn forward<'g>(&self, x: Map<'g>, input: UnetInput<'_, 'g>) -> Map<'g> {
        let time = self.time(input); // [1 or N, all residual blocks' C]
        let mut x = self.conv_in.of(x, Conv { pad: SAME, ..Conv::default() }); // [N, H, W, C]
        let mut skips = vec![x];
        for level in &self.down_blocks {
            for layer in &level.layers {
                x = layer.forward(x, time, input.context); // [N, H, W, C]
                skips.push(x);
            }
            if let Some(sampler) = &level.sampler {
                x = sampler.of(x, Conv { stride: 2, pad: SAME, ..Conv::default() }); // [N, H / 2, W / 2, C]
                skips.push(x);
            }
        }
        if let Some((first, second)) = &self.mid_block {
            x = first.forward(x, time, input.context);
            x = second.iter().fold(x, |x, layer| layer.forward(x, time, input.context));
        }
        for level in &self.up_blocks {
            for layer in &level.layers {
                let skip = skips.pop().expect("the ways down and up were bound together");
                x = layer.forward(skip.with(x.t.concat(skip.t)), time, input.context); // [N, H, W, C]
            }
            if let (Some(sampler), Some(skip)) = (&level.sampler, skips.last()) {
                let enlarged = Some([skip.rows.height, skip.w]);
                x = sampler.of(x, Conv { pad: SAME, enlarged, ..Conv::default() }); // [N, 2H, 2W, C]
            }
        }
        let x = x.group_norm(&self.conv_norm_out, true);
        self.conv_out.of(x, Conv { pad: SAME, ..Conv::default() }) // [N, H, W, out]
    }

    /// Returns the time, embedded and projected for every residual block.   -> [1 or N, ..]
    fn time<'g>(&self, input: UnetInput<'_, 'g>) -> Tensor<'g> {
        let (silu, [first, second]) = (Activation::Silu, &self.time_embedding);
        let time = match (&self.time_cond_proj, input.guidance) {
            (Some(proj), Some(guidance)) => {
                proj.of(guidance, Linear { residual: Some(input.time), ..Linear::default() })
            }
            _ => input.time,
        };
        let h = first.of(time, Linear { activation: silu, ..Linear::default() }); // [1, E]
        // Residual blocks want the silu of the whole embedding.
        let embedded = match (&self.add_embedding, input.added) {
            (Some([add1, add2]), Some(added)) => {
                let time = second.of(h, Linear::default()); // [N, E]
                let a = add1.of(added, Linear { activation: silu, ..Linear::default() }); // [N, E]
                add2.of(a, Linear { residual: Some(time), activation: silu, ..Linear::default() }) // [N, E]
            }
            _ => second.of(h, Linear { activation: silu, ..Linear::default() }), // [1, E]
        };
        self.time_emb_proj.of(embedded, Linear::default())
    }
}

impl Layer {
    fn forward<'g>(&self, x: Map<'g>, time: Tensor<'g>, context: &PromptKv<'g>) -> Map<'g> {
        let x = self.resnet.of(x, Some((time, self.time)));
        self.transformer.iter().fold(x, |x, t| t.forward(x, context))
    }
}
