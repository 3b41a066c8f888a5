//! `linear`: a feature map becomes a row of numbers, each of them a weighted sum of all of it.

use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};
use crate::config::Fields;
use crate::space::language::width::Width;
use crate::space::tensor_spec::{TensorRole, TensorSpec};

#[derive(Debug)]
pub struct Linear {
    /// As many as the head's output has, where it is not said.
    out: Option<Width>,
    /// What its first values are multiplied with.
    gain: f64,
}

impl Linear {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let gain = fields.number("gain", 1.0, 1e-6..=1e3, "a number from 0.000001 to 1000");
        Self { out: Width::read_optional(fields, "out"), gain }
    }
}

impl Primitive for Linear {
    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let (fan_in, label) = (input.elements(), place.name());
        let asked = || place.asked.ok_or_else(|| SpaceError::Unasked { place: label.clone() });
        let numbers = self.out.map_or_else(asked, |width| place.channels_of(width))?;
        let mut tensors = vec![
            TensorSpec::new(&label, "weight", vec![numbers, fan_in], TensorRole::Weight { fan_in }),
            TensorSpec::new(&label, "bias", vec![numbers], TensorRole::Bias { fan_in }),
        ];
        tensors.iter_mut().for_each(|tensor| tensor.gain = self.gain as f32);
        let output = FeatureMap { channels: numbers, height: 1, width: 1 };
        Ok(Layer { label, kind: LayerKind::Linear, input, output, tensors })
    }
}
