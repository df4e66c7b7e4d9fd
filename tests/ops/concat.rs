//! `Tensor::concat` puts rows side by side.

use inkstone::gpu::Gpu;
use std::rc::Rc;
use support::gpu::{activation, each_folding, each_setup, run};
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

fn try_rows(name: &str, gpu: &Rc<Gpu>, [t, a, b]: [usize; 3], numbers: &mut Numbers) {
    let (x, y) = (numbers.floats(t * a), numbers.floats(t * b));
    let regions = [activation(gpu, &x, a), activation(gpu, &y, b)];
    let got = run(gpu, |g| g.given(&regions[0], [t, a]).concat(g.given(&regions[1], [t, b]))).values;
    let want: Vec<f32> = x.chunks_exact(a).zip(y.chunks_exact(b)).flat_map(|(x, y)| [x, y].concat()).collect();
    check(&format!("{name}: [{t}, {a}] and [{t}, {b}]"), &want, &got, Tolerance::Exact);
}

#[test]
fn rows_follow_each_other() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        let shapes = [[1, 1, 1], [2, 3, 4], [5, 4, 3], [3, 1, 6], [7, 5, 2], [64, 320, 640], [33, 77, 100]];
        shapes.into_iter().for_each(|shape| try_rows(name, gpu, shape, &mut numbers));
    });
    each_folding(|name, gpu| try_rows(name, gpu, [33, 65, 1], &mut Numbers(2)));
}
