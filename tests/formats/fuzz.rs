//! Thousands of damaged files of each kind. Each gives a result or an error; what is accepted keeps its promises.

use super::build::*;
use crate::{allowed, memory};
use inkstone::config::language::{LanguageConfig, MixerConfig};
use inkstone::format::gguf::Gguf;
use inkstone::format::safetensors::{SafeTensors, ShardIndex};
use inkstone::format::{Parsed, TensorInfo};
use inkstone::{Error, Result};

/// Every damaged file counts; so does what became of it.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    largest: usize,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.largest = self.largest.max(other.largest);
    }

    /// Read `bytes` with `read`, which returns an error or checks what it accepts.
    fn feed(&mut self, bytes: &[u8], read: impl FnOnce(&[u8]) -> Result<()>) {
        let (result, most) = memory::peak(|| read(bytes));
        assert!(most <= allowed(bytes.len()), "{most} bytes held for a file of {} bytes", bytes.len());
        self.largest = self.largest.max(most);
        match result {
            Ok(()) => self.accepted += 1,
            Err(error) => {
                self.refused += 1;
                assert!(matches!(error.code(), "Format" | "Unsupported" | "Missing" | "Shape"), "{error}");
                // Sentences, not dumps of the damage.
                assert!(error.to_string().len() < 1_000 + bytes.len(), "{error}");
            }
        }
    }

    fn report(&self, what: &str) {
        let Tally { accepted, refused, largest } = self;
        println!(
            "{what}: {} files, {refused} refused, {accepted} read, {largest} bytes held at most",
            accepted + refused
        );
    }
}

fn check_tensors(tensors: &[TensorInfo], file_len: u64) {
    for t in tensors {
        let len: usize = t.shape.iter().product();
        assert_eq!(t.dtype.bytes(len), Some(t.bytes as usize), "{t:?}");
        assert!(t.offset + t.bytes <= file_len, "{t:?}");
    }
    assert!(tensors.windows(2).all(|w| w[0].offset + w[0].bytes <= w[1].offset));
    let mut names: Vec<_> = tensors.iter().map(|t| &t.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), tensors.len());
}

fn check_config(config: &LanguageConfig) {
    assert!(LanguageConfig::SUPPORTED.contains(&config.architecture.as_str()));
    assert!(config.dim > 0 && config.vocab > 0 && config.context_length > 0 && !config.layers.is_empty());
    for layer in &config.layers {
        let norms = [layer.norms.before_mixer, layer.norms.after_mixer, layer.norms.before_ffn, layer.norms.after_ffn];
        assert!(norms.iter().flatten().all(|n| n.eps.is_finite()) && layer.ffn.dim > 0);
        assert!(layer.residual_scale.is_finite());
        match &layer.mixer {
            MixerConfig::Attention(a) => {
                assert!(a.heads.is_multiple_of(a.kv_heads) && a.key_dim > 0 && a.value_dim > 0 && a.scale.is_finite());
                assert!(a.window != Some(0) && a.soft_cap.is_none_or(f32::is_finite));
                assert!(a.rope.is_none_or(|i| config.ropes[i].dims <= a.key_dim));
            }
            MixerConfig::ShortConv(c) => assert!(c.width > 0),
        }
    }
    for rope in &config.ropes {
        for (inv_freq, factor) in [Some(rope.table()), rope.long_table()].into_iter().flatten() {
            assert_eq!(inv_freq.len() * 2, rope.dims);
            assert!(factor.is_finite() && inv_freq.iter().all(|f| f.is_finite()));
        }
    }
}

fn read_gguf(bytes: &[u8]) -> Result<()> {
    let file_len = bytes.len() as u64;
    match Gguf::parse(bytes, file_len, "m.gguf")? {
        Parsed::NeedMore(n) => panic!("{n} bytes asked for, of a file that is all there"),
        Parsed::Done(gguf) => {
            check_tensors(&gguf.tensors, file_len);
            check_config(&LanguageConfig::from_gguf(&gguf.metadata, &gguf.tensors)?);
            Ok(())
        }
    }
}

fn read_safetensors(bytes: &[u8]) -> Result<()> {
    let file_len = bytes.len() as u64;
    match SafeTensors::parse(bytes, file_len, "m.safetensors")? {
        Parsed::NeedMore(n) => panic!("{n} bytes asked for, of a file that is all there"),
        Parsed::Done(parsed) => {
            check_tensors(&parsed.tensors, file_len);
            Ok(())
        }
    }
}

/// Every beginning of `file`: as all that there is, and as what has arrived so far of the whole.
fn truncate(file: &[u8], read: fn(&[u8]) -> Result<()>, need: fn(&[u8], u64) -> Result<Option<u64>>) -> Tally {
    let mut tally = Tally::default();
    for len in 0..file.len() {
        tally.feed(&file[..len], |bytes| {
            let result = read(bytes);
            assert!(result.is_err(), "{len} of {} bytes passed for a whole file", file.len());
            result
        });
        tally.feed(&file[..len], |bytes| {
            let asked = need(bytes, file.len() as u64)?;
            assert!(asked.is_none_or(|n| n > len as u64 && n <= file.len() as u64), "{asked:?} asked for after {len}");
            Ok(())
        });
    }
    tally
}

#[test]
fn truncated_gguf() {
    let mut tally = Tally::default();
    for version in [2, 3] {
        let mut file = llama();
        file.version = version;
        let bytes = file.bytes();
        read_gguf(&bytes).unwrap();
        let one = truncate(&bytes, read_gguf, |head, file_len| {
            Ok(match Gguf::parse(head, file_len, "m.gguf")? {
                Parsed::NeedMore(n) => Some(n),
                Parsed::Done(_) => None,
            })
        });
        // As a whole file each is refused; as a beginning each is understood or more is asked for.
        assert_eq!((one.refused, one.accepted), (bytes.len(), bytes.len()));
        tally.add(one);
    }
    tally.report("truncated GGUF");
    assert!(tally.refused >= 5_000);
}

#[test]
fn truncated_safetensors() {
    let bytes = small_safetensors();
    read_safetensors(&bytes).unwrap();
    let mut tally = Tally::default();
    let header = r#"{"a":{"dtype":"F32","shape":[1250],"data_offsets":[36,5036]},
        "b":{"dtype":"F16","shape":[18],"data_offsets":[0,36]}}"#;
    for bytes in [bytes, safetensors(header, 5036)] {
        let one = truncate(&bytes, read_safetensors, |head, file_len| {
            Ok(match SafeTensors::parse(head, file_len, "m.safetensors")? {
                Parsed::NeedMore(n) => Some(n),
                Parsed::Done(_) => None,
            })
        });
        // As a whole file each is refused; as a beginning each is understood or more is asked for.
        assert_eq!((one.refused, one.accepted), (bytes.len(), bytes.len()));
        tally.add(one);
    }
    tally.report("truncated safetensors");
    assert!(tally.refused >= 5_000);
}

/// `rounds` damaged copies of `file`, its first `header` bytes more often than the others.
fn damage(file: &[u8], header: usize, rounds: usize, seed: u64, read: fn(&[u8]) -> Result<()>) -> Tally {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    for round in 0..rounds {
        let mut bytes = file.to_vec();
        let part = if round % 8 == 0 { bytes.len() } else { header };
        random.damage(&mut bytes[..part]);
        tally.feed(&bytes, read);
    }
    // The damage must be neither harmless nor always fatal, else nothing is tested.
    assert!(tally.refused > rounds / 20 && tally.accepted > rounds / 100, "{} refused", tally.refused);
    tally
}

#[test]
fn damaged_gguf() {
    let bytes = llama().bytes();
    let weights: usize = llama().tensors.iter().map(|t| t.bytes).sum();
    damage(&bytes, bytes.len() - weights, 40_000, 1, read_gguf).report("damaged GGUF");
}

#[test]
fn damaged_safetensors() {
    let bytes = small_safetensors();
    damage(&bytes, bytes.len() - 3436, 40_000, 2, read_safetensors).report("damaged safetensors");
}

#[test]
fn damaged_configuration_and_index() {
    fn config(bytes: &[u8]) -> Result<()> {
        LanguageConfig::from_json(bytes, "config.json").map(|config| check_config(&config))
    }
    fn index(bytes: &[u8]) -> Result<()> {
        ShardIndex::parse(bytes, "m.index.json").map(|index| assert!(!index.files().is_empty()))
    }
    for (i, text) in super::config::GOOD.iter().enumerate() {
        config(text.as_bytes()).unwrap();
        damage(text.as_bytes(), text.len(), 10_000, 10 + i as u64, config).report("damaged config.json");
    }
    let text =
        r#"{"metadata":{"total_size":8},"weight_map":{"a.weight":"model-1.safetensors","b":"model-2.safetensors"}}"#;
    index(text.as_bytes()).unwrap();
    damage(text.as_bytes(), text.len(), 5_000, 20, index).report("damaged index");
}

#[test]
fn noise() {
    let mut random = Random(3);
    let mut tally = Tally::default();
    for round in 0..6_000 {
        let mut bytes: Vec<u8> = (0..random.below(600)).map(|_| random.next() as u8).collect();
        match round % 3 {
            0 => {
                // A believable beginning, so that the noise is read at all.
                let start = [&b"GGUF\x03\0\0\0"[..], &[random.below(3) as u8, 0, 0, 0, 0, 0, 0, 0]].concat();
                bytes.splice(0..0, start);
                tally.feed(&bytes, read_gguf);
            }
            1 => {
                let header = [&b"{\"a\":"[..], &bytes, b"}"].concat();
                let mut file = (header.len() as u64).to_le_bytes().to_vec();
                file.extend(header);
                tally.feed(&file, read_safetensors);
            }
            _ => tally.feed(&bytes, |bytes| LanguageConfig::from_json(bytes, "config.json").map(drop)),
        }
    }
    tally.report("noise");
    assert_eq!((tally.accepted, tally.refused), (0, 6_000));
}

#[test]
fn json_that_grows_when_read() {
    // Short text, many values: the shapes that would cost most per byte.
    let mut tally = Tally::default();
    let many = |unit: &str| unit.repeat(20_000);
    for values in [many("0,"), many("[],"), many("{},"), many("\"\","), many("null,"), many("[[[],[]]],")] {
        let list = format!("[{}0]", values);
        for key in ["architectures", "layer_types", "no_rope_layers", "rope_parameters", "rope_scaling", "unknown"] {
            let text = format!(r#"{{"model_type":"llama","{key}":{list}}}"#);
            tally.feed(text.as_bytes(), |bytes| LanguageConfig::from_json(bytes, "config.json").map(drop));
            let text = format!(r#"{{"model_type":"llama","rope_scaling":{{"{key}":{list}}}}}"#);
            tally.feed(text.as_bytes(), |bytes| LanguageConfig::from_json(bytes, "config.json").map(drop));
        }
        for key in ["dtype", "shape", "data_offsets", "unknown"] {
            let header = format!(r#"{{"a":{{"{key}":{list}}}}}"#);
            tally.feed(&safetensors(&header, 0), read_safetensors);
        }
        tally.feed(&safetensors(&format!(r#"{{"__metadata__":{list}}}"#), 0), read_safetensors);
    }
    let names: Vec<String> = (0..5_000).map(|i| format!(r#""{i}":"""#)).collect();
    tally.feed(&safetensors(&format!(r#"{{"__metadata__":{{{}}}}}"#, names.join(",")), 0), read_safetensors);
    let tensors: Vec<String> =
        (0..5_000).map(|i| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#)).collect();
    tally.feed(&safetensors(&format!("{{{}}}", tensors.join(",")), 0), read_safetensors);
    let map = format!(r#"{{"weight_map":{{{}}}}}"#, names.join(",").replace("\"\"", "\"x\""));
    tally.feed(map.as_bytes(), |bytes| ShardIndex::parse(bytes, "m.index.json").map(drop));
    tally.report("JSON of many values");
    assert_eq!(tally.accepted, 3);
}

#[test]
fn metadata_of_many_small_things() {
    let mut tally = Tally::default();
    for entries in [
        (0..5_000).map(|i| (format!("{i}"), entry(0, &[1]))).collect::<Vec<_>>(),
        (0..5_000).map(|i| (format!("{i}"), string(""))).collect(),
        vec![("s".into(), strings(&vec![""; 50_000]))],
        vec![("n".into(), array(9, 50_000, &array(0, 0, &[]).0[4..].repeat(50_000)))],
    ] {
        let mut file = GgufFile::new(&[], &[]);
        file.entries = entries.into_iter().map(|(k, v)| (k.into_bytes(), v)).collect();
        tally.feed(&file.bytes(), |bytes| {
            Gguf::parse(bytes, bytes.len() as u64, "m.gguf").map(|parsed| assert!(matches!(parsed, Parsed::Done(_))))
        });
    }
    let many: Vec<Tensor> = (0..5_000).map(|i| tensor(&format!("{i}"), &[1], inkstone::dtype::DType::F32)).collect();
    tally.feed(&GgufFile::new(&[], &many).bytes(), |bytes| match read_gguf(bytes) {
        Err(Error::Format { what, .. }) if what.contains("general.architecture") => Ok(()),
        other => other,
    });
    tally.report("GGUF of many small things");
    assert_eq!((tally.accepted, tally.refused), (5, 0));
}
