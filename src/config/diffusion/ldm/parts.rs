//! The autoencoder and the text encoders of a single-file checkpoint.

use super::tensors::{CheckpointKind, CheckpointPart, Take, TensorMap, groups};
use crate::config::diffusion::clip::{ClipActivation, ClipConfig};
use crate::config::diffusion::names::{Table, canonical, number};
use crate::config::diffusion::vae::KlConfig;
use crate::config::language::wrong;
use crate::{Error, Result};

/// The text tower of SD 2 as it is published has this layer, and its states before it are what is used.
const SKIPPED: usize = 23;

/// Counts the modules after `prefix`: one more than the largest number there.
fn count(part: &CheckpointPart<'_>, prefix: &str) -> usize {
    let numbers = part.tensors.keys().filter_map(|name| number(name.strip_prefix(prefix)?));
    numbers.map(|(i, _)| i + 1).max().unwrap_or(0)
}

/// Returns the new name of an autoencoder's tensor. `levels` of the decoder are numbered backwards.
fn vae_name(name: &str, levels: usize) -> Option<String> {
    let Some((half, rest)) = name.split_once('.').filter(|(half, _)| matches!(*half, "encoder" | "decoder")) else {
        return (name.starts_with("quant_conv.") || name.starts_with("post_quant_conv.")).then(|| name.to_string());
    };
    let rest = if let Some(rest) = rest.strip_prefix("mid.") {
        let (block, rest) = rest.split_once('.')?;
        match block {
            "block_1" => format!("mid_block.resnets.0.{rest}"),
            "block_2" => format!("mid_block.resnets.1.{rest}"),
            "attn_1" => format!("mid_block.attentions.0.{}", Table::Attention.find(rest)?),
            _ => return None,
        }
    } else if let Some((way, (i, rest))) = rest.split_once('.').and_then(|(way, rest)| Some((way, number(rest)?))) {
        let i = if way == "up" { levels.checked_sub(i + 1)? } else { i };
        let rest = match rest.strip_prefix("block.").and_then(number) {
            Some((j, rest)) => format!("resnets.{j}.{rest}"),
            None => format!("{way}samplers.0.{}", rest.strip_prefix(way)?.strip_prefix("sample.")?),
        };
        format!("{way}_blocks.{i}.{rest}")
    } else {
        rest.replace("norm_out", "conv_norm_out")
    };
    Some(format!("{half}.{}", rest.replace("nin_shortcut", "conv_shortcut")))
}

/// Describes the autoencoder.
pub(super) fn vae(part: &CheckpointPart<'_>, kind: CheckpointKind, map: &mut TensorMap) -> Result<KlConfig> {
    let file = part.file;
    if part.tensors.keys().any(|name| name.contains(".attn.")) {
        let what = "an autoencoder with attention outside its middle is not supported; choose another checkpoint";
        return Err(Error::unsupported(format!("{file}: {what}")));
    }
    let levels = count(part, "decoder.up.");
    for (name, tensor) in &part.tensors {
        if let Some(to) = vae_name(name, levels) {
            map.insert(format!("vae.{to}"), (tensor.name.clone(), Take::Whole));
        }
    }
    let channels = (0..levels).map(|i| part.dim(&format!("decoder.up.{i}.block.0.conv1.weight"), 0));
    let block_out_channels: Vec<usize> = channels.collect::<Result<_>>()?;
    let layers = count(part, "decoder.up.0.block.");
    let uneven = |i: usize| count(part, &format!("decoder.up.{i}.block.")) != layers;
    if layers < 2 || (0..levels).any(uneven) {
        return Err(wrong(file, "the blocks of the autoencoder have different numbers of layers"));
    }
    let in_channels = if part.has("encoder.conv_in.weight") { part.dim("encoder.conv_in.weight", 1)? } else { 3 };
    let config = KlConfig {
        in_channels,
        out_channels: part.dim("decoder.conv_out.weight", 0)?,
        latent_channels: part.dim("decoder.conv_in.weight", 1)?,
        layers_per_block: layers - 1,
        norm_num_groups: groups(&block_out_channels),
        block_out_channels,
        scaling_factor: if kind == CheckpointKind::Sdxl { 0.13025 } else { 0.18215 },
        shift_factor: 0.0,
        quant_conv: part.has("quant_conv.weight"),
        post_quant_conv: part.has("post_quant_conv.weight"),
        mid_attention: part.has("decoder.mid.attn_1.norm.weight"),
        sample_size: if kind == CheckpointKind::Sdxl { 1024 } else { 512 },
    };
    config.checked(file)
}

/// Describes a text encoder: heads of 64 elements, and a vocabulary that ends in the tokens that begin and end
/// a text.
fn tower(vocab: usize, dim: usize, activation: ClipActivation, pad: Option<u32>) -> ClipConfig {
    let eos = vocab.saturating_sub(1) as u32;
    ClipConfig {
        vocab,
        positions: 0,
        dim,
        n_layers: 0,
        n_heads: (dim / 64).max(1),
        ffn_dim: 0,
        activation,
        norm_eps: 1e-5,
        projection_dim: None,
        bos: eos.saturating_sub(1),
        eos,
        pad: pad.or(Some(eos)),
    }
}

/// Describes CLIP's text tower, which keeps its names. Older files leave out `text_model`.
pub(super) fn clip(part: &CheckpointPart<'_>, map: &mut TensorMap) -> Result<ClipConfig> {
    let prefix = if part.has("embeddings.token_embedding.weight") { "" } else { "text_model." };
    for (name, tensor) in &part.tensors {
        // Of the text projection, which some files have, nothing is read.
        if let Some(to) = canonical("text_encoder", name).filter(|_| !name.starts_with("text_proj")) {
            map.insert(to, (tensor.name.clone(), Take::Whole));
        }
    }
    let dim = |name: &str, axis: usize| part.dim(&format!("{prefix}{name}.weight"), axis);
    let (vocab, width) = (dim("embeddings.token_embedding", 0)?, dim("embeddings.token_embedding", 1)?);
    let config = ClipConfig {
        positions: dim("embeddings.position_embedding", 0)?,
        n_layers: count(part, &format!("{prefix}encoder.layers.")),
        ffn_dim: dim("encoder.layers.0.mlp.fc1", 0)?,
        ..tower(vocab, width, ClipActivation::QuickGelu, None)
    };
    config.checked(part.file)
}

/// Describes OpenCLIP's text tower, as the text encoder `name`. Of SD 2's the last layer is left out, which it does not
/// use: the one of that number, or in a smaller tower the last if there is also a projection (which converted towers
/// have not).
pub(super) fn open_clip(
    part: &CheckpointPart<'_>,
    name: &str,
    kind: CheckpointKind,
    map: &mut TensorMap,
) -> Result<ClipConfig> {
    const LAYERS: &str = "transformer.resblocks.";
    let mut layers = count(part, LAYERS);
    if kind == CheckpointKind::Sd2 {
        let whole = part.has("text_projection") || part.has("text_projection.weight");
        layers = if layers > SKIPPED { SKIPPED } else { layers - usize::from(whole && layers < SKIPPED && layers > 1) };
    }
    let mut projection_dim = None;
    for (key, tensor) in &part.tensors {
        let mut put = |to: &str, take| map.insert(format!("{name}.{to}"), (tensor.name.clone(), take));
        match *key {
            "token_embedding.weight" => drop(put("text_model.embeddings.token_embedding.weight", Take::Whole)),
            "positional_embedding" => drop(put("text_model.embeddings.position_embedding.weight", Take::Whole)),
            "ln_final.weight" => drop(put("text_model.final_layer_norm.weight", Take::Whole)),
            "ln_final.bias" => drop(put("text_model.final_layer_norm.bias", Take::Whole)),
            "text_projection" | "text_projection.weight" if kind == CheckpointKind::Sdxl => {
                let whole = key.ends_with("weight");
                projection_dim = Some(part.dim(key, usize::from(!whole))?);
                put("text_projection.weight", if whole { Take::Whole } else { Take::Transposed });
            }
            _ => {
                let Some((i, rest)) = key.strip_prefix(LAYERS).and_then(number).filter(|(i, _)| *i < layers) else {
                    continue;
                };
                let to = format!("text_model.encoder.layers.{i}");
                if let Some(kind) = rest.strip_prefix("attn.in_proj_") {
                    let count = part.dim(key, 0)? / 3;
                    for (third, letter) in ["q", "k", "v"].into_iter().enumerate() {
                        let take = Take::Rows { first: third * count, count };
                        put(&format!("{to}.self_attn.{letter}_proj.{kind}"), take);
                    }
                } else if let Some(rest) = Table::OpenClip.find(rest) {
                    put(&format!("{to}.{rest}"), Take::Whole);
                }
            }
        }
    }
    if kind == CheckpointKind::Sdxl && projection_dim.is_none() {
        return Err(Error::Missing { tensor: format!("{name}.text_projection.weight") });
    }
    let (vocab, width) = (part.dim("token_embedding.weight", 0)?, part.dim("token_embedding.weight", 1)?);
    let config = ClipConfig {
        positions: part.dim("positional_embedding", 0)?,
        n_layers: layers,
        ffn_dim: part.dim("transformer.resblocks.0.mlp.c_fc.weight", 0)?,
        projection_dim,
        ..tower(vocab, width, ClipActivation::Gelu, Some(0))
    };
    config.checked(part.file)
}
