//! Golden image models: `tests/images/README.md` says how their numbers were made.

pub mod case;
pub mod folder;
pub mod formula;
pub mod weights;
