//! A square view of a picture: which part of it is looked at, brought to the view's size,
//! normalised.
//!
//! Resampling is `fast_image_resize`'s convolution with the triangle filter, stretched where the
//! picture shrinks: what Pillow's `BILINEAR` is, and so torchvision's default with antialias on
//! Pillow's pictures. Both round to bytes after the horizontal and after the vertical pass.

use crate::{DataError, Picture, Statistics, pictures::resized_crop::Region};
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{CroppedImage, Image, ImageRef},
};

/// How an evaluation looks at pictures of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    /// Both sides of the view.
    pub size: usize,
    /// What a picture's shorter side becomes before the middle is cut out.
    pub resize: usize,
}

/// Brings parts of pictures to the size of a view; its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Resampler {
    resizer: Resizer,
    /// `[size, size, 3]`
    pub pixels: Vec<u8>,
    size: usize,
}

impl View {
    pub fn check(&self) -> Result<(), DataError> {
        if self.size == 0 {
            return Err(DataError::setting("size", "at least 1", 0));
        }
        if self.resize < self.size {
            let expected = format!("at least {}, the size of the view", self.size);
            return Err(DataError::setting("resize", expected, self.resize));
        }
        Ok(())
    }

    /// torchvision's `Resize(resize)` and `CenterCrop(size)` in one step: only what will be seen is
    /// resampled.
    pub fn middle(&self, picture: &Picture, resampler: &mut Resampler) {
        let (left, top, width, height) = self.middle_of(picture.width, picture.height);
        let source = source(picture);
        let options = triangle().crop(left, top, width, height);
        resampler.resample(&source, self.size, &options);
    }

    /// Left, top, width and height, in the picture's own pixels, of what an evaluation sees.
    fn middle_of(&self, width: usize, height: usize) -> (f64, f64, f64, f64) {
        // torchvision: the longer side is int(resize · long / short), the corner int(round((side −
        // size) / 2)).
        let resized = |side: usize| self.resize * side / width.min(height);
        let corner = |side: usize| ((resized(side) - self.size) as f64 / 2.0).round_ties_even();
        let (across, down) = (width as f64 / resized(width) as f64, height as f64 / resized(height) as f64);
        let (left, top, size) = (corner(width) * across, corner(height) * down, self.size as f64);
        // No rounding may reach past the picture's border.
        (left, top, (size * across).min(width as f64 - left), (size * down).min(height as f64 - top))
    }

    /// torchvision's `resized_crop`: the region is cut out, then resampled, so that nothing beyond
    /// it shines in.
    pub fn region(&self, picture: &Picture, region: &Region, resampler: &mut Resampler) {
        let source = source(picture);
        let Region { left, top, width, height } = *region;
        let part = CroppedImage::new(&source, left as u32, top as u32, width as u32, height as u32)
            .expect("a region lies within its picture");
        resampler.resample(&part, self.size, &triangle());
    }
}

impl Picture {
    /// The picture as an evaluation sees it: its shorter side brought to `resize`, the middle
    /// `size`x`size` cut out, normalised. `[3, size, size]`
    ///
    /// # Errors
    /// Where `resize` is below `size`, or the statistics are not of three channels.
    pub fn evaluation(&self, size: usize, resize: usize, statistics: &Statistics) -> Result<Vec<f32>, DataError> {
        let view = View { size, resize };
        view.check()?;
        let tables = statistics.clone().checked(3)?.tables(255);
        let mut resampler = Resampler::default();
        let mut out = vec![0.0; 3 * size * size];
        view.middle(self, &mut resampler);
        resampler.paint(false, &tables, &mut out);
        Ok(out)
    }
}

fn source(picture: &Picture) -> ImageRef<'_> {
    ImageRef::new(picture.width as u32, picture.height as u32, &picture.pixels, PixelType::U8x3)
        .expect("a picture has three bytes a pixel")
}

fn triangle() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false)
}

impl Resampler {
    fn resample(&mut self, source: &impl fast_image_resize::IntoImageView, size: usize, options: &ResizeOptions) {
        self.size = size;
        self.pixels.resize(3 * size * size, 0);
        let side = size as u32;
        let mut to = Image::from_slice_u8(side, side, &mut self.pixels, PixelType::U8x3).expect("room for the view");
        self.resizer.resize(source, &mut to, options).expect("a part of the picture, of the same kind of pixels");
    }

    /// Writes the view, mirrored or not, normalised by a table a channel. `out` is
    /// `[3, size, size]`.
    pub fn paint(&self, mirrored: bool, tables: &[[f32; 256]], out: &mut [f32]) {
        let [red_table, green_table, blue_table] = tables else { unreachable!("pictures have three channels") };
        let (size, plane) = (self.size, self.size * self.size);
        let (red, rest) = out.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for (y, row) in self.pixels.chunks_exact(3 * size).enumerate() {
            let at = y * size..(y + 1) * size;
            let (red, green, blue) = (&mut red[at.clone()], &mut green[at.clone()], &mut blue[at]);
            let pixels = row.as_chunks::<3>().0.iter().enumerate();
            for (x, &[r, g, b]) in pixels {
                let x = if mirrored { size - 1 - x } else { x };
                red[x] = red_table[usize::from(r)];
                green[x] = green_table[usize::from(g)];
                blue[x] = blue_table[usize::from(b)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Statistics, pictures::decode};
    use std::path::Path;

    fn golden(name: &str) -> Picture {
        Picture::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures").join(name)).unwrap()
    }

    /// Both round to bytes twice, from weights of different precision.
    const ROUNDING: u8 = 1;

    fn near(found: &[u8], expected: &str) {
        let expected = golden(expected).pixels;
        assert_eq!(found.len(), expected.len());
        let difference = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(difference <= ROUNDING, "{difference}");
    }

    #[test]
    fn the_middle_is_torchvisions() {
        let mut resampler = Resampler::default();
        View { size: 33, resize: 40 }.middle(&golden("wide.png"), &mut resampler);
        near(&resampler.pixels, "middle.png");
    }

    #[test]
    fn parts_are_torchvisions_shrunk_and_grown() {
        let (wide, mut resampler) = (golden("wide.png"), Resampler::default());
        let view = |size| View { size, resize: size };
        view(16).region(&wide, &Region { left: 5, top: 3, width: 50, height: 40 }, &mut resampler);
        near(&resampler.pixels, "part_shrunk.png");
        view(24).region(&wide, &Region { left: 40, top: 30, width: 12, height: 10 }, &mut resampler);
        near(&resampler.pixels, "part_grown.png");
    }

    #[test]
    fn an_evaluation_is_the_middle_normalised_channel_by_channel() {
        let statistics = Statistics { mean: vec![0.0, 0.5, 0.25], std: vec![1.0, 0.5, 0.25] };
        // The shorter side stays as it is: nothing is resampled, and the middle 2x2 of 4x2 is seen.
        let pixels = (0..8).flat_map(|at| [at, 255 - at, 64]).collect();
        let picture = Picture { width: 4, height: 2, pixels, grey: false };
        let found = picture.evaluation(2, 2, &statistics).unwrap();
        let red = |value: u8| f32::from(value) / 255.0;
        let green = |value: u8| (f32::from(255 - value) / 255.0 - 0.5) / 0.5;
        let blue = (64.0 / 255.0 - 0.25) / 0.25;
        let expected = [[1, 2, 5, 6].map(red), [1, 2, 5, 6].map(green), [blue; 4]];
        assert_eq!(found, expected.concat());
        assert!(picture.evaluation(3, 2, &statistics).is_err());
        assert!(picture.evaluation(0, 2, &statistics).is_err());
        let grey = Statistics { mean: vec![0.0], std: vec![1.0] };
        assert!(picture.evaluation(2, 2, &grey).is_err());
    }

    #[test]
    fn a_mirrored_view_is_the_same_from_right_to_left() {
        let tables = Statistics { mean: vec![0.0; 3], std: vec![1.0 / 255.0; 3] }.tables(255);
        let resampler = Resampler { pixels: (0..12).collect(), size: 2, ..Resampler::default() };
        let mut out = [0.0; 12];
        resampler.paint(true, &tables, &mut out);
        let rounded = out.map(|value| value.round() as u8);
        assert_eq!(rounded, [3, 0, 9, 6, 4, 1, 10, 7, 5, 2, 11, 8]);
    }

    /// The corner and the scale are products of rounded numbers, and none may reach past the
    /// picture.
    #[test]
    fn pictures_of_any_shape_have_a_middle() {
        let mut resampler = Resampler::default();
        for (width, height) in [(1, 1), (1, 500), (500, 1), (7, 3), (333, 500), (31, 32), (2000, 3)] {
            let picture = Picture { width, height, pixels: vec![77; 3 * width * height], grey: false };
            for (size, resize) in [(224, 256), (7, 7), (32, 33), (1, 1)] {
                View { size, resize }.middle(&picture, &mut resampler);
                assert!(resampler.pixels.iter().all(|&pixel| pixel == 77), "{width}x{height} at {size} of {resize}");
            }
        }
    }

    #[test]
    fn memory_that_is_used_again_leaves_nothing_behind() {
        let (mut used, mut fresh) = (Picture::default(), Picture::default());
        let bytes = |name: &str| {
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures").join(name)).unwrap()
        };
        for name in ["wide.png", "baseline.jpg", "turned_5.jpg", "grey.jpg"] {
            decode::decode(&bytes(name), &mut used).unwrap();
        }
        decode::decode(&bytes("grey.jpg"), &mut fresh).unwrap();
        assert_eq!(used, fresh);
    }
}
