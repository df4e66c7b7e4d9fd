//! How much memory of the GPU a model may take, and whether one fits.

use serde::Serialize;

/// Returns half of the machine's memory, which browsers report as at most 8 GiB (32 in newer ones); 4 GiB if they say
/// nothing.
pub fn budget(memory: Option<f64>) -> u64 {
    let gib = memory.map_or(4.0, |m| (m / 2.0).clamp(1.0, 16.0));
    (gib * (1u64 << 30) as f64) as u64
}

/// The memory that loading a model would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Estimate {
    /// Whether it should fit.
    pub fits: bool,
    /// Bytes of the files; in JavaScript, those that are still to come over the network.
    pub download: u64,
    /// Bytes on the GPU.
    pub gpu: u64,
    /// How to make it fit, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Estimate {
    /// Compares `need` bytes on the GPU with the budget. `memory`: what the browser says of the machine, GiB; `what`:
    /// what to do where it does not fit.
    pub fn compare(need: u64, download: u64, memory: Option<f64>, what: &str) -> Estimate {
        let have = budget(memory);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let advice = (need > have)
            .then(|| format!("needs {} MiB of GPU memory where about {} MiB are safe: {what}", mib(need), mib(have)));
        Estimate { fits: need <= have, download, gpu: need, advice }
    }
}
