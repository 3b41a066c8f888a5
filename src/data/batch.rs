//! Some images as a network takes them.

use super::{
    Augment, Dataset, Part,
    augment::Placement,
    random::{Purpose, Stream},
};
use rayon::prelude::*;

/// Normalised images with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[n, channels, height, width]`
    pub images: Vec<f32>,
    /// `[n]`
    pub labels: Vec<i64>,
    pub n: usize,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Where in the part the images are from.
    pub indices: Vec<u32>,
}

/// Changes to make, and the two coordinates that with an image's index decide how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Augmentation {
    pub augment: Augment,
    pub seed: u64,
    pub epoch: usize,
}

/// Images a thread takes at a time: fewer would cost more to hand out than to paint.
const IMAGES_A_TASK: usize = 8;

impl Batch {
    pub(super) fn assemble(
        dataset: &Dataset,
        part: Part,
        indices: Vec<u32>,
        augmentation: Option<Augmentation>,
        tables: &[[f32; 256]],
    ) -> Self {
        let (from, shape, n) = (dataset.part(part), dataset.shape, indices.len());
        let image = shape.iter().product::<usize>();
        let mut images = vec![0.0; n * image];
        let slots = images.par_chunks_exact_mut(image).zip(&indices).with_min_len(IMAGES_A_TASK);
        slots.for_each(|(out, &index)| {
            let placement = augmentation.map_or_else(Placement::default, |Augmentation { augment, seed, epoch }| {
                augment.place(shape, &mut Stream::new(Purpose::Augment, seed, epoch as u64, u64::from(index)))
            });
            let start = index as usize * image;
            placement.paint(&from.pixels[start..start + image], shape, tables, out);
        });
        let labels = indices.iter().map(|&index| i64::from(from.labels[index as usize])).collect();
        Self { images, labels, n, shape, indices }
    }
}
