//! Pictures made smaller and larger by a whole factor as MATLAB's `imresize` does it with its
//! bicubic filter: how the field of super-resolution makes its low-resolution pictures, and what a
//! network is compared with.
//!
//! The filter is Keys' with a = −½, stretched by the factor where the picture shrinks. Beyond the
//! border lies the border's own pixel. Rows are made first, then columns, each rounded to bytes, as
//! MATLAB does with pictures of bytes: so the low-resolution files of Set5, Set14, BSD100 and
//! Urban100 come out byte by byte. (Newer MATLABs mirror at the border.)

use crate::Picture;

/// Pixels that the filter covers where nothing shrinks.
const WIDTH: f64 = 4.0;

/// What one pixel of a line is made of: the first pixel, which may lie outside, and weights from
/// there on.
struct Taps {
    first: isize,
    weights: Vec<f64>,
}

impl Picture {
    /// Smaller by a factor that divides both sides.
    #[must_use]
    pub fn shrunk(&self, factor: usize) -> Self {
        self.resampled(self.width / factor, self.height / factor)
    }

    #[must_use]
    pub fn enlarged(&self, factor: usize) -> Self {
        self.resampled(self.width * factor, self.height * factor)
    }

    fn resampled(&self, width: usize, height: usize) -> Self {
        let row = 3 * self.width;
        let mut rows = vec![0; row * height];
        for (taps, out) in taps(self.height, height).iter().zip(rows.chunks_exact_mut(row)) {
            taps.apply(&self.pixels, [self.height, row], out);
        }
        let across = taps(self.width, width);
        let mut pixels = vec![0; 3 * width * height];
        for (line, out) in rows.chunks_exact(row).zip(pixels.chunks_exact_mut(3 * width)) {
            for (taps, out) in across.iter().zip(out.chunks_exact_mut(3)) {
                taps.apply(line, [self.width, 3], out);
            }
        }
        Self { width, height, pixels, grey: self.grey }
    }

    /// The part of those sides whose upper left pixel is in row `top` and column `left`.
    #[must_use]
    pub fn cropped(&self, [top, left]: [usize; 2], [width, height]: [usize; 2]) -> Self {
        let rows = self.pixels.chunks_exact(3 * self.width).skip(top).take(height);
        let pixels = rows.flat_map(|row| &row[3 * left..3 * (left + width)]).copied().collect();
        Self { width, height, pixels, grey: self.grey }
    }
}

impl Taps {
    /// Writes the weighted sum of items of `step` bytes each, of which there are `count`.
    fn apply(&self, items: &[u8], [count, step]: [usize; 2], out: &mut [u8]) {
        for (at, out) in out.iter_mut().enumerate() {
            let value = self.weights.iter().zip(self.first..).map(|(weight, item)| {
                let item = item.clamp(0, count as isize - 1) as usize;
                weight * f64::from(items[item * step + at])
            });
            // Half is rounded up, and a cast stays within a byte.
            *out = (value.sum::<f64>() + 0.5).floor() as u8;
        }
    }
}

/// Of each pixel of a line of `to` pixels, made of one of `from`.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = to as f64 / from as f64;
    let stretch = scale.min(1.0);
    let width = WIDTH / stretch;
    let of = |at: usize| {
        let centre = (at as f64 + 0.5) / scale - 0.5;
        let first = (centre - width / 2.0).floor();
        let distance = |tap: usize| (centre - first - tap as f64) * stretch;
        let weights: Vec<f64> = (0..width.ceil() as usize + 2).map(|tap| cubic(distance(tap))).collect();
        let sum: f64 = weights.iter().sum();
        Taps { first: first as isize, weights: weights.into_iter().map(|weight| weight / sum).collect() }
    };
    (0..to).map(of).collect()
}

/// Keys' filter, 1981, with a = −½.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x <= 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x <= 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn golden(name: &str) -> Picture {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures/bicubic");
        Picture::open(&folder.join(name)).unwrap()
    }

    /// `make.py` beside the pictures computes them in NumPy.
    #[test]
    fn pictures_are_those_of_matlabs_imresize() {
        let high = golden("high.png");
        for factor in [2, 3, 4] {
            let low = high.shrunk(factor);
            assert_eq!(low, golden(&format!("shrunk_{factor}.png")));
            assert_eq!(low.enlarged(factor), golden(&format!("enlarged_{factor}.png")));
        }
    }

    #[test]
    fn a_part_is_kept_and_one_colour_stays_it() {
        let pixels = (0..5 * 4).flat_map(|at| [at; 3]).collect();
        let picture = Picture { width: 5, height: 4, pixels, grey: true };
        let part = picture.cropped([1, 2], [2, 3]);
        assert_eq!((part.width, part.height, part.grey), (2, 3, true));
        assert_eq!(part.pixels.iter().step_by(3).copied().collect::<Vec<_>>(), [7, 8, 12, 13, 17, 18]);
        let plain = Picture { width: 8, height: 4, pixels: vec![200; 96], grey: false };
        assert_eq!(plain.shrunk(4).enlarged(4), plain);
    }

    /// The files that MATLAB made, as they lie in the sets that people have.
    #[test]
    #[ignore = "needs `sr-small` in the folder that DARTS_RUN_DATA names"]
    fn low_resolution_files_come_out_byte_by_byte() {
        let root = std::env::var("DARTS_RUN_DATA").expect("DARTS_RUN_DATA names the folder with the data sets");
        for set in ["set5", "set14", "bsd100", "urban100"] {
            let set = Path::new(&root).join("sr-small").join(set);
            for file in fs::read_dir(set.join("hr")).unwrap() {
                let name = file.unwrap().file_name();
                let (high, low) =
                    (Picture::open(&set.join("hr").join(&name)), Picture::open(&set.join("lr_x4").join(&name)));
                assert_eq!(high.unwrap().shrunk(4).pixels, low.unwrap().pixels, "{name:?}");
            }
        }
    }
}
