//! The only module that knows `wgpu`: device and tiers, kernels, graph, plan, weights, running and reading back.

mod budget;
mod buffer;
mod choice;
mod device;
mod graph;
mod kernel;
mod plan;
mod run;
mod weight;

pub use budget::{Estimate, budget};
pub use buffer::{Buffer, Region};
pub use choice::Choice;
pub use device::{Adapter, Counters, Family, Gpu, GpuOptions, Tier};
pub use graph::{Graph, OpBuilder, Override, Tensor};
pub use kernel::{Access, Field, Kernel, Params, Part, Variant, bare, params, wgsl};
pub use plan::{Kept, Plan};
pub use run::{Batch, Readback};
pub use weight::{Slice, Weight, WeightStore};
