//! What a loop walks over.

use super::LANES;

/// Rows of pixels, as they are read or written: distances in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pixels {
    /// Of two rows.
    pub pitch: usize,
    /// Of two pixels of a row.
    pub step: usize,
}

/// As many rows of as many pixels, read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    pub rows: usize,
    pub width: usize,
    pub from: Pixels,
    pub to: Pixels,
}

impl Pixels {
    /// Pixel after pixel, row after row.
    pub(crate) fn of(width: usize) -> Self {
        Self { pitch: width, step: 1 }
    }

    /// Pixels from the first to the last of so many rows, both included.
    fn span(self, rows: usize, width: usize) -> usize {
        let (rows, width) = ((rows - 1).saturating_mul(self.pitch), (width - 1).saturating_mul(self.step));
        rows.saturating_add(width).saturating_add(1)
    }

    fn is_one_row(self, width: usize) -> bool {
        self.pitch == width * self.step
    }
}

impl Walk {
    pub(crate) fn is_empty(self) -> bool {
        self.rows == 0 || self.width == 0
    }

    /// The same pixels in one row, where neither side minds.
    #[must_use]
    pub(crate) fn flat(self) -> Self {
        if self.from.is_one_row(self.width) && self.to.is_one_row(self.width) {
            return Self { rows: 1, width: self.rows * self.width, ..self };
        }
        self
    }

    /// The loops read without further checks: this is what makes them sound. Not for empty walks.
    ///
    /// # Panics
    /// When the pixels from `first` on, `each` values a pixel, are not among `length` values.
    pub(crate) fn check_from(self, first: usize, each: usize, length: usize) {
        let reach = self.from.span(self.rows, self.width).saturating_add(first).saturating_mul(each);
        assert!(reach <= length, "{self:?} from pixel {first} on reads {reach} values of {length}");
    }

    /// As [`check_from`](Self::check_from), of what is written, or read in its place.
    ///
    /// # Panics
    /// When the pixels from `first` on are not among `length` values.
    pub(crate) fn check_to(self, first: usize, length: usize) {
        let reach = self.to.span(self.rows, self.width).saturating_add(first).saturating_mul(LANES);
        assert!(reach <= length, "{self:?} from pixel {first} on reaches {reach} values of {length}");
    }
}
