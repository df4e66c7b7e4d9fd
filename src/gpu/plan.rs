//! Plan: a graph made ready to run again and again. All GPU objects are created here, none when it runs.

use super::buffer::{Buffer, Region};
use super::counters::count;
use super::device::Gpu;
use super::graph::{Graph, Home, Operand, RecordedDispatch, Recording, Tensor};
use super::kernel::Access;
use super::pipelines::Pipeline;
use super::placement::{Need, Placement, Sharing};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Uniform bindings must start at a multiple of this many bytes.
const UNIFORM_ALIGN: usize = 256;

/// A dispatch with everything it needs.
struct PreparedDispatch {
    pipeline: Rc<Pipeline>,
    tensors: wgpu::BindGroup,
    params: Option<Rc<wgpu::BindGroup>>,
    grid: [u32; 3],
}

/// Pipelines, bind groups and memory of one forward pass.
pub struct Plan {
    dispatches: Vec<PreparedDispatch>,
    regions: Vec<Option<Region>>,
    bytes: u64,
    macs: u64,
    /// Everything that is bound, so that it lives as long as the plan.
    _bound: Vec<Rc<Buffer>>,
}

impl Plan {
    /// Compiles a graph.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the shader file and line that the driver's compiler refused; [`Error::TooLarge`] if the
    /// activations find no memory.
    pub async fn new(graph: Graph) -> Result<Plan> {
        let gpu = graph.gpu().clone();
        let (need, have) = (graph.largest(), gpu.device.limits().max_storage_buffer_binding_size);
        if need > have {
            return Err(Error::TooLarge {
                need: format!("{} MiB of activations in one piece", need >> 20),
                have: format!("{} MiB on this GPU", have >> 20),
                advice: "choose a smaller size or a smaller model".into(),
            });
        }
        let recording = graph.recording.into_inner();
        let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let invalid = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let plan = build(&gpu, &recording);
        let (invalid, memory) = (invalid.pop(), memory.pop());
        let (invalid, memory) = (invalid.await, memory.await);
        // A buffer without memory also makes its bind groups invalid, so a lack of memory is reported first.
        if memory.is_none()
            && let Some(e) = invalid
        {
            gpu.pipelines.take();
            return Err(Error::gpu(format!(
                "a kernel was refused by the GPU's compiler: {}",
                locate(&recording, &e.to_string())
            )));
        }
        if memory.is_some() {
            gpu.pipelines.take();
            return Err(Error::TooLarge {
                need: format!("{} MiB of GPU memory for activations", plan.bytes >> 20),
                have: "less".into(),
                advice: "choose a smaller size, a shorter context or a smaller model, or close other tabs".into(),
            });
        }
        Ok(plan)
    }

    /// Counts the dispatches of a run.
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// Counts the multiplications and additions of a run's products, convolutions and attention to rows.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Counts the bytes of activations and parameters.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Finds the memory of a tensor that was kept while recording ([`Tensor::kept`]).
    pub fn region(&self, kept: Kept) -> &Region {
        self.regions[kept.0].as_ref().expect("only kept tensors have memory of their own")
    }

    /// Replays some of the dispatches into a pass.
    pub(super) fn replay(&self, pass: &mut wgpu::ComputePass<'_>, which: std::ops::Range<usize>) {
        let mut pipeline: *const Pipeline = std::ptr::null();
        let mut params: *const wgpu::BindGroup = std::ptr::null();
        for dispatch in &self.dispatches[which] {
            if !std::ptr::eq(pipeline, &*dispatch.pipeline) {
                pass.set_pipeline(&dispatch.pipeline.raw);
                pipeline = &*dispatch.pipeline;
            }
            pass.set_bind_group(0, &dispatch.tensors, &[]);
            if let Some(group) = &dispatch.params
                && !std::ptr::eq(params, &**group)
            {
                pass.set_bind_group(1, &**group, &[]);
                params = &**group;
            }
            let [x, y, z] = dispatch.grid;
            pass.dispatch_workgroups(x, y, z);
        }
    }
}

/// Names a kept tensor of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Kept(usize);

impl Tensor<'_> {
    /// Keeps this tensor ([`Tensor::keep`]) and names it for [`Plan::region`].
    pub fn kept(self) -> Kept {
        Kept(self.keep().id)
    }
}

fn build(gpu: &Rc<Gpu>, recording: &Recording) -> Plan {
    let (regions, memory) = place(gpu, recording);
    let nothing = Buffer::storage(gpu, "nothing", 256);
    let (offsets, uniform) = upload_params(gpu, &recording.nodes);
    let mut params_groups: BTreeMap<usize, Rc<wgpu::BindGroup>> = BTreeMap::new();
    let mut dispatches = Vec::with_capacity(recording.nodes.len());
    let mut held: Vec<Rc<Buffer>> = Vec::new();
    for (node, offset) in recording.nodes.iter().zip(offsets) {
        let pipeline = gpu.pipeline(&node.variant);
        let bound: Vec<Region> = node
            .operands
            .iter()
            .map(|o| match o {
                Operand::Tensor(id) => regions[*id].clone().expect("every tensor that is used has memory"),
                Operand::Region(r) => r.clone(),
                Operand::Nothing => nothing.region(),
            })
            .collect();
        check_aliasing(node, &bound);
        let entries: Vec<_> = bound.iter().enumerate().map(|(i, r)| entry(i, &r.buffer, r.offset, r.size)).collect();
        let tensors = bind(gpu, node.variant.kernel.name, &pipeline.tensors, &entries);
        let params = pipeline.params.as_ref().map(|layout| {
            let make = || {
                let entries = [entry(0, &uniform, offset as u64, node.params.len() as u64)];
                Rc::new(bind(gpu, "params", layout, &entries))
            };
            params_groups.entry(offset).or_insert_with(make).clone()
        });
        for region in bound {
            if !held.iter().any(|b: &Rc<Buffer>| Rc::ptr_eq(b, &region.buffer)) {
                held.push(region.buffer);
            }
        }
        dispatches.push(PreparedDispatch { pipeline, tensors, params, grid: node.grid });
    }
    let bytes = memory.iter().map(|b| b.size()).sum::<u64>() + uniform.size();
    held.extend(memory);
    held.push(uniform);
    let macs = recording.nodes.iter().map(|node| node.macs).sum();
    Plan { dispatches, regions, bytes, macs, _bound: held }
}

fn entry(binding: usize, buffer: &Buffer, offset: u64, size: u64) -> wgpu::BindGroupEntry<'_> {
    let binding_size = std::num::NonZeroU64::new(size.next_multiple_of(4));
    wgpu::BindGroupEntry {
        binding: binding as u32,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &buffer.raw,
            offset,
            size: binding_size,
        }),
    }
}

fn bind(
    gpu: &Gpu,
    label: &str,
    layout: &wgpu::BindGroupLayout,
    entries: &[wgpu::BindGroupEntry<'_>],
) -> wgpu::BindGroup {
    count(&gpu.counters().bind_groups, 1);
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(label), layout, entries })
}

/// Refuses a buffer that is bound for writing and for reading in the same dispatch, which WebGPU forbids: here, where
/// the op's place in our code is known, rather than in the driver.
fn check_aliasing(node: &RecordedDispatch, bound: &[Region]) {
    let access = node.variant.kernel.bindings;
    for (i, a) in bound.iter().enumerate() {
        for (j, b) in bound.iter().enumerate().skip(i + 1) {
            let writes = access[i] == Access::Write || access[j] == Access::Write;
            let mixed = access[i] != access[j];
            let overlap = a.offset < b.offset + b.size && b.offset < a.offset + a.size;
            assert!(
                !(writes && Rc::ptr_eq(&a.buffer, &b.buffer) && (mixed || overlap)),
                "{} at {}: bindings {i} and {j} share a buffer that is written",
                node.variant.label(),
                node.at
            );
        }
    }
}

/// Writes all parameters into one uniform buffer, equal ones once. Returns each node's offset.
fn upload_params(gpu: &Rc<Gpu>, nodes: &[RecordedDispatch]) -> (Vec<usize>, Rc<Buffer>) {
    let mut bytes: Vec<u8> = Vec::new();
    let mut seen: BTreeMap<&[u8], usize> = BTreeMap::new();
    let offsets = nodes
        .iter()
        .map(|node| {
            *seen.entry(&node.params).or_insert_with(|| {
                let offset = bytes.len();
                bytes.extend_from_slice(&node.params);
                bytes.resize(bytes.len().next_multiple_of(UNIFORM_ALIGN), 0);
                offset
            })
        })
        .collect();
    bytes.resize(bytes.len().max(UNIFORM_ALIGN), 0);
    let uniform = Buffer::uniform(gpu, "params", bytes.len() as u64);
    uniform.write(0, &bytes);
    (offsets, uniform)
}

/// Places the tensors that share memory: in distinct buffers while they are alive, because WebGPU forbids reading and
/// writing one buffer in a dispatch. Those that are kept have their own.
fn shared(recording: &Recording) -> Placement {
    let mut needs: Vec<Need> = recording.tensors.iter().map(|t| Need::new(t.bytes)).collect();
    for (time, node) in recording.nodes.iter().enumerate() {
        for (id, _) in node.tensors() {
            if matches!(recording.tensors[id].home, Home::Shared) {
                needs[id].used(time, time);
            }
        }
    }
    Placement::of(&needs, Sharing::Apart)
}

/// Gives tensors their memory.
fn place(gpu: &Rc<Gpu>, recording: &Recording) -> (Vec<Option<Region>>, Vec<Rc<Buffer>>) {
    let shared = shared(recording);
    let make = |bytes: &u64| Buffer::storage(gpu, "activations", *bytes);
    let mut memory: Vec<Rc<Buffer>> = shared.buffers.iter().map(make).collect();
    let mut regions = Vec::with_capacity(recording.tensors.len());
    for (t, place) in recording.tensors.iter().zip(&shared.places) {
        let size = t.bytes.max(4);
        regions.push(match &t.home {
            Home::Given(r) => Some(r.clone()),
            Home::Kept => {
                memory.push(make(&t.bytes));
                memory.last().map(|buffer| Region { buffer: buffer.clone(), offset: 0, size })
            }
            Home::Shared => place.map(|at| Region { buffer: memory[at.buffer].clone(), offset: at.offset, size }),
        });
    }
    (regions, memory)
}

impl Graph {
    /// Counts the bytes of the largest activation: a plan needs to bind it in one piece.
    pub fn largest(&self) -> u64 {
        self.recording.borrow().tensors.iter().map(|t| t.bytes).max().unwrap_or(0)
    }

    /// Counts the bytes of activations that a plan of this graph would take.
    pub fn activation_bytes(&self) -> u64 {
        let recording = self.recording.borrow();
        let kept = recording.tensors.iter().filter(|t| matches!(t.home, Home::Kept)).map(|t| &t.bytes);
        // Buffers have at least four bytes.
        kept.chain(&shared(&recording).buffers).map(|bytes| bytes.max(&4)).sum()
    }
}

/// Adds to a compiler's message, which numbers lines of our concatenated text, the file and line that it means.
fn locate(recording: &Recording, message: &str) -> String {
    let web = cfg!(target_arch = "wasm32");
    let variant = recording.nodes.iter().map(|n| &n.variant).find(|v| message.contains(&v.label()));
    // A label may end with a number, right before the line's.
    let line = variant
        .map_or_else(|| message.to_string(), |v| message.replace(&v.label(), ""))
        .split(|c: char| !(c.is_ascii_digit() || c == ':'))
        .find_map(|w| w.trim_matches(':').split_once(':')?.0.parse::<usize>().ok());
    match (variant, line) {
        (Some(v), Some(line)) => format!("shaders/{}: {message}", v.locate(web, line)),
        _ => message.to_string(),
    }
}
