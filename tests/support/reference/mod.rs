//! What every op should compute, as plain loops over f64: slow on purpose, and sharing nothing with the code under test.

pub mod attention;
pub mod layers;
pub mod maps;
pub mod sampling;
pub mod weights;
