//! Reads a region once and does next to nothing with it: what an adapter's memory can do.

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Graph, Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static STREAM_READ: Kernel = Kernel {
    name: "stream_read",
    source: wgsl!(include_str!("../../shaders/stream_read.wgsl")),
    bindings: &[Read, Write],
    fields: ReadParams::FIELDS,
};

params! { struct ReadParams { quads: u32 } }

/// Invocations of a workgroup, and loads of each that are under way together.
const WORKGROUP: usize = 256;
const LOADS: usize = 4;

/// Computes the exclusive ors of what each of `workgroups` * 256 invocations reads, as bits: `[workgroups, 256]`. The
/// bytes of `x` must be a multiple of 16 KiB times the number of workgroups, so that all do the same.
///
/// # Panics
/// If they are not.
#[track_caller]
pub fn stream_read<'g>(graph: &'g Graph, x: &Region, workgroups: usize) -> Tensor<'g> {
    let quads = x.size as usize / 16;
    assert!(quads.is_multiple_of(workgroups * WORKGROUP * LOADS), "stream_read: {} bytes", x.size);
    let y = graph.tensor([workgroups, WORKGROUP]);
    let op = graph.op(&STREAM_READ).region(x).bind(y).params(ReadParams { quads: quads as u32 });
    op.dispatch([workgroups, 1, 1]);
    y
}
