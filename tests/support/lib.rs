//! What several of Inkstone's test binaries, benchmarks and examples share. Tests take it as `support::`; what belongs to
//! one binary alone stays in that binary's folder. `tests/tidy.rs` finds what nobody uses any more.

pub mod assets;
pub mod gpu;
pub mod images;
pub mod models;
pub mod reference;
pub mod tolerance;
pub mod variants;
pub mod vocabulary;

use std::path::Path;

/// The root of the project.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
