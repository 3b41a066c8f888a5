//! Depthwise convolution: one filter a channel, of many branches with one window at once.
//!
//! A unit makes a strip of numbers, see [`window`](super::super::window): what it reads, and what a
//! norm does to it, serves all of them.

use super::super::window::{
    STRIP, first_reader, reach, read_strip, readers as rows_of_readers, reads, serves, tap, tap_back,
};
use super::{PLANE, Prologue, SOURCE, UNITS, column_reached, column_read, cube_sums, start_of};
use crate::program::Frame;
use cubecl::prelude::*;

/// A source, the plane that is written, the offset of the filter.
pub(in super::super) const DEPTHWISE: usize = SOURCE + PLANE + 1;

/// `out[c, n, y, x] = Σ_{t} filter[c, t] · source[c, n, y · s + ty · d + start, …]`, the source's norm and ReLU folded in.
///
/// Grid: strips of all images by [`UNITS`], records ([`DEPTHWISE`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
    images: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let strips = (out_height + comptime!(STRIP as u32 - 1)) / comptime!(STRIP as u32) * out_width;
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < images * strips {
        let source = records as usize + CUBE_POS_Y as usize * DEPTHWISE;
        let filter = table[source + SOURCE + PLANE] as usize;
        let (image, strip) = ((position / strips) as usize, position % strips);
        let (oy, ox) = (strip / out_width * comptime!(STRIP as u32), strip % out_width);
        let from = start_of(table, source, image);
        let prologue = Prologue::of(numbers, table, source);
        let mut sums = Array::<f32>::new(STRIP);
        for column in 0..comptime!(frame.kernel[1] as u32) {
            let x = column_read(ox, column, frame);
            if x < width {
                #[unroll]
                for row in 0..comptime!(reach(frame)) {
                    if comptime!(serves(frame, row)) {
                        let y =
                            oy * comptime!(frame.stride[0] as u32) + comptime!((row as isize + frame.start[0]) as u32);
                        let mut value = 0.0f32;
                        if y < height {
                            value = prologue.apply(f32::cast_from(arena[from + (y * width + x) as usize]));
                        }
                        #[unroll]
                        for output in 0..STRIP {
                            let tap = comptime!(tap(frame, row, output));
                            if comptime!(tap < frame.kernel[0]) {
                                sums[output] +=
                                    weights[filter + comptime!(tap * frame.kernel[1]) + column as usize] * value;
                            }
                        }
                    }
                }
            }
        }
        let to = start_of(table, source + SOURCE, image) + ox as usize;
        #[unroll]
        for output in 0..STRIP {
            let y = oy + comptime!(output as u32);
            if y < out_height {
                arena[to + (y * out_width) as usize] = E::cast_from(sums[output]);
            }
        }
    }
}

/// The plane that is written, first reader and number of readers, whether it is added to what is
/// there.
pub(in super::super) const INPUT_TARGET: usize = PLANE + 3;

/// The plane of the output's gradient, and the offset of the filter.
pub(in super::super) const INPUT_READER: usize = PLANE + 1;

/// The gradient of what depthwise convolutions of one window read, before the ReLU is undone, over
/// all that read a channel:
/// `g[c, n, y, x] (+)= Σ_{reader, t} filter[t] · dout[reader, n, (y − ty · d − start) / s, …]`.
///
/// Grid: strips of all images by [`UNITS`], targets ([`INPUT_TARGET`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise_input_gradient<E: Float>(
    arena: &mut [E],
    weights: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let rows = comptime!(read_strip(frame) as u32);
    let strips = (height + comptime!(rows - 1)) / rows * width;
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < images * strips {
        let target = targets as usize + CUBE_POS_Y as usize * INPUT_TARGET;
        let (first, readers) = (table[target + PLANE] as usize, table[target + PLANE + 1]);
        let (image, strip) = ((position / strips) as usize, position % strips);
        let (down, x) = (strip / width, strip % width);
        let mut sums = Array::<f32>::new(comptime!(rows as usize));
        for at in 0..readers {
            let reader = first + at as usize * INPUT_READER;
            let filter = table[reader + PLANE] as usize;
            let from = start_of(table, reader, image);
            for column in 0..comptime!(frame.kernel[1] as u32) {
                let ox = column_reached(x, column, frame);
                if ox < out_width {
                    #[unroll]
                    for row in 0..comptime!(rows_of_readers(frame)) {
                        if comptime!(reads(frame, row)) {
                            let oy = down * comptime!(rows / frame.stride[0] as u32)
                                + comptime!((first_reader(frame) + row as isize) as u32);
                            let mut gradient = 0.0f32;
                            if oy < out_height {
                                gradient = f32::cast_from(arena[from + (oy * out_width + ox) as usize]);
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
        let adds = table[target + PLANE + 2] != 0;
        let to = start_of(table, target, image) + x as usize;
        #[unroll]
        for pixel in 0..comptime!(rows as usize) {
            let y = down * rows + comptime!(pixel as u32);
            if y < height {
                let at = to + (y * width) as usize;
                let mut sum = sums[pixel];
                if adds {
                    sum += f32::cast_from(arena[at]);
                }
                arena[at] = E::cast_from(sum);
            }
        }
    }
}

/// A source, the plane of the output's gradient, first partial sum, and how many partial sums lie
/// between two chunks.
pub(in super::super) const WEIGHT: usize = SOURCE + PLANE + 2;

/// Partial gradients of depthwise filters: the sum over one chunk of strips of one column of taps.
///
/// `partial[chunk, c, t] = Σ_{(n, y, x) in chunk} dout[c, n, y, x] · source[c, n, y · s + ty · d + start, …]`
///
/// Grid: columns of taps in chunks of `length` strips, records ([`WEIGHT`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise_weight_gradient<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    images: u32,
    length: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let columns = comptime!(frame.kernel[1] as u32);
    let source = records as usize + CUBE_POS_Y as usize * WEIGHT;
    let (chunk, column) = (CUBE_POS_X / columns, CUBE_POS_X % columns);
    let strips = (out_height + comptime!(STRIP as u32 - 1)) / comptime!(STRIP as u32) * out_width;
    let prologue = Prologue::of(&*numbers, table, source);
    let mut sums = Array::<f32>::new(comptime!(frame.kernel[0]));
    let begin = chunk * length;
    let end = min(begin + length, images * strips);
    for position in range_stepped(begin + UNIT_POS, end, UNITS) {
        let (image, strip) = ((position / strips) as usize, position % strips);
        let (oy, ox) = (strip / out_width * comptime!(STRIP as u32), strip % out_width);
        let x = column_read(ox, column, frame);
        if x < width {
            let from = start_of(table, source, image) + x as usize;
            let towards = start_of(table, source + SOURCE, image) + ox as usize;
            let mut gradients = Array::<f32>::new(STRIP);
            #[unroll]
            for output in 0..STRIP {
                let y = oy + comptime!(output as u32);
                gradients[output] = 0.0;
                if y < out_height {
                    gradients[output] = f32::cast_from(arena[towards + (y * out_width) as usize]);
                }
            }
            #[unroll]
            for row in 0..comptime!(reach(frame)) {
                if comptime!(serves(frame, row)) {
                    let y = oy * comptime!(frame.stride[0] as u32) + comptime!((row as isize + frame.start[0]) as u32);
                    let mut value = 0.0f32;
                    if y < height {
                        value = prologue.apply(f32::cast_from(arena[from + (y * width) as usize]));
                    }
                    #[unroll]
                    for output in 0..STRIP {
                        let tap = comptime!(tap(frame, row, output));
                        if comptime!(tap < frame.kernel[0]) {
                            sums[tap] += gradients[output] * value;
                        }
                    }
                }
            }
        }
    }
    cube_sums(&mut sums, comptime!(frame.kernel[0]), 1usize, comptime!(UNITS as usize));
    if UNIT_POS == 0 {
        let partial = table[source + SOURCE + PLANE] as usize + (chunk * table[source + SOURCE + PLANE + 1]) as usize;
        #[unroll]
        for tap in 0..comptime!(frame.kernel[0]) {
            numbers[partial + comptime!(tap * frame.kernel[1]) + column as usize] = sums[tap];
        }
    }
}
