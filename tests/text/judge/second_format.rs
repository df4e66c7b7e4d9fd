//! tokenizer.json files of format "1.0" as format "2.0" writes them.

use serde_json::{Value, json};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Returns the post-processor with ids in place of names.
fn flat(processor: &Value) -> Value {
    let ids = |ids: Vec<&Value>, type_id: u64| json!({"ids": ids, "type_id": type_id});
    let text = |name: &str, type_id: u64| json!({"seq": name, "type_id": type_id});
    let (cls, sep) = (&processor["cls"][1], &processor["sep"][1]);
    let single = json!([ids(vec![cls], 0), {"seq": "A"}, {"ids": [sep]}]);
    let part = |part: &Value| match part["Sequence"]["id"].as_str() {
        Some(name) => text(name, part["Sequence"]["type_id"].as_u64().unwrap()),
        None => {
            let special = &part["SpecialToken"];
            let ids = &processor["special_tokens"][special["id"].as_str().unwrap()]["ids"];
            json!({"ids": ids, "type_id": special["type_id"]})
        }
    };
    let (single, pair) = match processor["type"].as_str() {
        None => return Value::Null,
        Some("BertProcessing") => {
            let pair = json!([ids(vec![cls], 0), text("A", 0), ids(vec![sep], 0), text("B", 1), ids(vec![sep], 1)]);
            (single, pair)
        }
        Some("RobertaProcessing") => {
            (single, json!([{"ids": [cls]}, {"seq": "A"}, {"ids": [sep, sep]}, {"seq": "B"}, {"ids": [sep]}]))
        }
        Some(_) => {
            let parts = |key: &str| Value::Array(processor[key].as_array().unwrap().iter().map(part).collect());
            (parts("single"), parts("pair"))
        }
    };
    json!({"type": "TemplateProcessing", "single": single, "pair": pair})
}

/// Returns the file in format "2.0"; `None` if that cannot say the same.
pub fn second_format(file: &Value) -> Option<Value> {
    let mut new = file.clone();
    new["version"] = json!("2.0");
    new["post_processor"] = flat(&file["post_processor"]);
    let splitter = file["pre_tokenizer"].clone();
    let (metaspace, drop_whitespace) = match &splitter["pretokenizers"] {
        Value::Array(steps) if steps[0]["type"] == "WhitespaceSplit" => (steps[1].clone(), true),
        _ => (splitter.clone(), false),
    };
    if metaspace["type"] == "Metaspace" {
        let normalizer = json!({"type": "MetaspaceNormalizer", "replacement": metaspace["replacement"],
            "prepend": metaspace["prepend_scheme"], "drop_whitespace": drop_whitespace});
        new["normalizer"] = match &file["normalizer"] {
            Value::Null => normalizer,
            other => json!({"type": "Sequence", "normalizers": [other, normalizer]}),
        };
        new["pre_tokenizer"] = match metaspace["split"].as_bool() {
            Some(true) => json!({"type": "Split", "pattern": {"String": metaspace["replacement"]},
                "behavior": "MergedWithNext", "invert": false}),
            _ => Value::Null,
        };
    } else if splitter["type"] == "ByteLevel" {
        if splitter["add_prefix_space"] == true || file["model"]["type"] != "BPE" {
            return None;
        }
        new["pre_tokenizer"] = match splitter["use_regex"].as_bool() {
            Some(true) => json!({"type": "Split", "pattern": {"Regex": GPT2}}),
            _ => Value::Null,
        };
        new["model"]["byte_level"] = json!(true);
    }
    Some(new)
}
