//! A block of a source with padding all around, as the windows of a step read it.
//!
//! ```text
//! before[0]   .. .. .. .. .. ..
//!             .. 00 01 02 03 ..      pixel (y, x) of the map stands at
//!             .. 10 11 12 13 ..      first + y · width + x
//! sides[0]    .. 20 21 22 23 ..
//! ```
//!
//! One canvas serves all windows on a source: it is as large as those that reach furthest.

use super::{
    element::Element,
    prologue::Prologue,
    simd::{LANES, Lanes, Pixels, Walk, depthwise::Window, elementwise},
};
use crate::program::Frame;

/// The sides of a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub input: [usize; 2],
    /// Padding before the first row and column.
    before: [usize; 2],
    /// With the padding.
    sides: [usize; 2],
}

impl Canvas {
    /// For frames that step over a map of `input` pixels as often as `output` says.
    pub fn new(input: [usize; 2], output: [usize; 2], frames: impl Iterator<Item = Frame>) -> Self {
        let (mut before, mut ends) = ([0; 2], input);
        for frame in frames {
            for axis in 0..2 {
                let last = ((output[axis] - 1) * frame.stride[axis] + (frame.kernel[axis] - 1) * frame.dilation[axis])
                    as isize
                    + frame.start[axis];
                before[axis] = before[axis].max((-frame.start[axis]).max(0) as usize);
                ends[axis] = ends[axis].max((last + 1).max(0) as usize);
            }
        }
        Self { input, before, sides: [0, 1].map(|axis| before[axis] + ends[axis]) }
    }

    pub fn pixels(&self) -> usize {
        self.sides[0] * self.sides[1]
    }

    pub fn width(&self) -> usize {
        self.sides[1]
    }

    /// Where the map's first pixel stands.
    pub fn first(&self) -> usize {
        self.before[0] * self.sides[1] + self.before[1]
    }

    /// The taps of a frame, from the first output on.
    pub fn window(&self, frame: &Frame) -> Window {
        let [y, x] = [0, 1].map(|axis| (self.before[axis] as isize + frame.start[axis]) as usize);
        let apart = [frame.dilation[0] * self.sides[1], frame.dilation[1]];
        Window { kernel: frame.kernel, first: y * self.sides[1] + x, apart }
    }

    /// From one output of a frame to the next.
    pub fn steps(&self, frame: &Frame) -> Pixels {
        Pixels { image: 0, pitch: frame.stride[0] * self.sides[1], step: frame.stride[1] }
    }

    /// The pixels of the map.
    pub fn inside(&self) -> Pixels {
        Pixels { image: 0, pitch: self.sides[1], step: 1 }
    }

    /// Lays a plane out, each value as the prologue makes it; `fill` stands for the padding.
    pub fn stage<E: Element>(&self, plane: &[E], prologue: &Prologue, fill: f32, canvas: &mut [f32]) {
        self.fill_around(fill, canvas);
        let [rows, width] = self.input;
        let walk = Walk { images: 1, rows, width, from: Pixels::of(width), to: self.inside() };
        elementwise::through(plane, prologue, &Lanes::ONE, walk, &mut canvas[self.first() * LANES..], false);
    }

    /// Fills the padding.
    pub fn fill_around(&self, fill: f32, canvas: &mut [f32]) {
        let (row, width) = (self.sides[1] * LANES, self.input[1] * LANES);
        let first = self.first() * LANES;
        canvas[..first].fill(fill);
        for y in 1..self.input[0] {
            canvas[first + (y - 1) * row + width..first + y * row].fill(fill);
        }
        canvas[first + (self.input[0] - 1) * row + width..self.pixels() * LANES].fill(fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tap of every output reads the pixel that the frame names, or the fill.
    #[test]
    fn taps_read_the_pixels_of_their_windows() {
        let frame = |kernel, stride, start, dilation| Frame { kernel, stride, start, dilation };
        for (input, output, frame) in [
            ([4, 6], [4, 6], frame([3, 3], [1, 1], [-1, -1], [1, 1])),
            ([7, 5], [3, 2], frame([3, 2], [2, 2], [-1, 0], [2, 1])),
            ([5, 9], [5, 3], frame([1, 7], [1, 3], [0, -3], [1, 1])),
            ([4, 4], [2, 2], frame([1, 1], [2, 2], [1, 1], [1, 1])),
            ([8, 8], [8, 8], frame([5, 5], [1, 1], [-4, -4], [2, 2])),
            ([3, 3], [1, 1], frame([3, 3], [1, 1], [0, 0], [1, 1])),
        ] {
            let canvas = Canvas::new(input, output, [frame, Frame::PIXEL].into_iter());
            let plane: Vec<f32> = (0..input[0] * input[1] * LANES).map(|v| v as f32).collect();
            let mut staged = vec![f32::NAN; canvas.pixels() * LANES];
            let prologue = Prologue { offset: Lanes::all(0.5), ..Prologue::NONE };
            canvas.stage(&plane, &prologue, -1.0, &mut staged);
            let (window, steps) = (canvas.window(&frame), canvas.steps(&frame));
            for (at, tap) in (0..output[0] * output[1]).flat_map(|at| (0..frame.taps()).map(move |tap| (at, tap))) {
                let (r, x) = (at / output[1], at % output[1]);
                let y = (r * frame.stride[0] + tap / frame.kernel[1] * frame.dilation[0]) as isize + frame.start[0];
                let c = (x * frame.stride[1] + tap % frame.kernel[1] * frame.dilation[1]) as isize + frame.start[1];
                let inside = y >= 0 && c >= 0 && y < input[0] as isize && c < input[1] as isize;
                let expected =
                    if inside { plane[(y as usize * input[1] + c as usize) * LANES + 3] + 0.5 } else { -1.0 };
                let read = window.tap(tap) + r * steps.pitch + x * steps.step;
                assert_eq!(staged[read * LANES + 3], expected, "{frame:?} {r} {x} {tap}");
            }
        }
    }
}
