//! LoRA files in every spelling: which weights they change, and which files are refused. The names of the original code
//! are those of `ldm.json`, which diffusers wrote (see tools/golden/ldm.py).

use super::diffusion_ldm::{checkpoint, tensor};
use inkstone::Result;
use inkstone::config::diffusion::ldm;
use inkstone::config::diffusion::lora::{LoraPair, LoraPairs};
use inkstone::format::TensorInfo;
use inkstone::format::safetensors::SafeTensors;
use std::collections::BTreeMap;

const TO_Q: &str = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
const CONV: &str = "unet.down_blocks.0.resnets.0.conv1";
const TEXT: &str = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj";

/// The matrices and convolutions of a model, without `.weight`, each with the name in a single-file checkpoint.
fn layers(case: &str) -> Vec<(String, String)> {
    let tensors = checkpoint(case);
    let wide: Vec<&str> = tensors.iter().filter(|t| t.shape.len() > 1).map(|t| t.name.as_str()).collect();
    let map = ldm::open(&tensors, "m").unwrap().map;
    let kept = map.into_iter().filter(|(name, (from, _))| !name.starts_with("vae.") && wide.contains(&from.as_str()));
    let layers: Vec<_> = kept
        .filter_map(|(name, (from, _))| {
            Some((name.strip_suffix(".weight")?.to_string(), from.trim_end_matches(".weight").to_string()))
        })
        .filter(|(name, _)| !name.contains(".embeddings."))
        .collect();
    assert!(layers.len() > 100, "{case}");
    layers
}

fn header(tensors: Vec<TensorInfo>) -> SafeTensors {
    SafeTensors { tensors, others: BTreeMap::new(), metadata: BTreeMap::new() }
}

fn file(names: &[(&str, &[usize])]) -> SafeTensors {
    header(names.iter().map(|(name, shape)| tensor(name, shape)).collect())
}

/// Read for a model that has the three layers above.
fn small(header: &SafeTensors) -> Result<LoraPairs> {
    let model = [TO_Q, CONV, TEXT].map(|stem| format!("{stem}.weight"));
    let more = [format!("{TO_Q}.bias"), "vae.encoder.conv_in.weight".to_string()];
    LoraPairs::parse(header, model.iter().chain(&more).map(String::as_str), "l.safetensors")
}

/// Every layer of `layers` by the name that `spell` gives it: its pair, and nothing else.
fn all_found(layers: &[(String, String)], what: &str, spell: impl Fn(&str, &str) -> [String; 3]) {
    let (mut tensors, mut wanted) = (Vec::new(), Vec::new());
    for (name, from) in layers {
        let [down, up, alpha] = spell(name, from);
        if down.is_empty() {
            continue;
        }
        tensors.extend([tensor(&down, &[4, 8]), tensor(&up, &[6, 4])]);
        tensors.extend((!alpha.is_empty()).then(|| tensor(&alpha, &[])));
        let alpha = Some(alpha).filter(|alpha| !alpha.is_empty());
        wanted.push(LoraPair { target: format!("{name}.weight"), down, up, alpha, alpha_value: None });
    }
    wanted.sort_by(|a, b| a.target.cmp(&b.target));
    // Files are in another order than models.
    tensors.reverse();
    let model: Vec<String> = layers.iter().flat_map(|(n, _)| [format!("{n}.weight"), format!("{n}.bias")]).collect();
    let lora = LoraPairs::parse(&header(tensors), model.iter().map(String::as_str), "l.safetensors").unwrap();
    assert_eq!(lora.unmatched, [""; 0], "{what}");
    assert_eq!(lora.pairs.len(), wanted.len(), "{what}");
    for (found, wanted) in lora.pairs.iter().zip(&wanted) {
        assert_eq!(found, wanted, "{what}");
    }
    println!("{what}: {} layers", wanted.len());
    assert!(wanted.len() > 60, "{what}");
}

fn kohya(prefix: &str, stem: &str) -> [String; 3] {
    let stem = format!("{prefix}{}", stem.replace('.', "_"));
    [format!("{stem}.lora_down.weight"), format!("{stem}.lora_up.weight"), format!("{stem}.alpha")]
}

/// What kohya's scripts call a part of Stable Diffusion, and of Stable Diffusion XL.
fn part(name: &str, xl: bool) -> (&str, &str) {
    let (part, stem) = name.split_once('.').unwrap();
    match part {
        "unet" => ("lora_unet_", stem),
        "text_encoder" if !xl => ("lora_te_", stem),
        "text_encoder" => ("lora_te1_", stem),
        _ => ("lora_te2_", stem),
    }
}

#[test]
fn names_of_kohya() {
    for case in ["sd 1.5", "sd 2.1", "sdxl", "tiny-sd", "sdxs", "bk-sdm small"] {
        let layers = layers(case);
        all_found(&layers, case, |name, _| {
            let (prefix, stem) = part(name, case == "sdxl");
            kohya(prefix, stem)
        });
    }
}

/// For SDXL kohya's scripts keep the names of the original code, blocks numbered through. (Some do so for all.)
#[test]
fn names_of_the_original_code() {
    for case in ["sdxl", "sd 1.5", "sd 2.1", "tiny-sd", "sdxs", "bk-sdm small"] {
        let layers = layers(case);
        assert!(layers.iter().any(|(_, from)| from.ends_with("output_blocks.0.1.proj_in")) || case != "sdxl");
        let original = |name: &str, from: &str| {
            let stem = from.strip_prefix("model.diffusion_model.");
            (stem.map(str::to_string), part(name, case == "sdxl").0.to_string(), part(name, true).1.to_string())
        };
        all_found(&layers, case, |name, from| match original(name, from) {
            (Some(stem), ..) => kohya("lora_unet_", &stem),
            (None, prefix, stem) => kohya(&prefix, &stem),
        });
        // ComfyUI keeps the dots and says which model it is.
        all_found(&layers, case, |name, from| {
            match from.strip_prefix("model.diffusion_model.") {
                Some(stem) => {
                    ["lora_A", "lora_B"].map(|half| format!("diffusion_model.{stem}.{half}.weight")).into_iter()
                }
                None => {
                    let stem = name.replace("text_encoder_2.", "text_encoders.clip_g.transformer.");
                    let stem = stem.replace("text_encoder.", "text_encoders.clip_l.transformer.");
                    ["lora_A", "lora_B"].map(|half| format!("{stem}.{half}.weight")).into_iter()
                }
            }
            .chain([String::new()])
            .collect::<Vec<_>>()
            .try_into()
            .unwrap()
        });
    }
    // A few by hand: levels have two layers and what leads to the next; the last level of the way down has no such.
    let model = [
        (
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
            "input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        ),
        ("unet.down_blocks.2.attentions.1.proj_in", "input_blocks_8_1_proj_in"),
        ("unet.down_blocks.0.downsamplers.0.conv", "input_blocks_3_0_op"),
        ("unet.down_blocks.0.resnets.1.conv1", "input_blocks_2_0_in_layers_2"),
        ("unet.mid_block.attentions.0.transformer_blocks.9.ff.net.2", "middle_block_1_transformer_blocks_9_ff_net_2"),
        ("unet.mid_block.resnets.1.conv2", "middle_block_2_0_out_layers_3"),
        (
            "unet.up_blocks.0.attentions.2.transformer_blocks.1.attn2.to_out.0",
            "output_blocks_2_1_transformer_blocks_1_attn2_to_out_0",
        ),
        ("unet.up_blocks.0.upsamplers.0.conv", "output_blocks_2_2_conv"),
        ("unet.up_blocks.2.resnets.2.conv_shortcut", "output_blocks_8_0_skip_connection"),
        ("unet.up_blocks.1.resnets.0.time_emb_proj", "output_blocks_3_0_emb_layers_1"),
        ("unet.add_embedding.linear_2", "label_emb_0_2"),
        ("unet.time_embedding.linear_1", "time_embed_0"),
        ("unet.conv_in", "input_blocks_0_0"),
        ("unet.conv_out", "out_2"),
    ];
    let names: Vec<String> = layers("sdxl").into_iter().map(|(name, _)| format!("{name}.weight")).collect();
    for (target, stem) in model {
        let stem = stem.replace("middle_block_2_0", "middle_block_2");
        let [down, up, _] = kohya("lora_unet_", &stem);
        let lora = file(&[(down.as_str(), &[4, 8]), (up.as_str(), &[8, 4])]);
        let lora = LoraPairs::parse(&lora, names.iter().map(String::as_str), "l").unwrap();
        assert_eq!(lora.pairs[0].target, format!("{target}.weight"), "{stem}");
    }
}

#[test]
fn names_of_peft_and_diffusers() {
    for case in ["sdxl", "sd 1.5"] {
        let layers = layers(case);
        let halves =
            |stem: &str, [down, up]: [&str; 2]| [format!("{stem}{down}"), format!("{stem}{up}"), String::new()];
        let peft = [".lora_A.weight", ".lora_B.weight"];
        all_found(&layers, "PEFT", |name, _| halves(name, peft));
        all_found(&layers, "PEFT, by adapter", |name, _| {
            halves(name, [".lora_A.default.weight", ".lora_B.default.weight"])
        });
        all_found(&layers, "PEFT, alone", |name, _| {
            // A UNet that was saved by itself has no name.
            halves(&format!("base_model.model.{}", name.strip_prefix("unet.").unwrap_or(name)), peft)
        });
        all_found(&layers, "diffusers 0.2x", |name, _| {
            let [mut down, mut up, _] = halves(name, [".lora.down.weight", ".lora.up.weight"]);
            if name.starts_with("text_encoder") {
                [down, up] = ["down", "up"].map(|half| format!("{name}.lora_linear_layer.{half}.weight"));
            }
            [down, up, format!("{name}.alpha")]
        });
        // Before there was PEFT: attention alone, in processors.
        all_found(&layers, "diffusers 0.1x", |name, _| match name.rsplit_once('.') {
            Some((to, _)) if name.contains(".to_out.0") => {
                let (attention, to) = to.rsplit_once('.').unwrap();
                halves(&format!("{attention}.processor.{to}"), ["_lora.down.weight", "_lora.up.weight"])
            }
            Some((attention, to)) if to.starts_with("to_") => {
                halves(&format!("{attention}.processor.{to}"), ["_lora.down.weight", "_lora.up.weight"])
            }
            // The text encoders' attentions as if they were the UNet's.
            Some((attention, to)) if attention.ends_with(".self_attn") => {
                let to = to.strip_suffix("_proj").unwrap();
                halves(&format!("{attention}.to_{to}"), ["_lora.down.weight", "_lora.up.weight"])
            }
            _ => ["", "", ""].map(String::from),
        });
    }
    // Text towers without anything beside them leave out `text_model`.
    let lora = file(&[
        ("text_encoder.encoder.layers.0.self_attn.q_proj.lora_A.weight", &[4, 8]),
        ("text_encoder.encoder.layers.0.self_attn.q_proj.lora_B.weight", &[8, 4]),
    ]);
    assert_eq!(small(&lora).unwrap().pairs[0].target, format!("{TEXT}.weight"));
}

#[test]
fn convolutions_and_alphas() {
    let [down, up, alpha] = kohya("lora_unet_", CONV.strip_prefix("unet.").unwrap());
    let conv = file(&[(&down, &[16, 320, 3, 3]), (&up, &[320, 16, 1, 1]), (&alpha, &[1])]);
    let pair = LoraPair { target: format!("{CONV}.weight"), down, up, alpha: Some(alpha), alpha_value: None };
    assert_eq!(small(&conv).unwrap(), LoraPairs { pairs: vec![pair], unmatched: Vec::new() });
    let linear = |metadata: Option<&str>, stem: &str| {
        let (down, up) = (format!("{stem}.lora_A.weight"), format!("{stem}.lora_B.weight"));
        let mut lora = file(&[(&down, &[16, 320]), (&up, &[320, 16])]);
        lora.metadata = metadata.map(|text| ("lora_adapter_metadata".into(), text.into())).into_iter().collect();
        small(&lora)
    };
    let alpha = |metadata: Option<&str>, stem| linear(metadata, stem).unwrap().pairs[0].alpha_value;
    assert_eq!(alpha(None, TO_Q), None);
    // As diffusers writes it: settings of PEFT after the part's name.
    let told = r#"{"unet.r":16,"unet.lora_alpha":8,"unet.use_rslora":false,"unet.rank_pattern":{},
        "unet.alpha_pattern":{},"unet.lora_bias":false,"unet.use_dora":false,"unet.target_modules":["to_q"],
        "text_encoder.lora_alpha":32,"text_encoder_2.lora_alpha":64}"#;
    assert_eq!([alpha(Some(told), TO_Q), alpha(Some(told), TEXT)], [Some(8.0), Some(32.0)]);
    // With a stabilised rank the scale is alpha / sqrt(rank): what gives that when divided by the rank.
    let stable = told.replace("rslora\":false", "rslora\":true");
    assert_eq!([alpha(Some(&stable), TO_Q), alpha(Some(&stable), TEXT)], [Some(8.0 * 4.0), Some(32.0)]);
    assert_eq!(alpha(Some(r#"{"text_encoder_2.lora_alpha":64}"#), TEXT), None);
    for (metadata, code) in [
        (r#"{"unet.alpha_pattern":{"to_q":4}}"#, "Unsupported"),
        (r#"{"unet.use_dora":true}"#, "Unsupported"),
        (r#"{"unet.lora_bias":true}"#, "Unsupported"),
        (r#"{"unet.lora_alpha":"8"}"#, "Format"),
        (r#"{"unet.lora_alpha":8,"unet.use_rslora":1}"#, "Format"),
        ("{", "Format"),
        ("[]", "Format"),
    ] {
        assert_eq!(linear(Some(metadata), TO_Q).expect_err(metadata).code(), code, "{metadata}");
    }
}

/// A scale that is no number would make the whole picture none.
#[test]
fn an_alpha_beyond_all_numbers_is_refused() {
    let (down, up) = (format!("{TO_Q}.lora_A.weight"), format!("{TO_Q}.lora_B.weight"));
    let mut lora = file(&[(&down, &[16, 320]), (&up, &[320, 16])]);
    lora.metadata = [("lora_adapter_metadata".to_string(), r#"{"unet.lora_alpha":1e39}"#.to_string())].into();
    assert_eq!(small(&lora).unwrap_err().code(), "Format");
}

/// Passed over, it would leave the LoRA at another strength.
#[test]
fn what_is_stored_in_no_float_is_refused() {
    let (down, up) = (format!("{TO_Q}.lora_A.weight"), format!("{TO_Q}.lora_B.weight"));
    let mut lora = file(&[(&down, &[16, 320]), (&up, &[320, 16])]);
    lora.others.insert("step".into(), "I64".into());
    assert_eq!(small(&lora).unwrap().pairs.len(), 1);
    for (end, dtype) in [("alpha", "I64"), ("lora_A.weight", "F8_E4M3"), ("lora_B.default.weight", "F8_E4M3")] {
        let mut lora = lora.clone();
        lora.others.insert(format!("{TO_Q}.{end}"), dtype.into());
        let error = small(&lora).unwrap_err();
        assert!(error.code() == "Unsupported" && error.to_string().contains(dtype), "{error}");
    }
}

#[test]
fn other_adapters_are_named() {
    let stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    for (end, kind) in [
        ("hada_w1_a", "LoHa"),
        ("hada_t1", "LoHa"),
        ("lokr_w1", "LoKr"),
        ("lokr_t2", "LoKr"),
        ("dora_scale", "DoRA"),
        ("lora_magnitude_vector", "DoRA"),
        ("lora_magnitude_vector.default.weight", "DoRA"),
        ("oft_blocks", "OFT"),
        ("oft_R.weight", "OFT"),
        ("boft_R", "BOFT"),
        ("on_input", "IA3"),
        ("lora_mid.weight", "LoCon"),
        ("lora_B.bias", "biases"),
        ("diff", "differences"),
        ("diff_b", "differences"),
        ("w_norm", "norms"),
        ("b1.weight", "GLoRA"),
        ("set_weight", "whole weights"),
    ] {
        // Beside a pair that would do by itself, before it or behind it.
        let (down, up, other) =
            (format!("{stem}.lora_down.weight"), format!("{stem}.lora_up.weight"), format!("{stem}.{end}"));
        let names: [(&str, &[usize]); 3] = [(&down, &[4, 8]), (&up, &[8, 4]), (&other, &[8])];
        for order in [[0, 1, 2], [2, 0, 1]] {
            let error = small(&file(&order.map(|i| names[i]))).expect_err(end);
            assert_eq!(error.code(), "Unsupported", "{end}: {error}");
            assert!(error.to_string().contains(kind) && error.to_string().contains("l.safetensors"), "{end}: {error}");
        }
        assert_eq!(small(&file(&names[2..])).unwrap_err().code(), "Unsupported", "{end}");
    }
}

/// Biases are refused however the adapter is called.
#[test]
fn biases_of_a_named_adapter_are_refused() {
    let [down, up, bias] = ["lora_A.default.weight", "lora_B.default.weight", "lora_B.default.bias"]
        .map(|end| format!("base_model.model.{}.{end}", TO_Q.trim_start_matches("unet.")));
    let good: [(&str, &[usize]); 3] = [(&down, &[4, 8]), (&up, &[8, 4]), (&bias, &[8])];
    assert_eq!(small(&file(&good[..2])).unwrap().pairs.len(), 1);
    assert_eq!(small(&file(&good)).unwrap_err().code(), "Unsupported");
}

#[test]
fn pairs_that_are_none() {
    let [down, up, alpha] = kohya("lora_unet_", TO_Q.strip_prefix("unet.").unwrap());
    let refused = |names: &[(&str, &[usize])], code: &str, says: &str| {
        let error = small(&file(names)).expect_err(says);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error} does not say {says}");
    };
    refused(&[(&down, &[4, 8])], "Format", "half a pair");
    refused(&[(&up, &[8, 4])], "Format", "half a pair");
    refused(&[(&alpha, &[])], "Format", "half a pair");
    refused(&[(&down, &[4, 8]), (&alpha, &[])], "Format", TO_Q);
    // The same layer in two spellings.
    let other = format!("{TO_Q}.lora_A.weight");
    refused(&[(&down, &[4, 8]), (&up, &[8, 4]), (&other, &[4, 8])], "Format", "same weight");
    for (a, b) in [
        (&[4usize, 8][..], &[8usize, 5][..]),
        (&[4, 8], &[4, 8]),
        (&[0, 8], &[8, 0]),
        (&[4], &[8, 4]),
        (&[], &[]),
        (&[4, 8], &[4]),
        (&[4, 8], &[]),
        (&[4, 8], &[8, 4, 3, 3]),
        (&[4, 8, 3, 3], &[8, 4, 1, 3]),
        (&[1 << 40, 8], &[8, 4]),
    ] {
        refused(&[(&down, a), (&up, b)], "Shape", &up);
    }

    let good: [(&str, &[usize]); 2] = [(&down, &[4, 8]), (&up, &[8, 4])];
    let strangers = [
        "lora_unet_down_blocks_7_attentions_0_proj_in.lora_down.weight",
        "lora_te2_text_model.lora_up.weight",
        "lora_unet_down_blocks_0_resnets_0_conv1.lora_side.weight",
        "vae.encoder.conv_in",
        "",
        ".alpha",
        "lora_unet_.alpha",
    ];
    let names: Vec<(&str, &[usize])> = strangers.iter().map(|name| (*name, &[4, 8][..])).collect();
    let lora = small(&file(&[&names[..4], &good, &names[4..]].concat())).unwrap();
    assert_eq!(lora.unmatched, strangers);
    assert_eq!(lora.pairs.len(), 1);
    // Nothing but them: a LoRA for another model. Biases and the autoencoder are no targets.
    refused(&names, "Unsupported", "nothing in it fits this model");
    refused(&[], "Unsupported", "nothing in it fits this model");
    let other = [("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", &[4usize, 8][..])];
    refused(&other, "Unsupported", "l.safetensors");
}
