//! Values across the boundary, as JSON: small, and the same on both sides.

use crate::{Error, Result};
use js_sys::{JSON, Object, Reflect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// `LoadOptions` of the JavaScript API, as far as Rust reads them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    pub quantize: Option<String>,
    pub context_length: Option<usize>,
    pub adapter: Option<String>,
    pub priority: Option<String>,
    pub tier: Option<String>,
    pub family: Option<String>,
    pub lora: Option<Vec<serde_json::Value>>,
    pub vae: Option<String>,
    pub text_encoder: Option<String>,
    pub self_test: Option<bool>,
    pub activations: Option<String>,
    /// What `tune` found out on this adapter, by names; absent: whatever the device has chosen already.
    pub choices: Option<Vec<String>>,
    pub adapter_info: AdapterInfo,
}

/// What the worker found out about the adapter and wgpu does not pass on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AdapterInfo {
    pub vendor: String,
    pub architecture: String,
    pub device: String,
    pub description: String,
    pub is_fallback_adapter: bool,
    pub subgroups: bool,
    pub subgroup_min_size: u32,
    pub device_memory: Option<f64>,
}

pub(super) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Result<T> {
    let text = JSON::stringify(value).map_err(|_| Error::unsupported("an argument cannot be written as JSON"))?;
    // `undefined` has no JSON form.
    let text = text.as_string().unwrap_or_else(|| "null".into());
    let text = if text == "null" { "{}".into() } else { text };
    serde_json::from_str(&text)
        .map_err(|e| Error::unsupported(format!("an option is wrong ({e}); see the documentation")))
}

pub(super) fn to_js<T: Serialize>(value: &T) -> Result<JsValue> {
    let text =
        serde_json::to_string(value).map_err(|e| Error::unsupported(format!("a result has no JSON form ({e})")))?;
    JSON::parse(&text).map_err(|_| Error::unsupported("a result has no JSON form"))
}

/// The object that a failure is thrown as.
pub(super) fn failure(e: Error) -> JsValue {
    let object = Object::new();
    for (key, value) in [("code", e.code().to_string()), ("message", e.to_string())] {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&object, &key.into(), &value.into());
    }
    object.into()
}
