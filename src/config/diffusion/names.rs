//! Names of tensors: those of diffusers folders, and the original ones that single-file checkpoints and LoRAs use.

/// Returns the name by which a model asks for the tensor that a folder's `part` stores as `name`: after the part's own
/// name, in the present spelling. `None` for what is no weight.
///
/// Older files call the projections of a VAE's attention `query`, `key`, `value` and `proj_attn`; newer ones leave
/// `text_model` out where there is nothing beside it.
pub fn canonical(part: &str, name: &str) -> Option<String> {
    if name.ends_with("position_ids") {
        return None;
    }
    let bare = part.starts_with("text_encoder") && !name.starts_with("text_model.") && !name.starts_with("text_proj");
    let name = if bare { format!("text_model.{name}") } else { name.to_string() };
    let (head, stem) = name.split_at(name.find(".attentions.0.").map_or(0, |at| at + ".attentions.0.".len()));
    let renamed = if part == "vae" && !head.is_empty() { Table::Attention.find(stem) } else { None };
    Some(format!("{part}.{head}{}", renamed.as_deref().unwrap_or(stem)))
}

/// Layers of a residual block of a UNet: the original name, and that of diffusers.
const RESNET: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// Layers that a UNet has once.
const ONCE: [(&str, &str); 8] = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("time_embed.cond_proj", "time_embedding.cond_proj"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

/// Layers of a VAE's attention: the original name and those of older diffusers, and the present one.
const ATTENTION: [(&str, &str); 9] = [
    ("norm", "group_norm"),
    ("q", "to_q"),
    ("k", "to_k"),
    ("v", "to_v"),
    ("proj_out", "to_out.0"),
    ("query", "to_q"),
    ("key", "to_k"),
    ("value", "to_v"),
    ("proj_attn", "to_out.0"),
];

/// Parts of a layer of an OpenCLIP text tower, but for `in_proj`, which holds three in one.
const OPEN_CLIP: [(&str, &str); 5] = [
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];

/// Which tables there are.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Resnet,
    Once,
    Attention,
    OpenClip,
}

impl Table {
    fn rows(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Table::Resnet => &RESNET,
            Table::Once => &ONCE,
            Table::Attention => &ATTENTION,
            Table::OpenClip => &OPEN_CLIP,
        }
    }

    /// Converts an original name `stem.weight` (or bias) to that of diffusers.
    pub fn find(self, name: &str) -> Option<String> {
        let (stem, kind) = name.rsplit_once('.')?;
        self.rows().iter().find(|(from, _)| *from == stem).map(|(_, to)| format!("{to}.{kind}"))
    }

    /// Converts a stem of diffusers to the original one.
    pub fn original(self, stem: &str) -> Option<&'static str> {
        self.rows().iter().find(|(_, to)| *to == stem).map(|(from, _)| *from)
    }
}

/// Returns the number that a name begins with, and what follows its dot.
pub(super) fn number(name: &str) -> Option<(usize, &str)> {
    let (digits, rest) = name.split_once('.')?;
    let plain = digits.len() < 4 && (digits == "0" || !digits.starts_with('0'));
    if plain && digits.bytes().all(|b| b.is_ascii_digit()) { Some((digits.parse().ok()?, rest)) } else { None }
}
