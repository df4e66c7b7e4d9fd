//! From prompts to the noise predictor's inputs besides latents.

use super::model::{EncodedFor, ImageModel};
use super::options::Request;
use super::painter::Painter;
use super::text_encoder::Encoded;
use crate::Result;
use crate::load::Abort;
use crate::text::WeightedPrompt;

impl ImageModel {
    /// Encodes the negative prompt and the prompt, unless the latest call had the same.
    pub(super) async fn encode(
        &self,
        key: EncodedFor,
        prompts: &[WeightedPrompt; 2],
        scales: &[f32],
        abort: &Abort,
    ) -> Result<[Encoded; 2]> {
        if let Some((known, encoded)) = &*self.encoded.borrow()
            && *known == key
        {
            return Ok(encoded.clone());
        }
        let both = self.encode_anew(key.2, prompts, scales, abort).await;
        // Also after an error.
        self.dismiss_text();
        let mut encoded = both?.map(|sides| self.side_by_side(sides));
        if self.zero_empty && key.1.is_none() {
            let Encoded { rows, pooled } = &mut encoded[0];
            rows.fill(0.0);
            pooled.fill(0.0);
        }
        self.encoded.replace(Some((key, encoded.clone())));
        Ok(encoded)
    }

    /// Encodes the negative prompt and the prompt with each encoder.
    pub(super) async fn encode_anew(
        &self,
        clip_skip: usize,
        prompts: &[WeightedPrompt; 2],
        scales: &[f32],
        abort: &Abort,
    ) -> Result<[Vec<Encoded>; 2]> {
        let mut chunks: Vec<_> = self.text.iter().map(|encoder| encoder.chunks(prompts)).collect();
        let most = chunks.iter().flatten().map(Vec::len).max().unwrap_or(1);
        for (encoder, chunks) in self.text.iter().zip(&mut chunks) {
            encoder.pad(chunks, most)?;
        }
        self.recall_text(scales, abort).await?;
        let mut both: [Vec<Encoded>; 2] = [Vec::new(), Vec::new()];
        for (encoder, chunks) in self.text.iter().zip(&chunks) {
            // As in diffusers, layers are left out for the prompt alone.
            for ((side, chunks), skip) in both.iter_mut().zip(chunks).zip([0, clip_skip]) {
                side.push(encoder.encode(chunks, skip, abort).await?);
            }
        }
        Ok(both)
    }

    /// Joins the results of several encoders column by column.
    pub(super) fn side_by_side(&self, parts: Vec<Encoded>) -> Encoded {
        let tokens = parts.first().map_or(0, |p| p.rows.len() / self.text[0].dim());
        let mut rows = Vec::new();
        for t in 0..tokens {
            for (part, encoder) in parts.iter().zip(&self.text) {
                let d = encoder.dim();
                rows.extend_from_slice(&part.rows[t * d..(t + 1) * d]);
            }
        }
        let pooled = parts.into_iter().rev().map(|p| p.pooled).find(|p| !p.is_empty()).unwrap_or_default();
        Encoded { rows, pooled }
    }

    /// Hands the prompts to the painter.
    pub(super) fn prompt(&self, painter: &Painter, [negative, prompt]: &[Encoded; 2], request: &Request) {
        let c = self.unet.config();
        let sides: &[&Encoded] = if painter.shape.guided { &[negative, prompt] } else { &[prompt] };
        let rows: Vec<f32> = sides.iter().flat_map(|e| e.rows.iter().copied()).collect();
        let mut added = Vec::new();
        if let Some(a) = &c.addition {
            let (h, w) = (request.height as f32, request.width as f32);
            for side in sides {
                added.extend_from_slice(&side.pooled);
                for id in [h, w, 0.0, 0.0, h, w] {
                    added.extend(sinusoid(id, a.time_embed_dim, c.freq_shift, c.flip_sin_to_cos));
                }
            }
        }
        let guidance = c.time_cond_proj_dim.map(|k| sinusoid((request.guidance - 1.0) * 1000.0, k, 1.0, false));
        painter.prompt(&rows, &added, &guidance.unwrap_or_default());
    }
}

/// Computes the sines and cosines of a time (or another number) as the model was trained with them; in f32, as
/// diffusers does (`get_timestep_embedding`).
pub(super) fn sinusoid(t: f32, dim: usize, shift: f32, cosines_first: bool) -> Vec<f32> {
    let half = dim / 2;
    let angles: Vec<f32> = (0..half)
        .map(|i| {
            let exponent = -(10000f64.ln() as f32) * i as f32 / (half as f32 - shift);
            t * f64::from(exponent).exp() as f32
        })
        .collect();
    let sines = angles.iter().map(|a| f64::from(*a).sin() as f32);
    let cosines = angles.iter().map(|a| f64::from(*a).cos() as f32);
    let mut all: Vec<f32> = if cosines_first { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() };
    all.resize(dim, 0.0);
    all
}
