//! A golden case: a config.json, how its weights are stored, its tokens, and what `transformers` computed.

use super::weights::{Made, Rule, Stored, tokens};
use serde_json::Value;
use std::path::PathBuf;

/// One case of `tests/models/golden` or of `tests/models/families`.
pub struct Case {
    /// The name of its two files.
    pub name: String,
    /// config.json, spelled as the case wants it.
    pub config: Value,
    /// How the weights are stored.
    pub stored: Stored,
    /// The tokens to run.
    pub tokens: Vec<u32>,
    /// Positions whose logits are kept.
    pub rows: Vec<usize>,
    /// Their logits: rows x vocab.
    pub logits: Vec<f32>,
    /// Best token of every position, or, in a case longer than 200 tokens, of those in `rows`.
    pub top1: Vec<u32>,
    /// Names and shapes of the tensors, where the case lists them.
    pub listed: Option<Vec<(String, Vec<usize>)>>,
    /// The case's own rules for their values.
    pub rules: Vec<Rule>,
}

/// The folder of the golden files that `models.py` makes.
pub fn folder() -> PathBuf {
    crate::root().join("tests/models/golden")
}

/// The folder of those that `families.py` makes.
pub fn families() -> PathBuf {
    crate::root().join("tests/models/families")
}

/// The names of all cases in a folder, in order.
fn names_in(folder: PathBuf) -> Vec<String> {
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> =
        files.filter_map(|f| Some(f.unwrap().file_name().to_str()?.strip_suffix(".f32")?.to_string())).collect();
    names.sort();
    names
}

/// `key` of an object as a count.
pub fn count(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}")) as usize
}

impl Case {
    /// Reads the case called `name`.
    pub fn read(name: &str) -> Case {
        let old = folder().join(format!("{name}.json")).exists();
        let folder = if old { folder() } else { families() };
        let read = |ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let json: Value = serde_json::from_slice(&read("json")).unwrap();
        let config = json["config"].clone();
        let vocab = count(&config, "vocab_size");
        let n = count(&json["tokens"], "count");
        let rows: Vec<usize> = (count(&json["rows"], "first")..n).step_by(count(&json["rows"], "step")).collect();
        let logits: Vec<f32> = read("f32").chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(logits.len(), rows.len() * vocab, "{name}.f32 has another size than {name}.json says");
        let top1: Vec<u32> = json["top1"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap() as u32).collect();
        assert_eq!(top1.len(), if n <= 200 { n } else { rows.len() }, "{name}: best tokens");
        let number = |v: &Value| v.as_f64().unwrap() as f32;
        let rule = |r: &Value| (r[0].as_str().unwrap().to_string(), number(&r[1]), number(&r[2]));
        let tensor = |t: &Value| {
            let shape = t[1].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
            (t[0].as_str().unwrap().to_string(), shape)
        };
        Case {
            name: name.to_string(),
            listed: json["tensors"].as_array().map(|all| all.iter().map(tensor).collect()),
            rules: json["spread"].as_array().map_or(Vec::new(), |all| all.iter().map(rule).collect()),
            stored: Stored::named(json["dtype"].as_str().unwrap()),
            tokens: tokens(count(&json["tokens"], "seed") as u64, n, vocab),
            config,
            rows,
            logits,
            top1,
        }
    }

    /// The names of all cases that `models.py` makes, in order.
    pub fn names() -> Vec<String> {
        names_in(folder())
    }

    /// The names of all cases that `families.py` makes, in order.
    pub fn families() -> Vec<String> {
        names_in(families())
    }

    /// The family, as config.json names it.
    pub fn family(&self) -> &str {
        self.config["model_type"].as_str().unwrap()
    }

    /// V.
    pub fn vocab(&self) -> usize {
        count(&self.config, "vocab_size")
    }

    /// H, K and Hd, of a family that spells them as Llama does.
    pub fn heads(&self) -> (usize, usize, usize) {
        let heads = count(&self.config, "num_attention_heads");
        let kv = self.config["num_key_value_heads"].as_u64().map_or(heads, |k| k as usize);
        let size = self.config["head_dim"].as_u64().map(|d| d as usize);
        (heads, kv, size.unwrap_or_else(|| count(&self.config, "hidden_size") / heads))
    }

    /// Whether the output matrix is the embedding table. Families differ in what a config.json without the key means, so
    /// where the case lists its tensors they decide.
    pub fn tied(&self) -> bool {
        match &self.listed {
            Some(listed) => !listed.iter().any(|(name, _)| name == "lm_head.weight" || name == "embed_out.weight"),
            None => self.config["tie_word_embeddings"].as_bool().unwrap(),
        }
    }

    /// Every tensor of the model, under its transformers name, in the order in which transformers lists them, or those
    /// that the case lists: under their published names, in the order of a published file.
    pub fn tensors(&self) -> Vec<Made> {
        if let Some(listed) = &self.listed {
            return listed.iter().map(|(name, shape)| Made::with(name, shape, &self.rules)).collect();
        }
        let c = &self.config;
        let (dim, ffn, (heads, kv, size)) = (count(c, "hidden_size"), count(c, "intermediate_size"), self.heads());
        let bias = |key: &str| c[key].as_bool().unwrap_or(false);
        let (qkv_bias, output_bias) = match self.family() {
            "qwen2" => (true, false),
            _ => (bias("attention_bias"), bias("attention_bias")),
        };
        let mut all = vec![Made::new("model.embed_tokens.weight", &[self.vocab(), dim])];
        for layer in 0..count(c, "num_hidden_layers") {
            let mut add = |name: &str, shape: &[usize], biased: bool| {
                let name = format!("model.layers.{layer}.{name}");
                all.push(Made::new(format!("{name}.weight"), shape));
                if biased {
                    all.push(Made::new(format!("{name}.bias"), &shape[..1]));
                }
            };
            add("self_attn.q_proj", &[heads * size, dim], qkv_bias);
            add("self_attn.k_proj", &[kv * size, dim], qkv_bias);
            add("self_attn.v_proj", &[kv * size, dim], qkv_bias);
            add("self_attn.o_proj", &[dim, heads * size], output_bias);
            if self.family() == "qwen3" {
                add("self_attn.q_norm", &[size], false);
                add("self_attn.k_norm", &[size], false);
            }
            add("mlp.gate_proj", &[ffn, dim], bias("mlp_bias"));
            add("mlp.up_proj", &[ffn, dim], bias("mlp_bias"));
            add("mlp.down_proj", &[dim, ffn], bias("mlp_bias"));
            add("input_layernorm", &[dim], false);
            add("post_attention_layernorm", &[dim], false);
        }
        all.push(Made::new("model.norm.weight", &[dim]));
        if !self.tied() {
            all.push(Made::new("lm_head.weight", &[self.vocab(), dim]));
        }
        all
    }
}
