//! Random changes of colour: torchvision's `ColorJitter` on Pillow's pictures, byte for byte.
//!
//! Four changes in random order, each by a factor of its own. Every change rounds to bytes as
//! Pillow does, so that the order matters here as it does there. The formulas are those of Pillow's
//! `ImageEnhance.py`, `Blend.c` and `Convert.c`.

use crate::{DataError, pictures::hue, random::Stream};

/// How far each change may go; 0 leaves it out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// The factor is uniform from max(0, 1 − b) to 1 + b; so are those of contrast and saturation.
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    /// Of the whole circle of hues, uniform from −h to h; at most 0.5.
    pub hue: f64,
}

/// What DARTS trains ImageNet with (`cnn/train_imagenet.py`).
impl Jitter {
    /// What DARTS and its successors train ImageNet with.
    pub const IMAGENET: Self = Self { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 };
}

impl Default for Jitter {
    fn default() -> Self {
        Self::IMAGENET
    }
}

/// One change, with its factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Recolour {
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    /// Steps of 1/256 of the circle.
    Hue(u8),
}

type Rgb = [u8; 3];

impl Jitter {
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let Self { brightness, contrast, saturation, hue } = *self;
        let of_one =
            [("jitter.brightness", brightness), ("jitter.contrast", contrast), ("jitter.saturation", saturation)];
        for (setting, value) in of_one {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(DataError::setting(setting, "a number from 0", value));
            }
        }
        if !(0.0..=0.5).contains(&hue) {
            return Err(DataError::setting("jitter.hue", "from 0 to 0.5", hue));
        }
        Ok(())
    }

    /// Draws the changes for one picture, in the order in which they are made; those that are
    /// switched off are left out. Always takes as many words of the stream.
    pub(crate) fn draw(&self, stream: &mut Stream) -> Vec<Recolour> {
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        let factor = |reach: f64, stream: &mut Stream| stream.between((1.0 - reach).max(0.0), 1.0 + reach) as f32;
        let brightness = factor(self.brightness, stream);
        let contrast = factor(self.contrast, stream);
        let saturation = factor(self.saturation, stream);
        // torchvision cuts off the fraction and lets the byte go round.
        let hue = (stream.between(-self.hue, self.hue) * 255.0) as i32 as u8;
        let changes = [
            (self.brightness, Recolour::Brightness(brightness)),
            (self.contrast, Recolour::Contrast(contrast)),
            (self.saturation, Recolour::Saturation(saturation)),
            (self.hue, Recolour::Hue(hue)),
        ];
        order.iter().map(|&at| changes[at]).filter(|(reach, _)| *reach > 0.0).map(|(_, change)| change).collect()
    }
}

impl Recolour {
    /// Changes all pixels; `pixels` is `[n, 3]`.
    pub fn apply(self, pixels: &mut [u8]) {
        let pixels = pixels.as_chunks_mut::<3>().0;
        match self {
            Self::Brightness(factor) => each_byte(pixels, |value| blend(0, value, factor)),
            Self::Contrast(factor) => {
                let sum: u64 = pixels.iter().map(|&pixel| u64::from(luma(pixel))).sum();
                let mean = (sum as f64 / pixels.len().max(1) as f64 + 0.5) as u8;
                each_byte(pixels, |value| blend(mean, value, factor));
            }
            Self::Saturation(factor) => {
                for pixel in pixels {
                    let grey = luma(*pixel);
                    *pixel = pixel.map(|value| blend(grey, value, factor));
                }
            }
            Self::Hue(steps) => hue::turn(pixels, steps),
        }
    }
}

/// Where a byte becomes a byte whatever lies around it, 256 answers are worked out once.
fn each_byte(pixels: &mut [Rgb], change: impl Fn(u8) -> u8) {
    let table: [u8; 256] = std::array::from_fn(|value| change(value as u8));
    pixels.as_flattened_mut().iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// `from` at factor 0, `to` at 1, cut off at black and white beyond; fractions are cut off
/// (`Blend.c`).
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // `as` saturates and cuts fractions off.
    (from + factor * (to - from)) as u8
}

/// ITU-R 601-2 in fixed point (`Convert.c`, `L24`).
fn luma([r, g, b]: Rgb) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// What Pillow 13 and torchvision 0.29 make of these pixels:
    /// `adjust_*(Image.fromarray(np.array(PIXELS, "uint8").reshape(2, 4, 3)), factor)`.
    #[test]
    fn each_change_is_pillows() {
        const PIXELS: [u8; 24] =
            [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 1, 10, 20, 250, 200, 180, 90, 77, 78, 79, 13, 200, 140];
        let of = |change: Recolour| {
            let mut pixels = PIXELS;
            change.apply(&mut pixels);
            pixels
        };
        assert_eq!(
            of(Recolour::Brightness(1.3)),
            [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 1, 13, 26, 255, 255, 233, 116, 100, 101, 102, 16, 255, 182]
        );
        assert_eq!(
            of(Recolour::Brightness(0.63)),
            [0, 0, 0, 160, 160, 160, 160, 0, 0, 0, 160, 0, 6, 12, 157, 126, 113, 56, 48, 49, 49, 8, 126, 88]
        );
        assert_eq!(
            of(Recolour::Contrast(1.37)),
            [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255, 231, 204, 81, 63, 64, 66, 0, 231, 149]
        );
        assert_eq!(
            of(Recolour::Contrast(0.6)),
            [45, 45, 45, 198, 198, 198, 198, 45, 45, 45, 198, 46, 51, 57, 195, 165, 153, 99, 91, 92, 93, 53, 165, 129]
        );
        assert_eq!(
            of(Recolour::Saturation(1.4)),
            [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 10, 255, 209, 181, 55, 76, 78, 79, 0, 225, 141]
        );
        assert_eq!(
            of(Recolour::Saturation(0.25)),
            [0, 0, 0, 255, 255, 255, 120, 57, 57, 112, 176, 112, 34, 37, 94, 182, 177, 154, 77, 78, 78, 106, 152, 137]
        );
        assert_eq!(
            of(Recolour::Hue(51)),
            [0, 0, 0, 255, 255, 255, 204, 255, 0, 0, 204, 255, 250, 11, 213, 90, 200, 90, 78, 77, 79, 13, 40, 200]
        );
        assert_eq!(
            of(Recolour::Hue((-0.13_f64 * 255.0) as i32 as u8)),
            [0, 0, 0, 255, 255, 255, 255, 0, 192, 198, 255, 0, 11, 208, 250, 200, 93, 90, 77, 79, 78, 35, 200, 13]
        );
    }

    #[test]
    fn factors_lie_within_their_reach_and_all_orders_occur() {
        let jitter = Jitter { brightness: 0.4, contrast: 1.5, saturation: 0.1, hue: 0.2 };
        let mut orders = std::collections::BTreeSet::new();
        let mut extremes = [(f32::MAX, f32::MIN); 4];
        for index in 0..4000 {
            let drawn = jitter.draw(&mut Stream::new(Purpose::Jitter, 0, 0, index));
            let mut order = Vec::new();
            for change in drawn {
                let (kind, value) = match change {
                    Recolour::Brightness(factor) => (0, factor),
                    Recolour::Contrast(factor) => (1, factor),
                    Recolour::Saturation(factor) => (2, factor),
                    Recolour::Hue(steps) => (3, f32::from(steps as i8)),
                };
                order.push(kind);
                extremes[kind] = (extremes[kind].0.min(value), extremes[kind].1.max(value));
            }
            orders.insert(order);
        }
        assert_eq!(orders.len(), 24);
        let near = |(low, high): (f32, f32), expected: (f32, f32), within: f32| {
            (low - expected.0).abs() < within && (high - expected.1).abs() < within
        };
        assert!(near(extremes[0], (0.6, 1.4), 0.01), "{extremes:?}");
        assert!(near(extremes[1], (0.0, 2.5), 0.01), "{extremes:?}");
        assert!(near(extremes[2], (0.9, 1.1), 0.01), "{extremes:?}");
        // 0.2 · 255 = 51, and the fraction is cut off.
        assert!(near(extremes[3], (-50.0, 50.0), 1.5), "{extremes:?}");
    }

    #[test]
    fn what_is_switched_off_is_left_out_and_leaves_the_rest_as_it_was() {
        let all = Jitter::default();
        let draw = |jitter: Jitter| jitter.draw(&mut Stream::new(Purpose::Jitter, 1, 2, 3));
        let mut expected = draw(all);
        expected.retain(|change| !matches!(change, Recolour::Contrast(_)));
        assert_eq!(draw(Jitter { contrast: 0.0, ..all }), expected);
        assert_eq!(draw(Jitter { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 }), []);
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let fine = Jitter::default();
        assert!(fine.check().is_ok());
        for bad in [
            Jitter { brightness: -0.1, ..fine },
            Jitter { contrast: f64::NAN, ..fine },
            Jitter { saturation: f64::INFINITY, ..fine },
            Jitter { hue: 0.6, ..fine },
        ] {
            assert!(matches!(bad.check(), Err(DataError::Setting { .. })), "{bad:?}");
        }
    }
}
