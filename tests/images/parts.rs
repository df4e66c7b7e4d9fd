//! Text encoders and noise predictors by themselves, on every setup: each value that diffusers and transformers computed,
//! and what rounding the weights costs.

use inkstone::config::diffusion::{clip::ClipConfig, unet::UnetConfig};
use inkstone::format::Parsed;
use inkstone::format::safetensors::SafeTensors;
use inkstone::gpu::{Batch, Buffer, Choice, Family, Gpu, Graph, Plan, Region, WeightStore};
use inkstone::load::{Abort, MemoryFiles, Quantize, RowOrder, Tensors, Weights};
use inkstone::models::{Clip, ClipWant, Unet, UnetInput};
use inkstone::ops::{Map, Rows};
use pollster::block_on;
use std::rc::Rc;
use support::gpu::{download, each_choosing, each_setup, upload};
use support::images::case::{Model, Run};
use support::images::folder::{self, Files};
use support::images::weights::{self, Made, Stored};

/// Absolute: `rounding` of the golden files says that float32 itself takes a hundredth of it.
const TOLERANCE: f64 = 1e-3;

/// Binds a part and uploads its weights, of which files hold the names behind `part`.
fn load<T>(
    gpu: &Rc<Gpu>,
    files: &Files,
    part: &str,
    quantize: Quantize,
    bind: impl Fn(&Weights<'_>) -> inkstone::Result<T>,
) -> (T, WeightStore) {
    let path = files.keys().find(|f| f.starts_with(&format!("{part}/")) && f.ends_with(".safetensors")).unwrap();
    let mut tensors = Tensors { files: vec![path.clone()], ..Tensors::default() };
    let Parsed::Done(header) = SafeTensors::parse(&files[path], files[path].len() as u64, path).unwrap() else {
        panic!("{path} is whole");
    };
    for info in header.tensors {
        // transformers 5 writes encoders without a projection as if they were the layer that all others are in.
        let bare = part == "text_encoder" && !info.name.starts_with("text_");
        let name = format!("{part}.{}{}", if bare { "text_model." } else { "" }, info.name);
        tensors.by_name.insert(name, inkstone::load::Stored { file: 0, info, order: RowOrder::AsStored });
    }
    let weights = Weights::new(gpu, &tensors, quantize);
    let bound = bind(&weights).unwrap_or_else(|e| panic!("{part}: {e}"));
    block_on(weights.commit()).unwrap();
    let store = block_on(weights.upload(&MemoryFiles(files.clone()), &(), &Abort::default())).unwrap();
    (bound, store)
}

/// Rows of `width` as they lie on the GPU, their padding zero.
fn given(gpu: &Rc<Gpu>, values: &[f32], width: usize) -> Region {
    let stride = width.next_multiple_of(4);
    let mut padded = Vec::new();
    for row in values.chunks_exact(width) {
        padded.extend_from_slice(row);
        padded.resize(padded.len().next_multiple_of(stride), 0.0);
    }
    upload(gpu, &padded)
}

/// Runs a plan; what it left in a region, without padding.
fn rows(gpu: &Rc<Gpu>, plan: &Plan, region: &Region, width: usize) -> Vec<f32> {
    let mut batch = Batch::new(gpu);
    batch.run(plan);
    batch.submit();
    let all: Vec<f32> = download(gpu, region);
    all.chunks_exact(width.next_multiple_of(4)).flat_map(|row| &row[..width]).copied().collect()
}

/// [N, C, pixels] to [N, pixels, C], or back if `channels` is the number of pixels.
fn transposed(planes: &[f32], n: usize, channels: usize) -> Vec<f32> {
    let pixels = planes.len() / n / channels;
    let of = |plane: &[f32]| (0..plane.len()).map(|i| plane[i % channels * pixels + i / channels]).collect::<Vec<_>>();
    planes.chunks_exact(channels * pixels).flat_map(of).collect()
}

/// The largest difference; infinite if something is no number.
#[track_caller]
fn worst(want: &[f32], got: &[f32]) -> f64 {
    assert_eq!(want.len(), got.len(), "as many numbers");
    assert!(!want.is_empty(), "there is something to compare");
    let difference = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
    want.iter().zip(got).map(difference).fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { d.max(m) })
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Models with a run of this kind.
fn models(of: &str) -> Vec<Model> {
    let all = Model::names().into_iter().map(|name| Model::read(&name));
    all.filter(|m| m.runs.iter().any(|r| r.of() == of)).collect()
}

/// Whatever a text encoder was asked for: hidden states, normed or not, and the pooled text.
fn encode(gpu: &Rc<Gpu>, clip: &Clip, ids: &[u32], want: ClipWant) -> [Vec<f32>; 2] {
    let c = clip.config();
    let positions: Vec<u32> = (0..c.positions as u32).collect();
    let (ids, positions) = (upload(gpu, ids), upload(gpu, &positions));
    let graph = Graph::new(gpu);
    let (hidden, projected) = {
        let out = clip.forward(&graph, [&ids, &positions], [1, c.positions], want);
        (out.hidden.kept(), out.projected.map(|p| p.kept()))
    };
    let plan = block_on(Plan::new(graph)).unwrap();
    let hidden = rows(gpu, &plan, plan.region(hidden), c.dim);
    let width = c.projection_dim.unwrap_or(1);
    [hidden, projected.map_or(Vec::new(), |p| rows(gpu, &plan, plan.region(p), width))]
}

#[test]
fn hidden_states_are_those_of_transformers() {
    each_setup(|setup, gpu| {
        for model in models("text_encoder") {
            let files = folder::whole(&model);
            let config = ClipConfig::from_json(&files["text_encoder/config.json"], "config.json").unwrap();
            let bind = |w: &Weights<'_>| Clip::bind(w, "text_encoder", &config);
            let (clip, _store) = load(gpu, &files, "text_encoder", Quantize::None, bind);
            for run in model.runs.iter().filter(|r| r.of() == "text_encoder") {
                let ids = run.ids(config.vocab);
                let projected = config.projection_dim.is_some();
                let [last, pooled] = encode(gpu, &clip, &ids, ClipWant { skip: 0, normed: true, projected });
                let [before, _] = encode(gpu, &clip, &ids, ClipWant { skip: 1, normed: false, projected: false });
                let mut found = vec![("last", last), ("penultimate", before)];
                if run.kept().iter().any(|k| *k == "pooled") {
                    let (width, end) = (config.projection_dim.unwrap(), run.count("words") + 1);
                    found.push(("pooled", pooled[end * width..(end + 1) * width].to_vec()));
                }
                assert_eq!(found.len(), run.kept().len(), "{}: all that is kept is compared", run.title);
                for (name, got) in found {
                    let error = worst(&run.result(name).values, &got);
                    println!("{} {name}, {setup}: {error:.1e}", run.title);
                    assert!(error <= TOLERANCE, "{} {name}, {setup}: off by {error:.2e}", run.title);
                }
            }
        }
    });
}

/// Sines and cosines as diffusers has them (`get_timestep_embedding`), with frequencies in f32.
fn sinusoid(t: f64, dim: usize, shift: f32, cosines_first: bool) -> Vec<f32> {
    let half = dim / 2;
    let angle = |i: usize| {
        let exponent = -(10000f64.ln() as f32) * i as f32 / (half as f32 - shift);
        f64::from(t as f32 * f64::from(exponent).exp() as f32)
    };
    let cosines = (0..half).map(|i| angle(i).cos() as f32);
    let sines = (0..half).map(|i| angle(i).sin() as f32);
    if cosines_first { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() }
}

/// What a noise predictor says, [N, C, h, w].
fn predict(gpu: &Rc<Gpu>, unet: &Unet, run: &Run) -> Vec<f32> {
    let c = unet.config();
    let (n, [h, w], tokens) = (run.count("batch"), run.size(), run.count("context"));
    let x = transposed(&run.input("sample", n * c.in_channels * h * w), n, c.in_channels);
    let text = run.input("context", n * tokens * c.cross_attention_dim);
    let x = given(gpu, &x, c.in_channels);
    let text = given(gpu, &text, c.cross_attention_dim);
    let (width, times) = (c.block_out_channels[0], if c.addition.is_some() { n } else { 1 });
    let time = sinusoid(run.number("timestep"), width, c.freq_shift, c.flip_sin_to_cos).repeat(times);
    let time = given(gpu, &time, width);
    let guidance = c.time_cond_proj_dim.map(|k| {
        let embedded = sinusoid((run.number("guidance") - 1.0) * 1000.0, k, 1.0, false);
        (given(gpu, &embedded, k), k)
    });
    let added = c.addition.as_ref().map(|a| {
        let ids = run.json["time_ids"].as_array().unwrap().iter().map(|id| id.as_f64().unwrap());
        let sizes: Vec<f32> =
            ids.flat_map(|id| sinusoid(id, a.time_embed_dim, c.freq_shift, c.flip_sin_to_cos)).collect();
        let width = a.projection_input - sizes.len();
        let pooled = run.input("pooled", n * width);
        let all: Vec<f32> = pooled.chunks_exact(width).flat_map(|row| [row, &sizes].concat()).collect();
        (given(gpu, &all, a.projection_input), a.projection_input)
    });
    let memory =
        |w: usize| Buffer::storage(gpu, "keys and values", (n * tokens * w.next_multiple_of(4) * 4) as u64).region();
    let contexts: Vec<(Region, usize)> = unet.context_widths().map(|w| (memory(w), w)).collect();
    let graph = Graph::new(gpu);
    let regions: Vec<Region> = contexts.iter().map(|c| c.0.clone()).collect();
    unet.context(graph.given(&text, [n * tokens, c.cross_attention_dim]), &regions);
    let plan = block_on(Plan::new(graph)).unwrap();
    let mut batch = Batch::new(gpu);
    batch.run(&plan);
    batch.submit();
    let graph = Graph::new(gpu);
    let kept = {
        let context: Vec<_> = contexts.iter().map(|(r, w)| graph.given(r, [n * tokens, *w])).collect();
        let input = UnetInput {
            time: graph.given(&time, [times, width]),
            guidance: guidance.as_ref().map(|(r, k)| graph.given(r, [1, *k])),
            added: added.as_ref().map(|(r, k)| graph.given(r, [n, *k])),
            context: &context,
        };
        let x = Map::new(graph.given(&x, [n * h * w, c.in_channels]), n, w, Rows::all(h));
        unet.forward(x, input).t.kept()
    };
    let plan = block_on(Plan::new(graph)).unwrap();
    let out = rows(gpu, &plan, plan.region(kept), c.out_channels);
    transposed(&out, n, h * w)
}

/// The noise predictor of a folder.
fn unet(gpu: &Rc<Gpu>, files: &Files, quantize: Quantize) -> (Unet, WeightStore) {
    let config = UnetConfig::from_json(&files["unet/config.json"], "config.json").unwrap();
    load(gpu, files, "unet", quantize, |w| Unet::bind(w, &config))
}

#[test]
fn noise_is_predicted_as_by_diffusers() {
    each_choosing(Choice::Winograd, |setup, gpu| {
        for model in models("unet") {
            let (unet, _store) = unet(gpu, &folder::whole(&model), Quantize::None);
            let mut runs: Vec<_> = model.runs.iter().filter(|r| r.of() == "unet").collect();
            // What is a GPU's is slow here: one run, of two pictures if there is one.
            if gpu.adapter().family != Family::Software {
                runs.sort_by_key(|r| std::cmp::Reverse(r.count("batch")));
                runs.truncate(1);
            }
            for run in runs {
                let error = worst(&run.result("sample").values, &predict(gpu, &unet, run));
                println!("{}, {setup}: {error:.1e}", run.title);
                assert!(error <= TOLERANCE, "{}, {setup}: off by {error:.2e}", run.title);
            }
        }
    });
}

/// A folder whose UNet has the values that blocks of eight bits would hold: of 32 neighbours in a row, and in
/// convolutions of 32 channels of a tap, of which the last may be fewer. Rows of matrices that are no such blocks stay.
fn eight_bits(files: &Files, path: &str, tensors: &[Made]) -> Files {
    let rounded = |t: &Made| {
        let mut values = t.values();
        let (cols, taps) = (t.shape[1..].iter().product::<usize>(), t.shape[1..].iter().skip(1).product::<usize>());
        let convolution = taps == 9;
        if t.shape.len() > 1 && (convolution || cols.is_multiple_of(32)) {
            for row in values.chunks_exact_mut(cols) {
                for tap in 0..taps {
                    let channels: Vec<usize> = (tap..cols).step_by(taps).collect();
                    channels.chunks(32).for_each(|block| round(row, block));
                }
            }
        }
        (t.name.clone(), t.shape.clone(), weights::bytes(&values, Stored::F32))
    };
    let made: Vec<_> = tensors.iter().map(rounded).collect();
    let mut files = files.clone();
    files.insert(path.to_string(), weights::safetensors(&made, Stored::F32));
    files
}

/// The values of a block as it is stored: a scale in f16, integers from -127 to 127.
fn round(row: &mut [f32], block: &[usize]) {
    let scale = block.iter().fold(0.0f32, |m, &i| m.max(row[i].abs())) / 127.0;
    let (stored, inverse) = (half::f16::from_f32(scale).to_f32(), 1.0 / scale);
    block.iter().for_each(|&i| row[i] = (row[i] * inverse).round() * stored);
}

/// Against what diffusers computes from the float32 weights. How much is lost is the model's doing as much as ours: so
/// that what eight bits lose is also compared with what they cannot but lose.
#[test]
fn rounded_weights_predict_nearly_the_same_noise() {
    let gpu = support::gpu::open(None, None);
    for model in models("unet") {
        let [(path, Stored::F32, tensors)] = &model.weights()[..] else { continue };
        let whole = folder::whole(&model);
        let mut halves = whole.clone();
        halves.insert(path.to_string(), weights::safetensors(&folder::stored(tensors, Stored::F16), Stored::F16));
        let (f16, _f16) = unet(&gpu, &halves, Quantize::None);
        let (q8, _q8) = unet(&gpu, &whole, Quantize::Q8);
        let (exact, _exact) = unet(&gpu, &eight_bits(&whole, path, tensors), Quantize::None);
        let asked = |run: &&Run| run.of() == "unet" && [999, 500, 1].contains(&run.count("timestep"));
        for run in model.runs.iter().filter(asked) {
            let want = run.result("sample").values;
            let [f16, q8, exact] = [&f16, &q8, &exact].map(|unet| predict(&gpu, unet, run));
            let [f16_cosine, q8_cosine] = [&f16, &q8].map(|got| cosine(&want, got));
            let error = worst(&exact, &q8);
            println!("{}: f16 cosine {f16_cosine:.6}, q8 {q8_cosine:.6}, {error:.1e} from its values", run.title);
            assert!(worst(&want, &f16) > 1e-6 && worst(&want, &q8) > 1e-4, "{}: no weight was rounded", run.title);
            assert!(f16_cosine >= 0.9999, "{}, f16: cosine {f16_cosine}", run.title);
            assert!(error <= TOLERANCE, "{}, q8: off by {error:.2e}", run.title);
            assert!(q8_cosine >= 0.999, "{}, q8: cosine {q8_cosine}", run.title);
        }
    }
}
