//! The bounds of an adapter, measured: how many bytes it reads and how many operations it does in a second. These bound
//! every kernel (the roofline of Williams, Waterman and Patterson, 2009).

use crate::Result;
use crate::gpu::{Batch, Buffer, Family, Gpu, Graph, Plan};
use crate::ops::stream_read;
use serde::Serialize;
use std::rc::Rc;
use web_time::Instant;

/// The bounds of an adapter.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Roofline {
    /// Bytes that it reads in a second, of more than its caches hold.
    pub bytes_per_second: f64,
    /// Operations of f32 in a second; a fused multiply-add is two.
    pub flops_per_second: f64,
}

/// The least duration of a measurement, seconds: beside it, the host's part and the clock's steps are small.
const ENOUGH: f64 = 0.03;
/// How many measurements are made; the quickest counts, since other work can only slow them down.
const TRIES: usize = 3;

impl Roofline {
    /// Measures an adapter, in about half a second.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device is lost; [`Error::TooLarge`] if it lacks 256 MiB.
    pub async fn measure(gpu: &Rc<Gpu>) -> Result<Self> {
        // Enough invocations to fill any GPU, bytes to outgrow any cache; a CPU would take seconds over them.
        let (workgroups, mib, buffers, rounds) = match gpu.adapter().family {
            Family::Software => (16, 16, 1, 128),
            _ => (2048, 128, 2, 512),
        };
        let bytes = (mib << 20) as u64;
        let make = || (0..buffers).map(|_| Buffer::storage(gpu, "roofline", bytes)).collect::<Vec<_>>();
        let read = gpu.allocate("measuring", make).await?;
        let graph = Graph::new(gpu);
        for buffer in &read {
            stream_read(&graph, &buffer.region(), workgroups);
        }
        let seconds_read = seconds(gpu, &Plan::new(graph).await?).await?;

        let input = Buffer::storage(gpu, "roofline", (workgroups * 4096) as u64);
        // Chains that go to 1: no infinity and no denormal number, which some devices are slow at.
        input.write(0, bytemuck::cast_slice(&vec![0.5f32; workgroups * 1024]));
        let graph = Graph::new(gpu);
        graph.given(&input.region(), [workgroups, 1024]).multiply_add(rounds);
        let seconds_computed = seconds(gpu, &Plan::new(graph).await?).await?;
        Ok(Roofline {
            bytes_per_second: (bytes * buffers as u64) as f64 / seconds_read,
            flops_per_second: (workgroups * 256 * rounds * 64) as f64 / seconds_computed,
        })
    }
}

/// Measures how long `runs` runs of a plan take, from the host's first call to the device's end, seconds.
pub(super) async fn time(gpu: &Rc<Gpu>, plan: &Plan, runs: usize) -> Result<f64> {
    let start = Instant::now();
    let mut batch = Batch::new(gpu);
    (0..runs).for_each(|_| batch.run(plan));
    batch.submit();
    gpu.idle().await?;
    Ok(start.elapsed().as_secs_f64())
}

/// Measures how long a plan takes on the device, seconds: the quickest of some batches, less the time of submitting a
/// batch.
///
/// # Errors
/// [`Error::Gpu`] if the device is lost.
pub async fn seconds(gpu: &Rc<Gpu>, plan: &Plan) -> Result<f64> {
    let time = async |runs: usize| time(gpu, plan, runs).await;
    // The first run compiles.
    time(1).await?;
    let mut runs = 1;
    while runs < 1 << 12 && time(runs).await? < ENOUGH {
        runs *= 2;
    }
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let (one, all) = (time(1).await?, time(runs + 1).await?);
        // On a device that is busy with something else one run may take as long as many.
        best = best.min((all - one).max(all / (runs + 1) as f64 / 2.0) / runs as f64);
    }
    Ok(best)
}
