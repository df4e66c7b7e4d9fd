//! Small writers of files, valid ones and (where a field is set by hand) invalid ones; and random numbers.

use inkstone::dtype::DType;

/// A metadata entry as bytes: type number, then the value.
#[derive(Clone)]
pub struct Entry(pub Vec<u8>);

pub fn entry(kind: u32, value: &[u8]) -> Entry {
    Entry([&kind.to_le_bytes(), value].concat())
}

pub fn text(s: &[u8]) -> Vec<u8> {
    [&(s.len() as u64).to_le_bytes(), s].concat()
}

pub fn u32(x: u32) -> Entry {
    entry(4, &x.to_le_bytes())
}

pub fn f32(x: f32) -> Entry {
    entry(6, &x.to_le_bytes())
}

pub fn string(s: &str) -> Entry {
    entry(8, &text(s.as_bytes()))
}

/// An array of `count` values of type `kind`, whose bytes are `values`.
pub fn array(kind: u32, count: u64, values: &[u8]) -> Entry {
    entry(9, &[&kind.to_le_bytes(), &count.to_le_bytes()[..], values].concat())
}

pub fn strings<S: AsRef<str>>(list: &[S]) -> Entry {
    let bytes: Vec<u8> = list.iter().flat_map(|s| text(s.as_ref().as_bytes())).collect();
    array(8, list.len() as u64, &bytes)
}

/// A tensor of a GGUF file to be.
#[derive(Clone)]
pub struct Tensor {
    pub name: Vec<u8>,
    /// Innermost first, as the file has them.
    pub dims: Vec<u64>,
    pub kind: u32,
    /// Where it says it is; `None`: where it is.
    pub offset: Option<u64>,
    pub bytes: usize,
}

pub fn tensor(name: &str, dims: &[u64], dtype: DType) -> Tensor {
    let bytes = dtype.bytes(dims.iter().product::<u64>() as usize).unwrap();
    Tensor { name: name.into(), dims: dims.to_vec(), kind: dtype.gguf(), offset: None, bytes }
}

/// A GGUF file to be.
#[derive(Clone)]
pub struct GgufFile {
    pub version: u32,
    pub alignment: usize,
    pub entries: Vec<(Vec<u8>, Entry)>,
    pub tensors: Vec<Tensor>,
    /// What the header says instead of the true counts.
    pub tensor_count: Option<u64>,
    pub entry_count: Option<u64>,
}

impl GgufFile {
    pub fn new(entries: &[(&str, Entry)], tensors: &[Tensor]) -> Self {
        let entries = entries.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.clone())).collect();
        let (tensor_count, entry_count) = (None, None);
        GgufFile { version: 3, alignment: 32, entries, tensors: tensors.to_vec(), tensor_count, entry_count }
    }

    pub fn set(&mut self, key: &str, value: Entry) {
        self.entries.retain(|(k, _)| k != key.as_bytes());
        self.entries.push((key.into(), value));
    }

    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(k, _)| k != key.as_bytes());
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.entry_count.unwrap_or(self.entries.len() as u64).to_le_bytes());
        for (key, Entry(value)) in &self.entries {
            out.extend(text(key));
            out.extend(value);
        }
        let mut end = 0;
        for t in &self.tensors {
            let start = usize::next_multiple_of(end, self.alignment);
            out.extend(text(&t.name));
            out.extend((t.dims.len() as u32).to_le_bytes());
            t.dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(t.kind.to_le_bytes());
            out.extend(t.offset.unwrap_or(start as u64).to_le_bytes());
            end = start + t.bytes;
        }
        if end > 0 {
            let start = out.len().next_multiple_of(self.alignment);
            out.resize(start + end, 0xA5);
        }
        out
    }
}

/// Metadata of a small Llama that makes sense.
pub fn llama_entries() -> Vec<(&'static str, Entry)> {
    let tokens: Vec<String> = (0..40).map(|i| format!("▁piece{i}")).collect();
    vec![
        ("general.architecture", string("llama")),
        ("general.name", string("Tiny")),
        ("general.file_type", u32(7)),
        ("llama.block_count", u32(2)),
        ("llama.context_length", u32(128)),
        ("llama.embedding_length", u32(64)),
        ("llama.feed_forward_length", u32(96)),
        ("llama.attention.head_count", u32(4)),
        ("llama.attention.head_count_kv", u32(2)),
        ("llama.attention.layer_norm_rms_epsilon", f32(1e-5)),
        ("llama.rope.freq_base", f32(10_000.0)),
        ("llama.rope.dimension_count", u32(16)),
        ("tokenizer.ggml.model", string("llama")),
        ("tokenizer.ggml.tokens", strings(&tokens)),
        ("tokenizer.ggml.scores", array(6, 40, &[0; 160])),
        ("tokenizer.ggml.token_type", array(5, 40, &[1; 160])),
        ("tokenizer.ggml.add_bos_token", entry(7, &[1])),
    ]
}

/// A small Llama as a GGUF file, with one value of every type of metadata in it.
pub fn llama() -> GgufFile {
    let mut entries = llama_entries();
    entries.extend([
        ("any.u8", entry(0, &[200])),
        ("any.i8", entry(1, &[0xFF])),
        ("any.u16", entry(2, &60_000u16.to_le_bytes())),
        ("any.i16", entry(3, &(-5i16).to_le_bytes())),
        ("any.i32", entry(5, &(-70_000i32).to_le_bytes())),
        ("any.u64", entry(10, &(1u64 << 40).to_le_bytes())),
        ("any.i64", entry(11, &(-(1i64 << 40)).to_le_bytes())),
        ("any.f64", entry(12, &0.1f64.to_le_bytes())),
        (
            "any.nested",
            array(9, 2, &[array(4, 1, &[9, 0, 0, 0]).0[4..].to_vec(), array(0, 0, &[]).0[4..].to_vec()].concat()),
        ),
        ("any.empty", array(8, 0, &[])),
    ]);
    let mut tensors = vec![
        tensor("token_embd.weight", &[64, 40], DType::Q8_0),
        tensor("output_norm.weight", &[64], DType::F32),
        tensor("output.weight", &[64, 40], DType::F16),
    ];
    for i in 0..2 {
        let block = |name: &str| format!("blk.{i}.{name}.weight");
        tensors.extend([
            tensor(&block("attn_norm"), &[64], DType::F32),
            tensor(&block("attn_q"), &[64, 64], DType::Q4_0),
            tensor(&block("attn_k"), &[64, 32], DType::Q4_1),
            tensor(&block("ffn_norm"), &[64], DType::F32),
            tensor(&block("ffn_up"), &[64, 96], DType::IQ4NL),
        ]);
    }
    GgufFile::new(&entries, &tensors)
}

/// A safetensors file: the header text and as many bytes after it.
pub fn safetensors(header: &str, bytes: usize) -> Vec<u8> {
    let mut out = text(header.as_bytes());
    out.resize(out.len() + bytes, 0x5A);
    out
}

/// A small valid safetensors file.
pub fn small_safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt","note":"ﬁne"},
        "model.embed_tokens.weight":{"dtype":"BF16","shape":[40,16],"data_offsets":[0,1280]},
        "model.layers.0.self_attn.q_proj.weight":{"dtype":"F16","shape":[16,16],"data_offsets":[1280,1792]},
        "model.layers.0.mlp.up_proj.weight":{"dtype":"F32","shape":[24,16],"data_offsets":[1800,3336]},
        "model.norm.weight":{"dtype":"F32","shape":[16],"data_offsets":[3336,3400]},
        "text_model.embeddings.position_ids":{"dtype":"I64","shape":[1,4],"data_offsets":[3400,3432]},
        "scale":{"dtype":"F32","shape":[],"data_offsets":[3432,3436]},
        "nothing":{"dtype":"F16","shape":[0,7],"data_offsets":[3436,3436]}}"#;
    safetensors(header, 3436)
}

/// Reproducible random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Damage `file`: up to four flipped bits, or a number of 1, 2, 4 or 8 bytes replaced by one that is at an edge.
    pub fn damage(&mut self, file: &mut [u8]) {
        const EDGES: [u64; 12] =
            [0, 1, 2, 3, 9, 0x7F, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 40, i64::MAX as u64, u64::MAX];
        if self.below(3) > 0 {
            for _ in 0..=self.below(4) {
                let at = self.below(file.len());
                file[at] ^= 1 << self.below(8);
            }
        } else {
            let width = 1 << self.below(4);
            let at = self.below(file.len().saturating_sub(width).max(1));
            let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
            let end = (at + width).min(file.len());
            file[at..end].copy_from_slice(&edge[..end - at]);
        }
    }
}
