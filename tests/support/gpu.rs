//! Devices for tests, and what is needed to run one op on them.
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another. No adapter is a failure, never a skip.

use inkstone::dtype::DType;
use inkstone::gpu::{
    Batch, Buffer, Choice, Family, Gpu, GpuOptions, Graph, Kept, Plan, Region, Tensor, Tier, Weight, WeightStore,
};
use inkstone::load::repack::{pad_rows, repack};
use inkstone::shape::Shape;
use pollster::block_on;
use std::rc::Rc;

/// What rows are filled with before a run, to see who writes them.
pub const SENTINEL: f32 = -7.03125e11;
/// What the padding of input rows holds: nobody may use it.
pub const GARBAGE: f32 = 9.25e5;

/// Opens the device at a tier (or the best there is) with the kernels of a family (or the adapter's own).
pub fn open(tier: Option<Tier>, family: Option<Family>) -> Rc<Gpu> {
    let options = GpuOptions { tier, family, ..GpuOptions::default() };
    block_on(Gpu::open(&options)).expect("these tests need a GPU adapter, for example Mesa's lavapipe")
}

/// Runs `body` without barriers and with workgroups, on devices whose grids fold past 16 workgroups in a dimension.
pub fn each_folding(mut body: impl FnMut(&str, &Rc<Gpu>)) {
    for family in [Family::Software, Family::Generic] {
        let (tier, max_grid) = (Some(Tier::Base), Some(16));
        let options = GpuOptions { tier, family: Some(family), max_grid, ..GpuOptions::default() };
        let gpu = block_on(Gpu::open(&options)).expect("an adapter");
        body(family.name(), &gpu);
        block_on(gpu.idle()).unwrap_or_else(|e| panic!("{}: {e}", family.name()));
    }
}

/// Every choice of kernels that this adapter can run: without barriers; with workgroups; with subgroups.
fn setups() -> Vec<(String, Rc<Gpu>)> {
    let mut all = vec![open(Some(Tier::Base), Some(Family::Software)), open(Some(Tier::Base), Some(Family::Generic))];
    let best = open(None, Some(Family::Generic));
    if best.adapter().tier >= Tier::Subgroups {
        all.push(open(Some(Tier::Subgroups), Some(Family::Generic)));
    }
    let name = |gpu: &Rc<Gpu>| {
        let a = gpu.adapter();
        format!("{} {} (subgroups of {}) on {}", a.family.name(), a.tier.name(), a.subgroup, a.name)
    };
    all.into_iter().map(|gpu| (name(&gpu), gpu)).collect()
}

/// Devices whose ops have every variant there is: those of every setup, and without barriers one as of the other drivers.
pub fn with_every_variant() -> Vec<Rc<Gpu>> {
    let mut all: Vec<_> = setups().into_iter().map(|(_, gpu)| gpu).collect();
    let (tier, family, llvmpipe) = (Some(Tier::Base), Some(Family::Software), Some(!all[0].adapter().llvmpipe));
    let options = GpuOptions { tier, family, llvmpipe, ..GpuOptions::default() };
    all.push(block_on(Gpu::open(&options)).expect("an adapter"));
    all
}

/// Runs `body` on every setup.
pub fn each_setup(mut body: impl FnMut(&str, &Rc<Gpu>)) {
    for (name, gpu) in setups() {
        body(&name, &gpu);
        block_on(gpu.idle()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// Runs `body` on every setup, and with workgroups where the adapter has made a choice.
pub fn each_choosing(choice: Choice, mut body: impl FnMut(&str, &Rc<Gpu>)) {
    each_setup(&mut body);
    let gpu = open(Some(Tier::Base), Some(Family::Generic));
    gpu.choose(choice, true);
    body(choice.name(), &gpu);
    block_on(gpu.idle()).unwrap_or_else(|e| panic!("{}: {e}", choice.name()));
}

/// A buffer with these bytes.
pub fn upload<T: bytemuck::NoUninit>(gpu: &Rc<Gpu>, values: &[T]) -> Region {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let buffer = Buffer::storage(gpu, "test input", bytes.len() as u64);
    buffer.write(0, bytes);
    buffer.region()
}

/// The words of a region.
pub fn download<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(gpu: &Rc<Gpu>, region: &Region) -> Vec<T> {
    bytemuck::pod_collect_to_vec(&block_on(gpu.read(region)).expect("a region can be read"))
}

/// Rows of activations as they lie on the GPU: padded to four, with garbage in the padding.
pub fn padded(rows: &[f32], last: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for row in rows.chunks_exact(last) {
        out.extend_from_slice(row);
        out.resize(out.len().next_multiple_of(4), GARBAGE);
    }
    out
}

/// Uploads activations of rows of `last` elements.
pub fn activation(gpu: &Rc<Gpu>, rows: &[f32], last: usize) -> Region {
    upload(gpu, &padded(rows, last))
}

/// The state that bounds rows: position of the first, number of rows; then room for the sampler's own words.
pub fn state(gpu: &Rc<Gpu>, pos: usize, rows: usize) -> Region {
    let mut words = [0u32; 65];
    words[0] = pos as u32;
    words[1] = rows as u32;
    upload(gpu, &words)
}

/// A vector as the loader stores it: f32, padded to four with zeros.
pub fn vector(gpu: &Rc<Gpu>, values: &[f32]) -> Weight {
    let store = WeightStore::new(gpu);
    let mut floats = values.to_vec();
    floats.resize(values.len().next_multiple_of(4), 0.0);
    let slice = store.reserve(DType::F32, 0, 1, (floats.len() * 4) as u64, 0);
    block_on(store.commit()).expect("memory for a vector");
    slice.quants().write(0, bytemuck::cast_slice(&floats));
    Weight::new(Shape::from([values.len()]), vec![slice])
}

/// Rows of a matrix that share an encoding, as bytes of a file.
pub struct Stored {
    /// How they are encoded.
    pub dtype: DType,
    /// Row after row.
    pub bytes: Vec<u8>,
}

/// A matrix made of slices, each with rows of `cols`.
pub fn matrix(gpu: &Rc<Gpu>, cols: usize, parts: &[Stored]) -> Weight {
    let store = WeightStore::new(gpu);
    let mut row = 0;
    let mut planes = Vec::new();
    for part in parts {
        let bytes = if part.dtype.is_float() {
            cols * part.dtype.block_bytes()
        } else {
            cols / part.dtype.block_len() * part.dtype.block_bytes()
        };
        let rows = part.bytes.len() / bytes;
        assert_eq!(rows * bytes, part.bytes.len(), "whole rows");
        let (mut quants, mut scales) = (Vec::new(), Vec::new());
        if part.dtype.is_float() {
            pad_rows(part.dtype, &part.bytes, cols, &mut quants);
        } else {
            repack(part.dtype, &part.bytes, &mut quants, &mut scales);
        }
        let slice = store.reserve(part.dtype, row, rows, quants.len() as u64, scales.len() as u64);
        row += rows;
        planes.push((slice, quants, scales));
    }
    block_on(store.commit()).expect("memory for a matrix");
    let slices = planes.into_iter().map(|(slice, quants, scales)| {
        slice.quants().write(0, &quants);
        if !scales.is_empty() {
            slice.scales().write(0, &scales);
        }
        slice
    });
    let slices = slices.collect();
    Weight::new(Shape::from([row, cols]), slices)
}

/// What a graph left in one tensor.
pub struct Output {
    /// Row by row, without padding.
    pub values: Vec<f32>,
    /// The plan, to run again.
    pub plan: Plan,
    /// Where the values are.
    pub region: Region,
}

/// Records a graph, fills the result with the [`SENTINEL`], runs it once.
pub fn run(gpu: &Rc<Gpu>, record: impl FnOnce(&Graph) -> Tensor<'_>) -> Output {
    let graph = Graph::new(gpu);
    let (kept, shape): (Kept, Shape) = {
        let y = record(&graph);
        (y.kept(), y.shape())
    };
    let plan = block_on(Plan::new(graph)).unwrap_or_else(|e| panic!("{e}"));
    let region = plan.region(kept).clone();
    region.write(0, bytemuck::cast_slice(&vec![SENTINEL; region.size as usize / 4]));
    submit(gpu, &plan);
    let all: Vec<f32> = download(gpu, &region);
    let [_, last] = shape.rows();
    let values = all.chunks_exact(last.next_multiple_of(4)).flat_map(|row| &row[..last]).copied().collect();
    Output { values, plan, region }
}

/// Runs a plan once.
pub fn submit(gpu: &Rc<Gpu>, plan: &Plan) {
    let mut batch = Batch::new(gpu);
    batch.run(plan);
    batch.submit();
}

/// Panics if rows from `n` on were written.
#[track_caller]
pub fn untouched(what: &str, values: &[f32], n: usize, last: usize) {
    if let Some(at) = values[n * last..].iter().position(|v| *v != SENTINEL) {
        let at = n * last + at;
        panic!("{what}: row {} holds no token but was written ({})", at / last, values[at]);
    }
}
