//! A case of the self-test: made-up numbers, a graph, and the comparison of its result.

use crate::Result;
use crate::dtype::{BLOCK, DType};
use crate::gpu::{Batch, Buffer, Gpu, Graph, Kept, Plan, Region, Tensor, Weight, WeightStore};
use crate::load::encode;
use crate::load::repack::{Planes, planes, repack};
use half::f16;
use serde::Serialize;
use std::rc::Rc;

/// The test result of one kernel.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KernelReport {
    /// The kernel's name.
    pub name: String,
    /// Its variant.
    pub variant: String,
    /// Whether it agrees with the CPU.
    pub ok: bool,
    /// Its normalised mean squared error.
    pub error: f64,
}

/// A larger error is a defect: that of f16 keys and values is three orders of magnitude smaller.
pub(in crate::probe) const AGREEMENT: f64 = 1e-5;

/// Makes numbers in -1..1 that repeat only after long, the same everywhere.
pub(in crate::probe) fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (s >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Makes numbers that are whole when multiplied by 64; in every block of 32 the first of these is 127, so that rounding
/// to eight bits is exact.
pub(in crate::probe) fn bytes(n: usize, seed: u32) -> Vec<f32> {
    let of = |(i, v): (usize, f32)| if i % BLOCK == 0 { 127.0 } else { (v * 127.0).round() };
    noise(n, seed).into_iter().enumerate().map(|all| of(all) / 64.0).collect()
}

/// Puts values into a buffer of their own.
pub(in crate::probe) fn upload(gpu: &Rc<Gpu>, values: &[f32]) -> Region {
    let buffer = Buffer::storage(gpu, "self-test", (values.len() * 4) as u64);
    buffer.write(0, bytemuck::cast_slice(values));
    buffer.region()
}

/// Makes a weight [n, k] of one slice; returns also the values that it holds.
pub(in crate::probe) async fn weight(
    gpu: &Rc<Gpu>,
    dtype: DType,
    shape: &[usize],
    seed: u32,
) -> Result<(Weight, Vec<f32>)> {
    let len: usize = shape.iter().product();
    let mut values = noise(len, seed);
    let mut blocks: Vec<u8> = match dtype {
        DType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F16 => {
            values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32());
            values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
        }
        _ => {
            let blocks = encode(dtype, &values);
            values = decoded(dtype, &blocks);
            blocks
        }
    };
    if shape.len() == 1 {
        blocks.resize(blocks.len().next_multiple_of(4 * BLOCK), 0);
    }
    let (mut quants, mut scales) = (Vec::new(), Vec::new());
    repack(dtype, &blocks, &mut quants, &mut scales);
    let rows = if shape.len() == 1 { 1 } else { shape[0] };
    let store = WeightStore::new(gpu);
    let Planes { scales: has_scales, .. } = planes(dtype);
    let slice =
        store.reserve(dtype, 0, rows, quants.len() as u64, if has_scales == 0 { 0 } else { scales.len() as u64 });
    store.commit().await?;
    slice.quants().write(0, &quants);
    if has_scales > 0 {
        slice.scales().write(0, &scales);
    }
    Ok((Weight::new(shape.into(), vec![slice]), values))
}

/// Decodes blocks of `Q8_0` or `Q4_0`.
fn decoded(dtype: DType, blocks: &[u8]) -> Vec<f32> {
    let mut out = Vec::new();
    for block in blocks.chunks(dtype.block_bytes()) {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let q = &block[2..];
        out.extend((0..BLOCK).map(|i| match dtype {
            DType::Q8_0 => f32::from(q[i] as i8) * scale,
            _ if i < 16 => (f32::from(q[i] & 15) - 8.0) * scale,
            _ => (f32::from(q[i - 16] >> 4) - 8.0) * scale,
        }));
    }
    out
}

/// A graph with one result to compare.
pub(in crate::probe) struct Recorded {
    graph: Graph,
    kept: Kept,
    rows: usize,
    cols: usize,
}

impl Recorded {
    /// Records a graph.
    pub fn new(gpu: &Rc<Gpu>, record: impl for<'g> FnOnce(&'g Graph) -> Tensor<'g>) -> Recorded {
        let graph = Graph::new(gpu);
        let (kept, [rows, cols]) = {
            let y = record(&graph);
            (y.kept(), y.rows())
        };
        Recorded { graph, kept, rows, cols }
    }

    /// Runs it; returns the plan, and the result without padding.
    ///
    /// # Errors
    /// [`Error::Gpu`](crate::Error::Gpu) if a kernel does not compile or the device is lost.
    pub async fn run(self, gpu: &Rc<Gpu>) -> Result<(Plan, Vec<f32>)> {
        let plan = Plan::new(self.graph).await?;
        let mut batch = Batch::new(gpu);
        batch.run(&plan);
        batch.submit();
        let got = gpu.read_rows(plan.region(self.kept), self.rows, self.cols).await?;
        Ok((plan, got))
    }

    /// Runs it and compares.
    ///
    /// # Errors
    /// Those of [`Recorded::run`].
    pub async fn check(self, gpu: &Rc<Gpu>, name: String, want: &[f64]) -> Result<KernelReport> {
        let variant = self.graph.variants().iter().map(|v| v.label()).collect::<Vec<_>>().join("; ");
        let (_, got) = self.run(gpu).await?;
        let error = nmse(&got, want.iter().copied());
        // Written so that NaN is not ok.
        Ok(KernelReport { name, variant, ok: error <= AGREEMENT, error })
    }
}

/// Computes the normalised mean squared error: the sum of squared errors over the sum of squares of `want`.
pub(in crate::probe) fn nmse(got: &[f32], want: impl Iterator<Item = f64> + Clone) -> f64 {
    let wrong: f64 = got.iter().zip(want.clone()).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum();
    wrong / want.map(|w| w * w).sum::<f64>()
}
