//! safetensors: headers and indexes, good and bad.

use super::build::*;
use inkstone::Result;
use inkstone::dtype::DType;
use inkstone::format::Parsed;
use inkstone::format::safetensors::{SafeTensors, ShardIndex};

fn parse(bytes: &[u8]) -> Result<SafeTensors> {
    match SafeTensors::parse(bytes, bytes.len() as u64, "m.safetensors")? {
        Parsed::Done(parsed) => Ok(parsed),
        Parsed::NeedMore(n) => panic!("the whole file is there, and {n} bytes are asked for"),
    }
}

fn refused(bytes: &[u8], code: &str, says: &str) {
    let error = parse(bytes).expect_err(says);
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    assert!(text.contains(says) && text.contains("m.safetensors"), "{text:?} does not say {says:?}");
}

#[test]
fn reads_a_file() {
    let bytes = small_safetensors();
    let parsed = parse(&bytes).unwrap();
    assert_eq!(parsed.metadata["note"], "ﬁne");
    let names: Vec<&str> = parsed.tensors.iter().map(|t| t.name.as_str()).collect();
    let blocks = ["model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight"];
    let all = ["model.embed_tokens.weight", blocks[0], blocks[1], "model.norm.weight", "scale", "nothing"];
    assert_eq!(names, all);
    assert_eq!(parsed.others["text_model.embeddings.position_ids"], "I64");
    let start = bytes.len() as u64 - 3436;
    let up = &parsed.tensors[2];
    assert_eq!((up.dtype, up.shape.as_slice()), (DType::F32, &[24, 16][..]));
    assert_eq!((up.offset, up.bytes), (start + 1800, 1536));
    assert_eq!((parsed.tensors[4].shape.len(), parsed.tensors[4].bytes), (0, 4));
    assert_eq!((parsed.tensors[5].shape.as_slice(), parsed.tensors[5].bytes), (&[0, 7][..], 0));
}

#[test]
fn asks_for_the_header_and_no_more() {
    let bytes = small_safetensors();
    let file_len = bytes.len() as u64;
    let need = |have: usize| match SafeTensors::parse(&bytes[..have], file_len, "m.safetensors").unwrap() {
        Parsed::NeedMore(n) => n,
        Parsed::Done(_) => 0,
    };
    let start = file_len - 3436;
    assert_eq!((need(0), need(7), need(8), need(100)), (8, 8, start, start));
    assert_eq!((need(start as usize - 1), need(start as usize)), (start, 0));
}

#[test]
fn headers_that_cannot_be() {
    let one = |entry: &str, bytes: usize| safetensors(&format!("{{\"a\":{entry}}}"), bytes);
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        one(&format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#), 64)
    };
    assert_eq!(parse(&tensor("F32", "[4,4]", "[0,64]")).unwrap().tensors.len(), 1);
    refused(&tensor("F32", "[4,4]", "[0,60]"), "Format", "cannot fill 60 bytes");
    refused(&tensor("F32", "[4,4]", "[64,0]"), "Format", "ends before tensor `a`");
    refused(&tensor("F32", "[4,4]", "[8,72]"), "Format", "ends before tensor `a`");
    refused(&tensor("F32", "[4,4]", "[18446744073709551552,18446744073709551615]"), "Format", "ends before");
    refused(&tensor("F32", "[4294967296,4294967296]", "[0,0]"), "Format", "cannot fill");
    refused(&tensor("F32", "[18446744073709551615,0]", "[0,4]"), "Format", "cannot fill");
    refused(&tensor("F32", "[-4]", "[0,16]"), "Format", "JSON");
    refused(&tensor("F32", "[1e1]", "[0,40]"), "Format", "JSON");
    refused(&tensor("F32", "4", "[0,16]"), "Format", "JSON");
    refused(&tensor("F32", "[4]", "[0,16,16]"), "Format", "JSON");
    refused(&one("null", 0), "Format", "JSON");
    refused(&one("[]", 0), "Format", "JSON");
    refused(&one("{\"format\":\"pt\"}", 0), "Format", "JSON");
    refused(&safetensors("", 64), "Format", "JSON");
    refused(&safetensors("[]", 64), "Format", "JSON");
    refused(&safetensors("{\"a\":", 64), "Format", "JSON");
    refused(&safetensors(&"[".repeat(100_000), 64), "Format", "JSON");
    refused(&safetensors(&"{\"a\":".repeat(100_000), 64), "Format", "JSON");
    let mut bytes = tensor("F32", "[4,4]", "[0,64]");
    bytes[10] = 0xFF;
    refused(&bytes, "Format", "JSON");
}

#[test]
fn tensors_keep_apart() {
    let two = |b: &str, at: [usize; 2]| {
        let a = r#""a":{"dtype":"F16","shape":[8],"data_offsets":[0,16]}"#;
        let b = format!(r#""{b}":{{"dtype":"F16","shape":[8],"data_offsets":[{},{}]}}"#, at[0], at[1]);
        safetensors(&format!("{{{a},{b}}}"), 64)
    };
    assert_eq!(parse(&two("b", [16, 32])).unwrap().tensors.len(), 2);
    // A gap does no harm.
    assert_eq!(parse(&two("b", [24, 40])).unwrap().tensors.len(), 2);
    refused(&two("b", [14, 30]), "Format", "`a` and `b` overlap");
    refused(&two("b", [0, 16]), "Format", "overlap");
    refused(&two("a", [16, 32]), "Format", "two tensors are named `a`");
    let twice = r#"{"__metadata__":{},"__metadata__":{}}"#;
    refused(&safetensors(twice, 0), "Format", "duplicate field `__metadata__`");
}

#[test]
fn other_things_than_safetensors() {
    refused(b"<!DOCTYPE html><html>", "Format", "a web page came");
    refused(b"  \n<html>", "Format", "a web page came");
    refused(b"<p>", "Format", "a web page came");
    refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Format", "Git LFS pointer");
    refused(b"GGUF\x03\x00\x00\x00\x00\x00\x00\x00", "Format", "not a safetensors file");
    refused(b"", "Format", "ends within its header");
    refused(b"\x40\0\0\0\0\0\0\0{}", "Format", "ends within its header");
    refused(&[0xFF; 64], "Format", "not a safetensors file");
    // A header of 100 GB in a file that has them.
    let error = SafeTensors::parse(&100_000_000_000u64.to_le_bytes(), 1 << 40, "m.safetensors").unwrap_err();
    assert_eq!(error.code(), "Format");
    // A valid length may begin with the byte that `<` is.
    let padded = format!("{{}}{}", " ".repeat(0x3C - 2));
    let bytes = safetensors(&padded, 0);
    assert_eq!(bytes[0], b'<');
    assert!(parse(&bytes).unwrap().tensors.is_empty());
}

#[test]
fn element_types() {
    let stored = |name: &str, dtype: &str| {
        safetensors(&format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":[8],"data_offsets":[0,8]}}}}"#), 8)
    };
    for (name, dtype, says) in [
        ("model.layers.0.mlp.up_proj.weight", "F8_E4M3", "F8_E4M3; choose"),
        ("lm_head.weight", "I8", "`lm_head.weight` is stored as I8"),
    ] {
        let parsed = parse(&stored(name, dtype)).unwrap();
        let error = parsed.check_types(|n| n == name, "m.safetensors").unwrap_err();
        assert_eq!(error.code(), "Unsupported");
        assert!(error.to_string().contains(says), "{error}");
        assert!(parsed.check_types(|n| n != name, "m.safetensors").is_ok());
    }
    let parsed = parse(&stored("position_ids", "U8")).unwrap();
    assert_eq!((parsed.tensors.len(), parsed.others["position_ids"].as_str()), (0, "U8"));
}

#[test]
fn an_index_of_shards() {
    let text = r#"{"metadata":{"total_size":8},"weight_map":{
        "model.norm.weight":"model-00002-of-00002.safetensors",
        "lm_head.weight":"model-00002-of-00002.safetensors",
        "model.embed_tokens.weight":"model-00001-of-00002.safetensors"}}"#;
    let index = ShardIndex::parse(text.as_bytes(), "m.index.json").unwrap();
    assert_eq!(index.files(), ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
    assert_eq!(index.weight_map["lm_head.weight"], "model-00002-of-00002.safetensors");
    let map =
        |entries: &str| ShardIndex::parse(format!(r#"{{"weight_map":{{{entries}}}}}"#).as_bytes(), "m.index.json");
    assert!(map(r#""a":"unet/one.safetensors""#).is_ok());
    for bad in [
        "",
        r#""a":"x","a":"y""#,
        r#""a":1"#,
        r#""a":"""#,
        r#""a":"../x""#,
        r#""a":"/x""#,
        r#""a":"x/../y""#,
        r#""a":"C:\\x""#,
        r#""a":"https://elsewhere/x""#,
        r#""a":"x?y""#,
    ] {
        let error = map(bad).expect_err(bad);
        assert_eq!(error.code(), "Format");
    }
    let page = ShardIndex::parse(b"<!doctype html>", "m.index.json").unwrap_err();
    assert!(page.to_string().contains("web page"));
    assert_eq!(ShardIndex::parse(b"{}", "m.index.json").unwrap_err().code(), "Format");
}
