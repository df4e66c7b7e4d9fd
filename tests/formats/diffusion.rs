//! The JSON files of a diffusers folder: published ones mean what diffusers takes them to mean; what is not supported is
//! named; what cannot be is an error.

use super::diffusion_fuzz::{CLIP_G, CLIP_L, DPM, INDEX_SD, INDEX_XL, PNDM, UNET_SD, UNET_XL, VAE_SD, VAE_TINY};
use inkstone::Result;
use inkstone::config::diffusion::clip::{ClipActivation, ClipConfig};
use inkstone::config::diffusion::index::{PipelineFamily, PipelineIndex};
use inkstone::config::diffusion::scheduler::{BetaSchedule, Prediction, SchedulerConfig, Spacing};
use inkstone::config::diffusion::unet::{Addition, UnetConfig};
use inkstone::config::diffusion::vae::{KlConfig, TinyConfig, VaeConfig};
use serde_json::{Map, Value, json};
use std::fmt::Debug;

/// `base` with `more` over it.
pub fn with(base: &str, more: Value) -> String {
    let mut config: Value = serde_json::from_str(&base.replace("-Infinity", "null")).unwrap();
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config.to_string()
}

pub fn index(text: &str) -> Result<PipelineIndex> {
    PipelineIndex::parse(text.as_bytes(), "model_index.json")
}

pub fn unet(text: &str) -> Result<UnetConfig> {
    UnetConfig::from_json(text.as_bytes(), "unet/config.json")
}

pub fn vae(text: &str) -> Result<VaeConfig> {
    VaeConfig::from_json(text.as_bytes(), "vae/config.json")
}

pub fn clip(text: &str) -> Result<ClipConfig> {
    ClipConfig::from_json(text.as_bytes(), "text_encoder/config.json")
}

pub fn scheduler(text: &str) -> Result<SchedulerConfig> {
    SchedulerConfig::from_json(text.as_bytes(), "scheduler_config.json")
}

fn refused<T: Debug>(result: Result<T>, code: &str, says: &str) {
    let error = result.expect_err(says);
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    assert!(text.contains(says) && text.contains(".json"), "{text:?} does not say {says:?}");
}

/// `base` with each of the settings alone: [`Error::Unsupported`](inkstone::Error) that names it.
fn unsupported<T: Debug>(read: fn(&str) -> Result<T>, base: &str, settings: &str) {
    for (key, value) in serde_json::from_str::<Map<String, Value>>(settings).unwrap() {
        refused(read(&with(base, json!({&key: value}))), "Unsupported", &key);
    }
}

#[test]
fn pipelines() {
    let sd = index(INDEX_SD).unwrap();
    assert_eq!((sd.class.as_str(), sd.family, sd.name.as_str()), ("StableDiffusionPipeline", PipelineFamily::Sd, ""));
    let parts: Vec<(&str, &str)> = sd.components.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        parts[..2],
        [("feature_extractor", "CLIPImageProcessor"), ("safety_checker", "StableDiffusionSafetyChecker")]
    );
    assert_eq!(
        parts[2..5],
        [("scheduler", "PNDMScheduler"), ("text_encoder", "CLIPTextModel"), ("tokenizer", "CLIPTokenizer")]
    );
    assert_eq!(parts[5..], [("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")]);
    let xl = index(INDEX_XL).unwrap();
    assert_eq!((xl.family, xl.components.len(), xl.force_zeros_for_empty_prompt), (PipelineFamily::Sdxl, 7, true));
    assert!(xl.family.is_xl() && !sd.family.is_xl() && !sd.force_zeros_for_empty_prompt);
    let no = with(INDEX_XL, json!({"force_zeros_for_empty_prompt": false, "_name_or_path": "a/b"}));
    let no = index(&no).unwrap();
    assert_eq!((no.force_zeros_for_empty_prompt, no.name.as_str()), (false, "a/b"));
    assert!(index(&INDEX_XL.replace("force_zeros", "other")).unwrap().force_zeros_for_empty_prompt);
    // SDXS has the small autoencoder; what is null is not there.
    let tiny = with(INDEX_SD, json!({"vae": ["diffusers", "AutoencoderTiny"], "safety_checker": [null, null]}));
    assert_eq!(index(&tiny).unwrap().components.len(), 6);
    for (class, base, family) in [
        ("StableDiffusionImg2ImgPipeline", INDEX_SD, PipelineFamily::Sd),
        ("StableDiffusionInpaintPipeline", INDEX_SD, PipelineFamily::Sd),
        ("LatentConsistencyModelPipeline", INDEX_SD, PipelineFamily::Sd),
        ("LatentConsistencyModelImg2ImgPipeline", INDEX_SD, PipelineFamily::Sd),
        ("StableDiffusionXLImg2ImgPipeline", INDEX_XL, PipelineFamily::Sdxl),
        ("StableDiffusionXLInpaintPipeline", INDEX_XL, PipelineFamily::Sdxl),
    ] {
        let read = index(&with(base, json!({"_class_name": class}))).unwrap();
        assert_eq!((read.class.as_str(), read.family), (class, family));
    }
    for class in ["FluxPipeline", "StableDiffusion3Pipeline", "StableDiffusionControlNetPipeline", "DDPMPipeline", ""] {
        refused(index(&with(INDEX_SD, json!({"_class_name": class}))), "Unsupported", class);
    }
    for (part, class) in [
        ("unet", "UNet2DModel"),
        ("vae", "VQModel"),
        ("vae", "AutoencoderDC"),
        ("text_encoder", "T5EncoderModel"),
        ("text_encoder", "ChineseCLIPTextModel"),
    ] {
        let text = with(INDEX_SD, json!({part: ["diffusers", class]}));
        refused(index(&text), "Unsupported", &format!("`{part}` is a {class}"));
    }
    refused(
        index(&with(INDEX_XL, json!({"text_encoder_2": ["transformers", "CLIPTextModel"]}))),
        "Unsupported",
        "text_encoder_2",
    );
    for (base, parts) in [
        (INDEX_SD, &["unet", "vae", "text_encoder", "tokenizer", "scheduler"][..]),
        (INDEX_XL, &["unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"]),
    ] {
        for part in parts {
            for value in
                [json!(null), json!([null, null]), json!("diffusers"), json!(["diffusers"]), json!([1, 2]), json!({})]
            {
                refused(index(&with(base, json!({*part: value}))), "Format", &format!("no `{part}`"));
            }
        }
    }
    refused(index(r#"{"model_type":"llama"}"#), "Format", "_class_name");
}

/// As in Python.
#[test]
fn of_a_part_that_comes_twice_the_last_counts() {
    let twice = INDEX_SD.replace(r#""vae":["#, r#""unet":[null,null],"vae":["#);
    refused(index(&twice), "Format", "no `unet`");
    let twice = UNET_SD.replace(r#""in_channels":4"#, r#""in_channels":0,"in_channels":9"#);
    assert_eq!(unet(&twice).unwrap().in_channels, 9);
}

/// That of Stable Diffusion 1.5.
fn sd() -> UnetConfig {
    UnetConfig {
        in_channels: 4,
        out_channels: 4,
        sample_size: [64; 2],
        block_out_channels: vec![320, 640, 1280, 1280],
        down_attention: vec![true, true, true, false],
        up_attention: vec![false, true, true, true],
        mid: Some(true),
        layers_per_block: vec![2; 4],
        transformer_layers: vec![1; 4],
        up_transformer_layers: vec![1; 4],
        heads: vec![8; 4],
        cross_attention_dim: 768,
        norm_num_groups: 32,
        norm_eps: 1e-5,
        use_linear_projection: false,
        flip_sin_to_cos: true,
        freq_shift: 0.0,
        time_embed_dim: 1280,
        time_cond_proj_dim: None,
        addition: None,
    }
}

/// That of a network of three levels with one layer each, as BK-SDM cut it.
fn three(down: [bool; 3], up: [bool; 3]) -> UnetConfig {
    let [layers, depth, heads] = [1, 1, 8].map(|n| vec![n; 3]);
    UnetConfig {
        block_out_channels: vec![320, 640, 1280],
        down_attention: down.to_vec(),
        up_attention: up.to_vec(),
        mid: None,
        layers_per_block: layers,
        transformer_layers: depth.clone(),
        up_transformer_layers: depth,
        heads,
        ..sd()
    }
}

#[test]
fn networks() {
    assert_eq!(unet(UNET_SD).unwrap(), sd());
    let sd2 = UnetConfig { heads: vec![5, 10, 20, 20], cross_attention_dim: 1024, use_linear_projection: true, ..sd() };
    // SD 2.1, and SD-Turbo, whose file has every setting that there was.
    let text = json!({"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "dual_cross_attention": false,
        "num_class_embeds": null, "only_cross_attention": false, "sample_size": 96, "upcast_attention": true,
        "use_linear_projection": true});
    assert_eq!(unet(&with(UNET_SD, text.clone())).unwrap(), UnetConfig { sample_size: [96; 2], ..sd2.clone() });
    let turbo = json!({"_diffusers_version": "0.24.0.dev0", "addition_embed_type": null, "attention_type": "default",
        "addition_embed_type_num_heads": 64, "addition_time_embed_dim": null, "class_embed_type": null,
        "class_embeddings_concat": false, "conv_in_kernel": 3, "conv_out_kernel": 3, "cross_attention_norm": null,
        "dropout": 0.0, "encoder_hid_dim": null, "encoder_hid_dim_type": null, "mid_block_only_cross_attention": null,
        "mid_block_type": "UNetMidBlock2DCrossAttn", "num_attention_heads": null, "resnet_out_scale_factor": 1.0,
        "projection_class_embeddings_input_dim": null, "resnet_skip_time_act": false, "timestep_post_act": null,
        "resnet_time_scale_shift": "default", "reverse_transformer_layers_per_block": null, "sample_size": 64,
        "time_cond_proj_dim": null, "time_embedding_act_fn": null, "time_embedding_dim": null,
        "time_embedding_type": "positional", "transformer_layers_per_block": 1, "upcast_attention": null});
    assert_eq!(unet(&with(&with(UNET_SD, text), turbo)).unwrap(), sd2);
    let (cross, plain) = ("CrossAttnDownBlock2D", "DownBlock2D");
    let tiny = json!({"block_out_channels": [320, 640, 1280], "down_block_types": [cross, cross, cross],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], "layers_per_block": 1,
        "mid_block_type": null, "upcast_attention": false});
    let tiny = with(UNET_SD, tiny);
    assert_eq!(unet(&tiny).unwrap(), three([true; 3], [true; 3]));
    let sdxs = json!({"down_block_types": [plain, cross, cross],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]});
    assert_eq!(unet(&with(&tiny, sdxs)).unwrap(), three([false, true, true], [true, true, false]));
    let bk = UnetConfig { mid: None, layers_per_block: vec![1; 4], ..sd() };
    assert_eq!(unet(&with(UNET_SD, json!({"layers_per_block": 1, "mid_block_type": null}))).unwrap(), bk);
    let lcm = UnetConfig { time_cond_proj_dim: Some(256), ..sd() };
    assert_eq!(unet(&with(UNET_SD, json!({"time_cond_proj_dim": 256, "num_attention_heads": null}))).unwrap(), lcm);
    let inpaint = UnetConfig { in_channels: 9, ..sd() };
    assert_eq!(unet(&with(UNET_SD, json!({"in_channels": 9}))).unwrap(), inpaint);
    let xl = UnetConfig {
        sample_size: [128; 2],
        layers_per_block: vec![2; 3],
        mid: Some(true),
        transformer_layers: vec![1, 2, 10],
        up_transformer_layers: vec![10, 2, 1],
        heads: vec![5, 10, 20],
        cross_attention_dim: 2048,
        use_linear_projection: true,
        addition: Some(Addition { time_embed_dim: 256, projection_input: 2816 }),
        ..three([false, true, true], [true, true, false])
    };
    assert_eq!(unet(UNET_XL).unwrap(), xl);
    // Segmind-Vega has half of the block in the middle. A list for each block counts its layers.
    let vega = json!({"mid_block_type": "UNetMidBlock2D", "transformer_layers_per_block": [1, [1, 1], [2, 2]],
        "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1]});
    let depths = (vec![1, 1, 2], vec![2, 1, 1]);
    let vega_read = unet(&with(UNET_XL, vega)).unwrap();
    assert_eq!((vega_read.mid, (vega_read.transformer_layers, vega_read.up_transformer_layers)), (Some(false), depths));
    // What is left out is what diffusers takes; for the size, what pipelines do.
    assert_eq!(unet("{}").unwrap(), UnetConfig { cross_attention_dim: 1280, ..sd() });
    let size = |base, size: Value| unet(&with(base, json!({"sample_size": size}))).unwrap().sample_size;
    assert_eq!(size(UNET_SD, json!([96, 64])), [96, 64]);
    assert_eq!(
        [size(UNET_XL, json!(null)), size(UNET_SD, json!(512)), size(UNET_SD, json!([32]))],
        [[128; 2], [512; 2], [32; 2]]
    );
    let more = json!({"time_embedding_dim": 640, "freq_shift": 1, "flip_sin_to_cos": false, "norm_eps": 1e-6});
    let more = unet(&with(UNET_SD, more)).unwrap();
    assert_eq!((more.time_embed_dim, more.freq_shift, more.flip_sin_to_cos, more.norm_eps), (640, 1.0, false, 1e-6));

    unsupported(
        unet,
        UNET_XL,
        r#"{"act_fn": "gelu", "attention_type": "gated", "center_input_sample": true,
        "class_embed_type": "timestep", "class_embeddings_concat": true, "conv_in_kernel": 1, "conv_out_kernel": 1,
        "cross_attention_norm": "group_norm", "downsample_padding": 0, "dual_cross_attention": true,
        "encoder_hid_dim": 1024, "encoder_hid_dim_type": "text_proj", "mid_block_only_cross_attention": true,
        "mid_block_scale_factor": 1.4142, "num_attention_heads": 8, "num_class_embeds": 1000,
        "only_cross_attention": [false, false, true], "resnet_out_scale_factor": 0.7, "resnet_skip_time_act": true,
        "resnet_time_scale_shift": "scale_shift", "time_embedding_act_fn": "silu", "time_embedding_type": "fourier",
        "timestep_post_act": "silu", "addition_embed_type": "text_image", "_class_name": "UNet2DModel",
        "norm_num_groups": null, "cross_attention_dim": [2048, 1024, 2048],
        "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1]}"#,
    );
    for (key, kind) in [
        ("down_block_types", "AttnDownBlock2D"),
        ("down_block_types", "SimpleCrossAttnDownBlock2D"),
        ("up_block_types", "AttnUpBlock2D"),
        ("up_block_types", "DownBlock2D"),
    ] {
        refused(unet(&with(UNET_XL, json!({key: [kind, kind, kind]}))), "Unsupported", &format!("`{kind}`"));
    }
    let mid = json!({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"});
    refused(unet(&with(UNET_XL, mid)), "Unsupported", "UNetMidBlock2DSimpleCrossAttn");

    let odd = json!({"block_out_channels": [33, 66, 132], "norm_num_groups": 33, "attention_head_dim": 1});
    refused(unet(&with(UNET_XL, odd)), "Format", "odd");
}

#[test]
fn autoencoders() {
    let kl = KlConfig {
        in_channels: 3,
        out_channels: 3,
        latent_channels: 4,
        block_out_channels: vec![128, 256, 512, 512],
        layers_per_block: 2,
        norm_num_groups: 32,
        scaling_factor: 0.18215,
        shift_factor: 0.0,
        quant_conv: true,
        post_quant_conv: true,
        mid_attention: true,
        sample_size: 512,
    };
    let read = |text: &str| vae(text).unwrap();
    assert_eq!(read(VAE_SD), VaeConfig::Kl(kl.clone()));
    let xl = json!({"force_upcast": true, "sample_size": 1024, "scaling_factor": 0.13025, "latents_mean": null,
        "latents_std": null, "shift_factor": null, "mid_block_add_attention": true, "use_quant_conv": true,
        "use_post_quant_conv": true});
    let xl = read(&with(VAE_SD, xl));
    assert_eq!(xl, VaeConfig::Kl(KlConfig { sample_size: 1024, scaling_factor: 0.13025, ..kl.clone() }));
    assert_eq!((xl.factor(), xl.latent_channels(), xl.scaling_factor(), xl.shift_factor()), (8, 4, 0.13025, 0.0));
    let flux = json!({"latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": false,
        "use_post_quant_conv": false, "mid_block_add_attention": false});
    let flux = read(&with(VAE_SD, flux));
    assert_eq!((flux.latent_channels(), flux.scaling_factor(), flux.shift_factor()), (16, 0.3611, 0.1159));
    let VaeConfig::Kl(flux) = flux else { panic!("no KL") };
    assert_eq!((flux.quant_conv, flux.post_quant_conv, flux.mid_attention), (false, false, false));
    let plain = KlConfig { block_out_channels: vec![64], layers_per_block: 1, sample_size: 32, ..kl };
    assert_eq!(read("{}"), VaeConfig::Kl(plain));
    let tiny = TinyConfig {
        in_channels: 3,
        out_channels: 3,
        latent_channels: 4,
        encoder_channels: vec![64; 4],
        decoder_channels: vec![64; 4],
        encoder_blocks: vec![1, 3, 3, 3],
        decoder_blocks: vec![3, 3, 3, 1],
        scaling_factor: 1.0,
        latent_magnitude: 3.0,
        latent_shift: 0.5,
        upsampling_scaling_factor: 2,
    };
    assert_eq!(read(VAE_TINY), VaeConfig::Tiny(tiny.clone()));
    assert_eq!(read(r#"{"_class_name":"AutoencoderTiny"}"#), VaeConfig::Tiny(tiny));
    let later = json!({"block_out_channels": [64, 64, 64, 64], "upsample_fn": "nearest", "shift_factor": 0.0});
    let later = read(&with(VAE_TINY, later));
    assert_eq!(
        (later.factor(), later.latent_channels(), later.scaling_factor(), later.shift_factor()),
        (8, 4, 1.0, 0.0)
    );

    unsupported(
        vae,
        VAE_SD,
        r#"{"_class_name": "VQModel", "act_fn": "gelu", "down_block_types": ["AttnDownEncoderBlock2D"],
        "up_block_types": ["AttnUpDecoderBlock2D"], "latents_mean": [0.1, 0.2, 0.3, 0.4], "latents_std": [1, 1, 1, 1]}"#,
    );
    unsupported(
        vae,
        VAE_TINY,
        r#"{"_class_name": "AutoencoderDC", "act_fn": "silu", "upsample_fn": "bilinear",
        "upsampling_scaling_factor": 4, "shift_factor": 0.5}"#,
    );
    let many = json!({"block_out_channels": vec![32; 13], "down_block_types": vec!["DownEncoderBlock2D"; 13],
        "up_block_types": vec!["UpDecoderBlock2D"; 13]});
    refused(vae(&with(VAE_SD, many)), "Format", "13 blocks");
}

#[test]
fn text_encoders() {
    let l = ClipConfig {
        vocab: 49408,
        positions: 77,
        dim: 768,
        n_layers: 12,
        n_heads: 12,
        ffn_dim: 3072,
        activation: ClipActivation::QuickGelu,
        norm_eps: 1e-5,
        projection_dim: None,
        bos: 0,
        eos: 2,
        pad: Some(1),
    };
    let read = |text: &str| clip(text).unwrap();
    assert_eq!(read(CLIP_L), l);
    let h = json!({"hidden_act": "gelu", "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
        "num_hidden_layers": 23, "projection_dim": 512});
    let sizes = ClipConfig {
        dim: 1024,
        n_layers: 23,
        n_heads: 16,
        ffn_dim: 4096,
        activation: ClipActivation::Gelu,
        ..l.clone()
    };
    assert_eq!(read(&with(CLIP_L, h)), sizes);
    let sizes = ClipConfig { dim: 1280, n_layers: 32, n_heads: 20, ffn_dim: 5120, projection_dim: Some(1280), ..sizes };
    assert_eq!(read(CLIP_G), sizes);
    // transformers' own defaults.
    let plain = ClipConfig { dim: 512, n_heads: 8, ffn_dim: 2048, bos: 49406, eos: 49407, ..l };
    assert_eq!(read("{}"), plain);
    let projected = read(r#"{"architectures":["CLIPTextModelWithProjection"]}"#);
    assert_eq!(projected, ClipConfig { projection_dim: Some(512), ..plain });
    let ids = |key: &str, value: Value| read(&with(CLIP_L, json!({key: value})));
    assert_eq!([ids("pad_token_id", json!(null)).pad, ids("pad_token_id", json!(-1)).pad], [None, None]);
    assert_eq!(ids("pad_token_id", json!(0)).pad, Some(0));
    assert_eq!((ids("eos_token_id", json!([49407, 2])).eos, ids("bos_token_id", json!(49406)).bos), (49407, 49406));

    unsupported(clip, CLIP_L, r#"{"model_type": "t5", "hidden_act": "relu", "use_attention_mask": true}"#);
    for class in ["CLIPModel", "T5EncoderModel", "CLIPVisionModel"] {
        refused(clip(&with(CLIP_L, json!({"architectures": [class]}))), "Unsupported", class);
    }
}

#[test]
fn schedulers() {
    let read = |text: &str| scheduler(text).unwrap();
    let pndm = SchedulerConfig {
        class: "PNDMScheduler".into(),
        num_train_timesteps: 1000,
        beta_start: Some(0.00085),
        beta_end: Some(0.012),
        beta_schedule: Some(BetaSchedule::ScaledLinear),
        trained_betas: None,
        prediction: Prediction::Epsilon,
        spacing: None,
        steps_offset: 1,
        set_alpha_to_one: Some(false),
        use_karras_sigmas: false,
        rescale_betas_zero_snr: false,
        solver_order: 2,
        solver_type: None,
        algorithm_type: None,
        lower_order_final: true,
        euler_at_final: false,
        final_sigma_min: false,
        lambda_min_clipped: f64::NEG_INFINITY,
        sigma_min: None,
        sigma_max: None,
        variance_type: None,
        original_inference_steps: 50,
        timestep_scaling: 10.0,
        consistency: false,
    };
    let named = |class: &str| SchedulerConfig { class: class.into(), ..pndm.clone() };
    assert_eq!(read(PNDM), pndm);
    let dpm = SchedulerConfig {
        solver_type: Some("midpoint".into()),
        algorithm_type: Some("dpmsolver++".into()),
        spacing: Some(Spacing::Linspace),
        ..named("DPMSolverMultistepScheduler")
    };
    assert_eq!(read(DPM), dpm);
    let ddim = json!({"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"});
    let v = SchedulerConfig { prediction: Prediction::V, ..named("DDIMScheduler") };
    assert_eq!(read(&with(PNDM, ddim)), v);
    let euler = json!({"_class_name": "EulerDiscreteScheduler", "interpolation_type": "linear", "sample_max_value": 1.0,
        "prediction_type": "epsilon", "timestep_spacing": "leading", "use_karras_sigmas": false});
    let euler = with(PNDM, euler);
    let leading = SchedulerConfig { spacing: Some(Spacing::Leading), ..named("EulerDiscreteScheduler") };
    assert_eq!(read(&euler), leading);
    let turbo = json!({"final_sigmas_type": "zero", "rescale_betas_zero_snr": false, "sigma_max": null, "sigma_min": null,
        "timestep_spacing": "trailing", "timestep_type": "discrete", "use_beta_sigmas": false,
        "use_exponential_sigmas": false});
    assert_eq!(read(&with(&euler, turbo)), SchedulerConfig { spacing: Some(Spacing::Trailing), ..leading.clone() });
    let lcm = json!({"_class_name": "LCMScheduler", "clip_sample_range": 1.0, "original_inference_steps": 50,
        "timestep_scaling": 10.0, "rescale_betas_zero_snr": false, "set_alpha_to_one": true, "thresholding": false});
    assert_eq!(
        read(&with(&euler, lcm)),
        SchedulerConfig { class: "LCMScheduler".into(), set_alpha_to_one: Some(true), ..leading }
    );
    let bare = read("{}");
    assert_eq!((bare.class.as_str(), bare.beta_start, bare.beta_schedule, bare.steps_offset), ("", None, None, 0));
    let other = json!({"num_train_timesteps": 3, "trained_betas": [0.1, 0.2, 0.3], "original_inference_steps": 2,
        "final_sigmas_type": "sigma_min", "euler_at_final": true, "lower_order_final": false, "solver_order": 1,
        "lambda_min_clipped": -5.1, "sigma_min": 0.03, "sigma_max": 14.5, "variance_type": "fixed_small",
        "beta_schedule": "squaredcos_cap_v2", "timestep_scaling": 8, "use_karras_sigmas": true, "steps_offset": 0});
    let other = read(&with(PNDM, other));
    assert_eq!((other.num_train_timesteps, other.trained_betas), (3, Some(vec![0.1, 0.2, 0.3])));
    assert_eq!(
        (other.final_sigma_min, other.euler_at_final, other.lower_order_final, other.solver_order),
        (true, true, false, 1)
    );
    assert_eq!((other.lambda_min_clipped, other.sigma_min, other.sigma_max), (-5.1, Some(0.03), Some(14.5)));
    assert_eq!((other.beta_schedule, other.timestep_scaling), (Some(BetaSchedule::SquaredCos), 8.0));
    assert_eq!((other.use_karras_sigmas, other.variance_type.as_deref()), (true, Some("fixed_small")));

    unsupported(
        scheduler,
        PNDM,
        r#"{"disable_corrector": [0, 1], "interpolation_type": "log_linear",
        "predict_x0": false, "shift_terminal": 0.1, "solver_p": {"a": 1}, "thresholding": true,
        "timestep_type": "continuous", "use_beta_sigmas": true, "use_exponential_sigmas": true, "use_flow_sigmas": true,
        "use_lu_lambdas": true, "beta_schedule": "laplace", "prediction_type": "sample", "timestep_spacing": "odd",
        "final_sigmas_type": "odd"}"#,
    );
    for class in [
        "FlowMatchEulerDiscreteScheduler",
        "EDMEulerScheduler",
        "SCMScheduler",
        "VQDiffusionScheduler",
        "CMStochasticIterativeScheduler",
    ] {
        refused(scheduler(&with(PNDM, json!({"_class_name": class}))), "Unsupported", class);
    }
}
