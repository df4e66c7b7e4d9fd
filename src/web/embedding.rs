//! Models that make vectors and scores of texts, as JavaScript sees them.

use super::convert::{self, failure, from_js, to_js};
use super::files::{FileSet, Files};
use super::options::Priority;
use super::{AbortFlag, OnProgress, device};
use crate::language::LoadOptions;
use crate::language::embedding::{EmbedOptions, EmbeddingModel};
use crate::probe::{Suite, self_test};
use crate::{Error, Result};
use js_sys::{Float32Array, Function, Uint32Array};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// A model that makes vectors or scores, in the worker.
#[wasm_bindgen]
pub struct WasmEmbeddingModel(RefCell<Option<Rc<EmbeddingModel>>>);

impl WasmEmbeddingModel {
    fn model(&self) -> Result<Rc<EmbeddingModel>> {
        self.0.borrow().clone().ok_or_else(|| Error::unsupported("the model has been disposed of: load it again"))
    }
}

/// Returns a way to tell a listener how many texts are done; errors of it are its own to handle.
fn heard(on_progress: &Function) -> impl Fn(usize, usize) {
    |done, total| {
        let _ = on_progress.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
    }
}

#[wasm_bindgen]
impl WasmEmbeddingModel {
    /// Loads a model from its files.
    pub async fn load(
        files: FileSet,
        #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
        #[wasm_bindgen(unchecked_param_type = "(progress: Progress) => void")] on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<WasmEmbeddingModel, JsValue> {
        let abort = abort.0.clone();
        let load = async {
            let options = convert::options(&options)?;
            let gpu = device(&options).await?;
            if options.self_test != Some(false) {
                abort.race(self_test(&gpu, &[Suite::Linear, Suite::Language])).await?;
            }
            let background = options.priority == Some(Priority::Background);
            let load = LoadOptions { quantize: options.quantize, context_length: options.context_length, background };
            EmbeddingModel::load(&gpu, &Files(files), &load, &OnProgress(on_progress), &abort).await
        };
        let model = load.await.map_err(failure)?;
        Ok(WasmEmbeddingModel(RefCell::new(Some(Rc::new(model)))))
    }

    /// Returns the metadata of the loaded model: sizes, pooling, prompts.
    #[wasm_bindgen(unchecked_return_type = "EmbeddingInfo")]
    pub fn info(&self) -> std::result::Result<JsValue, JsValue> {
        self.model().and_then(|m| to_js(m.info())).map_err(failure)
    }

    /// Makes a vector of each text, one after the other; `on_progress` hears how many are done.
    pub async fn embed(
        &self,
        texts: Vec<String>,
        #[wasm_bindgen(unchecked_param_type = "Partial<EmbedOptions>")] options: JsValue,
        #[wasm_bindgen(unchecked_param_type = "(done: number, total: number) => void")] on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<Float32Array, JsValue> {
        let abort = abort.0.clone();
        let model = self.model();
        let vectors = async {
            let options = EmbedOptions::from_json(from_js(&options)?)?;
            model?.embed(&texts, &options, &heard(&on_progress), &abort).await
        };
        vectors.await.map(|v| Float32Array::from(&v[..])).map_err(failure)
    }

    /// Makes a score of how well each document answers the query, in their order.
    pub async fn rerank(
        &self,
        query: String,
        documents: Vec<String>,
        #[wasm_bindgen(unchecked_param_type = "(done: number, total: number) => void")] on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<Float32Array, JsValue> {
        let abort = abort.0.clone();
        let model = self.model();
        let scores = async { model?.rerank(&query, &documents, &heard(&on_progress), &abort).await };
        scores.await.map(|s| Float32Array::from(&s[..])).map_err(failure)
    }

    /// Returns the token ids that are read of a text.
    pub fn tokenize(&self, text: &str) -> std::result::Result<Uint32Array, JsValue> {
        let ids = self.model().and_then(|m| m.tokenize(text));
        ids.map(|ids| Uint32Array::from(&ids[..])).map_err(failure)
    }

    /// Frees everything on the GPU, as soon as no call uses it any more.
    pub fn dispose(&self) {
        self.0.replace(None);
    }
}
