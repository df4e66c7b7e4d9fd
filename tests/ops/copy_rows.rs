//! `Map::copy_rows` against a loop over a picture's rows.

use inkstone::gpu::{Batch, Graph, Plan};
use inkstone::ops::{Map, Rows};
use pollster::block_on;
use support::gpu::{GARBAGE, SENTINEL, download, each_setup, padded, upload};
use support::reference::weights::Numbers;

/// First row and count of what a map holds of a picture, for a band.
fn held(rows: Rows, band: i64) -> (i64, i64) {
    (i64::from(rows.mul) * band + i64::from(rows.add), rows.count as i64)
}

#[test]
fn rows_that_both_have_are_copied_and_no_others() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        let rows = |count: usize, mul: i32, add: i32| Rows { count, height: 40, mul, add };
        // (x, y, what is copied)
        let cases = [
            (Rows::all(40), rows(12, 2, -3), rows(12, 2, -3)),
            (rows(12, 2, -3), Rows::all(40), rows(8, 2, 0)),
            (rows(4, 2, -3), rows(12, 2, -3), rows(4, 2, -3)),
            (rows(12, 2, -3), rows(4, 2, 5), rows(4, 2, 5)),
            (rows(9, 1, 2), rows(9, 1, -2), rows(40, 1, -20)),
        ];
        for (width, channels) in [(1, 1), (3, 4), (7, 5), (33, 10)] {
            for (x, y, wanted) in cases {
                for band in [-9i64, -1, 0, 1, 3, 18, 40] {
                    let values = numbers.floats(x.count * width * channels);
                    let source = upload(gpu, &padded(&values, channels));
                    let stride = channels.next_multiple_of(4);
                    // After the rows, room that is not theirs.
                    let target = upload(gpu, &vec![SENTINEL; (y.count + 9) * width * stride]);
                    let state = upload(gpu, &[band as i32, 0]);
                    let graph = Graph::banded(gpu, &state);
                    let map = |region, rows: Rows| {
                        Map::new(graph.given(region, [rows.count * width, channels]), 1, width, rows)
                    };
                    map(&source, x).copy_rows(wanted, map(&target, y));
                    let plan = block_on(Plan::new(graph)).unwrap();
                    let mut batch = Batch::new(gpu);
                    batch.run(&plan);
                    batch.submit();
                    let got: Vec<f32> = download(gpu, &target);
                    let past = &got[y.count * width * stride..];
                    assert!(past.iter().all(|v| *v == SENTINEL), "{name}: {x:?} to {y:?}, {wanted:?}, band {band}");
                    let ((from, x_count), (to, y_count)) = (held(x, band), held(y, band));
                    let (first, count) = held(wanted, band);
                    for row in 0..y_count {
                        let at = to + row;
                        let copied = (first..first + count).contains(&at) && (from..from + x_count).contains(&at);
                        for i in 0..width * stride {
                            let (pixel, c) = (i / stride, i % stride);
                            let got = got[row as usize * width * stride + i];
                            let want = match (copied, c < channels) {
                                (false, _) => SENTINEL,
                                (true, false) => GARBAGE,
                                (true, true) => values[(((at - from) as usize) * width + pixel) * channels + c],
                            };
                            assert_eq!(got, want, "{name}: {x:?} to {y:?}, {wanted:?}, band {band}, row {at}, {i}");
                        }
                    }
                }
            }
        }
    });
}
