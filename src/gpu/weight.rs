//! Weights: immutable, maybe quantized, stored row by row in a few large buffers.

use super::buffer::{Buffer, Region};
use super::device::Gpu;
use crate::Result;
use crate::dtype::DType;
use crate::shape::Shape;
use std::cell::RefCell;
use std::rc::Rc;

/// Bindings must start at a multiple of this many bytes (WebGPU's default limit, valid everywhere).
const ALIGN: u64 = 256;
/// No weight buffer is larger, so that small allocators cope; a single larger weight gets a buffer of its own size.
const BUFFER: u64 = 128 << 20;

/// Where something is, while it is there.
type PlaceCell = Rc<RefCell<Option<Region>>>;

/// Some rows of a weight that share an encoding and fit one binding.
#[derive(Clone)]
pub struct Slice {
    /// How the rows are encoded.
    pub dtype: DType,
    /// The first row's place in the weight.
    pub row: usize,
    /// How many rows.
    pub rows: usize,
    quants: PlaceCell,
    scales: PlaceCell,
}

impl Slice {
    /// Returns where the quantized values (or floats) are.
    #[track_caller]
    pub fn quants(&self) -> Region {
        self.quants.borrow().clone().expect("weights are committed before they are used")
    }

    /// Returns where the scales are; the same region as the values for floats, which have none.
    #[track_caller]
    pub fn scales(&self) -> Region {
        self.scales.borrow().clone().expect("weights are committed before they are used")
    }
}

/// A tensor of weights on the GPU. Cheap to clone.
#[derive(Clone)]
pub struct Weight(Rc<(Shape, Vec<Slice>)>);

impl Weight {
    /// Makes a weight made of slices that cover its rows in order.
    pub fn new(shape: Shape, slices: Vec<Slice>) -> Self {
        debug_assert_eq!(shape.rows()[0], slices.iter().map(|s| s.rows).sum::<usize>());
        Weight(Rc::new((shape, slices)))
    }

    /// Returns its shape, outermost first.
    pub fn shape(&self) -> Shape {
        self.0.0
    }

    /// Returns its slices, in order of rows.
    pub fn slices(&self) -> &[Slice] {
        &self.0.1
    }
}

/// Where weights live: places are reserved while a model binds its weights, and get memory all at once. They can give
/// it back and get it anew; graphs and plans that were made with the old memory are invalid then. Cheap to clone.
#[derive(Clone)]
pub struct WeightStore {
    gpu: Rc<Gpu>,
    reserved: Rc<RefCell<Vec<(u64, PlaceCell)>>>,
    buffers: Rc<RefCell<Vec<Rc<Buffer>>>>,
}

impl WeightStore {
    /// Makes an empty store.
    pub fn new(gpu: &Rc<Gpu>) -> Self {
        WeightStore { gpu: gpu.clone(), reserved: Rc::default(), buffers: Rc::default() }
    }

    /// Returns the device.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Reserves a slice of `rows` rows from `row` on: `quants` and `scales` are the bytes of its planes.
    pub fn reserve(&self, dtype: DType, row: usize, rows: usize, quants: u64, scales: u64) -> Slice {
        let place = |bytes: u64| {
            let place = PlaceCell::default();
            self.reserved.borrow_mut().push((bytes.next_multiple_of(16), place.clone()));
            place
        };
        let quants = place(quants);
        let scales = if scales == 0 { quants.clone() } else { place(scales) };
        Slice { dtype, row, rows, quants, scales }
    }

    /// Returns the bytes that all places take on the GPU while they have memory.
    pub fn bytes(&self) -> u64 {
        match &self.buffers.borrow()[..] {
            [] => self.reserved.borrow().iter().map(|(bytes, _)| bytes.next_multiple_of(ALIGN)).sum(),
            buffers => buffers.iter().map(|b| b.size()).sum(),
        }
    }

    /// Gives every place a region without memory: to record graphs and add up what they would take. Nothing that is
    /// bound to such a weight may be made a plan.
    pub fn pretend(&self) {
        let dummy = Buffer::storage(&self.gpu, "dummy", 4);
        for (size, place) in self.reserved.borrow().iter() {
            place.replace(Some(Region { buffer: dummy.clone(), offset: 0, size: *size }));
        }
    }

    /// Returns whether the places have memory.
    pub fn is_committed(&self) -> bool {
        !self.buffers.borrow().is_empty()
    }

    /// Gives every reserved place its memory.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) if the device does not have that much.
    pub async fn commit(&self) -> Result<()> {
        let cap = BUFFER.min(self.gpu.adapter().max_buffer);
        let mut sizes: Vec<u64> = Vec::new();
        let mut places = Vec::new();
        for (bytes, place) in self.reserved.borrow().iter() {
            let fits = sizes.last().is_some_and(|used| used + bytes <= cap);
            if !fits {
                sizes.push(0);
            }
            let used = sizes.last_mut().expect("there is a buffer now");
            let offset = std::mem::replace(used, (*used + bytes).next_multiple_of(ALIGN));
            places.push((sizes.len() - 1, offset, *bytes, place.clone()));
        }
        let what = format!("{} MiB of weights", sizes.iter().sum::<u64>() >> 20);
        let make = || sizes.iter().map(|&bytes| Buffer::storage(&self.gpu, "weights", bytes)).collect::<Vec<_>>();
        let buffers = self.gpu.allocate(&what, make).await?;
        for (buffer, offset, size, place) in places {
            place.replace(Some(Region { buffer: buffers[buffer].clone(), offset, size }));
        }
        self.buffers.replace(buffers);
        Ok(())
    }

    /// Gives the memory back, as soon as no plan uses it any more.
    pub fn release(&self) {
        self.buffers.take();
        for (_, place) in self.reserved.borrow().iter() {
            place.take();
        }
    }
}
