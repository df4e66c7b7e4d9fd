//! What pictures take on the GPU: what is said beforehand, what is said afterwards, and what is really there.

use super::calls::{PROMPT, as_stored, files, latents, load, paint, small};
use inkstone::config::diffusion::{clip::ClipConfig, unet::UnetConfig, vae::VaeConfig};
use inkstone::dtype::DType;
use inkstone::gpu::{Family, Gpu, Tier};
use inkstone::image::{ImageLoadOptions, ImageNeed, TextMemory};
use inkstone::load::Quantize;
use serde_json::json;
use std::rc::Rc;

const MIB: f64 = (1 << 20) as f64;

fn live(gpu: &Gpu) -> u64 {
    gpu.counters().live_bytes.get()
}

/// CLIP ViT-L/14's text encoder, as Stable Diffusion 1.5 publishes it.
fn clip_l() -> ClipConfig {
    let json = json!({
        "architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": 768, "intermediate_size": 3072,
        "max_position_embeddings": 77, "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 49408,
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "projection_dim": 768, "layer_norm_eps": 1e-5
    });
    ClipConfig::from_json(json.to_string().as_bytes(), "config.json").unwrap()
}

/// OpenCLIP ViT-bigG/14's, the second one of SDXL.
fn clip_g() -> ClipConfig {
    let json = json!({
        "architectures": ["CLIPTextModelWithProjection"], "hidden_act": "gelu", "hidden_size": 1280,
        "intermediate_size": 5120, "max_position_embeddings": 77, "num_attention_heads": 20, "num_hidden_layers": 32,
        "vocab_size": 49408, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "projection_dim": 1280,
        "layer_norm_eps": 1e-5
    });
    ClipConfig::from_json(json.to_string().as_bytes(), "config.json").unwrap()
}

fn unet(json: serde_json::Value) -> UnetConfig {
    let mut all = json!({
        "_class_name": "UNet2DConditionModel", "act_fn": "silu", "layers_per_block": 2, "in_channels": 4,
        "out_channels": 4, "norm_num_groups": 32
    });
    all.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
    UnetConfig::from_json(all.to_string().as_bytes(), "config.json").unwrap()
}

fn sd15() -> UnetConfig {
    unet(json!({
        "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "sample_size": 64
    }))
}

fn sd21() -> UnetConfig {
    unet(json!({
        "attention_head_dim": [5, 10, 20, 20], "block_out_channels": [320, 640, 1280, 1280],
        "cross_attention_dim": 1024, "use_linear_projection": true,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "sample_size": 96
    }))
}

fn sdxl() -> UnetConfig {
    unet(json!({
        "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10], "use_linear_projection": true, "sample_size": 128,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816
    }))
}

fn vae(scaling_factor: f64) -> VaeConfig {
    let down = ["DownEncoderBlock2D"; 4];
    let up = ["UpDecoderBlock2D"; 4];
    let json = json!({
        "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "down_block_types": down,
        "up_block_types": up, "layers_per_block": 2, "latent_channels": 4, "sample_size": 512, "in_channels": 3,
        "out_channels": 3, "scaling_factor": scaling_factor
    });
    VaeConfig::from_json(json.to_string().as_bytes(), "config.json").unwrap()
}

/// Real models' shapes at WebGPU's default limits, by the estimate that the picker uses: no weight is needed.
#[test]
fn published_models_fit_small_gpus() {
    let gpu: Rc<Gpu> = support::gpu::open(Some(Tier::Base), Some(Family::Generic));
    let before = live(&gpu);
    let open_clip =
        ClipConfig { dim: 1024, ffn_dim: 4096, n_heads: 16, n_layers: 23, projection_dim: None, ..clip_g() };
    let cases = [
        ("SD 1.5, q8, 512 x 512", vec![clip_l()], sd15(), 0.18215, Quantize::Q8, [512, 512], 1600),
        ("SD 1.5, f16, 512 x 512", vec![clip_l()], sd15(), 0.18215, Quantize::None, [512, 512], 2600),
        ("SD 1.5, q4, 512 x 512", vec![clip_l()], sd15(), 0.18215, Quantize::Q4, [512, 512], 1500),
        ("SD 2.1, q8, 768 x 768", vec![open_clip], sd21(), 0.18215, Quantize::Q8, [768, 768], 2400),
        ("SDXL, q8, 1024 x 1024", vec![clip_l(), clip_g()], sdxl(), 0.13025, Quantize::Q8, [1024, 1024], 5000),
        ("SDXL, q4, 1024 x 1024", vec![clip_l(), clip_g()], sdxl(), 0.13025, Quantize::Q4, [1024, 1024], 4000),
    ];
    for (what, text, unet, scaling_factor, quantize, size, most) in cases {
        let need =
            ImageNeed::of_configs(&gpu, &text, &unet, &vae(scaling_factor), (DType::F16, quantize), size).unwrap();
        let mb = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "{what}: text encoders {:.0} MB, UNet and VAE {:.0} MB, denoising {:.0} MB, decoder {:.0} MB: {:.0} MB in all, \
             {:.0} MB if the text encoders leave; largest activation {:.0} MiB",
            mb(need.text),
            mb(need.weights),
            mb(need.painter),
            mb(need.decoder),
            mb(need.total()),
            mb(need.least()),
            need.binding as f64 / MIB
        );
        assert!(mb(need.total()) < f64::from(most), "{what}: {:.0} MB", mb(need.total()));
        assert!(need.decoder <= 256 << 20, "{what}: the decoder takes {} bytes", need.decoder);
        assert!(need.binding <= 128 << 20, "{what}: an activation has {} bytes, more than a binding may", need.binding);
        assert!(need.least() < need.total());
    }
    assert_eq!(live(&gpu), before, "estimating leaves nothing on the GPU");
}

/// What was estimated, what `info` says and what the counters say are the same thing.
#[test]
fn the_emoji_model_takes_what_it_says() {
    let gpu = support::gpu::open(None, None);
    let empty = live(&gpu);
    let model = load(&gpu, &files("emoji"), &as_stored(), Vec::new()).unwrap();
    let loaded = model.info().bytes;
    paint(&model, "a red heart", json!({"steps": 2, "seed": 1, "guidanceScale": 3.0})).unwrap();
    let bytes = model.info().bytes;
    let there = live(&gpu) - empty;
    println!(
        "emoji, 64 x 64: weights {:.1} MiB, scratch {:.1} MiB, peak {:.1} MiB while loading and {:.1} MiB while painting; \
         {:.1} MiB are live",
        bytes.weights as f64 / MIB,
        bytes.scratch as f64 / MIB,
        (loaded.peak - empty) as f64 / MIB,
        (bytes.peak - empty) as f64 / MIB,
        there as f64 / MIB
    );
    let said = bytes.weights + bytes.scratch;
    assert!(there.abs_diff(said) <= there / 50, "{there} bytes are live, {said} are said to be");
    assert!(bytes.peak - empty <= there + (1 << 20), "painting took {} bytes for a moment", bytes.peak - empty);
    assert!(bytes.peak <= 64 << 20, "{} bytes", bytes.peak);
    // Another size takes the place of the one before it; the same one takes nothing.
    for _ in 0..2 {
        paint(&model, "a red heart", json!({"steps": 1, "width": 32, "height": 48})).unwrap();
        assert!(live(&gpu) - empty < there);
    }
    paint(&model, "a blue apple", json!({"steps": 1})).unwrap();
    assert!((live(&gpu) - empty).abs_diff(there) <= there / 50);
    drop(model);
    assert_eq!(live(&gpu), empty, "a model that is gone leaves nothing");
}

#[test]
fn text_encoders_leave_if_told_or_if_there_is_no_room() {
    let gpu = support::gpu::open(None, None);
    let empty = live(&gpu);
    let all = files("emoji");
    let options = || json!({"steps": 1, "seed": 3, "guidanceScale": 3.0, "width": 32, "height": 32});
    let stays = load(&gpu, &all, &as_stored(), Vec::new()).unwrap();
    let want = latents(&stays, "a red heart", options());
    let (weights, peak) = (stays.info().bytes.weights, stays.info().bytes.peak - empty);
    drop(stays);
    let told = ImageLoadOptions { text_encoder: TextMemory::Release, ..as_stored() };
    let tight = ImageLoadOptions { budget: Some(weights), ..as_stored() };
    let roomy = ImageLoadOptions { budget: Some(1 << 30), ..as_stored() };
    for (what, options_, leaves) in [("told", told, true), ("no room", tight, true), ("room", roomy, false)] {
        let model = load(&gpu, &all, &options_, Vec::new()).unwrap();
        for prompt in ["a red heart", "a blue apple", "a red heart"] {
            let got = latents(&model, prompt, options());
            assert!(prompt != "a red heart" || got == want, "{what}: another picture");
            let there = model.info().bytes.weights;
            assert_eq!(there < weights, leaves, "{what}: {there} of {weights} bytes are there");
        }
        let most = model.info().bytes.peak - empty;
        println!(
            "{what}: {:.1} MiB of weights stay, {:.1} MiB at most",
            model.info().bytes.weights as f64 / MIB,
            most as f64 / MIB
        );
        assert!(!leaves || most < peak, "{what}: {most} bytes at most, {peak} if they stay");
    }
    assert_eq!(live(&gpu), empty);
}

/// The small sizes that a test can afford, at real sizes' rule: never more than the budget, whatever is asked for.
#[test]
fn a_picture_that_does_not_fit_is_refused_and_the_next_one_is_painted() {
    let gpu = support::gpu::open(Some(Tier::Base), None);
    let model = load(&gpu, &files("sd1"), &as_stored(), Vec::new()).unwrap();
    let want = latents(&model, PROMPT, small(json!({})));
    let before = live(&gpu);
    let error = paint(&model, PROMPT, small(json!({"width": 4096, "height": 4096}))).unwrap_err();
    assert_eq!(error.code(), "TooLarge", "{error}");
    println!("{error}");
    assert!(live(&gpu) <= before);
    assert!(latents(&model, PROMPT, small(json!({}))) == want);
}
