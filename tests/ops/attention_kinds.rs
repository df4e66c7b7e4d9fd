//! `Attention::run` with all that layers add to plain attention: chunks and single rows fed one after the other, as a prompt and
//! the tokens after it are, so that what one appends is what the next one reads.

use super::heads::{EMPTY, Layer, heads, partial};
use inkstone::gpu::{Family, Gpu, Tier};
use inkstone::ops::HeadGate;
use std::rc::Rc;
use support::gpu::{each_setup, open, run, state, untouched};
use support::reference::attention::{HeadNorm, Heads};
use support::reference::weights::Numbers;
use support::tolerance::check;

/// A chunk of rows from the beginning; one that is not full, further on; single rows.
const CHUNKS: &[[usize; 2]] = &[[9, 9], [40, 37], [1, 1], [1, 1], [5, 5]];

/// Feeds chunks of `t` rows, `n` with tokens, to a layer. With a window its cache is a ring of just as many slots as it must
/// have. `reader`: a layer that appends nothing and reads the same cache.
fn feed(name: &str, gpu: &Rc<Gpu>, what: &str, h: &Heads, reader: Option<&Heads>, chunks: &[[usize; 2]]) {
    let mut numbers = Numbers(chunks.len() as u64);
    let longest = chunks.iter().map(|c| c[0]).max().unwrap();
    let total: usize = chunks.iter().map(|c| c[1]).sum();
    let capacity = h.window.map_or(total, |w| w + longest - 1);
    let mut layer = Layer::new(gpu, h, capacity, 0, 0);
    layer.kv.ring = h.window.is_some();
    let (mut k, mut v, mut pos) = (Vec::new(), Vec::new(), 0);
    for &[t, n] in chunks {
        let what = format!("{name}: {what}: {n} of {t} rows at {pos}");
        layer.state = state(gpu, pos, n);
        let rows: Vec<f32> = numbers.floats(t * layer.width()).iter().map(|v| v * 2.0).collect();
        let new = layer.round(&h.prepare(&rows[..n * layer.width()], pos));
        k.extend(new.k.iter().cloned());
        v.extend(new.v.iter().cloned());
        let x = layer.rows(gpu, &rows);
        let got = run(gpu, |g| layer.attention().run(g.given(&x, [t, layer.width()])).tensor()).values;
        let want = h.attention(&new, pos, &k, &v);
        check(&what, &want, &got[..want.len()], layer.tolerance());
        untouched(&what, &got, n, h.heads * h.value_dim);
        if let Some(h) = reader {
            let reader = Layer::on(gpu, h, layer.kv.clone(), layer.state.clone());
            let before = [&layer.kv.k, &layer.kv.v].map(|region| layer.cached(gpu, region));
            let rows: Vec<f32> = numbers.floats(t * h.width()).iter().map(|v| v * 2.0).collect();
            let x = reader.rows(gpu, &rows);
            let got = run(gpu, |g| reader.attention().run(g.given(&x, [t, h.width()])).tensor()).values;
            let want = h.attention(&h.prepare(&rows[..n * h.width()], pos), pos, &k, &v);
            check(&format!("{what}, read again"), &want, &got[..want.len()], layer.tolerance());
            untouched(&what, &got, n, h.heads * h.value_dim);
            let after = [&layer.kv.k, &layer.kv.v].map(|region| layer.cached(gpu, region));
            assert_eq!(before, after, "{what}: a reader appends nothing");
        }
        pos += n;
    }
    // The cache holds what it should, each position at its slot, and nothing else.
    for (label, region, dim, want) in [("k", &layer.kv.k, h.key_dim, &k), ("v", &layer.kv.v, h.value_dim, &v)] {
        let slot = |s: usize| (0..total).rev().find(|p| p % capacity == s);
        let expected: Vec<f64> = (0..h.kv_heads)
            .flat_map(|head| (0..capacity).map(move |s| (head, s)))
            .flat_map(|(head, s)| slot(s).map_or(vec![EMPTY.into(); dim], |p| want[p][head].clone()))
            .collect();
        check(&format!("{name}: {what}: {label}"), &expected, &layer.cached(gpu, region), layer.tolerance());
    }
}

fn norm(h: &Heads, whole_row: bool, after_rope: bool, eps: f32) -> Option<HeadNorm> {
    let n = if whole_row { (h.heads + h.kv_heads) * h.key_dim } else { 2 * h.key_dim };
    Some(HeadNorm { weights: Numbers(n as u64).floats(n), whole_row, after_rope, eps })
}

/// What a layer may have, one by one and together, for a group of each size.
fn kinds(h: &Heads) -> Vec<(&'static str, Heads)> {
    let sinks = |size: f32| Some(Numbers(7).floats(h.heads).iter().map(|v| v * size).collect());
    let base = || h.clone();
    vec![
        // Scores of plain rows are about ten: far past this cap, and about that one.
        ("capped at 4", Heads { scale: 1.0, soft_cap: Some(4.0), ..base() }),
        ("capped at 20", Heads { scale: 1.0, soft_cap: Some(20.0), ..base() }),
        ("sinks", Heads { sinks: sinks(4.0), ..base() }),
        ("norm of the row", Heads { norm: norm(h, true, false, 1e-6), ..base() }),
        ("norm after rotation", Heads { norm: norm(h, false, true, 0.1), ..base() }),
        ("norm of the row after rotation", Heads { norm: norm(h, true, true, 1e-6), ..base() }),
        ("norm of values", Heads { value_norm: Some(0.01), ..base() }),
        ("clamp", Heads { clamp: Some(0.75), ..base() }),
        ("a gate per head", Heads { gate: Some(HeadGate::PerHead), ..base() }),
        ("a gate per element", Heads { gate: Some(HeadGate::PerElement), ..base() }),
        ("growth", Heads { growth: Some((0.5, 7)), ..base() }),
        ("no rotation", partial(base(), 0, 100.0)),
        ("some dimensions rotate", Heads { interleaved: true, ..partial(base(), h.key_dim / 2, 1000.0) }),
        (
            "all of it",
            Heads {
                soft_cap: Some(5.0),
                sinks: sinks(1.0),
                norm: norm(h, false, false, 1e-5),
                value_norm: Some(1e-5),
                clamp: Some(1.5),
                gate: Some(HeadGate::PerElement),
                growth: Some((0.1, 16)),
                window: Some(11),
                ..base()
            },
        ),
    ]
}

#[test]
fn groups_of_one() {
    each_setup(|name, gpu| {
        let h = heads(2, 2, 32, 10000.0);
        kinds(&h).iter().for_each(|(what, h)| feed(name, gpu, what, h, None, CHUNKS));
    });
}

#[test]
fn groups_of_three() {
    each_setup(|name, gpu| {
        // Values smaller than keys.
        let h = Heads { value_dim: 20, ..heads(6, 2, 48, 10000.0) };
        kinds(&h).iter().for_each(|(what, h)| feed(name, gpu, what, h, None, CHUNKS));
    });
}

#[test]
fn groups_of_eight() {
    each_setup(|name, gpu| {
        // Values larger than keys.
        let h = Heads { value_dim: 64, ..heads(8, 1, 36, 10000.0) };
        kinds(&h).iter().for_each(|(what, h)| feed(name, gpu, what, h, None, CHUNKS));
    });
}

/// Windows shorter and longer than a chunk, a tile and a split, and caches that go round several times.
#[test]
fn rings() {
    each_setup(|name, gpu| {
        let h = heads(4, 2, 16, 10000.0);
        for (window, chunk, times) in [(1, 3, 5), (5, 4, 6), (40, 7, 20), (33, 70, 4), (200, 64, 9)] {
            let full = [chunk, chunk];
            let mut chunks = vec![full; times];
            chunks.extend([[chunk, 1], [1, 1], [1, 1], full, [chunk, chunk - 1], [1, 1]]);
            let h =
                Heads { window: Some(window), sinks: (window == 40).then(|| vec![0.5, -1.0, 2.0, 0.0]), ..h.clone() };
            feed(name, gpu, &format!("window {window}"), &h, None, &chunks);
        }
    });
}

/// Heads larger than a tile's sums, also by less than one, with values of another size.
#[test]
fn large_heads() {
    each_setup(|name, gpu| {
        for (h, k, key_dim, value_dim) in [(4, 2, 256, 256), (2, 1, 512, 512), (2, 2, 192, 128)] {
            let h = Heads { value_dim, window: (key_dim == 256).then_some(30), ..heads(h, k, key_dim, 10000.0) };
            feed(name, gpu, &format!("heads of {key_dim} and {value_dim}"), &h, None, &[[35, 35], [1, 1], [3, 2]]);
        }
    });
}

/// A context of thousands of positions, for which a head of the largest size takes the most steps: llvmpipe counts them.
#[test]
fn large_heads_in_long_contexts_without_barriers() {
    let gpu = &open(Some(Tier::Base), Some(Family::Software));
    let h = heads(1, 1, 512, 10000.0);
    let pos = 7000;
    let layer = Layer::new(gpu, &h, pos + 2, pos, 2);
    let mut numbers = Numbers(2);
    let past = layer.fill(&h.prepare(&numbers.floats(pos * layer.width()), 0));
    let rows = numbers.floats(2 * layer.width());
    let new = layer.round(&h.prepare(&rows, pos));
    let want = h.attention(&new, pos, &[past.k, new.k.clone()].concat(), &[past.v, new.v.clone()].concat());
    let x = layer.rows(gpu, &rows);
    let got = run(gpu, |g| layer.attention().prefill(g.given(&x, [2, layer.width()]))).values;
    check("heads of 512", &want, &got, layer.tolerance());
}

/// Layers that have queries alone and read another's cache.
#[test]
fn caches_of_other_layers() {
    each_setup(|name, gpu| {
        let all = heads(6, 2, 32, 10000.0);
        for (what, h) in [
            ("plain", all.clone()),
            ("norm", Heads { norm: norm(&all, false, false, 1e-6), value_norm: Some(1e-6), ..all.clone() }),
            ("gate", Heads { gate: Some(HeadGate::PerHead), soft_cap: Some(3.0), ..all.clone() }),
            ("ring", Heads { window: Some(20), gate: Some(HeadGate::PerElement), ..all.clone() }),
        ] {
            let reader = Heads { appends: false, ..h.clone() };
            feed(name, gpu, &format!("shared, {what}"), &h, Some(&reader), CHUNKS);
        }
    });
}
