//! Graph: one forward pass, recorded as dispatches. Nothing runs until it is made a [`Plan`](super::Plan).

use super::buffer::Region;
use super::device::Gpu;
use super::kernel::{Access, Kernel, Params, Part, Variant};
use super::rows::{row_bytes, row_stride};
use super::weight::Slice;
use crate::shape::Shape;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

/// The thing that a binding of a dispatch is bound to.
pub(super) enum Operand {
    Tensor(usize),
    Region(Region),
    /// A binding that this variant does not touch.
    Nothing,
}

pub(super) struct RecordedDispatch {
    pub variant: Variant,
    pub operands: Vec<Operand>,
    pub params: Vec<u8>,
    pub grid: [u32; 3],
    pub macs: u64,
    pub at: &'static Location<'static>,
}

/// Where an activation lives.
pub(super) enum Home {
    /// In memory that the plan shares among tensors which are never alive together.
    Shared,
    /// In memory of its own that outlives the run.
    Kept,
    /// In a region given from outside.
    Given(Region),
}

pub(super) struct RecordedTensor {
    pub bytes: u64,
    pub home: Home,
}

#[derive(Default)]
pub(super) struct Recording {
    pub tensors: Vec<RecordedTensor>,
    pub nodes: Vec<RecordedDispatch>,
}

/// A forward pass being recorded.
pub struct Graph {
    gpu: Rc<Gpu>,
    band: Option<Region>,
    pub(super) recording: RefCell<Recording>,
}

/// A handle to an activation: `f32`, rows padded to a multiple of four elements.
#[derive(Clone, Copy)]
pub struct Tensor<'g> {
    graph: &'g Graph,
    pub(super) id: usize,
    shape: Shape,
}

impl<'g> Tensor<'g> {
    /// Returns the graph it belongs to.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// Returns its shape, outermost first.
    pub fn shape(self) -> Shape {
        self.shape
    }

    /// Returns `[rows, last dimension]`.
    pub fn rows(self) -> [usize; 2] {
        self.shape.rows()
    }

    /// Returns the number of elements from one row to the next.
    pub fn stride(self) -> usize {
        row_stride(self.shape.last())
    }

    /// Keeps this tensor's memory after the run, for reading or for another graph.
    pub fn keep(self) -> Self {
        self.graph.recording.borrow_mut().tensors[self.id].home = Home::Kept;
        self
    }
}

impl Graph {
    /// Makes an empty graph.
    pub fn new(gpu: &Rc<Gpu>) -> Self {
        Graph { gpu: gpu.clone(), band: None, recording: RefCell::default() }
    }

    /// Makes an empty graph that is run once for each band of a picture's rows: word 0 of `band` moves the rows that
    /// its feature maps hold, word 1 numbers the band.
    pub fn banded(gpu: &Rc<Gpu>, band: &Region) -> Self {
        Graph { band: Some(band.clone()), ..Graph::new(gpu) }
    }

    /// Returns the state of a banded graph.
    ///
    /// # Panics
    /// If the graph is not a banded one.
    #[track_caller]
    pub fn band(&self) -> &Region {
        self.band.as_ref().expect("rows that move belong to a banded graph")
    }

    /// Returns the device it is for.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Makes a new activation, undefined until an op writes it.
    pub fn tensor(&self, shape: impl Into<Shape>) -> Tensor<'_> {
        self.add(shape.into(), Home::Shared)
    }

    /// Makes an activation in memory given from outside: an input, or what another plan kept.
    #[track_caller]
    pub fn given(&self, region: &Region, shape: impl Into<Shape>) -> Tensor<'_> {
        let t = self.add(shape.into(), Home::Given(region.clone()));
        let bytes = self.recording.borrow().tensors[t.id].bytes;
        assert!(bytes <= region.size, "a tensor of {bytes} bytes in a region of {}", region.size);
        t
    }

    fn add(&self, shape: Shape, home: Home) -> Tensor<'_> {
        let [rows, last] = shape.rows();
        let bytes = rows as u64 * row_bytes(last);
        let mut recording = self.recording.borrow_mut();
        recording.tensors.push(RecordedTensor { bytes, home });
        Tensor { graph: self, id: recording.tensors.len() - 1, shape }
    }

    /// Starts recording a dispatch of a kernel; its bindings follow in their order.
    #[track_caller]
    pub fn op(&self, kernel: &'static Kernel) -> OpBuilder<'_> {
        let node = RecordedDispatch {
            variant: Variant::new(kernel),
            operands: Vec::with_capacity(kernel.bindings.len()),
            params: Vec::new(),
            grid: [1; 3],
            macs: 0,
            at: Location::caller(),
        };
        OpBuilder { graph: self, node }
    }

    /// Returns how many dispatches are recorded.
    pub fn dispatches(&self) -> usize {
        self.recording.borrow().nodes.len()
    }

    /// Returns the variants in use, for checks.
    pub fn variants(&self) -> Vec<Variant> {
        self.recording.borrow().nodes.iter().map(|n| n.variant.clone()).collect()
    }
}

/// A dispatch being described.
#[must_use = "nothing is recorded before `dispatch`"]
pub struct OpBuilder<'g> {
    graph: &'g Graph,
    node: RecordedDispatch,
}

impl<'g> OpBuilder<'g> {
    /// Fills a slot.
    pub fn part(mut self, part: &'static Part) -> Self {
        if !self.node.variant.parts.iter().any(|p| p.name == part.name) {
            self.node.variant.parts.push(part);
        }
        self
    }

    /// Fills slots.
    pub fn parts(self, parts: impl IntoIterator<Item = &'static Part>) -> Self {
        parts.into_iter().fold(self, |op, part| op.part(part))
    }

    /// Sets an `override`.
    pub fn set(mut self, name: &'static str, value: impl Override) -> Self {
        self.node.variant.overrides.push((name, value.number()));
        self
    }

    /// Sets a `const` of the prologue.
    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.node.variant.consts.push((name, value as u32));
        self
    }

    /// Binds a tensor next.
    #[track_caller]
    pub fn bind(mut self, t: Tensor<'g>) -> Self {
        assert!(std::ptr::eq(t.graph, self.graph), "a tensor of another graph");
        self.node.operands.push(Operand::Tensor(t.id));
        self
    }

    /// Binds a region next.
    pub fn region(mut self, region: &Region) -> Self {
        self.node.operands.push(Operand::Region(region.clone()));
        self
    }

    /// Binds a region next, or nothing.
    pub fn region_or_nothing(self, region: Option<&Region>) -> Self {
        match region {
            Some(region) => self.region(region),
            None => self.nothing(),
        }
    }

    /// Binds the two planes of a weight's slice next.
    pub fn weight(self, slice: &Slice) -> Self {
        let (quants, scales) = (slice.quants(), slice.scales());
        self.region(&quants).region(&scales)
    }

    /// Leaves the next binding unused: this variant does not touch it.
    pub fn nothing(mut self) -> Self {
        self.node.operands.push(Operand::Nothing);
        self
    }

    /// Binds a tensor next, or nothing.
    pub fn bind_or_nothing(self, t: Option<Tensor<'g>>) -> Self {
        match t {
            Some(t) => self.bind(t),
            None => self.nothing(),
        }
    }

    /// Binds a plain `f32` weight (a norm, a bias) next, or nothing.
    #[track_caller]
    pub fn vector(self, w: Option<&super::Weight>) -> Self {
        match w {
            None => self.nothing(),
            Some(w) => {
                let [slice] = w.slices() else { panic!("a vector is stored in one slice") };
                assert_eq!(slice.dtype, crate::dtype::DType::F32, "a vector is stored as f32");
                self.region(&slice.quants())
            }
        }
    }

    /// Sets the parameters.
    pub fn params<P: Params>(mut self, params: P) -> Self {
        self.node.params = bytemuck::bytes_of(&params).to_vec();
        self
    }

    /// Says how many multiplications and additions the result takes, for [`super::Plan::macs`].
    pub fn macs(mut self, macs: usize) -> Self {
        self.node.macs = macs as u64;
        self
    }

    /// Records the dispatch over a grid of workgroups.
    #[track_caller]
    pub fn dispatch(self, grid: [usize; 3]) {
        let kernel = self.node.variant.kernel;
        assert_eq!(self.node.operands.len(), kernel.bindings.len(), "{} has other bindings", kernel.name);
        assert_eq!(self.node.params.is_empty(), kernel.fields.is_empty(), "{} and its parameters", kernel.name);
        let most = self.graph.gpu().adapter().max_grid;
        assert!(grid.iter().all(|n| (1..=most).contains(n)), "{}: a grid of {grid:?} workgroups", kernel.name);
        let node = RecordedDispatch { grid: grid.map(|n| n as u32), ..self.node };
        self.graph.recording.borrow_mut().nodes.push(node);
    }

    /// Records the dispatch over at least `n` workgroups, folded into two dimensions where one has no room: the kernel
    /// numbers them `wid.x + wid.y * num_workgroups.x` and checks the end.
    #[track_caller]
    pub fn dispatch_linear(self, n: usize) {
        let [x, y] = self.graph.gpu().adapter().folded(n);
        self.dispatch([x, y, 1]);
    }

    /// Records the dispatch over `columns` by at least `rows` workgroups, the rows folded into two dimensions where one
    /// has no room: the kernel numbers them `wid.y + wid.z * num_workgroups.y` and checks the end.
    #[track_caller]
    pub fn dispatch_rows(self, columns: usize, rows: usize) {
        let [y, z] = self.graph.gpu().adapter().folded(rows);
        self.dispatch([columns, y, z]);
    }
}

impl RecordedDispatch {
    /// Returns the tensors read or written, with how.
    pub fn tensors(&self) -> impl Iterator<Item = (usize, Access)> {
        self.operands.iter().zip(self.variant.kernel.bindings).filter_map(|(o, a)| match o {
            Operand::Tensor(id) => Some((*id, *a)),
            _ => None,
        })
    }
}

/// A value for an `override`.
pub trait Override {
    /// Returns the number that WebGPU takes for it.
    fn number(self) -> f64;
}

impl Override for u32 {
    fn number(self) -> f64 {
        self.into()
    }
}

impl Override for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}
