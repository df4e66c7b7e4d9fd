//! `Tensor::rope_append`: rotation against sines and cosines of `position * frequency` in f64, and the cache it fills.

use super::heads::{EMPTY, Layer, heads, partial, with_norm};
use inkstone::gpu::Gpu;
use std::rc::Rc;
use support::gpu::{each_setup, run, untouched};
use support::reference::attention::Heads;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

fn try_case(name: &str, gpu: &Rc<Gpu>, h: &Heads, t: usize, n: usize, pos: usize, numbers: &mut Numbers) {
    let what = format!(
        "{name}: {t} rows, {n} with tokens, from {pos}; {} and {} heads of {}, {} rotate, interleaved {}, norm {}",
        h.heads,
        h.kv_heads,
        h.key_dim,
        h.rope_dims,
        h.interleaved,
        h.norm.is_some()
    );
    let capacity = pos + t + 3;
    let layer = Layer::new(gpu, h, capacity, pos, n);
    let rows = numbers.floats(t * layer.width());
    let x = layer.rows(gpu, &rows);
    let got = run(gpu, |g| g.given(&x, [t, layer.width()]).rope_append(&layer.attention())).values;
    let want = h.prepare(&rows[..n * layer.width()], pos);
    let q: Vec<f64> = want.q.iter().flatten().flatten().copied().collect();
    check(&format!("{what}: q"), &q, &got[..q.len()], Tolerance::F32);
    untouched(&what, &got, n, h.heads * h.key_dim);
    for (label, region, want) in [("k", &layer.kv.k, &want.k), ("v", &layer.kv.v, &want.v)] {
        let cache = layer.cached(gpu, region);
        let (mut new, mut expected) = (Vec::new(), Vec::new());
        for (i, row) in cache.chunks_exact(h.key_dim).enumerate() {
            let (head, s) = (i / capacity, i % capacity);
            if (pos..pos + n).contains(&s) {
                new.extend_from_slice(row);
                expected.extend_from_slice(&want[s - pos][head]);
            } else {
                assert!(row.iter().all(|v| *v == EMPTY), "{what}: {label} of position {s} was written");
            }
        }
        check(&format!("{what}: {label}"), &expected, &new, layer.tolerance());
    }
}

#[test]
fn rows_rotate_and_are_appended() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for interleaved in [false, true] {
            for norm in [false, true] {
                for (h, k, hd, dims, base) in [
                    (1, 1, 4, 4, 100.0),
                    (2, 1, 16, 16, 10000.0),
                    (3, 3, 32, 8, 10000.0),
                    (9, 3, 64, 64, 10000.0),
                    (4, 2, 80, 32, 10000.0),
                    (8, 1, 128, 128, 1e6),
                    (4, 2, 256, 64, 10000.0),
                    // Halves of odd length.
                    (2, 2, 20, 10, 10000.0),
                    (1, 1, 12, 6, 500.0),
                ] {
                    let mut h = partial(heads(h, k, hd, base), dims, base);
                    h.interleaved = interleaved;
                    if norm {
                        h = with_norm(h, &mut numbers);
                    }
                    for (t, pos) in [(1, 0), (1, 8191), (5, 0), (7, 1000), (67, 3)] {
                        try_case(name, gpu, &h, t, t, pos, &mut numbers);
                    }
                }
            }
        }
        // What YaRN multiplies by.
        let mut h = heads(2, 1, 32, 10000.0);
        h.factor = 1.3465735902799727;
        try_case(name, gpu, &h, 3, 3, 500, &mut numbers);
    });
}

/// The angle must not lose precision with the position: SmolLM2's table, Llama 3's, and the fastest pair alone.
#[test]
fn every_position_up_to_8191() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        for base in [10000.0, 500_000.0] {
            try_case(name, gpu, &heads(1, 1, 64, base), 8192, 8192, 0, &mut numbers);
        }
        // Where an angle as a float would have lost its digits: every pair is fast.
        for pos in [4095, 8190, 32767, 131_070] {
            try_case(name, gpu, &heads(1, 1, 16, 10.0), 2, 2, pos, &mut numbers);
        }
    });
}

/// A layer without positions has frequencies of zero.
#[test]
fn a_frequency_of_zero_rotates_nothing() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        let mut h = heads(3, 1, 32, 10000.0);
        h.inv_freq = vec![0.0; 16];
        for interleaved in [false, true] {
            h.interleaved = interleaved;
            try_case(name, gpu, &h, 4, 4, 4000, &mut numbers);
        }
    });
}

#[test]
fn rows_without_a_token_are_not_written() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        let h = with_norm(heads(6, 2, 32, 10000.0), &mut numbers);
        for n in [1, 3, 15, 16] {
            try_case(name, gpu, &h, 16, n, 40, &mut numbers);
        }
    });
}
