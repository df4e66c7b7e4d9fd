//! What is measured: layers of SmolLM2, Llama 3.2 1B, Qwen3 4B, Stable Diffusion 1.5 and SDXL.

use inkstone::dtype::DType;
use inkstone::load::repack::planes;

/// What a case is expected to wait for.
#[derive(Clone, Copy)]
pub enum Bound {
    Reading,
    Computing,
}

/// What a case runs.
#[derive(Clone, Copy)]
pub enum Op {
    /// `[t, k] x [n, k]`; GATED: of 2 n rows.
    Linear { t: usize, n: usize, k: usize, dtype: DType, gated: bool },
    /// The sum of a decoded position's attention over its splits, times `[n, heads * head_dim]`.
    Merge { n: usize, heads: usize, head_dim: usize },
    /// A convolution of `side` by `side`, stride 1, of `n` pictures of `h` by `h`.
    Conv { n: usize, h: usize, from: usize, to: usize, side: usize },
    /// Rows attend to rows, without a cache.
    Attend { n: usize, t: usize, s: usize, heads: usize, head_dim: usize },
    /// Rows attend to a cache of which `before` positions are filled.
    Attention { t: usize, before: usize, heads: usize, kv_heads: usize, head_dim: usize },
    /// GroupNorm with SiLU.
    GroupNorm { n: usize, h: usize, channels: usize },
}

/// A kernel at a shape.
#[derive(Clone)]
pub struct Case {
    /// The kernel that it is about.
    pub kernel: &'static str,
    /// Where it occurs, and its shape.
    pub name: String,
    pub op: Op,
    pub bound: Bound,
    /// Bytes that must be read or written: weights, the cache, and activations once each.
    pub bytes: f64,
    /// Operations that must be done; a multiply-add is two.
    pub flops: f64,
}

/// Bytes of `[n, k]` as kernels read it.
fn weight_bytes(dtype: DType, n: usize, k: usize) -> usize {
    let p = planes(dtype);
    n * k.div_ceil(dtype.block_len().max(32)) * (p.quants + p.scales)
}

fn linear(place: &str, t: usize, n: usize, k: usize, dtype: DType, gated: bool) -> Case {
    let rows = if gated { 2 * n } else { n };
    Case {
        kernel: if t == 1 { "linear_vec" } else { "linear_tile" },
        name: format!("{place} {t} x {rows} x {k} {}", dtype.name()),
        op: Op::Linear { t, n, k, dtype, gated },
        bound: if t == 1 { Bound::Reading } else { Bound::Computing },
        bytes: (weight_bytes(dtype, rows, k) + 4 * t * (k + n)) as f64,
        flops: (2 * t * rows * k) as f64,
    }
}

fn merge(place: &str, n: usize, heads: usize, head_dim: usize) -> Case {
    Case {
        name: format!("{place} with merge"),
        op: Op::Merge { n, heads, head_dim },
        ..linear(place, 1, n, heads * head_dim, DType::Q4_0, false)
    }
}

fn conv(place: &str, n: usize, h: usize, from: usize, to: usize, side: usize) -> Case {
    let k = side * side * from;
    Case {
        kernel: "conv2d",
        name: format!("{place} {n} x {h} x {h}, {from} to {to}, {side} x {side}"),
        op: Op::Conv { n, h, from, to, side },
        bound: Bound::Computing,
        bytes: (weight_bytes(DType::F16, to, k) + 4 * n * h * h * (from + to)) as f64,
        flops: (2 * n * h * h * k * to) as f64,
    }
}

fn attend(place: &str, n: usize, [t, s]: [usize; 2], heads: usize, head_dim: usize) -> Case {
    Case {
        kernel: "attend",
        name: format!("{place} {n} x {t} to {s}, {heads} heads of {head_dim}"),
        op: Op::Attend { n, t, s, heads, head_dim },
        bound: Bound::Computing,
        bytes: (4 * n * heads * head_dim * 2 * (t + s)) as f64,
        flops: (4 * n * heads * head_dim * t * s) as f64,
    }
}

fn attention(place: &str, t: usize, before: usize, [heads, kv_heads, head_dim]: [usize; 3]) -> Case {
    // Row i sees the rows before it and itself.
    let pairs = t * before + t * (t + 1) / 2;
    Case {
        kernel: if t == 1 { "attention_decode" } else { "attention" },
        name: format!("{place} {t} after {before}, {heads} heads of {head_dim}"),
        op: Op::Attention { t, before, heads, kv_heads, head_dim },
        bound: if t == 1 { Bound::Reading } else { Bound::Computing },
        bytes: (2 * 2 * (before + t) * kv_heads * head_dim + 4 * 2 * t * heads * head_dim) as f64,
        flops: (4 * heads * head_dim * pairs) as f64,
    }
}

fn group_norm(place: &str, n: usize, h: usize, channels: usize) -> Case {
    Case {
        kernel: "group_norm",
        name: format!("{place} {n} x {h} x {h} x {channels}"),
        op: Op::GroupNorm { n, h, channels },
        bound: Bound::Reading,
        // Once for the sums, once for the result.
        bytes: (4 * 3 * n * h * h * channels) as f64,
        flops: 0.0,
    }
}

/// Every case.
pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    // The five matrices of a layer, and the head.
    let llama = [("qkv", 3072, 2048, false), ("o", 2048, 2048, false), ("gate, up", 8192, 2048, true)];
    let qwen = [("qkv", 6144, 2560, false), ("o", 2560, 4096, false), ("gate, up", 9728, 2560, true)];
    for dtype in [DType::Q4_0, DType::Q4K, DType::Q6K, DType::Q8_0, DType::F16] {
        for t in [1, 512] {
            if t == 1 || dtype == DType::Q4_0 || dtype == DType::F16 {
                all.extend(llama.map(|(place, n, k, gated)| linear(&format!("Llama {place}"), t, n, k, dtype, gated)));
                all.push(linear("Llama down", t, 2048, 8192, dtype, false));
            }
            if dtype == DType::Q4_0 {
                all.extend(qwen.map(|(place, n, k, gated)| linear(&format!("Qwen3 {place}"), t, n, k, dtype, gated)));
                all.push(linear("Qwen3 down", t, 2560, 9728, dtype, false));
            }
        }
        all.push(linear("Llama head", 1, 128_256, 2048, dtype, false));
    }
    // What an adapter that computes on the CPU can hold: the demo model, a token and a chunk of its prompt.
    for t in [1, 8, 32] {
        let smol = [
            ("qkv", 960, 576, false),
            ("o", 576, 576, false),
            ("gate, up", 1536, 576, true),
            ("down", 576, 1536, false),
        ];
        all.extend(smol.map(|(place, n, k, gated)| linear(&format!("SmolLM2 {place}"), t, n, k, DType::Q4_1, gated)));
    }
    all.push(linear("SmolLM2 head", 1, 49_152, 576, DType::Q8_0, false));
    all.extend([merge("Llama o", 2048, 32, 64), merge("Qwen3 o", 2560, 32, 128)]);
    for (place, t, n, k, gated) in [
        ("SD q", 8192, 320, 320, false),
        ("SD geglu", 8192, 1280, 320, true),
        ("SD down", 8192, 320, 1280, false),
        ("SD geglu", 512, 5120, 1280, true),
        ("SDXL q", 2048, 1280, 1280, false),
        ("SDXL geglu", 2048, 5120, 1280, true),
        ("text q", 77, 768, 768, false),
    ] {
        all.push(linear(place, t, n, k, DType::F16, gated));
    }
    all.extend([
        conv("small", 1, 32, 32, 32, 3),
        conv("small", 1, 8, 128, 128, 3),
        conv("small", 1, 16, 96, 64, 1),
        conv("small", 1, 64, 64, 3, 3),
        conv("SD", 2, 64, 320, 320, 3),
        conv("SD", 2, 64, 960, 320, 3),
        conv("SD", 2, 32, 640, 640, 3),
        conv("SD", 2, 16, 1280, 1280, 3),
        conv("SD", 2, 8, 1280, 1280, 3),
        conv("SD", 2, 32, 960, 640, 1),
        conv("SDXL", 2, 128, 320, 320, 3),
        conv("decoder", 1, 64, 512, 512, 3),
        conv("decoder", 1, 256, 256, 256, 3),
        conv("decoder", 1, 512, 128, 128, 3),
        attend("small", 2, [256, 256], 8, 8),
        attend("small decoder", 1, [256, 256], 1, 128),
        attend("SD", 2, [4096, 4096], 8, 40),
        attend("SD", 2, [1024, 1024], 8, 80),
        attend("SD text", 2, [4096, 77], 8, 40),
        attend("SDXL", 2, [4096, 4096], 10, 64),
        attend("decoder", 1, [4096, 4096], 1, 512),
        group_norm("SD", 2, 64, 320),
        group_norm("decoder", 1, 512, 128),
    ]);
    let heads = [("SmolLM2", [9, 3, 64]), ("Llama", [32, 8, 64]), ("Qwen3", [32, 8, 128])];
    for (place, heads) in heads {
        all.extend(
            [(1, 100), (1, 4000), (16, 240), (16, 496), (512, 0), (512, 3584)]
                .map(|(t, before)| attention(place, t, before, heads)),
        );
    }
    all
}
