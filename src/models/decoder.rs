//! The decoder of Llama and its kin: Llama 2 and 3, Mistral, Qwen2, Qwen3, SmolLM2 and SmolLM3. What sets them apart is
//! said by [`LanguageConfig`]: biases, norms of heads, sliding windows, layers without positions.
//!
//! Letters: T tokens in this call, S in the cache, D `dim`, H `n_heads`, K `n_kv_heads`, Hd `head_dim`, F `ffn_dim`, V `vocab`.

use crate::config::language::LanguageConfig;
use crate::gpu::{Buffer, Gpu, Graph, Region, Tensor, Weight};
use crate::load::{Part, Weights};
use crate::ops::{Attention, Gate, KvLayer, Linear, Rope, turns};
use crate::{Error, Result};
use std::rc::Rc;

/// One block. Fields are named like the tensors of a GGUF file; those that are read together are stacked.
struct Block {
    attn_norm: Weight,                // [D]
    attn_qkv: Weight,                 // [(H + 2K) * Hd, D]
    attn_qkv_bias: Option<Weight>,    // [(H + 2K) * Hd]
    attn_q_norm: Option<Weight>,      // [Hd]
    attn_k_norm: Option<Weight>,      // [Hd]
    attn_output: Weight,              // [D, H * Hd]
    attn_output_bias: Option<Weight>, // [D]
    ffn_norm: Weight,                 // [D]
    ffn_gate_up: Weight,              // [2F, D]
    ffn_gate_up_bias: Option<Weight>, // [2F]
    ffn_down: Weight,                 // [D, F]
    ffn_down_bias: Option<Weight>,    // [D]
}

/// A decoder's weights.
pub struct Decoder {
    config: LanguageConfig,
    token_embd: Weight, // [V, D]
    blocks: Vec<Block>,
    output_norm: Weight, // [D]
    output: Weight,      // [V, D]
    frequencies: Region,
    no_frequencies: Region,
    rope_factor: f32,
}

/// Keys and values of every layer.
pub struct KvCache {
    layers: Vec<KvLayer>,
    /// S: how many positions fit.
    pub capacity: usize,
}

/// What a forward pass reads besides weights.
pub struct Step<'a> {
    /// Token ids on the GPU.
    pub ids: &'a Region,
    /// `[0]` the first token's position, `[1]` how many tokens there are.
    pub state: &'a Region,
    /// The cache.
    pub kv: &'a KvCache,
}

impl Decoder {
    /// Binds the weights.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Shape`] if they do not fit the configuration, [`Error::Unsupported`] for heads that
    /// no kernel can take.
    pub fn bind(w: &Weights<'_>, c: &LanguageConfig, gpu: &Rc<Gpu>) -> Result<Self> {
        let (d, q, kv, f) = (c.dim, c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim, c.ffn_dim);
        let (inv_freq, rope_factor) = c.rope.table();
        let words: Vec<u32> = inv_freq.into_iter().map(turns).collect();
        let table = |words: &[u32]| {
            let buffer = Buffer::storage(gpu, "rope frequencies", (words.len() * 4) as u64);
            buffer.write(0, bytemuck::cast_slice(words));
            buffer.region()
        };
        let decoder = Decoder {
            token_embd: w.matrix("token_embd.weight", [c.vocab, d])?,
            blocks: (0..c.n_layers).map(|i| Block::bind(w, c, i, [d, q, kv, f])).collect::<Result<_>>()?,
            output_norm: w.vector("output_norm.weight", d)?,
            output: match w.has("output.weight") || c.tied == Some(false) {
                true => w.matrix("output.weight", [c.vocab, d])?,
                false => w.matrix("token_embd.weight", [c.vocab, d])?,
            },
            frequencies: table(&words),
            no_frequencies: table(&vec![0; words.len()]),
            rope_factor,
            config: c.clone(),
        };
        // Kernels load four elements at a time and hold tiles of keys and values in 16 KiB.
        if !c.head_dim.is_multiple_of(4) || c.head_dim > 256 {
            let what =
                format!("heads of {} elements are not supported; they must be a multiple of 4, up to 256", c.head_dim);
            return Err(Error::unsupported(what));
        }
        Ok(decoder)
    }

    /// An empty cache for `capacity` positions; `exact`: of f32 instead of f16.
    pub fn cache(&self, gpu: &Rc<Gpu>, capacity: usize, exact: bool) -> KvCache {
        let bytes = Self::cache_bytes(&self.config, capacity, exact) / (2 * self.config.n_layers as u64);
        let layer = |_| {
            let (k, v) = (Buffer::storage(gpu, "keys", bytes), Buffer::storage(gpu, "values", bytes));
            KvLayer { k: k.region(), v: v.region(), capacity, exact }
        };
        KvCache { layers: (0..self.config.n_layers).map(layer).collect(), capacity }
    }

    /// D: elements of a hidden state.
    pub fn dim(&self) -> usize {
        self.config.dim
    }

    /// Bytes of a cache for `capacity` positions.
    pub fn cache_bytes(c: &LanguageConfig, capacity: usize, exact: bool) -> u64 {
        let element = if exact { 4 } else { 2 };
        (2 * c.n_layers * c.n_kv_heads * c.head_dim * element) as u64 * capacity as u64
    }

    /// How many positions a cache can hold whose layers must fit bindings of `binding` bytes.
    pub fn most_positions(c: &LanguageConfig, binding: u64, exact: bool) -> usize {
        let layers_and_both = (2 * c.n_layers) as u64;
        (binding / (Self::cache_bytes(c, 1, exact) / layers_and_both).max(1)) as usize
    }

    /// The hidden states after the last block, not yet normalised, of up to `t` tokens.   -> [T, D]
    pub fn hidden<'g>(&self, g: &'g Graph, step: &Step<'_>, t: usize) -> Tensor<'g> {
        let state = (t > 1).then_some(step.state);
        let mut x = g.embed(&self.token_embd, step.ids, t, state); // [T, D]
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &self.attention(i, step), &self.config, state); // [T, D]
        }
        x
    }

    /// Logits of every row.   [T, D] -> [T, V]
    pub fn logits<'g>(&self, x: Tensor<'g>, state: Option<&Region>) -> Tensor<'g> {
        let norm = Some((&self.output_norm, self.config.norm_eps));
        x.linear_with(&self.output, Linear { norm, state, ..Linear::default() }) // [T, V]
    }

    fn attention<'a>(&'a self, i: usize, step: &Step<'a>) -> Attention<'a> {
        let (c, b) = (&self.config, &self.blocks[i]);
        let rope = Rope {
            heads: c.n_heads,
            kv_heads: c.n_kv_heads,
            head_dim: c.head_dim,
            dims: c.rope.dims,
            interleaved: c.rope.interleaved,
            frequencies: if c.rope_layers[i] { &self.frequencies } else { &self.no_frequencies },
            factor: if c.rope_layers[i] { self.rope_factor } else { 1.0 },
            head_norm: b.attn_q_norm.as_ref().zip(b.attn_k_norm.as_ref()).map(|(q, k)| (q, k, c.norm_eps)),
            state: step.state,
        };
        Attention { rope, kv: &step.kv.layers[i], window: c.windows[i] }
    }
}

impl Block {
    fn bind(w: &Weights<'_>, c: &LanguageConfig, i: usize, [d, q, kv, f]: [usize; 4]) -> Result<Self> {
        let n = |stem: &str| format!("blk.{i}.{stem}.weight");
        let b = |stem: &str| format!("blk.{i}.{stem}.bias");
        let head_norm = |stem| c.qk_norm.then(|| w.vector(&n(stem), c.head_dim)).transpose();
        let biases = |on: bool, parts: &[Part<'_>]| on.then(|| w.vectors(parts)).transpose();
        Ok(Block {
            attn_norm: w.vector(&n("attn_norm"), d)?,
            attn_qkv: w.stack(&[(&n("attn_q"), q), (&n("attn_k"), kv), (&n("attn_v"), kv)], d)?,
            attn_qkv_bias: biases(c.attn_bias, &[(&b("attn_q"), q), (&b("attn_k"), kv), (&b("attn_v"), kv)])?,
            attn_q_norm: head_norm("attn_q_norm")?,
            attn_k_norm: head_norm("attn_k_norm")?,
            attn_output: w.matrix(&n("attn_output"), [d, q])?,
            attn_output_bias: biases(c.attn_output_bias, &[(&b("attn_output"), d)])?,
            ffn_norm: w.vector(&n("ffn_norm"), d)?,
            ffn_gate_up: w.stack(&[(&n("ffn_gate"), f), (&n("ffn_up"), f)], d)?,
            ffn_gate_up_bias: biases(c.ffn_bias, &[(&b("ffn_gate"), f), (&b("ffn_up"), f)])?,
            ffn_down: w.matrix(&n("ffn_down"), [d, f])?,
            ffn_down_bias: biases(c.ffn_bias, &[(&b("ffn_down"), d)])?,
        })
    }

    #[rustfmt::skip] // shapes stand in a column
    fn forward<'g>(
        &self, x: Tensor<'g>, attention: &Attention<'_>, c: &LanguageConfig, state: Option<&Region>,
    ) -> Tensor<'g> {
        let norm = Some((&self.attn_norm, c.norm_eps));
        let bias = self.attn_qkv_bias.as_ref();
        let qkv = x.linear_with(&self.attn_qkv, Linear { norm, bias, state, ..Linear::default() }); // [T, (H + 2K) * Hd]
        let (bias, residual) = (self.attn_output_bias.as_ref(), Some(x));
        let x = if x.rows()[0] == 1 && attention.can_decode(x.graph().gpu()) {
            let a = attention.decode(qkv);                                           // splits of [1, H * Hd]
            a.merge_linear(&self.attn_output, c.head_dim, bias, residual)            // [1, D]
        } else {
            let a = attention.prefill(qkv);                                          // [T, H * Hd]
            a.linear_with(&self.attn_output, Linear { bias, residual, state, ..Linear::default() }) // [T, D]
        };
        let (norm, bias) = (Some((&self.ffn_norm, c.norm_eps)), self.ffn_gate_up_bias.as_ref());
        let h = x.linear_with(&self.ffn_gate_up, Linear { norm, bias, gate: Some(Gate::Silu), state, ..Linear::default() }); // [T, F]
        let (bias, residual) = (self.ffn_down_bias.as_ref(), Some(x));
        h.linear_with(&self.ffn_down, Linear { bias, residual, state, ..Linear::default() })        // [T, D]
    }
}
