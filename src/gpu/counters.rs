//! Counts of what the device was asked for, by which tests see that loops create nothing.

use std::cell::Cell;

/// How often the device was asked for something since it was opened.
#[derive(Default, Debug)]
#[allow(missing_docs)] // the names say it all
pub struct Counters {
    pub buffers: Cell<u64>,
    pub bind_groups: Cell<u64>,
    pub pipelines: Cell<u64>,
    pub modules: Cell<u64>,
    pub submits: Cell<u64>,
    pub passes: Cell<u64>,
    pub dispatches: Cell<u64>,
    pub writes: Cell<u64>,
    pub reads: Cell<u64>,
    pub bytes_read: Cell<u64>,
    /// Bytes of live GPU buffers.
    pub live_bytes: Cell<u64>,
    /// The most that `live_bytes` was since [`super::Gpu::watch_peak`].
    pub peak_bytes: Cell<u64>,
}

/// Adds to one of the [`Counters`].
pub(super) fn count(c: &Cell<u64>, n: u64) {
    c.set(c.get() + n);
}
