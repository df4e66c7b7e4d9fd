//! `Attention::decode` and `Input::linear`: one position over the cache in splits, and the merge of the splits.

use super::heads::{EMPTY, Layer, heads, partial, with_norm};
use inkstone::dtype::DType;
use inkstone::gpu::{Family, Gpu};
use inkstone::ops::{Input, Linear};
use std::rc::Rc;
use support::gpu::{Stored, activation, each_setup, matrix, run, vector};
use support::reference::attention::Heads;
use support::reference::layers::linear;
use support::reference::weights::{Numbers, made_up};
use support::tolerance::check;

/// One row after `pos` positions that are in the cache already, through attention and the output matrix.
fn try_case(
    name: &str,
    gpu: &Rc<Gpu>,
    h: &Heads,
    pos: usize,
    window: Option<usize>,
    fused: bool,
    numbers: &mut Numbers,
) {
    let what = format!(
        "{name}: context {}; {} heads over {} of {}; window {window:?}",
        pos + 1,
        h.heads,
        h.kv_heads,
        h.key_dim
    );
    let h = &Heads { window, ..h.clone() };
    let layer = Layer::new(gpu, h, pos + 3, pos, 1);
    let (width, q_dim, n) = (layer.width(), h.heads * h.value_dim, 37);
    let mut past = layer.fill(&h.prepare(&numbers.floats(pos * width), 0));
    let row: Vec<f32> = numbers.floats(width).iter().map(|v| v * 2.0).collect();
    let (bytes, weights) = made_up(DType::F32, n * q_dim, numbers);
    let (bias, residual) = (numbers.floats(n), numbers.floats(n));
    let x = layer.rows(gpu, &row);
    let w = matrix(gpu, q_dim, &[Stored { dtype: DType::F32, bytes }]);
    let (b, r) = (vector(gpu, &bias), activation(gpu, &residual, n));
    let attention_of = layer.attention();
    assert!(attention_of.can_decode(gpu), "{what}: no variant");
    let got = run(gpu, |g| {
        let splits = attention_of.decode(g.given(&x, [1, width]));
        let (bias, residual) = if fused { (Some(&b), Some(g.given(&r, [1, n]))) } else { (None, None) };
        Input::Splits(splits).linear(&w, Linear { bias, residual, ..Linear::default() })
    });
    let new = layer.round(&h.prepare(&row, pos));
    past.k.extend(new.k.iter().cloned());
    past.v.extend(new.v.iter().cloned());
    let mut want = linear(&h.attention(&new, pos, &past.k, &past.v), &weights, q_dim);
    if fused {
        want.iter_mut().enumerate().for_each(|(i, v)| *v += f64::from(bias[i]) + f64::from(residual[i]));
    }
    check(&what, &want, &got.values, layer.tolerance());
    for (label, region, want) in [("k", &layer.kv.k, &past.k), ("v", &layer.kv.v, &past.v)] {
        let cache = layer.cached(gpu, region);
        let capacity = layer.kv.capacity;
        let expected: Vec<f64> = (0..h.kv_heads)
            .flat_map(|head| (0..capacity).map(move |s| (head, s)))
            .flat_map(|(head, s)| match want.get(s) {
                Some(row) => row[head].clone(),
                None => vec![f64::from(EMPTY); h.key_dim],
            })
            .collect();
        check(&format!("{what}: {label}"), &expected, &cache, layer.tolerance());
        for (i, (want, got)) in expected.iter().zip(&cache).enumerate() {
            let s = i / h.key_dim % capacity;
            assert!(s == pos || *want == f64::from(*got), "{what}: {label} of position {s} was changed");
        }
    }
}

/// The setups whose kernels work with workgroups; the others decode by [`inkstone::ops::Attention::prefill`].
fn each_decoder(mut body: impl FnMut(&str, &Rc<Gpu>)) {
    each_setup(|name, gpu| {
        if gpu.adapter().family != Family::Software {
            body(name, gpu);
        }
    });
}

#[test]
fn contexts_around_the_edges_of_splits() {
    each_decoder(|name, gpu| {
        let mut numbers = Numbers(1);
        let heads = heads(9, 3, 64, 10000.0);
        for context in [1, 2, 63, 64, 65, 127, 128, 129, 511, 512, 513, 514, 1000, 4097] {
            try_case(name, gpu, &heads, context - 1, None, context % 2 == 1, &mut numbers);
        }
    });
}

#[test]
fn groups_of_heads_of_every_size() {
    each_decoder(|name, gpu| {
        let mut numbers = Numbers(2);
        for (h, k, hd, dims, interleaved, norm) in [
            (1, 1, 16, 16, false, false),
            (2, 2, 32, 32, true, false),
            (2, 1, 32, 16, false, true),
            (4, 1, 20, 10, false, false),
            (8, 1, 48, 48, true, true),
            (16, 2, 80, 32, false, false),
            (7, 1, 96, 96, false, true),
            (4, 4, 128, 128, false, true),
            (8, 1, 128, 128, true, false),
            (6, 2, 256, 256, false, false),
        ] {
            let mut heads = partial(heads(h, k, hd, 10000.0), dims, 10000.0);
            heads.interleaved = interleaved;
            if norm {
                heads = with_norm(heads, &mut numbers);
            }
            for context in [1, 70, 600] {
                try_case(name, gpu, &heads, context - 1, None, true, &mut numbers);
            }
        }
    });
}

#[test]
fn windows() {
    each_decoder(|name, gpu| {
        let mut numbers = Numbers(3);
        let heads = heads(4, 2, 32, 10000.0);
        for window in [1, 2, 63, 64, 65, 512, 513, 2000] {
            for context in [1, 3, 64, 66, 700, 1500] {
                try_case(name, gpu, &heads, context - 1, Some(window), false, &mut numbers);
            }
        }
    });
}
