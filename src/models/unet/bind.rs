//! Which blocks a noise predictor has, by its configuration, and where their weights are.

use super::transformer::Transformer;
use super::{Layer, Unet, UnetLevel};
use crate::config::diffusion::unet::UnetConfig;
use crate::load::Weights;
use crate::models::layers::{Convolution, Dense, Resnet, group_norm};
use crate::{Error, Result};

/// Counts, while binding, what is numbered over all blocks.
#[derive(Default)]
struct Numbering {
    /// `time_emb_proj` of the residual blocks, with their rows.
    times: Vec<(String, usize)>,
    /// C of the transformer blocks.
    contexts: Vec<usize>,
}

impl Unet {
    /// Binds the weights, whose names begin with `unet.`.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Shape`] if they do not fit the configuration.
    pub fn bind(w: &Weights<'_>, c: &UnetConfig) -> Result<Self> {
        let b = Binder { w, c };
        let mut n = Numbering::default();
        let widths = &c.block_out_channels;
        let (levels, e) = (widths.len(), c.time_embed_dim);
        let last = widths[levels - 1];
        // Channels of the results that layers on the way down leave for the way up.
        let mut skips = vec![widths[0]];
        let mut down_blocks = Vec::with_capacity(levels);
        let mut channels = widths[0];
        for (i, &out) in widths.iter().enumerate() {
            let name = format!("unet.down_blocks.{i}");
            let depth = if c.down_attention[i] { c.transformer_layers[i] } else { 0 };
            let mut layers = Vec::new();
            for j in 0..c.layers_per_block[i] {
                layers.push(b.layer(&name, j, [out, channels], depth, c.heads[i], &mut n)?);
                channels = out;
                skips.push(out);
            }
            let more = i + 1 < levels;
            let sampler =
                more.then(|| Convolution::bind(w, &format!("{name}.downsamplers.0.conv"), [out, out], 3, true));
            skips.extend(more.then_some(out));
            down_blocks.push(UnetLevel { layers, sampler: sampler.transpose()? });
        }
        let mut mid = |attention: bool| -> Result<_> {
            let depth = if attention { c.transformer_layers[levels - 1] } else { 0 };
            let first = b.layer("unet.mid_block", 0, [last, last], depth, c.heads[levels - 1], &mut n)?;
            let second = attention.then(|| b.layer("unet.mid_block", 1, [last, last], 0, 1, &mut n));
            Ok((first, second.transpose()?))
        };
        let mid_block = c.mid.map(&mut mid).transpose()?;
        let mut up_blocks = Vec::with_capacity(levels);
        for i in 0..levels {
            let (level, name) = (levels - 1 - i, format!("unet.up_blocks.{i}"));
            let depth = if c.up_attention[i] { c.up_transformer_layers[i] } else { 0 };
            let mut layers = Vec::new();
            for j in 0..c.layers_per_block[level] + 1 {
                let skip = skips.pop().ok_or_else(|| Error::unsupported("the UNet goes up further than down"))?;
                layers.push(b.layer(&name, j, [widths[level], channels + skip], depth, c.heads[level], &mut n)?);
                channels = widths[level];
            }
            let conv = || Convolution::bind(w, &format!("{name}.upsamplers.0.conv"), [channels, channels], 3, true);
            up_blocks.push(UnetLevel { layers, sampler: (level > 0).then(conv).transpose()? });
        }
        let pair = |name: &str, input: usize| -> Result<[Dense; 2]> {
            let linear =
                |i: usize, from: usize| Dense::bind(&w.sparing(), &format!("unet.{name}.linear_{i}"), [e, from], true);
            Ok([linear(1, input)?, linear(2, e)?])
        };
        let cond = |k: usize| Dense::bind(&w.sparing(), "unet.time_embedding.cond_proj", [widths[0], k], false);
        Ok(Unet {
            conv_in: Convolution::bind(w, "unet.conv_in", [widths[0], c.in_channels], 3, true)?,
            time_cond_proj: c.time_cond_proj_dim.map(cond).transpose()?,
            time_embedding: pair("time_embedding", widths[0])?,
            add_embedding: c.addition.as_ref().map(|a| pair("add_embedding", a.projection_input)).transpose()?,
            time_emb_proj: Dense::stack(&w.sparing(), &n.times, e, true)?,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: group_norm(w, "unet.conv_norm_out", widths[0], c.norm_num_groups, c.norm_eps)?,
            conv_out: Convolution::bind(w, "unet.conv_out", [c.out_channels, widths[0]], 3, true)?,
            contexts: n.contexts,
            config: c.clone(),
        })
    }
}

struct Binder<'a, 'w> {
    w: &'a Weights<'w>,
    c: &'a UnetConfig,
}

impl Binder<'_, '_> {
    fn layer(
        &self,
        name: &str,
        j: usize,
        [out, input]: [usize; 2],
        depth: usize,
        heads: usize,
        n: &mut Numbering,
    ) -> Result<Layer> {
        let resnet = format!("{name}.resnets.{j}");
        let time = n.times.iter().map(|t| t.1).sum();
        n.times.push((format!("{resnet}.time_emb_proj"), out));
        let first = n.contexts.len();
        n.contexts.extend(std::iter::repeat_n(out, depth));
        let transformer =
            || Transformer::bind(self.w, self.c, &format!("{name}.attentions.{j}"), [out, depth, heads, first]);
        Ok(Layer {
            resnet: Resnet::bind(self.w, &resnet, [out, input], self.c.norm_num_groups, self.c.norm_eps)?,
            time,
            transformer: (depth > 0).then(transformer).transpose()?,
        })
    }
}
