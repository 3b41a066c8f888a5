//! A layer for maps of other sides.

use super::factorized_reduce::halved;
use super::options::slid;
use super::{Chain, FeatureMap, Layer, LayerKind, SpaceError};

impl Layer {
    /// The layer on a map of `[height, width]`.
    ///
    /// # Errors
    /// Where it cannot read one.
    pub(in crate::space) fn resized(&self, [height, width]: [usize; 2]) -> Result<Self, SpaceError> {
        let input = FeatureMap { height, width, ..self.input };
        let place = || self.label.clone();
        let branches = |chains: &[Chain]| {
            let resized = chains.iter().map(|chain| chain.resized([height, width]));
            let (chains, sides): (Vec<Chain>, Vec<[usize; 2]>) =
                resized.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
            let map = |[height, width]: [usize; 2]| FeatureMap { height, width, ..self.output };
            match sides.iter().find(|other| **other != sides[0]) {
                Some(&other) => Err(SpaceError::Branches { place: place(), first: map(sides[0]), other: map(other) }),
                None => Ok((chains, map(sides[0]))),
            }
        };
        let mut kind = self.kind.clone();
        let output = match &mut kind {
            LayerKind::Identity
            | LayerKind::Relu
            | LayerKind::Nonlinearity(_)
            | LayerKind::Affine { .. }
            | LayerKind::BatchNorm { .. } => input,
            LayerKind::Zero { stride } | LayerKind::Noise { stride, .. } => input.strided(*stride),
            LayerKind::Conv(conv) => slid(conv.window(), conv.stride, conv.padding, input, place)?,
            LayerKind::MaxPool(pool) | LayerKind::AvgPool(pool) => pool.slid(input, place)?,
            LayerKind::FactorizedReduce { first, .. } => halved(input, || first.clone())?,
            LayerKind::GlobalAvgPool => FeatureMap { height: 1, width: 1, ..input },
            LayerKind::PixelShuffle { by } | LayerKind::Upsample { by } => {
                FeatureMap { height: height * *by, width: width * *by, ..input }
            }
            LayerKind::Linear if input.elements() != self.input.elements() => {
                return Err(SpaceError::Flattened { place: place(), needed: self.input, found: input });
            }
            LayerKind::Linear => FeatureMap { height: 1, width: 1, ..input },
            LayerKind::Sum(chains) | LayerKind::Concat(chains) => {
                let output;
                (*chains, output) = branches(chains)?;
                output
            }
        };
        let output = FeatureMap { channels: self.output.channels, ..output };
        Ok(Self { label: self.label.clone(), kind, input, output, tensors: self.tensors.clone() })
    }
}
