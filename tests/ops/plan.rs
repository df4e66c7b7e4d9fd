//! What plans promise: memory shared by lifetime, nothing made in the loop, one pass for many plans, few buffers for
//! weights, and weights that are cut into slices.

use inkstone::Error;
use inkstone::dtype::DType;
use inkstone::gpu::{
    Access, Batch, Buffer, Counters, Gpu, Graph, Kernel, Part, Plan, Readback, Region, Tensor, Tier, Weight,
    WeightStore,
};
use inkstone::ops::{Linear, RECENT, RmsNorm, Sampling};
use inkstone::shape::Shape;
use pollster::block_on;
use std::cell::Cell;
use std::rc::Rc;
use support::gpu::{SENTINEL, Stored, activation, download, each_setup, matrix, open, run, upload, vector};
use support::reference::layers::{linear, wide};
use support::reference::weights::{Numbers, made_up};
use support::tolerance::{Tolerance, check};

/// How much of each thing there was.
fn made(gpu: &Gpu) -> [u64; 4] {
    let c: &Counters = gpu.counters();
    [&c.buffers, &c.bind_groups, &c.pipelines, &c.modules].map(Cell::get)
}

fn square(gpu: &Rc<Gpu>, dim: usize, numbers: &mut Numbers) -> (Weight, Vec<f64>) {
    let (bytes, values) = made_up(DType::F32, dim * dim, numbers);
    (matrix(gpu, dim, &[Stored { dtype: DType::F32, bytes }]), values)
}

/// Twenty layers in a row: `x = w x + x`, each reading the one before.
fn chain<'g>(x: Tensor<'g>, w: &Weight) -> Tensor<'g> {
    (0..20).fold(x, |x, _| x.linear_with(w, Linear { residual: Some(x), ..Linear::default() }))
}

#[test]
fn tensors_that_are_never_alive_together_share_memory() {
    each_setup(|name, gpu| {
        let (dim, t) = (64, 9);
        let (w, values) = square(gpu, dim, &mut Numbers(1));
        let small: Vec<f32> = Numbers(2).floats(t * dim).iter().map(|v| v * 0.1).collect();
        let x = activation(gpu, &small, dim);
        let before = made(gpu)[0];
        let live = gpu.counters().live_bytes.get();
        let got = run(gpu, |g| chain(g.given(&x, [t, dim]), &w));
        // Two activations that take turns, the kept result, the parameters, what unused bindings are bound to, and
        // the place where the test reads the result.
        assert_eq!(made(gpu)[0] - before, 6, "{name}: buffers of a chain of twenty layers");
        assert!(got.plan.bytes() <= (3 * t * dim * 4 + 4096) as u64, "{name}: {} bytes", got.plan.bytes());
        let mut want = wide(&small);
        for _ in 0..20 {
            want = linear(&want, &values, dim).iter().zip(&want).map(|(y, x)| y + x).collect();
        }
        check(name, &want, &got.values, Tolerance::F32);
        drop(got);
        assert_eq!(gpu.counters().live_bytes.get(), live, "{name}: a plan that is dropped leaves nothing");
    });
}

#[test]
fn a_tensor_lives_until_its_last_reader() {
    each_setup(|name, gpu| {
        let (dim, t) = (32, 3);
        let (w, values) = square(gpu, dim, &mut Numbers(3));
        let first = Numbers(4).floats(t * dim);
        let (x, ones) = (activation(gpu, &first, dim), vector(gpu, &[1.0; 32]));
        let norm = RmsNorm { weight: Some(ones), eps: 1e-5 };
        // `early` is read again at the very end, after ten others came and went.
        let got = run(gpu, |g| {
            let early = g.given(&x, [t, dim]).linear(&w);
            let late = (0..10).fold(early, |x, _| x.rms_norm(&norm, None));
            late.linear_with(&w, Linear { residual: Some(early), ..Linear::default() })
        });
        let early = linear(&wide(&first), &values, dim);
        let mut late = early.clone();
        for _ in 0..10 {
            for row in late.chunks_exact_mut(dim) {
                let scale = 1.0 / (row.iter().map(|v| v * v).sum::<f64>() / dim as f64 + 1e-5).sqrt();
                row.iter_mut().for_each(|v| *v *= scale);
            }
        }
        let want: Vec<f64> = linear(&late, &values, dim).iter().zip(&early).map(|(a, b)| a + b).collect();
        check(name, &want, &got.values, Tolerance::F32);
    });
}

#[test]
fn running_again_makes_nothing_and_gives_the_same() {
    each_setup(|name, gpu| {
        let (dim, t) = (64, 5);
        let (w, _) = square(gpu, dim, &mut Numbers(5));
        let (x, ones) = (activation(gpu, &Numbers(6).floats(t * dim), dim), vector(gpu, &[1.0; 64]));
        let norm = RmsNorm { weight: Some(ones), eps: 1e-5 };
        let first = run(gpu, |g| chain(g.given(&x, [t, dim]), &w).rms_norm(&norm, None));
        let readback = Readback::new(gpu, first.region.size);
        let (before, live) = (made(gpu), gpu.counters().live_bytes.get());
        let c = gpu.counters();
        let counts = || [&c.submits, &c.passes, &c.dispatches, &c.writes, &c.reads].map(Cell::get);
        let start = counts();
        for _ in 0..10 {
            let mut batch = Batch::new(gpu);
            batch.run(&first.plan);
            batch.read(&first.region, &readback);
            batch.submit();
            let bytes = block_on(readback.fetch(first.region.size)).unwrap();
            check(name, &first.values, bytemuck::pod_collect_to_vec::<u8, f32>(&bytes).as_slice(), Tolerance::Exact);
        }
        assert_eq!(made(gpu), before, "{name}: buffers, bind groups, pipelines, modules");
        assert_eq!(c.live_bytes.get(), live, "{name}: bytes");
        let done: Vec<u64> = counts().iter().zip(start).map(|(now, then)| now - then).collect();
        assert_eq!(
            done,
            [10, 10, 10 * first.plan.dispatches() as u64, 0, 10],
            "{name}: submits, passes, dispatches, writes, reads"
        );
    });
}

#[test]
fn plans_of_a_batch_share_a_pass_and_run_in_order() {
    each_setup(|name, gpu| {
        let dim = 64;
        let (w, values) = square(gpu, dim, &mut Numbers(7));
        let start = Numbers(8).floats(dim);
        let x = activation(gpu, &start, dim);
        let plan = |input: &Region| {
            let g = Graph::new(gpu);
            let y = g.given(input, [1, dim]).linear(&w).kept();
            let plan = block_on(Plan::new(g)).unwrap();
            let region = plan.region(y).clone();
            (plan, region)
        };
        let (first, between) = plan(&x);
        let (second, result) = plan(&between);
        let passes = gpu.counters().passes.get();
        let mut batch = Batch::new(gpu);
        batch.run(&first);
        batch.run(&second);
        batch.submit();
        assert_eq!(gpu.counters().passes.get() - passes, 1, "{name}: two plans, one pass");
        let want = linear(&linear(&wide(&start), &values, dim), &values, dim);
        check(name, &want, &download::<f32>(gpu, &result), Tolerance::F32);
    });
}

/// What one step samples is what the next one embeds, with no word from the host.
#[test]
fn steps_of_a_batch_feed_themselves() {
    each_setup(|name, gpu| {
        // Token i is followed by (7 i + 3) mod 50.
        let vocab = 50;
        let table: Vec<u8> = (0..vocab * vocab)
            .flat_map(|i| if i % vocab == (7 * (i / vocab) + 3) % vocab { 1f32 } else { 0.0 }.to_le_bytes())
            .collect();
        let w = matrix(gpu, vocab, &[Stored { dtype: DType::F32, bytes: table }]);
        let mut words = [0u32; 128];
        (words[1], words[64]) = (1, 11);
        let inputs = upload(gpu, &words);
        let [settings, history, recent] =
            [upload(gpu, &[0f32; 8]), upload(gpu, &[0u32; 100]), upload(gpu, &[0u32; RECENT])];
        let g = Graph::new(gpu);
        let s = Sampling { settings: &settings, history: &history, state: &inputs, recent: &recent };
        g.embed(&w, &inputs.sub(256, 256), 1, 1.0, None).sample(&s);
        let plan = block_on(Plan::new(g)).unwrap();
        let mut batch = Batch::new(gpu);
        (0..RECENT).for_each(|_| batch.run(&plan));
        batch.submit();
        let want: Vec<u32> = (0..RECENT)
            .scan(11, |id, _| {
                *id = (7 * *id + 3) % 50;
                Some(*id)
            })
            .collect();
        assert_eq!(download::<u32>(gpu, &recent), want, "{name}");
        assert_eq!(download::<u32>(gpu, &inputs)[..3], [16, 1, 16], "{name}: position, rows, step");
    });
}

#[test]
fn weights_lie_in_few_buffers() {
    let gpu = open(Some(Tier::Base), None);
    let store = WeightStore::new(&gpu);
    let before = made(&gpu)[0];
    // A model's: hundreds of matrices and norms, 40 MiB in all.
    let slices: Vec<_> = (0..300).map(|i| store.reserve(DType::Q8_0, 0, 64, 131_072 + 16 * i, 8192)).collect();
    assert_eq!(made(&gpu)[0], before, "nothing is made before all is known");
    block_on(store.commit()).unwrap();
    assert_eq!(made(&gpu)[0] - before, 1, "buffers for 300 weights");
    let mut places: Vec<(u64, u64)> = Vec::new();
    for slice in &slices {
        for region in [slice.quants(), slice.scales()] {
            assert!(region.offset % 256 == 0 && region.offset + region.size <= region.buffer.size());
            places.push((region.offset, region.offset + region.size));
        }
    }
    places.sort();
    assert!(places.windows(2).all(|p| p[0].1 <= p[1].0), "places overlap");
    assert!(store.bytes() <= 300 * (131_072 + 16 * 300 + 8192 + 512), "{} bytes", store.bytes());
    // More than one buffer may hold: no buffer is larger than a device at the default limits can bind.
    let store = WeightStore::new(&gpu);
    let large: Vec<_> = (0..5).map(|_| store.reserve(DType::F16, 0, 1, 60 << 20, 0)).collect();
    block_on(store.commit()).unwrap();
    let sizes: Vec<u64> = large.iter().map(|s| s.quants().buffer.size()).collect();
    assert!(sizes.iter().all(|&bytes| bytes <= 128 << 20), "{sizes:?}");
    assert_eq!(Rc::as_ptr(&large[0].quants().buffer), Rc::as_ptr(&large[1].quants().buffer), "two fit one buffer");
}

/// A matrix of more bytes than a binding may have, cut by rows, each slice in a buffer of its own.
#[test]
fn a_matrix_over_the_binding_limit_is_right() {
    let gpu = open(Some(Tier::Base), None);
    let limit = gpu.adapter().max_binding as usize;
    assert_eq!(limit, 128 << 20, "the base tier asks for no more than WebGPU's default");
    let (k, rows) = (2048, 128 << 20 >> 12);
    let over = 3;
    let store = WeightStore::new(&gpu);
    let head = store.reserve(DType::F16, 0, rows, (rows * k * 2) as u64, 0);
    let tail = store.reserve(DType::F16, rows, over, (over * k * 2) as u64, 0);
    block_on(store.commit()).unwrap();
    assert_eq!(head.quants().size as usize, limit, "a slice as large as a binding may be");
    // Zeros but for rows at the edges.
    let mut numbers = Numbers(9);
    let (bytes, values) = made_up(DType::F16, 6 * k, &mut numbers);
    let (first, rest) = bytes.split_at(k * 2);
    let (last, rest) = rest.split_at(2 * k * 2);
    head.quants().write(0, first);
    head.quants().write(((rows - 2) * k * 2) as u64, last);
    tail.quants().write(0, rest);
    let w = Weight::new(Shape::from([rows + over, k]), vec![head, tail]);
    let x = numbers.floats(2 * k);
    let region = activation(&gpu, &x, k);
    for t in [1, 2] {
        let got = run(&gpu, |g| g.given(&region, [t, k]).linear(&w)).values;
        let products = linear(&wide(&x[..t * k]), &values, k);
        for (got, want) in got.chunks_exact(rows + over).zip(products.chunks_exact(6)) {
            let edges = [&got[..1], &got[rows - 2..]].concat();
            check(&format!("{t} rows"), want, &edges, Tolerance::F32);
            assert!(got[1..rows - 2].iter().all(|v| *v == 0.0), "rows of zeros");
        }
    }
    let ids = upload(&gpu, &[rows as u32 - 1, rows as u32, 0, rows as u32 + 2]);
    let got = run(&gpu, |g| g.embed(&w, &ids, 4, 1.0, None)).values;
    let want: Vec<f64> = [2, 3, 0, 5].iter().flat_map(|&r| &values[r * k..(r + 1) * k]).copied().collect();
    check("rows on both sides of the cut", &want, &got, Tolerance::Exact);
}

#[test]
fn equal_parameters_and_pipelines_are_made_once() {
    let gpu = open(Some(Tier::Base), None);
    let (w, _) = square(&gpu, 64, &mut Numbers(10));
    let x = activation(&gpu, &[0.5; 64], 64);
    run(&gpu, |g| g.given(&x, [1, 64]).linear(&w));
    let before = made(&gpu);
    let got = run(&gpu, |g| (0..5).fold(g.given(&x, [1, 64]), |x, _| x.linear(&w)));
    let [_, groups, pipelines, modules] = made(&gpu);
    assert_eq!([pipelines, modules], before[2..], "the second plan compiles nothing");
    assert_eq!(groups - before[1], 5 + 1, "a bind group for each of five dispatches, and one for their parameters");
    assert!(got.values.iter().all(|v| *v != SENTINEL));
}

/// Misuse of our own code panics here, with a name and a place, rather than in a driver.
#[test]
fn a_shape_that_does_not_fit_names_both_shapes() {
    let gpu = open(Some(Tier::Base), None);
    let (w, _) = square(&gpu, 64, &mut Numbers(11));
    let x = Buffer::storage(&gpu, "x", 4096).region();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let g = Graph::new(&gpu);
        g.given(&x, [2, 60]).linear(&w);
    }));
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("60") && message.contains("[64, 64]"), "{message}");
}

#[test]
fn a_buffer_that_is_written_and_read_in_one_dispatch_is_refused() {
    let gpu = open(Some(Tier::Base), None);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let g = Graph::new(&gpu);
        let x = Buffer::storage(&gpu, "x", 4096).region();
        // The sampler's history is the buffer that its logits lie in.
        let other = Buffer::storage(&gpu, "other", 4096).region();
        let s = Sampling { settings: &other, history: &x, state: &other, recent: &other };
        g.given(&x, [1, 64]).sample(&s);
        block_on(Plan::new(g)).is_ok()
    }));
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("sample_scan") && message.contains("tests/ops/plan.rs"), "{message}");
}

/// A kernel that the compiler refuses is an error that names the file and the line, and nothing else suffers.
#[test]
fn a_kernel_that_is_refused_is_named() {
    static BROKEN: Kernel = Kernel {
        name: "broken",
        source: "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(1)\nfn main() {\n    y[0] = helper();\n}\n",
        bindings: &[Access::Write],
        fields: &[],
    };
    static PART: Part =
        Part { name: "broken_part", source: "fn helper() -> f32 {\n    return nothing;\n}\n", subgroups: false };
    let gpu = open(Some(Tier::Base), None);
    let (w, values) = square(&gpu, 32, &mut Numbers(12));
    for _ in 0..2 {
        let g = Graph::new(&gpu);
        let y = g.tensor([1, 4]);
        g.op(&BROKEN).part(&PART).constant("SIZE", 3).bind(y).dispatch([1, 1, 1]);
        let Err(Error::Gpu { what }) = block_on(Plan::new(g)) else { panic!("the compiler took it") };
        assert!(what.contains("shaders/parts/broken_part.wgsl:2"), "{what}");
    }
    let x = activation(&gpu, &Numbers(13).floats(32), 32);
    let got = run(&gpu, |g| g.given(&x, [1, 32]).linear(&w)).values;
    check("after it", &linear(&wide(&Numbers(13).floats(32)), &values, 32), &got, Tolerance::F32);
}
