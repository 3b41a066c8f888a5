//! How fast pictures in files become batches.

use super::{BenchError, Spread, memory};
use crate::data::{
    Augment, DataError, Dataset, ImageFolder, Jitter, Loader, LoaderOptions, Normalise, Order, Part, Parts,
    ResizedCrop, SplitRule,
};
use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// What to measure.
#[derive(Debug, Clone)]
pub struct LoaderBench {
    /// Class folders of pictures, or a folder with `train` in it; pictures that the program draws
    /// where absent.
    pub folder: Option<PathBuf>,
    /// Pictures a batch.
    pub batch: usize,
    pub threads: usize,
    /// Batches that are timed.
    pub steps: usize,
}

/// How pictures are looked at. Each is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Random resized crop, flip, colours, normalise: what DARTS trains ImageNet with.
    TrainingWithJitter,
    /// Without the colours.
    Training,
    /// Shorter side to 256, the middle 224x224.
    Evaluation,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LoaderRow {
    pub work: &'static str,
    pub view: View,
    pub pictures: usize,
    pub size: usize,
    pub batch: usize,
    pub threads: usize,
    pub steps: usize,
    /// Of the median batch.
    pub images_per_second: f64,
    pub images_per_second_per_core: f64,
    pub ms_per_batch: Spread,
    /// The most memory while this was measured; `null` where the system does not say.
    pub peak_mib: Option<f64>,
}

/// Of every paper on ImageNet in this field.
const SIZE: usize = 224;
const RESIZE: usize = 256;

impl View {
    pub const ALL: [Self; 3] = [Self::TrainingWithJitter, Self::Training, Self::Evaluation];

    fn augment(self) -> Option<Augment> {
        let resized_crop = Some(ResizedCrop::default());
        let training = Augment { flip: true, resized_crop, ..Augment::default() };
        match self {
            Self::TrainingWithJitter => Some(Augment { jitter: Some(Jitter::default()), ..training }),
            Self::Training => Some(training),
            Self::Evaluation => None,
        }
    }
}

impl LoaderBench {
    /// Measures every view; `hear` gets each row as it is measured.
    ///
    /// # Errors
    /// Where the folder holds too few pictures, or one of them cannot be read.
    pub fn run(&self, mut hear: impl FnMut(LoaderRow)) -> Result<(), BenchError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool.map_err(|source| BenchError::Threads { threads: self.threads, source })?;
        let drawn = match self.folder {
            Some(_) => None,
            None => Some(drawn_pictures().map_err(BenchError::Pictures)?),
        };
        let folder = self.folder.as_deref().or(drawn.as_ref().map(|drawn| drawn.path()));
        let dataset = pool.install(|| dataset(folder.expect("given or drawn")))?;
        if dataset.train.len() < self.batch {
            return Err(BenchError::TooFew { pictures: dataset.train.len(), batch: self.batch });
        }
        for view in View::ALL {
            hear(pool.install(|| self.measure(&dataset, view))?);
        }
        Ok(())
    }

    fn measure(&self, dataset: &Arc<Dataset>, view: View) -> Result<LoaderRow, BenchError> {
        let options = LoaderOptions {
            batch: self.batch,
            order: Order::Shuffled,
            seed: 0,
            augment: view.augment(),
            drop_last: true,
        };
        let loader = Loader::new(Arc::clone(dataset), Part::Train, dataset.all(Part::Train), options)?;
        memory::forget_peak();
        // Not counted: the threads come to have their memory.
        loader.batch(0, 0)?;
        let mut milliseconds = Vec::with_capacity(self.steps);
        for step in 1..=self.steps {
            let start = Instant::now();
            let batch = loader.batch(0, step)?;
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
            // No compiler may find out that nobody looks at the images.
            std::hint::black_box(batch);
        }
        let ms_per_batch = Spread::of(milliseconds).expect("at least one step");
        let images_per_second = 1e3 * self.batch as f64 / ms_per_batch.median;
        Ok(LoaderRow {
            work: "loader",
            view,
            pictures: dataset.train.len(),
            size: SIZE,
            batch: self.batch,
            threads: self.threads,
            steps: self.steps,
            images_per_second,
            images_per_second_per_core: images_per_second / self.threads as f64,
            ms_per_batch,
            peak_mib: memory::peak_mib(),
        })
    }
}

/// All pictures that can be decoded, to train on. Class folders may lie directly in `folder`, or in
/// its `train`.
fn dataset(folder: &Path) -> Result<Arc<Dataset>, DataError> {
    let folder = std::path::absolute(folder).map_err(|source| DataError::Read { path: folder.to_owned(), source })?;
    let below = folder.join("train");
    let folder = if below.is_dir() { below } else { folder };
    let path = folder.to_str().ok_or_else(|| DataError::Name { path: folder.clone() })?.to_owned();
    // A data set has two parts; here both are all there is.
    let parts = Parts::Folders { train: ".".to_owned(), val: ".".to_owned() };
    let folder = ImageFolder { path, parts, size: SIZE, resize: RESIZE, classes: None, images_per_class: None };
    let mut listing = folder.locate(&[PathBuf::new()])?.list()?;
    for broken in listing.verify(|_| true)?.unwrap_or_default() {
        tracing::warn!("`{}` is left out: {}", broken.path.display(), broken.why);
    }
    let dataset = listing.finish(&Normalise::Imagenet, &SplitRule::All)?;
    Ok(Arc::new(dataset.rooted(&[PathBuf::new()])?))
}

/// 64 JPEGs of 500x375, ImageNet's commonest size: waves and noise, so that they are as large as
/// photographs are.
fn drawn_pictures() -> io::Result<tempfile::TempDir> {
    const PICTURES: u32 = 64;
    const QUALITY: u8 = 90;
    let folder = tempfile::tempdir()?;
    // A data set has two classes.
    let classes = ["even", "odd"].map(|class| folder.path().join(class));
    classes.iter().try_for_each(fs::create_dir)?;
    for index in 0..PICTURES {
        let mut noise = index.wrapping_mul(0x9e37_79b9) | 1;
        let picture = RgbImage::from_fn(500, 375, |x, y| {
            // Xorshift: nothing rests on its quality.
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let wave = |period: f32| 100.0 + 80.0 * ((x + index) as f32 / period).sin() * (y as f32 / period).cos();
            Rgb([7.0, 23.0, 61.0].map(|period| (wave(period) + (noise % 32) as f32) as u8))
        });
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture).map_err(io::Error::other)?;
        fs::write(classes[index as usize % 2].join(format!("{index}.jpg")), bytes)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_view_is_measured_once() {
        let bench = LoaderBench { folder: None, batch: 2, threads: 1, steps: 1 };
        let mut rows = Vec::new();
        bench.run(|row| rows.push(row)).unwrap();
        assert_eq!(rows.iter().map(|row| row.view).collect::<Vec<_>>(), View::ALL);
        assert!(rows.iter().all(|row| row.images_per_second > 0.0 && row.ms_per_batch.least > 0.0));
        let many = LoaderBench { batch: 1000, ..bench };
        assert!(matches!(many.run(|_| {}), Err(BenchError::TooFew { batch: 1000, .. })));
    }
}
