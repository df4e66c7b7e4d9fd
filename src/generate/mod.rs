//! From a model to an answer: sampling, prefill, decode, and what is kept between calls.

mod answer;
mod chat;
mod decode;
mod estimate;
mod language;
mod options;
mod result;
mod self_test;

pub use estimate::Estimate;
pub use language::{LanguageInfo, LanguageModel, LoadOptions};
pub use options::{GenerateOptions, OnOverflow, Stop};
pub use result::{FinishReason, GenerationResult, Logprob, Timings, TokenLogprob, Usage};
pub use self_test::{KernelReport, Limits, Probe, self_test};
