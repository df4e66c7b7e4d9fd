//! Every encoding of weights, as the GPU reads it, against the `gguf` package's dequantizer
//! (`tools/golden/quants.py` made `tests/quants/*.bin`).
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another.

use inkstone::dtype::DType;
use inkstone::gpu::{Batch, Buffer, Family, Gpu, GpuOptions, Graph, Kept, Plan, Region, Weight, WeightStore};
use inkstone::load::repack::{self, planes, repack};
use inkstone::shape::Shape;
use std::rc::Rc;
use support::tolerance::{Tolerance, check};

/// Rows of every golden matrix.
const ROWS: usize = 9;
/// Rows of input that take the kernels for many of them.
const MANY: usize = 7;

/// An encoded matrix and the numbers it stands for.
struct Golden {
    dtype: DType,
    cols: usize,
    blocks: Vec<u8>,
    weights: Vec<f32>,
}

impl Golden {
    fn read(dtype: DType) -> Golden {
        let path = format!("{}/tests/quants/{}.bin", env!("CARGO_MANIFEST_DIR"), dtype.name().to_lowercase());
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let n = bytes.len() / (dtype.block_bytes() + 4 * dtype.block_len());
        let (blocks, weights) = bytes.split_at(n * dtype.block_bytes());
        let weights: Vec<f32> = weights.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!((weights.len(), weights.len() % ROWS), (n * dtype.block_len(), 0), "{path}");
        Golden { dtype, cols: weights.len() / ROWS, blocks: blocks.to_vec(), weights }
    }

    /// Without the first row, which holds extremes that would drown the others in any sum.
    fn ordinary(&self) -> Golden {
        let blocks = self.blocks[self.blocks.len() / ROWS..].to_vec();
        Golden { dtype: self.dtype, cols: self.cols, blocks, weights: self.weights[self.cols..].to_vec() }
    }

    fn rows(&self) -> usize {
        self.weights.len() / self.cols
    }

    /// On the GPU, laid out as the loader does it.
    fn upload(&self, gpu: &Rc<Gpu>) -> (Weight, WeightStore) {
        let (mut quants, mut scales) = (Vec::new(), Vec::new());
        if self.dtype.is_float() {
            repack::pad_rows(self.dtype, &self.blocks, self.cols, &mut quants);
        } else {
            repack(self.dtype, &self.blocks, &mut quants, &mut scales);
        }
        let store = WeightStore::new(gpu);
        let slice = store.reserve(self.dtype, 0, self.rows(), quants.len() as u64, scales.len() as u64);
        pollster::block_on(store.commit()).unwrap();
        slice.quants().write(0, &quants);
        if !scales.is_empty() {
            slice.scales().write(0, &scales);
        }
        (Weight::new(Shape::from([self.rows(), self.cols]), vec![slice]), store)
    }

    /// `x w^T` in f64, for `x` of `t` rows.
    fn product(&self, x: &[f32], t: usize) -> Vec<f64> {
        let mut y = Vec::new();
        for x in x.chunks_exact(self.cols).take(t) {
            for w in self.weights.chunks_exact(self.cols) {
                y.push(x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum());
            }
        }
        y
    }
}

fn open(family: Option<Family>) -> Rc<Gpu> {
    let gpu = pollster::block_on(Gpu::open(&GpuOptions { family, ..GpuOptions::default() })).unwrap();
    println!("on {}", gpu.adapter().name);
    gpu
}

fn region(gpu: &Rc<Gpu>, bytes: &[u8]) -> Region {
    let buffer = Buffer::storage(gpu, "input", bytes.len() as u64);
    buffer.write(0, bytes);
    buffer.region()
}

fn run(gpu: &Rc<Gpu>, graph: Graph, kept: Kept, len: usize) -> Vec<f32> {
    let plan = pollster::block_on(Plan::new(graph)).unwrap();
    let mut batch = Batch::new(gpu);
    batch.run(&plan);
    batch.submit();
    let bytes = pollster::block_on(gpu.read(plan.region(kept))).unwrap();
    bytemuck::cast_slice(&bytes)[..len].to_vec()
}

/// Numbers between -1 and 1 whose sum is far from zero, so that a wrong minimum shows.
fn input(len: usize) -> Vec<f32> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 * 0.8 - 0.4).collect()
}

#[test]
fn every_weight_is_the_number_that_gguf_says() {
    let gpu = open(None);
    for dtype in DType::ALL {
        let golden = Golden::read(dtype);
        let (w, _store) = golden.upload(&gpu);
        // Backwards, so that a row read from a neighbour's place cannot pass.
        let ids: Vec<u32> = (0..ROWS as u32).rev().collect();
        let ids = region(&gpu, bytemuck::cast_slice(&ids));
        let graph = Graph::new(&gpu);
        let y = graph.embed(&w, &ids, ROWS, 1.0, None).kept();
        let got = run(&gpu, graph, y, golden.weights.len());
        let want: Vec<f32> = golden.weights.chunks_exact(golden.cols).rev().flatten().copied().collect();
        let equal = want.iter().zip(&got).filter(|(w, g)| w == g).count();
        println!("{}: {equal} of {} weights equal", dtype.name(), want.len());
        check(dtype.name(), &want, &got, Tolerance::Exact);
    }
}

fn products(family: Family) {
    let gpu = open(Some(family));
    for dtype in DType::ALL {
        let golden = Golden::read(dtype).ordinary();
        let (w, _store) = golden.upload(&gpu);
        let x = input(MANY * golden.cols);
        for t in [1, MANY] {
            let graph = Graph::new(&gpu);
            let x_region = region(&gpu, bytemuck::cast_slice(&x));
            let y = graph.given(&x_region, [t, golden.cols]).linear(&w).kept();
            let got = run(&gpu, graph, y, t * golden.rows());
            let what = format!("{} {family:?} {t} rows", dtype.name());
            let d = check(&what, &golden.product(&x, t), &got, Tolerance::F32);
            println!("{what}: NMSE {:.1e}", d.nmse);
        }
    }
}

#[test]
fn products_are_those_of_the_weights_with_workgroups() {
    products(Family::Generic);
}

#[test]
fn products_are_those_of_the_weights_without_barriers() {
    products(Family::Software);
}

/// The loader converts and writes runs of blocks by themselves, at the offsets that `planes` gives.
#[test]
fn runs_of_blocks_may_be_converted_by_themselves() {
    for dtype in DType::ALL.into_iter().filter(|d| !d.is_float()) {
        let Golden { blocks, .. } = Golden::read(dtype);
        let n = blocks.len() / dtype.block_bytes();
        let (mut quants, mut scales) = (Vec::new(), Vec::new());
        repack(dtype, &blocks, &mut quants, &mut scales);
        assert_eq!(quants.len(), n * planes(dtype).quants, "{}", dtype.name());
        assert_eq!(scales.len(), (n * planes(dtype).scales).next_multiple_of(4), "{}", dtype.name());
        for cut in (0..=n).filter(|cut| (cut * planes(dtype).scales).is_multiple_of(4)) {
            let (head, tail) = blocks.split_at(cut * dtype.block_bytes());
            let (mut q, mut s) = (Vec::new(), Vec::new());
            repack(dtype, head, &mut q, &mut s);
            assert_eq!(
                (q.len(), s.len()),
                (cut * planes(dtype).quants, cut * planes(dtype).scales),
                "{}",
                dtype.name()
            );
            repack(dtype, tail, &mut q, &mut s);
            assert!(q == quants && s == scales, "{} cut after {cut} of {n} blocks", dtype.name());
        }
    }
}

/// Nothing but the unpacked scales of three encodings makes a tensor larger than its file, and those by less than 4 %.
#[test]
fn weights_take_hardly_more_than_in_the_file() {
    for dtype in DType::ALL.into_iter().filter(|d| !d.is_float()) {
        let (here, file) = (planes(dtype).quants + planes(dtype).scales, dtype.block_bytes());
        let grows = matches!(dtype, DType::Q3K | DType::Q4K | DType::Q5K);
        assert!(if grows { here <= file + 4 && here * 100 <= file * 104 } else { here == file }, "{}", dtype.name());
    }
}

#[test]
fn floats_convert_to_f32_and_rows_are_padded() {
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let golden = Golden::read(dtype);
        let floats = repack::to_f32(dtype, &golden.blocks).unwrap();
        check(dtype.name(), &golden.weights, &floats, Tolerance::Exact);
        let mut padded = Vec::new();
        repack::pad_rows(dtype, &golden.blocks, golden.cols, &mut padded);
        let floats = repack::to_f32(dtype, &padded).unwrap();
        assert_eq!(floats.len(), ROWS * 64);
        for (row, want) in floats.chunks_exact(64).zip(golden.weights.chunks_exact(golden.cols)) {
            check(dtype.name(), want, &row[..golden.cols], Tolerance::Exact);
            assert!(row[golden.cols..].iter().all(|v| v.to_bits() == 0));
        }
    }
    assert!(repack::to_f32(DType::Q8_0, &[0; 34]).is_none());
}
