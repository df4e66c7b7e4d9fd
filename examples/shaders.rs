//! Writes every variant of every kernel, as a browser gets it, for another compiler to read (tests/tint.test.mjs).
//!
//!     cargo run --example shaders -- --dump out/shaders
//!
//! The folder then holds one .wgsl file for each text that differs, and `variants.json`, in order of labels:
//!
//!     [{ "label": "rms_norm+reduce_workgroup WG=64 ...", "file": "rms_norm+reduce_workgroup.wgsl",
//!        "tier": "base" | "subgroups" | "f16",           what the device must have
//!        "overrides": { "WG": 64 },                        the pipeline's constants
//!        "bindings": ["read", "write", ...],              the storage buffers of group 0
//!        "params": true }]                                whether group 1 has a uniform buffer

use inkstone::gpu::{Access, Variant};
use serde_json::{Map, Value, json};
use std::path::Path;
use support::{gpu, variants};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, folder] = &arguments[..] else { return Err("usage: shaders --dump FOLDER".into()) };
    if flag != "--dump" {
        return Err(format!("{flag} is unknown; usage: shaders --dump FOLDER").into());
    }
    let gpus = gpu::with_every_variant();
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let mut list = Vec::new();
    for (label, variant) in variants::variants(&gpus) {
        let file = file_name(&variant);
        std::fs::write(folder.join(&file), variant.source(true))?;
        list.push(entry(&label, &file, &variant));
    }
    println!("{} variants in {}", list.len(), folder.display());
    std::fs::write(folder.join("variants.json"), serde_json::to_string_pretty(&list)?)?;
    Ok(())
}

/// Variants that differ in overrides alone share a text.
fn file_name(variant: &Variant) -> String {
    let text = Variant { overrides: Vec::new(), ..variant.clone() };
    format!("{}.wgsl", text.label().replace([' ', '='], "-"))
}

fn entry(label: &str, file: &str, variant: &Variant) -> Value {
    let overrides: Map<String, Value> = variant.overrides.iter().map(|(n, v)| (n.to_string(), json!(v))).collect();
    let access = |a: &Access| if *a == Access::Read { "read" } else { "write" };
    json!({
        "label": label,
        "file": file,
        "tier": variant.tier().name(),
        "overrides": overrides,
        "bindings": variant.kernel.bindings.iter().map(access).collect::<Vec<_>>(),
        "params": !variant.kernel.fields.is_empty(),
    })
}
