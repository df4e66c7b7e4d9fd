//! Kernels at the shapes of real models, with the bytes and operations that each needs at least, and how near it comes to
//! what the adapter can do.
//!
//! `cargo bench --bench kernels` runs all of it, which only a GPU does in minutes; `-- linear_vec` chooses, as ever with
//! criterion. `VK_ICD_FILENAMES` chooses the driver, `INKSTONE_FAMILY` the family of variants, and
//! `INKSTONE_CHOICES="winograd,short tiles"` departures from it.

mod cases;
mod subject;

use cases::{Bound, Case};
use criterion::{BenchmarkId, Criterion, Throughput};
use inkstone::gpu::{Batch, Choice, Family, Gpu, GpuOptions};
use inkstone::probe::{Roofline, seconds};
use pollster::block_on;
use std::cell::RefCell;
use std::time::Instant;

/// A line of the table at the end.
struct Line {
    name: String,
    seconds: f64,
    case: Case,
}

fn main() {
    let family = std::env::var("INKSTONE_FAMILY").ok().and_then(|name| Family::from_name(&name));
    let gpu = block_on(Gpu::open(&GpuOptions { family, ..GpuOptions::default() })).expect("a GPU adapter");
    for name in std::env::var("INKSTONE_CHOICES").iter().flat_map(|names| names.split(',')) {
        gpu.choose(Choice::from_name(name).unwrap_or_else(|| panic!("{name} is no choice: {:?}", Choice::ALL)), true);
    }
    let roofline = block_on(Roofline::measure(&gpu)).expect("a roofline");
    let a = gpu.adapter();
    println!("{}, family {}, tier {}", a.name, a.family.name(), a.tier.name());
    println!(
        "reads {:.0} GB/s, computes {:.0} GFLOP/s",
        roofline.bytes_per_second / 1e9,
        roofline.flops_per_second / 1e9
    );

    let mut criterion = Criterion::default().configure_from_args();
    let lines = RefCell::new(Vec::new());
    for case in cases::all() {
        let mut group = criterion.benchmark_group(case.kernel);
        group.throughput(match case.bound {
            Bound::Reading => Throughput::Bytes(case.bytes as u64),
            Bound::Computing => Throughput::Elements(case.flops as u64),
        });
        group.bench_function(BenchmarkId::from_parameter(&case.name), |bencher| {
            let subject = subject::prepare(&gpu, &case);
            bencher.iter_custom(|runs| {
                let start = Instant::now();
                let mut batch = Batch::new(&gpu);
                (0..runs).for_each(|_| batch.run(&subject.plan));
                batch.submit();
                block_on(gpu.idle()).expect("a sound device");
                start.elapsed().div_f64(subject.copies as f64)
            });
            let mut lines = lines.borrow_mut();
            let name = format!("{} {}", case.kernel, case.name);
            if lines.last().is_none_or(|line: &Line| line.name != name) {
                let seconds = block_on(seconds(&gpu, &subject.plan)).expect("a sound device") / subject.copies as f64;
                lines.push(Line { name, seconds, case: case.clone() });
            }
        });
        group.finish();
    }
    criterion.final_summary();

    println!("\n{:<58} {:>9} {:>8} {:>9}  of the bound", "", "us", "GB/s", "GFLOP/s");
    for Line { name, seconds, case } in lines.take() {
        let fraction =
            (case.bytes / seconds / roofline.bytes_per_second).max(case.flops / seconds / roofline.flops_per_second);
        let (gb, gflop) = (case.bytes / seconds / 1e9, case.flops / seconds / 1e9);
        println!("{name:<58} {:>9.1} {gb:>8.1} {gflop:>9.0} {:>6.1} %", seconds * 1e6, fraction * 100.0);
    }
}
