//! Every variant of every kernel that the ops can record, by recording them: a table of configurations on every setup.

#![allow(dead_code)] // each user needs a part

use inkstone::dtype::DType;
use inkstone::gpu::{Buffer, Choice, Gpu, Graph, Region, Tensor, Tier, Variant, Weight, WeightStore};
use inkstone::load::repack::planes;
use inkstone::ops::{
    Activation, Attend, Attention, CHANNEL_BLOCK, Conv, Denoise, Gate, GroupNorm, KvLayer, LayerNorm, Linear, Map,
    Rope, Rows, Sampling, Sums, stream_read,
};
use inkstone::shape::Shape;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Head dimensions of published models, and odd ones.
const HEAD_DIMS: [usize; 9] = [4, 20, 32, 64, 80, 96, 112, 128, 256];
/// Head dimensions of diffusion models, and odd ones.
const ATTEND_DIMS: [usize; 15] = [1, 2, 3, 4, 5, 8, 10, 32, 40, 64, 80, 128, 160, 320, 512];
const ACTIVATIONS: [Activation; 4] = [Activation::Silu, Activation::Gelu, Activation::QuickGelu, Activation::Relu];
/// Heads that share a key-value head.
const GROUPS: [usize; 7] = [1, 2, 3, 4, 5, 7, 8];
/// Heads enough for a GPU's tall tiles.
const MANY: usize = 256;
/// Smallest subgroups that devices have.
const SUBGROUPS: [u32; 4] = [4, 8, 16, 32];

/// What the recorded ops are bound to: large enough for every configuration, never run.
struct Memory {
    gpu: Rc<Gpu>,
    region: Region,
    other: [Region; 4],
}

impl Memory {
    fn weight(&self, dtype: DType, rows: usize, cols: usize) -> Weight {
        let store = WeightStore::new(&self.gpu);
        let p = planes(dtype);
        let blocks = cols.div_ceil(dtype.block_len().max(32)) * rows;
        let slice = store.reserve(dtype, 0, rows, (blocks * p.quants) as u64, (blocks * p.scales) as u64);
        pollster::block_on(store.commit()).expect("memory for a weight");
        Weight::new(Shape::from([rows, cols]), vec![slice])
    }

    fn vector(&self, n: usize) -> Weight {
        let store = WeightStore::new(&self.gpu);
        let slice = store.reserve(DType::F32, 0, 1, (n.next_multiple_of(4) * 4) as u64, 0);
        pollster::block_on(store.commit()).expect("memory for a vector");
        Weight::new(Shape::from([n]), vec![slice])
    }

    fn rows<'g>(&self, g: &'g Graph, t: usize, last: usize) -> Tensor<'g> {
        g.given(&self.region, [t, last])
    }
}

/// Every variant that the ops record on these devices, by label, in order.
pub fn variants(gpus: &[Rc<Gpu>]) -> BTreeMap<String, Variant> {
    let mut all = BTreeMap::new();
    for gpu in gpus {
        let region = || Buffer::storage(gpu, "never run", 1 << 20).region();
        let memory = Memory { gpu: gpu.clone(), region: region(), other: [region(), region(), region(), region()] };
        let g = Graph::banded(gpu, &memory.other[0]);
        record_rows(&g, &memory);
        record_heads(&g, &memory);
        record_pictures(&g, &memory);
        for winograd in [false, true] {
            gpu.choose(Choice::Winograd, winograd);
            record_convolutions(&g, &memory);
        }
        gpu.choose(Choice::Winograd, false);
        for round in [true, false] {
            gpu.choose(Choice::Int8Prompts, round);
            gpu.choose(Choice::Int8Tokens, round);
            record_linear(&g, &memory);
        }
        for variant in g.variants() {
            for variant in on_devices(variant) {
                all.insert(variant.label(), variant);
            }
        }
    }
    all
}

/// The variant as devices with other subgroups than this one's get it.
fn on_devices(variant: Variant) -> Vec<Variant> {
    if variant.tier() < Tier::Subgroups {
        return vec![variant];
    }
    let with = |size: u32| {
        let mut v = variant.clone();
        v.overrides.iter_mut().filter(|o| o.0 == "SUBGROUP").for_each(|o| o.1 = size.min(lanes(&variant)).into());
        v
    };
    SUBGROUPS.into_iter().map(with).collect()
}

fn lanes(variant: &Variant) -> u32 {
    variant.overrides.iter().find(|o| o.0 == "LANES").map_or(u32::MAX, |o| o.1 as u32)
}

/// Embedding, norms, activations, sampling.
fn record_rows(g: &Graph, m: &Memory) {
    let state = &m.other[0];
    for bound in [None, Some(state)] {
        for dtype in DType::ALL {
            g.embed(&m.weight(dtype, 3, 256), &m.other[1], 5, bound);
        }
        m.rows(g, 5, 100).rms_norm(&m.vector(100), 1e-5, bound);
        m.rows(g, 5, 100).silu_mul(bound);
    }
    m.rows(g, 5, 100).last_row(state);
    let s = Sampling { settings: &m.other[1], history: &m.other[2], state, recent: &m.other[3] };
    m.rows(g, 1, 3000).sample(&s);
}

/// Linear layers: every encoding, every fusion.
fn record_linear(g: &Graph, m: &Memory) {
    let state = &m.other[0];
    for dtype in DType::ALL {
        for k in if dtype.is_float() { vec![256, 100] } else { vec![256] } {
            let (w, norm, bias) = (m.weight(dtype, 6, k), m.vector(k), m.vector(6));
            for (t, activation) in [1, 5].into_iter().flat_map(|t| ACTIVATIONS.map(|a| (t, a))) {
                m.rows(g, t, k).linear_with(&w, Linear { bias: Some(&bias), activation, ..Linear::default() });
            }
            for (t, state) in [(1, None), (5, None), (5, Some(state))] {
                for fused in 0..24 {
                    let on = |bit: usize| fused & (1 << bit) != 0;
                    let gate = [None, Some(Gate::Silu), Some(Gate::Geglu)][fused >> 3];
                    let with = Linear {
                        norm: on(0).then_some((&norm, 1e-5)),
                        bias: on(1).then_some(&bias),
                        residual: on(2).then(|| m.rows(g, t, if gate.is_some() { 3 } else { 6 })),
                        gate,
                        state,
                        ..Linear::default()
                    };
                    m.rows(g, t, k).linear_with(&w, with);
                }
            }
        }
        // So many tiles that a GPU's are tall.
        for gate in [None, Some(Gate::Silu)] {
            let x = g.tensor([512 * 64, 256]);
            x.linear_with(&m.weight(dtype, 6, 256), Linear { gate, ..Linear::default() });
        }
        for head_dim in if dtype == DType::F16 { &HEAD_DIMS[..] } else { &[64, 128][..] } {
            let w = m.weight(dtype, 6, 4 * head_dim.next_multiple_of(64));
            let k = w.shape().last();
            for bias in [None, Some(&m.vector(6))] {
                for residual in [None, Some(m.rows(g, 1, 6))] {
                    m.rows(g, 1, 8 * (k + 8)).merge_linear(&w, *head_dim, bias, residual);
                }
            }
        }
        // Rows so long that more lanes share one.
        for k in [1024, 2048] {
            let (w, norm) = (m.weight(dtype, 6, k), m.vector(k));
            for norm in [None, Some((&norm, 1e-5))] {
                m.rows(g, 1, k).linear_with(&w, Linear { norm, ..Linear::default() });
            }
        }
        if dtype.is_float() {
            m.rows(g, 1, 8 * 62).merge_linear(&m.weight(dtype, 6, 60), 20, None, None);
        }
    }
}

/// Rotation and attention: every head size and group.
fn record_heads(g: &Graph, m: &Memory) {
    let [state, frequencies, k, v] = &m.other;
    for head_dim in HEAD_DIMS {
        for group in GROUPS {
            for mask in 0..4 {
                let norm = m.vector(head_dim);
                let rope = Rope {
                    heads: 2 * group,
                    kv_heads: 2,
                    head_dim,
                    dims: head_dim,
                    interleaved: mask & 1 != 0,
                    frequencies,
                    factor: 1.0,
                    head_norm: (mask & 2 != 0).then_some((&norm, &norm, 1e-6)),
                    state,
                };
                let kv = KvLayer { k: k.clone(), v: v.clone(), capacity: 64, exact: mask == 1 };
                let attention = Attention { rope, kv: &kv, window: None };
                let width = (2 * group + 4) * head_dim;
                attention.prefill(m.rows(g, 3, width));
                if attention.can_decode(g.gpu()) {
                    attention.decode(m.rows(g, 1, width));
                }
                if group == 1 && mask < 2 {
                    // So many tiles that a GPU's are tall.
                    let rope = Rope { heads: MANY, kv_heads: MANY, ..attention.rope.clone() };
                    Attention { rope, ..attention }.prefill(m.rows(g, 1, 3 * MANY * head_dim));
                }
            }
        }
    }
}

/// What diffusion models have besides linear layers and convolutions.
fn record_pictures(g: &Graph, m: &Memory) {
    let [a, b, c, d] = &m.other;
    let x = m.rows(g, 6, 24);
    let (weight, bias) = (m.vector(24), m.vector(24));
    x.layer_norm(&LayerNorm { weight: weight.clone(), bias: bias.clone(), eps: 1e-5 });
    x.geglu();
    x.concat(x);
    x.add_rows(x);
    let norm = GroupNorm { weight, bias, groups: 8, eps: 1e-5 };
    for mul in [0, 1] {
        let map = Map::new(x, 1, 3, Rows { count: 2, height: 2, mul, add: 0 });
        let sums = Sums { t: g.tensor([8, 4]), slots: 1 };
        map.sums_into(&norm, sums, 1);
        for silu in [false, true] {
            map.normalized(&norm, sums, silu);
        }
        map.copy_rows(map.rows, map.with(g.tensor(x.shape())));
    }
    for limit in [None, Some(3.0)] {
        x.rescale(1.0, 0.0, limit);
    }
    stream_read(g, &m.other[0], 1);
    m.rows(g, 1, 1024).multiply_add(1);
    for (guided, kept) in [(false, None), (true, None), (false, Some(c)), (true, Some(c))] {
        x.denoise(&Denoise { stage: a, noise: b, kept, latents: d, input: &m.region, guided });
    }
    for head_dim in ATTEND_DIMS {
        let rows = m.rows(g, 6, head_dim);
        for causal in [false, true] {
            Attend { n: 1, heads: 1, head_dim, q: (rows, 0), k: (rows, 0), v: (rows, 0), causal }.run();
            let many = m.rows(g, MANY, head_dim);
            Attend { n: MANY, heads: 1, head_dim, q: (many, 0), k: (many, 0), v: (many, 0), causal }.run();
        }
    }
}

/// Convolutions: every encoding; with those that pictures' weights have, everything that is added.
fn record_convolutions(g: &Graph, m: &Memory) {
    let all = Rows::all(4);
    for dtype in DType::ALL {
        let (w, bias) = (m.weight(dtype, 6, 9 * CHANNEL_BLOCK), m.vector(6));
        for (channels, rows) in [(32, all), (20, all), (32, Rows { mul: 1, ..all }), (20, Rows { mul: 1, ..all })] {
            let x = Map::new(m.rows(g, 20, channels), 1, 5, Rows::all(4));
            let conv = |fused: usize, activation| {
                let on = |bit: usize| fused & (1 << bit) != 0;
                let with = Conv {
                    pad: [1, 1],
                    bias: on(0).then_some(&bias),
                    channels: on(1).then(|| (m.rows(g, 1, 6), 0)),
                    residual: on(2).then(|| Map::new(m.rows(g, 20, 6), 1, 5, all)),
                    activation,
                    rows: Some(rows),
                    ..Conv::default()
                };
                x.conv2d(&w, with);
            };
            if [DType::F16, DType::Q8_0].contains(&dtype) {
                (0..8).for_each(|fused| conv(fused, Activation::None));
                ACTIVATIONS.into_iter().for_each(|activation| conv(1, activation));
            } else {
                conv(1, Activation::None);
                conv(7, Activation::Silu);
            }
        }
        // So many pixels that a GPU's tiles are tall.
        let x = Map::new(m.rows(g, 256 * 64, 4), 1, 256, Rows::all(64));
        x.conv2d(&m.weight(dtype, 6, 9 * CHANNEL_BLOCK), Conv { pad: [1, 1], bias: Some(&bias), ..Conv::default() });
    }
}
