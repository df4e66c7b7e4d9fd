//! Ops: methods on [`Tensor`](crate::gpu::Tensor), one file each, with the same stem as their shader. An op records one
//! dispatch; where a weight is stored in several slices, one for each slice.

mod activation;
mod add;
mod attend;
mod attention;
mod bounded;
mod concat;
mod conv2d;
mod copy_rows;
mod denoise;
mod embed;
mod gate;
mod group_norm;
mod heads;
mod input;
mod last_row;
mod layer_norm;
mod linear;
mod map;
mod merge;
mod multiply_add;
mod pool;
mod product;
mod rescale;
mod rms_norm;
mod rope_append;
mod sample;
mod short_conv;
mod stream_read;
mod tiles;
mod variants;

pub use activation::{Activation, Gate};
pub use attend::Attend;
pub(crate) use bounded::{Bounded, quads};
pub use conv2d::{CHANNEL_BLOCK, Conv};
pub use denoise::{Denoise, DenoiseStage, KEPT_PLANES, PLANES, STAGE};
pub use group_norm::{GroupNorm, Sums};
pub use heads::{Attention, HeadGate, HeadNorm, KvLayer, Packed, Relative, Rotation, turns};
pub use input::{Input, Norm, Normed};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use map::{Map, Rows};
pub use merge::{SPLITS, Splits};
pub use pool::Pool;
pub use product::Product;
pub use rms_norm::RmsNorm;
pub use sample::{RECENT, Sampling};
pub use short_conv::ShortConv;
pub use stream_read::stream_read;
pub use variants::parts;

use crate::gpu::Kernel;

/// Every kernel; the checks of shaders walk this list.
pub const KERNELS: &[&Kernel] = &[
    &embed::EMBED,
    &rms_norm::RMS_NORM,
    &linear::LINEAR_VEC,
    &linear::LINEAR_TILE,
    &linear::LINEAR_TILE_SERIAL,
    &rope_append::ROPE_APPEND,
    &attention::ATTENTION,
    &attention::ATTENTION_DECODE,
    &gate::GATE,
    &short_conv::SHORT_CONV,
    &last_row::LAST_ROW,
    &pool::POOL,
    &sample::SAMPLE_SCAN,
    &sample::SAMPLE_PICK,
    &layer_norm::LAYER_NORM,
    &group_norm::GROUP_NORM_SUMS,
    &group_norm::GROUP_NORM,
    &conv2d::CONV2D,
    &conv2d::CONV2D_SERIAL,
    &conv2d::CONV2D_WINOGRAD,
    &attend::ATTEND,
    &merge::MERGE,
    &concat::CONCAT,
    &add::ADD,
    &rescale::RESCALE,
    &copy_rows::COPY_ROWS,
    &denoise::DENOISE,
    &stream_read::STREAM_READ,
    &multiply_add::MULTIPLY_ADD,
];
