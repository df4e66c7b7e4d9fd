//! Probing an adapter: whether its kernels compute correctly, which choices of kernels are quicker on it, and its
//! bounds.

mod roofline;
mod self_test;
mod tune;

pub use roofline::{Roofline, seconds};
pub use self_test::{DeviceLimits, KernelReport, Probe, Suite, self_test};
pub use tune::{TuningResult, tune};
