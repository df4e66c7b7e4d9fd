//! The only module that knows `wgpu`: device and tiers, kernels, graph, plan, weights, running and reading back.

mod budget;
mod buffer;
mod choice;
mod counters;
mod device;
mod exclusive;
mod graph;
mod kernel;
mod pace;
mod pipelines;
mod placement;
mod plan;
mod rows;
mod run;
mod tier;
mod weight;

pub use budget::{Estimate, budget};
pub use buffer::{Buffer, Region};
pub use choice::Choice;
pub use counters::Counters;
pub use device::{Adapter, Gpu, GpuOptions};
pub use exclusive::{Exclusive, InUse};
pub use graph::{Graph, OpBuilder, Override, Tensor};
pub use kernel::{Access, Field, Kernel, Params, Part, Variant, bare, params, wgsl};
pub use pace::{BACKGROUND_MS, Pace};
pub use placement::{Need, Placed, Placement, Sharing};
pub use plan::{Kept, Plan};
pub use rows::{padded, row_bytes, row_stride, unpadded};
pub use run::{Batch, Readback};
pub use tier::{Family, Tier};
pub use weight::{Slice, Weight, WeightStore};
