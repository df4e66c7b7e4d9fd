//! Buffers on the GPU. The device counts them, and their memory is freed with their last owner.

use super::counters::count;
use super::device::Gpu;
use crate::{Error, Result};
use std::rc::Rc;

/// A buffer on the GPU; destroyed with its last owner.
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    gpu: Rc<Gpu>,
}

impl Buffer {
    /// Makes a zeroed storage buffer of `bytes` bytes (rounded up to 4) that can be copied from and to.
    pub fn storage(gpu: &Rc<Gpu>, label: &str, bytes: u64) -> Rc<Buffer> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        Buffer::new(gpu, label, bytes, usage)
    }

    /// Makes a uniform buffer.
    pub(super) fn uniform(gpu: &Rc<Gpu>, label: &str, bytes: u64) -> Rc<Buffer> {
        Buffer::new(gpu, label, bytes, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    /// Makes a buffer that the host can read.
    pub(super) fn staging(gpu: &Rc<Gpu>, label: &str, bytes: u64) -> Rc<Buffer> {
        Buffer::new(gpu, label, bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    fn new(gpu: &Rc<Gpu>, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Rc<Buffer> {
        let size = bytes.max(4).next_multiple_of(4);
        let raw = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        let c = gpu.counters();
        count(&c.buffers, 1);
        count(&c.live_bytes, size);
        c.peak_bytes.set(c.peak_bytes.get().max(c.live_bytes.get()));
        Rc::new(Buffer { raw, gpu: gpu.clone() })
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> u64 {
        self.raw.size()
    }

    /// Queues a write of `bytes` (a multiple of 4) at `offset`.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        count(&self.gpu.counters().writes, 1);
        self.gpu.queue.write_buffer(&self.raw, offset, bytes);
    }

    /// Returns the whole buffer as a region.
    pub fn region(self: &Rc<Self>) -> Region {
        Region { buffer: self.clone(), offset: 0, size: self.size() }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let live = &self.gpu.counters().live_bytes;
        live.set(live.get().saturating_sub(self.raw.size()));
        self.raw.destroy();
    }
}

impl Gpu {
    /// Runs `make`, which creates buffers for `what`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if one finds no memory.
    pub async fn allocate<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        // A buffer that is larger than the limit is reported as invalid, not as out of memory.
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let (invalid, memory) = (invalid.pop(), memory.pop());
        match (invalid.await, memory.await) {
            (None, None) => Ok(made),
            _ => Err(Error::TooLarge {
                need: format!("more GPU memory for {what}"),
                have: "less".into(),
                advice: "choose a smaller or more strongly quantized model, a smaller size or contextLength, or close other tabs"
                    .into(),
            }),
        }
    }
}

/// A range of a buffer, as a binding takes it.
#[derive(Clone)]
pub struct Region {
    /// The buffer.
    pub buffer: Rc<Buffer>,
    /// First byte; a multiple of 256.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

impl Region {
    /// Queues a write of `bytes` (a multiple of 4) at `at` bytes into the region.
    pub fn write(&self, at: u64, bytes: &[u8]) {
        debug_assert!(at + bytes.len() as u64 <= self.size, "a write past the end of a region");
        self.buffer.write(self.offset + at, bytes);
    }

    /// Returns a part of this region, `offset` (a multiple of 256) and `size` in bytes.
    pub fn sub(&self, offset: u64, size: u64) -> Region {
        assert!(offset + size <= self.size, "a sub-region past the end of its region");
        Region { buffer: self.buffer.clone(), offset: self.offset + offset, size }
    }
}
