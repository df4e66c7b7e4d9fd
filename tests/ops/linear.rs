//! `Tensor::linear` and what is fused into it, for one row (linear_vec) and many (linear_tile, linear_tile_serial).

use inkstone::dtype::DType;
use inkstone::gpu::{Choice, Family, Gpu, Graph, Tier};
use inkstone::ops::{Activation, Gate, Input, LayerNorm, Linear, Norm, RmsNorm};
use std::rc::Rc;
use support::gpu::{Stored, activation, each_folding, each_setup, matrix, open, run, state, untouched, vector};
use support::reference::layers::{activate, gate, layer_norm, linear, rms_norm, soft_cap, wide};
use support::reference::weights::{Numbers, golden_encodings, made_up};
use support::tolerance::{Tolerance, check};

const EPS: f32 = 1e-6;
const ACTIVATIONS: [Activation; 6] = [
    Activation::Silu,
    Activation::Gelu,
    Activation::QuickGelu,
    Activation::Relu,
    Activation::GeluTanh,
    Activation::ReluSquared,
];
const GATES: [Option<Gate>; 2] = [Some(Gate::Silu), Some(Gate::Geglu)];

/// A linear layer to try: T rows of K into N, by a weight whose rows are stored in slices.
#[derive(Clone, Debug)]
struct Case<'a> {
    t: usize,
    k: usize,
    slices: &'a [(DType, usize)],
    norm: bool,
    bias: bool,
    residual: bool,
    gate: Option<Gate>,
    scale: f32,
    soft_cap: Option<f32>,
    activation: Activation,
    /// How many of the rows hold tokens.
    rows: Option<usize>,
}

const PLAIN: Case<'static> = Case {
    t: 1,
    k: 1,
    slices: &[],
    norm: false,
    bias: false,
    residual: false,
    gate: None,
    scale: 1.0,
    soft_cap: None,
    activation: Activation::None,
    rows: None,
};

/// The encodings that are multiplied as small integers where that was chosen.
const INTEGERS: [DType; 9] =
    [DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0, DType::Q3K, DType::Q4K, DType::Q5K, DType::Q6K];

/// Rows whose blocks of 32 are rounded to 127ths of the largest. What lies near the middle of two is moved first, so that there is
/// no doubt.
fn rounded(x: &mut [f32]) -> Vec<f64> {
    let mut out = Vec::new();
    for block in x.chunks_mut(32) {
        let unit = f64::from(block.iter().fold(0f32, |m, v| m.max(v.abs()))) / 127.0;
        for v in block {
            let steps = f64::from(*v) / unit;
            if (steps - steps.floor() - 0.5).abs() < 0.01 {
                *v = ((steps + 0.1) * unit) as f32;
            }
            out.push((f64::from(*v) / unit).round() * unit);
        }
    }
    out
}

fn try_case(name: &str, gpu: &Rc<Gpu>, c: &Case<'_>, numbers: &mut Numbers) {
    let what = format!("{name}: {c:?}");
    let (mut parts, mut weights) = (Vec::new(), Vec::new());
    for &(dtype, rows) in c.slices {
        let (bytes, values) = made_up(dtype, rows * c.k, numbers);
        parts.push(Stored { dtype, bytes });
        weights.push((dtype, values));
    }
    let n = c.slices.iter().map(|s| s.1).sum::<usize>();
    let (mut x, mut norm, bias) = (numbers.floats(c.t * c.k), numbers.floats(c.k), numbers.floats(n));
    let out = if c.gate.is_some() { n / 2 } else { n };
    let residual = numbers.floats(c.t * out);

    let by_integers = gpu.chose(if c.t > 1 { Choice::Int8Prompts } else { Choice::Int8Tokens });
    let integers = if by_integers && c.norm {
        // Rounded is what the norm's weights make of it, here exactly.
        norm.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.5 } else { 2.0 });
        let mut scaled: Vec<f32> = x.iter().zip(&norm).map(|(x, g)| x * g).collect();
        let integers = rounded(&mut scaled);
        x = scaled.iter().zip(&norm).map(|(x, g)| x / g).collect();
        let squares: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
        let scale = 1.0 / (squares / c.k as f64 + f64::from(EPS)).sqrt();
        integers.iter().map(|v| v * scale).collect()
    } else if by_integers {
        rounded(&mut x)
    } else {
        Vec::new()
    };
    let normed = if c.norm { rms_norm(&x, &norm, EPS) } else { wide(&x) };
    let mut want = Vec::new();
    for at in (0..c.t * c.k).step_by(c.k) {
        for (dtype, values) in &weights {
            let input = if by_integers && INTEGERS.contains(dtype) { &integers } else { &normed };
            want.extend(linear(&input[at..at + c.k], values, c.k));
        }
    }
    if c.bias {
        want.iter_mut().enumerate().for_each(|(i, v)| *v += f64::from(bias[i % n]));
    }
    if let Some(kind) = c.gate {
        want = gate(&want, out, kind);
    }
    want.iter_mut().for_each(|v| *v *= f64::from(c.scale));
    if c.residual {
        want.iter_mut().zip(&residual).for_each(|(v, r)| *v += f64::from(*r));
    }
    if let Some(cap) = c.soft_cap {
        want.iter_mut().for_each(|v| *v = soft_cap(*v, cap));
    }
    want.iter_mut().for_each(|v| *v = activate(*v, c.activation));

    let w = matrix(gpu, c.k, &parts);
    let (x, residual) = (activation(gpu, &x, c.k), activation(gpu, &residual, out));
    let (weight, bias) = (Some(vector(gpu, &norm)), vector(gpu, &bias));
    let norm = Norm::Rms(RmsNorm { weight, eps: EPS });
    let state = c.rows.map(|rows| state(gpu, 5, rows));
    let got = run(gpu, |g| {
        let with = Linear {
            bias: c.bias.then_some(&bias),
            residual: c.residual.then(|| g.given(&residual, [c.t, out])),
            gate: c.gate,
            scale: c.scale,
            soft_cap: c.soft_cap,
            activation: c.activation,
            state: state.as_ref(),
            ..Linear::default()
        };
        Input::normed(g.given(&x, [c.t, c.k]), c.norm.then_some(&norm), state.as_ref()).linear(&w, with)
    });
    let rows = c.rows.unwrap_or(c.t);
    check(&what, &want[..rows * out], &got.values[..rows * out], Tolerance::F32);
    untouched(&what, &got.values, rows, out);
}

/// Every T around the tiles' edges, every K around a block's, odd N.
#[test]
fn shapes_around_every_edge() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        let f32s = |n: usize| [(DType::F32, n)];
        for t in [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 67] {
            for (k, n) in [(32, 1), (32, 65), (64, 3), (36, 5), (100, 63), (160, 131)] {
                try_case(name, gpu, &Case { t, k, slices: &f32s(n), ..PLAIN }, &mut numbers);
            }
        }
        for k in [1, 2, 3, 4, 5, 31, 33, 35, 63, 96, 127, 128, 132, 511, 512, 516, 1024, 1056, 1536, 2048, 4100] {
            for (t, n) in [(1, 7), (6, 7)] {
                try_case(name, gpu, &Case { t, k, slices: &f32s(n), ..PLAIN }, &mut numbers);
            }
        }
        for n in [1, 2, 4, 15, 16, 17, 64, 127, 255, 257, 1029] {
            for t in [1, 9] {
                try_case(name, gpu, &Case { t, k: 64, slices: &f32s(n), ..PLAIN }, &mut numbers);
            }
        }
    });
}

/// So many tiles that a GPU's are tall, the last with a single row.
#[test]
fn tall_tiles() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(14);
        let t = 64 * 255 + 1;
        let plain = Case { t, k: 36, slices: &[(DType::F32, 65)], bias: true, residual: true, ..PLAIN };
        try_case(name, gpu, &plain, &mut numbers);
        let gated = Case { k: 32, slices: &[(DType::Q8_0, 66)], residual: false, gate: Some(Gate::Silu), ..plain };
        try_case(name, gpu, &Case { rows: Some(t - 70), ..gated }, &mut numbers);
    });
}

/// Everything that can be fused, in every combination, with and without a tail of K.
#[test]
fn fusions() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        for mask in 0..24 {
            let on = |bit: usize| mask & (1 << bit) != 0;
            let gate = [None, Some(Gate::Silu), Some(Gate::Geglu)][mask >> 3];
            let c = Case { norm: on(0), bias: on(1), residual: on(2), gate, ..PLAIN };
            for (t, k, n) in [(1, 64, 38), (1, 100, 38), (1, 36, 130), (5, 64, 38), (5, 100, 38), (35, 36, 70)] {
                try_case(name, gpu, &Case { t, k, slices: &[(DType::F32, n)], ..c }, &mut numbers);
            }
        }
        // Where K is not even a multiple of four.
        for (t, k) in [(1, 35), (4, 35)] {
            let c = Case { t, k, slices: &[(DType::F32, 10)], norm: true, gate: Some(Gate::Silu), ..PLAIN };
            try_case(name, gpu, &c, &mut numbers);
        }
    });
}

/// Gates of every kind, in one slice and in several, with all that may come beside them.
#[test]
fn gates() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(17);
        let kinds = [Gate::Silu, Gate::Geglu, Gate::GeluTanh, Gate::Gelu, Gate::ReluSquared, Gate::Relu];
        for (gate, t) in kinds.into_iter().flat_map(|gate| [1, 35].map(|t| (Some(gate), t))) {
            let c = Case { t, k: 100, bias: true, gate, ..PLAIN };
            let whole = &[(DType::F32, 70)];
            try_case(name, gpu, &Case { slices: whole, residual: true, scale: -1.5, ..c }, &mut numbers);
            try_case(name, gpu, &Case { slices: &[(DType::F32, 35), (DType::F16, 35)], norm: true, ..c }, &mut numbers);
        }
    });
}

/// A factor for product and bias, before what is added; and a cap of what comes of it, near which many results are.
#[test]
fn scales_and_soft_caps() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(18);
        for (t, k, n) in [(1, 64, 38), (1, 100, 38), (5, 100, 70), (35, 64, 70)] {
            let c = Case { t, k, slices: &[(DType::F32, n)], ..PLAIN };
            for (bias, residual, scale, soft_cap) in [
                (true, true, 0.22, None),
                (true, false, -12.0, None),
                (false, true, 0.5, Some(1.5)),
                (false, false, 1.0, Some(30.0)),
                (true, true, 2.0, Some(2.0)),
                // So small a part of the cap that hardly anything of it is lost, and so large that all is.
                (false, false, 0.01, Some(50.0)),
                (false, false, 1e4, Some(3.0)),
            ] {
                try_case(name, gpu, &Case { bias, residual, scale, soft_cap, ..c }, &mut numbers);
            }
        }
        // Logits, of a weight in slices.
        let slices = &[(DType::Q8_0, 65), (DType::Q8_0, 3)];
        for t in [1, 3] {
            let c = Case { t, k: 64, slices, norm: true, scale: 0.0625, soft_cap: Some(0.25), ..PLAIN };
            try_case(name, gpu, &c, &mut numbers);
        }
    });
}

/// A product that is added to a residual, at once or after a norm of its own.
#[test]
fn products_are_added() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(19);
        for (t, k, n) in [(1, 64, 38), (5, 100, 70)] {
            let (bytes, values) = made_up(DType::F32, n * k, &mut numbers);
            let w = matrix(gpu, k, &[Stored { dtype: DType::F32, bytes }]);
            let (x, bias) = (numbers.floats(t * k), numbers.floats(n));
            let (residual, weight) = (numbers.floats(t * n), numbers.floats(n));
            let (x_region, added) = (activation(gpu, &x, k), activation(gpu, &residual, n));
            let (b, g) = (vector(gpu, &bias), vector(gpu, &weight));
            let rms = Norm::Rms(RmsNorm { weight: Some(g.clone()), eps: EPS });
            let layer = Norm::Layer(LayerNorm { weight: Some(g), bias: None, eps: EPS });
            let mut product = linear(&wide(&x), &values, k);
            product.iter_mut().enumerate().for_each(|(i, v)| *v += f64::from(bias[i % n]));
            let product: Vec<f32> = product.iter().map(|v| *v as f32).collect();
            for (norm, scale, made) in [
                (None, 0.25f32, wide(&product)),
                (Some(&rms), -2.0, rms_norm(&product, &weight, EPS)),
                (Some(&layer), 1.0, layer_norm(&product, &weight, &vec![0.0; n], EPS)),
            ] {
                let add = |(v, r): (&f64, &f32)| v * f64::from(scale) + f64::from(*r);
                let want: Vec<f64> = made.iter().zip(&residual).map(add).collect();
                let got = run(gpu, |g| {
                    let product = Input::Plain(g.given(&x_region, [t, k]))
                        .product(&w, Linear { bias: Some(&b), ..Linear::default() });
                    product.add_to(g.given(&added, [t, n]), scale, norm)
                });
                check(&format!("{name}: {t} rows, scale {scale}"), &want, &got.values, Tolerance::F32);
            }
        }
    });
}

/// What a layer ends with, after a bias and a residual, where the functions are straight and where they bend.
#[test]
fn activations() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(8);
        for activation in ACTIVATIONS {
            for (t, k, n) in [(1, 200, 38), (35, 200, 70)] {
                let c = Case { t, k, slices: &[(DType::F32, n)], bias: true, residual: true, activation, ..PLAIN };
                try_case(name, gpu, &c, &mut numbers);
            }
        }
    });
}

/// Each by itself, number by number: within 4e-7 of max(1, |x|, |f(x)|) near zero, where it bends and far out.
#[test]
fn activations_are_exact() {
    each_setup(|name, gpu| {
        let x: Vec<f32> = (-12_000..=12_000).map(|i| i as f32 / 1000.0).chain([-300.0, 300.0, -1e-6, 1e-20]).collect();
        let w = matrix(gpu, 1, &[Stored { dtype: DType::F32, bytes: bytemuck::cast_slice(&x).to_vec() }]);
        for activation in ACTIVATIONS {
            for t in [1, 2] {
                let ones = self::activation(gpu, &vec![1.0; t], 1);
                let with = Linear { activation, ..Linear::default() };
                let got = run(gpu, |g| g.given(&ones, [t, 1]).linear_with(&w, with)).values;
                assert_eq!(got.len(), t * x.len(), "{name}");
                for (x, got) in x.iter().cycle().zip(&got) {
                    let want = activate(f64::from(*x), activation);
                    let error = (f64::from(*got) - want).abs();
                    let right = error <= 4e-7 * f64::from(x.abs().max(1.0)).max(want.abs());
                    assert!(right, "{name}: {activation:?} of {x} is {got}, not {want}");
                }
            }
        }
    });
}

/// A result that is written to a tensor that is there already.
#[test]
fn results_go_where_they_are_told() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(9);
        let (k, n) = (40, 70);
        let (bytes, values) = made_up(DType::F32, n * k, &mut numbers);
        let w = matrix(gpu, k, &[Stored { dtype: DType::F32, bytes }]);
        for t in [1, 9] {
            let x = numbers.floats(t * k);
            let region = activation(gpu, &x, k);
            let got = run(gpu, |g| {
                let y = g.tensor([t, n]);
                g.given(&region, [t, k]).linear_with(&w, Linear { into: Some(y), ..Linear::default() });
                y
            });
            check(&format!("{name}: {t} rows"), &linear(&wide(&x), &values, k), &got.values, Tolerance::F32);
        }
    });
}

#[test]
fn encodings_and_their_mixtures_in_slices() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        for dtype in [DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0] {
            for (t, k) in [(1, 32), (1, 96), (1, 576), (3, 96), (34, 288)] {
                for n in [1, 67] {
                    try_case(name, gpu, &Case { t, k, slices: &[(dtype, n)], ..PLAIN }, &mut numbers);
                }
                for gate in GATES {
                    let gated = Case { t, k, slices: &[(dtype, 66)], norm: true, residual: true, gate, ..PLAIN };
                    try_case(name, gpu, &gated, &mut numbers);
                }
            }
        }
        // q, k and v stacked, as mixed quantizations store them; a weight over the binding limit, cut by rows.
        let mixed: [&[(DType, usize)]; 4] = [
            &[(DType::Q4_0, 64), (DType::Q8_0, 16), (DType::F16, 16)],
            &[(DType::F32, 1), (DType::F32, 70), (DType::F32, 3)],
            &[(DType::Q8_0, 5), (DType::BF16, 5)],
            &[(DType::F16, 33), (DType::Q4_0, 1)],
        ];
        for slices in mixed {
            for t in [1, 2, 37] {
                for (norm, bias, residual) in [(false, false, false), (true, true, false), (false, true, true)] {
                    let c = Case { t, k: 64, slices, norm, bias, residual, ..PLAIN };
                    try_case(name, gpu, &c, &mut numbers);
                }
                let n: usize = slices.iter().map(|s| s.1).sum();
                if n.is_multiple_of(2) {
                    for gate in GATES {
                        try_case(name, gpu, &Case { t, k: 64, slices, norm: true, gate, ..PLAIN }, &mut numbers);
                    }
                }
            }
        }
    });
}

/// Those in blocks of 32 and 256 that the table above leaves out: a block to a row and several, rows around a tile's edge.
#[test]
fn every_other_encoding() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(10);
        for dtype in golden_encodings() {
            let block = dtype.block_len();
            for t in [1, 3, 33] {
                for (blocks, n) in [(1, 67), (2, 1), (5, 7)] {
                    try_case(name, gpu, &Case { t, k: blocks * block, slices: &[(dtype, n)], ..PLAIN }, &mut numbers);
                }
            }
        }
    });
}

#[test]
fn rows_without_a_token_are_not_written() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        for (t, rows) in [(2, 1), (40, 1), (40, 4), (40, 31), (40, 32), (40, 33), (70, 65), (70, 70)] {
            for (norm, bias, residual, gate) in [
                (false, false, false, None),
                (true, false, true, None),
                (true, false, false, Some(Gate::Silu)),
                (true, true, false, Some(Gate::Geglu)),
            ] {
                let slices = &[(DType::F32, 34)];
                let c = Case { t, k: 64, slices, norm, bias, residual, gate, rows: Some(rows), ..PLAIN };
                try_case(name, gpu, &c, &mut numbers);
            }
        }
    });
}

/// An output matrix: more rows than a grid has workgroups in a dimension, when one makes few of them.
#[test]
fn as_many_rows_as_a_vocabulary() {
    each_setup(|name, gpu| {
        let slices = &[(DType::Q8_0, 151_936)];
        try_case(name, gpu, &Case { t: 1, k: 32, slices, norm: true, ..PLAIN }, &mut Numbers(5));
        try_case(name, gpu, &Case { t: 2, k: 32, slices, ..PLAIN }, &mut Numbers(6));
    });
}

/// More groups of weight rows, and more tiles of input rows, than a grid has workgroups in a dimension.
#[test]
fn more_rows_than_one_dimension_of_a_grid() {
    each_folding(|name, gpu| {
        try_case(name, gpu, &Case { t: 1, k: 4, slices: &[(DType::F16, 1303)], ..PLAIN }, &mut Numbers(7));
        // A tile has 16 rows, 32 with barriers.
        try_case(name, gpu, &Case { t: 547, k: 4, slices: &[(DType::F32, 1)], ..PLAIN }, &mut Numbers(8));
    });
}

/// Where the products of small integers were chosen: every encoding that has them beside those that don't, what is fused, edges.
#[test]
fn by_small_integers() {
    each_setup(|name, gpu| {
        if !gpu.can_choose(Choice::Int8Prompts) {
            assert_eq!(gpu.adapter().family, Family::Software);
            return;
        }
        gpu.choose(Choice::Int8Prompts, true);
        gpu.choose(Choice::Int8Tokens, true);
        let mut numbers = Numbers(15);
        let mut try_it = |c: &Case<'_>| try_case(name, gpu, c, &mut numbers);
        for dtype in DType::ALL {
            let (block, plain) = (dtype.block_len().max(32), Case { t: 33, ..PLAIN });
            for (t, blocks, n) in [(1, 1, 1), (1, 2, 5), (1, 16, 7), (2, 1, 67), (33, 5, 7)] {
                try_it(&Case { t, k: blocks * block, slices: &[(dtype, n)], bias: true, ..plain });
            }
            for gate in GATES {
                try_it(&Case { k: block, slices: &[(dtype, 66)], gate, ..plain });
                try_it(&Case { t: 1, k: 2 * block, slices: &[(dtype, 66)], gate, norm: true, ..plain });
            }
            let activation = Activation::Gelu;
            try_it(&Case { k: block, slices: &[(dtype, 65)], residual: true, rows: Some(31), activation, ..plain });
        }
        let mixed = &[(DType::Q4_0, 64), (DType::F16, 16), (DType::Q8_0, 16)];
        for t in [1, 37] {
            try_it(&Case { t, k: 96, slices: mixed, bias: true, residual: true, ..PLAIN });
        }
        let t = 64 * 255 + 1;
        try_it(&Case { t, k: 32, slices: &[(DType::Q4_0, 65)], bias: true, ..PLAIN });
        try_it(&Case { t, k: 32, slices: &[(DType::Q4_1, 66)], gate: GATES[0], rows: Some(t - 70), ..PLAIN });
    });
}

/// They are what runs then; and an input of zeros gives zeros.
#[test]
fn small_integers_are_what_was_chosen() {
    let gpu = &open(Some(Tier::Base), Some(Family::Generic));
    for (choice, t, usual, other) in [
        (Choice::Int8Prompts, 2, "linear_tile+tile+", "linear_tile+tile_int8+"),
        (Choice::Int8Tokens, 1, "+dots+", "+dots_int8+"),
    ] {
        for (chosen, dtype) in [false, true].into_iter().flat_map(|c| DType::ALL.map(|d| (c, d))) {
            gpu.choose(choice, chosen);
            let (k, graph) = (dtype.block_len().max(32), Graph::new(gpu));
            let bytes = made_up(dtype, 3 * k, &mut Numbers(16)).0;
            let (w, x) = (matrix(gpu, k, &[Stored { dtype, bytes }]), activation(gpu, &vec![0.0; t * k], k));
            graph.given(&x, [t, k]).linear(&w);
            let variants: Vec<_> = graph.variants().iter().map(|v| v.label()).collect();
            let want = if chosen && INTEGERS.contains(&dtype) { other } else { usual };
            assert!(variants[0].contains(want), "{dtype:?}: {variants:?}");
            assert_eq!(run(gpu, |g| g.given(&x, [t, k]).linear(&w)).values, vec![0.0; 3 * t], "{dtype:?}");
        }
    }
}
