//! The tensors of a golden model: names and shapes from its file, values from a formula that
//! `tools/golden/diffusion.py` has too.

use super::formula::hashes;
use serde_json::{Value, json};

/// How a tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Four bytes.
    F32,
    /// Two bytes.
    F16,
}

/// A tensor of a made-up model.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The file that the formula knows it in: `unet/diffusion_pytorch_model.safetensors`.
    pub path: String,
    /// Its name there.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
}

impl Made {
    /// The tensor's values before they are stored.
    pub fn values(&self) -> Vec<f32> {
        let (middle, half) = spread(&self.name, &self.shape);
        let hash = hashes(&format!("{} {}", self.path, self.name));
        let unit = |i| ((hash(i) >> 48) as f64 - 32768.0) / 32768.0;
        (0..self.shape.iter().product()).map(|i| (middle + half * unit(i)) as f32).collect()
    }
}

/// The bytes of values stored in this way.
pub fn bytes(values: &[f32], stored: Stored) -> Vec<u8> {
    match stored {
        Stored::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Stored::F16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
    }
}

/// (middle, half-width) of a tensor's values. `diffusion.py` says why these.
fn spread(name: &str, shape: &[usize]) -> (f64, f64) {
    const GAINS: [(&str, f64); 6] =
        [("to_out.0", 2.0), ("net.2", 2.0), ("conv2", 2.0), ("fc2", 2.0), ("out_proj", 2.0), ("conv_out", 0.5)];
    if name.ends_with(".bias") {
        return (0.0, 0.25);
    }
    if shape.len() == 1 {
        return (1.0, 0.25);
    }
    if name.contains("_embedding.") && name.contains("embeddings.") {
        return (0.0, 0.5);
    }
    let unit = (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt().log2().round_ties_even().exp2();
    let module = name.strip_suffix(".weight").unwrap_or("");
    (0.0, unit * GAINS.iter().find(|(end, _)| module.ends_with(end)).map_or(1.0, |g| g.1))
}

/// The tensors of a tree of modules as golden files have it: a leaf is `"rows,columns"`, with a `+` if it has a bias, or
/// with a `=` if it is no module but a tensor itself.
pub fn tensors(path: &str, tree: &Value) -> Vec<Made> {
    fn visit(path: &str, prefix: &str, tree: &Value, found: &mut Vec<Made>) {
        let made = |end: &str, shape: &[usize]| Made {
            path: path.to_string(),
            name: format!("{prefix}{end}"),
            shape: shape.to_vec(),
        };
        if let Some(text) = tree.as_str() {
            let dims = text.trim_end_matches(['+', '=']).split(',');
            let shape: Vec<usize> = dims.map(|d| d.parse().unwrap_or_else(|_| panic!("{prefix}: {text}"))).collect();
            if text.ends_with('+') {
                found.push(made(".bias", &shape[..1]));
            }
            found.push(made(if text.ends_with('=') { "" } else { ".weight" }, &shape));
            return;
        }
        for (step, inner) in tree.as_object().unwrap_or_else(|| panic!("{prefix}: {tree}")) {
            let dot = if prefix.is_empty() { "" } else { "." };
            visit(path, &format!("{prefix}{dot}{step}"), inner, found);
        }
    }
    let mut found = Vec::new();
    visit(path, "", tree, &mut found);
    found
}

/// One safetensors file: the length of the header, the header, then the tensors' bytes one after the other.
pub fn safetensors(tensors: &[(String, Vec<usize>, Vec<u8>)], stored: Stored) -> Vec<u8> {
    let (mut header, mut start) = (serde_json::Map::new(), 0);
    header.insert("__metadata__".to_string(), json!({"format": "pt"}));
    for (name, shape, bytes) in tensors {
        let end = start + bytes.len();
        let entry = json!({"dtype": format!("{stored:?}"), "shape": shape, "data_offsets": [start, end]});
        assert!(header.insert(name.clone(), entry).is_none(), "{name} comes twice");
        start = end;
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    tensors.iter().for_each(|(_, _, bytes)| file.extend(bytes));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, shape: &[usize]) -> Made {
        Made { path: "unet/diffusion_pytorch_model.safetensors".into(), name: name.into(), shape: shape.to_vec() }
    }

    #[test]
    fn the_formula_is_the_one_that_made_the_golden_files() {
        // Printed by diffusion.py's own function.
        let wanted: [(&str, &[usize], [f32; 2]); 4] = [
            ("conv_in.weight", &[32, 4, 3, 3], [0.183_250_43, -0.248_771_67]),
            ("conv_out.weight", &[4, 32, 3, 3], [0.022_758_484, -0.046_823_5]),
            ("conv_norm_out.weight", &[32], [1.003_578_2, 0.915_451_05]),
            ("mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0.bias", &[7], [-0.014_045_715, 0.050_903_32]),
        ];
        for (name, shape, want) in wanted {
            assert_eq!(made(name, shape).values()[..2], want, "{name}");
        }
        let half = bytes(&made("conv_in.weight", &[32, 4, 3, 3]).values(), Stored::F16);
        assert_eq!([half::f16::from_le_bytes([half[0], half[1]]).to_f32(), half.len() as f32], [0.183_227_54, 2304.0]);
    }

    #[test]
    fn a_tree_has_its_tensors_in_the_order_of_their_names() {
        let tree = json!({"a": {"0": {"b": "2,3+", "d": "5="}}, "c": "4"});
        let names: Vec<_> = tensors("f", &tree).into_iter().map(|t| (t.name, t.shape)).collect();
        let wanted = [("a.0.b.bias", vec![2]), ("a.0.b.weight", vec![2, 3]), ("a.0.d", vec![5]), ("c.weight", vec![4])];
        assert_eq!(names, wanted.map(|(n, s)| (n.to_string(), s)));
    }
}
