//! `pixel_shuffle`: channels become pixels (Shi et al., arXiv 1609.05158).

use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};
use crate::config::Fields;

/// By how much sides grow.
#[derive(Debug)]
pub struct PixelShuffle {
    by: usize,
}

impl PixelShuffle {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        fields.required_node("by");
        Self { by: fields.integer("by", 2, 2..=8, "a whole number from 2 to 8") }
    }
}

impl Primitive for PixelShuffle {
    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let (by, FeatureMap { channels, height, width }) = (self.by, input);
        if !channels.is_multiple_of(by * by) {
            return Err(SpaceError::PixelShuffle { place: place.name(), by, channels });
        }
        let output = FeatureMap { channels: channels / (by * by), height: height * by, width: width * by };
        Ok(Layer::plain(LayerKind::PixelShuffle { by }, input, output))
    }
}
