//! From files to weights on the GPU: sources of bytes, headers, binding, streaming, quantizing.

mod bind;
mod lora;
mod quantize;
pub mod repack;
mod source;
mod stream;
mod tensors;

pub use bind::{StackPart, Weights};
pub use lora::LoraAdapter;
pub use quantize::{Care, Quantize, encode};
#[cfg(not(target_arch = "wasm32"))]
pub use source::DiskFiles;
pub use source::{ByteSource, LocalFuture, MemoryFiles};
pub use stream::{Bound, Origin, stream};
pub use tensors::{RowOrder, Stored, Tensors, header, is_gguf, small};

use crate::{Error, Result};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Poll, Waker};

/// The part of a load that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Phase {
    /// Bytes of the files.
    Download,
    /// The GPU's compiler.
    Compile,
    /// Nothing any more.
    Ready,
}

/// Hears how far a load is.
pub trait Progress {
    /// Reports that `loaded` of `total` bytes are there; `file` is being read.
    fn report(&self, phase: Phase, loaded: u64, total: u64, file: &str);
}

/// Hears nothing.
impl Progress for () {
    fn report(&self, _: Phase, _: u64, _: u64, _: &str) {}
}

/// A caller's way to stop what it started.
#[derive(Default)]
pub struct Abort {
    asked: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Abort {
    /// Asks to stop. Whoever waits in [`Abort::race`] stops at once.
    pub fn abort(&self) {
        self.asked.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Returns whether [`Abort::abort`] was called.
    pub fn asked(&self) -> bool {
        self.asked.get()
    }

    /// Fails with [`Error::Cancelled`] once asked to stop.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.asked() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Waits for `future`, but no longer than until [`Abort::abort`].
    ///
    /// # Errors
    /// [`Error::Cancelled`], or the future's own.
    pub async fn race<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if self.asked() {
                return Poll::Ready(Err(Error::Cancelled));
            }
            self.waiting.replace(Some(cx.waker().clone()));
            future.as_mut().poll(cx)
        })
        .await
    }
}
