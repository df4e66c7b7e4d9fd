//! The noise predictor of a single-file checkpoint: its blocks in the order of the file, levels found by what leads
//! from one to the next. So networks with fewer blocks than Stable Diffusion's, and numbers left out for them, need no
//! rules of their own.

use super::tensors::{CheckpointKind, CheckpointPart, Take, TensorMap, groups};
use crate::config::diffusion::names::{Table, number};
use crate::config::diffusion::unet::{Addition, UnetConfig};
use crate::config::language::wrong;
use crate::format::TensorInfo;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The tensors of a block, by the names that follow its numbers.
type Block<'a> = Vec<(&'a str, &'a TensorInfo)>;

/// A level of the network while it is read.
#[derive(Default)]
struct Level {
    channels: usize,
    /// Depth of the transformer of each layer; `None`: it has none.
    depths: Vec<Option<usize>>,
}

/// Returns whether the transformers project by matrices, as those of SD 2 and SDXL do.
pub(super) fn is_linear(part: &CheckpointPart<'_>) -> bool {
    part.tensors.iter().any(|(name, t)| name.ends_with(".proj_in.weight") && t.shape.len() == 2)
}

/// Returns the blocks under a prefix, by their number and that of the module within them.
fn blocks<'a>(part: &CheckpointPart<'a>, prefix: &str) -> BTreeMap<(usize, usize), Block<'a>> {
    let mut blocks: BTreeMap<_, Block<'a>> = BTreeMap::new();
    for (name, tensor) in &part.tensors {
        let numbers = name.strip_prefix(prefix).and_then(number);
        if let Some((i, rest)) = numbers
            && let Some((j, rest)) = if prefix == "middle_block." { Some((0, rest)) } else { number(rest) }
        {
            blocks.entry((i, j)).or_default().push((rest, tensor));
        }
    }
    blocks
}

fn shape<'a>(block: &Block<'a>, name: &str) -> Option<&'a [usize]> {
    block.iter().find(|(n, _)| *n == name).map(|(_, t)| &t.shape[..])
}

/// Returns how many transformers follow each other in a block.
fn depth(block: &Block<'_>) -> usize {
    let numbers = block.iter().filter_map(|(name, _)| number(name.strip_prefix("transformer_blocks.")?));
    numbers.map(|(k, _)| k + 1).max().unwrap_or(0)
}

/// Notes where the tensors of `block` are. Those of a residual block are renamed.
fn place(map: &mut TensorMap, to: &str, block: &Block<'_>, resnet: bool) {
    for (name, tensor) in block {
        let name = if resnet { Table::Resnet.find(name) } else { Some(name.to_string()) };
        if let Some(name) = name {
            map.insert(format!("unet.{to}.{name}"), (tensor.name.clone(), Take::Whole));
        }
    }
}

/// Reads one way through the network. `sampler`: the name of the convolution that ends a level, and its new name.
fn way(
    part: &CheckpointPart<'_>,
    prefix: &str,
    to: &str,
    sampler: [&str; 2],
    map: &mut TensorMap,
) -> Result<Vec<Level>> {
    let mut levels: Vec<Level> = Vec::new();
    let (mut ended, mut resnet) = (true, None);
    for ((i, j), block) in blocks(part, prefix) {
        if prefix == "input_blocks." && i == 0 {
            continue;
        }
        let at = levels.len().saturating_sub(1);
        if let Some(name) = block.iter().find_map(|(name, _)| name.strip_suffix(".weight").filter(|n| sampler[0] == *n))
        {
            let moved: Block<'_> =
                block.iter().filter_map(|(n, t)| Some((n.strip_prefix(name)?.strip_prefix('.')?, *t))).collect();
            place(map, &format!("{to}.{at}.{}", sampler[1]), &moved, false);
            ended = true;
        } else if j == 0 {
            if std::mem::take(&mut ended) {
                levels.push(Level::default());
            }
            let at = levels.len() - 1;
            let channels = shape(&block, "out_layers.3.weight").and_then(|s| s.first().copied());
            levels[at].channels =
                channels.ok_or_else(|| Error::Missing { tensor: format!("{prefix}{i}.0.out_layers.3.weight") })?;
            place(map, &format!("{to}.{at}.resnets.{}", levels[at].depths.len()), &block, true);
            levels[at].depths.push(None);
            resnet = Some(i);
        } else if let Some(layer) = levels.get_mut(at).filter(|_| resnet == Some(i)).map(|l| &mut l.depths)
            && let (Some(last), depth @ 1..) = (layer.len().checked_sub(1), depth(&block))
        {
            layer[last] = Some(depth);
            place(map, &format!("{to}.{at}.attentions.{last}"), &block, false);
        } else {
            let what = format!("`{prefix}{i}.{j}` is no block that there is; choose a Stable Diffusion checkpoint");
            return Err(Error::unsupported(format!("{}: {what}", part.file)));
        }
    }
    Ok(levels)
}

/// Returns the depth of a level's transformers, the same in all of its layers.
fn uniform(level: &Level, file: &str) -> Result<Option<usize>> {
    if level.depths.windows(2).any(|w| w[0] != w[1]) {
        let what = "transformers of different depths in one block are not supported; choose another checkpoint";
        return Err(Error::unsupported(format!("{file}: {what}")));
    }
    Ok(level.depths.first().copied().flatten())
}

/// Returns the configuration, and where each tensor is. `pooled`: elements of the projected text, where it is known.
pub(super) fn read(
    part: &CheckpointPart<'_>,
    kind: CheckpointKind,
    pooled: Option<usize>,
    map: &mut TensorMap,
) -> Result<UnetConfig> {
    let file = part.file;
    for (name, tensor) in &part.tensors {
        if let Some(to) = Table::Once.find(name) {
            map.insert(format!("unet.{to}"), (tensor.name.clone(), Take::Whole));
        }
    }
    let down = way(part, "input_blocks.", "down_blocks", ["op", "downsamplers.0.conv"], map)?;
    let up = way(part, "output_blocks.", "up_blocks", ["conv", "upsamplers.0.conv"], map)?;
    let fits = |(down, up): (&Level, &Level)| down.depths.len() + 1 == up.depths.len() && down.channels == up.channels;
    if down.is_empty() || down.len() != up.len() || !down.iter().zip(up.iter().rev()).all(fits) {
        return Err(wrong(file, "the network's ways down and up do not fit each other"));
    }
    let mut mid = None;
    for ((i, _), block) in blocks(part, "middle_block.") {
        match (i, depth(&block)) {
            (0 | 2, 0) => place(map, &format!("mid_block.resnets.{}", i / 2), &block, true),
            (1, 1..) => place(map, "mid_block.attentions.0", &block, false),
            _ => return Err(wrong(file, "the network's middle has blocks in another order")),
        }
        mid = Some(mid.unwrap_or(0).max(depth(&block)));
    }
    let depths = |levels: &[Level]| levels.iter().map(|l| uniform(l, file)).collect::<Result<Vec<_>>>();
    let (down_depths, up_depths) = (depths(&down)?, depths(&up)?);
    let mut transformer_layers: Vec<usize> = down_depths.iter().map(|d| d.unwrap_or(1)).collect();
    let mut up_transformer_layers: Vec<usize> = up_depths.iter().map(|d| d.unwrap_or(1)).collect();
    if let (Some(depth @ 1..), Some(last)) = (mid, transformer_layers.last_mut()) {
        if down_depths.last().is_some_and(Option::is_none) {
            *last = depth;
            // Nothing reads this; so it is what a file would say that gives a depth for each level.
            up_transformer_layers[0] = up_depths[0].unwrap_or(depth);
        } else if *last != depth {
            return Err(wrong(file, "the transformers in the middle are not as deep as those before"));
        }
    }
    let block_out_channels: Vec<usize> = down.iter().map(|l| l.channels).collect();
    let heads = |&c: &usize| if kind == CheckpointKind::Sd1 { 8 } else { (c / 64).max(1) };
    let context = part.tensors.iter().find(|(name, _)| name.ends_with(".attn2.to_k.weight"));
    let Some(cross_attention_dim) = context.and_then(|(_, t)| t.shape.get(1).copied()) else {
        return Err(wrong(file, "no transformer of the network reads the prompt"));
    };
    let addition = match part.has("label_emb.0.0.weight") {
        true => Some(addition(part.dim("label_emb.0.0.weight", 1)?, pooled)),
        false => None,
    };
    let config = UnetConfig {
        in_channels: part.dim("input_blocks.0.0.weight", 1)?,
        out_channels: part.dim("out.2.weight", 0)?,
        sample_size: [64; 2],
        down_attention: down_depths.iter().map(Option::is_some).collect(),
        up_attention: up_depths.iter().map(Option::is_some).collect(),
        mid: mid.map(|depth| depth > 0),
        layers_per_block: down.iter().map(|l| l.depths.len()).collect(),
        transformer_layers,
        up_transformer_layers,
        heads: block_out_channels.iter().map(heads).collect(),
        cross_attention_dim,
        norm_num_groups: groups(&block_out_channels),
        norm_eps: 1e-5,
        use_linear_projection: is_linear(part),
        flip_sin_to_cos: true,
        freq_shift: 0.0,
        time_embed_dim: part.dim("time_embed.0.weight", 0)?,
        time_cond_proj_dim: match part.has("time_embed.cond_proj.weight") {
            true => Some(part.dim("time_embed.cond_proj.weight", 1)?),
            false => None,
        },
        addition,
        block_out_channels,
    };
    config.checked(file)
}

/// Finds the embedding of sizes, of which there are six: what is left of `projection_input` elements beside the pooled
/// text.
fn addition(projection_input: usize, pooled: Option<usize>) -> Addition {
    let sizes =
        pooled.and_then(|pooled| projection_input.checked_sub(pooled)).filter(|n| *n > 0 && n.is_multiple_of(6));
    Addition { time_embed_dim: sizes.map_or(256, |n| n / 6), projection_input }
}
