//! Vectors and scores of texts: files, tokens packed into batches, and what comes back.

mod batches;
mod estimate;
mod model;
mod open;
mod pairs;
mod reader;

pub use batches::TextTokens;
pub use estimate::estimate;
pub use model::{EmbedOptions, EmbeddingBytes, EmbeddingInfo, EmbeddingModel};
pub use open::EmbeddingSource;
