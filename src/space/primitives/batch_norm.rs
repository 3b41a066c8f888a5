//! `batch_norm`: each channel by its mean and variance, in training those of the batch.

use super::options::{When, read_flag};
use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};
use crate::config::Fields;
use crate::space::tensor_spec::{TensorRole, TensorSpec};

#[derive(Debug)]
pub struct BatchNorm {
    /// Whether scale and shift are learned.
    affine: When,
}

impl BatchNorm {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self { affine: read_flag(fields, "affine", When::Always) }
    }
}

impl Primitive for BatchNorm {
    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let affine = place.has(self.affine);
        let learned = [("weight", TensorRole::Scale), ("bias", TensorRole::Shift)];
        let running = [("running_mean", TensorRole::RunningMean), ("running_var", TensorRole::RunningVar)];
        let label = place.name();
        let parts = learned.into_iter().filter(|_| affine).chain(running);
        let tensors = parts.map(|(part, role)| TensorSpec::new(&label, part, vec![input.channels], role)).collect();
        Ok(Layer { label, kind: LayerKind::BatchNorm { affine }, input, output: input, tensors })
    }
}
