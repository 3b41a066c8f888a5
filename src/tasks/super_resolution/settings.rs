//! What a pipeline says of super-resolution.

use super::{IMAGE, Larger, MEASURES};
use crate::{
    data::{Augment, ImageKind, ImageShape},
    model::OutputSpec,
    tasks::{Learned, Measure, TaskKind, TaskSettings},
};
use std::sync::Arc;

pub const KIND: TaskKind =
    TaskKind { name: "super_resolution", read: |_, _| Arc::new(SuperResolution), plain: || Arc::new(SuperResolution) };

/// Width and height.
const CUSTOMARY: [usize; 2] = [1280, 720];

/// It has no keys: the scale is that of the data set.
#[derive(Debug)]
struct SuperResolution;

impl TaskSettings for SuperResolution {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn outputs(&self, ImageShape { shape: [channels, height, width], kind, .. }: ImageShape) -> Vec<OutputSpec> {
        let scale = if let ImageKind::Pairs { scale } = kind { scale } else { 1 };
        let mut outputs = OutputSpec::scores(channels);
        for output in &mut outputs {
            output.name = IMAGE.to_owned();
            (output.size.height, output.size.width) = (scale * height, scale * width);
        }
        outputs
    }

    fn check(&self, images: ImageShape) -> Result<(), String> {
        match images.kind {
            ImageKind::Pairs { .. } => Ok(()),
            _ => Err("`super_resolution` is learned from pairs of pictures: `prepare: {image_pairs: …}`".to_owned()),
        }
    }

    fn augmentation(&self, _: Augment) -> Augment {
        Augment { flip: true, turn: true, ..Augment::default() }
    }

    fn measures(&self, _: usize) -> Vec<Measure> {
        MEASURES.to_vec()
    }

    fn picture(&self) -> Option<&'static str> {
        Some(IMAGE)
    }

    /// Papers count multiply-adds where the larger picture has [`CUSTOMARY`] pixels.
    fn counted_at(&self, images: ImageShape) -> Option<(String, ImageShape)> {
        let ImageKind::Pairs { scale } = images.kind else { return None };
        let [width, height] = CUSTOMARY.map(|side| side.div_ceil(scale));
        let [width_there, height_there] = CUSTOMARY;
        let shape = [images.shape[0], height, width];
        Some((format!("{width_there}x{height_there}"), ImageShape { shape, ..images }))
    }

    fn trains_auxiliary(&self) -> bool {
        false
    }

    fn learned(&self, _: &[String]) -> Learned {
        Learned::FromExamples(Arc::new(Larger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_counted_where_the_larger_picture_is_1280_by_720() {
        let images = |scale| ImageShape { shape: [3, 24, 24], classes: 4, kind: ImageKind::Pairs { scale } };
        let counted = |scale| SuperResolution.counted_at(images(scale)).map(|(size, images)| (size, images.shape));
        assert_eq!(counted(4), Some(("1280x720".to_owned(), [3, 180, 320])));
        assert_eq!(counted(3).map(|(_, shape)| shape), Some([3, 240, 427]), "a part of a pixel is one");
        let others = ImageShape { kind: ImageKind::InMemory, ..images(4) };
        assert_eq!(SuperResolution.counted_at(others), None);
    }
}
