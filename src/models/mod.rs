//! Architectures, one to a file. A model binds its weights by name and shape, and records a forward pass; it never sees
//! bytes, files or encodings.

mod decoder;

pub use decoder::{Decoder, KvCache, Step};
