//! Normal noise that is the same as in other programs for the same seed: torch's two generators, and the mixing of two
//! noises for variations.
//!
//! Latents are drawn as `[C, h, w]`, one generator for each picture. A picture draws, in the order of diffusers'
//! pipelines for batches of one (a draw is `C * h * w` numbers):
//! 1. the sample of the given image's latents, but not for inpainting at full strength with a UNet of 9 channels;
//! 2. always: the noise of the first latents, which inpainting needs again for
//!    [`Stage::known`](super::scheduler::Stage::known);
//! 3. inpainting: the sample of the masked image's latents, drawn also where a UNet of 4 channels makes no use of it;
//! 4. one draw for each stage with [`Stage::noise`](super::scheduler::Stage::noise), in order.
//!
//! The samples 1 and 3 are drawn for a VAE that has a distribution; a tiny one (TAESD) draws nothing there.

use std::f64::consts::TAU;

/// Numbers of the state of MT19937.
const STATE: usize = 624;

/// torch's generator on the CPU: MT19937 (Matsumoto and Nishimura 1998) and the Box-Muller transform.
#[derive(Clone)]
pub struct TorchRng {
    state: Vec<u32>,
    next: usize,
    /// The second normal of a pair, which torch keeps from one short draw to the next.
    spare: Option<f64>,
}

impl TorchRng {
    /// Seeds the generator as `torch.manual_seed(seed)` does: its low 32 bits count.
    pub fn new(seed: u64) -> Self {
        let mut state = Vec::with_capacity(STATE);
        let mut word = seed as u32;
        state.push(word);
        for i in 1..STATE as u32 {
            word = (word ^ (word >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i);
            state.push(word);
        }
        TorchRng { state, next: STATE, spare: None }
    }

    fn word(&mut self) -> u32 {
        if self.next == STATE {
            for i in 0..STATE {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7fff_ffff);
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % STATE] ^ (y >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Draws a uniform number in `[0, 1)` with 53 bits.
    fn uniform(&mut self) -> f64 {
        let high = u64::from(self.word());
        let bits = (high << 32 | u64::from(self.word())) & ((1 << 53) - 1);
        bits as f64 / (1u64 << 53) as f64
    }

    /// Draws the numbers that `torch.randn(n, generator=g)` returns, in f32; draws follow one another.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < 16 {
            return (0..n).map(|_| self.normal() as f32).collect();
        }
        let mut all: Vec<f32> = (0..n).map(|_| self.fraction()).collect();
        all.as_chunks_mut().0.iter_mut().for_each(box_muller);
        // If the length is not a multiple of 16, torch draws its last 16 numbers anew.
        if !n.is_multiple_of(16)
            && let Some(last) = all.last_chunk_mut()
        {
            *last = std::array::from_fn(|_| self.fraction());
            box_muller(last);
        }
        all
    }

    /// Draws a uniform number in `[0, 1)` with 24 bits.
    fn fraction(&mut self) -> f32 {
        (self.word() & 0xff_ffff) as f32 / (1 << 24) as f32
    }

    /// Draws a normal number in double precision, as torch does for short tensors.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let turn = self.uniform();
        let radius = (-2.0 * (-self.uniform()).ln_1p()).sqrt();
        self.spare = Some(radius * (TAU * turn).sin());
        radius * (TAU * turn).cos()
    }
}

/// Turns 16 uniform numbers into normal ones: 8 give radii, 8 angles.
fn box_muller(block: &mut [f32; 16]) {
    for i in 0..8 {
        let radius = (-2.0 * f64::from(1.0 - block[i]).ln()).sqrt();
        // The angle is rounded as torch rounds it. Its logarithm, sine and cosine are approximations, which differ from
        // processor to processor by some 2e-7.
        let angle = f64::from(std::f32::consts::TAU * block[i + 8]);
        block[i] = (radius * angle.cos()) as f32;
        block[i + 8] = (radius * angle.sin()) as f32;
    }
}

/// torch's generator on CUDA devices: Philox 4x32-10 (Salmon et al. 2011). Draw `k` of element `i` has the counter
/// `(k, 0, i, 0)`.
#[derive(Clone)]
pub struct Philox {
    key: [u32; 2],
    offset: u32,
}

impl Philox {
    /// Seeds the generator as `torch.cuda.manual_seed(seed)` does.
    pub fn new(seed: u64) -> Self {
        Philox { key: [seed as u32, (seed >> 32) as u32], offset: 0 }
    }

    /// Draws the numbers that `torch.randn(n, device="cuda", generator=g)` returns for as many elements as a device
    /// computes at a time; draws follow one another.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        let all = (0..n).map(|i| self.normal(i as u32)).collect();
        self.offset = self.offset.wrapping_add(1);
        all
    }

    fn normal(&self, element: u32) -> f32 {
        let mut c = [self.offset, 0, element, 0];
        let mut key = self.key;
        for _ in 0..10 {
            let a = u64::from(c[0]) * 0xd251_1f53;
            let b = u64::from(c[2]) * 0xcd9e_8d57;
            c = [(b >> 32) as u32 ^ c[1] ^ key[0], b as u32, (a >> 32) as u32 ^ c[3] ^ key[1], a as u32];
            key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
        }
        let unit = |x: u32| (f64::from(x) + 0.5) / f64::from(2f32.powi(32));
        ((-2.0 * unit(c[0]).ln()).sqrt() * (TAU * unit(c[1])).sin()) as f32
    }
}

/// A source of noise.
#[derive(Clone)]
pub enum Noise {
    /// As torch on the CPU, which is what diffusers' examples and ComfyUI use.
    Torch(TorchRng),
    /// As torch on CUDA, which is what A1111 uses.
    Philox(Philox),
}

impl Noise {
    /// Draws the next `n` normal numbers.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        match self {
            Noise::Torch(rng) => rng.randn(n),
            Noise::Philox(rng) => rng.randn(n),
        }
    }
}

/// Mixes the noise of a variation into `base`, both `[C, h, w]`: at `strength` 0 it stays as it is, at 1 it is the
/// variation. Each column of each channel is a vector that turns towards the other (spherical interpolation), as in
/// A1111, so that the same seeds give the same variations.
///
/// # Panics
/// If the lengths differ or are not a multiple of `h * w`.
pub fn slerp(strength: f32, base: &[f32], variation: &[f32], [h, w]: [usize; 2]) -> Vec<f32> {
    let plane = h * w;
    assert!(base.len() == variation.len() && base.len().is_multiple_of(plane), "noises of different shapes");
    let t = f64::from(strength);
    let mut mixed = base.to_vec();
    for first in (0..base.len()).step_by(plane.max(1)).flat_map(|channel| channel..channel + w) {
        let column = || (first..first + plane).step_by(w).map(|i| (i, f64::from(base[i]), f64::from(variation[i])));
        let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
        for (_, a, b) in column() {
            (aa, ab, bb) = (aa + a * a, ab + a * b, bb + b * b);
        }
        let angle = (ab / f64::sqrt(aa * bb)).acos();
        // Vectors on one line, or a vector of zeros, have no arc between them; the angle may then be NaN.
        let (from, to) = match angle.sin() {
            sine if sine > 1e-6 => (((1.0 - t) * angle).sin() / sine, (t * angle).sin() / sine),
            _ => (1.0 - t, t),
        };
        for (i, a, b) in column() {
            mixed[i] = (from * a + to * b) as f32;
        }
    }
    mixed
}
