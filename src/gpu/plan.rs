//! Plan: a graph made ready to run again and again. Everything is created here and nothing afterwards.

use super::buffer::{Buffer, Region};
use super::device::{Gpu, count};
use super::graph::{Graph, Home, Node, Operand, Recording, Tensor};
use super::kernel::{Access, Pipeline};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Uniform bindings must start at a multiple of this many bytes.
const UNIFORM_ALIGN: usize = 256;

struct Step {
    pipeline: Rc<Pipeline>,
    tensors: wgpu::BindGroup,
    params: Option<Rc<wgpu::BindGroup>>,
    grid: [u32; 3],
}

/// Pipelines, bind groups and memory of one forward pass.
pub struct Plan {
    steps: Vec<Step>,
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
        // What finds no memory makes what is bound to it invalid, too: so this comes first.
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

    /// How many dispatches a run takes.
    pub fn dispatches(&self) -> usize {
        self.steps.len()
    }

    /// Multiplications and additions of a run's products, convolutions and attention to rows.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Bytes of activations and parameters.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The memory of a tensor that was kept ([`Tensor::keep`]), by its `id` taken while recording.
    pub fn region(&self, kept: Kept) -> &Region {
        self.regions[kept.0].as_ref().expect("only kept tensors have memory of their own")
    }

    /// Replays some of the dispatches into a pass.
    pub(super) fn replay(&self, pass: &mut wgpu::ComputePass<'_>, which: std::ops::Range<usize>) {
        let mut pipeline: *const Pipeline = std::ptr::null();
        let mut params: *const wgpu::BindGroup = std::ptr::null();
        for step in &self.steps[which] {
            if !std::ptr::eq(pipeline, &*step.pipeline) {
                pass.set_pipeline(&step.pipeline.raw);
                pipeline = &*step.pipeline;
            }
            pass.set_bind_group(0, &step.tensors, &[]);
            if let Some(group) = &step.params
                && !std::ptr::eq(params, &**group)
            {
                pass.set_bind_group(1, &**group, &[]);
                params = &**group;
            }
            let [x, y, z] = step.grid;
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
    let mut steps = Vec::with_capacity(recording.nodes.len());
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
        steps.push(Step { pipeline, tensors, params, grid: node.grid });
    }
    let bytes = memory.iter().map(|b| b.size()).sum::<u64>() + uniform.size();
    held.extend(memory);
    held.push(uniform);
    let macs = recording.nodes.iter().map(|node| node.macs).sum();
    Plan { steps, regions, bytes, macs, _bound: held }
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

/// WebGPU forbids a buffer that is bound for writing to be bound for reading in the same dispatch: said here, with the
/// op's place in our code, rather than by the driver.
fn check_aliasing(node: &Node, bound: &[Region]) {
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

/// All parameters in one uniform buffer, equal ones once. Returns each node's offset.
fn upload_params(gpu: &Rc<Gpu>, nodes: &[Node]) -> (Vec<usize>, Rc<Buffer>) {
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

/// A buffer's bytes, and the tensors that share it.
type Slot = (u64, Vec<usize>);

/// Which tensors share memory. Tensors whose lives do not overlap share a buffer; largest first, each takes the first
/// buffer that is free for its whole life (the "greedy by size" assignment of Pisarchyk and Lee, 2020). Distinct
/// buffers, because WebGPU forbids reading and writing one buffer in a dispatch. Tensors that are kept have their own.
fn slots(recording: &Recording) -> Vec<Slot> {
    let n = recording.tensors.len();
    let mut lives = vec![(usize::MAX, 0); n];
    for (step, node) in recording.nodes.iter().enumerate() {
        for (id, _) in node.tensors() {
            lives[id].0 = lives[id].0.min(step);
            lives[id].1 = step;
        }
    }
    let mut slots: Vec<Slot> = Vec::new();
    let mut shared: Vec<usize> = Vec::new();
    for (id, t) in recording.tensors.iter().enumerate() {
        match &t.home {
            Home::Given(_) => {}
            Home::Kept => slots.push((t.bytes, vec![id])),
            Home::Shared if lives[id].0 != usize::MAX => shared.push(id),
            Home::Shared => {}
        }
    }
    let kept = slots.len();
    shared.sort_by_key(|&id| (std::cmp::Reverse(recording.tensors[id].bytes), id));
    for id in shared {
        let apart = |&other: &usize| lives[other].1 < lives[id].0 || lives[id].1 < lives[other].0;
        match slots[kept..].iter_mut().find(|(_, users)| users.iter().all(apart)) {
            Some((_, users)) => users.push(id),
            None => slots.push((recording.tensors[id].bytes, vec![id])),
        }
    }
    slots
}

/// Gives tensors their memory.
fn place(gpu: &Rc<Gpu>, recording: &Recording) -> (Vec<Option<Region>>, Vec<Rc<Buffer>>) {
    let mut regions: Vec<Option<Region>> = vec![None; recording.tensors.len()];
    for (region, t) in regions.iter_mut().zip(&recording.tensors) {
        if let Home::Given(r) = &t.home {
            *region = Some(r.sub(0, r.size));
        }
    }
    let mut memory = Vec::new();
    for (bytes, users) in slots(recording) {
        let buffer = Buffer::storage(gpu, "activations", bytes);
        for id in users {
            regions[id] = Some(Region { buffer: buffer.clone(), offset: 0, size: recording.tensors[id].bytes.max(4) });
        }
        memory.push(buffer);
    }
    (regions, memory)
}

impl Graph {
    /// Bytes of the largest activation: a plan needs to bind it in one piece.
    pub fn largest(&self) -> u64 {
        self.recording.borrow().tensors.iter().map(|t| t.bytes).max().unwrap_or(0)
    }

    /// Bytes of activations that a plan of this graph would take.
    pub fn activation_bytes(&self) -> u64 {
        slots(&self.recording.borrow()).iter().map(|(bytes, _)| bytes.max(&4)).sum()
    }
}

/// Points a compiler's message, which speaks of our concatenated text, to the file it came from.
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
