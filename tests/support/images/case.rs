//! A golden model: its files as JSON, its tensors, what was run on it, and what came of that.

use super::formula;
use super::weights::{Made, Stored, tensors};
use serde_json::Value;
use std::path::PathBuf;

/// A result that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Outermost dimension first. Finished pictures are `[height, width, 3]`, all else has the channels first.
    pub shape: Vec<usize>,
    /// Row-major. Finished pictures are in 0..1, in steps of 1 / 65535.
    pub values: Vec<f32>,
    /// Standard deviation of the values.
    pub deviation: f64,
    /// The largest difference to the same computation in float64.
    pub rounding: f64,
}

/// One thing that was run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The model's name and what is run, for messages.
    pub title: String,
    /// Its description: README.md has the keys.
    pub json: Value,
    data: Vec<u8>,
}

/// A golden model.
pub struct Model {
    /// The name of its two files.
    pub name: String,
    /// What was run on it.
    pub runs: Vec<Run>,
    json: Value,
}

/// The folder of the golden files.
pub fn folder() -> PathBuf {
    crate::root().join("tests/images/golden")
}

/// Reads a golden file.
pub fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A list of counts.
fn counts(value: &Value) -> Vec<usize> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value} is a list"));
    list.iter().map(|n| n.as_u64().unwrap_or_else(|| panic!("{value} has counts")) as usize).collect()
}

impl Model {
    /// Reads the model called `name`.
    pub fn read(name: &str) -> Model {
        let mut json: Value = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
        let data = read(&format!("{name}.bin"));
        let Value::Array(runs) = json["runs"].take() else { panic!("{name}.json has runs") };
        let run = |json: Value| {
            let what = match json["of"].as_str().unwrap() {
                "paint" => format!("{} {}", json["prompt"], json["options"]),
                "unet" => format!("unet t {} {} seed {}", json["timestep"], json["size"], json["seed"]),
                other => format!("{other} seed {}", json["seed"]),
            };
            Run { title: format!("{name}: {what}"), json, data: data.clone() }
        };
        Model { name: name.to_string(), runs: runs.into_iter().map(run).collect(), json }
    }

    /// The names of all models, in order.
    pub fn names() -> Vec<String> {
        let files = std::fs::read_dir(folder()).expect("the golden folder is there");
        let mut names: Vec<String> =
            files.filter_map(|f| Some(f.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_string())).collect();
        names.sort();
        names
    }

    /// Its JSON files by path; none if it is a folder of the project.
    pub fn files(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.json["files"].as_object().into_iter().flatten()
    }

    /// Its weight files: path, how they are stored, tensors.
    pub fn weights(&self) -> Vec<(&String, Stored, Vec<Made>)> {
        let entry = |(path, file): (&'_ String, &Value)| {
            let stored = match file["dtype"].as_str() {
                Some("F32") => Stored::F32,
                Some("F16") => Stored::F16,
                other => panic!("{path} is stored as {other:?}"),
            };
            (stored, tensors(path, &file["tensors"]))
        };
        let files = self.json["weights"].as_object().into_iter().flatten();
        files.map(|(path, file)| (path, entry((path, file)))).map(|(path, (s, t))| (path, s, t)).collect()
    }
}

impl Run {
    /// What is run: "text_encoder", "unet", "decode", "encode" or "paint".
    pub fn of(&self) -> &str {
        self.json["of"].as_str().unwrap()
    }

    /// A number.
    pub fn number(&self, key: &str) -> f64 {
        self.json[key].as_f64().unwrap_or_else(|| panic!("{key} of {}", self.json))
    }

    /// A count.
    pub fn count(&self, key: &str) -> usize {
        self.json[key].as_u64().unwrap_or_else(|| panic!("{key} of {}", self.json)) as usize
    }

    /// Rows and columns: of latents, or, for an encoder of pictures, of pixels.
    pub fn size(&self) -> [usize; 2] {
        counts(&self.json["size"]).try_into().unwrap()
    }

    /// An input of a UNet or a decoder: "sample", "context" or "pooled", so many numbers.
    pub fn input(&self, what: &str, count: usize) -> Vec<f32> {
        formula::normals(&format!("{what} {}", self.count("seed")), count)
    }

    /// The pixels that an encoder of pictures sees: `[3, rows, columns]` in -1..1.
    pub fn pixels(&self) -> Vec<f32> {
        let [h, w] = self.size();
        let bytes = formula::picture(self.count("seed") as u64, w, h);
        (0..3 * h * w).map(|i| f32::from(bytes[i % (h * w) * 3 + i / (h * w)]) / 127.5 - 1.0).collect()
    }

    /// The token ids of a text encoder's run, for a vocabulary of this size.
    pub fn ids(&self, vocab: usize) -> Vec<u32> {
        if self.json["ids"].is_array() {
            return counts(&self.json["ids"]).into_iter().map(|i| i as u32).collect();
        }
        let [words, positions, pad] = ["words", "positions", "pad"].map(|k| self.count(k));
        formula::ids(self.count("seed") as u64, words, positions, pad as u32, vocab)
    }

    /// Which results are kept.
    pub fn kept(&self) -> Vec<&String> {
        self.json["results"].as_object().unwrap().keys().collect()
    }

    /// A result: "last", "penultimate" and "pooled" of a text encoder; "sample" of a UNet; "image" of a decoder;
    /// "moments" or "latents" of an encoder; "latents" and "image" of a whole pipeline.
    pub fn result(&self, name: &str) -> Kept {
        let entry = &self.json["results"][name];
        assert!(entry.is_object(), "{} has no {name}", self.title);
        let shape = counts(&entry["shape"]);
        let count: usize = shape.iter().product();
        let at = entry["at"].as_u64().unwrap() as usize;
        let values: Vec<f32> = match entry["type"].as_str() {
            Some("f32") => {
                let bytes = &self.data[at..at + 4 * count];
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            Some("u16") => {
                let bytes = &self.data[at..at + 2 * count];
                bytes.chunks_exact(2).map(|b| f32::from(u16::from_le_bytes([b[0], b[1]])) / 65535.0).collect()
            }
            other => panic!("{}: {name} is stored as {other:?}", self.title),
        };
        let number = |key: &str| entry[key].as_f64().unwrap();
        Kept { shape, values, deviation: number("deviation"), rounding: number("rounding") }
    }
}
