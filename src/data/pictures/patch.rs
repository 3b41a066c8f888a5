//! Patches of a pair of pictures: the same place of both, mirrored and turned alike.

use crate::{Augment, Pair, Picture, random::Stream};

/// Where a patch is cut out of the smaller picture of a pair, and what is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    top: usize,
    left: usize,
    /// Height and width. Where it is turned they are equal.
    sides: [usize; 2],
    mirrored: bool,
    /// Quarters of a turn.
    quarters: usize,
}

impl Augment {
    /// Draws a patch of a picture that is no smaller. Always takes four words of the stream, so
    /// that switching one change leaves the others as they were.
    pub(crate) fn cut(&self, low: &Picture, sides: [usize; 2], stream: &mut Stream) -> Cut {
        let [height, width] = sides;
        let (top, left) = (stream.below(low.height - height + 1), stream.below(low.width - width + 1));
        let (mirrored, quarters) = (stream.unit() < 0.5 && self.flip, stream.below(4));
        Cut { top, left, sides, mirrored, quarters: if self.turn { quarters } else { 0 } }
    }
}

impl Cut {
    /// Writes the patch of both pictures, `[channels, height, width]`; `high` is of the teacher's
    /// where there is one.
    pub fn paint(&self, pair: &Pair, scale: usize, tables: &[[f32; 256]], low: &mut [f32], high: &mut [f32]) {
        self.paint_one(&pair.low, tables, low);
        let Self { top, left, sides, .. } = *self;
        let larger = Self { top: top * scale, left: left * scale, sides: sides.map(|side| side * scale), ..*self };
        larger.paint_one(pair.teacher.as_ref().unwrap_or(&pair.high), tables, high);
    }

    fn paint_one(&self, picture: &Picture, tables: &[[f32; 256]], out: &mut [f32]) {
        let [height, width] = self.sides;
        for ((channel, table), out) in tables.iter().enumerate().zip(out.chunks_exact_mut(height * width)) {
            for (at, out) in out.iter_mut().enumerate() {
                let (y, x) = self.seen_at(at / width, at % width);
                let pixel = (self.top + y) * picture.width + self.left + x;
                *out = table[usize::from(picture.pixels[3 * pixel + channel])];
            }
        }
    }

    /// The row and column of the cut that are seen at these of the patch.
    fn seen_at(&self, y: usize, x: usize) -> (usize, usize) {
        let [height, width] = self.sides;
        let x = if self.mirrored { width - 1 - x } else { x };
        match self.quarters {
            0 => (y, x),
            1 => (x, width - 1 - y),
            2 => (height - 1 - y, width - 1 - x),
            _ => (height - 1 - x, y),
        }
    }
}

impl Pair {
    /// Writes both pictures whole, `[channels, height, width]` each.
    pub(crate) fn paint(&self, tables: &[[f32; 256]], low: &mut [f32], high: &mut [f32]) {
        for (picture, out) in [(&self.low, low), (&self.high, high)] {
            let sides = [picture.height, picture.width];
            Cut { top: 0, left: 0, sides, mirrored: false, quarters: 0 }.paint_one(picture, tables, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Statistics;

    #[test]
    fn a_patch_is_mirrored_then_turned() {
        let pixels = (0..9).flat_map(|at| [at; 3]).collect();
        let picture = Picture { width: 3, height: 3, pixels, grey: false };
        let tables = Statistics { mean: vec![0.0; 3], std: vec![1.0; 3] }.tables(1);
        let seen = |mirrored, quarters| {
            let mut out = [0.0; 12];
            Cut { top: 1, left: 1, sides: [2, 2], mirrored, quarters }.paint_one(&picture, &tables, &mut out);
            assert_eq!((&out[..4], &out[..4]), (&out[4..8], &out[8..]), "all channels alike");
            [0, 1, 2, 3].map(|at| out[at] as u8)
        };
        // 4 5
        // 7 8
        assert_eq!(
            [0, 1, 2, 3].map(|quarters| seen(false, quarters)),
            [[4, 5, 7, 8], [5, 8, 4, 7], [8, 7, 5, 4], [7, 4, 8, 5]]
        );
        assert_eq!(
            [0, 1, 2, 3].map(|quarters| seen(true, quarters)),
            [[5, 4, 8, 7], [8, 5, 7, 4], [7, 8, 4, 5], [4, 7, 5, 8]]
        );
    }
}
