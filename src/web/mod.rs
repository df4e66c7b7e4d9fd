//! The exports to JavaScript, which the worker behind the npm package imports. Values cross as plain objects, failures
//! as `{ code, message }`.

mod convert;
mod embedding;
mod files;
mod image;
mod options;

use crate::gpu::{Choice, Family, Gpu, GpuOptions};
use crate::language::{GenerateOptions, LanguageModel, LoadOptions};
use crate::load::{Abort, Phase, Progress};
use crate::probe::{Probe, Roofline, Suite, self_test};
use crate::{Error, Result};
use convert::{failure, from_js, to_js};
use files::Files;
use js_sys::{Float32Array, Function, Uint32Array};
use options::{Activations, Options, PowerPreference, Priority, Report};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const IMPORTS: &str = r#"
import type {
  EmbedOptions,
  EmbeddingInfo,
  Estimate,
  GenerateOptions,
  GenerationResult,
  ImageInfo,
  ImageOptions,
  ImageStep,
  LanguageInfo,
  Picture,
  Probe,
  Progress,
  Roofline,
  RustLoadOptions,
  Tried,
} from "./generated.js";
import type { Message } from "../public/types.js";
"#;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// A caller's way to stop what it started.
#[wasm_bindgen]
#[derive(Default)]
pub struct AbortFlag(Rc<Abort>);

#[wasm_bindgen]
impl AbortFlag {
    /// Makes a flag that is not raised.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop.
    pub fn abort(&self) {
        self.0.abort();
    }
}

thread_local! {
    /// The devices in use, with the options they were opened for: models that ask alike share one.
    static DEVICES: RefCell<Vec<(String, Weak<Gpu>)>> = const { RefCell::new(Vec::new()) };
    /// The latest device, with its compiled kernels: the next model finds it although the last one is gone.
    static LATEST: RefCell<Option<Rc<Gpu>>> = const { RefCell::new(None) };
}

/// Returns the device for these options, with its choices made.
async fn device(options: &Options) -> Result<Rc<Gpu>> {
    let may_round = may_round(options);
    let gpu = open(options, may_round).await?;
    if let Some(names) = &options.choices {
        for choice in Choice::ALL {
            let named = names.iter().any(|name| name == choice.name());
            gpu.choose(choice, named && (may_round || !choice.rounds()));
        }
    }
    Ok(gpu)
}

/// Returns the device for these options: one in use if it works, else a new one. Its choices hold for all its models.
async fn open(options: &Options, may_round: bool) -> Result<Rc<Gpu>> {
    let info = &options.adapter_info;
    let Options { tier, family, adapter, .. } = options;
    let key = format!("{tier:?} {family:?} {adapter:?} {} {may_round}", info.subgroups);
    let open = DEVICES.with_borrow(|d| d.iter().find(|(k, _)| *k == key).and_then(|(_, gpu)| gpu.upgrade()));
    if let Some(gpu) = open.filter(|gpu| gpu.check().is_ok()) {
        LATEST.set(Some(gpu.clone()));
        return Ok(gpu);
    }
    let description = [&info.vendor, &info.architecture, &info.device, &info.description].map(String::as_str);
    let gpu = Gpu::open(&GpuOptions {
        tier: *tier,
        family: family.or(info.is_fallback_adapter.then_some(Family::Software)),
        low_power: *adapter == Some(PowerPreference::LowPower),
        description: description.join(" ").split_whitespace().collect::<Vec<_>>().join(" "),
        subgroups: info.subgroups,
        subgroup_size: info.subgroup_min_size,
        max_binding: None,
        max_grid: None,
        llvmpipe: None,
    })
    .await?;
    DEVICES.with_borrow_mut(|d| {
        d.retain(|(k, gpu)| *k != key && gpu.strong_count() > 0);
        d.push((key, Rc::downgrade(&gpu)));
    });
    LATEST.set(Some(gpu.clone()));
    Ok(gpu)
}

/// Returns whether the option `activations` allows rounding.
fn may_round(options: &Options) -> bool {
    options.activations == Some(Activations::Int8)
}

struct OnProgress(Function);

impl Progress for OnProgress {
    fn report(&self, phase: Phase, loaded: u64, total: u64, file: &str) {
        // A report always has a JSON form, and what a listener throws is not ours to handle.
        let _ = to_js(&Report { phase, loaded, total, file }).map(|report| self.0.call1(&JsValue::NULL, &report));
    }
}

/// A language model in the worker.
#[wasm_bindgen]
pub struct WasmLanguageModel(RefCell<Option<Rc<LanguageModel>>>);

impl WasmLanguageModel {
    fn model(&self) -> Result<Rc<LanguageModel>> {
        self.0.borrow().clone().ok_or_else(|| Error::unsupported("the model has been disposed of: load it again"))
    }
}

#[wasm_bindgen]
impl WasmLanguageModel {
    /// Loads a model from its files.
    pub async fn load(
        files: files::FileSet,
        #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
        #[wasm_bindgen(unchecked_param_type = "(progress: Progress) => void")] on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<WasmLanguageModel, JsValue> {
        let abort = abort.0.clone();
        let load = async {
            let options = convert::options(&options)?;
            let gpu = device(&options).await?;
            if options.self_test != Some(false) {
                abort.race(self_test(&gpu, &[Suite::Linear, Suite::Language])).await?;
            }
            let background = options.priority == Some(Priority::Background);
            let load = LoadOptions { quantize: options.quantize, context_length: options.context_length, background };
            LanguageModel::load(&gpu, &Files(files), &load, &OnProgress(on_progress), &abort).await
        };
        let model = load.await.map_err(failure)?;
        Ok(WasmLanguageModel(RefCell::new(Some(Rc::new(model)))))
    }

    /// Returns the metadata of the loaded model: sizes, context length, encoding.
    #[wasm_bindgen(unchecked_return_type = "LanguageInfo")]
    pub fn info(&self) -> std::result::Result<JsValue, JsValue> {
        self.model().and_then(|m| to_js(m.info())).map_err(failure)
    }

    /// Generates an answer; `on_text` hears the text as it appears.
    #[wasm_bindgen(unchecked_return_type = "GenerationResult")]
    pub async fn generate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string | Message[]")] input: JsValue,
        #[wasm_bindgen(unchecked_param_type = "Partial<GenerateOptions>")] options: JsValue,
        #[wasm_bindgen(unchecked_param_type = "(text: string, reasoning?: string) => void")] on_text: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<JsValue, JsValue> {
        let abort = abort.0.clone();
        let model = self.model();
        let answer = async {
            let options = GenerateOptions::from_json(from_js(&options)?)?;
            let input = from_js(&input)?;
            let show = |text: &str, thought: &str| {
                // Errors of a listener are its own to handle.
                let _ = on_text.call2(&JsValue::NULL, &text.into(), &thought.into());
            };
            let result = model?.generate(&input, &options, &show, &abort).await?;
            to_js(&result)
        };
        answer.await.map_err(failure)
    }

    /// Returns the token ids of a text.
    pub fn tokenize(&self, text: &str, special: bool) -> std::result::Result<Uint32Array, JsValue> {
        let ids = self.model().map(|m| m.tokenizer().encode(text, special));
        ids.map(|ids| Uint32Array::from(&ids[..])).map_err(failure)
    }

    /// Returns the text of token ids.
    pub fn detokenize(&self, ids: Vec<u32>) -> std::result::Result<String, JsValue> {
        self.model().map(|m| m.tokenizer().decode(&ids)).map_err(failure)
    }

    /// Computes the logits after each token, [T * V].
    pub async fn logits(&self, ids: Vec<u32>) -> std::result::Result<Float32Array, JsValue> {
        let model = self.model();
        let logits = async { model?.logits(&ids).await };
        logits.await.map(|l| Float32Array::from(&l[..])).map_err(failure)
    }

    /// Frees everything on the GPU, as soon as no call uses it any more.
    pub fn dispose(&self) {
        self.0.replace(None);
    }
}

/// Returns the capabilities of this browser's GPU, and whether our kernels compute correctly on it.
#[wasm_bindgen(unchecked_return_type = "Probe")]
pub async fn probe(
    #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
) -> std::result::Result<JsValue, JsValue> {
    let probe = async {
        let options = convert::options(&options)?;
        let gpu = device(&options).await?;
        to_js(&Probe::run(&gpu, options.adapter_info.device_memory, options.self_test != Some(false)).await?)
    };
    probe.await.map_err(failure)
}

/// Measures the most that this browser's GPU can compute and read.
#[wasm_bindgen(unchecked_return_type = "Roofline")]
pub async fn roofline(
    #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
) -> std::result::Result<JsValue, JsValue> {
    let measured = async {
        let options = convert::options(&options)?;
        to_js(&Roofline::measure(&device(&options).await?).await?)
    };
    measured.await.map_err(failure)
}

/// Seconds that a layer of 2 GFLOP may take on an adapter that is worth measuring further.
const PATIENCE: f64 = 0.25;

/// Measures which choices are quicker on this browser's GPU, and makes them.
#[wasm_bindgen(unchecked_return_type = "Tried[]")]
pub async fn tune(
    #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
) -> std::result::Result<JsValue, JsValue> {
    let tuned = async {
        let options = convert::options(&options)?;
        let gpu = device(&options).await?;
        to_js(&crate::probe::tune(&gpu, PATIENCE, may_round(&options)).await?)
    };
    tuned.await.map_err(failure)
}

/// Returns whether a model fits, from its headers alone.
#[wasm_bindgen(unchecked_return_type = "Estimate")]
pub async fn estimate(
    files: files::FileSet,
    #[wasm_bindgen(unchecked_param_type = "RustLoadOptions")] options: JsValue,
) -> std::result::Result<JsValue, JsValue> {
    let estimate = async {
        let options = convert::options(&options)?;
        let gpu = device(&options).await?;
        let (files, memory) = (Files(files), options.adapter_info.device_memory);
        if crate::image::is_image_model(&files).await? {
            return to_js(&crate::image::estimate(&gpu, &files, options.quantize, memory).await?);
        }
        let Options { quantize, context_length, .. } = options;
        let load = LoadOptions { quantize, context_length, background: false };
        // Whoever does not write may read.
        let estimate = match crate::language::estimate(&gpu, &files, &load, memory).await {
            Err(Error::Unsupported { what }) => {
                let read = crate::language::embedding::estimate(&gpu, &files, &load, memory).await;
                read.map_err(|_| Error::Unsupported { what })?
            }
            other => other?,
        };
        to_js(&estimate)
    };
    estimate.await.map_err(failure)
}
