//! `stream_read` reads every word, once; and what `Roofline` makes of it.

use inkstone::gpu::Family;
use inkstone::ops::stream_read;
use inkstone::probe::Roofline;
use pollster::block_on;
use support::gpu::{each_setup, run, upload};
use support::reference::weights::Numbers;

#[test]
fn every_word_is_read_once() {
    each_setup(|name, gpu| {
        let mut numbers = Numbers(1);
        for (workgroups, rounds) in [(1, 1), (1, 3), (5, 2), (16, 4)] {
            let words: Vec<u32> = (0..workgroups * rounds * 4096).map(|_| numbers.word() as u32).collect();
            let region = upload(gpu, &words);
            let got = run(gpu, |g| stream_read(g, &region, workgroups)).values;
            // Exclusive or does not ask for an order: whoever read what, all words together are the same.
            let of = |bits: &mut dyn Iterator<Item = u32>| bits.fold(0, |a, b| a ^ b);
            let read = of(&mut got.iter().map(|v| v.to_bits()));
            assert_eq!(read, of(&mut words.iter().copied()), "{name}: {workgroups} x {rounds}");
            assert_eq!(got.len(), workgroups * 256);
        }
    });
}

#[test]
fn an_adapter_is_measured() {
    each_setup(|name, gpu| {
        if gpu.adapter().family != Family::Software {
            // A CPU takes seconds over what fills a GPU.
            return;
        }
        let Roofline { bytes_per_second, flops_per_second } = block_on(Roofline::measure(gpu)).unwrap();
        println!("{name}: {:.2} GB/s, {:.2} GFLOP/s", bytes_per_second / 1e9, flops_per_second / 1e9);
        // No memory reads a terabyte in a millisecond, and none is slower than a disk.
        assert!((1e7..1e15).contains(&bytes_per_second), "{bytes_per_second}");
        assert!((1e7..1e16).contains(&flops_per_second), "{flops_per_second}");
    });
}
