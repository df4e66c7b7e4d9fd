//! Attention within whole sequences that lie one after the other: `Attention::packed`, and positions in `rope_append`.

use super::heads::{Layer, heads, partial};
use inkstone::gpu::{Gpu, Region};
use inkstone::ops::{Attention, HeadGate, Packed, Relative};
use std::rc::Rc;
use support::gpu::{each_setup, run, untouched, upload, vector};
use support::reference::attention::{HeadNorm, Heads};
use support::reference::weights::Numbers;
use support::tolerance::check;

/// Sequences of these lengths in so many rows: multiples of three, whose caches are exact.
const PACKS: &[(&[usize], usize)] =
    &[(&[1], 18), (&[5, 1, 9, 1], 18), (&[40], 66), (&[3, 33, 2, 17, 8, 1, 70, 4], 162), (&[31, 32, 33, 64], 162)];

/// Numbers of the buckets of distances: before the query, then behind it.
fn buckets(reach: usize) -> Vec<u32> {
    let one = |d: usize| (d.min(3) + d / 3) as u32;
    (0..=reach).map(one).chain((0..=reach).map(|d| 8 + one(d))).collect()
}

/// A state on the GPU for sequences of these lengths, with buckets behind the bounds of `rows` rows.
fn packed_state(gpu: &Rc<Gpu>, lengths: &[usize], rows: usize, reach: usize) -> Region {
    let mut words = vec![0; 64 + 2 * rows];
    let mut row = 0;
    for &n in lengths {
        for t in row..row + n {
            words[64 + 2 * t] = row as u32;
            words[64 + 2 * t + 1] = (row + n) as u32;
        }
        row += n;
    }
    words[1] = row as u32;
    words.extend(buckets(reach));
    upload(gpu, &words)
}

/// Runs a layer over each pack, and every sequence by itself through the reference.
fn compare(name: &str, gpu: &Rc<Gpu>, what: &str, h: &Heads, ahead: Option<usize>, reach: Option<usize>) {
    let mut numbers = Numbers(h.heads as u64 + ahead.unwrap_or(9) as u64);
    let biases = numbers.floats(16 * h.heads);
    let weight = vector(gpu, &biases);
    for &(lengths, rows) in PACKS {
        let what = format!("{name}: {what}, {lengths:?} in {rows} rows");
        let used: usize = lengths.iter().sum();
        let mut layer = Layer::new(gpu, h, rows, 0, 0);
        layer.state = packed_state(gpu, lengths, rows, reach.unwrap_or(0));
        let input: Vec<f32> = numbers.floats(rows * layer.width()).iter().map(|v| v * 2.0).collect();
        let x = layer.rows(gpu, &input);
        let relative = reach.map(|reach| Relative { biases: &weight, buckets: 64 + 2 * rows, reach });
        let packed = Some(Packed { ahead, relative });
        let attention = Attention { packed, ..layer.attention() };
        let got = run(gpu, |g| attention.run(g.given(&x, [rows, layer.width()])).tensor()).values;
        let (mut want, mut first) = (Vec::new(), 0);
        let table = buckets(reach.unwrap_or(0));
        let bias = |head: usize, query: usize, key: usize| match reach {
            None => 0.0,
            Some(reach) => {
                let place = query.abs_diff(key).min(reach) + if key > query { reach + 1 } else { 0 };
                f64::from(biases[table[place] as usize * h.heads + head])
            }
        };
        for &n in lengths {
            let own = &input[first * layer.width()..(first + n) * layer.width()];
            let ready = layer.round(&h.prepare(own, 0));
            want.extend(h.attention_ahead(&ready, 0, &ready.k, &ready.v, ahead.unwrap_or(usize::MAX), &bias));
            first += n;
        }
        check(&what, &want, &got[..want.len()], layer.tolerance());
        untouched(&what, &got, used, h.heads * h.value_dim);
    }
}

#[test]
fn sequences_see_nothing_of_each_other() {
    each_setup(|name, gpu| {
        for (h, k, dim) in [(2, 2, 32), (6, 2, 20), (8, 1, 64)] {
            let h = heads(h, k, dim, 10000.0);
            compare(name, gpu, "in both directions", &h, None, None);
            compare(name, gpu, "causal", &h, Some(0), None);
            let windowed = Heads { window: Some(6), ..h };
            compare(name, gpu, "five on each side", &windowed, Some(5), None);
            compare(name, gpu, "causal with a window", &windowed, Some(0), None);
        }
    });
}

#[test]
fn scores_are_biased_by_distance() {
    each_setup(|name, gpu| {
        for (h, k, dim) in [(3, 3, 12), (4, 2, 64)] {
            let plain = Heads { scale: 1.0, ..partial(heads(h, k, dim, 1.0), 0, 1.0) };
            compare(name, gpu, "biased", &plain, None, Some(9));
            compare(name, gpu, "biased, causal, capped", &Heads { soft_cap: Some(3.0), ..plain }, Some(0), Some(2));
        }
    });
}

/// What layers may have besides works in packed rows, too.
#[test]
fn the_rest_is_as_in_one_sequence() {
    each_setup(|name, gpu| {
        let base = heads(4, 2, 32, 10000.0);
        let weights = Numbers(3).floats(2 * base.key_dim);
        let h = Heads {
            norm: Some(HeadNorm { weights, whole_row: false, after_rope: false, eps: 1e-5 }),
            sinks: Some(vec![0.5, -1.0, 2.0, 0.0]),
            gate: Some(HeadGate::PerElement),
            soft_cap: Some(8.0),
            window: Some(9),
            ..base
        };
        compare(name, gpu, "all of it", &h, Some(8), None);
    });
}

/// Past a dimension's most workgroups the grid folds into two; a pack with many heads and rows.
#[test]
fn tiles_of_two_fours_of_queries() {
    each_setup(|name, gpu| {
        let h = heads(130, 130, 8, 10000.0);
        let mut layer = Layer::new(gpu, &h, 192, 0, 0);
        let lengths = [70, 1, 100, 21];
        layer.state = packed_state(gpu, &lengths, 192, 0);
        let input: Vec<f32> = Numbers(5).floats(192 * layer.width());
        let x = layer.rows(gpu, &input);
        let attention = Attention { packed: Some(Packed { ahead: None, relative: None }), ..layer.attention() };
        let got = run(gpu, |g| attention.run(g.given(&x, [192, layer.width()])).tensor()).values;
        let (mut want, mut first) = (Vec::new(), 0);
        for n in lengths {
            let ready = layer.round(&h.prepare(&input[first * layer.width()..(first + n) * layer.width()], 0));
            want.extend(h.attention_ahead(&ready, 0, &ready.k, &ready.v, usize::MAX, &|_, _, _| 0.0));
            first += n;
        }
        check(&format!("{name}: many heads"), &want, &got, layer.tolerance());
    });
}
