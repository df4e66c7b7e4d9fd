//! Every op, on every choice of kernels that the adapter can run, against plain loops in f64 (tests/reference); and the
//! promises of plans.
//!
//! The driver is the platform's; `VK_ICD_FILENAMES` chooses another.

#[path = "common/gpu.rs"]
mod gpu;
#[path = "reference/mod.rs"]
mod reference;
#[path = "common/tolerance.rs"]
mod tolerance;

#[path = "ops/add.rs"]
mod add;
#[path = "ops/attend.rs"]
mod attend;
#[path = "ops/attention.rs"]
mod attention;
#[path = "ops/attention_decode.rs"]
mod attention_decode;
#[path = "ops/attention_kinds.rs"]
mod attention_kinds;
#[path = "ops/choices.rs"]
mod choices;
#[path = "ops/concat.rs"]
mod concat;
#[path = "ops/conv2d.rs"]
mod conv2d;
#[path = "ops/conv2d_bands.rs"]
mod conv2d_bands;
#[path = "ops/copy_rows.rs"]
mod copy_rows;
#[path = "ops/denoise.rs"]
mod denoise;
#[path = "ops/embed.rs"]
mod embed;
#[path = "ops/gate.rs"]
mod gate;
#[path = "ops/group_norm.rs"]
mod group_norm;
#[path = "ops/heads.rs"]
mod heads;
#[path = "ops/last_row.rs"]
mod last_row;
#[path = "ops/layer_norm.rs"]
mod layer_norm;
#[path = "ops/linear.rs"]
mod linear;
#[path = "ops/merge.rs"]
mod merge;
#[path = "ops/multiply_add.rs"]
mod multiply_add;
#[path = "ops/packed.rs"]
mod packed;
#[path = "ops/plan.rs"]
mod plan;
#[path = "ops/pool.rs"]
mod pool;
#[path = "ops/rescale.rs"]
mod rescale;
#[path = "ops/rms_norm.rs"]
mod rms_norm;
#[path = "ops/rope_append.rs"]
mod rope_append;
#[path = "ops/sample.rs"]
mod sample;
#[path = "ops/short_conv.rs"]
mod short_conv;
#[path = "ops/stream_read.rs"]
mod stream_read;
