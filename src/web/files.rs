//! Model files as the worker's TypeScript offers them: a folder, a hub repository, a URL, dropped files, the cache.

use crate::load::{ByteSource, LocalFuture};
use crate::{Error, Result};
use js_sys::{Array, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(typescript_custom_section)]
const FILE_SET: &str = r#"
/** A model's files, as Rust reads them. */
export interface FileSet {
  /** The names known beforehand; empty for a folder that can't be listed. */
  names(): string[];
  /** Bytes; undefined when there is no such file. */
  size(name: string): Promise<number | undefined>;
  /** Exactly `length` bytes. */
  read(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** Closes open files. A later read reopens them. */
  release(): void;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// The interface above.
    #[wasm_bindgen(typescript_type = "FileSet")]
    pub type FileSet;

    #[wasm_bindgen(method)]
    fn names(this: &FileSet) -> Array;

    #[wasm_bindgen(method, catch)]
    fn size(this: &FileSet, name: &str) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn read(this: &FileSet, name: &str, offset: f64, length: f64) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method)]
    fn release(this: &FileSet);
}

pub(super) struct Files(pub FileSet);

/// Converts an error that TypeScript threw, with its code; its message names the file.
fn thrown(e: &JsValue) -> Error {
    let field = |key: &str| Reflect::get(e, &key.into()).ok().and_then(|v| v.as_string());
    let what = field("message").unwrap_or_else(|| "reading failed; try again".into());
    match field("code").as_deref() {
        Some("Cancelled") => Error::Cancelled,
        Some("Unsupported") => Error::Unsupported { what },
        Some("Format") => Error::Format { file: String::new(), what },
        _ => Error::Fetch { url: String::new(), what },
    }
}

async fn settled(promise: std::result::Result<Promise, JsValue>) -> Result<JsValue> {
    let promise = promise.map_err(|e| thrown(&e))?;
    JsFuture::from(promise).await.map_err(|e| thrown(&e))
}

impl ByteSource for Files {
    fn names(&self) -> Vec<String> {
        self.0.names().iter().filter_map(|n| n.as_string()).collect()
    }

    fn size<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Result<Option<u64>>> {
        Box::pin(async move { Ok(settled(self.0.size(name)).await?.as_f64().map(|n| n as u64)) })
    }

    fn read<'a>(&'a self, name: &'a str, offset: u64, len: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let bytes = settled(self.0.read(name, offset as f64, len as f64)).await?;
            let bytes = Uint8Array::from(bytes).to_vec();
            match bytes.len() == len {
                true => Ok(bytes),
                false => Err(Error::format(name, "the file ends before its contents do; download it again")),
            }
        })
    }

    fn release(&self) {
        self.0.release();
    }
}
