//! A layer between nodes of other widths.

use super::{Chain, FeatureMap, Layer, LayerKind, SpaceError};
use crate::space::language::width::Letters;
use crate::space::tensor_spec::{TensorRole, TensorSpec};

impl Chain {
    /// The chain of an operation that reads as many channels and leads to a node of the width `here`.
    ///
    /// # Errors
    /// Where it has a layer that cannot be narrowed.
    pub fn narrowed(&self, input: usize, here: usize) -> Result<Self, SpaceError> {
        let mut channels = input;
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let layer = layer.narrowed(channels, here)?;
            channels = layer.output.channels;
            layers.push(layer);
        }
        Ok(Self { layers })
    }
}

impl Layer {
    /// What its weights are is the beginning of what they were: filters and the channels that they read.
    fn narrowed(&self, channels: usize, here: usize) -> Result<Self, SpaceError> {
        let input = FeatureMap { channels, ..self.input };
        let (mut kind, mut tensors) = (self.kind.clone(), self.tensors.clone());
        let refused = |what| SpaceError::Unnarrowed { place: self.label.clone(), what };
        let output = match &mut kind {
            LayerKind::Identity
            | LayerKind::Zero { .. }
            | LayerKind::Noise { .. }
            | LayerKind::Relu
            | LayerKind::Nonlinearity(_)
            | LayerKind::Affine { .. }
            | LayerKind::MaxPool(_)
            | LayerKind::AvgPool(_) => channels,
            LayerKind::Conv(conv) => {
                let output = if conv.groups > 1 && conv.groups == self.input.channels {
                    conv.groups = channels;
                    channels
                } else if conv.groups > 1 {
                    return Err(refused("a convolution in groups"));
                } else {
                    let followed = conv.follows.map(|width| {
                        let written = || SpaceError::Width {
                            place: self.label.clone(),
                            width: width.to_string(),
                            channels: here,
                        };
                        width.resolve(Letters { here, input: self.input.channels }).ok_or_else(written)
                    });
                    followed.transpose()?.unwrap_or(self.output.channels)
                };
                let [height, width] = conv.kernel;
                let fan_in = channels / conv.groups * height * width;
                tensors = vec![TensorSpec::new(
                    &self.label,
                    "weight",
                    vec![output, channels / conv.groups, height, width],
                    TensorRole::Weight { fan_in },
                )];
                if conv.bias {
                    tensors.push(TensorSpec::new(&self.label, "bias", vec![output], TensorRole::Bias { fan_in }));
                }
                output
            }
            LayerKind::Sum(chains) => {
                for chain in &mut *chains {
                    *chain = chain.narrowed(channels, here)?;
                }
                let ends =
                    chains.iter().map(|chain| chain.layers.last().map_or(channels, |layer| layer.output.channels));
                let ends: Vec<usize> = ends.collect();
                if let Some(&other) = ends.iter().find(|end| **end != ends[0]) {
                    let map = |channels| FeatureMap { channels, ..self.output };
                    let (first, other) = (map(ends[0]), map(other));
                    return Err(SpaceError::Branches { place: self.label.clone(), first, other });
                }
                ends[0]
            }
            LayerKind::BatchNorm { .. } => return Err(refused("a batch norm")),
            LayerKind::Concat(_) => return Err(refused("a concatenation")),
            LayerKind::FactorizedReduce { .. } => return Err(refused("`factorized_reduce`")),
            LayerKind::GlobalAvgPool
            | LayerKind::PixelShuffle { .. }
            | LayerKind::Upsample { .. }
            | LayerKind::Linear => {
                return Err(refused("a layer that changes its map's sides"));
            }
        };
        let output = FeatureMap { channels: output, ..self.output };
        Ok(Self { label: self.label.clone(), kind, input, output, tensors })
    }
}
