//! A square view of a picture: which part of it is looked at, brought to the view's size, normalised.
//!
//! Resampling is `fast_image_resize`'s convolution with the triangle filter, stretched where the picture shrinks: what
//! Pillow's `BILINEAR` is, and so torchvision's default with antialias on Pillow's pictures. Both round to bytes after
//! the horizontal and after the vertical pass.

use super::{DataError, Picture, resized_crop::Region};
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{CroppedImage, Image, ImageRef},
};

/// How an evaluation looks at pictures of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Both sides of the view.
    pub size: usize,
    /// What a picture's shorter side becomes before the middle is cut out.
    pub resize: usize,
}

/// Brings parts of pictures to the size of a view; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Resampler {
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

    /// torchvision's `Resize(resize)` and `CenterCrop(size)` in one step: only what will be seen is resampled.
    pub fn middle(&self, picture: &Picture, resampler: &mut Resampler) {
        let (left, top, width, height) = self.middle_of(picture.width, picture.height);
        let source = source(picture);
        let options = triangle().crop(left, top, width, height);
        resampler.resample(&source, self.size, &options);
    }

    /// Left, top, width and height, in the picture's own pixels, of what an evaluation sees.
    fn middle_of(&self, width: usize, height: usize) -> (f64, f64, f64, f64) {
        // torchvision: the longer side is int(resize · long / short), the corner int(round((side − size) / 2)).
        let resized = |side: usize| self.resize * side / width.min(height);
        let corner = |side: usize| ((resized(side) - self.size) as f64 / 2.0).round_ties_even();
        let (across, down) = (width as f64 / resized(width) as f64, height as f64 / resized(height) as f64);
        let (left, top, size) = (corner(width) * across, corner(height) * down, self.size as f64);
        // No rounding may reach past the picture's border.
        (left, top, (size * across).min(width as f64 - left), (size * down).min(height as f64 - top))
    }

    /// torchvision's `resized_crop`: the region is cut out, then resampled, so that nothing beyond it shines in.
    pub fn region(&self, picture: &Picture, region: &Region, resampler: &mut Resampler) {
        let source = source(picture);
        let Region { left, top, width, height } = *region;
        let part = CroppedImage::new(&source, left as u32, top as u32, width as u32, height as u32)
            .expect("a region lies within its picture");
        resampler.resample(&part, self.size, &triangle());
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

    /// Writes the view, mirrored or not, normalised by a table a channel. `out` is `[3, size, size]`.
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
