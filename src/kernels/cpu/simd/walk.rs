//! What a loop walks over.

use super::LANES;

/// Rows of pixels, of one image or several, as they are read or written: distances in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pixels {
    /// Of two images.
    pub image: usize,
    /// Of two rows.
    pub pitch: usize,
    /// Of two pixels of a row.
    pub step: usize,
}

/// As many rows of as many pixels, read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    /// More than one for products only.
    pub images: usize,
    pub rows: usize,
    pub width: usize,
    pub from: Pixels,
    pub to: Pixels,
}

impl Pixels {
    /// Pixel after pixel, row after row.
    pub(crate) fn of(width: usize) -> Self {
        Self { image: 0, pitch: width, step: 1 }
    }

    /// Pixels from the first to the last of so many images and rows, both included.
    fn span(self, images: usize, rows: usize, width: usize) -> usize {
        let along = |count: usize, apart: usize| (count - 1).saturating_mul(apart);
        let image = along(rows, self.pitch).saturating_add(along(width, self.step)).saturating_add(1);
        along(images, self.image).saturating_add(image)
    }

    fn is_one_row(self, width: usize) -> bool {
        self.pitch == width * self.step
    }
}

impl Walk {
    pub(crate) fn is_empty(self) -> bool {
        self.images == 0 || self.rows == 0 || self.width == 0
    }

    /// The same pixels in one row, where neither side minds.
    #[must_use]
    pub(crate) fn flat(self) -> Self {
        if self.rows == 1 && self.images > 1 {
            let rows = |pixels: Pixels| Pixels { pitch: pixels.image, ..pixels };
            return Self { images: 1, rows: self.images, from: rows(self.from), to: rows(self.to), ..self }.flat();
        }
        let is_one = self.from.is_one_row(self.width) && self.to.is_one_row(self.width);
        if is_one && self.rows > 1 {
            return Self { rows: 1, width: self.rows * self.width, ..self }.flat();
        }
        self
    }

    /// The loops read without further checks: this is what makes them sound. Not for empty walks.
    ///
    /// # Panics
    /// When the pixels from `first` on are not among `length` values.
    pub(crate) fn check_from(self, first: usize, length: usize) {
        let reach = self.from.span(self.images, self.rows, self.width).saturating_add(first).saturating_mul(LANES);
        assert!(reach <= length, "{self:?} from pixel {first} on reads {reach} values of {length}");
    }

    /// As [`check_from`](Self::check_from), of what is written, or read in its place.
    ///
    /// # Panics
    /// When the pixels from `first` on are not among `length` values.
    pub(crate) fn check_to(self, first: usize, length: usize) {
        let reach = self.to.span(self.images, self.rows, self.width).saturating_add(first).saturating_mul(LANES);
        assert!(reach <= length, "{self:?} from pixel {first} on reaches {reach} values of {length}");
    }
}
