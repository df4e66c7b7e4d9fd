//! Group normalisation (Wu and He 2018), in two dispatches: sums, then what they make of every pixel.
//! [N, H, W, C] -> same

use super::map::Map;
use super::variants::{groups, reduce};
use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Tensor, Weight, params, wgsl};

pub(super) static GROUP_NORM_SUMS: Kernel = Kernel {
    name: "group_norm_sums",
    source: wgsl!(include_str!("../../shaders/group_norm_sums.wgsl")),
    bindings: &[Read, Write, Read],
    fields: SumsParams::FIELDS,
};

pub(super) static GROUP_NORM: Kernel = Kernel {
    name: "group_norm",
    source: wgsl!(include_str!("../../shaders/group_norm.wgsl")),
    bindings: &[Read, Read, Read, Read, Write],
    fields: GroupNormParams::FIELDS,
};

params! {
    struct SumsParams {
        n: u32, groups: u32, channels: u32, stride: u32, pixels: u32, width: u32, stretch: u32, stretches: u32,
        slots: u32, height: u32, mul: i32, add: i32,
    }
}
params! {
    struct GroupNormParams {
        n: u32, channels: u32, quads: u32, size: u32, groups: u32, pixels: u32, run: u32, runs: u32, slots: u32,
        eps: f32,
    }
}

/// Elements of a group that one group of lanes sums up, about.
const STRETCH: usize = 8192;
/// More stretches of a picture would cost more to put together than they save.
const STRETCHES: usize = 32;

/// A layer's weights.
#[derive(Clone)]
pub struct GroupNorm {
    /// [C]
    pub weight: Weight,
    /// [C]
    pub bias: Weight,
    /// How many groups the channels make.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
}

/// Where the sums of a picture's bands are gathered: [slots, groups] quads.
#[derive(Clone, Copy)]
pub struct Sums<'g> {
    /// The values.
    pub t: Tensor<'g>,
    /// Stretches in a picture, over all bands.
    pub slots: usize,
}

impl<'g> Map<'g> {
    /// Normalises, and applies SiLU if `silu`.
    #[track_caller]
    pub fn group_norm(self, norm: &GroupNorm, silu: bool) -> Self {
        let elements = self.rows.count * self.w * (self.channels() / norm.groups);
        let stretches = elements.div_ceil(STRETCH).clamp(1, STRETCHES);
        let sums = Sums { t: self.t.graph().tensor([self.n * stretches * norm.groups, 4]), slots: stretches };
        self.sums_into(norm, sums, stretches);
        self.normalized(norm, sums, silu)
    }

    /// Leaves the sums of these rows, as `stretches` stretches; those of a band where the other bands' are.
    #[track_caller]
    pub fn sums_into(self, norm: &GroupNorm, sums: Sums<'g>, stretches: usize) {
        let graph = self.t.graph();
        let pixels = self.rows.count * self.w;
        assert!(self.channels().is_multiple_of(norm.groups), "group_norm: {} channels", self.channels());
        let op = reduce(graph.op(&GROUP_NORM_SUMS), graph.gpu());
        let banded = self.rows.mul != 0;
        let op = op.set("BANDED", banded).bind(self.t).bind(sums.t);
        let op = match banded {
            true => op.region(graph.band()),
            false => op.nothing(),
        };
        op.params(SumsParams {
            n: self.n as u32,
            groups: norm.groups as u32,
            channels: (self.channels() / norm.groups) as u32,
            stride: self.t.stride() as u32,
            pixels: pixels as u32,
            width: self.w as u32,
            stretch: pixels.div_ceil(stretches) as u32,
            stretches: stretches as u32,
            slots: sums.slots as u32,
            height: self.rows.height as u32,
            mul: self.rows.mul,
            add: self.rows.add,
        })
        .dispatch_linear((self.n * stretches * norm.groups).div_ceil(groups(graph.gpu())));
    }

    /// Normalises by sums that are there already.
    #[track_caller]
    pub fn normalized(self, norm: &GroupNorm, sums: Sums<'g>, silu: bool) -> Self {
        let y = self.with(self.t.graph().tensor(self.t.shape()));
        self.normalized_into(norm, sums, silu, y);
        y
    }

    /// Normalises by sums that are there already, into a map of the same places.
    #[track_caller]
    pub fn normalized_into(self, norm: &GroupNorm, sums: Sums<'g>, silu: bool, into: Self) {
        let (graph, y) = (self.t.graph(), into.t);
        assert_eq!(norm.weight.shape().dims(), [self.channels()], "group_norm: the weights");
        assert_eq!(y.shape(), self.t.shape(), "group_norm: where to write");
        let pixels = self.rows.count * self.w;
        let run = if pixels >= 4096 { 64 } else { 16 };
        let (quads, runs) = (super::quads(self.t) as usize, pixels.div_ceil(run));
        graph
            .op(&GROUP_NORM)
            .set("SILU", silu)
            .bind(self.t)
            .bind(sums.t)
            .vector(Some(&norm.weight))
            .vector(Some(&norm.bias))
            .bind(y)
            .params(GroupNormParams {
                n: self.n as u32,
                channels: self.channels() as u32,
                quads: quads as u32,
                size: (self.channels() / norm.groups) as u32,
                groups: norm.groups as u32,
                pixels: pixels as u32,
                run: run as u32,
                runs: runs as u32,
                slots: sums.slots as u32,
                eps: norm.eps,
            })
            .dispatch_linear((self.n * quads * runs).div_ceil(64));
    }
}
