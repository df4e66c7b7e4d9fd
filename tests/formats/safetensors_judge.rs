//! Our reader of safetensors headers against the `safetensors` crate: we read what it writes, and refuse what it refuses
//! but for what is listed here.

use super::build::Random;
use inkstone::format::Parsed;
use inkstone::format::safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;
use std::collections::HashMap;

const TYPES: [(&str, Dtype, usize); 6] = [
    ("F32", Dtype::F32, 4),
    ("F16", Dtype::F16, 2),
    ("BF16", Dtype::BF16, 2),
    ("I64", Dtype::I64, 8),
    ("U8", Dtype::U8, 1),
    ("BOOL", Dtype::BOOL, 1),
];

fn ours(bytes: &[u8]) -> inkstone::Result<SafeTensors> {
    match SafeTensors::parse(bytes, bytes.len() as u64, "m.safetensors")? {
        Parsed::Done(parsed) => Ok(parsed),
        Parsed::NeedMore(n) => panic!("the whole file is there, and {n} bytes are asked for"),
    }
}

#[test]
fn reads_what_the_crate_writes() {
    let mut random = Random(0x5AFE_7E45);
    let data = vec![7u8; 8 * 6 * 6 * 6];
    let mut tensors = 0;
    for _ in 0..500 {
        let mut views: Vec<(String, TensorView)> = Vec::new();
        for i in 0..random.below(9) {
            let (_, dtype, size) = TYPES[random.below(TYPES.len())];
            let shape: Vec<usize> = (0..random.below(4)).map(|_| random.below(7)).collect();
            let bytes = shape.iter().product::<usize>() * size;
            let name =
                ["a", "model.layers.0.weight", "ﬁne \"x\"", "", "__metadata"][i % 5].to_string() + &"'".repeat(i / 5);
            views.push((name, TensorView::new(dtype, shape, &data[..bytes]).unwrap()));
        }
        let metadata = (random.below(2) == 0).then(|| HashMap::from([("format".to_string(), "pt".to_string())]));
        let bytes =
            serialize(views.iter().map(|(name, view)| (name, view)), metadata.clone().map(|m| m.into_iter().collect()))
                .unwrap();
        let parsed = ours(&bytes).unwrap();
        assert_eq!(parsed.metadata.len(), metadata.map_or(0, |m| m.len()));
        assert_eq!(parsed.tensors.len() + parsed.others.len(), views.len());
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for tensor in &parsed.tensors {
            let view = theirs.tensor(&tensor.name).unwrap();
            assert_eq!(
                (tensor.shape.as_slice(), tensor.dtype.name()),
                (view.shape(), format!("{:?}", view.dtype()).as_str())
            );
            let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            assert_eq!((tensor.offset, tensor.bytes), (start as u64, view.data().len() as u64));
        }
        for (name, dtype) in &parsed.others {
            assert_eq!(*dtype, format!("{:?}", theirs.tensor(name).unwrap().dtype()));
        }
        tensors += views.len();
    }
    println!("500 files, {tensors} tensors");
}

/// Of headers with one thing wrong, both refuse the same ones, but for what ours reads on purpose.
#[test]
fn refuses_what_the_crate_refuses() {
    let mut random = Random(0xBAD_5AFE);
    let mut counts = HashMap::<(&str, bool, bool), usize>::new();
    for _ in 0..4_000 {
        let mut at = 0u64;
        let mut entries: Vec<(String, serde_json::Value)> = Vec::new();
        for i in 0..1 + random.below(4) {
            let (name, _, size) = TYPES[random.below(3)];
            let shape = [1 + random.below(4) as u64, 1 + random.below(4) as u64];
            let end = at + shape[0] * shape[1] * size as u64;
            entries.push((format!("t{i}"), json!({"dtype": name, "shape": shape, "data_offsets": [at, end]})));
            at = end;
        }
        let which = random.below(entries.len());
        let last = entries.last().unwrap().0.clone();
        let entry = &mut entries[which];
        let offsets = [0, 1].map(|i| entry.1["data_offsets"][i].as_u64().unwrap());
        let mut twice = false;
        let mut tail = 0;
        let flaw = match random.below(14) {
            0 => "none",
            1 => {
                entry.1["shape"] = json!([offsets[1] + 1]);
                "shape too large"
            }
            2 => {
                entry.1["shape"] = json!([u64::MAX, u64::MAX]);
                "shape overflows"
            }
            3 => {
                entry.1["data_offsets"] = json!([offsets[1], offsets[0]]);
                "offsets descend"
            }
            4 => {
                entry.1["data_offsets"] = json!([offsets[0] + 2, offsets[1] + 2]);
                if entry.0 == last { "beyond the end" } else { "overlap" }
            }
            5 => {
                entry.1["dtype"] = json!("F99");
                "unknown type"
            }
            6 => {
                entry.1["dtype"] = json!("F64");
                "type of another size"
            }
            7 => {
                twice = true;
                "name twice"
            }
            8 => {
                tail = 3;
                "bytes after the last tensor"
            }
            9 => {
                entry.1["shape"] = json!([-1]);
                "negative size"
            }
            10 => {
                entry.1.as_object_mut().unwrap().remove("data_offsets");
                "no offsets"
            }
            11 => {
                entry.1["data_offsets"] = json!([offsets[0], u64::MAX]);
                "offset overflows"
            }
            12 => {
                entry.1["data_offsets"] = json!([1.5, 2.5]);
                "offsets are fractions"
            }
            _ => {
                // The tensor is left out, its bytes stay.
                entries.remove(which);
                if entries.is_empty() || which == entries.len() { "no tensor at the end" } else { "gap" }
            }
        };
        let mut header: Vec<String> = entries.iter().map(|(name, entry)| format!("{name:?}:{entry}")).collect();
        if twice {
            header.push(header[which].clone());
        }
        let header = format!("{{{}}}", header.join(","));
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; at as usize + tail]].concat();
        let result = (ours(&bytes).is_ok(), safetensors::SafeTensors::deserialize(&bytes).is_ok());
        *counts.entry((flaw, result.0, result.1)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort();
    for ((flaw, ours, theirs), count) in counts {
        println!("{flaw}: ours {ours}, theirs {theirs}, {count} headers");
        // Read by ours alone: gaps, which do no harm; bytes that no tensor has; and a type that nobody may ask for, which is
        // refused where it is asked for. Refused by ours alone: a name that comes twice, of which the crate takes the last.
        let want = match flaw {
            "none" => [true, true],
            "gap" | "bytes after the last tensor" | "no tensor at the end" | "unknown type" => [true, false],
            // F64 is such a type; its size is the crate's to check.
            "type of another size" => [true, false],
            "name twice" => [false, true],
            _ => [false, false],
        };
        assert_eq!([ours, theirs], want, "{flaw}");
    }
}
