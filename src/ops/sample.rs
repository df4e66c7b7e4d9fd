//! Choosing the next token on the device.   logits: [1, V] -> an id, which the next step's embedding reads

use crate::gpu::Access::{Read, Write};
use crate::gpu::{Kernel, Params, Region, Tensor, params, wgsl};

pub(super) static SAMPLE_SCAN: Kernel = Kernel {
    name: "sample_scan",
    source: wgsl!(include_str!("../../shaders/sample_scan.wgsl")),
    bindings: &[Write, Read, Read, Write],
    fields: ScanParams::FIELDS,
};

pub(super) static SAMPLE_PICK: Kernel = Kernel {
    name: "sample_pick",
    source: wgsl!(include_str!("../../shaders/sample_pick.wgsl")),
    bindings: &[Read, Read, Read, Write, Write, Write],
    fields: PickParams::FIELDS,
};

params! { struct ScanParams { vocab: u32 } }
params! { struct PickParams { vocab: u32, stretches: u32 } }

/// How many of the latest ids the device remembers for the host.
pub const RECENT: usize = 16;
/// Logits that one workgroup scans.
const STRETCH: usize = 1024;

/// Where the sampler's inputs and results live on the GPU.
pub struct Sampling<'a> {
    /// Temperature, top-p, min-p, top-k, three penalties, and whether logits are adjusted: eight `f32`.
    pub settings: &'a Region,
    /// For each token what was said of it and its bias: two words.
    pub history: &'a Region,
    /// Position, rows, step, seed (two words), and from word 64 on the token ids of the next step.
    pub state: &'a Region,
    /// The latest [`RECENT`] ids, by step.
    pub recent: &'a Region,
}

impl Tensor<'_> {
    /// Picks a token from a row of logits and advances the state: two dispatches.
    #[track_caller]
    pub fn sample(self, s: &Sampling<'_>) {
        let [_, vocab] = self.rows();
        let stretches = vocab.div_ceil(STRETCH);
        let partials = self.graph().tensor([stretches, 4]);
        self.graph()
            .op(&SAMPLE_SCAN)
            .bind(self)
            .region(s.history)
            .region(s.settings)
            .bind(partials)
            .params(ScanParams { vocab: vocab as u32 })
            .dispatch([stretches, 1, 1]);
        self.graph()
            .op(&SAMPLE_PICK)
            .bind(self)
            .bind(partials)
            .region(s.settings)
            .region(s.history)
            .region(s.state)
            .region(s.recent)
            .params(PickParams { vocab: vocab as u32, stretches: stretches as u32 })
            .dispatch([1, 1, 1]);
    }
}
