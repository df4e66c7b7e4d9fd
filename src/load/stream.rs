//! From files to the GPU: the bytes of bound weights, in the files' order, a chunk at a time.

use super::bind::{Job, Piece, Weights, row_bytes};
use super::lora::{Delta, LoraAdapter};
use super::source::ByteSource;
use super::tensors::{RowOrder, Stored};
use super::{Abort, Phase, Progress, quantize, repack};
use crate::Result;
use crate::gpu::WeightStore;

/// About how many bytes of a file are in memory at a time.
const CHUNK: usize = 4 << 20;
/// The GPU is waited for after this many bytes, so that the driver's own copies do not pile up.
const IN_FLIGHT: u64 = 32 << 20;
/// Blocks come in multiples of this, so that every plane's part begins at a whole word.
const RUN: usize = 64;

/// Weights that are bound, and can be read from their files as often as they are wanted.
pub struct Bound {
    store: WeightStore,
    /// In the order of the files.
    jobs: Vec<Job>,
    files: Vec<String>,
}

/// Where weights come from, and what adapters add to them.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The model's files.
    pub source: &'a dyn ByteSource,
    /// Adapters, each with its scale.
    pub adapters: &'a [(&'a LoraAdapter, f32)],
}

impl Weights<'_> {
    /// Ends binding.
    pub fn bound(self) -> Bound {
        let Weights { tensors, binding, .. } = self;
        let (store, jobs) = (binding.store.clone(), binding.jobs.take());
        Bound { store, jobs, files: tensors.files.clone() }
    }

    /// Ends binding, and streams the weights from the files to the GPU.
    ///
    /// # Errors
    /// Those of [`stream`].
    pub async fn upload(self, source: &dyn ByteSource, progress: &dyn Progress, abort: &Abort) -> Result<WeightStore> {
        let bound = self.bound();
        stream(&[&bound], Origin { source, adapters: &[] }, &|_| true, progress, abort).await?;
        Ok(bound.store)
    }
}

impl Bound {
    /// Returns the store of their memory.
    pub fn store(&self) -> &WeightStore {
        &self.store
    }
}

/// Streams those weights whose names are `wanted` from their files to the GPU, in one go through the files.
///
/// # Errors
/// [`Error::Fetch`](crate::Error::Fetch), [`Error::Gpu`](crate::Error::Gpu),
/// [`Error::Cancelled`](crate::Error::Cancelled).
pub async fn stream(
    bound: &[&Bound],
    origin: Origin<'_>,
    wanted: &dyn Fn(&str) -> bool,
    progress: &dyn Progress,
    abort: &Abort,
) -> Result<()> {
    let Some(first) = bound.first() else { return Ok(()) };
    let (gpu, files) = (first.store.gpu(), &first.files);
    let mut jobs: Vec<&Job> = bound.iter().flat_map(|b| &b.jobs).filter(|job| wanted(&job.name)).collect();
    jobs.sort_by_key(|j| (j.stored.file, j.stored.info.offset));
    let mut total = 0;
    for file in files {
        total += origin.source.size(file).await?.unwrap_or(0);
    }
    // Bytes that are not streamed, mostly headers, were read before.
    let streamed: u64 = jobs.iter().map(|j| j.stored.info.bytes).sum();
    let (mut loaded, mut waited) = (total.saturating_sub(streamed), 0);
    for job in jobs {
        let file = &files[job.stored.file];
        let mut deltas = Vec::new();
        for (adapter, scale) in origin.adapters.iter().filter(|(_, scale)| *scale != 0.0) {
            deltas.extend(adapter.delta(&job.name, *scale).await?);
        }
        for piece in &job.pieces {
            let mut row = 0;
            for (rows, read) in runs(&job.stored, piece) {
                abort.check()?;
                let bytes = abort.race(origin.source.read(file, read.0, read.1)).await?;
                write(job, piece, row, &bytes, &deltas);
                row += rows;
                loaded += bytes.len() as u64;
                progress.report(Phase::Download, loaded.min(total), total, file);
                if loaded - waited > IN_FLIGHT {
                    waited = loaded;
                    gpu.idle().await?;
                }
            }
        }
    }
    gpu.idle().await
}

/// Returns the number of elements of a row in the file: of a vector, each element is a row.
fn width(stored: &Stored) -> usize {
    stored.info.shape.iter().skip(1).product()
}

/// Returns the reads that bring a piece: rows, and offset and length in the file. Runs are whole rows, and a multiple
/// of [`RUN`] of them but for the last, so that every run begins at a whole word of both planes. A tensor whose rows
/// are columns in the file comes whole.
fn runs(stored: &Stored, piece: &Piece) -> impl Iterator<Item = (usize, (u64, usize))> + use<> {
    let rows = stored.info.shape.first().copied().unwrap_or(1).max(1) as u64;
    let row = (stored.info.bytes / rows) as usize;
    let step = (CHUNK / row.max(1)).max(1);
    let step = if step >= RUN { step / RUN * RUN } else { step.next_multiple_of(4) };
    let (first, count, offset) = (piece.from, piece.rows, stored.info.offset);
    let (whole, bytes) = (stored.order == RowOrder::Transposed, stored.info.bytes as usize);
    let step = if whole { count.max(1) } else { step };
    (0..count).step_by(step).map(move |at| {
        let n = step.min(count - at);
        let read = (offset + (first + at) as u64 * row as u64, n * row);
        (n, if whole { (offset, bytes) } else { read })
    })
}

/// Converts whole rows, from row `row` of the piece on, and writes them to their place.
fn write(job: &Job, piece: &Piece, row: usize, bytes: &[u8], deltas: &[Delta]) {
    let stored = &job.stored;
    let (cols, from, to) = (width(stored), stored.info.dtype, piece.slice.dtype);
    let at = piece.to + row;
    if stored.info.shape.len() == 1 {
        let mut floats = repack::to_f32(from, bytes).unwrap_or_default();
        if job.plus != 0.0 {
            floats.iter_mut().for_each(|v| *v += job.plus);
        }
        piece.slice.quants().write((at * 4) as u64, bytemuck::cast_slice(&floats));
        return;
    }
    let (mut quants, mut scales) = (Vec::new(), Vec::new());
    let as_stored = from == to && job.taps.is_none() && deltas.is_empty() && stored.order != RowOrder::Transposed;
    if as_stored && from.is_float() && !cols.is_multiple_of(32) {
        repack::pad_rows(from, bytes, cols, &mut quants);
    } else if as_stored {
        repack::repack(from, bytes, &mut quants, &mut scales);
    } else {
        let mut floats = repack::to_f32(from, bytes).unwrap_or_default();
        if stored.order == RowOrder::Transposed {
            floats = transposed(&floats, cols, piece.from..piece.from + piece.rows);
        }
        deltas.iter().for_each(|d| d.add_to(&mut floats, piece.from + row, cols));
        if let Some([channels, taps]) = job.taps {
            floats = tap_by_tap(&floats, channels, taps);
        } else if !cols.is_multiple_of(32) {
            floats = floats.chunks_exact(cols).flat_map(|row| padded(row.iter().copied(), cols)).collect();
        }
        repack::repack(to, &quantize::encode(to, &floats), &mut quants, &mut scales);
    }
    let (quant_row, scale_row) = row_bytes(to, job.taps.map_or(cols, |[c, taps]| taps * c.next_multiple_of(32)));
    piece.slice.quants().write((at * quant_row) as u64, &quants);
    if !scales.is_empty() {
        piece.slice.scales().write((at * scale_row) as u64, &scales);
    }
}

/// Returns `n` values and zeros up to a whole block.
fn padded(values: impl Iterator<Item = f32>, n: usize) -> impl Iterator<Item = f32> {
    values.chain(std::iter::repeat_n(0.0, n.next_multiple_of(32) - n))
}

/// Returns some rows of a matrix [.., cols] whose transpose is given.
fn transposed(values: &[f32], cols: usize, rows: std::ops::Range<usize>) -> Vec<f32> {
    let stride = values.len() / cols.max(1);
    rows.flat_map(|r| (0..cols).map(move |c| values[c * stride + r])).collect()
}

/// Returns the rows [C, taps] as [taps, C padded to whole blocks].
fn tap_by_tap(rows: &[f32], channels: usize, taps: usize) -> Vec<f32> {
    let row = |row: &'_ [f32]| -> Vec<f32> {
        (0..taps).flat_map(|t| padded((0..channels).map(move |c| row[c * taps + t]), channels)).collect()
    };
    rows.chunks_exact(channels * taps).flat_map(row).collect()
}
