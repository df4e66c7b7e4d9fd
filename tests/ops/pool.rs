//! `Tensor::pool` against plain sums.

use inkstone::ops::Pool;
use support::gpu::{activation, each_setup, run, state, untouched, upload};
use support::reference::maps::pooled;
use support::reference::weights::Numbers;
use support::tolerance::{Tolerance, check};

const ALL: [Pool; 6] = [Pool::First, Pool::Max, Pool::Mean, Pool::MeanSqrtLength, Pool::WeightedMean, Pool::Last];

/// First row, end and beginning of each sequence; in some the first rows are not pooled.
const SPANS: [[usize; 3]; 5] = [[0, 1, 0], [1, 6, 1], [8, 30, 6], [30, 31, 30], [33, 97, 31]];

#[test]
fn sequences_become_rows() {
    each_setup(|name, gpu| {
        for dim in [4, 36, 100, 5] {
            let values: Vec<f32> = Numbers(dim as u64).floats(100 * dim).iter().map(|v| v - 0.25).collect();
            let x = activation(gpu, &values, dim);
            let words: Vec<u32> = SPANS.iter().flat_map(|s| [s[0] as u32, s[1] as u32, s[2] as u32, 0]).collect();
            let spans = upload(gpu, &words);
            for n in [1, 3, 5] {
                let state = state(gpu, 0, n);
                for way in ALL {
                    let what = format!("{name}: {way:?} of {dim} columns, {n} sequences");
                    let got = run(gpu, |g| g.given(&x, [100, dim]).pool(&[way], &spans, 5, &state)).values;
                    let want: Vec<f64> = SPANS[..n].iter().flat_map(|s| pooled(&values, dim, way, *s)).collect();
                    check(&what, &want, &got[..n * dim], Tolerance::F32);
                    untouched(&what, &got, n, dim);
                }
            }
        }
    });
}

#[test]
fn several_ways_lie_side_by_side() {
    each_setup(|name, gpu| {
        let dim = 12;
        let values = Numbers(1).floats(100 * dim);
        let x = activation(gpu, &values, dim);
        let words: Vec<u32> = SPANS.iter().flat_map(|s| [s[0] as u32, s[1] as u32, s[2] as u32, 0]).collect();
        let (spans, state) = (upload(gpu, &words), state(gpu, 0, 5));
        let got = run(gpu, |g| g.given(&x, [100, dim]).pool(&ALL, &spans, 5, &state)).values;
        let one = |s: &[usize; 3]| ALL.iter().flat_map(|way| pooled(&values, dim, *way, *s)).collect::<Vec<_>>();
        let want: Vec<f64> = SPANS.iter().flat_map(one).collect();
        check(name, &want, &got, Tolerance::F32);
    });
}
