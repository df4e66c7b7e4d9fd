//! Values across the boundary, as JSON: small, and the same on both sides.

use super::options::Options;
use crate::{Error, Result};
use js_sys::{JSON, Object, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

/// Writes the JSON of a value; that of an empty object for `undefined` and `null`.
fn text(value: &JsValue) -> Result<String> {
    let text = JSON::stringify(value).map_err(|_| Error::unsupported("an argument cannot be written as JSON"))?;
    // `undefined` has no JSON form.
    Ok(text.as_string().filter(|text| text != "null").unwrap_or_else(|| "{}".into()))
}

pub(super) fn from_js<T: DeserializeOwned>(value: &JsValue) -> Result<T> {
    serde_json::from_slice(text(value)?.as_bytes())
        .map_err(|e| Error::unsupported(format!("an option is wrong ({e}); see the documentation")))
}

/// Reads the options of a load or a measurement.
pub(super) fn options(value: &JsValue) -> Result<Options> {
    Options::from_json(&text(value)?)
}

pub(super) fn to_js<T: Serialize>(value: &T) -> Result<JsValue> {
    let text =
        serde_json::to_string(value).map_err(|e| Error::unsupported(format!("a result has no JSON form ({e})")))?;
    JSON::parse(&text).map_err(|_| Error::unsupported("a result has no JSON form"))
}

/// Returns the object that a failure is thrown as.
pub(super) fn failure(e: Error) -> JsValue {
    object(Object::new(), [("code", e.code().into()), ("message", e.to_string().into())]).into()
}

/// Adds properties to an object of ours, which cannot fail.
pub(super) fn object(object: Object, entries: impl IntoIterator<Item = (&'static str, JsValue)>) -> Object {
    for (key, value) in entries {
        let _ = Reflect::set(&object, &key.into(), &value);
    }
    object
}
