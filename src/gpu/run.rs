//! Running plans: encode, submit, read back.

use super::buffer::{Buffer, Region};
use super::counters::count;
use super::device::Gpu;
use super::plan::Plan;
use crate::{Error, Result};
use futures_channel::oneshot;
use std::future::Future;
use std::rc::Rc;

/// Plans and copies that are submitted together.
pub struct Batch {
    gpu: Rc<Gpu>,
    encoder: wgpu::CommandEncoder,
    pass: Option<wgpu::ComputePass<'static>>,
}

impl Batch {
    /// Makes an empty batch.
    pub fn new(gpu: &Rc<Gpu>) -> Self {
        let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Batch { gpu: gpu.clone(), encoder, pass: None }
    }

    /// Appends a plan. Plans share one compute pass.
    pub fn run(&mut self, plan: &Plan) {
        self.run_part(plan, 0..plan.dispatches());
    }

    /// Appends some of a plan's dispatches: where a whole plan would hold the GPU for too long.
    pub fn run_part(&mut self, plan: &Plan, which: std::ops::Range<usize>) {
        let c = self.gpu.counters();
        count(&c.dispatches, which.len() as u64);
        let encoder = &mut self.encoder;
        let pass = self.pass.get_or_insert_with(|| {
            count(&c.passes, 1);
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
        });
        plan.replay(pass, which);
    }

    /// Appends a copy of `region` to where the host can read it.
    pub fn read(&mut self, region: &Region, into: &Readback) {
        self.pass = None;
        let size = region.size.min(into.buffer.size());
        self.encoder.copy_buffer_to_buffer(&region.buffer.raw, region.offset, &into.buffer.raw, 0, size);
    }

    /// Appends a copy of all of `from` to the beginning of `to`.
    pub fn copy(&mut self, from: &Region, to: &Region) {
        self.pass = None;
        self.encoder.copy_buffer_to_buffer(&from.buffer.raw, from.offset, &to.buffer.raw, to.offset, from.size);
    }

    /// Sends everything to the GPU.
    pub fn submit(mut self) {
        self.pass = None;
        count(&self.gpu.counters().submits, 1);
        self.gpu.queue.submit([self.encoder.finish()]);
    }
}

/// A place where results arrive for the host. One at a time: fetch before it is used again.
pub struct Readback {
    gpu: Rc<Gpu>,
    buffer: Rc<Buffer>,
}

impl Readback {
    /// Makes room for `bytes` bytes.
    pub fn new(gpu: &Rc<Gpu>, bytes: u64) -> Self {
        Readback { gpu: gpu.clone(), buffer: Buffer::staging(gpu, "read back", bytes) }
    }

    /// Asks for the first `bytes` bytes; the future waits for the GPU. Call after the batch was submitted.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device was lost or reported an error.
    pub fn fetch(&self, bytes: u64) -> impl Future<Output = Result<Vec<u8>>> + use<> {
        let (gpu, buffer) = (self.gpu.clone(), self.buffer.clone());
        let (tell, told) = oneshot::channel();
        let c = gpu.counters();
        count(&c.reads, 1);
        count(&c.bytes_read, bytes);
        buffer.raw.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            // Sending fails only if the receiver was dropped: then the result is not wanted.
            let _ = tell.send(result);
        });
        async move {
            gpu.wait(told).await?.map_err(|e| Error::gpu(format!("results could not be read back ({e})")))?;
            let view = buffer.raw.get_mapped_range(0..bytes);
            let view = view.map_err(|e| Error::gpu(format!("results could not be read back ({e})")))?;
            let out = view.to_vec();
            drop(view);
            buffer.raw.unmap();
            gpu.check()?;
            Ok(out)
        }
    }
}

impl Gpu {
    async fn wait<T>(&self, told: oneshot::Receiver<T>) -> Result<T> {
        #[cfg(not(target_arch = "wasm32"))]
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|e| Error::gpu(format!("waiting for the GPU failed ({e})")))?;
        told.await.map_err(|_| Error::gpu("the GPU was lost; load the model again"))
    }

    /// Waits until everything submitted so far is done.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device was lost or reported an error.
    pub async fn idle(&self) -> Result<()> {
        let (tell, told) = oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            // Sending fails only if the receiver was dropped: then the result is not wanted.
            let _ = tell.send(());
        });
        self.wait(told).await?;
        self.check()
    }

    /// Reads a region at once: for tests and for loading, not for loops.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device was lost or reported an error.
    pub async fn read(self: &Rc<Self>, region: &Region) -> Result<Vec<u8>> {
        let readback = Readback::new(self, region.size);
        let mut batch = Batch::new(self);
        batch.read(region, &readback);
        batch.submit();
        readback.fetch(region.size).await
    }
}
