//! Feature maps, [n, h, w, C]: convolutions and group norms, pixel by pixel.

/// A convolution.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Of each picture.
    pub size: [usize; 2],
    /// C, and how many of them a tap's weights are padded to.
    pub channels: [usize; 2],
    /// Taps in each direction.
    pub side: usize,
    /// Pixels from one result to the next.
    pub stride: usize,
    /// Zeros before and after.
    pub pad: [usize; 2],
    /// Nearest pixels of the input make a picture of this size first.
    pub enlarged: Option<[usize; 2]>,
}

impl Convolution {
    /// Height and width of what it makes.
    pub fn out(&self) -> [usize; 2] {
        let size = self.enlarged.unwrap_or(self.size);
        size.map(|n| (n + self.pad[0] + self.pad[1] - self.side) / self.stride + 1)
    }

    /// `w`: [O, side, side, padded channels] -> [n, h', w', O]
    pub fn run(&self, x: &[f32], w: &[f64]) -> Vec<f64> {
        let ([h, width], [c, padded], side) = (self.size, self.channels, self.side);
        let [big_h, big_w] = self.enlarged.unwrap_or(self.size);
        let [out_h, out_w] = self.out();
        let mut y = Vec::new();
        for picture in x.chunks_exact(h * width * c) {
            for i in 0..out_h * out_w {
                // The pixels under the kernel that exist, by the number of their tap.
                let mut seen: Vec<(usize, &[f32])> = Vec::new();
                for tap in 0..side * side {
                    let row = (i / out_w * self.stride + tap / side).wrapping_sub(self.pad[0]);
                    let column = (i % out_w * self.stride + tap % side).wrapping_sub(self.pad[0]);
                    if row < big_h && column < big_w {
                        let pixel = row * h / big_h * width + column * width / big_w;
                        seen.push((tap, &picture[pixel * c..(pixel + 1) * c]));
                    }
                }
                for filter in w.chunks_exact(side * side * padded) {
                    let dot = |(tap, pixel): &(usize, &[f32])| -> f64 {
                        pixel.iter().zip(&filter[tap * padded..]).map(|(x, w)| f64::from(*x) * w).sum()
                    };
                    y.push(seen.iter().map(dot).sum());
                }
            }
        }
        y
    }
}

/// `(x - mean) / sqrt(variance + eps) * w + b` over the pixels of a picture and the channels of a group.
pub fn group_norm(x: &[f32], n: usize, groups: usize, w: &[f32], b: &[f32], eps: f32) -> Vec<f64> {
    let (c, size) = (w.len(), w.len() / groups);
    let mut y = vec![0.0; x.len()];
    let picture = x.len() / n;
    for first in (0..n).map(|i| i * picture) {
        for g in 0..groups {
            let here: Vec<usize> = (first..first + picture).filter(|i| i % c / size == g).collect();
            let mean = here.iter().map(|i| f64::from(x[*i])).sum::<f64>() / here.len() as f64;
            let square = |i: &usize| (f64::from(x[*i]) - mean).powi(2);
            let variance = here.iter().map(square).sum::<f64>() / here.len() as f64;
            for i in here {
                let v = (f64::from(x[i]) - mean) / (variance + f64::from(eps)).sqrt();
                y[i] = v * f64::from(w[i % c]) + f64::from(b[i % c]);
            }
        }
    }
    y
}

/// One row of a sequence's rows `first` to `end - 1`; it begins at `begin`.
pub fn pooled(x: &[f32], dim: usize, way: inkstone::ops::Pool, [first, end, begin]: [usize; 3]) -> Vec<f64> {
    use inkstone::ops::Pool;
    let at = |t: usize, i: usize| f64::from(x[t * dim + i]);
    let sum = |i: usize, weight: &dyn Fn(usize) -> f64| (first..end).map(|t| at(t, i) * weight(t)).sum::<f64>();
    let count = (end - first) as f64;
    let one = |i: usize| match way {
        Pool::First => at(first, i),
        Pool::Last => at(end - 1, i),
        Pool::Max => (first..end).map(|t| at(t, i)).fold(f64::NEG_INFINITY, f64::max),
        Pool::Mean => sum(i, &|_| 1.0) / count,
        Pool::MeanSqrtLength => sum(i, &|_| 1.0) / count.sqrt(),
        Pool::WeightedMean => {
            let weight = |t: usize| (t - begin + 1) as f64;
            sum(i, &weight) / (first..end).map(weight).sum::<f64>()
        }
    };
    (0..dim).map(one).collect()
}
