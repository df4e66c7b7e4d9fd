//! The parts that fill kernels' slots, and the table that says which an adapter gets.

// Long because: the tables of parts and variants are one thing, and read side by side.

use super::activation::Ends;
use crate::dtype::DType;
use crate::gpu::{Choice, Family, Gpu, OpBuilder, Part, Tier, wgsl};

macro_rules! part {
    ($name:literal) => {
        part!($name, false)
    };
    ($name:literal, $subgroups:expr) => {
        Part {
            name: $name,
            source: wgsl!(include_str!(concat!("../../shaders/parts/", $name, ".wgsl"))),
            subgroups: $subgroups,
        }
    };
}

pub(crate) static WEIGHT: Part = part!("weight");
pub(crate) static ROPE: Part = part!("rope");
pub(crate) static ROTATED: Part = part!("rotated");
pub(crate) static SCALES: Part = part!("scales");
static KV_F16: Part = part!("kv_f16");
static KV_F32: Part = part!("kv_f32");
pub(crate) static INPUT_PLAIN: Part = part!("input_plain");
pub(crate) static INPUT_NORM: Part = part!("input_norm");
pub(crate) static INPUT_MERGE: Part = part!("input_merge");
pub(crate) static GELU: Part = part!("gelu");
pub(crate) static GATES: Part = part!("gates");
pub(crate) static SOFT_CAP: Part = part!("soft_cap");
static ENDS: Part = part!("ends");
pub(crate) static CONV: Part = part!("conv");
pub(crate) static LINEAR: Part = part!("linear");
/// Convolutions fill tiles by themselves: they take the first.
pub(super) static TILE: [Part; 2] = [part!("tile"), part!("fill")];
static TILE_INT8: [Part; 2] = [part!("tile_int8"), part!("rounded")];
static DOTS: [Part; 1] = [part!("dots")];
static DOTS_INT8: [Part; 2] = [part!("dots_int8"), part!("rounded")];
pub(super) static COLUMNS: Part = part!("columns");
pub(super) static ATTENTION_TILE: [Part; 3] =
    [part!("attention_loop"), part!("attention_tile"), part!("attention_sums")];
/// Without barriers: four queries or one to an invocation.
pub(super) static ATTENTION_SERIAL: [Part; 2] = [part!("attention_fours"), part!("attention_one")];
pub(crate) static ATTEND_PART: Part = part!("attend");
static REDUCE_SERIAL: Part = part!("reduce_serial");
static REDUCE_WORKGROUP: Part = part!("reduce_workgroup");
static REDUCE_SUBGROUP: Part = part!("reduce_subgroup", true);
static WEIGHTS: [Part; 15] = [
    part!("weight_f32"),
    part!("weight_f16"),
    part!("weight_bf16"),
    part!("weight_q4_0"),
    part!("weight_q4_1"),
    part!("weight_q5_0"),
    part!("weight_q5_1"),
    part!("weight_q8_0"),
    part!("weight_q2_k"),
    part!("weight_q3_k"),
    part!("weight_q4_k"),
    part!("weight_q5_k"),
    part!("weight_q6_k"),
    part!("weight_iq4_nl"),
    part!("weight_iq4_xs"),
];

/// Lists every part; the checks of shaders walk this list.
pub fn parts() -> Vec<&'static Part> {
    [
        &WEIGHT,
        &ROPE,
        &ROTATED,
        &SCALES,
        &KV_F16,
        &KV_F32,
        &INPUT_PLAIN,
        &INPUT_NORM,
        &INPUT_MERGE,
        &GELU,
        &GATES,
        &SOFT_CAP,
        &ENDS,
        &CONV,
        &LINEAR,
        &COLUMNS,
        &ATTEND_PART,
        &REDUCE_SERIAL,
        &REDUCE_WORKGROUP,
        &REDUCE_SUBGROUP,
    ]
    .into_iter()
    .chain(&TILE)
    .chain(&TILE_INT8)
    .chain(&DOTS)
    .chain(&DOTS_INT8[..1])
    .chain(&ATTENTION_TILE)
    .chain(&ATTENTION_SERIAL)
    .chain(&WEIGHTS)
    .collect()
}

/// Returns the parts that read a weight of this encoding.
pub(crate) fn weight_parts(dtype: DType) -> [&'static Part; 2] {
    let index = DType::ALL.iter().position(|d| *d == dtype).unwrap_or_default();
    [&WEIGHTS[index], &WEIGHT]
}

/// Returns whether those parts also give four weights by themselves.
pub(crate) fn weight_by_fours(dtype: DType) -> bool {
    [DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0].contains(&dtype)
}

/// Returns whether those parts also give weights as small integers and what to multiply them with.
fn weight_by_bytes(dtype: DType) -> bool {
    use DType::{Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q3K, Q4K, Q5K, Q6K].contains(&dtype)
}

/// Returns the parts by which a linear layer's tiles multiply: floats, or small integers where that was chosen and the
/// weights allow it.
pub(super) fn tile_parts(gpu: &Gpu, dtype: DType) -> &'static [Part] {
    if gpu.chose(Choice::Int8Prompts) && weight_by_bytes(dtype) { &TILE_INT8 } else { &TILE }
}

/// Returns the parts by which one row is multiplied, likewise.
pub(super) fn dots_parts(gpu: &Gpu, dtype: DType) -> &'static [Part] {
    if gpu.chose(Choice::Int8Tokens) && weight_by_bytes(dtype) { &DOTS_INT8 } else { &DOTS }
}

/// Returns the part that reads and writes the cache.
pub(crate) fn kv_part(exact: bool) -> &'static Part {
    if exact { &KV_F32 } else { &KV_F16 }
}

/// How an adapter's invocations work together: a row of the table of variants.
#[derive(Clone, Copy)]
pub(crate) struct Tuning {
    /// Invocations in a workgroup of the row-wise kernels.
    pub workgroup: u32,
    /// Invocations that share a row there.
    pub lanes: u32,
}

impl Tuning {
    /// Counts the groups of lanes in a workgroup.
    pub fn groups(self) -> usize {
        (self.workgroup / self.lanes) as usize
    }
}

/// Looks into the table of variants. What GPUs get was measured on one of NVIDIA's alone (docs/speed-log.md).
pub(crate) fn tuning(gpu: &Gpu) -> Tuning {
    match gpu.adapter().family {
        Family::Software => Tuning { workgroup: 4, lanes: 1 },
        _ => Tuning { workgroup: 64, lanes: 16 },
    }
}

/// Returns whether kernels must do without barriers.
pub(crate) fn serial(gpu: &Gpu) -> bool {
    gpu.adapter().family == Family::Software
}

/// Fills the ends slot. GPUs read what `ends` says from the parameters, so that one pipeline does for all.
pub(crate) fn ends_with<'g>(op: OpBuilder<'g>, gpu: &Gpu, ends: Ends) -> OpBuilder<'g> {
    let op = op.part(&ENDS).part(&GELU);
    if serial(gpu) { op.set("ENDS", ends.bits()) } else { op }
}

/// Decides how the lanes share `groups` sums of `steps` steps: as the table says, but where that leaves most of a GPU
/// idle.
pub(crate) fn tuning_for(gpu: &Gpu, groups: usize, steps: usize) -> Tuning {
    /// Invocations that a large GPU wants to have at least.
    const BUSY: usize = 65536;
    let mut t = tuning(gpu);
    let more = |lanes: u32| groups * lanes as usize * 2 <= BUSY && lanes as usize * 2 <= steps;
    while !serial(gpu) && t.lanes < t.workgroup && more(t.lanes) {
        t.lanes *= 2;
    }
    t
}

/// Fills the reduction slot as the table says.
pub(crate) fn reduce<'g>(op: OpBuilder<'g>, gpu: &Gpu) -> OpBuilder<'g> {
    reduce_by(op, gpu, tuning(gpu))
}

/// Fills the reduction slot.
pub(crate) fn reduce_by<'g>(op: OpBuilder<'g>, gpu: &Gpu, t: Tuning) -> OpBuilder<'g> {
    let op = op.set("WG", t.workgroup);
    match (serial(gpu), gpu.adapter().tier) {
        (true, _) => op.part(&REDUCE_SERIAL),
        (false, Tier::Base) => op.part(&REDUCE_WORKGROUP).set("LANES", t.lanes),
        (false, _) => {
            // WGSL allows no subgroup below 4, whatever an adapter that does not say its size seems to say.
            let subgroup = gpu.adapter().subgroup.clamp(4, t.lanes);
            op.part(&REDUCE_SUBGROUP).set("LANES", t.lanes).set("SUBGROUP", subgroup)
        }
    }
}

/// Counts the groups of lanes in a workgroup.
pub(crate) fn groups(gpu: &Gpu) -> usize {
    tuning(gpu).groups()
}
