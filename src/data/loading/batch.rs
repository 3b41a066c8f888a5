//! Some images as a network takes them.

use crate::{
    Augment, DataError, Dataset, Files, Part, Pixels,
    pictures::augment::Placement,
    pictures::workbench::Workbench,
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
pub(crate) struct Augmentation {
    pub augment: Augment,
    pub seed: u64,
    pub epoch: usize,
}

/// Images in memory that a thread takes at a time: fewer would cost more to hand out than to paint.
const IMAGES_A_TASK: usize = 8;

impl Batch {
    /// # Errors
    /// Where a file cannot be read or decoded: that of the first such image.
    pub(crate) fn assemble(
        dataset: &Dataset,
        part: Part,
        indices: Vec<u32>,
        augmentation: Option<Augmentation>,
        tables: &[[f32; 256]],
    ) -> Result<Self, DataError> {
        let (from, shape, n) = (dataset.part(part), dataset.shape, indices.len());
        let image = shape.iter().product::<usize>();
        let mut images = vec![0.0; n * image];
        let slots = images.par_chunks_exact_mut(image).zip(&indices);
        match &from.pixels {
            Pixels::Packed(pixels) => slots.with_min_len(IMAGES_A_TASK).for_each(|(out, &index)| {
                let start = index as usize * image;
                let placement = Augmentation::place(augmentation, shape, index);
                placement.paint(&pixels[start..start + image], shape, tables, out);
            }),
            Pixels::Files(files) => {
                let failed = slots.find_map_first(|(out, &index)| {
                    Workbench::with(|bench| bench.paint(files, index, augmentation, shape, tables, out)).err()
                });
                failed.map_or(Ok(()), Err)?;
            }
        }
        let labels = indices.iter().map(|&index| i64::from(from.labels[index as usize])).collect();
        Ok(Self { images, labels, n, shape, indices })
    }
}

impl Augmentation {
    fn stream(&self, purpose: Purpose, index: u32) -> Stream {
        Stream::new(purpose, self.seed, self.epoch as u64, u64::from(index))
    }

    fn place(augmentation: Option<Self>, shape: [usize; 3], index: u32) -> Placement {
        augmentation.map_or_else(Placement::default, |augmentation| {
            augmentation.augment.place(shape, &mut augmentation.stream(Purpose::Augment, index))
        })
    }
}

impl Workbench {
    /// Decodes a file and writes the view of it. Each kind of change has draws of its own, so that
    /// switching one leaves the others as they were.
    fn paint(
        &mut self,
        files: &Files,
        index: u32,
        augmentation: Option<Augmentation>,
        shape: [usize; 3],
        tables: &[[f32; 256]],
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let [_, height, width] = shape;
        let view = files.view(height);
        self.open(&files.path(index as usize), files.sizes[index as usize])?;
        let Self { picture, resampler, .. } = self;
        match augmentation.and_then(|all| all.augment.resized_crop.map(|crop| (all, crop))) {
            Some((all, crop)) => {
                let mut stream = all.stream(Purpose::ResizedCrop, index);
                let region = crop.draw(picture.width, picture.height, &mut stream);
                view.region(picture, &region, resampler);
            }
            None => view.middle(picture, resampler),
        }
        if let Some((all, jitter)) = augmentation.and_then(|all| all.augment.jitter.map(|jitter| (all, jitter))) {
            for change in jitter.draw(&mut all.stream(Purpose::Jitter, index)) {
                change.apply(&mut resampler.pixels);
            }
        }
        let placement = Augmentation::place(augmentation, shape, index);
        resampler.paint(placement.mirrored, tables, out);
        placement.cut([height, width], out);
        Ok(())
    }
}
