//! `upsample`: each pixel becomes a square of equal ones.

use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::Fields;

/// By how much sides grow.
#[derive(Debug)]
pub struct Upsample {
    by: usize,
}

impl Upsample {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        fields.required_node("by");
        Self { by: fields.integer("by", 2, 2..=8, "a whole number from 2 to 8") }
    }
}

impl Primitive for Upsample {
    fn effect(&self, _: Effect, _: usize, _: Phase) -> Result<Effect, String> {
        Err("enlarges its map, which an edge keeps or shrinks".to_owned())
    }

    fn lower(&self, _: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let by = self.by;
        let output = FeatureMap { height: input.height * by, width: input.width * by, ..input };
        Ok(Layer::plain(LayerKind::Upsample { by }, input, output))
    }
}
