//! The self-test: whether kernels compute correctly on this adapter, in small cases against plain loops on the CPU.

mod case;
mod language;
mod pictures;

pub use case::KernelReport;
pub(super) use case::{AGREEMENT, Recorded, bytes, nmse, noise, upload, weight};

use crate::gpu::{Choice, Gpu, budget};
use crate::{Error, Result};
use serde::Serialize;
use std::rc::Rc;

/// A description of the device, and its kernels' test results.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Probe {
    /// Always true: without a device there is an error instead.
    pub supported: bool,
    /// The adapter's name.
    pub adapter: String,
    /// The tier in use.
    #[cfg_attr(test, ts(as = "crate::gpu::Tier"))]
    pub tier: &'static str,
    /// The family of variants in use.
    #[cfg_attr(test, ts(as = "crate::gpu::Family"))]
    pub family: &'static str,
    /// The limits that matter.
    pub limits: DeviceLimits,
    /// Bytes that a model should take at most: an estimate, since browsers do not report it.
    pub budget_bytes: u64,
    /// Every kernel's result.
    pub kernels: Vec<KernelReport>,
}

/// Limits of the device.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DeviceLimits {
    /// Bytes of one binding.
    pub max_storage_buffer_binding_size: u64,
    /// Bytes of one buffer.
    pub max_buffer_size: u64,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
}

impl Probe {
    /// Describes the device and, if asked, tests its kernels. `memory`: the machine's memory as the browser reports it,
    /// GiB.
    ///
    /// # Errors
    /// [`Error::Gpu`] if a kernel does not even compile.
    pub async fn run(gpu: &Rc<Gpu>, memory: Option<f64>, kernels: bool) -> Result<Self> {
        let a = gpu.adapter();
        let mut reports = Vec::new();
        if kernels {
            for suite in [Suite::Linear, Suite::Language, Suite::Pictures] {
                reports.extend(suite.test(gpu).await?);
            }
        }
        Ok(Probe {
            supported: true,
            adapter: a.name.clone(),
            tier: a.tier.name(),
            family: a.family.name(),
            limits: DeviceLimits {
                max_storage_buffer_binding_size: a.max_binding,
                max_buffer_size: a.max_buffer,
                max_compute_workgroup_storage_size: a.workgroup_memory,
            },
            budget_bytes: budget(memory),
            kernels: reports,
        })
    }
}

/// Kernels that are tested together.
#[derive(Clone, Copy, Debug)]
pub enum Suite {
    /// The products of every model.
    Linear,
    /// Kernels that only language models use.
    Language,
    /// Kernels that only image models use.
    Pictures,
}

impl Suite {
    /// Tests every kernel of the suite that computes sums, on the smallest case that exercises it.
    pub(super) async fn test(self, gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
        let reports = match self {
            Suite::Linear => language::linear(gpu).await,
            Suite::Language => language::attention(gpu).await,
            Suite::Pictures => pictures::all(gpu).await,
        }?;
        if reports.iter().all(|r| r.ok) {
            gpu.set_tested(self as u32);
        }
        Ok(reports)
    }
}

/// Lists the kernels that do not agree with the CPU.
async fn failing(gpu: &Rc<Gpu>, suites: &[Suite]) -> Result<Vec<String>> {
    let mut bad = Vec::new();
    for suite in suites {
        if !gpu.is_tested(*suite as u32) {
            bad.extend(suite.test(gpu).await?.into_iter().filter(|k| !k.ok).map(|k| k.name));
        }
    }
    Ok(bad)
}

/// Fails unless every kernel of these suites agrees with the CPU. Tests once for each device and its choices of
/// kernels.
///
/// # Errors
/// [`Error::Gpu`] naming the kernels that do not agree.
pub async fn self_test(gpu: &Rc<Gpu>, suites: &[Suite]) -> Result<()> {
    let mut bad = failing(gpu, suites).await?;
    if !bad.is_empty() && !gpu.choices().is_empty() {
        // The choices may have been measured with another driver: the table's kernels may still be right.
        Choice::ALL.into_iter().for_each(|choice| gpu.choose(choice, false));
        bad = failing(gpu, suites).await?;
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Error::gpu(format!(
        "this GPU or its driver computes {} wrongly; update the driver, or load with tier: \"base\"",
        bad.join(", ")
    )))
}
