//! Painting on the command line, natively: `cargo run --release --example paint -- FOLDER "prompt" -o out.png [options]`.
//!
//! Options: `--negative TEXT`, `--steps N`, `--seed S`, `--size WxH`, `--guidance G`, `--sampler NAME`, `--batch N`,
//! `--image FILE.png --strength S`, `--mask FILE.png`, `--clip-skip N`, `--noise cpu|gpu`, `--lora FILE[:SCALE]`,
//! `--quantize none|q8|q4`, `--tier base|subgroups|f16`, `--family NAME`, `--raw FILE` (pixels as little-endian f32,
//! [H, W, 3] in 0 to 1), `--stats` (counts and times on stderr).

use inkstone::gpu::{Family, Gpu, GpuOptions, Tier};
use inkstone::image::{
    ImageInputs, ImageLoadOptions, ImageModel, ImageOptions, ImageStep, Lora, Picture, Surroundings,
};
use inkstone::load::{Abort, ByteSource, DiskFiles, Quantize};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: paint FOLDER PROMPT -o OUT.png [--negative TEXT] [--steps N] [--seed S] [--size WxH] [--guidance G] \
                     [--sampler NAME] [--batch N] [--image PNG] [--strength S] [--mask PNG] [--clip-skip N] [--noise cpu|gpu] \
                     [--lora FILE[:SCALE]] [--quantize Q] [--tier T] [--family F] [--raw FILE] [--stats]";

fn main() -> ExitCode {
    match pollster::block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// What stands on the command line.
#[derive(Default)]
struct Arguments {
    words: Vec<String>,
    gpu: GpuOptions,
    load: ImageLoadOptions,
    options: Map<String, Value>,
    loras: Vec<(PathBuf, f32)>,
    out: Option<PathBuf>,
    raw: Option<PathBuf>,
    image: Option<PathBuf>,
    mask: Option<PathBuf>,
    stats: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut all = Arguments::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n{USAGE}"));
        let number = |text: String| -> Result<Value, String> {
            let wrong = |_| format!("{text} is no number\n{USAGE}");
            Ok(match text.parse::<u64>() {
                Ok(n) => json!(n),
                Err(_) => json!(text.parse::<f64>().map_err(wrong)?),
            })
        };
        let mut set = |key: &str, value: Value| all.options.insert(key.to_string(), value);
        match arg.as_str() {
            "-o" => all.out = Some(value()?.into()),
            "--raw" => all.raw = Some(value()?.into()),
            "--image" => all.image = Some(value()?.into()),
            "--mask" => all.mask = Some(value()?.into()),
            "--stats" => all.stats = true,
            "--negative" => drop(set("negativePrompt", value()?.into())),
            "--sampler" => drop(set("sampler", value()?.into())),
            "--noise" => drop(set("noise", value()?.into())),
            "--steps" => drop(set("steps", number(value()?)?)),
            "--seed" => drop(set("seed", number(value()?)?)),
            "--guidance" => drop(set("guidanceScale", number(value()?)?)),
            "--batch" => drop(set("batch", number(value()?)?)),
            "--strength" => drop(set("strength", number(value()?)?)),
            "--clip-skip" => drop(set("clipSkip", number(value()?)?)),
            "--eta" => drop(set("eta", number(value()?)?)),
            "--size" => {
                let size = value()?;
                let (w, h) = size.split_once('x').ok_or(format!("{size} is no size\n{USAGE}"))?;
                set("width", number(w.to_string())?);
                set("height", number(h.to_string())?);
            }
            "--lora" => {
                let lora = value()?;
                let (file, scale) = lora.rsplit_once(':').unwrap_or((&lora, "1"));
                all.loras.push((file.into(), scale.parse().map_err(|_| USAGE)?));
            }
            "--quantize" => all.load.quantize = Some(Quantize::from_name(&value()?).ok_or(USAGE)?),
            "--tier" => all.gpu.tier = Some(Tier::from_name(&value()?).ok_or(USAGE)?),
            "--family" => all.gpu.family = Some(Family::from_name(&value()?).ok_or(USAGE)?),
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}\n{USAGE}")),
            _ => all.words.push(arg),
        }
    }
    Ok(all)
}

async fn run() -> Result<(), String> {
    let mut args = arguments()?;
    let [folder, prompt] = args.words.as_slice() else { return Err(USAGE.into()) };
    let out = args.out.as_ref().ok_or(USAGE)?;
    let gpu = Gpu::open(&args.gpu).await.map_err(text)?;
    let files = DiskFiles::open(Path::new(folder)).map_err(text)?;
    let abort = Abort::default();
    let open = |(path, scale): &(PathBuf, f32)| -> Result<Lora, String> {
        let source: Rc<dyn ByteSource> = Rc::new(DiskFiles::open(path).map_err(text)?);
        Ok(Lora { name: String::new(), source, scale: *scale })
    };
    let loras = args.loras.iter().map(open).collect::<Result<Vec<_>, String>>()?;
    let model = ImageModel::load(&gpu, Rc::new(files), &args.load, loras, &(), &abort).await.map_err(text)?;
    let mut inputs = ImageInputs::default();
    for (path, into) in [(&args.image, &mut inputs.image), (&args.mask, &mut inputs.mask)] {
        if let Some(path) = path {
            let (w, h, rgba) = read_png(path)?;
            args.options.entry("width").or_insert(json!(w));
            args.options.entry("height").or_insert(json!(h));
            *into = Some(rgba);
        }
    }
    let options = ImageOptions::from_json(Value::Object(args.options)).map_err(text)?;
    let began = Instant::now();
    let clock = move || began.elapsed().as_secs_f64() * 1e3;
    let random = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    let around = Surroundings { clock: &clock, random };
    let stats = args.stats;
    let show = |s: ImageStep| {
        if stats {
            eprintln!("picture {}: step {} of {}, {:.0} ms", s.picture, s.step, s.steps, s.ms);
        }
    };
    let pictures = model.generate(prompt, options, inputs, around, &show, &abort).await.map_err(text)?;
    for (i, picture) in pictures.iter().enumerate() {
        let file = numbered(out, i);
        write_png(&file, picture)?;
        println!("{}: seed {}", file.display(), picture.seed);
        if let Some(raw) = &args.raw {
            let bytes: Vec<u8> = picture.pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(numbered(raw, i), bytes).map_err(text)?;
        }
        if stats {
            eprintln!("{:?}", picture.timings);
        }
    }
    if stats {
        eprintln!("{:#?}\n{:?} dispatches a step\n{:#?}", model.info(), model.step_dispatches(), gpu.counters());
    }
    Ok(())
}

/// `out.png`, `out-1.png`, `out-2.png`, ...
fn numbered(path: &Path, i: usize) -> PathBuf {
    if i == 0 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().map_or_else(Default::default, |s| s.to_string_lossy());
    let ending = path.extension().map_or_else(Default::default, |s| s.to_string_lossy());
    path.with_file_name(format!("{stem}-{i}.{ending}"))
}

fn write_png(path: &Path, picture: &Picture) -> Result<(), String> {
    let mut encoder = png::Encoder::new(File::create(path).map_err(text)?, picture.width as u32, picture.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.add_itxt_chunk("parameters".into(), picture.parameters.clone()).map_err(text)?;
    let bytes: Vec<u8> = picture.pixels.iter().map(|v| (v * 255.0).round_ties_even() as u8).collect();
    encoder.write_header().map_err(text)?.write_image_data(&bytes).map_err(text)
}

/// Width, height and RGBA of a picture.
fn read_png(path: &Path) -> Result<(usize, usize, Vec<u8>), String> {
    let file = std::io::BufReader::new(File::open(path).map_err(|e| format!("{}: {e}", path.display()))?);
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(text)?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("the picture is too large")?];
    let info = reader.next_frame(&mut bytes).map_err(text)?;
    let rgba = match info.color_type {
        png::ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        _ => bytes,
    };
    Ok((info.width as usize, info.height as usize, rgba))
}
