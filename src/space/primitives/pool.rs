//! `max_pool`, `avg_pool` and, in heads, `global_avg_pool`.

use super::options::{LARGEST_KERNEL, Role, Stride, read_padding, slid};
use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::Fields;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Pool {
    /// What it gives of a map.
    pub(super) fn slid(&self, input: FeatureMap, place: impl FnOnce() -> String) -> Result<FeatureMap, SpaceError> {
        slid([self.kernel; 2], [self.stride; 2], [self.padding; 2], input, place)
    }
}

/// A pooling as written.
#[derive(Debug)]
pub struct WrittenPool {
    kind: fn(Pool) -> LayerKind,
    kernel: usize,
    stride: Stride,
    padding: usize,
}

impl WrittenPool {
    pub fn read(kind: fn(Pool) -> LayerKind, fields: &mut Fields<'_>, role: Role) -> Self {
        fields.required_node("kernel");
        let expected = format!("a whole number from 1 to {LARGEST_KERNEL}");
        let kernel = fields.integer("kernel", 1, 1..=LARGEST_KERNEL as usize, &expected);
        let padding = match fields.node("padding") {
            // A window must not lie in the padding alone: PyTorch's rule.
            Some(_) => {
                fields.integer("padding", 0, 0..=kernel / 2, &format!("a whole number from 0 to {}", kernel / 2))
            }
            None => read_padding(fields, [kernel - 1, kernel - 1])[0],
        };
        Self { kind, kernel, stride: Stride::read(fields, role), padding }
    }
}

impl Primitive for WrittenPool {
    fn effect(&self, before: Effect, edge: usize, _: Phase) -> Result<Effect, String> {
        Ok(before.shrunk([self.stride.on(edge); 2]))
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let pool = Pool { kernel: self.kernel, stride: self.stride.on(place.stride), padding: self.padding };
        let output = pool.slid(input, || place.name())?;
        Ok(Layer::plain((self.kind)(pool), input, output))
    }
}

#[derive(Debug)]
pub struct GlobalAvgPool;

impl Primitive for GlobalAvgPool {
    fn lower(&self, _: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        Ok(Layer::plain(LayerKind::GlobalAvgPool, input, FeatureMap { height: 1, width: 1, ..input }))
    }
}
