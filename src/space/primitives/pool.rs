//! `max_pool`, `avg_pool` and, in heads, `global_avg_pool`.

use super::options::{LARGEST_KERNEL, Role, Stride, read_padding, slid};
use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::{Fields, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
}

/// What lies around a map where a window steps over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// So many pixels on each side.
    Each(usize),
    /// As TensorFlow's `SAME`: as few as give a map of the sides divided by the stride, rounded up;
    /// where their number is odd, one more lies behind the map than before it.
    Same,
}

impl Pool {
    /// What it gives of a map.
    pub(super) fn slid(&self, input: FeatureMap, place: impl FnOnce() -> String) -> Result<FeatureMap, SpaceError> {
        match self.padding {
            Padding::Each(padding) => slid([self.kernel; 2], [self.stride; 2], [padding; 2], input, place),
            Padding::Same => {
                let [height, width] = [input.height, input.width].map(|side| side.div_ceil(self.stride));
                Ok(FeatureMap { height, width, ..input })
            }
        }
    }

    /// Pixels of the padding before a side of so many, and behind it.
    pub fn around(&self, side: usize) -> [usize; 2] {
        match self.padding {
            Padding::Each(padding) => [padding; 2],
            Padding::Same => {
                let reached = (side.div_ceil(self.stride).max(1) - 1) * self.stride + self.kernel;
                let missing = reached.saturating_sub(side);
                [missing / 2, missing.div_ceil(2)]
            }
        }
    }
}

/// A pooling as written.
#[derive(Debug)]
pub struct WrittenPool {
    kind: fn(Pool) -> LayerKind,
    kernel: usize,
    stride: Stride,
    padding: Padding,
}

impl WrittenPool {
    pub fn read(kind: fn(Pool) -> LayerKind, fields: &mut Fields<'_>, role: Role) -> Self {
        fields.required_node("kernel");
        let expected = format!("a whole number from 1 to {LARGEST_KERNEL}");
        let kernel = fields.integer("kernel", 1, 1..=LARGEST_KERNEL as usize, &expected);
        let padding = match fields.node("padding").map(|node| &node.value) {
            Some(Value::Text(word)) if word == "same" => Padding::Same,
            // A window must not lie in the padding alone: PyTorch's rule.
            Some(_) => {
                let expected = format!("a whole number from 0 to {}, or `same`", kernel / 2);
                Padding::Each(fields.integer("padding", 0, 0..=kernel / 2, &expected))
            }
            None => Padding::Each(read_padding(fields, [kernel - 1, kernel - 1])[0]),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_divided_by_the_stride_and_padded_behind_first() {
        let pool = |kernel, stride| Pool { kernel, stride, padding: Padding::Same };
        let slid = |pool: Pool, height, width| {
            let output = pool.slid(FeatureMap { channels: 1, height, width }, String::new).unwrap();
            [output.height, output.width]
        };
        assert_eq!((pool(3, 2).around(64), pool(3, 2).around(7)), ([0, 1], [1, 1]));
        assert_eq!((pool(2, 2).around(8), pool(2, 2).around(7), pool(5, 1).around(3)), ([0, 0], [0, 1], [2, 2]));
        assert_eq!(slid(pool(3, 2), 64, 7), [32, 4]);
        assert_eq!(slid(pool(5, 1), 3, 4), [3, 4]);
    }
}
