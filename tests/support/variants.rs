//! Every variant of every kernel that the ops can record, by recording them: a table of configurations on every setup.

use inkstone::dtype::DType;
use inkstone::gpu::{Buffer, Choice, Gpu, Graph, Region, Tensor, Tier, Variant, Weight, WeightStore};
use inkstone::load::repack::planes;
use inkstone::ops::{
    Activation, Attend, Attention, CHANNEL_BLOCK, Conv, Denoise, Gate, GroupNorm, HeadGate, HeadNorm, Input, KvLayer,
    LayerNorm, Linear, Map, Norm, Packed, Pool, Relative, RmsNorm, Rotation, Rows, SPLITS, Sampling, ShortConv, Splits,
    Sums, stream_read,
};
use inkstone::shape::Shape;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Head dimensions of published models, and odd ones.
const HEAD_DIMS: [usize; 9] = [4, 20, 32, 64, 80, 96, 112, 128, 256];
/// Head dimensions of diffusion models, and odd ones.
const ATTEND_DIMS: [usize; 15] = [1, 2, 3, 4, 5, 8, 10, 32, 40, 64, 80, 128, 160, 320, 512];
const ACTIVATIONS: [Activation; 6] = [
    Activation::Silu,
    Activation::Gelu,
    Activation::QuickGelu,
    Activation::Relu,
    Activation::GeluTanh,
    Activation::ReluSquared,
];
const GATES: [Gate; 6] = [Gate::Silu, Gate::Geglu, Gate::GeluTanh, Gate::Gelu, Gate::ReluSquared, Gate::Relu];
/// Head dimensions of keys and of values, where these differ or are large.
const UNEQUAL_DIMS: [[usize; 2]; 4] = [[512, 512], [192, 128], [64, 512], [48, 20]];
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
            g.embed(&m.weight(dtype, 3, 256), &m.other[1], 5, 1.0, bound);
        }
        let x = m.rows(g, 5, 100);
        for weight in [None, Some(m.vector(100))] {
            let norm = RmsNorm { weight: weight.clone(), eps: 1e-5 };
            for add in [None, Some((x, 0.5))] {
                x.rms_norm_add(&norm, add, bound);
            }
            for bias in [None, Some(m.vector(100))] {
                x.layer_norm_bounded(&LayerNorm { weight: weight.clone(), bias, eps: 1e-5 }, bound);
            }
        }
        x.gate(Gate::Silu, bound);
    }
    for dtype in DType::ALL {
        m.rows(g, 5, 256).add_positions(&m.weight(dtype, 3, 256), state);
        m.rows(g, 5, 256).add_embedded(&m.weight(dtype, 3, 256), &m.other[1], Some(state));
    }
    for bias in [None, Some(&m.vector(8))] {
        let (weight, ring) = (&m.vector(24), &m.other[1]);
        m.rows(g, 5, 24).short_conv(&ShortConv { weight, bias, width: 3, ring, capacity: 7, state });
    }
    m.rows(g, 5, 100).last_row(state);
    m.rows(g, 5, 100).pool(&[Pool::Mean], &m.other[1], 3, state);
    let s = Sampling { settings: &m.other[1], history: &m.other[2], state, recent: &m.other[3] };
    m.rows(g, 1, 3000).sample(&s);
}

/// Linear layers: every encoding, every fusion.
fn record_linear(g: &Graph, m: &Memory) {
    let state = &m.other[0];
    for dtype in DType::ALL {
        for k in if dtype.is_float() { vec![256, 100] } else { vec![256] } {
            let (w, bias, weight) = (m.weight(dtype, 6, k), m.vector(6), Some(m.vector(k)));
            let norm = Norm::Rms(RmsNorm { weight, eps: 1e-5 });
            for (t, activation) in [1, 5].into_iter().flat_map(|t| ACTIVATIONS.map(|a| (t, a))) {
                m.rows(g, t, k).linear_with(&w, Linear { bias: Some(&bias), activation, ..Linear::default() });
            }
            // What models have beside the fusions below.
            for t in [1, 5] {
                for gate in GATES {
                    m.rows(g, t, k).linear_with(&w, Linear { gate: Some(gate), ..Linear::default() });
                }
                m.rows(g, t, k).linear_with(&w, Linear { soft_cap: Some(30.0), ..Linear::default() });
                let with = Linear { gate: Some(Gate::GeluTanh), bias: Some(&bias), ..Linear::default() };
                m.rows(g, t, k).linear_with(&w, with);
            }
            for (t, state) in [(1, None), (5, None), (5, Some(state))] {
                for fused in 0..24 {
                    let on = |bit: usize| fused & (1 << bit) != 0;
                    let gate = [None, Some(Gate::Silu), Some(Gate::Geglu)][fused >> 3];
                    let with = Linear {
                        bias: on(1).then_some(&bias),
                        residual: on(2).then(|| m.rows(g, t, if gate.is_some() { 3 } else { 6 })),
                        gate,
                        state,
                        ..Linear::default()
                    };
                    Input::normed(m.rows(g, t, k), on(0).then_some(&norm), state).linear(&w, with);
                }
            }
        }
        // So many tiles that a GPU's are tall.
        for gate in [None, Some(Gate::Silu)] {
            let x = g.tensor([512 * 64, 256]);
            x.linear_with(&m.weight(dtype, 6, 256), Linear { gate, ..Linear::default() });
        }
        for head_dim in if dtype == DType::F16 { &HEAD_DIMS[..] } else { &[64, 128][..] } {
            // As many as make whole blocks.
            let heads = (1..).find(|heads| (heads * head_dim).is_multiple_of(256)).unwrap_or(1);
            let w = m.weight(dtype, 6, heads * head_dim);
            let parts = m.rows(g, 1, heads * SPLITS * (head_dim + 2));
            let splits = Input::Splits(Splits { parts, heads, value_dim: *head_dim });
            for bias in [None, Some(&m.vector(6))] {
                for residual in [None, Some(m.rows(g, 1, 6))] {
                    splits.linear(&w, Linear { bias, residual, ..Linear::default() });
                }
            }
        }
        // Rows so long that more lanes share one.
        for k in [1024, 2048] {
            let w = m.weight(dtype, 6, k);
            let norm = Norm::Rms(RmsNorm { weight: Some(m.vector(k)), eps: 1e-5 });
            for norm in [None, Some(&norm)] {
                Input::normed(m.rows(g, 1, k), norm, None).linear(&w, Linear::default());
            }
        }
        if dtype.is_float() {
            let splits = Splits { parts: m.rows(g, 1, 3 * SPLITS * 22), heads: 3, value_dim: 20 };
            Input::Splits(splits).linear(&m.weight(dtype, 6, 60), Linear::default());
        }
    }
}

/// Rotation and attention: every head size and group.
fn record_heads(g: &Graph, m: &Memory) {
    let [state, frequencies, k, v] = &m.other;
    let record = |a: &Attention<'_>| {
        a.prefill(m.rows(g, 3, a.row()));
        if a.packed.is_none() && a.can_decode(g.gpu()) {
            a.decode(m.rows(g, 1, a.row())).merge();
        }
    };
    let kv = |ring: bool, exact: bool| KvLayer { k: k.clone(), v: v.clone(), capacity: 64, ring, exact };
    let rotation = |dims: usize, interleaved: bool| Some(Rotation { dims, interleaved, frequencies, factor: 1.0 });
    for head_dim in HEAD_DIMS {
        let weights = m.vector(2 * head_dim);
        for group in GROUPS {
            for mask in 0..4 {
                let kv = kv(false, mask == 1);
                let norm = HeadNorm { weights: &weights, whole_row: false, after_rope: false, eps: 1e-6 };
                let attention = Attention {
                    rotation: rotation(head_dim, mask & 1 != 0),
                    norm: (mask & 2 != 0).then_some(norm),
                    ..Attention::new([2 * group, 2, head_dim], &kv, state)
                };
                record(&attention);
                if group == 1 && mask < 2 {
                    // So many tiles that a GPU's are tall.
                    let many = Attention { heads: MANY, kv_heads: MANY, ..attention.clone() };
                    many.prefill(m.rows(g, 1, many.row()));
                }
            }
        }
    }
    for [key_dim, value_dim] in UNEQUAL_DIMS {
        for (group, exact) in [(1, false), (4, false), (1, true)] {
            let kv = kv(false, exact);
            record(&Attention { value_dim, ..Attention::new([2 * group, 2, key_dim], &kv, state) });
        }
    }
    let biases = m.vector(64);
    for (head_dim, group) in [(12, 1), (32, 1), (64, 1), (64, 2), (128, 2), (256, 3), (64, MANY / 2)] {
        let kv = kv(false, true);
        let weights = m.vector(2 * head_dim);
        let norm = Some(HeadNorm { weights: &weights, whole_row: false, after_rope: false, eps: 1e-6 });
        for relative in [None, Some(Relative { biases: &biases, buckets: 64, reach: 8 })] {
            let packed = Some(Packed { ahead: None, relative });
            let base = Attention { packed, ..Attention::new([2 * group, 2, head_dim], &kv, state) };
            record(&base);
            record(&Attention { rotation: rotation(head_dim, false), norm, ..base.clone() });
        }
    }
    for (head_dim, group) in [(64, 1), (64, 3), (128, 4), (256, 2), (64, MANY / 2)] {
        record_kinds([2 * group, 2, head_dim], m, state, rotation(head_dim, false), &kv, record);
    }
}

/// What layers add to plain attention: one by one, and some of it together.
fn record_kinds<'m>(
    shape: [usize; 3],
    m: &Memory,
    state: &'m Region,
    rotation: Option<Rotation<'m>>,
    kv: &dyn Fn(bool, bool) -> KvLayer,
    record: impl Fn(&Attention<'_>),
) {
    let [heads, kv_heads, head_dim] = shape;
    let (weights, sinks) = (m.vector((heads + kv_heads) * head_dim), m.vector(heads));
    let norm =
        |whole_row: bool, after_rope: bool| Some(HeadNorm { weights: &weights, whole_row, after_rope, eps: 1e-6 });
    for (ring, exact) in [(false, false), (true, false), (true, true)] {
        let kv = kv(ring, exact);
        let base = Attention { rotation, ..Attention::new(shape, &kv, state) };
        record(&base);
        record(&Attention { appends: false, ..base.clone() });
        record(&Attention { clamp: Some(8.0), query_growth: Some((0.1, 8192)), ..base.clone() });
        record(&Attention { rotation: None, ..base.clone() });
        for whole_row in [false, true] {
            for after_rope in [false, true] {
                let norm = norm(whole_row, after_rope);
                record(&Attention { norm, ..base.clone() });
                record(&Attention { norm, value_norm: Some(1e-6), ..base.clone() });
            }
        }
        let gates = [None, Some(HeadGate::PerHead), Some(HeadGate::PerElement)];
        for (gate, fused) in gates.into_iter().flat_map(|gate| (0..4).map(move |fused| (gate, fused))) {
            let soft_cap = (fused & 1 != 0).then_some(50.0);
            let sinks = (fused & 2 != 0).then_some(&sinks);
            record(&Attention { gate, soft_cap, sinks, ..base.clone() });
            record(&Attention { gate, soft_cap, sinks, norm: norm(false, false), ..base.clone() });
        }
    }
}

/// What diffusion models have besides linear layers and convolutions.
fn record_pictures(g: &Graph, m: &Memory) {
    let [a, b, c, d] = &m.other;
    let x = m.rows(g, 6, 24);
    let (weight, bias) = (m.vector(24), m.vector(24));
    x.gate(Gate::Geglu, None);
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
