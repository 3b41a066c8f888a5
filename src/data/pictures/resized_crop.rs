//! A random part of a picture, of random area and shape: torchvision's `RandomResizedCrop`, the
//! crop of GoogLeNet (Szegedy et al., arXiv 1409.4842, section 6).

use crate::{DataError, random::Stream};

/// What share of a picture's area the part has, and its width over its height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResizedCrop {
    pub scale: [f64; 2],
    pub ratio: [f64; 2],
}

impl ResizedCrop {
    /// torchvision's defaults, with which DARTS and its successors train on ImageNet.
    pub const IMAGENET: Self = Self { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] };
}

impl Default for ResizedCrop {
    fn default() -> Self {
        Self::IMAGENET
    }
}

/// Whole pixels of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// Parts that do not fit the picture before the middle is taken; torchvision's.
const ATTEMPTS: usize = 10;

impl ResizedCrop {
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let ordered = |[low, high]: [f64; 2], most: f64| low > 0.0 && low <= high && high <= most;
        if !ordered(self.scale, 1.0) {
            let expected = "two shares above 0 and at most 1, the smaller first";
            return Err(DataError::setting("resized_crop.scale", expected, format!("{:?}", self.scale)));
        }
        if !ordered(self.ratio, f64::MAX) {
            let expected = "two numbers above 0, the smaller first";
            return Err(DataError::setting("resized_crop.ratio", expected, format!("{:?}", self.ratio)));
        }
        Ok(())
    }

    /// Draws a part of a picture of this width and height.
    pub(crate) fn draw(&self, width: usize, height: usize, stream: &mut Stream) -> Region {
        let area = (width * height) as f64;
        let [low, high] = self.ratio.map(f64::ln);
        for _ in 0..ATTEMPTS {
            let target = area * stream.between(self.scale[0], self.scale[1]);
            let ratio = stream.between(low, high).exp();
            // Python rounds halves to even.
            let wide = (target * ratio).sqrt().round_ties_even() as usize;
            let tall = (target / ratio).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&wide) && (1..=height).contains(&tall) {
                let top = stream.below(height - tall + 1);
                let left = stream.below(width - wide + 1);
                return Region { left, top, width: wide, height: tall };
            }
        }
        self.middle(width, height)
    }

    /// The largest part in the middle whose shape is allowed.
    fn middle(&self, width: usize, height: usize) -> Region {
        let shape = width as f64 / height as f64;
        let [low, high] = self.ratio;
        let (wide, tall) = if shape < low {
            (width, ((width as f64 / low).round_ties_even() as usize).clamp(1, height))
        } else if shape > high {
            (((height as f64 * high).round_ties_even() as usize).clamp(1, width), height)
        } else {
            (width, height)
        };
        Region { left: (width - wide) / 2, top: (height - tall) / 2, width: wide, height: tall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn draws(crop: ResizedCrop, width: usize, height: usize) -> impl Iterator<Item = Region> {
        (0..4000).map(move |index| crop.draw(width, height, &mut Stream::new(Purpose::ResizedCrop, 0, 0, index)))
    }

    #[test]
    fn parts_lie_within_the_picture_and_have_the_areas_and_shapes_asked_for() {
        let (width, height) = (500, 375);
        let mut sums = [0.0; 4];
        for Region { left, top, width: wide, height: tall } in draws(ResizedCrop::default(), width, height) {
            assert!(left + wide <= width && top + tall <= height);
            let shape = wide as f64 / tall as f64;
            assert!((0.74..1.35).contains(&shape), "{shape}");
            let area = (wide * tall) as f64 / (width * height) as f64;
            assert!((0.079..=1.0).contains(&area), "{area}");
            sums.iter_mut().zip([area, shape, left as f64, top as f64]).for_each(|(sum, value)| *sum += value);
        }
        // Means of 20,000 draws of torchvision's `RandomResizedCrop.get_params`: large parts seldom
        // fit, so that the area is below 0.54. Ours of 4,000 lie within four of their standard
        // errors.
        for (sum, (torchvision, within)) in sums.iter().zip([(0.435, 0.014), (1.046, 0.01), (108.5, 5.6), (51.9, 3.8)])
        {
            let mean = sum / 4000.0;
            assert!((mean - torchvision).abs() < within, "{mean} is not {torchvision}");
        }
    }

    #[test]
    fn where_nothing_fits_the_middle_is_taken_as_torchvision_takes_it() {
        let all = ResizedCrop { scale: [1.0, 1.0], ..ResizedCrop::default() };
        // 100x10: the shape 10 is above 4/3, so that the width becomes round(10 · 4/3) = 13.
        let wide = Region { left: 43, top: 0, width: 13, height: 10 };
        assert!(draws(all, 100, 10).all(|region| region == wide));
        // 10x100: the height becomes round(10 / 0.75) = 13.
        let tall = Region { left: 0, top: 43, width: 10, height: 13 };
        assert!(draws(all, 10, 100).all(|region| region == tall));
        // The whole picture has an allowed shape, and no other part of its area fits.
        assert_eq!(all.middle(100, 100), Region { left: 0, top: 0, width: 100, height: 100 });
        assert_eq!(all.middle(1, 1), Region { left: 0, top: 0, width: 1, height: 1 });
    }

    #[test]
    fn one_pixel_has_one_part() {
        let one = Region { left: 0, top: 0, width: 1, height: 1 };
        assert!(draws(ResizedCrop::default(), 1, 1).all(|region| region == one));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let fine = ResizedCrop::default();
        assert!(fine.check().is_ok());
        for bad in [
            ResizedCrop { scale: [0.0, 1.0], ..fine },
            ResizedCrop { scale: [0.5, 0.4], ..fine },
            ResizedCrop { scale: [0.5, 1.5], ..fine },
            ResizedCrop { ratio: [0.0, 1.0], ..fine },
            ResizedCrop { ratio: [2.0, 1.0], ..fine },
            ResizedCrop { ratio: [1.0, f64::NAN], ..fine },
        ] {
            assert!(matches!(bad.check(), Err(DataError::Setting { .. })), "{bad:?}");
        }
    }
}
