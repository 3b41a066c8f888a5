//! A plane laid out so that every tap of a window is one shifted read.
//!
//! A plane of a block is `[h][w][image]`, and a window steps over it. Staged, it is padded and
//! split by the stride into **phases**: phase `(a, b)` has the pixels whose padded row is `a` and
//! whose padded column is `b` modulo the stride. Phases follow each other. With a window of 3x3,
//! stride 2 and a padding of one, a plane of 4x4 pixels `yx` (one image) becomes, `..` being
//! padding:
//!
//! ```text
//! padded                staged: phases of the taps, each of 3 rows, 3 wide
//! .. .. .. .. .. ..      (0, 0)      (0, 1)      (1, 0)      (1, 1)
//! .. 00 01 02 03 ..     .. .. ..    .. .. ..    .. 01 03    00 02 ..
//! .. 10 11 12 13 ..     .. 11 13    10 12 ..    .. 21 23    20 22 ..
//! .. 20 21 22 23 ..     .. 31 33    30 32 ..    .. .. ..    .. .. ..
//! .. 30 31 32 33 ..
//! .. .. .. .. .. ..
//! ```
//!
//! Output `(r, c)` reads at tap `(y, x)` the padded pixel `(2r + y, 2c + x)`: it stands in phase
//! `(y % 2, x % 2)` at row `r + y / 2`, column `c + x / 2`. So what a tap reads for a row of
//! outputs is a run of memory, and for the row below the same, one `pitch` further:
//!
//! ```text
//! read(tap, r, lane) = staged[offsets[tap] + r * pitch + lane]         lane = c * images + image
//! offsets[tap]       = (phase * rows + y / stride) * pitch + x / stride * images
//! pitch              = (width of the output + last tap's x / stride) * images
//! ```
//!
//! `y` and `x` of a tap are its place in the window times the dilation. At stride 1 there is one
//! phase, the padded plane. Only phases that a tap reads are there. A staged plane is a little
//! longer than its phases ([`roomy`]): vectors read past the last value.

use super::{
    prologue::Prologue,
    simd::{depthwise::Taps, elementwise},
};
use crate::program::Frame;
use pulp::{Simd, WithSimd};

/// Values of the widest vector. Rows that are written are padded to it.
pub(super) const VECTOR: usize = 16;

/// Distances of planes in scratch memory that are multiples of this many values fall into the same
/// few lines of a first-level cache.
const ALIAS: usize = 512;

/// A length for planes in scratch memory: room for a vector behind the last value, and no two
/// planes in the same lines.
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
    /// What of the map each phase that taps read holds.
    phases: Vec<Phase>,
    /// Where each tap's first read stands.
    pub offsets: Vec<usize>,
    /// Distance of two rows.
    pub pitch: usize,
    /// Distance of two staged planes.
    pub plane: usize,
}

/// The part of a phase that holds pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Phase {
    /// Where its first pixel stands in the staged plane.
    start: usize,
    rows: usize,
    columns: usize,
    /// The first pixel in the map, `[row, column]`.
    pixel: [usize; 2],
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
        let phases = phases.into_iter().enumerate().map(|(index, phase)| {
            // Of the rows, or columns, of a phase: the first that the map has, which of the map's
            // it is, and how many it has.
            let of_axis = |axis: usize, most: usize| {
                let pixel = |at: usize| (at * stride[axis] + phase[axis]) as isize + frame.start[axis];
                let has = |at: usize| usize::try_from(pixel(at)).is_ok_and(|pixel| pixel < input[axis]);
                let first = (0..most).find(|&at| has(at)).unwrap_or(most);
                let count = (first..most).take_while(|&at| has(at)).count();
                (first, pixel(first).max(0) as usize, count)
            };
            let ((row, y, of_rows), (column, x, columns)) = (of_axis(0, rows), of_axis(1, cols));
            let start = (index * rows + row) * pitch + column * images;
            Phase { start, rows: if columns == 0 { 0 } else { of_rows }, columns, pixel: [y, x] }
        });
        Self { frame, input, output, images, phases: phases.collect(), offsets, pitch, plane }
    }

    /// Whether the taps of a column are the same number of rows apart everywhere: then gradients go
    /// back as they came.
    pub fn is_unstrided(&self) -> bool {
        self.frame.stride == [1, 1]
    }

    pub fn taps(&self) -> Taps<'_> {
        let row_step = self.is_unstrided().then_some(self.frame.dilation[0]);
        Taps::new(&self.offsets, self.frame.kernel, row_step, self.pitch)
    }

    /// Whether a staged plane is the plane itself.
    pub fn is_plane(&self) -> bool {
        self.frame == Frame::PIXEL && self.input == self.output
    }

    /// Lanes of a row before the first that the map has, and how many it has of those that windows
    /// read, from which of its own on. Only at stride 1.
    pub fn lanes(&self) -> [usize; 3] {
        let Phase { start, columns, pixel, .. } = &self.phases[0];
        [start % self.pitch, columns * self.images, pixel[1] * self.images]
    }

    /// Visits every row of every phase that holds pixels: where its first pixel stands in the
    /// staged plane, the pixel in the map, how many there are, and their distance in the map.
    #[inline(always)]
    fn each_row(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let [down, across] = self.frame.stride;
        for Phase { start, rows, columns, pixel: [y, x] } in &self.phases {
            for row in 0..*rows {
                visit(start + row * self.pitch, (y + row * down) * self.input[1] + x, *columns, across);
            }
        }
    }

    /// Where the map's first pixel stands in a staged plane, if the map's rows are there as they
    /// are, `pitch` apart, and each with that many values behind it.
    pub fn whole_rows(&self) -> Option<usize> {
        let Phase { start, rows, columns, .. } = self.phases[0];
        let fits = start + self.input[0] * self.pitch <= self.plane;
        (self.is_unstrided() && fits && [rows, columns] == self.input).then_some(start)
    }

    /// Lays a plane of the same images out, each value as the prologue makes it; `fill` stands for
    /// the padding.
    pub fn stage(&self, plane: &[f32], fill: f32, staged: &mut [f32], prologue: Prologue) {
        if self.is_plane() {
            let (staged, rest) = staged.split_at_mut(plane.len());
            let Prologue { factor, offset, least } = prologue;
            elementwise::affine_floor(plane, factor, offset, least, staged);
            return rest.fill(0.0);
        }
        pulp::Arch::new().dispatch(Stage { staging: self, plane, fill, staged, prologue });
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
            let from = staged[at..][..count * images].chunks_exact(images);
            for (to, from) in plane[start..].chunks_mut(step * images).zip(from) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        });
    }

    /// The frame that carries gradients back: from the output's plane to the input's, taps in
    /// reverse. Only at stride 1.
    pub fn reversed(&self) -> Staging {
        let Frame { kernel, start, dilation, .. } = self.frame;
        let start = [0, 1].map(|axis| -start[axis] - ((kernel[axis] - 1) * dilation[axis]) as isize);
        let frame = Frame { kernel, stride: [1; 2], start, dilation };
        Self::new(frame, self.output, self.input, self.images)
    }
}

struct Stage<'a> {
    staging: &'a Staging,
    plane: &'a [f32],
    fill: f32,
    staged: &'a mut [f32],
    prologue: Prologue,
}

impl WithSimd for Stage<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { staging, plane, fill, staged, prologue } = self;
        let images = staging.images;
        let [factor, offset, least] =
            [prologue.factor, prologue.offset, prologue.least].map(|value| simd.splat_f32s(value));
        let mut done = 0;
        staging.each_row(
            #[inline(always)]
            |at, pixel, count, step| {
                fill_between(simd, staged, done, at, fill);
                done = at + count * images;
                // Where the map's pixels are apart, each is a row.
                let (rows, length) = if step == 1 { (1, count * images) } else { (count, images) };
                for row in 0..rows {
                    let from = &plane[(pixel + row * step) * images..][..length];
                    let to = &mut staged[at + row * length..][..length];
                    let ((from, rest), (to, to_rest)) = (S::as_simd_f32s(from), S::as_mut_simd_f32s(to));
                    for (to, from) in to.iter_mut().zip(from) {
                        let value = simd.mul_add_e_f32s(*from, factor, offset);
                        *to = simd.select_f32s(simd.less_than_f32s(value, least), least, value);
                    }
                    if !rest.is_empty() {
                        let value = simd.mul_add_e_f32s(simd.partial_load_f32s(rest), factor, offset);
                        let value = simd.select_f32s(simd.less_than_f32s(value, least), least, value);
                        simd.partial_store_f32s(to_rest, value);
                    }
                }
            },
        );
        staged[done..].fill(fill);
    }
}

/// Fills what is between two rows, a vector at a time: what is written too much is the beginning of
/// a row to come.
#[inline(always)]
fn fill_between<S: Simd>(simd: S, staged: &mut [f32], from: usize, to: usize, fill: f32) {
    for at in (from..to).step_by(S::F32_LANES) {
        match staged.get_mut(at..at + S::F32_LANES) {
            Some(vector) => simd.partial_store_f32s(vector, simd.splat_f32s(fill)),
            None => staged[at..to].fill(fill),
        }
    }
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
                staging.stage(&plane, -1.0, &mut staged, Prologue { offset: 0.5, ..Prologue::NONE });
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
