//! `Attention::prefill` (attention: attention_loop, attention_fours, attention_one): chunks of rows over the cache.

use super::heads::{Layer, heads, with_norm};
use inkstone::gpu::Gpu;
use std::rc::Rc;
use support::gpu::{each_folding, each_setup, run, untouched};
use support::reference::attention::Heads;
use support::reference::weights::Numbers;
use support::tolerance::check;

/// A chunk of `t` rows, `n` with tokens, after `pos` positions that are in the cache already.
fn try_case(
    name: &str,
    gpu: &Rc<Gpu>,
    h: &Heads,
    [t, n, pos]: [usize; 3],
    window: Option<usize>,
    numbers: &mut Numbers,
) {
    let what = format!(
        "{name}: {t} rows, {n} with tokens, after {pos}; {} heads over {} of {}; window {window:?}",
        h.heads, h.kv_heads, h.key_dim
    );
    let h = &Heads { window, ..h.clone() };
    let layer = Layer::new(gpu, h, pos + t + 2, pos, n);
    let width = layer.width();
    let past = layer.fill(&h.prepare(&numbers.floats(pos * width), 0));
    let rows: Vec<f32> = numbers.floats(t * width).iter().map(|v| v * 2.0).collect();
    let x = layer.rows(gpu, &rows);
    let got = run(gpu, |g| layer.attention().prefill(g.given(&x, [t, width]))).values;
    let new = layer.round(&h.prepare(&rows[..n * width], pos));
    let join = |a: &[Vec<Vec<f64>>], b: &[Vec<Vec<f64>>]| [a, b].concat();
    let want = h.attention(&new, pos, &join(&past.k, &new.k), &join(&past.v, &new.v));
    check(&what, &want, &got[..want.len()], layer.tolerance());
    untouched(&what, &got, n, h.heads * h.value_dim);
}

#[test]
fn groups_of_heads_of_every_size() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (h, k, hd) in [
            (1, 1, 16),
            (2, 2, 32),
            (2, 1, 32),
            (9, 3, 64),
            (4, 1, 20),
            (8, 1, 48),
            (16, 2, 80),
            (7, 1, 96),
            (4, 4, 128),
            (2, 1, 256),
        ] {
            let heads = heads(h, k, hd, 10000.0);
            for (t, pos) in [(1, 0), (2, 0), (15, 0), (17, 1), (33, 31), (67, 20), (1, 70)] {
                try_case(name, gpu, &heads, [t, t, pos], None, &mut numbers);
            }
        }
    });
}

#[test]
fn windows() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        let heads = heads(6, 2, 32, 10000.0);
        for window in [1, 2, 15, 16, 17, 40, 100, 1000] {
            for (t, pos) in [(1, 0), (5, 0), (67, 0), (40, 37), (3, 200)] {
                try_case(name, gpu, &heads, [t, t, pos], Some(window), &mut numbers);
            }
        }
    });
}

#[test]
fn contexts_of_4097_tokens() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        let heads = with_norm(heads(6, 2, 64, 10000.0), &mut numbers);
        for (t, pos, window) in [(7, 4090, None), (1, 4096, None), (65, 4032, Some(1024)), (33, 4064, None)] {
            try_case(name, gpu, &heads, [t, t, pos], window, &mut numbers);
        }
    });
}

#[test]
fn rows_without_a_token_are_not_written() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        let heads = heads(6, 2, 32, 10000.0);
        for n in [1, 21, 22, 31, 32, 33, 50] {
            for window in [None, Some(20)] {
                try_case(name, gpu, &heads, [50, n, 13], window, &mut numbers);
            }
        }
    });
}

/// So many tiles that a GPU's are tall, with one and two steps of values to an invocation.
#[test]
fn tall_tiles() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(6);
        for (hd, n, pos, window) in [(20, 130, 3, None), (36, 101, 40, Some(50)), (64, 130, 65, None)] {
            try_case(name, gpu, &heads(128, 64, hd, 10000.0), [130, n, pos], window, &mut numbers);
        }
    });
}

/// A chunk of more heads than one dimension of a grid has workgroups.
#[test]
fn more_heads_of_rows_than_one_dimension_of_a_grid() {
    each_folding(|name, gpu| {
        // Four heads of a row to a workgroup.
        let heads = heads(4, 4, 4, 100.0);
        let t = 21;
        try_case(name, gpu, &heads, [t, t, 0], Some(2), &mut Numbers(5));
    });
}
