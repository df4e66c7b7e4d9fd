//! What JavaScript sees: the worker behind the npm package imports these. Values cross as plain objects, failures as
//! `{ code, message }`.

mod convert;
mod files;
mod image;

use crate::gpu::{Choice, Family, Gpu, GpuOptions, Tier};
use crate::language::{GenerateOptions, LanguageModel, LoadOptions};
use crate::load::{Abort, Phase, Progress, Quantize};
use crate::probe::{Probe, Roofline, Suite, self_test};
use crate::{Error, Result};
use convert::{Options, failure, from_js, to_js};
use files::Files;
use js_sys::{Float32Array, Function, Reflect, Uint32Array};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use wasm_bindgen::prelude::*;

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
    /// A flag that is not raised.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it.
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

/// The device for these options, with its choices made.
async fn device(options: &Options) -> Result<Rc<Gpu>> {
    let may_round = may_round(options)?;
    let gpu = open(options, may_round).await?;
    if let Some(names) = &options.choices {
        for choice in Choice::ALL {
            let named = names.iter().any(|name| name == choice.name());
            gpu.choose(choice, named && (may_round || !choice.rounds()));
        }
    }
    Ok(gpu)
}

/// The device for these options: one in use if it is sound, else a new one. What is chosen for it holds for all its models.
async fn open(options: &Options, may_round: bool) -> Result<Rc<Gpu>> {
    let info = &options.adapter_info;
    let Options { tier, family, adapter, .. } = options;
    let key = format!("{tier:?} {family:?} {adapter:?} {} {may_round}", info.subgroups);
    let open = DEVICES.with_borrow(|d| d.iter().find(|(k, _)| *k == key).and_then(|(_, gpu)| gpu.upgrade()));
    if let Some(gpu) = open.filter(|gpu| gpu.check().is_ok()) {
        LATEST.set(Some(gpu.clone()));
        return Ok(gpu);
    }
    let named = |name: &Option<String>, what: &str, known: bool| match name {
        Some(name) if !known && name != "auto" => Err(Error::unsupported(format!("{what} `{name}` is not known"))),
        _ => Ok(()),
    };
    let tier = options.tier.as_deref().and_then(Tier::from_name);
    let family = options.family.as_deref().and_then(Family::from_name);
    named(&options.tier, "the tier", tier.is_some())?;
    named(&options.family, "the family", family.is_some())?;
    let description = [&info.vendor, &info.architecture, &info.device, &info.description].map(String::as_str);
    let gpu = Gpu::open(&GpuOptions {
        tier,
        family: family.or(info.is_fallback_adapter.then_some(Family::Software)),
        low_power: options.adapter.as_deref() == Some("low-power"),
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

/// Whether the option `activations` allows rounding.
fn may_round(options: &Options) -> Result<bool> {
    match options.activations.as_deref() {
        None | Some("f32") => Ok(false),
        Some("int8") => Ok(true),
        Some(name) => Err(Error::unsupported(format!("activations `{name}` are not known; give \"f32\" or \"int8\""))),
    }
}

/// What the option `quantize` asks for; `None`: what fits.
fn quantize(options: &Options) -> Result<Option<Quantize>> {
    match options.quantize.as_deref() {
        None | Some("auto") => Ok(None),
        Some(name) => Quantize::from_name(name).map(Some).ok_or_else(|| {
            Error::unsupported(format!("quantize `{name}` is not known; give \"auto\", \"none\", \"q8\" or \"q4\""))
        }),
    }
}

struct OnProgress(Function);

impl Progress for OnProgress {
    fn report(&self, phase: Phase, loaded: u64, total: u64, file: &str) {
        let phase = match phase {
            Phase::Download => "download",
            Phase::Compile => "compile",
            Phase::Ready => "ready",
        };
        let report = js_sys::Object::new();
        for (key, value) in [
            ("phase", JsValue::from(phase)),
            ("loaded", JsValue::from(loaded as f64)),
            ("total", JsValue::from(total as f64)),
            ("file", JsValue::from(file)),
        ] {
            // Setting a property of a fresh object cannot fail, and what a listener throws is not ours to handle.
            let _ = Reflect::set(&report, &key.into(), &value);
        }
        let _ = self.0.call1(&JsValue::NULL, &report);
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
        options: JsValue,
        on_progress: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<WasmLanguageModel, JsValue> {
        let abort = abort.0.clone();
        let load = async {
            let options: Options = from_js(&options)?;
            let quantize = quantize(&options)?;
            if options.lora.as_ref().is_some_and(|l| !l.is_empty()) {
                return Err(Error::unsupported("LoRA is not supported yet for language models; load a merged model"));
            }
            let gpu = device(&options).await?;
            if options.self_test != Some(false) {
                abort.race(self_test(&gpu, &[Suite::Linear, Suite::Language])).await?;
            }
            let background = options.priority.as_deref() == Some("background");
            let load = LoadOptions { quantize, context_length: options.context_length, background };
            LanguageModel::load(&gpu, &Files(files), &load, &OnProgress(on_progress), &abort).await
        };
        let model = load.await.map_err(failure)?;
        Ok(WasmLanguageModel(RefCell::new(Some(Rc::new(model)))))
    }

    /// What is known of it.
    pub fn info(&self) -> std::result::Result<JsValue, JsValue> {
        self.model().and_then(|m| to_js(m.info())).map_err(failure)
    }

    /// Answers; text is heard as it appears.
    pub async fn generate(
        &self,
        input: JsValue,
        options: JsValue,
        on_text: Function,
        abort: &AbortFlag,
    ) -> std::result::Result<JsValue, JsValue> {
        let abort = abort.0.clone();
        let model = self.model();
        let answer = async {
            let options = GenerateOptions::from_json(from_js(&options)?)?;
            let input = from_js(&input)?;
            let show = |text: &str, thought: &str| {
                // What a listener throws is not ours to handle.
                let _ = on_text.call2(&JsValue::NULL, &text.into(), &thought.into());
            };
            let result = model?.generate(&input, &options, &show, &abort).await?;
            to_js(&result)
        };
        answer.await.map_err(failure)
    }

    /// Token ids of a text.
    pub fn tokenize(&self, text: &str, special: bool) -> std::result::Result<Uint32Array, JsValue> {
        let ids = self.model().map(|m| m.tokenizer().encode(text, special));
        ids.map(|ids| Uint32Array::from(&ids[..])).map_err(failure)
    }

    /// The text of token ids.
    pub fn detokenize(&self, ids: Vec<u32>) -> std::result::Result<String, JsValue> {
        self.model().map(|m| m.tokenizer().decode(&ids)).map_err(failure)
    }

    /// Logits after each token, [T * V].
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

/// What this browser's GPU can do, and whether our kernels are right on it.
#[wasm_bindgen]
pub async fn probe(options: JsValue) -> std::result::Result<JsValue, JsValue> {
    let probe = async {
        let options: Options = from_js(&options)?;
        let gpu = device(&options).await?;
        to_js(&Probe::run(&gpu, options.adapter_info.device_memory, options.self_test != Some(false)).await?)
    };
    probe.await.map_err(failure)
}

/// What this browser's GPU can do at most.
#[wasm_bindgen]
pub async fn roofline(options: JsValue) -> std::result::Result<JsValue, JsValue> {
    let measured = async {
        let options: Options = from_js(&options)?;
        to_js(&Roofline::measure(&device(&options).await?).await?)
    };
    measured.await.map_err(failure)
}

/// Seconds that a layer of 2 GFLOP may take on an adapter that is worth measuring further.
const PATIENCE: f64 = 0.25;

/// Measures which choices pay on this browser's GPU, and makes them.
#[wasm_bindgen]
pub async fn tune(options: JsValue) -> std::result::Result<JsValue, JsValue> {
    let tuned = async {
        let options: Options = from_js(&options)?;
        let gpu = device(&options).await?;
        to_js(&crate::probe::tune(&gpu, PATIENCE, may_round(&options)?).await?)
    };
    tuned.await.map_err(failure)
}

/// Whether a model fits, from its headers alone.
#[wasm_bindgen]
pub async fn estimate(files: files::FileSet, options: JsValue) -> std::result::Result<JsValue, JsValue> {
    let estimate = async {
        let options: Options = from_js(&options)?;
        let gpu = device(&options).await?;
        let quantize = quantize(&options)?;
        let (files, memory) = (Files(files), options.adapter_info.device_memory);
        if crate::image::is_image_model(&files).await? {
            return to_js(&crate::image::estimate(&gpu, &files, quantize, memory).await?);
        }
        let load = LoadOptions { quantize, context_length: options.context_length, background: false };
        to_js(&crate::language::estimate(&gpu, &files, &load, memory).await?)
    };
    estimate.await.map_err(failure)
}
