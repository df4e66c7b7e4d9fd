//! Language models: from files to an answer, or to vectors of texts (`embedding/`). Prefill, decode, sampling, and what
//! is kept between calls.

mod answer;
pub mod embedding;
mod estimate;
mod model;
mod open;
mod options;
mod prompt;
mod reasoning;
mod result;
mod session;

pub use estimate::estimate;
pub use model::{LanguageInfo, LanguageModel, LoadOptions};
pub use open::LanguageFiles;
pub use options::{GenerateOptions, OnOverflow, Stop};
pub use result::{FinishReason, GenerationResult, Logprob, Timings, TokenLogprob, Usage};
