//! The arguments of a call: options of the JavaScript API, and facts that the worker found out itself.

use crate::Result;
use crate::format::{json::JsonObject, variants};
use crate::gpu::{Family, Tier};
use crate::image::{Autoencoder, TextMemory};
use crate::load::{Phase, Quantize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// How far a load has come.
#[derive(Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Progress"))]
pub(super) struct Report<'a> {
    pub phase: Phase,
    /// Bytes so far.
    pub loaded: u64,
    pub total: u64,
    pub file: &'a str,
}

/// Which adapter is wanted where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(super) enum PowerPreference {
    HighPerformance,
    LowPower,
}

/// How long one submit may hold the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(super) enum Priority {
    Interactive,
    Background,
}

/// The values that a language model's weights are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(super) enum Activations {
    F32,
    Int8,
}

/// `LoadOptions` as far as Rust reads them. `null` and `"auto"` say as much as nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "RustLoadOptions", optional_fields))]
pub(super) struct Options {
    #[serde(deserialize_with = "known")]
    #[cfg_attr(test, ts(as = "Option<OrAuto<Quantize>>"))]
    pub quantize: Option<Quantize>,
    pub context_length: Option<usize>,
    #[serde(deserialize_with = "known")]
    pub adapter: Option<PowerPreference>,
    #[serde(deserialize_with = "known")]
    pub priority: Option<Priority>,
    #[serde(deserialize_with = "known")]
    pub tier: Option<Tier>,
    #[serde(deserialize_with = "known")]
    #[cfg_attr(test, ts(as = "Option<OrAuto<Family>>"))]
    pub family: Option<Family>,
    #[serde(deserialize_with = "known")]
    pub vae: Option<Autoencoder>,
    #[serde(deserialize_with = "known")]
    pub text_encoder: Option<TextMemory>,
    pub self_test: Option<bool>,
    #[serde(deserialize_with = "known")]
    pub activations: Option<Activations>,
    /// The choices that `tune` made on this adapter, by name; absent: those of the device stay.
    pub choices: Option<Vec<String>>,
    #[cfg_attr(test, ts(as = "Option<AdapterInfo>"))]
    pub adapter_info: AdapterInfo,
}

/// Facts about the adapter that the worker knows and wgpu does not pass on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub(super) struct AdapterInfo {
    pub vendor: String,
    pub architecture: String,
    pub device: String,
    pub description: String,
    pub is_fallback_adapter: bool,
    /// Whether devices made from here on may use subgroups.
    pub subgroups: bool,
    pub subgroup_min_size: u32,
    /// The machine's memory in GiB, roughly, where the browser tells.
    pub device_memory: Option<f64>,
}

impl Options {
    /// Reads the options of a call, as JSON.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] naming the option that is wrong, and what may be given.
    pub fn from_json(text: &str) -> Result<Self> {
        JsonObject::options(text, |what| format!("an option is wrong ({what}); see LoadOptions in the documentation"))
    }
}

/// `"auto"`, or a name.
#[cfg(test)]
#[derive(ts_rs::TS)]
#[ts(untagged)]
pub(super) enum OrAuto<T> {
    #[ts(type = "\"auto\"")]
    Auto(()),
    Named(T),
}

/// Reads a variant by its name; `null` is none, and so is `"auto"` unless it names one.
fn known<'de, D: Deserializer<'de>, T: DeserializeOwned>(d: D) -> std::result::Result<Option<T>, D::Error> {
    let Some(name) = Option::<String>::deserialize(d)? else { return Ok(None) };
    match variants::named(&name) {
        None if name != "auto" => Err(variants::unknown(&name, variants::names::<T>())),
        known => Ok(known),
    }
}
