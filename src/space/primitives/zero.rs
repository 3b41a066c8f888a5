//! `zero`: zeros in the place of what comes in.

use super::options::{Role, Stride};
use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::Fields;

#[derive(Debug)]
pub struct Zero {
    stride: Stride,
}

impl Zero {
    pub fn read(fields: &mut Fields<'_>, role: Role) -> Self {
        Self { stride: Stride::read(fields, role) }
    }
}

impl Primitive for Zero {
    fn effect(&self, before: Effect, edge: usize, _: Phase) -> Result<Effect, String> {
        Ok(before.shrunk([self.stride.on(edge); 2]))
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let stride = self.stride.on(place.stride);
        Ok(Layer::plain(LayerKind::Zero { stride }, input, input.strided(stride)))
    }
}
