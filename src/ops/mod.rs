//! Ops: methods on [`Tensor`](crate::gpu::Tensor), one file each, with the same stem as their shader. An op records one
//! dispatch; where a weight is stored in several slices, one for each slice.

mod activation;
mod add;
mod attend;
mod attention;
mod concat;
mod conv2d;
mod copy_rows;
mod denoise;
mod embed;
mod geglu;
mod group_norm;
mod last_row;
mod layer_norm;
mod linear;
mod map;
mod multiply_add;
mod rescale;
mod rms_norm;
mod rope_append;
mod sample;
mod silu_mul;
mod stream_read;
mod tiles;
mod variants;

pub use activation::{Activation, Gate};
pub use attend::Attend;
pub use attention::{Attention, SPLITS};
pub use conv2d::{CHANNEL_BLOCK, Conv};
pub use denoise::{Denoise, KEPT_PLANES, PLANES, STAGE};
pub use group_norm::{GroupNorm, Sums};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use map::{Map, Rows};
pub use rope_append::{KvLayer, Rope, turns};
pub use sample::{RECENT, Sampling};
pub use stream_read::stream_read;
pub use variants::parts;

use crate::gpu::{Kernel, OpBuilder, Region, Tensor};

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
    &silu_mul::SILU_MUL,
    &last_row::LAST_ROW,
    &sample::SAMPLE_SCAN,
    &sample::SAMPLE_PICK,
    &layer_norm::LAYER_NORM,
    &group_norm::GROUP_NORM_SUMS,
    &group_norm::GROUP_NORM,
    &conv2d::CONV2D,
    &conv2d::CONV2D_SERIAL,
    &conv2d::CONV2D_WINOGRAD,
    &attend::ATTEND,
    &geglu::GEGLU,
    &concat::CONCAT,
    &add::ADD,
    &rescale::RESCALE,
    &copy_rows::COPY_ROWS,
    &denoise::DENOISE,
    &stream_read::STREAM_READ,
    &multiply_add::MULTIPLY_ADD,
];

/// How many of a chunk's rows hold tokens is known only on the device: `state[1]`.
pub(crate) trait Bounded<'g> {
    /// Binds the state next and lets it bound the rows, or leaves the binding unused.
    fn bounded(self, state: Option<&Region>) -> Self;
}

impl<'g> Bounded<'g> for OpBuilder<'g> {
    fn bounded(self, state: Option<&Region>) -> Self {
        match state {
            Some(region) => self.set("BOUNDED", true).region(region),
            None => self.nothing(),
        }
    }
}

/// Rows of four elements.
pub(crate) fn quads(t: Tensor<'_>) -> u32 {
    (t.stride() / 4) as u32
}
