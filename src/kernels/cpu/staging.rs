//! A plane laid out so that every tap of a window is one shifted read.
//!
//! A plane `[h][w][image]` is padded and split by the stride into phases: the pixels whose padded row is `a` modulo the
//! stride, and whose padded column is `b`. In each phase rows are as wide as the output and what the taps reach beyond it,
//! and the value that tap `t` reads for output row `r`, lane `l` stands at `offsets[t] + r * pitch + l`.

use super::simd::depthwise::Taps;
use crate::kernels::program::Frame;

/// Values of the widest vector. Rows that are written are padded to it.
pub(super) const VECTOR: usize = 16;

/// Distances of planes in scratch memory that are multiples of this many values fall into the same few lines of a
/// first-level cache.
const ALIAS: usize = 512;

/// A length for planes in scratch memory: room for a vector behind the last value, and no two planes in the same lines.
pub(super) fn roomy(length: usize) -> usize {
    let length = length.next_multiple_of(VECTOR) + VECTOR;
    if length % ALIAS < VECTOR { length + VECTOR } else { length }
}

/// The layout of one plane under one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Staging {
    pub frame: Frame,
    /// `[h, w]`
    pub input: [usize; 2],
    /// `[oh, ow]`
    pub output: [usize; 2],
    /// Images of the block that is staged.
    pub images: usize,
    rows: usize,
    cols: usize,
    /// The phases that taps read, `[row, column]`.
    phases: Vec<[usize; 2]>,
    /// Where each tap's first read stands.
    pub offsets: Vec<usize>,
    /// Distance of two rows.
    pub pitch: usize,
    /// Distance of two staged planes.
    pub plane: usize,
}

/// One image of a plane elsewhere: its first pixel, and the distance of its pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane<'a> {
    pub plane: &'a [f32],
    pub lane: usize,
    pub images: usize,
}

impl Staging {
    pub fn new(frame: Frame, input: [usize; 2], output: [usize; 2], images: usize) -> Self {
        let Frame { kernel, stride, dilation, .. } = frame;
        let reach = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1));
        let rows = output[0] + reach[0] / stride[0];
        let cols = output[1] + reach[1] / stride[1];
        let pitch = cols * images;
        let (mut phases, mut offsets) = (Vec::new(), Vec::with_capacity(frame.taps()));
        for y in (0..kernel[0]).map(|tap| tap * dilation[0]) {
            for x in (0..kernel[1]).map(|tap| tap * dilation[1]) {
                let phase = [y % stride[0], x % stride[1]];
                let index = phases.iter().position(|known| *known == phase).unwrap_or_else(|| {
                    phases.push(phase);
                    phases.len() - 1
                });
                offsets.push((index * rows + y / stride[0]) * pitch + x / stride[1] * images);
            }
        }
        let plane = roomy(phases.len() * rows * pitch);
        Self { frame, input, output, images, rows, cols, phases, offsets, pitch, plane }
    }

    /// Whether the taps of a column are the same number of rows apart everywhere: then gradients go back as they came.
    pub fn is_unstrided(&self) -> bool {
        self.frame.stride == [1, 1]
    }

    pub fn taps(&self) -> Taps<'_> {
        let row_step = self.is_unstrided().then_some(self.frame.dilation[0]);
        Taps { offsets: &self.offsets, kernel: self.frame.kernel, row_step }
    }

    /// Whether a staged plane is the plane itself.
    pub fn is_plane(&self) -> bool {
        self.frame == Frame::PIXEL && self.input == self.output
    }

    /// The padded pixel of column (or row) `at` of a phase, if the map has it.
    fn pixel(&self, axis: usize, at: usize, phase: usize) -> Option<usize> {
        let pixel = (at * self.frame.stride[axis] + phase) as isize + self.frame.start[axis];
        usize::try_from(pixel).ok().filter(|pixel| *pixel < self.input[axis])
    }

    /// Columns of a phase that the map has.
    fn columns(&self, phase: usize) -> std::ops::Range<usize> {
        let first = (0..self.cols).find(|&at| self.pixel(1, at, phase).is_some()).unwrap_or(self.cols);
        let count = (first..self.cols).take_while(|&at| self.pixel(1, at, phase).is_some()).count();
        first..first + count
    }

    /// The columns of the first phase that the map has, and the map's column that the first of them is.
    pub fn columns_of_pixels(&self) -> (std::ops::Range<usize>, usize) {
        let columns = self.columns(0);
        let first = self.pixel(1, columns.start, 0).unwrap_or(0);
        (columns, first)
    }

    /// Visits every row of every phase that holds pixels: where its first pixel stands in the staged plane, the pixel in
    /// the map, how many there are, and their distance in the map.
    fn each_row(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        for (index, phase) in self.phases.iter().enumerate() {
            let columns = self.columns(phase[1]);
            let Some(x) = self.pixel(1, columns.start, phase[1]).filter(|_| !columns.is_empty()) else { continue };
            for row in 0..self.rows {
                if let Some(y) = self.pixel(0, row, phase[0]) {
                    let at = (index * self.rows + row) * self.pitch + columns.start * self.images;
                    visit(at, y * self.input[1] + x, columns.len(), self.frame.stride[1]);
                }
            }
        }
    }

    /// Lays a plane of the same images out, each value as `value` makes it; `fill` stands for the padding.
    pub fn stage(&self, plane: &[f32], fill: f32, staged: &mut [f32], value: impl Fn(f32) -> f32 + Copy) {
        let images = self.images;
        if self.is_plane() {
            let (staged, rest) = staged.split_at_mut(plane.len());
            map(plane, staged, value);
            rest.fill(0.0);
            return;
        }
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                staged.fill(fill);
                self.each_row(
                    #[inline(always)]
                    |at, pixel, count, step| {
                        if step == 1 {
                            let from = &plane[pixel * images..][..count * images];
                            let to = &mut staged[at..][..count * images];
                            to.iter_mut().zip(from).for_each(|(to, from)| *to = value(*from));
                        } else {
                            for column in 0..count {
                                let from = &plane[(pixel + column * step) * images..][..images];
                                let to = &mut staged[at + column * images..][..images];
                                to.iter_mut().zip(from).for_each(|(to, from)| *to = value(*from));
                            }
                        }
                    },
                );
            },
        );
    }

    /// Lays planes of single images out, one after another.
    pub fn stage_lanes(&self, lanes: &[Lane<'_>], fill: f32, staged: &mut [f32], value: impl Fn(f32) -> f32 + Copy) {
        staged.fill(fill);
        for (image, lane) in lanes.iter().enumerate() {
            self.each_row(|at, pixel, count, step| {
                for column in 0..count {
                    let from = lane.plane[(pixel + column * step) * lane.images + lane.lane];
                    staged[at + column * self.images + image] = value(from);
                }
            });
        }
    }

    /// Adds a staged plane to the map's plane, `[h]` rows that are `pitch` apart.
    pub fn unstage_add(&self, staged: &[f32], plane: &mut [f32], pitch: usize) {
        let (images, width) = (self.images, self.input[1]);
        self.each_row(|at, pixel, count, step| {
            let start = pixel / width * pitch + pixel % width * images;
            if step == 1 {
                let (from, to) = (&staged[at..][..count * images], &mut plane[start..][..count * images]);
                return to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
            for column in 0..count {
                let from = &staged[at + column * images..][..images];
                let to = &mut plane[start + column * step * images..][..images];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        });
    }

    /// The frame that carries gradients back: from the output's plane to the input's, taps in reverse. Only at stride 1.
    pub fn reversed(&self) -> Staging {
        let Frame { kernel, start, dilation, .. } = self.frame;
        let start = [0, 1].map(|axis| -start[axis] - ((kernel[axis] - 1) * dilation[axis]) as isize);
        let frame = Frame { kernel, stride: [1; 2], start, dilation };
        Self::new(frame, self.output, self.input, self.images)
    }
}

/// `out = value(x)`, of the same length.
fn map(x: &[f32], out: &mut [f32], value: impl Fn(f32) -> f32) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || out.iter_mut().zip(x).for_each(|(out, x)| *out = value(*x)),
    );
}

/// Rows of a plane with each row padded to whole vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub rows: usize,
    /// Lanes of a row that count.
    pub width: usize,
    /// Lanes of a row with its padding.
    pub pitch: usize,
}

impl Canvas {
    pub fn new(rows: usize, width: usize) -> Self {
        Self { rows, width, pitch: width.next_multiple_of(VECTOR) }
    }

    /// Values that count.
    pub fn compact(&self) -> usize {
        self.rows * self.width
    }

    /// Values with the padding.
    pub fn len(&self) -> usize {
        self.rows * self.pitch
    }

    /// Whether there is no padding: the canvas is the plane.
    pub fn is_dense(&self) -> bool {
        self.width == self.pitch
    }

    /// Distance of two planes in scratch memory.
    pub fn plane(&self) -> usize {
        roomy(self.len())
    }

    /// Copies a plane to a canvas, zeros in the padding.
    pub fn spread(&self, plane: &[f32], canvas: &mut [f32]) {
        for (to, from) in canvas.chunks_exact_mut(self.pitch).zip(plane.chunks_exact(self.width)) {
            let (row, padding) = to.split_at_mut(self.width);
            row.copy_from_slice(from);
            padding.fill(0.0);
        }
    }

    /// Copies a canvas to a plane.
    pub fn take(&self, canvas: &[f32], plane: &mut [f32]) {
        for (from, to) in canvas.chunks_exact(self.pitch).zip(plane.chunks_exact_mut(self.width)) {
            to.copy_from_slice(&from[..self.width]);
        }
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
            for images in [1, 3] {
                let staging = Staging::new(frame, input, output, images);
                let plane: Vec<f32> = (0..input[0] * input[1] * images).map(|v| v as f32).collect();
                let mut staged = vec![f32::NAN; staging.plane];
                staging.stage(&plane, -1.0, &mut staged, |v| v + 0.5);
                let lanes: Vec<Lane<'_>> = (0..images).map(|lane| Lane { plane: &plane, lane, images }).collect();
                let mut by_lane = vec![f32::NAN; staging.plane];
                staging.stage_lanes(&lanes, -1.0, &mut by_lane, |v| v + 0.5);
                let reads = |r: usize, x: usize, tap: usize, image: usize| {
                    staged[staging.offsets[tap] + r * staging.pitch + x * images + image]
                };
                for (r, x, tap, image) in every_read(output, frame.taps(), images) {
                    let y = (r * frame.stride[0] + tap / frame.kernel[1] * frame.dilation[0]) as isize + frame.start[0];
                    let c = (x * frame.stride[1] + tap % frame.kernel[1] * frame.dilation[1]) as isize + frame.start[1];
                    let inside = y >= 0 && c >= 0 && y < input[0] as isize && c < input[1] as isize;
                    let at = || (y as usize * input[1] + c as usize) * images + image;
                    let expected = if inside { plane[at()] + 0.5 } else { -1.0 };
                    assert_eq!(reads(r, x, tap, image), expected, "{frame:?} {r} {x} {tap} {image}");
                    let at = staging.offsets[tap] + r * staging.pitch + x * images + image;
                    assert_eq!(by_lane[at], expected);
                }
            }
        }
    }

    fn every_read(
        output: [usize; 2],
        taps: usize,
        images: usize,
    ) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        (0..output[0] * output[1] * taps * images).map(move |at| {
            let (pixel, rest) = (at / (taps * images), at % (taps * images));
            (pixel / output[1], pixel % output[1], rest / images, rest % images)
        })
    }
}
