//! Whether our kernels compute what they should on this very adapter: small cases against plain loops on the CPU.

use crate::dtype::DType;
use crate::gpu::{Batch, Buffer, Gpu, Graph, Plan, Region, Tensor, Weight, WeightStore};
use crate::load::encode;
use crate::load::repack::{Planes, planes, repack};
use crate::ops::{Attention, KvLayer, Rope, turns};
use crate::{Error, Result};
use serde::Serialize;
use std::rc::Rc;

/// How one kernel did.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// The kernel.
    pub name: String,
    /// Its variant.
    pub variant: String,
    /// Whether it agrees with the CPU.
    pub ok: bool,
    /// Its normalised mean squared error.
    pub error: f64,
}

/// What the device is and how its kernels did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Always true here: without a device there is an error instead.
    pub supported: bool,
    /// The adapter's name.
    pub adapter: String,
    /// The tier in use.
    pub tier: &'static str,
    /// The family of variants in use.
    pub family: &'static str,
    /// The limits that matter.
    pub limits: Limits,
    /// What a model should take at most, bytes: an estimate, since browsers do not say.
    pub budget_bytes: u64,
    /// Every kernel's result.
    pub kernels: Vec<KernelReport>,
}

/// Limits of the device.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of one binding.
    pub max_storage_buffer_binding_size: u64,
    /// Bytes of one buffer.
    pub max_buffer_size: u64,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
}

/// An agreement worse than this is a defect: f16 keys and values stay three orders of magnitude below.
const NMSE: f64 = 1e-5;

impl Probe {
    /// Looks at the device and, if asked, tests its kernels. `memory`: what the browser says of the machine, GiB.
    ///
    /// # Errors
    /// [`Error::Gpu`] if a kernel does not even compile.
    pub async fn run(gpu: &Rc<Gpu>, memory: Option<f64>, kernels: bool) -> Result<Self> {
        let a = gpu.adapter();
        let kernels = if kernels { test(gpu).await? } else { Vec::new() };
        Ok(Probe {
            supported: true,
            adapter: a.name.clone(),
            tier: a.tier.name(),
            family: a.family.name(),
            limits: Limits {
                max_storage_buffer_binding_size: a.max_binding,
                max_buffer_size: a.max_buffer,
                max_compute_workgroup_storage_size: a.workgroup_memory,
            },
            budget_bytes: budget(memory),
            kernels,
        })
    }
}

/// Half of the machine's memory, which browsers report as at most 8 GiB (32 in newer ones); 4 GiB if they say nothing.
pub fn budget(memory: Option<f64>) -> u64 {
    let gib = memory.map_or(4.0, |m| (m / 2.0).clamp(1.0, 16.0));
    (gib * (1u64 << 30) as f64) as u64
}

/// Fails unless every kernel agrees with the CPU. Once for each device.
///
/// # Errors
/// [`Error::Gpu`] naming the kernels that do not.
pub async fn self_test(gpu: &Rc<Gpu>) -> Result<()> {
    if gpu.is_tested() {
        return Ok(());
    }
    let bad: Vec<_> = test(gpu).await?.into_iter().filter(|k| !k.ok).map(|k| k.name).collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Error::gpu(format!(
        "this GPU or its driver computes {} wrongly; update the driver, or load with tier: \"base\"",
        bad.join(", ")
    )))
}

/// Numbers in -1..1 that repeat only after long, the same everywhere.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (s >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn upload(gpu: &Rc<Gpu>, values: &[f32]) -> Region {
    let buffer = Buffer::storage(gpu, "self-test", (values.len() * 4) as u64);
    buffer.write(0, bytemuck::cast_slice(values));
    buffer.region()
}

/// A weight [n, k] of one slice and the values it holds.
async fn weight(gpu: &Rc<Gpu>, dtype: DType, shape: &[usize], seed: u32) -> Result<(Weight, Vec<f32>)> {
    let len: usize = shape.iter().product();
    let mut values = noise(len, seed);
    let blocks: Vec<u8> = if dtype.is_float() {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    } else {
        let blocks = encode(dtype, &values);
        values = decoded(dtype, &blocks);
        blocks
    };
    let (mut quants, mut scales) = (Vec::new(), Vec::new());
    repack(dtype, &blocks, &mut quants, &mut scales);
    let rows = if shape.len() == 1 { 1 } else { shape[0] };
    let store = WeightStore::new(gpu);
    let Planes { scales: has_scales, .. } = planes(dtype);
    let slice =
        store.reserve(dtype, 0, rows, quants.len() as u64, if has_scales == 0 { 0 } else { scales.len() as u64 });
    store.commit().await?;
    slice.quants().write(0, &quants);
    if has_scales > 0 {
        slice.scales().write(0, &scales);
    }
    Ok((Weight::new(shape.into(), vec![slice]), values))
}

/// The values of blocks of `Q8_0` or `Q4_0`.
fn decoded(dtype: DType, blocks: &[u8]) -> Vec<f32> {
    let mut out = Vec::new();
    for block in blocks.chunks(dtype.block_bytes()) {
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        let q = &block[2..];
        out.extend((0..32).map(|i| match dtype {
            DType::Q8_0 => f32::from(q[i] as i8) * scale,
            _ if i < 16 => (f32::from(q[i] & 15) - 8.0) * scale,
            _ => (f32::from(q[i - 16] >> 4) - 8.0) * scale,
        }));
    }
    out
}

/// Runs what `record` records and compares its result.
async fn check(
    gpu: &Rc<Gpu>,
    name: &str,
    want: &[f64],
    record: impl for<'g> FnOnce(&'g Graph) -> Tensor<'g>,
) -> Result<KernelReport> {
    let graph = Graph::new(gpu);
    let (kept, [rows, cols], stride) = {
        let y = record(&graph);
        (y.kept(), y.rows(), y.stride())
    };
    let variant = graph.variants().iter().map(|v| v.label()).collect::<Vec<_>>().join("; ");
    let plan = Plan::new(graph).await?;
    let mut batch = Batch::new(gpu);
    batch.run(&plan);
    batch.submit();
    let got: Vec<f32> = bytemuck::pod_collect_to_vec(&gpu.read(plan.region(kept)).await?);
    let got = got.chunks(stride).take(rows).flat_map(|row| &row[..cols]);
    let wrong: f64 = got.zip(want).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum();
    let error = wrong / want.iter().map(|w| w * w).sum::<f64>();
    // Written so that NaN is not ok.
    Ok(KernelReport { name: name.to_string(), variant, ok: error <= NMSE, error })
}

/// Every kernel that a language model uses, on the smallest case that exercises it.
async fn test(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let mut reports = linear(gpu).await?;
    reports.extend(attention(gpu).await?);
    if reports.iter().all(|r| r.ok) {
        gpu.set_tested();
    }
    Ok(reports)
}

async fn linear(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let (t, k, n) = (5, 64, 38);
    let x = noise(t * k, 1);
    let input = upload(gpu, &x);
    let (norm, g) = weight(gpu, DType::F32, &[k], 2).await?;
    let mut reports = Vec::new();
    let normed: Vec<f64> = x.chunks(k).flat_map(|row| rms_norm(row, &g, 1e-5)).collect();
    reports
        .push(check(gpu, "rms_norm", &normed, |graph| graph.given(&input, [t, k]).rms_norm(&norm, 1e-5, None)).await?);
    for dtype in [DType::F32, DType::Q8_0, DType::Q4_0] {
        let (w, values) = weight(gpu, dtype, &[n, k], 3).await?;
        let y: Vec<f64> = x.chunks(k).flat_map(|row| product(&values, row.iter().map(|&v| v.into()), k)).collect();
        let name = |kernel: &str| format!("{kernel} {}", dtype.name());
        reports.push(check(gpu, &name("linear_tile"), &y, |graph| graph.given(&input, [t, k]).linear(&w)).await?);
        let y = product(&values, normed[..k].iter().copied(), k);
        let with = crate::ops::Linear { norm: Some((&norm, 1e-5)), ..Default::default() };
        reports.push(
            check(gpu, &name("linear_vec"), &y, |graph| graph.given(&input, [1, k]).linear_with(&w, with)).await?,
        );
    }
    Ok(reports)
}

fn rms_norm(row: &[f32], g: &[f32], eps: f64) -> Vec<f64> {
    let mean = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / row.len() as f64;
    let scale = 1.0 / (mean + eps).sqrt();
    row.iter().zip(g).map(|(&v, &g)| f64::from(v) * scale * f64::from(g)).collect()
}

fn product(w: &[f32], x: impl Iterator<Item = f64> + Clone, k: usize) -> Vec<f64> {
    w.chunks(k).map(|row| row.iter().zip(x.clone()).map(|(&w, x)| f64::from(w) * x).sum()).collect()
}

/// A chunk of positions at once, then one more position, against the same sums on the CPU.
async fn attention(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let (heads, kv_heads, hd, t, capacity) = (4, 2, 16, 5, 8);
    let width = (heads + 2 * kv_heads) * hd;
    let rows = noise((t + 1) * width, 4);
    let inv_freq: Vec<f32> = (0..hd / 2).map(|i| 0.5f32.powi(i as i32)).collect();
    let words: Vec<u32> = inv_freq.iter().copied().map(turns).collect();
    let frequencies = Buffer::storage(gpu, "self-test", (words.len() * 4) as u64);
    frequencies.write(0, bytemuck::cast_slice(&words));
    let state = Buffer::storage(gpu, "self-test", 256);
    let cache = || Buffer::storage(gpu, "self-test", (kv_heads * capacity * hd * 2) as u64).region();
    let kv = KvLayer { k: cache(), v: cache(), capacity, exact: false };
    let (frequencies, state_region) = (frequencies.region(), state.region());
    let rope = Rope {
        heads,
        kv_heads,
        head_dim: hd,
        dims: hd,
        interleaved: false,
        frequencies: &frequencies,
        factor: 1.0,
        head_norm: None,
        state: &state_region,
    };
    let a = Attention { rope, kv: &kv, window: None };
    let want: Vec<Vec<f64>> = attended(&rows, &inv_freq, [heads, kv_heads, hd]);
    let chunk = upload(gpu, &rows[..t * width]);
    let next = upload(gpu, &rows[t * width..]);
    state.write(0, bytemuck::cast_slice(&[0u32, t as u32]));
    let prefill = check(gpu, "attention", &want[..t].concat(), |g| a.prefill(g.given(&chunk, [t, width]))).await?;
    state.write(0, bytemuck::cast_slice(&[t as u32, 1]));
    // The identity takes the merged splits apart from whatever would follow.
    let eye: Vec<f32> =
        (0..heads * hd).flat_map(|i| (0..heads * hd).map(move |j| f32::from(u8::from(i == j)))).collect();
    let (identity, _) = weight(gpu, DType::F32, &[heads * hd, heads * hd], 0).await?;
    identity.slices()[0].quants().write(0, bytemuck::cast_slice(&eye));
    let decode = check(gpu, "attention, one position", &want[t], |g| {
        let x = g.given(&next, [1, width]);
        match a.can_decode(gpu) {
            true => a.decode(x).merge_linear(&identity, hd, None, None),
            false => a.prefill(x).linear(&identity),
        }
    })
    .await?;
    Ok(vec![prefill, decode])
}

/// Causal attention of every row, heads side by side.
fn attended(rows: &[f32], inv_freq: &[f32], [heads, kv_heads, hd]: [usize; 3]) -> Vec<Vec<f64>> {
    let width = (heads + 2 * kv_heads) * hd;
    let head = |s: usize, h: usize| -> Vec<f64> {
        let at = s * width + h * hd;
        rows[at..at + hd].iter().map(|&v| v.into()).collect()
    };
    let rotated = |s: usize, h: usize| -> Vec<f64> {
        let (v, half) = (head(s, h), hd / 2);
        let turn = |i: usize| (s as f64 * f64::from(inv_freq[i % half])).sin_cos();
        let partner = |i: usize| if i < half { -v[i + half] } else { v[i - half] };
        (0..hd).map(|i| v[i] * turn(i).1 + partner(i) * turn(i).0).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (hd as f64).sqrt();
    let one = |s: usize, h: usize| -> Vec<f64> {
        let (q, kv) = (rotated(s, h), h / (heads / kv_heads));
        let weights: Vec<f64> = (0..=s).map(|p| dot(&q, &rotated(p, heads + kv)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let values: Vec<_> = (0..=s).map(|p| head(p, heads + kv_heads + kv)).collect();
        (0..hd).map(|i| weights.iter().zip(&values).map(|(w, v)| w * v[i]).sum::<f64>() / sum).collect()
    };
    (0..rows.len() / width).map(|s| (0..heads).flat_map(|h| one(s, h)).collect()).collect()
}
