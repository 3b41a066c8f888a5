//! How like its original a picture of bytes is, as the field measures it: without a border of as
//! many pixels as the scale, on luma (the Y of ITU-R BT.601, from 16 to 235) as MATLAB's
//! `rgb2ycbcr` has it, which is not rounded here; of a picture without colours its grey is the
//! luma.

use crate::data::Picture;
use rayon::prelude::*;

/// Three measures of one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    pub psnr_y: f64,
    pub ssim_y: f64,
    pub psnr_rgb: f64,
}

/// Side and deviation of the window of SSIM, and its constants for numbers up to 255 (Wang et al.,
/// 2004).
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// The PSNR of equal pictures, which no number is.
const MOST_DB: f64 = 100.0;

impl Quality {
    /// Of `found` beside `truth`, which says whether it has colours.
    pub fn of(found: &Picture, truth: &Picture, border: usize) -> Self {
        let y = [found, truth].map(|picture| Plane::luma(picture, truth.grey, border));
        let error: f64 =
            (0..3).map(|channel| squared([found, truth].map(|picture| Plane::channel(picture, channel, border)))).sum();
        Self { psnr_y: psnr(squared(y.clone())), ssim_y: ssim(&y), psnr_rgb: psnr(error / 3.0) }
    }

    /// In the order of the task's measures.
    pub fn values(self) -> [f64; 3] {
        [self.psnr_y, self.ssim_y, self.psnr_rgb]
    }
}

/// PSNR on luma alone.
pub(super) fn psnr_y(found: &Picture, truth: &Picture, border: usize) -> f64 {
    psnr(squared([found, truth].map(|picture| Plane::luma(picture, truth.grey, border))))
}

/// Numbers `[height, width]`.
#[derive(Debug, Clone)]
struct Plane {
    width: usize,
    height: usize,
    numbers: Vec<f64>,
}

impl Plane {
    fn luma(picture: &Picture, grey: bool, border: usize) -> Self {
        Self::of(picture, border, |[r, g, b]| {
            if grey { (r + g + b) / 3.0 } else { 16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0 }
        })
    }

    fn channel(picture: &Picture, channel: usize, border: usize) -> Self {
        Self::of(picture, border, |pixel| pixel[channel])
    }

    fn of(picture: &Picture, border: usize, value: impl Fn([f64; 3]) -> f64) -> Self {
        let [width, height] = [picture.width, picture.height].map(|side| side.saturating_sub(2 * border));
        let rows = picture.pixels.chunks_exact(3 * picture.width).skip(border).take(height);
        let pixels = rows.flat_map(|row| row.as_chunks::<3>().0.iter().skip(border).take(width));
        Self { width, height, numbers: pixels.map(|&pixel| value(pixel.map(f64::from))).collect() }
    }

    /// Weighed by SSIM's window, wherever it lies wholly inside.
    fn blurred(&self, weights: &[f64; WINDOW]) -> Vec<f64> {
        let across = self.width - (WINDOW - 1);
        let mut rows = vec![0.0; self.height * across];
        for (row, out) in self.numbers.chunks_exact(self.width).zip(rows.chunks_exact_mut(across)) {
            weights.iter().enumerate().for_each(|(tap, weight)| add(out, &row[tap..], *weight));
        }
        let mut all = vec![0.0; rows.len() - (WINDOW - 1) * across];
        weights.iter().enumerate().for_each(|(tap, weight)| add(&mut all, &rows[tap * across..], *weight));
        all
    }

    fn times(&self, other: &Self) -> Self {
        let numbers = self.numbers.iter().zip(&other.numbers).map(|(a, b)| a * b).collect();
        Self { numbers, ..*self }
    }
}

fn add(out: &mut [f64], numbers: &[f64], weight: f64) {
    out.iter_mut().zip(numbers).for_each(|(out, number)| *out += weight * number);
}

/// The mean squared distance.
fn squared([a, b]: [Plane; 2]) -> f64 {
    let sum: f64 = a.numbers.iter().zip(&b.numbers).map(|(a, b)| (a - b) * (a - b)).sum();
    sum / a.numbers.len() as f64
}

/// Decibels below 255.
fn psnr(squared: f64) -> f64 {
    if squared > 0.0 { (10.0 * (255.0 * 255.0 / squared).log10()).min(MOST_DB) } else { MOST_DB }
}

fn ssim([a, b]: &[Plane; 2]) -> f64 {
    let weights: [f64; WINDOW] = std::array::from_fn(|at| {
        let distance = at as f64 - (WINDOW / 2) as f64;
        (-distance * distance / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = weights.iter().sum();
    let weights = weights.map(|weight| weight / sum);
    let planes = [a.clone(), b.clone(), a.times(a), b.times(b), a.times(b)];
    let maps: Vec<Vec<f64>> = planes.par_iter().map(|plane| plane.blurred(&weights)).collect();
    let [a, b, aa, bb, ab] = maps.as_slice() else { unreachable!("a map a plane") };
    let of = |at: usize| {
        let (mean_a, mean_b) = (a[at], b[at]);
        let (var_a, var_b, cov) = (aa[at] - mean_a * mean_a, bb[at] - mean_b * mean_b, ab[at] - mean_a * mean_b);
        (2.0 * mean_a * mean_b + C1) * (2.0 * cov + C2)
            / ((mean_a * mean_a + mean_b * mean_b + C1) * (var_a + var_b + C2))
    };
    (0..a.len()).map(of).sum::<f64>() / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn golden(name: &str) -> Picture {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures/bicubic");
        Picture::open(&folder.join(name)).unwrap()
    }

    /// `measures.txt` is what `make.py` beside it computes in NumPy, which gives the values of the
    /// field's data.
    #[test]
    fn measures_are_those_of_numpy() {
        let high = golden("high.png");
        let text = include_str!("../../../tests/golden/pictures/bicubic/measures.txt");
        for line in text.lines() {
            let numbers: Vec<f64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let [scale, grey, expected @ ..] = numbers.as_slice() else { panic!("{line}") };
            let truth = Picture { grey: *grey == 1.0, ..high.clone() };
            let found = golden(&format!("enlarged_{scale}.png"));
            let values = Quality::of(&found, &truth, *scale as usize).values();
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{values:?}: {line}");
            assert_eq!(psnr_y(&found, &truth, *scale as usize), values[0]);
        }
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn equal_pictures_have_the_largest_values_and_grey_is_its_own_luma() {
        let high = golden("high.png");
        assert_eq!(Quality::of(&high, &high, 4).values(), [MOST_DB, 1.0, MOST_DB]);
        let plain = |value| Picture { width: 20, height: 20, pixels: vec![value; 1200], grey: true };
        let off = Quality::of(&plain(101), &plain(100), 4);
        assert!((off.psnr_y - 20.0 * 255_f64.log10()).abs() < 1e-9 && off.psnr_y == off.psnr_rgb);
        // Of colours, luma has 219 steps for 255.
        let coloured = Quality::of(&plain(101), &Picture { grey: false, ..plain(100) }, 4);
        assert!((coloured.psnr_y - off.psnr_y - 20.0 * (255.0 / 219.0_f64).log10()).abs() < 1e-9);
    }
}
