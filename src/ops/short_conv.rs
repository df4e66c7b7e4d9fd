//! A gated convolution over the latest positions: `c * conv(b * u)`.   [T, 3D] -> [T, D]

use super::Bounded;
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, Weight, params, wgsl};

pub(super) static SHORT_CONV: Kernel = Kernel {
    name: "short_conv",
    source: wgsl!(include_str!("../../shaders/short_conv.wgsl")),
    bindings: &[Read, Read, Read, Write, Write, Read],
    fields: ShortConvParams::FIELDS,
};

params! { struct ShortConvParams { t: u32, dim: u32, width: u32, x_stride: u32, y_stride: u32, capacity: u32 } }

/// A short convolution and what it remembers.
#[derive(Clone)]
pub struct ShortConv<'a> {
    /// [D * width], the oldest position first.
    pub weight: &'a Weight,
    /// [D]
    pub bias: Option<&'a Weight>,
    /// Positions that it sees, the latest included.
    pub width: usize,
    /// Products of earlier positions, a ring: `[capacity, D]`. It holds `width - 1` more than a chunk has rows.
    pub ring: &'a Region,
    /// Positions of the ring.
    pub capacity: usize,
    /// The step's state: see [`super::Attention`].
    pub state: &'a Region,
}

impl<'g> Tensor<'g> {
    /// Convolves rows of b, c and u side by side.
    #[track_caller]
    pub fn short_conv(self, conv: &ShortConv<'_>) -> Self {
        let [t, width] = self.rows();
        let dim = width / 3;
        assert_eq!(conv.weight.shape().dims(), [dim * conv.width], "the convolution's weights");
        assert!(t + conv.width - 1 <= conv.capacity, "short_conv: {t} rows in a ring of {}", conv.capacity);
        let y = self.graph().tensor([t, dim]);
        self.graph()
            .op(&SHORT_CONV)
            .set("BIASED", conv.bias.is_some())
            .bind(self)
            .vector(Some(conv.weight))
            .vector(conv.bias)
            .region(conv.ring)
            .bind(y)
            .bounded(Some(conv.state))
            .params(ShortConvParams {
                t: t as u32,
                dim: dim as u32,
                width: conv.width as u32,
                x_stride: self.stride() as u32,
                y_stride: y.stride() as u32,
                capacity: conv.capacity as u32,
            })
            .dispatch_linear((t * dim).div_ceil(64));
        y
    }
}
