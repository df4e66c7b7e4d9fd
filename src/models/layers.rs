//! Layers that several image models are made of. Field names are those of diffusers.

use crate::Result;
use crate::gpu::{Region, Tensor, Weight};
use crate::load::Weights;
use crate::ops::{Conv, GroupNorm, LayerNorm, Linear, Map};

/// A linear layer.
pub(super) struct Dense {
    weight: Weight,       // [O, I]
    bias: Option<Weight>, // [O]
}

/// A convolution.
pub(super) struct Convolution {
    weight: Weight,       // [O, side * side * I], see `load::Weights::conv`
    bias: Option<Weight>, // [O]
}

/// Two convolutions and a residual connection around them.
pub(super) struct Resnet {
    pub norm1: GroupNorm,             // [I]
    pub conv1: Convolution,           // [O, I, 3, 3]
    pub norm2: GroupNorm,             // [O]
    pub conv2: Convolution,           // [O, O, 3, 3]
    pub conv_shortcut: Option<Dense>, // [O, I]
}

impl Dense {
    pub fn bind(w: &Weights<'_>, name: &str, [o, i]: [usize; 2], bias: bool) -> Result<Self> {
        Ok(Dense {
            weight: w.matrix(&format!("{name}.weight"), [o, i])?,
            bias: bias.then(|| w.vector(&format!("{name}.bias"), o)).transpose()?,
        })
    }

    /// Binds several layers of the same input, as one: their outputs lie side by side.
    pub fn stack(w: &Weights<'_>, parts: &[(String, usize)], i: usize, bias: bool) -> Result<Self> {
        let named = |what: &str| -> Vec<_> { parts.iter().map(|(n, o)| (format!("{n}.{what}"), *o)).collect() };
        let (weights, biases) = (named("weight"), named("bias"));
        Ok(Dense {
            weight: w.stack(&borrowed(&weights), i)?,
            bias: bias.then(|| w.vectors(&borrowed(&biases))).transpose()?,
        })
    }

    /// Computes `x w^T + b` with the additions of `with`.   [T, I] -> [T, O]
    #[track_caller]
    pub fn of<'g>(&self, x: Tensor<'g>, with: Linear<'_, 'g>) -> Tensor<'g> {
        x.linear_with(&self.weight, Linear { bias: self.bias.as_ref(), ..with })
    }

    /// Computes `x w^T + b` into memory given from outside.
    #[track_caller]
    pub fn write<'g>(&self, x: Tensor<'g>, region: &Region) {
        let [rows, _] = x.rows();
        let into = Some(x.graph().given(region, [rows, self.weight.shape().rows()[0]]));
        self.of(x, Linear { into, ..Linear::default() });
    }
}

impl Convolution {
    pub fn bind(w: &Weights<'_>, name: &str, [o, i]: [usize; 2], side: usize, bias: bool) -> Result<Self> {
        Ok(Convolution {
            weight: w.sparing().conv(&format!("{name}.weight"), [o, i, side, side])?,
            bias: bias.then(|| w.vector(&format!("{name}.bias"), o)).transpose()?,
        })
    }

    /// Computes `conv(x) + b` with the additions of `with`.
    #[track_caller]
    pub fn of<'g>(&self, x: Map<'g>, with: Conv<'_, 'g>) -> Map<'g> {
        x.conv2d(&self.weight, Conv { bias: self.bias.as_ref(), ..with })
    }
}

fn borrowed(parts: &[(String, usize)]) -> Vec<(&str, usize)> {
    parts.iter().map(|(name, n)| (name.as_str(), *n)).collect()
}

/// Binds a group normalisation.
pub(super) fn group_norm(w: &Weights<'_>, name: &str, channels: usize, groups: usize, eps: f32) -> Result<GroupNorm> {
    let (weight, bias) = (w.vector(&format!("{name}.weight"), channels)?, w.vector(&format!("{name}.bias"), channels)?);
    Ok(GroupNorm { weight, bias, groups, eps })
}

/// Binds a layer normalisation.
pub(super) fn layer_norm(w: &Weights<'_>, name: &str, dim: usize, eps: f32) -> Result<LayerNorm> {
    let (weight, bias) = (w.vector(&format!("{name}.weight"), dim)?, w.vector(&format!("{name}.bias"), dim)?);
    Ok(LayerNorm { weight: Some(weight), bias: Some(bias), eps })
}

/// Padding around the pixels of a 3 x 3 convolution that keeps its input's size.
pub(super) const SAME: [usize; 2] = [1, 1];

impl Resnet {
    pub fn bind(w: &Weights<'_>, name: &str, [o, i]: [usize; 2], groups: usize, eps: f32) -> Result<Self> {
        let n = |part: &str| format!("{name}.{part}");
        Ok(Resnet {
            norm1: group_norm(w, &n("norm1"), i, groups, eps)?,
            conv1: Convolution::bind(w, &n("conv1"), [o, i], 3, true)?,
            norm2: group_norm(w, &n("norm2"), o, groups, eps)?,
            conv2: Convolution::bind(w, &n("conv2"), [o, o], 3, true)?,
            conv_shortcut: (o != i)
                .then(|| Dense::bind(&w.sparing(), &n("conv_shortcut"), [o, i], true))
                .transpose()?,
        })
    }

    /// Computes the block. `channels`: added to every pixel between the convolutions, see [`Conv::channels`].
    /// [N, H, W, I] -> [N, H, W, O]
    #[track_caller]
    pub fn of<'g>(&self, x: Map<'g>, channels: Option<(Tensor<'g>, usize)>) -> Map<'g> {
        let h = x.group_norm(&self.norm1, true); // [N, H, W, I]
        let h = self.conv1.of(h, Conv { pad: SAME, channels, ..Conv::default() }); // [N, H, W, O]
        let h = h.group_norm(&self.norm2, true); // [N, H, W, O]
        let around = match &self.conv_shortcut {
            Some(shortcut) => x.with(shortcut.of(x.t, Linear::default())), // [N, H, W, O]
            None => x,
        };
        self.conv2.of(h, Conv { pad: SAME, residual: Some(around), ..Conv::default() }) // [N, H, W, O]
    }
}
