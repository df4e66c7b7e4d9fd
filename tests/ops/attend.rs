//! `Attend` (attend: attention_loop, attention_fours, attention_one): rows that attend to rows, without a cache.

use inkstone::gpu::Gpu;
use inkstone::ops::Attend;
use std::rc::Rc;
use support::gpu::{activation, each_setup, run};
use support::reference::attention;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

/// Rows of some width, of which the heads are columns.
struct Rows {
    values: Vec<f32>,
    width: usize,
    first: usize,
}

impl Rows {
    fn new(count: usize, width: usize, first: usize, size: f32, numbers: &mut Numbers) -> Rows {
        Rows { values: numbers.floats(count * width).iter().map(|v| v * size).collect(), width, first }
    }

    fn columns(&self) -> attention::Columns<'_> {
        (&self.values, self.width, self.first)
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    heads: usize,
    head_dim: usize,
    t: usize,
    s: usize,
    causal: bool,
}

fn try_case(name: &str, gpu: &Rc<Gpu>, c: Case, [q, k, v]: [&Rows; 3]) {
    let Case { n, heads, head_dim, causal, .. } = c;
    let [a, b, d] = [q, k, v].map(|r| activation(gpu, &r.values, r.width));
    let got = run(gpu, |g| {
        let given = |region, r: &Rows| (g.given(region, [r.values.len() / r.width, r.width]), r.first);
        Attend { n, heads, head_dim, q: given(&a, q), k: given(&b, k), v: given(&d, v), causal }.run()
    });
    let want = attention::attend(n, [heads, head_dim], q.columns(), k.columns(), v.columns(), causal);
    check(&format!("{name}: {c:?}"), &want, &got.values, Tolerance::F32);
}

/// Queries, keys and values in tensors of their own.
fn apart(name: &str, gpu: &Rc<Gpu>, c: Case, size: f32, numbers: &mut Numbers) {
    let width = c.heads * c.head_dim;
    let q = Rows::new(c.n * c.t, width, 0, size, numbers);
    let [k, v] = [0; 2].map(|_| Rows::new(c.n * c.s, width, 0, size, numbers));
    try_case(name, gpu, c, [&q, &k, &v]);
}

/// Heads of published models, and odd ones; one to several workgroups to a head.
#[test]
fn heads_of_every_size() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for head_dim in [1, 3, 4, 5, 8, 10, 12, 24, 40, 64, 80, 160, 168, 512] {
            let case = Case { n: 1, heads: 2, head_dim, t: 35, s: 41, causal: false };
            apart(name, gpu, case, 2.0, &mut numbers);
            apart(name, gpu, Case { t: 1, s: 1, ..case }, 2.0, &mut numbers);
            if [3, 8, 64, 168].contains(&head_dim) {
                apart(name, gpu, Case { t: 37, s: 37, causal: true, ..case }, 2.0, &mut numbers);
            }
        }
    });
}

/// Every count of queries and keys around a tile's edges.
#[test]
fn rows_around_every_edge() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        for t in [1, 2, 3, 31, 32, 33, 64, 77, 130] {
            for s in [1, 4, 31, 32, 33, 63, 64, 65, 154] {
                apart(name, gpu, Case { n: 2, heads: 3, head_dim: 8, t, s, causal: false }, 3.0, &mut numbers);
            }
            apart(name, gpu, Case { n: 3, heads: 2, head_dim: 8, t, s: t, causal: true }, 3.0, &mut numbers);
        }
    });
}

/// One product makes queries, keys and values, side by side; or keys and values, for queries of another.
#[test]
fn columns_of_shared_tensors() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(3);
        for (n, heads, head_dim, t, causal) in
            [(1, 2, 8, 33, false), (2, 3, 4, 40, true), (2, 5, 20, 9, false), (2, 3, 5, 33, false), (1, 2, 3, 34, true)]
        {
            let d = heads * head_dim;
            let c = Case { n, heads, head_dim, t, s: t, causal };
            let qkv = numbers.floats(n * t * 3 * d);
            let [q, k, v] = [0, d, 2 * d].map(|first| Rows { values: qkv.clone(), width: 3 * d, first });
            try_case(name, gpu, c, [&q, &k, &v]);
            let s = 21;
            let q = Rows::new(n * t, d, 0, 1.0, &mut numbers);
            let kv = numbers.floats(n * s * (2 * d + 8));
            let [k, v] =
                [4, d.next_multiple_of(4) + 4].map(|first| Rows { values: kv.clone(), width: 2 * d + 8, first });
            try_case(name, gpu, Case { s, causal: false, ..c }, [&q, &k, &v]);
        }
    });
}

/// Scores so large that exp of them overflows, and rows whose scores are all far below zero.
#[test]
fn huge_scores() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        let (t, s, d) = (40, 70, 32);
        let c = Case { n: 1, heads: 2, head_dim: 16, t, s, causal: false };
        for size in [30.0, 300.0] {
            // Whole numbers, and heads of which the root is one: scores are exact, and so is which is the largest.
            let whole = |count: usize, numbers: &mut Numbers| {
                let values = numbers.floats(count * d).iter().map(|v| (v * size).round()).collect();
                Rows { values, width: d, first: 0 }
            };
            let (mut q, k) = (whole(t, &mut numbers), whole(s, &mut numbers));
            let v = Rows::new(s, d, 0, 1.0, &mut numbers);
            try_case(name, gpu, c, [&q, &k, &v]);
            // Against keys that are nearly alike, every query but the first few looks away.
            let mut k = k;
            k.values.iter_mut().enumerate().for_each(|(i, v)| *v = size + if i % d == i / d % d { 0.125 } else { 0.0 });
            q.values[4 * d..].iter_mut().for_each(|v| *v = -v.abs() - 1.0);
            try_case(name, gpu, c, [&q, &k, &v]);
        }
    });
}

/// So many tiles that a GPU's are tall, with one and two steps of values to an invocation.
#[test]
fn tall_tiles() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(6);
        for (head_dim, causal) in [(20, false), (37, false), (64, true)] {
            for (t, s) in [(65, 70), (130, 130)] {
                apart(name, gpu, Case { n: 2, heads: 65, head_dim, t, s, causal }, 2.0, &mut numbers);
            }
        }
    });
}

/// A picture of 128 by 128 latents has more tiles and heads than a small grid.
#[test]
fn many_pictures_of_many_heads() {
    each_setup(|name, gpu| {
        let c = Case { n: 5, heads: 64, head_dim: 4, t: 65, s: 6, causal: false };
        apart(name, gpu, c, 1.0, &mut Numbers(5));
    });
}
