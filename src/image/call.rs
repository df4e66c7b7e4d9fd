//! One call for pictures, while it runs.

use super::info::{OnStep, Surroundings};
use super::options::{ImageInputs, Request};
use crate::load::Abort;

/// One call for pictures.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub prompt: &'a str,
    pub request: &'a Request,
    pub inputs: &'a ImageInputs,
    pub around: Surroundings<'a>,
    pub on_step: OnStep<'a>,
    pub abort: &'a Abort,
    /// When it began.
    pub began: f64,
    /// Milliseconds that encoding the prompts took.
    pub text_ms: f64,
}
