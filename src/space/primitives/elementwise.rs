//! `identity` and `relu`: layers of each value by itself, without options and tensors.

use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};

#[derive(Debug)]
pub struct Elementwise(pub LayerKind);

impl Primitive for Elementwise {
    fn lower(&self, _: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        Ok(Layer::plain(self.0.clone(), input, input))
    }
}
