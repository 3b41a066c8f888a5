//! One picture of any size, and how an evaluation looks at it.

use super::{
    DataError, Statistics, decode,
    view::{Resampler, View},
};
use std::path::Path;

/// Bytes of the largest file: no more than 89 megapixels are decoded, and each has six bytes at
/// most.
const LARGEST_PICTURE: u64 = 1 << 29;

/// 8-bit RGB, upright.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[height, width, 3]`
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The kinds that are read, for people.
    pub const KINDS: &str = "JPEG, PNG, WebP, GIF, BMP, TIFF and PNM";

    /// Whether a file that begins with `start`, 16 bytes or more, is of one of these kinds.
    pub fn begins_with(start: &[u8]) -> bool {
        decode::format_of(start).is_some()
    }

    /// Reads a picture, whatever its name ends in: grey, CMYK, with alpha or turned by its camera.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no whole picture of these kinds.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = darts_machine::read(path, LARGEST_PICTURE).map_err(DataError::read(path))?;
        let mut picture = Self::default();
        decode::decode(&bytes, &mut picture).map_err(|why| DataError::Picture { path: path.to_owned(), why })?;
        Ok(picture)
    }

    /// The picture as an evaluation sees it: its shorter side brought to `resize`, the middle `size`x`size` cut out,
    /// normalised. `[3, size, size]`
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
