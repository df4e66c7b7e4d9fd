//! The kernels of image models.

use super::KernelReport;
use super::case::{Recorded, noise, upload, weight};
use crate::Result;
use crate::dtype::DType;
use crate::gpu::Gpu;
use crate::ops::{Attend, Conv, GroupNorm, LayerNorm, Map, Rows};
use std::rc::Rc;

/// Tests convolutions, norms and attention.
pub(super) async fn all(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let mut reports = convolution(gpu).await?;
    reports.extend(norms(gpu).await?);
    reports.push(attention(gpu).await?);
    Ok(reports)
}

/// Tests filters of 3 x 3 around the edges of tiles and blocks.
async fn convolution(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let ([h, w], c, padded, o) = ([7, 9], 40, 64, 38);
    let x = noise(h * w * c, 5);
    let input = upload(gpu, &x);
    let (bias, b) = weight(gpu, DType::F32, &[o], 6).await?;
    let mut reports = Vec::new();
    for dtype in [DType::F32, DType::F16] {
        let (filters, values) = weight(gpu, dtype, &[o, 9 * padded], 7).await?;
        let case = Recorded::new(gpu, |g| {
            let x = Map::new(g.given(&input, [h * w, c]), 1, w, Rows::all(h));
            x.conv2d(&filters, Conv { pad: [1, 1], bias: Some(&bias), ..Conv::default() }).t
        });
        let mut want = Vec::with_capacity(h * w * o);
        for (row, column) in (0..h).flat_map(|row| (0..w).map(move |column| (row, column))) {
            want.extend(values.chunks(9 * padded).zip(&b).map(|(filter, &bias)| {
                let tap = |t: usize| {
                    let (y, x0) = ((row + t / 3).wrapping_sub(1), (column + t % 3).wrapping_sub(1));
                    let inside = y < h && x0 < w;
                    let pixel = if inside { &x[(y * w + x0) * c..][..c] } else { &[] };
                    pixel.iter().zip(&filter[t * padded..]).map(|(&x, &f)| f64::from(x) * f64::from(f)).sum::<f64>()
                };
                f64::from(bias) + (0..9).map(tap).sum::<f64>()
            }));
        }
        reports.push(case.check(gpu, format!("conv2d {}", dtype.name()), &want).await?);
    }
    Ok(reports)
}

/// Normalises numbers that share a mean.
fn normalized(x: &[f64], eps: f64) -> impl Iterator<Item = f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    x.iter().map(move |v| (v - mean) / (variance + eps).sqrt())
}

async fn norms(gpu: &Rc<Gpu>) -> Result<Vec<KernelReport>> {
    let (pixels, c, groups, eps) = (35, 24, 4, 1e-5f32);
    // Far from zero, as a sum of squares less a square would not survive.
    let x: Vec<f32> = noise(pixels * c, 8).into_iter().map(|v| v + 3.0).collect();
    let input = upload(gpu, &x);
    let ((weight_, w), (bias, b)) = (weight(gpu, DType::F32, &[c], 9).await?, weight(gpu, DType::F32, &[c], 10).await?);
    let scaled = |v: f64, i: usize| v * f64::from(w[i]) + f64::from(b[i]);

    let norm = LayerNorm { weight: Some(weight_.clone()), bias: Some(bias.clone()), eps };
    let case = Recorded::new(gpu, |g| g.given(&input, [pixels, c]).layer_norm(&norm));
    let rows = x.chunks(c).map(|row| row.iter().map(|&v| v.into()).collect::<Vec<f64>>());
    let want: Vec<f64> = rows
        .flat_map(|row| normalized(&row, eps.into()).enumerate().map(|(i, v)| scaled(v, i)).collect::<Vec<_>>())
        .collect();
    let mut reports = vec![case.check(gpu, "layer_norm".into(), &want).await?];

    let norm = GroupNorm { weight: weight_, bias, groups, eps };
    let case = Recorded::new(gpu, |g| {
        Map::new(g.given(&input, [pixels, c]), 1, 7, Rows::all(pixels / 7)).group_norm(&norm, true).t
    });
    let (mut want, size) = (vec![0.0; pixels * c], c / groups);
    for group in 0..groups {
        let at = |i: usize| i / size * c + group * size + i % size;
        let values: Vec<f64> = (0..pixels * size).map(|i| x[at(i)].into()).collect();
        for (i, v) in normalized(&values, eps.into()).enumerate() {
            let v = scaled(v, at(i) % c);
            want[at(i)] = v / (1.0 + (-v).exp());
        }
    }
    reports.push(case.check(gpu, "group_norm".into(), &want).await?);
    Ok(reports)
}

async fn attention(gpu: &Rc<Gpu>) -> Result<KernelReport> {
    let (t, s, heads, hd) = (37, 41, 2, 40);
    let width = heads * hd;
    let [q, k, v] = [(t, 11), (s, 12), (s, 13)].map(|(rows, seed)| noise(rows * width, seed));
    let [q_in, k_in, v_in] = [&q, &k, &v].map(|rows| upload(gpu, rows));
    let case = Recorded::new(gpu, |g| {
        let [k, v] = [&k_in, &v_in].map(|region| (g.given(region, [s, width]), 0));
        Attend { n: 1, heads, head_dim: hd, q: (g.given(&q_in, [t, width]), 0), k, v, causal: false }.run()
    });
    let mut want = Vec::with_capacity(t * width);
    for (row, h) in (0..t).flat_map(|row| (0..heads).map(move |h| (row, h))) {
        let head = |rows: &[f32], row: usize| rows[row * width + h * hd..][..hd].to_vec();
        let q = head(&q, row);
        let score = |i: usize| {
            let dot: f64 = q.iter().zip(head(&k, i)).map(|(&q, k)| f64::from(q) * f64::from(k)).sum();
            (dot / (hd as f64).sqrt()).exp()
        };
        let weights: Vec<f64> = (0..s).map(score).collect();
        let sum: f64 = weights.iter().sum();
        want.extend((0..hd).map(|d| {
            weights.iter().enumerate().map(|(i, w)| w * f64::from(v[i * width + h * hd + d])).sum::<f64>() / sum
        }));
    }
    case.check(gpu, "attend".into(), &want).await
}
