//! The transformers of a noise predictor: every pixel attends to all others and to the prompt. Letters as in [`super`].

use crate::Result;
use crate::config::diffusion::unet::UnetConfig;
use crate::gpu::{Region, Tensor};
use crate::load::Weights;
use crate::models::layers::{Dense, group_norm, layer_norm};
use crate::ops::{Attend, Gate, GroupNorm, LayerNorm, Linear, Map};

/// Keys and values of the prompt in every transformer block, side by side: [N * S, 2C].
pub type PromptKv<'g> = [Tensor<'g>];

/// Attention to the picture, attention to the prompt, and a gated feed-forward.
pub(super) struct TransformerBlock {
    norm1: LayerNorm,    // [C]
    attn1_qkv: Dense,    // [3C, C]
    attn1_to_out: Dense, // [C, C]
    norm2: LayerNorm,    // [C]
    attn2_to_q: Dense,   // [C, C]
    attn2_kv: Dense,     // [2C, X]
    attn2_to_out: Dense, // [C, C]
    norm3: LayerNorm,    // [C]
    ff_in: Dense,        // [8C, C]
    ff_out: Dense,       // [C, 4C]
}

/// Transformer blocks between two projections, with a residual connection around them.
pub(super) struct Transformer {
    norm: GroupNorm, // [C]
    proj_in: Dense,  // [C, C]
    blocks: Vec<TransformerBlock>,
    proj_out: Dense, // [C, C]
    heads: usize,
    /// The number of its first block among all the model's.
    first: usize,
}

impl Transformer {
    /// Binds the weights. `first`: the number of its first block among all the model's.
    pub fn bind(
        w: &Weights<'_>,
        config: &UnetConfig,
        name: &str,
        [c, depth, heads, first]: [usize; 4],
    ) -> Result<Self> {
        let block = |k: usize| {
            TransformerBlock::bind(w, &format!("{name}.transformer_blocks.{k}"), c, config.cross_attention_dim)
        };
        Ok(Transformer {
            norm: group_norm(w, &format!("{name}.norm"), c, config.norm_num_groups, 1e-6)?,
            proj_in: Dense::bind(&w.sparing(), &format!("{name}.proj_in"), [c, c], true)?,
            blocks: (0..depth).map(block).collect::<Result<_>>()?,
            proj_out: Dense::bind(&w.sparing(), &format!("{name}.proj_out"), [c, c], true)?,
            heads,
            first,
        })
    }

    pub fn blocks(&self) -> &[TransformerBlock] {
        &self.blocks
    }

    pub fn forward<'g>(&self, x: Map<'g>, context: &PromptKv<'g>) -> Map<'g> {
        let h = x.group_norm(&self.norm, false); // [N * H * W, C]
        let mut h = self.proj_in.of(h.t, Linear::default());
        for (block, context) in self.blocks.iter().zip(&context[self.first..]) {
            h = block.forward(h, x.n, self.heads, *context); // [N * H * W, C]
        }
        x.with(self.proj_out.of(h, Linear { residual: Some(x.t), ..Linear::default() }))
    }
}

impl TransformerBlock {
    fn bind(w: &Weights<'_>, name: &str, c: usize, cross_attention_dim: usize) -> Result<Self> {
        let n = |part: &str| format!("{name}.{part}");
        let of =
            |attn: &str, names: &[&str]| -> Vec<_> { names.iter().map(|p| (n(&format!("{attn}.{p}")), c)).collect() };
        Ok(TransformerBlock {
            norm1: layer_norm(w, &n("norm1"), c, 1e-5)?,
            attn1_qkv: Dense::stack(w, &of("attn1", &["to_q", "to_k", "to_v"]), c, false)?,
            attn1_to_out: Dense::bind(w, &n("attn1.to_out.0"), [c, c], true)?,
            norm2: layer_norm(w, &n("norm2"), c, 1e-5)?,
            attn2_to_q: Dense::bind(w, &n("attn2.to_q"), [c, c], false)?,
            attn2_kv: Dense::stack(w, &of("attn2", &["to_k", "to_v"]), cross_attention_dim, false)?,
            attn2_to_out: Dense::bind(w, &n("attn2.to_out.0"), [c, c], true)?,
            norm3: layer_norm(w, &n("norm3"), c, 1e-5)?,
            ff_in: Dense::bind(w, &n("ff.net.0.proj"), [8 * c, c], true)?,
            ff_out: Dense::bind(w, &n("ff.net.2"), [c, 4 * c], true)?,
        })
    }

    /// Writes keys and values of the encoded prompt.   [N * S, X] -> [N * S, 2C]
    pub fn context(&self, text: Tensor<'_>, into: &Region) {
        self.attn2_kv.write(text, into);
    }

    fn forward<'g>(&self, x: Tensor<'g>, n: usize, heads: usize, context: Tensor<'g>) -> Tensor<'g> {
        let c = x.shape().last();
        let head_dim = c / heads;
        let attend = |q, k, v| Attend { n, heads, head_dim, q, k, v, causal: false }.run(); // [N * H * W, C]
        let qkv = self.attn1_qkv.of(x.layer_norm(&self.norm1), Linear::default()); // [N * H * W, 3C]
        let a = attend((qkv, 0), (qkv, c), (qkv, 2 * c));
        let x = self.attn1_to_out.of(a, Linear { residual: Some(x), ..Linear::default() });
        let q = self.attn2_to_q.of(x.layer_norm(&self.norm2), Linear::default()); // [N * H * W, C]
        let a = attend((q, 0), (context, 0), (context, c));
        let x = self.attn2_to_out.of(a, Linear { residual: Some(x), ..Linear::default() });
        let gate = Some(Gate::Geglu);
        let h = self.ff_in.of(x.layer_norm(&self.norm3), Linear { gate, ..Linear::default() }); // [N * H * W, 4C]
        self.ff_out.of(h, Linear { residual: Some(x), ..Linear::default() })
    }
}
