//! The gradients of depthwise convolutions: of what they read, and of their filters.
//!
//! Units make strips, as in the convolution itself.

use super::UNITS;
use super::record::{Record, Records, count_of, first_of, record};
use super::source::{Located, Plane, Prologue, Source, start_of};
use super::sums::cube_sums;
use super::taps::{Sides, column_reached, column_read, sides};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::split::Split;
use crate::gpu::window::{
    STRIP, Window, first_reader, reach, read_strip, readers as rows_of_readers, reads, serves, tap, tap_back,
};
use crate::program::Frame;
use cubecl::prelude::*;

record! {
    /// A channel whose gradient is made.
    InputTarget {
        /// What is written.
        plane: Plane,
        readers: Records<InputReader>,
        /// Whether it is added to what is there.
        adds: bool,
    }
}

record! {
    /// A convolution that read the channel.
    InputReader {
        /// The gradient of its output.
        plane: Plane,
        /// Offset of its filter.
        weight: usize,
    }
}

/// The gradient of what depthwise convolutions of one window read, before the ReLU is undone, over
/// all that read a channel:
/// `g[c, n, y, x] (+)= Σ_{reader, t} filter[t] · dout[reader, n, (y − ty · d − start) / s, …]`.
///
/// Grid: strips of all images by [`UNITS`], targets ([`InputTarget`], one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise_input_gradient<E: Float>(
    arena: &mut [E],
    weights: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    sides: Sides,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let rows = comptime!(read_strip(frame) as u32);
    let strips = (sides.height + comptime!(rows - 1)) / rows * sides.width;
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < images * strips {
        let target = targets as usize + CUBE_POS_Y as usize * InputTarget::WORDS;
        let first = first_of(table, target + InputTarget::readers);
        let readers = count_of(table, target + InputTarget::readers);
        let (image, strip) = ((position / strips) as usize, position % strips);
        let (down, x) = (strip / sides.width, strip % sides.width);
        let mut sums = Array::<f32>::new(comptime!(rows as usize));
        for at in 0..readers {
            let reader = first + at as usize * InputReader::WORDS;
            let filter = table[reader + InputReader::weight] as usize;
            let from = start_of(table, reader + InputReader::plane, image);
            for column in 0..comptime!(frame.kernel[1] as u32) {
                let ox = column_reached(x, column, frame);
                if ox < sides.out_width {
                    #[unroll]
                    for row in 0..comptime!(rows_of_readers(frame)) {
                        if comptime!(reads(frame, row)) {
                            let oy = down * comptime!(rows / frame.stride[0] as u32)
                                + comptime!((first_reader(frame) + row as isize) as u32);
                            let mut gradient = 0.0f32;
                            if oy < sides.out_height {
                                gradient = f32::cast_from(arena[from + (oy * sides.out_width + ox) as usize]);
                            }
                            #[unroll]
                            for pixel in 0..comptime!(rows as usize) {
                                let tap = comptime!(tap_back(frame, row, pixel));
                                if comptime!(tap < frame.kernel[0]) {
                                    sums[pixel] +=
                                        weights[filter + comptime!(tap * frame.kernel[1]) + column as usize] * gradient;
                                }
                            }
                        }
                    }
                }
            }
        }
        let adds = table[target + InputTarget::adds] != 0;
        let to = start_of(table, target + InputTarget::plane, image) + x as usize;
        #[unroll]
        for pixel in 0..comptime!(rows as usize) {
            let y = down * rows + comptime!(pixel as u32);
            if y < sides.height {
                let at = to + (y * sides.width) as usize;
                let mut sum = sums[pixel];
                if adds {
                    sum += f32::cast_from(arena[at]);
                }
                arena[at] = E::cast_from(sum);
            }
        }
    }
}

/// A launch of [`depthwise_input_gradient()`].
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseInput {
    pub targets: Records<InputTarget>,
    pub window: Window,
}

impl Launch for DepthwiseInput {
    fn cubes(&self, images: usize) -> [usize; 3] {
        [(images * self.window.read_strips()).div_ceil(UNITS as usize), self.targets.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, weights, table) = (on.arena.arg(), on.weights.arg(), on.table.arg());
        let (targets, images, sides) = (self.targets.first(), on.images as u32, sides(&self.window));
        let (frame, format) = (self.window.frame, on.format);
        depthwise_input_gradient::launch(
            client, cubes, units, address, arena, weights, table, targets, images, sides, frame, format,
        );
    }
}

record! {
    /// A channel whose filter's gradient is made.
    FilterGradient {
        source: Source,
        /// The gradient of the output.
        gradient: Plane,
        /// First partial sum of the first chunk, and how many lie between two chunks.
        partial: usize,
        stride: usize,
    }
}

/// Partial gradients of depthwise filters: the sum over one chunk of strips.
///
/// ```text
/// partial[chunk, c, t]
///     = Σ_{(n, y, x) in chunk} dout[c, n, y, x] · source[c, n, y · s + ty · d + start, …]
/// ```
///
/// Grid: chunks of `length` strips, records ([`FilterGradient`], one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise_weight_gradient<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    images: u32,
    length: u32,
    sides: Sides,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let taps = comptime!(frame.taps());
    let filter = records as usize + CUBE_POS_Y as usize * FilterGradient::WORDS;
    let source = filter + FilterGradient::source;
    let strips = (sides.out_height + comptime!(STRIP as u32 - 1)) / comptime!(STRIP as u32) * sides.out_width;
    let prologue = Prologue::of(&*numbers, table, source);
    let read = Located::of(table, source + Source::plane);
    let arrives = Located::of(table, filter + FilterGradient::gradient);
    let mut sums = Array::<f32>::new(taps);
    let begin = CUBE_POS_X * length;
    let end = min(begin + length, images * strips);
    for position in range_stepped(begin + UNIT_POS, end, UNITS) {
        let (image, strip) = ((position / strips) as usize, position % strips);
        let (oy, ox) = (strip / sides.out_width * comptime!(STRIP as u32), strip % sides.out_width);
        let (from, towards) = (read.start(image), arrives.start(image) + ox as usize);
        let mut gradients = Array::<f32>::new(STRIP);
        #[unroll]
        for output in 0..STRIP {
            let y = oy + comptime!(output as u32);
            gradients[output] = 0.0;
            if y < sides.out_height {
                gradients[output] = f32::cast_from(arena[towards + (y * sides.out_width) as usize]);
            }
        }
        #[unroll]
        for column in 0..comptime!(frame.kernel[1]) {
            let x = column_read(ox, comptime!(column as u32), frame);
            #[unroll]
            for row in 0..comptime!(reach(frame)) {
                if comptime!(serves(frame, row)) {
                    let y = oy * comptime!(frame.stride[0] as u32) + comptime!((row as isize + frame.start[0]) as u32);
                    let mut value = 0.0f32;
                    if y < sides.height && x < sides.width {
                        value = prologue.apply(f32::cast_from(arena[from + (y * sides.width + x) as usize]));
                    }
                    #[unroll]
                    for output in 0..STRIP {
                        let tap = comptime!(tap(frame, row, output));
                        if comptime!(tap < frame.kernel[0]) {
                            sums[comptime!(tap * frame.kernel[1] + column)] += gradients[output] * value;
                        }
                    }
                }
            }
        }
    }
    cube_sums(&mut sums, taps, 1usize, comptime!(UNITS as usize));
    if UNIT_POS == 0 {
        let partial = table[filter + FilterGradient::partial] as usize
            + (CUBE_POS_X * table[filter + FilterGradient::stride]) as usize;
        #[unroll]
        for tap in 0..taps {
            numbers[partial + tap] = sums[tap];
        }
    }
}

/// A launch of [`depthwise_weight_gradient()`].
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseWeight {
    pub filters: Records<FilterGradient>,
    pub window: Window,
    /// Of strips.
    pub split: Split,
}

impl Launch for DepthwiseWeight {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.split.chunks, self.filters.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (records, images, sides) = (self.filters.first(), on.images as u32, sides(&self.window));
        let (length, frame, format) = (self.split.length as u32, self.window.frame, on.format);
        depthwise_weight_gradient::launch(
            client, cubes, units, address, arena, numbers, table, records, images, length, sides, frame, format,
        );
    }
}
