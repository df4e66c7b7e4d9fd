//! The text encoders of Stable Diffusion: CLIP's (Radford et al. 2021) and OpenCLIP's. Field names are those of
//! transformers.
//!
//! Letters: N prompts (or chunks of one), T tokens of each (at most `positions`), D `dim`, F `ffn_dim`, P
//! `projection_dim`.

use super::layers::{Dense, layer_norm};
use crate::Result;
use crate::config::diffusion::clip::{self, ClipConfig};
use crate::gpu::{Graph, Region, Tensor, Weight};
use crate::load::Weights;
use crate::ops::{Activation, Attend, LayerNorm, Linear};

struct ClipLayer {
    layer_norm1: LayerNorm, // [D]
    qkv: Dense,             // [3D, D]
    out_proj: Dense,        // [D, D]
    layer_norm2: LayerNorm, // [D]
    fc1: Dense,             // [F, D]
    fc2: Dense,             // [D, F]
}

/// A text encoder's weights.
pub struct Clip {
    config: ClipConfig,
    token_embedding: Weight,    // [V, D]
    position_embedding: Weight, // [T, D]
    layers: Vec<ClipLayer>,
    final_layer_norm: LayerNorm,    // [D]
    text_projection: Option<Dense>, // [P, D]
}

/// The results that are wanted of a text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipWant {
    /// The hidden states are those before this many of the last layers.
    pub skip: usize,
    /// Whether the last normalisation follows.
    pub normed: bool,
    /// Whether the projected text is wanted, too.
    pub projected: bool,
}

/// The results of a text encoder.
pub struct ClipOutput<'g> {
    /// Hidden states, [N * T, D].
    pub hidden: Tensor<'g>,
    /// The projected last hidden state of every token, [N * T, P]; the one of the end token is the pooled text.
    pub projected: Option<Tensor<'g>>,
}

impl Clip {
    /// Binds the weights, whose names begin with `prefix`.
    ///
    /// # Errors
    /// [`crate::Error::Missing`] and [`crate::Error::Shape`] if they do not fit the configuration.
    pub fn bind(w: &Weights<'_>, prefix: &str, c: &ClipConfig) -> Result<Self> {
        let n = |name: &str| format!("{prefix}.text_model.{name}");
        let projection = format!("{prefix}.text_projection");
        Ok(Clip {
            token_embedding: w.matrix(&n("embeddings.token_embedding.weight"), [c.vocab, c.dim])?,
            position_embedding: w.matrix(&n("embeddings.position_embedding.weight"), [c.positions, c.dim])?,
            layers: (0..c.n_layers)
                .map(|i| ClipLayer::bind(w, &n(&format!("encoder.layers.{i}")), c))
                .collect::<Result<_>>()?,
            final_layer_norm: layer_norm(w, &n("final_layer_norm"), c.dim, c.norm_eps)?,
            text_projection: c.projection_dim.map(|p| Dense::bind(w, &projection, [p, c.dim], false)).transpose()?,
            config: c.clone(),
        })
    }

    /// Returns its configuration.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Encodes [N, T] tokens; `ids` and `positions` (0 to T - 1, N times) are on the GPU.
    #[track_caller]
    pub fn forward<'g>(
        &self,
        g: &'g Graph,
        [ids, positions]: [&Region; 2],
        [n, t]: [usize; 2],
        want: ClipWant,
    ) -> ClipOutput<'g> {
        let t = n * t;
        let x = g.embed(&self.token_embedding, ids, t, 1.0, None); // [N * T, D]
        let mut x = x.add_rows(g.embed(&self.position_embedding, positions, t, 1.0, None)); // [N * T, D]
        let wanted = self.layers.len().saturating_sub(want.skip);
        let last = if want.projected { self.layers.len() } else { wanted };
        let mut hidden = x;
        for (i, layer) in self.layers[..last].iter().enumerate() {
            x = layer.forward(x, n, &self.config); // [N * T, D]
            if i + 1 == wanted {
                hidden = x;
            }
        }
        let projection = self.text_projection.as_ref().filter(|_| want.projected);
        let projected = projection.map(|p| p.of(x.layer_norm(&self.final_layer_norm), Linear::default())); // [N * T, P]
        let hidden = if want.normed { hidden.layer_norm(&self.final_layer_norm) } else { hidden };
        ClipOutput { hidden, projected }
    }
}

impl ClipLayer {
    fn bind(w: &Weights<'_>, name: &str, c: &ClipConfig) -> Result<Self> {
        let n = |part: &str| format!("{name}.{part}");
        let qkv = ["q", "k", "v"].map(|p| (n(&format!("self_attn.{p}_proj")), c.dim));
        Ok(ClipLayer {
            layer_norm1: layer_norm(w, &n("layer_norm1"), c.dim, c.norm_eps)?,
            qkv: Dense::stack(w, &qkv, c.dim, true)?,
            out_proj: Dense::bind(w, &n("self_attn.out_proj"), [c.dim, c.dim], true)?,
            layer_norm2: layer_norm(w, &n("layer_norm2"), c.dim, c.norm_eps)?,
            fc1: Dense::bind(w, &n("mlp.fc1"), [c.ffn_dim, c.dim], true)?,
            fc2: Dense::bind(w, &n("mlp.fc2"), [c.dim, c.ffn_dim], true)?,
        })
    }

    fn forward<'g>(&self, x: Tensor<'g>, n: usize, c: &ClipConfig) -> Tensor<'g> {
        let (d, heads) = (c.dim, c.n_heads);
        let activation = match c.activation {
            clip::ClipActivation::Gelu => Activation::Gelu,
            clip::ClipActivation::QuickGelu => Activation::QuickGelu,
        };
        let qkv = self.qkv.of(x.layer_norm(&self.layer_norm1), Linear::default()); // [N * T, 3D]
        let (q, k, v) = ((qkv, 0), (qkv, d), (qkv, 2 * d));
        let a = Attend { n, heads, head_dim: d / heads, q, k, v, causal: true }.run(); // [N * T, D]
        let x = self.out_proj.of(a, Linear { residual: Some(x), ..Linear::default() }); // [N * T, D]
        let h = self.fc1.of(x.layer_norm(&self.layer_norm2), Linear { activation, ..Linear::default() }); // [N * T, F]
        self.fc2.of(h, Linear { residual: Some(x), ..Linear::default() }) // [N * T, D]
    }
}
