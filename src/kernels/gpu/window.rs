//! A window that steps over maps of given sides, and the strips in which units walk it.
//!
//! A unit works on a **strip**: some rows, one below the other, in one column. What it reads for
//! one row serves the rows beside it, and which tap meets which row is known when a kernel is
//! compiled.

use crate::program::Frame;

/// A frame, and the sides of what it reads and of what it writes, `y` then `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Window {
    pub frame: Frame,
    pub from: [usize; 2],
    pub to: [usize; 2],
}

/// Rows that a unit writes, or a little more.
pub(super) const STRIP: usize = 4;

impl Window {
    /// Pixels of an image that is written.
    pub fn written(&self) -> usize {
        self.to[0] * self.to[1]
    }

    /// Pixels of an image that is read.
    pub fn read(&self) -> usize {
        self.from[0] * self.from[1]
    }

    /// Strips of an image's output.
    pub fn strips(&self) -> usize {
        self.to[0].div_ceil(STRIP) * self.to[1]
    }

    /// Strips of what is read, where its gradient is made.
    pub fn read_strips(&self) -> usize {
        self.from[0].div_ceil(read_strip(self.frame)) * self.from[1]
    }
}

/// Rows of the source, counted from the one that the first tap of a strip's first output reads, up
/// to the last that a strip needs.
pub(super) fn reach(frame: Frame) -> usize {
    (STRIP - 1) * frame.stride[0] + (frame.kernel[0] - 1) * frame.dilation[0] + 1
}

/// The tap's row through which an output of a strip reads a row; the kernel's height where there is
/// none.
pub(super) fn tap(frame: Frame, row: usize, output: usize) -> usize {
    match row.checked_sub(output * frame.stride[0]) {
        Some(away) if away.is_multiple_of(frame.dilation[0]) => (away / frame.dilation[0]).min(frame.kernel[0]),
        _ => frame.kernel[0],
    }
}

/// Whether any output of a strip reads a row.
pub(super) fn serves(frame: Frame, row: usize) -> bool {
    (0..STRIP).any(|output| tap(frame, row, output) < frame.kernel[0])
}

/// Rows of what is read in a strip of it: whole strides, so that every strip meets the outputs
/// alike.
pub(super) fn read_strip(frame: Frame) -> usize {
    frame.stride[0] * STRIP.div_ceil(frame.stride[0])
}

/// The first row of outputs that reads a strip of the source whose first row is 0; below zero for
/// most windows.
pub(super) fn first_reader(frame: Frame) -> isize {
    let last_tap = (frame.kernel[0] - 1) * frame.dilation[0];
    (-frame.start[0] - last_tap as isize).div_euclid(frame.stride[0] as isize)
}

/// How many rows of outputs read a strip of the source.
pub(super) fn readers(frame: Frame) -> usize {
    let last = (read_strip(frame) as isize - 1 - frame.start[0]).div_euclid(frame.stride[0] as isize);
    (last - first_reader(frame) + 1) as usize
}

/// The tap's row through which the reader with this number reads a row of the strip; the kernel's
/// height where there is none.
pub(super) fn tap_back(frame: Frame, reader: usize, row: usize) -> usize {
    let output = first_reader(frame) + reader as isize;
    let away = row as isize - frame.start[0] - output * frame.stride[0] as isize;
    let dilation = frame.dilation[0] as isize;
    if away >= 0 && away % dilation == 0 { ((away / dilation) as usize).min(frame.kernel[0]) } else { frame.kernel[0] }
}

/// Whether a reader reads any row of a strip.
pub(super) fn reads(frame: Frame, reader: usize) -> bool {
    (0..read_strip(frame)).any(|row| tap_back(frame, reader, row) < frame.kernel[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tap of every output row is met once, forward and back, and by the row that the frame's
    /// own words name.
    #[test]
    fn strips_meet_each_tap_once() {
        for (kernel, stride, dilation, start) in [
            (1, 1, 1, 0),
            (3, 1, 1, -1),
            (5, 1, 2, -4),
            (3, 2, 1, -1),
            (5, 2, 2, -4),
            (1, 2, 1, 1),
            (2, 3, 1, 0),
            (7, 5, 3, -9),
        ] {
            let frame = Frame { kernel: [kernel; 2], stride: [stride; 2], start: [start; 2], dilation: [dilation; 2] };
            let mut met = Vec::new();
            for row in 0..reach(frame) {
                let taps = (0..STRIP).map(|output| (output, tap(frame, row, output))).filter(|met| met.1 < kernel);
                for (output, tap) in taps {
                    assert_eq!(output * stride + tap * dilation, row, "{frame:?}");
                    assert!(serves(frame, row));
                    met.push((output, tap));
                }
            }
            met.sort_unstable();
            let all: Vec<(usize, usize)> =
                (0..STRIP).flat_map(|output| (0..kernel).map(move |tap| (output, tap))).collect();
            assert_eq!(met, all, "{frame:?}");

            let rows = read_strip(frame);
            let found: usize = (0..readers(frame))
                .flat_map(|reader| (0..rows).map(move |row| (reader, row)))
                .filter(|&(reader, row)| tap_back(frame, reader, row) < kernel)
                .map(|(reader, row)| {
                    let output = first_reader(frame) + reader as isize;
                    let tap = tap_back(frame, reader, row) as isize;
                    assert_eq!(output * stride as isize + tap * dilation as isize + start, row as isize, "{frame:?}");
                    assert!(reads(frame, reader));
                })
                .count();
            let expected = (-100..100isize)
                .flat_map(|output| {
                    (0..kernel as isize).map(move |tap| output * stride as isize + tap * dilation as isize + start)
                })
                .filter(|row| (0..rows as isize).contains(row))
                .count();
            assert_eq!(found, expected, "{frame:?}");
        }
    }
}
