//! `linear`: a feature map becomes class scores.

use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};
use crate::space::tensor_spec::{TensorRole, TensorSpec};

#[derive(Debug)]
pub struct Linear;

impl Primitive for Linear {
    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let (classes, fan_in, label) = (place.network.classes, input.elements(), place.name());
        let tensors = vec![
            TensorSpec::new(&label, "weight", vec![classes, fan_in], TensorRole::Weight { fan_in }),
            TensorSpec::new(&label, "bias", vec![classes], TensorRole::Bias { fan_in }),
        ];
        let output = FeatureMap { channels: classes, height: 1, width: 1 };
        Ok(Layer { label, kind: LayerKind::Linear, input, output, tensors })
    }
}
