//! `Graph::embed` picks rows of a table, whole or in slices.

use inkstone::dtype::DType;
use inkstone::gpu::{Gpu, Weight};
use std::rc::Rc;
use support::gpu::{Stored, each_folding, each_setup, matrix, run, state, untouched, upload};
use support::reference::weights::{Numbers, golden_encodings, made_up};
use support::tolerance::{Tolerance, check};

/// A table cut into slices after the given rows.
fn table(
    gpu: &Rc<Gpu>,
    dtype: DType,
    rows: usize,
    dim: usize,
    cuts: &[usize],
    numbers: &mut Numbers,
) -> (Weight, Vec<f64>) {
    let (bytes, values) = made_up(dtype, rows * dim, numbers);
    let row = bytes.len() / rows;
    let edges: Vec<usize> = [0].iter().chain(cuts).chain(&[rows]).copied().collect();
    let part = |e: &[usize]| Stored { dtype, bytes: bytes[e[0] * row..e[1] * row].to_vec() };
    (matrix(gpu, dim, &edges.windows(2).map(part).collect::<Vec<_>>()), values)
}

#[test]
fn rows_are_those_of_the_table() {
    const F: &[DType] = &[DType::F32, DType::F16, DType::BF16];
    const ALL: &[DType] = &[DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0];
    type Shape = (usize, usize, usize, &'static [usize], &'static [DType]);
    // Rows of the table, dimensions, tokens, where the table is cut.
    let table_of_shapes: &[Shape] = &[
        (1, 1, 1, &[], F),
        (3, 5, 2, &[], F),
        (7, 31, 9, &[1], F),
        (40, 32, 67, &[], ALL),
        (40, 32, 1, &[13, 39], ALL),
        (33, 33, 5, &[32], F),
        (50, 100, 11, &[17, 18], F),
        (301, 576, 65, &[64, 128, 300], ALL),
    ];
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for &(rows, dim, t, cuts, dtypes) in table_of_shapes {
            for &dtype in dtypes {
                let (w, values) = table(gpu, dtype, rows, dim, cuts, &mut numbers);
                // Always the first and the last row, and those at the cuts.
                let mut ids: Vec<u32> = [0, rows - 1].iter().chain(cuts).map(|&i| i as u32).collect();
                ids.extend((0..t).map(|_| numbers.below(rows) as u32));
                ids.rotate_left(t / 2);
                ids.truncate(t);
                let id_region = upload(gpu, &ids);
                let got = run(gpu, |g| g.embed(&w, &id_region, t, 1.0, None)).values;
                let want: Vec<f64> =
                    ids.iter().flat_map(|&i| &values[i as usize * dim..(i as usize + 1) * dim]).copied().collect();
                check(
                    &format!("{name}: [{rows}, {dim}] {dtype:?} cut at {cuts:?}, {t} tokens"),
                    &want,
                    &got,
                    Tolerance::Exact,
                );
            }
        }
    });
}

/// Those that the table above leaves out.
#[test]
fn rows_of_every_other_encoding() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(4);
        for dtype in golden_encodings() {
            for (rows, blocks, cuts) in [(1, 1, &[][..]), (7, 3, &[2]), (67, 2, &[1, 66])] {
                let dim = blocks * dtype.block_len();
                let (w, values) = table(gpu, dtype, rows, dim, cuts, &mut numbers);
                for t in [1, 3, 33] {
                    let ids: Vec<u32> = (0..t).map(|i| ((i + 1) * (rows - 1) / t) as u32).collect();
                    let region = upload(gpu, &ids);
                    let got = run(gpu, |g| g.embed(&w, &region, t, 1.0, None)).values;
                    let want: Vec<f64> =
                        ids.iter().flat_map(|&i| &values[i as usize * dim..(i as usize + 1) * dim]).copied().collect();
                    let what = format!("{name}: {} [{rows}, {dim}], {t} tokens", dtype.name());
                    check(&what, &want, &got, Tolerance::Exact);
                }
            }
        }
    });
}

#[test]
fn rows_without_a_token_are_not_written() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(2);
        let (w, values) = table(gpu, DType::F32, 20, 36, &[9], &mut numbers);
        let ids = upload(gpu, &(0..12u32).map(|i| (i * 7) % 20).collect::<Vec<_>>());
        for n in [1, 5, 12] {
            let state = state(gpu, 100, n);
            let got = run(gpu, |g| g.embed(&w, &ids, 12, 1.0, Some(&state))).values;
            let want: Vec<f64> =
                (0..n).flat_map(|i| &values[(i * 7) % 20 * 36..((i * 7) % 20 + 1) * 36]).copied().collect();
            check(&format!("{name}: {n} of 12 rows"), &want, &got[..n * 36], Tolerance::Exact);
            untouched(name, &got, n, 36);
        }
    });
}

/// What Gemma and Granite multiply embeddings with; and learned positions, added to rows at any position.
#[test]
fn rows_are_scaled_and_get_positions() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(5);
        for (dtype, dim, cuts) in
            [(DType::F32, 5, &[3][..]), (DType::F16, 100, &[]), (DType::BF16, 33, &[11, 12]), (DType::Q8_0, 64, &[7])]
        {
            let (w, values) = table(gpu, dtype, 20, dim, cuts, &mut numbers);
            let (positions, at) = table(gpu, dtype, 30, dim, cuts, &mut numbers);
            let ids = upload(gpu, &(0..12u32).map(|i| (i * 7) % 20).collect::<Vec<_>>());
            for (t, n, pos) in [(1, 1, 0), (1, 1, 29), (12, 12, 3), (12, 5, 8)] {
                let state = state(gpu, pos, n);
                let element = |i: usize| values[(i / dim * 7) % 20 * dim + i % dim] * 45.25;
                let scaled: Vec<f64> = (0..n * dim).map(element).collect();
                let what = format!("{name}: {} of {dim}, {n} of {t} rows at {pos}", dtype.name());
                let got = run(gpu, |g| g.embed(&w, &ids, t, 45.25, Some(&state))).values;
                check(&what, &scaled, &got[..n * dim], Tolerance::F32);
                let want: Vec<f64> = scaled.iter().enumerate().map(|(i, v)| v + at[pos * dim + i]).collect();
                let got = run(gpu, |g| g.embed(&w, &ids, t, 45.25, Some(&state)).add_positions(&positions, &state));
                check(&format!("{what}, with positions"), &want, &got.values[..n * dim], Tolerance::F32);
                untouched(&what, &got.values, n, dim);
                // Rows of a table by their numbers: those of positions, or of kinds of tokens.
                let chosen = upload(gpu, &(0..12u32).map(|i| (i * 5 + 2) % 30).collect::<Vec<_>>());
                let row = |i: usize| (i / dim * 5 + 2) % 30 * dim + i % dim;
                let want: Vec<f64> = scaled.iter().enumerate().map(|(i, v)| v + at[row(i)]).collect();
                let got = run(gpu, |g| {
                    g.embed(&w, &ids, t, 45.25, Some(&state)).add_embedded(&positions, &chosen, Some(&state))
                });
                check(&format!("{what}, with chosen rows"), &want, &got.values[..n * dim], Tolerance::F32);
                untouched(&what, &got.values, n, dim);
            }
        }
    });
}

/// Past a dimension's most workgroups the grid folds into two.
#[test]
fn more_rows_than_one_dimension_of_a_grid() {
    each_folding(|name, gpu| {
        let (w, values) = table(gpu, DType::F32, 5, 1, &[], &mut Numbers(3));
        let t = 33 * 64 + 3;
        let ids: Vec<u32> = (0..t).map(|i| (i % 5) as u32).collect();
        let id_region = upload(gpu, &ids);
        let got = run(gpu, |g| g.embed(&w, &id_region, t, 1.0, None)).values;
        let want: Vec<f64> = ids.iter().map(|&i| values[i as usize]).collect();
        check(name, &want, &got, Tolerance::Exact);
    });
}
