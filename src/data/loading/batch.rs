//! Some images as a network takes them.

use crate::{
    Augment, DataError, Dataset, Files, Pairs, Part, Pixels,
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
    /// What the images ought to become, where they are of pairs.
    pub partners: Option<Partners>,
}

/// The larger pictures of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Partners {
    /// `[n, channels, height, width]`
    pub images: Vec<f32>,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Of whole pictures, and not of patches: whether the file of each has no colours.
    pub grey: Option<Vec<bool>>,
}

/// Changes to make, and the seed that with the place of an [`Example`] decides how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Augmentation {
    pub augment: Augment,
    pub seed: u64,
}

/// An image, and the time that it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Example {
    pub index: u32,
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
        examples: &[Example],
        augmentation: Option<Augmentation>,
        tables: &[[f32; 256]],
    ) -> Result<Self, DataError> {
        let (from, shape, n) = (dataset.part(part), dataset.shape, examples.len());
        let indices: Vec<u32> = examples.iter().map(|example| example.index).collect();
        let labels = indices.iter().map(|&index| i64::from(from.labels[index as usize])).collect();
        if let Pixels::Pairs(pairs) = &from.pixels {
            let (images, shape, partners) = of_pairs(pairs, examples, augmentation, shape, tables);
            return Ok(Self { images, labels, n, shape, indices, partners: Some(partners) });
        }
        let image = shape.iter().product::<usize>();
        let mut images = vec![0.0; n * image];
        let slots = images.par_chunks_exact_mut(image).zip(examples);
        match &from.pixels {
            Pixels::Packed(pixels) => slots.with_min_len(IMAGES_A_TASK).for_each(|(out, &example)| {
                let start = example.index as usize * image;
                let placement = Augmentation::place(augmentation, shape, example);
                placement.paint(&pixels[start..start + image], shape, tables, out);
            }),
            Pixels::Files(files) => {
                let failed = slots.find_map_first(|(out, &example)| {
                    Workbench::with(|bench| bench.paint(files, example, augmentation, shape, tables, out)).err()
                });
                failed.map_or(Ok(()), Err)?;
            }
            Pixels::Pairs(_) => unreachable!("pairs are above"),
        }
        Ok(Self { images, labels, n, shape, indices, partners: None })
    }
}

/// Patches of pairs, or where nothing is changed at random whole pairs, all of one size.
fn of_pairs(
    pairs: &Pairs,
    examples: &[Example],
    augmentation: Option<Augmentation>,
    [channels, height, width]: [usize; 3],
    tables: &[[f32; 256]],
) -> (Vec<f32>, [usize; 3], Partners) {
    let picture = |example: &Example| &pairs.pictures[example.index as usize];
    let sides = match (augmentation, examples.first()) {
        (None, Some(first)) => [picture(first).low.height, picture(first).low.width],
        _ => [height, width],
    };
    let larger = sides.map(|side| side * pairs.scale);
    let [low, high] = [sides, larger].map(|[height, width]| channels * height * width);
    let (mut images, mut partners) = (vec![0.0; examples.len() * low], vec![0.0; examples.len() * high]);
    let slots = images.par_chunks_exact_mut(low).zip(partners.par_chunks_exact_mut(high)).zip(examples);
    slots.for_each(|((low, high), &example)| match augmentation {
        Some(all) => {
            let cut = all.augment.cut(&picture(&example).low, sides, &mut all.stream(Purpose::Patch, example));
            cut.paint(picture(&example), pairs.scale, tables, low, high);
        }
        None => picture(&example).paint(tables, low, high),
    });
    let grey = augmentation.is_none().then(|| examples.iter().map(|example| picture(example).high.grey).collect());
    let shape = |[height, width]: [usize; 2]| [channels, height, width];
    (images, shape(sides), Partners { images: partners, shape: shape(larger), grey })
}

impl Augmentation {
    fn stream(&self, purpose: Purpose, Example { index, epoch }: Example) -> Stream {
        Stream::new(purpose, self.seed, epoch as u64, u64::from(index))
    }

    fn place(augmentation: Option<Self>, shape: [usize; 3], example: Example) -> Placement {
        augmentation.map_or_else(Placement::default, |augmentation| {
            augmentation.augment.place(shape, &mut augmentation.stream(Purpose::Augment, example))
        })
    }
}

impl Workbench {
    /// Decodes a file and writes the view of it. Each kind of change has draws of its own, so that
    /// switching one leaves the others as they were.
    fn paint(
        &mut self,
        files: &Files,
        example: Example,
        augmentation: Option<Augmentation>,
        shape: [usize; 3],
        tables: &[[f32; 256]],
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let [_, height, width] = shape;
        let view = files.view(height);
        let index = example.index as usize;
        self.open(&files.path(index), files.sizes[index])?;
        let Self { picture, resampler, .. } = self;
        match augmentation.and_then(|all| all.augment.resized_crop.map(|crop| (all, crop))) {
            Some((all, crop)) => {
                let mut stream = all.stream(Purpose::ResizedCrop, example);
                let region = crop.draw(picture.width, picture.height, &mut stream);
                view.region(picture, &region, resampler);
            }
            None => view.middle(picture, resampler),
        }
        if let Some((all, jitter)) = augmentation.and_then(|all| all.augment.jitter.map(|jitter| (all, jitter))) {
            for change in jitter.draw(&mut all.stream(Purpose::Jitter, example)) {
                change.apply(&mut resampler.pixels);
            }
        }
        let placement = Augmentation::place(augmentation, shape, example);
        resampler.paint(placement.mirrored, tables, out);
        placement.cut([height, width], out);
        Ok(())
    }
}
