//! Images made by rule, so that tests need no files and a small network can learn them.
//!
//! Class k of K is a grating whose stripes stand at the angle πk/K; its phase wanders by an eighth
//! of a period either way, and every pixel gets uniform noise. Colour channels carry the same
//! stripes at falling contrast.

use crate::{
    DataError, Images, Raw,
    random::{Purpose, Stream},
};
use std::f64::consts::PI;

/// How many images of what kind to draw. Labels go round: image i has the class i mod `classes`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Synthetic {
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
    pub classes: usize,
    /// Height and width.
    pub size: usize,
    pub channels: usize,
    /// Greatest noise of a pixel, as a fraction of white.
    pub noise: f64,
    pub seed: u64,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { train: 256, test: 64, classes: 4, size: 8, channels: 1, noise: 0.2, seed: 0 }
    }
}

impl Synthetic {
    /// # Errors
    /// Where a number is out of range.
    pub(crate) fn draw(&self) -> Result<Raw, DataError> {
        let at_least = |setting, value: usize, least: usize| {
            if value >= least { Ok(()) } else { Err(DataError::setting(setting, format!("at least {least}"), value)) }
        };
        at_least("train", self.train, 1)?;
        at_least("test", self.test, 1)?;
        at_least("classes", self.classes, 2)?;
        at_least("size", self.size, 4)?;
        at_least("channels", self.channels, 1)?;
        if self.classes > usize::from(u16::MAX) {
            return Err(DataError::setting("classes", format!("at most {}", u16::MAX), self.classes));
        }
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(DataError::setting("noise", "from 0 to 1", self.noise));
        }
        Ok(Raw {
            name: "synthetic",
            shape: [self.channels, self.size, self.size],
            white: 255,
            classes: (0..self.classes).map(|class| format!("stripes {class}")).collect(),
            train: self.images(0, self.train),
            test: self.images(1, self.test),
            provenance: format!("gratings drawn by the program, seed {}", self.seed),
        })
    }

    fn images(&self, part: u64, count: usize) -> Images {
        let mut images = Images::default();
        for index in 0..count {
            let class = index % self.classes;
            let (sin, cos) = (PI * class as f64 / self.classes as f64).sin_cos();
            let mut stream = Stream::new(Purpose::Synthetic, self.seed, part, index as u64);
            let phase = PI / 2.0 * (stream.unit() - 0.5);
            let cycles_a_pixel = 2.0 / self.size as f64;
            for channel in 0..self.channels {
                let contrast = 0.3 / (1.0 + channel as f64 / 2.0);
                for y in 0..self.size {
                    for x in 0..self.size {
                        let across = x as f64 * cos + y as f64 * sin;
                        let stripe = (2.0 * PI * cycles_a_pixel * across + phase).sin();
                        let noise = self.noise * (2.0 * stream.unit() - 1.0);
                        // A float becomes the nearest of 0..=255: `as` saturates.
                        images.pixels.push((255.0 * (0.5 + contrast * stripe + noise)).round() as u8);
                    }
                }
            }
            images.labels.push(class as u16);
        }
        images
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use std::path::Path;

    fn draw(synthetic: Synthetic) -> Raw {
        Source::Synthetic(synthetic).locate(Path::new("/nowhere")).unwrap().read().unwrap()
    }

    #[test]
    fn the_nearest_class_mean_names_nearly_all_test_images() {
        let raw = draw(Synthetic { channels: 3, ..Synthetic::default() });
        assert_eq!(raw.shape, [3, 8, 8]);
        let image = raw.shape.iter().product::<usize>();
        let mut means = vec![vec![0.0; image]; 4];
        for (pixels, &label) in raw.train.pixels.chunks(image).zip(&raw.train.labels) {
            means[usize::from(label)]
                .iter_mut()
                .zip(pixels)
                .for_each(|(mean, &pixel)| *mean += f64::from(pixel) / 64.0);
        }
        let distance = |mean: &[f64], pixels: &[u8]| -> f64 {
            mean.iter().zip(pixels).map(|(mean, &pixel)| (mean - f64::from(pixel)).powi(2)).sum()
        };
        let right = raw.test.pixels.chunks(image).zip(&raw.test.labels).filter(|(pixels, label)| {
            let nearest = (0..4).min_by(|&a, &b| distance(&means[a], pixels).total_cmp(&distance(&means[b], pixels)));
            nearest == Some(usize::from(**label))
        });
        assert!(right.count() >= 60);
    }

    #[test]
    fn images_depend_on_the_seed_and_no_test_image_is_a_training_image() {
        let raw = draw(Synthetic::default());
        assert_eq!(raw, draw(Synthetic::default()));
        assert_ne!(raw.train, draw(Synthetic { seed: 1, ..Synthetic::default() }).train);
        let train: Vec<&[u8]> = raw.train.pixels.chunks(64).collect();
        assert!(raw.test.pixels.chunks(64).all(|image| !train.contains(&image)));
        // More training images leave the first ones as they were.
        let more = draw(Synthetic { train: 300, ..Synthetic::default() });
        assert_eq!(more.train.pixels[..raw.train.pixels.len()], raw.train.pixels);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let base = Synthetic::default();
        for bad in [
            Synthetic { train: 0, ..base },
            Synthetic { test: 0, ..base },
            Synthetic { classes: 1, ..base },
            Synthetic { classes: 70_000, ..base },
            Synthetic { size: 3, ..base },
            Synthetic { channels: 0, ..base },
            Synthetic { noise: f64::NAN, ..base },
        ] {
            assert!(matches!(bad.draw(), Err(DataError::Setting { .. })), "{bad:?}");
        }
    }
}
