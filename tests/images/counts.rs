//! What a step asks of the device, counted: with the kernels that a GPU gets. Times are not asked about.

use super::calls::{PROMPT, as_stored, files, load};
use inkstone::gpu::{Family, Gpu};
use inkstone::image::{ImageInputs, ImageOptions, Surroundings};
use inkstone::load::Abort;
use pollster::block_on;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};

/// Buffers, bind groups, pipelines, shader modules; reads; bytes read; writes; dispatches.
fn counts(gpu: &Gpu) -> ([u64; 4], u64, u64, u64, u64) {
    let c = gpu.counters();
    let made = [&c.buffers, &c.bind_groups, &c.pipelines, &c.modules].map(Cell::get);
    (made, c.reads.get(), c.bytes_read.get(), c.writes.get(), c.dispatches.get())
}

#[test]
fn a_step_creates_nothing_and_reads_nothing() {
    let gpu = support::gpu::open(None, Some(Family::Generic));
    for (name, size, sampler) in
        [("emoji", 32, "dpmpp_2m"), ("sd1", 40, "euler_a"), ("sdxl", 40, "ddim"), ("lcm", 40, "lcm")]
    {
        let model = load(&gpu, &files(name), &as_stored(), Vec::new()).unwrap();
        let options = || {
            let options =
                json!({"width": size, "height": size, "steps": 4, "seed": 1, "guidanceScale": 3.0, "sampler": sampler});
            ImageOptions::from_json(options).unwrap()
        };
        let around = Surroundings { clock: &|| 0.0, random: 0 };
        // The first call makes plans of this size.
        for first in [true, false] {
            let steps = RefCell::new(Vec::new());
            let note = |_| steps.borrow_mut().push(counts(&gpu));
            let (begin, abort) = (counts(&gpu), Abort::default());
            block_on(model.generate(PROMPT, options(), ImageInputs::default(), around, &note, &abort)).unwrap();
            let (steps, end) = (steps.into_inner(), counts(&gpu));
            assert_eq!(steps.len(), 4);
            let dispatches = model.step_dispatches().unwrap() as u64;
            for pair in steps.windows(2) {
                assert_eq!(pair[0].0, pair[1].0, "{name}: a step creates nothing");
                assert_eq!((pair[1].1 - pair[0].1, pair[1].2 - pair[0].2), (0, 0), "{name}: a step reads nothing back");
                assert!(pair[1].3 - pair[0].3 <= 4, "{name}: {} writes", pair[1].3 - pair[0].3);
                assert_eq!(pair[1].4 - pair[0].4, dispatches, "{name}");
            }
            if !first {
                let made: u64 = end.0.iter().zip(begin.0).map(|(a, b)| a - b).sum();
                println!(
                    "{name}: {dispatches} dispatches a step, nothing created or read back in it; the whole picture reads {} \
                     times and creates {made} objects, for reading",
                    end.1 - begin.1
                );
                // The latents, whose NaNs would be a black picture, and the pixels.
                assert!(end.1 - begin.1 <= 2 && made <= 1, "{name}: {made} objects, {} reads", end.1 - begin.1);
            }
        }
    }
}

/// Of products, convolutions and attention. (tools/golden/flops.py says what torch is not asked to count.)
#[test]
fn operations_of_a_step_are_those_that_torch_counts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/flops.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let gpu = support::gpu::open(None, None);
    for (name, want) in golden["step"].as_object().unwrap() {
        let model = load(&gpu, &files(name), &as_stored(), Vec::new()).unwrap();
        let side = &golden["side"];
        let options = json!({"width": side, "height": side, "steps": 1, "seed": 1, "guidanceScale": 3.0});
        let options = ImageOptions::from_json(options).unwrap();
        let around = Surroundings { clock: &|| 0.0, random: 0 };
        let abort = Abort::default();
        let painted = model.generate(PROMPT, options, ImageInputs::default(), around, &|_| (), &abort);
        let flops = block_on(painted).unwrap()[0].flops;
        println!("{name}: {} operations a step, {} to decode", flops.step, flops.decode);
        assert_eq!(flops.step, want.as_u64().unwrap(), "{name}");
        assert!(flops.decode > 0);
    }
}
