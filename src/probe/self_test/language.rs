//! The kernels of language models; matrix products are those of every model.

use super::KernelReport;
use super::case::{Recorded, bytes, noise, upload, weight};
use crate::Result;
use crate::dtype::DType;
use crate::gpu::{Buffer, Gpu};
use crate::ops::{Attention, Input, KvLayer, Linear, Norm, RmsNorm, Rotation, turns};
use std::rc::Rc;

/// Tests norms and products.
pub(super) async fn linear(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let (t, k, n) = (5, 64, 38);
    // Kernels that round their input compute this exactly, too.
    let x = bytes(t * k, 1);
    let input = upload(gpu, &x);
    let (norm, g) = weight(gpu, DType::F32, &[k], 2).await?;
    let mut reports = Vec::new();
    let rms = RmsNorm { weight: Some(norm.clone()), eps: 1e-5 };
    let normed: Vec<f64> = x.chunks(k).flat_map(|row| rms_norm(row, &g, 1e-5)).collect();
    let case = Recorded::new(gpu, |graph| graph.given(&input, [t, k]).rms_norm(&rms, None));
    reports.push(case.check(gpu, "rms_norm".into(), &normed).await?);
    // With this norm the products are exact, too; with the other one they are not.
    let g: Vec<f32> = (0..k).map(|i| if i < 32 { 0.5 } else { 2.0 }).collect();
    norm.slices()[0].quants().write(0, bytemuck::cast_slice(&g));
    let normed: Vec<f64> = rms_norm(&x[..k], &g, 1e-5);
    for dtype in [DType::F32, DType::Q8_0, DType::Q4_0] {
        let (w, values) = weight(gpu, dtype, &[n, k], 3).await?;
        let y: Vec<f64> = x.chunks(k).flat_map(|row| product(&values, row.iter().map(|&v| v.into()), k)).collect();
        let name = |kernel: &str| format!("{kernel} {}", dtype.name());
        let case = Recorded::new(gpu, |graph| graph.given(&input, [t, k]).linear(&w));
        reports.push(case.check(gpu, name("linear_tile"), &y).await?);
        let y = product(&values, normed.iter().copied(), k);
        let norm = Norm::Rms(rms.clone());
        let case = Recorded::new(gpu, |graph| {
            Input::normed(graph.given(&input, [1, k]), Some(&norm), None).linear(&w, Linear::default())
        });
        reports.push(case.check(gpu, name("linear_vec"), &y).await?);
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

/// Tests a chunk of positions at once, then one more position, against the same sums on the CPU.
pub(super) async fn attention(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let (heads, kv_heads, hd, t, capacity) = (4, 2, 16, 5, 8);
    let width = (heads + 2 * kv_heads) * hd;
    let rows = noise((t + 1) * width, 4);
    let inv_freq: Vec<f32> = (0..hd / 2).map(|i| 0.5f32.powi(i as i32)).collect();
    let words: Vec<u32> = inv_freq.iter().copied().map(turns).collect();
    let frequencies = Buffer::storage(gpu, "self-test", (words.len() * 4) as u64);
    frequencies.write(0, bytemuck::cast_slice(&words));
    let state = Buffer::storage(gpu, "self-test", 256);
    let cache = || Buffer::storage(gpu, "self-test", (kv_heads * capacity * hd * 2) as u64).region();
    let kv = KvLayer { k: cache(), v: cache(), capacity, ring: false, exact: false };
    let (frequencies, state_region) = (frequencies.region(), state.region());
    let rotation = Some(Rotation { dims: hd, interleaved: false, frequencies: &frequencies, factor: 1.0 });
    let a = Attention { rotation, ..Attention::new([heads, kv_heads, hd], &kv, &state_region) };
    let want: Vec<Vec<f64>> = attended(&rows, &inv_freq, [heads, kv_heads, hd]);
    let chunk = upload(gpu, &rows[..t * width]);
    let next = upload(gpu, &rows[t * width..]);
    state.write(0, bytemuck::cast_slice(&[0u32, t as u32]));
    let case = Recorded::new(gpu, |g| a.prefill(g.given(&chunk, [t, width])));
    let prefill = case.check(gpu, "attention".into(), &want[..t].concat()).await?;
    state.write(0, bytemuck::cast_slice(&[t as u32, 1]));
    // The product with the identity merges the splits and changes nothing else.
    let eye: Vec<f32> =
        (0..heads * hd).flat_map(|i| (0..heads * hd).map(move |j| f32::from(u8::from(i == j)))).collect();
    let (identity, _) = weight(gpu, DType::F32, &[heads * hd, heads * hd], 0).await?;
    identity.slices()[0].quants().write(0, bytemuck::cast_slice(&eye));
    let case = Recorded::new(gpu, |g| a.run(g.given(&next, [1, width])).linear(&identity, Linear::default()));
    let decode = case.check(gpu, "attention, one position".into(), &want[t]).await?;
    Ok(vec![prefill, decode])
}

/// Computes the causal attention of every row, heads side by side.
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
