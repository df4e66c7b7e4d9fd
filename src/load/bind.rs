//! Binding: a model asks for its weights by name and shape; what it gets is a place on the GPU. Everything that can be
//! wrong with a user's file is said here. Then the bytes stream from the files to their places: see `stream`.

use super::quantize::{Care, Quantize};
use super::repack::{self, Planes};
use super::tensors::{RowOrder, Stored, Tensors};
use crate::dtype::{BLOCK, DType};
use crate::format::TensorInfo;
use crate::gpu::{Gpu, Slice, Weight, WeightStore};
use crate::shape::Shape;
use crate::{Error, Result};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

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
    /// Added to every element.
    pub plus: f32,
    /// Of a convolution, [C, taps]: a row is stored channel by channel, and read tap by tap with padded channels.
    pub taps: Option<[usize; 2]>,
}

/// The weights of a model being bound.
#[derive(Clone)]
pub struct Weights<'a> {
    pub(super) tensors: &'a Tensors,
    pub(super) binding: Rc<Binding>,
    quantize: Quantize,
    care: Care,
    /// Every tensor is there, in this encoding: to learn what a configuration would take.
    imagined: Option<DType>,
}

/// Everything bound so far.
pub(super) struct Binding {
    pub store: WeightStore,
    pub jobs: RefCell<Vec<Job>>,
    bound: RefCell<BTreeMap<String, Weight>>,
    /// Weights by their encoding on the GPU.
    encodings: RefCell<BTreeMap<DType, u64>>,
}

/// One matrix of a stack: its name and how many rows it must have.
pub type StackPart<'n> = (&'n str, usize);

impl<'a> Weights<'a> {
    /// Begins with nothing bound.
    pub fn new(gpu: &Rc<Gpu>, tensors: &'a Tensors, quantize: Quantize) -> Self {
        Weights {
            tensors,
            binding: Rc::new(Binding {
                store: WeightStore::new(gpu),
                jobs: RefCell::default(),
                bound: RefCell::default(),
                encodings: RefCell::default(),
            }),
            quantize,
            care: Care::Ordinary,
            imagined: None,
        }
    }

    /// Binds into the same place, but keeps at least eight bits of matrices: for those that four bits hurt most.
    pub fn sparing(&self) -> Self {
        Weights { care: self.care.max(Care::EightBits), ..self.clone() }
    }

    /// Binds into the same place, but never quantizes.
    pub fn as_stored(&self) -> Self {
        Weights { care: Care::AsStored, ..self.clone() }
    }

    /// Finds the encoding of most of the weights that were bound.
    pub fn quantization(all: &[&Self]) -> DType {
        let mut sums: BTreeMap<DType, u64> = BTreeMap::new();
        for (dtype, count) in all.iter().flat_map(|w| w.binding.encodings.borrow().clone()) {
            *sums.entry(dtype).or_default() += count;
        }
        sums.into_iter().max_by_key(|(_, count)| *count).map_or(DType::F32, |(dtype, _)| dtype)
    }

    /// Pretends that whatever is asked for is there, stored as `dtype`: to learn what a configuration would take.
    pub fn imagined(self, dtype: DType) -> Self {
        Weights { imagined: Some(dtype), ..self }
    }

    /// Returns whether the files have this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.by_name.contains_key(name)
    }

    /// Binds a matrix [rows, cols].
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`].
    pub fn matrix(&self, name: &str, [rows, cols]: [usize; 2]) -> Result<Weight> {
        self.stack(&[(name, rows)], cols)
    }

    /// Binds matrices of `cols` columns stacked upon each other, as one weight: one dispatch reads them all if they are
    /// encoded alike.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`].
    pub fn stack(&self, parts: &[StackPart<'_>], cols: usize) -> Result<Weight> {
        let key = parts.iter().map(|p| p.0).collect::<Vec<_>>().join("+");
        if let Some(w) = self.binding.bound.borrow().get(&key) {
            return Ok(w.clone());
        }
        let stored: Vec<_> = parts.iter().map(|&(name, rows)| self.find(name, &[rows, cols])).collect::<Result<_>>()?;
        let weight = self.place(parts, stored, cols, None);
        self.binding.bound.borrow_mut().insert(key, weight.clone());
        Ok(weight)
    }

    /// Binds a convolution's weights, in the file [O, C, side, side], as [`crate::ops::Map::conv2d`] wants them:
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

    /// Binds stacked matrices whose names were just made: see [`Weights::stack`].
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`].
    pub fn named_stack(&self, parts: impl IntoIterator<Item = (String, usize)>, cols: usize) -> Result<Weight> {
        let parts: Vec<_> = parts.into_iter().collect();
        self.stack(&parts.iter().map(|(name, rows)| (name.as_str(), *rows)).collect::<Vec<_>>(), cols)
    }

    /// Binds vectors one after the other if there are to be any.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if one is quantized.
    pub fn biases(&self, on: bool, parts: impl IntoIterator<Item = (String, usize)>) -> Result<Option<Weight>> {
        let parts: Vec<_> = if on { parts.into_iter().collect() } else { return Ok(None) };
        self.vectors(&parts.iter().map(|(name, n)| (name.as_str(), *n)).collect::<Vec<_>>()).map(Some)
    }

    /// Binds a small matrix as one vector of f32, row by row.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if it is quantized.
    pub fn flat(&self, name: &str, [rows, cols]: [usize; 2]) -> Result<Weight> {
        let mut stored = self.find(name, &[rows, cols])?;
        stored.info.shape = vec![rows * cols];
        self.lay_out(vec![(name, stored)], 0.0)
    }

    /// Binds a vector [n], kept as f32 whatever the file has.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if it is quantized.
    pub fn vector(&self, name: &str, n: usize) -> Result<Weight> {
        self.vectors(&[(name, n)])
    }

    /// Binds vectors one after the other, as one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if one is quantized.
    pub fn vectors(&self, parts: &[StackPart<'_>]) -> Result<Weight> {
        self.vectors_plus(parts, 0.0)
    }

    /// Binds the same with a number added to every element: norms whose files store the weights less one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`], [`Error::Unsupported`] if one is quantized.
    pub fn vectors_plus(&self, parts: &[StackPart<'_>], plus: f32) -> Result<Weight> {
        let found = parts.iter().map(|&(name, len)| Ok((name, self.find(name, &[len])?)));
        self.lay_out(found.collect::<Result<_>>()?, plus)
    }

    fn lay_out(&self, parts: Vec<(&str, Stored)>, plus: f32) -> Result<Weight> {
        let n: usize = parts.iter().map(|p| p.1.info.shape[0]).sum();
        let slice = self.binding.store.reserve(DType::F32, 0, 1, (n.next_multiple_of(4) * 4) as u64, 0);
        let mut at = 0;
        for (name, stored) in parts {
            floats(name, &stored)?;
            let len = stored.info.shape[0];
            let piece = |(to, from, rows)| Piece { slice: slice.clone(), to: at + to, from, rows };
            let pieces = stored.order.runs(len, 0..len).into_iter().map(piece).collect();
            self.binding.jobs.borrow_mut().push(Job { name: name.into(), stored, pieces, plus, taps: None });
            at += len;
        }
        Ok(Weight::new(Shape::from([n]), vec![slice]))
    }

    fn find(&self, name: &str, want: &[usize]) -> Result<Stored> {
        if let Some(dtype) = self.imagined {
            let info = TensorInfo { name: name.into(), shape: want.to_vec(), dtype, offset: 0, bytes: 0 };
            return Ok(Stored { file: 0, info, order: RowOrder::AsStored });
        }
        let stored = self.tensors.by_name.get(name).ok_or_else(|| Error::Missing { tensor: name.to_string() })?;
        // A convolution of one tap, or over one channel, is a matrix, and some files say so.
        if bare(&stored.info.shape) != bare(want) {
            return Err(Error::Shape { tensor: name.into(), want: want.to_vec(), got: stored.info.shape.clone() });
        }
        let mut stored = stored.clone();
        stored.info.shape = want.to_vec();
        Ok(stored)
    }

    /// Reserves slices for stacked matrices and notes where each row goes. Neighbours share a slice if they are encoded
    /// alike, as long as the slice fits one binding and each part begins at a whole word of both planes.
    fn place(&self, parts: &[StackPart<'_>], stored: Vec<Stored>, cols: usize, taps: Option<[usize; 2]>) -> Weight {
        struct Draft {
            dtype: DType,
            row: usize,
            rows: usize,
            pieces: Vec<(usize, usize, usize, usize)>,
        }
        let adapter = self.binding.store.gpu().adapter();
        // Some adapters report more than 32 bits can count.
        let limit = adapter.max_binding.min(adapter.max_buffer).min(i32::MAX as u64) as usize;
        let mut drafts: Vec<Draft> = Vec::new();
        let mut row = 0;
        for (i, (&(_, rows), stored)) in parts.iter().zip(&stored).enumerate() {
            let dtype = self.quantize.target(self.care, stored.info.dtype, cols);
            *self.binding.encodings.borrow_mut().entry(dtype).or_default() += (rows * cols) as u64;
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
            let slice =
                self.binding.store.reserve(d.dtype, d.row, d.rows, (quants * d.rows) as u64, (scales * d.rows) as u64);
            for (part, to, from, rows) in d.pieces {
                let stored = &stored[part];
                for (after, from, rows) in stored.order.runs(stored.info.shape[0], from..from + rows) {
                    pieces[part].push(Piece { slice: slice.clone(), to: to + after, from, rows });
                }
            }
            slices.push(slice);
        }
        let jobs = stored.into_iter().zip(pieces).zip(parts);
        let jobs = jobs.map(|((stored, pieces), part)| Job { name: part.0.into(), stored, pieces, plus: 0.0, taps });
        self.binding.jobs.borrow_mut().extend(jobs);
        Weight::new(Shape::from([row, cols]), slices)
    }

    /// Returns the bytes that the bound weights take on the GPU.
    pub fn bytes(&self) -> u64 {
        self.binding.store.bytes()
    }

    /// Allows graphs to be recorded with these weights, but not to be run: see [`WeightStore::pretend`].
    pub fn pretend(&self) {
        self.binding.store.pretend();
    }

    /// Gives every bound weight its memory.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub async fn commit(&self) -> Result<()> {
        self.binding.store.commit().await
    }
}

/// Leaves the ones out of a shape.
fn bare(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&d| d != 1).collect()
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

/// Returns the most rows up to `most` after which both planes are at a whole word.
fn whole_words(most: usize, quants: usize, scales: usize) -> usize {
    (0..4.min(most))
        .map(|less| most - less)
        .find(|n| (n * quants).is_multiple_of(4) && (n * scales).is_multiple_of(4))
        .unwrap_or(most)
}

/// Returns the bytes of one row in each plane.
pub(super) fn row_bytes(dtype: DType, cols: usize) -> (usize, usize) {
    let Planes { quants, scales } = repack::planes(dtype);
    let blocks = if dtype.is_float() { cols.div_ceil(32) } else { cols / dtype.block_len() };
    (blocks * quants, blocks * scales)
}
