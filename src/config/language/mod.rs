//! What a language model is: the numbers that decide its shapes, from either kind of file.
//!
//! `json.rs` reads transformers' `config.json`, `gguf.rs` the metadata of a GGUF file. What differs
//! between architectures stands in one table, [`FAMILIES`].

mod gguf;
mod json;
pub mod names;
pub mod rope;

use crate::{Error, Result};
pub use rope::{Rope, RopeScaling};

/// The description of a language model, the same whichever file it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageConfig {
    /// One of [`LanguageConfig::SUPPORTED`]. (GGUF files of Mistral models say "llama", as both compute the same.)
    pub architecture: String,
    /// The model's own name, or its architecture if it has none.
    pub name: String,
    /// D: elements of a hidden state.
    pub dim: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// H: query heads.
    pub n_heads: usize,
    /// K: key and value heads; divides H.
    pub n_kv_heads: usize,
    /// Hd: elements of one head. H * Hd need not be D.
    pub head_dim: usize,
    /// F: elements between the two halves of the feed-forward network.
    pub ffn_dim: usize,
    /// V: rows of the embedding table.
    pub vocab: usize,
    /// Added to the mean square in every RMS norm.
    pub norm_eps: f32,
    /// The longest sequence the model was made for, in tokens.
    pub context_length: usize,
    /// How queries and keys are rotated. If a GGUF file has the tensor `rope_freqs.weight`, whoever loads it calls
    /// [`Rope::set_factors`] with its numbers.
    pub rope: Rope,
    /// Per layer, whether queries and keys are rotated at all.
    pub rope_layers: Vec<bool>,
    /// Per layer, how many of the latest positions a query sees (its own included); `None`: all.
    pub windows: Vec<Option<usize>>,
    /// Whether the output matrix is the embedding table; `None`: the configuration does not say.
    pub tied: Option<bool>,
    /// Whether the query, key and value projections have biases.
    pub attn_bias: bool,
    /// Whether the attention output projection has a bias.
    pub attn_output_bias: bool,
    /// Whether the feed-forward projections have biases.
    pub ffn_bias: bool,
    /// Whether queries and keys pass an RMS norm per head before the rotation.
    pub qk_norm: bool,
}

/// Which attention projections have biases.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Biases {
    Never,
    /// Query, key and value always, output never.
    Qkv,
    /// All four or none, as `attention_bias` says.
    AsConfigured,
}

/// Which layers look through a sliding window.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Windows {
    Never,
    /// All, if `sliding_window` is a number.
    All,
    /// If `use_sliding_window`: those that `layer_types` names, else those from `max_window_layers` on.
    Upper,
    /// If `use_sliding_window`: those that `layer_types` names, else those without rotation.
    Unrotated,
}

/// What sets one architecture apart, and what a `config.json` that leaves something out means by that.
pub(super) struct Family {
    /// `model_type` in `config.json` and `general.architecture` in GGUF.
    pub name: &'static str,
    /// The entry of `architectures` in `config.json`.
    pub class: &'static str,
    /// Whether GGUF files rotate neighbouring elements (converters then permute the query and key rows).
    pub gguf_interleaved: bool,
    pub qk_norm: bool,
    pub biases: Biases,
    /// Whether `mlp_bias` is heeded.
    pub ffn_bias: bool,
    pub windows: Windows,
    /// Every how many layers one is not rotated.
    pub unrotated_every: Option<usize>,
    /// Default of `num_key_value_heads`; `None`: as many as query heads.
    pub kv_heads: Option<usize>,
    /// Default of `head_dim`; `None`: an even share of the hidden size.
    pub head_dim: Option<usize>,
    pub context_length: usize,
    pub rope_base: f64,
    pub sliding_window: Option<usize>,
}

const LLAMA: Family = Family {
    name: "llama",
    class: "LlamaForCausalLM",
    gguf_interleaved: true,
    qk_norm: false,
    biases: Biases::AsConfigured,
    ffn_bias: true,
    windows: Windows::Never,
    unrotated_every: None,
    kv_heads: None,
    head_dim: None,
    context_length: 2048,
    rope_base: 10_000.0,
    sliding_window: None,
};

const QWEN2: Family = Family {
    name: "qwen2",
    class: "Qwen2ForCausalLM",
    gguf_interleaved: false,
    biases: Biases::Qkv,
    ffn_bias: false,
    windows: Windows::Upper,
    kv_heads: Some(32),
    context_length: 32_768,
    sliding_window: Some(4096),
    ..LLAMA
};

/// Every supported architecture. To add one that differs only in these respects, add a row.
pub(super) const FAMILIES: [Family; 5] = [
    LLAMA,
    Family {
        name: "mistral",
        class: "MistralForCausalLM",
        biases: Biases::Never,
        ffn_bias: false,
        windows: Windows::All,
        kv_heads: Some(8),
        context_length: 131_072,
        sliding_window: Some(4096),
        ..LLAMA
    },
    QWEN2,
    Family {
        name: "qwen3",
        class: "Qwen3ForCausalLM",
        qk_norm: true,
        biases: Biases::AsConfigured,
        head_dim: Some(128),
        ..QWEN2
    },
    Family {
        name: "smollm3",
        class: "SmolLM3ForCausalLM",
        windows: Windows::Unrotated,
        unrotated_every: Some(4),
        kv_heads: Some(4),
        context_length: 32_768,
        rope_base: 2_000_000.0,
        ..LLAMA
    },
];

impl Family {
    /// The family called `name`; [`Error::Unsupported`] with the list of those that there are.
    pub(super) fn find(name: &str, file: &str) -> Result<&'static Family> {
        FAMILIES.iter().find(|f| f.name == name || f.class == name).ok_or_else(|| {
            let known = LanguageConfig::SUPPORTED.join(", ");
            Error::unsupported(format!("{file}: architecture `{name}` is not supported; choose one of {known}"))
        })
    }

    /// Which of `n_layers` are rotated when nothing more is said.
    pub(super) fn rope_layers(&self, n_layers: usize, every: Option<usize>) -> Vec<bool> {
        (1..=n_layers).map(|n| every.is_none_or(|every| n % every != 0)).collect()
    }
}

/// No model comes near these; numbers beyond them are damage. They keep every product within 64 bits, and sizes of
/// lists made from a configuration small.
const LIMITS: [(&str, usize); 8] = [
    ("the hidden size", 1 << 18),
    ("the number of layers", 1 << 12),
    ("the number of heads", 1 << 13),
    ("the number of key-value heads", 1 << 13),
    ("the head size", 1 << 13),
    ("the feed-forward size", 1 << 21),
    ("the vocabulary size", 1 << 24),
    ("the context length", 1 << 30),
];

/// `n`, which stands for the limit called `what`, if it is from one to that limit.
pub(super) fn within(what: &'static str, n: usize, file: &str) -> Result<usize> {
    let limit = LIMITS.iter().find(|l| l.0 == what).map_or(usize::MAX, |l| l.1);
    if (1..=limit).contains(&n) { Ok(n) } else { Err(wrong(file, &format!("{what} is {n}"))) }
}

/// The error for a configuration in which `what` cannot be.
pub(super) fn wrong(file: &str, what: &str) -> Error {
    Error::format(file, format!("{what}, which cannot be: the configuration is damaged, download it again"))
}

impl LanguageConfig {
    /// The architectures that this version runs.
    pub const SUPPORTED: [&str; FAMILIES.len()] = {
        let mut names = [""; FAMILIES.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = FAMILIES[i].name;
            i += 1;
        }
        names
    };

    /// The whole, if its parts make sense together.
    pub(super) fn checked(self, file: &str) -> Result<Self> {
        let numbers = [
            self.dim,
            self.n_layers,
            self.n_heads,
            self.n_kv_heads,
            self.head_dim,
            self.ffn_dim,
            self.vocab,
            self.context_length,
        ];
        for ((what, _), n) in LIMITS.into_iter().zip(numbers) {
            within(what, n, file)?;
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            let what = format!("{} key-value heads do not divide {} heads", self.n_kv_heads, self.n_heads);
            return Err(wrong(file, &what));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return Err(wrong(file, &format!("the norm's epsilon is {}", self.norm_eps)));
        }
        let dims = self.rope.dims;
        if dims == 0 || !dims.is_multiple_of(2) || dims > self.head_dim {
            let what = format!("{dims} of {} elements of a head are rotated", self.head_dim);
            return Err(wrong(file, &what));
        }
        self.rope.check().map_err(|what| wrong(file, &format!("{what} is out of range")))?;
        if self.windows.contains(&Some(0)) {
            return Err(wrong(file, "the sliding window is 0"));
        }
        Ok(self)
    }
}
