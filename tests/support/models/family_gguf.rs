//! The GGUF file of a case of `families/`, as llama.cpp's converter writes it. `<case>.gguf.json` says what it holds
//! and how its tensors come from the published ones; `tools/golden/families_gguf.py` found that out.

use super::case::{Case, families};
use super::gguf::{Tensor, Writer};
use super::weights::{Made, Stored, rounded};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// What `families_gguf.py` found out about the file of a case, or none where the converter cannot write one.
pub fn manifest(case: &Case) -> Option<Value> {
    let path = families().join(format!("{}.gguf.json", case.name));
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => panic!("{}: {e}", path.display()),
    }
}

/// The file of a case, or none where the converter cannot write one.
pub fn family_file(case: &Case) -> Option<Vec<u8>> {
    let published: BTreeMap<String, Made> = case.tensors().into_iter().map(|t| (t.name.clone(), t)).collect();
    Some(converted(&manifest(case)?, &published, case.stored, true))
}

/// The file that a manifest describes, of published tensors. With `tokenizer` it gets the tests' own, where the manifest
/// has none.
pub fn converted(manifest: &Value, published: &BTreeMap<String, Made>, stored: Stored, tokenizer: bool) -> Vec<u8> {
    let tensors: Vec<Tensor> = list(&manifest["tensors"]).iter().map(|t| tensor(t, published, stored)).collect();
    let mut writer = Writer::default();
    for entry in list(&manifest["metadata"]) {
        writer.named(entry[0].as_str().unwrap(), entry[1].as_str().unwrap(), &entry[2]);
    }
    if tokenizer {
        let embedding = tensors.iter().find(|t| t.0 == "token_embd.weight").expect("a token embedding");
        writer.tokenizer(embedding.1[0]);
    }
    writer.finish(&tensors)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list, not {value}"))
}

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// A tensor of the file: its name, its shape, the name of its encoding, its recipe.
fn tensor(entry: &Value, published: &BTreeMap<String, Made>, stored: Stored) -> Tensor {
    let (name, shape) = (entry[0].as_str().unwrap(), list(&entry[1]).iter().map(whole).collect::<Vec<_>>());
    let (kind, values) = (Stored::named(entry[2].as_str().unwrap()), values(&entry[3], published, stored));
    assert_eq!(values.len(), shape.iter().product::<usize>(), "{name} {shape:?}");
    let bytes = match kind {
        Stored::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Stored::F16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        Stored::BF16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        Stored::Q8_0 => panic!("{name} is quantized"),
    };
    (name.to_string(), shape, kind.gguf(), bytes)
}

/// The values that a recipe makes of the published tensors.
fn values(how: &Value, published: &BTreeMap<String, Made>, stored: Stored) -> Vec<f32> {
    if how["values"].is_array() {
        return list(&how["values"]).iter().map(|v| v.as_f64().unwrap() as f32).collect();
    }
    if how["join"].is_array() {
        return list(&how["join"]).iter().flat_map(|part| values(part, published, stored)).collect();
    }
    let name = how["of"].as_str().unwrap_or_else(|| panic!("a recipe, not {how}"));
    let made = published.get(name).unwrap_or_else(|| panic!("the case has no tensor {name}"));
    let bytes = rounded(&made.bytes(stored), stored);
    let all: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let (rows, width) = (made.shape[0], all.len() / made.shape[0]);
    if how["transposed"] == true {
        return (0..width).flat_map(|x| (0..rows).map(move |y| y * width + x)).map(|i| all[i]).collect();
    }
    let order: Vec<usize> = match (&how["rows"], &how["pairs"]) {
        (Value::Array(ranges), _) => ranges.iter().flat_map(|r| whole(&r[0])..whole(&r[1])).collect(),
        (_, Value::Number(heads)) => {
            let size = rows / heads.as_u64().unwrap() as usize;
            (0..rows).map(|row| row / size * size + row % 2 * (size / 2) + row % size / 2).collect()
        }
        _ => (0..rows).collect(),
    };
    let picked = order.iter().flat_map(|row| all[row * width..][..width].iter().copied());
    // The converter adds in the type of the file, except in bfloat16, which it widens first.
    match (how["add"].as_f64(), stored) {
        (None, _) => picked.collect(),
        (Some(add), Stored::F16) => picked.map(|v| half::f16::from_f32(v + add as f32).to_f32()).collect(),
        (Some(add), _) => picked.map(|v| v + add as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkstone::format::{Parsed, gguf::Gguf};

    #[test]
    fn files_hold_what_the_converter_wrote() {
        let mut made = 0;
        for case in Case::families().iter().map(|name| Case::read(name)) {
            let Some(file) = family_file(&case) else { continue };
            let Parsed::Done(gguf) = Gguf::parse(&file, file.len() as u64, &case.name).unwrap() else {
                panic!("{}: the file ends early", case.name)
            };
            let manifest = manifest(&case).unwrap();
            let names: Vec<&str> = gguf.tensors.iter().map(|t| t.name.as_str()).collect();
            let wanted: Vec<&str> = list(&manifest["tensors"]).iter().map(|t| t[0].as_str().unwrap()).collect();
            assert_eq!(names, wanted, "{}", case.name);
            let bytes = gguf.tensors.iter().flat_map(|t| &file[t.offset as usize..(t.offset + t.bytes) as usize]);
            let fnv = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
            let hash = bytes.fold(0xcbf2_9ce4_8422_2325, fnv);
            assert_eq!(manifest["hash"], format!("{hash:016x}"), "{}", case.name);
            made += 1;
        }
        assert!(made > 0, "no case has a manifest");
    }
}
