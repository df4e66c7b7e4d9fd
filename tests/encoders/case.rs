//! A golden case: a folder as sentence-transformers publishes it, texts, and what that library computed.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use support::models::weights::{Made, Rule, Stored};

/// What was computed of all texts behind one prompt.
pub struct Rows {
    /// The prompt's name; `None`: whatever the folder does by default.
    pub prompt: Option<String>,
    /// Ids of each text.
    pub ids: Vec<Vec<u32>>,
    /// Vectors before they are made of length one, or logits.
    pub raw: Vec<f32>,
    /// What `encode` returns, or `predict`.
    pub encoded: Vec<f32>,
}

/// One case of `tests/encoders/golden`.
pub struct Case {
    pub name: String,
    /// "embed" or "rerank".
    pub kind: String,
    pub stored: Stored,
    pub texts: Vec<String>,
    /// Of a reranker, query and document.
    pub pairs: Vec<[String; 2]>,
    /// Token types of each pair.
    pub types: Vec<Vec<u32>>,
    pub rows: Vec<Rows>,
    json: Value,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/encoders/golden")
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn ids(value: &Value) -> Vec<Vec<u32>> {
    let all = value.as_array().unwrap().iter();
    all.map(|row| row.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_string()).collect()
}

impl Case {
    /// Reads the case called `name`.
    pub fn read(name: &str) -> Case {
        let json: Value = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
        let floats = bytemuck::pod_collect_to_vec::<u8, f32>(&read(&format!("{name}.f32")));
        let texts = strings(&json["texts"]);
        let pairs: Vec<[String; 2]> = json["pairs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| strings(pair).try_into().expect("a query and a document"))
            .collect();
        let count = texts.len() + pairs.len();
        let width = |i: usize| json["widths"][i].as_u64().unwrap() as usize;
        let mut left = &floats[..];
        let mut take = |width: usize| {
            let (rows, rest) = left.split_at(count * width);
            left = rest;
            rows.to_vec()
        };
        let mut block = |prompt: Option<String>, list: &Value| Rows {
            prompt,
            ids: ids(list),
            raw: take(width(0)),
            encoded: take(width(1)),
        };
        let mut rows = vec![block(None, &json["ids"])];
        for (name, of) in json["prompted"].as_object().into_iter().flatten() {
            rows.push(block(Some(name.clone()), &of["ids"]));
        }
        assert!(left.is_empty(), "{name}.f32 is longer than {name}.json says");
        Case {
            name: name.to_string(),
            kind: json["kind"].as_str().unwrap().to_string(),
            stored: Stored::named(json["dtype"].as_str().unwrap()),
            types: if pairs.is_empty() { Vec::new() } else { ids(&json["type_ids"]) },
            texts,
            pairs,
            rows,
            json,
        }
    }

    /// What llama.cpp's converter makes of the case, if it knows the model.
    pub fn manifest(&self) -> Option<Value> {
        let name = format!("{}.gguf.json", self.name);
        folder().join(&name).exists().then(|| serde_json::from_slice(&read(&name)).unwrap())
    }

    /// Reads every case, in order of their names.
    pub fn all() -> Vec<Case> {
        let mut names: Vec<String> = std::fs::read_dir(folder())
            .unwrap()
            .filter_map(|f| Some(f.unwrap().file_name().to_str()?.strip_suffix(".f32")?.to_string()))
            .collect();
        names.sort();
        names.iter().map(|name| Case::read(name)).collect()
    }

    /// The text of a prompt; without a name that of the folder's default, if it has one.
    pub fn prompt_text(&self, name: Option<&str>) -> String {
        let settings = &self.json["files"]["config_sentence_transformers.json"];
        let name = name.or(settings["default_prompt_name"].as_str());
        name.map_or(String::new(), |name| settings["prompts"][name].as_str().unwrap_or_default().to_string())
    }

    /// How many layers the model has.
    pub fn layers(&self) -> usize {
        let config = self.file("config.json");
        let key = ["num_hidden_layers", "num_layers", "n_layers", "n_layer"].into_iter().find(|k| config[k].is_u64());
        config[key.expect("a number of layers")].as_u64().unwrap() as usize
    }

    /// The tensors of all files, by the names that the formula knows them by.
    pub fn tensors(&self) -> BTreeMap<String, Made> {
        let files = self.json["tensors"].as_object().unwrap();
        files.iter().flat_map(|(file, tensors)| self.made(file, tensors)).map(|t| (t.name.clone(), t)).collect()
    }

    /// The tensors of a file. The formula knows them by their folder's name besides.
    fn made(&self, file: &str, tensors: &Value) -> Vec<Made> {
        let before = folder_of(file);
        let tensors = tensors.as_array().unwrap().iter();
        let made = |t: &Value| Made::with(format!("{before}{}", t[0].as_str().unwrap()), &shape(&t[1]), &self.rules());
        tensors.map(made).collect()
    }

    /// A small file of the folder, to be changed.
    pub fn file(&self, name: &str) -> Value {
        self.json["files"][name].clone()
    }

    /// The whole folder.
    pub fn folder(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.json["files"].as_object().unwrap();
        let mut out: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, content)| (name.clone(), content.to_string().into_bytes())).collect();
        let tokenizer = format!("tokenizers/{}.json", self.json["tokenizer"].as_str().unwrap());
        out.insert("tokenizer.json".to_string(), read(&tokenizer));
        for (name, tensors) in self.json["tensors"].as_object().unwrap() {
            out.insert(name.clone(), self.safetensors(name, tensors));
        }
        out
    }

    fn safetensors(&self, file: &str, tensors: &Value) -> Vec<u8> {
        let before = folder_of(file);
        let (mut header, mut bytes) = (Map::new(), Vec::new());
        let mut add = |name: &str, kind: &str, shape: &[usize], values: Vec<u8>| {
            let offsets = [bytes.len(), bytes.len() + values.len()];
            bytes.extend(values);
            header.insert(name.to_string(), json!({"dtype": kind, "shape": shape, "data_offsets": offsets}));
        };
        for made in self.made(file, tensors) {
            let name = made.name.strip_prefix(before).unwrap();
            add(name, &format!("{:?}", self.stored), &made.shape, made.bytes(self.stored));
        }
        for tensor in self.json["integers"].as_array().into_iter().flatten().filter(|_| before.is_empty()) {
            let shape = shape(&tensor[1]);
            let values = (0..shape.iter().product::<usize>() as i64).flat_map(i64::to_le_bytes).collect();
            add(tensor[0].as_str().unwrap(), "I64", &shape, values);
        }
        let mut header = serde_json::to_vec(&header).unwrap();
        header.resize(header.len().next_multiple_of(8), b' ');
        [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat()
    }

    fn rules(&self) -> Vec<Rule> {
        let number = |v: &Value| v.as_f64().unwrap() as f32;
        let rule = |r: &Value| (r[0].as_str().unwrap().to_string(), number(&r[1]), number(&r[2]));
        self.json["spread"].as_array().into_iter().flatten().map(rule).collect()
    }
}

/// The folder of a file, with its slash, or nothing.
fn folder_of(file: &str) -> &str {
    file.rfind('/').map_or("", |slash| &file[..=slash])
}

fn shape(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect()
}

/// The cosine of the angle between two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The largest difference of two vectors' elements.
pub fn furthest(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs()).fold(0.0, f64::max)
}
