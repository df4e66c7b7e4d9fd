//! What decoding takes, said without a device.

use super::load::Loaded;
use inkstone::Error;
use inkstone::config::diffusion::vae::VaeConfig;
use inkstone::image::autoencoder::{ImageDecoder, ImageEncoder, Limits, decode_cost, encode_cost};
use pollster::block_on;
use support::gpu::open;
use support::images::case::Model;

const MIB: u64 = 1 << 20;

/// The autoencoder of Stable Diffusion 1 and 2; that of XL differs in a factor.
fn stable_diffusion() -> VaeConfig {
    let json = br#"{"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
        "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}"#;
    VaeConfig::from_json(json, "config.json").unwrap()
}

fn tiny() -> VaeConfig {
    VaeConfig::from_json(br#"{"_class_name": "AutoencoderTiny"}"#, "config.json").unwrap()
}

/// Side, budget and largest binding in MiB, how many times the work of making everything once is allowed: of the
/// decoder, of the encoder.
const BOUNDS: [(usize, u64, u64, f64, f64); 7] = [
    (256, 256, 128, 1.0, 1.0),
    (512, 256, 128, 1.35, 1.2),
    (768, 256, 128, 6.8, 1.8),
    (1024, 256, 128, 6.6, 1.8),
    (512, 1024, 1024, 1.0, 1.0),
    (768, 1024, 1024, 1.35, 1.1),
    (1024, 1024, 1024, 1.35, 1.2),
];

#[test]
fn the_autoencoder_of_stable_diffusion_stays_within_its_budget() {
    let (large, small) = (stable_diffusion(), tiny());
    for (side, budget, binding, decode, encode) in BOUNDS {
        let limits = Limits { budget: budget * MIB, binding: binding * MIB };
        let costs = [
            ("decode", decode_cost(&large, [side / 8; 2], limits), decode),
            ("encode", encode_cost(&large, [side; 2], limits), encode),
            ("tiny decode", decode_cost(&small, [side / 8; 2], limits), 1.05),
            ("tiny encode", encode_cost(&small, [side; 2], limits), 1.05),
        ];
        for (what, cost, most) in costs {
            let cost = cost.unwrap_or_else(|e| panic!("{what} {side}: {e}"));
            let ratio = cost.macs as f64 / cost.least_macs as f64;
            println!(
                "{what} {side}, {budget} MiB, bindings of {binding} MiB: {:.1} MiB, {:.0} of {:.0} GMAC, ratio \
                 {ratio:.2}, {} passes in bands ({} for sums, {} over others)",
                cost.bytes as f64 / MIB as f64,
                cost.macs as f64 / 1e9,
                cost.least_macs as f64 / 1e9,
                cost.banded,
                cost.summing,
                cost.overwriting
            );
            assert!(cost.bytes <= limits.budget, "{what} {side}: {} bytes", cost.bytes);
            assert!(ratio <= most, "{what} {side}: {ratio:.2} times the work");
        }
    }
}

/// 1257 GMAC at 512 x 512, as anyone can add them up (diffusion models' papers have the shapes).
#[test]
fn work_is_that_of_the_architecture() {
    let limits = Limits { budget: 4096 * MIB, binding: 1024 * MIB };
    let giga = |macs: u64| (macs as f64 / 1e9).round() as u64;
    assert_eq!(giga(decode_cost(&stable_diffusion(), [64, 64], limits).unwrap().macs), 1257);
    assert_eq!(giga(decode_cost(&tiny(), [64, 64], limits).unwrap().macs), 71);
}

#[test]
fn what_is_said_is_what_is_allocated() {
    let gpu = open(None, None);
    for (name, size) in [("vae_sd1", [7, 5]), ("vae_plain", [16, 9]), ("vae_tiny_odd", [10, 6]), ("emoji", [12, 7])] {
        let loaded = Loaded::of(&gpu, &Model::read(name));
        let config = &loaded.vae.config;
        let whole = decode_cost(config, size, Limits::of(&gpu, 1 << 30)).unwrap();
        for budget in [1 << 30, whole.bytes * 3 / 4, whole.bytes / 2] {
            let Ok(cost) = decode_cost(config, size, Limits::of(&gpu, budget)) else { continue };
            let before = gpu.counters().live_bytes.get();
            let decoder = block_on(ImageDecoder::new(&gpu, &loaded.vae, size, budget)).unwrap();
            let taken = gpu.counters().live_bytes.get() - before;
            assert_eq!(decoder.bytes(), cost.bytes);
            // Parameters are uploaded besides: at most 256 bytes a dispatch, and as much for each plan.
            let parameters = taken - cost.bytes;
            assert!(parameters <= 256 * (decoder.dispatches() as u64 + 100), "{name}: {parameters} bytes");
            drop(decoder);
            assert_eq!(gpu.counters().live_bytes.get(), before, "everything is freed");
        }
        let factor = loaded.vae.factor();
        let pixels = size.map(|n| n * factor);
        let cost = encode_cost(config, pixels, Limits::of(&gpu, 1 << 30)).unwrap();
        assert_eq!(block_on(ImageEncoder::new(&gpu, &loaded.vae, pixels, 1 << 30)).unwrap().bytes(), cost.bytes);
    }
}

#[test]
fn what_does_not_fit_is_said_to_be_too_large() {
    let limits = Limits { budget: 16 * MIB, binding: 128 * MIB };
    for side in [64, 1 << 12, 1 << 14] {
        let error = decode_cost(&stable_diffusion(), [side; 2], limits).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
    for size in [[0, 64], [64, 0], [1 << 20, 8], [usize::MAX, usize::MAX]] {
        let error = decode_cost(&stable_diffusion(), size, limits).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    // What is halved too often is nothing.
    let error = encode_cost(&stable_diffusion(), [1, 64], limits).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
