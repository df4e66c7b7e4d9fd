//! `Splits::merge`: the splits of a decoded position by themselves, and through a product.

use super::heads::{Layer, heads};
use inkstone::dtype::DType;
use inkstone::gpu::Family;
use inkstone::ops::{Input, Linear};
use support::gpu::{Stored, each_setup, matrix, run};
use support::reference::attention::Heads;
use support::reference::layers::linear;
use support::reference::weights::{Numbers, made_up};
use support::tolerance::check;

#[test]
fn splits_merge_into_heads() {
    each_setup(|name, gpu| {
        if gpu.adapter().family == Family::Software {
            return;
        }
        let mut numbers = Numbers(1);
        // The last one has more elements than a workgroup has quads, and heads that end within one.
        for (h, k, key_dim, value_dim) in [(1, 1, 16, 4), (24, 8, 32, 52)] {
            let h = Heads { value_dim, ..heads(h, k, key_dim, 10000.0) };
            // One split, some, all.
            for context in [1, 65, 300, 900] {
                let pos = context - 1;
                let layer = Layer::new(gpu, &h, context, pos, 1);
                let width = layer.width();
                let past = layer.fill(&h.prepare(&numbers.floats(pos * width), 0));
                let row = numbers.floats(width);
                let new = layer.round(&h.prepare(&row, pos));
                let want = h.attention(&new, pos, &[past.k, new.k.clone()].concat(), &[past.v, new.v.clone()].concat());
                let x = layer.rows(gpu, &row);
                let what = format!("{name}: {} heads of {value_dim}, context {context}", h.heads);
                let a = layer.attention();
                let got = run(gpu, |g| a.decode(g.given(&x, [1, width])).merge()).values;
                check(&what, &want, &got, layer.tolerance());
                let (n, q_dim) = (7, h.heads * value_dim);
                let (bytes, values) = made_up(DType::F32, n * q_dim, &mut numbers);
                let w = matrix(gpu, q_dim, &[Stored { dtype: DType::F32, bytes }]);
                let got = run(gpu, |g| {
                    let splits = a.decode(g.given(&x, [1, width]));
                    Input::Splits(splits).linear(&w, Linear::default())
                });
                check(
                    &format!("{what}, through a product"),
                    &linear(&want, &values, q_dim),
                    &got.values,
                    layer.tolerance(),
                );
            }
        }
    });
}
