//! Binding: a model asks for its weights by name and shape; what it gets is a place on the GPU. Everything that can be
//! wrong with a user's file is said here. Then the bytes stream from the files to their places: see `stream`.

use super::quantize::Quantize;
use super::repack::{self, Planes};
use super::tensors::{Stored, Tensors};
use crate::dtype::DType;
use crate::format::TensorInfo;
use crate::gpu::{Gpu, Slice, Weight, WeightStore};
use crate::shape::Shape;
use crate::{Error, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Channels of a convolution's tap are padded to a multiple of this: to whole blocks of weights.
const BLOCK: usize = 32;

/// Rows of a tensor that go to rows of a slice.
pub(super) struct Piece {
    pub slice: Slice,
    /// First row in the slice.
    pub to: usize,
    /// First row in the tensor, and how many.
    pub from: usize,
    pub rows: usize,
}

/// A tensor to be read, and where it goes.
pub(super) struct Job {
    /// Its name in [`Tensors`].
    pub name: String,
    pub stored: Stored,
    pub pieces: Vec<Piece>,
    /// Of a convolution, [C, taps]: a row is stored channel by channel, and read tap by tap with padded channels.
    pub taps: Option<[usize; 2]>,
}

/// The weights of a model being bound.
pub struct Weights<'a> {
    pub(super) tensors: &'a Tensors,
    pub(super) store: WeightStore,
    quantize: Quantize,
    /// Every tensor is there, in this encoding: to learn what a configuration would take.
    imagined: Option<DType>,
    pub(super) jobs: RefCell<Vec<Job>>,
    bound: RefCell<BTreeMap<String, Weight>>,
}

/// One matrix of a stack: its name and how many rows it must have.
pub type Part<'n> = (&'n str, usize);

impl<'a> Weights<'a> {
    /// Nothing bound yet.
    pub fn new(gpu: &Rc<Gpu>, tensors: &'a Tensors, quantize: Quantize) -> Self {
        Weights {
            tensors,
            store: WeightStore::new(gpu),
            quantize,
            imagined: None,
            jobs: RefCell::default(),
            bound: RefCell::default(),
        }
    }

    /// The same, but whatever is asked for is there, stored as `dtype`: to learn what a configuration would take.
    pub fn imagined(self, dtype: DType) -> Self {
        Weights { imagined: Some(dtype), ..self }
    }

    /// Whether the files have this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.by_name.contains_key(name)
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
        let weight = self.place(parts, stored, cols, None);
        self.bound.borrow_mut().insert(key, weight.clone());
        Ok(weight)
    }

    /// A convolution's weights, in the file [O, C, side, side], as [`crate::ops::Map::conv2d`] wants them:
    /// [O, side * side * C'], C' being C padded to [`crate::ops::CHANNEL_BLOCK`].
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if it is quantized.
    pub fn conv(&self, name: &str, [out, channels, side, _]: [usize; 4]) -> Result<Weight> {
        let stored = self.find(name, &[out, channels, side, side])?;
        floats(name, &stored)?;
        let taps = side * side;
        let cols = taps * channels.next_multiple_of(BLOCK);
        Ok(self.place(&[(name, out)], vec![stored], cols, Some([channels, taps])))
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
            floats(name, &stored)?;
            let piece = Piece { slice: slice.clone(), to: at, from: 0, rows: len };
            self.jobs.borrow_mut().push(Job { name: name.into(), stored, pieces: vec![piece], taps: None });
            at += len;
        }
        Ok(Weight::new(Shape::from([n]), vec![slice]))
    }

    fn find(&self, name: &str, want: &[usize]) -> Result<Stored> {
        if let Some(dtype) = self.imagined {
            let info = TensorInfo { name: name.into(), shape: want.to_vec(), dtype, offset: 0, bytes: 0 };
            return Ok(Stored { file: 0, info, transposed: false });
        }
        let stored = self.tensors.by_name.get(name).ok_or_else(|| Error::Missing { tensor: name.to_string() })?;
        // A convolution of one tap is a matrix, and some files say so.
        if bare(&stored.info.shape) != bare(want) {
            return Err(Error::Shape { tensor: name.into(), want: want.to_vec(), got: stored.info.shape.clone() });
        }
        let mut stored = stored.clone();
        stored.info.shape = want.to_vec();
        Ok(stored)
    }

    /// Reserves slices for stacked matrices and notes where each row goes. Neighbours share a slice if they are encoded
    /// alike, as long as the slice fits one binding and each part begins at a whole word of both planes.
    fn place(&self, parts: &[Part<'_>], stored: Vec<Stored>, cols: usize, taps: Option<[usize; 2]>) -> Weight {
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
        let jobs = stored.into_iter().zip(pieces).zip(parts);
        let jobs = jobs.map(|((stored, pieces), part)| Job { name: part.0.into(), stored, pieces, taps });
        self.jobs.borrow_mut().extend(jobs);
        Weight::new(Shape::from([row, cols]), slices)
    }

    /// Bytes that the bound weights take on the GPU.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// Lets graphs be recorded with these weights, but not run: see [`WeightStore::pretend`].
    pub fn pretend(&self) {
        self.store.pretend();
    }

    /// Gives every bound weight its memory.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub async fn commit(&self) -> Result<()> {
        self.store.commit().await
    }
}

/// A shape without the ones at its end.
fn bare(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().rev().take_while(|&&d| d == 1).count();
    &shape[..shape.len() - ones]
}

/// Refuses what is quantized although it is no matrix.
fn floats(name: &str, stored: &Stored) -> Result<()> {
    if stored.info.dtype.is_float() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "`{name}` is stored as {}; only matrices may be quantized, choose another conversion",
        stored.info.dtype.name()
    )))
}

/// The most rows up to `most` after which both planes are at a whole word.
fn whole_words(most: usize, quants: usize, scales: usize) -> usize {
    (0..4.min(most))
        .map(|less| most - less)
        .find(|n| (n * quants).is_multiple_of(4) && (n * scales).is_multiple_of(4))
        .unwrap_or(most)
}

/// Bytes of one row in each plane.
pub(super) fn row_bytes(dtype: DType, cols: usize) -> (usize, usize) {
    let Planes { quants, scales } = repack::planes(dtype);
    let blocks = if dtype.is_float() { cols.div_ceil(32) } else { cols / dtype.block_len() };
    (blocks * quants, blocks * scales)
}
