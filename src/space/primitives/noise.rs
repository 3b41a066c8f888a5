//! `noise`: standard normal numbers in the place of what comes in.

use super::options::{Role, Stride};
use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::Fields;

#[derive(Debug)]
pub struct Noise {
    stride: Stride,
}

impl Noise {
    pub fn read(fields: &mut Fields<'_>, role: Role) -> Self {
        Self { stride: Stride::read(fields, role) }
    }
}

impl Primitive for Noise {
    fn effect(&self, before: Effect, edge: usize, _: Phase) -> Result<Effect, String> {
        Ok(before.shrunk([self.stride.on(edge); 2]))
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let stride = self.stride.on(place.stride);
        let kind = LayerKind::Noise { number: place.network.next_noise(), stride };
        Ok(Layer::plain(kind, input, input.strided(stride)))
    }
}
