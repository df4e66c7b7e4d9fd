//! A case made ready to run: made-up weights and activations on the GPU, and a plan.

use crate::cases::{Case, Op};
use inkstone::dtype::DType;
use inkstone::gpu::{Buffer, Family, Gpu, Graph, Plan, Region, Weight, WeightStore};
use inkstone::load::repack::planes;
use inkstone::ops::{
    Attend, Attention, Conv, Gate, GroupNorm, Input, KvLayer, Linear, Map, Rotation, Rows, SPLITS, Splits,
};
use inkstone::shape::Shape;
use pollster::block_on;
use std::rc::Rc;

/// Weights that a cache would hold are read from memory in a model, since others come in between: so many bytes of
/// copies are read in turn.
const COLD: usize = 256 << 20;

/// A plan, and how often it does what is measured.
pub struct Subject {
    pub plan: Plan,
    pub copies: usize,
}

/// Words whose bytes, halves and floats are all small numbers.
fn fill(region: &Region) {
    const WORD: [u8; 4] = 0x3123_2d12u32.to_le_bytes();
    const CHUNK: usize = 4 << 20;
    let chunk = WORD.repeat(CHUNK / 4);
    for at in (0..region.size as usize).step_by(CHUNK) {
        region.write(at as u64, &chunk[..CHUNK.min(region.size as usize - at)]);
    }
}

fn weight(gpu: &Rc<Gpu>, dtype: DType, n: usize, k: usize) -> Weight {
    let store = WeightStore::new(gpu);
    let p = planes(dtype);
    let blocks = k.div_ceil(dtype.block_len().max(32));
    // As the loader does: what exceeds a binding is several slices.
    let most = (gpu.adapter().max_binding as usize / (blocks * p.quants.max(p.scales))).min(n);
    let slices: Vec<_> = (0..n)
        .step_by(most)
        .map(|row| {
            let rows = most.min(n - row);
            store.reserve(dtype, row, rows, (rows * blocks * p.quants) as u64, (rows * blocks * p.scales) as u64)
        })
        .collect();
    block_on(store.commit()).expect("memory for weights");
    for slice in &slices {
        fill(&slice.quants());
        if p.scales > 0 {
            fill(&slice.scales());
        }
    }
    Weight::new(Shape::from([n, k]), slices)
}

fn activation(gpu: &Rc<Gpu>, rows: usize, columns: usize) -> Region {
    let region = Buffer::storage(gpu, "input", (rows * columns * 4) as u64).region();
    fill(&region);
    region
}

/// Prepares a case.
pub fn prepare(gpu: &Rc<Gpu>, case: &Case) -> Subject {
    let graph = Graph::new(gpu);
    // A software adapter takes too long over more than one, and its caches hold little.
    let copies = match (case.op, gpu.adapter().family) {
        (Op::Linear { t: 1, .. } | Op::Merge { .. }, family) if family != Family::Software => {
            (COLD / case.bytes as usize).max(1)
        }
        _ => 1,
    };
    match case.op {
        Op::Linear { t, n, k, dtype, gated } => {
            let rows = if gated { 2 * n } else { n };
            let x = graph.given(&activation(gpu, t, k), [t, k]);
            for _ in 0..copies {
                let w = weight(gpu, dtype, rows, k);
                x.linear_with(&w, Linear { gate: gated.then_some(Gate::Silu), ..Linear::default() });
            }
        }
        Op::Merge { n, heads, head_dim } => {
            let size = heads * SPLITS * (head_dim + 2);
            let parts = graph.given(&activation(gpu, 1, size), [size]);
            let splits = Input::Splits(Splits { parts, heads, value_dim: head_dim });
            for _ in 0..copies {
                splits.linear(&weight(gpu, DType::Q4_0, n, heads * head_dim), Linear::default());
            }
        }
        Op::Conv { n, h, from, to, side } => {
            let x = activation(gpu, n * h * h, from);
            let x = Map::new(graph.given(&x, [n * h * h, from]), n, h, Rows::all(h));
            let w = weight(gpu, DType::F16, to, side * side * from);
            x.conv2d(&w, Conv { pad: [side / 2; 2], ..Conv::default() });
        }
        Op::Attend { n, t, s, heads, head_dim } => {
            let (q, k, v) = (
                activation(gpu, n * t, heads * head_dim),
                activation(gpu, n * s, heads * head_dim),
                activation(gpu, n * s, heads * head_dim),
            );
            let rows = |region: &Region, rows: usize| (graph.given(region, [n * rows, heads * head_dim]), 0);
            Attend { n, heads, head_dim, q: rows(&q, t), k: rows(&k, s), v: rows(&v, s), causal: false }.run();
        }
        Op::Attention { t, before, heads, kv_heads, head_dim } => {
            let capacity = before + t;
            let plane = || {
                let region = Buffer::storage(gpu, "cache", (kv_heads * capacity * head_dim * 2) as u64).region();
                fill(&region);
                region
            };
            let kv = KvLayer { k: plane(), v: plane(), capacity, ring: false, exact: false };
            let frequencies = Buffer::storage(gpu, "frequencies", (head_dim / 2 * 4) as u64).region();
            let state = Buffer::storage(gpu, "state", 1024).region();
            state.write(0, bytemuck::cast_slice(&[before as u32, t as u32]));
            let rotation =
                Some(Rotation { dims: head_dim, interleaved: false, frequencies: &frequencies, factor: 1.0 });
            let attention = Attention { rotation, ..Attention::new([heads, kv_heads, head_dim], &kv, &state) };
            let x = activation(gpu, t, attention.row());
            attention.run(graph.given(&x, [t, attention.row()]));
        }
        Op::GroupNorm { n, h, channels } => {
            let x = activation(gpu, n * h * h, channels);
            let x = Map::new(graph.given(&x, [n * h * h, channels]), n, h, Rows::all(h));
            let vector =
                || Weight::new(Shape::from([channels]), weight(gpu, DType::F32, 1, channels).slices().to_vec());
            x.group_norm(&GroupNorm { weight: vector(), bias: vector(), groups: 32, eps: 1e-5 }, true);
        }
    }
    Subject { plan: block_on(Plan::new(graph)).expect("a plan"), copies }
}
