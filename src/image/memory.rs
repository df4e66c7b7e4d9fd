//! An image model's memory on the GPU: warming up, weights that are read again, text encoders that come and go.

use super::autoencoder::{DECODE_BUDGET, ImageDecoder};
use super::info::ImageBytes;
use super::model::ImageModel;
use super::painter::{LatentShape, Painter};
use super::text_encoder::TextEncoder;
use crate::gpu::Family;
use crate::load::{Abort, Bound, Origin, Progress, stream};
use crate::{Error, Result};

impl ImageModel {
    /// Makes plans for the model's own size and runs them on weights that are still zeros: drivers compile at first
    /// use, and do it while the weights arrive. If there is no memory for that size, nothing is made: a smaller one may
    /// be asked for.
    pub(super) async fn warm(&self) -> Result<()> {
        let [width, height] = self.defaults.size;
        let factor = self.vae.factor();
        let [h, w] = [height / factor, width / factor];
        let tokens = self.text.iter().map(TextEncoder::positions).max().unwrap_or(0);
        let shape = LatentShape { h, w, tokens, guided: self.guided(self.defaults.guidance), known: false };
        // On adapters that compute on the CPU a step takes longer than a compiler.
        let slow = self.gpu.adapter().family == Family::Software;
        let painter = match Painter::new(&self.gpu, &self.unet, shape, self.hold_ms).await {
            Err(Error::TooLarge { .. }) => return Ok(()),
            painter => painter?,
        };
        if !slow {
            painter.warm();
        }
        self.painter.replace(Some(painter));
        let decoder = ImageDecoder::new(&self.gpu, &self.vae, [h, w], DECODE_BUDGET).await;
        if !matches!(decoder, Err(Error::TooLarge { .. })) {
            let decoder = decoder?;
            if !slow {
                decoder.warm();
            }
            self.decoder.replace(Some(decoder));
        }
        if !self.releases_text {
            for encoder in &self.text {
                encoder.ready(encoder.want(0)).await?;
            }
        }
        Ok(())
    }

    /// Reads weights that have memory, with adapters at these scales: all, or those that some adapters change.
    pub(super) async fn fill(
        &self,
        scales: &[f32],
        changed: Option<&[usize]>,
        progress: &dyn Progress,
        abort: &Abort,
    ) -> Result<()> {
        let mut bound = vec![&self.weights];
        if self.text_weights.store().is_committed() {
            bound.push(&self.text_weights);
        }
        let wanted = |name: &str| changed.is_none_or(|which| self.adapters.any_changes(which, name));
        self.read(&bound, scales, &wanted, progress, abort).await?;
        self.adapters.set_applied(scales);
        Ok(())
    }

    /// Reads those of these weights that are wanted, then closes the files.
    async fn read(
        &self,
        bound: &[&Bound],
        scales: &[f32],
        wanted: &dyn Fn(&str) -> bool,
        progress: &dyn Progress,
        abort: &Abort,
    ) -> Result<()> {
        let adapters = self.adapters.at(scales);
        let origin = Origin { source: &*self.source, adapters: &adapters };
        let read = stream(bound, origin, wanted, progress, abort).await;
        self.source.release();
        self.adapters.release();
        read
    }

    /// Adds the adapters to the weights at these scales, or takes them off.
    pub(super) async fn adapt(&self, scales: &[f32], abort: &Abort) -> Result<()> {
        let changed = self.adapters.differing(scales);
        if changed.is_empty() {
            return Ok(());
        }
        if self.adapters.any_changes_text(&changed) {
            self.encoded.take();
        }
        self.adapters.forget_applied();
        self.fill(scales, Some(&changed), &(), abort).await
    }

    /// Reads the text encoders again, if they were released. Memory that pictures needed is freed for them.
    pub(super) async fn recall_text(&self, scales: &[f32], abort: &Abort) -> Result<()> {
        if self.text_weights.store().is_committed() {
            return Ok(());
        }
        self.painter.take();
        self.decoder.take();
        self.preview_decoder.take();
        self.text_weights.store().commit().await?;
        let read = self.read(&[&self.text_weights], scales, &|_| true, &(), abort).await;
        if read.is_err() {
            self.text_weights.store().release();
        }
        read
    }

    /// Releases the text encoders, unless they are to stay.
    pub(super) fn dismiss_text(&self) {
        if self.releases_text {
            self.text.iter().for_each(TextEncoder::release);
            self.text_weights.store().release();
        }
    }

    /// Notes in `info` how many bytes are on the GPU.
    pub(super) fn note_bytes(&self) {
        let stores = [&self.weights, &self.text_weights].map(Bound::store);
        let weights = stores.iter().filter(|s| s.is_committed()).map(|s| s.bytes()).sum();
        let decoders =
            [&self.decoder, &self.preview_decoder].map(|d| d.borrow().as_ref().map_or(0, ImageDecoder::bytes));
        let text: u64 = self.text.iter().map(TextEncoder::bytes).sum();
        let painter = self.painter.borrow().as_ref().map_or(0, Painter::bytes);
        let scratch = painter + text + decoders.iter().sum::<u64>();
        self.info.borrow_mut().bytes = ImageBytes { weights, scratch, peak: self.gpu.counters().peak_bytes.get() };
    }
}
