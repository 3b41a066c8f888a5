//! What a pipeline says of super-resolution.

use super::{IMAGE, Larger, MEASURES};
use crate::{
    data::{Augment, ImageKind, ImageShape},
    model::OutputSpec,
    tasks::{Measure, Supervision, TaskKind, TaskSettings},
};
use std::sync::Arc;

pub const KIND: TaskKind =
    TaskKind { name: "super_resolution", read: |_, _| Arc::new(SuperResolution), plain: || Arc::new(SuperResolution) };

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

    fn trains_auxiliary(&self) -> bool {
        false
    }

    fn supervision(&self, _: &[String]) -> Arc<dyn Supervision> {
        Arc::new(Larger)
    }
}
