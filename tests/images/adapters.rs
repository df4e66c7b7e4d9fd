//! LoRAs: what they add to the weights, at which scale, and that they can be taken off again.

use super::calls::{self, PROMPT, as_stored, files, latents, load, lora, paint, small, worst};
use inkstone::image::{ImageLoadOptions, TextMemory};
use serde_json::{Value, json};
use support::images::case::Model;
use support::images::folder::Files;
use support::images::formula::normals;
use support::images::weights::{Stored, bytes, safetensors};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";
const RANK: usize = 3;

/// A pair of a LoRA: the weight's file and name there, the name of the pair, its alpha.
struct Pair {
    file: &'static str,
    weight: &'static str,
    /// Before what tells halves apart.
    name: &'static str,
    /// The ends of the halves' names, down and up.
    ends: [&'static str; 2],
    alpha: Option<f32>,
}

const KOHYA: [&str; 2] = [".lora_down.weight", ".lora_up.weight"];
const PEFT: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// In the names that kohya's scripts write: attention, a convolution, the text encoder.
const BY_KOHYA: [Pair; 4] = [
    Pair {
        file: UNET,
        weight: "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        name: "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        ends: KOHYA,
        alpha: Some(1.5),
    },
    Pair {
        file: UNET,
        weight: "up_blocks.1.attentions.1.transformer_blocks.0.attn2.to_v.weight",
        name: "lora_unet_up_blocks_1_attentions_1_transformer_blocks_0_attn2_to_v",
        ends: KOHYA,
        alpha: Some(3.0),
    },
    Pair {
        file: UNET,
        weight: "down_blocks.0.resnets.0.conv1.weight",
        name: "lora_unet_down_blocks_0_resnets_0_conv1",
        ends: KOHYA,
        alpha: None,
    },
    Pair {
        file: TEXT,
        weight: "encoder.layers.1.mlp.fc1.weight",
        name: "lora_te_text_model_encoder_layers_1_mlp_fc1",
        ends: KOHYA,
        alpha: Some(2.0),
    },
];

/// In those of PEFT, which diffusers writes.
const BY_PEFT: [Pair; 3] = [
    Pair {
        file: UNET,
        weight: "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.weight",
        name: "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
        ends: PEFT,
        alpha: None,
    },
    Pair {
        file: UNET,
        weight: "down_blocks.0.attentions.0.proj_in.weight",
        name: "unet.down_blocks.0.attentions.0.proj_in",
        ends: PEFT,
        alpha: None,
    },
    Pair {
        file: TEXT,
        weight: "encoder.layers.0.self_attn.q_proj.weight",
        name: "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
        ends: PEFT,
        alpha: None,
    },
];

impl Pair {
    /// Shapes of the halves, down and up, for a weight of this shape.
    fn shapes(&self, weight: &[usize]) -> [Vec<usize>; 2] {
        let mut down = weight.to_vec();
        down[0] = RANK;
        let mut up = vec![1; weight.len()];
        up[..2].copy_from_slice(&[weight[0], RANK]);
        [down, up]
    }

    fn halves(&self, weight: &[usize]) -> [Vec<f32>; 2] {
        let half = |which: usize| {
            let n: usize = self.shapes(weight)[which].iter().product();
            normals(&format!("{} {which}", self.name), n).into_iter().map(|v| v * 0.2).collect()
        };
        [half(0), half(1)]
    }
}

/// The shape of a weight of the golden model.
fn shape(model: &Model, pair: &Pair) -> Vec<usize> {
    let file = model.weights().into_iter().find(|(path, ..)| *path == pair.file).unwrap();
    file.2.iter().find(|t| t.name == pair.weight).unwrap_or_else(|| panic!("{}", pair.weight)).shape.clone()
}

/// The LoRA's file.
fn written(model: &Model, pairs: &[Pair]) -> Vec<u8> {
    let mut all = Vec::new();
    for pair in pairs {
        let weight = shape(model, pair);
        let halves = pair.shapes(&weight).into_iter().zip(pair.halves(&weight)).zip(pair.ends);
        for ((shape, values), end) in halves {
            all.push((format!("{}{end}", pair.name), shape, bytes(&values, Stored::F32)));
        }
        if let Some(alpha) = pair.alpha {
            all.push((format!("{}.alpha", pair.name), vec![], bytes(&[alpha], Stored::F32)));
        }
    }
    safetensors(&all, Stored::F32)
}

/// The model's files with the LoRAs added to the weights: W + scale * alpha / rank * up down, in f64.
fn merged(model: &Model, loras: &[(&[Pair], f64)]) -> Files {
    let mut files = support::images::folder::whole(model);
    for (path, how, tensors) in model.weights() {
        let mut all = Vec::new();
        for tensor in &tensors {
            let mut values: Vec<f64> = tensor.values().into_iter().map(f64::from).collect();
            for (pair, scale) in loras.iter().flat_map(|(pairs, scale)| pairs.iter().map(move |p| (p, scale))) {
                if pair.file != path || pair.weight != tensor.name {
                    continue;
                }
                let [down, up] = pair.halves(&tensor.shape);
                let cols = tensor.shape[1..].iter().product::<usize>();
                let factor = scale * f64::from(pair.alpha.unwrap_or(RANK as f32)) / RANK as f64;
                for (i, v) in values.iter_mut().enumerate() {
                    let product = |k: usize| f64::from(up[i / cols * RANK + k]) * f64::from(down[k * cols + i % cols]);
                    *v += factor * (0..RANK).map(product).sum::<f64>();
                }
            }
            let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
            all.push((tensor.name.clone(), tensor.shape.clone(), bytes(&values, how)));
        }
        files.insert(path.clone(), safetensors(&all, how));
    }
    files
}

/// Latents of the same picture by these files, without a LoRA.
fn plain(gpu: &std::rc::Rc<inkstone::gpu::Gpu>, files: &Files, options: Value) -> Vec<f32> {
    latents(&load(gpu, files, &as_stored(), Vec::new()).unwrap(), PROMPT, options)
}

#[test]
fn loras_paint_what_weights_merged_by_hand_paint() {
    let gpu = support::gpu::open(None, None);
    let model = Model::read("sd1");
    let options = || small(json!({"steps": 4}));
    let without = plain(&gpu, &files("sd1"), options());
    let both: [(&str, &[Pair], f32); 2] =
        [("ink wash.safetensors", &BY_KOHYA, 0.7), ("brush.safetensors", &BY_PEFT, 1.0)];
    let loras = || both.iter().map(|(file, pairs, scale)| lora(file, &written(&model, pairs), *scale)).collect();
    let loaded = load(&gpu, &files("sd1"), &as_stored(), loras()).unwrap();
    assert_eq!(loaded.info().loras, ["ink wash", "brush"]);
    // Scales that the prompt asks for; what it does not name has the scale that it was loaded with.
    let tagged: [(&str, [f64; 2]); 5] = [
        ("", [0.7, 1.0]),
        ("<lora:ink wash:-0.4>", [-0.4, 1.0]),
        ("<lora:brush:0> <lora:ink wash:0>", [0.0, 0.0]),
        ("<lora:brush:1.3> <lora:ink wash:0.25>", [0.25, 1.3]),
        ("", [0.7, 1.0]),
    ];
    for (tags, scales) in tagged {
        let got = latents(&loaded, &format!("{PROMPT}{tags}"), options());
        let want = plain(&gpu, &merged(&model, &[(&BY_KOHYA, scales[0]), (&BY_PEFT, scales[1])]), options());
        let (error, effect) = (worst(&want, &got), worst(&without, &got));
        println!("scales {scales:?}: off by {error:.1e}; without LoRAs the latents differ by {effect:.1e}");
        assert!(error <= 1e-3, "scales {scales:?}: off by {error:.1e}");
        match scales {
            [0.0, 0.0] => assert!(got == without, "taken off, the model is what it was to the last bit"),
            _ => assert!(effect > 0.05, "scales {scales:?}: nothing changed ({effect:.1e})"),
        }
    }
}

/// Each pair by itself changes the picture: none stands for another, none is lost.
#[test]
fn every_pair_has_its_effect() {
    let gpu = support::gpu::open(None, None);
    let model = Model::read("sd1");
    let without = plain(&gpu, &files("sd1"), small(json!({})));
    for pair in BY_KOHYA.into_iter().chain(BY_PEFT) {
        let name = pair.name;
        let pairs = [pair];
        let loaded =
            load(&gpu, &files("sd1"), &as_stored(), vec![lora("x.safetensors", &written(&model, &pairs), 1.0)]);
        let got = latents(&loaded.unwrap(), PROMPT, small(json!({})));
        let want = plain(&gpu, &merged(&model, &[(&pairs, 1.0)]), small(json!({})));
        assert!(worst(&want, &got) <= 1e-3 && worst(&without, &got) > 1e-3, "{name}: {:.1e}", worst(&want, &got));
    }
}

#[test]
fn text_encoders_that_left_come_back_with_their_loras() {
    let gpu = support::gpu::open(None, None);
    let model = Model::read("sd1");
    let pairs = || vec![lora("a.safetensors", &written(&model, &BY_KOHYA), 0.7)];
    let stays = load(&gpu, &files("sd1"), &as_stored(), pairs()).unwrap();
    let options = ImageLoadOptions { text_encoder: TextMemory::Release, ..as_stored() };
    let leaves = load(&gpu, &files("sd1"), &options, pairs()).unwrap();
    for prompt in [PROMPT.to_string(), format!("{PROMPT} <lora:a:0>"), format!("{PROMPT} <lora:a:1.5>"), PROMPT.into()]
    {
        let [a, b] = [&stays, &leaves].map(|model| latents(model, &prompt, small(json!({}))));
        assert!(a == b, "{prompt}: off by {:.1e}", worst(&a, &b));
    }
}

#[test]
fn loras_that_do_not_fit_are_refused_and_the_model_stays_usable() {
    let gpu = support::gpu::open(None, None);
    let model = Model::read("sd1");
    let good = written(&model, &BY_PEFT);
    let refused = |bytes: &[u8]| {
        let loaded = load(&gpu, &files("sd1"), &as_stored(), vec![lora("x.safetensors", bytes, 1.0)]);
        loaded.err().map(|e| (e.code(), e.to_string())).unwrap_or_else(|| panic!("it was taken"))
    };
    let (down, up) = ([RANK, 48], [32, RANK]);
    let floats = |shape: &[usize]| bytes(&vec![0.5; shape.iter().product()], Stored::F32);
    let entry = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec(), floats(shape));
    let name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    // Its names are this model's, its shapes are not.
    let other = safetensors(
        &[entry(&format!("{name}.lora_A.weight"), &down), entry(&format!("{name}.lora_B.weight"), &up)],
        Stored::F32,
    );
    let (code, text) = refused(&other);
    assert_eq!(code, "Unsupported");
    assert!(text.contains("another model") && text.contains("attn1.to_q"), "{text}");
    let elsewhere = safetensors(
        &[entry("transformer.x.lora_A.weight", &down), entry("transformer.x.lora_B.weight", &up)],
        Stored::F32,
    );
    assert_eq!(refused(&elsewhere).0, "Unsupported");
    assert_eq!(refused(&good[..good.len() / 2]).0, "Format");
    assert_eq!(refused(b"no LoRA").0, "Format");
    let twice = load(
        &gpu,
        &files("sd1"),
        &as_stored(),
        vec![lora("a.safetensors", &good, 1.0), lora("a.safetensors", &good, 1.0)],
    );
    assert_eq!(twice.err().map(|e| e.code()), Some("Unsupported"));

    let loaded = load(&gpu, &files("sd1"), &as_stored(), vec![lora("a.safetensors", &good, 1.0)]).unwrap();
    let before = latents(&loaded, PROMPT, small(json!({})));
    let error = paint(&loaded, &format!("{PROMPT} <lora:b:1>"), small(json!({}))).unwrap_err();
    assert!(
        error.code() == "Unsupported" && error.to_string().contains('`') && error.to_string().contains("(a was)"),
        "{error}"
    );
    assert!(calls::latents(&loaded, PROMPT, small(json!({}))) == before);
}
