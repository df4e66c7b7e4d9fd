//! A builder for the list of an autoencoder's layers. Names are those of diffusers.

use super::coder::{CoderLayer, CoderLayers, Filter, InputNorm, Work};

/// A list of layers in the making.
pub(super) struct Chain {
    /// The first part of the names of weights.
    pub prefix: String,
    layers: Vec<CoderLayer>,
}

impl Chain {
    /// Starts with an input of this many channels.
    pub fn new(prefix: String, channels: usize) -> Self {
        let mut chain = Chain { prefix, layers: Vec::new() };
        chain.push(Work::Input, channels);
        chain
    }

    /// Returns the latest layer's number.
    pub fn last(&self) -> usize {
        self.layers.len() - 1
    }

    fn channels(&self) -> usize {
        self.layers[self.last()].channels
    }

    fn push(&mut self, work: Work, channels: usize) -> &mut CoderLayer {
        let (at, name, norm_name) = (self.layers.len(), String::new(), String::new());
        let (from, norm) = (at.saturating_sub(1), InputNorm::None);
        self.layers.push(CoderLayer { from, norm, work, add: None, channels, name, norm_name });
        &mut self.layers[at]
    }

    /// Adds a [`Work::Rescale`].
    pub fn rescale(&mut self, scale: f32, shift: f32, limit: Option<f32>) {
        let channels = self.channels();
        self.push(Work::Rescale { scale, shift, limit }, channels);
    }

    /// Adds a convolution of the latest layer's result.
    pub fn conv(&mut self, name: &str, channels: usize, filter: Filter) -> &mut CoderLayer {
        let name = format!("{}.{name}", self.prefix);
        let layer = self.push(Work::Conv(filter), channels);
        layer.name = name;
        layer
    }

    /// Adds a convolution of the latest layer's result after a group norm and SiLU.
    pub fn norm_conv(&mut self, norm: &str, name: &str, channels: usize) -> &mut CoderLayer {
        let norm_name = format!("{}.{norm}", self.prefix);
        let layer = self.conv(name, channels, Filter::SAME);
        (layer.norm, layer.norm_name) = (InputNorm::GroupsThenSilu, norm_name);
        layer
    }

    /// Adds two convolutions, and their input (convolved if it has other channels) to their result.
    pub fn resnet(&mut self, name: &str, channels: usize) {
        let x = self.last();
        self.norm_conv(&format!("{name}.norm1"), &format!("{name}.conv1"), channels);
        let middle = self.last();
        let mut around = x;
        if self.layers[x].channels != channels {
            self.conv(&format!("{name}.conv_shortcut"), channels, Filter::POINT).from = x;
            around = self.last();
        }
        let layer = self.norm_conv(&format!("{name}.norm2"), &format!("{name}.conv2"), channels);
        (layer.from, layer.add) = (middle, Some(around));
    }

    /// Adds attention of one head from pixel to pixel, and its input to its result.
    fn attention(&mut self, name: &str) {
        let (x, channels) = (self.last(), self.channels());
        let mut of = |part: &str| {
            let norm_name = format!("{}.{name}.group_norm", self.prefix);
            let layer = self.conv(&format!("{name}.{part}"), channels, Filter::POINT);
            (layer.from, layer.norm, layer.norm_name) = (x, InputNorm::Groups, norm_name);
            self.last()
        };
        let (keys, values, _) = (of("to_k"), of("to_v"), of("to_q"));
        self.push(Work::Attend { keys, values }, channels);
        self.conv(&format!("{name}.to_out.0"), channels, Filter::POINT).add = Some(x);
    }

    /// Adds the blocks at the level where the picture is smallest.
    pub fn mid(&mut self, attention: bool) {
        let channels = self.channels();
        self.resnet("mid_block.resnets.0", channels);
        if attention {
            self.attention("mid_block.attentions.0");
        }
        self.resnet("mid_block.resnets.1", channels);
    }

    /// Ends the list; every group norm has `groups` groups.
    pub fn done(self, groups: usize) -> CoderLayers {
        CoderLayers { list: self.layers, groups }
    }
}
