//! GGUF: what is read from a good file, and which error each kind of bad one gives.

use super::build::*;
use inkstone::dtype::DType;
use inkstone::format::Parsed;
use inkstone::format::gguf::{Array, Gguf, Value};
use inkstone::{Error, Result};

fn parse(bytes: &[u8]) -> Result<Gguf> {
    match Gguf::parse(bytes, bytes.len() as u64, "m.gguf")? {
        Parsed::Done(gguf) => Ok(gguf),
        Parsed::NeedMore(n) => panic!("the whole file is there, and {n} bytes are asked for"),
    }
}

/// The error for `file`, which must be of this kind and say this.
fn refused(bytes: &[u8], code: &str, says: &str) {
    let error = parse(bytes).expect_err(says);
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    assert!(text.contains(says) && text.contains("m.gguf"), "{text:?} does not say {says:?}");
}

#[test]
fn reads_a_file() {
    for version in [2, 3] {
        let mut file = llama();
        file.version = version;
        let bytes = file.bytes();
        let gguf = parse(&bytes).unwrap();
        let m = &gguf.metadata;
        assert_eq!(gguf.version, version);
        assert_eq!(m.iter().count(), file.entries.len());
        assert_eq!(m.str("general.name").unwrap(), Some("Tiny"));
        assert_eq!(m.u32("llama.block_count").unwrap(), Some(2));
        assert_eq!(m.u32("any.u8").unwrap(), Some(200));
        assert_eq!(m.u32("any.u16").unwrap(), Some(60_000));
        assert_eq!(m.u64("any.u64").unwrap(), Some(1 << 40));
        assert_eq!(m.get("any.i8"), Some(&Value::I8(-1)));
        assert_eq!(m.get("any.i16"), Some(&Value::I16(-5)));
        assert_eq!(m.get("any.i32"), Some(&Value::I32(-70_000)));
        assert_eq!(m.get("any.i64"), Some(&Value::I64(-(1 << 40))));
        assert_eq!(m.f32("any.f64").unwrap(), Some(0.1));
        assert_eq!(m.f32("llama.block_count").unwrap(), Some(2.0));
        assert_eq!(m.bool("tokenizer.ggml.add_bos_token").unwrap(), Some(true));
        assert_eq!(m.f32s("tokenizer.ggml.scores").unwrap(), Some(vec![0.0; 40]));
        assert_eq!(m.i32s("tokenizer.ggml.token_type").unwrap(), Some(vec![0x0101_0101; 40]));
        assert_eq!(m.u32s("tokenizer.ggml.token_type").unwrap(), Some(vec![0x0101_0101; 40]));
        let tokens = m.strings("tokenizer.ggml.tokens").unwrap().unwrap();
        assert_eq!((tokens.len(), tokens.get(0), tokens.get(39)), (40, Some("▁piece0"), Some("▁piece39")));
        assert_eq!(tokens.get(40), None);
        assert!(tokens.iter().enumerate().all(|(i, t)| t == format!("▁piece{i}")));
        assert!(m.strings("any.empty").unwrap().unwrap().is_empty());
        let nested = vec![Array::U32(vec![9]), Array::U8(vec![])];
        assert_eq!(m.get("any.nested"), Some(&Value::Array(Array::Nested(nested))));
        // Absent is not wrong; wrong is.
        assert_eq!(m.u32("absent").unwrap(), None);
        assert_eq!(m.strings("absent").unwrap(), None);
        for wrong in [
            m.u32("general.name").map(drop),
            m.u32("any.u64").map(drop),
            m.u64("any.i64").map(drop),
            m.f32("general.name").map(drop),
            m.bool("any.u8").map(drop),
            m.str("any.u8").map(drop),
            m.strings("tokenizer.ggml.scores").map(drop),
            m.f32s("tokenizer.ggml.tokens").map(drop),
            m.i32s("tokenizer.ggml.scores").map(drop),
        ] {
            assert_eq!(wrong.unwrap_err().code(), "Format");
        }

        assert_eq!(gguf.tensors.len(), 13);
        let first = &gguf.tensors[0];
        assert_eq!((first.name.as_str(), first.dtype), ("token_embd.weight", DType::Q8_0));
        assert_eq!((first.shape.as_slice(), first.bytes), (&[40, 64][..], 40 * 2 * 34));
        assert_eq!(first.offset % 32, 0);
        let last = gguf.tensors.last().unwrap();
        assert_eq!(last.offset + last.bytes, bytes.len() as u64);
    }
}

#[test]
fn tensors_are_told_in_the_order_of_their_bytes() {
    let mut file = llama();
    let sizes: Vec<u64> = file.tensors.iter().map(|t| (t.bytes as u64).next_multiple_of(32)).collect();
    let total: u64 = sizes.iter().sum();
    let mut end = total;
    // Laid out backwards: each description points further to the front.
    for (t, size) in file.tensors.iter_mut().zip(&sizes) {
        end -= size;
        t.offset = Some(end);
    }
    let mut bytes = file.bytes();
    bytes.resize(bytes.len() + 32, 0);
    let gguf = parse(&bytes).unwrap();
    assert!(gguf.tensors.windows(2).all(|w| w[0].offset + w[0].bytes <= w[1].offset));
    assert_eq!(gguf.tensors[12].name, "token_embd.weight");
}

#[test]
fn alignment_is_the_files_own() {
    let mut file = llama();
    file.set("general.alignment", u32(256));
    file.alignment = 256;
    let bytes = file.bytes();
    let gguf = parse(&bytes).unwrap();
    assert!(gguf.tensors.iter().all(|t| t.offset % 256 == 0));
    assert_eq!(gguf.tensors.last().map(|t| t.offset + t.bytes), Some(bytes.len() as u64));
    for wrong in [u32(0), u32(3), u32(1 << 31), string("32")] {
        file.set("general.alignment", wrong);
        assert_eq!(parse(&file.bytes()).unwrap_err().code(), "Format");
    }
}

#[test]
fn a_file_of_metadata_alone_is_a_file() {
    let bytes = GgufFile::new(&llama_entries(), &[]).bytes();
    assert!(parse(&bytes).unwrap().tensors.is_empty());
}

#[test]
fn other_things_than_gguf() {
    refused(b"<!DOCTYPE html><html><head><title>404", "Format", "a web page came");
    refused(b"\xef\xbb\xbf\r\n  <html>", "Format", "a web page came");
    refused(b"<", "Format", "a web page came");
    refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Format", "Git LFS pointer");
    refused(b"{\"error\":\"not found\"}", "Format", "not a GGUF file");
    refused(b"PK\x03\x04", "Format", "not a GGUF file");
    refused(b"", "Format", "ends within its header");
    refused(b"GGU", "Format", "ends within its header");
    // Even from the first bytes of a long download.
    let error = Gguf::parse(b"<!DOC", 5_000, "m.gguf").unwrap_err();
    assert!(error.to_string().contains("web page"));
}

#[test]
fn versions() {
    let mut bytes = llama().bytes();
    for (version, says) in [(1u32, "version 1"), (4, "version 4"), (3 << 24, "big-endian"), (2 << 24, "big-endian")] {
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        refused(&bytes, "Unsupported", says);
    }
    for version in [0u32, 100, 0xDEAD_BEEF] {
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        refused(&bytes, "Format", "does not exist");
    }
}

#[test]
fn counts_and_lengths_that_cannot_be() {
    for huge in [1_000, 1 << 20, 1 << 40, 1 << 62, u64::MAX / 8, u64::MAX] {
        let mut file = llama();
        file.tensor_count = Some(huge);
        assert_eq!(parse(&file.bytes()).unwrap_err().code(), "Format", "{huge} tensors");
        let mut file = llama();
        file.entry_count = Some(huge);
        assert_eq!(parse(&file.bytes()).unwrap_err().code(), "Format", "{huge} entries");
        for kind in 0..13 {
            let mut file = llama();
            file.set("x", array(kind, huge.max(1 << 20), &[0; 64]));
            assert_eq!(parse(&file.bytes()).unwrap_err().code(), "Format", "{huge} values of type {kind}");
        }
        let mut file = llama();
        file.set("x", entry(8, &huge.max(1 << 20).to_le_bytes()));
        assert_eq!(parse(&file.bytes()).unwrap_err().code(), "Format", "a string of {huge}");
    }
}

#[test]
fn a_huge_file_does_not_justify_a_huge_header() {
    let mut file = llama();
    file.set("x", entry(8, &(1u64 << 38).to_le_bytes()));
    let bytes = file.bytes();
    let error = Gguf::parse(&bytes, 1 << 40, "m.gguf").unwrap_err();
    assert!(error.to_string().contains("impossible size"), "{error}");
}

#[test]
fn nesting_is_bounded() {
    for (depth, fits) in [(2, true), (4, true), (5, false), (1_000, false), (100_000, false)] {
        let mut value = array(0, 0, &[]).0[4..].to_vec();
        let mut nested = Vec::new();
        (0..depth).for_each(|_| nested.extend([9u32.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec()].concat()));
        nested.append(&mut value);
        let mut file = llama();
        file.set("x", entry(9, &nested));
        assert_eq!(parse(&file.bytes()).is_ok(), fits, "{depth} deep");
    }
}

#[test]
fn metadata_that_cannot_be() {
    let with = |key: &[u8], value: Entry| {
        let mut file = llama();
        file.entries.push((key.to_vec(), value));
        file.bytes()
    };
    refused(&with(b"general.name", string("again")), "Format", "twice");
    refused(&with(b"", u32(1)), "Format", "a metadata key is empty");
    refused(&with(&vec![b'k'; 70_000], u32(1)), "Format", "empty or endless");
    refused(&with(b"k\xff", u32(1)), "Format", "a metadata key is not UTF-8");
    refused(&with(b"k", entry(8, &text(b"\xc3\x28"))), "Format", "`k` is not UTF-8");
    // Two halves of a character, one in each string.
    let halves = [text(b"\xe2\x96"), text(b"\x81")].concat();
    refused(&with(b"k", array(8, 2, &halves)), "Format", "a string of metadata `k` is not UTF-8");
    refused(&with(b"k", entry(13, &[0; 8])), "Format", "unknown type 13");
    refused(&with(b"k", array(77, 1, &[0; 8])), "Format", "unknown type 77");
}

#[test]
fn tensors_that_cannot_be() {
    let with = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut file = llama();
        change(&mut file.tensors);
        file.bytes()
    };
    refused(&with(&|t| t[3].name = t[4].name.clone()), "Format", "two tensors are named `blk.0.attn_q.weight`");
    refused(&with(&|t| t[3].name = b"\xff\xfe".to_vec()), "Format", "a tensor's name is not UTF-8");
    refused(&with(&|t| t[3].name = vec![]), "Format", "no name");
    refused(&with(&|t| t[3].dims = vec![1; 5]), "Format", "5 dimensions");
    refused(&with(&|t| t[3].dims = vec![64; 0x7F]), "Format", "127 dimensions");
    refused(&with(&|t| t[3].dims = vec![0]), "Format", "impossible shape [0]");
    refused(&with(&|t| t[3].dims = vec![64, 0]), "Format", "impossible shape [64, 0]");
    refused(&with(&|t| t[3].dims = vec![1 << 32, 1 << 32]), "Format", "impossible shape");
    refused(&with(&|t| t[3].dims = vec![1 << 62, 1]), "Format", "impossible shape");
    refused(&with(&|t| t[0].dims = vec![63, 40]), "Format", "impossible shape [63, 40]");
    refused(&with(&|t| t[3].dims = vec![1 << 40]), "Format", "the file ends before tensor `blk.0.attn_norm.weight`");
    refused(&with(&|t| t[3].offset = Some(1 << 30)), "Format", "the file ends before tensor");
    refused(&with(&|t| t[3].offset = Some(u64::MAX - 31)), "Format", "the file ends before tensor");
    refused(&with(&|t| t[3].offset = Some(33)), "Format", "not aligned");
    refused(&with(&|t| t[3].offset = Some(0)), "Format", "overlap");
    refused(&with(&|t| t[3].kind = 16), "Unsupported", "IQ2_XXS; choose a file that uses only F32, F16");
    refused(&with(&|t| t[3].kind = 4), "Unsupported", "type number 4");
    refused(&with(&|t| t[3].kind = u32::MAX), "Unsupported", "type number 4294967295");
}

#[test]
fn a_scalar_has_one_element() {
    let bytes = GgufFile::new(&[("k", u32(1))], &[tensor("scale", &[], DType::F32)]).bytes();
    let t = &parse(&bytes).unwrap().tensors[0];
    assert_eq!((t.shape.len(), t.bytes), (0, 4));
}

#[test]
fn a_header_is_read_in_few_rounds() {
    let pieces: Vec<String> = (0..150_000).map(|i| format!("piece{i:08}")).collect();
    let mut file = llama();
    file.set("tokenizer.ggml.tokens", strings(&pieces));
    file.set("tokenizer.ggml.scores", array(6, 150_000, &vec![0; 600_000]));
    let bytes = file.bytes();
    let (mut have, mut rounds) = (0, 0);
    let (gguf, most) = loop {
        let (parsed, most) = crate::memory::peak(|| Gguf::parse(&bytes[..have], bytes.len() as u64, "m.gguf").unwrap());
        match parsed {
            Parsed::Done(gguf) => break (gguf, most),
            Parsed::NeedMore(n) => {
                assert!(n > have as u64 && n <= bytes.len() as u64);
                have = n as usize;
            }
        }
        rounds += 1;
        assert!(rounds <= 8, "{rounds} rounds and no end");
    };
    assert_eq!(gguf, parse(&bytes).unwrap());
    println!("a header of {} bytes: {rounds} rounds, {most} bytes held", bytes.len());
    assert!(most < bytes.len(), "{most} bytes held for a file of {}", bytes.len());
}

#[test]
fn errors_are_errors_of_the_named_file() {
    let error = Gguf::parse(b"junk", 4, "folder/x.gguf").unwrap_err();
    assert!(matches!(error, Error::Format { file, .. } if file == "folder/x.gguf"));
}
