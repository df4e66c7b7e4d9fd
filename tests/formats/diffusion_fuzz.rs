//! Files of image models, damaged: each gives a result or an error; what is accepted keeps its promises, and nothing is
//! allocated that the size of the file does not justify.

use super::build::Random;
use super::diffusion::{clip, index, scheduler, unet, vae, with};
use super::diffusion_ldm::{checkpoint, tensor};
use crate::{allowed, memory};
use inkstone::config::diffusion::clip::ClipConfig;
use inkstone::config::diffusion::index::PipelineIndex;
use inkstone::config::diffusion::ldm;
use inkstone::config::diffusion::lora::LoraPairs;
use inkstone::config::diffusion::scheduler::SchedulerConfig;
use inkstone::config::diffusion::unet::UnetConfig;
use inkstone::config::diffusion::vae::VaeConfig;
use inkstone::format::safetensors::SafeTensors;
use inkstone::format::{Parsed, TensorInfo};
use inkstone::{Error, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Files as published, for the tests that damage them: what they are, and their text.
pub const GOOD: [(&str, &str); 15] = [
    ("index", INDEX_SD),
    ("index", INDEX_XL),
    ("index", include_str!("../../www/models/emoji/model_index.json")),
    ("unet", UNET_SD),
    ("unet", UNET_XL),
    ("unet", include_str!("../../www/models/emoji/unet/config.json")),
    ("vae", VAE_SD),
    ("vae", VAE_TINY),
    ("vae", include_str!("../../www/models/emoji/vae/config.json")),
    ("clip", CLIP_L),
    ("clip", CLIP_G),
    ("clip", include_str!("../../www/models/emoji/text_encoder/config.json")),
    ("scheduler", PNDM),
    ("scheduler", DPM),
    ("scheduler", include_str!("../../www/models/emoji/scheduler/scheduler_config.json")),
];

/// Of Stable Diffusion 1.5.
pub const INDEX_SD: &str = r#"{"_class_name":"StableDiffusionPipeline","_diffusers_version":"0.6.0",
    "feature_extractor":["transformers","CLIPImageProcessor"],"safety_checker":["stable_diffusion",
    "StableDiffusionSafetyChecker"],"scheduler":["diffusers","PNDMScheduler"],"text_encoder":["transformers",
    "CLIPTextModel"],"tokenizer":["transformers","CLIPTokenizer"],"unet":["diffusers","UNet2DConditionModel"],
    "vae":["diffusers","AutoencoderKL"]}"#;

/// Of Stable Diffusion XL.
pub const INDEX_XL: &str = r#"{"_class_name":"StableDiffusionXLPipeline","_diffusers_version":"0.19.0.dev0",
    "force_zeros_for_empty_prompt":true,"add_watermarker":null,"scheduler":["diffusers","EulerDiscreteScheduler"],
    "text_encoder":["transformers","CLIPTextModel"],"text_encoder_2":["transformers","CLIPTextModelWithProjection"],
    "tokenizer":["transformers","CLIPTokenizer"],"tokenizer_2":["transformers","CLIPTokenizer"],
    "unet":["diffusers","UNet2DConditionModel"],"vae":["diffusers","AutoencoderKL"]}"#;

/// Of Stable Diffusion 1.5, written before most settings existed.
pub const UNET_SD: &str = r#"{"_class_name":"UNet2DConditionModel","_diffusers_version":"0.6.0","act_fn":"silu",
    "attention_head_dim":8,"block_out_channels":[320,640,1280,1280],"center_input_sample":false,
    "cross_attention_dim":768,"down_block_types":["CrossAttnDownBlock2D","CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D","DownBlock2D"],"downsample_padding":1,"flip_sin_to_cos":true,"freq_shift":0,
    "in_channels":4,"layers_per_block":2,"mid_block_scale_factor":1,"norm_eps":1e-05,"norm_num_groups":32,
    "out_channels":4,"sample_size":64,"up_block_types":["UpBlock2D","CrossAttnUpBlock2D","CrossAttnUpBlock2D",
    "CrossAttnUpBlock2D"]}"#;

/// Of Stable Diffusion XL.
pub const UNET_XL: &str = r#"{"_class_name":"UNet2DConditionModel","_diffusers_version":"0.19.0.dev0","act_fn":"silu",
    "addition_embed_type":"text_time","addition_embed_type_num_heads":64,"addition_time_embed_dim":256,
    "attention_head_dim":[5,10,20],"block_out_channels":[320,640,1280],"center_input_sample":false,
    "class_embed_type":null,"class_embeddings_concat":false,"conv_in_kernel":3,"conv_out_kernel":3,
    "cross_attention_dim":2048,"cross_attention_norm":null,"down_block_types":["DownBlock2D","CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D"],"downsample_padding":1,"dual_cross_attention":false,"encoder_hid_dim":null,
    "encoder_hid_dim_type":null,"flip_sin_to_cos":true,"freq_shift":0,"in_channels":4,"layers_per_block":2,
    "mid_block_only_cross_attention":null,"mid_block_scale_factor":1,"mid_block_type":"UNetMidBlock2DCrossAttn",
    "norm_eps":1e-05,"norm_num_groups":32,"num_attention_heads":null,"num_class_embeds":null,
    "only_cross_attention":false,"out_channels":4,"projection_class_embeddings_input_dim":2816,
    "resnet_out_scale_factor":1.0,"resnet_skip_time_act":false,"resnet_time_scale_shift":"default","sample_size":128,
    "time_cond_proj_dim":null,"time_embedding_act_fn":null,"time_embedding_dim":null,
    "time_embedding_type":"positional","timestep_post_act":null,"transformer_layers_per_block":[1,2,10],
    "up_block_types":["CrossAttnUpBlock2D","CrossAttnUpBlock2D","UpBlock2D"],"upcast_attention":null,
    "use_linear_projection":true}"#;

/// Of Stable Diffusion 1.5.
pub const VAE_SD: &str = r#"{"_class_name":"AutoencoderKL","_diffusers_version":"0.6.0","act_fn":"silu",
    "block_out_channels":[128,256,512,512],"down_block_types":["DownEncoderBlock2D","DownEncoderBlock2D",
    "DownEncoderBlock2D","DownEncoderBlock2D"],"in_channels":3,"latent_channels":4,"layers_per_block":2,
    "norm_num_groups":32,"out_channels":3,"sample_size":512,"up_block_types":["UpDecoderBlock2D","UpDecoderBlock2D",
    "UpDecoderBlock2D","UpDecoderBlock2D"]}"#;

/// Of taesd, and of SDXS.
pub const VAE_TINY: &str = r#"{"_class_name":"AutoencoderTiny","_diffusers_version":"0.20.0.dev0","act_fn":"relu",
    "decoder_block_out_channels":[64,64,64,64],"encoder_block_out_channels":[64,64,64,64],"force_upcast":false,
    "in_channels":3,"latent_channels":4,"latent_magnitude":3,"latent_shift":0.5,"num_decoder_blocks":[3,3,3,1],
    "num_encoder_blocks":[1,3,3,3],"out_channels":3,"scaling_factor":1.0,"upsampling_scaling_factor":2}"#;

/// Of Stable Diffusion 1.5.
pub const CLIP_L: &str = r#"{"_name_or_path":"openai/clip-vit-large-patch14","architectures":["CLIPTextModel"],
    "attention_dropout":0.0,"bos_token_id":0,"dropout":0.0,"eos_token_id":2,"hidden_act":"quick_gelu",
    "hidden_size":768,"initializer_factor":1.0,"initializer_range":0.02,"intermediate_size":3072,
    "layer_norm_eps":1e-05,"max_position_embeddings":77,"model_type":"clip_text_model","num_attention_heads":12,
    "num_hidden_layers":12,"pad_token_id":1,"projection_dim":768,"torch_dtype":"float32",
    "transformers_version":"4.22.0.dev0","vocab_size":49408}"#;

/// Of the second text encoder of Stable Diffusion XL.
pub const CLIP_G: &str = r#"{"architectures":["CLIPTextModelWithProjection"],"attention_dropout":0.0,"bos_token_id":0,
    "dropout":0.0,"eos_token_id":2,"hidden_act":"gelu","hidden_size":1280,"initializer_factor":1.0,
    "initializer_range":0.02,"intermediate_size":5120,"layer_norm_eps":1e-05,"max_position_embeddings":77,
    "model_type":"clip_text_model","num_attention_heads":20,"num_hidden_layers":32,"pad_token_id":1,
    "projection_dim":1280,"torch_dtype":"float16","transformers_version":"4.32.0.dev0","vocab_size":49408}"#;

/// Of Stable Diffusion 1.5.
pub const PNDM: &str = r#"{"_class_name":"PNDMScheduler","_diffusers_version":"0.6.0","beta_end":0.012,
    "beta_schedule":"scaled_linear","beta_start":0.00085,"num_train_timesteps":1000,"set_alpha_to_one":false,
    "skip_prk_steps":true,"steps_offset":1,"trained_betas":null,"clip_sample":false}"#;

/// Of tiny-sd, with a number that only Python writes.
pub const DPM: &str = r#"{"_class_name":"DPMSolverMultistepScheduler","_diffusers_version":"0.19.0.dev0",
    "algorithm_type":"dpmsolver++","beta_end":0.012,"beta_schedule":"scaled_linear","beta_start":0.00085,
    "clip_sample":false,"dynamic_thresholding_ratio":0.995,"lambda_min_clipped":-Infinity,"lower_order_final":true,
    "num_train_timesteps":1000,"prediction_type":"epsilon","sample_max_value":1.0,"set_alpha_to_one":false,
    "skip_prk_steps":true,"solver_order":2,"solver_type":"midpoint","steps_offset":1,"thresholding":false,
    "timestep_spacing":"linspace","trained_betas":null,"use_karras_sigmas":false,"variance_type":null}"#;

/// `base` with each of the values in place of each key's: [`Error::Format`], and no more memory than the text justifies.
fn impossible<T: Debug>(read: fn(&str) -> Result<T>, base: &str, keys: &str, values: &str) {
    for key in keys.split_whitespace() {
        for value in serde_json::from_str::<Vec<Value>>(&format!("[{values}]")).unwrap() {
            let text = with(base, json!({key: value}));
            let (result, most) = memory::peak(|| read(&text));
            assert!(most <= allowed(text.len()), "{key}: {most} bytes held for {} bytes", text.len());
            let error = result.expect_err(&format!("{key} is {value}"));
            assert_eq!(error.code(), "Format", "{key} is {value}: {error}");
        }
    }
}

/// `n` times the same, as a list.
fn list(value: &str, n: usize) -> String {
    format!("[{}]", vec![value; n].join(","))
}

/// Zero, negative, broken and huge numbers, and other things than numbers.
const WRONG: &str = r#"0, -1, 0.5, 1e9, 1e300, 18446744073709551615, "4", true, {"a": 1}, [[[1]]], ["a"]"#;

#[test]
fn networks_that_cannot_be() {
    let counts = "in_channels out_channels cross_attention_dim norm_num_groups time_cond_proj_dim layers_per_block
        transformer_layers_per_block addition_time_embed_dim projection_class_embeddings_input_dim attention_head_dim";
    impossible(unet, UNET_XL, counts, WRONG);
    let lists = r#"[], [8], [1, 2, "3"], [0, -1, 2], [1, 2, 3, 4], [1e9, 1e9, 1e9]"#;
    impossible(unet, UNET_XL, counts, lists);
    impossible(unet, UNET_XL, counts, &list("2", 5000));
    impossible(unet, UNET_XL, "attention_head_dim norm_num_groups", "7, [5, 10, 7]");
    impossible(unet, UNET_XL, "layers_per_block transformer_layers_per_block", "65, [1, 65, 1], [[1], [2], [0]]");
    impossible(unet, UNET_XL, "sample_size time_embedding_dim", r#"-1, 1e9, 1.5, "64", [-64], {}"#);
    let lists = r#"[], [320], [320, 640, 1280, 1280], [0, 0, 0], [321, 640, 1280], [320, 640, 1e9], [320, 640, 1073741824],
        [320, 640, -1], "320", 320, {}"#;
    impossible(unet, UNET_XL, "block_out_channels", lists);
    let lists =
        r#"[], ["DownBlock2D"], ["UpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"], [1, 2, 3], "UpBlock2D", {}"#;
    impossible(unet, UNET_XL, "down_block_types up_block_types", lists);
    impossible(unet, UNET_XL, "block_out_channels down_block_types", &list("320", 5000));
    impossible(unet, UNET_XL, "flip_sin_to_cos use_linear_projection", r#"1, "true", []"#);
    impossible(unet, UNET_XL, "norm_eps freq_shift", r#"-2.5, 1e39, "0", true, []"#);
    impossible(unet, UNET_XL, "addition_time_embed_dim projection_class_embeddings_input_dim", "null");
    let [channels, down, up] = [("32", 13), (r#""DownBlock2D""#, 13), (r#""UpBlock2D""#, 13)].map(|(v, n)| list(v, n));
    let deep = format!(r#"{{"block_out_channels":{channels},"down_block_types":{down},"up_block_types":{up}}}"#);
    assert_eq!(unet(&deep).unwrap_err().code(), "Format");
}

#[test]
fn other_parts_that_cannot_be() {
    impossible(vae, VAE_SD, "layers_per_block norm_num_groups", WRONG);
    let lists = r#"[], [128], [0, 0, 0, 0], [128, 256, 512, 500], [128, 256, 512, 1e9], [128, -1, 1, 1], 128, {}, "a""#;
    impossible(vae, VAE_SD, "block_out_channels", lists);
    impossible(vae, VAE_SD, "block_out_channels", &list("32", 5000));
    impossible(vae, VAE_SD, "down_block_types", r#"[], ["DownEncoderBlock2D"]"#);
    impossible(vae, VAE_SD, "down_block_types", &list(r#""DownEncoderBlock2D""#, 13));
    impossible(vae, VAE_SD, "shift_factor", r#"1e39, "0", []"#);
    impossible(vae, VAE_SD, "use_quant_conv use_post_quant_conv mid_block_add_attention", r#"1, "true", []"#);
    let [channels, down, up] =
        [("32", 13), (r#""DownEncoderBlock2D""#, 13), (r#""UpDecoderBlock2D""#, 13)].map(|(v, n)| list(v, n));
    let deep = format!(r#"{{"block_out_channels":{channels},"down_block_types":{down},"up_block_types":{up}}}"#);
    assert_eq!(vae(&deep).unwrap_err().code(), "Format");
    for base in [VAE_SD, VAE_TINY] {
        impossible(vae, base, "in_channels out_channels latent_channels", WRONG);
        impossible(vae, base, "scaling_factor", r#"0, -1, 1e39, 1e-60, "1", true, [1]"#);
    }
    let lists = "[], [64], [64, 64, 64, 32], [0, 0, 0, 0], [1e9, 1e9, 1e9, 1e9], [64, 64, 64, 64, 64], [64, -1, 64, 64], 64, {}";
    impossible(vae, VAE_TINY, "encoder_block_out_channels decoder_block_out_channels", lists);
    let lists = "[], [1], [1, 1, 1, 1, 1], [1, 1, 1, 65], [1, 1, 1, 1e9], [1, 1, 1, -1], 3";
    impossible(vae, VAE_TINY, "num_encoder_blocks num_decoder_blocks", lists);
    impossible(vae, VAE_TINY, "num_encoder_blocks num_decoder_blocks", &list("1", 5000));
    impossible(vae, VAE_TINY, "latent_magnitude", r#"0, -3, 1e39, "3""#);
    impossible(vae, VAE_TINY, "latent_shift", r#"1e39, "0.5", []"#);

    let counts =
        "vocab_size max_position_embeddings hidden_size num_hidden_layers num_attention_heads intermediate_size
        projection_dim";
    impossible(clip, CLIP_G, counts, WRONG);
    impossible(clip, CLIP_G, "num_attention_heads", "7, 2560");
    impossible(clip, CLIP_G, "layer_norm_eps", r#"-1e-5, 1e39, "0", []"#);
    impossible(clip, CLIP_G, "bos_token_id eos_token_id pad_token_id", r#""a", 0.5, 1e10, [-1], ["a"], {}"#);
    impossible(clip, CLIP_G, "architectures", r#""CLIPTextModel", [1], {}"#);

    impossible(scheduler, PNDM, "num_train_timesteps solver_order original_inference_steps", WRONG);
    impossible(scheduler, PNDM, "num_train_timesteps", "1, 65537");
    impossible(scheduler, PNDM, "beta_start beta_end", r#"-0.1, 1, 1e300, "0.1", [0.1]"#);
    impossible(scheduler, PNDM, "trained_betas", r#"[], [0.1], 0.1, {}, "a""#);
    for betas in [list("0.1", 999), list("1.5", 1000), list("null", 1000), list("-0.1", 1000), list("0.1", 70_000)] {
        impossible(scheduler, PNDM, "trained_betas", &betas);
    }
    impossible(scheduler, PNDM, "steps_offset", r#"1000, -1000, 1e300, -1e300, "1""#);
    impossible(scheduler, PNDM, "timestep_scaling", r#"0, -10, "10""#);
    impossible(scheduler, PNDM, "sigma_min sigma_max", r#""1", [], true"#);
    impossible(scheduler, PNDM, "lambda_min_clipped", r#""a", [], true"#);
    let flags = "set_alpha_to_one use_karras_sigmas rescale_betas_zero_snr lower_order_final euler_at_final";
    impossible(scheduler, PNDM, flags, r#"0, "true", []"#);
    let texts =
        "_class_name beta_schedule prediction_type timestep_spacing solver_type algorithm_type final_sigmas_type
        variance_type";
    impossible(scheduler, PNDM, texts, r#"1, true, ["a"], {"a": 1}"#);
    impossible(index, INDEX_XL, "_class_name force_zeros_for_empty_prompt", r#"1, [], {}, ["a"]"#);
}

#[test]
fn steps_are_whole() {
    impossible(scheduler, PNDM, "steps_offset", "0.5");
}

#[test]
fn noise_levels_are_finite_and_not_negative() {
    impossible(scheduler, PNDM, "sigma_min sigma_max", "-1, 1e300");
}

/// A reader of each kind of file, which checks what it accepts.
fn read(kind: &str, bytes: &[u8]) -> Result<()> {
    match kind {
        "index" => {
            let index = PipelineIndex::parse(bytes, "m.json")?;
            assert!(
                ["unet", "vae", "text_encoder", "tokenizer", "scheduler"]
                    .iter()
                    .all(|p| index.components.contains_key(*p))
            );
        }
        "unet" => check_unet(&UnetConfig::from_json(bytes, "m.json")?),
        "vae" => check_vae(&VaeConfig::from_json(bytes, "m.json")?),
        "clip" => {
            let c = ClipConfig::from_json(bytes, "m.json")?;
            assert!(c.vocab > 0 && c.positions > 0 && c.n_layers > 0 && c.ffn_dim > 0 && c.projection_dim != Some(0));
            assert!(c.dim > 0 && c.dim.is_multiple_of(c.n_heads) && c.norm_eps.is_finite());
        }
        _ => {
            let s = SchedulerConfig::from_json(bytes, "m.json")?;
            assert!(s.trained_betas.iter().all(|betas| betas.len() == s.num_train_timesteps));
            assert!(s.beta_start.into_iter().chain(s.beta_end).all(|beta| (0.0..1.0).contains(&beta)));
            assert!(s.timestep_scaling.is_finite() && s.steps_offset.unsigned_abs() < s.num_train_timesteps as u64);
        }
    }
    Ok(())
}

fn check_unet(c: &UnetConfig) {
    let n = c.block_out_channels.len();
    let lists = [&c.layers_per_block, &c.transformer_layers, &c.up_transformer_layers, &c.heads];
    assert!(n > 0 && n <= 12 && lists.iter().all(|list| list.len() == n));
    assert_eq!([c.down_attention.len(), c.up_attention.len()], [n, n]);
    assert!(c.block_out_channels.iter().all(|k| *k > 0 && *k <= 1 << 16 && k.is_multiple_of(c.norm_num_groups)));
    let heads = |i: usize| c.heads[i] > 0 && c.block_out_channels[i].is_multiple_of(c.heads[i]);
    assert!((0..n).all(|i| heads(i) || !(c.down_attention[i] || c.up_attention[n - 1 - i])));
    assert!(c.mid != Some(true) || (heads(n - 1) && (1..=64).contains(&c.transformer_layers[n - 1])));
    assert!(c.norm_eps.is_finite() && c.time_embed_dim > 0 && c.cross_attention_dim > 0 && !c.sample_size.contains(&0));
}

fn check_vae(c: &VaeConfig) {
    assert!((1..=2048).contains(&c.factor()) && (1..=4096).contains(&c.latent_channels()));
    assert!(c.scaling_factor() > 0.0 && c.scaling_factor().is_finite() && c.shift_factor().is_finite());
    match c {
        VaeConfig::Kl(c) => assert!(c.block_out_channels.iter().all(|k| *k > 0 && k.is_multiple_of(c.norm_num_groups))),
        VaeConfig::Tiny(c) => assert_eq!(c.decoder_channels.len(), c.decoder_blocks.len()),
    }
}

/// None of the files is anything else than a JSON object.
#[test]
fn no_json() {
    fn all(text: &[u8]) -> [String; 5] {
        ["index", "unet", "vae", "clip", "scheduler"].map(|kind| {
            let (result, most) = memory::peak(|| read(kind, text));
            assert!(most <= allowed(text.len()));
            let error = result.unwrap_err();
            assert_eq!(error.code(), "Format");
            error.to_string()
        })
    }
    let deep = ["[".repeat(100_000), r#"{"a":"#.repeat(100_000), format!(r#"{{"a":{}"#, "[".repeat(100_000))];
    let texts = ["", "[]", "7", "null", "{\"a\":", "{\"in_channels\":1e400}", "{\"scaling_factor\":-NaN}"];
    for text in texts.into_iter().chain(deep.iter().map(String::as_str)) {
        assert!(all(text.as_bytes()).iter().all(|said| said.starts_with("m.json: this JSON cannot be used")));
    }
    assert!(all(b"\xff{}").iter().all(|said| said.starts_with("m.json: this JSON cannot be used")));
    assert!(all(b"<!doctype html>").iter().all(|said| said.contains("web page")));
    assert!(all(b"version https://git-lfs.github.com/spec/v1").iter().all(|said| said.contains("Git LFS")));
    let marked = ["\u{feff}", UNET_SD].concat();
    assert_eq!(unet(&marked).unwrap(), unet(UNET_SD).unwrap());
}

/// What became of damaged files.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    largest: usize,
    took: Duration,
}

impl Tally {
    /// Reads `bytes` with `read`, which needs no more memory than for a file with `more` bytes more.
    fn feed(&mut self, bytes: &[u8], more: usize, read: impl FnOnce(&[u8]) -> Result<()>) {
        let start = Instant::now();
        let (result, most) = memory::peak(|| read(bytes));
        self.took = self.took.max(start.elapsed());
        self.largest = self.largest.max(most);
        assert!(most <= allowed(bytes.len() + more), "{most} bytes held for a file of {} bytes", bytes.len());
        let Err(error) = result else { return self.accepted += 1 };
        self.refused += 1;
        assert!(matches!(error.code(), "Format" | "Unsupported" | "Missing" | "Shape"), "{error}");
        assert!(error.to_string().len() < 1_000 + bytes.len(), "{error}");
    }

    /// Damage must be neither harmless nor always fatal, and no file takes long.
    fn done(&self, what: &str) {
        let Tally { accepted, refused, largest, took } = self;
        println!("{what}: {refused} refused, {accepted} read, {largest} bytes held and {took:?} taken at most");
        let all = accepted + refused;
        assert!(*refused > all / 20 && *accepted > all / 100 && *took < Duration::from_secs(5));
    }
}

#[test]
fn damaged_settings() {
    for (seed, (kind, text)) in GOOD.iter().enumerate() {
        read(kind, text.as_bytes()).unwrap();
        let (mut random, mut tally) = (Random(30 + seed as u64), Tally::default());
        for round in 0..3_000 {
            let mut bytes = text.as_bytes().to_vec();
            match round % 3 {
                0 => random.damage(&mut bytes),
                // A piece is cut out, or put in again elsewhere.
                1 => {
                    let at = random.below(bytes.len());
                    let piece: Vec<u8> = bytes.drain(at..(at + random.below(9)).min(text.len())).collect();
                    let to = random.below(bytes.len());
                    bytes.splice(to..to, piece.repeat(random.below(3)));
                }
                // A digit becomes another number.
                _ => {
                    let digits: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
                    let number = ["0", "-1", "3", "64", "1e9", "0.5", "99999999999999999999"][random.below(7)];
                    if let Some(&at) = digits.get(random.below(digits.len().max(1))) {
                        bytes.splice(at..at + 1, number.bytes());
                    }
                }
            }
            tally.feed(&bytes, 0, |bytes| read(kind, bytes));
        }
        tally.done(kind);
        for len in 0..text.trim_end().len() {
            assert!(read(kind, &text.as_bytes()[..len]).is_err(), "{kind}: {len} bytes passed for a whole file");
        }
    }
}

/// Short text, many values: the shapes that would cost most per byte.
#[test]
fn settings_that_grow_when_read() {
    for unit in ["0", "[]", "{}", "\"\"", "null", "[[[],[]]]", "-Infinity", "NaN"] {
        for (kind, text) in GOOD {
            let keys: Vec<String> = json_keys(text);
            for key in keys.iter().map(String::as_str).chain(["unknown"]) {
                let many = format!(r#"{{"{key}":{}}}"#, list(unit, 20_000));
                Tally::default().feed(many.as_bytes(), 0, |bytes| read(kind, bytes));
            }
            let entries: Vec<String> = (0..5_000).map(|i| format!(r#""{i}":{unit}"#)).collect();
            let many = format!("{{{}}}", entries.join(","));
            Tally::default().feed(many.as_bytes(), 0, |bytes| read(kind, bytes));
        }
    }
}

fn json_keys(text: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(&text.replace("-Infinity", "null")).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

/// The header of a safetensors file of these tensors, and how long the file is.
fn header(tensors: &[TensorInfo], metadata: &str) -> (Vec<u8>, u64) {
    let (mut entries, mut end) = (vec![format!(r#""__metadata__":{{{metadata}}}"#)], 0);
    for t in tensors {
        let shape: Vec<String> = t.shape.iter().map(usize::to_string).collect();
        let (begin, shape) = (end, shape.join(","));
        end += t.bytes;
        entries.push(format!(r#""{}":{{"dtype":"F16","shape":[{shape}],"data_offsets":[{begin},{end}]}}"#, t.name));
    }
    let text = format!("{{{}}}", entries.join(","));
    let len = 8 + text.len() as u64 + end;
    ([&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat(), len)
}

fn parse(bytes: &[u8], len: u64) -> Result<SafeTensors> {
    match SafeTensors::parse(bytes, len, "m.safetensors")? {
        Parsed::Done(parsed) => Ok(parsed),
        Parsed::NeedMore(_) => Err(Error::format("m.safetensors", "more is wanted")),
    }
}

#[test]
fn damaged_headers_of_checkpoints() {
    for (seed, case) in ["sd 1, small", "sdxl, small"].into_iter().enumerate() {
        let (good, len) = header(&checkpoint(case), r#""format":"pt""#);
        let read = |bytes: &[u8]| {
            let opened = ldm::open(&parse(bytes, len)?.tensors, "m.safetensors")?;
            check_unet(&opened.unet);
            check_vae(&opened.vae);
            Ok(())
        };
        read(&good).unwrap();
        let (mut random, mut tally) = (Random(60 + seed as u64), Tally::default());
        for _ in 0..700 {
            let mut bytes = good.clone();
            random.damage(&mut bytes);
            tally.feed(&bytes, 0, read);
        }
        tally.done(case);
    }
}

#[test]
fn damaged_headers_of_loras() {
    let model = ldm::open(&checkpoint("sd 1, small"), "m").unwrap().map;
    let names: Vec<&str> =
        model.keys().map(String::as_str).filter(|n| n.contains("attn") || n.contains("mlp")).collect();
    let more: usize = names.iter().map(|name| name.len()).sum();
    let mut tensors = Vec::new();
    for (i, stem) in names.iter().filter_map(|name| name.strip_suffix(".weight")).enumerate() {
        let kohya = format!("lora_{}", stem.replace("text_encoder", "te").replace('.', "_"));
        let old = stem.replace(".attn1.", ".attn1.processor.").replace(".to_out.0", ".to_out");
        let [down, up] = match i % 3 {
            _ if stem.starts_with("text") => [format!("{stem}.lora.down.weight"), format!("{stem}.lora.up.weight")],
            0 => [format!("{kohya}.lora_down.weight"), format!("{kohya}.lora_up.weight")],
            1 => [format!("{stem}.lora_A.default.weight"), format!("{stem}.lora_B.default.weight")],
            _ => [format!("{old}_lora.down.weight"), format!("{old}_lora.up.weight")],
        };
        tensors.extend([tensor(&down, &[4, 8]), tensor(&up, &[6, 4])]);
        tensors.extend((i % 3 == 0 && stem.starts_with("unet")).then(|| tensor(&format!("{kohya}.alpha"), &[])));
    }
    let told = r#""lora_adapter_metadata":"{\"unet.r\":4,\"unet.lora_alpha\":8,\"unet.use_rslora\":true,\"unet.alpha_pattern\":{}}""#;
    let (good, len) = header(&tensors, told);
    let read = |bytes: &[u8], len: u64| {
        let parsed = parse(bytes, len)?;
        let shapes: BTreeMap<&str, &[usize]> = parsed.tensors.iter().map(|t| (t.name.as_str(), &t.shape[..])).collect();
        let lora = LoraPairs::parse(&parsed, names.iter().copied(), "m.safetensors")?;
        assert!(lora.pairs.windows(2).all(|w| w[0].target < w[1].target) && !lora.pairs.is_empty());
        for pair in &lora.pairs {
            let (down, up) = (shapes[pair.down.as_str()], shapes[pair.up.as_str()]);
            assert!(names.contains(&pair.target.as_str()) && down[0] > 0 && down[0] == up[1], "{pair:?}");
            assert!(pair.alpha_value.is_none_or(f32::is_finite), "{pair:?}");
        }
        Ok(())
    };
    read(&good, len).unwrap();
    let (mut random, mut tally) = (Random(70), Tally::default());
    let metadata = good.windows(told.len()).position(|part| part == told.as_bytes()).unwrap();
    for round in 0..3_000 {
        let (mut bytes, mut len) = (good.clone(), len);
        match round % 3 {
            0 => random.damage(&mut bytes[metadata..metadata + told.len()]),
            1 => random.damage(&mut bytes),
            // A header that fits its file, of tensors that do not fit each other.
            _ => {
                let mut tensors = tensors.clone();
                let (at, other) = (random.below(tensors.len()), random.below(tensors.len()));
                let shapes: [&[usize]; 7] = [&[], &[4], &[0, 4], &[4, 0], &[4, 5], &[6, 4, 3, 3], &[4, 8, 3, 3]];
                match random.below(4) {
                    0 => drop(tensors.remove(at)),
                    1 => tensors[at] = tensor(&tensors[at].name, shapes[random.below(7)]),
                    2 => tensors.push(tensor(&format!("base_model.model.{}", tensors[at].name), &[4, 4])),
                    _ => tensors[at].name = tensors[other].name.replace("down", "up").replace("lora_A", "lora_B"),
                }
                (bytes, len) = header(&tensors, told);
            }
        }
        tally.feed(&bytes, more, |bytes| read(bytes, len));
    }
    tally.done("LoRA");
}
