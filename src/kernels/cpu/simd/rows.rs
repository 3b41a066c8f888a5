//! What a loop walks over.

/// Lanes that every width is a multiple of: the widest vector, AVX-512.
pub(super) const LANES: usize = 16;

/// Rows of lanes, some distance apart in what is read and in what is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    pub count: usize,
    /// Lanes of a row, a multiple of 16.
    pub width: usize,
    /// Distance of two rows in what is read.
    pub input_pitch: usize,
    /// Distance of two rows in what is written; for the gradients of weights, in the gradient of
    /// the output.
    pub output_pitch: usize,
}

impl Rows {
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.count == 0 || self.width == 0
    }

    /// Values from the first that a tap reads to the last, both included.
    #[inline]
    fn read(self) -> usize {
        (self.count - 1).saturating_mul(self.input_pitch).saturating_add(self.width)
    }

    /// Values from the first that is written to the last, both included.
    #[inline]
    fn written(self) -> usize {
        (self.count - 1).saturating_mul(self.output_pitch).saturating_add(self.width)
    }

    /// The loops read and write without further checks: this is what makes them sound. Rows must
    /// not be empty.
    ///
    /// # Panics
    /// When a width is not whole vectors, or when a tap of `offsets` reaches past an input of `len`
    /// values.
    #[inline]
    pub(super) fn check_input(self, offsets: &[usize], len: usize) {
        if let Some(last) = offsets.iter().copied().reduce(usize::max) {
            self.check_reach(last, len);
        }
    }

    /// As [`check_input`](Self::check_input), of the last offset.
    ///
    /// # Panics
    /// As there.
    #[inline]
    pub(super) fn check_reach(self, last: usize, len: usize) {
        assert!(self.width.is_multiple_of(LANES), "a row of {} lanes is not whole vectors", self.width);
        let read = self.read();
        assert!(read <= len && last <= len - read, "a tap at {last} reads {read} values of {len}");
    }

    /// As [`check_input`](Self::check_input), for `planes` outputs that lie `stride` apart.
    ///
    /// # Panics
    /// When they do not fit `len` values.
    #[inline]
    pub(super) fn check_output(self, planes: usize, stride: usize, len: usize) {
        let written = self.written();
        let reach = planes.saturating_sub(1).saturating_mul(stride).saturating_add(written);
        assert!(planes == 0 || reach <= len, "{planes} planes of {written} values, {stride} apart, in {len}");
    }
}
