//! Binding: a model asks for its weights by name and shape; what it gets is a place on the GPU. Everything that can be
//! wrong with a user's file is said here. Then the bytes stream from the files to their places, in the files' order.

use super::files::{LanguageFiles, Stored};
use super::quantize::{self, Quantize};
use super::repack::{self, Planes};
use super::source::ByteSource;
use super::{Abort, Phase, Progress};
use crate::dtype::DType;
use crate::gpu::{Gpu, Slice, Weight, WeightStore};
use crate::shape::Shape;
use crate::{Error, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// About how many bytes of a file are in memory at a time.
const CHUNK: usize = 4 << 20;
/// The GPU is waited for after this many bytes, so that the driver's own copies do not pile up.
const IN_FLIGHT: u64 = 32 << 20;
/// Blocks come in multiples of this, so that every plane's part begins at a whole word.
const RUN: usize = 64;

/// Rows of a tensor that go to rows of a slice.
struct Piece {
    slice: Slice,
    /// First row in the slice.
    to: usize,
    /// First row in the tensor, and how many.
    from: usize,
    rows: usize,
}

struct Job {
    stored: Stored,
    pieces: Vec<Piece>,
}

/// The weights of a model being bound.
pub struct Weights<'a> {
    files: &'a LanguageFiles,
    store: WeightStore,
    quantize: Quantize,
    jobs: RefCell<Vec<Job>>,
    bound: RefCell<BTreeMap<String, Weight>>,
}

/// One matrix of a stack: its name and how many rows it must have.
pub type Part<'n> = (&'n str, usize);

impl<'a> Weights<'a> {
    /// Nothing bound yet.
    pub fn new(gpu: &Rc<Gpu>, files: &'a LanguageFiles, quantize: Quantize) -> Self {
        Weights { files, store: WeightStore::new(gpu), quantize, jobs: RefCell::default(), bound: RefCell::default() }
    }

    /// Whether the files have this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.files.tensors.contains_key(name)
    }

    /// A matrix [rows, cols].
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`].
    pub fn matrix(&self, name: &str, [rows, cols]: [usize; 2]) -> Result<Weight> {
        self.stack(&[(name, rows)], cols)
    }

    /// Matrices of `cols` columns stacked upon each other, as one weight: one dispatch reads them all if they are encoded
    /// alike.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`].
    pub fn stack(&self, parts: &[Part<'_>], cols: usize) -> Result<Weight> {
        let key = parts.iter().map(|p| p.0).collect::<Vec<_>>().join("+");
        if let Some(w) = self.bound.borrow().get(&key) {
            return Ok(w.clone());
        }
        let stored: Vec<_> = parts.iter().map(|&(name, rows)| self.find(name, &[rows, cols])).collect::<Result<_>>()?;
        let weight = self.place(parts, stored, cols);
        self.bound.borrow_mut().insert(key, weight.clone());
        Ok(weight)
    }

    /// A vector [n], kept as f32 whatever the file has.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if it is quantized.
    pub fn vector(&self, name: &str, n: usize) -> Result<Weight> {
        self.vectors(&[(name, n)])
    }

    /// Vectors one after the other, as one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if one is quantized.
    pub fn vectors(&self, parts: &[Part<'_>]) -> Result<Weight> {
        let n: usize = parts.iter().map(|p| p.1).sum();
        let slice = self.store.reserve(DType::F32, 0, 1, (n.next_multiple_of(4) * 4) as u64, 0);
        let mut at = 0;
        for &(name, len) in parts {
            let stored = self.find(name, &[len])?;
            if !stored.info.dtype.is_float() {
                return Err(Error::unsupported(format!(
                    "`{name}` is stored as {}; only matrices may be quantized, choose another conversion",
                    stored.info.dtype.name()
                )));
            }
            let piece = Piece { slice: slice.clone(), to: at, from: 0, rows: len };
            self.jobs.borrow_mut().push(Job { stored, pieces: vec![piece] });
            at += len;
        }
        Ok(Weight::new(Shape::from([n]), vec![slice]))
    }

    fn find(&self, name: &str, want: &[usize]) -> Result<Stored> {
        let stored = self.files.tensors.get(name).ok_or_else(|| Error::Missing { tensor: name.to_string() })?;
        if stored.info.shape != want {
            return Err(Error::Shape { tensor: name.into(), want: want.to_vec(), got: stored.info.shape.clone() });
        }
        Ok(stored.clone())
    }

    /// Reserves slices for stacked matrices and notes where each row goes. Neighbours share a slice if they are encoded
    /// alike, as long as the slice fits one binding and each part begins at a whole word of both planes.
    fn place(&self, parts: &[Part<'_>], stored: Vec<Stored>, cols: usize) -> Weight {
        struct Draft {
            dtype: DType,
            row: usize,
            rows: usize,
            pieces: Vec<(usize, usize, usize, usize)>,
        }
        let adapter = self.store.gpu().adapter();
        // Some adapters report more than 32 bits can count.
        let limit = adapter.max_binding.min(adapter.max_buffer).min(i32::MAX as u64) as usize;
        let mut drafts: Vec<Draft> = Vec::new();
        let mut row = 0;
        for (i, (&(name, rows), stored)) in parts.iter().zip(&stored).enumerate() {
            let dtype = self.quantize.target(name, stored.info.dtype, cols);
            let (quants, scales) = row_bytes(dtype, cols);
            let most = (limit / quants.max(scales).max(1)).max(1);
            let mut from = 0;
            while from < rows {
                let room = drafts
                    .last()
                    .filter(|d| {
                        d.dtype == dtype && (d.rows * quants).is_multiple_of(4) && (d.rows * scales).is_multiple_of(4)
                    })
                    .map_or(0, |d| most.saturating_sub(d.rows));
                if room == 0 {
                    drafts.push(Draft { dtype, row, rows: 0, pieces: Vec::new() });
                }
                let Some(draft) = drafts.last_mut() else { unreachable!("a draft was just pushed") };
                let take = (rows - from).min(if room == 0 { whole_words(most, quants, scales) } else { room });
                draft.pieces.push((i, draft.rows, from, take));
                draft.rows += take;
                from += take;
                row += take;
            }
        }
        let mut pieces: Vec<Vec<Piece>> = parts.iter().map(|_| Vec::new()).collect();
        let mut slices = Vec::new();
        for d in drafts {
            let (quants, scales) = row_bytes(d.dtype, cols);
            let slice = self.store.reserve(d.dtype, d.row, d.rows, (quants * d.rows) as u64, (scales * d.rows) as u64);
            for (part, to, from, rows) in d.pieces {
                pieces[part].push(Piece { slice: slice.clone(), to, from, rows });
            }
            slices.push(slice);
        }
        let jobs = stored.into_iter().zip(pieces).map(|(stored, pieces)| Job { stored, pieces });
        self.jobs.borrow_mut().extend(jobs);
        Weight::new(Shape::from([row, cols]), slices)
    }

    /// Bytes that the bound weights take on the GPU.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// Gives every bound weight its memory.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub async fn commit(&self) -> Result<()> {
        self.store.commit().await
    }

    /// Streams the weights from the files to the GPU.
    ///
    /// # Errors
    /// [`Error::Fetch`], [`Error::Gpu`], [`Error::Cancelled`].
    pub async fn upload(self, source: &dyn ByteSource, progress: &dyn Progress, abort: &Abort) -> Result<WeightStore> {
        let mut jobs = self.jobs.into_inner();
        jobs.sort_by_key(|j| (j.stored.file, j.stored.info.offset));
        let mut total = 0;
        for file in &self.files.files {
            total += source.size(file).await?.unwrap_or(0);
        }
        // What is not streamed, headers above all, is there already.
        let streamed: u64 = jobs.iter().map(|j| j.stored.info.bytes).sum();
        let (mut loaded, mut waited) = (total.saturating_sub(streamed), 0);
        for job in &jobs {
            let file = &self.files.files[job.stored.file];
            for piece in &job.pieces {
                let mut row = 0;
                for (rows, read) in runs(&job.stored, piece) {
                    abort.check()?;
                    let bytes = source.read(file, read.0, read.1).await?;
                    abort.check()?;
                    write(piece, row, &job.stored, &bytes);
                    row += rows;
                    loaded += bytes.len() as u64;
                    progress.report(Phase::Download, loaded.min(total), total, file);
                    if loaded - waited > IN_FLIGHT {
                        waited = loaded;
                        self.store.gpu().idle().await?;
                    }
                }
            }
        }
        self.store.gpu().idle().await?;
        Ok(self.store)
    }
}

/// The most rows up to `most` after which both planes are at a whole word.
fn whole_words(most: usize, quants: usize, scales: usize) -> usize {
    (0..4.min(most))
        .map(|less| most - less)
        .find(|n| (n * quants).is_multiple_of(4) && (n * scales).is_multiple_of(4))
        .unwrap_or(most)
}

/// Bytes of one row in each plane.
fn row_bytes(dtype: DType, cols: usize) -> (usize, usize) {
    let Planes { quants, scales } = repack::planes(dtype);
    let blocks = if dtype.is_float() { cols.div_ceil(32) } else { cols / dtype.block_len() };
    (blocks * quants, blocks * scales)
}

/// Elements of a row in the file: of a vector, each element is a row.
fn width(stored: &Stored) -> usize {
    match stored.info.shape.as_slice() {
        [_, cols] => *cols,
        _ => 1,
    }
}

/// The reads that bring a piece: rows, and offset and length in the file. Runs are whole rows, and a multiple of [`RUN`]
/// of them but for the last, so that every run begins at a whole word of both planes.
fn runs(stored: &Stored, piece: &Piece) -> impl Iterator<Item = (usize, (u64, usize))> + use<> {
    let rows = stored.info.shape.first().copied().unwrap_or(1).max(1) as u64;
    let row = (stored.info.bytes / rows) as usize;
    let step = (CHUNK / row.max(1)).max(1);
    let step = if step >= RUN { step / RUN * RUN } else { step.next_multiple_of(4) };
    let (first, count, offset) = (piece.from, piece.rows, stored.info.offset);
    (0..count).step_by(step).map(move |at| {
        let n = step.min(count - at);
        (n, (offset + (first + at) as u64 * row as u64, n * row))
    })
}

/// Converts whole rows, from row `row` of the piece on, and writes them to their place.
fn write(piece: &Piece, row: usize, stored: &Stored, bytes: &[u8]) {
    let (cols, from, to) = (width(stored), stored.info.dtype, piece.slice.dtype);
    let at = piece.to + row;
    let (mut quants, mut scales) = (Vec::new(), Vec::new());
    if stored.info.shape.len() == 1 {
        let floats = repack::to_f32(from, bytes).unwrap_or_default();
        piece.slice.quants().write((at * 4) as u64, bytemuck::cast_slice(&floats));
        return;
    }
    if from == to {
        if from.is_float() && !cols.is_multiple_of(32) {
            repack::pad_rows(from, bytes, cols, &mut quants);
        } else {
            repack::repack(from, bytes, &mut quants, &mut scales);
        }
    } else {
        let floats = repack::to_f32(from, bytes).unwrap_or_default();
        let blocks = quantize::encode(to, &floats);
        repack::repack(to, &blocks, &mut quants, &mut scales);
    }
    let (quant_row, scale_row) = row_bytes(to, cols);
    piece.slice.quants().write((at * quant_row) as u64, &quants);
    if !scales.is_empty() {
        piece.slice.scales().write((at * scale_row) as u64, &scales);
    }
}
