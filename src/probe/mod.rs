//! Probing an adapter: whether its kernels are right, which choices pay on it, and what it can do at most.

mod roofline;
mod self_test;
mod tune;

pub use roofline::{Roofline, seconds};
pub use self_test::{KernelReport, Limits, Probe, Suite, self_test};
pub use tune::{Tried, tune};
