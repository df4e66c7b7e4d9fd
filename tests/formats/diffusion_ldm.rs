//! Single-file checkpoints: what diffusers makes of them (`ldm.json`, see tools/golden/ldm.py) is what is made here.

use inkstone::config::diffusion::clip::ClipConfig;
use inkstone::config::diffusion::index::PipelineFamily;
use inkstone::config::diffusion::ldm::{self, CheckpointKind, Take};
use inkstone::config::diffusion::scheduler::{Prediction, Spacing};
use inkstone::config::diffusion::unet::UnetConfig;
use inkstone::config::diffusion::vae::VaeConfig;
use inkstone::dtype::DType;
use inkstone::format::TensorInfo;
use serde_json::Value;
use std::collections::BTreeMap;

const CASES: [&str; 8] = ["sd 1.5", "sd 2.1", "sdxl", "tiny-sd", "sdxs", "bk-sdm small", "sd 1, small", "sdxl, small"];

fn golden() -> Value {
    serde_json::from_str(include_str!("ldm.json")).unwrap()
}

pub fn tensor(name: &str, shape: &[usize]) -> TensorInfo {
    let bytes = 2 * shape.iter().product::<usize>() as u64;
    TensorInfo { name: name.into(), shape: shape.to_vec(), dtype: DType::F16, offset: 0, bytes }
}

/// The tensors of a checkpoint, from the lines that stand for them.
pub fn checkpoint(case: &str) -> Vec<TensorInfo> {
    let golden = golden();
    let mut tensors = Vec::new();
    for part in golden["cases"][case]["tensors"].as_array().unwrap() {
        for line in golden["tensors"][part.as_str().unwrap()].as_array().unwrap() {
            let mut columns = line.as_str().unwrap().split('|');
            let (name, shape) = (columns.next().unwrap(), columns.next().unwrap_or(""));
            let (shape, bias) = shape.strip_suffix('+').map_or((shape, false), |s| (s, true));
            let shape: Vec<usize> = shape.split('x').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
            for numbers in columns.next().unwrap_or("").split(' ') {
                let mut numbers = numbers.split(',');
                let name: String = name
                    .chars()
                    .map(|c| if c == '#' { numbers.next().unwrap().into() } else { c.to_string() })
                    .collect();
                if let Some(stem) = name.strip_suffix(".weight").filter(|_| bias) {
                    tensors.push(tensor(&format!("{stem}.bias"), &shape[..1]));
                }
                tensors.push(tensor(&name, &shape));
            }
        }
    }
    // Files list tensors in the order of their bytes, which is no order of names.
    let middle = tensors.len() / 3;
    tensors.rotate_left(middle);
    tensors
}

fn lines(map: &ldm::TensorMap) -> Vec<String> {
    let line = |(name, (from, take)): (&String, &(String, Take))| match take {
        Take::Whole => format!("{name}={from}"),
        Take::Rows { first, count } => format!("{name}={from} rows {first} {count}"),
        Take::Transposed => format!("{name}={from} transposed"),
    };
    let mut lines: Vec<String> = map.iter().map(line).collect();
    lines.sort();
    lines
}

fn hash(lines: &[String]) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", lines.join("\n").bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

#[test]
fn tensors_are_those_that_diffusers_finds() {
    let golden = golden();
    assert_eq!(golden["cases"].as_object().unwrap().len(), CASES.len());
    for case in CASES {
        let wanted = &golden["cases"][case];
        let tensors = checkpoint(case);
        let opened = ldm::open(&tensors, "model.safetensors").unwrap();
        let found = lines(&opened.map);
        for sample in wanted["samples"].as_array().unwrap() {
            assert!(found.iter().any(|line| line == sample), "{case}: no line {sample}");
        }
        println!("{case}: {} tensors from {}", found.len(), tensors.len());
        assert_eq!(found.len(), wanted["count"], "{case}");
        assert_eq!(hash(&found), wanted["hash"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn configurations_are_those_of_diffusers() {
    let golden = golden();
    for case in CASES {
        let configs = &golden["cases"][case]["configs"];
        let json = |part: &str| configs[part].to_string().into_bytes();
        let opened = ldm::open(&checkpoint(case), "model.safetensors").unwrap();
        let unet = UnetConfig::from_json(&json("unet"), "unet").unwrap();
        assert_eq!(opened.unet, unet, "{case}");
        assert_eq!(opened.vae, VaeConfig::from_json(&json("vae"), "vae").unwrap(), "{case}");
        for (part, config) in ["text_encoder", "text_encoder_2"].into_iter().zip(&opened.text) {
            assert_eq!(*config, ClipConfig::from_json(&json(part), part).unwrap(), "{case}: {part}");
        }
        let xl = case.starts_with("sdxl");
        let kind = match case {
            "sd 2.1" => CheckpointKind::Sd2,
            _ if xl => CheckpointKind::Sdxl,
            _ => CheckpointKind::Sd1,
        };
        assert_eq!(
            (opened.kind, opened.family),
            (kind, if xl { PipelineFamily::Sdxl } else { PipelineFamily::Sd }),
            "{case}"
        );
        assert_eq!(opened.text.len(), 1 + usize::from(xl));
        assert_eq!(opened.components.len(), 4 + usize::from(xl));
    }
}

/// What is made of every tensor fits the shape that it has in the checkpoint.
#[test]
fn parts_of_tensors_lie_within_them() {
    for case in CASES {
        let tensors = checkpoint(case);
        let by_name: BTreeMap<&str, &TensorInfo> = tensors.iter().map(|t| (t.name.as_str(), t)).collect();
        for (name, (from, take)) in ldm::open(&tensors, "m").unwrap().map {
            let shape = &by_name[from.as_str()].shape;
            match take {
                Take::Whole => {}
                Take::Rows { first, count } => assert!(first + count <= shape[0] && count > 0, "{name}"),
                Take::Transposed => assert_eq!(shape.len(), 2, "{name}"),
            }
        }
    }
}

fn renamed(tensors: Vec<TensorInfo>, name: impl Fn(&str) -> Option<String>) -> Vec<TensorInfo> {
    tensors.into_iter().filter_map(|t| Some(TensorInfo { name: name(&t.name)?, ..t })).collect()
}

/// Some number the blocks of networks with one layer a level as if there were two.
#[test]
fn left_out_numbers_change_nothing() {
    for case in ["tiny-sd", "sdxs"] {
        let plain = ldm::open(&checkpoint(case), "m").unwrap();
        let spread = renamed(checkpoint(case), |name| {
            let Some(rest) = name.strip_prefix("model.diffusion_model.") else { return Some(name.into()) };
            let mut parts: Vec<String> = rest.split('.').map(str::to_string).collect();
            let n: usize = parts.get(1).and_then(|n| n.parse().ok()).unwrap_or(0);
            parts[1] = match parts[0].as_str() {
                // 1, 2 | 3, 4 | 5 to 1, 3 | 4, 6 | 7, and 0, 1 | 2, 3 | 4, 5 to 0, 1 | 3, 4 | 6, 7.
                "input_blocks" if n > 0 => ((n - 1) / 2 * 3 + 1 + (n - 1) % 2 * 2).to_string(),
                "output_blocks" => (n / 2 * 3 + n % 2).to_string(),
                _ => parts[1].clone(),
            };
            // What leads to the next level then has a number for itself.
            if parts[0] == "output_blocks" && parts.get(3).is_some_and(|p| p == "conv") {
                parts[1] = (n / 2 * 3 + 2).to_string();
            }
            Some(format!("model.diffusion_model.{}", parts.join(".")))
        });
        assert_ne!(spread, checkpoint(case));
        let spread = ldm::open(&spread, "m").unwrap();
        assert_eq!(spread.unet, plain.unet, "{case}");
        assert_eq!(spread.map.keys().collect::<Vec<_>>(), plain.map.keys().collect::<Vec<_>>(), "{case}");
    }
}

#[test]
fn other_spellings_of_the_same() {
    let plain = ldm::open(&checkpoint("sd 1.5"), "m").unwrap();
    let same = |tensors: Vec<TensorInfo>, what: &str| {
        let other = ldm::open(&tensors, "m").unwrap();
        assert_eq!(other.map.keys().collect::<Vec<_>>(), plain.map.keys().collect::<Vec<_>>(), "{what}");
        assert_eq!((other.unet, other.vae, other.text), (plain.unet.clone(), plain.vae.clone(), plain.text.clone()));
    };
    same(renamed(checkpoint("sd 1.5"), |n| Some(n.replace("first_stage_model.", "vae."))), "vae.");
    same(
        renamed(checkpoint("sd 1.5"), |n| Some(n.replace("transformer.text_model.", "transformer."))),
        "no text_model",
    );
    let old = |n: &str| {
        let at = n.find(".mid.attn_1.")?;
        let names = [("q.", "query."), ("k.", "key."), ("v.", "value."), ("proj_out.", "proj_attn.")];
        let (head, rest) = n.split_at(at + ".mid.attn_1.".len());
        let (from, to) = names.into_iter().find(|(from, _)| rest.starts_with(from))?;
        Some(format!("{head}{}", rest.replacen(from, to, 1)))
    };
    same(renamed(checkpoint("sd 1.5"), |n| Some(old(n).unwrap_or(n.into()))), "older attention");

    // A tower as converters write it has 23 layers and no projection.
    let plain = ldm::open(&checkpoint("sd 2.1"), "m").unwrap();
    let last = "cond_stage_model.model.transformer.resblocks.23.";
    let converted =
        renamed(checkpoint("sd 2.1"), |n| (!n.starts_with(last) && !n.contains("text_projection")).then(|| n.into()));
    assert_eq!(checkpoint("sd 2.1").len() - converted.len(), 13);
    assert_eq!(ldm::open(&converted, "m").unwrap().map, plain.map);
    // A small one that is whole has one layer more than is used.
    let layers = |keep: usize, projection: bool| {
        let kept = renamed(checkpoint("sd 2.1"), |n| {
            let layer = n.split("resblocks.").nth(1).and_then(|n| n.split('.').next()?.parse().ok()).unwrap_or(0usize);
            (layer < keep && (projection || !n.contains("text_projection"))).then(|| n.into())
        });
        ldm::open(&kept, "m").unwrap().text[0].n_layers
    };
    assert_eq!([layers(5, true), layers(5, false), layers(23, true), layers(24, false)], [4, 5, 23, 23]);
}

#[test]
fn masks_and_guidance_come_in_by_more_channels() {
    let mut tensors = checkpoint("sd 1.5");
    for t in &mut tensors {
        if t.name.ends_with("input_blocks.0.0.weight") {
            t.shape[1] = 9;
        }
    }
    tensors.push(tensor("model.diffusion_model.time_embed.cond_proj.weight", &[320, 256]));
    let opened = ldm::open(&tensors, "m").unwrap();
    assert_eq!((opened.unet.in_channels, opened.unet.time_cond_proj_dim), (9, Some(256)));
    assert!(opened.map.contains_key("unet.time_embedding.cond_proj.weight"));
}

#[test]
fn what_it_predicts() {
    let open = |case: &str, extra: &[&str], file: &str, known: Option<Prediction>| {
        let mut tensors = checkpoint(case);
        tensors.extend(extra.iter().map(|name| tensor(name, &[0])));
        let opened = ldm::open_as(&tensors, file, known).unwrap();
        let [height, width] = opened.unet.sample_size;
        assert_eq!(height, width, "{case}");
        (opened.scheduler.prediction, width, opened.scheduler)
    };
    let of = |case, extra: &[&str], file, known| {
        let (prediction, size, _) = open(case, extra, file, known);
        (prediction, size)
    };
    use Prediction::{Epsilon, V};
    assert_eq!(of("sd 1.5", &[], "v1-5-pruned.safetensors", None), (Epsilon, 64));
    assert_eq!(of("sd 2.1", &[], "v2-1_768-ema-pruned.safetensors", None), (V, 96));
    assert_eq!(of("sd 2.1", &[], "v2-1_512-ema-pruned.safetensors", None), (Epsilon, 64));
    assert_eq!(of("sd 2.1", &[], "SD_Turbo.safetensors", None), (Epsilon, 64));
    assert_eq!(of("sd 2.1", &[], "model.safetensors", Some(Epsilon)), (Epsilon, 64));
    assert_eq!(of("sd 2.1", &["v_pred"], "turbo.safetensors", None), (V, 96));
    assert_eq!(of("sdxl", &["v_pred", "ztsnr"], "noob.safetensors", None), (V, 128));
    let (.., s) = open("sdxl", &["v_pred", "ztsnr"], "noob.safetensors", None);
    assert_eq!(
        (s.class.as_str(), s.rescale_betas_zero_snr, s.spacing),
        ("EulerDiscreteScheduler", true, Some(Spacing::Trailing))
    );
    let (.., s) = open("sd 1.5", &[], "m", None);
    // As in the folders: other samplers than the one named choose where to begin by themselves, but for SDXL.
    assert_eq!((s.class.as_str(), s.rescale_betas_zero_snr, s.spacing), ("PNDMScheduler", false, None));
    assert_eq!(
        (s.beta_start, s.beta_end, s.steps_offset, s.set_alpha_to_one),
        (Some(0.00085), Some(0.012), 1, Some(false))
    );
    let (.., s) = open("sd 2.1", &[], "m", None);
    assert_eq!((s.class.as_str(), s.spacing), ("DDIMScheduler", None));
    assert_eq!(open("sdxl", &[], "m", None).2.spacing, Some(Spacing::Leading));
    let (.., s) = open("sd 2.1", &[], "sd_turbo.safetensors", None);
    assert_eq!((s.class.as_str(), s.spacing), ("EulerDiscreteScheduler", Some(Spacing::Trailing)));
}

#[test]
fn parts_alone() {
    let only = |case: &str, prefix: &str| {
        let tensors = renamed(checkpoint(case), |n| n.starts_with(prefix).then(|| n.into()));
        assert!(!tensors.is_empty());
        (ldm::parts(&tensors, "m", None).unwrap(), ldm::open(&tensors, "m").unwrap_err())
    };
    let (parts, error) = only("sd 1.5", "model.diffusion_model.");
    assert!(parts.unet.is_some() && parts.vae.is_none() && parts.text.is_empty());
    assert_eq!((parts.kind, parts.missing, parts.map.len()), (CheckpointKind::Sd1, vec!["vae", "text_encoder"], 686));
    assert_eq!(
        error.to_string(),
        "m: the file has no vae and no text_encoder: choose a checkpoint with all of its parts"
    );
    let (parts, _) = only("sd 2.1", "model.diffusion_model.");
    assert_eq!((parts.kind, parts.map.len()), (CheckpointKind::Sd2, 686));
    let (parts, _) = only("sdxl", "model.diffusion_model.");
    assert_eq!((parts.kind, parts.missing), (CheckpointKind::Sdxl, vec!["vae", "text_encoder", "text_encoder_2"]));
    assert_eq!(parts.unet, Some(ldm::open(&checkpoint("sdxl"), "m").unwrap().unet));
    let (parts, _) = only("sd 1.5", "first_stage_model.");
    assert_eq!((parts.missing, parts.map.len()), (vec!["unet", "text_encoder"], 248));
    let (parts, _) = only("sdxl", "conditioner.");
    assert_eq!((parts.kind, parts.missing, parts.text.len()), (CheckpointKind::Sdxl, vec!["unet", "vae"], 2));
    // Without the prefix, as parts are published.
    let bare = renamed(checkpoint("sd 1.5"), |n| n.strip_prefix("first_stage_model.").map(str::to_string));
    assert_eq!(ldm::parts(&bare, "m", None).unwrap().map.len(), 248);
    let bare = renamed(checkpoint("sdxl"), |n| n.strip_prefix("model.diffusion_model.").map(str::to_string));
    assert_eq!(ldm::parts(&bare, "m", None).unwrap().kind, CheckpointKind::Sdxl);
}

#[test]
fn other_files_are_named() {
    for (name, says) in [
        ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "LoRA"),
        ("conditioner.embedders.0.model.ln_final.weight", "refiner"),
        ("model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight", "Stable Diffusion 3"),
        ("double_blocks.0.img_attn.norm.key_norm.scale", "Flux"),
        ("down_blocks.0.resnets.0.conv1.weight", "diffusers folder"),
        ("model.layers.0.mlp.up_proj.weight", "language model"),
        ("anything.weight", "nothing of Stable Diffusion"),
    ] {
        let error = ldm::open(&[tensor(name, &[4, 4])], "m.safetensors").unwrap_err();
        assert_eq!(error.code(), "Unsupported");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(ldm::open(&[], "m").unwrap_err().code(), "Unsupported");
}

/// A checkpoint that lacks tensors, or has them in other shapes, gives an error or a configuration; never a panic.
#[test]
fn damaged_checkpoints() {
    let mut random = super::build::Random(7);
    let (mut refused, mut read) = (0, 0);
    for case in ["sd 1, small", "sdxl, small"] {
        let whole = checkpoint(case);
        for _ in 0..1500 {
            let mut tensors = whole.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(tensors.len());
                match random.below(4) {
                    0 => drop(tensors.swap_remove(at)),
                    1 => tensors[at].shape.clear(),
                    2 => {
                        let n = [0, 1, 3, 7, 1 << 40, usize::MAX][random.below(6)];
                        tensors[at].shape.iter_mut().for_each(|d| *d = n);
                    }
                    _ => {
                        let other = random.below(10).to_string();
                        let digit = ["0", "1", "2"][random.below(3)];
                        tensors[at].name = tensors[at].name.replacen(digit, &other, 1);
                    }
                }
            }
            match ldm::open(&tensors, "m") {
                Ok(opened) => {
                    read += 1;
                    assert!(opened.unet.block_out_channels.iter().all(|c| c % opened.unet.norm_num_groups == 0));
                }
                Err(error) => {
                    refused += 1;
                    assert!(["Format", "Missing", "Unsupported"].contains(&error.code()), "{error}");
                }
            }
        }
    }
    println!("damaged checkpoints: {refused} refused, {read} read");
    assert!(refused > 150 && read > 150);
}
