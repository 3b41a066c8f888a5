//! Random changes to training images, in the order of the DARTS code: crop with padding, flip,
//! normalise, cutout; of pictures in files a part of any size, flip, colours, normalise, cutout.

use crate::{DataError, Dataset, ImageKind, Jitter, Part, ResizedCrop, random::Stream};
use std::ops::Range;

/// Which changes are made. All off is plain normalisation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Augment {
    /// Pixels of black around the image before a window of the image's size is cut out at random; 0
    /// is off. Black is the pixel value 0 before normalisation, as torchvision pads.
    pub crop_padding: usize,
    /// Mirrors left and right with probability ½.
    pub flip: bool,
    pub cutout: Option<Cutout>,
    /// Only of picture files: a random part, brought to the size of the view. Without it the middle
    /// is seen, as in an evaluation.
    pub resized_crop: Option<ResizedCrop>,
    /// Only of picture files.
    pub jitter: Option<Jitter>,
    /// Only of pairs of pictures: by none to three quarters of a turn, each as often.
    pub turn: bool,
}

/// A square hole of zeros after normalisation, that is of the mean colour (DeVries and Taylor,
/// arXiv 1708.04552). Its centre is uniform over the pixels and it is clipped at the borders, so
/// that it is smaller there.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cutout {
    /// Side of the square in pixels.
    pub length: usize,
    /// How often it is applied.
    pub probability: f64,
}

/// What happens to one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Output row y shows input row y + `down`, black where there is none; columns likewise.
    down: isize,
    right: isize,
    pub mirrored: bool,
    /// Rows and columns of the output that are set to 0.
    hole: Option<(Range<usize>, Range<usize>)>,
}

impl Augment {
    /// # Errors
    /// Where a change is not for this kind of images, or a number does not fit their height and
    /// width.
    pub(crate) fn check(&self, dataset: &Dataset, part: Part) -> Result<(), DataError> {
        self.fits(dataset.shape, dataset.part(part).kind())
    }

    /// Whether the changes are for images of `[channels, height, width]` that are kept so.
    ///
    /// # Errors
    /// As `check`, by the setting's name.
    pub fn fits(&self, shape: [usize; 3], kind: ImageKind) -> Result<(), DataError> {
        if self.turn && !matches!(kind, ImageKind::Pairs { .. }) {
            return Err(DataError::setting("turn", "false: it is for pairs of pictures", "true"));
        }
        match kind {
            ImageKind::Pairs { .. } => {
                let given = [
                    ("crop_padding", self.crop_padding > 0),
                    ("cutout", self.cutout.is_some()),
                    ("resized_crop", self.resized_crop.is_some()),
                    ("jitter", self.jitter.is_some()),
                ];
                if let Some((setting, _)) = given.into_iter().find(|(_, given)| *given) {
                    return Err(DataError::setting(
                        setting,
                        "off for pairs of pictures, which have `flip` and `turn`",
                        "on",
                    ));
                }
            }
            ImageKind::InMemory => {
                let given = [("resized_crop", self.resized_crop.is_some()), ("jitter", self.jitter.is_some())];
                if let Some((setting, _)) = given.into_iter().find(|(_, given)| *given) {
                    return Err(DataError::setting(setting, "left out: it is for picture files", "a map"));
                }
            }
            ImageKind::InFiles if self.crop_padding > 0 => {
                let expected = "0 for picture files, which have `resized_crop` instead";
                return Err(DataError::setting("crop_padding", expected, self.crop_padding));
            }
            ImageKind::InFiles => {}
            ImageKind::Frames => {
                let given = [
                    ("crop_padding", self.crop_padding > 0),
                    ("flip", self.flip),
                    ("turn", self.turn),
                    ("cutout", self.cutout.is_some()),
                    ("resized_crop", self.resized_crop.is_some()),
                    ("jitter", self.jitter.is_some()),
                ];
                if let Some((setting, _)) = given.into_iter().find(|(_, given)| *given) {
                    return Err(DataError::setting(setting, "off: frames of games stay as they are", "on"));
                }
            }
        }
        self.resized_crop.map_or(Ok(()), |crop| crop.check())?;
        self.jitter.map_or(Ok(()), |jitter| jitter.check())?;
        self.check_size(shape)
    }

    fn check_size(&self, [_, height, width]: [usize; 3]) -> Result<(), DataError> {
        let side = height.min(width);
        if self.crop_padding >= side {
            let expected = format!("below {side}, the side of the images");
            return Err(DataError::setting("crop_padding", expected, self.crop_padding));
        }
        if let Some(Cutout { length, probability }) = self.cutout {
            if !(1..=side).contains(&length) {
                return Err(DataError::setting("cutout", format!("from 1 to {side}, the side of the images"), length));
            }
            if !(0.0..=1.0).contains(&probability) {
                return Err(DataError::setting("cutout.probability", "from 0 to 1", probability));
            }
        }
        Ok(())
    }

    /// Draws for one image. Always takes six words of the stream, so that switching one change
    /// leaves the others as they were.
    pub(crate) fn place(&self, [_, height, width]: [usize; 3], stream: &mut Stream) -> Placement {
        let padding = self.crop_padding as isize;
        let down = stream.below(2 * self.crop_padding + 1) as isize - padding;
        let right = stream.below(2 * self.crop_padding + 1) as isize - padding;
        let mirrored = stream.unit() < 0.5 && self.flip;
        let (chance, y, x) = (stream.unit(), stream.below(height), stream.below(width));
        let cutout = self.cutout.filter(|cutout| chance < cutout.probability);
        let hole = cutout.map(|cutout| (covered(y, cutout.length, height), covered(x, cutout.length, width)));
        Placement { down, right, mirrored, hole }
    }
}

/// The pixels that a hole centred at `centre` covers: for even lengths
/// `[centre − length/2, centre + length/2)` as in the DARTS code.
fn covered(centre: usize, length: usize, side: usize) -> Range<usize> {
    let end = centre + length - length / 2;
    centre.saturating_sub(length / 2)..end.min(side)
}

impl Placement {
    /// Writes an image: `pixels` and `out` are `[channels, height, width]`, `tables` as of
    /// [`crate::Statistics::tables`].
    pub(crate) fn paint(&self, pixels: &[u8], [_, height, width]: [usize; 3], tables: &[[f32; 256]], out: &mut [f32]) {
        let plane = height * width;
        // The output columns before the mirror that show a column of the image.
        let columns = clamp(-self.right, width)..clamp(width as isize - self.right, width);
        let shown = clamp(self.right, width);
        for ((pixels, table), out) in pixels.chunks_exact(plane).zip(tables).zip(out.chunks_exact_mut(plane)) {
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                let row = y as isize + self.down;
                if row < 0 || row >= height as isize {
                    out.fill(table[0]);
                    continue;
                }
                out[..columns.start].fill(table[0]);
                out[columns.end..].fill(table[0]);
                let pixels = &pixels[row as usize * width + shown..][..columns.len()];
                for (out, &pixel) in out[columns.clone()].iter_mut().zip(pixels) {
                    *out = table[usize::from(pixel)];
                }
                if self.mirrored {
                    out.reverse();
                }
            }
        }
        self.cut([height, width], out);
    }

    /// Makes the hole; `out` is `[channels, height, width]`.
    pub(crate) fn cut(&self, [height, width]: [usize; 2], out: &mut [f32]) {
        let Some((rows, columns)) = &self.hole else { return };
        for plane in out.chunks_exact_mut(height * width) {
            for row in plane.chunks_exact_mut(width).skip(rows.start).take(rows.len()) {
                row[columns.clone()].fill(0.0);
            }
        }
    }
}

fn clamp(value: isize, side: usize) -> usize {
    value.clamp(0, side as isize) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Statistics, random::Purpose};

    const SHAPE: [usize; 3] = [1, 3, 3];
    const IMAGE: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

    /// Paints the 3×3 image of 1 to 9 with the identity as normalisation; black is then 0.
    fn paint(placement: Placement) -> [f32; 9] {
        let tables = Statistics { mean: vec![0.0], std: vec![1.0] }.tables(1);
        let mut out = [f32::NAN; 9];
        placement.paint(&IMAGE, SHAPE, &tables, &mut out);
        out
    }

    #[test]
    fn a_crop_moves_the_window_over_the_padded_image() {
        let moved = |down, right| paint(Placement { down, right, ..Placement::default() });
        assert_eq!(moved(0, 0), IMAGE.map(f32::from));
        assert_eq!(moved(1, 0), [4., 5., 6., 7., 8., 9., 0., 0., 0.]);
        assert_eq!(moved(-1, 1), [0., 0., 0., 2., 3., 0., 5., 6., 0.]);
        assert_eq!(moved(0, -2), [0., 0., 1., 0., 0., 4., 0., 0., 7.]);
    }

    #[test]
    fn the_flip_comes_after_the_crop() {
        let placement = Placement { right: 1, mirrored: true, ..Placement::default() };
        assert_eq!(paint(placement), [0., 3., 2., 0., 6., 5., 0., 9., 8.]);
    }

    #[test]
    fn padding_is_black_before_and_the_hole_zero_after_normalisation_on_every_channel() {
        let tables = Statistics { mean: vec![0.5, 0.0], std: vec![0.5, 0.25] }.tables(4);
        let placement = Placement { down: 1, hole: Some((0..1, 0..1)), ..Placement::default() };
        let mut out = [f32::NAN; 8];
        placement.paint(&[0, 1, 2, 4, 0, 1, 2, 4], [2, 2, 2], &tables, &mut out);
        assert_eq!(out, [0., 1., -1., -1., 0., 4., 0., 0.]);
    }

    #[test]
    fn the_hole_is_clipped_at_the_borders() {
        assert_eq!(covered(16, 16, 32), 8..24);
        assert_eq!(covered(0, 16, 32), 0..8);
        assert_eq!(covered(31, 16, 32), 23..32);
        assert_eq!(covered(1, 3, 3), 0..3);
        assert_eq!(covered(2, 1, 3), 2..3);
        let hole = Some((covered(0, 2, 3), covered(2, 2, 3)));
        assert_eq!(paint(Placement { hole, ..Placement::default() }), [1., 0., 0., 4., 5., 6., 7., 8., 9.]);
    }

    fn places(augment: Augment) -> Vec<Placement> {
        (0..4000).map(|index| augment.place(SHAPE, &mut Stream::new(Purpose::Augment, 0, 0, index))).collect()
    }

    #[test]
    fn draws_are_uniform_and_within_their_ranges() {
        let cutout = Some(Cutout { length: 1, probability: 0.25 });
        let places = places(Augment { crop_padding: 2, flip: true, cutout, ..Augment::default() });
        let share =
            |fits: &dyn Fn(&Placement) -> bool| places.iter().filter(|place| fits(place)).count() as f64 / 4000.0;
        for offset in -2..=2 {
            assert!((share(&|place| place.down == offset) - 0.2).abs() < 0.03);
            assert!((share(&|place| place.right == offset) - 0.2).abs() < 0.03);
        }
        assert!((share(&|place| place.mirrored) - 0.5).abs() < 0.03);
        assert!((share(&|place| place.hole.is_some()) - 0.25).abs() < 0.03);
        for at in 0..3 {
            let here = |range: &Range<usize>| *range == (at..at + 1);
            assert!((share(&|place| place.hole.as_ref().is_some_and(|hole| here(&hole.0))) - 0.25 / 3.0).abs() < 0.02);
            assert!((share(&|place| place.hole.as_ref().is_some_and(|hole| here(&hole.1))) - 0.25 / 3.0).abs() < 0.02);
        }
    }

    #[test]
    fn switching_one_change_leaves_the_others_as_they_were() {
        let cutout = Some(Cutout { length: 2, probability: 0.5 });
        let full = Augment { crop_padding: 1, flip: true, cutout, ..Augment::default() };
        let all = places(full);
        let without_flip = places(Augment { flip: false, ..full });
        assert!(all.iter().any(|place| place.mirrored) && without_flip.iter().all(|place| !place.mirrored));
        assert!(all.iter().zip(&without_flip).all(|(a, b)| (a.down, a.right, &a.hole) == (b.down, b.right, &b.hole)));
        let without_crop = places(Augment { crop_padding: 0, ..full });
        assert!(all.iter().zip(&without_crop).all(|(a, b)| (a.mirrored, &a.hole) == (b.mirrored, &b.hole)));
        assert!(places(Augment::default()).iter().all(|place| *place == Placement::default()));
    }

    #[test]
    fn numbers_that_do_not_fit_the_images_are_refused() {
        let check = |augment: Augment| augment.check_size([3, 8, 8]);
        let cutout =
            |length, probability| Augment { cutout: Some(Cutout { length, probability }), ..Augment::default() };
        assert!(check(Augment { crop_padding: 7, flip: true, ..Augment::default() }).is_ok());
        assert!(check(cutout(8, 1.0)).is_ok());
        for bad in [
            Augment { crop_padding: 8, ..Augment::default() },
            cutout(0, 1.0),
            cutout(9, 1.0),
            cutout(4, 1.5),
            cutout(4, f64::NAN),
        ] {
            assert!(matches!(check(bad), Err(DataError::Setting { .. })), "{bad:?}");
        }
    }
}
