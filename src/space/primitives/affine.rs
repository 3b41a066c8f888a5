//! `affine`: each value times one constant, plus another.

use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};
use crate::config::Fields;

#[derive(Debug)]
pub struct Affine {
    scale: f64,
    shift: f64,
}

impl Affine {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        const EXPECTED: &str = "a number from -1000 to 1000";
        let mut number = |key, default| fields.number(key, default, -1e3..=1e3, EXPECTED);
        Self { scale: number("scale", 1.0), shift: number("shift", 0.0) }
    }
}

impl Primitive for Affine {
    fn lower(&self, _: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let Self { scale, shift } = *self;
        Ok(Layer::plain(LayerKind::Affine { scale, shift }, input, input))
    }
}
