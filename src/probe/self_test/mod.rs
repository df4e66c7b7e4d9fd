//! Whether our kernels compute what they should on this very adapter: small cases against plain loops on the CPU.

mod case;
mod language;
mod pictures;

pub(super) use case::{AGREEMENT, Recorded, bytes, nmse, noise, upload, weight};

use crate::gpu::{Choice, Gpu, budget};
use crate::{Error, Result};
use serde::Serialize;
use std::rc::Rc;

/// How one kernel did.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// The kernel.
    pub name: String,
    /// Its variant.
    pub variant: String,
    /// Whether it agrees with the CPU.
    pub ok: bool,
    /// Its normalised mean squared error.
    pub error: f64,
}

/// What the device is and how its kernels did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Always true here: without a device there is an error instead.
    pub supported: bool,
    /// The adapter's name.
    pub adapter: String,
    /// The tier in use.
    pub tier: &'static str,
    /// The family of variants in use.
    pub family: &'static str,
    /// The limits that matter.
    pub limits: Limits,
    /// What a model should take at most, bytes: an estimate, since browsers do not say.
    pub budget_bytes: u64,
    /// Every kernel's result.
    pub kernels: Vec<KernelReport>,
}

/// Limits of the device.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of one binding.
    pub max_storage_buffer_binding_size: u64,
    /// Bytes of one buffer.
    pub max_buffer_size: u64,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
}

impl Probe {
    /// Looks at the device and, if asked, tests its kernels. `memory`: what the browser says of the machine, GiB.
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
            limits: Limits {
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
    /// What every model multiplies with.
    Linear,
    /// What only language models use.
    Language,
    /// What only image models use.
    Pictures,
}

impl Suite {
    /// Every kernel of the suite that computes sums, on the smallest case that exercises it.
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

/// The kernels that do not agree with the CPU.
async fn failing(gpu: &Rc<Gpu>, suites: &[Suite]) -> Result<Vec<String>> {
    let mut bad = Vec::new();
    for suite in suites {
        if !gpu.is_tested(*suite as u32) {
            bad.extend(suite.test(gpu).await?.into_iter().filter(|k| !k.ok).map(|k| k.name));
        }
    }
    Ok(bad)
}

/// Fails unless every kernel of these suites agrees with the CPU. Once for each device, and for what it has chosen.
///
/// # Errors
/// [`Error::Gpu`] naming the kernels that do not.
pub async fn self_test(gpu: &Rc<Gpu>, suites: &[Suite]) -> Result<()> {
    let mut bad = failing(gpu, suites).await?;
    if !bad.is_empty() && !gpu.choices().is_empty() {
        // They may have been measured with another driver: what the table says may be right still.
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
